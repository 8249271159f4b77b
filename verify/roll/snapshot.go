package roll

import (
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// A snapshot is a State as bytes: exactly one form for each state. Numbers are
// varints in their shortest form (encoding/binary), signed ones zigzag; times
// are Unix milliseconds; a text is its length and its bytes; a hash is 32
// bytes; a list is its length and its items, and a long list, written [n]:
// below, its length and then its items in groups of 1024, each group with its
// length in bytes before it (uint32, big-endian), so that groups can be read
// beside each other. Keys, members, statements and sets are referred to by
// their number in their list; a domain by the number of its member, or, if it is
// none, by the number of members plus its place among the operators. A mark is
// an index and a time.
//
//	"undersigned/state/v7" LF, origin, size, admitted
//	0, or 1 and the leaf beyond which nothing is known: index, what
//	[n]: domains of members
//	[n]: domains of operators
//	[n]: key: suite, SPKI, domain, role, registered, flags,
//	     suspended at, revoked at, compromised after (where the flag is set)
//	     published: first and last chain of the owner, 0 or 1 and the one in which it is missing
//	[n]: member: name, legal name, registered, updated and named mark, 0 or 1 and the mark of leaving, quorum, keys, recovery keys,
//	     former names: index, name, legal name
//	     vouchers: domain, index, flags, keys
//	     history: mark, id, action, signer, keys, 0 or key added + 1, 0 or key about + 1
//	     chains: index, admitted, outcome, not before, not after (Unix seconds), hash
//	     what zones said last in them: 2 × labels, + 1 at the end, signed (Unix seconds), hash of the delegation; at the end instead: keys that are gone
//	     keys that they showed
//	[n]: statement: mark, id, hash, publisher, title, language, media type, size,
//	     renditions: language, hash, size, media type
//	     0 or statement superseded + 1, 0 or 1 and the mark of closing, 0 or 1 and closes, last id
//	     rolls: index, admitted, as of, count
//	[n]: set of keys that signed together
//	[n]: endorsement: id, after note, index, after size, admitted, date, member, statement, set, renditions, withdrawn
//	[n]: what endorsements have followed, by statement, in the order of following: endorsement, renditions, id, index, admitted, set, withdrawn
//	[n]: time stamp: index, admitted, size, id
//	0, or 1 and the charter: mark, id, title, operator, keys, publishers, operator admits, vouched, dnssec, roll
//
// What follows from these is not written: who stands behind what, how many
// are members, what looks like what.
const snapshotMagic = "undersigned/state/v7\n"

const snapshotGroup = 1024

// Flags of keys and vouchers.
const (
	flagCurrent = 1 << iota
	flagSuspended
	flagRevoked
	flagCompromised

	flagOperator = 1
	flagMember   = 2
)

// actions are the actions of Events, which are written as their place here.
var actions = []entry.Action{entry.Register, entry.Update, entry.Leave, entry.Add, entry.Rotate, entry.Revoke, entry.Suspend}

// Snapshot returns the state as bytes, from which ReadSnapshot makes it again:
// the same state gives the same bytes. No leaf is applied meanwhile.
func (s *State) Snapshot() []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	w := &snapshotWriter{s: s, b: make([]byte, 0, len(snapshotMagic)+256*(len(s.ordered)+len(s.keysByID))+96*int(s.standings.n)+4096)}
	w.b = append(w.b, snapshotMagic...)
	w.text(s.origin)
	w.uint(s.size)
	w.int(s.admitted)
	if w.flag(s.beyond != nil); s.beyond != nil {
		w.uint(s.beyond.Index)
		w.text(s.beyond.What)
	}
	w.items(len(s.ordered), func(w *snapshotWriter, i int) { w.text(s.ordered[i].domain) })
	w.items(len(s.operated), func(w *snapshotWriter, i int) { w.text(s.operated[i]) })
	w.items(len(s.keysByID), func(w *snapshotWriter, i int) { w.key(s.keysByID[i]) })
	w.items(len(s.ordered), func(w *snapshotWriter, i int) { w.member(s.ordered[i]) })
	w.items(len(s.published), func(w *snapshotWriter, i int) { w.statement(s.published[i]) })
	w.items(len(s.standings.sets), func(w *snapshotWriter, i int) { w.set(s.standings.sets[i]) })
	w.items(int(s.standings.n), func(w *snapshotWriter, i int) { w.record(s.standings.at(uint32(i))) })
	var pasts []past
	for _, st := range s.published {
		pasts = append(pasts, st.past...)
	}
	w.items(len(pasts), func(w *snapshotWriter, i int) { w.past(pasts[i]) })
	w.items(len(s.stamps), func(w *snapshotWriter, i int) { w.stamp(s.stamps[i]) })
	if w.flag(s.charter != nil); s.charter != nil {
		w.charter(s.charter)
	}
	return w.b
}

type snapshotWriter struct {
	s *State
	b []byte
}

func (w *snapshotWriter) uint(v uint64)     { w.b = binary.AppendUvarint(w.b, v) }
func (w *snapshotWriter) int(v int64)       { w.b = binary.AppendVarint(w.b, v) }
func (w *snapshotWriter) len(n int)         { w.uint(uint64(n)) }
func (w *snapshotWriter) time(t time.Time)  { w.int(t.UnixMilli()) }
func (w *snapshotWriter) hash(h entry.Hash) { w.b = append(w.b, h[:]...) }
func (w *snapshotWriter) text(s string)     { w.len(len(s)); w.b = append(w.b, s...) }
func (w *snapshotWriter) mark(m Mark)       { w.uint(m.Index); w.time(m.Admitted) }

func (w *snapshotWriter) flag(set bool) {
	if set {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

func (w *snapshotWriter) flags(flags ...bool) {
	var b byte
	for i, set := range flags {
		if set {
			b |= 1 << i
		}
	}
	w.b = append(w.b, b)
}

// maybe writes 0, or 1 and a mark.
func (w *snapshotWriter) maybe(set bool, m Mark) {
	if w.flag(set); set {
		w.mark(m)
	}
}

// items writes a long list, on all cores.
func (w *snapshotWriter) items(n int, item func(w *snapshotWriter, i int)) {
	w.len(n)
	const most = 64 // groups at a time
	var groups [most]snapshotWriter
	for from := 0; from < n; from += most * snapshotGroup {
		count := min(most, (n-from+snapshotGroup-1)/snapshotGroup)
		inParallel(count, func(g int) {
			sub := &groups[g]
			sub.s, sub.b = w.s, sub.b[:0]
			first := from + g*snapshotGroup
			for i := first; i < min(n, first+snapshotGroup); i++ {
				item(sub, i)
			}
		})
		for _, sub := range groups[:count] {
			w.b = binary.BigEndian.AppendUint32(w.b, uint32(len(sub.b)))
			w.b = append(w.b, sub.b...)
		}
	}
}

// inParallel calls f with 0 to n-1, on all cores.
func inParallel(n int, f func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}

// keyOf finds a key; most are of the member itself.
func (w *snapshotWriter) keyOf(m *member, ref *keys.Ref) *key {
	for _, k := range m.keys {
		if k.ref == *ref {
			return k
		}
	}
	return w.s.keys[ref.Fingerprint]
}

func (w *snapshotWriter) domain(domain string) {
	if m := w.s.members[domain]; m != nil {
		w.len(int(m.id))
		return
	}
	w.len(len(w.s.ordered) + slices.Index(w.s.operated, domain))
}

func (w *snapshotWriter) keys(ks []*key) {
	w.len(len(ks))
	for _, k := range ks {
		w.len(int(k.id))
	}
}

func (w *snapshotWriter) charter(c *charter) {
	w.mark(c.Mark)
	w.hash(c.id)
	w.text(c.title)
	w.domain(c.operator)
	w.keys(c.keys)
	w.len(len(c.publishers))
	for _, p := range c.publishers {
		w.text(p)
	}
	w.flag(c.admission.Operator)
	w.len(c.admission.Vouched)
	w.flag(c.admission.DNSSEC)
	w.text(c.roll)
}

func (w *snapshotWriter) key(k *key) {
	spki := k.public.SPKI()
	w.text(string(k.ref.Suite))
	w.len(len(spki))
	w.b = append(w.b, spki...)
	w.domain(k.domain)
	w.b = append(w.b, byte(k.role))
	w.len(len(k.registered))
	for _, index := range k.registered {
		w.uint(index)
	}
	w.flags(k.current, k.suspended, k.revoked, k.compromised)
	if k.suspended {
		w.uint(k.suspendedAt)
	}
	if k.revoked {
		w.uint(k.revokedAt)
	}
	if k.compromised {
		w.uint(k.compromisedAfter)
	}
	w.len(len(k.published))
	for _, p := range k.published {
		w.len(int(p.first))
		w.len(int(p.last))
		if w.flag(p.ended); p.ended {
			w.len(int(p.end))
		}
	}
}

func (w *snapshotWriter) member(m *member) {
	w.text(m.name)
	w.text(m.legalName)
	w.mark(m.registered)
	w.mark(m.updated)
	w.mark(m.named)
	w.maybe(m.left, m.leftAt)
	w.len(m.quorum)
	w.keys(m.keys)
	w.keys(m.recovery)
	w.len(len(m.former))
	for _, f := range m.former {
		w.uint(f.index)
		w.text(f.name)
		w.text(f.legalName)
	}
	w.len(len(m.vouchers))
	for _, v := range m.vouchers {
		w.domain(v.domain)
		w.uint(v.index)
		w.flags(v.operator, v.member)
		w.keys(v.keys)
	}
	w.len(len(m.history))
	for _, ev := range m.history {
		w.mark(ev.Mark)
		w.hash(ev.ID)
		w.b = append(w.b, byte(slices.Index(actions, ev.Action)))
		if ev.Signer == m.domain {
			w.len(int(m.id))
		} else {
			w.domain(ev.Signer)
		}
		w.len(len(ev.Keys))
		for i := range ev.Keys {
			w.len(int(w.keyOf(m, &ev.Keys[i]).id))
		}
		for _, ref := range []*keys.Ref{ev.Added, ev.About} {
			if ref == nil {
				w.len(0)
			} else {
				w.len(int(w.keyOf(m, ref).id) + 1)
			}
		}
	}
	w.len(len(m.chains))
	for _, c := range m.chains {
		w.uint(c.index)
		w.int(c.admitted)
		w.b = append(w.b, byte(c.outcome))
		w.int(c.notBefore)
		w.int(c.notAfter)
		w.hash(c.hash)
	}
	w.len(len(m.words))
	for _, x := range m.words {
		n := 2 * x.labels
		if x.final {
			n++
		}
		w.len(n)
		w.int(x.signed)
		if x.final {
			w.keys(x.gone)
		} else {
			w.hash(x.delegation)
		}
	}
	w.keys(m.seen)
}

func (w *snapshotWriter) statement(st *statement) {
	w.mark(st.Mark)
	w.hash(st.entryID)
	w.hash(st.hash)
	w.domain(st.publisher)
	w.text(st.title)
	w.text(st.language)
	w.text(st.mediaType)
	w.int(st.size)
	w.len(len(st.renditions))
	for _, r := range st.renditions {
		w.text(r.Language)
		w.hash(r.Hash)
		w.int(r.Size)
		w.text(r.MediaType)
	}
	if st.supersedes == nil {
		w.len(0)
	} else {
		w.len(int(w.s.statements[*st.supersedes].id) + 1)
	}
	w.maybe(st.closed, st.closedAt)
	if w.flag(!st.closes.IsZero()); !st.closes.IsZero() {
		w.time(st.closes)
	}
	w.hash(st.lastID)
	w.len(len(st.rolls))
	for _, r := range st.rolls {
		w.uint(r.index)
		w.int(r.admitted)
		w.int(r.asOf)
		w.uint(r.count)
	}
}

func (w *snapshotWriter) past(p past) {
	w.len(int(p.record))
	w.uint(uint64(p.renditions))
	w.hash(p.id)
	w.uint(p.index)
	w.int(p.admitted)
	w.len(int(p.keys))
	w.flag(p.withdrawn)
}

func (w *snapshotWriter) stamp(k stamp) {
	w.uint(k.index)
	w.int(k.admitted)
	w.uint(k.size)
	w.hash(k.id)
}

func (w *snapshotWriter) set(set keySet) {
	n := slices.Index(set[:], 0)
	if n < 0 {
		n = len(set)
	}
	w.len(n)
	for _, id := range set[:n] {
		w.len(int(id - 1))
	}
}

func (w *snapshotWriter) record(r *record) {
	w.hash(r.id)
	w.hash(r.after)
	w.uint(r.index)
	w.uint(r.afterSize)
	w.int(r.admitted)
	w.int(int64(r.date))
	w.len(int(r.member))
	w.len(int(r.statement))
	w.len(int(r.keys))
	w.uint(uint64(r.renditions))
	w.flag(r.withdrawn)
}
