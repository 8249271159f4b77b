package assets_test

import (
	"crypto/sha256"
	"os/exec"
	"strings"
	"testing"

	"github.com/tccm/undersigned/ledger/server/assets"
)

// TestAll: every asset has a type, a hash and a path, and can be found.
func TestAll(t *testing.T) {
	if len(assets.All()) < 4 {
		t.Fatalf("%d assets", len(assets.All()))
	}
	for _, a := range assets.All() {
		if a.Type == "" || a.SHA256() != sha256.Sum256(a.Body()) || !strings.HasPrefix(a.Path, "assets/") || assets.Find(a.Path) != a || len(a.Tag()) != 32 || (a.Brotli == nil) != (a.Gzip == nil) {
			t.Errorf("%s: type %q, tag %q", a.Path, a.Type, a.Tag())
		}
	}
	for _, path := range []string{"", "assets/", "assets/page.html", "assets/built/README", "assets/assets.go", "style.css"} {
		if assets.Find(path) != nil {
			t.Errorf("%q is an asset", path)
		}
	}
}

// TestNoPacker: what packs the verifier is not in the program.
func TestNoPacker(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../../cmd/undersigned").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if strings.HasPrefix(dep, "github.com/andybalholm/") || strings.HasSuffix(dep, "/assets/pack") {
			t.Errorf("the program imports %s: it packs when the program is built, and never after", dep)
		}
	}
}
