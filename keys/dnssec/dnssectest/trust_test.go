package dnssectest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestOnlyTestsTrust holds what is shipped to the anchors of the rules: no package that is not a test's links this one, through which others could be added.
// What is compiled differs by platform, so each that is built is asked about, the browser's too.
func TestOnlyTestsTrust(t *testing.T) {
	const module = "github.com/tccm/undersigned/"
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/arm64", "windows/amd64", "js/wasm"} {
		t.Run(platform, func(t *testing.T) {
			goos, goarch, _ := strings.Cut(platform, "/")
			list := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Deps \" \"}}", module+"...")
			list.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
			out, err := list.Output()
			if err != nil {
				t.Fatal(err)
			}
			var seen, dnssec int
			for line := range strings.Lines(string(out)) {
				of := strings.Fields(line)
				seen++
				for _, dep := range of[1:] {
					if dep == module+"keys/dnssec" {
						dnssec++
					}
					if dep == module+"keys/dnssec/dnssectest" && !strings.HasSuffix(of[0], "test") {
						t.Errorf("%s imports dnssectest, and could be told to trust another root", of[0])
					}
				}
			}
			if seen < 20 || dnssec < 5 {
				t.Fatalf("go list names %d packages, %d of which check chains", seen, dnssec)
			}
		})
	}
}
