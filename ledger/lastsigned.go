package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A LastSigned is the file beside the log's keys that says what they signed last. It is what
// keeps an old copy of the store, put back by mistake, from signing a second history. So it
// lies with the keys, not with the store, and in no backup.
//
// The file has two slots of 4096 bytes, written in turn, so that a write that a crash cuts short
// leaves the one before. A slot is text, padded with spaces and a line feed:
//
//	undersigned/last-signed/v1
//	origin ledger.example/tccm
//	keys sha256:…          over the verifier keys, sorted, each followed by LF
//	count 58               of writes; the higher one holds
//	size 57
//	root CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//	sum sha256:…           over the lines above
//
// Behind them, from byte 8192 on, is room of 8192 bytes for one note: the checkpoint that the newer slot was written for, unless the
// store holds it already. It is written with the slot and made durable by the same sync, and bears its own length and sum:
//
//	undersigned/last-note/v1
//	note 3512 sha256:…     bytes that follow, and their hash
//	<the note>
//
// A note that a crash cuts short is none; what came before it was in the store by then (Ledger.storeNote). Zeros: none yet. A file
// that ends after its slots is whole as well.
type LastSigned struct {
	path string
	file *os.File // nil: there is none yet
	last signedRecord
	have bool
	bad  bool   // a slot is neither empty nor sound
	note []byte // that the room for one holds; nil: none
	room bool   // there is room for a note: writing one needs no space
	sure bool   // what it says was written since it was opened; what was read then need not be on the disk, if a sync failed before

	sync func(*os.File) error // dataSync; tests make it fail
}

type signedRecord struct {
	origin string
	keys   [32]byte
	count  uint64
	size   uint64
	root   [32]byte
}

const (
	signedSlot = 4096
	noteOffset = 2 * signedSlot
	noteRoom   = 8192
	signedFile = noteOffset + noteRoom // length of the file in bytes
)

// OpenLastSigned opens and locks the record at path. A missing file is a record that says nothing:
// the file is made when something is signed. If another process holds it the error is ErrInUse.
func OpenLastSigned(path string) (*LastSigned, error) {
	s := &LastSigned{path: path, sync: dataSync}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if err := LockFile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.file = f
	// What a process that was killed wrote last can be read, and need not be durable.
	if err := errors.Join(f.Sync(), syncDir(filepath.Dir(path))); err != nil {
		f.Close()
		return nil, err
	}
	if err := s.read(f); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// read takes up what a file holds.
func (s *LastSigned) read(f *os.File) error {
	b := make([]byte, signedFile)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return err
	}
	s.take(b[:min(n, noteOffset)])
	s.note = parseKept(b[min(n, noteOffset):n])
	return nil
}

// SignedOf reads how large a tree the record at path says was signed last under an origin, with whichever keys. It locks
// and changes nothing, for those who may not sign; false if there is nothing that can be read.
func SignedOf(path, origin string) (size uint64, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	var s LastSigned
	if s.read(f) != nil {
		return 0, false
	}
	return s.last.size, s.have && s.last.origin == origin
}

// take takes up what the slots hold.
func (s *LastSigned) take(b []byte) {
	for len(b) > 0 {
		slot := b[:min(signedSlot, len(b))]
		b = b[len(slot):]
		if len(bytes.Trim(slot, "\x00")) == 0 {
			continue
		}
		r, ok := parseSigned(slot)
		if !ok {
			s.bad = true
		} else if !s.have || r.count > s.last.count {
			s.last, s.have = r, true
		}
	}
}

// Close releases the record.
func (s *LastSigned) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Path returns where the record is.
func (s *LastSigned) Path() string { return s.path }

// keeps says whether a note can be written with the record.
func (s *LastSigned) keeps(note []byte) bool {
	return s.file != nil && s.room && len(kept(note)) <= noteRoom
}

// reserve makes room for a note, durably, in a file of an old version; a newer one has it. Without space for it there is none.
func (s *LastSigned) reserve() error {
	if s.file == nil || s.room {
		return nil
	}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if s.room = info.Size() >= signedFile; s.room {
		return nil
	}
	from := max(info.Size(), noteOffset) // what is there already may be a note
	_, err = s.file.WriteAt(make([]byte, signedFile-from), from)
	if noSpace(err) {
		return nil
	}
	if err == nil {
		err = s.sync(s.file)
	}
	s.room = err == nil
	return err
}

// noSpace says whether an error is that the disk, or what one may use of it, is full.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// renew makes the note that was read durable, and the slot without which nobody believes it, even if a sync failed before.
func (s *LastSigned) renew() error {
	if _, err := s.file.WriteAt(kept(s.note), noteOffset); err != nil {
		return err
	}
	if _, err := s.file.WriteAt(s.last.slot(), int64(s.last.count%2)*signedSlot); err != nil {
		return err
	}
	err := s.sync(s.file)
	s.sure = err == nil
	return err
}

// write makes the record say that the keys are about to sign this tree, durably, and has it keep the tree's note, if that is not nil, in
// place of the one before, which must be in the store. After an error the record must not be used again.
func (s *LastSigned) write(origin string, keys [32]byte, size uint64, root [32]byte, note []byte) error {
	r := signedRecord{origin, keys, 1, size, root}
	if s.have {
		r.count = s.last.count + 1
	}
	if s.file == nil {
		if err := s.create(r); err != nil {
			return err
		}
	} else {
		if err := InPlace(s.file, s.path); err != nil {
			return err
		}
		if note != nil {
			if _, err := s.file.WriteAt(kept(note), noteOffset); err != nil {
				return err
			}
		}
		if _, err := s.file.WriteAt(r.slot(), int64(r.count%2)*signedSlot); err != nil {
			return err
		}
		if err := s.sync(s.file); err != nil {
			return err
		}
		if err := InPlace(s.file, s.path); err != nil {
			return err
		}
	}
	s.last, s.have, s.bad, s.sure = r, true, false, true
	return nil
}

// create makes the file. It has its name only when it is whole: half a first record could not be
// told from a damaged one, which says that something was signed. The room for a note is of zeros, not a
// hole, so that what is written later needs no space.
func (s *LastSigned) create(r signedRecord) (err error) {
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	s.file = f
	if err := LockFile(f); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	// The other half says the same, so that a write there which is cut short leaves, sector by sector, the old text or the new one,
	// and padding that is alike in both.
	b := make([]byte, signedFile)
	copy(b[r.count%2*signedSlot:], r.slot())
	before := r
	before.count--
	copy(b[before.count%2*signedSlot:], before.slot())
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := s.sync(f); err != nil {
		return err
	}
	// Unlike a rename, a link never replaces a record that another process made meanwhile.
	if err := os.Link(f.Name(), s.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(s.path))
}

func (r signedRecord) slot() []byte {
	b := fmt.Appendf(make([]byte, 0, signedSlot), "undersigned/last-signed/v1\norigin %s\nkeys sha256:%x\ncount %d\nsize %d\nroot %s\n",
		r.origin, r.keys, r.count, r.size, base64.StdEncoding.EncodeToString(r.root[:]))
	b = fmt.Appendf(b, "sum sha256:%x\n", sha256.Sum256(b))
	for len(b) < signedSlot-1 {
		b = append(b, ' ')
	}
	return append(b, '\n')
}

// parseSigned reads what slot returns and nothing else.
func parseSigned(slot []byte) (r signedRecord, ok bool) {
	lines := strings.SplitN(string(slot), "\n", 8)
	if len(lines) != 8 {
		return r, false
	}
	field := func(i int, name string) string {
		v, _ := strings.CutPrefix(lines[i], name+" ")
		return v
	}
	r.origin = field(1, "origin")
	sum := make([]byte, 0, 32)
	if _, err := fmt.Sscanf(field(2, "keys"), "sha256:%x", &sum); err != nil || len(sum) != len(r.keys) {
		return r, false
	}
	copy(r.keys[:], sum)
	r.count, _ = strconv.ParseUint(field(3, "count"), 10, 64)
	r.size, _ = strconv.ParseUint(field(4, "size"), 10, 64)
	root, _ := base64.StdEncoding.DecodeString(field(5, "root"))
	if len(root) != len(r.root) || len(r.origin) > signedSlot/2 {
		return r, false
	}
	copy(r.root[:], root)
	return r, bytes.Equal(r.slot(), slot)
}

// kept is a note with its length and sum, as the file has it.
func kept(note []byte) []byte {
	return append(fmt.Appendf(nil, "%snote %d sha256:%x\n", keptMagic, len(note), sha256.Sum256(note)), note...)
}

const keptMagic = "undersigned/last-note/v1\n"

// parseKept returns the note in b, which begins with what kept returns, or nil.
func parseKept(b []byte) []byte {
	var n int
	var sum []byte
	line, rest, _ := bytes.Cut(b[min(len(b), len(keptMagic)):], []byte("\n"))
	if _, err := fmt.Sscanf(string(line), "note %d sha256:%x", &n, &sum); err != nil || n < 1 || n > len(rest) {
		return nil
	}
	if !bytes.HasPrefix(b, kept(rest[:n])) {
		return nil
	}
	return bytes.Clone(rest[:n])
}

// signersKeys identifies a set of verifier keys.
func signersKeys(signers []Signer) [32]byte {
	var lines []string
	for _, s := range signers {
		lines = append(lines, s.VKey.String()+"\n")
	}
	slices.Sort(lines)
	return sha256.Sum256([]byte(strings.Join(lines, "")))
}
