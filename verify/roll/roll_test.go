package roll_test

import (
	"testing"

	"github.com/tccm/undersigned/verify/roll/rolltest"
)

func TestStory(t *testing.T) {
	r := rolltest.New(t)
	apnic := rolltest.NewOrg("apnic.net", 2, 1, 2)
	r.Register(apnic)
	h := r.Publish("We stand by this.\n")
	i := r.Endorse(apnic, h)
	standing := r.State.Standing(h)
	if len(standing) != 1 || standing[0].Domain != "apnic.net" || standing[0].Index != i {
		t.Errorf("standing: %+v", standing)
	}
	r.Withdraw(apnic, h)
	if len(r.State.Standing(h)) != 0 {
		t.Error("still standing")
	}
}
