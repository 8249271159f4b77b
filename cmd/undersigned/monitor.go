package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/mirror"
	"github.com/tccm/undersigned/verify"
)

type monitorCmd struct {
	Ledger    string        `arg:"" optional:"" placeholder:"URL" help:"The record's address. Lines of the --watch file name more."`
	Policy    string        `setting:"" placeholder:"FILE" help:"The policy file that the record is held to."`
	State     string        `required:"" placeholder:"DIR" help:"Where to keep what was seen and told. The directory is made if need be."`
	Watch     string        `placeholder:"FILE" help:"What to watch and what to expect, a line each: see docs/monitor.md."`
	Domain    []string      `placeholder:"DOMAIN" help:"Tell of this organization, and of those that look like it."`
	Name      []string      `sep:"none" placeholder:"NAME" help:"Tell of whoever registers under such a name."`
	Statement []string      `placeholder:"HASH" help:"Tell of this statement, sha256:… of its text."`
	All       bool          `help:"Tell of every entry."`
	FromNow   bool          `help:"When a record is looked at first, leave out what it holds already."`
	Exec      string        `placeholder:"CMD" help:"Run this program, with the arguments that follow it, for each event, which is its standard input. No shell is involved."`
	Every     time.Duration `default:"1m" placeholder:"D" help:"How often to look (${default})."`
	MaxAge    time.Duration `setting:"" default:"24h" placeholder:"D" help:"How old a checkpoint may be (${default})."`
	Silence   time.Duration `default:"24h" placeholder:"D" help:"After how long a witness that does not cosign is missing (${default})."`
	Outage    time.Duration `default:"10m" placeholder:"D" help:"After how long to tell that a record cannot be read (${default})."`
	Heartbeat time.Duration `default:"24h" placeholder:"D" help:"How often to tell that all is quiet (${default}); 0 is never."`
	Once      bool          `help:"Look once and exit with 0, 20, 21, 13 or 3, as for audit: for cron."`
	TestAlert bool          `help:"Send one event the way of all events, and do nothing else."`
}

// What is in a monitor's directory, beside evidence.
const (
	monitorStateFile = "state"
	monitorLockFile  = "lock"
)

const (
	sightTimeout = 15 * time.Second
	execTimeout  = time.Minute
	minPause     = time.Second // before the next try to hand over an event; it doubles up to maxPause
	onceTries    = 3
)

// Help shows how the command is used.
func (monitorCmd) Help() string {
	return `It follows a record, checks all of it as audit does, and tells what happens, as lines of JSON on standard output or to a program. Whatever concerns the record itself (another history, an old view, a witness that is missing) is told in any case. Every event is told at least once, always under the same id. What proves that a record has two histories is kept in DIR/evidence.

Exit codes with --once: 0 nothing is wrong (whatever was told), 20 the record contradicts itself, 21 not enough witnesses, 13 bad signature, 3 could not check.

Example:

	undersigned monitor https://ledger.example/ --policy policy.txt --state watching --domain apnic.net
	undersigned monitor https://ledger.example/ --policy policy.txt --state watching --domain apnic.net --exec /usr/local/bin/alert --test-alert
`
}

// Run follows records.
func (c *monitorCmd) Run(ctx context.Context, a *app) error {
	watch, err := c.watch(a)
	if err != nil {
		return err
	}
	cfg := mirror.MonitorConfig{
		Watch: watch, FromNow: c.FromNow, MaxAge: c.MaxAge, Heartbeat: c.Heartbeat, Silence: c.Silence, Outage: c.Outage,
		Now: a.now, Logger: slog.New(slog.NewTextHandler(a.err, nil)),
	}
	for _, l := range watch.Ledgers {
		followed, err := a.followed(l)
		if err != nil {
			return err
		}
		cfg.Ledgers = append(cfg.Ledgers, *followed)
	}
	if err := makeDirectory(c.State); err != nil {
		return fmt.Errorf("cannot make the directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(c.State, monitorLockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("cannot use the directory: %w", err)
	}
	defer lock.Close()
	if err := ledger.LockFile(lock); errors.Is(err, ledger.ErrInUse) {
		return fmt.Errorf("another process is using %s: a monitor has a directory of its own", c.State)
	} else if err != nil {
		return fmt.Errorf("cannot use the directory: %w", err)
	}
	path := filepath.Join(c.State, monitorStateFile)
	if cfg.State, err = os.ReadFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read what was seen and told: %w", err)
	}
	cfg.Save = func(b []byte) error { return writeFile(path, b) }
	cfg.Evidence = func(found *verify.Contradiction) (string, error) {
		return a.keepOne(filepath.Join(c.State, evidenceDir), found)
	}
	cfg.Deliver = a.deliverLines
	if command := strings.Fields(c.Exec); len(command) > 0 {
		cfg.Deliver = a.deliverTo(command)
	}
	m, err := mirror.NewMonitor(cfg)
	if errors.Is(err, mirror.ErrMonitorState) {
		return fmt.Errorf("%w: %s is not as it was written, by a fault of the disk or somebody's hand; that says nothing about any record. Move it away to begin anew: what it told before is then told again", err, path)
	}
	if err != nil {
		return err
	}
	if c.TestAlert {
		return c.flushed(ctx, m, m.Test(ctx))
	}
	if c.Once {
		code, err := m.Look(ctx)
		if err = c.flushed(ctx, m, err); err != nil && code != codeOK && ctx.Err() == nil {
			return &failure{code, err}
		}
		if err != nil {
			return err
		}
		for _, s := range m.Standing() {
			a.sayf("%s\n", s)
		}
		return answered(code)
	}
	err = c.follow(ctx, a, m)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// watch returns what the flags and the file ask for.
func (c *monitorCmd) watch(a *app) (*mirror.Watch, error) {
	w := new(mirror.Watch)
	if c.Watch != "" {
		b, err := a.read(c.Watch, mirror.MaxWatch)
		if err != nil {
			return nil, unreadable(err)
		}
		if w, err = mirror.ParseWatch(b); err != nil {
			return nil, fmt.Errorf("cannot use %s: %w", nameOf(c.Watch), err)
		}
		for i, l := range w.Ledgers {
			if c.Watch != "-" && !filepath.IsAbs(l.Policy) {
				w.Ledgers[i].Policy = filepath.Join(filepath.Dir(c.Watch), l.Policy)
			}
		}
	}
	var lines []byte
	add := func(word string, values []string) {
		for _, v := range values {
			lines = fmt.Appendf(lines, "%s %s\n", word, v)
		}
	}
	add("domain", c.Domain)
	add("name", c.Name)
	add("statement", c.Statement)
	for i, line := range bytes.Split(bytes.TrimSuffix(lines, []byte("\n")), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		flags, err := mirror.ParseWatch(append(slices.Clip(line), '\n'))
		var format *verify.FormatError
		if errors.As(err, &format) {
			return nil, usagef("cannot watch what flag %d of --domain, --name and --statement says: %s", i+1, format.Problem)
		}
		w.Domains, w.Names, w.Statements = append(w.Domains, flags.Domains...), append(w.Names, flags.Names...), append(w.Statements, flags.Statements...)
	}
	w.All = w.All || c.All
	if c.Ledger != "" {
		if c.Policy == "" {
			return nil, usagef("missing flags: --policy=FILE; a policy says which log and witnesses count")
		}
		w.Ledgers = append(w.Ledgers, mirror.LedgerLine{Source: c.Ledger, Policy: c.Policy})
	}
	if len(w.Ledgers) == 0 {
		return nil, usagef("there is no record to follow: give its address and --policy, or ledger lines in the --watch file")
	}
	return w, nil
}

// followed is a ledger of the watch, and where its witnesses show what they have seen.
func (a *app) followed(l mirror.LedgerLine) (*mirror.MonitoredLedger, error) {
	p, err := a.policy(l.Policy)
	if err != nil {
		return nil, err
	}
	origins := p.Origins()
	if len(origins) != 1 {
		return nil, fmt.Errorf("the policy %s names %s: a monitor needs a policy with one for each record", l.Policy, plural(len(origins), "log"))
	}
	c, err := newClient(l.Source)
	if err != nil {
		return nil, err
	}
	if r := p.ReviewQuorum(); r.Split {
		a.sayf("The policy %s is content with so few witnesses that two records could be shown, each properly cosigned. undersigned policy check tells more.\n", l.Policy)
	}
	followed := &mirror.MonitoredLedger{Origin: origins[0], Policy: p, Fetch: c.fetch}
	asked := make(map[string]bool)
	for _, w := range p.Witnesses() {
		if w.URL == "" || asked[w.URL] {
			continue
		}
		asked[w.URL] = true
		at, err := newClient(w.URL)
		if err != nil {
			return nil, fmt.Errorf("cannot ask the witness %s of %s: %w", w.Name, l.Policy, err)
		}
		followed.Witnesses = append(followed.Witnesses, mirror.Sight{Who: w.VKey.Name, Read: func(ctx context.Context) ([]byte, error) {
			ctx, cancel := context.WithTimeout(ctx, sightTimeout)
			defer cancel()
			return at.fetch(ctx, verify.OriginHash(origins[0])+"/checkpoint")
		}})
	}
	return followed, nil
}

// deliverLines prints events.
func (a *app) deliverLines(_ context.Context, lines [][]byte) (int, error) {
	if _, err := a.out.Write(bytes.Join(lines, nil)); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// deliverTo runs a program for the first of the events.
func (a *app) deliverTo(command []string) func(context.Context, [][]byte) (int, error) {
	return func(ctx context.Context, lines [][]byte) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, execTimeout)
		defer cancel()
		run := exec.CommandContext(ctx, command[0], command[1:]...)
		run.Stdin, run.Stdout, run.Stderr = bytes.NewReader(lines[0]), a.err, a.err
		run.WaitDelay = time.Second
		if err := run.Run(); err != nil {
			return 0, fmt.Errorf("%s: %w", command[0], err)
		}
		return 1, nil
	}
}

// flushed tries a few times more to hand over what could not be handed over.
func (c *monitorCmd) flushed(ctx context.Context, m *mirror.Monitor, err error) error {
	var undelivered *mirror.DeliveryError
	pause := minPause
	for try := 1; errors.As(err, &undelivered) && c.Exec != "" && try < onceTries; try++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
		err = m.Flush(ctx)
	}
	if errors.As(err, &undelivered) {
		return fmt.Errorf("%w; %s kept in %s and handed over next time", err, plural(m.Waiting(), "event"), c.State)
	}
	return err
}

// follow looks again and again until ctx ends.
func (c *monitorCmd) follow(ctx context.Context, a *app, m *mirror.Monitor) error {
	tick := time.NewTicker(max(c.Every, time.Second))
	defer tick.Stop()
	pause := minPause
	var again <-chan time.Time // when to try to hand over events
	_, err := m.Look(ctx)
	for {
		var undelivered *mirror.DeliveryError
		switch {
		case errors.As(err, &undelivered) && c.Exec != "" && ctx.Err() == nil:
			a.sayf("%v; it is tried again in %v\n", err, pause)
			again = time.After(pause)
			pause = min(2*pause, maxPause)
		case err != nil:
			return err
		default:
			again, pause = nil, minPause
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again:
			err = m.Flush(ctx)
		case <-tick.C:
			_, err = m.Look(ctx)
		}
	}
}
