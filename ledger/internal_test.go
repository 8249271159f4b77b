package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// TestImports keeps out of this package what it must not depend on.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	for prefix, why := range map[string]string{
		"net/http":                                     "whoever speaks HTTP is handed a Ledger, or hands it a function",
		"go.etcd.io/bbolt":                             "a store is handed in; S3 or memory do as well",
		"github.com/tccm/undersigned/ledger/":          "its children build on it",
		"github.com/tccm/undersigned/cmd/":             "the binary is at the top",
		"github.com/tccm/undersigned/keys/source":      "private keys are handed in as functions",
		"github.com/sigstore/":                         "private keys are handed in as functions",
		"github.com/prometheus/":                       "metrics belong to whoever serves",
		"github.com/tccm/undersigned/verify/roll/roll": "rolltest is for tests",
	} {
		for _, dep := range deps {
			if strings.HasPrefix(dep, prefix) {
				t.Errorf("ledger depends on %s: %s", dep, why)
			}
		}
	}
	if !slices.Contains(deps, "github.com/tccm/undersigned/verify/roll") {
		t.Error("the list of dependencies is not one")
	}
}

func TestRecord(t *testing.T) {
	r := &record{seq: 7, prev: [32]byte{1}, from: 5, size: 8, root: [32]byte{2}, nonce: [16]byte{3}, leaves: [][]byte{[]byte("one"), {0}, bytes.Repeat([]byte("x"), 65535)}}
	b := r.encode()
	got, err := decodeRecord(b)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(r) || !bytes.Equal(got.encode(), b) {
		t.Fatalf("%v", err)
	}
	if !got.follows(6, r.prev, 5) || got.follows(7, r.prev, 5) || got.follows(6, r.prev, 6) || got.follows(6, [32]byte{}, 5) {
		t.Error("follows")
	}
	short := (&record{seq: 1, size: 2, leaves: [][]byte{[]byte("one"), []byte("two")}}).encode()
	for at := range short {
		for bit := range 8 {
			bad := bytes.Clone(short)
			bad[at] ^= 1 << bit
			if _, err := decodeRecord(bad); err == nil {
				t.Fatalf("bit %d of byte %d is not missed", bit, at)
			}
		}
		if _, err := decodeRecord(short[:at]); err == nil {
			t.Fatalf("the first %d bytes decode", at)
		}
	}
	for name, bad := range map[string]*record{
		"no leaf":         {seq: 1},
		"seq 0":           {size: 1, leaves: [][]byte{{1}}},
		"size too large":  {seq: 1, from: 1<<63 - 1, size: 1 << 63, leaves: [][]byte{{1}}},
		"size wrong":      {seq: 1, size: 2, leaves: [][]byte{{1}}},
		"size wraps":      {seq: 1, from: 1<<64 - 1, size: 0, leaves: [][]byte{{1}}},
		"size goes back":  {seq: 1, from: 2, size: 1, leaves: [][]byte{{1}}},
		"size stays":      {seq: 1, from: 2, size: 2, leaves: [][]byte{{1}}},
		"size before one": {seq: 1, from: 2, size: 4, leaves: [][]byte{{1}}},
	} {
		if _, err := decodeRecord(bad.encode()); err == nil {
			t.Errorf("%s: it decodes", name)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add((&record{seq: 1, size: 2, leaves: [][]byte{[]byte("one"), []byte("two")}}).encode())
	f.Add([]byte(recordMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= recordHeader+recordSum { // let it get past the sum
			Reseal(b)
		}
		if r, err := decodeRecord(b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Error("it encodes to other bytes")
		}
	})
}

func FuzzSigned(f *testing.F) {
	f.Add(signedRecord{"ledger.example/test", [32]byte{1}, 2, 3, [32]byte{4}}.slot())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := parseSigned(b); ok && !bytes.Equal(r.slot(), b) {
			t.Error("it prints other bytes")
		}
	})
}

func TestLastSigned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last-signed")
	open := func() *LastSigned {
		t.Helper()
		s, err := OpenLastSigned(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	s := open()
	if s.have || s.bad {
		t.Fatal("a record that is missing says something")
	}
	keys := [32]byte{7}
	for size := range uint64(5) {
		if err := s.write("ledger.example/test", keys, size, [32]byte{byte(size)}, nil); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = open()
		want := signedRecord{"ledger.example/test", keys, size + 1, size, [32]byte{byte(size)}}
		if !s.have || s.bad || s.last != want {
			t.Fatalf("%+v, want %+v", s.last, want)
		}
	}
	s.Close()
	// A write that was cut short anywhere leaves the one before.
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	next := signedRecord{"ledger.example/test", keys, 6, 5, [32]byte{5}}.slot()
	for n := 0; n <= len(next); n += 13 {
		torn := bytes.Clone(whole)
		copy(torn, next[:n]) // count 6 goes to slot 0
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open()
		if !s.have || s.last.size != 4 && s.last.size != 5 {
			t.Fatalf("after %d bytes: %+v", n, s.last)
		}
		s.Close()
	}
	// The slots are what they were before there was room for a note behind them, and say the same without it.
	s = open()
	if err := s.reserve(); err != nil {
		t.Fatal(err)
	}
	if err := s.write("ledger.example/test", keys, 6, [32]byte{6}, []byte("a note\n")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	slot := signedRecord{"ledger.example/test", keys, s.last.count, 6, [32]byte{6}}.slot()
	if b, err := os.ReadFile(path); err != nil || len(b) != signedFile || !bytes.Equal(b[s.last.count%2*signedSlot:][:signedSlot], slot) {
		t.Errorf("%d bytes, and the slot is not what it ought to be (%v)", len(b), err)
	}
	if s = open(); string(s.note) != "a note\n" || s.last.size != 6 {
		t.Errorf("it keeps %q, size %d", s.note, s.last.size)
	}
	s.Close()
	if err := os.Truncate(path, noteOffset); err != nil {
		t.Fatal(err)
	}
	if s = open(); s.note != nil || s.last.size != 6 || s.bad {
		t.Errorf("without what is behind the slots: %q, %+v", s.note, s.last)
	}
	s.Close()
	// A file that is too short, or someone else's.
	for _, b := range [][]byte{{}, []byte("hello\n"), whole[:5000], append(bytes.Clone(whole), 1)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open()
		if s.have != (len(b) >= 4096) || s.bad != (len(b) == 6 || len(b) == 5000) {
			t.Errorf("%d bytes: have %v, bad %v", len(b), s.have, s.bad)
		}
		s.Close()
	}
	if _, err := OpenLastSigned(filepath.Dir(path)); err == nil {
		t.Error("a directory is a record")
	}
	// Two that both found it missing do not both make it.
	path = filepath.Join(t.TempDir(), "last-signed")
	a, b := open(), open()
	if err := a.write("ledger.example/test", keys, 0, [32]byte{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.write("ledger.example/test", keys, 0, [32]byte{}, nil); err == nil {
		t.Error("two records were made")
	}
}

// TestTilesFromTheStore reads tiles back that the tree no longer has, right ones and others.
func TestTilesFromTheStore(t *testing.T) {
	stored := make(map[string][]byte)
	tr := newTree(func(_ context.Context, path string) ([]byte, error) { return bytes.Clone(stored[path]), nil })
	for i := range 600 {
		tr.append(verify.LeafHash([]byte{byte(i), byte(i >> 8)}))
	}
	ids := tr.full(600)
	for _, id := range ids {
		stored[id.tile().Path()] = tr.pendingBytes(id)
	}
	tr.stored(ids)
	root, err := tr.rootAt(t.Context(), 300)
	if err != nil {
		t.Fatal(err)
	}
	forget := func() { tr.cache = newLRU[tileID, *tile](cachedTiles) }
	forget()
	if again, err := tr.rootAt(t.Context(), 300); err != nil || again != root {
		t.Fatalf("from the store: %v", err)
	}
	tile := stored["tile/0/001"]
	for _, bad := range [][]byte{nil, tile[:len(tile)-1], append(bytes.Clone(tile), 0)} {
		forget()
		stored["tile/0/001"] = bad
		if _, err := tr.rootAt(t.Context(), 300); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	for at := 0; at < len(tile); at += 97 {
		forget()
		stored["tile/0/001"] = bytes.Clone(tile)
		stored["tile/0/001"][at] ^= 1
		if _, err := tr.tile(t.Context(), tileID{0, 1}, 1); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
}

// TestTree compares the tree with a plain one, at every size on the way.
func TestTree(t *testing.T) {
	tr := newTree(nil)
	plain := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	var hashes [][32]byte
	roots := make(map[uint64][32]byte)
	for i := range 1500 {
		h := verify.LeafHash([]byte{byte(i), byte(i >> 8)})
		hashes = append(hashes, h)
		tr.append(h)
		if err := plain.Append(h[:], nil); err != nil {
			t.Fatal(err)
		}
		want, err := plain.GetRootHash(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tr.rootAt(t.Context(), uint64(i+1))
		if err != nil || !bytes.Equal(got[:], want) {
			t.Fatalf("size %d: %v", i+1, err)
		}
		roots[uint64(i+1)] = got
	}
	for size, root := range roots {
		if got, err := tr.rootAt(t.Context(), size); err != nil || got != root {
			t.Fatalf("size %d afterwards: %v", size, err)
		}
	}
	if _, err := tr.rootAt(t.Context(), 1501); err == nil {
		t.Error("there is a root hash of a tree that does not exist")
	}
	for index := range uint64(1500) {
		proof, err := verify.Inclusion(index, 1500, tr.nodes(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if err := verify.CheckInclusion(hashes[index], index, 1500, proof, roots[1500]); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(tr.full(tr.size)); n != 5 {
		t.Errorf("%d full tiles", n)
	}
}

// TestGather: the writer waits for as many as it answered, and for no longer than it is told to.
func TestGather(t *testing.T) {
	for _, tc := range []struct {
		name  string
		there int             // items that wait already
		come  []time.Duration // when others come
		ends  time.Duration   // when the ledger ends; 0: later
		want  time.Duration
	}{
		{"all are there", 3, nil, 0, 0},
		{"the last comes", 1, []time.Duration{time.Millisecond, 4 * time.Millisecond}, 0, 4 * time.Millisecond},
		{"one stays away", 1, []time.Duration{time.Millisecond}, 0, 2 * gatherQuiet},
		{"nobody comes", 0, nil, 0, gatherQuiet},
		{"they come slowly", 0, []time.Duration{gatherQuiet - 1, 2*gatherQuiet - 1}, 0, 3 * gatherQuiet},
		{"too slowly", 0, []time.Duration{gatherQuiet - 1, 2*gatherQuiet + 1, 9 * time.Millisecond}, 0, 2 * gatherQuiet},
		{"more come than it waits for", 2, []time.Duration{time.Millisecond, 2 * time.Millisecond}, 0, time.Millisecond},
		{"it ends", 0, nil, 2 * time.Millisecond, 2 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				done, end := context.WithCancel(t.Context())
				defer end()
				if tc.ends > 0 {
					time.AfterFunc(tc.ends, end)
				}
				var q queue
				q.init(10)
				add := func() {
					if n, err := q.add(t.Context(), done, []*item{{size: 1}}, false); n != 1 || err != nil {
						t.Error(n, err)
					}
				}
				for range tc.there {
					add()
				}
				for _, at := range tc.come {
					time.AfterFunc(at, add)
				}
				begun := time.Now()
				q.gather(done, 3, 10*time.Millisecond)
				if took := time.Since(begun); took != tc.want {
					t.Errorf("it took %v, not %v", took, tc.want)
				}
				if q.least != 0 {
					t.Error("the writer is still woken late")
				}
				n := tc.there
				for _, at := range tc.come {
					if at <= tc.want {
						n++
					}
				}
				// What gather heard of is taken all the same.
				if n > 0 && tc.ends == 0 {
					if batch, _, more := q.take(done, nil, nil, nil, 10, 1<<20); len(batch) != n || !more {
						t.Errorf("%d are taken, not %d", len(batch), n)
					}
				}
			})
		})
	}
}

// TestGatherEnds lets items come for ever, and fewer than it waits for.
func TestGatherEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		q.init(100)
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go func() {
			tick := time.NewTicker(gatherQuiet / 2)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					q.add(ctx, ctx, []*item{{size: 1}}, false)
				case <-ctx.Done():
					return
				}
			}
		}()
		begun := time.Now()
		if q.gather(ctx, 99, maxGather); time.Since(begun) != maxGather {
			t.Errorf("it took %v", time.Since(begun))
		}
	})
}

// TestGatherBytes waits for no more than a commit takes.
func TestGatherBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		q.init(100)
		time.AfterFunc(gatherQuiet/2, func() { q.add(t.Context(), t.Context(), []*item{{size: maxBatchBytes}}, false) })
		begun := time.Now()
		if q.gather(t.Context(), 99, maxGather); time.Since(begun) != gatherQuiet/2 {
			t.Errorf("it took %v", time.Since(begun))
		}
	})
}

func TestGatherTarget(t *testing.T) {
	for _, tc := range []struct{ turn, waiting, most, want int }{
		{1, 0, 1024, 0}, {15, 500, 1024, 0}, {16, 0, 1024, 12}, {16, 16, 1024, 24}, {120, 80, 1024, 150}, {1024, 1024, 1024, 1024}, {100, 100, 3, 3},
	} {
		if got := gatherTarget(tc.turn, tc.waiting, tc.most); got != tc.want {
			t.Errorf("after %d, while %d wait, of %d at most: %d, want %d", tc.turn, tc.waiting, tc.most, got, tc.want)
		}
	}
}

// TestBusy asks for what was used since the time before.
func TestBusy(t *testing.T) {
	all := time.Duration(runtime.GOMAXPROCS(0))
	at := time.Now()
	u := usage{at, time.Hour}
	for i, tc := range []struct {
		took, used time.Duration
		want       bool
	}{
		{3 * time.Millisecond, all * time.Millisecond, true},
		{3 * time.Millisecond, all*time.Millisecond - 1, false},
		{time.Second, 0, false},
		{time.Millisecond, all * time.Millisecond, true},
		{0, 0, false},
	} {
		at = at.Add(tc.took)
		if got := u.busy(at, u.used+tc.used); got != tc.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	if u.busy(at.Add(time.Second), 0) {
		t.Error("a system that does not tell is busy")
	}
}

// TestWakeFrom has the writer woken when as many wait as it waits for.
func TestWakeFrom(t *testing.T) {
	var q queue
	q.init(10)
	add := func() bool {
		if n, err := q.add(t.Context(), t.Context(), []*item{{size: 1}}, false); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		select {
		case <-q.ready:
			return true
		default:
			return false
		}
	}
	q.wakeFrom(2)
	first, second := add(), add()
	q.wakeFrom(0)
	if third := add(); first || !second || !third {
		t.Errorf("woken: %v, %v, %v, want only the first not", first, second, third)
	}
}

// A panic while leaves are judged by one worker is its caller's.
func TestCheckLeavesPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("nothing panics")
		}
	}()
	checkLeaves(nil, rolltest.New(t).Leaves, 1)
}

// Where there is no space to write again what the record says already, it is left as it is; what it does not say is refused.
func TestLastCosignedOnAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last-cosigned")
	if err := CreateLastCosigned(path); err != nil {
		t.Fatal(err)
	}
	for _, opened := range []string{"at first", "again"} {
		s, err := OpenLastCosigned(path)
		if err != nil {
			t.Fatal(err)
		}
		full := opened == "again"
		works := s.sync
		s.sync = func(f *os.File) error {
			if full {
				return &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.ENOSPC}
			}
			return works(f)
		}
		if err := s.Advance("a.example", 3, [32]byte{3}); err != nil {
			t.Errorf("opened %s: %v", opened, err)
		}
		if full {
			if s.sure {
				t.Error("what was not written again is sure")
			}
			if err := s.Advance("a.example", 4, [32]byte{4}); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("another tree: %v", err)
			}
			if size, _, _ := s.Of("a.example"); size != 3 || s.Err() != nil {
				t.Errorf("of size %d, and %v", size, s.Err())
			}
			full = false
			if err := s.Advance("a.example", 4, [32]byte{4}); err != nil {
				t.Errorf("when there is space: %v", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
