package mirror_test

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// signerOf is a key that signs checkpoints.
func signerOf(tb testing.TB, name string, typ byte, seed string) ledger.Signer {
	tb.Helper()
	suite, size := keys.Ed25519, 32
	if typ == keys.TypeCosignatureMLDSA44 {
		suite, size = keys.MLDSA44, 1312
	}
	k := rolltest.NewKeyOf(suite, seed)
	spki := k.Public.SPKI()
	v, err := keys.NewVKey(name, typ, spki[len(spki)-size:])
	if err != nil {
		tb.Fatal(err)
	}
	return ledger.Signer{VKey: v, Sign: func(msg []byte) ([]byte, error) { return k.Sign(msg), nil }}
}

// A liar is a ledger that signs whatever a test has it sign. It is a map of paths, which a test may change too.
type liar struct {
	testing.TB
	rec     *rolltest.Record
	signers []ledger.Signer

	mu    sync.Mutex
	files map[string][]byte
	count int                                                // fetches
	hook  func(n int, path string, b []byte) ([]byte, error) // changes an answer; nil: none is
}

func newLiar(tb testing.TB) *liar {
	l := &liar{TB: tb, rec: rolltest.New(tb), files: make(map[string][]byte), signers: []ledger.Signer{
		signerOf(tb, rolltest.Origin, keys.TypeEd25519, "log"), signerOf(tb, rolltest.Origin, keys.TypeCosignatureMLDSA44, "log"),
	}}
	l.publish()
	return l
}

// twin is a ledger with the same keys that goes its own way from here.
func (l *liar) twin() *liar {
	t := &liar{TB: l.TB, signers: l.signers, files: make(map[string][]byte)}
	t.rec = rolltest.Empty(l.TB, l.rec.Operator)
	for _, raw := range l.rec.Leaves {
		if err := t.rec.State.Apply(t.rec.State.Size(), raw); err != nil {
			l.Fatal(err)
		}
	}
	t.rec.Leaves, t.rec.Now = slices.Clone(l.rec.Leaves), l.rec.Now
	for path, b := range l.files {
		t.files[path] = b
	}
	return t
}

func (l *liar) policy() *verify.Policy {
	l.Helper()
	text := ""
	for _, s := range l.signers {
		text += "log " + s.VKey.String() + "\n"
	}
	p, err := verify.ParsePolicy([]byte(text + "quorum none\n"))
	if err != nil {
		l.Fatal(err)
	}
	return p
}

// fill adds n entries: a statement, and then organizations of which every other one endorses it.
func (l *liar) fill(n int) {
	l.Helper()
	hash := entry.Sum([]byte("We stand by this.\n"))
	for range n {
		switch size := len(l.rec.Leaves); {
		case size == 1:
			l.rec.Publish("We stand by this.\n")
		case size%2 == 0:
			l.rec.Join(fmt.Sprintf("m%d.example", size))
		default:
			o := rolltest.NewOrg(fmt.Sprintf("m%d.example", size-1), 1, 0, 1)
			l.rec.Do(&entry.Endorsement{Action: entry.Endorse, Statement: hash, After: l.after()}, o)
		}
	}
}

// after quotes the first note of the published checkpoint.
func (l *liar) after() entry.After {
	c, err := l.policy().OpenPast(l.note())
	if err != nil {
		l.Fatal(err)
	}
	return entry.After{Size: c.Size, Note: entry.Sum(l.files[verify.CheckpointPath(c.Size)])}
}

// note is the published checkpoint.
func (l *liar) note() []byte { return l.files["checkpoint"] }

// sign signs a checkpoint of the first n leaves at a time.
func (l *liar) sign(n int, at time.Time) []byte {
	l.Helper()
	c := verify.Checkpoint{Origin: rolltest.Origin, Size: uint64(n), Root: rootOf(l.rec.Leaves[:n])}
	note := append(c.Text(), '\n')
	for _, s := range l.signers {
		sig, err := s.Sign(verify.SignedMessage(s.VKey, uint64(at.Unix()), c))
		if err != nil {
			l.Fatal(err)
		}
		if s.VKey.Type != keys.TypeEd25519 {
			sig = verify.TimestampedSignature(uint64(at.Unix()), sig)
		}
		note = append(note, verify.SignatureLine(s.VKey, sig)...)
	}
	return note
}

// show makes the tiles of all leaves readable.
func (l *liar) show() {
	for _, t := range slices.Collect(verify.TilesFor(uint64(len(l.rec.Leaves)))) {
		var b []byte
		for i := range uint64(t.Width) {
			span := uint64(1) << (8 * max(t.Level, 0))
			at := (t.Index*verify.TileWidth + i) * span
			if t.Level < 0 {
				b = verify.AppendBundleEntry(b, l.rec.Leaves[at])
				continue
			}
			h := rootOf(l.rec.Leaves[at : at+span])
			b = append(b, h[:]...)
		}
		l.put(t.Path(), b)
	}
}

// put makes bytes readable at a path.
func (l *liar) put(path string, b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files[path] = b
}

// publish signs and publishes what the record holds.
func (l *liar) publish() []byte {
	l.Helper()
	l.show()
	n := len(l.rec.Leaves)
	note := l.sign(n, l.rec.Now)
	l.put("checkpoint", note)
	if l.files[verify.CheckpointPath(uint64(n))] == nil {
		l.put(verify.CheckpointPath(uint64(n)), note)
	}
	return note
}

func (l *liar) fetch(ctx context.Context, path string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	b, ok := l.files[path]
	if l.hook != nil {
		return l.hook(l.count, path, b)
	}
	if !ok {
		return nil, fs.ErrNotExist
	}
	return b, ctx.Err()
}

// rootOf is RFC 6962 section 2.1, word for word.
func rootOf(leaves [][]byte) [32]byte {
	if len(leaves) == 1 {
		return verify.LeafHash(leaves[0])
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	return verify.NodeHash(rootOf(leaves[:k]), rootOf(leaves[k:]))
}
