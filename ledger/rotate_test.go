package ledger_test

import (
	"fmt"
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

func vkeysOf(signers []ledger.Signer) (vkeys []keys.VKey) {
	for _, s := range signers {
		vkeys = append(vkeys, s.VKey)
	}
	return vkeys
}

// TestRotate changes the log's keys twice, with no word of the operator about sizes. Notes verify
// against the keys of their time, and the old keys sign no more.
func TestRotate(t *testing.T) {
	h := newHouse(t, memory())
	o := h.join("apnic.net")
	hash := h.publish("text\n")
	receipt, err := h.ledger.Receipt(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	var retired []ledger.Retired
	lines := h.policyLines()
	for _, seed := range []string{"second", "third"} {
		from, to := h.cfg.Signers, logSigners(t, seed)
		size := h.ledger.Published().Size
		h.close()
		h.config()
		if err := h.signed.Rotate(rolltest.Origin, vkeysOf(to), vkeysOf(to)); err == nil {
			t.Fatal("keys that never signed were retired")
		}
		if err := h.signed.Rotate("ledger.example/other", vkeysOf(from), vkeysOf(to)); err == nil {
			t.Fatal("the record of another ledger was changed")
		}
		if err := h.signed.Rotate(rolltest.Origin, vkeysOf(from), vkeysOf(to)); err != nil {
			t.Fatal(err)
		}
		for _, v := range vkeysOf(from) {
			retired = append(retired, ledger.Retired{VKey: v, Until: size})
		}
		h.close()
		if err := h.tryOpen(); err != nil || h.ledger.ReadOnly() == nil {
			t.Fatalf("the old keys may still sign: %v", err)
		}
		h.close()
		h.cfg.Signers = to
		h.open()
		h.must(h.many(o, hash, 1)...)
		h.must(h.many(o, hash, 1)...)
		lines = h.policyLines() + lines
	}
	policy, err := verify.ParsePolicy([]byte(lines + "quorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	report, err := verify.Audit(t.Context(), policy, h.ledger.Fetch, verify.AuditOptions{})
	if err != nil || !report.OK {
		t.Fatalf("%+v %v", report, err)
	}
	if _, err := policy.OpenPast(receipt.Checkpoint); err != nil {
		t.Errorf("a receipt from before: %v", err)
	}
	o1 := ledger.CheckOptions{Origin: rolltest.Origin, Logs: vkeysOf(h.cfg.Signers), Retired: retired, LastSigned: h.signed}
	flaws := func(name string, o ledger.CheckOptions, want int) {
		t.Helper()
		r, err := ledger.Check(t.Context(), h.store, o)
		if err != nil || r.FlawCount != want {
			t.Errorf("%s: %v %v, want %d flaws", name, r.Flaws, err, want)
		}
	}
	flaws("with all keys", o1, 0)
	flaws("with a policy", ledger.CheckOptions{Origin: rolltest.Origin, Policy: policy}, 0)
	newest, err := verify.ParsePolicy([]byte(h.policyLines() + "quorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	flaws("with a policy of the newest keys alone", ledger.CheckOptions{Origin: rolltest.Origin, Policy: newest}, 5)
	o2 := o1
	o2.Retired = nil
	flaws("without the retired keys", o2, 5)
	o2.Retired = retired[2:]
	flaws("without the first keys", o2, 3)
	o2.HashesOnly = true
	flaws("the newest note alone", o2, 0)
	// A note that retired keys signed after they had gone.
	c := h.ledger.Published()
	h.store = h.store.(*storetest.Memory).Clone()
	note := append(c.Text(), '\n')
	for _, s := range logSigners(t, "second") {
		sig, err := s.Sign(verify.SignedMessage(s.VKey, 1, c))
		if err != nil {
			t.Fatal(err)
		}
		if s.VKey.Type != keys.TypeEd25519 {
			sig = verify.TimestampedSignature(1, sig)
		}
		note = append(note, verify.SignatureLine(s.VKey, sig)...)
	}
	if err := h.store.Put(t.Context(), ledger.Object{Path: fmt.Sprintf("checkpoints/%d", c.Size), Data: note}); err != nil {
		t.Fatal(err)
	}
	flaws("signed by keys that had retired", o1, 1)
}
