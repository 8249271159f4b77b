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
// tree, without what is in an element that is left out, and what by the style that the browser computes is not displayed, not visible or struck out.
var htmlOracle = template.Must(template.New("").Parse(`<!doctype html><meta charset=utf-8><iframe id=frame></iframe><pre id=out></pre><script>
const left = "script style title iframe noembed noframes template svg math select datalist audio video canvas progress meter".split(" ")
const shown = frame.contentDocument
const words = n => {
	if (n.nodeType == 3) return shown.defaultView.getComputedStyle(n.parentNode).visibility == "visible" ? n.data.split(/\s+/) : []
	if (n.nodeType != 1 || left.includes(n.localName)) return []
	const style = shown.defaultView.getComputedStyle(n)
	return style.display == "none" || style.textDecorationLine.includes("line-through") ? [] : [...n.childNodes].flatMap(words)
}
out.textContent = JSON.stringify({{.}}.map(s => {
	shown.replaceChild(new DOMParser().parseFromString(s, "text/html").documentElement, shown.documentElement)
	return words(shown.documentElement).filter(w => /^w\d+$/.test(w)).join(" ")
}))
</script>`))

// TestHTMLAsBrowser makes pages of tags out of place, and holds the words that wording.FromHTML keeps to those that a browser shows, in its order.
// A page that wording.FromHTML refuses is left out. These differ on purpose, and are not in the pages:
//   - noscript is read as with scripts;
//   - what lists, drawings and players of a page show is not read.
func TestHTMLAsBrowser(t *testing.T) {
	needTools(t, "chromium")
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	pages := make([]string, 8000)
	for i := range pages {
		pages[i] = oddPage(r)
	}
	got := htmlInBrowser(t, pages)
	if len(got) != len(pages) {
		t.Fatalf("%d of %d pages", len(got), len(pages))
	}
	refused := 0
	wrong := 0
	for i, page := range pages {
		text, err := wording.FromHTML([]byte(page))
		if err == wording.ErrPage {
			refused++
			continue
		}
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
	if refused > len(pages)/4 {
		t.Errorf("%d of %d pages were not read", refused, len(pages))
	}
}

// oddPage returns a page of a few tags, with a word behind each.
func oddPage(r *rand.Rand) string {
	groups := [][]string{
		strings.Fields("a b i s strike del u font nobr span em code ins stri\u212Ae"),
		strings.Fields("p div h1 h2 ul ol li dl dt dd blockquote address section pre form button center dialog"),
		strings.Fields("table tr td th tbody thead caption colgroup"),
		strings.Fields("svg math svg><foreignObject desc g mi annotation-xml title a path font svg><desc><template svg><foreignObject><template mglyph"),
		strings.Fields("select option optgroup hr input textarea"),
		strings.Fields("template object marquee br img image script style q ruby rt rp rtc rb body html x-y s-x tİtle progress"),
	}
	attrs := []string{" hidden", " style='display:none'", " style='text-decoration:line-through'", " class=x", " color=red", "/", " encoding=text/html", " class='x' ", " hİdden"}
	styles := []string{"display:none", "display:inline", "display:block!important", "display:x", "DİSPLAY:none", "visibility:hidden", "visibility:visible", "visibility:collapse",
		"text-decoration:none", "text-decoration-line:line-through", "--x:line-through", "color:red", "display:&nbsp;none", "Display : None", "all:unset", "d\\isplay:none",
		"/*;*/", "x:url(a;b)", "x:url(a&quot;b)", "x:(&quot;)&quot;)", "x:&quot;;", "x:{", "}", "x:rgb(1,2,3)", "&quot=", "display:none !important", "display:revert", "x:[;]"}
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
	b.WriteString([]string{"", "", "<!doctype html>", "<!doctype html>", "<!DOCTYPE html SYSTEM 'about:legacy-compat'>", "<!doctype html x>"}[r.IntN(6)])
	if r.IntN(40) == 0 {
		b.WriteString(strings.Repeat([]string{"<span>", "<div>", "<b><p>"}[r.IntN(3)], 110+r.IntN(150)))
	}
	every := 2 + r.IntN(6) // few words, or there would be some in every drawing
	styled := r.IntN(4) == 0
	var opened []string
	for i := range 3 + r.IntN(18) {
		name := names[r.IntN(len(names))]
		switch n := r.IntN(20); {
		case n < 7 && len(opened) > 0:
			fmt.Fprintf(&b, "</%s>", opened[r.IntN(len(opened))])
		case n < 8 && !strings.Contains(name, ">"):
			fmt.Fprintf(&b, "</%s>", name)
		default:
			opened = append(opened, strings.Split(name, "><")...)
			attr := ""
			if r.IntN(4) == 0 {
				attr = attrs[r.IntN(len(attrs))]
			}
			if styled && r.IntN(3) == 0 {
				var list []string
				for range 1 + r.IntN(3) {
					list = append(list, styles[r.IntN(len(styles))])
				}
				attr = []string{"", " hidden"}[r.IntN(2)] + " style=\"" + strings.Join(list, ";") + "\""
			}
			fmt.Fprintf(&b, "<%s%s>", name, attr)
		}
		if r.IntN(every) == 0 {
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
