// Package rollcall puts lists of signatories in order and prints them, the same for the command and the server:
//
//	Signatories as of 11 June 2024 (in alphabetical order)
//
//	Asia Pacific Network Information Centre (APNIC)
//	Associação DNS.PT, Portuguese Registry
//	au Domain Administration Ltd (auDA)
//
// What it prints hangs on the List alone, byte for byte. It takes names as they come, and no name can be markup, a formula or a
// second line in any Format. (In Markdown a name that is a mail address becomes a link to it where it is rendered as GitHub does.)
//
// It is not part of verify because the tables of Unicode collation are larger than all that a browser needs to check a record.
package rollcall

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// A List is who stands behind a statement.
type List struct {
	Origin    string     // of the record
	Statement entry.Hash // of the text
	AsOf      verify.Moment
	Size      uint64 // entries of the record up to then
	Link      string // where the record can be looked at, http or https; "": nowhere
	Lines     []Line // in the order in which they are printed
}

// A Line is one signatory.
type Line struct {
	Name      string
	LegalName string // "": not given
	Domain    string
	Index     uint64     // of the endorsement
	ID        entry.Hash // of the endorsement
	Admitted  time.Time  // when it was recorded
	Date      string     // the signer's own
	Disputed  bool       // a key that signed has been declared compromised from before
}

// LineOf returns the line of a signatory.
func LineOf(s roll.Signatory) Line {
	return Line{s.Name, s.LegalName, s.Domain, s.Index, s.ID, s.Admitted, s.Date, s.Disputed}
}

// A Format is a form in which a List is printed.
type Format string

// The formats.
const (
	Text     Format = "text"     // a heading and the names, one a line
	Markdown Format = "markdown" // CommonMark, for GitHub's dialect too
	HTML     Format = "html"     // a fragment to be put into a page: no script, no style, no identifier
	CSV      Format = "csv"      // RFC 4180, UTF-8, a header line first
)

// Formats are all of them.
var Formats = []Format{Text, Markdown, HTML, CSV}

// MediaType returns what HTTP calls the format.
func (f Format) MediaType() string {
	return map[Format]string{
		Text: "text/plain; charset=utf-8", Markdown: "text/markdown; charset=utf-8", HTML: "text/html; charset=utf-8", CSV: "text/csv; charset=utf-8; header=present",
	}[f]
}

// Extension returns how the names of files in the format end, without a dot.
func (f Format) Extension() string {
	return map[Format]string{Text: "txt", Markdown: "md", HTML: "html", CSV: "csv"}[f]
}

// MaxLanguage bounds a language tag, in bytes.
const MaxLanguage = 35

// ParseLanguage reads a BCP 47 tag. The error is one for people.
func ParseLanguage(text string) (language.Tag, error) {
	tag, err := language.Parse(text)
	if err != nil || text == "" || len(text) > MaxLanguage {
		return language.Und, fmt.Errorf("a language is a tag such as en, de or pt-BR")
	}
	return tag, nil
}

// Sort puts a list in the alphabetical order of a language, by the Unicode Collation Algorithm with the language's own rules (CLDR).
// What is alike to it is ordered by domain.
func Sort[T any](list []T, in language.Tag, of func(T) (name, domain string)) {
	type keyed struct {
		item   T
		key    []byte
		domain string
	}
	collator := collate.New(in)
	var buf collate.Buffer
	all := make([]keyed, len(list))
	for i, item := range list {
		name, domain := of(item)
		all[i] = keyed{item, collator.KeyFromString(&buf, name), domain}
	}
	slices.SortFunc(all, func(a, b keyed) int {
		return cmp.Or(bytes.Compare(a.key, b.key), strings.Compare(a.domain, b.domain))
	})
	for i := range all {
		list[i] = all[i].item
	}
}

// CheckLink returns an error for people unless link is an address that a List may have.
func CheckLink(link string) error {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("the address of the record begins with https:// or http://")
	}
	return nil
}

// Print returns the list in a format, which must be one of Formats, and Link one that CheckLink takes.
func (l *List) Print(f Format) []byte {
	var b bytes.Buffer
	switch f {
	case Text:
		b.WriteString(l.heading() + "\n\n")
		for _, line := range l.Lines {
			b.WriteString(oneLine(line.Name) + "\n")
		}
	case Markdown:
		b.WriteString("## " + l.heading() + "\n\n")
		for _, line := range l.Lines {
			b.WriteString("- " + markdown(oneLine(line.Name)) + "\n")
		}
		if len(l.Lines) == 0 {
			b.WriteString("Nobody.\n")
		}
		origin := markdown(l.Origin)
		if l.Link != "" {
			origin = "[" + origin + "](<" + inAngles.Replace(l.Link) + ">)"
		}
		fmt.Fprintf(&b, "\nComputed from %s of the public record %s, as of %s, for the text `%s`.\n", l.extent(), origin, l.moment(), l.Statement)
	case HTML:
		if err := fragment().Execute(&b, l); err != nil {
			panic("rollcall: " + err.Error()) // a buffer does not fail, nor does what the template names
		}
	case CSV:
		b.WriteString(header)
		for _, line := range l.Lines {
			record(&b, line.Name, line.LegalName, line.Domain, strconv.FormatUint(line.Index, 10), line.ID.String(),
				line.Admitted.UTC().Format(entry.TimeFormat), line.Date, strconv.FormatBool(line.Disputed))
		}
	default:
		panic("rollcall: no such format")
	}
	return b.Bytes()
}

func (l *List) heading() string {
	return "Signatories as of " + l.AsOf.String() + " (in alphabetical order)"
}

func (l *List) extent() string {
	if l.Size == 1 {
		return "the first entry"
	}
	return fmt.Sprintf("the first %d entries", l.Size)
}

func (l *List) moment() string { return l.AsOf.Time.UTC().Format(entry.TimeFormat) }

// header and record write CSV in which every field is in quotes, so that no other separator than the comma parts one.
const header = `"name","legal_name","domain","index","id","admitted","date","disputed"` + "\r\n"

func record(b *bytes.Buffer, fields ...string) {
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + strings.ReplaceAll(noFormula(f), `"`, `""`) + `"`)
	}
	b.WriteString("\r\n")
}

// noFormula keeps a spreadsheet from taking text for a formula: an apostrophe before it makes it text.
func noFormula(text string) string {
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }))
	if strings.ContainsRune("=+-@＝＋－＠|%", first) || text != "" && strings.ContainsRune("\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}

// oneLine keeps a name on its line. The record takes none that has anything else than letters, marks, signs and single spaces.
func oneLine(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, name)
}

// inAngles is for the destination of a Markdown link.
var inAngles = strings.NewReplacer("<", "%3C", ">", "%3E", `\`, "%5C", " ", "%20", "\n", "%0A", "\r", "%0D")

// markdown escapes what CommonMark and GitHub's dialect would read as anything but text, and leaves the rest readable.
func markdown(text string) string {
	var b strings.Builder
	digits := true // all so far
	for i, r := range text {
		special := strings.ContainsRune("\\`*_[]<>&#~|!$^{}\"@:=", r)
		switch {
		case i == 0 && strings.ContainsRune("+-", r), // a list
			digits && i > 0 && strings.ContainsRune(".)", r), // a numbered one
			r == '.' && len(text[:i]) >= 3 && strings.EqualFold(text[i-3:i], "www"):
			special = true
		}
		digits = digits && r >= '0' && r <= '9'
		if special {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// pieces are where a line may break in a hash, which is wider than a telephone. A style would need a page that lets it count.
func pieces(h entry.Hash) []string {
	name, digits, _ := strings.Cut(h.String(), ":")
	list := []string{name + ":"}
	for piece := range slices.Chunk([]byte(digits), 16) {
		list = append(list, string(piece))
	}
	return list
}

// fragment is parsed when it is needed.
var fragment = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("list").Funcs(template.FuncMap{
		"heading": (*List).heading, "extent": (*List).extent, "moment": (*List).moment, "pieces": pieces,
	}).Parse(`<section class="undersigned-roll" lang="en">
<h2>{{heading .}}</h2>
{{if .Lines}}<ul>
{{range .Lines}}<li lang="" dir="auto" title="{{.Domain}}">{{.Name}}</li>
{{end}}</ul>
{{else}}<p>Nobody.</p>
{{end}}<p>Computed from {{extent .}} of the public record {{if .Link}}<a href="{{.Link}}">{{.Origin}}</a>{{else}}{{.Origin}}{{end}}, as of <time datetime="{{moment .}}">{{moment .}}</time>, for the text <code>{{range $i, $piece := pieces .Statement}}{{if $i}}<wbr>{{end}}{{$piece}}{{end}}</code>.</p>
</section>
`))
})
