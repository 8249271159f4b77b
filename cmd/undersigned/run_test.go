package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/ledger/server/assets"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// runWith runs the program in this process, without any setting.
func runWith(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, args, strings.NewReader(""), &out, &err, nil)
	return code, out.String(), err.String()
}

// TestHelp holds every command to an example in its help, and every example to the grammar.
func TestHelp(t *testing.T) {
	parser, err := newParser(newApp(nil, io.Discard, io.Discard, nil), settings{}, &commands{})
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range parser.Model.Leaves(true) {
		args := append(strings.Fields(strings.TrimPrefix(node.Path(), "undersigned ")), "--help")
		if i := strings.Index(node.Path(), "<"); i >= 0 {
			args = append(strings.Fields(strings.TrimPrefix(node.Path()[:i], "undersigned ")), "--help")
		}
		code, out, stderr := runWith(t.Context(), args...)
		if code != codeOK || stderr != "" {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
		_, examples, ok := strings.Cut(node.Detail, "Example:\n")
		if !ok || !strings.Contains(out, "Example:") {
			t.Errorf("%v: no example in\n%s", args, out)
		}
		for line := range strings.Lines(examples) {
			command, ok := strings.CutPrefix(strings.TrimSpace(line), "undersigned ")
			if !ok {
				continue
			}
			if _, err := parser.Parse(words(command)); err != nil {
				t.Errorf("the example does not parse: %s: %v", command, err)
			}
		}
	}
}

// words parts a command line as a shell does, as far as examples need it.
func words(line string) []string {
	line, _, _ = strings.Cut(line, " > ")
	var out []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}

// TestNoSecretFlags holds flags that take a value to names of files and descriptors: what is on a command line,
// others can see.
func TestNoSecretFlags(t *testing.T) {
	parser, err := newParser(newApp(nil, io.Discard, io.Discard, nil), settings{}, &commands{})
	if err != nil {
		t.Fatal(err)
	}
	kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok && !f.IsBool() && strings.Contains(f.Name, "pass") && f.Name != "password-file" && f.Name != "password-fd" {
			t.Errorf("--%s takes a value", f.Name)
		}
		return next(nil)
	})
}

func TestNoCommand(t *testing.T) {
	if code, out, _ := runWith(t.Context()); code != codeOK || !strings.Contains(out, "Usage: undersigned <command>") {
		t.Errorf("exit code %d, %s", code, out)
	}
}

// TestInterrupted interrupts an audit whose server never answers.
func TestInterrupted(t *testing.T) {
	asked := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}))
	defer hang.Close()
	policy := filepath.Join("..", "..", "testdata", "tccm", "policy.txt")
	for _, args := range [][]string{
		{"audit", "--policy", policy, hang.URL},
		{"endorse", "--policy", policy, "--ledger", hang.URL, "--domain", "a.example", "--statement", policy, "--prepare"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		if code, _, stderr := runWith(ctx, args...); code != codeInterrupted || !strings.Contains(stderr, "interrupted") {
			t.Errorf("%v: exit code %d, %q", args[0], code, stderr)
		}
		cancel()
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestAnswerLost checks that an answer that could not be written is not a success.
func TestAnswerLost(t *testing.T) {
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"version"}, nil, brokenPipe{}, &stderr, nil); code != codeError || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("exit code %d, %s", code, &stderr)
	}
}

func TestPaint(t *testing.T) {
	v := &verify.Verdict{Sentence: "They signed.", Answers: [4]verify.Answer{
		{Question: verify.DidTheySign, State: verify.Confirmed, Text: "Yes."},
		{Question: verify.ThisExactText, State: verify.LookCloser, Text: "Nearly.", Reasons: []string{"Only spacing differs."}},
		{Question: verify.When, State: verify.No, Text: "Never."},
		{Question: verify.DoesItStillStand, State: verify.CouldNotCheck, Text: "Who knows."},
	}, NotTold: []string{"Whether it is true."}}
	for _, c := range []struct {
		env      []string
		terminal bool
		coloured bool
	}{
		{nil, false, false},
		{nil, true, true},
		{[]string{"NO_COLOR=1"}, true, false},
		{[]string{"TERM=dumb"}, true, false},
	} {
		var out bytes.Buffer
		a := newApp(nil, &out, io.Discard, c.env)
		a.terminal = func(any) bool { return c.terminal }
		a.printVerdict(v)
		if got := strings.Contains(out.String(), "\x1b["); got != c.coloured {
			t.Errorf("%+v: coloured is %v", c, got)
		}
		// The word and the shape say it without colour.
		for _, want := range []string{"✔ Did they sign?", "confirmed: Yes.", "▲ This exact text?", "look closer: Nearly.\n    Only spacing differs.", "✖ When?", "no: Never.", "? Does it still stand?", "could not check: Who knows."} {
			plain := strings.NewReplacer("\x1b[32m", "", "\x1b[33m", "", "\x1b[31m", "", "\x1b[90m", "", "\x1b[1m", "", "\x1b[0m", "").Replace(out.String())
			if !strings.Contains(plain, want) {
				t.Errorf("%+v: no %q in\n%s", c, want, plain)
			}
		}
	}
}

// TestConfirm shows a person at a terminal the text, and signs only after a yes.
// An internationalized domain has beside it how it reads, but where it is to be typed.
func TestSpelled(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"our.example joined":              "our.example joined",
		"xn--bcher-kva.example joined.\n": "xn--bcher-kva.example (bücher.example) joined.\n",
		"The domain is www.xn--bcher-kva.example.":                                  "The domain is www.xn--bcher-kva.example (www.bücher.example).",
		"xn--bcher-kva.example (bücher.example) joined":                             "xn--bcher-kva.example (bücher.example) joined",
		"a xn--bcher-kva.example, b xn--bcher-kva.example\n  xn--bcher-kva.example": "a xn--bcher-kva.example (bücher.example), b xn--bcher-kva.example (bücher.example)\n  xn--bcher-kva.example (bücher.example)",
		"there is no TXT record at _undersigned.xn--bcher-kva.example":              "there is no TXT record at _undersigned.xn--bcher-kva.example (bücher.example)",
		"undersigned: xn--bcher-kva.example is not a member":                        "undersigned: xn--bcher-kva.example (bücher.example) is not a member",
		`"xn--bcher-kva.example" is one`:                                            `"xn--bcher-kva.example (bücher.example)" is one`,
		// Not a domain, or to be typed.
		"xn--a.example": "xn--a.example", "xn--": "xn--",
		"_undersigned.xn--bcher-kva.example. 3600 IN TXT \"v=undersigned1\"": "_undersigned.xn--bcher-kva.example. 3600 IN TXT \"v=undersigned1\"",
		"Receipt: xn--bcher-kva.example-4.tlog-proof":                        "Receipt: xn--bcher-kva.example-4.tlog-proof",
		"look with: undersigned dns check xn--bcher-kva.example":             "look with: undersigned dns check xn--bcher-kva.example",
		"undersigned dns check --domain xn--bcher-kva.example":               "undersigned dns check --domain xn--bcher-kva.example",
		"it is --domain=xn--bcher-kva.example":                               "it is --domain=xn--bcher-kva.example",
		"at https://xn--bcher-kva.example/tccm":                              "at https://xn--bcher-kva.example/tccm",
		"xn--bcher-kva.example/tccm holds together":                          "xn--bcher-kva.example/tccm holds together",
	} {
		if got := spelled(text); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]error{"y\n": nil, "YES\n": nil, "n\n": errNotConfirmed, "\n": errNotConfirmed, "": errNotConfirmed, "yep\n": errNotConfirmed} {
		var stderr bytes.Buffer
		a := newApp(strings.NewReader(answer), io.Discard, &stderr, nil)
		a.terminal = func(any) bool { return true }
		if err := a.confirm(t.Context(), []byte("the text\n")); err != want {
			t.Errorf("%q: %v", answer, err)
		}
		if !strings.HasPrefix(stderr.String(), "the text\n") {
			t.Errorf("%q: the text was not shown but %q", answer, &stderr)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := newApp(blocked{}, io.Discard, io.Discard, nil)
	a.terminal = func(any) bool { return true }
	if err := a.confirm(ctx, nil); err != context.Canceled {
		t.Errorf("interrupted: %v", err)
	}
}

type blocked struct{}

func (blocked) Read([]byte) (int, error) { select {} }

// TestProgress shows a bar on a terminal, and nothing elsewhere.
func TestProgress(t *testing.T) {
	var stderr bytes.Buffer
	a := newApp(nil, io.Discard, &stderr, nil)
	if report, _ := a.progress("Working"); report != nil {
		t.Error("there is a bar without a terminal")
	}
	a.terminal = func(any) bool { return true }
	report, done := a.progress("Working")
	report(1, 10)
	report(10, 10)
	done()
	if !strings.Contains(stderr.String(), "Working") {
		t.Errorf("no bar but %q", &stderr)
	}
}

// TestClient holds the client to its promises towards servers that mean no good.
func TestClient(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked for %s", r.URL)
	}))
	defer elsewhere.Close()
	busy := 0
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkpoint", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/checkpoint", http.StatusFound)
	})
	mux.HandleFunc("GET /checkpoints/1", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/checkpoints/2", http.StatusFound)
	})
	mux.HandleFunc("GET /checkpoints/2", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "two") })
	mux.HandleFunc("GET /checkpoints/3", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/checkpoints/3", http.StatusFound)
	})
	mux.HandleFunc("GET /checkpoints/4", func(w http.ResponseWriter, r *http.Request) {
		if busy++; busy < 3 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "four")
	})
	mux.HandleFunc("GET /checkpoints/5", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "short")
	})
	mux.HandleFunc("GET /tile/0/000", func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, verify.TileWidth*verify.HashSize+1))
	})
	mux.HandleFunc("POST /entries", func(w http.ResponseWriter, r *http.Request) {
		if b, _ := io.ReadAll(r.Body); string(b) == "json" {
			io.WriteString(w, "<html>")
			return
		}
		w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, `{"rule":"quorum","detail":"No\u001b[31m\n\u202egood."}`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	before := pauses
	defer func() { pauses = before }()
	pauses = []time.Duration{time.Millisecond, time.Millisecond}
	c, err := newClient(server.URL)
	if err != nil {
		t.Fatal(err)
	}

	for path, want := range map[string]string{
		"checkpoint":     "another host",
		"checkpoints/3":  "redirects too often",
		"checkpoints/5":  "unexpected EOF",
		"tile/0/000":     "more than the 8 KiB",
		"checkpoints/99": "404 Not Found",
	} {
		if _, err := c.fetch(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		} else if got := errors.Is(err, os.ErrNotExist); got != (path == "checkpoints/99") {
			t.Errorf("%s: does not exist is %v", path, got)
		}
	}
	for path, want := range map[string]string{"checkpoints/1": "two", "checkpoints/4": "four"} {
		if b, err := c.fetch(t.Context(), path); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	if _, err := c.submit(t.Context(), []byte("json"), 0, nil); err == nil || !strings.Contains(err.Error(), "is it an Undersigned ledger?") {
		t.Errorf("an answer that is no JSON: %v", err)
	}
	_, err = c.submit(t.Context(), []byte("entry"), 0, nil)
	if want := "the ledger refuses this entry (rule quorum): No [31m  good."; err == nil || err.Error() != want {
		t.Errorf("a problem: %v", err)
	}
	if code := exitCode(t.Context(), err); code != codeError {
		t.Errorf("a refusal has the exit code %d", code)
	}
	server.Close()
	if _, err = c.fetch(t.Context(), "checkpoint"); exitCode(t.Context(), err) != codeUnchecked {
		t.Errorf("a server that is gone: %v", err)
	}
	for _, bad := range []string{"", "ledger.example", "ftp://ledger.example/", "https://", "https://user@ledger.example/", "https://ledger.example/?a=b", "https://ledger.example/#a", "http://[::1"} {
		if _, err := newClient(bad); err == nil {
			t.Errorf("%q is taken for an address", bad)
		}
	}
}

// TestExitCode holds errors to the codes that they mean.
func TestExitCode(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{&verify.FormatError{}, 1},
		{usagef("x"), 2},
		{&offlineError{"h", errors.New("x")}, 3},
		{context.DeadlineExceeded, 3},
		{unreadable(os.ErrNotExist), 3},
		{unreadable(os.ErrPermission), 1},
		{answered(10), 10},
		{answered(0), 0},
		{&verify.UntrustedError{}, 13},
		{&verify.ContradictionError{}, 20},
		{&verify.QuorumError{}, 21},
	} {
		if got := exitCode(ctx, c.err); got != c.want {
			t.Errorf("%v: %d, not %d", c.err, got, c.want)
		}
	}
	cancel()
	if got := exitCode(ctx, context.Canceled); got != codeInterrupted {
		t.Errorf("interrupted: %d", got)
	}
}

// TestDraftOrder passes a text from one signer to the next in the worst order: those come first whose keys the text only names.
func TestDraftOrder(t *testing.T) {
	var all []*source.Key
	for range 4 {
		k, err := source.Generate(keys.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	ref := func(i int) keys.Ref { return all[i].Public().Ref() }
	e := &entry.Entry{Ledger: "ledger.example", Signer: "a.example", Keys: []keys.Ref{ref(0)}, Date: "2024-06-11", Body: &entry.Membership{
		Action: entry.Register, Member: "a.example", Name: "A", Quorum: 1, PublicKeys: []entry.PublicKey{publicLine(all[0].Public())},
		// v.example vouches with two keys, w.example with one.
		Vouchers: []entry.Named{{Domain: "v.example", Ref: ref(1)}, {Domain: "v.example", Ref: ref(2)}, {Domain: "w.example", Ref: ref(3)}},
	}}
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	text := e.Text()
	dir := t.TempDir()
	file := filepath.Join(dir, "draft")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for step, i := range []int{3, 2, 0, 1} {
		key := filepath.Join(dir, "key")
		os.Remove(key)
		if err := all[i].Save(key, nil); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := runWith(t.Context(), "sign", "--key", key, file, "-o", file)
		if code != codeOK {
			t.Fatalf("step %d: %s", step, stderr)
		}
		if left := strings.Count(stderr, " with ed25519 "); left != 3-step {
			t.Errorf("step %d: %d are said to be missing\n%s", step, left, stderr)
		}
	}
	a := newApp(nil, io.Discard, io.Discard, nil)
	d, err := a.readDraft(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(d.entry.Text(), text) {
		t.Error("the text has changed")
	}
	known := map[keys.Ref]*keys.PublicKey{}
	for _, k := range all {
		known[k.Public().Ref()] = k.Public()
	}
	if err := d.settle(known); err != nil {
		t.Fatal(err)
	}
	whole, err := entry.Parse(d.bytes())
	if err != nil || len(whole.Missing()) != 0 {
		t.Fatalf("not whole: %v", err)
	}
	for i, n := range whole.Named() {
		if !known[n.Ref].Verify(e.Ledger, text, whole.Signatures[i].Sig) {
			t.Errorf("signature %d is in the wrong place", i)
		}
	}
}

// TestVersionAssets lists what the pages load, in both forms.
func TestVersionAssets(t *testing.T) {
	code, out, stderr := runWith(t.Context(), "version", "--assets")
	if code != codeOK || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	want := ""
	for _, f := range assets.All() {
		want += fmt.Sprintf("%s sha256:%x\n", f.Path, sha256.Sum256(f.Body()))
	}
	if out != want || !strings.Contains(out, "assets/style.css sha256:") {
		t.Errorf("%s, want %s", out, want)
	}
	var v struct {
		Schema string `json:"schema"`
		Assets []struct {
			Path, SHA256 string
			Size         int
		} `json:"assets"`
	}
	if _, out, _ := runWith(t.Context(), "version", "--assets", "--json"); json.Unmarshal([]byte(out), &v) != nil || v.Schema != "undersigned/assets/v1" || len(v.Assets) != len(assets.All()) {
		t.Errorf("%+v", v)
	}
}
