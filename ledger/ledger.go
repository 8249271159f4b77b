package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// Config says which ledger to open, and with what.
type Config struct {
	// Origin is the ledger's identity line (keys.CheckOrigin).
	Origin string
	// Store holds the record. It stays the caller's to close, after Ledger.Close.
	Store Store
	// Signers are the log's keys, in the order of the signature lines: its Ed25519 key (type
	// 0x01) and its ML-DSA-44 key (type 0x06), both named by the origin. With none the ledger
	// is opened for reading, and writes nothing.
	Signers []Signer
	// LastSigned is the record beside the key of what was signed last; needed if there are
	// Signers. It stays the caller's to close, after Ledger.Close.
	LastSigned *LastSigned
	// Adopt, if set, stands in for a last-signed record that is missing or of other keys.
	Adopt *Adoption
	// Cosign, if set, collects cosignatures for a checkpoint before it is published. After an error
	// the entries stay stored, and it is asked again, from time to time, for the checkpoint that is newest
	// then. An error that is ErrForked stops the ledger. It is never called twice at once.
	Cosign func(ctx context.Context, p *Pending) (*Cosigned, error)
	// Witnessed, if set, is asked before anything is admitted or signed which checkpoints of the log others have
	// seen; an error says that fewer answer than are needed. Until there is none the ledger admits
	// nothing, and it never does if one of them is larger than what is stored, or inconsistent with it.
	Witnessed func(ctx context.Context) ([]Sighting, error)
	// Forks, if set, is where a fork arrives that a witness shows when Cosign has returned already. It stops the ledger.
	Forks <-chan *ForkError
	// Republish is after how long without a new one the published checkpoint is cosigned afresh; 0: never.
	Republish time.Duration
	// Evidence, if set, is given what proves that the log's keys have signed two histories. It must not block.
	Evidence func(*verify.Contradiction)
	// Now is the clock; nil: time.Now. What goes into the record never goes back, whatever the clock does.
	Now func() time.Time
	// Snapshot is a file beside the store that lets the ledger open without replaying all of it;
	// "": none. It is made and replaced by the ledger, serves nobody else, and may be deleted at any
	// time; it belongs in no backup. A ledger that is opened for reading does not use it.
	Snapshot string
	// NoScrub leaves out what follows an opening from a snapshot: reading everything again in the
	// background.
	NoScrub bool
	// MaxBatch bounds the entries of one commit, 1 to 4096; 0: 1024.
	MaxBatch int
	// MaxQueue bounds the entries that wait for a commit, 1 or more; 0: 8192. They are bounded in bytes as well.
	MaxQueue int
	// Quota bounds the entries of each member. What the record says of its last period counts when it is opened.
	Quota Quota
	// Progress, if set, is told from time to time, while the ledger is opened, how many commits were read, of how many there are.
	Progress func(done, total uint64)
	// Logger tells what an operator should know; nil: nothing. What comes from submitters is
	// never in it, but for hashes and numbers.
	Logger *slog.Logger
}

// A Signer is one key of the log, or of a witness. Whoever takes one verifies what Sign returns, with VKey, before it leaves the process.
type Signer struct {
	VKey keys.VKey
	// Sign returns a signature over msg in the form of the key's suite, without a time before it. It may be asked while the commit
	// is on its way that msg is about; what it returns is kept back until the record of what was signed last is durable.
	Sign func(msg []byte) ([]byte, error)
}

// An Adoption is an operator's word that nothing larger than this checkpoint was ever signed
// with the ledger's keys, or that all of it lies within the store.
type Adoption struct {
	Size uint64
	Root [32]byte
}

// A Result is the answer to one submitted entry. The zero Index means something only if Stored.
type Result struct {
	ID       entry.Hash // of the text; zero if it does not parse
	Index    uint64     // where it is in the record, if Stored
	Admitted time.Time  // by the ledger's clock, if Stored; UTC, whole milliseconds
	// Stored says that the entry is in the record for good, Published that a published
	// checkpoint covers it. An entry that is Stored alone will be published without being
	// submitted again.
	Stored, Published bool
	// Duplicate says that it was in the record before, or that the same entry came in at the same
	// time and was first.
	Duplicate bool
	// Stands says that it is the last admitted entry on its subject: that no withdrawal or
	// other later word replaces it.
	Stands bool
	// ChainIndex, if the entry is Stored and a DNSSEC chain came with it, is where that is in the record: with the entry, or, if somebody else had
	// submitted the entry before, as evidence. ChainErr says why it is not: nil, a *Refusal or what Err can be.
	ChainIndex *uint64
	ChainErr   error
	// Err is nil if the entry is Stored. Otherwise it is a *Refusal, ErrBusy, ErrFull, a *LimitedError,
	// ErrClosed, a *RefusedError, ErrUnwitnessed, ErrClock, the context's error (the entry may be stored later: submitting it
	// again tells), or what made the ledger fail (the same).
	Err error

	entry *entry.Entry // whose text it is about, if Stored
}

// A Refusal says why an entry is not admitted. Nothing of it was stored.
type Refusal struct {
	// Rule is one of the roll's rules, RuleUnknown or RuleBlob. It is stable.
	Rule roll.Rule
	// Detail is a sentence for people. Of the entry it repeats hashes, numbers and checked domains alone.
	Detail string
}

func (r *Refusal) Error() string { return fmt.Sprintf("refused (%s): %s", r.Rule, r.Detail) }

// The rules that refuse something beside those of the roll.
const (
	RuleUnknown roll.Rule = "unknown" // the entry is of a form that this version knows
	RuleBlob    roll.Rule = "blob"    // a text is one that a published statement names, within its size
)

var (
	// ErrBusy is a Result's error when too many entries wait for a commit: try later.
	ErrBusy = errors.New("too many entries are waiting: try again later")
	// ErrClosed is a Result's error after Close.
	ErrClosed = errors.New("the ledger is closed")
	// ErrForked is what a Cosign returns that has seen a checkpoint signed with the ledger's own
	// key that is larger than, or inconsistent with, the one to cosign.
	ErrForked = errors.New("another checkpoint carries the ledger's own signature")
	// ErrEmpty is what Open returns for a store without a commit: create the ledger first.
	ErrEmpty = errors.New("the store holds no ledger")
	// ErrWithheld is what PutBlob returns for a text that the operator has taken down.
	ErrWithheld = errors.New("the operator has taken this text down")
)

// A RefusedError says why an opened ledger does not sign, and so admits nothing. It stays readable.
type RefusedError struct {
	// Problem is a sentence.
	Problem string
	// SignedSize is the tree size of the last-signed record, StoredSize the store's; Have says
	// whether there is a record at all.
	SignedSize, StoredSize uint64
	Have                   bool
}

func (e *RefusedError) Error() string { return "refusing to sign: " + e.Problem }

// Stats are counters of an open ledger, for an operator.
type Stats struct {
	Queued    int    // entries that wait for a commit
	Stored    uint64 // tree size of the newest commit
	Published uint64 // tree size of the published checkpoint
	Commits   uint64 // number of the newest commit
	// Admitted is when the last entry was admitted.
	Admitted time.Time
	// Scrubbed counts the entries that have been read and judged again since the ledger was opened
	// from a snapshot, of ToScrub; both are 0 if it was not.
	Scrubbed, ToScrub uint64
	// ScrubEnded is when the last of them was; zero: not yet, or there are none.
	ScrubEnded time.Time
}

// A Ledger is an open ledger. All its methods may be called by many goroutines.
type Ledger struct {
	origin       string
	signers      []signer
	keys         [32]byte // signersKeys
	signed       *LastSigned
	cosign       func(ctx context.Context, p *Pending) (*Cosigned, error)
	witnessed    func(ctx context.Context) ([]Sighting, error)
	republish    time.Duration
	forks        <-chan *ForkError
	evidence     func(*verify.Contradiction)
	witnessPause time.Duration
	clockWrong   atomic.Bool // nothing is admitted
	now          func() time.Time
	maxBatch     int
	opening      pace
	log          *slog.Logger

	contents              // its index, starts, blobs and newest are guarded by mu
	durable  sync.RWMutex // held by the writer while state is ahead of the store
	records  *lru[uint64, *record]
	notes    *lru[uint64, quotable] // of published checkpoints, by size

	mu       sync.RWMutex
	readOnly error    // why it does not serve; nil: it does
	shown    uint64   // tree size of which tiles can be read: witnesses need them before it is published
	head     *head    // what is published; nil: nothing yet
	sizes    []uint64 // of published checkpoints, ascending: all of them if listed, else those since opening
	listed   bool
	waiting  []waiter // for a checkpoint that covers them
	pruneAt  int      // length of waiting at which those that gave up are dropped

	blobMu sync.Mutex  // held while a text is put or taken down
	space  sync.Mutex  // held from asking the store for room until it is used, and while tiles are stored
	full   atomic.Bool // the store had no room when it was asked last

	snapshots snapshots
	publisher sync.Mutex // held while a checkpoint is made and published, or a fork is proven
	signing   sync.Mutex // held while a key signs
	ahead     atomic.Pointer[ahead]
	unstored  atomic.Pointer[Object] // the published note while the last-signed record alone has it; nil: the store has it

	queue    queue
	seals    seals
	checking gate
	quotas   quotas
	publish  chan struct{} // 1: there may be something to publish
	cosigned bool          // since the start; of whoever publishes

	failure atomic.Pointer[error] // what made it fail first, maybe while it was being closed; ErrClosed if it was closed without
	ctx     context.Context       // ends with closing or failing
	work    context.Context       // of what is not to be left halfway: never ends
	cancel  context.CancelCauseFunc
	running sync.WaitGroup
}

// commit is what one commit makes of the ledger.
type commit struct {
	seq      uint64
	sum      [32]byte
	size     uint64
	root     [32]byte
	admitted time.Time // of the last leaf
}

// head is a published checkpoint.
type head struct {
	verify.Checkpoint
	note []byte
}

// signer is a Signer with the verifier of its signatures.
type signer struct {
	Signer
	verifier note.Verifier
}

// ReadOnly returns a *RefusedError if the ledger does not sign, ErrReadOnly if it was opened
// without signers, ErrUnwitnessed while it waits for witnesses, and nil if it serves.
func (l *Ledger) ReadOnly() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.readOnly
}

// ClockWrong reports whether nothing is admitted because the clock and those of the witnesses are too far apart.
func (l *Ledger) ClockWrong() bool { return l.clockWrong.Load() }

// Done is closed when the ledger has failed or is being closed; Err tells why.
func (l *Ledger) Done() <-chan struct{} { return l.ctx.Done() }

// Err returns what made the ledger fail, ErrClosed after Close, or nil. A ledger that has failed
// admits nothing more: end the process, look at the storage, open it again.
func (l *Ledger) Err() error {
	if err := l.failed(); err != nil {
		return err
	}
	return context.Cause(l.ctx)
}

// failed returns what made the ledger fail, ErrClosed once it has been closed without, or nil.
func (l *Ledger) failed() error {
	if err := l.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// fail ends the ledger: whatever the storage holds now is found out by opening it again.
func (l *Ledger) fail(err error) error {
	stopped := fmt.Errorf("the ledger has stopped: %w", err)
	first := l.failure.CompareAndSwap(nil, &stopped)
	l.cancel(stopped) // at once: a log may be slow
	if first {
		l.log.Error("the ledger stops", "error", err)
	}
	return l.failed()
}

// failOnPanic, deferred, ends the ledger instead of the process, which ends with a sentence then.
func (l *Ledger) failOnPanic() {
	if r := recover(); r != nil {
		l.failOn(r)
	}
}

// failOn ends the ledger after a panic, and returns why. It is called before the stack is given up.
func (l *Ledger) failOn(r any) error {
	l.log.Error("a mistake in the program, or damaged memory", "stack", string(debug.Stack()))
	return l.fail(fmt.Errorf("a mistake in the program, or damaged memory: %v", r))
}

// Close stops admitting, waits for the commit that is under way, stores what is published, writes a snapshot, and releases nothing
// of the caller's. It returns what made the ledger fail, if it did.
func (l *Ledger) Close() error {
	l.cancel(ErrClosed)
	l.running.Wait()
	if err := l.failed(); err != nil && err != ErrClosed {
		return err
	}
	if err := l.Settle(l.work); err != nil && !errors.Is(err, ErrFull) {
		return err
	}
	l.snapshots.last(l)
	l.ended()
	if err := l.failed(); err != ErrClosed {
		return err
	}
	return nil
}

// ended closes the ledger for good: what fails from here on is a store that the caller has closed.
func (l *Ledger) ended() {
	l.failure.CompareAndSwap(nil, &ErrClosed)
	l.cancel(ErrClosed)
}

// Origin returns the ledger's identity line.
func (l *Ledger) Origin() string { return l.origin }

// Stats returns the counters of this moment.
func (l *Ledger) Stats() Stats {
	s := Stats{Queued: l.queue.len(), Scrubbed: l.snapshots.scrubbed.Load(), ToScrub: l.snapshots.toScrub}
	if at := l.snapshots.ended.Load(); at != nil {
		s.ScrubEnded = *at
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	s.Stored, s.Commits, s.Admitted = l.newest.size, l.newest.seq, l.newest.admitted
	if l.head != nil {
		s.Published = l.head.Size
	}
	return s
}

// View calls f with the state of everything stored, which may be ahead of the published
// checkpoint. No commit is made while f runs, so it must be short and must not submit. The error
// is what made the ledger fail; f is not called then.
func (l *Ledger) View(f func(*roll.State)) error {
	l.durable.RLock()
	defer l.durable.RUnlock()
	if err := l.Err(); err != nil {
		return err
	}
	f(l.state)
	return nil
}
