package witness

import (
	"fmt"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Anybody can ask again for what was cosigned, as often as they like. That costs the disk one write a second.
func TestAskedAgain(t *testing.T) {
	b := newBench(t)
	h := leavesOf(5, "a")
	writes := func() (id int) {
		t.Helper()
		if err := b.state.db.View(func(tx *bolt.Tx) error { id = tx.ID(); return nil }); err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := b.must(b.body(h, 0, 3))
	kept := writes()
	asked := 0
	b.judge = func([]byte) error { asked++; return nil }
	for range 5 {
		if again := b.must(b.body(h, 3, 3)); again != first {
			t.Error("the same second's cosignatures are others")
		}
	}
	if writes() != kept || asked > 0 {
		t.Errorf("%d writes, judged %d times", writes()-kept, asked)
	}
	b.now = b.now.Add(time.Second)
	if later := b.must(b.body(h, 3, 3)); later == first || writes() == kept {
		t.Error("a second later the cosignatures are the same")
	}
	// What was only read need not be on the disk.
	b.reopen()
	kept = writes()
	b.must(b.body(h, 3, 3))
	if writes() == kept {
		t.Error("after a restart nothing is written")
	}
}

// Anybody can leave out a signature of the log. What the witness shows keeps it.
func TestSignatureLeftOut(t *testing.T) {
	b := newBench(t)
	c := leavesOf(5, "a").checkpoint(t, 3)
	b.must((&request{note: b.note(c, b.log...)}).bytes())
	b.now = b.now.Add(time.Second)
	b.must((&request{old: 3, note: b.note(c, b.log[1])}).bytes())
	_, note := b.get()
	if seen, err := b.policy().Open(note); err != nil || len(seen.LogKeys) != 2 {
		t.Errorf("%+v, %v", seen, err)
	}
}

// Who is faster than the log, within a second, and leaves out a signature of it, does not keep the log's own from what the witness shows.
func TestSignatureLeftOutFirst(t *testing.T) {
	b := newBench(t)
	c := leavesOf(5, "a").checkpoint(t, 3)
	b.must((&request{note: b.note(c, b.log[1])}).bytes())
	b.must((&request{old: 3, note: b.note(c, b.log...)}).bytes())
	_, note := b.get()
	if seen, err := b.policy().Open(note); err != nil || len(seen.LogKeys) != 2 {
		t.Errorf("%+v, %v", seen, err)
	}
}

// A log can make proofs against itself without end.
func TestEvidenceIsBounded(t *testing.T) {
	b := newBench(t)
	b.must(b.body(leavesOf(3, "a"), 0, 3))
	for i := range maxEvidence + 5 {
		if status, _, _ := b.post(b.body(leavesOf(3, fmt.Sprint(i)), 3, 3)); status != 422 {
			t.Fatal(status)
		}
	}
	if len(b.found) != maxEvidence {
		t.Errorf("%d proofs are handed on", len(b.found))
	}
}
