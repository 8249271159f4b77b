// Package dnssectest is a signed DNS in memory for tests: a root, zones below it, their keys and their denials, all from fixed
// seeds, signed for a window of time that the test chooses. It answers like a resolver, to functions and over loopback.
//
//	d := dnssectest.New(from, until)
//	d.Zone("example", dnssectest.Options{Algorithm: 8})
//	d.Zone("our.example", dnssectest.Options{})
//	d.Publish("our.example", dnssec.Record{Ledger: "ledger.example/tccm", Key: fingerprint})
//	chain, result, err := d.Chain("our.example", at)
//	server, err := d.Serve() // server.Addr is what --resolver takes
//
// It is written apart from package dnssec, and slowly, so that each finds the other's mistakes.
package dnssectest

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
)

// Types of records.
const (
	NS     = 2
	CNAME  = 5
	SOA    = 6
	TXT    = 16
	DNAME  = 39
	DS     = 43
	RRSIG  = 46
	NSEC   = 47
	DNSKEY = 48
	NSEC3  = 50
)

// Response codes.
const (
	NoError  = 0
	ServFail = 2
	NXDomain = 3
)

const ttl = 3600

// A DNS is a tree of zones. Its methods may be called by many goroutines.
type DNS struct {
	mu          sync.Mutex
	from, until time.Time
	zones       map[string]*Zone
	signed      map[string][]byte // signatures, so that none is made twice
}

// Options say how a zone is signed. The zero value is ECDSA P-256 with NSEC.
type Options struct {
	Algorithm  uint8  // 8, 10, 13, 14 or 15; 0: 13
	Digest     uint8  // of DS records, 1, 2 or 4; 0: 2
	NSEC3      bool   // deny by hashes
	OptOut     bool   // with NSEC3: leave delegations without keys out
	Iterations uint16 // of NSEC3
	Salt       string // of NSEC3
	Unsigned   bool   // no keys at all
	Island     bool   // signed, but the zone above has no DS
}

// A Zone is a zone.
type Zone struct {
	dns     *DNS
	name    string // in lower case without a final dot; "" is the root
	options Options
	ksks    []*key
	zsks    []*key
	made    int // keys so far
	records map[string]map[uint16][][]byte
}

// New returns a DNS with a root alone, of algorithm 8, whose signatures are valid from one time to another.
func New(from, until time.Time) *DNS {
	d := &DNS{from: from, until: until, zones: map[string]*Zone{}, signed: map[string][]byte{}}
	d.Zone(".", Options{Algorithm: 8})
	return d
}

// Window signs everything anew for another window.
func (d *DNS) Window(from, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.from, d.until = from, until
}

// Zone makes a zone, or makes one anew without records, and has the closest zone above delegate it.
func (d *DNS) Zone(name string, o Options) *Zone {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.Algorithm == 0 {
		o.Algorithm = 13
	}
	if o.Digest == 0 {
		o.Digest = 2
	}
	z := &Zone{dns: d, name: strings.Trim(name, "."), options: o, records: map[string]map[uint16][][]byte{}}
	d.zones[z.name] = z
	z.set(z.name, SOA, slices.Concat(Name("ns."+z.name), Name("admin."+z.name), make([]byte, 20)))
	z.set(z.name, NS, Name("ns."+z.name))
	if !o.Unsigned {
		z.ksks, z.zsks = []*key{z.newKey(true)}, []*key{z.newKey(false)}
	}
	z.delegate()
	return z
}

// Without takes a zone away: its names are those of the zone above from now on.
func (d *DNS) Without(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	above := d.zoneOf(up(name))
	above.set(name, NS)
	above.set(name, DS)
	delete(d.zones, name)
}

// delegate has the zone above delegate to the key signing keys that are not revoked.
func (z *Zone) delegate() {
	if z.name == "" {
		return
	}
	above := z.dns.zoneOf(up(z.name))
	above.set(z.name, NS, Name("ns."+z.name))
	var list [][]byte
	for _, k := range z.ksks {
		if !k.revoked && !z.options.Island {
			list = append(list, k.ds(z.name, z.options.Digest))
		}
	}
	above.set(z.name, DS, list...)
}

// Set sets the records of a type at a name to these, or to none. Names in the data are in wire form (see [Name]).
func (z *Zone) Set(name string, typ uint16, data ...[]byte) {
	z.dns.mu.Lock()
	defer z.dns.mu.Unlock()
	z.set(name, typ, data...)
}

func (z *Zone) set(name string, typ uint16, data ...[]byte) {
	name = strings.ToLower(strings.Trim(name, "."))
	if z.records[name] == nil {
		z.records[name] = map[uint16][][]byte{}
	}
	data = slices.Clone(data)
	slices.SortFunc(data, bytes.Compare)
	if z.records[name][typ] = data; len(data) == 0 {
		delete(z.records[name], typ)
	}
	if len(z.records[name]) == 0 {
		delete(z.records, name)
	}
}

// SetTXT sets the TXT records at a name to these, or to none.
func (z *Zone) SetTXT(name string, texts ...string) {
	var data [][]byte
	for _, t := range texts {
		data = append(data, Text(t))
	}
	z.Set(name, TXT, data...)
}

// Publish sets what a domain publishes, in the zone in which it is, to these records, or to none.
func (d *DNS) Publish(domain string, records ...dnssec.Record) {
	var texts []string
	for _, r := range records {
		texts = append(texts, r.String())
	}
	d.mu.Lock()
	z := d.zoneOf(dnssec.Owner(domain))
	d.mu.Unlock()
	z.SetTXT(dnssec.Owner(domain), texts...)
}

// AddKSK adds a key signing key: all of them sign the zone's keys from now on, and the zone above names all of them.
func (z *Zone) AddKSK() { z.change(func() { z.ksks = append(z.ksks, z.newKey(true)) }) }

// RevokeKSK revokes the oldest key signing key that is not revoked (RFC 5011), which goes on signing the keys.
func (z *Zone) RevokeKSK() {
	z.change(func() {
		for _, k := range z.ksks {
			if !k.revoked {
				k.revoked = true
				return
			}
		}
	})
}

// DropKSK takes the oldest key signing key away.
func (z *Zone) DropKSK() { z.change(func() { z.ksks = z.ksks[1:] }) }

func (z *Zone) change(f func()) {
	z.dns.mu.Lock()
	defer z.dns.mu.Unlock()
	f()
	z.delegate()
}

// Anchors returns the anchors of the root: its key signing keys that are not revoked, from the beginning of 2020 on.
func (d *DNS) Anchors() (list []dnssec.Anchor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.zones[""].ksks {
		if ds := k.ds("", 2); !k.revoked {
			list = append(list, dnssec.Anchor{
				KeyTag: binary.BigEndian.Uint16(ds), Algorithm: ds[2], DigestType: ds[3], Digest: string(ds[4:]),
				From: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
			})
		}
	}
	return list
}

// Keys returns the RDATA of the zone's DNSKEY records, key signing keys first.
func (z *Zone) Keys() (list [][]byte) {
	for _, k := range slices.Concat(z.ksks, z.zsks) {
		list = append(list, k.data())
	}
	return list
}

// Sign returns records of one name and type with a signature by the zone, whether it has the say about them or not.
func (z *Zone) Sign(name string, typ uint16, data ...[]byte) []dnssec.RR {
	z.dns.mu.Lock()
	defer z.dns.mu.Unlock()
	return z.sign(name, name, typ, data)
}

// sign signs the records that are stored at one name, and answers with them at another: a wildcard's.
func (z *Zone) sign(stored, name string, typ uint16, data [][]byte) (out []dnssec.RR) {
	data = slices.Clone(data)
	slices.SortFunc(data, bytes.Compare)
	for _, d := range data {
		out = append(out, dnssec.RR{Name: string(Name(name)), Type: typ, TTL: ttl, Data: d})
	}
	keys := z.zsks
	if typ == DNSKEY {
		keys = z.ksks
	}
	for _, k := range keys {
		count := strings.Count(stored, ".") + 1
		if stored == "" {
			count = 0
		}
		if strings.HasPrefix(stored, "*") {
			count--
		}
		head := binary.BigEndian.AppendUint16(nil, typ)
		head = append(head, k.algorithm, byte(count))
		head = binary.BigEndian.AppendUint32(head, ttl)
		head = binary.BigEndian.AppendUint32(head, uint32(z.dns.until.Unix()))
		head = binary.BigEndian.AppendUint32(head, uint32(z.dns.from.Unix()))
		head = binary.BigEndian.AppendUint16(head, k.tag())
		head = append(head, Name(z.name)...)
		msg := slices.Clone(head)
		for _, d := range data {
			msg = append(msg, Name(stored)...)
			msg = binary.BigEndian.AppendUint16(msg, typ)
			msg = binary.BigEndian.AppendUint16(msg, 1)
			msg = binary.BigEndian.AppendUint32(msg, ttl)
			msg = binary.BigEndian.AppendUint16(msg, uint16(len(d)))
			msg = append(msg, d...)
		}
		id := string(k.data()) + string(msg)
		if z.dns.signed[id] == nil {
			z.dns.signed[id] = k.sign(msg)
		}
		out = append(out, dnssec.RR{Name: string(Name(name)), Type: RRSIG, TTL: ttl, Data: append(head, z.dns.signed[id]...)})
	}
	return out
}

// An Answer is what a resolver answers.
type Answer struct {
	Code              int
	Answer, Authority []dnssec.RR
}

// Query answers a question as a resolver does that has asked the right servers. The name is without a final dot; "" is the root.
func (d *DNS) Query(name string, typ uint16) Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = strings.ToLower(name)
	z := d.zoneOf(name)
	if typ == DS && z.name == name && name != "" {
		z = d.zoneOf(up(name))
	}
	return z.query(name, typ)
}

// QueryIn answers as the zone in which a name is would, if that were another one.
func (d *DNS) QueryIn(zone, name string, typ uint16) Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.zones[zone].query(name, typ)
}

func (z *Zone) query(name string, typ uint16) Answer {
	if typ == DNSKEY && z.name == name && len(z.ksks) > 0 {
		return Answer{Answer: z.sign(name, name, DNSKEY, z.Keys())}
	}
	at, stored := z.records[name], name
	exists := at != nil || slices.ContainsFunc(z.names(), func(n string) bool { return below(n, name) })
	if !exists {
		closest := up(name)
		for closest != z.name && !slices.ContainsFunc(z.names(), func(n string) bool { return n == closest || below(n, closest) }) {
			closest = up(closest)
		}
		if wild := join("*", closest); z.records[wild] != nil {
			at, stored = z.records[wild], wild
		}
	}
	for _, t := range []uint16{typ, CNAME} {
		if at[t] != nil {
			a := Answer{Answer: z.sign(stored, name, t, at[t])}
			if stored != name {
				a.Authority = z.deny(name, false)
			}
			return a
		}
	}
	a := Answer{Authority: z.deny(name, exists)}
	a.Authority = append(a.Authority, z.sign(z.name, z.name, SOA, z.records[z.name][SOA])...)
	if !exists && stored == name {
		a.Code = NXDomain
	}
	return a
}

// Records returns the records that a chain about a domain is made of.
func (d *DNS) Records(domain string) []dnssec.RR {
	d.mu.Lock()
	z := d.zoneOf(dnssec.Owner(domain))
	d.mu.Unlock()
	leaf := d.Query(dnssec.Owner(domain), TXT)
	list := append(leaf.Answer, leaf.Authority...)
	if len(leaf.Answer) > 0 {
		list = leaf.Answer
	}
	for ; ; z = d.above(z) {
		list = append(list, d.Query(z.name, DNSKEY).Answer...)
		if z.name == "" {
			return list
		}
		ds := d.Query(z.name, DS)
		if len(ds.Answer) == 0 {
			list = ds.Authority
		}
		list = append(list, ds.Answer...)
	}
}

func (d *DNS) above(z *Zone) *Zone {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.zoneOf(up(z.name))
}

// Chain returns the chain about a domain, and what it proves at a time.
func (d *DNS) Chain(domain string, at time.Time) ([]byte, *dnssec.Result, error) {
	return dnssec.Build(domain, d.Records(domain), d.Anchors(), at)
}

// zoneOf returns the zone in which a name is.
func (d *DNS) zoneOf(name string) *Zone {
	name = strings.ToLower(strings.Trim(name, "."))
	for d.zones[name] == nil {
		name = up(name)
	}
	return d.zones[name]
}

// names returns the names with records, in canonical order.
func (z *Zone) names() (list []string) {
	for n := range z.records {
		list = append(list, n)
	}
	sort.Slice(list, func(i, j int) bool { return canonical(list[i]) < canonical(list[j]) })
	return list
}

// deny returns the records that deny a name, or of one that exists other types.
func (z *Zone) deny(name string, exists bool) []dnssec.RR {
	if len(z.zsks) == 0 {
		return nil
	}
	closest, next := name, ""
	names := z.names()
	there := func(n string) bool {
		return n == z.name || slices.ContainsFunc(names, func(o string) bool {
			return (o == n || below(o, n)) && !(z.options.OptOut && z.unsigned(o))
		})
	}
	for ; !there(closest); closest = up(closest) {
		next = closest
	}
	if z.options.NSEC3 {
		if next == "" {
			return z.nsec3(name)
		}
		if exists { // by opt-out not shown
			return z.nsec3(closest, next)
		}
		return z.nsec3(closest, next, join("*", closest))
	}
	if exists {
		return z.nsec(name)
	}
	return z.nsec(name, join("*", closest))
}

// unsigned says whether a name is delegated without keys.
func (z *Zone) unsigned(name string) bool {
	return name != z.name && z.records[name][NS] != nil && z.records[name][DS] == nil
}

// nsec returns the NSEC records that match or cover names.
func (z *Zone) nsec(about ...string) (out []dnssec.RR) {
	names := z.names()
	var done []int
	for _, n := range about {
		i := sort.Search(len(names), func(i int) bool { return canonical(names[i]) > canonical(n) }) - 1
		if slices.Contains(done, i) {
			continue
		}
		done = append(done, i)
		types := append(z.types(names[i]), RRSIG, NSEC)
		out = append(out, z.sign(names[i], names[i], NSEC, [][]byte{append(Name(names[(i+1)%len(names)]), Bitmap(types...)...)})...)
	}
	return out
}

// types returns the types at a name.
func (z *Zone) types(name string) (list []uint16) {
	for t := range z.records[name] {
		list = append(list, t)
	}
	if name == z.name {
		list = append(list, DNSKEY)
	}
	return list
}

// nsec3 returns the NSEC3 records that match or cover names.
func (z *Zone) nsec3(about ...string) (out []dnssec.RR) {
	hashes := map[string]string{} // to names
	for _, n := range z.names() {
		if z.options.OptOut && z.unsigned(n) {
			continue
		}
		for ; ; n = up(n) {
			hashes[z.hash(n)] = n
			if n == z.name {
				break
			}
		}
	}
	var all []string
	for h := range hashes {
		all = append(all, h)
	}
	slices.Sort(all)
	var done []int
	for _, n := range about {
		h := z.hash(n)
		i := sort.SearchStrings(all, h)
		if i == len(all) || all[i] != h {
			i = (i + len(all) - 1) % len(all)
		}
		if slices.Contains(done, i) {
			continue
		}
		done = append(done, i)
		flags := byte(0)
		if z.options.OptOut {
			flags = 1
		}
		data := binary.BigEndian.AppendUint16([]byte{1, flags}, z.options.Iterations)
		data = append(append(data, byte(len(z.options.Salt))), z.options.Salt...)
		data = append(append(data, 20), all[(i+1)%len(all)]...)
		if types := z.types(hashes[all[i]]); len(types) > 0 {
			if !(len(types) == 1 && types[0] == NS) {
				types = append(types, RRSIG)
			}
			data = append(data, Bitmap(types...)...)
		}
		owner := join(strings.ToLower(base32.HexEncoding.EncodeToString([]byte(all[i]))), z.name)
		out = append(out, z.sign(owner, owner, NSEC3, [][]byte{data})...)
	}
	return out
}

func (z *Zone) hash(name string) string {
	b := Name(name)
	for i := 0; i <= int(z.options.Iterations); i++ {
		sum := sha1.Sum(append(slices.Clone(b), z.options.Salt...))
		b = sum[:]
	}
	return string(b)
}

// Name returns a name in wire form; "" and "." are the root.
func Name(name string) (b []byte) {
	if name = strings.Trim(name, "."); name != "" {
		for _, label := range strings.Split(name, ".") {
			b = append(append(b, byte(len(label))), label...)
		}
	}
	return append(b, 0)
}

// Text returns the RDATA of a TXT record, in strings of up to 255 bytes.
func Text(text string) (b []byte) {
	for len(text) > 255 {
		b, text = append(append(b, 255), text[:255]...), text[255:]
	}
	return append(append(b, byte(len(text))), text...)
}

// Bitmap returns types, all below 256, as NSEC and NSEC3 records hold them.
func Bitmap(types ...uint16) []byte {
	b := []byte{0, byte(slices.Max(types)/8 + 1)}
	b = append(b, make([]byte, b[1])...)
	for _, t := range types {
		b[2+t/8] |= 0x80 >> (t % 8)
	}
	return b
}

func up(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}

func below(name, top string) bool {
	return name != top && (top == "" || strings.HasSuffix(name, "."+top))
}

func join(label, name string) string { return strings.Trim(label+"."+name, ".") }

// canonical returns a string that sorts as RFC 4034 section 6.1 sorts names.
func canonical(name string) string {
	labels := strings.Split(name, ".")
	slices.Reverse(labels)
	return strings.Join(labels, "\x00")
}
