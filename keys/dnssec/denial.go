package dnssec

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"slices"
	"strings"
)

const (
	problemDenial     = "the records of denial do not deny the domain's keys"
	problemNSEC       = "an NSEC or NSEC3 record is malformed"
	problemExists     = "the records of denial say that there is something else: a TXT record, an alias or a signed delegation"
	problemIterations = "an NSEC3 record asks for more than 100 iterations"
	problemParameters = "the NSEC3 records differ in their parameters, or have ones that we do not know"
)

// deny judges NSEC or NSEC3 records of a zone, whose signatures hold, by what they say about the TXT records of a name. It
// returns those that are needed for that, first the one that denies the name, or the delegation, itself: the others only say that no wildcard stands in.
func deny(records []*set, zone, name string) (Outcome, string, []*set, error) {
	if records[0].typ == typeNSEC {
		return denyNSEC(records, zone, name)
	}
	return denyNSEC3(records, zone, name)
}

// A gap is an NSEC record (RFC 4034 section 4): nothing is between owner and next.
type gap struct {
	*set
	next  string // in lower case
	types bitmap
}

func (g *gap) covers(zone, name string) bool {
	after := compareNames(g.owner, name) < 0
	if compareNames(g.owner, g.next) < 0 {
		return after && compareNames(name, g.next) < 0
	}
	return after && g.next == zone // the last one leads back to the apex
}

// denyNSEC is RFC 4035 section 5.4, with RFC 6840 sections 4.1 to 4.4.
func denyNSEC(records []*set, zone, name string) (Outcome, string, []*set, error) {
	var gaps []*gap
	for _, s := range records {
		next, types, ok := cutName(s.data[0])
		g := &gap{s, lower(next), bitmap(types)}
		if !ok || !g.types.valid() {
			return 0, "", nil, bogus(problemNSEC)
		}
		gaps = append(gaps, g)
		if !within(name, s.owner) {
			continue
		}
		// It is about the name, or about one above it.
		switch unsigned, err := g.types.delegates(s.owner == zone, s.owner == name); {
		case err != nil:
			return 0, "", nil, err
		case unsigned:
			return Insecure, s.owner, []*set{s}, nil
		case s.owner == name:
			return Absent, "", []*set{s}, nil
		}
	}
	for _, g := range gaps {
		if !g.covers(zone, name) {
			continue
		}
		if within(g.next, name) { // there is something below the name, and nothing at it
			return Absent, "", []*set{g.set}, nil
		}
		closest := common(name, g.owner)
		if other := common(name, g.next); len(other) > len(closest) {
			closest = other
		}
		wildcard := "\x01*" + closest
		for _, h := range gaps {
			if h.owner == wildcard {
				if _, err := h.types.delegates(false, true); err != nil {
					return 0, "", nil, err
				}
			} else if !h.covers(zone, wildcard) {
				continue
			}
			return Absent, "", unique(g.set, h.set), nil
		}
	}
	return 0, "", nil, bogus(problemDenial)
}

// A hashed is an NSEC3 record (RFC 5155 section 3).
type hashed struct {
	*set
	hash, next []byte
	optOut     bool
	types      bitmap
}

func (h *hashed) covers(hash []byte) bool {
	after, before := bytes.Compare(h.hash, hash) < 0, bytes.Compare(hash, h.next) < 0
	if bytes.Compare(h.hash, h.next) < 0 {
		return after && before
	}
	return after || before // the last one
}

var base32hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// parseNSEC3 also returns what all records of a zone have in common: algorithm, iterations and salt.
func parseNSEC3(s *set, zone string) (h *hashed, parameters []byte, err error) {
	d := s.data[0]
	if parent(s.owner) != zone || s.owner[0] != 32 || len(d) < 5 {
		return nil, nil, bogus(problemNSEC)
	}
	salted := 5 + int(d[4]) // where the salt ends
	if len(d) < salted+1+sha1.Size {
		return nil, nil, bogus(problemNSEC)
	}
	h = &hashed{set: s, optOut: d[1]&1 != 0}
	h.hash, err = base32hex.DecodeString(strings.ToUpper(s.owner[1:33]))
	rest := d[salted:]
	h.next, h.types = rest[1:1+sha1.Size], bitmap(rest[1+sha1.Size:])
	if err != nil || rest[0] != sha1.Size || !h.types.valid() {
		return nil, nil, bogus(problemNSEC)
	}
	if d[0] != 1 || d[1]&^1 != 0 {
		return nil, nil, bogus(problemParameters)
	}
	if binary.BigEndian.Uint16(d[2:]) > maxIterations {
		return nil, nil, bogus(problemIterations)
	}
	return h, slices.Concat(d[:1], d[2:salted]), nil
}

// hashNSEC3 is RFC 5155 section 5.
func hashNSEC3(name string, parameters []byte) []byte {
	salt := parameters[4:]
	sum := sha1.Sum(append([]byte(name), salt...))
	for range binary.BigEndian.Uint16(parameters[1:]) {
		sum = sha1.Sum(append(sum[:], salt...))
	}
	return sum[:]
}

// denyNSEC3 is RFC 5155 sections 8.4 to 8.6 and 8.9.
func denyNSEC3(records []*set, zone, name string) (Outcome, string, []*set, error) {
	var all []*hashed
	var parameters []byte
	for _, s := range records {
		h, p, err := parseNSEC3(s, zone)
		if err != nil {
			return 0, "", nil, err
		}
		if parameters != nil && !bytes.Equal(p, parameters) {
			return 0, "", nil, bogus(problemParameters)
		}
		all, parameters = append(all, h), p
	}
	find := func(fits func(*hashed) bool) *hashed {
		if i := slices.IndexFunc(all, fits); i >= 0 {
			return all[i]
		}
		return nil
	}
	// From the name upwards to the closest one that there is.
	var nextCloser []byte
	for closest, below := name, ""; ; closest = parent(closest) {
		hash := hashNSEC3(closest, parameters)
		match := find(func(h *hashed) bool { return bytes.Equal(h.hash, hash) })
		if match == nil {
			if closest == zone {
				return 0, "", nil, bogus(problemDenial)
			}
			nextCloser, below = hash, closest
			continue
		}
		switch unsigned, err := match.types.delegates(closest == zone, closest == name); {
		case err != nil:
			return 0, "", nil, err
		case unsigned:
			return Insecure, closest, []*set{match.set}, nil
		case closest == name:
			return Absent, "", []*set{match.set}, nil
		}
		gap := find(func(h *hashed) bool { return h.covers(nextCloser) })
		if gap == nil {
			return 0, "", nil, bogus(problemDenial)
		}
		if gap.optOut { // delegations without keys may be in the gap
			return Insecure, below, unique(gap.set, match.set), nil
		}
		hash = hashNSEC3("\x01*"+closest, parameters)
		wildcard := find(func(h *hashed) bool { return bytes.Equal(h.hash, hash) })
		if wildcard != nil {
			if _, err := wildcard.types.delegates(false, true); err != nil {
				return 0, "", nil, err
			}
		} else if wildcard = find(func(h *hashed) bool { return h.covers(hash) }); wildcard == nil {
			return 0, "", nil, bogus(problemDenial)
		}
		return Absent, "", unique(gap.set, match.set, wildcard.set), nil
	}
}

func unique(sets ...*set) (list []*set) {
	for _, s := range sets {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// A bitmap says which types there are at a name (RFC 4034 section 4.1.2).
type bitmap []byte

func (b bitmap) valid() bool {
	for last := -1; len(b) > 0; {
		if len(b) < 3 || int(b[0]) <= last || b[1] == 0 || b[1] > 32 || len(b)-2 < int(b[1]) {
			return false
		}
		last, b = int(b[0]), b[2+b[1]:]
	}
	return true
}

// has says whether there is a type below 256. The bitmap is valid.
func (b bitmap) has(typ uint8) bool {
	return len(b) > 0 && b[0] == 0 && typ/8 < b[1] && b[2+typ/8]&(0x80>>(typ%8)) != 0
}

// delegates judges the types at a name that denies something at it or below it: true if it is delegated without keys. It is
// an error if what it denies may be elsewhere: in a zone that is delegated with keys, or where an alias leads, or at the name itself.
func (b bitmap) delegates(apex, itself bool) (bool, error) {
	switch {
	case apex:
	case b.has(typeSOA), b.has(typeDS):
		return false, bogus(problemExists)
	case b.has(typeNS):
		return true, nil
	}
	if b.has(typeDNAME) || itself && (b.has(typeTXT) || b.has(typeCNAME)) {
		return false, bogus(problemExists)
	}
	return false, nil
}
