package server

import (
	"cmp"
	"context"
	"encoding/xml"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// feedLimit is how many changes a page of a feed has.
const feedLimit = 50

// The elements of an Atom feed (RFC 4287) that are used here, and a link to the next page (RFC 5005, section 3).
type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	Lang    string      `xml:"xml:lang,attr"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  string      `xml:"author>name"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomEntry struct {
	ID        string       `xml:"id"`
	Title     string       `xml:"title"`
	Updated   string       `xml:"updated"`
	Published string       `xml:"published"`
	Author    string       `xml:"author>name"`
	Category  atomCategory `xml:"category"`
	Links     []atomLink   `xml:"link"`
	Summary   string       `xml:"summary"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	Href string `xml:"href,attr"`
}

// An atomCategory's term is the action of the entry: endorse, withdraw, publish, close or reopen.
type atomCategory struct {
	Term string `xml:"term,attr"`
}

// feed serves /feed.atom: what happened to all statements.
func (s *Server) feed(w http.ResponseWriter, r *http.Request, _ string) { s.atom(w, r, nil) }

// atom serves the changes of one statement, or of all, the newest first. Pages are named by the index that all in them lie below, so
// that none changes while more is added.
func (s *Server) atom(w http.ResponseWriter, r *http.Request, about *roll.Statement) {
	q, p := parameters(r.URL, "before")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	ctx := r.Context()
	published, err := s.history.read(ctx)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	if published == 0 {
		s.fail(w, r, problemSaying(ProblemNotFound, "No checkpoint has been published yet."))
		return
	}
	before, cache := published, cacheShort
	if text := q.Get("before"); q.Has("before") {
		n, ok := parseNumber(text)
		if !ok || n > published {
			s.fail(w, r, problemSaying(ProblemParameter, "before is the index of an entry: the feed tells what came before it."))
			return
		}
		before, cache = n, cacheHour
	}
	indexes := s.history.recent(about, before, feedLimit+1)
	more := len(indexes) > feedLimit
	indexes = indexes[:min(len(indexes), feedLimit)]

	feed, err := s.feedOf(about, indexes, before)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	path := r.URL.EscapedPath()
	self := path
	if q.Has("before") {
		self += "?before=" + strconv.FormatUint(before, 10)
		feed.Links = append(feed.Links, s.atomLink("first", typeAtom, path))
	}
	feed.Links = append(feed.Links, s.atomLink("self", typeAtom, self))
	if more {
		feed.Links = append(feed.Links, s.atomLink("next", typeAtom, path+"?before="+strconv.FormatUint(indexes[len(indexes)-1], 10)))
	}
	for _, index := range indexes {
		e, err := s.feedEntry(ctx, index)
		if err != nil {
			s.fail(w, r, s.problemFrom(err))
			return
		}
		feed.Entries = append(feed.Entries, e)
	}
	b, err := xml.MarshalIndent(feed, "", " ")
	if err != nil {
		s.log.Error("a feed cannot be made", "error", err)
		s.fail(w, r, problemOf(ProblemInternal))
		return
	}
	s.content(w, r, typeAtom+"; charset=utf-8", cache, slices.Concat([]byte(xml.Header), b, []byte("\n")), true)
}

// typeAtom is the media type of a feed, in links without its parameter.
const typeAtom = "application/atom+xml"

// atomLink returns a link with the whole address if it is known; otherwise a reader resolves the path.
func (s *Server) atomLink(rel, kind, path string) atomLink {
	return atomLink{rel, kind, s.base() + path}
}

// feedOf returns a feed without its entries.
func (s *Server) feedOf(about *roll.Statement, indexes []uint64, before uint64) (*atomFeed, error) {
	origin := s.ledger.Origin()
	f := &atomFeed{Lang: "en", ID: "urn:undersigned:feed:" + verify.OriginHash(origin), Title: "Endorsements in " + origin}
	page := "/"
	if about != nil {
		f.ID += ":" + hexOf(about.Statement)
		f.Title = "Endorsements of “" + about.Title + "”"
		page = "/statement/" + hexOf(about.Statement)
	}
	err := s.ledger.View(func(st *roll.State) {
		if c := st.Charter(); c != nil {
			f.Author = c.Operator
			if about == nil {
				f.Title = "Endorsements in “" + c.Title + "”"
			}
		}
	})
	f.Links = []atomLink{s.atomLink("alternate", "text/html", page)}
	newest := uint64(0)
	if len(indexes) > 0 {
		newest = indexes[0]
	} else if before > 0 {
		newest = before - 1
	}
	s.history.mu.RLock()
	defer s.history.mu.RUnlock()
	f.Updated = stamp(time.UnixMilli(s.history.admitted[newest]))
	return f, err
}

// feedEntry tells one change.
func (s *Server) feedEntry(ctx context.Context, index uint64) (atomEntry, error) {
	leaf, err := s.leaf(ctx, index)
	if err != nil {
		return atomEntry{}, err
	}
	e := leaf.Entry
	var action entry.Action
	var statement entry.Hash
	switch b := e.Body.(type) {
	case *entry.Endorsement:
		action, statement = b.Action, b.Statement
	case *entry.Statement:
		action, statement = b.Action, b.Statement
	default:
		return atomEntry{}, ledger.ErrCorrupt
	}
	var title string
	err = s.ledger.View(func(st *roll.State) {
		about, _ := st.Statement(statement)
		title = about.Title
	})
	if err != nil {
		return atomEntry{}, err
	}
	name := s.history.nameAt(e.Signer, index)
	if name == "" {
		name = e.Signer
	} else {
		name += " (" + e.Signer + ")"
	}
	did := map[entry.Action]string{
		entry.Endorse: "endorsed", entry.Withdraw: "withdrew its endorsement of", entry.Publish: "published", entry.Close: "closed", entry.Reopen: "reopened",
	}[action]
	id := e.ID()
	at := stamp(leaf.Admitted)
	return atomEntry{
		ID: "urn:undersigned:entry:" + hexOf(id), Title: name + " " + did + " “" + title + "”", Updated: at, Published: at, Author: name,
		Category: atomCategory{string(action)},
		Links: []atomLink{
			s.atomLink("alternate", "text/html", "/statement/"+hexOf(statement)),
			s.atomLink("related", "application/json", entryPath(index)),
			s.atomLink("related", "text/plain", receiptPath(index)),
		},
		Summary: "Entry " + strconv.FormatUint(index, 10) + " of the public record " + s.ledger.Origin() + ", recorded " + leaf.Admitted.UTC().Format(timeFormat) + ".",
	}, nil
}

// recent returns the indexes of at most limit endorsement and statement entries below an index, the newest first: those about one
// statement, or all.
func (h *history) recent(about *roll.Statement, before uint64, limit int) []uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var found []uint64
	last := func(n int, index func(i int) uint64) {
		n = sort.Search(n, func(i int) bool { return index(i) >= before })
		for i := n - 1; i >= max(0, n-limit); i-- {
			found = append(found, index(i))
		}
	}
	if about == nil {
		last(len(h.news), func(i int) uint64 { return h.news[i] })
		return found
	}
	events, acts := h.statements[about.Statement], h.acts[about.Statement]
	last(len(events), func(i int) uint64 { return events[i].index })
	last(len(acts), func(i int) uint64 { return acts[i] })
	slices.SortFunc(found, func(a, b uint64) int { return cmp.Compare(b, a) })
	return found[:min(len(found), limit)]
}

// nameAt returns what an organization called itself when an entry was recorded; "" if it was no member.
func (h *history) nameAt(domain string, index uint64) string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	who, ok := h.who[domain]
	if !ok {
		return ""
	}
	return h.name(who, index).name
}
