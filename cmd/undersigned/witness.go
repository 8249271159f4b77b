package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/server"
	"github.com/tccm/undersigned/ledger/witness"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
)

type witnessCmd struct {
	New   witnessNewCmd   `cmd:"" help:"Make a witness: its keys, and the lines for other people's policies."`
	Serve witnessServeCmd `cmd:"" help:"Cosign the checkpoints of logs over HTTP."`
	Show  witnessShowCmd  `cmd:"" help:"Print a witness's lines for a policy."`
}

// What is in a witness's directory. No backup may hold the state, nor the record beside the keys: old ones put back make the keys sign
// what they must not.
const (
	witnessStateFile = "witness.db"
	witnessLogsFile  = "logs.txt"
	witnessKeysFile  = "witness.txt"   // its verifier keys, for everybody
	lastCosignedFile = "last-cosigned" // in keysDir; a mirror has it too
	evidenceDir      = "evidence"
)

// cosignerKeys are the files of a witness's or a mirror's two keys.
var cosignerKeys = []struct {
	file  string
	suite keys.Suite
	typ   byte
	size  int // bytes of the key, with which an SPKI of these suites ends
}{
	{"cosigner-ed25519.pem", keys.Ed25519, keys.TypeCosignatureEd25519, 32},
	{"cosigner-mldsa44.pem", keys.MLDSA44, keys.TypeCosignatureMLDSA44, 1312},
}

type witnessNewCmd struct {
	Dir  string `arg:"" help:"Where the witness will be. The directory is made if need be."`
	Name string `required:"" placeholder:"NAME" help:"Its name for ever, such as witness.example/w1: a domain, or a domain and a path."`
	jsonFlag
}

// Help shows how the command is used.
func (witnessNewCmd) Help() string {
	return `A witness vouches that a log shows everybody the same record: it cosigns a checkpoint only if it continues the one that it cosigned before. It makes two keys, Ed25519 and ML-DSA-44, which are one vote. Give the lines that it prints to the logs that are to ask it, and put the log lines of their policies into DIR/logs.txt.

Example:

	undersigned witness new w1 --name witness.example/w1
	grep ^log policy.txt >> w1/logs.txt
	undersigned witness serve w1 --listen 127.0.0.1:8090
`
}

// Run makes a witness.
func (c *witnessNewCmd) Run(a *app) error {
	vkeys, err := makeWitness(c.Dir, c.Name)
	if err != nil {
		return err
	}
	logs := filepath.Join(c.Dir, witnessLogsFile)
	if _, err := os.Lstat(logs); errors.Is(err, fs.ErrNotExist) {
		text := "# The logs that this witness cosigns, as in a policy: log <vkey>. A change is noticed while it runs.\n"
		if err := writeFile(logs, []byte(text)); err != nil {
			return err
		}
	}
	return a.printCosigner(c.Dir, vkeys, c.JSON)
}

type witnessShowCmd struct {
	Dir string `arg:"" help:"The witness's directory."`
	URL string `placeholder:"URL" help:"The address at which logs ask it, to be in the lines."`
	jsonFlag
}

// Help shows how the command is used.
func (witnessShowCmd) Help() string {
	return "Example:\n\n\tundersigned witness show w1 --url https://witness.example/\n"
}

// Run prints a witness's lines for a policy.
func (c *witnessShowCmd) Run(a *app) error {
	_, vkeys, err := cosigners(c.Dir)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printCosigner(c.Dir, vkeys, true)
	}
	a.printf("%s", policyLines(vkeys, c.URL, policyName(vkeys)))
	if _, err := os.Stat(filepath.Join(c.Dir, replayDir)); err == nil {
		a.printf("# It replays what it cosigns: this one may stand in the group %s.\n", verify.ReplayingGroup)
	}
	return nil
}

// makeWitness makes a directory with the keys of a witness, which have cosigned nothing.
func makeWitness(dir, name string) ([]keys.VKey, error) {
	return makeCosigner(dir, name, memory{filepath.Join(dir, witnessStateFile), witness.CreateState})
}

// memory is a file without which keys do not know what they have cosigned.
type memory struct {
	path   string
	create func(path string) error
}

// memoryOf is what every cosigner has.
func memoryOf(dir string) memory {
	return memory{filepath.Join(dir, keysDir, lastCosignedFile), ledger.CreateLastCosigned}
}

// makeCosigner makes a directory with the keys of a cosigner, and what they are to remember by. That is there before there is a
// key: where there are keys without it, it was lost. witnessKeysFile comes last: without it the same can be done again.
func makeCosigner(dir, name string, more ...memory) ([]keys.VKey, error) {
	if err := keys.CheckOrigin(name); err != nil {
		return nil, usagef("--name %q cannot be used: %w", name, plain(err))
	}
	if _, err := os.Lstat(filepath.Join(dir, witnessKeysFile)); err == nil {
		return nil, fmt.Errorf("%s has keys already; to print them, undersigned witness show %s", dir, dir)
	}
	if err := makeDirectory(filepath.Join(dir, keysDir)); err != nil {
		return nil, fmt.Errorf("cannot make the directory: %w", err)
	}
	keyed := false
	for _, ck := range cosignerKeys {
		_, err := os.Lstat(filepath.Join(dir, keysDir, ck.file))
		keyed = keyed || !errors.Is(err, fs.ErrNotExist)
	}
	for _, m := range append(more, memoryOf(dir)) {
		_, err := os.Lstat(m.path)
		if err == nil {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) && keyed {
			return nil, fmt.Errorf("there are keys in %s, and what they have cosigned is lost: there is no %s; take another directory, and another name", dir, m.path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = m.create(m.path)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot make %s: %w", m.path, err)
		}
	}
	// Those that an attempt made that was killed are durable before there is a key, too.
	if err := errors.Join(syncDirectory(dir), syncDirectory(filepath.Join(dir, keysDir))); err != nil {
		return nil, err
	}
	var lines []byte
	for _, ck := range cosignerKeys {
		path := filepath.Join(dir, keysDir, ck.file)
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			k, err := source.Generate(ck.suite)
			if err == nil {
				err = k.Save(path, nil)
			}
			if err != nil {
				return nil, fmt.Errorf("cannot keep the key: %w", err)
			}
		}
	}
	_, vkeys, err := loadCosigners(dir, name)
	if err != nil {
		return nil, err
	}
	for _, v := range vkeys {
		lines = fmt.Appendf(lines, "%s\n", v)
	}
	if err := syncDirectory(filepath.Join(dir, keysDir)); err != nil {
		return nil, err
	}
	return vkeys, writeFile(filepath.Join(dir, witnessKeysFile), lines)
}

// remember makes sure that a cosigner's keys know what they have cosigned. With forget it makes what is missing, empty, and returns
// whether anything was.
func remember(kind, dir string, forget bool, needed ...memory) (lost bool, err error) {
	for _, m := range needed {
		_, err := os.Lstat(m.path)
		if err == nil {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) && !forget {
			return false, fmt.Errorf("the keys in %s do not know any more what they have cosigned: there is no %s. They would cosign a second history of a log. "+
				"Best make a %s with another name, and so with new keys, with undersigned %s new, and have the policies name it. To go on with these keys all the same, on your word, start it once with --forget", dir, m.path, kind, kind)
		}
		if errors.Is(err, fs.ErrNotExist) {
			lost, err = true, m.create(m.path)
		}
		if err != nil {
			return lost, fmt.Errorf("cannot make %s: %w", m.path, err)
		}
	}
	return lost, nil
}

// openLastCosigned opens the record of what a cosigner's keys have cosigned.
func openLastCosigned(kind, dir string) (*ledger.LastCosigned, error) {
	last, err := ledger.OpenLastCosigned(memoryOf(dir).path)
	if errors.Is(err, ledger.ErrInUse) {
		return nil, fmt.Errorf("another process is using %s: a %s runs once", dir, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the record of what was cosigned last: %w", err)
	}
	return last, nil
}

// forgetFlag is the operator's word.
type forgetFlag struct {
	Forget bool `help:"Go on with keys that do not know what they have cosigned, because it was lost or is an old copy, on your word: they may cosign a second history. For one start."`
}

const (
	forgotten        = "forgotten on the operator's word: these keys may from now on cosign a second history, and whoever relies on them should be told"
	nothingForgotten = "there is nothing to forget: %s remembers all that its keys have cosigned; start it without --forget"
)

// cosigners returns the keys in a cosigner's directory.
func cosigners(dir string) ([]ledger.Signer, []keys.VKey, error) {
	b, err := os.ReadFile(filepath.Join(dir, witnessKeysFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, failf(codeUnchecked, "%s holds no keys of a witness or mirror: there is no %s in it; make them with undersigned witness new or undersigned mirror new", dir, witnessKeysFile)
	}
	if err != nil {
		return nil, nil, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	v, err := keys.ParseVKey(line)
	if err != nil {
		return nil, nil, fmt.Errorf("%s does not begin with a verifier key", filepath.Join(dir, witnessKeysFile))
	}
	return loadCosigners(dir, v.Name)
}

func loadCosigners(dir, name string) ([]ledger.Signer, []keys.VKey, error) {
	var signers []ledger.Signer
	var vkeys []keys.VKey
	for _, ck := range cosignerKeys {
		k, err := source.Load(filepath.Join(dir, keysDir, ck.file), nil, ck.suite)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot use the key: %w", err)
		}
		spki := k.Public().SPKI()
		v, err := keys.NewVKey(name, ck.typ, spki[len(spki)-ck.size:])
		if err != nil {
			return nil, nil, err
		}
		signers = append(signers, signerOf(v, k))
		vkeys = append(vkeys, v)
	}
	return signers, vkeys, nil
}

// printCosigner says what was made.
func (a *app) printCosigner(dir string, vkeys []keys.VKey, asJSON bool) error {
	if asJSON {
		names := []string{}
		for _, v := range vkeys {
			names = append(names, v.String())
		}
		return a.json(struct {
			Schema string   `json:"schema"`
			Name   string   `json:"name"`
			VKeys  []string `json:"vkeys"`
		}{"undersigned/cosigner/v1", vkeys[0].Name, names})
	}
	a.printf("Made the keys of %s in %s. What a policy says of it, with its address added to each witness line:\n\n%s", vkeys[0].Name, dir, policyLines(vkeys, "", policyName(vkeys)))
	return nil
}

type witnessServeCmd struct {
	Dir    string `arg:"" help:"The witness's directory."`
	Listen string `setting:"" default:"127.0.0.1:8090" placeholder:"ADDR" help:"The address to listen at (${default}); port 0 is any free one."`
	Replay bool   `help:"Read each record and replay it by its own rules, and cosign only what is admissible."`
	forgetFlag
	tlsFlags
}

// Help shows how the command is used.
func (witnessServeCmd) Help() string {
	return `It cosigns for the logs in DIR/logs.txt, which is read again when it changes or on SIGHUP. What it has cosigned is in DIR/witness.db, and beside the keys in DIR/keys/last-cosigned: never put an old copy of those files back. Without them it does not start; of a log of which the second has more than the first it cosigns nothing. Then make a witness with another name, or say --forget. What proves that a log has two histories is kept in DIR/evidence, and undersigned verify explains it.

With --replay it reads each record from the address on its log line, from the first entry to the last, and cosigns a checkpoint only if every entry under it is admissible: it makes this statement beside the usual one. Such a witness has a name and keys of its own, and stands in the group undersigned-replaying of policies. What it has read is kept in DIR/replay, which can be removed while it does not run: it is read again.

Example:

	undersigned witness serve w1 --listen 127.0.0.1:8090
	undersigned witness serve r1 --listen 127.0.0.1:8091 --replay
`
}

// Run serves a witness.
func (c *witnessServeCmd) Run(ctx context.Context, a *app) error {
	return c.serve(ctx, a, func(name string, logs int, url string) {
		kind := "Witness"
		if c.Replay {
			kind = "Replaying witness"
		}
		a.printf("%s %s, for %s, at %s\n", kind, name, plural(logs, "log"), url)
	})
}

// serve serves a witness until ctx ends or something fails. It calls begun as soon as it can be asked at url.
func (c *witnessServeCmd) serve(ctx context.Context, a *app, begun func(name string, logs int, url string)) error {
	log := slog.New(slog.NewTextHandler(a.err, nil))
	cert, err := c.certificate(a, log)
	if err != nil {
		return err
	}
	signers, vkeys, err := cosigners(c.Dir)
	if err != nil {
		return err
	}
	logs, err := openLogList(filepath.Join(c.Dir, witnessLogsFile), log)
	if err != nil {
		return err
	}
	lost, err := remember("witness", c.Dir, c.Forget, memory{filepath.Join(c.Dir, witnessStateFile), witness.CreateState}, memoryOf(c.Dir))
	if err != nil {
		return err
	}
	last, err := openLastCosigned("witness", c.Dir)
	if err != nil {
		return err
	}
	defer last.Close()
	state, err := c.state(last, lost, logs.origins(), log)
	if err != nil {
		return err
	}
	defer state.Close()
	if err := replays(c.Dir, c.Replay, len(last.Origins()) == 0); err != nil {
		return err
	}
	cfg := witness.Config{
		Signers: signers, State: state, Logs: logs.of, Now: a.now, Logger: log,
		Evidence: func(found *verify.Contradiction) {
			if err := a.keep(filepath.Join(c.Dir, evidenceDir), []*verify.Contradiction{found}); err != nil {
				log.Error("cannot keep what proves a contradiction", "error", err)
			}
		},
	}
	if c.Replay {
		r := &replaying{dir: filepath.Join(c.Dir, replayDir), logs: logs, evidence: cfg.Evidence, now: a.now, log: log, judges: make(map[string]*judged)}
		r.begin()
		defer r.close()
		cfg.Judge = r.judge
	}
	handler, err := witness.NewServer(cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go logs.follow(ctx)
	return a.serveHTTP(ctx, c.Listen, cert, handler, handler.Failed(), func(url string) { begun(vkeys[0].Name, len(logs.origins()), url) })
}

// state opens what the witness has cosigned, and says of which of it the keys have cosigned more.
func (c *witnessServeCmd) state(last *ledger.LastCosigned, lost bool, origins []string, log *slog.Logger) (*witness.State, error) {
	path := filepath.Join(c.Dir, witnessStateFile)
	state, err := witness.OpenState(path, last)
	if errors.Is(err, ledger.ErrInUse) {
		return nil, fmt.Errorf("another process is using %s: a witness runs once", path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use what the witness has cosigned so far: %w", err)
	}
	if !c.Forget {
		for _, g := range state.Gaps() {
			log.Error("nothing of this log is cosigned: the keys have cosigned more than witness.db has, or something else; it was lost or is an old copy. Make a witness with another name, or start this one once with --forget",
				"origin", g.Origin, "kept", g.Kept, "cosigned", g.Cosigned)
		}
		return state, nil
	}
	gaps, err := state.Forget()
	if err == nil && !lost && len(gaps) == 0 {
		err = fmt.Errorf(nothingForgotten, c.Dir)
	}
	for _, origin := range origins {
		// Whatever was lost, the keys are not new.
		if _, _, ok := last.Of(origin); !ok && err == nil {
			err = last.Forget(origin, 0, [32]byte{})
		}
	}
	if err != nil {
		return nil, errors.Join(err, state.Close())
	}
	if lost {
		log.Warn("what was cosigned is lost, and " + forgotten)
	}
	for _, g := range gaps {
		log.Warn(forgotten, "origin", g.Origin, "kept", g.Kept, "cosigned", g.Cosigned)
	}
	return state, nil
}

// certificate reads the certificate that the flags name; nil if they name none.
func (f *tlsFlags) certificate(a *app, log *slog.Logger) (*certificate, error) {
	if (f.TLSCert == "") != (f.TLSKey == "") {
		return nil, usagef("--tls-cert and --tls-key go together")
	}
	if f.TLSCert == "" {
		return nil, nil
	}
	return openCertificate(f.TLSCert, f.TLSKey, a.env["CREDENTIALS_DIRECTORY"], log)
}

// serveHTTP serves a handler until ctx ends or something fails.
func (a *app) serveHTTP(ctx context.Context, address string, cert *certificate, handler http.Handler, failed <-chan struct{}, begun func(url string)) error {
	listener, err := listen(ctx, address)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	url := "http://" + listener.Addr().String() + "/"
	if cert != nil {
		url = "https://" + listener.Addr().String() + "/"
		go cert.follow(ctx, certificateEvery)
	}
	served := server.Bounded(listener, server.Limits{Connections: maxPeers, ClientConnections: maxPeers / 4})
	if cert != nil {
		served = tls.NewListener(served, cert.config())
	}
	begun(url)
	broken := false
	go func() {
		select {
		case <-failed:
			broken = true
			stop()
		case <-ctx.Done():
		}
	}()
	err = server.Serve(ctx, served, handler)
	if err == nil && broken {
		err = errors.New("it has stopped because its storage failed: look at the disk, then start it again")
	}
	return err
}

// maxPeers is how many connections a witness or a mirror holds open.
const maxPeers = 1024

// A logList is a file of log lines that is read again when it changes.
type logList struct {
	path    string
	log     *slog.Logger
	current atomic.Pointer[verify.Policy]
	seen    fileState
}

const (
	logListEvery = 2 * time.Second
	maxLogList   = verify.MaxPolicy - 64
)

func openLogList(path string, log *slog.Logger) (*logList, error) {
	l := &logList{path: path, log: log}
	l.seen = stateOf(path)
	p, err := l.read()
	if err != nil {
		return nil, err
	}
	l.current.Store(p)
	return l, nil
}

func (l *logList) read() (*verify.Policy, error) {
	b, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failf(codeUnchecked, "there is no %s: it lists the logs, a line \"log <vkey>\" for each key", l.path)
	}
	if err != nil {
		return nil, err
	}
	if len(b) > maxLogList {
		return nil, fmt.Errorf("%s is larger than %s", l.path, check.Bytes(maxLogList))
	}
	if len(b) > 0 && !bytes.HasSuffix(b, []byte("\n")) {
		b = append(b, '\n')
	}
	p, err := verify.ParsePolicy(append(b, "quorum none\n"...))
	if err != nil {
		return nil, fmt.Errorf("cannot use the list of logs %s: %w", l.path, err)
	}
	return p, nil
}

func stateOf(path string) fileState {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}
	}
	return fileState{info.Size(), info.ModTime(), info.Mode()}
}

// of returns the keys of the log with this origin.
func (l *logList) of(origin string) []keys.VKey {
	var vkeys []keys.VKey
	for _, k := range l.current.Load().Logs() {
		if k.VKey.Name == origin {
			vkeys = append(vkeys, k.VKey)
		}
	}
	return vkeys
}

func (l *logList) origins() []string { return l.current.Load().Origins() }

// follow reads the list again until ctx ends: when it changes, and on SIGHUP.
func (l *logList) follow(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := time.NewTicker(logListEvery)
	defer tick.Stop()
	for {
		always := false
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			always = true
		case <-tick.C:
		}
		state := stateOf(l.path)
		if state == l.seen && !always {
			continue
		}
		l.seen = state
		p, err := l.read()
		if err != nil {
			l.log.Warn("the new list of logs cannot be used; the one before stays", "error", err)
			continue
		}
		l.current.Store(p)
		l.log.Info("there is a new list of logs", "logs", len(p.Origins()))
	}
}

// witnesses has a ledger ask the witnesses of its policy; nil: there are none.
func (c *serveCmd) witnesses(a *app, cfg *ledger.Config, log *slog.Logger) (*witness.Client, error) {
	path := c.Policy
	if path == "" {
		path = filepath.Join(c.Dir, policyFile)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	p, err := a.policy(path)
	if err != nil {
		return nil, err
	}
	if p.NoQuorum() && len(c.Mirror) == 0 {
		return nil, nil
	}
	retired, err := readRetired(c.Dir, cfg.Origin)
	if err != nil {
		return nil, err
	}
	var own []keys.VKey
	for _, s := range cfg.Signers {
		if !slices.ContainsFunc(p.Logs(), func(l verify.PolicyLog) bool { return l.VKey.Name == cfg.Origin && l.VKey.SameKey(s.VKey) }) {
			return nil, fmt.Errorf("%s has no log line for a key of this ledger, %s", path, s.VKey)
		}
		own = append(own, s.VKey)
	}
	for _, r := range retired {
		own = append(own, r.VKey)
	}
	asked, err := witness.NewClient(witness.ClientConfig{Origin: cfg.Origin, Logs: own, Policy: p, Mirrors: c.Mirror, Logger: log, Now: a.now})
	if err != nil {
		return nil, fmt.Errorf("cannot ask the witnesses of %s: %w", path, err)
	}
	cfg.Cosign, cfg.Witnessed, cfg.Forks, cfg.Republish = asked.Cosign, asked.Witnessed, asked.Forks(), c.Republish
	cfg.Evidence = func(found *verify.Contradiction) {
		if err := a.keep(filepath.Join(c.Dir, evidenceDir), []*verify.Contradiction{found}); err != nil {
			log.Error("cannot keep what proves a contradiction", "error", err)
		}
	}
	return asked, nil
}

// askNobody keeps a ledger that has witnesses from publishing what they have not cosigned.
func (a *app) askNobody(dir string) func(*ledger.Config) error {
	return func(cfg *ledger.Config) error {
		path := filepath.Join(dir, policyFile)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		p, err := a.policy(path)
		if err == nil && !p.NoQuorum() {
			cfg.Cosign = func(context.Context, *ledger.Pending) (*ledger.Cosigned, error) {
				return nil, errors.New("only serve asks witnesses")
			}
		}
		return err
	}
}

// lags tells how far each witness is behind.
func (h *house) lags() []ledger.Lag {
	if h.asked == nil {
		return nil
	}
	return h.asked.Lags()
}
