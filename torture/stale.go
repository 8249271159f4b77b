package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify/entry"
)

const (
	staleMembers   = 6
	stalePerLedger = 33 // cycles, then a new ledger
	signedSlot     = 4096
)

// A moment is what a ledger's directory held at some time: its store and its last-signed record.
type moment struct {
	size          uint64
	store, signed []byte
}

// A staleWorld is a ledger and two moments of it, the newer one of which is the truth.
type staleWorld struct {
	*record
	other      []byte // the last-signed record of another ledger
	old, now   moment
	undetected int
}

// stale puts moments of a ledger's files together that do not belong together, and looks whether it signs.
func stale(ctx context.Context, t *trial) error {
	cases := []struct {
		name string
		run  func(w *staleWorld, ctx context.Context) error
	}{
		{"an old store under the newer record", (*staleWorld).oldStore},
		{"a missing record", (*staleWorld).missing},
		{"a record without a word", (*staleWorld).empty},
		{"the record of another key", (*staleWorld).otherKey},
		{"one damaged slot", (*staleWorld).oneSlot},
		{"two damaged slots", (*staleWorld).twoSlots},
		{"an old record under the newer store", (*staleWorld).oldRecord},
		{"another history, longer than what was signed", (*staleWorld).longerHistory},
		{"another history, shorter than what was signed", (*staleWorld).shorterHistory},
		{"an old store without a record, adopted wrongly", (*staleWorld).adoptedOld},
		{"an old store with its old record", (*staleWorld).oldBoth},
	}
	var w *staleWorld
	undetected := 0
	for n := 0; t.more(); n++ {
		if n%stalePerLedger == 0 {
			if w != nil {
				if err := w.finish(ctx); err != nil {
					return err
				}
			}
			var err error
			if w, err = t.newStaleWorld(ctx, n); err != nil {
				return err
			}
		}
		c := cases[n%len(cases)]
		if err := w.advance(ctx); err != nil {
			return fmt.Errorf("before %s: %w", c.name, err)
		}
		if err := c.run(w, ctx); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if t.wrong() {
			t.fault("this was %s, of size %d and %d", c.name, w.old.size, w.now.size)
		}
		undetected += w.undetected
		w.undetected = 0
		t.cycle()
	}
	t.say("%d not detectable without witnesses", undetected)
	if w == nil {
		return nil
	}
	return w.finish(ctx)
}

func (t *trial) newStaleWorld(ctx context.Context, n int) (*staleWorld, error) {
	other, err := t.newRecord(ctx, fmt.Sprintf("other-%d", n), 1)
	if err != nil {
		return nil, err
	}
	r, err := t.newRecord(ctx, fmt.Sprintf("ledger-%d", n), staleMembers)
	if err != nil {
		return nil, err
	}
	w := &staleWorld{record: r}
	if w.other, err = os.ReadFile(other.signedFile()); err != nil {
		return nil, err
	}
	return w, w.run(ctx, "", func(*child) error { return nil }) // the judge has to know what there is
}

func (r *record) storeFile() string  { return filepath.Join(r.dir, boltstore.File) }
func (r *record) signedFile() string { return filepath.Join(r.dir, "keys", "last-signed") }

// moment returns what the directory holds. The server must not run, and the judge have caught up.
func (r *record) moment() (m moment, err error) {
	m.size = r.judge.size()
	var errs [2]error
	m.store, errs[0] = os.ReadFile(r.storeFile())
	m.signed, errs[1] = os.ReadFile(r.signedFile())
	return m, errors.Join(errs[:]...)
}

// put makes the directory hold a store and a record; nil: none.
func (r *record) put(store, signed []byte) error {
	if err := os.WriteFile(r.storeFile(), store, 0o600); err != nil {
		return err
	}
	if signed == nil {
		return os.Remove(r.signedFile())
	}
	return os.WriteFile(r.signedFile(), signed, 0o600)
}

// advance takes the old moment, has the record grow, and takes the newer one.
func (w *staleWorld) advance(ctx context.Context) (err error) {
	if w.old, err = w.moment(); err != nil {
		return err
	}
	n := 2 + w.rng.IntN(20)
	if w.rng.IntN(8) == 0 {
		n += 256
	}
	if err = w.run(ctx, "", func(c *child) error { return w.grow(ctx, c, n) }); err != nil {
		return err
	}
	w.now, err = w.moment()
	return err
}

// run starts a server, which must sign, does something with it, judges and ends it.
func (w *staleWorld) run(ctx context.Context, adopt string, do func(c *child) error) error {
	c, err := w.serve(ctx, adopt)
	if err != nil {
		return w.didNotStart(ctx, err)
	}
	defer c.kill()
	if strings.Contains(c.stderr.last(), "admits nothing") {
		w.fault("it does not sign, and could: %s", c.stderr.last())
		return nil
	}
	w.restarted(c.took)
	if err := w.judge.catchUp(ctx, c); err != nil {
		return err
	}
	if err := do(c); err != nil {
		return err
	}
	if err := w.judge.catchUp(ctx, c); err != nil {
		return err
	}
	c.interrupt()
	return c.wait()
}

func (w *staleWorld) serve(ctx context.Context, adopt string) (*child, error) {
	line := append([]string{w.bin}, serveArgs(w.dir)...)
	if adopt != "" {
		line = append(line, "--adopt", adopt)
	}
	return start(ctx, line...)
}

// readable starts a server, which must say these words and sign nothing, but serve every byte of a record of this size.
func (w *staleWorld) readable(ctx context.Context, size uint64, adopt string, words ...string) error {
	c, err := w.serve(ctx, adopt)
	if err != nil {
		return w.didNotStart(ctx, err)
	}
	defer c.kill()
	words = append(words, "admits nothing", "refusing to sign")
	said := c.said(words...)
	for _, word := range words {
		if !strings.Contains(said, word) {
			w.fault("it does not say %q: %s", word, said)
		}
	}
	var refused *refusedError
	if err := w.stranger(ctx, c); !errors.As(err, &refused) || refused.Status != 503 {
		w.fault("it does not sign, and answers %v to an entry", err)
	}
	note, err := c.get(ctx, "checkpoint")
	if err != nil {
		return err
	}
	if signed, err := w.policy.Open(note); err != nil || signed.Size != size {
		w.fault("the checkpoint is not the one of size %d", size)
	}
	if err := w.judge.served(ctx, c, size); err != nil {
		return err
	}
	for range 3 {
		index := w.rng.Uint64N(size)
		b, err := c.get(ctx, fmt.Sprintf("api/v1/receipt/%d", index))
		if err != nil {
			return err
		}
		if err := w.judge.receipt(&ack{Index: index, Receipt: string(b)}); err != nil {
			w.fault("the receipt of entry %d: %v", index, err)
		}
		w.add(&w.receipts, 1)
	}
	c.interrupt()
	if err := c.wait(); err != nil {
		w.fault("it ended with %v: %s", err, c.stderr.last())
	}
	return nil
}

// stranger submits an entry that is right in any history, and keeps no account of it.
func (w *staleWorld) stranger(ctx context.Context, c *child) error {
	e, err := w.newcomer()
	if err == nil {
		_, err = w.tellOnly(ctx, c, e)
	}
	return err
}

// tellOnly submits an entry, and keeps no account of it.
func (r *record) tellOnly(ctx context.Context, c *child, e *entry.Entry) (*ack, error) {
	resp, err := r.post(ctx, c, "text/plain", e.Bytes(), "")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	return parseAnswer(resp.StatusCode, b.Bytes())
}

// adoption is the argument that names the tree of a size.
func (w *staleWorld) adoption(size uint64) string {
	root, _ := w.judge.root(size)
	return fmt.Sprintf("%d:%s", size, base64.StdEncoding.EncodeToString(root[:]))
}

func sized(n uint64) string { return fmt.Sprintf("size %d", n) }

func holds(n uint64) string { return fmt.Sprintf("holds %d", n) }

// back puts the truth back.
func (w *staleWorld) back() error { return w.put(w.now.store, w.now.signed) }

func (w *staleWorld) oldStore(ctx context.Context) error {
	if err := w.put(w.old.store, w.now.signed); err != nil {
		return err
	}
	if err := w.readable(ctx, w.old.size, "", sized(w.now.size), holds(w.old.size)); err != nil {
		return err
	}
	// A record that is there and right cannot be talked away.
	if err := w.readable(ctx, w.old.size, w.adoption(w.old.size), sized(w.now.size), holds(w.old.size)); err != nil {
		return err
	}
	return w.back()
}

// adopts has wrong adoptions refused and the right one taken.
func (w *staleWorld) adopts(ctx context.Context, word string) error {
	size := w.now.size
	wrong := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, a := range []struct{ adopt, word string }{
		{"", word},
		{fmt.Sprintf("%d:%s", size, wrong), "root hash"},
		{fmt.Sprintf("%d:%s", size+1, wrong), "larger"},
		{w.adoption(size - 1), "smaller"},
	} {
		if err := w.readable(ctx, size, a.adopt, word, a.word, fmt.Sprint(size)); err != nil {
			return err
		}
	}
	return w.run(ctx, w.adoption(size), func(c *child) error { return w.grow(ctx, c, 1) })
}

func (w *staleWorld) missing(ctx context.Context) error {
	if err := w.put(w.now.store, nil); err != nil {
		return err
	}
	return w.adopts(ctx, "is missing")
}

func (w *staleWorld) empty(ctx context.Context) error {
	if err := w.put(w.now.store, make([]byte, w.rng.IntN(3)*signedSlot)); err != nil {
		return err
	}
	return w.adopts(ctx, "is missing")
}

func (w *staleWorld) otherKey(ctx context.Context) error {
	if err := w.put(w.now.store, w.other); err != nil {
		return err
	}
	// What it says was signed is not in this store, and no adoption talks that away.
	for _, adopt := range []string{"", w.adoption(w.now.size)} {
		if err := w.readable(ctx, w.now.size, adopt, "have signed"); err != nil {
			return err
		}
	}
	return w.back()
}

// damaged returns the record with one byte changed in these slots.
func (w *staleWorld) damaged(slots ...int) []byte {
	b := bytes.Clone(w.now.signed)
	for _, slot := range slots {
		b[slot*signedSlot+w.rng.IntN(signedSlot)] ^= 1 << w.rng.IntN(8)
	}
	return b
}

// oneSlot damages one slot, which may have said more than the other.
func (w *staleWorld) oneSlot(ctx context.Context) error {
	if err := w.put(w.now.store, w.damaged(w.rng.IntN(2))); err != nil {
		return err
	}
	return w.adopts(ctx, "is damaged")
}

func (w *staleWorld) twoSlots(ctx context.Context) error {
	if err := w.put(w.now.store, w.damaged(0, 1)); err != nil {
		return err
	}
	return w.adopts(ctx, "is damaged")
}

// oldRecord is what a crash leaves between a commit and the record, and goes on.
func (w *staleWorld) oldRecord(ctx context.Context) error {
	if err := w.put(w.now.store, w.old.signed); err != nil {
		return err
	}
	return w.run(ctx, "", func(c *child) error { return w.grow(ctx, c, 1) })
}

// history has the old moment go on in another way, with this many entries, and puts its store under the record of now.
func (w *staleWorld) history(ctx context.Context, entries int) (size uint64, err error) {
	if err := w.put(w.old.store, w.old.signed); err != nil {
		return 0, err
	}
	c, err := w.serve(ctx, "")
	if err != nil {
		return 0, err
	}
	defer c.kill()
	for range entries {
		if err := w.stranger(ctx, c); err != nil {
			return 0, err
		}
	}
	c.interrupt()
	if err := c.wait(); err != nil {
		return 0, err
	}
	store, err := os.ReadFile(w.storeFile())
	if err != nil {
		return 0, err
	}
	return w.old.size + uint64(entries), w.put(store, w.now.signed)
}

func (w *staleWorld) longerHistory(ctx context.Context) error {
	entries := int(w.now.size-w.old.size) + w.rng.IntN(3)
	size, err := w.history(ctx, entries)
	if err != nil {
		return err
	}
	return w.refused(ctx, size, "another tree of "+sized(w.now.size), holds(size))
}

func (w *staleWorld) shorterHistory(ctx context.Context) error {
	size, err := w.history(ctx, 1)
	if err != nil {
		return err
	}
	return w.refused(ctx, size, sized(w.now.size), holds(size))
}

// refused starts a server on another history than the judge's; it must not sign.
func (w *staleWorld) refused(ctx context.Context, size uint64, words ...string) error {
	c, err := w.serve(ctx, "")
	if err != nil {
		return w.didNotStart(ctx, err)
	}
	defer c.kill()
	words = append(words, "refusing to sign")
	said := c.said(words...)
	for _, word := range words {
		if !strings.Contains(said, word) {
			w.fault("it does not say %q: %s", word, said)
		}
	}
	var refused *refusedError
	if err := w.stranger(ctx, c); !errors.As(err, &refused) || refused.Status != 503 {
		w.fault("it does not sign, and answers %v to an entry", err)
	}
	if err := w.audit(ctx, c); err != nil { // all of it can be read
		return err
	}
	c.kill()
	c.wait()
	return w.back()
}

// adoptedOld is the one thing that an operator must know better: the word that nothing larger was signed is taken.
func (w *staleWorld) adoptedOld(ctx context.Context) error {
	if err := w.put(w.old.store, nil); err != nil {
		return err
	}
	if err := w.readable(ctx, w.old.size, "", "is missing"); err != nil {
		return err
	}
	// What the operator adopts is the newest checkpoint that anybody has seen: it is larger than the store.
	if err := w.readable(ctx, w.old.size, w.adoption(w.now.size), "larger", fmt.Sprint(w.now.size), fmt.Sprint(w.old.size)); err != nil {
		return err
	}
	return w.back()
}

// oldBoth puts everything back to the old moment. Nothing on the machine can tell, and it signs; who has seen a checkpoint
// of the newer moment can prove the fork.
func (w *staleWorld) oldBoth(ctx context.Context) error {
	if err := w.put(w.old.store, w.old.signed); err != nil {
		return err
	}
	c, err := w.serve(ctx, "")
	if err != nil {
		return w.didNotStart(ctx, err)
	}
	defer c.kill()
	if err := w.stranger(ctx, c); err != nil {
		w.fault("an old store with its old record: %v", err)
		return nil
	}
	note, err := c.get(ctx, "checkpoint")
	if err != nil {
		return err
	}
	signed, err := w.policy.Open(note)
	if err != nil {
		return err
	}
	root, err := w.judge.root(signed.Size)
	if err != nil {
		return err
	}
	if root == signed.Root {
		return errors.New("the two histories do not differ")
	}
	w.undetected++
	c.interrupt()
	select {
	case <-c.ended:
	case <-time.After(faultEnd):
		w.fault("it does not end when it is interrupted")
	}
	return w.back()
}
