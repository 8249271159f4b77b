package keys

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// A Suite names everything that a signature depends on but the key: key type, hash, padding
// and the signature's encoding. There is no algorithm field anywhere else.
type Suite string

const (
	Ed25519         Suite = "ed25519"           // RFC 8032 pure Ed25519, 64 bytes
	ECDSAP256SHA256 Suite = "ecdsa-p256-sha256" // FIPS 186-5, ASN.1 DER
	ECDSAP384SHA384 Suite = "ecdsa-p384-sha384" // FIPS 186-5, ASN.1 DER
	RSAPSSSHA256    Suite = "rsa-pss-sha256"    // RFC 8017, MGF1 with SHA-256, 32 bytes of salt
	RSAPKCS1SHA256  Suite = "rsa-pkcs1-sha256"  // RFC 8017, PKCS #1 v1.5
	MLDSA44         Suite = "mldsa44"           // FIPS 204, empty context, 2420 bytes
	SSHSIG          Suite = "sshsig"            // PROTOCOL.sshsig, namespace undersigned@<origin>
	SSHSIGSK        Suite = "sshsig-sk"         // the same by a FIDO key that was touched, application ssh:
)

var suites = []Suite{Ed25519, ECDSAP256SHA256, ECDSAP384SHA384, RSAPSSSHA256, RSAPKCS1SHA256, MLDSA44, SSHSIG, SSHSIGSK}

// Suites returns every suite that rules 1 know, in a fixed order. The caller owns the slice.
func Suites() []Suite { return slices.Clone(suites) }

// ErrUnknownSuite is what errors.Is finds where a name of the right form (lower-case letters,
// digits and hyphens, at most 32 bytes) names no suite of this version. Newer rules may know it.
var ErrUnknownSuite = errors.New("keys: unknown suite")

var errRef = errors.New("keys: a key reference is a suite, a space, sha256: and 64 lower-case hexadecimal digits")

func checkSuite(s Suite) error {
	if slices.Contains(suites, s) {
		return nil
	}
	return ErrUnknownSuite
}

// suiteName reports whether s has the form of a suite's name, known or not.
func suiteName(s string) bool {
	if len(s) < 1 || len(s) > 32 {
		return false
	}
	for _, c := range []byte(s) {
		if !isLower(c) && !isDigit(c) && c != '-' {
			return false
		}
	}
	return true
}

// A Fingerprint is the SHA-256 of a public key's SPKI DER.
type Fingerprint [32]byte

// String returns "sha256:" and 64 lower-case hexadecimal digits.
func (f Fingerprint) String() string { return "sha256:" + hex.EncodeToString(f[:]) }

// A Ref names a registered key: its suite and fingerprint. Refs are comparable.
type Ref struct {
	Suite       Suite
	Fingerprint Fingerprint
}

// String returns the form of a key line: "ed25519 sha256:<64 hex>".
func (r Ref) String() string { return string(r.Suite) + " " + r.Fingerprint.String() }

// ParseRef parses what Ref.String prints and nothing else. A well-formed reference with a suite
// that this version does not know is ErrUnknownSuite.
func ParseRef(s string) (Ref, error) {
	name, print, ok := strings.Cut(s, " ")
	digits, ok2 := strings.CutPrefix(print, "sha256:")
	if !ok || !ok2 || len(digits) != 64 || !suiteName(name) {
		return Ref{}, errRef
	}
	r := Ref{Suite: Suite(name)}
	if _, err := hex.Decode(r.Fingerprint[:], []byte(digits)); err != nil || strings.ToLower(digits) != digits {
		return Ref{}, errRef
	}
	return r, checkSuite(r.Suite)
}
