package source

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/sigstore/sigstore/pkg/signature"
	"golang.org/x/crypto/ssh"

	"github.com/tccm/undersigned/keys"
)

// scheme returns the hash that a suite applies before the key's own operation, and the options
// of that operation.
func scheme(suite keys.Suite) (crypto.Hash, crypto.SignerOpts) {
	switch suite {
	case keys.ECDSAP256SHA256, keys.RSAPKCS1SHA256:
		return crypto.SHA256, crypto.SHA256
	case keys.ECDSAP384SHA384:
		return crypto.SHA384, crypto.SHA384
	case keys.RSAPSSSHA256:
		return crypto.SHA256, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}
	case keys.MLDSA44:
		return 0, &mldsa.Options{}
	}
	return 0, crypto.Hash(0)
}

// signSSH makes an SSH signature with a key that SSH knows nothing about.
func signSSH(signer crypto.Signer, public *keys.PublicKey, origin string, msg []byte) ([]byte, error) {
	data := keys.SSHSignedData(origin, msg)
	var s *ssh.Signature
	wrapped, err := ssh.NewSignerFromSigner(signer)
	if err != nil {
		return nil, err
	}
	if rsa, ok := wrapped.(ssh.AlgorithmSigner); ok && wrapped.PublicKey().Type() == ssh.KeyAlgoRSA {
		s, err = rsa.SignWithAlgorithm(rand.Reader, data, ssh.KeyAlgoRSASHA512)
	} else {
		s, err = wrapped.Sign(rand.Reader, data)
	}
	if err != nil {
		return nil, err
	}
	return public.SSHSIG(origin, ssh.Marshal(s)), nil
}

// signMLDSA44 signs as FIPS 204 says (algorithm 2, hedged, with the empty context). The library that verifies takes more than
// twice as long (BenchmarkMLDSA44), and each checkpoint waits for it. What this one gets wrong, the other does not accept.
func signMLDSA44(key *mldsa44.PrivateKey, msg []byte) ([]byte, error) {
	sig := make([]byte, mldsa44.SignatureSize)
	if err := mldsa44.SignTo(key, msg, nil, true, sig); err != nil {
		return nil, err
	}
	return sig, nil
}

// sign makes one signature: keys in memory through sigstore, any other signer (a device, a
// module), which sigstore does not take, by its own Sign.
func sign(signer crypto.Signer, public *keys.PublicKey, origin string, msg []byte) ([]byte, error) {
	if public.Suite() == keys.SSHSIG {
		return signSSH(signer, public, origin, msg)
	}
	hash, opts := scheme(public.Suite())
	var s signature.Signer
	var err error
	switch key := signer.(type) {
	case ed25519.PrivateKey:
		s, err = signature.LoadED25519Signer(key)
	case *ecdsa.PrivateKey:
		s, err = signature.LoadECDSASigner(key, hash)
	case *rsa.PrivateKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			// A signer of its own for each signature: it writes to its options.
			s, err = signature.LoadRSAPSSSigner(key, hash, pss)
		} else {
			s, err = signature.LoadRSAPKCS1v15Signer(key, hash)
		}
	default:
		digest, _, err := signature.ComputeDigestForSigning(bytes.NewReader(msg), hash, nil)
		if err != nil {
			return nil, err
		}
		return signer.Sign(rand.Reader, digest, opts)
	}
	if err != nil {
		return nil, err
	}
	return s.SignMessage(bytes.NewReader(msg))
}
