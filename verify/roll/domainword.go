package roll

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/verify/entry"
)

// chain is what one DNSSEC chain about a member shows; which keys it shows is
// kept with the keys.
type chain struct {
	index     uint64
	admitted  int64 // Unix milliseconds
	outcome   dnssec.Outcome
	notBefore int64 // Unix seconds: since when it was valid
	notAfter  int64 // the same: until when
	hash      entry.Hash
}

// word is what a zone said last in chains about a member: that there is another one below it, or the end.
type word struct {
	labels     int // of the zone
	final      bool
	signed     int64      // Unix seconds: from when the newest signature of it was valid
	delegation entry.Hash // if not final: what it leads on with (dnssec.Step)
	gone       []*key     // if final: those that were shown once, and that the chain which ended so missed
}

// older reports whether a chain is not newer than those about the member before it: a zone in it ends it with an older signature than it had there, or
// leads on with an older one than that with which it ended, or with other keys than it does, and no newer signature. Of two that are signed at the same time
// the one counts that denies: a key that is gone is not back with what is signed as its denial was.
func (s *State) older(m *member, r *dnssec.Result) bool {
	back := func(k *key) bool { return r.Publishes(s.origin, k.ref.Fingerprint) }
	for now := range words(r) {
		for _, w := range m.words {
			switch {
			case w.labels != now.labels:
			case (w.final || now.final) && now.signed < w.signed:
				return true
			case !w.final && !now.final && now.delegation != w.delegation && now.signed <= w.signed:
				return true
			case w.final && now.signed == w.signed && slices.ContainsFunc(w.gone, back):
				return true
			}
		}
	}
	return false
}

// hear takes in what the zones of a chain say, which is not older.
func (s *State) hear(m *member, r *dnssec.Result) {
	var gone []*key
	for _, k := range m.seen {
		if !r.Publishes(s.origin, k.ref.Fingerprint) {
			gone = append(gone, k)
		}
	}
	for now := range words(r) {
		if now.final {
			now.gone = gone
		}
		i := slices.IndexFunc(m.words, func(w word) bool { return w.labels == now.labels && w.final == now.final })
		if i < 0 {
			m.words = append(m.words, now)
			continue
		}
		if now.delegation == m.words[i].delegation {
			now.signed = max(now.signed, m.words[i].signed)
		}
		m.words[i] = now
	}
}

// words are what the zones of a chain say.
func words(r *dnssec.Result) iter.Seq[word] {
	return func(yield func(word) bool) {
		for i, step := range r.Steps {
			labels := 0
			if step.Zone != "." {
				labels = strings.Count(step.Zone, ".") + 1
			}
			if !yield(word{labels: labels, final: i == len(r.Steps)-1, signed: step.Signed.Unix(), delegation: step.Delegation}) {
				return
			}
		}
	}
}

// span says in which chains a key was shown: places in its owner's chains.
type span struct {
	first, last uint32
	ended       bool
	end         uint32 // if ended: in which it is missing
}

// shown reports whether the last chain that says something of the key shows it.
func (k *key) shown() bool { return len(k.published) > 0 && !k.published[len(k.published)-1].ended }

// all returns the keys of the member's latest registration.
func (m *member) all() []*key { return slices.Concat(m.keys, m.recovery) }

// proven returns what a chain shows at the time of the entry's admission.
func (t *trial) proven(domain string, b []byte) (*dnssec.Result, error) {
	r, err := dnssec.Verify(domain, b, dnssec.RootAnchors(), t.Admitted)
	if err != nil {
		return nil, t.refuse(RuleEvidence, "its DNSSEC chain about %s shows nothing at its admission: %v", domain, err)
	}
	return r, nil
}

// CheckChain judges a chain that came with an entry by itself, as if it were
// admitted at a time: a hostile one costs most of all, so the sequencer's door sends it away beside
// Admit. It may run as CheckSignatures does; nil is no promise.
func (s *State) CheckChain(e *entry.Entry, chain []byte, at time.Time) error {
	if len(chain) == 0 {
		return nil
	}
	t := &trial{s: s, Mark: Mark{s.Size(), at}, e: e}
	_, err := t.proven(e.Signer, chain)
	return err
}

// attached judges the chain that came with an entry, the last of all, and returns
// what both change.
func (t *trial) attached(commit func()) (func(), error) {
	s, domain := t.s, t.e.Signer // who signs what takes a chain is the member that it is about
	r, err := t.proven(domain, t.chain)
	if err != nil {
		return nil, err
	}
	if m := s.members[domain]; m != nil && s.older(m, r) {
		return nil, t.refuse(RuleEvidence, "its DNSSEC chain about %s is older than one in the record", domain)
	}
	missing := func(ref keys.Ref) bool { return !r.Publishes(s.origin, ref.Fingerprint) }
	if !slices.ContainsFunc(t.e.Keys, func(ref keys.Ref) bool { return !missing(ref) }) {
		return nil, t.refuse(RuleEvidence, "its DNSSEC chain does not show that %s publishes any of the keys that sign it, for this ledger", domain)
	}
	if b, ok := t.e.Body.(*entry.Membership); ok && b.Action == entry.Register && s.charter.admission.DNSSEC {
		for _, line := range b.PublicKeys {
			if missing(line.Ref()) {
				return nil, t.refuse(RuleAdmission, "its DNSSEC chain does not show that %s publishes the key %s for this ledger", domain, line.Ref())
			}
		}
	}
	return func() {
		commit()
		t.show(s.members[domain], r, t.chain)
	}, nil
}

// domainWord judges a chain about a member that the log itself puts into the record.
func (t *trial) domainWord(b *entry.Evidence) (func(), error) {
	m := t.s.members[b.Member]
	if m == nil { // of who left, it speaks of what was said before
		return nil, t.refuse(RuleMember, "%s was never a member", b.Member)
	}
	hash := entry.Sum(b.Data)
	if _, ok := m.recorded[hash]; ok {
		return nil, t.refuse(RuleEvidence, "it is in the record already")
	}
	r, err := t.proven(b.Member, b.Data)
	if err != nil {
		return nil, err
	}
	if t.s.older(m, r) {
		return nil, t.refuse(RuleEvidence, "its DNSSEC chain about %s is older than one in the record", m.domain)
	}
	if !r.Names(t.s.origin) && !slices.ContainsFunc(m.all(), (*key).shown) {
		return nil, t.refuse(RuleEvidence, "it says nothing of the keys of %s: it names none for this ledger, and the domain is not known to have published one", m.domain)
	}
	return func() { t.show(m, r, b.Data) }, nil
}

// keep adds a chain to those about the member.
func (m *member) keep(c chain) {
	m.chains = append(m.chains, c)
	if m.recorded == nil {
		m.recorded = make(map[entry.Hash]uint64)
	}
	if _, ok := m.recorded[c.hash]; !ok {
		m.recorded[c.hash] = c.index
	}
}

// show takes in what a chain says of a member's keys.
func (t *trial) show(m *member, r *dnssec.Result, b []byte) {
	now := chain{t.Index, t.Admitted.UnixMilli(), r.Outcome, r.NotBefore.Unix(), r.NotAfter.Unix(), entry.Sum(b)}
	at := uint32(len(m.chains))
	m.keep(now)
	for _, k := range m.all() {
		shown, n := r.Publishes(t.s.origin, k.ref.Fingerprint), len(k.published)
		if shown && !slices.Contains(m.seen, k) {
			m.seen = append(m.seen, k)
		}
		if n == 0 {
			if shown {
				k.published = []span{{first: at, last: at}}
			}
			continue
		}
		last := &k.published[n-1]
		switch {
		case shown && !last.ended:
			last.last = at
		case shown:
			k.published = append(k.published, span{first: at, last: at})
		case !last.ended:
			last.ended, last.end = true, at
		}
	}
	t.s.hear(m, r)
}

// A Chain is a chain of DNSSEC signatures about a member in the record.
type Chain struct {
	Mark
	Outcome   dnssec.Outcome
	NotBefore time.Time // UTC, whole seconds: when all its signatures were valid, both included
	NotAfter  time.Time
}

// A Span says from which chain to which a domain was shown to publish a key.
type Span struct {
	First Chain
	Last  Chain // the last one so far
	Ended bool
	End   Chain // if Ended: the first in which the key is missing
}

// Older reports whether what a chain about a domain shows is older than what the record knows of it, or no newer where it says otherwise: then it cannot be
// admitted.
func (s *State) Older(r *dnssec.Result) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.members[r.Domain]
	return m != nil && s.older(m, r)
}

// ChainAt returns the index of the first entry in which a chain about a member is.
func (s *State) ChainAt(domain string, chain []byte) (index uint64, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if m := s.members[domain]; m != nil {
		index, ok = m.recorded[entry.Sum(chain)]
	}
	return index, ok
}

// Tells reports what a chain about a member would say in the record. It changes something if it shows a key of the member's as published that is not
// known as that now, or misses one that is; otherwise it names some for this ledger still, of whomever, or has nothing to say.
func (s *State) Tells(r *dnssec.Result) (change, still bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.members[r.Domain]
	if m == nil {
		return false, false
	}
	for _, k := range m.all() {
		now := r.Publishes(s.origin, k.ref.Fingerprint)
		change, still = change || now != k.shown(), still || now
	}
	return change, still || r.Names(s.origin)
}

// LastChain returns the last chain about a member.
func (s *State) LastChain(domain string) (Chain, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.members[domain]
	if m == nil || len(m.chains) == 0 {
		return Chain{}, false
	}
	return m.chains[len(m.chains)-1].view(), true
}

// ChainsSince returns how many of the chains about a member were admitted at a time or later.
func (s *State) ChainsSince(domain string, at time.Time) (n int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if m := s.members[domain]; m != nil {
		for n < len(m.chains) && m.chains[len(m.chains)-1-n].admitted >= at.UnixMilli() {
			n++
		}
	}
	return n
}

// News returns which of a member's keys the chain in the entry at index was the first to show, and to miss, of those in the record, and what it
// proves; nothing if there is no chain in it. A later one may have come since.
func (s *State) News(domain string, index uint64) (shown, gone []keys.Ref, outcome dnssec.Outcome) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.members[domain]
	if m == nil {
		return nil, nil, 0
	}
	at, ok := slices.BinarySearchFunc(m.chains, index, func(c chain, index uint64) int { return cmp.Compare(c.index, index) })
	if !ok {
		return nil, nil, 0
	}
	for _, k := range m.all() {
		for _, p := range slices.Backward(k.published) {
			if m.chains[p.last].index < index && (!p.ended || m.chains[p.end].index < index) {
				break
			}
			if m.chains[p.first].index == index {
				shown = append(shown, k.ref)
			}
			if p.ended && m.chains[p.end].index == index {
				gone = append(gone, k.ref)
			}
		}
	}
	return shown, gone, m.chains[at].outcome
}

// Chains goes through the chains of all members, by member and index, with the domains that they are about. The state must not be
// changed meanwhile.
func (s *State) Chains() iter.Seq2[string, Chain] {
	return func(yield func(string, Chain) bool) {
		s.mu.RLock()
		defer s.mu.RUnlock()
		for _, m := range s.ordered {
			for _, c := range m.chains {
				if !yield(m.domain, c.view()) {
					return
				}
			}
		}
	}
}

func (c chain) view() Chain {
	return Chain{Mark{c.index, milli(c.admitted)}, c.outcome, time.Unix(c.notBefore, 0).UTC(), time.Unix(c.notAfter, 0).UTC()}
}

// spans returns what the chains about its owner say of a key.
func (k *key) spans(chains []chain) []Span {
	var views []Span
	for _, p := range k.published {
		v := Span{First: chains[p.first].view(), Last: chains[p.last].view(), Ended: p.ended}
		if p.ended {
			v.End = chains[p.end].view()
		}
		views = append(views, v)
	}
	return views
}
