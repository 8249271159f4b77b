package dnssectest_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestOnlyTestsTrust holds what is shipped to the anchors of the rules: no package that is not a test's links this one, through which others could be added.
func TestOnlyTestsTrust(t *testing.T) {
	const module = "github.com/tccm/undersigned/"
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Deps \" \"}}", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var seen int
	for line := range strings.Lines(string(out)) {
		of := strings.Fields(line)
		seen++
		for _, dep := range of[1:] {
			if dep == module+"keys/dnssec/dnssectest" && !strings.HasSuffix(of[0], "test") {
				t.Errorf("%s imports dnssectest, and could be told to trust another root", of[0])
			}
		}
	}
	if seen < 20 {
		t.Fatalf("go list names %d packages", seen)
	}
}
