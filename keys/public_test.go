package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/edwards25519"
	"filippo.io/mldsa"
)

// A testKey signs in one suite.
type testKey struct {
	suite Suite
	pub   crypto.PublicKey
	sign  func(msg []byte) ([]byte, error)
}

var rsaTestKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		panic(err)
	}
	return key
})

func testKeys(t testing.TB) []testKey {
	t.Helper()
	ed := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	ml, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), bytes.Repeat([]byte{2}, 32))
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := rsaTestKey()
	ssh := newSSHSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, 32)), false)
	sk := newSSHSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, 32)), true)
	sum256 := func(msg []byte) []byte { s := sha256.Sum256(msg); return s[:] }
	sum384 := func(msg []byte) []byte { s := sha512.Sum384(msg); return s[:] }
	return []testKey{
		{Ed25519, ed.Public(), func(m []byte) ([]byte, error) { return ed.Sign(nil, m, crypto.Hash(0)) }},
		{ECDSAP256SHA256, &p256.PublicKey, func(m []byte) ([]byte, error) { return ecdsa.SignASN1(rand.Reader, p256, sum256(m)) }},
		{ECDSAP384SHA384, &p384.PublicKey, func(m []byte) ([]byte, error) { return ecdsa.SignASN1(rand.Reader, p384, sum384(m)) }},
		{RSAPSSSHA256, &r.PublicKey, func(m []byte) ([]byte, error) {
			return rsa.SignPSS(rand.Reader, r, crypto.SHA256, sum256(m), &rsa.PSSOptions{SaltLength: 32})
		}},
		{RSAPKCS1SHA256, &r.PublicKey, func(m []byte) ([]byte, error) { return rsa.SignPKCS1v15(nil, r, crypto.SHA256, sum256(m)) }},
		{MLDSA44, ml.PublicKey(), func(m []byte) ([]byte, error) { return ml.SignDeterministic(m, nil) }},
		{SSHSIG, ssh.private.Public(), func(m []byte) ([]byte, error) { return ssh.blob(m), nil }},
		{SSHSIGSK, sk.private.Public(), func(m []byte) ([]byte, error) { return sk.blob(m), nil }},
	}
}

func TestSuites(t *testing.T) {
	var names []Suite
	for _, k := range testKeys(t) {
		names = append(names, k.suite)
	}
	if !slices.Equal(names, Suites()) {
		t.Errorf("Suites() = %v", Suites())
	}
	Suites()[0] = "changed"
	if Suites()[0] != Ed25519 {
		t.Error("Suites returns its own slice")
	}
}

func TestPublicKey(t *testing.T) {
	msg := []byte("undersigned/endorsement/v1\n")
	all := testKeys(t)
	for _, k := range all {
		t.Run(string(k.suite), func(t *testing.T) {
			pub, err := NewPublicKey(k.suite, k.pub)
			if err != nil {
				t.Fatal(err)
			}
			spki := pub.SPKI()
			again, err := ParsePublicKey(k.suite, spki)
			if err != nil || !bytes.Equal(again.SPKI(), spki) || len(spki) > MaxSPKI {
				t.Fatal("the SPKI does not parse to itself")
			}
			if pub.Suite() != k.suite || pub.Fingerprint() != sha256.Sum256(spki) || pub.Ref() != (Ref{k.suite, pub.Fingerprint()}) {
				t.Error("suite, fingerprint or reference")
			}
			sig, err := k.sign(msg)
			if err != nil {
				t.Fatal(err)
			}
			if !pub.Verify(testOrigin, msg, sig) {
				t.Fatal("a good signature is refused")
			}
			if pub.Verify(testOrigin, append(bytes.Clone(msg), 'x'), sig) || pub.Verify(testOrigin, nil, sig) {
				t.Error("a signature of another message is accepted")
			}
			for _, bad := range [][]byte{nil, {}, sig[:len(sig)-1], append(bytes.Clone(sig), 0), make([]byte, len(sig)), bytes.Repeat([]byte{0xff}, len(sig))} {
				if pub.Verify(testOrigin, msg, bad) {
					t.Errorf("a signature of %d bytes is accepted", len(bad))
				}
			}
			for i := range sig {
				if len(sig) > 500 && i%37 != 0 {
					continue
				}
				bad := bytes.Clone(sig)
				bad[i] ^= 1
				if pub.Verify(testOrigin, msg, bad) {
					t.Errorf("byte %d changed: accepted", i)
				}
			}

			// The key's own bytes stay its own.
			spki[len(spki)-1] ^= 1
			pub.SPKI()[0] ^= 1
			if !pub.Verify(testOrigin, msg, sig) || pub.Fingerprint() != sha256.Sum256(pub.SPKI()) {
				t.Error("a caller can change the key")
			}

			// Strict DER: no byte can be added, dropped, or changed in the frame.
			spki = pub.SPKI()
			for name, bad := range map[string][]byte{
				"empty": {}, "nil": nil, "short": spki[:len(spki)-1], "long": append(bytes.Clone(spki), 0),
				"doubled": slices.Concat(spki, spki), "shifted": spki[1:], "huge": make([]byte, 1<<20),
			} {
				if _, err := ParsePublicKey(k.suite, bad); err == nil {
					t.Errorf("%s SPKI is accepted", name)
				}
			}
			frame := map[Suite]int{
				Ed25519: len(prefixEd25519), ECDSAP256SHA256: len(prefixP256), ECDSAP384SHA384: len(prefixP384),
				RSAPSSSHA256: 32, RSAPKCS1SHA256: 32, MLDSA44: len(prefixMLDSA44),
				SSHSIG: len(prefixEd25519), SSHSIGSK: len(prefixEd25519),
			}
			for i := range frame[k.suite] {
				for _, flip := range []byte{1, 2, 4, 8, 0x20, 0x80} {
					bad := bytes.Clone(spki)
					bad[i] ^= flip
					if _, err := ParsePublicKey(k.suite, bad); err == nil {
						t.Errorf("SPKI with byte %d changed by %#x is accepted", i, flip)
					}
				}
			}

			// Only suites for its type take the key.
			takes := map[Suite][]Suite{
				Ed25519:         {Ed25519, SSHSIG, SSHSIGSK},
				ECDSAP256SHA256: {ECDSAP256SHA256, SSHSIG, SSHSIGSK},
				ECDSAP384SHA384: {ECDSAP384SHA384, SSHSIG},
				RSAPSSSHA256:    {RSAPSSSHA256, RSAPKCS1SHA256, SSHSIG},
				RSAPKCS1SHA256:  {RSAPSSSHA256, RSAPKCS1SHA256, SSHSIG},
				MLDSA44:         {MLDSA44},
				SSHSIG:          {Ed25519, SSHSIG, SSHSIGSK},
				SSHSIGSK:        {Ed25519, SSHSIG, SSHSIGSK},
			}
			for _, o := range all {
				_, err := NewPublicKey(o.suite, k.pub)
				if want := slices.Contains(takes[k.suite], o.suite); (err == nil) != want {
					t.Errorf("under %s: %v", o.suite, err)
				}
			}
			for _, suite := range []Suite{"", "ed448", "ed25519 ", "ED25519", "rsa"} {
				if _, err := NewPublicKey(suite, k.pub); !errors.Is(err, ErrUnknownSuite) {
					t.Errorf("NewPublicKey under %q: %v", suite, err)
				}
				if _, err := ParsePublicKey(suite, spki); !errors.Is(err, ErrUnknownSuite) {
					t.Errorf("ParsePublicKey under %q: %v", suite, err)
				}
			}
		})
	}
	if new(PublicKey).Verify(testOrigin, nil, nil) {
		t.Error("the zero key verifies")
	}
}

// TestAcceptedPublicKey holds keys that are not judged again to those that are.
func TestAcceptedPublicKey(t *testing.T) {
	msg := []byte("message")
	for _, k := range testKeys(t) {
		want, err := NewPublicKey(k.suite, k.pub)
		if err != nil {
			t.Fatal(err)
		}
		got, err := AcceptedPublicKey(k.suite, want.SPKI())
		if err != nil || got.Ref() != want.Ref() || !bytes.Equal(got.SPKI(), want.SPKI()) || got.VKey("a.example").String() != want.VKey("a.example").String() {
			t.Fatalf("%s: %v %v", k.suite, got, err)
		}
		sig, err := k.sign(msg)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the first use is where the key is parsed
			if !got.Verify(testOrigin, msg, sig) || got.Verify(testOrigin, []byte("another"), sig) {
				t.Errorf("%s: a good signature fails, or a bad one does not", k.suite)
			}
		}
		if k.suite == Ed25519 {
			if _, err := AcceptedPublicKey(k.suite, want.SPKI()[1:]); err == nil {
				t.Error("a cut Ed25519 key was taken")
			}
		} else if cut, err := AcceptedPublicKey(k.suite, want.SPKI()[1:]); err == nil && cut.Verify(testOrigin, msg, sig) {
			t.Errorf("%s: what is no key verifies", k.suite)
		}
	}
	if _, err := AcceptedPublicKey("ed448", nil); !errors.Is(err, ErrUnknownSuite) {
		t.Errorf("%v", err)
	}
	if _, err := AcceptedPublicKey(MLDSA44, make([]byte, MaxSPKI+1)); err == nil {
		t.Error("a key of more than MaxSPKI bytes was taken")
	}
}

func TestNewPublicKeyRefusesOtherKeys(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ml65, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	for name, pub := range map[string]crypto.PublicKey{
		"nil": nil, "bytes": make([]byte, 32), "a private key": ed25519.NewKeyFromSeed(make([]byte, 32)), "an RSA key by value": rsa.PublicKey{},
		"no Ed25519 key": ed25519.PublicKey(nil), "a short one": make(ed25519.PublicKey, 31), "P-224": &p224.PublicKey, "P-521": &p521.PublicKey,
		"ML-DSA-65": ml65.PublicKey(), "an empty RSA key": new(rsa.PublicKey), "a negative modulus": &rsa.PublicKey{N: big.NewInt(-5), E: 65537},
		"a negative exponent": &rsa.PublicKey{N: rsaTestKey().N, E: -65537},
		"off the curve":       &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)},
	} {
		for _, suite := range Suites() {
			if _, err := NewPublicKey(suite, pub); err == nil {
				t.Errorf("%s is accepted under %s", name, suite)
			}
		}
	}
}

// TestPSSSalt: a suite's salt is 32 bytes, neither less nor whatever a signature holds.
func TestPSSSalt(t *testing.T) {
	key := rsaTestKey()
	pub, err := NewPublicKey(RSAPSSSHA256, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("m"))
	for _, salt := range []int{0, 20, 31, 33, 64} {
		salt := &rsa.PSSOptions{SaltLength: salt}
		if salt.SaltLength == 0 {
			salt.SaltLength = rsa.PSSSaltLengthAuto // the longest that fits
		}
		sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], salt)
		if err != nil {
			t.Fatal(err)
		}
		if pub.Verify(testOrigin, []byte("m"), sig) {
			t.Errorf("salt of %d bytes is accepted", salt.SaltLength)
		}
	}
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	if pub.Verify(testOrigin, []byte("m"), sig) {
		t.Error("PSS takes the other padding")
	}
}

// TestECDSAIsMalleable: the standard library's verdict is ours, so (r, n-s) passes as (r, s) does. This is why
// no identity rests on signature bytes.
func TestECDSAIsMalleable(t *testing.T) {
	for _, k := range testKeys(t)[1:3] {
		sig, err := k.sign([]byte("m"))
		if err != nil {
			t.Fatal(err)
		}
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(sig, &rs); err != nil {
			t.Fatal(err)
		}
		rs.S.Sub(k.pub.(*ecdsa.PublicKey).Params().N, rs.S)
		twin, err := asn1.Marshal(rs)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := NewPublicKey(k.suite, k.pub)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(sig, twin) || !pub.Verify(testOrigin, []byte("m"), sig) || !pub.Verify(testOrigin, []byte("m"), twin) {
			t.Errorf("%s: the twin signature is refused", k.suite)
		}
		if _, err := ParsePublicKey(k.suite, pub.SPKI()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestECPoints(t *testing.T) {
	for _, c := range []struct {
		suite  Suite
		curve  elliptic.Curve
		prefix string
	}{{ECDSAP256SHA256, elliptic.P256(), prefixP256}, {ECDSAP384SHA384, elliptic.P384(), prefixP384}} {
		params := c.curve.Params()
		size := (params.BitSize + 7) / 8
		point := func(form byte, x, y *big.Int) []byte {
			return slices.Concat([]byte{form}, x.FillBytes(make([]byte, size)), y.FillBytes(make([]byte, size)))
		}
		if _, err := ParsePublicKey(c.suite, append([]byte(c.prefix), point(4, params.Gx, params.Gy)...)); err != nil {
			t.Errorf("%s: the generator: %v", c.suite, err)
		}
		for name, p := range map[string][]byte{
			"infinity":       {0},
			"all zero":       point(0, newInt(), newInt()),
			"(0, 0)":         point(4, newInt(), newInt()),
			"off the curve":  point(4, params.Gx, new(big.Int).Add(params.Gy, big.NewInt(1))),
			"compressed":     append([]byte{byte(2 + params.Gy.Bit(0))}, params.Gx.FillBytes(make([]byte, size))...),
			"hybrid":         point(byte(6+params.Gy.Bit(0)), params.Gx, params.Gy),
			"x is p":         point(4, params.P, params.Gy),
			"y is p":         point(4, params.Gx, params.P),
			"one byte more":  append(point(4, params.Gx, params.Gy), 0),
			"one byte fewer": point(4, params.Gx, params.Gy)[:2*size],
		} {
			if _, err := ParsePublicKey(c.suite, append([]byte(c.prefix), p...)); err == nil {
				t.Errorf("%s: %s is accepted", c.suite, name)
			}
		}
	}
}

// torsion returns the eight points of small order.
func torsion(t *testing.T) []*edwards25519.Point {
	t.Helper()
	b, err := hex.DecodeString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	if err != nil {
		t.Fatal(err)
	}
	generator, err := new(edwards25519.Point).SetBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	points := []*edwards25519.Point{edwards25519.NewIdentityPoint()}
	for range 7 {
		points = append(points, new(edwards25519.Point).Add(points[len(points)-1], generator))
	}
	if new(edwards25519.Point).Add(points[7], generator).Equal(points[0]) != 1 || points[4].Equal(points[0]) == 1 {
		t.Fatal("no point of order 8")
	}
	return points
}

func TestEd25519Torsion(t *testing.T) {
	points := torsion(t)
	identity := points[0]
	for i, small := range points {
		if err := checkEd25519(small.Bytes()); err == nil || !strings.Contains(err.Error(), "small order") {
			t.Errorf("torsion point %d: %v", i, err)
		}
	}
	for seed := range byte(20) {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32)).Public().(ed25519.PublicKey)
		prime, err := new(edwards25519.Point).SetBytes(key)
		if err != nil {
			t.Fatal(err)
		}
		for i, small := range points {
			mixed := new(edwards25519.Point).Add(prime, small)
			err := checkEd25519(mixed.Bytes())
			if i == 0 {
				if err != nil {
					t.Errorf("a key of prime order: %v", err)
				}
				continue
			}
			if new(edwards25519.Point).MultByCofactor(mixed).Equal(identity) == 1 {
				t.Fatal("not a mixed point")
			}
			if err == nil || !errors.Is(err, ErrWeakKey) || !strings.Contains(err.Error(), "torsion") {
				t.Errorf("a key with torsion component %d: %v", i, err)
			}
			if _, err := NewPublicKey(Ed25519, ed25519.PublicKey(mixed.Bytes())); !errors.Is(err, ErrWeakKey) {
				t.Errorf("NewPublicKey: %v", err)
			}
		}
	}
}

func TestEd25519Encodings(t *testing.T) {
	for name, c := range map[string]struct{ key, says string }{
		"no point":               {"0200000000000000000000000000000000000000000000000000000000000000", "no point"},
		"y = p, that is 0":       {"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "canonical"},
		"y = p+1, that is 1":     {"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "canonical"},
		"y = 2²⁵⁵-1, that is 18": {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", ""},
		"y = p+3, that is 3":     {"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "canonical"},
		"-0":                     {"0100000000000000000000000000000000000000000000000000000000000080", "canonical"},
		"y = 0":                  {"0000000000000000000000000000000000000000000000000000000000000000", "small order"},
		"y = -1":                 {"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "small order"},
	} {
		raw, err := hex.DecodeString(c.key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParsePublicKey(Ed25519, append([]byte(prefixEd25519), raw...))
		if !errors.Is(err, ErrWeakKey) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCCTV runs C2SP's 914 edge cases of Ed25519: Verify says what the standard library says, also for keys that
// would never be registered, and exactly the keys that are free of low order, torsion and second encodings can be.
func TestCCTV(t *testing.T) {
	const path = "../../shared/vectors/cctv-ed25519.json"
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the CCTV vectors are not beside the project: " + path)
	}
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Number        int
		Key, Sig, Msg string
		Flags         []string
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	accepted, refused := 0, map[string]bool{}
	weakKeys := map[string]bool{}
	for _, v := range vectors {
		if slices.ContainsFunc(v.Flags, func(f string) bool {
			return f == "low_order_A" || f == "low_order_component_A" || f == "non_canonical_A"
		}) {
			weakKeys[v.Key] = true
		}
	}
	for _, v := range vectors {
		key, err := hex.DecodeString(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := hex.DecodeString(v.Sig)
		if err != nil {
			t.Fatal(err)
		}
		want := ed25519.Verify(key, []byte(v.Msg), sig)
		k := &PublicKey{suite: Ed25519, key: ed25519.PublicKey(key)}
		if got := k.Verify(testOrigin, []byte(v.Msg), sig); got != want {
			t.Errorf("%d: verdict %v", v.Number, got)
		}
		if m := multiplesOf(key); m != nil {
			if got := m.verify(key, []byte(v.Msg), sig); got != want {
				t.Errorf("%d: verdict with the key's multiples %v", v.Number, got)
			}
		} else if want {
			t.Errorf("%d: a key without multiples verifies", v.Number)
		}
		if want {
			accepted++
		}
		_, err = ParsePublicKey(Ed25519, append([]byte(prefixEd25519), key...))
		if (err != nil) != weakKeys[v.Key] {
			t.Errorf("%d: registration of %s %v: %v", v.Number, v.Key, v.Flags, err)
		}
		if err != nil {
			refused[v.Key] = true
		}
	}
	if len(vectors) != 914 {
		t.Errorf("%d vectors", len(vectors))
	}
	t.Logf("%d vectors, %d accepted; %d keys refused", len(vectors), accepted, len(refused))
}

func BenchmarkVerify(b *testing.B) {
	msg := make([]byte, 700)
	for _, k := range testKeys(b) {
		pub, err := NewPublicKey(k.suite, k.pub)
		if err != nil {
			b.Fatal(err)
		}
		sig, err := k.sign(msg)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(k.suite), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !pub.Verify(testOrigin, msg, sig) {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkParsePublicKey(b *testing.B) {
	for _, k := range testKeys(b) {
		pub, err := NewPublicKey(k.suite, k.pub)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(k.suite), func(b *testing.B) {
			for b.Loop() {
				if _, err := ParsePublicKey(k.suite, pub.spki); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
