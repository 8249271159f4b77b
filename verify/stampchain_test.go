package verify_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/timestamp"
	"github.com/tccm/undersigned/verify/timestamp/timestamptest"
)

// TestStampOfBrokenChain has an authority whose chain to its root is not in order: the ledger cannot know that when it keeps the
// token, so no reader may take it for a contradiction of the record.
func TestStampOfBrokenChain(t *testing.T) {
	for name, change := range map[string]func(middle *x509.Certificate){
		"intermediate of another use": func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
		"intermediate expired":        func(c *x509.Certificate) { c.NotAfter = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) },
		"intermediate no CA":          func(c *x509.Certificate) { c.IsCA = false },
	} {
		w := newWorld(t, 2)
		a := timestamptest.New(func() time.Time { return w.rec.Now }, timestamptest.Options{Name: "Stamps Ltd"})
		rootKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		middleKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		from, to := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
		mk := func(c, parent *x509.Certificate, pub any, by *ecdsa.PrivateKey) *x509.Certificate {
			der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, by)
			if err != nil {
				t.Fatal(err)
			}
			p, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "R"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: from, NotAfter: to}
		a.Root = mk(root, root, rootKey.Public(), rootKey)
		mid := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "M"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: from, NotAfter: to}
		change(mid)
		a.Intermediate = mk(mid, a.Root, middleKey.Public(), rootKey)
		leaf := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "Stamps Ltd"}, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, NotBefore: from, NotAfter: to, ExtraExtensions: []pkix.Extension{*timestamptest.TimeStamping(true)}}
		a.Leaf = mk(leaf, a.Intermediate, a.Key.Public(), middleKey)

		nonce := big.NewInt(77)
		query, _, err := timestamp.Request(w.note, nonce)
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := timestamp.CheckReply(a.Reply(query), w.note, nonce)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.keep(w.checkpoint().Size, token)
		w.publish()
		r := w.audit(verify.AuditOptions{TimeStamps: checker(t, a.Roots())})
		if !r.OK || r.Stamps != 0 || r.UncheckedStamps != 1 {
			t.Errorf("%s: %d %s", name, r.Code, r.Sentence)
		}
	}
}
