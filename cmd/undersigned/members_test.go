package main

import (
	"strings"
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/verify/roll"
)

// TestKeyBeginning names a key by the beginning of its fingerprint: by enough of it.
func TestKeyBeginning(t *testing.T) {
	var all []roll.Key
	for range 17 { // two of them begin with the same digit
		k, err := source.Generate(keys.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, roll.Key{Ref: k.Public().Ref(), Public: k.Public()})
	}
	seen := map[string]bool{}
	twice := ""
	for _, k := range all {
		first := k.Ref.Fingerprint.String()[:len("sha256:0")]
		if seen[first] {
			twice = first
		}
		seen[first] = true
	}
	if got, err := keyBeginning(all, "a.example", all[3].Ref.Fingerprint.String()); err != nil || got != all[3].Ref {
		t.Errorf("%v %v", got, err)
	}
	if _, err := keyBeginning(all, "a.example", twice); err == nil || !strings.Contains(err.Error(), " keys of a.example have a fingerprint that begins with "+twice+"; give more of it") {
		t.Error(err)
	}
	if _, err := keyBeginning(all[:2], "a.example", "sha256:xyz"); err == nil || !strings.HasPrefix(err.Error(), "no key of a.example has ") {
		t.Error(err)
	}
}
