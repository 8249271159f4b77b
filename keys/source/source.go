// Package source is the private half of identity: it makes, keeps and uses the keys whose
// public halves package keys describes. Only commands import it; nothing that verifies does.
//
// A key is one file with one PEM block, PKCS#8 (RFC 5208) in the clear
//
//	-----BEGIN PRIVATE KEY-----
//	MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
//	-----END PRIVATE KEY-----
//
// or, with a password, in the format of sigstore's cosign: the same PKCS#8 bytes under scrypt
// (N = 65536, r = 8, p = 1) and NaCl's secretbox, as JSON
//
//	-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
//	eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6…
//	-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
//
// so that a file made by `cosign generate-key-pair` or `openssl genpkey` signs here, and one
// made here signs there. ML-DSA-44 keys are PKCS#8 with the seed alone (RFC 9881). Also read:
// cosign's older "ENCRYPTED COSIGN PRIVATE KEY", openssl's "ENCRYPTED PRIVATE KEY", "EC PRIVATE
// KEY" and "RSA PRIVATE KEY". Nothing else is: a file with a second block, or one that others
// than its owner may read, is refused.
//
// Keys in an ssh-agent, OpenSSH's or another one, sign here without leaving it ([FromAgent]).
//
// Passwords come from a terminal, a file descriptor or a file, never from an argument or a
// variable, which other processes can see.
package source

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"

	"github.com/tccm/undersigned/keys"
)

// rsaBits is the size of a generated RSA modulus.
const rsaBits = 3072

// A Key signs in one suite. It may be used by many goroutines at once if its crypto.Signer may.
type Key struct {
	signer  crypto.Signer       // nil: it is in an agent
	mldsa44 *mldsa44.PrivateKey // of the same seed as signer, which signs more slowly; nil: of another suite, or in a device
	agent   *agentKey
	public  *keys.PublicKey
}

// Generate makes a new key from the system's randomness; RSA ones have 3072 bits, and one of the
// suite sshsig is an Ed25519 key. The error is keys.ErrUnknownSuite for a suite that this version does
// not know; keys of the suite sshsig-sk are made by their hardware alone.
func Generate(suite keys.Suite) (*Key, error) {
	var signer crypto.Signer
	var err error
	switch suite {
	case keys.Ed25519, keys.SSHSIG:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	case keys.ECDSAP256SHA256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case keys.ECDSAP384SHA384:
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case keys.RSAPSSSHA256, keys.RSAPKCS1SHA256:
		signer, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case keys.MLDSA44:
		signer, err = mldsa.GenerateKey(mldsa.MLDSA44())
	case keys.SSHSIGSK:
		return nil, errHardware
	default:
		return nil, keys.ErrUnknownSuite
	}
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	return New(signer, suite)
}

// New makes a Key of any crypto.Signer whose public key is an ed25519.PublicKey, *ecdsa.PublicKey,
// *rsa.PublicKey or *mldsa.PublicKey that suite admits; "" stands for the suite that fits the type
// (rsa-pss-sha256 for RSA). It refuses the keys that keys.NewPublicKey refuses.
func New(signer crypto.Signer, suite keys.Suite) (*Key, error) {
	fits, kind, err := suitesOf(signer.Public())
	if err != nil {
		return nil, err
	}
	if suite == "" {
		suite = fits[0]
	}
	if !slices.Contains(fits, suite) {
		return nil, fmt.Errorf("it is %s, which signs as %s and never as %s", kind, join(fits), suite)
	}
	public, err := keys.NewPublicKey(suite, signer.Public())
	if err != nil {
		return nil, fmt.Errorf("it is %s that no record accepts: %w", kind, err)
	}
	k := &Key{signer: signer, public: public}
	if private, ok := signer.(*mldsa.PrivateKey); ok {
		_, k.mldsa44 = mldsa44.NewKeyFromSeed((*[mldsa44.SeedSize]byte)(private.Bytes()))
	}
	return k, nil
}

// Suite returns the one suite that the key signs in.
func (k *Key) Suite() keys.Suite { return k.public.Suite() }

// Public returns the public half.
func (k *Key) Public() *keys.PublicKey { return k.public }

// Sign returns a signature over msg, for the ledger with this origin, that Public().Verify accepts; one that it
// does not accept, by a fault or a device that signs with another key, is an error and never leaves.
func (k *Key) Sign(origin string, msg []byte) ([]byte, error) {
	sig, err := k.SignUnverified(origin, msg)
	if err != nil {
		return nil, err
	}
	if !k.public.Verify(origin, msg, sig) {
		return nil, fmt.Errorf("signing with %s: %w", k.public.Ref(), errSignature)
	}
	return sig, nil
}

// SignUnverified is Sign without its check, for whoever verifies the signature himself before it leaves, as a ledger does.
func (k *Key) SignUnverified(origin string, msg []byte) (sig []byte, err error) {
	switch {
	case k.agent != nil:
		sig, err = k.agent.sign(k.public, origin, msg)
	case k.mldsa44 != nil:
		sig, err = signMLDSA44(k.mldsa44, msg)
	default:
		sig, err = sign(k.signer, k.public, origin, msg)
	}
	if err != nil {
		return nil, fmt.Errorf("signing with %s: %w", k.public.Ref(), err)
	}
	return sig, nil
}

var errHardware = errors.New("a key of the suite sshsig-sk is made in its hardware, by ssh-keygen -t ed25519-sk")

var errSignature = errors.New("the signature that was made does not verify; the key, its device or this machine's memory is broken")

// suitesOf returns the suites that a public key can serve, the default first, and what to call
// it.
func suitesOf(public crypto.PublicKey) (fits []keys.Suite, kind string, err error) {
	switch public := public.(type) {
	case ed25519.PublicKey:
		return []keys.Suite{keys.Ed25519, keys.SSHSIG}, "an Ed25519 key", nil
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return []keys.Suite{keys.ECDSAP256SHA256, keys.SSHSIG}, "an ECDSA key on P-256", nil
		case elliptic.P384():
			return []keys.Suite{keys.ECDSAP384SHA384, keys.SSHSIG}, "an ECDSA key on P-384", nil
		}
		return nil, "", errors.New("it is an ECDSA key on a curve that no suite has; P-256 and P-384 are the ones to use")
	case *rsa.PublicKey:
		kind := fmt.Sprintf("an RSA key of %d bits", public.N.BitLen())
		return []keys.Suite{keys.RSAPSSSHA256, keys.RSAPKCS1SHA256, keys.SSHSIG}, kind, nil
	case *mldsa.PublicKey:
		if public.Parameters() == mldsa.MLDSA44() {
			return []keys.Suite{keys.MLDSA44}, "an ML-DSA-44 key", nil
		}
		return nil, "", errors.New("it is an ML-DSA key of a size that no suite has; ML-DSA-44 is the one to use")
	}
	return nil, "", errors.New("it is a key of a type that no suite has; Ed25519, ECDSA on P-256 or P-384, RSA and ML-DSA-44 can sign")
}

func join(fits []keys.Suite) string {
	s := string(fits[0])
	for i, f := range fits[1:] {
		if i < len(fits)-2 {
			s += ", " + string(f)
		} else {
			s += " or " + string(f)
		}
	}
	return s
}
