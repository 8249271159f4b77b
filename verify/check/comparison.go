package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/wording"
)

// A Version is a text that the one at hand is compared with.
type Version struct {
	Name      string // for people
	File      string // if it is a file
	Statement *roll.Statement
	Hash      entry.Hash
	Language  string
	MediaType string
	Rendition bool
	Result    *wording.Result // nil: it could not be read
	Problem   string          // why
	Endorsers []roll.Endorsement
	Withdrawn []roll.Endorsement // if it is the nearest: who has endorsed it and taken that back
}

// A Comparison is a text and the versions that it is compared with. Its JSON form is the schema "undersigned/compare/v1".
type Comparison struct {
	Hash     entry.Hash
	Form     wording.Form
	Report   *verify.Report // of the record that the versions are from; nil: they are files
	Versions []*Version

	raw    []byte
	named  bool            // nothing but its fingerprint is at hand
	texts  []*wording.Text // as its words can be read; none: they could not
	unread error           // why
	pdf    ReadPDF
}

// ReadPDF reads the words of a PDF file, in as many ways as there are, of which the nearer counts. It is handed in, because it takes
// a program or more code than all the rest. An error is the end of a sentence.
type ReadPDF func(ctx context.Context, raw []byte) ([]*wording.Text, error)

// NewComparison begins to compare a text, whose name is for people. An empty form looks at its content. pdf may be nil.
func NewComparison(ctx context.Context, name string, raw []byte, form wording.Form, pdf ReadPDF) *Comparison {
	q := &Comparison{Hash: entry.Sum(raw), Form: form, raw: raw, pdf: pdf}
	if form == "" {
		q.Form = wording.FormOf(raw)
	}
	q.texts, q.unread = q.read(ctx, name, raw, q.Form) // an identical file is found without its words
	return q
}

// read reads the words of a file. An error says what to do; it is "could not check".
func (q *Comparison) read(ctx context.Context, name string, raw []byte, form wording.Form) ([]*wording.Text, error) {
	texts, err := q.words(ctx, name, raw, form)
	if err == nil && form != wording.PlainText && !slices.ContainsFunc(texts, func(t *wording.Text) bool { return t.Words() > 0 }) {
		return nil, Failf(verify.CodeUnchecked, "%s has no words that can be read, as where they are a picture: type them into a file, and compare that", name)
	}
	return texts, err
}

func (q *Comparison) words(ctx context.Context, name string, raw []byte, form wording.Form) ([]*wording.Text, error) {
	if isEmpty(raw) {
		return nil, Failf(verify.CodeUnchecked, "there is nothing in %s", name)
	}
	if form != wording.PDF && len(raw) > wording.MaxText {
		return nil, Failf(verify.CodeUnchecked, "%s is larger than the %s that a statement can have", name, Bytes(wording.MaxText))
	}
	if isPacked(raw) {
		return nil, Failf(verify.CodeUnchecked, "%s is a word processor's file or an archive: save it as plain text, HTML or PDF", name)
	}
	if form != wording.PDF && isBinary(raw) {
		return nil, Failf(verify.CodeUnchecked, "%s is a file of a kind that cannot be read: save its text as plain text, HTML or PDF", name)
	}
	switch form {
	case wording.HTML:
		text, err := wording.FromHTML(raw)
		if err != nil {
			return nil, Failf(verify.CodeUnchecked, "%s cannot be read, because %v: open it, select and copy its text, and compare that", name, err)
		}
		return []*wording.Text{text}, nil
	case wording.PDF:
		if q.pdf == nil {
			return nil, Failf(verify.CodeUnchecked, "%s is a PDF file, which cannot be read here: open it, select and copy its text, and paste that", name)
		}
		texts, err := q.pdf(ctx, raw)
		if err != nil {
			return nil, Failf(verify.CodeUnchecked, "the text of %s could not be read: %w", name, err)
		}
		return texts, nil
	}
	return []*wording.Text{wording.Plain(raw)}, nil
}

// isPacked says whether a file is a zip or one of the old word processors.
func isPacked(raw []byte) bool {
	return bytes.HasPrefix(raw, []byte("PK\x03\x04")) || bytes.HasPrefix(raw, []byte("\xD0\xCF\x11\xE0"))
}

// isEmpty says whether there is nothing in a file that a person sees.
func isEmpty(raw []byte) bool {
	return len(bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\uFEFF")))) == 0
}

// isBinary says whether a file is no text of any kind: it is neither UTF-8 nor UTF-16, and has what no text in another encoding has.
func isBinary(raw []byte) bool {
	return !utf8.Valid(raw) && !bytes.HasPrefix(raw, []byte("\xff\xfe")) && !bytes.HasPrefix(raw, []byte("\xfe\xff")) &&
		bytes.ContainsFunc(raw, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\b\t\n\v\f\r\x1a\x1b", r) })
}

// compare fills in the result of a version whose bytes are at hand.
func (q *Comparison) compare(ctx context.Context, v *Version, raw []byte, form wording.Form) {
	if bytes.Equal(raw, q.raw) {
		t := wording.Plain(raw)
		v.Result = wording.Compare(t, t)
		return
	}
	if len(q.texts) == 0 {
		return
	}
	endorsed, err := q.read(ctx, v.Name, raw, form)
	if err != nil {
		v.Problem = err.Error()
		return
	}
	var results []*wording.Result
	for _, x := range q.texts {
		for _, y := range endorsed {
			results = append(results, wording.Compare(x, y))
		}
	}
	v.Result = results[wording.Nearest(results)]
}

// AddFile compares with a file, whose name is for people.
func (q *Comparison) AddFile(ctx context.Context, name, path string, raw []byte) {
	q.add(ctx, &Version{Name: "the text in " + name, File: path, Hash: entry.Sum(raw)}, raw, wording.FormOf(raw))
}

// add compares with a version whose bytes are at hand.
func (q *Comparison) add(ctx context.Context, v *Version, raw []byte, form wording.Form) {
	q.compare(ctx, v, raw, form)
	q.Versions = append(q.Versions, v)
}

// AddRecord compares with what a record names, which was replayed and holds: with all of its statements, or the one asked for. The bytes
// are held to the record's fingerprints.
func (q *Comparison) AddRecord(ctx context.Context, name string, fetch verify.Fetch, report *verify.Report, statement *entry.Hash) error {
	list := report.State.Statements()
	if statement != nil {
		st, ok := report.State.Statement(*statement)
		if !ok {
			return Failf(verify.CodeNotFound, "the record has no statement with the fingerprint %s", *statement)
		}
		list = []roll.Statement{st}
	}
	if len(list) == 0 {
		return Failf(verify.CodeNotFound, "the record has no statement yet")
	}
	q.list(report, list)
	return q.readAll(ctx, name, fetch)
}

// list takes in the texts that statements of a record name, unread.
func (q *Comparison) list(report *verify.Report, list []roll.Statement) {
	q.Report = report
	state := report.State
	for _, st := range list {
		standing := state.Standing(st.Statement)
		q.Versions = append(q.Versions, &Version{
			Name: fmt.Sprintf("the statement “%s” (%s)", st.Title, Language(st.Language)), Statement: &st, Hash: st.Statement, Language: st.Language, MediaType: st.MediaType, Endorsers: standing,
		})
		for _, r := range st.Renditions {
			v := &Version{
				Name: fmt.Sprintf("the %s rendition (%s) of “%s”", Language(r.Language), r.MediaType, st.Title), Statement: &st, Hash: r.Hash, Language: r.Language, MediaType: r.MediaType, Rendition: true,
			}
			for _, e := range standing {
				if names(e, r.Hash) {
					v.Endorsers = append(v.Endorsers, e)
				}
			}
			q.Versions = append(q.Versions, v)
		}
	}
	// Of versions that are as near, one is told that somebody stands behind, that nothing has replaced, and that most stand behind.
	slices.SortStableFunc(q.Versions, func(x, y *Version) int {
		rank := func(v *Version) int {
			switch {
			case len(v.Endorsers) == 0:
				return 2
			case len(v.Statement.Superseded) > 0:
				return 1
			}
			return 0
		}
		if c := rank(x) - rank(y); c != 0 {
			return c
		}
		return len(y.Endorsers) - len(x.Endorsers)
	})
}

// readAll reads the texts of a record, whose name is for people, and compares with them.
func (q *Comparison) readAll(ctx context.Context, name string, fetch verify.Fetch) error {
	for _, v := range q.Versions {
		if v.Hash == q.Hash {
			q.compare(ctx, v, q.raw, "")
			continue
		}
		raw, err := fetch(ctx, verify.BlobPath(v.Hash))
		var contradiction *verify.ContradictionError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &contradiction):
			return err
		case errors.Is(err, fs.ErrNotExist):
			v.Problem = name + " does not have its text"
		case err != nil:
			v.Problem = fmt.Sprintf("its text could not be read: %v", err)
		case entry.Sum(raw) != v.Hash:
			v.Problem = name + " sends another text in its place"
		default:
			q.compare(ctx, v, raw, formOf(v.MediaType, raw))
		}
	}
	return ctx.Err()
}

// formOf is what a rendition is, by its media type.
func formOf(mediaType string, raw []byte) wording.Form {
	switch {
	case mediaType == "text/html", mediaType == "application/xhtml+xml":
		return wording.HTML
	case mediaType == "application/pdf":
		return wording.PDF
	case strings.HasPrefix(mediaType, "text/"):
		return wording.PlainText
	}
	return wording.FormOf(raw)
}

// Nearest returns the nearest version, or nil if there is none that could be read.
func (q *Comparison) Nearest() (*Version, error) {
	var results []*wording.Result
	var read []*Version
	for _, v := range q.Versions {
		if v.Result != nil {
			results, read = append(results, v.Result), append(read, v)
		}
	}
	if i := wording.Nearest(results); i >= 0 && (q.unread == nil || results[i].Verdict == wording.Identical) {
		read[i].Withdrawn = q.whoWithdrew(read[i])
		return read[i], nil
	}
	if q.unread != nil {
		return nil, q.unread
	}
	return nil, Failf(verify.CodeUnchecked, "nothing could be compared: %s", q.Versions[0].Problem)
}

// Left counts the versions that could not be read.
func (q *Comparison) Left() (n int) {
	for _, v := range q.Versions {
		if v.Result == nil {
			n++
		}
	}
	return n
}

// matches says whether the words are those of the version.
func matches(v wording.Verdict) bool {
	return v == wording.Identical || v == wording.SameWords || v == wording.Quote
}

// Code is the exit code.
func (q *Comparison) Code(best *Version, strict bool) int {
	r := best.Result
	switch {
	case r.Verdict == wording.TooLong:
		return verify.CodeUnchecked
	case r.Verdict == wording.Absent && q.Left() > 0:
		return verify.CodeUnchecked
	case r.Verdict == wording.Absent:
		return verify.CodeNotFound
	case !matches(r.Verdict):
		return verify.CodeOtherText
	}
	if best.Statement != nil {
		switch {
		case len(best.Endorsers) == 0 && len(best.Withdrawn) == 0:
			return verify.CodeNotFound
		case len(best.Endorsers) == 0, len(best.Statement.Superseded) > 0:
			return verify.CodeWithdrawn
		}
	}
	if strict && (r.Extracted() || r.Verdict != wording.Identical && q.Left() > 0) {
		return verify.CodeUnchecked
	}
	return verify.CodeOK
}

// whoWithdrew returns who has endorsed a version and taken it back.
func (q *Comparison) whoWithdrew(v *Version) (list []roll.Endorsement) {
	if v.Statement == nil {
		return nil
	}
	for _, m := range q.Report.State.Members() {
		e, ok := q.Report.State.Endorsement(m.Domain, v.Statement.Statement)
		if ok && e.Action == entry.Withdraw && (!v.Rendition || names(e, v.Hash)) {
			list = append(list, e)
		}
	}
	return list
}

// names says whether an endorsement names a rendition.
func names(e roll.Endorsement, rendition entry.Hash) bool {
	return slices.ContainsFunc(e.Renditions, func(ref entry.RenditionRef) bool { return ref.Hash == rendition })
}

// Sentence is the answer in one line.
func (q *Comparison) Sentence(best *Version) string {
	r := best.Result
	if r.Verdict == wording.Absent {
		what := Plural(len(q.Versions)-q.Left(), "text")
		if q.Report == nil {
			return "This is in none of what it was compared with, " + what + "."
		}
		s := fmt.Sprintf("This is in no endorsed version, among %s of %s in %s up to %s.", what, Plural(len(q.Report.State.Statements()), "statement"), q.Report.Origin, Moment(q.Report.State.Admitted()))
		if n := q.Left(); n > 0 {
			s += fmt.Sprintf(" %s could not be read.", Plural(n, "more text"))
		}
		return s
	}
	s := r.Sentence(best.Name)
	if q.named {
		s = "This is the fingerprint of " + best.Name + "."
	}
	if best.Statement == nil {
		return s
	}
	if n := len(best.Endorsers); n > 0 {
		s += fmt.Sprintf(" %s behind %s.", Stand(n), map[bool]string{true: "it", false: "that version"}[matches(r.Verdict)])
	} else if len(best.Withdrawn) > 0 {
		s += " Whoever endorsed that version has withdrawn."
	} else {
		s += " Nobody stands behind that version."
	}
	if len(best.Statement.Superseded) > 0 {
		s += " A newer statement has replaced it."
	}
	return s
}

// Stand says how many stand behind something.
func Stand(n int) string {
	switch n {
	case 0:
		return "nobody stands"
	case 1:
		return "1 organization stands"
	}
	return Plural(n, "organization") + " stand"
}

// Superseding tells of the versions before and after one. Nobody is carried over.
func (q *Comparison) Superseding(v *Version) (lines []string) {
	if v.Statement == nil {
		return nil
	}
	tell := func(h entry.Hash, format string) {
		if st, ok := q.Report.State.Statement(h); ok {
			lines = append(lines, fmt.Sprintf(format, st.Title, h, Stand(st.Standing)))
		}
	}
	for _, h := range v.Statement.Superseded {
		tell(h, "It was replaced by “%s”, %s, and %s behind that one; whoever endorsed this one has not endorsed that one by it.")
	}
	if v.Statement.Supersedes != nil {
		tell(*v.Statement.Supersedes, "It replaces “%s”, %s, and %s behind the old one; whoever endorsed the old one has not endorsed this one by it.")
	}
	return lines
}

// NotTold says what a comparison does not.
func (q *Comparison) NotTold(best *Version) []string {
	lines := []string{"Whether what the text says is true."}
	if q.named {
		lines = append(lines, "Whether a text that somebody shows you has this fingerprint: bring the text to see that.")
	}
	if best.Result.Extracted() {
		lines = append(lines, "Whether a reader sees what was compared: pictures, style sheets and the order of a page were not.")
	}
	if best.Statement != nil {
		lines = append(lines, "Whether anybody has withdrawn since this copy of the record was made.")
	}
	return lines
}

// Steps are the sentences about what was done to read the texts.
func Steps(r *wording.Result) (lines []string) {
	for _, s := range r.Steps {
		lines = append(lines, capital(s.Sentence)+".")
	}
	for _, s := range r.OfSteps {
		lines = append(lines, "In what it was compared with: "+s.Sentence+".")
	}
	return lines
}

// Line tells how a version compares.
func (q *Comparison) Line(v *Version) string {
	s := capital(v.Name) + ", " + v.Hash.String() + ": "
	if v.Result == nil {
		return s + "could not be compared, because " + v.Problem
	}
	s += verdictWords[v.Result.Verdict]
	if v.Statement != nil {
		s += "; " + Stand(len(v.Endorsers)) + " behind it"
	}
	return s
}

// verdictWords are verdicts in a few words.
var verdictWords = map[wording.Verdict]string{
	wording.Identical: "the same, byte for byte", wording.SameWords: "the same, word for word", wording.Quote: "holds it as a passage", wording.Punctuation: "punctuation or capitals differ",
	wording.LookAlike: "characters that look alike or cannot be seen", wording.Moved: "the same paragraphs in another order", wording.Words: "words differ",
	wording.TooLong: "too long to be compared word for word", wording.Absent: "not this one",
}

// A placeView is a place in JSON.
type placeView struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

type partView struct {
	From    placeView `json:"from"`
	To      placeView `json:"to"`
	Before  string    `json:"before"`
	Passage string    `json:"passage"`
	After   string    `json:"after"`
	Times   int       `json:"times"`
}

type characterView struct {
	Code    string    `json:"code"`
	Name    string    `json:"name"`
	Instead string    `json:"instead,omitempty"`
	Missing bool      `json:"missing"`
	Word    string    `json:"word"`
	At      placeView `json:"at"`
}

type differenceView struct {
	Class      wording.Verdict `json:"class"`
	Deleted    string          `json:"deleted"`
	Inserted   string          `json:"inserted"`
	At         placeView       `json:"at"`
	Of         placeView       `json:"of"`
	Before     string          `json:"before"`
	After      string          `json:"after"`
	OfBefore   string          `json:"of_before"`
	OfAfter    string          `json:"of_after"`
	Characters []characterView `json:"characters"`
}

type stepView struct {
	Name     string `json:"name"`
	Count    int    `json:"count"`
	Sentence string `json:"sentence"`
	Of       bool   `json:"of"`
}

type endorserView struct {
	Domain string `json:"domain"`
	Name   string `json:"name"`
	Mark
}

type versionView struct {
	Hash       entry.Hash      `json:"hash"`
	File       string          `json:"file,omitempty"`
	Statement  *entry.Hash     `json:"statement,omitempty"`
	Title      string          `json:"title,omitempty"`
	Language   string          `json:"language,omitempty"`
	MediaType  string          `json:"media_type,omitempty"`
	Rendition  bool            `json:"rendition"`
	Nearest    bool            `json:"nearest"`
	Verdict    wording.Verdict `json:"verdict,omitempty"`
	Matched    int             `json:"matched"`
	Words      int             `json:"words"`
	Problem    string          `json:"problem,omitempty"`
	Endorsers  []endorserView  `json:"endorsers"`
	Withdrawn  []endorserView  `json:"withdrawn"`
	Superseded []entry.Hash    `json:"superseded_by"`
}

// A ComparisonView is a comparison in JSON.
type ComparisonView struct {
	Schema      string                  `json:"schema"`
	Sentence    string                  `json:"sentence"`
	Code        int                     `json:"code"`
	Origin      string                  `json:"origin,omitempty"`
	Size        *uint64                 `json:"size,omitempty"`
	Text        entry.Hash              `json:"text"`
	Form        wording.Form            `json:"form"`
	Words       int                     `json:"words"`
	Verdict     wording.Verdict         `json:"verdict"`
	Extracted   bool                    `json:"extracted"`
	Part        *partView               `json:"part,omitempty"`
	Missing     [2]int                  `json:"missing"`
	Extra       [2]int                  `json:"extra"`
	Counts      map[wording.Verdict]int `json:"counts"`
	Coarse      bool                    `json:"coarse"`
	Differences []differenceView        `json:"differences"`
	Unlisted    int                     `json:"unlisted_differences"`
	Steps       []stepView              `json:"steps"`
	Versions    []versionView           `json:"versions"`
	NotTold     []string                `json:"not_told"`
}

// View is the comparison in JSON.
func (q *Comparison) View(best *Version, code int) ComparisonView {
	r := best.Result
	v := ComparisonView{
		Schema: "undersigned/compare/v1", Sentence: q.Sentence(best), Code: code, Text: q.Hash, Form: q.Form, Words: r.Words, Verdict: r.Verdict, Extracted: r.Extracted(),
		Missing: [2]int{r.MissingBefore, r.MissingAfter}, Extra: [2]int{r.ExtraBefore, r.ExtraAfter}, Counts: r.Counts, Coarse: r.Coarse,
		Differences: []differenceView{}, Unlisted: r.Unlisted, Steps: []stepView{}, NotTold: q.NotTold(best),
	}
	if q.Report != nil {
		v.Origin, v.Size = q.Report.Origin, &q.Report.Size
	}
	if p := r.Part; p != nil {
		v.Part = &partView{placeView(p.From), placeView(p.To), p.Before, p.Passage, p.After, p.Times}
	}
	for _, h := range r.Hunks {
		d := differenceView{h.Class, h.Deleted, h.Inserted, placeView(h.At), placeView(h.Of), h.Before, h.After, h.OfBefore, h.OfAfter, []characterView{}}
		for _, ch := range h.Characters {
			d.Characters = append(d.Characters, characterView{ch.Code, ch.Name, ch.Instead, ch.Missing, ch.Word, placeView(ch.At)})
		}
		v.Differences = append(v.Differences, d)
	}
	for of, list := range [][]wording.Step{r.Steps, r.OfSteps} {
		for _, s := range list {
			v.Steps = append(v.Steps, stepView{s.Name, s.Count, s.Sentence, of == 1})
		}
	}
	for _, x := range q.Versions {
		v.Versions = append(v.Versions, q.versionView(x, x == best))
	}
	return v
}

func (q *Comparison) versionView(x *Version, nearest bool) versionView {
	v := versionView{
		Hash: x.Hash, File: x.File, Language: x.Language, MediaType: x.MediaType, Rendition: x.Rendition, Nearest: nearest, Problem: x.Problem,
		Endorsers: q.endorsers(x.Endorsers), Withdrawn: q.endorsers(x.Withdrawn), Superseded: []entry.Hash{},
	}
	if x.Result != nil {
		v.Verdict, v.Matched, v.Words = x.Result.Verdict, x.Result.Matched, x.Result.Of
	}
	if x.Statement != nil {
		v.Statement, v.Title, v.Superseded = &x.Statement.Statement, x.Statement.Title, append(v.Superseded, x.Statement.Superseded...)
	}
	return v
}

func (q *Comparison) endorsers(list []roll.Endorsement) []endorserView {
	views := []endorserView{}
	for _, e := range list {
		views = append(views, endorserView{e.Domain, q.Report.State.NameAt(e.Domain, e.Index), MarkOf(e.Mark)})
	}
	return views
}
