package server

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tccm/undersigned/verify"
)

// FuzzAppendString holds the quick way to encoding/json, whatever the text, and whether or not its beginning is known to be plain.
func FuzzAppendString(f *testing.F) {
	const known = "index 5\n\nq83vEj==\n"
	for _, text := range []string{
		"", "index 5\n", "q83vEj==", "\n\n", "— ledger.example/tccm Uw2QOkn8/+9=\n", "a — b\n", "say \"so\"\n", "a\\n\n", "<a> & b\n", "a\x00b\x1f\r\n",
		"a\x7f\n", "— пример\n", "a\u2028b\n", "a\xffb\n", "\xe2\x80\x94 \xe2", strings.Repeat(strings.Repeat("A", 9000)+"\n", 3),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, n := range []int{0, len(known)} {
			want, err := json.Marshal(known[:n] + text)
			if err != nil {
				t.Fatal(err)
			}
			if got := appendString([]byte("x"), []byte(known[:n]+text), n); !bytes.Equal(got[1:], want) || got[0] != 'x' {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})
}

// TestAnswersQuoteTheirNote: an answer is that of encoding/json, whichever note the answer before carried.
func TestAnswersQuoteTheirNote(t *testing.T) {
	var buffers answerBuffers
	var note quotedNote
	notes := []string{"ledger.example/tccm\n1\n\n— ledger.example/tccm Uw==\n", "ledger.example/tccm\n2\n\n— ledger.example/tccm Uw==\n", "\"<пример>\n\n"}
	for i, at := range []int{0, 0, 1, 1, 0, 2, 2, 1} {
		r := &verify.Receipt{Index: 5, Leaf: []byte("leaf"), Proof: [][32]byte{{1}, {2}}, Checkpoint: []byte(notes[at])}
		a := submitted{Index: 5, ReceiptURL: "/api/v1/receipt/5"}
		got := bytes.Clone(buffers.encode(a, answerProof, r, &note))
		a.Proof = string(r.Bytes())
		if want := encode(a); !bytes.Equal(got, want) {
			t.Errorf("%d: %s, want %s", i, got, want)
		}
	}
}
