package timestamp_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	rfc3161 "github.com/digitorus/timestamp"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/timestamp"
	"github.com/tccm/undersigned/verify/timestamp/timestamptest"
)

var noon = time.Date(2024, 6, 11, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

const note = "ledger.example/tccm\n16\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— ledger.example/tccm AAAA\n"

func roots(tb testing.TB, pem []byte) *timestamp.Roots {
	tb.Helper()
	r, err := timestamp.ParseRoots(pem)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestCheck(t *testing.T) {
	for name, o := range map[string]timestamptest.Options{"ECDSA": {}, "RSA": {RSA: true}} {
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			a := timestamptest.New(atNoon, o)
			a.Hash = hash
			a.Accuracy = 2*time.Second + 500*time.Millisecond
			s, err := roots(t, a.Roots()).Check(a.Token([]byte(note), hash), []byte(note))
			if err != nil {
				t.Fatal(name, hash, err)
			}
			if !s.Time.Equal(noon) || s.Accuracy != a.Accuracy || s.Authority != "Test TSA" || !s.By().Equal(noon.Add(a.Accuracy)) {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	good := timestamptest.New(atNoon, timestamptest.Options{})
	with := func(o timestamptest.Options) *timestamptest.Authority { return timestamptest.New(atNoon, o) }
	timeStamping := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	for name, c := range map[string]struct {
		tsa     *timestamptest.Authority
		hash    crypto.Hash
		signer  crypto.Hash
		stamped string // what is shown beside the token
		roots   []byte
		says    string
	}{
		"good":                                       {says: ""},
		"other bytes":                                {stamped: note + "\n", says: "over other bytes"},
		"no bytes":                                   {stamped: " ", says: "over other bytes"},
		"another root":                               {roots: with(timestamptest.Options{}).Roots(), says: "no trusted root"},
		"the intermediate as a root":                 {roots: timestamptest.PEM(good.Intermediate), says: ""},
		"an imprint of SHA-1":                        {hash: crypto.SHA1, says: "its hash is none of"},
		"a signature with SHA-1":                     {signer: crypto.SHA1, says: "digest is none of"},
		"no extended key usage of time stamping":     {tsa: with(timestamptest.Options{EKU: timestamptest.TimeStamping(true, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3})}), says: "not one of a time-stamping authority"},
		"an extended key usage more":                 {tsa: with(timestamptest.Options{EKU: timestamptest.TimeStamping(true, timeStamping, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3})}), says: "not one of a time-stamping authority"},
		"an extended key usage nobody knows more":    {tsa: with(timestamptest.Options{EKU: timestamptest.TimeStamping(true, timeStamping, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 7})}), says: "not one of a time-stamping authority"},
		"an extended key usage that is not critical": {tsa: with(timestamptest.Options{EKU: timestamptest.TimeStamping(false)}), says: "not one of a time-stamping authority"},
		"a certificate authority":                    {tsa: with(timestamptest.Options{IsCA: true}), says: "not one of a time-stamping authority"},
		"expired since":                              {tsa: with(timestamptest.Options{From: noon.AddDate(-1, 0, 0), To: noon.Add(time.Second)}), says: ""},
		"expired before":                             {tsa: with(timestamptest.Options{From: noon.AddDate(-1, 0, 0), To: noon.Add(-time.Second)}), says: "its certificate was not valid"},
		"not valid yet":                              {tsa: with(timestamptest.Options{From: noon.Add(time.Second), To: noon.AddDate(1, 0, 0)}), says: "its certificate was not valid"},
	} {
		a := c.tsa
		if a == nil {
			a = good
		}
		a.Hash = crypto.SHA256
		if c.signer != 0 {
			a.Hash = c.signer
		}
		stamped := []byte(note)
		if c.stamped != "" {
			stamped = []byte(c.stamped)
		}
		trusted := a.Roots()
		if c.roots != nil {
			trusted = c.roots
		}
		s, err := roots(t, trusted).Check(a.Token([]byte(note), c.hash), stamped)
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v, %v", name, s, err)
		}
		var wrong *timestamp.Error
		if err != nil && !errors.As(err, &wrong) && !errors.Is(err, verify.ErrUnknownAuthority) {
			t.Errorf("%s: an error of another kind: %v", name, err)
		}
	}
}

// Whatever is turned over in a token, it is refused: nothing in it is read that is not signed, and nothing stands beside that.
func TestFlippedBits(t *testing.T) {
	for name, o := range map[string]timestamptest.Options{"ECDSA": {}, "RSA": {RSA: true}} {
		a := timestamptest.New(atNoon, o)
		a.Accuracy = time.Second
		r := roots(t, a.Roots())
		token := a.Token([]byte(note), 0)
		if _, err := r.Check(token, []byte(note)); err != nil {
			t.Fatal(err)
		}
		step := 1
		if testing.Short() {
			step = 13
		}
		accepted := 0
		for bit := 0; bit < 8*len(token); bit += step {
			b := bytes.Clone(token)
			b[bit/8] ^= 1 << (bit % 8)
			if s, err := r.Check(b, []byte(note)); err == nil {
				accepted++
				t.Errorf("%s: byte %d bit %d: %+v", name, bit/8, bit%8, s)
			}
		}
		for n := range len(token) {
			if _, err := r.Check(token[:n], []byte(note)); err == nil {
				t.Errorf("%s: accepted when cut to %d bytes", name, n)
			}
		}
		if _, err := r.Check(append(bytes.Clone(token), 0), []byte(note)); err == nil {
			t.Errorf("%s: accepted with a byte after it", name)
		}
		t.Logf("%s: a token of %d bytes", name, len(token))
	}
}

// A token that the authority's own key signed, but not as RFC 3161 has it. Most of it the parsers beneath pass over.
func TestMalformed(t *testing.T) {
	sum := func(h crypto.Hash, b []byte) []byte {
		x := h.New()
		x.Write(b)
		return x.Sum(nil)
	}
	without := func(oid asn1.ObjectIdentifier, more ...timestamptest.Attribute) func([]timestamptest.Attribute) []timestamptest.Attribute {
		return func(list []timestamptest.Attribute) []timestamptest.Attribute {
			list = slices.DeleteFunc(list, func(a timestamptest.Attribute) bool { return a.Type.Equal(oid) })
			return append(list, more...)
		}
	}
	data := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	v2, v1 := timestamptest.SigningCertificateV2, timestamptest.SigningCertificate
	for name, c := range map[string]struct {
		change func(a *timestamptest.Authority)
		says   string
	}{
		"as it should be": {func(a *timestamptest.Authority) {}, ""},
		"its certificate named by SHA-512": {func(a *timestamptest.Authority) {
			a.Attributes = without(v2, timestamptest.NewAttribute(v2, timestamptest.CertID(sum(crypto.SHA512, a.Leaf.Raw), timestamptest.Algorithm(crypto.SHA512))))
		}, ""},
		"its certificate named as it was in 1999": {func(a *timestamptest.Authority) {
			a.Attributes = without(v2, timestamptest.NewAttribute(v1, timestamptest.CertID(sum(crypto.SHA1, a.Leaf.Raw))))
		}, ""},
		"its certificate not named": {func(a *timestamptest.Authority) { a.Attributes = without(v2) }, "does not say which certificate"},
		"another certificate named": {func(a *timestamptest.Authority) {
			a.Attributes = without(v2, timestamptest.NewAttribute(v2, timestamptest.CertID(sum(crypto.SHA256, a.Root.Raw))))
		}, "meant another certificate"},
		"another certificate named as in 1999": {func(a *timestamptest.Authority) {
			a.Attributes = without(v2, timestamptest.NewAttribute(v1, timestamptest.CertID(sum(crypto.SHA1, a.Root.Raw))))
		}, "meant another certificate"},
		"its certificate named by SHA-1, of now": {func(a *timestamptest.Authority) {
			a.Attributes = without(v2, timestamptest.NewAttribute(v2, timestamptest.CertID(sum(crypto.SHA1, a.Leaf.Raw), timestamptest.Algorithm(crypto.SHA1))))
		}, "unknown hash"},
		"its certificate named by nothing": {func(a *timestamptest.Authority) {
			a.Attributes = without(v2, timestamptest.NewAttribute(v2, struct{ Certs []int }{}))
		}, "not in order"},
		"no content type": {func(a *timestamptest.Authority) { a.Attributes = without(timestamptest.ContentType) }, "not signed as a time stamp"},
		"signed as something else": {func(a *timestamptest.Authority) {
			a.Attributes = without(timestamptest.ContentType, timestamptest.NewAttribute(timestamptest.ContentType, data))
		}, "not signed as a time stamp"},
		"two content types": {func(a *timestamptest.Authority) {
			a.Attributes = without(data, timestamptest.NewAttribute(timestamptest.ContentType, data))
		}, "not signed as a time stamp"},
		"two digests": {func(a *timestamptest.Authority) {
			a.Attributes = without(data, timestamptest.NewAttribute(timestamptest.MessageDigest, []byte("x")))
		}, "not"},
		"no digest":                         {func(a *timestamptest.Authority) { a.Attributes = without(timestamptest.MessageDigest) }, "not in order"},
		"no attributes":                     {func(a *timestamptest.Authority) { a.Bare = true }, "not a CMS SignedData"},
		"of another content type":           {func(a *timestamptest.Authority) { a.Content = data }, "not about a time stamp"},
		"something after it":                {func(a *timestamptest.Authority) { a.Trailing = []byte{5, 0} }, "something follows"},
		"a critical extension":              {func(a *timestamptest.Authority) { a.Critical = true }, "not known here"},
		"something in it that nobody knows": {func(a *timestamptest.Authority) { a.More = true }, "not in the one form that DER has"},
		"two signers":                       {func(a *timestamptest.Authority) { a.Twice = true }, "not one signer"},
		"accurate to days":                  {func(a *timestamptest.Authority) { a.Accuracy = 48 * time.Hour }, "its time is none"},
		"accurate to less than 0":           {func(a *timestamptest.Authority) { a.Accuracy = -time.Hour }, "its time is none"},
		"before there were clocks": {func(a *timestamptest.Authority) {
			a.Now = func() time.Time { return time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC) }
		}, "not"},
	} {
		a := timestamptest.New(atNoon, timestamptest.Options{})
		c.change(a)
		s, err := roots(t, a.Roots()).Check(a.Token([]byte(note), 0), []byte(note))
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	// Without a signing time the time in the token tells whether the certificate was valid.
	for to, good := range map[time.Time]bool{noon.Add(time.Second): true, noon.Add(-time.Second): false} {
		a := timestamptest.New(atNoon, timestamptest.Options{From: noon.AddDate(-1, 0, 0), To: to})
		a.Attributes = without(timestamptest.SigningTime)
		if _, err := roots(t, a.Roots()).Check(a.Token([]byte(note), 0), []byte(note)); (err == nil) != good || !good && !strings.Contains(err.Error(), "not valid at the time that it says") {
			t.Errorf("valid until %v: %v", to, err)
		}
	}
	// An authority that leaves out the certificates that were asked for.
	a := timestamptest.New(atNoon, timestamptest.Options{})
	query, err := (&rfc3161.Request{HashAlgorithm: crypto.SHA256, HashedMessage: sum(crypto.SHA256, []byte(note))}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := timestamp.CheckReply(a.Reply(query), []byte(note), nil); err == nil || !strings.Contains(err.Error(), "certificate is not in it") {
		t.Error("no certificates:", err)
	}
}

func TestCheckReply(t *testing.T) {
	a := timestamptest.New(atNoon, timestamptest.Options{})
	r := roots(t, a.Roots())
	query := func(nonce int64) ([]byte, *big.Int) {
		q, n, err := timestamp.Request([]byte(note), big.NewInt(nonce))
		if err != nil {
			t.Fatal(err)
		}
		return q, n
	}
	q, nonce := query(7)
	reply := a.Reply(q)
	token, s, err := timestamp.CheckReply(reply, []byte(note), nonce)
	if err != nil || !s.Time.Equal(noon) {
		t.Fatal(s, err)
	}
	if _, err := r.Check(token, []byte(note)); err != nil {
		t.Error(err)
	}
	if _, _, err := timestamp.CheckReply(reply, []byte(note+"x"), nonce); err == nil || !strings.Contains(err.Error(), "other bytes") {
		t.Error("other bytes:", err)
	}
	stranger := timestamptest.New(atNoon, timestamptest.Options{EKU: timestamptest.TimeStamping(false)})
	if _, _, err := timestamp.CheckReply(stranger.Reply(q), []byte(note), nonce); err == nil || !strings.Contains(err.Error(), "not one of a time-stamping authority") {
		t.Error("the certificate of somebody else:", err)
	}
	if _, _, err := timestamp.CheckReply(reply, []byte(note), big.NewInt(8)); err == nil || !strings.Contains(err.Error(), "answers another request") {
		t.Error("another nonce:", err)
	}
	a.Nonce = big.NewInt(9)
	if _, _, err := timestamp.CheckReply(a.Reply(q), []byte(note), nonce); err == nil || !strings.Contains(err.Error(), "answers another request") {
		t.Error("a nonce of its own:", err)
	}
	a.Nonce = nil
	for name, reply := range map[string][]byte{
		"nothing":   nil,
		"a refusal": a.Reply([]byte("x")),
		"a page":    []byte("<html>"),
		"more":      append(bytes.Clone(reply), 0),
	} {
		if _, _, err := timestamp.CheckReply(reply, []byte(note), nonce); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestSigner(t *testing.T) {
	a := timestamptest.New(atNoon, timestamptest.Options{})
	token := a.Token([]byte(note), 0)
	if got, ok := timestamp.Signer(token); !ok || got != sha256.Sum256(a.Leaf.Raw) {
		t.Errorf("%x %v", got, ok)
	}
	for _, b := range [][]byte{nil, []byte("x"), token[:len(token)-1], bytes.Replace(token, a.Leaf.Raw, a.Root.Raw, 1)} {
		if _, ok := timestamp.Signer(b); ok {
			t.Error("a signer of nothing")
		}
	}
}

func TestParseRoots(t *testing.T) {
	a := timestamptest.New(atNoon, timestamptest.Options{})
	key, err := x509.MarshalPKCS8PrivateKey(a.Key)
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	for name, c := range map[string]struct {
		pem  []byte
		good bool
	}{
		"one":              {a.Roots(), true},
		"two":              {timestamptest.PEM(a.Root, a.Intermediate), true},
		"with words":       {append([]byte("Roots of some authorities\n"), a.Roots()...), true},
		"nothing":          {nil, false},
		"words":            {[]byte("hello\n"), false},
		"a key":            {private, false},
		"a key beside it":  {append(a.Roots(), private...), false},
		"cut off":          {a.Roots()[:len(a.Roots())-10], false},
		"second cut off":   {append(a.Roots(), a.Roots()[:100]...), false},
		"no certificate":   {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), false},
		"too large a file": {bytes.Repeat([]byte("#"), timestamp.MaxRoots+1), false},
	} {
		if _, err := timestamp.ParseRoots(c.pem); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A name that is not fit for a sentence is not shown.
func TestNames(t *testing.T) {
	for name, shown := range map[string]bool{"Time Stamps Ltd": true, "Zeitstempel Ä": true, "evil\u202e": false, "two\nlines": false, strings.Repeat("x", 300): false} {
		a := timestamptest.New(atNoon, timestamptest.Options{Name: name})
		s, err := roots(t, a.Roots()).Check(a.Token([]byte(note), 0), []byte(note))
		if err != nil {
			t.Fatal(err)
		}
		if (s.Authority == name) != shown || !shown && !strings.HasPrefix(s.Authority, "the holder of the certificate sha256:") {
			t.Errorf("%q is shown as %q", name, s.Authority)
		}
	}
}

// needOpenSSL skips a test where there is no openssl. In CI that is a failure.
func needOpenSSL(t *testing.T) func(args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("openssl is not there")
		}
		t.Skip("install openssl to check time stamps against it")
	}
	return func(args ...string) (string, error) {
		out, err := exec.Command("openssl", args...).CombinedOutput()
		return string(out), err
	}
}

func write(t *testing.T, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openssl takes our tokens, and refuses them over other bytes.
func TestOpenSSLVerifies(t *testing.T) {
	openssl := needOpenSSL(t)
	for name, o := range map[string]timestamptest.Options{"ECDSA": {}, "RSA": {RSA: true}} {
		a := timestamptest.New(time.Now, o)
		dir := t.TempDir()
		data := write(t, dir, "note", []byte(note))
		token := write(t, dir, "token", a.Token([]byte(note), 0))
		root := write(t, dir, "root.pem", a.Roots())
		if out, err := openssl("ts", "-verify", "-data", data, "-in", token, "-token_in", "-CAfile", root); err != nil || !strings.Contains(out, "Verification: OK") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		other := write(t, dir, "other", []byte(note+"x"))
		if out, err := openssl("ts", "-verify", "-data", other, "-in", token, "-token_in", "-CAfile", root); err == nil {
			t.Errorf("%s: other bytes: %s", name, out)
		}
	}
}

// We take what openssl makes, as a token and in answer to our request.
func TestOpenSSLStamps(t *testing.T) {
	openssl := needOpenSSL(t)
	for name, o := range map[string]timestamptest.Options{"ECDSA": {}, "RSA": {RSA: true}} {
		a := timestamptest.New(time.Now, o)
		dir := t.TempDir()
		key, err := x509.MarshalPKCS8PrivateKey(a.Key)
		if err != nil {
			t.Fatal(err)
		}
		cfg := fmt.Sprintf(`[tsa]
dir = %[1]s
serial = $dir/serial
signer_cert = $dir/leaf.pem
certs = $dir/chain.pem
signer_key = $dir/key.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512, sha1
accuracy = secs:1, millisecs:500, microsecs:100
`, dir)
		write(t, dir, "serial", []byte("01\n"))
		write(t, dir, "leaf.pem", timestamptest.PEM(a.Leaf))
		write(t, dir, "chain.pem", timestamptest.PEM(a.Intermediate))
		write(t, dir, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
		config := write(t, dir, "cfg", []byte(cfg))
		stamp := func(query []byte) []byte {
			t.Helper()
			q := write(t, dir, "query", query)
			reply := filepath.Join(dir, "reply")
			if out, err := openssl("ts", "-reply", "-queryfile", q, "-config", config, "-section", "tsa", "-out", reply); err != nil {
				t.Fatal(err, out)
			}
			b, err := os.ReadFile(reply)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		query, nonce, err := timestamp.Request([]byte(note), big.NewInt(1<<60+1))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := openssl("ts", "-query", "-in", write(t, dir, "query", query), "-text"); err != nil || !strings.Contains(out, "Certificate required: yes") {
			t.Errorf("%s: our request: %v %s", name, err, out)
		}
		reply := stamp(query)
		r := roots(t, a.Roots())
		token, s, err := timestamp.CheckReply(reply, []byte(note), nonce)
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := r.Check(token, []byte(note)); err != nil {
			t.Fatal(name, err)
		}
		if s.Accuracy != 1500*time.Millisecond+100*time.Microsecond || time.Since(s.Time).Abs() > time.Hour {
			t.Errorf("%s: %+v", name, s)
		}
		if _, err := r.Check(token, []byte(note+"x")); err == nil {
			t.Errorf("%s: other bytes are accepted", name)
		}
		t.Logf("%s: openssl's token is %d bytes", name, len(token))

		data := write(t, dir, "note", []byte(note))
		for _, hash := range []string{"sha1", "sha256", "sha512"} {
			q := filepath.Join(dir, "q")
			if out, err := openssl("ts", "-query", "-data", data, "-"+hash, "-cert", "-out", q); err != nil {
				t.Fatal(err, out)
			}
			theirs, err := os.ReadFile(q)
			if err != nil {
				t.Fatal(err)
			}
			token, err := timestamp.Token(stamp(theirs))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Check(token, []byte(note)); (err == nil) != (hash != "sha1") {
				t.Errorf("%s, %s: %v", name, hash, err)
			}
		}
	}
}

// An authority's reply, or a token in a record, may hold anything.
func FuzzCheck(f *testing.F) {
	a := timestamptest.New(atNoon, timestamptest.Options{})
	r := roots(f, a.Roots())
	token := a.Token([]byte(note), 0)
	f.Add(token)
	f.Add([]byte{0x30, 0x80, 0x30, 0x80})
	f.Add(bytes.Repeat([]byte{0x30, 0x80}, 4000))
	indefinite, _ := hex.DecodeString("308006092a864886f70d010702a080308002010331000000000000")
	f.Add(indefinite)
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := r.Check(b, []byte(note)); err == nil && !bytes.Equal(b, token) {
			t.Errorf("accepted: %+v", s)
		}
		timestamp.Signer(b)
		if token, _, err := timestamp.CheckReply(b, []byte(note), nil); err == nil && len(token) == 0 {
			t.Error("no token")
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	for name, o := range map[string]timestamptest.Options{"ECDSA": {}, "RSA": {RSA: true}} {
		a := timestamptest.New(atNoon, o)
		r := roots(b, a.Roots())
		token := a.Token([]byte(note), 0)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := r.Check(token, []byte(note)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
