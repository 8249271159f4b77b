package verify

import (
	"slices"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/verify/roll"
)

// aboutThen is how long before or after an endorsement a chain may have been valid to say whose the key was then. The ledger asks each
// domain about its keys, and records an answer at least once a month.
const aboutThen = 45 * 24 * time.Hour

// maxFollowed bounds how far it is followed what became of a key, and whence it came: replacements, keys that brought others, and keys that end keys, in a row. What lies
// beyond explains nothing, and whoever is asked about it is taken to have come with it. A record may be made for this.
const maxFollowed = 1000

// A publication is what chains say of one key and one entry that it signed. To show the key, a chain must have been seen in time. To miss it, it is enough that it
// was not proven to be late: which copies there are is the ledger's word, and a ledger that could hide when a key was withdrawn could hide that it was.
type publication struct {
	shown       bool        // by a chain that was seen in time; otherwise there is no first, last, prior and next
	first, last roll.Chain  // of those that show the key, with none between that misses it: around the entry, else before it, else after it
	prior, next *roll.Chain // of these the one before the entry and the one after it
	lately      bool        // prior was valid about the time of the entry
	soon        bool        // next was
	ended       *roll.Chain // it misses the key, which was there before, and came before the entry
	gone        *roll.Chain // it misses the key, which was there before, and came after the entry
	left        *roll.Chain // it misses the key, which the domain had not published until then
	told        bool        // that it is gone the record explains: it was replaced or revoked
	instead     bool        // left names one that replaced the key, or a later one does: nothing fixes when
	back        bool        // after it was gone there is one that shows it, perhaps not in time
	accuses     bool        // one of ended, gone and left speaks against the key: the zone was signed, nothing explains it, and no chain that may have been in time shows the key soon after
}

// near reports whether a chain that shows the key was valid about the time of the entry.
func (p *publication) near() bool { return p.lately || p.soon }

// counts reports whether the domain itself answers for the key.
func (p *publication) counts() bool { return p.shown && p.near() && p.ended == nil }

// doubted reports whether there is something against a plain yes.
func (p *publication) doubted() bool {
	return p.ended != nil || p.left != nil || p.gone != nil && !p.told
}

// good reports whether the domain answers for the key, and nothing is against a plain yes; nil does not.
func (p *publication) good() bool { return p != nil && p.counts() && !p.doubted() }

// missed returns the first chain since which the key is missing; nil: it is there.
func (p *publication) missed() *roll.Chain {
	if p.ended != nil {
		return p.ended
	}
	return p.gone
}

// rank orders publications, the weakest first.
func (p *publication) rank() int {
	switch {
	case p.ended != nil:
		return 0
	case p.doubted():
		return 1
	case !p.near():
		return 2
	case p.prior == nil:
		return 3
	}
	return 4
}

// A saying is what one chain says of a key.
type saying struct {
	*dated
	shown bool // it publishes it; otherwise it does not, or no longer
}

// dated is a chain, and what witnesses say of when it existed.
type dated struct {
	roll.Chain
	standing seen
}

// proven reports whether it shows the key and was seen in time.
func (s saying) proven() bool { return s.shown && s.standing == seenInTime }

// sayings returns what chains say of a key that signed an entry, but for those that came too late, by index. It is good until the next call.
func (j *judge) sayings(ref keys.Ref, index uint64) []saying {
	w := j.state.Words(ref, index)
	if w.From == w.To {
		return nil
	}
	chains, list := j.chainsAbout(w.Domain), j.trail.sayings[:0]
	for i := w.From; i < w.To; i++ {
		for len(w.Shown) > 0 && i > w.Shown[0][1] {
			w.Shown = w.Shown[1:]
		}
		if c := &chains[i]; c.standing != seenAfter {
			list = append(list, saying{c, len(w.Shown) > 0 && i >= w.Shown[0][0]})
		}
	}
	j.trail.sayings = list
	return list
}

// chainsAbout returns the chains about a domain, by index.
func (j *judge) chainsAbout(domain string) []dated {
	list, ok := j.trail.chains[domain]
	if !ok {
		for _, c := range j.state.ChainsAbout(domain) {
			list = append(list, dated{c, j.in.Record.chains[c.Index].standing})
		}
		j.trail.chains[domain] = list
	}
	return list
}

// published returns what the DNS says of a key that signed an entry; nil if nothing shows it that was seen in time, and nothing misses it.
func (j *judge) published(ref keys.Ref, index uint64, at time.Time) *publication {
	t, id := j.trail, signing{ref, index}
	p, known := t.published[id]
	if !known {
		t.asking[id] = true
		since := len(t.answers)
		p = j.publication(ref, index, at)
		delete(t.asking, id)
		t.published[id] = p
		j.settle(inquiry{id, askedPublished}, since)
	}
	return p
}

// beyond reports whether it cannot be asked what the DNS says of a key that signed an entry: that is being found out, as keys can end each other, or it is too far from what
// was asked first. Who cannot be asked explains nothing, and speaks for nobody.
func (j *judge) beyond(ref keys.Ref, index uint64) bool {
	t, id := j.trail, signing{ref, index}
	if t.asking[id] {
		t.guessed[inquiry{id, askedPublished}] = true
		return true
	}
	_, known := t.published[id]
	return !known && len(t.asking) >= maxFollowed
}

// A silence is what misses a key after the entry that it signed.
type silence struct {
	first, accusing *roll.Chain // of each row of chains that miss it: the first, and the first that may speak against it
}

func (s *silence) add(c *roll.Chain, accuses bool) {
	if s.first == nil {
		s.first = c
	}
	if s.accusing == nil && accuses {
		s.accusing = c
	}
}

// publication looks through what chains say of a key that signed an entry.
func (j *judge) publication(ref keys.Ref, index uint64, at time.Time) *publication {
	k, _ := j.state.Known(ref)
	p := new(publication)
	words := j.sayings(ref, index)
	p.show(words, index, at)
	var left, gone silence
	var shown *roll.Chain // the last
	was, fixed := false, 0
	for i := 0; i < len(words); {
		if words[i].shown {
			was, shown = true, &words[i].Chain
			i++
			continue
		}
		row := words[i:]
		if n := slices.IndexFunc(row, func(w saying) bool { return w.shown }); n >= 0 {
			row = row[:n]
		}
		i += len(row)
		var again [2]*roll.Chain // the first of those after it that were seen in time and show the key, and the first that shows it
		for fixed = max(fixed, i); fixed < len(words) && !words[fixed].proven(); {
			fixed++
		}
		if fixed < len(words) {
			again[0] = &words[fixed].Chain
		}
		if i < len(words) {
			again[1] = &words[i].Chain
		}
		n := 0
		for n < len(row) && row[n].Index <= index {
			n++
		}
		if c, accuses := missed(k, row[:n], again, was, at, index); c != nil && was {
			p.ended, p.accuses = c, p.accuses || accuses
		} else if c != nil {
			p.left, p.accuses = c, accuses
		}
		if c, accuses := missed(k, row[n:], again, was, time.Time{}, index); c != nil && was {
			gone.add(c, accuses)
		} else if c != nil {
			left.add(c, accuses)
		}
	}
	// From here on others may be asked about.
	j.left(p, k, left, index)
	j.gone(p, k, gone, index)
	if c := p.missed(); c != nil {
		p.back = shown != nil && shown.Index > c.Index
	}
	if !p.shown && p.missed() == nil && p.left == nil {
		return nil
	}
	return p
}

// show takes in the chains that show a key around the entry that it signed.
func (p *publication) show(words []saying, index uint64, at time.Time) {
	here := slices.IndexFunc(words, saying.proven) // the last before the entry, else the first
	for i, w := range words {
		if w.proven() && w.Index <= index {
			here = i
		}
	}
	if here < 0 {
		return
	}
	from, to := here, here
	p.shown = true
	for i := here; i >= 0 && words[i].shown; i-- {
		if words[i].proven() {
			from = i
		}
	}
	for i := here; i < len(words) && words[i].shown; i++ {
		if words[i].proven() {
			to = i
		}
	}
	p.first, p.last = words[from].Chain, words[to].Chain
	next := here
	if words[here].Index <= index {
		p.prior = &words[here].Chain
		next++
	}
	for next <= to && !words[next].proven() {
		next++
	}
	if next <= to {
		p.next = &words[next].Chain
	}
	p.lately = p.prior != nil && !p.prior.NotAfter.Before(at.Add(-aboutThen))
	p.soon = p.next != nil && !p.next.NotBefore.After(at.Add(aboutThen))
}

// missed returns the chain of a row from which on a key is missing, either before the entry that it signed, which was at a time, or after it, when that is zero,
// and whether that may speak against the key; nil: it is not missing. The row is followed by others that show the key, the first of those seen in time and
// the first of all.
func missed(k roll.Key, row []saying, again [2]*roll.Chain, was bool, at time.Time, index uint64) (c *roll.Chain, accuses bool) {
	if len(row) == 0 {
		return nil, false
	}
	secure := slices.IndexFunc(row, func(w saying) bool { return w.Outcome != dnssec.Insecure })
	// A recovery key need not be published (decision 86), and that a zone is not signed says nothing of a key that never was.
	if k.Role == roll.RecoveryKey || !was && secure < 0 {
		return nil, false
	}
	c = &row[max(secure, 0)].Chain
	since := c.Admitted
	if at.After(since) {
		since = at
	}
	soon := func(c *roll.Chain) bool {
		return c != nil && (!at.IsZero() && c.Index <= index || !c.NotBefore.After(since.Add(aboutThen)))
	}
	if soon(again[0]) {
		return nil, false
	}
	return c, secure >= 0 && !soon(again[1])
}

// left takes in that chains after an entry miss a key which the domain had not published. The record may have ended the key by then, or soon after: that is why.
// But who stole it can end it, too. So where only the key itself and what it brought have ended it, the domain must not speak against any that it brought.
func (j *judge) left(p *publication, k roll.Key, s silence, index uint64) {
	c := s.first
	if c == nil {
		return
	}
	why := j.explained(k, c, index)
	if why == explainedWell || k.Revoked && k.RevokedAt < c.Index && (why == explainedPart || !j.broughtDenied(k.Ref)) {
		return
	}
	accuses := s.accusing != nil && why == explainedNot
	if p.left == nil || accuses && !p.accuses {
		p.left, p.instead = c, why == explainedPart
	}
	p.accuses = p.accuses || accuses
}

// gone takes in that chains after an entry miss a key which the domain had published. What explains that a key is missing explains it of all later ones, too.
func (j *judge) gone(p *publication, k roll.Key, s silence, index uint64) {
	if s.first == nil {
		return
	}
	p.gone = s.first
	if p.told = j.explained(k, s.first, index) == explainedWell; p.told || s.accusing == nil || p.accuses {
		return
	}
	if j.explained(k, s.accusing, index) == explainedNot {
		p.gone, p.accuses = s.accusing, true
	}
}

// broughtDenied reports whether the domain speaks against a key that another brought, or one that this brought if it is a recovery key, of which the DNS tells nothing.
func (j *judge) broughtDenied(ref keys.Ref) bool {
	t := j.trail
	denied, known := t.denied[ref]
	if known {
		return denied
	}
	q := inquiry{signing{ref, 0}, askedDenied}
	if t.denying[ref] {
		t.guessed[q] = true
		return true // until it is known to be otherwise
	}
	if len(t.denying) >= maxFollowed {
		return true
	}
	t.denying[ref] = true
	since := len(t.answers)
	denied = slices.ContainsFunc(j.state.Brings(ref), func(b roll.Bringing) bool {
		if k, _ := j.state.Known(b.Ref); k.Role == roll.RecoveryKey {
			return j.broughtDenied(b.Ref)
		}
		if j.beyond(b.Ref, b.Index) {
			return true
		}
		p := j.published(b.Ref, b.Index, b.Admitted)
		return p != nil && p.accuses
	})
	delete(t.denying, ref)
	t.denied[ref] = denied
	j.settle(q, since)
	return denied
}

// explanation is what the record knows of why a chain misses a key.
type explanation uint8

const (
	explainedNot  explanation = iota
	explainedPart             // another key had been put into its place by then, or was soon, and the domain published that one, but nothing fixes when
	explainedWell             // that is fixed; or others had ended it
)

// explained tells why a chain misses a key. Whoever stole a key can replace it, and revoke it with itself and with what it brought, too: so what replaced it must be
// published, and whoever else ended it must be somebody against whom the domain does not speak. The later a chain, the more is explained.
func (j *judge) explained(k roll.Key, c *roll.Chain, index uint64) explanation {
	if k.Compromised && index < k.CompromisedAfter { // then it was its owner's, by the owner's word
		if end := j.lastAbout(k.Ref); end.ok && j.byOthers(k, end) {
			return explainedWell
		}
	}
	end := j.revocation(k.Ref)
	soon := func(end ending) bool { return end.ok && !end.by.Admitted.After(c.Admitted.Add(aboutThen)) }
	if !soon(end) {
		return explainedNot
	}
	why := explainedNot
	next := end
	for range maxFollowed {
		if next.next == nil || !soon(next) {
			break
		}
		until := c.Admitted
		if next.by.Admitted.After(until) {
			until = next.by.Admitted
		}
		early := func(t time.Time) bool { return !t.IsZero() && !t.After(until.Add(aboutThen)) }
		proven, shown := j.firstShown(*next.next, next.by.Index)
		if early(proven) {
			return explainedWell
		}
		if early(shown) {
			why = explainedPart
		}
		next = j.revocation(*next.next)
	}
	if j.byOthers(k, end) {
		return explainedWell
	}
	return why
}

// firstShown returns since when chains are valid that show a key, which an entry brought: the first that was seen in time, and the first of all; zero: there is none.
func (j *judge) firstShown(ref keys.Ref, index uint64) (proven, shown time.Time) {
	t, id := j.trail, signing{ref, index}
	first, known := t.first[id]
	if !known {
		for _, w := range j.sayings(ref, index) {
			if w.shown {
				first[1] = earlier(first[1], w.NotBefore)
			}
			if w.proven() {
				first[0] = earlier(first[0], w.NotBefore)
			}
		}
		t.first[id] = first
	}
	return first[0], first[1]
}

// An ending is the entry that ended a key, or said since when it is compromised.
type ending struct {
	by   roll.Mark
	with []keys.Ref // that signed it
	next *keys.Ref  // was put into the place of the key; nil: none
	ok   bool       // there is one
}

// revocation returns the entry that revoked or replaced a key.
func (j *judge) revocation(ref keys.Ref) ending {
	e, known := j.trail.ended[ref]
	if !known {
		e.by, e.with, e.next, e.ok = j.state.Revocation(ref)
		j.trail.ended[ref] = e
	}
	return e
}

// lastAbout returns the last entry that revoked or replaced a key, or said since when it is compromised.
func (j *judge) lastAbout(ref keys.Ref) ending {
	e, known := j.trail.last[ref]
	if !known {
		e.by, e.with, e.ok = j.state.LastAbout(ref)
		if end := j.revocation(ref); e.ok && end.ok && end.by.Index == e.by.Index {
			e.next = end.next
		}
		j.trail.last[ref] = e
	}
	return e
}

// byOthers reports whether an entry that ends a key was signed with others as well, beside what it puts into its place, and the domain speaks against none of them,
// nor had the key brought one, unless the domain answers for that, or published the key long after and speaks against none with which it brought that.
func (j *judge) byOthers(k roll.Key, end ending) bool {
	others := 0
	for _, ref := range end.with {
		if ref == k.Ref || end.next != nil && ref == *end.next {
			continue
		}
		if j.beyond(ref, end.by.Index) {
			return false
		}
		p := j.published(ref, end.by.Index, end.by.Admitted)
		if !p.good() {
			brought, came := j.broughtWith(ref, k.Ref, end.by.Index)
			if p != nil && p.accuses || came && (!j.shownSince(k.Ref, brought) || j.cameBeside(ref, k.Ref, end.by.Index)) || !came && j.came(ref, end.by.Index) != nil {
				return false
			}
		}
		others++
	}
	return others > 0
}

// bringing returns the entry that brought a key which signed the entry at index, and with which keys.
func (j *judge) bringing(ref keys.Ref, index uint64) ending {
	t, id := j.trail, signing{ref, index}
	e, known := t.brought[id]
	if !known {
		e.by, e.with, e.ok = j.state.Brought(ref, index)
		t.brought[id] = e
	}
	return e
}

// broughtWith returns the last entry with which a key brought another, or brought what brought it, and so on; false: it did not. Where that leads too far it is taken to
// have done so with the one that brought this other.
func (j *judge) broughtWith(ref, with keys.Ref, index uint64) (last roll.Mark, came bool) {
	asked := map[signing]bool{}
	for todo := []signing{{ref, index}}; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		by := j.bringing(s.Ref, s.index)
		if !by.ok {
			continue
		}
		for _, other := range by.with {
			next := signing{other, by.by.Index}
			switch {
			case len(asked) >= maxFollowed:
				return j.bringing(ref, index).by, true
			case other == with:
				if came = true; by.by.Index > last.Index {
					last = by.by
				}
			case !asked[next]:
				asked[next] = true
				todo = append(todo, next)
			}
		}
	}
	return last, came
}

// cameBeside reports what came does of a key that another brought, but for what that other is: whether it came with one beside it against which the domain speaks.
func (j *judge) cameBeside(ref, beside keys.Ref, index uint64) bool {
	asked := map[signing]bool{}
	for todo := []signing{{ref, index}}; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		by := j.bringing(s.Ref, s.index)
		if !by.ok {
			continue
		}
		for _, other := range by.with {
			next := signing{other, by.by.Index}
			if other == beside || asked[next] {
				continue
			}
			if len(asked) >= maxFollowed {
				return true
			}
			asked[next] = true
			if j.shownSince(other, by.by) {
				continue
			}
			if j.beyond(other, by.by.Index) {
				return true
			}
			p := j.published(other, by.by.Index, by.by.Admitted)
			if p.good() {
				continue
			}
			if p != nil && p.accuses {
				return true
			}
			todo = append(todo, next)
		}
	}
	return false
}

// shownSince reports whether the domain published a key long after it had brought another: then it was not a thief's when it did.
func (j *judge) shownSince(ref keys.Ref, by roll.Mark) bool {
	return slices.ContainsFunc(j.sayings(ref, by.Index), func(w saying) bool {
		return w.proven() && !w.NotBefore.Before(by.Admitted.Add(aboutThen))
	})
}

// came returns the entry that brought a key which signed another entry, if it was signed with a key against which the domain speaks, or with one that had so come, and
// the domain does not answer for the key itself. It does not count against what a key brought if the domain published that one long after.
func (j *judge) came(ref keys.Ref, index uint64) *roll.Mark {
	t, start := j.trail, j.bringing(ref, index)
	if !start.ok {
		return nil
	}
	if known, ok := j.cameKnown(signing{ref, start.by.Index}, start.by); ok {
		return known
	}
	type step struct { // up from the key: it and what brought it stand at the end of the way
		id    signing
		by    roll.Mark
		with  []keys.Ref // that have not been looked at
		since int
	}
	var way []step
	climb := func(ref keys.Ref, by ending) {
		id := signing{ref, by.by.Index}
		t.climbing[id] = true
		way = append(way, step{id, by.by, by.with, len(t.answers)})
	}
	climb(ref, start)
	came := false
	for len(way) > 0 {
		s := &way[len(way)-1]
		if came || len(s.with) == 0 {
			delete(t.climbing, s.id)
			t.came[s.id] = nil
			if by := s.by; came {
				t.came[s.id] = &by
			}
			j.settle(inquiry{s.id, askedCame}, s.since)
			way = way[:len(way)-1]
			continue
		}
		other, at := s.with[0], s.by
		s.with = s.with[1:]
		if j.shownSince(other, at) {
			continue
		}
		if came = j.beyond(other, at.Index); came {
			continue
		}
		p := j.published(other, at.Index, at.Admitted)
		if p.good() {
			continue
		}
		if came = p != nil && p.accuses; came {
			continue
		}
		by := j.bringing(other, at.Index)
		if !by.ok {
			continue
		}
		if known, ok := j.cameKnown(signing{other, by.by.Index}, by.by); !ok {
			climb(other, by)
		} else {
			came = known != nil
		}
	}
	if !came {
		return nil
	}
	return &start.by
}

// cameKnown returns what came does of a key that an entry brought, if that is known or being found out.
func (j *judge) cameKnown(id signing, by roll.Mark) (*roll.Mark, bool) {
	t := j.trail
	if t.climbing[id] {
		t.guessed[inquiry{id, askedCame}] = true
		return &by, true
	}
	known, ok := t.came[id]
	return known, ok
}

// An inquiry is what is asked about a key, and answered once. Keys can end each other, so it may be asked again while it is being found out. Then it gets a guess:
// that there is something against the key. When it is answered, what was found out in between is forgotten, because it may rest on the guess. So it does not matter in which
// order is asked.
type inquiry struct {
	signing // the index is 0 for askedDenied
	what    asked
}

type asked uint8

// The inquiries: published, came and broughtDenied.
const (
	askedPublished asked = iota + 1
	askedCame
	askedDenied
)

// maxForgotten bounds how many answers about one organization are forgotten. Beyond that they stay: doubts too many.
const maxForgotten = 5000

// settle takes in that an inquiry is answered, and forgets the answers since it was asked if there was a guess about it.
func (j *judge) settle(q inquiry, since int) {
	t := j.trail
	guessed := t.guessed[q]
	delete(t.guessed, q)
	if k, _ := j.state.Known(q.Ref); guessed && t.forgotten[k.Domain] < maxForgotten {
		t.forgotten[k.Domain] += len(t.answers) - since
		for _, other := range t.answers[since:] {
			switch other.what {
			case askedPublished:
				delete(t.published, other.signing)
			case askedCame:
				delete(t.came, other.signing)
			default:
				delete(t.denied, other.Ref)
			}
		}
		t.answers = t.answers[:since]
	}
	t.answers = append(t.answers, q)
}

// signing is a key and an entry that it signed, or that brought it.
type signing struct {
	keys.Ref
	index uint64
}
