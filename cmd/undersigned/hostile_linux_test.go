package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

var long = flag.Bool("long", false, "attack servers for longer")

// maxResident is what a server under attack may use of memory at most, in bytes.
const maxResident = 256 << 20

// A target is a server in a process of its own, and a well-behaved client of it that comes from another address.
type target struct {
	testing.TB
	address string // host and port
	tls     bool
	cmd     *exec.Cmd
	charter []byte // entry 0, as it was submitted

	mu      sync.Mutex
	answers int
	slowest time.Duration
	failed  error
}

// startTarget makes a ledger and serves it.
func startTarget(t *testing.T, args ...string) *target {
	t.Helper()
	dir := t.TempDir()
	key, house := filepath.Join(dir, "operator.pem"), filepath.Join(dir, "ledger")
	for _, line := range [][]string{
		{"key", "new", "--no-password", "-o", key},
		{"init", "--dir", house, "--origin", "ledger.example", "--title", "Test", "--operator", "ledger.example", "--operator-key", key},
	} {
		if code, _, stderr := runWith(t.Context(), line...); code != codeOK {
			t.Fatal(stderr)
		}
	}
	s := &target{TB: t, tls: len(args) > 0}
	s.cmd = exec.Command(buildProgram(t), append([]string{"serve", "--dir", house, "--listen", "127.0.0.1:0"}, args...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Signal(os.Interrupt)
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, url, _ := strings.Cut(strings.TrimSpace(line), "://")
	s.address = strings.TrimSuffix(url, "/")
	bundle, err := s.ask("GET", "/tile/entries/000.p/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := entry.ParseLeaf(bundle[2:])
	if err != nil {
		t.Fatal(err)
	}
	s.charter = leaf.Entry.Bytes()
	return s
}

// dial connects as an attacker does, from 127.0.0.1.
func (s *target) dial() (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", s.address, 5*time.Second)
	if err == nil && s.tls {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	return conn, err
}

// ask is one request of the well-behaved client, on a connection of its own from 127.0.0.2.
func (s *target) ask(method, path string, body []byte) ([]byte, error) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	scheme := map[bool]string{false: "http://", true: "https://"}[s.tls]
	req, err := http.NewRequest(method, scheme+s.address+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "text/plain")
	begin := time.Now()
	resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if s.tls != (resp.ProtoMajor == 2) { // without TLS there is no HTTP/2
		err = errors.Join(err, errors.New(resp.Proto))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers++
	s.slowest = max(s.slowest, time.Since(begin))
	return answer, err
}

// during attacks while the well-behaved client goes on asking, and judges how it was served and what that took.
func (s *target) during(name string, attack func(ctx context.Context) error) {
	s.Helper()
	s.mu.Lock()
	s.answers, s.slowest, s.failed = 0, 0, nil
	s.mu.Unlock()
	ctx, stop := context.WithCancel(context.Background())
	var client sync.WaitGroup
	client.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			var err error
			switch i % 3 {
			case 0:
				_, err = s.ask("GET", "/checkpoint", nil)
			case 1:
				_, err = s.ask("GET", "/tile/entries/000.p/1", nil)
			case 2:
				_, err = s.ask("POST", "/entries", s.charter) // it is there already: the same answer again
			}
			if err != nil {
				s.mu.Lock()
				s.failed = errors.Join(s.failed, err)
				s.mu.Unlock()
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	err := attack(ctx)
	if _, last := s.ask("GET", "/checkpoint", nil); last != nil {
		err = errors.Join(err, fmt.Errorf("afterwards: %w", last))
	}
	stop()
	client.Wait()
	resident := s.resident()
	s.Logf("%-24s the well-behaved client: %d answers, the slowest in %v; the server: at most %d MiB", name, s.answers, s.slowest.Round(time.Millisecond), resident>>20)
	if err != nil {
		s.Errorf("%s: %v", name, err)
	}
	if s.failed != nil || s.slowest > 5*time.Second {
		s.Errorf("%s: the well-behaved client was not served (slowest answer %v): %v", name, s.slowest, s.failed)
	}
	if resident >= maxResident {
		s.Errorf("%s: the server has used %d bytes", name, resident)
	}
}

// resident returns the most memory that the server has had so far, in bytes.
func (s *target) resident() int {
	s.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		s.Fatal(err)
	}
	return n << 10
}

// times is how often to do something that the long mode does more often.
func times(short, much int) int {
	if *long {
		return much
	}
	return short
}

// TestSlowClients attacks a server with slowhttptest, a thousand connections at a time.
func TestSlowClients(t *testing.T) {
	if _, err := exec.LookPath("slowhttptest"); err != nil {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("slowhttptest is missing: install the package slowhttptest")
		}
		t.Skip("slowhttptest is missing: install the package slowhttptest")
	}
	s := startTarget(t)
	for _, c := range []struct{ name, path, args string }{
		{"slow headers (-H)", "checkpoint", "-H -i 1"},
		{"slow bodies (-B)", "entries", "-B -i 1 -s 65000 -f text/plain"},
		{"ranges (-R)", "tile/entries/000.p/1", "-R -a 1 -b 3000"},
		{"slow reading (-X)", "tile/entries/000.p/1", "-X -w 1 -y 2 -z 1 -n 1 -k 10"},
	} {
		args := append(strings.Fields(c.args), "-c", "1000", "-r", "1000", "-l", strconv.Itoa(times(4, 60)), "-p", "3", "-v", "0", "-u", "http://"+s.address+"/"+c.path)
		s.during(c.name, func(ctx context.Context) error {
			out, _ := exec.CommandContext(ctx, "slowhttptest", args...).CombinedOutput() // its exit code says what it thinks of the server
			if bytes.Contains(out, []byte("Try 'slowhttptest -h'")) {
				return fmt.Errorf("slowhttptest: %s", out)
			}
			return nil
		})
	}
}

// TestHostileBodies sends what is too large, without end, or packed.
func TestHostileBodies(t *testing.T) {
	s := startTarget(t)
	// stream sends a request's head, then parts until the server has had enough, and returns how much it took.
	stream := func(head string, part []byte, limit int64) (sent int64, err error) {
		conn, err := s.dial()
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(conn, head); err != nil {
			return 0, err
		}
		for sent < limit {
			n, err := conn.Write(part)
			if sent += int64(n); err != nil {
				return sent, nil // it has been cut
			}
		}
		return sent, nil
	}
	atOnce := func(n int, f func() error) error {
		errs := make(chan error)
		for range n {
			go func() { errs <- f() }()
		}
		var all error
		for range n {
			all = errors.Join(all, <-errs)
		}
		return all
	}
	const giga = 1 << 30
	for _, contentType := range []string{"text/plain", "application/octet-stream"} {
		for _, length := range []string{fmt.Sprintf("Content-Length: %d", giga), "Transfer-Encoding: chunked"} {
			part := make([]byte, 1<<16)
			if length[0] == 'T' {
				part = []byte("10000\r\n" + strings.Repeat("x", 1<<16) + "\r\n")
			}
			s.during("1 GiB, "+length[:8]+contentType[:4], func(context.Context) error {
				return atOnce(8, func() error {
					sent, err := stream("POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: "+contentType+"\r\n"+length+"\r\n\r\n", part, giga)
					if err == nil && sent > 64<<20 {
						err = fmt.Errorf("it has taken %d bytes", sent)
					}
					return err
				})
			})
		}
	}
	s.during("headers without end", func(context.Context) error {
		return atOnce(64, func() error {
			sent, err := stream("GET /checkpoint HTTP/1.1\r\nHost: x\r\n", []byte(strings.Repeat("X-Header: and so on\r\n", 1000)), 64<<20)
			if err == nil && sent > 8<<20 {
				err = fmt.Errorf("it has taken %d bytes", sent)
			}
			return err
		})
	})
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	for range 256 {
		w.Write(make([]byte, 1<<20))
	}
	w.Close()
	deep := strings.Repeat("[", 10_000)
	for name, c := range map[string]struct {
		kind, header string
		body         []byte
	}{
		"gzip bomb":             {"text/plain", "Content-Encoding: gzip\r\n", bomb.Bytes()},
		"transfer-encoded bomb": {"text/plain", "Transfer-Encoding: gzip, chunked\r\n", bomb.Bytes()},
		"10,000 deep":           {"text/plain", "", []byte(deep)},
		"10,000 deep JSON":      {"application/json", "", []byte(`{"a":` + deep)},
		"10,000 lines":          {"text/plain", "", []byte(strings.Repeat("\n", 10_000))},
		"empty entries":         {"application/octet-stream", "", make([]byte, 16<<20)},
		"4096 of nonsense":      {"application/octet-stream", "", bytes.Repeat(verify.AppendBundleEntry(nil, []byte(strings.Repeat("— x\n", 500))), 4096)},
	} {
		s.during(name, func(context.Context) error {
			return atOnce(16, func() error {
				conn, err := s.dial()
				if err != nil {
					return err
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				head := fmt.Sprintf("POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n", c.kind, c.header, len(c.body))
				io.WriteString(conn, head)
				conn.Write(c.body)
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					return nil // cut
				}
				if resp.StatusCode == http.StatusOK && c.kind != "application/octet-stream" || resp.StatusCode == http.StatusInternalServerError {
					return errors.New(resp.Status)
				}
				return nil
			})
		})
	}
}

// The frames of HTTP/2 that an attacker needs (RFC 9113), and the header block of GET /checkpoint (RFC 7541).
const (
	frameHeaders      = 1
	frameReset        = 3
	frameSettings     = 4
	framePing         = 6
	frameContinuation = 9

	getCheckpoint = "\x82\x87\x04\x0b/checkpoint\x01\x01x"
)

// frame is one frame of HTTP/2.
func frame(kind, flags byte, stream uint32, payload string) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// TestHostileHTTP2 floods a server with frames that cost their sender nothing.
func TestHostileHTTP2(t *testing.T) {
	certFile, keyFile := writeCertificate(t, t.TempDir(), 1)
	s := startTarget(t, "--tls-cert", certFile, "--tls-key", keyFile)
	// flood sends so many rounds, on new connections where one is cut.
	flood := func(rounds int, round func(stream uint32) []byte) error {
		for done := 0; done < rounds; {
			conn, err := s.dial()
			if err != nil {
				return err
			}
			conn.SetDeadline(time.Now().Add(time.Minute))
			go io.Copy(io.Discard, conn)
			w := bufio.NewWriter(conn)
			w.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
			w.Write(frame(frameSettings, 0, 0, ""))
			for stream := uint32(1); done < rounds && stream < 1<<31-2; stream += 2 {
				done++
				if _, err := w.Write(round(stream)); err != nil {
					break
				}
			}
			w.Flush()
			conn.Close()
		}
		return nil
	}
	for _, c := range []struct {
		name   string
		rounds int
		round  func(stream uint32) []byte
	}{
		{"rapid resets", times(20_000, 100_000), func(stream uint32) []byte {
			return append(frame(frameHeaders, 5, stream, getCheckpoint), frame(frameReset, 0, stream, "\x00\x00\x00\x08")...)
		}},
		{"SETTINGS", times(50_000, 500_000), func(uint32) []byte { return frame(frameSettings, 0, 0, "\x00\x04\x00\x00\xff\xff") }},
		{"PING", times(50_000, 500_000), func(uint32) []byte { return frame(framePing, 0, 0, "12345678") }},
		{"CONTINUATION", times(20_000, 100_000), func(stream uint32) []byte {
			if stream == 1 {
				return frame(frameHeaders, 0, 1, getCheckpoint)
			}
			return frame(frameContinuation, 0, 1, strings.Repeat("\x00\x01x\x01x", 200))
		}},
	} {
		s.during(c.name, func(context.Context) error { return flood(c.rounds, c.round) })
	}
	// An attacker that keeps to the bounds of HTTP/2 still has those of a client.
	s.during("requests without bodies", func(context.Context) error {
		for range 300 {
			conn, err := s.dial()
			if err != nil {
				continue // it was cut before it was made
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			b := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(frameSettings, 0, 0, "")...)
			for stream := range uint32(64) {
				// POST /entries, content-type: text/plain, and the body does not come.
				b = append(b, frame(frameHeaders, 4, 2*stream+1, "\x83\x87\x04\x08/entries\x01\x01x\x0f\x10\x0atext/plain")...)
			}
			conn.Write(b) // beyond the bound of one client it is cut
		}
		time.Sleep(time.Second) // for the well-behaved client
		return nil
	})
}
