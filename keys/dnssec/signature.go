package dnssec

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
	"math/big"
)

// Algorithms (RFC 8624) and digests of DS records.
const (
	rsaSHA256       = 8
	rsaSHA512       = 10
	ecdsaP256SHA256 = 13
	ecdsaP384SHA384 = 14
	ed25519Alg      = 15

	digestSHA256 = 2
	digestSHA384 = 4
)

// Flags of a DNSKEY.
const (
	flagZone   = 0x0100
	flagRevoke = 0x0080 // RFC 5011
)

func knownAlgorithm(n uint8) bool {
	return n == rsaSHA256 || n == rsaSHA512 || n == ecdsaP256SHA256 || n == ecdsaP384SHA384 || n == ed25519Alg
}

func knownDigest(n uint8) bool { return n == digestSHA256 || n == digestSHA384 }

// A zoneKey is a DNSKEY record (RFC 4034 section 2) that may sign: a key of a zone, not revoked, of an algorithm that we know.
type zoneKey struct {
	tag       uint16
	algorithm uint8
	data      []byte // RDATA
}

// zoneKeys returns the keys of a DNSKEY set that may sign.
func zoneKeys(data [][]byte) (found []zoneKey) {
	for _, d := range data {
		if len(d) < 5 || d[2] != 3 || !knownAlgorithm(d[3]) {
			continue
		}
		if flags := binary.BigEndian.Uint16(d); flags&flagZone == 0 || flags&flagRevoke != 0 {
			continue
		}
		found = append(found, zoneKey{keyTag(d), d[3], d})
	}
	return found
}

// keyTag is that of RFC 4034 appendix B. Different keys may have the same.
func keyTag(data []byte) uint16 {
	sum := uint32(0)
	for i, c := range data {
		if i&1 == 0 {
			sum += uint32(c) << 8
		} else {
			sum += uint32(c)
		}
	}
	return uint16(sum + sum>>16)
}

// digest returns the DS digest of a DNSKEY (RFC 4034 section 5.1.4).
func digest(typ uint8, owner string, data []byte) []byte {
	b := append([]byte(owner), data...)
	if typ == digestSHA384 {
		sum := sha512.Sum384(b)
		return sum[:]
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// A delegation is a DS record that we can follow.
type delegation struct {
	tag       uint16
	algorithm uint8
	typ       uint8
	digest    []byte
	anchor    *Anchor // that it stands for, at the root
}

// delegations returns the DS records of a set that name an algorithm and a digest that we know.
func delegations(data [][]byte) (found []delegation) {
	for _, d := range data {
		if len(d) >= 4 && knownAlgorithm(d[2]) && knownDigest(d[3]) {
			found = append(found, delegation{tag: binary.BigEndian.Uint16(d), algorithm: d[2], typ: d[3], digest: d[4:]})
		}
	}
	return found
}

// delegated returns the delegation that a key of the zone matches, or nil.
func delegated(list []delegation, zone string, k zoneKey) *delegation {
	sums := map[uint8][]byte{}
	for i, d := range list {
		if d.tag != k.tag || d.algorithm != k.algorithm {
			continue
		}
		if sums[d.typ] == nil {
			sums[d.typ] = digest(d.typ, zone, k.data)
		}
		if bytes.Equal(sums[d.typ], d.digest) {
			return &list[i]
		}
	}
	return nil
}

// checkSignature says whether sig is the key's signature of msg, in its one form.
func checkSignature(k zoneKey, msg, sig []byte) bool {
	public := k.data[4:]
	switch k.algorithm {
	case rsaSHA256, rsaSHA512:
		key := parseRSA(public)
		if key == nil {
			return false
		}
		if k.algorithm == rsaSHA512 {
			sum := sha512.Sum512(msg)
			return rsa.VerifyPKCS1v15(key, crypto.SHA512, sum[:], sig) == nil
		}
		sum := sha256.Sum256(msg)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) == nil
	case ecdsaP256SHA256:
		sum := sha256.Sum256(msg)
		return checkECDSA(elliptic.P256(), public, sum[:], sig)
	case ecdsaP384SHA384:
		sum := sha512.Sum384(msg)
		return checkECDSA(elliptic.P384(), public, sum[:], sig)
	case ed25519Alg:
		return len(public) == ed25519.PublicKeySize && ed25519.Verify(public, msg, sig)
	}
	return false
}

// parseRSA reads a key of RFC 3110 section 2, nil if we do not take it.
func parseRSA(b []byte) *rsa.PublicKey {
	if len(b) < 1 {
		return nil
	}
	n, b := int(b[0]), b[1:]
	// crypto/rsa takes exponents below 2³¹; a length after a zero, of two bytes, is that of a larger one.
	if n == 0 || n > 4 || len(b) < n || b[0] == 0 {
		return nil
	}
	e := 0
	for _, c := range b[:n] {
		e = e<<8 | int(c)
	}
	b = b[n:]
	if len(b) > 512 || len(b) == 0 || b[0] == 0 {
		return nil
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(b), E: e}
	if key.N.BitLen() < 1024 {
		return nil
	}
	return key
}

// checkECDSA checks a signature of RFC 6605 section 4, r and s. Whoever has one can make another one with the
// negative of s, so that the smaller one alone is taken.
func checkECDSA(curve elliptic.Curve, public, sum, sig []byte) bool {
	size := curve.Params().BitSize / 8
	if len(public) != 2*size || len(sig) != 2*size {
		return false
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, append([]byte{4}, public...))
	if err != nil {
		return false
	}
	r, s := new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])
	return s.Cmp(new(big.Int).Rsh(curve.Params().N, 1)) <= 0 && ecdsa.Verify(key, sum, r, s)
}

// lowS returns a signature in the form that checkSignature takes; what is not ECDSA, or malformed, as it is.
func lowS(algorithm uint8, sig []byte) []byte {
	curve := elliptic.P256()
	switch algorithm {
	case ecdsaP256SHA256:
	case ecdsaP384SHA384:
		curve = elliptic.P384()
	default:
		return sig
	}
	size := curve.Params().BitSize / 8
	if len(sig) != 2*size {
		return sig
	}
	n := curve.Params().N
	s := new(big.Int).SetBytes(sig[size:])
	if s.Cmp(new(big.Int).Rsh(n, 1)) <= 0 || s.Cmp(n) >= 0 {
		return sig
	}
	out := bytes.Clone(sig)
	s.Sub(n, s).FillBytes(out[size:])
	return out
}
