package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tccm/undersigned/ledger/server/assets"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

const (
	pageLimit    = 500       // signatories on one page
	briefLimit   = 60        // signatories on the first page
	maxShownText = 256 << 10 // bytes of a statement that is shown in the page
	maxListed    = 50        // other statements that the page links to
	dayFormat    = "2 January 2006"
	timeFormat   = "2 January 2006, 15:04 UTC"
)

// english returns what the pages say. It is read, and the templates are parsed, when the first page is made: the program's other commands would
// start later by as long as all else takes.
var english = sync.OnceValue(func() catalogue {
	data, err := assets.Files.ReadFile(messagesFile)
	if err != nil {
		panic(err)
	}
	c, err := readCatalogue(data)
	if err != nil {
		panic(err)
	}
	return c
})

// message is a message that Go code says. The tests hold every key that is asked for to the catalogue.
func message(key string, pairs ...any) any {
	m, err := english().say(key, pairs...)
	if err != nil {
		panic("server: " + err.Error())
	}
	return m
}

// screens returns the templates by name: base.html with parts.html and one of their own.
var screens = sync.OnceValue(func() map[string]*template.Template {
	base := template.Must(template.New("base").Funcs(template.FuncMap{
		"say":      english().say,
		"count":    english().count,
		"link":     link,
		"code":     code,
		"strong":   strong,
		"isolate":  isolate,
		"day":      func(t time.Time) string { return t.UTC().Format(dayFormat) },
		"time":     func(t time.Time) string { return t.UTC().Format(timeFormat) },
		"date":     dateOf,
		"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"stamp":    stamp,
		"hex":      func(h fmt.Stringer) string { return strings.TrimPrefix(h.String(), "sha256:") },
		"idn":      unicodeOf,
		"short":    shortRef,
		"number":   numberOf,
		"language": check.Language,
		"media":    func(mediaType string) string { return english().name("media", mediaType, mediaType) },
		"soft":     soft,
		"sealed":   sealedAt,
		"entry":    entryAddress,
		"org":      organizationPath,
		"of":       statementPath,
	}).ParseFS(assets.Files, "base.html", "parts.html"))
	all := map[string]*template.Template{}
	for _, name := range []string{"check", "statement", "organization", "entry", "record", "search", "problem"} {
		all[name] = template.Must(template.Must(base.Clone()).ParseFS(assets.Files, name+".html"))
	}
	return all
})

// sealedAt is the moment that a sealed list is of: most are of the last millisecond of a day.
func sealedAt(m verify.Moment) any {
	if t := m.Time.UTC(); t.Add(time.Millisecond).Truncate(24 * time.Hour).Equal(t.Add(time.Millisecond)) {
		return message("sealed.day", "day", t.Format(dayFormat))
	}
	return m.String()
}

// breaks has a line end after a dot or a slash, if it must.
var breaks = strings.NewReplacer(".", ".<wbr>", "/", "/<wbr>")

// soft returns words in which a line may end within a long word: a domain is one, and ends no line within a label of the form xn--80ak6aa92e, whose
// half would be another.
func soft(words string) template.HTML {
	parts := strings.Split(words, " ")
	for i, word := range parts {
		parts[i] = template.HTMLEscapeString(word)
		if len(word) > 16 || strings.Contains(word, "--") {
			parts[i] = label.ReplaceAllString(breaks.Replace(parts[i]), `<span class="whole">$0</span>`)
		}
	}
	return template.HTML(strings.Join(parts, " "))
}

// label is an internationalized label of a domain, with the dot after it.
var label = regexp.MustCompile(`xn--[a-z0-9-]+\.?`)

// numberOf is a number as people read it.
func numberOf(n any) string {
	switch n := n.(type) {
	case int:
		return check.Number(n)
	case int64:
		return check.Number(n)
	case uint64:
		return check.Number(n)
	}
	return fmt.Sprint(n)
}

// dateOf returns the date of an entry, 2024-06-11, as people write it.
func dateOf(date string) string {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	return t.Format(dayFormat)
}

func statementPath(h entry.Hash) string     { return "/statement/" + hexOf(h) }
func organizationPath(domain string) string { return "/organization/" + domain }
func entryAddress(index uint64) string      { return "/entry/" + strconv.FormatUint(index, 10) }

// A view is what a page shows. Every page has what comes first; the rest is of one page or some.
type view struct {
	Screen   string // which template
	Demo     bool
	Script   bool // the browser's modules are among the assets
	Verifier bool // this build has the verifier for browsers
	Takeaway bool // the page to take away can be had
	Origin   string
	URL      string // with a slash at the end; "" if not known
	Path     string // of the page, to which Query belongs if it is a page of its own
	Title    string // of the record
	Operator string
	Size     uint64    // of the published record
	Newest   time.Time // when its last entry was admitted
	Today    time.Time
	Ready    bool   // it admits entries
	Closed   bool   // for writing, on purpose
	Current  string // path of the current statement; "": there is none
	NoIndex  bool   // it is an answer to a question that anybody can make up, and no page for search engines

	Statement    *statementView
	Others       []roll.Statement
	Absent       string // a domain that is not in the record
	Organization *organizationView
	Entry        *entryView
	Record       *recordView
	Search       *searchView
	Problem      *problem
}

// A block is a paragraph of a statement's text, or a list.
type block struct {
	List  bool
	Lines []string
}

// newView collects what every page shows.
func (s *Server) newView(r *http.Request, screen string) (*view, *problem) {
	published := s.ledger.Published()
	v := &view{
		Screen: screen, Script: assets.Find("assets/app.js") != nil, Verifier: assets.Find(assets.Verifier) != nil, Origin: s.ledger.Origin(), URL: s.url, Path: r.URL.EscapedPath(), Size: published.Size, Today: s.now().UTC(),
		Ready: s.ready(), Closed: s.closed(),
	}
	v.Demo = verify.DemoNotice(v.Origin) != ""
	if v.URL != "" && !strings.HasSuffix(v.URL, "/") {
		v.URL += "/"
	}
	err := s.ledger.View(func(st *roll.State) {
		if c := st.Charter(); c != nil {
			v.Title, v.Operator = c.Title, c.Operator
		}
		if c := s.current(st.Statements()); c != nil {
			v.Current = statementPath(c.Statement)
		}
	})
	if err == nil && published.Size > 0 {
		var leaf *entry.Leaf
		if leaf, err = s.leaf(r.Context(), published.Size-1); err == nil {
			v.Newest = leaf.Admitted
		}
	}
	if err != nil {
		p := s.problemFrom(err)
		return nil, &p
	}
	return v, nil
}

// render makes a page.
func render(v *view) ([]byte, error) {
	var b bytes.Buffer
	err := screens()[v.Screen].ExecuteTemplate(&b, "base", v)
	return b.Bytes(), err
}

// show sends a page.
func (s *Server) show(w http.ResponseWriter, r *http.Request, v *view, cache string) {
	b, err := render(v)
	if err != nil {
		s.log.Error("a page cannot be made", "page", v.Screen, "error", err)
		s.fail(w, r, problemOf(ProblemInternal))
		return
	}
	w.Header().Set("Content-Security-Policy", pageCSP)
	s.content(w, r, typeHTML, cache, b, true)
}

// reads reports whether who asks would rather read a page than data: a browser that opens an address does.
func reads(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		if kind, _, _ := strings.Cut(part, ";"); strings.TrimSpace(kind) == "text/html" {
			return true
		}
	}
	return false
}

// problemPage is the page that tells a problem, in place of its JSON. It needs nothing of the ledger, which may be what failed.
func (s *Server) problemPage(r *http.Request, p problem) ([]byte, bool) {
	v := &view{Screen: "problem", Origin: s.ledger.Origin(), Today: s.now().UTC(), Ready: true, Problem: &p}
	v.Demo = verify.DemoNotice(v.Origin) != ""
	b, err := render(v)
	if err != nil {
		s.log.Error("a page cannot be made", "page", v.Screen, "error", err)
	}
	return b, err == nil
}

// home serves /: the box to check something, and the current statement in brief.
func (s *Server) home(w http.ResponseWriter, r *http.Request, _ string) {
	q, p := parameters(r.URL, "as-of")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	v, p := s.newView(r, "check")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	var all []roll.Statement
	if err := s.ledger.View(func(st *roll.State) { all = st.Statements() }); err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	if current := s.current(all); current != nil {
		if v.Statement, p = s.statementView(r.Context(), *current, q, page{1, briefLimit}); p != nil {
			s.fail(w, r, *p)
			return
		}
		v.Others = others(all, current.Statement)
	}
	if v.Absent, p = s.absent(); p != nil {
		s.fail(w, r, *p)
		return
	}
	s.show(w, r, v, cacheShort)
}

// absent returns a domain that is nobody's in the record, for the sample of an organization that did not sign.
func (s *Server) absent() (found string, p *problem) {
	err := s.ledger.View(func(st *roll.State) {
		for _, domain := range []string{"example.org", "example.net", "example.com"} { // RFC 2606, section 3
			if _, ok := st.Member(domain); !ok {
				found = domain
				return
			}
		}
	})
	if err != nil {
		p := s.problemFrom(err)
		return "", &p
	}
	return found, nil
}

// others returns the newest statements but one, the newest first.
func others(all []roll.Statement, but entry.Hash) []roll.Statement {
	var list []roll.Statement
	for i := len(all) - 1; i >= 0 && len(list) < maxListed; i-- {
		if all[i].Statement != but {
			list = append(list, all[i])
		}
	}
	return list
}

// current returns the statement that the first page is about: the newest that can be endorsed,
// or else the newest that no other supersedes, or else the newest; nil: there is none.
func (s *Server) current(all []roll.Statement) *roll.Statement {
	if len(all) == 0 {
		return nil
	}
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
