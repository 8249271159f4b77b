package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const testOrigin = "ledger.example/tccm"

// str is one string of SSH's encoding. The test's own, as is all below up to the tests.
func str[T string | []byte](parts ...T) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

func mpint(n *big.Int) string {
	b := append([]byte{0}, n.Bytes()...)
	if len(b) > 1 && b[1] < 0x80 {
		b = b[1:]
	}
	return string(b)
}

// An sshSigner signs as ssh-keygen does; what a field says otherwise makes it another signature.
type sshSigner struct {
	private   crypto.Signer
	typ       string // key type
	algorithm string // of the signature, if it is not typ
	namespace string
	hash      string
	sum256    bool // SHA-256 whatever hash says
	hardware  bool
	app       string
	flags     byte
	counter   uint32
}

func newSSHSigner(private crypto.Signer, hardware bool) *sshSigner {
	s := &sshSigner{private: private, namespace: "undersigned@" + testOrigin, hash: "sha512", hardware: hardware, app: "ssh:", flags: 1, counter: 7}
	switch pub := private.Public().(type) {
	case ed25519.PublicKey:
		s.typ = "ssh-ed25519"
		if hardware {
			s.typ = "sk-ssh-ed25519@openssh.com"
		}
	case *ecdsa.PublicKey:
		s.typ = "ecdsa-sha2-nistp256"
		if pub.Curve == elliptic.P384() {
			s.typ = "ecdsa-sha2-nistp384"
		}
		if hardware {
			s.typ = "sk-ecdsa-sha2-nistp256@openssh.com"
		}
	case *rsa.PublicKey:
		s.typ, s.algorithm = "ssh-rsa", "rsa-sha2-512"
	}
	if s.algorithm == "" {
		s.algorithm = s.typ
	}
	return s
}

func (s *sshSigner) public() []byte {
	b := str(s.typ)
	switch pub := s.private.Public().(type) {
	case ed25519.PublicKey:
		b = append(b, str([]byte(pub))...)
	case *ecdsa.PublicKey:
		point, _ := pub.Bytes()
		b = append(b, str("nistp"+pub.Params().Name[2:], string(point))...)
	case *rsa.PublicKey:
		b = append(b, str(mpint(big.NewInt(int64(pub.E))), mpint(pub.N))...)
	}
	if s.hardware {
		b = append(b, str(s.app)...)
	}
	return b
}

// raw signs data with the key and returns the SSH signature.
func (s *sshSigner) raw(data []byte) []byte {
	tail := []byte(nil)
	if s.hardware {
		app, sum := sha256.Sum256([]byte(s.app)), sha256.Sum256(data)
		tail = binary.BigEndian.AppendUint32([]byte{s.flags}, s.counter)
		data = slices.Concat(app[:], tail, sum[:])
	}
	hash := crypto.SHA256
	switch {
	case s.algorithm == "rsa-sha2-512":
		hash = crypto.SHA512
	case strings.HasSuffix(s.algorithm, "nistp384"):
		hash = crypto.SHA384
	case strings.Contains(s.algorithm, "ed25519"):
		hash = 0
	}
	digest := data
	if hash != 0 {
		h := hash.New()
		h.Write(data)
		digest = h.Sum(nil)
	}
	sig, err := s.private.Sign(rand.Reader, digest, hash)
	if err != nil {
		panic(err)
	}
	if _, ok := s.private.(*ecdsa.PrivateKey); ok {
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(sig, &rs); err != nil {
			panic(err)
		}
		sig = str(mpint(rs.R), mpint(rs.S))
	}
	return slices.Concat(str(s.algorithm), str(sig), tail)
}

func (s *sshSigner) data(msg []byte) []byte {
	digest := sha512.Sum512(msg)
	sum := digest[:]
	if s.hash == "sha256" || s.sum256 {
		digest := sha256.Sum256(msg)
		sum = digest[:]
	}
	return append([]byte("SSHSIG"), str(s.namespace, "", s.hash, string(sum))...)
}

func (s *sshSigner) blob(msg []byte) []byte {
	head := append([]byte("SSHSIG"), 0, 0, 0, 1)
	return slices.Concat(head, str(string(s.public()), s.namespace, "", s.hash, string(s.raw(s.data(msg)))))
}

func (s *sshSigner) suite() Suite {
	if s.hardware {
		return SSHSIGSK
	}
	return SSHSIG
}

// sshSigners returns one of each type of key that the two suites take.
func sshSigners(t testing.TB) map[string]*sshSigner {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	return map[string]*sshSigner{
		"ed25519": newSSHSigner(ed, false), "p256": newSSHSigner(p256, false), "p384": newSSHSigner(p384, false), "rsa": newSSHSigner(rsaTestKey(), false),
		"sk-ed25519": newSSHSigner(ed, true), "sk-p256": newSSHSigner(p256, true),
	}
}

// readSSH reads a file of testdata/sshsig: the base64 of an OpenSSH public key or an armored signature.
func readSSH(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "sshsig", name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".pub") {
		if b, err = base64.StdEncoding.DecodeString(strings.Fields(string(b))[1]); err != nil {
			t.Fatal(err)
		}
	} else if block, _ := pem.Decode(b); block != nil {
		b = block.Bytes
	}
	return b
}

// TestSSHKeygen: what ssh-keygen made verifies if it is for this ledger and by a key of a sound type, and not otherwise.
func TestSSHKeygen(t *testing.T) {
	msg := readSSH(t, "message.txt")
	for _, name := range []string{"ed25519", "p256", "p384", "rsa3072", "rsa4096"} {
		pub, err := ParseSSHPublicKey(readSSH(t, name+".pub"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if pub.Suite() != SSHSIG || !bytes.Equal(pub.SSH(), readSSH(t, name+".pub")) {
			t.Errorf("%s: another key", name)
		}
		for kind, want := range map[string]bool{"sha512": true, "sha256": true, "file": false, "git": false, "other-ledger": false, "longer-namespace": false} {
			sig := readSSH(t, name+"."+kind+".sig")
			if got := pub.Verify(testOrigin, msg, sig); got != want {
				t.Errorf("%s, %s: %v", name, kind, got)
			}
			if pub.Verify(testOrigin, append(bytes.Clone(msg), '\n'), sig) || pub.Verify("ledger.example/tccn", msg, sig) {
				t.Errorf("%s, %s: verifies another text, or for another ledger", name, kind)
			}
			if _, ok := SSHSIGNamespace(sig); !ok {
				t.Errorf("%s, %s: no namespace", name, kind)
			}
		}
		other := "ed25519"
		if name == other {
			other = "p256"
		}
		if pub.Verify(testOrigin, msg, readSSH(t, other+".sha512.sig")) {
			t.Errorf("%s: takes the signature of another key", name)
		}
	}
	if ns, _ := SSHSIGNamespace(readSSH(t, "ed25519.file.sig")); ns != "file" {
		t.Errorf("namespace %q", ns)
	}
	if _, err := ParseSSHPublicKey(readSSH(t, "p521.pub")); err != errSSHKey {
		t.Errorf("P-521: %v", err)
	}
	if _, err := ParseSSHPublicKey(readSSH(t, "rsa2048.pub")); !errors.Is(err, ErrWeakKey) {
		t.Errorf("RSA with 2048 bits: %v", err)
	}
}

// TestSSHSIG makes one good signature of each type of key, and everything that is not quite one.
func TestSSHSIG(t *testing.T) {
	msg := []byte("undersigned/endorsement/v1\n")
	for name, s := range sshSigners(t) {
		t.Run(name, func(t *testing.T) {
			pub, err := NewPublicKey(s.suite(), s.private.Public())
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseSSHPublicKey(s.public())
			if err != nil || again.Ref() != pub.Ref() || !bytes.Equal(pub.SSH(), s.public()) {
				t.Fatalf("the key in SSH's form is another one: %v", err)
			}
			good := s.blob(msg)
			if !pub.Verify(testOrigin, msg, good) {
				t.Fatal("a good signature is refused")
			}
			if !pub.Verify(testOrigin, msg, pub.SSHSIG(testOrigin, s.raw(SSHSignedData(testOrigin, msg)))) {
				t.Error("a signature put together by SSHSIG is refused")
			}
			if pub.Verify("", msg, good) || pub.Verify("ledger.example", msg, good) {
				t.Error("verifies for another ledger")
			}

			change := func(f func(s *sshSigner)) []byte {
				c := *s
				f(&c)
				return c.blob(msg)
			}
			if !pub.Verify(testOrigin, msg, change(func(s *sshSigner) { s.hash = "sha256" })) {
				t.Error("with sha256: refused")
			}
			for what, f := range map[string]func(s *sshSigner){
				"no namespace":       func(s *sshSigner) { s.namespace = "" },
				"namespace file":     func(s *sshSigner) { s.namespace = "file" },
				"another ledger":     func(s *sshSigner) { s.namespace = "undersigned@ledger.example" },
				"a shorter name":     func(s *sshSigner) { s.namespace = "undersigned@ledger.example/tcc" },
				"a longer name":      func(s *sshSigner) { s.namespace += "m" },
				"a name with a zero": func(s *sshSigner) { s.namespace += "\x00" },
				"sha384":             func(s *sshSigner) { s.hash = "sha384" },
				"sha384, SHA-256":    func(s *sshSigner) { s.hash, s.sum256 = "sha384", true },
				"no hash, SHA-256":   func(s *sshSigner) { s.hash, s.sum256 = "", true },
				"sha512, SHA-256":    func(s *sshSigner) { s.sum256 = true },
				"no hash":            func(s *sshSigner) { s.hash = "" },
				"SHA512":             func(s *sshSigner) { s.hash = "SHA512" },
			} {
				if pub.Verify(testOrigin, msg, change(f)) {
					t.Errorf("%s: accepted", what)
				}
			}
			sig := s.raw(s.data(msg))
			frame := func(head []byte, parts ...string) []byte { return append(head, str(parts...)...) }
			v1 := append([]byte("SSHSIG"), 0, 0, 0, 1)
			key, ns := string(s.public()), s.namespace
			for what, bad := range map[string][]byte{
				"nothing":               nil,
				"the signature alone":   sig,
				"its key's part":        sig[4+len(s.algorithm)+4:],
				"a byte more":           append(bytes.Clone(good), 0),
				"a byte less":           good[:len(good)-1],
				"twice":                 slices.Concat(good, good),
				"armored":               pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: good}),
				"version 0":             frame([]byte("SSHSIG\x00\x00\x00\x00"), key, ns, "", s.hash, string(sig)),
				"version 2":             frame([]byte("SSHSIG\x00\x00\x00\x02"), key, ns, "", s.hash, string(sig)),
				"another preamble":      frame([]byte("SSHSIH\x00\x00\x00\x01"), key, ns, "", s.hash, string(sig)),
				"something reserved":    frame(slices.Clone(v1), key, ns, "x", s.hash, string(sig)),
				"no key":                frame(slices.Clone(v1), "", ns, "", s.hash, string(sig)),
				"a key with more":       frame(slices.Clone(v1), key+"\x00", ns, "", s.hash, string(sig)),
				"a part left out":       frame(slices.Clone(v1), key, ns, s.hash, string(sig)),
				"a part more":           frame(slices.Clone(v1), key, ns, "", s.hash, string(sig), ""),
				"a signature and more":  frame(slices.Clone(v1), key, ns, "", s.hash, string(sig)+"\x00"),
				"a signature with less": frame(slices.Clone(v1), key, ns, "", s.hash, string(sig[:len(sig)-1])),
				"a length of 4 GB":      slices.Concat(v1, []byte{0xff, 0xff, 0xff, 0xff}, good[14:]),
				"no wrapper signed":     frame(slices.Clone(v1), key, ns, "", s.hash, string(s.raw(msg))),
				"data with a version":   frame(slices.Clone(v1), key, ns, "", s.hash, string(s.raw(frame(slices.Clone(v1), ns, "", s.hash, string(s.data(msg)[len(s.data(msg))-64:]))))),
			} {
				if pub.Verify(testOrigin, msg, bad) {
					t.Errorf("%s: accepted", what)
				}
			}
			for i := range good {
				bad := bytes.Clone(good)
				bad[i] ^= 1 << (i % 8)
				if pub.Verify(testOrigin, msg, bad) {
					t.Errorf("byte %d changed: accepted", i)
				}
			}
		})
	}
}

// TestSSHSIGOneEncoding: the parts that a key does not sign have one form each.
func TestSSHSIGOneEncoding(t *testing.T) {
	msg := []byte("undersigned/endorsement/v1\n")
	signers := sshSigners(t)
	verdict := func(name string, change func(s *sshSigner), sig func(s *sshSigner) []byte) bool {
		s := *signers[name]
		if change != nil {
			change(&s)
		}
		pub, err := NewPublicKey(s.suite(), s.private.Public())
		if err != nil {
			t.Fatal(err)
		}
		blob := s.blob(msg)
		if sig != nil {
			blob = slices.Concat([]byte("SSHSIG\x00\x00\x00\x01"), str(string(s.public()), s.namespace, "", s.hash, string(sig(&s))))
		}
		return pub.Verify(testOrigin, msg, blob)
	}

	// ECDSA: the numbers are positive and in the shortest form.
	for _, name := range []string{"p256", "p384", "sk-p256"} {
		numbers := func(change func(r, n []byte) []byte) func(s *sshSigner) []byte {
			return func(s *sshSigner) []byte {
				sig := s.raw(s.data(msg))
				inner := sig[4+len(s.algorithm)+4:]
				r := inner[4 : 4+binary.BigEndian.Uint32(inner)]
				inner = inner[4+len(r):]
				n := inner[4 : 4+binary.BigEndian.Uint32(inner)]
				return slices.Concat(str(s.algorithm), str(change(r, n)), inner[4+len(n):])
			}
		}
		if !verdict(name, nil, numbers(func(r, n []byte) []byte { return str(r, n) })) {
			t.Fatalf("%s: the test takes signatures apart wrongly", name)
		}
		for what, change := range map[string]func(r, n []byte) []byte{
			"a zero before r":      func(r, n []byte) []byte { return str(append([]byte{0}, r...), n) },
			"a zero before s":      func(r, n []byte) []byte { return str(r, append([]byte{0}, n...)) },
			"r and s side by side": func(r, n []byte) []byte { return append(bytes.Clone(r), n...) },
			"three numbers":        func(r, n []byte) []byte { return str(r, n, n) },
			"r alone":              func(r, n []byte) []byte { return str(r) },
			"s is 0":               func(r, n []byte) []byte { return str(r, nil) },
			"both are 0":           func(r, n []byte) []byte { return str([]byte{}, []byte{}) },
			"r is long":            func(r, n []byte) []byte { return str(bytes.Repeat([]byte{1}, 70), n) },
			"ASN.1": func(r, n []byte) []byte {
				der, _ := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(n)})
				return der
			},
		} {
			if verdict(name, nil, numbers(change)) {
				t.Errorf("%s, %s: accepted", name, what)
			}
		}
	}

	// RSA: SHA-2, and as many bytes as the modulus.
	if !verdict("rsa", func(s *sshSigner) { s.algorithm = "rsa-sha2-256" }, nil) {
		t.Error("rsa-sha2-256 is refused")
	}
	for what, sig := range map[string]func(s *sshSigner) []byte{
		"ssh-rsa, which is SHA-1": func(s *sshSigner) []byte {
			digest := sha1.Sum(s.data(msg))
			raw, err := rsa.SignPKCS1v15(nil, s.private.(*rsa.PrivateKey), crypto.SHA1, digest[:])
			if err != nil {
				t.Fatal(err)
			}
			return str("ssh-rsa", string(raw))
		},
		"SHA-512 named rsa-sha2-256": func(s *sshSigner) []byte { return str("rsa-sha2-256", string(s.raw(s.data(msg))[4+12+4:])) },
		"a zero before it":           func(s *sshSigner) []byte { return str("rsa-sha2-512", "\x00"+string(s.raw(s.data(msg))[4+12+4:])) },
		"PSS": func(s *sshSigner) []byte {
			digest := sha512.Sum512(s.data(msg))
			raw, err := rsa.SignPSS(rand.Reader, s.private.(*rsa.PrivateKey), crypto.SHA512, digest[:], nil)
			if err != nil {
				t.Fatal(err)
			}
			return str("rsa-sha2-512", string(raw))
		},
		"a FIDO key's tail": func(s *sshSigner) []byte { return append(s.raw(s.data(msg)), 1, 0, 0, 0, 0) },
	} {
		if verdict("rsa", nil, sig) {
			t.Errorf("RSA, %s: accepted", what)
		}
	}

	// FIDO: somebody touched the key.
	for _, name := range []string{"sk-ed25519", "sk-p256"} {
		for flags := range 256 {
			want := flags == skPresent || flags == skPresent|skVerified
			if got := verdict(name, func(s *sshSigner) { s.flags = byte(flags) }, nil); got != want {
				t.Errorf("%s, flags %#x: %v", name, flags, got)
			}
		}
		for _, counter := range []uint32{0, 1 << 31, 1<<32 - 1} {
			if !verdict(name, func(s *sshSigner) { s.counter = counter }, nil) {
				t.Errorf("%s, counter %d: refused", name, counter)
			}
		}
		for _, app := range []string{"", "ssh", "ssh:tccm", "https://ledger.example"} {
			if verdict(name, func(s *sshSigner) { s.app = app }, nil) {
				t.Errorf("%s, application %q: accepted", name, app)
			}
		}
		tail := func(s *sshSigner, flags byte, counter uint32) []byte {
			sig := s.raw(s.data(msg))
			return binary.BigEndian.AppendUint32(append(sig[:len(sig)-5:len(sig)-5], flags), counter)
		}
		for what, sig := range map[string]func(s *sshSigner) []byte{
			"another counter":  func(s *sshSigner) []byte { return tail(s, s.flags, s.counter+1) },
			"other flags":      func(s *sshSigner) []byte { return tail(s, s.flags|skVerified, s.counter) },
			"without its tail": func(s *sshSigner) []byte { sig := s.raw(s.data(msg)); return sig[:len(sig)-5] },
		} {
			if verdict(name, nil, sig) {
				t.Errorf("%s, %s: accepted", name, what)
			}
		}
	}
}

// TestSSHSuitesKeepApart: neither suite takes the other's signatures, nor a bare one by the same key, nor the other way round.
func TestSSHSuitesKeepApart(t *testing.T) {
	msg := []byte("undersigned/endorsement/v1\n")
	signers := sshSigners(t)
	for name, s := range signers {
		hardware := strings.TrimPrefix(name, "sk-") != name
		for _, suite := range Suites() {
			pub, err := NewPublicKey(suite, s.private.Public())
			if err != nil {
				continue
			}
			if got, want := pub.Verify(testOrigin, msg, s.blob(msg)), suite == s.suite(); got != want {
				t.Errorf("%s under %s: %v", name, suite, got)
			}
			raw := *s
			raw.hardware = false
			bare := raw.raw(msg)[4+len(s.algorithm)+4:] // of the message itself
			if !hardware && (suite == SSHSIG || suite == SSHSIGSK) && pub.Verify(testOrigin, msg, bare) {
				t.Errorf("%s under %s: a bare signature is accepted", name, suite)
			}
		}
	}
	// By the same private key: the type in the key is not the one that signed.
	for soft, hard := range map[string]string{"ed25519": "sk-ed25519", "p256": "sk-p256"} {
		a, b := signers[soft], signers[hard]
		for _, s := range [][2]*sshSigner{{a, b}, {b, a}} {
			blob := slices.Concat([]byte("SSHSIG\x00\x00\x00\x01"), str(string(s[0].public()), a.namespace, "", "sha512", string(s[1].raw(a.data(msg)))))
			for _, suite := range []Suite{SSHSIG, SSHSIGSK} {
				pub, err := NewPublicKey(suite, a.private.Public())
				if err != nil || pub.Verify(testOrigin, msg, blob) {
					t.Errorf("%s with a signature of the type %s, under %s: accepted (%v)", s[0].typ, s[1].algorithm, suite, err)
				}
			}
		}
	}

	ed := signers["ed25519"]
	pub, err := NewPublicKey(Ed25519, ed.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	sig := ed.raw(ed.data(msg))
	if pub.Verify(testOrigin, msg, sig[len(sig)-64:]) {
		t.Error("the inner signature of an SSH signature is a bare one of its message")
	}
	for _, k := range testKeys(t) {
		pub, err := NewPublicKey(k.suite, k.pub)
		if err != nil {
			t.Fatal(err)
		}
		if ssh := pub.SSH(); (ssh != nil) != (k.suite == SSHSIG || k.suite == SSHSIGSK) {
			t.Errorf("%s: SSH's form is %x", k.suite, ssh)
		}
	}
}

func TestParseSSHPublicKeyRefuses(t *testing.T) {
	signers := sshSigners(t)
	ed, p256, r := signers["ed25519"], signers["p256"], signers["rsa"]
	point, _ := p256.private.Public().(*ecdsa.PublicKey).Bytes()
	modulus := rsaTestKey().N
	for name, wire := range map[string][]byte{
		"nothing":                 nil,
		"a name alone":            str("ssh-ed25519"),
		"more":                    append(ed.public(), 0),
		"less":                    ed.public()[:len(ed.public())-1],
		"31 bytes":                str("ssh-ed25519", strings.Repeat("a", 31)),
		"small order":             str("ssh-ed25519", "\x01"+strings.Repeat("\x00", 31)),
		"another type's name":     str("ssh-rsa", string(ed.public()[4+11+4:])),
		"an unknown type":         str("ssh-ed448", strings.Repeat("a", 57)),
		"a certificate":           str("ssh-ed25519-cert-v01@openssh.com", "nonce", string(ed.public()[4+11+4:])),
		"DSA":                     str("ssh-dss", "p", "q", "g", "y"),
		"another curve's name":    str("ecdsa-sha2-nistp256", "nistp384", string(point)),
		"another curve":           str("ecdsa-sha2-nistp384", "nistp384", string(point)),
		"off the curve":           str("ecdsa-sha2-nistp256", "nistp256", "\x04"+strings.Repeat("a", 64)),
		"a compressed point":      str("ecdsa-sha2-nistp256", "nistp256", "\x02"+string(point[1:33])),
		"infinity":                str("ecdsa-sha2-nistp256", "nistp256", "\x00"),
		"exponent 3":              str("ssh-rsa", "\x03", mpint(modulus)),
		"an even exponent":        str("ssh-rsa", "\x01\x00\x02", mpint(modulus)),
		"a long exponent":         str("ssh-rsa", "\x01\x00\x00\x00\x01", mpint(modulus)),
		"a zero before it":        str("ssh-rsa", "\x00\x01\x00\x01", mpint(modulus)),
		"a negative modulus":      str("ssh-rsa", "\x01\x00\x01", string(modulus.Bytes())),
		"a short modulus":         str("ssh-rsa", "\x01\x00\x01", mpint(new(big.Int).Rsh(modulus, 1024))),
		"a huge modulus":          str("ssh-rsa", "\x01\x00\x01", mpint(new(big.Int).Lsh(modulus, 4096))),
		"n before e":              str("ssh-rsa", mpint(modulus), "\x01\x00\x01"),
		"FIDO without one":        str("sk-ssh-ed25519@openssh.com", string(ed.public()[4+11+4:])),
		"FIDO for a web page":     str("sk-ssh-ed25519@openssh.com", string(ed.public()[4+11+4:]), "https://a.example"),
		"FIDO, more":              append(signers["sk-p256"].public(), 0),
		"a FIDO key of WebAuthn":  str("webauthn-sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", string(point), "ssh:"),
		"no FIDO with its string": append(ed.public(), str("ssh:")...),
		"a length of 4 GB":        append([]byte{0xff, 0xff, 0xff, 0xff}, r.public()[4:]...),
	} {
		if k, err := ParseSSHPublicKey(wire); err == nil {
			t.Errorf("%s: taken as %s", name, k.Ref())
		}
	}
}

// TestSSHKeygenTakesOurs holds signatures put together here against ssh-keygen -Y verify, FIDO ones too, for which nobody here has
// the hardware.
func TestSSHKeygenTakesOurs(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("ssh-keygen is not installed")
		}
		t.Skip("ssh-keygen is not installed; install openssh-client to run this test")
	}
	msg := readSSH(t, "message.txt")
	dir := t.TempDir()
	check := func(s *sshSigner, blob []byte) error {
		allowed := "north.example namespaces=\"" + SSHNamespace(testOrigin) + "\" " + s.typ + " " + base64.StdEncoding.EncodeToString(s.public()) + "\n"
		if err := os.WriteFile(filepath.Join(dir, "allowed"), []byte(allowed), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "sig"), pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: blob}), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(keygen, "-Y", "verify", "-f", filepath.Join(dir, "allowed"), "-I", "north.example", "-n", SSHNamespace(testOrigin), "-s", filepath.Join(dir, "sig"))
		cmd.Stdin = bytes.NewReader(msg)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return errors.New(string(out))
		}
		return nil
	}
	for name, s := range sshSigners(t) {
		pub, err := ParseSSHPublicKey(s.public())
		if err != nil {
			t.Fatal(err)
		}
		for what, blob := range map[string][]byte{
			"as the test makes it": s.blob(msg),
			"as we make it":        pub.SSHSIG(testOrigin, s.raw(SSHSignedData(testOrigin, msg))),
		} {
			if err := check(s, blob); err != nil || !pub.Verify(testOrigin, msg, blob) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		other := *s
		other.namespace = "file"
		if check(s, other.blob(msg)) == nil {
			t.Errorf("%s: ssh-keygen takes another namespace", name)
		}
	}
}

func FuzzSSHSIG(f *testing.F) {
	for _, name := range []string{"ed25519", "p256", "p384", "p521", "rsa3072"} {
		f.Add(readSSH(f, name+".sha512.sig"), readSSH(f, name+".pub"))
		f.Add(readSSH(f, name+".file.sig"), readSSH(f, name+".pub"))
	}
	for _, s := range sshSigners(f) {
		f.Add(s.blob([]byte("message")), s.public())
		f.Add(s.raw([]byte("message")), s.raw([]byte("message"))[4:])
	}
	msg := readSSH(f, "message.txt")
	ours, err := ParseSSHPublicKey(readSSH(f, "ed25519.pub"))
	if err != nil {
		f.Fatal(err)
	}
	good := [][]byte{readSSH(f, "ed25519.sha512.sig"), readSSH(f, "ed25519.sha256.sig")}
	f.Fuzz(func(t *testing.T, blob, public []byte) {
		if s, err := parseSSHSIG(blob); err == nil && !bytes.Equal(s.bytes(), blob) {
			t.Errorf("%x is accepted as %x", blob, s.bytes())
		}
		for _, wire := range [][]byte{blob, public} {
			if s, err := parseSSHSignature(wire); err == nil && !bytes.Equal(s.again(t), wire) {
				t.Errorf("%x is accepted as %x", wire, s.again(t))
			}
		}
		if ours.Verify(testOrigin, msg, blob) && !slices.ContainsFunc(good, func(g []byte) bool { return bytes.Equal(g, blob) }) {
			t.Errorf("%x verifies", blob)
		}
		k, err := ParseSSHPublicKey(public)
		if err != nil {
			return
		}
		if !bytes.Equal(k.SSH(), public) {
			t.Errorf("%x is accepted as %x", public, k.SSH())
		}
		k.Verify(testOrigin, msg, blob)
	})
}

// again encodes a parsed signature.
func (s *sshSignature) again(t *testing.T) []byte {
	raw := s.raw
	if strings.Contains(s.algorithm, "nistp") {
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(raw, &rs); err != nil {
			t.Fatal(err)
		}
		raw = str(mpint(rs.R), mpint(rs.S))
	}
	b := append(str(s.algorithm), str(raw)...)
	if s.hardware() {
		b = binary.BigEndian.AppendUint32(append(b, s.flags), s.counter)
	}
	return b
}
