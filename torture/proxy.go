package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A mood is what a proxy does to the connections that it carries. The zero value carries them as they are.
type mood struct {
	away  bool          // it takes connections and resets them
	delay time.Duration // each piece comes that much later at most
	// So many of a thousand pieces: end the connection by a reset; end it in good order amid the piece; vanish, with all
	// that follows in that direction, while the connection stays.
	reset, truncate, drop int
}

var (
	calm = mood{}
	// disturbed are the moods of networks that work, somehow.
	disturbed = []mood{
		{delay: 200 * time.Millisecond},
		{reset: 200},
		{truncate: 200},
		{drop: 60},
		{delay: 60 * time.Millisecond, reset: 60, truncate: 60, drop: 30},
	}
)

// A proxy carries TCP connections to somewhere.
type proxy struct {
	listener net.Listener
	to       func() string // host and port; "": nobody is there
	carrying sync.WaitGroup

	mu    sync.Mutex
	rng   *rand.Rand
	mood  mood
	conns map[net.Conn]struct{}
	done  bool
	hurt  int // connections that were reset, cut or silenced
}

// newProxy carries what comes in at a listener, which it closes in the end.
func newProxy(l net.Listener, seed uint64, to func() string) *proxy {
	p := &proxy{listener: l, to: to, rng: rand.New(rand.NewPCG(seed, 1)), conns: make(map[net.Conn]struct{})}
	p.carrying.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.carrying.Go(func() { p.carry(c.(*net.TCPConn)) })
		}
	})
	return p
}

// set changes the mood. Connections of before stay, unless it is away now.
func (p *proxy) set(m mood) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mood = m
	if m.away {
		for c := range p.conns {
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.done = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.carrying.Wait()
}

// hold keeps a connection to be closed with the proxy, or closes it at once.
func (p *proxy) hold(c *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || p.mood.away {
		c.SetLinger(0)
		c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *proxy) carry(in *net.TCPConn) {
	if !p.hold(in) {
		return
	}
	end := func(c *net.TCPConn) {
		c.Close()
		p.mu.Lock()
		delete(p.conns, c)
		p.mu.Unlock()
	}
	defer end(in)
	c, err := net.Dial("tcp", p.to())
	if err != nil {
		in.SetLinger(0)
		return
	}
	out := c.(*net.TCPConn)
	if !p.hold(out) {
		return
	}
	defer end(out)
	var both sync.WaitGroup
	both.Go(func() { p.pump(out, in) })
	both.Go(func() { p.pump(in, out) })
	both.Wait()
}

// errCut ends a connection on purpose.
var errCut = errors.New("the connection is cut")

// pump carries one direction, piece by piece.
func (p *proxy) pump(to, from *net.TCPConn) {
	err := p.pieces(to, from)
	if err != nil {
		to.Close()
		from.Close()
		return
	}
	to.CloseWrite()
}

func (p *proxy) pieces(to, from *net.TCPConn) error {
	b := make([]byte, 2<<10)
	silent := false
	for {
		n, err := from.Read(b)
		if errors.Is(err, io.EOF) && n == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		p.mu.Lock()
		m, dice, wait, part := p.mood, p.rng.IntN(1000), time.Duration(0), p.rng.IntN(n)
		if m.delay > 0 {
			wait = time.Duration(p.rng.Int64N(int64(m.delay)))
		}
		if dice < m.reset+m.truncate+m.drop {
			p.hurt++
		}
		p.mu.Unlock()
		if wait > 0 {
			time.Sleep(wait)
		}
		switch {
		case dice < m.reset:
			to.SetLinger(0)
			from.SetLinger(0)
			return errCut
		case dice < m.reset+m.truncate:
			to.Write(b[:part])
			return errCut
		case dice < m.reset+m.truncate+m.drop:
			silent = true
		}
		if silent {
			continue
		}
		if _, err := to.Write(b[:n]); err != nil {
			return err
		}
	}
}
