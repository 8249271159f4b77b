package dnssec

import (
	"bytes"
	"encoding/binary"
)

// Types of resource records.
const (
	typeNS     = 2
	typeCNAME  = 5
	typeSOA    = 6
	typeTXT    = 16
	typeDNAME  = 39
	typeDS     = 43
	typeRRSIG  = 46
	typeNSEC   = 47
	typeDNSKEY = 48
	typeNSEC3  = 50

	classIN = 1
)

const (
	problemSize      = "a chain has 1 to 24576 bytes"
	problemCut       = "a record is cut short, or its name is malformed or compressed"
	problemClass     = "a chain consists of records of class IN"
	problemCase      = "names in a chain are in lower case"
	problemMany      = "a chain has at most 128 records"
	problemSet       = "each set of records is followed by its one signature, and all of it has one name and one TTL"
	problemSetOrder  = "the records of a set are of one type and in canonical order, and none is there twice"
	problemSignature = "a signature record is malformed, or its TTL is not the original one"
)

// A set is an RRset with its one signature.
type set struct {
	owner string
	typ   uint16
	ttl   uint32
	data  [][]byte // RDATA, in canonical order
	raw   []byte   // the records as they are signed (RFC 4034 section 3.1.8.1)
	sig   signature
}

// A signature is the RDATA of an RRSIG (RFC 4034 section 3.1).
type signature struct {
	covered             uint16
	algorithm, labels   uint8
	ttl                 uint32
	expiration, incepts uint32 // serial numbers of RFC 1982
	tag                 uint16
	signer              string
	head                []byte // the RDATA up to the signature itself, as it is signed
	bytes               []byte
}

// parseChain splits a chain into its sets. What it accepts, appendSet prints the same.
func parseChain(chain []byte) ([]*set, error) {
	if len(chain) == 0 || len(chain) > MaxChain {
		return nil, bogus(problemSize)
	}
	var sets []*set
	var s *set // that is not whole yet
	begin := 0 // where it begins
	for at, n := 0, 0; at < len(chain); n++ {
		if n == maxRecords {
			return nil, bogus(problemMany)
		}
		owner, rest, ok := cutName(chain[at:])
		if !ok || len(rest) < 10 || len(rest)-10 < int(binary.BigEndian.Uint16(rest[8:])) {
			return nil, bogus(problemCut)
		}
		typ, ttl := binary.BigEndian.Uint16(rest), binary.BigEndian.Uint32(rest[4:])
		data := rest[10 : 10+int(binary.BigEndian.Uint16(rest[8:]))]
		if binary.BigEndian.Uint16(rest[2:]) != classIN {
			return nil, bogus(problemClass)
		}
		if lower(owner) != owner {
			return nil, bogus(problemCase)
		}
		if s == nil {
			s, begin = &set{owner: owner, typ: typ, ttl: ttl}, at
		}
		if s.owner != owner || s.ttl != ttl {
			return nil, bogus(problemSet)
		}
		end := at + len(owner) + 10 + len(data)
		if typ == typeRRSIG {
			if len(s.data) == 0 {
				return nil, bogus(problemSet)
			}
			if s.sig, ok = parseSignature(data); !ok || s.sig.ttl != ttl || s.sig.signer != lower(s.sig.signer) {
				return nil, bogus(problemSignature)
			}
			s.raw = chain[begin:at]
			sets = append(sets, s)
			s = nil
		} else {
			if k := len(s.data); k > 0 && (s.typ != typ || bytes.Compare(s.data[k-1], data) >= 0) {
				return nil, bogus(problemSetOrder)
			}
			s.data = append(s.data, data)
		}
		at = end
	}
	if s != nil {
		return nil, bogus(problemSet)
	}
	return sets, nil
}

// appendSet appends a set with its signature as a chain has them.
func appendSet(chain []byte, s *set) []byte {
	for _, d := range s.data {
		chain = appendRecord(chain, s.owner, s.typ, s.ttl, d)
	}
	return appendRecord(chain, s.owner, typeRRSIG, s.ttl, append(s.sig.head[:len(s.sig.head):len(s.sig.head)], s.sig.bytes...))
}

func appendRecord(b []byte, owner string, typ uint16, ttl uint32, data []byte) []byte {
	b = append(b, owner...)
	b = binary.BigEndian.AppendUint16(b, typ)
	b = binary.BigEndian.AppendUint16(b, classIN)
	b = binary.BigEndian.AppendUint32(b, ttl)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

func parseSignature(data []byte) (s signature, ok bool) {
	if len(data) < 18 {
		return s, false
	}
	s.covered = binary.BigEndian.Uint16(data)
	s.algorithm, s.labels = data[2], data[3]
	s.ttl = binary.BigEndian.Uint32(data[4:])
	s.expiration, s.incepts = binary.BigEndian.Uint32(data[8:]), binary.BigEndian.Uint32(data[12:])
	s.tag = binary.BigEndian.Uint16(data[16:])
	s.signer, s.bytes, ok = cutName(data[18:])
	s.head = data[:len(data)-len(s.bytes)]
	return s, ok
}

// texts returns the strings of TXT RDATA as one, which is how a text of over 255 bytes is published.
func texts(data []byte) (string, bool) {
	var text []byte
	for len(data) > 0 {
		n := int(data[0])
		if len(data)-1 < n {
			return "", false
		}
		text = append(text, data[1:1+n]...)
		data = data[1+n:]
	}
	return string(text), true
}
