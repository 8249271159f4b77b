package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// witnesses stands in for those of a ledger: one that cosigns whatever it is shown, as tests want it.
type witnesses struct {
	mu      sync.Mutex
	asked   []verify.Checkpoint
	cosign  func(p *ledger.Pending) (*ledger.Cosigned, error) // nil: it is away
	seen    []ledger.Sighting
	silent  error // of Witnessed
	found   []*verify.Contradiction
	flights int // checkpoints in flight
	crowd   bool
}

// watched gives a house witnesses that agree with its clock.
func watched(h *house) *witnesses {
	w := &witnesses{}
	w.cosign = func(p *ledger.Pending) (*ledger.Cosigned, error) {
		return &ledger.Cosigned{Note: append(bytes.Clone(p.Note), "— witness.example/w AAAAAAAA\n"...), Time: h.clock()}, nil
	}
	h.cfg.Cosign = func(ctx context.Context, p *ledger.Pending) (*ledger.Cosigned, error) {
		w.mu.Lock()
		w.asked = append(w.asked, p.Checkpoint)
		w.flights++
		w.crowd = w.crowd || w.flights > 1
		cosign := w.cosign
		w.mu.Unlock()
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.flights--
		}()
		if cosign == nil {
			return nil, errors.New("no witness answers")
		}
		return cosign(p)
	}
	h.cfg.Witnessed = func(ctx context.Context) ([]ledger.Sighting, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.seen, w.silent
	}
	h.cfg.Evidence = func(c *verify.Contradiction) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.found = append(w.found, c)
	}
	return w
}

func (w *witnesses) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// until waits until a condition holds.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func ready(l *ledger.Ledger) func() bool { return func() bool { return l.ReadOnly() == nil } }

// signedNote is a note by some of the log's keys.
func signedNote(t *testing.T, c verify.Checkpoint, at time.Time, signers ...ledger.Signer) []byte {
	t.Helper()
	note := append(c.Text(), '\n')
	for _, s := range signers {
		sig, err := s.Sign(verify.SignedMessage(s.VKey, uint64(at.Unix()), c))
		if err != nil {
			t.Fatal(err)
		}
		if s.VKey.Type != keys.TypeEd25519 {
			sig = verify.TimestampedSignature(uint64(at.Unix()), sig)
		}
		note = append(note, verify.SignatureLine(s.VKey, sig)...)
	}
	return note
}

// Nothing is admitted or signed until enough witnesses have told what they saw.
func TestStartAsksWitnesses(t *testing.T) {
	h := newHouse(t, storetest.NewMemory())
	h.join("a.example")
	old := h.ledger.Published()
	h.close()
	w := watched(h)
	w.silent = errors.New("one of three answers")
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	if err := h.ledger.ReadOnly(); !errors.Is(err, ledger.ErrUnwitnessed) {
		t.Fatalf("before the witnesses answer: %v", err)
	}
	e, hash := h.statement("text")
	if r := h.submit(e)[0]; !errors.Is(r.Err, ledger.ErrUnwitnessed) || r.Stored {
		t.Errorf("before the witnesses answer: %+v", r)
	}
	if c := h.ledger.Published(); c != old {
		t.Errorf("it shows %+v", c)
	}
	if n := len(w.asked); n > 0 {
		t.Errorf("it signed %d checkpoints", n)
	}
	_ = hash
	h.close()
	w.set(func() {
		w.silent, w.seen = nil, []ledger.Sighting{{Who: "w", Note: signedNote(t, old, h.clock(), h.cfg.Signers...)}}
	})
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is ready", ready(h.ledger))
	h.rec.Must(e)
	h.must(e)
}

// A checkpoint of our own key that is larger than the store, or another tree, stops a ledger before it signs.
func TestStartFindsFork(t *testing.T) {
	for _, tt := range []struct {
		name   string
		seen   func(c verify.Checkpoint) verify.Checkpoint
		says   string
		proven bool
		ready  bool
	}{
		{"what it published", func(c verify.Checkpoint) verify.Checkpoint { return c }, "", false, true},
		{"larger", func(c verify.Checkpoint) verify.Checkpoint { c.Size++; return c }, "w has seen a tree of size 3, signed with this ledger's key, but the store holds 2 entries", false, false},
		{"another one of the size", func(c verify.Checkpoint) verify.Checkpoint { c.Root[0] ^= 1; return c }, "w has seen another tree of size 2 than the store's, which holds 2 entries", true, false},
		{"another one that is smaller", func(c verify.Checkpoint) verify.Checkpoint { c.Size, c.Root[0] = 1, c.Root[0]^1; return c }, "w has seen another tree of size 1", true, false},
		{"of another ledger", func(c verify.Checkpoint) verify.Checkpoint { c.Origin = "other.example/x"; return c }, "", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, storetest.NewMemory())
			h.join("a.example")
			published := h.ledger.Published()
			h.close()
			w := watched(h)
			w.seen = []ledger.Sighting{{Who: "w", Note: signedNote(t, tt.seen(published), h.clock(), h.cfg.Signers...)}}
			w.silent = errors.New("the others do not answer") // what one has seen is enough to refuse
			if tt.ready {
				w.silent = nil
			}
			if err := h.tryOpen(); err != nil {
				t.Fatal(err)
			}
			until(t, "it has decided", func() bool { return !errors.Is(h.ledger.ReadOnly(), ledger.ErrUnwitnessed) })
			err := h.ledger.ReadOnly()
			if tt.ready {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var refused *ledger.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(refused.Problem, tt.says) {
				t.Errorf("%v", err)
			}
			if len(w.asked) > 0 {
				t.Errorf("it asked for a cosignature on size %d", w.asked[0].Size)
			}
			e, _ := h.statement("text")
			if r := h.submit(e)[0]; r.Err == nil || r.Stored {
				t.Errorf("%+v", r)
			}
			if b := h.ledger.Checkpoint(); b == nil {
				t.Error("it cannot be read")
			}
			if (len(w.found) > 0) != tt.proven {
				t.Fatalf("%d contradictions", len(w.found))
			}
			if tt.proven {
				if v, err := w.found[0].Check(); err != nil || v.Origin != rolltest.Origin {
					t.Errorf("%+v, %v", v, err)
				}
			}
		})
	}
}

// While it runs, only our own key's signature on another history stops the ledger.
func TestForkWhileRunning(t *testing.T) {
	h := newHouse(t, storetest.NewMemory())
	h.close()
	w := watched(h)
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is ready", ready(h.ledger))
	w.set(func() {
		w.cosign = func(p *ledger.Pending) (*ledger.Cosigned, error) {
			other := p.Checkpoint
			other.Root[5] ^= 1
			return nil, &ledger.ForkError{Sighting: ledger.Sighting{Who: "w", Note: signedNote(t, other, h.clock(), h.cfg.Signers[0])}}
		}
	})
	e, _ := h.statement("text")
	r := h.submit(e)[0]
	if !r.Stored || r.Published {
		t.Errorf("%+v", r)
	}
	<-h.ledger.Done()
	if err := h.ledger.Err(); !errors.Is(err, ledger.ErrForked) || !strings.Contains(err.Error(), "w has it") {
		t.Error(err)
	}
	if len(w.found) != 1 {
		t.Fatalf("%d contradictions", len(w.found))
	}
	if v, err := w.found[0].Check(); err != nil || v.Case != verify.CaseSize {
		t.Errorf("%+v, %v", v, err)
	}
}

// One checkpoint at a time is in flight, of growing size and one root for each, whatever the witnesses do.
func TestOneInFlight(t *testing.T) {
	h := newHouse(t, storetest.NewMemory())
	h.close()
	w := watched(h)
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is ready", ready(h.ledger))
	good := w.cosign
	n := 0
	w.set(func() {
		w.cosign = func(p *ledger.Pending) (*ledger.Cosigned, error) {
			if n++; n%3 == 1 {
				return nil, fmt.Errorf("failure %d", n)
			}
			return good(p)
		}
	})
	var drafts [][]byte
	for i := range 12 {
		e := h.rec.Registration(rolltest.NewOrg(fmt.Sprintf("m%d.example", i), 1, 0, 1))
		h.rec.Must(e)
		drafts = append(drafts, e.Bytes())
	}
	var wg sync.WaitGroup
	for _, b := range drafts {
		wg.Go(func() {
			if r := h.ledger.Submit(t.Context(), b)[0]; r.Err != nil || !r.Published {
				t.Errorf("%+v", r)
			}
		})
	}
	wg.Wait()
	w.set(func() {
		if w.crowd {
			t.Error("two checkpoints were in flight")
		}
		roots := map[uint64][32]byte{}
		for i, c := range w.asked {
			if root, ok := roots[c.Size]; ok && root != c.Root || i > 0 && c.Size < w.asked[i-1].Size {
				t.Errorf("it asked for size %d after %d", c.Size, w.asked[max(0, i-1)].Size)
			}
			roots[c.Size] = c.Root
		}
	})
	h.close()
	h.check()
}

// What is published is cosigned afresh; the first note of a size stays what it was.
func TestRepublish(t *testing.T) {
	h := newHouse(t, storetest.NewMemory())
	h.close()
	w := watched(h)
	h.cfg.Republish = time.Millisecond
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is ready", ready(h.ledger))
	o := rolltest.NewOrg("a.example", 1, 0, 1)
	e := h.rec.Registration(o)
	h.rec.Must(e)
	h.must(e)
	size := h.ledger.Published().Size
	first, err := h.ledger.CheckpointAt(t.Context(), size)
	if err != nil {
		t.Fatal(err)
	}
	h.setClock(h.clock().Add(time.Minute))
	until(t, "there is a newer note", func() bool {
		b, err := h.ledger.LatestAt(t.Context(), size)
		return err == nil && !bytes.Equal(b, first)
	})
	again, err := h.ledger.CheckpointAt(t.Context(), size)
	if err != nil || !bytes.Equal(again, first) {
		t.Errorf("the first note has changed: %v", err)
	}
	for _, path := range []string{"checkpoint", fmt.Sprintf("checkpoints/%d/latest", size)} {
		if b, err := h.ledger.Fetch(t.Context(), path); err != nil || bytes.Equal(b, first) {
			t.Errorf("%s: %v", path, err)
		}
	}
	older := h.ledger.Published().Size - 1
	a, err := h.ledger.LatestAt(t.Context(), older)
	b, err2 := h.ledger.CheckpointAt(t.Context(), older)
	if err != nil || err2 != nil || a == nil || b == nil {
		t.Errorf("the size before: %v, %v", err, err2)
	}
	h.close()
	w.set(func() { w.cosign = nil })
	h.check()
	h.cfg.Republish = 0
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is ready again", ready(h.ledger))
	if bytes.Equal(h.ledger.Checkpoint(), first) {
		t.Error("the newer note is forgotten")
	}
	if b, err := h.ledger.CheckpointAt(t.Context(), size); err != nil || !bytes.Equal(b, first) {
		t.Errorf("the first note is not the same any more: %v", err)
	}
	sizes, err := h.ledger.CheckpointSizes(t.Context())
	if err != nil || len(sizes) != int(size) {
		t.Errorf("%v, %v", sizes, err)
	}
}

// Nothing is admitted while the clocks are apart.
func TestClocks(t *testing.T) {
	for _, apart := range []time.Duration{6 * time.Minute, -6 * time.Minute} {
		h := newHouse(t, storetest.NewMemory())
		h.close()
		w := watched(h)
		h.cfg.Republish = time.Millisecond
		if err := h.tryOpen(); err != nil {
			t.Fatal(err)
		}
		until(t, "it is ready", ready(h.ledger))
		good := w.cosign
		w.set(func() {
			w.cosign = func(p *ledger.Pending) (*ledger.Cosigned, error) {
				c, err := good(p)
				c.Time = c.Time.Add(apart)
				return c, err
			}
		})
		until(t, "it notices", h.ledger.ClockWrong)
		e, _ := h.statement("text")
		if r := h.submit(e)[0]; !errors.Is(r.Err, ledger.ErrClock) || r.Stored {
			t.Errorf("%v apart: %+v", apart, r)
		}
		w.set(func() { w.cosign = good })
		until(t, "it goes on", func() bool { return !h.ledger.ClockWrong() })
		h.rec.Must(e)
		h.must(e)
	}
}

// Tiles of a checkpoint that waits for cosignatures can be read, so that a witness can replay what it is to cosign; the
// checkpoint cannot.
func TestPendingTiles(t *testing.T) {
	h := newHouse(t, storetest.NewMemory())
	h.close()
	w := watched(h)
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is ready", ready(h.ledger))
	good := w.cosign
	read := 0
	w.set(func() {
		w.cosign = func(p *ledger.Pending) (*ledger.Cosigned, error) {
			r, err := verify.NewHashReader(t.Context(), p.Checkpoint, h.ledger.Fetch)
			if err == nil {
				var leaves [][]byte
				leaves, err = r.Entries(t.Context(), 0)
				read = len(leaves)
			}
			if err != nil {
				t.Error(err)
			}
			if size := h.ledger.Published().Size; size >= p.Size {
				t.Errorf("size %d is published before it is cosigned", size)
			}
			if _, err := h.ledger.CheckpointAt(t.Context(), p.Size); err == nil {
				t.Error("its checkpoint can be read")
			}
			return good(p)
		}
	})
	h.join("a.example")
	if read != 2 {
		t.Errorf("%d leaves", read)
	}
}

// A clock that steps back by seconds after a checkpoint was signed afresh must not make the log convict itself.
func TestClockStepsBack(t *testing.T) {
	h := newHouse(t, storetest.NewMemory())
	h.join("a.example")
	h.close()
	watched(h)
	h.cfg.Republish = time.Millisecond
	start := h.clock()
	h.setClock(start.Add(50 * time.Second))
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is ready", ready(h.ledger))
	afresh := h.ledger.Checkpoint()
	h.setClock(start.Add(20 * time.Second))
	h.join("b.example")
	var logs []keys.VKey
	for _, s := range h.cfg.Signers {
		logs = append(logs, s.VKey)
	}
	if c := verify.Contradict(logs, afresh, h.ledger.Checkpoint(), nil); c != nil {
		t.Errorf("an honest log convicts itself:\n%s", c.Bytes())
	}
}

// What a witness shows after the quorum was there stops the ledger as well.
func TestLateFork(t *testing.T) {
	h := newHouse(t, storetest.NewMemory())
	h.close()
	w := watched(h)
	forks := make(chan *ledger.ForkError, 1)
	h.cfg.Forks = forks
	if err := h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is ready", ready(h.ledger))
	other := h.ledger.Published()
	other.Root[3] ^= 1
	forks <- &ledger.ForkError{Sighting: ledger.Sighting{Who: "w", Note: signedNote(t, other, h.clock(), h.cfg.Signers[0])}}
	<-h.ledger.Done()
	if err := h.ledger.Err(); !errors.Is(err, ledger.ErrForked) {
		t.Error(err)
	}
	h.close()
	if len(w.found) != 1 {
		t.Fatalf("%d contradictions", len(w.found))
	}
}
