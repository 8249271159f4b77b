package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/ledger/collector"
	"github.com/tccm/undersigned/ledger/server"
	"github.com/tccm/undersigned/ledger/tsa"
	"github.com/tccm/undersigned/ledger/witness"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// What is in a ledger's directory beside boltstore.File. No backup may hold the last-signed record.
const (
	keysDir        = "keys"
	logEd25519File = "log-ed25519.pem"
	logMLDSA44File = "log-mldsa44.pem"
	lastSignedFile = "last-signed"
	snapshotFile   = "snapshot" // may be deleted at any time
)

// A house is a ledger that lives in a directory of this machine.
type house struct {
	ledger *ledger.Ledger
	logs   []keys.VKey // Ed25519 (0x01), ML-DSA-44 (0x06)
	store  ledger.Store
	signed *ledger.LastSigned // nil: opened to be read alone

	rotated bool // a change of the log's keys that was cut short has been finished

	limits server.Limits   // of those whom it is served to
	cert   *certificate    // to serve it over TLS; nil: without
	asked  *witness.Client // nil: no witness is asked
	policy []byte          // that readers are offered; nil: none

	stamper *tsa.Stamper      // nil: no time-stamping authority is asked
	keeper  *collector.Keeper // nil: the DNS is not asked
}

// policyForReaders returns the policy file in a ledger's directory; nil: there is none that can be used.
func policyForReaders(dir string) []byte {
	f, err := os.Open(filepath.Join(dir, policyFile))
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, verify.MaxPolicy))
	if err != nil {
		return nil
	}
	if _, err := verify.ParsePolicy(b); err != nil {
		return nil
	}
	return b
}

// Close stops admitting and lets go of the directory.
func (h *house) Close() error {
	err := h.ledger.Close()
	if h.asked != nil {
		h.asked.Close()
	}
	if h.signed != nil {
		err = errors.Join(err, h.signed.Close())
	}
	return errors.Join(err, h.store.Close())
}

// readLedger opens the ledger in a store for reading.
func readLedger(ctx context.Context, store ledger.Store) (*ledger.Ledger, error) {
	origin, err := ledger.Origin(ctx, store)
	if err != nil {
		return nil, err
	}
	return ledger.Open(ctx, ledger.Config{Origin: origin, Store: store})
}

// makeHouse makes a new ledger in a directory, which it makes too if need be: the log's keys, a
// policy for readers, then the store with entry 0. It refuses a directory that has a ledger or keys of one.
func makeHouse(ctx context.Context, dir string, genesis *entry.Entry, now func() time.Time) ([]keys.VKey, error) {
	for _, d := range []string{dir, filepath.Join(dir, keysDir)} {
		if err := makeDirectory(d); err != nil {
			return nil, fmt.Errorf("cannot make the ledger's directory: %w", err)
		}
	}
	if err := unusedKeys(dir); err != nil {
		return nil, err
	}
	store, err := emptyStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	for _, lk := range logKeys {
		path := filepath.Join(dir, keysDir, lk.file)
		if _, err := os.Lstat(path); err == nil {
			continue // an attempt that stopped halfway left it; what it has signed, the last-signed record says
		}
		k, err := source.Generate(lk.suite)
		if err != nil {
			return nil, err
		}
		if err := k.Save(path, nil); err != nil {
			return nil, fmt.Errorf("cannot keep the log's key: %w", err)
		}
	}
	// A key that an attempt left which was killed need not have its name for good; the record of what it signed will.
	if err := syncDirectory(filepath.Join(dir, keysDir)); err != nil {
		return nil, fmt.Errorf("cannot keep the log's keys: %w", err)
	}
	signers, logs, err := logSigners(dir, genesis.Ledger)
	if err != nil {
		return nil, err
	}
	signed, err := ledger.OpenLastSigned(filepath.Join(dir, keysDir, lastSignedFile))
	if err != nil {
		return nil, inUse(dir, err)
	}
	defer signed.Close()
	// Before there is a ledger: afterwards init would not come back to it.
	if err := writeFile(filepath.Join(dir, policyFile), policyText(logs, "")); err != nil {
		return nil, err
	}
	err = ledger.Create(ctx, ledger.Config{Origin: genesis.Ledger, Store: store, Signers: signers, LastSigned: signed, Now: now}, genesis)
	if err != nil {
		return nil, fmt.Errorf("cannot make the ledger: %w", err)
	}
	return logs, nil
}

// unusedKeys refuses keys that lie where no ledger is and that no record speaks for: they may have signed. An attempt that stopped
// halfway has a store before it has keys.
func unusedKeys(dir string) error {
	for _, path := range []string{filepath.Join(dir, boltstore.File), filepath.Join(dir, keysDir, lastSignedFile)} {
		if _, err := os.Lstat(path); err == nil {
			return nil
		}
	}
	for _, lk := range logKeys {
		path := filepath.Join(dir, keysDir, lk.file)
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("there is a log's key at %s already, which may have signed another record: to go on with that one, restore it; otherwise move the key away", path)
		}
	}
	return nil
}

// emptyStore makes the store in a directory, or opens one that holds nothing yet because an attempt stopped halfway.
func emptyStore(ctx context.Context, dir string) (ledger.Store, error) {
	if _, err := os.Lstat(filepath.Join(dir, boltstore.File)); errors.Is(err, fs.ErrNotExist) {
		store, err := boltstore.Create(dir)
		if err != nil {
			return nil, fmt.Errorf("cannot make the ledger's store: %w", err)
		}
		return store, nil
	}
	store, err := boltstore.Open(dir, false)
	if err != nil {
		return nil, inUse(dir, err)
	}
	if last, err := store.Last(ctx); err != nil || last > 0 {
		store.Close()
		return nil, cmp.Or(err, fmt.Errorf("%s has a ledger already; serve it, or name another directory", dir))
	}
	return store, nil
}

// openHouse opens the ledger in a directory to serve it. If it may not sign, it can still be read:
// ledger.ReadOnly says why.
func openHouse(ctx context.Context, dir string, adopt *ledger.Adoption, now func() time.Time, log *slog.Logger, change ...func(*ledger.Config) error) (*house, error) {
	if err := holdsLedger(dir); err != nil {
		return nil, err
	}
	h := &house{}
	var err error
	if h.store, err = boltstore.Open(dir, false); err != nil {
		return nil, inUse(dir, err)
	}
	if h.signed, err = ledger.OpenLastSigned(filepath.Join(dir, keysDir, lastSignedFile)); err != nil {
		h.store.Close()
		return nil, inUse(dir, err)
	}
	removeLeftovers(dir)
	letGo := func() { h.signed.Close(); h.store.Close() }
	origin, err := ledger.Origin(ctx, h.store)
	if err != nil {
		letGo()
		return nil, fmt.Errorf("cannot read the ledger in %s: %w; undersigned fsck %s tells more", dir, err, dir)
	}
	if h.rotated, err = finishRotation(dir, origin, h.signed); err != nil {
		letGo()
		return nil, err
	}
	signers, logs, err := logSigners(dir, origin)
	if err != nil {
		letGo()
		return nil, err
	}
	h.logs = logs
	cfg := ledger.Config{Origin: origin, Store: h.store, Signers: signers, LastSigned: h.signed, Adopt: adopt, Snapshot: filepath.Join(dir, snapshotFile), Now: now, Logger: log}
	for _, f := range change {
		if err := f(&cfg); err != nil {
			letGo()
			return nil, err
		}
	}
	h.ledger, err = ledger.Open(ctx, cfg)
	if err != nil {
		letGo()
		return nil, fmt.Errorf("cannot open the ledger in %s: %w", dir, err)
	}
	return h, nil
}

// removeLeftovers removes what a process that was killed left half made in a directory, which must be locked. What cannot
// be removed does no harm.
func removeLeftovers(dir string) {
	for _, pattern := range []string{boltstore.File + ".new-*", ".control-*", filepath.Join(keysDir, lastSignedFile) + ".new-*"} {
		names, _ := fs.Glob(os.DirFS(dir), filepath.ToSlash(pattern))
		for _, name := range names {
			os.RemoveAll(filepath.Join(dir, filepath.FromSlash(name)))
		}
	}
}

// openToRead opens the ledger in a directory to serve it for reading alone. It needs no keys, writes nothing, and lets
// others read as well.
func openToRead(ctx context.Context, dir string, now func() time.Time, log *slog.Logger, progress func(done, total uint64)) (*house, error) {
	if err := holdsLedger(dir); err != nil {
		return nil, err
	}
	store, err := boltstore.Open(dir, true)
	if err != nil {
		return nil, inUse(dir, err)
	}
	origin, err := ledger.Origin(ctx, store)
	if err != nil {
		store.Close()
		return nil, fmt.Errorf("cannot read the ledger in %s: %w; undersigned fsck %s tells more", dir, err, dir)
	}
	whole, err := ledger.Whole(ctx, store, filepath.Join(dir, keysDir, lastSignedFile))
	if err != nil {
		store.Close()
		return nil, fmt.Errorf("cannot read the ledger in %s: %w", dir, err)
	}
	l, err := ledger.Open(ctx, ledger.Config{Origin: origin, Store: whole, Now: now, Progress: progress, Logger: log})
	if err != nil {
		store.Close()
		return nil, fmt.Errorf("cannot open the ledger in %s: %w", dir, err)
	}
	return &house{ledger: l, store: store}, nil
}

// holdsLedger returns an error if a directory holds no ledger, or one that may not be looked at.
func holdsLedger(dir string) error {
	err := hasStore(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; make one with undersigned init", err)
	}
	return err
}

// hasStore returns an error if there is no store in a directory, which is fs.ErrNotExist, or if that cannot be told.
func hasStore(dir string) error {
	_, err := os.Stat(filepath.Join(dir, boltstore.File))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return &noLedgerError{dir}
	}
	return unreadableRecord(dir, err)
}

// A noLedgerError says that a directory has no store in it. It is fs.ErrNotExist.
type noLedgerError struct{ dir string }

func (e *noLedgerError) Error() string {
	return fmt.Sprintf("%s holds no ledger: there is no %s in it", e.dir, boltstore.File)
}
func (e *noLedgerError) Unwrap() error { return fs.ErrNotExist }

// unreadableRecord is the error of a ledger or a copy that is there and cannot be looked at.
func unreadableRecord(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s cannot be read: permission denied; run this as the user who owns it", path)
	}
	return fmt.Errorf("cannot read %s: %w", path, err)
}

// A service is a ledger being served over HTTP.
type service struct {
	*house
	url     string // ends with a slash
	stop    context.CancelFunc
	stopped chan struct{} // closed when nothing is served any more
	err     error         // why, if not because of stop; set before stopped is closed
}

// listen listens at an address such as "127.0.0.1:8080", where port 0 is any free one.
func listen(ctx context.Context, address string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.DefaultResolver.LookupPort(ctx, "tcp", port)
	}
	if err != nil && ctx.Err() == nil {
		return nil, usagef("--listen %q is not an address such as 127.0.0.1:8080", address)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w; name another address with --listen", err)
	}
	return listener, nil
}

// startService serves a ledger at an address until Close or until its ledger fails. It takes the house over.
func startService(ctx context.Context, h *house, address, public string, now func() time.Time, log *slog.Logger) (*service, error) {
	listener, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	return h.serveAt(ctx, listener, public, now, log), nil
}

// serveAt is startService for who listens already.
func (h *house) serveAt(ctx context.Context, listener net.Listener, public string, now func() time.Time, log *slog.Logger) *service {
	scheme := "http"
	if h.cert != nil {
		scheme = "https"
	}
	s := &service{house: h, url: scheme + "://" + listener.Addr().String() + "/", stopped: make(chan struct{})}
	if public == "" {
		public = s.url
	}
	ctx, s.stop = context.WithCancel(ctx)
	cfg := server.Config{Ledger: h.ledger, URL: public, Logger: log, Now: now, Limits: h.limits, Witnesses: h.lags, PolicyText: h.policy}
	if cfg.PolicyText == nil && len(h.logs) > 0 {
		cfg.PolicyText = policyText(h.logs, "")
	}
	if h.asked != nil {
		cfg.Policy = h.asked.Policy
	}
	if h.stamper != nil {
		cfg.Stampings = h.stamper.Status
	}
	if h.keeper != nil {
		cfg.Keeping = h.keeper.Status
	}
	if h.cert != nil {
		cfg.Expires = h.cert.expires
	}
	handler := server.New(cfg)
	listener = handler.Bound(listener)
	if h.cert != nil {
		listener = tls.NewListener(listener, h.cert.config())
		go h.cert.follow(ctx, certificateEvery)
	}
	go func() {
		defer close(s.stopped)
		s.err = server.Serve(ctx, listener, handler)
	}()
	return s
}

// Wait returns when the service has a reason to end: ctx has ended, or its ledger or its listener has failed. What
// went wrong, Close tells.
func (s *service) Wait(ctx context.Context) {
	select {
	case <-s.stopped:
	case <-s.ledger.Done():
	case <-ctx.Done():
	}
}

// Close stops serving, waits for the requests under way, and closes the house. It returns what made the service fail, if anything did.
func (s *service) Close() error {
	s.stop()
	<-s.stopped
	return errors.Join(s.err, s.house.Close())
}

// deskOf returns a desk for the ledger as it is now.
func deskOf(ctx context.Context, l *ledger.Ledger, now func() time.Time) (*desk, error) {
	c := l.Published()
	note, err := l.CheckpointAt(ctx, c.Size)
	if err != nil {
		return nil, err
	}
	d := &desk{origin: l.Origin(), after: entry.After{Size: c.Size, Note: entry.Sum(note)}, now: now}
	// The state guards itself, and stays right as it moves on.
	return d, l.View(func(s *roll.State) { d.state = s })
}
