package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify/wording"
)

// htmlOracle is a page that lets the browser read pages, and writes which words each shows, by the rule of wording.FromHTML: in the order of the
// tree, without what an attribute of an element around them hides or strikes, or what is in an element that is left out.
var htmlOracle = template.Must(template.New("").Parse(`<!doctype html><meta charset=utf-8><pre id=out></pre><script>
const left = "script style title textarea iframe noembed noframes xmp template svg math select datalist object audio video canvas".split(" ")
const off = e => left.includes(e.localName) || ["s", "strike", "del"].includes(e.localName) || e.hasAttribute("hidden") ||
	/display:none|visibility:hidden|line-through/.test(e.getAttribute("style"))
const words = n => n.nodeType == 3 ? n.data.split(/\s+/) : n.nodeType == 1 && off(n) ? [] : [...n.childNodes].flatMap(words)
out.textContent = JSON.stringify({{.}}.map(s => words(new DOMParser().parseFromString(s, "text/html").documentElement).filter(w => /^w\d+$/.test(w)).join(" ")))
</script>`))

// TestHTMLAsBrowser makes pages of tags out of place, and holds the words that wording.FromHTML keeps to those that a browser shows, in its order.
// These differ on purpose, and are not in the pages:
//   - noscript is read as with scripts, and frameset as if it were not there;
//   - xmp is left out and plaintext is no text, for nobody writes them any more, and so are scripts that have <!-- and <script> in them;
//   - every doctype of html keeps tables out of paragraphs, the oldest too;
//   - a col right in a template, behind which a browser reads no tag up to the template's end, is left out;
//   - more than 256 open elements, or 32 formatting elements in a cell, are not held;
//   - Chromium looks for a foreignObject's end by its capitals, the standard does not.
func TestHTMLAsBrowser(t *testing.T) {
	needTools(t, "chromium")
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	pages := make([]string, 6000)
	for i := range pages {
		pages[i] = oddPage(r)
	}
	got := htmlInBrowser(t, pages)
	if len(got) != len(pages) {
		t.Fatalf("%d of %d pages", len(got), len(pages))
	}
	wrong := 0
	for i, page := range pages {
		text, err := wording.FromHTML([]byte(page))
		if err != nil {
			t.Fatal(err)
		}
		ours := strings.Fields(text.String())
		ours = slices.DeleteFunc(ours, func(w string) bool { return w[0] != 'w' })
		if s := strings.Join(ours, " "); s != got[i] {
			if wrong++; wrong <= 10 {
				t.Errorf("seed %d, page %d: %s\n%q; a browser shows %q", seed, i, page, s, got[i])
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d pages", wrong, len(pages))
	}
}

// oddPage returns a page of a few tags, with a word behind each.
func oddPage(r *rand.Rand) string {
	groups := [][]string{
		strings.Fields("a b i s strike del u font nobr span em code ins"),
		strings.Fields("p div h1 h2 ul ol li dl dt dd blockquote address section pre form button center"),
		strings.Fields("table tr td th tbody thead caption colgroup"),
		strings.Fields("svg math svg><foreignObject desc g mi annotation-xml title a path font"),
		strings.Fields("select option optgroup hr input textarea"),
		strings.Fields("template object marquee br img script style q ruby rt rp rtc rb body x-y s-x"),
	}
	// Most pages are of some groups, or nothing would ever meet.
	var names []string
	for len(names) == 0 {
		for i, group := range groups {
			if r.IntN(len(groups)) < 2 || i < 2 && r.IntN(2) == 0 {
				names = append(names, group...)
			}
		}
	}
	var b strings.Builder
	if r.IntN(2) == 0 {
		b.WriteString("<!doctype html>")
	}
	var opened []string
	for i := range 3 + r.IntN(18) {
		name := names[r.IntN(len(names))]
		switch n := r.IntN(20); {
		case n < 7 && len(opened) > 0:
			fmt.Fprintf(&b, "</%s>", opened[r.IntN(len(opened))])
		case n < 8 && !strings.Contains(name, ">"):
			fmt.Fprintf(&b, "</%s>", name)
		default:
			end, _, _ := strings.Cut(name, ">")
			opened = append(opened, end)
			attr := ""
			if r.IntN(4) == 0 {
				attr = []string{" hidden", " style='display:none'", " style='text-decoration:line-through'", " class=x", " color=red", "/", " encoding=text/html"}[r.IntN(7)]
			}
			fmt.Fprintf(&b, "<%s%s>", name, attr)
		}
		if r.IntN(5) > 0 {
			fmt.Fprintf(&b, " w%d ", i)
		}
	}
	return b.String()
}

// htmlInBrowser returns the words that a browser shows of each page.
func htmlInBrowser(t *testing.T, pages []string) (words []string) {
	t.Helper()
	dir := t.TempDir()
	var page bytes.Buffer
	if err := htmlOracle.Execute(&page, pages); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, page.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", "file://"+file)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, s, _ := strings.Cut(string(out), "<pre id=\"out\">")
	s, _, _ = strings.Cut(s, "</pre>")
	if err := json.Unmarshal([]byte(s), &words); err != nil {
		t.Fatalf("%v: %.500s", err, s)
	}
	return words
}
