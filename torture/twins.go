package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

const (
	twinMembers   = 12
	twinPerLedger = 60 // tries, then a new ledger
	twinLate      = 40 * time.Millisecond
	twinRun       = 60 * time.Millisecond
)

// A twinWorld is a ledger that two servers want to serve.
type twinWorld struct {
	*staleWorld
	second string // the other way to it, or the copy

	mu      sync.Mutex
	notes   []*verify.SignedCheckpoint // that either of them showed
	serving int                        // how many came up and signed, at one time or another
	barred  int                        // how many ended because the other one was there
	behind  int                        // how many refused to sign, because the other one had
}

// twins starts two servers at nearly the same time: on one directory, on one reached in two ways, and on two copies whose
// keys and last-signed record are shared. Whatever both of them ever sign must be one history.
func twins(ctx context.Context, t *trial) error {
	ways := []struct {
		name string
		copy bool // the second one has a store of its own
		make func(w *twinWorld) (undo func() error, err error)
	}{
		{"one directory", false, func(w *twinWorld) (func() error, error) { w.second = w.dir; return nil, nil }},
		{"a symbolic link", false, func(w *twinWorld) (func() error, error) { return nil, os.Symlink(w.dir, w.second) }},
		{"hard links", false, (*twinWorld).hardLinks},
		{"a bind mount", false, (*twinWorld).bindMount},
		{"a copy with the directory of keys shared", true, (*twinWorld).sharedKeys},
		{"a copy with copied keys and the record shared", true, (*twinWorld).sharedRecord},
	}
	var w *twinWorld
	serving, barred, behind := 0, 0, 0
	for n := 0; t.more(); n++ {
		if n%twinPerLedger == 0 {
			if w != nil {
				if err := w.finish(ctx); err != nil {
					return err
				}
			}
			r, err := t.newRecord(ctx, fmt.Sprintf("ledger-%d", n), twinMembers)
			if err != nil {
				return err
			}
			w = &twinWorld{staleWorld: &staleWorld{record: r}}
		}
		way := ways[n%len(ways)]
		w.second = fmt.Sprintf("%s.second-%d", w.dir, n)
		undo, err := way.make(w)
		if err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		err = w.race(ctx)
		if err == nil {
			err = w.settle(ctx, way.copy)
		}
		if undo != nil {
			err = errors.Join(err, undo())
		}
		if w.second != w.dir {
			err = errors.Join(err, os.RemoveAll(w.second))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		if t.wrong() {
			t.fault("this was %s", way.name)
		}
		serving, barred, behind = serving+w.serving, barred+w.barred, behind+w.behind
		w.serving, w.barred, w.behind, w.notes = 0, 0, 0, nil
		t.cycle()
	}
	t.say("%d times a server signed, %d times it found the other one there, %d times it refused because the other one had signed", serving, barred, behind)
	if w == nil {
		return nil
	}
	return w.finish(ctx)
}

// hardLinks makes a second directory of other names for the same files.
func (w *twinWorld) hardLinks() (func() error, error) {
	keys := filepath.Join(w.second, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return nil, err
	}
	names, err := os.ReadDir(filepath.Join(w.dir, "keys"))
	for _, name := range names {
		err = errors.Join(err, os.Link(filepath.Join(w.dir, "keys", name.Name()), filepath.Join(keys, name.Name())))
	}
	return nil, errors.Join(err, os.Link(w.storeFile(), filepath.Join(w.second, boltstore.File)))
}

func (w *twinWorld) bindMount() (func() error, error) {
	if err := os.Mkdir(w.second, 0o700); err != nil {
		return nil, err
	}
	if err := syscall.Mount(w.dir, w.second, "", syscall.MS_BIND, ""); err != nil {
		return nil, fmt.Errorf("cannot mount (run it as root): %w", err)
	}
	return func() error { return syscall.Unmount(w.second, 0) }, nil
}

// sharedKeys makes a directory with a copy of the store, and of the keys a symbolic link.
func (w *twinWorld) sharedKeys() (func() error, error) {
	if err := os.Mkdir(w.second, 0o700); err != nil {
		return nil, err
	}
	return nil, errors.Join(w.copyStore(w.dir, w.second), os.Symlink(filepath.Join(w.dir, "keys"), filepath.Join(w.second, "keys")))
}

// sharedRecord makes a directory with a copy of the store and of the keys; the last-signed record is the same file.
func (w *twinWorld) sharedRecord() (func() error, error) {
	keys := filepath.Join(w.second, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return nil, err
	}
	err := errors.Join(w.copyStore(w.dir, w.second), os.Link(w.signedFile(), filepath.Join(keys, "last-signed")))
	names, rerr := filepath.Glob(filepath.Join(w.dir, "keys", "*.pem"))
	for _, name := range names {
		b, rerr := os.ReadFile(name)
		err = errors.Join(err, rerr, os.WriteFile(filepath.Join(keys, filepath.Base(name)), b, 0o600))
	}
	return nil, errors.Join(err, rerr)
}

func (w *twinWorld) copyStore(from, to string) error {
	b, err := os.ReadFile(filepath.Join(from, boltstore.File))
	return errors.Join(err, os.WriteFile(filepath.Join(to, boltstore.File), b, 0o600))
}

// race has both start, write and end, at random moments.
func (w *twinWorld) race(ctx context.Context) error {
	type plan struct {
		dir       string
		wait, run time.Duration
		kill      bool
		again     bool
		members   []*member
	}
	half := len(w.members) / 2
	plans := [2]plan{
		{dir: w.dir, members: w.members[:half]},
		{dir: w.second, members: w.members[half:]},
	}
	for i := range plans {
		p := &plans[i]
		p.wait, p.run, p.kill, p.again = w.upTo(twinLate), w.upTo(twinRun), w.rng.IntN(2) == 0, w.rng.IntN(2) == 0
		switch w.rng.IntN(3) {
		case 0:
			p.wait = 0
		case 1:
			p.wait *= 4 // the other one may have been there, and gone
		}
	}
	var wg sync.WaitGroup
	var errs [2]error
	for i, p := range plans {
		wg.Go(func() {
			time.Sleep(p.wait)
			for n := 0; n < 2 && errs[i] == nil && (n == 0 || p.again); n++ {
				errs[i] = w.live(ctx, p.dir, p.members, p.run, p.kill)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// live is the life of one of the two.
func (w *twinWorld) live(ctx context.Context, dir string, members []*member, run time.Duration, kill bool) error {
	c, err := start(ctx, append([]string{w.bin}, serveArgs(dir)...)...)
	var ended *endedError
	switch {
	case errors.As(err, &ended) && strings.Contains(ended.stderr.last(), "another process is using"):
		w.count(&w.barred)
		return nil
	case err != nil:
		return err
	}
	defer func() {
		c.kill()
		c.wait()
	}()
	if strings.Contains(c.stderr.last(), "refusing to sign") {
		w.count(&w.behind)
		_, err := w.look(ctx, c)
		return err
	}
	w.count(&w.serving)
	deadline := time.Now().Add(run)
	for _, m := range members {
		newest, err := w.look(ctx, c)
		if err != nil {
			return err
		}
		if m.doubtful {
			continue
		}
		e, err := w.next(m, entry.After{Size: newest.Size, Note: entry.Sum(newest.Note)})
		if err != nil {
			return err
		}
		m.doubtful = true
		var refused *refusedError
		if _, err := w.submit(ctx, c, e, ""); err == nil {
			m.said(e)
		} else if !errors.As(err, &refused) {
			w.fault("a server that signs went away: %v: %s", err, c.stderr.last())
			return nil
		} // else the other one was first, and this member's word, or what it quotes, is of an older state
		if time.Now().After(deadline) {
			break
		}
	}
	if kill {
		return nil
	}
	if _, err := w.look(ctx, c); err != nil {
		return err
	}
	c.interrupt()
	return c.wait()
}

func (w *twinWorld) count(n *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n++
}

// look takes up the checkpoint that a server shows.
func (w *twinWorld) look(ctx context.Context, c *child) (*verify.SignedCheckpoint, error) {
	note, err := c.get(ctx, "checkpoint")
	if err != nil {
		return nil, err
	}
	signed, err := w.policy.Open(note)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, signed)
	return signed, nil
}

// settle finds the store that holds what was signed, gives it to the first directory, and judges: every checkpoint that
// either showed lies within it, and everything that either acknowledged.
func (w *twinWorld) settle(ctx context.Context, copied bool) error {
	for _, signed := range w.notes {
		w.judge.see(signed)
	}
	if copied {
		c, err := start(ctx, append([]string{w.bin}, serveArgs(w.dir)...)...)
		if err != nil {
			return w.didNotStart(ctx, err)
		}
		behind := strings.Contains(c.stderr.last(), "refusing to sign")
		c.interrupt()
		if err := c.wait(); err != nil {
			return err
		}
		if behind {
			if err := w.copyStore(w.second, w.dir); err != nil {
				return err
			}
		}
	}
	return w.run(ctx, "", func(*child) error { return nil })
}
