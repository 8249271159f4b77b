package server

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// do answers one request without a network.
func (w *world) do(method, target, contentType string, body []byte) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	agrees(w, theContract(), method, target, rec)
	return rec
}

func (w *world) get(target string) *httptest.ResponseRecorder {
	w.Helper()
	return w.do("GET", target, "", nil)
}

func wantProblem(t *testing.T, rec *httptest.ResponseRecorder, name Problem) {
	t.Helper()
	var p problem
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v: %s", err, rec.Body)
	}
	if p.Type != problemPrefix+string(name) || p.Status != rec.Code || p.Status != problems[name].Status {
		t.Errorf("problem %+v with status %d, want %s", p, rec.Code, name)
	}
	if p.Status == http.StatusServiceUnavailable && name != ProblemClosed && rec.Header().Get("Retry-After") == "" {
		t.Error("it is not said when to try again")
	}
}

func TestEveryProblemHasASentence(t *testing.T) {
	for name, p := range problems {
		if p.Status < 400 || p.Title == "" {
			t.Errorf("%s: %+v", name, p)
		}
		if d := p.Detail; d != "" && !strings.HasSuffix(d, ".") {
			t.Errorf("%s: %q is not a sentence", name, d)
		}
	}
}

func TestConditionalRequests(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/checkpoint", "/checkpoints/1", "/tile/0/000.p/10", "/tile/entries/000.p/10", "/api/v1/entry/7", "/", "/assets/style.css"} {
		for _, encoding := range []string{"", "gzip"} {
			ask := func(tag string) *httptest.ResponseRecorder {
				r := httptest.NewRequest("GET", path, nil)
				r.Header.Set("Accept-Encoding", encoding)
				if tag != "" {
					r.Header.Set("If-None-Match", tag)
				}
				rec := httptest.NewRecorder()
				w.server.ServeHTTP(rec, r)
				return rec
			}
			first := ask("")
			tag := first.Header().Get("ETag")
			if first.Code != 200 || tag == "" {
				t.Fatalf("%s: %d, ETag %q", path, first.Code, tag)
			}
			for _, header := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
				if again := ask(header); again.Code != http.StatusNotModified || again.Body.Len() > 0 || again.Header().Get("ETag") != tag {
					t.Errorf("%s: If-None-Match %s: %d with %d bytes", path, header, again.Code, again.Body.Len())
				}
			}
			if again := ask(`"x"`); again.Code != 200 {
				t.Errorf("%s: another ETag: %d", path, again.Code)
			}
		}
	}
}

func TestGzipIsTheSame(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/tile/entries/000.p/10", "/", "/assets/style.css", "/api/v1/roll/" + hexOf(w.text)} {
		plain := w.get(path).Body.Bytes()
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		if rec.Header().Get("Content-Encoding") == "" {
			if len(plain) >= minCompress {
				t.Errorf("%s: %d bytes are not compressed", path, len(plain))
			}
			continue
		}
		if rec.Body.Len() >= len(plain) {
			t.Errorf("%s: it does not pay", path)
		}
		z, err := gzip.NewReader(rec.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: other bytes: %v", path, err)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br": false, "br, gzip": true, "gzip;q=0": false, "gzip; q=0.000": false,
		"gzip;q=0.1": true, "gzip ; q = 1": true, "x-gzip": false, "identity": false,
	} {
		if got := acceptsGzip(http.Header{"Accept-Encoding": {header}}); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

// Every path of the record is what the ledger's own Fetch gives, and what its clients check.
func TestClientsCanUseIt(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	fetch := func(_ context.Context, path string) ([]byte, error) {
		rec := w.get("/" + path)
		if rec.Code != 200 {
			return nil, fmt.Errorf("%s: %d", path, rec.Code)
		}
		return rec.Body.Bytes(), nil
	}
	published := w.ledger.Published()
	reader, err := verify.NewHashReader(ctx, published, fetch)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := reader.Entries(ctx, 0)
	if err != nil || uint64(len(entries)) != published.Size {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	var proof struct {
		Hashes [][]byte `json:"hashes"`
	}
	for index := range published.Size {
		rec := w.get(fmt.Sprintf("/api/v1/proof/inclusion?index=%d&size=%d", index, published.Size))
		if err := json.Unmarshal(rec.Body.Bytes(), &proof); err != nil {
			t.Fatal(err)
		}
		if err := verify.CheckInclusion(verify.LeafHash(entries[index]), index, published.Size, hashes(proof.Hashes), published.Root); err != nil {
			t.Errorf("entry %d: %v", index, err)
		}
		receipt, err := verify.ParseReceipt(w.get(receiptPath(index)).Body.Bytes())
		if err != nil || receipt.Index != index || !bytes.Equal(receipt.Leaf, entries[index]) {
			t.Errorf("receipt %d: %v", index, err)
		}
	}
	for size := uint64(1); size <= published.Size; size++ {
		rec := w.get(fmt.Sprintf("/api/v1/proof/consistency?from=%d&to=%d", size, published.Size))
		if err := json.Unmarshal(rec.Body.Bytes(), &proof); err != nil {
			t.Fatal(err)
		}
		root, err := reader.RootAt(ctx, size)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify.CheckConsistency(size, published.Size, hashes(proof.Hashes), root, published.Root); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

func hashes(list [][]byte) (all [][32]byte) {
	for _, h := range list {
		all = append(all, [32]byte(h))
	}
	return all
}

func TestBusy(t *testing.T) {
	w := newWorld(t)
	w.server.bodies.free, w.server.singles.free = 100, 100
	wantProblem(t, w.do("POST", "/entries", "text/plain", make([]byte, 101)), ProblemBusy)
	wantProblem(t, w.do("POST", "/entries", typeBytes, make([]byte, 101)), ProblemBusy)
	if w.server.bodies.free != 100 || w.server.singles.free != 100 {
		t.Errorf("%d and %d bytes are free", w.server.bodies.free, w.server.singles.free)
	}
	// Large bodies do not keep single entries out.
	w.server.bodies.free, w.server.singles.free = 0, 1<<20
	if got := w.do("POST", "/entries", "text/plain", []byte("nonsense")); got.Code != http.StatusBadRequest {
		t.Errorf("a single entry beside large bodies: status %d", got.Code)
	}
	// What is refused or accepted gives back what it held.
	w.server.bodies.free, w.server.singles.free = 1<<20, 1<<20
	w.do("POST", "/entries", "text/plain", []byte("nonsense"))
	w.do("POST", "/entries", typeBytes, frame(w.spare(), []byte("nonsense")))
	w.do("POST", "/entries", typeBytes, []byte{1})
	w.do("PUT", blobPath(w.text), "", []byte(worldText))
	w.do("PUT", blobPath(w.text), "", []byte("short"))
	if w.server.bodies.free != 1<<20 || w.server.singles.free != 1<<20 {
		t.Errorf("%d and %d bytes are free", w.server.bodies.free, w.server.singles.free)
	}
}

func TestProblemsOfTheLedger(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		err  error
		want Problem
	}{
		{ledger.ErrBusy, ProblemBusy},
		{fmt.Errorf("wrapped: %w", ledger.ErrBusy), ProblemBusy},
		{ledger.ErrClosed, ProblemNotSigning},
		{ledger.ErrReadOnly, ProblemClosed},
		{&ledger.RefusedError{Problem: "the record is behind"}, ProblemNotSigning},
		{ledger.ErrWithheld, ProblemWithheld},
		{context.DeadlineExceeded, ProblemBusy},
		{context.Canceled, ProblemBusy},
		{&ledger.Refusal{Rule: "previous", Detail: "It is another."}, "previous"},
	} {
		if p := w.server.problemFrom(c.err); p.Type != problemPrefix+string(c.want) || p.Detail == "" {
			t.Errorf("%v: %+v", c.err, p)
		}
	}
	if w.log.Len() > 0 {
		t.Errorf("it is logged: %s", &w.log)
	}
	if p := w.server.problemFrom(errors.New("something else")); p.Status != 500 {
		t.Errorf("%+v", p)
	}
	if !strings.Contains(w.log.String(), "something else") {
		t.Error("a failure of ours is not logged")
	}
}

// TestProofAlone: the proof that is answered instead of a receipt is that of the receipt, without what is beside it.
func TestProofAlone(t *testing.T) {
	w := newEmptyWorld(t, rolltest.Origin)
	w.join("apnic.net", "APNIC")
	endorsement := rolltest.Sign(w.endorsement(entry.Endorse, "apnic.net", w.publish("We stand by this.\n", "A statement"))).Bytes()
	ask := func(query string) (a submitted, size int) {
		rec := w.do("POST", "/entries"+query, "text/plain", endorsement)
		if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil || rec.Code != http.StatusOK {
			t.Fatalf("%v: %d %s", err, rec.Code, rec.Body)
		}
		return a, rec.Body.Len()
	}
	first, short := ask("?answer=proof")
	again, long := ask("?answer=receipt")
	if usual, _ := ask(""); usual != again || again.Proof != "" || first.Receipt != "" || first.Index != again.Index {
		t.Errorf("%+v and %+v", first, again)
	}
	proof, err := verify.ParseReceipt([]byte(first.Proof))
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := verify.ParseReceipt([]byte(again.Receipt))
	if err != nil {
		t.Fatal(err)
	}
	if len(receipt.Support) == 0 || receipt.After == nil || short >= long {
		t.Fatalf("the receipt has nothing beside its proof: %+v", receipt)
	}
	receipt.Support, receipt.After = nil, nil
	if !bytes.Equal(proof.Bytes(), receipt.Bytes()) {
		t.Errorf("%s\n\n%s", proof.Bytes(), receipt.Bytes())
	}
	c, err := verify.ParseCheckpoint(proof.Checkpoint[:bytes.Index(proof.Checkpoint, []byte("\n\n"))+1])
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.CheckInclusion(verify.LeafHash(proof.Leaf), proof.Index, c.Size, proof.Proof, c.Root); err != nil {
		t.Error(err)
	}
}

// Without witnesses an entry is stored and waits; the answer says so and where the receipt will be.
func TestNotYetWitnessed(t *testing.T) {
	var down atomic.Bool
	w := newEmptyWorld(t, rolltest.Origin, func(cfg *ledger.Config) {
		cfg.Cosign = cosigning(func(ctx context.Context, note []byte) ([]byte, error) {
			if down.Load() {
				return nil, errors.New("no witness answers")
			}
			return note, nil
		})
	})
	w.server.limits.settle = 50 * time.Millisecond
	down.Store(true)
	newcomer := rolltest.Sign(w.registration("newcomer.example", "Newcomer")).Bytes()
	for _, duplicate := range []bool{false, true} {
		rec := w.do("POST", "/entries?wait=0s", "text/plain", newcomer)
		var a submitted
		if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
			t.Fatalf("%v: %s", err, rec.Body)
		}
		if rec.Code != http.StatusAccepted || a.Published || a.Receipt != "" || a.Index != 1 || a.Duplicate != duplicate || !a.Stands ||
			a.ReceiptURL != "/api/v1/receipt/1" || !strings.HasPrefix(a.Detail, "Stored at 1, not yet witnessed.") {
			t.Errorf("%d: %s", rec.Code, rec.Body)
		}
	}
	lines := w.do("POST", "/entries?wait=0s", typeBytes, frame(newcomer)).Body.String()
	if !strings.HasPrefix(lines, `{"status":202,"index":1,`) {
		t.Errorf("lines: %s", lines)
	}
	// What is not published cannot be proven, and is in no list.
	wantProblem(t, w.get("/api/v1/receipt/1"), ProblemNotFound)
	wantProblem(t, w.get("/api/v1/entry/1"), ProblemNotFound)
	if got := w.get("/api/v1/search?q=newcomer").Body.String(); strings.Contains(got, "newcomer") {
		t.Errorf("the search finds it: %s", got)
	}
}

// A ledger whose storage fails says so, and so does what watches it.
func TestFailedLedger(t *testing.T) {
	var broken atomic.Bool
	w := newEmptyWorld(t, rolltest.Origin, func(cfg *ledger.Config) {
		cfg.Store = &storetest.Faulty{Store: cfg.Store, Fault: func(string, int) storetest.Fault {
			if broken.Load() {
				return storetest.Fails
			}
			return storetest.Works
		}}
	})
	newcomer := rolltest.Sign(w.registration("newcomer.example", "Newcomer")).Bytes()
	broken.Store(true)
	wantProblem(t, w.do("POST", "/entries", "text/plain", newcomer), ProblemFailed)
	wantProblem(t, w.do("POST", "/entries", "text/plain", newcomer), ProblemFailed)
	wantProblem(t, w.get("/healthz"), ProblemFailed)
	wantProblem(t, w.get("/readyz"), ProblemFailed)
	for _, path := range []string{"/", "/api/v1/statements", "/api/v1/signatory/apnic.net", "/blobs/sha256/" + strings.Repeat("0", 64)} {
		if rec := w.get(path); rec.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

// A ledger whose disk is full says so to who writes, goes on for who reads, and needs nothing but space.
func TestFullLedger(t *testing.T) {
	var store *storetest.Memory
	w := newEmptyWorld(t, rolltest.Origin, func(cfg *ledger.Config) { store = cfg.Store.(*storetest.Memory) })
	newcomer := rolltest.Sign(w.registration("newcomer.example", "Newcomer")).Bytes()
	store.Limit(store.Used())
	rec := w.do("POST", "/entries", "text/plain", newcomer)
	wantProblem(t, rec, ProblemFull)
	if rec.Code != http.StatusInsufficientStorage || rec.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	many := binary.BigEndian.AppendUint16(nil, uint16(len(newcomer)))
	rec = w.do("POST", "/entries", "application/octet-stream", append(many, newcomer...))
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), `"status":507`) {
		t.Errorf("many: %d %s", rec.Code, rec.Body)
	}
	rec = w.get("/readyz")
	if rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "The disk is full") {
		t.Errorf("readyz: %d %s", rec.Code, rec.Body)
	}
	for _, path := range []string{"/healthz", "/checkpoint", "/tile/0/000.p/1", "/", "/api/v1/statements"} {
		if rec := w.get(path); rec.Code != 200 {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	metrics := w.get("/metrics").Body.String()
	for _, line := range []string{"undersigned_full 1\n", `undersigned_entries_total{outcome="full"} 2` + "\n"} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics lack %q", line)
		}
	}
	store.Limit(-1)
	if rec := w.get("/readyz"); rec.Code != 200 {
		t.Errorf("readyz: %d %s", rec.Code, rec.Body)
	}
	if rec := w.do("POST", "/entries", "text/plain", newcomer); rec.Code != 200 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestClosedLedger(t *testing.T) {
	w := newWorld(t)
	spare := w.spare()
	if err := w.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	if rec := w.do("POST", "/entries", "text/plain", spare); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d: %s", rec.Code, rec.Body)
	}
	if rec := w.get("/readyz"); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d", rec.Code)
	}
	if rec := w.get("/checkpoint"); rec.Code != 200 {
		t.Errorf("the record cannot be read: %d", rec.Code)
	}
}

func TestReadOnlyLedger(t *testing.T) {
	operator := rolltest.NewOrg("operator.example", 1, 0, 1)
	now := func() time.Time { return rolltest.Start }
	l, cfg := newLedger(t, rolltest.Origin, now, operator)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Signers, cfg.LastSigned = nil, nil
	l, err := ledger.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := &world{TB: t, ledger: l, server: New(Config{Ledger: l, Now: now})}
	wantProblem(t, w.do("POST", "/entries", "text/plain", []byte("hello")), ProblemClosed)
	if rec := w.do("POST", "/entries", "text/plain", []byte("hello")); rec.Header().Get("Retry-After") != "" {
		t.Error("it says that it will take entries again")
	}
	if rec := w.get("/readyz"); rec.Code != 200 || rec.Body.String() != "ready to be read, closed for writing\n" {
		t.Errorf("readyz: %d %s", rec.Code, rec.Body)
	}
	if got := w.get("/metrics").Body.String(); !strings.Contains(got, "\nundersigned_closed 1\n") || !strings.Contains(got, "\nundersigned_signing 0\n") {
		t.Errorf("metrics: %s", got)
	}
	if rec := w.get("/healthz"); rec.Code != 200 {
		t.Errorf("healthz: %d", rec.Code)
	}
	if rec := w.get("/"); rec.Code != 200 || !strings.Contains(rec.Body.String(), "takes no entries any more") || !strings.Contains(rec.Body.String(), "No statement has been published") {
		t.Errorf("the page: %d", rec.Code)
	}
}

// TestRefusingLedger serves a ledger whose last-signed record is gone.
func TestRefusingLedger(t *testing.T) {
	operator := rolltest.NewOrg("operator.example", 1, 0, 1)
	now := func() time.Time { return rolltest.Start }
	l, cfg := newLedger(t, rolltest.Origin, now, operator)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	last, err := ledger.OpenLastSigned(filepath.Join(t.TempDir(), "last-signed"))
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	cfg.LastSigned = last
	if l, err = ledger.Open(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := &world{TB: t, ledger: l, server: New(Config{Ledger: l, Now: now})}
	if rec := w.do("POST", "/entries", "text/plain", []byte("hello")); rec.Header().Get("Retry-After") == "" {
		t.Error("it does not say that it may take entries again")
	}
	wantProblem(t, w.do("POST", "/entries", "text/plain", []byte("hello")), ProblemNotSigning)
	wantProblem(t, w.get("/readyz"), ProblemNotSigning)
	if got := w.get("/metrics").Body.String(); !strings.Contains(got, "\nundersigned_closed 0\n") || !strings.Contains(got, "\nundersigned_signing 0\n") {
		t.Errorf("metrics: %s", got)
	}
	if rec := w.get("/"); rec.Code != 200 || !strings.Contains(rec.Body.String(), "takes no entries at the moment") {
		t.Errorf("the page: %d", rec.Code)
	}
}

// TestEntryTimes: the witness of this policy is the log itself, which says when.
func TestEntryTimes(t *testing.T) {
	w := newWorld(t)
	logs := logSigners(t, rolltest.Origin)
	policy := func(text string) *verify.Policy {
		p, err := verify.ParsePolicy([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	type answer struct {
		Kind      entry.Kind `json:"kind"`
		Entry     string     `json:"entry"`
		Admitted  time.Time  `json:"admitted"`
		Covered   uint64     `json:"covered_by"`
		NotBefore *time.Time `json:"not_before"`
		NoLater   *time.Time `json:"no_later"`
	}
	ask := func(index uint64) (a answer) {
		t.Helper()
		rec := w.get(fmt.Sprintf("/api/v1/entry/%d", index))
		if err := json.Unmarshal(rec.Body.Bytes(), &a); rec.Code != 200 || err != nil {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		return a
	}
	index := uint64(0)
	for ask(index).Kind != entry.KindEndorsement {
		index++
	}
	e, err := entry.Parse([]byte(ask(index).Entry))
	if err != nil {
		t.Fatal(err)
	}
	// Each copy of the record is signed at the time of its last entry.
	quoted := ask(e.Body.(*entry.Endorsement).After.Size - 1).Admitted.Truncate(time.Second)
	covered := ask(ask(index).Covered - 1).Admitted.Truncate(time.Second)
	other := logSigners(t, "ledger.example/other")
	for name, c := range map[string]struct {
		policy *verify.Policy
		known  bool
	}{
		"with times":     {policy(fmt.Sprintf("log %s\nwitness w %s\nquorum w\n", logs[0].VKey, logs[1].VKey)), true},
		"no quorum":      {policy(fmt.Sprintf("log %s\nquorum none\n", logs[0].VKey)), false},
		"another ledger": {policy(fmt.Sprintf("log %s\nwitness w %s\nquorum w\n", other[0].VKey, other[1].VKey)), false},
	} {
		w.server = New(Config{Ledger: w.ledger, Now: w.clock, Policy: c.policy})
		a := ask(index)
		if a.Covered <= index || (a.NotBefore != nil) != c.known || (a.NoLater != nil) != c.known {
			t.Errorf("%s: %+v", name, a)
		}
		if c.known && (!a.NotBefore.Equal(quoted) || !a.NoLater.Equal(covered)) {
			t.Errorf("%s: %v to %v, want %v to %v", name, a.NotBefore, a.NoLater, quoted, covered)
		}
		if w.get(fmt.Sprintf("/api/v1/entry/%d", index)).Header().Get("Cache-Control") == cacheForever {
			t.Errorf("%s: it is kept for ever, whatever the policy becomes", name)
		}
		if a := ask(0); a.NotBefore != nil || (a.NoLater != nil) != c.known {
			t.Errorf("%s: the charter: %+v", name, a)
		}
	}
}

func TestAPanicIsAnswered(t *testing.T) {
	w := newWorld(t)
	routes = append(routes, route{"/panic", false, "panic", get, func(*Server, http.ResponseWriter, *http.Request, string) {
		panic("what a client sent")
	}})
	defer func() { routes = routes[:len(routes)-1] }()
	wantProblem(t, w.get("/panic"), ProblemInternal)
	if log := w.log.String(); !strings.Contains(log, "route=panic") || strings.Contains(log, "what a client sent") {
		t.Errorf("logged: %s", log)
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.get("/no/such/path")
	w.do("BREW", "/", "", nil)
	w.do("POST", "/entries", "text/plain", []byte("hello"))
	w.do("POST", "/entries", "text/plain", w.entryAt(8))
	w.do("POST", "/entries", "text/plain", w.spare())
	got := w.get("/metrics").Body.String()
	for _, want := range []string{
		`undersigned_http_requests_total{code="404",method="GET",route="none"} 1`,
		`undersigned_http_requests_total{code="405",method="other",route="page"} 1`,
		`undersigned_entries_total{outcome="refused"} 1`,
		`undersigned_entries_total{outcome="duplicate"} 1`,
		`undersigned_entries_total{outcome="admitted"} 1`,
		`undersigned_refused_total{rule="syntax"} 1`,
		`undersigned_record_stored 12`,
		`undersigned_scrub_ended_timestamp_seconds 0`,
		`undersigned_record_published 12`,
		`undersigned_queue_entries 0`,
		`undersigned_signing 1`,
		`undersigned_closed 0`,
		`undersigned_clock_behind_seconds 0`,
		`undersigned_certificate_expiry_timestamp_seconds 0`,
		`undersigned_limited_total{bound="queue"} 0`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	secure := New(Config{Ledger: w.ledger, Expires: func() time.Time { return time.Unix(1234567, 0) }})
	if got := (&world{TB: t, server: secure}).get("/metrics").Body.String(); !strings.Contains(got, "\nundersigned_certificate_expiry_timestamp_seconds 1.234567e+06\n") {
		t.Errorf("the certificate's end is not to be seen: %s", got)
	}
	if strings.Contains(got, "undersigned_dns_") {
		t.Error("a server that asks no domains tells how that goes")
	}
	keeping := ledger.Keeping{Failing: 1, Failures: 2, Changes: 3, Gone: 4, Still: 5}
	asking := New(Config{Ledger: w.ledger, Keeping: func() ledger.Keeping { return keeping }})
	for _, lines := range [][]string{
		{"undersigned_dns_success_timestamp_seconds 0", "undersigned_dns_failing 1", "undersigned_dns_failures_total 2", `undersigned_dns_recorded_total{says="published"} 3`,
			`undersigned_dns_recorded_total{says="gone"} 4`, `undersigned_dns_recorded_total{says="unchanged"} 5`},
		{"undersigned_dns_success_timestamp_seconds 1.234567e+06"},
	} {
		got := (&world{TB: t, server: asking}).get("/metrics").Body.String()
		for _, line := range lines {
			if !strings.Contains(got, "\n"+line+"\n") {
				t.Errorf("no line %s", line)
			}
		}
		keeping.Success = time.Unix(1234567, 0)
	}
	w.advance(-time.Hour)
	if got := w.get("/metrics").Body.String(); !strings.Contains(got, "\nundersigned_clock_behind_seconds 3600\n") {
		t.Errorf("a clock that went back is not to be seen: %s", got)
	}
}

func TestStatementsOfManyKinds(t *testing.T) {
	w := newWorld(t)
	pdf, german := []byte("%PDF-1.7 <script>"), []byte("<script>alert(1)</script>\n")
	h, r := entry.Sum(pdf), entry.Sum(german)
	w.must(w.draft(&entry.Statement{
		Action: entry.Publish, Statement: h, Title: "A document", Language: "en", MediaType: "application/pdf", Size: int64(len(pdf)),
		Renditions: []entry.Rendition{{Language: "de", Hash: r, Size: int64(len(german)), MediaType: "text/html"}},
		Supersedes: &w.text, Closes: w.clock().Add(time.Hour),
	}, w.operator))
	for hash, data := range map[entry.Hash][]byte{h: pdf, r: german} {
		if rec := w.do("PUT", blobPath(hash), "", data); rec.Code != http.StatusNoContent {
			t.Fatalf("%d: %s", rec.Code, rec.Body)
		}
		rec := w.get(blobPath(hash))
		if rec.Header().Get("Content-Type") != typeBytes || rec.Header().Get("Content-Disposition") != "attachment" {
			t.Errorf("a browser would show it: %v", rec.Header())
		}
	}
	if old := w.get("/statement/" + hexOf(w.text)).Body.String(); !strings.Contains(old, `There is <a href="/statement/`+hexOf(h)+`">a newer version of this text</a>.`) {
		t.Error("a text that was replaced does not say so at its head")
	}
	page := w.get("/statement/" + hexOf(h)).Body.String()
	for _, want := range []string{"<h1>A document</h1>", "download it", "open until", "an earlier text", `hreflang="de">German</a>, HTML, 26 bytes`, "17 bytes, English"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if old := w.get("/statement/" + hexOf(w.text)).Body.String(); !strings.Contains(old, "a newer version of this text") {
		t.Error("the old page does not name the new one")
	}
	w.advance(2 * time.Hour)
	if page := w.get("/statement/" + hexOf(h)).Body.String(); !strings.Contains(page, "closed since") {
		t.Error("what has closed by itself is open on the page")
	}
	if err := w.ledger.TakeDown(context.Background(), h); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, w.get(blobPath(h)), ProblemNotFound)
	wantProblem(t, w.do("PUT", blobPath(h), "", pdf), ProblemWithheld)
}

func TestDisputed(t *testing.T) {
	w := newWorld(t)
	o := w.joinWithTwo("thief.example")
	index := w.must(w.endorsement(entry.Endorse, o.Domain, w.text))
	ref := o.Keys[0].Ref()
	from := index
	w.must(w.draft(&entry.KeyEvent{Action: entry.Revoke, Member: o.Domain, Revokes: &ref, CompromisedAfter: &from}, o, o.Keys[1]))
	var answer rollJSON
	if err := json.Unmarshal(w.get("/api/v1/roll/"+hexOf(w.text)).Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	for _, line := range answer.Items {
		if line.Disputed != (line.Domain == o.Domain) {
			t.Errorf("%s: disputed %v", line.Domain, line.Disputed)
		}
	}
	for _, path := range []string{"/", "/statement/" + hexOf(w.text)} {
		if !strings.Contains(w.get(path).Body.String(), "▲</span> disputed") {
			t.Errorf("%s does not say so", path)
		}
	}
}

// connect starts a real server for the world, and returns its address.
func (w *world) connect(wrap ...func(net.Listener) net.Listener) string {
	w.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	address := listener.Addr().String()
	for _, f := range wrap {
		listener = f(listener)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, listener, w.server, 0, time.Second) }()
	w.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
	return address
}

func dial(t *testing.T, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn, bufio.NewReader(conn)
}

// A body that never ends is cut as soon as it is too long, and the connection with it.
func TestBodyThatNeverEnds(t *testing.T) {
	w := newWorld(t)
	for _, contentType := range []string{"text/plain", typeBytes} {
		conn, answers := dial(t, w.connect())
		fmt.Fprintf(conn, "POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", contentType)
		var sent int
		var sender sync.WaitGroup
		sender.Go(func() {
			chunk := []byte("10000\r\n" + strings.Repeat("x", 1<<16) + "\r\n")
			for {
				n, err := conn.Write(chunk)
				if sent += n; err != nil {
					return
				}
			}
		})
		got, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.StatusCode != http.StatusRequestEntityTooLarge || !got.Close {
			t.Errorf("status %d, close %v", got.StatusCode, got.Close)
		}
		conn.Close()
		sender.Wait()
		if sent > 64<<20 {
			t.Errorf("%d bytes were taken", sent)
		}
	}
	if size := w.ledger.Stats().Stored; size != 11 {
		t.Errorf("%d entries", size)
	}
	if w.server.bodies.free+w.server.singles.free != w.server.limits.bodies {
		t.Error("a cut body still holds memory")
	}
}

// A body that comes too slowly is cut when its time is over.
func TestSlowBody(t *testing.T) {
	w := newWorld(t)
	w.server.limits.body = 50 * time.Millisecond
	conn, answers := dial(t, w.connect())
	fmt.Fprint(conn, "POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nunder")
	got, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != http.StatusRequestTimeout || !got.Close {
		t.Errorf("status %d, close %v", got.StatusCode, got.Close)
	}
}

// A body that ends before its announced length is refused.
func TestShortBody(t *testing.T) {
	w := newWorld(t)
	conn, answers := dial(t, w.connect())
	fmt.Fprint(conn, "POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nunder")
	conn.(*net.TCPConn).CloseWrite()
	got, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d", got.StatusCode)
	}
}

// A connection serves many requests, one after the other, and waits do not outlive their time.
func TestKeepAlive(t *testing.T) {
	w := newWorld(t)
	conn, answers := dial(t, w.connect())
	for range 3 {
		spare := w.entryAt(8)
		fmt.Fprintf(conn, "POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(spare), spare)
		got, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, got.Body); err != nil || got.StatusCode != 200 || got.Close {
			t.Fatalf("status %d, close %v, %v", got.StatusCode, got.Close, err)
		}
	}
}

func TestHeadersAreBounded(t *testing.T) {
	w := newWorld(t)
	conn, answers := dial(t, w.connect())
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", maxHeader+8192))
	got, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", got.StatusCode)
	}
}

func TestServeStops(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done() // a wait for witnesses
		io.WriteString(w, "stored")
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, listener, handler, time.Millisecond, 10*time.Second) }()
	answer := make(chan string, 1)
	go func() {
		got, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer got.Body.Close()
		body, _ := io.ReadAll(got.Body)
		answer <- string(body)
	}()
	<-started
	cancel()
	if err := <-done; err != nil {
		t.Errorf("a stop is no error: %v", err)
	}
	if got := <-answer; got != "stored" {
		t.Errorf("the request under way was answered %q", got)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestServeCutsWhatDoesNotEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(started)
		<-release
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, listener, handler, 0, time.Millisecond) }()
	conn, _ := dial(t, listener.Addr().String())
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-started
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServeFails(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := Serve(context.Background(), listener, http.NotFoundHandler()); err == nil {
		t.Error("a closed listener is no error")
	}
}

// Many clients at once, each with an entry of its own, and readers beside them.
func TestManyClients(t *testing.T) {
	w := newWorld(t)
	const clients = 8
	var entries [][]byte
	for i := range clients {
		entries = append(entries, rolltest.Sign(w.registration(fmt.Sprintf("client%c.example", 'a'+i), fmt.Sprintf("Client %c", 'A'+i))).Bytes())
	}
	var wg sync.WaitGroup
	seen := make([]uint64, clients)
	for i := range clients {
		wg.Go(func() {
			rec := w.do("POST", "/entries", "text/plain", entries[i])
			var a submitted
			if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil || rec.Code != 200 {
				t.Errorf("%d: %s", rec.Code, rec.Body)
			}
			seen[i] = a.Index
		})
		wg.Go(func() {
			for _, path := range []string{"/", "/api/v1/roll/" + hexOf(w.text), "/api/v1/search?q=client", "/checkpoint"} {
				if rec := w.get(path); rec.Code != 200 {
					t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
				}
			}
		})
	}
	wg.Wait()
	indexes := map[uint64]bool{}
	for _, index := range seen {
		indexes[index] = true
	}
	if len(indexes) != clients {
		t.Errorf("indexes %v", seen)
	}
}

// What a client only announces holds none of the budget: idle connections keep nobody out.
func TestAnnouncedBodies(t *testing.T) {
	for name, share := range map[string]*budget{"some": {free: 10}, "none": {}} {
		read := &charged{from: strings.NewReader("0123456789"), share: share}
		b, err := io.ReadAll(read)
		if name == "none" {
			if !errors.Is(err, errBudget) || len(b) != 0 {
				t.Errorf("%s: %q, %v", name, b, err)
			}
			continue
		}
		if err != nil || share.free != 0 {
			t.Errorf("%s: %v, %d bytes are free", name, err, share.free)
		}
		read.release()
		if share.free != 10 {
			t.Errorf("%s: %d bytes are free after the release", name, share.free)
		}
	}
}

// What became of a chain that came with an entry is told beside what became of the entry.
func TestChainAnswers(t *testing.T) {
	at := uint64(9)
	for _, c := range []struct {
		name   string
		result ledger.Result
		want   string
	}{
		{"no chain", ledger.Result{}, `"published":true,"receipt_url"`},
		{"recorded", ledger.Result{ChainIndex: &at}, `"chain_index":9,"receipt_url"`},
		{"refused", ledger.Result{ChainErr: &ledger.Refusal{Rule: roll.RuleEvidence, Detail: "its DNSSEC chain is older than one in the record"}},
			`"chain_detail":"The DNSSEC chain is not recorded: its DNSSEC chain is older than one in the record.","receipt_url"`},
		{"busy", ledger.Result{ChainErr: ledger.ErrBusy}, `"chain_detail":"The DNSSEC chain is not recorded for now: submit it again.","receipt_url"`},
	} {
		c.result.Stored, c.result.Published = true, true
		if got := string(encode(accepted(c.result))); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}
