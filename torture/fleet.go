package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/verify"
)

// A fleet is the witnesses of a ledger. Whatever any of them signs is written down before it goes anywhere.
type fleet struct {
	*trial
	posts  []*post
	quorum int

	mu     sync.Mutex
	signed []cosigned // that nobody has taken
	count  int        // cosigned checkpoints in all
}

// cosigned is a checkpoint that a witness has cosigned.
type cosigned struct {
	by *post
	verify.Checkpoint
}

// A post is one witness: the program, in a directory of its own; before it a recorder, who hears what it is asked and
// answers; and before that a proxy, or several, that may disturb the connections.
type post struct {
	fleet    *fleet
	number   int
	dir      string
	recorder *http.Server
	address  string         // of the recorder
	proxy    *proxy         // the way of the ledger that the fleet was made for
	policy   *verify.Policy // the log's keys and this witness
	client   *http.Client
	roots    map[uint64][32]byte // of what it signed, by size; guarded by fleet.mu
	largest  uint64              // of those sizes; guarded by fleet.mu

	mu    sync.Mutex
	child *child // nil: it is away
}

// newFleet makes so many witnesses for a log of a policy without any, and starts them.
func (t *trial) newFleet(ctx context.Context, dir string, logs []byte, n, quorum int) (*fleet, error) {
	f := &fleet{trial: t, quorum: quorum}
	for i := range n {
		p := &post{fleet: f, number: i, dir: fmt.Sprintf("%s.w%d", dir, i+1), roots: make(map[uint64][32]byte), client: &http.Client{
			Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second,
		}}
		name := fmt.Sprintf("w%d.torture.example/w", i+1)
		if code, out, err := command(ctx, t.bin, "witness", "new", p.dir, "--name", name); err != nil || code != 0 {
			return f, fmt.Errorf("witness new: exit code %d, %w: %s", code, err, out)
		}
		if err := os.WriteFile(filepath.Join(p.dir, "logs.txt"), logs, 0o600); err != nil {
			return f, err
		}
		lines, err := p.lines(ctx, "")
		if err != nil {
			return f, err
		}
		if p.policy, err = verify.ParsePolicy(fmt.Appendf(nil, "%s%squorum %s\n", logs, lines, p.group())); err != nil {
			return f, err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return f, err
		}
		p.address, p.recorder = l.Addr().String(), &http.Server{Handler: p}
		go p.recorder.Serve(l)
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return f, err
		}
		p.proxy = newProxy(l, t.seed+uint64(i), func() string { return p.address })
		f.posts = append(f.posts, p)
		if err := p.begin(ctx); err != nil {
			return f, err
		}
	}
	return f, nil
}

// group is what the witness is called in policies.
func (p *post) group() string { return fmt.Sprintf("w%d-torture-example-w", p.number+1) }

// lines are those of the witness for a policy, with the address at which it is asked.
func (p *post) lines(ctx context.Context, url string) (string, error) {
	args := []string{"witness", "show", p.dir}
	if url != "" {
		args = append(args, "--url", url)
	}
	code, out, err := command(ctx, p.fleet.bin, args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("witness show: exit code %d: %s", code, out)
	}
	return out, err
}

// policyText is a policy of the log and these witnesses; url says where each is asked.
func (f *fleet) policyText(ctx context.Context, logs []byte, url func(*post) string) ([]byte, error) {
	b, names := bytes.Clone(logs), ""
	for _, p := range f.posts {
		lines, err := p.lines(ctx, url(p))
		if err != nil {
			return nil, err
		}
		b, names = append(b, lines...), names+" "+p.group()
	}
	return fmt.Appendf(b, "group quorum-of-all %d%s\nquorum quorum-of-all\n", f.quorum, names), nil
}

// begin starts the witness, which remembers what it has signed.
func (p *post) begin(ctx context.Context, flags ...string) error {
	c, out, err := launch(append([]string{p.fleet.bin, "witness", "serve", p.dir, "--listen", "127.0.0.1:0"}, flags...)...)
	if err != nil {
		return err
	}
	timer := time.AfterFunc(startLimit, c.kill)
	defer timer.Stop()
	first, err := out.ReadString('\n')
	go io.Copy(io.Discard, out) // until it ends
	_, url, ok := strings.Cut(strings.TrimSpace(first), " at ")
	if err != nil || !ok {
		c.kill()
		<-c.ended
		return &endedError{c}
	}
	c.url = url
	p.mu.Lock()
	p.child = c
	p.mu.Unlock()
	p.fleet.mu.Lock()
	largest := p.largest
	p.fleet.mu.Unlock()
	if largest == 0 {
		return nil
	}
	note, err := c.get(ctx, verify.OriginHash(origin)+"/checkpoint")
	var status *statusError
	if err != nil && !errors.As(err, &status) {
		return err
	}
	if kept, err := p.policy.Open(note); err != nil || kept.Size < largest {
		p.fleet.fault("witness %d has forgotten that it signed a checkpoint of size %d", p.number+1, largest)
	}
	return nil
}

// end stops the witness, if it runs: with kill -9, or in good order.
func (p *post) end(kill bool) error {
	p.mu.Lock()
	c := p.child
	p.child = nil
	p.mu.Unlock()
	if c == nil {
		return nil
	}
	if kill {
		c.kill()
		c.wait()
		return nil
	}
	c.interrupt()
	return c.wait()
}

// ServeHTTP hands a request on to the witness and writes down what it signs. While the witness is away, or dies, it
// drops the connection.
func (p *post) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	c := p.child
	p.mu.Unlock()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if c == nil || err != nil {
		panic(http.ErrAbortHandler)
	}
	req, err := http.NewRequest(r.Method, strings.TrimSuffix(c.url, "/")+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	req.Header = r.Header.Clone()
	resp, err := p.client.Do(req)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if r.Method == http.MethodPost && resp.StatusCode == http.StatusOK {
		_, note, _ := bytes.Cut(body, []byte("\n\n"))
		p.fleet.wrote(p, append(bytes.Clone(note), answer...))
	}
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	w.Write(answer)
}

// wrote takes down what a witness has signed. For one size it signs one root hash, for ever.
func (f *fleet) wrote(p *post, note []byte) {
	c, err := p.policy.Open(note)
	if err != nil {
		f.fault("witness %d answers with what is no cosignature: %v", p.number+1, err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if root, ok := p.roots[c.Size]; ok && root != c.Root {
		f.fork("witness %d signed two roots of size %d", p.number+1, c.Size)
	}
	p.roots[c.Size], p.largest = c.Root, max(p.largest, c.Size)
	f.count++
	f.signed = append(f.signed, cosigned{p, c.Checkpoint})
}

// take returns what was signed since it was asked last.
func (f *fleet) take() []cosigned {
	f.mu.Lock()
	defer f.mu.Unlock()
	signed := f.signed
	f.signed = nil
	return signed
}

// set changes the mood of all ways to witnesses.
func (f *fleet) set(m mood) {
	for _, p := range f.posts {
		p.proxy.set(m)
	}
}

// hurt returns how many connections were disturbed.
func (f *fleet) hurt() (n int) {
	for _, p := range f.posts {
		p.proxy.mu.Lock()
		n += p.proxy.hurt
		p.proxy.mu.Unlock()
	}
	return n
}

// close ends all that belongs to the fleet.
func (f *fleet) close() error {
	var err error
	for _, p := range f.posts {
		if p.proxy != nil {
			p.proxy.close()
		}
		err = errors.Join(err, p.recorder.Close(), p.end(false))
		p.client.CloseIdleConnections()
	}
	return err
}

// logLines are the lines of a policy that name the log's keys.
func logLines(policy []byte) []byte {
	var b []byte
	for l := range bytes.Lines(policy) {
		if bytes.HasPrefix(l, []byte("log ")) {
			b = append(b, l...)
		}
	}
	return b
}

// watch gives a ledger that does not run witnesses of its own.
func (r *record) watch(ctx context.Context, n, quorum int) error {
	b, err := os.ReadFile(r.policyFile())
	if err != nil {
		return err
	}
	if r.fleet, err = r.newFleet(ctx, r.dir, logLines(b), n, quorum); err != nil {
		return errors.Join(err, r.fleet.close())
	}
	return r.ask(ctx, r.dir, logLines(b), func(p *post) string { return p.proxy.listener.Addr().String() })
}

// ask makes the policy of a ledger's directory one by which its witnesses are asked at these addresses.
func (r *record) ask(ctx context.Context, dir string, logs []byte, at func(*post) string) error {
	b, err := r.fleet.policyText(ctx, logs, func(p *post) string { return "http://" + at(p) })
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "policy.txt"), b, 0o600); err != nil {
		return err
	}
	r.policy, err = verify.ParsePolicy(b)
	return err
}

// ready waits until a server takes entries.
func (c *child) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		_, err := c.get(ctx, "readyz")
		if err == nil {
			return nil
		}
		var status *statusError
		if !errors.As(err, &status) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
