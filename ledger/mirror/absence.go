package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/tccm/undersigned/ledger"
)

// absence is until when entries are known not to have been in a record, by the clock here: checkpoints came by, each as the ledger's
// newest, that do not hold them.
type absence struct {
	now  func() time.Time
	seen []sighting // by size; those that say something about entries that are not read yet
}

// An absentError says that an entry was not there when it says that it was recorded. Nobody has signed that: a ledger that was cut off
// from here, and whose old checkpoint came by late, looks the same. So nothing is refused for good.
type absentError struct {
	index uint64
	sighting
}

func (e *absentError) Error() string {
	return fmt.Sprintf("entry %d says that it was recorded before the record of size %d, which does not hold it, came by here at %s",
		e.index, e.size, e.at.UTC().Format(time.RFC3339))
}

// sighting is when a checkpoint of a tree size came by first.
type sighting struct {
	size uint64
	at   time.Time
}

const (
	// absentPath is where a Copy keeps an absence, a line for each sighting: tree size and Unix time in milliseconds.
	absentPath = "copy/absent"
	// maxSightings bounds those that are kept. There are several only while a record is being caught up with.
	maxSightings = 64
	// absenceSlack is how much before a checkpoint came by an entry may be dated that it does not hold: what a ledger's clock may be
	// behind, and as much again.
	absenceSlack = 2 * clockSlack
)

func recallAbsence(ctx context.Context, kept *ledger.Copy, now func() time.Time) (*absence, error) {
	a := &absence{now: now}
	b, err := kept.Get(ctx, absentPath)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(b) {
		var s sighting
		var ms int64
		if _, err := fmt.Sscanf(string(line), "%d %d\n", &s.size, &ms); err != nil {
			return nil, fmt.Errorf("%s: %w", absentPath, ledger.ErrCorrupt)
		}
		s.at = time.UnixMilli(ms)
		a.seen = append(a.seen, s)
	}
	return a, nil
}

func (a *absence) bytes() []byte {
	var b []byte
	for _, s := range a.seen {
		b = fmt.Appendf(b, "%d %d\n", s.size, s.at.UnixMilli())
	}
	return b
}

// sight takes in that a checkpoint has come by while so many entries were read.
func (a *absence) sight(size, read uint64) {
	a.seen = slices.DeleteFunc(a.seen, func(s sighting) bool { return s.size < read })
	if len(a.seen) == maxSightings {
		a.seen = slices.Delete(a.seen, maxSightings/2, maxSightings/2+1)
	}
	a.seen = append(a.seen, sighting{size, a.now()})
}

// compare holds an entry to when it was not there yet. Entries are dated in order, so the first that follows a checkpoint tells.
func (a *absence) compare(index uint64, admitted time.Time) error {
	for _, s := range a.seen {
		if index == s.size && admitted.Before(s.at.Add(-absenceSlack)) {
			return &absentError{index, s}
		}
	}
	return nil
}
