package timestamp

import (
	"bytes"
	"crypto"
	"crypto/sha1" // of RFC 2634's signing-certificate alone, where it only tells which certificate is meant
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
)

// MaxToken bounds a token, in bytes: a chain of several large certificates.
const MaxToken = 24 << 10

const maxCertificates = 16

var (
	oidSignedData  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidDigest      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigner      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12} // signing-certificate, RFC 2634
	oidSignerV2    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47} // RFC 5035

	oidRSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEd25519 = asn1.ObjectIdentifier{1, 3, 101, 112}
)

// A digest is a signer's digest algorithm, with what its signature may be called.
type digest struct {
	oid        asn1.ObjectIdentifier
	hash       crypto.Hash
	signatures []asn1.ObjectIdentifier
}

var digests = []digest{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256, []asn1.ObjectIdentifier{oidRSA, {1, 2, 840, 113549, 1, 1, 11}, {1, 2, 840, 10045, 4, 3, 2}, oidEd25519}},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384, []asn1.ObjectIdentifier{oidRSA, {1, 2, 840, 113549, 1, 1, 12}, {1, 2, 840, 10045, 4, 3, 3}, oidEd25519}},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512, []asn1.ObjectIdentifier{oidRSA, {1, 2, 840, 113549, 1, 1, 13}, {1, 2, 840, 10045, 4, 3, 4}, oidEd25519}},
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content signedData `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version      int
	Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
	Content      encapsulated
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []signerInfo  `asn1:"set"`
}

type encapsulated struct {
	Type    asn1.ObjectIdentifier
	Content []byte `asn1:"explicit,tag:0"`
}

type signerInfo struct {
	Version    int
	Issuer     issuerAndSerial
	Digest     pkix.AlgorithmIdentifier
	Attributes asn1.RawValue `asn1:"tag:0"`
	Algorithm  pkix.AlgorithmIdentifier
	Signature  []byte
	Unsigned   asn1.RawValue `asn1:"optional,tag:1"`
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// signing-certificate-v2 and signing-certificate, up to the policies, which nobody needs.
type signingCertificateV2 struct {
	Certs    []essCertIDv2
	Policies asn1.RawValue `asn1:"optional"`
}

type essCertIDv2 struct {
	Algorithm pkix.AlgorithmIdentifier `asn1:"optional"`
	Hash      []byte
	Issuer    asn1.RawValue `asn1:"optional"`
}

type signingCertificate struct {
	Certs    []essCertID
	Policies asn1.RawValue `asn1:"optional"`
}

type essCertID struct {
	Hash   []byte
	Issuer asn1.RawValue `asn1:"optional"`
}

// strict holds a token to the one form that it must have (package documentation), which the parsers that check its signature
// do not: they take BER, pass over what they do not know, and look at no attribute but the digest. It returns what is wrong, or
// "".
func strict(token []byte) (signed *signedData, problem string) {
	var info contentInfo
	if len(token) > MaxToken {
		return nil, "it is larger than 24 KiB"
	}
	if rest, err := asn1.Unmarshal(token, &info); err != nil || len(rest) > 0 || !info.Type.Equal(oidSignedData) {
		return nil, "it is not a CMS SignedData in DER"
	}
	if again, err := asn1.Marshal(info); err != nil || !bytes.Equal(again, token) {
		return nil, "it is not in the one form that DER has"
	}
	d := &info.Content
	switch {
	case d.Version != 3 || !d.Content.Type.Equal(oidTSTInfo):
		return nil, "it is not about a time stamp"
	case len(d.Signers) != 1 || len(d.Digests) != 1:
		return nil, "it has not one signer"
	}
	s := &d.Signers[0]
	at := slices.IndexFunc(digests, func(x digest) bool { return x.oid.Equal(s.Digest.Algorithm) })
	switch {
	case s.Version != 1:
		return nil, "its signer is of an unknown version"
	case at < 0 || !bare(s.Digest) || !bare(d.Digests[0]) || !d.Digests[0].Algorithm.Equal(s.Digest.Algorithm):
		return nil, "its signer's digest is none of SHA-256, SHA-384 and SHA-512"
	case !bare(s.Algorithm) || !slices.ContainsFunc(digests[at].signatures, s.Algorithm.Algorithm.Equal):
		return nil, "its signature is of a form that is not known here"
	}
	return d, ""
}

// certificates takes the certificates of a token apart.
func (d *signedData) certificates() (certs []*x509.Certificate, problem string) {
	for rest := d.Certificates.Bytes; len(rest) > 0; {
		var one asn1.RawValue
		next, err := asn1.Unmarshal(rest, &one)
		if err != nil || len(certs) == maxCertificates {
			return nil, "its certificates are not in order"
		}
		c, err := x509.ParseCertificate(one.FullBytes)
		if err != nil {
			return nil, "its certificates are not in order"
		}
		certs, rest = append(certs, c), next
	}
	return certs, ""
}

// signerOf returns the certificate that a signer names.
func (d *signedData) signerOf(certs []*x509.Certificate) *x509.Certificate {
	s := d.Signers[0].Issuer
	for _, c := range certs {
		if bytes.Equal(c.RawIssuer, s.Issuer.FullBytes) && s.Serial != nil && c.SerialNumber.Cmp(s.Serial) == 0 {
			return c
		}
	}
	return nil
}

// bare reports whether an algorithm has no parameters but NULL.
func bare(a pkix.AlgorithmIdentifier) bool {
	p := a.Parameters.FullBytes
	return len(p) == 0 || bytes.Equal(p, asn1.NullBytes)
}

// attributes holds the signed attributes to what RFC 3161, section 2.4.2, and RFC 5816 ask for: they say what was signed, and by which
// certificate.
func attributes(s *signerInfo, cert *x509.Certificate) (problem string) {
	set := slices.Clone(s.Attributes.FullBytes)
	if len(set) == 0 {
		return "it has no signed attributes"
	}
	set[0] = asn1.TagSet | 0x20 // as it is signed (RFC 5652, section 5.4)
	var list []attribute
	if rest, err := asn1.UnmarshalWithParams(set, &list, "set"); err != nil || len(rest) > 0 {
		return "its signed attributes are not in order"
	}
	one := func(oid asn1.ObjectIdentifier) ([]byte, bool) {
		var found []byte
		n := 0
		for _, a := range list {
			if a.Type.Equal(oid) {
				n++
				if len(a.Values) == 1 {
					found = a.Values[0].FullBytes
				}
			}
		}
		return found, n == 1 && found != nil
	}
	var content asn1.ObjectIdentifier
	raw, ok := one(oidContentType)
	if rest, err := asn1.Unmarshal(raw, &content); !ok || err != nil || len(rest) > 0 || !content.Equal(oidTSTInfo) {
		return "it was not signed as a time stamp"
	}
	if _, ok := one(oidDigest); !ok {
		return "its signed attributes are not in order"
	}
	if raw, ok := one(oidSignerV2); ok {
		var v signingCertificateV2
		if rest, err := asn1.Unmarshal(raw, &v); err != nil || len(rest) > 0 || len(v.Certs) == 0 {
			return "its signed attributes are not in order"
		}
		id, hash := v.Certs[0], crypto.SHA256
		if len(id.Algorithm.Algorithm) > 0 {
			hash = 0
			for _, d := range digests {
				if d.oid.Equal(id.Algorithm.Algorithm) {
					hash = d.hash
				}
			}
		}
		if hash == 0 {
			return "its signer names its certificate by an unknown hash"
		}
		h := hash.New()
		h.Write(cert.Raw)
		if !bytes.Equal(id.Hash, h.Sum(nil)) {
			return "its signer meant another certificate"
		}
		return ""
	}
	var v signingCertificate
	raw, ok = one(oidSigner)
	if rest, err := asn1.Unmarshal(raw, &v); !ok || err != nil || len(rest) > 0 || len(v.Certs) == 0 {
		return "its signer does not say which certificate it means"
	}
	if sum := sha1.Sum(cert.Raw); !bytes.Equal(v.Certs[0].Hash, sum[:]) {
		return "its signer meant another certificate"
	}
	return ""
}
