package roll_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

const day = 24 * time.Hour

// newDNS is a DNS with these zones, whose root is trusted.
func newDNS(from, until time.Time, domains ...string) *dnssectest.DNS {
	d := dnssectest.New(from, until)
	d.Zone("example", dnssectest.Options{})
	for _, domain := range domains {
		d.Zone(domain, dnssectest.Options{})
	}
	trust.Do(func() { dnssectest.Trust(d.Anchors()...) }) // every DNS in memory has the same root keys
	return d
}

var trust sync.Once

func records(ledger string, ks ...*rolltest.Key) (list []dnssec.Record) {
	for _, k := range ks {
		list = append(list, dnssec.Record{Ledger: ledger, Key: k.Ref().Fingerprint})
	}
	return list
}

// chainsOf returns chains of domains of the histories: early and late ones, of some keys, of all, of another ledger and of none.
var chainsOf = sync.OnceValue(func() map[string][][]byte {
	domains := []string{victim, "a.example", "b.example", "publisher.example", "late.example"}
	d := newDNS(rolltest.Start, rolltest.Start, domains...)
	all := map[string][][]byte{}
	for _, from := range []time.Duration{-3 * day, -day, 0, day, 3 * day} {
		d.Window(rolltest.Start.Add(from), rolltest.Start.Add(from+20*day))
		for _, domain := range domains {
			var ks []*rolltest.Key
			for i := range 3 {
				ks = append(ks, rolltest.NewKey(domain+" "+string(rune('0'+i))))
			}
			ks = append(ks, rolltest.NewKey(domain+" recovery 0"), rolltest.NewKey(domain+" fresh 1"), rolltest.NewKey(domain+" fresh 2"))
			for _, list := range [][]dnssec.Record{
				records(rolltest.Origin, ks...), records(rolltest.Origin, ks[:3]...), records(rolltest.Origin, ks[0]), records(rolltest.Origin, ks[3:]...),
				records("other.example/test", ks...), nil,
			} {
				d.Publish(domain, list...)
				chain, _, err := d.Chain(domain, rolltest.Start.Add(from+day))
				if err != nil {
					panic(err)
				}
				all[domain] = append(all[domain], chain)
			}
		}
	}
	return all
})

// A domainScene is a record with a DNS beside it.
type domainScene struct {
	*rolltest.Record
	dns *dnssectest.DNS
	org *rolltest.Org // two keys, one recovery key; its domain publishes both keys
}

func newDomainScene(t testing.TB, admission entry.Admission) *domainScene {
	t.Helper()
	s := &domainScene{
		Record: rolltest.NewWith(t, rolltest.NewOrg("operator.example", 1, 0, 1), admission),
		dns:    newDNS(rolltest.Start.Add(-day), rolltest.Start.Add(13*day), "our.example", "other.example"),
		org:    rolltest.NewOrg("our.example", 2, 1, 1),
	}
	s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys...)...)
	return s
}

// chain is one that the DNS gives now.
func (s *domainScene) chain(domain string) []byte {
	s.TB.Helper()
	chain, _, err := s.dns.Chain(domain, s.Now)
	if err != nil {
		s.TB.Fatal(err)
	}
	return chain
}

// evidence is what the log makes of it.
func (s *domainScene) evidence(domain string) *entry.Entry {
	s.TB.Helper()
	return &entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: domain, Data: s.chain(domain)}}
}

// with applies an entry and its chain.
func (s *domainScene) with(e *entry.Entry, chain []byte) uint64 {
	s.TB.Helper()
	if err := s.ApplyWith(e, chain); err != nil {
		s.TB.Fatal(err)
	}
	return s.State.Size() - 1
}

// resign signs the DNS anew from now on, as its keeper does every few days.
func (s *domainScene) resign() { s.dns.Window(s.Now.Add(-time.Hour), s.Now.Add(14*day)) }

func (s *domainScene) add(k *rolltest.Key, signs ...*rolltest.Key) *entry.Entry {
	line := k.Line()
	return rolltest.Sign(s.Draft(&entry.KeyEvent{Action: entry.Add, Member: s.org.Domain, PublicKey: &line}, s.org, append(signs, k)...))
}

func (s *domainScene) spans(ref keys.Ref) []roll.Span {
	k, _ := s.State.Key(ref)
	return k.Published
}

// A domain publishes its keys, takes one away, adds one, loses its signatures and comes back: the state has it with its dates.
func TestDomainWord(t *testing.T) {
	s := newDomainScene(t, entry.Admission{Operator: true, DNSSEC: true})
	one, two, recovery := s.org.Keys[0].Ref(), s.org.Keys[1].Ref(), s.org.Recovery[0].Ref()
	joined := s.with(s.Registration(s.org), s.chain("our.example"))
	from, until := rolltest.Start.Add(-day), rolltest.Start.Add(13*day)
	for _, ref := range []keys.Ref{one, two} {
		p := s.spans(ref)
		if len(p) != 1 || p[0].First != p[0].Last || p[0].Ended || p[0].First.Index != joined || !p[0].First.NotBefore.Equal(from) || !p[0].First.NotAfter.Equal(until) {
			t.Fatalf("after joining, the key is published over %+v", p)
		}
	}
	if p := s.spans(recovery); p != nil {
		t.Errorf("the recovery key is published over %+v", p)
	}
	// The heartbeat.
	s.Now = s.Now.Add(10 * day)
	s.resign()
	beat := s.Must(s.evidence("our.example"))
	// The second key goes, a third comes with its own chain.
	s.Now = s.Now.Add(10 * day)
	s.resign()
	older := s.chain("our.example")
	third := rolltest.NewKey("our.example third")
	s.Now = s.Now.Add(2 * time.Hour)
	s.resign()
	s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys[0], third)...)
	added := s.with(s.add(third, s.org.Keys[0]), s.chain("our.example"))
	if p := s.spans(two); len(p) != 1 || p[0].First.Index != joined || p[0].Last.Index != beat || !p[0].Ended || p[0].End.Index != added {
		t.Errorf("the key that vanished is published over %+v", p)
	}
	if p := s.spans(third.Ref()); len(p) != 1 || p[0].First.Index != added || p[0].Ended {
		t.Errorf("the new key is published over %+v", p)
	}
	// An older answer, replayed, is refused.
	checkRefusal(t, s.Apply(evidenceOf(older)), roll.RuleEvidence, "older")
	// All of it goes: provably absent, then not signed any more; then it is back.
	s.Now = s.Now.Add(day)
	s.resign()
	s.dns.Publish("our.example")
	gone := s.Must(s.evidence("our.example"))
	if p := s.spans(one); len(p) != 1 || p[0].Last.Index != added || !p[0].Ended || p[0].End.Index != gone || p[0].End.Outcome != dnssec.Absent {
		t.Errorf("after the denial: %+v", p)
	}
	s.Now = s.Now.Add(day)
	s.resign()
	s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys...)...)
	back := s.Must(s.evidence("our.example"))
	if p := s.spans(one); len(p) != 2 || p[1].First.Index != back || p[1].Ended {
		t.Errorf("after it came back: %+v", p)
	}
	s.Now = s.Now.Add(day)
	s.dns.Zone("our.example", dnssectest.Options{Unsigned: true})
	s.resign()
	unsigned := s.Must(s.evidence("our.example"))
	if p := s.spans(one); len(p) != 2 || !p[1].Ended || p[1].End.Index != unsigned || p[1].End.Outcome != dnssec.Insecure {
		t.Errorf("without signatures: %+v", p)
	}
	m, _ := s.State.Member("our.example")
	if len(m.Chains) != 6 || m.Chains[0].Index != joined || m.Chains[5].Index != unsigned {
		t.Errorf("the chains are %+v", m.Chains)
	}
	reread(t, s.State)
}

// Whatever is wrong with a chain makes the entry inadmissible, and leaves no trace.
func TestDomainWordRefusals(t *testing.T) {
	for _, c := range []struct {
		name      string
		admission entry.Admission
		play      func(s *domainScene) (*entry.Entry, []byte)
		rule      roll.Rule
		detail    string
	}{
		{"no bytes of a chain", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			return s.Registration(s.org), []byte("a chain")
		}, roll.RuleEvidence, "shows nothing at its admission"},
		{"one bit", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			chain := s.chain("our.example")
			chain[len(chain)/2] ^= 1
			return s.Registration(s.org), chain
		}, roll.RuleEvidence, "shows nothing at its admission"},
		{"another domain", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			s.dns.Publish("other.example", records(rolltest.Origin, s.org.Keys...)...)
			return s.Registration(s.org), s.chain("other.example")
		}, roll.RuleEvidence, "shows nothing at its admission"},
		{"another ledger", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			s.dns.Publish("our.example", records("other.example/test", s.org.Keys...)...)
			return s.Registration(s.org), s.chain("our.example")
		}, roll.RuleEvidence, "any of the keys"},
		{"other keys", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			s.dns.Publish("our.example", records(rolltest.Origin, rolltest.NewKey("somebody"))...)
			return s.Registration(s.org), s.chain("our.example")
		}, roll.RuleEvidence, "any of the keys"},
		{"a denial", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			s.dns.Publish("our.example")
			return s.Registration(s.org), s.chain("our.example")
		}, roll.RuleEvidence, "any of the keys"},
		{"a zone without signatures", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			s.dns.Zone("our.example", dnssectest.Options{Unsigned: true})
			return s.Registration(s.org), s.chain("our.example")
		}, roll.RuleEvidence, "any of the keys"},
		{"signed by the zone above", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			chain := s.chain("our.example")
			s.dns.Without("our.example")
			s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys...)...)
			if other, _, err := s.dns.Chain("our.example", s.Now); err == nil {
				chain = other
			} else {
				chain = chain[:len(chain)/2]
			}
			return s.Registration(s.org), chain
		}, roll.RuleEvidence, "shows nothing at its admission"},
		{"a second too late", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			chain := s.chain("our.example")
			s.Now = rolltest.Start.Add(13*day + time.Second)
			return s.Registration(s.org), chain
		}, roll.RuleEvidence, "shows nothing at its admission"},
		{"too early", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			s.dns.Window(s.Now.Add(time.Second), s.Now.Add(day))
			chain, _, err := s.dns.Chain("our.example", s.Now.Add(time.Hour))
			if err != nil {
				s.TB.Fatal(err)
			}
			return s.Registration(s.org), chain
		}, roll.RuleEvidence, "shows nothing at its admission"},
		{"a key event whose keys are not published", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			s.with(s.Registration(s.org), s.chain("our.example"))
			s.resign()
			s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys[1])...)
			return s.add(rolltest.NewKey("our.example third"), s.org.Keys[0]), s.chain("our.example")
		}, roll.RuleEvidence, "any of the keys"},
		{"admission without a chain", entry.Admission{Operator: true, DNSSEC: true}, func(s *domainScene) (*entry.Entry, []byte) {
			return s.Registration(s.org), nil
		}, roll.RuleAdmission, "no DNSSEC chain comes with it"},
		{"admission with one key of two", entry.Admission{DNSSEC: true}, func(s *domainScene) (*entry.Entry, []byte) {
			s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys[0])...)
			return s.Registration(s.org), s.chain("our.example")
		}, roll.RuleAdmission, rolltest.NewKey("our.example 1").Ref().String()},
		{"admission by the domain where the operator admits too", entry.Admission{Operator: true, DNSSEC: true}, func(s *domainScene) (*entry.Entry, []byte) {
			e := s.Registration(s.org)
			e.Body.(*entry.Membership).Vouchers = nil
			return rolltest.Sign(e), s.chain("our.example")
		}, roll.RuleAdmission, "the operator does not vouch"},
		{"evidence about nobody", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			return s.evidence("our.example"), nil
		}, roll.RuleMember, "was never a member"},
		{"evidence that came with the entry", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			s.with(s.Registration(s.org), s.chain("our.example"))
			return s.evidence("our.example"), nil
		}, roll.RuleEvidence, "in the record already"},
		{"evidence about other keys", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			s.Register(s.org)
			s.dns.Publish("our.example", records("another.example", s.org.Keys...)...)
			return s.evidence("our.example"), nil
		}, roll.RuleEvidence, "says nothing of the keys"},
		{"evidence of another domain", entry.Admission{Operator: true}, func(s *domainScene) (*entry.Entry, []byte) {
			s.Register(s.org)
			s.dns.Publish("other.example", records(rolltest.Origin, s.org.Keys...)...)
			e := s.evidence("other.example")
			e.Body.(*entry.Evidence).Member = "our.example"
			return e, nil
		}, roll.RuleEvidence, "shows nothing at its admission"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newDomainScene(t, c.admission)
			e, chain := c.play(s)
			before := s.State.Snapshot()
			if err := s.State.CheckChain(e, chain, s.Now); err != nil {
				checkRefusal(t, err, c.rule, c.detail)
			}
			checkRefusal(t, s.ApplyWith(e, chain), c.rule, c.detail)
			if string(s.State.Snapshot()) != string(before) {
				t.Error("it left a trace")
			}
		})
	}
}

// A chain in a leaf that takes none, which no parser lets through, does not count as none.
func TestChainOutOfPlace(t *testing.T) {
	s := newDomainScene(t, entry.Admission{Operator: true})
	s.with(s.Registration(s.org), s.chain("our.example"))
	h := s.Publish("A text.\n")
	l := &entry.Leaf{Admitted: s.Now, Entry: s.Endorsement(entry.Endorse, s.org, h), Chain: s.chain("our.example")}
	checkRefusal(t, s.State.Admit(l, nil), roll.RuleSyntax, "can be about nothing in it")
	if err := s.State.Apply(s.State.Size(), l.Bytes()); err == nil {
		t.Error("it parses")
	}
}

// older is the chain of a domain with what the DNS says now, but for the records at its name or their denial: those are of before.
func (s *domainScene) older(before []dnssec.RR) []byte {
	s.TB.Helper()
	last := func(r dnssec.RR) bool {
		typ := r.Type
		if typ == dnssectest.RRSIG {
			typ = uint16(r.Data[0])<<8 | uint16(r.Data[1])
		}
		return typ == dnssectest.TXT || typ == dnssectest.NSEC
	}
	now := slices.DeleteFunc(s.dns.Records("our.example"), last)
	for _, r := range before {
		if last(r) {
			now = append(now, r)
		}
	}
	chain, _, err := dnssec.Build("our.example", now, s.dns.Anchors(), s.Now)
	if err != nil {
		s.TB.Fatal(err)
	}
	return chain
}

func evidenceOf(chain []byte) *entry.Entry {
	return &entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: "our.example", Data: chain}}
}

// Zones above are signed anew at any time. What a domain's own zone said before it said something else is no news, with whatever signatures above it.
func TestOlderAnswer(t *testing.T) {
	s := newDomainScene(t, entry.Admission{Operator: true})
	one, two := s.org.Keys[0].Ref(), s.org.Keys[1].Ref()
	s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys[0])...)
	first := s.with(s.Registration(s.org), s.chain("our.example"))
	s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys...)...)
	both := s.dns.Records("our.example")
	s.dns.Publish("our.example")
	none := s.dns.Records("our.example")
	refused := func(what string, chain []byte) {
		t.Helper()
		before := s.State.Snapshot()
		checkRefusal(t, s.Apply(evidenceOf(chain)), roll.RuleEvidence, "older")
		checkRefusal(t, s.ApplyWith(s.add(rolltest.NewKey("our.example third"), s.org.Keys[0]), chain), roll.RuleEvidence, "older")
		if string(s.State.Snapshot()) != string(before) {
			t.Errorf("%s: it left a trace", what)
		}
	}
	// It is still there after some days: neither the denial of before, nor a key that was shown in no newer answer.
	s.Now = s.Now.Add(5 * day)
	s.resign()
	s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys[0])...)
	last := s.Must(s.evidence("our.example"))
	refused("a denial", s.older(none))
	refused("a key that is not there", s.older(both))
	if p, q := s.spans(one), s.spans(two); len(p) != 1 || p[0].First.Index != first || p[0].Last.Index != last || p[0].Ended || q != nil {
		t.Errorf("published over %+v and %+v", p, q)
	}
	// It is gone, and does not come back with the old records.
	s.Now = s.Now.Add(2 * day)
	s.resign()
	s.dns.Publish("our.example")
	gone := s.Must(s.evidence("our.example"))
	refused("records", s.older(both))
	if p := s.spans(one); len(p) != 1 || !p[0].Ended || p[0].End.Index != gone {
		t.Errorf("published over %+v", p)
	}
	reread(t, s.State)
}

// Where a zone was not signed, and is again, its records may be older than what said so: what the zone above says is compared.
func TestOlderDelegation(t *testing.T) {
	s := newDomainScene(t, entry.Admission{Operator: true})
	one := s.org.Keys[0].Ref()
	s.with(s.Registration(s.org), s.chain("our.example"))
	s.Now = s.Now.Add(time.Hour)
	s.resign()
	signed := s.dns.Records("our.example")
	s.dns.Zone("our.example", dnssectest.Options{Island: true})
	s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys...)...)
	s.Now = s.Now.Add(3 * day)
	s.resign()
	s.Must(s.evidence("our.example"))
	if p := s.spans(one); len(p) != 1 || !p[0].Ended || p[0].End.Outcome != dnssec.Insecure {
		t.Fatalf("published over %+v", p)
	}
	// The keeper of the zone signs with its old keys, and shows the delegation of before.
	old, _, err := dnssec.Build("our.example", signed, s.dns.Anchors(), s.Now)
	if err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, s.Apply(evidenceOf(old)), roll.RuleEvidence, "older")
	// The zone above delegates again, and nobody has signed the records anew.
	s.dns.Zone("our.example", dnssectest.Options{})
	s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys...)...)
	s.Now = s.Now.Add(day)
	s.resign()
	back := s.Must(evidenceOf(s.older(signed)))
	if p := s.spans(one); len(p) != 2 || p[1].First.Index != back || p[1].Ended {
		t.Errorf("published over %+v", p)
	}
	reread(t, s.State)
}

// Of two answers that were signed at the same time nothing tells which is newer: a key that is gone stays gone until its zone signs anew.
func TestSameInception(t *testing.T) {
	for _, c := range []struct {
		name string
		deny func(s *domainScene) // what its keeper does
	}{
		{"the records", func(s *domainScene) { s.dns.Publish("our.example") }},
		{"one of two records", func(s *domainScene) { s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys[1])...) }},
		{"the delegation", func(s *domainScene) {
			s.dns.Zone("our.example", dnssectest.Options{Island: true})
			s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys...)...)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newDomainScene(t, entry.Admission{Operator: true})
			one := s.org.Keys[0].Ref()
			s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys[0])...)
			s.with(s.Registration(s.org), s.chain("our.example"))
			// A key that was never shown may come, with what is signed at the same time.
			s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys...)...)
			s.Must(s.evidence("our.example"))
			// Signers that round times down sign so for days.
			s.Now = s.Now.Add(day)
			s.resign()
			at := s.Now
			before := s.dns.Records("our.example")
			c.deny(s)
			gone := s.Must(s.evidence("our.example"))
			if p := s.spans(one); len(p) != 1 || !p[0].Ended || p[0].End.Index != gone {
				t.Fatalf("published over %+v", p)
			}
			s.Now = at.Add(3 * day)
			old, _, err := dnssec.Build("our.example", before, s.dns.Anchors(), s.Now)
			if err != nil {
				t.Fatal(err)
			}
			refused := func() {
				t.Helper()
				s.State = reread(t, s.State)
				checkRefusal(t, s.Apply(evidenceOf(old)), roll.RuleEvidence, "older")
				checkRefusal(t, s.ApplyWith(s.add(rolltest.NewKey("our.example third"), s.org.Keys[0]), old), roll.RuleEvidence, "older")
			}
			refused()
			// Who registers again, without the key and with it once more, brings nothing back either.
			s.Do(&entry.Membership{Action: entry.Leave, Member: "our.example"}, s.org)
			both := s.org.Keys
			s.org.Keys = both[1:]
			s.Register(s.org)
			s.Do(&entry.Membership{Action: entry.Leave, Member: "our.example"}, s.org)
			s.org.Keys = both
			checkRefusal(t, s.ApplyWith(s.Registration(s.org), old), roll.RuleEvidence, "older")
			s.Register(s.org)
			refused()
			// Signed a second later it is back.
			s.dns.Zone("our.example", dnssectest.Options{})
			s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys...)...)
			s.dns.Window(at.Add(time.Second-time.Hour), at.Add(14*day))
			back := s.Must(s.evidence("our.example"))
			if p := s.spans(one); len(p) != 1 || p[0].First.Index != back || p[0].Ended {
				t.Errorf("published over %+v", p)
			}
		})
	}
}

// sets are the records of one zone's keys, and what names them, of answers.
func sets(list []dnssec.RR, domain string) (keys, others []dnssec.RR) {
	for _, r := range list {
		typ := r.Type
		if typ == dnssectest.RRSIG {
			typ = uint16(r.Data[0])<<8 | uint16(r.Data[1])
		}
		if (typ == dnssectest.DS || typ == dnssectest.DNSKEY) && r.Name == string(dnssectest.Name(domain)) {
			keys = append(keys, r)
		} else {
			others = append(others, r)
		}
	}
	return keys, others
}

// The keys of a zone were stolen, and its keeper took others and the record's key away. A thief shows the old DS and DNSKEY sets, whose signatures have not ended,
// with records that are signed today by the old keys.
func TestRolledDelegation(t *testing.T) {
	s := newDomainScene(t, entry.Admission{Operator: true})
	one := s.org.Keys[0].Ref()
	s.with(s.Registration(s.org), s.chain("our.example"))
	stolen, _ := sets(s.dns.Records("our.example"), "our.example")
	rolled := s.Now.Add(2 * day)
	build := func(keys, others []dnssec.RR) []byte {
		t.Helper()
		chain, _, err := dnssec.Build("our.example", slices.Concat(keys, others), s.dns.Anchors(), s.Now)
		if err != nil {
			t.Fatal(err)
		}
		return chain
	}
	s.Now = rolled
	s.resign()
	tied, _ := sets(s.dns.Records("our.example"), "our.example") // the last that the zone above signed before
	s.Now = rolled.Add(day)
	s.resign()
	later, forged := sets(s.dns.Records("our.example"), "our.example")
	s.dns.Zone("our.example", dnssectest.Options{Algorithm: 15})
	s.dns.Publish("our.example")
	s.Now = rolled
	s.resign()
	gone := s.Must(s.evidence("our.example"))
	if p := s.spans(one); len(p) != 1 || !p[0].Ended || p[0].End.Index != gone {
		t.Fatalf("published over %+v", p)
	}
	s.Now = rolled.Add(day)
	for what, keys := range map[string][]dnssec.RR{"of before": stolen, "of the same time": tied} {
		s.State = reread(t, s.State)
		if err := s.Apply(evidenceOf(build(keys, forged))); err == nil {
			t.Errorf("a delegation %s is taken", what)
		} else {
			checkRefusal(t, err, roll.RuleEvidence, "older")
		}
	}
	if p := s.spans(one); len(p) != 1 || !p[0].Ended {
		t.Errorf("published over %+v", p)
	}
	// The zone above alone can delegate to the old keys again, for all to see.
	s.Must(evidenceOf(build(later, forged)))
	reread(t, s.State)
}

// What is honest goes on: keys are rolled, one beside the other and all at once; caches have old signatures of the delegation that is there; a zone loses its
// delegation, and it comes back, the same one or another.
func TestHonestDelegations(t *testing.T) {
	s := newDomainScene(t, entry.Admission{Operator: true})
	one := s.org.Keys[0].Ref()
	z := s.dns.Zone("our.example", dnssectest.Options{})
	publish := func() { s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys...)...) }
	publish()
	s.with(s.Registration(s.org), s.chain("our.example"))
	taken := func(what string, spans int, chain []byte) {
		t.Helper()
		if err := s.Apply(evidenceOf(chain)); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		s.State = reread(t, s.State)
		if p := s.spans(one); len(p) != spans || p[spans-1].Ended {
			t.Errorf("%s: published over %+v", what, p)
		}
	}
	next := func() {
		s.Now = s.Now.Add(day)
		s.resign()
	}
	next()
	z.AddKSK()
	taken("a second key", 1, s.chain("our.example"))
	cached, _ := sets(s.dns.Records("our.example"), "our.example")
	next()
	taken("the same, signed anew", 1, s.chain("our.example"))
	next()
	_, others := sets(s.dns.Records("our.example"), "our.example")
	mixed, _, err := dnssec.Build("our.example", slices.Concat(cached, others), s.dns.Anchors(), s.Now)
	if err != nil {
		t.Fatal(err)
	}
	taken("an old signature of the same delegation", 1, mixed)
	next()
	z.DropKSK()
	taken("without the first key", 1, s.chain("our.example"))
	next()
	s.dns.Zone("our.example", dnssectest.Options{Algorithm: 15})
	publish()
	taken("other keys", 1, s.chain("our.example"))
	for i, o := range []dnssectest.Options{{Algorithm: 15}, {Algorithm: 14}} {
		next()
		s.dns.Zone("our.example", dnssectest.Options{Unsigned: true})
		s.Must(s.evidence("our.example"))
		next()
		s.dns.Zone("our.example", o)
		publish()
		taken("the delegation is back", i+2, s.chain("our.example"))
	}
}

// Who registers a domain again may be somebody else: what was seen of its keys before counts no more.
func TestPublishedBeforeRegistration(t *testing.T) {
	s := newDomainScene(t, entry.Admission{Operator: true})
	s.with(s.Registration(s.org), s.chain("our.example"))
	if p := s.spans(s.org.Keys[0].Ref()); len(p) != 1 {
		t.Fatalf("published over %+v", p)
	}
	s.Do(&entry.Membership{Action: entry.Leave, Member: "our.example"}, s.org)
	s.Register(s.org)
	for _, k := range s.org.Keys {
		if p := s.spans(k.Ref()); p != nil {
			t.Errorf("after another registration, published over %+v", p)
		}
	}
	reread(t, s.State)
	s.Now = s.Now.Add(day)
	s.resign()
	again := s.Must(s.evidence("our.example"))
	for _, k := range s.org.Keys {
		if p := s.spans(k.Ref()); len(p) != 1 || p[0].First.Index != again || p[0].Ended {
			t.Errorf("then published over %+v", p)
		}
	}
	reread(t, s.State)
}
