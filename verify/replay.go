package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// A Replay is an audit that goes on: it follows a record from checkpoint to checkpoint, and reads of each what it has not
// read before. Every entry is read once and held to all that Audit holds it to; what was read stays, whatever happens to a
// step. One goroutine at a time uses it.
type Replay struct {
	origin   string
	o        ReplayOptions
	a        *auditor
	seen     *SignedCheckpoint // the largest that was found to continue those before; nil: none
	contrary *Report           // what the record contradicts itself in, for good; nil: nothing yet
}

// ReplayOptions says what a Replay reads from, and to whom it hands what it has read.
type ReplayOptions struct {
	// Policy says whose signatures on checkpoints count. One whose quorum is not met is a finding, as in an Audit.
	Policy *Policy
	// Fetch reaches the record. It may be called by many goroutines.
	Fetch Fetch
	// Seen, if set, is called with each checkpoint that was found to continue those before, before any entry is read that they do not
	// have. An error ends the step, and is what Advance returns.
	Seen func(c *SignedCheckpoint) error
	// Entry, if set, is called with each admissible entry, in order, when it is folded; raw are the bytes of the leaf. An
	// error ends the step, and is what Advance returns; the entry counts as handed over.
	Entry func(index uint64, raw []byte, leaf *entry.Leaf) error
	// Quoted, if set, is called with each published note that an admissible entry quotes, at least once, when it is found to be
	// the one quoted. It may be called by many goroutines.
	Quoted func(size uint64, note []byte)
	// Progress is as in AuditOptions.
	Progress func(done, total uint64)
}

// replaySlots is how many earlier notes a Replay reads at one time.
const replaySlots = 8

// NewReplay returns a Replay of the record with this origin that has read nothing.
func NewReplay(origin string, o ReplayOptions) *Replay {
	r := &Replay{origin: origin, o: o}
	r.a = &auditor{
		replay: r, policy: o.Policy, fetch: o.Fetch, o: AuditOptions{Progress: o.Progress},
		past:  make(map[uint64]*pastNote),
		slots: make(chan struct{}, replaySlots),
	}
	r.a.report = newReport()
	r.a.report.State = roll.New(origin)
	return r
}

// Seen returns the largest checkpoint that was found to continue those before, nil if there is none. Not all of its entries need
// have been read.
func (r *Replay) Seen() *SignedCheckpoint { return r.seen }

// State returns the folded record as far as it was read.
func (r *Replay) State() *roll.State { return r.a.report.State }

// Remember takes in the note of a checkpoint that an earlier Replay of the same record had seen: what comes must continue it. It is
// for a Replay that has seen nothing. Errors are as from Policy.OpenPast.
func (r *Replay) Remember(note []byte) error {
	c, err := r.o.Policy.OpenPast(note)
	if err != nil {
		return err
	}
	if c.Origin != r.origin {
		return &UntrustedError{"it is a checkpoint of another record"}
	}
	r.seen = c
	return nil
}

// Advance goes on to the checkpoint of a note: it is consistent with all those before, every entry up to it is admissible, and
// so on, as in Audit. What does not hold is in the report, whose findings are about this step, but for a contradiction among the
// entries: no entry is read beyond it, and every later report has it too. A checkpoint that is older than the largest one
// seen is compared with it and no more.
//
// An error says that the record could not be read up to there: the note is not one that the policy takes (*FormatError,
// *UntrustedError), the source does not hold what the checkpoint says (*ContradictionError), or what Fetch, Entry and ctx
// say. Advancing to the same or a later checkpoint goes on where that happened. What could not be had of earlier notes is a finding with
// CodeUnchecked, and looked for again in every step.
func (r *Replay) Advance(ctx context.Context, note []byte) (*Report, error) {
	a := r.a
	state := a.report.State
	a.report, a.halt, a.lasting = newReport(), nil, false
	a.report.State = state
	c, _, err := a.open(note)
	if err != nil {
		return nil, err
	}
	if c.Origin != r.origin {
		return nil, &UntrustedError{"it is a checkpoint of another record"}
	}
	moves, err := r.compare(ctx, c)
	if err != nil {
		return nil, err
	}
	if r.contrary != nil {
		a.report.Findings = append(a.report.Findings, r.contrary.Findings...)
		a.report.Contradictions = append(a.report.Contradictions, r.contrary.Contradictions...)
		return a.conclude(), nil
	}
	if !moves {
		return a.conclude(), nil
	}
	if r.o.Seen != nil {
		if err := r.o.Seen(c); err != nil {
			return nil, err
		}
	}
	r.seen = c
	for _, n := range a.again {
		a.past[n.size] = n
		a.order = append(a.order, n.size)
	}
	again := a.again
	a.again = nil
	for _, n := range again {
		a.start(ctx, n)
	}
	err = a.entries(ctx)
	a.checking.Wait()
	if err == nil && a.report.Beyond == nil {
		a.between(ctx)
		a.latest(c)
		r.remember(c)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var refusal *roll.Inadmissible
	if errors.As(err, &refusal) {
		err = nil
	}
	report := a.conclude()
	if a.lasting || len(report.Contradictions) > 0 {
		r.contrary = report
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return report, nil
}

// Compare holds the checkpoint of a note, whoever else has seen it, to the largest one that this Replay has seen, which must not be
// smaller: otherwise the report is nil, because nothing can be told yet. Nothing is read but hashes. Only the log's signatures count.
// Errors are as from Advance.
func (r *Replay) Compare(ctx context.Context, note []byte) (*Report, error) {
	c, err := r.o.Policy.OpenPast(note)
	if err != nil {
		return nil, err
	}
	if c.Origin != r.origin {
		return nil, &UntrustedError{"it is a checkpoint of another record"}
	}
	if r.seen == nil || c.Size > r.seen.Size {
		return nil, nil
	}
	a := r.a
	state := a.report.State
	a.report = newReport()
	a.report.State, a.report.Origin, a.report.Size = state, c.Origin, c.Size
	if _, err := r.compare(ctx, c); err != nil {
		return nil, err
	}
	return a.conclude(), nil
}

// compare holds a checkpoint to the largest one seen, and returns whether it is to be read up to.
func (r *Replay) compare(ctx context.Context, c *SignedCheckpoint) (moves bool, err error) {
	a := r.a
	larger, smaller := c, r.seen
	if smaller != nil && smaller.Size > c.Size {
		larger, smaller = smaller, c
	}
	if smaller != nil && smaller.Size == larger.Size && smaller.Root != larger.Root {
		a.convict(Contradict(a.policy.vkeys(), smaller.Note, larger.Note, nil))
		a.find(CodeContradiction, nil, "", fmt.Sprintf("There are two different signed copies of the record of size %d.", larger.Size))
		return false, nil
	}
	if a.hashes == nil || a.hashes.checkpoint != larger.Checkpoint {
		hashes, err := NewHashReader(ctx, larger.Checkpoint, a.fetch)
		if err != nil {
			return false, err
		}
		a.hashes = hashes
	}
	a.report.checkpoint = larger
	if smaller == nil || smaller.Size == larger.Size {
		return true, nil
	}
	root, err := a.hashes.RootAt(ctx, smaller.Size)
	if err != nil {
		return false, err
	}
	if root == smaller.Root && smaller != c {
		return true, nil
	}
	// That a witness has signed an old note again says nothing about the ledger: it is the log's own signature that counts.
	switch {
	case root != smaller.Root:
		a.convict(Contradict(a.policy.vkeys(), smaller.Note, larger.Note, a.hashes.nodes(ctx)))
		a.find(CodeContradiction, nil, "", fmt.Sprintf("The signed copy of the record of size %d does not continue the signed one of size %d.", larger.Size, smaller.Size))
	case a.convictBack(larger.Note, smaller.Note):
		a.find(CodeContradiction, nil, "", fmt.Sprintf("The ledger signed a copy of the record of size %d as its newest after one of size %d.", smaller.Size, larger.Size))
	}
	return false, nil
}

// remember keeps when a checkpoint was there, for the entry that follows it.
func (r *Replay) remember(c *SignedCheckpoint) {
	from := c.notBefore
	if !c.quorum || from.IsZero() || slices.ContainsFunc(r.a.spans, func(s span) bool { return s.size == c.Size }) {
		return
	}
	r.a.spans = append(r.a.spans, span{size: c.Size, from: from, note: c.Note, compared: true})
}

// admitted hands on an entry.
func (r *Replay) admitted(index uint64, raw []byte, leaf *entry.Leaf) error {
	if r.o.Entry == nil {
		return nil
	}
	return r.o.Entry(index, raw, leaf)
}

// quoted hands on a note that is the one quoted, and has any other looked for again.
func (r *Replay) quoted(n *pastNote, q quote) {
	a := r.a
	a.mu.Lock()
	if n.hash != q.after.Note && !q.about {
		a.lookAgain(&pastNote{size: n.size, quotes: []quote{q}})
		a.mu.Unlock()
		return
	}
	note := n.note
	n.note = nil
	a.mu.Unlock()
	if note != nil && r.o.Quoted != nil {
		r.o.Quoted(n.size, note)
	}
}

// lookAgain has a note read again in the next step, for those that quote it. The caller holds mu.
func (a *auditor) lookAgain(n *pastNote) {
	if i := slices.IndexFunc(a.again, func(o *pastNote) bool { return o.size == n.size }); i >= 0 && a.again[i] != n {
		a.again[i].quotes = append(a.again[i].quotes, n.quotes...)
	} else if i < 0 {
		a.again = append(a.again, n)
	}
	if a.past[n.size] != nil {
		delete(a.past, n.size)
		a.order = slices.DeleteFunc(a.order, func(size uint64) bool { return size == n.size })
	}
}

// Contrary reports whether the record contradicts itself for good, so that no entry is read any more.
func (r *Replay) Contrary() bool { return r.contrary != nil }
