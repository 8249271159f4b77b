package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/wording"
)

const (
	pdfTimeout   = time.Minute
	maxEndorsers = 20 // that are listed for people
	maxDifferent = 50 // hunks that are listed for people without --all
	maxSpacing   = 3  // of those, hunks of spacing
)

type compareCmd struct {
	Text      string   `arg:"" help:"The text, a part of it, or a page with it: plain text, HTML, or PDF if pdftotext is installed; - for standard input."`
	Source    string   `arg:"" optional:"" name:"src" help:"The record: an address, a directory with a ledger, or an archive."`
	With      []string `sep:"none" placeholder:"FILE" help:"Compare with this file, without a record. May be repeated."`
	Policy    string   `setting:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count. A record needs one."`
	Statement string   `placeholder:"FILE" help:"Only this statement: its text, or its fingerprint sha256:…. Without it: all of the record."`
	As        string   `default:"auto" enum:"auto,text,html,pdf" help:"What the text is: ${enum}. auto looks at its content."`
	All       bool     `help:"List every difference in spacing too."`
	Strict    bool     `help:"Exit with 3 if anything could not be checked, or if the words had to be read out of HTML or a PDF."`
	jsonFlag
}

// Help shows how the command is used.
func (compareCmd) Help() string {
	return `It holds a text against every statement of the record and every rendition of one, and tells how it relates to the nearest: the same byte for byte; the same word for word; look-alike letters and invisible characters, by name and place; punctuation; words; or a passage, with its sentence. It says who stands behind that version, and nobody is carried over to a newer one. The whole record is replayed first.

Exit codes: 0 it is the text of an endorsed version, or a passage of it, word for word; 10 it differs; 11 it is in no endorsed version; 12 that version was withdrawn by all or replaced; 3 could not check.

Example:

	undersigned compare --policy policy.txt statement.pdf https://ledger.example/
	undersigned compare --policy policy.txt - archive.zip
	undersigned compare --with statement.txt copy.html
`
}

// A comparedText is a version that the one at hand is compared with.
type comparedText struct {
	name      string // for people
	file      string // if it is a file
	st        *roll.Statement
	hash      entry.Hash
	language  string
	mediaType string
	rendition bool
	result    *wording.Result // nil: it could not be read
	problem   string          // why
	endorsers []roll.Endorsement
	withdrawn []roll.Endorsement // if it is the nearest: who has endorsed it and taken that back
}

// Run compares a text.
func (c *compareCmd) Run(ctx context.Context, a *app) error {
	switch {
	case c.Source == "" && len(c.With) == 0:
		return usagef("name a record to compare with (an address, a directory or an archive), or a file with --with")
	case c.Source != "" && len(c.With) > 0:
		return usagef("a record and --with cannot be used together")
	case c.Source != "" && c.Policy == "":
		return usagef("missing flags: --policy=FILE; a record is judged by a policy, which says which log and witnesses count")
	case len(c.With) > 0 && c.Statement != "":
		return usagef("--statement picks one of a record, and --with needs none")
	}
	raw, err := a.read(c.Text, maxText)
	if err != nil {
		return unreadable(err)
	}
	q := &comparing{a: a, raw: raw, hash: entry.Sum(raw), form: wording.Form(c.As)}
	if c.As == "auto" {
		q.form = wording.FormOf(raw)
	}
	if q.texts, err = readText(ctx, nameOf(c.Text), raw, q.form); err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	q.unread = err // an identical file is found without its words
	if c.Source == "" {
		if err := q.files(ctx, c.With); err != nil {
			return err
		}
	} else {
		rec, r, closeRecord, err := a.sound(ctx, c.Policy, c.Source)
		if err != nil {
			return err
		}
		defer closeRecord()
		q.report = r
		if err := q.record(ctx, rec, c.Statement); err != nil {
			return err
		}
	}
	best, err := q.best()
	if err != nil {
		return err
	}
	code := q.code(best, c.Strict)
	if c.JSON {
		return errors.Join(a.json(q.view(best, code)), answered(code))
	}
	q.print(best, c.All)
	return answered(code)
}

// A comparing is a text and what it is compared with.
type comparing struct {
	a        *app
	raw      []byte
	hash     entry.Hash
	form     wording.Form
	texts    []*wording.Text // as its words can be read; none: they could not
	unread   error           // why
	report   *verify.Report
	versions []*comparedText
}

// readText reads the words of a file. What it finds in a PDF has been read in two ways, of which the nearer counts. An error says what to do; it is "could not check".
func readText(ctx context.Context, name string, raw []byte, form wording.Form) ([]*wording.Text, error) {
	if form != wording.PDF && len(raw) > wording.MaxText {
		return nil, failf(codeUnchecked, "%s is larger than the %d bytes that a statement can have", name, wording.MaxText)
	}
	if bytes.HasPrefix(raw, []byte("PK\x03\x04")) || bytes.HasPrefix(raw, []byte("\xD0\xCF\x11\xE0")) {
		return nil, failf(codeUnchecked, "%s is a word processor's file or an archive: save it as plain text, HTML or PDF", name)
	}
	switch form {
	case wording.HTML:
		return []*wording.Text{wording.FromHTML(raw)}, nil
	case wording.PDF:
		var texts []*wording.Text
		// In the order of the file, which keeps the hyphens at the ends of lines; and in that of the page.
		for _, order := range [][]string{{"-raw"}, nil} {
			printed, err := pdfText(ctx, raw, order...)
			if err != nil {
				return nil, failf(codeUnchecked, "the text of %s could not be read: %w", name, err)
			}
			texts = append(texts, wording.FromPDF(raw, printed))
		}
		return texts, nil
	}
	return []*wording.Text{wording.Plain(raw)}, nil
}

// pdfText returns what pdftotext prints of a PDF file.
func pdfText(ctx context.Context, raw []byte, flags ...string) ([]byte, error) {
	path, err := exec.LookPath("pdftotext")
	if err != nil {
		return nil, errors.New("pdftotext is not installed (Debian: poppler-utils); install it, or save the text as plain text")
	}
	ctx, cancel := context.WithTimeout(ctx, pdfTimeout)
	defer cancel()
	out := &limited{left: wording.MaxText, stop: cancel}
	run := exec.CommandContext(ctx, path, append(flags, "-q", "-enc", "UTF-8", "-eol", "unix", "-", "-")...)
	run.Stdin, run.Stdout = bytes.NewReader(raw), out
	run.WaitDelay = time.Second
	switch err := run.Run(); {
	case out.full:
		return nil, fmt.Errorf("it has more than the %d bytes of text that a statement can have", wording.MaxText)
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("pdftotext did not end: %w", ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("pdftotext could not read it (%w)", err)
	}
	return out.Bytes(), nil
}

// limited takes so many bytes, and stops what writes more.
type limited struct {
	bytes.Buffer
	left int
	full bool
	stop func()
}

func (l *limited) Write(b []byte) (int, error) {
	if l.left -= len(b); l.left < 0 {
		l.full = true
		l.stop()
		return 0, errors.New("too much text")
	}
	return l.Buffer.Write(b)
}

// compare fills in the result of a version whose bytes are at hand.
func (q *comparing) compare(ctx context.Context, v *comparedText, raw []byte, form wording.Form) {
	if bytes.Equal(raw, q.raw) {
		t := wording.Plain(raw)
		v.result = wording.Compare(t, t)
		return
	}
	if len(q.texts) == 0 {
		return
	}
	endorsed, err := readText(ctx, v.name, raw, form)
	if err != nil {
		v.problem = err.Error()
		return
	}
	var results []*wording.Result
	for _, x := range q.texts {
		for _, y := range endorsed {
			results = append(results, wording.Compare(x, y))
		}
	}
	v.result = results[wording.Nearest(results)]
}

// files compares with files.
func (q *comparing) files(ctx context.Context, paths []string) error {
	for _, path := range paths {
		raw, err := q.a.read(path, maxText)
		if err != nil {
			return unreadable(err)
		}
		v := &comparedText{name: "the text in " + nameOf(path), file: path, hash: entry.Sum(raw)}
		q.compare(ctx, v, raw, wording.FormOf(raw))
		q.versions = append(q.versions, v)
	}
	return ctx.Err()
}

// record compares with what a record names. The bytes are held to the record's fingerprints.
func (q *comparing) record(ctx context.Context, rec *record, statement string) error {
	state := q.report.State
	list := state.Statements()
	if statement != "" {
		h, err := q.a.statementHash(statement)
		if err != nil {
			return err
		}
		st, ok := state.Statement(h)
		if !ok {
			return failf(verify.CodeNotFound, "the record has no statement with the fingerprint %s", h)
		}
		list = []roll.Statement{st}
	}
	if len(list) == 0 {
		return failf(verify.CodeNotFound, "the record has no statement yet")
	}
	for _, st := range list {
		standing := state.Standing(st.Statement)
		q.versions = append(q.versions, &comparedText{
			name: fmt.Sprintf("the statement “%s” (%s)", st.Title, st.Language), st: &st, hash: st.Statement, language: st.Language, mediaType: st.MediaType, endorsers: standing,
		})
		for _, r := range st.Renditions {
			v := &comparedText{
				name: fmt.Sprintf("the %s rendition (%s) of “%s”", r.Language, r.MediaType, st.Title), st: &st, hash: r.Hash, language: r.Language, mediaType: r.MediaType, rendition: true,
			}
			for _, e := range standing {
				if names(e, r.Hash) {
					v.endorsers = append(v.endorsers, e)
				}
			}
			q.versions = append(q.versions, v)
		}
	}
	// Of versions that are as near, one is told that somebody stands behind, that nothing has replaced, and that most stand behind.
	slices.SortStableFunc(q.versions, func(x, y *comparedText) int {
		rank := func(v *comparedText) int {
			switch {
			case len(v.endorsers) == 0:
				return 2
			case len(v.st.Superseded) > 0:
				return 1
			}
			return 0
		}
		if c := rank(x) - rank(y); c != 0 {
			return c
		}
		return len(y.endorsers) - len(x.endorsers)
	})
	for _, v := range q.versions {
		if v.hash == q.hash {
			q.compare(ctx, v, q.raw, "")
			continue
		}
		raw, err := rec.fetch(ctx, verify.BlobPath(v.hash))
		var contradiction *verify.ContradictionError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &contradiction):
			return err
		case errors.Is(err, fs.ErrNotExist):
			v.problem = rec.name + " does not have its text"
		case err != nil:
			v.problem = fmt.Sprintf("its text could not be read: %v", err)
		case entry.Sum(raw) != v.hash:
			v.problem = rec.name + " sends another text in its place"
		default:
			q.compare(ctx, v, raw, formOf(v.mediaType, raw))
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

// best returns the nearest version, or nil if there is none that could be read.
func (q *comparing) best() (*comparedText, error) {
	var results []*wording.Result
	var read []*comparedText
	for _, v := range q.versions {
		if v.result != nil {
			results, read = append(results, v.result), append(read, v)
		}
	}
	if i := wording.Nearest(results); i >= 0 && (q.unread == nil || results[i].Verdict == wording.Identical) {
		read[i].withdrawn = q.whoWithdrew(read[i])
		return read[i], nil
	}
	if q.unread != nil {
		return nil, q.unread
	}
	return nil, failf(codeUnchecked, "nothing could be compared: %s", q.versions[0].problem)
}

// left counts the versions that could not be read.
func (q *comparing) left() (n int) {
	for _, v := range q.versions {
		if v.result == nil {
			n++
		}
	}
	return n
}

// matches says whether the words are those of the version.
func matches(v wording.Verdict) bool {
	return v == wording.Identical || v == wording.SameWords || v == wording.Quote
}

func (q *comparing) code(best *comparedText, strict bool) int {
	r := best.result
	switch {
	case r.Verdict == wording.TooLong:
		return codeUnchecked
	case r.Verdict == wording.Absent && q.left() > 0:
		return codeUnchecked
	case r.Verdict == wording.Absent:
		return verify.CodeNotFound
	case !matches(r.Verdict):
		return verify.CodeOtherText
	}
	if best.st != nil {
		switch {
		case len(best.endorsers) == 0 && len(best.withdrawn) == 0:
			return verify.CodeNotFound
		case len(best.endorsers) == 0, len(best.st.Superseded) > 0:
			return verify.CodeWithdrawn
		}
	}
	if strict && (r.Extracted() || r.Verdict != wording.Identical && q.left() > 0) {
		return codeUnchecked
	}
	return codeOK
}

// whoWithdrew returns who has endorsed a version and taken it back.
func (q *comparing) whoWithdrew(v *comparedText) (list []roll.Endorsement) {
	if v.st == nil {
		return nil
	}
	for _, m := range q.report.State.Members() {
		e, ok := q.report.State.Endorsement(m.Domain, v.st.Statement)
		if ok && e.Action == entry.Withdraw && (!v.rendition || names(e, v.hash)) {
			list = append(list, e)
		}
	}
	return list
}

// names says whether an endorsement names a rendition.
func names(e roll.Endorsement, rendition entry.Hash) bool {
	return slices.ContainsFunc(e.Renditions, func(ref entry.RenditionRef) bool { return ref.Hash == rendition })
}

// sentence is the answer in one line.
func (q *comparing) sentence(best *comparedText) string {
	r := best.result
	if r.Verdict == wording.Absent {
		what := plural(len(q.versions)-q.left(), "text")
		if q.report == nil {
			return "This is in none of what it was compared with, " + what + "."
		}
		s := fmt.Sprintf("This is in no endorsed version, among %s of %s in %s up to %s.", what, plural(len(q.report.State.Statements()), "statement"), q.report.Origin, moment(q.report.State.Admitted()))
		if n := q.left(); n > 0 {
			s += fmt.Sprintf(" %s could not be read.", plural(n, "more text"))
		}
		return s
	}
	s := r.Sentence(best.name)
	if best.st == nil {
		return s
	}
	if n := len(best.endorsers); n > 0 {
		s += fmt.Sprintf(" %s behind %s.", stand(n), map[bool]string{true: "it", false: "that version"}[matches(r.Verdict)])
	} else if len(best.withdrawn) > 0 {
		s += " Whoever endorsed that version has withdrawn."
	} else {
		s += " Nobody stands behind that version."
	}
	if len(best.st.Superseded) > 0 {
		s += " A newer statement has replaced it."
	}
	return s
}

func stand(n int) string {
	switch n {
	case 0:
		return "nobody stands"
	case 1:
		return "1 organization stands"
	}
	return plural(n, "organization") + " stand"
}

// superseding tells of the versions before and after one. Nobody is carried over.
func (q *comparing) superseding(v *comparedText) (lines []string) {
	if v.st == nil {
		return nil
	}
	tell := func(h entry.Hash, format string) {
		if st, ok := q.report.State.Statement(h); ok {
			lines = append(lines, fmt.Sprintf(format, st.Title, h, stand(st.Standing)))
		}
	}
	for _, h := range v.st.Superseded {
		tell(h, "It was replaced by “%s”, %s, and %s behind that one; whoever endorsed this one has not endorsed that one by it.")
	}
	if v.st.Supersedes != nil {
		tell(*v.st.Supersedes, "It replaces “%s”, %s, and %s behind the old one; whoever endorsed the old one has not endorsed this one by it.")
	}
	return lines
}

// notTold says what a comparison does not.
func (q *comparing) notTold(best *comparedText) []string {
	lines := []string{"Whether what the text says is true."}
	if best.result.Extracted() {
		lines = append(lines, "Whether a reader sees what was compared: pictures, style sheets and the order of a page were not.")
	}
	if best.st != nil {
		lines = append(lines, "Whether anybody has withdrawn since this copy of the record was made.")
	}
	return lines
}

// steps are the sentences about what was done to read the texts.
func steps(r *wording.Result) (lines []string) {
	for _, s := range r.Steps {
		lines = append(lines, strings.ToUpper(s.Sentence[:1])+s.Sentence[1:]+".")
	}
	for _, s := range r.OfSteps {
		lines = append(lines, "In what it was compared with: "+s.Sentence+".")
	}
	return lines
}

// print prints the answer for people.
func (q *comparing) print(best *comparedText, all bool) {
	a, r := q.a, best.result
	a.printf("%s\n", a.paint(bold, q.sentence(best)))
	if p := r.Part; p != nil {
		a.printf("\n%s\n", a.paint(bold, fmt.Sprintf("In its context, from %v to %v", p.From, p.To)))
		for _, part := range []struct{ name, text string }{{"before", p.Before}, {"passage", p.Passage}, {"after", p.After}} {
			if part.text != "" {
				a.printf("  %s: %s\n", part.name, part.text)
			}
		}
		if p.Times > 1 {
			a.printf("  These words are there %d times; this is the first.\n", p.Times)
		}
	}
	q.printHunks(r, all)
	a.printList("How it was read", steps(r))
	if best.st != nil && r.Verdict != wording.Absent {
		q.printEndorsers(best)
	}
	if len(q.versions) > 1 || q.left() > 0 {
		a.printf("\n%s\n", a.paint(bold, "What it was compared with"))
		for _, v := range q.versions {
			a.printf("  - %s\n", q.line(v))
		}
	}
	a.printList("What this does not tell you", q.notTold(best))
}

// line tells how a version compares.
func (q *comparing) line(v *comparedText) string {
	s := strings.ToUpper(v.name[:1]) + v.name[1:] + ", " + v.hash.String() + ": "
	if v.result == nil {
		return s + "could not be compared, because " + v.problem
	}
	s += verdictWords[v.result.Verdict]
	if v.st != nil {
		s += "; " + stand(len(v.endorsers)) + " behind it"
	}
	return s
}

// verdictWords are verdicts in a few words.
var verdictWords = map[wording.Verdict]string{
	wording.Identical: "the same, byte for byte", wording.SameWords: "the same, word for word", wording.Quote: "holds it as a passage", wording.Punctuation: "punctuation or capitals differ",
	wording.LookAlike: "characters that look alike or cannot be seen", wording.Moved: "the same paragraphs in another order", wording.Words: "words differ",
	wording.TooLong: "too long to be compared word for word", wording.Absent: "not this one",
}

// printHunks prints the differences so that they can be read aloud.
func (q *comparing) printHunks(r *wording.Result, all bool) {
	a := q.a
	if len(r.Hunks) == 0 {
		return
	}
	a.printf("\n%s\n", a.paint(bold, "What differs"))
	listed, spacing, left := 0, 0, r.Unlisted
	for _, h := range r.Hunks {
		if !all && (listed == maxDifferent || h.Class == wording.Spacing && spacing == maxSpacing) {
			left++
			continue
		}
		if h.Class == wording.Spacing {
			spacing++
		} else {
			listed++
		}
		a.printf("  %s, at %v (%v of the endorsed text)\n", hunkWords[h.Class], h.At, h.Of)
		if h.Class == wording.Moved {
			a.printf("    moved: %s\n", h.Inserted)
			continue
		}
		context := func(name, text string) {
			if text != "" {
				a.printf("    %s: %s\n", name, text)
			}
		}
		context("after the words", h.Before)
		for _, part := range []struct {
			name, text string
			c          colour
		}{{"deleted", h.Deleted, red}, {"inserted", h.Inserted, green}} {
			if part.text != "" {
				a.printf("    %s: %s\n", part.name, a.paint(part.c, part.text))
			}
		}
		for _, ch := range h.Characters {
			a.printf("    %s\n", character(ch))
		}
	}
	if r.Coarse {
		a.printf("  So much differs that it is shown in larger pieces than need be.\n")
	}
	if left > 0 {
		a.printf("  And %s more.\n", plural(left, "difference"))
	}
}

var hunkWords = map[wording.Verdict]string{
	wording.Spacing: "Spacing", wording.Punctuation: "Punctuation or capitals", wording.LookAlike: "Look-alike or invisible characters", wording.Moved: "A paragraph in another place",
	wording.Words: "Words",
}

func character(ch wording.Character) string {
	s := fmt.Sprintf("%s, %s, in “%s” at %v", ch.Code, ch.Name, ch.Word, ch.At)
	switch {
	case ch.Missing:
		return s + " of the endorsed text, is missing"
	case ch.Instead != "":
		return s + ", in place of " + ch.Instead
	}
	return s
}

// printEndorsers prints who stands behind a version, and what replaced it.
func (q *comparing) printEndorsers(v *comparedText) {
	lines := q.superseding(v)
	for i, e := range v.endorsers {
		if i == maxEndorsers {
			lines = append(lines, fmt.Sprintf("And %d more; undersigned roll lists all.", len(v.endorsers)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("%s (%s), recorded on %s", q.report.State.NameAt(e.Domain, e.Index), e.Domain, day(e.Admitted)))
	}
	for i, e := range v.withdrawn {
		if i == maxEndorsers {
			lines = append(lines, fmt.Sprintf("And %d more that have withdrawn.", len(v.withdrawn)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("%s (%s) withdrew on %s", q.report.State.NameAt(e.Domain, e.Index), e.Domain, day(e.Admitted)))
	}
	if len(lines) == 0 {
		lines = []string{"Nobody."}
	}
	q.a.printList("Who stands behind "+v.name, lines)
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
	mark
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

// comparisonView is a comparison in JSON.
type comparisonView struct {
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

func (q *comparing) view(best *comparedText, code int) comparisonView {
	r := best.result
	v := comparisonView{
		Schema: "undersigned/compare/v1", Sentence: q.sentence(best), Code: code, Text: q.hash, Form: q.form, Words: r.Words, Verdict: r.Verdict, Extracted: r.Extracted(),
		Missing: [2]int{r.MissingBefore, r.MissingAfter}, Extra: [2]int{r.ExtraBefore, r.ExtraAfter}, Counts: r.Counts, Coarse: r.Coarse,
		Differences: []differenceView{}, Unlisted: r.Unlisted, Steps: []stepView{}, NotTold: q.notTold(best),
	}
	if q.report != nil {
		v.Origin, v.Size = q.report.Origin, &q.report.Size
	}
	if p := r.Part; p != nil {
		v.Part = &partView{placeView(p.From), placeView(p.To), p.Before, p.Passage, p.After, p.Times}
	}
	for _, h := range r.Hunks {
		d := differenceView{h.Class, h.Deleted, h.Inserted, placeView(h.At), placeView(h.Of), h.Before, h.After, []characterView{}}
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
	for _, x := range q.versions {
		v.Versions = append(v.Versions, q.versionView(x, x == best))
	}
	return v
}

func (q *comparing) versionView(x *comparedText, nearest bool) versionView {
	v := versionView{
		Hash: x.hash, File: x.file, Language: x.language, MediaType: x.mediaType, Rendition: x.rendition, Nearest: nearest, Problem: x.problem,
		Endorsers: q.endorsers(x.endorsers), Withdrawn: q.endorsers(x.withdrawn), Superseded: []entry.Hash{},
	}
	if x.result != nil {
		v.Verdict, v.Matched, v.Words = x.result.Verdict, x.result.Matched, x.result.Of
	}
	if x.st != nil {
		v.Statement, v.Title, v.Superseded = &x.st.Statement, x.st.Title, append(v.Superseded, x.st.Superseded...)
	}
	return v
}

func (q *comparing) endorsers(list []roll.Endorsement) []endorserView {
	views := []endorserView{}
	for _, e := range list {
		views = append(views, endorserView{e.Domain, q.report.State.NameAt(e.Domain, e.Index), markOf(e.Mark)})
	}
	return views
}
