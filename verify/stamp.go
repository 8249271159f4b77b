package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tccm/undersigned/verify/entry"
)

// A TimeStamp is what a time-stamping authority says of some bytes: they existed at Time, give or take Accuracy.
type TimeStamp struct {
	Time     time.Time     // UTC
	Accuracy time.Duration // never negative; 0: it says nothing
	// Authority names the authority by its certificate, or that by its hash if the name is not fit for a sentence
	// (unicode15.FreeText).
	Authority string
}

// By returns the time at which the bytes existed for certain, if the authority is right.
func (s *TimeStamp) By() time.Time { return s.Time.Add(s.Accuracy) }

// bySecond returns By for people, rounded up: the authority answers for no earlier second.
func (s *TimeStamp) bySecond() string { return second(s.By().Add(time.Second - 1)) }

// CheckTimeStamp checks a token over some bytes: verify/timestamp's Roots.Check. It is handed in, because what it takes, CMS
// and X.509, would be half of what a browser has to load. The error is ErrUnknownAuthority, or a sentence part that says why the
// token is not one of these bytes and repeats nothing of it.
type CheckTimeStamp func(token, stamped []byte) (*TimeStamp, error)

// ErrUnknownAuthority says that a token is in order, as far as can be told, and signed by somebody for whom none of the trusted
// roots answers.
var ErrUnknownAuthority = errors.New("no trusted root answers for the time-stamping authority")

// A Stamped is a time stamp in the record that an audit has checked.
type Stamped struct {
	TimeStamp
	Index uint64 // of the evidence
	Size  uint64 // of the published checkpoint that it is over: every entry under that existed by then
}

// stamped checks a time stamp that the record holds against the published note that it is over, and its time against those of that
// note and of its own entry. The times of the entries under the note are compared with it later (between).
func (a *auditor) stamped(ctx context.Context, index uint64, admitted time.Time, e *entry.Evidence) {
	if a.o.TimeStamps == nil {
		a.mu.Lock()
		a.unchecked = append(a.unchecked, unchecked{index, e.Size})
		a.mu.Unlock()
		return
	}
	a.slots <- struct{}{}
	a.checking.Go(func() {
		defer func() { <-a.slots }()
		wrong := func(format string, args ...any) {
			a.find(CodeContradiction, &index, "", fmt.Sprintf(format, args...))
		}
		_, c, err := a.checkPast(ctx, CheckpointPath(e.Size), e.Size)
		if err != nil {
			a.pastBroken(e.Size, err)
			return
		}
		s, err := a.o.TimeStamps(e.Data, c.Note)
		switch {
		case errors.Is(err, ErrUnknownAuthority):
			a.mu.Lock()
			a.unchecked = append(a.unchecked, unchecked{index, e.Size})
			a.mu.Unlock()
			return
		case err != nil:
			wrong("Entry %d holds as a time stamp of the copy of the record of size %d what is none: %v.", index, e.Size, err)
			return
		}
		if s.By().Add(slack).Before(c.notBefore) {
			wrong("Entry %d holds a time stamp of %s, over the copy of the record of size %d, which was signed later.", index, second(s.Time), e.Size)
		}
		if s.Time.Add(-s.Accuracy - slack).After(admitted) {
			wrong("Entry %d says that it was recorded before the time stamp was made that it holds, which is of %s.", index, second(s.Time))
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.report.stamps = append(a.report.stamps, Stamped{*s, index, e.Size})
		a.spans = append(a.spans, span{size: e.Size, to: s.By(), seen: s.By(), stamp: index})
	})
}

// unchecked is a time stamp that was not checked, or not to the end.
type unchecked struct{ index, size uint64 }

// sumStamps sums up the time stamps of the record.
func (a *auditor) sumStamps() {
	r := a.report
	slices.SortStableFunc(r.stamps, func(x, y Stamped) int { return int(x.Index) - int(y.Index) })
	r.Stamps, r.UncheckedStamps, r.unchecked = uint64(len(r.stamps)), uint64(len(a.unchecked)), a.unchecked
	if r.UncheckedStamps == 0 {
		return
	}
	n, could := "1 time stamp", "it takes"
	if r.UncheckedStamps > 1 {
		n, could = fmt.Sprintf("%d time stamps", r.UncheckedStamps), "they take"
	}
	why := "roots that answer for time-stamping authorities (--tsa-roots)"
	if a.o.TimeStamps != nil {
		why = "a root that answers for its authority among those given (--tsa-roots)"
	}
	a.remark(nil, fmt.Sprintf("%s could not be checked: %s %s.", n, could, why))
}

// Stamped returns the earliest time stamp that the audit has checked over a published copy which holds an entry.
func (r *Report) Stamped(index uint64) (best Stamped, ok bool) {
	for _, s := range r.stamps {
		if s.Size > index && (!ok || s.By().Before(best.By())) {
			best, ok = s, true
		}
	}
	return best, ok
}
