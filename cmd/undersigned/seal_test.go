//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// TestSealSignal asks a server by a signal to seal its lists, finds them in its API, and holds the files that it sends against
// those that the program makes from the record.
func TestSealSignal(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	key, house, policy := in("operator.pem"), in("ledger"), filepath.Join(in("ledger"), policyFile)
	text := []byte("We stand by this.\n")
	if err := os.WriteFile(in("statement.txt"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	do := func(want int, args ...string) string {
		t.Helper()
		code, out, stderr := runWith(t.Context(), args...)
		if code != want {
			t.Fatalf("%v: code %d\n%s%s", args, code, out, stderr)
		}
		return out
	}
	do(codeOK, "key", "new", "--no-password", "-o", key)
	do(codeOK, "init", "--dir", house, "--origin", "ledger.example", "--title", "Test", "--operator", "ledger.example", "--operator-key", key)

	serve := exec.Command(buildProgram(t), "serve", "--dir", house, "--listen", "127.0.0.1:0")
	serve.Stderr = os.Stderr
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		serve.Process.Signal(os.Interrupt)
		if err := serve.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(strings.TrimSpace(line), " at ")
	address = strings.TrimSuffix(address, "/")
	get := func(path string) (int, []byte) {
		t.Helper()
		resp, err := http.Get(address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b
	}
	hash := strings.TrimPrefix(entry.Sum(text).String(), "sha256:")
	rolls := func() (all struct {
		Items []struct {
			Index, Count uint64
		}
	}) {
		t.Helper()
		code, b := get("/api/v1/rolls/" + hash)
		if err := json.Unmarshal(b, &all); err != nil || code != http.StatusOK {
			t.Fatalf("%d %s %v", code, b, err)
		}
		return all
	}
	// seal sends the signal, and waits until there are so many lists.
	seal := func(n int) {
		t.Helper()
		if err := serve.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		for range 600 {
			if len(rolls().Items) == n {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("after the signal there are %d lists, not %d", len(rolls().Items), n)
	}
	for _, domain := range []string{"apnic.net", "dns.pt"} {
		do(codeOK, "key", "new", "--no-password", "-o", in(domain+".pem"))
		do(codeOK, "join", "--ledger", address, "--policy", policy, "--domain", domain, "--name", domain, "--key", in(domain+".pem"), "--voucher-key", key, "--receipt", in("receipt"))
	}
	do(codeOK, "statement", "publish", "--ledger", address, "--policy", policy, "--domain", "ledger.example", "--key", key, "--statement", in("statement.txt"), "--title", "A statement", "--receipt", in("receipt"))
	say := func(command, domain string) {
		t.Helper()
		do(codeOK, command, "--ledger", address, "--policy", policy, "--domain", domain, "--key", in(domain+".pem"), "--statement", in("statement.txt"), "--receipt", in("receipt"))
	}
	say("endorse", "apnic.net")
	say("endorse", "dns.pt")
	if code, b := get("/api/v1/roll-receipt/" + hash); code != http.StatusNotFound || len(rolls().Items) > 0 {
		t.Errorf("before anything is sealed: %d %s", code, b)
	}
	seal(1)
	say("withdraw", "apnic.net")
	seal(2)
	if got := rolls().Items; got[0].Count != 2 || got[1].Count != 1 {
		t.Errorf("%+v", got)
	}
	for domain, want := range map[string]int{"dns.pt": codeOK, "apnic.net": verify.CodeWithdrawn, "example.org": verify.CodeNotFound, "": codeOK} {
		path, args := "/api/v1/roll-receipt/"+hash, []string{"receipt", "--roll", "--ledger", address, "--policy", policy, "--statement", in("statement.txt"), "-o", in("made")}
		if domain != "" {
			path, args = path+"?domain="+domain, append(args, "--domain", domain)
		}
		code, sent := get(path)
		do(codeOK, args...)
		made, err := os.ReadFile(in("made"))
		if err != nil || code != http.StatusOK || string(made) != string(sent) {
			t.Errorf("%q: the server sends %d and another file than is made from the record (%v):\n%s\n%s", domain, code, err, sent, made)
		}
		do(want, "verify", "--policy", policy, "--ledger", address, "--statement", in("statement.txt"), in("made"))
	}
}
