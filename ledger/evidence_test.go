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
