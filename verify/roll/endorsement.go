package roll

import (
	"slices"
	"time"

	"github.com/tccm/undersigned/verify/entry"
)

// endorsement judges endorsing and withdrawing.
func (t *trial) endorsement(b *entry.Endorsement) (func(), error) {
	s := t.s
	m := s.members[t.e.Signer]
	if m == nil || b.Action == entry.Endorse {
		var err error
		if m, err = t.member(); err != nil {
			return nil, err
		}
	}
	st := s.statements[b.Statement]
	if st == nil {
		return nil, t.refuse(RuleStatement, "the statement %s has not been published", b.Statement)
	}
	at, last := s.standings.find(m.id, st.id)
	var others also
	var mask uint32
	if b.Action == entry.Endorse {
		if !st.open(t.Admitted) {
			return nil, t.refuse(RuleOpen, "the statement is closed")
		}
		for _, r := range b.Renditions {
			i := slices.IndexFunc(st.renditions, func(of entry.Rendition) bool { return of.Hash == r.Hash && of.Language == r.Language })
			if i < 0 {
				return nil, t.refuse(RuleRendition, "the rendition %s is not one of the statement", r.Hash)
			}
			mask |= 1 << i
		}
	} else {
		if last == nil || last.withdrawn {
			return nil, t.refuse(RuleEndorsed, "%s does not stand behind the statement", m.domain)
		}
		mask = last.renditions // it takes back all of it
		others = suspendedKeys | recoveryKeys
	}
	if b.After.Size < 1 || b.After.Size > t.Index {
		return nil, t.refuse(RuleAfter, "it quotes a checkpoint of size %d, which cannot have been published before it", b.After.Size)
	}
	n, err := t.signers(m, others, nil)
	if err != nil {
		return nil, err
	}
	if err := t.quorum(m, n, b.Action == entry.Withdraw); err != nil {
		return nil, err
	}
	return func() {
		var set keySet
		for i, ref := range t.e.Keys {
			set[i] = s.known(ref).id + 1
		}
		date, _ := time.Parse(time.DateOnly, t.e.Date) // judge has
		r := record{
			id: t.id, after: b.After.Note, index: t.Index, afterSize: b.After.Size, admitted: t.Admitted.UnixMilli(),
			date: int32(unixDay(date)), member: m.id, statement: st.id, renditions: mask,
			keys: s.standings.intern(set), withdrawn: b.Action == entry.Withdraw,
		}
		if last != nil && !last.withdrawn {
			st.standing--
		}
		if !r.withdrawn {
			st.standing++
		}
		if last == nil {
			at = s.standings.add(r)
			m.said = append(m.said, at)
			st.about = append(st.about, at)
		} else {
			st.past = append(st.past, last.word(at))
			*last = r
		}
		st.changed = r.admitted
		if st.ranking != nil {
			st.moved = append(st.moved, at)
		}
	}, nil
}

// A record is the last endorsement entry of one member about one statement.
// There may be millions, so it holds neither texts nor pointers.
type record struct {
	id         entry.Hash
	after      entry.Hash
	index      uint64
	afterSize  uint64
	admitted   int64 // Unix milliseconds
	date       int32 // days since 1970-01-01
	member     uint32
	statement  uint32
	keys       uint32 // in standings.sets
	renditions uint32 // bit i: rendition i of the statement; of a withdrawal, those it took back
	withdrawn  bool
}

// A keySet is the IDs plus one of the keys that signed, in the order of the key
// lines, then zeros.
type keySet [entry.MaxKeys]uint32

type subject struct{ member, statement uint32 }

// standings holds the records of all subjects, in blocks so that growing copies
// nothing.
type standings struct {
	blocks   []*[blockSize]record
	n        uint32
	subjects map[subject]uint32
	sets     []keySet
	interned map[keySet]uint32
}

const blockSize = 256

func newStandings() standings {
	return standings{subjects: make(map[subject]uint32), interned: make(map[keySet]uint32)}
}

func (x *standings) at(i uint32) *record { return &x.blocks[i/blockSize][i%blockSize] }

// find returns the record of a subject and its number, nil if there is none.
func (x *standings) find(member, statement uint32) (uint32, *record) {
	i, ok := x.subjects[subject{member, statement}]
	if !ok {
		return 0, nil
	}
	return i, x.at(i)
}

func (x *standings) add(r record) uint32 {
	i := x.n
	if i%blockSize == 0 {
		x.blocks = append(x.blocks, new([blockSize]record))
	}
	*x.at(i) = r
	x.subjects[subject{r.member, r.statement}] = i
	x.n++
	return i
}

func (x *standings) intern(set keySet) uint32 {
	i, ok := x.interned[set]
	if !ok {
		i = uint32(len(x.sets))
		x.sets = append(x.sets, set)
		x.interned[set] = i
	}
	return i
}
