package verify_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tccm/undersigned/verify"
)

func TestTilePath(t *testing.T) {
	for path, want := range map[string]verify.Tile{
		"tile/0/000":                          {0, 0, 256},
		"tile/63/999":                         {63, 999, 256},
		"tile/0/x001/x234/067":                {0, 1234067, 256},
		"tile/0/x001/x234/067.p/8":            {0, 1234067, 8},
		"tile/entries/000.p/255":              {-1, 0, 255},
		"tile/1/x001/000.p/1":                 {1, 1000, 1},
		"tile/0/x036/x028/x797/x018/x963/967": {0, 36028797018963967, 256},
	} {
		got, err := verify.ParseTilePath(path)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", path, got, err)
		}
		if want.Path() != path {
			t.Errorf("Path() = %s, want %s", want.Path(), path)
		}
	}
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/01/000", "tile/64/000", "tile/-1/000", "tile/+1/000",
		"tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p/-1", "tile/0/000.p", "tile/0/000.p/1/", "tile/0/000.p/1.p/1",
		"tile/0/x000/000", "tile/0/x000/001", "tile/0/001/000", "tile/0/x001/x000", "tile/0/x001", "tile/0/x0000/000", "tile/0/x01/000",
		"tile/0/..", "tile/0/../000", "tile/../0/000", "tile/0/%2f", "tile/0/..%2f..%2fcheckpoint", "tile/0/000%2f", "tile/0//000", "/tile/0/000", "tile/0/000/",
		"tile/0/000 ", " tile/0/000", "tile/0/0a0", "tile/0/٠٠٠", "tile/8/0/000", "tile/data/000", "tile/entries", "tile/entries/", "tile/Entries/000", "TILE/0/000",
		"tile/0/x036/x028/x797/x018/x963/968", "tile/0/x999/x999/x999/x999/x999/x999/x999/999", "tile/0/000\x00", "tile/0/000\n",
		"tile/" + strings.Repeat("0", 1000), "tile/0/" + strings.Repeat("x001/", 100) + "000",
	} {
		if got, err := verify.ParseTilePath(path); err == nil {
			t.Errorf("%q accepted as %v", path, got)
		} else if !errors.As(err, new(*verify.FormatError)) {
			t.Errorf("%q: error of another kind: %v", path, err)
		}
	}
}

// FuzzTilePath: what is accepted prints back; x/mod's parser, for tiles of height 8, agrees wherever the two
// grammars do (its level 64 and its indexes beyond 2^63-1 leaves do not exist here).
func FuzzTilePath(f *testing.F) {
	for _, s := range []string{"tile/0/000", "tile/entries/x001/x234/067.p/8", "tile/63/000.p/255", "tile/0/..%2f", "tile/0/x000/001", "tile/64/000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, err := verify.ParseTilePath(path)
		if err == nil && got.Path() != path {
			t.Fatalf("%q prints as %q", path, got.Path())
		}
		theirs := strings.Replace(path, "tile/", "tile/8/", 1)
		if strings.HasPrefix(path, "tile/entries/") {
			theirs = strings.Replace(path, "tile/entries/", "tile/8/data/", 1)
		}
		if !strings.HasPrefix(path, "tile/") || strings.HasPrefix(path, "tile/data/") {
			return
		}
		other, err2 := tlog.ParseTilePath(theirs)
		if err == nil && err2 != nil {
			t.Fatalf("%q is accepted here alone", path)
		}
		if err == nil && (other.L != got.Level || uint64(other.N) != got.Index || other.W != got.Width) {
			t.Fatalf("%q: %v here, %v there", path, got, other)
		}
		if err != nil && err2 == nil && other.L < 64 && uint64(other.N) <= verify.MaxSize/256 && len(path) <= 69 {
			t.Fatalf("%q is refused here alone: %v", path, other)
		}
	})
}

func TestTilesFor(t *testing.T) {
	for _, size := range []int{0, 1, 2, 255, 256, 257, 511, 512, 1000} {
		leaves := someLeaves(size)
		want := slowTiles(leaves)
		n := 0
		for tile := range verify.TilesFor(uint64(size)) {
			n++
			if want[tile.Path()] == nil {
				t.Errorf("size %d: %s is not of this tree", size, tile.Path())
			}
			if got, ok := verify.TileAt(tile.Level, tile.Index, uint64(size)); !ok || got != tile {
				t.Errorf("size %d: TileAt gives %v, %v for %v", size, got, ok, tile)
			}
		}
		if n != len(want) {
			t.Errorf("size %d: %d tiles, want %d", size, n, len(want))
		}
	}
	// The examples of tlog-tiles.
	count := make(map[[2]int]int)
	for tile := range verify.TilesFor(70000) {
		count[[2]int{tile.Level, tile.Width}]++
	}
	for k, n := range map[[2]int]int{{0, 256}: 273, {0, 112}: 1, {1, 256}: 1, {1, 17}: 1, {2, 1}: 1, {-1, 256}: 273, {-1, 112}: 1} {
		if count[k] != n {
			t.Errorf("size 70000: %d tiles of level %d and width %d, want %d", count[k], k[0], k[1], n)
		}
	}
	for range verify.TilesFor(verify.MaxSize) {
		break
	}
	if _, ok := verify.TileAt(64, 0, verify.MaxSize); ok {
		t.Error("a tile of level 64")
	}
}

func someLeaves(n int) [][]byte {
	leaves := make([][]byte, n)
	for i := range leaves {
		leaves[i] = fmt.Appendf(nil, "leaf %d", i)
	}
	return leaves
}

func mapFetch(files map[string][]byte) verify.Fetch {
	return func(ctx context.Context, path string) ([]byte, error) {
		if b, ok := files[path]; ok {
			return b, nil
		}
		return nil, fs.ErrNotExist
	}
}

// TestHashReader holds every proof and root against the definitions of RFC 6962.
func TestHashReader(t *testing.T) {
	ctx := context.Background()
	for _, size := range []int{0, 1, 2, 3, 7, 255, 256, 257, 513, 70000} {
		leaves := someLeaves(size)
		c := verify.Checkpoint{Origin: "ledger.example", Size: uint64(size), Root: slowRoot(leaves)}
		files := slowTiles(leaves)
		r, err := verify.NewHashReader(ctx, c, mapFetch(files))
		if err != nil {
			t.Fatal(size, err)
		}
		for _, i := range []int{0, 1, 2, 254, 255, 256, 257, 512, 65535, 65536, 69999, size / 2, size - 1} {
			for _, s := range []int{i + 1, i + 2, size} {
				if i < 0 || i >= size || s > size {
					continue
				}
				root, err := r.RootAt(ctx, uint64(s))
				if err != nil || root != slowRoot(leaves[:s]) {
					t.Fatalf("root at %d of %d: %v", s, size, err)
				}
				p, err := r.InclusionProof(ctx, uint64(i), uint64(s))
				if err != nil {
					t.Fatal(err)
				}
				if err := verify.CheckInclusion(verify.LeafHash(leaves[i]), uint64(i), uint64(s), p, root); err != nil {
					t.Errorf("inclusion of %d in %d: %v", i, s, err)
				}
				for k := range p {
					q := slices.Clone(p)
					q[k][5] ^= 1
					if verify.CheckInclusion(verify.LeafHash(leaves[i]), uint64(i), uint64(s), q, root) == nil {
						t.Errorf("a changed proof of %d in %d is accepted", i, s)
					}
				}
				p, err = r.ConsistencyProof(ctx, uint64(i), uint64(s))
				if err != nil {
					t.Fatal(err)
				}
				if err := verify.CheckConsistency(uint64(i), uint64(s), p, slowRoot(leaves[:i]), root); err != nil {
					t.Errorf("consistency of %d with %d: %v", i, s, err)
				}
				if verify.CheckConsistency(uint64(i), uint64(s), p, [32]byte{1}, root) == nil {
					t.Errorf("another root at %d is consistent with %d", i, s)
				}
			}
		}
		for b := 0; b*256 < size; b += 100 {
			entries, err := r.Entries(ctx, uint64(b))
			if err != nil || string(entries[0]) != string(leaves[b*256]) {
				t.Errorf("bundle %d of size %d: %v", b, size, err)
			}
		}
		s := uint64(size)
		for _, err := range []error{
			second(r.RootAt(ctx, s+1)), second(r.InclusionProof(ctx, s, s)), second(r.InclusionProof(ctx, 0, s+1)), second(r.ConsistencyProof(ctx, 1, 0)),
			second(r.ConsistencyProof(ctx, 0, s+1)), second(r.Tile(ctx, 0, s)), second(r.Tile(ctx, -1, 0)), second(r.Tile(ctx, 64, 0)), second(r.Entries(ctx, s)),
			second(r.Node(ctx, 0, s)), second(r.Node(ctx, 63, 1)), second(r.Node(ctx, 64, 0)), second(r.Node(ctx, 100, 1<<60)),
		} {
			if err == nil {
				t.Errorf("size %d: what is beyond the tree was answered", size)
			}
		}
	}
	if verify.CheckInclusion([32]byte{}, 0, 0, nil, [32]byte{}) == nil || verify.CheckInclusion([32]byte{}, 1<<63, 1<<63, nil, [32]byte{}) == nil {
		t.Error("a leaf beyond the tree is included")
	}
	if verify.CheckConsistency(0, 0, nil, [32]byte{}, [32]byte{}) == nil {
		t.Error("another root of nothing is consistent")
	}
	if _, err := verify.NewHashReader(ctx, verify.Checkpoint{Size: 1 << 63}, mapFetch(nil)); err == nil {
		t.Error("a tree of 2^63 leaves")
	}
}

func second[T any](_ T, err error) error { return err }

// TestHashReaderForged: a server that changes any one hash, or two neighbouring tiles so that they agree with each
// other, gets nothing accepted (the hole of CVE-2026-56865 in x/mod's TileHashReader).
func TestHashReaderForged(t *testing.T) {
	ctx := context.Background()
	leaves := someLeaves(70000)
	c := verify.Checkpoint{Origin: "ledger.example", Size: 70000, Root: slowRoot(leaves)}
	good := slowTiles(leaves)
	read := func(files map[string][]byte, index uint64) error {
		r, err := verify.NewHashReader(ctx, c, mapFetch(files))
		if err != nil {
			return err
		}
		_, err = r.Entries(ctx, index/256)
		return err
	}
	change := func(files map[string][]byte, path string, at int) {
		files[path] = slices.Clone(files[path])
		files[path][at] ^= 0x40
	}
	if err := read(good, 300); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path  string
		index uint64
	}{{"tile/0/001", 300}, {"tile/1/000", 300}, {"tile/2/000.p/1", 300}, {"tile/1/001.p/17", 300}, {"tile/0/273.p/112", 300}, {"tile/entries/001", 300}, {"tile/entries/273.p/112", 69999}} {
		for at := 0; at < len(good[c.path]); at += 13 {
			files := maps.Clone(good)
			change(files, c.path, at)
			if err := read(files, c.index); !errors.As(err, new(*verify.ContradictionError)) {
				t.Fatalf("%s changed at %d: %v", c.path, at, err)
			}
		}
		files := maps.Clone(good)
		delete(files, c.path)
		if err := read(files, c.index); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s missing: %v", c.path, err)
		}
		for _, b := range [][]byte{{}, good[c.path][1:], append(slices.Clone(good[c.path]), 0)} {
			files[c.path] = b
			if err := read(files, c.index); !errors.As(err, new(*verify.ContradictionError)) {
				t.Errorf("%s with another length: %v", c.path, err)
			}
		}
	}
	// Forge entry 300, its leaf hash, and the hash above it.
	forged := slices.Clone(leaves)
	forged[300] = []byte("forged")
	bad := slowTiles(forged)
	files := maps.Clone(good)
	for _, p := range []string{"tile/entries/001", "tile/0/001", "tile/1/000"} {
		files[p] = bad[p]
		if err := read(files, 300); !errors.As(err, new(*verify.ContradictionError)) {
			t.Errorf("forged up to %s: %v", p, err)
		}
	}
}

func TestBundle(t *testing.T) {
	b := verify.AppendBundleEntry(verify.AppendBundleEntry(nil, []byte("one")), make([]byte, verify.MaxEntry))
	entries, err := verify.SplitBundle(b, 2)
	if err != nil || len(entries) != 2 || string(entries[0]) != "one" || len(entries[1]) != verify.MaxEntry {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		b     []byte
		width int
	}{
		"fewer":           {b, 3},
		"more":            {b, 1},
		"width 0":         {nil, 0},
		"width 257":       {make([]byte, 257*2), 257},
		"inside an entry": {b[:len(b)-1], 2},
		"inside a length": {b[:6], 2},
	} {
		if _, err := verify.SplitBundle(c.b, c.width); !errors.As(err, new(*verify.FormatError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an entry of 65536 bytes was bundled")
		}
	}()
	verify.AppendBundleEntry(nil, make([]byte, verify.MaxEntry+1))
}

func FuzzBundle(f *testing.F) {
	f.Add(verify.AppendBundleEntry(verify.AppendBundleEntry(nil, []byte("one")), nil), 2)
	f.Add([]byte{0, 5, 1}, 1)
	f.Fuzz(func(t *testing.T, b []byte, width int) {
		entries, err := verify.SplitBundle(b, width)
		if err != nil {
			return
		}
		var again []byte
		for _, e := range entries {
			again = verify.AppendBundleEntry(again, e)
		}
		if len(entries) != width || string(again) != string(b) {
			t.Fatal("bundles back to other bytes")
		}
	})
}
