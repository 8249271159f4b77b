package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

type submitCmd struct {
	Files   []string      `arg:"" name:"file" help:"Signed entries, or - for one on standard input."`
	Ledger  string        `setting:"" required:"" placeholder:"URL" help:"The ledger's address (https://…)."`
	Policy  string        `setting:"" placeholder:"FILE" help:"The policy file; needed only for an entry with several signatures in one name that are out of order."`
	Receipt string        `placeholder:"FILE" help:"Where the receipt goes, instead of SIGNER-INDEX.tlog-proof. For one entry."`
	Wait    time.Duration `setting:"" default:"10s" help:"How long to wait until an entry is published, 0s to 60s."`
	chainFlags
	jsonFlag
}

// Help shows how the command is used.
func (submitCmd) Help() string {
	return `An entry that is in the record already gets the same answer again: it is safe to repeat. Exit code 3 means stored, but not yet published.

Example:

	undersigned submit --ledger https://ledger.example/ entry
`
}

// Run sends entries.
func (c *submitCmd) Run(ctx context.Context, a *app) error {
	if err := c.valid(); err != nil {
		return err
	}
	w := &writeFlags{recordFlags: recordFlags{c.Ledger, c.Policy}, Receipt: c.Receipt, Wait: c.Wait, jsonFlag: c.jsonFlag, chain: &c.chainFlags}
	w.PasswordFD = -1
	if err := w.Validate(); err != nil {
		return usagef("%w", err)
	}
	if c.Receipt != "" && len(c.Files) > 1 {
		return usagef("--receipt names one file, and there are %d entries", len(c.Files))
	}
	cl, err := newClient(c.Ledger)
	if err != nil {
		return err
	}
	for _, path := range c.Files {
		e, err := c.whole(ctx, a, path)
		if err == nil {
			err = w.submit(ctx, a, cl, e)
		}
		if err != nil {
			if len(c.Files) > 1 && !errors.Is(err, errSaid) {
				return fmt.Errorf("%s: %w", nameOf(path), err)
			}
			return err
		}
	}
	return nil
}

// whole reads an entry that everybody has signed. Where signatures are out of order, the record says whose they are.
func (c *submitCmd) whole(ctx context.Context, a *app, path string) (*entry.Entry, error) {
	d, err := a.readDraft(path)
	if err != nil {
		return nil, err
	}
	d.settleRest()
	if len(d.loose) > 0 && c.Policy != "" {
		at, err := (&recordFlags{c.Ledger, c.Policy}).open(ctx, a)
		if err != nil {
			return nil, err
		}
		defer at.Close()
		known := map[keys.Ref]*keys.PublicKey{}
		for _, n := range d.entry.Named() {
			if k, ok := at.state.Key(n.Ref); ok {
				known[n.Ref] = k.Public
			}
		}
		if err := d.settle(known); err != nil {
			return nil, err
		}
	}
	missing := d.entry.Missing()
	switch {
	case len(missing) == 0:
		return d.entry, nil
	case len(d.loose) == len(missing) && len(d.unaccounted(missing)) == 0:
		return nil, usagef("%s has several signatures in one name; give --policy as well, so that the record can tell them apart", nameOf(path))
	}
	var who []string
	for _, n := range d.unaccounted(missing) {
		who = append(who, holder(d.entry, n)+" with "+n.Ref.String())
	}
	return nil, fmt.Errorf("%s is not signed by everybody it names: %s must sign (undersigned sign or attach)", nameOf(path), strings.Join(who, ", "))
}

type receiptCmd struct {
	Index     *uint64 `arg:"" optional:"" help:"The entry's index in the record."`
	Ledger    string  `setting:"" required:"" placeholder:"SRC" help:"The record: an address, a directory with a ledger, or an archive."`
	Policy    string  `setting:"" required:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count."`
	Domain    string  `setting:"" placeholder:"DOMAIN" help:"Instead of an index: the organization whose last word on the statement it is."`
	Statement string  `placeholder:"FILE" help:"Instead of an index: the text, or its fingerprint sha256:…."`
	Roll      bool    `help:"A receipt of the sealed list: that the organization (--domain) was on it or not, or without one the whole list."`
	AsOf      string  `placeholder:"DATE" help:"With --roll: the list as it was at the end of this day (UTC). Without it: the newest that is sealed."`
	Output    string  `short:"o" placeholder:"FILE" help:"Where the receipt goes, instead of standard output."`
	pageFlags
}

// Help shows how the command is used.
func (receiptCmd) Help() string {
	return `The receipt is made here, from a record that was replayed first: the server is not asked for one.

Example:

	undersigned receipt --ledger https://ledger.example/ --policy policy.txt --domain apnic.net --statement statement.txt -o apnic.net.tlog-proof
	undersigned receipt --ledger archive.zip --policy policy.txt -o entry-57.tlog-proof 57
	undersigned receipt --roll --ledger archive.zip --policy policy.txt --statement statement.txt --as-of 2024-06-11 --domain example.org -o example.org.tlog-proof
	undersigned receipt --ledger archive.zip --policy policy.txt --domain apnic.net --html apnic.net.html
	undersigned receipt --ledger archive.zip --policy policy.txt --whole --html record.html
`
}

// Run makes a receipt.
func (c *receiptCmd) Run(ctx context.Context, a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Roll {
		return c.roll(ctx, a)
	}
	if c.AsOf != "" {
		return usagef("--as-of goes with --roll: it says of which day the list is")
	}
	if c.Whole && c.Index == nil && c.Domain == "" {
		return c.whole(ctx, a)
	}
	if c.Index == nil && c.Domain == "" || c.Index != nil && c.Statement != "" {
		return usagef("name either the index of an entry, or an organization and a statement (--domain, --statement)")
	}
	rec, r, closeRecord, err := a.sound(ctx, c.Policy, c.Ledger)
	if err != nil {
		return err
	}
	defer closeRecord()
	index, err := c.index(a, r)
	if err != nil {
		return err
	}
	receipt, err := check.MakeReceipt(ctx, r, rec.fetch, index)
	if err != nil {
		return fmt.Errorf("cannot make the receipt: %w", err)
	}
	var about entry.Hash
	name := fmt.Sprintf("entry-%d", index)
	if l, err := entry.ParseLeaf(receipt.Leaf); err == nil {
		if b, ok := l.Entry.Body.(*entry.Endorsement); ok {
			about, name = b.Statement, fmt.Sprintf("%s-%d", l.Entry.Signer, index)
		}
	}
	return c.keep(ctx, a, rec, r, receipt.Bytes(), about, name, fmt.Sprintf("entry %d", index))
}

func (c *receiptCmd) index(a *app, r *verify.Report) (uint64, error) {
	if c.Index != nil {
		if *c.Index >= r.Size {
			return 0, failf(verify.CodeNotFound, "the record has %s, the first of them with index 0: there is none with index %d", plural(r.Size, "entry"), *c.Index)
		}
		return *c.Index, nil
	}
	h, err := a.statementIn(r.State, c.Statement)
	if err != nil {
		return 0, err
	}
	e, ok := r.State.Endorsement(c.Domain, h)
	if !ok {
		return 0, failf(verify.CodeNotFound, "there is no endorsement of %s by %s in the record, among %s", h, c.Domain, plural(r.Size, "entry"))
	}
	return e.Index, nil
}

// roll makes a receipt of a sealed list.
func (c *receiptCmd) roll(ctx context.Context, a *app) error {
	if c.Index != nil {
		return usagef("--roll finds the sealed list by the statement and the day (--statement, --as-of), not by an index")
	}
	if c.Domain != "" {
		if err := keys.CheckDomain(c.Domain); err != nil {
			return usagef("%q is not a domain as the record writes them (%w); an internationalized one is written with xn--", c.Domain, plain(err))
		}
	}
	end := a.now()
	if c.AsOf != "" {
		date, err := time.Parse(entry.DateFormat, c.AsOf)
		if err != nil {
			return usagef("--as-of %q is not a date such as 2024-06-11", c.AsOf)
		}
		if date.After(end) {
			return usagef("--as-of %s has not come yet: nobody can know who will stand behind the statement then", c.AsOf)
		}
		end = date.AddDate(0, 0, 1).Add(-time.Millisecond)
	}
	rec, r, closeRecord, err := a.sound(ctx, c.Policy, c.Ledger)
	if err != nil {
		return err
	}
	defer closeRecord()
	h, err := a.statementIn(r.State, c.Statement)
	if err != nil {
		return err
	}
	sealed, err := sealedAt(r.State, h, end)
	if err != nil {
		return err
	}
	if c.AsOf != "" && sealed.AsOf.Before(end) && short(r, end, a.now()) {
		return failf(codeUnchecked, "this copy of the record cannot tell who stood behind the statement on %s: nothing shows that it reaches so far. There is a list as of %s", c.AsOf, moment(sealed.AsOf))
	}
	s, err := check.ReceiptSource(ctx, r, rec.fetch)
	if err != nil {
		return fmt.Errorf("cannot make the receipt: %w", err)
	}
	p, err := a.policy(c.Policy)
	if err != nil {
		return err
	}
	s.Checkpoint = p.Prefer(rec.notesOver(ctx, sealed.Index, r, s)...)
	receipt, whole, err := verify.MakeRollReceipt(s, sealed.Index, c.Domain)
	if err != nil {
		return fmt.Errorf("cannot make the receipt: %w", err)
	}
	name := c.Domain
	if name == "" {
		name = "signatories"
	}
	what := fmt.Sprintf("the list as of %s, sealed by entry %d", moment(sealed.AsOf), sealed.Index)
	if err := c.keep(ctx, a, rec, r, receipt.Bytes(), h, fmt.Sprintf("%s-%d", name, sealed.Index), what); err != nil {
		return err
	}
	if !whole {
		a.sayf("With all endorsements and what they quote it would be larger than %d MiB, so not all of that is in it.\n", verify.MaxReceipt>>20)
	}
	return nil
}

// notesOver returns the notes under which the receipt of an entry can be made, of copies of the record that the audited one continues. Under
// the first that covers the entry it says best by when that existed; a witness may have come later to it, or to the newest.
func (r *record) notesOver(ctx context.Context, index uint64, audited *verify.Report, s verify.RollSource) [][]byte {
	var paths []string
	if size, ok := r.covering(ctx, index); ok {
		paths = append(paths, verify.CheckpointPath(size), verify.CheckpointPath(size)+"/latest")
	}
	paths = append(paths, verify.CheckpointPath(audited.Size)+"/latest", "checkpoint")
	var notes [][]byte
	for _, path := range paths {
		note, err := r.fetch(ctx, path)
		if err != nil {
			continue
		}
		text, _, _ := bytes.Cut(note, []byte("\n\n"))
		c, err := verify.ParseCheckpoint(note[:min(len(text)+1, len(note))])
		if err != nil || c.Size <= index || c.Size > audited.Size {
			continue
		}
		if root, err := verify.RootAt(c.Size, s.Nodes); err == nil && root == c.Root {
			notes = append(notes, note)
		}
	}
	return append(notes, s.Checkpoint)
}

// sealedAt returns the roll that says who stood behind a statement at a moment.
func sealedAt(s *roll.State, h entry.Hash, end time.Time) (roll.Sealed, error) {
	sealed, near, ok := s.SealedAt(h, s.Size(), end)
	if ok {
		return sealed, nil
	}
	also := ""
	for _, r := range near {
		also += fmt.Sprintf(" There is one as of %s.", moment(r.AsOf))
	}
	return roll.Sealed{}, failf(codeUnchecked, "no list of this statement is sealed that says who stood behind it on %s.%s The command roll computes it from the record", moment(end), also)
}
