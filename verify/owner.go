package verify

import (
	"cmp"
	"fmt"
	"iter"
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

	against bool // ByDNSSEC: the domain speaks against a key that signed
	doubt   bool // it stands against a plain yes, whatever else counts
	renamed bool // ByOperator: the organization has taken its name since
}

// A VouchingMember is a member of the record that vouched for another.
type VouchingMember struct {
	Domain  string     `json:"domain"`
	Index   uint64     `json:"index"` // of the entry that says so
	Since   time.Time  `json:"since"` // when that was recorded, UTC
	Counts  bool       `json:"counts"`
	Rests   string     `json:"rests"`             // what that member's own key rests on: one of the Rests constants
	Through []string   `json:"through,omitempty"` // RestsOnVouching: who vouched for it, and so on, up to one who is known or whose domain published its key; of a long way the first and the last
	Left    *time.Time `json:"left,omitempty"`    // when it left the record, UTC

	more  int    // are left out of Through, before the last
	under string // RestsWithin: whose domain it is part of
	again uint64 // RestsOnFormer: the entry that registers the domain again
}

// What the keys with which a member vouched rest on.
const (
	RestsOnReader   = "known"    // whoever asks knows that member (Input.Known)
	RestsOnDNSSEC   = "dnssec"   // its domain had published them when they vouched, and still does or has replaced them in the record
	RestsOnVouching = "vouched"  // the vouching of others, which leads to one of these two
	RestsOnCircle   = "circle"   // the vouching of others, which leads only to each other and to the operator's word
	RestsOnOperator = "operator" // the operator's word
	RestsOnNothing  = "nothing"  // nobody vouched for it, and no chain counts
	RestsDisputed   = "disputed" // a key that vouched has been declared compromised from before that, or had come with such a key
	RestsOnFormer   = "former"   // nothing any more: its domain has been registered again since, perhaps by somebody else
	RestsOnOldName  = "renamed"  // whatever it is, that was for another name: the organization has taken its present one since
	RestsWithin     = "within"   // the organization's own domain, which its domain is above or below, or that of another voucher that counts, which it is below
	RestsDenied     = "denied"   // nothing: its own domain took a key that vouched out of the DNS, without the record's knowing why, or leaves it out, or it came with such a key
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

// doubted returns a chain that shows a key but was not seen in time, and says why it does not count; "" if none shows it.
func (j *judge) doubted(domain string, ref keys.Ref, index uint64) (c roll.Chain, why string) {
	w := j.state.Words(ref, index)
	if len(w.Shown) == 0 {
		return c, ""
	}
	c = j.chainsAbout(w.Domain)[w.Shown[0][0]].Chain
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
	shown, doubt, left, came := 0, "", "", ""
	for _, ref := range e.keys {
		q := j.published(ref, e.index, e.admitted)
		doubted := q != nil && q.doubted()
		if q != nil {
			if c := q.missed(); c != nil && (ev.Gone == nil || c.Admitted.Before(*ev.Gone)) {
				ev.Gone = &c.Admitted
			}
		}
		ev.doubt, ev.against = ev.doubt || doubted, ev.against || q != nil && q.accuses
		if by := j.came(ref, e.index); by != nil && (doubted || q == nil || !q.counts()) && came == "" {
			ev.doubt, ev.against = true, true
			came = fmt.Sprintf("Entry %d, of %s, brought the key %s, which signed, with a key against which the domain speaks: it was no longer in the DNS, or was left out there.", by.Index, day(by.Admitted), ref)
		}
		if q != nil && q.left != nil && left == "" {
			others := "other keys in the DNS, and not"
			if q.left.Outcome == dnssec.Absent {
				others = "no keys in the DNS, and did not publish"
			}
			left = fmt.Sprintf("The domain %s publishes %s %s, which signed: seen on %s, entry %d.", display(e.domain), others, ref, day(q.left.Admitted), q.left.Index)
			if !q.accuses {
				later := "a later answer does"
				if q.instead {
					later = "an answer names one that replaced it"
				}
				left = fmt.Sprintf("On %s, entry %d, the DNS of %s did not name the key %s, which signed; %s, and nothing fixes its time.", day(q.left.Admitted), q.left.Index, display(e.domain), ref, later)
			}
			doubtful = *q.left
		}
		if q == nil || !q.shown {
			ev.Counts = false
			c, why := j.doubted(e.domain, ref, e.index)
			if q != nil && why != "" {
				why += q.missing(j, len(e.keys) > 1)
			}
			if why != "" && (doubt == "" || doubted) {
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
	}
	more := strings.Join(slices.DeleteFunc([]string{doubt, left, came}, func(s string) bool { return s == "" }), " ")
	switch {
	case shown == 0 && more == "":
		return ev, false
	case shown == 0:
		if ev.Sentence = more; doubtful.Index > 0 {
			ev.Index, ev.Since, ev.Until = &doubtful.Index, &doubtful.Admitted, &doubtful.NotAfter
		}
		return ev, true
	}
	if last.Index < first.Index {
		last = first
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
	case !p.near() && p.prior == nil:
		s += fmt.Sprintf(", but not within 45 days of this endorsement: %s.", sightings(p.first, p.last))
	case !p.near():
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
	if p.ended == nil {
		s += p.missing(j, len(e.keys) > 1)
	}
	if more != "" {
		s += " " + more
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

// missing is a sentence about when the key was gone; "" if it is there.
func (p *publication) missing(j *judge, several bool) string {
	c := p.missed()
	if c == nil {
		return ""
	}
	is := "is"
	if p.back {
		is = "was"
	}
	said := missing(*c, is)
	if several && c.Outcome != dnssec.Insecure {
		said = "one of them " + is + " no longer there"
	}
	return fmt.Sprintf(" By %s, entry %d, %s%s.", day(c.Admitted), c.Index, said, j.unfixed(*c))
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
	if j.trail == nil {
		j.trail = newTrail()
	}
	m := j.credit(j.trail, e.domain).Member
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
			if v.renamed {
				v.Sentence = fmt.Sprintf("That the key is theirs rests on the word of the record's operator alone, and that was before the organization took its name: it vouched on %s, entry %d.", day(*v.Since), *v.Index)
			}
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
	if !again {
		j.nameless(m)
	}
	if len(j.v.Evidence) == 0 && !again {
		closer("Nobody vouched for the organization, and nothing in the record shows that its domain published the keys that signed.")
	}
	j.require()
}

// nameless sees to it that what is said leads with the domain, not with the name, where nobody answers for the name: what a domain publishes says nothing of it.
func (j *judge) nameless(m roll.Member) {
	proven := false
	for _, v := range j.v.Evidence {
		if v.Counts && v.Kind == ByMembers {
			return
		}
		proven = proven || v.Counts
	}
	anybody := slices.ContainsFunc(m.Vouchers, func(w roll.Voucher) bool { return !w.Disputed && w.Index >= m.Named.Index })
	j.nobody = proven || !anybody
	switch {
	case proven && !anybody:
		j.reason(didSign, "Nobody vouched for this name; the domain published the key.")
	case proven:
		j.reason(didSign, "Nobody whose word counts here vouched for this name; the domain published the key.")
	}
}

// vouching adds what members and the operator say.
func (j *judge) vouching(m roll.Member) {
	members := OwnerEvidence{Kind: ByMembers}
	counts := map[string]bool{} // their domains
	for _, w := range m.Vouchers {
		byOperator := w.Operator || j.operator(w.Domain)
		if byOperator && !w.Disputed && !slices.ContainsFunc(j.v.Evidence, func(v OwnerEvidence) bool { return v.Kind == ByOperator }) {
			ev := OwnerEvidence{Kind: ByOperator, Index: &w.Index, Since: &w.Admitted, renamed: w.Index < m.Named.Index}
			ev.Sentence = fmt.Sprintf("The record's operator vouched for the organization: %s, entry %d.", day(w.Admitted), w.Index)
			if ev.renamed {
				ev.Sentence = fmt.Sprintf("The record's operator vouched for the organization before it took its name: %s, entry %d.", day(w.Admitted), w.Index)
			}
			j.v.Evidence = append(j.v.Evidence, ev)
		}
		if !w.Member || j.operator(w.Domain) {
			continue
		}
		v := j.rests(m, w)
		counts[v.Domain] = v.Counts
		members.Vouchers = append(members.Vouchers, v)
		if members.Domains = append(members.Domains, w.Domain); members.Index == nil || w.Index > *members.Index {
			members.Index, members.Since = &w.Index, &w.Admitted
		}
	}
	if len(members.Vouchers) == 0 {
		return
	}
	var said []string
	for i := range members.Vouchers {
		v := &members.Vouchers[i]
		for d := range parents(v.Domain) {
			if v.Counts && counts[d] { // whoever has a domain has all below it
				v.Counts, v.Rests, v.Through, v.under = false, RestsWithin, nil, d
			}
		}
		members.Counts = members.Counts || v.Counts
		said = append(said, v.sentence())
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
	through := displays(v.Through)
	if n := len(through) - 1; v.more > 0 {
		through[n] = fmt.Sprintf("others in a row, %d of them, to %s", v.more, through[n])
	}
	why := map[string]string{
		RestsOnReader:   "which you know",
		RestsOnDNSSEC:   "whose own domain had published its key in the DNS",
		RestsOnVouching: "vouched for in its turn by " + strings.Join(through, ", and that by ") + ", which you know or whose own domain had published its key in the DNS",
		RestsOnCircle:   "which rests on members that vouch for each other and on the operator's word, and on nothing else",
		RestsOnOperator: "for which the operator's word alone speaks",
		RestsOnNothing:  "for which nobody had vouched whose word counts",
		RestsDisputed:   "which is disputed: a key that vouched has been declared compromised from before that, or had come with such a key",
		RestsOnFormer:   fmt.Sprintf("whose domain has been registered again since, by entry %d, perhaps by somebody else", v.again),
		RestsOnOldName:  "before the organization took the name that it has now",
		RestsWithin:     "whose domain is part of " + display(v.under) + " and counts for nothing beside it",
		RestsDenied:     "against whose key its own domain speaks: it took it out of the DNS, or leaves it out there, or that came with such a key",
	}
	if below(v.under, v.Domain) && v.Rests == RestsWithin {
		why[RestsWithin] = "whose domain " + display(v.under) + " is part of, so that it counts for nothing beside it"
	}
	s := fmt.Sprintf("%s on %s, entry %d, %s", display(v.Domain), day(v.Since), v.Index, why[v.Rests])
	if v.Left != nil {
		s += fmt.Sprintf(" (it left the record on %s)", day(*v.Left))
	}
	return s
}

func displays(domains []string) (list []string) {
	for _, d := range domains {
		list = append(list, display(d))
	}
	return list
}

// parents yields the domains that a domain is below, the nearest first.
func parents(domain string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			_, parent, ok := strings.Cut(domain, ".")
			if !ok || !yield(parent) {
				return
			}
			domain = parent
		}
	}
}

// below reports whether a domain is another or below it.
func below(domain, other string) bool {
	return domain == other || strings.HasSuffix(domain, "."+other)
}

// related reports whether one of two domains is the other or below it: then whoever has the one has both.
func related(a, b string) bool { return below(a, b) || below(b, a) }

// maxThrough bounds those who are named on the way from a voucher to where it leads.
const maxThrough = 16

// rests tells what the keys rest on with which w vouched for m. Vouchers are followed, without those by m itself, to where they end: at a member that the
// reader knows, at a domain that published the keys with which it vouched, or in a circle or at the operator's word, to which all in such a circle may owe
// their admission. Each must have been vouched for before it vouched, and be the one that did: who registers a domain again may be somebody else.
func (j *judge) rests(m roll.Member, w roll.Voucher) VouchingMember {
	voucher := j.credit(j.trail, w.Domain)
	v := VouchingMember{Domain: w.Domain, Index: w.Index, Since: w.Admitted, Counts: true}
	if voucher.Left && w.Index >= voucher.Registered.Index {
		v.Left = &voucher.LeftAt.Admitted
	}
	before := func(x roll.Voucher) bool { return x.Index < w.Index }
	switch {
	case w.Disputed:
		v.Rests, v.Counts = RestsDisputed, false
	case w.Index < voucher.Registered.Index:
		v.Rests, v.Counts, v.again = RestsOnFormer, false, voucher.Registered.Index
	case w.Index < m.Named.Index:
		v.Rests, v.Counts = RestsOnOldName, false
	case related(w.Domain, m.Domain):
		v.Rests, v.Counts, v.under = RestsWithin, false, m.Domain
	case j.domainAnswer(j.trail, w, m.Domain) == answeredNo:
		v.Rests, v.Counts = RestsDenied, false
	case slices.Contains(j.in.Known, w.Domain):
		v.Rests = RestsOnReader
	case j.domainAnswer(j.trail, w, m.Domain) == answeredYes:
		v.Rests = RestsOnDNSSEC
	default:
		l := j.follow(j.trail, w.Domain, w.Index)
		if t := j.trail.narrower(m.Domain); l != nil && t.leadsOver(l) {
			l = j.follow(t, w.Domain, w.Index)
		}
		switch {
		case l != nil:
			v.Rests = RestsOnVouching
			v.Through, v.more = l.through()
		case slices.ContainsFunc(voucher.vouchers, before):
			v.Rests, v.Counts = RestsOnCircle, false
		case slices.ContainsFunc(voucher.Vouchers, func(x roll.Voucher) bool { return before(x) && (x.Operator || j.operator(x.Domain)) }):
			v.Rests, v.Counts = RestsOnOperator, false
		default:
			v.Rests, v.Counts = RestsOnNothing, false
		}
	}
	return v
}

// A trail is what is known of where vouchers lead, and of what the DNS says of keys, so that each vouching and each key is looked at once however many ask.
type trail struct {
	credits map[string]*credit // by domain
	without string             // whose vouching is not followed, nor that of domains above and below it; "": there is nobody
	wider   *trail             // without nobody: what leads nowhere there leads nowhere here; nil: this is it

	over   map[*credit]bool // of the wider one: whether the way leads over without, or a domain above or below it
	narrow *trail           // the last that narrower returned

	// All else is that of the wider one.
	answered  map[[2]string]answered   // by whom and for whom: what the voucher's domain says of its keys
	chains    map[string][]dated       // by domain
	sayings   []saying                 // that were asked for last
	published map[signing]*publication // what the DNS says of a key that signed
	asking    map[signing]bool         // that is being found out
	first     map[signing][2]time.Time // firstShown
	came      map[signing]*roll.Mark   // whence keys came against which the domain speaks, or came with such; nil: not so
	brought   map[signing]ending
	ended     map[keys.Ref]ending
	last      map[keys.Ref]ending
	denied    map[keys.Ref]bool // broughtDenied
	denying   map[keys.Ref]bool // that is being found out
	climbing  map[signing]bool  // that is being found out of came
	answers   []inquiry         // of published, came and denied, in this order
	guessed   map[inquiry]bool  // that were asked about while they were being found out
	forgotten map[string]int    // by domain: answers
}

func newTrail() *trail {
	return &trail{
		credits: make(map[string]*credit), answered: make(map[[2]string]answered), chains: make(map[string][]dated), published: make(map[signing]*publication),
		asking: make(map[signing]bool), first: make(map[signing][2]time.Time), came: make(map[signing]*roll.Mark), brought: make(map[signing]ending),
		ended: make(map[keys.Ref]ending), last: make(map[keys.Ref]ending), denied: make(map[keys.Ref]bool), denying: make(map[keys.Ref]bool),
		climbing: make(map[signing]bool), guessed: make(map[inquiry]bool), forgotten: make(map[string]int),
	}
}

// narrower returns the trail on which nobody follows the vouching of a domain.
func (t *trail) narrower(domain string) *trail {
	if t.narrow == nil || t.narrow.without != domain {
		t.narrow = &trail{credits: make(map[string]*credit), without: domain, wider: t, over: make(map[*credit]bool)}
	}
	return t.narrow
}

// leadsOver reports whether a domain that is not to be followed, or one above or below it, is on a way of the wider trail.
func (t *trail) leadsOver(l *credit) bool {
	var way []*credit
	over, known := false, false
	for ; l != nil && !over; l = l.over {
		if over, known = t.over[l]; known {
			break
		}
		way = append(way, l)
		over = related(l.vouchers[l.next].Domain, t.without)
	}
	for _, l := range way {
		t.over[l] = over
	}
	return over
}

// A credit is what is known of where those lead who vouched for a domain.
type credit struct {
	roll.Member                // as State.Vouched returns it
	vouchers    []roll.Voucher // members that vouched for it under its name, by index
	next        int            // of them: those before it lead nowhere
	found       bool           // the next leads to somebody who counts by itself
	over        *credit        // over those who vouched for it; nil: it counts by itself
	steps       int            // how many are on the way
	end         string         // the last of them
}

// credit returns that of a domain.
func (j *judge) credit(t *trail, domain string) *credit {
	l := t.credits[domain]
	if l == nil {
		l = new(credit)
		if t.wider != nil {
			wider := j.credit(t.wider, domain)
			l.Member, l.vouchers = wider.Member, wider.vouchers
		} else {
			l.Member, _ = j.state.Vouched(domain)
			for _, x := range l.Vouchers {
				if x.Member && !x.Disputed && x.Index >= l.Named.Index && !j.operator(x.Domain) {
					l.vouchers = append(l.vouchers, x)
				}
			}
			slices.SortFunc(l.vouchers, func(a, b roll.Voucher) int { return cmp.Compare(a.Index, b.Index) })
		}
		t.credits[domain] = l
	}
	return l
}

// follow returns the credit of a domain if one who vouched for it before an index leads to somebody who counts by itself; nil: nobody does. As a vouching rests
// only on earlier ones, there are no circles. Rows of vouchers may be as long as a record, so this does not call itself for each of them.
func (j *judge) follow(t *trail, domain string, index uint64) (found *credit) {
	type step struct {
		*credit
		domain string
		index  uint64
	}
	first := j.credit(t, domain)
	switch {
	case first.next == len(first.vouchers) || first.vouchers[first.next].Index >= index:
		return nil
	case first.found:
		return first
	}
	way, back := []step{{first, domain, index}}, false
	for len(way) > 0 {
		l := way[len(way)-1]
		switch {
		case back && found != nil:
			l.find(found)
		case back:
			l.next++
		}
		var x *roll.Voucher // is to be followed
		for x == nil && !l.found && l.next < len(l.vouchers) && l.vouchers[l.next].Index < l.index {
			switch w := &l.vouchers[l.next]; {
			case t.without != "" && related(w.Domain, t.without), related(w.Domain, l.domain), w.Index < j.credit(t, w.Domain).Registered.Index,
				j.domainAnswer(t, *w, l.domain) == answeredNo:
				l.next++
			case slices.Contains(j.in.Known, w.Domain), j.domainAnswer(t, *w, l.domain) == answeredYes:
				l.find(nil)
			case t.wider != nil && j.follow(t.wider, w.Domain, w.Index) == nil:
				l.next++
			default:
				x = w
			}
		}
		if back = x == nil; !back {
			way = append(way, step{j.credit(t, x.Domain), x.Domain, x.Index})
			continue
		}
		if found = nil; l.found && l.vouchers[l.next].Index < l.index {
			found = l.credit
		}
		way = way[:len(way)-1]
	}
	return found
}

// find takes in that the next who vouched counts by itself, or over those who vouched for it.
func (l *credit) find(over *credit) {
	l.found, l.over, l.steps, l.end = true, over, 1, l.vouchers[l.next].Domain
	if over != nil {
		l.steps, l.end = over.steps+1, over.end
	}
}

// through returns who is on the way, at most maxThrough, and how many are left out before the last.
func (l *credit) through() (list []string, more int) {
	for at := l; at != nil && len(list) < maxThrough; at = at.over {
		list = append(list, at.vouchers[at.next].Domain)
	}
	if more = l.steps - len(list); more > 0 {
		list[len(list)-1] = l.end
	}
	return list, more
}

// answered is what the domain of a voucher says of the keys that vouched.
type answered uint8

const (
	answeredNothing answered = iota + 1
	answeredYes              // it had published them all, and did not take one of them away later without the record's knowing why
	answeredNo               // it speaks against one of them
)

// domainAnswer returns what the domain of a voucher says of the keys that vouched for another.
func (j *judge) domainAnswer(t *trail, w roll.Voucher, of string) answered {
	if t.wider != nil {
		t = t.wider
	}
	id := [2]string{w.Domain, of}
	if a := t.answered[id]; a != 0 {
		return a
	}
	a := answeredYes
	for _, ref := range w.Keys {
		p := j.published(ref, w.Index, w.Admitted)
		switch {
		case p != nil && p.accuses, (p == nil || !p.counts()) && j.came(ref, w.Index) != nil:
			a = answeredNo
		case a == answeredYes && (p == nil || p.doubted() || p.prior == nil || !p.counts()):
			a = answeredNothing
		}
	}
	if len(w.Keys) == 0 {
		a = answeredNothing
	}
	t.answered[id] = a
	return a
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
	if want != (Require{}) && j.state.Disputed(j.endorsed.index, j.endorsed.keys...) {
		sentences = append(sentences, "What is required does not hold, because the endorsement is disputed: a key that signed has been declared compromised from before that, or had come with such a key.")
	}
	for _, v := range j.v.Evidence {
		if want != (Require{}) && v.against {
			sentences = append(sentences, "What is required does not hold, because the domain speaks against a key that signed.")
		}
	}
	count := 0
	for _, v := range j.v.Evidence {
		for _, w := range v.Vouchers {
			if w.Counts {
				count++
			}
		}
	}
	if count < want.Vouched {
		vouch, do := "1 member vouches", "do"
		if want.Vouched > 1 {
			vouch = fmt.Sprintf("%d members vouch", want.Vouched)
		}
		if count == 1 {
			do = "does"
		}
		sentences = append(sentences, fmt.Sprintf("It is required that %s for the organization, and %d %s whose own keys rest on more than the operator's word and each other.", vouch, count, do))
	}
	if want.DNSSEC && !slices.ContainsFunc(j.v.Evidence, func(v OwnerEvidence) bool { return v.Kind == ByDNSSEC && v.Counts }) {
		sentences = append(sentences, "It is required that the domain itself published the keys that signed, in the DNS, and the record does not show that.")
	}
	return sentences
}
