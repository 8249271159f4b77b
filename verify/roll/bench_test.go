package roll_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// BenchmarkVerify is what the others are compared with: one Ed25519 signature of
// an endorsement.
func BenchmarkVerify(b *testing.B) {
	r := rolltest.New(b)
	o := r.Join("a.example")
	e := r.Endorsement(entry.Endorse, o, entry.Sum(nil))
	text := e.Text()
	for b.Loop() {
		if !o.Keys[0].Public.Verify(rolltest.Origin, text, e.Signatures[0].Sig) {
			b.Fatal("no")
		}
	}
}

// endorsements returns a record with a member and leaves that endorse again and
// again, each after the other.
func endorsements(b *testing.B, n int) (*rolltest.Record, []*entry.Leaf) {
	r := rolltest.New(b)
	o := r.Join("a.example")
	h := r.Publish("text")
	for range n {
		r.Endorse(o, h)
	}
	var leaves []*entry.Leaf
	for _, leaf := range r.Leaves {
		l, err := entry.ParseLeaf(leaf)
		if err != nil {
			b.Fatal(err)
		}
		leaves = append(leaves, l)
	}
	return r, leaves
}

// BenchmarkApply folds endorsements from bytes, verifying each signature.
func BenchmarkApply(b *testing.B) {
	r, leaves := endorsements(b, 2000)
	for b.Loop() {
		s := roll.New(rolltest.Origin)
		for i, leaf := range r.Leaves {
			if err := s.Apply(uint64(i), leaf); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(leaves)), "ns/entry")
}

// BenchmarkApplyChecked folds parsed endorsements whose signatures have been
// checked: what is left for the one goroutine of sequencer and audit.
func BenchmarkApplyChecked(b *testing.B) {
	r, leaves := endorsements(b, 2000)
	sigs := make([]*roll.Signatures, len(leaves))
	for i, l := range leaves {
		sigs[i] = r.State.CheckSignatures(l.Entry)
	}
	for b.Loop() {
		s := roll.New(rolltest.Origin)
		for i, l := range leaves {
			if err := s.ApplyLeaf(uint64(i), l, sigs[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(leaves)), "ns/entry")
}

// BenchmarkMemory reports what an endorsement costs in memory, at 100,000 of 100
// members about 1,000 statements.
func BenchmarkMemory(b *testing.B) {
	const members, statements = 100, 1000
	for b.Loop() {
		r := rolltest.New(b)
		var orgs []*rolltest.Org
		for i := range members {
			orgs = append(orgs, r.Join(fmt.Sprintf("member%d.example", i)))
		}
		var texts []entry.Hash
		for i := range statements {
			texts = append(texts, r.Publish(fmt.Sprint(i)))
		}
		before := heap()
		for _, h := range texts {
			for _, o := range orgs {
				e := r.Endorsement(entry.Endorse, o, h)
				if err := r.State.Admit(&entry.Leaf{Admitted: r.Now, Entry: e}, nil); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(heap()-before)/(members*statements), "bytes/endorsement")
		runtime.KeepAlive(r)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkCheckSignatures is the part that runs on all cores.
func BenchmarkCheckSignatures(b *testing.B) {
	r := rolltest.New(b)
	o := r.Join("a.example")
	e := r.Endorsement(entry.Endorse, o, r.Publish("text"))
	for b.Loop() {
		r.State.CheckSignatures(e)
	}
}

// BenchmarkStanding lists 1,000 endorsers.
func BenchmarkStanding(b *testing.B) {
	r := rolltest.New(b)
	h := r.Publish("text")
	for i := range 1000 {
		o := r.Join(fmt.Sprintf("member%d.example", i))
		r.Endorse(o, h)
	}
	for b.Loop() {
		if len(r.State.Standing(h)) != 1000 {
			b.Fatal("somebody is missing")
		}
	}
}

// BenchmarkRegister judges the signatures of a registration with two RSA keys.
func BenchmarkRegister(b *testing.B) {
	r := rolltest.New(b)
	o := &rolltest.Org{Domain: "a.example", Name: "a", Quorum: 1}
	for range 2 {
		o.Keys = append(o.Keys, rolltest.NewKeyOf(keys.RSAPSSSHA256, fmt.Sprint(len(o.Keys))))
	}
	e := r.Registration(o)
	for b.Loop() {
		r.State.CheckSignatures(e)
	}
}

// BenchmarkEvidence judges one more chain about a member of which there are 10, and one of which there are 1,000 in the record, each of which shows
// another key than the one before, in turns, and prints what each takes and the ratio.
func BenchmarkEvidence(b *testing.B) {
	judge := func(n int) func() time.Duration {
		s := newDomainScene(b, entry.Admission{Operator: true})
		s.Register(s.org)
		next := func() *entry.Entry {
			s.Now = s.Now.Add(time.Hour)
			s.resign()
			s.dns.Publish("our.example", records(rolltest.Origin, s.org.Keys[s.State.Size()%2])...)
			return s.evidence("our.example")
		}
		for range n {
			s.Must(next())
		}
		l, err := entry.ParseLeaf(s.Leaf(next()))
		if err != nil {
			b.Fatal(err)
		}
		return func() time.Duration {
			begin := time.Now()
			if err := s.State.Judge(l, nil); err != nil {
				b.Fatal(err)
			}
			return time.Since(begin)
		}
	}
	few, many := judge(10), judge(1000)
	var ten, thousand time.Duration
	for b.Loop() {
		ten, thousand = ten+few(), thousand+many()
	}
	b.ReportMetric(float64(ten.Nanoseconds())/float64(b.N), "ns/of-10")
	b.ReportMetric(float64(thousand.Nanoseconds())/float64(b.N), "ns/of-1000")
	b.ReportMetric(float64(thousand)/float64(ten), "ratio")
}
