package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/timestamp"
)

type verifyCmd struct {
	Receipt   string        `arg:"" help:"The receipt (a .tlog-proof file) or a contradiction file, or - for standard input."`
	Policy    string        `setting:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count. A receipt needs one."`
	Statement string        `placeholder:"FILE" help:"The text that you ask about."`
	Roll      string        `placeholder:"FILE" help:"The receipt of a sealed list, to tell whether what the receipt holds still stood then."`
	Ledger    string        `placeholder:"SRC" help:"Replay this copy of the record too: an address, a directory or an archive."`
	MaxAge    time.Duration `setting:"" placeholder:"D" help:"A copy of the record that is older, say 240h, does not tell whether it still stands."`
	Strict    bool          `help:"Exit with 3 if anything could not be checked."`
	Require   *string       `placeholder:"EVIDENCE" help:"What must answer for the key's owner, or exit with 3: vouched:M, where M members vouched, dnssec, where the domain itself published the key, or both with a comma between. It takes --ledger."`
	Known     []string      `setting:"" sep:"none" placeholder:"DOMAIN" help:"A member that you know yourself: what it vouches for counts. May be repeated. It takes --ledger."`
	rootsFlag
	evidenceFlag
	jsonFlag
}

// Help shows how the command is used.
func (verifyCmd) Help() string {
	return `It asks four questions: Did they sign? This exact text? When? Does it still stand? A receipt alone needs no network; whether keys were valid and nothing followed needs the record itself (--ledger).

A contradiction file, which convicts a log or a witness, is explained: exit code 20 if it proves what it says. It needs no policy, but a policy tells whether the keys that it convicts are any of yours.

Exit codes: 0 nothing contradicts it, 10 the text differs, 11 no endorsement, 12 withdrawn or superseded, 13 bad signature or another's key, 20 the record contradicts itself, 21 not enough witnesses, 3 could not check, also because a file is missing or cannot be read. Beside these: 1 a file is not what it should be, such as a damaged receipt or policy, 2 the command line is wrong.

Example:

	undersigned verify --policy policy.txt --statement statement.txt apnic.net.tlog-proof
	undersigned verify --policy policy.txt --ledger https://ledger.example/ apnic.net.tlog-proof
`
}

// Run verifies a receipt.
func (c *verifyCmd) Run(ctx context.Context, a *app) error {
	b, err := a.read(c.Receipt, verify.MaxReceipt)
	if err != nil {
		return unreadable(err)
	}
	if verify.IsContradiction(b) {
		return c.contradiction(a, b)
	}
	if c.Policy == "" {
		return usagef("missing flags: --policy=FILE; a receipt is judged by a policy, which says which log and witnesses count")
	}
	p, err := a.policy(c.Policy)
	if err != nil {
		return err
	}
	if c.Roll != "" && c.Ledger != "" {
		return usagef("--roll and --ledger cannot be used together: the record tells more than a list that it seals")
	}
	in := verify.Input{Policy: p, Now: a.now(), MaxAge: c.MaxAge, Strict: c.Strict}
	for _, domain := range c.Known {
		if err := keys.CheckDomain(domain); err != nil {
			return usagef("--known %q is not a domain as the record writes them (%w); an internationalized one is written with xn--", domain, plain(err))
		}
	}
	in.Known = c.Known
	if c.Require != nil { // nothing at all is no requirement either
		if in.Require, err = verify.ParseRequire(*c.Require); err != nil {
			return usagef("--require: %w", err)
		}
	}
	if in.Receipt, err = verify.ParseReceipt(b); err != nil {
		return fmt.Errorf("%s is not a receipt: %w", nameOf(c.Receipt), err)
	}
	if c.Statement != "" {
		if in.Statement, err = a.read(c.Statement, maxText); err != nil {
			return unreadable(err)
		}
		if in.Statement == nil {
			in.Statement = []byte{} // an empty file is a text too
		}
	}
	if c.Roll != "" {
		b, err := a.read(c.Roll, verify.MaxReceipt)
		if err != nil {
			return unreadable(err)
		}
		if in.Roll, err = verify.ParseReceipt(b); err != nil {
			return fmt.Errorf("%s is not a receipt: %w", nameOf(c.Roll), err)
		}
		switch {
		case in.Receipt.IsRoll() && !in.Roll.IsRoll():
			return usagef("%s is of a sealed list, and %s, which --roll names, is not: give them the other way round", nameOf(c.Receipt), nameOf(c.Roll))
		case in.Receipt.IsRoll():
			return usagef("%s is of a sealed list itself: --roll goes with the receipt of an endorsement", nameOf(c.Receipt))
		}
	}
	if c.Ledger != "" {
		rec, err := openRecord(ctx, c.Ledger)
		if err != nil {
			return err
		}
		defer rec.Close()
		o := verify.AuditOptions{Receipts: []*verify.Receipt{in.Receipt}, MaxAge: c.MaxAge}
		if o.TimeStamps, err = c.checker(a); err != nil {
			return err
		}
		if in.Record, err = a.audit(ctx, p, rec, o); err != nil {
			return err
		}
	}
	v := verify.Judge(in)
	if in.Record != nil {
		a.keepOrTell(c.Evidence, slices.Concat(in.Record.Contradictions, in.Record.Misled))
	}
	if c.JSON {
		return errors.Join(a.json(v), answered(v.Code))
	}
	a.printVerdict(v)
	return answered(v.Code)
}

// maxText bounds a text that is asked about; a larger one than any statement is another text too.
const maxText = 64 << 20

// printVerdict prints the answer, then the four, then how we know and what is not told.
func (a *app) printVerdict(v *verify.Verdict) {
	a.printf("%s\n", a.paint(bold, v.Sentence))
	a.printNotice(v.Notice)
	marks := map[verify.AnswerState]struct {
		sign string
		c    colour
		word string
	}{
		verify.Confirmed:     {"✔", green, "confirmed"},
		verify.LookCloser:    {"▲", amber, "look closer"},
		verify.No:            {"✖", red, "no"},
		verify.CouldNotCheck: {"?", grey, "could not check"},
	}
	for _, answer := range v.Answers {
		m := marks[answer.State]
		a.printf("\n%s %s: %s\n", a.paint(m.c, m.sign+" "+answer.Question), m.word, answer.Text)
		for _, reason := range answer.Reasons {
			a.printf("    %s\n", reason)
		}
	}
	a.printSealed(v)
	a.printList("How we know", v.How)
	a.printList("What this does not tell you", v.NotTold)
}

// printSealed prints the whole of a sealed list, if that was asked: by domain, as it is sealed.
func (a *app) printSealed(v *verify.Verdict) {
	if v.Roll == nil || len(v.Roll.Lines) == 0 {
		return
	}
	a.printf("\n%s\n", a.paint(bold, "Who stood behind it as of "+moment(v.Roll.AsOf)))
	for _, l := range v.Roll.Lines {
		a.printf("  - %s", l.Domain)
		if l.Name != "" {
			a.printf(", %s", l.Name)
		}
		a.printf(": entry %d", l.Index)
		switch {
		case l.NotBefore != nil && l.NoLater != nil:
			a.printf(", signed between %s and %s", moment(*l.NotBefore), moment(*l.NoLater))
		case l.NoLater != nil:
			a.printf(", which existed by %s", moment(*l.NoLater))
		}
		a.printf("\n")
		for _, sentence := range slices.Concat(l.Missing, l.Closer) {
			a.printf("    %s\n", sentence)
		}
	}
}

// printNotice prints what must stand beside an answer, if anything.
func (a *app) printNotice(notice string) {
	if notice != "" {
		a.printf("%s\n", a.paint(amber, notice))
	}
}

func (a *app) printList(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	a.printf("\n%s\n", a.paint(bold, title))
	for _, l := range lines {
		a.printf("  - %s\n", l)
	}
}

type auditCmd struct {
	Source string        `arg:"" name:"src" help:"The record: an address (https://…), a directory with a ledger, or an archive."`
	Policy string        `setting:"" required:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count."`
	MaxAge time.Duration `setting:"" placeholder:"D" help:"How old the record's newest time may be, such as 24h."`
	rootsFlag
	evidenceFlag
	jsonFlag
}

// Help shows how the command is used.
func (auditCmd) Help() string {
	return `It recomputes every hash, checks every signature and every rule, from the first entry to the last, and holds every earlier checkpoint against them. It needs nobody's permission and nobody's word. What proves that a log or a witness contradicts itself is kept in a file, which undersigned verify explains to anybody.

Example:

	undersigned audit --policy policy.txt https://ledger.example/
	undersigned audit --policy policy.txt --json archive.zip
`
}

// Run audits a record.
func (c *auditCmd) Run(ctx context.Context, a *app) error {
	o := verify.AuditOptions{MaxAge: c.MaxAge}
	var err error
	if o.TimeStamps, err = c.checker(a); err != nil {
		return err
	}
	p, err := a.policy(c.Policy)
	if err != nil {
		return err
	}
	rec, err := openRecord(ctx, c.Source)
	if err != nil {
		return err
	}
	defer rec.Close()
	if rec.archive == nil {
		o.Covering = rec.covering // for every chain of the DNS
	}
	r, err := a.audit(ctx, p, rec, o)
	if err != nil {
		return err
	}
	a.keepOrTell(c.Evidence, slices.Concat(r.Contradictions, r.Misled))
	if c.JSON {
		return errors.Join(a.json(r), answered(r.Code))
	}
	a.printf("%s\n", a.paint(bold, r.Sentence))
	a.printNotice(r.Notice)
	if r.Origin != "" {
		a.printFacts(auditFacts(r))
	}
	findings := r.Findings
	if len(findings) == 1 && findings[0].Sentence == r.Sentence { // that was the answer
		findings = nil
	}
	if len(findings) > 0 {
		a.printf("\n%s\n", a.paint(bold, "Findings"))
	}
	for _, f := range findings {
		a.printf("  - %s\n", f.Sentence)
	}
	if r.Unlisted > 0 {
		a.printf("  - And %d more.\n", r.Unlisted)
	}
	if len(r.Remarks) > 0 {
		a.printf("\n%s\n", a.paint(bold, "Remarks"))
	}
	for _, m := range r.Remarks {
		a.printf("  - %s\n", m.Sentence)
	}
	if r.UnlistedRemarks > 0 {
		a.printf("  - And %d more.\n", r.UnlistedRemarks)
	}
	return answered(r.Code)
}

// rootsFlag says who answers for time-stamping authorities.
type rootsFlag struct {
	TSARoots string `name:"tsa-roots" setting:"" placeholder:"FILE" help:"Certificates in PEM that answer for time-stamping authorities (RFC 3161): the time stamps in the record are checked."`
}

// checker returns what checks time stamps, nil without roots.
func (f rootsFlag) checker(a *app) (verify.CheckTimeStamp, error) {
	if f.TSARoots == "" {
		return nil, nil
	}
	b, err := a.read(f.TSARoots, timestamp.MaxRoots)
	if err != nil {
		return nil, unreadable(err)
	}
	roots, err := timestamp.ParseRoots(b)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used as --tsa-roots: %w", nameOf(f.TSARoots), err)
	}
	return roots.Check, nil
}

// A fact is a line of a table.
type fact struct{ name, value string }

func auditFacts(r *verify.Report) []fact {
	facts := []fact{{"Ledger", r.Origin}, {"Entries", fmt.Sprint(r.Size)}}
	for _, kind := range []entry.Kind{entry.KindCharter, entry.KindMembership, entry.KindKey, entry.KindStatement, entry.KindEndorsement, entry.KindRoll, entry.KindEvidence} {
		facts = append(facts, fact{"  " + string(kind), fmt.Sprint(r.Entries[kind])})
	}
	facts = append(facts, fact{"Root hash", r.Root})
	if r.LastRecord != nil {
		facts = append(facts, fact{"Last entry", moment(*r.LastRecord)})
	}
	if r.Seen != nil {
		facts = append(facts, fact{"Newest time", moment(*r.Seen)})
	}
	witnesses := strings.Join(r.Witnesses, ", ")
	if witnesses == "" {
		witnesses = "none"
	}
	facts = append(facts, fact{"Witnesses", witnesses}, fact{"Earlier checkpoints", fmt.Sprint(r.Past)}, fact{"Texts", fmt.Sprint(r.Texts)})
	if r.Stamps+r.UncheckedStamps > 0 {
		facts = append(facts, fact{"Time stamps", fmt.Sprintf("%d checked, %d not", r.Stamps, r.UncheckedStamps)})
	}
	return facts
}

// printFacts prints a table of two columns after an empty line.
func (a *app) printFacts(facts []fact) {
	width := 0
	for _, f := range facts {
		width = max(width, len(f.name))
	}
	a.printf("\n")
	for _, f := range facts {
		a.printf("%-*s  %s\n", width, f.name, f.value)
	}
}

// replay opens and audits a record under a policy file.
func (a *app) replay(ctx context.Context, policy, src string, o verify.AuditOptions) (*record, *verify.Report, func() error, error) {
	p, err := a.policy(policy)
	if err != nil {
		return nil, nil, nil, err
	}
	rec, err := openRecord(ctx, src)
	if err != nil {
		return nil, nil, nil, err
	}
	r, err := a.audit(ctx, p, rec, o)
	if err != nil {
		rec.Close()
		return nil, nil, nil, err
	}
	return rec, r, rec.Close, nil
}

// sound replays a record and fails if it does not hold: what is printed from it can be relied on.
func (a *app) sound(ctx context.Context, policy, src string) (*record, *verify.Report, func() error, error) {
	return a.soundAbout(ctx, policy, src, "")
}

// soundAbout is sound for whoever will ask for the times of a domain's endorsements.
func (a *app) soundAbout(ctx context.Context, policy, src, domain string) (*record, *verify.Report, func() error, error) {
	rec, r, closeRecord, err := a.replay(ctx, policy, src, verify.AuditOptions{About: domain})
	if err == nil && !r.OK {
		closeRecord()
		return nil, nil, nil, failf(r.Code, "the record does not hold, so nothing is told from it: %s", r.Sentence)
	}
	if err == nil && r.Notice != "" {
		a.sayf("%s\n", r.Notice)
	}
	return rec, r, closeRecord, err
}

func moment(t time.Time) string { return check.Moment(t) }

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

type showCmd struct {
	Domain string `arg:"" help:"The organization's domain."`
	Source string `arg:"" name:"src" help:"The record: an address, a directory with a ledger, or an archive."`
	Policy string `setting:"" required:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count."`
	jsonFlag
}

// Help shows how the command is used.
func (showCmd) Help() string {
	return `The whole record is replayed first. It exits with 11 if the organization was never a member.

Example:

	undersigned show --policy policy.txt apnic.net archive.zip
`
}

// Run tells everything that the record says about one organization.
func (c *showCmd) Run(ctx context.Context, a *app) error {
	if err := keys.CheckDomain(c.Domain); err != nil {
		return usagef("%q is not a domain as the record writes them (%w); an internationalized one is written with xn--", c.Domain, plain(err))
	}
	_, r, closeRecord, err := a.soundAbout(ctx, c.Policy, c.Source, c.Domain)
	if err != nil {
		return err
	}
	defer closeRecord()
	v, ok := check.OrganizationOf(r, c.Domain)
	if !ok {
		if c.JSON {
			err = a.json(v)
		} else {
			a.printf("%s has never been a member of %s, among %s up to %s.\n", c.Domain, r.Origin, plural(r.Size, "entry"), moment(r.State.Admitted()))
		}
		return errors.Join(err, answered(verify.CodeNotFound))
	}
	if c.JSON {
		return a.json(v)
	}
	a.printMember(v)
	return nil
}
