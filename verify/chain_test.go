package verify_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

const aDay = 24 * time.Hour

// named is a world beside which there is a DNS with the zones of some organizations.
type named struct {
	*world
	dns *dnssectest.DNS
}

func newNamed(t testing.TB, domains ...string) *named {
	t.Helper()
	w := &named{world: newWorld(t, 2)}
	w.dns = dnssectest.New(w.rec.Now.Add(-aDay), w.rec.Now.Add(13*aDay))
	dnssectest.Trust(w.dns.Anchors()...)
	w.dns.Zone("example", dnssectest.Options{})
	for _, d := range domains {
		w.dns.Zone(d, dnssectest.Options{})
	}
	return w
}

// chain is what the DNS says of the domain now, for so long, once it publishes these keys.
func (w *named) chain(domain string, valid time.Duration, ks ...*rolltest.Key) []byte {
	w.tb.Helper()
	var list []dnssec.Record
	for _, k := range ks {
		list = append(list, dnssec.Record{Ledger: rolltest.Origin, Key: k.Ref().Fingerprint})
	}
	w.dns.Publish(domain, list...)
	w.dns.Window(w.rec.Now.Add(-time.Hour), w.rec.Now.Add(valid))
	b, _, err := w.dns.Chain(domain, w.rec.Now)
	if err != nil {
		w.tb.Fatal(err)
	}
	return b
}

// join registers an organization with a chain that is good for so long, without anybody's vouching but the operator's.
func (w *named) join(o *rolltest.Org, valid time.Duration) uint64 {
	w.tb.Helper()
	if err := w.rec.ApplyWith(w.rec.Registration(o), w.chain(o.Domain, valid, o.Keys...)); err != nil {
		w.tb.Fatal(err)
	}
	return w.rec.State.Size() - 1
}

// observe has the ledger record what the DNS says of a domain now.
func (w *named) observe(domain string, valid time.Duration, ks ...*rolltest.Key) uint64 {
	w.tb.Helper()
	return w.rec.Must(&entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: domain, Data: w.chain(domain, valid, ks...)}})
}

// endorseOn endorses and quotes an earlier note.
func (w *named) endorseOn(o *rolltest.Org, after entry.After) uint64 {
	return w.rec.Do(&entry.Endorsement{Action: entry.Endorse, Statement: w.statement, After: after}, o)
}

// update has an organization, with a quorum of one and no recovery keys, go by a name, and others vouch for it.
func (w *named) update(o *rolltest.Org, name string, by ...*rolltest.Org) {
	m := &entry.Membership{Action: entry.Update, Member: o.Domain, Name: name, Quorum: 1}
	for _, v := range by {
		m.Vouchers = append(m.Vouchers, v.Vouch()...)
	}
	slices.SortFunc(m.Vouchers, func(x, y entry.Named) int { return strings.Compare(x.Domain, y.Domain) })
	w.rec.Do(m, o)
}

// asked judges an entry beside an audit with these options.
func (w *named) asked(index uint64, o verify.AuditOptions) verify.Input {
	w.tb.Helper()
	r := w.receipt(index)
	o.Receipts = []*verify.Receipt{r}
	return verify.Input{Policy: w.policy(), Receipt: r, Statement: []byte(w.text), Record: w.audit(o), Now: w.rec.Now}
}

// sources are the ways to reach a record: one that lists its checkpoints, all files at hand, and one that lists nothing.
func (w *named) sources() map[string]verify.AuditOptions {
	return map[string]verify.AuditOptions{"a server": {Covering: w.covering}, "an archive": {Paths: w.paths()}, "mere files": {}}
}

func evidenceOf(v *verify.Verdict, kind string) verify.OwnerEvidence {
	for _, e := range v.Evidence {
		if e.Kind == kind {
			return e
		}
	}
	return verify.OwnerEvidence{}
}

// When a chain existed, witnesses must say: what was not seen to be late was not thereby in time.
func TestChainMustBeSeenInTime(t *testing.T) {
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	w := newNamed(t, "our.example")
	before := w.after()
	w.join(our, 2*aDay)
	mine := w.endorseOn(our, before) // which quotes a copy without the chain
	w.rec.Now = w.rec.Now.Add(5 * aDay)
	w.publish() // the first that holds it
	for name, o := range w.sources() {
		in := w.asked(mine, o)
		v := check(t, name, in, 0)
		ev := evidenceOf(v, verify.ByDNSSEC)
		want := "no copy of the record that fixes"
		if name != "mere files" {
			want = "no quorum of witnesses says that this existed before"
		}
		if ev.Counts || v.Answers[0].State != verify.LookCloser || !strings.Contains(ev.Sentence, want) {
			t.Errorf("%s: %s %+v", name, states(v), v.Evidence)
		}
		in.Require = verify.Require{DNSSEC: true}
		check(t, name+", required", in, verify.CodeUnchecked)
	}
}

// In a quiet record nobody quotes the copy that holds the chain first. That is not the chain's fault.
func TestChainInAQuietRecord(t *testing.T) {
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	w := newNamed(t, "our.example")
	w.join(our, 2*aDay)
	w.publish() // in time, and quoted by nobody
	w.rec.Now = w.rec.Now.Add(20 * aDay)
	w.rec.Register(rolltest.NewOrg("idle.example", 1, 0, 1))
	w.publish()
	mine := w.endorse(our)
	w.publish()
	for name, o := range w.sources() {
		v := check(t, name, w.asked(mine, o), 0)
		ev := evidenceOf(v, verify.ByDNSSEC)
		switch {
		case name == "mere files":
			if ev.Counts || v.Answers[0].State != verify.LookCloser || !strings.Contains(ev.Sentence, "this audit saw no copy of the record that fixes when this existed") || strings.Contains(ev.Sentence, "no quorum of witnesses says") {
				t.Errorf("%s: %s %+v", name, states(v), v.Evidence)
			}
		case !ev.Counts || states(v) != "✔✔✔✔":
			t.Errorf("%s: %s %+v", name, states(v), v.Evidence)
		}
	}
	r := w.audit(verify.AuditOptions{Covering: w.covering})
	if !r.OK || len(r.Remarks) > 0 {
		t.Errorf("%+v %+v", r.Findings, r.Remarks)
	}
	r = w.audit(verify.AuditOptions{})
	if !r.OK || len(r.Remarks) != 1 || !strings.Contains(r.Remarks[0].Sentence, "this audit saw no copy of the record that fixes when the DNS said what 1 entry holds.") {
		t.Errorf("%+v %+v", r.Findings, r.Remarks)
	}
}

// Each chain of a span is judged, the last and the one that ends it as well as the first.
func TestEachChainMustBeSeenInTime(t *testing.T) {
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	start := func() (*named, uint64) {
		w := newNamed(t, "our.example")
		w.join(our, 5*aDay)
		w.publish()
		mine := w.endorse(our)
		w.publish()
		w.rec.Now = w.rec.Now.Add(40 * aDay)
		return w, mine
	}
	for _, c := range []struct {
		name       string
		keys       []*rolltest.Key
		late       bool
		last, gone bool // it is told as the last sighting, as the end
	}{
		{"the last, in time", our.Keys, false, true, false},
		{"the last, late", our.Keys, true, false, false},
		{"the end, in time", nil, false, false, true},
		{"the end, late", nil, true, false, true}, // what may be forged shows nothing, but may well be doubted
	} {
		t.Run(c.name, func(t *testing.T) {
			w, mine := start()
			index := w.observe("our.example", 2*aDay, c.keys...)
			if c.late {
				w.rec.Now = w.rec.Now.Add(5 * aDay)
			}
			w.publish()
			for _, o := range []verify.AuditOptions{{Covering: w.covering}, {Paths: w.paths()}} {
				in := w.asked(mine, o)
				ev := evidenceOf(check(t, c.name, in, 0), verify.ByDNSSEC)
				if late := strings.Contains(ev.Sentence, "it is no longer there; no quorum of witnesses says that this existed before"); late != (c.late && c.gone) {
					t.Error(ev.Sentence)
				}
				if !ev.Counts || ev.Last == nil || ev.Last.After(*ev.Since) != c.last || (ev.Gone != nil) != c.gone {
					t.Errorf("%+v", ev)
				}
				if late := slices.ContainsFunc(in.Record.Remarks, func(m verify.Remark) bool { return m.Index != nil && *m.Index == index }); late != c.late {
					t.Errorf("%+v", in.Record.Remarks)
				}
			}
		})
	}
}

// A chain of long ago says nothing of today: it counts within 45 days of the endorsement.
func TestOldChain(t *testing.T) {
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	for _, c := range []struct {
		name   string
		wait   time.Duration // from the first chain, good for 10 days, to the endorsement
		again  time.Duration // from the endorsement to another chain; 0: none
		counts bool
	}{
		{"at once", time.Hour, 0, true},
		{"within 45 days of its end", 54 * aDay, 0, true},
		{"after that", 56 * aDay, 0, false},
		{"three years", 3 * 365 * aDay, 0, false},
		{"three years, and seen again a month later", 3 * 365 * aDay, 30 * aDay, true},
		{"three years, and seen again two months later", 3 * 365 * aDay, 60 * aDay, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newNamed(t, "our.example")
			w.join(our, 10*aDay)
			w.publish()
			w.rec.Now = w.rec.Now.Add(c.wait)
			mine := w.endorse(our)
			w.publish()
			if c.again > 0 {
				w.rec.Now = w.rec.Now.Add(c.again)
				w.observe("our.example", 10*aDay, our.Keys[0])
				w.publish()
			}
			in := w.asked(mine, verify.AuditOptions{Covering: w.covering})
			v := check(t, c.name, in, 0)
			ev, state := evidenceOf(v, verify.ByDNSSEC), verify.LookCloser
			if c.counts {
				state = verify.Confirmed
			}
			if ev.Counts != c.counts || v.Answers[0].State != state || !strings.Contains(ev.Sentence, "seen on 11 June 2024") {
				t.Errorf("%s %+v", states(v), v.Evidence)
			}
			in.Require = verify.Require{DNSSEC: true}
			want := verify.CodeUnchecked
			if c.counts {
				want = 0
			}
			check(t, c.name+", required", in, want)
		})
	}
}

// Without witnesses there is nobody but the ledger to say when a chain existed.
func TestChainWithoutWitnesses(t *testing.T) {
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	w := newNamed(t, "our.example")
	w.join(our, 10*aDay)
	w.publish()
	mine := w.endorse(our)
	w.publish()
	text, _, _ := strings.Cut(w.policyText(), "group ")
	p := mustPolicy(t, text+"quorum none\n")
	r := w.receipt(mine)
	in := verify.Input{Policy: p, Receipt: r, Record: mustAudit(t, p, w.fetch, verify.AuditOptions{Receipts: []*verify.Receipt{r}, Covering: w.covering}), Now: w.rec.Now}
	v := check(t, "no quorum", in, 0)
	if ev := evidenceOf(v, verify.ByDNSSEC); ev.Counts || v.Answers[0].State != verify.LookCloser || !strings.Contains(ev.Sentence, "asks for no witnesses") {
		t.Errorf("%s %+v", states(v), v.Evidence)
	}
}

// A copy without the chain that was seen after its signatures had ended says that the ledger dates it back, whatever copies with it say.
func TestChainDatedBack(t *testing.T) {
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	w := newNamed(t, "our.example")
	w.rec.Register(rolltest.NewOrg("idle.example", 1, 0, 1))
	claimed := w.rec.Now
	w.rec.Now = claimed.Add(5 * aDay)
	w.publish()
	after := w.after()
	w.rec.Now = claimed
	index := w.join(our, 2*aDay)
	w.rec.Now = claimed.Add(aDay) // as if
	mine := w.endorseOn(our, after)
	w.rec.Now = claimed.Add(5 * aDay)
	w.publish()
	w.cosigned(w.rec.Now, claimed.Add(aDay), claimed.Add(aDay)) // by witnesses that lie, as well
	in := w.asked(mine, verify.AuditOptions{Covering: w.covering})
	v := check(t, "dated back", in, verify.CodeContradiction)
	if ev := evidenceOf(v, verify.ByDNSSEC); ev.Counts || !strings.Contains(ev.Sentence, "witnesses saw the record without it later than that, 16 June 2024.") {
		t.Errorf("%+v", v.Evidence)
	}
	if !slices.ContainsFunc(in.Record.Remarks, func(m verify.Remark) bool { return m.Index != nil && *m.Index == index }) || in.Record.ChainInTime(index) {
		t.Errorf("%+v", in.Record.Remarks)
	}
}

// Which copies of the record there are is the ledger's word: that none at hand fixes when a key was withdrawn does not undo it.
func TestWithdrawalOfUnknownTime(t *testing.T) {
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	for _, c := range []struct {
		name  string
		again bool // the key is shown once more, at a time that nothing fixes either
		back  bool // and once more, in time
	}{{"gone", false, false}, {"gone, and back at no known time", true, false}, {"gone, and back", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newNamed(t, "our.example")
			w.join(our, 10*aDay)
			w.publish()
			w.endorse(our) // quotes the copy with the first chain
			w.publish()
			w.rec.Now = w.rec.Now.Add(5 * aDay)
			gone := w.observe("our.example", 2*aDay)
			w.publish() // in time, and quoted by nobody
			if c.again {
				w.rec.Now = w.rec.Now.Add(aDay)
				w.observe("our.example", 2*aDay, our.Keys[0])
				w.publish()
			}
			w.rec.Now = w.rec.Now.Add(10 * aDay)
			w.rec.Register(rolltest.NewOrg("idle.example", 1, 0, 1))
			w.publish()
			late := w.rec.State.Size()
			if c.back {
				w.observe("our.example", 2*aDay, our.Keys[0])
				w.publish()
				w.endorse(our) // quotes it
				w.publish()
			}
			mine := w.endorse(our)
			w.publish()
			sources := w.sources()
			if !c.again && !c.back {
				for how, size := range map[string]uint64{"a server that says nothing": 0, "a server that names a later copy": late} {
					sources[how] = verify.AuditOptions{Covering: func(ctx context.Context, index uint64) (uint64, bool) {
						if index == gone {
							return size, size > 0
						}
						return w.covering(ctx, index)
					}}
				}
			}
			for name, o := range sources {
				in := w.asked(mine, o)
				v := check(t, name, in, 0)
				ev := evidenceOf(v, verify.ByDNSSEC)
				good := c.back || c.again && name != "mere files" // then all of it was seen in time
				state := verify.LookCloser
				if good {
					state = verify.Confirmed
				}
				if ev.Counts != good || v.Answers[0].State != state || strings.Contains(ev.Sentence, fmt.Sprintf("entry %d, it was no longer there", gone)) == good {
					t.Errorf("%s: %s %+v", name, states(v), v.Evidence)
				}
				if how := "this audit saw no copy of the record that fixes when this existed"; name == "mere files" && !good && !strings.Contains(ev.Sentence, how) {
					t.Errorf("%s: %s", name, ev.Sentence)
				}
				in.Require = verify.Require{DNSSEC: true}
				want := verify.CodeUnchecked
				if good {
					want = 0
				}
				check(t, name+", required", in, want)
			}
		})
	}
}

// The same holds of what a voucher's keys rest on.
func TestVoucherWithdrawnAtUnknownTime(t *testing.T) {
	a, b := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1)
	w := newNamed(t, "b.example")
	w.join(b, 10*aDay)
	w.publish()
	w.rec.Register(a, b)
	w.endorse(a) // quotes the copy with the chain
	w.publish()
	w.rec.Now = w.rec.Now.Add(5 * aDay)
	w.observe("b.example", 2*aDay)
	w.publish() // in time, and quoted by nobody
	w.rec.Now = w.rec.Now.Add(10 * aDay)
	w.rec.Register(rolltest.NewOrg("idle.example", 1, 0, 1))
	w.publish()
	mine := w.endorse(a)
	w.publish()
	for name, o := range w.sources() {
		in := w.asked(mine, o)
		in.Require = verify.Require{Vouched: 1}
		check(t, name, in, verify.CodeUnchecked)
	}
}
