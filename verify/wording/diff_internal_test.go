package wording

import (
	"math/rand/v2"
	"testing"
)

// checkSpans holds spans to what they say, and returns how many elements they keep.
func checkSpans(t *testing.T, a, b []int32, spans []span) (kept int) {
	t.Helper()
	i, j := 0, 0
	for n, s := range spans {
		if s.a0 != i || s.b0 != j || s.a1 < s.a0 || s.b1 < s.b0 || s.a0 == s.a1 && s.b0 == s.b1 {
			t.Fatalf("%v %v: span %d of %v leaves a hole", a, b, n, spans)
		}
		if n > 0 && spans[n-1].same == s.same {
			t.Fatalf("%v %v: span %d of %v goes on with the one before", a, b, n, spans)
		}
		i, j = s.a1, s.b1
		if !s.same {
			continue
		}
		kept += s.a1 - s.a0
		for k := range s.a1 - s.a0 {
			if s.a1-s.a0 != s.b1-s.b0 || a[s.a0+k] != b[s.b0+k] {
				t.Fatalf("%v %v: span %d of %v is not the same", a, b, n, spans)
			}
		}
	}
	if i != len(a) || j != len(b) {
		t.Fatalf("%v %v: %v ends early", a, b, spans)
	}
	return kept
}

// common is the length of a longest common subsequence, by the slow way.
func common(a, b []int32) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		before := 0
		for j, y := range b {
			above := row[j+1]
			if x == y {
				row[j+1] = before + 1
			} else {
				row[j+1] = max(row[j+1], row[j])
			}
			before = above
		}
	}
	return row[len(b)]
}

func TestDiffIsShortest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		letters := 1 + r.IntN(6)
		sequence := func() []int32 {
			s := make([]int32, r.IntN(14))
			for i := range s {
				s[i] = int32(r.IntN(letters))
			}
			return s
		}
		a, b := sequence(), sequence()
		spans, coarse := diff(a, b, maxSteps)
		if coarse {
			t.Fatalf("%v %v: coarse", a, b)
		}
		if got, want := checkSpans(t, a, b, spans), common(a, b); got != want {
			t.Fatalf("%v %v: %v keeps %d, not %d", a, b, spans, got, want)
		}
	}
}

// Without steps left the answer is still an answer.
func TestDiffIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	a, b := make([]int32, 3000), make([]int32, 2000)
	for i := range a {
		a[i] = int32(r.IntN(50))
	}
	for i := range b {
		b[i] = int32(r.IntN(50))
	}
	for _, steps := range []int{0, 10, 1000, 100_000} {
		spans, coarse := diff(a, b, steps)
		checkSpans(t, a, b, spans)
		if !coarse {
			t.Errorf("%d steps sufficed", steps)
		}
	}
	if spans, coarse := diff(a, b, maxSteps); coarse || checkSpans(t, a, b, spans) < 500 {
		t.Errorf("%d steps did not suffice", maxSteps)
	}
}
