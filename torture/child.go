package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tccm/undersigned/verify"
)

// startLimit is how long a server may take until it answers.
const startLimit = 60 * time.Second

// endLimit is how long one that does not answer may take to end by itself.
const endLimit = 5 * time.Second

// A child is a server that was started: undersigned serve, in a process group of its own.
type child struct {
	url    string        // ends with a slash; empty if it ended before it said so
	took   time.Duration // from its start to its first answer
	http   *http.Client  // its connections end with it
	cmd    *exec.Cmd
	stderr tail
	ended  chan struct{}
	err    error // of its end; set before ended is closed
}

// serveArgs are those of the program for a ledger's directory.
func serveArgs(dir string) []string {
	return []string{"serve", "--dir", dir, "--listen", "127.0.0.1:0", "--limit-client", "none", "--limit-member", "none"}
}

// launch starts a command line, which is a server or something around one, and returns at once.
func launch(line ...string) (*child, *bufio.Reader, error) {
	return launchBy((*exec.Cmd).Start, line...)
}

// launchBy is launch by a way to start a command.
func launchBy(begin func(*exec.Cmd) error, line ...string) (*child, *bufio.Reader, error) {
	c := &child{cmd: exec.Command(line[0], line[1:]...), ended: make(chan struct{})}
	c.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 2 * time.Minute}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.Stderr = &c.stderr
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	c.cmd.Stdout = w
	if err := begin(c.cmd); err != nil {
		return nil, nil, errors.Join(err, r.Close(), w.Close())
	}
	w.Close()
	go func() {
		c.err = c.cmd.Wait()
		c.http.CloseIdleConnections()
		close(c.ended)
	}()
	return c, bufio.NewReader(r), nil
}

// start starts a server by a command line and waits until it answers. If it ends before, the error
// is an *endedError.
func start(ctx context.Context, line ...string) (*child, error) {
	return startBy(ctx, (*exec.Cmd).Start, line...)
}

// startBy is start by a way to start a command.
func startBy(ctx context.Context, begin func(*exec.Cmd) error, line ...string) (*child, error) {
	began := time.Now()
	c, out, err := launchBy(begin, line...)
	if err != nil {
		return nil, err
	}
	timer := time.AfterFunc(startLimit, c.kill)
	defer timer.Stop()
	defer context.AfterFunc(ctx, c.kill)()
	first, err := out.ReadString('\n')
	go io.Copy(io.Discard, out) // until it ends
	if _, address, ok := strings.Cut(strings.TrimSpace(first), " at "); err == nil && ok {
		c.url = address
		if _, err = c.get(ctx, "checkpoint"); err == nil {
			c.took = time.Since(began)
			return c, nil
		}
	}
	select {
	case <-c.ended:
	case <-time.After(endLimit): // one that stops says why
		c.kill()
		<-c.ended
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, &endedError{c}
}

// An endedError says that a server ended before it answered.
type endedError struct{ *child }

func (e *endedError) Error() string {
	return fmt.Sprintf("the server did not come up (%v): %s", e.child.err, e.stderr.last())
}

// kill ends it with SIGKILL, and everything that it started.
func (c *child) kill() { syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) }

// interrupt asks it to end in good order.
func (c *child) interrupt() { syscall.Kill(-c.cmd.Process.Pid, syscall.SIGINT) }

// wait returns when it has ended, with how.
func (c *child) wait() error {
	<-c.ended
	return c.err
}

// running reports whether it has not ended yet.
func (c *child) running() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// A statusError is an answer other than 200.
type statusError struct {
	path   string
	status int
	body   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: status %d: %s", e.path, e.status, e.body)
}

// get returns the body of a resource of the record.
func (c *child) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, verify.MaxBundle))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = &statusError{path, resp.StatusCode, string(body[:min(len(body), 300)])}
	}
	return body, err
}

// put puts a resource, and returns the status and what was said.
func (c *child) put(ctx context.Context, path string, b []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.url+path, bytes.NewReader(b))
	if err != nil {
		return 0, nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err = io.ReadAll(io.LimitReader(resp.Body, verify.MaxBundle))
	return resp.StatusCode, b, err
}

// command runs the program to its end and returns its exit code and what it printed.
func command(ctx context.Context, bin string, args ...string) (code int, out string, err error) {
	cmd := exec.CommandContext(ctx, bin, args...)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), string(b), nil
	}
	return 0, string(b), err
}

// tail keeps the last lines that are written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const maxTail = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if len(t.b) > 2*maxTail {
		t.b = bytes.Clone(t.b[len(t.b)-maxTail:])
	}
	return len(b), nil
}

// last returns what was written last.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}

// said returns what the server has written to its standard error, once that holds these words: it comes through a pipe of its
// own, and may be a little later than the address.
func (c *child) said(words ...string) string {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		said := c.stderr.last()
		if time.Now().After(end) || !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(said, w) }) {
			return said
		}
	}
}
