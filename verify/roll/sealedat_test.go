package roll_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// slowSealedAt is SealedAt by the lists themselves, in a record that ends there.
func slowSealedAt(s *roll.State, h entry.Hash, moment time.Time) (at roll.Sealed, near []roll.Sealed, ok bool) {
	rolls := s.Rolls(h)
	slices.SortStableFunc(rolls, func(a, b roll.Sealed) int { return a.AsOf.Compare(b.AsOf) })
	n := 0
	for n < len(rolls) && !rolls[n].AsOf.After(moment) {
		n++
	}
	if n > 0 {
		if at = rolls[n-1]; slices.Equal(s.Lines(h, at.AsOf), s.Lines(h, moment)) {
			return at, nil, true
		}
	}
	return roll.Sealed{}, rolls[max(0, n-1):min(len(rolls), n+1)], false
}

// TestSealedAt holds what is chosen in random histories, at random moments and by any part of the record, against the
// lists themselves.
func TestSealedAt(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	found, missing, alone := 0, 0, 0
	for range 12 {
		r := rolltest.New(t)
		var orgs []*rolltest.Org
		for i := range 3 {
			orgs = append(orgs, r.Join(fmt.Sprintf("org%d.example", i)))
		}
		texts := []entry.Hash{r.Publish("one"), r.Publish("another")}
		start := r.Now
		stands := map[string]bool{}
		for range 60 {
			r.Now = r.Now.Add(-time.Duration(random.IntN(3)) * 500 * time.Millisecond) // some at one moment
			h, o := texts[random.IntN(2)], orgs[random.IntN(3)]
			key := o.Domain + h.String()
			switch {
			case random.IntN(3) == 0:
				b, _ := r.State.Roll(h, r.Now.Add(-time.Millisecond-time.Duration(random.IntN(2)*random.IntN(5))*time.Second))
				r.Must(&entry.Entry{Ledger: r.Origin, Body: b})
			case stands[key] && random.IntN(3) > 0:
				r.Withdraw(o, h)
				stands[key] = false
			default:
				r.Endorse(o, h)
				stands[key] = true
			}
		}
		for range 20 {
			size := uint64(random.IntN(len(r.Leaves) + 1))
			part := roll.New(rolltest.Origin)
			for i, leaf := range r.Leaves[:size] {
				if err := part.Apply(uint64(i), leaf); err != nil {
					t.Fatal(err)
				}
			}
			for range 20 {
				h := texts[random.IntN(2)]
				moment := start.Add(time.Duration(random.Int64N(int64(r.Now.Sub(start) + 5*time.Second)))).Truncate(time.Millisecond)
				if rolls := r.State.Rolls(h); len(rolls) > 0 && random.IntN(3) == 0 { // and about those of rolls
					moment = rolls[random.IntN(len(rolls))].AsOf.Add(time.Duration(random.IntN(3)-1) * time.Millisecond)
				}
				at, near, ok := r.State.SealedAt(h, size, moment)
				wantAt, wantNear, want := slowSealedAt(part, h, moment)
				if ok != want || at != wantAt && ok || !slices.Equal(near, wantNear) {
					t.Fatalf("by %d of %d entries, at %s: %v %v %v, want %v %v %v", size, len(r.Leaves), moment, at, near, ok, wantAt, wantNear, want)
				}
				switch {
				case !ok:
					missing++
				case part.Size() < r.State.Size():
					found++
				default:
					alone++
				}
			}
		}
	}
	if found < 100 || missing < 100 || alone < 10 {
		t.Errorf("%d found within a record, %d at its end, %d missing", found, alone, missing)
	}
	if _, near, ok := rolltest.New(t).State.SealedAt(entry.Hash{}, 1, rolltest.Start); ok || near != nil {
		t.Error("there is a roll of a statement that was not published")
	}
}

// TestSealedAtGone has somebody come and go between a roll and the moment: the list is the same.
func TestSealedAtGone(t *testing.T) {
	r := rolltest.New(t)
	o := r.Join("apnic.net")
	h := r.Publish("one")
	index := r.Seal(h)
	endorsed := r.Now
	r.Endorse(o, h)
	withdrawn := r.Now
	r.Withdraw(o, h)
	again := r.Now
	r.Endorse(o, h)
	for _, c := range []struct {
		at time.Time
		ok bool
	}{
		{endorsed.Add(-time.Millisecond), true}, {endorsed, false}, {withdrawn.Add(-time.Millisecond), false}, {withdrawn, true}, {again.Add(-time.Millisecond), true}, {again, false},
	} {
		if at, _, ok := r.State.SealedAt(h, r.State.Size(), c.at); ok != c.ok || ok && at.Index != index {
			t.Errorf("at %s: %v %v", c.at, at, ok)
		}
	}
	if _, _, ok := r.State.SealedAt(h, index, r.Now); ok {
		t.Error("a roll counts before it is in the record")
	}
}
