package server

import (
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

// A boundConn counts until it is closed.
type boundConn struct {
	net.Conn
	leave func()
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
