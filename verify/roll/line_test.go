package roll_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

func TestParseLine(t *testing.T) {
	id := entry.Sum([]byte("text"))
	good := roll.Line{Domain: "apnic.net", Index: 57, ID: id}
	if got, err := roll.ParseLine(good.Bytes()); err != nil || got != good {
		t.Fatalf("%v, %v", got, err)
	}
	if len(good.Bytes()) > roll.MaxLine {
		t.Error("MaxLine is too small")
	}
	for _, bad := range []string{
		"", "\n", "undersigned/roll-line/v1 \n",
		fmt.Sprintf("undersigned/roll-line/v1 apnic.net 57 %s", id),
		fmt.Sprintf("undersigned/roll-line/v1 apnic.net 57 %s\n\n", id),
		fmt.Sprintf("undersigned/roll-line/v1 APNIC.net 57 %s\n", id),
		fmt.Sprintf("undersigned/roll-line/v1 apnic 57 %s\n", id),
		fmt.Sprintf("undersigned/roll-line/v1 apnic.net 057 %s\n", id),
		fmt.Sprintf("undersigned/roll-line/v1 apnic.net +57 %s\n", id),
		fmt.Sprintf("undersigned/roll-line/v1 apnic.net 9223372036854775808 %s\n", id),
		fmt.Sprintf("undersigned/roll-line/v1 apnic.net 57 %s more\n", id),
		fmt.Sprintf("undersigned/roll-line/v2 apnic.net 57 %s\n", id),
		fmt.Sprintf("undersigned/roll-line/v1  apnic.net 57 %s\n", id),
	} {
		if _, err := roll.ParseLine([]byte(bad)); !errors.Is(err, roll.ErrLine) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add(roll.Line{Domain: "xn--bcher-kva.example", Index: 1<<63 - 1, ID: entry.Sum(nil)}.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := roll.ParseLine(b)
		if err == nil && !bytes.Equal(l.Bytes(), b) {
			t.Errorf("%q prints as %q", b, l.Bytes())
		}
	})
}
