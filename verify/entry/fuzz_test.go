package entry

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// seeds are the examples of the documentation: whole entries and a leaf.
func seeds(f *testing.F, add func(example []byte)) {
	for _, example := range docExamples(f) {
		add(example)
	}
}

// typed fails unless an error is one of the two that parsers return.
func typed(t *testing.T, err error) {
	t.Helper()
	var syntax *SyntaxError
	var unknown *UnknownError
	if !errors.As(err, &syntax) && !errors.As(err, &unknown) {
		t.Errorf("error of type %T: %v", err, err)
	}
}

func FuzzParse(f *testing.F) {
	seeds(f, func(example []byte) { f.Add(example) })
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b)
		if err != nil {
			typed(t, err)
			if _, _, err := ParseDraft(b); err != nil {
				typed(t, err)
			}
			return
		}
		if !bytes.Equal(e.Bytes(), b) {
			t.Errorf("prints as %q", e.Bytes())
		}
		if len(e.Missing()) != 0 {
			t.Errorf("missing %v", e.Missing())
		}
		if err := e.Check(); err != nil {
			t.Errorf("Check: %v", err)
		}
		draft, loose, err := ParseDraft(b)
		if err != nil || len(loose) != len(e.Signatures) || draft.ID() != e.ID() {
			t.Errorf("as a draft it has %d signatures (%v)", len(loose), err)
		}
		// Nothing is known of the keys here, but a note it must be.
		_, err = note.Open(b, note.VerifierList())
		var unverified *note.UnverifiedNoteError
		if !errors.As(err, &unverified) || unverified.Note.Text != string(e.Text()) {
			t.Errorf("not a signed note: %v", err)
		}
		if l, err := ParseLeaf(append([]byte(leafStart), b...)); err != nil || l.Entry.ID() != e.ID() {
			t.Errorf("not in a leaf: %v", err)
		}
	})
}

func FuzzParseText(f *testing.F) {
	seeds(f, func(example []byte) {
		text, _, _ := bytes.Cut(example, []byte("\n\n"))
		f.Add(append(bytes.Clone(text), '\n'))
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseText(b)
		if err != nil {
			typed(t, err)
			return
		}
		if !bytes.Equal(e.Text(), b) || !bytes.Equal(e.Bytes(), b) {
			t.Errorf("prints as %q", e.Bytes())
		}
		if e.ID() != Sum(b) {
			t.Error("the ID is another")
		}
		if err := e.Check(); err != nil {
			t.Errorf("Check: %v", err)
		}
	})
}

func FuzzParseLeaf(f *testing.F) {
	seeds(f, func(example []byte) {
		if !bytes.HasPrefix(example, []byte(leafHeader)) {
			example = append([]byte(leafStart), example...)
		}
		f.Add(example)
		f.Add(append(bytes.Clone(example), "\ndnssec YWJj\n"...))
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLeaf(b)
		if err != nil {
			typed(t, err)
			return
		}
		if !bytes.Equal(l.Bytes(), b) {
			t.Errorf("prints as %q", l.Bytes())
		}
		parse := Parse
		if l.Entry.Body.Kind().ByLog() {
			parse = ParseText
		}
		if rest := b[len(leafStart):]; !l.Entry.byLog() {
			if e, text, chain, err := ParseSubmission(rest); err != nil || !bytes.Equal(text, l.Entry.Text()) || e.ID() != l.Entry.ID() || !bytes.Equal(chain, l.Chain) || !bytes.Equal(Submission(e, chain), rest) {
				t.Errorf("as it was submitted: %v", err)
			}
		} else if _, _, _, err := ParseSubmission(rest); err == nil {
			t.Error("what the log makes can be submitted")
		}
		if e, err := parse(l.Entry.Bytes()); err != nil || e.ID() != l.Entry.ID() {
			t.Errorf("the entry alone: %v", err)
		}
	})
}
