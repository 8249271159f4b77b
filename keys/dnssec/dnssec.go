// Package dnssec judges a domain's own word on its keys: from the bytes of a chain of signatures,
// trust anchors and a time to "this domain published exactly these keys", "it published none", or
// "its zone is not signed". It holds no resolver and reads no clock and no network, so that a browser
// compiles it as it is, and a verdict of today can be repeated in ten years.
//
// A domain publishes one TXT record for each key and each ledger:
//
//	_undersigned.our.example. IN TXT "v=undersigned1; ledger=ledger.example/tccm; k=sha256:e4dd66b9…64 hex…"
//
// # The chain
//
// A chain is resource records (RFC 1035 section 4.1.3) one after the other, without anything between them, at
// most [MaxChain] bytes:
//
//	name, uint16 type, uint16 class (IN), uint32 TTL, uint16 length, that many bytes
//
// They form RRsets, each followed by the one RRSIG that covers it, from the root down:
//
//	.            DNSKEY  signed by a key of an anchor
//	example.     DS      signed by a key of the root
//	example.     DNSKEY  signed by a key of the DS
//	our.example. DS      signed by a key of example.
//	our.example. DNSKEY  signed by a key of the DS
//	_undersigned.our.example. TXT  signed by a key of our.example.
//
// Instead of the last set, or of a DS and what follows it, stand the NSEC or NSEC3 records that deny it, each with its
// RRSIG, in canonical order, and none that the denial does not need. A DS set that names no algorithm or digest of this package ends a chain
// too: the zone counts as not signed (RFC 4035 section 5.2).
//
// There is one form: names are uncompressed and in lower case, records of a set are in canonical order (RFC 4034
// section 6.3), the TTL is the original one, the s of an ECDSA signature is the smaller of its two values. So the
// bytes of a set are the bytes that were signed, and nobody without a zone's key can make another accepted chain out of one.
// [Build] makes this form from what a resolver answers.
//
// # What is refused though the DNS may allow it
//
// The keys must be signed by the domain's own zone, not by one above, whose keeper may be a competitor: the domain is
// the apex of a zone. An answer made from a wildcard, CNAME and DNAME are refused. Algorithms are RSA/SHA-256 (8), RSA/SHA-512 (10),
// ECDSA P-256 (13) and P-384 (14) and Ed25519 (15), digests of DS records SHA-256 (2) and SHA-384 (4). A revoked key (RFC 5011)
// signs nothing. RSA keys have 1024 to 4096 bits and an exponent below 2³¹.
package dnssec

import (
	"time"

	"github.com/tccm/undersigned/keys"
)

// Bounds of a chain. They bound the work too: at most maxChecks signatures are checked.
const (
	// MaxChain is the largest chain in bytes; a leaf has room for it.
	MaxChain = 24 << 10

	maxRecords    = 128 // signatures included
	maxChecks     = 32  // signatures, over a whole chain
	maxCandidates = 4   // keys with one tag and algorithm that a signature is tried with (KeyTrap, CVE-2023-50387)
	maxIterations = 100 // of NSEC3, RFC 9276
)

// An Outcome says what a chain proves.
type Outcome int

// The outcomes. Whatever else can be said of a chain is an error.
const (
	Published Outcome = iota + 1 // the domain's own zone signed the records at its name
	Absent                       // there are no TXT records at the name: the zone that has the say denies them, or the domain's own zone leaves the name to another, or to none (NSEC3 opt-out)
	Insecure                     // a zone at or above the domain is delegated without keys: nothing below it can be proven
)

func (o Outcome) String() string {
	switch o {
	case Published:
		return "published"
	case Absent:
		return "absent"
	case Insecure:
		return "insecure"
	}
	return "unknown"
}

// A Result is what a chain proves about a domain. Domains are written without a final dot; the root is ".".
type Result struct {
	Outcome Outcome
	Domain  string // as it was asked for
	Zone    string // that signed the last set. Published: the domain itself. Absent: if it is one above, that one says that the domain is no zone; if it is that of the name itself (Owner), the domain handed that to a zone below it
	Cut     string // if the outcome is Insecure: the name at or above which no keys begin

	// Records are all that the domain publishes, each once, if the outcome is Published: the set was signed as a whole.
	// Other counts the TXT records beside them that are not of this form.
	Records []Record
	Other   int

	// NotBefore and NotAfter bound when every signature of the chain, and the anchor, is valid. Both are included.
	NotBefore, NotAfter time.Time

	Zones      []string // that signed, from the root down
	Steps      []Step   // what each of them said, in their order
	Algorithms []uint8  // of the signatures, each once, ascending
	Anchor     Anchor   // that the chain hangs from
}

// A Step is what one zone says on the way down: that another one is below it (DS), or at the end the records, or that there are none.
// Each zone signs its sets anew when it likes. So of two answers about a domain the newer one is not that of the newer window, but that in which
// the zone that says something else was signed later.
type Step struct {
	Zone   string    // that signed it
	Signed time.Time // from when its signature is valid (inception), UTC. Of several records of denial: that of the one which denies the name, or the delegation, itself

	// Delegation is the SHA-256 of what leads on, whoever signed it and when: the name of the zone below, in wire form, and the RDATA of each DS record, in
	// canonical order, with its length (uint16, big-endian) before it. At the end it is zero.
	Delegation [32]byte
}

// Publishes says whether the domain published the key for the ledger.
func (r *Result) Publishes(ledger string, key keys.Fingerprint) bool {
	for _, x := range r.Records {
		if r.Outcome == Published && x == (Record{ledger, key}) {
			return true
		}
	}
	return false
}

// Names says whether the domain published any key for the ledger.
func (r *Result) Names(ledger string) bool {
	for _, x := range r.Records {
		if r.Outcome == Published && x.Ledger == ledger {
			return true
		}
	}
	return false
}

// A BogusError says why a chain proves nothing, now or ever: it is malformed, not in its one form, too much work, or
// its signatures do not hold. It repeats nothing of the chain.
type BogusError struct {
	Problem string // one of this package's own sentences
}

func (e *BogusError) Error() string { return "dnssec: " + e.Problem }

// A TimeError says that a chain holds, but not at the time that was asked about. If NotAfter is before NotBefore it holds at no time.
type TimeError struct {
	NotBefore, NotAfter time.Time
}

func (e *TimeError) Error() string {
	if e.NotAfter.Before(e.NotBefore) {
		return "dnssec: the signatures are never valid together"
	}
	return "dnssec: the signatures are valid from " + e.NotBefore.Format(time.RFC3339) + " to " + e.NotAfter.Format(time.RFC3339) + " and not at the time in question"
}

func bogus(problem string) error { return &BogusError{problem} }

// Verify returns what a chain proves about a domain at a time. Of the anchors those count that are in force then. A
// chain that proves anything in it is in the one form, byte for byte, and no larger than [MaxChain].
//
// Signatures outlive their keys' secrecy: a chain is evidence to whoever knows from elsewhere that it existed at the time. Who
// knows that time as a bracket asks for both ends.
//
// Errors are a *BogusError, a *TimeError, or that of [CheckDomain]. The work is bounded whatever the bytes are.
func Verify(domain string, chain []byte, anchors []Anchor, at time.Time) (*Result, error) {
	w, err := newWalk(domain, anchors, at)
	if err != nil {
		return nil, err
	}
	sets, err := parseChain(chain)
	if err != nil {
		return nil, err
	}
	for _, s := range sets {
		if err := w.step(s); err != nil {
			return nil, err
		}
	}
	used, err := w.end()
	if err != nil {
		return nil, err
	}
	if used != len(w.denial) {
		return nil, bogus(problemUnused)
	}
	return w.result()
}
