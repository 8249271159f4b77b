package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/testdata/tccm"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
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

// TestStateAt folds a record of several bundles up to any moment: a member endorses and withdraws every other hour.
func TestStateAt(t *testing.T) {
	ctx := t.Context()
	start := time.Date(2024, 6, 11, 0, 0, 0, 0, time.UTC)
	now := start
	clock := func() time.Time { return now }
	signers, _ := frozenKeys(t, demoOrigin, "log", keys.TypeEd25519)
	signed, err := ledger.OpenLastSigned(filepath.Join(t.TempDir(), lastSignedFile))
	if err != nil {
		t.Fatal(err)
	}
	defer signed.Close()
	operator := rolltest.NewOrg("operator.example", 1, 0, 1)
	member := rolltest.NewOrg("member.example", 1, 0, 1)
	genesis := rolltest.Sign(&entry.Entry{
		Ledger: demoOrigin, Genesis: true, Signer: operator.Domain, Keys: []keys.Ref{operator.Keys[0].Ref()}, Date: "2024-06-11",
		Body: &entry.Charter{Title: "T", Operator: operator.Domain, PublicKeys: []entry.PublicKey{operator.Keys[0].Line()}, Admission: entry.Admission{Operator: true}, Roll: "manual"},
	})
	cfg := ledger.Config{Origin: demoOrigin, Store: storetest.NewMemory(), Signers: signers, LastSigned: signed, Now: clock}
	if err := ledger.Create(ctx, cfg, genesis); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	say := func(body entry.Body, o *rolltest.Org) {
		t.Helper()
		d, err := deskOf(ctx, l, clock)
		if err != nil {
			t.Fatal(err)
		}
		if b, ok := body.(*entry.Endorsement); ok {
			b.After = d.after
		}
		e, err := d.draft(body, o.Domain, []keys.Ref{o.Keys[0].Ref()})
		if err != nil {
			t.Fatal(err)
		}
		if r := l.Submit(ctx, rolltest.Sign(e).Bytes())[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	say(&entry.Membership{Action: entry.Register, Member: member.Domain, Name: "Member", PublicKeys: []entry.PublicKey{member.Keys[0].Line()}, Quorum: 1, Vouchers: operator.Vouch()}, member)
	h := entry.Sum([]byte("text"))
	say(&entry.Statement{Action: entry.Publish, Statement: h, Title: "T", Language: "en", MediaType: "text/plain", Size: 4}, operator)
	const words = 300
	for i := range words {
		now = now.Add(time.Hour)
		say(&entry.Endorsement{Action: []entry.Action{entry.Endorse, entry.Withdraw}[i%2], Statement: h}, member)
	}

	var lines []byte
	for _, s := range signers {
		lines = append(lines, "log "+s.VKey.String()+"\n"...)
	}
	p, err := verify.ParsePolicy(append(lines, "quorum none\n"...))
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.Audit(ctx, p, l.Fetch, verify.AuditOptions{})
	if err != nil || !r.OK || r.Size != words+3 {
		t.Fatalf("%v, %+v", err, r)
	}
	for _, hour := range []int{0, 1, 2, 3, 100, 252, 253, 254, 255, 299, 300} {
		for _, more := range []time.Duration{0, 59 * time.Minute} {
			s, err := stateAt(ctx, r, l.Fetch, start.Add(time.Duration(hour)*time.Hour+more))
			if err != nil {
				t.Fatal(err)
			}
			if want := uint64(hour + 3); s.Size() != want {
				t.Errorf("hour %d: %d entries, not %d", hour, s.Size(), want)
			}
			if got, want := len(s.Standing(h)), hour%2; got != want {
				t.Errorf("hour %d: %d stand, not %d", hour, got, want)
			}
		}
	}

	// A source that tells another story than the one that was audited.
	lie := func(ctx context.Context, path string) ([]byte, error) {
		b, err := l.Fetch(ctx, path)
		if strings.HasPrefix(path, "tile/entries/000") {
			b = append([]byte(nil), b...)
			b[len(b)-5] ^= 1
		}
		return b, err
	}
	var contradiction *verify.ContradictionError
	if _, err := stateAt(ctx, r, lie, now); !errors.As(err, &contradiction) {
		t.Errorf("a changed entry: %v", err)
	}
	// Receipts are made under the audited root too.
	if _, err := makeReceipt(ctx, r, lie, 200); !errors.As(err, &contradiction) {
		t.Errorf("a receipt of a changed entry: %v", err)
	}
	receipt, err := makeReceipt(ctx, r, l.Fetch, 302)
	if err != nil {
		t.Fatal(err)
	}
	if v := verify.Judge(verify.Input{Policy: p, Receipt: receipt, Now: now}); v.Domain != member.Domain {
		t.Errorf("%+v", v)
	}
}
