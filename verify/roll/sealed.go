package roll

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// roll judges what the log seals: it must say what recomputing gives.
func (t *trial) roll(b *entry.Roll) (func(), error) {
	st := t.s.statements[b.Statement]
	if st == nil {
		return nil, t.refuse(RuleStatement, "the statement %s has not been published", b.Statement)
	}
	if b.Size != t.Index {
		return nil, t.refuse(RuleRoll, "it says that %d entries are before it, and there are %d", b.Size, t.Index)
	}
	if !b.AsOf.Before(t.Admitted) {
		return nil, t.refuse(RuleRoll, "it is as of %s, which is not before its admission", entry.FormatTime(b.AsOf))
	}
	list := t.s.listAsOf(st, b.AsOf.UnixMilli())
	if n := uint64(len(list.rows)); b.Count != n {
		return nil, t.refuse(RuleRoll, "it lists %d who stand behind the statement, and there were %d", b.Count, n)
	}
	if b.Root != list.root() {
		return nil, t.refuse(RuleRoll, "it does not list those who stood behind the statement: its root hash is another one")
	}
	return func() {
		st.sealed = max(st.sealed, b.AsOf.UnixMilli())
		st.rolls = append(st.rolls, sealed{t.Index, t.Admitted.UnixMilli(), b.AsOf.UnixMilli(), b.Count})
	}, nil
}

// evidence judges what the log keeps beside the entries: not whether it proves
// anything, but whether it can be about what it says.
func (t *trial) evidence(b *entry.Evidence) (func(), error) {
	if b.Size < 1 || b.Size > t.Index {
		return nil, t.refuse(RuleEvidence, "it is about a checkpoint of size %d, which cannot have been published before it", b.Size)
	}
	if t.s.stamped[t.id] {
		return nil, t.refuse(RuleEvidence, "it is in the record already")
	}
	return func() {
		t.s.stamped[t.id] = true
		t.s.stamps = append(t.s.stamps, stamp{t.Index, t.Admitted.UnixMilli(), b.Size, t.id})
	}, nil
}

// sealed is one roll of a statement.
type sealed struct {
	index    uint64
	admitted int64 // Unix milliseconds
	asOf     int64 // the same
	count    uint64
}

// stamp is one time-stamp token.
type stamp struct {
	index    uint64
	admitted int64  // Unix milliseconds
	size     uint64 // of the checkpoint
	id       entry.Hash
}

// past is an endorsement entry that another one of the same member has followed.
type past struct {
	record     uint32 // in standings
	renditions uint32 // as in a record
	index      uint64
	admitted   int64 // Unix milliseconds
	id         entry.Hash
	keys       uint32 // in standings.sets
	withdrawn  bool
}

// A ranking is the list of those who stand behind a statement, in the order of
// a roll. Statements have one once a roll is asked for; who holds State.applying
// may read and change it. It takes 36 bytes for each who stands.
type ranking struct {
	rows   []row      // strictly ascending by domain
	chunks [][32]byte // root hashes of the whole chunks of rows
	stale  []bool     // whose hash is not right any more
}

type row struct {
	member uint32
	hash   [32]byte // of the line, as a leaf
}

// A change is what a member's line becomes.
type change struct {
	row
	stands bool
}

const chunkRows = 1 << 10

// lineOf returns a record's line, hashed as a leaf (RFC 6962, section 2.1).
func (s *State) lineOf(member uint32, index uint64, id entry.Hash) row {
	return row{member, Line{s.ordered[member].domain, index, id}.leafHash()}
}

// listAsOf returns who, by the leaves so far that were admitted up to a moment,
// stands behind a statement. It belongs to the state, unless more has happened
// to the statement since. The caller holds applying.
func (s *State) listAsOf(st *statement, asOf int64) *ranking {
	s.rank(st)
	if st.changed <= asOf {
		return st.ranking
	}
	before := lastBefore(st.past, asOf)
	var undo []change
	for _, at := range st.about {
		r := s.standings.at(at)
		if r.admitted <= asOf {
			continue
		}
		p, ok := before[at]
		c := change{row: row{member: r.member}, stands: ok && !p.withdrawn}
		if c.stands {
			c.row = s.lineOf(r.member, p.index, p.id)
		}
		undo = append(undo, c)
	}
	list := &ranking{slices.Clone(st.ranking.rows), slices.Clone(st.ranking.chunks), slices.Clone(st.ranking.stale)}
	list.apply(s, undo)
	return list
}

// lastBefore returns the last past entry of each record that was admitted up to a
// moment.
func lastBefore(pasts []past, asOf int64) map[uint32]past {
	last := make(map[uint32]past)
	for _, p := range pasts {
		if p.admitted <= asOf {
			last[p.record] = p
		}
	}
	return last
}

// rank makes the statement's ranking, or brings it up to date.
func (s *State) rank(st *statement) {
	if st.ranking == nil {
		st.ranking = new(ranking)
		st.moved = slices.Clone(st.about)
	}
	slices.Sort(st.moved)
	st.moved = slices.Compact(st.moved)
	changes := make([]change, len(st.moved))
	inParallel((len(changes)+chunkRows-1)/chunkRows, func(g int) {
		for i := g * chunkRows; i < min(len(changes), (g+1)*chunkRows); i++ {
			r := s.standings.at(st.moved[i])
			if changes[i] = (change{row{member: r.member}, !r.withdrawn}); !r.withdrawn {
				changes[i].row = s.lineOf(r.member, r.index, r.id)
			}
		}
	})
	st.moved = st.moved[:0]
	st.ranking.apply(s, changes)
}

// apply takes in changes, at most one for each member.
func (x *ranking) apply(s *State, changes []change) {
	domain := func(member uint32) string { return s.ordered[member].domain }
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(domain(a.member), domain(b.member)) })
	find := func(rows []row, member uint32) (int, bool) {
		return slices.BinarySearchFunc(rows, member, func(r row, member uint32) int {
			if r.member == member {
				return 0
			}
			return strings.Compare(domain(r.member), domain(member))
		})
	}
	// What only replaces lines moves nothing.
	first := len(x.rows)
	rest := changes[:0:0]
	for _, c := range changes {
		at, found := find(x.rows, c.member)
		switch {
		case found && c.stands:
			x.rows[at].hash = c.hash
			if at/chunkRows < len(x.stale) {
				x.stale[at/chunkRows] = true
			}
		case found != c.stands:
			first = min(first, at)
			rest = append(rest, c)
		}
	}
	if len(rest) == 0 {
		return
	}
	old := slices.Clone(x.rows[first:])
	x.rows = x.rows[:first]
	for _, c := range rest {
		at, found := find(old, c.member)
		x.rows = append(x.rows, old[:at]...)
		old = old[at:]
		if found {
			old = old[1:]
		} else {
			x.rows = append(x.rows, c.row)
		}
	}
	x.rows = append(x.rows, old...)
	kept := min(first/chunkRows, len(x.chunks))
	x.chunks, x.stale = x.chunks[:kept], x.stale[:kept]
}

// root returns the RFC 6962 root hash over the lines.
func (x *ranking) root() [32]byte {
	if len(x.rows) == 0 {
		return sha256.Sum256(nil)
	}
	for len(x.chunks) < len(x.rows)/chunkRows {
		x.chunks, x.stale = append(x.chunks, [32]byte{}), append(x.stale, true)
	}
	inParallel(len(x.chunks), func(i int) {
		if x.stale[i] {
			x.chunks[i] = treeHash(hashes(x.rows[i*chunkRows : (i+1)*chunkRows]))
			x.stale[i] = false
		}
	})
	// Chunks are whole subtrees, whatever follows them.
	nodes := slices.Clone(x.chunks)
	if rest := x.rows[len(x.chunks)*chunkRows:]; len(rest) > 0 {
		nodes = append(nodes, treeHash(hashes(rest)))
	}
	return treeHash(nodes)
}

func hashes(rows []row) [][32]byte {
	h := make([][32]byte, len(rows))
	for i := range rows {
		h[i] = rows[i].hash
	}
	return h
}

// treeHash returns the RFC 6962 root hash over leaf hashes, or over those of
// whole subtrees of one size, of which the last may be incomplete; there is at
// least one. It overwrites them.
func treeHash(nodes [][32]byte) [32]byte {
	for len(nodes) > 1 {
		n := 0
		for i := 0; i < len(nodes); i += 2 {
			if i+1 < len(nodes) {
				nodes[n] = nodeHash(&nodes[i], &nodes[i+1])
			} else {
				nodes[n] = nodes[i]
			}
			n++
		}
		nodes = nodes[:n]
	}
	return nodes[0]
}

func nodeHash(left, right *[32]byte) [32]byte {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// Roll returns the roll of a statement that is admissible as the next leaf, at
// any time after asOf; false if the statement has not been published. Of a
// statement that n stand behind, the first one sorts all n; a later one costs
// n node hashes at most, and few if nobody came or went.
func (s *State) Roll(h entry.Hash, asOf time.Time) (*entry.Roll, bool) {
	s.applying.Lock()
	defer s.applying.Unlock()
	st := s.statements[h]
	if st == nil {
		return nil, false
	}
	list := s.listAsOf(st, asOf.UnixMilli())
	return &entry.Roll{Statement: h, Size: s.size, AsOf: asOf.UTC(), Count: uint64(len(list.rows)), Root: list.root()}, true
}

// readAtOnce is how many records are read while nothing can be applied.
const readAtOnce = 1 << 12

// eachLast calls f with the last word of every member about a statement, in the
// order of their first, until it returns false. What is applied meanwhile may
// show in some of them. Then it returns what these words have followed, which
// has at least what any of them followed when f was called.
func (s *State) eachLast(st *statement, f func(at uint32, r *record) bool) []past {
	s.mu.RLock()
	defer s.mu.RUnlock()
	about := st.about // only ever appended to, as is past
	for i, at := range about {
		if i%readAtOnce == readAtOnce-1 { // whoever applies goes first
			s.mu.RUnlock()
			s.mu.RLock()
		}
		if !f(at, s.standings.at(at)) {
			break
		}
	}
	return st.past
}

// find returns a statement, nil if it has not been published.
func (s *State) find(h entry.Hash) *statement {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.statements[h]
}

// Lines returns who, by the leaves applied that were admitted up to asOf, stands
// behind a statement, strictly ascending by domain: the lines of a roll as of
// then, if it is among the leaves or the next. It is nil for a statement that has not been published.
// It sorts all of them, and keeps nobody from applying meanwhile: what is admitted after asOf changes nothing.
func (s *State) Lines(h entry.Hash, asOf time.Time) []Line {
	st := s.find(h)
	if st == nil {
		return nil
	}
	lines := []Line{}
	type later struct {
		at     uint32
		domain string
	}
	var said []later // something since
	pasts := s.eachLast(st, func(at uint32, r *record) bool {
		domain := s.ordered[r.member].domain
		if r.admitted > asOf.UnixMilli() {
			said = append(said, later{at, domain})
		} else if !r.withdrawn {
			lines = append(lines, Line{domain, r.index, r.id})
		}
		return true
	})
	if len(said) > 0 {
		before := lastBefore(pasts, asOf.UnixMilli())
		for _, l := range said {
			if p, ok := before[l.at]; ok && !p.withdrawn {
				lines = append(lines, Line{l.domain, p.index, p.id})
			}
		}
	}
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Compare(a.Domain, b.Domain) })
	return lines
}

// A Sealed is a roll in the record.
type Sealed struct {
	Mark
	AsOf  time.Time // UTC
	Count uint64
}

// Rolls returns the rolls of a statement, by index.
func (s *State) Rolls(h entry.Hash) []Sealed {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := s.statements[h]
	if st == nil {
		return nil
	}
	views := make([]Sealed, len(st.rolls))
	for i, r := range st.rolls {
		views[i] = r.view()
	}
	return views
}

func (r sealed) view() Sealed {
	return Sealed{Mark{r.index, milli(r.admitted)}, milli(r.asOf), r.count}
}

// SealedAt returns the roll that says, by the first size leaves, who stood behind
// a statement at a moment: the last one as of then or before, if the list was
// still the same at the moment. If there is none, ok is false, and near has
// the nearest ones as of before and after it, as far as they exist.
func (s *State) SealedAt(h entry.Hash, size uint64, moment time.Time) (at Sealed, near []Sealed, ok bool) {
	var before, after *Sealed
	for _, r := range s.Rolls(h) {
		switch {
		case r.Index >= size:
		case !r.AsOf.After(moment):
			if before == nil || !r.AsOf.Before(before.AsOf) {
				before = &r
			}
		case after == nil || r.AsOf.Before(after.AsOf):
			after = &r
		}
	}
	if before != nil {
		if s.same(s.find(h), size, before.AsOf.UnixMilli(), moment.UnixMilli()) {
			return *before, nil, true
		}
		near = append(near, *before)
	}
	if after != nil {
		near = append(near, *after)
	}
	return Sealed{}, near, false
}

// same reports whether the lines of a statement were the same at two moments, by
// the first size leaves.
func (s *State) same(st *statement, size uint64, from, to int64) bool {
	s.mu.RLock()
	changed := st.changed
	s.mu.RUnlock()
	if changed <= from {
		return true
	}
	within := func(index uint64, admitted int64) bool { return index < size && from < admitted && admitted <= to }
	// A line that was there is gone or another one once its member has said something more. One that came must have gone again.
	type word struct{ stood, stands bool }
	moved := make(map[uint32]word)
	endorsed := false
	gone := make(map[uint32]bool)
	pasts := s.eachLast(st, func(at uint32, r *record) bool {
		if within(r.index, r.admitted) {
			endorsed = !r.withdrawn
			moved[at], gone[at] = word{}, true
		}
		return !endorsed
	})
	if endorsed {
		return false
	}
	for _, p := range pasts {
		if within(p.index, p.admitted) {
			moved[p.record] = word{}
		}
	}
	for _, p := range pasts {
		w, ok := moved[p.record]
		switch {
		case !ok:
		case p.index < size && p.admitted <= from:
			w.stood = !p.withdrawn
			moved[p.record] = w
		case within(p.index, p.admitted):
			w.stands = !p.withdrawn
			moved[p.record] = w
		}
	}
	for at, w := range moved {
		if w.stood || w.stands && !gone[at] {
			return false
		}
	}
	return true
}

// A Said is an endorsement entry of a member about a statement.
type Said struct {
	Mark
	ID         entry.Hash
	Action     entry.Action // Endorse or Withdraw
	Keys       []keys.Ref
	Renditions []entry.RenditionRef // as in an Endorsement
	Disputed   bool                 // a key that signed was in doubt at Index (State.Disputed)
}

// LastWord returns the last endorsement entry of a member about a statement
// that was admitted up to asOf; false if there was none.
func (s *State) LastWord(domain string, h entry.Hash, asOf time.Time) (Said, bool) {
	return s.word(domain, h, func(index uint64, admitted int64) bool { return admitted <= asOf.UnixMilli() })
}

// WordBefore is LastWord of the first entries of the record, so many.
func (s *State) WordBefore(domain string, h entry.Hash, size uint64) (Said, bool) {
	return s.word(domain, h, func(index uint64, admitted int64) bool { return index < size })
}

func (s *State) word(domain string, h entry.Hash, before func(index uint64, admitted int64) bool) (said Said, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m, st := s.members[domain], s.statements[h]
	if m == nil || st == nil {
		return Said{}, false
	}
	at, r := s.standings.find(m.id, st.id)
	if r == nil {
		return Said{}, false
	}
	p := r.word(at)
	if !before(p.index, p.admitted) {
		for _, q := range st.past {
			if q.record == at && before(q.index, q.admitted) {
				p, ok = q, true
			}
		}
		if !ok {
			return Said{}, false
		}
	}
	return s.viewSaid(st, p), true
}

// word returns what is kept of a record once another one follows it.
func (r *record) word(at uint32) past {
	return past{at, r.renditions, r.index, r.admitted, r.id, r.keys, r.withdrawn}
}

func (s *State) viewSaid(st *statement, p past) Said {
	said := Said{Mark: Mark{p.index, milli(p.admitted)}, ID: p.id, Action: entry.Endorse, Renditions: st.named(p.renditions)}
	if p.withdrawn {
		said.Action = entry.Withdraw
	}
	said.Keys, said.Disputed = s.signers(p.keys, p.index)
	return said
}

// AllSaid returns every endorsement entry of a member about a statement, the last one too, by index. It looks at all entries about the
// statement that another one of the same member has followed, and keeps nobody from applying meanwhile.
func (s *State) AllSaid(domain string, h entry.Hash) (list []Said) {
	s.mu.RLock()
	m, st := s.members[domain], s.statements[h]
	if m == nil || st == nil {
		s.mu.RUnlock()
		return nil
	}
	at, r := s.standings.find(m.id, st.id)
	if r == nil {
		s.mu.RUnlock()
		return nil
	}
	last, pasts := r.word(at), st.past // which is only ever appended to
	s.mu.RUnlock()
	var own []past
	for _, p := range pasts {
		if p.record == at {
			own = append(own, p)
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range append(own, last) {
		list = append(list, s.viewSaid(st, p))
	}
	return list
}

// signers returns the keys of a set, and whether one of them was in doubt at an index.
func (s *State) signers(set uint32, index uint64) (refs []keys.Ref, disputed bool) {
	for _, id := range s.standings.sets[set] {
		if id == 0 {
			break
		}
		k := s.keysByID[id-1]
		refs = append(refs, k.ref)
		disputed = disputed || s.disputed(k, index)
	}
	return refs, disputed
}

// A Stamp is a time-stamp token in the record.
type Stamp struct {
	Mark
	Size uint64 // of the checkpoint whose note it is over
}

// Stamps returns the time-stamp tokens, by index.
func (s *State) Stamps() []Stamp {
	s.mu.RLock()
	defer s.mu.RUnlock()
	views := make([]Stamp, len(s.stamps))
	for i, k := range s.stamps {
		views[i] = Stamp{Mark{k.index, milli(k.admitted)}, k.size}
	}
	return views
}
