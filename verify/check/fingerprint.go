package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// fingerprint answers what was typed if it is the fingerprint of a text, or a link that has one; nil if it is neither.
func (c *Checker) fingerprint(ctx context.Context, typed string) (*Answer, error) {
	h, size, ok := fingerprintIn(strings.TrimSpace(typed))
	if !ok {
		return nil, nil
	}
	a := &Answer{Kind: "fingerprint"}
	r, err := c.sound()
	if err != nil {
		return unanswered(a.Kind, err), nil
	}
	for _, m := range r.State.Members() { // as it stands on a receipt's page
		for _, e := range r.State.Endorsements(m.Domain) {
			if e.ID == h {
				return c.entry(ctx, e.Index)
			}
		}
	}
	q := &Comparison{Hash: h, named: true}
	q.list(r, r.State.Statements())
	all := len(q.Versions)
	q.Versions = slices.DeleteFunc(q.Versions, func(v *Version) bool { return v.Hash != h })
	if len(q.Versions) == 0 {
		return c.unknown(a, r, h, all), nil
	}
	q.compare(ctx, q.Versions[0], nil, "") // nothing with nothing
	best, err := q.Nearest()
	if err != nil {
		return nil, err
	}
	c.compared(a, q, best)
	if size > 0 && size < r.Size {
		then, err := c.Roll(ctx, best.Statement.Statement, "", size)
		if err != nil {
			return nil, err
		}
		last := &a.Answers[len(a.Answers)-1]
		last.Reasons = append(last.Reasons, fmt.Sprintf("That is as of now. The link is to the list as of the first %s: %s behind it then.", Plural(size, "entry"), strings.Replace(strings.Replace(Stand(then.Count), "stands", "stood", 1), "stand", "stood", 1)))
	}
	return a, nil
}

// unknown says that no text of the record has a fingerprint.
func (c *Checker) unknown(a *Answer, r *verify.Report, h entry.Hash, texts int) *Answer {
	a.Code, a.Origin, a.Size, a.Replayed, a.Notice = verify.CodeNotFound, r.Origin, r.Size, true, r.Notice
	a.Sentence = fmt.Sprintf("%s has no text with the fingerprint %s, among %s up to %s.", r.Origin, h, Plural(texts, "text"), Moment(r.State.Admitted()))
	a.Answers = []verify.Answer{
		answer(verify.DidTheySign, verify.No, "No endorsement of a text with this fingerprint is in the record, among %d.", r.Entries[entry.KindEndorsement]),
		answer(verify.ThisExactText, verify.No, "None of the endorsed versions has this fingerprint."),
		answer(verify.When, verify.CouldNotCheck, "There is no endorsement to date."),
		answer(verify.DoesItStillStand, verify.CouldNotCheck, "There is no endorsement that could stand."),
	}
	a.How = []string{fmt.Sprintf("The whole record of %s was recomputed: %s, root hash %s.", r.Origin, Plural(r.Size, "entry"), r.Root)}
	a.NotTold = []string{"What text has this fingerprint: only the text itself tells that.", "Whether a text that reads the same, and differs in a byte, was endorsed: bring the text to see that."}
	return a
}

// entry judges the receipt of an entry, which is made here if all of the record was replayed; else the server is asked for it.
func (c *Checker) entry(ctx context.Context, index uint64) (*Answer, error) {
	if _, err := c.sound(); err == nil {
		receipt, _, err := c.Receipt(ctx, index)
		if err != nil {
			return unanswered("receipt", err), nil
		}
		return c.receipt(ctx, receipt, nil)
	}
	if c.record == nil || c.record.archive != nil {
		return unanswered("receipt", Failf(verify.CodeUnchecked, "there is no copy of the record to look this up in")), nil
	}
	receipt, err := c.record.fetch(ctx, "api/v1/receipt/"+strconv.FormatUint(index, 10))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unanswered("receipt", Failf(verify.CodeUnchecked, "the server has no receipt of an entry %d", index)), nil
	case err != nil:
		return unanswered("receipt", Failf(verify.CodeUnchecked, "the receipt of entry %d could not be read: %w", index, err)), nil
	}
	return c.receipt(ctx, receipt, nil)
}

// linked tells what a link to the record's ledger is about: "entry" or "organization", and which; "" if it is no such link.
func (c *Checker) linked(typed string) (kind, id string) {
	if c.record == nil || c.record.source.Base == "" {
		return "", ""
	}
	path, ok := strings.CutPrefix(typed, c.record.source.Base)
	if !ok {
		return "", ""
	}
	path, _, _ = strings.Cut(path, "#")
	path, _, _ = strings.Cut(path, "?")
	kind, id, _ = strings.Cut(path, "/")
	id, _, _ = strings.Cut(id, "/") // a receipt's page to take away has a name below it
	if kind != "entry" && kind != "organization" || id == "" {
		return "", ""
	}
	return kind, id
}

// fingerprintIn finds a fingerprint in what was typed: alone, with sha256: before it, as sha256sum prints it, or as a part of a link's path, whoever's
// it is; and the size of the record that the link asks for, 0 if none.
func fingerprintIn(typed string) (h entry.Hash, size uint64, ok bool) {
	words := strings.Fields(typed)
	switch {
	case strings.ContainsAny(typed, "\n\r") || len(words) == 0:
		return h, 0, false
	case len(words) == 1:
		typed, _, _ = strings.Cut(words[0], "#")
		path, query, _ := strings.Cut(typed, "?")
		for part := range strings.SplitSeq(query, "&") {
			if value, is := strings.CutPrefix(part, "size="); is {
				size, _ = strconv.ParseUint(value, 10, 63)
			}
		}
		for part := range strings.SplitSeq(path, "/") {
			if h, ok = hexHash(part); ok {
				return h, size, true
			}
		}
		return h, 0, false
	}
	// 955990…  statement.txt: a name has no space that makes it a sentence.
	h, ok = hexHash(words[0])
	return h, 0, ok && len(words) == 2
}

func hexHash(text string) (entry.Hash, bool) {
	text = strings.ToLower(text)
	if len(text) == 64 {
		text = "sha256:" + text
	}
	h, err := entry.ParseHash(text)
	return h, err == nil
}

// quotable is the sentence of an answer as somebody else can print it: without the word that it opens with, and with the title of "this text".
func quotable(a *Answer) string {
	s := a.Sentence
	for _, opening := range []string{"Yes, but look closer. ", "Yes. ", "Withdrawn. ", "No longer. "} {
		if rest, ok := strings.CutPrefix(s, opening); ok {
			s = rest
			break
		}
	}
	if a.Verdict != nil && a.Verdict.Title != "" {
		for _, verb := range []string{" endorsed", " endorsement of", " behind"} {
			s = strings.Replace(s, verb+" this text", verb+" “"+a.Verdict.Title+"”", 1)
		}
	}
	return s
}
