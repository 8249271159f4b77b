package roll_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// A scene is a small record in which most things can go wrong.
type scene struct {
	*rolltest.Record
	op        *rolltest.Org
	two       *rolltest.Org // two keys, two recovery keys, quorum 2
	pair      *rolltest.Org // two keys, no recovery key, quorum 2; the first key is suspended
	solo      *rolltest.Org // one key; endorses the statement
	publisher *rolltest.Org
	gone      *rolltest.Org // has left, with its endorsement standing
	broken    *rolltest.Org // three keys, one recovery key, quorum 1; the first key is revoked, the recovery key dropped
	statement entry.Hash    // by the operator, with one rendition
	closed    entry.Hash
	expiring  entry.Hash // closes in an hour
	theirs    entry.Hash // by the publisher
}

// newScene returns a scene of its own for each call. It is played once for each
// admission, and then folded again from its leaves.
func newScene(t *testing.T, admission entry.Admission) *scene {
	t.Helper()
	p := played[admission]
	if p == nil {
		p = &playedScene{scene: play(t, admission)}
		for _, leaf := range p.Leaves {
			l, err := entry.ParseLeaf(leaf)
			if err != nil {
				t.Fatal(err)
			}
			p.parsed = append(p.parsed, l)
			p.sigs = append(p.sigs, p.State.CheckSignatures(l.Entry))
		}
		played[admission] = p
	}
	s, record := *p.scene, *p.Record
	s.Record = &record
	s.TB, s.State, s.Leaves = t, roll.New(rolltest.Origin), slices.Clone(p.Leaves)
	for i, l := range p.parsed {
		if err := s.State.ApplyLeaf(uint64(i), l, p.sigs[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []**rolltest.Org{&s.op, &s.two, &s.pair, &s.solo, &s.publisher, &s.gone, &s.broken} {
		own := **o
		*o = &own
	}
	s.Operator = s.op
	return &s
}

type playedScene struct {
	*scene
	parsed []*entry.Leaf
	sigs   []*roll.Signatures
}

var played = map[entry.Admission]*playedScene{} // no test here is parallel

func play(t *testing.T, admission entry.Admission) *scene {
	s := &scene{op: rolltest.NewOrg("operator.example", 2, 0, 1)}
	s.Record = rolltest.NewWith(t, s.op, admission, "publisher.example", "stranger.example")
	s.two = rolltest.NewOrg("two.example", 2, 2, 2)
	s.pair = rolltest.NewOrg("pair.example", 2, 0, 2)
	s.broken = rolltest.NewOrg("broken.example", 3, 1, 1)
	s.Register(s.two)
	s.Register(s.pair, s.two)
	s.Register(s.broken, s.two, s.pair)
	join := func(domain string) *rolltest.Org {
		o := rolltest.NewOrg(domain, 1, 0, 1)
		s.Register(o, s.two, s.pair)
		return o
	}
	s.solo, s.publisher, s.gone = join("solo.example"), join("publisher.example"), join("gone.example")

	publish := func(o *rolltest.Org, text string, change func(*entry.Statement)) entry.Hash {
		b := &entry.Statement{
			Action: entry.Publish, Statement: entry.Sum([]byte(text)), Title: text, Language: "en", MediaType: "text/plain", Size: 1,
			Renditions: []entry.Rendition{{Language: "fr", Hash: entry.Sum([]byte(text + " fr")), Size: 1, MediaType: "text/plain"}},
		}
		if change != nil {
			change(b)
		}
		s.Do(b, o)
		return b.Statement
	}
	s.statement, s.closed = publish(s.op, "statement", nil), publish(s.op, "closed", nil)
	s.Do(&entry.Statement{Action: entry.Close, Statement: s.closed}, s.op)
	s.expiring = publish(s.op, "expiring", func(b *entry.Statement) { b.Closes = s.Now.Add(time.Hour) })
	s.theirs = publish(s.publisher, "theirs", nil)
	s.Endorse(s.solo, s.statement)
	s.Endorse(s.gone, s.statement)
	s.Do(&entry.Membership{Action: entry.Leave, Member: s.gone.Domain}, s.gone)
	s.Do(&entry.KeyEvent{Action: entry.Suspend, Member: s.pair.Domain, Revokes: ref(s.pair.Keys[0])}, s.op)
	s.Do(&entry.KeyEvent{Action: entry.Revoke, Member: s.broken.Domain, Revokes: ref(s.broken.Keys[0]), CompromisedAfter: at(5)}, s.broken)
	s.Do(&entry.Membership{Action: entry.Update, Member: s.broken.Domain, Name: s.broken.Name, Quorum: 1}, s.broken, s.broken.Keys[1], s.broken.Recovery[0])
	return s
}

func ref(k *rolltest.Key) *keys.Ref { r := k.Ref(); return &r }
func at(index uint64) *uint64       { return &index }
func line(k *rolltest.Key) *entry.PublicKey {
	l := k.Line()
	return &l
}

// sign drafts an entry, changes it and signs it.
func (s *scene) sign(b entry.Body, o *rolltest.Org, ks []*rolltest.Key, changes ...func(*entry.Entry)) *entry.Entry {
	e := s.Draft(b, o, ks...)
	for _, change := range changes {
		change(e)
	}
	return rolltest.Sign(e)
}

// suspended registers a member with so many keys, the first of which is suspended, and a quorum of 2.
func (s *scene) suspended(n, recovery int) *rolltest.Org {
	o := rolltest.NewOrg("suspended.example", n, recovery, 2)
	s.Register(o)
	s.Do(&entry.KeyEvent{Action: entry.Suspend, Member: o.Domain, Revokes: ref(o.Keys[0])}, s.op)
	return o
}

func (s *scene) endorse(o *rolltest.Org, ks []*rolltest.Key, changes ...func(*entry.Endorsement)) *entry.Entry {
	b := &entry.Endorsement{Action: entry.Endorse, Statement: s.statement, After: entry.After{Size: 1}}
	for _, change := range changes {
		change(b)
	}
	return s.sign(b, o, ks)
}

func (s *scene) register(o *rolltest.Org, vouchers []*rolltest.Org, changes ...func(*entry.Membership, *entry.Entry)) *entry.Entry {
	e := s.Registration(o, vouchers...)
	for _, change := range changes {
		change(e.Body.(*entry.Membership), e)
	}
	return rolltest.Sign(e)
}

func (s *scene) update(o *rolltest.Org, ks []*rolltest.Key, changes ...func(*entry.Membership)) *entry.Entry {
	b := &entry.Membership{Action: entry.Update, Member: o.Domain, Name: o.Name, Quorum: o.Quorum, RecoveryKeys: lines(o.Recovery)}
	for _, change := range changes {
		change(b)
	}
	return s.sign(b, o, ks)
}

func (s *scene) amend(ks []*rolltest.Key, changes ...func(*entry.Charter)) *entry.Entry {
	b := &entry.Charter{Title: "Amended", Operator: s.op.Domain, PublicKeys: lines(s.op.Keys), Admission: entry.Admission{Operator: true}, Roll: "manual"}
	for _, change := range changes {
		change(b)
	}
	return s.sign(b, s.op, ks)
}

func (s *scene) publish(o *rolltest.Org, ks []*rolltest.Key, changes ...func(*entry.Statement)) *entry.Entry {
	b := &entry.Statement{Action: entry.Publish, Statement: entry.Sum([]byte("new")), Title: "New", Language: "en", MediaType: "text/plain", Size: 1}
	for _, change := range changes {
		change(b)
	}
	return s.sign(b, o, ks)
}

type ks = []*rolltest.Key

// weak is the Ed25519 point of order one, for which every text has a signature.
var weak = entry.PublicKey{Suite: keys.Ed25519, SPKI: append([]byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00\x01"), make([]byte, 31)...)}

var (
	byOperator = entry.Admission{Operator: true}
	byTwo      = entry.Admission{Vouched: 2}
)

var refusals = []struct {
	name      string
	rule      roll.Rule
	detail    string // part of it: which branch has refused
	admission entry.Admission
	entry     func(s *scene) *entry.Entry
}{
	{"another ledger", roll.RuleLedger, "another ledger", byOperator, func(s *scene) *entry.Entry {
		return s.sign(s.endorse(s.two, nil).Body, s.two, nil, func(e *entry.Entry) { e.Ledger = "other.example/test" })
	}},
	{"a second genesis", roll.RuleGenesis, "only entry 0", byOperator, func(s *scene) *entry.Entry {
		return s.sign(s.amend(s.op.Keys).Body, s.op, s.op.Keys, func(e *entry.Entry) { e.Genesis, e.Previous = true, nil })
	}},
	{"admitted before the last", roll.RuleAdmitted, "before the entry before it", byOperator, func(s *scene) *entry.Entry {
		s.Now = s.Now.Add(-2 * time.Second)
		return s.endorse(s.two, nil)
	}},
	{"dated 31 days ago", roll.RuleDate, "dated", byOperator, func(s *scene) *entry.Entry {
		e := s.endorse(s.two, nil)
		s.Now = s.Now.AddDate(0, 0, 31)
		return e
	}},
	{"dated in two days", roll.RuleDate, "dated", byOperator, func(s *scene) *entry.Entry {
		return s.sign(s.endorse(s.two, nil).Body, s.two, nil, func(e *entry.Entry) { e.Date = s.Now.AddDate(0, 0, 2).Format(time.DateOnly) })
	}},
	{"previous left out", roll.RulePrevious, "names no previous", byOperator, func(s *scene) *entry.Entry {
		return s.sign(s.endorse(s.solo, nil).Body, s.solo, nil, func(e *entry.Entry) { e.Previous = nil })
	}},
	{"previous of another subject", roll.RulePrevious, "the last on the subject is", byOperator, func(s *scene) *entry.Entry {
		id := s.endorse(s.two, nil).ID()
		return s.sign(s.endorse(s.solo, nil).Body, s.solo, nil, func(e *entry.Entry) { e.Previous = &id })
	}},
	{"previous where there is none", roll.RulePrevious, "the first on its subject", byOperator, func(s *scene) *entry.Entry {
		id := s.endorse(s.two, nil).ID()
		return s.sign(s.endorse(s.two, nil).Body, s.two, nil, func(e *entry.Entry) { e.Previous = &id })
	}},
	{"an endorsement once more", roll.RulePrevious, "names no previous", byOperator, func(s *scene) *entry.Entry {
		e := s.endorse(s.two, nil)
		s.Must(e)
		return e
	}},
	{"a spare endorsement after a withdrawal", roll.RulePrevious, "the last on the subject is", byOperator, func(s *scene) *entry.Entry {
		spare := s.endorse(s.solo, nil, func(b *entry.Endorsement) { b.After.Size = 2 })
		s.Withdraw(s.solo, s.statement)
		return spare
	}},

	// Charters.
	{"an amendment by a stranger", roll.RuleSigner, "only the operator", byOperator, func(s *scene) *entry.Entry {
		return s.sign(s.amend(s.op.Keys).Body, s.two, nil)
	}},
	{"an amendment without every operator key", roll.RuleQuorum, "operator's key", byOperator, func(s *scene) *entry.Entry {
		return s.amend(s.op.Keys[:1])
	}},
	{"an amendment with a stranger's key", roll.RuleKey, "neither one of the operator's", byOperator, func(s *scene) *entry.Entry {
		return s.amend(ks{s.op.Keys[0], s.op.Keys[1], s.solo.Keys[0]})
	}},
	{"an amendment whose new key does not sign", roll.RulePossession, "does not sign", byOperator, func(s *scene) *entry.Entry {
		return s.amend(s.op.Keys, func(c *entry.Charter) { c.PublicKeys = append(c.PublicKeys, rolltest.NewKey("new").Line()) })
	}},
	{"a member's key for the operator", roll.RuleKeyReuse, "is the member key of", byOperator, func(s *scene) *entry.Entry {
		return s.amend(ks{s.op.Keys[0], s.op.Keys[1], s.solo.Keys[0]}, func(c *entry.Charter) { c.PublicKeys = append(c.PublicKeys, s.solo.Keys[0].Line()) })
	}},
	{"an operator key for another domain", roll.RuleKeyReuse, "is the operator key of", byOperator, func(s *scene) *entry.Entry {
		return s.amend(s.op.Keys, func(c *entry.Charter) { c.Operator = "second.example" })
	}},
	{"a weak operator key", roll.RuleWeakKey, "not accepted", byOperator, func(s *scene) *entry.Entry {
		e := s.amend(s.op.Keys, func(c *entry.Charter) { c.PublicKeys = append(c.PublicKeys, weak) })
		e.Keys = append(e.Keys, weak.Ref())
		return forge(e)
	}},
	{"an amendment for which no member vouches", roll.RuleAdmission, "members vouch for the amendment", byTwo, func(s *scene) *entry.Entry {
		return s.amend(s.op.Keys)
	}},
	{"an amendment for which one member vouches of two", roll.RuleAdmission, "1 member vouches", byTwo, func(s *scene) *entry.Entry {
		return s.amend(s.op.Keys, func(c *entry.Charter) { c.Vouchers = s.two.Vouch() })
	}},
	{"the operator vouches for its amendment", roll.RuleVoucher, "vouches for itself", byOperator, func(s *scene) *entry.Entry {
		return s.amend(s.op.Keys, func(c *entry.Charter) { c.Vouchers = s.op.Vouch() })
	}},
	{"the operator suspends whom it would need", roll.RuleAdmission, "members vouch for the amendment", byTwo, func(s *scene) *entry.Entry {
		for _, m := range s.State.Members() {
			for _, k := range m.Keys {
				if k.Current && !k.Suspended && !m.Left {
					s.Do(&entry.KeyEvent{Action: entry.Suspend, Member: m.Domain, Revokes: &k.Ref}, s.op)
				}
			}
		}
		return s.amend(s.op.Keys)
	}},
	{"the operator takes a member's domain", roll.RuleVoucher, "becomes the operator", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("usurper")
		return s.amend(ks{s.op.Keys[0], s.op.Keys[1], k}, func(c *entry.Charter) { c.Operator, c.PublicKeys = "solo.example", lines(ks{k}) })
	}},
	{"the operator takes a domain below a member's", roll.RuleVoucher, "above or below it", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("usurper")
		return s.amend(ks{s.op.Keys[0], s.op.Keys[1], k}, func(c *entry.Charter) { c.Operator, c.PublicKeys = "below.solo.example", lines(ks{k}) })
	}},
	{"the operator takes a domain above a member's", roll.RuleVoucher, "above or below it", byOperator, func(s *scene) *entry.Entry {
		s.Register(rolltest.NewOrg("below.above.example", 1, 0, 1), s.two)
		k := rolltest.NewKey("usurper")
		return s.amend(ks{s.op.Keys[0], s.op.Keys[1], k}, func(c *entry.Charter) { c.Operator, c.PublicKeys = "above.example", lines(ks{k}) })
	}},
	{"the operator takes the domain of who left", roll.RuleVoucher, "becomes the operator", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("usurper")
		return s.amend(ks{s.op.Keys[0], s.op.Keys[1], k}, func(c *entry.Charter) { c.Operator, c.PublicKeys = "gone.example", lines(ks{k}) })
	}},
	{"the operator takes a look-alike of a member's domain", roll.RuleLookAlike, "solo.example", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("usurper")
		return s.amend(ks{s.op.Keys[0], s.op.Keys[1], k}, func(c *entry.Charter) { c.Operator, c.PublicKeys = "so-lo.example", lines(ks{k}) })
	}},
	{"the operator takes a domain of mixed scripts", roll.RuleName, "mixes scripts", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("usurper")
		return s.amend(ks{s.op.Keys[0], s.op.Keys[1], k}, func(c *entry.Charter) { c.Operator, c.PublicKeys = mixed, lines(ks{k}) })
	}},

	// Statements.
	{"a statement of a member that does not publish", roll.RuleSigner, "neither the operator nor a publisher", byOperator, func(s *scene) *entry.Entry {
		return s.publish(s.two, nil)
	}},
	{"a statement with an operator key and another", roll.RuleKey, "not of the operator's keys", byOperator, func(s *scene) *entry.Entry {
		return s.publish(s.op, ks{s.op.Keys[0], s.solo.Keys[0]})
	}},
	{"a statement of a publisher that is no member", roll.RuleMember, "not a member", byOperator, func(s *scene) *entry.Entry {
		return s.publish(rolltest.NewOrg("stranger.example", 1, 0, 1), nil)
	}},
	{"a statement in a publisher's name by the operator", roll.RuleKey, "not a key of the member", byOperator, func(s *scene) *entry.Entry {
		return s.publish(s.publisher, s.op.Keys[:1])
	}},
	{"a statement of a publisher with a key of another's", roll.RuleKey, "not a key of the member", byOperator, func(s *scene) *entry.Entry {
		return s.publish(s.publisher, ks{s.publisher.Keys[0], s.solo.Keys[0]})
	}},
	{"a statement of a publisher without its quorum", roll.RuleQuorum, "where it takes 2", byOperator, func(s *scene) *entry.Entry {
		s.Must(s.amend(s.op.Keys, func(c *entry.Charter) { c.Publishers = []string{"two.example"} }))
		return s.publish(s.two, s.two.Keys[:1])
	}},
	{"a statement twice", roll.RuleStatement, "was published by entry", byOperator, func(s *scene) *entry.Entry {
		return s.publish(s.op, nil, func(b *entry.Statement) { b.Statement = s.statement })
	}},
	{"closing what is not published", roll.RuleStatement, "has not been published", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.Statement{Action: entry.Close, Statement: entry.Sum(nil)}, s.op, nil)
	}},
	{"closing what another published", roll.RuleSigner, "was published by", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.Statement{Action: entry.Close, Statement: s.statement}, s.publisher, nil)
	}},
	{"closing as a publisher of old", roll.RuleSigner, "neither the operator nor a publisher", byOperator, func(s *scene) *entry.Entry {
		s.Must(s.amend(s.op.Keys))
		return s.sign(&entry.Statement{Action: entry.Close, Statement: s.theirs}, s.publisher, nil)
	}},
	{"closing what is closed", roll.RuleOpen, "closed already", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.Statement{Action: entry.Close, Statement: s.closed}, s.op, nil)
	}},
	{"closing what has run out", roll.RuleOpen, "closed already", byOperator, func(s *scene) *entry.Entry {
		s.Now = s.Now.Add(time.Hour)
		return s.sign(&entry.Statement{Action: entry.Close, Statement: s.expiring}, s.op, nil)
	}},
	{"reopening what is open", roll.RuleOpen, "open already", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.Statement{Action: entry.Reopen, Statement: s.statement}, s.op, nil)
	}},
	{"reopening until now", roll.RuleCloses, "not after", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.Statement{Action: entry.Reopen, Statement: s.closed, Closes: s.Now}, s.op, nil)
	}},
	{"a statement that closes at its publication", roll.RuleCloses, "not after", byOperator, func(s *scene) *entry.Entry {
		return s.publish(s.op, nil, func(b *entry.Statement) { b.Closes = s.Now })
	}},
	{"a statement that supersedes itself", roll.RuleSupersede, "itself", byOperator, func(s *scene) *entry.Entry {
		return s.publish(s.op, nil, func(b *entry.Statement) { b.Supersedes = &b.Statement })
	}},
	{"a statement that supersedes nothing", roll.RuleSupersede, "has not been published", byOperator, func(s *scene) *entry.Entry {
		return s.publish(s.op, nil, func(b *entry.Statement) { h := entry.Sum(nil); b.Supersedes = &h })
	}},
	{"a publisher supersedes the operator's statement", roll.RuleSupersede, "a statement of operator.example", byOperator, func(s *scene) *entry.Entry {
		return s.publish(s.publisher, nil, func(b *entry.Statement) { b.Supersedes = &s.statement })
	}},

	// Memberships.
	{"a registration by another", roll.RuleSyntax, "", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) { e.Signer = "other.example" })
	}},
	{"a registration of a member", roll.RuleMember, "is a member since", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "solo.example", Name: "solo", Quorum: 1, Keys: ks{rolltest.NewKey("thief")}}, nil)
	}},
	{"a registration whose key does not sign", roll.RulePossession, "all of them", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 2, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) { e.Keys = e.Keys[:1] })
	}},
	{"a registration with one key line more", roll.RulePossession, "all of them", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) { e.Keys = append(e.Keys, s.solo.Keys[0].Ref()) })
	}},
	{"a registration whose keys sign in another order", roll.RulePossession, "in their order", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 1, 1), nil, func(b *entry.Membership, e *entry.Entry) { slices.Reverse(e.Keys) })
	}},
	{"a registration whose quorum is out of reach", roll.RuleSyntax, "", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) { b.Quorum = 2 })
	}},
	{"another member's key", roll.RuleKeyReuse, "is the member key of solo.example", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "new.example", Name: "new", Quorum: 1, Keys: s.solo.Keys}, nil)
	}},
	{"a recovery key as a key", roll.RuleKeyReuse, "is the recovery key of two.example", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "new.example", Name: "new", Quorum: 1, Keys: s.two.Recovery}, nil)
	}},
	{"another member's recovery key", roll.RuleKeyReuse, "is the recovery key of two.example", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "new.example", Name: "new", Quorum: 1, Keys: ks{rolltest.NewKey("new")}, Recovery: s.two.Recovery}, nil)
	}},
	{"an own key in another role", roll.RuleKeyReuse, "cannot become a recovery key", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "gone.example", Name: "gone", Quorum: 1, Keys: ks{rolltest.NewKey("new")}, Recovery: s.gone.Keys}, nil)
	}},
	{"a key in another suite", roll.RuleKeyReuse, "serves the suite", byOperator, func(s *scene) *entry.Entry {
		e := s.register(&rolltest.Org{Domain: "new.example", Name: "new", Quorum: 1, Keys: ks{rolltest.NewKey("new")}}, nil)
		b := e.Body.(*entry.Membership)
		b.PublicKeys = lines(s.solo.Keys)
		b.PublicKeys[0].Suite = keys.MLDSA44
		e.Keys[0] = b.PublicKeys[0].Ref()
		return e
	}},
	{"a revoked key after leaving", roll.RuleKeyReuse, "was revoked by", byOperator, func(s *scene) *entry.Entry {
		s.Do(&entry.Membership{Action: entry.Leave, Member: s.broken.Domain}, s.broken, s.broken.Keys[1])
		return s.register(s.broken, nil)
	}},
	{"a weak key", roll.RuleWeakKey, "not accepted", byOperator, func(s *scene) *entry.Entry {
		e := s.register(&rolltest.Org{Domain: "new.example", Name: "new", Quorum: 1, Keys: ks{rolltest.NewKey("new")}}, nil)
		e.Body.(*entry.Membership).PublicKeys[0] = weak
		e.Keys[0] = weak.Ref()
		return forge(e)
	}},
	{"a weak recovery key", roll.RuleWeakKey, "not accepted", byOperator, func(s *scene) *entry.Entry {
		e := s.register(&rolltest.Org{Domain: "new.example", Name: "new", Quorum: 1, Keys: ks{rolltest.NewKey("new")}}, nil)
		e.Body.(*entry.Membership).RecoveryKeys = []entry.PublicKey{weak}
		e.Keys = append(e.Keys, weak.Ref())
		return forge(e)
	}},
	{"a registration that the operator does not admit", roll.RuleAdmission, "the operator does not vouch", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) { b.Vouchers = s.two.Vouch() })
	}},
	{"a registration for which nobody vouches", roll.RuleAdmission, "0 domains vouch", byTwo, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) { b.Vouchers = nil })
	}},
	{"a registration for which the operator vouches alone", roll.RuleAdmission, "1 domain vouches where it takes 2", byTwo, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil)
	}},
	{"two keys of one voucher", roll.RuleAdmission, "1 domain vouches where it takes 2", byTwo, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) { b.Vouchers = s.op.Vouch(s.op.Keys...) })
	}},
	{"the operator's domain without the operator", roll.RuleAdmission, "the operator does not vouch", byTwo, func(s *scene) *entry.Entry {
		o := &rolltest.Org{Domain: "operator.example", Name: "The operator", Quorum: 1, Keys: ks{rolltest.NewKey("impostor")}}
		return s.register(o, nil, func(b *entry.Membership, e *entry.Entry) { b.Vouchers = append(s.two.Vouch(), s.solo.Vouch()...) })
	}},
	{"the operator counts as a voucher for itself", roll.RuleAdmission, "1 domain vouches where it takes 2", byTwo, func(s *scene) *entry.Entry {
		o := &rolltest.Org{Domain: "operator.example", Name: "The operator", Quorum: 1, Keys: ks{rolltest.NewKey("member")}}
		return s.register(o, []*rolltest.Org{s.two})
	}},
	{"a voucher that is no member", roll.RuleVoucher, "is not a member", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), []*rolltest.Org{rolltest.NewOrg("stranger.example", 1, 0, 1)})
	}},
	{"a voucher that has left", roll.RuleVoucher, "is not a member", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), []*rolltest.Org{s.gone})
	}},
	{"a voucher with another's key", roll.RuleVoucher, "not a current key", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) {
			b.Vouchers = append(b.Vouchers, s.solo.Vouch(s.publisher.Keys[0])...)
		})
	}},
	{"a voucher with a key that nobody knows", roll.RuleVoucher, "not a current key", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) {
			b.Vouchers = append(b.Vouchers, s.solo.Vouch(rolltest.NewKey("unknown"))...)
		})
	}},
	{"the operator's key in a member's name", roll.RuleVoucher, "not a current key", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) {
			b.Vouchers = s.solo.Vouch(s.op.Keys[0])
		})
	}},
	{"a voucher with a recovery key", roll.RuleVoucher, "not a current key", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) {
			b.Vouchers = append(b.Vouchers, s.two.Vouch(s.two.Recovery...)...)
		})
	}},
	{"a voucher with a revoked key", roll.RuleVoucher, "not a current key", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), []*rolltest.Org{s.broken})
	}},
	{"a voucher with a suspended key", roll.RuleVoucher, "was suspended by", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), []*rolltest.Org{s.pair})
	}},
	{"a voucher with half its quorum", roll.RuleVoucher, "1 of the keys of two.example vouch", byOperator, func(s *scene) *entry.Entry {
		return s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil, func(b *entry.Membership, e *entry.Entry) {
			b.Vouchers = append(b.Vouchers, s.two.Vouch(s.two.Keys[0])...)
		})
	}},
	{"who registers vouches for itself", roll.RuleVoucher, "vouches for itself", byOperator, func(s *scene) *entry.Entry {
		o := rolltest.NewOrg("new.example", 1, 0, 1)
		return s.register(o, []*rolltest.Org{o})
	}},
	{"who updates vouches for itself", roll.RuleVoucher, "vouches for itself", byOperator, func(s *scene) *entry.Entry {
		return s.update(s.two, nil, func(b *entry.Membership) { b.Vouchers = s.two.Vouch() })
	}},
	{"an update with half a voucher", roll.RuleVoucher, "1 of the keys of two.example vouch", byOperator, func(s *scene) *entry.Entry {
		return s.update(s.solo, nil, func(b *entry.Membership) { b.Vouchers = s.two.Vouch(s.two.Keys[0]) })
	}},
	{"an update of a stranger", roll.RuleMember, "is not a member", byOperator, func(s *scene) *entry.Entry {
		return s.update(rolltest.NewOrg("stranger.example", 1, 0, 1), nil)
	}},
	{"an update after leaving", roll.RuleMember, "left with", byOperator, func(s *scene) *entry.Entry { return s.update(s.gone, nil) }},
	{"an update by half the quorum", roll.RuleQuorum, "where it takes 2", byOperator, func(s *scene) *entry.Entry {
		return s.update(s.two, s.two.Keys[:1])
	}},
	{"an update by a recovery key alone", roll.RuleQuorum, "where it takes 2", byOperator, func(s *scene) *entry.Entry {
		return s.update(s.two, s.two.Recovery)
	}},
	{"an update with a suspended key", roll.RuleKey, "was suspended", byOperator, func(s *scene) *entry.Entry { return s.update(s.pair, nil) }},
	{"an update of the quorum without recovery key", roll.RuleRecovery, "no recovery key", byOperator, func(s *scene) *entry.Entry {
		return s.update(s.two, nil, func(b *entry.Membership) { b.Quorum = 1 })
	}},
	{"an update that drops a recovery key without one", roll.RuleRecovery, "no recovery key", byOperator, func(s *scene) *entry.Entry {
		return s.update(s.two, nil, func(b *entry.Membership) { b.RecoveryKeys = b.RecoveryKeys[:1] })
	}},
	{"an update that adds a recovery key without one", roll.RuleRecovery, "no recovery key", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("new")
		return s.update(s.two, append(slices.Clone(s.two.Keys), k), func(b *entry.Membership) { b.RecoveryKeys = append(b.RecoveryKeys, k.Line()) })
	}},
	{"an update with a recovery key that does not sign", roll.RulePossession, "does not sign", byOperator, func(s *scene) *entry.Entry {
		return s.update(s.solo, nil, func(b *entry.Membership) { b.RecoveryKeys = lines(ks{rolltest.NewKey("new")}) })
	}},
	{"an update with a quorum out of reach", roll.RuleQuorum, "out of reach", byOperator, func(s *scene) *entry.Entry {
		return s.update(s.solo, nil, func(b *entry.Membership) { b.Quorum = 2 })
	}},
	{"an update with a key of its own as recovery key", roll.RuleKeyReuse, "cannot become", byOperator, func(s *scene) *entry.Entry {
		return s.update(s.solo, nil, func(b *entry.Membership) { b.RecoveryKeys = lines(s.solo.Keys) })
	}},
	{"leaving by half the quorum", roll.RuleQuorum, "or a recovery key", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.Membership{Action: entry.Leave, Member: s.two.Domain}, s.two, s.two.Keys[:1])
	}},
	{"leaving twice", roll.RuleMember, "left with", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.Membership{Action: entry.Leave, Member: s.gone.Domain}, s.gone, nil)
	}},
	{"the operator makes a member leave", roll.RuleKey, "not a key of the member", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.Membership{Action: entry.Leave, Member: s.solo.Domain}, s.solo, s.op.Keys[:1])
	}},
	{"leaving with a revoked key", roll.RuleKey, "was revoked", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.Membership{Action: entry.Leave, Member: s.broken.Domain}, s.broken, s.broken.Keys[:1])
	}},
	{"leaving with a dropped recovery key", roll.RuleKey, "no longer one of", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.Membership{Action: entry.Leave, Member: s.broken.Domain}, s.broken, s.broken.Recovery)
	}},

	// Names.
	{"a domain that looks like a member's", roll.RuleLookAlike, "solo.example", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "so-lo.example", Name: "another", Quorum: 1, Keys: ks{rolltest.NewKey("new")}}, nil)
	}},
	{"a domain that looks like the operator's", roll.RuleLookAlike, "operator.example", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "opera-tor.example", Name: "another", Quorum: 1, Keys: ks{rolltest.NewKey("new")}}, nil)
	}},
	{"a domain of mixed scripts", roll.RuleName, "mixes scripts", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: mixed, Name: "another", Quorum: 1, Keys: ks{rolltest.NewKey("new")}}, nil)
	}},
	{"a name of mixed scripts", roll.RuleName, "mixes scripts", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "new.example", Name: "nеw", Quorum: 1, Keys: ks{rolltest.NewKey("new")}}, nil)
	}},
	{"a name of digits", roll.RuleName, "at least one letter", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "new.example", Name: "2024", Quorum: 1, Keys: ks{rolltest.NewKey("new")}}, nil)
	}},
	{"a legal name of signs", roll.RuleName, "at least one letter", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "new.example", Name: "new", LegalName: "—", Quorum: 1, Keys: ks{rolltest.NewKey("new")}}, nil)
	}},
	{"a name like another's", roll.RuleLookAlike, "solo.example", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "new.example", Name: "SOLO-example", Quorum: 1, Keys: ks{rolltest.NewKey("new")}}, nil)
	}},
	{"a legal name like another's domain", roll.RuleLookAlike, "gone.example", byOperator, func(s *scene) *entry.Entry {
		return s.register(&rolltest.Org{Domain: "new.example", Name: "new", LegalName: "gone.example", Quorum: 1, Keys: ks{rolltest.NewKey("new")}}, nil)
	}},
	{"an update to another's name", roll.RuleLookAlike, "two.example", byOperator, func(s *scene) *entry.Entry {
		return s.update(s.solo, nil, func(b *entry.Membership) { b.Name = "Two Example" })
	}},

	// Endorsements.
	{"an endorsement by a stranger", roll.RuleMember, "is not a member", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(rolltest.NewOrg("stranger.example", 1, 0, 1), nil)
	}},
	{"an endorsement after leaving", roll.RuleMember, "left with", byOperator, func(s *scene) *entry.Entry { return s.endorse(s.gone, nil) }},
	{"an endorsement by the operator", roll.RuleMember, "is not a member", byOperator, func(s *scene) *entry.Entry { return s.endorse(s.op, nil) }},
	{"an endorsement of what is not published", roll.RuleStatement, "has not been published", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.solo, nil, func(b *entry.Endorsement) { b.Statement = entry.Sum(nil) })
	}},
	{"an endorsement of what is closed", roll.RuleOpen, "is closed", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.solo, nil, func(b *entry.Endorsement) { b.Statement = s.closed })
	}},
	{"an endorsement at the very end", roll.RuleOpen, "is closed", byOperator, func(s *scene) *entry.Entry {
		st, _ := s.State.Statement(s.expiring)
		s.Now = st.Closes
		return s.endorse(s.solo, nil, func(b *entry.Endorsement) { b.Statement = s.expiring })
	}},
	{"an unknown rendition", roll.RuleRendition, "not one of the statement", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.two, nil, func(b *entry.Endorsement) {
			b.Renditions = []entry.RenditionRef{{Language: "fr", Hash: entry.Sum(nil)}}
		})
	}},
	{"a rendition in another language", roll.RuleRendition, "not one of the statement", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.two, nil, func(b *entry.Endorsement) {
			b.Renditions = []entry.RenditionRef{{Language: "de", Hash: entry.Sum([]byte("statement fr"))}}
		})
	}},
	{"after a checkpoint of size 0", roll.RuleAfter, "of size 0", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.two, nil, func(b *entry.Endorsement) { b.After.Size = 0 })
	}},
	{"after a checkpoint of the future", roll.RuleAfter, "cannot have been published", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.two, nil, func(b *entry.Endorsement) { b.After.Size = s.State.Size() + 1 })
	}},
	{"a withdrawal after a checkpoint of the future", roll.RuleAfter, "cannot have been published", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.solo, nil, func(b *entry.Endorsement) { b.Action, b.After.Size = entry.Withdraw, s.State.Size()+1 })
	}},
	{"an endorsement by half the quorum", roll.RuleQuorum, "where it takes 2", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.two, s.two.Keys[:1])
	}},
	{"an endorsement with a key and a recovery key", roll.RuleKey, "is a recovery key", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.two, ks{s.two.Keys[0], s.two.Recovery[0]})
	}},
	{"an endorsement with a stranger's key beside", roll.RuleKey, "is not registered", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.solo, ks{s.solo.Keys[0], rolltest.NewKey("stranger")})
	}},
	{"an endorsement with another member's key beside", roll.RuleKey, "not a key of the member", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.solo, ks{s.solo.Keys[0], s.publisher.Keys[0]})
	}},
	{"an endorsement with the operator's key", roll.RuleKey, "not a key of the member", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.solo, s.op.Keys[:1])
	}},
	{"an endorsement with a revoked key", roll.RuleKey, "was revoked by", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.broken, s.broken.Keys[:1])
	}},
	{"an endorsement with a suspended key", roll.RuleKey, "was suspended by", byOperator, func(s *scene) *entry.Entry { return s.endorse(s.pair, nil) }},
	{"a withdrawal of nothing", roll.RuleEndorsed, "does not stand behind", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.two, nil, func(b *entry.Endorsement) { b.Action = entry.Withdraw })
	}},
	{"a second withdrawal", roll.RuleEndorsed, "does not stand behind", byOperator, func(s *scene) *entry.Entry {
		s.Withdraw(s.solo, s.statement)
		return s.endorse(s.solo, nil, func(b *entry.Endorsement) { b.Action = entry.Withdraw })
	}},
	{"a withdrawal by a stranger", roll.RuleMember, "is not a member", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(rolltest.NewOrg("stranger.example", 1, 0, 1), nil, func(b *entry.Endorsement) { b.Action = entry.Withdraw })
	}},
	{"a withdrawal by half the quorum", roll.RuleQuorum, "or a recovery key", byOperator, func(s *scene) *entry.Entry {
		s.Endorse(s.two, s.statement)
		return s.endorse(s.two, s.two.Keys[:1], func(b *entry.Endorsement) { b.Action = entry.Withdraw })
	}},
	{"a withdrawal by the operator", roll.RuleKey, "not a key of the member", byOperator, func(s *scene) *entry.Entry {
		return s.endorse(s.solo, s.op.Keys[:1], func(b *entry.Endorsement) { b.Action = entry.Withdraw })
	}},

	// Keys.
	{"a key event about nobody", roll.RuleMember, "is not a member", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Add, Member: "nobody.example", PublicKey: line(rolltest.NewKey("new"))},
			rolltest.NewOrg("nobody.example", 1, 0, 1), ks{rolltest.NewKey("new")})
	}},
	{"the operator adds a key", roll.RuleSigner, "nobody but", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("new")
		return s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.solo.Domain, PublicKey: line(k)}, s.op, ks{s.op.Keys[0], k})
	}},
	{"the operator adds a key in the member's name", roll.RuleKey, "not a key of the member", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("new")
		return s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.solo.Domain, PublicKey: line(k)}, s.solo, ks{s.op.Keys[0], k})
	}},
	{"a member suspends another's key", roll.RuleSigner, "itself and the operator", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Suspend, Member: s.solo.Domain, Revokes: ref(s.solo.Keys[0])}, s.publisher, nil)
	}},
	{"a suspension with an operator key and another", roll.RuleKey, "not of the operator's keys", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Suspend, Member: s.solo.Domain, Revokes: ref(s.solo.Keys[0])}, s.op, ks{s.op.Keys[0], s.publisher.Keys[0]})
	}},
	{"a suspension of who left", roll.RuleMember, "left with", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Suspend, Member: s.gone.Domain, Revokes: ref(s.gone.Keys[0])}, s.op, nil)
	}},
	{"a suspension of a recovery key", roll.RuleRevokes, "not a current key of", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Suspend, Member: s.two.Domain, Revokes: ref(s.two.Recovery[0])}, s.op, nil)
	}},
	{"a suspension of another's key", roll.RuleRevokes, "not a current key of", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Suspend, Member: s.two.Domain, Revokes: ref(s.solo.Keys[0])}, s.op, nil)
	}},
	{"a second suspension", roll.RuleRevokes, "was suspended by", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Suspend, Member: s.pair.Domain, Revokes: ref(s.pair.Keys[0])}, s.op, nil)
	}},
	{"a suspension by half the quorum", roll.RuleQuorum, "where it takes 2", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Suspend, Member: s.two.Domain, Revokes: ref(s.two.Keys[1])}, s.two, s.two.Keys[:1])
	}},
	{"adding a key after leaving", roll.RuleMember, "left with", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("new")
		return s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.gone.Domain, PublicKey: line(k)}, s.gone, ks{s.gone.Keys[0], k})
	}},
	{"adding a key by half the quorum", roll.RuleQuorum, "where it takes 2", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("new")
		return s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.two.Domain, PublicKey: line(k)}, s.two, ks{s.two.Keys[0], k})
	}},
	{"adding a key that does not sign", roll.RulePossession, "does not sign", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.solo.Domain, PublicKey: line(rolltest.NewKey("new"))}, s.solo, nil)
	}},
	{"adding a weak key", roll.RuleWeakKey, "not accepted", byOperator, func(s *scene) *entry.Entry {
		e := s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.solo.Domain, PublicKey: line(rolltest.NewKey("new"))}, s.solo, ks{s.solo.Keys[0], rolltest.NewKey("new")})
		*e.Body.(*entry.KeyEvent).PublicKey = weak
		e.Keys[1] = weak.Ref()
		return forge(e)
	}},
	{"adding a key that it has", roll.RuleKeyReuse, "registered already", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.broken.Domain, PublicKey: line(s.broken.Keys[2])}, s.broken, s.broken.Keys[1:])
	}},
	{"adding a suspended key again", roll.RuleKeyReuse, "registered already", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.pair.Domain, PublicKey: line(s.pair.Keys[0])}, s.pair, nil)
	}},
	{"adding a revoked key", roll.RuleKeyReuse, "was revoked by", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.broken.Domain, PublicKey: line(s.broken.Keys[0])}, s.broken, ks{s.broken.Keys[1], s.broken.Keys[0]})
	}},
	{"adding its recovery key", roll.RuleKeyReuse, "cannot become a member key", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.two.Domain, PublicKey: line(s.two.Recovery[0])}, s.two, append(slices.Clone(s.two.Keys), s.two.Recovery[0]))
	}},
	{"adding a ninth key", roll.RuleKeyLimit, "has 8 keys already", byOperator, func(s *scene) *entry.Entry {
		var e *entry.Entry
		for i := range 8 {
			k := rolltest.NewKey("key " + string(rune('a'+i)))
			e = s.sign(&entry.KeyEvent{Action: entry.Add, Member: s.solo.Domain, PublicKey: line(k)}, s.solo, ks{s.solo.Keys[0], k})
			if i < 7 {
				s.Must(e)
			}
		}
		return e
	}},
	{"rotating another's key", roll.RuleRevokes, "not a current key of", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("new")
		return s.sign(&entry.KeyEvent{Action: entry.Rotate, Member: s.solo.Domain, PublicKey: line(k), Revokes: ref(s.publisher.Keys[0])}, s.solo, ks{s.solo.Keys[0], k})
	}},
	{"rotating a recovery key", roll.RuleRevokes, "not a current key of", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("new")
		return s.sign(&entry.KeyEvent{Action: entry.Rotate, Member: s.two.Domain, PublicKey: line(k), Revokes: ref(s.two.Recovery[0])}, s.two, append(slices.Clone(s.two.Keys), k))
	}},
	{"rotating by half the quorum", roll.RuleQuorum, "where it takes 2", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("new")
		return s.sign(&entry.KeyEvent{Action: entry.Rotate, Member: s.two.Domain, PublicKey: line(k), Revokes: ref(s.two.Keys[1])}, s.two, ks{s.two.Keys[0], k})
	}},
	{"rotating with a suspended key", roll.RuleKey, "was suspended", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("new")
		return s.sign(&entry.KeyEvent{Action: entry.Rotate, Member: s.pair.Domain, PublicKey: line(k), Revokes: ref(s.pair.Keys[0])}, s.pair, append(slices.Clone(s.pair.Keys), k))
	}},
	{"rotating, compromised in the future", roll.RuleCompromised, "in the future", byOperator, func(s *scene) *entry.Entry {
		k := rolltest.NewKey("new")
		return s.sign(&entry.KeyEvent{Action: entry.Rotate, Member: s.solo.Domain, PublicKey: line(k), Revokes: ref(s.solo.Keys[0]), CompromisedAfter: at(s.State.Size() + 1)}, s.solo, ks{s.solo.Keys[0], k})
	}},
	{"revoking another's key", roll.RuleRevokes, "not one of", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.solo.Domain, Revokes: ref(s.publisher.Keys[0])}, s.solo, nil)
	}},
	{"revoking by another member", roll.RuleSigner, "nobody but", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.solo.Domain, Revokes: ref(s.solo.Keys[0])}, s.publisher, nil)
	}},
	{"revoking by the operator's key", roll.RuleKey, "not a key of the member", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.solo.Domain, Revokes: ref(s.solo.Keys[0])}, s.solo, s.op.Keys[:1])
	}},
	{"revoking twice", roll.RuleRevokes, "was revoked by", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.broken.Domain, Revokes: ref(s.broken.Keys[0])}, s.broken, s.broken.Keys[1:2])
	}},
	{"revoking by another key without quorum", roll.RuleQuorum, "where it takes 2 or a recovery key", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.two.Domain, Revokes: ref(s.two.Keys[1])}, s.two, s.two.Keys[:1])
	}},
	{"revoking with a suspended key beside", roll.RuleKey, "was suspended", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.pair.Domain, Revokes: ref(s.pair.Keys[1])}, s.pair, nil)
	}},
	{"a key says of itself that it is compromised", roll.RuleCompromised, "a key alone", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.two.Domain, Revokes: ref(s.two.Keys[0]), CompromisedAfter: at(1)}, s.two, s.two.Keys[:1])
	}},
	{"a suspended key says of itself that it is compromised", roll.RuleCompromised, "a key alone", byOperator, func(s *scene) *entry.Entry {
		s.Do(&entry.KeyEvent{Action: entry.Suspend, Member: s.solo.Domain, Revokes: ref(s.solo.Keys[0])}, s.op)
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.solo.Domain, Revokes: ref(s.solo.Keys[0]), CompromisedAfter: at(1)}, s.solo, nil)
	}},
	{"a suspended key and another are no quorum", roll.RuleCompromised, "a key alone", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.pair.Domain, Revokes: ref(s.pair.Keys[0]), CompromisedAfter: at(1)}, s.pair, nil)
	}},
	{"compromised in the future", roll.RuleCompromised, "in the future", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.two.Domain, Revokes: ref(s.two.Keys[0]), CompromisedAfter: at(s.State.Size() + 1)}, s.two, nil)
	}},
	{"compromised later than said before", roll.RuleCompromised, "from entry 5 on", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.broken.Domain, Revokes: ref(s.broken.Keys[0]), CompromisedAfter: at(5)}, s.broken, s.broken.Keys[1:2])
	}},
	{"a thief strands a member", roll.RuleQuorum, "below its quorum for ever", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.pair.Domain, Revokes: ref(s.pair.Keys[1])}, s.pair, s.pair.Keys[1:])
	}},
	{"a thief strands a member by its suspended key", roll.RuleQuorum, "below its quorum for ever", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.pair.Domain, Revokes: ref(s.pair.Keys[0])}, s.pair, s.pair.Keys[:1])
	}},
	{"a thief strands a member of which another key is suspended", roll.RuleQuorum, "below its quorum for ever", byOperator, func(s *scene) *entry.Entry {
		o := s.suspended(3, 0)
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: o.Domain, Revokes: ref(o.Keys[2])}, o, o.Keys[2:])
	}},
	{"revoking a recovery key by the quorum alone", roll.RuleQuorum, "another recovery key", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.two.Domain, Revokes: ref(s.two.Recovery[0])}, s.two, nil)
	}},
	{"revoking a recovery key by another alone", roll.RuleQuorum, "another recovery key", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.two.Domain, Revokes: ref(s.two.Recovery[0])}, s.two, s.two.Recovery[1:])
	}},
	{"a recovery key and the quorum say that it is compromised", roll.RuleCompromised, "a key alone", byOperator, func(s *scene) *entry.Entry {
		return s.sign(&entry.KeyEvent{Action: entry.Revoke, Member: s.two.Domain, Revokes: ref(s.two.Recovery[0]), CompromisedAfter: at(1)}, s.two, append(slices.Clone(s.two.Keys), s.two.Recovery[0]))
	}},

	// Signatures.
	{"a signature of another text", roll.RuleSignature, "signature line 1", byOperator, func(s *scene) *entry.Entry {
		e, other := s.endorse(s.two, nil), s.endorse(s.two, nil, func(b *entry.Endorsement) { b.Statement = s.closed })
		e.Signatures = other.Signatures
		return e
	}},
	{"signatures in another order", roll.RuleSignature, "signature line 1", byOperator, func(s *scene) *entry.Entry {
		e := s.endorse(s.two, nil)
		slices.Reverse(e.Signatures)
		return e
	}},
	{"one signature twice", roll.RuleSignature, "signature line 2", byOperator, func(s *scene) *entry.Entry {
		e := s.endorse(s.two, nil)
		e.Signatures[1] = e.Signatures[0]
		return e
	}},
	{"another member's signature", roll.RuleSignature, "signature line 1", byOperator, func(s *scene) *entry.Entry {
		e := s.endorse(s.two, nil)
		e.Signatures[0].Sig = s.solo.Keys[0].Sign(e.Text())
		return e
	}},
	{"a wrong key ID", roll.RuleSignature, "signature line 2", byOperator, func(s *scene) *entry.Entry {
		e := s.endorse(s.two, nil)
		e.Signatures[1].KeyID++
		return e
	}},
	{"a voucher's signature fails", roll.RuleSignature, "signature line 2", byOperator, func(s *scene) *entry.Entry {
		e := s.register(rolltest.NewOrg("new.example", 1, 0, 1), []*rolltest.Org{s.solo})
		e.Signatures[1].Sig = s.publisher.Keys[0].Sign(e.Text())
		return e
	}},
	{"a new key's signature fails", roll.RuleSignature, "signature line 3", byOperator, func(s *scene) *entry.Entry {
		e := s.register(rolltest.NewOrg("new.example", 2, 0, 1), nil)
		e.Signatures[2].Sig = e.Signatures[1].Sig
		return e
	}},
	{"a voucher alone signs", roll.RuleSignature, "signature line 2", byOperator, func(s *scene) *entry.Entry {
		e := s.register(rolltest.NewOrg("new.example", 1, 0, 1), nil)
		e.Signatures[1].Sig = s.op.Keys[0].Sign(e.Text())
		return e
	}},
}

// mixed is pаypal.example with a Cyrillic а.
const mixed = "xn--pypal-4ve.example"

// forge signs like rolltest.Sign, and with a signature that the weak key takes.
func forge(e *entry.Entry) *entry.Entry {
	text := e.Text()
	e.Signatures = nil
	for _, n := range e.Named() {
		sig := entry.Signature{Name: n.Domain, Sig: append([]byte{1}, make([]byte, 63)...)}
		if k := rolltest.Find(n.Ref); k != nil {
			sig.KeyID, sig.Sig = k.Public.NoteKeyID(n.Domain), k.Sign(text)
		}
		e.Signatures = append(e.Signatures, sig)
	}
	return e
}

// TestRefusals breaks every rule on every branch, with and without signatures
// checked before. A refusal leaves no trace.
func TestRefusals(t *testing.T) {
	seen := map[roll.Rule]bool{}
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			s, clean := newScene(t, c.admission), newScene(t, c.admission)
			e := c.entry(s)
			c.entry(clean)
			leaf := s.Leaf(e)
			l, err := entry.ParseLeaf(leaf)
			if c.rule == roll.RuleSyntax {
				if err == nil {
					t.Fatal("it parses")
				}
			} else if err != nil {
				t.Fatalf("it does not parse: %v\n%s", err, leaf)
			} else {
				for _, sigs := range []*roll.Signatures{nil, s.State.CheckSignatures(l.Entry), s.State.CheckSignatures(clean.Registration(rolltest.NewOrg("x.example", 2, 2, 1)))} {
					checkRefusal(t, s.State.Admit(l, sigs), c.rule, c.detail)
					if !reflect.DeepEqual(s.State, clean.State) {
						t.Fatal("Admit left a trace")
					}
				}
			}
			size := s.State.Size()
			checkRefusal(t, s.State.Apply(size, leaf), c.rule, c.detail)
			if s.State.Size() != size+1 {
				t.Errorf("Apply moved the size from %d to %d", size, s.State.Size())
			}
			s.State.Rewind()
			if !reflect.DeepEqual(s.State, clean.State) {
				t.Error("Apply left a trace")
			}
		})
		seen[c.rule] = true
	}
	for _, rule := range []roll.Rule{
		roll.RuleSyntax, roll.RuleLedger, roll.RuleGenesis, roll.RuleAdmitted, roll.RuleDate, roll.RulePrevious, roll.RuleSigner, roll.RuleMember,
		roll.RuleStatement, roll.RuleOpen, roll.RuleRendition, roll.RuleSupersede, roll.RuleCloses, roll.RuleEndorsed, roll.RuleAfter,
		roll.RuleKey, roll.RulePossession, roll.RuleQuorum, roll.RuleRecovery, roll.RuleRevokes, roll.RuleCompromised, roll.RuleKeyLimit,
		roll.RuleKeyReuse, roll.RuleVoucher, roll.RuleAdmission, roll.RuleName, roll.RuleLookAlike, roll.RuleWeakKey, roll.RuleSignature,
	} {
		if !seen[rule] {
			t.Errorf("nothing breaks the rule %s", rule)
		}
	}
}

func checkRefusal(t *testing.T, err error, rule roll.Rule, detail string) {
	t.Helper()
	var refused *roll.Inadmissible
	switch {
	case !errors.As(err, &refused):
		t.Errorf("got %v, want a refusal by the rule %s", err, rule)
	case refused.Rule != rule || !strings.Contains(refused.Detail, detail):
		t.Errorf("got %v, want the rule %s and %q", err, rule, detail)
	}
}
