package verify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// What speaks against a key is told whatever speaks for it: each of these is endorsed by a.example, for which c.example vouches, whose domain published its key.
func TestDoubt(t *testing.T) {
	a, c := rolltest.NewOrg("a.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 1, 1)
	second := rolltest.NewKey("second of a.example")
	third := rolltest.NewKey("third of a.example")
	add := func(w *named, o *rolltest.Org, k *rolltest.Key, by *rolltest.Key) uint64 {
		line := k.Line()
		return w.rec.Do(&entry.KeyEvent{Action: entry.Add, Member: o.Domain, PublicKey: &line}, o, by, k)
	}
	rotate := func(w *named, o *rolltest.Org, old, k *rolltest.Key) {
		line, ref := k.Line(), old.Ref()
		w.rec.Do(&entry.KeyEvent{Action: entry.Rotate, Member: o.Domain, PublicKey: &line, Revokes: &ref}, o, old, k)
	}
	stolen := func(w *named, o *rolltest.Org, k *rolltest.Key, from uint64) {
		ref := k.Ref()
		w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: o.Domain, Revokes: &ref, CompromisedAfter: &from}, o, o.Recovery[0])
	}
	endorse := func(w *named, k *rolltest.Key) uint64 {
		i := w.rec.Do(&entry.Endorsement{Action: entry.Endorse, Statement: w.statement, After: w.after()}, a, k)
		w.publish()
		return i
	}
	registered := func(w *named) { w.rec.Register(a, c) }
	proven := func(w *named) {
		if err := w.rec.ApplyWith(w.rec.Registration(a, c), w.chain(a.Domain, 10*aDay, a.Keys...)); err != nil {
			t.Fatal(err)
		}
		w.publish()
	}
	unproven := func(w *named) { // no copy with its chain was seen in time
		if err := w.rec.ApplyWith(w.rec.Registration(a, c), w.chain(a.Domain, 2*aDay, a.Keys...)); err != nil {
			t.Fatal(err)
		}
		w.later(5 * aDay)
		w.publish()
	}
	for _, x := range []struct {
		name string
		join func(w *named)
		make func(w *named) uint64
		says string // "": a plain yes
	}{
		{"a key that nobody doubts", registered, func(w *named) uint64 { return endorse(w, a.Keys[0]) }, ""},
		{"gone from the DNS, where no chain was seen in time that showed it", unproven, func(w *named) uint64 {
			i := endorse(w, a.Keys[0])
			w.observe("a.example", 10*aDay)
			return i
		}, "it is no longer there"},
		{"the same, before it was signed", unproven, func(w *named) uint64 {
			w.observe("a.example", 10*aDay)
			return endorse(w, a.Keys[0])
		}, "it is no longer there"},
		{"the same, and replaced before that", unproven, func(w *named) uint64 {
			i := endorse(w, a.Keys[0])
			rotate(w, a, a.Keys[0], second)
			w.observe("a.example", 10*aDay)
			return i
		}, "since been replaced"}, // which is what is said of any such key
		{"gone from the DNS, and replaced only long after", proven, func(w *named) uint64 {
			i := endorse(w, a.Keys[0])
			w.later(5 * aDay)
			w.observe("a.example", 10*aDay)
			w.later(100 * aDay)
			rotate(w, a, a.Keys[0], second)
			return i
		}, "it is no longer there"},
		{"brought by a stolen key", registered, func(w *named) uint64 {
			from := add(w, a, second, a.Keys[0])
			i := endorse(w, second)
			stolen(w, a, a.Keys[0], from)
			return i
		}, "The endorsement is disputed: entry "},
		{"brought by one that a stolen key had put into its place", registered, func(w *named) uint64 {
			from := w.rec.State.Size()
			rotate(w, a, a.Keys[0], second)
			add(w, a, third, second)
			i := endorse(w, third)
			stolen(w, a, a.Keys[0], from)
			return i
		}, "The endorsement is disputed: entry "},
		{"brought with the recovery key, after the theft", registered, func(w *named) uint64 {
			from := w.rec.State.Size()
			rotate(w, a, a.Keys[0], second)
			stolen(w, a, second, from)
			stolen(w, a, a.Keys[0], from)
			add(w, a, third, a.Recovery[0])
			return endorse(w, third)
		}, ""},
		{"a key that the domain leaves out", proven, func(w *named) uint64 {
			add(w, a, second, a.Keys[0])
			w.observe("a.example", 10*aDay, a.Keys[0])
			return endorse(w, second)
		}, "The domain a.example publishes other keys in the DNS, and not ed25519 "},
		{"the same, seen only after it signed", proven, func(w *named) uint64 {
			add(w, a, second, a.Keys[0])
			i := endorse(w, second)
			w.later(aDay)
			w.observe("a.example", 10*aDay, a.Keys[0])
			return i
		}, "The domain a.example publishes other keys in the DNS, and not ed25519 "},
		{"a key that the domain has had no time to publish", proven, func(w *named) uint64 {
			add(w, a, second, a.Keys[0])
			return endorse(w, second)
		}, ""},
		{"a key that the domain published a little later", proven, func(w *named) uint64 {
			add(w, a, second, a.Keys[0])
			w.observe("a.example", 10*aDay, a.Keys[0])
			i := endorse(w, second)
			w.later(aDay)
			w.observe("a.example", 10*aDay, a.Keys[0], second)
			return i
		}, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newNamed(t, "a.example", "c.example")
			w.join(c, 100*aDay)
			w.publish()
			x.join(w)
			mine := x.make(w)
			w.publish()
			v := check(t, x.name, w.asked(mine, w.server()), 0)
			state := verify.Confirmed
			if x.says != "" {
				state = verify.LookCloser
			}
			if said := strings.Contains(strings.Join(v.Answers[0].Reasons, "\n"), x.says); v.Answers[0].State != state || !said || strings.HasPrefix(v.Sentence, "Yes. ") != (x.says == "") {
				t.Errorf("%s: %s\n%s\n%+v", v.Answers[0].State, v.Sentence, strings.Join(v.Answers[0].Reasons, "\n"), v.Evidence)
			}
			if doubtful := strings.HasPrefix(x.says, "The endorsement is disputed"); doubtful {
				in := w.asked(mine, w.server())
				in.Require = verify.Require{Vouched: 1}
				if v := check(t, "required", in, verify.CodeUnchecked); !strings.Contains(v.Sentence, "disputed") {
					t.Error(v.Sentence)
				}
			}
		})
	}
	// With mere files, and where there are no witnesses, no chain counts: what misses a key is told all the same.
	w := newNamed(t, "a.example", "c.example")
	w.join(c, 100*aDay)
	w.publish()
	unproven(w)
	mine := endorse(w, a.Keys[0])
	w.observe("a.example", 10*aDay)
	w.publish()
	in := w.asked(mine, verify.AuditOptions{})
	in.Known = []string{"c.example"}
	v := check(t, "mere files", in, 0)
	if ev := evidenceOf(v, verify.ByDNSSEC); ev.Gone == nil || v.Answers[0].State != verify.LookCloser || kinds(v) != "vouched+ dnssec operator" {
		t.Errorf("%+v", v)
	}
	text, _, _ := strings.Cut(w.policyText(), "group ")
	p := mustPolicy(t, text+"quorum none\n")
	r := w.receipt(mine)
	in = verify.Input{Policy: p, Receipt: r, Record: mustAudit(t, p, w.fetch, verify.AuditOptions{Receipts: []*verify.Receipt{r}, Covering: w.covering}), Now: w.rec.Now, Known: []string{"c.example"}}
	v = check(t, "no quorum", in, 0)
	if ev := evidenceOf(v, verify.ByDNSSEC); ev.Gone == nil || v.Answers[0].State != verify.LookCloser || kinds(v) != "vouched+ dnssec operator" {
		t.Errorf("%+v", v)
	}
}

// What speaks against the keys of a voucher is told of it, and it counts for nothing, whoever vouched for it and whoever knows it.
func TestDoubtfulVoucher(t *testing.T) {
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 1, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	second := rolltest.NewKey("second of b.example")
	vouch := func(w *named, by *rolltest.Key) {
		w.vouchedBy(a, b, by)
	}
	add := func(w *named) uint64 {
		line := second.Line()
		return w.rec.Do(&entry.KeyEvent{Action: entry.Add, Member: b.Domain, PublicKey: &line}, b, b.Keys[0], second)
	}
	for _, x := range []struct {
		name  string
		make  func(w *named)
		rests string
	}{
		{"nothing", func(w *named) { vouch(w, b.Keys[0]) }, verify.RestsOnDNSSEC},
		{"gone from the DNS before it vouched", func(w *named) {
			w.later(aDay)
			w.observe("b.example", 10*aDay)
			vouch(w, b.Keys[0])
		}, verify.RestsDenied},
		{"gone from the DNS since", func(w *named) {
			vouch(w, b.Keys[0])
			w.later(aDay)
			w.observe("b.example", 10*aDay)
		}, verify.RestsDenied},
		{"gone from the DNS since, and replaced long after", func(w *named) {
			vouch(w, b.Keys[0])
			w.later(aDay)
			w.observe("b.example", 10*aDay)
			w.later(100 * aDay)
			line, ref := second.Line(), b.Keys[0].Ref()
			w.rec.Do(&entry.KeyEvent{Action: entry.Rotate, Member: b.Domain, PublicKey: &line, Revokes: &ref}, b, b.Keys[0], second)
		}, verify.RestsDenied},
		{"replaced, and gone from the DNS after that", func(w *named) {
			vouch(w, b.Keys[0])
			line, ref := second.Line(), b.Keys[0].Ref()
			w.rec.Do(&entry.KeyEvent{Action: entry.Rotate, Member: b.Domain, PublicKey: &line, Revokes: &ref}, b, b.Keys[0], second)
			w.later(aDay)
			w.observe("b.example", 10*aDay, second)
		}, verify.RestsOnDNSSEC},
		{"a key that its domain leaves out", func(w *named) {
			add(w)
			w.observe("b.example", 10*aDay, b.Keys[0])
			vouch(w, second)
		}, verify.RestsDenied},
		{"a key that a stolen one brought", func(w *named) {
			from := add(w)
			vouch(w, second)
			ref, old := b.Keys[0].Ref(), second.Ref()
			w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: b.Domain, Revokes: &ref, CompromisedAfter: &from}, b, b.Recovery[0])
			w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: b.Domain, Revokes: &old}, b, b.Recovery[0])
		}, verify.RestsDisputed},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newNamed(t, "a.example", "b.example", "c.example")
			w.rec.Register(a)
			w.join(c, 100*aDay)
			if err := w.rec.ApplyWith(w.rec.Registration(b, c), w.chain(b.Domain, 10*aDay, b.Keys...)); err != nil {
				t.Fatal(err)
			}
			w.publish()
			x.make(w)
			w.publish()
			mine := w.endorse(a)
			w.publish()
			in := w.asked(mine, w.server())
			for _, in.Known = range [][]string{nil, {"b.example"}} {
				rests, code := x.rests, verify.CodeUnchecked
				if rests == verify.RestsOnDNSSEC {
					if code = 0; in.Known != nil {
						rests = verify.RestsOnReader
					}
				}
				in.Require = verify.Require{Vouched: 1}
				v := check(t, fmt.Sprint(x.name, ", known: ", in.Known), in, code)
				if ev := evidenceOf(v, verify.ByMembers); len(ev.Vouchers) != 1 || ev.Vouchers[0].Rests != rests {
					t.Errorf("%+v", ev)
				}
			}
		})
	}
}

// Nor does it lead anywhere for those for whom it vouched.
func TestThroughDoubtfulVoucher(t *testing.T) {
	a, b, c, v := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1), rolltest.NewOrg("v.example", 1, 0, 1)
	for gone, code := range map[bool]int{false: 0, true: verify.CodeUnchecked} {
		w := newNamed(t, "b.example", "c.example")
		w.join(c, 100*aDay)
		if err := w.rec.ApplyWith(w.rec.Registration(b, c), w.chain(b.Domain, 10*aDay, b.Keys...)); err != nil {
			t.Fatal(err)
		}
		w.publish()
		w.rec.Register(v, b)
		w.rec.Register(a, v)
		if gone {
			w.later(aDay)
			w.observe("b.example", 10*aDay)
		}
		w.publish()
		mine := w.endorse(a)
		w.publish()
		in := w.asked(mine, w.server())
		in.Require = verify.Require{Vouched: 1}
		check(t, fmt.Sprint("gone: ", gone), in, code)
	}
}

// Whoever has a domain has all below it: neither vouches for the other, and what is above the operator's is the operator.
func TestVouchersAbove(t *testing.T) {
	t.Run("the organization", func(t *testing.T) {
		w := newNamed(t, "c.example", "p.c.example", "b.example")
		c, p, b := rolltest.NewOrg("c.example", 1, 0, 1), rolltest.NewOrg("p.c.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1)
		w.join(c, 10*aDay)
		w.publish()
		w.rec.Register(p, c)
		w.rec.Register(b, p)
		mine, others := w.endorse(p), w.endorse(b)
		w.publish()
		in := w.asked(mine, w.server())
		in.Require = verify.Require{Vouched: 1}
		v := check(t, "p", in, verify.CodeUnchecked)
		if ev := evidenceOf(v, verify.ByMembers); len(ev.Vouchers) != 1 || ev.Vouchers[0].Rests != verify.RestsWithin || !strings.Contains(ev.Sentence, "whose domain p.c.example is part of") || v.Answers[0].State != verify.LookCloser {
			t.Errorf("%+v", v)
		}
		in = w.asked(others, w.server())
		v = check(t, "b, vouched for by p", in, 0)
		if ev := evidenceOf(v, verify.ByMembers); ev.Counts || v.Answers[0].State != verify.LookCloser {
			t.Errorf("%+v", v)
		}
	})
	t.Run("the operator", func(t *testing.T) {
		rec := rolltest.NewWith(t, rolltest.NewOrg("ledger.op.example", 1, 0, 1), entry.Admission{Operator: true})
		w := &named{world: newEmptyWorld(t, rec, 2)}
		w.dns = newNamed(t, "op.example").dns
		w.publish()
		a, op := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("op.example", 1, 0, 1)
		w.join(op, 10*aDay)
		w.publish()
		w.rec.Register(a, op)
		w.text = tccm
		w.statement = w.rec.Publish(w.text)
		w.publish()
		mine := w.endorse(a)
		w.publish()
		v := check(t, "a", w.asked(mine, w.server()), 0)
		if kinds(v) != "operator" || v.Answers[0].State != verify.LookCloser {
			t.Errorf("%+v", v)
		}
	})
}
