package server

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/roll"
)

// maxSearchPages bounds how far a search is turned over.
const maxSearchPages = 100

// A searchView is what was found.
type searchView struct {
	Query         string
	Size          uint64
	Organizations []foundView
	Statements    []roll.Statement
	MoreTitles    bool
	Entries       []uint64 // one at most, by its fingerprint
	Domain        string   // what was looked for is a domain, and nobody's; "": it is not
	Previous      string   // page
	Next          string
}

// A foundView is an organization that was found.
type foundView struct{ Domain, Unicode, Name string }

// searchPage serves /search?q=.
func (s *Server) searchPage(w http.ResponseWriter, r *http.Request, _ string) {
	q, p := parameters(r.URL, "q", "page")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	number, ok := parsePage(q)
	if !ok || number.number > maxSearchPages {
		s.fail(w, r, problemSaying(ProblemParameter, "page is a number from 1 to 100."))
		return
	}
	found, p := s.find(r.Context(), q.Get("q"), (number.number-1)*maxFound)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	v, p := s.newView(r, "search")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	sv := &searchView{Query: strings.TrimSpace(q.Get("q")), Size: found.published, Statements: found.statements, MoreTitles: found.moreStatements}
	if found.entry != nil {
		sv.Entries = []uint64{*found.entry}
	}
	if domain := strings.ToLower(sv.Query); strings.Contains(domain, ".") && keys.CheckDomain(domain) == nil {
		sv.Domain = domain
	}
	for _, f := range found.organizations {
		sv.Organizations = append(sv.Organizations, foundView{f.domain, unicodeOf(f.domain), f.name})
		if f.domain == sv.Domain {
			sv.Domain = ""
		}
	}
	at := func(number int) string {
		return "/search?" + url.Values{"q": {sv.Query}, "page": {strconv.Itoa(number)}}.Encode()
	}
	if number.number > 1 {
		sv.Previous = at(number.number - 1)
	}
	if found.moreOrganizations && number.number < maxSearchPages {
		sv.Next = at(number.number + 1)
	}
	v.Search, v.NoIndex = sv, true
	s.show(w, r, v, cacheShort)
}
