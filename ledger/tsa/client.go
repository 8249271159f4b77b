// Package tsa asks time-stamping authorities, over HTTP as RFC 3161, section 3.4, has it, to say that a published checkpoint
// existed. What they answer is checked against what was asked; whose word it is, is for auditors to judge by roots of their own
// (package timestamp).
//
//	POST <url>
//	Content-Type: application/timestamp-query       the hash of the note, a nonce, and that the certificates are wanted
//
//	200, Content-Type: application/timestamp-reply  a token, or a refusal
package tsa

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/timestamp"
)

const (
	timeout  = 30 * time.Second
	maxReply = timestamp.MaxToken + 1<<10 // bytes
	// slack is how far an authority's clock and ours may be apart, as a ledger's and its witnesses'.
	slack = 5 * time.Minute
)

// A Client asks one authority. It may be used by many goroutines.
type Client struct {
	// URL is where the authority is asked.
	URL  string
	now  func() time.Time
	http *http.Client
}

// NewClient returns a client of the authority at an address, http or https. now is the clock, nil: time.Now; transport, if set,
// stands in for the network.
func NewClient(address string, now func() time.Time, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("it is not an address such as https://tsa.example/")
	}
	if now == nil {
		now = time.Now
	}
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		}
	}
	return &Client{URL: address, now: now, http: &http.Client{
		Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Stamp has the authority stamp a note, and returns the token, in DER, and what it says. Errors are sentence parts, and repeat nothing
// of the answer.
func (c *Client) Stamp(ctx context.Context, note []byte) (token []byte, s *verify.TimeStamp, err error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, nil, err
	}
	query, _, err := timestamp.Request(note, nonce)
	if err != nil {
		return nil, nil, err
	}
	asked := c.now()
	reply, err := c.ask(ctx, query)
	if err != nil {
		return nil, nil, err
	}
	if token, s, err = timestamp.CheckReply(reply, note, nonce); err != nil {
		return nil, nil, err
	}
	// A token that is no good to an auditor, who holds its time against the witnesses', is none to keep.
	if answered := c.now(); s.Time.Add(s.Accuracy).Before(asked.Add(-slack)) || s.Time.Add(-s.Accuracy).After(answered.Add(slack)) {
		return nil, nil, fmt.Errorf("its clock and this one are more than %d minutes apart", int(slack.Minutes()))
	}
	return token, s, nil
}

func (c *Client) ask(ctx context.Context, query []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	req.Header.Set("Accept", "application/timestamp-reply")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, errors.New("it cannot be reached, or does not answer in time")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers with status %d", resp.StatusCode)
	}
	if typ, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || typ != "application/timestamp-reply" {
		return nil, errors.New("it does not answer with a reply of RFC 3161")
	}
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, errors.New("its answer is cut off")
	case len(reply) > maxReply:
		return nil, errors.New("its answer is too large")
	}
	return reply, nil
}
