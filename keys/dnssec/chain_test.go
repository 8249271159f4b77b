package dnssec_test

import (
	"bytes"
	"encoding/base32"
	"errors"
	"flag"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
)

var seed = flag.Uint64("seed", rand.Uint64(), "where the mutated chains begin")

var mutants = flag.Int("mutants", 5_000, "how many mutated chains to try; from 500000 on every bit of every chain is flipped, too")

// chains returns chains of every outcome, with every algorithm, NSEC and NSEC3, and the anchors that they hang from.
func chains(tb testing.TB) (all [][]byte, anchors []dnssec.Anchor) {
	tb.Helper()
	for _, c := range []struct {
		example, our dnssectest.Options
		publish      bool
	}{
		{dnssectest.Options{Algorithm: 13}, dnssectest.Options{Algorithm: 14}, true},
		{dnssectest.Options{Algorithm: 10}, dnssectest.Options{Algorithm: 15}, true},
		{dnssectest.Options{}, dnssectest.Options{}, false},
		{dnssectest.Options{}, dnssectest.Options{NSEC3: true, Salt: "salt", Iterations: 2}, false},
		{dnssectest.Options{}, dnssectest.Options{NSEC3: true, OptOut: true}, false},
		{dnssectest.Options{}, dnssectest.Options{Unsigned: true}, true},
		{dnssectest.Options{NSEC3: true, OptOut: true}, dnssectest.Options{Unsigned: true}, true},
		{dnssectest.Options{}, dnssectest.Options{Digest: 1}, true},
	} {
		d := world(c.example, c.our)
		if !c.publish {
			z := d.Zone(domain, c.our)
			for _, name := range []string{"0.", "a.", "k.", "z."} { // so that a denial needs several records
				z.SetTXT(name+domain, name)
			}
		}
		chain, _, err := d.Chain(domain, noon)
		if err != nil {
			tb.Fatal(err)
		}
		all, anchors = append(all, chain), d.Anchors()
	}
	return all, anchors
}

// truth are the results that the chains have.
func truth(tb testing.TB, all [][]byte, anchors []dnssec.Anchor) (list []*dnssec.Result) {
	tb.Helper()
	for _, chain := range all {
		r, err := dnssec.Verify(domain, chain, anchors, noon)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// A chain has one form: any bit that is flipped, any record that is left out, repeated or moved, and it is refused.
func TestOneForm(t *testing.T) {
	all, anchors := chains(t)
	for i, chain := range all {
		if again, err := dnssec.Reprint(chain); err != nil || !bytes.Equal(again, chain) {
			t.Fatalf("chain %d prints otherwise: %v", i, err)
		}
		if again, _, err := dnssec.Build(domain, dnssec.Records(chain), anchors, noon); err != nil || !bytes.Equal(again, chain) {
			t.Fatalf("chain %d is built otherwise: %v", i, err)
		}
		step := 1
		if *mutants < 500_000 {
			step = 61
		}
		refused := func(what string, at int, mutant []byte) {
			t.Helper()
			r, err := dnssec.Verify(domain, mutant, anchors, noon)
			if !isBogus(err) {
				t.Errorf("chain %d, %s %d: %+v %v", i, what, at, r, err)
			}
		}
		for bit := 0; bit < 8*len(chain); bit += step {
			mutant := bytes.Clone(chain)
			mutant[bit/8] ^= 1 << (bit % 8)
			refused("bit", bit, mutant)
		}
		records := dnssec.Records(chain)
		for k := range records {
			refused("without record", k, dnssec.Print(slices.Delete(slices.Clone(records), k, k+1)))
			refused("twice record", k, dnssec.Print(slices.Insert(slices.Clone(records), k, records[k])))
			moved := slices.Clone(records)
			for j := k; j+1 < len(moved); j++ {
				moved[j], moved[j+1] = moved[j+1], moved[j]
				refused("moved record", k, dnssec.Print(moved))
			}
			refused("up to record", k, dnssec.Print(records[:k]))
		}
		var sets [][]dnssec.RR
		for _, r := range records {
			if len(sets) == 0 || sets[len(sets)-1][len(sets[len(sets)-1])-1].Type == 46 {
				sets = append(sets, nil)
			}
			sets[len(sets)-1] = append(sets[len(sets)-1], r)
		}
		print := func(sets ...[]dnssec.RR) []byte { return dnssec.Print(slices.Concat(sets...)) }
		for k := range sets {
			refused("without set", k, print(slices.Delete(slices.Clone(sets), k, k+1)...))
			refused("twice set", k, print(slices.Insert(slices.Clone(sets), k, sets[k])...))
			for j := range k {
				swapped := slices.Clone(sets)
				swapped[j], swapped[k] = swapped[k], swapped[j]
				refused("in another place set", k, print(swapped...))
			}
		}
		// Another answer of the same zones after it, or in place of its end.
		for j, other := range all {
			refused("before another", j, append(bytes.Clone(chain), other...))
		}
	}
}

// What is proven of another domain is not proven of this one.
func TestAnotherDomain(t *testing.T) {
	d := world(dnssectest.Options{}, dnssectest.Options{})
	d.Zone("their.example", dnssectest.Options{})
	d.Publish("their.example", record(1))
	d.Zone("none.example", dnssectest.Options{})
	d.Zone("unsigned.example", dnssectest.Options{Unsigned: true})
	d.Zone("sha1.example", dnssectest.Options{Digest: 1})
	d.Zone("ur.example", dnssectest.Options{Digest: 1})
	for _, other := range []string{"their.example", "none.example", "unsigned.example", "sha1.example", "ur.example"} {
		chain, _ := mustVerify(t, d, other)
		if r, err := dnssec.Verify(domain, chain, d.Anchors(), noon); !isBogus(err) {
			t.Errorf("of %s: %+v %v", other, r, err)
		}
	}
}

// Records of denial that no honest zone would sign together.
func TestDeny(t *testing.T) {
	owner := dnssec.Owner(domain)
	nsec := func(name, next string, types ...uint16) dnssec.RR {
		return dnssec.RR{Name: name, Type: dnssectest.NSEC, Data: append(dnssectest.Name(next), dnssectest.Bitmap(types...)...)}
	}
	nsec3 := func(name byte, head string) dnssec.RR {
		return dnssec.RR{
			Name: strings.Repeat(string(name), 32) + "." + domain, Type: dnssectest.NSEC3,
			Data: append([]byte(head+"\x14"+strings.Repeat("\xff", 20)), dnssectest.Bitmap(dnssectest.NS)...),
		}
	}
	// real is an NSEC3 record at the hash of a name, or from just before it to just after it.
	real := func(name string, match bool) dnssec.RR {
		hash := dnssec.Hash(name)
		head := "\x01\x00\x00\x00\x00\x14"
		before, after := bytes.Clone(hash), bytes.Clone(hash)
		before[19]--
		after[19]++
		if match {
			before = hash
		}
		return dnssec.RR{
			Name: strings.ToLower(base32.HexEncoding.EncodeToString(before)) + "." + domain, Type: dnssectest.NSEC3,
			Data: slices.Concat([]byte(head), after, dnssectest.Bitmap(28)),
		}
	}
	for _, c := range []struct {
		name    string
		want    string // in the error; "": none
		records []dnssec.RR
	}{
		{"a gap around the name and the wildcard", "", []dnssec.RR{nsec(domain, "z."+domain, dnssectest.NS, dnssectest.SOA)}},
		{"the last gap leads to the apex", "", []dnssec.RR{nsec(domain, domain, dnssectest.NS, dnssectest.SOA)}},
		{"the last gap leads elsewhere", "do not deny", []dnssec.RR{nsec("0."+domain, "-."+domain, dnssectest.TXT), nsec(domain, "0."+domain, dnssectest.NS, dnssectest.SOA)}},
		{"a gap beside the name", "do not deny", []dnssec.RR{nsec("a."+domain, "z."+domain, dnssectest.TXT)}},
		{"the name itself, with the type", "something else", []dnssec.RR{nsec(owner, domain, dnssectest.TXT)}},
		{"the name itself, an alias", "something else", []dnssec.RR{nsec(owner, domain, dnssectest.CNAME)}},
		{"the name itself", "", []dnssec.RR{nsec(owner, domain, 28)}},
		{"a wildcard with the type", "something else", []dnssec.RR{nsec("*."+domain, "z."+domain, dnssectest.TXT)}},
		{"a wildcard without it", "", []dnssec.RR{nsec("*."+domain, "z."+domain, 28)}},
		{"a bitmap without an end", "malformed", []dnssec.RR{{Name: domain, Type: dnssectest.NSEC, Data: append(dnssectest.Name(domain), 0, 9, 1)}}},
		{"windows out of order", "malformed", []dnssec.RR{{Name: domain, Type: dnssectest.NSEC, Data: append(dnssectest.Name(domain), 1, 1, 1, 0, 1, 1)}}},
		{"NSEC3 of two salts", "differ in their parameters", []dnssec.RR{nsec3('0', "\x01\x00\x00\x00\x01a"), nsec3('1', "\x01\x00\x00\x00\x01b")}},
		{"NSEC3 of an unknown flag", "that we do not know", []dnssec.RR{nsec3('0', "\x01\x02\x00\x00\x00")}},
		{"NSEC3 of another hash", "that we do not know", []dnssec.RR{nsec3('0', "\x02\x00\x00\x00\x00")}},
		{"NSEC3 that covers, and no closest encloser", "do not deny", []dnssec.RR{nsec3('0', "\x01\x00\x00\x00\x00")}},
		{"NSEC3 at the name", "", []dnssec.RR{real(owner, true)}},
		{"NSEC3 of the closest encloser alone", "do not deny", []dnssec.RR{real(domain, true)}},
		{"NSEC3 without the wildcard's", "do not deny", []dnssec.RR{real(domain, true), real(owner, false)}},
		{"NSEC3 without the closest encloser's", "do not deny", []dnssec.RR{real(owner, false), real("*."+domain, false)}},
		{"NSEC3, all of it", "", []dnssec.RR{real(domain, true), real(owner, false), real("*."+domain, false)}},
		{"NSEC3, a wildcard of another type", "", []dnssec.RR{real(domain, true), real(owner, false), real("*."+domain, true)}},
		{"NSEC3 at another place", "malformed", []dnssec.RR{{Name: "a." + domain, Type: dnssectest.NSEC3, Data: make([]byte, 40)}}},
	} {
		outcome, _, err := dnssec.Deny(domain, owner, c.records...)
		if c.want == "" && (err != nil || outcome != dnssec.Absent) || c.want != "" && (!isBogus(err) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v %v", c.name, outcome, err)
		}
	}
}

// A gap may end below the domain: then there is a domain's name, though nothing at it, and the wildcard that counts is there.
func TestDenyBelow(t *testing.T) {
	gap := dnssec.RR{Name: "a.example", Type: dnssectest.NSEC, Data: append(dnssectest.Name("z."+domain), dnssectest.Bitmap(dnssectest.TXT)...)}
	if outcome, n, err := dnssec.Deny("example", dnssec.Owner(domain), gap); err != nil || outcome != dnssec.Absent || n != 1 {
		t.Errorf("%v %d %v", outcome, n, err)
	}
}

func TestRSAKeys(t *testing.T) {
	modulus := func(bytes int, first byte) string { return string([]byte{first}) + strings.Repeat("\x01", bytes-1) }
	for name, c := range map[string]struct {
		key string
		ok  bool
	}{
		"1024 bits":               {"\x03\x01\x00\x01" + modulus(128, 0x7f|1<<7), true},
		"4096 bits":               {"\x01\x03" + modulus(512, 0x7f|1<<7), true},
		"1023 bits":               {"\x03\x01\x00\x01" + modulus(128, 0x7f), false},
		"over 4096 bits":          {"\x03\x01\x00\x01" + modulus(513, 1), false},
		"a leading zero":          {"\x03\x01\x00\x01\x00" + modulus(256, 0x7f), false},
		"a zero before exponent":  {"\x04\x00\x01\x00\x01" + modulus(256, 0x7f), false},
		"an exponent of 5 bytes":  {"\x05\x01\x00\x00\x00\x01" + modulus(256, 0x7f), false},
		"a long form of a length": {"\x00\x00\x03\x01\x00\x01" + modulus(256, 0x7f), false},
		"no modulus":              {"\x03\x01\x00\x01", false},
		"half an exponent":        {"\x03\x01", false},
		"nothing":                 {"", false},
	} {
		if got := dnssec.TakesRSA([]byte(c.key)); got != c.ok {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Records of denial that are good but not needed have no place in a chain.
func TestNoMoreThanNeeded(t *testing.T) {
	for _, o := range []dnssectest.Options{{}, {NSEC3: true}} {
		d := world(dnssectest.Options{}, o)
		d.Publish(domain)
		z := d.Zone(domain, o)
		for _, n := range []string{"a", "b", "k", "q", "z"} {
			z.SetTXT(n+"."+domain, n)
		}
		records := d.Records(domain)
		chain, _, err := dnssec.Build(domain, records, d.Anchors(), noon)
		if err != nil {
			t.Fatal(err)
		}
		more := slices.Concat(records, d.Query("b.b."+domain, 28).Authority, d.Query("z."+domain, 28).Authority, d.Query("a."+domain, 28).Authority)
		if again, _, err := dnssec.Build(domain, more, d.Anchors(), noon); err != nil || !bytes.Equal(again, chain) {
			t.Errorf("Build keeps what is not needed: %v", err)
		}
		for _, n := range []string{"a", "b", "k", "q", "z"} {
			extra := d.Query(n+"."+domain, 28).Authority[:2]
			if bytes.Contains(chain, extra[1].Data) {
				continue
			}
			// Wherever it is put, one place is the right one.
			list, accepted := dnssec.Records(chain), 0
			for at := len(list); at > 0; at-- {
				if r, err := dnssec.Verify(domain, dnssec.Print(slices.Insert(slices.Clone(list), at, extra...)), d.Anchors(), noon); !isBogus(err) {
					t.Errorf("with the record at %s: %+v %v", n, r, err)
					accepted++
				}
			}
		}
	}
}

// Whoever has an ECDSA signature can make another one, which the DNS takes as well.
func TestHighS(t *testing.T) {
	for _, algorithm := range []uint8{13, 14} {
		d := world(dnssectest.Options{}, dnssectest.Options{Algorithm: algorithm})
		chain, _, err := d.Chain(domain, noon)
		if err != nil {
			t.Fatal(err)
		}
		size := map[uint8]int{13: 64, 14: 96}[algorithm]
		sig := chain[len(chain)-size:]
		high := negateS(algorithm, sig)
		if !bytes.Equal(dnssec.LowS(algorithm, high), sig) || !bytes.Equal(dnssec.LowS(algorithm, sig), sig) {
			t.Fatal("LowS does not undo it")
		}
		mutant := append(bytes.Clone(chain[:len(chain)-size]), high...)
		if r, err := dnssec.Verify(domain, mutant, d.Anchors(), noon); !isBogus(err) {
			t.Errorf("%+v %v", r, err)
		}
		// Only the form is at fault.
		if again, _, err := dnssec.Build(domain, dnssec.Records(mutant), d.Anchors(), noon); err != nil || !bytes.Equal(again, chain) {
			t.Error(err)
		}
	}
}

func TestBounds(t *testing.T) {
	all, anchors := chains(t)
	for name, c := range map[string]struct {
		chain []byte
		want  string
	}{
		"empty":     {nil, "bytes"},
		"too large": {make([]byte, dnssec.MaxChain+1), "bytes"},
		"too many":  {bytes.Repeat(dnssec.Print([]dnssec.RR{{Name: "\x00", Type: 46, Data: make([]byte, 40)}}), 129), "followed by its one signature"},
		"zeros":     {make([]byte, dnssec.MaxChain), "class"},
		"a cut end": {all[0][:len(all[0])-1], "cut short"},
	} {
		if _, err := dnssec.Verify(domain, c.chain, anchors, noon); !isBogus(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for want, edit := range map[string]func(*dnssec.RR){
		"lower case":   func(r *dnssec.RR) { r.Name = strings.ToUpper(r.Name) },
		"original one": func(r *dnssec.RR) { r.TTL-- },
	} {
		list := dnssec.Records(all[0])
		for i := range list {
			edit(&list[i])
		}
		if _, err := dnssec.Reprint(dnssec.Print(list)); !isBogus(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	twice := dnssec.Records(all[0])
	end := len(twice) - 1
	for _, data := range [][]byte{twice[end-1].Data, dnssectest.Text("a")} {
		list := slices.Insert(slices.Clone(twice), end, dnssec.RR{Name: twice[end].Name, Type: 16, TTL: twice[end].TTL, Data: data})
		if _, err := dnssec.Reprint(dnssec.Print(list)); !isBogus(err) || !strings.Contains(err.Error(), "canonical order") {
			t.Error(err)
		}
	}
	var list []dnssec.RR
	for i := range 130 {
		list = append(list, dnssec.RR{Name: "\x00", Type: 48, Data: []byte{byte(i)}})
	}
	if _, err := dnssec.Verify(domain, dnssec.Print(list), anchors, noon); !isBogus(err) || !strings.Contains(err.Error(), "at most 128") {
		t.Error(err)
	}
}

// Keys made to have one tag must not make us try them all (KeyTrap).
func TestCollidingTags(t *testing.T) {
	for colliding, ok := range map[int]bool{0: true, 3: true, 4: false, 40: false} {
		d := world(dnssectest.Options{}, dnssectest.Options{})
		z := d.Zone(domain, dnssectest.Options{})
		d.Publish(domain, record(1))
		zsk := z.Keys()[1]
		list := slices.Clone(z.Keys())
		for i := range colliding {
			// Sums of 16-bit words: what is added to one is taken from another.
			k := bytes.Clone(zsk)
			k[5], k[7] = k[5]^byte(i+1), k[7]^byte(i+1)
			for x := 0; dnssec.Tag(k) != dnssec.Tag(zsk); x++ {
				k[8], k[9] = byte(x>>8), byte(x)
			}
			list = append(list, k)
		}
		records := slices.DeleteFunc(d.Records(domain), func(r dnssec.RR) bool {
			return r.Name == string(dnssectest.Name(domain)) && (r.Type == dnssectest.DNSKEY || r.Type == dnssectest.RRSIG && r.Data[1] == dnssectest.DNSKEY)
		})
		records = append(records, z.Sign(domain, dnssectest.DNSKEY, list...)...)
		_, r, err := dnssec.Build(domain, records, d.Anchors(), noon)
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "more than 4 keys") {
			t.Errorf("%d: %+v %v", colliding, r, err)
		}
	}
}

// mutate changes a chain in one of many ways, many of which leave it the form of one.
func mutate(r *rand.Rand, all [][]byte) []byte {
	chain := all[r.IntN(len(all))]
	other := dnssec.Records(all[r.IntN(len(all))])
	list := dnssec.Records(chain)
	for range 1 + r.IntN(3) {
		i := r.IntN(len(list))
		rr := &list[i]
		rr.Data = bytes.Clone(rr.Data)
		switch r.IntN(14) {
		case 0: // a bit of the RDATA
			rr.Data[r.IntN(len(rr.Data))] ^= 1 << r.IntN(8)
		case 1:
			rr.Data[r.IntN(len(rr.Data))] = byte(r.Uint32())
		case 2:
			rr.Data = rr.Data[:r.IntN(len(rr.Data))]
			if len(rr.Data) == 0 {
				rr.Data = []byte{0}
			}
		case 3:
			rr.Data = append(rr.Data, byte(r.Uint32()))
		case 4:
			rr.TTL = r.Uint32N(1 << r.UintN(32))
		case 5:
			rr.Type = []uint16{2, 5, 16, 39, 43, 46, 47, 48, 50, uint16(r.Uint32())}[r.IntN(10)]
		case 6: // the name of another
			rr.Name = other[r.IntN(len(other))].Name
		case 7:
			rr.Name = strings.ToUpper(rr.Name)
		case 8:
			list = slices.Delete(list, i, i+1)
		case 9:
			list = slices.Insert(list, i, other[r.IntN(len(other))])
		case 10:
			j := r.IntN(len(list))
			list[i], list[j] = list[j], list[i]
		case 11: // the end of another
			list = append(list[:i:i], other[min(i, len(other)):]...)
		case 12: // the text of a key
			rr.Data = bytes.Replace(rr.Data, []byte("k=sha256:01"), []byte("k=sha256:03"), 1)
		case 13: // a tag, an algorithm, a count of labels, times
			if rr.Type == 46 && len(rr.Data) > 18 {
				rr.Data[2+r.IntN(16)] = byte(r.Uint32())
			}
		}
		if len(list) == 0 {
			return []byte{0}
		}
	}
	out := dnssec.Print(list)
	if r.IntN(10) == 0 {
		out[r.IntN(len(out))] ^= 1 << r.IntN(8)
	}
	return out
}

// No mutant of a chain proves anything but what the chain proves: in fact none but the chain itself proves anything.
func TestMutants(t *testing.T) {
	all, anchors := chains(t)
	known := truth(t, all, anchors)
	seed := *seed
	r := rand.New(rand.NewPCG(seed, 0))
	var slowest time.Duration
	parsed, same := 0, 0
	for range *mutants {
		mutant := mutate(r, all)
		var got *dnssec.Result
		var err error
		once := func() time.Duration {
			start := time.Now()
			got, err = dnssec.Verify(domain, mutant, anchors, noon)
			return time.Since(start)
		}
		took := once()
		for try := 0; took > slowest && try < 10; try++ { // what else the machine does is not counted
			took = min(took, once())
		}
		slowest = max(slowest, took)
		if _, err := dnssec.Reprint(mutant); err == nil {
			parsed++
		}
		if err != nil {
			var when *dnssec.TimeError
			if !isBogus(err) && !errors.As(err, &when) {
				t.Fatalf("seed %d: %T %v", seed, err, err)
			}
			continue
		}
		if !slices.ContainsFunc(known, func(k *dnssec.Result) bool { return reflect.DeepEqual(k, got) }) {
			t.Fatalf("seed %d: a mutant proves %+v", seed, got)
		}
		if !slices.ContainsFunc(all, func(c []byte) bool { return bytes.Equal(c, mutant) }) {
			t.Fatalf("seed %d: another chain proves %+v", seed, got)
		}
		same++
	}
	t.Logf("seed %d: %d mutants, %d of the form of a chain, %d accepted that are unchanged or whole other chains, none else; the slowest took %v", seed, *mutants, parsed, same, slowest)
}

func FuzzVerify(f *testing.F) {
	all, anchors := chains(f)
	for _, chain := range all {
		f.Add(chain)
	}
	known := truth(f, all, anchors)
	f.Fuzz(func(t *testing.T, chain []byte) {
		again, parseErr := dnssec.Reprint(chain)
		if parseErr == nil && !bytes.Equal(again, chain) {
			t.Error("prints otherwise")
		}
		got, err := dnssec.Verify(domain, chain, anchors, noon)
		if err != nil {
			var when *dnssec.TimeError
			if !isBogus(err) && !errors.As(err, &when) {
				t.Errorf("%T %v", err, err)
			}
		} else if parseErr != nil || !slices.ContainsFunc(known, func(k *dnssec.Result) bool { return reflect.DeepEqual(k, got) }) {
			t.Errorf("proves %+v", got)
		}
		if parseErr == nil {
			dnssec.Build(domain, dnssec.Records(chain), anchors, noon)
		}
	})
}

// FuzzReprint is the form of a chain alone.
func FuzzReprint(f *testing.F) {
	all, _ := chains(f)
	for _, chain := range all {
		f.Add(chain)
	}
	f.Fuzz(func(t *testing.T, chain []byte) {
		again, err := dnssec.Reprint(chain)
		if err == nil && !bytes.Equal(again, chain) || err != nil && !isBogus(err) {
			t.Errorf("prints otherwise: %v", err)
		}
	})
}

// FuzzDeny is what the keeper of a zone can write into records of denial: at two names, one of them the domain's, the other one
// above it or a hash.
func FuzzDeny(f *testing.F) {
	all, _ := chains(f)
	for _, chain := range all {
		for _, r := range dnssec.Records(chain) {
			if r.Type == 47 || r.Type == 50 {
				f.Add(r.Data, r.Data, r.Type == 50)
			}
		}
	}
	f.Fuzz(func(t *testing.T, a, b []byte, hashed bool) {
		typ, other := uint16(47), domain
		if hashed {
			typ, other = 50, strings.Repeat("0a", 16)+"."+domain
		}
		first := strings.Repeat("00", 16) + "." + domain
		if !hashed {
			first = "*." + domain
		}
		_, n, err := dnssec.Deny(domain, dnssec.Owner(domain), dnssec.RR{Name: first, Type: typ, Data: a}, dnssec.RR{Name: other, Type: typ, Data: b})
		if err == nil && (n < 1 || n > 2) || err != nil && !isBogus(err) {
			t.Errorf("needs %d records: %v", n, err)
		}
	})
}

// FuzzRead is what the keeper of a zone can write into other records.
func FuzzRead(f *testing.F) {
	all, _ := chains(f)
	for _, r := range dnssec.Records(all[0]) {
		f.Add(r.Data)
	}
	f.Fuzz(func(_ *testing.T, data []byte) { dnssec.Read(data) })
}

func FuzzParseRecord(f *testing.F) {
	f.Add(record(1).String())
	f.Add("v=undersigned1; ledger=; k=sha256:")
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := dnssec.ParseRecord(s); err == nil && r.String() != s {
			t.Errorf("%q is printed as %q", s, r)
		}
	})
}

// deep is a domain so many zones below the root.
func deep(zones int, algorithm uint8) (d *dnssectest.DNS, domain string) {
	d = dnssectest.New(from, until)
	domain = "example"
	d.Zone(domain, dnssectest.Options{Algorithm: algorithm})
	for range zones - 1 {
		domain = "a." + domain
		d.Zone(domain, dnssectest.Options{Algorithm: algorithm})
	}
	d.Publish(domain, record(1))
	return d, domain
}

// A chain of 15 zones below the root has 32 signatures, and that is the end of it.
func TestDepth(t *testing.T) {
	d, domain := deep(15, 14)
	if _, _, err := d.Chain(domain, noon); err != nil {
		t.Error(err)
	}
	d, domain = deep(16, 15)
	if _, _, err := d.Chain(domain, noon); !isBogus(err) || !strings.Contains(err.Error(), "more than 32 signatures") {
		t.Error(err)
	}
}

func BenchmarkVerify(b *testing.B) {
	verify := func(b *testing.B, d *dnssectest.DNS, domain string) {
		chain, _, err := d.Chain(domain, noon)
		if err != nil {
			b.Fatal(err)
		}
		anchors := d.Anchors()
		for b.Loop() {
			if _, err := dnssec.Verify(domain, chain, anchors, noon); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(chain)), "bytes")
	}
	b.Run("most work", func(b *testing.B) {
		d, domain := deep(15, 14)
		verify(b, d, domain)
	})
	for name, o := range map[string][2]dnssectest.Options{
		"RSA":     {{Algorithm: 8}, {Algorithm: 8}},
		"P-256":   {{}, {}},
		"P-384":   {{Algorithm: 14}, {Algorithm: 14}},
		"Ed25519": {{Algorithm: 15}, {Algorithm: 15}},
		"mixed":   {{Algorithm: 13}, {Algorithm: 15}},
	} {
		b.Run(name, func(b *testing.B) {
			verify(b, world(o[0], o[1]), domain)
		})
	}
}

// A chain with P-384 in every zone but the root beside one with P-256, in turn, so that a busy machine slows both: how many times as long it takes.
func BenchmarkVerifyP384(b *testing.B) {
	var took [2]time.Duration
	var chains [2][]byte
	worlds := [2]*dnssectest.DNS{world(dnssectest.Options{}, dnssectest.Options{}), world(dnssectest.Options{Algorithm: 14}, dnssectest.Options{Algorithm: 14})}
	for i, d := range worlds {
		chain, _, err := d.Chain(domain, noon)
		if err != nil {
			b.Fatal(err)
		}
		chains[i] = chain
	}
	for b.Loop() {
		for i, d := range worlds {
			begin := time.Now()
			if _, err := dnssec.Verify(domain, chains[i], d.Anchors(), noon); err != nil {
				b.Fatal(err)
			}
			took[i] += time.Since(begin)
		}
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "P-384/P-256")
}

// Which DNSKEY records count as keys at all.
func TestZoneKeys(t *testing.T) {
	good := dnssectest.New(from, until).Zone("example", dnssectest.Options{}).Keys()[1]
	if dnssec.Signing(good) != 1 {
		t.Fatal("a zone key does not count")
	}
	for name, edit := range map[string]func(k []byte){
		"not of a zone":        func(k []byte) { k[0] = 0 },
		"revoked":              func(k []byte) { k[1] |= 0x80 },
		"protocol":             func(k []byte) { k[2] = 2 },
		"RSA/SHA-1":            func(k []byte) { k[3] = 5 },
		"RSA/SHA-1 with NSEC3": func(k []byte) { k[3] = 7 },
		"GOST":                 func(k []byte) { k[3] = 12 },
		"Ed448":                func(k []byte) { k[3] = 16 },
		"private":              func(k []byte) { k[3] = 253 },
	} {
		k := bytes.Clone(good)
		if edit(k); dnssec.Signing(k) != 0 {
			t.Errorf("%s: it counts", name)
		}
	}
	if dnssec.Signing(good[:4]) != 0 {
		t.Error("no key at all: it counts")
	}
}

// A salt has up to 255 bytes.
func TestSalts(t *testing.T) {
	for _, n := range []int{0, 1, 20, 128, 250, 251, 252, 253, 254, 255} {
		d := dnssectest.New(noon.Add(-time.Hour), noon.Add(100*time.Hour))
		d.Zone("example", dnssectest.Options{})
		d.Zone(domain, dnssectest.Options{NSEC3: true, Iterations: 20, Salt: strings.Repeat("\x14", n)})
		if _, r, err := d.Chain(domain, noon); err != nil || r.Outcome != dnssec.Absent || r.Zone != domain {
			t.Errorf("a salt of %d bytes: %+v %v", n, r, err)
		}
	}
}

// Whoever has a zone puts into a salt what it likes, and signs it. This one reads as the rest of an NSEC3 record without a salt's beginning, if its end is worked out in 8 bits.
func TestSaltThatReadsAsARecord(t *testing.T) {
	window := func(n, size int) string { return string([]byte{byte(n), byte(size)}) + strings.Repeat("\x01", size) }
	types := string(dnssectest.Bitmap(dnssectest.SOA))
	tail := "\x14" + strings.Repeat("\x00", 20) + types
	salt := strings.Repeat("\x00", 19)
	n := 0
	for ; len(salt) < 19+6*34; n++ {
		salt += window(n, 32)
	}
	salt += window(n, 254-len(salt)-2-2) + string([]byte{byte(n + 1), byte(len(tail))})
	r := dnssec.RR{Name: strings.Repeat("0", 32) + "." + domain, Type: dnssectest.NSEC3, Data: []byte("\x01\x00\x00\x14\xfe" + salt + tail)}
	if _, _, err := dnssec.Deny(domain, dnssec.Owner(domain), r); len(salt) != 254 || !isBogus(err) {
		t.Error(len(salt), err)
	}
	d := dnssectest.New(noon.Add(-time.Hour), noon.Add(100*time.Hour))
	d.Zone("example", dnssectest.Options{})
	z := d.Zone(domain, dnssectest.Options{})
	records := slices.DeleteFunc(d.Records(domain), func(r dnssec.RR) bool { return r.Name == string(dnssectest.Name(domain)) && r.Type == dnssectest.NSEC })
	if _, _, err := dnssec.Build(domain, append(records, z.Sign(r.Name, r.Type, r.Data)...), d.Anchors(), noon); !isBogus(err) {
		t.Error(err)
	}
}
