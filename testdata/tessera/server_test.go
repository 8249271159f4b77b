package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// running is the program, run within the test's own process.
type running struct {
	testing.TB
	url, vkey, dir string
	orgs           []*rolltest.Org
	client         *http.Client
	stop           func() error // closes its standard input and waits for its end
}

func start(t testing.TB, args ...string) *running {
	t.Helper()
	r := &running{TB: t, dir: filepath.Join(t.TempDir(), "log")}
	var lines strings.Builder
	for i := range 256 {
		o := rolltest.NewOrg(fmt.Sprintf("m%d.example", i), 1, 0, 1)
		r.orgs = append(r.orgs, o)
		k := o.Keys[0].Public
		fmt.Fprintf(&lines, "%s %s %s\n", o.Domain, k.Suite(), base64.StdEncoding.EncodeToString(k.SPKI()))
	}
	file := filepath.Join(t.TempDir(), "keys.txt")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, close := io.Pipe()
	out, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(append([]string{"-dir", r.dir, "-keys", file, "-origin", rolltest.Origin}, args...), stdin, stdout)
		stdout.CloseWithError(err)
		ended <- err
	}()
	r.stop = sync.OnceValue(func() error { close.Close(); return <-ended })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	b := bufio.NewReader(out)
	first, err := b.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, r.url, _ = strings.Cut(strings.TrimSpace(first), " at ")
	r.vkey = strings.TrimSpace(second)
	r.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2048}}
	return r
}

// TestEnds ends the program as the benchmark does, by both ways at once.
func TestEnds(t *testing.T) {
	dir := t.TempDir()
	program, keyFile := filepath.Join(dir, "tessera"), filepath.Join(dir, "keys.txt")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	k := rolltest.NewOrg("m.example", 1, 0, 1).Keys[0].Public
	if err := os.WriteFile(keyFile, fmt.Appendf(nil, "m.example %s %s\n", k.Suite(), base64.StdEncoding.EncodeToString(k.SPKI())), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		cmd := exec.Command(program, "-dir", filepath.Join(dir, fmt.Sprint(i)), "-keys", keyFile)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		first, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		stdin.Close()
		_, address, _ := strings.Cut(strings.TrimSpace(first), " at http://")
		for { // until it has seen that
			conn, err := net.Dial("tcp", strings.TrimSuffix(address, "/"))
			if err != nil {
				break
			}
			conn.Close()
		}
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// endorsement is signed; its number makes it another text.
func endorsement(o *rolltest.Org, number int) *entry.Entry {
	return rolltest.Sign(&entry.Entry{
		Ledger: rolltest.Origin, Signer: o.Domain, Date: "2024-06-11", Keys: []keys.Ref{o.Keys[0].Ref()},
		Body: &entry.Endorsement{Action: entry.Endorse, Statement: entry.Sum(fmt.Append(nil, number)), After: entry.After{Size: 1, Note: entry.Sum(nil)}},
	})
}

func (r *running) post(mediaType string, body []byte) (status int, answer []byte) {
	r.Helper()
	resp, err := r.client.Post(r.url+"entries", mediaType, bytes.NewReader(body))
	if err != nil {
		r.Error(err)
		return 0, nil
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		r.Error(err)
	}
	return resp.StatusCode, answer
}

// Every answer's receipt proves that the very body is in the log, at its own index, and Tessera's own fsck takes the log.
func TestAnswers(t *testing.T) {
	r := start(t)
	policy, err := verify.ParsePolicy([]byte("log " + r.vkey + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	const each = 3
	var mu sync.Mutex
	seen := make(map[uint64]bool)
	var all sync.WaitGroup
	for i, o := range r.orgs {
		all.Go(func() {
			for n := range each {
				e := endorsement(o, n)
				status, b := r.post("text/plain", e.Bytes())
				var a answer
				if err := json.Unmarshal(b, &a); status != http.StatusOK || err != nil || a.ID != e.ID() || !a.Published {
					t.Errorf("%d %d: status %d, %v: %s", i, n, status, err, b)
					return
				}
				receipt, err := verify.ParseReceipt([]byte(a.Receipt))
				if err != nil || receipt.Index != a.Index || !bytes.Equal(receipt.Leaf, e.Bytes()) {
					t.Errorf("%d %d: its receipt: %v", i, n, err)
					return
				}
				c, err := policy.Open(receipt.Checkpoint)
				if err == nil {
					err = verify.CheckInclusion(verify.LeafHash(receipt.Leaf), receipt.Index, c.Size, receipt.Proof, c.Root)
				}
				if err != nil {
					t.Errorf("%d %d: %v", i, n, err)
				}
				mu.Lock()
				seen[a.Index] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if want := each * len(r.orgs); len(seen) != want {
		t.Errorf("%d indexes for %d entries", len(seen), want)
	}
	for _, source := range [][]string{{"-url", r.url}, {"-dir", r.dir}} {
		var out bytes.Buffer
		if err := run(append([]string{"fsck", "-vkey", r.vkey}, source...), nil, &out); err != nil || !strings.Contains(out.String(), fmt.Sprint(each*len(r.orgs), " entries")) {
			t.Errorf("fsck %v: %v\n%s", source, err, &out)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	tile := filepath.Join(r.dir, "tile", "0", "000")
	b, err := os.ReadFile(tile)
	if err != nil {
		t.Fatal(err)
	}
	b[7] ^= 1
	if err := os.WriteFile(tile, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"fsck", "-vkey", r.vkey, "-dir", r.dir}, nil, io.Discard); err == nil {
		t.Error("fsck takes a damaged tile")
	}
}

func TestIndexAlone(t *testing.T) {
	r := start(t, "-answer", "index")
	for n := range 3 {
		status, b := r.post("text/plain; charset=utf-8", endorsement(r.orgs[n], n).Bytes())
		if want := fmt.Sprintf(`{"index":%d,`, n); status != http.StatusOK || !strings.HasPrefix(string(b), want) || !strings.HasSuffix(string(b), `"published":false}`) {
			t.Errorf("status %d: %s", status, b)
		}
	}
}

func TestRefused(t *testing.T) {
	r := start(t, "-answer", "index")
	good := endorsement(r.orgs[0], 0)
	change := func(f func(e *entry.Entry)) []byte {
		e := *good
		e.Signatures = slices.Clone(good.Signatures)
		f(&e)
		return e.Bytes()
	}
	stranger := rolltest.NewOrg("stranger.example", 1, 0, 1)
	tests := []struct {
		name, mediaType string
		body            []byte
		status          int
	}{
		{"another media type", "application/octet-stream", good.Bytes(), http.StatusUnsupportedMediaType},
		{"empty", "text/plain", nil, http.StatusBadRequest},
		{"cut short", "text/plain", good.Bytes()[:100], http.StatusBadRequest},
		{"too large", "text/plain", make([]byte, entry.MaxEntry+1), http.StatusBadRequest},
		{"another text", "text/plain", bytes.Replace(good.Bytes(), []byte("after 1 "), []byte("after 2 "), 1), http.StatusUnprocessableEntity},
		{"another ledger", "text/plain", change(func(e *entry.Entry) { e.Ledger = "ledger.example/other" }), http.StatusUnprocessableEntity},
		{"another signature", "text/plain", change(func(e *entry.Entry) { e.Signatures[0].Sig = endorsement(r.orgs[0], 1).Signatures[0].Sig }), http.StatusUnprocessableEntity},
		{"another key ID", "text/plain", change(func(e *entry.Entry) { e.Signatures[0].KeyID++ }), http.StatusUnprocessableEntity},
		{"a key of nobody", "text/plain", endorsement(stranger, 0).Bytes(), http.StatusUnprocessableEntity},
		{"a key of another", "text/plain", endorsement(&rolltest.Org{Domain: r.orgs[1].Domain, Keys: r.orgs[0].Keys}, 0).Bytes(), http.StatusUnprocessableEntity},
		{"good after all", "text/plain", good.Bytes(), http.StatusOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if status, b := r.post(tt.mediaType, tt.body); status != tt.status {
				t.Errorf("status %d, want %d: %s", status, tt.status, b)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.txt")
	if err := os.WriteFile(file, []byte("m0.example ed25519 AAAA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{},
		{"-dir", dir},
		{"-dir", dir, "-keys", file},
		{"-dir", dir, "-keys", file, "-answer", "both"},
		{"fsck"},
		{"fsck", "-dir", dir},
		{"fsck", "-dir", dir, "-vkey", "none"},
	} {
		if err := run(args, strings.NewReader(""), io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

// The POSIX driver takes no shorter interval than the one that is used.
func TestInterval(t *testing.T) {
	stdin, close := io.Pipe()
	defer close.Close()
	file := filepath.Join(t.TempDir(), "keys.txt")
	k := rolltest.NewKey("one").Public
	if err := os.WriteFile(file, fmt.Appendf(nil, "m.example %s %s\n", k.Suite(), base64.StdEncoding.EncodeToString(k.SPKI())), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run([]string{"-dir", filepath.Join(t.TempDir(), "log"), "-keys", file, "-interval", "99ms"}, stdin, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "less than minimum permitted 100ms") {
		t.Error(err)
	}
}

// BenchmarkClients is for the choice of settings: entries a second that so many clients get answered.
func BenchmarkClients(b *testing.B) {
	for _, mode := range []string{"proof", "index"} {
		for _, clients := range []int{256, 1024} {
			for _, batching := range [][2]string{{"256", "1s"}, {"256", "20ms"}, {"256", "5ms"}, {"1024", "20ms"}} {
				b.Run(fmt.Sprintf("%s/clients=%d/batch=%s/age=%s", mode, clients, batching[0], batching[1]), func(b *testing.B) {
					r := start(b, "-answer", mode, "-batch", batching[0], "-age", batching[1])
					bodies := make(chan []byte, b.N)
					var making, all sync.WaitGroup
					for w := range workers() {
						making.Go(func() {
							for n := w; n < b.N; n += workers() {
								bodies <- endorsement(r.orgs[n%len(r.orgs)], n).Bytes()
							}
						})
					}
					making.Wait()
					close(bodies)
					b.ResetTimer()
					for range clients {
						all.Go(func() {
							for body := range bodies {
								if status, answer := r.post("text/plain", body); status != http.StatusOK {
									b.Errorf("status %d: %s", status, answer)
									return
								}
							}
						})
					}
					all.Wait()
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
				})
			}
		}
	}
}
