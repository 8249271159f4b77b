package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/verify/entry"
)

// onWrite calls a function at the first write.
type onWrite struct{ call func() }

func (w onWrite) Write(p []byte) (int, error) {
	w.call()
	return len(p), nil
}

// TestSignWithIsInterrupted: a command that waits for ever ends with the person's patience, and leaves no file.
func TestSignWithIsInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is a script of a Unix shell")
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", filepath.Join(dir, "tmp"))
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	command := filepath.Join(dir, "signer")
	if err := os.WriteFile(command, []byte("#!/bin/sh\necho touch the key >&2\nexec sleep 3600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := source.Generate(keys.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	e, err := newCharter("ledger.example", "2024-06-11", &entry.Charter{Title: "T", Operator: "ledger.example", Admission: entry.Admission{Operator: true}, Roll: "manual"}, key)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &app{err: onWrite{cancel}, out: new(bytes.Buffer)}
	if _, err := a.signWith(ctx, command+" {}", key.Public(), e); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
