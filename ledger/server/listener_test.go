package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// written counts what connections write.
type written struct {
	net.Listener
	pieces atomic.Int32
}

func (l *written) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &writtenConn{c, l}, err
}

type writtenConn struct {
	net.Conn
	of *written
}

func (c *writtenConn) Write(b []byte) (int, error) {
	c.of.pieces.Add(1)
	return c.Conn.Write(b)
}

// TestAnswersInOne sends answers of many lengths over one connection: each comes as it was made, and in one piece if it is not long.
func TestAnswersInOne(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := &written{Listener: l}
	body := make(chan []byte, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { send(w, r, http.StatusOK, typeBytes, <-body) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, w.server.Bound(listener), handler, 0, 0) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	ask := func(method string, want []byte) (pieces int32) {
		t.Helper()
		before := listener.pieces.Load()
		body <- want
		fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: x\r\n\r\n", method)
		got, err := http.ReadResponse(answers, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodHead {
			want = nil
		}
		if b, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(b, want) {
			t.Fatalf("%d bytes came as %d: %v", len(want), len(b), err)
		}
		return listener.pieces.Load() - before
	}
	for n := 3800; n <= 4100; n++ { // with its header about as long as the buffer
		if pieces := ask(http.MethodGet, bytes.Repeat([]byte{'x'}, n)); pieces != 1 {
			t.Fatalf("%d bytes come in %d pieces", n, pieces)
		}
	}
	for _, n := range []int{0, 1, 2047, 2048, 2049, 4096, 7000, 8192, maxTogether - 1, maxTogether} {
		if pieces := ask(http.MethodGet, bytes.Repeat([]byte{'y'}, n)); pieces != 1 {
			t.Errorf("%d bytes come in %d pieces", n, pieces)
		}
		if pieces := ask(http.MethodHead, bytes.Repeat([]byte{'y'}, n)); pieces != 1 {
			t.Errorf("the header of %d bytes comes in %d pieces", n, pieces)
		}
	}
	for _, n := range []int{maxTogether + 1, 100_000} {
		if pieces := ask(http.MethodGet, bytes.Repeat([]byte{'z'}, n)); pieces < 2 {
			t.Errorf("%d bytes are held back", n)
		}
	}
	ask(http.MethodGet, []byte("and short ones again"))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// broken takes nothing.
type broken struct{ net.Conn }

var errBroken = errors.New("on purpose")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

// TestTogether is the same below net/http: where the pieces end, and what becomes of an answer that cannot be sent.
func TestTogether(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	for name, pieces := range map[string][]string{
		"one":                {head + "0123456789"},
		"two":                {head + "0123", "456789"},
		"the header alone":   {head, "0123456789"},
		"byte by byte":       append([]string{head}, strings.Split("0123456789", "")...),
		"half a header":      {head[:20], head[20:] + "0123456789"},
		"an endless header":  {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n0123", "456789"},
		"and another answer": {head + "0123", "456789", head + "0123"},
	} {
		t.Run(name, func(t *testing.T) {
			here, there := net.Pipe()
			defer there.Close()
			got := make(chan []byte)
			go func() {
				b, _ := io.ReadAll(there)
				got <- b
			}()
			c := &boundConn{Conn: here, leave: func() {}}
			c.together(10)
			for _, p := range pieces {
				if n, err := io.WriteString(c, p); n != len(p) || err != nil {
					t.Errorf("%d of %d bytes: %v", n, len(p), err)
				}
			}
			c.Close()
			if want := strings.Join(pieces, ""); string(<-got) != want {
				t.Error("other bytes came")
			}
		})
	}
	c := &boundConn{Conn: broken{}}
	c.together(10)
	if n, err := io.WriteString(c, head+"01"); n != len(head)+2 || err != nil {
		t.Errorf("held: %d, %v", n, err)
	}
	if _, err := io.WriteString(c, "23456789"); !errors.Is(err, errBroken) || c.held != nil {
		t.Errorf("broken: %v", err)
	}
}
