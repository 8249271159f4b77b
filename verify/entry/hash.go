package entry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// A Hash is a SHA-256 digest: of an entry's text (its identity), of the bytes
// of a statement or rendition, or of a published checkpoint note.
type Hash [sha256.Size]byte

const hashPrefix = "sha256:"

// Sum returns the SHA-256 of b, as `sha256sum` would print it for a file.
func Sum(b []byte) Hash { return sha256.Sum256(b) }

// ParseHash reads the form that String prints, "sha256:" and 64 lower-case
// hexadecimal digits, and no other.
func ParseHash(s string) (Hash, error) {
	h, ok := parseHash(s)
	if !ok {
		return Hash{}, errors.New(problemHash)
	}
	return h, nil
}

func parseHash(s string) (h Hash, ok bool) {
	if len(s) != len(hashPrefix)+2*len(h) || s[:len(hashPrefix)] != hashPrefix {
		return Hash{}, false
	}
	s = s[len(hashPrefix):]
	for i := range h {
		hi, lo := nibbles[s[2*i]], nibbles[s[2*i+1]]
		if hi|lo > 15 {
			return Hash{}, false
		}
		h[i] = hi<<4 | lo
	}
	return h, true
}

// nibbles are the values of lower-case hexadecimal digits; 255 for any other byte.
var nibbles = func() (t [256]byte) {
	for c := range t {
		t[c] = 255
	}
	for v, c := range "0123456789abcdef" {
		t[c] = byte(v)
	}
	return t
}()

func (h Hash) append(b []byte) []byte {
	return hex.AppendEncode(append(b, hashPrefix...), h[:])
}

// String returns "sha256:" and 64 lower-case hexadecimal digits.
func (h Hash) String() string {
	return string(h.append(make([]byte, 0, len(hashPrefix)+2*len(h))))
}

// MarshalText returns the form of String, so that JSON shows it.
func (h Hash) MarshalText() ([]byte, error) {
	return h.append(make([]byte, 0, len(hashPrefix)+2*len(h))), nil
}

// UnmarshalText is ParseHash.
func (h *Hash) UnmarshalText(text []byte) (err error) {
	*h, err = ParseHash(string(text))
	return err
}
