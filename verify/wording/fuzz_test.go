package wording_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tccm/undersigned/testdata/tccm"
	"github.com/tccm/undersigned/verify/wording"
)

// seeds adds the corpus, which has everything in it that matters, in pieces that a fuzzer can work with.
func seeds(f *testing.F, add func(text []byte)) {
	list, err := filepath.Glob(filepath.Join(corpus, "*"))
	if err != nil || len(list) < 40 {
		f.Fatal(len(list), err)
	}
	for _, path := range list {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		add(b[:min(len(b), 500)])
	}
}

// shows fails if a result has something that a page or a terminal cannot show, or is not bounded.
func shows(t *testing.T, r *wording.Result) {
	t.Helper()
	all := []string{r.Sentence("X")}
	for _, h := range r.Hunks {
		all = append(all, h.Deleted, h.Inserted, h.Before, h.After)
		for _, c := range h.Characters {
			all = append(all, c.Code, c.Name, c.Word, c.Instead)
		}
		if h.At.Line < 1 || h.At.Column < 1 || h.Of.Line < 1 || h.Of.Column < 1 {
			t.Errorf("a hunk at %v, %v", h.At, h.Of)
		}
	}
	if p := r.Part; p != nil {
		all = append(all, p.Before, p.Passage, p.After)
	}
	for _, s := range all {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
			return r < ' ' || 0x7f <= r && r < 0xa0 || 0x200b <= r && r <= 0x200f || 0x202a <= r && r <= 0x202e
		}) {
			t.Errorf("shows %q", s)
		}
	}
	if len(r.Hunks) > 200 || r.Matched > min(r.Words, r.Of) || r.Matched < 0 {
		t.Errorf("%d hunks, %d matched of %d, %d", len(r.Hunks), r.Matched, r.Words, r.Of)
	}
}

// FuzzCompare compares any two texts, of any form: nothing panics, only the same bytes are identical, and what is
// called the same word for word has the same words.
func FuzzCompare(f *testing.F) {
	endorsed := tccm.Statement[:500]
	seeds(f, func(text []byte) { f.Add(text, endorsed) })
	f.Fuzz(func(t *testing.T, a, b []byte) {
		texts := []*wording.Text{wording.Plain(a), wording.FromPDF([]byte("%PDF-"), a)}
		if page, err := wording.FromHTML(a); err == nil {
			texts = append(texts, page)
		}
		for _, x := range texts {
			y := wording.Plain(b)
			r := wording.Compare(x, y)
			shows(t, r)
			back := wording.Compare(y, x)
			shows(t, back)
			if same := string(a) == string(b) && x.Form() != wording.PDF; (r.Verdict == wording.Identical) != same || (back.Verdict == wording.Identical) != same {
				t.Errorf("%s, %s", r.Verdict, back.Verdict)
			}
			if r.Verdict == wording.SameWords {
				if back.Verdict != wording.SameWords {
					t.Errorf("the same word for word one way, and %s the other", back.Verdict)
				}
				if x.Form() == wording.PlainText && utf8.Valid(a) && utf8.Valid(b) && !slices.Equal(fields(x.String()), fields(y.String())) {
					t.Errorf("%q and %q are not the same words", a, b)
				}
			}
		}
	})
}

// fields is a text without its spaces, which are all that may differ. Where there are spaces may differ beside marks, so none counts.
func fields(s string) []rune {
	return slices.DeleteFunc([]rune(s), func(r rune) bool {
		return strings.ContainsRune(" \t\n\v\f\r\u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000", r) || 0x2000 <= r && r <= 0x200a
	})
}

// FuzzInsert puts a word into a text: it is never the same then.
func FuzzInsert(f *testing.F) {
	seeds(f, func(text []byte) { f.Add(text, "not", 20) })
	f.Fuzz(func(t *testing.T, text []byte, word string, at int) {
		if !utf8.Valid(text) || word == "" || strings.ContainsFunc(word, func(r rune) bool { return r < 'a' || r > 'z' }) {
			return
		}
		words := strings.Split(string(text), " ")
		at = ((at % (len(words) + 1)) + len(words) + 1) % (len(words) + 1)
		altered := strings.Join(slices.Insert(slices.Clone(words), at, word), " ")
		r := wording.Compare(plain(altered), wording.Plain(text))
		if r.Verdict == wording.Identical || r.Verdict == wording.SameWords || r.Verdict == wording.Quote {
			t.Errorf("%q with %q: %s", text, word, r.Verdict)
		}
		if r := wording.Compare(wording.Plain(text), wording.Plain(text)); r.Verdict != wording.Identical || len(r.Hunks) > 0 {
			t.Errorf("%q and itself: %s", text, r.Verdict)
		}
	})
}

// FuzzHTML reads any page: nothing panics, and the text is hardly longer than the page.
func FuzzHTML(f *testing.F) {
	seeds(f, func(text []byte) { f.Add(text) })
	for _, s := range []string{"<", "</", "<!", "<!--", "<a b='", "<a b=", "<li>", "<ol start=999999999><li>", "&#xD800;", "<script></scr", "<div hidden", "<q><q>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		wording.FormOf(raw)
		x, err := wording.FromHTML(raw)
		if err != nil {
			return
		}
		if !utf8.ValidString(x.String()) && utf8.Valid(raw) || len(x.String()) > 4*len(raw)+10 {
			t.Errorf("%q", x.String())
		}
	})
}

// FuzzLint looks any text over: nothing panics, and what is clean is UTF-8 in lines.
func FuzzLint(f *testing.F) {
	seeds(f, func(text []byte) { f.Add(text) })
	f.Fuzz(func(t *testing.T, raw []byte) {
		remarks := wording.Lint(raw)
		if len(remarks) == 0 && (!utf8.Valid(raw) || raw[len(raw)-1] != '\n' || strings.ContainsAny(string(raw), "\r\t\u200b\u202e\ufeff\u00a0")) {
			t.Errorf("%q is clean", raw)
		}
		if len(remarks) > 21*20 {
			t.Errorf("%d remarks", len(remarks))
		}
	})
}
