package server

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
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
