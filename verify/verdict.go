package verify

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// VerdictSchema names the JSON form of a Verdict.
const VerdictSchema = "undersigned/verdict/v1"

// AnswerState is what the answer to one of the four questions comes to.
type AnswerState string

const (
	Confirmed     AnswerState = "confirmed"       // proven by what is at hand
	LookCloser    AnswerState = "look-closer"     // true, with a dated nuance
	No            AnswerState = "no"              // a contradiction: another text, another key, an altered record
	CouldNotCheck AnswerState = "could-not-check" // network, age, a missing file
)

// The four questions, in their order.
const (
	DidTheySign      = "Did they sign?"
	ThisExactText    = "This exact text?"
	When             = "When?"
	DoesItStillStand = "Does it still stand?"
)

// Answer is the answer to one of the four questions.
type Answer struct {
	Question string      `json:"question"`
	State    AnswerState `json:"state"`
	Text     string      `json:"text"`    // a full sentence
	Reasons  []string    `json:"reasons"` // full sentences, why it is not more or less than State
}

// Verdict is what the evidence comes to. Its JSON form is the schema "undersigned/verdict/v1". Sentences
// hold nothing of the input but domains, hashes, numbers, times, and names and titles that keep to the
// record's rules for free text (unicode15.FreeText): no control, formatting or unassigned characters.
type Verdict struct {
	Schema   string    `json:"schema"`
	Sentence string    `json:"sentence"`         // the answer in one line; names organization, domain and date where there are any
	Code     int       `json:"code"`             // exit code
	Notice   string    `json:"notice,omitempty"` // DemoNotice, to be shown beside Sentence
	Answers  [4]Answer `json:"answers"`
	How      []string  `json:"how"`      // "How we know": the chain of evidence, full sentences
	NotTold  []string  `json:"not_told"` // "What this does not tell you"

	// What the evidence is about. Empty where it is missing or not to be trusted.
	Domain    string      `json:"domain,omitempty"`
	Name      string      `json:"name,omitempty"`
	Statement *entry.Hash `json:"statement,omitempty"` // the text endorsed
	Title     string      `json:"title,omitempty"`     // of the statement
	Text      *entry.Hash `json:"text,omitempty"`      // the text asked about
	Index     *uint64     `json:"index,omitempty"`
	ID        *entry.Hash `json:"id,omitempty"`
	Admitted  *time.Time  `json:"admitted,omitempty"`  // UTC
	Date      string      `json:"date,omitempty"`      // the signer's claim, YYYY-MM-DD
	Keys      []string    `json:"keys,omitempty"`      // the signing keys, as key lines name them
	Withdrawn *time.Time  `json:"withdrawn,omitempty"` // when that was recorded

	// Evidence is why the keys that signed are taken for the organization's own, the strongest first; only beside a replay.
	Evidence []OwnerEvidence `json:"evidence,omitempty"`

	Origin     string     `json:"origin,omitempty"`
	Size       uint64     `json:"size,omitempty"`        // of the checkpoint that the answer rests on
	Root       string     `json:"root,omitempty"`        // its root hash, base64
	Replayed   bool       `json:"replayed"`              // the whole record was recomputed
	Witnesses  []string   `json:"witnesses"`             // those of the policy that saw the checkpoint
	NoLater    *time.Time `json:"no_later,omitempty"`    // by when the entry existed (Bounds.NoLater)
	NotBefore  *time.Time `json:"not_before,omitempty"`  // after when it was signed (Bounds.NotBefore)
	StampedBy  string     `json:"stamped_by,omitempty"`  // the time-stamping authority that says so too
	Stamped    *time.Time `json:"stamped,omitempty"`     // by when, by its word
	RecordSeen *time.Time `json:"record_seen,omitempty"` // how fresh the replayed copy is

	Roll *RollVerdict `json:"roll,omitempty"` // of a sealed list, if the evidence is the receipt of one
}

// Input is the evidence and the question.
type Input struct {
	Policy    *Policy       // required
	Receipt   *Receipt      // nil: the question is about Domain in Record
	Roll      *Receipt      // of a sealed list, to tell whether what Receipt holds still stands; nil: none
	Domain    string        // whose endorsement is asked about; "" with a receipt: whoever signed it
	Statement []byte        // the text asked about; nil: not asked
	Text      *entry.Hash   // its fingerprint, from whoever has hashed it before; nil: Statement is hashed
	Record    *Report       // from Audit with AuditOptions.Receipts naming Receipt; nil: no replay
	Now       time.Time     // for MaxAge and "as of"
	MaxAge    time.Duration // how old the copy of the record may be; 0: any age
	Strict    bool          // what could not be checked gives code 3
	Require   Require       // what the reader asks of the evidence for the key's owner; without it, that is code 3
	Known     []string      // domains of members that the reader knows: what they vouch for counts
}

// Judge answers the four questions from the evidence, and never says more than it: with a receipt alone
// the key's validity at that entry and what followed it stay open. The code is the gravest that applies.
func Judge(in Input) *Verdict { return judgeOn(nil, in) }

// Judging returns what does as Judge, for one who asks about many organizations: as long as Record and Known stay the same, what was found out about whose the keys are
// is not found out again. One goroutine at a time uses it.
func Judging() func(Input) *Verdict {
	var t *trail
	var before Input
	return func(in Input) *Verdict {
		if t == nil || in.Record != before.Record || !slices.Equal(in.Known, before.Known) {
			t, before = newTrail(), Input{Record: in.Record, Known: slices.Clone(in.Known)}
		}
		return judgeOn(t, in)
	}
}

// judgeOn is Judge with what is known of the record; nil: nothing yet.
func judgeOn(t *trail, in Input) *Verdict {
	j := &judge{in: in, v: &Verdict{Schema: VerdictSchema, Witnesses: []string{}}, trail: t}
	for i, q := range []string{DidTheySign, ThisExactText, When, DoesItStillStand} {
		j.v.Answers[i] = Answer{Question: q, State: CouldNotCheck, Text: "Could not check.", Reasons: []string{}}
	}
	if j.v.Text = in.Text; in.Text == nil && in.Statement != nil {
		h := entry.Sum(in.Statement)
		j.v.Text = &h
	}
	if in.Record != nil {
		j.record()
	}
	if in.Receipt != nil {
		j.receipt()
	} else {
		j.domain()
	}
	j.conclude()
	j.v.Notice = DemoNotice(j.v.Origin)
	return j.v
}

// judge is one judgement under way.
type judge struct {
	in Input
	v  *Verdict

	problems []problem // what stands against a plain yes, in the order of finding

	checkpoint *SignedCheckpoint // what the answer about the entry rests on; nil: there is none that can be trusted
	endorsed   *endorsed         // nil: no endorsement was found, or none that is bound to the checkpoint
	replayed   []string          // replaying witnesses that have seen the checkpoint
	signed     bool              // the entry's signatures are good, by keys that are registered for the signer
	state      *roll.State       // the replayed record as far as it can be used; nil: none
	admitted   bool              // the replay admitted the entry
	otherText  bool
	again      time.Time // when it was endorsed again, if the entry is a withdrawal
	bounds     Bounds    // of the entry
	noBefore   string    // why NotBefore is not known; "" if it is, or if nobody expects it
	opened     map[[32]byte]openedNote
	short      bool     // fewer witnesses than the policy asks for have seen the receipt\'s checkpoint
	trail      *trail   // where vouchers lead; nil: nobody has asked
	operators  []string // domains; nil: nobody has asked
	inherited  string   // the end of a sentence: who registered the domain again withdrew
	undue      string   // the end of a sentence, that a withdrawal is disputed
	nobody     bool     // whose word counts vouched for the name
	sealed     *sealed  // the list that the receipt is of, or that stands beside it; nil: none
}

// problem is a reason for a code other than 0.
type problem struct {
	code     int
	where    int // index into Verdict.Answers
	sentence string
}

// endorsed is an endorsement that the evidence holds.
type endorsed struct {
	index      uint64
	id         entry.Hash
	admitted   time.Time
	domain     string
	statement  entry.Hash
	renditions []entry.RenditionRef
	date       string
	keys       []keys.Ref
	action     entry.Action
}

func (j *judge) problem(code, where int, format string, args ...any) {
	j.problems = append(j.problems, problem{code, where, fmt.Sprintf(format, args...)})
}

func (j *judge) answer(i int, state AnswerState, format string, args ...any) {
	j.v.Answers[i].State = state
	j.v.Answers[i].Text = fmt.Sprintf(format, args...)
}

func (j *judge) reason(i int, format string, args ...any) {
	j.v.Answers[i].Reasons = append(j.v.Answers[i].Reasons, fmt.Sprintf(format, args...))
}

func (j *judge) how(format string, args ...any) {
	j.v.How = append(j.v.How, fmt.Sprintf(format, args...))
}

// Indexes into Verdict.Answers.
const (
	didSign = iota
	exactText
	when
	stillStands
)

// record takes in what the replayed record is worth.
func (j *judge) record() {
	r := j.in.Record
	if !r.OK {
		j.problem(r.Code, stillStands, "%s", r.Sentence)
		if r.Code == CodeQuorum { // then the other answers rest on the ledger's word as well
			j.problem(r.Code, didSign, "%s", r.Sentence)
			if j.in.Receipt == nil {
				j.problem(r.Code, when, "%s", r.Sentence)
			}
		}
	}
	if r.checkpoint == nil || r.State == nil || r.State.Size() != r.Size {
		return
	}
	j.state = r.State
	j.v.Replayed = true
	j.v.RecordSeen = r.Seen
	j.how("The whole record of %s was recomputed: %d entries, root hash %s.", r.Origin, r.Size, r.Root)
	j.seen(r.checkpoint, "that copy of the record")
}

// seen tells which witnesses have seen a copy. One with two keys has seen it once.
func (j *judge) seen(c *SignedCheckpoint, what string) {
	for i, s := range c.Cosignatures {
		if !slices.ContainsFunc(c.Cosignatures[:i], func(o Cosignature) bool { return o.VKey.Name == s.VKey.Name && o.Time.Equal(s.Time) }) {
			j.how("The witness %s has seen %s%s.", s.VKey.Name, what, at(s.Time))
		}
	}
}

// receipt judges the receipt, alone and against the record.
func (j *judge) receipt() {
	r := j.in.Receipt
	c, err := j.in.Policy.Open(r.Checkpoint)
	var quorum *QuorumError
	switch {
	case errors.As(err, &quorum):
		j.short = true
		j.problem(CodeQuorum, didSign, "%s.", quorum.Sentence("this receipt's copy of the record"))
	case err != nil:
		code, sentence := explain(err)
		j.problem(code, didSign, "%s", sentence)
		return
	}
	j.checkpoint, j.replayed = c, j.in.Policy.Replayed(c)
	if r.IsRoll() {
		j.rollReceipt(r, c)
		return
	}
	b, p := bind(r, c)
	if p != nil {
		j.checkpoint, j.replayed = nil, nil
		j.problems = append(j.problems, *p)
		return
	}
	j.under(c)
	e := b.leaf.Entry
	body, ok := e.Body.(*entry.Endorsement)
	if !ok {
		by := ""
		if e.Signer != "" {
			by = " by " + display(e.Signer)
		}
		j.problem(CodeNotFound, didSign, "This receipt is for a %s entry%s, not for an endorsement.", e.Body.Kind(), by)
		return
	}
	j.word(r, b, body)
	if j.in.Record != nil {
		j.againstRecord(c)
	}
	if j.in.Roll != nil && !j.admitted {
		j.beside(j.in.Roll)
	}
}

// under says which checkpoint the answers rest on.
func (j *judge) under(c *SignedCheckpoint) {
	j.v.Origin, j.v.Size, j.v.Root = c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:])
	for _, s := range c.Cosignatures {
		j.v.Witnesses = append(j.v.Witnesses, s.Witness)
	}
}

// word takes in an endorsement that is bound to the checkpoint.
func (j *judge) word(r *Receipt, b *bound, body *entry.Endorsement) {
	e, c := b.leaf.Entry, b.checkpoint
	j.endorsed = &endorsed{r.Index, e.ID(), b.leaf.Admitted, e.Signer, body.Statement, body.Renditions, e.Date, e.Keys, body.Action}
	j.v.Name, j.v.Title = b.name, b.title
	j.how("Entry %d of the public record %s, recorded %s, holds the %s; its text has the fingerprint %s.", r.Index, c.Origin, stamp(b.leaf.Admitted), map[entry.Action]string{entry.Endorse: "endorsement", entry.Withdraw: "withdrawal"}[body.Action], e.ID())
	j.how("A proof of %d hashes leads from that entry to the copy of the record of size %d, which is signed by %s.", len(r.Proof), c.Size, signers(c.LogKeys))
	j.seen(c, "that copy")
	if p := b.checkSignatures(body); p != nil {
		j.problems = append(j.problems, *p)
	} else {
		j.signed = true
		for _, k := range e.Keys {
			j.how("It is signed by the key %s, which entry %d registers for %s.", k, b.registered[entry.Named{Domain: e.Signer, Ref: k}].index, display(e.Signer))
		}
	}
	j.bounds.NoLater, j.bounds.Size = j.in.Policy.NoLater(c), c.Size
	j.times(r, b, body.After)
}

// againstRecord holds the receipt against the replayed record.
func (j *judge) againstRecord(c *SignedCheckpoint) {
	r := j.in.Record
	n := r.receipts[j.in.Receipt]
	unusable := ""
	switch {
	case r.checkpoint == nil:
		unusable = "The record could not be used: " + r.Sentence
	case r.Origin != c.Origin:
		unusable = "The record at hand is another one, and says nothing about this receipt."
	case r.Size < c.Size:
		unusable = fmt.Sprintf("The copy of the record at hand, of size %d, is older than the receipt's, of size %d.", r.Size, c.Size)
	case n == nil || !n.rooted:
		unusable = "The record at hand was not held against this receipt."
	}
	if unusable != "" {
		j.state = nil
		j.v.Replayed = false
		j.problem(CodeUnchecked, stillStands, "%s", unusable)
		return
	}
	if n.root != c.Root {
		j.state = nil
		j.problem(CodeContradiction, stillStands, "Two copies of the record, both signed by the ledger, disagree about its first %d entries.", c.Size)
		return
	}
	if j.state == nil {
		return
	}
	if n.refusal != nil {
		code := CodeContradiction
		switch n.refusal.Rule {
		case roll.RuleKey, roll.RuleQuorum, roll.RuleSignature:
			code = CodeUntrusted
		}
		j.signed = false
		j.problem(code, didSign, "The record's own rules refuse this entry: %s.", n.refusal.Detail)
		return
	}
	j.admitted = true
	// The record has the first copy that holds the entry; the receipt's may be a later one.
	first := r.Bounds(j.in.Receipt.Index)
	if !first.NoLater.IsZero() && first.Size < j.bounds.Size {
		j.bounds.NoLater, j.bounds.Size = first.NoLater, first.Size
	}
	if j.bounds.NotBefore.IsZero() {
		j.bounds.NotBefore = first.NotBefore
	}
}

// nothing says of the other questions that there is no endorsement that they could be asked of.
func (j *judge) nothing() {
	j.answer(exactText, CouldNotCheck, "There is no endorsement whose text this could be.")
	j.answer(when, CouldNotCheck, "There is no endorsement to date.")
	j.answer(stillStands, CouldNotCheck, "There is no endorsement that could stand.")
}

// domain looks an organization up in the replayed record.
func (j *judge) domain() {
	if j.state == nil {
		if j.in.Record == nil {
			j.problem(CodeUnchecked, didSign, "Could not check: there is neither a receipt nor a record.")
		}
		return
	}
	r := j.in.Record
	j.checkpoint = r.checkpoint
	j.v.Origin, j.v.Size, j.v.Root, j.v.Witnesses = r.Origin, r.Size, r.Root, r.Witnesses
	extent := fmt.Sprintf("among the %d endorsements and withdrawals that the record of %s holds%s", r.Entries[entry.KindEndorsement], r.Origin, upTo(r))
	all := j.state.Endorsements(j.in.Domain)
	if len(all) == 0 {
		who := "that organization"
		if keys.CheckDomain(j.in.Domain) == nil {
			who = display(j.in.Domain)
		}
		j.problem(CodeNotFound, didSign, "No endorsement by %s is %s.", who, extent)
		j.nothing()
		return
	}
	found, ok := all[len(all)-1], j.v.Text == nil
	if !ok {
		covering := slices.DeleteFunc(slices.Clone(all), func(e roll.Endorsement) bool { return e.Statement != *j.v.Text && !covers(e.Renditions, *j.v.Text) })
		if ok = len(covering) > 0; ok {
			found = slices.MaxFunc(covering, j.tellsMore)
		}
	}
	if !ok && named(j.state, *j.v.Text) {
		j.problem(CodeNotFound, didSign, "No endorsement of this text by %s is %s.", display(j.in.Domain), extent)
		j.nothing()
		return
	}
	// Otherwise the text is in the record in no form at all: an altered copy is told apart from
	// another statement by the answer about the text.
	j.endorsed = &endorsed{found.Index, found.ID, found.Admitted, found.Domain, found.Statement, found.Renditions, found.Date, found.Keys, found.Action}
	j.signed, j.admitted = true, true
	if j.bounds = r.Bounds(found.Index); j.bounds.Size == 0 {
		j.bounds = Bounds{NoLater: j.in.Policy.NoLater(r.checkpoint), Size: r.Size}
	}
	j.how("Entry %d of the public record %s, recorded %s, is the last one of %s about this statement; its text has the fingerprint %s.", found.Index, r.Origin, stamp(found.Admitted), display(found.Domain), found.ID)
	for _, k := range found.Keys {
		j.how("It is signed by the key %s.", k)
	}
}

// covers says whether a text is one of these renditions.
func covers(renditions []entry.RenditionRef, text entry.Hash) bool {
	return slices.ContainsFunc(renditions, func(r entry.RenditionRef) bool { return r.Hash == text })
}

// tellsMore compares what an organization said last about two statements that have the text asked about: the one whose own text it is tells more, then one
// that it stands behind, then one that no other replaces, then the later. A rendition can be one of several statements.
func (j *judge) tellsMore(a, b roll.Endorsement) int {
	rank := func(e roll.Endorsement) (n int) {
		st, _ := j.state.Statement(e.Statement)
		for _, good := range []bool{e.Statement == *j.v.Text, e.Action == entry.Endorse, len(st.Superseded) == 0} {
			n *= 2
			if good {
				n++
			}
		}
		return n
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Index, b.Index))
}

// conclude turns what was found into answers, a code and a sentence.
func (j *judge) conclude() {
	v := j.v
	if e := j.endorsed; e != nil {
		v.Domain, v.Statement, v.Index, v.ID, v.Admitted, v.Date = e.domain, &e.statement, &e.index, &e.id, &e.admitted, e.date
		for _, k := range e.keys {
			v.Keys = append(v.Keys, k.String())
		}
		if j.in.Domain != "" && j.in.Domain != e.domain {
			j.problem(CodeNotFound, didSign, "This receipt is of %s, not of the organization that was asked about.", display(e.domain))
		}
		if j.state != nil {
			if name := j.state.NameAt(e.domain, e.index); name != "" {
				v.Name = name
			}
			if s, ok := j.state.Statement(e.statement); ok {
				v.Title = s.Title
			}
		}
		j.answerText()
		j.answerSigned()
		j.answerWhen()
		j.answerStands()
	} else if j.sealed != nil {
		j.answerList()
		j.requireOfList()
	}
	for _, p := range j.problems {
		j.refuse(p)
	}
	v.NotTold = []string{
		"Whether the statement is true.",
		"Whether anybody in the organization was entitled to decide this; the record holds the organization's own claim.",
		"Which person used the key.",
	}
	if j.nobody {
		v.NotTold = append(v.NotTold, "Whether the organization is what its name says: nobody whose word counts here vouched for the name.")
	}
	if j.sealed != nil {
		v.NotTold = append(v.NotTold, fmt.Sprintf("What happened after %s.", second(j.sealed.AsOf)))
	}
	if j.state == nil && (j.sealed == nil || len(j.sealed.by) == 0) {
		v.NotTold = append(v.NotTold, "A receipt alone does not tell whether the record's rules admitted the entry, whether the key had been revoked before it, or what followed it, such as more keys that had to sign.")
	}
	worst := problem{code: CodeOK}
	for _, p := range j.problems {
		if gravity(p.code) < gravity(worst.code) {
			worst = p
		}
	}
	v.Code = worst.code
	v.Sentence = j.sentence(worst)
	if v.Code == CodeOK && j.in.Strict {
		for i, a := range v.Answers {
			if a.State == CouldNotCheck && (i != exactText || v.Text != nil) {
				v.Code = CodeUnchecked
				v.Sentence = "Not everything could be checked. " + v.Sentence
				break
			}
		}
	}
}

// refuse puts a problem where it belongs among the answers.
func (j *judge) refuse(p problem) {
	a := &j.v.Answers[p.where]
	switch p.code {
	case CodeContradiction, CodeUntrusted, CodeNotFound:
		if a.State == No {
			a.Reasons = append(a.Reasons, p.sentence)
		} else {
			a.State, a.Text = No, p.sentence
		}
	case CodeQuorum, CodeMalformed, CodeUnchecked:
		if a.State == Confirmed || a.State == CouldNotCheck {
			a.State, a.Text = CouldNotCheck, p.sentence
		} else {
			a.Reasons = append(a.Reasons, p.sentence)
		}
	}
}

func (j *judge) answerText() {
	e, text := j.endorsed, j.v.Text
	switch {
	case text == nil:
		j.answer(exactText, CouldNotCheck, "No text was given to compare; the one endorsed has the fingerprint %s.", e.statement)
		return
	case *text == e.statement:
		j.answer(exactText, Confirmed, "Word for word: this text has the fingerprint that was endorsed.")
	default:
		i := slices.IndexFunc(e.renditions, func(r entry.RenditionRef) bool { return r.Hash == *text })
		if i < 0 {
			j.otherText = true
			j.answer(exactText, No, "This is not the text that was endorsed, byte for byte: its fingerprint is another one.")
			j.reason(exactText, "Endorsed: %s.", e.statement)
			j.problem(CodeOtherText, exactText, "")
		} else {
			j.answer(exactText, LookCloser, "This is a rendition (language: %s) that was endorsed together with the text itself.", e.renditions[i].Language)
		}
	}
	j.reason(exactText, "This text: %s.", *text)
}

func (j *judge) answerSigned() {
	e, who := j.endorsed, j.who()
	verb := "endorsed"
	if e.action == entry.Withdraw {
		verb = "withdrew its endorsement of"
	}
	switch {
	case !j.signed:
		// refuse says why not.
	case j.state == nil:
		if j.in.Require != (Require{}) {
			j.problem(CodeUnchecked, didSign, "%s", requireTakesRecord)
		}
		j.answer(didSign, LookCloser, "As far as this receipt alone can show, %s %s %s.", who, verb, j.what())
		if len(j.replayed) > 0 {
			j.reason(didSign, "A key that the record registers for %s signed it, and was valid then by the word of %s, which replays the record; who vouched for the organization takes the whole record to tell.", display(e.domain), strings.Join(j.replayed, ", "))
		} else {
			j.reason(didSign, "A key that the record registers for %s signed it; whether it was still valid then takes the whole record to tell.", display(e.domain))
		}
	case j.admitted:
		j.answerReplayed(verb)
	}
}

// answerReplayed says how sure it is whose key it was, once the fold has admitted the entry.
func (j *judge) answerReplayed(verb string) {
	e := j.endorsed
	j.v.Answers[didSign].State = Confirmed
	closer := func(format string, args ...any) {
		j.v.Answers[didSign].State = LookCloser
		j.reason(didSign, format, args...)
	}
	j.doubtful(closer)
	j.owner(closer)
	j.suspended() // behind those: the first reason is told with the answer
	yes := "Yes. "
	if e.action == entry.Withdraw { // to a question that is asked of an endorsement
		yes = ""
	}
	j.answer(didSign, j.v.Answers[didSign].State, "%s%s %s %s.", yes, j.who(), verb, j.what())
	m := j.credit(j.trail, e.domain)
	if m.Named.Index > e.index && m.Registered.Index <= e.index {
		j.reason(didSign, "The organization has gone by this name since %s, entry %d.", day(m.Named.Admitted), m.Named.Index)
	}
}

// doubtful says what has become of the keys that signed.
func (j *judge) doubtful(closer func(format string, args ...any)) {
	e := j.endorsed
	for _, ref := range e.keys {
		k, ok := j.state.Key(ref)
		switch {
		case !ok:
		case k.Compromised && e.index >= k.CompromisedAfter:
			closer("The endorsement is disputed: the key that signed has been declared compromised from entry %d on.", k.CompromisedAfter)
		case k.Disputed && e.index >= k.DisputedFrom:
			closer("The endorsement is disputed: entry %d brought the key that signed, with a key that has been declared compromised from before that, or one that had so come.", k.DisputedFrom)
		case k.Revoked && k.RevokedAt > e.index:
			closer("The key has since been replaced or revoked, by entry %d.", k.RevokedAt)
		}
	}
}

// suspended says which keys that signed are suspended, which takes nothing from what they signed before.
func (j *judge) suspended() {
	for _, ref := range j.endorsed.keys {
		if k, ok := j.state.Key(ref); ok && k.Suspended && !k.Revoked && k.SuspendedAt > j.endorsed.index {
			j.reason(didSign, "The key has since been suspended, by entry %d.", k.SuspendedAt)
		}
	}
}

// operator reports whether a domain keeps the record, or once did, or is above or below one that does: whoever has a domain makes as many below it as it likes.
func (j *judge) operator(domain string) bool {
	if j.operators == nil {
		j.operators = j.state.Operators()
	}
	return slices.ContainsFunc(j.operators, func(o string) bool { return related(domain, o) })
}

func (j *judge) answerWhen() {
	e, b := j.endorsed, j.bounds
	after, signed, it := "", "Signed", "It existed"
	if e.action == entry.Withdraw {
		signed, it = "The withdrawal was signed", "The withdrawal existed"
	}
	if !b.NotBefore.IsZero() {
		j.v.NotBefore = &b.NotBefore
		after = fmt.Sprintf("%s after %s (it quotes a copy of the record that was seen then)", signed, second(b.NotBefore))
	}
	stamp, stamped := j.stamp()
	if stamped {
		by := stamp.By()
		j.v.Stamped, j.v.StampedBy = &by, stamp.Authority
		j.how("Entry %d of the record holds a time stamp by %s: the record's copy of size %d, which holds the entry, existed by %s.", stamp.Index, stamp.Authority, stamp.Size, stamp.bySecond())
	}
	switch {
	case stamped && b.NoLater.IsZero() && after != "":
		j.answer(when, Confirmed, "%s and existed by %s, by the word of the time-stamping authority %s.", after, stamp.bySecond(), stamp.Authority)
	case stamped && b.NoLater.IsZero():
		j.answer(when, Confirmed, "%s by %s, by the word of the time-stamping authority %s.", it, stamp.bySecond(), stamp.Authority)
	case !b.NoLater.IsZero() && after != "":
		j.answer(when, Confirmed, "%s and existed by %s.", after, second(b.NoLater))
	case !b.NoLater.IsZero():
		j.answer(when, Confirmed, "%s by %s.", it, second(b.NoLater))
	case after != "":
		j.answer(when, LookCloser, "%s; by when it existed, no quorum of witnesses says.", after)
	default:
		j.answer(when, LookCloser, "Recorded %s, by the ledger's own clock; no quorum of witnesses says when it saw it.", minute(e.admitted))
	}
	if !b.NoLater.IsZero() {
		j.v.NoLater = &b.NoLater
		j.how("By %s so many witnesses had seen the record's copy of size %d, which holds the entry, as the policy asks for.", second(b.NoLater), b.Size)
	}
	if stamped && j.v.NoLater != nil {
		j.reason(when, "The time-stamping authority %s says as well that it existed by %s.", stamp.Authority, stamp.bySecond())
	}
	if n := j.unstamped(e.index); n == 1 {
		j.reason(when, "The record holds a time stamp of it that could not be checked here.")
	} else if n > 1 {
		j.reason(when, "The record holds %d time stamps of it that could not be checked here.", n)
	}
	if j.v.NoLater != nil || j.v.NotBefore != nil || stamped {
		j.reason(when, "By the ledger's own clock it was recorded %s.", minute(e.admitted))
	}
	if why := misdated(int64(dayOf(e.date)), b.NotBefore, b.NoLater); why != "" {
		j.reason(when, "The organization itself dates it %s, but it %s.", e.date, why)
		if j.v.Answers[when].State == Confirmed {
			j.v.Answers[when].State = LookCloser
		}
	} else if e.date != e.admitted.UTC().Format(time.DateOnly) {
		j.reason(when, "The organization itself dates it %s.", e.date)
	}
	if j.v.NotBefore == nil && j.noBefore != "" {
		j.reason(when, "%s", j.noBefore)
	}
}

// stamp returns the earliest time stamp of the entry, if the record that was replayed is its own.
func (j *judge) stamp() (Stamped, bool) {
	if j.state == nil || !j.admitted {
		return Stamped{}, false
	}
	return j.in.Record.Stamped(j.endorsed.index)
}

// unstamped counts the time stamps of the entry that were not checked, unless one was.
func (j *judge) unstamped(index uint64) (n int) {
	if j.state == nil || !j.admitted || j.v.Stamped != nil {
		return 0
	}
	for _, u := range j.in.Record.unchecked {
		if u.size > index {
			n++
		}
	}
	return n
}

func (j *judge) answerStands() {
	e := j.endorsed
	if j.sealed != nil {
		j.answerSealed()
		return
	}
	if j.state == nil || !j.admitted {
		if e.action == entry.Withdraw && j.signed {
			j.v.Withdrawn = &e.admitted
			j.answer(stillStands, LookCloser, "Withdrawn on %s.", day(e.admitted))
			j.problem(CodeWithdrawn, stillStands, "")
			return
		}
		j.answer(stillStands, CouldNotCheck, "A receipt cannot tell what followed it: that takes a copy of the record.")
		return
	}
	r := j.in.Record
	asOf := "as of " + upToEntry(r)
	if r.Seen != nil {
		asOf = "as of " + day(*r.Seen)
	}
	last, ok := j.state.Endorsement(e.domain, e.statement)
	next, others := j.state.NextRegistration(e.domain, e.index)
	others = others && ok && last.Index > next.Index // and so perhaps somebody else's
	word := last.Said()
	if others {
		word, _ = j.state.WordBefore(e.domain, e.statement, next.Index)
	}
	switch {
	case others:
		j.earlierHolder(word, last, next)
	case ok && last.Action == entry.Withdraw:
		j.v.Withdrawn = &last.Admitted
		j.answer(stillStands, LookCloser, "Withdrawn on %s.", day(last.Admitted))
		j.problem(CodeWithdrawn, stillStands, "")
		j.contest(last.Said())
	case ok && j.superseded():
		j.answer(stillStands, LookCloser, "Not withdrawn %s, but a newer version of the text exists.", asOf)
		j.problem(CodeWithdrawn, stillStands, "")
	case ok && j.dropped(word):
		j.answer(stillStands, LookCloser, "It stands for the text itself, but no longer for this rendition, which the endorsement of %s leaves out.", day(last.Admitted))
		j.problem(CodeWithdrawn, stillStands, "")
	case ok && last.Disputed:
		j.answer(stillStands, LookCloser, "Disputed: it stands by entry %d, signed with a key that %s.", last.Index, j.disputedFor(word))
	case ok && r.checkpoint.Fresh.IsZero():
		j.answer(stillStands, LookCloser, "Not withdrawn %s, in a copy of the record that no witness has seen.", asOf)
		if len(r.Witnesses) > 0 {
			j.v.Answers[stillStands].Text = fmt.Sprintf("Not withdrawn %s, in a copy of the record of which no quorum of witnesses says when it saw it.", asOf)
		}
		j.reason(stillStands, "Without witnesses the ledger could show others another record.")
	case ok && last.Index > e.index:
		j.answer(stillStands, Confirmed, "Nothing was removed. It stands %s.", asOf)
	case ok:
		j.answer(stillStands, Confirmed, "Nothing was removed. Not withdrawn %s.", asOf)
	}
	if word.Index > e.index && word.Action == entry.Endorse && (!others || last.Action == entry.Endorse) {
		j.reason(stillStands, "It was endorsed again %s, by entry %d.", day(word.Admitted), word.Index)
		if e.action == entry.Withdraw {
			j.again = word.Admitted
		} else if before, ok := j.state.WordBefore(e.domain, e.statement, word.Index); ok && before.Action == entry.Withdraw {
			j.reason(stillStands, "In between it was withdrawn, by entry %d, of %s.", before.Index, day(before.Admitted))
		}
		j.standsBy(word)
	}
	if m, ok := j.state.Member(e.domain); ok && m.Left {
		j.reason(stillStands, "The organization has since left the record, %s; that removes no endorsement.", day(m.LeftAt.Admitted))
	}
	if r.Seen == nil {
		j.reason(stillStands, "The copy of the record does not say how fresh it is.")
	}
	if j.in.MaxAge > 0 && (r.Seen == nil || j.in.Now.Sub(*r.Seen) > j.in.MaxAge) {
		aged := "The copy of the record does not say how old it is."
		if r.Seen != nil {
			aged = "The copy of the record is " + old(j.in.Now.Sub(*r.Seen)) + "."
		}
		j.problem(CodeUnchecked, stillStands, "%s", aged)
	}
}

// disputedFor says what there is against a key that signed what is disputed.
func (j *judge) disputedFor(word roll.Said) string {
	if slices.ContainsFunc(word.Keys, func(ref keys.Ref) bool {
		k, _ := j.state.Key(ref)
		return k.Compromised && k.CompromisedAfter <= word.Index
	}) {
		return "has been declared compromised"
	}
	return "had come with a stolen one"
}

const disputedWithdrawal = "The withdrawal is disputed: a key that signed it has been declared compromised from before that, or had come with such a key."

// contest tells what is to be said against a withdrawal: it counts all the same.
func (j *judge) contest(last roll.Said) {
	if last.Disputed {
		j.undue = " " + disputedWithdrawal
		j.reason(stillStands, disputedWithdrawal)
		return
	}
	if last.Index == j.endorsed.index {
		return
	}
	one := j.about(last)
	one.owner(func(string, ...any) {})
	for _, v := range one.v.Evidence {
		if v.against {
			j.undue = " Its domain speaks against a key that signed the withdrawal."
			j.reason(stillStands, "%s", v.Sentence)
		}
	}
}

// earlierHolder says whether an endorsement stands whose domain has been registered again since, by an entry between the word of who held it then and the last
// one on the statement.
func (j *judge) earlierHolder(was roll.Said, last roll.Endorsement, next roll.Mark) {
	switch {
	case was.Action == entry.Withdraw:
		j.v.Withdrawn = &was.Admitted
		j.answer(stillStands, LookCloser, "Withdrawn on %s.", day(was.Admitted))
		j.problem(CodeWithdrawn, stillStands, "")
		j.contest(was)
	case last.Action == entry.Withdraw:
		j.v.Withdrawn = &last.Admitted
		j.answer(stillStands, LookCloser, "Withdrawn on %s, after the domain had been registered again on %s, perhaps by somebody else.", day(last.Admitted), day(next.Admitted))
		j.problem(CodeWithdrawn, stillStands, "")
		j.inherited = fmt.Sprintf("; its endorsement was withdrawn on %s, after the domain had been registered again, perhaps by somebody else", day(last.Admitted))
		j.contest(last.Said())
		return
	case j.superseded():
		j.answer(stillStands, LookCloser, "It stood when the domain was registered again, %s, but a newer version of the text exists.", day(next.Admitted))
		j.problem(CodeWithdrawn, stillStands, "")
	case j.dropped(was):
		j.answer(stillStands, LookCloser, "It stood for the text itself when the domain was registered again, %s, but no longer for this rendition, which the endorsement of %s leaves out.", day(next.Admitted), day(was.Admitted))
		j.problem(CodeWithdrawn, stillStands, "")
	case was.Disputed:
		j.answer(stillStands, LookCloser, "Disputed: it stood when the domain was registered again, %s, by entry %d, signed with a key that %s.", day(next.Admitted), was.Index, j.disputedFor(was))
	default:
		j.answer(stillStands, LookCloser, "It stood when the domain was registered again, %s.", day(next.Admitted))
	}
	said := "endorsed the text by"
	if last.Action == entry.Withdraw {
		said = "endorsed the text, too, and withdrew by"
	}
	j.reason(stillStands, "The domain was registered again on %s, by entry %d, perhaps by somebody else, who has %s entry %d.", day(next.Admitted), next.Index, said, last.Index)
}

// about returns a judgement of another entry of the same organization.
func (j *judge) about(last roll.Said) *judge {
	e := &endorsed{index: last.Index, domain: j.endorsed.domain, admitted: last.Admitted, keys: last.Keys}
	return &judge{in: j.in, v: new(Verdict), state: j.state, trail: j.trail, operators: j.operators, endorsed: e}
}

// standsBy holds the later entry by which an endorsement stands to what is asked of the one that was given.
func (j *judge) standsBy(last roll.Said) {
	one := j.about(last)
	say := func(format string, args ...any) {
		a := &j.v.Answers[stillStands]
		if a.State == Confirmed {
			a.State, a.Text = LookCloser, fmt.Sprintf("It stands by entry %d. ", last.Index)+fmt.Sprintf(format, args...)
		} else {
			j.reason(stillStands, format, args...)
		}
	}
	one.doubtful(say)
	one.owner(say)
	for _, sentence := range one.unmet() {
		j.problem(CodeUnchecked, stillStands, "Of entry %d, by which it stands: %s", last.Index, sentence)
	}
}

// dropped reports whether the text asked about is a rendition that the last endorsement no longer covers.
func (j *judge) dropped(last roll.Said) bool {
	text := j.v.Text
	return text != nil && *text != j.endorsed.statement && !j.otherText && !covers(last.Renditions, *text)
}

// superseded reports whether a later statement says that it replaces this one.
func (j *judge) superseded() bool {
	if j.state == nil {
		return false
	}
	s, ok := j.state.Statement(j.endorsed.statement)
	return ok && len(s.Superseded) > 0
}

// sentence is the answer in one line.
func (j *judge) sentence(worst problem) string {
	e := j.endorsed
	if j.sealed != nil && (worst.code == CodeOK || worst.code == CodeUnchecked || worst.code == CodeWithdrawn || e == nil && worst.code == CodeNotFound) {
		return j.sealedSentence(worst)
	}
	if e == nil {
		if worst.code == CodeOK {
			return "Could not check."
		}
		return lead(worst)
	}
	did := fmt.Sprintf("%s endorsed %s on %s", j.who(), j.what(), day(e.admitted))
	if !j.again.IsZero() {
		did = fmt.Sprintf("%s withdrew its endorsement of %s on %s and endorsed again on %s", j.who(), j.what(), day(e.admitted), day(j.again))
	}
	switch worst.code {
	case CodeContradiction, CodeQuorum, CodeUntrusted, CodeMalformed:
		return lead(worst)
	case CodeOtherText:
		return fmt.Sprintf("No, not this text. The one that %s endorsed on %s has another fingerprint.", j.who(), day(e.admitted))
	case CodeNotFound:
		return "No. " + worst.sentence
	case CodeWithdrawn:
		if j.v.Withdrawn == nil && !j.superseded() {
			return fmt.Sprintf("No longer. %s. %s", did, j.v.Answers[stillStands].Text)
		}
		if j.v.Withdrawn == nil {
			newer := fmt.Sprintf("Yes, but a newer version of the text exists. %s.", did)
			if signed := j.v.Answers[didSign]; signed.State == LookCloser && len(signed.Reasons) > 0 {
				newer += " " + signed.Reasons[0]
			}
			return newer
		}
		if j.inherited != "" {
			return fmt.Sprintf("Withdrawn. %s%s.%s", did, j.inherited, j.undue)
		}
		if e.action == entry.Withdraw {
			return fmt.Sprintf("Withdrawn. %s withdrew its endorsement of %s on %s.%s", j.who(), j.what(), day(*j.v.Withdrawn), j.undue)
		}
		return fmt.Sprintf("Withdrawn. %s, and withdrew on %s.%s", did, day(*j.v.Withdrawn), j.undue)
	}
	signed, stands := j.v.Answers[didSign], j.v.Answers[stillStands]
	if stands.State == Confirmed {
		did += ", and the endorsement still stands"
	}
	switch {
	case j.state == nil:
		did = fmt.Sprintf("Yes, as far as a receipt alone can show: %s.", did)
	case signed.State == LookCloser:
		did = fmt.Sprintf("Yes, but look closer. %s. %s", did, signed.Reasons[0])
	case stands.State == LookCloser:
		did = fmt.Sprintf("Yes, but look closer. %s. %s", did, stands.Text)
	default:
		did = fmt.Sprintf("Yes. %s.", did)
	}
	if worst.code == CodeUnchecked {
		return did + " " + worst.sentence
	}
	return did
}

// lead opens the sentence of a problem with the word that its code stands for.
func lead(p problem) string {
	switch {
	case p.code == CodeQuorum && p.where == didSign:
		return "Not enough witnesses. " + p.sentence
	case (p.code == CodeContradiction || p.code == CodeUntrusted) && p.where == didSign:
		return "No. " + p.sentence
	}
	return p.sentence
}

// who names the organization: its name, then its domain; the domain first if nobody answers for the name.
func (j *judge) who() string {
	switch {
	case j.v.Name == "", j.v.Name == j.endorsed.domain && !j.nobody:
		return display(j.endorsed.domain)
	case j.nobody:
		return display(j.endorsed.domain) + ", which calls itself " + j.v.Name + ","
	}
	return j.v.Name + ", " + display(j.endorsed.domain) + ","
}

// what names the text.
func (j *judge) what() string {
	switch {
	case j.v.Text != nil && !j.otherText:
		return "this text"
	case j.v.Title != "":
		return "“" + j.v.Title + "”"
	}
	return "the text with the fingerprint " + j.v.Statement.String()
}

// display shows a domain, and beside it how it reads if it is an internationalized one.
func display(domain string) string { return keys.DisplayDomain(domain) }

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// old says how old something is, in whole days.
func old(age time.Duration) string {
	switch days := int(age / (24 * time.Hour)); {
	case days < 1:
		return "less than a day old"
	case days == 1:
		return "1 day old"
	default:
		return fmt.Sprintf("%d days old", days)
	}
}

func minute(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }
func second(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }
func stamp(t time.Time) string  { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", at " + minute(t)
}

func upTo(r *Report) string {
	if r.LastRecord == nil {
		return ""
	}
	return " up to " + day(*r.LastRecord)
}

func upToEntry(r *Report) string {
	if r.LastRecord == nil {
		return fmt.Sprintf("entry %d", r.Size)
	}
	return fmt.Sprintf("the record's last entry, of %s", day(*r.LastRecord))
}

func signers(logKeys []keys.VKey) string {
	names := make([]string, len(logKeys))
	for i, k := range logKeys {
		names[i] = fmt.Sprintf("%s+%08x", k.Name, k.KeyID)
	}
	return strings.Join(names, " and ")
}
