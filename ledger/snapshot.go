package ledger

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// A snapshot is what all commits up to one give, in a file of one's own, so that opening need not
// compute it again. The file is a signed note by the log's Ed25519 key, and then a body:
//
//	undersigned/snapshot/v1
//	ledger ledger.example/tccm
//	commit 58 sha256:…               the newest commit in it, and its sum
//	size 57                          its tree size
//	root CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//	body 18923 sha256:…              the body's length in bytes, and its hash
//
//	— ledger.example/tccm Az3grlgt…
//
// No origin begins with "undersigned/", so that the signature is never one of a checkpoint. The body:
//
//	the state                        roll.State.Snapshot
//	for each leaf: 32 bytes          ID of its entry
//	for each commit: uint64          its first leaf, big-endian
//	for each hash at the tree's right edge, from the leaves' level up: 32 bytes
type snapshot struct {
	commit
	state  []byte
	ids    []entry.Hash
	starts []uint64
	edge   []byte
}

// snapshotHeader is the signed text.
type snapshotHeader struct {
	origin string
	seq    uint64
	sum    [32]byte
	size   uint64
	root   [32]byte
	length uint64
	hash   [32]byte
}

// snapshotEvery is how many entries, at least, lie between two snapshots of a running ledger; of a
// larger ledger, an eighth of it.
var snapshotEvery uint64 = 65536

const (
	maxSnapshotHeader = 1024
	// snapshotSync is how many bytes of a snapshot are written between two syncs, so that commits
	// never wait for more than these.
	snapshotSync = 8 << 20
)

func (h snapshotHeader) text() []byte {
	return fmt.Appendf(nil, "undersigned/snapshot/v1\nledger %s\ncommit %d sha256:%x\nsize %d\nroot %s\nbody %d sha256:%x\n",
		h.origin, h.seq, h.sum, h.size, base64.StdEncoding.EncodeToString(h.root[:]), h.length, h.hash)
}

// parseSnapshotHeader reads what text returns and nothing else.
func parseSnapshotHeader(text []byte) (h snapshotHeader, ok bool) {
	lines := strings.Split(string(text), "\n")
	if len(lines) != 7 {
		return h, false
	}
	h.origin, _ = strings.CutPrefix(lines[1], "ledger ")
	var sum, hash []byte
	var root string
	fmt.Sscanf(lines[2], "commit %d sha256:%x", &h.seq, &sum)
	fmt.Sscanf(lines[3], "size %d", &h.size)
	fmt.Sscanf(lines[4], "root %s", &root)
	fmt.Sscanf(lines[5], "body %d sha256:%x", &h.length, &hash)
	raw, _ := base64.StdEncoding.DecodeString(root)
	if len(sum) != len(h.sum) || len(hash) != len(h.hash) || len(raw) != len(h.root) {
		return h, false
	}
	h.sum, h.root, h.hash = [32]byte(sum), [32]byte(raw), [32]byte(hash)
	return h, bytes.Equal(h.text(), text)
}

// freeze returns a snapshot of the contents; false if they are not whole, because a commit failed or a
// tile could not be stored. Only what grows at its end is shared with them.
func (c *contents) freeze(ctx context.Context) (*snapshot, bool) {
	edge, stored := c.tree.edgeBytes()
	root, err := c.tree.rootAt(ctx, c.newest.size)
	if !stored || err != nil || root != c.newest.root || c.state.Size() != c.newest.size ||
		uint64(len(c.ids)) != c.newest.size || uint64(len(c.starts)) != c.newest.seq || len(edge) != edgeLen(c.newest.size)*verify.HashSize {
		return nil, false
	}
	return &snapshot{commit: c.newest, state: c.state.Snapshot(), ids: slices.Clip(c.ids), starts: slices.Clip(c.starts), edge: edge}, true
}

// body writes the body.
func (s *snapshot) body(w io.Writer) error {
	b := bufio.NewWriterSize(w, 1<<16)
	b.Write(s.state)
	for i := range s.ids {
		b.Write(s.ids[i][:])
	}
	for _, start := range s.starts {
		b.Write(binary.BigEndian.AppendUint64(b.AvailableBuffer(), start))
	}
	b.Write(s.edge)
	return b.Flush()
}

func (s *snapshot) header(origin string) snapshotHeader {
	h := snapshotHeader{origin: origin, seq: s.seq, sum: s.sum, size: s.size, root: s.root}
	h.length = uint64(len(s.state) + len(s.ids)*32 + len(s.starts)*8 + len(s.edge))
	sum := sha256.New()
	s.body(sum)
	sum.Sum(h.hash[:0])
	return h
}

// write puts the snapshot under a name, whole and durable or not at all.
func (s *snapshot) write(path, origin string, key signer) error {
	text := s.header(origin).text()
	sig, err := key.Sign(text)
	if err != nil {
		return fmt.Errorf("signing it: %w", err)
	}
	if !key.verifier.Verify(text, sig) {
		return errors.New("signing it: the signature does not verify")
	}
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !isNotExist(err) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(temp) // if it is still there
	w := &syncingWriter{file: f}
	_, err = w.Write(slices.Concat(text, []byte("\n"), verify.SignatureLine(key.VKey, sig)))
	if err == nil {
		err = s.body(w)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncingWriter writes to a file and syncs it on the way.
type syncingWriter struct {
	file  *os.File
	dirty int
}

func (w *syncingWriter) Write(b []byte) (int, error) {
	n, err := w.file.Write(b)
	if w.dirty += n; err == nil && w.dirty >= snapshotSync {
		w.dirty, err = 0, dataSync(w.file)
	}
	return n, err
}

// A snapshotError says why a snapshot is of no use.
type snapshotError string

func (e snapshotError) Error() string { return string(e) }

// errNotOurs says that a snapshot is of other keys, or that its first lines are damaged.
const errNotOurs = snapshotError("it does not carry a signature of the log's Ed25519 key")

// readSnapshot returns the header and body of the snapshot at path, which must be signed by one of these
// keys. Before that is sure, no more than the header is read.
func readSnapshot(path, origin string, signedBy ...keys.VKey) (h snapshotHeader, body []byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openAtOnce, 0)
	if err != nil {
		return h, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return h, nil, err
	}
	if !info.Mode().IsRegular() {
		return h, nil, snapshotError("it is not a regular file")
	}
	b := make([]byte, maxSnapshotHeader)
	n, err := io.ReadFull(f, b)
	if err != nil && err != io.ErrUnexpectedEOF {
		return h, nil, err
	}
	b = b[:n]
	text, rest, isText := bytes.Cut(b, []byte("\n\n"))
	line, _, isLine := bytes.Cut(rest, []byte("\n"))
	if !isText || !isLine {
		return h, nil, errNotOurs
	}
	text, line = b[:len(text)+1], rest[:len(line)+1]
	if !slices.ContainsFunc(signedBy, func(v keys.VKey) bool { return snapshotSigned(text, line, v) }) {
		return h, nil, errNotOurs
	}
	h, ok := parseSnapshotHeader(text)
	switch {
	case !ok:
		return h, nil, snapshotError("it is not in the form of this version")
	case h.origin != origin:
		return h, nil, snapshotError("it is of another ledger")
	}
	at := int64(len(text) + 1 + len(line))
	if uint64(info.Size()-at) != h.length {
		return h, nil, snapshotError("it is not as long as it says")
	}
	body = make([]byte, h.length)
	if _, err := f.ReadAt(body, at); err != nil {
		return h, nil, err
	}
	if sha256.Sum256(body) != h.hash {
		return h, nil, snapshotError("its bytes are not those that were signed")
	}
	return h, body, nil
}

// snapshotSigned says whether line is the one signature line of a key of type 0x01 over text.
func snapshotSigned(text, line []byte, v keys.VKey) bool {
	if v.Type != keys.TypeEd25519 {
		return false
	}
	verifier, err := verify.NewVerifier(v)
	if err != nil {
		return false
	}
	n, err := note.Open(slices.Concat(text, []byte("\n"), line), note.VerifierList(verifier))
	if err != nil || len(n.Sigs) != 1 {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	return err == nil && bytes.Equal(line, verify.SignatureLine(v, raw[4:]))
}

// load makes empty contents those of a snapshot, after it has held them to the commit that the store has.
func (c *contents) load(ctx context.Context, h snapshotHeader, body []byte, last uint64) error {
	if h.seq == 0 || h.seq > last {
		return snapshotError(fmt.Sprintf("it ends with commit %d, and the store holds %d", h.seq, last))
	}
	b, err := c.store.Read(ctx, h.seq)
	if err != nil {
		return fmt.Errorf("commit %d: %w", h.seq, err)
	}
	rec, err := decodeRecord(b)
	if err != nil || rec.seq != h.seq || rec.sum != h.sum || rec.size != h.size || rec.root != h.root {
		return snapshotError(fmt.Sprintf("its commit %d is not the store's", h.seq))
	}
	// The parts behind the state have a fixed length.
	wrong := snapshotError("its parts do not fit together")
	edge := uint64(edgeLen(h.size) * verify.HashSize)
	if h.size > h.length/32 || h.seq > h.length/8 || 32*h.size+8*h.seq+edge > h.length {
		return wrong
	}
	rest := body[h.length-(32*h.size+8*h.seq+edge):]
	var state *roll.State
	var decoding sync.WaitGroup
	decoding.Go(func() { state, err = roll.ReadSnapshot(body[:len(body)-len(rest)]) })
	c.ids, c.index = make([]entry.Hash, h.size), make(map[entry.Hash]uint64, h.size)
	for i := range c.ids {
		c.ids[i] = entry.Hash(rest[32*i:])
		c.index[c.ids[i]] = uint64(i)
	}
	decoding.Wait()
	if err != nil {
		return err
	}
	rest = rest[32*h.size:]
	c.starts = make([]uint64, h.seq)
	for i := range c.starts {
		c.starts[i] = binary.BigEndian.Uint64(rest[8*i:])
		if i == 0 && c.starts[i] != 0 || i > 0 && c.starts[i] <= c.starts[i-1] {
			return wrong
		}
	}
	if state.Size() != h.size || uint64(len(c.index)) != h.size || c.starts[h.seq-1] != rec.from {
		return wrong
	}
	c.tree.setEdge(h.size, rest[8*h.seq:])
	root, err := c.tree.rootAt(ctx, h.size)
	if err != nil {
		return err
	}
	if root != h.root {
		return snapshotError("its hashes do not give its root hash")
	}
	c.state = state
	for _, st := range state.Statements() {
		noteTexts(c.blobs, st.Statement, st.Size, st.Renditions)
	}
	c.newest = commit{seq: h.seq, sum: h.sum, size: h.size, root: h.root, admitted: state.Admitted()}
	return nil
}

// snapshots keeps the snapshot of a ledger.
type snapshots struct {
	path   string // "": none is kept
	scrubs bool
	stale  bool       // what is at path is of no use
	at     commit     // of the newest one
	loaded [32]byte   // hash of the body from which the ledger was opened, if it was
	mu     sync.Mutex // held while the file is written or removed
	// refuted says that the contents are not what the commits give, so that no snapshot may be
	// written; guarded by mu.
	refuted bool
	writing atomic.Bool

	toScrub  uint64
	scrubbed atomic.Uint64
	ended    atomic.Pointer[time.Time] // nil: not yet
}

// recallSnapshot makes the contents of the ledger from its snapshot and the commits after it, and returns
// the newest published note. What needs tiles of the store to be opened is computed, so that those can be
// made anew if they are missing.
func (l *Ledger) recallSnapshot(ctx context.Context, last uint64) (*head, error) {
	h, body, err := readSnapshot(l.snapshots.path, l.origin, l.VKeys()...)
	if err != nil {
		return nil, err
	}
	if err := l.load(ctx, h, body, last); err != nil {
		return nil, err
	}
	at := l.newest
	if err := l.quotas.recount(ctx, l.store, at); err != nil {
		return nil, err
	}
	if err := l.replay(ctx, last, l.log, l.opening); err != nil {
		return nil, err
	}
	head, err := l.newestNote(ctx)
	if err != nil {
		return nil, err
	}
	if s := l.signed; s.have && s.last.size <= l.newest.size {
		if _, err := l.tree.rootAt(ctx, s.last.size); err != nil {
			return nil, err
		}
	}
	l.snapshots.at, l.snapshots.loaded = at, h.hash
	return head, nil
}

// next has a snapshot written if it is time. The writer calls it, between two commits.
func (x *snapshots) next(l *Ledger) {
	fresh := l.newest.size - x.at.size
	if x.path == "" || l.ctx.Err() != nil || !x.stale && fresh <= max(snapshotEvery, l.newest.size/8) || !x.writing.CompareAndSwap(false, true) {
		return
	}
	s, ok := l.freeze(l.work)
	if !ok {
		x.writing.Store(false)
		return
	}
	x.stale, x.at = false, s.commit
	l.running.Go(func() {
		defer x.writing.Store(false)
		defer l.failOnPanic()
		x.write(l, s)
	})
}

// last writes a snapshot of a ledger that has ended well.
func (x *snapshots) last(l *Ledger) {
	defer l.failOnPanic()
	if x.path == "" || l.readOnly != nil || !x.stale && l.newest.seq == x.at.seq {
		return
	}
	if s, ok := l.freeze(l.work); ok {
		x.at = s.commit
		x.write(l, s)
	}
}

// write writes a snapshot. The ledger can do without, so that an error is a warning.
func (x *snapshots) write(l *Ledger, s *snapshot) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.refuted {
		return
	}
	i := slices.IndexFunc(l.signers, func(s signer) bool { return s.VKey.Type == keys.TypeEd25519 })
	key := l.signers[i]
	sign := key.Sign
	key.Sign = func(msg []byte) ([]byte, error) {
		l.signing.Lock()
		defer l.signing.Unlock()
		return sign(msg)
	}
	if err := s.write(x.path, l.origin, key); err != nil {
		l.log.Warn("no snapshot was written; opening the ledger takes longer without", "path", x.path, "error", err)
	}
}

// refute removes the snapshot for good.
func (x *snapshots) refute(l *Ledger) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.refuted = true
	err := os.Remove(x.path)
	if err == nil {
		err = syncDir(filepath.Dir(x.path))
	}
	if err != nil && !isNotExist(err) {
		l.log.Error("the snapshot cannot be removed; delete it before the ledger is opened again", "path", x.path, "error", err)
	}
}
