package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tccm/undersigned/ledger/takeaway"
	"github.com/tccm/undersigned/testdata/tccm"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// browserDir is where the tests are that run in a browser.
var browserDir = filepath.Join("..", "..", "testdata", "browser")

// needBrowser skips a test where no browser can be driven, and returns the program of the browser.
func needBrowser(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	needTools(t, "node", "chromium")
	for _, module := range []string{"playwright-core", "axe-core"} {
		if _, err := os.Stat(filepath.Join(browserDir, "node_modules", module)); errors.Is(err, fs.ErrNotExist) {
			if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
				t.Fatalf("%s is not there; run make browser-tools", module)
			}
			t.Skipf("%s is not there; install node and npm, and run make browser-tools, to run this test", module)
		}
	}
	if !takeaway.Available() {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("the verifier for browsers is not built; run make wasm")
		}
		t.Skip("the verifier for browsers is not built; run make wasm to run this test")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// browserPlan is what the tests in the browser are told, as JSON.
type browserPlan struct {
	Chromium    string                   `json:"chromium"`
	Screenshots string                   `json:"screenshots"` // a directory, or ""
	Bench       bool                     `json:"bench"`       // print times and sizes
	Full        bool                     `json:"full"`        // every screen and every payload in every way
	Files       string                   `json:"files"`       // a directory with files to drop
	Answers     map[string]browserAnswer `json:"answers"`     // what the program says, by file
	Main        *browserFacts            `json:"main"`
	Crowd       *browserFacts            `json:"crowd"`
	Many        *browserFacts            `json:"many"`  // with bench, as large as a browser replays
	Large       *browserFacts            `json:"large"` // with bench, larger
	Hostile     *browserFacts            `json:"hostile"`
	Liars       map[string]string        `json:"liars"` // addresses, by lie
}

// A browserAnswer is what the program says of a file.
type browserAnswer struct {
	Code int             `json:"code"`
	JSON json.RawMessage `json:"json"`
}

// TestBrowser serves records to a browser and lets it judge: each file of testdata/browser with a name in .test.mjs is one
// of its tests. UNDERSIGNED_BROWSER=full looks at every screen and takes every attack in every way, as CI does. UNDERSIGNED_SCREENSHOTS=DIR
// keeps a picture of every screen, and UNDERSIGNED_BROWSER_BENCH=1 prints times and sizes.
func TestBrowser(t *testing.T) {
	plan := &browserPlan{Chromium: needBrowser(t), Screenshots: os.Getenv("UNDERSIGNED_SCREENSHOTS"), Bench: os.Getenv("UNDERSIGNED_BROWSER_BENCH") != "",
		Full: os.Getenv("UNDERSIGNED_BROWSER") == "full" || os.Getenv("UNDERSIGNED_SCREENSHOTS") != "", Files: t.TempDir(), Answers: map[string]browserAnswer{}}
	if plan.Screenshots != "" {
		var err error
		if plan.Screenshots, err = filepath.Abs(plan.Screenshots); err == nil {
			err = os.MkdirAll(plan.Screenshots, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	record, facts := browserStory(t)
	plan.Main = facts
	hostile, attacks := browserHostile(t)
	plan.Hostile = attacks
	size := 520 // more than a page of a list has
	if plan.Bench {
		size = 4997 // 10,000 entries
		_, plan.Many = browserMany(t, 250, 38)
		_, plan.Large = browserMany(t, 250, 41)
	}
	_, plan.Crowd = browserCrowd(t, size)
	if err := os.WriteFile(filepath.Join(plan.Files, "hostile.zip"), hostile.archive(), 0o600); err != nil {
		t.Fatal(err)
	}
	plan.Liars = browserLiars(t, record, hostile, facts)
	plan.drop(t, record, facts)

	b, err := json.MarshalIndent(plan, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(plan.Files, "plan.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UNDERSIGNED_BROWSER_WAIT") != "" { // to look at it, or to run one test: UNDERSIGNED_PLAN=FILE node NAME.test.mjs
		ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
		defer stop()
		fmt.Fprintf(os.Stderr, "UNDERSIGNED_PLAN=%s %s\n", file, facts.URL)
		<-ctx.Done()
		return
	}
	tests, err := filepath.Glob(filepath.Join(browserDir, "*.test.mjs"))
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests in %s: %v", browserDir, err)
	}
	for _, path := range tests {
		name := filepath.Base(path)
		t.Run(strings.TrimSuffix(name, ".test.mjs"), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "node", "--test-reporter=spec", name)
			cmd.Dir = browserDir
			cmd.Env = append(os.Environ(), "UNDERSIGNED_PLAN="+file)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			} else {
				t.Logf("%s", out)
			}
		})
	}
}

// drop writes the files that are dropped on the page, and what the program says of them.
func (p *browserPlan) drop(t *testing.T, r *browserRecord, f *browserFacts) {
	t.Helper()
	write := func(name string, b []byte) string {
		path := filepath.Join(p.Files, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	replace := func(b []byte, from, to string) []byte {
		if !bytes.Contains(b, []byte(from)) {
			t.Fatalf("there is no %q to replace", from)
		}
		return bytes.Replace(b, []byte(from), []byte(to), 1)
	}
	policy := write("policy.txt", r.asked.policy)
	statement := write("statement.txt", tccm.Statement)
	write("altered.txt", replace(tccm.Statement, "on an equal footing ", ""))
	write("lookalike.txt", replace(tccm.Statement, "We are members", "We аre mem\u200bbers")) // a Cyrillic letter and a space without width
	write("marked.txt", append([]byte("\uFEFF"), tccm.Statement...))                          // as some editors save it
	write("spaced.txt", replace(tccm.Statement, "We are members", "We  are members"))
	write("page.html", append(append([]byte("<!DOCTYPE html><html lang=\"en\"><body><main><p>"), strings.ReplaceAll(string(tccm.Statement), "\n\n", "</p>\n<p>")...), "</p></main></body></html>\n"...))
	write("unrelated.txt", []byte("A recipe for bread: take flour, water and salt, and wait for a day.\n"))
	write("paper.pdf", []byte("%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"))
	write("nothing.bin", bytes.Repeat([]byte{0, 255, 7}, 1000))
	write("empty.txt", nil)
	archive := write("archive.zip", r.archive())
	receipt := func(name string, index uint64) string {
		receipt, err := r.ledger.Receipt(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		return write(name, receipt.Bytes())
	}
	apnic := receipt("apnic.tlog-proof", f.Entries["apnic"])
	receipt("guest.tlog-proof", f.Entries["guest"])
	receipt("withdrawal.tlog-proof", f.Entries["withdrawal"])
	receipt("stolen.tlog-proof", f.Entries["stolen"])
	b, err := os.ReadFile(apnic)
	if err != nil {
		t.Fatal(err)
	}
	write("broken.tlog-proof", redated(t, b))

	answer := func(name string, args ...string) {
		code, out, stderr := runWith(t.Context(), append(args, "--json")...)
		if !json.Valid([]byte(out)) {
			t.Fatalf("%v: exit code %d, %s", args, code, stderr)
		}
		p.Answers[name] = browserAnswer{code, json.RawMessage(out)}
	}
	whole, none := filepath.Join(p.Files, "whole.tlog-proof"), filepath.Join(p.Files, "absent.tlog-proof")
	for _, c := range []struct {
		file, domain string
	}{{whole, ""}, {none, "absent.example"}} {
		args := []string{"receipt", "--roll", "--ledger", archive, "--policy", policy, "--statement", statement, "--as-of", "2024-06-11", "-o", c.file}
		if c.domain != "" {
			args = append(args, "--domain", c.domain)
		}
		if code, _, stderr := runWith(t.Context(), args...); code != codeOK {
			t.Fatalf("%v: exit code %d, %s", args, code, stderr)
		}
	}
	// Pages to take away, made by the program; those that the server makes are downloaded.
	for name, args := range map[string][]string{
		"page-receipt.html": {strconv.FormatUint(f.Entries["apnic"], 10)},
		"page-gone.html":    {strconv.FormatUint(f.Entries["guest"], 10), "--whole"},
	} {
		args = append([]string{"receipt", "--ledger", archive, "--policy", policy, "--html", filepath.Join(p.Files, name)}, args...)
		if code, _, stderr := runWith(t.Context(), args...); code != codeOK {
			t.Fatalf("%v: exit code %d, %s", args, code, stderr)
		}
	}
	for _, name := range []string{"apnic", "guest", "withdrawal", "stolen", "whole", "absent"} {
		answer(name, "verify", "--policy", policy, "--statement", statement, "--ledger", archive, filepath.Join(p.Files, name+".tlog-proof"))
		answer(name+" alone", "verify", "--policy", policy, "--statement", statement, filepath.Join(p.Files, name+".tlog-proof"))
	}
}

// browserHostile is a record in which every name and title is an attack on the page (testdata/browser/payloads.txt).
func browserHostile(t *testing.T) (*browserRecord, *browserFacts) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(browserDir, "payloads.txt"))
	if err != nil {
		t.Fatal(err)
	}
	payloads := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(payloads) < 100 {
		t.Fatalf("%d payloads", len(payloads))
	}
	r := newBrowserRecord(t, "2024-05-02")
	f := &browserFacts{URL: r.url, Statements: map[string]browserStatement{}, Entries: map[string]uint64{}}
	var all []*rolltest.Org
	for i, payload := range payloads {
		// Names that look alike are refused.
		o := browserOrg("p"+strconv.Itoa(i)+".example", payload+" q"+strconv.Itoa(i))
		o.LegalName = payload
		all = append(all, o)
	}
	r.join(all...)
	publish := func(name, title, language, mediaType, text string, supersedes *entry.Hash) entry.Hash {
		h := r.publish(text, title, func(s *entry.Statement) { s.Language, s.MediaType, s.Supersedes = language, mediaType, supersedes })
		f.Statements[name] = browserStatement{strings.TrimPrefix(h.String(), "sha256:"), title}
		return h
	}
	var last *entry.Hash
	for i, payload := range payloads {
		// Every fifth is a title too: enough for each kind, and few enough for the page that lists them.
		if i%5 == 0 {
			h := publish("title "+strconv.Itoa(i), payload, "en", "text/plain", payload+"\n\n- "+payload+"\n", last)
			last = &h
		}
	}
	everything := strings.Join(payloads, "\n") + "\n\n- " + strings.Join(payloads, "\n- ") + "\n"
	publish("language", payloads[1], "en-script-onerror", "text/html", "<!DOCTYPE html><html><body>"+everything+"</body></html>", nil)
	publish("type", payloads[2], "en", "text/x-script", everything+"!", nil)
	h := publish("all", payloads[0], "en", "text/plain", everything, nil)
	f.Entries["first"] = r.endorse(h, all...)
	r.withdraw(h, all[1])
	r.goLive(h)
	f.Size = r.ledger.Stats().Stored
	return r, f
}
