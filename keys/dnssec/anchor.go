package dnssec

import (
	"time"

	"github.com/tccm/undersigned/keys/dnssec/internal/root"
)

// An Anchor is a key of the root zone that is trusted from the start, by the digest of its DNSKEY record
// (RFC 4034 section 5.1.4).
type Anchor struct {
	KeyTag     uint16
	Algorithm  uint8
	DigestType uint8 // 2 or 4
	Digest     string
	From       time.Time // in force from here
	Until      time.Time // to just before here; zero: no end is known
}

func (a *Anchor) inForce(at time.Time) bool {
	return !at.Before(a.From) && (a.Until.IsZero() || at.Before(a.Until))
}

// RootAnchors returns the anchors of the DNS root that rules 1 know, with their dates as IANA publishes them
// (https://data.iana.org/root-anchors/root-anchors.xml): KSK-2017 and KSK-2024. The caller owns the slice.
func RootAnchors() []Anchor {
	anchors := root.Anchors()
	list := make([]Anchor, len(anchors))
	for i, a := range anchors {
		list[i] = Anchor(a)
	}
	return list
}
