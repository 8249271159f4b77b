package server

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// Whatever an organization calls itself, the page shows it and does nothing else with it.
func TestNamesStayText(t *testing.T) {
	w := newWorld(t)
	payloads := []string{
		`<script>alert(1)</script>`,
		`"><svg onload=alert(1)>`,
		`' onmouseover='alert(1)`,
		`{{.Operator}}`,
		`</li></ol><h1>Verified</h1>`,
		`javascript:alert(1)`,
		`&lt;b&gt;`,
		`<!--`,
		`]]><script>`,
	}
	for i, name := range payloads {
		domain := fmt.Sprintf("p%d.example", i)
		w.join(domain, name+" "+strings.Repeat("q", i+1))
		w.must(w.endorsement(entry.Endorse, domain, w.text))
	}
	w.must(w.endorsement(entry.Endorse, "weird.example", w.text))
	title := `<script>alert("title")</script>`
	text := "</article><script>alert(2)</script>\n\n- <img src=x onerror=alert(3)>\n"
	evil := w.publish(text, title)
	if rec := w.do("PUT", blobPath(evil), "", []byte(text)); rec.Code != 204 {
		t.Fatal(rec.Body)
	}
	for _, path := range []string{"/", "/?as-of=2024-06-11", "/statement/" + hexOf(w.text), "/statement/" + hexOf(w.text) + "?size=20&from=2024-06-10&order=recorded", "/statement/" + hexOf(evil)} {
		page := w.get(path).Body.String()
		checkMarkup(t, path, page)
	}
	page := w.get("/statement/" + hexOf(w.text)).Body.String()
	for _, name := range append(payloads, hostile) {
		if !strings.Contains(html.UnescapeString(page), name) {
			t.Errorf("the page does not show %q", name)
		}
	}
	for _, path := range []string{"/api/v1/statements", "/api/v1/roll/" + hexOf(w.text), "/api/v1/search?q=alert"} {
		if body := w.get(path).Body.String(); strings.ContainsAny(body, "<>") {
			t.Errorf("%s has bare markup", path)
		}
	}
}

// Every < of a page begins a tag of the template's own, with its own attributes.
func checkMarkup(t *testing.T, path, page string) {
	t.Helper()
	tag := regexp.MustCompile(`^</?([a-z0-9]+)((?: [a-z-]+(?:="[^"<>]*")?)*)/?>`)
	attribute := regexp.MustCompile(` ([a-z-]+)`)
	quoted := regexp.MustCompile(`"[^"]*"`)
	elements := strings.Fields("html head meta title link body a p strong header img span nav main article aside h1 h2 h3 h4 br ul ol li dl div dt dd code bdi wbr section form label input textarea button time pre details summary blockquote figure figcaption svg path table caption thead tbody tr th td footer noscript")
	attributes := strings.Fields("lang hreflang charset name content rel href type class role src alt width height id dir aria-label aria-labelledby aria-hidden aria-current action method for value required maxlength autocomplete autocapitalize spellcheck start datetime title viewbox preserveaspectratio d scope tabindex open data-roll data-statement data-text data-language data-receipt data-absent data-as-of data-size data-count data-withdrawn data-whole data-gone data-checked data-label data-domain data-index data-id data-at data-worker data-verifier data-origin data-demo data-sample multiple download rows aria-describedby")
	page = regexp.MustCompile(`(viewBox|preserveAspectRatio)=`).ReplaceAllStringFunc(page, strings.ToLower)
	page = strings.TrimPrefix(page, "<!DOCTYPE html>")
	page = strings.Replace(page, `<script type="module" src="/assets/app.js"></script>`, "", 1)
	for i := range page {
		if page[i] != '<' {
			continue
		}
		m := tag.FindStringSubmatch(page[i:])
		if m == nil || !slices.Contains(elements, m[1]) {
			t.Errorf("%s has markup that is not ours: %s", path, page[i:min(i+60, len(page))])
			continue
		}
		for _, a := range attribute.FindAllStringSubmatch(quoted.ReplaceAllString(m[2], `""`), -1) {
			if !slices.Contains(attributes, a[1]) {
				t.Errorf("%s has an attribute that is not ours: %s", path, m[0])
			}
		}
	}
	for _, link := range regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if strings.HasPrefix(link[1], "https://ledger.example/") && strings.Contains(page, `<link rel="canonical" href="`+link[1]) {
			continue
		}
		if !strings.HasPrefix(link[1], "/") && !strings.HasPrefix(link[1], "#") || strings.HasPrefix(link[1], "//") {
			t.Errorf("%s has a link that leads away: %s", path, link[1])
		}
	}
}

func TestDemonstration(t *testing.T) {
	const banner = "generated keys, no real organization has signed"
	demo := fill(newEmptyWorld(t, "demo.undersigned.example/tccm"))
	if !strings.Contains(demo.get("/").Body.String(), banner) {
		t.Error("a demonstration does not say that it is one")
	}
	if strings.Contains(newWorld(t).get("/").Body.String(), banner) {
		t.Error("a real record says that it is a demonstration")
	}
	if !strings.Contains(newEmptyWorld(t, "demo.undersigned.example/tccm").get("/").Body.String(), banner) {
		t.Error("an empty demonstration does not say that it is one")
	}
}

// signatories returns the published list of 11 June 2024.
func tccmSignatories(t *testing.T) (domains, names []string) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/tccm/signatories.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if domain, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && !strings.HasPrefix(line, "#") {
			domains, names = append(domains, domain), append(names, name)
		}
	}
	return domains, names
}

// newTCCM returns the record of the TCCM statement, whose signatories joined in another order
// than that of the list.
func newTCCM(t *testing.T, origin string) *world {
	t.Helper()
	w := newEmptyWorld(t, origin)
	text, err := os.ReadFile("../../testdata/tccm/statement.txt")
	if err != nil {
		t.Fatal(err)
	}
	title, _, _ := strings.Cut(string(text), "\n")
	w.text = w.publish(string(text), title)
	domains, names := tccmSignatories(t)
	for i := range domains {
		i = (i*7 + 3) % len(domains)
		w.join(domains[i], names[i])
		w.must(w.endorsement(entry.Endorse, domains[i], w.text))
	}
	if rec := w.do("PUT", blobPath(w.text), "", text); rec.Code != 204 {
		t.Fatal(rec.Body)
	}
	return w
}

// The list is in the order in which the coalition published it.
func TestListOfTCCM(t *testing.T) {
	w := newTCCM(t, rolltest.Origin)
	_, want := tccmSignatories(t)
	var got []string
	for _, m := range regexp.MustCompile(`<span class="name" dir="auto">([^<]*)</span>`).FindAllStringSubmatch(w.get("/statement/"+hexOf(w.text)).Body.String(), -1) {
		got = append(got, html.UnescapeString(m[1]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the page lists\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// The text is there to the last character.
	text, err := os.ReadFile("../../testdata/tccm/statement.txt")
	if err != nil {
		t.Fatal(err)
	}
	page := w.get("/statement/" + hexOf(w.text)).Body.String()
	article := page[strings.Index(page, "<article"):strings.Index(page, "</article>")]
	plain := html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(article, " "))
	if a, b := strings.Join(strings.Fields(plain), " "), strings.Join(strings.Fields(strings.ReplaceAll(string(text), "\n- ", "\n")), " "); a != b {
		t.Errorf("the page shows\n%s\nwant\n%s", a, b)
	}
}

// A list of any day is what replaying the endorsements up to its end gives, under the names that
// were used then.
func TestListsOfDays(t *testing.T) {
	w := newEmptyWorld(t, rolltest.Origin)
	text := w.publish("A text.\n", "A text")
	want := map[string]map[string]string{} // day: domain: name
	standing := map[string]string{}
	domains := []string{"a.example", "b.example", "c.example"}
	for i, d := range domains {
		w.join(d, strings.Repeat(string(rune('X'-i)), 3))
	}
	act := func(action entry.Action, domain string) {
		w.must(w.endorsement(action, domain, text))
		if action == entry.Withdraw {
			delete(standing, domain)
		} else {
			standing[domain] = w.nameOf(domain)
		}
	}
	day := func() {
		today := map[string]string{}
		for d := range standing {
			today[d] = w.nameOf(d)
		}
		want[w.clock().Format(time.DateOnly)] = today
		w.advance(24 * time.Hour)
	}
	day()
	act(entry.Endorse, "a.example")
	day()
	act(entry.Endorse, "b.example")
	act(entry.Endorse, "c.example")
	day()
	act(entry.Withdraw, "a.example")
	w.rename("b.example", "Zebra")
	day()
	day()
	act(entry.Endorse, "a.example")
	day()
	for range 2 { // the second time from what was kept
		for date, list := range want {
			var answer rollJSON
			if err := json.Unmarshal(w.get("/api/v1/roll/"+hexOf(text)+"?as-of="+date).Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			var names []string
			for _, line := range answer.Items {
				got[line.Domain] = line.Name
				names = append(names, line.Name)
			}
			if fmt.Sprint(got) != fmt.Sprint(list) || answer.Count != len(list) {
				t.Errorf("%s: %v, want %v", date, got, list)
			}
			if !slices.IsSorted(names) {
				t.Errorf("%s: out of order: %v", date, names)
			}
		}
	}
}

// Lists that were kept give way to others, and stay right.
func TestKeptLists(t *testing.T) {
	w := newWorld(t)
	for round := range 2 {
		for size := range uint64(12) {
			var answer rollJSON
			if err := json.Unmarshal(w.get(fmt.Sprintf("/api/v1/roll/%s?size=%d", hexOf(w.text), size)).Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			want := map[uint64]int{9: 1, 10: 2, 11: 1}[size]
			if answer.Count != want || answer.Size != size {
				t.Errorf("round %d, size %d: %d signatories, want %d", round, size, answer.Count, want)
			}
		}
	}
	if n := len(w.server.history.lists); n > keptLists {
		t.Errorf("%d lists are kept", n)
	}
}

func TestBlocks(t *testing.T) {
	got := blocks("Title\n\nTwo\nlines\n\n\n- one\n- two\n\n- not\na list\n")
	want := []block{{false, []string{"Title"}}, {false, []string{"Two", "lines"}}, {true, []string{"one", "two"}}, {false, []string{"- not", "a list"}}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// nameOf returns the latest name of an organization.
func (w *world) nameOf(domain string) string { return w.orgs[domain].Name }

// rename updates an organization.
func (w *world) rename(domain, name string) {
	w.Helper()
	o := w.orgs[domain]
	o.Name = name
	w.must(w.draft(&entry.Membership{Action: entry.Update, Member: domain, Name: name, Quorum: 1}, o))
}
