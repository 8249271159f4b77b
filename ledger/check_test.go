package ledger_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// full is a ledger with a full tile, a text, one that was taken down, and many notes.
func full(t *testing.T) *house {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	gone := h.publish("We stood by this.\n")
	for i, hash := range []entry.Hash{hash, gone} {
		if err := h.ledger.PutBlob(t.Context(), hash, []byte([]string{"We stand by this.\n", "We stood by this.\n"}[i])); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.ledger.TakeDown(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	h.must(h.many(o, hash, 1)...)
	h.must(h.many(o, hash, 250)...) // few enough for one commit
	h.must(h.many(o, hash, 11)...)
	h.must(h.many(o, hash, 1)...)
	return h
}

func TestCheck(t *testing.T) {
	h := full(t)
	if err := h.ledger.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	var done, total uint64
	o := ledger.CheckOptions{Origin: rolltest.Origin, Progress: func(d, n uint64) { done, total = d, n }}
	r, err := ledger.Check(t.Context(), h.store, o)
	if err != nil || !r.OK() || r.Size != 267 || r.Commits != 8 || r.Tiles != 1 || r.Checkpoints != 8 || r.Blobs != 1 || r.Published != 267 || r.Root != h.ledger.Published().Root {
		t.Fatalf("%+v %v", r, err)
	}
	if done != 8 || total != 8 {
		t.Errorf("progress %d of %d", done, total)
	}
	h.check()
	o.HashesOnly = true
	if r, err := ledger.Check(t.Context(), h.store, o); err != nil || !r.OK() {
		t.Fatalf("%+v %v", r, err)
	}
	// Every other kind of harm, each made on a copy.
	base := h.store.(*storetest.Memory)
	put := func(path, data string) func(m *storetest.Memory) {
		return func(m *storetest.Memory) {
			m.Put(context.Background(), ledger.Object{Path: path, Data: []byte(data)})
		}
	}
	remove := func(path string) func(m *storetest.Memory) {
		return func(m *storetest.Memory) { m.Delete(context.Background(), path) }
	}
	for name, test := range map[string]struct {
		harm  func(m *storetest.Memory)
		where string
	}{
		"a tile is missing":             {remove("tile/0/000"), "tile/0/000"},
		"a tile too many":               {put("tile/0/001", strings.Repeat("x", 8192)), "object"},
		"a partial tile":                {put("tile/0/001.p/10", strings.Repeat("x", 320)), "object"},
		"a note that is quoted is gone": {remove("checkpoints/4"), "entry 4"},
		"a note of another size": {func(m *storetest.Memory) {
			put("checkpoints/6", string(m.Object("checkpoints/5")))(m)
		}, "checkpoints/6"},
		"another good note for a size": {func(m *storetest.Memory) {
			note := bytes.Clone(m.Object("checkpoints/4"))
			put("checkpoints/4", string(append(note, "— witness.example AAAAAAAA\n"...)))(m)
		}, "entry 4"},
		"a signature of a note is gone": {func(m *storetest.Memory) {
			lines := strings.SplitAfter(string(m.Object("checkpoints/267")), "\n")
			put("checkpoints/267", strings.Join(lines[:5], ""))(m)
		}, "checkpoints/267"},
		"a text nobody named":     {put("blobs/sha256/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", "x"), "blobs/"},
		"another text":            {put("blobs/sha256/"+entry.Sum([]byte("We stand by this.\n")).String()[7:], "x"), "blobs/"},
		"a marker with something": {put("withheld/sha256/"+strings.Repeat("0", 64), "x"), "withheld/"},
		"something else":          {put("notes", "x"), "object"},
		"size with a zero":        {put("checkpoints/04", "x"), "object"},
		"the order of leaves": {func(m *storetest.Memory) {
			record := m.Commit(6)
			swap(record)
			ledger.Reseal(record)
		}, "commit 6"},
		"a leaf, with the sum made right": {func(m *storetest.Memory) {
			record := m.Commit(5)
			record[bytes.Index(record, []byte("date 2024-06-11"))+14] = '2'
			ledger.Reseal(record)
		}, "commit 5"},
		"the root hash": {func(m *storetest.Memory) {
			m.Commit(7)[22+8+32+16] ^= 1
			ledger.Reseal(m.Commit(7))
		}, "commit 7"},
		"the chain": {func(m *storetest.Memory) {
			m.Commit(3)[22+8] ^= 1
			ledger.Reseal(m.Commit(3))
		}, "commit 3"},
		"a number": {func(m *storetest.Memory) {
			m.Commit(3)[22+7] ^= 1
			ledger.Reseal(m.Commit(3))
		}, "commit 3"},
	} {
		h.store = base.Clone()
		test.harm(h.store.(*storetest.Memory))
		r := h.flaws()
		if r.OK() || !strings.HasPrefix(r.Flaws[0].Where, test.where) {
			t.Errorf("%s: %v", name, r.Flaws)
		}
		// A ledger opens over notes and texts, but never over leaves or tiles that are not right.
		h.close()
		err := h.tryOpen()
		if strings.HasPrefix(test.where, "commit") != errors.Is(err, ledger.ErrCorrupt) && err != nil {
			t.Errorf("%s: opening it gives %v", name, err)
		}
	}
	// Another log's key, another origin.
	h.store = base
	h.close()
	h.cfg.Signers = logSigners(t, "another")
	if r := h.flaws(); r.FlawCount != r.Checkpoints {
		t.Errorf("another key: %v", r.Flaws)
	}
	r, err = ledger.Check(t.Context(), base, ledger.CheckOptions{Origin: "ledger.example/other"})
	if err != nil || r.OK() || len(r.Flaws) != 100 || r.FlawCount < 267 {
		t.Errorf("another origin: %d flaws, %v", r.FlawCount, err)
	}
	if r, err := ledger.Check(t.Context(), memory(), o); err != nil || r.OK() {
		t.Errorf("an empty store: %+v %v", r, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ledger.Check(ended, base, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// swap exchanges the first two leaves of a record, which are of the same length.
func swap(record []byte) {
	at := len("undersigned/commit/v1\n") + 8 + 32 + 8 + 8 + 32 + 16
	n := 2 + int(binary.BigEndian.Uint16(record[at:]))
	m := 2 + int(binary.BigEndian.Uint16(record[at+n:]))
	both := append(bytes.Clone(record[at+n:at+n+m]), record[at:at+n]...)
	copy(record[at:], both)
}

// TestCheckBits flips bits of everything that a store holds. Each flip is found; and a ledger does
// not open over one in a leaf or a tile.
func TestCheckBits(t *testing.T) {
	h := full(t)
	h.close()
	base := h.store.(*storetest.Memory)
	paths, err := base.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	flip := func(name string, of func(m *storetest.Memory) []byte, opens bool) {
		t.Helper()
		length := len(of(base))
		for range min(length, 8) {
			at, bit := r.IntN(length), byte(1)<<r.IntN(8)
			h.store = base.Clone()
			of(h.store.(*storetest.Memory))[at] ^= bit
			if r := h.flaws(); r.OK() {
				t.Errorf("%s: a flipped bit of byte %d of %d is not found", name, at, length)
			}
			if opens {
				continue
			}
			if err := h.tryOpen(); !errors.Is(err, ledger.ErrCorrupt) {
				t.Errorf("%s: with a flipped bit of byte %d opening it gives %v", name, at, err)
			}
			h.close()
		}
	}
	for seq := uint64(1); seq <= 8; seq++ {
		flip("commit", func(m *storetest.Memory) []byte { return m.Commit(seq) }, false)
	}
	for _, path := range paths {
		flip(path, func(m *storetest.Memory) []byte { return m.Object(path) }, !strings.HasPrefix(path, "tile/"))
	}
}

// TestCheckLastSigned holds the last-signed record to the store.
func TestCheckLastSigned(t *testing.T) {
	h := full(t)
	h.close()
	record, err := os.ReadFile(h.lastSigned())
	if err != nil {
		t.Fatal(err)
	}
	h.config()
	h.check()
	h.close()
	for at := 0; at < ledger.NoteOffset; at += 127 {
		damaged := bytes.Clone(record)
		damaged[at] ^= 4
		if err := os.WriteFile(h.lastSigned(), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		h.config()
		if r := h.flaws(); r.FlawCount != 1 || r.Flaws[0].Where != "last-signed record" {
			t.Fatalf("byte %d: %v", at, r.Flaws)
		}
		h.close()
	}
	if err := os.WriteFile(h.lastSigned(), bytes.Repeat([]byte("x"), len(record)), 0o600); err != nil {
		t.Fatal(err)
	}
	h.config()
	if r := h.flaws(); r.FlawCount != 1 || r.Flaws[0].Where != "last-signed record" {
		t.Fatalf("both halves damaged: %v", r.Flaws)
	}
	h.close()
	if err := os.Remove(h.lastSigned()); err != nil {
		t.Fatal(err)
	}
	h.config()
	if r := h.flaws(); r.FlawCount != 1 {
		t.Fatal(r.Flaws)
	}
	h.close()
	// A store that is behind what was signed, and one that has another history.
	if err := os.WriteFile(h.lastSigned(), record, 0o600); err != nil {
		t.Fatal(err)
	}
	h.store = newHouse(t, memory()).store
	h.config()
	if r := h.flaws(); r.FlawCount != 1 || !strings.Contains(r.Flaws[0].Problem, "267") {
		t.Fatal(r.Flaws)
	}
}

// TestMissing opens stores from which something is gone.
func TestMissing(t *testing.T) {
	h := full(t)
	h.close()
	base := h.store.(*storetest.Memory).Clone()
	for _, path := range []string{"tile/0/000", "checkpoints/267", "checkpoints/255"} {
		h.store = base.Clone()
		if err := h.store.Delete(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		// For reading, what the store lacks comes from memory, and the note before is published.
		h.cfg.Signers = nil
		h.open()
		if _, err := h.ledger.Fetch(t.Context(), "tile/0/000"); err != nil {
			t.Fatal(err)
		}
		if size := h.ledger.Published().Size; size != map[string]uint64{"tile/0/000": 267, "checkpoints/267": 266, "checkpoints/255": 267}[path] {
			t.Fatal(size)
		}
		h.close()
		h.cfg.Signers = logSigners(t, "log")
		h.open()
		if path != "checkpoints/255" { // quoted, and gone
			h.audited()
			h.check()
		}
		h.close()
	}
}
