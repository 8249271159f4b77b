package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
)

// demoServer is a witness or the mirror of the demonstration.
type demoServer struct {
	dir, name string
	url       string // where it is served, with a slash at its end; "" until then
	stop      context.CancelFunc
	stopped   chan error // how it ended
}

// start serves in the background, and returns when it is served.
func (s *demoServer) start(ctx context.Context, a *app, serve func(ctx context.Context, a *app, begun func(url string)) error) error {
	// What it would tell its own operator is in its answers too.
	quiet := *a
	quiet.err = io.Discard
	ctx, s.stop = context.WithCancel(ctx)
	s.stopped = make(chan error, 1)
	begun := make(chan string, 1)
	go func() { s.stopped <- serve(ctx, &quiet, func(url string) { begun <- url }) }()
	select {
	case s.url = <-begun:
		return nil
	case err := <-s.stopped:
		s.stopped <- err
		return fmt.Errorf("%s does not start: %w", s.name, err)
	}
}

// address is where it is served, without a scheme.
func (s *demoServer) address() string {
	return strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/")
}

// close ends it, if it was started, and tells what made it fail.
func (s *demoServer) close() error {
	if s.stop == nil {
		return nil
	}
	s.stop()
	return <-s.stopped
}

// demoWitness is a witness of the demonstration.
type demoWitness struct {
	demoServer
	replays bool
}

// demoWitnesses are the witnesses of a demonstration that is kept in dir.
func demoWitnesses(dir string) []*demoWitness {
	return []*demoWitness{
		{demoServer: demoServer{dir: filepath.Join(dir, "witness-north"), name: "north.example/witness"}},
		{demoServer: demoServer{dir: filepath.Join(dir, "witness-south"), name: "south.example/witness"}},
		{demoServer: demoServer{dir: filepath.Join(dir, "witness-east"), name: "east.example/replaying-witness"}, replays: true},
	}
}

// begin makes the witness, which knows the log and the address of its record, and serves it. It returns what a policy says of it.
func (w *demoWitness) begin(ctx context.Context, a *app, logs []keys.VKey, address string) (policyVoter, error) {
	vkeys, err := makeWitness(w.dir, w.name)
	if err != nil {
		return policyVoter{}, err
	}
	if err := writeFile(filepath.Join(w.dir, witnessLogsFile), logLines(logs, address)); err != nil {
		return policyVoter{}, err
	}
	c := &witnessServeCmd{Dir: w.dir, Listen: "127.0.0.1:0", Replay: w.replays}
	err = w.start(ctx, a, func(ctx context.Context, a *app, begun func(string)) error {
		return c.serve(ctx, a, func(_ string, _ int, url string) { begun(url) })
	})
	return policyVoter{vkeys: vkeys, address: w.url, replays: w.replays}, err
}

// follow makes a mirror of the ledger that goes by its policy, and serves it.
func (d *demo) follow(ctx context.Context, a *app) error {
	m := &d.mirror
	if _, err := makeCosigner(m.dir, m.name); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(m.dir, mirroredDir), 0o755); err != nil {
		return err
	}
	policy, err := os.ReadFile(filepath.Join(d.dir, policyFile))
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(m.dir, mirroredDir, "demo.txt"), policy); err != nil {
		return err
	}
	c := &mirrorServeCmd{Dir: m.dir, Listen: "127.0.0.1:0", Every: time.Second}
	return m.start(ctx, a, func(ctx context.Context, a *app, begun func(string)) error {
		return c.serve(ctx, a, func(_, url string, _ []string) { begun(url) })
	})
}

// mirrored waits for the mirror to have all that is published, and audits its copy.
func (d *demo) mirrored(ctx context.Context) (*verify.Report, string, error) {
	copied := d.mirror.url + verify.OriginHash(demoOrigin) + "/"
	source, err := newClient(copied)
	if err != nil {
		return nil, "", err
	}
	ctx, stop := context.WithTimeoutCause(ctx, time.Minute, errors.New("it has not copied everything within a minute"))
	defer stop()
	for {
		note, err := source.fetch(ctx, "checkpoint")
		if err == nil {
			c, err := d.policy.OpenPast(note)
			if err != nil {
				return nil, "", err
			}
			if c.Size == d.service.ledger.Published().Size {
				break
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case err := <-d.mirror.stopped:
			d.mirror.stopped <- err
			return nil, "", cmp.Or(err, errors.New("it has stopped"))
		case <-ctx.Done():
			return nil, "", context.Cause(ctx)
		}
	}
	report, err := verify.Audit(ctx, d.policy, source.fetch, verify.AuditOptions{})
	return report, copied, err
}

// ready waits until enough witnesses have said what they saw of the ledger.
func (h *house) ready(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := h.ledger.ReadOnly()
		if !errors.Is(err, ledger.ErrUnwitnessed) {
			return err
		}
		select {
		case <-tick.C:
		case <-h.ledger.Done():
			return h.ledger.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fork is what a dishonest operator might try: with the log's own keys it signs a second record of the same size, in which the last
// entry is another one. No witness may cosign it, and what they keep must prove to anybody what was tried.
func (d *demo) fork(ctx context.Context) error {
	published := d.service.ledger.Published()
	forged, err := d.forge(ctx, published.Size)
	if err != nil {
		return err
	}
	d.say("")
	d.say("Then somebody with the log's own keys signed a second record, in which that withdrawal is missing, and asked the witnesses to cosign it.")
	var proven *verify.Conviction
	refused := 0
	for _, w := range d.witnesses {
		status, err := w.add(ctx, published.Size, forged)
		switch {
		case err != nil:
			return fmt.Errorf("asking %s about the second record: %w", w.name, err)
		case status == http.StatusConflict:
			continue // it is slow today, and has not seen that much of either
		case status != http.StatusUnprocessableEntity:
			return fmt.Errorf("asked about the second record, %s answers with status %d", w.name, status)
		}
		var path string
		if path, proven, err = w.proof(); err != nil {
			return fmt.Errorf("what %s keeps about the second record: %w", w.name, err)
		}
		refused++
		d.say("  %s refused. It keeps the proof in %s", w.name, path)
	}
	if refused <= len(d.witnesses)/2 {
		return fmt.Errorf("only %s refused the second record", plural(refused, "witness"))
	}
	d.say("Such a file convicts the log before anybody, without a network; undersigned verify explains it:")
	d.say("  %s", proven.Sentence)
	d.say("")
	return nil
}

// forge returns a note, signed with the log's keys, about a tree of this size with another last entry than the published one.
func (d *demo) forge(ctx context.Context, size uint64) ([]byte, error) {
	hashes := make([][32]byte, size)
	for i := range hashes {
		leaf, err := d.service.ledger.Leaf(ctx, uint64(i))
		if err != nil {
			return nil, err
		}
		hashes[i] = verify.LeafHash(leaf)
	}
	hashes[size-1] = hashes[size-2]
	signers, _, err := logSigners(filepath.Join(d.dir, demoLedger), demoOrigin)
	if err != nil {
		return nil, err
	}
	c := verify.Checkpoint{Origin: demoOrigin, Size: size, Root: treeHash(hashes)}
	note := append(c.Text(), '\n')
	now := uint64(d.now().Unix())
	for _, s := range signers {
		verifier, err := verify.NewVerifier(s.VKey)
		if err != nil {
			return nil, err
		}
		sig, err := s.Sign(verify.SignedMessage(s.VKey, now, c))
		if err != nil {
			return nil, err
		}
		if s.VKey.Type == keys.TypeCosignatureMLDSA44 {
			sig = verify.TimestampedSignature(now, sig)
		}
		if !verifier.Verify(c.Text(), sig) {
			return nil, errors.New("the signature of the forged checkpoint does not verify")
		}
		note = append(note, verify.SignatureLine(s.VKey, sig)...)
	}
	return note, nil
}

// treeHash is the root hash over leaf hashes, one or more.
func treeHash(hashes [][32]byte) [32]byte {
	n := len(hashes)
	if n == 1 {
		return hashes[0]
	}
	left := 1 << (bits.Len(uint(n-1)) - 1)
	return verify.NodeHash(treeHash(hashes[:left]), treeHash(hashes[left:]))
}

// add asks the witness to cosign a note of the size that it cosigned last. It returns the status of the answer.
func (w *demoWitness) add(ctx context.Context, size uint64, note []byte) (status int, err error) {
	body := append(fmt.Appendf(nil, "old %d\n\n", size), note...)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// proof returns the one file with which the witness convicts the log, and what it proves.
func (w *demoWitness) proof() (path string, proven *verify.Conviction, err error) {
	files, err := os.ReadDir(filepath.Join(w.dir, evidenceDir))
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("there are %s, not 1", plural(len(files), "file"))
	}
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(w.dir, evidenceDir, files[0].Name())
	b, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	file, err := verify.ParseContradiction(b)
	if err != nil {
		return "", nil, err
	}
	proven, err = file.Check()
	return path, proven, err
}
