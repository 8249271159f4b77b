package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxNote bounds a checkpoint note, in bytes. It leaves room for more than fifty
// ML-DSA-44 cosignatures (signed-note asks for at least 16 signatures of any kind).
const MaxNote = 256 << 10

// MaxSize bounds a tree size: 2^63-1, as cosignature times are bounded, so that every size
// is an int64 in any language.
const MaxSize = math.MaxInt64

// Checkpoint is the text of a tlog-checkpoint without extension lines: which log, how many
// leaves, and the RFC 6962 root hash over them.
type Checkpoint struct {
	// Origin is the log's identity line: 1 to 255 bytes without spaces, control characters or '+'.
	Origin string
	// Size is the number of leaves, at most MaxSize.
	Size uint64
	// Root is the RFC 6962 Merkle tree hash of the leaves (of nothing: SHA-256 of no bytes).
	Root [32]byte
}

// ParseCheckpoint parses the text of a checkpoint (tlog-checkpoint, "Note text"): exactly three
// lines, each ended by LF. Extension lines are refused, because ML-DSA-44 cosignatures do not
// sign them. What it accepts prints back to the identical bytes. Errors are *FormatError.
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	var c Checkpoint
	if len(text) > 255+1+20+1+44+1 {
		return c, malformed(whatCheckpoint, 0, "it is too long for a checkpoint without extension lines")
	}
	lines := bytes.Split(text, []byte("\n"))
	if len(lines) != 4 || len(lines[3]) != 0 {
		return c, malformed(whatCheckpoint, 0, "it must be exactly three lines, each ended by a line feed")
	}
	if !validOrigin(string(lines[0])) {
		return c, malformed(whatCheckpoint, 1, "the origin must be 1 to 255 bytes of UTF-8 without spaces, control characters or '+'")
	}
	size, ok := parseDecimal(string(lines[1]))
	if !ok {
		return c, malformed(whatCheckpoint, 2, "the tree size must be a decimal number without leading zeros, at most 2^63-1")
	}
	root, ok := parseHash(string(lines[2]))
	if !ok {
		return c, malformed(whatCheckpoint, 3, "the root hash must be 32 bytes in strict base64")
	}
	if size == 0 && root != emptyRoot {
		return c, malformed(whatCheckpoint, 3, "the root hash of an empty tree must be the SHA-256 of nothing")
	}
	return Checkpoint{string(lines[0]), size, root}, nil
}

// ParseExtended parses the text of a checkpoint that may have extension lines, as other logs' have (tlog-checkpoint, "Note
// text"): each is at least one byte and ends with LF. They are not in what it returns; Ed25519 signatures cover them,
// ML-DSA-44 ones do not. Errors are *FormatError.
func ParseExtended(text []byte) (Checkpoint, error) {
	end := 0
	for range 3 {
		n := bytes.IndexByte(text[end:], '\n')
		if n < 0 {
			return Checkpoint{}, malformed(whatCheckpoint, 0, "it must be at least three lines, each ended by a line feed")
		}
		end += n + 1
	}
	if rest := text[end:]; len(rest) > 0 && (rest[0] == '\n' || bytes.Contains(rest, []byte("\n\n")) || rest[len(rest)-1] != '\n') {
		return Checkpoint{}, malformed(whatCheckpoint, 0, "an extension line must not be empty, and ends with a line feed")
	}
	return ParseCheckpoint(text[:end])
}

// Text returns the three lines that the log signs: origin LF, size LF, base64 root LF.
func (c Checkpoint) Text() []byte {
	b := make([]byte, 0, len(c.Origin)+1+20+1+44+1)
	b = append(b, c.Origin...)
	b = append(b, '\n')
	b = strconv.AppendUint(b, c.Size, 10)
	b = append(b, '\n')
	b = base64.StdEncoding.AppendEncode(b, c.Root[:])
	return append(b, '\n')
}

// OriginHash is the name of a log in the paths of witnesses and mirrors: the SHA-256 of its origin, in lower-case hex.
func OriginHash(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}

// validOrigin holds an origin to what both a key name (signed-note) and the cosigned message
// of an ML-DSA-44 cosignature (at most 255 bytes) can carry.
func validOrigin(s string) bool {
	return len(s) <= math.MaxUint8 && validKeyName(s)
}

// validKeyName applies signed-note's rule for key names, plus the rule that a note holds no
// control characters.
func validKeyName(s string) bool {
	if s == "" || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r == '+' || isSpace(r) {
			return false
		}
	}
	return true
}

// isSpace reports Unicode's White_Space property, spelt out so that it can never change with
// the tables of a Go release.
func isSpace(r rune) bool {
	switch {
	case r >= 0x09 && r <= 0x0d, r == 0x20, r == 0x85, r == 0xa0, r == 0x1680,
		r >= 0x2000 && r <= 0x200a, r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f, r == 0x3000:
		return true
	}
	return false
}

// parseDecimal reads a decimal number without sign or leading zeros, at most MaxSize.
func parseDecimal(s string) (uint64, bool) {
	if s == "" || len(s) > 19 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	var n uint64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + uint64(s[i]-'0')
	}
	return n, n <= MaxSize
}

// parseHash reads 32 bytes from strict, padded base64.
func parseHash(s string) (h [32]byte, ok bool) {
	b, ok := decodeBase64(s)
	if !ok || len(b) != len(h) {
		return h, false
	}
	return [32]byte(b), true
}

// decodeBase64 reads strict, padded base64: no line breaks, no stray bits at the end. Go's
// decoder skips CR and LF even when strict.
func decodeBase64(s string) ([]byte, bool) {
	if strings.IndexByte(s, '\r') >= 0 || strings.IndexByte(s, '\n') >= 0 {
		return nil, false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return b, err == nil
}
