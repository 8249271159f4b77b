package server

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Bound returns a listener that closes the connections beyond the server's Limits as they come, which leaves
// those that are open as they are. Connections of a proxy count in total alone.
func (s *Server) Bound(l net.Listener) net.Listener {
	return &boundListener{Listener: l, limits: s.clients.Limits, trusts: s.clients.trusts, turnedAway: s.metrics.limit, clients: map[netip.Prefix]int{}}
}

// Bounded is Bound for another handler than a Server.
func Bounded(l net.Listener, limits Limits) net.Listener {
	return &boundListener{Listener: l, limits: limits, trusts: newClients(limits, time.Now).trusts, turnedAway: func(reason) {}, clients: map[netip.Prefix]int{}}
}

type boundListener struct {
	net.Listener
	limits     Limits
	trusts     func(netip.Addr) bool
	turnedAway func(reason)

	mu      sync.Mutex
	open    int
	clients map[netip.Prefix]int // connections of each
}

// Accept returns the next connection that is within the bounds.
func (l *boundListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address := parseAddress(c.RemoteAddr().String())
		id := clientOf(address)
		why := l.enter(id, l.trusts(address))
		if why == "" {
			return &boundConn{Conn: c, leave: sync.OnceFunc(func() { l.leave(id) })}, nil
		}
		l.turnedAway(why)
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0) // nothing of it stays behind in the kernel
		}
		c.Close()
	}
}

func (l *boundListener) enter(id netip.Prefix, proxy bool) reason {
	limits := l.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !proxy && limits.ClientConnections > 0 && l.clients[id] >= limits.ClientConnections:
		return reasonClientConns
	case limits.Connections > 0 && l.open >= limits.Connections:
		return reasonConns
	}
	l.open++
	l.clients[id]++
	return ""
}

func (l *boundListener) leave(id netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.clients[id]--; l.clients[id] == 0 {
		delete(l.clients, id)
	}
}

// A boundConn counts until it is closed. What net/http writes of an answer in two pieces, because its buffer is short, it can send in one: a piece costs
// about what it costs to make an answer, here and where it is read.
type boundConn struct {
	net.Conn
	leave func()

	// Of the goroutine that answers:
	body  int     // bytes of the body of the answer to be sent in one; 0: there is none
	held  *[]byte // what has come of that answer; nil: nothing
	whole int     // its bytes, with its header
}

// connKey is a boundConn's in the context of its requests.
type connKey struct{}

const (
	// maxTogether bounds the body of an answer that is sent in one, in bytes.
	maxTogether = 16 << 10
	// maxHead bounds its header, in bytes: net/http writes no more at a time.
	maxHead = 4 << 10
)

var heldPool = sync.Pool{New: func() any {
	b := make([]byte, 0, maxHead+maxTogether)
	return &b
}}

// together says that the next to be written is an answer of HTTP/1 with so many bytes of body, which all come, or else the connection ends.
func (c *boundConn) together(body int) {
	if body <= maxTogether {
		c.body = body
	}
}

func (c *boundConn) Write(b []byte) (int, error) {
	if c.body > 0 && c.held == nil {
		head := bytes.Index(b, []byte("\r\n\r\n")) + len("\r\n\r\n")
		c.whole, c.body = head+c.body, 0
		if head >= len("\r\n\r\n") && head <= maxHead && len(b) < c.whole {
			c.held = heldPool.Get().(*[]byte)
		}
	}
	if c.held == nil {
		return c.Conn.Write(b)
	}
	*c.held = append(*c.held, b...)
	if len(*c.held) < c.whole {
		return len(b), nil
	}
	_, err := c.Conn.Write(*c.held)
	*c.held = (*c.held)[:0]
	heldPool.Put(c.held)
	c.held = nil
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *boundConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// CloseWrite ends the stream to the client, where that can be done alone.
func (c *boundConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
