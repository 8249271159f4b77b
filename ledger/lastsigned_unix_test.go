//go:build unix

package ledger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Nothing is signed when the record that was written is not the one that the next start would read.
func TestLastSignedReplaced(t *testing.T) {
	replace := func(t *testing.T, path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".x", b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".x", path); err != nil {
			t.Fatal(err)
		}
	}
	for name, when := range map[string]func(t *testing.T, s *LastSigned){
		"before": func(t *testing.T, s *LastSigned) { replace(t, s.path) },
		"amid": func(t *testing.T, s *LastSigned) {
			s.sync = func(f *os.File) error { replace(t, s.path); return dataSync(f) }
		},
		"removed": func(t *testing.T, s *LastSigned) { os.Remove(s.path) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := OpenLastSigned(filepath.Join(t.TempDir(), "last-signed"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for size := range uint64(3) {
				if err := s.write("ledger.example/test", [32]byte{}, size, emptyRoot, nil); err != nil {
					t.Fatal(err)
				}
			}
			when(t, s)
			if err := s.write("ledger.example/test", [32]byte{}, 3, emptyRoot, nil); err == nil || !strings.Contains(err.Error(), "while it was in use") {
				t.Errorf("it is written: %v", err)
			}
		})
	}
}
