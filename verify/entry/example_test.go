package entry_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// An organization builds an endorsement, signs it, and reads it back.
func Example() {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)) // an example: keys are random
	key, err := keys.NewPublicKey(keys.Ed25519, private.Public())
	if err != nil {
		panic(err)
	}

	e := &entry.Entry{
		Ledger: "ledger.example/tccm",
		Body: &entry.Endorsement{
			Action:    entry.Endorse,
			Statement: entry.Sum([]byte("We stand by this.\n")),
			After:     entry.After{Size: 57, Note: entry.Sum([]byte("a published note\n"))},
		},
		Signer: "north.example",
		Keys:   []keys.Ref{key.Ref()},
		Date:   "2024-06-11",
	}
	if err := e.Check(); err != nil {
		panic(err)
	}
	fmt.Print(string(e.Text()))

	err = e.AddSignature(key.Ref(), key.NoteKeyID("north.example"), ed25519.Sign(private, e.Text()))
	if err != nil {
		panic(err)
	}
	read, err := entry.Parse(e.Bytes())
	if err != nil {
		panic(err)
	}
	fmt.Println()
	fmt.Println(read.Body.Kind(), "of", read.Signer, "is", read.ID())
	// Output:
	// undersigned/endorsement/v1
	// ledger ledger.example/tccm
	// previous none
	// action endorse
	// statement sha256:0e2c1ba8ff6963f41850b504a0f0e547d9a0919d9f1de664a2eaf53826a28b12
	// after 57 sha256:b98df30eb21f89f7cc1ac53eec9238033c396691e4938e83e5a07153e5370dff
	// signer north.example
	// key ed25519 sha256:fd110d301d2f077de1414b8f99f441b1403fab207b2052fbd2c065e4ee8e7dc2
	// date 2024-06-11
	//
	// endorsement of north.example is sha256:887fcb836e78aebae39b2a23d7ca6b957245b71131ea0136f28452a5bf57899f
}

// Errors are sentences for people, and never repeat what was read.
func ExampleParseText() {
	_, err := entry.ParseText([]byte("undersigned/endorsement/v1\r\nledger ledger.example/tccm\r\n"))
	fmt.Println(err)
	_, err = entry.ParseText([]byte("undersigned/endorsement/v1\naction endorse\n"))
	fmt.Println(err)
	_, err = entry.ParseText([]byte("undersigned/endorsement/v2\n"))
	fmt.Println(err)
	// Output:
	// line 1: lines must end in LF alone: there is a carriage return (CR)
	// line 2: the line "ledger <origin>" must stand here: fields have one order, and none may be left out, repeated or added
	// this version does not know entries of this kind or version
}
