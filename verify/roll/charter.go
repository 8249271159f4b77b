package roll

import (
	"slices"
	"strings"

	"github.com/tccm/undersigned/verify/entry"
)

// charter judges entry 0 and amendments.
func (t *trial) charter(c *entry.Charter) (func(), error) {
	var kept []*key
	var err error
	if t.e.Genesis {
		err = t.genesis(c)
	} else {
		kept, err = t.amendment(c)
	}
	if err != nil {
		return nil, err
	}
	own, err := t.domain(c.Operator)
	if err != nil {
		return nil, err
	}
	return func() {
		s := t.s
		operator := strings.Clone(c.Operator)
		if s.charter != nil {
			for _, k := range s.charter.keys {
				k.current = false
			}
		}
		for _, k := range kept {
			k.current = true
		}
		fresh := t.enrol(operator, OperatorKey, 0, len(t.fresh))
		now := &charter{
			Mark: t.Mark, id: t.id, title: strings.Clone(c.Title), operator: operator,
			admission: c.Admission, roll: strings.Clone(c.Roll),
		}
		for _, domain := range c.Publishers {
			now.publishers = append(now.publishers, strings.Clone(domain))
		}
		for _, line := range c.PublicKeys { // in their order
			ref := line.Ref()
			same := func(k *key) bool { return k.ref == ref }
			if i := slices.IndexFunc(kept, same); i >= 0 {
				now.keys = append(now.keys, kept[i])
			} else {
				now.keys = append(now.keys, fresh[slices.IndexFunc(fresh, same)])
			}
		}
		s.claims.takeDomain(operator, own)
		s.charter = now
		if !slices.Contains(s.operated, operator) {
			s.operated = append(s.operated, operator)
		}
	}, nil
}

func (t *trial) genesis(c *entry.Charter) error {
	switch {
	case t.e.Signer != c.Operator:
		return t.refuse(RuleSigner, "the first charter is signed by the operator that it names")
	case len(c.Vouchers) > 0:
		return t.refuse(RuleVoucher, "nobody is there yet to vouch for the first charter")
	}
	if err := t.signedByAll(c.PublicKeys); err != nil {
		return err
	}
	return t.bring(c.PublicKeys, c.Operator, OperatorKey)
}

// signedByAll refuses the entry unless its key lines are these keys, in this
// order.
func (t *trial) signedByAll(lists ...[]entry.PublicKey) error {
	rest := t.e.Keys
	for _, lines := range lists {
		for _, line := range lines {
			if len(rest) == 0 || rest[0] != line.Ref() {
				return t.refuse(RulePossession, "the key lines are not the keys to register, all of them and in their order")
			}
			rest = rest[1:]
		}
	}
	if len(rest) > 0 {
		return t.refuse(RulePossession, "the key lines are not the keys to register, all of them and in their order")
	}
	return nil
}

// under reports whether a domain is below another.
func under(domain, other string) bool {
	n := len(domain) - len(other)
	return n > 0 && domain[n-1] == '.' && strings.HasSuffix(domain, other)
}

// amendment returns those of the operator's keys that the amendment keeps.
func (t *trial) amendment(c *entry.Charter) (kept []*key, err error) {
	now := t.s.charter
	if t.e.Signer != now.operator {
		return nil, t.refuse(RuleSigner, "only the operator %s amends the charter", now.operator)
	}
	var others []entry.PublicKey
	for _, line := range c.PublicKeys {
		if ref := line.Ref(); c.Operator == now.operator && t.operatorKey(ref) {
			kept = append(kept, t.s.known(ref))
		} else {
			others = append(others, line)
		}
	}
	if err := t.bring(others, c.Operator, OperatorKey); err != nil {
		return nil, err
	}
	for _, ref := range t.e.Keys {
		if !t.operatorKey(ref) && !t.brings(ref) {
			return nil, t.refuse(RuleKey, "the key %s is neither one of the operator's nor a new one", ref)
		}
	}
	for _, k := range now.keys {
		if !slices.Contains(t.e.Keys, k.ref) {
			return nil, t.refuse(RuleQuorum, "the operator's key %s does not sign", k.ref)
		}
	}
	if err := t.possession(); err != nil {
		return nil, err
	}
	found, err := t.vouchers(c.Vouchers, now.operator, false)
	if err != nil {
		return nil, err
	}
	// The operator amends, so its own membership is no second opinion: all found
	// are other members.
	electorate := t.s.joined
	if m := t.s.members[now.operator]; m != nil && !m.left {
		electorate--
	}
	if need := min(now.admission.Vouched, electorate); len(found) < need {
		return nil, t.refuse(RuleAdmission, "%s for the amendment where it takes %d", vouch(len(found), "member"), need)
	}
	if c.Operator == now.operator {
		return kept, nil
	}
	// Without this, an operator could speak in a member's name by taking its domain, and make a member its own by taking one above or below it.
	for _, m := range t.s.ordered {
		related := m.domain == c.Operator || !m.left && (under(m.domain, c.Operator) || under(c.Operator, m.domain))
		if related && m.domain != now.operator && !slices.ContainsFunc(found, func(v voucher) bool { return v.domain == m.domain }) {
			return nil, t.refuse(RuleVoucher, "the member %s is %s, or above or below it, which becomes the operator, and does not vouch for it", m.domain, c.Operator)
		}
	}
	return kept, nil
}
