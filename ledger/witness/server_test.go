package witness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"

	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/mldsa"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
)

const testOrigin = "ledger.example/tccm"

func signerOf(t testing.TB, name string, typ byte, seed string) ledger.Signer {
	t.Helper()
	s := sha256.Sum256([]byte(seed))
	if typ == keys.TypeCosignatureMLDSA44 {
		k, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), s[:])
		if err != nil {
			t.Fatal(err)
		}
		v, err := keys.NewVKey(name, typ, k.PublicKey().Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return ledger.Signer{VKey: v, Sign: func(msg []byte) ([]byte, error) { return k.SignDeterministic(msg, nil) }}
	}
	k := ed25519.NewKeyFromSeed(s[:])
	v, err := keys.NewVKey(name, typ, k.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Signer{VKey: v, Sign: func(msg []byte) ([]byte, error) { return ed25519.Sign(k, msg), nil }}
}

// line is a signer's line on a checkpoint's text.
func line(t testing.TB, s ledger.Signer, at time.Time, text []byte) []byte {
	t.Helper()
	msg := text
	if s.VKey.Type != keys.TypeEd25519 {
		msg = verify.CosignedText(s.VKey, uint64(at.Unix()), text)
	}
	sig, err := s.Sign(msg)
	if err != nil {
		t.Fatal(err)
	}
	if s.VKey.Type != keys.TypeEd25519 {
		sig = verify.TimestampedSignature(uint64(at.Unix()), sig)
	}
	return verify.SignatureLine(s.VKey, sig)
}

// history is a log's leaves and the tree over them, computed slowly.
type history [][]byte

func leavesOf(n int, name string) history {
	var h history
	for i := range n {
		h = append(h, fmt.Appendf(nil, "%s %d", name, i))
	}
	return h
}

func (h history) node(level uint, index uint64) ([32]byte, error) {
	if (index+1)<<level > uint64(len(h)) {
		return [32]byte{}, errors.New("beyond the tree")
	}
	if level == 0 {
		return verify.LeafHash(h[index]), nil
	}
	l, err := h.node(level-1, 2*index)
	if err != nil {
		return l, err
	}
	r, err := h.node(level-1, 2*index+1)
	return verify.NodeHash(l, r), err
}

func (h history) checkpoint(t testing.TB, size int) verify.Checkpoint {
	t.Helper()
	root, err := verify.RootAt(uint64(size), h.node)
	if err != nil {
		t.Fatal(err)
	}
	return verify.Checkpoint{Origin: testOrigin, Size: uint64(size), Root: root}
}

func (h history) proof(t testing.TB, from, to int) [][32]byte {
	t.Helper()
	if from == 0 {
		return nil
	}
	p, err := verify.Consistency(uint64(from), uint64(to), h[:to].node)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bench is a witness, the log's keys, and a clock.
type bench struct {
	t      testing.TB
	log    []ledger.Signer
	server *Server
	state  *State
	path   string
	last   *ledger.LastCosigned
	mu     sync.Mutex
	now    time.Time
	found  []*verify.Contradiction
	judge  func(note []byte) error
}

func newBench(t testing.TB) *bench {
	b := &bench{
		t: t, path: filepath.Join(t.TempDir(), "witness.db"), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		log: []ledger.Signer{signerOf(t, testOrigin, keys.TypeEd25519, "log"), signerOf(t, testOrigin, keys.TypeCosignatureMLDSA44, "log")},
	}
	if err := errors.Join(ledger.CreateLastCosigned(b.beside()), CreateState(b.path)); err != nil {
		t.Fatal(err)
	}
	b.open()
	t.Cleanup(func() { b.close() })
	return b
}

// beside is where the record is.
func (b *bench) beside() string { return b.path + "-last-cosigned" }

func (b *bench) close() error { return errors.Join(b.state.Close(), b.last.Close()) }

func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.last, err = ledger.OpenLastCosigned(b.beside()); err != nil {
		b.t.Fatal(err)
	}
	if b.state, err = OpenState(b.path, b.last); err != nil {
		b.t.Fatal(err)
	}
	b.server, err = NewServer(Config{
		Signers: []ledger.Signer{signerOf(b.t, "witness.example/w", keys.TypeCosignatureEd25519, "w"), signerOf(b.t, "witness.example/w", keys.TypeCosignatureMLDSA44, "w")},
		State:   b.state,
		Logs: func(origin string) []keys.VKey {
			if origin != testOrigin {
				return nil
			}
			return []keys.VKey{b.log[0].VKey, b.log[1].VKey}
		},
		Judge: func(_ context.Context, note []byte) error {
			if b.judge != nil {
				return b.judge(note)
			}
			return nil
		},
		Evidence: func(c *verify.Contradiction) { b.found = append(b.found, c) },
		Now: func() time.Time {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.now
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// reopen is a restart.
func (b *bench) reopen() {
	b.t.Helper()
	if err := b.close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// note is a checkpoint's note by these signers, the log's Ed25519 key if none are named.
func (b *bench) note(c verify.Checkpoint, signers ...ledger.Signer) []byte {
	if len(signers) == 0 {
		signers = b.log[:1]
	}
	n := append(c.Text(), '\n')
	for _, s := range signers {
		n = append(n, line(b.t, s, b.now, c.Text())...)
	}
	return n
}

func (b *bench) body(h history, from, to int) []byte {
	r := &request{old: uint64(from), proof: h.proof(b.t, from, to), note: b.note(h.checkpoint(b.t, to))}
	return r.bytes()
}

// post sends a request through the handler.
func (b *bench) post(body []byte) (status int, header http.Header, answer string) {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, httptest.NewRequest("POST", "/add-checkpoint", bytes.NewReader(body)))
	return w.Code, w.Result().Header, w.Body.String()
}

func (b *bench) must(body []byte) string {
	b.t.Helper()
	status, _, answer := b.post(body)
	if status != 200 {
		b.t.Fatalf("%d %s", status, answer)
	}
	return answer
}

// get reads the latest cosigned checkpoint.
func (b *bench) get() (int, []byte) {
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, httptest.NewRequest("GET", "/"+verify.OriginHash(testOrigin)+"/checkpoint", nil))
	return w.Code, w.Body.Bytes()
}

// policy trusts the log and each key of the witness.
func (b *bench) policy() *verify.Policy {
	b.t.Helper()
	text := ""
	for _, l := range b.log {
		text += fmt.Sprintf("log %s\n", l.VKey)
	}
	for i, s := range b.server.Signers {
		text += fmt.Sprintf("witness w%d %s\n", i, s.VKey)
	}
	p, err := verify.ParsePolicy([]byte(text + "group g all w0 w1\nquorum g\n"))
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func TestCosign(t *testing.T) {
	b := newBench(t)
	if status, _ := b.get(); status != 404 {
		t.Errorf("before the first checkpoint: %d", status)
	}
	h := leavesOf(20, "a")
	last := 0
	for _, size := range []int{1, 2, 3, 8, 8, 13, 20, 20} {
		b.now = b.now.Add(time.Minute)
		body := b.body(h, last, size)
		answer := b.must(body)
		_, note, _ := bytes.Cut(body, []byte("\n\n"))
		c, err := b.policy().Open(append(note, answer...))
		if err != nil {
			t.Fatalf("%v\n%s", err, answer)
		}
		for _, s := range c.Cosignatures {
			if !s.Time.Equal(b.now) {
				t.Errorf("the time is %v, not %v", s.Time, b.now)
			}
		}
		status, kept := b.get()
		if status != 200 || !bytes.Equal(kept, append(note, answer...)) {
			t.Errorf("%d, it serves\n%s", status, kept)
		}
		last = size
		if size == 8 {
			b.reopen()
		}
	}
	if len(b.found) > 0 {
		t.Errorf("it found %s", b.found[0].Bytes())
	}
}

func TestStatuses(t *testing.T) {
	ours, other := leavesOf(20, "a"), leavesOf(20, "b")
	foreign := signerOf(t, testOrigin, keys.TypeEd25519, "foreign")
	for _, tt := range []struct {
		name   string
		body   func(b *bench) []byte // after 8 of ours were cosigned
		status int
		says   string
		proves int
	}{
		{"it continues", func(b *bench) []byte { return b.body(ours, 8, 13) }, 200, "— witness.example/w ", 0},
		{"the same size again", func(b *bench) []byte { return b.body(ours, 8, 8) }, 200, "— witness.example/w ", 0},
		{"nothing", func(b *bench) []byte { return nil }, 400, "not an add-checkpoint request", 0},
		{"no old line", func(b *bench) []byte { return bytes.TrimPrefix(b.body(ours, 8, 13), []byte("old ")) }, 400, "not an add-checkpoint request", 0},
		{"a zero before the size", func(b *bench) []byte { return bytes.Replace(b.body(ours, 8, 13), []byte("old 8"), []byte("old 08"), 1) }, 400, "", 0},
		{"a plus before the size", func(b *bench) []byte { return bytes.Replace(b.body(ours, 8, 13), []byte("old 8"), []byte("old +8"), 1) }, 400, "", 0},
		{"carriage returns", func(b *bench) []byte { return bytes.ReplaceAll(b.body(ours, 8, 13), []byte("\n"), []byte("\r\n")) }, 400, "", 0},
		{"64 lines of proof", func(b *bench) []byte {
			r := &request{old: 8, proof: make([][32]byte, 64), note: b.note(ours.checkpoint(b.t, 13))}
			return r.bytes()
		}, 400, "", 0},
		{"a short hash", func(b *bench) []byte {
			return bytes.Replace(b.body(ours, 8, 13), []byte("old 8\n"), []byte("old 8\nAAAA\n"), 1)
		}, 400, "", 0},
		{"no note", func(b *bench) []byte { return []byte("old 8\n\nnonsense\n") }, 400, "", 0},
		{"an unknown origin", func(b *bench) []byte {
			c := verify.Checkpoint{Origin: "other.example/x", Size: 13, Root: ours.checkpoint(b.t, 13).Root}
			return (&request{old: 8, note: b.note(c, signerOf(b.t, "other.example/x", keys.TypeEd25519, "log"))}).bytes()
		}, 404, "", 0},
		{"an unknown key", func(b *bench) []byte {
			return (&request{old: 8, proof: ours.proof(b.t, 8, 13), note: b.note(ours.checkpoint(b.t, 13), foreign)}).bytes()
		}, 403, "not signed by a key", 0},
		{"an unknown key beside a known one", func(b *bench) []byte {
			return (&request{old: 8, proof: ours.proof(b.t, 8, 13), note: b.note(ours.checkpoint(b.t, 13), foreign, b.log[1])}).bytes()
		}, 200, "", 0},
		{"both keys", func(b *bench) []byte {
			return (&request{old: 8, proof: ours.proof(b.t, 8, 13), note: b.note(ours.checkpoint(b.t, 13), b.log...)}).bytes()
		}, 200, "", 0},
		{"a known key's wrong signature", func(b *bench) []byte {
			note := b.note(ours.checkpoint(b.t, 13), b.log[1])
			wrong := line(b.t, b.log[0], b.now, ours.checkpoint(b.t, 12).Text())
			return (&request{old: 8, proof: ours.proof(b.t, 8, 13), note: append(note, wrong...)}).bytes()
		}, 403, "not by that key", 0},
		{"an old size beyond the checkpoint's", func(b *bench) []byte {
			return (&request{old: 14, note: b.note(ours.checkpoint(b.t, 13))}).bytes()
		}, 400, "larger", 0},
		{"the old size is behind", func(b *bench) []byte { return b.body(ours, 5, 13) }, 409, "8\n", 0},
		{"the old size is ahead", func(b *bench) []byte { return b.body(ours, 13, 13) }, 409, "8\n", 0},
		{"the old size is zero", func(b *bench) []byte { return b.body(ours, 0, 13) }, 409, "8\n", 0},
		{"the old size is zero, of another history", func(b *bench) []byte { return b.body(other, 0, 13) }, 409, "8\n", 0},
		{"an empty tree with a root", func(b *bench) []byte {
			text := []byte(testOrigin + "\n0\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n")
			return (&request{old: 0, note: append(append(bytes.Clone(text), '\n'), line(b.t, b.log[0], b.now, text)...)}).bytes()
		}, 422, "another root hash", 0},
		{"another history of the size", func(b *bench) []byte { return b.body(other, 8, 8) }, 422, "bad consistency proof", 1},
		{"another history", func(b *bench) []byte { return b.body(other, 8, 13) }, 422, "bad consistency proof", 0}, // 8 is a power of two
		{"no proof", func(b *bench) []byte { return (&request{old: 8, note: b.note(ours.checkpoint(b.t, 13))}).bytes() }, 422, "", 0},
		{"a proof too much", func(b *bench) []byte {
			return (&request{old: 8, proof: [][32]byte{{}}, note: b.note(ours.checkpoint(b.t, 8))}).bytes()
		}, 422, "", 0},
		{"extension lines", func(b *bench) []byte {
			text := append(ours.checkpoint(b.t, 13).Text(), "and more\n"...)
			return (&request{old: 8, proof: ours.proof(b.t, 8, 13), note: append(append(bytes.Clone(text), '\n'), line(b.t, b.log[0], b.now, text)...)}).bytes()
		}, 200, "", 0},
		{"too large", func(b *bench) []byte { return make([]byte, maxRequest+1) }, 413, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.must(b.body(ours, 0, 8))
			_, before := b.get()
			status, header, answer := b.post(tt.body(b))
			if status != tt.status || !strings.Contains(answer, tt.says) {
				t.Errorf("%d %s", status, answer)
			}
			if want := "text/x.tlog.size"; (header.Get("Content-Type") == want) != (status == 409) {
				t.Errorf("%d is %s", status, header.Get("Content-Type"))
			}
			if status == 409 && answer != "8\n" {
				t.Errorf("409 says %q", answer)
			}
			if _, after := b.get(); status != 200 && !bytes.Equal(before, after) {
				t.Errorf("it went on to\n%s", after)
			}
			if len(b.found) != tt.proves {
				t.Errorf("%d contradictions", len(b.found))
			}
			for _, c := range b.found {
				if v, err := c.Check(); err != nil || v.Origin != testOrigin {
					t.Errorf("%+v, %v", v, err)
				}
			}
		})
	}
}

// A witness that cosigned a size which is no power of two keeps the proof of a fork.
func TestForkIsProven(t *testing.T) {
	b := newBench(t)
	ours, other := leavesOf(20, "a"), leavesOf(20, "b")
	b.must(b.body(ours, 0, 7))
	if status, _, _ := b.post(b.body(other, 7, 13)); status != 422 || len(b.found) != 1 {
		t.Fatalf("%d, %d contradictions", status, len(b.found))
	}
	if v, err := b.found[0].Check(); err != nil || v.Case != verify.CasePrefix {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestMethods(t *testing.T) {
	b := newBench(t)
	for path, want := range map[string]map[string]int{
		"/add-checkpoint": {"GET": 405, "PUT": 405, "POST": 400},
		"/" + verify.OriginHash(testOrigin) + "/checkpoint":                  {"GET": 404, "POST": 405},
		"/" + strings.ToUpper(verify.OriginHash(testOrigin)) + "/checkpoint": {"GET": 404},
		"/":                                    {"GET": 404, "POST": 404},
		"/sign-subtree":                        {"POST": 404},
		"/%61dd-checkpoint":                    {"POST": 404},
		"//add-checkpoint":                     {"POST": 404},
		"/checkpoint":                          {"GET": 404},
		"/" + verify.OriginHash(testOrigin):    {"GET": 404},
		"/../" + verify.OriginHash(testOrigin): {"GET": 404},
	} {
		for method, status := range want {
			w := httptest.NewRecorder()
			b.server.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			if w.Code != status {
				t.Errorf("%s %s: %d, not %d", method, path, w.Code, status)
			}
		}
	}
}

func TestJudge(t *testing.T) {
	b := newBench(t)
	h := leavesOf(5, "a")
	b.judge = func(note []byte) error { return &Refusal{"entry 3 breaks a rule"} }
	if status, _, answer := b.post(b.body(h, 0, 5)); status != 422 || !strings.Contains(answer, "entry 3 breaks a rule") {
		t.Errorf("%d %s", status, answer)
	}
	b.judge = func(note []byte) error { return errors.New("no network") }
	if status, _, answer := b.post(b.body(h, 0, 5)); status != 503 || strings.Contains(answer, "network") {
		t.Errorf("%d %s", status, answer)
	}
	if status, _ := b.get(); status != 404 {
		t.Errorf("it cosigned: %d", status)
	}
	b.judge = nil
	b.must(b.body(h, 0, 5))
}

func TestClock(t *testing.T) {
	b := newBench(t)
	h := leavesOf(9, "a")
	b.must(b.body(h, 0, 3))
	first := b.now
	at := func() time.Time {
		_, note := b.get()
		c, err := b.policy().OpenPast(note)
		if err != nil {
			t.Fatal(err)
		}
		return c.Seen()
	}
	b.now = first.Add(-time.Minute)
	b.must(b.body(h, 3, 5))
	if !at().Equal(first) {
		t.Errorf("the time went back to %v", at())
	}
	b.now = first.Add(-time.Hour)
	if status, _, _ := b.post(b.body(h, 5, 6)); status != 503 {
		t.Errorf("with a clock an hour behind: %d", status)
	}
	b.reopen()
	if status, _, _ := b.post(b.body(h, 5, 6)); status != 503 {
		t.Errorf("after a restart: %d", status)
	}
	b.now = first.Add(time.Hour)
	b.must(b.body(h, 5, 6))
	if !at().Equal(b.now) {
		t.Errorf("the time is %v", at())
	}
}

// The race of tlog-witness: two requests that were both consistent when they came.
func TestRace(t *testing.T) {
	b := newBench(t)
	h := leavesOf(64, "a")
	b.must(b.body(h, 0, 3))
	var mu sync.Mutex
	largest := uint64(3)
	roots := map[uint64][32]byte{}
	var wg sync.WaitGroup
	for worker := range 8 {
		bodies := map[int][]byte{}
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(worker), 1))
			old := 3
			for range 40 {
				size := old + rng.IntN(5)
				if size > 64 {
					return
				}
				bodies[size] = b.body(h, old, size)
				w := httptest.NewRecorder()
				b.server.ServeHTTP(w, httptest.NewRequest("POST", "/add-checkpoint", bytes.NewReader(bodies[size])))
				switch w.Code {
				case 200:
					mu.Lock()
					largest = max(largest, uint64(size))
					roots[uint64(size)] = h.checkpoint(t, size).Root
					mu.Unlock()
					old = size
				case 409:
					fmt.Sscan(w.Body.String(), &old)
				default:
					t.Errorf("%d %s", w.Code, w.Body.String())
				}
			}
		})
	}
	wg.Wait()
	_, note := b.get()
	c, err := b.policy().Open(note)
	if err != nil || c.Size != largest {
		t.Errorf("the latest is of size %d, though %d was cosigned: %v", c.Size, largest, err)
	}
}

// Any sequence of requests, of two histories that part, in any order and with restarts: what was cosigned is one history.
func TestAppendOnly(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		b := newBench(t)
		fork := rng.IntN(10)
		a := leavesOf(24, "a")
		histories := []history{a, append(append(history{}, a[:fork]...), leavesOf(24, "b")[fork:]...)}
		cosigned := map[uint64][32]byte{}
		sizes := []int{0}
		for range 60 {
			h := histories[rng.IntN(2)]
			from := sizes[len(sizes)-1]
			if rng.IntN(4) == 0 {
				from = rng.IntN(24)
			}
			to := min(24, from+rng.IntN(4))
			status, _, _ := b.post(b.body(h, from, to))
			if status == 200 {
				c := h.checkpoint(t, to)
				if root, ok := cosigned[c.Size]; ok && root != c.Root {
					t.Fatalf("seed %d: two roots of size %d", seed, to)
				}
				if to < sizes[len(sizes)-1] {
					t.Fatalf("seed %d: size %d after %d", seed, to, sizes[len(sizes)-1])
				}
				cosigned[c.Size] = c.Root
				sizes = append(sizes, to)
			}
			if rng.IntN(10) == 0 {
				b.reopen()
			}
		}
		// All of one history.
		one := false
		for _, h := range histories {
			all := true
			for size, root := range cosigned {
				all = all && h.checkpoint(t, int(size)).Root == root
			}
			one = one || all
		}
		if !one {
			t.Fatalf("seed %d: it cosigned both histories", seed)
		}
	}
}

func TestStateInUse(t *testing.T) {
	b := newBench(t)
	if _, err := OpenState(b.path, b.last); !errors.Is(err, ledger.ErrInUse) {
		t.Error(err)
	}
}

// No flipped bit of the file makes a witness forget what it cosigned, or take it for something else.
func TestStateDamaged(t *testing.T) {
	b := newBench(t)
	h := leavesOf(5, "a")
	b.must(b.body(h, 0, 5))
	_, want := b.get()
	b.state.Close()
	good, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	refused := 0
	for range 600 {
		bad := bytes.Clone(good)
		bad[rng.IntN(len(bad))] ^= 1 << rng.IntN(8)
		path := filepath.Join(t.TempDir(), "witness.db")
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := OpenState(path, b.last)
		if err != nil {
			refused++
			continue
		}
		if w := s.get(testOrigin); w == nil || !bytes.Equal(w.note, want) {
			t.Errorf("it opens, with another record")
		}
		s.Close()
	}
	if refused == 0 {
		t.Error("no damage was noticed")
	}
}

// After a write that failed nothing is cosigned any more, and nothing that was not kept is given away.
func TestStateFails(t *testing.T) {
	b := newBench(t)
	h := leavesOf(5, "a")
	b.must(b.body(h, 0, 3))
	b.state.db.Close()
	status, _, answer := b.post(b.body(h, 3, 5))
	if status != 500 || strings.Contains(answer, "—") {
		t.Errorf("%d %s", status, answer)
	}
	select {
	case <-b.server.Failed():
	default:
		t.Error("it goes on")
	}
	if status, _, _ := b.post(b.body(h, 3, 3)); status != 500 {
		t.Errorf("again: %d", status)
	}
	b.last.Close()
	b.open()
	b.must(b.body(h, 3, 5))
}

// Nothing leaves that the record beside the keys does not have.
func TestRecordFails(t *testing.T) {
	b := newBench(t)
	h := leavesOf(5, "a")
	b.must(b.body(h, 0, 3))
	if err := errors.Join(os.Rename(b.beside(), b.beside()+"-aside"), os.Mkdir(b.beside(), 0o700)); err != nil {
		t.Fatal(err)
	}
	if status, _, answer := b.post(b.body(h, 3, 5)); status != 500 || strings.Contains(answer, "—") {
		t.Errorf("%d %s", status, answer)
	}
	if _, note := b.get(); bytes.Contains(note, []byte("\n5\n")) {
		t.Errorf("it shows what the record does not have: %s", note)
	}
	select {
	case <-b.server.Failed():
	default:
		t.Error("it goes on")
	}
	if err := errors.Join(os.Remove(b.beside()), os.Rename(b.beside()+"-aside", b.beside())); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	b.must(b.body(h, 5, 5))
}

// What the keys have cosigned is in the state and in the record. Whichever was lost or is an old copy, no smaller tree and no other
// history is cosigned; a process that was killed between the two goes on.
func TestStateForgets(t *testing.T) {
	type files struct{ state, last []byte }
	read := func(b *bench) (f files) {
		t.Helper()
		if err := b.close(); err != nil {
			t.Fatal(err)
		}
		var err1, err2 error
		f.state, err1 = os.ReadFile(b.path)
		f.last, err2 = os.ReadFile(b.beside())
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		b.open()
		return f
	}
	h := leavesOf(9, "a")
	for _, c := range []struct {
		name string
		put  func(none, old, now files) files
		gap  *Gap
	}{
		{"as it is", func(none, old, now files) files { return now }, nil},
		{"an empty state", func(none, old, now files) files { return files{none.state, now.last} }, &Gap{testOrigin, 0, 8}},
		{"an old state", func(none, old, now files) files { return files{old.state, now.last} }, &Gap{testOrigin, 3, 8}},
		{"an old record, as after a kill", func(none, old, now files) files { return files{now.state, old.last} }, nil},
		{"an empty record", func(none, old, now files) files { return files{now.state, none.last} }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			none := read(b)
			b.must(b.body(h, 0, 3))
			old := read(b)
			b.must(b.body(h, 3, 8))
			put := c.put(none, old, read(b))
			if err := b.close(); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.WriteFile(b.path, put.state, 0o600), os.WriteFile(b.beside(), put.last, 0o600)); err != nil {
				t.Fatal(err)
			}
			b.open()
			gaps := b.state.Gaps()
			if c.gap == nil {
				if len(gaps) > 0 {
					t.Fatalf("gaps: %v", gaps)
				}
				if size, root, _ := b.last.Of(testOrigin); size != 8 || root != h.checkpoint(t, 8).Root {
					t.Errorf("the record is not caught up: %d", size)
				}
				b.must(b.body(h, 8, 9))
				return
			}
			if len(gaps) != 1 || gaps[0] != *c.gap {
				t.Fatalf("gaps: %v", gaps)
			}
			for _, body := range [][]byte{b.body(h, int(c.gap.Kept), 5), b.body(h, int(c.gap.Kept), 9), b.body(h, 8, 9), b.body(leavesOf(9, "b"), 0, 9)} {
				status, _, answer := b.post(body)
				if status != 503 || !strings.Contains(answer, "of size 8") || strings.Contains(answer, "—") {
					t.Errorf("%d %s", status, answer)
				}
			}
			b.reopen()
			if forgot, err := b.state.Forget(); err != nil || len(forgot) != 1 {
				t.Fatal(forgot, err)
			}
			b.reopen()
			b.must(b.body(h, int(c.gap.Kept), 5))
		})
	}
}

// A state or a record that is not there is not made on the way.
func TestStateMissing(t *testing.T) {
	b := newBench(t)
	if err := CreateState(b.path); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if err := ledger.CreateLastCosigned(b.beside()); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if _, err := ledger.OpenLastCosigned(b.beside()); !errors.Is(err, ledger.ErrInUse) {
		t.Error(err)
	}
	none := filepath.Join(t.TempDir(), "none")
	if _, err := OpenState(none, b.last); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := ledger.OpenLastCosigned(none); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if files, err := os.ReadDir(filepath.Dir(none)); err != nil || len(files) > 0 {
		t.Error(files, err)
	}
	// What a killed attempt left is in nobody's way.
	if err := os.WriteFile(none+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CreateState(none); err != nil {
		t.Fatal(err)
	}
	s, err := OpenState(none, b.last)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("old 0\n\nledger.example/tccm\n1\nAAAA\n\n— x AAAA\n"))
	f.Add((&request{old: 8, proof: make([][32]byte, 2), note: []byte("x\n")}).bytes())
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err == nil && !bytes.Equal(r.bytes(), body) {
			t.Fatal("it prints to other bytes")
		}
		if err != nil && err != errRequest {
			t.Fatalf("%T", err)
		}
	})
}
