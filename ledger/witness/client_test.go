package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
)

// asked is a log that asks witnesses: benches behind real HTTP servers, each of which a test may put something in front of.
type asked struct {
	*bench // whose log keys sign; its own server is the first witness
	more   []*bench
	before []atomic.Pointer[http.HandlerFunc]
	urls   []string
	client *Client
	policy *verify.Policy
}

// newAsked has n witnesses, with a key of each type, of which so many are the quorum.
func newAsked(t *testing.T, n, quorum int) *asked {
	a := &asked{before: make([]atomic.Pointer[http.HandlerFunc], n)}
	text, names := "", ""
	for i := range n {
		b := newBench(t)
		name := fmt.Sprintf("witness%d.example/w", i)
		b.server.Signers = []ledger.Signer{
			signerOf(t, name, keys.TypeCosignatureEd25519, name), signerOf(t, name, keys.TypeCosignatureMLDSA44, name),
		}
		a.more = append(a.more, b)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h := a.before[i].Load(); h != nil {
				(*h)(w, r)
				return
			}
			b.server.ServeHTTP(w, r)
		}))
		t.Cleanup(s.Close)
		a.urls = append(a.urls, s.URL)
		text += fmt.Sprintf("witness w%d-ed %s %s\nwitness w%d-pq %s %s/\ngroup w%d any w%d-ed w%d-pq\n",
			i, b.server.Signers[0].VKey, s.URL, i, b.server.Signers[1].VKey, s.URL, i, i, i)
		names += fmt.Sprintf(" w%d", i)
	}
	a.bench = a.more[0]
	for _, l := range a.log {
		text += fmt.Sprintf("log %s\n", l.VKey)
	}
	var err error
	if a.policy, err = verify.ParsePolicy(fmt.Appendf(nil, "%sgroup g %d%s\nquorum g\n", text, quorum, names)); err != nil {
		t.Fatal(err)
	}
	a.restart(t)
	t.Cleanup(func() { a.client.Close() })
	return a
}

// restart is a log that knows nothing any more of its witnesses.
func (a *asked) restart(t *testing.T) {
	t.Helper()
	if a.client != nil {
		a.client.Close()
	}
	var err error
	a.client, err = NewClient(ClientConfig{
		Origin: testOrigin, Logs: []keys.VKey{a.log[0].VKey, a.log[1].VKey}, Policy: a.policy, Timeout: 2 * time.Second, Grace: 50 * time.Millisecond,
		Now: func() time.Time { return a.now },
	})
	if err != nil {
		t.Fatal(err)
	}
}

// put has something else answer for a witness; nil: the witness itself.
func (a *asked) put(i int, h http.HandlerFunc) {
	if h == nil {
		a.before[i].Store(nil)
		return
	}
	a.before[i].Store(&h)
}

func (a *asked) pending(h history, size int) *ledger.Pending {
	c := h.checkpoint(a.t, size)
	return &ledger.Pending{
		Checkpoint: c, Note: a.note(c, a.log...),
		Prove: func(_ context.Context, from uint64) ([][32]byte, error) {
			return verify.Consistency(from, uint64(size), h[:size].node)
		},
		Root: func(_ context.Context, n uint64) ([32]byte, error) { return verify.RootAt(n, h.node) },
	}
}

// voices are the policy's names of those that cosigned.
func (a *asked) voices(note []byte) int {
	a.t.Helper()
	c, err := a.policy.Open(note)
	if err != nil {
		a.t.Fatal(err)
	}
	return len(c.Cosignatures)
}

func TestClient(t *testing.T) {
	a := newAsked(t, 3, 2)
	h := leavesOf(30, "a")
	for _, size := range []int{1, 2, 7, 7, 30} {
		got, err := a.client.Cosign(t.Context(), a.pending(h, size))
		if err != nil {
			t.Fatal(err)
		}
		if n := a.voices(got.Note); n < 4 {
			t.Errorf("size %d: %d cosignatures", size, n)
		}
		if !got.Time.Equal(a.now) {
			t.Errorf("the time is %v, not %v", got.Time, a.now)
		}
		if size == 2 {
			a.restart(t) // it learns from 409 where each witness is
		}
	}
	a.client.asking.Wait()
	for _, lag := range a.client.Lags() {
		if lag.Size != 30 || lag.Err != "" || !lag.Time.Equal(a.now) {
			t.Errorf("%+v", lag)
		}
	}
}

func answers(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// Whatever one witness answers, the other two are the quorum; with one more away nothing is cosigned.
func TestClientHostile(t *testing.T) {
	h := leavesOf(30, "a")
	other := leavesOf(30, "b")
	for _, tt := range []struct {
		name string
		h    func(a *asked) http.HandlerFunc
		says string // in Lag.Err
	}{
		{"nothing", func(*asked) http.HandlerFunc { return answers(200, "text/plain", "") }, "without a good cosignature"},
		{"garbage", func(*asked) http.HandlerFunc {
			return answers(200, "text/plain", "— x\n— \n\x00\n— witness0.example/w AAAA\n")
		}, "without a good cosignature"},
		{"a mebibyte", func(*asked) http.HandlerFunc { return answers(200, "text/plain", strings.Repeat("— x y\n", 1<<18)) }, "cannot be reached"},
		{"not found", func(*asked) http.HandlerFunc { return answers(404, "text/plain", "no") }, "does not know this log"},
		{"forbidden", func(*asked) http.HandlerFunc { return answers(403, "text/plain", "no") }, "another key for this log"},
		{"broken", func(*asked) http.HandlerFunc { return answers(500, "text/plain", "no") }, "status 500"},
		{"elsewhere", func(*asked) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
			}
		}, "status 307"},
		{"a conflict without a size", func(*asked) http.HandlerFunc { return answers(409, "text/x.tlog.size", "") }, "another size"},
		{"a conflict of another type", func(*asked) http.HandlerFunc { return answers(409, "text/plain", "3\n") }, "another size"},
		{"a size beyond ours", func(*asked) http.HandlerFunc { return answers(409, "text/x.tlog.size", "31\n") }, "another size"},
		{"always another size", func(*asked) http.HandlerFunc {
			n := 1
			return func(w http.ResponseWriter, r *http.Request) {
				n++
				answers(409, "text/x.tlog.size", fmt.Sprintf("%d\n", n))(w, r)
			}
		}, "another size each time"},
		{"unprocessable", func(*asked) http.HandlerFunc { return answers(422, "text/plain", "") }, "422"},
		{"cut off", func(*asked) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }
		}, "cannot be reached"},
		{"a good line of another checkpoint", func(a *asked) http.HandlerFunc {
			c := h.checkpoint(a.t, 29)
			return answers(200, "text/plain", string(line(a.t, a.server.Signers[0], a.now, c.Text())))
		}, "without a good cosignature"},
		{"a line by another key", func(a *asked) http.HandlerFunc {
			c := h.checkpoint(a.t, 30)
			return answers(200, "text/plain", string(line(a.t, signerOf(a.t, "witness0.example/w", keys.TypeCosignatureEd25519, "foreign"), a.now, c.Text())))
		}, "without a good cosignature"},
		{"a fork that is not ours: signed by a foreign key", func(a *asked) http.HandlerFunc {
			note := a.note(other.checkpoint(a.t, 31-1), signerOf(a.t, testOrigin, keys.TypeEd25519, "foreign"))
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					w.Write(note)
					return
				}
				answers(409, "text/x.tlog.size", "31\n")(w, r)
			}
		}, "another size"},
		{"a checkpoint of ours that is older, and consistent", func(a *asked) http.HandlerFunc {
			note := a.note(h.checkpoint(a.t, 12), a.log...)
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					w.Write(note)
					return
				}
				answers(422, "text/plain", "")(w, r)
			}
		}, "422"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAsked(t, 3, 2)
			a.put(0, tt.h(a))
			got, err := a.client.Cosign(t.Context(), a.pending(h, 30))
			if err != nil {
				t.Fatal(err)
			}
			if a.voices(got.Note) != 4 {
				t.Errorf("%d cosignatures", a.voices(got.Note))
			}
			a.client.asking.Wait()
			if lag := a.client.Lags()[0]; !strings.Contains(lag.Err, tt.says) || lag.Who != "w0-ed" {
				t.Errorf("%+v", lag)
			}
			a.put(1, answers(500, "text/plain", ""))
			if got, err := a.client.Cosign(t.Context(), a.pending(h, 30)); err == nil || errors.Is(err, ledger.ErrForked) {
				t.Errorf("one of three: %v, %v", got, err)
			}
			a.put(0, nil)
			if _, err := a.client.Cosign(t.Context(), a.pending(h, 30)); err != nil {
				t.Errorf("two again: %v", err)
			}
		})
	}
}

// Only a checkpoint that our own key signed stops the log.
func TestClientForked(t *testing.T) {
	h, other := leavesOf(30, "a"), leavesOf(40, "b")
	for _, tt := range []struct {
		name string
		h    history
		size int
		post http.HandlerFunc
	}{
		{"another history, larger", other, 35, answers(409, "text/x.tlog.size", "35\n")},
		{"our history, larger", append(append(history{}, h...), other...), 35, answers(409, "text/x.tlog.size", "35\n")},
		{"another history, smaller", other, 20, answers(422, "text/plain", "")},
		{"another history, of the size", other, 30, answers(422, "text/plain", "")},
		{"another history, and an empty conflict", other, 30, answers(409, "text/plain", "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAsked(t, 3, 2)
			note := a.note(tt.h.checkpoint(t, tt.size), a.log[0])
			a.put(0, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					w.Write(note)
					return
				}
				tt.post(w, r)
			})
			for i := 1; i < 3; i++ { // so that the quorum is not there before
				a.put(i, answers(500, "text/plain", ""))
			}
			_, err := a.client.Cosign(t.Context(), a.pending(h, 30))
			var fork *ledger.ForkError
			if !errors.As(err, &fork) || !errors.Is(err, ledger.ErrForked) || !bytes.Equal(fork.Note, note) || fork.Who != "w0-ed" {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestWitnessed(t *testing.T) {
	a := newAsked(t, 3, 2)
	h := leavesOf(30, "a")
	seen, err := a.client.Witnessed(t.Context())
	if err != nil || len(seen) != 0 {
		t.Errorf("before anything was cosigned: %v, %v", seen, err)
	}
	if _, err := a.client.Cosign(t.Context(), a.pending(h, 30)); err != nil {
		t.Fatal(err)
	}
	a.client.asking.Wait()
	a.restart(t)
	if seen, err = a.client.Witnessed(t.Context()); err != nil || len(seen) != 3 {
		t.Fatalf("%v, %v", seen, err)
	}
	for _, s := range seen {
		if c, err := a.policy.OpenPast(s.Note); err != nil || c.Size != 30 || len(c.Cosignatures) != 2 {
			t.Errorf("%s: %+v, %v", s.Who, c, err)
		}
	}
	// One that is away, or shows what our keys did not sign, has not answered.
	a.put(0, answers(500, "text/plain", ""))
	if seen, err = a.client.Witnessed(t.Context()); err != nil || len(seen) != 2 {
		t.Errorf("two of three: %v, %v", seen, err)
	}
	foreign := a.note(h.checkpoint(t, 40-10), signerOf(t, testOrigin, keys.TypeEd25519, "foreign"))
	a.put(1, answers(200, "text/plain", string(foreign)))
	if seen, err = a.client.Witnessed(t.Context()); err == nil || len(seen) != 1 {
		t.Errorf("one of three: %v, %v", seen, err)
	}
}

// A witness that is slow is not waited for once there are enough, and is not left behind.
func TestClientSlow(t *testing.T) {
	a := newAsked(t, 3, 2)
	h := leavesOf(30, "a")
	held := make(chan struct{})
	slow := a.more[2].server
	a.put(2, func(w http.ResponseWriter, r *http.Request) {
		<-held
		slow.ServeHTTP(w, r)
	})
	for _, size := range []int{3, 9, 30} {
		if _, err := a.client.Cosign(t.Context(), a.pending(h, size)); err != nil {
			t.Fatal(err)
		}
	}
	close(held)
	a.client.asking.Wait()
	// Whatever it was asked first, it ends up with the newest and with no error.
	if lag := a.client.Lags()[2]; lag.Size != 30 || lag.Err != "" {
		t.Errorf("%+v", lag)
	}
}

func TestNewClient(t *testing.T) {
	b := newBench(t)
	log := fmt.Sprintf("log %s\n", b.log[0].VKey)
	witness := func(s ledger.Signer, url string) string {
		return fmt.Sprintf("witness w %s %s\nquorum w\n", s.VKey, url)
	}
	for name, tt := range map[string]struct {
		policy string
		says   string
	}{
		"good":                    {log + witness(b.server.Signers[0], "https://w.example/"), ""},
		"no address":              {log + witness(b.server.Signers[0], ""), "are not the quorum"},
		"the log's own key":       {log + witness(signerOf(t, "w.example", keys.TypeCosignatureEd25519, "log"), "https://w.example/"), "a key of the log itself"},
		"no witness is asked for": {log + "quorum none\n", ""},
	} {
		p, err := verify.ParsePolicy([]byte(tt.policy))
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewClient(ClientConfig{Origin: testOrigin, Logs: []keys.VKey{b.log[0].VKey}, Policy: p})
		if tt.says == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else {
				c.Close()
			}
		} else if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The time is what it is by witnesses without which there is no quorum; fewer do not decide, whatever others are too slow to say.
func TestClientClock(t *testing.T) {
	h := leavesOf(30, "a")
	for _, tt := range []struct {
		name  string
		liars int
		apart time.Duration
		want  time.Duration
	}{
		{"one goes back", 1, -50 * time.Hour, 0},
		{"one is ahead", 1, 50 * time.Hour, 0},
		{"two go back", 2, -50 * time.Hour, -50 * time.Hour},
		{"two are ahead", 2, 50 * time.Hour, 50 * time.Hour},
		{"two are a little ahead", 2, 4 * time.Minute, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAsked(t, 3, 2)
			c := h.checkpoint(t, 30)
			for i := range tt.liars {
				a.put(i, func(w http.ResponseWriter, r *http.Request) {
					for _, s := range a.more[i].server.Signers {
						w.Write(line(t, s, a.now.Add(tt.apart), c.Text()))
					}
				})
			}
			held := make(chan struct{})
			slow := a.more[2].server
			a.put(2, func(w http.ResponseWriter, r *http.Request) {
				if tt.liars == 2 {
					<-held
				}
				slow.ServeHTTP(w, r)
			})
			got, err := a.client.Cosign(t.Context(), a.pending(h, 30))
			close(held)
			if err != nil {
				t.Fatal(err)
			}
			if apart := got.Time.Sub(a.now); apart != tt.want {
				t.Errorf("the time is %v away, not %v", apart, tt.want)
			}
		})
	}
}

// A witness that tells of a fork after the others have cosigned is heard all the same.
func TestClientLateFork(t *testing.T) {
	a := newAsked(t, 3, 2)
	h, other := leavesOf(30, "a"), leavesOf(40, "b")
	note := a.note(other.checkpoint(t, 40), a.log...)
	held := make(chan struct{})
	a.put(2, func(w http.ResponseWriter, r *http.Request) {
		<-held
		if r.Method == "GET" {
			w.Write(note)
			return
		}
		answers(409, "text/x.tlog.size", "40\n")(w, r)
	})
	if _, err := a.client.Cosign(t.Context(), a.pending(h, 10)); err != nil {
		t.Fatal(err)
	}
	close(held)
	a.client.asking.Wait()
	select {
	case f := <-a.client.Forks():
		if !bytes.Equal(f.Note, note) || f.Who != "w2-ed" {
			t.Errorf("%+v", f)
		}
	default:
		t.Error("nobody is told")
	}
	if _, err := a.client.Cosign(t.Context(), a.pending(h, 20)); !errors.Is(err, ledger.ErrForked) {
		t.Errorf("asked again: %v", err)
	}
}

// A mirror that holds more is heard at the start; one that is away, or shows what the log did not sign, changes nothing.
func TestWitnessedMirrors(t *testing.T) {
	a := newAsked(t, 3, 2)
	h := leavesOf(30, "a")
	note := a.note(h.checkpoint(t, 30), a.log...)
	foreign := a.note(h.checkpoint(t, 30), signerOf(t, testOrigin, keys.TypeEd25519, "foreign"))
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good/checkpoint":
			w.Write(note)
		case "/foreign/checkpoint":
			w.Write(foreign)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer mirror.Close()
	a.client.Mirrors = []string{mirror.URL + "/away", mirror.URL + "/foreign/", mirror.URL + "/good/"}
	seen, err := a.client.Witnessed(t.Context())
	if err != nil || len(seen) != 1 || !bytes.Equal(seen[0].Note, note) || !strings.Contains(seen[0].Who, "/good/") {
		t.Errorf("%+v, %v", seen, err)
	}
}
