package verify_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// BenchmarkReceipt parses and judges a receipt, and reports how much longer that takes than the signature checks
// in it alone: by the member's two keys, and on either note by the log's two keys and three witnesses.
func BenchmarkReceipt(b *testing.B) {
	w := newWorld(b, 3)
	p := w.policy()
	raw := w.receipt(indexEndorsedAPNIC).Bytes()
	r, err := verify.ParseReceipt(raw)
	if err != nil {
		b.Fatal(err)
	}
	var checks []func() bool
	for _, note := range [][]byte{r.Checkpoint, r.After} {
		c, err := p.OpenPast(note)
		if err != nil {
			b.Fatal(err)
		}
		text := c.Text()
		for _, k := range append(append([]*cosigner(nil), w.log...), w.witnesses...) {
			v, err := verify.NewVerifier(k.vkey)
			if err != nil {
				b.Fatal(err)
			}
			seconds := uint64(c.LogTime.Unix())
			sig := k.sign(verify.SignedMessage(k.vkey, seconds, c.Checkpoint))
			if k.vkey.Type != keys.TypeEd25519 {
				sig = verify.TimestampedSignature(seconds, sig)
			}
			checks = append(checks, func() bool { return v.Verify(text, sig) })
		}
	}
	leaf, err := entry.ParseLeaf(r.Leaf)
	if err != nil {
		b.Fatal(err)
	}
	text := leaf.Entry.Text()
	org := rolltest.NewOrg("apnic.net", 2, 1, 2)
	for i, k := range org.Keys {
		checks = append(checks, func() bool { return k.Public.Verify(rolltest.Origin, text, leaf.Entry.Signatures[i].Sig) })
	}
	var ratios []float64
	for b.Loop() { // interleaved
		start := time.Now()
		r, err := verify.ParseReceipt(raw)
		if err != nil || verify.Judge(verify.Input{Policy: p, Receipt: r, Statement: []byte(tccm)}).Code != 0 {
			b.Fatal("the receipt is refused")
		}
		middle := time.Now()
		for _, c := range checks {
			if !c() {
				b.Fatal("a signature is refused")
			}
		}
		ratios = append(ratios, float64(middle.Sub(start))/float64(time.Since(middle)))
	}
	b.ReportMetric(median(ratios), "judge÷signatures")
	b.ReportMetric(float64(len(checks)), "signatures")
}

// BenchmarkAudit audits 20,000 endorsements, and reports the rate and how it compares with checking the same
// signatures on all cores and doing nothing else.
func BenchmarkAudit(b *testing.B) {
	const members, rounds = 100, 200
	w := newEmptyWorld(b, rolltest.New(b), 1)
	w.publish()
	var orgs []*rolltest.Org
	for i := range members {
		orgs = append(orgs, w.rec.Join(fmt.Sprintf("member%d.example", i)))
	}
	w.text = tccm
	w.statement = w.rec.Publish(tccm)
	w.publish()
	for range rounds {
		for _, o := range orgs {
			w.endorse(o)
		}
	}
	w.publish()
	p := w.policy()
	var entries []*entry.Entry
	state := roll.New(rolltest.Origin)
	for i, l := range w.rec.Leaves {
		leaf, err := entry.ParseLeaf(l)
		if err != nil {
			b.Fatal(err)
		}
		if err := state.Apply(uint64(i), l); err != nil {
			b.Fatal(err)
		}
		entries = append(entries, leaf.Entry)
	}
	signatures := func() {
		var all sync.WaitGroup
		n := runtime.GOMAXPROCS(0)
		for i := range n {
			all.Go(func() {
				for j := i; j < len(entries); j += n {
					e := entries[j]
					text := e.Text()
					for k, named := range e.Named() {
						key, _ := state.Key(named.Ref)
						if !key.Public.Verify(rolltest.Origin, text, e.Signatures[k].Sig) {
							panic("a signature is refused")
						}
					}
				}
			})
		}
		all.Wait()
	}
	var rates, ratios []float64
	for b.Loop() {
		start := time.Now()
		r, err := verify.Audit(context.Background(), p, w.fetch, verify.AuditOptions{})
		if err != nil || !r.OK {
			b.Fatal(err, r)
		}
		middle := time.Now()
		signatures()
		rates = append(rates, float64(len(entries))/middle.Sub(start).Seconds())
		ratios = append(ratios, float64(time.Since(middle))/float64(middle.Sub(start)))
	}
	b.ReportMetric(median(rates), "entries/s")
	b.ReportMetric(median(ratios), "audit÷signatures")
}

func median(s []float64) float64 {
	slices.Sort(s)
	return s[len(s)/2]
}

// BenchmarkRollReceipt makes and judges receipts of a list that so many are on, and says how large they are: of somebody
// who is on it, of somebody who is not, and of all.
func BenchmarkRollReceipt(b *testing.B) {
	for _, n := range []int{16, 100, 1000, 10_000} {
		w := newEmptyWorld(b, rolltest.New(b), 3)
		w.publish()
		orgs := make([]*rolltest.Org, n)
		for i := range orgs {
			orgs[i] = w.rec.Join(fmt.Sprintf("organization-%05d.example", i))
		}
		w.statement = w.rec.Publish(tccm)
		w.publish()
		for _, o := range orgs {
			w.endorse(o)
		}
		index := w.rec.Seal(w.statement)
		w.publish()
		s := w.rollSource()
		levels := [][][32]byte{nil}
		for _, leaf := range w.rec.Leaves {
			levels[0] = append(levels[0], verify.LeafHash(leaf))
		}
		for at := levels[0]; len(at) > 1; at = levels[len(levels)-1] {
			var up [][32]byte
			for i := 0; i+1 < len(at); i += 2 {
				up = append(up, verify.NodeHash(at[i], at[i+1]))
			}
			levels = append(levels, up)
		}
		s.Nodes = func(level uint, index uint64) ([32]byte, error) { return levels[level][index], nil }
		p := mustPolicy(b, strings.Replace(w.policyText(), "group all all w0", "group undersigned-replaying any w0\ngroup all all undersigned-replaying", 1))
		for _, c := range []struct{ name, domain string }{{"present", "organization-00007.example"}, {"absent", "example.org"}, {"all", ""}} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				size := 0
				for b.Loop() {
					r, whole, err := verify.MakeRollReceipt(s, index, c.domain)
					if err != nil {
						b.Fatal(err)
					}
					if size = len(r.Bytes()); !whole {
						b.Logf("not all of it fits")
					}
					parsed, err := verify.ParseReceipt(r.Bytes())
					if err != nil {
						b.Fatal(err)
					}
					if v := verify.Judge(verify.Input{Policy: p, Receipt: parsed, Now: w.rec.Now}); v.Code != 0 && v.Code != verify.CodeNotFound {
						b.Fatal(v.Sentence)
					}
				}
				b.ReportMetric(float64(size), "bytes")
			})
		}
	}
}

// BenchmarkRequireOfARing prints how much longer the judgement of a list takes if vouchers are required, and all on it vouch for each other in a circle.
func BenchmarkRequireOfARing(b *testing.B) {
	for _, n := range []int{100, 200, 400} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := &named{world: newWorld(b, 2)}
			r := ring(w, n, func(o *rolltest.Org) { w.rec.Register(o) })
			in := verify.Input{Policy: w.policy(), Receipt: r, Record: w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{r}}), Now: w.rec.Now}
			var took [2]time.Duration
			for b.Loop() {
				for m := range took {
					in.Require.Vouched = m
					start := time.Now()
					verify.Judge(in)
					took[m] += time.Since(start)
				}
			}
			b.ReportMetric(float64(took[1])/float64(took[0]), "times/plain")
		})
	}
}
