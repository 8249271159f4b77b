package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

type backupCmd struct {
	Source string `arg:"" name:"src" help:"The ledger's directory, whether or not it is being served. For an archive or tiles also an address or an archive."`
	Dest   string `arg:"" help:"Where the copy goes: a new or empty directory, or a new file for an archive."`
	As     string `default:"database" enum:"database,archive,tiles" help:"What to make: ${enum}."`
	Policy string `setting:"" placeholder:"FILE" help:"The policy file that the copy is checked under. A database of a SRC with keys is checked by these unless the flag itself is given; else, without a policy, policy.txt in SRC counts."`
	jsonFlag
}

// Help shows how the command is used.
func (backupCmd) Help() string {
	return `The copy is of one moment, is checked from its first entry to its last, and only then gets its name. It never holds a key or the record of what was signed last: those stay with the ledger, and an old copy of that record would be no protection. If the log's keys were ever changed, the public list of those of before comes along: as retired.txt in a database, as DEST.retired.txt beside an archive or tiles.

A database is what serve and restore take; an archive is one file, for anybody; tiles are the files of the record under the paths of its address, for any web server. An archive and tiles hold the published record, a database also entries that no checkpoint covers yet.

Example:

	undersigned backup ledger backup-2024-06-11
	undersigned backup --as archive ledger record.zip
	undersigned backup --as tiles --policy policy.txt ledger /var/www/record
`
}

// Run makes and checks a copy.
func (c *backupCmd) Run(ctx context.Context, a *app, parsed *kong.Context) error {
	if err := mayRead(c.Source); err != nil {
		return err
	}
	// A reader's setting must not stand in for the keys that sign this ledger.
	if c.As == "database" && hasKeys(c.Source) && !isGiven(parsed, "policy") {
		c.Policy = ""
	} else if c.Policy == "" {
		c.Policy = policyBeside(c.Source)
	}
	switch c.As {
	case "archive":
		return c.archive(ctx, a)
	case "tiles":
		return c.tiles(ctx, a)
	}
	return c.database(ctx, a)
}

// hasKeys says whether a ledger's directory has the log's keys, each of which must then have signed every checkpoint.
func hasKeys(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, keysDir))
	return err == nil
}

// policyBeside returns the policy file that lies with a copy of a record, "" if there is none.
func policyBeside(src string) string {
	if isAddress(src) {
		return ""
	}
	path := filepath.Join(src, policyFile)
	if info, err := os.Stat(src); err == nil && !info.IsDir() {
		path = filepath.Join(filepath.Dir(src), policyFile)
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// isAddress says whether SRC is the address of a server.
func isAddress(src string) bool {
	return strings.HasPrefix(src, "http://") || strings.HasPrefix(src, "https://")
}

// newDirectory makes a directory that must be empty or not there. undo removes it if it was made here and is empty.
func newDirectory(dir string) (undo func(), err error) {
	undo = func() {}
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDirectory(dir); err != nil {
			return nil, fmt.Errorf("cannot make a directory: %w", err)
		}
		return func() { os.Remove(dir) }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use %s: %w", dir, err)
	}
	if len(list) > 0 {
		return nil, fmt.Errorf("%s is not empty; name a new directory, so that nothing is overwritten", dir)
	}
	return undo, nil
}

// database copies the store.
func (c *backupCmd) database(ctx context.Context, a *app) error {
	if err := hasStore(c.Source); errors.Is(err, fs.ErrNotExist) {
		return failf(codeUnchecked, "%w; a copy of anything else is made with --as archive or tiles", err)
	} else if err != nil {
		return &failure{codeUnchecked, err}
	}
	undo, err := newDirectory(c.Dest)
	if err != nil {
		return err
	}
	defer undo()
	temp := filepath.Join(c.Dest, boltstore.File+".unchecked")
	if err := copyStore(ctx, c.Source, temp); err != nil {
		return err
	}
	report, err := c.check(ctx, a, temp)
	if err != nil {
		os.Remove(temp)
		return err
	}
	if !report.OK() {
		bad := filepath.Join(c.Dest, boltstore.File+".bad")
		if err := os.Rename(temp, bad); err != nil {
			bad = temp
		}
		a.printf("This copy is bad and must not be relied on: %s found. It is left as %s.\n", plural(report.FlawCount, "flaw"), bad)
		for _, f := range report.Flaws {
			a.printf("%s: %s\n", f.Where, f.Problem)
		}
		return answered(verify.CodeContradiction)
	}
	if b, err := os.ReadFile(filepath.Join(c.Source, policyFile)); err == nil {
		if err := writeFile(filepath.Join(c.Dest, policyFile), b); err != nil {
			return err
		}
	}
	if path := retiredWith(c.Source); path != "" {
		if err := c.retired(path, filepath.Join(c.Dest, retiredFile)); err != nil {
			return err
		}
	}
	if err := boltstore.Install(temp, c.Dest); err != nil {
		return fmt.Errorf("cannot give the copy its name: %w", err)
	}
	root := base64Of(report.Root[:])
	return c.done(a, report.Size, report.Published, root, report.Checkpoints, report.Blobs)
}

// retired copies the list of the log's retired keys.
func (c *backupCmd) retired(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("cannot read the list of the log's retired keys: %w", err)
	}
	return writeFile(to, b)
}

// beside puts the list of the log's retired keys beside an archive or a directory of tiles.
func (c *backupCmd) beside(install func() error) func() error {
	path := retiredWith(c.Source)
	if path == "" {
		return install
	}
	return func() error {
		if err := c.retired(path, retiredBeside(c.Dest)); err != nil {
			return err
		}
		return install()
	}
}

// done says what was made.
func (c *backupCmd) done(a *app, size, published uint64, root string, checkpoints, texts int) error {
	if c.JSON {
		return a.json(struct {
			Schema      string `json:"schema"`
			As          string `json:"as"`
			Dest        string `json:"dest"`
			Size        uint64 `json:"size"`
			Root        string `json:"root"`
			Published   uint64 `json:"published"`
			Checkpoints int    `json:"checkpoints"`
			Texts       int    `json:"texts"`
		}{"undersigned/backup/v1", c.As, c.Dest, size, root, published, checkpoints, texts})
	}
	a.printf("Copied %s to %s: root hash %s, checkpoint %d, everything verified.\n", plural(size, "entry"), c.Dest, root, published)
	a.printf("Checkpoints %d, texts %d.\n", checkpoints, texts)
	return nil
}

// copyStore makes a new file with a copy of a directory's store, durably.
func copyStore(ctx context.Context, dir, path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write the copy: %w", err)
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(path)
		}
	}()
	lacking, err := takeCopy(ctx, dir, f)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("cannot write the copy: %w", err)
	}
	if len(lacking) > 0 {
		if err := boltstore.Complete(ctx, path, lacking...); err != nil {
			return fmt.Errorf("cannot write the copy: %w", err)
		}
	}
	return nil
}

// check checks a copy of the store as fsck does.
func (c *backupCmd) check(ctx context.Context, a *app, path string) (*ledger.CheckReport, error) {
	store, flaws, err := boltstore.InspectFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot check the copy: %w", err)
	}
	defer store.Close()
	report, err := (&fsckCmd{Dir: c.Source, Policy: c.Policy}).check(ctx, a, store)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil && !errors.Is(err, ledger.ErrCorrupt) && !errors.Is(err, ledger.ErrEmpty) {
		return nil, fmt.Errorf("cannot check the copy: %w", err)
	}
	if err != nil {
		report.Flaws = append(report.Flaws, ledger.Flaw{Where: boltstore.File, Problem: err.Error()})
		report.FlawCount++
	}
	report.Flaws = append(append([]ledger.Flaw{}, flaws...), report.Flaws...)
	report.FlawCount += len(flaws)
	return report, nil
}

// open opens the source: a copy of its store beside DEST, if it is a directory that is being served.
func (c *backupCmd) open(ctx context.Context) (rec *record, done func(), err error) {
	if c.Policy == "" {
		return nil, nil, usagef("--policy is needed: there is no %s in %s", policyFile, c.Source)
	}
	if !mayBeServed(c.Source) {
		rec, err = openRecord(ctx, c.Source)
		if err == nil {
			return rec, func() { rec.Close() }, nil
		}
		if !errors.Is(err, ledger.ErrInUse) {
			return nil, nil, err
		}
	}
	temp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(c.Dest)), ".undersigned-")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a copy to work from: %w", err)
	}
	if err = copyStore(ctx, c.Source, filepath.Join(temp, boltstore.File)); err == nil {
		rec, err = openRecord(ctx, temp)
	}
	if err != nil {
		os.RemoveAll(temp)
		return nil, nil, err
	}
	return rec, func() { rec.Close(); os.RemoveAll(temp) }, nil
}

// fits refuses a policy that is not one of this record before anything is written.
func (c *backupCmd) fits(ctx context.Context, a *app, rec *record) error {
	p, err := a.policy(c.Policy)
	if err != nil {
		return err
	}
	note, err := rec.fetch(ctx, "checkpoint")
	if err != nil {
		return fmt.Errorf("cannot read the checkpoint of %s: %w", c.Source, err)
	}
	return policyFits(p, note)
}

// mayBeServed says whether a process may be serving a directory, or was and could not end in good order.
func mayBeServed(src string) bool {
	if isAddress(src) {
		return false
	}
	_, err := os.Lstat(filepath.Join(src, controlFile))
	return err == nil || errors.Is(nobodySigns(src), ledger.ErrInUse)
}

// contents returns which notes and texts of a record to copy.
func (c *backupCmd) contents(ctx context.Context, a *app, rec *record) (sizes []uint64, texts []entry.Hash, err error) {
	paths, err := rec.paths(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot list what %s holds: %w", c.Source, err)
	}
	for _, path := range paths {
		if size, ok := checkpointSize(path); ok {
			sizes = append(sizes, size)
		}
	}
	if rec.ledger != nil {
		texts, err = rec.ledger.Blobs(ctx)
		return sizes, texts, err
	}
	// The record itself says which texts there may be.
	p, err := a.policy(c.Policy)
	if err != nil {
		return nil, nil, err
	}
	r, err := a.audit(ctx, p, rec, verify.AuditOptions{})
	if err != nil {
		return nil, nil, err
	}
	if !r.OK {
		return nil, nil, failf(r.Code, "the record does not hold, so it was not copied: %s", r.Sentence)
	}
	for _, st := range r.State.Statements() {
		named := []entry.Hash{st.Statement}
		for _, rendition := range st.Renditions {
			named = append(named, rendition.Hash)
		}
		for _, h := range named {
			_, err := rec.fetch(ctx, verify.BlobPath(h))
			if err == nil {
				texts = append(texts, h)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, nil, err
			}
		}
	}
	return sizes, texts, nil
}

// checkpointSize reads the size from the path of a published note.
func checkpointSize(path string) (size uint64, ok bool) {
	n, err := fmt.Sscanf(path, "checkpoints/%d", &size)
	return size, err == nil && n == 1 && verify.CheckpointPath(size) == path
}

// archive writes the record into one file.
func (c *backupCmd) archive(ctx context.Context, a *app) error {
	if _, err := os.Lstat(c.Dest); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already; name a new file, so that nothing is overwritten", c.Dest)
	}
	rec, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := c.fits(ctx, a, rec); err != nil {
		return err
	}
	sizes, texts, err := c.contents(ctx, a, rec)
	if err != nil {
		return err
	}
	temp := c.Dest + ".unchecked"
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("cannot write the archive: %w", err)
	}
	err = verify.WriteArchive(ctx, f, rec.fetch, sizes, texts)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(temp)
		return fmt.Errorf("cannot write the archive: %w", err)
	}
	return c.accept(ctx, a, temp, c.beside(func() error {
		// A link never replaces a file that another process made meanwhile.
		if err := os.Link(temp, c.Dest); err != nil {
			return err
		}
		return errors.Join(os.Remove(temp), syncDirectory(filepath.Dir(c.Dest)))
	}))
}

// tiles writes the record into a directory.
func (c *backupCmd) tiles(ctx context.Context, a *app) error {
	c.Dest = filepath.Clean(c.Dest)
	undo, err := newDirectory(c.Dest)
	if err != nil {
		return err
	}
	defer undo()
	rec, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := c.fits(ctx, a, rec); err != nil {
		return err
	}
	sizes, texts, err := c.contents(ctx, a, rec)
	if err != nil {
		return err
	}
	temp := c.Dest + ".unchecked"
	if err := os.Mkdir(temp, 0o755); err != nil {
		return fmt.Errorf("cannot write the tiles: %w", err)
	}
	made := map[string]bool{temp: true}
	err = verify.WriteTree(ctx, func(path string, data []byte) error {
		file := filepath.Join(temp, filepath.FromSlash(path))
		dir := filepath.Dir(file)
		for d := dir; !made[d]; d = filepath.Dir(d) {
			made[d] = true
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		return writeDurably(file, data)
	}, rec.fetch, sizes, texts)
	for dir := range made {
		err = errors.Join(err, syncDirectory(dir))
	}
	if err != nil {
		os.RemoveAll(temp)
		return fmt.Errorf("cannot write the tiles: %w", err)
	}
	return c.accept(ctx, a, temp, c.beside(func() error {
		// The directory is empty, or this fails.
		if err := os.Remove(c.Dest); err != nil {
			return err
		}
		return errors.Join(os.Rename(temp, c.Dest), syncDirectory(filepath.Dir(c.Dest)))
	}))
}

// writeDurably makes a new file.
func writeDurably(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDirectory makes the names in a directory durable, where a system can do that.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil // it may be written to, and not read
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}

// accept audits an archive, packed or not, and installs it if it holds.
func (c *backupCmd) accept(ctx context.Context, a *app, temp string, install func() error) error {
	p, err := a.policy(c.Policy)
	if err != nil {
		os.RemoveAll(temp)
		return err
	}
	rec, err := openRecord(ctx, temp)
	if err != nil {
		os.RemoveAll(temp)
		return err
	}
	r, err := a.audit(ctx, p, rec, verify.AuditOptions{})
	rec.Close()
	if err != nil {
		os.RemoveAll(temp)
		return err
	}
	if !r.OK {
		bad := c.Dest + ".bad"
		if err := os.Rename(temp, bad); err != nil {
			bad = temp
		}
		a.printf("This copy is bad and must not be relied on. It is left as %s. %s\n", bad, r.Sentence)
		return answered(r.Code)
	}
	if err := install(); err != nil {
		return fmt.Errorf("cannot give the copy its name: %w", err)
	}
	return c.done(a, r.Size, r.Size, r.Root, int(r.Past), int(r.Texts))
}
