package check_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/testdata/tccm"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
)

const data = "../../testdata/tccm"

func readFile(tb testing.TB, path string) []byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func noon() time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) }

// newChecker trusts the frozen record's log and witnesses.
func newChecker(tb testing.TB) *check.Checker {
	tb.Helper()
	c := check.New(noon)
	if _, err := c.Policy(readFile(tb, data+"/policy.txt")); err != nil {
		tb.Fatal(err)
	}
	return c
}

// replayed has read the frozen record too.
func replayed(tb testing.TB) *check.Checker {
	tb.Helper()
	c := newChecker(tb)
	v, err := c.Record(tb.Context(), check.Source{Archive: readFile(tb, data+"/archive.zip")}, 1000, nil)
	if err != nil || !v.Replayed || v.Code != verify.CodeOK {
		tb.Fatal(err, v)
	}
	return c
}

func ask(tb testing.TB, c *check.Checker, b check.Brought) *check.Answer {
	tb.Helper()
	a, err := c.Check(tb.Context(), b)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// TestKinds brings all kinds of things to a checker who has replayed the record, and to one who has none.
func TestKinds(t *testing.T) {
	with, without := replayed(t), newChecker(t)
	receipt, archive := readFile(t, data+"/apnic.net.tlog-proof"), readFile(t, data+"/archive.zip")
	altered := bytes.Replace(tccm.Statement, []byte("equal footing"), []byte("fair footing"), 1)
	page := []byte("<!DOCTYPE html><title>x</title><p>" + strings.ReplaceAll(string(tccm.Statement), "\n", "<br>") + "</p>")
	mark := func(b []byte) []byte { return append([]byte("\ufeff"), b...) }
	utf16 := func(b []byte, low int) []byte { // of ASCII
		wide := [][]byte{{0xff, 0xfe}, {0xfe, 0xff}}[low]
		for _, c := range b {
			wide = append(wide, 0, 0)
			wide[len(wide)-2+low] = c
		}
		return wide
	}
	returns := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }
	for _, tc := range []struct {
		name     string
		c        *check.Checker
		file     string
		bytes    []byte
		kind     string
		code     int
		sentence string
	}{
		{"the text", with, "x", tccm.Statement, "text", verify.CodeOK, "byte for byte. 16 organizations stand behind it. Look closer at each: no endorsement is a plain yes."},
		{"an altered text", with, "x", altered, "text", verify.CodeOtherText, "16 organizations stand behind that version."},
		{"another text", with, "x", []byte("Something else altogether, of which nobody has heard before in this place."), "text", verify.CodeNotFound, "in no endorsed version"},
		{"the text in a page", with, "x", page, "html", verify.CodeOK, ""},
		{"a quotation", with, "", []byte("on an equal footing"), "quote", verify.CodeOK, "This passage is in the statement"},
		{"a PDF", with, "x", []byte("%PDF-1.7\n"), "pdf", verify.CodeUnchecked, "select and copy its text, and paste that"},
		{"a packed file", with, "x", []byte("PK\x03\x04…"), "unknown", verify.CodeUnchecked, "no archive of a record"},
		{"bytes", with, "x", []byte{0, 1, 2, 0xff}, "unknown", verify.CodeUnchecked, "of a kind that cannot be read here"},
		{"bytes that begin like a page", with, "x", []byte("<!DOCTYPE html>\x00\xff<p>Hello"), "html", verify.CodeUnchecked, "of a kind that cannot be read"},
		{"a page too deep to be read", with, "x", []byte("<!DOCTYPE html><p>Hello" + strings.Repeat("<div>", 300)), "html", verify.CodeUnchecked, "cannot be read, because it cannot be told for sure which of its words a browser shows: open it, select and copy its text"},
		{"a page without words", with, "x", []byte("<!DOCTYPE html><script src=x></script>"), "html", verify.CodeUnchecked, "no words that can be read"},
		{"Windows-1252", with, "x", []byte("Etwas, wor\xfcber niemand etwas gesagt hat.\f\r\n\x1a"), "text", verify.CodeNotFound, "in no endorsed version"},
		{"UTF-16", with, "x", []byte("\xff\xfez\x00z\x00z\x00"), "text", verify.CodeNotFound, "in no endorsed version"},
		{"nothing", with, "", []byte(" \n"), "unknown", verify.CodeUnchecked, "nothing in it"},
		{"a receipt", with, "x", receipt, "receipt", verify.CodeOK, "and the endorsement still stands"},
		{"a receipt, without the record", without, "x", receipt, "receipt", verify.CodeOK, "as far as a receipt alone can show"},
		{"half a receipt", with, "x", receipt[:len(receipt)/2], "receipt", verify.CodeMalformed, "not a receipt as it was issued"},
		{"a receipt with a byte order mark", with, "x", mark(receipt), "receipt", verify.CodeMalformed, "not a receipt as it was issued: malformed receipt: line 1: there is a byte order mark (BOM)"},
		{"a receipt in UTF-16", with, "x", utf16(receipt, 0), "receipt", verify.CodeMalformed, "not a receipt as it was issued: malformed receipt: line 1: it is in UTF-16"},
		{"a receipt in UTF-16, the high byte first", with, "x", utf16(returns(receipt), 1), "receipt", verify.CodeMalformed, "line 1: it is in UTF-16"},
		{"a policy in UTF-16", without, "x", utf16(readFile(t, data+"/policy.txt"), 0), "policy", verify.CodeMalformed, "line 1: it is in UTF-16"},
		{"a receipt in the lines of Windows", with, "x", returns(receipt), "receipt", verify.CodeMalformed, "there is a carriage return (CR), which an editor or a mail program added: save the file with LF line ends, or get it again"},
		{"a receipt that was pasted with both", with, "", mark(returns(receipt)), "receipt", verify.CodeMalformed, "or get it again"},
		{"a policy with a byte order mark", without, "x", mark(readFile(t, data+"/policy.txt")), "policy", verify.CodeMalformed, "line 1: there is a byte order mark (BOM)"},
		{"a policy in the lines of Windows", without, "x", returns(readFile(t, data+"/policy.txt")), "policy", verify.CodeMalformed, "line 1: lines must end in LF alone"},
		{"a byte order mark", with, "x", []byte("\ufeff"), "unknown", verify.CodeUnchecked, "nothing in it"},
		{"a policy", without, "x", readFile(t, data+"/policy.txt"), "policy", verify.CodeOK, "at least 2 of 3 witnesses"},
		{"half a policy", without, "x", readFile(t, data+"/policy.txt")[:300], "policy", verify.CodeMalformed, "cannot be used"},
		{"a domain", with, "", []byte("apnic.net"), "organization", verify.CodeOK, "and the endorsement still stands"},
		{"an address", with, "", []byte("https://www.apnic.net/x"), "organization", verify.CodeOK, "and the endorsement still stands"},
		{"a name", with, "", []byte("denic eg"), "organization", verify.CodeOK, "DENIC eG"},
		{"part of a name", with, "", []byte("Blackn"), "organization", verify.CodeOK, "Blacknight"},
		{"part of many names", with, "", []byte("internet"), "organization", verify.CodeUnchecked, "choose one"},
		{"somebody else", with, "", []byte("example.org"), "organization", verify.CodeNotFound, "No endorsement by example.org"},
		{"who withdrew", with, "", []byte("guest.undersigned.example"), "organization", verify.CodeWithdrawn, "Withdrawn."},
		{"a name, without the record", without, "", []byte("apnic.net"), "organization", verify.CodeUnchecked, "There is no copy of the record"},
		{"a text, without the record", without, "x", tccm.Statement, "text", verify.CodeUnchecked, "There is no copy of the record"},
		{"an archive", newChecker(t), "x", archive, "archive", verify.CodeOK, "re-checked all 41 entries"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := ask(t, tc.c, check.Brought{Name: tc.file, Bytes: tc.bytes})
			if a.Kind != tc.kind || a.Code != tc.code || !strings.Contains(a.Sentence, tc.sentence) {
				t.Errorf("%s, code %d, %q; want %s, code %d, %q", a.Kind, a.Code, a.Sentence, tc.kind, tc.code, tc.sentence)
			}
			if a.Text == nil || *a.Text != entry.Sum(tc.bytes) {
				t.Error("the fingerprint of what was brought is not told")
			}
			switch a.Kind {
			case "text", "html", "quote", "receipt", "organization", "pdf":
				if len(a.Answers) != 4 && a.Candidates == nil && a.Code != verify.CodeMalformed {
					t.Errorf("%d answers", len(a.Answers))
				}
			}
			for _, q := range a.Answers {
				if q.Text == "" || q.State == "" || q.Reasons == nil {
					t.Errorf("%+v", q)
				}
			}
		})
	}
}

// TestEarlierWords: of an organization all is told that it said, not its last word on each statement alone.
func TestEarlierWords(t *testing.T) {
	c := replayed(t)
	told := 0
	for _, domain := range []string{"guest.undersigned.example", "apnic.net"} {
		for _, e := range ask(t, c, check.Brought{Bytes: []byte(domain)}).Organization.Endorsements {
			if e.Earlier == nil {
				t.Errorf("%s: nil, which is no list in JSON", domain)
			}
			for i, w := range e.Earlier {
				told++
				if w.Index >= e.Index || w.ID == e.ID || len(w.Keys) == 0 || w.Action == e.Action && i == len(e.Earlier)-1 {
					t.Errorf("%s: %+v before %+v", domain, w, e)
				}
			}
		}
	}
	if told != 1 {
		t.Errorf("%d earlier entries, want the guest's endorsement alone", told)
	}
}

// TestAnswersOfTexts looks at the states of the answers about texts. The frozen record's members vouch for each other alone, and no domain publishes keys: who signed is "look closer".
func TestAnswersOfTexts(t *testing.T) {
	c := replayed(t)
	altered := bytes.Replace(tccm.Statement, []byte("equal footing"), []byte("fair footing"), 1)
	for _, tc := range []struct {
		name  string
		text  []byte
		wants [4]verify.AnswerState
	}{
		{"the text", tccm.Statement, [4]verify.AnswerState{verify.LookCloser, verify.Confirmed, verify.Confirmed, verify.Confirmed}},
		{"in other lines", []byte(strings.ReplaceAll(string(tccm.Statement), "\n\n", "\n\n\n")), [4]verify.AnswerState{verify.LookCloser, verify.LookCloser, verify.Confirmed, verify.Confirmed}},
		{"altered", altered, [4]verify.AnswerState{verify.LookCloser, verify.No, verify.LookCloser, verify.LookCloser}},
		{"another", []byte("Something else altogether, of which nobody has heard before in this place."), [4]verify.AnswerState{verify.No, verify.No, verify.CouldNotCheck, verify.CouldNotCheck}},
	} {
		a := ask(t, c, check.Brought{Name: "x", Bytes: tc.text})
		for i, want := range tc.wants {
			if a.Answers[i].State != want {
				t.Errorf("%s: %s is answered %s (%s), want %s", tc.name, a.Answers[i].Question, a.Answers[i].State, a.Answers[i].Text, want)
			}
		}
	}
}

// TestJSON holds what is printed to encoding/json.
func TestJSON(t *testing.T) {
	c := replayed(t)
	domain, statement := "apnic.net", entry.Sum(tccm.Statement)
	values := []any{}
	for _, b := range []check.Brought{{Name: "x", Bytes: tccm.Statement}, {Bytes: []byte("on a fair footing")}, {Bytes: []byte(domain)}, {Name: "x", Bytes: readFile(t, data+"/apnic.net.tlog-proof")}, {Name: "x", Bytes: readFile(t, data+"/policy.txt")}} {
		values = append(values, ask(t, c, b))
	}
	list, err := c.Roll(t.Context(), statement, "2024-07-20", 0)
	if err != nil {
		t.Fatal(err)
	}
	record, err := c.Record(t.Context(), check.Source{Archive: readFile(t, data+"/archive.zip")}, 1000, nil)
	if err != nil {
		t.Fatal(err)
	}
	values = append(values, list, record, &check.Answer{Sentence: "\x00\x1f\u2028\u2029\xff\"\\\b\f\n\r\t<é𝛼>", Raw: strings.Repeat("\u007f", 3)}, &check.RecordView{})
	for _, v := range values {
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		if got := check.AppendJSON(nil, reflect.ValueOf(v)); string(got)+"\n" != want.String() {
			t.Errorf("%T: %s, want %s", v, got, want.String())
		}
	}
}

// TestBeside: what is judged beside a record that was replayed before is judged as beside one that is replayed for it.
func TestBeside(t *testing.T) {
	p, err := verify.ParsePolicy(readFile(t, data+"/policy.txt"))
	if err != nil {
		t.Fatal(err)
	}
	archive := readFile(t, data+"/archive.zip")
	open := func(b []byte) *verify.Archive {
		a, err := verify.OpenArchive(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := open(archive)
	ctx := t.Context()
	before, err := verify.AuditArchive(ctx, p, a, verify.AuditOptions{})
	if err != nil {
		t.Fatal(err)
	}
	damaged, err := verify.Audit(ctx, p, func(ctx context.Context, path string) ([]byte, error) {
		if strings.HasPrefix(path, "checkpoints/") {
			return nil, fs.ErrNotExist
		}
		return a.Fetch(ctx, path)
	}, verify.AuditOptions{})
	if err != nil || damaged.OK {
		t.Fatal(err, damaged)
	}
	for _, i := range []uint64{0, 20, 36, 39} { // the charter, an endorsement, a sealed list, a withdrawal
		receipt, err := check.MakeReceipt(ctx, before, a.Fetch, i)
		if err != nil {
			t.Fatal(err)
		}
		o := verify.AuditOptions{Receipts: []*verify.Receipt{receipt}, Paths: a.Paths()}
		want, err := verify.AuditArchive(ctx, p, a, o)
		if err != nil {
			t.Fatal(err)
		}
		for name, from := range map[string]*verify.Report{"one that holds": before, "one that does not": damaged} {
			got, err := from.Beside(ctx, p, a.Fetch, o)
			if err != nil {
				t.Fatal(err)
			}
			x, y := verify.Judge(verify.Input{Policy: p, Receipt: receipt, Record: want, Now: noon()}), verify.Judge(verify.Input{Policy: p, Receipt: receipt, Record: got, Now: noon()})
			if !reflect.DeepEqual(x, y) {
				t.Errorf("entry %d, beside %s: %+v, want %+v", i, name, y, x)
			}
		}
	}
	// A source that answers otherwise the second time is found out.
	receipt, err := check.MakeReceipt(ctx, before, a.Fetch, 20)
	if err != nil {
		t.Fatal(err)
	}
	got, err := before.Beside(ctx, p, func(ctx context.Context, path string) ([]byte, error) {
		b, err := a.Fetch(ctx, path)
		if strings.HasPrefix(path, "tile/") {
			b = slices.Clone(b)
			b[0] ^= 1
		}
		return b, err
	}, verify.AuditOptions{Receipts: []*verify.Receipt{receipt}})
	if err != nil || got.OK || got.Code != verify.CodeContradiction || !before.OK {
		t.Errorf("%v %+v", err, got)
	}
}

// TestRoll compares lists with the record as it was then, folded again.
func TestRoll(t *testing.T) {
	c := replayed(t)
	p, err := verify.ParsePolicy(readFile(t, data+"/policy.txt"))
	if err != nil {
		t.Fatal(err)
	}
	b := readFile(t, data+"/archive.zip")
	a, err := verify.OpenArchive(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.AuditArchive(t.Context(), p, a, verify.AuditOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h := entry.Sum(tccm.Statement)
	for _, asOf := range []string{"2024-06-07", "2024-06-11", "2024-07-18", "2024-07-18T15:04:04Z", "2024-08-09", "2025-01-01"} {
		m, err := verify.ParseMoment(asOf)
		if err != nil {
			t.Fatal(err)
		}
		then, err := r.AsOf(t.Context(), p, a.Fetch, verify.AsOfOptions{At: m, Statement: h})
		if err != nil {
			t.Fatal(err)
		}
		var items, gone []string
		for _, s := range then.State.Signatories(h) {
			line := fmt.Sprintf("%s %s %d %s %s", s.Domain, s.Name, s.Index, s.ID, s.Date)
			if s.Stands() {
				items = append(items, line)
			} else {
				gone = append(gone, line)
			}
		}
		list := func(items []check.RollItem) (lines []string) {
			for _, i := range items {
				lines = append(lines, fmt.Sprintf("%s %s %d %s %s", i.Domain, i.Name, i.Index, i.ID, i.Date))
			}
			return lines
		}
		for name, got := range map[string]func() (*check.RollView, error){
			"at the moment": func() (*check.RollView, error) { return c.Roll(t.Context(), h, asOf, 0) },
			"of the size":   func() (*check.RollView, error) { return c.Roll(t.Context(), h, "", then.State.Size()) },
			"of both":       func() (*check.RollView, error) { return c.Roll(t.Context(), h, asOf, then.State.Size()) },
		} {
			v, err := got()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(list(v.Items), items) || !slices.Equal(list(v.Gone), gone) || v.Count != len(items) || v.Withdrawn != len(gone) {
				t.Errorf("%s, %s: %q and %q, want %q and %q", asOf, name, list(v.Items), list(v.Gone), items, gone)
			}
		}
	}
}

// TestNotReplayed: of a record that is too large to be replayed, nothing is told that takes a replay.
func TestNotReplayed(t *testing.T) {
	c := newChecker(t)
	v, err := c.Record(t.Context(), check.Source{Archive: readFile(t, data+"/archive.zip")}, 40, nil)
	if err != nil || v.Replayed || v.Code != verify.CodeOK || v.Sentence != "Your browser checked the signatures on the newest copy of the record, which 3 witnesses saw by 10 August 2024, 00:00:00 UTC, and not all 41 entries, which are more than it re-checks. What this server lists is its word; a receipt is checked by its proofs." || v.Size != 41 || v.Entries != 0 {
		t.Fatalf("%v %+v", err, v)
	}
	for _, b := range []check.Brought{{Name: "x", Bytes: tccm.Statement}, {Bytes: []byte("apnic.net")}} {
		if a := ask(t, c, b); a.Code != verify.CodeUnchecked || !strings.Contains(a.Sentence, "41 entries, more than are re-checked here") {
			t.Errorf("%d %s", a.Code, a.Sentence)
		}
	}
	// What the reader can do something about is told first.
	if a := ask(t, c, check.Brought{Name: "x", Bytes: []byte("%PDF-1.7\n")}); a.Kind != "pdf" || !strings.Contains(a.Sentence, "select and copy its text") || !strings.Contains(a.Answers[0].Reasons[0], "41 entries, more than") {
		t.Errorf("%s %+v", a.Sentence, a.Answers)
	}
	if a := ask(t, c, check.Brought{Name: "x", Bytes: readFile(t, data+"/apnic.net.tlog-proof")}); a.Code != verify.CodeOK || a.Verdict.Replayed {
		t.Errorf("%d %s", a.Code, a.Sentence)
	}
	if _, err := c.Roll(t.Context(), entry.Sum(tccm.Statement), "", 0); check.CodeOf(err) != verify.CodeUnchecked {
		t.Error(err)
	}
}

// TestFingerprint types fingerprints and links to a checker who has replayed the record.
func TestFingerprint(t *testing.T) {
	c := newChecker(t)
	const base = "https://ledger.example/"
	if v, err := c.Record(t.Context(), check.Source{Archive: readFile(t, data+"/archive.zip"), Base: base}, 1000, nil); err != nil || !v.Replayed {
		t.Fatal(err, v)
	}
	bare := strings.TrimPrefix(entry.Sum(tccm.Statement).String(), "sha256:")
	none := strings.Repeat("0", 64)
	const found = "This is the fingerprint of the statement “A technical community coalition for multistakeholderism (TCCM)” (English). 16 organizations stand behind it. Look closer at each: no endorsement is a plain yes."
	a, err := c.Check(t.Context(), check.Brought{Bytes: []byte("apnic.net")})
	if err != nil {
		t.Fatal(err)
	}
	links := map[string]string{
		"a permalink":                  "That is as of now. The link is to the list of the first 30 entries: 10 organizations stood behind it then.",
		"a permalink as of a day":      "That is as of now. The link is to the list as of 1 June 2024, 23:59:59 UTC: nobody stood behind it then.",
		"a permalink of a larger copy": "That is as of now. The link is to a list of the first 4,711 entries, and this copy of the record has 41 entries.",
	}
	for _, tc := range []struct {
		name     string
		typed    string
		kind     string
		code     int
		sentence string
	}{
		{"bare", bare, "fingerprint", verify.CodeOK, found},
		{"with its hash function, and spaces", " sha256:" + bare + "\n", "fingerprint", verify.CodeOK, found},
		{"in capitals", "SHA256:" + strings.ToUpper(bare), "fingerprint", verify.CodeOK, found},
		{"as sha256sum prints it", bare + "  statement.txt", "fingerprint", verify.CodeOK, found},
		{"a permalink", base + "statement/" + bare + "?size=30#signatories", "fingerprint", verify.CodeOK, found},
		{"as sha256sum prints it of a name with spaces", bare + " *my statement.txt", "fingerprint", verify.CodeOK, found},
		{"two of them", bare + "  " + none, "text", verify.CodeNotFound, "in no endorsed version"},
		{"a link with two of them", base + "statement/" + bare + "/" + none, "organization", verify.CodeNotFound, "No endorsement by ledger.example"},
		{"a permalink as of a day", base + "statement/" + bare + "?as-of=2024-06-01", "fingerprint", verify.CodeOK, found},
		{"a permalink of this copy", base + "statement/" + bare + "?size=41&as-of=2100-01-01", "fingerprint", verify.CodeOK, found},
		{"a permalink of a larger copy", base + "statement/" + bare + "?size=4711", "fingerprint", verify.CodeOK, found},
		{"a permalink of another address with a size", "http://copy.example/x/statement/" + bare + "?size=30&as-of=2024-06-01", "fingerprint", verify.CodeOK, found},
		{"a permalink of another address", "http://copy.example/x/statement/" + bare, "fingerprint", verify.CodeOK, found},
		{"a text's address", base + "blobs/sha256/" + bare, "fingerprint", verify.CodeOK, found},
		{"of no text", none, "fingerprint", verify.CodeNotFound, "demo.undersigned.example/tccm has no text with the fingerprint sha256:" + none + ", among 1 text up to "},
		{"of an entry", a.Verdict.ID.String(), "receipt", verify.CodeOK, "Asia Pacific Network Information Centre (APNIC), apnic.net, endorsed"},
		{"an entry's link", fmt.Sprintf("%sentry/%d", base, *a.Verdict.Index), "receipt", verify.CodeOK, "Asia Pacific Network Information Centre (APNIC), apnic.net, endorsed"},
		{"an entry's page to take away", fmt.Sprintf("%sentry/%d/page.html", base, *a.Verdict.Index), "receipt", verify.CodeOK, "apnic.net, endorsed"},
		{"an entry's link with the server in capitals", fmt.Sprintf("HTTPS://Ledger.EXAMPLE/entry/%d", *a.Verdict.Index), "receipt", verify.CodeOK, "apnic.net, endorsed"},
		{"a membership's link", base + "entry/1", "organization", verify.CodeOK, "apnic.net, endorsed"},
		{"a statement's link", base + "entry/19", "fingerprint", verify.CodeOK, found},
		{"the charter's link", base + "entry/0", "receipt", verify.CodeNotFound, "This receipt is for a charter entry by"},
		{"a link to no entry", base + "entry/4711", "receipt", verify.CodeNotFound, "there is none with index 4711"},
		{"an organization's link", base + "organization/denic.de", "organization", verify.CodeOK, "DENIC eG, denic.de, endorsed"},
		{"an organization's link elsewhere", "https://other.example/organization/denic.de", "organization", verify.CodeNotFound, "No endorsement by other.example"},
		{"the ledger's address", base, "organization", verify.CodeNotFound, "No endorsement by ledger.example"},
		{"in a sentence", "The fingerprint is " + bare, "text", verify.CodeNotFound, "in no endorsed version"},
		{"too short", bare[:63], "text", verify.CodeNotFound, "in no endorsed version"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := ask(t, c, check.Brought{Bytes: []byte(tc.typed)})
			if a.Kind != tc.kind || a.Code != tc.code || !strings.Contains(a.Sentence, tc.sentence) || len(a.Answers) != 4 {
				t.Fatalf("%s, code %d, %q, %d answers", a.Kind, a.Code, a.Sentence, len(a.Answers))
			}
			if want := map[string]string{"a membership's link": "entry 1, a membership entry,", "a statement's link": "entry 19, a statement entry,"}[tc.name]; !strings.Contains(strings.Join(a.How, "\n"), want) {
				t.Errorf("%q does not tell of %q", a.How, want)
			}
			if a.Code == verify.CodeOK && a.Kind == "fingerprint" {
				if len(a.Comparison.Versions) != 1 || len(a.Comparison.Versions[0].Endorsers) != 16 || a.Answers[1].State != verify.Confirmed {
					t.Errorf("%+v", a.Comparison)
				}
				var then string
				if reasons := a.Answers[3].Reasons; strings.HasPrefix(reasons[len(reasons)-1], "That is as of now.") {
					then = reasons[len(reasons)-1]
				}
				if want := links[tc.name]; then != want {
					t.Errorf("%q, want %q", then, want)
				}
			}
		})
	}
	// A file is never taken for what is in it.
	if a := ask(t, c, check.Brought{Name: "fingerprint.txt", Bytes: []byte(bare)}); a.Kind != "text" {
		t.Error(a.Kind)
	}
	// Whoever keeps the ledger may name it in capitals.
	if v, err := c.Record(t.Context(), check.Source{Archive: readFile(t, data+"/archive.zip"), Base: "https://Ledger.EXAMPLE/"}, 1000, nil); err != nil || !v.Replayed {
		t.Fatal(err, v)
	}
	for _, address := range []string{"https://Ledger.EXAMPLE/", "https://ledger.example/"} {
		if a := ask(t, c, check.Brought{Bytes: []byte(address + "organization/denic.de")}); !strings.Contains(a.Sentence, "denic.de, endorsed") {
			t.Errorf("%s: %s", address, a.Sentence)
		}
	}
	membership, _, err := c.Receipt(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	// A record that was not replayed has a receipt from its server.
	archive, err := verify.OpenArchive(bytes.NewReader(readFile(t, data+"/archive.zip")), int64(len(readFile(t, data+"/archive.zip"))))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Record(t.Context(), check.Source{Base: base, Fetch: func(ctx context.Context, path string) ([]byte, error) {
		switch path {
		case "api/v1/receipt/20", "api/v1/receipt/27":
			return readFile(t, data+"/apnic.net.tlog-proof"), nil
		case "api/v1/receipt/1":
			return membership, nil
		case "api/v1/receipt/28":
			return nil, fs.ErrNotExist
		}
		return archive.Fetch(ctx, path)
	}}, 40, nil); err != nil || v.Code != verify.CodeOK || v.Replayed {
		t.Fatal(err, v)
	}
	for typed, sentence := range map[string]string{"entry/20": "as far as a receipt alone can show", "entry/27": "the server sent the receipt of something else than entry 27", "entry/28": "the server has no receipt of an entry 28", "statement/" + bare: "41 entries, more than"} {
		if a := ask(t, c, check.Brought{Bytes: []byte(base + typed)}); !strings.Contains(strings.ToLower(a.Sentence), strings.ToLower(sentence)) {
			t.Errorf("%s: %s", typed, a.Sentence)
		}
	}
	// That a membership is no endorsement says nothing about whether its organization endorsed.
	if a := ask(t, c, check.Brought{Bytes: []byte(base + "entry/1")}); a.Kind != "organization" || a.Code != verify.CodeUnchecked || a.Answers[0].State != verify.CouldNotCheck {
		t.Errorf("%s, code %d, %q", a.Kind, a.Code, a.Sentence)
	}
}

// TestQuote: a sentence to quote stands alone.
func TestQuote(t *testing.T) {
	c := replayed(t)
	receipt := readFile(t, data+"/apnic.net.tlog-proof")
	membership, _, err := c.Receipt(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	const title = "“A technical community coalition for multistakeholderism (TCCM)”"
	altered := entry.Sum([]byte("another text")).String()
	for _, tc := range []struct {
		name, quote string
		brought     check.Brought
	}{
		{"a receipt with another text", "“another text” is not the one that Asia Pacific Network Information Centre (APNIC), apnic.net, endorsed on 11 June 2024.", check.Brought{Name: "x", Bytes: receipt, About: []byte("another text")}},
		{"a receipt alone", "As far as a receipt alone can show: Asia Pacific Network Information Centre (APNIC), apnic.net, endorsed ", check.Brought{Name: "x", Bytes: receipt}},
		{"a receipt of a membership", "A receipt of the record is for a membership entry by apnic.net, not for an endorsement.", check.Brought{Name: "x", Bytes: membership}},
		{"a passage", "The passage “This transformative technology” is in the statement " + title, check.Brought{Bytes: []byte("This\n transformative technology")}},
		{"a passage that reads like an answer", "A text with the fingerprint " + entry.Sum([]byte("Undersigned” is in the statement “Mine” (English). 900 organizations stand behind it. “This")).String() + " is in no endorsed version", check.Brought{Bytes: []byte("Undersigned” is in the statement “Mine” (English). 900 organizations stand behind it. “This")}},
		{"a passage that turns around what follows", "A text with the fingerprint " + entry.Sum([]byte("Nobody \u202ewrote this.")).String() + " is in no endorsed version", check.Brought{Bytes: []byte("Nobody \u202ewrote this.")}},
		{"a passage with an apostrophe and accents", "“Nobody’s é café, 一” is in no endorsed version", check.Brought{Bytes: []byte("Nobody’s é café, 一")}},
		{"a passage that nobody wrote", "“Nobody wrote this.” is in no endorsed version, among 1 text of 1 statement", check.Brought{Bytes: []byte("Nobody wrote this.")}},
		{"a file that nobody wrote", "A text with the fingerprint " + altered + " is in no endorsed version,", check.Brought{Name: "x", Bytes: []byte("another text")}},
		{"the text", "A text with the fingerprint " + entry.Sum(tccm.Statement).String() + " is the statement " + title + " (English), byte for byte. 16 organizations", check.Brought{Name: "x", Bytes: tccm.Statement}},
		{"a fingerprint", entry.Sum(tccm.Statement).String() + " is the fingerprint of the statement " + title, check.Brought{Bytes: []byte(entry.Sum(tccm.Statement).String())}},
		{"a receipt with its text", "Asia Pacific Network Information Centre (APNIC), apnic.net, endorsed " + title + " on 11 June 2024, and the endorsement still stands.", check.Brought{Name: "x", Bytes: receipt, About: tccm.Statement}},
		{"who withdrew", "Example Guest (made up for this demonstration), guest.undersigned.example, withdrew its endorsement of " + title + " on 9 August 2024.", check.Brought{Bytes: []byte("guest.undersigned.example")}},
		{"who never signed", "No endorsement by example.org is among ", check.Brought{Bytes: []byte("example.org")}},
	} {
		by := c
		if tc.name == "a receipt alone" {
			by = newChecker(t)
		}
		a := ask(t, by, tc.brought)
		if !strings.HasPrefix(a.Quote, tc.quote) {
			t.Errorf("%s: %q", tc.name, a.Quote)
		}
		// Of a demonstration it says so itself: it is copied without what stands around it.
		if !strings.HasSuffix(a.Quote, ". "+verify.DemoNotice(a.Origin)) {
			t.Errorf("%s: %q does not end with the notice", tc.name, a.Quote)
		}
	}
	if a := ask(t, c, check.Brought{Name: "x", Bytes: readFile(t, data+"/policy.txt")}); a.Quote != "" {
		t.Error(a.Quote)
	}
}

// TestWhenWithdrawn: the time is the withdrawal's, and says so.
func TestWhenWithdrawn(t *testing.T) {
	if a := ask(t, replayed(t), check.Brought{Bytes: []byte("guest.undersigned.example")}); !strings.HasPrefix(a.Answers[2].Text, "The withdrawal ") {
		t.Error(a.Answers[2].Text)
	}
}

// TestNumbers: numbers as people read them.
func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 1000: "1,000 bytes", 1023: "1,023 bytes", 1024: "1 KiB", 1500: "1,500 bytes", 16 << 20: "16 MiB", 1<<20 + 1: "1,048,577 bytes", 1 << 30: "1 GiB", 3 << 29: "1536 MiB"} {
		if got := check.Bytes(n); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12005: "12,005", 1234567: "1,234,567", -100: "-100", -1000: "-1,000"} {
		if got := check.Number(n); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestOffline: a source that cannot be reached is no contradiction.
func TestOffline(t *testing.T) {
	c := newChecker(t)
	v, err := c.Record(t.Context(), check.Source{Fetch: func(context.Context, string) ([]byte, error) { return nil, fs.ErrPermission }}, 1000, nil)
	if err != nil || v.Code != verify.CodeUnchecked || v.Replayed || len(v.Problems) != 1 {
		t.Fatalf("%v %+v", err, v)
	}
}

// TestOtherTextBesideReceipt: what differs is shown beside the verdict, from the record or from texts that were given.
func TestOtherTextBesideReceipt(t *testing.T) {
	altered := bytes.Replace(tccm.Statement, []byte("equal footing"), []byte("fair footing"), 1)
	given := newChecker(t)
	if _, err := given.Text(tccm.Statement); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*check.Checker{"record": replayed(t), "texts": given} {
		a := ask(t, c, check.Brought{Name: "x", Bytes: readFile(t, data+"/apnic.net.tlog-proof"), About: altered})
		if a.Code != verify.CodeOtherText || a.Comparison == nil || len(a.Comparison.Differences) != 1 || a.Comparison.Differences[0].Inserted != "fair" {
			t.Errorf("%s: %d %s %+v", name, a.Code, a.Sentence, a.Comparison)
		}
		if a := ask(t, c, check.Brought{Name: "x", Bytes: readFile(t, data+"/apnic.net.tlog-proof"), About: tccm.Statement}); a.Code != verify.CodeOK || a.Comparison != nil {
			t.Errorf("%s: %d %s", name, a.Code, a.Sentence)
		}
	}
}

// TestTextsBounded: of too many texts the oldest are forgotten.
func TestTextsBounded(t *testing.T) {
	c := newChecker(t)
	for i := range 70 {
		if _, err := c.Text(fmt.Appendf(nil, "text %d\n", i)); err != nil {
			t.Fatal(err)
		}
	}
	a := ask(t, c, check.Brought{Name: "x", Bytes: []byte("text 69\n")})
	if len(a.Comparison.Versions) != 64 || a.Comparison.Verdict != "identical" {
		t.Errorf("%d %s", len(a.Comparison.Versions), a.Comparison.Verdict)
	}
	if _, err := c.Text(make([]byte, verify.MaxBlob+1)); err == nil {
		t.Error("a text without end was taken")
	}
}

// FuzzCheck: whatever is brought is answered.
func FuzzCheck(f *testing.F) {
	for _, path := range []string{data + "/policy.txt", data + "/apnic.net.tlog-proof", data + "/statement.txt"} {
		f.Add(readFile(f, path), "")
		f.Add(readFile(f, path), "x")
	}
	corpus, err := filepath.Glob("../wording/testdata/corpus/*.html")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range corpus {
		f.Add(readFile(f, path), "x")
	}
	for _, s := range []string{"apnic.net", "APNIC", "undersigned/contradiction/v1\n", "PK\x03\x04", "%PDF-1", "log a+b\n", "\xff\xfea\x00"} {
		f.Add([]byte(s), "")
	}
	c := replayed(f)
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		a := ask(t, c, check.Brought{Name: name, Bytes: b})
		if a.Sentence == "" || a.Kind == "" {
			t.Fatalf("%+v", a)
		}
		if !json.Valid(check.AppendJSON(nil, reflect.ValueOf(a))) {
			t.Fatal("the answer is no JSON")
		}
	})
}

// TestUnwitnessed: of a record that too few witnesses signed nothing is told; what its server shows is held against it.
func TestUnwitnessed(t *testing.T) {
	c := newChecker(t)
	packed := readFile(t, data+"/archive.zip")
	archive, err := verify.OpenArchive(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.Record(t.Context(), check.Source{Fetch: func(ctx context.Context, path string) ([]byte, error) {
		b, err := archive.Fetch(ctx, path)
		if path == "checkpoint" {
			b = b[:bytes.LastIndex(b, []byte("\n— "))+1]
			for bytes.Count(b, []byte("\n— ")) > 1 {
				b = b[:bytes.LastIndex(b, []byte("\n— "))+1]
			}
		}
		return b, err
	}}, 1000, nil)
	if err != nil || !v.Replayed || v.Code != verify.CodeQuorum {
		t.Fatal(err, v)
	}
	h := entry.Sum(tccm.Statement)
	want, err := replayed(t).Roll(t.Context(), h, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Roll(t.Context(), h, "", 0); check.CodeOf(err) != verify.CodeQuorum {
		t.Error(err)
	}
	got, err := c.Unwitnessed(t.Context(), h, "", 0)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %+v, want %+v", err, got, want)
	}
	r, err := c.Do(t.Context(), check.Request{Do: "unwitnessed-roll", Statement: h.String()}, nil, nil)
	if err != nil || !bytes.Contains(r.JSON, []byte(`"count":16`)) {
		t.Errorf("%v, %s", err, r.JSON)
	}
}
