package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	killMembers   = 24 // of a ledger
	killClients   = 4  // that write at once
	killPerLedger = 60 // cycles, then a new ledger
	killFull      = 30 // cycles between full checks
	killLoad      = 120 * time.Millisecond
	killShutdown  = 40 * time.Millisecond
)

// kill kills servers. Each cycle is one kill -9: under load, in the middle of a shutdown under load,
// or while a server starts and finishes what the kill before has left.
func kill(ctx context.Context, t *trial) error {
	starting, stopping := 0, 0
	for ledger := 0; t.more(); ledger++ {
		r, err := t.newRecord(ctx, fmt.Sprintf("ledger-%d", ledger), killMembers)
		if err != nil {
			return err
		}
		typical := 50 * time.Millisecond // that a start takes
		for n := 1; n <= killPerLedger && t.more(); n++ {
			for t.rng.IntN(5) == 0 && t.more() {
				if err := r.killStarting(t.upTo(typical * 3 / 2)); err != nil {
					return err
				}
				starting++
			}
			c, err := r.start(ctx)
			if err != nil {
				return r.didNotStart(ctx, err)
			}
			t.restarted(c.took)
			typical = (3*typical + c.took) / 4
			if err := r.killUnderLoad(ctx, c, n%killFull == 0, t.rng.IntN(5) == 0, &stopping); err != nil {
				c.kill()
				return err
			}
		}
		if err := r.finish(ctx); err != nil {
			return err
		}
	}
	t.say("%d entries sent again and found, %d kills while starting, %d while stopping", t.resent, starting, stopping)
	return nil
}

// killStarting starts a server and kills it that much later.
func (r *record) killStarting(after time.Duration) error {
	c, out, err := launch(append([]string{r.bin}, serveArgs(r.dir)...)...)
	if err != nil {
		return err
	}
	go io.Copy(io.Discard, out) // a pipe that nobody holds breaks
	select {
	case <-time.After(after):
	case <-c.ended:
		r.fault("a server ended by itself while it started: %v: %s", c.err, c.stderr.last())
		return nil
	}
	c.kill()
	c.wait()
	r.cycle()
	return nil
}

// killUnderLoad judges what a server has, then kills it at a random moment under load; with
// shutdown after it was asked to end.
func (r *record) killUnderLoad(ctx context.Context, c *child, full, shutdown bool, stopping *int) error {
	if err := r.judge.catchUp(ctx, c); err != nil {
		return err
	}
	if r.wrong() {
		c.kill()
		return nil
	}
	if err := r.resend(ctx, c); err != nil {
		return err
	}
	if full {
		if err := r.judge.everything(ctx, c); err != nil {
			return err
		}
	}
	if r.wrong() {
		c.kill()
		return nil
	}
	if _, err := r.join(); err != nil {
		return err
	}
	end := make(chan struct{})
	go func() {
		defer close(end)
		select {
		case <-time.After(r.upTo(killLoad)):
		case <-c.ended:
			r.fault("the server ended by itself: %v: %s", c.err, c.stderr.last())
		case <-ctx.Done():
		}
		if shutdown {
			c.interrupt()
			select {
			case <-time.After(r.upTo(killShutdown)):
			case <-c.ended:
			}
		}
		c.kill()
	}()
	r.load(ctx, c, killClients)
	<-end
	c.wait()
	if shutdown {
		*stopping++
	}
	r.cycle()
	return ctx.Err()
}

// didNotStart tells why a server does not start on a ledger on which it must.
func (r *record) didNotStart(ctx context.Context, err error) error {
	var ended *endedError
	if ctx.Err() == nil && errors.As(err, &ended) {
		r.fault("%v", err)
		return nil
	}
	return err
}

// finish judges a ledger for the last time: whole, by fsck, and by an audit.
func (r *record) finish(ctx context.Context) error {
	if r.wrong() {
		return nil
	}
	if err := r.fsck(ctx); err != nil {
		return err
	}
	c, err := r.start(ctx)
	if err != nil {
		return r.didNotStart(ctx, err)
	}
	defer c.kill()
	r.restarted(c.took)
	if err := r.judge.catchUp(ctx, c); err != nil {
		return err
	}
	if err := r.judge.everything(ctx, c); err != nil {
		return err
	}
	if err := r.audit(ctx, c); err != nil {
		return err
	}
	c.interrupt()
	if err := c.wait(); err != nil {
		r.fault("a server that was interrupted ended with %v: %s", err, c.stderr.last())
	}
	return r.fsck(ctx)
}
