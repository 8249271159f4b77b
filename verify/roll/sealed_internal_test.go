package roll

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify/entry"
)

// TestRanking changes a list of several chunks again and again, and holds each
// root hash, of now and of a moment before, to the lines computed anew.
func TestRanking(t *testing.T) {
	s := large(3*chunkRows+100, 1)
	st := s.published[0]
	rng := rand.New(rand.NewPCG(1, 2))
	var times []int64
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		n := []int{0, 1, 1, 1, 2, 40, 700}[rng.IntN(7)]
		for range n {
			at := st.about[rng.IntN(len(st.about))]
			if round%10 == 9 { // all near the front
				at = st.about[rng.IntN(50)]
			}
			r := s.standings.at(at)
			st.past = append(st.past, past{at, r.renditions, r.index, r.admitted, r.id, r.keys, r.withdrawn})
			s.admitted += int64(rng.IntN(3))
			*r = record{id: entry.Sum(fmt.Append(nil, s.size)), index: s.size, admitted: s.admitted, member: r.member, withdrawn: rng.IntN(3) == 0}
			s.size++
			st.changed = r.admitted
			if st.ranking != nil {
				st.moved = append(st.moved, at)
			}
		}
		times = append(times, s.admitted)
		for _, asOf := range []int64{s.admitted, times[rng.IntN(len(times))], s.admitted - 1} {
			b, ok := s.Roll(st.hash, milli(asOf))
			lines := s.Lines(st.hash, milli(asOf))
			if !ok || b.Count != uint64(len(lines)) || b.Root != treeOf(lines) || CheckAll(b, lines) != nil {
				t.Fatalf("round %d: the roll as of %d lists %d with the root %x; there are %d with the root %x", round, asOf, b.Count, b.Root, len(lines), treeOf(lines))
			}
			if !slices.IsSortedFunc(lines, func(x, y Line) int {
				if x.Domain < y.Domain {
					return -1
				}
				return 1
			}) {
				t.Fatalf("round %d: the lines are not ascending", round)
			}
		}
	}
	s.Unrank()
	if b, _ := s.Roll(st.hash, milli(s.admitted)); b.Root != treeOf(s.Lines(st.hash, milli(s.admitted))) {
		t.Error("a new ranking has another root hash")
	}
	if _, ok := s.Roll(entry.Hash{}, time.Time{}); ok || s.Lines(entry.Hash{}, time.Time{}) != nil {
		t.Error("there is a roll of a statement that was not published")
	}
}

// BenchmarkRoll makes the rolls of a statement that many stand behind: the first
// one, and others after so many have come, gone, or endorsed again. The last
// column is the time as a multiple of hashing all lines and nodes.
func BenchmarkRoll(b *testing.B) {
	const members = 1_000_000
	s := large(members, 1)
	st := s.published[0]
	lines := s.Lines(st.hash, milli(s.admitted))
	start := time.Now()
	treeOf(lines)
	all := time.Since(start)
	ratio := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(all), "ofhashing")
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			s.Unrank()
			s.Roll(st.hash, milli(s.admitted))
		}
		ratio(b)
	})
	for _, c := range []struct {
		name string
		n    int
		move func(r *record, i int)
	}{
		{"nothing", 0, nil},
		{"again/1", 1, func(r *record, i int) { r.index++ }},
		{"again/100", 100, func(r *record, i int) { r.index++ }},
		{"come or gone/1", 1, func(r *record, i int) { r.withdrawn = !r.withdrawn }},
		{"come or gone/100", 100, func(r *record, i int) { r.withdrawn = !r.withdrawn }},
	} {
		b.Run(c.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				for i := range c.n {
					at := st.about[rng.IntN(members)]
					c.move(s.standings.at(at), i)
					st.moved = append(st.moved, at)
				}
				s.Roll(st.hash, milli(s.admitted))
			}
			ratio(b)
		})
	}
	b.Run("of a moment before", func(b *testing.B) {
		for b.Loop() {
			s.Roll(st.hash, milli(s.admitted-100_000))
		}
		ratio(b)
	})
}

// BenchmarkReading does what a receipt of a long list takes: its lines, sorted; the proof of an absence; and looking whether the list
// was the same at a moment, somebody having come and gone. The last column is as in BenchmarkRoll.
func BenchmarkReading(b *testing.B) {
	const members = 1_000_000
	s := large(members, 1)
	st := s.published[0]
	lines := s.Lines(st.hash, milli(s.admitted))
	start := time.Now()
	treeOf(lines)
	all := time.Since(start)
	at := st.about[members/2]
	r := s.standings.at(at)
	asOf := s.admitted
	st.past = append(st.past, past{at, r.renditions, s.size, asOf + 1, r.id, r.keys, false})
	*r = record{index: s.size + 1, admitted: asOf + 2, member: r.member, withdrawn: true}
	s.size, st.changed = s.size+2, asOf+2
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"lines", func() { s.Lines(st.hash, milli(asOf)) }},
		{"absence", func() { Prove(lines, "m") }},
		{"the same", func() { s.same(st, s.size, asOf, asOf+2) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.do()
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(all), "ofhashing")
		})
	}
}
