package verify

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tccm/undersigned/verify/entry"
)

const (
	checkpointPath = "checkpoint"
	pastPrefix     = "checkpoints/"
	latestSuffix   = "/latest"
	blobPrefix     = "blobs/sha256/"
	maxArchive     = 1 << 24 // files
)

// CheckpointPath returns the path of the first published checkpoint note of a size.
func CheckpointPath(size uint64) string { return pastPrefix + strconv.FormatUint(size, 10) }

// BlobPath returns the path of the text with this hash.
func BlobPath(h entry.Hash) string { return blobPrefix + hex.EncodeToString(h[:]) }

// Archive is a copy of a whole record in one zip file, or the same unpacked in a directory. Its paths are
// those below a ledger's URL, and a file SHA256SUMS lists all of them, as sha256sum prints it. It is safe
// for concurrent use.
type Archive struct {
	files map[string]archiveFile
}

type archiveFile struct {
	read func() ([]byte, error) // never more than the path allows
	sum  [sha256.Size]byte
}

// OpenArchive opens the archive in the first size bytes of r. It refuses anything but the paths of
// a record, files named twice or larger than their path allows, and a SHA256SUMS that does not list
// every other file exactly once. That a file's bytes match is checked by every Fetch, so that nothing
// is read twice. Errors are *FormatError, or r's own.
func OpenArchive(r io.ReaderAt, size int64) (*Archive, error) {
	bad := func(problem string) (*Archive, error) { return nil, malformed(whatArchive, 0, problem) }
	z, err := zip.NewReader(r, size)
	if err != nil {
		return bad("it is not a zip file")
	}
	if len(z.File) > maxArchive || z.Comment != "" {
		return bad("it has too many files, or a comment")
	}
	a := &Archive{files: make(map[string]archiveFile, len(z.File))}
	var sums *zip.File
	for _, f := range z.File {
		limit := uint64(FetchLimit(f.Name))
		if f.Name == SumsPath {
			limit = uint64(len(z.File)) * 256
		} else if !recordPath(f.Name) {
			return bad("it holds a file that is no part of a record")
		}
		if f.UncompressedSize64 > limit {
			return bad("it holds a file larger than its path allows")
		}
		if _, ok := a.files[f.Name]; ok || f.Name == SumsPath && sums != nil {
			return bad("it holds a file twice")
		}
		if f.Name == SumsPath {
			sums = f
		} else {
			a.files[f.Name] = archiveFile{read: func() ([]byte, error) { return readFile(f) }}
		}
	}
	if sums == nil {
		return bad("it has no SHA256SUMS")
	}
	text, err := readFile(sums)
	if err != nil {
		return bad("its SHA256SUMS cannot be read")
	}
	listed := make(map[string]archiveFile, len(a.files))
	err = parseSums(text, func(path string, sum [sha256.Size]byte) bool {
		f, known := a.files[path]
		_, twice := listed[path]
		f.sum = sum
		listed[path] = f
		return known && !twice
	})
	if err != nil {
		return nil, err
	}
	if len(listed) != len(a.files) {
		return bad("its SHA256SUMS does not list every file")
	}
	a.files = listed
	return a, nil
}

// parseSums calls take with each line of SHA256SUMS. It is an error if take returns false, or if a line is
// not as sha256sum prints it.
func parseSums(text []byte, take func(path string, sum [sha256.Size]byte) bool) error {
	for n := 1; len(text) > 0; n++ {
		line, rest, ok := bytes.Cut(text, []byte("\n"))
		text = rest
		digits, path, ok2 := bytes.Cut(line, []byte("  "))
		var sum [sha256.Size]byte
		if !ok || !ok2 || !decodeHex(sum[:], digits) || !take(string(path), sum) {
			return malformed(whatArchive, n, "a line of SHA256SUMS must be the hash and path of a file in the archive, each once")
		}
	}
	return nil
}

// SumsPath is the path of the file in an archive that lists all others. A ledger's URL has none.
const SumsPath = "SHA256SUMS"

// maxSums bounds the SHA256SUMS of a directory: over a million files.
const maxSums = 256 << 20

// OpenTree opens an archive that is unpacked in a directory, as WriteTree makes it: its SHA256SUMS says which
// files belong to it, and others in the directory are not looked at. That a file is there, and its bytes
// match, is checked by every Fetch. Errors are *FormatError, or fsys's own: fs.ErrNotExist if there is
// no SHA256SUMS.
func OpenTree(fsys fs.FS) (*Archive, error) {
	text, err := readTree(fsys, SumsPath, maxSums)
	if err != nil {
		return nil, err
	}
	a := &Archive{files: make(map[string]archiveFile)}
	err = parseSums(text, func(path string, sum [sha256.Size]byte) bool {
		_, twice := a.files[path]
		a.files[path] = archiveFile{func() ([]byte, error) { return readTree(fsys, path, FetchLimit(path)) }, sum}
		return !twice && recordPath(path)
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// TreeFetch returns a Fetch from a directory with the files of a record and no SHA256SUMS, as any
// copy of what a ledger serves may be. Nothing beside the record is reached.
func TreeFetch(fsys fs.FS) Fetch {
	return func(ctx context.Context, path string) ([]byte, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !recordPath(path) {
			return nil, fmt.Errorf("no part of a record: %w", fs.ErrNotExist)
		}
		return readTree(fsys, path, FetchLimit(path))
	}
}

// readTree reads a file of at most limit bytes.
func readTree(fsys fs.FS, path string, limit int64) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, contradiction("%s is not a file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = contradiction("%s is larger than its path allows", path)
	}
	return b, err
}

// decodeHex reads exactly len(dst) bytes from lower-case hexadecimal.
func decodeHex(dst, src []byte) bool {
	if len(src) != 2*len(dst) || bytes.ContainsFunc(src, func(r rune) bool { return r >= 'A' && r <= 'F' }) {
		return false
	}
	_, err := hex.Decode(dst, src)
	return err == nil
}

// recordPath reports whether a path is one of those that an archive may have beside SHA256SUMS.
func recordPath(path string) bool {
	if path == checkpointPath {
		return true
	}
	if _, ok := pastSize(path); ok {
		return true
	}
	if _, ok := blobHash(path); ok {
		return true
	}
	_, err := ParseTilePath(path)
	return err == nil
}

// pastSize reads the size from checkpoints/<size> and checkpoints/<size>/latest.
func pastSize(path string) (uint64, bool) {
	s, ok := strings.CutPrefix(path, pastPrefix)
	if !ok {
		return 0, false
	}
	return parseDecimal(strings.TrimSuffix(s, latestSuffix))
}

// blobHash reads the hash from blobs/sha256/<hex>.
func blobHash(path string) (h entry.Hash, ok bool) {
	s, ok := strings.CutPrefix(path, blobPrefix)
	return h, ok && decodeHex(h[:], []byte(s))
}

// readFile reads a file of the archive, up to the size that its header claims.
func readFile(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// The header's size is a claim: memory grows with what is there, and io.LimitReader stops the rest.
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, int64(f.UncompressedSize64)+1))
	if err != nil {
		return nil, err
	}
	if uint64(n) != f.UncompressedSize64 {
		return nil, errors.New("the size in the zip header is wrong")
	}
	return b.Bytes(), nil
}

// Fetch returns the bytes at a path of the record. It is the archive's Fetch. The error is
// fs.ErrNotExist if there is no such path, and a *ContradictionError if the bytes are not those that
// SHA256SUMS lists.
func (a *Archive) Fetch(ctx context.Context, path string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, ok := a.files[path]
	if !ok {
		return nil, fmt.Errorf("not in the archive: %w", fs.ErrNotExist)
	}
	b, err := f.read()
	if err != nil || sha256.Sum256(b) != f.sum {
		return nil, contradiction("%s is damaged: it is not the file that SHA256SUMS lists", path)
	}
	return b, nil
}

// Paths returns every path but SHA256SUMS, sorted.
func (a *Archive) Paths() []string {
	paths := make([]string, 0, len(a.files))
	for p := range a.files {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// WriteArchive writes the record that fetch reaches as an archive: its checkpoint, every tile and entry
// bundle of that size, the published notes of the given sizes, and the given texts. It checks nothing
// but sizes (audit what it wrote). The same record gives the same bytes in every version: files are
// sorted by path with SHA256SUMS last, stored without compression, and dated 1980-01-01.
func WriteArchive(ctx context.Context, w io.Writer, fetch Fetch, checkpoints []uint64, blobs []entry.Hash) error {
	z := zip.NewWriter(w)
	if err := WriteTree(ctx, func(path string, data []byte) error { return writeFile(z, path, data) }, fetch, checkpoints, blobs); err != nil {
		return err
	}
	return z.Close()
}

// WriteTree is WriteArchive with put for each file, in the same order: what it puts into a directory is the archive
// unpacked, and what any web server can serve in a ledger's place.
func WriteTree(ctx context.Context, put func(path string, data []byte) error, fetch Fetch, checkpoints []uint64, blobs []entry.Hash) error {
	note, err := fetch(ctx, checkpointPath)
	if err != nil {
		return fmt.Errorf("%s: %w", checkpointPath, err)
	}
	text, _, err := splitNote(note)
	if err != nil {
		return err
	}
	c, err := ParseCheckpoint(text)
	if err != nil {
		return err
	}
	paths := []string{checkpointPath}
	for t := range TilesFor(c.Size) {
		paths = append(paths, t.Path())
	}
	for _, size := range checkpoints {
		if size <= c.Size { // what the ledger published since then is another archive's
			paths = append(paths, CheckpointPath(size))
		}
	}
	for _, h := range blobs {
		paths = append(paths, BlobPath(h))
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	var sums bytes.Buffer
	for _, p := range paths {
		b := note
		if p != checkpointPath {
			if b, err = fetch(ctx, p); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		}
		if int64(len(b)) > FetchLimit(p) {
			return contradiction("%s is larger than its path allows", p)
		}
		if err := put(p, b); err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(b), p)
	}
	return put(SumsPath, sums.Bytes())
}

func writeFile(z *zip.Writer, path string, b []byte) error {
	f, err := z.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Store, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return err
}
