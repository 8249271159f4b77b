package verify_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

func (w *world) paths() []string { return slices.Sorted(maps.Keys(w.files)) }

// bigWorld has more than one bundle, many members and a history of checkpoints.
func bigWorld(tb testing.TB, members int) *world {
	w := newEmptyWorld(tb, rolltest.New(tb), 2)
	w.publish()
	var orgs []*rolltest.Org
	for i := range members {
		orgs = append(orgs, w.rec.Join(fmt.Sprintf("member%d.example", i)))
	}
	w.text = tccm
	w.statement = w.rec.Publish(tccm)
	w.publish()
	for i, o := range orgs {
		w.endorse(o)
		if i%97 == 0 {
			w.publish()
		}
	}
	w.publish()
	return w
}

func TestAudit(t *testing.T) {
	w := bigWorld(t, 300)
	done := uint64(0)
	r := w.audit(verify.AuditOptions{Progress: func(d, total uint64) {
		if d < done || total != 602 {
			t.Errorf("progress %d of %d after %d", d, total, done)
		}
		done = d
	}, Paths: w.paths()})
	if !r.OK || r.Code != 0 || done != 602 || r.Size != 602 || r.Entries[entry.KindEndorsement] != 300 || r.State.Size() != 602 || len(r.Findings) != 0 || r.Texts != 1 {
		t.Fatalf("%+v", r)
	}
	if len(r.State.Standing(w.statement)) != 300 || r.Past != 7 || !r.Seen.Equal(w.rec.Now.Truncate(time.Second)) {
		t.Error(len(r.State.Standing(w.statement)), r.Past, r.Seen)
	}
	for p := range w.files {
		if !w.fetched[p] {
			t.Errorf("%s was not read", p)
		}
	}
	b, err := json.Marshal(r)
	if err != nil || !strings.HasPrefix(string(b), `{"schema":"undersigned/audit/v1","ok":true,"code":0,"sentence":"The public record ledger.example/test holds together: all 602 entries were read`) {
		t.Errorf("%s %v", b, err)
	}
	if r := w.audit(verify.AuditOptions{MaxAge: time.Hour, Now: func() time.Time { return w.rec.Now.Add(2 * time.Hour) }}); r.Code != verify.CodeUnchecked || !strings.HasPrefix(r.Sentence, "This copy of the record is older than was asked for: its newest time is ") {
		t.Error("old:", r.Sentence)
	}
	if r := w.audit(verify.AuditOptions{MaxAge: time.Hour, Now: func() time.Time { return w.rec.Now }}); !r.OK {
		t.Error("fresh:", r.Sentence)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := verify.Audit(ctx, w.policy(), w.fetch, verify.AuditOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	if _, err := verify.Audit(ctx, w.policy(), w.fetch, verify.AuditOptions{Progress: func(uint64, uint64) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	empty := newEmptyWorld(t, rolltest.Empty(t, rolltest.NewOrg("operator.example", 1, 0, 1)), 0)
	empty.publish()
	if r := empty.audit(verify.AuditOptions{Paths: empty.paths()}); !r.OK {
		t.Error("empty:", r.Sentence)
	}
}

// TestHostileServer changes bytes of every resource that an audit reads, one at a time; no change of a tile, a
// bundle, a text or a checkpoint's text goes unnoticed.
// TestAgeless audits a copy whose signatures have no time: only the log's Ed25519 key counts.
func TestAgeless(t *testing.T) {
	w := newWorld(t, 0)
	p := mustPolicy(t, fmt.Sprintf("log %s https://ledger.example/\nquorum none\n", w.log[0].vkey))
	if r := mustAudit(t, p, w.fetch, verify.AuditOptions{}); !r.OK || r.Seen != nil {
		t.Fatal(r.Sentence, r.Seen)
	}
	if r := mustAudit(t, p, w.fetch, verify.AuditOptions{MaxAge: time.Hour}); r.Code != verify.CodeUnchecked || r.Sentence != "This copy of the record does not say how old it is." {
		t.Error(r.Code, r.Sentence)
	}
}

func TestHostileServer(t *testing.T) {
	w := newWorld(t, 1)
	for i := range 260 { // a full bundle and more
		w.rec.Join(fmt.Sprintf("m%d.example", i))
	}
	w.publish()
	p := w.policy()
	paths := w.paths()
	if r := mustAudit(t, p, w.fetch, verify.AuditOptions{Paths: paths}); !r.OK {
		t.Fatal(r.Sentence)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	tried := 0
	for _, path := range paths {
		good := w.files[path]
		free := bytes.Index(good, []byte("\n\n— ")) // signature lines, of which a reader may ignore those of strangers
		if !strings.HasPrefix(path, "checkpoint") {
			free = len(good)
		}
		n := 12
		if len(good) < 100 {
			n = 30
		}
		for range n {
			at := rng.IntN(free)
			bad := bytes.Clone(good)
			bad[at] ^= 1 << rng.IntN(8)
			fetch := func(ctx context.Context, q string) ([]byte, error) {
				if q == path {
					return bad, nil
				}
				return w.fetch(ctx, q)
			}
			tried++
			if r := mustAudit(t, p, fetch, verify.AuditOptions{Paths: paths}); r.OK || r.Code == 0 || r.Sentence == "" {
				t.Errorf("%s changed at %d: %s", path, at, r.Sentence)
			} else if strings.HasPrefix(path, "tile/") && r.Code != verify.CodeContradiction {
				t.Errorf("%s changed at %d: code %d: %s", path, at, r.Code, r.Sentence)
			}
		}
		// Nothing, something shorter, longer, or a web page instead.
		for _, bad := range [][]byte{nil, {}, good[:len(good)-1], append(bytes.Clone(good), 'x'), []byte("<html>not found</html>\n")} {
			if len(bad) == 0 && len(good) == 0 {
				continue
			}
			fetch := func(ctx context.Context, q string) ([]byte, error) {
				if q == path && bad == nil {
					return nil, fs.ErrNotExist
				}
				if q == path {
					return bad, nil
				}
				return w.fetch(ctx, q)
			}
			r := mustAudit(t, p, fetch, verify.AuditOptions{Paths: paths})
			if r.OK {
				t.Errorf("%s replaced by %q: accepted", path, bad)
			}
			if bad == nil && r.Code != verify.CodeUnchecked {
				t.Errorf("%s missing: code %d: %s", path, r.Code, r.Sentence)
			}
		}
	}
	t.Log(tried, "changes")
	// Leaves exchanged with each other, with the tiles to match.
	leaves := slices.Clone(w.rec.Leaves)
	leaves[10], leaves[11] = leaves[11], leaves[10]
	files := maps.Clone(w.files)
	maps.Copy(files, slowTiles(leaves))
	if r := mustAudit(t, p, mapFetch(files), verify.AuditOptions{}); r.Code != verify.CodeContradiction {
		t.Error("exchanged leaves:", r.Sentence)
	}
	failing := func(ctx context.Context, path string) ([]byte, error) { return nil, errors.New("evil\nerror") }
	if r := mustAudit(t, p, failing, verify.AuditOptions{}); r.Code != verify.CodeUnchecked || strings.Contains(r.Sentence, "evil") {
		t.Error(r.Sentence)
	}
}

func TestAuditFindings(t *testing.T) {
	nothing := func(*world) {}
	for name, c := range map[string]struct {
		prepare func(w *world) // before the last checkpoint
		tamper  func(w *world) // after it
		options func(w *world) verify.AuditOptions
		code    int
		says    string
	}{
		"good": {nothing, nothing, nil, 0, "holds together"},
		"quotes another note": {func(w *world) {
			o := rolltest.NewOrg("dns.pt", 1, 1, 1)
			body := w.endorsement(entry.Endorse, o)
			body.After.Note[0]++
			w.rec.Do(body, o)
		}, nothing, nil, verify.CodeContradiction, "that is not the one published"},
		"quotes a size never published": {func(w *world) {
			o := rolltest.NewOrg("dns.pt", 1, 1, 1)
			body := w.endorsement(entry.Endorse, o)
			body.After.Size = 2
			w.rec.Do(body, o)
		}, nothing, nil, verify.CodeUnchecked, "checkpoints/2 is missing"},
		"quotes what was signed later": {func(w *world) {
			now := w.rec.Now
			w.rec.Now = now.Add(time.Hour)
			w.publish()
			w.rec.Now = now
			w.endorse(rolltest.NewOrg("dns.pt", 1, 1, 1))
			w.rec.Now = now.Add(time.Hour)
		}, nothing, nil, verify.CodeContradiction, "recorded before the copy"},
		"recorded after the checkpoint": {func(w *world) {
			now := w.rec.Now
			w.rec.Now = now.Add(time.Hour)
			w.endorse(rolltest.NewOrg("dns.pt", 1, 1, 1))
			w.rec.Now = now
		}, nothing, nil, verify.CodeContradiction, "recorded after every time"},
		"a past note of another log": {nothing, func(w *world) {
			w.files["checkpoints/5"] = w.sign(verify.Checkpoint{Origin: rolltest.Origin, Size: 5, Root: slowRoot(w.rec.Leaves[:5])}, newCosigner(w.tb, rolltest.Origin, keys.TypeEd25519, "x"))
		}, nil, verify.CodeUntrusted, "no signature of a ledger"},
		"a past note that forks": {nothing, func(w *world) {
			w.files["checkpoints/3"] = w.sign(verify.Checkpoint{Origin: rolltest.Origin, Size: 3, Root: [32]byte{7}}, w.log...)
		}, func(w *world) verify.AuditOptions { return verify.AuditOptions{Paths: w.paths()} }, verify.CodeContradiction, "disagree about the first 3 entries"},
		"a past note of another size": {nothing, func(w *world) { w.files["checkpoints/3"] = w.files["checkpoints/5"] },
			func(w *world) verify.AuditOptions { return verify.AuditOptions{Paths: w.paths()} }, verify.CodeContradiction, "another record or size"},
		"the same as latest": {nothing, func(w *world) { w.files["checkpoints/5/latest"] = w.files["checkpoints/1"] },
			func(w *world) verify.AuditOptions { return verify.AuditOptions{Paths: w.paths()} }, verify.CodeContradiction, "another record or size"},
		"a good latest": {nothing, func(w *world) {
			w.files["checkpoints/5/latest"] = w.sign(verify.Checkpoint{Origin: rolltest.Origin, Size: 5, Root: slowRoot(w.rec.Leaves[:5])}, w.log[0], w.witnesses[0])
		}, func(w *world) verify.AuditOptions { return verify.AuditOptions{Paths: w.paths()} }, 0, "holds together"},
		"a note from beyond": {nothing, func(w *world) { w.files["checkpoints/999"] = w.note },
			func(w *world) verify.AuditOptions { return verify.AuditOptions{Paths: w.paths()} }, verify.CodeContradiction, "does not account for"},
		"a tile of another size": {nothing, func(w *world) { w.files["tile/0/000.p/3"] = w.files["tile/0/000.p/8"][:96] },
			func(w *world) verify.AuditOptions { return verify.AuditOptions{Paths: w.paths()} }, verify.CodeContradiction, "does not account for"},
		"a strange file": {nothing, func(w *world) { w.files["README"] = []byte("x") },
			func(w *world) verify.AuditOptions { return verify.AuditOptions{Paths: w.paths()} }, verify.CodeContradiction, "does not account for"},
		"a text that nobody published": {nothing, func(w *world) { w.files[verify.BlobPath(entry.Sum([]byte("x")))] = []byte("x") },
			func(w *world) verify.AuditOptions { return verify.AuditOptions{Paths: w.paths()} }, verify.CodeContradiction, "does not account for"},
		"an altered text": {nothing, func(w *world) { w.files[verify.BlobPath(w.statement)] = []byte("x") },
			func(w *world) verify.AuditOptions { return verify.AuditOptions{Paths: w.paths()} }, verify.CodeContradiction, "not the text with that fingerprint"},
		"no witness":      {nothing, func(w *world) { w.files["checkpoint"] = w.sign(w.checkpoint(), w.log...) }, nil, verify.CodeQuorum, "Not enough witnesses. None of the policy's 2 witnesses has seen this copy of the record."},
		"another log":     {nothing, func(w *world) { w.files["checkpoint"] = w.sign(w.checkpoint(), w.witnesses...) }, nil, verify.CodeUntrusted, "no signature of a ledger"},
		"no checkpoint":   {nothing, func(w *world) { w.files["checkpoint"] = []byte("x") }, nil, verify.CodeMalformed, "is not one"},
		"a kind of later": {func(w *world) { w.force([]byte("undersigned/leaf/v2\n")) }, nothing, nil, verify.CodeUnchecked, "Could not check beyond entry 8"},
		"a kind of later, and a forged tile": {func(w *world) { w.force([]byte("undersigned/leaf/v2\n")) }, func(w *world) {
			w.files["tile/entries/000.p/9"] = bytes.Replace(w.files["tile/entries/000.p/9"], []byte("apnic.net"), []byte("apnik.net"), 1)
		}, nil, verify.CodeContradiction, "is not the one that"},
		"many refused entries": {func(w *world) {
			for range 300 {
				w.force([]byte("x"))
			}
		}, nothing, nil, verify.CodeContradiction, "Entry 8 is in the record though its rules refuse it"},
	} {
		w := newWorld(t, 2)
		c.prepare(w)
		w.publish()
		c.tamper(w)
		var o verify.AuditOptions
		if c.options != nil {
			o = c.options(w)
		}
		r := w.audit(o)
		if r.Code != c.code || r.OK != (c.code == 0) || !strings.Contains(r.Sentence, c.says) {
			t.Errorf("%s: code %d: %s", name, r.Code, r.Sentence)
		}
		if name == "many refused entries" && (len(r.Findings) != verify.MaxFindings || r.Unlisted != 200 || r.Refused != 300) {
			t.Errorf("%s: %d findings, %d more", name, len(r.Findings), r.Unlisted)
		}
	}
}

func archive(tb testing.TB, w *world) []byte {
	tb.Helper()
	var b bytes.Buffer
	var sizes []uint64
	for p := range w.files {
		var n uint64
		if c, _ := fmt.Sscanf(p, "checkpoints/%d", &n); c == 1 {
			sizes = append(sizes, n)
		}
	}
	if err := verify.WriteArchive(context.Background(), &b, w.fetch, append(sizes, 1<<40), []entry.Hash{w.statement, w.statement}); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func open(b []byte) (*verify.Archive, error) {
	return verify.OpenArchive(bytes.NewReader(b), int64(len(b)))
}

func TestArchive(t *testing.T) {
	w := newWorld(t, 2)
	b := archive(t, w)
	if !bytes.Equal(b, archive(t, w)) {
		t.Error("two archives of one record differ")
	}
	a, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.Paths(), w.paths()) {
		t.Error(a.Paths())
	}
	r, err := verify.AuditArchive(context.Background(), w.policy(), a, verify.AuditOptions{})
	if err != nil || !r.OK || r.Texts != 1 {
		t.Error(r, err)
	}
	if _, err := a.Fetch(context.Background(), "tile/0/999"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := a.Fetch(ctx, "checkpoint"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// Any flipped bit: refused, or found, or without consequence (the zip's own bookkeeping that nobody reads).
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		bad := bytes.Clone(b)
		bad[rng.IntN(len(bad))] ^= 1 << rng.IntN(8)
		a, err := open(bad)
		if err != nil {
			continue
		}
		r, err := verify.AuditArchive(context.Background(), w.policy(), a, verify.AuditOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if r.OK {
			for _, p := range a.Paths() {
				if got, err := a.Fetch(context.Background(), p); err != nil || !bytes.Equal(got, w.files[p]) {
					t.Errorf("%s was changed", p)
				}
			}
		}
	}
}

// zipped writes files in their order, with a SHA256SUMS for them unless one is among them.
func zipped(tb testing.TB, files ...[2]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	sums := ""
	own := false
	for _, f := range files {
		own = own || f[0] == "SHA256SUMS"
		sums += fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(f[1])), f[0])
	}
	if !own {
		files = append(files, [2]string{"SHA256SUMS", sums})
	}
	for _, f := range files {
		w, err := z.Create(f[0])
		if err == nil {
			_, err = io.WriteString(w, f[1])
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestArchiveRefused(t *testing.T) {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("x")))
	one := [2]string{"checkpoint", "x"}
	if _, err := open(zipped(t, one, [2]string{"tile/0/000.p/1", "x"})); err != nil {
		t.Fatal("the form itself is refused:", err)
	}
	for name, b := range map[string][]byte{
		"no zip":             []byte("x"),
		"empty":              nil,
		"a file twice":       zipped(t, one, one),
		"two sums":           zipped(t, [2]string{"SHA256SUMS", ""}, [2]string{"SHA256SUMS", ""}),
		"traversal":          zipped(t, one, [2]string{"../checkpoint", "x"}),
		"absolute":           zipped(t, one, [2]string{"/checkpoint", "x"}),
		"a folder":           zipped(t, one, [2]string{"tile/", ""}),
		"backslash":          zipped(t, one, [2]string{`tile\0\000`, "x"}),
		"another file":       zipped(t, one, [2]string{"notes.txt", "x"}),
		"tile extra zero":    zipped(t, one, [2]string{"tile/0/0000", "x"}),
		"checkpoints/01":     zipped(t, one, [2]string{"checkpoints/01", "x"}),
		"checkpoints/1/x":    zipped(t, one, [2]string{"checkpoints/1/x", "x"}),
		"latest twice":       zipped(t, one, [2]string{"checkpoints/1/latest/latest", "x"}),
		"blob upper case":    zipped(t, one, [2]string{"blobs/sha256/" + strings.ToUpper(sum), "x"}),
		"blob short":         zipped(t, one, [2]string{"blobs/sha256/" + sum[1:], "x"}),
		"large tile":         zipped(t, one, [2]string{"tile/0/000", strings.Repeat("x", 8193)}),
		"large checkpoint":   zipped(t, [2]string{"checkpoint", strings.Repeat("x", verify.MaxNote+1)}),
		"sums miss one":      zipped(t, one, [2]string{"SHA256SUMS", ""}),
		"sums list another":  zipped(t, one, [2]string{"SHA256SUMS", sum + "  checkpoint\n" + sum + "  tile/0/000\n"}),
		"sums list twice":    zipped(t, one, [2]string{"SHA256SUMS", sum + "  checkpoint\n" + sum + "  checkpoint\n"}),
		"sums list itself":   zipped(t, one, [2]string{"SHA256SUMS", sum + "  checkpoint\n" + sum + "  SHA256SUMS\n"}),
		"sums no final LF":   zipped(t, one, [2]string{"SHA256SUMS", sum + "  checkpoint"}),
		"sums one space":     zipped(t, one, [2]string{"SHA256SUMS", sum + " checkpoint\n"}),
		"sums upper case":    zipped(t, one, [2]string{"SHA256SUMS", strings.ToUpper(sum) + "  checkpoint\n"}),
		"sums short":         zipped(t, one, [2]string{"SHA256SUMS", sum[2:] + "  checkpoint\n"}),
		"sums blank line":    zipped(t, one, [2]string{"SHA256SUMS", sum + "  checkpoint\n\n"}),
		"sums no hash":       zipped(t, one, [2]string{"SHA256SUMS", strings.Repeat("g", 64) + "  checkpoint\n"}),
		"sums of many bytes": zipped(t, one, [2]string{"SHA256SUMS", strings.Repeat("x", 10000)}),
	} {
		if _, err := open(b); !errors.As(err, new(*verify.FormatError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a, err := open(zipped(t, one, [2]string{"SHA256SUMS", strings.Repeat("0", 63) + "1  checkpoint\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Fetch(context.Background(), "checkpoint"); !errors.As(err, new(*verify.ContradictionError)) {
		t.Error("other bytes than SHA256SUMS lists:", err)
	}
}

func TestWriteArchiveErrors(t *testing.T) {
	w := newWorld(t, 0)
	for name, change := range map[string]func(){
		"no checkpoint":  func() { delete(w.files, "checkpoint") },
		"no note":        func() { w.files["checkpoint"] = []byte("x") },
		"no text":        func() { w.files["checkpoint"] = []byte("x\n\n— a AAAAAAA=\n") },
		"a tile missing": func() { delete(w.files, "tile/0/000.p/8") },
		"a large tile":   func() { w.files["tile/0/000.p/8"] = make([]byte, 9000) },
	} {
		w.publish()
		change()
		if err := verify.WriteArchive(context.Background(), io.Discard, w.fetch, nil, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	w.publish()
	for n := range 6 {
		if err := verify.WriteArchive(context.Background(), &fullDisk{left: n * 1500}, w.fetch, nil, nil); err == nil {
			t.Errorf("a disk of %d bytes: no error", n*1500)
		}
	}
}

type fullDisk struct{ left int }

func (d *fullDisk) Write(b []byte) (int, error) {
	if len(b) > d.left {
		return 0, errors.New("no space left")
	}
	d.left -= len(b)
	return len(b), nil
}

func FuzzArchive(f *testing.F) {
	w := newWorld(f, 0)
	w.log = w.log[:1] // small and quick
	w.publish()
	f.Add(archive(f, w))
	f.Add(zipped(f, [2]string{"checkpoint", "x"}))
	p := w.policy()
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := open(b)
		if err != nil {
			return
		}
		ctx := context.Background()
		r, err := verify.AuditArchive(ctx, p, a, verify.AuditOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK {
			return
		}
		for _, path := range a.Paths() {
			got, err := a.Fetch(ctx, path)
			if err != nil || !strings.HasPrefix(path, "checkpoint") && !bytes.Equal(got, w.files[path]) {
				t.Fatalf("%s was changed: %v", path, err)
			}
		}
	})
}
