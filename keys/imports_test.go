package keys

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestImports keeps this package, and those below it that a browser has, small enough for a browser. Each path stands for itself and all below it.
func TestImports(t *testing.T) {
	forbidden := map[string]string{
		"crypto/x509":                  "pulls net and the platform's roots; an SPKI of our suites needs a prefix and a few lines",
		"net":                          "nothing here talks to anybody",
		"net/http":                     "nothing here talks to anybody, and it doubles the download",
		"os/exec":                      "a browser has no processes",
		"go.etcd.io/bbolt":             "does not compile for js/wasm",
		"github.com/sigstore/sigstore": "private keys live in keys/source; it triples the download",
		"golang.org/x/crypto/ssh":      "pulls net",
		"github.com/cloudflare/circl":  "it signs; what verifies has one implementation, the same in a browser",
		"github.com/miekg/dns":         "pulls net; what a chain needs of the DNS is a few pages",
	}
	exact := map[string]bool{"net": true} // net/netip and net/url are small and pure
	cmd := exec.Command("go", "list", "-deps", ".", "./unicode15", "./dnssec")
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 20 {
		t.Fatalf("go list names %d packages", len(deps))
	}
	for _, dep := range deps {
		for path, why := range forbidden {
			if dep == path || !exact[path] && strings.HasPrefix(dep, path+"/") {
				t.Errorf("keys imports %s: %s", dep, why)
			}
		}
	}
}
