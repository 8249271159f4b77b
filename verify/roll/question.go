package roll

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// A Question is about the signatures of entries that are to be applied, for somebody who has nothing of the record: another process that
// runs this code (Answerer). It has a part for each entry, and so has the answer; * is bytes behind their number, as numbers are, a varint.
//
//	part*   origin* text* n { place known suite* spki* domain* keyid sig* }n
//	answer  SHA-256(part) n { 1: the key is sound, and the signature is its own; 0: nothing is said }n
//
//	place   of the signature line, from 0
//	known   1: the key was judged when it was registered; 0: it comes with one of the entries
//	keyid   4 bytes
//
// So an answer says yes, about the very bytes that it names, or nothing, and then the signature is checked when the entry is applied.
type Question struct {
	parts  []part
	coming []keys.Ref // the keys that come with the entries
}

type part struct {
	bytes []byte // nil: there is nothing to ask
	found *Signatures
	asked []asked
}

// asked is a signature that is asked about.
type asked struct {
	place int
	key   *keys.PublicKey // nil: it comes
	line  entry.PublicKey // as it comes
	sig   entry.Signature
}

// An Asker asks about entries before those before them are applied. One goroutine at a time uses it.
type Asker struct {
	state  *State
	coming map[keys.Ref]entry.PublicKey
}

// Asker returns an Asker that has not asked anything.
func (s *State) Asker() *Asker {
	return &Asker{s, make(map[keys.Ref]entry.PublicKey)}
}

// Ask returns the question about entries, some of which may be nil. It asks about signatures by keys that are registered by now, or come with an
// entry that it was asked about before, or with one of these.
func (a *Asker) Ask(entries []*entry.Entry) *Question {
	q := &Question{parts: make([]part, len(entries))}
	for _, e := range entries {
		if e == nil || e.Body == nil {
			continue
		}
		for _, line := range registers(e.Body) {
			ref := line.Ref()
			a.coming[ref] = line
			q.coming = append(q.coming, ref)
		}
	}
	for i, e := range entries {
		q.parts[i] = a.part(e)
	}
	return q
}

// Applied tells that the entries of a question have been applied, or never will be.
func (a *Asker) Applied(q *Question) {
	for _, ref := range q.coming {
		delete(a.coming, ref)
	}
}

func (a *Asker) part(e *entry.Entry) part {
	if e == nil || e.Body == nil {
		return part{}
	}
	text := e.Text()
	found, named := a.state.unchecked(e, text)
	if found == nil {
		return part{}
	}
	p := part{found: found}
	for i, n := range named {
		s := asked{place: i, key: found.checks[i].public, sig: e.Signatures[i]}
		if s.key == nil {
			var ok bool
			if s.line, ok = a.coming[n.Ref]; !ok {
				continue
			}
		}
		p.asked = append(p.asked, s)
	}
	if len(p.asked) == 0 {
		return part{}
	}
	p.bytes = appendBytes(appendBytes(nil, []byte(a.state.origin)), text)
	p.bytes = binary.AppendUvarint(p.bytes, uint64(len(p.asked)))
	for _, s := range p.asked {
		known, suite, spki := byte(0), s.line.Suite, s.line.SPKI
		if s.key != nil {
			known, suite, spki = 1, s.key.Suite(), s.key.SPKI()
		}
		p.bytes = append(binary.AppendUvarint(p.bytes, uint64(s.place)), known)
		for _, field := range [][]byte{[]byte(suite), spki, []byte(named[s.place].Domain)} {
			p.bytes = appendBytes(p.bytes, field)
		}
		p.bytes = appendBytes(binary.BigEndian.AppendUint32(p.bytes, s.sig.KeyID), s.sig.Sig)
	}
	return p
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// Bytes returns the question as it is put to an Answerer. It is empty if there is nothing to ask.
func (q *Question) Bytes() []byte {
	var b []byte
	for _, p := range q.parts {
		if p.bytes != nil {
			b = appendBytes(b, p.bytes)
		}
	}
	return b
}

// Answered returns what an answer says about each of the entries; nil: nothing.
func (q *Question) Answered(answer []byte) []*Signatures {
	all := make([]*Signatures, len(q.parts))
	for i, p := range q.parts {
		if p.bytes == nil {
			continue
		}
		size := sha256.Size + 1 + len(p.asked)
		if len(answer) < size {
			return all
		}
		said, sum := answer[:size], sha256.Sum256(p.bytes)
		answer = answer[size:]
		if !bytes.Equal(said[:sha256.Size], sum[:]) || int(said[sha256.Size]) != len(p.asked) {
			continue
		}
		for j, s := range p.asked {
			if said[sha256.Size+1+j] != 1 {
				continue
			}
			key := s.key
			if key == nil { // which the answer says is sound
				var err error
				if key, err = keys.AcceptedPublicKey(s.line.Suite, s.line.SPKI); err != nil {
					continue
				}
			}
			p.found.checks[s.place] = check{public: key, done: true, sig: bytes.Clone(s.sig.Sig), keyID: s.sig.KeyID, valid: true}
		}
		all[i] = p.found
	}
	return all
}

// maxRemembered bounds the keys that an Answerer remembers.
const maxRemembered = 256

var errQuestion = errors.New("roll: this is not a question about signatures")

// An Answerer answers questions about signatures. One goroutine at a time uses it.
type Answerer struct {
	remembered map[judged]*keys.PublicKey // keys that take time to be judged
}

// judged names a key, and whether it was judged when it was registered.
type judged struct {
	ref   keys.Ref
	known bool
}

// NewAnswerer returns an Answerer that remembers nothing.
func NewAnswerer() *Answerer {
	return &Answerer{make(map[judged]*keys.PublicKey)}
}

// Answer answers a question. The error is that it is none.
func (a *Answerer) Answer(question []byte) (answer []byte, err error) {
	for len(question) > 0 {
		r := reader{question}
		part := r.bytes()
		if r.bad() {
			return nil, errQuestion
		}
		question = r.rest
		if answer, err = a.part(answer, part); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func (a *Answerer) part(answer, part []byte) ([]byte, error) {
	sum := sha256.Sum256(part)
	r := reader{part}
	origin, text, n := string(r.bytes()), r.bytes(), r.number()
	if r.bad() || n > entry.MaxKeys+entry.MaxVouchers {
		return nil, errQuestion
	}
	answer = append(append(answer, sum[:]...), byte(n))
	for range n {
		r.number()
		known, suite, spki, domain := r.number(), r.bytes(), r.bytes(), r.bytes()
		id, sig := r.fixed(4), r.bytes()
		if r.bad() || known > 1 {
			return nil, errQuestion
		}
		yes := byte(0)
		if key := a.key(entry.PublicKey{Suite: keys.Suite(suite), SPKI: spki}, known == 1); key != nil {
			line := entry.Signature{Name: string(domain), KeyID: binary.BigEndian.Uint32(id), Sig: sig}
			if verifies(origin, key, line.Name, line, text) {
				yes = 1
			}
		}
		answer = append(answer, yes)
	}
	if len(r.rest) > 0 {
		return nil, errQuestion
	}
	return answer, nil
}

// key returns the key of a line; nil: it is not sound.
func (a *Answerer) key(line entry.PublicKey, known bool) *keys.PublicKey {
	if known && line.Suite == keys.Ed25519 { // which costs nothing
		key, err := keys.AcceptedPublicKey(line.Suite, line.SPKI)
		if err != nil {
			return nil
		}
		return key
	}
	name := judged{line.Ref(), known}
	key, ok := a.remembered[name]
	if !ok {
		var err error
		if known {
			key, err = keys.AcceptedPublicKey(line.Suite, line.SPKI)
		} else {
			key, err = parseKey(line)
		}
		if err != nil {
			key = nil
		}
		if len(a.remembered) == maxRemembered {
			clear(a.remembered)
		}
		a.remembered[name] = key
	}
	return key
}

// A reader reads the fields of a question; nil after what is not there.
type reader struct{ rest []byte }

func (r *reader) bad() bool { return r.rest == nil }

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.rest = nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.rest = nil
		return nil
	}
	return r.fixed(int(n))
}

func (r *reader) fixed(n int) []byte {
	if r.rest == nil || n > len(r.rest) {
		r.rest = nil
		return nil
	}
	v := r.rest[:n:n]
	r.rest = r.rest[n:]
	return v
}
