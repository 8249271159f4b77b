// Package takeaway makes pages that check themselves: one HTML file with the verifier, a receipt or a whole record, the policy
// and the texts in it. It opens from a disk years later, asks no network for anything, and its verdict is made anew each time, by the
// code that the ledger and the program run, with the clock of whoever opens it.
//
// What the page holds is in data blocks, in base64, so that no name, text or signature is ever markup:
//
//	<script type="application/octet-stream" id="held-receipt">YzJzcC5vcmcvdGxvZy1wcm9vZkB2MQ…</script>
//
//	held-wasm      the verifier, packed with gzip
//	held-worker    what runs it: Go's wasm_exec.js, then the ledger's worker.js
//	held-messages  messages.en.json
//	held-policy    the policy that it judges by, unless somebody drops another
//	held-receipt   a receipt; or none
//	held-archive   a whole record, as package verify writes archives; or none
//	held-text-0    texts, the first of them the one that the page is about
//
// The modules are the ledger's own, one after the other in one script. The page's own policy (Content-Security-Policy) lets that script run and
// no other, by its hash, and lets the page load nothing from anywhere.
package takeaway

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/ledger/server/assets"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// MaxHeld bounds the bytes of a page's receipt, record, policy and texts together.
const MaxHeld = 64 << 20

var (
	// ErrNoVerifier is that this program was built without the verifier for browsers.
	ErrNoVerifier = errors.New("this program was built without the verifier for browsers, which such a page needs: build it with make build")
	// ErrTooLarge is that there is more to put into a page than MaxHeld.
	ErrTooLarge = errors.New("that is more than a page of its own can hold: save the archive instead, and check it with the program")
)

// A Page is what a page is about, and holds. The zero value of a field is that there is none.
type Page struct {
	Receipt []byte     // of an entry or of a sealed list: its verdict is shown
	Archive []byte     // the whole record: it is re-checked, and its lists can be looked at
	Policy  []byte     // required
	Texts   [][]byte   // the first is the one that the page is about
	Origin  string     // of the record
	Title   string     // of the statement, or of the record
	About   entry.Hash // the statement's fingerprint
	Link    string     // the record's address, http or https, with a slash at its end
	Name    string     // of the files that it can be taken apart into, without an extension: "apnic.net-57"
	Made    time.Time
	// Given says in whose name the policy is in it.
	Given Giver
}

// A Giver is who made a page, and put a policy into it.
type Giver string

// The two of them.
const (
	ByServer  Giver = "server"  // a ledger's server: the policy is its own
	ByProgram Giver = "program" // somebody, with the program: the policy is theirs
)

// Available says whether this program has the verifier.
func Available() bool {
	_, err := fixed()
	return err == nil
}

//go:embed page.html
var markup string

//go:embed takeaway.js
var script string

// scripts are the modules of the page, each after those that it imports. takeaway.js follows.
var scripts = []string{"messages.js", "dom.js", "engine.js", "verifier.js", "progress.js", "differences.js", "answer.js", "samples.js", "check.js", "judge.js", "claims.js", "record.js"}

// A frame is what is the same in all pages.
type frame struct {
	page     *template.Template
	say      map[string]string
	Style    template.CSS
	Module   template.HTML // the script element
	CSP      string        // its Content-Security-Policy
	Wasm     template.HTML
	Worker   template.HTML
	Messages template.HTML
	Verifier string // the fingerprint of the verifier
}

var fixed = sync.OnceValues(func() (*frame, error) {
	wasm, exec := assets.Find(assets.Verifier), assets.Find("assets/wasm_exec.js")
	if wasm == nil || exec == nil {
		return nil, ErrNoVerifier
	}
	return newFrame(wasm.Gzip, wasm.SHA256(), exec.Body())
})

// newFrame makes a frame of a verifier, packed with gzip, its hash, and Go's wasm_exec.js.
func newFrame(wasm []byte, sum [sha256.Size]byte, exec []byte) (*frame, error) {
	read := func(name string) ([]byte, error) {
		a := assets.Find("assets/" + name)
		if a == nil {
			return nil, fmt.Errorf("takeaway: the asset %s is missing", name)
		}
		return a.Body(), nil
	}
	f := &frame{Wasm: block("wasm", wasm), Verifier: "sha256:" + hex.EncodeToString(sum[:])}
	worker, err := read("worker.js")
	if err != nil {
		return nil, err
	}
	worker = slices.Concat(exec, []byte("\n"), worker)
	f.Worker = block("worker", worker)
	messages, err := read("messages.en.json")
	if err != nil {
		return nil, err
	}
	f.Messages = block("messages", messages)
	if err := json.Unmarshal(messages, &f.say); err != nil {
		return nil, fmt.Errorf("takeaway: %w", err)
	}
	style, err := read("style.css")
	if err != nil {
		return nil, err
	}
	f.Style = template.CSS(style)
	modules := make(map[string]string)
	for _, name := range scripts {
		b, err := read(name)
		if err != nil {
			return nil, err
		}
		modules[name] = string(b)
	}
	modules["takeaway.js"] = script
	joined, err := join(append(slices.Clone(scripts), "takeaway.js"), modules)
	if err != nil {
		return nil, err
	}
	for _, text := range []string{joined, string(style)} {
		if lower := strings.ToLower(text); strings.Contains(lower, "</s") || strings.Contains(lower, "<!--") {
			return nil, errors.New("takeaway: a module or the style sheet would end its element")
		}
	}
	f.Module = template.HTML(`<script type="module">` + joined + `</script>`)
	f.CSP = strings.Join([]string{
		"default-src 'none'", "script-src " + sourceOf(joined) + " 'wasm-unsafe-eval'", "style-src " + sourceOf(string(style)), "worker-src blob:",
		"base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types undersigned",
	}, "; ")
	f.page, err = template.New("page.html").Funcs(template.FuncMap{"say": f.sentence}).Parse(markup)
	return f, err
}

// sourceOf is how a Content-Security-Policy names a script or a style by its hash.
func sourceOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// sentence returns a message of the catalogue, with the values of its {placeholders}.
func (f *frame) sentence(key string, pairs ...string) (string, error) {
	s, ok := f.say[key]
	if !ok {
		return "", fmt.Errorf("the message %q is missing", key)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		s = strings.ReplaceAll(s, "{"+pairs[i]+"}", pairs[i+1])
	}
	return s, nil
}

// block is a data block, which is no script to a browser.
func block(name string, data []byte) template.HTML {
	return template.HTML(`<script type="application/octet-stream" id="held-` + name + `">` + base64.StdEncoding.EncodeToString(data) + `</script>`)
}

// join makes one script of modules: each is a function that returns what the module exports, run once, in order. It takes imports and exports in
// the form in which the modules here have them, each in a line of its own.
func join(order []string, modules map[string]string) (string, error) {
	importing := regexp.MustCompile(`(?m)^import \{ ([\w, ]+) \} from "\./([\w.-]+)";$`)
	exporting := regexp.MustCompile(`(?m)^export (?:async function|function|class|const) (\w+)`)
	modular := regexp.MustCompile(`(?m)^\s*(?:import|export)\b.*$`)
	var b strings.Builder
	b.WriteString("const modules = {};\n")
	done := map[string][]string{}
	for _, name := range order {
		source := modules[name]
		var exports []string
		for _, m := range exporting.FindAllStringSubmatch(source, -1) {
			exports = append(exports, m[1])
		}
		var bad error
		source = importing.ReplaceAllStringFunc(source, func(line string) string {
			m := importing.FindStringSubmatch(line)
			exported, ok := done[m[2]]
			for _, what := range strings.Split(m[1], ", ") {
				if !ok || !slices.Contains(exported, what) {
					bad = fmt.Errorf("takeaway: %s imports what %s does not export before it", name, m[2])
				}
			}
			return "const { " + m[1] + " } = modules[" + strconv.Quote(m[2]) + "];"
		})
		source = exporting.ReplaceAllStringFunc(source, func(line string) string { return strings.TrimPrefix(line, "export ") })
		if bad != nil {
			return "", bad
		}
		if line := modular.FindString(source); line != "" {
			return "", fmt.Errorf("takeaway: %s has an import or export of another form: %s", name, line)
		}
		done[name] = exports
		fmt.Fprintf(&b, "modules[%q] = (() => {\n%s\nreturn { %s };\n})();\n", name, source, strings.Join(exports, ", "))
	}
	return b.String(), nil
}

// Make makes a page. The same Page gives the same bytes in the same build. The errors are ErrNoVerifier, ErrTooLarge, or a mistake of the caller's.
func Make(p Page) ([]byte, error) {
	f, err := fixed()
	if err != nil {
		return nil, err
	}
	return f.make(p)
}

func (f *frame) make(p Page) ([]byte, error) {
	held := len(p.Receipt) + len(p.Archive) + len(p.Policy)
	for _, t := range p.Texts {
		held += len(t)
	}
	switch {
	case held > MaxHeld:
		return nil, ErrTooLarge
	case len(p.Policy) == 0 || p.Receipt == nil && p.Archive == nil:
		return nil, errors.New("takeaway: a page needs a policy, and a receipt or an archive")
	case p.Link != "" && !strings.HasPrefix(p.Link, "https://") && !strings.HasPrefix(p.Link, "http://"):
		return nil, errors.New("takeaway: the link is not http or https")
	}
	blocks := []template.HTML{f.Wasm, f.Worker, f.Messages, block("policy", p.Policy)}
	if p.Receipt != nil {
		blocks = append(blocks, block("receipt", p.Receipt))
	}
	if p.Archive != nil {
		blocks = append(blocks, block("archive", p.Archive))
	}
	for i, t := range p.Texts {
		blocks = append(blocks, block("text-"+strconv.Itoa(i), t))
	}
	var b bytes.Buffer
	b.Grow(held/3*4 + len(f.Wasm) + 256<<10)
	err := f.page.Execute(&b, struct {
		*frame
		Page
		Blocks  []template.HTML
		Demo    bool
		Day     string
		Subject string
	}{f, p, blocks, verify.DemoNotice(p.Origin) != "", p.Made.UTC().Format("2 January 2006"), hex.EncodeToString(p.About[:])})
	if err != nil {
		return nil, fmt.Errorf("takeaway: %w", err)
	}
	return b.Bytes(), nil
}
