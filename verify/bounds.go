package verify

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tccm/undersigned/verify/entry"
)

// Bounds are the times between which an entry was signed and came to be in the record. Witnesses say so that are the quorum of
// a policy together, so that as many as the quorum lets lie can move neither. What is not known is zero.
type Bounds struct {
	// NotBefore is the greatest T such that the cosignatures dated T or later on the note that the entry quotes are the quorum: the
	// entry's text holds the hash of that note, signatures and all, so it was signed after T.
	NotBefore time.Time
	// NoLater is the least T such that the cosignatures dated T or earlier on the first published checkpoint that covers the
	// entry are the quorum: the entry existed by T.
	NoLater time.Time
	// Size is that checkpoint's.
	Size uint64
}

// Bounds returns the bounds of an entry that the audit was asked about (AuditOptions.Receipts and About).
func (r *Report) Bounds(index uint64) Bounds { return r.bounds[index] }

// Existed returns by when the whole copy of the record that was audited existed, by the word of the policy's quorum, or the zero time.
func (r *Report) Existed(p *Policy) time.Time {
	if r.checkpoint == nil {
		return time.Time{}
	}
	return p.NoLater(r.checkpoint)
}

// asked returns the indexes of the entries whose bounds are wanted, each with what it quotes.
func (a *auditor) asked(ctx context.Context) map[uint64]*entry.After {
	asked := make(map[uint64]*entry.After)
	for _, r := range a.o.Receipts {
		if r.Index >= a.report.Size {
			continue
		}
		asked[r.Index] = nil
		leaves, err := a.hashes.Entries(ctx, r.Index/TileWidth)
		if err != nil || r.Index%TileWidth >= uint64(len(leaves)) {
			continue // which is a finding already
		}
		if leaf, err := entry.ParseLeaf(leaves[r.Index%TileWidth]); err == nil { // the record's leaf, whatever the receipt's is
			if e, ok := leaf.Entry.Body.(*entry.Endorsement); ok {
				asked[r.Index] = &e.After
			}
		}
	}
	if a.o.About != "" {
		for _, e := range a.report.State.Endorsements(a.o.About) {
			asked[e.Index] = &e.After
		}
	}
	return asked
}

// bound finds the bounds of the entries that were asked about.
func (a *auditor) bound(ctx context.Context, c *SignedCheckpoint) {
	for index, after := range a.asked(ctx) {
		if ctx.Err() != nil {
			return
		}
		b := Bounds{NoLater: a.policy.NoLater(c), Size: c.Size}
		if size, ok := a.covering(ctx, index); ok {
			_, first, err := a.checkPast(ctx, CheckpointPath(size), size)
			if err == nil {
				if t := a.policy.NoLater(first); !t.IsZero() {
					b.NoLater, b.Size = t, size
				}
			} else if a.o.Covering != nil { // else it was among the Paths, and is a finding already
				a.pastBroken(size, err)
			}
		}
		if after != nil && after.Size >= 1 && after.Size <= index {
			// A note that cannot be had, or is another one, is a finding already (compare).
			if hash, quoted, err := a.checkPast(ctx, CheckpointPath(after.Size), after.Size); err == nil && hash == after.Note {
				b.NotBefore = a.policy.NotBefore(quoted)
			}
		}
		a.report.bounds[index] = b
	}
}

// covering returns the size of the first published checkpoint that covers an entry, as far as the source can tell. A source
// that names a later one makes the entry look younger than it is, and can do no more.
func (a *auditor) covering(ctx context.Context, index uint64) (size uint64, ok bool) {
	if a.o.Covering != nil {
		size, ok = a.o.Covering(ctx, index)
	} else {
		for _, path := range a.o.Paths {
			if n, isPast := pastSize(path); isPast && path == CheckpointPath(n) && n > index && (!ok || n < size) {
				size, ok = n, true
			}
		}
	}
	return size, ok && size > index && size <= a.report.Size
}

// noDate stands in auditor.dates for a leaf that claims none.
const noDate = math.MinInt32

const secondsOfDay = 24 * 60 * 60

// dayOf returns a date as days since 1970.
func dayOf(date string) int32 {
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return noDate
	}
	return int32(d.Unix() / secondsOfDay)
}

// misdated holds the date that the signer of an entry claims, in days since 1970, against its bounds, and returns what
// contradicts it, or "". The record's rules let it be off by days, so that this is no fault of the record. A date begins 14
// hours early in the east, and ends 12 hours late in the west.
func misdated(date int64, notBefore, noLater time.Time) string {
	switch begin := time.Unix(date*secondsOfDay, 0); {
	case !notBefore.IsZero() && notBefore.After(begin.Add(36*time.Hour+slack)):
		return fmt.Sprintf("was signed after %s, because it quotes a copy of the record that was seen then", second(notBefore))
	case !noLater.IsZero() && noLater.Before(begin.Add(-14*time.Hour-slack)):
		return fmt.Sprintf("was in the record by %s", second(noLater))
	}
	return ""
}

// span is when the published note of a size came to be, at the earliest and at the latest.
type span struct {
	size     uint64
	from, to time.Time
	seen     time.Time // Policy.NoLater
	note     []byte    // nil: the one at CheckpointPath
	stamp    uint64    // index of the time stamp that says so; 0: those who signed the note do
	compared bool      // with the entries that it holds
}

// noStamp stands in auditor.stamps for a leaf that says nothing.
const noStamp = math.MinInt64

// between holds the times of the entries against those of the published notes before and after them: an entry after a note
// cannot be older than the note, nor one under it younger. Each one that is, is named; so is, by one of the two, one that quotes a
// note which is younger than the first that holds it.
func (a *auditor) between(ctx context.Context) {
	slices.SortStableFunc(a.spans, func(x, y span) int { return cmp.Compare(x.size, y.size) })
	n := uint64(len(a.stamps))
	wrong := func(index uint64, s *span, sentence string) {
		a.find(CodeContradiction, &index, "", fmt.Sprintf(sentence, index, s.size))
		a.convictTime(ctx, index, *s)
		a.lasting = true
	}
	var before *span // of those that do not hold an entry, the last to have come to be
	for i := range a.spans {
		s := &a.spans[i]
		if before == nil || s.from.After(before.from) {
			before = s
		}
		end := n
		if i+1 < len(a.spans) {
			end = min(n, a.spans[i+1].size)
		}
		since := before.from.Add(-slack).UnixMilli()
		for index := s.size; index < end; index++ {
			if since > a.stamps[index] && a.stamps[index] != noStamp {
				wrong(index, before, "Entry %d says that it was recorded before the copy of the record of size %d was signed, which does not hold it.")
			}
		}
	}
	var holds, seen *span // of those that hold an entry, the first to have come to be, and to have been seen
	for i := len(a.spans) - 1; i >= 0; i-- {
		s := &a.spans[i]
		if !s.compared && (holds == nil || s.to.Before(holds.to)) {
			holds = s
		}
		if !s.compared && !s.seen.IsZero() && (seen == nil || s.seen.Before(seen.seen)) {
			seen = s
		}
		if holds == nil {
			continue
		}
		begin := uint64(0)
		if i > 0 {
			begin = a.spans[i-1].size
		}
		until := holds.to.Add(slack).UnixMilli()
		for index := min(s.size, n); index > begin; index-- {
			if seen != nil {
				a.dated(index-1, a.dates[index-1], time.Time{}, seen.seen)
			}
			if until < a.stamps[index-1] {
				if holds.stamp > 0 {
					i := index - 1
					a.find(CodeContradiction, &i, "", fmt.Sprintf("Entry %d says that it was recorded after the copy of the record of size %d, which holds it, was stamped, as entry %d shows.", i, holds.size, holds.stamp))
					continue
				}
				wrong(index-1, holds, "Entry %d says that it was recorded after the copy of the record of size %d was signed, which holds it.")
			}
		}
	}
	a.spans = slices.DeleteFunc(a.spans, func(s span) bool { return s.size < n })
	for i := range a.spans {
		a.spans[i].compared = true
	}
}

// dated remarks on an entry whose signer claims a date, in days since 1970, that its bounds do not allow.
func (a *auditor) dated(index uint64, date int32, notBefore, noLater time.Time) {
	if date == noDate {
		return
	}
	if why := misdated(int64(date), notBefore, noLater); why != "" {
		a.remark(&index, fmt.Sprintf("Entry %d is dated %s by its signer, but %s.", index, day(time.Unix(int64(date)*secondsOfDay, 0)), why))
	}
}

// remark adds a remark. It may be called from any goroutine.
func (a *auditor) remark(index *uint64, sentence string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.report.Remarks) >= 10*MaxFindings {
		a.report.UnlistedRemarks++
		return
	}
	a.report.Remarks = append(a.report.Remarks, Remark{index, sentence})
}
