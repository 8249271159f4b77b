package dnssectest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
)

// A key is a key of a zone. Its bytes depend on the zone's name and how many it had before alone.
type key struct {
	algorithm uint8
	flags     uint16
	revoked   bool
	public    []byte // as in a DNSKEY
	sign      func(msg []byte) []byte
}

func (z *Zone) newKey(signsKeys bool) *key {
	k := &key{algorithm: z.options.Algorithm, flags: 256}
	if signsKeys {
		k.flags = 257
	}
	seed := sha512.Sum384(fmt.Appendf(nil, "undersigned dnssectest key %s %d", z.name, z.made))
	switch k.algorithm {
	case 8, 10:
		priv := rsaKey((len(z.name) + z.made) % len(rsaPrimes))
		k.public = append([]byte{3, 1, 0, 1}, priv.N.Bytes()...)
		k.sign = func(msg []byte) []byte {
			hash := crypto.SHA256
			if k.algorithm == 10 {
				hash = crypto.SHA512
			}
			h := hash.New()
			h.Write(msg)
			return must(rsa.SignPKCS1v15(nil, priv, hash, h.Sum(nil)))
		}
	case 13:
		k.public, k.sign = ecdsaKey(elliptic.P256(), crypto.SHA256, seed[:32])
	case 14:
		k.public, k.sign = ecdsaKey(elliptic.P384(), crypto.SHA384, seed[:48])
	case 15:
		priv := ed25519.NewKeyFromSeed(seed[:32])
		k.public, k.sign = priv.Public().(ed25519.PublicKey), func(msg []byte) []byte { return ed25519.Sign(priv, msg) }
	default:
		panic("dnssectest: no such algorithm")
	}
	z.made++
	return k
}

func ecdsaKey(curve elliptic.Curve, hash crypto.Hash, seed []byte) ([]byte, func([]byte) []byte) {
	seed[0] &= 0x7f // below the group's order
	priv := must(ecdsa.ParseRawPrivateKey(curve, seed))
	return must(priv.PublicKey.Bytes())[1:], func(msg []byte) []byte {
		h := hash.New()
		h.Write(msg)
		der := must(priv.Sign(nil, h.Sum(nil), hash))
		// DER to the fixed form of RFC 6605: two INTEGERs in a SEQUENCE, all shorter than 128 bytes.
		r := der[4 : 4+der[3]]
		s := der[4+len(r)+2:]
		size := curve.Params().BitSize / 8
		out := make([]byte, 2*size)
		new(big.Int).SetBytes(r).FillBytes(out[:size])
		new(big.Int).SetBytes(s).FillBytes(out[size:])
		return out
	}
}

func rsaKey(i int) *rsa.PrivateKey {
	p, q := new(big.Int).SetBytes(must(base64.StdEncoding.DecodeString(rsaPrimes[i][0]))), new(big.Int).SetBytes(must(base64.StdEncoding.DecodeString(rsaPrimes[i][1])))
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	priv := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(big.NewInt(65537), phi), Primes: []*big.Int{p, q},
	}
	priv.Precompute()
	return priv
}

// data returns the RDATA of the DNSKEY record.
func (k *key) data() []byte {
	flags := k.flags
	if k.revoked {
		flags |= 0x80
	}
	return append(binary.BigEndian.AppendUint16(nil, flags), append([]byte{3, k.algorithm}, k.public...)...)
}

// tag is the key tag as RFC 4034 appendix B writes it.
func (k *key) tag() uint16 {
	ac := uint32(0)
	for i, c := range k.data() {
		if i%2 == 1 {
			ac += uint32(c)
		} else {
			ac += uint32(c) << 8
		}
	}
	ac += ac >> 16 & 0xffff
	return uint16(ac)
}

// ds returns the RDATA of a DS record of the key.
func (k *key) ds(zone string, typ uint8) []byte {
	msg := append(Name(zone), k.data()...)
	out := append(binary.BigEndian.AppendUint16(nil, k.tag()), k.algorithm, typ)
	switch typ {
	case 1:
		sum := sha1.Sum(msg)
		return append(out, sum[:]...)
	case 4:
		sum := sha512.Sum384(msg)
		return append(out, sum[:]...)
	}
	sum := sha256.Sum256(msg)
	return append(out, sum[:]...)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
