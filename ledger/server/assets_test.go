package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"io"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/tccm/undersigned/ledger/server/assets"
)

// request asks with a header Accept-Encoding.
func (w *world) request(path, accept, match string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	if accept != "" {
		r.Header.Set("Accept-Encoding", accept)
	}
	if match != "" {
		r.Header.Set("If-None-Match", match)
	}
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	return rec
}

// TestVerifier loads the verifier in all ways in which browsers ask for it: the same bytes, each with a tag of its own.
func TestVerifier(t *testing.T) {
	a := assets.Find(assets.Verifier)
	if a == nil {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("the verifier for browsers is not built")
		}
		t.Skip("the verifier for browsers is not built; run make wasm before this test")
	}
	w := newWorld(t)
	tags := map[string]bool{}
	for _, tc := range []struct{ accept, encoding string }{
		{"", ""}, {"br", "br"}, {"gzip, deflate, br, zstd", "br"}, {"gzip", "gzip"}, {"br;q=0, gzip", "gzip"}, {"identity", ""}, {"BR", "br"},
	} {
		rec := w.request("/"+assets.Verifier, tc.accept, "")
		h := rec.Header()
		if rec.Code != 200 || h.Get("Content-Encoding") != tc.encoding || h.Get("Content-Type") != "application/wasm" || h.Get("Vary") != "Accept-Encoding" || h.Get("Cache-Control") != cacheAsk ||
			h.Get("Content-Length") != strconv.Itoa(rec.Body.Len()) || h.Get("X-Uncompressed-Length") != strconv.Itoa(len(a.Body())) || h.Get("Content-Security-Policy") != csp {
			t.Fatalf("%q: %d %v", tc.accept, rec.Code, h)
		}
		if tc.encoding == "br" && rec.Body.Len() > 1_600_000 {
			t.Errorf("%d bytes are to be loaded", rec.Body.Len())
		}
		tags[h.Get("ETag")] = true
		again := w.request("/"+assets.Verifier, tc.accept, h.Get("ETag"))
		if again.Code != 304 || again.Body.Len() > 0 || again.Header().Get("Content-Encoding") != "" {
			t.Errorf("%q: asked again, %d with %d bytes", tc.accept, again.Code, again.Body.Len())
		}
		var r io.Reader = rec.Body
		switch tc.encoding {
		case "br":
			r = brotli.NewReader(r)
		case "gzip":
			var err error
			if r, err = gzip.NewReader(r); err != nil {
				t.Fatal(err)
			}
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, r); err != nil || !bytes.Equal(sum.Sum(nil), hashOf(a)) {
			t.Errorf("%q: other bytes: %v", tc.accept, err)
		}
	}
	if len(tags) != 3 {
		t.Errorf("%d tags for three codings", len(tags))
	}
	if w.request("/"+assets.Verifier+".gz", "", "").Code != 404 || w.request("/assets/built/README", "", "").Code != 404 {
		t.Error("files are served that are no assets")
	}
}

func hashOf(a *assets.Asset) []byte {
	sum := a.SHA256()
	return sum[:]
}

// TestPolicyOfContent: pages load nothing from elsewhere, and run nothing but what is beside them.
func TestPolicyOfContent(t *testing.T) {
	for _, bad := range []string{"unsafe-inline", "'unsafe-eval'", "http", "data:", "*"} {
		if strings.Contains(csp, bad) {
			t.Errorf("the policy says %s", bad)
		}
	}
	for _, want := range []string{"default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "connect-src 'self'", "worker-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy lacks %s", want)
		}
	}
}

// TestPolicyFile serves the policy that a server has for readers, and says whose word it is.
func TestPolicyFile(t *testing.T) {
	w := newWorld(t)
	if rec := w.request("/policy", "", ""); rec.Code != 404 {
		t.Errorf("%d without a policy", rec.Code)
	}
	w.server.offered = offeredPolicy([]byte("quorum none\n"))
	rec := w.request("/policy", "", "")
	if first, rest, _ := strings.Cut(rec.Body.String(), "\n"); rec.Code != 200 || rec.Header().Get("Content-Type") != typeText || !strings.HasPrefix(first, "# This is the word of the server") || rest != "quorum none\n" {
		t.Errorf("%d %q", rec.Code, rec.Body)
	}
}
