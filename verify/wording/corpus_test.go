package wording_test

import (
	"bytes"
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"

	"github.com/tccm/undersigned/testdata/tccm"
	"github.com/tccm/undersigned/verify/wording"
)

var update = flag.Bool("update", false, "write the corpus anew")

const corpus = "testdata/corpus"

// An altered copy: how it is made, and what Compare must say of it.
type altered struct {
	name    string // of the file; .html is HTML, .pdf.txt what pdftotext printed, all else plain
	what    string // was done
	verdict wording.Verdict
	counts  string // the classes of differences, in alphabetical order
	make    func(s string) string
	of      string // the endorsed text, if not the statement
}

// once replaces what must be there.
func once(pairs ...string) func(string) string {
	return func(s string) string {
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(s, pairs[i]) {
				panic("the text does not hold " + pairs[i])
			}
			s = strings.Replace(s, pairs[i], pairs[i+1], 1)
		}
		return s
	}
}

func all(old, with string) func(string) string {
	return func(s string) string { return strings.ReplaceAll(s, old, with) }
}

// says makes a text that has nothing of the statement but what it says.
func says(text string) func(string) string { return func(string) string { return text } }

// swap changes the places of two paragraphs.
func swap(i, j int) func(string) string {
	return func(s string) string {
		list := strings.Split(strings.TrimSuffix(s, "\n"), "\n\n")
		list[i], list[j] = list[j], list[i]
		return strings.Join(list, "\n\n") + "\n"
	}
}

// wrap breaks lines at a width.
func wrap(width int) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for _, line := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
			n := 0
			for i, w := range strings.Fields(line) {
				switch {
				case i == 0:
				case n+1+len(w) > width:
					b.WriteByte('\n')
					n = 0
				default:
					b.WriteByte(' ')
					n++
				}
				b.WriteString(w)
				n += len(w)
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
}

// page makes HTML of a text.
func page(head, foot string) func(string) string {
	return func(s string) string {
		s = strings.TrimSuffix(html.EscapeString(s), "\n")
		s = strings.ReplaceAll(s, "—", "&mdash;")
		var b strings.Builder
		b.WriteString("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>The statement</title></head><body>\n" + head)
		for i, p := range strings.Split(s, "\n\n") {
			switch {
			case i == 0:
				b.WriteString("<h1>" + p + "</h1>\n")
			case strings.HasPrefix(p, "- "):
				b.WriteString("<ul>\n<li>" + strings.ReplaceAll(p[2:], "\n- ", "</li>\n<li>") + "</li>\n</ul>\n")
			default:
				b.WriteString("<p>" + p + "</p>\n")
			}
		}
		b.WriteString(foot + "</body></html>\n")
		return b.String()
	}
}

func then(steps ...func(string) string) func(string) string {
	return func(s string) string {
		for _, f := range steps {
			s = f(s)
		}
		return s
	}
}

// printed makes what pdftotext prints of a page: ligatures, hyphens at the ends of lines, bullets, form feeds.
var printed = then(all("ffi", "ﬃ"), all("fi", "ﬁ"), all("fl", "ﬂ"), all("\n- ", "\n• "), wrap(78),
	once("infrastructure and", "infra-\nstructure and", "stakeholder approach", "stake-\nholder approach", "individual nation-based", "individual nation-\nbased", "The technological", "\fThe technological"),
	func(s string) string { return s + "\f" })

func utf16le(s string) string {
	b := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

// altereds is the corpus.
var altereds = []altered{
	// The same words.
	{"same.txt", "nothing", wording.Identical, "", func(s string) string { return s }, ""},
	{"crlf.txt", "each line ends with CR LF", wording.SameWords, "spacing:12", all("\n", "\r\n"), ""},
	{"reflowed.txt", "lines of 72 characters", wording.SameWords, "spacing:35", wrap(72), ""},
	{"one-line.txt", "all in one line", wording.SameWords, "spacing:11", func(s string) string { return strings.Join(strings.Fields(s), " ") + "\n" }, ""},
	{"no-final-newline.txt", "the last line feed is gone", wording.SameWords, "spacing:1", func(s string) string { return strings.TrimSuffix(s, "\n") }, ""},
	{"trailing-spaces.txt", "two spaces at the end of each line", wording.SameWords, "spacing:12", all("\n", "  \n"), ""},
	{"double-spaced.txt", "two spaces after each full stop", wording.SameWords, "spacing:6", all(". ", ".  "), ""},
	{"tabs.txt", "list items are set in with tabs", wording.SameWords, "spacing:3", all("\n- ", "\n\t- "), ""},
	{"no-break-spaces.txt", "no-break spaces before and", wording.SameWords, "spacing:23", all(" and ", "\u00a0and "), ""},
	{"thin-spaces.txt", "one thin space", wording.SameWords, "spacing:1", once("free, global", "free,\u2009global"), ""},
	{"utf-16.txt", "saved as UTF-16", wording.SameWords, "", utf16le, ""},
	{"windows-1252.txt", "saved as Windows-1252", wording.SameWords, "", all("—", "\x97"), ""},

	// Extracted.
	{"page.html", "a page with entities", wording.SameWords, "", page("", ""), ""},
	{"scripts.html", "a page with scripts, styles and comments that hold text", wording.SameWords, "",
		page("<script>document.write('<p>We did not sign.</p>')</script><style>p::before { content: 'not' }</style><!-- <p>not</p> -->", "<noscript>Please switch scripts on.</noscript>"), ""},
	{"hidden.html", "a page with a hidden part", wording.SameWords, "", page("<div hidden><p>None of this is true.</p></div><p style=\"display: none\">Nor this.</p>", ""), ""},
	{"soft-hyphens.html", "a page with soft hyphens", wording.SameWords, "", then(page("", ""), all("multistakeholder", "multi&shy;stake&shy;holder")), ""},
	{"no-break-spaces.html", "a page with &nbsp;", wording.SameWords, "spacing:3", then(page("", ""), all("the Forum", "the&nbsp;Forum"), all("United Nations", "United&#160;Nations"), all("human life", "human&#xa0;life")), ""},
	{"inline-tags.html", "a page with tags inside words and sentences", wording.SameWords, "", then(page("", ""), once("equal footing", "<em>equal</em> foot<b>ing</b>", "the undersigned", "the <a href=\"#list\">undersigned</a>")), ""},
	{"page-around.html", "a page with a menu and a footer", wording.Words, "words:9", page("<nav><ul><li>Home</li><li>About</li></ul></nav>", "<footer>Contact us. Copyright 2024 by the coalition.</footer>"), ""},
	{"hidden-negation.html", "a page that shows a negation which the text does not have", wording.Words, "words:1", then(page("", ""), once("are committed", "are <span hidden>firmly</span> not committed")), ""},
	{"curly.html", "a page with curly apostrophes", wording.Punctuation, "punctuation:5", then(page("", ""), all("&#39;", "&rsquo;")), ""},
	{"printed.pdf.txt", "printed: ligatures, hyphens at line ends, bullets, two pages", wording.SameWords, "spacing:35", printed, ""},
	{"printed-word.pdf.txt", "printed, with one other word", wording.Words, "spacing:35 words:1", then(once("equal footing", "fair footing"), printed), ""},
	{"printed-footer.pdf.txt", "printed, with a page number", wording.Words, "spacing:34 words:1", then(printed, once("\f", "\n1\n\f")), ""},

	// Look-alikes and what cannot be seen.
	{"cyrillic-a.txt", "a Cyrillic а", wording.LookAlike, "look-alike:1", once("technical community: the", "technic\u0430l community: the"), ""},
	{"cyrillic-word.txt", "a word with three Cyrillic letters", wording.LookAlike, "look-alike:1", once("operations would", "\u043eper\u0430ti\u043ens would"), ""},
	{"greek-omicron.txt", "a Greek omicron", wording.LookAlike, "look-alike:1", once("Forum, a", "F\u03bfrum, a"), ""},
	{"latin-l-for-i.txt", "a small l for a capital I", wording.LookAlike, "look-alike:1", once("the Internet touches", "the lnternet touches"), ""},
	{"letter-o-for-zero.txt", "a capital O for a zero", wording.LookAlike, "look-alike:1", once("2024", "2O24"), ""},
	{"full-width.txt", "full-width letters", wording.LookAlike, "look-alike:1", once("(TCCM)", "(ＴＣＣＭ)"), ""},
	{"zero-width.txt", "a zero width space inside a word", wording.LookAlike, "look-alike:1", once("weakened and", "weak\u200bened and"), ""},
	{"zero-width-for-space.txt", "a zero width space in place of a space", wording.LookAlike, "look-alike:2 spacing:1", once("open, free", "open,\u200bfree", "the Forum is", "the\u200bForum is"), ""},
	{"word-joiner.txt", "a word joiner between words", wording.LookAlike, "look-alike:1", once("equal footing", "equal \u2060 footing"), ""},
	{"bom.txt", "a byte order mark", wording.SameWords, "", func(s string) string { return "\uFEFF" + s }, ""},
	{"bidi.txt", "a right-to-left override", wording.LookAlike, "look-alike:1", once("is not renewed", "is \u202enot\u202c renewed"), ""},
	{"soft-hyphen.txt", "soft hyphens in a plain file", wording.LookAlike, "look-alike:7", all("multistakeholder ", "multi\u00adstakeholder "), ""},
	{"braille-blank.txt", "a Braille pattern that is blank", wording.LookAlike, "look-alike:1", once("free, global", "free, \u2800 global"), ""},
	{"nfd.txt", "the translation in normal form D", wording.LookAlike, "look-alike:17", norm.NFD.String, "translation.txt"},
	{"greek-question-mark.txt", "a Greek question mark for a semicolon", wording.Punctuation, "punctuation:1", once("imperfect,", "imperfect\u037e"), ""},

	// Punctuation and capitals.
	{"comma-dropped.txt", "one comma less", wording.Punctuation, "punctuation:1", once("open, free", "open free"), ""},
	{"comma-added.txt", "one comma more", wording.Punctuation, "punctuation:1", once("progress and", "progress, and"), ""},
	{"case.txt", "a capital", wording.Punctuation, "punctuation:1", once("technical community: the", "Technical community: the"), ""},
	{"upper-case.txt", "the title in capitals", wording.Punctuation, "punctuation:5", once("technical community coalition for multistakeholderism (", "TECHNICAL COMMUNITY COALITION FOR MULTISTAKEHOLDERISM ("), ""},
	{"curly.txt", "curly apostrophes", wording.Punctuation, "punctuation:5", all("'", "’"), ""},
	{"hyphens-for-dashes.txt", "hyphens for dashes, without spaces", wording.Punctuation, "punctuation:8", all("—", "-"), ""},
	{"spaced-dashes.txt", "en dashes between spaces for em dashes", wording.Punctuation, "punctuation:8 spacing:16", all("—", " – "), ""},
	{"bullets.txt", "bullets for hyphens in a plain file", wording.Punctuation, "punctuation:3", all("\n- ", "\n• "), ""},

	// Words.
	{"one-word.txt", "one other word", wording.Words, "words:1", once("equal footing", "fair footing"), ""},
	{"negation-dropped.txt", "a not less", wording.Words, "words:1", once("is not renewed", "is renewed"), ""},
	{"negation-undone.txt", "isn't became is", wording.Words, "words:1", once("isn't", "is"), ""},
	{"number.txt", "another year", wording.Words, "words:1", once("2025", "2026"), ""},
	{"doubled.txt", "a word twice", wording.Words, "words:1", once("at the heart", "at the the heart"), ""},
	{"word-dropped.txt", "a word less", wording.Words, "words:1", once("the private sector", "private sector"), ""},
	{"synonyms.txt", "three other words", wording.Words, "words:3", once("imperfect", "flawed", "under threat", "under attack", "weakened and", "harmed and"), ""},
	{"paragraph-dropped.txt", "a paragraph less", wording.Words, "words:30", func(s string) string {
		list := strings.Split(s, "\n\n")
		return strings.Join(slices.Delete(list, 7, 8), "\n\n")
	}, ""},
	{"paragraph-added.txt", "a paragraph more at the end", wording.Words, "words:11", func(s string) string {
		return s + "\nWe call on all governments to sign the treaty this year.\n"
	}, ""},
	{"preface.txt", "a preface", wording.Words, "words:8", func(s string) string { return "For immediate release. Please share with your members.\n\n" + s }, ""},
	{"truncated.txt", "broken off in the middle of a sentence", wording.Words, "words:131", func(s string) string { return s[:strings.Index(s, "enduring space")] + "\n" }, ""},
	{"end-missing.txt", "the last paragraph is missing", wording.Words, "words:27", func(s string) string { return s[:strings.Index(s, "\nAn evolved")] }, ""},
	{"beginning-missing.txt", "the title is missing", wording.Words, "words:7", func(s string) string { return s[strings.Index(s, "We are"):] }, ""},
	{"look-alike-and-word.txt", "one other word, and a Cyrillic letter", wording.Words, "look-alike:1 words:1", once("equal footing", "fair footing", "open, free", "\u043epen, free"), ""},
	{"reordered.txt", "two paragraphs have changed places", wording.Moved, "moved:1", swap(2, 3), ""},
	{"reordered-word.txt", "two paragraphs have changed places, and a word", wording.Words, "moved:1 words:1", then(swap(8, 9), once("under threat", "under attack")), ""},

	// Passages.
	{"quote.txt", "a quoted sentence", wording.Quote, "", says("This approach enables stakeholders to come together on an equal footing to discuss or make decisions about the Internet and to foster its ongoing evolution and expansion.\n"), ""},
	{"quote-part.txt", "a part of a sentence in quotation marks", wording.Quote, "", says("“the multistakeholder approach is under threat”"), ""},
	{"quote-broken.txt", "a quote over two lines", wording.Quote, "spacing:2", says("in the absence of all\nrelevant stakeholders, new concepts that inadvertently\ndestabilize the multistakeholder model may be introduced."), ""},
	{"quote-word.txt", "a quote with two other words", wording.Words, "words:2", says("This approach enables stakeholders to come together on a fair footing to discuss or make decisions about the Internet."), ""},
	{"quote-negated.txt", "a quote with a not more", wording.Words, "words:1", says("the mandate of the annual Internet Governance Forum, not a key and enduring space for multistakeholder dialogue"), ""},
	{"quote-capital.txt", "a quote that begins with a capital", wording.Punctuation, "punctuation:1", says("In the absence of all relevant stakeholders, new concepts that inadvertently destabilize the multistakeholder model may be introduced."), ""},
	{"quote-cyrillic.txt", "a quote with a Cyrillic letter", wording.LookAlike, "look-alike:1", says("the multistakeh\u043elder approach is under threat"), ""},
	{"quote-made-up.txt", "a quote that is in no version", wording.Absent, "", says("We call for a new treaty that puts the root zone under the control of an intergovernmental body."), ""},

	// A text in which more can go wrong.
	{"ligatures.txt", "ligatures in a plain file", wording.LookAlike, "look-alike:8", then(all("ffi", "ﬃ"), all("ff", "ﬀ"), all("fi", "ﬁ")), office},
	{"ligatures.pdf.txt", "the same ligatures, printed from a PDF", wording.SameWords, "", then(all("ffi", "ﬃ"), all("ff", "ﬀ"), all("fi", "ﬁ")), office},
	{"hyphen-kept.pdf.txt", "a hyphen of the text itself at the end of a line", wording.SameWords, "", once("co-operate", "co-\noperate"), office},
	{"modem.txt", "rn became m, which looks alike and is another word", wording.Words, "words:1", once("modern", "modem"), office},
	{"joined.txt", "two words written as one", wording.Words, "words:2", once("Any one", "Anyone"), office},
	{"parted.txt", "a word written as two", wording.Words, "words:2", once("affiliates", "affil iates"), office},
	{"decimal-point.txt", "a decimal point less", wording.Words, "words:1", once("10.5", "105"), office},
	{"thousands.txt", "a comma less in a number", wording.Words, "words:1", once("1,200", "1200"), office},
	{"minus.txt", "a minus sign less", wording.Words, "words:1", once("-5", "5"), office},
	{"currency.txt", "another currency", wording.Words, "words:1", once("$", "€"), office},
	{"hyphen.txt", "a hyphen less in a word", wording.Words, "words:1", once("co-operate", "cooperate"), office},
	{"apostrophe.txt", "an apostrophe less", wording.Words, "words:1", once("it's", "its"), office},
	{"range.txt", "a hyphen for a dash between years", wording.Punctuation, "punctuation:1", once("2023–2024", "2023-2024"), office},
	{"typographic-quotes.txt", "curly quotation marks", wording.Punctuation, "punctuation:3", once("\"We", "“We", ",\" they", ",” they", "it's", "it’s"), office},
	{"japanese.txt", "one other character of a Japanese sentence", wording.Words, "words:1", once("東京", "西京"), office},
	{"question.txt", "a question mark for a full stop", wording.Punctuation, "punctuation:1", once("10.5 days.", "10.5 days?"), office},

	// Something else.
	{"translation.txt", "a translation, held against the statement alone", wording.Absent, "", func(string) string { return read("translation.txt") }, ""},
	{"unrelated.txt", "an unrelated text", wording.Absent, "", says("The quick brown fox jumps over the lazy dog. It was a fine day, and the dog slept on in the shade of the old tree,\nwhile the fox went home to tell of what it had seen: bread, cheese and a farmer who was late for dinner.\n"), ""},
	{"spaces.txt", "spaces and line breaks alone", wording.Absent, "", says(" \n \n"), ""},
	{"marks.txt", "punctuation alone", wording.Absent, "", says("?!\n"), ""},
	{"empty.txt", "nothing", wording.Absent, "", says(""), ""},
}

const office = "office.txt"

func read(name string) string {
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// textOf reads a file of the corpus as the program does.
func textOf(name string, b []byte) *wording.Text {
	switch {
	case strings.HasSuffix(name, ".pdf.txt"):
		return wording.FromPDF([]byte("%PDF-1.7"), b)
	case wording.FormOf(b) == wording.HTML:
		if text, err := wording.FromHTML(b); err == nil {
			return text
		}
	}
	return wording.Plain(b)
}

func counted(r *wording.Result) string {
	var list []string
	for class, n := range r.Counts {
		list = append(list, fmt.Sprintf("%s:%d", class, n))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// TestCorpus holds every file of the corpus to the way it is made, and Compare to what the table says. With -update it writes the files.
func TestCorpus(t *testing.T) {
	if len(altereds) < 40 {
		t.Fatalf("only %d altered copies", len(altereds))
	}
	var table strings.Builder
	table.WriteString("# The altered copies in this directory, and what must be said of each. TestCorpus makes this file.\n# file\tof\tverdict\tdifferences\twhat was done\n")
	names := map[string]bool{"verdicts.tsv": true}
	for _, c := range altereds {
		t.Run(c.name, func(t *testing.T) {
			endorsed := string(tccm.Statement)
			of := "statement.txt"
			if c.of != "" {
				endorsed, of = read(c.of), c.of
			}
			want := []byte(c.make(endorsed))
			path := filepath.Join(corpus, c.name)
			if *update {
				if err := os.WriteFile(path, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("the file is not what the table makes (%v)", err)
			}
			r := wording.Compare(textOf(c.name, got), wording.Plain([]byte(endorsed)))
			if r.Verdict != c.verdict || counted(r) != c.counts {
				t.Errorf("%s, %s; want %s, %s", r.Verdict, counted(r), c.verdict, c.counts)
				for _, h := range r.Hunks[:min(len(r.Hunks), 12)] {
					t.Logf("%s %v/%v -%q +%q [%s|%s] %+v", h.Class, h.At, h.Of, h.Deleted, h.Inserted, h.Before, h.After, h.Characters)
				}
				t.Logf("%s %+v", r.Sentence("the statement"), r.Part)
			}
			fmt.Fprintf(&table, "%s\t%s\t%s\t%s\t%s\n", c.name, of, c.verdict, c.counts, c.what)
			names[c.name] = true
		})
	}
	path := filepath.Join(corpus, "verdicts.tsv")
	if *update {
		if err := os.WriteFile(path, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != table.String() {
		t.Errorf("verdicts.tsv is not the table (%v)", err)
	}
	list, err := os.ReadDir(corpus)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if !names[f.Name()] {
			t.Errorf("%s is in no table", f.Name())
		}
	}
}
