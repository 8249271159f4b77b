package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

const exampleVKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k" // c2sp.org/signed-note

func TestVKey(t *testing.T) {
	v, err := ParseVKey(exampleVKey)
	if err != nil {
		t.Fatal(err)
	}
	if v.String() != exampleVKey || v.Name != "example.com/foo" || v.KeyID != 0x530d903a || v.Type != TypeEd25519 || len(v.Key) != 32 {
		t.Errorf("%+v", v)
	}
	pub, err := v.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	if pub.VKey(v.Name).String() != exampleVKey || pub.NoteKeyID(v.Name) != v.KeyID {
		t.Error("the key gives another vkey")
	}
	sig, err := base64.StdEncoding.DecodeString("Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=")
	if err != nil {
		t.Fatal(err)
	}
	if !pub.Verify("example.com/foo", []byte("This is an example message.\n"), sig[4:]) {
		t.Error("the specification's own signature is refused")
	}

	for _, k := range testKeys(t) {
		pub, err := NewPublicKey(k.suite, k.pub)
		if err != nil {
			t.Fatal(err)
		}
		const name = "apnic.net"
		v := pub.VKey(name)
		again, err := ParseVKey(v.String())
		if err != nil || again.String() != v.String() {
			t.Errorf("%s: %v", k.suite, err)
			continue
		}
		if v.KeyID != pub.NoteKeyID(name) || pub.NoteKeyID("ripe.net") == v.KeyID {
			t.Errorf("%s: key ID", k.suite)
		}
		if back, err := again.PublicKey(); err != nil || back.Ref() != pub.Ref() {
			t.Errorf("%s: the vkey holds another key: %v", k.suite, err)
		}
		if want := map[bool]byte{true: TypeEd25519, false: TypeOther}[k.suite == Ed25519]; v.Type != want {
			t.Errorf("%s: type %#x", k.suite, v.Type)
		}
		if k.suite == Ed25519 {
			// Any signed-note tool reads it.
			verifier, err := note.NewVerifier(v.String())
			if err != nil || verifier.KeyHash() != v.KeyID || verifier.Name() != name {
				t.Errorf("x/mod: %v", err)
			}
			continue
		}
		if want := append([]byte("undersigned/"+string(k.suite)+"/v1\n"), pub.SPKI()...); !bytes.Equal(v.Key, want) {
			t.Errorf("%s: key material %q", k.suite, v.Key)
		}
	}
}

// TestCosignatureVKeys: the types of tlog-cosignature, and which verifier keys wrap the same key.
func TestCosignatureVKeys(t *testing.T) {
	ed := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	ml := testKeys(t)[5]
	mlPub, err := NewPublicKey(MLDSA44, ml.pub)
	if err != nil {
		t.Fatal(err)
	}
	raw := mlPub.SPKI()[len(prefixMLDSA44):]
	vkey := func(name string, typ byte, key []byte) VKey {
		t.Helper()
		v, err := NewVKey(name, typ, key)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseVKey(v.String()); err != nil || again.String() != v.String() {
			t.Fatalf("%v: %v", again, err)
		}
		return v
	}
	logEd, cosignEd := vkey("a.example", TypeEd25519, ed), vkey("a.example", TypeCosignatureEd25519, ed)
	other := vkey("b.example/w", TypeCosignatureEd25519, ed)
	cosignML := vkey("a.example", TypeCosignatureMLDSA44, raw)
	suiteML := mlPub.VKey("c.example")
	if logEd.KeyID == cosignEd.KeyID || cosignEd.KeyID == other.KeyID {
		t.Error("name and type are not in the key ID")
	}
	rsaKey := &rsaTestKey().PublicKey
	pss, err := NewPublicKey(RSAPSSSHA256, rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1, err := NewPublicKey(RSAPKCS1SHA256, rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]VKey{{logEd, logEd}, {logEd, cosignEd}, {cosignEd, other}, {cosignML, suiteML}, {pss.VKey("a.b"), pkcs1.VKey("c.d")}} {
		if !pair[0].SameKey(pair[1]) || !pair[1].SameKey(pair[0]) {
			t.Errorf("%.60s and %.60s are not the same key", pair[0], pair[1])
		}
	}
	odd := VKey{Name: "a.b", Type: 0x05, Key: ed}
	for _, pair := range [][2]VKey{{logEd, cosignML}, {suiteML, logEd}, {odd, odd}, {logEd, odd}, {odd, logEd}, {logEd, VKey{Type: TypeEd25519}}} {
		if pair[0].SameKey(pair[1]) {
			t.Errorf("%.60s and %.60s are the same key", pair[0], pair[1])
		}
	}
	if pub, err := cosignML.PublicKey(); err != nil || pub.Suite() != MLDSA44 || pub.Ref() != mlPub.Ref() {
		t.Errorf("0x06: %v", err)
	}

	// NewVKey keeps its own copy.
	mine := slices.Clone(ed)
	v := vkey("a.example", TypeEd25519, mine)
	mine[0] ^= 1
	if !v.SameKey(logEd) {
		t.Error("a caller can change the key")
	}

	small, err := hex.DecodeString("0100000000000000000000000000000000000000000000000000000000000000")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		name string
		typ  byte
		key  []byte
		err  error
	}{
		"no name":               {"", TypeEd25519, ed, errName},
		"plus":                  {"a+b", TypeEd25519, ed, errName},
		"space":                 {"a b", TypeEd25519, ed, errName},
		"no-break space":        {"a\u00a0b", TypeEd25519, ed, errName},
		"line feed":             {"a\nb", TypeEd25519, ed, errName},
		"control":               {"a\x01b", TypeEd25519, ed, errName},
		"not UTF-8":             {"a\xff", TypeEd25519, ed, errName},
		"256 bytes":             {strings.Repeat("a", 256), TypeEd25519, ed, errName},
		"type 0x00":             {"a", 0, ed, errVKeyType},
		"type 0x02":             {"a", 2, ed, errVKeyType},
		"type 0xfe":             {"a", 0xfe, ed, errVKeyType},
		"no key":                {"a", TypeEd25519, nil, errSPKI},
		"31 bytes":              {"a", TypeEd25519, ed[:31], errSPKI},
		"33 bytes":              {"a", TypeCosignatureEd25519, append(slices.Clone(ed), 0), errSPKI},
		"a key of small order":  {"a", TypeCosignatureEd25519, small, ErrWeakKey},
		"ML-DSA of 1311 bytes":  {"a", TypeCosignatureMLDSA44, raw[1:], errSPKI},
		"another's 0xff":        {"a", TypeOther, []byte("example.com/v1\n"), errVKeyType},
		"an unknown suite":      {"a", TypeOther, []byte("undersigned/ed448/v1\n"), errVKeyType},
		"0xff for ed25519":      {"a", TypeOther, append([]byte("undersigned/ed25519/v1\n"+prefixEd25519), ed...), errVKeyType},
		"0xff without SPKI":     {"a", TypeOther, []byte("undersigned/mldsa44/v1\n"), errSPKI},
		"0xff with another key": {"a", TypeOther, append([]byte("undersigned/mldsa44/v1\n"), pss.SPKI()...), errSPKI},
	} {
		if _, err := NewVKey(c.name, c.typ, c.key); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseVKeyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		vkey string
		err  error
	}{
		"empty":               {"", errName},
		"a name":              {"example.com/foo", errVKey},
		"no key":              {"example.com/foo+530d903a", errVKey},
		"empty key":           {"example.com/foo+530d903a+", errVKey},
		"no name":             {exampleVKey[len("example.com/foo"):], errName},
		"another name":        {"example.com/fo" + exampleVKey[len("example.com/foo"):], errVKeyID},
		"another key ID":      {strings.Replace(exampleVKey, "530d903a", "530d903b", 1), errVKeyID},
		"upper case key ID":   {strings.Replace(exampleVKey, "530d903a", "530D903A", 1), errVKey},
		"short key ID":        {strings.Replace(exampleVKey, "530d903a", "530d903", 1), errVKey},
		"signed key ID":       {strings.Replace(exampleVKey, "530d903a", "+30d903a", 1), errVKey},
		"no hexadecimal":      {strings.Replace(exampleVKey, "530d903a", "530d903g", 1), errVKey},
		"underscore":          {strings.Replace(exampleVKey, "530d903a", "530d_03a", 1), errVKey},
		"another type":        {strings.Replace(exampleVKey, "+Aeky", "+BOky", 1), errVKeyID},
		"an unknown type":     {strings.Replace(exampleVKey, "+Aeky", "+Beky", 1), errVKeyType},
		"line feed in base64": {exampleVKey[:40] + "\n" + exampleVKey[40:], errVKey},
		"final line feed":     {exampleVKey + "\n", errVKey},
		"final space":         {exampleVKey + " ", errVKey},
		"unpadded":            {exampleVKey[:len(exampleVKey)-1], errVKey},
		"padding bits":        {"a+00000000+AR==", errVKey},
		"URL alphabet":        {strings.Replace(exampleVKey, "+Aeky", "+Ae_y", 1), errVKey},
		"one byte":            {"a+00000000+AQ==", errSPKI},
		"4097 bytes":          {exampleVKey + strings.Repeat("A", 4097-len(exampleVKey)), errVKey},
	} {
		if _, err := ParseVKey(c.vkey); err != c.err {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRef(t *testing.T) {
	for _, suite := range Suites() {
		r := Ref{Suite: suite, Fingerprint: Fingerprint{1, 2, 0xab}}
		if got, err := ParseRef(r.String()); err != nil || got != r {
			t.Errorf("%s: %v %v", r, got, err)
		}
	}
	digits := strings.Repeat("0a", 32)
	for name, c := range map[string]struct {
		ref string
		err error
	}{
		"empty":             {"", errRef},
		"suite alone":       {"ed25519", errRef},
		"no suite":          {" sha256:" + digits, errRef},
		"no hash name":      {"ed25519 " + digits, errRef},
		"another hash":      {"ed25519 sha512:" + digits, errRef},
		"two spaces":        {"ed25519  sha256:" + digits, errRef},
		"tab":               {"ed25519\tsha256:" + digits, errRef},
		"upper case digits": {"ed25519 sha256:" + strings.ToUpper(digits), errRef},
		"63 digits":         {"ed25519 sha256:" + digits[1:], errRef},
		"65 digits":         {"ed25519 sha256:" + digits + "0", errRef},
		"no digits":         {"ed25519 sha256:" + strings.Repeat("0g", 32), errRef},
		"final space":       {"ed25519 sha256:" + digits + " ", errRef},
		"upper case suite":  {"ED25519 sha256:" + digits, errRef},
		"long suite":        {strings.Repeat("a", 33) + " sha256:" + digits, errRef},
		"later suite":       {"ed448 sha256:" + digits, ErrUnknownSuite},
		"another suite":     {"rsa-pss-sha512 sha256:" + digits, ErrUnknownSuite},
	} {
		if _, err := ParseRef(c.ref); err != c.err {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestErrorsCarryNoInput: what a parser says is fixed, whatever it was given.
func TestErrorsCarryNoInput(t *testing.T) {
	const poison = "poison"
	_, ref := ParseRef(poison)
	_, vkey := ParseVKey(poison + "+00000000+AQ==")
	_, spki := ParsePublicKey(Ed25519, []byte(poison))
	_, suite := ParsePublicKey(poison, nil)
	for _, err := range []error{ref, vkey, spki, suite, CheckDomain(poison), CheckOrigin(poison + ".a/!" + poison)} {
		if err == nil || strings.Contains(err.Error(), poison) {
			t.Errorf("%v", err)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add("ed25519 sha256:" + strings.Repeat("0a", 32))
	f.Add("ed448 sha256:" + strings.Repeat("ff", 32))
	f.Add("ed25519 sha256:")
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := ParseRef(s); (err == nil || errors.Is(err, ErrUnknownSuite)) && r.String() != s {
			t.Errorf("%q is accepted as %q", s, r)
		}
	})
}

func FuzzParseVKey(f *testing.F) {
	f.Add(exampleVKey)
	f.Add("a+00000000+AQ==")
	for _, k := range testKeys(f) {
		if pub, err := NewPublicKey(k.suite, k.pub); err == nil {
			f.Add(pub.VKey("apnic.net").String())
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseVKey(s)
		if err != nil {
			return
		}
		if v.String() != s || !v.SameKey(v) {
			t.Errorf("%q is accepted as %q", s, v)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	for i, k := range testKeys(f) {
		if pub, err := NewPublicKey(k.suite, k.pub); err == nil {
			f.Add(byte(i), pub.SPKI())
		}
	}
	f.Fuzz(func(t *testing.T, i byte, spki []byte) {
		suite := suites[int(i)%len(suites)]
		k, err := ParsePublicKey(suite, spki)
		if err != nil {
			return
		}
		again, err := NewPublicKey(suite, k.key)
		if err != nil || !bytes.Equal(again.SPKI(), spki) || !bytes.Equal(k.SPKI(), spki) {
			t.Errorf("%s: %x is not encoded again identically", suite, spki)
		}
		k.Verify(testOrigin, spki, spki)
	})
}
