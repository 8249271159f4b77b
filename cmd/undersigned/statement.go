package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/wording"
)

// statementCmd is everything about a statement that is not an endorsement of it.
type statementCmd struct {
	Lint    statementLintCmd    `cmd:"" help:"Look a text over before it is frozen."`
	Publish statementPublishCmd `cmd:"" help:"Publish a text (an entry in the record), and send the text."`
	Show    statementShowCmd    `cmd:"" help:"Tell what the record says about a statement."`
	Close   statementCloseCmd   `cmd:"" help:"Close a statement: no endorsement from then on."`
	Reopen  statementReopenCmd  `cmd:"" help:"Open a closed statement again."`
}

type statementLintCmd struct {
	File string `arg:"" help:"The text, or - for standard input."`
	jsonFlag
}

// Help shows how the command is used.
func (statementLintCmd) Help() string {
	return `It tells what people will not see, or not see alike, and what programs change on the way: a byte order mark, CR, characters that are invisible, look alike or change the direction, tabs, spaces that are no spaces, mixed quotation marks, no line feed at the end. It changes nothing: what is endorsed are the bytes of the file as they are. It exits with 1 if it finds something that should be looked at.

Example:

	undersigned statement lint statement.txt
`
}

// A remark is a wording.Remark in JSON.
type remark struct {
	Type    string `json:"type"`
	Line    int    `json:"line"` // from 1; 0: the whole
	Column  int    `json:"column"`
	Count   int    `json:"count"`
	Problem string `json:"problem"`
	Advice  string `json:"advice"`
}

// Run looks a text over.
func (c *statementLintCmd) Run(a *app) error {
	text, err := a.read(c.File, entry.MaxStatement)
	if err != nil {
		return unreadable(err)
	}
	remarks := wording.Lint(text)
	code := codeOK
	if len(remarks) > 0 {
		code = codeError
	}
	if c.JSON {
		views := []remark{}
		for _, r := range remarks {
			views = append(views, remark{r.Type, r.At.Line, r.At.Column, r.Count, r.Problem, r.Advice})
		}
		err := a.json(struct {
			Schema    string     `json:"schema"`
			Statement entry.Hash `json:"statement"`
			Size      int        `json:"size"`
			Remarks   []remark   `json:"remarks"`
		}{"undersigned/lint/v1", entry.Sum(text), len(text), views})
		return errors.Join(err, answered(code))
	}
	if len(remarks) == 0 {
		a.printf("The text is clean: %s, fingerprint %s.\n", plural(len(text), "byte"), entry.Sum(text))
		return nil
	}
	a.printf("%s should be looked at before this text is frozen: %s, fingerprint %s.\n", plural(len(remarks), "thing"), plural(len(text), "byte"), entry.Sum(text))
	for _, r := range remarks {
		a.printf("%s\n", remarkLine(r))
	}
	return answered(code)
}

// remarkLine tells a remark in one line.
func remarkLine(r wording.Remark) string {
	s := r.Problem + " " + r.Advice
	if r.At.Line > 0 {
		s = fmt.Sprintf("%v: %s", r.At, s)
	}
	if r.Count > 1 {
		s += fmt.Sprintf(" There are %d more of these from here on.", r.Count-1)
	}
	return s
}

type statementPublishCmd struct {
	Statement  string   `required:"" placeholder:"FILE" help:"The text, frozen: every byte counts."`
	Title      string   `required:"" placeholder:"TEXT" help:"What it is called in lists."`
	Language   string   `default:"en" placeholder:"TAG" help:"Its language (${default})."`
	MediaType  string   `default:"text/plain" placeholder:"TYPE" help:"Its media type (${default})."`
	Rendition  []string `sep:"none" placeholder:"LANG:TYPE:FILE" help:"A translation or another form of it, such as de:text/plain:erklaerung.txt. May be repeated."`
	Supersedes string   `placeholder:"FILE" help:"The statement that it replaces (a file or sha256:…)."`
	Closes     string   `placeholder:"TIME" help:"No endorsement from then on, such as 2024-12-31T23:00:00Z."`
	Domain     string   `setting:"" required:"" placeholder:"DOMAIN" help:"The operator or publisher that signs."`
	NoText     bool     `help:"Do not send the texts themselves to the ledger."`
	writeFlags
}

// Help shows how the command is used.
func (statementPublishCmd) Help() string {
	return `If the statement is in the record and its text is not, because it could not be sent, the same command sends the text alone.

Example:

	undersigned statement publish --ledger https://ledger.example/ --policy policy.txt --domain ledger.example --key operator.pem --statement statement.txt --title "A technical community coalition for multistakeholderism"
`
}

// Run publishes a statement and sends its texts.
func (c *statementPublishCmd) Run(ctx context.Context, a *app) error {
	text, err := a.read(c.Statement, entry.MaxStatement)
	if err != nil {
		return err
	}
	s := &entry.Statement{Action: entry.Publish, Statement: entry.Sum(text), Title: c.Title, Language: c.Language, MediaType: c.MediaType, Size: int64(len(text))}
	texts := []namedText{{c.Statement, text}}
	for _, what := range c.Rendition {
		parts := strings.SplitN(what, ":", 3)
		if len(parts) != 3 {
			return usagef("--rendition %q is not a language, a media type and a file with colons between them", what)
		}
		b, err := a.read(parts[2], entry.MaxStatement)
		if err != nil {
			return err
		}
		s.Renditions = append(s.Renditions, entry.Rendition{Language: parts[0], Hash: entry.Sum(b), Size: int64(len(b)), MediaType: parts[1]})
		texts = append(texts, namedText{parts[2], b})
	}
	if c.Supersedes != "" {
		h, err := a.statementHash(c.Supersedes)
		if err != nil {
			return err
		}
		s.Supersedes = &h
	}
	if s.Closes, err = closing(c.Closes); err != nil {
		return err
	}
	a.warn(c.MediaType, c.Statement, text)
	for i, r := range s.Renditions {
		a.warn(r.MediaType, texts[i+1].path, texts[i+1].text)
	}
	var published *roll.Statement // by an attempt whose text was not taken
	err = c.write(ctx, a, func(at *place, files []*keyFile) (*entry.Entry, error) {
		if st, ok := at.state.Statement(s.Statement); ok && st.Publisher == c.Domain && !c.Prepare && !c.NoText && at.record.client != nil {
			if texts, err = missing(ctx, at, st, texts); err != nil {
				return nil, err
			}
			if len(texts) > 0 {
				published = &st
				return nil, errPublished
			}
		}
		return at.statement(s, c.Domain, files)
	})
	var lost *lostReceiptError
	switch {
	case published != nil && errors.Is(err, errPublished):
		return c.sendAgain(ctx, a, published, texts)
	case err != nil && !errors.As(err, &lost) || c.Prepare || c.NoText:
		return err
	}
	if failed := c.send(ctx, a, texts); failed != nil {
		return errors.Join(err, failed)
	}
	return err
}

// warn tells what should be looked at in a plain text before it is frozen.
func (a *app) warn(mediaType, path string, text []byte) {
	if mediaType != "text/plain" {
		return
	}
	for _, r := range wording.Lint(text) {
		a.sayf("Look at this before %s is frozen: %s\n", nameOf(path), remarkLine(r))
	}
}

// A namedText is a text and the file that it was read from.
type namedText struct {
	path string
	text []byte
}

// errPublished ends the making of an entry that is in the record.
var errPublished = errors.New("the statement has been published already")

// missing returns those of the texts that a statement names and its ledger does not have.
func missing(ctx context.Context, at *place, st roll.Statement, texts []namedText) (left []namedText, err error) {
	for _, t := range texts {
		h := entry.Sum(t.text)
		if h != st.Statement && !slices.ContainsFunc(st.Renditions, func(r entry.Rendition) bool { return r.Hash == h }) {
			continue
		}
		if _, err := at.record.fetch(ctx, verify.BlobPath(h)); errors.Is(err, fs.ErrNotExist) {
			left = append(left, t)
		} else if err != nil && ctx.Err() != nil {
			return nil, err
		}
	}
	return left, nil
}

// send sends the texts, if there is a server to send them to and the entry is in its record.
func (c *statementPublishCmd) send(ctx context.Context, a *app, texts []namedText) error {
	if !c.complete {
		a.sayf("When the entry is in the record, send the texts: curl -T FILE LEDGER/blobs/sha256/HEX\n")
		return nil
	}
	if err := c.put(ctx, a, texts); err != nil {
		return err
	}
	a.sayf("Sent %s, so that readers find what was signed.\n", plural(len(texts), "text"))
	return nil
}

// sendAgain sends the texts of a statement that an earlier attempt has published.
func (c *statementPublishCmd) sendAgain(ctx context.Context, a *app, st *roll.Statement, texts []namedText) error {
	if err := c.put(ctx, a, texts); err != nil {
		return err
	}
	if c.JSON {
		return a.json(struct {
			Schema    string     `json:"schema"`
			Index     uint64     `json:"index"`
			ID        entry.Hash `json:"id"`
			Admitted  string     `json:"admitted"`
			Stands    bool       `json:"stands"`
			Duplicate bool       `json:"duplicate"`
			Published bool       `json:"published"`
		}{"undersigned/submitted/v1", st.Index, st.ID, st.Admitted.UTC().Format(entry.TimeFormat), true, true, true})
	}
	what := "its text was sent"
	if len(texts) > 1 {
		what = "its texts were sent"
	}
	a.printf("Entry %d has published it already; %s.\n", st.Index, what)
	return nil
}

// put sends the texts, and says of one that is not taken how to send it later.
func (c *statementPublishCmd) put(ctx context.Context, a *app, texts []namedText) error {
	cl, err := newClient(c.Ledger)
	if err != nil {
		return err
	}
	for _, t := range texts {
		err := cl.putText(ctx, t.text, func(problem error, pause time.Duration) {
			a.sayf("%v Trying again in %v.\n", problem, pause)
		})
		if err != nil {
			return fmt.Errorf("the entry is in the record, but the text was not taken: %w; send it later, with the same command again or with curl -T %s %s", err, t.path, cl.base.JoinPath(verify.BlobPath(entry.Sum(t.text))))
		}
	}
	return nil
}

// statement puts an entry about a statement together.
func (w *writeFlags) statement(ctx context.Context, a *app, domain string, s *entry.Statement) error {
	return w.write(ctx, a, func(at *place, files []*keyFile) (*entry.Entry, error) {
		return at.statement(s, domain, files)
	})
}

func (at *place) statement(s *entry.Statement, domain string, files []*keyFile) (*entry.Entry, error) {
	refs, err := at.signers(domain, files)
	if err != nil {
		return nil, err
	}
	return at.draft(s, domain, refs)
}

// closing reads a time; "" is none.
func closing(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usagef("--closes %q is not a time such as 2024-12-31T23:00:00Z", text)
	}
	return t.UTC().Truncate(time.Millisecond), nil
}

type statementCloseCmd struct {
	Statement string `required:"" placeholder:"FILE" help:"The text, or its fingerprint sha256:…."`
	Domain    string `setting:"" required:"" placeholder:"DOMAIN" help:"Its publisher, or the operator."`
	writeFlags
}

// Help shows how the command is used.
func (statementCloseCmd) Help() string {
	return `Nobody is removed from the list, and whoever wants to can still withdraw.

Example:

	undersigned statement close --ledger https://ledger.example/ --policy policy.txt --domain ledger.example --key operator.pem --statement statement.txt
`
}

// Run closes a statement.
func (c *statementCloseCmd) Run(ctx context.Context, a *app) error {
	h, err := a.statementHash(c.Statement)
	if err != nil {
		return err
	}
	return c.statement(ctx, a, c.Domain, &entry.Statement{Action: entry.Close, Statement: h})
}

type statementReopenCmd struct {
	Statement string `required:"" placeholder:"FILE" help:"The text, or its fingerprint sha256:…."`
	Closes    string `placeholder:"TIME" help:"Until then, such as 2024-12-31T23:00:00Z."`
	Domain    string `setting:"" required:"" placeholder:"DOMAIN" help:"Its publisher, or the operator."`
	writeFlags
}

// Help shows how the command is used.
func (statementReopenCmd) Help() string {
	return `Example:

	undersigned statement reopen --ledger https://ledger.example/ --policy policy.txt --domain ledger.example --key operator.pem --statement statement.txt
`
}

// Run reopens a statement.
func (c *statementReopenCmd) Run(ctx context.Context, a *app) error {
	h, err := a.statementHash(c.Statement)
	if err != nil {
		return err
	}
	closes, err := closing(c.Closes)
	if err != nil {
		return err
	}
	return c.statement(ctx, a, c.Domain, &entry.Statement{Action: entry.Reopen, Statement: h, Closes: closes})
}

type statementShowCmd struct {
	Source    string `arg:"" name:"src" help:"The record: an address, a directory with a ledger, or an archive."`
	Policy    string `setting:"" required:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count."`
	Statement string `placeholder:"FILE" help:"The text, or its fingerprint sha256:…. Without it: all."`
	Text      bool   `help:"Print the text itself and nothing else, once it has been held against its fingerprint."`
	jsonFlag
}

// Help shows how the command is used.
func (statementShowCmd) Help() string {
	return `The whole record is replayed first.

Example:

	undersigned statement show --policy policy.txt archive.zip
	undersigned statement show --policy policy.txt --text https://ledger.example/ > statement.txt
`
}

// statementInfo is a statement in JSON.
type statementInfo struct {
	check.Mark
	ID         entry.Hash      `json:"id"`
	Statement  entry.Hash      `json:"statement"`
	Publisher  string          `json:"publisher"`
	Title      string          `json:"title"`
	Language   string          `json:"language"`
	MediaType  string          `json:"media_type"`
	Size       int64           `json:"size"`
	Renditions []renditionInfo `json:"renditions"`
	Supersedes *entry.Hash     `json:"supersedes,omitempty"`
	Superseded []entry.Hash    `json:"superseded_by"`
	Open       bool            `json:"open"`
	Closes     *time.Time      `json:"closes,omitempty"`
	Standing   int             `json:"standing"`
}

type renditionInfo struct {
	Language  string     `json:"language"`
	Hash      entry.Hash `json:"hash"`
	Size      int64      `json:"size"`
	MediaType string     `json:"media_type"`
}

func viewStatement(st roll.Statement, now time.Time) statementInfo {
	v := statementInfo{
		Mark: check.MarkOf(st.Mark), ID: st.ID, Statement: st.Statement, Publisher: st.Publisher, Title: st.Title, Language: st.Language,
		MediaType: st.MediaType, Size: st.Size, Renditions: []renditionInfo{}, Supersedes: st.Supersedes, Superseded: st.Superseded,
		Open: !st.Closed && (st.Closes.IsZero() || now.Before(st.Closes)), Standing: st.Standing,
	}
	for _, r := range st.Renditions {
		v.Renditions = append(v.Renditions, renditionInfo(r))
	}
	if v.Superseded == nil {
		v.Superseded = []entry.Hash{}
	}
	if !st.Closes.IsZero() {
		closes := st.Closes.UTC()
		v.Closes = &closes
	}
	return v
}

// Run tells about statements.
func (c *statementShowCmd) Run(ctx context.Context, a *app) error {
	rec, r, closeRecord, err := a.sound(ctx, c.Policy, c.Source)
	if err != nil {
		return err
	}
	defer closeRecord()
	list := r.State.Statements()
	if c.Statement != "" {
		h, err := a.statementHash(c.Statement)
		if err != nil {
			return err
		}
		st, ok := r.State.Statement(h)
		if !ok {
			return failf(verify.CodeNotFound, "the record has no statement with the fingerprint %s", h)
		}
		list = []roll.Statement{st}
	}
	if c.Text {
		if len(list) != 1 {
			_, err := onlyStatement(r.State)
			return err
		}
		return a.text(ctx, rec, list[0].Statement)
	}
	views := []statementInfo{}
	for _, st := range list {
		views = append(views, viewStatement(st, a.now()))
	}
	if c.JSON {
		return a.json(struct {
			Schema     string          `json:"schema"`
			Origin     string          `json:"origin"`
			Size       uint64          `json:"size"`
			Statements []statementInfo `json:"statements"`
		}{"undersigned/statements/v1", r.Origin, r.Size, views})
	}
	a.printf("%s has %s.\n", r.Origin, plural(len(r.State.Statements()), "statement"))
	for _, v := range views {
		a.printStatement(v)
	}
	return nil
}

func (a *app) printStatement(v statementInfo) {
	state := "open"
	if !v.Open {
		state = "closed"
	} else if v.Closes != nil {
		state = "open until " + moment(*v.Closes)
	}
	a.printf("\n%s\n  %s, %s, %s, %s\n  published by %s on %s (entry %d); %s; %s\n", a.paint(bold, v.Title), v.Statement, v.Language, v.MediaType,
		plural(v.Size, "byte"), v.Publisher, day(v.Admitted), v.Index, state, plural(v.Standing, "endorsement"))
	for _, r := range v.Renditions {
		a.printf("  rendition %s %s, %s, %s\n", r.Language, r.Hash, r.MediaType, plural(r.Size, "byte"))
	}
	if v.Supersedes != nil {
		a.printf("  replaces %s\n", *v.Supersedes)
	}
	for _, h := range v.Superseded {
		a.printf("  replaced by %s\n", h)
	}
}

// text prints the text of a statement.
func (a *app) text(ctx context.Context, rec *record, h entry.Hash) error {
	b, err := rec.fetch(ctx, verify.BlobPath(h))
	if err != nil {
		return failf(codeUnchecked, "%s does not have the text: %w", rec.name, err)
	}
	if entry.Sum(b) != h {
		return failf(verify.CodeOtherText, "%s sends another text than %s", rec.name, h)
	}
	return a.write("", b)
}

// charterCmd shows and changes the rules.
type charterCmd struct {
	Show  charterShowCmd  `cmd:"" help:"Show the rules in force."`
	Amend charterAmendCmd `cmd:"" help:"Amend the charter (an entry in the record)."`
}

type charterShowCmd struct {
	Source string `arg:"" name:"src" help:"The record: an address, a directory with a ledger, or an archive."`
	Policy string `setting:"" required:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count."`
	jsonFlag
}

// Help shows how the command is used.
func (charterShowCmd) Help() string {
	return `The whole record is replayed first.

Example:

	undersigned charter show --policy policy.txt archive.zip
`
}

// Run shows the charter in force.
func (c *charterShowCmd) Run(ctx context.Context, a *app) error {
	_, r, closeRecord, err := a.sound(ctx, c.Policy, c.Source)
	if err != nil {
		return err
	}
	defer closeRecord()
	ch := r.State.Charter()
	var refs []string
	for _, k := range ch.Keys {
		refs = append(refs, k.Ref().String())
	}
	rules := admissionRules(ch.Admission)
	if c.JSON {
		publishers := ch.Publishers
		if publishers == nil {
			publishers = []string{}
		}
		return a.json(struct {
			Schema string `json:"schema"`
			check.Mark
			ID         entry.Hash `json:"id"`
			Origin     string     `json:"origin"`
			Title      string     `json:"title"`
			Operator   string     `json:"operator"`
			Keys       []string   `json:"keys"`
			Publishers []string   `json:"publishers"`
			Admission  []string   `json:"admission"`
			Roll       string     `json:"roll"`
		}{"undersigned/charter/v1", check.MarkOf(ch.Mark), ch.ID, r.Origin, ch.Title, ch.Operator, refs, publishers, rules, ch.Roll})
	}
	a.printf("%s is run by %s under the charter of %s (entry %d).\n\nTitle      %s\n", r.Origin, ch.Operator, day(ch.Admitted), ch.Index, ch.Title)
	for _, ref := range refs {
		a.printf("Key        %s\n", ref)
	}
	for _, p := range ch.Publishers {
		a.printf("Publisher  %s\n", p)
	}
	a.printf("Admission  %s\nRoll       %s\nEntry      %s\n", strings.Join(rules, " and "), ch.Roll, ch.ID)
	return nil
}

func admissionRules(a entry.Admission) []string {
	var rules []string
	if a.Operator {
		rules = append(rules, "operator")
	}
	if a.Vouched > 0 {
		rules = append(rules, fmt.Sprintf("vouched:%d", a.Vouched))
	}
	if a.DNSSEC {
		rules = append(rules, "dnssec")
	}
	return rules
}

type charterAmendCmd struct {
	Title       string   `placeholder:"TEXT" help:"The new title. Without it: as before; so with each of these."`
	Operator    string   `placeholder:"DOMAIN" help:"The new operator's domain."`
	OperatorKey []string `sep:"none" placeholder:"FILE" help:"The complete new set of operator keys. Each new one signs too. May be repeated."`
	Publisher   []string `sep:"none" placeholder:"DOMAIN" help:"The complete new set of publishers. May be repeated."`
	NoPublisher bool     `help:"Have no publisher beside the operator from now on."`
	Admission   []string `sep:"none" placeholder:"RULE" help:"The complete new rules: operator, vouched:M, dnssec. May be repeated."`
	Roll        string   `placeholder:"WHEN" help:"When lists are sealed: on-change, daily HH:MM, or manual."`
	Voucher     []string `sep:"none" placeholder:"DOMAIN" help:"A member that agrees, where members vouch. May be repeated."`
	VoucherKey  []string `sep:"none" placeholder:"FILE" help:"A member's key, where it is at hand. May be repeated."`
	suiteFlag
	writeFlags
}

// Help shows how the command is used.
func (charterAmendCmd) Help() string {
	return `The operator's current keys all sign (--key for each), and so do the new ones. What is already in the record stays as it is. To hand a ledger over, name the new operator and its keys; it signs the same text.

Example:

	undersigned charter amend --ledger https://ledger.example/ --policy policy.txt --admission operator --admission vouched:2 --key operator.pem
	undersigned charter amend --ledger https://ledger.example/ --policy policy.txt --operator new.example --operator-key new.pub --key operator.pem -o handover.txt
	undersigned sign --key new.pem handover.txt -o handover.txt
	undersigned submit --ledger https://ledger.example/ handover.txt
`
}

// Run amends the charter.
func (c *charterAmendCmd) Run(ctx context.Context, a *app) error {
	if c.NoPublisher && len(c.Publisher) > 0 {
		return usagef("--no-publisher and --publisher cannot be used together")
	}
	if c.Operator != "" && len(c.OperatorKey) == 0 {
		return usagef("a new operator brings keys of its own: name them with --operator-key; public ones will do, and it signs later")
	}
	return c.write(ctx, a, func(at *place, files []*keyFile) (*entry.Entry, error) {
		old := at.state.Charter()
		n := &entry.Charter{Title: old.Title, Operator: old.Operator, Publishers: old.Publishers, Admission: old.Admission, Roll: old.Roll}
		for _, set := range []struct {
			to   *string
			from string
		}{{&n.Title, c.Title}, {&n.Operator, c.Operator}, {&n.Roll, c.Roll}} {
			if set.from != "" {
				*set.to = set.from
			}
		}
		if len(c.Publisher) > 0 || c.NoPublisher {
			n.Publishers = c.Publisher
		}
		var err error
		if len(c.Admission) > 0 {
			if n.Admission, err = admission(c.Admission); err != nil {
				return nil, err
			}
		}
		var refs []keys.Ref
		for _, k := range old.Keys {
			refs = append(refs, k.Ref())
		}
		brought, err := a.keyFiles(c.OperatorKey, &c.passwordFlags)
		if err != nil {
			return nil, err
		}
		for _, f := range brought {
			k := f.as(at.knows)
			if !at.knows(k.Ref()) {
				if k, err = f.in(f.preferred(c.Suite)); err != nil {
					return nil, err
				}
				f.public = []*keys.PublicKey{k}
			}
			n.PublicKeys = append(n.PublicKeys, publicLine(k))
			if !slices.Contains(refs, k.Ref()) {
				refs = append(refs, k.Ref())
			}
		}
		if len(brought) == 0 {
			for _, k := range old.Keys {
				n.PublicKeys = append(n.PublicKeys, publicLine(k))
			}
		}
		if amendsNothing(old, n) {
			return nil, usagef("this amends nothing: the charter says all of it already")
		}
		vouchers, err := a.keyFiles(c.VoucherKey, &c.passwordFlags)
		if err != nil {
			return nil, err
		}
		if n.Vouchers, err = at.voucherLines(c.Voucher, false, vouchers); err != nil {
			return nil, err
		}
		c.extra = slices.Concat(brought, vouchers)
		return at.draft(n, old.Operator, refs)
	})
}

// amendsNothing says whether a charter has the rules that are in force.
func amendsNothing(old *roll.Charter, n *entry.Charter) bool {
	var before, after []string
	for _, k := range old.Keys {
		before = append(before, k.Ref().String())
	}
	for _, k := range n.PublicKeys {
		after = append(after, k.Ref().String())
	}
	same := func(a, b []string) bool {
		return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
	}
	return n.Title == old.Title && n.Operator == old.Operator && n.Admission == old.Admission && n.Roll == old.Roll &&
		same(n.Publishers, old.Publishers) && same(after, before)
}
