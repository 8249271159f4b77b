package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tccm/undersigned/ledger/takeaway"
)

// TestPage has pages made of the frozen record, and looks at what they hold.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join("..", "..", "testdata", "tccm", name) }
	record := []string{"receipt", "--ledger", at("archive.zip"), "--policy", at("policy.txt")}
	page := filepath.Join(dir, "page.html")
	if code, _, stderr := runWith(t.Context(), append(record, "--whole", "20")...); code != codeUsage || !strings.Contains(stderr, "--html") {
		t.Errorf("--whole alone: %d, %s", code, stderr)
	}
	if !takeaway.Available() {
		if code, out, stderr := runWith(t.Context(), append(record, "--html", page, "20")...); code != codeError || out != "" || !strings.Contains(stderr, "make build") {
			t.Errorf("without a verifier: %d, %q, %s", code, out, stderr)
		}
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("the verifier for browsers is not built: make wasm")
		}
		t.Skip("the verifier for browsers is not built: make wasm")
	}
	file := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	receipt := filepath.Join(dir, "receipt.tlog-proof")
	for _, tc := range []struct {
		name  string
		args  []string
		holds []string // beside the policy and the text
	}{
		{"an endorsement", []string{"--domain", "apnic.net", "-o", receipt}, []string{"receipt"}},
		{"an entry, with the record", []string{"20", "--whole"}, []string{"receipt", "archive"}},
		{"a sealed list", []string{"--roll", "--as-of", "2024-06-11"}, []string{"receipt"}},
		{"the record", []string{"--whole"}, []string{"archive"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, stderr := runWith(t.Context(), append(append(record, tc.args...), "--html", page)...)
			if code != codeOK || out != "" {
				t.Fatalf("%d, %q, %s", code, out, stderr)
			}
			held := map[string][]byte{}
			for _, m := range regexp.MustCompile(`id="held-([a-z0-9-]+)">([^<]*)<`).FindAllSubmatch(file(page), -1) {
				b, err := base64.StdEncoding.DecodeString(string(m[2]))
				if err != nil {
					t.Fatal(err)
				}
				held[string(m[1])] = b
			}
			if !bytes.Equal(held["policy"], file(at("policy.txt"))) || !bytes.Equal(held["text-0"], file(at("statement.txt"))) {
				t.Error("it does not hold the policy and the text")
			}
			if len(held) != len(tc.holds)+5 {
				t.Errorf("it holds %d things", len(held))
			}
			for _, name := range tc.holds {
				if len(held[name]) == 0 {
					t.Errorf("it does not hold the %s", name)
				}
			}
			if name := "receipt"; tc.name == "an endorsement" && !bytes.Equal(held[name], file(receipt)) {
				t.Error("it holds another receipt than the one that was written beside it")
			}
		})
	}
	if code, _, stderr := runWith(t.Context(), append(record, "1", "--html", page)...); code != codeError || !strings.Contains(stderr, "no endorsement") {
		t.Errorf("a membership: %d, %s", code, stderr)
	}
}
