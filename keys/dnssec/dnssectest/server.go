package dnssectest

import (
	"encoding/binary"
	"io"
	"net"
	"sync"

	"github.com/tccm/undersigned/keys/dnssec"
)

// A Server answers over UDP and TCP on loopback.
type Server struct {
	Addr string // host:port

	dns  *DNS
	tcp  net.Listener
	udp  net.PacketConn
	mu   sync.Mutex
	edit func(name string, typ uint16, a *Answer)
	seen []string
}

// Edit has a function change each answer before it is sent, as a broken or hostile resolver would; nil: none. An answer whose code
// becomes negative is not sent.
func (s *Server) Edit(f func(name string, typ uint16, a *Answer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edit = f
}

// Transports returns how the questions so far came: "udp" or "tcp" each.
func (s *Server) Transports() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// Serve answers questions like a resolver does that does not validate, until the server is closed.
func (d *DNS) Serve() (*Server, error) {
	var tcp net.Listener
	var udp net.PacketConn
	for try := 0; ; try++ { // until both are free on one port
		var err error
		if tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			break
		}
		tcp.Close()
		if try == 10 {
			return nil, err
		}
	}
	s := &Server{Addr: tcp.Addr().String(), dns: d, tcp: tcp, udp: udp}
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			if m := s.answer(b[:n], "udp"); m != nil {
				udp.WriteTo(m, from)
			}
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var size [2]byte
				for {
					if _, err := io.ReadFull(c, size[:]); err != nil {
						return
					}
					q := make([]byte, binary.BigEndian.Uint16(size[:]))
					if _, err := io.ReadFull(c, q); err != nil {
						return
					}
					m := s.answer(q, "tcp")
					if m == nil {
						return
					}
					c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
				}
			}()
		}
	}()
	return s, nil
}

// Close ends it.
func (s *Server) Close() {
	s.tcp.Close()
	s.udp.Close()
}

// answer returns the message that answers a question, nil for none. Signatures are there only if the question asks for them (DO).
func (s *Server) answer(q []byte, transport string) []byte {
	if len(q) < 12 || binary.BigEndian.Uint16(q[4:]) != 1 {
		return nil
	}
	name, at := "", 12
	for at < len(q) && q[at] != 0 {
		n := int(q[at])
		if at+1+n >= len(q) {
			return nil
		}
		name = join(name, string(q[at+1:at+1+n]))
		at += 1 + n
	}
	if len(q) < at+5 {
		return nil
	}
	typ := binary.BigEndian.Uint16(q[at+1:])
	question := q[12 : at+5]
	limit, do := 512, false
	if opt := q[at+5:]; len(opt) >= 11 && binary.BigEndian.Uint16(q[10:]) == 1 && binary.BigEndian.Uint16(opt[1:]) == 41 {
		limit, do = int(binary.BigEndian.Uint16(opt[3:])), opt[7]&0x80 != 0
	}
	a := s.dns.Query(name, typ)
	s.mu.Lock()
	s.seen = append(s.seen, transport)
	if s.edit != nil {
		s.edit(name, typ, &a)
	}
	s.mu.Unlock()
	if a.Code < 0 {
		return nil
	}
	message := func(flags uint16, answer, authority []dnssec.RR) []byte {
		m := append([]byte(nil), q[:2]...)
		m = binary.BigEndian.AppendUint16(m, 0x8180|flags|uint16(a.Code))
		for _, n := range []int{1, len(answer), len(authority), 1} {
			m = binary.BigEndian.AppendUint16(m, uint16(n))
		}
		m = append(m, question...)
		for _, r := range append(answer[:len(answer):len(answer)], authority...) {
			m = append(m, r.Name...)
			m = binary.BigEndian.AppendUint16(m, r.Type)
			m = binary.BigEndian.AppendUint16(m, 1)
			m = binary.BigEndian.AppendUint32(m, r.TTL)
			m = binary.BigEndian.AppendUint16(m, uint16(len(r.Data)))
			m = append(m, r.Data...)
		}
		return append(m, 0, 0, 41, 16, 0, 0, 0, 0x80, 0, 0, 0)
	}
	strip := func(list []dnssec.RR) (out []dnssec.RR) {
		for _, r := range list {
			if do || r.Type != RRSIG && r.Type != NSEC && r.Type != NSEC3 {
				out = append(out, r)
			}
		}
		return out
	}
	m := message(0, strip(a.Answer), strip(a.Authority))
	if transport == "udp" && len(m) > limit {
		return message(0x200, nil, nil)
	}
	return m
}
