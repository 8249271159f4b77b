package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// RollVerdict is what the receipt of a sealed list is about.
type RollVerdict struct {
	Index      uint64      `json:"index"`                 // of the roll entry
	AsOf       time.Time   `json:"as_of"`                 // UTC
	Sealed     time.Time   `json:"sealed"`                // when the ledger admitted it, UTC
	Count      uint64      `json:"count"`                 // how many are on the list
	Recomputed []string    `json:"recomputed"`            // who has recomputed the list: replaying witnesses, or "this verifier"
	Present    *bool       `json:"present,omitempty"`     // whether the organization asked about is on it
	Lines      []Signatory `json:"signatories,omitempty"` // all of the list, by domain, if that was asked
}

// Signatory is one line of a sealed list, and what the receipt says of it beside. What it does not hold is empty.
type Signatory struct {
	Domain    string     `json:"domain"`
	Index     uint64     `json:"index"`
	ID        entry.Hash `json:"id"`
	Name      string     `json:"name,omitempty"`
	Admitted  *time.Time `json:"admitted,omitempty"`   // by the ledger's clock, UTC
	Date      string     `json:"date,omitempty"`       // the signer's claim
	NotBefore *time.Time `json:"not_before,omitempty"` // Bounds.NotBefore
	NoLater   *time.Time `json:"no_later,omitempty"`   // Bounds.NoLater, by the receipt's checkpoint
	Missing   []string   `json:"missing,omitempty"`    // sentences: what is required (Input.Require) and not there
	Closer    []string   `json:"closer,omitempty"`     // sentences: what speaks against a plain yes; whether it is disputed is told beside a replay, the rest if something is required

	keys []keys.Ref // that signed, if the receipt holds the endorsement
}

// sealed is a list that the record seals, as far as a judgement can use it.
type sealed struct {
	*boundRoll
	index uint64
	asked string   // the domain; "": nobody in particular
	by    []string // who has recomputed it; none: the ledger's word alone
	fault string   // the end of a sentence, why it proves nothing about who is on it; "": it does
}

// thisVerifier names the program that judges among those who have recomputed a list.
const thisVerifier = "this verifier"

// rollReceipt judges the receipt of a sealed list.
func (j *judge) rollReceipt(r *Receipt, c *SignedCheckpoint) {
	b, p := bindRoll(r, c)
	if p != nil {
		j.checkpoint, j.replayed = nil, nil
		j.problems = append(j.problems, *p)
		return
	}
	j.under(c)
	j.v.Title, j.v.Domain = b.title, r.Domain
	j.v.Statement = &b.Statement
	if j.in.Record != nil {
		j.againstRecord(c)
	}
	j.seal(r, c, b, j.state != nil && j.admitted)
	v := j.v.Roll
	if r.Domain != "" {
		v.Present = &b.present
		if w := b.words[r.Domain]; w != nil {
			j.word(w.receipt, w.bound, w.body)
			j.lastWord(r.Domain)
		}
		return
	}
	for _, l := range r.Lines {
		v.Lines = append(v.Lines, j.signatory(l, b.words[l.Domain]))
	}
}

// seal takes in a list that is bound to its checkpoint, and decides what it is worth.
func (j *judge) seal(r *Receipt, c *SignedCheckpoint, b *boundRoll, replayed bool) {
	by := j.in.Policy.Replayed(c)
	if replayed {
		by = append([]string{thisVerifier}, by...)
	}
	if by == nil {
		by = []string{}
	}
	s := &sealed{boundRoll: b, index: r.Index, asked: r.Domain, by: by}
	age := j.in.Now.Sub(b.AsOf)
	// Whatever else keeps the list from being used, this speaks against the record.
	young := !c.notAfter.IsZero() && b.leaf.Admitted.After(c.notAfter.Add(slack))
	if young {
		j.problem(CodeContradiction, when, "The sealed list says that it was recorded after every time in the signatures on this receipt.")
	}
	switch {
	case j.short:
		s.fault = "not enough witnesses have seen the copy of the record that it is in."
		j.problem(CodeQuorum, stillStands, "The sealed list is in a copy of the record that not enough witnesses have seen.")
	case young:
		s.fault = "the ledger gives it a time after every signature on it."
	case len(by) == 0:
		s.fault = "nobody whose word counts here has recomputed the list, so that it is the ledger's word alone."
	case j.in.MaxAge > 0 && age > j.in.MaxAge:
		s.fault = "the list is " + old(age) + "."
	}
	j.sealed = s
	j.v.Roll = &RollVerdict{Index: r.Index, AsOf: b.AsOf, Sealed: b.leaf.Admitted, Count: b.Count, Recomputed: by}
	j.how("Entry %d of the public record %s, recorded %s, seals the list of who stood behind the text with the fingerprint %s as of %s: %d of them, with the root hash %x.",
		r.Index, c.Origin, stamp(b.leaf.Admitted), b.Statement, stamp(b.AsOf), b.Count, b.Root)
	j.how("A proof of %d hashes leads from that entry to the copy of the record of size %d, which is signed by %s.", len(r.Proof), c.Size, signers(c.LogKeys))
	if len(by) > 0 {
		j.how("The list was recomputed from the entries before it by %s.", strings.Join(by, ", "))
	}
	j.seen(c, "that copy")
}

// lastWord holds the endorsement entry in a roll receipt against the replayed record.
func (j *judge) lastWord(domain string) {
	if j.state == nil || !j.admitted {
		return
	}
	if last, ok := j.state.LastWord(domain, j.sealed.Statement, j.sealed.AsOf); !ok || last.Index != j.endorsed.index {
		j.problem(CodeContradiction, didSign, "The record's own rules do not have this entry as the last word of %s.", display(domain))
	}
}

// signatory judges one line of a whole list.
func (j *judge) signatory(l roll.Line, w *word) Signatory {
	s := Signatory{Domain: l.Domain, Index: l.Index, ID: l.ID}
	if w == nil {
		return s
	}
	if p := w.bound.checkSignatures(w.body); p != nil {
		j.problems = append(j.problems, *p)
	}
	if j.opened == nil {
		j.opened = make(map[[32]byte]openedNote)
	}
	one := &judge{in: j.in, v: new(Verdict), checkpoint: j.checkpoint, opened: j.opened}
	one.times(w.receipt, w.bound, w.body.After)
	j.problems = append(j.problems, one.problems...)
	admitted := w.bound.leaf.Admitted
	s.Name, s.Admitted, s.Date, s.keys = w.bound.name, &admitted, w.bound.leaf.Entry.Date, w.bound.leaf.Entry.Keys
	if j.state != nil && j.admitted {
		s.Name = j.state.NameAt(l.Domain, l.Index)
	}
	if t := one.bounds.NotBefore; !t.IsZero() {
		s.NotBefore = &t
	}
	if t := j.in.Policy.NoLater(j.checkpoint); !t.IsZero() {
		s.NoLater = &t
	}
	return s
}

// beside takes in a sealed list that stands beside the receipt of an endorsement.
func (j *judge) beside(r *Receipt) {
	unusable := func(format string, args ...any) {
		j.problem(CodeUnchecked, stillStands, format, args...)
	}
	if j.endorsed == nil || !r.IsRoll() {
		unusable("What stands beside the receipt is not the receipt of a sealed list.")
		return
	}
	c, err := j.in.Policy.Open(r.Checkpoint)
	var quorum *QuorumError
	if err != nil {
		if errors.As(err, &quorum) {
			unusable("The copy of the record that the sealed list rests on was not seen by as many witnesses as the policy asks for.")
		} else {
			code, sentence := explain(err)
			j.problem(code, stillStands, "%s", sentence)
		}
		return
	}
	b, p := bindRoll(r, c)
	e := j.endorsed
	switch {
	case p != nil:
		j.problem(p.code, stillStands, "%s", p.sentence)
		return
	case c.Origin != j.checkpoint.Origin:
		unusable("The sealed list is of another record, and says nothing about this receipt.")
		return
	case c.Size == j.checkpoint.Size && c.Root != j.checkpoint.Root:
		j.problem(CodeContradiction, stillStands, "Two copies of the record, both signed by the ledger, disagree about its first %d entries.", c.Size)
		return
	case b.Statement != e.statement:
		unusable("The sealed list is about another text, and says nothing about this endorsement.")
		return
	case r.Domain != "" && r.Domain != e.domain || r.Domain == "" && uint64(len(r.Lines)) < b.Count:
		unusable("The file with the sealed list does not say whether %s is on it.", display(e.domain))
		return
	case b.Size <= e.index || b.AsOf.Before(e.admitted):
		unusable("The sealed list is older than the endorsement.")
		return
	}
	var line *roll.Line
	if i := slices.IndexFunc(r.Lines, func(l roll.Line) bool { return l.Domain == e.domain }); i >= 0 {
		line = &r.Lines[i]
	}
	if b.present {
		line = &b.line
	}
	if line != nil && (line.Index < e.index || line.Index == e.index && (line.ID != e.id || e.action != entry.Endorse)) {
		j.problem(CodeContradiction, stillStands, "The sealed list and this receipt disagree about entry %d.", e.index)
		return
	}
	j.seal(r, c, b, false)
	j.sealed.asked = e.domain
	b.present = line != nil
	j.v.Roll.Present = &b.present
}

// recomputed says who has recomputed the list.
func (s *sealed) recomputed() string {
	last := len(s.by) - 1
	if last < 1 {
		return strings.Join(s.by, "")
	}
	return strings.Join(s.by[:last], ", ") + " and " + s.by[last]
}

// answerSealed says whether an endorsement stands, by the sealed list.
func (j *judge) answerSealed() {
	e, s := j.endorsed, j.sealed
	asOf := second(s.AsOf)
	switch {
	case s.fault != "":
		j.problem(CodeUnchecked, stillStands, "Could not check whether it stood as of %s: %s", asOf, s.fault)
	case e.action == entry.Withdraw && s.present:
		j.answer(stillStands, Confirmed, "It stood again as of %s: it is on the list that the record seals, which %s recomputed.", asOf, s.recomputed())
	case s.present:
		j.answer(stillStands, Confirmed, "It stood as of %s: it is on the list that the record seals, which %s recomputed.", asOf, s.recomputed())
	case e.action == entry.Withdraw && j.state != nil && j.admitted:
		j.v.Withdrawn = &e.admitted
		j.answer(stillStands, LookCloser, "Withdrawn on %s.", day(e.admitted))
		j.problem(CodeWithdrawn, stillStands, "")
	default: // a withdrawal, of which there may be others, or an endorsement that a list beside it does not have any more
		j.answer(stillStands, LookCloser, "Withdrawn by %s: it is not on the list sealed as of then, which %s recomputed.", asOf, s.recomputed())
		j.problem(CodeWithdrawn, stillStands, "")
	}
	if j.state == nil || !j.admitted || s.fault != "" {
		return
	}
	closer := func(format string, args ...any) {
		j.v.Answers[stillStands].State = LookCloser
		j.reason(stillStands, format, args...)
	}
	switch last, ok := j.state.Endorsement(e.domain, e.statement); {
	case ok && last.Admitted.After(s.AsOf) && last.Action == entry.Withdraw:
		closer("It has been withdrawn since, on %s.", day(last.Admitted))
	case ok && last.Admitted.After(s.AsOf):
		j.reason(stillStands, "It has been endorsed again since, on %s.", day(last.Admitted))
	}
	if j.superseded() {
		closer("A newer version of the text exists.")
	}
}

// answerList answers from a list when there is no endorsement to ask about: of all who are on it, or of somebody who is not.
func (j *judge) answerList() {
	s, v := j.sealed, j.v
	asOf := second(s.AsOf)
	if text := v.Text; text != nil {
		if *text == s.Statement {
			j.answer(exactText, Confirmed, "Word for word: this text has the fingerprint that the list is about.")
		} else {
			j.otherText = true
			j.answer(exactText, No, "This is not the text that the list is about, byte for byte: its fingerprint is another one.")
			j.problem(CodeOtherText, exactText, "No, not this text. The list is about another one, with the fingerprint %s.", s.Statement)
		}
	} else {
		j.answer(exactText, CouldNotCheck, "No text was given to compare; the list is about the one with the fingerprint %s.", s.Statement)
	}
	if seen := j.in.Policy.NoLater(j.checkpoint); seen.IsZero() {
		j.answer(when, LookCloser, "As of %s, by the ledger's own clock; no quorum of witnesses says when it saw the list.", asOf)
	} else {
		j.answer(when, Confirmed, "As of %s, by the ledger's clock; the list existed by %s.", asOf, second(seen))
	}
	if s.fault != "" {
		j.answer(stillStands, CouldNotCheck, "Could not check whether the list is right: %s", s.fault)
	} else {
		j.answer(stillStands, Confirmed, "The list is complete as of %s: %s recomputed it from all entries before it.", asOf, s.recomputed())
	}
	if asked := j.in.Domain; asked != "" && s.asked == "" && uint64(len(v.Roll.Lines)) == s.Count { // of somebody, by the whole list
		s.asked = asked
		if i := slices.IndexFunc(v.Roll.Lines, func(l Signatory) bool { return l.Domain == asked }); i >= 0 {
			s.present, s.line.Index = true, v.Roll.Lines[i].Index
		}
		v.Domain, v.Roll.Present = asked, &s.present
	}
	switch {
	case j.in.Domain != "" && s.asked != "" && j.in.Domain != s.asked:
		j.problem(CodeNotFound, didSign, "This receipt is about %s, not about the organization that was asked about.", display(s.asked))
	case s.asked != "" && s.present: // and nothing but the line is at hand
		if s.fault == "" {
			j.answer(didSign, LookCloser, "%s is on the list; its endorsement is entry %d of the record.", display(s.asked), s.line.Index)
			if j.state != nil && j.admitted {
				line := Signatory{Domain: s.asked, Index: s.line.Index}
				if i := slices.IndexFunc(v.Roll.Lines, func(l Signatory) bool { return l.Domain == s.asked }); i >= 0 {
					line = v.Roll.Lines[i]
				}
				_, closer := j.unmetBy(line)
				for _, sentence := range closer {
					j.reason(didSign, "%s", sentence)
				}
			}
		} else {
			j.problem(CodeUnchecked, didSign, "Could not check whether %s stood behind %s as of %s: %s", display(s.asked), j.what(), asOf, s.fault)
		}
	case s.asked != "":
		j.absent(asOf)
	case len(v.Roll.Lines) == 0 && s.Count > 0:
		j.problem(CodeUnchecked, didSign, "This receipt proves that a list of %d was sealed as of %s, not who is on it.", s.Count, asOf)
	default:
		j.answerAll(asOf)
	}
}

// maxMissing bounds those who are named for what they lack; each line tells its own (Signatory.Missing).
const maxMissing = 16

// some lists at most maxMissing of many.
func some(list []string) string {
	n := min(len(list), maxMissing)
	s := strings.Join(list[:n], ", ")
	if more := len(list) - n; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// requireOfList holds those on a list, or the one of them who is asked about, to what the reader requires.
func (j *judge) requireOfList() {
	s, lines := j.sealed, j.v.Roll.Lines
	if s.asked != "" && s.present {
		if i := slices.IndexFunc(lines, func(l Signatory) bool { return l.Domain == s.asked }); i >= 0 {
			lines = lines[i : i+1]
		} else {
			lines = []Signatory{{Domain: s.asked, Index: s.line.Index}}
		}
	}
	switch {
	case j.in.Require == (Require{}) || s.asked != "" && !s.present || len(lines) == 0:
		return
	case j.state == nil || !j.admitted:
		j.problem(CodeUnchecked, didSign, "%s", requireTakesRecord)
		return
	}
	var lack []string
	for i := range lines {
		l := &lines[i]
		if l.Missing, l.Closer = j.unmetBy(*l); len(l.Missing) > 0 {
			lack = append(lack, display(l.Domain))
		}
	}
	switch {
	case len(lack) == 0:
	case s.asked != "":
		for _, sentence := range lines[0].Missing {
			j.problem(CodeUnchecked, didSign, "%s is on the list. %s", lack[0], sentence)
		}
	default:
		j.problem(CodeUnchecked, didSign, "What is required of those on the list is not there for %d of %d: %s.", len(lack), len(lines), some(lack))
	}
}

// unmetBy says what of a reader's own demands does not hold for the endorsement by which somebody is on the list, and what speaks against it otherwise.
func (j *judge) unmetBy(l Signatory) (sentences, closer []string) {
	if j.trail == nil {
		j.trail = newTrail()
	}
	one := &judge{in: j.in, v: new(Verdict), state: j.state, trail: j.trail, operators: j.operators}
	if one.endorsed = j.onList(l); one.endorsed == nil {
		return []string{"What is required could not be checked: it has said something else since, and which keys signed then is in its own receipt."}, []string{unknownKeys}
	}
	say := func(format string, args ...any) { closer = append(closer, fmt.Sprintf(format, args...)) }
	one.doubtful(say)
	one.owner(say)
	if one.nobody {
		say("Nobody whose word counts here vouched for the name.")
	}
	return one.unmet(), closer
}

const unknownKeys = "Which keys signed could not be looked at: it has said something else since, and this file does not hold the endorsement."

// onList returns the endorsement by which somebody is on the list; nil: it is neither in the file nor the last one in the record.
func (j *judge) onList(l Signatory) *endorsed {
	e := &endorsed{index: l.Index, domain: l.Domain, keys: l.keys}
	if l.keys != nil {
		e.admitted = *l.Admitted
		return e
	}
	last, ok := j.state.Endorsement(l.Domain, j.sealed.Statement)
	if !ok || last.Index != l.Index {
		return nil
	}
	e.keys, e.admitted = last.Keys, last.Admitted
	return e
}

// absent answers about somebody who is not on the list. A list tells who stood, not who had and withdrew: that takes the record.
func (j *judge) absent(asOf string) {
	s := j.sealed
	if s.fault != "" {
		j.problem(CodeUnchecked, didSign, "Could not check whether an endorsement of %s by %s stood as of %s: %s", j.what(), display(s.asked), asOf, s.fault)
		return
	}
	if j.state == nil || !j.admitted {
		j.problem(CodeNotFound, didSign, "No standing endorsement of %s by %s is in this record as of %s.", j.what(), display(s.asked), asOf)
		j.reason(didSign, "Whether it had endorsed it before, and withdrew, takes the whole record to tell.")
		return
	}
	last, ok := j.state.LastWord(s.asked, s.Statement, s.AsOf)
	if !ok {
		j.problem(CodeNotFound, didSign, "No endorsement of %s by %s is in this record as of %s.%s", j.what(), display(s.asked), asOf, j.since("It has been endorsed since"))
		return
	}
	j.v.Withdrawn = &last.Admitted
	j.answer(didSign, LookCloser, "%s endorsed %s and withdrew on %s.", display(s.asked), j.what(), day(last.Admitted))
	j.answer(stillStands, LookCloser, "Withdrawn on %s.", day(last.Admitted))
	if last.Disputed {
		j.undue = " " + disputedWithdrawal
		j.reason(stillStands, disputedWithdrawal)
	}
	again := j.since("It has been endorsed again since")
	if again != "" {
		j.reason(stillStands, "%s", strings.TrimSpace(again))
	}
	j.problem(CodeWithdrawn, stillStands, "Withdrawn. %s withdrew its endorsement of %s on %s.%s%s", display(s.asked), j.what(), day(last.Admitted), j.undue, again)
}

// since says, in a sentence with a space before it, that who is not on the list has endorsed the text after its moment, if the record at hand tells.
func (j *judge) since(that string) string {
	if j.state == nil || !j.admitted {
		return ""
	}
	domain := j.sealed.asked
	if j.endorsed != nil {
		domain = j.endorsed.domain
	}
	last, ok := j.state.Endorsement(domain, j.sealed.Statement)
	if !ok || last.Action != entry.Endorse || !last.Admitted.After(j.sealed.AsOf) {
		return ""
	}
	return fmt.Sprintf(" %s, on %s.", that, day(last.Admitted))
}

// answerAll says whether those on a whole list signed.
func (j *judge) answerAll(asOf string) {
	s := j.sealed
	signed := uint64(0)
	for _, l := range j.v.Roll.Lines {
		if l.Admitted != nil {
			signed++
		}
	}
	switch {
	case s.Count == 0:
		j.answer(didSign, LookCloser, "Nobody is on the list.")
	case signed < s.Count:
		j.answer(didSign, CouldNotCheck, "The file holds the list, without the signatures: the record has them.")
	default:
		j.answer(didSign, LookCloser, "All on the list signed (%d), each with a key that the record registers for it.", s.Count)
		if j.state == nil {
			j.reason(didSign, "Who vouched for the organizations, and whether their keys were valid then, takes the whole record to tell.")
		} else if j.in.Require == (Require{}) {
			j.reason(didSign, "Who vouched for each organization is told when it is asked about alone.")
		}
	}
	if s.fault != "" {
		j.problem(CodeUnchecked, stillStands, "Could not check whether the list of who stood behind %s as of %s is right: %s", j.what(), asOf, s.fault)
	}
	if j.state == nil || !j.admitted {
		return
	}
	var disputed []string
	for i := range j.v.Roll.Lines {
		l := &j.v.Roll.Lines[i]
		e := j.onList(*l)
		if e == nil {
			l.Closer = append(l.Closer, unknownKeys)
			continue
		}
		if j.state.Disputed(e.index, e.keys...) {
			disputed = append(disputed, display(l.Domain))
			(&judge{v: new(Verdict), state: j.state, endorsed: e}).doubtful(func(format string, args ...any) { l.Closer = append(l.Closer, fmt.Sprintf(format, args...)) })
		}
	}
	if len(disputed) > 0 {
		j.reason(didSign, "Disputed, because of a stolen key: %s.", some(disputed))
	}
}

// sealedSentence is the answer in one line, when nothing graver stands against the list than a withdrawal.
func (j *judge) sealedSentence(worst problem) string {
	s, e := j.sealed, j.endorsed
	asOf := second(s.AsOf)
	if e == nil {
		switch {
		case worst.code != CodeOK:
			return worst.sentence
		case s.asked != "":
			is := fmt.Sprintf("%s is on the list of who stood behind %s as of %s.", display(s.asked), j.what(), asOf)
			if reasons := j.v.Answers[didSign].Reasons; len(reasons) > 0 {
				is += " Look closer: " + reasons[0]
			}
			return is
		}
		all, closer := fmt.Sprintf("As of %s, %s behind %s.", asOf, stood(s.Count), j.what()), 0
		for _, l := range j.v.Roll.Lines {
			if len(l.Closer) > 0 {
				closer++
			}
		}
		switch {
		case closer == 1:
			all += " Look closer: 1 of them is not a plain yes."
		case closer > 1:
			all += fmt.Sprintf(" Look closer: %d of them are not a plain yes.", closer)
		}
		return all
	}
	did := fmt.Sprintf("%s endorsed %s on %s", j.who(), j.what(), day(e.admitted))
	if e.action == entry.Withdraw {
		did = fmt.Sprintf("%s withdrew an endorsement of %s on %s", j.who(), j.what(), day(e.admitted))
	}
	signed, stands := j.v.Answers[didSign], j.v.Answers[stillStands]
	switch {
	case worst.code == CodeUnchecked:
		return did + ". " + worst.sentence
	case worst.code == CodeWithdrawn && j.v.Withdrawn != nil:
		return "Withdrawn. " + did + "." + j.since("It has been endorsed again since")
	case worst.code == CodeWithdrawn && e.action == entry.Withdraw:
		return fmt.Sprintf("Withdrawn. %s, and does not stand behind it as of %s.", did, asOf)
	case worst.code == CodeWithdrawn:
		return fmt.Sprintf("No longer. %s. %s", did, stands.Text)
	case e.action == entry.Withdraw:
		did += fmt.Sprintf(", and stood behind it again as of %s", asOf)
	default:
		did += fmt.Sprintf(", and the endorsement stood as of %s", asOf)
	}
	switch {
	case j.state == nil:
		return fmt.Sprintf("Yes, as far as this file can show: %s.", did)
	case signed.State == LookCloser && len(signed.Reasons) > 0:
		return fmt.Sprintf("Yes, but look closer. %s. %s", did, signed.Reasons[0])
	case stands.State == LookCloser && len(stands.Reasons) > 0:
		return fmt.Sprintf("Yes, but look closer. %s. %s", did, stands.Reasons[0])
	}
	return fmt.Sprintf("Yes. %s.", did)
}

func stood(n uint64) string {
	switch n {
	case 0:
		return "nobody stood"
	case 1:
		return "1 organization, and nobody else, stood"
	}
	return fmt.Sprintf("%d organizations, and nobody else, stood", n)
}
