package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestVerifyByHand runs every command of docs/verify-by-hand.md, in one shell, and then again with one bit of
// the entry flipped, which must stop it.
func TestVerifyByHand(t *testing.T) {
	needTools(t, "bash", "openssl", "python3", "sha256sum")
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "verify-by-hand.md"))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(page, -1)
	for i, b := range blocks {
		script.Write(b[1])
		if i == 0 {
			script.WriteString("eval \"${AFTER_OPENING:-}\"\n")
		}
	}
	if len(blocks) != 8 {
		t.Fatalf("the page has %d blocks of commands, not 8", len(blocks))
	}
	walk := func(afterOpening string) (string, error) {
		dir := t.TempDir()
		for _, name := range []string{"apnic.net.tlog-proof", "statement.txt", "policy.txt"} {
			b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "tccm", name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("bash", "-c", script.String())
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "AFTER_OPENING="+afterOpening)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := walk(""); err != nil || strings.Count(out, "Signature Verified Successfully") != 5 {
		t.Fatalf("the walk fails: %v\n%s", err, out)
	}
	for name, change := range map[string]string{
		"another text":       "echo >> statement.txt",
		"another date":       "sed -i 's/^date 2024-06-11$/date 2024-06-10/' leaf",
		"another time":       "sed -i 's/^admitted 2024/admitted 2023/' leaf",
		"another root":       "sed -i '2s/.*/999/' checkpoint",
		"another quoted one": "echo >> after",
		"one witness alone":  "sed -i 's/^\\(— \\)\\(north\\|south\\)/\\1other/' checkpoint",
		"another witness":    "sed -i '/^— north/d;s/^\\(— south.*\\)......$/\\1AAAA==/' checkpoint",
	} {
		if out, err := walk(change); err == nil {
			t.Errorf("%s: the walk goes through\n%s", name, out)
		}
	}
}

// needTools skips a test where a program is missing. In CI, which installs them all, that is a failure.
func needTools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
				t.Fatalf("%s is not installed", name)
			}
			t.Skipf("%s is not installed; install it to run this test", name)
		}
	}
}

// TestGuide runs every command of docs/guide.md, as a reader would.
func TestGuide(t *testing.T) {
	needTools(t, "bash", "curl", "openssl", "go")
	out := runPage(t, t.TempDir(), "", "guide.md")
	for _, want := range []string{"Our Organization", "Their Organization", "withdrew", "It existed by ", "has seen that copy", "asks for at least 2 of 3 witnesses"} {
		if !strings.Contains(out, want) {
			t.Errorf("the guide never prints %q:\n%s", want, out)
		}
	}
}

// TestKeyPages runs every command of the pages about keys and about other tools, each with the ledger of the guide.
func TestKeyPages(t *testing.T) {
	const ledger = `
undersigned key new --no-password -o operator.pem
undersigned init --dir ledger --origin ledger.example/tccm --title "Endorsements of our statement" --operator ledger.example --operator-key operator.pem --yes
undersigned serve --dir ledger --listen 127.0.0.1:8080 &
export UNDERSIGNED_LEDGER=http://127.0.0.1:8080/ UNDERSIGNED_POLICY=ledger/policy.txt
printf 'We, the undersigned, keep the Internet open.\n' > statement.txt
undersigned statement publish --domain ledger.example --key operator.pem --statement statement.txt --title "Our statement" --yes
`
	const did = "Our Organization, our.example, endorsed this text"
	for _, c := range []struct {
		page  string
		tools []string
		wants []string
	}{
		{"keys.md", nil, []string{"has since been replaced or revoked", "our.example's word to revoke a key", "our.example's withdrawal", "the update of our.example"}},
		{"signing/openssl.md", []string{"openssl"}, []string{did}},
		{"signing/ssh.md", []string{"ssh-keygen", "ssh-agent"}, []string{did, "our.example's withdrawal", `Good "undersigned@ledger.example/tccm" signature for our.example`}},
		{"signing/cosign.md", []string{"cosign"}, []string{did, "our.example's withdrawal"}},
		{"signing/pkcs11.md", []string{"openssl", "pkcs11-tool", "softhsm2-util"}, []string{did, "the registration of rsa.example", "the registration of old.example"}},
		{"signing/any-command.md", []string{"openssl"}, []string{did, "signing "}},
	} {
		t.Run(c.page, func(t *testing.T) {
			needTools(t, append(c.tools, "bash", "curl", "go")...)
			dir := t.TempDir()
			// SoftHSM keeps its tokens where this file says.
			if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
				t.Fatal(err)
			}
			conf := filepath.Join(dir, "softhsm2.conf")
			if err := os.WriteFile(conf, []byte("directories.tokendir = "+filepath.Join(dir, "tokens")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("SOFTHSM2_CONF", conf)
			t.Setenv("SSH_AUTH_SOCK", "")
			out := runPage(t, dir, ledger, c.page)
			for _, want := range c.wants {
				if !strings.Contains(out, want) {
					t.Errorf("the page never prints %q:\n%s", want, out)
				}
			}
		})
	}
}

// runPage runs every command of a page of docs in one shell, after those of a prelude, with the program built from this tree.
func runPage(t *testing.T, dir, prelude, name string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	bin := buildProgram(t)
	// Each address of the page is one that is free here, and what serves there is waited for.
	addresses := make(map[string]string)
	at := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	listens := regexp.MustCompile(`--listen (\S+)`)
	var script strings.Builder
	script.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n")
	blocks := [][][]byte{{nil, []byte(prelude)}}
	for _, b := range append(blocks, regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(page, -1)...) {
		for line := range strings.Lines(string(b[1])) {
			line = at.ReplaceAllStringFunc(line, func(a string) string {
				if addresses[a] == "" {
					addresses[a] = freeAddress(t)
				}
				return addresses[a]
			})
			script.WriteString(line)
			if l := listens.FindStringSubmatch(line); l != nil {
				fmt.Fprintf(&script, "for i in $(seq 100); do (: < /dev/tcp/%s) 2> /dev/null && break; sleep 0.1; done\n", strings.Replace(l[1], ":", "/", 1))
			}
		}
	}
	cmd := exec.Command("bash", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"), "HOME="+cmd.Dir, "XDG_CONFIG_HOME="+cmd.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("docs/%s fails: %v\n%s", name, err, out)
	}
	return string(out)
}
