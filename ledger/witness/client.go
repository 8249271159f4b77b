package witness

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
)

// A ClientConfig says whom a Client asks.
type ClientConfig struct {
	// Origin is the log's, Logs its own keys: whoever shows another checkpoint signed with one of them shows a fork.
	Origin string
	Logs   []keys.VKey
	// Policy names the witnesses, their keys and submission prefixes, and the quorum. Witnesses without an address are not asked.
	Policy *verify.Policy
	// Mirrors are addresses of mirrors' copies, each ending with the origin's hash. They are asked at the start which checkpoint
	// they hold, and never for a cosignature; nothing depends on their answering.
	Mirrors []string
	// Timeout bounds one request; 0: 5 s. Grace is how long a Client waits for more cosignatures once they are the quorum; 0: 100 ms.
	Timeout, Grace time.Duration
	// Transport carries the requests; nil: one of its own, which keeps connections alive.
	Transport http.RoundTripper
	// Logger is told what witnesses do wrong; nil: nobody is.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// A Client asks witnesses for cosignatures. Its methods fit ledger.Config.
type Client struct {
	ClientConfig
	http      *http.Client
	endpoints []*endpoint
	verifiers note.Verifiers // of Logs
	ctx       context.Context
	cancel    context.CancelFunc
	asking    sync.WaitGroup

	forks chan *ledger.ForkError // the first one

	mu      sync.Mutex
	largest uint64            // tree size that was ever to be cosigned
	fork    *ledger.ForkError // once there was one
}

// endpoint is a witness as it is asked: a submission prefix, and whoever answers there.
type endpoint struct {
	url       string
	witnesses []verify.PolicyWitness
	verifiers []note.Verifier // of witnesses
	turn      chan struct{}   // held while it is being asked

	mu   sync.Mutex
	lag  ledger.Lag
	size uint64 // that it cosigned last, as far as is known
}

const (
	clientTimeout = 5 * time.Second
	clientGrace   = 100 * time.Millisecond
	maxAnswer     = 64 << 10 // bytes of an answer with cosignatures
	maxTries      = 3        // of one checkpoint at one witness: it may be ahead or behind of what is thought
)

// NewClient returns a Client. A key of the log that the policy lists as a witness is refused, as is a policy whose
// witnesses with an address are not the quorum.
func NewClient(cfg ClientConfig) (*Client, error) {
	c := &Client{ClientConfig: cfg, forks: make(chan *ledger.ForkError, 1)}
	if c.Timeout == 0 {
		c.Timeout = clientTimeout
	}
	if c.Grace == 0 {
		c.Grace = clientGrace
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 2, IdleConnTimeout: 10 * time.Minute,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		}
	}
	c.http = &http.Client{
		Transport: c.Transport, Timeout: c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var own []note.Verifier
	for _, v := range cfg.Logs {
		verifier, err := verify.NewVerifier(v)
		if err != nil {
			return nil, err
		}
		own = append(own, verifier)
	}
	c.verifiers = note.VerifierList(own...)
	var asked []string
	for _, w := range cfg.Policy.Witnesses() {
		if slices.ContainsFunc(cfg.Logs, w.VKey.SameKey) {
			return nil, fmt.Errorf("the witness %s has a key of the log itself", w.Name)
		}
		if w.URL == "" {
			continue
		}
		verifier, err := verify.NewVerifier(w.VKey)
		if err != nil {
			return nil, err
		}
		url := strings.TrimRight(w.URL, "/")
		i := slices.IndexFunc(c.endpoints, func(e *endpoint) bool { return e.url == url })
		if i < 0 {
			i = len(c.endpoints)
			c.endpoints = append(c.endpoints, &endpoint{url: url, turn: make(chan struct{}, 1), lag: ledger.Lag{Who: w.Name}})
		}
		e := c.endpoints[i]
		e.witnesses, e.verifiers = append(e.witnesses, w), append(e.verifiers, verifier)
		asked = append(asked, w.Name)
	}
	if !cfg.Policy.Met(asked) {
		return nil, errors.New("the witnesses with an address are not the quorum that the policy asks for: give each witness line the address where checkpoints are submitted")
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Close ends what goes on in the background.
func (c *Client) Close() {
	c.cancel()
	c.asking.Wait()
	c.http.CloseIdleConnections()
}

// Lags returns how far each witness is behind, in the order of the policy.
func (c *Client) Lags() []ledger.Lag {
	lags := make([]ledger.Lag, len(c.endpoints))
	for i, e := range c.endpoints {
		e.mu.Lock()
		lags[i] = e.lag
		e.mu.Unlock()
	}
	return lags
}

// answer is what asking one witness gave.
type answer struct {
	lines []byte // good signature lines
	times []time.Time
	err   error
}

// Forks is where the first fork arrives that a witness shows, however late it answers. It fits ledger.Config.Forks.
func (c *Client) Forks() <-chan *ledger.ForkError { return c.forks }

// forked remembers a fork for good.
func (c *Client) forked(f *ledger.ForkError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fork == nil {
		c.fork = f
		c.forks <- f
	}
}

// Cosign asks all witnesses at once, and returns when those that have cosigned are the quorum and those that are nearly as
// quick have had their chance. The others are waited for in the background, so that they are not left behind. It fits
// ledger.Config.Cosign.
func (c *Client) Cosign(ctx context.Context, p *ledger.Pending) (*ledger.Cosigned, error) {
	c.mu.Lock()
	c.largest = max(c.largest, p.Size)
	fork := c.fork
	c.mu.Unlock()
	if fork != nil {
		return nil, fork
	}
	type numbered struct {
		answer
		i int
	}
	answers := make(chan numbered, len(c.endpoints))
	for i, e := range c.endpoints {
		c.asking.Go(func() { answers <- numbered{c.ask(e, p), i} })
	}
	given := make([]answer, len(c.endpoints))
	// note is what was given so far, in the order of the policy.
	note := func() []byte {
		b := bytes.Clone(p.Note)
		for _, a := range given {
			if len(b)+len(a.lines) <= verify.MaxNote {
				b = append(b, a.lines...)
			}
		}
		return b
	}
	var problems []string
	enough := c.Policy.NoQuorum()
	var grace <-chan time.Time
	for left := len(c.endpoints); left > 0; left-- {
		if enough && grace == nil {
			grace = time.After(c.Grace)
		}
		var a numbered
		select {
		case a = <-answers:
		case <-grace:
			left = 1 // the others had their chance
			continue
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if errors.Is(a.err, ledger.ErrForked) {
			return nil, a.err
		}
		if a.err != nil {
			problems = append(problems, a.err.Error())
			continue
		}
		given[a.i] = a.answer
		if !enough {
			_, err := c.Policy.Open(note())
			enough = err == nil
		}
	}
	if !enough {
		return nil, fmt.Errorf("fewer witnesses than the quorum have cosigned: %s", strings.Join(problems, "; "))
	}
	result := &ledger.Cosigned{Note: note(), Time: c.time(given)}
	return result, nil
}

// time is the time by the witnesses: the clock's, unless those whose times are too far away on one side are so many that without
// them there is no quorum. One that errs, or lies, does not decide what time it is.
func (c *Client) time(given []answer) time.Time {
	now := c.Now()
	for _, side := range []time.Duration{1, -1} {
		var rest []string
		nearest := time.Duration(math.MaxInt64)
		for i, e := range c.endpoints {
			for _, w := range e.witnesses {
				apart := time.Duration(0)
				for _, t := range given[i].times {
					apart = max(apart, side*t.Sub(now))
				}
				if apart <= clockSlack {
					rest = append(rest, w.Name)
				} else {
					nearest = min(nearest, apart)
				}
			}
		}
		if nearest < math.MaxInt64 && !c.Policy.Met(rest) {
			return now.Add(side * nearest)
		}
	}
	return now
}

// ask asks one witness for its cosignatures. One checkpoint at a time is on its way to it.
func (c *Client) ask(e *endpoint, p *ledger.Pending) answer {
	ctx, cancel := context.WithTimeout(c.ctx, 2*c.Timeout)
	defer cancel()
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return e.failed("it still has not answered about an earlier checkpoint", c.Logger)
	}
	for range maxTries {
		e.mu.Lock()
		from := e.size
		e.mu.Unlock()
		if from > p.Size {
			// Another checkpoint, that was signed later, was faster.
			return answer{err: fmt.Errorf("%s has cosigned a newer checkpoint", e.lag.Who)}
		}
		req := &request{old: from, note: p.Note}
		if from > 0 && from < p.Size {
			var err error
			if req.proof, err = p.Prove(ctx, from); err != nil {
				return answer{err: err}
			}
		}
		status, header, body, err := c.do(ctx, http.MethodPost, e.url+"/add-checkpoint", req.bytes())
		if err != nil {
			return e.failed("it cannot be reached, or does not answer in time", c.Logger)
		}
		switch status {
		case http.StatusOK:
			return c.cosigned(e, p, body)
		case http.StatusConflict:
			size, err := strconv.ParseUint(strings.TrimSuffix(string(body), "\n"), 10, 63)
			if header.Get("Content-Type") == "text/x.tlog.size" && err == nil && size <= p.Size && size != from {
				e.mu.Lock()
				e.size = size
				e.mu.Unlock()
				continue
			}
			return c.suspect(ctx, e, p, "it says that it cosigned another size than it can have")
		case http.StatusUnprocessableEntity:
			return c.suspect(ctx, e, p, "it says that the checkpoint does not continue the one that it cosigned last (422)")
		case http.StatusNotFound:
			return e.failed("it does not know this log: its operator must add the log's key (404)", c.Logger)
		case http.StatusForbidden:
			return e.failed("it has another key for this log: its operator must add the right one (403)", c.Logger)
		default:
			return e.failed(fmt.Sprintf("it answers with status %d", status), c.Logger)
		}
	}
	return e.failed("it says another size each time", c.Logger)
}

// failed notes what a witness did wrong.
func (e *endpoint) failed(problem string, log *slog.Logger) answer {
	e.mu.Lock()
	news := e.lag.Err != problem
	e.lag.Err = problem
	e.mu.Unlock()
	if news {
		log.Warn("a witness does not cosign", "witness", e.lag.Who, "url", e.url, "problem", problem)
	}
	return answer{err: fmt.Errorf("%s: %s", e.lag.Who, problem)}
}

// cosigned picks the good lines out of an answer.
func (c *Client) cosigned(e *endpoint, p *ledger.Pending, body []byte) answer {
	var a answer
	text := p.Checkpoint.Text()
	seen := make([]bool, len(e.verifiers))
	for l := range bytes.Lines(body) {
		sig, ok := parseLine(l)
		if !ok {
			continue
		}
		for i, v := range e.verifiers {
			if !seen[i] && v.Name() == sig.name && v.KeyHash() == sig.id && v.Verify(text, sig.sig) {
				at := sig.time()
				if at.IsZero() {
					continue // a witness's time must not be left out
				}
				seen[i] = true
				a.lines = append(a.lines, l...)
				a.times = append(a.times, at)
			}
		}
	}
	if len(a.lines) == 0 {
		return e.failed("it answers without a good cosignature by a key of the policy", c.Logger)
	}
	e.mu.Lock()
	recovered := e.lag.Err != ""
	e.size = max(e.size, p.Size)
	e.lag.Size, e.lag.Time, e.lag.Err = p.Size, slices.MaxFunc(a.times, time.Time.Compare), ""
	e.mu.Unlock()
	if recovered {
		c.Logger.Info("a witness cosigns again", "witness", e.lag.Who, "url", e.url)
	}
	return a
}

// suspect looks at what a witness has cosigned that makes it refuse. Only a checkpoint that the log's own key signed, larger
// than any that was ever to be cosigned here or inconsistent with this one, is a fork; otherwise the witness errs.
func (c *Client) suspect(ctx context.Context, e *endpoint, p *ledger.Pending, problem string) answer {
	seen, err := c.latest(ctx, e)
	if err != nil || seen == nil {
		return e.failed(problem, c.Logger)
	}
	c.mu.Lock()
	largest := c.largest
	c.mu.Unlock()
	forked := seen.Size > largest
	if !forked {
		root, err := p.Root(ctx, seen.Size)
		forked = err == nil && root != seen.Root
	}
	if forked {
		e.failed("it has cosigned another history of this log", c.Logger)
		fork := &ledger.ForkError{Sighting: ledger.Sighting{Who: e.lag.Who, Note: seen.note}}
		c.forked(fork)
		return answer{err: fork}
	}
	e.mu.Lock()
	e.size = seen.Size
	e.mu.Unlock()
	return e.failed(problem, c.Logger)
}

// sighting is a checkpoint that somebody has seen, signed with the log's own key.
type sighting struct {
	verify.Checkpoint
	note []byte
}

// latest reads what a witness has cosigned last; nil: nothing. A note without a good signature of the log's own keys is an error.
func (c *Client) latest(ctx context.Context, e *endpoint) (*sighting, error) {
	return c.show(ctx, e.url+"/"+verify.OriginHash(c.Origin)+"/checkpoint")
}

// show reads a checkpoint of the log's own.
func (c *Client) show(ctx context.Context, url string) (*sighting, error) {
	status, _, body, err := c.do(ctx, http.MethodGet, url, nil)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound:
		return nil, nil
	case status != http.StatusOK:
		return nil, fmt.Errorf("status %d", status)
	}
	n, err := note.Open(body, c.verifiers)
	if err != nil {
		return nil, errors.New("what it shows is not signed with the log's own key")
	}
	seen, err := verify.ParseCheckpoint([]byte(n.Text))
	if err != nil || seen.Origin != c.Origin {
		return nil, errors.New("what it shows is not a checkpoint of this log")
	}
	return &sighting{seen, body}, nil
}

// Witnessed asks every witness for the newest checkpoint of the log that it has cosigned, and every mirror for the one that it
// holds. It returns those that are signed with
// the log's own key, and an error if fewer than the quorum answer. It fits ledger.Config.Witnessed.
func (c *Client) Witnessed(ctx context.Context) ([]ledger.Sighting, error) {
	type heard struct {
		e    *endpoint
		seen *sighting
		err  error
	}
	all := make(chan heard, len(c.endpoints))
	for _, e := range c.endpoints {
		c.asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, c.Timeout)
			defer cancel()
			seen, err := c.latest(ctx, e)
			all <- heard{e, seen, err}
		})
	}
	var sightings []ledger.Sighting
	var shown sync.Mutex
	var mirrors sync.WaitGroup
	for _, url := range c.Mirrors {
		mirrors.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, c.Timeout)
			defer cancel()
			seen, err := c.show(ctx, strings.TrimRight(url, "/")+"/checkpoint")
			switch {
			case err != nil:
				c.Logger.Warn("a mirror does not tell which checkpoint it holds", "url", url)
			case seen != nil:
				shown.Lock()
				defer shown.Unlock()
				sightings = append(sightings, ledger.Sighting{Who: "the mirror at " + url, Note: seen.note})
			}
		})
	}
	mirrors.Wait()
	var answered, silent []string
	for range c.endpoints {
		h := <-all
		if h.err != nil {
			silent = append(silent, h.e.lag.Who)
			h.e.failed("asked what it cosigned last, it does not tell", c.Logger)
			continue
		}
		for _, w := range h.e.witnesses {
			answered = append(answered, w.Name)
		}
		if h.seen != nil {
			h.e.mu.Lock()
			h.e.size = h.seen.Size
			h.e.mu.Unlock()
			sightings = append(sightings, ledger.Sighting{Who: h.e.lag.Who, Note: h.seen.note})
		}
	}
	if !c.Policy.Met(answered) {
		return sightings, fmt.Errorf("fewer witnesses than the quorum answer; silent: %s", strings.Join(silent, ", "))
	}
	return sightings, nil
}

// do makes one request. The answer is bounded.
func (c *Client) do(ctx context.Context, method, url string, body []byte) (status int, header http.Header, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("User-Agent", "undersigned")
	if body != nil {
		req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	limit := int64(maxAnswer)
	if method == http.MethodGet {
		limit = verify.MaxNote
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(answer)) > limit {
		err = errors.New("the answer is too long")
	}
	return resp.StatusCode, resp.Header, answer, err
}
