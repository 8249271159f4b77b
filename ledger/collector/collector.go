// Package collector asks a DNS resolver for the chain of signatures that proves which keys a domain publishes
// (package keys/dnssec), and hands it out in its one form, judged by the same function that everybody else judges it with.
//
// It walks up by signer: the TXT records at _undersigned.<domain>, the DNSKEY records of the zone that signed them, the DS
// records of that zone, the DNSKEY records of the zone that signed those, to the root. So it guesses no zone cuts, and a
// domain of three zones takes six questions. Where an answer is not signed it looks upwards for the delegation that
// proves why.
//
// The resolver is trusted for nothing. It is asked not to validate (CD), because an answer that it finds bad must be seen to be
// told about; what it leaves out or makes up shows as such.
package collector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
)

// MinValidity is how long a chain must remain valid to be handed out: a ledger has to record it, and witnesses to cosign that,
// well within it.
const MinValidity = 24 * time.Hour

const (
	maxQuestions = 96               // for one chain
	maxRecords   = 512              // that are kept for it
	maxTime      = 30 * time.Second // for all of it
)

// A Collector asks one resolver. It may be used by many goroutines.
type Collector struct {
	Resolver string           // host:port
	Anchors  []dnssec.Anchor  // nil: dnssec.RootAnchors
	Now      func() time.Time // nil: time.Now
	Timeout  time.Duration    // for one try of a question, of three; 0: 2 s
}

// A Kind says what keeps a domain's keys from being proven. Its values are stable.
type Kind string

const (
	Unreachable Kind = "resolver-unreachable" // no usable answer came
	Stripped    Kind = "signatures-missing"   // the answers have no signatures where there must be some
	Alias       Kind = "alias"                // CNAME or DNAME at the name
	Wildcard    Kind = "wildcard"             // the answer was made from a wildcard
	OtherZone   Kind = "other-zone"           // signed by a zone other than the domain's own
	Bogus       Kind = "bad-signatures"       // the signatures do not hold, or there is too much to check
	NotValid    Kind = "not-valid-now"        // the signatures hold, but not now
	Expiring    Kind = "about-to-expire"      // they hold, but not for MinValidity
)

// An Error says why there is no chain.
type Error struct {
	Kind   Kind
	Zone   string         // if Kind is OtherZone, and the signer is above the domain, or the zone below it whose apex the name is: the zone
	Result *dnssec.Result // if Kind is Expiring: what the chain proves for now
	Err    error          // the cause, or nil
}

func (e *Error) Error() string {
	s := map[Kind]string{
		Unreachable: "the resolver gives no usable answer",
		Stripped:    "the resolver's answers lack signatures that must be there: it, or something on the way to it, takes them out",
		Alias:       "there is an alias (CNAME or DNAME) at the name, and keys must be published at the name itself",
		Wildcard:    "the answer comes from a wildcard record, and keys must be published at the name itself",
		OtherZone:   "the records are signed by a zone other than the domain's own",
		Bogus:       "the signatures do not hold",
		NotValid:    "the signatures are not valid now",
		Expiring:    "the signatures end within 24 hours",
	}[e.Kind]
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Collect returns the chain about a domain and what it proves now: that the domain published keys, that it published none, or that
// its zone is not signed. The chain is what [dnssec.Verify] takes, and valid for [MinValidity] from now at least.
//
// Errors are an *Error, that of [dnssec.CheckDomain], or that of the context.
func (c *Collector) Collect(ctx context.Context, domain string) ([]byte, *dnssec.Result, error) {
	if err := dnssec.CheckDomain(domain); err != nil {
		return nil, nil, err
	}
	within, cancel := context.WithTimeoutCause(ctx, maxTime, fmt.Errorf("it took longer than %v in all", maxTime))
	defer cancel()
	now, anchors := time.Now, c.Anchors
	if c.Now != nil {
		now = c.Now
	}
	if anchors == nil {
		anchors = dnssec.RootAnchors()
	}
	w := &walk{c: c, ctx: within, domain: domain, owner: wireName(dnssec.Owner(domain)), now: now, anchors: anchors}
	if err := w.leaf(); err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, err
	}
	at := now()
	chain, r, err := dnssec.Build(domain, w.records, anchors, at)
	var when *dnssec.TimeError
	switch {
	case errors.As(err, &when):
		return nil, nil, &Error{Kind: NotValid, Err: err}
	case err != nil:
		return nil, nil, &Error{Kind: Bogus, Err: err}
	case r.NotAfter.Before(at.Add(MinValidity)):
		return nil, nil, &Error{Kind: Expiring, Result: r, Err: fmt.Errorf("on %s", r.NotAfter.Format(time.RFC3339))}
	}
	return chain, r, nil
}

// Signed says whether a domain shows keys (DNSKEY records): whether its zone is signed, though the zone above may not say so. It is a hint
// for people, and proves nothing.
func (c *Collector) Signed(ctx context.Context, domain string) (bool, error) {
	if err := dnssec.CheckDomain(domain); err != nil {
		return false, err
	}
	name := wireName(domain)
	m, err := c.ask(ctx, name, typeDNSKEY)
	if err != nil {
		return false, &Error{Kind: Unreachable, Err: err}
	}
	return len(pick(m.answer, typeDNSKEY, func(n string) bool { return n == name }).signatures) > 0, nil
}

// A walk gathers the records of one chain.
type walk struct {
	c       *Collector
	ctx     context.Context
	domain  string
	owner   string // in wire form and lower case, as all names here
	now     func() time.Time
	anchors []dnssec.Anchor
	asked   int
	records []dnssec.RR
}

func (w *walk) ask(name string, typ uint16) (*message, error) {
	if w.asked++; w.asked > maxQuestions {
		return nil, &Error{Kind: Bogus, Err: errors.New("the answers lead to more than 96 questions")}
	}
	m, err := w.c.ask(w.ctx, name, typ)
	if err != nil {
		return nil, &Error{Kind: Unreachable, Err: err}
	}
	return m, nil
}

// keep adds records to those of the chain.
func (w *walk) keep(records []dnssec.RR) error {
	if w.records = append(w.records, records...); len(w.records) > maxRecords {
		return &Error{Kind: Bogus, Err: errors.New("the answers have more than 512 records")}
	}
	return nil
}

// leaf asks for the domain's records and goes up from there.
func (w *walk) leaf() error {
	m, err := w.ask(w.owner, typeTXT)
	if err != nil {
		return err
	}
	for _, r := range m.answer {
		if r.Type == typeCNAME || r.Type == typeDNAME {
			return &Error{Kind: Alias}
		}
	}
	texts := pick(m.answer, typeTXT, func(name string) bool { return name == w.owner })
	if len(texts.records) == 0 {
		return w.denial(m, parent(w.owner), true)
	}
	if len(texts.signatures) == 0 {
		return w.unsigned(parent(w.owner))
	}
	for _, sig := range texts.signatures {
		if int(sig.labels) < labels(w.owner) {
			return &Error{Kind: Wildcard}
		}
	}
	switch signer, ok := w.signer(texts); {
	case !ok:
		return &Error{Kind: OtherZone}
	case signer != parent(w.owner):
		// It counts for nothing, but if no signatures lead to that zone, that is proven.
		if done, err := w.settled(w.up(signer)); done || err != nil {
			return err
		}
		return &Error{Kind: OtherZone, Zone: textName(signer)}
	default:
		if err := w.keep(texts.all()); err != nil {
			return err
		}
		return w.up(signer)
	}
}

// settled says whether the way on which err came up, or nil, led to something that is proven. If not, the walk is as if that way had not been
// tried. The error is one after which nothing else need be.
func (w *walk) settled(err error) (bool, error) {
	var e *Error
	if errors.As(err, &e) && e.Kind == Unreachable {
		return false, err
	}
	if err == nil {
		if _, _, err = dnssec.Build(w.domain, w.records, w.anchors, w.now()); err == nil {
			return true, nil
		}
	}
	w.records = nil
	return false, nil
}

// up goes from a zone whose signatures are there to the root.
func (w *walk) up(zone string) error {
	for {
		m, err := w.ask(zone, typeDNSKEY)
		if err != nil {
			return err
		}
		keys := pick(m.answer, typeDNSKEY, func(name string) bool { return name == zone })
		if len(keys.records) == 0 || len(keys.signatures) == 0 {
			return &Error{Kind: Stripped}
		}
		if err := w.keep(keys.all()); err != nil || zone == root {
			return err
		}
		if m, err = w.ask(zone, typeDS); err != nil {
			return err
		}
		ds := pick(m.answer, typeDS, func(name string) bool { return name == zone })
		if len(ds.records) == 0 {
			return w.denial(m, zone, false)
		}
		signer, ok := w.signer(ds)
		if !ok || len(signer) >= len(zone) { // both lead to the domain's name: it is not above
			return &Error{Kind: Stripped}
		}
		if err := w.keep(ds.all()); err != nil {
			return err
		}
		zone = signer
	}
}

// denial starts anew from a message that denies records: of the domain (itself), or the DS records of a zone. Without
// signatures in it the reason lies further up.
func (w *walk) denial(m *message, zone string, itself bool) error {
	signer, all := w.denied(m)
	if all == nil {
		if !itself {
			if zone == root {
				return &Error{Kind: Stripped}
			}
			zone = parent(zone)
		}
		return w.unsigned(zone)
	}
	if !itself && len(signer) >= len(zone) { // what a zone says of its own DS records leads round and round
		return &Error{Kind: Stripped}
	}
	w.records = nil
	if err := w.keep(all); err != nil {
		return err
	}
	return w.up(signer)
}

// denied returns the records of denial in a message, and who signed them; none if nobody did.
func (w *walk) denied(m *message) (signer string, all []dnssec.RR) {
	for _, typ := range []uint16{typeNSEC, typeNSEC3} {
		set := pick(m.authority, typ, func(string) bool { return true })
		if s, ok := w.signer(set); ok && len(set.records) > 0 {
			signer = s
			all = append(all, set.all()...)
		}
	}
	return signer, all
}

// unsigned looks for the delegation, at a name or above it, that explains why an answer has no signature.
func (w *walk) unsigned(name string) error {
	for ; name != root; name = parent(name) {
		m, err := w.ask(name, typeDS)
		if err != nil {
			return err
		}
		if ds := pick(m.answer, typeDS, func(n string) bool { return n == name }); len(ds.signatures) > 0 {
			if name == parent(w.owner) {
				return w.handedOn()
			}
			return &Error{Kind: Stripped}
		}
		denied := pick(m.authority, typeNSEC, func(string) bool { return true })
		hashed := pick(m.authority, typeNSEC3, func(string) bool { return true })
		if len(denied.signatures)+len(hashed.signatures) > 0 {
			return w.denial(m, name, false)
		}
	}
	return &Error{Kind: Stripped}
}

// handedOn looks whether the domain's own zone, which is signed, hands the name of the records on to one that is not. It is asked last: servers of
// zones that are not signed need not know what a DS record is. That there is no DS record explains nothing where the zone says that it has the
// TXT records itself.
func (w *walk) handedOn() error {
	m, err := w.ask(w.owner, typeDS)
	if err != nil {
		return err
	}
	if _, all := w.denied(m); all != nil {
		if done, err := w.settled(w.denial(m, w.owner, false)); done || err != nil {
			return err
		}
	}
	return &Error{Kind: Stripped}
}

// signer returns the zone that signed a set, if that is one in which the domain's name is.
func (w *walk) signer(s *set) (string, bool) {
	for _, sig := range s.signatures {
		for n := w.owner; ; n = parent(n) {
			if n == sig.signer {
				return n, true
			}
			if n == root {
				break
			}
		}
	}
	return "", false
}
