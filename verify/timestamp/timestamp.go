package timestamp

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	rfc3161 "github.com/digitorus/timestamp"
	"github.com/sigstore/timestamp-authority/v2/pkg/verification"

	"github.com/tccm/undersigned/keys/unicode15"
	"github.com/tccm/undersigned/verify"
)

const (
	// MaxRoots bounds a file of roots, in bytes.
	MaxRoots = 1 << 20
	maxRoots = 1000 // certificates

	maxAccuracy = 24 * time.Hour
	maxName     = 200 // bytes of an authority's name
)

// An Error says why a token is none of the bytes that it was shown with. It repeats nothing of the token.
type Error struct {
	// Problem is a fixed sentence part.
	Problem string
}

func (e *Error) Error() string { return "not a time stamp of these bytes: " + e.Problem }

// Roots are certificates that answer for time-stamping authorities, in the eyes of who checks.
type Roots struct{ certs []*x509.Certificate }

// ParseRoots reads certificates in PEM, at least one, and nothing but comments between them. Errors are sentences about the file.
func ParseRoots(b []byte) (*Roots, error) {
	if len(b) > MaxRoots {
		return nil, errors.New("it is larger than 1 MiB")
	}
	r := new(Roots)
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			break
		}
		b = rest
		if block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			return nil, errors.New("it holds something else than certificates")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it cannot be read", len(r.certs)+1)
		}
		if len(r.certs) == maxRoots {
			return nil, errors.New("it holds more than 1000 certificates")
		}
		r.certs = append(r.certs, cert)
	}
	if len(r.certs) == 0 || bytes.Contains(b, []byte("-----BEGIN")) {
		return nil, errors.New("it holds no certificate in PEM, or one that is cut off")
	}
	return r, nil
}

// Check checks that a token, in DER, is a time stamp of these bytes by an authority for which one of the roots answered then. It
// is a verify.CheckTimeStamp. Errors are *Error or verify.ErrUnknownAuthority. It takes any token, and bounded time.
func (r *Roots) Check(token, stamped []byte) (*verify.TimeStamp, error) {
	return check(token, stamped, nil, r)
}

// CheckReply checks an authority's reply (RFC 3161, section 2.4.2) to a request for a time stamp of these bytes with this nonce, and
// returns the token in it, and what that says. Whose it is, nobody answers for: that is for those to judge who will read it. Errors
// are *Error.
func CheckReply(reply, stamped []byte, nonce *big.Int) (token []byte, s *verify.TimeStamp, err error) {
	if token, err = Token(reply); err != nil {
		return nil, nil, err
	}
	if s, err = check(token, stamped, nonce, nil); err != nil {
		return nil, nil, err
	}
	return token, s, nil
}

// Signer tells whose a token says that it is: the hash of the certificate that it names, if that is in it. Nothing is checked.
func Signer(token []byte) (cert [sha256.Size]byte, ok bool) {
	d, problem := strict(token)
	if problem != "" {
		return cert, false
	}
	certs, problem := d.certificates()
	if signer := d.signerOf(certs); problem == "" && signer != nil {
		return sha256.Sum256(signer.Raw), true
	}
	return cert, false
}

// Request returns a request (RFC 3161, section 2.4.1) for a time stamp of these bytes by SHA-256, which asks for the
// certificates too, and the nonce that the reply must have.
func Request(stamped []byte, nonce *big.Int) (query []byte, n *big.Int, err error) {
	query, err = rfc3161.CreateRequest(bytes.NewReader(stamped), &rfc3161.RequestOptions{Hash: crypto.SHA256, Certificates: true, Nonce: nonce})
	return query, nonce, err
}

// Token returns the token in an authority's reply that grants one. Errors are *Error.
func Token(reply []byte) ([]byte, error) {
	var resp response
	rest, err := asn1.Unmarshal(reply, &resp)
	switch {
	case err != nil || len(rest) > 0:
		return nil, &Error{"the authority's reply is not in order"}
	case resp.Status.Status != int(rfc3161.Granted) && resp.Status.Status != int(rfc3161.GrantedWithMods) || len(resp.Token.FullBytes) == 0:
		return nil, &Error{"the authority does not grant it"}
	}
	return resp.Token.FullBytes, nil
}

// response is a TimeStampResp.
type response struct {
	Status status
	Token  asn1.RawValue `asn1:"optional"`
}

type status struct {
	Status int
	Text   asn1.RawValue  `asn1:"optional"`
	Fail   asn1.BitString `asn1:"optional"`
}

// granted is a TimeStampResp that grants a token, and says no more.
type granted struct {
	Status struct{ Status int }
	Token  asn1.RawValue
}

// check checks a token; nonce and roots may be nil.
func check(token, stamped []byte, nonce *big.Int, roots *Roots) (s *verify.TimeStamp, err error) {
	defer func() { // CMS is parsed by code that was not made for hostile bytes
		if recover() != nil {
			s, err = nil, &Error{"it is not in order"}
		}
	}()
	d, problem := strict(token)
	if problem != "" {
		return nil, &Error{problem}
	}
	reply, err := asn1.Marshal(granted{Token: asn1.RawValue{FullBytes: token}})
	if err != nil {
		return nil, &Error{"it is not in order"}
	}
	certs, problem := d.certificates()
	if problem != "" {
		return nil, &Error{problem}
	}
	signer := d.signerOf(certs)
	if signer == nil {
		return nil, &Error{"its signer's certificate is not in it"}
	}
	if problem := attributes(&d.Signers[0], signer); problem != "" {
		return nil, &Error{problem}
	}
	// Parse checks the signature by the certificate that the signer names, and not whose that is.
	ts, err := rfc3161.Parse(token)
	if err != nil {
		return nil, &Error{"its signature is not good, or was made when its certificate was not valid"}
	}
	if problem := content(d.Content.Content, ts, stamped); problem != "" {
		return nil, &Error{problem}
	}
	trusted := certs // then any of its own will do
	if roots != nil {
		trusted = roots.certs
	}
	_, err = verification.VerifyTimestampResponse(reply, bytes.NewReader(stamped), verification.VerifyOpts{
		Roots: trusted, Nonce: nonce,
		CurrentTime: ts.Time, // whatever has expired since: the token was made then
	})
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return &verify.TimeStamp{Time: ts.Time.UTC(), Accuracy: ts.Accuracy, Authority: nameOf(signer)}, nil
	case errors.As(err, &unknown):
		return nil, verify.ErrUnknownAuthority
	case roots != nil && inOrder(token, stamped, nonce):
		// What stands between it and a root is wrong: then no root answers for it, and whoever kept it could not know that.
		return nil, verify.ErrUnknownAuthority
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return nil, &Error{"its certificate was not valid at the time that it says"}
	case nonce != nil && (ts.Nonce == nil || ts.Nonce.Cmp(nonce) != 0):
		return nil, &Error{"it answers another request"}
	}
	return nil, &Error{"its certificate is not one of a time-stamping authority"}
}

// inOrder reports whether a token is one, whoever answers for it.
func inOrder(token, stamped []byte, nonce *big.Int) bool {
	_, err := check(token, stamped, nonce, nil)
	return err == nil
}

// content holds what a token says, of which RFC 3161's parser takes only what it knows, against the stamped bytes.
func content(raw []byte, ts *rfc3161.Timestamp, stamped []byte) (problem string) {
	var whole asn1.RawValue
	if rest, err := asn1.Unmarshal(raw, &whole); err != nil || len(rest) > 0 {
		return "something follows what it says"
	}
	switch ts.HashAlgorithm {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return "its hash is none of SHA-256, SHA-384 and SHA-512"
	}
	h := ts.HashAlgorithm.New()
	h.Write(stamped)
	if !bytes.Equal(h.Sum(nil), ts.HashedMessage) {
		return "it is over other bytes"
	}
	if ts.Accuracy < 0 || ts.Accuracy > maxAccuracy || ts.Time.Year() < 1970 || ts.Time.Year() > 9999 {
		return "its time is none"
	}
	for _, e := range ts.Extensions {
		if e.Critical {
			return "it says something that is not known here"
		}
	}
	return ""
}

// nameOf names an authority for people: by its certificate's common name or organization if it is fit to be shown.
func nameOf(cert *x509.Certificate) string {
	for _, name := range append([]string{cert.Subject.CommonName}, cert.Subject.Organization...) {
		if len(name) <= maxName && unicode15.FreeText(name) {
			return name
		}
	}
	return fmt.Sprintf("the holder of the certificate sha256:%x", sha256.Sum256(cert.Raw))
}
