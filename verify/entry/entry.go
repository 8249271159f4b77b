package entry

import (
	"bytes"
	"errors"

	"github.com/tccm/undersigned/keys"
)

// An Entry is what organizations, publishers and the operator sign, or, of a
// Kind that is ByLog, what the log says itself: then Ledger and Body alone are
// set. Parse and
// ParseText return entries that obey every rule of the package documentation
// and share no memory with their input; one that is put together in code is
// held to the rules by Check. An Entry that nobody changes may be read by many
// goroutines.
type Entry struct {
	Ledger   string // origin of the one ledger that it is meant for (keys.CheckOrigin)
	Genesis  bool   // entry 0, a charter without a previous line
	Previous *Hash  // ID of the last admitted entry on the same subject; nil: "previous none", Genesis, or by the log
	Body     Body
	Signer   string     // domain on whose behalf the key lines sign
	Keys     []keys.Ref // keys that sign for Signer, 1 to MaxKeys, none twice
	Date     string     // the signer's claim, YYYY-MM-DD, a real date from 1970 on

	// Signatures are in the order of Named and, but in a draft, as many. A
	// Signature without Sig is one that is still missing.
	Signatures []Signature
}

// A Signature is one signature line of a C2SP signed note. Parsing compares its
// name with the text; key ID and signature are the fold's to check, which knows
// the key.
type Signature struct {
	Name  string // domain of the key's owner
	KeyID uint32 // keys.PublicKey.NoteKeyID(Name)
	Sig   []byte // over Text, in the form of the key's suite; at least one byte
}

// Named returns who must sign, in the order of the signature lines: voucher
// lines as they stand in the text, then key lines, which sign as Signer.
func (e *Entry) Named() []Named {
	vouchers := e.Body.vouchers()
	named := make([]Named, 0, len(vouchers)+len(e.Keys))
	named = append(named, vouchers...)
	for _, ref := range e.Keys {
		named = append(named, Named{e.Signer, ref})
	}
	return named
}

// Text returns the bytes that are signed, from the first line to the LF after
// the date. The caller owns them.
func (e *Entry) Text() []byte {
	var p printer
	p.b = make([]byte, 0, 1024)
	p.text(e)
	return p.b
}

// Bytes returns the entry as a signed note: Text, an empty line and the
// signature lines. What has not been signed at all is its Text alone. The
// caller owns the result.
func (e *Entry) Bytes() []byte {
	var p printer
	p.b = make([]byte, 0, 1024+256*len(e.Signatures))
	p.note(e)
	return p.b
}

// ID returns the entry's identity, SHA-256 of Text. Signatures are not part of
// it: another valid signature for the same text makes no other entry.
func (e *Entry) ID() Hash {
	p := printers.Get().(*printer)
	defer printers.Put(p)
	p.b = p.b[:0]
	p.text(e)
	return Sum(p.b)
}

// Check reports whether a parser would read from Text what e says. It is meant
// for entries put together in code, and does not look at Signatures. The error
// is a *SyntaxError whose line counts in Text, or an *UnknownError.
func (e *Entry) Check() error {
	if e.Body == nil {
		return &SyntaxError{Problem: "the entry has no body"}
	}
	var p printer
	p.text(e)
	read, err := ParseText(p.b)
	if err != nil {
		return err
	}
	// Every other field is printed whenever it is set, on a line of its own that
	// no other field can be read from.
	if read.Genesis != e.Genesis {
		return &SyntaxError{Problem: "entry 0 names no previous entry"}
	}
	if bytes.Count(p.b, []byte{'\n'}) != p.lines {
		return &SyntaxError{Problem: "a field holds a line break"}
	}
	return nil
}

// AddSignature puts a signature made with the key ref over Text in its place:
// the first that Named gives this key and that has none yet, or the first of
// all. The name is that of the place; keyID is keys.PublicKey.NoteKeyID of it.
// It does not verify. The entry keeps sig.
func (e *Entry) AddSignature(ref keys.Ref, keyID uint32, sig []byte) error {
	if len(sig) == 0 {
		return errors.New("the signature is empty")
	}
	named := e.Named()
	at := -1
	for i, n := range named {
		if n.Ref == ref && (at < 0 || e.signed(at) && !e.signed(i)) {
			at = i
		}
	}
	if at < 0 {
		return errors.New("the entry does not name this key, so it cannot sign it")
	}
	for len(e.Signatures) < len(named) {
		e.Signatures = append(e.Signatures, Signature{Name: named[len(e.Signatures)].Domain})
	}
	e.Signatures[at] = Signature{named[at].Domain, keyID, sig}
	return nil
}

// Missing returns those of Named that have not signed yet: none if Bytes is a
// whole entry.
func (e *Entry) Missing() []Named {
	var missing []Named
	for i, n := range e.Named() {
		if !e.signed(i) {
			missing = append(missing, n)
		}
	}
	return missing
}

func (e *Entry) signed(i int) bool {
	return i < len(e.Signatures) && len(e.Signatures[i].Sig) > 0
}
