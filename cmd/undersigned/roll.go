package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/tccm/undersigned/ledger/rollcall"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

type rollCmd struct {
	Source    string `arg:"" name:"src" help:"The record: an address, a directory with a ledger, or an archive."`
	Policy    string `setting:"" required:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count."`
	AsOf      string `placeholder:"MOMENT" help:"The list as it was at the end of a day in UTC, such as 2024-06-11, or at a time, such as 2024-06-11T12:00:00Z. Without it: as it is."`
	From      string `placeholder:"MOMENT" help:"Tell instead what has changed since this moment: who came, who withdrew, whose name or keys changed, who endorsed again."`
	Statement string `placeholder:"FILE" help:"The text, or its fingerprint sha256:…; not needed if the record has one statement."`
	Format    string `default:"text" enum:"text,markdown,html,csv,json" help:"How to print it: ${enum}."`
	Language  string `placeholder:"TAG" help:"The language whose alphabetical order it is in, such as de; without it, the statement's."`
	Link      string `placeholder:"URL" help:"Where readers of markdown and html can look at the record."`
	jsonFlag
}

// Help shows how the command is used.
func (rollCmd) Help() string {
	return `The whole record is replayed first. Who stands behind the statement is computed from its entries, nobody keeps a list.

Which entries were there at a moment the ledger's clock says. Standard error, and JSON, tell what of that the witnesses bear out: which published copies of the record they saw before and after it, and what came in between. The list alone is on standard output, the same bytes for the same record and moment. If this copy of the record ends before the moment, the exit code is 3: what came later it cannot tell.

Example:

	undersigned roll --policy policy.txt --as-of 2024-06-11 archive.zip
	undersigned roll --policy policy.txt --from 2024-06-11 --as-of 2024-07-18 archive.zip
	undersigned roll --policy policy.txt --as-of 2024-06-11 --format html --link https://ledger.example/ archive.zip > signatories.html
`
}

// moment reads a flag; without one it is now.
func (rollCmd) moment(flag, text string, now time.Time) (verify.Moment, error) {
	if text == "" {
		return verify.Moment{Time: now.UTC(), Day: true}, nil
	}
	m, err := verify.ParseMoment(text)
	if err != nil {
		return m, usagef("%s %q is neither a day, such as 2024-06-11, nor a time in UTC, such as 2024-06-11T12:00:00Z", flag, text)
	}
	if m.Begin().After(now) {
		return m, usagef("%s %s has not come yet: nobody can know who will stand behind the statement then", flag, text)
	}
	return m, nil
}

// check looks at how the flags go together.
func (c *rollCmd) check() error {
	if c.JSON && c.Format != "text" && c.Format != "json" {
		return usagef("--json and --format %s are two forms; ask for one", c.Format)
	}
	c.JSON = c.JSON || c.Format == "json"
	if c.From != "" && !c.JSON && c.Format != "text" {
		return usagef("what has changed is told as text or json, not as %s", c.Format)
	}
	if c.Link != "" {
		if err := rollcall.CheckLink(c.Link); err != nil {
			return usagef("--link: %w", err)
		}
		if c.JSON || c.Format != "markdown" && c.Format != "html" {
			return usagef("--link is for markdown and html")
		}
	}
	if c.Language != "" {
		if _, err := rollcall.ParseLanguage(c.Language); err != nil {
			return usagef("--language %q: %w", c.Language, err)
		}
	}
	return nil
}

// Run prints the list of signatories, or what changed in it.
func (c *rollCmd) Run(ctx context.Context, a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	to, err := c.moment("--as-of", c.AsOf, a.now())
	if err != nil {
		return err
	}
	from, err := c.moment("--from", c.From, a.now())
	if err != nil {
		return err
	}
	if c.From != "" && from.Time.After(to.Time) {
		return usagef("--from %s is later than the moment that it is compared with", c.From)
	}
	p, err := a.policy(c.Policy)
	if err != nil {
		return err
	}
	rec, r, closeRecord, err := a.sound(ctx, c.Policy, c.Source)
	if err != nil {
		return err
	}
	defer closeRecord()
	h, err := a.statementIn(r.State, c.Statement)
	if err != nil {
		return err
	}
	st, ok := r.State.Statement(h)
	if !ok {
		return failf(verify.CodeNotFound, "the record has no statement with the fingerprint %s", h)
	}
	in := language.Make(st.Language)
	if c.Language != "" {
		in = language.Make(c.Language)
	}
	sizes, err := rec.checkpoints(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		a.sayf("%s does not tell which checkpoints it keeps: only its newest one says what the witnesses saw.\n", c.Source)
	} else if err != nil {
		return &failure{codeUnchecked, err}
	}
	asOf := func(m verify.Moment) (*verify.AsOf, error) {
		return r.AsOf(ctx, p, rec.fetch, verify.AsOfOptions{At: m, Statement: h, Sizes: sizes})
	}
	later, err := asOf(to)
	if err != nil {
		return again(err)
	}
	if _, ok := later.State.Statement(h); !ok {
		return failf(verify.CodeNotFound, "the statement %s was not yet published on %s", h, to)
	}
	code := codeOK
	if c.AsOf != "" && later.After == nil && short(r, to.Time, a.now()) {
		code = codeUnchecked // what was recorded between the copy and the moment is not in it
	}
	if c.From != "" {
		earlier, err := asOf(from)
		if err != nil {
			return again(err)
		}
		if earlier.After == nil && short(r, from.Time, a.now()) {
			code = codeUnchecked
		}
		return errors.Join(c.changes(a, r, earlier, later, h, in), answered(code))
	}
	if c.JSON {
		return errors.Join(c.json(a, r, later, h, in), answered(code))
	}
	a.sayAsOf(r, later)
	l := listOf(r, later, h, in)
	l.Link = c.Link
	return errors.Join(a.write("", l.Print(rollcall.Format(c.Format))), answered(code))
}

// short reports whether nothing shows that a record reaches a moment, or, if that is still to come, the day which it ends.
func short(r *verify.Report, until, now time.Time) bool {
	if !until.Before(now) {
		until = until.Truncate(24 * time.Hour)
	}
	if r.Seen == nil {
		return !r.State.Admitted().After(until)
	}
	return r.Seen.Before(until)
}

// again is the error of a source that was audited and then could not be read as before.
func again(err error) error {
	var contradiction *verify.ContradictionError
	if errors.As(err, &contradiction) {
		return failf(verify.CodeContradiction, "the record differs from what was audited a moment ago: %w", err)
	}
	return failf(codeUnchecked, "cannot read the record again: %w", err)
}

// signatories returns who stands behind a statement in a state, in the order of a language.
func signatories(s *roll.State, h entry.Hash, in language.Tag) []roll.Signatory {
	list := slices.DeleteFunc(s.Signatories(h), func(s roll.Signatory) bool { return !s.Stands() })
	rollcall.Sort(list, in, func(s roll.Signatory) (string, string) { return s.Name, s.Domain })
	return list
}

// listOf is the list of a statement at a moment. Which keys are said to be stolen is as known today.
func listOf(r *verify.Report, a *verify.AsOf, h entry.Hash, in language.Tag) *rollcall.List {
	l := &rollcall.List{Origin: r.Origin, Statement: h, AsOf: a.At, Size: a.State.Size()}
	for _, s := range signatories(a.State, h, in) {
		s.Disputed = r.State.Disputed(s.Index, s.Keys...)
		l.Lines = append(l.Lines, rollcall.LineOf(s))
	}
	return l
}

// sayAsOf tells what a list is of, and what of it the witnesses bear out.
func (a *app) sayAsOf(r *verify.Report, m *verify.AsOf) {
	a.sayf("As of %s, by the ledger's clock: %s of %d.\n", m.At.Time.UTC().Format(entry.TimeFormat), plural(m.State.Size(), "entry"), r.Size)
	if r.Seen != nil && r.Seen.Before(m.At.Time) && m.After == nil {
		a.sayf("This copy of the record is of %s; what was recorded after that is not in the list.\n", moment(*r.Seen))
	}
	who := func(b *verify.Bound) string {
		if m.ByLog {
			return "by the ledger's own word, since the policy asks for no witness"
		}
		return "by the word of " + strings.Join(b.Witnesses, ", ")
	}
	if b := m.Before; b != nil {
		a.sayf("A copy with the first %s was there by %s, %s.\n", plural(b.Size, "entry"), moment(b.Time), who(b))
	} else if m.ByLog {
		a.sayf("No published copy of the record was there by then, %s.\n", who(nil))
	} else {
		a.sayf("No published copy of the record is known to have been there by then.\n")
	}
	if b := m.After; b != nil {
		a.sayf("The record had no more than %s on %s, %s.\n", plural(b.Size, "entry"), moment(b.Time), who(b))
	}
	if m.From == m.To && m.After != nil {
		a.sayf("Nothing lies between.\n")
		return
	}
	if m.From == m.To {
		a.sayf("Nothing in this copy lies after that; what came later, it cannot tell.\n")
		return
	}
	if between := plural(m.To-m.From, "entry"); len(m.Between) == 0 && m.To-m.From == 1 {
		a.sayf("In between came %s, which does not concern this list.\n", between)
	} else if len(m.Between) == 0 {
		a.sayf("In between came %s, none of which concerns this list.\n", between)
	} else {
		a.sayf("In between came %s. On which side of the moment is the ledger's word alone for those that concern this list:\n", between)
	}
	for _, b := range m.Between {
		counted := "not counted"
		if b.Counted {
			counted = "counted"
		}
		a.sayf("  entry %d, %s of %s, recorded %s: %s\n", b.Index, actionNoun(b.Action), b.Domain, moment(b.Admitted), counted)
	}
	if m.Unlisted > 0 {
		a.sayf("  and %d more\n", m.Unlisted)
	}
}

func actionNoun(action entry.Action) string {
	return map[entry.Action]string{entry.Endorse: "endorsement", entry.Withdraw: "withdrawal", entry.Register: "registration", entry.Update: "update"}[action]
}

// asOfJSON is a moment in JSON, and what of it the witnesses bear out.
type asOfJSON struct {
	AsOf      string        `json:"as_of"`
	Size      uint64        `json:"size"` // entries of the record up to then
	ByLog     bool          `json:"by_log"`
	Before    *beforeJSON   `json:"before,omitempty"`
	After     *afterJSON    `json:"after,omitempty"`
	FromIndex uint64        `json:"between_from"`
	ToIndex   uint64        `json:"between_to"`
	Between   []betweenJSON `json:"between"`
	Unlisted  uint64        `json:"unlisted_between"`
}

type beforeJSON struct {
	Size      uint64    `json:"size"`
	NoLater   time.Time `json:"no_later"`
	Witnesses []string  `json:"witnesses"`
}

type afterJSON struct {
	Size      uint64    `json:"size"`
	NoEarlier time.Time `json:"no_earlier"`
	Witnesses []string  `json:"witnesses"`
}

type betweenJSON struct {
	Index    uint64       `json:"index"`
	Admitted time.Time    `json:"admitted"`
	Domain   string       `json:"domain"`
	Action   entry.Action `json:"action"`
	Counted  bool         `json:"counted"`
}

func viewAsOf(m *verify.AsOf) asOfJSON {
	v := asOfJSON{
		AsOf: entry.FormatTime(m.At.Time), Size: m.State.Size(), ByLog: m.ByLog, FromIndex: m.From, ToIndex: m.To,
		Between: []betweenJSON{}, Unlisted: m.Unlisted,
	}
	if b := m.Before; b != nil {
		v.Before = &beforeJSON{b.Size, b.Time.UTC(), append([]string{}, b.Witnesses...)}
	}
	if b := m.After; b != nil {
		v.After = &afterJSON{b.Size, b.Time.UTC(), append([]string{}, b.Witnesses...)}
	}
	for _, b := range m.Between {
		v.Between = append(v.Between, betweenJSON{b.Index, b.Admitted.UTC(), b.Domain, b.Action, b.Counted})
	}
	return v
}

// rollLine is one signatory in JSON.
type rollLine struct {
	Domain    string     `json:"domain"`
	Name      string     `json:"name"`
	LegalName string     `json:"legal_name,omitempty"`
	Index     uint64     `json:"index"`
	ID        entry.Hash `json:"id"`
	Date      string     `json:"date"`
	Admitted  time.Time  `json:"admitted"`
	Disputed  bool       `json:"disputed"`
	Between   bool       `json:"between"`
}

func (rollCmd) json(a *app, r *verify.Report, m *verify.AsOf, h entry.Hash, in language.Tag) error {
	st, _ := m.State.Statement(h)
	lines := []rollLine{}
	for _, s := range listOf(r, m, h, in).Lines {
		lines = append(lines, rollLine{s.Domain, s.Name, s.LegalName, s.Index, s.ID, s.Date, s.Admitted.UTC(), s.Disputed, s.Index >= m.From && s.Index < m.To})
	}
	return a.json(struct {
		Schema    string     `json:"schema"`
		Origin    string     `json:"origin"`
		Statement entry.Hash `json:"statement"`
		Title     string     `json:"title"`
		Language  string     `json:"language"`
		asOfJSON
		RecordSize  uint64     `json:"record_size"`
		RecordRoot  string     `json:"record_root"`
		Signatories []rollLine `json:"signatories"`
	}{"undersigned/roll/v1", r.Origin, h, st.Title, in.String(), viewAsOf(m), r.Size, r.Root, lines})
}

// changes prints what changed between two moments.
func (c *rollCmd) changes(a *app, r *verify.Report, from, to *verify.AsOf, h entry.Hash, in language.Tag) error {
	changes := rollcall.ChangesOf(roll.Compare(from.State.Signatories(h), to.State.Signatories(h)), in)
	if c.JSON {
		st, _ := to.State.Statement(h)
		return a.json(struct {
			Schema     string            `json:"schema"`
			Origin     string            `json:"origin"`
			Statement  entry.Hash        `json:"statement"`
			Title      string            `json:"title"`
			Language   string            `json:"language"`
			From       asOfJSON          `json:"from"`
			To         asOfJSON          `json:"to"`
			RecordSize uint64            `json:"record_size"`
			RecordRoot string            `json:"record_root"`
			Changes    []rollcall.Change `json:"changes"`
		}{"undersigned/changes/v1", r.Origin, h, st.Title, in.String(), viewAsOf(from), viewAsOf(to), r.Size, r.Root, changes})
	}
	a.sayAsOf(r, from)
	a.sayAsOf(r, to)
	return a.write("", rollcall.PrintChanges(from.At, to.At, changes))
}
