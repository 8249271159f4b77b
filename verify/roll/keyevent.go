package roll

import (
	"slices"

	"github.com/tccm/undersigned/verify/entry"
)

// keyEvent judges what happens to one key of a member.
func (t *trial) keyEvent(b *entry.KeyEvent) (func(), error) {
	m := t.s.members[b.Member]
	if m == nil {
		return nil, t.refuse(RuleMember, "%s is not a member", b.Member)
	}
	byOperator := b.Action == entry.Suspend && t.byOperator()
	switch {
	case t.e.Signer != b.Member && b.Action != entry.Suspend:
		return nil, t.refuse(RuleSigner, "nobody but %s itself signs this", b.Member)
	case t.e.Signer != b.Member && t.e.Signer != t.s.charter.operator:
		return nil, t.refuse(RuleSigner, "nobody but %s itself and the operator suspends its keys", b.Member)
	case t.e.Signer != b.Member && !byOperator:
		return nil, t.refuse(RuleKey, "a key line is not of the operator's keys")
	case m.left && b.Action != entry.Revoke:
		return nil, t.refuse(RuleMember, "%s left with entry %d", m.domain, m.leftAt.Index)
	}
	if b.Action == entry.Revoke {
		return t.revoke(m, b)
	}

	var target *key
	if b.Revokes != nil { // rotate, suspend
		target = t.s.known(*b.Revokes)
		switch {
		case target == nil || target.domain != m.domain || target.role != MemberKey || !target.current:
			return nil, t.refuse(RuleRevokes, "the key %s is not a current key of %s", *b.Revokes, m.domain)
		case b.Action == entry.Suspend && target.suspended:
			return nil, t.refuse(RuleRevokes, "the key %s was suspended by entry %d", *b.Revokes, target.suspendedAt)
		}
	}
	if b.PublicKey != nil { // add, rotate
		if err := t.bring([]entry.PublicKey{*b.PublicKey}, m.domain, MemberKey); err != nil {
			return nil, err
		}
		if b.Action == entry.Add && current(m.keys) >= entry.MaxKeys {
			return nil, t.refuse(RuleKeyLimit, "%s has %d keys already", m.domain, entry.MaxKeys)
		}
	}
	if err := t.compromise(b, target); err != nil {
		return nil, err
	}
	if !byOperator {
		n, err := t.signers(m, recoveryKeys, nil)
		if err != nil {
			return nil, err
		}
		if err := t.quorum(m, n, true); err != nil {
			return nil, err
		}
	}
	if err := t.possession(); err != nil {
		return nil, err
	}
	return func() {
		switch b.Action {
		case entry.Suspend:
			target.suspended, target.suspendedAt = true, t.Index
		case entry.Rotate:
			t.strike(target, b)
		}
		m.keys = append(m.keys, t.enrol(m.domain, MemberKey, 0, len(t.fresh))...)
		t.recordKey(m, b)
	}, nil
}

// revoke judges the revocation of any key of the member's latest registration.
func (t *trial) revoke(m *member, b *entry.KeyEvent) (func(), error) {
	target := t.s.known(*b.Revokes)
	if target == nil || !slices.Contains(m.keys, target) && !slices.Contains(m.recovery, target) {
		return nil, t.refuse(RuleRevokes, "the key %s is not one of %s", *b.Revokes, m.domain)
	}
	// A thief that revokes what it stole must not so prevent that its owner says
	// since when.
	if target.revoked && b.CompromisedAfter == nil {
		return nil, t.refuse(RuleRevokes, "the key %s was revoked by entry %d", *b.Revokes, target.revokedAt)
	}
	if err := t.compromise(b, target); err != nil {
		return nil, err
	}
	n, err := t.signers(m, recoveryKeys, target)
	if err != nil {
		return nil, err
	}
	itself := slices.Contains(t.e.Keys, target.ref)
	full := n.keys >= m.quorum || n.recovery > 0
	if target.role == RecoveryKey {
		if itself {
			n.recovery--
		}
		full = n.keys >= m.quorum && n.recovery > 0
	}
	switch {
	case full:
	case !itself && target.role == RecoveryKey:
		return nil, t.refuse(RuleQuorum, "a recovery key is revoked by itself, or by the quorum and another recovery key")
	case !itself:
		return nil, t.quorum(m, n, true)
	case b.CompromisedAfter != nil:
		return nil, t.refuse(RuleCompromised, "a key alone cannot say since when it is compromised")
	case target.role == MemberKey && current(m.recovery) == 0 && strands(m, target):
		return nil, t.refuse(RuleQuorum, "without it, %s would be below its quorum for ever", m.domain)
	}
	return func() {
		t.strike(target, b)
		t.recordKey(m, b)
	}, nil
}

// strands reports whether too few of m's keys would be left without target. Suspended
// ones bring no other key; but whoever loses one loses no voice by it, only what it
// takes to withdraw and to leave.
func strands(m *member, target *key) bool {
	others := 0
	for _, k := range m.keys {
		if k != target && k.current && (!k.suspended || target.suspended) {
			others++
		}
	}
	return others < m.quorum
}

// compromise checks a compromised-after index about target.
func (t *trial) compromise(b *entry.KeyEvent, target *key) error {
	switch after := b.CompromisedAfter; {
	case after == nil:
		return nil
	case *after > t.Index:
		return t.refuse(RuleCompromised, "compromised-after %d lies in the future", *after)
	case target.compromised && *after >= target.compromisedAfter:
		return t.refuse(RuleCompromised, "the key is known as compromised from entry %d on", target.compromisedAfter)
	}
	return nil
}

// strike revokes target.
func (t *trial) strike(target *key, b *entry.KeyEvent) {
	if !target.revoked {
		target.revoked, target.revokedAt, target.current = true, t.Index, false
	}
	if b.CompromisedAfter != nil {
		target.compromised, target.compromisedAfter = true, *b.CompromisedAfter
		t.s.doubt(target, target.compromisedAfter)
	}
}

func (t *trial) recordKey(m *member, b *entry.KeyEvent) {
	ev := Event{Action: b.Action}
	if b.PublicKey != nil {
		ev.Added = &t.s.known(b.PublicKey.Ref()).ref
	}
	if b.Revokes != nil {
		ev.About = &t.s.known(*b.Revokes).ref
	}
	t.record(m, ev)
}
