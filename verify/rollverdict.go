package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
}

// sealed is a list that the record seals, as far as a judgement can use it.
type sealed struct {
	*boundRoll
	index uint64
	asked string   // the domain; "": nobody in particular
	by    []string // who has recomputed it; none: the ledger's word alone
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

// seal takes in a list that is bound to its checkpoint.
func (j *judge) seal(r *Receipt, c *SignedCheckpoint, b *boundRoll, replayed bool) {
	by := j.in.Policy.Replayed(c)
	if replayed {
		by = append([]string{thisVerifier}, by...)
	}
	if by == nil {
		by = []string{}
	}
	j.sealed = &sealed{boundRoll: b, index: r.Index, asked: r.Domain, by: by}
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
	if last, _, ok := j.state.LastWord(domain, j.sealed.Statement, j.sealed.AsOf); !ok || last.Index != j.endorsed.index {
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
	s.Name, s.Admitted, s.Date = w.bound.name, &admitted, w.bound.leaf.Entry.Date
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
	if line != nil && (line.Index < e.index || line.Index == e.index && line.ID != e.id) {
		j.problem(CodeContradiction, stillStands, "The sealed list and this receipt disagree about entry %d.", e.index)
		return
	}
	j.seal(r, c, b, false)
	j.sealed.asked = e.domain
	b.present = line != nil
	j.v.Roll.Present = &b.present
}

// recomputed says who has recomputed the list.
func (s *sealed) recomputed() string { return strings.Join(s.by, ", ") }

// notRecomputed says why a list is no proof.
const notRecomputed = "nobody whose word counts here has recomputed the list, so that it is the ledger's word alone."

// old adds a problem if a list is older than was asked for.
func (j *judge) old() {
	if age := j.in.Now.Sub(j.sealed.AsOf); j.in.MaxAge > 0 && age > j.in.MaxAge {
		j.problem(CodeUnchecked, stillStands, "The sealed list is %d days old.", int(age/(24*time.Hour)))
	}
}

// answerSealed says whether an endorsement stands, by the sealed list.
func (j *judge) answerSealed() {
	e, s := j.endorsed, j.sealed
	switch {
	case e.action == entry.Withdraw && !s.present:
		j.v.Withdrawn = &e.admitted
		j.answer(stillStands, LookCloser, "Withdrawn %s.", day(e.admitted))
		j.problem(CodeWithdrawn, stillStands, "")
	case len(s.by) == 0:
		j.problem(CodeUnchecked, stillStands, "Could not check whether it stood as of %s: %s", second(s.AsOf), notRecomputed)
	case !s.present: // an endorsement that a list beside it does not have any more
		j.answer(stillStands, LookCloser, "Withdrawn by %s: it is not on the list sealed as of then, which %s recomputed.", second(s.AsOf), s.recomputed())
		j.problem(CodeWithdrawn, stillStands, "")
	default:
		j.answer(stillStands, Confirmed, "It stood as of %s: it is on the list that the record seals, which %s recomputed.", second(s.AsOf), s.recomputed())
	}
	j.old()
	if j.state == nil || !j.admitted {
		return
	}
	if last, ok := j.state.Endorsement(e.domain, e.statement); ok && last.Admitted.After(s.AsOf) {
		if last.Action == entry.Withdraw {
			j.reason(stillStands, "It has been withdrawn since: %s.", day(last.Admitted))
		} else {
			j.reason(stillStands, "It has been endorsed again since: %s.", day(last.Admitted))
		}
	}
	if j.superseded() {
		j.reason(stillStands, "A newer version of the text exists.")
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
	if len(s.by) == 0 {
		j.answer(stillStands, CouldNotCheck, "Could not check whether the list is right: %s", notRecomputed)
	} else {
		j.answer(stillStands, Confirmed, "The list is complete as of %s: %s recomputed it from all entries before it.", asOf, s.recomputed())
	}
	asked := j.in.Domain
	if asked == "" {
		asked = s.asked
	}
	switch {
	case s.asked != "" && asked != s.asked:
		j.problem(CodeNotFound, didSign, "This receipt is about %s, not about the organization that was asked about.", display(s.asked))
	case s.asked != "" && s.present: // and nothing but the line is at hand
		j.answer(didSign, LookCloser, "%s is on the list; its endorsement is entry %d of the record.", display(s.asked), s.line.Index)
		j.unproven(didSign, "%s is on the list as of %s, but whether the list is right could not be checked: %s", display(s.asked), asOf)
	case s.asked != "":
		if j.unproven(didSign, "Could not check whether an endorsement of %s by %s is in this record as of %s: %s", j.what(), display(s.asked), asOf) {
			j.problem(CodeNotFound, didSign, "No endorsement of %s by %s is in this record as of %s.", j.what(), display(s.asked), asOf)
		}
	case len(v.Roll.Lines) == 0 && s.Count > 0:
		j.problem(CodeUnchecked, didSign, "This receipt proves that a list of %d was sealed as of %s, not who is on it.", s.Count, asOf)
	default:
		j.answerAll()
	}
	j.old()
}

// answerAll says whether those on a whole list signed.
func (j *judge) answerAll() {
	s := j.sealed
	signed := 0
	for _, l := range j.v.Roll.Lines {
		if l.Admitted != nil {
			signed++
		}
	}
	switch {
	case uint64(signed) < s.Count:
		j.answer(didSign, CouldNotCheck, "The file holds the list, without the signatures: the record has them.")
	default:
		j.answer(didSign, LookCloser, "Each of the %d signed, with a key that the record registers for it.", s.Count)
		j.reason(didSign, "Who vouched for the organizations, and whether their keys were valid then, takes the whole record to tell.")
	}
	j.unproven(stillStands, "Whether the list of %s as of %s is right could not be checked: %s", j.what(), second(s.AsOf))
}

// unproven adds a problem, which ends with the reason, if nobody has recomputed the list, and reports whether somebody has.
func (j *judge) unproven(where int, format string, args ...any) bool {
	if len(j.sealed.by) > 0 {
		return true
	}
	j.problem(CodeUnchecked, where, format, append(args, notRecomputed)...)
	return false
}

// sealedSentence is the answer in one line, when nothing stands against the list but what could not be checked.
func (j *judge) sealedSentence(worst problem) string {
	s, e := j.sealed, j.endorsed
	asOf, open := second(s.AsOf), worst.code == CodeUnchecked
	if e != nil {
		did := fmt.Sprintf("%s endorsed %s on %s", j.who(), j.what(), day(e.admitted))
		if open {
			return did + ". " + worst.sentence
		}
		return fmt.Sprintf("Yes. %s, and the endorsement stood as of %s.", did, asOf)
	}
	if open && len(s.by) == 0 {
		return worst.sentence
	}
	said := fmt.Sprintf("As of %s, %s behind %s, and nobody else.", asOf, standing(s.Count), j.what())
	if s.asked != "" {
		said = fmt.Sprintf("%s is on the list of who stands behind %s as of %s.", display(s.asked), j.what(), asOf)
	}
	if open {
		said += " " + worst.sentence
	}
	return said
}

func standing(n uint64) string {
	if n == 1 {
		return "1 organization stands"
	}
	return fmt.Sprintf("%d organizations stand", n)
}
