package server

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"

	"github.com/tccm/undersigned/ledger/rollcall"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// read returns the body of an answer, which must be 200.
func (w *world) read(path string) []byte {
	w.Helper()
	rec := w.get(path)
	if rec.Code != http.StatusOK {
		w.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	return rec.Body.Bytes()
}

// fold returns the state of the published record at a time.
func (w *world) fold(at time.Time) *roll.State {
	w.Helper()
	s := roll.New(w.ledger.Origin())
	for i := range w.ledger.Published().Size {
		b, err := w.ledger.Leaf(context.Background(), i)
		if err != nil {
			w.Fatal(err)
		}
		leaf, err := entry.ParseLeaf(b)
		if err != nil {
			w.Fatal(err)
		}
		if leaf.Admitted.After(at) {
			break
		}
		if err := s.Apply(i, b); err != nil {
			w.Fatal(err)
		}
	}
	return s
}

// TestListsAreThoseOfTheFold plays a random history, and holds lists and changes at random moments against those that the
// fold gives whoever has the record: the same bytes.
func TestListsAreThoseOfTheFold(t *testing.T) {
	w := newEmptyWorld(t, rolltest.Origin)
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"Zeta", "älv", "Alpha", hostile, "=A1+1", "Österreich", "日本"}
	var domains []string
	for i, name := range names {
		domain := fmt.Sprintf("org%d.example", i)
		w.join(domain, name)
		domains = append(domains, domain)
	}
	w.text = w.publish(worldText, worldTitle)
	other := w.publish(closedText, "Another")
	stands := map[string]bool{}
	for i := range 150 {
		w.advance(time.Duration(random.IntN(3_600_000)) * time.Millisecond)
		domain := domains[random.IntN(len(domains))]
		o := w.orgs[domain]
		switch random.IntN(6) {
		case 0:
			w.must(w.draft(&entry.Membership{Action: entry.Update, Member: domain, Name: fmt.Sprint(names[random.IntN(len(names))], " ", i), Quorum: 1}, o))
		case 1:
			k, old := rolltest.NewKey(fmt.Sprint("rotated ", i)), o.Keys[0].Ref()
			line := k.Line()
			w.must(w.draft(&entry.KeyEvent{Action: entry.Rotate, Member: domain, PublicKey: &line, Revokes: &old}, o, o.Keys[0], k))
			o.Keys[0] = k
		case 2:
			if _, ok := stands[domain+" other"]; !ok {
				stands[domain+" other"] = true
				w.must(w.endorsement(entry.Endorse, domain, other))
			}
		default:
			action := entry.Endorse
			if stands[domain] && random.IntN(3) > 0 {
				action = entry.Withdraw
			}
			stands[domain] = action == entry.Endorse
			w.must(w.endorsement(action, domain, w.text))
		}
	}
	moment := func() verify.Moment {
		d := time.Duration(random.Int64N(int64(w.clock().Sub(rolltest.Start) + time.Hour)))
		m := verify.Moment{Time: rolltest.Start.Add(d).Truncate(time.Millisecond)}
		if random.IntN(3) == 0 {
			m, _ = verify.ParseMoment(m.Time.Format(time.DateOnly))
		}
		return m
	}
	kinds := map[string]int{}
	for range 60 {
		to, in := moment(), []string{"en", "sv", "de"}[random.IntN(3)]
		state := w.fold(to.Time)
		tag := language.MustParse(in)

		l := rollcall.List{Origin: w.ledger.Origin(), Statement: w.text, AsOf: to, Size: state.Size(), Link: "https://ledger.example/statement/" + hexOf(w.text)}
		standing := slices.DeleteFunc(state.Signatories(w.text), func(s roll.Signatory) bool { return !s.Stands() })
		rollcall.Sort(standing, tag, func(s roll.Signatory) (string, string) { return s.Name, s.Domain })
		for _, s := range standing {
			l.Lines = append(l.Lines, rollcall.LineOf(s))
		}
		for _, f := range rollcall.Formats {
			path := "/statement/" + hexOf(w.text) + "/roll." + f.Extension() + "?language=" + in + "&as-of=" + to.Text()
			if got, want := w.read(path), l.Print(f); string(got) != string(want) {
				t.Fatalf("%s:\n%s\nwant\n%s", path, got, want)
			}
		}

		from := moment()
		if from.Time.After(to.Time) {
			continue
		}
		old := w.fold(from.Time)
		want := rollcall.ChangesOf(roll.Compare(old.Signatories(w.text), state.Signatories(w.text)), tag)
		var got []rollcall.Change
		for path := "/api/v1/changes/" + hexOf(w.text) + "?limit=2&language=" + in + "&from=" + from.Text() + "&as-of=" + to.Text(); path != ""; {
			var page changesJSON
			if err := json.Unmarshal(w.read(path), &page); err != nil {
				t.Fatal(err)
			}
			if page.Count != len(want) || page.FromSize != old.Size() || page.Size != state.Size() {
				t.Fatalf("%s: %d changes of %d, sizes %d and %d", path, page.Count, len(want), page.FromSize, page.Size)
			}
			got, path = append(got, page.Items...), page.Next
		}
		for _, c := range want {
			for _, what := range c.What {
				kinds[what]++
			}
		}
		if a, b := string(encode(got)), string(encode(want)); a != b && len(want) > 0 {
			t.Fatalf("from %s to %s:\n%s\nthe fold says\n%s", from.Text(), to.Text(), a, b)
		}
	}
	for _, what := range []string{rollcall.Added, rollcall.Withdrew, rollcall.Renamed, rollcall.Rekeyed, rollcall.Again} {
		if kinds[what] < 3 {
			t.Errorf("too few changes of a kind: %v", kinds)
		}
	}
	if n := len(w.server.history.changes); n > keptLists {
		t.Errorf("%d lists of changes are kept", n)
	}
}

// TestLongList: a list is sent whole up to a bound.
func TestLongList(t *testing.T) {
	w := newWorld(t)
	w.server.limits.names = 2
	path := "/statement/" + hexOf(w.text) + "/roll.txt"
	if got := w.read(path + "?as-of=2024-06-11"); strings.Count(string(got), "\n") != 4 {
		t.Errorf("%s", got)
	}
	w.server.limits.names = 1
	wantProblem(t, w.get(path+"?as-of=2024-06-11"), ProblemLong)
	w.read("/api/v1/roll/" + hexOf(w.text))
}

// atom is what a feed reader looks for (RFC 4287, section 4.1).
type readFeed struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
	ID      []string `xml:"http://www.w3.org/2005/Atom id"`
	Title   []string `xml:"http://www.w3.org/2005/Atom title"`
	Updated []string `xml:"http://www.w3.org/2005/Atom updated"`
	Links   []struct {
		Rel  string `xml:"rel,attr"`
		Href string `xml:"href,attr"`
	} `xml:"http://www.w3.org/2005/Atom link"`
	Entries []struct {
		ID      []string `xml:"http://www.w3.org/2005/Atom id"`
		Title   []string `xml:"http://www.w3.org/2005/Atom title"`
		Updated []string `xml:"http://www.w3.org/2005/Atom updated"`
		Author  []string `xml:"http://www.w3.org/2005/Atom author>name"`
	} `xml:"http://www.w3.org/2005/Atom entry"`
}

func (f *readFeed) link(rel string) string {
	for _, l := range f.Links {
		if l.Rel == rel {
			return l.Href
		}
	}
	return ""
}

// TestFeed follows a feed from its newest page to its end: everything that happened is in it once, the newest first, also while more happens.
func TestFeed(t *testing.T) {
	w := newWorld(t)
	for i := range 120 {
		w.must(w.endorsement([]entry.Action{entry.Endorse, entry.Withdraw}[i%2], "weird.example", w.text))
	}
	for path, about := range map[string]entry.Hash{
		"/feed.atom": {},
		"/statement/" + hexOf(w.text) + "/feed.atom":   w.text,
		"/statement/" + hexOf(w.closed) + "/feed.atom": w.closed,
	} {
		var want []uint64
		for i := range w.ledger.Published().Size {
			leaf, err := w.server.leaf(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			var of entry.Hash
			switch b := leaf.Entry.Body.(type) {
			case *entry.Statement:
				of = b.Statement
			case *entry.Endorsement:
				of = b.Statement
			default:
				continue
			}
			if about == of || path == "/feed.atom" {
				want = append(want, i)
			}
		}
		feedID, ids, last := "", map[string]bool{}, ""
		n := len(want)
		for pages := 0; path != ""; pages++ {
			body := w.read(path)
			var f readFeed
			if err := xml.Unmarshal(body, &f); err != nil {
				t.Fatalf("%s: %v\n%s", path, err, body)
			}
			if len(f.ID) != 1 || len(f.Title) != 1 || len(f.Updated) != 1 || feedID != "" && f.ID[0] != feedID || f.link("self") != "https://ledger.example"+path {
				t.Errorf("%s: %+v", path, f)
			}
			feedID = f.ID[0]
			if len(f.Entries) > feedLimit || f.Updated[0] != f.Entries[0].Updated[0] {
				t.Errorf("%s: %d entries, updated %s", path, len(f.Entries), f.Updated[0])
			}
			for _, e := range f.Entries {
				n--
				leaf, err := w.server.leaf(t.Context(), want[n])
				if err != nil {
					t.Fatal(err)
				}
				if len(e.ID) != 1 || e.ID[0] != "urn:undersigned:entry:"+hexOf(leaf.Entry.ID()) || e.Updated[0] != stamp(leaf.Admitted) || len(e.Title) != 1 || len(e.Author) != 1 {
					t.Fatalf("%s: entry %d is %+v", path, want[n], e)
				}
				if ids[e.ID[0]] || last != "" && e.Updated[0] > last {
					t.Errorf("%s: %s comes twice or too late", path, e.ID[0])
				}
				ids[e.ID[0]], last = true, e.Updated[0]
			}
			if pages > 0 && string(body) != string(w.read(path)) {
				t.Errorf("%s has changed", path)
			}
			path = strings.TrimPrefix(f.link("next"), "https://ledger.example")
			if pages == 0 && path != "" {
				w.must(w.draft(&entry.Statement{Action: entry.Reopen, Statement: w.closed}, w.operator))
				w.must(w.draft(&entry.Statement{Action: entry.Close, Statement: w.closed}, w.operator))
			}
		}
		if n != 0 {
			t.Errorf("%d of %d entries are in no page", n, len(want))
		}
	}
}

// TestFeedparser has a feed reader's parser read a feed, strictly.
func TestFeedparser(t *testing.T) {
	python := "" // Debian's, if another comes before it
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if python == "" && exec.Command(p, "-c", "import feedparser").Run() == nil {
			python = p
		}
	}
	if python == "" {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("feedparser is missing: install the Debian package python3-feedparser")
		}
		t.Skip("feedparser is missing: install the Debian package python3-feedparser")
	}
	w := newWorld(t)
	w.must(w.endorsement(entry.Endorse, "weird.example", w.text))
	cmd := exec.Command(python, "-c", `import feedparser, json, sys
f = feedparser.parse(sys.stdin.buffer.read(), response_headers={'content-type': 'application/atom+xml; charset=utf-8'})
print(json.dumps([f.version, bool(f.bozo), f.feed.title, len(f.entries), [e.title for e in f.entries][0], f.entries[0].author, all(e.updated_parsed and e.id and e.link for e in f.entries), f.encoding]))`)
	cmd.Stdin = strings.NewReader(string(w.read("/feed.atom")))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want := []any{"atom10", false, "Endorsements in “A record for tests”", 7.0, hostile + " (weird.example) endorsed “We stand by this”", hostile + " (weird.example)", true, "utf-8"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, not %v", got, want)
	}
}

// TestWithoutAddress: a server that does not know its address links by paths.
func TestWithoutAddress(t *testing.T) {
	w := newWorld(t)
	w.server.url = ""
	if feed := string(w.read("/feed.atom")); strings.Contains(feed, "https://") || !strings.Contains(feed, `href="/statement/`) {
		t.Error(feed)
	}
	if list := string(w.read("/statement/" + hexOf(w.text) + "/roll.html")); strings.Contains(list, "href") {
		t.Error(list)
	}
}
