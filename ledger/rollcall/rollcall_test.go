package rollcall

import (
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"html"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

// hostile are names that the record would take, and what each attacks.
var hostile = []string{
	`<img src=x onerror="alert(1)">`, `</li></ul><script>alert(1)</script>`, `" onmouseover="alert(1)`, `&lt;b&gt; & Söhne`, `<!-- --!> ]]>`,
	`=HYPERLINK("https://evil.example","click")`, `+1+1`, `-2+3`, `@SUM(A1)`, `＝1+1`, `a;=1+1`, `a,=1+1`, `"quoted"`, `'=1`, `|calc`,
	`[click](javascript:alert(1))`, `![x](https://evil.example/x.png)`, `*bold* _it_ ~~gone~~ ` + "`code`", `# heading`, `1. one`, `12) twelve`, `- item`, `---`,
	`https://evil.example/`, `www.evil.example`, `WWW.evil.example`, `me@evil.example`, `$x$`, `a\b`, `<https://evil.example>`, `{{.Origin}}`, `שלום (1)`, `مرحبا`,
}

func sample(names ...string) *List {
	at, err := verify.ParseMoment("2024-06-11")
	if err != nil {
		panic(err)
	}
	l := &List{Origin: "ledger.example/test", Statement: entry.Sum([]byte("text")), AsOf: at, Size: 35, Link: "https://ledger.example/statement/abc?as-of=2024-06-11&size=35"}
	for i, name := range names {
		l.Lines = append(l.Lines, Line{
			Name: name, LegalName: name, Domain: fmt.Sprintf("org%02d.example", i), Index: uint64(i), ID: entry.Sum([]byte(name)),
			Admitted: time.Date(2024, 6, 11, 9, 30, i, 0, time.UTC), Date: "2024-06-11", Disputed: i%2 == 1,
		})
	}
	return l
}

// TestGolden prints lists in every format as they are in testdata.
func TestGolden(t *testing.T) {
	exact, err := verify.ParseMoment("2024-06-11T12:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	lists := map[string]*List{
		"usual":   sample("Asia Pacific Network Information Centre (APNIC)", "Associação DNS.PT, Portuguese Registry", "Tucows, Inc.", "日本レジストリサービス"),
		"hostile": sample(hostile...),
		"empty":   sample(),
	}
	lists["empty"].Link, lists["empty"].AsOf, lists["empty"].Size = "", exact, 1
	for name, l := range lists {
		for _, f := range Formats {
			golden(t, name+"."+f.Extension(), l.Print(f))
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

// harmless holds the formats to what no name may do in them.
func harmless(t *testing.T, names ...string) {
	t.Helper()
	l := sample(names...)
	plain := sample(strings.Split(strings.Repeat("x", len(names)), "")...)

	// HTML: the same tags as with harmless names, and the names come out again.
	tags := regexp.MustCompile(`<[^>]*>`)
	page, other := string(l.Print(HTML)), string(plain.Print(HTML))
	if got, want := tags.FindAllString(page, -1), tags.FindAllString(other, -1); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q: the tags are %q", names, got)
	}
	if text := html.UnescapeString(tags.ReplaceAllString(page, "")); !strings.Contains(text, "\n"+strings.Join(names, "\n")+"\n") {
		t.Errorf("%q: the page says %q", names, text)
	}

	// CSV: RFC 4180, and no cell is a formula, whatever parts cells.
	table := string(l.Print(CSV))
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil || len(rows) != len(names)+1 || strings.Count(table, "\r\n") != len(rows) || strings.Count(table, "\n") != len(rows) {
		t.Fatalf("%q: %v, %q", names, err, table)
	}
	for i, row := range rows[1:] {
		if strings.TrimPrefix(row[0], "'") != strings.TrimPrefix(names[i], "'") {
			t.Errorf("%q is read back as %q", names[i], row[0])
		}
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("%q: the cell %q is a formula", names[i], cell)
			}
		}
	}

	// Text and Markdown: a line each.
	if got := string(l.Print(Text)); got != "Signatories as of 11 June 2024 (in alphabetical order)\n\n"+strings.Join(names, "\n")+"\n" {
		t.Errorf("%q: %q", names, got)
	}
	items := strings.Split(string(l.Print(Markdown)), "\n")[2:]
	for i, name := range names {
		item, ok := strings.CutPrefix(items[i], "- ")
		if back := regexp.MustCompile(`\\([!-/:-@\[-`+"`"+`{-~])`).ReplaceAllString(item, "$1"); !ok || back != name {
			t.Errorf("%q is %q in Markdown, read back as %q", name, items[i], back)
		}
		if loose := regexp.MustCompile(`(^|[^\\])(\\\\)*[<>\[\]` + "`" + `*_&#~|!$@:]|^[-+]|^[0-9]+[.)]|(?i:www)\.`).FindString(item); loose != "" {
			t.Errorf("%q is %q in Markdown, where %q is markup", name, items[i], loose)
		}
	}
}

func TestHostileNames(t *testing.T) { harmless(t, hostile...) }

func FuzzHostileNames(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		m := &entry.Membership{Action: entry.Register, Member: "org.example", Name: name, Quorum: 1, PublicKeys: []entry.PublicKey{rolltest.NewKey("x").Line()}}
		o := rolltest.NewOrg("org.example", 1, 0, 1)
		e := rolltest.Sign(&entry.Entry{Ledger: rolltest.Origin, Body: m, Signer: o.Domain, Keys: []keys.Ref{o.Keys[0].Ref()}, Date: "2024-06-11"})
		if _, err := entry.Parse(e.Bytes()); err != nil {
			return // no name that a record takes
		}
		harmless(t, name)
	})
}

// TestMarkdownRendered has another tool make HTML of Markdown: in it every name is text, but that GitHub's dialect makes a link of what
// is a mail address, however it is escaped.
func TestMarkdownRendered(t *testing.T) {
	if _, err := exec.LookPath("cmark-gfm"); err != nil {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("cmark-gfm is missing: install the Debian package cmark-gfm")
		}
		t.Skip("cmark-gfm is missing: install the Debian package cmark-gfm")
	}
	cmd := exec.Command("cmark-gfm", "--unsafe", "-e", "autolink", "-e", "table", "-e", "strikethrough", "-e", "footnotes")
	cmd.Stdin = bytes.NewReader(sample(hostile...).Print(Markdown))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	tags := regexp.MustCompile(`<[^>]*>`)
	var rest []string
	for _, tag := range tags.FindAllString(string(out), -1) {
		if !strings.Contains("<h2></h2><ul></ul><li></li><p></p><code></code></a>", tag) && !strings.HasPrefix(tag, `<a href="https://ledger.example/`) && tag != `<a href="mailto:me@evil.example">` {
			rest = append(rest, tag)
		}
	}
	if len(rest) > 0 {
		t.Errorf("names are markup: %q\n%s", rest, out)
	}
	text := html.UnescapeString(tags.ReplaceAllString(string(out), ""))
	for _, name := range hostile {
		if !strings.Contains(text, "\n"+name+"\n") {
			t.Errorf("%q is not in the page:\n%s", name, text)
		}
	}
}

// TestSort: each language has its own alphabet, and the order of what comes in does not matter.
func TestSort(t *testing.T) {
	type org struct{ name, domain string }
	of := func(o org) (string, string) { return o.name, o.domain }
	for _, c := range []struct{ in, want string }{
		{"en", "älv Zebra"},
		{"de", "älv Zebra"},
		{"sv", "Zebra älv"},
		{"et", "Zebra älv"},
		{"und", "älv Zebra"},
	} {
		list := []org{{"Zebra", "z.example"}, {"älv", "a.example"}}
		Sort(list, language.MustParse(c.in), of)
		if got := list[0].name + " " + list[1].name; got != c.want {
			t.Errorf("%s: %s", c.in, got)
		}
	}
	var want []org
	for i, name := range append([]string{"Same", "Same", "same", "Sáme", ""}, hostile...) {
		want = append(want, org{name, fmt.Sprintf("%02d.example", i)})
	}
	Sort(want, language.English, of)
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		list := append([]org(nil), want...)
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		Sort(list, language.English, of)
		if fmt.Sprint(list) != fmt.Sprint(want) {
			t.Fatalf("%q, and from another order %q", want, list)
		}
	}
}

func TestParseLanguage(t *testing.T) {
	for _, text := range []string{"en", "pt-BR", "sv", "zh-Hant", "de-u-co-phonebk"} {
		if _, err := ParseLanguage(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", "english!", "e", "-", "en-" + strings.Repeat("a-", 40), "xx-<script>"} {
		if tag, err := ParseLanguage(text); err == nil {
			t.Errorf("%q is %v", text, tag)
		}
	}
}

func TestCheckLink(t *testing.T) {
	for link, ok := range map[string]bool{
		"https://ledger.example/": true, "http://127.0.0.1:8080/statement/ab?as-of=2024-06-11": true,
		"": false, "javascript:alert(1)": false, "ledger.example": false, "//ledger.example/": false, "https://": false, "https://me:secret@ledger.example/": false, "data:text/html,x": false,
	} {
		if err := CheckLink(link); (err == nil) != ok {
			t.Errorf("%q: %v", link, err)
		}
	}
}

// TestNarrow: nothing in a list for pages is so long a word that a telephone must scroll sideways for it.
func TestNarrow(t *testing.T) {
	l := sample("Asia Pacific Network Information Centre (APNIC)")
	for _, word := range strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(string(l.Print(HTML)), " ")) {
		if len(word) > 32 {
			t.Errorf("%q cannot be broken", word)
		}
	}
}

// TestPrintChanges tells every kind of change.
func TestPrintChanges(t *testing.T) {
	r := rolltest.New(t)
	orgs := map[string]*rolltest.Org{}
	for _, name := range []string{"stays", "goes", "comes", "passes", "renames", "legally", "rotates", "again", "more"} {
		o := rolltest.NewOrg(name+".example", 2, 1, 1)
		o.Name = "The one that " + name
		orgs[name] = o
		r.Register(o)
	}
	h := entry.Sum([]byte("text"))
	german := entry.Rendition{Language: "de", Hash: entry.Sum([]byte("Text")), Size: 4, MediaType: "text/plain"}
	r.Do(&entry.Statement{Action: entry.Publish, Statement: h, Title: "A statement", Language: "en", MediaType: "text/plain", Size: 4, Renditions: []entry.Rendition{german}}, r.Operator)
	for _, name := range []string{"stays", "goes", "renames", "legally", "rotates", "again", "more"} {
		r.Endorse(orgs[name], h)
	}
	old := r.State.Signatories(h)
	r.Now = r.Now.Add(37 * 24 * time.Hour)
	r.Withdraw(orgs["goes"], h)
	r.Endorse(orgs["comes"], h)
	r.Endorse(orgs["passes"], h)
	r.Withdraw(orgs["passes"], h)
	r.Do(&entry.Membership{Action: entry.Update, Member: "renames.example", Name: "Renamed <b>", Quorum: 1, RecoveryKeys: lines(orgs["renames"].Recovery)}, orgs["renames"])
	r.Do(&entry.Membership{Action: entry.Update, Member: "legally.example", Name: orgs["legally"].Name, LegalName: "Legally Ltd", Quorum: 1, RecoveryKeys: lines(orgs["legally"].Recovery)}, orgs["legally"])
	first, second := orgs["rotates"].Keys[0], orgs["rotates"].Keys[1].Ref()
	r.Do(&entry.KeyEvent{Action: entry.Revoke, Member: "rotates.example", Revokes: &second}, orgs["rotates"], first)
	next := rolltest.NewKey("next")
	line, ref := next.Line(), first.Ref()
	r.Do(&entry.KeyEvent{Action: entry.Rotate, Member: "rotates.example", PublicKey: &line, Revokes: &ref}, orgs["rotates"], first, next)
	suspended := orgs["stays"].Keys[1].Ref()
	r.Do(&entry.KeyEvent{Action: entry.Suspend, Member: "stays.example", Revokes: &suspended}, r.Operator)
	third := rolltest.NewKey("third")
	line = third.Line()
	r.Do(&entry.KeyEvent{Action: entry.Add, Member: "stays.example", PublicKey: &line}, orgs["stays"], orgs["stays"].Keys[0], third)
	r.Withdraw(orgs["again"], h)
	r.Endorse(orgs["again"], h)
	r.Withdraw(orgs["more"], h)
	r.Do(&entry.Endorsement{Action: entry.Endorse, Statement: h, Renditions: []entry.RenditionRef{{Language: "de", Hash: german.Hash}}, After: entry.After{Size: 1, Note: entry.Sum(nil)}}, orgs["more"])

	from, _ := verify.ParseMoment("2024-06-11")
	to, _ := verify.ParseMoment("2024-07-18T12:00:00Z")
	changes := ChangesOf(roll.Compare(old, r.State.Signatories(h)), language.English)
	golden(t, "changes.txt", PrintChanges(from, to, changes))
	golden(t, "nothing.txt", PrintChanges(from, to, nil))
	kinds := map[string]int{}
	for _, c := range changes {
		for _, what := range c.What {
			kinds[what]++
		}
	}
	if want := map[string]int{Added: 1, Withdrew: 2, Renamed: 2, Rekeyed: 2, Again: 2, Renditions: 1}; fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("%v, not %v", kinds, want)
	}
}

func lines(ks []*rolltest.Key) []entry.PublicKey {
	var all []entry.PublicKey
	for _, k := range ks {
		all = append(all, k.Line())
	}
	return all
}
