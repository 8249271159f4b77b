package keys

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The signature types of c2sp.org/signed-note that this package knows, with the key material
// that follows the type byte in a verifier key.
const (
	TypeEd25519            byte = 0x01 // a note's text; 32 bytes
	TypeCosignatureEd25519 byte = 0x04 // c2sp.org/tlog-cosignature; 32 bytes
	TypeCosignatureMLDSA44 byte = 0x06 // c2sp.org/tlog-cosignature; 1312 bytes
	TypeOther              byte = 0xff // "undersigned/" suite "/v1" LF SPKI, every suite but ed25519
)

const (
	maxName = 255 // bytes; a tlog-cosignature message has one byte for a name's length
	maxVKey = 4096
)

var (
	errName     = errors.New("keys: a key name has 1 to 255 bytes of UTF-8 without spaces, control characters and '+'")
	errVKey     = errors.New("keys: a verifier key is a name, '+', 8 lower-case hexadecimal digits, '+' and base64 in its one canonical form")
	errVKeyType = errors.New("keys: a verifier key of a signature type that is not known here")
	errVKeyID   = errors.New("keys: a verifier key's ID is not the one that its name, type and key give")
)

// otherPrefix is the identifier that follows type byte 0xff.
func otherPrefix(s Suite) string { return "undersigned/" + string(s) + "/v1\n" }

// A VKey is a verifier key (c2sp.org/signed-note#verifier-keys): a public key with the name and the
// signature type that it is used under. As text:
//
//	example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
type VKey struct {
	Name  string
	KeyID uint32 // SHA-256(Name LF Type Key)[:4], big-endian
	Type  byte
	Key   []byte // the material after the type byte; not to be changed
}

// NewVKey returns the verifier key with its ID. The name must be one that a signature line can carry, and
// the material a key of the type by the rules of [ParsePublicKey].
func NewVKey(name string, typ byte, key []byte) (VKey, error) {
	if !validName(name) {
		return VKey{}, errName
	}
	v := VKey{name, noteKeyID(name, typ, key), typ, bytes.Clone(key)}
	if _, err := v.PublicKey(); err != nil {
		return VKey{}, err
	}
	return v, nil
}

// ParseVKey parses what VKey.String prints and nothing else: the key ID must be the one that name, type and key
// give, and the key one that NewVKey takes. The limit is 4096 bytes.
func ParseVKey(s string) (VKey, error) {
	if len(s) > maxVKey {
		return VKey{}, errVKey
	}
	name, rest, _ := strings.Cut(s, "+")
	id, key, _ := strings.Cut(rest, "+")
	if !validName(name) {
		return VKey{}, errName
	}
	if len(id) != 8 || strings.ToLower(id) != id {
		return VKey{}, errVKey
	}
	keyID, err := strconv.ParseUint(id, 16, 32)
	if err != nil {
		return VKey{}, errVKey
	}
	data, err := base64.StdEncoding.Strict().DecodeString(key)
	if err != nil || len(data) == 0 || base64.StdEncoding.EncodeToString(data) != key {
		return VKey{}, errVKey // the decoder skips line ends
	}
	v, err := NewVKey(name, data[0], data[1:])
	if err != nil {
		return VKey{}, err
	}
	if v.KeyID != uint32(keyID) {
		return VKey{}, errVKeyID
	}
	return v, nil
}

// String returns "<name>+<8 hexadecimal digits of the key ID>+<base64 of type and key>".
func (v VKey) String() string {
	return fmt.Sprintf("%s+%08x+%s", v.Name, v.KeyID, base64.StdEncoding.EncodeToString(append([]byte{v.Type}, v.Key...)))
}

// PublicKey returns the key itself, by the rules of [ParsePublicKey]: for types 0x01 and 0x04 of suite ed25519,
// for 0x06 of mldsa44, for 0xff of the suite that it names.
func (v VKey) PublicKey() (*PublicKey, error) {
	suite, spki, err := v.spki()
	if err != nil {
		return nil, err
	}
	return ParsePublicKey(suite, spki)
}

// SameKey reports whether both wrap the same public key, whatever their names, types and IDs: such two are one
// vote and one revocation.
func (v VKey) SameKey(o VKey) bool {
	_, a, err := v.spki()
	if err != nil {
		return false
	}
	_, b, err := o.spki()
	return err == nil && bytes.Equal(a, b)
}

func (v VKey) spki() (Suite, []byte, error) {
	switch v.Type {
	case TypeEd25519, TypeCosignatureEd25519:
		return Ed25519, slices.Concat([]byte(prefixEd25519), v.Key), nil
	case TypeCosignatureMLDSA44:
		return MLDSA44, slices.Concat([]byte(prefixMLDSA44), v.Key), nil
	case TypeOther:
		for _, suite := range suites {
			if spki, ok := bytes.CutPrefix(v.Key, []byte(otherPrefix(suite))); ok && suite != Ed25519 {
				return suite, spki, nil
			}
		}
	}
	return "", nil, errVKeyType
}

func validName(s string) bool {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r == '+' || unicode.IsSpace(r) || unicode.IsControl(r) }) < 0
}
