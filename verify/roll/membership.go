package roll

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tccm/undersigned/verify/entry"
)

// membership judges registrations, updates and leaving.
func (t *trial) membership(b *entry.Membership) (func(), error) {
	if t.e.Signer != b.Member {
		return nil, t.refuse(RuleSigner, "nobody but %s itself signs this", b.Member)
	}
	if b.Action == entry.Register {
		return t.register(b)
	}
	m, err := t.member()
	if err != nil {
		return nil, err
	}
	if b.Action == entry.Update {
		return t.update(m, b)
	}
	return t.leave(m)
}

func (t *trial) register(b *entry.Membership) (func(), error) {
	s := t.s
	old := s.members[b.Member]
	if old != nil && !old.left {
		return nil, t.refuse(RuleMember, "%s is a member since entry %d", b.Member, old.registered.Index)
	}
	if err := t.signedByAll(b.PublicKeys, b.RecoveryKeys); err != nil {
		return nil, err
	}
	if b.Quorum < 1 || b.Quorum > len(b.PublicKeys) {
		return nil, t.refuse(RuleQuorum, "a quorum of %d is out of reach with %d keys", b.Quorum, len(b.PublicKeys))
	}
	named, err := t.names(b)
	if err != nil {
		return nil, err
	}
	domain, err := t.domain(b.Member)
	if err != nil {
		return nil, err
	}
	vouchers, err := t.vouchers(b.Vouchers, b.Member, true)
	if err != nil {
		return nil, err
	}
	if err := t.admission(vouchers); err != nil {
		return nil, err
	}
	if err := t.bring(b.PublicKeys, b.Member, MemberKey); err != nil {
		return nil, err
	}
	if err := t.bring(b.RecoveryKeys, b.Member, RecoveryKey); err != nil {
		return nil, err
	}
	return func() {
		m := old
		if m == nil {
			m = &member{id: uint32(len(s.ordered)), domain: strings.Clone(b.Member)}
			s.members[m.domain] = m
			s.ordered = append(s.ordered, m)
			s.claims.takeDomain(m.domain, domain)
		}
		if old != nil {
			m.former = append(m.former, former{t.Index, m.name, m.legalName})
		}
		s.claims.leaveNames(looks(m.name, m.legalName))
		s.claims.takeNames(m.domain, named)
		for _, k := range m.keys {
			k.current = false
		}
		for _, k := range m.recovery {
			k.current = false
		}
		m.registered, m.updated, m.named = t.Mark, t.Mark, t.Mark
		n := len(b.PublicKeys)
		m.keys = t.enrol(m.domain, MemberKey, 0, n)
		m.recovery = t.enrol(m.domain, RecoveryKey, n, len(t.fresh))
		m.name, m.legalName, m.quorum, m.vouchers = strings.Clone(b.Name), strings.Clone(b.LegalName), b.Quorum, vouchers
		m.left, m.leftAt = false, Mark{}
		s.joined++
		t.record(m, Event{Action: b.Action})
	}, nil
}

// admission refuses a registration for which not enough domains vouch, or without a
// chain where the charter asks for one. What the chain shows is looked at last (attached).
func (t *trial) admission(vouchers []voucher) error {
	c, subject := t.s.charter, t.e.Signer
	operator, others := false, 0
	for _, v := range vouchers {
		operator = operator || v.operator
		if v.domain != subject {
			others++
		}
	}
	if !operator && (c.admission.Operator || subject == c.operator) {
		return t.refuse(RuleAdmission, "the operator does not vouch")
	}
	// Members count whether they can vouch or not: could the operator lower the
	// number by suspending keys, it would admit alone.
	electorate := t.s.joined
	if m := t.s.members[c.operator]; subject != c.operator && (m == nil || m.left) {
		electorate++
	}
	if need := min(c.admission.Vouched, electorate); others < need {
		return t.refuse(RuleAdmission, "%s where it takes %d", vouch(others, "domain"), need)
	}
	if c.admission.DNSSEC && len(t.chain) == 0 {
		return t.refuse(RuleAdmission, "no DNSSEC chain comes with it, which shows that %s itself publishes its keys", subject)
	}
	return nil
}

// vouch says how many vouch.
func vouch(n int, who string) string {
	if n == 1 {
		return "1 " + who + " vouches"
	}
	return fmt.Sprintf("%d %ss vouch", n, who)
}

func (t *trial) update(m *member, b *entry.Membership) (func(), error) {
	var kept []*key
	var others []entry.PublicKey
	for _, line := range b.RecoveryKeys {
		if k := t.s.known(line.Ref()); k != nil && k.current && k.role == RecoveryKey && k.domain == m.domain {
			kept = append(kept, k)
		} else {
			others = append(others, line)
		}
	}
	had := current(m.recovery)
	changes := b.Quorum != m.quorum || len(others) > 0 || len(kept) != had
	if err := t.bring(others, m.domain, RecoveryKey); err != nil {
		return nil, err
	}
	n, err := t.signers(m, recoveryKeys, nil)
	if err != nil {
		return nil, err
	}
	if err := t.quorum(m, n, false); err != nil {
		return nil, err
	}
	if changes && had > 0 && n.recovery == 0 {
		return nil, t.refuse(RuleRecovery, "quorum or recovery keys change, and no recovery key of %s signs", m.domain)
	}
	if err := t.possession(); err != nil {
		return nil, err
	}
	if have := current(m.keys); b.Quorum < 1 || b.Quorum > have {
		return nil, t.refuse(RuleQuorum, "a quorum of %d is out of reach with %d keys", b.Quorum, have)
	}
	named, err := t.names(b)
	if err != nil {
		return nil, err
	}
	vouchers, err := t.vouchers(b.Vouchers, m.domain, false)
	if err != nil {
		return nil, err
	}
	return func() {
		s := t.s
		s.claims.leaveNames(looks(m.name, m.legalName))
		s.claims.takeNames(m.domain, named)
		for _, k := range m.recovery {
			k.current = false
		}
		for _, k := range kept {
			k.current = true
		}
		for _, k := range t.enrol(m.domain, RecoveryKey, 0, len(t.fresh)) {
			if !slices.Contains(m.recovery, k) {
				m.recovery = append(m.recovery, k)
			}
		}
		if m.name != b.Name || m.legalName != b.LegalName {
			m.named = t.Mark
		}
		m.name, m.legalName, m.quorum, m.updated = strings.Clone(b.Name), strings.Clone(b.LegalName), b.Quorum, t.Mark
		for _, v := range vouchers {
			m.vouchers = slices.DeleteFunc(m.vouchers, func(old voucher) bool { return old.domain == v.domain })
		}
		m.vouchers = append(m.vouchers, vouchers...)
		slices.SortStableFunc(m.vouchers, func(a, b voucher) int { return cmp.Compare(a.domain, b.domain) })
		t.record(m, Event{Action: b.Action})
	}, nil
}

func (t *trial) leave(m *member) (func(), error) {
	n, err := t.signers(m, suspendedKeys|recoveryKeys, nil)
	if err != nil {
		return nil, err
	}
	if err := t.quorum(m, n, true); err != nil {
		return nil, err
	}
	return func() {
		m.left, m.leftAt = true, t.Mark
		t.s.joined--
		t.record(m, Event{Action: entry.Leave})
	}, nil
}

// record makes the entry the last about m.
func (t *trial) record(m *member, ev Event) {
	ev.Mark, ev.ID, ev.Signer = t.Mark, t.id, m.domain
	if t.e.Signer != m.domain {
		ev.Signer = t.s.charter.operator
	}
	for _, ref := range t.e.Keys {
		ev.Keys = append(ev.Keys, t.s.known(ref).ref)
	}
	m.lastID = t.id
	m.history = append(m.history, ev)
	t.s.trace(&ev)
}
