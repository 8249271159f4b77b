package roll

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// Bounds on the days between an entry's date and its admission, both UTC.
const (
	minDays = -1
	maxDays = 30
)

// A trial is the judging of one entry. It only reads the state: what an
// admissible entry changes is done by the function that judge returns.
type trial struct {
	Mark
	s     *State
	e     *entry.Entry
	chain []byte // that came with it; empty: none
	id    entry.Hash
	sigs  *Signatures // of this entry, or nil
	fresh []freshKey  // keys that the entry registers
}

// A freshKey is a key that the entry under trial registers.
type freshKey struct {
	line   entry.PublicKey
	ref    keys.Ref
	known  *key            // from an earlier registration; nil: the first
	public *keys.PublicKey // nil until signatures has parsed it
}

func (t *trial) refuse(rule Rule, format string, args ...any) error {
	return &Inadmissible{t.Index, rule, fmt.Sprintf(format, args...)}
}

// judge returns what the entry changes, or the first rule that it breaks.
func (t *trial) judge(sigs *Signatures) (commit func(), err error) {
	s, e := t.s, t.e
	if e == nil || e.Body == nil {
		return nil, t.refuse(RuleSyntax, "the leaf has no entry")
	}
	if t.Admitted.Nanosecond()%int(time.Millisecond) != 0 {
		return nil, t.refuse(RuleSyntax, "admitted is not in whole milliseconds")
	}
	if year := t.Admitted.Year(); year < 1970 || year > 9999 {
		return nil, t.refuse(RuleSyntax, "admitted is not in the years 1970 to 9999")
	}
	if len(t.chain) > 0 && !e.TakesChain() {
		return nil, t.refuse(RuleSyntax, "a DNSSEC chain comes with it, and can be about nothing in it")
	}
	t.id = e.ID()
	if sigs != nil && sigs.id == t.id {
		t.sigs = sigs
	}
	if e.Ledger != s.origin {
		return nil, t.refuse(RuleLedger, "the entry is meant for another ledger")
	}
	first := t.Index == 0
	switch {
	case first && (!e.Genesis || e.Body.Kind() != entry.KindCharter):
		return nil, t.refuse(RuleGenesis, "entry 0 is a charter without a previous line")
	case !first && e.Genesis:
		return nil, t.refuse(RuleGenesis, "only entry 0 has no previous line")
	case !first && s.charter == nil:
		return nil, t.refuse(RuleGenesis, "entry 0 is not an admissible charter, so nobody may say anything")
	}
	if s.charter != nil && t.Admitted.UnixMilli() < s.admitted {
		return nil, t.refuse(RuleAdmitted, "it is admitted before the entry before it, of %s", entry.FormatTime(time.UnixMilli(s.admitted).UTC()))
	}
	switch b := e.Body.(type) {
	case *entry.Roll:
		return t.roll(b)
	case *entry.Evidence:
		if b.Type == entry.DNSSEC {
			return t.domainWord(b)
		}
		return t.evidence(b)
	}
	date, err := time.Parse(time.DateOnly, e.Date)
	if err != nil {
		return nil, t.refuse(RuleSyntax, "the date is not a date")
	}
	if days := unixDay(t.Admitted) - unixDay(date); days < minDays || days > maxDays {
		return nil, t.refuse(RuleDate, "it is dated %s and admitted on %s: at most %d days may lie between, or %d the other way round",
			e.Date, t.Admitted.Format(time.DateOnly), maxDays, -minDays)
	}
	switch last, ok := s.previous(e); {
	case ok && e.Previous == nil:
		return nil, t.refuse(RulePrevious, "it names no previous entry, the last on the subject is %s", last)
	case ok && *e.Previous != last:
		return nil, t.refuse(RulePrevious, "it names %s as previous, the last on the subject is %s", *e.Previous, last)
	case !ok && e.Previous != nil:
		return nil, t.refuse(RulePrevious, "it names %s as previous, but is the first on its subject", *e.Previous)
	}
	switch b := e.Body.(type) {
	case *entry.Charter:
		commit, err = t.charter(b)
	case *entry.Statement:
		commit, err = t.statement(b)
	case *entry.Membership:
		commit, err = t.membership(b)
	case *entry.Endorsement:
		commit, err = t.endorsement(b)
	case *entry.KeyEvent:
		commit, err = t.keyEvent(b)
	default:
		return nil, t.refuse(RuleSyntax, "the entry is of no kind")
	}
	if err != nil {
		return nil, err
	}
	if err := t.signatures(); err != nil {
		return nil, err
	}
	if len(t.chain) > 0 {
		return t.attached(commit)
	}
	return commit, nil
}

// unixDay returns the number of the UTC day since 1970-01-01, of a time not before it.
func unixDay(at time.Time) int64 { return at.Unix() / 86400 }

// previous returns the last admitted ID on e's subject.
func (s *State) previous(e *entry.Entry) (entry.Hash, bool) {
	ofMember := func(domain string) (entry.Hash, bool) {
		if m := s.members[domain]; m != nil {
			return m.lastID, true
		}
		return entry.Hash{}, false
	}
	switch b := e.Body.(type) {
	case *entry.Charter:
		if s.charter != nil {
			return s.charter.id, true
		}
	case *entry.Statement:
		if st := s.statements[b.Statement]; st != nil {
			return st.lastID, true
		}
	case *entry.Membership:
		return ofMember(b.Member)
	case *entry.KeyEvent:
		return ofMember(b.Member)
	case *entry.Endorsement:
		m, st := s.members[e.Signer], s.statements[b.Statement]
		if m != nil && st != nil {
			if _, r := s.standings.find(m.id, st.id); r != nil {
				return r.id, true
			}
		}
	}
	return entry.Hash{}, false
}

// known returns the registered key that ref names, nil if there is none.
func (s *State) known(ref keys.Ref) *key {
	if k := s.keys[ref.Fingerprint]; k != nil && k.ref == ref {
		return k
	}
	return nil
}

// bring takes lines of keys that the entry registers for domain in a role, and
// refuses those that ever served otherwise or were revoked. Whether they are
// sound is looked at with their signatures, because it may cost as much.
func (t *trial) bring(lines []entry.PublicKey, domain string, role Role) error {
	for _, line := range lines {
		f := freshKey{line: line, ref: line.Ref()}
		if k := t.s.keys[f.ref.Fingerprint]; k != nil {
			switch {
			case k.ref != f.ref:
				return t.refuse(RuleKeyReuse, "the key %s serves the suite %s", f.ref.Fingerprint, k.ref.Suite)
			case k.domain != domain:
				return t.refuse(RuleKeyReuse, "the key %s is the %s of %s", f.ref, k.role, k.domain)
			case k.role != role:
				return t.refuse(RuleKeyReuse, "the key %s is a %s and cannot become a %s", f.ref, k.role, role)
			case k.revoked:
				return t.refuse(RuleKeyReuse, "the key %s was revoked by entry %d", f.ref, k.revokedAt)
			case k.current && !t.formerly(k):
				return t.refuse(RuleKeyReuse, "the key %s is registered already", f.ref)
			}
			f.known, f.public = k, k.public
		}
		t.fresh = append(t.fresh, f)
	}
	return nil
}

// formerly reports whether k is the key of a member that has left.
func (t *trial) formerly(k *key) bool {
	m := t.s.members[k.domain]
	return k.role != OperatorKey && m != nil && m.left
}

// brings reports whether ref is one of the keys that the entry registers.
func (t *trial) brings(ref keys.Ref) bool {
	return slices.ContainsFunc(t.fresh, func(f freshKey) bool { return f.ref == ref })
}

// possession refuses the entry unless each key that it registers is among its
// key lines.
func (t *trial) possession() error {
	for _, f := range t.fresh {
		if !slices.Contains(t.e.Keys, f.ref) {
			return t.refuse(RulePossession, "the new key %s does not sign", f.ref)
		}
	}
	return nil
}

// enrol puts the keys that the entry registers into the state, from the first
// to the last of t.fresh, and returns those in [from, to).
// Domains passed to it are kept.
func (t *trial) enrol(domain string, role Role, from, to int) []*key {
	var enrolled []*key
	for _, f := range t.fresh[from:to] {
		k := f.known
		if k == nil {
			k = &key{id: uint32(len(t.s.keysByID)), public: f.public, ref: f.public.Ref(), domain: domain, role: role}
			t.s.keysByID = append(t.s.keysByID, k)
			t.s.lookup.Lock()
			t.s.keys[f.ref.Fingerprint] = k
			t.s.lookup.Unlock()
		}
		if m, n := t.s.members[domain], len(k.registered); n > 0 && m != nil && k.registered[n-1] < m.registered.Index {
			k.published = nil // that was of an earlier registration
		}
		k.registered = append(k.registered, t.Index)
		k.current, k.suspended, k.suspendedAt = true, false, 0
		enrolled = append(enrolled, k)
	}
	return enrolled
}

// Who may sign an entry of a member beside its own current, unsuspended keys.
type also uint8

const (
	suspendedKeys also = 1 << iota
	recoveryKeys
)

// A count says how many key lines are of which of the member's current keys.
type count struct {
	keys     int
	recovery int
}

// signers counts the key lines, all of which must be keys of m that may sign
// this entry, or keys that it registers, or the one key itself that it is about.
func (t *trial) signers(m *member, others also, itself *key) (count, error) {
	var n count
	for _, ref := range t.e.Keys {
		if t.brings(ref) {
			continue
		}
		k := t.s.known(ref)
		switch {
		case k == nil:
			return n, t.refuse(RuleKey, "the key %s is not registered", ref)
		case k.domain != m.domain || k.role == OperatorKey:
			return n, t.refuse(RuleKey, "the key %s is not a key of the member %s", ref, m.domain)
		case k.revoked:
			return n, t.refuse(RuleKey, "the key %s was revoked by entry %d", ref, k.revokedAt)
		case !k.current:
			return n, t.refuse(RuleKey, "the key %s is no longer one of %s", ref, m.domain)
		case k.role == RecoveryKey:
			if others&recoveryKeys == 0 && k != itself {
				return n, t.refuse(RuleKey, "the key %s is a recovery key and cannot say this", ref)
			}
			n.recovery++
		case k.suspended:
			if others&suspendedKeys == 0 && k != itself {
				return n, t.refuse(RuleKey, "the key %s was suspended by entry %d", ref, k.suspendedAt)
			}
			if others&suspendedKeys != 0 {
				n.keys++
			}
		default:
			n.keys++
		}
	}
	return n, nil
}

// quorum refuses the entry unless n reaches the quorum of m, or holds a recovery
// key where one alone will do.
func (t *trial) quorum(m *member, n count, recoveryWillDo bool) error {
	switch {
	case n.keys >= m.quorum, recoveryWillDo && n.recovery > 0:
		return nil
	case recoveryWillDo:
		return t.refuse(RuleQuorum, "%d of the keys of %s sign where it takes %d or a recovery key", n.keys, m.domain, m.quorum)
	}
	return t.refuse(RuleQuorum, "%d of the keys of %s sign where it takes %d", n.keys, m.domain, m.quorum)
}

// member returns the signer's record if it is a member now.
func (t *trial) member() (*member, error) {
	m := t.s.members[t.e.Signer]
	switch {
	case m == nil:
		return nil, t.refuse(RuleMember, "%s is not a member", t.e.Signer)
	case m.left:
		return nil, t.refuse(RuleMember, "%s left with entry %d", m.domain, m.leftAt.Index)
	}
	return m, nil
}

// byOperator reports whether the operator signs, with its own keys alone. If its
// domain is a member too, the keys say as which of the two it speaks.
func (t *trial) byOperator() bool {
	c := t.s.charter
	return t.e.Signer == c.operator && !slices.ContainsFunc(t.e.Keys, func(ref keys.Ref) bool { return !t.operatorKey(ref) })
}

// operatorKey reports whether ref names one of the operator's current keys.
func (t *trial) operatorKey(ref keys.Ref) bool {
	k := t.s.known(ref)
	return k != nil && k.role == OperatorKey && k.current
}

// current counts the keys that are current.
func current(ks []*key) int {
	n := 0
	for _, k := range ks {
		if k.current {
			n++
		}
	}
	return n
}

// vouchers checks each voucher line and returns who vouches, sorted by domain.
// A line is of a current operator key, or of a current and unsuspended key of a
// member, of which a quorum must vouch together. Nobody vouches for subject, the
// domain that the entry is about, in its own name, except that the operator's
// keys may admit the operator's domain.
func (t *trial) vouchers(lines []entry.Named, subject string, admitsItself bool) ([]voucher, error) {
	var found []voucher
	of := func(k *key) *voucher {
		i := slices.IndexFunc(found, func(v voucher) bool { return v.domain == k.domain })
		if i < 0 {
			i = len(found)
			found = append(found, voucher{domain: k.domain, index: t.Index})
		}
		found[i].keys = append(found[i].keys, k)
		return &found[i]
	}
	signed := make(map[string]int)
	for _, line := range lines {
		if t.operatorKey(line.Ref) && line.Domain == t.s.charter.operator && (line.Domain != subject || admitsItself) {
			of(t.s.known(line.Ref)).operator = true
			continue
		}
		m, k := t.s.members[line.Domain], t.s.known(line.Ref)
		switch {
		case line.Domain == subject:
			return nil, t.refuse(RuleVoucher, "%s vouches for itself", line.Domain)
		case m == nil || m.left:
			return nil, t.refuse(RuleVoucher, "the voucher %s is not a member", line.Domain)
		case k == nil || k.domain != line.Domain || k.role != MemberKey || !k.current:
			return nil, t.refuse(RuleVoucher, "the key %s is not a current key of the voucher %s", line.Ref, line.Domain)
		case k.suspended:
			return nil, t.refuse(RuleVoucher, "the key %s of the voucher %s was suspended by entry %d", line.Ref, line.Domain, k.suspendedAt)
		}
		signed[line.Domain]++
		of(k).member = true
	}
	for _, v := range found {
		if m := t.s.members[v.domain]; v.member && signed[v.domain] < m.quorum {
			return nil, t.refuse(RuleVoucher, "%d of the keys of %s vouch where it takes %d", signed[v.domain], v.domain, m.quorum)
		}
	}
	slices.SortStableFunc(found, func(a, b voucher) int { return cmp.Compare(a.domain, b.domain) })
	return found, nil
}
