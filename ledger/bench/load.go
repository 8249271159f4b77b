package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// load is what clients send to a server over connections that were made before, each waiting for its answer.
type load struct {
	URL string `json:"url"` // ends with a slash
	// Path and Type are those of a POST; Bodies says how many bodies each client has, which follow, client by client.
	Path   string `json:"path,omitempty"`
	Type   string `json:"type,omitempty"`
	Bodies []int  `json:"bodies,omitempty"`
	// Get are the paths that clients get instead, in turns, Each so many.
	Get     []string `json:"get,omitempty"`
	Each    int      `json:"each,omitempty"`
	Clients int      `json:"clients,omitempty"`
	// Keep says that the answers' bodies are wanted, client by client.
	Keep bool `json:"keep,omitempty"`
	// Sync is a file of which 4 KiB are written and synced before each request of the one client.
	Sync string `json:"sync,omitempty"`
	// Server and Ours are processes: whose time is told, and whose is not that of others.
	Server int   `json:"server,omitempty"`
	Ours   []int `json:"ours,omitempty"`
}

// loaded is what came of it. The answers that are kept follow, each after its length as uint32.
type loaded struct {
	Count   int       `json:"count"`
	Seconds float64   `json:"seconds"`
	CPU     float64   `json:"cpu"`    // seconds that the server used; 0: the system does not tell
	Others  float64   `json:"others"` // share of the processors that other processes used; negative: the system does not tell
	Waits   []float64 `json:"waits"`  // seconds of each request, ascending
	Syncs   []float64 `json:"syncs,omitempty"`

	answers [][]byte
}

// connection is a client's.
type connection struct {
	net.Conn
	in *bufio.Reader
}

// maxLoadAnswer bounds an answer, in bytes: that to many entries is the longest.
const maxLoadAnswer = 64 << 20

// run sends what it is told.
func (l *load) run(ctx context.Context, in io.Reader, out io.Writer) error {
	address, err := url.Parse(l.URL)
	if err != nil {
		return err
	}
	requests, err := l.requests(address, in)
	if err != nil {
		return err
	}
	conns := make([]*connection, len(requests))
	for i := range conns {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address.Host)
		if err != nil {
			return err
		}
		defer c.Close()
		defer context.AfterFunc(ctx, func() { c.Close() })()
		conns[i] = &connection{c, bufio.NewReaderSize(c, 16<<10)}
	}
	var sync4k func() error
	var syncs []float64
	if l.Sync != "" {
		f, err := os.OpenFile(l.Sync, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		block := make([]byte, 4096)
		if _, err := f.Write(block); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		sync4k = func() error {
			began := time.Now()
			if _, err := f.WriteAt(block, 0); err != nil {
				return err
			}
			err := dataSync(f)
			syncs = append(syncs, time.Since(began).Seconds())
			return err
		}
	}
	waits, answers, errs := make([][]float64, len(conns)), make([][][]byte, len(conns)), make([]error, len(conns))
	var wg sync.WaitGroup
	used := cpuOf(l.Server)
	m := measure(append(l.Ours, os.Getpid())...)
	for i, c := range conns {
		wg.Go(func() {
			for _, request := range requests[i] {
				if sync4k != nil {
					if errs[i] = sync4k(); errs[i] != nil {
						return
					}
				}
				began := time.Now()
				if _, errs[i] = c.Write(request); errs[i] != nil {
					return
				}
				var answer []byte
				if answer, errs[i] = c.read(l.Keep); errs[i] != nil {
					return
				}
				waits[i] = append(waits[i], time.Since(began).Seconds())
				if l.Keep {
					answers[i] = append(answers[i], answer)
				}
			}
		})
	}
	wg.Wait()
	var r loaded
	r.Seconds, r.Others = m.end()
	r.CPU = cpuOf(l.Server) - used
	if err := cmp.Or(ctx.Err(), errors.Join(errs...)); err != nil {
		return err
	}
	for _, w := range waits {
		r.Waits = append(r.Waits, w...)
	}
	r.Count = len(r.Waits)
	slices.Sort(r.Waits)
	slices.Sort(syncs)
	r.Syncs = syncs
	w := bufio.NewWriterSize(out, 1<<20)
	if err := json.NewEncoder(w).Encode(r); err != nil {
		return err
	}
	for _, of := range answers {
		for _, a := range of {
			w.Write(appendBody(nil, a))
		}
	}
	return w.Flush()
}

// requests are the bytes that each client sends.
func (l *load) requests(address *url.URL, in io.Reader) ([][][]byte, error) {
	if len(l.Get) > 0 {
		all := make([][][]byte, l.Clients)
		for i := range all {
			for j := range l.Each {
				all[i] = append(all[i], fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", l.Get[(i+j)%len(l.Get)], address.Host))
			}
		}
		return all, nil
	}
	all := make([][][]byte, len(l.Bodies))
	for i, n := range l.Bodies {
		for range n {
			b, err := readBody(in)
			if err != nil {
				return nil, err
			}
			head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", l.Path, address.Host, l.Type, len(b))
			all[i] = append(all[i], append(head, b...))
		}
	}
	return all, nil
}

// read reads an answer, which must have status 200, and returns its body if it is wanted. It does no more than it must: the
// clients use the same processors as the server.
func (c *connection) read(keep bool) ([]byte, error) {
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	ok := bytes.HasPrefix(status, []byte("HTTP/1.1 200 "))
	what := string(bytes.TrimSpace(status[:min(len(status), 60)]))
	length, chunked := -1, false
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || length > maxLoadAnswer {
				return nil, errors.New("an answer has no length that could be taken")
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	var body []byte
	switch {
	case chunked:
		if body, err = io.ReadAll(io.LimitReader(httputil.NewChunkedReader(c.in), maxLoadAnswer)); err == nil {
			_, err = c.in.ReadSlice('\n') // after the last chunk
		}
	case length < 0:
		err = errors.New("an answer has no length")
	case keep || !ok:
		body = make([]byte, length)
		_, err = io.ReadFull(c.in, body)
	default:
		_, err = c.in.Discard(length)
	}
	if err == nil && !ok {
		err = fmt.Errorf("an answer is %s: %s", what, body[:min(len(body), 300)])
	}
	return body, err
}
