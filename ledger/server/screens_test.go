package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"html"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
	"rsc.io/qr"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// browse asks as a browser that opens an address does.
func (w *world) browse(path string) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	u, err := url.ParseRequestURI(path)
	if err != nil {
		w.Fatalf("%q: %v", path, err)
	}
	r.URL, r.RequestURI = u, path
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	return rec
}

// newFullWorld is a world in which every kind of entry is, with its text, and a key of each state.
func newFullWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	if rec := w.do("PUT", blobPath(w.text), "", []byte(worldText)); rec.Code != http.StatusNoContent {
		t.Fatal(rec.Body)
	}
	o := w.joinWithTwo("keys.example")
	w.must(w.endorsement(entry.Endorse, o.Domain, w.text))
	first, second := o.Keys[0].Ref(), o.Keys[1].Ref()
	w.must(w.draft(&entry.KeyEvent{Action: entry.Suspend, Member: o.Domain, Revokes: &second}, w.operator))
	next := rolltest.NewKey("next")
	line := next.Line()
	from := uint64(11)
	w.must(w.draft(&entry.KeyEvent{Action: entry.Rotate, Member: o.Domain, PublicKey: &line, Revokes: &first, CompromisedAfter: &from}, o, o.Keys[0], next))
	o.Keys[0] = next
	w.must(w.draft(&entry.Membership{Action: entry.Update, Member: o.Domain, Name: "Keys & Sons", LegalName: "Keys and Sons Ltd", Quorum: 1}, o, next))
	w.must(w.endorsement(entry.Withdraw, "apnic.net", w.text))
	w.must(w.endorsement(entry.Endorse, "apnic.net", w.text))
	w.must(w.draft(&entry.Membership{Action: entry.Leave, Member: "weird.example"}, w.orgs["weird.example"]))
	w.must(w.draft(&entry.Statement{Action: entry.Reopen, Statement: w.closed}, w.operator))
	w.must(w.draft(&entry.Charter{
		Title: "A record for tests, amended", Operator: w.operator.Domain, Admission: entry.Admission{Operator: true}, Roll: "manual", PublicKeys: []entry.PublicKey{w.operator.Keys[0].Line()},
	}, w.operator))
	w.must(w.draft(&entry.Statement{
		Action: entry.Publish, Statement: entry.Sum([]byte("Neu\n")), Title: "Newer", Language: "de", MediaType: "text/plain", Size: 4, Supersedes: &w.text,
	}, w.operator))
	return w
}

// TestHistoryInWords: what an organization did with its keys is told in words.
func TestHistoryInWords(t *testing.T) {
	w := newFullWorld(t)
	for domain, wants := range map[string][]string{
		"keys.example":  {"registered</th>", "replaced the key <code>ed25519 sha256:", " by <code>ed25519 sha256:", "</code> was suspended</th>", "changed what the record says of it</th>"},
		"weird.example": {"left the record</th>"},
	} {
		page := w.get(organizationPath(domain)).Body.String()
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page does not say %q", domain, want)
			}
		}
	}
}

// TestEntryCommands: what an entry's page says to type answers about this entry.
func TestEntryCommands(t *testing.T) {
	w := newFullWorld(t)
	wants := map[entry.Kind]string{
		entry.KindEndorsement: "undersigned verify --policy policy.txt entry-",
		entry.KindRoll:        "undersigned verify --policy policy.txt entry-",
		entry.KindMembership:  "undersigned show --policy policy.txt ",
		entry.KindKey:         "undersigned show --policy policy.txt keys.example ",
		entry.KindStatement:   "undersigned statement show --policy policy.txt ",
		entry.KindCharter:     "undersigned audit --policy policy.txt ",
	}
	seen := map[entry.Kind]bool{}
	for i := range w.ledger.Published().Size {
		b, err := w.ledger.Leaf(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		l, err := entry.ParseLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		kind := l.Entry.Body.Kind()
		seen[kind] = true
		page := w.get(entryAddress(i)).Body.String()
		if want := wants[kind]; !strings.Contains(page, "<pre><code>"+want) || strings.Contains(want, "verify") != strings.Contains(page, "undersigned verify --policy") {
			t.Errorf("entry %d, a %s entry, does not say %q", i, kind, want)
		}
	}
	for kind := range wants {
		if !seen[kind] {
			t.Errorf("no %s entry", kind)
		}
	}
}

// TestEntriesOfKeys: the page of an entry says which key it brings and which it ends, from when on that is said to be stolen, and who vouches.
func TestEntriesOfKeys(t *testing.T) {
	w := newFullWorld(t)
	const stolen = `said to be stolen: what it signed from 12 June 2024 on, <a href="/entry/11">entry 11</a>, is disputed`
	wants := map[string][]string{
		"keys.example replaced a key": {"<dt>Key that this ends</dt>", "<dt>New key</dt>", stolen},
		"suspended a key of":          {"<dt>Key that this ends</dt>"},
		"keys.example was registered": {"<dt>Vouched for by</dt>", `<a href="/organization/operator.example">operator.example</a>`},
	}
	found := 0
	for i := range w.ledger.Published().Size {
		page := w.get(entryAddress(i)).Body.String()
		for said, all := range wants {
			if !strings.Contains(page, said+"</h1>") && !strings.Contains(page, said+" ") {
				continue
			}
			found++
			for _, want := range all {
				if !strings.Contains(page, want) {
					t.Errorf("entry %d, %q: the page does not say %q", i, said, want)
				}
			}
			if strings.Contains(said, "suspended") && strings.Contains(page, "what it signed from") {
				t.Errorf("entry %d: a suspended key is called stolen", i)
			}
		}
	}
	if found != len(wants) {
		t.Errorf("%d pages of %d", found, len(wants))
	}
	if page := w.get(organizationPath("keys.example")).Body.String(); !strings.Contains(page, stolen) {
		t.Error("the page of the organization does not say when a key was stolen")
	}
}

// screensOf are the paths of every screen of a world, in every state.
func screensOf(w *world) []string {
	paths := []string{
		"/", "/?as-of=2024-06-11", "/record", "/search?q=example", "/search?q=nobody.example", "/search?q=%3Cscript%3E", "/search?q=we+stand",
		"/organization/nobody.example", "/organization/operator.example", "/nowhere", "/search",
	}
	for _, text := range []entry.Hash{w.text, w.closed} {
		path := statementPath(text)
		paths = append(paths, path, path+"?size=10", path+"?as-of=2024-06-12&from=2024-06-11&order=recorded", path+"?page=2")
	}
	err := w.ledger.View(func(st *roll.State) {
		for _, m := range st.Members() {
			paths = append(paths, organizationPath(m.Domain))
		}
	})
	if err != nil {
		w.Fatal(err)
	}
	for i := range w.ledger.Published().Size {
		paths = append(paths, entryAddress(i), fmt.Sprintf("/search?q=%s", hexOf(w.idOf(i))))
	}
	return paths
}

func (w *world) idOf(index uint64) entry.Hash {
	b, err := w.ledger.Leaf(context.Background(), index)
	if err != nil {
		w.Fatal(err)
	}
	leaf, err := entry.ParseLeaf(b)
	if err != nil {
		w.Fatal(err)
	}
	return leaf.Entry.ID()
}

// Every screen is one that somebody can find a way through who does not see it.
func TestScreensAreAccessible(t *testing.T) {
	w := newFullWorld(t)
	for _, path := range screensOf(w) {
		rec := w.browse(path)
		if rec.Code >= 500 {
			t.Errorf("%s: %d", path, rec.Code)
		}
		checkAccessible(t, path, rec.Body.String())
		checkMarkup(t, path, rec.Body.String())
		if strings.Contains(rec.Body.String(), "✔") {
			t.Errorf("%s: the server confirms something", path)
		}
	}
	if w.log.Len() > 0 {
		t.Errorf("the server logged\n%s", &w.log)
	}
}

var (
	tags       = regexp.MustCompile(`<([a-z0-9]+)((?: [a-zA-Z-]+(?:="[^"]*")?)*)/?>`)
	attributes = regexp.MustCompile(` ([a-zA-Z-]+)(?:="([^"]*)")?`)
)

func checkAccessible(t *testing.T, path, page string) {
	t.Helper()
	complain := func(format string, args ...any) { t.Errorf("%s: %s", path, fmt.Sprintf(format, args...)) }
	ids, labels := map[string]bool{}, map[string]bool{}
	type element struct {
		name string
		has  map[string]string
	}
	var all []element
	for _, m := range tags.FindAllStringSubmatch(page, -1) {
		e := element{m[1], map[string]string{}}
		for _, a := range attributes.FindAllStringSubmatch(m[2], -1) {
			e.has[a[1]] = a[2]
		}
		all = append(all, e)
		if id, ok := e.has["id"]; ok {
			if ids[id] {
				complain("two elements have the id %s", id)
			}
			ids[id] = true
		}
		if e.name == "label" {
			labels[e.has["for"]] = true
		}
	}
	if !strings.HasPrefix(page, "<!DOCTYPE html>\n<html lang=\"en\">\n") || strings.Count(page, "<h1") != 1 || strings.Count(page, "<main") != 1 {
		complain("it has no language, or not one h1 and one main")
	}
	if m := regexp.MustCompile(`<title>([^<]*)</title>`).FindStringSubmatch(page); m == nil || strings.TrimSpace(m[1]) == "" {
		complain("it has no title")
	}
	level := byte('0')
	for _, e := range all {
		if len(e.name) == 2 && e.name[0] == 'h' && e.name[1] >= '1' && e.name[1] <= '6' {
			if e.name[1] > level+1 {
				complain("an %s comes after an h%c", e.name, level)
			}
			level = e.name[1]
		}
		for name, value := range e.has {
			switch {
			case name == "style" || strings.HasPrefix(name, "on"):
				complain("an inline %s", name)
			case slices.Contains([]string{"for", "aria-labelledby", "aria-describedby"}, name) && !ids[value]:
				complain("%s=%q leads nowhere", name, value)
			case name == "href" && strings.HasPrefix(value, "#") && !ids[value[1:]]:
				complain("the link %q leads nowhere", value)
			case name == "tabindex" && value != "0":
				complain("the order of the keyboard is changed")
			}
		}
		switch e.name {
		case "input", "textarea", "select":
			if e.has["type"] != "hidden" && !labels[e.has["id"]] {
				complain("a field has no label: %v", e.has)
			}
		case "img":
			if _, ok := e.has["alt"]; !ok {
				complain("an image has no alt")
			}
		case "svg":
			if e.has["role"] == "" || e.has["aria-label"] == "" {
				complain("a drawing has no name")
			}
		case "th":
			if e.has["scope"] == "" {
				complain("a table's head has no scope")
			}
		case "button":
			if e.has["type"] == "" {
				complain("a button has no type")
			}
		case "nav", "aside":
			if e.has["aria-label"] == "" {
				complain("a %s has no name", e.name)
			}
		}
	}
	for _, table := range regexp.MustCompile(`(?s)<table>.*?</table>`).FindAllString(page, -1) {
		if !strings.Contains(table, `<th scope="col">`) || !strings.Contains(table, `<th scope="row">`) {
			complain("a table has no heads")
		}
	}
	for _, link := range regexp.MustCompile(`(?s)<a [^>]*>(.*?)</a>`).FindAllStringSubmatch(page, -1) {
		if strings.TrimSpace(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(link[1], "")) == "" {
			complain("a link says nothing")
		}
	}
}

// Every link of every screen leads somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	w := newFullWorld(t)
	absent := []string{blobPath(w.closed), blobPath(entry.Sum([]byte("Neu\n")))} // nobody sent them
	seen := map[string]bool{}
	var todo []string
	add := func(path string) {
		path, _, _ = strings.Cut(html.UnescapeString(path), "#")
		if strings.HasPrefix(path, "/") && !seen[path] && !slices.Contains(absent, path) {
			seen[path] = true
			todo = append(todo, path)
		}
	}
	add("/")
	for len(todo) > 0 && len(seen) < 2000 {
		path := todo[0]
		todo = todo[1:]
		rec := w.browse(path)
		if rec.Code != http.StatusOK {
			t.Errorf("%s: %d", path, rec.Code)
		}
		if rec.Header().Get("Content-Type") != typeHTML {
			continue
		}
		for _, m := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(rec.Body.String(), -1) {
			add(m[1])
		}
	}
	for _, want := range []string{"/record", "/search", "/entry/8", "/organization/apnic.net", statementPath(w.closed)} {
		if !seen[want] && want != "/search" {
			t.Errorf("no link leads to %s", want)
		}
	}
	if len(seen) < 60 {
		t.Errorf("only %d links were found", len(seen))
	}
}

// What people call themselves and their texts, and what is asked for, stays text on every screen.
func TestNothingIsMarkup(t *testing.T) {
	payloads := []string{
		`<script>alert(1)</script>`, `"><svg onload=alert(1)>`, `' onmouseover='alert(1)`, `" autofocus onfocus="alert(1)`, `</title><script>alert(1)</script>`,
		`</textarea><img src=x onerror=alert(1)>`, `<img src=x onerror=alert(1)//`, `<iframe src=javascript:alert(1)>`, `javascript:alert(1)`, `data:text/html,<b>x</b>`,
		`{{.Operator}}`, `{n} {domain} {link}`, `${alert(1)}`, `<!--`, `-->`, `]]><script>`, `&lt;b&gt;`, `&#x3c;b&#x3e;`, `<a href="https://evil.example">x</a>`, `<base href="https://evil.example/">`,
		`<style>*{display:none}</style>`, `<svg><style><img/src=x onerror=alert(1)>`, `<math><mi xlink:href="javascript:alert(1)">`, `<form action="https://evil.example">`, `<meta http-equiv=refresh content=0>`,
		`\x3cscript\x3e`, "`;alert(1)//", `%3Cscript%3E`, `<x onclick=alert(1)>`, `<details open ontoggle=alert(1)>`, `</article></main><h1>x</h1>`, `<noscript><p title="</noscript><img src=x onerror=alert(1)>">`,
	}
	w := newWorld(t)
	stored := 0
	for i, payload := range payloads {
		letters := " " + strings.Repeat(string(rune('a'+i%26)), 3+i/26)
		domain := fmt.Sprintf("p%d.example", i)
		w.orgs[domain] = rolltest.NewOrg(domain, 1, 0, 1)
		fields := []*entry.Entry{
			w.draft(&entry.Membership{
				Action: entry.Register, Member: domain, Name: payload + letters, LegalName: payload + letters + " Ltd", Quorum: 1,
				PublicKeys: []entry.PublicKey{w.orgs[domain].Keys[0].Line()}, Vouchers: w.operator.Vouch(),
			}, w.orgs[domain]),
			w.draft(&entry.Statement{Action: entry.Publish, Statement: entry.Sum([]byte(payload)), Title: payload, Language: "en", MediaType: "text/plain", Size: int64(len(payload))}, w.operator),
			w.draft(&entry.Statement{Action: entry.Publish, Statement: entry.Sum([]byte("l" + payload)), Title: "x", Language: payload, MediaType: "text/plain", Size: 4}, w.operator),
			w.draft(&entry.Statement{Action: entry.Publish, Statement: entry.Sum([]byte("m" + payload)), Title: "x", Language: "en", MediaType: payload, Size: 4}, w.operator),
			w.draft(&entry.Statement{
				Action: entry.Publish, Statement: entry.Sum([]byte("r" + payload)), Title: "x", Language: "en", MediaType: "text/plain", Size: 4,
				Renditions: []entry.Rendition{{Language: payload, Hash: entry.Sum([]byte("s" + payload)), Size: 4, MediaType: payload}},
			}, w.operator),
		}
		for _, e := range fields { // what breaks the rules is refused, and the rest has to be shown
			if r := w.ledger.Submit(context.Background(), rolltest.Sign(e).Bytes())[0]; r.Err == nil {
				w.advance(time.Second)
				stored++
			}
		}
		if rec := w.do("PUT", blobPath(entry.Sum([]byte(payload))), "", []byte(payload)); rec.Code != http.StatusNoContent {
			t.Fatalf("%q: %s", payload, rec.Body)
		}
		w.must(w.endorsement(entry.Endorse, domain, w.text))
	}
	if stored < 2*len(payloads) {
		t.Errorf("only %d entries could be stored: names and titles take anything", stored)
	}
	w.must(w.draft(&entry.Charter{
		Title: `</title></header><script>alert("charter")</script>`, Operator: w.operator.Domain, Admission: entry.Admission{Operator: true}, Roll: "manual", PublicKeys: []entry.PublicKey{w.operator.Keys[0].Line()},
	}, w.operator))
	paths := screensOf(w)
	for _, payload := range payloads {
		paths = append(paths, statementPath(entry.Sum([]byte(payload))))
		for _, query := range []string{"/search?q=", "/?as-of=", "/record?", "/search?q=x&page="} {
			paths = append(paths, query+url.QueryEscape(payload))
		}
		for _, name := range []string{"as-of", "size", "from", "order", "language", "page"} {
			paths = append(paths, statementPath(w.text)+"?"+url.Values{name: {payload}}.Encode())
		}
		for _, prefix := range []string{"/", "/organization/", "/entry/", "/statement/"} {
			paths = append(paths, prefix+url.PathEscape(payload))
		}
	}
	for _, path := range paths {
		rec := w.browse(path)
		if rec.Code >= 500 {
			t.Errorf("%s: %d", path, rec.Code)
		}
		if rec.Header().Get("Content-Type") != typeHTML || rec.Header().Get("Content-Security-Policy") != pageCSP {
			t.Fatalf("%s: %s", path, rec.Header().Get("Content-Type"))
		}
		checkMarkup(t, path, rec.Body.String())
		if rec.Code >= 400 {
			for _, payload := range payloads {
				if strings.Contains(html.UnescapeString(rec.Body.String()), payload) && len(payload) > 8 {
					t.Errorf("%s: the problem repeats %q", path, payload)
				}
			}
		}
	}
	page := html.UnescapeString(w.browse(statementPath(w.text)).Body.String())
	for i, payload := range payloads {
		if want := payload + " " + strings.Repeat(string(rune('a'+i%26)), 3+i/26); !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
}

// A browser is told of a problem on a page, and whoever else asks in JSON.
func TestProblemsForBrowsers(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		accept string
		page   bool
	}{
		{"", false}, {"*/*", false}, {"application/json", false}, {"application/problem+json, text/html;q=0.1", true},
		{"text/html", true}, {"text/html;q=0.9, */*", true}, {"text/plain, text/html", true}, {"text/htmlx", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/nowhere", nil)
		r.Header.Set("Accept", tc.accept)
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		if page := rec.Header().Get("Content-Type") == typeHTML; page != tc.page || rec.Code != http.StatusNotFound {
			t.Errorf("Accept: %q: %d, %s", tc.accept, rec.Code, rec.Header().Get("Content-Type"))
		}
		if !strings.Contains(rec.Body.String(), "Nothing is at this path.") {
			t.Errorf("Accept: %q: it does not say what is wrong: %s", tc.accept, rec.Body)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/nowhere", nil)
	r.Header.Set("Accept", "text/html")
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	if rec.Header().Get("Content-Type") != typeProblem {
		t.Error("who sends something is answered with a page")
	}
}

// A long list is turned over page by page, in either order, and nobody is missing or twice.
func TestLongListInPages(t *testing.T) {
	w := newEmptyWorld(t, rolltest.Origin)
	text := w.publish("A text.\n", "A text")
	const n = pageLimit + 20
	for i := range n {
		domain := fmt.Sprintf("org%04d.example", i)
		w.join(domain, fmt.Sprintf("Organization %04d", (i*7)%n))
		w.must(w.endorsement(entry.Endorse, domain, text))
	}
	w.must(w.endorsement(entry.Withdraw, "org0003.example", text))
	for _, order := range []string{"name", "recorded"} {
		seen := map[string]int{}
		var last, pages int
		for path := statementPath(text) + "?order=" + order; path != ""; {
			page := w.browse(path).Body.String()
			for _, m := range regexp.MustCompile(`<li data-domain="([^"]*)" data-index="([0-9]+)"`).FindAllStringSubmatch(page, -1) {
				seen[m[1]]++
				index := 0
				fmt.Sscan(m[2], &index)
				if order == "recorded" && index < last && m[1] != "org0003.example" {
					t.Errorf("%s comes too late", m[1])
				}
				last = index
			}
			m := regexp.MustCompile(`<a rel="next" href="([^"#]*)#signatories">More`).FindStringSubmatch(page)
			if path = ""; m != nil {
				path = html.UnescapeString(m[1])
			}
			pages++
		}
		if len(seen) != n || pages != 2 {
			t.Errorf("%s: %d organizations on %d pages", order, len(seen), pages)
		}
		for domain, times := range seen {
			if times != 1 {
				t.Errorf("%s: %s is there %d times", order, domain, times)
			}
		}
	}
	if page := w.browse("/").Body.String(); strings.Count(page, `<li data-domain=`) != briefLimit || !strings.Contains(page, fmt.Sprintf("All %d signatories", n-1)) || strings.Contains(page, "data-whole") {
		t.Error("the first page does not say that it is in brief")
	}
}

// The timeline counts as the lists do, and has as many dots as there is room for.
func TestTimeline(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	h := w.server.history
	size, err := h.read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		h.mu.RLock()
		var steps []step
		for _, s := range h.steps(h.eventsOf(w.text, size)) {
			steps = append(steps, s)
		}
		h.mu.RUnlock()
		for _, s := range steps {
			list, err := h.list(ctx, w.text, s.index+1, language.English)
			if err != nil {
				t.Fatal(err)
			}
			if s.count != len(list.standing) {
				t.Errorf("after entry %d the timeline has %d, the list %d", s.index, s.count, len(list.standing))
			}
		}
	}
	check()
	now := w.clock()
	line := h.timeline(w.text, rolltest.Start, size, size, time.Time{}, now)
	if len(line.Dots) != 3 || line.Most != 2 || line.Here != "" || len(line.Rows) != 3 || !line.Rows[0].Gone || line.Rows[0].Count != 1 || line.Hidden != 0 {
		t.Errorf("%+v", line)
	}
	if line := h.timeline(w.text, rolltest.Start, size, 10, time.Time{}, now); line.Here == "" {
		t.Error("it does not say which list is shown")
	}
	// It goes on to the day of the page, and a day is where it is between the others.
	year := rolltest.Start.AddDate(1, 0, 0)
	line = h.timeline(w.text, rolltest.Start, size, size, rolltest.Start.AddDate(0, 6, 0), year)
	last, err := strconv.ParseFloat(line.Dots[len(line.Dots)-1].X, 64)
	if err != nil {
		t.Fatal(err)
	}
	if here, err := strconv.ParseFloat(line.Here, 64); err != nil || math.Abs(here-plotWidth/2) > 10 || last > plotWidth/10 || !line.Last.Equal(year) || !line.Gone {
		t.Errorf("a change at %v, the list shown at %q, the end on %v, %v", last, line.Here, line.Last, err)
	}
	if line := h.timeline(w.text, rolltest.Start, size, size, year, year); line.Here != "" {
		t.Errorf("the list of today is shown as an older one, at %s", line.Here)
	}
	if line := h.timeline(w.closed, rolltest.Start, size, size, time.Time{}, now); line != nil {
		t.Errorf("it draws nothing: %+v", line)
	}
	for range maxDots {
		w.must(w.endorsement(entry.Endorse, "cira.ca", w.text))
		w.must(w.endorsement(entry.Withdraw, "cira.ca", w.text))
	}
	w.must(w.endorsement(entry.Endorse, "apnic.net", w.text))
	if size, err = h.read(ctx); err != nil {
		t.Fatal(err)
	}
	check()
	line = h.timeline(w.text, rolltest.Start, size, size, time.Time{}, now)
	total := 0
	for _, d := range line.Dots {
		total += d.Changes
	}
	if steps := len(h.statements[w.text]); len(line.Dots) > maxDots || total != steps || len(line.Rows) != maxChanges || line.Hidden != steps-maxChanges || !line.Rows[0].Again {
		t.Errorf("%d dots for %d of %d changes, %d rows, %d hidden", len(line.Dots), total, steps, len(line.Rows), line.Hidden)
	}
}

// The code on a receipt is that of its address, drawn unit by unit.
func TestDrawCode(t *testing.T) {
	const address = "https://ledger.example/entry/57"
	drawn, err := drawCode(address)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(address, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	dark := map[[2]int]bool{}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-\d+z`).FindAllStringSubmatch(drawn.Path, -1) {
		var x, y, n int
		fmt.Sscan(m[1], &x)
		fmt.Sscan(m[2], &y)
		fmt.Sscan(m[3], &n)
		for i := range n {
			dark[[2]int{x + i, y}] = true
		}
	}
	if quiet != 4 || drawn.Size != code.Size+8 {
		t.Errorf("%d units wide", drawn.Size)
	}
	for y := range drawn.Size {
		for x := range drawn.Size {
			if dark[[2]int{x, y}] != code.Black(x-quiet, y-quiet) {
				t.Fatalf("the unit at %d, %d is wrong", x, y)
			}
		}
	}
	if _, err := drawCode(strings.Repeat("x", 5000)); err == nil {
		t.Error("what is too long is drawn")
	}
}

// The page of the record says which witness has seen it, and what is wrong.
func TestRecordPage(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	witnesses := map[string]ed25519.PrivateKey{}
	lines := ""
	vkeys := map[string]keys.VKey{}
	for _, name := range names {
		witnesses[name] = ed25519.NewKeyFromSeed(bytes.Repeat([]byte(name), 32))
		vkey, err := keys.NewVKey(name+".example/witness", keys.TypeCosignatureEd25519, witnesses[name].Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		vkeys[name] = vkey
		lines += "witness " + name + " " + vkey.String() + "\n"
	}
	w := fill(newEmptyWorld(t, rolltest.Origin, func(cfg *ledger.Config) {
		cfg.Cosign = cosigning(func(_ context.Context, note []byte) ([]byte, error) {
			text, _, _ := bytes.Cut(note, []byte("\n\n"))
			c, err := verify.ParseCheckpoint(append(text, '\n'))
			if err != nil {
				return nil, err
			}
			seconds := uint64(rolltest.Start.Unix())
			sig := ed25519.Sign(witnesses["a"], verify.SignedMessage(vkeys["a"], seconds, c))
			return append(bytes.Clone(note), verify.SignatureLine(vkeys["a"], verify.TimestampedSignature(seconds, sig))...), nil
		})
	}))
	w.server.witnesses = func() []ledger.Lag {
		return []ledger.Lag{{Who: "b", Size: 3, Time: w.clock()}, {Who: "c", Err: "did not answer in time"}}
	}
	page := w.browse("/record").Body.String()
	if !strings.Contains(page, "no list of witnesses") || strings.Contains(page, "did not answer") {
		t.Error("without a policy it names witnesses")
	}
	var err error
	w.server.policy, err = verify.ParsePolicy([]byte("log " + w.ledger.VKeys()[0].String() + "\n" + lines + "group undersigned-replaying any a d\nquorum a\n"))
	if err != nil {
		t.Fatal(err)
	}
	page = w.browse("/record").Body.String()
	for name, want := range map[string]string{"a": "up to date and recomputed the record", "b": "8 entries behind", "c": "did not answer in time", "d": "not known"} {
		row := page[strings.Index(page, ">"+name+".<wbr>example/<wbr>witness<"):]
		if row, _, _ = strings.Cut(row, "</tr>"); !strings.Contains(row, want) {
			t.Errorf("of %s it does not say %q: %s", name, want, row)
		}
	}
	for _, want := range []string{"This record takes new entries.", "<strong>24 h</strong> since a witness last saw"} {
		if !strings.Contains(page, want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

// What the DNS was seen to say of a key is part of its history, and no more than maxPublished times of it.
func TestPublishedEvents(t *testing.T) {
	chain := func(index uint64) roll.Chain { return roll.Chain{Mark: roll.Mark{Index: index}} }
	says := func(spans ...roll.Span) (all []string) {
		for _, e := range publishedEvents("a.example", spans) {
			all = append(all, fmt.Sprint(e.Index, " ", e.What))
		}
		return all
	}
	got := says(roll.Span{First: chain(3), Last: chain(3), Ended: true, End: chain(5)}, roll.Span{First: chain(7), Last: chain(9)})
	want := []string{
		"3 a.example was shown to publish it, with DNSSEC", "5 a.example was shown not to publish it any more",
		"7 a.example was shown to publish it, with DNSSEC", "9 a.example was still shown to publish it",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := says(make([]roll.Span, maxPublished+1)...); len(got) != maxPublished {
		t.Errorf("%d events", len(got))
	}
}
