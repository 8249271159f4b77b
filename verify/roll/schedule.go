package roll

import (
	"strings"
	"time"

	"github.com/tccm/undersigned/verify/entry"
)

// When a roll is due where the charter says on-change: once nothing has changed
// for sealQuiet, or once the roll before is sealAtMost ago, so that a busy
// statement has one every ten seconds.
const (
	sealQuiet  = time.Second
	sealAtMost = 10 * time.Second
)

// A Due is a roll that should be made.
type Due struct {
	Statement entry.Hash
	AsOf      time.Time // UTC; zero: as of all that has been admitted
}

// Due returns the rolls that the charter's schedule asks for by a moment and
// that the record does not hold, in the order of the statements' publication,
// and when to ask again if no entry changes that; zero: never. What it says of
// the schedule:
//
//   - daily HH:MM: of each statement, as of the end of that minute, when it has
//     passed. Of days that were missed the last one is made up for.
//   - on-change: of a statement that is new or whose list has changed.
//   - manual: none.
//
// Whatever the schedule, a statement whose time has come to close (closes) gets a
// roll as of the last moment at which it could be endorsed.
func (s *State) Due(now time.Time) (due []Due, again time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.charter == nil {
		return nil, time.Time{}
	}
	at := now.UnixMilli()
	next := int64(0)
	wait := func(t int64) {
		if next == 0 || t < next {
			next = t
		}
	}
	daily, isDaily := strings.CutPrefix(s.charter.roll, "daily ")
	var minute int64 // the end of the last one
	if isDaily {
		clock, _ := time.Parse("15:04", daily) // an entry's is one
		const day = 24 * 60 * 60 * 1000
		end := (int64(clock.Hour())*60+int64(clock.Minute())+1)*60*1000 - 1
		minute = floor(at-1-end, day)*day + end
		wait(minute + day + 1)
	}
	for _, st := range s.published {
		last := st.sealed // as of when the last roll is
		published := st.Admitted.UnixMilli()
		if !st.closes.IsZero() {
			closes := st.closes.UnixMilli()
			switch {
			case at < closes:
				wait(closes)
			case last < closes-1 && !(st.closed && st.closedAt.Admitted.UnixMilli() < closes):
				due = append(due, Due{st.hash, milli(closes - 1)})
				continue
			}
		}
		switch {
		case isDaily && published <= minute && last < minute:
			due = append(due, Due{st.hash, milli(minute)})
		case s.charter.roll == "on-change" && last < max(published, st.changed):
			changed := max(published, st.changed)
			if ripe := min(changed+sealQuiet.Milliseconds(), max(published, last)+sealAtMost.Milliseconds()); at >= ripe {
				due = append(due, Due{st.hash, time.Time{}})
			} else {
				wait(ripe)
			}
		}
	}
	if next == 0 {
		return due, time.Time{}
	}
	return due, milli(next)
}

// floor divides and rounds down.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
