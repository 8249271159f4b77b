package ledger_test

import (
	"testing"

	"github.com/tccm/undersigned/verify/entry"
)

func TestServe(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("We stand by this.\n")
	e := h.endorsement(entry.Endorse, o, hash, h.after())
	r := h.must(e)[0]
	if r.Index != 3 || !r.Stands || r.ID != e.ID() {
		t.Fatalf("%+v", r)
	}
	h.audited()
	h.check()
	h.reopen()
	h.audited()
	if r := h.submit(e)[0]; r.Index != 3 || !r.Duplicate || !r.Stands || !r.Published {
		t.Fatalf("%+v", r)
	}
}
