package collector

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
)

const domain = "our.example"

var (
	noon   = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	record = dnssec.Record{Ledger: "ledger.example/tccm", Key: keys.Fingerprint{1}}
)

type options = dnssectest.Options

// world is a root, example. and our.example., which publishes a key.
func world(example, our options) *dnssectest.DNS {
	d := dnssectest.New(noon.Add(-time.Hour), noon.Add(14*24*time.Hour))
	d.Zone("example", example)
	d.Zone(domain, our)
	d.Publish(domain, record)
	return d
}

func serve(t *testing.T, d *dnssectest.DNS) *dnssectest.Server {
	t.Helper()
	s, err := d.Serve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func asking(addr string, d *dnssectest.DNS) *Collector {
	return &Collector{Resolver: addr, Anchors: d.Anchors(), Now: func() time.Time { return noon }, Timeout: 5 * time.Second}
}

// What is collected is the chain that the zones themselves would make.
func TestCollect(t *testing.T) {
	for _, c := range []struct {
		name         string
		example, our options
		edit         func(d *dnssectest.DNS)
		outcome      dnssec.Outcome
		cut          string
	}{
		{"published", options{Algorithm: 8}, options{}, nil, dnssec.Published, ""},
		{"published, NSEC3, other algorithms", options{Algorithm: 14, NSEC3: true, OptOut: true}, options{Algorithm: 15, NSEC3: true}, nil, dnssec.Published, ""},
		{"absent", options{}, options{}, func(d *dnssectest.DNS) { d.Publish(domain) }, dnssec.Absent, ""},
		{"absent, NSEC3", options{}, options{NSEC3: true, Iterations: 5, Salt: "s"}, func(d *dnssectest.DNS) { d.Publish(domain) }, dnssec.Absent, ""},
		{"no zone", options{}, options{Unsigned: true}, nil, dnssec.Insecure, domain},
		{"no zone, opt-out", options{NSEC3: true, OptOut: true}, options{Unsigned: true}, nil, dnssec.Insecure, domain},
		{"no DS", options{}, options{Island: true}, nil, dnssec.Insecure, domain},
		{"no DS, absent", options{}, options{Island: true}, func(d *dnssectest.DNS) { d.Publish(domain) }, dnssec.Insecure, domain},
		{"unsigned, absent", options{}, options{Unsigned: true}, func(d *dnssectest.DNS) { d.Publish(domain) }, dnssec.Insecure, domain},
		{"unsigned from the top", options{Unsigned: true}, options{Unsigned: true}, nil, dnssec.Insecure, "example"},
		{"no DS above", options{Island: true}, options{}, nil, dnssec.Insecure, "example"},
		{"SHA-1 alone", options{}, options{Digest: 1}, nil, dnssec.Insecure, domain},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := world(c.example, c.our)
			if c.edit != nil {
				c.edit(d)
			}
			want, expected, err := d.Chain(domain, noon)
			if err != nil {
				t.Fatal(err)
			}
			got, r, err := asking(serve(t, d).Addr, d).Collect(t.Context(), domain)
			if err != nil || !bytes.Equal(got, want) || !reflect.DeepEqual(r, expected) {
				t.Fatalf("%+v, want %+v: %v", r, expected, err)
			}
			if r.Outcome != c.outcome || r.Cut != c.cut {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Where the records come from a zone to which no signatures lead, what is collected is the proof of that.
func TestHandedAway(t *testing.T) {
	owner := dnssec.Owner(domain)
	for _, c := range []struct {
		name         string
		example, our options
		owner        *options // of a zone of the name's own
		text         bool     // there are TXT records
		outcome      dnssec.Outcome
		zone, cut    string
	}{
		{"a zone without signatures below", options{}, options{}, &options{Unsigned: true}, true, dnssec.Absent, domain, ""},
		{"a zone without signatures below, empty", options{}, options{}, &options{Unsigned: true}, false, dnssec.Absent, domain, ""},
		{"a zone without signatures below, NSEC3", options{}, options{NSEC3: true}, &options{Unsigned: true}, true, dnssec.Absent, domain, ""},
		{"a zone without signatures below, opt-out", options{}, options{NSEC3: true, OptOut: true}, &options{Unsigned: true}, true, dnssec.Absent, domain, ""},
		{"a zone without signatures below an island", options{}, options{Island: true}, &options{Unsigned: true}, true, dnssec.Insecure, "example", domain},
		{"a zone without signatures below one", options{}, options{Unsigned: true}, &options{Unsigned: true}, true, dnssec.Insecure, "example", domain},
		{"a signed zone without a DS below", options{}, options{}, &options{Island: true}, true, dnssec.Absent, domain, ""},
		{"a signed zone without a DS below, opt-out", options{}, options{NSEC3: true, OptOut: true}, &options{Island: true}, true, dnssec.Absent, domain, ""},
		{"a signed zone without a DS below, empty", options{}, options{}, &options{Island: true}, false, dnssec.Absent, domain, ""},
		{"a zone with SHA-1 alone below", options{}, options{}, &options{Digest: 1}, true, dnssec.Absent, domain, ""},
		{"a zone with SHA-1 alone below, empty", options{}, options{}, &options{Digest: 1}, false, dnssec.Absent, domain, ""},
		{"a signed zone below, empty", options{}, options{}, &options{}, false, dnssec.Absent, owner, ""},
		{"no zone of its own in an island", options{Island: true}, options{}, nil, true, dnssec.Insecure, ".", "example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := world(c.example, c.our)
			d.Publish(domain)
			if c.owner != nil {
				d.Zone(owner, *c.owner)
			} else {
				d.Without(domain)
			}
			if c.text {
				d.Publish(domain, record)
			}
			chain, r, err := asking(serve(t, d).Addr, d).Collect(t.Context(), domain)
			if err != nil {
				t.Fatal(err)
			}
			again, err := dnssec.Verify(domain, chain, d.Anchors(), noon)
			if err != nil || !reflect.DeepEqual(r, again) {
				t.Errorf("%+v, but the chain shows %+v: %v", r, again, err)
			}
			if r.Outcome != c.outcome || r.Zone != c.zone || r.Cut != c.cut {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	owner := dnssec.Owner(domain)
	drop := func(types ...uint16) func(string, uint16, *dnssectest.Answer) {
		return func(_ string, _ uint16, a *dnssectest.Answer) {
			gone := func(r dnssec.RR) bool { return slices.Contains(types, r.Type) }
			a.Answer, a.Authority = slices.DeleteFunc(a.Answer, gone), slices.DeleteFunc(a.Authority, gone)
		}
	}
	for _, c := range []struct {
		name string
		kind Kind
		zone string
		dns  func(d *dnssectest.DNS)
		edit func(name string, typ uint16, a *dnssectest.Answer)
	}{
		{"an alias", Alias, "", func(d *dnssectest.DNS) {
			d.Publish(domain)
			d.Zone(domain, options{}).Set(owner, dnssectest.CNAME, dnssectest.Name("a.example"))
		}, nil},
		{"a wildcard", Wildcard, "", func(d *dnssectest.DNS) {
			d.Zone(domain, options{}).SetTXT("*."+domain, record.String())
		}, nil},
		{"a domain that is no zone", OtherZone, "example", func(d *dnssectest.DNS) {
			d.Without(domain)
			d.Publish(domain, record)
		}, nil},
		{"a zone below", OtherZone, "_undersigned." + domain, func(d *dnssectest.DNS) {
			d.Zone(owner, options{})
			d.Publish(domain, record)
		}, nil},
		{"no signatures at all", Stripped, "", nil, drop(dnssectest.RRSIG)},
		{"no signatures and no denials", Stripped, "", nil, drop(dnssectest.RRSIG, dnssectest.NSEC)},
		{"the leaf's signature taken away", Stripped, "", nil, func(_ string, typ uint16, a *dnssectest.Answer) {
			if typ == dnssectest.TXT {
				drop(dnssectest.RRSIG)("", 0, a)
			}
		}},
		{"the leaf's signature taken away, opt-out", Stripped, "", func(d *dnssectest.DNS) {
			d.Zone(domain, options{NSEC3: true, OptOut: true})
			d.Publish(domain, record)
		}, func(_ string, typ uint16, a *dnssectest.Answer) {
			if typ == dnssectest.TXT {
				drop(dnssectest.RRSIG)("", 0, a)
			}
		}},
		{"a zone below, its leaf's signature taken away", Stripped, "", func(d *dnssectest.DNS) {
			d.Zone(owner, options{})
			d.Publish(domain, record)
		}, func(_ string, typ uint16, a *dnssectest.Answer) {
			if typ == dnssectest.TXT {
				drop(dnssectest.RRSIG)("", 0, a)
			}
		}},
		{"a zone without signatures below, and no denial of its DS", Stripped, "", func(d *dnssectest.DNS) {
			d.Zone(owner, options{Unsigned: true})
			d.Publish(domain, record)
		}, func(name string, typ uint16, a *dnssectest.Answer) {
			if name == owner {
				drop(dnssectest.NSEC)("", 0, a)
			}
		}},
		{"no keys", Stripped, "", nil, drop(dnssectest.DNSKEY)},
		{"no DS", Stripped, "", nil, drop(dnssectest.DS)},
		{"the question about the DS is answered by the zone itself", Stripped, "", nil, func(name string, typ uint16, a *dnssectest.Answer) {
			if typ == dnssectest.DS && name == domain {
				*a = world(options{}, options{}).QueryIn(domain, domain, typ)
			}
		}},
		{"the question about the DS is answered by the zone below", Stripped, "", nil, func(name string, typ uint16, a *dnssectest.Answer) {
			if typ == dnssectest.DS && name == "example" {
				*a = world(options{}, options{}).QueryIn(domain, domain, typ)
			}
		}},
		{"a DS signed by the zone below", Stripped, "", nil, func(name string, typ uint16, a *dnssectest.Answer) {
			if typ == dnssectest.DS && name == "example" {
				a.Answer = world(options{}, options{}).Zone(domain, options{}).Sign(name, typ, a.Answer[0].Data)
			}
		}},
		{"another text", Bogus, "", nil, func(_ string, typ uint16, a *dnssectest.Answer) {
			if typ == dnssectest.TXT {
				a.Answer[0].Data = dnssectest.Text(strings.Replace(record.String(), "01", "02", 1))
			}
		}},
		{"a denial where there is something", Bogus, "", nil, func(_ string, typ uint16, a *dnssectest.Answer) {
			if typ == dnssectest.TXT {
				*a = world(options{}, options{}).Query(domain, 99)
			}
		}},
		{"other anchors", Bogus, "", func(d *dnssectest.DNS) { d.Zone(".", options{Algorithm: 15}); d.Zone("example", options{}) }, nil},
		{"failure", Unreachable, "", nil, func(_ string, _ uint16, a *dnssectest.Answer) { a.Code = dnssectest.ServFail }},
		{"expired", NotValid, "", func(d *dnssectest.DNS) { d.Window(noon.Add(-48*time.Hour), noon.Add(-time.Hour)) }, nil},
		{"a signed zone without a DS below, and expired", OtherZone, owner, func(d *dnssectest.DNS) {
			d.Zone(owner, options{Island: true})
			d.Publish(domain, record)
			d.Window(noon.Add(-48*time.Hour), noon.Add(-time.Hour))
		}, nil},
		{"not yet valid", NotValid, "", func(d *dnssectest.DNS) { d.Window(noon.Add(time.Hour), noon.Add(48*time.Hour)) }, nil},
		{"about to expire", Expiring, "", func(d *dnssectest.DNS) { d.Window(noon.Add(-time.Hour), noon.Add(MinValidity-time.Second)) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := world(options{}, options{})
			anchors := d.Anchors()
			if c.dns != nil {
				c.dns(d)
			}
			s := serve(t, d)
			s.Edit(c.edit)
			ask := asking(s.Addr, d)
			ask.Anchors = anchors
			chain, r, err := ask.Collect(t.Context(), domain)
			var e *Error
			if !errors.As(err, &e) || e.Kind != c.kind || e.Zone != c.zone || chain != nil || r != nil || e.Error() == "" {
				t.Fatalf("%+v %v", r, err)
			}
			if (e.Result != nil) != (c.kind == Expiring) {
				t.Errorf("%+v", e.Result)
			}
		})
	}
	// A day is enough.
	d := world(options{}, options{})
	d.Window(noon.Add(-time.Hour), noon.Add(MinValidity))
	if _, _, err := asking(serve(t, d).Addr, d).Collect(t.Context(), domain); err != nil {
		t.Error(err)
	}
}

// A datagram takes 1232 bytes: what does not fit comes over TCP.
func TestTCP(t *testing.T) {
	d := world(options{Algorithm: 8}, options{})
	for range 3 {
		d.Zone(".", options{Algorithm: 8})
	}
	root := d.Zone(".", options{Algorithm: 8})
	d.Zone("example", options{Algorithm: 8})
	root.AddKSK()
	s := serve(t, d)
	if _, _, err := asking(s.Addr, d).Collect(t.Context(), domain); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Transports(), " "); got != "udp udp udp udp udp udp tcp" {
		t.Error(got)
	}
}

// Datagrams that are not the answer are waited out, and questions that get none are asked again.
func TestStrayDatagrams(t *testing.T) {
	d := world(options{}, options{})
	real := serve(t, d)
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close() })
	go func() {
		b := make([]byte, 4096)
		for n := 0; ; n++ {
			size, from, err := front.ReadFrom(b)
			if err != nil {
				return
			}
			if n == 0 { // the first question is lost
				continue
			}
			back, err := net.Dial("udp", real.Addr)
			if err != nil {
				return
			}
			back.Write(b[:size])
			answer := make([]byte, 4096)
			size, _ = back.Read(answer)
			back.Close()
			other := bytes.Clone(answer[:size])
			other[0] ^= 1
			front.WriteTo(other, from)                                                                 // another ID
			front.WriteTo(bytes.Replace(answer[:size], []byte("example"), []byte("elpmaxe"), 1), from) // another name
			front.WriteTo([]byte{1}, from)
			front.WriteTo(answer[:size], from)
		}
	}()
	ask := asking(front.LocalAddr().String(), d)
	ask.Timeout = 500 * time.Millisecond
	if _, r, err := ask.Collect(t.Context(), domain); err != nil || !r.Publishes(record.Ledger, record.Key) {
		t.Errorf("%+v %v", r, err)
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	d := world(options{}, options{})
	var e *Error
	if _, _, err := asking(l.Addr().String(), d).Collect(t.Context(), domain); !errors.As(err, &e) || e.Kind != Unreachable {
		t.Error("a closed port:", err)
	}
	silent := serve(t, d)
	silent.Edit(func(_ string, _ uint16, a *dnssectest.Answer) { a.Code = -1 })
	ask := asking(silent.Addr, d)
	ask.Timeout = time.Millisecond
	if _, _, err := ask.Collect(t.Context(), domain); !errors.As(err, &e) || e.Kind != Unreachable || !strings.Contains(err.Error(), "no answer within") {
		t.Error("silence:", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := ask.Collect(ctx, domain); !errors.Is(err, context.Canceled) {
		t.Error("after an interruption:", err)
	}
	if _, _, err := ask.Collect(t.Context(), "Our.example"); err == nil || errors.As(err, &e) && e.Kind != Unreachable {
		t.Error("no domain:", err)
	}
}

func TestSystemResolver(t *testing.T) {
	for text, want := range map[string]string{
		"nameserver 192.0.2.1\nnameserver 192.0.2.2\n":             "192.0.2.1:53",
		"# nameserver 1\nsearch x\n nameserver\t2001:db8::1 # x\n": "[2001:db8::1]:53",
		"nameserver fe80::1%eth0":                                  "[fe80::1%eth0]:53",
		"search x\n":                                               "",
		"nameserver resolver.example\n":                            "",
	} {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := SystemResolver(path); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", text, got, err)
		}
	}
	if _, err := SystemResolver(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there names a resolver")
	}
}

// Signatures are asked for (DO), and the resolver is to keep its own judgement to itself (CD).
func TestQuestion(t *testing.T) {
	q := question(0x1234, "\x01a\x00", typeTXT)
	want := "\x12\x34" + "\x01\x10" + "\x00\x01\x00\x00\x00\x00\x00\x01" + "\x01a\x00" + "\x00\x10\x00\x01" + "\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"
	if string(q) != want {
		t.Errorf("%x", q)
	}
}

// Names in answers are compressed, and pointers may be made to lead astray.
func TestReadName(t *testing.T) {
	for _, c := range []struct {
		name string
		b    string
		at   int
		want string
		end  int
	}{
		{"plain", "\x01A\x02bC\x00x", 0, "\x01a\x02bc\x00", 6},
		{"a pointer", "\x02bc\x00\x01a\xc0\x00x", 4, "\x01a\x02bc\x00", 8},
		{"a pointer to a pointer", "\x01c\x00\x01b\xc0\x00\x01a\xc0\x03", 7, "\x01a\x01b\x01c\x00", 11},
		{"letters of other alphabets, which the DNS leaves as they are", "\x02\xc3\x9c\x02\xffA\x00", 0, "\x02\xc3\x9c\x02\xffa\x00", 7},
		{"to itself", "\xc0\x00", 0, "", 0},
		{"forwards", "\x01a\xc0\x04\x00", 0, "", 0},
		{"round and round", "\x01a\xc0\x00", 0, "", 0},
		{"cut", "\x05a", 0, "", 0},
		{"no end", "\x01a", 0, "", 0},
		{"a reserved length", "\x40a\x00", 0, "", 0},
		{"half a pointer", "\xc0", 0, "", 0},
		{"127 pointers", pointers(127), 2*127 + 1, "\x01a\x00", 2*127 + 3},
		{"128 pointers", pointers(128), 2*128 + 1, "", 0},
		{"too long", strings.Repeat("\x01a", 128) + "\x00", 0, "", 0},
	} {
		if name, end, ok := readName([]byte(c.b), c.at); name != c.want || end != c.end || ok != (c.want != "") {
			t.Errorf("%s: %q %d %v", c.name, name, end, ok)
		}
	}
}

// pointers returns a name with n pointers after it, the first to the name and each other to the one before.
func pointers(n int) string {
	b := []byte("\x01a\x00\xc0\x00")
	for i := 1; i < n; i++ {
		b = binary.BigEndian.AppendUint16(b, uint16(0xc000+len(b)-2))
	}
	return string(b)
}

func TestParseMessage(t *testing.T) {
	q := question(7, wireName("a.example"), typeTXT)
	asked := string(q[12 : len(q)-11])
	head := "\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
	rr := "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x05\x00\x02\x01a"
	for _, c := range []struct {
		name, b string
		err     error
		records int
	}{
		{"an answer", head + asked + rr, nil, 1},
		{"of another class", head + asked + strings.Replace(rr, "\x10\x00\x01", "\x10\x00\x03", 1), nil, 0},
		{"an error without the question", "\x00\x07\x81\x82" + strings.Repeat("\x00", 8), nil, 0},
		{"cut short, and said so", "\x00\x07\x83\x80" + head[4:] + asked, nil, 0},
		{"another ID", "\x00\x08" + head[2:] + asked + rr, errOther, 0},
		{"a question", "\x00\x07\x01\x80" + head[4:] + asked + rr, errOther, 0},
		{"another name", head + strings.Replace(asked, "example", "elpmaxe", 1) + rr, errOther, 0},
		{"another type", head + strings.Replace(asked, "\x00\x10", "\x00\x11", 1) + rr, errOther, 0},
		{"two questions", strings.Replace(head, "\x80\x00\x01", "\x80\x00\x02", 1) + asked + asked + rr, errOther, 0},
		{"no question", strings.Replace(head, "\x80\x00\x01", "\x80\x00\x00", 1) + rr, errOther, 0},
		{"short", head[:11], errOther, 0},
		{"a record cut short", head + asked + rr[:len(rr)-1], errMessage, 0},
		{"a record too few", head + asked, errMessage, 0},
		{"a name that leads nowhere", head + asked + "\xc0\xff" + rr[2:], errMessage, 0},
	} {
		m, err := parseMessage([]byte(c.b), q)
		if err != c.err || err == nil && len(m.answer) != c.records {
			t.Errorf("%s: %+v %v", c.name, m, err)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	q := question(7, wireName(dnssec.Owner(domain)), typeTXT)
	answer := append([]byte{0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}, q[12:len(q)-11]...)
	f.Add(append(answer, "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x01\x00\x02\x01a"...))
	f.Add([]byte{0, 7, 0x81, 0x82, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b, q)
		if err != nil {
			return
		}
		if binary.BigEndian.Uint16(b) != 7 || len(m.answer)+len(m.authority) > len(b)/11 {
			t.Errorf("%+v", m)
		}
		for _, typ := range []uint16{typeTXT, typeNSEC} {
			for _, sig := range pick(append(m.answer, m.authority...), typ, func(string) bool { return true }).signatures {
				if labels(sig.signer) > 127 {
					t.Error("a name without end")
				}
			}
		}
	})
}

func TestSigned(t *testing.T) {
	for _, c := range []struct {
		our  options
		want bool
	}{{options{}, true}, {options{Island: true}, true}, {options{Unsigned: true}, false}} {
		d := world(options{}, c.our)
		if got, err := asking(serve(t, d).Addr, d).Signed(t.Context(), domain); err != nil || got != c.want {
			t.Errorf("%+v: %v %v", c.our, got, err)
		}
	}
}
