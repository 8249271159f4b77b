package roll

import (
	"cmp"
	"slices"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// What the accessors of State return are copies: they never change, and whoever
// asked for them may keep and change them. PublicKeys are immutable and shared.

// A Mark says where in the record something happened.
type Mark struct {
	Index    uint64
	Admitted time.Time // UTC, whole milliseconds
}

// A Charter is the charter that rules the entries to come.
type Charter struct {
	Mark
	ID         entry.Hash
	Title      string
	Operator   string // domain
	Keys       []*keys.PublicKey
	Publishers []string
	Admission  entry.Admission
	Roll       string
}

// A Member is an organization that is, or was, registered.
type Member struct {
	Domain       string
	Name         string // the latest
	LegalName    string // the latest; empty: not given
	Registered   Mark   // the latest registration
	Updated      Mark   // the latest registration or update
	Named        Mark   // the entry from which Name and LegalName have been as they are; a voucher before it vouched for others
	Left         bool
	LeftAt       Mark // if Left
	Quorum       int
	Keys         []Key     // of the latest registration, in the order of their coming; revoked ones too
	RecoveryKeys []Key     // the same; those that an update dropped are gone unless revoked
	Vouchers     []Voucher // of the latest registration and later updates, sorted by domain
	LastID       entry.Hash
	History      []Event // every membership and key entry about it, by index
	Chains       []Chain // about it, by index
}

// NameAt returns what a domain that is or was a member is called as far as what it
// said at an index goes: the latest name of the registration under which it said
// that. Who registers a domain again may be somebody else. It is empty for others.
func (s *State) NameAt(domain string, index uint64) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.members[domain]
	if m == nil {
		return ""
	}
	name, _ := m.nameAt(index)
	return name
}

// A Role is what a key may ever be used for.
type Role uint8

// The roles.
const (
	OperatorKey Role = iota + 1
	MemberKey
	RecoveryKey
)

func (r Role) String() string {
	return [...]string{"none", "operator key", "member key", "recovery key"}[r%4]
}

// A Key is a key that was registered at some time.
type Key struct {
	Ref              keys.Ref
	Public           *keys.PublicKey
	Domain           string // whose it is, for ever
	Role             Role
	Registered       []uint64 // indexes of the entries with its public-key or recovery-key line, ascending; more than one after a new registration
	Current          bool     // the owner's, now or when it left; false once revoked or dropped
	Suspended        bool
	SuspendedAt      uint64 // index, if Suspended
	Revoked          bool
	RevokedAt        uint64 // index, if Revoked
	Compromised      bool   // declared so: from CompromisedAfter on
	CompromisedAfter uint64 // index, if Compromised
	Disputed         bool   // so is what it signed from DisputedFrom on: it is compromised, or came with a key that was, or with one that had so come
	DisputedFrom     uint64 // index, if Disputed; of the entry that brought the key, unless it is CompromisedAfter
	Published        []Span // over which its owner's domain was shown to publish it, in their order; the last may go on
}

// A Voucher is a member or operator that vouched for a member.
type Voucher struct {
	Domain   string
	Mark                // of its latest voucher lines for this registration
	Operator bool       // signed with an operator key
	Member   bool       // signed with a quorum of its own keys as a member
	Disputed bool       // a key that signed was in doubt at Index (State.Disputed)
	Keys     []keys.Ref // that signed
}

// An Event is one membership or key entry about a member.
type Event struct {
	Mark
	ID     entry.Hash
	Action entry.Action // Register, Update, Leave, Add, Rotate, Revoke, Suspend
	Signer string       // the member's domain, or the operator's
	Keys   []keys.Ref   // its key lines
	Added  *keys.Ref    // Add, Rotate
	About  *keys.Ref    // Rotate, Revoke, Suspend
}

// A Statement is a published statement.
type Statement struct {
	Mark       // of its publication
	ID         entry.Hash
	Statement  entry.Hash // of the text
	Publisher  string     // domain
	Title      string
	Language   string
	MediaType  string
	Size       int64
	Renditions []entry.Rendition
	Supersedes *entry.Hash
	Superseded []entry.Hash // by which statements, in the order of their publication
	Closed     bool         // the last close or reopen says close
	ClosedAt   Mark         // if Closed
	Closes     time.Time    // no endorsement from here on; zero: open-ended
	LastID     entry.Hash
	Standing   int       // how many members stand behind it
	Changed    time.Time // when the last endorsement entry about it was admitted; zero: none yet
	Rolls      int       // how many lists of it are sealed
}

// An Endorsement is the last admitted endorsement entry of one member about
// one statement.
type Endorsement struct {
	Mark
	ID         entry.Hash
	Domain     string
	Statement  entry.Hash
	Action     entry.Action // Endorse: it stands; Withdraw: it does not
	Date       string       // the signer's claim, YYYY-MM-DD
	Keys       []keys.Ref
	Renditions []entry.RenditionRef // in the order of the statement; of a withdrawal, those it took back
	After      entry.After
	Disputed   bool // a key that signed was in doubt at Index (State.Disputed)
}

// Said returns who said what and when.
func (e Endorsement) Said() Said {
	return Said{e.Mark, e.ID, e.Action, e.Keys, e.Renditions, e.Disputed}
}

// Size returns the number of leaves applied, inadmissible ones too.
func (s *State) Size() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.size
}

// Admitted returns the time of the last admissible leaf; zero: none yet.
func (s *State) Admitted() time.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.charter == nil {
		return time.Time{}
	}
	return milli(s.admitted)
}

func milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// Operated reports whether a domain is, or ever was, the operator's.
func (s *State) Operated(domain string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Contains(s.operated, domain)
}

// Operators returns the domains of the operator and of all before it, in their order.
func (s *State) Operators() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.operated)
}

// Charter returns the charter in force; nil: none yet.
func (s *State) Charter() *Charter {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := s.charter
	if c == nil {
		return nil
	}
	view := &Charter{
		Mark: c.Mark, ID: c.id, Title: c.title, Operator: c.operator,
		Publishers: slices.Clone(c.publishers), Admission: c.admission, Roll: c.roll,
	}
	for _, k := range c.keys {
		view.Keys = append(view.Keys, k.public)
	}
	return view
}

// Member returns what is known about a domain that is or was a member.
func (s *State) Member(domain string) (Member, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.members[domain]
	if m == nil {
		return Member{}, false
	}
	return s.viewMember(m), true
}

// Vouched returns what Member does but for keys, History and Chains, which may be large: for whoever follows vouchers from one to the next.
func (s *State) Vouched(domain string) (Member, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.members[domain]
	if m == nil {
		return Member{}, false
	}
	return s.vouched(m), true
}

// NextRegistration returns when a domain was registered again after an index; false: it was not.
func (s *State) NextRegistration(domain string, index uint64) (Mark, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.members[domain]
	if m == nil {
		return Mark{}, false
	}
	for _, f := range m.former {
		if f.index > index {
			at, _ := slices.BinarySearchFunc(m.history, f.index, func(ev Event, index uint64) int { return cmp.Compare(ev.Index, index) })
			return m.history[at].Mark, true
		}
	}
	return Mark{}, false
}

// Domains returns the domains of all that are members now, sorted.
func (s *State) Domains() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	domains := make([]string, 0, s.joined)
	for _, m := range s.ordered {
		if !m.left {
			domains = append(domains, m.domain)
		}
	}
	slices.Sort(domains)
	return domains
}

// Members returns all that are or were members, sorted by domain.
func (s *State) Members() []Member {
	s.mu.RLock()
	defer s.mu.RUnlock()
	views := make([]Member, 0, len(s.ordered))
	for _, m := range s.ordered {
		views = append(views, s.viewMember(m))
	}
	slices.SortFunc(views, func(a, b Member) int { return cmp.Compare(a.Domain, b.Domain) })
	return views
}

func (s *State) viewMember(m *member) Member {
	view := s.vouched(m)
	view.History = m.events()
	for _, k := range m.keys {
		view.Keys = append(view.Keys, s.viewKey(k, m.chains))
	}
	for _, k := range m.recovery {
		view.RecoveryKeys = append(view.RecoveryKeys, s.viewKey(k, m.chains))
	}
	for _, c := range m.chains {
		view.Chains = append(view.Chains, c.view())
	}
	return view
}

// vouched is the view without keys, history and chains.
func (s *State) vouched(m *member) Member {
	view := Member{
		Domain: m.domain, Name: m.name, LegalName: m.legalName,
		Registered: m.registered, Updated: m.updated, Named: m.named, Left: m.left, LeftAt: m.leftAt,
		Quorum: m.quorum, LastID: m.lastID,
	}
	for _, v := range m.vouchers {
		disputed := slices.ContainsFunc(v.keys, func(k *key) bool { return s.disputed(k, v.index) })
		w := Voucher{v.domain, Mark{Index: v.index}, v.operator, v.member, disputed, nil}
		if i, ok := slices.BinarySearchFunc(m.history, v.index, func(ev Event, index uint64) int { return cmp.Compare(ev.Index, index) }); ok {
			w.Admitted = m.history[i].Admitted
		}
		for _, k := range v.keys {
			w.Keys = append(w.Keys, k.ref)
		}
		view.Vouchers = append(view.Vouchers, w)
	}
	return view
}

func (m *member) events() []Event {
	events := slices.Clone(m.history)
	for i, ev := range events {
		events[i].Keys = slices.Clone(ev.Keys)
		events[i].Added, events[i].About = clone(ev.Added), clone(ev.About)
	}
	return events
}

// Known returns what Key does but for Registered and Published, which may be large: for whoever looks at many keys, or at one often.
func (s *State) Known(ref keys.Ref) (Key, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.known(ref)
	if k == nil {
		return Key{}, false
	}
	return s.knownKey(k), true
}

// Key returns what is known about a key that was ever registered.
func (s *State) Key(ref keys.Ref) (Key, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.known(ref)
	if k == nil {
		return Key{}, false
	}
	var chains []chain
	if m := s.members[k.domain]; m != nil {
		chains = m.chains
	}
	return s.viewKey(k, chains), true
}

func (s *State) viewKey(k *key, chains []chain) Key {
	view := s.knownKey(k)
	view.Registered, view.Published = slices.Clone(k.registered), k.spans(chains)
	return view
}

// knownKey is the view without what may be large.
func (s *State) knownKey(k *key) Key {
	from, disputed := s.doubted[k.id]
	return Key{
		Ref: k.ref, Public: k.public, Domain: k.domain, Role: k.role,
		Current: k.current, Suspended: k.suspended, SuspendedAt: k.suspendedAt, Revoked: k.revoked, RevokedAt: k.revokedAt,
		Compromised: k.compromised, CompromisedAfter: k.compromisedAfter, Disputed: disputed, DisputedFrom: from,
	}
}

// Statement returns a published statement by the hash of its text.
func (s *State) Statement(h entry.Hash) (Statement, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := s.statements[h]
	if st == nil {
		return Statement{}, false
	}
	return st.view(), true
}

// Statements returns all statements in the order of their publication.
func (s *State) Statements() []Statement {
	s.mu.RLock()
	defer s.mu.RUnlock()
	views := make([]Statement, 0, len(s.published))
	for _, st := range s.published {
		views = append(views, st.view())
	}
	return views
}

func (st *statement) view() Statement {
	view := Statement{
		Mark: st.Mark, ID: st.entryID, Statement: st.hash, Publisher: st.publisher, Title: st.title, Language: st.language,
		MediaType: st.mediaType, Size: st.size, Renditions: slices.Clone(st.renditions), Superseded: slices.Clone(st.superseded),
		Closed: st.closed, ClosedAt: st.closedAt, Closes: st.closes, LastID: st.lastID, Standing: st.standing,
	}
	view.Supersedes = clone(st.supersedes)
	view.Rolls = len(st.rolls)
	if len(st.about) > 0 {
		view.Changed = milli(st.changed)
	}
	return view
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// Endorsement returns the last admitted endorsement entry of the member about
// the statement, whether it endorses or withdraws.
func (s *State) Endorsement(domain string, h entry.Hash) (Endorsement, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m, st := s.members[domain], s.statements[h]
	if m == nil || st == nil {
		return Endorsement{}, false
	}
	_, r := s.standings.find(m.id, st.id)
	if r == nil {
		return Endorsement{}, false
	}
	return s.view(r), true
}

// Standing returns who stands behind a statement, sorted by domain.
func (s *State) Standing(h entry.Hash) []Endorsement {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := s.statements[h]
	if st == nil {
		return nil
	}
	views := make([]Endorsement, 0, st.standing)
	for _, i := range st.about {
		if r := s.standings.at(i); !r.withdrawn {
			views = append(views, s.view(r))
		}
	}
	slices.SortFunc(views, func(a, b Endorsement) int { return cmp.Compare(a.Domain, b.Domain) })
	return views
}

// Endorsements returns the member's last entry about each statement that it
// ever endorsed, in the order of the statements' publication.
func (s *State) Endorsements(domain string) []Endorsement {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.members[domain]
	if m == nil {
		return nil
	}
	said := slices.Clone(m.said)
	slices.SortFunc(said, func(a, b uint32) int { return cmp.Compare(s.standings.at(a).statement, s.standings.at(b).statement) })
	views := make([]Endorsement, 0, len(said))
	for _, i := range said {
		views = append(views, s.view(s.standings.at(i)))
	}
	return views
}

func (s *State) view(r *record) Endorsement {
	st := s.published[r.statement]
	view := Endorsement{
		Mark: Mark{r.index, milli(r.admitted)}, ID: r.id, Domain: s.ordered[r.member].domain, Statement: st.hash,
		Action: entry.Endorse, Date: time.Unix(int64(r.date)*86400, 0).UTC().Format(time.DateOnly),
		After: entry.After{Size: r.afterSize, Note: r.after},
	}
	if r.withdrawn {
		view.Action = entry.Withdraw
	}
	view.Keys, view.Disputed = s.signers(r.keys, r.index)
	view.Renditions = st.named(r.renditions)
	return view
}

// named returns the renditions of a statement whose bits are set.
func (st *statement) named(mask uint32) (refs []entry.RenditionRef) {
	for i, of := range st.renditions {
		if mask&(1<<i) != 0 {
			refs = append(refs, entry.RenditionRef{Language: of.Language, Hash: of.Hash})
		}
	}
	return refs
}

// Previous returns the ID of the last admitted entry on e's subject, which an
// entry to be admitted next must name; false: "previous none", or entry 0.
func (s *State) Previous(e *entry.Entry) (entry.Hash, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.previous(e)
}

// Support returns the indexes of the leaves that a receipt for the admitted
// entry e at index carries beside it, ascending and without index: those that
// last registered, before it, the keys of its voucher and key lines, the
// signer's newest registration or update before it, and the publication of its
// statement.
func (s *State) Support(index uint64, e *entry.Entry) []uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []uint64
	for _, n := range e.Named() {
		if k := s.known(n.Ref); k != nil {
			if i, _ := slices.BinarySearch(k.registered, index); i > 0 {
				found = append(found, k.registered[i-1])
			}
		}
	}
	if m := s.members[e.Signer]; m != nil {
		for _, ev := range slices.Backward(m.history) {
			if ev.Index < index && (ev.Action == entry.Register || ev.Action == entry.Update) {
				found = append(found, ev.Index)
				break
			}
		}
	}
	var about *statement
	switch b := e.Body.(type) {
	case *entry.Statement:
		about = s.statements[b.Statement]
	case *entry.Endorsement:
		about = s.statements[b.Statement]
	}
	if about != nil && about.Index < index {
		found = append(found, about.Index)
	}
	slices.Sort(found)
	return slices.Compact(found)
}
