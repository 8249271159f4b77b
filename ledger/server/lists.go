package server

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/rollcall"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// An extent is which list was asked for.
type extent struct {
	published uint64
	size      uint64 // entries that count
	at        verify.Moment
	dated     bool // at was asked for; else it is now
	language  language.Tag
}

// settled reports whether no entry to come can be one that counts.
func (e *extent) settled() bool { return e.dated && e.size < e.published }

func (e *extent) cache() string {
	if e.settled() {
		return cacheHour
	}
	return cacheShort
}

// moment reads a parameter that is a moment. One that has not come yet, by the clock here and by the record as it was read, has no list.
func (s *Server) moment(name, text string) (verify.Moment, *problem) {
	m, err := verify.ParseMoment(text)
	var p problem
	switch {
	case err != nil:
		p = problemSaying(ProblemParameter, name+" is a date, such as 2024-06-11, and means the end of that day in UTC, or a time in UTC, such as 2024-06-11T12:00:00Z.")
	case m.Begin().After(s.now()) && m.Begin().After(s.history.latest()):
		p = problemSaying(ProblemParameter, name+" has not come yet: nobody can know who will stand behind the statement then.")
	default:
		return m, nil
	}
	return m, &p
}

// extent reads the parameters as-of, size and language.
func (s *Server) extent(ctx context.Context, statement roll.Statement, q url.Values) (*extent, *problem) {
	published, err := s.history.read(ctx)
	if err != nil {
		p := s.problemFrom(err)
		return nil, &p
	}
	e := &extent{published: published, size: published, at: verify.Moment{Time: s.now().UTC(), Day: true}, language: language.Make(statement.Language)}
	if text := q.Get("size"); text != "" {
		n, ok := parseNumber(text)
		if !ok || n > published {
			p := problemSaying(ProblemParameter, "size is a number of entries, and at most that of the published checkpoint.")
			return nil, &p
		}
		e.size = n
	}
	if text := q.Get("as-of"); text != "" {
		var p *problem
		if e.at, p = s.moment("as-of", text); p != nil {
			return nil, p
		}
		e.dated = true
		e.size = min(e.size, s.history.sizeAt(e.at.Time, published))
	}
	if text := q.Get("language"); text != "" {
		if e.language, err = rollcall.ParseLanguage(text); err != nil {
			p := problemSaying(ProblemParameter, "language is a tag such as en, de or pt-BR.")
			return nil, &p
		}
	}
	return e, nil
}

// rollFile serves /statement/<hex>/roll.txt and the other formats: a whole list as people publish it.
func (s *Server) rollFile(w http.ResponseWriter, r *http.Request, statement roll.Statement, format rollcall.Format) {
	q, p := parameters(r.URL, "as-of", "size", "language")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	ctx := r.Context()
	of, p := s.extent(ctx, statement, q)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	list, err := s.history.list(ctx, statement.Statement, of.size, of.language)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	if len(list.standing) > s.limits.names {
		s.fail(w, r, problemOf(ProblemLong))
		return
	}
	lines, err := s.signatories(ctx, list.standing, of.size)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	l := rollcall.List{Origin: s.ledger.Origin(), Statement: statement.Statement, AsOf: of.at, Size: of.size}
	if s.url != "" {
		l.Link = s.base() + "/statement/" + hexOf(statement.Statement)
	}
	for _, line := range lines {
		l.Lines = append(l.Lines, rollcall.Line{
			Name: line.Name, LegalName: line.LegalName, Domain: line.Domain, Index: line.Index, ID: line.ID, Admitted: line.At, Date: line.Date, Disputed: line.Disputed,
		})
	}
	if format == rollcall.CSV {
		w.Header().Set("Content-Disposition", `attachment; filename="signatories.csv"`)
	}
	s.content(w, r, format.MediaType(), of.cache(), l.Print(format), true)
}

// base is the ledger's public address without a slash at the end; "" if it is not known.
func (s *Server) base() string { return strings.TrimSuffix(s.url, "/") }

// A changeList is who changed between two sizes of the record, in the alphabetical order of their names at the second.
type changeList struct {
	id    changeID
	lines []changeLine
}

// A changeLine is an organization's last words at both sizes.
type changeLine struct{ old, new *event } // nil: it had said nothing

// A changeID says what a changeList is made of.
type changeID struct {
	from uint64
	to   listID
	keys int // the first so many registrations and key entries
}

// between returns who changed between two sizes of the record that have been read.
func (h *history) between(ctx context.Context, statement entry.Hash, from, to uint64, in language.Tag) ([]changeLine, error) {
	id := changeID{from: from, to: h.listAt(statement, to, in)}
	kept := func() []changeLine {
		h.mu.RLock()
		defer h.mu.RUnlock()
		id.keys = sort.Search(len(h.keyed), func(i int) bool { return h.keyed[i].index >= to })
		for _, c := range h.changes {
			if c.id == id {
				return c.lines
			}
		}
		return nil
	}
	if lines := kept(); lines != nil {
		return lines, nil
	}
	if err := h.take(ctx); err != nil {
		return nil, err
	}
	defer func() { <-h.turn }()
	if lines := kept(); lines != nil { // sorted while we waited
		return lines, nil
	}
	c := &changeList{id, h.changed(statement, from, to, in)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.changes) == keptLists {
		h.changes = slices.Delete(h.changes, 0, 1)
	}
	h.changes = append(h.changes, c)
	return c.lines, nil
}

// changed makes such a list. Only those that an entry in between is about are looked at.
func (h *history) changed(statement entry.Hash, from, to uint64, in language.Tag) []changeLine {
	type line struct {
		changeLine
		name, domain string
	}
	lines := []line{}
	h.mu.RLock()
	old, new := map[uint32]event{}, map[uint32]event{}
	about := map[uint32]bool{}
	for _, e := range h.statements[statement] {
		if e.index >= to {
			break
		}
		new[e.who] = e
		if e.index < from {
			old[e.who] = e
		} else {
			about[e.who] = true
		}
	}
	for _, all := range [][]happening{h.named, h.keyed} {
		first := sort.Search(len(all), func(i int) bool { return all[i].index >= from })
		for _, x := range all[first:] {
			if x.index >= to {
				break
			}
			about[x.who] = true
		}
	}
	for who := range about {
		var before, after []roll.Signatory
		var l changeLine
		if e, ok := old[who]; ok {
			l.old, before = &e, append(before, h.outline(e, from))
		}
		if e, ok := new[who]; ok {
			l.new, after = &e, append(after, h.outline(e, to))
		}
		if len(roll.Compare(before, after)) > 0 {
			last := append(before, after...)
			lines = append(lines, line{l, last[len(last)-1].Name, h.orgs[who].domain})
		}
	}
	h.mu.RUnlock()
	rollcall.Sort(lines, in, func(l line) (string, string) { return l.name, l.domain })
	all := make([]changeLine, 0, len(lines))
	for _, l := range lines {
		all = append(all, l.changeLine)
	}
	return all
}

// outline is what is known of a signatory without its entry, in the record of a size: enough to tell that it changed, not yet
// how. Its key events are empty. The caller holds mu.
func (h *history) outline(e event, size uint64) roll.Signatory {
	n := h.nameOf(e, size)
	s := roll.Signatory{Name: n.name, LegalName: n.legal, Keyed: make([]roll.Event, h.keyings(e.who, size))}
	s.Index, s.Domain, s.Action = e.index, h.orgs[e.who].domain, entry.Endorse
	if e.withdrawn {
		s.Action = entry.Withdraw
	}
	return s
}

// keyings counts an organization's registrations and key entries in the record of a size. The caller holds mu.
func (h *history) keyings(who uint32, size uint64) int {
	keyed := h.orgs[who].keyed
	return sort.Search(len(keyed), func(i int) bool { return keyed[i] >= size })
}

// changesJSON is what changed in a list, in an answer.
type changesJSON struct {
	Statement entry.Hash        `json:"statement"`
	From      string            `json:"from"`
	FromSize  uint64            `json:"from_size"` // entries up to then
	AsOf      string            `json:"as_of,omitempty"`
	Language  string            `json:"language"`
	Size      uint64            `json:"size"` // entries up to the later moment
	Published uint64            `json:"published"`
	Count     int               `json:"count"`
	Items     []rollcall.Change `json:"items"`
	Next      string            `json:"next,omitempty"`
}

// changes serves /api/v1/changes/<hex>: who came, withdrew, changed names or keys, or endorsed again between two moments.
func (s *Server) changes(w http.ResponseWriter, r *http.Request, rest string) {
	statement, p := s.lookUp(rest)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	q, p := parameters(r.URL, "from", "as-of", "size", "language", "limit", "page")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	page, ok := parsePage(q)
	if !ok {
		s.fail(w, r, badPage)
		return
	}
	ctx := r.Context()
	of, p := s.extent(ctx, statement, q)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	from, p := s.moment("from", q.Get("from"))
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	before := s.history.sizeAt(from.Time, of.published)
	if before > of.size || from.Time.After(of.at.Time) {
		s.fail(w, r, problemSaying(ProblemParameter, "from must not be later than the moment that it is compared with."))
		return
	}
	lines, err := s.history.between(ctx, statement.Statement, before, of.size, of.language)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	answer := changesJSON{
		Statement: statement.Statement, From: stamp(from.Time), FromSize: before, Language: of.language.String(), Size: of.size, Published: of.published,
		Count: len(lines), Items: []rollcall.Change{},
	}
	if of.dated {
		answer.AsOf = stamp(of.at.Time)
	}
	first, last := page.cut(len(lines))
	for _, l := range lines[first:last] {
		c, err := s.change(ctx, l, before, of.size)
		if err != nil {
			s.fail(w, r, s.problemFrom(err))
			return
		}
		answer.Items = append(answer.Items, c)
	}
	if q.Get("size") == "" {
		q.Set("size", strconv.FormatUint(of.size, 10)) // the pages that follow are of the same record
	}
	answer.Next = page.next(r.URL, q, len(lines))
	s.content(w, r, typeJSON, of.cache(), encode(answer), true)
}

// change tells what changed about one organization between two sizes.
func (s *Server) change(ctx context.Context, l changeLine, from, to uint64) (rollcall.Change, error) {
	before, err := s.word(ctx, l.old, from)
	if err != nil {
		return rollcall.Change{}, err
	}
	after, err := s.word(ctx, l.new, to)
	if err != nil {
		return rollcall.Change{}, err
	}
	changes := roll.Compare(before, after)
	if len(changes) != 1 {
		return rollcall.Change{}, ledger.ErrCorrupt // the outline has changed
	}
	return rollcall.ChangeOf(changes[0]), nil
}

// word returns the signatory whose last word this is in the record of a size, if there is one.
func (s *Server) word(ctx context.Context, e *event, size uint64) ([]roll.Signatory, error) {
	if e == nil {
		return nil, nil
	}
	s.history.mu.RLock()
	of := s.history.outline(*e, size)
	s.history.mu.RUnlock()
	leaf, err := s.leaf(ctx, e.index)
	if err != nil {
		return nil, err
	}
	said, ok := leaf.Entry.Body.(*entry.Endorsement)
	if !ok {
		return nil, ledger.ErrCorrupt
	}
	of.Admitted, of.ID, of.Date, of.Keys, of.Renditions = leaf.Admitted.UTC(), leaf.Entry.ID(), leaf.Entry.Date, leaf.Entry.Keys, said.Renditions
	err = s.ledger.View(func(st *roll.State) {
		m, _ := st.Member(of.Domain)
		copy(of.Keyed, roll.KeyEvents(m.History))
	})
	return []roll.Signatory{of}, err
}
