// Package rolltest makes records for tests: deterministic keys, a clock that
// only moves when told to, and entries that are signed by whoever they name.
//
//	r := rolltest.New(t)                          // entry 0: operator.example admits
//	apnic := rolltest.NewOrg("apnic.net", 2, 1, 2) // two keys, one recovery key, quorum 2
//	r.Register(apnic)                             // entry 1
//	h := r.Publish("We stand by this.\n")         // entry 2
//	r.Endorse(apnic, h)                           // entry 3
//	r.State.Standing(h)
//
// What a helper cannot make is put together by hand: Draft fills in what every
// entry has, Sign signs it, Apply and Must hand it to the fold.
package rolltest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"filippo.io/mldsa"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// Origin is the origin of the records that New makes.
const Origin = "ledger.example/test"

// Start is when their entry 0 was admitted.
var Start = time.Date(2024, 6, 11, 9, 30, 0, 0, time.UTC)

// A Key is a key pair that Sign knows.
type Key struct {
	Public *keys.PublicKey
	sign   func(origin string, msg []byte) ([]byte, error)
}

// All keys made in this process.
var (
	ring sync.Map // keys.Ref -> *Key
	made sync.Map // suite and seed -> *Key
)

// Find returns the key that ref names, nil if this process has not made it.
func Find(ref keys.Ref) *Key {
	k, _ := ring.Load(ref)
	key, _ := k.(*Key)
	return key
}

// Ref returns how entries name the key.
func (k *Key) Ref() keys.Ref { return k.Public.Ref() }

// Sign signs msg, for a ledger named Origin, in the form of the key's suite.
func (k *Key) Sign(msg []byte) []byte { return k.SignFor(Origin, msg) }

// SignFor signs msg for the ledger with this origin.
func (k *Key) SignFor(origin string, msg []byte) []byte {
	sig, err := k.sign(origin, msg)
	must(err)
	return sig
}

// Line returns the value of the key's public-key or recovery-key line.
func (k *Key) Line() entry.PublicKey {
	return entry.PublicKey{Suite: k.Public.Suite(), SPKI: k.Public.SPKI()}
}

// NewKey returns an Ed25519 key, the same for the same seed.
func NewKey(seed string) *Key { return NewKeyOf(keys.Ed25519, seed) }

// NewKeyOf returns a key of any suite, the same for the same seed; only RSA
// keys, which take a moment to make, are the same within one process alone.
func NewKeyOf(suite keys.Suite, seed string) *Key {
	name := string(suite) + " " + seed
	if k, ok := made.Load(name); ok {
		return k.(*Key)
	}
	digest := sha512.Sum384([]byte("undersigned rolltest key " + name))
	var pub crypto.PublicKey
	var sign func(origin string, msg []byte) ([]byte, error)
	switch suite {
	case keys.Ed25519:
		priv := ed25519.NewKeyFromSeed(digest[:32])
		pub, sign = priv.Public(), func(_ string, msg []byte) ([]byte, error) { return ed25519.Sign(priv, msg), nil }
	case keys.ECDSAP256SHA256, keys.ECDSAP384SHA384:
		curve, size := elliptic.P256(), 32
		if suite == keys.ECDSAP384SHA384 {
			curve, size = elliptic.P384(), 48
		}
		digest[0] &= 0x7f // below the group's order
		priv, err := ecdsa.ParseRawPrivateKey(curve, digest[:size])
		must(err)
		pub = priv.Public()
		sign = func(_ string, msg []byte) ([]byte, error) {
			if suite == keys.ECDSAP384SHA384 {
				h := sha512.Sum384(msg)
				return priv.Sign(nil, h[:], crypto.SHA384)
			}
			h := sha256.Sum256(msg)
			return priv.Sign(nil, h[:], crypto.SHA256)
		}
	case keys.RSAPSSSHA256, keys.RSAPKCS1SHA256:
		priv := rsaKey(seed)
		pub = priv.Public()
		sign = func(_ string, msg []byte) ([]byte, error) {
			h := sha256.Sum256(msg)
			if suite == keys.RSAPSSSHA256 {
				return rsa.SignPSS(rand.Reader, priv, crypto.SHA256, h[:], &rsa.PSSOptions{SaltLength: 32})
			}
			return rsa.SignPKCS1v15(nil, priv, crypto.SHA256, h[:])
		}
	case keys.MLDSA44:
		priv, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), digest[:32])
		must(err)
		pub, sign = priv.Public(), func(_ string, msg []byte) ([]byte, error) { return priv.Sign(nil, msg, nil) }
	case keys.SSHSIG: // keys of one of its types
		priv := ed25519.NewKeyFromSeed(digest[:32])
		public, err := keys.NewPublicKey(suite, priv.Public())
		must(err)
		pub, sign = priv.Public(), func(origin string, msg []byte) ([]byte, error) {
			sig := ed25519.Sign(priv, keys.SSHSignedData(origin, msg))
			return public.SSHSIG(origin, sshSignature("ssh-ed25519", sig)), nil
		}
	case keys.SSHSIGSK:
		priv := ed25519.NewKeyFromSeed(digest[:32])
		public, err := keys.NewPublicKey(suite, priv.Public())
		must(err)
		pub, sign = priv.Public(), func(origin string, msg []byte) ([]byte, error) {
			application, data := sha256.Sum256([]byte("ssh:")), sha256.Sum256(keys.SSHSignedData(origin, msg))
			touched := []byte{1, 0, 0, 0, 1} // flags and counter
			sig := ed25519.Sign(priv, slices.Concat(application[:], touched, data[:]))
			return public.SSHSIG(origin, append(sshSignature("sk-ssh-ed25519@openssh.com", sig), touched...)), nil
		}
	default:
		panic("rolltest: no such suite")
	}
	public, err := keys.NewPublicKey(suite, pub)
	must(err)
	k := &Key{public, sign}
	ring.Store(k.Ref(), k)
	made.Store(name, k)
	return k
}

// sshSignature is a signature in the form of RFC 4253 section 6.6.
func sshSignature(algorithm string, sig []byte) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(algorithm))), algorithm...)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(sig))), sig...)
}

var rsaKeys struct {
	sync.Mutex
	made map[string]*rsa.PrivateKey
}

func rsaKey(seed string) *rsa.PrivateKey {
	rsaKeys.Lock()
	defer rsaKeys.Unlock()
	if rsaKeys.made == nil {
		rsaKeys.made = make(map[string]*rsa.PrivateKey)
	}
	if rsaKeys.made[seed] == nil {
		priv, err := rsa.GenerateKey(rand.Reader, 3072)
		must(err)
		rsaKeys.made[seed] = priv
	}
	return rsaKeys.made[seed]
}

// An Org is an organization with its private keys.
type Org struct {
	Domain    string
	Name      string
	LegalName string
	Keys      []*Key
	Recovery  []*Key
	Quorum    int
}

// NewOrg returns an organization with n Ed25519 keys and so many recovery keys,
// made from its domain, which is also its name.
func NewOrg(domain string, n, recovery, quorum int) *Org {
	o := &Org{Domain: domain, Name: domain, Quorum: quorum}
	for i := range n {
		o.Keys = append(o.Keys, NewKey(domain+" "+strconv.Itoa(i)))
	}
	for i := range recovery {
		o.Recovery = append(o.Recovery, NewKey(domain+" recovery "+strconv.Itoa(i)))
	}
	return o
}

// Vouch returns voucher lines of the organization, for its quorum of keys or,
// if named, for these.
func (o *Org) Vouch(ks ...*Key) []entry.Named {
	if len(ks) == 0 {
		ks = o.Keys[:o.Quorum]
	}
	var named []entry.Named
	for _, k := range ks {
		named = append(named, entry.Named{Domain: o.Domain, Ref: k.Ref()})
	}
	return named
}

// A Record is a growing record and its state.
type Record struct {
	TB       testing.TB
	Origin   string
	Operator *Org
	State    *roll.State
	Leaves   [][]byte
	Now      time.Time // when the next entry is admitted
}

// New returns a record that holds a charter: the operator is operator.example
// with one Ed25519 key, which alone admits.
func New(tb testing.TB) *Record {
	return NewWith(tb, NewOrg("operator.example", 1, 0, 1), entry.Admission{Operator: true})
}

// NewWith returns a record whose charter names this operator, with all its
// keys, this admission and these publishers.
func NewWith(tb testing.TB, operator *Org, admission entry.Admission, publishers ...string) *Record {
	r := Empty(tb, operator)
	c := &entry.Charter{Title: "A record for tests", Operator: operator.Domain, Publishers: publishers, Admission: admission, Roll: "manual"}
	for _, k := range operator.Keys {
		c.PublicKeys = append(c.PublicKeys, k.Line())
	}
	e := r.Draft(c, operator, operator.Keys...)
	e.Genesis, e.Previous = true, nil
	r.Must(Sign(e))
	return r
}

// Empty returns a record without an entry.
func Empty(tb testing.TB, operator *Org) *Record {
	return &Record{TB: tb, Origin: Origin, Operator: operator, State: roll.New(Origin), Now: Start}
}

// Draft returns an unsigned entry with this body: the previous line is what the
// state expects, the signer's keys are its quorum or, if named, these, and the
// date is today's.
func (r *Record) Draft(body entry.Body, signer *Org, ks ...*Key) *entry.Entry {
	e := &entry.Entry{Ledger: r.Origin, Body: body, Signer: signer.Domain, Date: r.Now.Format(time.DateOnly)}
	if h, ok := r.State.Previous(e); ok {
		e.Previous = &h
	}
	if len(ks) == 0 {
		ks = signer.Keys[:signer.Quorum]
	}
	for _, k := range ks {
		e.Keys = append(e.Keys, k.Ref())
	}
	return e
}

// Sign signs the entry with every key that it names, which must all have been
// made by this package, and returns it. Older signatures are replaced.
func Sign(e *entry.Entry) *entry.Entry {
	text := e.Text()
	e.Signatures = nil
	for _, n := range e.Named() {
		key := Find(n.Ref)
		if key == nil {
			panic("rolltest: the entry names a key that was not made here")
		}
		e.Signatures = append(e.Signatures, entry.Signature{Name: n.Domain, KeyID: key.Public.NoteKeyID(n.Domain), Sig: key.SignFor(e.Ledger, text)})
	}
	return e
}

// Leaf returns the leaf that the log would make of e now.
func (r *Record) Leaf(e *entry.Entry) []byte {
	return (&entry.Leaf{Admitted: r.Now, Entry: e}).Bytes()
}

// Apply hands e to the fold, now. If it is refused, neither State nor Leaves
// change; otherwise the clock moves on by a second.
func (r *Record) Apply(e *entry.Entry) error { return r.ApplyWith(e, nil) }

// ApplyWith is Apply for an entry with which a DNSSEC chain comes.
func (r *Record) ApplyWith(e *entry.Entry, chain []byte) error {
	leaf := (&entry.Leaf{Admitted: r.Now, Entry: e, Chain: chain}).Bytes()
	l, err := entry.ParseLeaf(leaf)
	if err != nil {
		return err
	}
	if err := r.State.Admit(l, nil); err != nil {
		return err
	}
	r.Leaves = append(r.Leaves, leaf)
	r.Now = r.Now.Add(time.Second)
	return nil
}

// Must is Apply for what has to succeed. It returns the entry's index.
func (r *Record) Must(e *entry.Entry) uint64 {
	r.TB.Helper()
	if err := r.Apply(e); err != nil {
		r.TB.Fatalf("%s entry of %s: %v", e.Body.Kind(), e.Signer, err)
	}
	return r.State.Size() - 1
}

// Do drafts, signs and applies in one, and returns the index.
func (r *Record) Do(body entry.Body, signer *Org, ks ...*Key) uint64 {
	r.TB.Helper()
	return r.Must(Sign(r.Draft(body, signer, ks...)))
}

// Registration returns the signed entry that registers o, for which the
// operator and these others vouch.
func (r *Record) Registration(o *Org, vouchers ...*Org) *entry.Entry {
	m := &entry.Membership{Action: entry.Register, Member: o.Domain, Name: o.Name, LegalName: o.LegalName, Quorum: o.Quorum}
	var ks []*Key
	for _, k := range o.Keys {
		m.PublicKeys = append(m.PublicKeys, k.Line())
		ks = append(ks, k)
	}
	for _, k := range o.Recovery {
		m.RecoveryKeys = append(m.RecoveryKeys, k.Line())
		ks = append(ks, k)
	}
	m.Vouchers = r.Operator.Vouch()
	for _, v := range vouchers {
		m.Vouchers = append(m.Vouchers, v.Vouch()...)
	}
	return Sign(r.Draft(m, o, ks...))
}

// Register applies Registration.
func (r *Record) Register(o *Org, vouchers ...*Org) uint64 {
	r.TB.Helper()
	return r.Must(r.Registration(o, vouchers...))
}

// Join makes and registers an organization with one key: r.Join("apnic.net").
func (r *Record) Join(domain string) *Org {
	r.TB.Helper()
	o := NewOrg(domain, 1, 0, 1)
	r.Register(o)
	return o
}

// Publish has the operator publish a text, and returns its hash.
func (r *Record) Publish(text string) entry.Hash {
	r.TB.Helper()
	h := entry.Sum([]byte(text))
	r.Do(&entry.Statement{
		Action: entry.Publish, Statement: h, Title: "A statement", Language: "en", MediaType: "text/plain", Size: int64(len(text)),
	}, r.Operator)
	return h
}

// Endorsement returns the signed entry by which o endorses or withdraws, quoting
// a note of size 1.
func (r *Record) Endorsement(action entry.Action, o *Org, h entry.Hash, ks ...*Key) *entry.Entry {
	return Sign(r.Draft(&entry.Endorsement{
		Action: action, Statement: h, After: entry.After{Size: 1, Note: entry.Sum([]byte("a checkpoint"))},
	}, o, ks...))
}

// Endorse puts o behind the statement.
func (r *Record) Endorse(o *Org, h entry.Hash) uint64 {
	r.TB.Helper()
	return r.Must(r.Endorsement(entry.Endorse, o, h))
}

// Withdraw takes it back.
func (r *Record) Withdraw(o *Org, h entry.Hash) uint64 {
	r.TB.Helper()
	return r.Must(r.Endorsement(entry.Withdraw, o, h))
}

// Seal appends the roll of a statement as of the millisecond before now, and
// returns its index.
func (r *Record) Seal(h entry.Hash) uint64 {
	r.TB.Helper()
	b, ok := r.State.Roll(h, r.Now.Add(-time.Millisecond))
	if !ok {
		r.TB.Fatal("there is no such statement")
	}
	return r.Must(&entry.Entry{Ledger: r.Origin, Body: b})
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
