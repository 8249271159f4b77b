package check

import (
	"context"
	"fmt"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/wording"
)

// maxJudged bounds the organizations behind a text that are judged one by one.
const maxJudged = 200

// compare holds a text against all that the record names, or, without a record, against the texts that were given.
func (c *Checker) compare(ctx context.Context, b Brought) (*Answer, error) {
	q := NewComparison(ctx, "what you brought", b.Bytes, "", nil)
	a := &Answer{Kind: "text"}
	switch q.Form {
	case wording.HTML:
		a.Kind = "html"
	case wording.PDF:
		a.Kind = "pdf"
	default:
		if isBinary(b.Bytes) {
			return &Answer{Kind: "unknown", Code: verify.CodeUnchecked, Sentence: "This is a file of a kind that cannot be read here. Open it, select and copy its text, and paste that."}, nil
		}
	}
	if c.record == nil && len(c.order) > 0 {
		for _, h := range c.order {
			q.add(ctx, &Version{Name: "the text at hand", Hash: h}, c.texts[h], wording.FormOf(c.texts[h]))
		}
	} else {
		r, err := c.sound()
		if err != nil && q.unread != nil { // which is told first: it is what the reader can do something about
			failed := unanswered(a.Kind, q.unread)
			failed.Answers[0].Reasons = append(failed.Answers[0].Reasons, Sentence(err))
			return failed, nil
		}
		if err != nil {
			return unanswered(a.Kind, err), nil
		}
		if err := q.AddRecord(ctx, "the record", c.blob, r, nil); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return unanswered(a.Kind, err), nil
		}
	}
	best, err := q.Nearest()
	if err != nil {
		return unanswered(a.Kind, err), nil
	}
	c.compared(a, q, best)
	return a, nil
}

// compared takes in a comparison.
func (c *Checker) compared(a *Answer, q *Comparison, best *Version) {
	view := q.View(best, q.Code(best, false))
	if view.Verdict == wording.Quote || view.Part != nil {
		a.Kind = "quote"
	}
	a.Code, a.Sentence, a.Comparison, a.NotTold = view.Code, view.Sentence, &view, view.NotTold
	if q.Report != nil {
		a.Origin, a.Size, a.Replayed, a.Notice = q.Report.Origin, q.Report.Size, true, q.Report.Notice
		a.How = append(a.How, fmt.Sprintf("The whole record of %s was recomputed: %s, root hash %s.", q.Report.Origin, Plural(q.Report.Size, "entry"), q.Report.Root))
	}
	if q.named {
		a.How = append(a.How, fmt.Sprintf("The record gives %s the fingerprint %s.", best.Name, q.Hash))
	} else {
		a.How = append(a.How, fmt.Sprintf("The fingerprint of what you brought is %s.", q.Hash))
		for _, v := range q.Versions {
			a.How = append(a.How, "Compared with "+q.Line(v)+".")
		}
	}
	a.How = append(a.How, Steps(best.Result)...)
	var closer int
	a.Answers, closer = c.textAnswers(q, best)
	switch n := len(best.Endorsers); {
	case n > maxJudged && matches(best.Result.Verdict):
		a.Sentence += fmt.Sprintf(" Look closer: of the %d that were asked about, %d %s not a plain yes.", maxJudged, closer, are(closer))
	case closer == n && n > 1:
		a.Sentence += " Look closer at each: no endorsement is a plain yes."
	case closer == n && n > 0:
		a.Sentence += " Look closer: it is not a plain yes."
	case closer > 0:
		a.Sentence += fmt.Sprintf(" Look closer: %d of the %d %s not a plain yes.", closer, n, are(closer))
	}
}

// differs adds what differs between a text that was asked about and the one that was endorsed, if that is at hand.
func (c *Checker) differs(ctx context.Context, a *Answer, about []byte) error {
	h := *a.Verdict.Statement
	endorsed, err := c.blob(ctx, verify.BlobPath(h))
	if err != nil || entry.Sum(endorsed) != h {
		return ctx.Err()
	}
	q := NewComparison(ctx, "what you brought", about, "", nil)
	if r, err := c.sound(); err == nil {
		if err := q.AddRecord(ctx, "the record", c.blob, r, &h); err != nil {
			return ctx.Err()
		}
	} else {
		q.add(ctx, &Version{Name: "the endorsed text", Hash: h}, endorsed, wording.FormOf(endorsed))
	}
	if best, err := q.Nearest(); err == nil {
		view := q.View(best, q.Code(best, false))
		a.Comparison = &view
	}
	return ctx.Err()
}

// textAnswers answers the four questions about a text, and counts those behind it of whom one of them calls for a closer look.
func (c *Checker) textAnswers(q *Comparison, best *Version) (answers []verify.Answer, closer int) {
	var l looks
	judge := verify.Judging()
	if best.Statement != nil && matches(best.Result.Verdict) {
		for i, e := range best.Endorsers {
			if e.Disputed {
				l.disputed++
			}
			if i >= maxJudged {
				continue
			}
			l.add(judge(verify.Input{Policy: c.policy, Record: q.Report, Domain: e.Domain, Text: &best.Statement.Statement, Now: c.now()}))
		}
	}
	return []verify.Answer{signedText(q, best, l), exactText(q, best), c.whenSigned(q, best), stillStands(q, best, l)}, l.either
}

// looks counts the endorsements of a text that call for a closer look when their organizations are asked about alone.
type looks struct {
	signed   int    // whether they signed
	disputed int    // because of a stolen key, of all
	stands   int    // whether it stands
	either   int    // one of both
	why      string // the first answer to the latter
}

func (l *looks) add(v *verify.Verdict) {
	signed, stands := v.Answers[0].State != verify.Confirmed, v.Answers[3].State != verify.Confirmed
	if signed {
		l.signed++
	}
	if stands {
		if l.stands++; l.stands == 1 {
			l.why = v.Answers[3].Text
		}
	}
	if signed || stands {
		l.either++
	}
}

func answer(question string, state verify.AnswerState, format string, args ...any) verify.Answer {
	return verify.Answer{Question: question, State: state, Text: fmt.Sprintf(format, args...), Reasons: []string{}}
}

// noRecord is the answer to what takes a record.
func noRecord(question string) verify.Answer {
	return answer(question, verify.CouldNotCheck, "There is no copy of the record at hand to look that up in.")
}

// signedText says who stands behind the version that a text is, or comes nearest to.
func signedText(q *Comparison, best *Version, l looks) verify.Answer {
	n := len(best.Endorsers)
	switch {
	case best.Statement == nil:
		return noRecord(verify.DidTheySign)
	case best.Result.Verdict == wording.Absent && q.Left() > 0:
		return answer(verify.DidTheySign, verify.CouldNotCheck, "It is in none of the versions that could be read; %s could not be.", Plural(q.Left(), "more text"))
	case best.Result.Verdict == wording.Absent:
		return answer(verify.DidTheySign, verify.No, "No endorsement of this text is in the record, among %d endorsements and withdrawals.", q.Report.Entries[entry.KindEndorsement])
	case !matches(best.Result.Verdict):
		return answer(verify.DidTheySign, verify.LookCloser, "%s behind the version that it comes nearest to. Nobody in the record has endorsed this one.", capital(Stand(n)))
	case n == 0 && len(best.Withdrawn) > 0:
		return answer(verify.DidTheySign, verify.LookCloser, "%s endorsed it and withdrew. Nobody stands behind it now.", Plural(len(best.Withdrawn), "organization"))
	case n == 0:
		return answer(verify.DidTheySign, verify.No, "Nobody has endorsed it: the record only has that it was published.")
	}
	a := answer(verify.DidTheySign, verify.Confirmed, "Yes. %s behind it.", capital(Stand(n)))
	if l.signed+l.disputed > 0 {
		a.State = verify.LookCloser
	}
	if l.disputed > 0 {
		a.Reasons = append(a.Reasons, fmt.Sprintf("%d of them %s disputed: a key that signed was later declared stolen as of then, or had come with such a key.", l.disputed, are(l.disputed)))
	}
	if l.signed > 0 {
		of := Number(l.signed) + " of them"
		if l.signed == n {
			of = "each of them"
		}
		a.Reasons = append(a.Reasons, fmt.Sprintf("For %s there is something to add to whose key it is: who vouched for it, that it has been replaced since, or a dispute. Ask about an organization to see which.", of))
	}
	if n > maxJudged {
		a.State = verify.LookCloser
		a.Reasons = append(a.Reasons, fmt.Sprintf("Whose the keys are was looked at for the first %d alone; ask about an organization to see it.", maxJudged))
	}
	return a
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func exactText(q *Comparison, best *Version) verify.Answer {
	r := best.Result
	a := answer(verify.ThisExactText, verify.No, "%s", r.Sentence(best.Name))
	switch r.Verdict {
	case wording.Identical:
		a.State, a.Text = verify.Confirmed, "Word for word: it has the fingerprint of "+best.Name+"."
		if q.named {
			a.Text = "This is the fingerprint of " + best.Name + "."
		}
	case wording.Quote:
		a.State = verify.Confirmed
	case wording.SameWords:
		a.State = verify.LookCloser
	case wording.TooLong:
		a.State = verify.CouldNotCheck
	case wording.Absent:
		a.Text = "It is none of the endorsed versions, nor a passage of one."
		if q.Left() > 0 {
			a.State, a.Text = verify.CouldNotCheck, "It is none of the versions that could be read, nor a passage of one."
		}
	}
	if r.Extracted() && a.State == verify.Confirmed && r.Verdict != wording.Identical {
		a.State = verify.LookCloser
		a.Reasons = append(a.Reasons, "Its words had to be read out of a file that holds more than its words.")
	}
	return a
}

func (c *Checker) whenSigned(q *Comparison, best *Version) verify.Answer {
	switch {
	case best.Statement == nil:
		return noRecord(verify.When)
	case best.Result.Verdict == wording.Absent || len(best.Endorsers) == 0:
		return answer(verify.When, verify.CouldNotCheck, "There is no endorsement to date.")
	}
	var first, last time.Time
	for _, e := range best.Endorsers {
		if first.IsZero() || e.Admitted.Before(first) {
			first = e.Admitted
		}
		if e.Admitted.After(last) {
			last = e.Admitted
		}
	}
	const format = "2 January 2006"
	from, to := first.UTC().Format(format), last.UTC().Format(format)
	when := "on " + from
	if from != to {
		when = "from " + from + " to " + to
	}
	a := answer(verify.When, verify.LookCloser, "Recorded %s, by the ledger's own clock.", when)
	if existed := q.Report.Existed(c.policy); !existed.IsZero() {
		a = answer(verify.When, verify.Confirmed, "Recorded %s by the record's own clock, and by %s at the latest: witnesses saw the record then.", when, Moment(existed))
	}
	a.Reasons = append(a.Reasons, "Ask about an organization to see what witnesses say of its endorsement's time.")
	return ofNearest(a, best)
}

func stillStands(q *Comparison, best *Version, l looks) verify.Answer {
	n := len(best.Endorsers)
	switch {
	case best.Statement == nil:
		return noRecord(verify.DoesItStillStand)
	case best.Result.Verdict == wording.Absent || n == 0 && len(best.Withdrawn) == 0:
		return answer(verify.DoesItStillStand, verify.CouldNotCheck, "There is no endorsement that could stand.")
	case n == 0:
		return answer(verify.DoesItStillStand, verify.LookCloser, "Withdrawn by all who endorsed it.")
	}
	asOf := q.Report.State.Admitted()
	if q.Report.Seen != nil {
		asOf = *q.Report.Seen
	}
	a := answer(verify.DoesItStillStand, verify.Confirmed, "%s behind it as of %s.", capital(Stand(n)), Moment(asOf))
	if w := len(best.Withdrawn); w > 0 {
		a.Reasons = append(a.Reasons, Plural(w, "organization")+" endorsed it and withdrew.")
	}
	if l.stands > 0 && len(best.Statement.Superseded) == 0 {
		a.State = verify.LookCloser
		more := "There is more to say of 1 of them. "
		if l.stands > 1 {
			more = fmt.Sprintf("There is more to say of %d of them. Of the first: ", l.stands)
		}
		a.Reasons = append(a.Reasons, more+l.why)
	}
	if len(best.Statement.Superseded) > 0 {
		a.State = verify.LookCloser
		a.Reasons = append(a.Reasons, "A newer statement has replaced it; nobody is carried over.")
	}
	return ofNearest(a, best)
}

// ofNearest says of an answer that it is about the endorsed version, if the text is another.
func ofNearest(a verify.Answer, best *Version) verify.Answer {
	if !matches(best.Result.Verdict) {
		a.State = verify.LookCloser
		a.Reasons = append([]string{"This is of the version that it comes nearest to, not of what you brought."}, a.Reasons...)
	}
	return a
}
