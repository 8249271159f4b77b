package entry

import (
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
}

// Bytes returns the leaf as it is logged. The caller owns it.
func (l *Leaf) Bytes() []byte {
	p := printer{b: make([]byte, 0, 1024+256*len(l.Entry.Signatures))}
	p.b = append(p.b, leafHeader...)
	p.end()
	p.time("admitted", l.Admitted)
	p.end()
	p.note(l.Entry)
	return p.b
}

// ParseLeaf reads a leaf, at most MaxLeaf bytes. The errors are those of
// ParseText; an evidence line of any type is an *UnknownError.
func ParseLeaf(b []byte) (*Leaf, error) {
	p := newParser(b, MaxLeaf, problemLeafSize)
	p.leafHeader()
	admitted, ok := parseTime(p.field("admitted", formAdmitted))
	if !ok {
		p.fail(problemTime)
	}
	p.empty()
	e := p.entry()
	switch {
	case !e.byLog():
		p.signatures(e)
		if p.peek() {
			p.evidence()
		}
	case p.peek():
		p.fail(problemAfterMade)
	}
	if p.err != nil {
		return nil, p.err
	}
	return &Leaf{admitted, e}, nil
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

func (p *parser) evidence() {
	if p.cur != "" {
		p.fail(problemAfterLeaf)
	}
	p.held = false
	if !p.peek() {
		p.fail(problemAfterLeaf)
	}
	if kind, data, _ := strings.Cut(p.cur, " "); data == "" || !isToken(kind, 32, "-") {
		p.fail(problemEvidence)
	}
	p.unknown(unknownAttachment)
}
