package dnssec

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

const (
	problemAnchor     = "no trust anchor is in force at the time in question"
	problemOrder      = "the sets of a chain lead from the root's keys down to the domain's name, and nothing follows"
	problemOwner      = "a set is not of the zone whose turn it is, or not on the way to the domain"
	problemZone       = "the records are signed by a zone other than the domain's own"
	problemSigner     = "a set is signed by a zone other than the one that has the say about it"
	problemWildcard   = "the answer was made from a wildcard"
	problemDelegated  = "the keys of a zone are not signed by one that the zone above, or an anchor, names"
	problemKey        = "no key of the zone fits a signature"
	problemCandidates = "more than 4 keys of a zone fit a signature"
	problemChecks     = "more than 32 signatures would have to be checked"
	problemBad        = "a signature is not good"
	problemEnd        = "the chain ends before it proves anything"
	problemText       = "a TXT record is malformed"
	problemUnused     = "there are records that the denial does not need"
)

// A walk goes down a chain. It is a value: a copy can try a step.
type walk struct {
	domain  string
	owner   string // of the TXT records, in wire form
	at      time.Time
	zone    string       // whose keys are trusted, or are expected next
	keys    []zoneKey    // of it; nil: its DNSKEY set is expected next
	above   []delegation // if so: what names one of its keys
	denial  []*set       // NSEC or NSEC3 records so far
	leaf    *set         // the TXT set, if the chain has come there
	outcome Outcome      // 0: not known yet
	cut     string
	checks  int

	notBefore, notAfter time.Time
	zones               []string
	steps               []Step
	algorithms          map[uint8]bool
	anchor              *Anchor
}

func newWalk(domain string, anchors []Anchor, at time.Time) (*walk, error) {
	if err := CheckDomain(domain); err != nil {
		return nil, err
	}
	w := &walk{domain: domain, owner: wireName(Owner(domain)), at: at, zone: rootName, algorithms: map[uint8]bool{}}
	for _, a := range anchors {
		if a.inForce(at) && knownAlgorithm(a.Algorithm) && knownDigest(a.DigestType) {
			w.above = append(w.above, delegation{a.KeyTag, a.Algorithm, a.DigestType, []byte(a.Digest), &a})
		}
	}
	if w.above == nil {
		return nil, bogus(problemAnchor)
	}
	return w, nil
}

// step takes the next set. After an error the walk is of no more use.
func (w *walk) step(s *set) error {
	switch {
	case w.outcome != 0, len(w.denial) > 0 && s.typ != w.denial[0].typ:
		return bogus(problemOrder)
	case w.keys == nil:
		if s.typ != typeDNSKEY || s.owner != w.zone {
			return bogus(problemOrder)
		}
		return w.dnskey(s)
	}
	switch s.typ {
	case typeDS:
		if s.owner == w.zone || !within(s.owner, w.zone) || !within(w.owner, s.owner) {
			return bogus(problemOwner)
		}
		if err := w.check(s, w.keys); err != nil {
			return err
		}
		w.said(s)
		w.above = delegations(s.data)
		if len(w.above) == 0 {
			w.outcome, w.cut = Insecure, s.owner
			return nil
		}
		w.steps[len(w.steps)-1].Delegation = delegationHash(s)
		w.zone, w.keys = s.owner, nil
		return nil
	case typeTXT:
		if s.owner != w.owner {
			return bogus(problemOwner)
		}
		if w.zone != parent(w.owner) {
			return bogus(problemZone)
		}
		w.outcome, w.leaf = Published, s
		w.said(s)
		return w.check(s, w.keys)
	case typeNSEC, typeNSEC3:
		if len(s.data) != 1 || !within(s.owner, w.zone) {
			return bogus(problemOwner)
		}
		if n := len(w.denial); n > 0 && compareNames(w.denial[n-1].owner, s.owner) >= 0 {
			return bogus(problemOrder)
		}
		w.denial = append(slices.Clip(w.denial), s)
		return w.check(s, w.keys)
	}
	return bogus(problemOrder)
}

// dnskey takes the keys of a zone: one that the delegation names has signed them.
func (w *walk) dnskey(s *set) error {
	all := zoneKeys(s.data)
	var named []zoneKey
	var by *delegation
	for _, k := range all {
		if k.tag != s.sig.tag || k.algorithm != s.sig.algorithm {
			continue
		}
		if d := delegated(w.above, w.zone, k); d != nil {
			named, by = append(named, k), d
		}
	}
	if named == nil {
		return bogus(problemDelegated)
	}
	if err := w.check(s, named); err != nil {
		return err
	}
	if w.zone == rootName {
		w.anchor = by.anchor
		w.bound(w.anchor.From, w.anchor.Until)
	}
	w.keys, w.above = all, nil
	w.zones = append(slices.Clip(w.zones), textName(w.zone))
	return nil
}

// check holds the signature of a set to the keys. It does not look at the time: the window is narrowed, and judged at the end.
func (w *walk) check(s *set, from []zoneKey) error {
	sig := &s.sig
	if sig.covered != s.typ {
		return bogus(problemSet)
	}
	if sig.signer != w.zone {
		return bogus(problemSigner)
	}
	if int(sig.labels) != labels(s.owner) {
		return bogus(problemWildcard)
	}
	var candidates []zoneKey
	for _, k := range from {
		if k.tag == sig.tag && k.algorithm == sig.algorithm {
			candidates = append(candidates, k)
		}
	}
	if len(candidates) == 0 {
		return bogus(problemKey)
	}
	if len(candidates) > maxCandidates {
		return bogus(problemCandidates)
	}
	msg := slices.Concat(sig.head, s.raw)
	for _, k := range candidates {
		if w.checks++; w.checks > maxChecks {
			return bogus(problemChecks)
		}
		if !checkSignature(k, msg, sig.bytes) {
			continue
		}
		w.bound(serial(sig.incepts, w.at), serial(sig.expiration, w.at).Add(time.Second))
		w.algorithms = maps.Clone(w.algorithms)
		w.algorithms[sig.algorithm] = true
		return nil
	}
	return bogus(problemBad)
}

// said notes from when on a zone says what it says.
func (w *walk) said(s *set) {
	w.steps = append(slices.Clip(w.steps), Step{Zone: textName(w.zone), Signed: serial(s.sig.incepts, w.at)})
}

// delegationHash is Step.Delegation of a DS set.
func delegationHash(s *set) [32]byte {
	b := []byte(s.owner)
	for _, data := range s.data {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
	}
	return sha256.Sum256(b)
}

// serial returns the time that is nearest to at among those that a serial number means (RFC 4034 section 3.1.5,
// RFC 1982).
func serial(n uint32, at time.Time) time.Time {
	now := at.Unix()
	return time.Unix(now+int64(int32(n-uint32(now))), 0).UTC()
}

// bound narrows the window to [from, until), in whole seconds; a zero until is none.
func (w *walk) bound(from, until time.Time) {
	if w.notBefore.IsZero() || from.After(w.notBefore) {
		w.notBefore = from.UTC()
	}
	if last := until.Add(-time.Second).UTC(); !until.IsZero() && (w.notAfter.IsZero() || last.Before(w.notAfter)) {
		w.notAfter = last
	}
}

// end judges what the sets amount to, and returns how many records of denial that needs: used of them are marked.
func (w *walk) end() (used int, err error) {
	if len(w.denial) > 0 {
		var needed []*set
		if w.outcome, w.cut, needed, err = deny(w.denial, w.zone, w.owner); err != nil {
			return 0, err
		}
		w.own()
		w.said(needed[0])
		return len(needed), nil
	}
	if w.outcome == 0 {
		return 0, bogus(problemEnd)
	}
	w.own()
	return 0, nil
}

// own takes it for a denial that the domain's own zone says of the name of the records that it is, or may be, delegated without keys (NSEC3 opt-out): they would have
// to be in the zone itself.
func (w *walk) own() {
	if w.outcome == Insecure && w.zone == parent(w.owner) {
		w.outcome, w.cut = Absent, ""
	}
}

// result is what the whole chain says, if it says it at the time.
func (w *walk) result() (*Result, error) {
	if w.at.Before(w.notBefore) || w.at.After(w.notAfter) {
		return nil, &TimeError{w.notBefore, w.notAfter}
	}
	r := &Result{
		Outcome: w.outcome, Domain: w.domain, Zone: textName(w.zone), NotBefore: w.notBefore, NotAfter: w.notAfter,
		Zones: w.zones, Steps: w.steps, Algorithms: slices.Sorted(maps.Keys(w.algorithms)), Anchor: *w.anchor,
	}
	if w.outcome == Insecure {
		r.Cut = textName(w.cut)
	}
	if w.leaf == nil {
		return r, nil
	}
	for _, data := range w.leaf.data {
		text, ok := texts(data)
		if !ok {
			return nil, bogus(problemText)
		}
		record, err := ParseRecord(text)
		switch {
		case err != nil:
			r.Other++
		case !slices.Contains(r.Records, record):
			r.Records = append(r.Records, record)
		}
	}
	return r, nil
}
