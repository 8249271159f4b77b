package verify

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// A Moment is what a list is asked for: a day, which means its end in UTC, or a time to the millisecond.
type Moment struct {
	Time time.Time // UTC; what was admitted up to it counts
	Day  bool      // Time is the last millisecond of the day that was asked for
}

// ParseMoment reads a day, "2024-06-11", or a time in UTC, "2024-06-11T12:00:00Z" or "2024-06-11T12:00:00.000Z".
// Errors are *FormatError.
func ParseMoment(text string) (Moment, error) {
	if t, err := time.Parse(entry.DateFormat, text); err == nil {
		return Moment{t.AddDate(0, 0, 1).Add(-time.Millisecond), true}, nil
	}
	for _, form := range []string{secondFormat, entry.TimeFormat} {
		// time.Parse takes fractions of a second that the form does not have, and a comma before them.
		if t, err := time.Parse(form, text); err == nil && t.Format(form) == text {
			return Moment{t, false}, nil
		}
	}
	return Moment{}, malformed(whatMoment, 0, "it must be a day, such as 2024-06-11, or a time in UTC, such as 2024-06-11T12:00:00Z")
}

// Begin returns the first time that the moment can mean: the beginning of a day, or the time itself.
func (m Moment) Begin() time.Time {
	if m.Day {
		return m.Time.UTC().Truncate(24 * time.Hour)
	}
	return m.Time
}

const secondFormat = "2006-01-02T15:04:05Z"

// Text returns what ParseMoment reads back as the same Moment, in the shortest form.
func (m Moment) Text() string {
	switch t := m.Time.UTC(); {
	case m.Day:
		return t.Format(entry.DateFormat)
	case t.Nanosecond() == 0:
		return t.Format(secondFormat)
	default:
		return t.Format(entry.TimeFormat)
	}
}

// String returns the moment as people read it: "11 June 2024", or "11 June 2024, 12:00:00 UTC".
func (m Moment) String() string {
	switch t := m.Time.UTC(); {
	case m.Day:
		return day(t)
	case t.Nanosecond() == 0:
		return t.Format("2 January 2006, 15:04:05 UTC")
	default:
		return t.Format("2 January 2006, 15:04:05.000 UTC")
	}
}

// AsOf is a record as it was at a moment.
//
// Which entries count is for the ledger's clock to say, as each entry has it, so that the same record gives everybody the same
// list. Before and After say what of that the witnesses bear out: Before.Size entries had been seen by At, and those from
// After.Size on came later. Between them it is the ledger's word alone.
type AsOf struct {
	At     Moment
	State  *roll.State // of the entries admitted up to At
	Before *Bound      // the last published copy of the record that was seen by At; nil: none
	After  *Bound      // the first one that was signed after At; nil: none
	// In [From, To) are the entries of which nobody but the ledger says on which side of At they came: those between the two
	// bounds. Where the ledger's clock and the witnesses' disagree, those that they disagree about are in it too.
	From, To uint64
	ByLog    bool // the policy asks for no witnesses: the times in Before and After are the ledger's own word
	// Between are those of [From, To) which bear on the list that was asked for: at most MaxBetween, by index.
	Between  []Between
	Unlisted uint64 // how many more there are
}

// A Bound is a published copy of the record, and what a quorum of witnesses says about when it was the newest.
type Bound struct {
	Size uint64
	// Time, UTC: in AsOf.Before it was there no later than this, the end of the second of the cosignature that makes up the quorum; in
	// AsOf.After it was the newest no earlier than this, the begin of such a second, or the log's own time if that is earlier.
	Time      time.Time
	Witnesses []string // the names in the keys of those of the policy that cosigned it, each once
}

// Between is an entry on the list's statement, or one that names an organization on the list, of which no witness says on
// which side of the moment it came.
type Between struct {
	roll.Mark
	Domain  string
	Action  entry.Action // Endorse, Withdraw, Register or Update
	Counted bool         // by the ledger's clock it came up to the moment: the list has it
}

// MaxBetween bounds the entries that an AsOf lists.
const MaxBetween = 1000

// maxBounds bounds the notes that are looked at on either side of a moment. A record that holds has hardly any
// between the ones that count and the moment.
const maxBounds = 1000

// AsOfOptions says what an AsOf is of.
type AsOfOptions struct {
	At        Moment
	Statement entry.Hash // whose list it is, for Between
	// Sizes are those of which the source has the first published note (CheckpointPath), in any order.
	Sizes []uint64
}

// AsOf folds an audited record again, up to the last entry admitted by a moment, and looks for the published
// notes around it. The policy and fetch are those of the audit, which must be OK. Every entry and note is held against the
// audited root hash, so that a source cannot tell another story the second time. Errors are those of fetch and
// ctx, or *ContradictionError.
func (r *Report) AsOf(ctx context.Context, p *Policy, fetch Fetch, o AsOfOptions) (*AsOf, error) {
	if !r.OK || r.State == nil {
		return nil, errors.New("a record that does not hold was at no moment")
	}
	hashes, err := NewHashReader(ctx, r.checkpoint.Checkpoint, fetch)
	if err != nil {
		return nil, err
	}
	a := &AsOf{At: o.At, State: r.State, ByLog: p.NoQuorum()}
	if r.State.Admitted().After(o.At.Time) {
		if a.State, err = foldUntil(ctx, hashes, o.At.Time); err != nil {
			return nil, err
		}
	}
	b := &bounds{AsOf: a, policy: p, fetch: fetch, hashes: hashes}
	if err := b.find(ctx, r.checkpoint, o.Sizes); err != nil {
		return nil, err
	}
	size := a.State.Size()
	a.From, a.To = 0, r.Size
	if a.Before != nil {
		a.From = min(size, a.Before.Size)
	}
	if a.After != nil {
		a.From, a.To = min(a.From, a.After.Size), max(size, a.After.Size)
	}
	if a.Before != nil {
		a.To = max(a.To, a.Before.Size)
	}
	return a, a.between(ctx, hashes, o.Statement)
}

// foldUntil folds the entries admitted up to a time.
func foldUntil(ctx context.Context, hashes *HashReader, end time.Time) (*roll.State, error) {
	c := hashes.Checkpoint()
	s := roll.New(c.Origin)
	for bundle := uint64(0); s.Size() < c.Size; bundle++ {
		leaves, err := hashes.Entries(ctx, bundle)
		if err != nil {
			return nil, err
		}
		parsed := make([]*entry.Leaf, len(leaves))
		checked := make([]*roll.Signatures, len(leaves))
		onAllCores(len(leaves), func(i int) {
			if l, err := entry.ParseLeaf(leaves[i]); err == nil && !l.Admitted.After(end) {
				parsed[i], checked[i] = l, s.CheckSignatures(l.Entry)
			}
		})
		for i, l := range parsed {
			if l == nil {
				return s, nil // time never goes back in a record that holds
			}
			if err := s.ApplyLeaf(s.Size(), l, checked[i]); err != nil {
				return nil, contradiction("entry %d is not the one that was audited a moment ago", s.Size())
			}
		}
	}
	return s, nil
}

// onAllCores calls f for 0 to n-1.
func onAllCores(n int, f func(i int)) {
	var group sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), n)
	for w := range workers {
		group.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	group.Wait()
}

// bounds looks for the notes around a moment.
type bounds struct {
	*AsOf
	policy *Policy
	fetch  Fetch
	hashes *HashReader
}

// find goes from the size at the moment, by the ledger's clock, up and down to the nearest notes that count.
func (b *bounds) find(ctx context.Context, newest *SignedCheckpoint, sizes []uint64) error {
	sizes = slices.Clone(sizes)
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	last, _ := slices.BinarySearch(sizes, newest.Size+1)
	sizes = sizes[:last] // what was published since the audit is another record's
	size := b.State.Size()
	middle, _ := slices.BinarySearch(sizes, size+1)
	for _, n := range sizes[middle:min(len(sizes), middle+maxBounds)] {
		if err := b.look(ctx, CheckpointPath(n), n); err != nil {
			return err
		}
		if b.After != nil {
			break
		}
	}
	b.weigh(newest)
	down := sizes[max(0, middle-maxBounds):middle]
	for _, n := range slices.Backward(down) {
		if err := b.look(ctx, CheckpointPath(n), n); err != nil {
			return err
		}
		if b.Before != nil {
			break
		}
	}
	// A copy that was cosigned afresh after the moment says that nothing had been added until then.
	if middle > 0 && (b.After == nil || b.After.Size > sizes[middle-1]) {
		n := sizes[middle-1]
		err := b.look(ctx, CheckpointPath(n)+latestSuffix, n)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // an archive has none
			return err
		}
	}
	return nil
}

// look weighs the note at a path. One that bears no signature of the policy's log, such as of a key that was replaced, counts
// for nothing.
func (b *bounds) look(ctx context.Context, path string, size uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	note, err := b.fetch(ctx, path)
	if err != nil {
		return &fetchError{path, err}
	}
	c, err := b.policy.OpenPast(note)
	var untrusted *UntrustedError
	if errors.As(err, &untrusted) {
		return nil
	}
	if err != nil || c.Origin != b.hashes.Checkpoint().Origin || c.Size != size {
		return contradiction("%s is not a checkpoint of this record and size", path)
	}
	root, err := b.hashes.RootAt(ctx, size)
	if err != nil {
		return err
	}
	if root != c.Root {
		return contradiction("%s and the record as it is now disagree about the first %d entries", path, size)
	}
	b.weigh(c)
	return nil
}

// weigh takes a note as a bound if it is a nearer one.
func (b *bounds) weigh(c *SignedCheckpoint) {
	notBefore, notAfter := c.notBefore, c.notAfter
	if !b.ByLog {
		if b.policy.NotBefore(c).IsZero() {
			return // no quorum says when
		}
		notAfter = b.policy.NoLater(c)
	}
	if !notAfter.IsZero() {
		notAfter = notAfter.Add(time.Second - time.Millisecond) // signatures have whole seconds, rounded down
	}
	var witnesses []string
	for _, s := range c.Cosignatures {
		if !slices.Contains(witnesses, s.VKey.Name) {
			witnesses = append(witnesses, s.VKey.Name)
		}
	}
	at := b.At.Time
	if !notAfter.IsZero() && !notAfter.After(at) && (b.Before == nil || c.Size > b.Before.Size) {
		b.Before = &Bound{c.Size, notAfter, witnesses}
	}
	if notBefore.After(at) && (b.After == nil || c.Size < b.After.Size) {
		b.After = &Bound{c.Size, notBefore, witnesses}
	}
}

// between lists what bears on the list of a statement among the entries in [From, To).
func (a *AsOf) between(ctx context.Context, hashes *HashReader, h entry.Hash) error {
	for bundle := a.From / TileWidth; bundle*TileWidth < a.To; bundle++ {
		leaves, err := hashes.Entries(ctx, bundle)
		if err != nil {
			return err
		}
		for i, b := range leaves {
			index := bundle*TileWidth + uint64(i)
			if index < a.From || index >= a.To {
				continue
			}
			l, err := entry.ParseLeaf(b)
			if err != nil {
				return contradiction("entry %d is not the one that was audited a moment ago", index)
			}
			at := Between{Mark: roll.Mark{Index: index, Admitted: l.Admitted.UTC()}, Domain: l.Entry.Signer, Counted: index < a.State.Size()}
			switch body := l.Entry.Body.(type) {
			case *entry.Endorsement:
				if body.Statement != h {
					continue
				}
				at.Action = body.Action
			case *entry.Membership:
				e, ok := a.State.Endorsement(body.Member, h)
				if !ok || e.Action != entry.Endorse || body.Action == entry.Leave {
					continue
				}
				at.Domain, at.Action = body.Member, body.Action
			default:
				continue
			}
			if len(a.Between) == MaxBetween {
				a.Unlisted++
				continue
			}
			a.Between = append(a.Between, at)
		}
	}
	return nil
}
