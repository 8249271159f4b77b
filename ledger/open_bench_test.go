//go:build unix

package ledger_test

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

var openEntries = flag.Int("ledger.entries", 20_000, "how many entries the ledger of BenchmarkOpen has")

// largeLedger is a ledger on a disk of which a fifth of the entries register members, and the rest are their
// endorsements of four statements.
type largeLedger struct {
	*house
	orgs []*rolltest.Org
	held []entry.Hash
}

// makeLarge opens the ledger of so many entries in the directory that UNDERSIGNED_BENCH_LEDGER names, and makes it
// first if need be; without that variable, in one that does not outlast the benchmark.
func makeLarge(b *testing.B, entries int) *largeLedger {
	dir := os.Getenv("UNDERSIGNED_BENCH_LEDGER")
	if dir == "" {
		dir = b.TempDir()
	}
	dir = filepath.Join(dir, fmt.Sprint(entries))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	g := &largeLedger{house: prepare(b, nil), orgs: make([]*rolltest.Org, entries/5)}
	g.dir, g.cfg.Snapshot = dir, filepath.Join(dir, "snapshot")
	for i := range 4 {
		g.held = append(g.held, entry.Sum(fmt.Appendf(nil, "text %d", i)))
	}
	done := filepath.Join(dir, "done")
	if _, err := os.Stat(done); err == nil {
		return g
	}
	began := time.Now()
	store, err := boltstore.Create(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	g.store = store
	if err := g.create(); err != nil {
		b.Fatal(err)
	}
	g.open()
	for i := range 4 {
		g.publish(fmt.Sprintf("text %d", i))
	}
	after := g.after()
	size := 5
	submit := func(n int, makeEntry func(i int) *entry.Entry) {
		const most = 4096
		for from := 0; from < n; from += most {
			raw := make([][]byte, min(most, n-from))
			var wg sync.WaitGroup
			for w := range runtime.GOMAXPROCS(0) {
				wg.Go(func() {
					for i := w; i < len(raw); i += runtime.GOMAXPROCS(0) {
						raw[i] = rolltest.Sign(makeEntry(from + i)).Bytes()
					}
				})
			}
			wg.Wait()
			for _, r := range g.ledger.Submit(context.Background(), raw...) {
				if !r.Published {
					b.Fatalf("%+v", r)
				}
			}
			g.setClock(g.clock().Add(time.Duration(len(raw)) * time.Second))
			size += len(raw)
		}
	}
	date := func() string { return g.clock().Format(time.DateOnly) }
	letters := strings.NewReplacer("0", "ab", "1", "ce", "2", "df", "3", "gh", "4", "ik", "5", "pt", "6", "op", "7", "qs", "8", "tu", "9", "xz")
	submit(len(g.orgs), func(i int) *entry.Entry {
		o := rolltest.NewOrg(letters.Replace(fmt.Sprintf("%06d", i))+".example", 1, 0, 1)
		g.orgs[i] = o
		return &entry.Entry{Ledger: rolltest.Origin, Signer: o.Domain, Date: date(), Keys: []keys.Ref{o.Keys[0].Ref()}, Body: &entry.Membership{
			Action: entry.Register, Member: o.Domain, Name: o.Name, PublicKeys: []entry.PublicKey{o.Keys[0].Line()}, Quorum: 1, Vouchers: g.rec.Operator.Vouch(),
		}}
	})
	submit(entries-size, func(i int) *entry.Entry {
		o := g.orgs[i%len(g.orgs)]
		return &entry.Entry{Ledger: rolltest.Origin, Signer: o.Domain, Date: date(), Keys: []keys.Ref{o.Keys[0].Ref()}, Body: &entry.Endorsement{
			Action: entry.Endorse, Statement: g.held[i/len(g.orgs)%4], After: after,
		}}
	})
	g.close()
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	b.Logf("made %d entries in %v", size, time.Since(began).Round(time.Second))
	return g
}

// BenchmarkOpen opens a ledger from its snapshot, from the oldest that a crash leaves, and by reading everything,
// in turns, with the store's own check, and reports how many times longer the last takes than the first. With -ledger.entries=1000000 it says how
// large a ledger opens how quickly; UNDERSIGNED_BENCH_LEDGER names a directory in which it is kept.
func BenchmarkOpen(b *testing.B) {
	g := makeLarge(b, *openEntries)
	g.cfg.NoScrub = true
	open := func(snapshot string) (took, pages time.Duration) {
		g.cfg.Snapshot = snapshot
		runtime.GC()
		began := time.Now()
		store, err := boltstore.Open(g.dir, false)
		if err != nil {
			b.Fatal(err)
		}
		pages = time.Since(began)
		g.store = store
		g.open()
		took = time.Since(began)
		g.close()
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
		return took, pages
	}
	kept := filepath.Join(g.dir, "snapshot")
	open(kept) // which makes it, if there is none
	old := g.oldSnapshot(b)
	var quick, crashed, check, full, ratio []float64
	for b.Loop() {
		q, pages := open(kept)
		if err := os.WriteFile(kept+".crash", old, 0o600); err != nil {
			b.Fatal(err)
		}
		c, _ := open(kept + ".crash")
		crashed = append(crashed, c.Seconds())
		f, _ := open("")
		quick, check, full, ratio = append(quick, q.Seconds()), append(check, pages.Seconds()), append(full, f.Seconds()), append(ratio, f.Seconds()/q.Seconds())
	}
	b.ReportMetric(median(quick), "s/open")
	b.ReportMetric(median(crashed), "s/crash")
	b.ReportMetric(median(check), "s/check")
	b.ReportMetric(median(full), "s/replay")
	b.ReportMetric(median(ratio), "replay/open")
	info, err := os.Stat(kept)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/float64(*openEntries), "B/entry")
}

// early is a store as it was after so many commits, which keeps nothing.
type early struct {
	ledger.Store
	last uint64
}

func (s early) Last(context.Context) (uint64, error)        { return s.last, nil }
func (s early) Put(context.Context, ...ledger.Object) error { return nil }
func (s early) Get(ctx context.Context, path string) ([]byte, error) {
	if strings.HasPrefix(path, "checkpoints/") {
		return nil, fs.ErrNotExist
	}
	return s.Store.Get(ctx, path)
}

// oldSnapshot returns a snapshot of seven eighths of the commits: the oldest that a crash leaves.
func (g *largeLedger) oldSnapshot(b *testing.B) []byte {
	path := filepath.Join(g.dir, "old-snapshot")
	if kept, err := os.ReadFile(path); err == nil {
		return kept
	}
	store, err := boltstore.Open(g.dir, false)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	last, err := store.Last(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	h := &house{tb: b, dir: b.TempDir(), cfg: g.cfg, store: early{store, last - last/8}, now: g.clock()}
	h.cfg.Now, h.cfg.Snapshot, h.cfg.Adopt = h.clock, path, &ledger.Adoption{Root: sha256.Sum256(nil)}
	h.open()
	h.close() // which writes it
	kept, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return kept
}

// BenchmarkFreeze takes a snapshot of an open ledger: for so long the writer waits.
func BenchmarkFreeze(b *testing.B) {
	g := makeLarge(b, *openEntries)
	g.cfg.NoScrub = true
	store, err := boltstore.Open(g.dir, false)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	g.store = store
	g.open()
	defer g.close()
	for b.Loop() {
		g.ledger.Freeze()
	}
	b.ReportMetric(float64(*openEntries)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
