package server

import (
	"bytes"
	"encoding/base64"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tccm/undersigned/ledger/takeaway"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// inPage returns what a page holds under a name; nil: nothing.
func inPage(t *testing.T, page []byte, name string) []byte {
	t.Helper()
	m := regexp.MustCompile(`id="held-` + name + `">([^<]*)<`).FindSubmatch(page)
	if m == nil {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTakeaway(t *testing.T) {
	if !takeaway.Available() {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("the verifier for browsers is not built: make wasm")
		}
		t.Skip("the verifier for browsers is not built: make wasm")
	}
	w := newFullWorld(t)
	w.server.offered = []byte("# a policy\n")
	entryPath, recordPath := "/entry/8/page.html", "/statement/"+hexOf(w.text)+"/page.html"
	for _, page := range []string{"/entry/8", "/statement/" + hexOf(w.text)} {
		if !strings.Contains(w.get(page).Body.String(), `href="`+page+`/page.html"`) {
			t.Errorf("%s has no link to the page", page)
		}
	}
	if strings.Contains(w.get("/entry/1").Body.String(), "/page.html") {
		t.Error("the page of a membership has a link to what there is not")
	}

	got := w.get(entryPath)
	if got.Code != 200 || got.Header().Get("Content-Disposition") != `attachment; filename="apnic.net-8.html"` || got.Header().Get("Content-Type") != typeHTML {
		t.Fatalf("%d, %s", got.Code, got.Header())
	}
	page := got.Body.Bytes()
	receipt, err := verify.ParseReceipt(inPage(t, page, "receipt"))
	if err != nil || receipt.Index != 8 {
		t.Errorf("its receipt: %v", err)
	}
	if string(inPage(t, page, "text-0")) != worldText || string(inPage(t, page, "policy")) != "# a policy\n" || inPage(t, page, "archive") != nil {
		t.Error("it does not hold the text and the policy, or it holds more")
	}

	got = w.get(recordPath)
	if got.Code != 200 {
		t.Fatalf("%d, %s", got.Code, got.Body)
	}
	zip := inPage(t, got.Body.Bytes(), "archive")
	archive, err := verify.OpenArchive(bytes.NewReader(zip), int64(len(zip)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := archive.Fetch(t.Context(), verify.BlobPath(w.text))
	if err != nil || entry.Sum(text) != w.text {
		t.Errorf("the archive's text: %v", err)
	}

	for path, want := range map[string]int{"/entry/1/page.html": 404, "/entry/999/page.html": 404, "/entry/08/page.html": 404, "/entry/8/page.htm": 404, entryPath + "?x=1": 400, recordPath + "?x=1": 400} {
		if got := w.get(path); got.Code != want {
			t.Errorf("%s: %d, want %d", path, got.Code, want)
		}
	}
	if _, err := w.server.archive(t.Context(), len(zip)-1); err != verify.ErrTooLarge {
		t.Errorf("a larger record than may be: %v", err)
	}
	if whole, err := w.server.archive(t.Context(), len(zip)); err != nil || !bytes.Equal(whole, zip) {
		t.Errorf("a record as large as may be: %v", err)
	}
}

// Without a policy there is nothing to judge by, and so no such page.
func TestTakeawayWithout(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/entry/8/page.html", "/statement/" + hexOf(w.text) + "/page.html"} {
		if got := w.get(path); got.Code != 404 || !strings.Contains(got.Body.String(), "receipt --html") {
			t.Errorf("%s: %d, %s", path, got.Code, got.Body)
		}
	}
	if strings.Contains(w.get("/entry/8").Body.String(), "page.html") {
		t.Error("a page has a link to what there is not")
	}
}
