package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
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
	rootsFlag
	evidenceFlag
	jsonFlag
}

// Help shows how the command is used.
func (verifyCmd) Help() string {
	return `It asks four questions: Did they sign? This exact text? When? Does it still stand? A receipt alone needs no network; whether keys were valid and nothing followed needs the record itself (--ledger).

A contradiction file, which convicts a log or a witness, is explained: exit code 20 if it proves what it says. It needs no policy, but a policy tells whether the keys that it convicts are any of yours.

Exit codes: 0 nothing contradicts it, 10 the text differs, 11 no endorsement, 12 withdrawn or superseded, 13 bad signature or another's key, 20 the record contradicts itself, 21 not enough witnesses, 3 could not check.

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
	in := verify.Input{Policy: p, Now: a.now(), MaxAge: c.MaxAge, Strict: c.Strict}
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
		if err := a.keep(c.Evidence, slices.Concat(in.Record.Contradictions, in.Record.Misled)); err != nil {
			return err
		}
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
	_, r, closeRecord, err := a.replay(ctx, c.Policy, c.Source, o)
	if err != nil {
		return err
	}
	defer closeRecord()
	if err := a.keep(c.Evidence, slices.Concat(r.Contradictions, r.Misled)); err != nil {
		return err
	}
	if c.JSON {
		return errors.Join(a.json(r), answered(r.Code))
	}
	a.printf("%s\n", a.paint(bold, r.Sentence))
	a.printNotice(r.Notice)
	if r.Origin != "" {
		a.printFacts(auditFacts(r))
	}
	if len(r.Findings) > 0 {
		a.printf("\n%s\n", a.paint(bold, "Findings"))
	}
	for _, f := range r.Findings {
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

// moment is a time as people read it.
func moment(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

type rollCmd struct {
	Source    string `arg:"" name:"src" help:"The record: an address, a directory with a ledger, or an archive."`
	Policy    string `setting:"" required:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count."`
	AsOf      string `placeholder:"DATE" help:"The list as it was at the end of a day (UTC), such as 2024-06-11. Without it: as it is."`
	Statement string `placeholder:"FILE" help:"The text, or its fingerprint sha256:…; not needed if the record has one statement."`
	jsonFlag
}

// Help shows how the command is used.
func (rollCmd) Help() string {
	return `The whole record is replayed first. Who stands behind the statement is computed from its entries, nobody keeps a list; names are in the order of the statement's language.

Example:

	undersigned roll --policy policy.txt --as-of 2024-06-11 archive.zip
`
}

// Run prints the list of signatories.
func (c *rollCmd) Run(ctx context.Context, a *app) error {
	asOf := a.now()
	end := asOf
	if c.AsOf != "" {
		date, err := time.Parse(entry.DateFormat, c.AsOf)
		if err != nil {
			return usagef("--as-of %q is not a date such as 2024-06-11", c.AsOf)
		}
		if date.After(asOf) {
			return usagef("--as-of %s has not come yet: nobody can know who will stand behind the statement then", c.AsOf)
		}
		asOf, end = date, date.AddDate(0, 0, 1).Add(-time.Millisecond)
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
	if _, ok := r.State.Statement(h); !ok {
		return failf(verify.CodeNotFound, "the record has no statement with the fingerprint %s", h)
	}
	state := r.State
	if state.Admitted().After(end) {
		if state, err = stateAt(ctx, r, rec.fetch, end); err != nil {
			return err
		}
		if _, ok := state.Statement(h); !ok {
			return failf(verify.CodeNotFound, "the statement %s was not yet published on %s", h, day(asOf))
		}
	}
	if c.AsOf != "" && r.Seen != nil && r.Seen.Before(end) {
		a.sayf("This copy of the record is of %s; what was recorded after that is not in the list.\n", moment(*r.Seen))
	}
	if c.JSON {
		return c.json(a, r, state, h, end)
	}
	return printRoll(a.out, state, h, asOf)
}

// rollLine is one signatory in JSON.
type rollLine struct {
	Domain   string     `json:"domain"`
	Name     string     `json:"name"`
	Index    uint64     `json:"index"`
	ID       entry.Hash `json:"id"`
	Date     string     `json:"date"`
	Admitted time.Time  `json:"admitted"`
	Disputed bool       `json:"disputed"`
}

func (c *rollCmd) json(a *app, r *verify.Report, s *roll.State, h entry.Hash, end time.Time) error {
	st, _ := s.Statement(h)
	lines := []rollLine{}
	for _, line := range signatories(s, st) {
		e := line.endorsement
		lines = append(lines, rollLine{e.Domain, line.name, e.Index, e.ID, e.Date, e.Admitted.UTC(), e.Disputed})
	}
	return a.json(struct {
		Schema      string     `json:"schema"`
		Origin      string     `json:"origin"`
		Statement   entry.Hash `json:"statement"`
		Title       string     `json:"title"`
		AsOf        string     `json:"as_of"`
		Size        uint64     `json:"size"` // entries of the record up to then
		RecordSize  uint64     `json:"record_size"`
		RecordRoot  string     `json:"record_root"`
		Signatories []rollLine `json:"signatories"`
	}{"undersigned/roll/v1", r.Origin, h, st.Title, entry.FormatTime(end), s.Size(), r.Size, r.Root, lines})
}

// A signatory stands behind a statement.
type signatory struct {
	name        string
	endorsement roll.Endorsement
}

// signatories returns who stands behind a statement, by name in the order of the statement's language.
func signatories(s *roll.State, st roll.Statement) []signatory {
	var list []signatory
	for _, e := range s.Standing(st.Statement) {
		m, _ := s.Member(e.Domain)
		list = append(list, signatory{m.Name, e})
	}
	order := collate.New(language.Make(st.Language))
	slices.SortStableFunc(list, func(x, y signatory) int {
		if c := order.CompareString(x.name, y.name); c != 0 {
			return c
		}
		return strings.Compare(x.endorsement.Domain, y.endorsement.Domain)
	})
	return list
}

// printRoll prints the list of who stands behind a statement in a state, as of a day (UTC).
func printRoll(w io.Writer, s *roll.State, h entry.Hash, asOf time.Time) error {
	st, ok := s.Statement(h)
	if !ok {
		return fmt.Errorf("the record has no statement with the fingerprint %s", h)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Signatories as of %s (in alphabetical order)\n\n", day(asOf))
	for _, line := range signatories(s, st) {
		fmt.Fprintln(&b, line.name)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// stateAt folds an audited record again, up to the last entry admitted by then. Every entry is held against the
// audited root hash, so that a source cannot tell another story the second time.
func stateAt(ctx context.Context, r *verify.Report, fetch verify.Fetch, end time.Time) (*roll.State, error) {
	root, err := rootOf(r)
	if err != nil {
		return nil, err
	}
	reader, err := verify.NewHashReader(ctx, verify.Checkpoint{Origin: r.Origin, Size: r.Size, Root: root}, fetch)
	if err != nil {
		return nil, fmt.Errorf("cannot read the record again: %w", err)
	}
	s := roll.New(r.Origin)
	for bundle := uint64(0); s.Size() < r.Size; bundle++ {
		leaves, err := reader.Entries(ctx, bundle)
		if err != nil {
			return nil, fmt.Errorf("cannot read the record again: %w", err)
		}
		parsed := make([]*entry.Leaf, len(leaves))
		checked := make([]*roll.Signatures, len(leaves))
		eachOf(len(leaves), func(i int) {
			if l, err := entry.ParseLeaf(leaves[i]); err == nil && !l.Admitted.After(end) {
				parsed[i], checked[i] = l, s.CheckSignatures(l.Entry)
			}
		})
		for i, l := range parsed {
			if l == nil {
				return s, nil // time never goes back in a record that holds
			}
			if err := s.ApplyLeaf(s.Size(), l, checked[i]); err != nil {
				return nil, fmt.Errorf("the record differs from what was audited a moment ago: %w", err)
			}
		}
	}
	return s, nil
}

// eachOf calls f for 0 to n-1 on all cores.
func eachOf(n int, f func(i int)) {
	var group sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), n)
	for w := range workers {
		group.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	group.Wait()
}

func rootOf(r *verify.Report) (root [32]byte, err error) {
	b, err := decodeBase64(r.Root)
	if err != nil || len(b) != len(root) {
		return root, errors.New("the audit gave no root hash")
	}
	return [32]byte(b), nil
}

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
	v, ok := viewMember(r, c.Domain)
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
