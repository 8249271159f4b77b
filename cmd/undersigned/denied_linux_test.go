package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asNobody runs f with the file rights of a user who owns nothing. It needs no privileges to lose: others go on as they are.
func asNobody(t *testing.T, f func()) {
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := syscall.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

// TestDenied is shown what it may not read, and does not call it missing.
func TestDenied(t *testing.T) {
	top := t.TempDir()
	for dir, mode := range map[string]os.FileMode{top: 0o777, filepath.Dir(top): 0o755} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(top)
	program := func(args ...string) (int, string) {
		var stderr bytes.Buffer
		code := run(t.Context(), args, strings.NewReader(""), &stderr, &stderr, []string{"HOME=" + top})
		return code, stderr.String()
	}
	for _, args := range [][]string{
		{"key", "new", "--no-password", "-o", "operator.pem"},
		{"init", "--dir", "ledger", "--origin", "ledger.example", "--title", "T", "--operator", "ledger.example", "--operator-key", "operator.pem"},
	} {
		if code, out := program(args...); code != codeOK {
			t.Fatal(args, out)
		}
	}
	if err := os.Chmod("ledger", 0o755); err != nil {
		t.Fatal(err)
	}
	policy, err := os.ReadFile("ledger/policy.txt")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("policy.txt", policy, 0o644); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(".config", "undersigned", "config")
	if err := os.MkdirAll(filepath.Dir(config), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"ledger", "ledger/ledger.db"} {
		if err := os.Chmod(what, 0); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			code int
			args []string
		}{
			{codeUnchecked, []string{"fsck", "ledger"}},
			{codeUnchecked, []string{"audit", "--policy", "policy.txt", "ledger"}},
			{codeUnchecked, []string{"backup", "ledger", "copy"}},
			{codeUnchecked, []string{"backup", "--as", "archive", "ledger", "copy.zip"}},
			{codeUnchecked, []string{"restore", "ledger", "copy"}},
			{codeError, []string{"serve", "--dir", "ledger"}},
			{codeError, []string{"serve", "--dir", "ledger", "--read-only"}},
			{codeError, []string{"key", "rotate-log", "--dir", "ledger"}},
		} {
			asNobody(t, func() {
				const want = "ledger cannot be read: permission denied; run this as the user who owns it"
				if code, out := program(c.args...); code != c.code || !strings.Contains(out, want) {
					t.Errorf("%s: %v: code %d: %s", what, c.args, code, out)
				}
			})
		}
		if err := os.Chmod(what, 0o755); err != nil {
			t.Fatal(err)
		}
	}

	// So it is with single files, and with a directory of files.
	if code, out := program("backup", "--as", "tiles", "ledger", "tiles"); code != codeOK {
		t.Fatal(out)
	}
	if err := os.WriteFile("secret", policy, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod("tiles", 0o111); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod("tiles", 0o755) // to be cleared away
	for _, args := range [][]string{
		{"verify", "secret"},
		{"policy", "check", "secret"},
		{"statement", "lint", "secret"},
		{"audit", "--policy", "policy.txt", "secret"},
		{"audit", "--policy", "policy.txt", "tiles"},
	} {
		asNobody(t, func() {
			if code, out := program(args...); code != codeUnchecked || !strings.Contains(out, "permission denied") {
				t.Errorf("%v: code %d: %s", args, code, out)
			}
		})
	}

	// The configuration in the home of somebody else is left out, one that was named is not.
	if err := os.WriteFile(config, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(config, 0); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		if code, out := program("policy", "check", "policy.txt"); code != codeOK || !strings.Contains(out, "The configuration is left out: ") || !strings.Contains(out, "permission denied") {
			t.Errorf("code %d: %s", code, out)
		}
		if _, err := readSettings(map[string]string{"XDG_CONFIG_HOME": filepath.Join(top, ".config")}); exitCode(t.Context(), err) != codeUsage {
			t.Errorf("a configuration that was named: %v", err)
		}
	})
}

// TestOwnersAlone has the superuser stopped before it writes what the owner of a ledger could not read.
func TestOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		if err := ownersAlone(dir, 0); err != nil {
			t.Error(err)
		}
		if err := os.Chown(dir, 65534, -1); err != nil {
			t.Fatal(err)
		}
	}
	if err := ownersAlone(dir, 0); err == nil || !strings.Contains(err.Error(), "give the same command as that user, sudo -u '") {
		t.Error(err)
	}
	if err := ownersAlone(dir, 1); err != nil {
		t.Error(err)
	}
	if err := ownersAlone(filepath.Join(dir, "new"), 0); err != nil {
		t.Error(err)
	}
	if os.Geteuid() != 0 {
		return
	}
	var stderr bytes.Buffer
	for _, args := range [][]string{
		{"key", "rotate-log", "--dir", dir},
		{"serve", "--dir", dir, "--adopt", "0:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
	} {
		stderr.Reset()
		if code := run(t.Context(), args, strings.NewReader(""), &stderr, &stderr, nil); code != codeError || !strings.Contains(stderr.String(), "could not read what root writes there") {
			t.Errorf("%v: code %d: %s", args, code, stderr.String())
		}
	}
}
