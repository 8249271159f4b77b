package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// grown is a ledger with texts and about n entries, in batches as r has it.
func grown(t *testing.T, store ledger.Store, r *rand.Rand, n int) *house {
	t.Helper()
	h := newHouse(t, store)
	var orgs []*rolltest.Org
	for _, domain := range []string{"apnic.net", "lacnic.net", "ripe.net"} {
		orgs = append(orgs, h.join(domain))
	}
	texts := []string{"We stand by this.\n", "We stood by that.\n", "We shall not.\n"}
	var hashes []entry.Hash
	for i, text := range texts {
		hashes = append(hashes, h.publish(text))
		if i == 1 {
			continue // never sent
		}
		if err := h.ledger.PutBlob(t.Context(), hashes[i], []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.ledger.TakeDown(t.Context(), hashes[2]); err != nil {
		t.Fatal(err)
	}
	for h.ledger.Published().Size < uint64(n) {
		h.must(h.many(orgs[r.IntN(3)], hashes[r.IntN(3)], 1+r.IntN(max(1, n/6)))...)
	}
	return h
}

// sources returns the ways to a ledger's record.
func sources(t *testing.T, h *house) map[string]ledger.RestoreOptions {
	t.Helper()
	sizes, err := h.ledger.CheckpointSizes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	texts, err := h.ledger.Blobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	withheld, err := h.ledger.Withheld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var zip bytes.Buffer
	if err := verify.WriteArchive(t.Context(), &zip, h.ledger.Fetch, sizes, texts); err != nil {
		t.Fatal(err)
	}
	archive, err := verify.OpenArchive(bytes.NewReader(zip.Bytes()), int64(zip.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"index.html": {Data: []byte("something else")}}
	err = verify.WriteTree(t.Context(), func(path string, data []byte) error {
		files[path] = &fstest.MapFile{Data: data}
		return nil
	}, h.ledger.Fetch, sizes, texts)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := verify.OpenTree(files)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, size := range sizes {
		paths = append(paths, verify.CheckpointPath(size))
	}
	p := h.policy()
	return map[string]ledger.RestoreOptions{
		"archive":          {Policy: p, Fetch: archive.Fetch, Paths: archive.Paths()},
		"tiles":            {Policy: p, Fetch: tree.Fetch, Paths: tree.Paths()},
		"database":         {Policy: p, Fetch: h.ledger.Fetch, Paths: paths, Withheld: withheld},
		"without history":  {Policy: p, Fetch: h.ledger.Fetch},
		"tiles, no SHA256": {Policy: p, Fetch: verify.TreeFetch(files)},
	}
}

// answers is everything that a ledger says, by question.
func answers(t *testing.T, l *ledger.Ledger) map[string]string {
	t.Helper()
	all := map[string]string{"checkpoint": string(l.Checkpoint())}
	sizes, err := l.CheckpointSizes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes {
		b, err := l.CheckpointAt(t.Context(), size)
		if err != nil {
			t.Fatal(err)
		}
		all[verify.CheckpointPath(size)] = string(b)
	}
	for tile := range verify.TilesFor(l.Published().Size) {
		b, err := l.Tile(t.Context(), tile)
		if err != nil {
			t.Fatal(err)
		}
		all[tile.Path()] = string(b)
	}
	for i := range l.Published().Size {
		r, err := l.Receipt(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprintf("receipt %d", i)] = string(r.Bytes())
	}
	err = l.View(func(s *roll.State) {
		for _, st := range s.Statements() {
			for _, e := range s.Standing(st.Statement) {
				all[fmt.Sprintf("roll %s %s", st.Statement, e.Domain)] = fmt.Sprint(e.Index, e.ID, e.Admitted)
			}
			b, err := l.Blob(t.Context(), st.Statement)
			all["text "+st.Statement.String()] = fmt.Sprint(string(b), err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRestore restores ledgers of any batching from every kind of source. The new ledger says what the old
// one said, and goes on where that was.
func TestRestore(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 1))
		h := grown(t, memory(), r, 8+r.IntN(600))
		want := answers(t, h.ledger)
		all := sources(t, h)
		h.close()
		for _, name := range slices.Sorted(maps.Keys(all)) {
			o := all[name]
			if name == "database" || name == "without history" { // they need the ledger
				reader, err := ledger.Open(t.Context(), ledger.Config{Origin: rolltest.Origin, Store: h.store})
				if err != nil {
					t.Fatal(err)
				}
				o.Fetch = reader.Fetch
			}
			var done, total uint64
			o.Progress = func(d, n uint64) { done, total = d, n }
			store := memory()
			report, err := ledger.Restore(t.Context(), store, o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if done != total || total == 0 {
				t.Errorf("%s: progress %d of %d", name, done, total)
			}
			n := &house{tb: t, dir: h.dir, store: store, cfg: h.cfg, rec: h.rec, now: h.now}
			n.open() // the same keys, and the same last-signed record: it signs
			got := answers(t, n.ledger)
			partial := name == "without history" || name == "tiles, no SHA256"
			for question, answer := range want {
				if strings.HasPrefix(question, "checkpoints/") && partial {
					if b, ok := got[question]; ok && b != answer {
						t.Errorf("%s: another note at %s", name, question)
					}
					continue
				}
				if got[question] != answer {
					t.Errorf("%s: %s has changed", name, question)
				}
			}
			if !partial && len(got) != len(want) {
				t.Errorf("%s: %d answers, not %d", name, len(got), len(want))
			}
			withheld := 0
			if name == "database" {
				withheld = 1
				if err := n.ledger.PutBlob(t.Context(), entry.Sum([]byte("We shall not.\n")), []byte("We shall not.\n")); err != ledger.ErrWithheld {
					t.Errorf("%s: a text that was taken down comes back: %v", name, err)
				}
			}
			found := n.check()
			if report.Size != found.Size || report.Root != found.Root || report.Checkpoint != n.ledger.Published() || int(found.Commits) != int(report.Commits) ||
				report.Checkpoints != found.Checkpoints || report.Texts != 1 || report.Withheld != withheld || report.Missing != 2-withheld {
				t.Errorf("%s: %+v, and found %+v", name, report, found)
			}
			n.audited()
			n.close()
		}
	}
}

// TestRestoreTail restores entries that no checkpoint covers yet.
func TestRestoreTail(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	entries := h.many(o, hash, 3)
	h.reopenWith(func(context.Context, []byte) ([]byte, error) { return nil, errStop })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan []ledger.Result)
	go func() {
		var raw [][]byte
		for _, e := range entries {
			raw = append(raw, e.Bytes())
		}
		done <- h.ledger.Submit(ctx, raw...)
	}()
	for h.ledger.Stats().Stored != 6 {
	}
	cancel()
	<-done
	tail, err := h.ledger.Unpublished(t.Context())
	if err != nil || len(tail) != 3 {
		t.Fatal(len(tail), err)
	}
	before := h.ledger.Stats()
	restore := func(tail [][]byte) (*storetest.Memory, *ledger.RestoreReport, error) {
		store := memory()
		r, err := ledger.Restore(t.Context(), store, ledger.RestoreOptions{Policy: h.policy(), Fetch: h.ledger.Fetch, Tail: tail})
		return store, r, err
	}
	store, r, err := restore(tail)
	if err != nil || r.Size != before.Stored || r.Checkpoint.Size != before.Published {
		t.Fatalf("%+v %v", r, err)
	}
	// Entries that the rules refuse, or that quote another note, are no tail.
	quoting := bytes.Replace(tail[0], []byte("after 3 sha256:"), []byte("after 2 sha256:"), 1)
	for name, bad := range map[string][][]byte{"twice": {tail[0], tail[0]}, "no entry": {[]byte("x")}, "another note": {quoting}, "order": {tail[1], tail[0]}} {
		if _, _, err := restore(bad); err == nil {
			t.Errorf("%s: restored", name)
		}
	}
	h.close()
	h.store, h.cfg.Cosign = store, nil
	h.open()
	h.audited()
	if r := h.check(); r.Published != 6 {
		t.Errorf("%+v", r)
	}
}

// reopenWith opens the ledger with another Cosign.
func (h *house) reopenWith(cosign func(context.Context, []byte) ([]byte, error)) {
	h.tb.Helper()
	h.close()
	h.cfg.Cosign = cosigning(cosign)
	h.open()
}

// TestRestoreDamaged flips a bit in each file of a record, changes what is said along the way, and takes files
// away. Nothing of it is restored.
func TestRestoreDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	h := grown(t, memory(), r, 300)
	sizes, err := h.ledger.CheckpointSizes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	texts, err := h.ledger.Blobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	if err := verify.WriteTree(t.Context(), func(path string, data []byte) error { files[path] = data; return nil }, h.ledger.Fetch, sizes, texts); err != nil {
		t.Fatal(err)
	}
	sums := files[verify.SumsPath]
	delete(files, verify.SumsPath)
	paths := slices.Sorted(maps.Keys(files))
	var store *storetest.Memory
	restore := func(p *verify.Policy, fetch verify.Fetch, paths []string) error {
		store = memory()
		_, err := ledger.Restore(t.Context(), store, ledger.RestoreOptions{Policy: p, Fetch: fetch, Paths: paths})
		return err
	}
	get := func(_ context.Context, path string) ([]byte, error) {
		if b, ok := files[path]; ok {
			return b, nil
		}
		return nil, fs.ErrNotExist
	}
	if err := restore(h.policy(), get, paths); err != nil {
		t.Fatal(err)
	}
	var source *ledger.SourceError
	for _, path := range paths {
		whole := files[path]
		for range 2 {
			at := r.IntN(len(whole))
			files[path] = bytes.Clone(whole)
			files[path][at] ^= 1 << r.IntN(8)
			err := restore(h.policy(), get, paths)
			if err == nil && strings.HasPrefix(path, "checkpoint") {
				// One signature of the log's two suffices; everything else in a note is fixed.
				r, err := ledger.Check(t.Context(), store, ledger.CheckOptions{Origin: rolltest.Origin})
				if err != nil || !r.OK() || bytes.Count(files[path], []byte("\n")) < 5 {
					t.Errorf("%s, byte %d of %d: %v %v", path, at, len(whole), r.Flaws, err)
				}
			} else if !errors.As(err, &source) || source.Code == 0 {
				t.Errorf("%s, byte %d of %d: %v", path, at, len(whole), err)
			}
			// SHA256SUMS finds all of it.
			tree := fstest.MapFS{verify.SumsPath: {Data: sums}}
			for path, data := range files {
				tree[path] = &fstest.MapFile{Data: data}
			}
			a, err := verify.OpenTree(tree)
			if err != nil {
				t.Fatal(err)
			}
			if err := restore(h.policy(), a.Fetch, a.Paths()); !errors.As(err, &source) || source.Code != verify.CodeContradiction {
				t.Errorf("%s, byte %d of %d, with SHA256SUMS: %v", path, at, len(whole), err)
			}
		}
		files[path] = whole[:len(whole)-1]
		if err := restore(h.policy(), get, paths); !errors.As(err, &source) {
			t.Errorf("%s, cut short: %v", path, err)
		}
		delete(files, path)
		if err := restore(h.policy(), get, paths); !errors.As(err, &source) {
			t.Errorf("%s, missing: %v", path, err)
		}
		files[path] = whole
		// A source that changes its mind after it was audited.
		reads := 0
		liar := func(ctx context.Context, p string) ([]byte, error) {
			b, err := get(ctx, p)
			if p == path {
				if reads++; reads > 1 && err == nil {
					b = append(bytes.Clone(b), "— ledger.example AAAA\n"...)
				}
			}
			return b, err
		}
		if err := restore(h.policy(), liar, paths); reads > 1 && path != "checkpoint" && !errors.As(err, &source) {
			t.Errorf("%s, read twice: %v", path, err)
		}
	}
	// Another history at one kept size, signed by the log itself: both hashes are named.
	other := newHouse(t, memory())
	other.join("afrinic.net")
	forked := files["checkpoints/2"]
	files["checkpoints/2"] = other.ledger.Checkpoint()
	err = restore(h.policy(), get, paths)
	theirs, ours := strings.Split(string(other.ledger.Checkpoint()), "\n")[2], strings.Split(string(forked), "\n")[2]
	if !errors.As(err, &source) || source.Code != verify.CodeContradiction || !strings.Contains(err.Error(), "size 2 ") || !strings.Contains(err.Error(), theirs) || !strings.Contains(err.Error(), ours) {
		t.Errorf("a fork: %v", err)
	}
	files["checkpoints/2"] = forked
	stranger := &house{tb: t, cfg: ledger.Config{Signers: logSigners(t, "another")}}
	if err := restore(stranger.policy(), get, paths); !errors.As(err, &source) || source.Code != verify.CodeUntrusted {
		t.Errorf("another log's policy: %v", err)
	}
	failing := func(ctx context.Context, path string) ([]byte, error) { return nil, errStop }
	if err := restore(h.policy(), failing, nil); !errors.Is(err, errStop) {
		t.Errorf("a source that cannot be reached: %v", err)
	}
	if _, err := ledger.Restore(t.Context(), h.store, ledger.RestoreOptions{Policy: h.policy(), Fetch: get}); err == nil {
		t.Error("restored over a ledger")
	}
}

// TestRestoreStopped stops a restore at each of its writes. What fails is an error, and a store on a disk is not there.
func TestRestoreStopped(t *testing.T) {
	h := grown(t, memory(), rand.New(rand.NewPCG(3, 3)), 40)
	o := sources(t, h)["archive"]
	for stop := 1; ; stop++ {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		err := boltstore.Build(dir, func(s ledger.Store) error {
			faulty := &storetest.Faulty{Store: s, Fault: func(call string, n int) storetest.Fault {
				if calls = n; n == stop {
					if n%2 == 0 {
						cancel()
						return storetest.Works
					}
					return storetest.Fails
				}
				return storetest.Works
			}}
			_, err := ledger.Restore(ctx, faulty, o)
			return err
		}, func(ledger.Store) error { return nil })
		cancel()
		if calls < stop {
			if err != nil {
				t.Fatal(err)
			}
			s, err := boltstore.Open(dir, true)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			break
		}
		if err == nil && stop%2 != 0 {
			t.Fatalf("stopped at call %d without an error", stop)
		}
		if err == nil {
			continue // all was done when it was cancelled
		}
		if _, err := boltstore.Open(dir, true); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("stopped at call %d: %v", stop, err)
		}
	}
}

// TestRestoreMany restores ten thousand entries on a disk.
func TestRestoreMany(t *testing.T) {
	if testing.Short() {
		t.Skip("ten thousand entries take seconds")
	}
	store, err := boltstore.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	h := grown(t, store, rand.New(rand.NewPCG(5, 5)), 10000)
	defer h.close()
	dir := t.TempDir()
	var report *ledger.RestoreReport
	err = boltstore.Build(dir, func(s ledger.Store) (err error) {
		report, err = ledger.Restore(t.Context(), s, sources(t, h)["archive"])
		return err
	}, func(s ledger.Store) error {
		r, err := ledger.Check(t.Context(), s, ledger.CheckOptions{Origin: rolltest.Origin})
		if err == nil && !r.OK() {
			err = fmt.Errorf("%v", r.Flaws)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if p := h.ledger.Published(); report.Size != p.Size || report.Root != p.Root {
		t.Errorf("%+v, want %+v", report, p)
	}
}

// TestCheckpointSizes lists the published sizes before and after more are published.
func TestCheckpointSizes(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	expect := func(want ...uint64) {
		t.Helper()
		if sizes, err := h.ledger.CheckpointSizes(t.Context()); err != nil || !slices.Equal(sizes, want) {
			t.Errorf("%v %v, want %v", sizes, err, want)
		}
	}
	h.reopen()
	h.must(h.many(o, hash, 3)...)
	expect(1, 2, 3, 6)
	h.must(h.many(o, hash, 1)...)
	expect(1, 2, 3, 6, 7)
	h.must(h.many(o, hash, 1)...)
	expect(1, 2, 3, 6, 7, 8)
	h.close()
	h.cfg.Signers = nil
	h.open()
	expect(1, 2, 3, 6, 7, 8)
}
