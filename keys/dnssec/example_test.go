package dnssec_test

import (
	"fmt"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
)

func ExampleVerify() {
	// A DNS of our own, signed for two weeks. In earnest a chain comes from ledger/collector, and the anchors from RootAnchors.
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	d := dnssectest.New(noon.Add(-time.Hour), noon.AddDate(0, 0, 14))
	d.Zone("example", dnssectest.Options{})
	d.Zone("our.example", dnssectest.Options{})
	d.Publish("our.example", dnssec.Record{Ledger: "ledger.example/tccm", Key: keys.Fingerprint{0xe4}})
	chain, _, err := d.Chain("our.example", noon)
	if err != nil {
		fmt.Println(err)
		return
	}

	r, err := dnssec.Verify("our.example", chain, d.Anchors(), noon)
	fmt.Println(r.Outcome, "by", r.Zone, "until", r.NotAfter.Format(time.DateOnly), err)
	fmt.Println(r.Records[0])
	fmt.Println(r.Publishes("ledger.example/tccm", keys.Fingerprint{0xe4}), r.Publishes("another.example", keys.Fingerprint{0xe4}))

	_, err = dnssec.Verify("our.example", chain, d.Anchors(), noon.AddDate(0, 0, 15))
	fmt.Println(err)
	chain[len(chain)-1] ^= 1
	_, err = dnssec.Verify("our.example", chain, d.Anchors(), noon)
	fmt.Println(err)
	// Output:
	// published by our.example until 2026-12-07 <nil>
	// v=undersigned1; ledger=ledger.example/tccm; k=sha256:e400000000000000000000000000000000000000000000000000000000000000
	// true false
	// dnssec: the signatures are valid from 2026-11-23T11:00:00Z to 2026-12-07T12:00:00Z and not at the time in question
	// dnssec: a signature is not good
}
