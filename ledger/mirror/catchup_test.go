package mirror_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/ledger/mirror"
	"github.com/tccm/undersigned/ledger/server"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// real is a ledger and its server.
type real struct {
	rec    *rolltest.Record
	ledger *ledger.Ledger
	url    string
}

func newReal(tb testing.TB) *real {
	tb.Helper()
	r := &real{rec: rolltest.New(tb)}
	last, err := ledger.OpenLastSigned(filepath.Join(tb.TempDir(), "last-signed"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { last.Close() })
	cfg := ledger.Config{
		Origin: rolltest.Origin, Store: storetest.NewMemory(), LastSigned: last, Now: func() time.Time { return r.rec.Now },
		Signers: []ledger.Signer{signerOf(tb, rolltest.Origin, keys.TypeEd25519, "log"), signerOf(tb, rolltest.Origin, keys.TypeCosignatureMLDSA44, "log")},
	}
	leaf, err := entry.ParseLeaf(r.rec.Leaves[0])
	if err != nil {
		tb.Fatal(err)
	}
	if err := ledger.Create(ctx, cfg, leaf.Entry); err != nil {
		tb.Fatal(err)
	}
	if r.ledger, err = ledger.Open(ctx, cfg); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.ledger.Close() })
	s := httptest.NewServer(server.New(server.Config{Ledger: r.ledger}))
	tb.Cleanup(s.Close)
	r.url = s.URL + "/"
	return r
}

// join submits n registrations, in batches.
func (r *real) join(tb testing.TB, n int) {
	tb.Helper()
	for n > 0 {
		var raw [][]byte
		for range min(n, 500) {
			o := rolltest.NewOrg(fmt.Sprintf("m%d.example", len(r.rec.Leaves)), 1, 0, 1)
			e := r.rec.Registration(o)
			r.rec.Must(e)
			raw = append(raw, e.Bytes())
		}
		for _, res := range r.ledger.Submit(ctx, raw...) {
			if res.Err != nil || !res.Published {
				tb.Fatalf("%+v", res)
			}
		}
		n -= len(raw)
	}
}

func (r *real) policy(tb testing.TB) *verify.Policy {
	tb.Helper()
	text := ""
	for _, v := range r.ledger.VKeys() {
		text += "log " + v.String() + "\n"
	}
	p, err := verify.ParsePolicy([]byte(text + "quorum none\n"))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// over reads paths below an address.
func over(address string) verify.Fetch {
	return func(ctx context.Context, path string) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+path, nil)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
			return io.ReadAll(io.LimitReader(resp.Body, verify.FetchLimit(path)+1))
		case http.StatusNotFound:
			return nil, fs.ErrNotExist
		}
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
}

// A mirror that was stopped for thousands of entries catches up over HTTP, is killed on the way, and has the same bytes in the end.
func TestMirrorCatchesUp(t *testing.T) {
	const missed = 3000
	r, dir, last := newReal(t), t.TempDir(), lastCosigned(t)
	open := func(fetch verify.Fetch) (*mirror.Mirror, func()) {
		store, err := boltstore.Open(dir, false)
		if err != nil {
			if store, err = boltstore.Create(dir); err != nil {
				t.Fatal(err)
			}
		}
		kept := openCopy(t, store)
		m, err := mirror.New(ctx, mirror.Config{
			Origin: rolltest.Origin, Policy: r.policy(t), Fetch: fetch, Copy: kept, Signers: mirrorSigners(t), LastCosigned: last,
			Sizes: func(ctx context.Context, from uint64) (sizes []uint64, err error) {
				all, err := r.ledger.CheckpointSizes(ctx)
				for _, size := range all {
					if size >= from {
						sizes = append(sizes, size)
					}
				}
				return sizes, err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return m, func() {
			kept.Close()
			store.Close()
		}
	}
	fetch := over(r.url)
	r.join(t, 9)
	m, closing := open(fetch)
	if err := m.Round(ctx); err != nil {
		t.Fatal(err)
	}
	closing()
	r.join(t, missed)
	for kills := range 2 {
		short, cancel := context.WithCancel(ctx)
		var n atomic.Int64
		m, closing := open(func(ctx context.Context, path string) ([]byte, error) {
			if _, err := verify.ParseTilePath(path); err == nil {
				if n.Add(1) > int64(10*(kills+1)) {
					cancel()
				}
			}
			return fetch(ctx, path)
		})
		if err := m.Round(short); err == nil {
			t.Error("it was not interrupted")
		}
		closing()
		cancel()
	}
	m, closing = open(fetch)
	defer closing()
	begin := time.Now()
	before := m.Copy.Size()
	if err := m.Round(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries in %v, after %d that were kept", m.Status().Size-before, time.Since(begin), before)
	s := httptest.NewServer(mirror.NewServer([]*mirror.Mirror{m}, time.Minute, time.Now))
	defer s.Close()
	prefix := s.URL + "/" + verify.OriginHash(rolltest.Origin) + "/"
	for tile := range verify.TilesFor(missed + 10) {
		want, err1 := fetch(ctx, tile.Path())
		got, err2 := over(prefix)(ctx, tile.Path())
		if err1 != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s differs: %v %v", tile.Path(), err1, err2)
		}
	}
	report, err := verify.Audit(ctx, r.policy(t), over(prefix), verify.AuditOptions{})
	if err != nil || !report.OK || report.Size != missed+10 {
		t.Errorf("the audit of the mirror: %+v %v", report, err)
	}
}

// BenchmarkJudge is what a replaying witness adds to a checkpoint of one entry.
func BenchmarkJudge(b *testing.B) {
	r := newReal(b)
	store, err := boltstore.Create(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	j := mirror.NewJudge(mirror.JudgeConfig{
		Open: func(context.Context) (*mirror.Follower, func() error, error) {
			return mirror.NewFollower(mirror.FollowerConfig{Origin: rolltest.Origin, Policy: r.policy(b), Fetch: over(r.url), Copy: openCopy(b, store)}), func() error { return nil }, nil
		},
		Now: func() time.Time { return r.rec.Now },
	})
	defer j.Close()
	for b.Loop() {
		b.StopTimer()
		r.join(b, 1)
		b.StartTimer()
		if err := j.Judge(ctx, r.ledger.Checkpoint()); err != nil {
			b.Fatal(err)
		}
	}
}
