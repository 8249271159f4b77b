package wording_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestImports: the page compiles this package, so it may lean on the standard library, on normalization and on the frozen tables alone.
func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	allowed := map[string]bool{
		"golang.org/x/text/transform": true, "golang.org/x/text/unicode/norm": true,
		"github.com/tccm/undersigned/keys/unicode15": true, "github.com/tccm/undersigned/keys/unicode15/internal/record": true,
		"github.com/tccm/undersigned/verify/wording": true,
	}
	deps := strings.Fields(string(out))
	if len(deps) != len(allowed) {
		t.Errorf("%d packages beside the standard library's", len(deps))
	}
	for _, dep := range deps {
		if !allowed[dep] {
			t.Errorf("imports %s", dep)
		}
	}
}
