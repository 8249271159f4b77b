package server

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tccm/undersigned/ledger/rollcall"
	"github.com/tccm/undersigned/ledger/server/assets"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

const (
	pageLimit    = 500       // signatories on one page
	maxShownText = 256 << 10 // bytes of a statement that is shown in the page
	maxListed    = 50        // other statements that the page links to
	dayFormat    = "2 January 2006"
	timeFormat   = "2 January 2006, 15:04 UTC"
)

var pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"day":  func(t time.Time) string { return t.UTC().Format(dayFormat) },
	"time": func(t time.Time) string { return t.UTC().Format(timeFormat) },
	"iso":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"hex":  hexOf,
}).ParseFS(assets.Files, "page.html"))

// A view is what the page shows.
type view struct {
	Demo     bool
	Origin   string
	URL      string // with a slash at the end; "" if not known
	Title    string // of the record
	Operator string
	Ready    bool // it admits entries
	Closed   bool // for writing, on purpose

	Size       uint64
	Checkpoint string // root hash, base64
	Newest     time.Time
	Bundle     string // path of the newest entry bundle

	Statement *statementView
	Others    []roll.Statement
}

// A statementView is the statement that the page is about.
type statementView struct {
	About   roll.Statement
	Open    bool
	Path    string // of its page
	Text    string // path of its text
	Blocks  []block
	Missing string // why the text is not shown; "" if it is
	Titled  bool   // its first line is the title

	Today     time.Time
	AsOf      *verify.Moment // asked for; nil: now
	AsOfValue string         // of the form's field
	Query     string         // of links to the same list, with its question mark
	Roll      *rollJSON
	Signed    []signatory
	Withdrawn []signatory
	First     int    // number of the first signatory shown
	Next      string // the next page, if any

	Sealed *sealedView // the sealed list that is the one shown; nil: there is none
}

// A sealedView is the sealed list beside a list.
type sealedView struct {
	Index uint64 // of the entry
	Whole bool   // it may be had whole
	Path  string // of its files
	AsOf  verify.Moment
}

// A block is a paragraph of a statement's text, or a list.
type block struct {
	List  bool
	Lines []string
}

// home serves the page of the current statement.
func (s *Server) home(w http.ResponseWriter, r *http.Request, _ string) { s.page(w, r, nil) }

// statementPage serves the page of one statement, and what lies below it.
func (s *Server) statementPage(w http.ResponseWriter, r *http.Request, rest string) {
	hash, below, whole := strings.Cut(rest, "/")
	statement, p := s.lookUp(hash)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	if !whole {
		s.page(w, r, &statement)
		return
	}
	if below == "feed.atom" {
		s.atom(w, r, &statement)
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

func (s *Server) page(w http.ResponseWriter, r *http.Request, statement *roll.Statement) {
	v, p := s.view(r, statement)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		s.log.Error("the page cannot be made", "error", err)
		s.fail(w, r, problemOf(ProblemInternal))
		return
	}
	s.content(w, r, typeHTML, cacheShort, b.Bytes(), true)
}

// view collects what the page shows.
func (s *Server) view(r *http.Request, statement *roll.Statement) (*view, *problem) {
	failed := func(err error) (*view, *problem) {
		p := s.problemFrom(err)
		return nil, &p
	}
	q, p := parameters(r.URL, "as-of", "page")
	if p != nil {
		return nil, p
	}
	number, ok := parsePage(q)
	if !ok {
		p := badPage
		return nil, &p
	}
	number.limit = pageLimit

	published := s.ledger.Published()
	v := &view{
		Origin: s.ledger.Origin(), URL: s.url, Ready: s.ready(), Closed: s.closed(), Size: published.Size,
		Checkpoint: nodes([][32]byte{published.Root})[0],
	}
	v.Demo = verify.DemoNotice(v.Origin) != ""
	if v.URL != "" && !strings.HasSuffix(v.URL, "/") {
		v.URL += "/"
	}
	var all []roll.Statement
	err := s.ledger.View(func(st *roll.State) {
		if c := st.Charter(); c != nil {
			v.Title, v.Operator = c.Title, c.Operator
		}
		all = st.Statements()
	})
	if err != nil {
		return failed(err)
	}
	if published.Size > 0 {
		leaf, err := s.leaf(r.Context(), published.Size-1)
		if err != nil {
			return failed(err)
		}
		v.Newest = leaf.Admitted
		t, _ := verify.TileAt(-1, (published.Size-1)/verify.TileWidth, published.Size)
		v.Bundle = "/" + t.Path()
	}
	if statement == nil && len(all) > 0 {
		statement = s.current(all)
	}
	if statement == nil {
		return v, nil
	}
	for i := len(all) - 1; i >= 0 && len(v.Others) < maxListed; i-- {
		if all[i].Statement != statement.Statement {
			v.Others = append(v.Others, all[i])
		}
	}
	sv := &statementView{
		About: *statement, Open: s.open(*statement), Path: "/statement/" + hexOf(statement.Statement),
		Text: blobPath(statement.Statement), Today: s.now().UTC(),
	}
	if sv.Roll, p = s.rollAt(r.Context(), *statement, q, number); p != nil {
		return nil, p
	}
	sv.Signed, sv.Withdrawn = sv.Roll.Items, sv.Roll.Gone
	if m, err := verify.ParseMoment(q.Get("as-of")); err == nil {
		sv.AsOf, sv.AsOfValue = &m, m.Time.Format(time.DateOnly)
		sv.Query = "?" + url.Values{"as-of": {m.Text()}}.Encode()
	}
	sv.Sealed = s.sealedBeside(sv)
	sv.First, _ = number.cut(sv.Roll.Count + sv.Roll.Withdrawn)
	sv.First++
	sv.Next = number.next(r.URL, q, sv.Roll.Count+sv.Roll.Withdrawn)
	if err := s.text(r.Context(), sv); err != nil {
		return failed(err)
	}
	v.Statement = sv
	return v, nil
}

// sealedBeside returns the sealed list that is the one that the page shows, if there is one.
func (s *Server) sealedBeside(v *statementView) *sealedView {
	moment := v.Today
	if v.AsOf != nil {
		moment = v.AsOf.Time
	}
	h := v.About.Statement
	sealed, _, ok := s.ledger.SealedAt(h, moment)
	if !ok {
		return nil
	}
	return &sealedView{
		Index: sealed.Index, Whole: sealed.Count <= uint64(s.limits.names),
		Path: "/api/v1/roll-receipt/" + hexOf(h), AsOf: verify.Moment{Time: sealed.AsOf},
	}
}

// current returns the statement that the first page is about: the newest that can be endorsed,
// or else the newest that no other supersedes, or else the newest.
func (s *Server) current(all []roll.Statement) *roll.Statement {
	best := &all[len(all)-1]
	for i := len(all) - 1; i >= 0; i-- {
		if len(all[i].Superseded) > 0 {
			continue
		}
		if s.open(all[i]) {
			return &all[i]
		}
		if len(best.Superseded) > 0 {
			best = &all[i]
		}
	}
	return best
}

// text puts the statement's text into the view, if it is here and can be shown.
func (s *Server) text(ctx context.Context, v *statementView) error {
	data, err := s.ledger.Blob(ctx, v.About.Statement)
	if errors.Is(err, fs.ErrNotExist) {
		v.Missing = "absent"
		return nil
	}
	if err != nil {
		return err
	}
	if entry.Sum(data) != v.About.Statement || v.About.MediaType != "text/plain" || len(data) > maxShownText || !utf8.Valid(data) {
		v.Missing = "file"
		return nil
	}
	v.Blocks = blocks(string(data))
	v.Titled = len(v.Blocks) > 0 && !v.Blocks[0].List && strings.Join(v.Blocks[0].Lines, " ") == v.About.Title
	return nil
}

// blocks parts a text at its empty lines. Every character is kept but those empty lines and the
// hyphens of lists.
func blocks(text string) []block {
	var all []block
	for part := range strings.SplitSeq(text, "\n\n") {
		part = strings.Trim(part, "\n")
		if part == "" {
			continue
		}
		b := block{List: true, Lines: strings.Split(part, "\n")}
		for _, line := range b.Lines {
			b.List = b.List && strings.HasPrefix(line, "- ")
		}
		if b.List {
			for i := range b.Lines {
				b.Lines[i] = b.Lines[i][2:]
			}
		}
		all = append(all, b)
	}
	return all
}
