package server

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tccm/undersigned/ledger/rollcall"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/roll"
)

// A statementView is a statement and the list of who stands behind it.
type statementView struct {
	About   roll.Statement
	Open    bool
	Path    string // of its page
	Text    string // path of its text
	Blocks  []block
	Missing string // why the text is not shown; "" if it is
	Titled  bool   // its first line is the title

	List     *listView
	Timeline *timeline
	Sealed   *sealedView // the sealed list that is the one shown; nil: there is none
}

// Lead returns the first paragraph below the title, to show what the text is; nil: it has none.
func (v *statementView) Lead() *block {
	for i := range v.Blocks {
		if !(i == 0 && v.Titled) && !v.Blocks[i].List {
			return &v.Blocks[i]
		}
	}
	return nil
}

// A listView is a page of a list.
type listView struct {
	Statement string // its fingerprint in hexadecimal
	Size      uint64 // entries that count
	Published uint64
	AsOf      *verify.Moment // asked for; nil: none
	Past      bool           // entries were left out, or it was asked for a moment
	At        time.Time      // when the last entry that counts was admitted
	Count     int
	Withdrawn int
	Items     []line
	Gone      []line
	First     int // number of the first item; Last as well
	Last      int
	Whole     bool // nothing is left out
	Recorded  bool // in the order of the record, not of the alphabet

	Compared *verify.Moment // with the list of which moment; nil: with none
	Added    int            // since then; Left as well
	Left     int

	Before, After *neighbour // the changes before and after it
	Query         string     // of the files with the same list, with its question mark
	Permalink     string     // of this very list
	Alphabetical  string     // path of the same list in that order; Recording as well
	Recording     string
	Previous      string // page
	Next          string
}

// When is the moment of a list that is not today's, for people; "": it is today's, or of an empty record.
func (v *listView) When() string {
	switch {
	case v.AsOf != nil:
		return v.AsOf.String()
	case v.Past && !v.At.IsZero():
		return v.At.Format(timeFormat)
	}
	return ""
}

// Total counts all who are on the list, those who withdrew among them.
func (v *listView) Total() int { return v.Count + v.Withdrawn }

// A line is a signatory on a page.
type line struct {
	signatory
	Added bool // since the moment compared with; in the list of those who withdrew: withdrawn since then
}

// A neighbour is a change next to a list, and the list on its other side.
type neighbour struct {
	Path string
	Name string
	Gone bool
	At   time.Time
}

// A sealedView is the sealed list beside a list.
type sealedView struct {
	Index uint64 // of the entry
	Whole bool   // it may be had whole
	Path  string // of its files
	AsOf  verify.Moment
}

// statementPage serves the page of one statement, and what lies below it.
func (s *Server) statementPage(w http.ResponseWriter, r *http.Request, rest string) {
	hash, below, whole := strings.Cut(rest, "/")
	statement, p := s.lookUp(hash)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	if whole {
		s.belowStatement(w, r, statement, below)
		return
	}
	q, p := parameters(r.URL, "as-of", "size", "from", "order", "language", "page")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	number, ok := parsePage(q)
	if !ok {
		s.fail(w, r, badPage)
		return
	}
	number.limit = pageLimit
	v, p := s.newView(r, "statement")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	if v.Statement, p = s.statementView(r.Context(), statement, q, number); p != nil {
		s.fail(w, r, *p)
		return
	}
	v.Takeaway = s.mayTake() && v.Size <= maxTakenEntries
	l := v.Statement.List
	var asOf time.Time
	if l.AsOf != nil && q.Get("size") == "" {
		asOf = l.AsOf.Time
	}
	v.Statement.Timeline = s.history.timeline(statement.Statement, statement.Admitted, l.Published, l.Size, asOf, v.Today)
	var all []roll.Statement
	if err := s.ledger.View(func(st *roll.State) { all = st.Statements() }); err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	v.Others = others(all, statement.Statement)
	s.show(w, r, v, cacheShort)
}

// belowStatement serves the feed and the lists of a statement, and the record as a page about it.
func (s *Server) belowStatement(w http.ResponseWriter, r *http.Request, statement roll.Statement, below string) {
	if below == "feed.atom" {
		s.atom(w, r, &statement)
		return
	}
	if below == "page.html" {
		s.takeRecord(w, r, statement)
		return
	}
	for _, f := range rollcall.Formats {
		if below == "roll."+f.Extension() {
			s.rollFile(w, r, statement, f)
			return
		}
	}
	s.fail(w, r, problemOf(ProblemNotFound))
}

// statementView collects what a page shows of a statement and the list that q asks for.
func (s *Server) statementView(ctx context.Context, statement roll.Statement, q url.Values, number page) (*statementView, *problem) {
	v := &statementView{
		About: statement, Open: s.open(statement), Path: statementPath(statement.Statement), Text: blobPath(statement.Statement),
	}
	of, p := s.extent(ctx, statement, q)
	if p != nil {
		return nil, p
	}
	if v.List, p = s.listView(ctx, statement, of, q, number); p != nil {
		return nil, p
	}
	if err := s.text(ctx, v); err != nil {
		p := s.problemFrom(err)
		return nil, &p
	}
	v.Sealed = s.sealedBeside(v, of)
	return v, nil
}

// listView collects a page of a list.
func (s *Server) listView(ctx context.Context, statement roll.Statement, of *extent, q url.Values, number page) (*listView, *problem) {
	failed := func(err error) (*listView, *problem) {
		p := s.problemFrom(err)
		return nil, &p
	}
	list, err := s.history.list(ctx, statement.Statement, of.size, of.language)
	if err != nil {
		return failed(err)
	}
	v := &listView{
		Statement: hexOf(statement.Statement), Size: of.size, Published: of.published, Count: len(list.standing), Withdrawn: len(list.withdrawn),
		Recorded: q.Get("order") == orderRecorded, Past: of.dated || of.size < of.published,
	}
	if of.dated {
		v.AsOf = &of.at
	}
	if o := q.Get("order"); o != "" && o != orderRecorded && o != orderName {
		p := problemSaying(ProblemParameter, "order is name or recorded.")
		return nil, &p
	}
	stood, p := s.compared(ctx, statement, of, q, v, list)
	if p != nil {
		return nil, p
	}

	total := v.Count + v.Withdrawn
	first, last := number.cut(total)
	v.First, v.Last, v.Whole = first+1, last, last-first == total
	standing, withdrawn := list.within(number, v.Recorded)
	items, err := s.signatories(ctx, standing, of.size)
	if err != nil {
		return failed(err)
	}
	gone, err := s.signatories(ctx, withdrawn, of.size)
	if err != nil {
		return failed(err)
	}
	for i, l := range items {
		v.Items = append(v.Items, line{l, stood != nil && !stood[standing[i].who]})
	}
	for i, l := range gone {
		v.Gone = append(v.Gone, line{l, stood[withdrawn[i].who]})
	}
	s.paths(statement, of, q, number, v)
	return v, nil
}

// The orders of a list.
const (
	orderName     = "name"
	orderRecorded = "recorded"
)

// compared says who stood behind the statement at the moment that the list is compared with, if there is one, and counts
// who came and left since then.
func (s *Server) compared(ctx context.Context, statement roll.Statement, of *extent, q url.Values, v *listView, list *list) (map[uint32]bool, *problem) {
	if q.Get("from") == "" {
		return nil, nil
	}
	from, p := s.moment("from", q.Get("from"))
	if p != nil {
		return nil, p
	}
	size := s.history.sizeAt(from.Time, of.published)
	if size > of.size || from.Time.After(of.at.Time) {
		p := problemSaying(ProblemParameter, "from must not be later than the moment that it is compared with.")
		return nil, &p
	}
	old, err := s.history.list(ctx, statement.Statement, size, of.language)
	if err != nil {
		p := s.problemFrom(err)
		return nil, &p
	}
	v.Compared = &from
	stood := make(map[uint32]bool, len(old.standing))
	for _, e := range old.standing {
		stood[e.who] = true
	}
	for _, e := range list.standing {
		if !stood[e.who] {
			v.Added++
		}
	}
	for _, e := range list.withdrawn {
		if stood[e.who] {
			v.Left++
		}
	}
	return stood, nil
}

// paths fills in where other lists are.
func (s *Server) paths(statement roll.Statement, of *extent, q url.Values, number page, v *listView) {
	path := statementPath(statement.Statement)
	with := func(change func(url.Values)) string {
		values := url.Values{}
		for _, name := range []string{"as-of", "size", "from", "order", "language"} {
			if text := q.Get(name); text != "" {
				values.Set(name, text)
			}
		}
		change(values)
		if len(values) == 0 {
			return path
		}
		return path + "?" + values.Encode()
	}
	size := strconv.FormatUint(of.size, 10)
	v.Query = strings.TrimPrefix(with(func(q url.Values) { q.Del("from"); q.Del("order") }), path)
	v.Permalink = with(func(q url.Values) { q.Set("size", size) })
	v.Alphabetical = with(func(q url.Values) { q.Del("order") })
	v.Recording = with(func(q url.Values) { q.Set("order", orderRecorded) })
	at := func(number int) string {
		return with(func(q url.Values) { q.Set("size", size); q.Set("page", strconv.Itoa(number)) })
	}
	if number.number > 1 {
		v.Previous = at(number.number - 1)
	}
	if _, last := number.cut(v.Count + v.Withdrawn); last < v.Count+v.Withdrawn {
		v.Next = at(number.number + 1)
	}

	h := s.history
	h.mu.RLock()
	defer h.mu.RUnlock()
	if of.size > 0 {
		v.At = time.UnixMilli(h.admitted[of.size-1]).UTC()
	}
	events := h.eventsOf(statement.Statement, of.published)
	i := len(h.eventsOf(statement.Statement, of.size))
	beside := func(e event, size uint64) *neighbour {
		return &neighbour{
			Path: with(func(q url.Values) { q.Del("as-of"); q.Del("from"); q.Set("size", strconv.FormatUint(size, 10)) }),
			Name: h.nameOf(e, of.published).name, Gone: e.withdrawn, At: time.UnixMilli(h.admitted[e.index]).UTC(),
		}
	}
	if i > 0 {
		v.Before = beside(events[i-1], events[i-1].index)
	}
	if i < len(events) {
		v.After = beside(events[i], events[i].index+1)
	}
}

// sealedBeside returns the sealed list that is the one that the page shows, if there is one.
func (s *Server) sealedBeside(v *statementView, of *extent) *sealedView {
	if of.dated && of.size != s.history.sizeAt(of.at.Time, of.published) || !of.dated && of.size != of.published {
		return nil // a permalink to another list
	}
	h := v.About.Statement
	sealed, _, ok := s.ledger.SealedAt(h, of.at.Time)
	if !ok {
		return nil
	}
	return &sealedView{
		Index: sealed.Index, Whole: sealed.Count <= uint64(s.limits.names),
		Path: "/api/v1/roll-receipt/" + hexOf(h), AsOf: verify.Moment{Time: sealed.AsOf},
	}
}
