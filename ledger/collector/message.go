package collector

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/tccm/undersigned/keys/dnssec"
)

// Types of resource records.
const (
	typeCNAME  = 5
	typeTXT    = 16
	typeDNAME  = 39
	typeOPT    = 41
	typeDS     = 43
	typeRRSIG  = 46
	typeNSEC   = 47
	typeDNSKEY = 48
	typeNSEC3  = 50
)

const root = "\x00" // its name in wire form

// maxPointers is as many as a name has labels at most: more only make work.
const maxPointers = 127

// udpSize is what we take in one datagram, without fragments (RFC 9715).
const udpSize = 1232

// question returns a query for a name: recursion desired, checking disabled, EDNS(0) with DO (RFC 3225, RFC 6891).
func question(id uint16, name string, typ uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = append(b, 0x01, 0x10, 0, 1, 0, 0, 0, 0, 0, 1)
	b = append(b, name...)
	b = binary.BigEndian.AppendUint16(b, typ)
	b = append(b, 0, 1)
	b = append(b, 0, 0, typeOPT)
	b = binary.BigEndian.AppendUint16(b, udpSize)
	return append(b, 0, 0, 0x80, 0, 0, 0)
}

// A message is what of an answer matters here.
type message struct {
	truncated         bool
	code              int
	answer, authority []dnssec.RR // of class IN
}

var (
	errMessage = errors.New("the answer is malformed")
	errOther   = errors.New("the answer is to another question")
)

// parseMessage reads the answer to a question.
func parseMessage(b, question []byte) (*message, error) {
	if len(b) < 12 || string(b[:2]) != string(question[:2]) || b[2]&0x80 == 0 {
		return nil, errOther
	}
	m := &message{truncated: b[2]&2 != 0, code: int(b[3] & 15)}
	at := 12
	switch binary.BigEndian.Uint16(b[4:]) {
	case 0: // some servers leave it out of an error
		if m.code == 0 {
			return nil, errOther
		}
	case 1:
		name, after, ok := readName(b, at)
		asked, end, _ := readName(question, 12)
		if !ok || len(b) < after+4 || name != asked || string(b[after:after+4]) != string(question[end:end+4]) {
			return nil, errOther
		}
		at = after + 4
	default:
		return nil, errOther
	}
	if m.truncated {
		return m, nil
	}
	for i, list := range []*[]dnssec.RR{&m.answer, &m.authority} {
		for range binary.BigEndian.Uint16(b[6+2*i:]) {
			name, after, ok := readName(b, at)
			if !ok || len(b) < after+10 || len(b) < after+10+int(binary.BigEndian.Uint16(b[after+8:])) {
				return nil, errMessage
			}
			at = after + 10 + int(binary.BigEndian.Uint16(b[after+8:]))
			if binary.BigEndian.Uint16(b[after+2:]) == 1 {
				*list = append(*list, dnssec.RR{Name: name, Type: binary.BigEndian.Uint16(b[after:]), TTL: binary.BigEndian.Uint32(b[after+4:]), Data: b[after+10 : at]})
			}
		}
	}
	return m, nil
}

// readName reads a name that may be compressed (RFC 1035 section 4.1.4), and returns it in wire form and lower case, and where it
// ends.
func readName(b []byte, at int) (name string, end int, ok bool) {
	var out []byte
	pointers := 0
	for limit := at; at < len(b) && len(out) < 255; {
		n := int(b[at])
		switch {
		case n == 0:
			if end == 0 {
				end = at + 1
			}
			return string(append(out, 0)), end, true
		case n < 64 && at+1+n <= len(b):
			for _, c := range b[at : at+1+n] { // the length is below 'A'
				if 'A' <= c && c <= 'Z' {
					c += 'a' - 'A'
				}
				out = append(out, c)
			}
			at += 1 + n
		case n >= 0xc0 && at+2 <= len(b):
			to := int(binary.BigEndian.Uint16(b[at:]) & 0x3fff)
			if pointers++; to >= limit || pointers > maxPointers { // only ever backwards
				return "", 0, false
			}
			if end == 0 {
				end = at + 2
			}
			at, limit = to, to
		default:
			return "", 0, false
		}
	}
	return "", 0, false
}

// A set is records of one type with the signatures over them.
type set struct {
	records    []dnssec.RR
	raw        []dnssec.RR // the signatures' records
	signatures []signature
}

type signature struct {
	labels uint8
	signer string
}

func (s *set) all() []dnssec.RR { return append(s.records[:len(s.records):len(s.records)], s.raw...) }

// pick returns the records of a type at the names that fit, and the signatures over them.
func pick(list []dnssec.RR, typ uint16, fits func(name string) bool) *set {
	s := &set{}
	for _, r := range list {
		switch {
		case !fits(r.Name):
		case r.Type == typ:
			s.records = append(s.records, r)
		case r.Type == typeRRSIG && len(r.Data) > 18 && binary.BigEndian.Uint16(r.Data) == typ:
			// A signer's name is not compressed (RFC 4034 section 3.1.7).
			if signer, _, ok := readName(r.Data[18:], 0); ok {
				s.raw = append(s.raw, r)
				s.signatures = append(s.signatures, signature{r.Data[3], signer})
			}
		}
	}
	return s
}

// wireName returns a domain in wire form.
func wireName(domain string) string {
	var b strings.Builder
	for label := range strings.SplitSeq(domain, ".") {
		b.WriteByte(byte(len(label)))
		b.WriteString(label)
	}
	return b.String() + root
}

// textName returns a name that is above one that wireName has made.
func textName(name string) string {
	var list []string
	for ; name != root; name = parent(name) {
		list = append(list, name[1:1+name[0]])
	}
	if list == nil {
		return "."
	}
	return strings.Join(list, ".")
}

func parent(name string) string { return name[1+name[0]:] }

func labels(name string) (n int) {
	for ; name != root; name = parent(name) {
		n++
	}
	return n
}
