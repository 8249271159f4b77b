package collector_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"strings"
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
	now    time.Time
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
	cfg := ledger.Config{Origin: rolltest.Origin, Store: storetest.NewMemory(), LastSigned: last, Now: func() time.Time { return k.now }, Signers: []ledger.Signer{
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
	k.keeper = collector.NewKeeper(k.ledger, &collector.Collector{Resolver: k.server.Addr, Now: func() time.Time { return k.now }, Timeout: 200 * time.Millisecond},
		slog.New(slog.NewTextHandler(&k.log, nil)))
	return k
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
	k.now = k.now.Add(d)
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
		e := k.rec.Registration(o)
		k.rec.Must(e)
		if r := k.ledger.Submit(t.Context(), e.Bytes())[0]; r.Err != nil || !r.Published {
			t.Fatalf("%+v", r)
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
	k.now = k.now.Add(day)
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
}

func mustLeaf(t *testing.T, l *ledger.Ledger, index uint64) []byte {
	t.Helper()
	b, err := l.Leaf(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
