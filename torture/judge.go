package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// A judge keeps a copy of a record, of which it has recomputed every hash and every rule, and holds
// what a server serves and what was acknowledged to it.
type judge struct {
	*record
	leaves   [][]byte
	levels   [][][32]byte // hashes of all perfect subtrees, by level
	state    *roll.State
	ids      []entry.Hash // by index
	admitted []time.Time

	mu      sync.Mutex
	seen    map[uint64]*verify.SignedCheckpoint // by size: every checkpoint that anybody was shown
	unheld  []uint64                            // sizes in seen that were not held to the tree yet
	checked int                                 // receipts in the book before this one were checked in full

	// patient: entries that were acknowledged with 202 may wait for their checkpoint still. They are in late.
	patient bool
	late    []*ack
}

func newJudge(r *record) *judge {
	return &judge{record: r, state: roll.New(origin), seen: make(map[uint64]*verify.SignedCheckpoint)}
}

func (j *judge) size() uint64 { return uint64(len(j.leaves)) }

// see takes up a checkpoint that the log's keys signed.
func (j *judge) see(c *verify.SignedCheckpoint) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before, ok := j.seen[c.Size]
	switch {
	case !ok:
		j.seen[c.Size] = c
		j.unheld = append(j.unheld, c.Size)
	case before.Root != c.Root:
		j.fork("two roots of size %d were signed", c.Size)
	case !bytes.Equal(before.Note, c.Note) && j.fleet == nil: // witnesses cosign afresh what is published
		j.fault("two notes of size %d were published", c.Size)
	}
}

// append adds a leaf to the copy.
func (j *judge) append(leaf []byte) {
	h := verify.LeafHash(leaf)
	j.leaves = append(j.leaves, leaf)
	for level := 0; ; level++ {
		if level == len(j.levels) {
			j.levels = append(j.levels, nil)
		}
		j.levels[level] = append(j.levels[level], h)
		n := len(j.levels[level])
		if n%2 == 1 {
			return
		}
		h = verify.NodeHash(j.levels[level][n-2], j.levels[level][n-1])
	}
}

func (j *judge) root(size uint64) ([32]byte, error) {
	return verify.RootAt(size, func(level uint, index uint64) ([32]byte, error) { return j.levels[level][index], nil })
}

// catchUp reads what a server has that the copy has not, and holds it, every checkpoint seen and
// every acknowledgement to the copy. Errors are of the server that does not answer; what is wrong
// is counted. What was acknowledged as stored alone (202) is there after the next start, so it is
// before load that a server is judged.
func (j *judge) catchUp(ctx context.Context, c *child) error {
	note, err := c.get(ctx, "checkpoint")
	if err != nil {
		return err
	}
	signed, err := j.policy.Open(note)
	if err != nil {
		j.fault("the checkpoint is not one: %v", err)
		return nil
	}
	j.see(signed)
	if signed.Size < j.size() {
		j.loss("the record has %d entries, and had %d", signed.Size, j.size())
		return nil
	}
	for from := j.size() / verify.TileWidth * verify.TileWidth; from < signed.Size; from += verify.TileWidth {
		if err := j.bundle(ctx, c, from, signed.Size); err != nil {
			return err
		}
		if j.wrong() {
			return nil
		}
	}
	j.checkSeen()
	if !j.wrong() {
		j.checkBook()
	}
	j.brief()
	return nil
}

// bundle reads one entry bundle; what the copy has of it must be the same.
func (j *judge) bundle(ctx context.Context, c *child, from, size uint64) error {
	tile := verify.Tile{Level: -1, Index: from / verify.TileWidth, Width: int(min(size-from, verify.TileWidth))}
	b, err := c.get(ctx, tile.Path())
	if err != nil {
		return err
	}
	leaves, err := verify.SplitBundle(b, tile.Width)
	if err != nil {
		j.fault("%s: %v", tile.Path(), err)
		return nil
	}
	for i, leaf := range leaves {
		index := from + uint64(i)
		if index < j.size() {
			if !bytes.Equal(leaf, j.leaves[index]) {
				j.loss("entry %d is not what it was", index)
			}
			continue
		}
		if err := j.state.Apply(index, leaf); err != nil {
			j.fault("entry %d: %v", index, err)
			return nil
		}
		l, err := entry.ParseLeaf(leaf)
		if err != nil {
			j.fault("entry %d: %v", index, err)
			return nil
		}
		if index > 0 && l.Admitted.Before(j.admitted[index-1]) {
			j.fault("entry %d was admitted at %v, the one before at %v", index, l.Admitted, j.admitted[index-1])
		}
		j.append(bytes.Clone(leaf))
		j.ids = append(j.ids, l.Entry.ID())
		j.admitted = append(j.admitted, l.Admitted)
	}
	return nil
}

// checkSeen holds the checkpoints that were seen since to the copy.
func (j *judge) checkSeen() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, size := range j.unheld {
		if size > j.size() {
			j.loss("a checkpoint of size %d was published; the record has %d entries now", size, j.size())
			continue
		}
		if root, err := j.root(size); err != nil || root != j.seen[size].Root {
			j.fork("the root of size %d that was signed is not that of the record", size)
		}
	}
	j.add(&j.checkpoints, len(j.unheld))
	j.unheld = j.unheld[:0]
}

// checkBook holds what was acknowledged since to the copy.
func (j *judge) checkBook() {
	b := &j.book
	b.mu.Lock()
	defer b.mu.Unlock()
	todo := append(j.late, b.acks[b.next:]...)
	j.late, b.next = nil, len(b.acks)
	for _, a := range todo {
		switch {
		case a.Index >= j.size() && a.Status == http.StatusAccepted && j.patient:
			j.late = append(j.late, a)
		case a.Index >= j.size():
			j.loss("entry %d was acknowledged (status %d); the record has %d entries", a.Index, a.Status, j.size())
		case j.ids[a.Index] != a.ID:
			j.loss("entry %d is another one than was acknowledged (status %d)", a.Index, a.Status)
		case j.admitted[a.Index].Format(entry.TimeFormat) != a.Admitted:
			j.fault("entry %d was admitted at %s, as acknowledged, and at %v", a.Index, a.Admitted, j.admitted[a.Index])
		case a.Receipt != "":
			if err := j.receipt(a); err != nil {
				j.fault("the receipt of entry %d: %v", a.Index, err)
			}
			j.add(&j.receipts, 1)
		}
	}
}

// receipt checks a receipt by the law for outsiders, and against the copy.
func (j *judge) receipt(a *ack) error {
	r, err := verify.ParseReceipt([]byte(a.Receipt))
	if err != nil {
		return err
	}
	if r.Index != a.Index || !bytes.Equal(r.Leaf, j.leaves[a.Index]) {
		return fmt.Errorf("it is of another entry")
	}
	c, err := j.policy.Open(r.Checkpoint)
	if err != nil {
		return err
	}
	if c.Size > j.size() {
		j.loss("a receipt has a checkpoint of size %d; the record has %d entries now", c.Size, j.size())
		return nil
	}
	if root, err := j.root(c.Size); err != nil || root != c.Root {
		j.fork("the root of size %d in a receipt is not that of the record", c.Size)
		return nil
	}
	if err := verify.CheckInclusion(verify.LeafHash(r.Leaf), r.Index, c.Size, r.Proof, c.Root); err != nil {
		return err
	}
	l, err := entry.ParseLeaf(r.Leaf)
	if err != nil {
		return err
	}
	if e, ok := l.Entry.Body.(*entry.Endorsement); ok && e.Action == entry.Endorse {
		v := verify.Judge(verify.Input{Policy: j.policy, Receipt: r, Statement: []byte(statement), Now: time.Now()})
		if v.Code != verify.CodeOK {
			return fmt.Errorf("code %d: %s", v.Code, v.Sentence)
		}
	}
	return nil
}

// brief tells the members where the record stands.
func (j *judge) brief() {
	h := entry.Sum([]byte(statement))
	for _, m := range j.members {
		_, m.known = j.state.Member(m.domain)
		m.previous, m.endorses, m.doubtful = nil, false, false
		if e, ok := j.state.Endorsement(m.domain, h); ok {
			m.previous, m.endorses = &e.ID, e.Action == entry.Endorse
		}
	}
}

// everything reads the whole record anew, every published note that was ever seen and the receipt of
// a sample of entries, and holds them to the copy. catchUp must have gone before.
func (j *judge) everything(ctx context.Context, c *child) error {
	if err := j.served(ctx, c, j.size()); err != nil {
		return err
	}
	var anew []*ack
	for _, a := range j.book.acks[j.checked:] {
		if a.Index >= j.size() {
			continue // late
		}
		b, err := c.get(ctx, fmt.Sprintf("api/v1/receipt/%d", a.Index))
		if err != nil {
			return err
		}
		anew = append(anew, &ack{Index: a.Index, Receipt: string(b)})
	}
	j.checked = len(j.book.acks)
	// Meanwhile the ledger may have sealed a list: then these receipts are of a larger record.
	if err := j.catchUp(ctx, c); err != nil || j.wrong() {
		return err
	}
	for _, a := range anew {
		if err := j.receipt(a); err != nil {
			j.fault("the receipt of entry %d, made anew: %v", a.Index, err)
		}
	}
	return nil
}

// served reads every tile and bundle of the first entries, and every published note of those that was ever
// seen, and holds them to the copy.
func (j *judge) served(ctx context.Context, c *child, size uint64) error {
	for tile := range verify.TilesFor(size) {
		if tile.Level == -1 {
			if err := j.bundle(ctx, c, tile.Index*verify.TileWidth, size); err != nil {
				return err
			}
			continue
		}
		b, err := c.get(ctx, tile.Path())
		if err != nil {
			return err
		}
		var want []byte
		for i := range tile.Width {
			h := j.levels[8*tile.Level][tile.Index*verify.TileWidth+uint64(i)]
			want = append(want, h[:]...)
		}
		if !bytes.Equal(b, want) {
			j.fault("%s is not what the entries give", tile.Path())
		}
	}
	for n, signed := range j.seen {
		if n > size {
			continue
		}
		b, err := c.get(ctx, verify.CheckpointPath(n))
		if err != nil {
			return err
		}
		text, _, _ := bytes.Cut(b, []byte("\n\n"))
		if j.fleet == nil && !bytes.Equal(b, signed.Note) || !bytes.HasPrefix(signed.Note, append(text, "\n\n"...)) {
			j.fault("%s is not the note that was published", verify.CheckpointPath(n))
		}
	}
	return nil
}
