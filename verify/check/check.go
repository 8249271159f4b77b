// Package check answers what a person brings: a text, a page, a quotation, a receipt, an archive, a policy, or the name of an
// organization. The browser and the command line ask it, so that both say the same.
//
//	c := check.New(time.Now)
//	c.Policy(text)                        whose word counts
//	c.Record(ctx, source, 10_000, nil)    a copy of the record: replayed, if it has no more entries than that
//	c.Check(ctx, check.Brought{Bytes: b}) what was brought -> an Answer
//
// An Answer has a sentence and an exit code, as the commands have them (package verify), and beside them what the commands print as JSON:
//
//	kind           verdict  comparison  organization
//	receipt        ✔                                    undersigned/verdict/v1, docs/json.md
//	roll-receipt   ✔
//	text, html,             ✔                           undersigned/compare/v1
//	quote, pdf
//	fingerprint             ✔                           undersigned/compare/v1, if the record has a text with it
//	organization   ✔                    ✔               undersigned/member/v1
//	archive, policy, contradiction, unknown             a sentence alone, and what is in the fields of those names
//
// What is brought is hostile until proven otherwise: it gives an answer, never a panic, and no sentence repeats more of it than
// package verify's do. Work and memory are bounded by the bounds of package verify, and by MaxArchive, maxKept and maxTexts.
// A Checker is used by one goroutine at a time.
package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

const (
	// MaxArchive bounds an archive that is brought, in bytes.
	MaxArchive = 256 << 20
	// MaxTyped bounds what is looked up as the name of an organization, in bytes.
	MaxTyped = 200

	maxTexts      = 64       // texts that were given
	maxCandidates = 20       // organizations that a name may mean
	maxRaw        = 64 << 10 // bytes of an entry that an answer shows
)

// A Checker is somebody who checks: whom he trusts, and what he has read.
type Checker struct {
	now    func() time.Time
	policy *verify.Policy
	record *record // nil: there is none
	texts  map[entry.Hash][]byte
	order  []entry.Hash // of texts, the oldest first

	help    func(ctx context.Context, question []byte) (answer []byte, err error)
	helpers int
}

// New returns a Checker that trusts nobody and has read nothing.
func New(now func() time.Time) *Checker {
	return &Checker{now: now, texts: make(map[entry.Hash][]byte)}
}

// HelpedBy has so many others check signatures when a record is replayed, as verify.AuditOptions says.
func (c *Checker) HelpedBy(helpers int, help func(ctx context.Context, question []byte) (answer []byte, err error)) {
	c.helpers, c.help = helpers, help
}

// errNoPolicy is the error of whoever asks before he has said whom he trusts.
var errNoPolicy = errors.New("there is no policy yet: it says which log and witnesses count")

// A PolicyView is what a policy asks for.
type PolicyView struct {
	Sentence    string     `json:"sentence"`
	Origin      string     `json:"origin"`    // of the first log
	Origins     []string   `json:"origins"`   // of all logs, each once
	Logs        []string   `json:"logs"`      // their keys, as the policy has them
	Witnesses   []string   `json:"witnesses"` // the names in their keys, each once
	Quorum      int        `json:"quorum"`    // how many witnesses suffice at the least; 0: none are asked for
	Replaying   []string   `json:"replaying"` // the witnesses whose word counts that every entry was checked
	Demo        bool       `json:"demo"`
	Notice      string     `json:"notice,omitempty"`
	Fingerprint entry.Hash `json:"fingerprint"` // of the file
}

// Policy sets whose word counts in all that is asked later. What was read of a record is forgotten.
func (c *Checker) Policy(text []byte) (*PolicyView, error) {
	p, v, err := readPolicy(text)
	if err != nil {
		return nil, err
	}
	c.policy, c.record = p, nil
	return v, nil
}

func readPolicy(text []byte) (*verify.Policy, *PolicyView, error) {
	if len(text) > verify.MaxPolicy {
		return nil, nil, Failf(verify.CodeMalformed, "this is larger than the %s that a policy can have", Bytes(verify.MaxPolicy))
	}
	p, err := verify.ParsePolicy(text)
	if err != nil {
		return nil, nil, Failf(verify.CodeMalformed, "this policy cannot be used: %w", err)
	}
	r := p.ReviewQuorum()
	v := &PolicyView{Sentence: "The policy " + Asks(p, r) + ".", Origins: append([]string{}, p.Origins()...), Logs: []string{}, Witnesses: []string{}, Quorum: r.Smallest, Replaying: []string{}, Fingerprint: entry.Sum(text)}
	for _, l := range p.Logs() {
		v.Logs = append(v.Logs, l.VKey.String())
	}
	for _, w := range p.Witnesses() {
		if !slices.Contains(v.Witnesses, w.VKey.Name) {
			v.Witnesses = append(v.Witnesses, w.VKey.Name)
		}
	}
	if replaying, ok := p.ReviewReplaying(); ok {
		v.Replaying = append(v.Replaying, replaying.Voters...)
	}
	for _, origin := range v.Origins {
		if notice := verify.DemoNotice(origin); notice != "" {
			v.Demo, v.Notice = true, notice
		}
	}
	if len(v.Origins) > 0 {
		v.Origin = v.Origins[0]
	}
	return p, v, nil
}

// Asks says what a policy asks for, as the rest of a sentence.
func Asks(p *verify.Policy, r verify.QuorumReview) string {
	if p.NoQuorum() {
		return "asks for no witness"
	}
	return fmt.Sprintf("asks for at least %d of %s", r.Smallest, Plural(len(r.Voters), "witness"))
}

// Text takes in a text that a statement or a rendition may be, for want of a source that has it. The oldest is forgotten when there are too many.
func (c *Checker) Text(text []byte) (entry.Hash, error) {
	if len(text) > verify.MaxBlob {
		return entry.Hash{}, Failf(verify.CodeMalformed, "this is larger than the %s that a text can have", Bytes(verify.MaxBlob))
	}
	h := entry.Sum(text)
	if _, ok := c.texts[h]; !ok {
		if len(c.order) == maxTexts {
			delete(c.texts, c.order[0])
			c.order = c.order[1:]
		}
		c.texts[h], c.order = text, append(c.order, h)
	}
	return h, nil
}

// blob is the text with a hash: one that was given, or the record's. It is not trusted.
func (c *Checker) blob(ctx context.Context, path string) ([]byte, error) {
	for h, text := range c.texts {
		if verify.BlobPath(h) == path {
			return text, nil
		}
	}
	if c.record == nil {
		return nil, fs.ErrNotExist
	}
	return c.record.fetch(ctx, path)
}

// Brought is what a person brings.
type Brought struct {
	Name  string // of the file; "": it was pasted or typed
	Bytes []byte
	// About is a text that is asked about beside a receipt or an organization; nil: none.
	About []byte
}

// A Candidate is an organization that a name may mean.
type Candidate struct {
	Domain  string `json:"domain"`
	Unicode string `json:"unicode"`
	Name    string `json:"name"`
}

// An Answer is what is said about something that was brought.
type Answer struct {
	Kind     string `json:"kind"` // receipt, roll-receipt, archive, text, html, pdf, quote, fingerprint, organization, policy, contradiction, unknown
	Code     int    `json:"code"` // exit code
	Sentence string `json:"sentence"`
	Quote    string `json:"quote,omitempty"`  // Sentence as it can stand alone, in somebody else's text
	Notice   string `json:"notice,omitempty"` // verify.DemoNotice, to be shown beside Sentence

	Answers  []verify.Answer `json:"answers,omitempty"`  // to the four questions, in their order; none: nothing was asked
	How      []string        `json:"how,omitempty"`      // "How we know"; what there is to see in a contradiction file
	NotTold  []string        `json:"not_told,omitempty"` // "What this does not tell you"
	Origin   string          `json:"origin,omitempty"`   // of the record that it rests on
	Size     uint64          `json:"size,omitempty"`     // of that record, or of a receipt's copy of it
	Replayed bool            `json:"replayed"`           // all of that was recomputed here

	Verdict      *verify.Verdict `json:"verdict,omitempty"`
	Comparison   *ComparisonView `json:"comparison,omitempty"`
	Organization *Organization   `json:"organization,omitempty"`
	Candidates   []Candidate     `json:"candidates,omitempty"` // if a name may mean several organizations
	Policy       *PolicyView     `json:"policy,omitempty"`
	Record       *RecordView     `json:"record,omitempty"` // of an archive
	Raw          string          `json:"raw,omitempty"`    // the entry of a receipt, as text
	Text         *entry.Hash     `json:"text,omitempty"`   // the fingerprint of what was brought
}

// failed is the answer to what could not be used.
func failed(kind string, err error) *Answer {
	return &Answer{Kind: kind, Code: CodeOf(err), Sentence: Sentence(err)}
}

// unanswered is failed for what the four questions are asked about: why they stay open is told with the first.
func unanswered(kind string, err error) *Answer {
	a := failed(kind, err)
	for _, q := range []string{verify.DidTheySign, verify.ThisExactText, verify.When, verify.DoesItStillStand} {
		a.Answers = append(a.Answers, verify.Answer{Question: q, State: verify.CouldNotCheck, Text: "Could not check.", Reasons: []string{}})
	}
	a.Answers[0].Text = a.Sentence
	return a
}

// Check answers what was brought, by its content. The error is ctx's.
func (c *Checker) Check(ctx context.Context, b Brought) (*Answer, error) {
	h := entry.Sum(b.Bytes)
	a, err := c.check(ctx, b)
	if err != nil {
		return nil, err
	}
	a.Text = &h
	if a.Origin != "" {
		a.Quote = quotable(a, b)
	}
	return a, ctx.Err()
}

func (c *Checker) check(ctx context.Context, b Brought) (*Answer, error) {
	raw := b.Bytes
	begin := verify.Unmarked(raw) // what an editor adds makes no text of a receipt
	switch {
	case isEmpty(raw):
		return &Answer{Kind: "unknown", Code: verify.CodeUnchecked, Sentence: "There is nothing in it."}, nil
	case bytes.HasPrefix(begin, []byte("c2sp.org/tlog-proof")):
		return c.receipt(ctx, raw, b.About)
	case verify.IsContradiction(raw):
		return c.contradiction(raw), nil
	case isPacked(raw):
		return c.archive(ctx, raw)
	case looksLikePolicy(begin):
		_, v, err := readPolicy(raw)
		if err != nil {
			return failed("policy", err), nil
		}
		return &Answer{Kind: "policy", Sentence: v.Sentence, Notice: v.Notice, Policy: v}, nil
	}
	if c.policy == nil {
		return nil, errNoPolicy
	}
	if b.Name == "" {
		if a, err := c.fingerprint(ctx, string(raw)); a != nil || err != nil {
			return a, err
		}
		if a, err := c.named(ctx, string(raw), b.About); a != nil || err != nil {
			return a, err
		}
	}
	return c.compare(ctx, b)
}

// looksLikePolicy says whether a file begins as a policy does: with comments, and then a log or a witness.
func looksLikePolicy(raw []byte) bool {
	for line := range bytes.Lines(raw) {
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		word, rest, _ := bytes.Cut(line, []byte(" "))
		return (string(word) == "log" || string(word) == "witness") && bytes.Contains(rest, []byte("+"))
	}
	return false
}

// receipt judges a receipt.
func (c *Checker) receipt(ctx context.Context, raw, about []byte) (*Answer, error) {
	a := &Answer{Kind: "receipt"}
	if len(raw) > verify.MaxReceipt {
		return failed(a.Kind, Failf(verify.CodeMalformed, "this is larger than the %s that a receipt can have", Bytes(verify.MaxReceipt))), nil
	}
	r, err := verify.ParseReceipt(raw)
	if err != nil {
		return failed(a.Kind, Failf(verify.CodeMalformed, "this is not a receipt as it was issued: %w", err)), nil
	}
	if r.IsRoll() {
		a.Kind = "roll-receipt"
	}
	if c.policy == nil {
		return nil, errNoPolicy
	}
	in := verify.Input{Policy: c.policy, Receipt: r, Statement: about, Now: c.now()}
	if c.record != nil && c.record.report != nil {
		if in.Record, err = c.record.beside(ctx, c, verify.AuditOptions{Receipts: []*verify.Receipt{r}}); err != nil {
			return nil, err
		}
	}
	a.judged(in)
	if about != nil && a.Verdict.Statement != nil && *a.Verdict.Statement != entry.Sum(about) {
		if err := c.differs(ctx, a, about); err != nil {
			return nil, err
		}
	}
	if len(r.Leaf) <= maxRaw && utf8.Valid(r.Leaf) {
		a.Raw = string(r.Leaf)
	}
	return a, nil
}

// judged takes in a verdict.
func (a *Answer) judged(in verify.Input) {
	v := verify.Judge(in)
	a.Verdict, a.Code, a.Sentence, a.Notice = v, v.Code, v.Sentence, v.Notice
	a.Answers, a.How, a.NotTold, a.Origin, a.Size, a.Replayed = v.Answers[:], v.How, v.NotTold, v.Origin, v.Size, v.Replayed
}

// contradiction explains a file that convicts somebody.
func (c *Checker) contradiction(raw []byte) *Answer {
	a := &Answer{Kind: "contradiction"}
	if len(raw) > verify.MaxContradiction {
		return failed(a.Kind, Failf(verify.CodeMalformed, "this is larger than the %s that a contradiction file can have", Bytes(verify.MaxContradiction)))
	}
	f, err := verify.ParseContradiction(raw)
	if err != nil {
		return failed(a.Kind, Failf(verify.CodeMalformed, "this is not a contradiction file as it was made: %w", err))
	}
	found, err := f.CheckUnder(c.policy)
	if err != nil {
		return failed(a.Kind, Failf(verify.CodeUnchecked, "this file proves nothing: %w", err))
	}
	a.Code, a.Sentence, a.How = verify.CodeContradiction, found.Sentence, found.How
	a.Notice = verify.DemoNotice(found.Origin)
	if c.policy == nil || !c.policy.Convicts(found.Origin, f) {
		a.How = append(a.How, "The policy names none of the keys that it convicts as a key of this record's log.")
	}
	return a
}

// archive replays an archive that was brought, and makes it the record that is asked about.
func (c *Checker) archive(ctx context.Context, raw []byte) (*Answer, error) {
	if c.policy == nil {
		return nil, errNoPolicy
	}
	if len(raw) > MaxArchive {
		return failed("archive", Failf(verify.CodeUnchecked, "this archive is larger than the %s that can be read here: use undersigned audit", Bytes(MaxArchive))), nil
	}
	if _, err := verify.OpenArchive(bytes.NewReader(raw), int64(len(raw))); err != nil {
		return &Answer{Kind: "unknown", Code: verify.CodeUnchecked, Sentence: "This is a packed file, and no archive of a record. If it is a word processor's, open it, select and copy its text, and paste that."}, nil
	}
	v, err := c.Record(ctx, Source{Archive: raw}, MaxReplay, nil)
	if err != nil {
		return nil, err
	}
	return &Answer{Kind: "archive", Code: v.Code, Sentence: v.Sentence, Notice: v.Notice, Record: v}, nil
}

// sound returns the report of the record, if it was replayed and holds.
func (c *Checker) sound() (*verify.Report, error) {
	switch {
	case c.record == nil:
		return nil, Failf(verify.CodeUnchecked, "there is no copy of the record to look this up in")
	case c.record.report == nil && c.record.view.Code != verify.CodeOK:
		return nil, Failf(c.record.view.Code, "the record could not be used: %s", c.record.view.Sentence)
	case c.record.report == nil:
		return nil, Failf(verify.CodeUnchecked, "the record has %s, more than are re-checked here unasked, and only who has re-checked all of them can look this up; bring a receipt, or use the program", Plural(c.record.view.Size, "entry"))
	case !c.record.report.OK:
		return nil, Failf(c.record.report.Code, "the record does not hold, so nothing is told from it: %s", c.record.report.Sentence)
	}
	return c.record.report, nil
}

// named answers what was typed if it is the name of an organization, or looks like a domain; nil if it does not.
func (c *Checker) named(ctx context.Context, typed string, about []byte) (*Answer, error) {
	typed = strings.TrimSpace(typed)
	if typed == "" || len(typed) > MaxTyped || strings.ContainsAny(typed, "\n\r") || !utf8.ValidString(typed) {
		return nil, nil
	}
	if kind, id := c.linked(typed); kind == "organization" {
		typed = id
	} else if index, err := strconv.ParseUint(id, 10, 63); kind == "entry" && err == nil {
		return c.entry(ctx, index)
	}
	domain := strings.ToLower(typed)
	domain = strings.TrimPrefix(strings.TrimPrefix(domain, "https://"), "http://")
	domain, _, _ = strings.Cut(domain, "/")
	isDomain := strings.Contains(domain, ".") && keys.CheckDomain(domain) == nil
	r, err := c.sound()
	if err != nil {
		if isDomain {
			return unanswered("organization", err), nil
		}
		return nil, nil // which is then said about a text
	}
	members := r.State.Members()
	if isDomain {
		if _, ok := r.State.Member(domain); !ok {
			if d := strings.TrimPrefix(domain, "www."); d != domain && keys.CheckDomain(d) == nil {
				domain = d
			}
		}
		return c.Organization(ctx, domain, about)
	}
	fold := strings.ToLower(typed)
	for _, m := range members { // before names, because whoever is called as another's domain is not that one
		if keys.DomainToUnicode(m.Domain) == fold {
			return c.Organization(ctx, m.Domain, about)
		}
	}
	var like []Candidate
	for _, m := range members {
		unicode, name := keys.DomainToUnicode(m.Domain), strings.ToLower(m.Name)
		switch {
		case name == fold, strings.ToLower(m.LegalName) == fold:
			return c.Organization(ctx, m.Domain, about)
		case hasWords(name, fold), hasWords(strings.ToLower(m.LegalName), fold), len(fold) > 2 && strings.Contains(m.Domain, fold):
			like = append(like, Candidate{m.Domain, unicode, m.Name})
		}
	}
	switch {
	case len(like) == 1:
		return c.Organization(ctx, like[0].Domain, about)
	case len(like) > 1:
		more := len(like)
		like = like[:min(len(like), maxCandidates)]
		return &Answer{Kind: "organization", Code: verify.CodeUnchecked, Sentence: Plural(more, "organization") + " in the record may be meant: choose one.", Notice: r.Notice, Candidates: like}, nil
	}
	return nil, nil
}

// hasWords says whether words occur in a name, from the beginning of a word on.
func hasWords(name, words string) bool {
	for rest := name; len(words) > 2; {
		at := strings.Index(rest, words)
		if at < 0 {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(rest[:at])
		if at == 0 || !letter(before) {
			return true
		}
		rest = rest[at+1:]
	}
	return false
}

// letter says whether a character belongs to a word.
func letter(r rune) bool {
	return r >= 0x80 || r >= '0' && r <= '9' || r >= 'a' && r <= 'z'
}

// Organization answers about an organization by its domain, and about a text if one is given.
func (c *Checker) Organization(ctx context.Context, domain string, about []byte) (*Answer, error) {
	a := &Answer{Kind: "organization"}
	if c.policy == nil {
		return nil, errNoPolicy
	}
	if keys.CheckDomain(domain) != nil {
		return unanswered(a.Kind, Failf(verify.CodeMalformed, "this is not a domain as the record writes them; an internationalized one is written with xn--")), nil
	}
	if _, err := c.sound(); err != nil {
		return unanswered(a.Kind, err), nil
	}
	r, err := c.record.beside(ctx, c, verify.AuditOptions{About: domain})
	if err != nil {
		return nil, err
	}
	a.judged(verify.Input{Policy: c.policy, Record: r, Domain: domain, Statement: about, Now: c.now()})
	v, ok := OrganizationOf(r, domain)
	a.Organization = &v
	if !ok {
		a.Answers[0].Reasons = append(a.Answers[0].Reasons, domain+" has never been a member of "+r.Origin+", among "+Plural(r.Size, "entry")+" up to "+Moment(r.State.Admitted())+".")
	}
	return a, nil
}
