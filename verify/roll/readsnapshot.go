package roll

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/verify/entry"
)

// ErrSnapshot is what ReadSnapshot returns for bytes that Snapshot has not written.
var ErrSnapshot = errors.New("roll: these bytes are not a state in the form of this version")

// Bounds on what a snapshot may hold: those of leaves, from which all of it came.
const (
	maxText = entry.MaxLeaf
	minTime = -62167219200000 // 0000-01-01
	maxTime = 253402300799999 // 9999-12-31
)

// ReadSnapshot returns the state that Snapshot wrote as b. Other bytes are
// ErrSnapshot, and what it accepts gives the same bytes again. Whether the state
// is that of any record the bytes cannot tell, so read only what was kept under a
// signature of one's own. Keys are not judged again (keys.AcceptedPublicKey).
// The state keeps nothing of b.
func ReadSnapshot(b []byte) (*State, error) {
	if len(b) < len(snapshotMagic) || string(b[:len(snapshotMagic)]) != snapshotMagic {
		return nil, ErrSnapshot
	}
	r := &snapshotReader{b: b[len(snapshotMagic):]}
	s := New(r.text())
	s.size = r.most(math.MaxInt64)
	s.admitted = r.int(minTime, maxTime)
	if r.flag() {
		s.beyond = &Beyond{Index: r.most(s.size), What: r.text()}
		r.require(s.beyond.Index == s.size)
	}
	domains, operators, ks, members, statements, sets, records := r.items(), r.items(), r.items(), r.items(), r.items(), r.items(), r.items()
	pasts, stamps := r.items(), r.items()
	hasCharter := r.flag()
	r.require(domains.n == members.n)
	if hasCharter {
		r.require(s.size > 0 && operators.n > 0)
	} else {
		r.require(s.admitted == 0 && operators.n|ks.n|members.n|statements.n|sets.n|records.n|pasts.n|stamps.n == 0)
	}
	if r.bad {
		return nil, ErrSnapshot
	}
	x := &snapshotParts{
		s: s, domains: make([]string, domains.n+operators.n), members: make([]member, members.n),
		keys: make([]key, ks.n), statements: make([]statement, statements.n),
	}
	domains.each(func(r *snapshotReader, i int) { x.domains[i] = r.text() })
	operators.each(func(r *snapshotReader, i int) { x.domains[domains.n+i] = r.text() })
	if domains.bad.Load() || operators.bad.Load() || !x.enter() {
		return nil, ErrSnapshot
	}
	var bad atomic.Bool
	inParallel(2, func(i int) {
		if i == 0 && !(x.readKeys(ks) && x.readMembers(members)) || i == 1 && !(x.readStatements(statements) && x.readSets(sets) && x.readRecords(records) && x.readPasts(pasts) && x.readStamps(stamps)) {
			bad.Store(true)
		}
	})
	if bad.Load() {
		return nil, ErrSnapshot
	}
	if hasCharter {
		s.charter = x.charter(r)
	}
	if r.bad || len(r.b) > 0 {
		return nil, ErrSnapshot
	}
	x.derive()
	return s, nil
}

// A snapshotReader takes values off the front of b. After one that is not as it
// must be it is bad, and gives zeros.
type snapshotReader struct {
	b   []byte
	bad bool
}

func (r *snapshotReader) require(ok bool) {
	if !ok {
		r.b, r.bad = nil, true
	}
}

func (r *snapshotReader) bytes(n int) []byte {
	if n > len(r.b) {
		r.require(false)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *snapshotReader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// below reads a byte less than n.
func (r *snapshotReader) below(n byte) byte {
	b := r.byte()
	r.require(b < n)
	if r.bad {
		return 0
	}
	return b
}

func (r *snapshotReader) flag() bool { return r.below(2) == 1 }

// most reads a number up to max.
func (r *snapshotReader) most(max uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	r.require(n > 0 && (n == 1 || r.b[n-1] != 0) && v <= max)
	if r.bad {
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *snapshotReader) int(min, max int64) int64 {
	u := r.most(math.MaxUint64)
	v := int64(u>>1) ^ -int64(u&1)
	r.require(min <= v && v <= max)
	if r.bad {
		return 0
	}
	return v
}

// len reads the length of a list of up to max items, each of at least one byte.
func (r *snapshotReader) len(max int) int { return int(r.most(uint64(min(max, len(r.b))))) }

// of reads a number below n.
func (r *snapshotReader) of(n int) int {
	v := r.most(math.MaxInt64)
	r.require(v < uint64(n))
	if r.bad {
		return -1
	}
	return int(v)
}

func (r *snapshotReader) hash() (h entry.Hash) {
	copy(h[:], r.bytes(len(h)))
	return h
}

func (r *snapshotReader) text() string    { return string(r.bytes(r.len(maxText))) }
func (r *snapshotReader) time() time.Time { return milli(r.int(minTime, maxTime)) }

func (r *snapshotReader) mark() Mark {
	return Mark{r.most(math.MaxInt64), r.time()}
}

func (r *snapshotReader) maybe() (set bool, m Mark) {
	if set = r.flag(); set {
		m = r.mark()
	}
	return set, m
}

// A snapshotItems is a long list that has not been read.
type snapshotItems struct {
	n      int
	groups [][]byte
	bad    atomic.Bool
}

func (r *snapshotReader) items() *snapshotItems {
	l := &snapshotItems{n: r.len(math.MaxInt32)}
	for left := l.n; left > 0 && !r.bad; left -= snapshotGroup {
		if size := r.bytes(4); !r.bad {
			n := binary.BigEndian.Uint32(size)
			r.require(uint64(n) <= uint64(len(r.b)) && int(n) >= min(left, snapshotGroup))
			l.groups = append(l.groups, r.bytes(int(n)))
		}
	}
	return l
}

// each reads the items on all cores, and reports whether they were as they must
// be.
func (l *snapshotItems) each(item func(r *snapshotReader, i int)) bool {
	inParallel(len(l.groups), func(g int) {
		r := &snapshotReader{b: l.groups[g]}
		for i := g * snapshotGroup; i < min(l.n, (g+1)*snapshotGroup) && !r.bad; i++ {
			item(r, i)
		}
		if r.bad || len(r.b) > 0 {
			l.bad.Store(true)
		}
	})
	return !l.bad.Load()
}

// snapshotParts are the parts of a state that refer to each other by number.
type snapshotParts struct {
	s          *State
	domains    []string // of members, then of operators
	members    []member
	keys       []key
	statements []statement
}

// enter puts the members under their domains, each of which must be another.
func (x *snapshotParts) enter() bool {
	s, n := x.s, len(x.members)
	s.members = make(map[string]*member, n)
	for i := range x.members {
		m := &x.members[i]
		m.id, m.domain = uint32(i), x.domains[i]
		s.members[m.domain] = m
		s.ordered = append(s.ordered, m)
	}
	operators := make(map[string]bool)
	for _, domain := range x.domains[n:] {
		operators[domain] = true
		s.operated = append(s.operated, domain)
	}
	return len(s.members) == n && len(operators) == len(s.operated)
}

func (x *snapshotParts) domain(r *snapshotReader) string {
	i := r.of(len(x.domains))
	if r.bad {
		return ""
	}
	domain := x.domains[i]
	if i >= len(x.members) { // an operator that is a member is named as member
		r.require(x.s.members[domain] == nil)
	}
	return domain
}

func (x *snapshotParts) key(r *snapshotReader) *key {
	i := r.of(len(x.keys))
	if r.bad {
		return new(key)
	}
	return &x.keys[i]
}

func (x *snapshotParts) keyList(r *snapshotReader) []*key {
	n := r.len(len(x.keys))
	if n == 0 {
		return nil
	}
	ks := make([]*key, n)
	for i := range ks {
		ks[i] = x.key(r)
	}
	return ks
}

func (x *snapshotParts) readKeys(l *snapshotItems) bool {
	suites := keys.Suites()
	ok := l.each(func(r *snapshotReader, i int) {
		k := &x.keys[i]
		suite := r.bytes(r.len(maxText))
		at := slices.IndexFunc(suites, func(s keys.Suite) bool { return string(s) == string(suite) })
		spki := r.bytes(r.len(keys.MaxSPKI))
		if at < 0 || r.bad {
			r.require(false)
			return
		}
		public, err := keys.AcceptedPublicKey(suites[at], spki)
		if err != nil {
			r.require(false)
			return
		}
		k.id, k.public, k.ref, k.domain = uint32(i), public, public.Ref(), x.domain(r)
		k.role = Role(r.below(byte(RecoveryKey) + 1))
		r.require(k.role != 0)
		k.registered = make([]uint64, r.len(math.MaxInt32))
		for i := range k.registered {
			k.registered[i] = r.most(math.MaxInt64)
		}
		flags := r.below(flagCompromised << 1)
		k.current, k.suspended, k.revoked, k.compromised = flags&flagCurrent != 0, flags&flagSuspended != 0, flags&flagRevoked != 0, flags&flagCompromised != 0
		if k.suspended {
			k.suspendedAt = r.most(math.MaxInt64)
		}
		if k.revoked {
			k.revokedAt = r.most(math.MaxInt64)
		}
		if k.compromised {
			k.compromisedAfter = r.most(math.MaxInt64)
		}
		if n := r.len(math.MaxInt32); n > 0 {
			k.published = make([]span, n)
		}
		for i := range k.published {
			p := &k.published[i]
			p.first, p.last = uint32(r.most(math.MaxInt32)), uint32(r.most(math.MaxInt32))
			if p.ended = r.flag(); p.ended {
				p.end = uint32(r.most(math.MaxInt32))
			}
		}
	})
	if !ok {
		return false
	}
	s := x.s
	s.keys = make(map[keys.Fingerprint]*key, len(x.keys))
	for i := range x.keys {
		k := &x.keys[i]
		s.keys[k.ref.Fingerprint] = k
		s.keysByID = append(s.keysByID, k)
	}
	return len(s.keys) == len(x.keys)
}

func (x *snapshotParts) readMembers(l *snapshotItems) bool {
	ok := l.each(func(r *snapshotReader, i int) {
		m := &x.members[i]
		m.name, m.legalName = r.text(), r.text()
		m.registered, m.updated, m.named = r.mark(), r.mark(), r.mark()
		m.left, m.leftAt = r.maybe()
		m.quorum = int(r.most(entry.MaxKeys))
		m.keys, m.recovery = x.keyList(r), x.keyList(r)
		if n := r.len(math.MaxInt32); n > 0 {
			m.former = make([]former, n)
		}
		for i := range m.former {
			m.former[i] = former{r.most(math.MaxInt64), r.text(), r.text()}
		}
		if n := r.len(math.MaxInt32); n > 0 {
			m.vouchers = make([]voucher, n)
		}
		for i := range m.vouchers {
			v := &m.vouchers[i]
			v.domain, v.index = x.domain(r), r.most(math.MaxInt64)
			flags := r.below(flagMember << 1)
			v.operator, v.member = flags&flagOperator != 0, flags&flagMember != 0
			v.keys = x.keyList(r)
		}
		m.history = make([]Event, r.len(math.MaxInt32))
		for i := range m.history {
			ev := &m.history[i]
			ev.Mark, ev.ID, ev.Action, ev.Signer = r.mark(), r.hash(), actions[r.below(byte(len(actions)))], x.domain(r)
			if n := r.len(entry.MaxKeys); n > 0 {
				ev.Keys = make([]keys.Ref, n)
			}
			for i := range ev.Keys {
				ev.Keys[i] = x.key(r).ref
			}
			for _, ref := range []**keys.Ref{&ev.Added, &ev.About} {
				if n := r.of(len(x.keys) + 1); n > 0 {
					*ref = &x.keys[n-1].ref
				}
			}
			m.lastID = ev.ID
		}
		r.require(len(m.history) > 0)
		for n := r.len(math.MaxInt32); n > 0 && !r.bad; n-- {
			var c chain
			c.index, c.admitted, c.outcome = r.most(math.MaxInt64), r.int(minTime, maxTime), dnssec.Outcome(r.below(byte(dnssec.Insecure)+1))
			r.require(c.outcome != 0)
			c.notBefore, c.notAfter, c.hash = r.int(minTime/1000, maxTime/1000), r.int(minTime/1000, maxTime/1000), r.hash()
			m.keep(c)
		}
		if n := r.len(math.MaxInt32); n > 0 {
			m.words = make([]word, n)
		}
		for i := range m.words {
			n := r.of(2 * 128)
			said := &m.words[i]
			*said = word{labels: n / 2, final: n%2 == 1, signed: r.int(minTime/1000, maxTime/1000)}
			if said.final {
				said.gone = x.keyList(r)
			} else {
				said.delegation = r.hash()
			}
		}
		m.seen = x.keyList(r)
	})
	if !ok {
		return false
	}
	for _, m := range x.s.ordered {
		for i := range m.history {
			x.s.trace(&m.history[i])
		}
	}
	for i := range x.keys {
		k := &x.keys[i]
		if k.compromised {
			x.s.doubt(k, k.compromisedAfter)
		}
		for _, p := range k.published {
			m := x.s.members[k.domain]
			if m == nil || uint64(max(p.first, p.last, p.end)) >= uint64(len(m.chains)) {
				return false
			}
		}
	}
	return true
}

func (x *snapshotParts) readStatements(l *snapshotItems) bool {
	ok := l.each(func(r *snapshotReader, i int) {
		st := &x.statements[i]
		st.id = uint32(i)
		st.Mark, st.entryID, st.hash, st.publisher = r.mark(), r.hash(), r.hash(), x.domain(r)
		st.title, st.language, st.mediaType, st.size = r.text(), r.text(), r.text(), r.int(0, math.MaxInt64)
		if n := r.len(entry.MaxRenditions); n > 0 {
			st.renditions = make([]entry.Rendition, n)
		}
		for i := range st.renditions {
			st.renditions[i] = entry.Rendition{Language: r.text(), Hash: r.hash(), Size: r.int(0, math.MaxInt64), MediaType: r.text()}
		}
		if old := r.of(i + 1); old > 0 { // one that was published before
			st.supersedes = &x.statements[old-1].hash
		}
		st.closed, st.closedAt = r.maybe()
		if r.flag() {
			st.closes = r.time()
			r.require(!st.closes.IsZero())
		}
		st.lastID = r.hash()
		if n := r.len(math.MaxInt32); n > 0 {
			st.rolls = make([]sealed, n)
		}
		st.sealed = minTime
		for i := range st.rolls {
			st.rolls[i] = sealed{r.most(math.MaxInt64), r.int(minTime, maxTime), r.int(minTime, maxTime), r.most(math.MaxInt64)}
			st.sealed = max(st.sealed, st.rolls[i].asOf)
		}
	})
	if !ok {
		return false
	}
	s := x.s
	for i := range x.statements {
		st := &x.statements[i]
		s.statements[st.hash] = st
		s.published = append(s.published, st)
	}
	return len(s.statements) == len(x.statements)
}

func (x *snapshotParts) readSets(l *snapshotItems) bool {
	if l.n == 0 {
		return true
	}
	of := &x.s.standings
	of.sets = make([]keySet, l.n)
	ok := l.each(func(r *snapshotReader, i int) {
		for at := range r.len(entry.MaxKeys) {
			of.sets[i][at] = uint32(r.of(len(x.keys)) + 1)
		}
	})
	of.interned = make(map[keySet]uint32, l.n)
	for i, set := range of.sets {
		of.interned[set] = uint32(i)
	}
	return ok && len(of.interned) == l.n
}

func (x *snapshotParts) readRecords(l *snapshotItems) bool {
	of := &x.s.standings
	for range (l.n + blockSize - 1) / blockSize {
		of.blocks = append(of.blocks, new([blockSize]record))
	}
	ok := l.each(func(r *snapshotReader, i int) {
		of.at(uint32(i)).read(r, x)
	})
	if !ok {
		return false
	}
	of.n = uint32(l.n)
	of.subjects = make(map[subject]uint32, l.n)
	for i := range of.n {
		e := of.at(i)
		of.subjects[subject{e.member, e.statement}] = i
	}
	return len(of.subjects) == l.n
}

// readPasts reads what the records have followed, in the order of their
// statements.
func (x *snapshotParts) readPasts(l *snapshotItems) bool {
	of := &x.s.standings
	pasts := make([]past, l.n)
	ok := l.each(func(r *snapshotReader, i int) {
		p := &pasts[i]
		p.record, p.renditions, p.id = uint32(r.of(int(of.n))), uint32(r.most(math.MaxUint32)), r.hash()
		p.index, p.admitted, p.keys, p.withdrawn = r.most(math.MaxInt64), r.int(minTime, maxTime), uint32(r.of(len(of.sets))), r.flag()
	})
	if !ok {
		return false
	}
	for i, p := range pasts {
		about := of.at(p.record).statement
		if i > 0 && about < of.at(pasts[i-1].record).statement {
			return false
		}
		st := &x.statements[about]
		if bits.Len32(p.renditions) > len(st.renditions) {
			return false
		}
		st.past = append(st.past, p)
	}
	return true
}

func (x *snapshotParts) readStamps(l *snapshotItems) bool {
	if l.n == 0 {
		return true
	}
	x.s.stamps = make([]stamp, l.n)
	ok := l.each(func(r *snapshotReader, i int) {
		x.s.stamps[i] = stamp{r.most(math.MaxInt64), r.int(minTime, maxTime), r.most(math.MaxInt64), r.hash()}
	})
	for _, k := range x.s.stamps {
		x.s.stamped[k.id] = true
	}
	return ok && len(x.s.stamped) == l.n
}

func (e *record) read(r *snapshotReader, x *snapshotParts) {
	e.id, e.after, e.index, e.afterSize = r.hash(), r.hash(), r.most(math.MaxInt64), r.most(math.MaxInt64)
	e.admitted, e.date = r.int(minTime, maxTime), int32(r.int(math.MinInt32, math.MaxInt32))
	e.member, e.statement = uint32(r.of(len(x.members))), uint32(r.of(len(x.statements)))
	e.keys, e.renditions, e.withdrawn = uint32(r.of(len(x.s.standings.sets))), uint32(r.most(math.MaxUint32)), r.flag()
	if !r.bad {
		r.require(bits.Len32(e.renditions) <= len(x.statements[e.statement].renditions))
	}
}

func (x *snapshotParts) charter(r *snapshotReader) *charter {
	c := &charter{Mark: r.mark(), id: r.hash(), title: r.text(), operator: x.domain(r), keys: x.keyList(r)}
	r.require(slices.Contains(x.s.operated, c.operator))
	if n := r.len(entry.MaxPublishers); n > 0 {
		c.publishers = make([]string, n)
	}
	for i := range c.publishers {
		c.publishers[i] = r.text()
	}
	c.admission = entry.Admission{Operator: r.flag(), Vouched: int(r.most(entry.MaxVouched)), DNSSEC: r.flag()}
	c.roll = r.text()
	return c
}

// derive fills in what follows from the rest.
func (x *snapshotParts) derive() {
	s := x.s
	for i := range x.statements {
		if st := &x.statements[i]; st.supersedes != nil {
			old := s.statements[*st.supersedes]
			old.superseded = append(old.superseded, st.hash)
		}
	}
	inParallel(2, func(i int) {
		if i == 0 {
			x.claim()
		} else {
			x.stand()
		}
	})
}

// stand lists the endorsements by member and by statement.
func (x *snapshotParts) stand() {
	of := &x.s.standings
	said, about := make([]int, len(x.members)), make([]int, len(x.statements))
	for i := range of.n {
		e := of.at(i)
		said[e.member]++
		about[e.statement]++
	}
	slab := make([]uint32, of.n)
	for i, n := range said {
		if n > 0 {
			x.members[i].said, slab = slab[:0:n], slab[n:]
		}
	}
	for i, n := range about {
		if n > 0 {
			x.statements[i].about = make([]uint32, 0, n)
		}
	}
	for i := range of.n {
		e := of.at(i)
		m, st := &x.members[e.member], &x.statements[e.statement]
		m.said, st.about = append(m.said, i), append(st.about, i)
		if !e.withdrawn {
			st.standing++
		}
		st.changed = max(st.changed, e.admitted)
	}
}

// claim counts the members and enters what looks like whom.
func (x *snapshotParts) claim() {
	s := x.s
	s.claims = claims{make(map[look]string, 2*len(x.domains)), make(map[look]string, 2*len(x.members))}
	domains, names := make([][]look, len(x.domains)), make([][]look, len(x.members))
	inParallel((len(x.domains)+snapshotGroup-1)/snapshotGroup, func(g int) {
		for i := g * snapshotGroup; i < min(len(x.domains), (g+1)*snapshotGroup); i++ {
			domains[i] = looks(x.domains[i])
			if i < len(x.members) {
				m := &x.members[i]
				if names[i] = looks(m.name); m.legalName != "" {
					names[i] = append(names[i], looks(m.legalName)...)
				}
			}
		}
	})
	for i, own := range domains {
		s.claims.takeDomain(x.domains[i], own)
	}
	for i := range x.members {
		m := &x.members[i]
		s.claims.takeNames(m.domain, names[i])
		if !m.left {
			s.joined++
		}
	}
}
