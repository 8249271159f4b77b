package verify

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tccm/undersigned/verify/roll"
)

const (
	// MaxReceipt bounds a receipt file, in bytes.
	MaxReceipt = 8 << 20
	// MaxSupport bounds the supporting leaves in a receipt.
	MaxSupport = 64

	maxProof = 64 // hashes: a tree of 2^63 leaves needs 63
)

// Receipt is an endorsement (or any other entry) with the proof that it is in the record, and
// what a reader needs beside it: a c2sp.org/tlog-proof@v1 file,
//
//	c2sp.org/tlog-proof@v1
//	extra <base64 on one line>
//	index <leaf index>
//	<base64 hash>*
//
//	<checkpoint note>
//
// whose extra data are, in binary and big-endian order: a uint16 length and the leaf; for each
// Support the byte 0x01, its index as uint64, a uint16 length and the leaf, a byte that counts
// the hashes, and the hashes; for After the byte 0x02, a uint32 length and the note. A parsed
// receipt is well formed and no more: Judge says what it proves.
//
// A roll receipt is the same for a sealed list. Its leaf is a roll's, and after the supporting leaves stand, in this order:
// for each of Lines the byte 0x11, a uint16 length and the line; or for each of Placed the byte 0x12, its place as uint64, a
// uint16 length and the line, a byte that counts the hashes, and the hashes, then for Domain the byte 0x13, a byte length, the
// domain, and SHA-256 of "undersigned/roll-question/v1", LF, the domain, LF and the roll's leaf hash, so that no damaged file
// answers for another domain; and for each of Notes the item of After.
type Receipt struct {
	// Index is the entry's leaf index.
	Index uint64
	// Leaf is the leaf: 1 to 65535 bytes.
	Leaf []byte
	// Proof is the inclusion proof of the leaf in the checkpoint's tree, its sibling first.
	Proof [][32]byte
	// Support holds other leaves of the same tree, strictly ascending by index: those that registered the
	// signing keys, the one that last named the member, the one that published the statement.
	Support []Support
	// After is the checkpoint note that the entry quotes; nil if there is none.
	After []byte

	// Of a roll: all its lines, or Domain and what proves that it is or is not among them.
	Lines  []roll.Line
	Placed []roll.Placed
	Domain string
	// Notes are those that endorsements among Support quote, strictly ascending by SHA-256.
	Notes [][]byte

	// Checkpoint is the signed note that every proof leads to.
	Checkpoint []byte
}

// Support is a leaf that a receipt needs beside its own, with its own inclusion proof.
type Support struct {
	Index uint64
	Leaf  []byte // 1 to 65535 bytes
	Proof [][32]byte
}

const (
	receiptHeader = "c2sp.org/tlog-proof@v1\n"
	itemSupport   = 0x01
	itemAfter     = 0x02
	itemLine      = 0x11
	itemPlaced    = 0x12
	itemQuestion  = 0x13
)

// ParseReceipt parses a receipt file. What it accepts prints back to the identical bytes.
// Errors are *FormatError.
func ParseReceipt(b []byte) (*Receipt, error) {
	if len(b) > MaxReceipt {
		return nil, malformed(whatReceipt, 0, "it is larger than 8 MiB")
	}
	rest, ok := bytes.CutPrefix(b, []byte(receiptHeader))
	if !ok {
		problem, _ := begins(b, receiptHeader)
		return nil, malformed(whatReceipt, 1, cmp.Or(problem, "it must begin with the line c2sp.org/tlog-proof@v1"))
	}
	head, note, ok := bytes.Cut(rest, []byte("\n\n"))
	if !ok {
		return nil, malformed(whatReceipt, 0, "there is no blank line before the checkpoint")
	}
	lines := bytes.Split(head, []byte("\n"))
	extra, ok := bytes.CutPrefix(lines[0], []byte("extra "))
	if !ok || len(lines) < 2 {
		return nil, malformed(whatReceipt, 2, "it must be followed by the lines extra and index")
	}
	data, ok := decodeBase64(string(extra))
	if !ok {
		return nil, malformed(whatReceipt, 2, "the extra data must be strict base64")
	}
	r := &Receipt{Checkpoint: bytes.Clone(note)}
	if problem := r.parseExtra(data); problem != "" {
		return nil, malformed(whatReceipt, 2, problem)
	}
	index, _ := bytes.CutPrefix(lines[1], []byte("index "))
	if r.Index, ok = parseDecimal(string(index)); !ok {
		return nil, malformed(whatReceipt, 3, "the index must be a decimal number without leading zeros")
	}
	if len(lines)-2 > maxProof {
		return nil, malformed(whatReceipt, 4, "the proof has more than 64 hashes")
	}
	for i, l := range lines[2:] {
		h, ok := parseHash(string(l))
		if !ok {
			return nil, malformed(whatReceipt, 4+i, "a hash of the proof must be 32 bytes in strict base64")
		}
		r.Proof = append(r.Proof, h)
	}
	for _, s := range r.Support {
		if s.Index == r.Index {
			return nil, malformed(whatReceipt, 2, "a supporting leaf has the receipt's own index")
		}
	}
	text, _, err := splitNote(note)
	if err == nil {
		_, err = ParseCheckpoint(text)
	}
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(r.Bytes(), b) {
		return nil, malformed(whatReceipt, 0, "it is not in the one form that a receipt has")
	}
	return r, nil
}

// What an editor or a mail program puts into files.
const (
	byteOrderMark  = "\uFEFF"
	problemBOM     = "there is a byte order mark (BOM) before it, which an editor or a mail program added: save the file as UTF-8 without BOM, or get it again"
	problemUTF16   = "it is in UTF-16, as the > of Windows PowerShell and some editors save it: save the file as UTF-8 without BOM, or get it again"
	problemReturns = "lines must end in LF alone: there is a carriage return (CR), which an editor or a mail program added: save the file with LF line ends, or get it again"
)

// begins reports whether a file begins with a line, but for what editors and mail programs add: then that is the problem.
func begins(b []byte, line string) (problem string, ok bool) {
	first, _, _ := bytes.Cut(Unmarked(b), []byte("\n"))
	first, returns := bytes.CutSuffix(first, []byte("\r"))
	switch ok = string(first) == strings.TrimSuffix(line, "\n"); {
	case ok && isUTF16(b):
		problem = problemUTF16
	case ok && bytes.HasPrefix(b, []byte(byteOrderMark)):
		problem = problemBOM
	case ok && returns:
		problem = problemReturns
	}
	return problem, ok
}

// Unmarked returns a file as it was before an editor or a mail program put a byte order mark before it, so that it can be told what
// kind of file it is. Of one in UTF-16 that is as much as is ASCII, up to 64 KiB.
func Unmarked(b []byte) []byte {
	if !isUTF16(b) {
		return bytes.TrimPrefix(b, []byte(byteOrderMark))
	}
	low := int(b[1] & 1) // of the two bytes of a character, the one that ASCII is in
	var ascii []byte
	for b = b[2:]; len(b) >= 2 && len(ascii) < 64<<10 && b[low] < utf8.RuneSelf && b[1-low] == 0; b = b[2:] {
		ascii = append(ascii, b[low])
	}
	return ascii
}

// isUTF16 says whether a file begins with the mark of UTF-16, in either order of bytes.
func isUTF16(b []byte) bool {
	return bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff"))
}

// parseExtra takes the extra data apart and returns what is wrong with them, or "". The parts
// share data's memory.
func (r *Receipt) parseExtra(data []byte) string {
	d := &extraReader{data}
	if r.Leaf = d.leaf(); r.Leaf == nil {
		return "the extra data end inside the leaf"
	}
	sealed := r.sealed() != nil
	for len(d.rest) > 0 {
		switch t := d.take(1)[0]; t {
		case itemSupport:
			var s Support
			index := d.take(8)
			s.Leaf = d.leaf()
			count := d.take(1)
			if index == nil || s.Leaf == nil || count == nil {
				return "the extra data end inside a supporting leaf"
			}
			s.Index = binary.BigEndian.Uint64(index)
			if s.Index > MaxSize {
				return "a supporting leaf's index is larger than 2^63-1"
			}
			if len(r.Support) > 0 && s.Index <= r.Support[len(r.Support)-1].Index {
				return "supporting leaves must ascend by index"
			}
			if count[0] > maxProof {
				return "a supporting leaf's proof has more than 64 hashes"
			}
			for range count[0] {
				h := d.take(HashSize)
				if h == nil {
					return "the extra data end inside a proof"
				}
				s.Proof = append(s.Proof, [32]byte(h))
			}
			if len(r.Support) == MaxSupport && !sealed {
				return "there are more than 64 supporting leaves"
			}
			r.Support = append(r.Support, s)
		case itemAfter:
			size := d.take(4)
			if sealed {
				if size == nil || binary.BigEndian.Uint32(size) > MaxNote || binary.BigEndian.Uint32(size) == 0 {
					return "a quoted note must have 1 byte to 256 KiB"
				}
				n := d.take(int(binary.BigEndian.Uint32(size)))
				if n == nil {
					return "the extra data end inside a quoted note"
				}
				if i := len(r.Notes); i > 0 && compareHashes(r.Notes[i-1], n) >= 0 {
					return "quoted notes must ascend by their hash"
				}
				r.Notes = append(r.Notes, n)
				continue
			}
			if size == nil || uint64(binary.BigEndian.Uint32(size)) != uint64(len(d.rest)) || len(d.rest) == 0 || len(d.rest) > MaxNote {
				return "the quoted note must be the last item, of 1 byte to 256 KiB"
			}
			r.After = d.take(len(d.rest))
		case itemLine, itemPlaced, itemQuestion:
			if !sealed {
				return "only the receipt of a sealed list has lines"
			}
			if problem := r.parseSealed(t, d); problem != "" {
				return problem
			}
		default:
			return "the extra data hold an item of an unknown type"
		}
	}
	return ""
}

// extraReader takes bytes off the front; what runs short gives nil.
type extraReader struct{ rest []byte }

func (d *extraReader) take(n int) []byte {
	if n > len(d.rest) {
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

// leaf takes a uint16 length and that many bytes, at least one.
func (d *extraReader) leaf() []byte {
	n := d.take(2)
	if n == nil || binary.BigEndian.Uint16(n) == 0 {
		return nil
	}
	return d.take(int(binary.BigEndian.Uint16(n)))
}

// Bytes returns the receipt file. The fields must be within their bounds: it panics if a leaf
// is longer than 65535 bytes, a proof than 255 hashes, or the quoted note than a uint32 says.
func (r *Receipt) Bytes() []byte { return r.Append(nil) }

// Append appends to b what Bytes returns.
func (r *Receipt) Append(b []byte) []byte {
	const most = 1 + 8 + 2 + 1 // of a supporting leaf, beside its bytes and hashes
	n := 2 + len(r.Leaf) + 5 + len(r.After)
	for _, s := range r.Support {
		n += most + len(s.Leaf) + HashSize*len(s.Proof)
	}
	extra := appendLeaf(make([]byte, 0, n), r.Leaf)
	for _, s := range r.Support {
		extra = append(extra, itemSupport)
		extra = binary.BigEndian.AppendUint64(extra, s.Index)
		extra = appendLeaf(extra, s.Leaf)
		if len(s.Proof) > math.MaxUint8 {
			panic("verify: a proof is longer than 255 hashes")
		}
		extra = append(extra, byte(len(s.Proof)))
		for _, h := range s.Proof {
			extra = append(extra, h[:]...)
		}
	}
	extra = r.appendSealed(extra)
	if len(r.After) > 0 {
		extra = appendNote(extra, r.After)
	}
	b = slices.Grow(b, len(receiptHeader)+base64.StdEncoding.EncodedLen(len(extra))+45*len(r.Proof)+len(r.Checkpoint)+64)
	b = append(b, receiptHeader...)
	b = append(b, "extra "...)
	b = base64.StdEncoding.AppendEncode(b, extra)
	b = append(b, "\nindex "...)
	b = strconv.AppendUint(b, r.Index, 10)
	b = append(b, '\n')
	for _, h := range r.Proof {
		b = base64.StdEncoding.AppendEncode(b, h[:])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, r.Checkpoint...)
}

func appendNote(b, note []byte) []byte {
	if uint64(len(note)) > math.MaxUint32 {
		panic("verify: a quoted note is longer than a uint32 says")
	}
	b = append(b, itemAfter)
	b = binary.BigEndian.AppendUint32(b, uint32(len(note)))
	return append(b, note...)
}

func appendLeaf(b, leaf []byte) []byte {
	if len(leaf) > MaxEntry {
		panic("verify: a leaf is longer than 65535 bytes")
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(leaf)))
	return append(b, leaf...)
}

// MakeReceipt puts a receipt together: for the leaf at index, under the checkpoint of the given
// note, with supporting leaves (roll.State.Support names them) and the note that the entry quotes,
// if any. leaf and nodes are asked only for what lies within the checkpoint's tree.
func MakeReceipt(index uint64, support []uint64, after, checkpoint []byte, leaf func(index uint64) ([]byte, error), nodes NodeReader) (*Receipt, error) {
	text, _, err := splitNote(checkpoint)
	if err != nil {
		return nil, err
	}
	c, err := ParseCheckpoint(text)
	if err != nil {
		return nil, err
	}
	return MakeReceiptOf(c.Size, index, support, after, checkpoint, leaf, nodes)
}

// MakeReceiptOf is MakeReceipt for who knows the size of the checkpoint's tree.
func MakeReceiptOf(size, index uint64, support []uint64, after, checkpoint []byte, leaf func(index uint64) ([]byte, error), nodes NodeReader) (*Receipt, error) {
	if len(support) > MaxSupport {
		return nil, errors.New("a receipt cannot hold more than 64 supporting leaves")
	}
	r := &Receipt{Index: index, After: after, Checkpoint: checkpoint}
	var err error
	if r.Leaf, err = leaf(index); err != nil {
		return nil, err
	}
	if r.Proof, err = Inclusion(index, size, nodes); err != nil {
		return nil, err
	}
	for _, i := range support {
		s := Support{Index: i}
		if s.Leaf, err = leaf(i); err != nil {
			return nil, err
		}
		if s.Proof, err = Inclusion(i, size, nodes); err != nil {
			return nil, err
		}
		r.Support = append(r.Support, s)
	}
	return r, nil
}
