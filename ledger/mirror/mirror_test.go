package mirror_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/mirror"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// glass is a mirror of a liar.
type glass struct {
	*liar
	last      *ledger.LastCosigned
	store     *storetest.Memory
	mirror    *mirror.Mirror
	now       time.Time
	sightings []ledger.Sighting
	sizes     []uint64 // that are published
	found     []*verify.Contradiction
	shown     func() // is called with each of those
}

func mirrorSigners(tb testing.TB) []ledger.Signer {
	return []ledger.Signer{signerOf(tb, "mirror.example/m", keys.TypeCosignatureEd25519, "m"), signerOf(tb, "mirror.example/m", keys.TypeCosignatureMLDSA44, "m")}
}

// lastCosigned is a new record.
func lastCosigned(tb testing.TB) *ledger.LastCosigned {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "last-cosigned")
	if err := ledger.CreateLastCosigned(path); err != nil {
		tb.Fatal(err)
	}
	last, err := ledger.OpenLastCosigned(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { last.Close() })
	return last
}

func newGlass(t *testing.T) *glass {
	g := &glass{liar: newLiar(t), last: lastCosigned(t), store: storetest.NewMemory(), sizes: []uint64{1}}
	g.now = g.rec.Now
	g.step(9)
	g.open()
	return g
}

func (g *glass) open() {
	g.Helper()
	var err error
	g.mirror, err = mirror.New(ctx, mirror.Config{
		Origin: rolltest.Origin, Policy: g.policy(), Fetch: g.fetch, Copy: openCopy(g.TB, g.store), Signers: mirrorSigners(g.TB), LastCosigned: g.last,
		Sizes: func(_ context.Context, from uint64) (sizes []uint64, err error) {
			for _, size := range g.sizes {
				if size >= from {
					sizes = append(sizes, size)
				}
			}
			return sizes, nil
		},
		Sightings: func(context.Context) ([]ledger.Sighting, error) { return g.sightings, nil },
		Evidence: func(c *verify.Contradiction) {
			g.found = append(g.found, c)
			if g.shown != nil {
				g.shown()
			}
		},
		Now: func() time.Time { return g.now },
	})
	if err != nil {
		g.Fatal(err)
	}
}

// step publishes n more entries.
func (g *glass) step(n int) {
	g.Helper()
	g.fill(n)
	g.publish()
	g.sizes = append(g.sizes, uint64(len(g.rec.Leaves)))
}

// cosigned opens what the mirror shows under a policy that asks for it.
func (g *glass) cosigned() *verify.SignedCheckpoint {
	g.Helper()
	text := ""
	for _, s := range g.signers {
		text += "log " + s.VKey.String() + "\n"
	}
	for i, s := range mirrorSigners(g.TB) {
		text += "witness m" + string(rune('0'+i)) + " " + s.VKey.String() + "\n"
	}
	p, err := verify.ParsePolicy([]byte(text + "group m all m0 m1\nquorum m\n"))
	if err != nil {
		g.Fatal(err)
	}
	c, err := p.Open(g.mirror.Checkpoint())
	if err != nil {
		g.Fatal(err)
	}
	return c
}

func TestMirror(t *testing.T) {
	g := newGlass(t)
	text := []byte("We stand by this.\n")
	server := httptest.NewServer(mirror.NewServer([]*mirror.Mirror{g.mirror}, time.Minute, func() time.Time { return g.now }))
	defer server.Close()
	base := server.URL + "/" + verify.OriginHash(rolltest.Origin) + "/"
	get := func(method, url string) (int, []byte) {
		t.Helper()
		req, _ := http.NewRequest(method, url, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b bytes.Buffer
		b.ReadFrom(resp.Body)
		return resp.StatusCode, b.Bytes()
	}
	if code, _ := get("GET", base+"checkpoint"); code != 404 {
		t.Errorf("before the first round: %d", code)
	}
	if code, _ := get("GET", server.URL+"/readyz"); code != 503 {
		t.Errorf("ready before the first round: %d", code)
	}
	for i := range 5 {
		if err := g.mirror.Round(ctx); err != nil {
			t.Fatal(err)
		}
		if c := g.cosigned(); c.Size != uint64(len(g.rec.Leaves)) || !c.Seen().Equal(g.now.Truncate(time.Second)) {
			t.Errorf("cosigned: %d entries at %v", c.Size, c.Seen())
		}
		if i == 2 { // the text comes later
			if st := g.mirror.Status(); st.Missing != 1 {
				t.Errorf("missing texts: %+v", st)
			}
			g.put(verify.BlobPath(entry.Sum(text)), text)
			g.now = g.now.Add(time.Hour)
		}
		g.now = g.now.Add(time.Minute)
		g.step(70 * i)
	}
	if err := g.mirror.Round(ctx); err != nil {
		t.Fatal(err)
	}
	// Everything is there, byte for byte, but for the checkpoint, which has more lines.
	for path, want := range g.files {
		if p, err := verify.ParseTilePath(path); err == nil {
			if at, ok := verify.TileAt(p.Level, p.Index, uint64(len(g.rec.Leaves))); !ok || at != p {
				continue
			}
		}
		code, b := get("GET", base+path)
		if path == "checkpoint" {
			if !bytes.HasPrefix(b, want) || len(b) == len(want) {
				t.Error("the checkpoint is not the ledger's with more lines")
			}
			continue
		}
		if code != 200 || !bytes.Equal(b, want) {
			t.Errorf("%s: %d, %d bytes", path, code, len(b))
		}
	}
	if st := g.mirror.Status(); st.Missing != 0 {
		t.Errorf("missing texts: %+v", st)
	}
	if _, b := get("GET", base+"api/v1/checkpoints?from=2&limit=1"); !strings.Contains(string(b), `"items":[10],"next":"/`) {
		t.Errorf("the sizes: %s", b)
	}
	if code, b := get("GET", server.URL+"/readyz"); code != 200 || !strings.Contains(string(b), "ledger.example/test: 710 entries, 0 behind, checked 0s ago") {
		t.Errorf("readyz: %d %s", code, b)
	}
	if code, b := get("GET", server.URL+"/metrics"); code != 200 || !strings.Contains(string(b), `undersigned_mirror_size{origin="ledger.example/test"} 710`) {
		t.Errorf("metrics: %d %s", code, b)
	}
	for _, bad := range []string{"", "x", "tile/0/00", "copy/checkpoint", "entries", "../healthz", "checkpoints/", "blobs/sha256/00"} {
		if code, _ := get("GET", base+bad); code != 404 {
			t.Errorf("%q: %d", bad, code)
		}
	}
	if code, _ := get("POST", base+"entries"); code != 405 {
		t.Errorf("POST: %d", code)
	}
	// A mirror can be made of the mirror, and its store is one that a ledger can be read from.
	r, err := ledger.Check(ctx, g.store, ledger.CheckOptions{Origin: rolltest.Origin, Policy: g.policy()})
	if err != nil || !r.OK() {
		t.Errorf("the store: %+v %v", r, err)
	}
	kept, err := ledger.Open(ctx, ledger.Config{Origin: rolltest.Origin, Store: g.store})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if kept.Published().Size != uint64(len(g.rec.Leaves)) {
		t.Errorf("opened as a ledger, %d entries are published", kept.Published().Size)
	}
}

func TestMirrorOfContradictions(t *testing.T) {
	tests := map[string]struct {
		lie  func(g *glass)
		want verify.Case
	}{
		"an inadmissible entry": {func(g *glass) { g.rec.Leaves = append(g.rec.Leaves, []byte("no leaf")); g.step(0) }, verify.CaseEntry},
		"another history":       {func(g *glass) { g.rec.Leaves[3] = []byte("x"); g.step(0) }, verify.CaseSize},
		"a witness has seen another history": {func(g *glass) {
			w := g.twin()
			w.rec.Leaves[5] = []byte("x")
			g.sightings = []ledger.Sighting{{Who: "w", Note: w.sign(7, w.rec.Now)}}
		}, verify.CasePrefix},
		"a witness has seen another history that is larger": {func(g *glass) {
			w := g.twin()
			w.rec.Leaves = append(w.rec.Leaves, []byte("x"), []byte("y"))
			g.sightings = []ledger.Sighting{{Who: "w", Note: w.sign(12, w.rec.Now)}}
			if err := g.mirror.Round(ctx); err != nil {
				g.Fatal(err)
			}
			if st := g.mirror.Status(); st.Seen != 12 || st.Size != 10 {
				g.Errorf("the status is %+v", st)
			}
			g.sightings = nil
			g.step(5)
		}, verify.CasePrefix},
		"another note is at the path of one": {func(g *glass) {
			w := g.twin()
			w.rec.Leaves[5] = []byte("x")
			g.step(5)
			g.sizes = append([]uint64{11}, g.sizes[len(g.sizes)-1:]...)
			w.rec.Leaves = append(w.rec.Leaves, []byte("x"))
			g.files[verify.CheckpointPath(11)] = w.sign(11, w.rec.Now)
		}, verify.CasePrefix},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGlass(t)
			if err := g.mirror.Round(ctx); err != nil {
				t.Fatal(err)
			}
			shown := g.mirror.Checkpoint()
			test.lie(g)
			for range 2 {
				err := g.mirror.Round(ctx)
				var contradicted *mirror.ContradictedError
				if !errors.As(err, &contradicted) {
					t.Fatalf("the round: %v", err)
				}
				if len(g.found) != 1 || g.found[0].Case != test.want {
					t.Errorf("what proves it: %v", g.found)
				}
				if !bytes.Equal(g.mirror.Checkpoint(), shown) {
					t.Error("something was cosigned after that")
				}
				if b, err := g.mirror.Read(ctx, "tile/entries/000.p/10"); err != nil || len(b) == 0 {
					t.Errorf("what was copied is not served: %v", err)
				}
				g.open() // nor after a restart
			}
		})
	}
}

// What a source withholds or spoils delays a mirror, and no more. An old view is no news.
func TestMirrorDelayed(t *testing.T) {
	g := newGlass(t)
	if err := g.mirror.Round(ctx); err != nil {
		t.Fatal(err)
	}
	old := g.note()
	shown := g.mirror.Checkpoint()
	g.step(20)
	spoil := map[string]func(path string, b []byte) ([]byte, error){
		"withheld tiles": func(path string, b []byte) ([]byte, error) {
			if strings.HasPrefix(path, "tile/entries") {
				return nil, fs.ErrNotExist
			}
			return b, nil
		},
		"spoilt tiles": func(path string, b []byte) ([]byte, error) {
			if strings.HasPrefix(path, "tile/") {
				b = bytes.Clone(b)
				b[len(b)-1] ^= 1
			}
			return b, nil
		},
		"spoilt checkpoint": func(path string, b []byte) ([]byte, error) {
			if path == "checkpoint" {
				return []byte("<html>\n"), nil
			}
			return b, nil
		},
		"withheld notes": func(path string, b []byte) ([]byte, error) {
			if strings.HasPrefix(path, "checkpoints/") {
				return nil, errors.New("not now")
			}
			return b, nil
		},
	}
	// The last of them takes all tiles before it fails.
	for _, name := range []string{"withheld tiles", "spoilt tiles", "spoilt checkpoint", "withheld notes"} {
		change := spoil[name]
		g.hook = func(_ int, path string, b []byte) ([]byte, error) {
			if b == nil {
				return nil, fs.ErrNotExist
			}
			return change(path, b)
		}
		if err := g.mirror.Round(ctx); err == nil || g.mirror.Status().Contradicted {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(g.mirror.Checkpoint(), shown) {
			t.Errorf("%s: something was cosigned", name)
		}
		g.open()
	}
	g.hook = nil
	if err := g.mirror.Round(ctx); err != nil {
		t.Fatal(err)
	}
	newest := g.note()
	g.put("checkpoint", old)
	if err := g.mirror.Round(ctx); err == nil || g.mirror.Status().Contradicted || g.cosigned().Size != 30 {
		t.Errorf("an old view: %v", err)
	}
	g.put("checkpoint", newest)
	g.now = g.now.Add(-time.Hour)
	g.step(1)
	if err := g.mirror.Round(ctx); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("with a clock that went back: %v", err)
	}
}

// A mirror whose copy was lost, or is an old one, cosigns nothing that does not continue what its keys cosigned.
func TestMirrorForgets(t *testing.T) {
	g := newGlass(t)
	old := g.twin() // signs a history that parts from the other after ten entries
	if err := g.mirror.Round(ctx); err != nil {
		t.Fatal(err)
	}
	g.step(4)
	if err := g.mirror.Round(ctx); err != nil {
		t.Fatal(err)
	}
	if size, _, ok := g.last.Of(rolltest.Origin); !ok || size != 14 {
		t.Fatalf("the record has %d, %v", size, ok)
	}
	refused := func(what string, record *liar) {
		t.Helper()
		good := g.liar
		g.liar, g.store, g.sizes = record, storetest.NewMemory(), nil
		g.open()
		if kept, cosigned, ok := g.mirror.Gap(); !ok || kept != 0 || cosigned != 14 {
			t.Errorf("%s: %d, %d, %v", what, kept, cosigned, ok)
		}
		err := g.mirror.Round(ctx)
		if err == nil || !strings.Contains(err.Error(), "of size 14") || g.mirror.Checkpoint() != nil || g.mirror.Status().Problem == "" {
			t.Errorf("%s: it cosigns: %v", what, err)
		}
		g.liar = good
	}
	refused("a smaller tree", old)
	for n := range 10 {
		old.rec.Join(fmt.Sprintf("other%d.example", n))
	}
	old.publish()
	refused("another tree", old)
	if err := g.mirror.Forget(); err != nil {
		t.Fatal(err)
	}
	g.liar = old
	if err := g.mirror.Round(ctx); err != nil || g.mirror.Status().Size != 20 {
		t.Errorf("forgotten: %v", err)
	}
}

// What was lost is copied again, and cosigned when it has what was cosigned before.
func TestMirrorCopiesAgain(t *testing.T) {
	g := newGlass(t)
	if err := g.mirror.Round(ctx); err != nil {
		t.Fatal(err)
	}
	g.store = storetest.NewMemory()
	g.open()
	if _, _, ok := g.mirror.Gap(); !ok {
		t.Error("no gap")
	}
	if err := g.mirror.Round(ctx); err != nil || g.cosigned().Size != 10 {
		t.Error(err)
	}
	if _, _, ok := g.mirror.Gap(); ok {
		t.Error("a gap stays")
	}
	// Killed before the record has what the copy has: it is caught up before anybody is shown it.
	g.step(2)
	if err := g.mirror.Round(ctx); err != nil {
		t.Fatal(err)
	}
	_, now, _ := g.last.Of(rolltest.Origin)
	if err := g.last.Forget(rolltest.Origin, 0, [32]byte{}); err != nil {
		t.Fatal(err)
	}
	g.open()
	if size, root, _ := g.last.Of(rolltest.Origin); size != 12 || root != now {
		t.Errorf("the record has %d", size)
	}
}

// When the record beside the keys cannot be written any more, nothing is cosigned until the mirror is started again: that must be told.
func TestMirrorRecordFails(t *testing.T) {
	g := newGlass(t)
	if err := g.mirror.Round(ctx); err != nil {
		t.Fatal(err)
	}
	path := g.last.Path()
	if err := errors.Join(os.Rename(path, path+"-aside"), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	g.step(2)
	if err := g.mirror.Round(ctx); err == nil {
		t.Fatal("it was written")
	}
	if err := errors.Join(os.Remove(path), os.Rename(path+"-aside", path)); err != nil {
		t.Fatal(err)
	}
	if err := g.mirror.Round(ctx); err == nil || g.mirror.Status().Size != 10 {
		t.Fatalf("it goes on: %v", err)
	}
	if g.mirror.Failed() == nil {
		t.Error("it has not failed")
	}
}

// What a mirror has found while it is stopped, or while its disk is full, holds after a restart though nobody shows it again.
func TestMirrorContradictionIsKept(t *testing.T) {
	for name, during := range map[string]func(g *glass, stop func()) (after func()){
		"stopped": func(g *glass, stop func()) func() {
			g.shown = stop
			return func() { g.shown = nil }
		},
		"full": func(g *glass, _ func()) func() {
			g.store.Limit(0)
			return func() {
				g.store.Limit(-1)
				g.mirror.Round(ctx)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGlass(t)
			if err := g.mirror.Round(ctx); err != nil {
				t.Fatal(err)
			}
			w := g.twin()
			w.rec.Leaves[5] = []byte("x")
			g.sightings = []ledger.Sighting{{Who: "w", Note: w.sign(7, w.rec.Now)}}
			stopped, stop := context.WithCancel(ctx)
			defer stop()
			after := during(g, stop)
			g.mirror.Round(stopped)
			g.sightings = nil
			after()
			g.open()
			g.step(2)
			var contradicted *mirror.ContradictedError
			if err := g.mirror.Round(ctx); !errors.As(err, &contradicted) || g.mirror.Status().Size != 10 {
				t.Errorf("it cosigns on: %v", err)
			}
		})
	}
}
