package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/verify/roll"
)

// What evidence there is that a key is its owner's, the strongest first.
const (
	ByMembers  = "vouched"  // members of the record vouched for the organization
	ByDNSSEC   = "dnssec"   // its domain itself published the keys that signed
	ByOperator = "operator" // the word of the record's operator
)

// OwnerEvidence is one reason to take the keys that signed for the organization's own.
type OwnerEvidence struct {
	Kind     string     `json:"kind"`
	Sentence string     `json:"sentence"`
	Counts   bool       `json:"counts"`            // it stands, and does not come down to the operator's word alone
	Domains  []string   `json:"domains,omitempty"` // who vouched
	Index    *uint64    `json:"index,omitempty"`   // of the entry that holds the newest vouching or the first chain
	Since    *time.Time `json:"since,omitempty"`   // when that was recorded
	Until    *time.Time `json:"until,omitempty"`   // ByDNSSEC: until when the last chain was valid
	Gone     *time.Time `json:"gone,omitempty"`    // ByDNSSEC: when a chain was recorded in which a key is missing
}

// Require is what a reader asks of the evidence for a key's owner.
type Require struct {
	Vouched int  // so many members, each of which rests on more than the operator's word; 0: not asked
	DNSSEC  bool // the domain published each key that signed
}

// ParseRequire reads "vouched:M" and "dnssec", with a comma between if both are asked for.
func ParseRequire(s string) (r Require, err error) {
	for part := range strings.SplitSeq(s, ",") {
		m, vouched := strings.CutPrefix(part, "vouched:")
		n, bad := strconv.Atoi(m)
		switch {
		case vouched && bad == nil && n >= 1 && n <= 99 && strconv.Itoa(n) == m && r.Vouched == 0:
			r.Vouched = n
		case part == "dnssec" && !r.DNSSEC:
			r.DNSSEC = true
		default:
			return Require{}, fmt.Errorf("what is required is vouched:M, dnssec or both with a comma between, each at most once")
		}
	}
	return r, nil
}

// lateChain is a chain in the record of which no quorum of witnesses says that it existed while it was valid.
type lateChain struct {
	domain string
	until  time.Time // it was valid
	held   time.Time // by when the first published copy that holds it existed
}

// sumChains finds the chains that the witnesses saw too late. That a chain is valid at its admission, the fold has made sure; an entry that says a
// wrong time is a finding of its own (between). What is left is that signatures may be forged once they have run out.
func (a *auditor) sumChains() {
	if a.report.State == nil {
		return
	}
	a.report.late = map[uint64]lateChain{}
	for domain, c := range a.report.State.Chains() {
		if held, ok := a.held(c.Index); ok && held.After(c.NotAfter.Add(slack)) {
			a.report.late[c.Index] = lateChain{domain, c.NotAfter, held}
			a.remark(&c.Index, fmt.Sprintf("Entry %d holds what the DNS said of the keys of %s, in signatures that ended %s; no quorum of witnesses says that it existed before %s.", c.Index, domain, second(c.NotAfter), second(held)))
		}
	}
}

// held returns by when the first published copy existed that holds an entry, of those that the audit has seen.
func (a *auditor) held(index uint64) (by time.Time, ok bool) {
	for _, s := range a.spans {
		if s.stamp == 0 && s.size > index && !s.to.IsZero() && (!ok || s.to.Before(by)) {
			by, ok = s.to, true
		}
	}
	return by, ok
}

// shownBy returns over which span a domain published a key that signed at index: the newest that began before. after is true if the first
// chain with it came only later.
func shownBy(k roll.Key, index uint64) (p roll.Span, after, ok bool) {
	for _, s := range k.Published {
		switch {
		case s.First.Index <= index:
			p, ok = s, true
		case !ok:
			return s, true, true
		}
	}
	return p, false, ok
}

// domainWord tells what the DNS says of the keys that signed an entry at index; false: nothing.
func (j *judge) domainWord(domain string, refs []keys.Ref, index uint64) (ev OwnerEvidence, ok bool) {
	ev = OwnerEvidence{Kind: ByDNSSEC, Counts: true}
	var first, last roll.Chain
	var gone *roll.Chain
	shown := 0
	for _, ref := range refs {
		k, _ := j.state.Key(ref)
		p, after, any := shownBy(k, index)
		late, isLate := j.in.Record.late[p.First.Index]
		switch {
		case !any:
			ev.Counts = false
			continue
		case isLate:
			ev.Counts = false
			ev.Sentence = fmt.Sprintf("The DNS is in the record as naming the key for %s, in signatures that ended %s; no quorum of witnesses says that this existed before %s.", domain, day(late.until), day(late.held))
		case after:
			ev.Counts = false
		case p.Ended && p.End.Index <= index:
			ev.Counts = false
		}
		if shown++; shown == 1 || p.First.Index > first.Index {
			first = p.First
		}
		if shown == 1 || p.Last.NotAfter.Before(last.NotAfter) {
			last = p.Last
		}
		if p.Ended && (gone == nil || p.End.Index < gone.Index) {
			gone = &p.End
		}
	}
	if shown == 0 {
		return ev, false
	}
	ev.Index, ev.Since, ev.Until = &first.Index, &first.Admitted, &last.NotAfter
	what := "the key"
	if len(refs) > 1 {
		what = "the keys"
	}
	if ev.Sentence == "" {
		ev.Sentence = fmt.Sprintf("The domain %s itself published %s in the DNS, signed: from %s, entry %d, until %s at least.", domain, what, day(first.Admitted), first.Index, day(last.NotAfter))
		switch {
		case shown < len(refs):
			ev.Sentence = fmt.Sprintf("The domain %s itself published %d of the %d keys that signed in the DNS, signed.", domain, shown, len(refs))
		case first.Index > index:
			ev.Sentence = fmt.Sprintf("The domain %s itself published %s in the DNS, signed, but as far as the record shows only later: from %s, entry %d.", domain, what, day(first.Admitted), first.Index)
		}
	}
	if gone != nil {
		ev.Gone = &gone.Admitted
		why := "it is no longer there"
		if gone.Outcome == dnssec.Insecure {
			why = "its zone is no longer signed"
		}
		ev.Sentence += fmt.Sprintf(" By %s, entry %d, %s.", day(gone.Admitted), gone.Index, why)
	}
	return ev, true
}

// proven reports whether a domain was shown to publish one of its keys that are in use.
func (j *judge) proven(domain string) bool {
	m, _ := j.state.Member(domain)
	return slices.ContainsFunc(m.Keys, func(k roll.Key) bool {
		if !k.Current || len(k.Published) == 0 {
			return false
		}
		_, late := j.in.Record.late[k.Published[0].First.Index]
		return !late
	})
}

// owner lists the evidence that the keys that signed are the organization's, ranked, and says what it comes to.
func (j *judge) owner(closer func(format string, args ...any)) {
	e := j.endorsed
	m, _ := j.state.Member(e.domain)
	if e.index < m.Registered.Index {
		closer("The organization has been registered again since, by entry %d; who vouched for it before is in the record's history.", m.Registered.Index)
	} else {
		j.vouching(m)
	}
	word, shown := j.domainWord(e.domain, e.keys, e.index)
	if shown {
		j.v.Evidence = append(j.v.Evidence, word)
		j.how("%s", word.Sentence)
	}
	rank := []string{ByMembers, ByDNSSEC, ByOperator}
	slices.SortStableFunc(j.v.Evidence, func(a, b OwnerEvidence) int {
		return cmp.Compare(slices.Index(rank, a.Kind), slices.Index(rank, b.Kind))
	})
	counts := slices.ContainsFunc(j.v.Evidence, func(v OwnerEvidence) bool { return v.Counts })
	for i, v := range j.v.Evidence {
		switch {
		case v.Kind == ByOperator && counts:
			j.v.Evidence[i].Sentence = fmt.Sprintf("The record's operator admitted the organization: %s, entry %d.", day(*v.Since), *v.Index)
		case v.Counts && (v.Gone == nil || j.replaced()):
			j.reason(didSign, "%s", v.Sentence)
		default:
			closer("%s", v.Sentence)
		}
	}
	j.require()
}

// replaced reports whether a key that signed is known as replaced or revoked, so that its going from the DNS is no news.
func (j *judge) replaced() bool {
	return slices.ContainsFunc(j.endorsed.keys, func(ref keys.Ref) bool {
		k, _ := j.state.Key(ref)
		return k.Revoked
	})
}

// vouching adds what members and the operator say.
func (j *judge) vouching(m roll.Member) {
	var members, leaning []string // vouchers; those that rest on the operator's word alone
	var newest uint64
	for _, w := range m.Vouchers {
		if !w.Member || w.Disputed || j.operator(w.Domain) {
			continue
		}
		if !j.vouched(w.Domain) {
			leaning = append(leaning, w.Domain)
			continue
		}
		members, newest = append(members, w.Domain), max(newest, w.Index)
	}
	if len(members) > 0 {
		since := m.Registered.Admitted
		for _, ev := range m.History {
			if ev.Index == newest {
				since = ev.Admitted
			}
		}
		j.v.Evidence = append(j.v.Evidence, OwnerEvidence{
			Kind: ByMembers, Counts: true, Domains: members, Index: &newest, Since: &since,
			Sentence: fmt.Sprintf("Members of the record vouched that the key is theirs: %s.", strings.Join(members, ", ")),
		})
		j.how("Vouched for %s: %s.", m.Domain, strings.Join(members, ", "))
		return
	}
	op := OwnerEvidence{Kind: ByOperator, Domains: leaning, Index: &m.Registered.Index, Since: &m.Registered.Admitted, Sentence: "That the key is theirs rests on the word of the record's operator alone."}
	if len(leaning) > 0 {
		op.Sentence = fmt.Sprintf("That the key is theirs rests on the word of the record's operator, and of %s, which was itself admitted on that word alone.", strings.Join(leaning, ", "))
	}
	j.v.Evidence = append(j.v.Evidence, op)
}

// require says what of a reader's own demands does not hold.
func (j *judge) require() {
	want := j.in.Require
	members := 0
	for _, v := range j.v.Evidence {
		if v.Kind == ByMembers && v.Counts {
			members = len(v.Domains)
		}
	}
	if members < want.Vouched {
		j.problem(CodeUnchecked, didSign, "It is required that %d members vouch for the organization, and %d do.", want.Vouched, members)
	}
	if want.DNSSEC && !slices.ContainsFunc(j.v.Evidence, func(v OwnerEvidence) bool { return v.Kind == ByDNSSEC && v.Counts }) {
		j.problem(CodeUnchecked, didSign, "It is required that the domain itself published the keys that signed, in the DNS, and the record does not show that.")
	}
}
