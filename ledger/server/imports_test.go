package server

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImports keeps the face apart from the store behind it.
func TestImports(t *testing.T) {
	forbidden := map[string]string{
		"go.etcd.io/bbolt": "which store it is, the command decides",
		"github.com/tccm/undersigned/ledger/boltstore":     "which store it is, the command decides",
		"github.com/tccm/undersigned/ledger/storetest":     "is for tests",
		"github.com/tccm/undersigned/keys/source":          "no private key is near a request",
		"github.com/sigstore/sigstore/pkg/cryptoutils":     "no private key is near a request",
		"github.com/tccm/undersigned/verify/roll/rolltest": "is for tests",
	}
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if why, bad := forbidden[dep]; bad {
			t.Errorf("ledger/server imports %s: %s", dep, why)
		}
	}
}
