package interop

import (
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestOpenAPI: another implementation reads the description of /api/v1 as OpenAPI 3.1, and finds nothing wrong with it. That the server
// does what it says, the server's own tests hold it to.
func TestOpenAPI(t *testing.T) {
	b, err := os.ReadFile("../../ledger/server/assets/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Paths.Len() < 10 {
		t.Errorf("OpenAPI %s with %d paths", doc.OpenAPI, doc.Paths.Len())
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	// It finds what is wrong.
	bad, err := openapi3.NewLoader().LoadFromData([]byte(strings.Replace(string(b), `"in": "path"`, `"in": "way"`, 1)))
	if err == nil {
		err = bad.Validate(t.Context())
	}
	if err == nil {
		t.Error("a parameter in no known place passes")
	}
}
