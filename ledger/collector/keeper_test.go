package collector_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/mldsa"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/collector"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// keeping is a ledger in memory, a DNS and a clock.
type keeping struct {
	*testing.T
	rec    *rolltest.Record
	ledger *ledger.Ledger
	dns    *dnssectest.DNS
	server *dnssectest.Server
	keeper *collector.Keeper
	log    bytes.Buffer
	mu     sync.Mutex // over now
	now    time.Time
	jitter time.Duration // by which each pause is shortened
}

func newKeeping(t *testing.T) *keeping {
	t.Helper()
	k := &keeping{T: t, rec: rolltest.New(t), now: rolltest.Start.Add(time.Hour)}
	seed := sha256.Sum256([]byte("log"))
	ed := ed25519.NewKeyFromSeed(seed[:])
	ml, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	signer := func(typ byte, public []byte, sign func(msg []byte) ([]byte, error)) ledger.Signer {
		v, err := keys.NewVKey(rolltest.Origin, typ, public)
		if err != nil {
			t.Fatal(err)
		}
		return ledger.Signer{VKey: v, Sign: sign}
	}
	last, err := ledger.OpenLastSigned(filepath.Join(t.TempDir(), "last-signed"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { last.Close() })
	cfg := ledger.Config{Origin: rolltest.Origin, Store: storetest.NewMemory(), LastSigned: last, Now: k.clock, Signers: []ledger.Signer{
		signer(keys.TypeEd25519, ed.Public().(ed25519.PublicKey), func(msg []byte) ([]byte, error) { return ed25519.Sign(ed, msg), nil }),
		signer(keys.TypeCosignatureMLDSA44, ml.PublicKey().Bytes(), func(msg []byte) ([]byte, error) { return ml.SignDeterministic(msg, nil) }),
	}}
	leaf, err := entry.ParseLeaf(k.rec.Leaves[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Create(t.Context(), cfg, leaf.Entry); err != nil {
		t.Fatal(err)
	}
	if k.ledger, err = ledger.Open(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.ledger.Close() })
	k.dns = dnssectest.New(k.now, k.now)
	dnssectest.Trust(k.dns.Anchors()...)
	k.dns.Zone("example", dnssectest.Options{})
	k.dns.Zone("our.example", dnssectest.Options{})
	if k.server, err = k.dns.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.server.Close)
	k.keeper = collector.NewKeeper(k.ledger, &collector.Collector{Resolver: k.server.Addr, Now: k.clock, Timeout: 200 * time.Millisecond},
		func(d time.Duration) time.Duration { return d - k.jitter }, slog.New(slog.NewTextHandler(&k.log, nil)))
	return k
}

func (k *keeping) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *keeping) set(t time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = t
}

// join registers an organization, and tells whether that was published.
func (k *keeping) join(o *rolltest.Org) bool {
	e := k.rec.Registration(o)
	k.rec.Must(e)
	r := k.ledger.Submit(k.Context(), e.Bytes())[0]
	return r.Err == nil && r.Published
}

func (k *keeping) publish(ks ...*rolltest.Key) {
	var list []dnssec.Record
	for _, key := range ks {
		list = append(list, dnssec.Record{Ledger: rolltest.Origin, Key: key.Ref().Fingerprint})
	}
	k.dns.Publish("our.example", list...)
}

// after lets time pass, has the DNS signed anew, the Keeper work, and returns how many entries that made.
func (k *keeping) after(d time.Duration) uint64 {
	k.Helper()
	k.set(k.clock().Add(d))
	k.dns.Window(k.now.Add(-time.Hour), k.now.Add(14*24*time.Hour))
	before := k.ledger.Published().Size
	k.keeper.Step(k.Context())
	return k.ledger.Published().Size - before
}

func (k *keeping) member() (m roll.Member) {
	k.Helper()
	if err := k.ledger.View(func(s *roll.State) { m, _ = s.Member("our.example") }); err != nil {
		k.Fatal(err)
	}
	return m
}

// A domain is asked about once a day. What changes is recorded, what does not once a month, what a resolver spoils never.
func TestKeeper(t *testing.T) {
	const day = 24 * time.Hour
	k := newKeeping(t)
	our, plain := rolltest.NewOrg("our.example", 2, 0, 1), rolltest.NewOrg("plain.example", 1, 0, 1)
	for _, o := range []*rolltest.Org{our, plain} {
		if !k.join(o) {
			t.Fatal("not published")
		}
	}
	if n := k.after(time.Minute); n != 0 || k.log.Len() > 0 {
		t.Errorf("of domains that publish nothing %d entries were made; told: %s", n, &k.log)
	}
	k.publish(our.Keys[0])
	if n := k.after(23 * time.Hour); n != 0 {
		t.Errorf("%d entries before a day was over", n)
	}
	if n := k.after(time.Hour); n != 1 || len(k.member().Keys[0].Published) != 1 {
		t.Errorf("%d entries of the first key", n)
	}
	for range 29 {
		if n := k.after(day); n != 0 {
			t.Errorf("%d entries though nothing has changed", n)
		}
	}
	if n := k.after(day); n != 1 {
		t.Errorf("%d entries after a month", n)
	}
	if p := k.member().Keys[0].Published; len(p) != 1 || p[0].Last.Admitted.Sub(p[0].First.Admitted) < 30*day {
		t.Errorf("published over %+v", p)
	}
	k.publish(our.Keys...)
	if n := k.after(day); n != 1 || len(k.member().Keys[1].Published) != 1 {
		t.Errorf("%d entries of a second key", n)
	}
	// A resolver that takes signatures out or is silent removes nothing. It is asked again within an hour, and the log says so.
	k.server.Edit(func(_ string, _ uint16, a *dnssectest.Answer) { a.Answer, a.Authority = nil, nil })
	if n := k.after(day); n != 0 || k.member().Keys[0].Published[0].Ended || !strings.Contains(k.log.String(), "could not be asked") {
		t.Errorf("%d entries of an empty answer; told: %s", n, &k.log)
	}
	k.server.Edit(nil)
	k.publish(our.Keys[1])
	if n := k.after(59 * time.Minute); n != 0 {
		t.Errorf("%d entries within the hour", n)
	}
	if n := k.after(time.Minute); n != 1 || !k.member().Keys[0].Published[0].Ended || k.member().Keys[1].Published[0].Ended {
		t.Errorf("%d entries of a key that went", n)
	}
	k.publish()
	if n := k.after(day); n != 1 || !k.member().Keys[1].Published[0].Ended {
		t.Errorf("%d entries of the last one", n)
	}
	if n := k.after(40 * day); n != 0 {
		t.Errorf("%d entries about nothing", n)
	}
	// An older answer out of a cache is not even tried.
	k.publish(our.Keys...)
	k.set(k.now.Add(day))
	k.dns.Window(k.now.Add(-80*day), k.now.Add(14*day))
	before := k.ledger.Published().Size
	k.keeper.Step(t.Context())
	if n := k.ledger.Published().Size - before; n != 0 {
		t.Errorf("%d entries of an older answer", n)
	}
	k.publish()
	// Who has left is asked about no more.
	k.publish(our.Keys...)
	h, err := entry.ParseLeaf(mustLeaf(t, k.ledger, 1))
	if err != nil {
		t.Fatal(err)
	}
	id := h.Entry.ID()
	leave := &entry.Entry{Ledger: rolltest.Origin, Previous: &id, Body: &entry.Membership{Action: entry.Leave, Member: "our.example"}, Signer: "our.example", Date: k.now.Format(time.DateOnly), Keys: []keys.Ref{our.Keys[0].Ref()}}
	if r := k.ledger.Submit(t.Context(), rolltest.Sign(leave).Bytes())[0]; r.Err != nil {
		t.Fatalf("%+v", r)
	}
	if n := k.after(day); n != 0 {
		t.Errorf("%d entries about who left", n)
	}
	want := ledger.Keeping{Success: k.keeper.Status().Success, Failures: 1, Changes: 2, Gone: 2, Still: 1}
	if got := k.keeper.Status(); got != want || k.now.Sub(got.Success) > 2*day {
		t.Errorf("%+v, want %+v", got, want)
	}
	for text, times := range map[string]int{"no longer publishes a key": 2, "publishes a key; that": 2, "publishes the same keys as before": 1} {
		if n := strings.Count(k.log.String(), text); n != times {
			t.Errorf("%q is told %d times, want %d:\n%s", text, n, times, &k.log)
		}
	}
}

// What was recorded of a key that went is the denial itself, for anybody to check.
func TestKeeperKeepsTheDenial(t *testing.T) {
	k := newKeeping(t)
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	k.publish(our.Keys...)
	if !k.join(our) || k.after(time.Minute) != 1 {
		t.Fatal("nothing was recorded")
	}
	k.publish()
	if n := k.after(24 * time.Hour); n != 1 {
		t.Fatalf("%d entries", n)
	}
	leaf, err := entry.ParseLeaf(mustLeaf(t, k.ledger, 3))
	if err != nil {
		t.Fatal(err)
	}
	r, err := dnssec.Verify("our.example", leaf.Entry.Body.(*entry.Evidence).Data, k.dns.Anchors(), leaf.Admitted)
	if err != nil || r.Outcome != dnssec.Absent {
		t.Errorf("%+v, %v", r, err)
	}
}

// Old records of the domain, under keys and delegations that were signed anew, are no news.
func TestKeeperOlderRecords(t *testing.T) {
	k := newKeeping(t)
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	k.publish(our.Keys...)
	if !k.join(our) || k.after(time.Minute) != 1 {
		t.Fatal("nothing was recorded")
	}
	old := k.dns.Query(dnssec.Owner("our.example"), dnssectest.TXT)
	k.publish()
	if n := k.after(24 * time.Hour); n != 1 || !k.member().Keys[0].Published[0].Ended {
		t.Fatalf("%d entries of a key that went", n)
	}
	k.server.Edit(func(_ string, typ uint16, a *dnssectest.Answer) {
		if typ == dnssectest.TXT {
			*a = old
		}
	})
	if n := k.after(24 * time.Hour); n != 0 {
		t.Errorf("%d entries of records of before", n)
	}
	if s := k.keeper.Status(); s.Failures != 0 || s.Failing != 0 {
		t.Errorf("%+v", s)
	}
	// Once nobody is told of it. Whoever keeps showing old answers is seen, until there is a newer one.
	told := func() int { return strings.Count(k.log.String(), "older answers than the record") }
	if told() != 0 {
		t.Errorf("told after the first: %s", &k.log)
	}
	for i := range 3 {
		if n := k.after(24 * time.Hour); n != 0 || told() != i+1 || !strings.Contains(k.log.String(), fmt.Sprintf("level=WARN msg=\"a member's domain has given nothing but older answers than the record has, again and again: what it says now is not recorded\" domain=our.example times=%d", i+2)) {
			t.Errorf("%d entries; told %d times: %s", n, told(), &k.log)
		}
	}
	k.server.Edit(nil)
	if n := k.after(24 * time.Hour); n != 0 || told() != 3 {
		t.Errorf("%d entries; told %d times: %s", n, told(), &k.log)
	}
	k.server.Edit(func(_ string, typ uint16, a *dnssectest.Answer) {
		if typ == dnssectest.TXT {
			*a = old
		}
	})
	if k.after(24 * time.Hour); told() != 3 {
		t.Errorf("told of the first after a newer one: %s", &k.log)
	}
}

// A domain that cannot be asked is asked after longer and longer pauses, up to a day, by the given clock; and as before when it answers.
func TestKeeperPauses(t *testing.T) {
	k := newKeeping(t)
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	k.publish(our.Keys...)
	if !k.join(our) || k.after(time.Minute) != 1 {
		t.Fatal("nothing was recorded")
	}
	asked := func(d time.Duration) bool {
		t.Helper()
		before := len(k.server.Transports())
		k.after(d)
		return len(k.server.Transports()) > before
	}
	k.server.Edit(func(_ string, _ uint16, a *dnssectest.Answer) { a.Answer, a.Authority = nil, nil })
	if !asked(24 * time.Hour) {
		t.Fatal("not asked after a day")
	}
	for _, hours := range []time.Duration{1, 2, 4, 8, 16, 24, 24} {
		if s := k.keeper.Status(); s.Failing != 1 {
			t.Errorf("%+v", s)
		}
		if asked(hours*time.Hour-time.Minute) || !asked(time.Minute) {
			t.Errorf("not asked after %d hours, or before", hours)
		}
	}
	if s := k.keeper.Status(); s.Failures != 8 || s.Success.After(k.now.Add(-72*time.Hour)) {
		t.Errorf("%+v", s)
	}
	k.jitter = 10 * time.Minute
	if !asked(24*time.Hour) || asked(24*time.Hour-11*time.Minute) || !asked(time.Minute) {
		t.Error("a pause is not shortened by the given jitter")
	}
	k.server.Edit(nil)
	k.jitter = 0
	if !asked(24*time.Hour) || asked(24*time.Hour-time.Minute) || !asked(time.Minute) {
		t.Error("once it answers, not asked daily")
	}
	if s := k.keeper.Status(); s.Failing != 0 || !s.Success.Equal(k.now) {
		t.Errorf("%+v", s)
	}
	// A clock that was a year ahead.
	k.after(365 * 24 * time.Hour)
	k.set(k.now.Add(-364 * 24 * time.Hour))
	if !asked(time.Minute) {
		t.Error("not asked after the clock was set back")
	}
}

// A few domains are asked about at a time. A resolver that never answers is left alone after some of them, and keeps nobody waiting: the ledger admits
// and publishes while it is asked.
func TestKeeperDeadResolver(t *testing.T) {
	k := newKeeping(t)
	for i := range 30 {
		o := rolltest.NewOrg(fmt.Sprintf("n%02d.example", i), 1, 0, 1)
		k.dns.Zone(o.Domain, dnssectest.Options{})
		k.dns.Publish(o.Domain, dnssec.Record{Ledger: rolltest.Origin, Key: o.Keys[0].Ref().Fingerprint})
		if !k.join(o) {
			t.Fatal("not published")
		}
	}
	var mu sync.Mutex
	tries := map[string]int{}
	most := 0
	served := false
	k.server.Edit(func(name string, _ uint16, a *dnssectest.Answer) {
		mu.Lock()
		defer mu.Unlock()
		a.Code = -1
		tries[name]++
		going := 0 // questions that are asked again if nobody answers
		for _, n := range tries {
			if n < 3 {
				going++
			}
		}
		if most = max(most, going); !served {
			served = k.join(rolltest.NewOrg("late.example", 1, 0, 1))
		}
	})
	k.keeper.Step(t.Context())
	mu.Lock()
	if !served {
		t.Error("nothing was published while the Keeper asked")
	}
	if most != 4 {
		t.Errorf("%d domains were asked about at one time", most)
	}
	if n := len(tries); n < 8 || n > 11 || k.keeper.Status().Failing != n || !strings.Contains(k.log.String(), "the resolver does not answer") {
		t.Errorf("%d domains were asked about; %+v; told: %s", n, k.keeper.Status(), &k.log)
	}
	// It rests, then the others have their turn, and again it rests, for longer.
	before := len(tries)
	mu.Unlock()
	asked := func(d time.Duration) int {
		k.after(d)
		mu.Lock()
		defer mu.Unlock()
		n := len(tries) - before
		before = len(tries)
		return n
	}
	if n := asked(59 * time.Second); n != 0 {
		t.Errorf("%d domains were asked about while the resolver rests", n)
	}
	if n := asked(time.Second); n < 8 {
		t.Errorf("%d domains were asked about after it", n)
	}
	if n := asked(119 * time.Second); n != 0 {
		t.Errorf("%d domains were asked about while it rests again", n)
	}
	// It lives: all are asked about as soon as each may be.
	k.server.Edit(nil)
	if n := k.after(2 * time.Hour); n != 30 {
		t.Errorf("%d entries of 30 domains", n)
	}
	if s := k.keeper.Status(); s.Failing != 0 || s.Changes != 30 {
		t.Errorf("%+v", s)
	}
}

// A Keeper that is told to end does not wait for a resolver.
func TestKeeperEnds(t *testing.T) {
	k := newKeeping(t)
	if !k.join(rolltest.NewOrg("our.example", 1, 0, 1)) {
		t.Fatal("not published")
	}
	ctx, cancel := context.WithCancel(t.Context())
	k.server.Edit(func(_ string, _ uint16, a *dnssectest.Answer) { a.Code = -1; cancel() })
	k.keeper.Run(ctx)
	if s := k.keeper.Status(); s != (ledger.Keeping{}) || k.log.Len() > 0 {
		t.Errorf("%+v; told: %s", s, &k.log)
	}
}

func mustLeaf(t *testing.T, l *ledger.Ledger, index uint64) []byte {
	t.Helper()
	b, err := l.Leaf(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
