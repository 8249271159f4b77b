package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

const (
	copyPerLedger = 40 // tries, then a new ledger
	copyEntries   = 4  // for each server, at most
	copyLate      = 60 * time.Millisecond
	copyRun       = 1500 * time.Millisecond
)

// A copyWorld is a ledger with three witnesses of which somebody has a full copy: store, keys and last-signed record.
type copyWorld struct {
	*record
	second string // the copy's directory
	// pace is how long a writer waits after each entry; above zero it writes until the end of a race.
	pace time.Duration

	mu      sync.Mutex
	shown   []verify.Checkpoint // published by either of the two
	acked   []*ack
	outcome map[string]int
	forked  int // tries in which both signed something of their own
}

// copies has two servers on full copies of one ledger, with one key, which know nothing of each other. Only the witnesses stand
// between them: of two histories at most one is cosigned by a quorum, and only what is in that one was ever called published.
func copies(ctx context.Context, t *trial) error {
	var w *copyWorld
	outcome := make(map[string]int)
	signed, forked := 0, 0
	end := func() error {
		if w == nil {
			return nil
		}
		signed, forked = signed+w.fleet.count, forked+w.forked
		return w.fleet.close()
	}
	for n := 0; t.more(); n++ {
		if n%copyPerLedger == 0 {
			if err := end(); err != nil {
				return err
			}
			r, err := t.emptyRecord(ctx, fmt.Sprintf("ledger-%d", n))
			if err != nil {
				return err
			}
			if err := r.watch(ctx, 3, 2); err != nil {
				return err
			}
			w = &copyWorld{record: r, second: r.dir + ".copy", outcome: outcome}
		}
		if err := w.try(ctx); err != nil {
			return errors.Join(err, w.fleet.close())
		}
		t.cycle()
	}
	if err := end(); err != nil {
		return err
	}
	t.say("%d cosigned checkpoints", signed)
	t.say("in %d tries both signed something", forked)
	t.say("%d servers went on, %d were refused at the start, %d stopped by a fork alarm", outcome["went on"], outcome["refused"], outcome["stopped"])
	if t.cycles >= copyPerLedger && !t.wrong() && (forked == 0 || outcome["refused"] == 0 || outcome["stopped"] == 0) {
		return errors.New("one of the ways in which this can go was never tried")
	}
	return nil
}

// try is one race.
func (w *copyWorld) try(ctx context.Context) error {
	if err := w.copy(); err != nil {
		return err
	}
	line := func(dir string) []string { return append([]string{w.bin}, serveArgs(dir)...) }
	if err := w.race(ctx, copyRun, line(w.dir), line(w.second)); err != nil {
		return err
	}
	return w.settle(ctx)
}

// copy makes the full copy anew.
func (w *copyWorld) copy() error {
	if err := os.RemoveAll(w.second); err != nil {
		return err
	}
	return copyDirectory(w.dir, w.second)
}

// race has two servers live for some time, by these command lines.
func (w *copyWorld) race(ctx context.Context, run time.Duration, lines ...[]string) error {
	w.shown, w.acked = nil, nil
	var both sync.WaitGroup
	var errs [2]error
	for i, line := range lines {
		wait, kill := w.upTo(copyLate), w.rng.IntN(2) == 0
		if w.rng.IntN(4) == 0 {
			wait *= 8 // the other one may have been cosigned before
		}
		var entries []*entry.Entry
		n := 1 + w.rng.IntN(copyEntries)
		if w.pace > 0 {
			n = int(run / w.pace)
		}
		for range n {
			e, err := w.newcomer()
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		both.Go(func() {
			time.Sleep(wait)
			errs[i] = w.live(ctx, line, entries, run, kill)
		})
	}
	both.Wait()
	return errors.Join(errs[:]...)
}

// live is the life of one of the two.
func (w *copyWorld) live(ctx context.Context, line []string, entries []*entry.Entry, run time.Duration, kill bool) error {
	outcome := "went on"
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.outcome[outcome]++
	}()
	c, err := start(ctx, line...)
	var ended *endedError
	if errors.As(err, &ended) && strings.Contains(ended.stderr.last(), ledger.ErrForked.Error()) {
		outcome = "stopped"
		return nil
	}
	if err != nil {
		outcome = "did not start"
		return err
	}
	defer func() {
		c.kill()
		c.wait()
	}()
	deadline := time.Now().Add(run)
	for len(entries) > 0 && time.Now().Before(deadline) {
		resp, err := w.post(ctx, c, "text/plain", entries[0].Bytes(), "?wait=1s")
		if err != nil {
			break // it has stopped
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			break
		}
		a, err := parseAnswer(resp.StatusCode, b)
		var refused *refusedError
		if errors.As(err, &refused) {
			if strings.Contains(c.stderr.last(), "refuses to sign") {
				break
			}
			time.Sleep(5 * time.Millisecond) // until the witnesses have answered
			continue
		}
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.acked = append(w.acked, a)
		w.mu.Unlock()
		w.add(&w.acknowledged, 1)
		entries = entries[1:]
		if err := w.look(ctx, c); err != nil {
			break
		}
		time.Sleep(w.pace)
	}
	w.look(ctx, c) // unless it has stopped
	if !kill {
		c.interrupt()
		c.wait()
	}
	switch said := c.stderr.last(); {
	case strings.Contains(said, "refuses to sign"):
		outcome = "refused"
	case strings.Contains(said, ledger.ErrForked.Error()):
		outcome = "stopped"
	}
	return nil
}

// look takes up the checkpoint that a server shows.
func (w *copyWorld) look(ctx context.Context, c *child) error {
	note, err := c.get(ctx, "checkpoint")
	if err != nil {
		return err
	}
	signed, err := w.policy.Open(note)
	var few *verify.QuorumError
	if errors.As(err, &few) {
		return nil // what init has published, before there were witnesses
	}
	if err != nil {
		w.fault("a checkpoint is not one: %v", err)
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown = append(w.shown, signed.Checkpoint)
	return nil
}

// settle holds what was signed and shown to the two histories, and goes on with the one that was cosigned.
func (w *copyWorld) settle(ctx context.Context) error {
	var histories [2]*judge
	for i, dir := range []string{w.dir, w.second} {
		var err error
		if histories[i], err = w.history(ctx, dir); err != nil {
			return err
		}
	}
	within := func(h *judge, c verify.Checkpoint) bool {
		if c.Size > h.size() {
			return false
		}
		root, err := h.root(c.Size)
		return err == nil && root == c.Root
	}
	signed := w.fleet.take()
	// Each witness has seen one history.
	for _, p := range w.fleet.posts {
		one := false
		for _, h := range histories {
			all := true
			for _, s := range signed {
				all = all && (s.by != p || within(h, s.Checkpoint))
			}
			one = one || all
		}
		if !one {
			w.fork("witness %d cosigned two histories", p.number+1)
		}
	}
	// What a quorum has cosigned, shown or not, is one history.
	quorum := append([]verify.Checkpoint{}, w.shown...)
	for _, s := range signed {
		by := make(map[*post]bool)
		for _, other := range signed {
			if other.Checkpoint == s.Checkpoint {
				by[other.by] = true
			}
		}
		if len(by) >= w.fleet.quorum {
			quorum = append(quorum, s.Checkpoint)
		}
	}
	w.add(&w.checkpoints, len(quorum))
	winner := -1
	for i, h := range histories {
		all := true
		for _, c := range quorum {
			all = all && within(h, c)
		}
		if all && (winner < 0 || h.size() > histories[winner].size()) {
			winner = i
		}
	}
	if winner < 0 {
		w.fork("two histories were cosigned")
		return nil
	}
	h := histories[winner]
	for _, a := range w.acked {
		if !a.Published {
			continue
		}
		if a.Index >= h.size() || h.ids[a.Index] != a.ID {
			w.loss("entry %d was called published, and is not in the history that was cosigned", a.Index)
		}
	}
	if histories[0].size() > 1 && histories[1].size() > 1 {
		n := min(histories[0].size(), histories[1].size())
		a, err0 := histories[0].root(n)
		b, err1 := histories[1].root(n)
		if err := errors.Join(err0, err1); err != nil {
			return err
		}
		if a != b {
			w.forked++
		}
	}
	if winner == 1 {
		w.dir, w.second = w.second, w.dir
	}
	// A witness that has seen the other history alone keeps the ledger from going on, as it must: the key is convicted.
	for _, s := range signed {
		if !within(h, s.Checkpoint) {
			return w.forget(ctx)
		}
	}
	return nil
}

// forget makes all witnesses new.
func (w *copyWorld) forget(ctx context.Context) error {
	for _, p := range w.fleet.posts {
		if err := errors.Join(p.end(true), os.Remove(filepath.Join(p.dir, "witness.db"))); err != nil {
			return err
		}
		w.fleet.mu.Lock()
		clear(p.roots)
		p.largest = 0
		w.fleet.mu.Unlock()
		if err := p.begin(ctx, "--forget"); err != nil {
			return err
		}
	}
	return nil
}

// history reads all entries of a stopped ledger, published or not.
func (w *copyWorld) history(ctx context.Context, dir string) (h *judge, err error) {
	store, err := boltstore.Open(dir, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	l, err := ledger.Open(ctx, ledger.Config{Origin: origin, Store: store})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	h = newJudge(w.record)
	var leaves [][]byte
	for i := range l.Published().Size {
		leaf, err := l.Leaf(ctx, i)
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, leaf)
	}
	rest, err := l.Unpublished(ctx)
	if err != nil {
		return nil, err
	}
	for _, leaf := range append(leaves, rest...) {
		parsed, err := entry.ParseLeaf(leaf)
		if err != nil {
			return nil, err
		}
		h.append(leaf)
		h.ids = append(h.ids, parsed.Entry.ID())
	}
	return h, nil
}

// copyDirectory copies what is in a directory, with the permissions.
func copyDirectory(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), info.Mode().Perm())
		case !info.Mode().IsRegular():
			return nil // a socket
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, info.Mode().Perm())
	})
}
