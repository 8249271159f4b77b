package witness

import (
	"bytes"
	"testing"
)

// ML-DSA-44 signatures do not cover extension lines, so that anybody could add some to a log's checkpoint.
func TestExtendedBySomebodyElse(t *testing.T) {
	b := newBench(t)
	h := leavesOf(5, "a")
	c := h.checkpoint(t, 3)
	post := func(text []byte, old uint64, lines ...[]byte) int {
		t.Helper()
		r := &request{old: old, note: append(append(bytes.Clone(text), '\n'), bytes.Join(lines, nil)...)}
		status, _, _ := b.post(r.bytes())
		return status
	}
	extended := append(c.Text(), "what the log has not said\n"...)
	plain, quantum := line(t, b.log[0], b.now, extended), line(t, b.log[1], b.now, c.Text())
	if status := post(extended, 0, quantum); status != 403 {
		t.Errorf("lines that no signature covers: %d", status)
	}
	if status := post(extended, 0, line(t, b.log[0], b.now, c.Text()), quantum); status != 403 {
		t.Errorf("with a signature that does not hold: %d", status)
	}
	if status, _ := b.get(); status != 404 {
		t.Errorf("it shows what the log has not said: %d", status)
	}
	if status := post(c.Text(), 0, quantum); status != 200 {
		t.Errorf("without such lines: %d", status)
	}
	if status := post(extended, 3, plain, quantum); status != 200 {
		t.Errorf("with a signature that covers them: %d", status)
	}
}

// The bits beyond the end of a signature's base64 are anybody's, and whoever reads the witness takes them for zero only.
func TestSignatureWrittenOtherwise(t *testing.T) {
	b := newBench(t)
	c := leavesOf(5, "a").checkpoint(t, 3)
	note := b.note(c)
	end := bytes.LastIndexByte(note, '=') - 1
	note[end]++
	r := &request{note: note}
	b.must(r.bytes())
	_, shown := b.get()
	if _, err := b.policy().Open(shown); err != nil {
		t.Error(err)
	}
}
