package collector

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

const tries = 3

// ask asks the resolver: over UDP, and over TCP if the answer does not fit. What it returns is the answer "here it is" or
// "there is none".
func (c *Collector) ask(ctx context.Context, name string, typ uint16) (*message, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = 2 * time.Second
	}
	network := "udp"
	var err error
	for range tries {
		var m *message
		m, err = c.exchange(ctx, network, name, typ, timeout)
		if err == nil && m.truncated && network == "udp" {
			network = "tcp"
			m, err = c.exchange(ctx, network, name, typ, timeout)
		}
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
		case m.truncated:
			err = errors.New("the answer is cut short even over TCP")
		case m.code != 0 && m.code != 3: // NXDOMAIN is an answer
			err = fmt.Errorf("it answers with the error code %d", m.code)
		default:
			return m, nil
		}
	}
	return nil, err
}

// exchange sends one question and waits for its answer.
func (c *Collector) exchange(ctx context.Context, network, name string, typ uint16, timeout time.Duration) (*message, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, c.Resolver)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	var id [2]byte
	rand.Read(id[:])
	q := question(binary.BigEndian.Uint16(id[:]), name, typ)
	m, err := talk(conn, network, q)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return m, err
}

func talk(conn net.Conn, network string, q []byte) (*message, error) {
	if network == "tcp" {
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)); err != nil {
			return nil, err
		}
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return nil, err
		}
		b := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, b); err != nil {
			return nil, err
		}
		return parseMessage(b, q)
	}
	if _, err := conn.Write(q); err != nil {
		return nil, err
	}
	b := make([]byte, 1<<16)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return nil, err
		}
		// Anybody can send a datagram: what is not the answer does not end the wait.
		if m, err := parseMessage(b[:n], q); !errors.Is(err, errOther) {
			return m, err
		}
	}
}

// SystemResolver returns the first resolver that a file such as /etc/resolv.conf names, as host:port.
func SystemResolver(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot tell which resolver this machine uses: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "nameserver" {
			if a, err := netip.ParseAddr(f[1]); err == nil {
				return netip.AddrPortFrom(a, 53).String(), nil
			}
		}
	}
	return "", fmt.Errorf("%s names no resolver", path)
}
