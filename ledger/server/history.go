package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/rollcall"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// A history is what lists need of the published record: who endorsed and withdrew when, under
// which name. It reads every leaf once, when it is first asked for one beyond those that it has read.
//
// It trusts the ledger, which admitted those leaves by the rules, and so keeps 32 bytes for an
// endorsement where a fold for each date would replay all.
type history struct {
	ledger *ledger.Ledger
	turn   chan struct{} // held by whoever reads leaves or sorts a list: one at a time

	mu         sync.RWMutex
	admitted   []int64 // milliseconds since 1970, of every leaf read
	who        map[string]uint32
	orgs       []org       // by the numbers in who
	named      []happening // all namings
	keyed      []happening // all registrations and key entries
	statements map[entry.Hash][]event
	acts       map[entry.Hash][]uint64 // indexes of the statement entries about each
	news       []uint64                // indexes of all endorsement and statement entries
	texts      map[entry.Hash]string   // media types
	lists      []*list                 // sorted before, the newest last
	changes    []*changeList           // the same
}

// An event is one endorsement entry about one statement.
type event struct {
	index     uint64
	who       uint32
	withdrawn bool
}

// A happening is an entry about an organization.
type happening struct {
	index uint64
	who   uint32
}

// An org is an organization that was ever registered, and what it called itself.
type org struct {
	domain string
	names  []naming // by index
	keyed  []uint64 // indexes of its registrations and key entries
	said   []uint64 // indexes of its endorsement entries
}

type naming struct {
	index       uint64
	registers   bool
	name, legal string
	folded      string // domain and names, for search
}

// A list is who stands behind a statement, and who withdrew, in the record of one size, in the
// alphabetical order of their names then, in a language.
type list struct {
	listID
	standing  []event
	withdrawn []event
	recorded  []uint32 // places in standing, in the order of the record
}

// within returns what a page of the list has: of those that stand first, then of those that withdrew.
func (l *list) within(p page, recorded bool) (standing, withdrawn []event) {
	n := len(l.standing)
	from, to := p.cut(n + len(l.withdrawn))
	withdrawn = l.withdrawn[max(from, n)-n : max(to, n)-n]
	if !recorded {
		return l.standing[min(from, n):min(to, n)], withdrawn
	}
	for _, i := range l.recorded[min(from, n):min(to, n)] {
		standing = append(standing, l.standing[i])
	}
	return standing, withdrawn
}

// A listID says what a list is made of.
type listID struct {
	statement entry.Hash
	events    int // the first so many about the statement
	namings   int // the first so many of all organizations
	language  language.Tag
}

// keptLists bounds the lists that are kept sorted.
const keptLists = 8

func newHistory(l *ledger.Ledger) *history {
	return &history{
		ledger:     l,
		turn:       make(chan struct{}, 1),
		who:        map[string]uint32{},
		statements: map[entry.Hash][]event{},
		acts:       map[entry.Hash][]uint64{},
		texts:      map[entry.Hash]string{},
	}
}

// take waits for the turn.
func (h *history) take(ctx context.Context) error {
	select {
	case h.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read reads up to the published checkpoint, and returns its size.
func (h *history) read(ctx context.Context) (uint64, error) {
	size := h.ledger.Published().Size
	h.mu.RLock()
	have := uint64(len(h.admitted))
	h.mu.RUnlock()
	if have >= size {
		return size, nil
	}
	if err := h.take(ctx); err != nil {
		return 0, err
	}
	defer func() { <-h.turn }()
	for have = uint64(len(h.admitted)); have < size; have = uint64(len(h.admitted)) { // written in our turn alone
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		t, _ := verify.TileAt(-1, have/verify.TileWidth, size)
		bundle, err := h.ledger.Tile(ctx, t)
		if err != nil {
			return 0, err
		}
		entries, err := verify.SplitBundle(bundle, t.Width)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", t.Path(), err)
		}
		leaves := make([]*entry.Leaf, 0, len(entries))
		for _, b := range entries[have%verify.TileWidth:] {
			leaf, err := entry.ParseLeaf(b)
			if err != nil {
				return 0, fmt.Errorf("entry %d: %w", have, err)
			}
			leaves = append(leaves, leaf)
		}
		h.mu.Lock()
		for _, leaf := range leaves {
			h.add(leaf)
		}
		h.mu.Unlock()
	}
	return size, nil
}

// add takes the next leaf.
func (h *history) add(leaf *entry.Leaf) {
	index := uint64(len(h.admitted))
	h.admitted = append(h.admitted, leaf.Admitted.UnixMilli())
	switch body := leaf.Entry.Body.(type) {
	case *entry.Statement:
		h.acts[body.Statement] = append(h.acts[body.Statement], index)
		h.news = append(h.news, index)
		if body.Action == entry.Publish {
			h.texts[body.Statement] = body.MediaType
			for _, r := range body.Renditions {
				h.texts[r.Hash] = r.MediaType
			}
		}
	case *entry.Membership:
		if body.Action != entry.Leave {
			n := h.number(body.Member)
			h.named = append(h.named, happening{index, n})
			h.orgs[n].names = append(h.orgs[n].names, naming{index, body.Action == entry.Register, body.Name, body.LegalName, fold(body.Member + "\n" + unicodeOf(body.Member) + "\n" + body.Name + "\n" + body.LegalName)})
			if body.Action == entry.Register {
				h.key(index, n)
			}
		}
	case *entry.KeyEvent:
		h.key(index, h.number(body.Member))
	case *entry.Endorsement:
		e := event{index, h.number(leaf.Entry.Signer), body.Action == entry.Withdraw}
		h.statements[body.Statement] = append(h.statements[body.Statement], e)
		h.orgs[e.who].said = append(h.orgs[e.who].said, index)
		h.news = append(h.news, index)
	}
}

// admittedAt returns when a leaf that has been read was admitted.
func (h *history) admittedAt(index uint64) time.Time {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if index >= uint64(len(h.admitted)) {
		return time.Time{}
	}
	return time.UnixMilli(h.admitted[index]).UTC()
}

// latest returns when the last leaf that has been read was admitted.
func (h *history) latest() time.Time {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.admitted) == 0 {
		return time.Time{}
	}
	return time.UnixMilli(h.admitted[len(h.admitted)-1]).UTC()
}

// saidBy returns the indexes of an organization's endorsement entries in the record of a size.
func (h *history) saidBy(domain string, size uint64) []uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	who, ok := h.who[domain]
	if !ok {
		return nil
	}
	said := h.orgs[who].said
	n, _ := slices.BinarySearch(said, size)
	return said[:n:n]
}

// formerNames returns at most 20 names that a domain had before its latest in the record of a size, the newest first.
func (h *history) formerNames(domain string, size uint64) []string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	who, ok := h.who[domain]
	if !ok {
		return nil
	}
	var names []string
	latest := h.name(who, size).name
	for _, n := range slices.Backward(h.orgs[who].names) {
		if n.index < size && n.name != latest && !slices.Contains(names, n.name) && len(names) < 20 {
			names = append(names, n.name)
		}
	}
	return names
}

// key notes that an entry says which keys speak for an organization.
func (h *history) key(index uint64, who uint32) {
	h.keyed = append(h.keyed, happening{index, who})
	h.orgs[who].keyed = append(h.orgs[who].keyed, index)
}

func (h *history) number(domain string) uint32 {
	n, ok := h.who[domain]
	if !ok {
		n = uint32(len(h.orgs))
		h.who[domain] = n
		h.orgs = append(h.orgs, org{domain: domain})
	}
	return n
}

// name returns what an organization called itself in the record of this size. The caller holds mu.
func (h *history) name(who uint32, size uint64) naming {
	names := h.orgs[who].names
	i := sort.Search(len(names), func(i int) bool { return names[i].index >= size })
	if i == 0 {
		return naming{}
	}
	return names[i-1]
}

// sizeAt returns how many entries had been admitted up to a time, of the first size.
func (h *history) sizeAt(t time.Time, size uint64) uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	ms := t.UnixMilli()
	return uint64(sort.Search(int(size), func(i int) bool { return h.admitted[i] > ms }))
}

// mediaType returns what the record says of a text; "" if nothing.
func (h *history) mediaType(ctx context.Context, hash entry.Hash) (string, error) {
	if _, err := h.read(ctx); err != nil {
		return "", err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.texts[hash], nil
}

// nameOf is name for whoever said something at an index: who registers a domain again may be somebody else, so it is the
// latest name of the registration under which that was said. The caller holds mu.
func (h *history) nameOf(e event, size uint64) naming {
	for _, n := range h.orgs[e.who].names {
		if n.registers && n.index > e.index {
			size = min(size, n.index)
			break
		}
	}
	return h.name(e.who, size)
}

// list returns the sorted list of a statement in the record of a size that has been read.
func (h *history) list(ctx context.Context, statement entry.Hash, size uint64, in language.Tag) (*list, error) {
	id := h.listAt(statement, size, in)
	if l := h.kept(id); l != nil {
		return l, nil
	}
	if err := h.take(ctx); err != nil {
		return nil, err
	}
	defer func() { <-h.turn }()
	if l := h.kept(id); l != nil { // sorted while we waited
		return l, nil
	}
	l := h.sorted(id, size)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.lists) == keptLists {
		h.lists = slices.Delete(h.lists, 0, 1)
	}
	h.lists = append(h.lists, l)
	return l, nil
}

// listAt names the list of a statement in the record of a size: it is the same until something
// happens to the statement or to any name.
func (h *history) listAt(statement entry.Hash, size uint64, in language.Tag) listID {
	h.mu.RLock()
	defer h.mu.RUnlock()
	events := h.statements[statement]
	return listID{
		statement: statement,
		events:    sort.Search(len(events), func(i int) bool { return events[i].index >= size }),
		namings:   sort.Search(len(h.named), func(i int) bool { return h.named[i].index >= size }),
		language:  in,
	}
}

func (h *history) kept(id listID) *list {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, l := range h.lists {
		if l.listID == id {
			return l
		}
	}
	return nil
}

// sorted makes a list.
func (h *history) sorted(id listID, size uint64) *list {
	h.mu.RLock()
	last := map[uint32]event{}
	for _, e := range h.statements[id.statement][:id.events] {
		last[e.who] = e
	}
	type line struct {
		event
		name, domain string
	}
	lines := make([]line, 0, len(last))
	for who, e := range last {
		lines = append(lines, line{event: e, name: h.nameOf(e, size).name, domain: h.orgs[who].domain})
	}
	h.mu.RUnlock()

	rollcall.Sort(lines, id.language, func(l line) (string, string) { return l.name, l.domain })
	l := &list{listID: id}
	for _, e := range lines {
		if e.withdrawn {
			l.withdrawn = append(l.withdrawn, e.event)
		} else {
			l.recorded = append(l.recorded, uint32(len(l.standing)))
			l.standing = append(l.standing, e.event)
		}
	}
	slices.SortFunc(l.recorded, func(a, b uint32) int { return cmp.Compare(l.standing[a].index, l.standing[b].index) })
	return l
}

// find returns the domains of at most limit organizations whose domain or latest names contain
// q, in the order of their registration.
func (h *history) find(q string, limit int) []found {
	q = fold(q)
	h.mu.RLock()
	defer h.mu.RUnlock()
	var all []found
	for i := range h.orgs {
		n := h.name(uint32(i), uint64(len(h.admitted)))
		if strings.Contains(n.folded, q) {
			if len(all) == limit {
				break
			}
			all = append(all, found{h.orgs[i].domain, n.name})
		}
	}
	return all
}

// found is an organization that a search found.
type found struct{ domain, name string }

// fold makes texts that a person would call the same the same: it drops case, accents and
// compatibility forms.
func fold(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(text))
}

// A signatory is one line of a list, for the API and the page.
type signatory struct {
	Domain    string     `json:"domain"`
	Unicode   string     `json:"unicode,omitempty"` // the domain in its own script, if it has one
	Name      string     `json:"name"`
	LegalName string     `json:"legal_name,omitempty"`
	Index     uint64     `json:"index"` // of the endorsement or withdrawal
	ID        entry.Hash `json:"id"`
	Admitted  string     `json:"admitted"`
	Date      string     `json:"date"` // the signer's claim
	Disputed  bool       `json:"disputed"`
	Receipt   string     `json:"receipt_url"`

	At time.Time `json:"-"`
}

// signatories fills in the lines of a list in the record of this size.
func (s *Server) signatories(ctx context.Context, events []event, size uint64) ([]signatory, error) {
	lines := make([]signatory, 0, len(events))
	leaves := make([]*entry.Leaf, 0, len(events))
	for _, e := range events {
		leaf, err := s.leaf(ctx, e.index)
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, leaf)
		s.history.mu.RLock()
		n := s.history.nameOf(e, size)
		s.history.mu.RUnlock()
		lines = append(lines, signatory{
			Domain: leaf.Entry.Signer, Unicode: unicodeOf(leaf.Entry.Signer), Name: n.name, LegalName: n.legal,
			Index: e.index, ID: leaf.Entry.ID(), Admitted: stamp(leaf.Admitted), Date: leaf.Entry.Date,
			Receipt: receiptPath(e.index), At: leaf.Admitted,
		})
	}
	disputed, err := s.disputed(events, leaves)
	if err != nil {
		return nil, err
	}
	for i := range lines {
		lines[i].Disputed = disputed[i]
	}
	return lines, nil
}

// leaf returns a published leaf.
func (s *Server) leaf(ctx context.Context, index uint64) (*entry.Leaf, error) {
	b, err := s.ledger.Leaf(ctx, index)
	if err != nil {
		return nil, err
	}
	leaf, err := entry.ParseLeaf(b)
	if err != nil {
		return nil, errors.Join(ledger.ErrCorrupt, err)
	}
	return leaf, nil
}
