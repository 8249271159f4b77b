package dnssec_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
)

const (
	domain = "our.example"
	ledger = "ledger.example/tccm"
	day    = 24 * time.Hour
)

// The signatures are valid for two weeks, in the middle of which noon is not.
var (
	noon  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	from  = noon.Add(-time.Hour)
	until = noon.Add(14 * day)
)

func record(n byte) dnssec.Record {
	return dnssec.Record{Ledger: ledger, Key: keys.Fingerprint{n}}
}

// world is a root (8), example. with these options, our.example. with those, and records 1 and 2.
func world(example, our dnssectest.Options) *dnssectest.DNS {
	d := dnssectest.New(from, until)
	d.Zone("example", example)
	d.Zone(domain, our)
	d.Publish(domain, record(1), record(2))
	return d
}

func isBogus(err error) bool {
	var b *dnssec.BogusError
	return errors.As(err, &b)
}

// mustVerify builds a chain and verifies it.
func mustVerify(t *testing.T, d *dnssectest.DNS, domain string) ([]byte, *dnssec.Result) {
	t.Helper()
	chain, built, err := d.Chain(domain, noon)
	if err != nil {
		t.Fatal(err)
	}
	r, err := dnssec.Verify(domain, chain, d.Anchors(), noon)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r, built) {
		t.Errorf("Build says %+v, Verify %+v", built, r)
	}
	return chain, r
}

func TestPublished(t *testing.T) {
	for _, c := range []struct {
		name         string
		example, our dnssectest.Options
		algorithms   []uint8
	}{
		{"RSA/SHA-256", dnssectest.Options{Algorithm: 8}, dnssectest.Options{Algorithm: 8}, []uint8{8}},
		{"RSA/SHA-512", dnssectest.Options{Algorithm: 10}, dnssectest.Options{Algorithm: 10, Digest: 4}, []uint8{8, 10}},
		{"P-256", dnssectest.Options{}, dnssectest.Options{}, []uint8{8, 13}},
		{"P-384", dnssectest.Options{Algorithm: 14, Digest: 4}, dnssectest.Options{Algorithm: 14, Digest: 4}, []uint8{8, 14}},
		{"Ed25519", dnssectest.Options{Algorithm: 15}, dnssectest.Options{Algorithm: 15}, []uint8{8, 15}},
		{"mixed", dnssectest.Options{Algorithm: 13, NSEC3: true, OptOut: true}, dnssectest.Options{Algorithm: 15, NSEC3: true}, []uint8{8, 13, 15}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := world(c.example, c.our)
			chain, r := mustVerify(t, d, domain)
			want := &dnssec.Result{
				Outcome: dnssec.Published, Domain: domain, Zone: domain, Records: []dnssec.Record{record(1), record(2)},
				NotBefore: from, NotAfter: until, Zones: []string{".", "example", domain}, Algorithms: c.algorithms, Anchor: d.Anchors()[0],
				Steps: []dnssec.Step{{".", from, delegation(d, "example")}, {"example", from, delegation(d, domain)}, {Zone: domain, Signed: from}},
			}
			if !reflect.DeepEqual(r, want) {
				t.Errorf("%+v\nwant %+v", r, want)
			}
			if !r.Publishes(ledger, record(1).Key) || r.Publishes(ledger, record(3).Key) || r.Publishes("ledger.example", record(1).Key) {
				t.Error("Publishes errs")
			}
			if len(chain) > 4000 {
				t.Errorf("%d bytes", len(chain))
			}
		})
	}
}

// delegation is the hash of a zone's DS records as a Step has it, taken from what a resolver answers.
func delegation(d *dnssectest.DNS, zone string) [32]byte {
	var list []string
	for _, r := range d.Query(zone, dnssectest.DS).Answer {
		if r.Type == dnssectest.DS {
			list = append(list, fmt.Sprintf("%c%c%s", len(r.Data)>>8, len(r.Data), r.Data))
		}
	}
	slices.Sort(list)
	return sha256.Sum256([]byte(string(dnssectest.Name(zone)) + strings.Join(list, "")))
}

// Every signature must be valid at the time, as far as a chain of two weeks from noon goes.
func TestTime(t *testing.T) {
	d := world(dnssectest.Options{}, dnssectest.Options{})
	chain, _, err := d.Chain(domain, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		days int
		ok   bool
	}{{-2, false}, {0, true}, {5, true}, {13, true}, {15, false}, {400, false}} {
		at := noon.Add(time.Duration(c.days) * day)
		r, err := dnssec.Verify(domain, chain, d.Anchors(), at)
		var early *dnssec.TimeError
		switch {
		case c.ok && (err != nil || !r.Publishes(ledger, record(1).Key)):
			t.Errorf("after %d days: %v", c.days, err)
		case !c.ok && (!errors.As(err, &early) || r != nil || !early.NotBefore.Equal(from) || !early.NotAfter.Equal(until)):
			t.Errorf("after %d days: %v", c.days, err)
		}
	}
	for at, ok := range map[time.Time]bool{
		from: true, from.Add(-1): false, until: true, until.Add(1): false,
	} {
		if _, err := dnssec.Verify(domain, chain, d.Anchors(), at); (err == nil) != ok {
			t.Errorf("at %v: %v", at, err)
		}
	}
}

// One signature of another window narrows the whole.
func TestNarrowestWindow(t *testing.T) {
	d := world(dnssectest.Options{}, dnssectest.Options{})
	records := d.Records(domain)
	d.Window(from.Add(day), until.Add(day))
	later := d.Query(dnssec.Owner(domain), dnssectest.TXT).Answer
	records = slices.DeleteFunc(records, func(r dnssec.RR) bool { return r.Name == string(dnssectest.Name(dnssec.Owner(domain))) })
	chain, r, err := dnssec.Build(domain, append(records, later...), d.Anchors(), noon.Add(2*day))
	if err != nil || !r.NotBefore.Equal(from.Add(day)) || !r.NotAfter.Equal(until) {
		t.Fatalf("%+v %v", r, err)
	}
	var when *dnssec.TimeError
	if _, err := dnssec.Verify(domain, chain, d.Anchors(), noon); !errors.As(err, &when) {
		t.Error("valid before one of its signatures:", err)
	}
}

// Serial numbers wrap around in 2106 (RFC 1982).
func TestSerials(t *testing.T) {
	noon := time.Date(2106, 2, 7, 6, 0, 0, 0, time.UTC) // 28 minutes before 2³² seconds
	d := dnssectest.New(noon.Add(-day), noon.Add(day))
	d.Zone("example", dnssectest.Options{})
	d.Zone(domain, dnssectest.Options{})
	d.Publish(domain, record(1))
	chain, r, err := d.Chain(domain, noon)
	if err != nil || !r.NotAfter.Equal(noon.Add(day)) || !r.NotBefore.Equal(noon.Add(-day)) {
		t.Fatalf("%+v %v", r, err)
	}
	for days, ok := range map[int]bool{-2: false, 2: false, 1: true} {
		if _, err := dnssec.Verify(domain, chain, d.Anchors(), noon.Add(time.Duration(days)*day)); (err == nil) != ok {
			t.Errorf("after %d days: %v", days, err)
		}
	}
}

func TestAnchors(t *testing.T) {
	d := world(dnssectest.Options{}, dnssectest.Options{})
	chain, _, err := d.Chain(domain, noon)
	if err != nil {
		t.Fatal(err)
	}
	anchor := d.Anchors()[0]
	verify := func(edit func(*dnssec.Anchor)) (*dnssec.Result, error) {
		a := anchor
		edit(&a)
		return dnssec.Verify(domain, chain, []dnssec.Anchor{a}, noon)
	}
	for name, edit := range map[string]func(*dnssec.Anchor){
		"not yet":   func(a *dnssec.Anchor) { a.From = noon.Add(1) },
		"no longer": func(a *dnssec.Anchor) { a.Until = noon },
		"digest":    func(a *dnssec.Anchor) { a.Digest = strings.Repeat("x", 32) },
		"tag":       func(a *dnssec.Anchor) { a.KeyTag++ },
		"SHA-1":     func(a *dnssec.Anchor) { a.DigestType = 1 },
		"algorithm": func(a *dnssec.Anchor) { a.Algorithm = 13 },
	} {
		if _, err := verify(edit); !isBogus(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// An anchor's own dates bound the window, too.
	r, err := verify(func(a *dnssec.Anchor) { a.From, a.Until = noon, noon.Add(day) })
	if err != nil || !r.NotBefore.Equal(noon) || !r.NotAfter.Equal(noon.Add(day-time.Second)) {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := dnssec.Verify(domain, chain, dnssec.RootAnchors(), noon); !isBogus(err) {
		t.Error("under the real root:", err)
	}
	if _, err := dnssec.Verify(domain, chain, nil, noon); !isBogus(err) {
		t.Error("without anchors:", err)
	}
}

func TestRollover(t *testing.T) {
	d := world(dnssectest.Options{}, dnssectest.Options{})
	zones := []*dnssectest.Zone{d.Zone(".", dnssectest.Options{Algorithm: 8}), d.Zone("example", dnssectest.Options{}), d.Zone(domain, dnssectest.Options{})}
	d.Publish(domain, record(1))
	old := d.Anchors()
	for _, z := range zones {
		z.AddKSK()
	}
	both, r := mustVerify(t, d, domain)
	if len(d.Anchors()) != 2 {
		t.Fatal(d.Anchors())
	}
	// Whoever knows the old anchor alone, or the new one alone, can make a chain as well.
	for i, anchors := range [][]dnssec.Anchor{d.Anchors()[:1], d.Anchors()[1:]} {
		_, r, err := dnssec.Build(domain, d.Records(domain), anchors, noon)
		if err != nil || r.Anchor != d.Anchors()[i] {
			t.Errorf("anchor %d: %v", i, err)
		}
	}
	if r.Anchor != old[0] && r.Anchor != d.Anchors()[1] {
		t.Error("from neither anchor")
	}
	for _, z := range zones {
		z.RevokeKSK()
	}
	chain, r := mustVerify(t, d, domain)
	if r.Anchor == old[0] || bytes.Equal(chain, both) {
		t.Error("the revoked key still holds the chain")
	}
	// Its DS goes on to match no key, so that nothing hangs from the old anchor.
	if _, _, err := dnssec.Build(domain, d.Records(domain), old, noon); !isBogus(err) {
		t.Error("from the anchor of a revoked key:", err)
	}
	if _, err := dnssec.Verify(domain, chain, old, noon); !isBogus(err) {
		t.Error("from the anchor of a revoked key:", err)
	}
	for _, z := range zones {
		z.DropKSK()
	}
	mustVerify(t, d, domain)
}

// A key that is revoked counts for nothing, though it signs, and though an anchor names it with the flag set.
func TestRevokedAnchor(t *testing.T) {
	d := world(dnssectest.Options{}, dnssectest.Options{})
	root := d.Zone(".", dnssectest.Options{Algorithm: 8})
	d.Zone("example", dnssectest.Options{})
	d.Zone(domain, dnssectest.Options{})
	root.AddKSK()
	root.RevokeKSK()
	revoked := anchorOf(root.Keys()[0])
	if _, _, err := dnssec.Build(domain, d.Records(domain), []dnssec.Anchor{revoked}, noon); !isBogus(err) {
		t.Error(err)
	}
	if _, _, err := dnssec.Build(domain, d.Records(domain), []dnssec.Anchor{anchorOf(root.Keys()[1])}, noon); err != nil {
		t.Error(err)
	}
}

func TestAbsent(t *testing.T) {
	for _, nsec3 := range []bool{false, true} {
		o := dnssectest.Options{NSEC3: nsec3, Salt: "salt", Iterations: 3}
		if !nsec3 {
			o = dnssectest.Options{}
		}
		for _, c := range []struct {
			name string
			zone string // that denies
			edit func(example, our *dnssectest.Zone)
		}{
			{"no such name", domain, func(_, our *dnssectest.Zone) {}},
			{"no such type", domain, func(_, our *dnssectest.Zone) { our.Set("_undersigned."+domain, 28, make([]byte, 16)) }},
			{"something below", domain, func(_, our *dnssectest.Zone) { our.SetTXT("a._undersigned."+domain, "a") }},
			{"other names", domain, func(_, our *dnssectest.Zone) {
				our.SetTXT("_a."+domain, "a")
				our.SetTXT("z."+domain, "z")
			}},
			{"a wildcard of another type", domain, func(_, our *dnssectest.Zone) { our.Set("*."+domain, 28, make([]byte, 16)) }},
			{"no such domain", "example", func(example, _ *dnssectest.Zone) {
				example.Set(domain, dnssectest.NS)
				example.Set(domain, dnssectest.DS)
			}},
			{"a domain that only has names below it", "example", func(example, _ *dnssectest.Zone) {
				example.Set(domain, dnssectest.NS)
				example.Set(domain, dnssectest.DS)
				example.SetTXT("z."+domain, "z")
				example.SetTXT("a.example", "a") // the wildcard of the zone is not in the same gap, and has no part in it
			}},
			{"a domain that is no zone", "example", func(example, _ *dnssectest.Zone) {
				example.Set(domain, dnssectest.NS)
				example.Set(domain, dnssectest.DS)
				example.SetTXT(domain, "hello")
			}},
		} {
			t.Run(map[bool]string{false: "NSEC ", true: "NSEC3 "}[nsec3]+c.name, func(t *testing.T) {
				d := dnssectest.New(from, until)
				c.edit(d.Zone("example", o), d.Zone(domain, o))
				records := d.Records(domain)
				if c.zone != domain { // it is not asked: nobody delegates to it
					records = slices.Concat(d.Records("nowhere.example"), d.QueryIn("example", dnssec.Owner(domain), dnssectest.TXT).Authority)
				}
				chain, r, err := dnssec.Build(domain, records, d.Anchors(), noon)
				if err != nil {
					t.Fatal(err)
				}
				if r.Outcome != dnssec.Absent || r.Zone != c.zone || r.Records != nil || r.Cut != "" {
					t.Errorf("%+v", r)
				}
				again, err := dnssec.Verify(domain, chain, d.Anchors(), noon)
				if err != nil || !reflect.DeepEqual(again, r) {
					t.Errorf("%+v %v", again, err)
				}
			})
		}
	}
}

// What the domain's own zone leaves out, or to another that is not signed, it does not publish: it is signed itself, and says so.
func TestAbsentInOwnZone(t *testing.T) {
	owner := dnssec.Owner(domain)
	for _, c := range []struct {
		name string
		our  dnssectest.Options
		edit func(our *dnssectest.Zone)
	}{
		{"opt-out", dnssectest.Options{NSEC3: true, OptOut: true}, func(*dnssectest.Zone) {}},
		{"opt-out, with other names", dnssectest.Options{NSEC3: true, OptOut: true}, func(our *dnssectest.Zone) {
			for _, name := range []string{"0.", "a.", "k.", "z."} {
				our.SetTXT(name+domain, name)
			}
		}},
		{"delegated without keys", dnssectest.Options{}, func(our *dnssectest.Zone) { our.Set(owner, dnssectest.NS, dnssectest.Name("ns.example")) }},
		{"delegated without keys, NSEC3", dnssectest.Options{NSEC3: true}, func(our *dnssectest.Zone) { our.Set(owner, dnssectest.NS, dnssectest.Name("ns.example")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := dnssectest.New(from, until)
			d.Zone("example", dnssectest.Options{})
			c.edit(d.Zone(domain, c.our))
			_, r := mustVerify(t, d, domain)
			if r.Outcome != dnssec.Absent || r.Cut != "" || r.Zone != domain || r.Records != nil {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestInsecure(t *testing.T) {
	for _, c := range []struct {
		name      string
		example   dnssectest.Options
		our       dnssectest.Options
		cut, zone string
	}{
		{"NSEC", dnssectest.Options{}, dnssectest.Options{Unsigned: true}, domain, "example"},
		{"NSEC3", dnssectest.Options{NSEC3: true}, dnssectest.Options{Unsigned: true}, domain, "example"},
		{"opt-out", dnssectest.Options{NSEC3: true, OptOut: true}, dnssectest.Options{Unsigned: true}, domain, "example"},
		{"signed, but without DS", dnssectest.Options{}, dnssectest.Options{Island: true}, domain, "example"},
		{"signed, but without DS, opt-out", dnssectest.Options{NSEC3: true, OptOut: true}, dnssectest.Options{Island: true}, domain, "example"},
		{"DS of SHA-1 alone", dnssectest.Options{}, dnssectest.Options{Digest: 1}, domain, "example"},
		{"above", dnssectest.Options{Unsigned: true}, dnssectest.Options{Unsigned: true}, "example", "."},
		{"above, signed below", dnssectest.Options{Island: true}, dnssectest.Options{}, "example", "."},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, r := mustVerify(t, world(c.example, c.our), domain)
			if r.Outcome != dnssec.Insecure || r.Cut != c.cut || r.Zone != c.zone || r.Records != nil {
				t.Errorf("%+v", r)
			}
			if r.Publishes(ledger, record(1).Key) {
				t.Error("it publishes a key")
			}
		})
	}
	// Whether there is such a domain, opt-out does not say.
	d := dnssectest.New(from, until)
	d.Zone("example", dnssectest.Options{NSEC3: true, OptOut: true})
	if _, r := mustVerify(t, d, domain); r.Outcome != dnssec.Insecure || r.Cut != domain {
		t.Errorf("%+v", r)
	}
}

// What the DNS may call valid, and what somebody would like to pass for it.
func TestRefused(t *testing.T) {
	owner := dnssec.Owner(domain)
	text := dnssectest.Text(record(1).String())
	name := func(r dnssec.RR, n string) bool { return r.Name == string(dnssectest.Name(n)) }
	without := func(list []dnssec.RR, n string, typ uint16) []dnssec.RR {
		return slices.DeleteFunc(slices.Clone(list), func(r dnssec.RR) bool {
			return name(r, n) && (r.Type == typ || r.Type == dnssectest.RRSIG && r.Data[0] == 0 && uint16(r.Data[1]) == typ)
		})
	}
	for _, c := range []struct {
		name string
		want string // in the error
		make func(d *dnssectest.DNS, example, our *dnssectest.Zone) []dnssec.RR
	}{
		{"a wildcard's answer", "wildcard", func(d *dnssectest.DNS, _, our *dnssectest.Zone) []dnssec.RR {
			our.SetTXT(owner)
			our.SetTXT("*."+domain, record(1).String())
			return d.Records(domain)
		}},
		{"an alias", "ends before it proves", func(d *dnssectest.DNS, _, our *dnssectest.Zone) []dnssec.RR {
			our.SetTXT(owner)
			our.Set(owner, dnssectest.CNAME, dnssectest.Name("other."+domain))
			return d.Records(domain)
		}},
		{"an alias denied", "something else", func(d *dnssectest.DNS, _, our *dnssectest.Zone) []dnssec.RR {
			our.SetTXT(owner)
			our.Set(owner, dnssectest.CNAME, dnssectest.Name("other."+domain))
			return append(without(d.Records(domain), owner, dnssectest.CNAME), our.Sign(owner, dnssectest.NSEC, append(dnssectest.Name(domain), dnssectest.Bitmap(dnssectest.CNAME, dnssectest.NSEC)...))...)
		}},
		{"an alias of the tree, denied below", "something else", func(d *dnssectest.DNS, _, our *dnssectest.Zone) []dnssec.RR {
			our.SetTXT(owner)
			our.Set(domain, dnssectest.DNAME, dnssectest.Name("other.example"))
			return d.Records(domain)
		}},
		{"signed by the zone above", "has the say", func(d *dnssectest.DNS, example, _ *dnssectest.Zone) []dnssec.RR {
			return append(without(d.Records(domain), owner, dnssectest.TXT), example.Sign(owner, dnssectest.TXT, text)...)
		}},
		{"signed by the zone above, whose turn it is", "other than the domain's own", func(d *dnssectest.DNS, example, _ *dnssectest.Zone) []dnssec.RR {
			list := without(d.Records(domain), owner, dnssectest.TXT)
			list = without(without(list, domain, dnssectest.DS), domain, dnssectest.DNSKEY)
			return append(list, example.Sign(owner, dnssectest.TXT, text)...)
		}},
		{"signed by a zone below", "other than the domain's own", func(d *dnssectest.DNS, _, _ *dnssectest.Zone) []dnssec.RR {
			d.Zone(owner, dnssectest.Options{})
			d.Publish(domain, record(1))
			return d.Records(domain)
		}},
		{"signed by a zone that the name's letters end in", "has the say", func(d *dnssectest.DNS, example, _ *dnssectest.Zone) []dnssec.RR {
			d.Zone("r.example", dnssectest.Options{})
			other := d.Zone("ur.example", dnssectest.Options{})
			list := without(d.Records(domain), owner, dnssectest.TXT)
			list = append(list, d.Query("ur.example", dnssectest.DS).Answer...)
			list = append(list, d.Query("ur.example", dnssectest.DNSKEY).Answer...)
			return append(list, other.Sign(owner, dnssectest.TXT, text)...)
		}},
		{"a DS record of another key", "not signed by one that the zone above", func(d *dnssectest.DNS, example, our *dnssectest.Zone) []dnssec.RR {
			ds := d.Query(domain, dnssectest.DS).Answer[0].Data
			ds[len(ds)-1] ^= 1
			example.Set(domain, dnssectest.DS, ds)
			return d.Records(domain)
		}},
		{"a DS record of the zone signing key, which does not sign keys", "not signed by one that the zone above", func(d *dnssectest.DNS, example, our *dnssectest.Zone) []dnssec.RR {
			zsk := our.Keys()[1]
			sum := sha256.Sum256(append(dnssectest.Name(domain), zsk...))
			tag := dnssec.Tag(zsk)
			example.Set(domain, dnssectest.DS, append([]byte{byte(tag >> 8), byte(tag), 13, 2}, sum[:]...))
			return d.Records(domain)
		}},
		{"another domain's keys", "ends before it proves", func(d *dnssectest.DNS, _, _ *dnssectest.Zone) []dnssec.RR {
			d.Zone("their.example", dnssectest.Options{})
			d.Publish("their.example", record(1))
			return d.Records("their.example")
		}},
		{"denied by the zone above, which delegates it with keys", "something else", func(d *dnssectest.DNS, example, _ *dnssectest.Zone) []dnssec.RR {
			list := without(d.Records(domain), owner, dnssectest.TXT)
			list = without(without(list, domain, dnssectest.DS), domain, dnssectest.DNSKEY)
			return append(list, d.QueryIn("example", owner, dnssectest.TXT).Authority...)
		}},
		{"denied by the records of another name", "do not deny", func(d *dnssectest.DNS, _, our *dnssectest.Zone) []dnssec.RR {
			our.SetTXT("z."+domain, "z")
			return append(without(d.Records(domain), owner, dnssectest.TXT), d.Query("y.z."+domain, dnssectest.TXT).Authority...)
		}},
		{"denied without the wildcard's denial", "do not deny", func(d *dnssectest.DNS, _, our *dnssectest.Zone) []dnssec.RR {
			our.SetTXT(owner)
			our.SetTXT("*."+domain, record(1).String())
			our.SetTXT("_a."+domain, "a")
			list := without(d.Records(domain), owner, dnssectest.TXT)
			return append(list, our.Sign("_a."+domain, dnssectest.NSEC, append(dnssectest.Name("z."+domain), dnssectest.Bitmap(dnssectest.TXT)...))...)
		}},
		{"denied at two places at once", "not of the zone whose turn it is", func(d *dnssectest.DNS, _, our *dnssectest.Zone) []dnssec.RR {
			gap := func(next string) []byte { return append(dnssectest.Name(next), dnssectest.Bitmap(dnssectest.TXT)...) }
			return append(without(d.Records(domain), owner, dnssectest.TXT), our.Sign(domain, dnssectest.NSEC, gap("a."+domain), gap("z."+domain))...)
		}},
		{"denied from outside of the zone", "not of the zone whose turn it is", func(d *dnssectest.DNS, _, our *dnssectest.Zone) []dnssec.RR {
			gap := append(dnssectest.Name("z."+domain), dnssectest.Bitmap(dnssectest.TXT)...)
			return append(without(d.Records(domain), owner, dnssectest.TXT), our.Sign("a.example", dnssectest.NSEC, gap)...)
		}},
		{"stripped of a signature", "ends before it proves", func(d *dnssectest.DNS, _, _ *dnssectest.Zone) []dnssec.RR {
			return slices.DeleteFunc(d.Records(domain), func(r dnssec.RR) bool { return name(r, owner) && r.Type == dnssectest.RRSIG })
		}},
		{"stripped of a delegation", "other than the domain's own", func(d *dnssectest.DNS, _, _ *dnssectest.Zone) []dnssec.RR {
			return without(d.Records(domain), domain, dnssectest.DS)
		}},
		{"a record left out of its set", "is not good", func(d *dnssectest.DNS, _, _ *dnssectest.Zone) []dnssec.RR {
			return slices.DeleteFunc(d.Records(domain), func(r dnssec.RR) bool {
				return r.Type == dnssectest.TXT && bytes.Contains(r.Data, []byte("k=sha256:01"))
			})
		}},
		{"a record put into a set", "is not good", func(d *dnssectest.DNS, _, _ *dnssectest.Zone) []dnssec.RR {
			return append(d.Records(domain), dnssec.RR{Name: string(dnssectest.Name(owner)), Type: dnssectest.TXT, Data: dnssectest.Text(record(3).String())})
		}},
		{"NSEC3 of too many iterations", "iterations", func(d *dnssectest.DNS, _, _ *dnssectest.Zone) []dnssec.RR {
			d.Zone(domain, dnssectest.Options{NSEC3: true, Iterations: 101})
			return d.Records(domain)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := dnssectest.New(from, until)
			example, our := d.Zone("example", dnssectest.Options{}), d.Zone(domain, dnssectest.Options{})
			d.Publish(domain, record(1), record(2))
			if _, r, err := dnssec.Build(domain, c.make(d, example, our), d.Anchors(), noon); !isBogus(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v %v", r, err)
			}
		})
	}
}

// Whatever else is at the name: the keys are those of our form, each once.
func TestRecordsAtTheName(t *testing.T) {
	d := world(dnssectest.Options{}, dnssectest.Options{})
	z := d.Zone(domain, dnssectest.Options{})
	z.Set(dnssec.Owner(domain), dnssectest.TXT,
		dnssectest.Text(record(1).String()),
		append(dnssectest.Text(record(1).String()[:9]), dnssectest.Text(record(1).String()[9:])...), // in two strings
		dnssectest.Text(record(2).String()+" "),
		dnssectest.Text("v=undersigned2; whatever"),
	)
	_, r := mustVerify(t, d, domain)
	if !slices.Equal(r.Records, []dnssec.Record{record(1)}) || r.Other != 2 {
		t.Errorf("%+v", r)
	}
}

// Build does not mind the order, the case of names, TTLs that have run down, or what else is there.
func TestBuildIsCanonical(t *testing.T) {
	d := world(dnssectest.Options{Algorithm: 14}, dnssectest.Options{Algorithm: 8})
	want, _ := mustVerify(t, d, domain)
	records := d.Records(domain)
	records = append(records, d.Records("nowhere.example")...)
	records = append(records, records...)
	for i := range records {
		records[i].TTL = uint32(i)
		records[i].Name = strings.ToUpper(records[i].Name)
	}
	slices.Reverse(records)
	got, _, err := dnssec.Build(domain, records, d.Anchors(), noon)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("another chain: %v", err)
	}
	// Of two windows the later one is taken.
	d.Window(from, until.Add(day))
	_, r, err := dnssec.Build(domain, append(records, d.Records(domain)...), d.Anchors(), noon)
	if err != nil || !r.NotAfter.Equal(until.Add(day)) {
		t.Errorf("%+v %v", r, err)
	}
	// But not one that has not begun.
	d.Window(noon.Add(time.Second), until.Add(2*day))
	_, r, err = dnssec.Build(domain, append(records, d.Records(domain)...), d.Anchors(), noon)
	if err != nil || !r.NotAfter.Equal(until) {
		t.Errorf("%+v %v", r, err)
	}
}

func TestRootAnchors(t *testing.T) {
	// Against the DNSKEY records that the root publishes, as Debian's package dns-root-data has them.
	for tag, key := range rootKeys {
		i := slices.IndexFunc(dnssec.RootAnchors(), func(a dnssec.Anchor) bool { return a.KeyTag == tag })
		if got := anchorOf(key); i < 0 || got.Digest != dnssec.RootAnchors()[i].Digest || got.KeyTag != tag || got.Algorithm != 8 {
			t.Errorf("%d: %+v", tag, got)
		}
	}
	for at, want := range map[time.Time][]uint16{
		time.Date(2017, 2, 1, 0, 0, 0, 0, time.UTC):  nil,
		time.Date(2024, 7, 17, 0, 0, 0, 0, time.UTC): {20326},
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC):  {20326, 38696},
	} {
		var got []uint16
		for _, a := range dnssec.RootAnchors() {
			if !at.Before(a.From) && (a.Until.IsZero() || at.Before(a.Until)) {
				got = append(got, a.KeyTag)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("at %v: %v", at, got)
		}
	}
}

func TestRecord(t *testing.T) {
	good := "v=undersigned1; ledger=ledger.example/tccm; k=sha256:" + strings.Repeat("0a", 32)
	r, err := dnssec.ParseRecord(good)
	if err != nil || r.String() != good || r.Ledger != ledger {
		t.Fatalf("%+v %v", r, err)
	}
	for _, s := range []string{
		"", "v=undersigned1", good + ";", good + " ", " " + good, strings.ToUpper(good), good[:len(good)-1], good + "0",
		strings.Replace(good, "0a", "0A", 1), strings.Replace(good, "0a", "0g", 1),
		strings.Replace(good, "undersigned1", "undersigned2", 1), strings.Replace(good, "; k", ";k", 1), strings.Replace(good, "; ledger", ";  ledger", 1),
		strings.Replace(good, "ledger.example/tccm", "", 1), strings.Replace(good, "ledger.example/tccm", "Ledger.example", 1),
		strings.Replace(good, "sha256:", "", 1), strings.Replace(good, "; k=", "; x=1; k=", 1),
	} {
		if r, err := dnssec.ParseRecord(s); err == nil {
			t.Errorf("%q: %+v", s, r)
		}
	}
}

func TestCheckDomain(t *testing.T) {
	long := strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63)
	for s, ok := range map[string]bool{
		domain: true, "example": false, "OUR.example": false, "our.example.": false,
		long + "." + strings.Repeat("d", 48): true, long + "." + strings.Repeat("d", 49): false,
	} {
		if err := dnssec.CheckDomain(s); (err == nil) != ok {
			t.Errorf("%d bytes: %v", len(s), err)
		}
		if _, err := dnssec.Verify(s, nil, dnssec.RootAnchors(), noon); err == nil || isBogus(err) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// A step that leads on tells one set of DS records from another, and not one signature of a set from another; one that ends tells nothing.
func TestStepDelegation(t *testing.T) {
	d := world(dnssectest.Options{}, dnssectest.Options{})
	z := d.Zone(domain, dnssectest.Options{Algorithm: 15})
	d.Publish(domain, record(1))
	said := func() [3][32]byte {
		t.Helper()
		_, r := mustVerify(t, d, domain)
		return [3][32]byte{r.Steps[0].Delegation, r.Steps[1].Delegation, r.Steps[2].Delegation}
	}
	first := said()
	d.Window(from.Add(time.Minute), until.Add(day))
	if again := said(); again != first || first[0] == first[1] || first[2] != [32]byte{} {
		t.Errorf("signed anew: %x, was %x", again, first)
	}
	z.AddKSK()
	both := said()
	z.DropKSK()
	other := said()
	if both[1] == first[1] || other[1] == first[1] || other[1] == both[1] || other[0] != first[0] {
		t.Errorf("%x, %x and %x", first, both, other)
	}
	d.Publish(domain)
	if said() != other {
		t.Error("a denial changes what the zones above say")
	}
	d.Zone(domain, dnssectest.Options{Digest: 1})
	if _, r := mustVerify(t, d, domain); r.Outcome != dnssec.Insecure || r.Steps[1].Delegation != [32]byte{} {
		t.Errorf("%+v", r)
	}
}

// Each zone's step has the time of what it says itself, whatever was signed when above it or beside it.
func TestSteps(t *testing.T) {
	at := noon.Add(2 * day)
	// steps are those of a chain in which the sets of one name and type are signed a day later than the others.
	steps := func(t *testing.T, d *dnssectest.DNS, owner string, typ uint16) []dnssec.Step {
		t.Helper()
		of := func(r dnssec.RR) bool {
			covers := r.Type
			if covers == dnssectest.RRSIG {
				covers = uint16(r.Data[0])<<8 | uint16(r.Data[1])
			}
			return covers == typ && r.Name == string(dnssectest.Name(owner))
		}
		d.Window(from, until)
		records := slices.DeleteFunc(d.Records(domain), of)
		d.Window(from.Add(day), until.Add(day))
		for _, r := range d.Records(domain) {
			if of(r) {
				records = append(records, r)
			}
		}
		_, r, err := dnssec.Build(domain, records, d.Anchors(), at)
		if err != nil {
			t.Fatal(err)
		}
		return r.Steps
	}
	check := func(t *testing.T, got []dnssec.Step, later string) {
		t.Helper()
		var zones []string
		for _, s := range got {
			zones = append(zones, s.Zone)
			want := from
			if s.Zone == later {
				want = from.Add(day)
			}
			if !s.Signed.Equal(want) {
				t.Errorf("%s said it at %v, want %v", s.Zone, s.Signed, want)
			}
		}
		if all := []string{".", "example", domain}; !slices.Equal(zones, all[:len(zones)]) {
			t.Errorf("steps of %q", zones)
		}
	}
	for _, c := range []struct {
		name, owner string
		typ         uint16
		later       string // whose step is
	}{
		{"the records", dnssec.Owner(domain), dnssectest.TXT, domain},
		{"keys", domain, dnssectest.DNSKEY, ""},
		{"the root's keys", "", dnssectest.DNSKEY, ""},
		{"a delegation", domain, dnssectest.DS, "example"},
		{"the first delegation", "example", dnssectest.DS, "."},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, steps(t, world(dnssectest.Options{}, dnssectest.Options{}), c.owner, c.typ), c.later)
		})
	}
	t.Run("a digest that is not known", func(t *testing.T) {
		check(t, steps(t, world(dnssectest.Options{}, dnssectest.Options{Digest: 1}), domain, dnssectest.DS), "example")
	})
	t.Run("a delegation without keys", func(t *testing.T) {
		check(t, steps(t, world(dnssectest.Options{}, dnssectest.Options{Unsigned: true}), domain, dnssectest.NSEC), "example")
	})
	denying := func(o dnssectest.Options) *dnssectest.DNS {
		d := world(dnssectest.Options{}, dnssectest.Options{})
		z := d.Zone(domain, o)
		for _, name := range []string{"0.", "a.", "k.", "z."} {
			z.SetTXT(name+domain, name)
		}
		return d
	}
	t.Run("the denial of the name", func(t *testing.T) {
		check(t, steps(t, denying(dnssectest.Options{}), "0."+domain, dnssectest.NSEC), domain)
	})
	t.Run("the denial of a wildcard", func(t *testing.T) {
		check(t, steps(t, denying(dnssectest.Options{}), domain, dnssectest.NSEC), "")
	})
	t.Run("by hashes", func(t *testing.T) {
		d := denying(dnssectest.Options{NSEC3: true})
		var owners []string // of the records of denial, in the order of their hashes
		base := base32.HexEncoding.WithPadding(base32.NoPadding)
		for _, r := range d.Records(domain) {
			if r.Type == dnssectest.NSEC3 {
				owners = append(owners, strings.ToLower(r.Name[1:33]))
			}
		}
		slices.Sort(owners)
		owners = slices.Compact(owners)
		hash := strings.ToLower(base.EncodeToString(dnssec.Hash(dnssec.Owner(domain))))
		gap := owners[len(owners)-1]
		for _, o := range owners {
			if o < hash {
				gap = o
			}
		}
		for _, o := range owners {
			later := ""
			if o == gap {
				later = domain
			}
			check(t, steps(t, d, o+"."+domain, dnssectest.NSEC3), later)
		}
		if len(owners) < 2 {
			t.Error("one record denies all of it")
		}
	})
}
