package tsa_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/mldsa"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/ledger/tsa"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
	"github.com/tccm/undersigned/verify/timestamp"
	"github.com/tccm/undersigned/verify/timestamp/timestamptest"
)

// house is a ledger in memory with a charter, and a clock.
type house struct {
	*testing.T
	cfg    ledger.Config
	ledger *ledger.Ledger
	millis atomic.Int64 // the clock, Unix
	log    bytes.Buffer
	policy *verify.Policy
}

func (h *house) clock() time.Time { return time.UnixMilli(h.millis.Load()).UTC() }

func (h *house) later(d time.Duration) { h.millis.Add(d.Milliseconds()) }

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t}
	h.millis.Store(rolltest.Start.UnixMilli())
	seed := sha256.Sum256([]byte("log"))
	ed := ed25519.NewKeyFromSeed(seed[:])
	ml, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	var signers []ledger.Signer
	text := ""
	for typ, key := range map[byte]struct {
		public []byte
		sign   func(msg []byte) ([]byte, error)
	}{
		keys.TypeEd25519:            {ed.Public().(ed25519.PublicKey), func(msg []byte) ([]byte, error) { return ed25519.Sign(ed, msg), nil }},
		keys.TypeCosignatureMLDSA44: {ml.PublicKey().Bytes(), func(msg []byte) ([]byte, error) { return ml.SignDeterministic(msg, nil) }},
	} {
		v, err := keys.NewVKey(rolltest.Origin, typ, key.public)
		if err != nil {
			t.Fatal(err)
		}
		s := ledger.Signer{VKey: v, Sign: key.sign}
		if signers = append(signers, s); typ == keys.TypeEd25519 && len(signers) == 2 {
			signers[0], signers[1] = signers[1], signers[0]
		}
		text += "log " + v.String() + "\n"
	}
	if h.policy, err = verify.ParsePolicy([]byte(text + "quorum none\n")); err != nil {
		t.Fatal(err)
	}
	last, err := ledger.OpenLastSigned(filepath.Join(t.TempDir(), "last-signed"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { last.Close() })
	h.cfg = ledger.Config{Origin: rolltest.Origin, Store: storetest.NewMemory(), Signers: signers, LastSigned: last, Now: h.clock}
	leaf, err := entry.ParseLeaf(rolltest.New(t).Leaves[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Create(t.Context(), h.cfg, leaf.Entry); err != nil {
		t.Fatal(err)
	}
	h.open()
	t.Cleanup(func() { h.ledger.Close() })
	return h
}

func (h *house) open() {
	h.Helper()
	var err error
	if h.ledger, err = ledger.Open(context.Background(), h.cfg); err != nil {
		h.Fatal(err)
	}
}

func (h *house) stamper(handlers ...http.Handler) *tsa.Stamper {
	h.Helper()
	var clients []*tsa.Client
	for i, handler := range handlers {
		c, err := tsa.NewClient("https://tsa.example/"+string(rune('a'+i)), h.clock, direct{handler})
		if err != nil {
			h.Fatal(err)
		}
		clients = append(clients, c)
	}
	return tsa.NewStamper(h.ledger, clients, h.clock, slog.New(slog.NewTextHandler(&h.log, nil)))
}

// step lets time pass, and returns how long the stamper would wait then.
func (h *house) step(s *tsa.Stamper, later time.Duration) time.Duration {
	h.later(later)
	return s.Step(h.Context())
}

// stamps audits the record, and returns how many time stamps hold.
func (h *house) stamps(authorities ...*timestamptest.Authority) int {
	h.Helper()
	var pem []byte
	for _, a := range authorities {
		pem = append(pem, a.Roots()...)
	}
	roots, err := timestamp.ParseRoots(pem)
	if err != nil {
		h.Fatal(err)
	}
	r, err := verify.Audit(h.Context(), h.policy, h.ledger.Fetch, verify.AuditOptions{TimeStamps: roots.Check, Now: h.clock})
	if err != nil || !r.OK || r.UncheckedStamps != 0 {
		h.Fatalf("%+v %v", r, err)
	}
	return int(r.Stamps)
}

// Each authority stamps one checkpoint a day, whatever else happens, and across restarts.
func TestStamper(t *testing.T) {
	h := newHouse(t)
	a, b := timestamptest.New(h.clock, timestamptest.Options{Name: "A"}), timestamptest.New(h.clock, timestamptest.Options{Name: "B"})
	s := h.stamper(a, b)
	want := func(n int) {
		t.Helper()
		if got := h.stamps(a, b); got != n {
			t.Fatalf("%d time stamps, want %d\n%s", got, n, &h.log)
		}
	}
	if wait := h.step(s, 0); wait != 24*time.Hour {
		t.Errorf("it waits %v", wait)
	}
	want(2)
	if wait := h.step(s, 23*time.Hour); wait != time.Hour {
		t.Errorf("it waits %v", wait)
	}
	want(2)
	h.step(s, time.Hour)
	want(4)
	for _, st := range s.Status() {
		if st.Failures != 0 || st.Err != "" || !st.Time.Equal(h.clock()) || st.Size == 0 {
			t.Errorf("%+v", st)
		}
	}
	// A restart an hour later: what is in the record counts.
	if err := h.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	h.open()
	s = h.stamper(a, b)
	if wait := h.step(s, time.Hour); wait != 23*time.Hour {
		t.Errorf("after a restart it waits %v", wait)
	}
	want(4)
	// One that is new stamps at once.
	c := timestamptest.New(h.clock, timestamptest.Options{Name: "C"})
	h.step(h.stamper(a, b, c), 0)
	if got := h.stamps(a, b, c); got != 5 {
		t.Errorf("%d time stamps", got)
	}
	h.step(s, 23*time.Hour)
	if got := h.stamps(a, b, c); got != 7 {
		t.Errorf("%d time stamps", got)
	}
	// A clock that was a month ahead does not silence it for a month.
	h.later(30 * 24 * time.Hour)
	h.step(s, 0)
	h.later(-30 * 24 * time.Hour)
	asked := a.Asked.Load()
	h.step(s, 0)
	if a.Asked.Load() == asked {
		t.Error("it is not asked until the clock comes by again")
	}
}

// An authority that fails is asked again, after longer and longer pauses, and holds nobody up.
func TestStamperFails(t *testing.T) {
	h := newHouse(t)
	good := timestamptest.New(h.clock, timestamptest.Options{Name: "A"})
	bad := timestamptest.New(h.clock, timestamptest.Options{Name: "B"})
	bad.Mangle = func(b []byte) []byte { b[len(b)-9] ^= 1; return b }
	s := h.stamper(bad, good)
	var pauses []time.Duration
	for range 9 {
		wait := s.Step(t.Context())
		pauses = append(pauses, wait)
		h.later(wait)
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		if pauses[i] != want*time.Minute {
			t.Errorf("the pauses are %v", pauses)
			break
		}
	}
	if n := h.stamps(good); n != 1 {
		t.Errorf("%d time stamps", n)
	}
	st := s.Status()
	if st[0].Failures != 9 || st[0].Err == "" || !st[0].Time.IsZero() || st[1].Failures != 0 {
		t.Errorf("%+v", st)
	}
	if log := h.log.String(); !strings.Contains(log, "https://tsa.example/a") || strings.Contains(log, "tsa.example/b\" error") {
		t.Error(log)
	}
	bad.Mangle = nil
	if wait := s.Step(t.Context()); wait <= time.Hour {
		t.Errorf("it waits %v", wait)
	}
	if st := s.Status()[0]; st.Err != "" || st.Failures != 9 || st.Time.IsZero() {
		t.Errorf("%+v", st)
	}
	// A ledger that takes nothing is a failure like any other.
	if err := h.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	h.later(48 * time.Hour)
	s.Step(t.Context())
	if st := s.Status(); st[1].Err == "" {
		t.Errorf("%+v", st)
	}
	h.open()
	// Nothing is asked once it is to end.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := good.Asked.Load()
	s = h.stamper(good)
	s.Run(ctx)
	if good.Asked.Load() != before {
		t.Error("asked after the end")
	}
}
