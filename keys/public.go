package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"filippo.io/mldsa"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// MaxSPKI bounds the SPKI DER of every key that this package accepts, in bytes: ML-DSA-44 has the
// longest.
const MaxSPKI = len(prefixMLDSA44) + 1312

// Every suite but RSA's has an SPKI of fixed length, which is a fixed prefix and the key itself.
const (
	prefixEd25519 = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"                                                         // RFC 8410
	prefixP256    = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00" // RFC 5480
	prefixP384    = "\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00"             // RFC 5480
	prefixMLDSA44 = "\x30\x82\x05\x32\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x03\x82\x05\x21\x00"                 // RFC 9881
	algorithmRSA  = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"                                             // RFC 3279, rsaEncryption with NULL
)

// ErrWeakKey is what errors.Is finds where a key is well formed but must not be registered: one
// that verifies what its holder never signed, that somebody else can compute the private half of, or
// that two implementations may judge differently. The error's text names the rule.
var ErrWeakKey = errors.New("keys: weak key")

var errSPKI = errors.New("keys: the SPKI is not the one DER encoding of a key of this suite")

func weak(why string) error { return fmt.Errorf("%w: %s", ErrWeakKey, why) }

// A PublicKey is a key of one suite that has passed every rule of registration. It is immutable
// and safe for use by many goroutines.
type PublicKey struct {
	suite Suite
	spki  []byte
	print Fingerprint
	key   crypto.PublicKey // ed25519.PublicKey, *ecdsa.PublicKey, *rsa.PublicKey or *mldsa.PublicKey
	later *later           // gives key, if that is nil
}

// later is a key that is parsed when it is first used.
type later struct {
	once sync.Once
	key  crypto.PublicKey // nil: not sound
}

// ParsePublicKey parses a SubjectPublicKeyInfo in DER (RFC 5280 section 4.1) as a key of the suite.
// It accepts exactly the bytes that encoding the key again would give, and refuses weak keys with
// [ErrWeakKey]:
//
//   - Ed25519: the point is canonically encoded (RFC 8032 section 5.1.3), not of small order and
//     in the prime-order subgroup.
//   - ECDSA: the point is uncompressed and on the suite's own named curve.
//   - RSA: id rsaEncryption, modulus of 3072 to 4096 bits, exponent odd and from 65537 to 2³¹-1;
//     the modulus is odd, without a factor below 752, not a prime or a power of one (NIST SP 800-89
//     section 5.3.3), without two close factors (100 rounds of Fermat's method) and without
//     the fingerprint of CVE-2017-15361 (ROCA).
//   - ML-DSA-44: 1312 bytes.
//   - sshsig takes Ed25519, ECDSA on P-256 and P-384, and RSA keys by the rules above; sshsig-sk takes Ed25519 and
//     ECDSA on P-256. The SPKI is that of the bare key, without SSH's names.
//
// An unknown suite is ErrUnknownSuite. The bytes are copied. An RSA key costs a modular exponentiation
// (about 10 ms), any other well under 1 ms.
func ParsePublicKey(suite Suite, spki []byte) (*PublicKey, error) {
	if err := checkSuite(suite); err != nil {
		return nil, err
	}
	key, err := parseSPKI(suite, spki)
	if err != nil {
		return nil, err
	}
	return &PublicKey{suite: suite, spki: bytes.Clone(spki), print: sha256.Sum256(spki), key: key}, nil
}

// AcceptedPublicKey returns a key that [ParsePublicKey] has accepted before, at almost no cost: an Ed25519 key
// is not judged again, any other when it is first used. It is for reading back what was judged and kept under a
// signature of one's own. Of bytes that ParsePublicKey would refuse the error need not tell; such a key of a suite
// other than Ed25519 verifies nothing.
func AcceptedPublicKey(suite Suite, spki []byte) (*PublicKey, error) {
	if err := checkSuite(suite); err != nil {
		return nil, err
	}
	if len(spki) > MaxSPKI {
		return nil, errSPKI
	}
	k := &PublicKey{suite: suite, spki: bytes.Clone(spki), print: sha256.Sum256(spki)}
	if suite != Ed25519 {
		k.later = new(later)
		return k, nil
	}
	raw, ok := bytes.CutPrefix(k.spki, []byte(prefixEd25519))
	if !ok || len(raw) != ed25519.PublicKeySize {
		return nil, errSPKI
	}
	k.key = ed25519.PublicKey(raw)
	return k, nil
}

// parsed returns the key as its suite's Go type, nil if it is not sound.
func (k *PublicKey) parsed() crypto.PublicKey {
	if k.later == nil {
		return k.key
	}
	k.later.once.Do(func() {
		if key, err := parseSPKI(k.suite, k.spki); err == nil {
			k.later.key = key
		}
	})
	return k.later.key
}

// NewPublicKey returns the key under the suite, by the rules of [ParsePublicKey]. It takes an
// ed25519.PublicKey, *ecdsa.PublicKey, *rsa.PublicKey or *mldsa.PublicKey (filippo.io/mldsa).
func NewPublicKey(suite Suite, pub crypto.PublicKey) (*PublicKey, error) {
	if err := checkSuite(suite); err != nil {
		return nil, err
	}
	spki, err := marshalSPKI(suite, pub)
	if err != nil {
		return nil, err
	}
	return ParsePublicKey(suite, spki)
}

func parseSPKI(suite Suite, spki []byte) (crypto.PublicKey, error) {
	if len(spki) > MaxSPKI {
		return nil, errSPKI
	}
	switch suite {
	case Ed25519:
		raw, ok := bytes.CutPrefix(spki, []byte(prefixEd25519))
		if !ok || len(raw) != ed25519.PublicKeySize {
			return nil, errSPKI
		}
		return ed25519.PublicKey(bytes.Clone(raw)), checkEd25519(raw)
	case ECDSAP256SHA256:
		return parseEC(elliptic.P256(), prefixP256, spki)
	case ECDSAP384SHA384:
		return parseEC(elliptic.P384(), prefixP384, spki)
	case MLDSA44:
		raw, ok := bytes.CutPrefix(spki, []byte(prefixMLDSA44))
		if !ok {
			return nil, errSPKI
		}
		pub, err := mldsa.NewPublicKey(mldsa.MLDSA44(), raw)
		if err != nil {
			return nil, errSPKI
		}
		return pub, nil
	case SSHSIG, SSHSIGSK:
		return parseSSHKeySPKI(suite, spki)
	default:
		pub, err := parseRSA(spki)
		if err != nil {
			return nil, err
		}
		return pub, checkRSA(pub.N)
	}
}

func parseEC(curve elliptic.Curve, prefix string, spki []byte) (crypto.PublicKey, error) {
	point, ok := bytes.CutPrefix(spki, []byte(prefix))
	if !ok {
		return nil, errSPKI
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, errSPKI
	}
	return pub, nil
}

func marshalSPKI(suite Suite, pub crypto.PublicKey) ([]byte, error) {
	switch pub := pub.(type) {
	case ed25519.PublicKey:
		return slices.Concat([]byte(prefixEd25519), pub), nil
	case *ecdsa.PublicKey:
		prefix := prefixP256
		if pub.Curve == elliptic.P384() {
			prefix = prefixP384
		}
		point, err := pub.Bytes()
		if err != nil {
			return nil, errSPKI
		}
		return slices.Concat([]byte(prefix), point), nil
	case *mldsa.PublicKey:
		return slices.Concat([]byte(prefixMLDSA44), pub.Bytes()), nil
	case *rsa.PublicKey:
		return marshalRSA(pub)
	}
	return nil, errors.New("keys: no suite takes a public key of this Go type")
}

// Suite returns the suite that the key was registered or parsed with.
func (k *PublicKey) Suite() Suite { return k.suite }

// SPKI returns the SubjectPublicKeyInfo in DER. The caller owns the slice.
func (k *PublicKey) SPKI() []byte { return bytes.Clone(k.spki) }

// Fingerprint returns the SHA-256 of the SPKI DER. It is the same under each suite that takes the
// key.
func (k *PublicKey) Fingerprint() Fingerprint { return k.print }

// Ref returns the suite and fingerprint.
func (k *PublicKey) Ref() Ref { return Ref{k.suite, k.print} }

// Verify reports whether sig is a signature of msg by the key for the ledger with this origin, by the suite's own
// equation and encoding: 64 bytes for Ed25519 (RFC 8032, without the cofactor), ASN.1 DER for ECDSA (both s and
// n-s pass, so signature bytes identify nothing), as many bytes as the modulus for RSA, 2420 for ML-DSA-44
// with an empty context, the bytes of an SSH signature for sshsig and sshsig-sk. Any other sig is false.
//
// Only SSH signatures depend on the origin, which is in their namespace. In all other suites it is msg that names the
// ledger.
func (k *PublicKey) Verify(origin string, msg, sig []byte) bool {
	if k.suite == SSHSIG || k.suite == SSHSIGSK {
		return k.verifySSHSIG(origin, msg, sig)
	}
	switch pub := k.parsed().(type) {
	case ed25519.PublicKey:
		return verifyEd25519(pub, msg, sig)
	case *ecdsa.PublicKey:
		if k.suite == ECDSAP384SHA384 {
			digest := sha512.Sum384(msg)
			return ecdsa.VerifyASN1(pub, digest[:], sig)
		}
		digest := sha256.Sum256(msg)
		return ecdsa.VerifyASN1(pub, digest[:], sig)
	case *rsa.PublicKey:
		digest := sha256.Sum256(msg)
		if k.suite == RSAPSSSHA256 {
			return rsa.VerifyPSS(pub, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: sha256.Size}) == nil
		}
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig) == nil
	case *mldsa.PublicKey:
		return mldsa.Verify(pub, msg, sig, nil) == nil
	}
	return false
}

// NoteKeyID returns the key ID of the key's signature lines in an entry under the name, as
// c2sp.org/signed-note has it. For ed25519 that is note type 0x01, which every signed-note tool verifies:
//
//	SHA-256(name LF 0x01 32-byte key)[:4]
//
// and for any other suite type 0xff with the suite's name as its identifier:
//
//	SHA-256(name LF 0xff "undersigned/" suite "/v1" LF SPKI)[:4]
func (k *PublicKey) NoteKeyID(name string) uint32 {
	typ, material := k.noteKey()
	return noteKeyID(name, typ, material)
}

// VKey returns the key as a verifier key under the name, in the form that NoteKeyID has. It does not check the
// name; [NewVKey] does.
func (k *PublicKey) VKey(name string) VKey {
	typ, material := k.noteKey()
	return VKey{name, noteKeyID(name, typ, material), typ, bytes.Clone(material)}
}

// noteKey returns what a verifier key holds, which may be the key's own memory.
func (k *PublicKey) noteKey() (typ byte, material []byte) {
	if k.suite == Ed25519 {
		return TypeEd25519, k.spki[len(prefixEd25519):]
	}
	return TypeOther, slices.Concat([]byte(otherPrefix(k.suite)), k.spki)
}

func noteKeyID(name string, typ byte, material []byte) uint32 {
	b := append(make([]byte, 0, 512), name...) // on the stack, for a name as domains are and an Ed25519 key
	sum := sha256.Sum256(append(append(b, '\n', typ), material...))
	return binary.BigEndian.Uint32(sum[:])
}

// parseRSA parses an SPKI with an RSAPublicKey (RFC 8017 appendix A.1.1) and checks what its numbers' sizes
// and the exponent alone decide.
func parseRSA(spki []byte) (*rsa.PublicKey, error) {
	in := cryptobyte.String(spki)
	var info, bits, key cryptobyte.String
	pub := new(rsa.PublicKey)
	pub.N = newInt()
	exponent := newInt()
	if !in.ReadASN1(&info, asn1.SEQUENCE) ||
		!bytes.HasPrefix(info, []byte(algorithmRSA)) || !info.Skip(len(algorithmRSA)) ||
		!info.ReadASN1(&bits, asn1.BIT_STRING) || !bits.Skip(1) ||
		!bits.ReadASN1(&key, asn1.SEQUENCE) ||
		!key.ReadASN1Integer(pub.N) || !key.ReadASN1Integer(exponent) {
		return nil, errSPKI
	}
	if pub.N.Sign() <= 0 || exponent.Sign() <= 0 {
		return nil, errSPKI
	}
	if n := pub.N.BitLen(); n < minRSABits || n > maxRSABits {
		return nil, weak("an RSA modulus has 3072 to 4096 bits")
	}
	if exponent.BitLen() > 31 || exponent.Int64() < 65537 || exponent.Bit(0) == 0 {
		return nil, weak("an RSA exponent is odd and from 65537 to 2147483647")
	}
	pub.E = int(exponent.Int64())
	// What cryptobyte let pass (bytes after a field, unused bits) shows when the key is encoded again.
	again, err := marshalRSA(pub)
	if err != nil || !bytes.Equal(again, spki) {
		return nil, errSPKI
	}
	return pub, nil
}

func marshalRSA(pub *rsa.PublicKey) ([]byte, error) {
	if pub.N == nil || pub.N.Sign() <= 0 || pub.E <= 0 {
		return nil, errSPKI
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(algorithmRSA))
		b.AddASN1(asn1.BIT_STRING, func(b *cryptobyte.Builder) {
			b.AddUint8(0)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1BigInt(pub.N)
				b.AddASN1Int64(int64(pub.E))
			})
		})
	})
	return b.Bytes()
}
