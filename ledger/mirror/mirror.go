package mirror

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// A Config says of which ledger to keep a copy, and who vouches for it.
type Config struct {
	// Origin is the ledger's.
	Origin string
	// Policy says whose signatures on its checkpoints count.
	Policy *verify.Policy
	// Fetch reaches the ledger. It is called by many goroutines, and nothing that it returns is trusted.
	Fetch verify.Fetch
	// Sizes, if set, lists the sizes from one on of which the ledger has published checkpoints, ascending; fs.ErrNotExist: it cannot
	// tell. Without it only the notes that entries quote are kept beside those of each round.
	Sizes func(ctx context.Context, from uint64) ([]uint64, error)
	// Sightings, if set, asks the witnesses of the policy what they have seen. What it returns counts beside an error too.
	Sightings func(ctx context.Context) ([]ledger.Sighting, error)
	// Copy holds what is kept. It stays the caller's to close.
	Copy *ledger.Copy
	// Signers are the mirror's keys, all of one name: types 0x04 and 0x06.
	Signers []ledger.Signer
	// LastCosigned is the record beside the keys of what they cosigned last. It stays the caller's to close.
	LastCosigned *ledger.LastCosigned
	// Evidence, if set, is given what proves that the ledger contradicts itself, or a witness. It must not block.
	Evidence func(*verify.Contradiction)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger is told what goes wrong; nil: nobody is.
	Logger *slog.Logger
}

// A Mirror keeps the whole record of one ledger and shows it to everybody, with its own cosignature on the checkpoint: that it
// has durably kept everything under it. Round is called by one goroutine at a time; anything else by many.
type Mirror struct {
	Config
	follower *Follower
	ahead    []ledger.Sighting    // that are larger than what was followed, or not compared yet
	boundary map[uint64]bool      // sizes of published checkpoints that are not kept yet
	missing  map[entry.Hash]int64 // when a text was found missing, Unix seconds
	misled   misled
	halt     bool // that the ledger contradicts itself is kept

	mu     sync.RWMutex
	shown  *shown // nil: nothing yet
	status Status
}

// shown is the checkpoint that a mirror serves. It is never changed.
type shown struct {
	verify.Checkpoint
	note []byte // the ledger's, with the mirror's lines at the end
	time uint64 // of those, POSIX seconds
}

// A Status is how a mirror is doing.
type Status struct {
	Origin  string
	Size    uint64    // of the checkpoint that it has cosigned
	Seen    uint64    // of the largest that anybody has shown it
	Missing int       // texts that the ledger does not have
	Checked time.Time // when a round ended well; zero: none has
	// Problem says, in a sentence, what went wrong in the last round; "": nothing.
	Problem string
	// Contradicted says that the ledger contradicts itself: nothing is cosigned any more.
	Contradicted bool
}

const (
	cosignedPath     = "copy/checkpoint"
	contradictedPath = "copy/contradicted"
	maxAhead         = 64
	missingAgain     = 10 * 60 // seconds until a missing text is looked for again
)

// New returns the Mirror of what is kept. It reads nothing but that from anywhere.
func New(ctx context.Context, cfg Config) (*Mirror, error) {
	if len(cfg.Signers) == 0 {
		return nil, errors.New("a mirror needs a key")
	}
	if cfg.LastCosigned == nil {
		return nil, errors.New("a mirror needs a record of what it cosigned last")
	}
	for _, s := range cfg.Signers {
		if s.VKey.Type != keys.TypeCosignatureEd25519 && s.VKey.Type != keys.TypeCosignatureMLDSA44 {
			return nil, errors.New("a mirror's keys must be of the types 0x04 and 0x06")
		}
		if s.VKey.Name != cfg.Signers[0].VKey.Name || s.VKey.Name == cfg.Origin {
			return nil, errors.New("a mirror's keys must all have its name, which is not the ledger's")
		}
	}
	m := &Mirror{Config: cfg, boundary: make(map[uint64]bool), misled: make(misled), missing: make(map[entry.Hash]int64), status: Status{Origin: cfg.Origin}}
	if m.Now == nil {
		m.Now = time.Now
	}
	if m.Logger == nil {
		m.Logger = slog.New(slog.DiscardHandler)
	}
	if m.Evidence == nil {
		m.Evidence = func(*verify.Contradiction) {}
	}
	m.follower = NewFollower(FollowerConfig{
		Origin: cfg.Origin, Policy: cfg.Policy, Fetch: cfg.Fetch, Copy: cfg.Copy,
		Boundary: func(size uint64) bool { return m.boundary[size] },
		Misled:   func(c *verify.Contradiction) { m.misled.tell(c, m.Evidence, m.Logger) },
	})
	note, err := cfg.Copy.Get(ctx, cosignedPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		if m.shown, err = m.recall(ctx, note); err != nil {
			return nil, err
		}
		m.status.Size, m.status.Seen = m.shown.Size, m.shown.Size
		// What was kept by a process that was killed before the record had it is shown from now on.
		if err := m.LastCosigned.Advance(m.Origin, m.shown.Size, m.shown.Root); err != nil && !errors.Is(err, ledger.ErrCosigned) {
			return nil, err
		}
	}
	said, err := cfg.Copy.Get(ctx, contradictedPath)
	if err == nil {
		m.status.Contradicted, m.status.Problem, m.halt = true, string(said), true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return m, nil
}

// recall holds the checkpoint that was cosigned last to what is kept.
func (m *Mirror) recall(ctx context.Context, note []byte) (*shown, error) {
	var text []byte
	for _, l := range m.Policy.Logs() {
		text = fmt.Appendf(text, "log %s\n", l.VKey)
	}
	for i, s := range m.Signers {
		text = fmt.Appendf(text, "witness own%d %s\n", i, s.VKey)
	}
	own, err := verify.ParsePolicy(append(text, "quorum none\n"...))
	if err != nil {
		return nil, err
	}
	c, err := own.OpenPast(note)
	if err != nil {
		return nil, fmt.Errorf("what was cosigned last is not signed with keys of the policy and of this mirror: %w", err)
	}
	root, err := m.Copy.RootAt(ctx, c.Size)
	if err != nil || root != c.Root {
		return nil, fmt.Errorf("what was cosigned last, a tree of size %d, is not what is kept: %w", c.Size, ledger.ErrCorrupt)
	}
	return &shown{c.Checkpoint, note, uint64(max(0, c.Seen().Unix()))}, nil
}

// Gap returns the tree size that the mirror shows and the one that its keys have cosigned, if they have cosigned more than that,
// or something else: the copy was lost, or is an old one. It cosigns again when the copy has that tree too.
func (m *Mirror) Gap() (kept, cosigned uint64, ok bool) {
	size, root := m.showing()
	cosigned, _, _ = m.LastCosigned.Of(m.Origin)
	return size, cosigned, m.LastCosigned.Behind(m.Origin, size, root)
}

// Forget makes the mirror go on from what it shows, whatever else its keys have cosigned: they may then cosign a second history.
func (m *Mirror) Forget() error {
	size, root := m.showing()
	return m.LastCosigned.Forget(m.Origin, size, root)
}

func (m *Mirror) showing() (size uint64, root [32]byte) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.shown == nil {
		return 0, root
	}
	return m.shown.Size, m.shown.Root
}

// continues returns an error unless a tree of this size, as it is kept, continues what the keys cosigned last.
func (m *Mirror) continues(ctx context.Context, size uint64) error {
	last, root, ok := m.LastCosigned.Of(m.Origin)
	if !ok || last == 0 {
		return nil
	}
	if size < last {
		return fmt.Errorf("the keys of this mirror have cosigned a tree of size %d, and the ledger shows %d: nothing is cosigned until the copy has that tree", last, size)
	}
	kept, err := m.Copy.RootAt(ctx, last)
	if err == nil && kept != root {
		err = fmt.Errorf("the keys of this mirror have cosigned another tree of size %d than the copy has: nothing is cosigned", last)
	}
	return err
}

// Status returns how the mirror is doing.
func (m *Mirror) Status() Status {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.status
}

// Failed returns why nothing can be kept any more, nil while it can.
func (m *Mirror) Failed() error { return cmp.Or(m.Copy.Err(), m.LastCosigned.Err()) }

func (m *Mirror) set(change func(*Status)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.status)
}

// Round reads what is new, keeps it, and cosigns it. After an error that passes the next round goes on. A *FoundError says that
// something in the record does not hold; if the ledger contradicts itself, nothing is cosigned ever again, and Round returns
// that at once.
func (m *Mirror) Round(ctx context.Context) error {
	if s := m.Status(); s.Contradicted {
		return m.halted(ctx, s.Problem)
	}
	err := m.round(ctx)
	// Also if ctx has ended: it may not be shown again.
	var found *FoundError
	if errors.As(err, &found) && found.Report.Code == verify.CodeContradiction {
		for _, c := range found.Report.Contradictions {
			m.Evidence(c)
		}
		if len(found.Report.Contradictions) > 0 || m.follower.replay.Contrary() {
			problem := found.Report.Sentence
			m.set(func(s *Status) { s.Contradicted, s.Problem = true, problem })
			return m.halted(ctx, problem)
		}
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	m.set(func(s *Status) {
		s.Problem = ""
		if err != nil {
			s.Problem = err.Error()
			return
		}
		s.Checked = m.Now()
	})
	return err
}

// halted keeps that the ledger contradicts itself, if that could not be done before, and returns it.
func (m *Mirror) halted(ctx context.Context, problem string) error {
	halted := &ContradictedError{problem}
	if m.halt {
		return halted
	}
	if err := m.Copy.Keep(context.WithoutCancel(ctx), ledger.Object{Path: contradictedPath, Data: []byte(problem)}); err != nil {
		return errors.Join(halted, err)
	}
	m.halt = true
	return halted
}

// A ContradictedError says that a ledger contradicts itself, so that a mirror of it cosigns nothing any more.
type ContradictedError struct {
	// Problem is a sentence.
	Problem string
}

func (e *ContradictedError) Error() string { return e.Problem }

func (m *Mirror) round(ctx context.Context) error {
	if err := m.follower.Resume(ctx); err != nil && m.follower.Seen() == nil {
		return err
	}
	var sightings []ledger.Sighting
	if m.Sightings != nil {
		var err error
		if sightings, err = m.Sightings(ctx); err != nil {
			m.Logger.Warn("not all witnesses say what they have seen", "origin", m.Origin, "error", err)
		}
	}
	note, err := m.Fetch(ctx, "checkpoint")
	if err != nil {
		return fmt.Errorf("the ledger's checkpoint: %w", err)
	}
	c, err := m.Policy.OpenPast(note)
	if err != nil {
		return fmt.Errorf("the ledger's checkpoint: %w", err)
	}
	m.see(c.Size)
	sizes, err := m.published(ctx, c.Size)
	if err != nil {
		return err
	}
	if _, err := m.follower.Advance(ctx, note); err != nil {
		return err
	}
	if err := m.compare(ctx, sightings); err != nil {
		return err
	}
	if seen := m.follower.Seen(); seen.Size > c.Size {
		return fmt.Errorf("the ledger shows %d entries, and has shown %d", c.Size, seen.Size)
	}
	if err := m.notes(ctx, c, sizes); err != nil {
		return err
	}
	if err := m.texts(ctx); err != nil {
		return err
	}
	return m.cosign(ctx, c)
}

func (m *Mirror) see(size uint64) {
	m.set(func(s *Status) { s.Seen = max(s.Seen, size) })
}

// compare holds what witnesses have seen to what was followed, now or once that has become as large.
func (m *Mirror) compare(ctx context.Context, sightings []ledger.Sighting) error {
	waiting := append(m.ahead, sightings...)
	m.ahead = nil
	for i, s := range waiting {
		if slices.ContainsFunc(waiting[:i], func(o ledger.Sighting) bool { return bytes.Equal(o.Note, s.Note) }) {
			continue
		}
		told, err := m.follower.Compare(ctx, s.Note)
		var untrusted *verify.UntrustedError
		var malformed *verify.FormatError
		var found *FoundError
		switch {
		case errors.As(err, &untrusted), errors.As(err, &malformed):
			m.Logger.Warn("what a witness has seen is not a checkpoint that the policy takes", "origin", m.Origin, "witness", s.Who, "error", err)
		case errors.As(err, &found):
			m.Logger.Error("a witness has seen what contradicts this copy", "origin", m.Origin, "witness", s.Who)
			m.ahead = append(m.ahead, waiting[i:]...)
			return err
		case err != nil || !told:
			if len(m.ahead) < maxAhead {
				m.ahead = append(m.ahead, s)
			}
			if c, ok := checkpointOf(s.Note); ok && err == nil {
				m.see(c.Size)
			}
		}
	}
	return nil
}

// checkpointOf returns what a note says, whoever signed it.
func checkpointOf(note []byte) (verify.Checkpoint, bool) {
	text, _, ok := bytes.Cut(note, []byte("\n\n"))
	c, err := verify.ParseCheckpoint(append(bytes.Clone(text), '\n'))
	return c, ok && err == nil
}

// published asks of which sizes there are notes that are not kept, up to one.
func (m *Mirror) published(ctx context.Context, most uint64) ([]uint64, error) {
	clear(m.boundary)
	if m.Sizes == nil {
		return nil, nil
	}
	from := uint64(0)
	if m.shown != nil {
		from = m.shown.Size + 1
	}
	sizes, err := m.Sizes(ctx, from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the list of the ledger's checkpoints: %w", err)
	}
	sizes = slices.DeleteFunc(sizes, func(size uint64) bool { return size > most })
	for _, size := range sizes {
		m.boundary[size] = true
	}
	return sizes, nil
}

// notesAtOnce is how many notes are fetched at one time, and kept together.
const notesAtOnce = 16

// notes keeps the published notes of these sizes, and that of the checkpoint that was followed.
func (m *Mirror) notes(ctx context.Context, c *verify.SignedCheckpoint, sizes []uint64) error {
	if !slices.Contains(sizes, c.Size) {
		sizes = append(sizes, c.Size)
	}
	for some := range slices.Chunk(sizes, notesAtOnce) {
		kept := make([]ledger.Object, len(some))
		errs := make([]error, len(some))
		var fetching sync.WaitGroup
		for i, size := range some {
			fetching.Go(func() { kept[i], errs[i] = m.note(ctx, size) })
		}
		fetching.Wait()
		for i, err := range errs {
			var wrong *verify.ContradictionError
			switch {
			case errors.Is(err, fs.ErrNotExist) && some[i] == c.Size:
				// Not every server has them; what entries quote was kept.
			case errors.As(err, &wrong):
				// Where it is signed, it is proof.
				if _, found := m.follower.Compare(ctx, kept[i].Data); found != nil {
					return found
				}
				return fmt.Errorf("%s: %w", verify.CheckpointPath(some[i]), err)
			case err != nil:
				return fmt.Errorf("%s: %w", verify.CheckpointPath(some[i]), err)
			}
		}
		kept = slices.DeleteFunc(kept, func(o ledger.Object) bool { return o.Path == "" })
		if err := m.Copy.Keep(ctx, kept...); err != nil {
			return err
		}
	}
	first, err := m.Copy.Fetch(ctx, verify.CheckpointPath(c.Size))
	if errors.Is(err, fs.ErrNotExist) || err == nil && bytes.Equal(first, c.Note) {
		return nil
	}
	if err != nil {
		return err
	}
	return m.Copy.Keep(ctx, ledger.Object{Path: verify.CheckpointPath(c.Size) + "/latest", Data: c.Note})
}

// note fetches the published note of a size, unless it is kept; then the path is "". If it does not fit what is kept the error is a
// *verify.ContradictionError.
func (m *Mirror) note(ctx context.Context, size uint64) (ledger.Object, error) {
	path := verify.CheckpointPath(size)
	if _, err := m.Copy.Fetch(ctx, path); !errors.Is(err, fs.ErrNotExist) {
		return ledger.Object{}, err
	}
	note, err := m.Fetch(ctx, path)
	if err != nil {
		return ledger.Object{}, err
	}
	past, err := m.Policy.OpenPast(note)
	if err != nil {
		return ledger.Object{}, err
	}
	root, err := m.Copy.RootAt(ctx, size)
	if err == nil && (past.Origin != m.Origin || past.Size != size || past.Root != root) {
		err = &verify.ContradictionError{Problem: "it is not the checkpoint of that size"}
		return ledger.Object{Data: note}, err
	}
	return ledger.Object{Path: path, Data: note}, err
}

// texts keeps the texts that statements name. One that the ledger does not have is counted, and looked for again later.
func (m *Mirror) texts(ctx context.Context) error {
	now := m.Now().Unix()
	missing := 0
	for _, st := range m.follower.State().Statements() {
		hashes := []entry.Hash{st.Statement}
		for _, r := range st.Renditions {
			hashes = append(hashes, r.Hash)
		}
		for _, h := range hashes {
			path := verify.BlobPath(h)
			if at, ok := m.missing[h]; ok && now-at < missingAgain {
				missing++
				continue
			}
			if _, err := m.Copy.Fetch(ctx, path); !errors.Is(err, fs.ErrNotExist) {
				if err != nil {
					return err
				}
				continue
			}
			b, err := m.Fetch(ctx, path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s: %w", path, err)
			}
			if err != nil || sha256.Sum256(b) != h {
				if _, known := m.missing[h]; !known {
					m.Logger.Warn("a text that a statement names is not to be had from the ledger", "origin", m.Origin, "path", path)
				}
				m.missing[h] = now
				missing++
				continue
			}
			delete(m.missing, h)
			if err := m.Copy.Keep(ctx, ledger.Object{Path: path, Data: b}); err != nil {
				return err
			}
		}
	}
	m.set(func(s *Status) { s.Missing = missing })
	return nil
}

// cosign signs the checkpoint that was followed, of which everything is kept, and shows it.
func (m *Mirror) cosign(ctx context.Context, c *verify.SignedCheckpoint) error {
	root, err := m.Copy.RootAt(ctx, c.Size)
	if err != nil {
		return err
	}
	if root != c.Root {
		return fmt.Errorf("what is kept is not the tree of size %d: %w", c.Size, ledger.ErrCorrupt)
	}
	if err := m.continues(ctx, c.Size); err != nil {
		return err
	}
	note := m.strip(c.Note)
	now := uint64(max(1, m.Now().Unix()))
	if before := m.shown; before != nil {
		if bytes.HasPrefix(before.note, note) && len(m.strip(before.note)) == len(note) {
			return nil
		}
		if c.Size < before.Size {
			return fmt.Errorf("the ledger shows %d entries, and %d were cosigned", c.Size, before.Size)
		}
		if now < before.time {
			if behind := time.Duration(before.time-now) * time.Second; behind > clockSlack {
				return fmt.Errorf("the clock is %v behind the last cosignature", behind)
			}
			now = before.time // the time in cosignatures never goes back
		}
	}
	// SPEC: tlog-mirror: the cosignature says that the mirror has durably logged the contents of the checkpoint and made them
	// accessible.
	lines, err := ledger.Cosignatures(m.Signers, now, c.Text())
	if err != nil {
		return fmt.Errorf("cosigning: %w", err)
	}
	note = append(note, lines...)
	if len(note) > verify.MaxNote {
		return errors.New("the checkpoint bears too many signatures to be cosigned")
	}
	if err := m.Copy.Keep(ctx, ledger.Object{Path: cosignedPath, Data: note}); err != nil {
		return err
	}
	// After the copy: the other way round, a process that was killed in between would look like a lost copy.
	if err := m.LastCosigned.Advance(m.Origin, c.Size, c.Root); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shown = &shown{c.Checkpoint, note, now}
	m.status.Size = c.Size
	return nil
}

// strip returns a note without the lines of the mirror's keys.
func (m *Mirror) strip(note []byte) []byte {
	text, lines, _ := strings.Cut(string(note), "\n\n")
	b := []byte(text + "\n\n")
	for line := range strings.Lines(lines) {
		if !strings.HasPrefix(line, "— "+m.Signers[0].VKey.Name+" ") {
			b = append(b, line...)
		}
	}
	return b
}

// Checkpoint returns the note that the mirror serves, nil if it has cosigned nothing yet. The caller must not change it.
func (m *Mirror) Checkpoint() []byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.shown == nil {
		return nil
	}
	return m.shown.note
}

// Read returns what the mirror serves at a path below the ledger's. It is a verify.Fetch. The caller must not change the bytes.
func (m *Mirror) Read(ctx context.Context, path string) ([]byte, error) {
	if path != "checkpoint" {
		return m.Copy.Fetch(ctx, path)
	}
	if note := m.Checkpoint(); note != nil {
		return note, nil
	}
	return nil, fs.ErrNotExist
}
