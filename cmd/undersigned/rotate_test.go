package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

func noon() time.Time { return time.Date(2024, 6, 11, 12, 0, 0, 0, time.UTC) }

// aCharter is entry 0 of a ledger, and its operator's key.
func aCharter(t *testing.T) (*entry.Entry, *source.Key) {
	t.Helper()
	operator, err := source.Generate(keys.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	genesis, err := newCharter("ledger.example", "2024-06-11", &entry.Charter{
		Title: "A record", Operator: "ledger.example", Admission: entry.Admission{Operator: true}, Roll: "manual"}, operator)
	if err != nil {
		t.Fatal(err)
	}
	return genesis, operator
}

// TestRotateCutShort stops a change of the log's keys after each of its steps. The ledger opens and signs, with the
// old keys or the new ones; the command finishes what was begun; and every checkpoint holds.
func TestRotateCutShort(t *testing.T) {
	genesis, operator := aCharter(t)
	keyPath := func(dir string, file string) string { return filepath.Join(dir, keysDir, file) }
	rename := func(t *testing.T, dir string, k logKey) {
		t.Helper()
		if err := os.Rename(keyPath(dir, k.next()), keyPath(dir, k.file)); err != nil {
			t.Fatal(err)
		}
	}
	prepare := func(t *testing.T, h *house, dir string) []keys.VKey {
		t.Helper()
		if err := h.ledger.Close(); err != nil {
			t.Fatal(err)
		}
		fresh, err := h.prepareRotation(dir)
		if err != nil {
			t.Fatal(err)
		}
		return fresh
	}
	commit := func(t *testing.T, h *house, dir string) {
		t.Helper()
		fresh := prepare(t, h, dir)
		if err := h.signed.Rotate("ledger.example", h.logs, fresh); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		halfway func(t *testing.T, h *house, dir string)
		done    bool // the new keys are in force
	}{
		"a key half written": {func(t *testing.T, h *house, dir string) {
			if err := os.WriteFile(keyPath(dir, logKeys[0].next()), []byte("-----BEGIN PRIV"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, false},
		"new keys": {func(t *testing.T, h *house, dir string) {
			prepare(t, h, dir)
			if err := os.Remove(keyPath(dir, retiredFile)); err != nil {
				t.Fatal(err)
			}
		}, false},
		"all but the record": {func(t *testing.T, h *house, dir string) { prepare(t, h, dir) }, false},
		"the record":         {commit, true},
		"the first file":     {func(t *testing.T, h *house, dir string) { commit(t, h, dir); rename(t, dir, logKeys[0]) }, true},
		"the second file":    {func(t *testing.T, h *house, dir string) { commit(t, h, dir); rename(t, dir, logKeys[1]) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			old, err := makeHouse(t.Context(), dir, genesis, noon)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, policyFile), policyText(old, ""), 0o644); err != nil {
				t.Fatal(err)
			}
			open := func() *house {
				t.Helper()
				h, err := openHouse(t.Context(), dir, nil, noon, nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { h.Close() })
				if err := h.ledger.ReadOnly(); err != nil {
					t.Fatal(err)
				}
				return h
			}
			// A charter of the same operator is an entry that needs nothing else.
			amend := func(h *house, title string) {
				t.Helper()
				d, err := deskOf(t.Context(), h.ledger, noon)
				if err != nil {
					t.Fatal(err)
				}
				next := *genesis.Body.(*entry.Charter)
				next.Title = title
				e, err := d.draft(&next, "ledger.example", []keys.Ref{operator.Public().Ref()})
				if err != nil {
					t.Fatal(err)
				}
				if err := sign(e, operator); err != nil {
					t.Fatal(err)
				}
				if r := h.ledger.Submit(t.Context(), e.Bytes())[0]; !r.Published {
					t.Fatal(r.Err)
				}
			}
			check := func() {
				t.Helper()
				code, stdout, stderr := runWith(t.Context(), "fsck", dir)
				if code != codeOK {
					t.Fatalf("fsck: %d %s %s", code, stdout, stderr)
				}
				if code, stdout, stderr = runWith(t.Context(), "audit", "--policy", filepath.Join(dir, policyFile), dir); code != codeOK {
					t.Fatalf("audit: %d %s %s", code, stdout, stderr)
				}
			}
			h := open()
			test.halfway(t, h, dir)
			h.Close()
			check()
			h = open()
			if changed := h.logs[0].String() != old[0].String(); changed != test.done || h.rotated != test.done {
				t.Fatalf("the new keys are in force: %v, finished: %v", changed, h.rotated)
			}
			amend(h, "Before the command")
			h.Close()
			check()
			code, stdout, stderr := runWith(t.Context(), "key", "rotate-log", "--dir", dir)
			if code != codeOK || !strings.Contains(stdout, "after the tree of size 2.") {
				t.Fatalf("%d %s %s", code, stdout, stderr)
			}
			check()
			h = open()
			amend(h, "After the command")
			newest := h.logs
			h.Close()
			check()
			for _, k := range logKeys {
				if _, err := os.Lstat(keyPath(dir, k.next())); err == nil {
					t.Errorf("%s is left over", k.next())
				}
			}
			retired, err := readRetired(dir, "ledger.example")
			if err != nil || len(retired) != map[bool]int{false: 2, true: 4}[test.done] {
				t.Fatalf("%v %v", retired, err)
			}
			if !retired[0].VKey.SameKey(old[0]) || retired[0].Until != map[bool]uint64{false: 2, true: 1}[test.done] {
				t.Errorf("the old key retired at %d", retired[0].Until)
			}
			policy, err := os.ReadFile(filepath.Join(dir, policyFile))
			if err != nil {
				t.Fatal(err)
			}
			p, err := verify.ParsePolicy(policy)
			if err != nil || len(p.Logs()) != len(retired)+2 || !p.Logs()[0].VKey.SameKey(newest[0]) {
				t.Errorf("%v\n%s", err, policy)
			}
		})
	}
}

// TestRotateWaits refuses to change keys while something waits for its checkpoint.
func TestRotateWaits(t *testing.T) {
	genesis, _ := aCharter(t)
	dir := t.TempDir()
	if _, err := makeHouse(t.Context(), dir, genesis, noon); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, keysDir, lastSignedFile), 8192); err != nil { // its slots alone: it has the first checkpoint, too
		t.Fatal(err)
	}
	h, err := openHouse(t.Context(), dir, nil, noon, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.store.Delete(t.Context(), "checkpoints/1"); err != nil {
		t.Fatal(err)
	}
	if err := h.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	signers, _, err := logSigners(dir, "ledger.example")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	h.ledger, err = ledger.Open(ctx, ledger.Config{Origin: "ledger.example", Store: h.store, Signers: signers, LastSigned: h.signed, Now: noon,
		Cosign: func(c context.Context, _ *ledger.Pending) (*ledger.Cosigned, error) { <-c.Done(); return nil, c.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.rotate(dir); err == nil || !strings.Contains(err.Error(), "1 are stored, 0 published") {
		t.Errorf("%v", err)
	}
}
