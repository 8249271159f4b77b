package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify"
)

type restoreCmd struct {
	Source string `arg:"" name:"src" help:"What to rebuild it from: an archive, a directory of tiles, a directory with a ledger or a backup, or an address."`
	Dir    string `arg:"" help:"Where the ledger will be. The directory is made if need be, and must hold no ledger."`
	Policy string `setting:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count. Without it: policy.txt in, or beside, SRC."`
	jsonFlag
}

// Help shows how the command is used.
func (restoreCmd) Help() string {
	return `Everything is checked as audit does it, then rebuilt from the entries up, and compared with every checkpoint that the source holds. Nothing is left in DIR if any of it differs.

No copy holds the log's keys or the record of what they signed last: put DIR/keys there yourself, from the ledger that it replaces. If that record says that more was signed than the copy holds, serve refuses to sign. Where the record is lost, docs/operations.md ("The disk is lost") tells how to go on.

A ledger's store is upgraded in the same way: stop it, restore from its directory into a new one, and move DIR/keys, which restore does not touch. Entries that no checkpoint covers yet, and what was taken down, come along then.

Example:

	undersigned restore --policy policy.txt record.zip ledger2
	undersigned restore ledger ledger2
`
}

// Run rebuilds a ledger.
func (c *restoreCmd) Run(ctx context.Context, a *app) error {
	if err := mayRead(c.Source); err != nil {
		return err
	}
	beside := c.Policy == ""
	if beside {
		if c.Policy = policyBeside(c.Source); c.Policy == "" {
			return usagef("--policy is needed: no %s lies with %s", policyFile, c.Source)
		}
	}
	policy, err := a.read(c.Policy, verify.MaxPolicy)
	if err != nil {
		return unreadable(err)
	}
	p, err := verify.ParsePolicy(policy)
	if err != nil {
		return fmt.Errorf("cannot use the policy %s: %w", nameOf(c.Policy), err)
	}
	if _, err := os.Lstat(filepath.Join(c.Dir, boltstore.File)); err == nil {
		return fmt.Errorf("%s has a ledger already; name another directory", c.Dir)
	}
	if err := ownersAlone(c.Dir, os.Geteuid()); err != nil {
		return err
	}
	rec, err := openRecord(ctx, c.Source)
	if err != nil {
		return err
	}
	defer rec.Close()
	o := ledger.RestoreOptions{Policy: p}
	if o.Paths, err = rec.paths(ctx); errors.Is(err, fs.ErrNotExist) {
		a.sayf("%s does not tell which checkpoints it keeps: those that entries quote, and the newest, come along.\n", c.Source)
	} else if err != nil {
		return err
	}
	heard := &listener{fetch: rec.fetch}
	o.Fetch = heard.get
	if rec.ledger != nil {
		if o.Tail, err = rec.ledger.Unpublished(ctx); err != nil {
			return err
		}
		if o.Withheld, err = rec.ledger.Withheld(ctx); err != nil {
			return err
		}
	}
	progress, done := a.progress("Restoring")
	defer done()
	o.Progress = progress

	made := false
	if _, err := os.Stat(c.Dir); errors.Is(err, fs.ErrNotExist) {
		made = true
	}
	if err := makeDirectory(c.Dir); err != nil {
		return fmt.Errorf("cannot make the ledger's directory: %w", err)
	}
	var report *ledger.RestoreReport
	err = boltstore.Build(c.Dir, func(s ledger.Store) (err error) {
		report, err = ledger.Restore(ctx, s, o)
		return err
	}, func(s ledger.Store) error { return sameRecord(ctx, s, report) })
	if err != nil {
		if made {
			os.Remove(c.Dir)
		}
		if heard.offline != nil {
			a.sayf("undersigned: %v\n", heard.offline)
		}
		return err
	}
	if _, err := os.Lstat(filepath.Join(c.Dir, policyFile)); errors.Is(err, fs.ErrNotExist) {
		if err := writeFile(filepath.Join(c.Dir, policyFile), policy); err != nil {
			return err
		}
	}
	done()
	if err := c.retired(a, p, report.Checkpoint.Origin); err != nil {
		return err
	}
	return c.say(a, report, beside)
}

// retired puts the list of the log's retired keys that came with the copy beside the policy. A ledger's own list moves
// with its keys.
func (c *restoreCmd) retired(a *app, p *verify.Policy, origin string) error {
	path := retiredWith(c.Source)
	if path == "" || retiredIn(c.Dir) != "" || path == filepath.Join(c.Source, keysDir, retiredFile) {
		return nil
	}
	retired, err := readRetiredFile(path, origin)
	if err != nil {
		return err
	}
	for _, r := range retired {
		if !slices.ContainsFunc(p.Logs(), func(l verify.PolicyLog) bool { return l.VKey.SameKey(r.VKey) }) {
			a.sayf("%s names keys that the policy does not, and was left where it is.\n", path)
			return nil
		}
	}
	return writeRetired(filepath.Join(c.Dir, retiredFile), retired)
}

// sameRecord recomputes what is in the file and holds it to what was restored.
func sameRecord(ctx context.Context, s ledger.Store, want *ledger.RestoreReport) error {
	r, err := ledger.Check(ctx, s, ledger.CheckOptions{Origin: want.Checkpoint.Origin, HashesOnly: true})
	switch {
	case err != nil:
		return err
	case !r.OK():
		return fmt.Errorf("what was written is not what was restored: %s: %w", r.Flaws[0], ledger.ErrCorrupt)
	case r.Size != want.Size || r.Root != want.Root || r.Published != want.Checkpoint.Size || r.Checkpoints != want.Checkpoints || r.Commits != want.Commits:
		return fmt.Errorf("what was written is not what was restored: %d entries instead of %d: %w", r.Size, want.Size, ledger.ErrCorrupt)
	}
	return nil
}

// say tells what was restored, what was not, and how to go on.
func (c *restoreCmd) say(a *app, r *ledger.RestoreReport, beside bool) error {
	root := base64Of(r.Root[:])
	if c.JSON {
		return a.json(struct {
			Schema      string `json:"schema"`
			Origin      string `json:"origin"`
			Dir         string `json:"dir"`
			Size        uint64 `json:"size"`
			Root        string `json:"root"`
			Published   uint64 `json:"published"`
			Checkpoints int    `json:"checkpoints"`
			Texts       int    `json:"texts"`
			Missing     int    `json:"missing_texts"`
			Withheld    int    `json:"withheld_texts"`
		}{"undersigned/restore/v1", r.Checkpoint.Origin, c.Dir, r.Size, root, r.Checkpoint.Size, r.Checkpoints, r.Texts, r.Missing, r.Withheld})
	}
	a.printf("Restored %s of %s to %s: root hash %s, the same at every one of %s.\n", plural(r.Size, "entry"), r.Checkpoint.Origin, c.Dir, root, plural(r.Checkpoints, "checkpoint"))
	a.printf("Texts %d, taken down %d, missing %d.\n", r.Texts, r.Withheld, r.Missing)
	if beside {
		a.sayf("It was checked under %s, which came with it: make sure that it is the policy that you know.\n", c.Policy)
	}
	a.sayf("The log's keys and the record of what they signed last are in no copy, and entries recorded after this one was made are not in it.\n")
	a.sayf("To go on, put the keys and that record into %s and serve it: undersigned serve --dir %s\n", filepath.Join(c.Dir, keysDir), c.Dir)
	a.sayf("If the record is lost, do not sign before you have looked for the newest checkpoint that anybody else has: docs/operations.md, \"The disk is lost\", tells how to go on.\n")
	return nil
}
