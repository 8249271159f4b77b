package dnssec

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// maxSignatures bounds how many signatures of one set Build tries.
const maxSignatures = 16

// An RR is a resource record of class IN as a resolver's answer holds it.
type RR struct {
	Name string // in wire form (RFC 1035 section 3.1), uncompressed, in any case
	Type uint16
	TTL  uint32
	Data []byte // uncompressed
}

// Build makes the chain of a domain out of records that hold it, in any order and with others among them, and returns it with
// what [Verify] says of it. Of several good signatures of a set it takes the one that lasts longest, of several records of denial those that
// are needed. If the records hold TXT records at the domain's name, it is about those, else about their denial.
//
// The errors are those of Verify.
func Build(domain string, records []RR, anchors []Anchor, at time.Time) ([]byte, *Result, error) {
	w, err := newWalk(domain, anchors, at)
	if err != nil {
		return nil, nil, err
	}
	pool, err := gather(records)
	if err != nil {
		return nil, nil, err
	}
	var chain []byte
	take := func(owner string, typ uint16) error {
		s, next, err := pool.pick(w, owner, typ)
		if err != nil {
			return err
		}
		if typ != typeNSEC && typ != typeNSEC3 {
			chain = appendSet(chain, s)
		}
		w = next
		return nil
	}
	if err := take(rootName, typeDNSKEY); err != nil {
		return nil, nil, err
	}
	var path []string // from below the root to the name
	for n := w.owner; n != rootName; n = parent(n) {
		path = append(path, n)
	}
	slices.Reverse(path)
	for _, n := range path {
		if !pool.has(n, typeDS) {
			continue
		}
		if err := take(n, typeDS); err != nil {
			return nil, nil, err
		}
		if w.outcome != 0 {
			break
		}
		if err := take(n, typeDNSKEY); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case w.outcome != 0:
	case pool.has(w.owner, typeTXT):
		err = take(w.owner, typeTXT)
	default:
		for _, typ := range []uint16{typeNSEC, typeNSEC3} {
			for _, owner := range pool.owners(typ) {
				if err := take(owner, typ); err != nil {
					return nil, nil, err
				}
			}
			if len(w.denial) > 0 {
				break
			}
		}
		if len(w.denial) == 0 {
			return nil, nil, bogus(problemEnd)
		}
		var needed []*set
		_, _, needed, err = deny(w.denial, w.zone, w.owner)
		slices.SortFunc(needed, func(a, b *set) int { return compareNames(a.owner, b.owner) })
		for _, s := range needed {
			chain = appendSet(chain, s)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := Verify(domain, chain, anchors, at)
	if err != nil {
		return nil, nil, err
	}
	return chain, r, nil
}

// A place is where a set is.
type place struct {
	owner string
	typ   uint16
}

// A found is a set with all its signatures.
type found struct {
	data [][]byte
	sigs []signature
}

type pool map[place]*found

// gather sorts records into sets.
func gather(records []RR) (pool, error) {
	p := pool{}
	at := func(owner string, typ uint16) *found {
		f := p[place{owner, typ}]
		if f == nil {
			f = new(found)
			p[place{owner, typ}] = f
		}
		return f
	}
	for _, r := range records {
		owner, rest, ok := cutName([]byte(r.Name))
		if !ok || len(rest) > 0 || len(r.Data) > 1<<16-1 {
			return nil, bogus(problemCut)
		}
		if owner = lower(owner); r.Type != typeRRSIG {
			f := at(owner, r.Type)
			f.data = append(f.data, r.Data)
			continue
		}
		sig, ok := parseSignature(r.Data)
		if !ok {
			return nil, bogus(problemSignature)
		}
		sig.signer = lower(sig.signer)
		sig.head = append(bytes.Clone(sig.head[:18]), sig.signer...)
		sig.bytes = lowS(sig.algorithm, sig.bytes)
		f := at(owner, sig.covered)
		f.sigs = append(f.sigs, sig)
	}
	for _, f := range p {
		slices.SortFunc(f.data, bytes.Compare)
		f.data = slices.CompactFunc(f.data, bytes.Equal)
	}
	return p, nil
}

func (p pool) has(owner string, typ uint16) bool {
	f := p[place{owner, typ}]
	return f != nil && len(f.data) > 0
}

// owners returns where there are sets of a type, in canonical order.
func (p pool) owners(typ uint16) []string {
	var list []string
	for at := range p {
		if at.typ == typ && p.has(at.owner, typ) {
			list = append(list, at.owner)
		}
	}
	slices.SortFunc(list, compareNames)
	return list
}

// pick returns a set with the signature with which the walk goes on, and the walk after it.
func (p pool) pick(w *walk, owner string, typ uint16) (*set, *walk, error) {
	f := p[place{owner, typ}]
	if f == nil || len(f.data) == 0 || len(f.sigs) == 0 {
		return nil, nil, bogus(problemEnd)
	}
	lasts := func(s signature) time.Time {
		if serial(s.incepts, w.at).After(w.at) { // not yet
			return time.Time{}
		}
		return serial(s.expiration, w.at)
	}
	slices.SortFunc(f.sigs, func(a, b signature) int {
		return cmp.Or(lasts(b).Compare(lasts(a)), bytes.Compare(a.head, b.head), bytes.Compare(a.bytes, b.bytes))
	})
	var first error
	for i, sig := range f.sigs {
		if i == maxSignatures {
			break
		}
		s := &set{owner: owner, typ: typ, ttl: sig.ttl, data: f.data, sig: sig}
		for _, d := range s.data {
			s.raw = appendRecord(s.raw, owner, typ, s.ttl, d)
		}
		next := *w
		err := next.step(s)
		if err == nil {
			return s, &next, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, nil, first
}
