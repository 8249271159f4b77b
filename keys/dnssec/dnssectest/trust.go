package dnssectest

import (
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/internal/root"
)

// Trust has dnssec.RootAnchors return these anchors too, until the process ends: so a whole ledger, which takes no other anchors, can be tried
// with a DNS in memory. No program that is not a test may link this package, and a test holds them to that.
func Trust(anchors ...dnssec.Anchor) {
	list := make([]root.Anchor, len(anchors))
	for i, a := range anchors {
		list[i] = root.Anchor(a)
	}
	root.Add(list...)
}
