package entry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
)

func TestRejectSignatures(t *testing.T) {
	r := example(t)
	register := string(r.entries[1].Bytes()) // by ledger.example, north.example twice; 15 lines of text
	_, block, _ := strings.Cut(register, "\n\n")
	lines := strings.SplitAfter(strings.TrimSuffix(block, "\n"), "\n")
	lines[2] += "\n"
	id := base64.StdEncoding.EncodeToString([]byte{1, 2, 3, 4})
	for _, c := range []struct {
		name     string
		old, new string
		line     int
		problem  string
	}{
		{"none", "\n\n" + block, "\n", 16, problemNoEmptyLine},
		{"none after the empty line", "\n\n" + block, "\n\n", 17, problemMissingSignature},
		{"no empty line", "\n\n" + lines[0], "\n" + lines[0], 16, problemEmptyLine},
		{"two empty lines", "\n\n" + lines[0], "\n\n\n" + lines[0], 17, problemMissingSignature},
		{"empty line between", lines[1], "\n" + lines[1], 18, problemMissingSignature},
		{"empty line at the end", lines[2], lines[2] + "\n", 20, problemAfterEntry},
		{"one missing at the end", lines[2], "", 19, problemMissingSignature},
		{"one missing in front", lines[0], "", 17, problemSignatureName},
		{"one too many", lines[2], lines[2] + lines[2], 20, problemAfterEntry},
		{"one of a stranger", lines[2], lines[2] + "— east.example " + id + "AAAA\n", 20, problemAfterEntry},
		{"text after them", lines[2], lines[2] + "date 2024-06-04\n", 20, problemAfterEntry},
		{"order", lines[0] + lines[1], lines[1] + lines[0], 17, problemSignatureName},
		{"wrong name", "— ledger.example ", "— ledger2.example ", 17, problemSignatureName},
		{"name in capitals", "— ledger.example ", "— Ledger.example ", 17, problemSignatureName},
		{"no name", "— ledger.example ", "— ", 17, problemSignatureLine},
		{"hyphen", "— ledger.example ", "- ledger.example ", 17, problemSignatureLine},
		{"no space after the dash", "— ledger.example ", "—ledger.example ", 17, problemSignatureLine},
		{"word after it", lines[0], strings.TrimSuffix(lines[0], "\n") + " x\n", 17, problemBase64},
		{"no padding", lines[0], strings.Replace(lines[0], "=\n", "\n", 1), 17, problemBase64},
		{"too much padding", lines[0], strings.Replace(lines[0], "=\n", "==\n", 1), 17, problemBase64},
		{"bits left over", lines[0], "— ledger.example AAAAAAB=\n", 17, problemBase64},
		{"base64url", lines[0], "— ledger.example AAAA__--\n", 17, problemBase64},
		{"key ID alone", lines[0], "— ledger.example " + id + "\n", 17, problemSignatureSize},
		{"three bytes", lines[0], "— ledger.example AAAA\n", 17, problemSignatureSize},
		{"trailing space", lines[0], strings.TrimSuffix(lines[0], "\n") + " \n", 17, problemTrailingSpace},
		{"CRLF", lines[0], strings.TrimSuffix(lines[0], "\n") + "\r\n", 17, problemCR},
		{"not UTF-8", "— ledger.example ", "\xe2\x80 ledger.example ", 17, problemUTF8},
		{"no final LF", lines[2], strings.TrimSuffix(lines[2], "\n"), 19, problemFinalLF},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := edit(t, register, c.old, c.new)
			_, err := Parse([]byte(changed))
			wantError(t, "Parse", err, c.line, c.problem)
			if c.problem == problemAfterEntry {
				c.problem = problemAfterLeaf
				if c.name == "empty line at the end" {
					c.line++
				}
			}
			_, err = ParseLeaf([]byte(leafStart + changed))
			wantError(t, "ParseLeaf", err, c.line+3, c.problem)
		})
	}
	if _, err := Parse([]byte(edit(t, register, lines[0], "— ledger.example AAAAAAA=\n"))); err != nil {
		t.Errorf("signature of one byte: %v", err)
	}
}

func TestRejectLeaf(t *testing.T) {
	leaf := string(example(t).leaf.Bytes()) // 15 lines
	for _, c := range []struct {
		name     string
		old, new string
		line     int
		problem  string
	}{
		{"nothing", leaf, "", 1, missing(leafHeader)},
		{"entry", "undersigned/leaf/v1\nadmitted 2024-06-11T09:30:00.123Z\n\n", "", 1, problemLeafHeader},
		{"other first line", "undersigned/leaf/v1", "undersigned/leaf", 1, problemLeafHeader},
		{"BOM", "undersigned/leaf/v1", "\ufeffundersigned/leaf/v1", 1, problemBOM},
		{"other version", "undersigned/leaf/v1", "undersigned/leaf/v2", -1, unknownLeaf},
		{"no time", "admitted 2024-06-11T09:30:00.123Z\n", "", 2, noEmptyLine(formAdmitted)},
		{"time twice", "admitted 2024-06-11T09:30:00.123Z\n", "admitted 2024-06-11T09:30:00.123Z\nadmitted 2024-06-11T09:30:00.123Z\n", 3, problemEmptyLine},
		{"time without milliseconds", "00.123Z", "00Z", 2, problemTime},
		{"time at 24:00", "T09:30", "T24:00", 2, problemTime},
		{"time on 31 June", "2024-06-11T", "2024-06-31T", 2, problemTime},
		{"no empty line", "123Z\n\n", "123Z\n", 3, problemEmptyLine},
		{"two empty lines", "123Z\n\n", "123Z\n\n\n", 4, problemHeader},
		{"leaf in it", "123Z\n\n", "123Z\n\n" + leafStart, 4, problemLeafInside},
		{"cut after the time", leaf[strings.Index(leaf, "\n\n")+1:], "", 3, problemNoEmptyLine},
		{"cut after the empty line", leaf[strings.Index(leaf, "\n\n")+2:], "", 4, missing(formHeader)},
		{"cut before the signatures", leaf[strings.LastIndex(leaf, "\n\n")+1:], "", 14, problemNoEmptyLine},
		{"no final LF", leaf[len(leaf)-2:], "g", 15, problemFinalLF},
		{"roll without fields", leaf[len(leafStart):], "undersigned/roll/v1\nledger ledger.example/tccm\n", 6, missing(formStatement)},
		{"evidence about a member", leaf[len(leafStart):], "undersigned/evidence/v1\nledger ledger.example/tccm\nabout member north.example\ntype key\n\r", -1, unknownEvidence},
		{"bytes of a kind to come", leaf[len(leafStart):], "undersigned/image/v1\n\r\xff\x00", -1, unknownKind},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseLeaf([]byte(edit(t, leaf, c.old, c.new)))
			wantError(t, "ParseLeaf", err, c.line, c.problem)
		})
	}
	for _, c := range []struct {
		name, more string
		line       int
		problem    string
	}{
		{"empty line", "\n", 17, problemAfterLeaf},
		{"two empty lines", "\n\n", 17, problemEvidence},
		{"line without an empty one", "dnssec AAAA\n", 16, problemAfterLeaf},
		{"chain", "\ndnssec AAAA\n", 17, problemNoChain},
		{"other evidence", "\nhttps AAAA\n", -1, unknownAttachment},
		{"evidence of a type to come", "\nrfc3161 AAAA\r\xff", 17, problemFinalLF},
		{"evidence without data", "\ndnssec\n", 17, problemEvidence},
		{"evidence in capitals", "\nDNSSEC AAAA\n", 17, problemEvidence},
		{"evidence with a bad line", "\ndnssec AAAA\r\n", 17, problemCR},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseLeaf([]byte(leaf + c.more))
			wantError(t, "ParseLeaf", err, c.line, c.problem)
		})
	}
}

func TestSizes(t *testing.T) {
	if MaxEntry != 65480 || len(leafStart) != MaxLeaf-MaxEntry {
		t.Errorf("MaxEntry is %d", MaxEntry)
	}
	// A signature of any length fills an entry up to the last byte.
	fill := func(n int) []byte {
		head := base(t, 14) + "\n— south.example "
		n -= len(head) + len("\n")
		raw := n / 4 * 3
		encoded := base64.StdEncoding.EncodeToString(make([]byte, raw))
		// Lengths of base64 are multiples of four: pad the ledger's path.
		head = strings.Replace(head, "ledger.example/tccm", "ledger.example/tccm"+strings.Repeat("m", n-len(encoded)), 1)
		return []byte(head + encoded + "\n")
	}
	full := fill(MaxEntry)
	if len(full) != MaxEntry {
		t.Fatalf("%d bytes", len(full))
	}
	if e, err := Parse(full); err != nil || !bytes.Equal(e.Bytes(), full) {
		t.Errorf("entry of MaxEntry bytes: %v", err)
	}
	if _, _, err := ParseDraft(full); err != nil {
		t.Errorf("draft of MaxEntry bytes: %v", err)
	}
	leaf := append([]byte(leafStart), full...)
	if l, err := ParseLeaf(leaf); err != nil || !bytes.Equal(l.Bytes(), leaf) {
		t.Errorf("leaf of MaxLeaf bytes: %v", err)
	}
	over := fill(MaxEntry + 1)
	_, err := Parse(over)
	wantError(t, "Parse", err, 0, problemEntrySize)
	_, _, err = ParseDraft(over)
	wantError(t, "ParseDraft", err, 0, problemEntrySize)
	_, err = ParseText(over)
	wantError(t, "ParseText", err, 0, problemEntrySize)
	_, err = ParseLeaf(append([]byte(leafStart), over...))
	wantError(t, "ParseLeaf", err, 0, problemLeafSize)
	_, err = Parse(nil)
	wantError(t, "Parse", err, 1, missing(formHeader))
	_, err = ParseText(nil)
	wantError(t, "ParseText", err, 1, missing(formHeader))
	_, err = ParseLeaf(bytes.Repeat([]byte("\n"), MaxLeaf))
	wantError(t, "ParseLeaf", err, 1, problemLeafHeader)
}

// Every proper prefix of an entry or leaf is refused, and so is every change of
// a byte that does not read as another entry, which then prints as it was read.
func TestTruncatedAndFlipped(t *testing.T) {
	r := example(t)
	for i, e := range r.entries {
		whole := e.Bytes()
		for n := range whole {
			if _, err := Parse(whole[:n]); err == nil {
				t.Errorf("entry %d: the first %d bytes are accepted", i, n)
			}
		}
		for n := range whole {
			for _, bit := range []byte{0x01, 0x20, 0x80} {
				changed := bytes.Clone(whole)
				changed[n] ^= bit
				if read, err := Parse(changed); err == nil && !bytes.Equal(read.Bytes(), changed) {
					t.Errorf("entry %d: changed at %d, it prints as something else", i, n)
				}
			}
		}
	}
	leaf := r.leaf.Bytes()
	for n := range leaf {
		if _, err := ParseLeaf(leaf[:n]); err == nil {
			t.Errorf("leaf: the first %d bytes are accepted", n)
		}
	}
}

// Whatever is put in, problems are this package's own words.
func TestErrorsRepeatNothing(t *testing.T) {
	const mark = "ZQX"
	r := example(t)
	for i, e := range r.entries {
		lines := strings.SplitAfter(string(e.Bytes()), "\n")
		for n, line := range lines {
			name, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			for _, bad := range []string{mark, name + " " + mark, name + " " + mark + " " + mark, strings.TrimSuffix(line, "\n") + mark, "undersigned/" + mark + "/v1"} {
				changed := strings.Join(lines[:n], "") + bad + "\n" + strings.Join(lines[n+1:], "")
				if _, err := Parse([]byte(changed)); err != nil && strings.Contains(err.Error(), mark) {
					t.Errorf("entry %d, line %d: %v", i, n+1, err)
				}
				if _, err := ParseLeaf([]byte(leafStart + changed)); err != nil && strings.Contains(err.Error(), mark) {
					t.Errorf("leaf %d, line %d: %v", i, n+4, err)
				}
			}
		}
	}
}

func TestErrorSentences(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&SyntaxError{7, problemDate}, "line 7: " + problemDate},
		{&SyntaxError{0, problemLeafSize}, problemLeafSize},
		{&UnknownError{unknownEvidence}, "this version does not know evidence of this type"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// The last defence of the round trip, which no input is known to reach.
func TestIdentical(t *testing.T) {
	for _, c := range []struct {
		name, printed, read string
		line                int
	}{
		{"same", "a\nb\n", "a\nb\n", 0},
		{"first line", "a\nb\n", "A\nb\n", 4},
		{"second line", "a\nb\n", "a\nB\n", 5},
		{"shorter", "a\nb\n", "a\nb\nc\n", 6},
		{"longer", "a\nb\nc\n", "a\nb\n", 6},
	} {
		p := new(parser)
		p.identical([]byte(c.printed), c.read, 4)
		if c.line == 0 {
			if p.err != nil {
				t.Errorf("%s: %v", c.name, p.err)
			}
			continue
		}
		wantError(t, c.name, p.err, c.line, problemOneForm)
	}
}

func TestParsedFields(t *testing.T) {
	r := example(t)
	for i, e := range r.entries {
		parse := Parse
		if e.Body.Kind().ByLog() {
			parse = ParseText
			_, err := Parse(e.Bytes())
			wantError(t, "Parse", err, 1, problemMade)
			_, _, err = ParseDraft(e.Bytes())
			wantError(t, "ParseDraft", err, 1, problemMade)
		}
		read, err := parse(e.Bytes())
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		if !reflect.DeepEqual(read, e) {
			t.Errorf("entry %d reads as\n%+v\nwant\n%+v", i, read, e)
		}
	}
	l, err := ParseLeaf(r.leaf.Bytes())
	if err != nil || !reflect.DeepEqual(l, r.leaf) {
		t.Errorf("the leaf reads as %+v (%v)", l, err)
	}
	for _, e := range r.entries[15:] {
		leaf := &Leaf{Admitted: r.leaf.Admitted, Entry: e}
		l, err := ParseLeaf(leaf.Bytes())
		if err != nil || !reflect.DeepEqual(l, leaf) {
			t.Errorf("the leaf of a %s reads as %+v (%v)", e.Body.Kind(), l, err)
		}
		for _, more := range []string{"\n", "— north.example AAAAAAA=\n", "\n— north.example AAAAAAA=\n", "\ndnssec AAAA\n", "signer north.example\n"} {
			_, err := ParseLeaf(append(leaf.Bytes(), more...))
			wantError(t, "ParseLeaf", err, 3+1+strings.Count(string(e.Text()), "\n"), problemAfterMade)
		}
		signed := *e
		signed.Signer, signed.Date, signed.Keys = "north.example", "2024-06-11", r.entries[1].Keys
		if err := signed.Check(); err == nil {
			t.Errorf("a signed %s passes", e.Body.Kind())
		}
		previous := *e
		previous.Previous = new(Hash)
		if err := previous.Check(); err == nil {
			t.Errorf("a %s with a previous entry passes", e.Body.Kind())
		}
	}
}

// A chain stands after the entries that it can be about, on one line, in a leaf and in what is submitted.
func TestChain(t *testing.T) {
	r := example(t)
	for i, e := range r.entries {
		if e.byLog() {
			continue
		}
		takes := slices.Contains([]int{1, 2, 5, 8, 9}, i)
		if e.TakesChain() != takes {
			t.Errorf("entry %d: TakesChain is %v", i, !takes)
		}
		for _, n := range []int{0, 1, 2, 3, 3000, MaxEvidence, MaxEvidence + 1} {
			leaf := &Leaf{Admitted: r.leaf.Admitted, Entry: e}
			if n > 0 {
				leaf.Chain = bytes.Repeat([]byte{0xfb}, n)
			}
			ok := n == 0 || takes && n <= MaxEvidence
			l, err := ParseLeaf(leaf.Bytes())
			if ok != (err == nil) || ok && !reflect.DeepEqual(l, leaf) {
				t.Errorf("entry %d with a chain of %d bytes: %v", i, n, err)
			}
			sub := Submission(e, leaf.Chain)
			if !bytes.HasSuffix(leaf.Bytes(), sub) || len(leaf.Bytes()) != len(leafStart)+len(sub) {
				t.Errorf("entry %d with a chain of %d bytes: it is not submitted as it is logged", i, n)
			}
			read, text, chain, err := ParseSubmission(sub)
			if ok != (err == nil) || ok && (!reflect.DeepEqual(read, e) || !bytes.Equal(text, e.Text()) || !bytes.Equal(chain, leaf.Chain)) {
				t.Errorf("entry %d, submitted with a chain of %d bytes: %v", i, n, err)
			}
		}
	}
	whole := string(Submission(r.entries[9], []byte("abc")))
	lines := strings.Count(whole, "\n")
	for _, c := range []struct {
		name, old, new string
		line           int
		problem        string
	}{
		{"two", "dnssec YWJj\n", "dnssec YWJj\ndnssec YWJj\n", lines + 1, problemAfterChain},
		{"an empty line after it", "dnssec YWJj\n", "dnssec YWJj\n\n", lines + 1, problemAfterChain},
		{"bits left over", "dnssec YWJj\n", "dnssec YWK=\ndnssec", lines, problemBase64},
		{"no padding", "dnssec YWJj", "dnssec YWI", lines, problemBase64},
		{"base64url", "dnssec YWJj", "dnssec _-_-", lines, problemBase64},
		{"no data", "dnssec YWJj", "dnssec", lines, problemEvidence},
		{"another type", "dnssec YWJj", "https YWJj", -1, unknownAttachment},
		{"no empty line", "\ndnssec YWJj", "dnssec YWJj", lines - 1, problemAfterLeaf},
		{"no line", "dnssec YWJj\n", "", lines, problemAfterLeaf},
		{"in the text", "signer north.example\n", "dnssec YWJj\nsigner north.example\n", 8, misplaced(formSigner)},
	} {
		_, _, _, err := ParseSubmission([]byte(edit(t, whole, c.old, c.new)))
		t.Run(c.name, func(t *testing.T) { wantError(t, "ParseSubmission", err, c.line, c.problem) })
	}
	for _, body := range []Body{
		&Evidence{Type: DNSSEC, Member: "north.example", Data: []byte("a chain")},
		&Evidence{Type: RFC3161, Size: 3, Data: []byte("a token")},
	} {
		e := &Entry{Ledger: exampleOrigin, Body: body}
		if read, err := ParseText(e.Text()); err != nil || !reflect.DeepEqual(read, e) {
			t.Errorf("evidence reads as %+v (%v)", read, err)
		}
		if _, _, _, err := ParseSubmission(e.Text()); err == nil {
			t.Error("evidence can be submitted")
		}
	}
	for _, body := range []Body{
		&Evidence{Type: DNSSEC, Member: "north.example", Size: 3, Data: []byte("a chain")},
		&Evidence{Type: DNSSEC, Size: 3, Data: []byte("a chain")},
		&Evidence{Type: RFC3161, Member: "north.example", Data: []byte("a token")},
		&Evidence{Type: DNSSEC, Member: "north", Data: []byte("a chain")},
	} {
		if err := (&Entry{Ledger: exampleOrigin, Body: body}).Check(); err == nil {
			t.Errorf("%+v passes", body)
		}
	}
}

// Evidence of any length is cut into lines in one way.
func TestEvidenceLines(t *testing.T) {
	for _, n := range []int{1, 47, 48, 49, 96, 97, MaxEvidence - 1, MaxEvidence} {
		e := &Entry{Ledger: exampleOrigin, Body: &Evidence{Type: RFC3161, Size: 1, Data: bytes.Repeat([]byte{7}, n)}}
		if err := e.Check(); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, n := range []int{0, MaxEvidence + 1} {
		e := &Entry{Ledger: exampleOrigin, Body: &Evidence{Type: RFC3161, Size: 1, Data: bytes.Repeat([]byte{7}, n)}}
		if err := e.Check(); err == nil {
			t.Errorf("%d bytes pass", n)
		}
	}
}

// What is parsed does not change with the buffer that it was read from.
func TestParseKeepsNothing(t *testing.T) {
	want := example(t).leaf.Bytes()
	buffer := bytes.Clone(want)
	l, err := ParseLeaf(buffer)
	if err != nil {
		t.Fatal(err)
	}
	clear(buffer)
	if got := l.Bytes(); !bytes.Equal(got, want) {
		t.Errorf("the leaf changed to\n%s", got)
	}
}

func TestParseDraft(t *testing.T) {
	r := example(t)
	register := r.entries[1]
	text, note := string(register.Text()), string(register.Bytes())
	block := strings.TrimPrefix(note, text+"\n")
	lines := strings.SplitAfter(strings.TrimSuffix(block, "\n"), "\n")
	lines[2] += "\n"

	for _, c := range []struct {
		name  string
		draft string
		want  []int // of register.Signatures
	}{
		{"text", text, nil},
		{"one signature", text + "\n" + lines[2], []int{2}},
		{"another order", text + "\n" + lines[2] + lines[0] + lines[1], []int{2, 0, 1}},
		{"one twice", text + "\n" + lines[0] + lines[0], []int{0, 0}},
		{"all", note, []int{0, 1, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, loose, err := ParseDraft([]byte(c.draft))
			if err != nil {
				t.Fatal(err)
			}
			if string(e.Bytes()) != text || len(loose) != len(c.want) {
				t.Fatalf("%d signatures and\n%s", len(loose), e.Bytes())
			}
			for i, n := range c.want {
				if !reflect.DeepEqual(loose[i], register.Signatures[n]) {
					t.Errorf("signature %d is %+v", i, loose[i])
				}
			}
		})
	}

	for _, c := range []struct {
		name    string
		draft   string
		line    int
		problem string
	}{
		{"empty line alone", text + "\n", 17, problemMissingSignature},
		{"no empty line", text + lines[0], 16, problemEmptyLine},
		{"stranger", text + "\n— east.example AAAAAAA=\n", 17, problemSignatureOwner},
		{"bad line", text + "\n" + lines[0] + "- north.example AAAAAAA=\n", 18, problemSignatureLine},
		{"empty line after", note + "\n", 20, problemMissingSignature},
		{"41 signatures", text + "\n" + strings.Repeat("— north.example AAAAAAA=\n", 41), 57, problemAfterEntry},
		{"cut", strings.TrimSuffix(note, "\n"), 19, problemFinalLF},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := ParseDraft([]byte(c.draft))
			wantError(t, "ParseDraft", err, c.line, c.problem)
		})
	}
}

func TestAddSignature(t *testing.T) {
	want := example(t).entries[1]
	e, _, err := ParseDraft(want.Text())
	if err != nil {
		t.Fatal(err)
	}
	named := e.Named()
	if got := e.Missing(); !reflect.DeepEqual(got, named) {
		t.Errorf("missing are %v", got)
	}
	for _, i := range []int{2, 0, 1} {
		s := want.Signatures[i]
		if err := e.AddSignature(named[i].Ref, s.KeyID, s.Sig); err != nil {
			t.Fatal(err)
		}
		_, loose, err := ParseDraft(e.Bytes())
		if err != nil || len(loose) != len(named)-len(e.Missing()) {
			t.Errorf("after signature %d: %d signatures (%v)", i, len(loose), err)
		}
		if _, err := Parse(e.Bytes()); (err == nil) != (len(e.Missing()) == 0) {
			t.Errorf("after signature %d: %v", i, err)
		}
	}
	if !bytes.Equal(e.Bytes(), want.Bytes()) {
		t.Errorf("signed, it is\n%s", e.Bytes())
	}
	if err := e.AddSignature(named[0].Ref, 7, []byte{1}); err != nil || e.Signatures[0].KeyID != 7 || len(e.Signatures) != 3 {
		t.Errorf("replacing: %v, %+v", err, e.Signatures)
	}
	if err := e.AddSignature(named[0].Ref, 7, nil); err == nil {
		t.Error("an empty signature is taken")
	}
	if err := e.AddSignature(keys.Ref{}, 7, []byte{1}); err == nil {
		t.Error("a signature by a key that is not named is taken")
	}

	// A key that is named as a voucher's and as the signer's signs in both places.
	m := e.Body.(*Membership)
	m.Vouchers = append(m.Vouchers, Named{"south.example", e.Keys[0]})
	e.Signatures = nil
	for id := range uint32(2) {
		if err := e.AddSignature(e.Keys[0], id, []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	if got := e.Signatures; len(got) != 4 || got[1].Name != "south.example" || got[1].KeyID != 0 || got[2].Name != "north.example" || got[2].KeyID != 1 {
		t.Errorf("signatures are %+v", got)
	}
}

func TestCheck(t *testing.T) {
	r := example(t)
	for i, e := range r.entries {
		if err := e.Check(); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	somebody := r.entries[0].ID()
	ref := r.north1.ref()
	for _, c := range []struct {
		name    string
		index   int
		change  func(e *Entry)
		line    int
		problem string
	}{
		{"no body", 4, func(e *Entry) { e.Body = nil }, 0, "the entry has no body"},
		{"line break in a title", 3, func(e *Entry) {
			e.Body.(*Statement).Title = "A\nlanguage en"
			e.Body.(*Statement).Language = ""
		}, 0, "a field holds a line break"},
		{"line break in a domain", 4, func(e *Entry) { e.Signer = "a.example\nkey ed25519 " + zeroHash }, 0, "a field holds a line break"},
		{"entry 0 with a previous entry", 0, func(e *Entry) { e.Previous = &somebody }, 0, "entry 0 names no previous entry"},
		{"entry 0 of another kind", 4, func(e *Entry) { e.Genesis = true }, 3, misplaced(formPrevious)},
		{"no key", 4, func(e *Entry) { e.Keys = nil }, 9, misplaced(formKey)},
		{"key of another suite", 4, func(e *Entry) { e.Keys[0].Suite = "ed448" }, 9, problemSuite},
		{"no date", 4, func(e *Entry) { e.Date = "" }, 10, problemTrailingSpace},
		{"empty publisher", 0, func(e *Entry) { e.Body.(*Charter).Publishers = []string{""} }, 7, problemTrailingSpace},
		{"negative vouched", 0, func(e *Entry) { e.Body.(*Charter).Admission.Vouched = -1 }, 9, problemVouched},
		{"closing with a title", 11, func(e *Entry) { e.Body.(*Statement).Title = "A" }, 6, misplaced(formSigner)},
		{"negative size", 3, func(e *Entry) { e.Body.(*Statement).Size = -1 }, 9, problemSize},
		{"closes at a microsecond", 12, func(e *Entry) { e.Body.(*Statement).Closes = time.Unix(1, 1000) }, 6, problemTime},
		{"closes in year 10000", 12, func(e *Entry) { e.Body.(*Statement).Closes = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, 6, problemTime},
		{"leaving with a quorum", 14, func(e *Entry) { e.Body.(*Membership).Quorum = 1 }, 6, misplaced(formSigner)},
		{"updating with a public key", 8, func(e *Entry) { e.Body.(*Membership).PublicKeys = []PublicKey{r.south.spki()} }, 8, misplaced(formQuorum)},
		{"empty key", 1, func(e *Entry) { e.Body.(*Membership).PublicKeys[0].SPKI = nil }, 8, problemTrailingSpace},
		{"withdrawing renditions", 10, func(e *Entry) { e.Body.(*Endorsement).Renditions = []RenditionRef{{"de", somebody}} }, 6, misplaced(formAfter)},
		{"after beyond 2^63", 10, func(e *Entry) { e.Body.(*Endorsement).After.Size = 1 << 63 }, 6, problemNumber},
		{"adding what revokes", 5, func(e *Entry) { e.Body.(*KeyEvent).Revokes = &ref }, 7, misplaced(formSigner)},
		{"revoking nothing", 7, func(e *Entry) { e.Body.(*KeyEvent).Revokes = nil }, 6, misplaced(formRevokes)},
		{"suspending with a key", 6, func(e *Entry) { e.Body.(*KeyEvent).PublicKey = r.north2.spkip() }, 6, misplaced(formRevokes)},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := example(t).entries[c.index]
			c.change(e)
			wantError(t, "Check", e.Check(), c.line, c.problem)
		})
	}
	// The instant counts, not the zone it is given in.
	e := r.entries[12]
	e.Body.(*Statement).Closes = e.Body.(*Statement).Closes.In(time.FixedZone("", 3600))
	if err := e.Check(); err != nil || e.ID() != example(t).entries[12].ID() {
		t.Errorf("closes in another zone: %v", err)
	}
}

func TestHash(t *testing.T) {
	h := Sum([]byte("abc"))
	const want = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if h.String() != want {
		t.Errorf("Sum is %v", h)
	}
	if read, err := ParseHash(want); err != nil || read != h {
		t.Errorf("ParseHash is %v, %v", read, err)
	}
	for _, s := range []string{"", "sha256:", want[7:], strings.ToUpper(want), "sha256:" + strings.ToUpper(want[7:]), want + "0", want[:70], want[:70] + "g", "sha512:" + want[7:], " " + want[:70]} {
		if _, err := ParseHash(s); err == nil {
			t.Errorf("ParseHash accepts %q", s)
		}
	}
	b, err := json.Marshal(map[string]Hash{"id": h})
	if err != nil || string(b) != `{"id":"`+want+`"}` {
		t.Errorf("as JSON it is %s (%v)", b, err)
	}
	var read map[string]Hash
	if err := json.Unmarshal(b, &read); err != nil || read["id"] != h {
		t.Errorf("from JSON it is %v (%v)", read, err)
	}
	if json.Unmarshal([]byte(`{"id":"none"}`), &read) == nil {
		t.Error("JSON without a hash is accepted")
	}
}

func TestTime(t *testing.T) {
	at := time.Date(2024, 2, 29, 23, 59, 59, 999_999_999, time.FixedZone("", 3600))
	s := FormatTime(at)
	if s != "2024-02-29T22:59:59.999Z" {
		t.Errorf("FormatTime is %s", s)
	}
	if read, err := ParseTime(s); err != nil || !read.Equal(at.Truncate(time.Millisecond)) || read.Location() != time.UTC {
		t.Errorf("ParseTime is %v, %v", read, err)
	}
	if _, err := ParseTime("2023-02-29T22:59:59.999Z"); err == nil {
		t.Error("ParseTime accepts 29 February 2023")
	}
	// Every day from 1970 to 2400 and none between.
	day := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	for y := 1970; y < 2400; y++ {
		for m := 1; m <= 12; m++ {
			for d := 1; d <= 31; d++ {
				s := time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC).Format("2006-") + two(m) + "-" + two(d)
				_, _, _, ok := parseDate(s)
				if want := s == day.Format(DateFormat); ok != want {
					t.Fatalf("%s: %v", s, ok)
				} else if want {
					day = day.AddDate(0, 0, 1)
				}
			}
		}
	}
}

func two(n int) string { return string([]byte{'0' + byte(n/10), '0' + byte(n%10)}) }

func TestErrorsAreTyped(t *testing.T) {
	_, err := Parse([]byte("undersigned/image/v1\n"))
	var unknown *UnknownError
	var syntax *SyntaxError
	if !errors.As(err, &unknown) || errors.As(err, &syntax) {
		t.Errorf("%T", err)
	}
}
