package bench

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// The record's identity says that it is nobody's.
const (
	origin   = "demo.bench.example/record"
	operator = "demo.bench.example"
	title    = "Made to measure with: the keys are made up, no real organization has signed"
)

// statements is how many texts the members endorse, one after the other, and withdraw from.
const statements = 8

// A member is an organization with its key, and what it said last on each statement.
type member struct {
	domain  string
	private ed25519.PrivateKey
	public  *keys.PublicKey
	said    [statements]word
	turn    int
}

type word struct {
	previous *entry.Hash
	endorses bool
}

// newMember makes a member, whose key follows from its domain.
func newMember(domain string) (*member, error) {
	seed := sha256.Sum256([]byte("undersigned bench key of " + domain))
	m := &member{domain: domain, private: ed25519.NewKeyFromSeed(seed[:])}
	var err error
	m.public, err = keys.NewPublicKey(keys.Ed25519, m.private.Public())
	return m, err
}

// save writes the private key as "undersigned key new" does.
func (m *member) save(path string) error {
	der, err := x509.MarshalPKCS8PrivateKey(m.private)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func (m *member) line() entry.PublicKey {
	return entry.PublicKey{Suite: m.public.Suite(), SPKI: m.public.SPKI()}
}

// sign signs an entry with the keys of these, which must be those that it names, in their order.
func sign(e *entry.Entry, with ...*member) *entry.Entry {
	text := e.Text()
	for _, m := range with {
		e.Signatures = append(e.Signatures, entry.Signature{Name: m.domain, KeyID: m.public.NoteKeyID(m.domain), Sig: ed25519.Sign(m.private, text)})
	}
	return e
}

// A crowd is the operator of a record and its members.
type crowd struct {
	operator *member
	members  []*member
	date     string      // of what they sign
	after    entry.After // what they quote
}

func newCrowd(n int, date string) (*crowd, error) {
	c := &crowd{date: date}
	var err error
	if c.operator, err = newMember(operator); err != nil {
		return nil, err
	}
	for i := range n {
		m, err := newMember(fmt.Sprintf("m%d.example", i))
		if err != nil {
			return nil, err
		}
		c.members = append(c.members, m)
	}
	return c, nil
}

func text(i int) []byte { return fmt.Appendf(nil, "Statement %d, to measure with.\n", i) }

// beginnings are the entries before anybody endorses anything: the statements, and the members' registrations.
func (c *crowd) beginnings() [][]byte {
	var entries [][]byte
	for i := range statements {
		b := text(i)
		e := &entry.Entry{
			Ledger: origin, Signer: operator, Keys: []keys.Ref{c.operator.public.Ref()}, Date: c.date,
			Body: &entry.Statement{
				Action: entry.Publish, Statement: entry.Sum(b), Title: fmt.Sprintf("Statement %d", i),
				Language: "en", MediaType: "text/plain", Size: int64(len(b)),
			},
		}
		entries = append(entries, sign(e, c.operator).Bytes())
	}
	for _, m := range c.members {
		e := &entry.Entry{
			Ledger: origin, Signer: m.domain, Keys: []keys.Ref{m.public.Ref()}, Date: c.date,
			Body: &entry.Membership{
				Action: entry.Register, Member: m.domain, Name: m.domain, PublicKeys: []entry.PublicKey{m.line()}, Quorum: 1,
				Vouchers: []entry.Named{{Domain: operator, Ref: c.operator.public.Ref()}},
			},
		}
		entries = append(entries, sign(e, c.operator, m).Bytes())
	}
	return entries
}

// next is a member's next word: to endorse the statement whose turn it is, or to withdraw.
func (c *crowd) next(m *member) []byte {
	i := m.turn % statements
	m.turn++
	said := &m.said[i]
	action := entry.Endorse
	if said.endorses {
		action = entry.Withdraw
	}
	e := sign(&entry.Entry{
		Ledger: origin, Previous: said.previous, Signer: m.domain, Keys: []keys.Ref{m.public.Ref()}, Date: c.date,
		Body: &entry.Endorsement{Action: action, Statement: entry.Sum(text(i)), After: c.after},
	}, m)
	id := e.ID()
	said.previous, said.endorses = &id, !said.endorses
	return e.Bytes()
}

// prepare returns, for each of so many clients, so many entries that are to be sent in that order. Each client speaks for one member.
func (c *crowd) prepare(clients, each int) [][][]byte {
	all := make([][][]byte, clients)
	parallel(clients, func(i int) {
		for range each {
			all[i] = append(all[i], c.next(c.members[i]))
		}
	})
	return all
}

// mixed returns n entries in turns of the members.
func (c *crowd) mixed(n int) [][]byte {
	all := make([][][]byte, len(c.members))
	parallel(len(all), func(i int) {
		for range (n + len(all) - 1 - i) / len(all) {
			all[i] = append(all[i], c.next(c.members[i]))
		}
	})
	entries := make([][]byte, n)
	for i := range entries {
		entries[i] = all[i%len(all)][i/len(all)]
	}
	return entries
}

// keyLines says who has which key, a line each: domain, suite and SPKI in base64.
func (c *crowd) keyLines() []byte {
	var b []byte
	for _, m := range append([]*member{c.operator}, c.members...) {
		b = fmt.Appendf(b, "%s %s %s\n", m.domain, m.public.Suite(), base64.StdEncoding.EncodeToString(m.public.SPKI()))
	}
	return b
}

// parallel calls f with 0 to n-1 on all processors.
func parallel(n int, f func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}
