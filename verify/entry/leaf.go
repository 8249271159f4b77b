package entry

import (
	"encoding/base64"
	"strings"
	"time"
)

// MaxLeaf is the largest leaf in bytes: an entry bundle has 16 bits for its
// length (c2sp.org/tlog-tiles).
const MaxLeaf = 1<<16 - 1

// MaxEntry is the largest entry in bytes. Every entry fits into a leaf.
const MaxEntry = MaxLeaf - len(leafHeader+"\n"+"admitted "+TimeFormat+"\n"+"\n")

// A Leaf is what the log holds at one index: an entry, and when it was
// admitted. Its RFC 6962 leaf hash is over Bytes.
type Leaf struct {
	Admitted time.Time // by the sequencer's clock; UTC, whole milliseconds, the years 1970 to 9999
	Entry    *Entry    // complete, or made by the log
	Chain    []byte    // a DNSSEC chain (keys/dnssec) that came with it, at most MaxEvidence bytes; nil: none. See Entry.TakesChain
}

// Bytes returns the leaf as it is logged. The caller owns it.
func (l *Leaf) Bytes() []byte {
	p := printer{b: make([]byte, 0, 1024+256*len(l.Entry.Signatures))}
	p.b = append(p.b, leafHeader...)
	p.end()
	p.time("admitted", l.Admitted)
	p.end()
	p.submission(l.Entry, l.Chain)
	return p.b
}

func (p *printer) submission(e *Entry, chain []byte) {
	p.note(e)
	if len(chain) > 0 {
		p.end()
		p.begin(string(DNSSEC))
		p.b = base64.StdEncoding.AppendEncode(append(p.b, ' '), chain)
		p.end()
	}
}

// Submission returns an entry as it is submitted: its Bytes and, if there is a chain,
// an empty line and the chain's evidence line, as they will stand in the leaf. The caller owns it.
func Submission(e *Entry, chain []byte) []byte {
	p := printer{b: make([]byte, 0, 1024+256*len(e.Signatures)+2*len(chain))}
	p.submission(e, chain)
	return p.b
}

// ParseSubmission reads what Submission prints, at most MaxEntry bytes. The text is what Text returns of the entry: the beginning of b, whose
// memory it shares. The chain is nil if there is none. The errors are those of ParseText.
func ParseSubmission(b []byte) (e *Entry, text, chain []byte, err error) {
	p := newParser(b, MaxEntry, problemEntrySize)
	e = p.entry()
	n := p.taken()
	text = b[:n:n]
	p.bySomebody(e)
	p.signatures(e)
	if p.peek() {
		chain = p.evidence(e)
	}
	if p.err != nil {
		return nil, nil, nil, p.err
	}
	return e, text, chain, nil
}

// TakesChain reports whether a DNSSEC chain can come with the entry: it
// registers or updates a member, or adds or rotates a key.
func (e *Entry) TakesChain() bool {
	switch b := e.Body.(type) {
	case *Membership:
		return b.Action == Register || b.Action == Update
	case *KeyEvent:
		return b.Action == Add || b.Action == Rotate
	}
	return false
}

// ParseLeaf reads a leaf, at most MaxLeaf bytes. The errors are those of
// ParseText; an evidence line of another type than DNSSEC is an *UnknownError.
func ParseLeaf(b []byte) (*Leaf, error) {
	p := newParser(b, MaxLeaf, problemLeafSize)
	p.leafHeader()
	admitted, ok := parseTime(p.field("admitted", formAdmitted))
	if !ok {
		p.fail(problemTime)
	}
	p.empty()
	e := p.entry()
	var chain []byte
	switch {
	case !e.byLog():
		p.signatures(e)
		if p.peek() {
			chain = p.evidence(e)
		}
	case p.peek():
		p.fail(problemAfterMade)
	}
	if p.err != nil {
		return nil, p.err
	}
	return &Leaf{admitted, e, chain}, nil
}

func (p *parser) leafHeader() {
	if !p.peek() {
		p.expected(leafHeader)
	}
	p.held = false
	if p.cur == leafHeader {
		return
	}
	if kind, _ := cutHeader(p.cur); kind == "leaf" {
		p.unknown(unknownLeaf)
	}
	p.fail(problemLeafHeader)
}

// evidence takes the empty line after an entry's signature lines and the evidence line after it, and returns the chain in it.
func (p *parser) evidence(e *Entry) []byte {
	if p.cur != "" {
		p.fail(problemAfterLeaf)
	}
	p.held = false
	if !p.peek() {
		p.fail(problemAfterLeaf)
		return nil
	}
	kind, data, _ := strings.Cut(p.cur, " ")
	if data == "" || !isToken(kind, 32, "-") {
		p.fail(problemEvidence)
		return nil
	}
	if EvidenceType(kind) != DNSSEC {
		p.unknown(unknownAttachment)
		return nil
	}
	if !e.TakesChain() {
		p.fail(problemNoChain)
		return nil
	}
	chain, err := base64Encoding.DecodeString(data)
	switch {
	case err != nil:
		p.fail(problemBase64)
	case len(chain) > MaxEvidence:
		p.fail(problemChainSize)
	}
	p.held = false
	if p.peek() {
		p.fail(problemAfterChain)
	}
	return chain
}
