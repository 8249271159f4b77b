package ledger

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestGate fills the gate and holds those that wait to their patience.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate, 2)
		hold := make(chan struct{})
		for range cap(g) {
			go g.pass(t.Context(), true, func() { <-hold })
		}
		synctest.Wait()
		begin := time.Now()
		if err := g.pass(t.Context(), false, func() { t.Error("it passed") }); !errors.Is(err, ErrBusy) || time.Since(begin) != checkPatience {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := g.pass(ctx, true, func() { t.Error("it passed") }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a patient one: %v", err)
		}
		passed := make(chan error, 1)
		go func() { passed <- g.pass(t.Context(), false, func() {}) }()
		synctest.Wait()
		close(hold)
		if err := <-passed; err != nil {
			t.Errorf("when there is room: %v", err)
		}
		synctest.Wait()
		if len(g) != 0 {
			t.Errorf("%d are still inside", len(g))
		}
	})
}

// TestGatePanics checks that the gate opens again after a panic.
func TestGatePanics(t *testing.T) {
	g := make(gate, 1)
	func() {
		defer func() { recover() }()
		g.pass(t.Context(), false, func() { panic("on purpose") })
	}()
	if err := g.pass(t.Context(), false, func() {}); err != nil {
		t.Error(err)
	}
}
