package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/torture/powerfs"
	"github.com/tccm/undersigned/verify"
)

const (
	powerMembers  = 16  // of a ledger
	powerClients  = 4   // that write at once
	powerYoung    = 5   // ledgers that are made and served once, for one that lives on
	powerInits    = 4   // cycles of init at most, then it may finish
	powerServes   = 50  // cycles of a server, then a new ledger
	powerCommands = 12  // cycles of clients' commands, on the same ledger
	powerFull     = 20  // cycles between full checks
	powerChanges  = 500 // of the disk under load until the power fails, at most
	powerInit     = 60  // the same for init, which makes about 50
	powerLoad     = 250 * time.Millisecond
	powerShutdown = 60 * time.Millisecond
)

// A machine is one whose power fails: all that its processes write is on a disk in memory.
type machine struct {
	*record
	disk *powerfs.Disk
	*outages
}

// outages counts how the power failed.
type outages struct {
	inits, starts, stops, commands int
	kills                          int // of these: the processes died, the disk went on
	gone                           powerfs.Loss
}

// power lets the power fail: while init runs, while a server starts, under load, while it stops, and
// on the machine of a client that keeps its keys and receipts. A quarter of the times only the
// processes die, and the next ones see what is not durable, before the power fails.
func power(ctx context.Context, t *trial) error {
	o := &outages{}
	for n := 0; t.more(); n++ {
		options := powerfs.Options{Journal: n%3 == 2, NoFallocate: n%2 == 1}
		if err := t.powerLedger(ctx, n, options, o); err != nil {
			return err
		}
	}
	t.say("%d cuts during init, %d while starting, %d while stopping, %d at a client's, %d kills before a cut", o.inits, o.starts, o.stops, o.commands, o.kills)
	t.say("%v", o.gone)
	return nil
}

// powerLedger is the life of one ledger on one disk, and of some that end young.
func (t *trial) powerLedger(ctx context.Context, n int, options powerfs.Options, o *outages) (err error) {
	for young := range powerYoung {
		if err := t.powerInit(ctx, fmt.Sprintf("young-%d-%d", n, young), options, o); err != nil || !t.more() {
			return err
		}
	}
	m, unmount, err := t.newMachine(fmt.Sprintf("machine-%d", n), options, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	c, err := m.begin(ctx)
	if err != nil || c == nil {
		return err
	}
	if err := m.populate(ctx, c, powerMembers); err != nil {
		m.end(c)
		return err
	}
	c.interrupt()
	if err := c.wait(); err != nil {
		return err
	}
	typical := 50 * time.Millisecond // that a start takes
	for i := 1; i <= powerServes && t.more(); i++ {
		for t.rng.IntN(4) == 0 && t.more() {
			if err := m.failStarting(typical); err != nil {
				return err
			}
		}
		c, err := m.start(ctx)
		if err != nil {
			return m.didNotStart(ctx, err)
		}
		t.restarted(c.took)
		typical = (3*typical + c.took) / 4
		if err := m.failServing(ctx, c, i); err != nil {
			m.end(c)
			return err
		}
	}
	if err := m.finish(ctx); err != nil || t.wrong() {
		return err
	}
	return m.clients(ctx, fmt.Sprintf("client-%d", n), options)
}

// powerInit makes a ledger and does no more with it than to serve it once.
func (t *trial) powerInit(ctx context.Context, name string, options powerfs.Options, o *outages) (err error) {
	m, unmount, err := t.newMachine(name, options, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	c, err := m.begin(ctx)
	if c != nil {
		m.end(c)
	}
	return err
}

// newMachine mounts an empty disk, and makes the operator's key, which is elsewhere.
func (t *trial) newMachine(name string, options powerfs.Options, o *outages) (*machine, func() error, error) {
	m := &machine{disk: powerfs.New(options), outages: o}
	dir := filepath.Join(t.dir, name)
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		m.record, err = t.prepare(dir)
	}
	if err != nil {
		return nil, nil, err
	}
	if err := m.disk.Mount(dir); err != nil {
		return nil, nil, fmt.Errorf("cannot mount a file system in memory, which needs root and /dev/fuse: %w", err)
	}
	m.dir = filepath.Join(dir, "srv", "ledger") // srv is not there yet
	return m, func() error { m.disk.Off(); return m.disk.Unmount() }, nil
}

// fail is the end of a cycle, once nobody uses the disk any more.
func (m *machine) fail() error {
	if m.rng.IntN(4) == 0 {
		m.kills++
		m.disk.Resume()
		m.cycle()
		return nil
	}
	return m.cut()
}

// cut is the same where the power fails in any case.
func (m *machine) cut() error {
	loss, err := m.disk.Cut(m.rng)
	m.gone.Add(loss)
	m.cycle()
	return err
}

// changes is a number of changes, the small ones as likely as the large.
func (m *machine) changes(most int) int {
	return int(math.Exp(m.rng.Float64() * math.Log(float64(most))))
}

// command runs a command of the program to its end, or until so many changes later the power fails:
// then it returns ok false, and the disk is off.
func (m *machine) command(ctx context.Context, changes int, args ...string) (code int, out string, ok bool, err error) {
	cmd := exec.Command(m.bin, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	halted := m.disk.HaltAfter(changes)
	if err := cmd.Start(); err != nil {
		return 0, "", false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	kill := func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	defer time.AfterFunc(startLimit, kill).Stop()
	defer context.AfterFunc(ctx, kill)()
	select {
	case err = <-ended:
		m.disk.Resume()
	case <-halted:
		kill()
		m.disk.Off()
		<-ended
		return 0, "", false, nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), b.String(), true, nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return 0, b.String(), true, err
}

// begin makes the ledger by init, with the power failing meanwhile, and serves it. After each cut
// there is nothing, or init goes on, or there is a ledger to serve; once init has said that it made
// one, there is one. The server is nil if something was wrong.
func (m *machine) begin(ctx context.Context) (*child, error) {
	for n := 0; ; n++ {
		changes := 1 + m.rng.IntN(powerInit)
		if n >= powerInits || !m.more() {
			changes = math.MaxInt32
		}
		code, out, ok, err := m.command(ctx, changes, m.initArgs()...)
		if err != nil {
			return nil, fmt.Errorf("init: %w: %s", err, out)
		}
		if ok && (code == 0 || n > 0 && strings.Contains(out, "serve it")) {
			break
		}
		if ok {
			m.fault("init: exit code %d: %s", code, out)
			return nil, nil
		}
		m.inits++
		if err := m.fail(); err != nil {
			return nil, err
		}
		if err := m.halfMade(ctx); err != nil || m.wrong() {
			return nil, err
		}
	}
	m.inits++
	if err := m.cut(); err != nil {
		return nil, err
	}
	if err := m.adopt(); err != nil {
		m.fault("init said that there is a ledger; after a power cut: %v", err)
		return nil, nil
	}
	c, err := m.start(ctx)
	if err != nil {
		return nil, m.didNotStart(ctx, err)
	}
	if err := m.signs(ctx, c); err != nil || m.wrong() {
		m.end(c)
		return nil, err
	}
	return c, nil
}

// halfMade looks at what an init has left that did not end: it can be served, or serve says in a
// sentence why not.
func (m *machine) halfMade(ctx context.Context) error {
	if m.rng.IntN(2) == 0 {
		return nil
	}
	c, err := m.start(ctx)
	var ended *endedError
	if errors.As(err, &ended) {
		if said := ended.stderr.last(); m.crashed(ended.child) || !strings.HasPrefix(said, "undersigned: ") || strings.Contains(said, "\n") {
			m.fault("after half an init the server says %q", said)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer m.disk.Resume()
	defer m.end(c)
	return m.signs(ctx, c)
}

// crashed reports whether a server ended otherwise than by exit code 1.
func (m *machine) crashed(c *child) bool {
	var exit *exec.ExitError
	return !errors.As(c.err, &exit) || exit.ExitCode() != 1
}

// signs holds a server to its word that it admits entries.
func (m *machine) signs(ctx context.Context, c *child) error {
	_, err := c.get(ctx, "readyz")
	var status *statusError
	if errors.As(err, &status) && status.status == http.StatusServiceUnavailable {
		m.fault("the server does not sign any more: %s: %s", status.body, c.stderr.last())
		return nil
	}
	return err
}

// failStarting lets the power fail while a server starts and finishes what was left to it.
func (m *machine) failStarting(typical time.Duration) error {
	halted := m.disk.HaltAfter(m.changes(20))
	c, out, err := launch(append([]string{m.bin}, serveArgs(m.dir)...)...)
	if err != nil {
		return err
	}
	go io.Copy(io.Discard, out)
	select {
	case <-halted:
	case <-time.After(m.upTo(typical * 3 / 2)):
		m.disk.Halt()
	case <-c.ended:
		m.fault("a server ended by itself while it started: %v: %s", c.err, c.stderr.last())
	}
	m.end(c)
	m.starts++
	if err := m.fail(); err != nil {
		return err
	}
	return m.remembers()
}

// remembers holds the last-signed record to the checkpoints that anybody was shown: if it says less,
// an old copy of the store could sign others.
func (m *machine) remembers() error {
	b, err := os.ReadFile(filepath.Join(m.dir, "keys", "last-signed"))
	if err != nil {
		return err
	}
	var says uint64
	for line := range strings.Lines(string(b)) {
		if size, ok := strings.CutPrefix(line, "size "); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(size), 10, 64)
			says = max(says, n)
		}
	}
	m.judge.mu.Lock()
	defer m.judge.mu.Unlock()
	for size := range m.judge.seen {
		if size > says {
			m.fork("a checkpoint of size %d was published, and the last-signed record says %d", size, says)
			return nil
		}
	}
	return nil
}

// end kills a server, whether its disk stands still or not, and turns the disk off.
func (m *machine) end(c *child) {
	c.kill()
	m.disk.Off()
	c.wait()
}

// failServing judges what a server has, then lets the power fail under load; every fifth time after
// it was asked to end.
func (m *machine) failServing(ctx context.Context, c *child, n int) error {
	if err := m.signs(ctx, c); err != nil {
		return err
	}
	if err := m.judge.catchUp(ctx, c); err != nil {
		return err
	}
	if n%powerFull == 0 {
		if err := m.judge.everything(ctx, c); err != nil {
			return err
		}
	}
	if m.wrong() {
		m.end(c)
		return nil
	}
	if _, err := m.join(); err != nil {
		return err
	}
	stop, patience, shutdown := m.rng.IntN(5) == 0, powerLoad, m.upTo(powerShutdown)
	halted := m.disk.HaltAfter(m.changes(powerChanges))
	if stop {
		patience = m.upTo(powerLoad / 4)
	}
	end := make(chan struct{})
	go func() {
		defer close(end)
		select {
		case <-halted:
		case <-time.After(patience):
			if stop {
				c.interrupt()
				select {
				case <-halted:
				case <-time.After(shutdown):
				case <-c.ended:
				}
			}
			m.disk.Halt()
		case <-c.ended:
			m.fault("the server ended by itself: %v: %s", c.err, c.stderr.last())
		case <-ctx.Done():
			m.disk.Halt()
		}
		m.end(c)
	}()
	m.load(ctx, c, powerClients)
	<-end
	if stop {
		m.stops++
	}
	if err := m.fail(); err != nil {
		return err
	}
	if err := m.remembers(); err != nil {
		return err
	}
	if n%powerFull == powerFull/2 {
		return m.fsck(ctx)
	}
	return ctx.Err()
}

// clients lets the power fail on the machine of a client, which has a disk of its own, while the
// ledger is served. What a command writes is there whole once it has ended well; before, it is
// there whole, as it was, or not at all.
func (m *machine) clients(ctx context.Context, name string, options powerfs.Options) (err error) {
	c, err := m.start(ctx)
	if err != nil {
		return m.didNotStart(ctx, err)
	}
	defer m.end(c)
	at, unmount, err := m.newMachine(name, options, m.outages)
	if err != nil {
		return err
	}
	at.record = m.record
	defer func() { err = errors.Join(err, unmount()) }()
	dir := filepath.Join(m.trial.dir, name)
	text := dir + ".statement.txt"
	if err := os.WriteFile(text, []byte(statement), 0o644); err != nil {
		return err
	}
	before := int64(-1) // the index in receipt.tlog-proof, -1 if there is none
	for n := 0; n < powerCommands && m.more(); n++ {
		switch n % 3 {
		case 0:
			path := filepath.Join(dir, fmt.Sprintf("%d.pem", n))
			done, err := at.run(ctx, "key", "new", "--no-password", "-o", path)
			if err != nil {
				return err
			}
			if _, err := source.Load(path, nil, ""); err != nil && (done || !errors.Is(err, fs.ErrNotExist)) {
				m.fault("after a power cut a key file (said to be made: %v): %v", done, err)
			}
		case 1:
			path, index := filepath.Join(dir, "receipt.tlog-proof"), m.rng.Int64N(int64(m.judge.size()))
			done, err := at.run(ctx, "receipt", "--ledger", c.url, "--policy", m.policyFile(), "-o", path, fmt.Sprint(index))
			if err != nil {
				return err
			}
			if err := m.judge.catchUp(ctx, c); err != nil { // a list may have been sealed meanwhile
				return err
			}
			now, err := m.heldReceipt(path)
			if err != nil {
				return err
			}
			if now != index && (done || now != before) {
				m.fault("after a power cut there is the receipt of entry %d; it was of %d, to be replaced (said to be: %v) by %d", now, before, done, index)
			}
			before = now
		case 2:
			who := m.members[m.rng.IntN(len(m.members))]
			if !who.known {
				continue
			}
			key, path := filepath.Join(m.trial.dir, fmt.Sprintf("%s-%d.pem", name, n)), filepath.Join(dir, fmt.Sprintf("%d.tlog-proof", n))
			if err := who.key.Save(key, nil); err != nil {
				return err
			}
			done, err := at.run(ctx, "endorse", "--ledger", c.url, "--policy", m.policyFile(), "--domain", who.domain,
				"--statement", text, "--key", key, "--receipt", path, "--yes")
			if err != nil {
				return err
			}
			if err := m.judge.catchUp(ctx, c); err != nil {
				return err
			}
			if now, err := m.heldReceipt(path); err != nil {
				return err
			} else if now < 0 && done {
				m.fault("after a power cut the receipt of an endorsement is not there, though it was said to be")
			}
		}
	}
	return nil
}

// heldReceipt checks a receipt in a file and returns its index, -1 if there is no file.
func (m *machine) heldReceipt(path string) (int64, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	r, err := verify.ParseReceipt(b)
	if err == nil && r.Index >= m.judge.size() {
		err = fmt.Errorf("the record has no entry %d", r.Index)
	}
	if err == nil {
		m.add(&m.receipts, 1)
		err = m.judge.receipt(&ack{Index: r.Index, Receipt: string(b)})
	}
	if err != nil {
		m.fault("after a power cut %s is no receipt: %v", filepath.Base(path), err)
		return -1, nil
	}
	return int64(r.Index), nil
}

// run runs a command of a client, and lets the power fail while it runs or right after it. It
// returns whether the command had ended, with exit code 0.
func (m *machine) run(ctx context.Context, args ...string) (bool, error) {
	code, out, ok, err := m.command(ctx, 1+m.rng.IntN(9), args...) // 9 is beyond its end
	if err != nil {
		return false, fmt.Errorf("%s: %w: %s", args[0], err, out)
	}
	if ok && code != 0 {
		m.fault("%s: exit code %d: %s", args[0], code, out)
	}
	m.commands++
	return ok, m.cut()
}
