package witness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
)

// badConn is a connection on which, while bad is set, writes and reads are cut, reset, late or lost.
type badConn struct {
	net.Conn
	bad  *atomic.Bool
	dice func(n int) int
}

func (c *badConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.bad.Load() || n == 0 {
		return n, err
	}
	switch c.dice(8) {
	case 0: // what was answered is lost, and the connection with it
		c.Close()
		return 0, syscall.ECONNRESET
	case 1: // cut amid the answer
		c.Close()
		return n / 2, nil
	case 2:
		time.Sleep(time.Duration(c.dice(20)) * time.Millisecond)
	}
	return n, err
}

func (c *badConn) Write(b []byte) (int, error) {
	if c.bad.Load() {
		switch c.dice(8) {
		case 0:
			c.Conn.Write(b[:len(b)/2])
			c.Close()
			return len(b) / 2, syscall.EPIPE
		case 1: // it is never sent, and nobody says so
			return len(b), c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		}
	}
	return c.Conn.Write(b)
}

// clientOver has a client ask over connections that turn bad.
func (a *asked) clientOver(t *testing.T, seed uint64, bad *atomic.Bool) *Client {
	t.Helper()
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 2))
	dice := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return rng.IntN(n)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return &badConn{c, bad, dice}, err
	}}
	client, err := NewClient(ClientConfig{
		Origin: testOrigin, Logs: []keys.VKey{a.log[0].VKey, a.log[1].VKey}, Policy: a.policy,
		Timeout: 5 * time.Second, Grace: time.Millisecond, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// Whatever connections do, what comes back as cosigned is, every witness has seen one history, and all is well when they are.
func TestBadConnections(t *testing.T) {
	a := newAsked(t, 3, 2)
	h := leavesOf(60, "a")
	var bad atomic.Bool
	bad.Store(true)
	client := a.clientOver(t, 7, &bad)
	failed := 0
	for size := 1; size <= 59; size++ {
		got, err := client.Cosign(t.Context(), a.pending(h, size))
		if err != nil {
			failed++
			continue
		}
		if c, err := a.policy.Open(got.Note); err != nil || c.Size != uint64(size) {
			t.Fatalf("size %d: what is said to be cosigned is not: %v", size, err)
		}
	}
	bad.Store(false)
	client.asking.Wait()
	if failed == 0 || failed == 59 {
		t.Errorf("of 59 checkpoints %d were not cosigned: the connections made no difference", failed)
	}
	if _, err := client.Cosign(t.Context(), a.pending(h, 60)); err != nil {
		t.Errorf("after the connections are well again: %v", err)
	}
	client.asking.Wait()
	for i, b := range a.more {
		if w := b.state.get(testOrigin); w == nil || w.Size != 60 || w.Root != h.checkpoint(t, 60).Root || len(b.found) > 0 {
			t.Errorf("witness %d has cosigned %+v, and found %d contradictions", i, w, len(b.found))
		}
	}
}

// Two servers with one key, each with a history of its own: over bad connections too at most one of them is ever cosigned.
func TestTwoHistories(t *testing.T) {
	stopped := 0
	for try := range 16 {
		a := newAsked(t, 3, 2)
		var bad atomic.Bool
		bad.Store(try%2 == 1)
		common := leavesOf(5, "common")
		if _, err := a.client.Cosign(t.Context(), a.pending(common, 5)); err != nil {
			t.Fatal(err)
		}
		a.client.asking.Wait()
		var both sync.WaitGroup
		var won [2][]verify.Checkpoint
		var forked [2]bool
		for side := range 2 {
			h := append(append(history{}, common...), leavesOf(6, fmt.Sprint("side ", side))...)
			client := a.clientOver(t, uint64(2*try+side), &bad)
			both.Go(func() {
				for size := 6; size <= 11; size++ {
					got, err := client.Cosign(t.Context(), a.pending(h, size))
					if errors.Is(err, ledger.ErrForked) {
						forked[side] = true
						return
					}
					if err != nil {
						continue
					}
					c, err := a.policy.Open(got.Note)
					if err != nil {
						t.Errorf("what is said to be cosigned is not: %v", err)
						return
					}
					won[side] = append(won[side], c.Checkpoint)
				}
			})
		}
		both.Wait()
		if len(won[0]) > 0 && len(won[1]) > 0 {
			t.Fatalf("try %d: both histories were cosigned: %v, %v", try, won[0], won[1])
		}
		if forked[0] || forked[1] {
			stopped++
		}
	}
	if stopped == 0 {
		t.Error("no server was ever stopped: the two never met")
	}
}
