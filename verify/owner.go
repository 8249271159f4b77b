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
	Kind     string           `json:"kind"`
	Sentence string           `json:"sentence"`
	Counts   bool             `json:"counts"`             // it stands, and comes down neither to the operator's word alone nor to that of members who vouch for each other
	Domains  []string         `json:"domains,omitempty"`  // ByMembers: who vouched
	Vouchers []VouchingMember `json:"vouchers,omitempty"` // ByMembers: the same, with what each of them rests on
	Index    *uint64          `json:"index,omitempty"`    // of the entry that holds the newest vouching or the first chain
	Since    *time.Time       `json:"since,omitempty"`    // when that was recorded
	Last     *time.Time       `json:"last,omitempty"`     // ByDNSSEC: when the last chain was recorded that shows the keys
	Until    *time.Time       `json:"until,omitempty"`    // ByDNSSEC: until when that chain was valid
	Gone     *time.Time       `json:"gone,omitempty"`     // ByDNSSEC: when a chain was recorded in which a key is missing, and still is

	doubt bool // it stands against a plain yes, whatever else counts
}

// A VouchingMember is a member of the record that vouched for another.
type VouchingMember struct {
	Domain  string    `json:"domain"`
	Index   uint64    `json:"index"` // of the entry that says so
	Since   time.Time `json:"since"` // when that was recorded, UTC
	Counts  bool      `json:"counts"`
	Rests   string    `json:"rests"`             // what that member's own key rests on: one of the Rests constants
	Through []string  `json:"through,omitempty"` // RestsOnVouching: who vouched for it, and so on, up to one who is known or whose domain published its key
}

// What the keys with which a member vouched rest on.
const (
	RestsOnReader   = "known"    // whoever asks knows that member (Input.Known)
	RestsOnDNSSEC   = "dnssec"   // its domain had published them when they vouched, and still does or has replaced them in the record
	RestsOnVouching = "vouched"  // the vouching of others, which leads to one of these two
	RestsOnCircle   = "circle"   // the vouching of others, which leads only to each other and to the operator's word
	RestsOnOperator = "operator" // the operator's word
	RestsOnNothing  = "nothing"  // nobody vouched for it, and no chain counts
	RestsDisputed   = "disputed" // a key that vouched has been declared compromised from before that
)

// Require is what a reader asks of the evidence for a key's owner.
type Require struct {
	Vouched int  // so many members that count (VouchingMember); 0: not asked
	DNSSEC  bool // the domain published each key that signed, about the time when it did (aboutThen)
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

// aboutThen is how long before or after an endorsement a chain may have been valid to say whose the key was then. The ledger asks each
// domain about its keys, and records an answer at least once a month.
const aboutThen = 45 * 24 * time.Hour

// A publication is what chains say of one key and one entry that it signed. To show the key, a chain must have been seen in time. To miss it, it is enough that it
// was not proven to be late: which copies there are is the ledger's word, and a ledger that could hide when a key was withdrawn could hide that it was.
type publication struct {
	first, last roll.Chain  // of those that show the key, with none between that misses it: around the entry, else before it, else after it
	prior, next *roll.Chain // of these the one before the entry and the one after it
	near        bool        // one of the two was valid about the time of the entry
	gone        *roll.Chain // it misses the key, and so do all later ones
	back        bool        // but for one whose time nothing bears out
	ended       *roll.Chain // it misses the key, and came before the entry
}

// counts reports whether the domain itself answers for the key.
func (p *publication) counts() bool { return p.near && p.ended == nil }

// rank orders publications, the weakest first.
func (p *publication) rank() int {
	switch {
	case p.ended != nil:
		return 0
	case !p.near:
		return 1
	case p.prior == nil:
		return 2
	}
	return 3
}

// published returns what the DNS says of a key that signed an entry; nil if nothing that was seen in time shows it.
func (j *judge) published(ref keys.Ref, index uint64, at time.Time) *publication {
	var unfixed uint64 // the last chain that shows the key, and may have been in time
	words := slices.DeleteFunc(j.state.Words(ref), func(w roll.Word) bool {
		standing := j.in.Record.chains[w.Index].standing
		if w.Shown && standing != seenAfter {
			unfixed = w.Index
		}
		return standing == seenAfter || w.Shown && standing != seenInTime
	})
	here := slices.IndexFunc(words, func(w roll.Word) bool { return w.Shown }) // the last before the entry, else the first
	if here < 0 {
		return nil
	}
	for i, w := range words {
		if w.Shown && w.Index <= index {
			here = i
		}
	}
	from, to := here, here+1
	for from > 0 && words[from-1].Shown {
		from--
	}
	for to < len(words) && words[to].Shown {
		to++
	}
	p := &publication{first: words[from].Chain, last: words[to-1].Chain}
	if words[here].Index <= index {
		p.prior = &words[here].Chain
		here++
	}
	if here < to {
		p.next = &words[here].Chain
	}
	p.near = p.prior != nil && !p.prior.NotAfter.Before(at.Add(-aboutThen)) || p.next != nil && !p.next.NotBefore.After(at.Add(aboutThen))
	if to < len(words) && words[to].Index <= index {
		p.ended = &words[to].Chain
	}
	if to < len(words) && !words[len(words)-1].Shown {
		p.gone = &words[to].Chain
		p.back = unfixed > p.gone.Index
	}
	return p
}

// doubted returns a chain that shows a key but was not seen in time, and says why it does not count; "" if none shows it.
func (j *judge) doubted(domain string, ref keys.Ref) (c roll.Chain, why string) {
	words := j.state.Words(ref)
	i := slices.IndexFunc(words, func(w roll.Word) bool { return w.Shown })
	if i < 0 {
		return c, ""
	}
	c = words[i].Chain
	return c, fmt.Sprintf("The DNS is in the record as naming the key for %s, in signatures that ended %s%s.", display(domain), day(c.NotAfter), j.unfixed(c))
}

// unfixed is the end of a sentence, which says why nobody knows that a chain existed in time; "" if it was seen.
func (j *judge) unfixed(c roll.Chain) string {
	switch s := j.in.Record.chains[c.Index]; s.standing {
	case seenInTime:
		return ""
	case seenLate:
		return fmt.Sprintf("; no quorum of witnesses says that this existed before %s", day(s.by))
	case seenAfter:
		return fmt.Sprintf("; witnesses saw the record without it later than that, %s", day(s.since))
	case seenNobody:
		return "; the policy asks for no witnesses, so that only the ledger's own word says when this existed"
	}
	return "; this audit saw no copy of the record that fixes when this existed"
}

// domainWord tells what the DNS says of the keys that signed an entry; false: nothing.
func (j *judge) domainWord(e *endorsed) (ev OwnerEvidence, ok bool) {
	ev = OwnerEvidence{Kind: ByDNSSEC, Counts: true}
	var p *publication // the weakest of those that were seen in time
	var first, last, doubtful roll.Chain
	shown, doubt := 0, ""
	for _, ref := range e.keys {
		q := j.published(ref, e.index, e.admitted)
		if q == nil {
			ev.Counts = false
			if c, why := j.doubted(e.domain, ref); doubt == "" {
				doubtful, doubt = c, why
			}
			continue
		}
		ev.Counts = ev.Counts && q.counts()
		if shown++; shown == 1 || q.first.Index > first.Index {
			first = q.first
		}
		if shown == 1 || q.last.Index < last.Index {
			last = q.last
		}
		if p == nil || q.rank() < p.rank() {
			p = q
		}
		k, _ := j.state.Key(ref)
		ev.doubt = ev.doubt || q.ended != nil || q.gone != nil && !k.Revoked // of what is known as replaced, its going is no news
		if q.gone != nil && (ev.Gone == nil || q.gone.Admitted.Before(*ev.Gone)) {
			ev.Gone = &q.gone.Admitted
		}
	}
	switch {
	case shown == 0 && doubt == "":
		return ev, false
	case shown == 0:
		ev.Index, ev.Since, ev.Until, ev.Sentence = &doubtful.Index, &doubtful.Admitted, &doubtful.NotAfter, doubt
		return ev, true
	}
	ev.Index, ev.Since, ev.Last, ev.Until = &first.Index, &first.Admitted, &last.Admitted, &last.NotAfter
	what := "the key"
	if len(e.keys) > 1 {
		what = "the keys"
	}
	if shown < len(e.keys) {
		what = fmt.Sprintf("%d of the %d keys that signed", shown, len(e.keys))
	}
	s := fmt.Sprintf("The domain %s itself published %s in the DNS, signed", display(e.domain), what)
	switch {
	case p.ended != nil:
		s += fmt.Sprintf(", but no longer when this was signed: %s; by %s, entry %d, %s%s.", sightings(p.first, p.last), day(p.ended.Admitted), p.ended.Index, missing(*p.ended, "was"), j.unfixed(*p.ended))
	case !p.near && p.prior == nil:
		s += fmt.Sprintf(", but not within 45 days of this endorsement: %s.", sightings(p.first, p.last))
	case !p.near:
		s += fmt.Sprintf(", but not within 45 days of this endorsement: %s", sightings(p.first, *p.prior))
		if p.next != nil {
			s += fmt.Sprintf(", and not again before %s, entry %d", day(p.next.Admitted), p.next.Index)
		}
		s += "."
	case p.prior == nil:
		s += fmt.Sprintf(", as far as the record shows only after this was recorded: %s.", sightings(first, last))
	default:
		s += fmt.Sprintf(": %s.", sightings(first, last))
	}
	if p.gone != nil && p.ended == nil {
		is := "is"
		if p.back {
			is = "was"
		}
		s += fmt.Sprintf(" By %s, entry %d, %s%s.", day(p.gone.Admitted), p.gone.Index, missing(*p.gone, is), j.unfixed(*p.gone))
	}
	if shown < len(e.keys) && doubt != "" {
		s += " " + doubt
	}
	ev.Sentence = s
	return ev, true
}

// sightings says when a key was seen in the DNS: no more is known than these days.
func sightings(first, last roll.Chain) string {
	s := fmt.Sprintf("seen on %s, entry %d", day(first.Admitted), first.Index)
	if last.Index > first.Index {
		s += fmt.Sprintf(", last on %s, entry %d", day(last.Admitted), last.Index)
	}
	return fmt.Sprintf("%s, in signatures good until %s", s, day(last.NotAfter))
}

// missing says how a key is missing in a chain.
func missing(c roll.Chain, is string) string {
	if c.Outcome == dnssec.Insecure {
		return "its zone " + is + " no longer signed"
	}
	return "it " + is + " no longer there"
}

// owner lists the evidence that the keys that signed are the organization's, ranked, and says what it comes to.
func (j *judge) owner(closer func(format string, args ...any)) {
	e := j.endorsed
	if j.members == nil {
		j.members, j.barren = make(map[string]roll.Member), make(map[string]bool)
	}
	m := j.member(e.domain)
	again := e.index < m.Registered.Index
	if again {
		closer("The organization has been registered again since, by entry %d; who vouched for it before is in the record's history.", m.Registered.Index)
	} else {
		j.vouching(m)
	}
	word, shown := j.domainWord(e)
	if shown {
		j.v.Evidence = append(j.v.Evidence, word)
		j.how("%s", word.Sentence)
	}
	rank := []string{ByMembers, ByDNSSEC, ByOperator}
	slices.SortStableFunc(j.v.Evidence, func(a, b OwnerEvidence) int {
		return cmp.Compare(slices.Index(rank, a.Kind), slices.Index(rank, b.Kind))
	})
	counts := slices.ContainsFunc(j.v.Evidence, func(v OwnerEvidence) bool { return v.Counts })
	for i := range j.v.Evidence {
		v := &j.v.Evidence[i]
		if v.Kind == ByOperator && len(j.v.Evidence) == 1 {
			v.Sentence = fmt.Sprintf("That the key is theirs rests on the word of the record's operator alone: it vouched on %s, entry %d.", day(*v.Since), *v.Index)
		}
		if v.doubt = v.doubt || !counts; v.doubt {
			closer("%s", v.Sentence)
		}
	}
	for _, v := range j.v.Evidence {
		if !v.doubt {
			j.reason(didSign, "%s", v.Sentence)
		}
	}
	if len(j.v.Evidence) == 0 && !again {
		closer("Nobody vouched for the organization, and nothing in the record shows that its domain published the keys that signed.")
	}
	j.require()
}

// vouching adds what members and the operator say.
func (j *judge) vouching(m roll.Member) {
	members := OwnerEvidence{Kind: ByMembers}
	var said []string
	for _, w := range m.Vouchers {
		at := admittedAt(m, w.Index)
		if w.Operator && !w.Disputed {
			j.v.Evidence = append(j.v.Evidence, OwnerEvidence{Kind: ByOperator, Index: &w.Index, Since: &at, Sentence: fmt.Sprintf("The record's operator vouched for the organization: %s, entry %d.", day(at), w.Index)})
		}
		if !w.Member || j.operator(w.Domain) {
			continue
		}
		v := VouchingMember{Domain: w.Domain, Index: w.Index, Since: at}
		v.Rests, v.Through = j.rests(m, w, at)
		v.Counts = v.Rests == RestsOnReader || v.Rests == RestsOnDNSSEC || v.Rests == RestsOnVouching
		members.Counts = members.Counts || v.Counts
		members.Vouchers = append(members.Vouchers, v)
		if members.Domains = append(members.Domains, w.Domain); members.Index == nil || w.Index > *members.Index {
			members.Index, members.Since = &w.Index, &at
		}
		said = append(said, v.sentence())
	}
	if len(said) == 0 {
		return
	}
	members.Sentence = fmt.Sprintf("Members of the record vouched for the organization: %s.", strings.Join(said, "; "))
	if len(said) == 1 {
		members.Sentence = fmt.Sprintf("A member of the record vouched for the organization: %s.", said[0])
	}
	j.v.Evidence = append(j.v.Evidence, members)
	j.how("Vouched for %s: %s.", display(m.Domain), strings.Join(displays(members.Domains), ", "))
}

// sentence is what is to be said of a member that vouched.
func (v VouchingMember) sentence() string {
	why := map[string]string{
		RestsOnReader:   "which you know",
		RestsOnDNSSEC:   "whose own domain had published its key in the DNS",
		RestsOnVouching: "vouched for in its turn by " + strings.Join(displays(v.Through), ", and that by ") + ", which you know or whose own domain had published its key in the DNS",
		RestsOnCircle:   "which rests on members that vouch for each other and on the operator's word, and on nothing else",
		RestsOnOperator: "for which the operator's word alone speaks",
		RestsOnNothing:  "for which nobody vouched",
		RestsDisputed:   "which is disputed: a key that vouched has been declared compromised from before that",
	}
	return fmt.Sprintf("%s on %s, entry %d, %s", display(v.Domain), day(v.Since), v.Index, why[v.Rests])
}

func displays(domains []string) (list []string) {
	for _, d := range domains {
		list = append(list, display(d))
	}
	return list
}

// rests tells what the keys rest on with which w vouched for m. Vouchers are followed, without those by m itself, to where they end: at a member that the
// reader knows, at a domain that published the keys with which it vouched, or in a circle or at the operator's word, to which all in such a circle may owe
// their admission.
func (j *judge) rests(m roll.Member, w roll.Voucher, at time.Time) (rests string, through []string) {
	if w.Disputed {
		return RestsDisputed, nil
	}
	if slices.Contains(j.in.Known, w.Domain) {
		return RestsOnReader, nil
	}
	if j.answered(w, at) {
		return RestsOnDNSSEC, nil
	}
	voucher := j.member(w.Domain)
	if !j.barren[w.Domain] {
		if through := j.leads(w.Domain, m.Domain); through != nil {
			return RestsOnVouching, through
		}
		j.leads(w.Domain, "")
	}
	switch {
	case slices.ContainsFunc(voucher.Vouchers, j.vouches):
		return RestsOnCircle, nil
	case len(voucher.Vouchers) > 0:
		return RestsOnOperator, nil
	}
	return RestsOnNothing, nil
}

// leads follows who vouched for a domain, and for those, but for one of them, to somebody that counts by itself, and returns who is on the way there; nil: there
// is nobody. If none is left out, all of those that lead nowhere are remembered, so that a large circle is walked once.
func (j *judge) leads(from, without string) (through []string) {
	by := map[string]string{from: ""} // for whom each of them vouched
	for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
		d := j.member(todo[0])
		for _, x := range d.Vouchers {
			if _, seen := by[x.Domain]; seen || !j.vouches(x) || x.Domain == without {
				continue
			}
			by[x.Domain] = d.Domain
			if slices.Contains(j.in.Known, x.Domain) || j.answered(x, admittedAt(d, x.Index)) {
				for at := x.Domain; at != from; at = by[at] {
					through = append(through, at)
				}
				slices.Reverse(through)
				return through
			}
			todo = append(todo, x.Domain)
		}
	}
	if without == "" {
		for d := range by {
			j.barren[d] = true
		}
	}
	return nil
}

// vouches reports whether somebody's vouching is a member's, and neither the operator's nor disputed.
func (j *judge) vouches(x roll.Voucher) bool {
	return x.Member && !x.Disputed && !j.operator(x.Domain)
}

// member returns what is known about a domain, and keeps it: a list asks about the same ones again and again.
func (j *judge) member(domain string) roll.Member {
	m, ok := j.members[domain]
	if !ok {
		m, _ = j.state.Member(domain)
		j.members[domain] = m
	}
	return m
}

// answered reports whether the domain of a voucher had published the keys that vouched, and did not take one of them away later without
// telling the record.
func (j *judge) answered(w roll.Voucher, at time.Time) bool {
	return len(w.Keys) > 0 && !slices.ContainsFunc(w.Keys, func(ref keys.Ref) bool {
		p := j.published(ref, w.Index, at)
		k, _ := j.state.Key(ref)
		return p == nil || p.prior == nil || !p.counts() || p.gone != nil && !k.Revoked
	})
}

// admittedAt returns when the membership or key entry about a member of an index was admitted.
func admittedAt(m roll.Member, index uint64) time.Time {
	i := slices.IndexFunc(m.History, func(ev roll.Event) bool { return ev.Index == index })
	if i < 0 {
		return m.Registered.Admitted
	}
	return m.History[i].Admitted
}

const requireTakesRecord = "Who answers for the key, as is required, takes a copy of the whole record to tell."

// require says what of a reader's own demands does not hold.
func (j *judge) require() {
	for _, sentence := range j.unmet() {
		j.problem(CodeUnchecked, didSign, "%s", sentence)
	}
}

// unmet says what of a reader's own demands the evidence does not meet.
func (j *judge) unmet() (sentences []string) {
	want := j.in.Require
	count := 0
	for _, v := range j.v.Evidence {
		for _, w := range v.Vouchers {
			if w.Counts {
				count++
			}
		}
	}
	if count < want.Vouched {
		sentences = append(sentences, fmt.Sprintf("It is required that %d members vouch for the organization, and %d do whose own keys rest on more than the operator's word and each other.", want.Vouched, count))
	}
	if want.DNSSEC && !slices.ContainsFunc(j.v.Evidence, func(v OwnerEvidence) bool { return v.Kind == ByDNSSEC && v.Counts }) {
		sentences = append(sentences, "It is required that the domain itself published the keys that signed, in the DNS, and the record does not show that.")
	}
	return sentences
}
