package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
)

const (
	maxAnswer    = 16 << 20 // bytes of an answer that is not a resource of the record
	maxRedirects = 5        // all of them to the same host
	dialTimeout  = 10 * time.Second
	headTimeout  = 20 * time.Second // from the end of a request to the first byte of its answer, beside what it waits
	bodyTimeout  = 2 * time.Minute  // for a whole request
)

// pauses are those between the tries of a read that failed for a reason that may pass.
var pauses = []time.Duration{200 * time.Millisecond, time.Second}

// A client talks to one ledger over HTTP. It may be used by many goroutines.
type client struct {
	base *url.URL // ends with a slash
	http *http.Client
	// after is time.After, but in tests.
	after func(time.Duration) <-chan time.Time
}

// newClient returns a client for the ledger at an address such as "https://ledger.example/".
func newClient(address string) (*client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" ||
		base.User != nil || base.RawQuery != "" || base.ForceQuery || base.Fragment != "" {
		return nil, usagef("%q is not a ledger's address: give one such as https://ledger.example/", address)
	}
	if !strings.HasSuffix(base.Path, "/") {
		base = base.JoinPath("/")
	}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTimeout,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        time.Minute,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &client{base, &http.Client{Transport: transport, CheckRedirect: sameHost}, time.After}, nil
}

// errRedirect is why a redirect was not followed.
var errRedirect = errors.New("it sends the request on to another host, which is not followed; give the address that it should have")

// sameHost lets a redirect pass only within the host that was asked, and never from https to http.
func sameHost(next *http.Request, before []*http.Request) error {
	first := before[0].URL
	if next.URL.Host != first.Host || first.Scheme == "https" && next.URL.Scheme != "https" {
		return errRedirect
	}
	if len(before) > maxRedirects {
		return errors.New("it redirects too often")
	}
	return nil
}

// An offlineError says that a ledger could not be asked. Nothing follows from it about the record.
type offlineError struct {
	host string
	err  error
}

func (e *offlineError) Error() string {
	return fmt.Sprintf("could not reach %s: %v; check the address and the network, then try again", e.host, e.err)
}
func (e *offlineError) Unwrap() error { return e.err }

// A problemError is an answer of a ledger that is not what was asked for (RFC 9457).
type problemError struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Rule   string `json:"rule"`
	After  int    `json:"retry_after"` // seconds; 0: not said
}

func (e *problemError) Error() string {
	said := printable(e.Detail)
	if said == "" {
		said = "It gave no reason."
	}
	if e.Rule != "" {
		return fmt.Sprintf("the ledger refuses this entry (rule %s): %s", printable(e.Rule), said)
	}
	if e.After > 0 {
		said += fmt.Sprintf(" It may do so in %v.", time.Duration(e.After)*time.Second)
	}
	return fmt.Sprintf("the ledger answers %d %s: %s", e.Status, http.StatusText(e.Status), said)
}

// printable makes text of unknown origin safe to print in a line: no control or formatting characters, and not without end.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > 500 {
		s = string(runes[:500]) + "…"
	}
	return strings.TrimSpace(s)
}

// do sends one request and returns the body of its answer, at most limit bytes. What is not status
// 200, 202 or 204 is a *problemError, which is fs.ErrNotExist if it is 404; what did not arrive is an *offlineError.
func (c *client) do(ctx context.Context, method, path string, kind string, body []byte, limit int64, timeout time.Duration) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no whole answer within %v", timeout))
	defer cancel()
	target, err := c.base.Parse(path)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("User-Agent", "undersigned/"+version())
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, c.offline(ctx, err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return 0, nil, c.offline(ctx, err)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		if int64(len(answer)) > limit {
			return 0, nil, fmt.Errorf("%s sends more than the %s that %s can have", c.base.Host, check.Bytes(limit), path)
		}
		return resp.StatusCode, answer, nil
	}
	problem := &problemError{}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media == "application/problem+json" {
		if json.Unmarshal(answer, problem) != nil {
			problem = &problemError{}
		}
	}
	problem.Status = resp.StatusCode
	if n, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
		problem.After = int(n)
	}
	if resp.StatusCode == http.StatusNotFound {
		return resp.StatusCode, nil, fmt.Errorf("%w (%w)", problem, fs.ErrNotExist)
	}
	return resp.StatusCode, nil, problem
}

func (c *client) offline(ctx context.Context, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, errRedirect) {
		return fmt.Errorf("%s was not used: %w", c.base.Host, err)
	}
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) {
			return cause
		}
		err = cause
	}
	return &offlineError{c.base.Host, err}
}

// passing says whether a failed read may succeed when it is tried again.
func passing(err error) bool {
	var problem *problemError
	if errors.As(err, &problem) {
		switch problem.Status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var offline *offlineError
	return errors.As(err, &offline)
}

// fetch returns the bytes at a path below the ledger's address. It is a verify.Fetch.
func (c *client) fetch(ctx context.Context, path string) (data []byte, err error) {
	limit := verify.FetchLimit(path)
	if strings.HasPrefix(path, "api/") {
		limit = maxAnswer
	}
	for try := 0; ; try++ {
		_, data, err = c.do(ctx, http.MethodGet, path, "", nil, limit, bodyTimeout)
		if err == nil || try == len(pauses) || !passing(err) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pauses[try]):
		}
	}
	var problem *problemError
	if errors.As(err, &problem) && problem.Status != http.StatusNotFound {
		err = &offlineError{c.base.Host, err} // it says nothing about the record
	}
	return data, err
}

// checkpoints lists the sizes of all published checkpoints; fs.ErrNotExist is the error of a server that cannot tell.
func (c *client) checkpoints(ctx context.Context) (sizes []uint64, err error) {
	return c.checkpointsFrom(ctx, 0)
}

// checkpointsFrom is checkpoints for those of a size or more.
func (c *client) checkpointsFrom(ctx context.Context, from uint64) (sizes []uint64, err error) {
	for {
		b, err := c.fetch(ctx, "api/v1/checkpoints?limit=1000&from="+strconv.FormatUint(from, 10))
		if err != nil {
			return nil, err
		}
		var page struct {
			Items []uint64 `json:"items"`
			Next  string   `json:"next"`
		}
		if err := json.Unmarshal(b, &page); err != nil {
			return nil, fmt.Errorf("%s answers in a form that this program does not know; is it an Undersigned ledger?", c.base.Host)
		}
		for _, size := range page.Items {
			if size < from || size >= verify.MaxSize {
				return nil, fmt.Errorf("%s lists its checkpoints in no order", c.base.Host)
			}
			sizes = append(sizes, size)
			from = size + 1
		}
		if page.Next == "" {
			return sizes, nil
		}
		if len(page.Items) == 0 {
			return nil, fmt.Errorf("%s lists its checkpoints without end", c.base.Host)
		}
	}
}

// checkpointAfter lists the first published checkpoint of more entries than index, if there is one.
func (c *client) checkpointAfter(ctx context.Context, index uint64) ([]uint64, error) {
	b, err := c.fetch(ctx, "api/v1/checkpoints?limit=1&from="+strconv.FormatUint(index+1, 10))
	if err != nil {
		return nil, err
	}
	var page struct {
		Items []uint64 `json:"items"`
	}
	err = json.Unmarshal(b, &page)
	return page.Items, err
}

// A submission is what a ledger answers to an entry that it stored.
type submission struct {
	Index     uint64     `json:"index"`
	ID        entry.Hash `json:"id"`
	Admitted  string     `json:"admitted"` // by the ledger's clock, as in a leaf
	Stands    bool       `json:"stands"`   // it is the last word on its subject
	Duplicate bool       `json:"duplicate"`
	Published bool       `json:"published"`         // a checkpoint covers it: there is a receipt
	Receipt   string     `json:"receipt,omitempty"` // a c2sp.org/tlog-proof@v1 file, if published

	ChainIndex  *uint64 `json:"chain_index,omitempty"`  // of the entry with the DNSSEC chain that was sent
	ChainDetail string  `json:"chain_detail,omitempty"` // a sentence, if there is none
}

// A ledger that is busy is asked again so many times, if it does not take longer than that in all.
const (
	maxRetries = 4
	maxPause   = time.Minute
)

// pause returns how long to wait before a request is sent again that a ledger did not take, after it has been
// waited for as long as before already; false: there is no use. A ledger without space is asked again if full is set.
func pause(err error, try int, before time.Duration, full bool) (time.Duration, bool) {
	var problem *problemError
	if !errors.As(err, &problem) || problem.After <= 0 || try == maxRetries ||
		problem.Status != http.StatusTooManyRequests && problem.Status != http.StatusServiceUnavailable && !(full && problem.Status == http.StatusInsufficientStorage) {
		return 0, false
	}
	// A ledger that must not sign needs its operator, and more than a minute.
	if problem.Type == "urn:undersigned:problem:not-signing" {
		return 0, false
	}
	wait := time.Duration(problem.After) * time.Second
	return wait, before+wait <= maxPause
}

// patiently sends a request until a ledger takes it that says when to try again, within the bounds of pause. A text (PUT), whose
// entry is in the record already, waits for space as well.
func (c *client) patiently(ctx context.Context, method, path, kind string, body []byte, timeout time.Duration, said func(problem error, pause time.Duration)) ([]byte, error) {
	paused := time.Duration(0)
	for try := 0; ; try++ {
		_, answer, err := c.do(ctx, method, path, kind, body, maxAnswer, timeout)
		later, again := pause(err, try, paused, method == http.MethodPut)
		if !again {
			return answer, err
		}
		if said != nil {
			said(err, later)
		}
		paused += later
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.after(later):
		}
	}
}

// submit sends one signed entry, as entry.Submission prints it, and waits, up to wait (whole seconds, at most 60), until it is published.
// An entry that is refused is a *problemError with the rule that it breaks. A ledger that says when to try again
// is asked again then, a few times; said, if not nil, is told of it before.
func (c *client) submit(ctx context.Context, note []byte, wait time.Duration, said func(problem error, pause time.Duration)) (*submission, error) {
	path := "entries?wait=" + strconv.FormatInt(int64(wait/time.Second), 10) + "s"
	answer, err := c.patiently(ctx, http.MethodPost, path, "text/plain; charset=utf-8", note, wait+headTimeout, said)
	if err != nil {
		return nil, err
	}
	s := new(submission)
	if err := json.Unmarshal(answer, s); err != nil {
		return nil, fmt.Errorf("%s answers in a form that this program does not know; is it an Undersigned ledger?", c.base.Host)
	}
	e, _, _, err := entry.ParseSubmission(note)
	if err == nil && s.ID != e.ID() {
		return nil, failf(verify.CodeContradiction, "%s answers about another entry than the one that was sent", c.base.Host)
	}
	return s, nil
}

// putText sends the text of a published statement, or a rendition of it. A ledger that is busy or full is asked again as submit does.
func (c *client) putText(ctx context.Context, text []byte, said func(problem error, pause time.Duration)) error {
	_, err := c.patiently(ctx, http.MethodPut, verify.BlobPath(entry.Sum(text)), "application/octet-stream", text, bodyTimeout, said)
	return err
}
