package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// slowStore is a disk that takes its time, so that more comes than can be taken.
type slowStore struct {
	ledger.Store
	commit time.Duration
}

func (s slowStore) Create(ctx context.Context, seq uint64, b []byte, objects ...ledger.Object) error {
	time.Sleep(s.commit)
	return s.Store.Create(ctx, seq, b, objects...)
}

// TestOverload sends ten times what a ledger can take, from many clients of which one keeps to nothing. Whatever is
// answered with 2xx is in the record, and its receipt holds; everything else is 429 or 503 with a time to try
// again, and is not; and /checkpoint is there throughout.
func TestOverload(t *testing.T) {
	const (
		batch  = 16
		queue  = 32
		load   = 480 // requests at one time: ten times what is committed and queued
		rounds = 5
		greedy = 4 // one request in so many is of the same client
	)
	w := newEmptyWorld(t, rolltest.Origin, func(c *ledger.Config) {
		c.MaxBatch, c.MaxQueue = batch, queue
		c.Store = slowStore{c.Store, 20 * time.Millisecond}
	})
	w.server.clients = newClients(Limits{
		Entries: Rate{N: 50, Per: time.Minute}, Requests: 4096, ClientRequests: 256,
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}, time.Now)
	bodies := make([][]byte, load*rounds)
	for i := range bodies {
		domain := fmt.Sprintf("d%05d.example", i)
		bodies[i] = rolltest.Sign(w.registration(domain, "Organization "+strconv.Itoa(i))).Bytes()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- serve(ctx, w.server.Bound(listener), w.server, time.Second, 5*time.Second) }()
	base := "http://" + listener.Addr().String()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: load}, Timeout: time.Minute}

	// A reader looks at the checkpoint all the time.
	var took []time.Duration
	reading, stopReading := context.WithCancel(t.Context())
	var reader sync.WaitGroup
	reader.Go(func() {
		for reading.Err() == nil {
			begin := time.Now()
			resp, err := client.Get(base + "/checkpoint")
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if took = append(took, time.Since(begin)); resp.StatusCode != 200 {
				t.Errorf("/checkpoint: %s", resp.Status)
			}
		}
	})

	var mu sync.Mutex
	statuses := map[int]int{}
	receipts := map[entry.Hash]string{} // of what was taken
	var turnedAway []entry.Hash
	var next atomic.Int64
	var submitters sync.WaitGroup
	for range load {
		submitters.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(bodies) {
					return
				}
				who := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
				if i%greedy == 0 {
					who = netip.MustParseAddr("203.0.113.9")
				}
				req, _ := http.NewRequest("POST", base+"/entries?wait=60s", strings.NewReader(string(bodies[i])))
				req.Header.Set("Content-Type", "text/plain")
				req.Header.Set("X-Forwarded-For", who.String())
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				answer, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil {
					t.Error(err)
				}
				e, _ := entry.Parse(bodies[i])
				mu.Lock()
				statuses[resp.StatusCode]++
				switch resp.StatusCode {
				case 200:
					var a submitted
					if err := json.Unmarshal(answer, &a); err != nil || a.ID != e.ID() || receipts[a.ID] != "" {
						t.Errorf("%s: %v", answer, err)
					}
					receipts[a.ID] = a.Receipt
				case http.StatusTooManyRequests, http.StatusServiceUnavailable:
					if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || n < 1 {
						t.Errorf("%s without a time to try again", resp.Status)
					}
					turnedAway = append(turnedAway, e.ID())
				default:
					t.Errorf("%s: %s", resp.Status, answer)
				}
				mu.Unlock()
			}
		})
	}
	submitters.Wait()
	stopReading()
	reader.Wait()
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}

	slices.Sort(took)
	t.Logf("answers by status: %v; /checkpoint: %d answers, half of them within %v, 99 of 100 within %v, the slowest in %v",
		statuses, len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	if p99 := took[len(took)*99/100]; p99 > time.Second && !raced {
		t.Errorf("/checkpoint takes %v under load", p99)
	}
	if statuses[200] == 0 || statuses[429] == 0 || statuses[503] == 0 {
		t.Errorf("this was no overload: %v", statuses)
	}
	var lines strings.Builder
	for _, s := range logSigners(t, w.ledger.Origin()) {
		lines.WriteString("log " + s.VKey.String() + "\n")
	}
	policy, err := verify.ParsePolicy([]byte(lines.String() + "quorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	for id, text := range receipts {
		r, err := verify.ParseReceipt([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		c, err := policy.Open(r.Checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify.CheckInclusion(verify.LeafHash(r.Leaf), r.Index, c.Size, r.Proof, c.Root); err != nil {
			t.Fatal(err)
		}
		if leaf, err := w.ledger.Leaf(t.Context(), r.Index); err != nil || string(leaf) != string(r.Leaf) {
			t.Fatalf("the entry %s is not where its receipt says: %v", id, err)
		}
	}
	for _, id := range turnedAway {
		if index, ok := w.ledger.Find(id); ok {
			t.Errorf("an entry that was turned away is in the record, at %d", index)
		}
	}
	if report, err := verify.Audit(t.Context(), policy, w.ledger.Fetch, verify.AuditOptions{}); err != nil || !report.OK || report.Size != uint64(1+len(receipts)) {
		t.Errorf("the audit, with %d entries taken: %+v, %v", len(receipts), report, err)
	}
}
