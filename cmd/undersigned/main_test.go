package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/timestamp/timestamptest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"undersigned": func() {
		if os.Getenv("TEST_DNS_ROOT") != "" { // of a script with a DNS of its own; the program that is shipped knows no such variable
			dnssectest.Trust(dnssectest.New(time.Time{}, time.Time{}).Anchors()...)
		}
		main()
	}})
}

// TestScript runs the stories of testdata/script, in which the program is one command among others.
func TestScript(t *testing.T) {
	p := scripts()
	p.Dir = "testdata/script"
	testscript.Run(t, p)
}

// scripts are what scripts know.
func scripts() testscript.Params {
	return testscript.Params{
		RequireExplicitExec: true,
		Condition: func(cond string) (bool, error) {
			if cond == "may-skip" { // where CI has installed everything, a skipped test is a failure
				return os.Getenv("UNDERSIGNED_NO_SKIP") == "", nil
			}
			if cond == "can-mount" {
				return canMount()
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("TERM", "xterm")
			e.Setenv("LONG", strings.Repeat("long", 30))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code":      exitsWith,
			"freeport":  freePort,
			"waitfor":   func(ts *testscript.TestScript, _ bool, args []string) { waitFor(ts, args[0]+"healthz") },
			"waitready": func(ts *testscript.TestScript, _ bool, args []string) { waitFor(ts, args[0]+"readyz") },
			"flip":      flip,
			"subst":     subst,
			"witness":   addWitness,
			"tsa":       startTSA,
			"stamped":   waitForSize,
			"dns":       scriptDNS,

			"documented": documented,
			"mode":       mode,
			"forms":      forms,
			"files":      files,
			"nokeys":     noKeys,
			"stale":      stale,
			"publish":    publish,
			"root":       root,
			"smalldisk":  smallDisk,
			"filldisk":   fillDisk,
			"untilfull":  untilFull,
			"status":     status,
		},
	}
}

// exitsWith runs the program and compares its exit code: code 10 verify …
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N ARG...")
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec("undersigned", args[1:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("cannot run: %v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, not %s", got, args[0])
	}
	if strings.Contains(ts.ReadFile("stderr"), "goroutine ") {
		ts.Fatalf("it panicked")
	}
}

// freePort sets PORT and URL to where nobody listens.
func freePort(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	address := l.Addr().String()
	ts.Setenv("ADDR", address)
	ts.Setenv("URL", "http://"+address+"/")
}

// waitFor waits until a server answers at an address.
func waitFor(ts *testscript.TestScript, url string) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(url)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
	}
	ts.Fatalf("%s does not answer", url)
}

// flip changes one bit of a file: flip FILE OFFSET, where a negative offset counts from the end.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	b := []byte(ts.ReadFile(args[0]))
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// subst replaces the first occurrence of a string in a file, which must hold it: subst FILE OLD NEW, where \n is a line feed.
func subst(ts *testscript.TestScript, _ bool, args []string) {
	unescape := strings.NewReplacer(`\n`, "\n", `\r`, "\r")
	old, b := unescape.Replace(args[1]), ts.ReadFile(args[0])
	if !strings.Contains(b, old) {
		ts.Fatalf("%s does not hold %q", args[0], old)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(b, old, unescape.Replace(args[2]), 1)), 0o644))
}

// startTSA has a time-stamping authority at a free port: tsa VARIABLE ROOTS sets the variable to its address, and writes its root.
func startTSA(ts *testscript.TestScript, _ bool, args []string) {
	a := timestamptest.New(time.Now, timestamptest.Options{Name: "Stamps Ltd"})
	server := httptest.NewServer(a)
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL+"/")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), a.Roots(), 0o644))
}

// waitForSize waits until a server has published so many entries: stamped URL SIZE.
func waitForSize(ts *testscript.TestScript, _ bool, args []string) {
	waitFor(ts, args[0]+"checkpoints/"+args[1])
}

// addWitness turns a policy into one that asks for a witness which has seen nothing: witness POLICY.
func addWitness(ts *testscript.TestScript, _ bool, args []string) {
	key, _, err := ed25519.GenerateKey(nil)
	ts.Check(err)
	v, err := keys.NewVKey("witness.example", keys.TypeCosignatureEd25519, key)
	ts.Check(err)
	text := strings.Replace(ts.ReadFile(args[0]), "quorum none\n", "witness w "+v.String()+"\nquorum w\n", 1)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// documented holds the JSON that was printed against docs/json.md: its schema has a section there, and each of its fields
// stands in that section.
func documented(ts *testscript.TestScript, _ bool, _ []string) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "json.md"))
	ts.Check(err)
	var answer map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &answer))
	schema, _ := answer["schema"].(string)
	_, section, ok := strings.Cut(string(page), "\n## `"+schema+"`\n")
	if !ok {
		ts.Fatalf("docs/json.md has no section on %q", schema)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var walk func(v any, path string)
	walk = func(v any, path string) {
		switch v := v.(type) {
		case map[string]any:
			for name, inner := range v {
				if at := path + name; !strings.Contains(section, "`"+at+"`") {
					ts.Fatalf("docs/json.md does not describe %s of %s", at, schema)
				}
				walk(inner, path+name+".")
			}
		case []any:
			for _, inner := range v {
				walk(inner, strings.TrimSuffix(path, ".")+"[].")
			}
		}
	}
	walk(answer, "")
}

// mode holds a file's permissions: mode 600 FILE.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Lstat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has the mode %s", args[1], got)
	}
}

// files holds a directory to what is in it: files DIR NAME...
func files(ts *testscript.TestScript, _ bool, args []string) {
	list, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	var names []string
	for _, f := range list {
		names = append(names, f.Name())
	}
	if got, want := strings.Join(names, " "), strings.Join(args[1:], " "); got != want {
		ts.Fatalf("%s holds %s, not %s", args[0], got, want)
	}
}

// noKeys looks for the bytes of the log's private keys, and of the last-signed record, in every file below: nokeys PATH...
func noKeys(ts *testscript.TestScript, _ bool, args []string) {
	secrets := map[string][]byte{}
	for _, name := range []string{logEd25519File, logMLDSA44File} {
		block, _ := pem.Decode([]byte(ts.ReadFile(filepath.Join("ledger", keysDir, name))))
		secrets[name] = block.Bytes[len(block.Bytes)-32:] // both are a seed of 32 bytes
	}
	secrets[lastSignedFile] = []byte("undersigned/last-signed/v1")
	for _, path := range args {
		ts.Check(filepath.WalkDir(ts.MkAbs(path), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			for name, secret := range secrets {
				if bytes.Contains(b, secret) {
					ts.Fatalf("%s holds what is in %s", path, name)
				}
			}
			return err
		}))
	}
	if b := ts.ReadFile(filepath.Join("ledger", keysDir, lastSignedFile)); !strings.Contains(b, string(secrets[lastSignedFile])) {
		ts.Fatalf("the last-signed record is not found where it is")
	}
}

// stale leaves a socket to which nobody listens: stale FILE.
func stale(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: ts.MkAbs(args[0]), Net: "unix"})
	ts.Check(err)
	l.SetUnlinkOnClose(false)
	ts.Check(l.Close())
}

// publish sends statements to the ledger.example at $URL in one request, which must be published: publish KEY N.
func publish(ts *testscript.TestScript, _ bool, args []string) {
	key, err := source.Load(ts.MkAbs(args[0]), nil, keys.Ed25519)
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var body []byte
	for i := range n {
		e := &entry.Entry{Ledger: "ledger.example", Signer: "ledger.example", Keys: []keys.Ref{key.Public().Ref()}, Date: time.Now().UTC().Format(entry.DateFormat),
			Body: &entry.Statement{Action: entry.Publish, Statement: entry.Sum(fmt.Append(nil, n, i)), Title: fmt.Sprintf("Statement %d of %d", i, n), Language: "en", MediaType: "text/plain", Size: 20}}
		ts.Check(sign(e, key))
		body = verify.AppendBundleEntry(body, e.Bytes())
	}
	resp, err := http.Post(ts.Getenv("URL")+"entries", "application/octet-stream", bytes.NewReader(body))
	ts.Check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK || strings.Count(string(answer), `"published":true`) != n {
		ts.Fatalf("%s: %s", resp.Status, answer)
	}
}

// root sets ROOT to the root hash of all that a directory's store holds: root DIR.
func root(ts *testscript.TestScript, _ bool, args []string) {
	store, err := boltstore.Open(ts.MkAbs(args[0]), true)
	ts.Check(err)
	defer store.Close()
	origin, err := ledger.Origin(context.Background(), store)
	ts.Check(err)
	r, err := ledger.Check(context.Background(), store, ledger.CheckOptions{Origin: origin, HashesOnly: true})
	ts.Check(err)
	ts.Setenv("ROOT", base64Of(r.Root[:]))
}

// forms holds what the last command printed to showing each internationalized domain in both forms, in each line that is not there to be typed; there is
// one at least.
func forms(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: forms")
	}
	seen := false
	for line := range strings.Lines(ts.ReadFile("stdout") + ts.ReadFile("stderr")) {
		if strings.Contains(line, " IN TXT ") {
			continue
		}
		for _, word := range strings.Fields(line) {
			domain := strings.Trim(word, `.,:;()"`)
			if strings.HasSuffix(domain, "'s") || strings.HasSuffix(domain, receiptSuffix) || strings.Contains(domain, "/") {
				domain, _, _ = strings.Cut(domain, "'")
			}
			if u := keys.DomainToUnicode(strings.TrimPrefix(domain, "_undersigned.")); strings.HasPrefix(domain, "xn--") && u != domain && !strings.HasSuffix(domain, receiptSuffix) {
				seen = true
				if !strings.Contains(line, "("+u+")") {
					ts.Fatalf("%s without %s in: %s", domain, u, line)
				}
			}
		}
	}
	if !seen {
		ts.Fatalf("no internationalized domain is printed")
	}
}
