package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/ledger/witness"
	"github.com/tccm/undersigned/testdata/tccm"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

var freeze = flag.Bool("freeze", false, "write the frozen record in testdata/tccm anew")

// TestFrozenRecord makes the record of testdata/tccm again, with fixed keys and its own clock, and
// compares it byte for byte: an old record must never come out differently.
func TestFrozenRecord(t *testing.T) {
	made := frozenRecord(t)
	dir := filepath.Join("..", "..", "testdata", "tccm")
	for name, made := range made {
		path := filepath.Join(dir, name)
		if *freeze {
			if err := os.WriteFile(path, made, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		kept, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(kept, made) {
			t.Errorf("%s is not what is made now (%d bytes kept, %d made): a format has changed, or something random has come in", name, len(kept), len(made))
		}
	}
}

// frozenKeys returns the two keys of a name, which sign the same text with the same bytes each time: Ed25519 of note type ed, and
// ML-DSA-44. Their seeds follow from what is said of whose they are.
func frozenKeys(t *testing.T, name, whose string, ed byte) (signers []ledger.Signer, vkeys []keys.VKey) {
	t.Helper()
	seed := sha256.Sum256([]byte("undersigned frozen record: Ed25519 key of the " + whose))
	edKey := ed25519.NewKeyFromSeed(seed[:])
	seed = sha256.Sum256([]byte("undersigned frozen record: ML-DSA-44 key of the " + whose))
	ml, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	add := func(typ byte, key []byte, sign func([]byte) ([]byte, error)) {
		v, err := keys.NewVKey(name, typ, key)
		if err != nil {
			t.Fatal(err)
		}
		signers, vkeys = append(signers, ledger.Signer{VKey: v, Sign: sign}), append(vkeys, v)
	}
	add(ed, edKey.Public().(ed25519.PublicKey), func(msg []byte) ([]byte, error) { return ed25519.Sign(edKey, msg), nil })
	add(keys.TypeCosignatureMLDSA44, ml.PublicKey().Bytes(), func(msg []byte) ([]byte, error) { return ml.SignDeterministic(msg, nil) })
	return signers, vkeys
}

// frozenWitnesses are three witnesses in this process, by the hosts of their addresses. What the last one cosigns it has audited.
type frozenWitnesses struct {
	asked    *witness.Client
	policy   []byte // for readers
	handlers map[string]http.Handler
}

// RoundTrip has the witness answer to whom a request goes.
func (w *frozenWitnesses) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	w.handlers[r.URL.Host].ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// newFrozenWitnesses makes the witnesses of a log, whose record the last one reads with fetch.
func newFrozenWitnesses(t *testing.T, logs []keys.VKey, now func() time.Time, fetch verify.Fetch) *frozenWitnesses {
	t.Helper()
	w := &frozenWitnesses{handlers: make(map[string]http.Handler)}
	logPolicy, err := verify.ParsePolicy(policyText(logs, ""))
	if err != nil {
		t.Fatal(err)
	}
	audits := func(ctx context.Context, note []byte) error {
		r, err := verify.Audit(ctx, logPolicy, func(ctx context.Context, path string) ([]byte, error) {
			if path == "checkpoint" {
				return note, nil
			}
			return fetch(ctx, path)
		}, verify.AuditOptions{Now: now})
		if err == nil && !r.OK {
			err = &witness.Refusal{Problem: r.Sentence}
		}
		if err != nil {
			t.Error(err)
		}
		return err
	}
	var voters, asked []policyVoter
	for i, name := range []string{"north.example/witness", "south.example/witness", "east.example/replaying-witness"} {
		signers, vkeys := frozenKeys(t, name, "witness "+name, keys.TypeCosignatureEd25519)
		dir := t.TempDir()
		path, beside := filepath.Join(dir, witnessStateFile), filepath.Join(dir, lastCosignedFile)
		if err := errors.Join(ledger.CreateLastCosigned(beside), witness.CreateState(path)); err != nil {
			t.Fatal(err)
		}
		last, err := ledger.OpenLastCosigned(beside)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { last.Close() })
		state, err := witness.OpenState(path, last)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { state.Close() })
		cfg := witness.Config{Signers: signers, State: state, Now: now, Logs: func(string) []keys.VKey { return logs }}
		voter := policyVoter{vkeys: vkeys, replays: i == 2}
		if voter.replays {
			cfg.Judge = audits
		}
		host := policyName(vkeys)
		if w.handlers[host], err = witness.NewServer(cfg); err != nil {
			t.Fatal(err)
		}
		voters = append(voters, voter)
		voter.address = "http://" + host + "/"
		asked = append(asked, voter)
	}
	policy, err := verify.ParsePolicy(witnessedPolicyText(logs, "", asked...))
	if err != nil {
		t.Fatal(err)
	}
	// All of them are waited for, so that nothing depends on which is quick.
	w.asked, err = witness.NewClient(witness.ClientConfig{Origin: demoOrigin, Logs: logs, Policy: policy, Now: now, Transport: w, Timeout: time.Hour, Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.asked.Close)
	w.policy = append([]byte("# This is a demonstration: its keys are made up for tests, and no real organization has signed.\n"), witnessedPolicyText(logs, "", voters...)...)
	return w
}

// frozenRecord plays the story: sixteen organizations and a guest join in early June 2024, the sixteen
// endorse on 11 June, the guest endorses on 18 July and withdraws on 9 August. At the end of each of these days the list is sealed.
func frozenRecord(t *testing.T) map[string][]byte {
	ctx := context.Background()
	signers, logs := frozenKeys(t, demoOrigin, "log", keys.TypeEd25519)
	now := time.Date(2024, 6, 5, 8, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }

	operator := &rolltest.Org{Domain: demoOperator, Name: "Operator", Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKey("frozen operator")}}
	charter := &entry.Charter{
		Title: "Demonstration record: generated keys, no real organization has signed", Operator: operator.Domain,
		PublicKeys: []entry.PublicKey{operator.Keys[0].Line()}, Admission: entry.Admission{Operator: true, Vouched: 2}, Roll: "manual",
	}
	genesis := rolltest.Sign(&entry.Entry{
		Ledger: demoOrigin, Genesis: true, Body: charter, Signer: operator.Domain, Keys: []keys.Ref{operator.Keys[0].Ref()}, Date: "2024-06-05",
	})

	store := storetest.NewMemory()
	signed, err := ledger.OpenLastSigned(filepath.Join(t.TempDir(), lastSignedFile))
	if err != nil {
		t.Fatal(err)
	}
	defer signed.Close()
	cfg := ledger.Config{Origin: demoOrigin, Store: store, Signers: signers, LastSigned: signed, Now: clock}
	if err := ledger.Create(ctx, cfg, genesis); err != nil {
		t.Fatal(err)
	}
	opened := make(chan *ledger.Ledger, 1)
	witnesses := newFrozenWitnesses(t, logs, clock, func(ctx context.Context, path string) ([]byte, error) {
		l := <-opened
		opened <- l
		return l.Fetch(ctx, path)
	})
	cfg.Cosign = witnesses.asked.Cosign
	l, err := ledger.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	opened <- l

	// Each batch is one commit and one checkpoint.
	submit := func(batch ...*entry.Entry) {
		t.Helper()
		notes := make([][]byte, len(batch))
		for i, e := range batch {
			notes[i] = rolltest.Sign(e).Bytes()
		}
		for i, r := range l.Submit(ctx, notes...) {
			if r.Err != nil || !r.Published {
				t.Fatalf("entry %d of the batch: %v", i, r.Err)
			}
		}
	}
	draft := func(body entry.Body, o *rolltest.Org) *entry.Entry {
		t.Helper()
		desk, err := deskOf(ctx, l, clock)
		if err != nil {
			t.Fatal(err)
		}
		if b, ok := body.(*entry.Endorsement); ok {
			b.After = desk.after
		}
		e, err := desk.draft(body, o.Domain, []keys.Ref{o.Keys[0].Ref()})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}

	var orgs []*rolltest.Org
	for _, line := range strings.Split(string(tccm.Signatories), "\n") {
		if domain, name, ok := strings.Cut(line, "\t"); ok && !strings.HasPrefix(line, "#") {
			orgs = append(orgs, &rolltest.Org{Domain: domain, Name: name})
		}
	}
	sixteen := len(orgs)
	orgs = append(orgs, &rolltest.Org{Domain: demoGuest, Name: demoGuestName})
	suites := []keys.Suite{keys.Ed25519, keys.ECDSAP256SHA256, keys.ECDSAP384SHA384}
	var joins []*entry.Entry
	for i, o := range orgs {
		o.Quorum, o.Keys = 1, []*rolltest.Key{rolltest.NewKeyOf(suites[i%len(suites)], "frozen "+o.Domain)}
		m := &entry.Membership{Action: entry.Register, Member: o.Domain, Name: o.Name, PublicKeys: []entry.PublicKey{o.Keys[0].Line()}, Quorum: 1, Vouchers: operator.Vouch()}
		if i > 0 {
			m.Vouchers = append(m.Vouchers, orgs[i-1].Vouch()...)
		}
		joins = append(joins, draft(m, o))
	}
	now = now.Add(26 * time.Hour)
	submit(joins...)
	first := orgs[0]
	submit(draft(&entry.Membership{Action: entry.Update, Member: first.Domain, Name: first.Name, Quorum: 1, Vouchers: orgs[1].Vouch()}, first))

	now = time.Date(2024, 6, 7, 12, 0, 0, 0, time.UTC)
	h := entry.Sum(tccm.Statement)
	submit(draft(&entry.Statement{Action: entry.Publish, Statement: h, Title: titleOf(tccm.Statement), Language: "en", MediaType: "text/plain", Size: int64(len(tccm.Statement))}, operator))
	if err := l.PutBlob(ctx, h, tccm.Statement); err != nil {
		t.Fatal(err)
	}
	now = time.Date(2024, 6, 11, 9, 30, 0, 0, time.UTC)
	var batch []*entry.Entry
	for _, o := range orgs[:sixteen] {
		batch = append(batch, draft(&entry.Endorsement{Action: entry.Endorse, Statement: h}, o))
	}
	apnic := l.Stats().Stored
	submit(batch...)
	sealed := func() { // as of the last millisecond of the day
		t.Helper()
		now = now.Truncate(24*time.Hour).AddDate(0, 0, 1)
		if err := l.Seal(ctx); err != nil {
			t.Fatal(err)
		}
	}
	sealed()
	guest := orgs[sixteen]
	now = time.Date(2024, 7, 18, 15, 4, 5, 0, time.UTC)
	submit(draft(&entry.Endorsement{Action: entry.Endorse, Statement: h}, guest))
	sealed()
	now = time.Date(2024, 8, 9, 10, 0, 0, 0, time.UTC)
	submit(draft(&entry.Endorsement{Action: entry.Withdraw, Statement: h}, guest))
	sealed()

	var zip bytes.Buffer
	if err := writeArchive(ctx, &zip, l); err != nil {
		t.Fatal(err)
	}
	p, err := verify.ParsePolicy(witnesses.policy)
	if err != nil {
		t.Fatal(err)
	}
	a, err := verify.OpenArchive(bytes.NewReader(zip.Bytes()), int64(zip.Len()))
	if err != nil {
		t.Fatal(err)
	}
	report, err := verify.AuditArchive(ctx, p, a, verify.AuditOptions{Now: clock})
	if err != nil || !report.OK {
		t.Fatalf("the audit of the record: %v %+v", err, report)
	}
	receipt, err := l.Receipt(ctx, apnic)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"archive.zip": zip.Bytes(), "policy.txt": witnesses.policy, "apnic.net.tlog-proof": receipt.Bytes()}
}
