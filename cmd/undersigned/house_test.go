package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/ledger/boltstore"

	"github.com/tccm/undersigned/keys"
)

// An init that stopped after any of its steps can be repeated; one that was finished cannot.
func TestMakeHouseAgain(t *testing.T) {
	genesis, _ := aCharter(t)
	for name, halfway := range map[string]func(t *testing.T, dir string){
		"nothing": func(*testing.T, string) {},
		"one key": func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, keysDir), 0o700); err != nil {
				t.Fatal(err)
			}
			store, err := boltstore.Create(dir) // there is one before there are keys
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			k, err := source.Generate(keys.MLDSA44)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Save(filepath.Join(dir, keysDir, logMLDSA44File), nil); err != nil {
				t.Fatal(err)
			}
		},
		"an empty store": func(t *testing.T, dir string) {
			store, err := boltstore.Create(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
		},
		"a policy that cannot be written": func(t *testing.T, dir string) {
			path := filepath.Join(dir, policyFile)
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			if _, err := makeHouse(t.Context(), dir, genesis, noon); err == nil {
				t.Error("a ledger was made without its policy")
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			halfway(t, dir)
			logs, err := makeHouse(t.Context(), dir, genesis, noon)
			if err != nil || len(logs) != 2 {
				t.Fatalf("%v %v", logs, err)
			}
			h, err := openHouse(t.Context(), dir, nil, noon, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.ledger.ReadOnly(); err != nil {
				t.Error(err)
			}
			if b, err := os.ReadFile(filepath.Join(dir, policyFile)); err != nil || string(b) != string(policyText(logs, "")) {
				t.Errorf("the policy: %v", err)
			}
			if err := h.Close(); err != nil {
				t.Error(err)
			}
			if _, err := makeHouse(t.Context(), dir, genesis, noon); err == nil {
				t.Error("a ledger was made where there was one")
			}
		})
	}
}

// What a killed process left half made is gone once a ledger is opened to be served, and nothing else.
func TestLeftovers(t *testing.T) {
	genesis, _ := aCharter(t)
	dir := t.TempDir()
	if _, err := makeHouse(t.Context(), dir, genesis, noon); err != nil {
		t.Fatal(err)
	}
	list := func() (names []string) {
		for _, d := range []string{dir, filepath.Join(dir, keysDir)} {
			entries, err := os.ReadDir(d)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				names = append(names, e.Name())
			}
		}
		return names
	}
	if err := os.WriteFile(filepath.Join(dir, "ledger.db.newer"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := list()
	for _, name := range []string{"ledger.db.new-123", ".control-123/s", "keys/last-signed.new-123"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := openHouse(t.Context(), dir, nil, noon, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if got := list(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
