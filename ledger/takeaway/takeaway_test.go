package takeaway

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger/server/assets"
	"github.com/tccm/undersigned/verify/entry"
)

func testFrame(t *testing.T) *frame {
	t.Helper()
	f, err := newFrame([]byte("packed"), sha256.Sum256([]byte("wasm")), []byte("// wasm_exec.js"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var testPage = Page{
	Receipt: []byte("c2sp.org/tlog-proof@v1\n"), Policy: []byte("quorum none\n"), Texts: [][]byte{[]byte("A text.\n"), []byte("Ein Text.\n")},
	Origin: "demo.undersigned.example/tccm", Title: "A statement", About: entry.Sum([]byte("A text.\n")), Link: "https://ledger.example/", Name: "a.example-7",
	Made: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), Given: ByProgram,
}

// What a page holds can be taken out of it byte for byte, and is named as its package says.
func TestHeld(t *testing.T) {
	f := testFrame(t)
	p := testPage
	p.Archive = []byte("PK\x03\x04</script>")
	page, err := f.make(p)
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]string{}
	for _, m := range regexp.MustCompile(`<script type="application/octet-stream" id="held-([a-z0-9-]+)">([A-Za-z0-9+/=]*)</script>`).FindAllSubmatch(page, -1) {
		b, err := base64.StdEncoding.DecodeString(string(m[2]))
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
		held[string(m[1])] = string(b)
	}
	for name, want := range map[string]string{
		"wasm": "packed", "policy": string(p.Policy), "receipt": string(p.Receipt), "archive": string(p.Archive), "text-0": "A text.\n", "text-1": "Ein Text.\n",
		"messages": string(assets.Find("assets/messages.en.json").Body()), "worker": "// wasm_exec.js\n" + string(assets.Find("assets/worker.js").Body()),
	} {
		if held[name] != want {
			t.Errorf("held-%s is %q, want %q", name, held[name], want)
		}
		delete(held, name)
	}
	if len(held) > 0 {
		t.Errorf("the page holds more: %q", held)
	}
	again, err := f.make(p)
	if err != nil || !bytes.Equal(page, again) {
		t.Error("the same page twice is not the same")
	}
}

// The page's own policy lets its script and its style run and be, and nothing else; and loads nothing.
func TestPolicy(t *testing.T) {
	page, err := testFrame(t).make(testPage)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	m := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(text)
	if m == nil {
		t.Fatal("there is no policy")
	}
	policy := html.UnescapeString(m[1])
	hash := func(what string) string {
		sum := sha256.Sum256([]byte(what))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	module := regexp.MustCompile(`(?s)<script type="module">(.*?)</script>`).FindAllStringSubmatch(text, -1)
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(text, -1)
	if len(module) != 1 || len(style) != 1 {
		t.Fatalf("%d scripts and %d styles", len(module), len(style))
	}
	want := "default-src 'none'; script-src " + hash(module[0][1]) + " 'wasm-unsafe-eval'; style-src " + hash(style[0][1]) +
		"; worker-src blob:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types undersigned"
	if policy != want {
		t.Errorf("%s\nwant\n%s", policy, want)
	}
	if n := strings.Count(text, "<script"); n != 1+strings.Count(text, `<script type="application/octet-stream"`) {
		t.Errorf("%d scripts", n)
	}
	for _, m := range regexp.MustCompile(`<(?:link|img|iframe|source|object|embed|base|script|style|form)\b[^>]*>`).FindAllString(text, -1) {
		if strings.Contains(m, "src=") || strings.Contains(m, "http:") || strings.Contains(m, "https:") || strings.HasPrefix(m, "<link") || strings.HasPrefix(m, "<base") {
			t.Errorf("it loads something: %s", m)
		}
	}
	if strings.Contains(style[0][1], "url(") || strings.Contains(style[0][1], "@import") {
		t.Error("the style sheet loads something")
	}
}

// No title, name or address is markup.
func TestHostile(t *testing.T) {
	f := testFrame(t)
	for _, evil := range []string{`<script>alert(1)</script>`, `"><svg onload=alert(1)>`, `</title><script>alert(1)</script>`, `{{.Wasm}}`, `' onmouseover='alert(1)`, `<!--`} {
		p := testPage
		p.Title, p.Origin, p.Name = evil, evil, evil
		p.Link = "https://ledger.example/" + evil
		page, err := f.make(p)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(page, []byte(evil)); i >= 0 && strings.ContainsAny(evil, "<\"'") {
			t.Errorf("%q is in the page as it is: %s", evil, page[max(0, i-40):i+40])
		}
		if n := bytes.Count(page, []byte("<script")); n != 8 {
			t.Errorf("%q: %d scripts", evil, n)
		}
	}
	for _, link := range []string{"javascript:alert(1)", "data:text/html,x", "//evil.example/", "ftp://a.example/"} {
		p := testPage
		p.Link = link
		if _, err := f.make(p); err == nil {
			t.Errorf("the link %q is taken", link)
		}
	}
}

func TestRefused(t *testing.T) {
	f := testFrame(t)
	for name, tc := range map[string]struct {
		change func(*Page)
		want   error // nil: any
	}{
		"no policy":            {func(p *Page) { p.Policy = nil }, nil},
		"nothing to be judged": {func(p *Page) { p.Receipt = nil }, nil},
		"too much":             {func(p *Page) { p.Archive = make([]byte, MaxHeld) }, ErrTooLarge},
	} {
		p := testPage
		tc.change(&p)
		if _, err := f.make(p); err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if assets.Find(assets.Verifier) == nil {
		if _, err := Make(testPage); !errors.Is(err, ErrNoVerifier) || Available() {
			t.Errorf("without a verifier: %v", err)
		}
	} else if _, err := Make(testPage); err != nil || !Available() {
		t.Errorf("with a verifier: %v", err)
	}
}

// Modules become one script in order, each seeing of the others what they export.
func TestJoin(t *testing.T) {
	a := "const hidden = 1;\nexport const one = 1;\nexport async function two() {}\nexport class Three {}\n"
	got, err := join([]string{"a.js", "b.js"}, map[string]string{"a.js": a, "b.js": "import { one, Three } from \"./a.js\";\nexport function four() { return one; }\n"})
	want := `const modules = {};
modules["a.js"] = (() => {
const hidden = 1;
const one = 1;
async function two() {}
class Three {}

return { one, two, Three };
})();
modules["b.js"] = (() => {
const { one, Three } = modules["a.js"];
function four() { return one; }

return { four };
})();
`
	if err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
	for name, b := range map[string]string{
		"what is not exported":  `import { hidden } from "./a.js";`,
		"a module after it":     `import { x } from "./c.js";`,
		"a default":             `import a from "./a.js";`,
		"a renamed one":         `import { one as two } from "./a.js";`,
		"an export of another":  `export { one } from "./a.js";`,
		"a default export":      `export default function f() {}`,
		"a variable that moves": `export let x = 1;`,
	} {
		if _, err := join([]string{"a.js", "b.js"}, map[string]string{"a.js": a, "b.js": b + "\n"}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Every module of the pages but their own first one is in the page.
func TestModules(t *testing.T) {
	in := map[string]bool{"app.js": true, "worker.js": true, "wasm_exec.js": true}
	for _, name := range scripts {
		in[name] = true
	}
	for _, a := range assets.All() {
		if name := strings.TrimPrefix(a.Path, "assets/"); strings.HasSuffix(name, ".js") && !in[name] {
			t.Errorf("%s is not in the pages that are taken away", name)
		}
	}
}
