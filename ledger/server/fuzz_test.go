package server

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// Whatever a path or query is, it is answered without a redirect and without repeating it; and
// what is under /tile/ and found is the one path of that tile.
func FuzzTarget(f *testing.F) {
	w := newWorld(f)
	for _, target := range []string{
		"/", "/checkpoint", "/checkpoints/1/latest", "/tile/0/000.p/10", "/tile/entries/000.p/3", "/tile/0/..%2f..%2fcheckpoint", "//checkpoint",
		"/blobs/sha256/" + hexOf(w.text), "/api/v1/roll/" + hexOf(w.text) + "?as-of=2024-06-11&page=2&limit=1&size=9",
		"/api/v1/statements?limit=1", "/api/v1/checkpoints?from=3&limit=2", "/api/v1/signatory/apnic.net/history?page=1", "/api/v1/entry/7", "/api/v1/receipt/7",
		"/api/v1/proof/inclusion?index=1&size=2", "/api/v1/proof/consistency?from=1&to=2", "/api/v1/search?q=a", "/?as-of=2024-06-11", "/statement/" + hexOf(w.closed),
	} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := &http.Request{Method: "GET", URL: u, RequestURI: target, Header: http.Header{}, Body: http.NoBody}
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		if rec.Code >= 300 && rec.Code < 400 || rec.Code >= 500 {
			t.Errorf("%d: %s", rec.Code, rec.Body)
		}
		if rec.Code != 200 && rec.Header().Get("Content-Type") != typeProblem {
			t.Errorf("%d of type %s", rec.Code, rec.Header().Get("Content-Type"))
		}
		if path, _, _ := strings.Cut(target, "?"); strings.HasPrefix(path, "/tile/") && rec.Code == 200 {
			tile, err := verify.ParseTilePath(path[1:])
			if err != nil || "/"+tile.Path() != path {
				t.Errorf("found at %q: %v", path, err)
			}
		}
	})
}

// A body that is parted and framed again is the same, and no entry is more than a leaf can be.
func FuzzSplit(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0})
	f.Add([]byte{0, 1, 'x', 0, 2, 'y', 'z'})
	f.Add([]byte{0, 2, 'x'})
	f.Fuzz(func(t *testing.T, body []byte) {
		entries, p := split(body, 8)
		if p != nil {
			if p.Status != 400 && p.Status != 413 {
				t.Errorf("%+v", p)
			}
			return
		}
		if len(entries) > 8 || !bytes.Equal(frame(entries...), body) {
			t.Errorf("%d entries", len(entries))
		}
	})
}

// A tile beside a file server that has the same bytes in memory.
func BenchmarkTile(b *testing.B) {
	w := newWorld(b)
	r := httptest.NewRequest("GET", "/tile/0/000.p/10", nil)
	b.Run("tile", func(b *testing.B) {
		for b.Loop() {
			w.server.ServeHTTP(httptest.NewRecorder(), r)
		}
	})
	data := w.get("/tile/0/000.p/10").Body.Bytes()
	files := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "tile", rolltest.Start, bytes.NewReader(data))
	})
	b.Run("file", func(b *testing.B) {
		for b.Loop() {
			files.ServeHTTP(httptest.NewRecorder(), r)
		}
	})
}
