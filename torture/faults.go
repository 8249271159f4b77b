package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/torture/inject"
)

const (
	faultMembers = 8
	faultBatch   = 1000 // entries
	faultEnd     = 20 * time.Second
	faultCheck   = 100  // cycles between full checks
	faultLargest = 8000 // entries, then a new ledger, which starts faster
)

// A kind of fault says what happens to the calls n and n+1, counted from 1.
type kind struct {
	name  string
	at    func(n int) map[int]inject.Fault
	write bool // only to calls that write bytes
}

var kinds = []kind{
	{"EIO", func(n int) map[int]inject.Fault { return map[int]inject.Fault{n: {Errno: syscall.EIO}} }, false},
	{"ENOSPC", func(n int) map[int]inject.Fault { return map[int]inject.Fault{n: {Errno: syscall.ENOSPC}} }, false},
	{"EIO twice", func(n int) map[int]inject.Fault {
		return map[int]inject.Fault{n: {Errno: syscall.EIO}, n + 1: {Errno: syscall.EIO}}
	}, false},
	{"kill", func(n int) map[int]inject.Fault { return map[int]inject.Fault{n: {Kill: true}} }, false},
	{"short write", func(n int) map[int]inject.Fault { return map[int]inject.Fault{n: {Half: true}} }, true},
	{"short write, then ENOSPC", func(n int) map[int]inject.Fault {
		return map[int]inject.Fault{n: {Half: true}, n + 1: {Errno: syscall.ENOSPC}}
	}, true},
	{"kill amid a write", func(n int) map[int]inject.Fault { return map[int]inject.Fault{n: {Half: true, Kill: true}} }, true},
}

// A sweep makes every call fail that a server makes to do one thing.
type sweep struct {
	name string
	// starting: the calls are those of a start after a crash, not those of a submission.
	starting bool
	entries  int // of the submission
}

// faults makes the calls fail that change files, each in its turn, alone and together with the next: of a
// submission, from the request to its answer, and of a start that finishes what a crash has left.
func faults(ctx context.Context, t *trial) error {
	sweeps := []sweep{{"submission", false, 1}, {"start", true, 1}}
	if t.full {
		sweeps = append(sweeps, sweep{"batch", false, faultBatch}, sweep{"start after a batch", true, faultBatch})
	}
	outcomes := make(map[string]int)
	ledgers := 0
	for _, s := range sweeps {
		w := &faultWorld{t: t, sweep: s, outcomes: outcomes}
		most := 0
		for _, k := range kinds {
			for n := 1; !t.wrong() && !t.enough(); n++ {
				if w.record == nil || w.judge.size() > faultLargest {
					if err := w.renew(ctx, fmt.Sprintf("ledger-%d", ledgers)); err != nil {
						return err
					}
					ledgers++
				}
				calls, err := w.one(ctx, k, n)
				if err != nil {
					return fmt.Errorf("%s, %s at call %d: %w", s.name, k.name, n, err)
				}
				if calls < n {
					break
				}
				most = max(most, n)
			}
		}
		if most == 0 && !t.wrong() && !t.enough() {
			return fmt.Errorf("%s: no call was seen", s.name)
		}
		t.say("%d positions in a %s", most, s.name)
		if w.record != nil {
			if err := w.finish(ctx); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{outcomeCarriedOn, outcomeRefused, outcomeStopped, outcomeKilled} {
		t.say("%s %d times", name, outcomes[name])
	}
	return nil
}

// enough reports whether the part has done as many cycles as it was asked for, if it was.
func (t *trial) enough() bool { return t.cycles > 0 && t.done >= t.cycles }

const (
	outcomeCarriedOn = "not disturbed"
	outcomeRefused   = "refused and went on"
	outcomeStopped   = "stopped"
	outcomeKilled    = "killed"
)

type faultWorld struct {
	*record // nil: none yet
	sweep
	t        *trial
	outcomes map[string]int
	cycles   int
}

// renew judges the ledger so far for the last time, and makes another one.
func (w *faultWorld) renew(ctx context.Context, name string) error {
	if w.record != nil {
		if err := w.finish(ctx); err != nil {
			return err
		}
	}
	r, err := w.t.newRecord(ctx, name, faultMembers)
	if err != nil {
		return err
	}
	r.dir, err = filepath.EvalSymlinks(r.dir)
	w.record = r
	return err
}

// supervised starts a server whose calls are seen.
func (w *faultWorld) supervised(ctx context.Context, decide func(inject.Call) inject.Fault) (*child, *inject.Process, error) {
	var p *inject.Process
	begin := func(cmd *exec.Cmd) (err error) {
		p, err = inject.Start(cmd, w.dir, decide)
		return err
	}
	c, err := startBy(ctx, begin, append([]string{w.bin}, serveArgs(w.dir)...)...)
	return c, p, err
}

// one makes the calls from n on fail as kind says, and judges what is left of the record. It returns how many calls
// there were; if it is less than n, nothing has failed.
func (w *faultWorld) one(ctx context.Context, k kind, n int) (calls int, err error) {
	plan := k.at(n)
	var hit []inject.Call
	fatal := false // what failed is needed
	seen := 0
	renewing := 0 // of its first two pages, each of which is synced, so many are still written again
	if w.starting {
		renewing = 2
	}
	decide := func(c inject.Call) inject.Fault {
		if strings.HasPrefix(filepath.Base(c.Path), "control") {
			return inject.Fault{} // the socket, which a server that has just started makes when it gets to it
		}
		seen++
		// What the store's file holds already is written again; without space for that a server goes on, and does it later.
		again := renewing > 0 && filepath.Base(c.Path) == boltstore.File
		if again && c.Name == "fdatasync" {
			renewing--
		}
		f, ok := plan[seen]
		if !ok || k.write && seen == n && !c.Writes() || seen > n && len(hit) == 0 {
			return inject.Fault{}
		}
		hit = append(hit, c)
		fatal = fatal || f.Errno != 0 && !dispensable(c) && !(again && f.Errno == syscall.ENOSPC)
		return f
	}
	var c *child
	var p *inject.Process
	if w.starting {
		if err := w.crash(ctx); err != nil {
			return 0, err
		}
		if c, p, err = w.supervised(ctx, decide); err == nil {
			err = w.judge.catchUp(ctx, c)
		}
	} else if c, p, err = w.begin(ctx); err == nil {
		p.Arm(decide)
		err = w.write(ctx, c)
	}
	// A server that did not come up, an answer that did not come: what became of it, its end tells.
	var ended *endedError
	if errors.As(err, &ended) {
		c = ended.child
	}
	if c == nil || ctx.Err() != nil {
		return 0, errors.Join(err, ctx.Err())
	}
	defer c.kill()
	// What the server does after its answer is not part of what is swept.
	p.Arm(nil)
	calls = seen
	what := fmt.Sprintf("%s, %s at %v", w.sweep.name, k.name, hit)
	outcome := w.outcome(c, err, len(hit) > 0, fatal, strings.Contains(k.name, "kill"), what)
	if err := p.Ended(); err != nil {
		return 0, err
	}
	if len(hit) > 0 {
		w.outcomes[outcome]++
		w.cycle()
	}
	return calls, w.after(ctx, what)
}

// dispensable reports whether a server may go on if a call fails: it only sets room aside beforehand,
// clears something away, or keeps what can be computed anew.
func dispensable(c inject.Call) bool {
	return c.Name == "fallocate" || c.Name == "unlinkat" || strings.HasPrefix(filepath.Base(c.Path), "snapshot")
}

// outcome waits for the end of a server, ends it if it goes on, and says what it did about a fault.
func (w *faultWorld) outcome(c *child, err error, hit, fatal, kill bool, what string) string {
	var refused *refusedError
	answered := err == nil
	limit := faultEnd
	if !fatal && (errors.As(err, &refused) && refused.Status == 507 || answered) {
		limit = 50 * time.Millisecond // it may go on
	}
	select {
	case <-c.ended:
	case <-time.After(limit):
	}
	if c.running() {
		switch {
		case !hit && !answered:
			w.fault("%s: nothing failed, and yet: %v", what, err)
		case kill && hit:
			w.fault("%s: it was killed and goes on", what)
		case fatal:
			w.fault("%s: it goes on (the answer: %v)", what, err)
		case !answered && (refused == nil || refused.Status != 507):
			w.fault("%s: it answered %v and neither stops nor says that there is no room", what, err)
		}
		c.interrupt()
		select {
		case <-c.ended:
		case <-time.After(faultEnd):
			w.fault("%s: it does not end when it is interrupted", what)
			c.kill()
			c.wait()
		}
		if refused != nil {
			return outcomeRefused
		}
		return outcomeCarriedOn
	}
	status, _ := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case !hit:
		w.fault("%s: nothing failed, and it ended with %v: %s", what, c.err, c.stderr.last())
	case kill:
		if !status.Signaled() || status.Signal() != syscall.SIGKILL {
			w.fault("%s: it ended by itself: %v: %s", what, c.err, c.stderr.last())
		}
		return outcomeKilled
	case status.ExitStatus() != 1 || !strings.Contains(c.stderr.last(), "undersigned: "):
		w.fault("%s: it ended with %v and without a sentence: %s", what, c.err, c.stderr.last())
	case strings.Contains(c.stderr.last(), "goroutine "):
		w.fault("%s: it panicked: %s", what, c.stderr.last())
	}
	return outcomeStopped
}

// begin starts a server whose calls are seen, on a record that is sound.
func (w *faultWorld) begin(ctx context.Context) (*child, *inject.Process, error) {
	c, p, err := w.supervised(ctx, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("a start without faults: %w", err)
	}
	w.restarted(c.took)
	if err := w.judge.catchUp(ctx, c); err != nil {
		c.kill()
		return nil, nil, err
	}
	return c, p, nil
}

// crash leaves the record as a crash does between a commit and its checkpoint.
func (w *faultWorld) crash(ctx context.Context) error {
	c, p, err := w.begin(ctx)
	if err != nil {
		return err
	}
	defer c.kill()
	p.Arm(func(c inject.Call) inject.Fault {
		return inject.Fault{Kill: filepath.Base(c.Path) == "last-signed"}
	})
	if err := w.write(ctx, c); err == nil {
		return errors.New("the server should have been killed before it signed")
	}
	c.wait()
	return p.Ended()
}

// write submits what the sweep is about.
func (w *faultWorld) write(ctx context.Context, c *child) error { return w.grow(ctx, c, w.entries) }

// after judges the record that a fault has left, by a server without one.
func (w *faultWorld) after(ctx context.Context, what string) error {
	if w.wrong() {
		return nil
	}
	w.cycles++
	if w.cycles%faultCheck == 0 {
		if err := w.fsck(ctx); err != nil {
			return err
		}
	} else if !w.starting {
		return nil // the next cycle begins with it
	}
	c, err := w.start(ctx)
	if err != nil {
		return w.didNotStart(ctx, err)
	}
	defer c.kill()
	w.restarted(c.took)
	if err := w.judge.catchUp(ctx, c); err != nil {
		return err
	}
	if w.cycles%faultCheck == 0 {
		if err := w.judge.everything(ctx, c); err != nil {
			return err
		}
	}
	if w.wrong() {
		w.fault("this was after: %s", what)
	}
	c.interrupt()
	c.wait()
	return nil
}
