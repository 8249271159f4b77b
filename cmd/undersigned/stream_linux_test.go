package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenFileNames(t *testing.T) {
	for path, want := range map[string]bool{
		"/dev/stdout": true, "/dev/stderr": true, "/dev/fd/3": true, "/dev/../dev/fd/3": true, "/proc/self/fd/1": true, "/proc/7/fd/1": true,
		"/dev/shm/link": false, "/dev/fd/3/x": false, "/proc/self/cwd": false, "/a/fd/1": false, "receipt": false,
	} {
		if got := isOpenFile(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// TestLinkBelowDev: a link is what it leads to, wherever it is.
func TestLinkBelowDev(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "undersigned-test-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const key = "-----BEGIN PRIVATE KEY-----\n"
	file, link := filepath.Join(dir, "our.pem"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, path := range []string{link, file, fmt.Sprintf("/proc/self/fd/%d", f.Fd())} {
		if err := writeFile(path, []byte("a receipt\n")); err == nil || !strings.Contains(err.Error(), "private key") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != key {
		t.Errorf("%q %v", b, err)
	}
}
