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
	"errors"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// An SSH signature, as `ssh-keygen -Y sign` makes it (OpenSSH's PROTOCOL.sshsig), in a signature line is the bytes
// that its armor holds in base64. A string has a length of four bytes, big-endian, before it:
//
//	byte[6] "SSHSIG"
//	uint32  1
//	string  the public key, RFC 4253 section 6.6
//	string  namespace: "undersigned@" and the ledger's origin
//	string  "", reserved
//	string  "sha512" or "sha256"
//	string  the signature, RFC 4253 section 6.6
//
// What the key signs is not the message but
//
//	"SSHSIG", string namespace, string "", string hash name, string H(message)
//
// so that a signature for another namespace, or by a key that logs in, is never one of ours.
const (
	sshsigMagic = "SSHSIG"
	hashSHA256  = "sha256"
	hashSHA512  = "sha512"

	// The application of a FIDO key, unless it was made with another one.
	skApplication = "ssh:"
	// Flags of a FIDO signature (PROTOCOL.u2f): somebody touched the key, and, perhaps, entered its PIN.
	skPresent  = 0x01
	skVerified = 0x04
)

// Names of key types and signature algorithms, which are the same but for RSA.
const (
	sshEd25519   = "ssh-ed25519"                        // RFC 8709
	sshP256      = "ecdsa-sha2-nistp256"                // RFC 5656
	sshP384      = "ecdsa-sha2-nistp384"                // RFC 5656
	sshRSA       = "ssh-rsa"                            // RFC 4253
	sshRSA256    = "rsa-sha2-256"                       // RFC 8332
	sshRSA512    = "rsa-sha2-512"                       // RFC 8332
	sshSKEd25519 = "sk-ssh-ed25519@openssh.com"         // PROTOCOL.u2f
	sshSKP256    = "sk-ecdsa-sha2-nistp256@openssh.com" // PROTOCOL.u2f
)

var (
	errSSHKey = errors.New("keys: an SSH public key is one of ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ssh-rsa, " +
		"sk-ssh-ed25519@openssh.com and sk-ecdsa-sha2-nistp256@openssh.com, the last two with the application ssh:, in its one encoding")
	errSSHSIG = errors.New("keys: an SSH signature has version 1, nothing reserved, the hash sha512 or sha256, an algorithm of our suites, and one encoding")
)

// SSHNamespace returns the namespace of SSH signatures under the entries of a ledger: "undersigned@" and its origin.
func SSHNamespace(origin string) string { return "undersigned@" + origin }

// SSHSignedData returns what an SSH key signs so that msg is signed for the ledger with this origin: the preamble of
// PROTOCOL.sshsig, section 2, with SHA-512.
func SSHSignedData(origin string, msg []byte) []byte {
	digest := sha512.Sum512(msg)
	return sshSignedData(SSHNamespace(origin), hashSHA512, digest[:])
}

func sshSignedData(namespace, hash string, digest []byte) []byte {
	var b cryptobyte.Builder
	b.AddBytes([]byte(sshsigMagic))
	for _, s := range []string{namespace, "", hash, string(digest)} {
		addString(&b, s)
	}
	return b.BytesOrPanic()
}

// SSHSIG wraps an SSH signature (RFC 4253 section 6.6: its algorithm and what follows it) over [SSHSignedData] as one of the
// key's suite. It does not verify it.
func (k *PublicKey) SSHSIG(origin string, signature []byte) []byte {
	return (&sshsig{k.SSH(), SSHNamespace(origin), hashSHA512, signature}).bytes()
}

// SSHSIGNamespace returns the namespace of an SSH signature, which tells why one does not verify; false if the bytes are none.
func SSHSIGNamespace(blob []byte) (string, bool) {
	s, err := parseSSHSIG(blob)
	if err != nil {
		return "", false
	}
	return s.namespace, true
}

// ParseSSHPublicKey parses a public key in SSH's form (RFC 4253 section 6.6), as the base64 of an OpenSSH public key file
// has it: as one of the suite sshsig-sk if its type begins with "sk-", else of sshsig, by the rules of [ParsePublicKey]. It
// accepts exactly what [PublicKey.SSH] returns.
func ParseSSHPublicKey(wire []byte) (*PublicKey, error) {
	in := cryptobyte.String(wire)
	typ, ok := readString(&in)
	if !ok {
		return nil, errSSHKey
	}
	suite, pub := SSHSIG, crypto.PublicKey(nil)
	switch string(typ) {
	case sshSKEd25519:
		suite = SSHSIGSK
		fallthrough
	case sshEd25519:
		raw, ok := readString(&in)
		if !ok || len(raw) != ed25519.PublicKeySize {
			return nil, errSSHKey
		}
		pub = ed25519.PublicKey(raw)
	case sshSKP256, sshP256, sshP384:
		if string(typ) == sshSKP256 {
			suite = SSHSIGSK
		}
		curve := elliptic.P256()
		if string(typ) == sshP384 {
			curve = elliptic.P384()
		}
		_, ok := readString(&in)
		point, ok2 := readString(&in)
		key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
		if !ok || !ok2 || err != nil {
			return nil, errSSHKey
		}
		pub = key
	case sshRSA:
		e, ok := readMPInt(&in)
		n, ok2 := readMPInt(&in)
		if !ok || !ok2 || e.BitLen() > 31 || n.BitLen() > maxRSABits {
			return nil, errSSHKey
		}
		pub = &rsa.PublicKey{N: n, E: int(e.Int64())}
	default:
		return nil, errSSHKey
	}
	k, err := NewPublicKey(suite, pub)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(k.SSH(), wire) {
		return nil, errSSHKey
	}
	return k, nil
}

// SSH returns the key in SSH's form (RFC 4253 section 6.6), as the base64 of an OpenSSH public key file has it; nil for a key
// of a suite other than sshsig and sshsig-sk.
func (k *PublicKey) SSH() []byte {
	typ := k.sshType()
	if typ == "" {
		return nil
	}
	var b cryptobyte.Builder
	addString(&b, typ)
	switch pub := k.parsed().(type) {
	case ed25519.PublicKey:
		addString(&b, string(pub))
	case *ecdsa.PublicKey:
		if pub.Curve == elliptic.P384() {
			addString(&b, "nistp384")
			addString(&b, string(k.spki[len(prefixP384):]))
		} else {
			addString(&b, "nistp256")
			addString(&b, string(k.spki[len(prefixP256):]))
		}
	case *rsa.PublicKey:
		addMPInt(&b, big.NewInt(int64(pub.E)))
		addMPInt(&b, pub.N)
	}
	if k.suite == SSHSIGSK {
		addString(&b, skApplication)
	}
	return b.BytesOrPanic()
}

// sshType returns the name of the key's type in its suite, "" if that is none of SSH's.
func (k *PublicKey) sshType() string {
	hardware := k.suite == SSHSIGSK
	if k.suite != SSHSIG && !hardware {
		return ""
	}
	switch pub := k.parsed().(type) {
	case ed25519.PublicKey:
		if hardware {
			return sshSKEd25519
		}
		return sshEd25519
	case *ecdsa.PublicKey:
		if hardware {
			return sshSKP256
		}
		if pub.Curve == elliptic.P384() {
			return sshP384
		}
		return sshP256
	case *rsa.PublicKey:
		return sshRSA
	}
	return ""
}

// parseSSHKeySPKI is parseSPKI for the two suites, which take several types of keys.
func parseSSHKeySPKI(suite Suite, spki []byte) (crypto.PublicKey, error) {
	for _, inner := range []struct {
		prefix   string
		suite    Suite
		hardware bool
	}{
		{prefixEd25519, Ed25519, true},
		{prefixP256, ECDSAP256SHA256, true},
		{prefixP384, ECDSAP384SHA384, false},
	} {
		if bytes.HasPrefix(spki, []byte(inner.prefix)) && (inner.hardware || suite == SSHSIG) {
			return parseSPKI(inner.suite, spki)
		}
	}
	if suite == SSHSIGSK {
		return nil, errSPKI
	}
	return parseSPKI(RSAPKCS1SHA256, spki)
}

// verifySSHSIG reports whether blob is a signature of msg by the key for a ledger. Everything in it but the hash and the
// signature itself is known beforehand.
func (k *PublicKey) verifySSHSIG(origin string, msg, blob []byte) bool {
	s, err := parseSSHSIG(blob)
	if err != nil || s.namespace != SSHNamespace(origin) || !bytes.Equal(s.key, k.SSH()) {
		return false
	}
	var digest []byte
	if s.hash == hashSHA512 {
		sum := sha512.Sum512(msg)
		digest = sum[:]
	} else {
		sum := sha256.Sum256(msg)
		digest = sum[:]
	}
	data := sshSignedData(s.namespace, s.hash, digest)
	sig, err := parseSSHSignature(s.signature)
	if err != nil {
		return false
	}
	switch pub := k.parsed().(type) {
	case ed25519.PublicKey:
		return sig.algorithm == k.sshType() && verifyEd25519(pub, sig.signed(data), sig.raw)
	case *ecdsa.PublicKey:
		if sig.algorithm != k.sshType() {
			return false
		}
		if sig.algorithm == sshP384 {
			sum := sha512.Sum384(data)
			return ecdsa.VerifyASN1(pub, sum[:], sig.raw)
		}
		sum := sha256.Sum256(sig.signed(data))
		return ecdsa.VerifyASN1(pub, sum[:], sig.raw)
	case *rsa.PublicKey:
		switch sig.algorithm {
		case sshRSA512:
			sum := sha512.Sum512(data)
			return rsa.VerifyPKCS1v15(pub, crypto.SHA512, sum[:], sig.raw) == nil
		case sshRSA256:
			sum := sha256.Sum256(data)
			return rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], sig.raw) == nil
		}
	}
	return false
}

// sshsig is the outer form of an SSH signature.
type sshsig struct {
	key       []byte // RFC 4253 section 6.6
	namespace string
	hash      string
	signature []byte // RFC 4253 section 6.6; never malformed if it was parsed
}

// parseSSHSIG accepts exactly what bytes returns.
func parseSSHSIG(blob []byte) (*sshsig, error) {
	in := cryptobyte.String(blob)
	var magic []byte
	var version uint32
	if !in.ReadBytes(&magic, len(sshsigMagic)) || string(magic) != sshsigMagic || !in.ReadUint32(&version) || version != 1 {
		return nil, errSSHSIG
	}
	var parts [5][]byte
	for i := range parts {
		var ok bool
		if parts[i], ok = readString(&in); !ok {
			return nil, errSSHSIG
		}
	}
	s := &sshsig{parts[0], string(parts[1]), string(parts[3]), parts[4]}
	if !in.Empty() || len(parts[2]) != 0 || s.hash != hashSHA512 && s.hash != hashSHA256 {
		return nil, errSSHSIG
	}
	if _, err := parseSSHSignature(s.signature); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *sshsig) bytes() []byte {
	var b cryptobyte.Builder
	b.AddBytes([]byte(sshsigMagic))
	b.AddUint32(1)
	for _, part := range []string{string(s.key), s.namespace, "", s.hash, string(s.signature)} {
		addString(&b, part)
	}
	return b.BytesOrPanic()
}

// sshSignature is an SSH signature in the form of RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709 or PROTOCOL.u2f.
type sshSignature struct {
	algorithm string
	raw       []byte // as the standard library takes it: ECDSA's in ASN.1 DER
	flags     byte   // sk-
	counter   uint32 // sk-
}

// parseSSHSignature accepts exactly what bytes returns.
func parseSSHSignature(wire []byte) (*sshSignature, error) {
	in := cryptobyte.String(wire)
	algorithm, ok := readString(&in)
	blob, ok2 := readString(&in)
	if !ok || !ok2 {
		return nil, errSSHSIG
	}
	s := &sshSignature{algorithm: string(algorithm), raw: blob}
	switch s.algorithm {
	case sshEd25519, sshSKEd25519:
		if len(blob) != ed25519.SignatureSize {
			return nil, errSSHSIG
		}
	case sshP256, sshP384, sshSKP256:
		numbers := cryptobyte.String(blob)
		r, ok := readMPInt(&numbers)
		n, ok2 := readMPInt(&numbers)
		if !ok || !ok2 || !numbers.Empty() || r.BitLen() > 384 || n.BitLen() > 384 {
			return nil, errSSHSIG
		}
		s.raw = derSignature(r, n)
	case sshRSA256, sshRSA512:
	default:
		return nil, errSSHSIG
	}
	if s.hardware() && (!in.ReadUint8(&s.flags) || !in.ReadUint32(&s.counter) || s.flags&^skVerified != skPresent) {
		return nil, errSSHSIG
	}
	if !in.Empty() {
		return nil, errSSHSIG
	}
	return s, nil
}

func (s *sshSignature) hardware() bool {
	return s.algorithm == sshSKEd25519 || s.algorithm == sshSKP256
}

// signed returns what the key itself signed: data, or what a FIDO key makes of it.
func (s *sshSignature) signed(data []byte) []byte {
	if !s.hardware() {
		return data
	}
	application, sum := sha256.Sum256([]byte(skApplication)), sha256.Sum256(data)
	var b cryptobyte.Builder
	b.AddBytes(application[:])
	b.AddUint8(s.flags)
	b.AddUint32(s.counter)
	b.AddBytes(sum[:])
	return b.BytesOrPanic()
}

func readString(in *cryptobyte.String) ([]byte, bool) {
	var n uint32
	var s []byte
	if !in.ReadUint32(&n) || uint64(n) > uint64(len(*in)) || !in.ReadBytes(&s, int(n)) {
		return nil, false
	}
	return s, true
}

func addString(b *cryptobyte.Builder, s string) {
	b.AddUint32(uint32(len(s)))
	b.AddBytes([]byte(s))
}

// readMPInt reads a positive number in its shortest form (RFC 4251 section 5).
func readMPInt(in *cryptobyte.String) (*big.Int, bool) {
	b, ok := readString(in)
	if !ok || len(b) == 0 || b[0]&0x80 != 0 || b[0] == 0 && (len(b) == 1 || b[1]&0x80 == 0) {
		return nil, false
	}
	return new(big.Int).SetBytes(b), true
}

func addMPInt(b *cryptobyte.Builder, n *big.Int) {
	digits := n.Bytes()
	if n.BitLen()%8 == 0 {
		digits = slices.Insert(digits, 0, 0)
	}
	addString(b, string(digits))
}

// derSignature returns the two numbers of an ECDSA signature in ASN.1 DER.
func derSignature(r, s *big.Int) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r)
		b.AddASN1BigInt(s)
	})
	return b.BytesOrPanic()
}
