package verify_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/mldsa"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// cosigner is a key that signs checkpoints.
type cosigner struct {
	vkey keys.VKey
	sign func(msg []byte) []byte
}

func newCosigner(tb testing.TB, name string, typ byte, seed string) *cosigner {
	tb.Helper()
	s := sha256.Sum256([]byte(seed))
	c := new(cosigner)
	var pub []byte
	if typ == keys.TypeCosignatureMLDSA44 {
		k, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), s[:])
		if err != nil {
			tb.Fatal(err)
		}
		pub = k.PublicKey().Bytes()
		c.sign = func(msg []byte) []byte {
			sig, err := k.SignDeterministic(msg, nil)
			if err != nil {
				tb.Fatal(err)
			}
			return sig
		}
	} else {
		k := ed25519.NewKeyFromSeed(s[:])
		pub = k.Public().(ed25519.PublicKey)
		c.sign = func(msg []byte) []byte { return ed25519.Sign(k, msg) }
	}
	var err error
	if c.vkey, err = keys.NewVKey(name, typ, pub); err != nil {
		tb.Fatal(err)
	}
	return c
}

// line returns the cosigner's signature line for a checkpoint.
func (k *cosigner) line(c verify.Checkpoint, t time.Time) []byte {
	seconds := uint64(t.Unix())
	sig := k.sign(verify.SignedMessage(k.vkey, seconds, c))
	if k.vkey.Type != keys.TypeEd25519 {
		sig = verify.TimestampedSignature(seconds, sig)
	}
	return verify.SignatureLine(k.vkey, sig)
}

// world is a ledger as its readers see it.
type world struct {
	tb        testing.TB
	rec       *rolltest.Record
	log       []*cosigner
	witnesses []*cosigner
	mu        sync.Mutex
	files     map[string][]byte
	fetched   map[string]bool
	note      []byte // the last one published
	text      string
	statement entry.Hash
}

const tccm = "We, the undersigned, stand by the technical community.\n"

// newWorld is a ledger with a charter, three published checkpoints and a statement: apnic.net (vouched for by
// the operator and nic.example, and vouching for it later) and dns.pt (by the operator alone) endorse it.
func newWorld(tb testing.TB, witnesses int) *world {
	w := newEmptyWorld(tb, rolltest.New(tb), witnesses)
	w.publish()
	nic := rolltest.NewOrg("nic.example", 1, 0, 1)
	w.rec.Register(nic)
	apnic := rolltest.NewOrg("apnic.net", 2, 1, 2)
	apnic.Name = "Asia Pacific Network Information Centre (APNIC)"
	w.rec.Register(apnic, nic)
	pt := rolltest.NewOrg("dns.pt", 1, 1, 1)
	pt.Name = "Associação DNS.PT, Portuguese Registry"
	w.rec.Register(pt)
	w.text = tccm
	w.statement = w.rec.Publish(w.text)
	w.publish()
	w.endorse(apnic)
	w.publish()
	w.endorse(pt)
	// nic.example, admitted by the operator alone, is vouched for in its turn.
	w.rec.Do(&entry.Membership{Action: entry.Update, Member: nic.Domain, Name: nic.Name, Quorum: 1, Vouchers: apnic.Vouch()}, nic)
	w.publish()
	return w
}

func newEmptyWorld(tb testing.TB, rec *rolltest.Record, witnesses int) *world {
	w := &world{tb: tb, rec: rec, files: make(map[string][]byte), fetched: make(map[string]bool)}
	w.log = []*cosigner{
		newCosigner(tb, rolltest.Origin, keys.TypeEd25519, "log"),
		newCosigner(tb, rolltest.Origin, keys.TypeCosignatureMLDSA44, "log"),
	}
	for i := range witnesses {
		typ := keys.TypeCosignatureEd25519
		if i%2 == 1 {
			typ = keys.TypeCosignatureMLDSA44
		}
		w.witnesses = append(w.witnesses, newCosigner(tb, fmt.Sprintf("witness.example/%d", i), typ, fmt.Sprint("witness", i)))
	}
	return w
}

func (w *world) endorsement(action entry.Action, o *rolltest.Org) *entry.Endorsement {
	return &entry.Endorsement{Action: action, Statement: w.statement, After: w.after()}
}

// after quotes the last published note.
func (w *world) after() entry.After {
	c := w.checkpoint()
	return entry.After{Size: c.Size, Note: entry.Sum(w.note)}
}

func (w *world) endorse(o *rolltest.Org) uint64 {
	return w.rec.Do(w.endorsement(entry.Endorse, o), o)
}

func (w *world) withdraw(o *rolltest.Org) uint64 {
	return w.rec.Do(w.endorsement(entry.Withdraw, o), o)
}

// checkpoint returns the last published checkpoint.
func (w *world) checkpoint() verify.Checkpoint {
	text, _, _ := strings.Cut(string(w.note), "\n\n")
	c, err := verify.ParseCheckpoint([]byte(text + "\n"))
	if err != nil {
		w.tb.Fatal(err)
	}
	return c
}

// sign returns a note of what the record holds now, signed by these.
func (w *world) sign(c verify.Checkpoint, signers ...*cosigner) []byte {
	note := append(c.Text(), '\n')
	for _, s := range signers {
		note = append(note, s.line(c, w.rec.Now)...)
	}
	return note
}

// publish signs and publishes what the record holds now, tiles, bundles, notes and all.
func (w *world) publish() {
	leaves := w.rec.Leaves
	c := verify.Checkpoint{Origin: rolltest.Origin, Size: uint64(len(leaves)), Root: slowRoot(leaves)}
	w.note = w.sign(c, append(append([]*cosigner(nil), w.log...), w.witnesses...)...)
	for p := range w.files {
		if strings.HasPrefix(p, "tile/") {
			delete(w.files, p)
		}
	}
	for p, b := range slowTiles(leaves) {
		w.files[p] = b
	}
	w.files["checkpoint"] = w.note
	w.files[fmt.Sprintf("checkpoints/%d", len(leaves))] = w.note
	if w.text != "" {
		w.files[verify.BlobPath(w.statement)] = []byte(w.text)
	}
}

// policyText has both log keys, and as the quorum all witnesses.
func (w *world) policyText() string {
	var b strings.Builder
	for _, l := range w.log {
		fmt.Fprintf(&b, "log %s https://%s/\n", l.vkey, rolltest.Origin)
	}
	names := ""
	for i, k := range w.witnesses {
		fmt.Fprintf(&b, "witness w%d %s\n", i, k.vkey)
		names += fmt.Sprintf(" w%d", i)
	}
	if names == "" {
		return b.String() + "quorum none\n"
	}
	return b.String() + "group all all" + names + "\nquorum all\n"
}

func (w *world) policy() *verify.Policy { return mustPolicy(w.tb, w.policyText()) }

func mustPolicy(tb testing.TB, text string) *verify.Policy {
	tb.Helper()
	p, err := verify.ParsePolicy([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func (w *world) fetch(ctx context.Context, path string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetched[path] = true
	if b, ok := w.files[path]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

// receipt makes the receipt of an entry under the last published checkpoint.
func (w *world) receipt(index uint64) *verify.Receipt {
	w.tb.Helper()
	r, err := w.makeReceipt(index, nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	return r
}

// makeReceipt has these supporting leaves; nil: those that the fold names.
func (w *world) makeReceipt(index uint64, support []uint64) (*verify.Receipt, error) {
	leaf, err := entry.ParseLeaf(w.rec.Leaves[index])
	if err != nil {
		return nil, err
	}
	if support == nil {
		support = w.rec.State.Support(index, leaf.Entry)
	}
	var after []byte
	if e, ok := leaf.Entry.Body.(*entry.Endorsement); ok {
		after = w.files[verify.CheckpointPath(e.After.Size)]
	}
	size := w.checkpoint().Size
	get := func(i uint64) ([]byte, error) { return w.rec.Leaves[i], nil }
	return verify.MakeReceipt(index, support, after, w.note, get, func(level uint, index uint64) ([32]byte, error) {
		first, last := index<<level, (index+1)<<level
		if last > size {
			return [32]byte{}, fmt.Errorf("asked for a node beyond the tree")
		}
		return slowRoot(w.rec.Leaves[first:last]), nil
	})
}

func (w *world) audit(o verify.AuditOptions) *verify.Report {
	w.tb.Helper()
	return mustAudit(w.tb, w.policy(), w.fetch, o)
}

func mustAudit(tb testing.TB, p *verify.Policy, fetch verify.Fetch, o verify.AuditOptions) *verify.Report {
	tb.Helper()
	r, err := verify.Audit(context.Background(), p, fetch, o)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// slowRoot is RFC 6962 section 2.1, word for word.
func slowRoot(leaves [][]byte) [32]byte {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		l, r := slowRoot(leaves[:k]), slowRoot(leaves[k:])
		return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	}
}

// slowTiles is tlog-tiles, word for word: MTH(D[(n*256+i) * 256**l : (n*256+i+1) * 256**l]).
func slowTiles(leaves [][]byte) map[string][]byte {
	files := make(map[string][]byte)
	for level, span := 0, 1; span <= len(leaves); level, span = level+1, span*256 {
		for n := 0; (n*256+1)*span <= len(leaves); n++ {
			var tile, bundle []byte
			w := 0
			for ; w < 256 && (n*256+w+1)*span <= len(leaves); w++ {
				part := leaves[(n*256+w)*span : (n*256+w+1)*span]
				h := slowRoot(part)
				tile = append(tile, h[:]...)
				bundle = append(bundle, byte(len(part[0])>>8), byte(len(part[0])))
				bundle = append(bundle, part[0]...)
			}
			suffix := fmt.Sprintf("%03d", n)
			if n >= 1000 {
				suffix = fmt.Sprintf("x%03d/%03d", n/1000, n%1000)
			}
			if w < 256 {
				suffix += fmt.Sprintf(".p/%d", w)
			}
			files[fmt.Sprintf("tile/%d/%s", level, suffix)] = tile
			if level == 0 {
				files["tile/entries/"+suffix] = bundle
			}
		}
	}
	return files
}
