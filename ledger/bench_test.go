//go:build unix

package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// chains is a ledger on a disk with organizations that each have a chain of entries ready.
type chains struct {
	*house
	dir    string // of the store
	orgs   []*rolltest.Org
	hash   entry.Hash
	after  entry.After
	state  *roll.State // of the ledger, for those who only verify
	latest []*entry.Hash
	yes    []bool
}

func newChains(b *testing.B, orgs int) *chains {
	dir := b.TempDir()
	store, err := boltstore.Create(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	c := &chains{house: newHouse(b, store), dir: dir, latest: make([]*entry.Hash, orgs), yes: make([]bool, orgs)}
	b.Cleanup(c.close) // before the store
	var joins []*entry.Entry
	for i := range orgs {
		// Domains that nobody mistakes for one another.
		name := strings.NewReplacer("0", "ab", "1", "ce", "2", "df", "3", "gh", "4", "ik", "5", "mn", "6", "op", "7", "qs", "8", "tu", "9", "xz").Replace(fmt.Sprintf("%04d", i))
		o := rolltest.NewOrg(name+".example", 1, 0, 1)
		c.orgs = append(c.orgs, o)
		e := c.rec.Registration(o)
		c.rec.Must(e)
		joins = append(joins, e)
	}
	c.must(joins...)
	c.hash = c.publish("We stand by this.\n")
	c.after = c.house.after()
	c.state = c.rec.State
	return c
}

// next returns n signed entries of each organization, in the order of their chains.
func (c *chains) next(n int) [][][]byte {
	all := make([][][]byte, len(c.orgs))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(c.orgs); i += workers {
				o := c.orgs[i]
				for range n {
					action := entry.Endorse
					if c.yes[i] {
						action = entry.Withdraw
					}
					e := rolltest.Sign(&entry.Entry{
						Ledger: rolltest.Origin, Previous: c.latest[i], Signer: o.Domain, Date: "2024-06-11", Keys: []keys.Ref{o.Keys[0].Ref()},
						Body: &entry.Endorsement{Action: action, Statement: c.hash, After: c.after},
					})
					id := e.ID()
					c.latest[i], c.yes[i] = &id, !c.yes[i]
					all[i] = append(all[i], e.Bytes())
				}
			}
		})
	}
	wg.Wait()
	return all
}

// verifyOnly does what a server must do at least: parse, and verify the signatures.
func (c *chains) verifyOnly(raw []byte) {
	e, err := entry.Parse(raw)
	if err != nil {
		panic(err)
	}
	c.state.CheckSignatures(e)
}

// cpu is the time that the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkSingle submits one entry at a time to an idle ledger and compares with fdatasync of
// 4 KiB on the same disk, in turns.
func BenchmarkSingle(b *testing.B) {
	c := newChains(b, 1)
	f, err := os.Create(filepath.Join(c.dir, "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	if _, err := f.Write(block); err != nil {
		b.Fatal(err)
	}
	entries := c.next(b.N)[0]
	var submits, syncs []float64
	b.ResetTimer()
	for _, raw := range entries {
		start := time.Now()
		if _, err := f.WriteAt(block, 0); err != nil {
			b.Fatal(err)
		}
		if err := ledger.DataSync(f); err != nil {
			b.Fatal(err)
		}
		syncs = append(syncs, float64(time.Since(start)))
		start = time.Now()
		if r := c.ledger.Submit(context.Background(), raw)[0]; !r.Published {
			b.Fatal(r.Err)
		}
		submits = append(submits, float64(time.Since(start)))
	}
	b.ReportMetric(median(submits)/1e3, "p50-µs")
	b.ReportMetric(median(submits)/median(syncs), "p50/fdatasync")
}

// BenchmarkClients has 256 clients submit one entry at a time and fetch its receipt, and compares
// entries per second and processor time with parsing and verifying alone, in five rounds.
func BenchmarkClients(b *testing.B) {
	const clients = 256
	c := newChains(b, clients)
	each := max(1, b.N/clients/5)
	round := func(each int, entries [][][]byte, one func(raw []byte)) (perSecond, cpuEach float64) {
		runtime.GC()
		var wg sync.WaitGroup
		start, used := time.Now(), cpu()
		for i := range clients {
			wg.Go(func() {
				for _, raw := range entries[i] {
					one(raw)
				}
			})
		}
		wg.Wait()
		n := float64(clients * each)
		return n / time.Since(start).Seconds(), float64(cpu()-used) / n
	}
	var rates, ratios, costs []float64
	commits := c.ledger.Stats().Commits
	b.ResetTimer()
	for range 5 {
		entries := c.next(each)
		plain, plainCPU := round(each, entries, c.verifyOnly)
		rate, used := round(each, entries, func(raw []byte) {
			r := c.ledger.Submit(context.Background(), raw)[0]
			if !r.Published {
				panic(r.Err)
			}
			if _, err := c.ledger.Receipt(context.Background(), r.Index); err != nil {
				panic(err)
			}
		})
		rates, ratios, costs = append(rates, rate), append(ratios, rate/plain), append(costs, used/plainCPU)
	}
	b.ReportMetric(median(rates), "entries/s")
	b.ReportMetric(median(ratios), "/verify")
	b.ReportMetric(median(costs), "cpu/verify")
	b.ReportMetric(float64(clients*each*5)/float64(c.ledger.Stats().Commits-commits), "entries/commit")
}

// BenchmarkMany submits 10,000 entries in one go and compares with verifying on all cores.
func BenchmarkMany(b *testing.B) {
	const n = 10_000
	c := newChains(b, 100)
	var rates, ratios []float64
	for b.Loop() {
		b.StopTimer()
		chains := c.next(n / len(c.orgs))
		var entries [][]byte
		for i := range n {
			entries = append(entries, chains[i%len(c.orgs)][i/len(c.orgs)])
		}
		runtime.GC()
		start := time.Now()
		var next atomic.Int64
		var wg sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
					c.verifyOnly(entries[i])
				}
			})
		}
		wg.Wait()
		plain := time.Since(start)
		b.StartTimer()
		start = time.Now()
		for _, r := range c.ledger.Submit(context.Background(), entries...) {
			if !r.Published {
				b.Fatal(r.Err)
			}
		}
		took := time.Since(start)
		rates, ratios = append(rates, n/took.Seconds()), append(ratios, plain.Seconds()/took.Seconds())
	}
	b.ReportMetric(median(rates), "entries/s")
	b.ReportMetric(median(ratios), "/verify")
}

// BenchmarkBytes stores entries in commits of a given size and compares what the file holds of
// them, without checkpoint notes, with their leaves and one hash each.
func BenchmarkBytes(b *testing.B) {
	for _, batch := range []int{1, 16, 256} {
		b.Run(fmt.Sprint("batch=", batch), func(b *testing.B) {
			c := newChains(b, 16)
			n := min(4096, 512*batch)
			for b.Loop() {
				chains := c.next(n / len(c.orgs))
				var entries [][]byte
				for i := range n {
					entries = append(entries, chains[i%len(c.orgs)][i/len(c.orgs)])
				}
				for part := range slices.Chunk(entries, batch) {
					for _, r := range c.ledger.Submit(context.Background(), part...) {
						if !r.Published {
							b.Fatal(r.Err)
						}
					}
				}
			}
			size := c.ledger.Published().Size
			var leaves int
			for index := range size {
				leaf, err := c.ledger.Leaf(context.Background(), index)
				if err != nil {
					b.Fatal(err)
				}
				leaves += len(leaf) + verify.HashSize
			}
			c.close()
			c.store.Close()
			b.ReportMetric(float64(stored(b, filepath.Join(c.dir, boltstore.File)))/float64(leaves), "stored/(leaf+32)")
			b.ReportMetric(float64(leaves)/float64(size), "(leaf+32)-B")
		})
	}
}

// stored returns the bytes of all pages of the two buckets, after the notes were deleted.
func stored(b *testing.B, path string) (bytesUsed int) {
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bolt.Tx) error {
		notes := tx.Bucket([]byte("obj"))
		var paths [][]byte
		for k, _ := notes.Cursor().Seek([]byte("checkpoints/")); k != nil; k, _ = notes.Cursor().Seek(append(k, 0)) {
			if bytes.HasPrefix(k, []byte("checkpoints/")) {
				paths = append(paths, bytes.Clone(k))
			}
		}
		for _, k := range paths {
			if err := notes.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(_ []byte, bucket *bolt.Bucket) error {
			s := bucket.Stats()
			bytesUsed += s.BranchAlloc + s.LeafAlloc
			return nil
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	return bytesUsed
}
