package interop

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crypto/ed25519"
	"crypto/sha256"
	"errors"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/witness"
	"github.com/tccm/undersigned/verify"
)

const origin = "ledger.example/tccm"

// need skips the test, where CI does not demand everything, if a tool is missing.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
				t.Fatalf("%s is not installed", tool)
			}
			t.Skipf("%s is not installed; install it to run this test", tool)
		}
	}
}

func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// litewitness starts filippo.io/torchwood's witness for one log, and returns its address and verifier key.
func litewitness(t *testing.T, log keys.VKey) (url string, vkey keys.VKey) {
	t.Helper()
	need(t, "ssh-agent", "ssh-add", "ssh-keygen", "sqlite3")
	dir := t.TempDir()
	// Not in go.mod: what its own tests need cannot be had everywhere.
	run(t, []string{"GOBIN=" + dir, "GOFLAGS=-mod=mod"}, "go", "install", "filippo.io/torchwood/cmd/litewitness@v0.9.0")
	bin := filepath.Join(dir, "litewitness")
	key, socket, db := filepath.Join(dir, "key"), filepath.Join(dir, "agent"), filepath.Join(dir, "witness.db")
	run(t, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { agent.Process.Kill(); agent.Wait() })
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal("ssh-agent does not start")
		}
	}
	run(t, []string{"SSH_AUTH_SOCK=" + socket}, "ssh-add", "-q", key)
	print := strings.Fields(run(t, nil, "ssh-keygen", "-lf", key+".pub"))[1]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()

	// It makes its tables when it starts, and is told of logs in them: its own tool for that is not to be had.
	start := func() (*exec.Cmd, *bufio.Scanner) {
		cmd := exec.Command(bin, "-db", db, "-key", print, "-ssh-agent", socket, "-name", "witness.example/lite", "-listen", address)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd, bufio.NewScanner(stderr)
	}
	_, lines := start()
	for lines.Scan() {
		for _, word := range strings.FieldsFunc(lines.Text(), func(r rune) bool { return strings.ContainsRune(" =\"", r) }) {
			if v, err := keys.ParseVKey(word); err == nil && v.Type == keys.TypeCosignatureEd25519 {
				vkey = v
			}
		}
		if vkey.Name != "" {
			break
		}
	}
	if vkey.Name == "" {
		t.Fatal("it does not say its key")
	}
	go func() {
		for lines.Scan() {
		}
	}()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		} else if time.Now().After(end) {
			t.Fatal("it does not listen")
		}
	}
	run(t, nil, "sqlite3", db, fmt.Sprintf("insert into log(origin,tree_size,tree_hash) values('%s',0,'47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='); insert into key(origin,key) values('%s','%s');", origin, origin, log))
	return "http://" + address, vkey
}

type leaves [][]byte

func leavesOf(n int, name string) (l leaves) {
	for i := range n {
		l = append(l, fmt.Appendf(nil, "%s %d", name, i))
	}
	return l
}

func (l leaves) node(level uint, index uint64) ([32]byte, error) {
	if (index+1)<<level > uint64(len(l)) {
		return [32]byte{}, errors.New("beyond the tree")
	}
	if level == 0 {
		return verify.LeafHash(l[index]), nil
	}
	a, err := l.node(level-1, 2*index)
	if err != nil {
		return a, err
	}
	b, err := l.node(level-1, 2*index+1)
	return verify.NodeHash(a, b), err
}

func (l leaves) pending(t *testing.T, size int, log keys.VKey, key ed25519.PrivateKey) *ledger.Pending {
	t.Helper()
	root, err := verify.RootAt(uint64(size), l.node)
	if err != nil {
		t.Fatal(err)
	}
	c := verify.Checkpoint{Origin: origin, Size: uint64(size), Root: root}
	return &ledger.Pending{
		Checkpoint: c,
		Note:       append(append(c.Text(), '\n'), verify.SignatureLine(log, ed25519.Sign(key, c.Text()))...),
		Prove: func(_ context.Context, from uint64) ([][32]byte, error) {
			return verify.Consistency(from, uint64(size), l[:size].node)
		},
		Root: func(_ context.Context, n uint64) ([32]byte, error) { return verify.RootAt(n, l.node) },
	}
}

// Another implementation's witness cosigns our checkpoints, is caught up after a gap, and refuses our forks.
func TestLitewitness(t *testing.T) {
	seed := sha256.Sum256([]byte("log"))
	key := ed25519.NewKeyFromSeed(seed[:])
	log, err := keys.NewVKey(origin, keys.TypeEd25519, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	url, vkey := litewitness(t, log)
	policy, err := verify.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness lite %s %s\nquorum lite\n", log, vkey, url))
	if err != nil {
		t.Fatal(err)
	}
	newClient := func() *witness.Client {
		c, err := witness.NewClient(witness.ClientConfig{Origin: origin, Logs: []keys.VKey{log}, Policy: policy, Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	ours := leavesOf(300, "ours")
	client := newClient()
	for _, size := range []int{1, 2, 5, 5, 64, 129} {
		got, err := client.Cosign(t.Context(), ours.pending(t, size, log, key))
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		c, err := policy.Open(got.Note)
		if err != nil || c.Size != uint64(size) || len(c.Cosignatures) != 1 || time.Since(c.Seen()).Abs() > time.Minute {
			t.Fatalf("size %d: %+v, %v", size, c, err)
		}
	}
	// A client that does not know how far the witness is learns it from 409.
	if _, err := newClient().Cosign(t.Context(), ours.pending(t, 300, log, key)); err != nil {
		t.Fatalf("after a gap: %v", err)
	}
	// The copy goes another way: it gets no cosignature, whatever it tries.
	for _, size := range []int{300, 299, 301, 500} {
		fork := append(append(leaves{}, ours[:128]...), leavesOf(400, "theirs")...)
		if got, err := newClient().Cosign(t.Context(), fork.pending(t, size, log, key)); err == nil {
			t.Errorf("it cosigned a fork of size %d:\n%s", size, got.Note)
		}
	}
	if _, err := client.Cosign(t.Context(), ours.pending(t, 300, log, key)); err != nil {
		t.Errorf("after the forks: %v", err)
	}
}
