package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/ledger/collector"
	"github.com/tccm/undersigned/ledger/tsa"
	"github.com/tccm/undersigned/ledger/witness"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func plural[N int | int64 | uint64](n N, noun string) string { return check.Plural(n, noun) }

// plain is an error of package keys without the package's name, which says nothing to people.
func plain(err error) error {
	if s, ok := strings.CutPrefix(err.Error(), "keys: "); ok {
		return errors.New(s)
	}
	return err
}

// admission reads what --admission says: "operator", "vouched:M" and "dnssec".
func admission(rules []string) (a entry.Admission, err error) {
	for _, rule := range rules {
		m, vouched := strings.CutPrefix(rule, "vouched:")
		n, bad := strconv.Atoi(m)
		switch {
		case rule == "operator" && !a.Operator:
			a.Operator = true
		case vouched && bad == nil && n >= 1 && n <= entry.MaxVouched && a.Vouched == 0:
			a.Vouched = n
		case rule == "dnssec" && !a.DNSSEC:
			a.DNSSEC = true
		default:
			return a, usagef("--admission is operator, vouched:M with M from 1 to %d, or dnssec, each at most once", entry.MaxVouched)
		}
	}
	return a, nil
}

type initCmd struct {
	Dir         string   `setting:"" required:"" placeholder:"DIR" help:"Where the ledger will be. The directory is made if need be."`
	Origin      string   `required:"" placeholder:"ORIGIN" help:"The ledger's name for ever: a domain, or a domain and a path, such as ledger.example/tccm."`
	Title       string   `required:"" placeholder:"TEXT" help:"What the record is for."`
	Operator    string   `required:"" placeholder:"DOMAIN" help:"The domain of whoever runs it."`
	OperatorKey []string `required:"" sep:"none" placeholder:"FILE" help:"A key of the operator; it signs the charter. May be repeated."`
	Publisher   []string `sep:"none" placeholder:"DOMAIN" help:"A domain that may publish statements beside the operator. May be repeated."`
	Admission   []string `sep:"none" default:"operator" placeholder:"RULE" help:"Who lets organizations in: operator, vouched:M, or dnssec, where the domain itself publishes the keys. May be repeated; then all must."`
	Roll        string   `default:"manual" placeholder:"WHEN" help:"When lists are sealed: on-change, daily HH:MM, or manual."`
	Yes         bool     `short:"y" help:"Do not ask before signing. Off a terminal nobody is asked."`
	suiteFlag
	passwordFlags
	jsonFlag
}

// Help shows how the command is used.
func (initCmd) Help() string {
	return `The charter, which is entry 0, says by which rules the record is kept. The log's own keys are made in DIR/keys; they stay on this machine, with the record of what was signed last, which no backup may hold. A policy file for readers goes to DIR/policy.txt.

Example:

	undersigned key new -o operator.pem
	undersigned init --dir ledger --origin ledger.example/tccm --title "Endorsements of the TCCM statement" --operator ledger.example --operator-key operator.pem
`
}

// Run makes a new ledger.
func (c *initCmd) Run(ctx context.Context, a *app) error {
	if err := keys.CheckOrigin(c.Origin); err != nil {
		return usagef("--origin %q cannot be used: %w", c.Origin, plain(err))
	}
	if err := keys.CheckDomain(c.Operator); err != nil {
		return usagef("--operator %q cannot be used: %w", c.Operator, plain(err))
	}
	rules, err := admission(c.Admission)
	if err != nil {
		return err
	}
	var operator []*source.Key
	for _, path := range c.OperatorKey {
		k, err := c.operatorKey(a, path)
		if err != nil {
			return err
		}
		operator = append(operator, k)
	}
	charter := &entry.Charter{Title: c.Title, Operator: c.Operator, Publishers: c.Publisher, Admission: rules, Roll: c.Roll}
	genesis, err := newCharter(c.Origin, a.now().UTC().Format(entry.DateFormat), charter, operator...)
	if err != nil {
		return err
	}
	if !c.Yes {
		if err := a.confirm(ctx, genesis.Text()); err != nil {
			return err
		}
	}
	if err := ownersAlone(c.Dir, os.Geteuid()); err != nil {
		return err
	}
	logs, err := makeHouse(ctx, c.Dir, genesis, a.now)
	if err != nil {
		return err
	}
	policy := policyText(logs, "")
	path := filepath.Join(c.Dir, policyFile)
	if c.JSON {
		var lines []string
		for _, v := range logs {
			lines = append(lines, v.String())
		}
		return a.json(struct {
			Schema  string     `json:"schema"`
			Origin  string     `json:"origin"`
			Charter entry.Hash `json:"charter"`
			Logs    []string   `json:"log_vkeys"`
			Policy  string     `json:"policy_file"`
		}{"undersigned/init/v1", c.Origin, genesis.ID(), lines, path})
	}
	a.printf("Made the ledger %s in %s; its charter is entry 0, %s.\n\n%s", c.Origin, c.Dir, genesis.ID(), policy)
	a.sayf("What stands above is a policy for readers, with the log's keys. It is in %s too.\n", path)
	a.sayf("Serve it with: undersigned serve --dir %s\n", c.Dir)
	return nil
}

const policyFile = "policy.txt"

func (c *initCmd) operatorKey(a *app, path string) (*source.Key, error) {
	f, err := a.readKey(path, &c.passwordFlags)
	if err != nil {
		return nil, err
	}
	if !f.private {
		return nil, fmt.Errorf("%s is a public key; the charter is signed with the private one", path)
	}
	return f.load(f.preferred(c.Suite))
}

type serveCmd struct {
	Dir       string        `setting:"" required:"" placeholder:"DIR" help:"The ledger's directory."`
	Listen    string        `setting:"" default:"127.0.0.1:8080" placeholder:"ADDR" help:"The address to listen at (${default}); port 0 is any free one."`
	URL       string        `setting:"" placeholder:"URL" help:"The public address, if it is another one."`
	Policy    string        `placeholder:"FILE" help:"The policy whose witnesses cosign; DIR/policy.txt if that is there. With quorum none nobody is asked."`
	Mirror    []string      `sep:"none" placeholder:"URL" help:"A mirror's copy of this ledger, to be asked at the start what it has seen. May be repeated."`
	Republish time.Duration `default:"1h" placeholder:"D" help:"After how long without a new one the checkpoint is cosigned afresh (${default}); 0 is never."`
	TSA       []string      `name:"tsa" sep:"none" placeholder:"URL" help:"A time-stamping authority (RFC 3161) that stamps a checkpoint a day, for the record to keep. May be repeated."`
	Resolver  string        `placeholder:"HOST:PORT" help:"A DNS resolver to ask once a day which keys the members' domains publish, for the record to keep what changes. Without it nobody is asked."`
	ReadOnly  bool          `help:"Serve for reading alone: no keys are needed, nothing is admitted, nothing is written."`
	Adopt     string        `placeholder:"SIZE:ROOT" help:"Take it on your word that nothing larger than this tree was ever signed with these keys. Only for a last-signed record that is lost."`
	tlsFlags
	limitFlags
}

// Help shows how the command is used.
func (serveCmd) Help() string {
	return `It speaks HTTPS if there is a certificate, which is read again when its files change or on SIGHUP. Else it speaks plain HTTP: put a server that does TLS before it, and name that with --trusted-proxy, so that its clients are not taken for one. It ends in good order, with exit code 0, when it is interrupted. If it may not sign, it says why and serves what can be read. A ledger that has been closed for good, or a copy of one, is served with --read-only. The lists of who stands behind what are sealed on the charter's schedule; SIGUSR1 has all of them sealed now.

Example:

	undersigned serve --dir ledger --listen 127.0.0.1:8080 --url https://ledger.example/
	undersigned serve --dir ledger --listen :443 --tls-cert fullchain.pem --tls-key key.pem --url https://ledger.example/
	undersigned serve --dir ledger --trusted-proxy 127.0.0.1 --limit-client 100/min --limit-member 200/day
	undersigned serve --dir ledger --tsa https://tsa.example/ --tsa http://stamps.example/tsr
	undersigned serve --dir ledger --resolver 192.0.2.53:53
	undersigned serve --dir copy --read-only
`
}

// Run serves a ledger.
func (c *serveCmd) Run(ctx context.Context, a *app) error {
	adopt, err := adoption("--adopt", c.Adopt)
	if err != nil {
		return err
	}
	if c.URL != "" {
		if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			return usagef("--url %q is not an address such as https://ledger.example/", c.URL)
		}
	}
	limits, quota, err := c.limits()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(a.err, nil))
	cert, err := c.certificate(a, log)
	if err != nil {
		return err
	}
	var stampers []*tsa.Client
	for _, address := range c.TSA {
		client, err := tsa.NewClient(address, a.now, nil)
		if err != nil {
			return usagef("--tsa %q cannot be asked: %w", address, err)
		}
		stampers = append(stampers, client)
	}
	if c.ReadOnly && len(stampers) > 0 {
		return usagef("--read-only and --tsa cannot be used together: nothing is written")
	}
	var ask *collector.Collector
	if c.Resolver != "" {
		if c.ReadOnly {
			return usagef("--read-only and --resolver cannot be used together: nothing is written")
		}
		if ask, err = a.newCollector(c.Resolver); err != nil {
			return err
		}
	}
	if c.ReadOnly && adopt != nil {
		return usagef("--read-only and --adopt cannot be used together: who only reads signs nothing")
	}
	if adopt != nil {
		if err := ownersAlone(c.Dir, os.Geteuid()); err != nil {
			return err
		}
	}
	var h *house
	var asked *witness.Client
	progress, opened := a.progress("Opening")
	if c.ReadOnly {
		h, err = openToRead(ctx, c.Dir, a.now, log, progress)
	} else {
		h, err = openHouse(ctx, c.Dir, adopt, a.now, log, func(cfg *ledger.Config) error {
			cfg.Quota, cfg.Progress = quota, progress
			asked, err = c.witnesses(a, cfg, log)
			return err
		})
	}
	opened()
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	h.limits, h.cert, h.asked, h.policy = limits, cert, asked, policyForReaders(c.Dir)
	h.stamper = tsa.NewStamper(h.ledger, stampers, a.now, log)
	if ask != nil {
		h.keeper = collector.NewKeeper(h.ledger, ask, nil, log)
	}
	if a.env["GOMEMLIMIT"] == "" {
		runtime.GC() // what opening needed is in use no more
		go boundMemory(ctx, a.env["GOGC"] != "")
	}
	if h.rotated {
		a.sayf("A change of the log's keys that had been cut short is finished: the new keys sign. The policy for readers is %s.\n", filepath.Join(c.Dir, policyFile))
	}
	if c.ReadOnly {
		a.sayf("This ledger is closed for writing: it is served for reading alone.\n")
		signedPath := filepath.Join(c.Dir, keysDir, lastSignedFile)
		stored := h.ledger.Stats().Stored
		if signed, ok := ledger.SignedOf(signedPath, h.ledger.Origin()); ok && signed > stored {
			a.sayf("This is an old copy, or entries were lost: its keys have signed a tree of size %d, as %s says, but the store holds %d. Serve the newer store.\n", signed, signedPath, stored)
		}
	} else if err := h.ledger.ReadOnly(); errors.Is(err, ledger.ErrUnwitnessed) {
		a.sayf("It admits entries as soon as enough witnesses have said what they saw last.\n")
	} else if err != nil {
		a.sayf("This ledger admits nothing for now: %v\n", err)
	}
	s, err := startService(ctx, h, c.Listen, c.URL, a.now, log)
	if err != nil {
		return errors.Join(err, h.Close())
	}
	a.printf("Serving %s at %s\n", h.ledger.Origin(), s.url)
	sealing, stopSealing := context.WithCancel(ctx)
	go sealOnSignal(sealing, h.ledger, log)
	var stamping sync.WaitGroup
	stamping.Go(func() { h.stamper.Run(sealing) })
	if h.keeper != nil {
		stamping.Go(func() { h.keeper.Run(sealing) })
	}
	stop := handOut(c.Dir, h, copyPatience, log)
	s.Wait(ctx)
	stop()
	stopSealing()
	stamping.Wait()
	failed := h.ledger.Err()
	err = s.Close()
	if failed != nil && !errors.Is(failed, ledger.ErrForked) {
		return fmt.Errorf("%w; see to the disk, then start it again: that verifies everything first, and undersigned fsck %s tells more", err, c.Dir)
	}
	return err
}

// adoption reads the SIZE:ROOT of a flag, where ROOT is base64 as in a checkpoint.
func adoption(flag, text string) (*ledger.Adoption, error) {
	if text == "" {
		return nil, nil
	}
	size, root, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(size, 10, 63)
	b, err2 := base64.StdEncoding.Strict().DecodeString(root)
	if err != nil || err2 != nil || len(b) != 32 {
		return nil, usagef("%s is a tree size, a colon and a root hash in base64, as the second and third line of a checkpoint have them", flag)
	}
	return &ledger.Adoption{Size: n, Root: [32]byte(b)}, nil
}

type fsckCmd struct {
	Dir    string `arg:"" help:"The ledger's directory."`
	Hashes bool   `help:"Leave out rules and signatures: recompute hashes alone."`
	Policy string `placeholder:"FILE" help:"Hold checkpoints against the log keys of a policy, any of which will do, instead of those in DIR/keys. Where there is no DIR/keys: DIR/policy.txt."`
	jsonFlag

	signed *ledger.LastSigned // to hold the store to; nil: none
	unsure bool               // there is no record to hold it to
}

// Help shows how the command is used.
func (fsckCmd) Help() string {
	return `It recomputes everything from the leaves to the root, and compares what is stored: commits, tiles, checkpoints, texts; and it holds that to the record of what the keys signed last, so that an old copy is not taken for the ledger. The ledger must not be being served. A flaw is exit code 20; where that record is lost, so that nobody can tell here whether this is the newest copy, it is 3.

Example:

	undersigned fsck ledger
`
}

// Run checks a ledger's directory.
func (c *fsckCmd) Run(ctx context.Context, a *app) error {
	if err := hasStore(c.Dir); err != nil {
		return &failure{codeUnchecked, err}
	}
	began := time.Now()
	store, flaws, err := boltstore.Inspect(c.Dir)
	if errors.Is(err, ledger.ErrInUse) {
		return &failure{codeUnchecked, inUse(c.Dir, err)}
	}
	if errors.Is(err, fs.ErrPermission) {
		return &failure{codeUnchecked, unreadableRecord(c.Dir, err)}
	}
	report := &ledger.CheckReport{}
	if err == nil {
		defer store.Close()
		if c.Policy == "" && !hasKeys(c.Dir) {
			if c.Policy = policyBeside(c.Dir); c.Policy != "" {
				a.sayf("There are no keys in %s: it is checked under %s, which lies with it.\n", c.Dir, c.Policy)
			}
		}
		if c.Policy == "" {
			var letGo func()
			if letGo, err = c.openLastSigned(ctx, a, store); err != nil {
				return err
			}
			defer letGo()
		}
		report, err = c.check(ctx, a, store)
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, ledger.ErrCorrupt) && !errors.Is(err, ledger.ErrEmpty) {
			return fmt.Errorf("cannot check %s: %w", c.Dir, err)
		}
		report.Flaws = append(report.Flaws, ledger.Flaw{Where: boltstore.File, Problem: err.Error()})
		report.FlawCount++
	}
	report.Flaws = append(append([]ledger.Flaw{}, flaws...), report.Flaws...)
	report.FlawCount += len(flaws)
	code := codeOK
	switch {
	case !report.OK():
		code = verify.CodeContradiction
	case c.unsure:
		code = codeUnchecked
	}
	if c.JSON {
		err := a.json(struct {
			Schema string `json:"schema"`
			OK     bool   `json:"ok"`
			Root   string `json:"root"`
			*ledger.CheckReport
		}{"undersigned/fsck/v1", report.OK(), base64Of(report.Root[:]), report})
		return errors.Join(err, answered(code))
	}
	signed := uint64(0) // the size of the tree that was signed last
	if c.signed != nil {
		signed, _, _ = c.signed.Signed()
	}
	switch {
	case signed > report.Size && report.Size > 0:
		a.printf("This is an old copy: the keys have signed a tree of size %d, and %s holds %s. %s found.\n", signed, c.Dir, plural(report.Size, "entry"), plural(report.FlawCount, "flaw"))
	case report.OK() && c.unsure:
		a.printf("Nothing else is wrong in %s, but whether this is the newest copy cannot be checked: there is no readable %s. It has %s, root hash %s, recomputed from the leaves.\n",
			c.Dir, filepath.Join(c.Dir, keysDir, lastSignedFile), plural(report.Size, "entry"), base64Of(report.Root[:]))
	case report.OK():
		a.printf("Nothing is wrong in %s: %s, root hash %s, recomputed from the leaves.\n", c.Dir, plural(report.Size, "entry"), base64Of(report.Root[:]))
	default:
		a.printf("%s is damaged: %s found.\n", c.Dir, plural(report.FlawCount, "flaw"))
	}
	a.printf("Commits %d, tiles %d, checkpoints %d, texts %d.\n", report.Commits, report.Tiles, report.Checkpoints, report.Blobs)
	for _, f := range report.Flaws {
		a.printf("%s: %s\n", f.Where, f.Problem)
	}
	if n := report.FlawCount - len(report.Flaws); n > 0 {
		a.printf("And %d more.\n", n)
	}
	if c.Policy == "" && retiredIn(c.Dir) == "" && slices.ContainsFunc(report.Flaws, func(f ledger.Flaw) bool { return strings.HasPrefix(f.Where, "checkpoints/") }) {
		a.sayf("%s is not there: if the log's keys were ever changed, put back the one of a backup.\n", filepath.Join(c.Dir, keysDir, retiredFile))
	}
	a.sayf("Checked in %v.\n", time.Since(began).Round(time.Millisecond))
	return answered(code)
}

// openLastSigned has the store held to the last-signed record, if there is one of the log's keys: an old copy of the store is
// sound by itself, and must not be taken for the ledger.
func (c *fsckCmd) openLastSigned(ctx context.Context, a *app, store ledger.Store) (letGo func(), err error) {
	path := filepath.Join(c.Dir, keysDir, lastSignedFile)
	s, err := ledger.OpenLastSigned(path)
	if err != nil {
		return nil, &failure{codeUnchecked, inUse(c.Dir, err)}
	}
	_, _, have := s.Signed()
	origin, err := ledger.Origin(ctx, store)
	if err != nil {
		return func() { s.Close() }, nil // the check tells
	}
	_, logs, err := logSigners(c.Dir, origin)
	switch {
	case err != nil: // so does it here
	case !have:
		c.unsure = true
	case !s.Of(origin, logs):
		a.sayf("%s is of other keys than those in %s: serve tells what to do.\n", path, filepath.Join(c.Dir, keysDir))
	default:
		c.signed = s
	}
	return func() { s.Close() }, nil
}

// pastLogs returns what past checkpoints are held to if the list of retired keys is missing and the policy beside the
// ledger tells that there were others: all of its log keys. Else it is nil.
func (c *fsckCmd) pastLogs(a *app, origin string, logs []keys.VKey) (*verify.Policy, error) {
	path := filepath.Join(c.Dir, policyFile)
	if !fileExists(path) {
		return nil, nil
	}
	p, err := a.policy(path)
	if err != nil {
		return nil, err
	}
	others := otherLogs(p, origin, logs)
	if len(others) == 0 {
		return nil, nil
	}
	a.sayf("%s is missing, though the log's keys have been changed: any key that %s names will do for any checkpoint. Put back the list of a backup.\n", filepath.Join(c.Dir, keysDir, retiredFile), path)
	return verify.ParsePolicy(policyText(slices.Concat(logs, others), ""))
}

func (c *fsckCmd) check(ctx context.Context, a *app, store ledger.Store) (*ledger.CheckReport, error) {
	report := &ledger.CheckReport{}
	origin, err := ledger.Origin(ctx, store)
	if err != nil {
		return report, err
	}
	o := ledger.CheckOptions{Origin: origin, HashesOnly: c.Hashes, LastSigned: c.signed}
	if c.Policy != "" {
		if o.Policy, err = a.policy(c.Policy); err != nil {
			return report, err
		}
		notes, err := newestNotes(ctx, store)
		if err == nil {
			err = policyFits(o.Policy, notes...)
		}
		if err != nil {
			return report, err
		}
	} else if _, o.Logs, err = logSigners(c.Dir, origin); err != nil {
		return report, fmt.Errorf("%w; a copy without keys is checked with --policy", err)
	} else if o.Retired, err = readRetired(c.Dir, origin); err != nil {
		return report, err
	} else {
		o.Snapshot = filepath.Join(c.Dir, snapshotFile)
		if retiredIn(c.Dir) == "" {
			if o.Policy, err = c.pastLogs(a, origin, o.Logs); err != nil {
				return report, err
			}
		}
	}
	progress, done := a.progress("Checking")
	defer done()
	o.Progress = progress
	found, err := ledger.Check(ctx, store, o)
	if found == nil {
		found = report
	}
	return found, err
}

// newestNotes returns the notes of the newest two checkpoints in a store, as far as there are such.
func newestNotes(ctx context.Context, store ledger.Store) (notes [][]byte, err error) {
	paths, err := store.List(ctx, "checkpoints/")
	if err != nil {
		return nil, err
	}
	var sizes []uint64
	for _, path := range paths {
		if size, ok := checkpointSize(path); ok {
			sizes = append(sizes, size)
		}
	}
	slices.Sort(sizes)
	for _, size := range sizes[max(0, len(sizes)-2):] {
		note, err := store.Get(ctx, verify.CheckpointPath(size))
		if err != nil {
			return nil, err
		}
		notes = append(notes, note)
	}
	return notes, nil
}

// policyFits returns an error if none of these notes, of which there are several so that one may be damaged, has a signature line
// of a key that the policy names for its ledger. It verifies nothing.
func policyFits(p *verify.Policy, notes ...[]byte) error {
	for _, note := range notes {
		origin, _, _ := strings.Cut(string(note), "\n")
		for line := range strings.Lines(string(note)) {
			f := strings.Fields(line)
			if len(f) != 3 || f[0] != "—" || f[1] != origin {
				continue
			}
			sig, err := decodeBase64(f[2])
			if err != nil || len(sig) < 4 {
				continue
			}
			id := binary.BigEndian.Uint32(sig)
			if slices.ContainsFunc(p.Logs(), func(l verify.PolicyLog) bool { return l.VKey.Name == origin && l.VKey.KeyID == id }) {
				return nil
			}
		}
	}
	if len(notes) == 0 {
		return nil
	}
	return failf(verify.CodeUntrusted, "the policy is for another ledger, or does not name its keys")
}
