package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestSabotagesApply finds each text that a sabotage replaces, once. A defence whose text has changed would not be switched
// off any more.
func TestSabotagesApply(t *testing.T) {
	names := make(map[string]bool)
	for _, s := range sabotages {
		if names[s.name] {
			t.Errorf("two sabotages are named %s", s.name)
		}
		names[s.name] = true
		for _, e := range s.edits {
			b, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(e.file)))
			if err != nil {
				t.Errorf("%s: %v", s.name, err)
			} else if n := bytes.Count(b, []byte(e.old)); n != 1 {
				t.Errorf("%s: %s holds %q %d times", s.name, e.file, e.old, n)
			}
		}
	}
}
