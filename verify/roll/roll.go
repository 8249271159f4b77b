// Package roll is the fold over the record: it judges entry after entry, and so
// knows who may say what and who stands behind what. The sequencer admits an
// entry by the same call that an auditor, a mirror and a browser make, so that
// whatever it would wrongly admit everybody else can prove.
//
// A leaf goes in as the log holds it:
//
//	undersigned/leaf/v1
//	admitted 2024-06-11T09:30:03.000Z
//
//	undersigned/endorsement/v1
//	ledger ledger.example/tccm
//	previous none
//	action endorse
//	statement sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920
//	after 3 sha256:…
//	signer apnic.net
//	key ed25519 sha256:3b5b…
//	date 2024-06-11
//
//	— apnic.net q83vEj…
//
// and is admissible, or breaks a Rule, or is of a form that this version does
// not know:
//
//	s := roll.New("ledger.example/tccm")
//	for i, leaf := range leaves {
//		err := s.Apply(uint64(i), leaf) // nil, *Inadmissible or *Beyond
//	}
//	s.Standing(h) // who stands behind the statement h
//
// The fold is deterministic and total: what it answers depends on the origin
// and the leaves alone, whatever their bytes. It has no clock and no I/O, and
// an inadmissible leaf changes nothing but Size.
//
// # Standing
//
// A member stands behind a statement if the last admitted endorsement entry of
// (member, statement) says endorse. Leaving, key events, closing and
// superseding remove nobody. What was signed, from a compromised-after index
// on, with the key that it is said of, or with one that this key brought since, counts and is Disputed.
//
// # Who may say what
//
// A member speaks through its quorum: so many of its keys that are current and
// not suspended, all of which sign. A recovery key never speaks for it to
// others (endorse, publish, vouch), but alone repairs its keys, withdraws and
// leaves. The operator speaks through any of its keys.
//
//   - charter: every current operator key and every new one; where members
//     vouch, min(m, members) of them, the operator aside. A domain that was ever
//     a member's becomes the operator's only if that member vouches.
//   - statement: the operator, or a publisher of the charter that is a member.
//     Only the operator or its publisher closes, reopens or supersedes one.
//   - register: each key that is registered, and the vouchers: the operator
//     where it admits, and min(m, members and operator) domains where they do.
//     Nobody vouches for itself, but the operator's own domain needs the operator.
//   - update: the quorum, and one recovery key (if there is any) where quorum or
//     recovery keys change, and each new recovery key.
//   - leave, withdraw: a quorum in which suspended keys count, or a recovery
//     key; to withdraw is possible after leaving, too.
//   - endorse: the quorum, of an open statement.
//   - add, rotate: the quorum or a recovery key, and the new key.
//   - revoke: the key itself, the quorum or a recovery key. A recovery key is
//     revoked by itself, or by the quorum and another one. A key alone cannot
//     strand a member that has no recovery key below its quorum, for which
//     suspended keys do not count. To declare a
//     key compromised takes more than the key; it may follow the revocation,
//     and the index only ever goes down.
//   - suspend: the operator, the quorum or a recovery key. It is never a recovery
//     key that is suspended, so that no operator can keep a member from repair.
//
// A key line of anybody else is refused, however valid its signature. A key
// (SPKI) serves one suite, one domain and one Role for ever, and none once
// revoked. A new registration inherits nothing of an earlier one.
//
// # What a domain says itself
//
// With an entry that registers or updates a member, or adds or rotates a key, can
// come a chain of DNSSEC signatures (keys/dnssec), and the log puts others into the record as evidence. The
// fold judges a chain at the time of its own leaf's admission, by the root's anchors that rules 1 know. It must hold and be valid
// then. With an entry it must show that the member's domain publishes one
// of the keys that sign, for this ledger; where the charter says "admission dnssec", all that a registration
// brings but recovery keys. Evidence must show a key of the member as published, or miss one that was.
// For each key the state keeps from which chain to which the domain published it, and in which it was missing first.
// Who registers again begins anew. A chain is refused if a zone in it says something other than it said last, or says the end again, with an older signature than
// then: until signatures end, anybody can replay an older answer under sets above it that were signed anew.
//
// # Looking alike
//
// A name may look like no domain and no name of another domain that was ever a
// member's or the operator's; a domain like no other domain. Names are compared
// as they are now.
package roll

import (
	"errors"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// A State is what the record says up to its Size. One goroutine at a time
// applies; others may read beside it, and see each leaf whole or not at all.
type State struct {
	origin string

	applying sync.Mutex   // held by Apply and Admit: who holds it reads without mu
	mu       sync.RWMutex // held to change anything below

	size     uint64
	beyond   *Beyond
	admitted int64    // of the last admissible leaf, Unix milliseconds
	charter  *charter // nil before entry 0
	operated []string // domains of all operators so far, in their order

	members  map[string]*member // by domain
	ordered  []*member          // by id
	joined   int                // members that have not left
	lookup   sync.RWMutex       // held with mu to change keys: whoever only looks one up waits for no leaf
	keys     map[keys.Fingerprint]*key
	keysByID []*key // by id
	claims   claims
	brought  map[uint32][]brought // with each key, by its id; by index
	doubted  map[uint32]uint64    // keys, by id: from which index on

	statements map[entry.Hash]*statement
	published  []*statement // by id

	standings standings
	stamps    []stamp             // by index
	stamped   map[entry.Hash]bool // their identities
}

// New returns the state of an empty record of the ledger with this origin.
func New(origin string) *State {
	return &State{
		origin:     origin,
		members:    make(map[string]*member),
		keys:       make(map[keys.Fingerprint]*key),
		claims:     newClaims(),
		statements: make(map[entry.Hash]*statement),
		standings:  newStandings(),
		stamped:    make(map[entry.Hash]bool),
		brought:    make(map[uint32][]brought),
		doubted:    make(map[uint32]uint64),
	}
}

type charter struct {
	Mark
	id         entry.Hash
	title      string
	operator   string
	keys       []*key
	publishers []string
	admission  entry.Admission
	roll       string
}

type member struct {
	id         uint32
	domain     string
	name       string
	legalName  string
	registered Mark
	updated    Mark
	named      Mark
	left       bool
	leftAt     Mark
	quorum     int
	keys       []*key // of this registration, revoked ones too
	recovery   []*key // the same, dropped ones too
	vouchers   []voucher
	lastID     entry.Hash
	history    []Event
	former     []former              // what earlier registrations called it last, by index
	chains     []chain               // about it, by index
	recorded   map[entry.Hash]uint64 // index of each chain, the first time
	words      []word                // what zones said last in them
	seen       []*key                // that one of them showed, of any registration, in the order in which they were
	said       []uint32              // records in standings, in the order of their coming
}

// former is what a member was called until it was registered again.
type former struct {
	index           uint64 // of the new registration
	name, legalName string
}

// nameAt returns what the member is called as far as what it said at an index goes: the
// latest names of the registration under which it said that. Who registers a domain
// again may be somebody else.
func (m *member) nameAt(index uint64) (name, legalName string) {
	for _, f := range m.former {
		if index < f.index {
			return f.name, f.legalName
		}
	}
	return m.name, m.legalName
}

type voucher struct {
	domain           string
	index            uint64
	operator, member bool
	keys             []*key
}

// A key's owner is a domain and not a member, so that it outlives registrations.
type key struct {
	id               uint32
	public           *keys.PublicKey
	ref              keys.Ref
	domain           string
	role             Role
	registered       []uint64
	current          bool
	suspended        bool
	suspendedAt      uint64
	revoked          bool
	revokedAt        uint64
	compromised      bool
	compromisedAfter uint64
	published        []span // what chains about its owner say of it, in their order
}

type statement struct {
	Mark
	id         uint32
	entryID    entry.Hash
	hash       entry.Hash
	publisher  string
	title      string
	language   string
	mediaType  string
	size       int64
	renditions []entry.Rendition
	supersedes *entry.Hash
	superseded []entry.Hash
	closed     bool
	closedAt   Mark
	closes     time.Time
	lastID     entry.Hash
	standing   int
	about      []uint32 // records in standings, in the order of their coming
	past       []past   // what those records have followed, in the order of following
	changed    int64    // when the last endorsement entry about it was admitted, Unix milliseconds; 0: none yet
	rolls      []sealed // by index
	sealed     int64    // the latest moment as of which there is a roll, Unix milliseconds; minTime: there is none

	ranking *ranking // nil: no roll was asked for yet
	moved   []uint32 // records that have changed since, if there is one; some twice
}

// open reports whether the statement can be endorsed at a time.
func (st *statement) open(at time.Time) bool {
	return !st.closed && (st.closes.IsZero() || at.Before(st.closes))
}

// Apply judges the leaf at index, which must be Size(), and moves on: it returns
// nil if the leaf is admissible, *Inadmissible if it is not, in which case the
// state has not changed but for Size, and *Beyond if this version cannot tell,
// in which case the state never changes again. A wrong index is another error
// and changes nothing.
func (s *State) Apply(index uint64, leaf []byte) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	l, err := entry.ParseLeaf(leaf)
	return s.apply(index, l, err, nil)
}

// ApplyLeaf is Apply for a leaf that entry.ParseLeaf returned and whose
// signatures may have been checked before (sigs may be nil): for audits that
// parse and check on all cores and fold on one.
func (s *State) ApplyLeaf(index uint64, l *entry.Leaf, sigs *Signatures) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	return s.apply(index, l, nil, sigs)
}

func (s *State) apply(index uint64, l *entry.Leaf, err error, sigs *Signatures) error {
	if s.beyond != nil {
		return s.beyond
	}
	if index != s.size {
		return errors.New("roll: leaves are applied in the order of the record")
	}
	if err = s.admit(l, err, sigs); err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if beyond, ok := err.(*Beyond); ok {
		s.beyond = beyond
	} else {
		s.size++
	}
	return err
}

// Admit is the sequencer's door: as ApplyLeaf at Size(), but a refusal leaves
// even Size alone. The entry must be what entry.Parse or entry.ParseLeaf
// returned.
func (s *State) Admit(l *entry.Leaf, sigs *Signatures) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.beyond != nil {
		return s.beyond
	}
	return s.admit(l, nil, sigs)
}

// Judge is Admit without taking the entry in: nil if it is admissible as the next
// leaf.
func (s *State) Judge(l *entry.Leaf, sigs *Signatures) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.beyond != nil {
		return s.beyond
	}
	t := &trial{s: s, Mark: Mark{s.size, l.Admitted.UTC()}, e: l.Entry, chain: l.Chain}
	_, err := t.judge(sigs)
	return err
}

// admit judges l, or the error that parsing it gave, and takes it in if it is
// admissible.
func (s *State) admit(l *entry.Leaf, err error, sigs *Signatures) error {
	t := &trial{s: s, Mark: Mark{Index: s.size}}
	if err != nil {
		var unknown *entry.UnknownError
		if errors.As(err, &unknown) {
			return &Beyond{s.size, unknown.What}
		}
		return t.refuse(RuleSyntax, "%s", err)
	}
	t.Admitted, t.e, t.chain = l.Admitted.UTC(), l.Entry, l.Chain
	commit, err := t.judge(sigs)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	commit()
	s.size++
	s.admitted = t.Admitted.UnixMilli()
	return nil
}
