package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/testdata/tccm"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
)

// TestRoll prints the frozen record's list as of several days. That of 11 June 2024 is the published one, in its order.
func TestRoll(t *testing.T) {
	var published []string
	for line := range strings.Lines(string(tccm.Signatories)) {
		if _, name, ok := strings.Cut(line, "\t"); ok && line[0] != '#' {
			published = append(published, name)
		}
	}
	sixteen := strings.Join(published, "")
	var seventeen strings.Builder
	for _, name := range published {
		if name == "GoDaddy\n" {
			seventeen.WriteString("Example Guest (made up for this demonstration)\n")
		}
		seventeen.WriteString(name)
	}
	dir := filepath.Join("..", "..", "testdata", "tccm")
	for _, c := range []struct {
		asOf, heading, names string
		code                 int
	}{
		{"2024-06-06", "", "", verify.CodeNotFound},
		{"2024-06-10", "Signatories as of 10 June 2024 (in alphabetical order)\n\n", "", 0},
		{"2024-06-11", "Signatories as of 11 June 2024 (in alphabetical order)\n\n", sixteen, 0},
		{"2024-07-17", "Signatories as of 17 July 2024 (in alphabetical order)\n\n", sixteen, 0},
		{"2024-07-18", "Signatories as of 18 July 2024 (in alphabetical order)\n\n", seventeen.String(), 0},
		{"2024-08-09", "Signatories as of 9 August 2024 (in alphabetical order)\n\n", sixteen, 0},
	} {
		code, out, stderr := runWith(t.Context(), "roll", "--policy", filepath.Join(dir, "policy.txt"), "--as-of", c.asOf, "--statement", filepath.Join(dir, "statement.txt"), filepath.Join(dir, "archive.zip"))
		if code != c.code || out != c.heading+c.names {
			t.Errorf("%s: exit code %d, %s\n%s", c.asOf, code, stderr, out)
		}
	}
}

// TestRollWitnessed tells beside the frozen record's list what the witnesses bear out of it.
func TestRollWitnessed(t *testing.T) {
	for name, args := range map[string][]string{
		"day":       {"--as-of", "2024-06-11"},
		"moment":    {"--as-of", "2024-06-11T09:29:59.999Z"},
		"last":      {"--as-of", "2024-08-09"},
		"changes":   {"--from", "2024-06-11", "--as-of", "2024-07-18"},
		"back":      {"--from", "2024-07-18", "--as-of", "2024-08-09"},
		"passed":    {"--from", "2024-06-11", "--as-of", "2024-08-09"},
		"all":       {"--from", "2024-06-10", "--as-of", "2024-06-11"},
		"unchanged": {"--from", "2024-06-11", "--as-of", "2024-07-17"},
		"json":      {"--as-of", "2024-06-11", "--json"},
		"differs":   {"--from", "2024-06-11", "--as-of", "2024-07-18", "--json"},
		"markdown":  {"--as-of", "2024-06-11", "--format", "markdown", "--link", "https://ledger.example/"},
		"html":      {"--as-of", "2024-06-11", "--format", "html", "--link", "https://ledger.example/"},
		"csv":       {"--as-of", "2024-06-11", "--format", "csv"},
		"swedish":   {"--as-of", "2024-06-11", "--language", "sv"},
	} {
		dir := filepath.Join("..", "..", "testdata", "tccm")
		args = append([]string{"roll", "--policy", filepath.Join(dir, "policy.txt"), filepath.Join(dir, "archive.zip")}, args...)
		code, out, stderr := runWith(t.Context(), args...)
		if code != 0 {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
		golden(t, filepath.Join("testdata", "roll", name), stderr+"---\n"+out)
	}
}

var update = flag.Bool("update", false, "write the files in testdata/roll anew")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
	}
}

// TestMakeReceipt: receipts are made under the audited root, whatever a source says the second time.
func TestMakeReceipt(t *testing.T) {
	ctx := t.Context()
	dir := filepath.Join("..", "..", "testdata", "tccm")
	rec, err := openRecord(ctx, filepath.Join(dir, "archive.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	text, err := os.ReadFile(filepath.Join(dir, "policy.txt"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := verify.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.AuditArchive(ctx, p, rec.archive, verify.AuditOptions{})
	if err != nil || !r.OK {
		t.Fatalf("%v, %+v", err, r)
	}
	const apnic = 20
	lie := func(ctx context.Context, path string) ([]byte, error) {
		b, err := rec.fetch(ctx, path)
		if strings.HasPrefix(path, "tile/entries/") {
			b = append([]byte(nil), b...)
			b[len(b)-5] ^= 1
		}
		return b, err
	}
	var contradiction *verify.ContradictionError
	if _, err := check.MakeReceipt(ctx, r, lie, apnic); !errors.As(err, &contradiction) {
		t.Errorf("a receipt of a changed entry: %v", err)
	}
	receipt, err := check.MakeReceipt(ctx, r, rec.fetch, apnic)
	if err != nil {
		t.Fatal(err)
	}
	if v := verify.Judge(verify.Input{Policy: p, Receipt: receipt, Now: time.Date(2024, 8, 10, 0, 0, 0, 0, time.UTC)}); v.Domain != "apnic.net" {
		t.Errorf("%+v", v)
	}
}

// A copy of the record answers for no moment that it does not reach: neither for today if it is older, nor for a comparison, nor if nobody says how old
// it is.
func TestRollBeyondTheCopy(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "tccm")
	policy := filepath.Join(dir, "policy.txt")
	text, err := os.ReadFile(policy)
	if err != nil {
		t.Fatal(err)
	}
	undated := filepath.Join(t.TempDir(), "policy.txt") // the log's key whose signatures have no time, and nobody else
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "log ") && len(line) < 200 {
			if err := os.WriteFile(undated, []byte(line+"quorum none\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	today := time.Now().UTC().Format(time.DateOnly)
	for _, c := range []struct {
		policy string
		args   []string
		code   int
	}{
		{policy, []string{"--as-of", "2024-08-09"}, 0},
		{policy, []string{"--as-of", "2025-01-01"}, codeUnchecked},
		{policy, []string{"--as-of", today}, codeUnchecked},
		{policy, []string{"--as-of", today, "--json"}, codeUnchecked},
		{policy, nil, 0},
		{policy, []string{"--from", "2024-06-11"}, 0},
		{policy, []string{"--from", "2024-06-11", "--as-of", "2025-01-01"}, codeUnchecked},
		{policy, []string{"--from", "2025-01-01"}, codeUnchecked},
		{undated, []string{"--as-of", "2024-07-17"}, 0},
		{undated, []string{"--as-of", "2025-01-01"}, codeUnchecked},
	} {
		args := append([]string{"roll", "--policy", c.policy, filepath.Join(dir, "archive.zip")}, c.args...)
		if code, out, stderr := runWith(t.Context(), args...); code != c.code || out == "" {
			t.Errorf("%v: exit code %d, want %d: %s\n%s", args, code, c.code, stderr, out)
		}
	}
}

// A sealed list answers for no later day that the copy at hand does not reach: what came between, it cannot tell.
func TestRollReceiptBeyondTheCopy(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "tccm")
	for asOf, want := range map[string]int{
		"":                                     0,
		"2024-06-11":                           0,
		"2024-07-17":                           0,
		"2024-08-09":                           0, // is sealed to its end
		"2025-01-01":                           codeUnchecked,
		time.Now().UTC().Format(time.DateOnly): codeUnchecked,
		"2999-01-01":                           codeUsage,
	} {
		args := []string{"receipt", "--roll", "--policy", filepath.Join(dir, "policy.txt"), "--ledger", filepath.Join(dir, "archive.zip"), "--domain", "example.org"}
		if asOf != "" {
			args = append(args, "--as-of", asOf)
		}
		if code, out, stderr := runWith(t.Context(), args...); code != want || (out == "") != (want != 0) {
			t.Errorf("%q: exit code %d, want %d: %s\n%s", asOf, code, want, stderr, out)
		}
	}
}
