package storetest

import (
	"context"
	"errors"
	"sync"

	"github.com/tccm/undersigned/ledger"
)

// A Fault is what happens to a call of a Store.
type Fault int

// The faults. A call that fails may have had its effect all the same.
const (
	Works          Fault = iota
	Fails                // an error, and nothing done
	FailsPersisted       // an error, and done
)

func (f Fault) String() string { return [...]string{"works", "fails", "fails but persisted"}[f] }

// ErrFault is the error of a call that fails, unless a Faulty has another.
var ErrFault = errors.New("injected fault")

// A Faulty is a Store some of whose calls fail.
type Faulty struct {
	ledger.Store
	// Fault is asked before each call but Close, with its name ("Create") and its number, from 1.
	Fault func(call string, n int) Fault
	// Err is the error of calls that fail; nil: ErrFault.
	Err error

	mu sync.Mutex
	n  int
}

func (f *Faulty) call(name string) (before, after error) {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	err := f.Err
	if err == nil {
		err = ErrFault
	}
	switch f.Fault(name, n) {
	case Fails:
		return err, nil
	case FailsPersisted:
		return nil, err
	}
	return nil, nil
}

// either returns the injected error, if there is one, and else the store's own.
func either(injected, own error) error {
	if injected != nil {
		return injected
	}
	return own
}

// Calls returns how many calls were made.
func (f *Faulty) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// Last implements ledger.Store.
func (f *Faulty) Last(ctx context.Context) (uint64, error) {
	before, after := f.call("Last")
	if before != nil {
		return 0, before
	}
	last, err := f.Store.Last(ctx)
	return last, either(after, err)
}

// Room implements ledger.Store.
func (f *Faulty) Room(ctx context.Context, bytes int) error {
	before, after := f.call("Room")
	if before != nil {
		return before
	}
	return either(after, f.Store.Room(ctx, bytes))
}

// Create implements ledger.Store.
func (f *Faulty) Create(ctx context.Context, seq uint64, record []byte, objects ...ledger.Object) error {
	before, after := f.call("Create")
	if before != nil {
		return before
	}
	return either(after, f.Store.Create(ctx, seq, record, objects...))
}

// Read implements ledger.Store.
func (f *Faulty) Read(ctx context.Context, seq uint64) ([]byte, error) {
	before, after := f.call("Read")
	if before != nil {
		return nil, before
	}
	record, err := f.Store.Read(ctx, seq)
	return record, either(after, err)
}

// Put implements ledger.Store.
func (f *Faulty) Put(ctx context.Context, objects ...ledger.Object) error {
	before, after := f.call("Put")
	if before != nil {
		return before
	}
	return either(after, f.Store.Put(ctx, objects...))
}

// Get implements ledger.Store.
func (f *Faulty) Get(ctx context.Context, path string) ([]byte, error) {
	before, after := f.call("Get")
	if before != nil {
		return nil, before
	}
	data, err := f.Store.Get(ctx, path)
	return data, either(after, err)
}

// List implements ledger.Store.
func (f *Faulty) List(ctx context.Context, prefix string) ([]string, error) {
	before, after := f.call("List")
	if before != nil {
		return nil, before
	}
	paths, err := f.Store.List(ctx, prefix)
	return paths, either(after, err)
}

// Delete implements ledger.Store.
func (f *Faulty) Delete(ctx context.Context, path string) error {
	before, after := f.call("Delete")
	if before != nil {
		return before
	}
	return either(after, f.Store.Delete(ctx, path))
}
