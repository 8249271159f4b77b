package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

func TestAddEvidence(t *testing.T) {
	h := newHouse(t, memory())
	h.join("apnic.net")
	size := h.ledger.Published().Size
	v := &entry.Evidence{Type: entry.RFC3161, Size: size, Data: []byte("a token")}
	r := h.ledger.AddEvidence(t.Context(), v)
	if r.Err != nil || !r.Stored || !r.Published || r.Index != size || r.Duplicate || r.Admitted.IsZero() {
		t.Fatalf("%+v", r)
	}
	if again := h.ledger.AddEvidence(t.Context(), v); again.Err != nil || !again.Duplicate || again.Index != r.Index {
		t.Errorf("once more: %+v", again)
	}
	for name, c := range map[string]struct {
		v    entry.Evidence
		rule roll.Rule
	}{
		"of a checkpoint to come":            {entry.Evidence{Type: entry.RFC3161, Size: size + 10, Data: []byte("x")}, roll.RuleEvidence},
		"of a size that was never published": {entry.Evidence{Type: entry.RFC3161, Size: 0, Data: []byte("x")}, roll.RuleEvidence},
		"of nothing":                         {entry.Evidence{Type: entry.RFC3161, Size: size}, roll.RuleSyntax},
		"too large":                          {entry.Evidence{Type: entry.RFC3161, Size: size, Data: make([]byte, entry.MaxEvidence+1)}, roll.RuleSyntax},
	} {
		var refused *ledger.Refusal
		if r := h.ledger.AddEvidence(t.Context(), &c.v); !errors.As(r.Err, &refused) || refused.Rule != c.rule || r.Stored {
			t.Errorf("%s: %+v", name, r)
		}
	}
	// The largest that there can be is served and proven as everything else.
	big := h.ledger.AddEvidence(t.Context(), &entry.Evidence{Type: entry.RFC3161, Size: size, Data: make([]byte, entry.MaxEvidence)})
	if big.Err != nil || !big.Published {
		t.Fatalf("%+v", big)
	}
	if _, err := h.ledger.Receipt(t.Context(), big.Index); err != nil {
		t.Error(err)
	}
	h.catchUp()
	if n := len(h.rec.State.Stamps()); n != 2 {
		t.Errorf("%d time stamps", n)
	}
	h.audited()
	h.check()
	h.reopen()
	h.audited()
	l := h.ledger
	h.close()
	broken := h.store.(*storetest.Memory)
	if err := broken.Delete(t.Context(), fmt.Sprint("checkpoints/", size)); err != nil {
		t.Fatal(err)
	}
	report, err := ledger.Check(t.Context(), broken, ledger.CheckOptions{Origin: rolltest.Origin})
	if err != nil || report.FlawCount != 2 || !strings.Contains(report.Flaws[0].Problem, "the checkpoint note that it is about") {
		t.Errorf("%+v %v", report, err)
	}
	if r := l.AddEvidence(context.Background(), v); r.Err == nil {
		t.Error("a closed ledger takes evidence")
	}
}
