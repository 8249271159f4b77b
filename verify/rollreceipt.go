package verify

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// sealed returns what the receipt's leaf seals, nil if it is no roll's.
func (r *Receipt) sealed() *entry.Roll {
	leaf, err := entry.ParseLeaf(r.Leaf)
	if err != nil {
		return nil
	}
	b, _ := leaf.Entry.Body.(*entry.Roll)
	return b
}

// IsRoll reports whether this is the receipt of a sealed list.
func (r *Receipt) IsRoll() bool { return r.sealed() != nil }

func compareHashes(a, b []byte) int {
	x, y := sha256.Sum256(a), sha256.Sum256(b)
	return bytes.Compare(x[:], y[:])
}

// question is what binds a domain to the roll that it is asked of.
func question(domain string, leaf []byte) [32]byte {
	h := LeafHash(leaf)
	return sha256.Sum256(slices.Concat([]byte("undersigned/roll-question/v1\n"+domain+"\n"), h[:]))
}

// parseSealed takes one item of a roll receipt and returns what is wrong with it, or "". Their order is held to by printing
// the receipt again.
func (r *Receipt) parseSealed(item byte, d *extraReader) string {
	if item == itemQuestion {
		size := d.take(1)
		if size == nil || r.Domain != "" {
			return "it asks about one domain at most"
		}
		domain, sum := d.take(int(size[0])), d.take(sha256.Size) // which is held to what printing gives
		if sum == nil || keys.CheckDomain(string(domain)) != nil {
			return "the domain asked about must be a domain"
		}
		r.Domain = string(domain)
		return ""
	}
	var p roll.Placed
	if item == itemPlaced {
		at := d.take(8)
		if at == nil {
			return "the extra data end inside a line"
		}
		p.At = binary.BigEndian.Uint64(at)
	}
	var err error
	if p.Line, err = roll.ParseLine(d.leaf()); err != nil {
		return "a line must be one of a roll"
	}
	if item == itemLine {
		r.Lines = append(r.Lines, p.Line)
		return ""
	}
	count := d.take(1)
	if count == nil || count[0] > maxProof || len(r.Placed) == 2 {
		return "there are at most two lines with proofs, of at most 64 hashes"
	}
	for range count[0] {
		h := d.take(HashSize)
		if h == nil {
			return "the extra data end inside a proof"
		}
		p.Proof = append(p.Proof, [32]byte(h))
	}
	r.Placed = append(r.Placed, p)
	return ""
}

// appendSealed appends what a roll receipt has beside others.
func (r *Receipt) appendSealed(b []byte) []byte {
	for _, l := range r.Lines {
		b = appendLeaf(append(b, itemLine), l.Bytes())
	}
	for _, p := range r.Placed {
		if len(p.Proof) > math.MaxUint8 {
			panic("verify: a proof is longer than 255 hashes")
		}
		b = binary.BigEndian.AppendUint64(append(b, itemPlaced), p.At)
		b = append(appendLeaf(b, p.Bytes()), byte(len(p.Proof)))
		for _, h := range p.Proof {
			b = append(b, h[:]...)
		}
	}
	if r.Domain != "" {
		if len(r.Domain) > math.MaxUint8 {
			panic("verify: a domain is longer than 255 bytes")
		}
		sum := question(r.Domain, r.Leaf)
		b = append(append(append(b, itemQuestion, byte(len(r.Domain))), r.Domain...), sum[:]...)
	}
	for _, n := range r.Notes {
		b = appendNote(b, n)
	}
	return b
}

// Prefer returns the note under which a roll receipt says most: the first of those that the policy takes on which it takes somebody's
// word for a replay (Replayed), or the first that it takes, or the last. There is at least one.
func (p *Policy) Prefer(notes ...[]byte) []byte {
	taken := notes[len(notes)-1:]
	for i := len(notes) - 1; i >= 0; i-- {
		if _, err := p.Open(notes[i]); err == nil {
			taken = notes[i:]
		}
	}
	for _, note := range notes {
		if c, err := p.Open(note); err == nil && len(p.Replayed(c)) > 0 {
			return note
		}
	}
	return taken[0]
}

// A RollSource is what roll receipts are made of: a record that was folded, all of it.
type RollSource struct {
	State *roll.State
	// Leaf returns the leaf at an index, Note the first published note of a tree size.
	Leaf func(index uint64) ([]byte, error)
	Note func(size uint64) ([]byte, error)
	// Nodes are those of the tree of Checkpoint.
	Nodes NodeReader
	// Checkpoint is the note that every proof leads to.
	Checkpoint []byte
}

// MakeRollReceipt puts together the receipt of the sealed list at an index. With a domain it proves that
// the list has it, or that it has not, and holds that organization's last word, when there is one; else it holds all lines. In the
// latter case it holds the endorsements too, and what they quote, as long as the file does not become larger than MaxReceipt;
// whole is false if it had to leave out some of that. The error is ErrTooLarge if there is no such file.
func MakeRollReceipt(s RollSource, index uint64, domain string) (r *Receipt, whole bool, err error) {
	r, err = MakeReceipt(index, nil, nil, s.Checkpoint, s.Leaf, s.Nodes)
	if err != nil {
		return nil, false, err
	}
	b := r.sealed()
	if b == nil {
		return nil, false, fmt.Errorf("entry %d is no sealed list", index)
	}
	lines := s.State.Lines(b.Statement, b.AsOf)
	if roll.CheckAll(b, lines) != nil {
		return nil, false, fmt.Errorf("entry %d does not list those who stood behind the statement", index)
	}
	if domain != "" {
		if err := keys.CheckDomain(domain); err != nil {
			return nil, false, err
		}
		r.Domain = domain
		var present bool
		if r.Placed, present = roll.Prove(lines, domain); !present {
			lines = nil
			if last, ok := s.State.LastWord(domain, b.Statement, b.AsOf); ok {
				lines = []roll.Line{{Domain: domain, Index: last.Index}}
			}
		} else {
			lines = []roll.Line{r.Placed[0].Line}
		}
	} else {
		r.Lines = lines
	}
	bare := *r
	switch err := r.support(s, b, lines); {
	case errors.Is(err, ErrTooLarge) && domain == "":
	case err != nil:
		return nil, false, err
	case domain != "" || len(r.Bytes()) <= MaxReceipt:
		return r, true, nil
	default:
		if r.Notes = nil; len(r.Bytes()) <= MaxReceipt {
			return r, false, nil
		}
	}
	if err := bare.support(s, b, nil); err != nil {
		return nil, false, err
	}
	if len(bare.Bytes()) > MaxReceipt {
		return nil, false, fmt.Errorf("%w: ask about one organization", ErrTooLarge)
	}
	return &bare, false, nil
}

// ErrTooLarge says that a roll receipt would be larger than MaxReceipt.
var ErrTooLarge = errors.New("this is too long for one file")

// support adds the entries that lines name, what those need beside them, and the publication of the statement.
func (r *Receipt) support(s RollSource, b *entry.Roll, lines []roll.Line) error {
	st, _ := s.State.Statement(b.Statement)
	wanted := map[uint64]bool{st.Index: true}
	notes := map[uint64]bool{}
	for _, l := range lines {
		raw, err := s.Leaf(l.Index)
		if err != nil {
			return err
		}
		leaf, err := entry.ParseLeaf(raw)
		if err != nil {
			return err
		}
		wanted[l.Index] = true
		for _, i := range s.State.Support(l.Index, leaf.Entry) {
			wanted[i] = true
		}
		if e, ok := leaf.Entry.Body.(*entry.Endorsement); ok {
			notes[e.After.Size] = true
		}
	}
	text, _, err := splitNote(s.Checkpoint)
	if err != nil {
		return err
	}
	c, err := ParseCheckpoint(text)
	if err != nil {
		return err
	}
	size := 0
	for _, i := range slices.Sorted(maps.Keys(wanted)) {
		add := Support{Index: i}
		if add.Leaf, err = s.Leaf(i); err != nil {
			return err
		}
		if add.Proof, err = Inclusion(i, c.Size, s.Nodes); err != nil {
			return err
		}
		if size += len(add.Leaf) + HashSize*len(add.Proof); size > MaxReceipt {
			return ErrTooLarge
		}
		r.Support = append(r.Support, add)
	}
	for _, size := range slices.Sorted(maps.Keys(notes)) {
		n, err := s.Note(size)
		if err != nil {
			return err
		}
		r.Notes = append(r.Notes, n)
	}
	slices.SortFunc(r.Notes, compareHashes)
	return nil
}

// boundRoll is a roll receipt all parts of which are bound to its checkpoint.
type boundRoll struct {
	*entry.Roll
	leaf    *entry.Leaf
	present bool      // Domain is on the list
	line    roll.Line // its line, if it is
	title   string    // of the statement; "" if its publication is not at hand
	// words are the endorsement entries at hand, by domain: those that the list names, or the withdrawal of Domain.
	words map[string]*word
}

// word is an endorsement entry in a roll receipt, as a receipt of its own.
type word struct {
	receipt *Receipt
	bound   *bound
	body    *entry.Endorsement
}

// bindRoll proves every part of a roll receipt under its checkpoint, as bind does.
func bindRoll(r *Receipt, c *SignedCheckpoint) (*boundRoll, *problem) {
	leaf, p := bindLeaf(r.Leaf, r.Index, r.Proof, c)
	if p != nil {
		return nil, p
	}
	b := &boundRoll{Roll: leaf.Entry.Body.(*entry.Roll), leaf: leaf, words: make(map[string]*word)}
	if why := madeWrong(r.Index, leaf); why != "" {
		return nil, contradictory("The record contradicts itself: of entry %d, %s.", r.Index, why)
	}
	named := make(map[string]roll.Line) // those whose endorsement may be at hand
	switch {
	case r.Domain == "" && len(r.Placed) == 0 && (len(r.Lines) > 0 || b.Count == 0):
		if roll.CheckAll(b.Roll, r.Lines) != nil {
			return nil, contradictory("This receipt contradicts itself: its list is not the one that the record seals.")
		}
		for _, l := range r.Lines {
			named[l.Domain] = l
		}
	case r.Domain == "" && len(r.Placed) == 0: // of the list as a whole, and nobody on it
	case r.Domain != "" && len(r.Lines) == 0 && roll.CheckPresent(b.Roll, r.Domain, r.Placed) == nil:
		b.present, b.line = true, r.Placed[0].Line
		named[r.Domain] = b.line
	case r.Domain != "" && len(r.Lines) == 0 && roll.CheckAbsent(b.Roll, r.Domain, r.Placed) == nil:
	default:
		return nil, contradictory("This receipt contradicts itself: it does not prove from the list that the record seals what it says of %s.", display(cmp.Or(r.Domain, "it")))
	}
	for _, l := range slices.Concat(r.Lines, placedLines(r.Placed)) {
		if l.Index >= b.Size { // then it is no endorsement that could have been counted
			return nil, contradictory("The record contradicts itself: the list that entry %d seals names entry %d, which is not before it.", r.Index, l.Index)
		}
	}
	return b, b.support(r, c, named)
}

func placedLines(placed []roll.Placed) (lines []roll.Line) {
	for _, p := range placed {
		lines = append(lines, p.Line)
	}
	return lines
}

// support binds the supporting leaves of a roll receipt. Each must serve one of its endorsements, or name the statement.
func (b *boundRoll) support(r *Receipt, c *SignedCheckpoint, named map[string]roll.Line) *problem {
	nothing := func() *problem { return contradictory("This receipt holds an entry that has nothing to do with it.") }
	used := make([]bool, len(r.Support))
	about := make(map[string][]int) // supporting leaves by the member that they are about
	var publication []int
	var words []int
	for i, s := range r.Support {
		l, err := entry.ParseLeaf(s.Leaf)
		if err != nil || s.Index >= r.Index {
			return nothing()
		}
		switch body := l.Entry.Body.(type) {
		case *entry.Statement:
			if body.Action != entry.Publish || body.Statement != b.Statement || b.title != "" {
				return nothing()
			}
			if _, p := bindLeaf(s.Leaf, s.Index, s.Proof, c); p != nil {
				return p
			}
			b.title, used[i] = body.Title, true
			publication = append(publication, i)
		case *entry.Membership:
			about[body.Member] = append(about[body.Member], i)
		case *entry.KeyEvent:
			about[body.Member] = append(about[body.Member], i)
		case *entry.Endorsement:
			words = append(words, i)
		default:
			return nothing()
		}
	}
	notes := make(map[entry.Hash][]byte)
	for _, n := range r.Notes {
		notes[entry.Sum(n)] = n
	}
	quoted := make(map[entry.Hash]bool)
	for _, i := range words {
		s := r.Support[i]
		l, p := bindLeaf(s.Leaf, s.Index, s.Proof, c)
		if p != nil {
			return p
		}
		e, body := l.Entry, l.Entry.Body.(*entry.Endorsement)
		line, listed := named[e.Signer]
		withdrawal := !b.present && e.Signer == r.Domain && body.Action == entry.Withdraw
		if body.Statement != b.Statement || l.Admitted.After(b.AsOf) || b.words[e.Signer] != nil ||
			!(listed && line.Index == s.Index && line.ID == e.ID() && body.Action == entry.Endorse) && !withdrawal {
			return nothing()
		}
		own := &Receipt{Index: s.Index, Leaf: s.Leaf, Proof: s.Proof, After: notes[body.After.Note], Checkpoint: r.Checkpoint}
		quoted[body.After.Note] = true
		for _, j := range slices.Sorted(slices.Values(slices.Concat(publication, about[e.Signer]))) {
			if r.Support[j].Index < s.Index {
				own.Support = append(own.Support, r.Support[j])
				used[j] = true
			}
		}
		bound, p := bind(own, c)
		if p != nil {
			return p
		}
		used[i] = true
		b.words[e.Signer] = &word{own, bound, body}
	}
	if slices.Contains(used, false) || len(quoted) < len(notes) {
		return nothing()
	}
	for h := range notes {
		if !quoted[h] {
			return nothing()
		}
	}
	return nil
}
