// Package timestamptest is a time-stamping authority for tests: a chain of certificates made on the spot, and RFC 3161 over HTTP.
package timestamptest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/digitorus/timestamp"
)

// An Authority answers requests with tokens. Its fields may be changed before it is asked.
type Authority struct {
	Now      func() time.Time
	Accuracy time.Duration
	Hash     crypto.Hash // of the signature
	// Attributes, if set, changes the signed attributes; Content the content type; Bare leaves all attributes out.
	Attributes func([]Attribute) []Attribute
	Content    asn1.ObjectIdentifier
	Bare       bool
	// Trailing is added to what is signed, Critical an extension that nobody knows.
	Trailing []byte
	Critical bool
	// Twice has it sign twice, More adds an element to what is signed around.
	Twice, More bool
	// Mangle, if set, changes a reply before it is sent.
	Mangle func(reply []byte) []byte
	// Nonce, if set, stands in for the request's.
	Nonce *big.Int
	// Asked counts requests.
	Asked atomic.Int64

	Root, Intermediate, Leaf *x509.Certificate
	Key                      crypto.Signer
}

// Options says how an Authority is made. The zero value is a good one.
type Options struct {
	Name     string          // common name; "": "Test TSA"
	RSA      bool            // else ECDSA
	From, To time.Time       // of the authority's own certificate; zero: 2020 to 2040
	EKU      *pkix.Extension // extended key usage; nil: timeStamping, critical
	IsCA     bool
}

// TimeStamping returns an extended key usage extension.
func TimeStamping(critical bool, usages ...asn1.ObjectIdentifier) *pkix.Extension {
	if len(usages) == 0 {
		usages = []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}
	}
	value, err := asn1.Marshal(usages)
	must(err)
	return &pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: value}
}

// New returns an authority with a root, an intermediate and a certificate of its own.
func New(now func() time.Time, o Options) *Authority {
	long := func(t *x509.Certificate) *x509.Certificate {
		t.NotBefore, t.NotAfter = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
		return t
	}
	if o.Name == "" {
		o.Name = "Test TSA"
	}
	if o.EKU == nil {
		o.EKU = TimeStamping(true)
	}
	if o.From.IsZero() {
		o.From, o.To = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	rootKey, middleKey := key(false), key(false)
	a := &Authority{Now: now, Hash: crypto.SHA256, Key: key(o.RSA)}
	a.Root = sign(long(&x509.Certificate{Subject: pkix.Name{CommonName: o.Name + " Root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}), nil, rootKey.Public(), rootKey)
	a.Intermediate = sign(long(&x509.Certificate{Subject: pkix.Name{CommonName: o.Name + " Intermediate"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}), a.Root, middleKey.Public(), rootKey)
	a.Leaf = sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: o.Name}, NotBefore: o.From, NotAfter: o.To, KeyUsage: x509.KeyUsageDigitalSignature,
		IsCA: o.IsCA, BasicConstraintsValid: true, ExtraExtensions: []pkix.Extension{*o.EKU},
	}, a.Intermediate, a.Key.Public(), middleKey)
	return a
}

func key(isRSA bool) crypto.Signer {
	if isRSA {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		must(err)
		return k
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return k
}

func sign(t, parent *x509.Certificate, public any, signer crypto.Signer) *x509.Certificate {
	if parent == nil {
		parent = t
	}
	var err error
	t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(err)
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, signer)
	must(err)
	c, err := x509.ParseCertificate(der)
	must(err)
	return c
}

// Roots returns the root in PEM.
func (a *Authority) Roots() []byte { return PEM(a.Root) }

// PEM returns certificates in PEM.
func PEM(certs ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

// Reply returns the reply to a request.
func (a *Authority) Reply(query []byte) []byte {
	a.Asked.Add(1)
	req, err := timestamp.ParseRequest(query)
	if err != nil {
		reply, err := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadDataFormat)
		must(err)
		return reply
	}
	nonce := req.Nonce
	if a.Nonce != nil {
		nonce = a.Nonce
	}
	reply := marshal(struct {
		Status struct{ Status int }
		Token  asn1.RawValue
	}{Token: asn1.RawValue{FullBytes: a.token(req.HashAlgorithm, req.HashedMessage, nonce, req.Certificates)}})
	if a.Mangle != nil {
		reply = a.Mangle(reply)
	}
	return reply
}

// Token returns a token over these bytes, which are hashed with SHA-256 unless hash is set.
func (a *Authority) Token(stamped []byte, hash crypto.Hash) []byte {
	query, err := timestamp.CreateRequest(bytes.NewReader(stamped), &timestamp.RequestOptions{Hash: hash, Certificates: true, Nonce: big.NewInt(1 << 40)})
	must(err)
	var reply struct {
		Status struct{ Status int }
		Token  asn1.RawValue
	}
	_, err = asn1.Unmarshal(a.Reply(query), &reply)
	must(err)
	return reply.Token.FullBytes
}

// An Attribute is a signed attribute of CMS.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// The object identifiers of CMS and of RFC 3161.
var (
	SignedData           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	TSTInfo              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	ContentType          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	MessageDigest        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	SigningTime          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	SigningCertificate   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	SigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
)

var hashes = map[crypto.Hash]asn1.ObjectIdentifier{
	crypto.SHA1:   {1, 3, 14, 3, 2, 26},
	crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
	crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
	crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
}

var ecdsaWith = map[crypto.Hash]asn1.ObjectIdentifier{
	crypto.SHA1:   {1, 2, 840, 10045, 4, 1},
	crypto.SHA256: {1, 2, 840, 10045, 4, 3, 2},
	crypto.SHA384: {1, 2, 840, 10045, 4, 3, 3},
	crypto.SHA512: {1, 2, 840, 10045, 4, 3, 4},
}

// NewAttribute returns an attribute with one value.
func NewAttribute(oid asn1.ObjectIdentifier, value any) Attribute {
	return Attribute{oid, []asn1.RawValue{{FullBytes: marshal(value)}}}
}

// CertID is the value of SigningCertificate and SigningCertificateV2 for a hash of a certificate, SHA-256 unless it is named.
func CertID(hash []byte, algorithm ...pkix.AlgorithmIdentifier) any {
	if len(algorithm) > 0 {
		type id struct {
			Algorithm pkix.AlgorithmIdentifier
			Hash      []byte
		}
		return struct{ Certs []id }{[]id{{algorithm[0], hash}}}
	}
	type id struct{ Hash []byte }
	return struct{ Certs []id }{[]id{{hash}}}
}

// Algorithm names a hash.
func Algorithm(h crypto.Hash) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: hashes[h]}
}

func sum(h crypto.Hash, b []byte) []byte {
	x := h.New()
	x.Write(b)
	return x.Sum(nil)
}

type imprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Hash      []byte
}

type accuracy struct {
	Seconds int64 `asn1:"optional"`
	Millis  int64 `asn1:"tag:0,optional"`
	Micros  int64 `asn1:"tag:1,optional"`
}

type tstInfo struct {
	Version    int
	Policy     asn1.ObjectIdentifier
	Imprint    imprint
	Serial     *big.Int
	Time       time.Time        `asn1:"generalized"`
	Accuracy   accuracy         `asn1:"optional"`
	Nonce      *big.Int         `asn1:"optional"`
	Extensions []pkix.Extension `asn1:"tag:1,optional"`
}

type signerInfo struct {
	Version int
	ID      struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	Digest     pkix.AlgorithmIdentifier
	Attributes asn1.RawValue `asn1:"optional"`
	Algorithm  pkix.AlgorithmIdentifier
	Signature  []byte
}

// token makes a CMS SignedData (RFC 5652) by hand, so that a test can make it wrong.
func (a *Authority) token(hash crypto.Hash, hashed []byte, nonce *big.Int, certificates bool) []byte {
	content := a.Content
	if content == nil {
		content = TSTInfo
	}
	info := tstInfo{
		Version: 1, Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Imprint: imprint{Algorithm(hash), hashed},
		Serial: big.NewInt(a.Asked.Load()), Time: a.Now().UTC().Truncate(time.Second), Nonce: nonce,
		Accuracy: accuracy{int64(a.Accuracy / time.Second), int64(a.Accuracy % time.Second / time.Millisecond), int64(a.Accuracy % time.Millisecond / time.Microsecond)},
	}
	if a.Critical {
		info.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 2}, Critical: true, Value: []byte{5, 0}}}
	}
	signed := append(marshal(info), a.Trailing...)

	s := signerInfo{Version: 1, Digest: Algorithm(a.Hash), Algorithm: pkix.AlgorithmIdentifier{Algorithm: ecdsaWith[a.Hash]}}
	s.ID.Issuer, s.ID.Serial = asn1.RawValue{FullBytes: a.Leaf.RawIssuer}, a.Leaf.SerialNumber
	if _, ok := a.Key.(*rsa.PrivateKey); ok {
		s.Algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue}
	}
	message := signed
	if !a.Bare {
		list := []Attribute{
			NewAttribute(ContentType, content), NewAttribute(SigningTime, info.Time), NewAttribute(MessageDigest, sum(a.Hash, signed)),
			NewAttribute(SigningCertificateV2, CertID(sum(crypto.SHA256, a.Leaf.Raw))),
		}
		if a.Attributes != nil {
			list = a.Attributes(list)
		}
		set, err := asn1.MarshalWithParams(list, "set")
		must(err)
		message = set
		set = bytes.Clone(set)
		set[0] = 0xa0
		s.Attributes = asn1.RawValue{FullBytes: set}
	}
	var err error
	s.Signature, err = a.Key.Sign(rand.Reader, sum(a.Hash, message), a.Hash)
	must(err)
	signers := []signerInfo{s}
	if a.Twice {
		signers = append(signers, s)
	}
	certs := asn1.RawValue{}
	if certificates {
		certs = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(bytes.Clone(a.Leaf.Raw), a.Intermediate.Raw...)}
	}
	type encapsulated struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}
	type signedData struct {
		Version      int
		Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
		Content      encapsulated
		Certificates asn1.RawValue `asn1:"optional"`
		Signers      []signerInfo  `asn1:"set"`
		More         asn1.RawValue `asn1:"optional"`
	}
	var more asn1.RawValue
	if a.More {
		more = asn1.NullRawValue
	}
	return marshal(struct {
		Type    asn1.ObjectIdentifier
		Content signedData `asn1:"explicit,tag:0"`
	}{SignedData, signedData{3, []pkix.AlgorithmIdentifier{s.Digest}, encapsulated{content, signed}, certs, signers, more}})
}

func marshal(v any) []byte {
	b, err := asn1.Marshal(v)
	must(err)
	return b
}

// ServeHTTP is RFC 3161, section 3.4.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/timestamp-query" {
		http.Error(w, "not a request for a time stamp", http.StatusBadRequest)
		return
	}
	query, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.Write(a.Reply(query))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
