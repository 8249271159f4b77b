package entry

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
)

// Forms of times and dates, as package time writes layouts. Both are UTC and
// lie in the years 1970 to 9999.
const (
	TimeFormat = "2006-01-02T15:04:05.000Z"
	DateFormat = "2006-01-02"
)

// A printer appends lines to b and counts them. It prints whatever is set, in
// the fixed order, and judges nothing: that is the parser's part.
type printer struct {
	b     []byte
	lines int
}

// printers are for texts that are hashed or compared and not kept.
var printers = sync.Pool{New: func() any { return &printer{b: make([]byte, 0, 2048)} }}

func (p *printer) text(e *Entry) {
	p.b = append(p.b, headerPrefix...)
	p.b = append(p.b, e.Body.Kind()...)
	p.b = append(p.b, headerSuffix...)
	p.end()
	p.str("ledger", e.Ledger)
	signed := !e.Body.Kind().ByLog()
	if e.Previous != nil {
		p.hash("previous", *e.Previous)
	} else if signed && !e.Genesis {
		p.str("previous", "none")
	}
	e.Body.print(p)
	if signed || e.Signer != "" {
		p.str("signer", e.Signer)
	}
	for _, ref := range e.Keys {
		p.ref("key", ref)
	}
	if signed || e.Date != "" {
		p.str("date", e.Date)
	}
}

func (p *printer) note(e *Entry) {
	p.text(e)
	blank := true
	for i := range e.Signatures {
		s := &e.Signatures[i]
		if len(s.Sig) == 0 {
			continue
		}
		if blank {
			p.end()
			blank = false
		}
		p.signature(s)
	}
}

func (p *printer) signature(s *Signature) {
	p.b = append(p.b, signaturePrefix...)
	p.b = append(p.b, s.Name...)
	p.b = append(p.b, ' ')
	// The key ID goes in front of the signature inside the base64, so encode
	// what stands in front of the first whole group of three bytes by itself.
	head := binary.BigEndian.AppendUint32(make([]byte, 0, 6), s.KeyID)
	n := min(2, len(s.Sig))
	head = append(head, s.Sig[:n]...)
	p.b = base64.StdEncoding.AppendEncode(p.b, head)
	p.b = base64.StdEncoding.AppendEncode(p.b, s.Sig[n:])
	p.end()
}

func (c *Charter) print(p *printer) {
	p.str("rules", rules)
	p.optional("title", c.Title)
	p.optional("operator", c.Operator)
	p.publicKeys("public-key", c.PublicKeys)
	for _, domain := range c.Publishers {
		p.str("publisher", domain)
	}
	if c.Admission.Operator {
		p.str("admission", admissionOperator)
	}
	if c.Admission.Vouched != 0 {
		p.begin("admission")
		p.word(admissionVouched)
		p.number(int64(c.Admission.Vouched))
		p.end()
	}
	if c.Admission.DNSSEC {
		p.str("admission", admissionDNSSEC)
	}
	p.optional("roll", c.Roll)
	p.vouchers(c.Vouchers)
}

func (s *Statement) print(p *printer) {
	p.str("action", string(s.Action))
	p.hash("statement", s.Statement)
	p.optional("title", s.Title)
	p.optional("language", s.Language)
	p.optional("media-type", s.MediaType)
	p.optionalNumber("size", s.Size)
	for i := range s.Renditions {
		r := &s.Renditions[i]
		p.begin("rendition")
		p.word(r.Language)
		p.b = r.Hash.append(append(p.b, ' '))
		p.number(r.Size)
		p.word(r.MediaType)
		p.end()
	}
	if s.Supersedes != nil {
		p.hash("supersedes", *s.Supersedes)
	}
	if !s.Closes.IsZero() {
		p.time("closes", s.Closes)
	}
}

func (m *Membership) print(p *printer) {
	p.str("action", string(m.Action))
	p.str("member", m.Member)
	p.optional("name", m.Name)
	p.optional("legal-name", m.LegalName)
	p.publicKeys("public-key", m.PublicKeys)
	p.publicKeys("recovery-key", m.RecoveryKeys)
	p.optionalNumber("quorum", int64(m.Quorum))
	p.vouchers(m.Vouchers)
}

func (n *Endorsement) print(p *printer) {
	p.str("action", string(n.Action))
	p.hash("statement", n.Statement)
	for i := range n.Renditions {
		p.begin("rendition")
		p.word(n.Renditions[i].Language)
		p.b = n.Renditions[i].Hash.append(append(p.b, ' '))
		p.end()
	}
	p.begin("after")
	p.b = strconv.AppendUint(append(p.b, ' '), n.After.Size, 10)
	p.b = n.After.Note.append(append(p.b, ' '))
	p.end()
}

func (k *KeyEvent) print(p *printer) {
	p.str("action", string(k.Action))
	p.str("member", k.Member)
	if k.PublicKey != nil {
		p.publicKey("public-key", k.PublicKey)
	}
	if k.Revokes != nil {
		p.ref("revokes", *k.Revokes)
	}
	if k.CompromisedAfter != nil {
		p.unsigned("compromised-after", *k.CompromisedAfter)
	}
}

func (r *Roll) print(p *printer) {
	p.hash("statement", r.Statement)
	p.unsigned("size", r.Size)
	p.time("asof", r.AsOf)
	p.unsigned("count", r.Count)
	p.begin("root")
	p.b = base64.StdEncoding.AppendEncode(append(p.b, ' '), r.Root[:])
	p.end()
}

// evidenceLine is how many bytes a data line holds, the last one aside.
const evidenceLine = 48

func (v *Evidence) print(p *printer) {
	if v.Member == "" || v.Size != 0 {
		p.begin("about")
		p.word(aboutCheckpoint)
		p.b = strconv.AppendUint(append(p.b, ' '), v.Size, 10)
		p.end()
	}
	if v.Member != "" {
		p.begin("about")
		p.word(aboutMember)
		p.word(v.Member)
		p.end()
	}
	p.str("type", string(v.Type))
	for rest := v.Data; len(rest) > 0; {
		line := rest[:min(evidenceLine, len(rest))]
		rest = rest[len(line):]
		p.begin("data")
		p.b = base64.StdEncoding.AppendEncode(append(p.b, ' '), line)
		p.end()
	}
}

func (p *printer) unsigned(name string, n uint64) {
	p.begin(name)
	p.b = strconv.AppendUint(append(p.b, ' '), n, 10)
	p.end()
}

func (p *printer) publicKeys(name string, list []PublicKey) {
	for i := range list {
		p.publicKey(name, &list[i])
	}
}

func (p *printer) publicKey(name string, k *PublicKey) {
	p.begin(name)
	p.word(string(k.Suite))
	p.b = base64.StdEncoding.AppendEncode(append(p.b, ' '), k.SPKI)
	p.end()
}

func (p *printer) vouchers(list []Named) {
	for i := range list {
		p.begin("voucher")
		p.word(list[i].Domain)
		p.key(list[i].Ref)
		p.end()
	}
}

func (p *printer) ref(name string, ref keys.Ref) {
	p.begin(name)
	p.key(ref)
	p.end()
}

func (p *printer) key(ref keys.Ref) {
	p.word(string(ref.Suite))
	p.b = Hash(ref.Fingerprint).append(append(p.b, ' '))
}

func (p *printer) hash(name string, h Hash) {
	p.begin(name)
	p.b = h.append(append(p.b, ' '))
	p.end()
}

func (p *printer) time(name string, t time.Time) {
	p.begin(name)
	p.b = appendTime(append(p.b, ' '), t)
	p.end()
}

func (p *printer) str(name, value string) {
	p.begin(name)
	p.word(value)
	p.end()
}

func (p *printer) optional(name, value string) {
	if value != "" {
		p.str(name, value)
	}
}

func (p *printer) optionalNumber(name string, n int64) {
	if n != 0 {
		p.begin(name)
		p.number(n)
		p.end()
	}
}

func (p *printer) begin(name string)  { p.b = append(p.b, name...) }
func (p *printer) word(value string)  { p.b = append(append(p.b, ' '), value...) }
func (p *printer) number(value int64) { p.b = strconv.AppendInt(append(p.b, ' '), value, 10) }

func (p *printer) end() {
	p.b = append(p.b, '\n')
	p.lines++
}

// appendTime prints t to the millisecond, or to the nanosecond if it is not a
// whole one: a form that parsers refuse, so that Check finds it.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		return t.AppendFormat(b, "2006-01-02T15:04:05.000000000Z")
	}
	return t.AppendFormat(b, TimeFormat)
}

// FormatTime returns t as entries and leaves show it, cut to the millisecond.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeFormat) }
