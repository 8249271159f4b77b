package storetest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/tccm/undersigned/ledger"
)

// A Memory is a store in memory, for tests. Closing it loses nothing: it can be opened again.
type Memory struct {
	mu       sync.Mutex
	closed   bool
	readOnly bool
	commits  [][]byte
	objects  map[string][]byte
	limited  bool
	capacity int
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{objects: make(map[string][]byte)} }

// Reopen undoes Close, for writing or for reading.
func (m *Memory) Reopen(readOnly bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.readOnly = false, readOnly
}

// Clone returns a copy, as a backup would be one.
func (m *Memory) Clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMemory()
	for _, record := range m.commits {
		c.commits = append(c.commits, bytes.Clone(record))
	}
	for path, data := range m.objects {
		c.objects[path] = bytes.Clone(data)
	}
	return c
}

// Commit returns the stored bytes of commit seq themselves, for tests that damage them.
func (m *Memory) Commit(seq uint64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commits[seq-1]
}

// Object returns the stored bytes of an object themselves, nil if there is none.
func (m *Memory) Object(path string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objects[path]
}

// Limit sets the capacity: how many bytes the records, the objects and their paths may have in all;
// negative for no bound, as at first.
func (m *Memory) Limit(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limited, m.capacity = bytes >= 0, bytes
}

// Used returns how many bytes of the capacity are in use.
func (m *Memory) Used() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used()
}

func (m *Memory) used() (n int) {
	for _, record := range m.commits {
		n += len(record)
	}
	for path, data := range m.objects {
		n += len(path) + len(data)
	}
	return n
}

// room returns ledger.ErrFull if there is no space for so many bytes.
func (m *Memory) room(bytes int) error {
	if m.limited && m.used()+bytes > m.capacity {
		return ledger.ErrFull
	}
	return nil
}

// Room implements ledger.Store.
func (m *Memory) Room(ctx context.Context, bytes int) error {
	unlock, err := m.use(ctx, true)
	if err != nil {
		return err
	}
	defer unlock()
	return m.room(bytes)
}

func (m *Memory) use(ctx context.Context, write bool) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	switch {
	case m.closed:
		err = errors.New("the store is closed")
	case write && m.readOnly:
		err = ledger.ErrReadOnly
	default:
		return m.mu.Unlock, nil
	}
	m.mu.Unlock()
	return nil, err
}

// Last implements ledger.Store.
func (m *Memory) Last(ctx context.Context) (uint64, error) {
	unlock, err := m.use(ctx, false)
	if err != nil {
		return 0, err
	}
	defer unlock()
	return uint64(len(m.commits)), nil
}

// Create implements ledger.Store.
func (m *Memory) Create(ctx context.Context, seq uint64, record []byte, objects ...ledger.Object) error {
	unlock, err := m.use(ctx, true)
	if err != nil {
		return err
	}
	defer unlock()
	switch last := uint64(len(m.commits)); {
	case len(record) > ledger.MaxRecord:
		return errors.New("the commit is too large")
	case seq == 0 || seq > last+1:
		return errors.New("the commit before it is missing")
	case seq <= last:
		return ledger.ErrExists
	}
	if err := m.put(len(record), objects); err != nil {
		return err
	}
	m.commits = append(m.commits, append([]byte{}, record...))
	return nil
}

// Read implements ledger.Store.
func (m *Memory) Read(ctx context.Context, seq uint64) ([]byte, error) {
	unlock, err := m.use(ctx, false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if seq == 0 || seq > uint64(len(m.commits)) {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(m.commits[seq-1]), nil
}

// Put implements ledger.Store.
func (m *Memory) Put(ctx context.Context, objects ...ledger.Object) error {
	unlock, err := m.use(ctx, true)
	if err != nil {
		return err
	}
	defer unlock()
	return m.put(0, objects)
}

// put puts objects, if there is space for them and for so many bytes beside.
func (m *Memory) put(more int, objects []ledger.Object) error {
	for _, o := range objects {
		if o.Path == "" || len(o.Path) > 255 || len(o.Data) > 16<<20 {
			return errors.New("the object or its path is too long")
		}
	}
	for _, o := range objects {
		more += len(o.Path) + len(o.Data)
	}
	if err := m.room(more); err != nil {
		return err
	}
	for _, o := range objects {
		m.objects[o.Path] = append([]byte{}, o.Data...)
	}
	return nil
}

// Get implements ledger.Store.
func (m *Memory) Get(ctx context.Context, path string) ([]byte, error) {
	unlock, err := m.use(ctx, false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	data, ok := m.objects[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(data), nil
}

// List implements ledger.Store.
func (m *Memory) List(ctx context.Context, prefix string) ([]string, error) {
	unlock, err := m.use(ctx, false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var paths []string
	for path := range m.objects {
		if strings.HasPrefix(path, prefix) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// Delete implements ledger.Store.
func (m *Memory) Delete(ctx context.Context, path string) error {
	unlock, err := m.use(ctx, true)
	if err != nil {
		return err
	}
	defer unlock()
	delete(m.objects, path)
	return nil
}

// Close implements ledger.Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
