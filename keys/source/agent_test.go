package source

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/tccm/undersigned/keys"
)

// serveAgent serves an agent at a socket, to which SSH_AUTH_SOCK points, until the test ends.
func serveAgent(t *testing.T, a agent.Agent) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // t.TempDir is too long for a socket where test names are long
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		os.RemoveAll(dir)
	})
	t.Setenv("SSH_AUTH_SOCK", l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				agent.ServeAgent(a, c) // ends with io.EOF
			}()
		}
	}()
}

// add puts a key into an agent and returns its public half as a line of an OpenSSH file.
func add(t *testing.T, a agent.Agent, private crypto.Signer, comment string) string {
	t.Helper()
	key := any(private)
	if k, ok := private.(ed25519.PrivateKey); ok {
		key = &k
	}
	if err := a.Add(agent.AddedKey{PrivateKey: key, Comment: comment}); err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return public.Type() + " " + base64.StdEncoding.EncodeToString(public.Marshal()) + " " + comment + "\n"
}

func TestAgent(t *testing.T) {
	msg := []byte("undersigned/endorsement/v1\n")
	ring := agent.NewKeyring()
	serveAgent(t, ring)
	for _, c := range []struct {
		made   keys.Suite
		suites []keys.Suite
	}{
		{keys.Ed25519, []keys.Suite{keys.SSHSIG, keys.Ed25519}},
		{keys.ECDSAP256SHA256, []keys.Suite{keys.SSHSIG, keys.ECDSAP256SHA256}},
		{keys.ECDSAP384SHA384, []keys.Suite{keys.SSHSIG, keys.ECDSAP384SHA384}},
		{keys.RSAPSSSHA256, []keys.Suite{keys.SSHSIG, keys.RSAPKCS1SHA256}},
	} {
		t.Run(string(c.made), func(t *testing.T) {
			made := newKey(t, c.made)
			comment := "officer " + string(c.made)
			line := add(t, ring, made.signer, comment)
			file := filepath.Join(t.TempDir(), "id.pub")
			if err := os.WriteFile(file, []byte(line), 0o644); err != nil {
				t.Fatal(err)
			}
			public, err := ssh.NewPublicKey(made.signer.Public())
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{comment, ssh.FingerprintSHA256(public), file} {
				key, err := FromAgent(name, "")
				if err != nil {
					t.Fatal(err)
				}
				if key.Suite() != keys.SSHSIG || !slices.Equal(key.Suites(), c.suites) || key.Public().Fingerprint() != made.Public().Fingerprint() {
					t.Errorf("%s: %s, which fits %v", name, key.Public().Ref(), key.Suites())
				}
			}
			for _, suite := range c.suites {
				key, err := FromAgent(comment, suite)
				if err != nil {
					t.Fatal(err)
				}
				sig, err := key.Sign(origin, msg)
				if err != nil {
					t.Fatal(err)
				}
				again, err := New(made.signer, suite)
				if err != nil || !again.Public().Verify(origin, msg, sig) || again.Public().Verify("another.example", msg, sig) == (suite == keys.SSHSIG) {
					t.Errorf("%s: %v", suite, err)
				}
				if err := key.Save(filepath.Join(t.TempDir(), "key"), nil); err == nil || !strings.Contains(err.Error(), "device") {
					t.Errorf("%s: saved: %v", suite, err)
				}
			}
			if _, err := FromAgent(comment, keys.MLDSA44); err == nil || !strings.Contains(err.Error(), "and never as mldsa44") {
				t.Errorf("as mldsa44: %v", err)
			}
		})
	}
}

func TestAgentRefuses(t *testing.T) {
	ring := agent.NewKeyring()
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	add(t, ring, p521, "p521")
	add(t, ring, newKey(t, keys.Ed25519).signer, "twin")
	add(t, ring, newKey(t, keys.Ed25519).signer, "twin")
	missing := filepath.Join(t.TempDir(), "missing.pub")
	if err := os.WriteFile(missing, []byte(add(t, agent.NewKeyring(), newKey(t, keys.Ed25519).signer, "x")), 0o644); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged.pub")
	if err := os.WriteFile(damaged, []byte("ssh-ed25519\n"), 0o644); err != nil {
		t.Fatal(err)
	}

	t.Setenv("SSH_AUTH_SOCK", "")
	if _, err := FromAgent("twin", ""); err == nil || !strings.Contains(err.Error(), "SSH_AUTH_SOCK is not set") {
		t.Errorf("without an agent: %v", err)
	}
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(t.TempDir(), "nobody"))
	if _, err := FromAgent("twin", ""); err == nil || !strings.Contains(err.Error(), "cannot ask the ssh-agent") {
		t.Errorf("nobody listens: %v", err)
	}
	serveAgent(t, ring)
	for name, want := range map[string]string{
		"twin":          "holds 2 keys with the comment",
		"nobody's":      "no key with the comment",
		"SHA256:nobody": "does not hold the key SHA256:nobody",
		missing:         "does not hold the key " + missing,
		damaged:         "is not an OpenSSH public key",
		"p521":          "cannot be used",
	} {
		if _, err := FromAgent(name, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	add(t, ring, newKey(t, keys.Ed25519).signer, "locked")
	key, err := FromAgent("locked", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.RemoveAll(); err != nil {
		t.Fatal(err)
	}
	if _, err := key.Sign(origin, []byte("x")); err == nil || !strings.Contains(err.Error(), "the ssh-agent does not sign") {
		t.Errorf("a key that is gone: %v", err)
	}
}

// liar is an agent that signs something else.
type liar struct{ agent.Agent }

func (l liar) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return l.Agent.Sign(key, append(slices.Clone(data), 0))
}

func TestAgentLies(t *testing.T) {
	ring := agent.NewKeyring()
	serveAgent(t, liar{ring})
	for _, made := range []keys.Suite{keys.Ed25519, keys.ECDSAP256SHA256} {
		add(t, ring, newKey(t, made).signer, string(made))
		for _, suite := range []keys.Suite{made, keys.SSHSIG} {
			key, err := FromAgent(string(made), suite)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := key.Sign(origin, []byte("x")); !errors.Is(err, errSignature) {
				t.Errorf("%s: %v", suite, err)
			}
		}
	}
}

func TestParseSSHPublicKeyFile(t *testing.T) {
	line := add(t, agent.NewKeyring(), newKey(t, keys.Ed25519).signer, "a comment of words")
	for _, good := range []string{line, strings.TrimSuffix(line, "\n"), strings.TrimSuffix(line, "\n") + "\r\n", strings.Join(strings.Fields(line)[:2], " ")} {
		if k, err := ParseSSHPublicKey([]byte(good)); err != nil || k.Suite() != keys.SSHSIG {
			t.Errorf("%q: %v", good, err)
		}
	}
	for name, bad := range map[string]string{
		"nothing": "", "one word": "ssh-ed25519", "two lines": line + line, "no base64": "ssh-ed25519 !!!", "another name": strings.Replace(line, "ssh-ed25519", "ssh-rsa", 1),
		"options": "no-pty " + line, "damaged": strings.Replace(line, "AAAAC3", "AAAAC4", 1),
	} {
		if _, err := ParseSSHPublicKey([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
