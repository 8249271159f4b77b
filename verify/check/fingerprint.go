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
	typed = strings.TrimSpace(typed)
	h, ok := fingerprintIn(typed)
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
	if then := c.listThen(r, best.Statement.Statement, typed); then != "" {
		last := &a.Answers[len(a.Answers)-1]
		last.Reasons = append(last.Reasons, then)
	}
	return a, nil
}

// listThen tells of the list of another size, or as of another moment, that a link to the record's ledger asks for; "" if it asks for none. Elsewhere
// a size is another record's.
func (c *Checker) listThen(r *verify.Report, statement entry.Hash, typed string) string {
	path, query, _ := strings.Cut(strings.SplitN(typed, "#", 2)[0], "?")
	if _, ok := c.below(path); !ok {
		return ""
	}
	size, at, of := r.Size, r.State.Admitted(), ""
	for part := range strings.SplitSeq(query, "&") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "size":
			if n, err := strconv.ParseUint(value, 10, 63); err == nil && n > 0 && n != r.Size {
				size, of = n, of+" of the first "+Plural(n, "entry")
			}
		case "as-of":
			if m, err := verify.ParseMoment(value); err == nil && m.Time.Before(at) {
				at, of = m.Time, of+" as of "+Moment(m.Time)
			}
		}
	}
	switch {
	case of == "":
		return ""
	case size > r.Size:
		return fmt.Sprintf("That is as of now. The link is to a list%s, and this copy of the record has %s.", of, Plural(r.Size, "entry"))
	}
	var standing int
	for _, w := range r.State.LastWords(statement, size, at) {
		if w.Action == entry.Endorse {
			standing++
		}
	}
	who := "nobody"
	if standing > 0 {
		who = Plural(standing, "organization")
	}
	return fmt.Sprintf("That is as of now. The link is to the list%s: %s stood behind it then.", of, who)
}

// unknown says that no text of the record has a fingerprint.
func (c *Checker) unknown(a *Answer, r *verify.Report, h entry.Hash, texts int) *Answer {
	a.Code, a.Origin, a.Size, a.Replayed, a.Notice = verify.CodeNotFound, r.Origin, r.Size, true, r.Notice
	a.Sentence = fmt.Sprintf("%s has no text with the fingerprint %s, among %s up to %s.", r.Origin, h, Plural(texts, "text"), Moment(r.State.Admitted()))
	a.Answers = []verify.Answer{
		answer(verify.DidTheySign, verify.No, "No endorsement of a text with this fingerprint is in the record, among %d endorsements and withdrawals.", r.Entries[entry.KindEndorsement]),
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
		if a, err := c.subject(ctx, receipt, index); a != nil || err != nil {
			return a, err
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
	a, err := c.receipt(ctx, receipt, nil)
	if err != nil {
		return nil, err
	}
	if r, err := verify.ParseReceipt(receipt); err == nil && r.Index != index || a.Origin != "" && a.Origin != c.record.view.Origin {
		return unanswered("receipt", Failf(verify.CodeContradiction, "the server sent the receipt of something else than entry %d of this record", index)), nil
	}
	if a.Code == verify.CodeNotFound { // it is there, and no endorsement
		if about, err := c.subject(ctx, receipt, index); about != nil || err != nil {
			return about, err
		}
	}
	return a, nil
}

// subject answers about what a link to an entry is to that is no endorsement: the organization that speaks of itself or its keys in it, or the text.
// It is nil for what no question can be asked about, and for endorsements.
func (c *Checker) subject(ctx context.Context, receipt []byte, index uint64) (a *Answer, err error) {
	r, err := verify.ParseReceipt(receipt)
	if err != nil {
		return nil, nil // which the judge says
	}
	l, err := entry.ParseLeaf(r.Leaf)
	if err != nil {
		return nil, nil
	}
	switch b := l.Entry.Body.(type) {
	case *entry.Membership:
		a, err = c.Organization(ctx, b.Member, nil)
	case *entry.KeyEvent:
		a, err = c.Organization(ctx, b.Member, nil)
	case *entry.Statement:
		a, err = c.fingerprint(ctx, b.Statement.String())
	}
	if a != nil && err == nil {
		a.How = slices.Insert(a.How, 0, fmt.Sprintf("The link is to entry %d, a %s entry, and not to an endorsement.", index, l.Entry.Body.Kind()))
	}
	return a, err
}

// below is what of an address is below that of the record's ledger, the server of which may be written in capitals; false if it is not there.
func (c *Checker) below(address string) (path string, ok bool) {
	if c.record == nil || c.record.source.Base == "" {
		return "", false
	}
	return strings.CutPrefix(lower(address), lower(c.record.source.Base))
}

// lower writes the server of an address in lower case: whoever keeps a ledger may name it in capitals, too.
func lower(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	host, path, _ := strings.Cut(rest, "/")
	return strings.ToLower(scheme+"://"+host) + "/" + path
}

// linked tells what a link to the record's ledger is about: "entry" or "organization", and which; "" if it is no such link.
func (c *Checker) linked(typed string) (kind, id string) {
	path, ok := c.below(typed)
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
// it is. Of two that differ none is meant.
func fingerprintIn(typed string) (h entry.Hash, ok bool) {
	if strings.ContainsAny(typed, "\n\r") {
		return h, false
	}
	words := strings.Fields(typed)
	if len(typed) > 66 && (typed[64:66] == "  " || typed[64:66] == " *") { // a file's name may have spaces
		words = []string{typed[:64], typed[66:]}
	}
	switch len(words) {
	case 1:
		path, _, _ := strings.Cut(words[0], "#")
		path, _, _ = strings.Cut(path, "?")
		for part := range strings.SplitSeq(path, "/") {
			if found, is := hexHash(part); is {
				if ok && found != h {
					return entry.Hash{}, false
				}
				h, ok = found, true
			}
		}
		return h, ok
	case 2:
		// 955990…  statement.txt: where it is not as sha256sum prints it, a name has no space that makes it a sentence.
		h, ok = hexHash(words[0])
		if other, is := hexHash(words[1]); is && other != h {
			return entry.Hash{}, false
		}
	}
	return h, ok
}

func hexHash(text string) (entry.Hash, bool) {
	text = strings.ToLower(text)
	if len(text) == 64 {
		text = "sha256:" + text
	}
	h, err := entry.ParseHash(text)
	return h, err == nil
}
