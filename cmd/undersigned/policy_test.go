package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/mldsa"

	"github.com/tccm/undersigned/keys"
)

// vkeyOf is a verifier key that follows from its name, type and seed.
func vkeyOf(t *testing.T, name string, typ byte, seed string) keys.VKey {
	t.Helper()
	s := sha256.Sum256([]byte(seed))
	key := []byte(ed25519.NewKeyFromSeed(s[:]).Public().(ed25519.PublicKey))
	if typ == keys.TypeCosignatureMLDSA44 {
		k, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), s[:])
		if err != nil {
			t.Fatal(err)
		}
		key = k.PublicKey().Bytes()
	}
	v, err := keys.NewVKey(name, typ, key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPolicyCheck(t *testing.T) {
	log := "log " + vkeyOf(t, "ledger.example/x", keys.TypeEd25519, "log").String() + "\n"
	ed := func(name, keyName string) string {
		return fmt.Sprintf("witness %s %s https://%s/\n", name, vkeyOf(t, keyName, keys.TypeCosignatureEd25519, name), keyName)
	}
	pq := func(name, keyName string) string {
		return fmt.Sprintf("witness %s %s https://%s/\n", name, vkeyOf(t, keyName, keys.TypeCosignatureMLDSA44, name), keyName)
	}
	three := log + ed("a", "w.one.example") + ed("b", "two.example/w") + pq("c", "three.example")
	for _, tt := range []struct {
		name   string
		policy string
		want   []string // types of remarks, warnings with !
		voters int
	}{
		{"a majority", three + "group g 2 a b c\nquorum g\n", []string{"no-replaying"}, 3},
		{"no quorum", log + "quorum none\n", []string{"!no-quorum"}, 0},
		{"no log", ed("a", "one.example") + ed("b", "two.example") + pq("c", "three.example") + "group g 2 a b c\nquorum g\n", []string{"!no-log", "no-replaying"}, 3},
		{"a minority", three + "group g any a b c\nquorum g\n", []string{"!split", "!alone", "!alone", "!alone", "no-replaying"}, 3},
		{"all", three + "group g all a b c\nquorum g\n", []string{"!needed", "no-replaying"}, 3},
		{"one", three + "quorum c\n", []string{"!alone", "!needed", "no-replaying", "idle", "idle"}, 1},
		{"one needed", three + "group g any a b\ngroup h all g c\nquorum h\n", []string{"!needed", "no-replaying"}, 3},
		{"the log's own key", log + "witness a " + vkeyOf(t, "w.example", keys.TypeCosignatureEd25519, "log").String() + " https://w.example/\n" +
			ed("b", "two.example") + pq("c", "three.example") + "group g 2 a b c\nquorum g\n", []string{"!log-is-witness", "no-replaying"}, 3},
		{"the log's own name", log + ed("a", "ledger.example/x") + ed("b", "two.example") + pq("c", "three.example") + "group g 2 a b c\nquorum g\n", []string{"!log-is-witness", "no-replaying"}, 3},
		{"one operator by name", log + ed("a", "w1.one.example") + ed("b", "w2.one.example") + pq("c", "three.example") + "group g 2 a b c\nquorum g\n", []string{"!same-hands", "no-replaying"}, 3},
		{"no operator in common", log + ed("a", "w1.co.uk") + ed("b", "w2.co.uk") + pq("c", "w.three.co.uk") + "group g 2 a b c\nquorum g\n", []string{"no-replaying"}, 3},
		{"one operator by address", three + "witness d " + vkeyOf(t, "four.example", keys.TypeCosignatureEd25519, "d").String() + " https://x.three.example:8080/w\ngroup g 3 a b c d\nquorum g\n", []string{"!same-hands", "no-replaying"}, 4},
		{"two keys counted twice", log + ed("a", "one.example") + pq("a2", "one.example") + ed("b", "two.example") + "group g 2 a a2 b\nquorum g\n", []string{"!alone", "!needed", "!apart", "no-replaying"}, 2},
		{"two keys, one vote", log + ed("a", "one.example") + pq("a2", "one.example") + ed("b", "two.example") + ed("c", "three.example") +
			"group w any a a2\ngroup g 2 w b c\nquorum g\n", []string{"no-replaying"}, 3},
		{"no address", log + "witness a " + vkeyOf(t, "one.example", keys.TypeCosignatureEd25519, "a").String() + "\n" + ed("b", "two.example") + pq("c", "three.example") + "group g 2 a b c\nquorum g\n", []string{"no-replaying", "no-url"}, 3},
		{"either log key", log + "log " + vkeyOf(t, "ledger.example/x", keys.TypeCosignatureMLDSA44, "log").String() + "\n" +
			ed("a", "one.example") + ed("b", "two.example") + ed("c", "three.example") + "group g 2 a b c\nquorum g\n", []string{"no-replaying", "either-log-key", "no-ml-dsa"}, 3},
		{"one replays", three + "group undersigned-replaying any a\ngroup g 2 undersigned-replaying b c\nquorum g\n", []string{"replaying"}, 3},
		{"any of two replays", three + "group undersigned-replaying any a b\ngroup g all undersigned-replaying c\nquorum g\n", []string{"!needed", "!replaying-alone", "replaying"}, 3},
		{"two of three replay", three + "group undersigned-replaying 2 a b c\nquorum undersigned-replaying\n", []string{"replaying"}, 3},
		{"one of three replays", three + "group undersigned-replaying any a b c\nquorum undersigned-replaying\n", []string{"!split", "!alone", "!alone", "!alone", "!replaying-alone", "replaying"}, 3},
		{"two keys of one replay", log + ed("a", "one.example") + pq("a2", "one.example") + ed("b", "two.example") + ed("c", "three.example") +
			"group undersigned-replaying any a a2\ngroup g 2 undersigned-replaying b c\nquorum g\n", []string{"replaying"}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "policy.txt")
			if err := writeFile(path, []byte(tt.policy)); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			a := &app{out: &out, err: &out}
			err := (&policyCheckCmd{File: path, Strict: true, jsonFlag: jsonFlag{JSON: true}}).Run(a)
			var got struct {
				Voters  []string
				Remarks []policyRemark
			}
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			var types []string
			warned := false
			for _, m := range got.Remarks {
				mark := ""
				if m.Warning {
					mark, warned = "!", true
				}
				types = append(types, mark+m.Type)
			}
			if !slices.Equal(types, tt.want) || len(got.Voters) != tt.voters {
				t.Errorf("got %s, %d voters\nwant %s, %d", strings.Join(types, " "), len(got.Voters), strings.Join(tt.want, " "), tt.voters)
			}
			if warned != (err != nil) {
				t.Errorf("--strict: %v", err)
			}
		})
	}
}
