package check

import (
	"testing"

	"github.com/tccm/undersigned/verify"
)

// TestKeep: bundles at hand are bounded by their bytes, whoever made the record.
func TestKeep(t *testing.T) {
	r := &record{bundles: make(map[uint64][][]byte)}
	large := make([][]byte, verify.TileWidth)
	for i := range large {
		large[i] = make([]byte, verify.MaxEntry)
	}
	for i := range uint64(100) {
		r.keep(i, large[:1+i*41%verify.TileWidth])
		kept := 0
		for _, leaves := range r.bundles {
			for _, l := range leaves {
				kept += len(l)
			}
		}
		if _, ok := r.bundles[i]; !ok || kept > maxKept || kept != r.ready {
			t.Fatalf("after %d bundles %d bytes are kept, and %d counted", i+1, kept, r.ready)
		}
	}
	if len(r.bundles) < 2 {
		t.Error("nothing is kept")
	}
}
