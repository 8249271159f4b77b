package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/mirror"
	"github.com/tccm/undersigned/ledger/witness"
	"github.com/tccm/undersigned/verify"
)

type mirrorCmd struct {
	New   mirrorNewCmd   `cmd:"" help:"Make a mirror: its keys, and the lines for other people's policies."`
	Serve mirrorServeCmd `cmd:"" help:"Copy ledgers, check everything in them, and serve the copies."`
	Show  mirrorShowCmd  `cmd:"" help:"Print a mirror's lines for a policy."`
}

// mirroredDir is where the policies of the ledgers are that a mirror copies, a file for each.
const mirroredDir = "ledgers"

type mirrorNewCmd struct {
	Dir  string `arg:"" help:"Where the mirror will be. The directory is made if need be."`
	Name string `required:"" placeholder:"NAME" help:"Its name for ever, such as mirror.example/m: a domain, or a domain and a path. Not that of a witness."`
	jsonFlag
}

// Help shows how the command is used.
func (mirrorNewCmd) Help() string {
	return `A mirror keeps the whole of other people's records, and says so by cosigning each checkpoint of which it holds everything. It makes two keys, Ed25519 and ML-DSA-44, which are one vote. Put the policy of each ledger into DIR/ledgers, as a file NAME.txt whose log line has the ledger's address.

Example:

	undersigned mirror new m --name mirror.example/m
	cp policy.txt m/ledgers/tccm.txt
	undersigned mirror serve m --listen 127.0.0.1:8092
`
}

// Run makes a mirror.
func (c *mirrorNewCmd) Run(a *app) error {
	vkeys, err := makeCosigner(c.Dir, c.Name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, mirroredDir), 0o755); err != nil {
		return err
	}
	return a.printCosigner(c.Dir, vkeys, c.JSON)
}

type mirrorShowCmd struct {
	Dir string `arg:"" help:"The mirror's directory."`
	URL string `placeholder:"URL" help:"The address at which it is read, to be in the lines."`
	jsonFlag
}

// Help shows how the command is used.
func (mirrorShowCmd) Help() string {
	return "Example:\n\n\tundersigned mirror show m --url https://mirror.example/\n"
}

// Run prints a mirror's lines for a policy.
func (c *mirrorShowCmd) Run(a *app) error {
	_, vkeys, err := cosigners(c.Dir)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printCosigner(c.Dir, vkeys, true)
	}
	a.printf("%s", policyLines(vkeys, c.URL, policyName(vkeys)))
	return nil
}

type mirrorServeCmd struct {
	Dir    string        `arg:"" help:"The mirror's directory."`
	Listen string        `setting:"" default:"127.0.0.1:8092" placeholder:"ADDR" help:"The address to listen at (${default}); port 0 is any free one."`
	Every  time.Duration `setting:"" default:"30s" placeholder:"TIME" help:"How often each ledger is looked at (${default}); SIGHUP does it at once."`
	Once   bool          `help:"Look at each ledger once, and serve nothing."`
	forgetFlag
	tlsFlags
}

// Help shows how the command is used.
func (mirrorServeCmd) Help() string {
	return `It copies the ledgers whose policies are in DIR/ledgers, checks every hash, signature and rule as undersigned audit does, holds them to what the witnesses of the policies have seen, and serves each copy below the hash of its origin: every command reads it there as from the ledger itself. Each copy is in DIR/HASH; never put an old one back. What the keys have cosigned last is in DIR/keys/last-cosigned: without it the mirror does not start, and a copy that was lost or put back is cosigned again when it has that tree. If it never will, make a mirror with another name, or say --forget. A ledger that contradicts itself is not cosigned any more; what proves it is kept in DIR/evidence, and undersigned verify explains it. What was copied before is served on.

With --once the exit code is 0 if every copy is complete, 20 if a record contradicts itself, 21 if witnesses are missing, 3 if one could not be copied or checked.

Example:

	undersigned mirror serve m --listen 127.0.0.1:8092
	undersigned audit http://127.0.0.1:8092/HASH --policy m/ledgers/tccm.txt
`
}

// Run copies and serves.
func (c *mirrorServeCmd) Run(ctx context.Context, a *app) error {
	return c.serve(ctx, a, func(name, url string, origins []string) {
		a.printf("Mirror %s, at %s\n", name, url)
		for _, origin := range origins {
			a.printf("%s: %s%s\n", origin, url, verify.OriginHash(origin))
		}
	})
}

// serve copies until ctx ends or something fails. It calls begun as soon as the copies are served at url, below the hashes of their origins.
func (c *mirrorServeCmd) serve(ctx context.Context, a *app, begun func(name, url string, origins []string)) error {
	if c.Every < time.Second {
		return usagef("--every is a second or more")
	}
	log := slog.New(slog.NewTextHandler(a.err, nil))
	cert, err := c.certificate(a, log)
	if err != nil {
		return err
	}
	signers, vkeys, err := cosigners(c.Dir)
	if err != nil {
		return err
	}
	policies, err := filepath.Glob(filepath.Join(c.Dir, mirroredDir, "*.txt"))
	if err != nil {
		return err
	}
	if len(policies) == 0 {
		return failf(codeUnchecked, "there is no policy in %s: each ledger to copy has one there, NAME.txt", filepath.Join(c.Dir, mirroredDir))
	}
	lost, err := remember("mirror", c.Dir, c.Forget, memoryOf(c.Dir))
	if err != nil {
		return err
	}
	last, err := openLastCosigned("mirror", c.Dir)
	if err != nil {
		return err
	}
	defer last.Close()
	var mirrors []*mirror.Mirror
	for _, path := range policies {
		m, release, err := c.open(ctx, a, path, signers, last, log)
		if err != nil {
			return err
		}
		defer release()
		if slices.ContainsFunc(mirrors, func(o *mirror.Mirror) bool { return o.Origin == m.Origin }) {
			return fmt.Errorf("%s is of a ledger of which another file in that directory is too", path)
		}
		mirrors = append(mirrors, m)
	}
	if err := c.gaps(mirrors, lost, log); err != nil {
		return err
	}
	if c.Once {
		return c.once(ctx, a, mirrors)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan struct{})
	var rounds sync.WaitGroup
	defer rounds.Wait()
	defer stop()
	once := sync.OnceFunc(func() { close(failed) })
	for _, m := range mirrors {
		rounds.Go(func() { c.follow(ctx, m, log, once) })
	}
	handler := mirror.NewServer(mirrors, max(4*c.Every, time.Minute), a.now)
	var origins []string
	for _, m := range mirrors {
		origins = append(origins, m.Origin)
	}
	return a.serveHTTP(ctx, c.Listen, cert, handler, failed, func(url string) { begun(vkeys[0].Name, url, origins) })
}

// gaps says of which ledgers the keys have cosigned more than the copy has.
func (c *mirrorServeCmd) gaps(mirrors []*mirror.Mirror, lost bool, log *slog.Logger) error {
	if c.Forget && lost {
		log.Warn("what was cosigned is lost, and " + forgotten)
	}
	for _, m := range mirrors {
		kept, cosigned, ok := m.Gap()
		switch {
		case !ok:
		case c.Forget:
			if err := m.Forget(); err != nil {
				return err
			}
			lost = true
			log.Warn(forgotten, "origin", m.Origin, "kept", kept, "cosigned", cosigned)
		default:
			log.Error("nothing of this ledger is cosigned until the copy has what the keys have cosigned: it was lost or is an old one", "origin", m.Origin, "kept", kept, "cosigned", cosigned)
		}
	}
	if c.Forget && !lost {
		return fmt.Errorf(nothingForgotten, c.Dir)
	}
	return nil
}

// open opens the copy of the ledger of a policy.
func (c *mirrorServeCmd) open(ctx context.Context, a *app, path string, signers []ledger.Signer, last *ledger.LastCosigned, log *slog.Logger) (*mirror.Mirror, func() error, error) {
	p, err := a.policy(path)
	if err != nil {
		return nil, nil, err
	}
	origins := p.Origins()
	if len(origins) != 1 {
		return nil, nil, fmt.Errorf("%s has to be the policy of one ledger", path)
	}
	origin, url := origins[0], ""
	var own []keys.VKey
	for _, l := range p.Logs() {
		own = append(own, l.VKey)
		if url == "" {
			url = l.URL
		}
	}
	if url == "" {
		return nil, nil, fmt.Errorf("%s does not have the ledger's address: a line is log <vkey> <url>", path)
	}
	source, err := newClient(url)
	if err != nil {
		return nil, nil, err
	}
	kept, release, err := openCopy(ctx, filepath.Join(c.Dir, verify.OriginHash(origin)), origin, log)
	if errors.Is(err, ledger.ErrInUse) {
		return nil, nil, fmt.Errorf("another process is using %s: a mirror runs once", c.Dir)
	}
	if err != nil {
		return nil, nil, err
	}
	cfg := mirror.Config{
		Origin: origin, Policy: p, Fetch: source.fetch, Sizes: source.checkpointsFrom, Copy: kept, Signers: signers, LastCosigned: last, Now: a.now, Logger: log,
		Evidence: func(found *verify.Contradiction) {
			if err := a.keep(filepath.Join(c.Dir, evidenceDir), []*verify.Contradiction{found}); err != nil {
				log.Error("cannot keep what proves a contradiction", "error", err)
			}
		},
	}
	if slices.ContainsFunc(p.Witnesses(), func(w verify.PolicyWitness) bool { return w.URL != "" }) {
		asked, err := witness.NewClient(witness.ClientConfig{Origin: origin, Logs: own, Policy: p, Logger: log, Now: a.now})
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("cannot ask the witnesses of %s: %w", path, err), release())
		}
		cfg.Sightings = asked.Witnessed
		closing := release
		release = func() error {
			asked.Close()
			return closing()
		}
	}
	m, err := mirror.New(ctx, cfg)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("cannot use the copy of %s: %w", origin, err), release())
	}
	return m, release, nil
}

// follow looks at a ledger until ctx ends, or the storage fails.
func (c *mirrorServeCmd) follow(ctx context.Context, m *mirror.Mirror, log *slog.Logger, failed func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	told := ""
	for {
		err := m.Round(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case m.Failed() != nil:
			log.Error("the mirror stops", "origin", m.Origin, "error", m.Failed())
			failed()
			return
		case err != nil && err.Error() != told:
			told = err.Error()
			log.Error("a ledger could not be copied up to now", "origin", m.Origin, "error", err)
		case err == nil && told != "":
			told = ""
			log.Info("a ledger is copied again", "origin", m.Origin, "size", m.Status().Size)
		}
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		case <-tick.C:
		}
	}
}

// once makes one round for each ledger.
func (c *mirrorServeCmd) once(ctx context.Context, a *app, mirrors []*mirror.Mirror) error {
	code := 0
	var worst error
	for _, m := range mirrors {
		err := m.Round(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		st := m.Status()
		if err == nil {
			a.printf("The copy of %s is complete: %s, all of them checked.\n", m.Origin, plural(st.Size, "entry"))
			continue
		}
		this := codeUnchecked
		var found *mirror.FoundError
		var contradicted *mirror.ContradictedError
		switch {
		case errors.As(err, &contradicted):
			this = verify.CodeContradiction
		case errors.As(err, &found):
			this = found.Report.Code
		}
		if worst == nil || this > code {
			code, worst = this, fmt.Errorf("%s: %w", m.Origin, err)
		}
	}
	if worst != nil {
		return &failure{code, worst}
	}
	return nil
}
