package verify_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestImports: the browser compiles this package, so it may not lean, not even through others, on what cannot
// run there or would make the download large.
func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", ".", "./entry", "./roll", "./wording", "./check", "../cmd/undersigned-wasm")
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	why := map[string]string{
		"encoding/json":                "it is a fiftieth of the download: verify/check prints its answers itself",
		"net":                          "a verdict needs no network, and the browser has no sockets",
		"net/http":                     "whoever has a network hands in a Fetch; it adds megabytes",
		"crypto/x509":                  "keys are bare SPKI; it pulls net",
		"crypto/tls":                   "as net/http",
		"os/exec":                      "a verifier that starts programs is no verifier",
		"go.etcd.io/bbolt":             "does not compile for js/wasm",
		"golang.org/x/crypto/ssh":      "pulls net",
		"github.com/sigstore/sigstore": "triples the download",
		"github.com/cloudflare/circl":  "it signs; what verifies has one implementation, the same in a browser",
		"github.com/digitorus":         "as crypto/x509",
		"github.com/tccm/undersigned/verify/timestamp": "CMS and X.509 would be half of the download: what checks time stamps is handed in",
		"golang.org/x/text/collate":                    "its tables are half a megabyte: lists are printed elsewhere",
		"github.com/tccm/undersigned/ledger":           "who checks must not lean on who is checked",
	}
	for _, dep := range strings.Fields(string(out)) {
		for bad, reason := range why {
			if dep == bad || strings.HasPrefix(dep, bad+"/") && bad != "net" {
				t.Errorf("imports %s: %s", dep, reason)
			}
		}
	}
}
