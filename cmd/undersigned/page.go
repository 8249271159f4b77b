package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/tccm/undersigned/ledger/takeaway"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// pageFlags are those of a page that checks itself.
type pageFlags struct {
	HTML  string `placeholder:"FILE" help:"Write a page that checks itself as well: one HTML file with the verifier, the receipt, the policy and the text, which opens in a browser years later without a network."`
	Whole bool   `help:"With --html: put the whole record into the page, so that it tells what still stands. The page is about the record alone if no entry is named."`
}

// check refuses what cannot be a page, before anything is read.
func (f *pageFlags) check() error {
	switch {
	case f.HTML == "" && f.Whole:
		return usagef("--whole goes with --html: it puts the whole record into the page")
	case f.HTML != "" && !takeaway.Available():
		return takeaway.ErrNoVerifier
	}
	return nil
}

// keep writes a receipt where it was asked for: to a file, into a page, or both; and without either to standard output. what is said of it, of
// a statement if it is about one; name is for the files that the page can be taken apart into.
func (c *receiptCmd) keep(ctx context.Context, a *app, rec *record, r *verify.Report, receipt []byte, about entry.Hash, name, what string) error {
	if c.HTML == "" || c.Output != "" {
		if err := a.write(c.Output, receipt); err != nil {
			return err
		}
		if c.Output != "" && c.Output != "-" {
			a.sayf("Wrote the receipt of %s to %s.\n", what, c.Output)
		}
	}
	if c.HTML == "" {
		return nil
	}
	return c.page(ctx, a, rec, r, receipt, about, name, "the receipt of "+what)
}

// whole writes the page of the record itself.
func (c *receiptCmd) whole(ctx context.Context, a *app) error {
	rec, r, closeRecord, err := a.sound(ctx, c.Policy, c.Ledger)
	if err != nil {
		return err
	}
	defer closeRecord()
	var about entry.Hash
	if c.Statement != "" || len(r.State.Statements()) == 1 {
		if about, err = a.statementIn(r.State, c.Statement); err != nil {
			return err
		}
		if _, ok := r.State.Statement(about); !ok {
			return failf(verify.CodeNotFound, "the record has no statement with the fingerprint %s", about)
		}
	}
	return c.page(ctx, a, rec, r, nil, about, "record-"+fmt.Sprint(r.Size), "the whole record")
}

// page writes the page of a receipt, or of the record if it is nil.
func (c *receiptCmd) page(ctx context.Context, a *app, rec *record, r *verify.Report, receipt []byte, about entry.Hash, name, what string) error {
	if receipt != nil && about == (entry.Hash{}) {
		return fmt.Errorf("%s is of no endorsement and of no list, so there is no page to be made of it", what)
	}
	policy, err := os.ReadFile(c.Policy)
	if err != nil {
		return unreadable(err)
	}
	p := takeaway.Page{Receipt: receipt, Policy: policy, Origin: r.Origin, Name: name, Made: a.now(), Given: takeaway.ByProgram}
	if charter := r.State.Charter(); charter != nil {
		p.Title = charter.Title
	}
	if isAddress(c.Ledger) {
		p.Link = strings.TrimSuffix(c.Ledger, "/") + "/"
	}
	if st, ok := r.State.Statement(about); ok {
		p.Title, p.About = st.Title, about
		if p.Texts, err = textsOf(ctx, rec, st); err != nil {
			return err
		}
	}
	if c.Whole {
		if p.Archive, err = packed(ctx, rec, r); err != nil {
			return err
		}
	}
	html, err := takeaway.Make(p)
	if err != nil {
		return err
	}
	if err := a.write(c.HTML, html); err != nil {
		return err
	}
	if c.HTML != "-" {
		a.sayf("Wrote a page with %s to %s.\n", what, c.HTML)
	}
	return nil
}

// textsOf reads the texts of a statement that the record has: its own first, then its renditions.
func textsOf(ctx context.Context, rec *record, st roll.Statement) (texts [][]byte, err error) {
	for _, h := range hashesOf(st) {
		text, err := rec.fetch(ctx, verify.BlobPath(h))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("cannot read the text %s: %w", h, err)
		case entry.Sum(text) == h:
			texts = append(texts, text)
		}
	}
	return texts, nil
}

// hashesOf are the fingerprints of a statement's texts.
func hashesOf(st roll.Statement) []entry.Hash {
	all := []entry.Hash{st.Statement}
	for _, x := range st.Renditions {
		all = append(all, x.Hash)
	}
	return all
}

// packed returns a replayed record as an archive, with what it keeps of past checkpoints and of texts.
func packed(ctx context.Context, rec *record, r *verify.Report) ([]byte, error) {
	sizes, err := rec.checkpoints(ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &failure{codeUnchecked, err}
	}
	var texts []entry.Hash
	for _, st := range r.State.Statements() {
		for _, h := range hashesOf(st) {
			if _, err := rec.fetch(ctx, verify.BlobPath(h)); err == nil {
				texts = append(texts, h)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	var b bytes.Buffer
	if err := verify.WriteArchive(ctx, &b, rec.fetch, sizes, texts); err != nil {
		return nil, fmt.Errorf("cannot put the record into the page: %w", err)
	}
	return b.Bytes(), nil
}
