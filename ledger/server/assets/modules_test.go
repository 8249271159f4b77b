package assets_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestModules runs the modules' own tests where node is. Node takes a file for a module only beside a package.json that says so, which this
// directory does not need otherwise.
func TestModules(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("node is not installed (Debian: nodejs)")
		}
		t.Skip("node is not installed (Debian: nodejs)")
	}
	dir := t.TempDir()
	for _, pattern := range []string{"*.js", "tests/*.js"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(node, "--test", "modules.test.js")
	run.Dir = dir
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
