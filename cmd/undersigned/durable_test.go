package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Directories are made with those above them, for their owner alone, and making them again is no error.
func TestMakeDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"a/b/c/", "a/b/c", "a", ".", filepath.Join(t.TempDir(), "x", "y")} {
		if err := makeDirectory(path); err != nil {
			t.Fatal(path, err)
		}
		if info, err := os.Stat(path); err != nil || !info.IsDir() || path != "." && info.Mode().Perm()&0o077 != 0 {
			t.Fatal(path, info, err)
		}
	}
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := makeDirectory("file/below"); err == nil {
		t.Fatal("a directory was made in a file")
	}
}

// What is written replaces a file as a whole and leaves nothing beside it.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "policy.txt")
	for _, text := range []string{"one", "the other"} {
		if err := writeFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Fatalf("%q %v", b, err)
		}
	}
	if err := writeFile(filepath.Join(path, "below"), nil); err == nil {
		t.Fatal("a file was written below a file")
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v %v", list, err)
	}
}
