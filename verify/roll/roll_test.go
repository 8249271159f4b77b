package roll_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

func standing(s *roll.State, h entry.Hash) string {
	var domains []string
	for _, e := range s.Standing(h) {
		domains = append(domains, e.Domain)
	}
	return strings.Join(domains, " ")
}

func (s *scene) event(o *rolltest.Org, b *entry.KeyEvent, ks ...*rolltest.Key) uint64 {
	s.TB.Helper()
	b.Member = o.Domain
	return s.Do(b, o, ks...)
}

func (s *scene) member(domain string) roll.Member {
	s.TB.Helper()
	m, ok := s.State.Member(domain)
	if !ok {
		s.TB.Fatalf("%s is not a member", domain)
	}
	return m
}

func TestEntryZero(t *testing.T) {
	op := rolltest.NewOrg("operator.example", 2, 0, 1)
	charter := func(change func(*entry.Charter, *entry.Entry)) *entry.Entry {
		b := &entry.Charter{Title: "A", Operator: op.Domain, PublicKeys: lines(op.Keys), Admission: byOperator, Roll: "manual"}
		e := rolltest.Empty(t, op).Draft(b, op, op.Keys...)
		e.Genesis = true
		change(b, e)
		return e
	}
	for _, c := range []struct {
		name   string
		rule   roll.Rule
		detail string
		change func(*entry.Charter, *entry.Entry)
	}{
		{"with a previous line", roll.RuleGenesis, "entry 0 is a charter", func(_ *entry.Charter, e *entry.Entry) { e.Genesis = false }},
		{"another kind", roll.RuleGenesis, "entry 0 is a charter", func(_ *entry.Charter, e *entry.Entry) {
			e.Genesis, e.Body = false, &entry.Endorsement{Action: entry.Endorse, After: entry.After{Size: 1}}
		}},
		{"signed by another", roll.RuleSigner, "the operator that it names", func(_ *entry.Charter, e *entry.Entry) { e.Signer = "other.example" }},
		{"a key that does not sign", roll.RulePossession, "all of them", func(_ *entry.Charter, e *entry.Entry) { e.Keys = e.Keys[:1] }},
		{"vouchers", roll.RuleVoucher, "nobody is there yet", func(c *entry.Charter, e *entry.Entry) { c.Vouchers = rolltest.NewOrg("a.example", 1, 0, 1).Vouch() }},
		{"mixed scripts", roll.RuleName, "mixes scripts", func(c *entry.Charter, e *entry.Entry) { c.Operator, e.Signer = mixed, mixed }},
		{"a weak key", roll.RuleWeakKey, "not accepted", func(c *entry.Charter, e *entry.Entry) {
			c.PublicKeys[1] = weak
			e.Keys[1] = weak.Ref()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rolltest.Empty(t, op)
			l := &entry.Leaf{Admitted: r.Now, Entry: forge(charter(c.change))}
			checkRefusal(t, r.State.Admit(l, nil), c.rule, c.detail)
			checkRefusal(t, r.State.Admit(l, r.State.CheckSignatures(l.Entry)), c.rule, c.detail)
			if !reflect.DeepEqual(r.State, roll.New(rolltest.Origin)) {
				t.Error("it left a trace")
			}
			// A record whose entry 0 is wrong stays without rules, and without a panic.
			if err := r.State.ApplyLeaf(0, l, nil); err == nil {
				t.Fatal("ApplyLeaf says nothing")
			}
			good := rolltest.Sign(charter(func(*entry.Charter, *entry.Entry) {}))
			checkRefusal(t, r.State.ApplyLeaf(1, &entry.Leaf{Admitted: r.Now, Entry: good}, nil), roll.RuleGenesis, "only entry 0")
			good.Genesis = false
			checkRefusal(t, r.State.ApplyLeaf(2, &entry.Leaf{Admitted: r.Now, Entry: rolltest.Sign(good)}, nil), roll.RuleGenesis, "nobody may say anything")
			if r.State.Charter() != nil || !r.State.Admitted().IsZero() || r.State.Size() != 3 {
				t.Error("there is a charter")
			}
			if _, ok := r.State.Previous(good); ok {
				t.Error("there is a previous charter")
			}
		})
	}
}

// Admit is given what entry.Parse returned; were it not, it would not panic.
func TestAdmitUnparsed(t *testing.T) {
	s := newScene(t, byOperator)
	clean := newScene(t, byOperator)
	for _, c := range []struct {
		name   string
		rule   roll.Rule
		change func(l *entry.Leaf)
	}{
		{"no entry", roll.RuleSyntax, func(l *entry.Leaf) { l.Entry = nil }},
		{"no body", roll.RuleSyntax, func(l *entry.Leaf) { l.Entry = &entry.Entry{} }},
		{"microseconds", roll.RuleSyntax, func(l *entry.Leaf) { l.Admitted = l.Admitted.Add(time.Microsecond) }},
		{"no date", roll.RuleSyntax, func(l *entry.Leaf) { l.Entry.Date = "2024-02-30" }},
		{"a kind of its own", roll.RuleSyntax, func(l *entry.Leaf) {
			l.Entry.Previous, l.Entry.Body = nil, struct{ *entry.KeyEvent }{&entry.KeyEvent{Member: "a.example"}}
		}},
		{"unsigned", roll.RuleSignature, func(l *entry.Leaf) { l.Entry.Signatures = nil }},
		{"another name", roll.RuleSignature, func(l *entry.Leaf) { l.Entry.Signatures[0].Name = "other.example" }},
		{"another's membership", roll.RuleSigner, func(l *entry.Leaf) {
			l.Entry = s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(_ *entry.Membership, e *entry.Entry) { e.Signer = "other.example" })
		}},
		{"a quorum of 2 of 1", roll.RuleQuorum, func(l *entry.Leaf) {
			l.Entry = s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, _ *entry.Entry) { b.Quorum = 2 })
		}},
	} {
		l := &entry.Leaf{Admitted: s.Now, Entry: s.endorse(s.two, nil)}
		c.change(l)
		t.Run(c.name, func(t *testing.T) {
			checkRefusal(t, s.State.Admit(l, s.State.CheckSignatures(l.Entry)), c.rule, "")
			if !reflect.DeepEqual(s.State, clean.State) {
				t.Error("it left a trace")
			}
		})
	}
	if !errors.As(s.State.Apply(s.State.Size(), nil), new(*roll.Inadmissible)) {
		t.Error("an empty leaf is admissible")
	}
}

func TestApply(t *testing.T) {
	r := rolltest.New(t)
	r.Join("a.example")
	s := roll.New(rolltest.Origin)
	if err := s.Apply(1, r.Leaves[1]); err == nil || s.Size() != 0 {
		t.Errorf("leaf 1 applied first: %v", err)
	}
	for i, leaf := range r.Leaves {
		if err := s.Apply(uint64(i), leaf); err != nil {
			t.Fatal(err)
		}
	}
	err := s.Apply(2, []byte("junk"))
	checkRefusal(t, err, roll.RuleSyntax, "")
	if !strings.Contains(err.Error(), "entry 2 is inadmissible (syntax): ") || strings.Contains(err.Error(), "junk") {
		t.Error(err)
	}
	clean := rolltest.New(t)
	clean.Join("a.example")
	if s.Size() != 3 || !s.Admitted().Equal(rolltest.Start.Add(time.Second)) {
		t.Errorf("size %d, admitted %s", s.Size(), s.Admitted())
	}
	s.Rewind()
	if !reflect.DeepEqual(s, clean.State) {
		t.Error("two folds of the same leaves differ")
	}
}

func TestBeyond(t *testing.T) {
	r := rolltest.New(t)
	o := r.Join("a.example")
	leaf := bytes.Replace(r.Leaf(r.Registration(rolltest.NewOrg("b.example", 1, 0, 1))), []byte("undersigned/membership/v1"), []byte("undersigned/membership/v2"), 1)
	for range 2 {
		var beyond *roll.Beyond
		if err := r.State.Apply(2, leaf); !errors.As(err, &beyond) || beyond.Index != 2 ||
			!strings.HasPrefix(err.Error(), "could not check beyond entry 2: this version does not know ") {
			t.Fatalf("got %v", err)
		}
		leaf = r.Leaf(r.Registration(rolltest.NewOrg("b.example", 1, 0, 1))) // known, but beyond
	}
	e := r.Registration(rolltest.NewOrg("b.example", 1, 0, 1))
	if err := r.State.Admit(&entry.Leaf{Admitted: r.Now, Entry: e}, nil); !errors.As(err, new(*roll.Beyond)) {
		t.Errorf("Admit: %v", err)
	}
	if m, ok := r.State.Member(o.Domain); !ok || m.Left || r.State.Size() != 2 {
		t.Error("what came before is gone")
	}
}

// Everything that the design promises to a member that lost something.
func TestTakingBack(t *testing.T) {
	h := func(s *scene) entry.Hash { return s.statement }
	withdraw := func(s *scene, o *rolltest.Org, ks ...*rolltest.Key) {
		t.Helper()
		s.Must(s.Endorsement(entry.Withdraw, o, h(s), ks...))
		if e, _ := s.State.Endorsement(o.Domain, h(s)); e.Action != entry.Withdraw || strings.Contains(standing(s.State, h(s)), o.Domain) {
			t.Errorf("%s still stands", o.Domain)
		}
	}
	t.Run("after leaving", func(t *testing.T) {
		s := newScene(t, byOperator)
		withdraw(s, s.gone)
	})
	t.Run("after closing", func(t *testing.T) {
		s := newScene(t, byOperator)
		s.Do(&entry.Statement{Action: entry.Close, Statement: h(s)}, s.op)
		if got := standing(s.State, h(s)); got != "gone.example solo.example" {
			t.Errorf("closing leaves %q", got)
		}
		withdraw(s, s.solo)
	})
	t.Run("with a suspended key", func(t *testing.T) {
		s := newScene(t, byOperator)
		s.event(s.solo, &entry.KeyEvent{Action: entry.Suspend, Revokes: ref(s.solo.Keys[0])}, s.solo.Keys...)
		if got := standing(s.State, h(s)); got != "gone.example solo.example" {
			t.Errorf("suspending leaves %q", got)
		}
		withdraw(s, s.solo)
	})
	t.Run("with a recovery key", func(t *testing.T) {
		s := newScene(t, byOperator)
		s.Endorse(s.two, h(s))
		withdraw(s, s.two, s.two.Recovery[1])
	})
	t.Run("leaving with a suspended key", func(t *testing.T) {
		s := newScene(t, byOperator)
		s.Do(&entry.Membership{Action: entry.Leave, Member: s.pair.Domain}, s.pair)
	})
	t.Run("leaving with a recovery key", func(t *testing.T) {
		s := newScene(t, byOperator)
		i := s.Do(&entry.Membership{Action: entry.Leave, Member: s.two.Domain}, s.two, s.two.Recovery[0])
		if m := s.member(s.two.Domain); !m.Left || m.LeftAt.Index != i {
			t.Errorf("%+v", m)
		}
	})
}

func TestRepair(t *testing.T) {
	s := newScene(t, byOperator)
	// A thief with one of two keys ends it; the recovery key brings another.
	i := s.event(s.two, &entry.KeyEvent{Action: entry.Revoke, Revokes: ref(s.two.Keys[0])}, s.two.Keys[0])
	if k, _ := s.State.Key(s.two.Keys[0].Ref()); !k.Revoked || k.RevokedAt != i || k.Current || k.Compromised {
		t.Errorf("%+v", k)
	}
	fresh := rolltest.NewKey("fresh")
	s.event(s.two, &entry.KeyEvent{Action: entry.Add, PublicKey: line(fresh)}, s.two.Recovery[0], fresh)
	s.Must(s.endorse(s.two, ks{s.two.Keys[1], fresh}))
	// The recovery key alone rotates, too, and says since when.
	again := rolltest.NewKey("again")
	s.event(s.two, &entry.KeyEvent{Action: entry.Rotate, PublicKey: line(again), Revokes: ref(fresh), CompromisedAfter: at(1)}, s.two.Recovery[1], again)
	if e, _ := s.State.Endorsement(s.two.Domain, s.statement); !e.Disputed || e.Action != entry.Endorse {
		t.Errorf("%+v", e)
	}
	// The owner says since when of a key that the thief has revoked, and lowers it.
	for _, after := range []uint64{7, 3} {
		s.event(s.two, &entry.KeyEvent{Action: entry.Revoke, Revokes: ref(s.two.Keys[0]), CompromisedAfter: at(after)}, s.two.Recovery[1])
		if k, _ := s.State.Key(s.two.Keys[0].Ref()); k.CompromisedAfter != after || k.RevokedAt != i {
			t.Errorf("%+v", k)
		}
	}
	// two.example vouched with that key at index 2 and at 3 and later.
	disputed := map[string]bool{}
	for _, m := range s.State.Members() {
		for _, v := range m.Vouchers {
			if v.Domain == s.two.Domain {
				disputed[m.Domain] = v.Disputed
			}
		}
	}
	if disputed["pair.example"] || !disputed["broken.example"] || !disputed["solo.example"] {
		t.Errorf("disputed vouchers: %v", disputed)
	}
	// Recovery keys change with one of them, and may come back.
	third := rolltest.NewKey("third recovery key")
	s.Must(s.update(s.two, ks{s.two.Keys[1], again, s.two.Recovery[0], third}, func(b *entry.Membership) {
		b.RecoveryKeys = lines(ks{third, s.two.Recovery[0]})
	}))
	s.Must(s.update(s.two, ks{again, s.two.Keys[1], third, s.two.Recovery[1]}))
	if m := s.member(s.two.Domain); len(m.RecoveryKeys) != 3 || !m.RecoveryKeys[0].Current || !m.RecoveryKeys[1].Current || m.RecoveryKeys[2].Current {
		t.Errorf("%+v", m.RecoveryKeys)
	}
	// A recovery key goes by itself, or by the quorum and another one.
	s.event(s.two, &entry.KeyEvent{Action: entry.Revoke, Revokes: ref(s.two.Recovery[1])}, s.two.Keys[1], again, s.two.Recovery[0])
	s.event(s.two, &entry.KeyEvent{Action: entry.Revoke, Revokes: ref(s.two.Recovery[0])}, s.two.Recovery[0])
	// Without one, the quorum changes the quorum.
	s.Must(s.update(s.two, ks{s.two.Keys[1], again}, func(b *entry.Membership) { b.RecoveryKeys, b.Quorum = nil, 1 }))
	s.Must(s.endorse(s.two, ks{again}))
	if got := s.member(s.two.Domain).Quorum; got != 1 {
		t.Errorf("quorum %d", got)
	}
}

// A key alone revokes itself unless that strands its owner, and the fold and the reference agree on when it does.
func TestRevokeBesideSuspended(t *testing.T) {
	for _, c := range []struct {
		name           string
		keys, recovery int // the first key is suspended, the quorum is 2
		target         int
		refused        bool
	}{
		{"one other speaks", 3, 0, 2, true},
		{"one other speaks, and a recovery key can bring more", 3, 1, 2, false},
		{"two others speak", 4, 0, 2, false},
		{"the suspended key itself", 3, 0, 0, false},
		{"the suspended key itself, which it takes to leave", 2, 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, byOperator)
			o := s.suspended(c.keys, c.recovery)
			reference := &reference{origin: rolltest.Origin, known: map[string]bool{}}
			for _, leaf := range s.Leaves {
				l, err := entry.ParseLeaf(leaf)
				if err != nil {
					t.Fatal(err)
				}
				reference.log = append(reference.log, admitted{l.Admitted, l.Entry, l.Chain})
			}
			k := o.Keys[c.target]
			l, err := entry.ParseLeaf(s.Leaf(s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: o.Domain, Revokes: ref(k)}, o, ks{k})))
			if err != nil {
				t.Fatal(err)
			}
			if got := reference.admissible(l); got == c.refused {
				t.Errorf("the reference says %v", got)
			}
			if err := s.State.Admit(l, nil); (err != nil) != c.refused {
				t.Errorf("the fold says %v", err)
			}
		})
	}
}

func TestRevokeAfterLeaving(t *testing.T) {
	s := newScene(t, byOperator)
	s.event(s.gone, &entry.KeyEvent{Action: entry.Revoke, Revokes: ref(s.gone.Keys[0]), CompromisedAfter: at(0)}, s.gone.Keys...)
	if e, _ := s.State.Endorsement(s.gone.Domain, s.statement); !e.Disputed {
		t.Error("not disputed")
	}
}

// Who has not been compromised at the time is not disputed.
func TestDisputed(t *testing.T) {
	s := newScene(t, byOperator)
	i := s.Must(s.endorse(s.broken, s.broken.Keys[1:2]))
	for _, c := range []struct {
		after    uint64
		disputed bool
	}{{i + 1, false}, {i, true}} {
		s.event(s.broken, &entry.KeyEvent{Action: entry.Revoke, Revokes: ref(s.broken.Keys[1]), CompromisedAfter: at(c.after)}, s.broken.Keys[2])
		if e, _ := s.State.Endorsement(s.broken.Domain, s.statement); e.Disputed != c.disputed {
			t.Errorf("compromised after %d, endorsed at %d: disputed %v", c.after, i, e.Disputed)
		}
	}
}

func TestRegisterAgain(t *testing.T) {
	s := newScene(t, byOperator)
	// pair.example has a suspended key, and two.example vouched for it.
	s.Endorse(s.two, s.statement)
	s.Do(&entry.Membership{Action: entry.Leave, Member: s.pair.Domain}, s.pair)
	left := s.member(s.pair.Domain)
	s.pair.Quorum = 1
	i := s.Register(s.pair)
	m := s.member(s.pair.Domain)
	if m.Left || m.Quorum != 1 || m.Registered.Index != i || m.Keys[0].Suspended || len(m.Vouchers) != 1 || !m.Vouchers[0].Operator {
		t.Errorf("%+v", m)
	}
	if n := len(left.History); len(m.History) != n+1 || m.LastID != m.History[n].ID || len(m.Keys[0].Registered) != 2 {
		t.Errorf("history %+v", m.History)
	}
	// With other keys, the old ones have nothing to say.
	s.Do(&entry.Membership{Action: entry.Leave, Member: s.solo.Domain}, s.solo)
	old := s.solo.Keys[0]
	s.solo.Keys = ks{rolltest.NewKey("solo's new key")}
	s.Register(s.solo)
	checkRefusal(t, s.Apply(s.Endorsement(entry.Withdraw, s.solo, s.statement, old)), roll.RuleKey, "no longer one of")
	checkRefusal(t, s.Apply(rolltest.Sign(s.Draft(&entry.KeyEvent{Action: entry.Revoke, Member: s.solo.Domain, Revokes: ref(old)}, s.solo))), roll.RuleRevokes, "not one of")
	s.Withdraw(s.solo, s.statement)
	// A recovery key that is not brought again recovers nothing.
	s.Do(&entry.Membership{Action: entry.Leave, Member: s.two.Domain}, s.two)
	recovery := s.two.Recovery
	s.two.Recovery, s.two.Name = recovery[:1], "Two anew"
	s.Register(s.two)
	checkRefusal(t, s.Apply(s.Endorsement(entry.Withdraw, s.two, s.statement, recovery[1])), roll.RuleKey, "no longer one of")
	s.Must(s.update(s.publisher, nil, func(b *entry.Membership) { b.Name = "Two" }))
	s.Must(s.update(s.solo, nil, func(b *entry.Membership) { b.Name = "Example" }))
	s.Do(&entry.Membership{Action: entry.Leave, Member: s.solo.Domain}, s.solo)
	s.solo.Name = "Solo once more"
	s.Register(s.solo)
	s.Must(s.update(s.publisher, nil, func(b *entry.Membership) { b.Name = "Example" })) // free again
	// An old key may come back later.
	s.event(s.solo, &entry.KeyEvent{Action: entry.Add, PublicKey: line(old)}, s.solo.Keys[0], old)
}

func TestVouching(t *testing.T) {
	op := rolltest.NewOrg("operator.example", 1, 0, 1)
	s := &scene{Record: rolltest.NewWith(t, op, entry.Admission{Vouched: 2}), op: op}
	a, b, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 2, 0, 2), rolltest.NewOrg("c.example", 1, 0, 1)
	s.Register(a)    // the operator is all there is
	s.Register(b, a) // two of two
	checkRefusal(t, s.Apply(s.Registration(c)), roll.RuleAdmission, "1 domain vouches where it takes 2")
	checkRefusal(t, s.Apply(s.amend(op.Keys, func(c *entry.Charter) { c.Vouchers = a.Vouch() })), roll.RuleAdmission, "1 member vouches for the amendment where it takes 2")
	s.Must(s.register(c, nil, func(m *entry.Membership, _ *entry.Entry) { m.Vouchers = slices.Concat(a.Vouch(), b.Vouch()) })) // without the operator
	m := s.member("c.example")
	if len(m.Vouchers) != 2 || m.Vouchers[0].Domain != "a.example" || !m.Vouchers[1].Member || m.Vouchers[1].Operator {
		t.Errorf("%+v", m.Vouchers)
	}
	// An update adds evidence, and says who vouched for which name.
	i := s.Must(s.update(c, nil, func(m *entry.Membership) { m.Name, m.Vouchers = "See", slices.Concat(b.Vouch(), op.Vouch()) }))
	m = s.member("c.example")
	if len(m.Vouchers) != 3 || m.Vouchers[0].Index >= m.Named.Index || m.Vouchers[1].Index != i || m.Vouchers[2].Domain != op.Domain || m.Named.Index != i {
		t.Errorf("%+v", m)
	}
	// Members count where the charter changes; the operator does not.
	amend := func(vouchers ...entry.Named) error {
		return s.Apply(s.amend(op.Keys, func(c *entry.Charter) {
			c.Vouchers, c.Admission = vouchers, entry.Admission{Operator: true, Vouched: 16}
		}))
	}
	checkRefusal(t, amend(a.Vouch()...), roll.RuleAdmission, "1 member vouches for the amendment where it takes 2")
	if err := amend(slices.Concat(a.Vouch(), b.Vouch())...); err != nil {
		t.Error(err)
	}
	// Vouched 16 of three members and the operator is four.
	d := rolltest.NewOrg("d.example", 1, 0, 1)
	checkRefusal(t, s.Apply(s.Registration(d, a, b)), roll.RuleAdmission, "3 domains vouch where it takes 4")
	s.Register(d, a, b, c)
}

func TestOperatorAsMember(t *testing.T) {
	op := rolltest.NewOrg("operator.example", 1, 0, 1)
	s := &scene{Record: rolltest.NewWith(t, op, entry.Admission{Vouched: 2}), op: op}
	self := &rolltest.Org{Domain: op.Domain, Name: "The operator", Quorum: 1, Keys: ks{rolltest.NewKey("as a member")}}
	s.Register(self)
	h := s.Publish("text")
	s.Endorse(self, h)
	checkRefusal(t, s.Apply(s.Endorsement(entry.Withdraw, self, h, op.Keys...)), roll.RuleKey, "not a key of the member")
	// It is one domain and not two: nobody else is there to vouch.
	a := rolltest.NewOrg("a.example", 1, 0, 1)
	s.Must(s.register(a, []*rolltest.Org{self}))
	b := rolltest.NewOrg("b.example", 1, 0, 1)
	checkRefusal(t, s.Apply(s.Registration(b, self)), roll.RuleAdmission, "1 domain vouches where it takes 2")
	// Its membership is no second opinion on its charter, nor on itself.
	checkRefusal(t, s.Apply(s.amend(op.Keys, func(c *entry.Charter) { c.Vouchers = self.Vouch() })), roll.RuleVoucher, "for itself")
	checkRefusal(t, s.Apply(s.amend(op.Keys)), roll.RuleAdmission, "0 members vouch for the amendment where it takes 1")
	checkRefusal(t, s.Apply(s.update(self, nil, func(b *entry.Membership) { b.Vouchers = op.Vouch() })), roll.RuleVoucher, "for itself")
	// Its keys say as which of the two it suspends.
	s.Do(&entry.KeyEvent{Action: entry.Suspend, Member: op.Domain, Revokes: ref(self.Keys[0])}, op)
}

func TestOperatorChanges(t *testing.T) {
	s := newScene(t, entry.Admission{Vouched: 1})
	k := rolltest.NewKey("the member as operator")
	all := append(slices.Clone(s.op.Keys), k)
	i := s.Must(s.amend(all, func(c *entry.Charter) {
		c.Operator, c.PublicKeys, c.Vouchers, c.Publishers = "two.example", lines(ks{k}), s.two.Vouch(), []string{"b.example", "a.example"}
	}))
	c := s.State.Charter()
	if c.Operator != "two.example" || c.Index != i || len(c.Keys) != 1 || c.Title != "Amended" || !slices.Equal(c.Publishers, []string{"b.example", "a.example"}) || c.Roll != "manual" {
		t.Errorf("%+v", c)
	}
	old := rolltest.Sign(s.Draft(&entry.Statement{Action: entry.Close, Statement: s.statement}, s.op))
	checkRefusal(t, s.Apply(old), roll.RuleSigner, "neither the operator nor a publisher")
	now := &rolltest.Org{Domain: "two.example", Keys: ks{k}, Quorum: 1}
	s.Do(&entry.Statement{Action: entry.Close, Statement: s.statement}, now)
	s.Do(&entry.Statement{Action: entry.Close, Statement: s.theirs}, now)
	if st, _ := s.State.Statement(s.theirs); !st.Closed || st.Publisher != "publisher.example" {
		t.Errorf("%+v", st)
	}
	// Back again, with one of the old keys and without the other, in a new order.
	fresh := rolltest.NewKey("fresh operator key")
	s.op.Domain = "two.example"
	s.Must(s.sign(&entry.Charter{Title: "Back", Operator: "operator.example", PublicKeys: lines(ks{fresh, s.op.Keys[1]}), Admission: byOperator,
		Roll: "manual", Vouchers: s.solo.Vouch()}, now, ks{k, s.op.Keys[1], fresh}))
	c = s.State.Charter()
	if c.Operator != "operator.example" || c.Keys[0].Ref() != fresh.Ref() || c.Keys[1].Ref() != s.op.Keys[1].Ref() {
		t.Errorf("%+v", c)
	}
	if k, _ := s.State.Key(s.op.Keys[0].Ref()); k.Current || k.Role != roll.OperatorKey {
		t.Errorf("%+v", k)
	}
	for domain, ever := range map[string]bool{"operator.example": true, "two.example": true, "solo.example": false} {
		if s.State.Operated(domain) != ever {
			t.Errorf("%s was the operator: %v", domain, !ever)
		}
	}
	if (roll.OperatorKey.String() + roll.MemberKey.String() + roll.RecoveryKey.String()) != "operator keymember keyrecovery key" {
		t.Error("roles have other names")
	}
}

func TestStatements(t *testing.T) {
	s := newScene(t, byOperator)
	theirs := s.publish(s.publisher, nil, func(b *entry.Statement) { b.Supersedes = &s.theirs })
	i := s.Must(theirs)
	s.Must(s.publish(s.op, nil, func(b *entry.Statement) { b.Statement, b.Supersedes = entry.Sum(nil), &s.theirs }))
	old, _ := s.State.Statement(s.theirs)
	now, _ := s.State.Statement(entry.Sum([]byte("new")))
	if !slices.Equal(old.Superseded, []entry.Hash{now.Statement, entry.Sum(nil)}) || *now.Supersedes != s.theirs || now.Index != i || now.ID != theirs.ID() {
		t.Errorf("%+v\n%+v", old, now)
	}
	all := s.State.Statements()
	if len(all) != 6 || all[0].Statement != s.statement || all[0].Standing != 2 || !all[1].Closed || all[5].Statement != entry.Sum(nil) {
		t.Errorf("%+v", all)
	}
	// The publisher closes and reopens its own; with an end, and without again.
	s.Do(&entry.Statement{Action: entry.Close, Statement: s.theirs}, s.publisher)
	s.Do(&entry.Statement{Action: entry.Reopen, Statement: s.theirs, Closes: s.Now.Add(time.Minute)}, s.publisher)
	s.Must(s.endorse(s.solo, nil, func(b *entry.Endorsement) { b.Statement = s.theirs }))
	s.Now = s.Now.Add(time.Minute)
	s.Do(&entry.Statement{Action: entry.Reopen, Statement: s.theirs}, s.op)
	if st, _ := s.State.Statement(s.theirs); st.Closed || !st.Closes.IsZero() || st.Standing != 1 || st.LastID == st.ID {
		t.Errorf("%+v", st)
	}
	// Just before the end is in time.
	st, _ := s.State.Statement(s.expiring)
	s.Now = st.Closes.Add(-time.Millisecond)
	if s.Now.Before(s.State.Admitted()) {
		t.Fatal("the scene takes too long")
	}
	s.Must(s.endorse(s.two, nil, func(b *entry.Endorsement) { b.Statement = s.expiring }))
	if _, ok := s.State.Statement(entry.Sum([]byte("no such text"))); ok {
		t.Error("there is a statement that nobody published")
	}
	if s.State.Standing(entry.Sum([]byte("no such text"))) != nil {
		t.Error("somebody stands behind it")
	}
}

func TestEndorsements(t *testing.T) {
	s := newScene(t, byOperator)
	rendition := entry.RenditionRef{Language: "fr", Hash: entry.Sum([]byte("statement fr"))}
	e := s.endorse(s.two, nil, func(b *entry.Endorsement) {
		b.Renditions, b.After = []entry.RenditionRef{rendition}, entry.After{Size: s.State.Size(), Note: entry.Sum([]byte("note"))}
	})
	now := s.Now
	i := s.Must(e)
	got, ok := s.State.Endorsement("two.example", s.statement)
	want := roll.Endorsement{
		Mark: roll.Mark{Index: i, Admitted: now}, ID: e.ID(), Domain: "two.example", Statement: s.statement, Action: entry.Endorse, Date: e.Date,
		Keys: e.Keys, Renditions: []entry.RenditionRef{rendition}, After: entry.After{Size: i, Note: entry.Sum([]byte("note"))},
	}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got := standing(s.State, s.statement); got != "gone.example solo.example two.example" {
		t.Errorf("standing: %s", got)
	}
	// Endorsing again replaces, and counts once.
	j := s.Must(s.endorse(s.two, nil))
	if st, _ := s.State.Statement(s.statement); st.Standing != 3 {
		t.Errorf("%d stand", st.Standing)
	}
	s.Must(s.endorse(s.two, nil, func(b *entry.Endorsement) { b.Statement = s.theirs }))
	all := s.State.Endorsements("two.example")
	if len(all) != 2 || all[0].Index != j || all[0].Renditions != nil || all[1].Statement != s.theirs {
		t.Errorf("%+v", all)
	}
	for _, domain := range []string{"stranger.example", "two.example"} {
		if _, ok := s.State.Endorsement(domain, s.closed); ok {
			t.Errorf("%s endorses what it does not", domain)
		}
	}
	if s.State.Endorsements("stranger.example") != nil {
		t.Error("a stranger endorses")
	}
	if _, ok := s.State.Member("stranger.example"); ok {
		t.Error("a stranger is a member")
	}
	if _, ok := s.State.Key(rolltest.NewKey("stranger").Ref()); ok {
		t.Error("a stranger has a key")
	}
	// A key is known under its own suite alone.
	ref := s.two.Keys[0].Ref()
	ref.Suite = keys.MLDSA44
	if _, ok := s.State.Key(ref); ok {
		t.Error("a key serves two suites")
	}
}

// Dates are compared by the day, in UTC.
func TestDates(t *testing.T) {
	for _, c := range []struct {
		date, admitted string
		ok             bool
	}{
		{"2024-06-11", "2024-07-11T23:59:59.999Z", true},
		{"2024-06-11", "2024-07-12T00:00:00.000Z", false},
		{"2024-06-13", "2024-06-12T00:00:00.000Z", true},
		{"2024-06-14", "2024-06-12T23:59:59.999Z", false},
	} {
		r := rolltest.New(t)
		e := r.Registration(rolltest.NewOrg("a.example", 1, 0, 1))
		e.Date = c.date
		r.Now, _ = time.Parse(time.RFC3339, c.admitted)
		if err := r.Apply(rolltest.Sign(e)); (err == nil) != c.ok {
			t.Errorf("dated %s, admitted %s: %v", c.date, c.admitted, err)
		}
	}
}

// A time that a leaf cannot say is nobody's to admit at.
func TestAdmittedOutOfRange(t *testing.T) {
	op := rolltest.NewOrg("operator.example", 1, 0, 1)
	for _, c := range []struct {
		date     string
		admitted time.Time
		ok       bool
	}{
		{"1970-01-01", time.Date(1969, 12, 31, 23, 59, 59, 999e6, time.UTC), false},
		{"1970-01-01", time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), true},
		{"9999-12-31", time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC), true},
		{"9999-12-31", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), false},
	} {
		r := rolltest.Empty(t, op)
		e := r.Draft(&entry.Charter{Title: "A", Operator: op.Domain, PublicKeys: lines(op.Keys), Admission: byOperator, Roll: "manual"}, op)
		e.Genesis, e.Date = true, c.date
		l := &entry.Leaf{Admitted: c.admitted, Entry: rolltest.Sign(e)}
		err := r.State.Admit(l, nil)
		if (err == nil) != c.ok {
			t.Errorf("admitted at %v: %v", c.admitted, err)
		}
		if _, perr := entry.ParseLeaf(l.Bytes()); (perr == nil) != (err == nil) {
			t.Errorf("admitted at %v: admissible: %v, readable: %v", c.admitted, err, perr)
		}
	}
}

// Names are free again once their owner takes another one; domains never are,
// and no name keeps a domain out.
func TestNames(t *testing.T) {
	s := newScene(t, byOperator)
	named := func(name, legal string) *rolltest.Org {
		return &rolltest.Org{Domain: "new.example", Name: name, LegalName: legal, Quorum: 1, Keys: ks{rolltest.NewKey("new")}}
	}
	s.Must(s.update(s.solo, nil, func(b *entry.Membership) { b.Name, b.LegalName = "Solo", "SOLO" }))
	if m := s.member("solo.example"); m.LegalName != "SOLO" || m.Named.Index != m.Updated.Index || m.Named.Index == m.Registered.Index {
		t.Errorf("%+v", m)
	}
	checkRefusal(t, s.Apply(s.Registration(named("new", "solo"))), roll.RuleLookAlike, "a name of solo.example")
	s.Must(s.update(s.solo, nil, func(b *entry.Membership) { b.Name = "Solo" }))
	before := s.member("solo.example")
	s.Must(s.update(s.solo, nil, func(b *entry.Membership) { b.Name = "Solo" }))
	if m := s.member("solo.example"); m.Named != before.Named || m.Updated == before.Updated {
		t.Errorf("an update that changes no name: %+v", m)
	}
	checkRefusal(t, s.Apply(s.Registration(named("new", "solo"))), roll.RuleLookAlike, "a name of solo.example")
	s.Must(s.update(s.solo, nil, func(b *entry.Membership) { b.Name = "Squatter.Example" }))
	s.Register(named("new", "solo"))
	s.Register(&rolltest.Org{Domain: "squatter.example", Name: "A domain comes first", Quorum: 1, Keys: ks{rolltest.NewKey("squatted")}})
	checkRefusal(t, s.Apply(s.update(s.solo, nil, func(b *entry.Membership) { b.Name = "Squatter.Example" })), roll.RuleLookAlike, "the domain squatter.example")
	s.Must(s.update(s.solo, nil))
	// One's own domain and names may be alike.
	s.Register(&rolltest.Org{Domain: "self.example", Name: "self.example", LegalName: "SELF-EXAMPLE", Quorum: 1, Keys: ks{rolltest.NewKey("self")}})
	for _, name := range []string{"sоlo.example" /* Cyrillic о */, "S0lo.Example", "so‐lo example"} {
		if err := s.Apply(s.update(s.publisher, nil, func(b *entry.Membership) { b.Name = name })); err == nil {
			t.Errorf("%q passes beside solo.example", name)
		}
	}
}

func TestSupport(t *testing.T) {
	s := newScene(t, byOperator)
	is := func(what string, index uint64, want ...uint64) {
		t.Helper()
		l, err := entry.ParseLeaf(s.Leaves[index])
		if err != nil {
			t.Fatal(err)
		}
		if got := s.State.Support(index, l.Entry); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	registered := s.member("two.example").Registered.Index
	statement, _ := s.State.Statement(s.statement)
	fresh := rolltest.NewKey("fresh")
	added := s.event(s.two, &entry.KeyEvent{Action: entry.Add, PublicKey: line(fresh)}, s.two.Keys[0], s.two.Keys[1], fresh)
	updated := s.Must(s.update(s.two, nil))
	endorsed := s.Must(s.endorse(s.two, ks{s.two.Keys[1], fresh}))
	is("endorsement", endorsed, registered, statement.Index, added, updated)
	is("key event", added, registered)
	is("registration with vouchers", s.member("solo.example").Registered.Index, 0, registered, s.member("pair.example").Registered.Index)
	is("publication", statement.Index, 0)
	is("charter", 0)
	// What comes later does not matter.
	s.Do(&entry.Membership{Action: entry.Leave, Member: s.two.Domain}, s.two)
	s.Register(&rolltest.Org{Domain: s.two.Domain, Name: "again", Quorum: 2, Keys: ks{s.two.Keys[1], fresh}})
	is("endorsement, later", endorsed, registered, statement.Index, added, updated)
}

// The same leaves give the same state, whoever looks on and however their
// signatures are checked.
func TestDeterminism(t *testing.T) {
	s := newScene(t, byTwo)
	applied := roll.New(rolltest.Origin)
	parsed := roll.New(rolltest.Origin)
	var leaves []*entry.Leaf
	sigs := make([]*roll.Signatures, len(s.Leaves))
	for i, leaf := range s.Leaves {
		if err := applied.Apply(uint64(i), leaf); err != nil {
			t.Fatal(err)
		}
		l, err := entry.ParseLeaf(leaf)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, l)
	}
	done := make(chan bool)
	for range 4 {
		go func() {
			for i := 0; parsed.Size() < uint64(len(leaves)); i = (i + 1) % len(leaves) {
				parsed.CheckSignatures(leaves[i].Entry)
				parsed.Members()
				parsed.Standing(s.statement)
				parsed.Statements()
				parsed.Endorsements("solo.example")
				parsed.AllSaid("solo.example", s.statement)
				parsed.Charter()
				parsed.Admitted()
				parsed.Previous(leaves[i].Entry)
				parsed.Support(uint64(i), leaves[i].Entry)
			}
			done <- true
		}()
	}
	for i, l := range leaves {
		sigs[i] = parsed.CheckSignatures(l.Entry)
		if err := parsed.ApplyLeaf(uint64(i), l, sigs[i]); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		<-done
	}
	if !reflect.DeepEqual(applied, parsed) || !reflect.DeepEqual(applied, s.State) {
		t.Error("the states differ")
	}
}

// CheckSignatures looks at all that it can, and at nothing more once one fails.
func TestCheckSignatures(t *testing.T) {
	s := newScene(t, byOperator)
	k := rolltest.NewKey("new")
	for _, c := range []struct {
		name string
		e    *entry.Entry
		done int
	}{
		{"registered keys", s.endorse(s.two, nil), 2},
		{"vouchers and new keys", s.register(rolltest.NewOrg("new.example", 2, 1, 1), []*rolltest.Org{s.two}), 6},
		{"a new key", s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.solo.Domain, PublicKey: line(k)}, s.solo, ks{s.solo.Keys[0], k}), 2},
		{"new operator keys", s.amend(append(ks{k}, s.op.Keys...), func(c *entry.Charter) { c.PublicKeys = lines(ks{k}) }), 3},
		{"keys that nobody knows", s.endorse(rolltest.NewOrg("stranger.example", 2, 0, 2), nil), 0},
		{"a bad signature", func() *entry.Entry {
			e := s.register(rolltest.NewOrg("new.example", 2, 1, 1), nil)
			e.Signatures[1].Sig[3] ^= 1
			return e
		}(), 2},
	} {
		if got := s.State.CheckSignatures(c.e).Done(); got != c.done {
			t.Errorf("%s: %d looked at, want %d", c.name, got, c.done)
		}
	}
	l := &entry.Leaf{Admitted: s.Now, Entry: s.register(rolltest.NewOrg("new.example", 2, 1, 1), nil)}
	weakened := s.State.CheckSignatures(l.Entry)
	weakened.Weaken()
	checkRefusal(t, s.State.Admit(l, weakened), roll.RuleWeakKey, "weakened")
}

// What CheckSignatures found holds for what it saw, and nothing else.
func TestSignaturesAreBound(t *testing.T) {
	s := newScene(t, byOperator)
	good := s.endorse(s.two, nil)
	parse := func(e *entry.Entry) *entry.Leaf {
		l, err := entry.ParseLeaf(s.Leaf(e))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	sigs := s.State.CheckSignatures(good)

	other := s.endorse(s.two, nil, func(b *entry.Endorsement) { b.Statement = s.theirs })
	other.Signatures = good.Signatures
	checkRefusal(t, s.State.Admit(parse(other), sigs), roll.RuleSignature, "line 1")
	// Nor does the text of another entry help.
	sigs = s.State.CheckText(other, good.Text())
	checkRefusal(t, s.State.Admit(parse(other), sigs), roll.RuleSignature, "line 1")
	sigs = s.State.CheckSignatures(good)
	for name, change := range map[string]func(*entry.Entry){
		"signature": func(e *entry.Entry) { e.Signatures[1].Sig[7] ^= 1 },
		"key ID":    func(e *entry.Entry) { e.Signatures[1].KeyID ^= 1 },
	} {
		l := parse(good)
		change(l.Entry)
		t.Run(name, func(t *testing.T) { checkRefusal(t, s.State.Admit(l, sigs), roll.RuleSignature, "line 2") })
		// The other way round, a bad signature that was seen does not spoil a good one.
		bad := s.State.CheckSignatures(l.Entry)
		if err := newScene(t, byOperator).State.Admit(parse(good), bad); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// It is relied on.
	denied := s.State.CheckSignatures(good)
	denied.Deny()
	checkRefusal(t, s.State.Admit(parse(good), denied), roll.RuleSignature, "line 1")
	// The bytes that were checked, changed in place afterwards.
	l := parse(good)
	sigs = s.State.CheckSignatures(l.Entry)
	l.Entry.Signatures[0].Sig[7] ^= 1
	checkRefusal(t, s.State.Admit(l, sigs), roll.RuleSignature, "line 1")
	l.Entry.Signatures[0].Sig[7] ^= 1
	// A key that is revoked meanwhile does not help.
	s.event(s.two, &entry.KeyEvent{Action: entry.Revoke, Revokes: ref(s.two.Keys[0])}, s.two.Keys[0])
	checkRefusal(t, s.State.Admit(l, sigs), roll.RuleKey, "was revoked by")
	for _, e := range []*entry.Entry{nil, {}, {Body: &entry.Endorsement{}, Signatures: make([]entry.Signature, 3)}} {
		if s.State.CheckSignatures(e) != nil {
			t.Error("something was checked")
		}
	}
}

func TestHistory(t *testing.T) {
	s := newScene(t, byOperator)
	k := rolltest.NewKey("fresh")
	i := s.Do(&entry.KeyEvent{Action: entry.Suspend, Member: s.pair.Domain, Revokes: ref(s.pair.Keys[1])}, s.op)
	j := s.event(s.two, &entry.KeyEvent{Action: entry.Rotate, PublicKey: line(k), Revokes: ref(s.two.Keys[0])}, s.two.Keys[0], s.two.Keys[1], k)
	last := func(domain string) roll.Event {
		m := s.member(domain)
		ev := m.History[len(m.History)-1]
		if ev.ID != m.LastID {
			t.Errorf("%s: the last event is not the last entry", domain)
		}
		return ev
	}
	for _, c := range []struct{ got, want roll.Event }{
		{last("pair.example"), roll.Event{Action: entry.Suspend, Signer: s.op.Domain, Keys: []keys.Ref{s.op.Keys[0].Ref()}, About: ref(s.pair.Keys[1]), Mark: roll.Mark{Index: i}}},
		{last("two.example"), roll.Event{Action: entry.Rotate, Signer: s.two.Domain, Keys: []keys.Ref{s.two.Keys[0].Ref(), s.two.Keys[1].Ref(), k.Ref()},
			Added: ref(k), About: ref(s.two.Keys[0]), Mark: roll.Mark{Index: j}}},
		{last("gone.example"), roll.Event{Action: entry.Leave, Signer: s.gone.Domain, Keys: []keys.Ref{s.gone.Keys[0].Ref()}, Mark: s.member("gone.example").LeftAt}},
	} {
		c.want.ID, c.want.Admitted = c.got.ID, c.got.Admitted
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("got %+v\nwant %+v", c.got, c.want)
		}
	}
}

// A million endorsements must fit into memory beside everything else.
func TestMemory(t *testing.T) {
	r := rolltest.New(t)
	var orgs []*rolltest.Org
	for i := range 50 {
		orgs = append(orgs, r.Join(fmt.Sprintf("member%d.example", i)))
	}
	var texts []entry.Hash
	for i := range 100 {
		texts = append(texts, r.Publish(fmt.Sprint(i)))
	}
	endorse := func(h entry.Hash) {
		for _, o := range orgs {
			if err := r.State.Admit(&entry.Leaf{Admitted: r.Now, Entry: r.Endorsement(entry.Endorse, o, h)}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 8 { // of keys that sign again multiples are kept, which are not the state's
		endorse(r.Publish(fmt.Sprint("before ", i)))
	}
	before := heap()
	for _, h := range texts {
		endorse(h)
	}
	if each := float64(heap()-before) / float64(len(orgs)*len(texts)); each > 200 {
		t.Errorf("%.0f bytes for each endorsement", each)
	}
	runtime.KeepAlive(r)
}

// Every suite signs, and nothing else about it matters.
func TestSuites(t *testing.T) {
	r := rolltest.New(t)
	h := r.Publish("text")
	for i, suite := range keys.Suites() {
		o := &rolltest.Org{Domain: fmt.Sprintf("member%d.example", i), Name: "Member " + string(suite), Quorum: 1, Keys: ks{rolltest.NewKeyOf(suite, "suites")}}
		if suite == keys.RSAPKCS1SHA256 { // the SPKI of an RSA key is the same under both suites
			checkRefusal(t, r.Apply(r.Registration(o)), roll.RuleKeyReuse, "serves the suite rsa-pss-sha256")
			o.Keys[0] = rolltest.NewKeyOf(suite, "another")
		}
		l, err := entry.ParseLeaf(r.Leaf(r.Registration(o)))
		if err != nil {
			t.Fatal(err)
		}
		// Its key is parsed with the signatures, once, and also if it is for nothing.
		if err := r.State.Admit(l, r.State.CheckSignatures(l.Entry)); err != nil {
			t.Fatal(err)
		}
		r.Endorse(o, h)
	}
	if got := len(r.State.Standing(h)); got != len(keys.Suites()) {
		t.Errorf("%d stand", got)
	}
}

// Copies handed out do not reach into the state.
func TestViewsAreCopies(t *testing.T) {
	s, clean := newScene(t, byOperator), newScene(t, byOperator)
	s.Must(s.publish(s.op, nil, func(b *entry.Statement) { b.Supersedes = &s.statement }))
	clean.Must(clean.publish(clean.op, nil, func(b *entry.Statement) { b.Supersedes = &clean.statement }))
	scramble := func(v any) { spoilValue(reflect.ValueOf(v).Elem(), rand.New(rand.NewPCG(1, 1))) }
	scramble(s.State.Charter())
	for _, m := range s.State.Members() {
		scramble(&m)
	}
	for _, st := range s.State.Statements() {
		scramble(&st)
	}
	for _, e := range s.State.Endorsements("solo.example") {
		scramble(&e)
	}
	k, _ := s.State.Key(s.two.Keys[0].Ref())
	scramble(&k)
	if !reflect.DeepEqual(s.State, clean.State) {
		t.Error("who was handed a copy changed the state")
	}
}

// spoilValue zeroes whatever can be reached and set.
func spoilValue(v reflect.Value, r *rand.Rand) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*keys.PublicKey]() {
			spoilValue(v.Elem(), r)
		}
	case reflect.Slice:
		for i := range v.Len() {
			spoilValue(v.Index(i), r)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			break
		}
		for i := range v.NumField() {
			spoilValue(v.Field(i), r)
		}
	}
	if v.CanSet() {
		v.SetZero()
	}
}

func TestLookAlike(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"apnic.net", "apnic.net", true},
		{"apnic.net", "APNIC.NET", true},
		{"modern.example", "rnodern.example", true},
		{"nic1.example", "nicl.example", true},
		{"apnic.net", "xn--pnic-43d.net", true}, // Cyrillic а
		{"apnic.net", "apnic.org", false},
		{"apnic.net", "", false},
		{"", "", false},
	} {
		if got := roll.LookAlike(test.a, test.b); got != test.want || got != roll.LookAlike(test.b, test.a) {
			t.Errorf("LookAlike(%q, %q) = %v", test.a, test.b, got)
		}
	}
}

func TestLooksLike(t *testing.T) {
	r := rolltest.New(t)
	r.Register(rolltest.NewOrg("modern.example", 1, 0, 1))
	for _, test := range []struct{ domain, want string }{
		{"rnodern.example", "modern.example"},
		{"modern.example", ""}, // is itself
		{"m0dern.example", "modern.example"},
		{"modern.test", ""},
		{"", ""},
	} {
		if got := r.State.LooksLike(test.domain); got != test.want {
			t.Errorf("%q looks like %q, want %q", test.domain, got, test.want)
		}
	}
}

// Whoever stole a key can sign with those that it brought: they are as doubtful as it is, and what they bring in turn.
func TestDisputedBy(t *testing.T) {
	first, thiefs, thiefs2, mine := rolltest.NewKey("first"), rolltest.NewKey("the thief's"), rolltest.NewKey("the thief's second"), rolltest.NewKey("mine")
	add := func(s *scene, k *rolltest.Key, by ...*rolltest.Key) uint64 {
		return s.event(s.two, &entry.KeyEvent{Action: entry.Add, PublicKey: line(k)}, append(by, k)...)
	}
	stolen := func(s *scene, k *rolltest.Key, after uint64) {
		s.event(s.two, &entry.KeyEvent{Action: entry.Revoke, Revokes: ref(k), CompromisedAfter: at(after)}, s.two.Recovery[0])
	}
	from := func(s *scene, k *rolltest.Key) string {
		view, _ := s.State.Key(k.Ref())
		if !view.Disputed {
			return "good"
		}
		return fmt.Sprint(view.DisputedFrom)
	}
	for _, c := range []struct {
		name string
		make func(s *scene) (got, want string)
	}{
		{"brought by a stolen key", func(s *scene) (string, string) {
			i := add(s, thiefs, s.two.Keys...)
			stolen(s, s.two.Keys[0], i)
			return from(s, thiefs), fmt.Sprint(i)
		}},
		{"brought before it was stolen", func(s *scene) (string, string) {
			i := add(s, first, s.two.Keys...)
			stolen(s, s.two.Keys[0], i+1)
			return from(s, first), "good"
		}},
		{"put into the place of a stolen one", func(s *scene) (string, string) {
			i := s.event(s.two, &entry.KeyEvent{Action: entry.Rotate, PublicKey: line(thiefs), Revokes: ref(s.two.Keys[0])}, s.two.Keys[0], s.two.Keys[1], thiefs)
			stolen(s, s.two.Keys[0], 1)
			return from(s, thiefs), fmt.Sprint(i)
		}},
		{"brought by one that a stolen one brought", func(s *scene) (string, string) {
			i := add(s, thiefs, s.two.Keys...)
			j := add(s, thiefs2, thiefs, s.two.Keys[1])
			stolen(s, s.two.Keys[0], i)
			return from(s, thiefs2), fmt.Sprint(j)
		}},
		{"brought after all was known", func(s *scene) (string, string) {
			i := add(s, thiefs, s.two.Keys...)
			stolen(s, s.two.Keys[0], i)
			j := add(s, thiefs2, thiefs, s.two.Keys[1])
			return from(s, thiefs2), fmt.Sprint(j)
		}},
		{"the index goes down", func(s *scene) (string, string) {
			i := add(s, first, s.two.Keys...)
			j := add(s, thiefs, s.two.Keys[0], first)
			stolen(s, s.two.Keys[0], j)
			stolen(s, s.two.Keys[0], i)
			return from(s, first) + " " + from(s, thiefs), fmt.Sprint(i, " ", j)
		}},
		{"brought with a recovery key", func(s *scene) (string, string) {
			i := add(s, thiefs, s.two.Keys...)
			stolen(s, s.two.Keys[0], i)
			add(s, mine, s.two.Recovery[0])
			return from(s, mine), "good"
		}},
		{"a recovery key, brought by a stolen key and another recovery key", func(s *scene) (string, string) {
			i := s.Must(s.update(s.two, append(slices.Clone(s.two.Keys), s.two.Recovery[0], thiefs), func(b *entry.Membership) {
				b.RecoveryKeys = lines(ks{s.two.Recovery[0], thiefs})
			}))
			stolen(s, s.two.Keys[0], i)
			return from(s, thiefs) + " " + from(s, s.two.Recovery[0]), fmt.Sprint(i) + " good"
		}},
		{"registered together with a stolen key", func(s *scene) (string, string) {
			stolen(s, s.two.Keys[0], 0)
			return from(s, s.two.Keys[1]), "good"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, byOperator)
			got, want := c.make(s)
			if got != want {
				t.Errorf("in doubt from %s, not %s", got, want)
			}
			again, err := roll.ReadSnapshot(s.State.Snapshot())
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range []*rolltest.Key{first, thiefs, thiefs2, mine, s.two.Keys[0], s.two.Keys[1]} {
				a, _ := s.State.Key(k.Ref())
				b, _ := again.Key(k.Ref())
				if a.Disputed != b.Disputed || a.DisputedFrom != b.DisputedFrom {
					t.Errorf("from a snapshot: %+v, not %+v", b, a)
				}
			}
		})
	}
}
