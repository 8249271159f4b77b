package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
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
	form := wording.Form(c.As)
	if c.As == "auto" {
		form = ""
	}
	q := check.NewComparison(ctx, nameOf(c.Text), raw, form, readPDF)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if c.Source == "" {
		if err := c.files(ctx, a, q); err != nil {
			return err
		}
	} else if err := c.record(ctx, a, q); err != nil {
		return err
	}
	best, err := q.Nearest()
	if err != nil {
		return err
	}
	code := q.Code(best, c.Strict)
	if c.JSON {
		return errors.Join(a.json(q.View(best, code)), answered(code))
	}
	a.printComparison(q, best, c.All)
	return answered(code)
}

// files compares with files.
func (c *compareCmd) files(ctx context.Context, a *app, q *check.Comparison) error {
	for _, path := range c.With {
		raw, err := a.read(path, maxText)
		if err != nil {
			return unreadable(err)
		}
		q.AddFile(ctx, nameOf(path), path, raw)
	}
	return ctx.Err()
}

// record compares with what a record names.
func (c *compareCmd) record(ctx context.Context, a *app, q *check.Comparison) error {
	rec, r, closeRecord, err := a.sound(ctx, c.Policy, c.Source)
	if err != nil {
		return err
	}
	defer closeRecord()
	var statement *entry.Hash
	if c.Statement != "" {
		h, err := a.statementHash(c.Statement)
		if err != nil {
			return err
		}
		statement = &h
	}
	return q.AddRecord(ctx, rec.name, rec.fetch, r, statement)
}

// readPDF reads a PDF in the order of the file, which keeps the hyphens at the ends of lines; and in that of the page.
func readPDF(ctx context.Context, raw []byte) (texts []*wording.Text, err error) {
	for _, order := range [][]string{{"-raw"}, nil} {
		printed, err := pdfText(ctx, raw, order...)
		if err != nil {
			return nil, err
		}
		texts = append(texts, wording.FromPDF(raw, printed))
	}
	return texts, nil
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
		return nil, fmt.Errorf("it has more than the %s of text that a statement can have", check.Bytes(wording.MaxText))
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

// printComparison prints the answer for people.
func (a *app) printComparison(q *check.Comparison, best *check.Version, all bool) {
	r := best.Result
	a.printf("%s\n", a.paint(bold, q.Sentence(best)))
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
	a.printHunks(r, all)
	a.printList("How it was read", check.Steps(r))
	if best.Statement != nil && r.Verdict != wording.Absent {
		a.printEndorsers(q, best)
	}
	if len(q.Versions) > 1 || q.Left() > 0 {
		a.printf("\n%s\n", a.paint(bold, "What it was compared with"))
		for _, v := range q.Versions {
			a.printf("  - %s\n", q.Line(v))
		}
	}
	a.printList("What this does not tell you", q.NotTold(best))
}

// printHunks prints the differences so that they can be read aloud.
func (a *app) printHunks(r *wording.Result, all bool) {
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
func (a *app) printEndorsers(q *check.Comparison, v *check.Version) {
	lines := q.Superseding(v)
	for i, e := range v.Endorsers {
		if i == maxEndorsers {
			lines = append(lines, fmt.Sprintf("And %d more; undersigned roll lists all.", len(v.Endorsers)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("%s (%s), recorded on %s", q.Report.State.NameAt(e.Domain, e.Index), e.Domain, day(e.Admitted)))
	}
	for i, e := range v.Withdrawn {
		if i == maxEndorsers {
			lines = append(lines, fmt.Sprintf("And %d more that have withdrawn.", len(v.Withdrawn)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("%s (%s) withdrew on %s", q.Report.State.NameAt(e.Domain, e.Index), e.Domain, day(e.Admitted)))
	}
	if len(lines) == 0 {
		lines = []string{"Nobody."}
	}
	a.printList("Who stands behind "+v.Name, lines)
}
