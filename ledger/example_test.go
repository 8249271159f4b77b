package ledger_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify/entry"
)

// An operator creates a ledger, opens it, and publishes a statement.
func Example() {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	const origin = "ledger.example/demo"

	// The log's key, and the operator's.
	seed := make([]byte, ed25519.SeedSize)
	logKey := ed25519.NewKeyFromSeed(seed)
	vkey, err := keys.NewVKey(origin, keys.TypeEd25519, logKey.Public().(ed25519.PublicKey))
	if err != nil {
		log.Fatal(err)
	}
	seed[0] = 1
	operatorKey := ed25519.NewKeyFromSeed(seed)
	operator, err := keys.NewPublicKey(keys.Ed25519, operatorKey.Public())
	if err != nil {
		log.Fatal(err)
	}
	sign := func(e *entry.Entry) *entry.Entry {
		e.Ledger, e.Signer, e.Keys, e.Date = origin, "operator.example", []keys.Ref{operator.Ref()}, "2024-06-11"
		if err := e.AddSignature(operator.Ref(), operator.NoteKeyID(e.Signer), ed25519.Sign(operatorKey, e.Text())); err != nil {
			log.Fatal(err)
		}
		return e
	}

	store, err := boltstore.Create(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	signed, err := ledger.OpenLastSigned(filepath.Join(dir, "last-signed"))
	if err != nil {
		log.Fatal(err)
	}
	defer signed.Close()
	cfg := ledger.Config{
		Origin: origin, Store: store, LastSigned: signed,
		Signers: []ledger.Signer{{VKey: vkey, Sign: func(msg []byte) ([]byte, error) { return ed25519.Sign(logKey, msg), nil }}},
		Now:     func() time.Time { return time.Date(2024, 6, 11, 9, 30, 0, 0, time.UTC) },
	}
	charter := sign(&entry.Entry{Genesis: true, Body: &entry.Charter{
		Title: "A demonstration", Operator: "operator.example", Admission: entry.Admission{Operator: true}, Roll: "manual",
		PublicKeys: []entry.PublicKey{{Suite: operator.Suite(), SPKI: operator.SPKI()}},
	}})
	if err := ledger.Create(ctx, cfg, charter); err != nil {
		log.Fatal(err)
	}

	l, err := ledger.Open(ctx, cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	text := "We stand by this.\n"
	statement := sign(&entry.Entry{Body: &entry.Statement{
		Action: entry.Publish, Statement: entry.Sum([]byte(text)), Title: "A statement", Language: "en", MediaType: "text/plain", Size: int64(len(text)),
	}})
	r := l.Submit(ctx, statement.Bytes())[0]
	fmt.Println(r.Index, r.Published, r.Stands, r.Err)
	first, _, _ := strings.Cut(string(l.Checkpoint()), "\n\n")
	fmt.Println(first)
	// Output:
	// 1 true true <nil>
	// ledger.example/demo
	// 2
	// d/ya2/xWCAJtnHhKJlF/YPoZTnmsSJFPV0cQ8npjvxk=
}
