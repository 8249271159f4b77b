package rollcall

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImports: the command and the server share this package, and it prints what it is given.
func TestImports(t *testing.T) {
	forbidden := map[string]string{
		"net/http":                           "how a list is asked for, the server decides",
		"github.com/tccm/undersigned/ledger": "a list is computed by whoever has the record",
		"github.com/tccm/undersigned/verify/roll/rolltest": "is for tests",
	}
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if why, bad := forbidden[dep]; bad {
			t.Errorf("ledger/rollcall imports %s: %s", dep, why)
		}
	}
}
