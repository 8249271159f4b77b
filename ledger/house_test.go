package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// house is everything that a ledger needs, and outlives it.
type house struct {
	tb     testing.TB
	dir    string // of the last-signed record
	store  ledger.Store
	cfg    ledger.Config
	signed *ledger.LastSigned
	failed error            // of opening it
	rec    *rolltest.Record // what the ledger should hold, to draft entries from
	ledger *ledger.Ledger

	mu  sync.Mutex
	now time.Time
}

// newHouse returns a ledger with entry 0 in an empty store.
func newHouse(tb testing.TB, store ledger.Store) *house {
	tb.Helper()
	h := prepare(tb, store)
	if err := h.create(); err != nil {
		tb.Fatal(err)
	}
	h.open()
	return h
}

// prepare returns a house whose ledger is not created yet.
func prepare(tb testing.TB, store ledger.Store) *house {
	h := &house{tb: tb, dir: tb.TempDir(), store: store, rec: rolltest.New(tb), now: rolltest.Start.Add(time.Hour)}
	h.cfg = ledger.Config{Origin: rolltest.Origin, Signers: logSigners(tb, "log"), Now: h.clock}
	tb.Cleanup(h.close)
	return h
}

// logSigners returns the two keys of a log.
func logSigners(tb testing.TB, seed string) []ledger.Signer {
	var signers []ledger.Signer
	for suite, typ := range map[keys.Suite]byte{keys.Ed25519: keys.TypeEd25519, keys.MLDSA44: keys.TypeCosignatureMLDSA44} {
		k := rolltest.NewKeyOf(suite, seed)
		material := k.Public.SPKI()
		material = material[len(material)-map[byte]int{keys.TypeEd25519: 32, keys.TypeCosignatureMLDSA44: 1312}[typ]:]
		v, err := keys.NewVKey(rolltest.Origin, typ, material)
		if err != nil {
			tb.Fatal(err)
		}
		signers = append(signers, ledger.Signer{VKey: v, Sign: func(msg []byte) ([]byte, error) { return k.Sign(msg), nil }})
	}
	if signers[0].VKey.Type != keys.TypeEd25519 {
		signers[0], signers[1] = signers[1], signers[0]
	}
	return signers
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) setClock(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = now
}

func (h *house) lastSigned() string { return filepath.Join(h.dir, "last-signed") }

// config returns the Config of this moment, with the last-signed record opened.
func (h *house) config() ledger.Config {
	h.tb.Helper()
	if h.signed == nil && len(h.cfg.Signers) > 0 {
		s, err := ledger.OpenLastSigned(h.lastSigned())
		if err != nil {
			h.tb.Fatal(err)
		}
		h.signed = s
	}
	cfg := h.cfg
	cfg.Store, cfg.LastSigned = h.store, h.signed
	return cfg
}

func (h *house) create() error {
	h.tb.Helper()
	leaf, err := entry.ParseLeaf(h.rec.Leaves[0])
	if err != nil {
		h.tb.Fatal(err)
	}
	return ledger.Create(context.Background(), h.config(), leaf.Entry)
}

// tryOpen opens the ledger.
func (h *house) tryOpen() (err error) {
	h.tb.Helper()
	h.ledger, err = ledger.Open(context.Background(), h.config())
	h.failed = err
	return err
}

// open opens the ledger, which must sign.
func (h *house) open() {
	h.tb.Helper()
	if err := h.tryOpen(); err != nil {
		h.tb.Fatal(err)
	}
	if err := h.ledger.ReadOnly(); err != nil && len(h.cfg.Signers) > 0 {
		h.tb.Fatal(err)
	}
}

// close closes the ledger, and gives up the last-signed record, as the end of a process would.
func (h *house) close() {
	if h.ledger != nil {
		h.ledger.Close()
		h.ledger = nil
	}
	if h.signed != nil {
		h.signed.Close()
		h.signed = nil
	}
}

// keptNote is the note in the last-signed record, nil if there is none.
func (h *house) keptNote() []byte {
	h.tb.Helper()
	b, err := os.ReadFile(h.lastSigned())
	if err != nil {
		h.tb.Fatal(err)
	}
	_, b, _ = bytes.Cut(b[ledger.NoteOffset:], []byte("undersigned/last-note/v1\n"))
	line, note, _ := bytes.Cut(b, []byte("\n"))
	var n int
	if _, err := fmt.Sscanf(string(line), "note %d ", &n); err != nil || n > len(note) {
		return nil
	}
	return note[:n]
}

// shows holds the ledger to a checkpoint that was handed out before: its note is there, and nothing smaller is published.
func (h *house) shows(size uint64, note []byte) {
	h.tb.Helper()
	if size == 0 {
		return
	}
	if now := h.ledger.Published().Size; now < size {
		h.tb.Fatalf("a checkpoint of size %d was handed out, and now one of size %d is", size, now)
	}
	if b, err := h.ledger.CheckpointAt(context.Background(), size); err != nil || !bytes.Equal(b, note) {
		h.tb.Fatalf("the checkpoint of size %d that was handed out is another one now (%v)", size, err)
	}
}

// reopen closes and opens the ledger, which must sign.
func (h *house) reopen() {
	h.tb.Helper()
	h.close()
	h.open()
}

// submit submits entries.
func (h *house) submit(entries ...*entry.Entry) []ledger.Result {
	var raw [][]byte
	for _, e := range entries {
		raw = append(raw, e.Bytes())
	}
	return h.ledger.Submit(context.Background(), raw...)
}

// must submits entries that must be published, and keeps the record up with them.
func (h *house) must(entries ...*entry.Entry) []ledger.Result {
	h.tb.Helper()
	results := h.submit(entries...)
	for i, r := range results {
		if r.Err != nil || !r.Published || r.Duplicate {
			h.tb.Fatalf("submitting a %s entry: %+v", entries[i].Body.Kind(), r)
		}
	}
	return results
}

// join registers an organization.
func (h *house) join(domain string) *rolltest.Org {
	h.tb.Helper()
	o := rolltest.NewOrg(domain, 1, 0, 1)
	e := h.rec.Registration(o)
	h.rec.Must(e)
	h.must(e)
	return o
}

// statement is the entry that publishes a text.
func (h *house) statement(text string) (*entry.Entry, entry.Hash) {
	hash := entry.Sum([]byte(text))
	return rolltest.Sign(h.rec.Draft(&entry.Statement{
		Action: entry.Publish, Statement: hash, Title: "A statement", Language: "en", MediaType: "text/plain", Size: int64(len(text)),
	}, h.rec.Operator)), hash
}

func (h *house) publish(text string) entry.Hash {
	h.tb.Helper()
	e, hash := h.statement(text)
	h.rec.Must(e)
	h.must(e)
	return hash
}

// after quotes the published checkpoint.
func (h *house) after() entry.After {
	return entry.After{Size: h.ledger.Published().Size, Note: entry.Sum(h.ledger.Checkpoint())}
}

// endorsement is an entry by which o endorses or withdraws.
func (h *house) endorsement(action entry.Action, o *rolltest.Org, hash entry.Hash, after entry.After) *entry.Entry {
	return rolltest.Sign(h.rec.Draft(&entry.Endorsement{Action: action, Statement: hash, After: after}, o))
}

// policyLines are the log lines of a policy.
func (h *house) policyLines() string {
	var b strings.Builder
	for _, s := range h.cfg.Signers {
		b.WriteString("log " + s.VKey.String() + "\n")
	}
	return b.String()
}

// policy trusts the log without witnesses.
func (h *house) policy() *verify.Policy {
	h.tb.Helper()
	p, err := verify.ParsePolicy([]byte(h.policyLines() + "quorum none\n"))
	if err != nil {
		h.tb.Fatal(err)
	}
	return p
}

// check checks the store, which must be sound.
func (h *house) check() *ledger.CheckReport {
	h.tb.Helper()
	r := h.flaws()
	if !r.OK() {
		h.tb.Fatalf("the store has flaws: %v", r.Flaws)
	}
	return r
}

func (h *house) flaws() *ledger.CheckReport {
	h.tb.Helper()
	o := ledger.CheckOptions{Origin: rolltest.Origin, LastSigned: h.signed}
	for _, s := range h.cfg.Signers {
		o.Logs = append(o.Logs, s.VKey)
	}
	r, err := ledger.Check(context.Background(), h.store, o)
	if err != nil {
		h.tb.Fatal(err)
	}
	return r
}

// audited holds everything that the ledger serves to what an outsider would.
func (h *house) audited() {
	h.tb.Helper()
	r, err := verify.Audit(context.Background(), h.policy(), h.ledger.Fetch, verify.AuditOptions{})
	if err != nil {
		h.tb.Fatal(err)
	}
	if p := h.ledger.Published(); !r.OK || r.Size != p.Size {
		h.tb.Fatalf("the audit of %d entries: %+v", p.Size, r)
	}
}

// opened says whether every key of the log signed a note.
func (h *house) opened(msg []byte) bool {
	for _, s := range h.cfg.Signers {
		v, err := verify.NewVerifier(s.VKey)
		if err != nil {
			h.tb.Fatal(err)
		}
		if _, err := note.Open(msg, note.VerifierList(v)); err != nil {
			return false
		}
	}
	return true
}

var errStop = errors.New("stopped by the test")

func memory() *storetest.Memory { return storetest.NewMemory() }

// cosigning makes a Config.Cosign of what adds lines to a note.
func cosigning(f func(ctx context.Context, note []byte) ([]byte, error)) func(context.Context, *ledger.Pending) (*ledger.Cosigned, error) {
	return func(ctx context.Context, p *ledger.Pending) (*ledger.Cosigned, error) {
		note, err := f(ctx, p.Note)
		return &ledger.Cosigned{Note: note}, err
	}
}
