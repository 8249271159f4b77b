package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

func TestAddEvidence(t *testing.T) {
	h := newHouse(t, memory())
	h.join("apnic.net")
	size := h.ledger.Published().Size
	v := &entry.Evidence{Type: entry.RFC3161, Size: size, Data: []byte("a token")}
	r := h.ledger.AddEvidence(t.Context(), v)
	if r.Err != nil || !r.Stored || !r.Published || r.Index != size || r.Duplicate || r.Admitted.IsZero() {
		t.Fatalf("%+v", r)
	}
	if again := h.ledger.AddEvidence(t.Context(), v); again.Err != nil || !again.Duplicate || again.Index != r.Index {
		t.Errorf("once more: %+v", again)
	}
	for name, c := range map[string]struct {
		v    entry.Evidence
		rule roll.Rule
	}{
		"of a checkpoint to come":            {entry.Evidence{Type: entry.RFC3161, Size: size + 10, Data: []byte("x")}, roll.RuleEvidence},
		"of a size that was never published": {entry.Evidence{Type: entry.RFC3161, Size: 0, Data: []byte("x")}, roll.RuleEvidence},
		"of nothing":                         {entry.Evidence{Type: entry.RFC3161, Size: size}, roll.RuleSyntax},
		"too large":                          {entry.Evidence{Type: entry.RFC3161, Size: size, Data: make([]byte, entry.MaxEvidence+1)}, roll.RuleSyntax},
	} {
		var refused *ledger.Refusal
		if r := h.ledger.AddEvidence(t.Context(), &c.v); !errors.As(r.Err, &refused) || refused.Rule != c.rule || r.Stored {
			t.Errorf("%s: %+v", name, r)
		}
	}
	// The largest that there can be is served and proven as everything else.
	big := h.ledger.AddEvidence(t.Context(), &entry.Evidence{Type: entry.RFC3161, Size: size, Data: make([]byte, entry.MaxEvidence)})
	if big.Err != nil || !big.Published {
		t.Fatalf("%+v", big)
	}
	if _, err := h.ledger.Receipt(t.Context(), big.Index); err != nil {
		t.Error(err)
	}
	h.catchUp()
	if n := len(h.rec.State.Stamps()); n != 2 {
		t.Errorf("%d time stamps", n)
	}
	h.audited()
	h.check()
	h.reopen()
	h.audited()
	l := h.ledger
	h.close()
	broken := h.store.(*storetest.Memory)
	if err := broken.Delete(t.Context(), fmt.Sprint("checkpoints/", size)); err != nil {
		t.Fatal(err)
	}
	report, err := ledger.Check(t.Context(), broken, ledger.CheckOptions{Origin: rolltest.Origin})
	if err != nil || report.FlawCount != 2 || !strings.Contains(report.Flaws[0].Problem, "the checkpoint note that it is about") {
		t.Errorf("%+v %v", report, err)
	}
	if r := l.AddEvidence(context.Background(), v); r.Err == nil {
		t.Error("a closed ledger takes evidence")
	}
}

// A chain comes with an entry, is judged and logged with it, and the ledger itself adds later ones.
func TestSubmitChain(t *testing.T) {
	h := newHouse(t, memory())
	from := h.clock().Add(-time.Hour)
	d := dnssectest.New(from, from.Add(14*24*time.Hour))
	d.Zone("example", dnssectest.Options{})
	d.Zone("our.example", dnssectest.Options{})
	dnssectest.Trust(d.Anchors()...)
	o := rolltest.NewOrg("our.example", 1, 0, 1)
	chain := func(ks ...*rolltest.Key) []byte {
		t.Helper()
		var list []dnssec.Record
		for _, k := range ks {
			list = append(list, dnssec.Record{Ledger: rolltest.Origin, Key: k.Ref().Fingerprint})
		}
		d.Publish("our.example", list...)
		b, _, err := d.Chain("our.example", h.clock())
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	e := h.rec.Registration(o)
	for name, c := range map[string]struct {
		chain []byte
		rule  roll.Rule
	}{
		"no chain":     {[]byte("abc"), roll.RuleEvidence},
		"of no key":    {chain(rolltest.NewKey("somebody")), roll.RuleEvidence},
		"of none":      {chain(), roll.RuleEvidence},
		"much too big": {make([]byte, entry.MaxEvidence+1), roll.RuleSyntax},
	} {
		var refused *ledger.Refusal
		if r := h.ledger.Submit(t.Context(), entry.Submission(e, c.chain))[0]; !errors.As(r.Err, &refused) || refused.Rule != c.rule || r.Stored {
			t.Errorf("%s: %+v", name, r)
		}
	}
	good := chain(o.Keys...)
	r := h.ledger.Submit(t.Context(), entry.Submission(e, good))[0]
	if r.Err != nil || !r.Published {
		t.Fatalf("%+v", r)
	}
	raw, err := h.ledger.Leaf(t.Context(), r.Index)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err := entry.ParseLeaf(raw); err != nil || string(leaf.Chain) != string(good) {
		t.Errorf("logged: %v", err)
	}
	// The same text without it, or with another, is the same entry.
	if again := h.ledger.Submit(t.Context(), e.Bytes())[0]; again.Err != nil || !again.Duplicate || again.Index != r.Index {
		t.Errorf("once more: %+v", again)
	}
	var refused *ledger.Refusal
	if r := h.ledger.AddEvidence(t.Context(), &entry.Evidence{Type: entry.DNSSEC, Member: "our.example", Data: good}); !errors.As(r.Err, &refused) || refused.Rule != roll.RuleEvidence {
		t.Errorf("what is known: %+v", r)
	}
	if r := h.ledger.AddEvidence(t.Context(), &entry.Evidence{Type: entry.DNSSEC, Member: "our.example", Data: chain()}); r.Err != nil || !r.Published {
		t.Errorf("what is new: %+v", r)
	}
	h.catchUp()
	m, _ := h.rec.State.Member("our.example")
	if p := m.Keys[0].Published; len(m.Chains) != 2 || len(p) != 1 || p[0].First.Index != r.Index || !p[0].Ended {
		t.Errorf("%+v", m)
	}
	h.audited()
	h.check()
	h.reopen()
	h.audited()
}

// A member changes its own records as often as it likes, with large ones beside them, and sends an entry that is there again and again: a few chains a day are
// recorded, and the others are refused with a reason.
func TestLateChainsAreFew(t *testing.T) {
	h := newHouse(t, memory())
	h.cfg.Quota = ledger.Quota{Entries: 3, Period: 24 * time.Hour}
	h.reopen()
	from := h.clock().Add(-time.Hour)
	until := from.Add(14 * 24 * time.Hour)
	d := dnssectest.New(from, until)
	d.Zone("example", dnssectest.Options{})
	z := d.Zone("our.example", dnssectest.Options{})
	dnssectest.Trust(d.Anchors()...)
	o := rolltest.NewOrg("our.example", 1, 0, 1)
	e := h.rec.Registration(o)
	if r := h.ledger.Submit(t.Context(), e.Bytes())[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	signed := from
	answer := func(shown bool, size int) []byte {
		t.Helper()
		texts := []string{strings.Repeat("x", size)}
		if shown {
			texts = append(texts, dnssec.Record{Ledger: rolltest.Origin, Key: o.Keys[0].Ref().Fingerprint}.String())
		}
		z.SetTXT("_undersigned.our.example", texts...)
		signed = signed.Add(time.Second)
		d.Window(signed, until)
		chain, _, err := d.Chain("our.example", h.clock())
		if err != nil {
			t.Fatal(err)
		}
		return chain
	}
	n := h.ledger.Published().Size
	grown := func() uint64 { return h.ledger.Published().Size - n }
	for day := range 3 {
		taken := 0
		for i := range 12 {
			r := h.ledger.Submit(t.Context(), entry.Submission(e, answer((i%2 == 0) == (day == 0), 20000)))[0]
			var refused *ledger.Refusal
			switch {
			case r.Err != nil || !r.Duplicate:
				t.Fatalf("%+v", r)
			case r.ChainErr == nil:
				taken++
			case !errors.As(r.ChainErr, &refused) || refused.Rule != roll.RuleEvidence || !strings.Contains(refused.Detail, "24 hours"):
				t.Fatalf("day %d, answer %d: %v", day, i, r.ChainErr)
			}
		}
		if taken != 4 || grown() != uint64(4*(day+1)) {
			t.Fatalf("day %d: %d chains were taken, %d entries made", day, taken, grown())
		}
		h.reopen() // it is the record that counts
		if r := h.ledger.Submit(t.Context(), entry.Submission(e, answer(true, 1)))[0]; r.ChainErr == nil {
			t.Fatalf("after a restart: %+v", r)
		}
		// What the ledger asks for itself is recorded all the same.
		if r := h.ledger.AddEvidence(t.Context(), &entry.Evidence{Type: entry.DNSSEC, Member: "our.example", Data: answer(true, 1)}); r.Err != nil {
			t.Fatal(r.Err)
		}
		n++
		h.setClock(h.clock().Add(25 * time.Hour))
	}
	h.audited()
}

// Whoever is first with an entry decides whether a chain is in its leaf. A chain that comes later is recorded as evidence if it says something new, and else
// its submitter is told why not.
func TestLateChain(t *testing.T) {
	h := newHouse(t, memory())
	from := h.clock().Add(-time.Hour)
	d := dnssectest.New(from, from.Add(14*24*time.Hour))
	d.Zone("example", dnssectest.Options{})
	d.Zone("our.example", dnssectest.Options{})
	dnssectest.Trust(d.Anchors()...)
	o := rolltest.NewOrg("our.example", 2, 0, 1)
	chain := func(ks ...*rolltest.Key) []byte {
		t.Helper()
		var list []dnssec.Record
		for _, k := range ks {
			list = append(list, dnssec.Record{Ledger: rolltest.Origin, Key: k.Ref().Fingerprint})
		}
		d.Publish("our.example", list...)
		b, _, err := d.Chain("our.example", h.clock())
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	e := h.rec.Registration(o)
	thief := h.ledger.Submit(t.Context(), e.Bytes())[0]
	if thief.Err != nil || !thief.Published || thief.ChainIndex != nil || thief.ChainErr != nil {
		t.Fatalf("%+v", thief)
	}
	size := func() uint64 { return h.ledger.Published().Size }
	submit := func(chain []byte) ledger.Result {
		t.Helper()
		r := h.ledger.Submit(t.Context(), entry.Submission(e, chain))[0]
		if r.Err != nil || !r.Duplicate || !r.Published || r.Index != thief.Index {
			t.Fatalf("%+v", r)
		}
		return r
	}
	why := func(r ledger.Result) string {
		t.Helper()
		var refused *ledger.Refusal
		if !errors.As(r.ChainErr, &refused) || refused.Rule != roll.RuleEvidence || r.ChainIndex != nil {
			t.Fatalf("%+v", r)
		}
		return refused.Detail
	}
	// One that does not hold, one of no keys.
	n := size()
	if s := why(submit([]byte("abc"))); !strings.Contains(s, "shows nothing") {
		t.Error(s)
	}
	if s := why(submit(chain())); !strings.Contains(s, "nothing new") {
		t.Error(s)
	}
	if size() != n {
		t.Fatalf("%d entries", size()-n)
	}
	// One that shows a key.
	good := chain(o.Keys[0])
	r := submit(good)
	if r.ChainErr != nil || r.ChainIndex == nil || *r.ChainIndex != n || size() != n+1 {
		t.Fatalf("%+v", r)
	}
	// The same is there, another that shows the same says nothing new, the first one with another key does.
	if r := submit(good); r.ChainErr != nil || r.ChainIndex == nil || *r.ChainIndex != n {
		t.Errorf("the same chain: %+v", r)
	}
	d.Window(from.Add(time.Minute), from.Add(14*24*time.Hour))
	if s := why(submit(chain(o.Keys[0]))); !strings.Contains(s, "nothing new") || size() != n+1 {
		t.Error(s)
	}
	if r := submit(chain(o.Keys...)); r.ChainIndex == nil || *r.ChainIndex != n+1 {
		t.Errorf("another key: %+v", r)
	}
	d.Window(from, from.Add(14*24*time.Hour))
	if s := why(submit(chain())); !strings.Contains(s, "older") {
		t.Error(s)
	}
	h.catchUp()
	m, _ := h.rec.State.Member("our.example")
	if p := m.Keys[0].Published; len(m.Chains) != 2 || len(p) != 1 || p[0].First.Index != n || p[0].Last.Index != n+1 {
		t.Errorf("%+v", m)
	}
	// In one submission: the second is the same entry, and its chain is evidence.
	third := rolltest.NewKey("our.example third")
	d.Window(from.Add(2*time.Minute), from.Add(14*24*time.Hour))
	line := third.Line()
	added := rolltest.Sign(h.rec.Draft(&entry.KeyEvent{Action: entry.Add, Member: "our.example", PublicKey: &line}, o, o.Keys[0], third))
	rs := h.ledger.Submit(t.Context(), added.Bytes(), entry.Submission(added, chain(o.Keys[0], third)), entry.Submission(added, []byte("abc")))
	if rs[0].Duplicate || rs[0].ChainIndex != nil || !rs[1].Duplicate || rs[1].ChainIndex == nil || *rs[1].ChainIndex != rs[0].Index+1 || !rs[1].Published || rs[2].ChainIndex != nil && rs[2].Err == nil {
		t.Errorf("%+v", rs)
	}
	h.catchUp()
	if k, _ := h.rec.State.Key(third.Ref()); len(k.Published) != 1 {
		t.Errorf("%+v", k)
	}
	// With the entry that it came with, it is in its leaf.
	fourth := rolltest.NewKey("our.example fourth")
	line = fourth.Line()
	added = rolltest.Sign(h.rec.Draft(&entry.KeyEvent{Action: entry.Add, Member: "our.example", PublicKey: &line}, o, o.Keys[0], fourth))
	if r := h.ledger.Submit(t.Context(), entry.Submission(added, chain(o.Keys[0], fourth)))[0]; r.Err != nil || r.ChainIndex == nil || *r.ChainIndex != r.Index || r.ChainErr != nil {
		t.Errorf("%+v", r)
	}
	h.catchUp()
	h.audited()
	h.check()
	h.reopen()
	h.audited()
}
