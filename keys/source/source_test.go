package source

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/tccm/undersigned/keys"
)

const origin = "ledger.example/tccm"

// madeHere returns the suites whose keys can be made without hardware.
func madeHere() []keys.Suite {
	return slices.DeleteFunc(keys.Suites(), func(s keys.Suite) bool { return s == keys.SSHSIGSK })
}

// rsaKey is made once: making one takes a second.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		panic(err)
	}
	return key
})

// newKey is Generate, with the one RSA key.
func newKey(t *testing.T, suite keys.Suite) *Key {
	t.Helper()
	var key *Key
	var err error
	if suite == keys.RSAPSSSHA256 || suite == keys.RSAPKCS1SHA256 {
		key, err = New(rsaKey(), suite)
	} else {
		key, err = Generate(suite)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func static(password string) PasswordFunc {
	return func(bool) ([]byte, error) { return []byte(password), nil }
}

func forbidden(t *testing.T) PasswordFunc {
	return func(bool) ([]byte, error) {
		t.Error("asked for the password of a file that is not encrypted")
		return nil, io.EOF
	}
}

func write(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEverySuiteSignsSavesAndLoads(t *testing.T) {
	msg := []byte("undersigned/endorsement/v1\n")
	for _, suite := range madeHere() {
		t.Run(string(suite), func(t *testing.T) {
			key := newKey(t, suite)
			if key.Suite() != suite {
				t.Fatalf("Suite() = %s", key.Suite())
			}
			for _, password := range [][]byte{nil, []byte("correct horse")} {
				path := filepath.Join(t.TempDir(), "key.pem")
				if err := key.Save(path, password); err != nil {
					t.Fatal(err)
				}
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if runtime.GOOS != "windows" && info.Mode() != 0o600 {
					t.Errorf("mode %v, want 0600", info.Mode())
				}
				ask := forbidden(t)
				if password != nil {
					ask = static(string(password))
				}
				again, err := Load(path, ask, suite)
				if err != nil {
					t.Fatal(err)
				}
				if again.Public().Ref() != key.Public().Ref() {
					t.Error("another key came back")
				}
				sig, err := again.Sign(origin, msg)
				if err != nil {
					t.Fatal(err)
				}
				if !key.Public().Verify(origin, msg, sig) {
					t.Error("the signature does not verify")
				}
				if key.Public().Verify(origin, append(msg, ' '), sig) {
					t.Error("the signature verifies another message")
				}
			}
		})
	}
}

func TestGenerateRSA(t *testing.T) {
	key, err := Generate(keys.RSAPSSSHA256)
	if err != nil {
		t.Fatal(err)
	}
	if bits := key.signer.(*rsa.PrivateKey).N.BitLen(); bits != rsaBits {
		t.Errorf("%d bits", bits)
	}
}

func TestGenerateUnknownSuite(t *testing.T) {
	for _, suite := range []keys.Suite{"", "ed448", "none"} {
		if _, err := Generate(suite); !errors.Is(err, keys.ErrUnknownSuite) {
			t.Errorf("Generate(%q): %v", suite, err)
		}
	}
}

func TestDefaultSuite(t *testing.T) {
	for _, suite := range madeHere() {
		key, err := New(newKey(t, suite).signer, "")
		if err != nil {
			t.Fatal(err)
		}
		want := suite
		switch suite {
		case keys.RSAPKCS1SHA256:
			want = keys.RSAPSSSHA256
		case keys.SSHSIG:
			want = keys.Ed25519
		}
		if key.Suite() != want {
			t.Errorf("%s: the default is %s", suite, key.Suite())
		}
	}
}

// cosign's own steps: PKCS#8, encrypted.Encrypt, one PEM block of either name; and back.
func TestCosign(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{"hunter2", ""} {
		box, err := encrypted.Encrypt(der, []byte(password))
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"ENCRYPTED COSIGN PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY"} {
			path := write(t, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: box}))
			key, err := Load(path, static(password), "")
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			if !private.PublicKey.Equal(key.signer.Public()) {
				t.Error("another key")
			}
		}
	}

	ours := newKey(t, keys.ECDSAP256SHA256)
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := ours.Save(path, []byte("hunter2")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "ENCRYPTED SIGSTORE PRIVATE KEY" || len(rest) > 0 || len(block.Headers) > 0 {
		t.Fatal("not the block that cosign reads")
	}
	if der, err = encrypted.Decrypt(block.Bytes, []byte("hunter2")); err != nil {
		t.Fatal(err)
	}
	theirs, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	if !theirs.(*ecdsa.PrivateKey).Equal(ours.signer) {
		t.Error("cosign reads another key")
	}
	theirs, err = cryptoutils.UnmarshalPEMToPrivateKey(data, cryptoutils.StaticPasswordFunc([]byte("hunter2")))
	if err != nil || !theirs.(*ecdsa.PrivateKey).Equal(ours.signer) {
		t.Errorf("sigstore reads another key: %v", err)
	}
}

// The files that openssl makes, in every form that is read.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("openssl is not installed")
		}
		t.Skip("openssl is not installed; install it to run this test")
	}
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if out, err := exec.Command(openssl, append(args, "-out", path)...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ed := run("ed", "genpkey", "-algorithm", "ed25519")
	p256 := run("p256", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	p384 := run("p384", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")
	rsa3072 := run("rsa", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072")
	for _, c := range []struct {
		name, path string
		suite      keys.Suite
	}{
		{"ed25519", ed, keys.Ed25519},
		{"p256", p256, keys.ECDSAP256SHA256},
		{"p384", p384, keys.ECDSAP384SHA384},
		{"rsa", rsa3072, keys.RSAPSSSHA256},
		{"sec1", run("sec1", "ec", "-in", p256), keys.ECDSAP256SHA256},
		{"pkcs1", run("pkcs1", "rsa", "-in", rsa3072, "-traditional"), keys.RSAPSSSHA256},
		{"encrypted ed25519", run("ed.enc", "pkcs8", "-topk8", "-in", ed, "-passout", "pass:hunter2"), keys.Ed25519},
		{"encrypted rsa", run("rsa.enc", "pkcs8", "-topk8", "-in", rsa3072, "-passout", "pass:hunter2"), keys.RSAPSSSHA256},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, err := Load(c.path, static("hunter2"), "")
			if err != nil {
				t.Fatal(err)
			}
			if key.Suite() != c.suite {
				t.Errorf("suite %s, want %s", key.Suite(), c.suite)
			}
		})
	}
	if _, err := Load(rsa3072, nil, keys.RSAPKCS1SHA256); err != nil {
		t.Error(err)
	}
	if _, err := Load(filepath.Join(dir, "ed.enc"), static("wrong"), ""); !errors.Is(err, ErrPassword) {
		t.Errorf("wrong password: %v", err)
	}
	old := run("old", "ec", "-in", p256, "-aes256", "-passout", "pass:hunter2")
	wantError(t, old, static("hunter2"), "", "encrypted in openssl's old way")
}

func wantError(t *testing.T, path string, password PasswordFunc, suite keys.Suite, want string) {
	t.Helper()
	key, err := Load(path, password, suite)
	if err == nil {
		t.Fatalf("loaded as %s, want: %s", key.Suite(), want)
	}
	if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %q, want %q and the file", err, want)
	}
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := mldsax509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestRefused(t *testing.T) {
	good := pkcs8(t, newKey(t, keys.Ed25519).signer)
	spki, err := cryptoutils.MarshalPublicKeyToPEM(newKey(t, keys.Ed25519).signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	large, err := mldsa.GenerateKey(mldsa.MLDSA65())
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, body []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body})
	}
	box, err := encrypted.Encrypt([]byte("not a key"), []byte("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		data  []byte
		suite keys.Suite
		want  string
	}{
		{"empty", nil, "", "no PEM block"},
		{"not PEM", []byte("hello\n"), "", "no PEM block"},
		{"cut off", good[:len(good)-10], "", "no PEM block"},
		{"too large", bytes.Repeat([]byte("x"), maxKeyFile+1), "", "larger than"},
		{"two keys", append(bytes.Clone(good), good...), "", "more than one PEM block"},
		{"key and public key", append(bytes.Clone(good), spki...), "", "more than one PEM block"},
		{"a damaged second block", append(bytes.Clone(good), "-----BEGIN PRIVATE KEY-----\n"...), "", "more than one PEM block"},
		{"public key", spki, "", "it holds a public key"},
		{"certificate", block("CERTIFICATE", []byte{1}), "", "it holds a public key"},
		{"openssh", block("OPENSSH PRIVATE KEY", []byte{1}), "", "OpenSSH"},
		{"something else", block("PGP MESSAGE", []byte{1}), "", "not a private key"},
		{"not PKCS#8", block("PRIVATE KEY", []byte("hello")), "", "damaged"},
		{"not SEC 1", block("EC PRIVATE KEY", []byte("hello")), "", "damaged"},
		{"not cosign's JSON", block("ENCRYPTED SIGSTORE PRIVATE KEY", []byte("hello")), "", "not in cosign's format"},
		{"JSON of another kind", block("ENCRYPTED SIGSTORE PRIVATE KEY", []byte("{}")), "", "unknown kdf"},
		{"encrypted rubbish", block("ENCRYPTED SIGSTORE PRIVATE KEY", box), "", "damaged"},
		{"not PBES2", block("ENCRYPTED PRIVATE KEY", []byte("hello")), "", "the password is wrong or the file is damaged"},
		{"P-521", pkcs8(t, p521), "", "a curve that no suite has"},
		{"RSA-2048", pkcs8(t, weak), "", "an RSA key of 2048 bits that no record accepts"},
		{"ML-DSA-65", pkcs8(t, large), "", "ML-DSA-44 is the one to use"},
		{"Ed25519 as ECDSA", good, keys.ECDSAP256SHA256, "it is an Ed25519 key, which signs as ed25519 or sshsig and never as ecdsa-p256-sha256"},
		{"RSA as ML-DSA", pkcs8(t, rsaKey()), keys.MLDSA44, "signs as rsa-pss-sha256, rsa-pkcs1-sha256 or sshsig and never as mldsa44"},
		{"unknown suite", good, "ed448", "never as ed448"},
		{"a FIDO key's suite", good, keys.SSHSIGSK, "never as sshsig-sk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantError(t, write(t, c.data), static("hunter2"), c.suite, c.want)
		})
	}
}

func TestKeyAgreementKeyIsRefused(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("openssl is not installed")
		}
		t.Skip("openssl is not installed; install it to run this test")
	}
	out, err := exec.Command(openssl, "genpkey", "-algorithm", "x25519").Output()
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, write(t, out), nil, "", "it holds a key that cannot sign")
}

func TestPasswords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	key := newKey(t, keys.Ed25519)
	if err := key.Save(path, []byte("")); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty password: %v", err)
	}
	if err := key.Save(path, []byte("right")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil, ""); !errors.Is(err, ErrPasswordNeeded) {
		t.Errorf("no password: %v", err)
	}
	if _, err := Load(path, static("wrong"), ""); !errors.Is(err, ErrPassword) || strings.Contains(err.Error(), "wrong\"") {
		t.Errorf("wrong password: %v", err)
	}
	failed := func(bool) ([]byte, error) { return nil, ErrNoTerminal }
	if _, err := Load(path, failed, ""); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("no terminal: %v", err)
	}
}

func TestOthersMayRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no mode bits")
	}
	path, text := write(t, pkcs8(t, newKey(t, keys.Ed25519).signer)), write(t, []byte("A key file begins with -----BEGIN PRIVATE KEY-----.\n"))
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o610, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		wantError(t, path, nil, "", "run: chmod 600 "+path)
		if err := os.Chmod(text, mode); err != nil {
			t.Fatal(err)
		}
		wantError(t, text, nil, "", "it holds no PEM block")
		if _, err := Load(path, nil, ""); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%04o: %v", mode, err)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400, 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path, nil, ""); err != nil {
			t.Errorf("%04o: %v", mode, err)
		}
	}
	if got := quote("it's here"); got != `'it'\''s here'` {
		t.Errorf("quoted as %s", got)
	}
}

func TestHoldsPrivateKey(t *testing.T) {
	for text, want := range map[string]bool{
		"-----BEGIN PRIVATE KEY-----\n":                      true,
		"a certificate\n-----BEGIN RSA PRIVATE KEY-----\r\n": true,
		"-----BEGIN OPENSSH PRIVATE KEY-----\n":              true,
		"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n":   true,
		"PuTTY-User-Key-File-3: ssh-ed25519\n":               true,
		"\uFEFF-----BEGIN PRIVATE KEY-----\n":                true,
		"bag\r  -----BEGIN PRIVATE KEY-----\r":               true,
		"-----BEGIN PGP PRIVATE KEY BLOCK-----\n":            true,
		"# created\nAGE-SECRET-KEY-1":                        true,
		"PRIVATE+KEY+ledger.example+4f":                      true,
		"-----BEGIN PUBLIC KEY-----\n":                       false,
		"It begins with -----BEGIN PRIVATE KEY-----.\n":      false,
		"": false,
	} {
		if got := HoldsPrivateKey([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestSaveNeverReplaces(t *testing.T) {
	path := write(t, []byte("precious"))
	err := newKey(t, keys.Ed25519).Save(path, nil)
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "precious" {
		t.Error("the file was changed")
	}
	if err := newKey(t, keys.Ed25519).Save(filepath.Join(path, "below"), nil); err == nil {
		t.Error("saved below a file")
	}
	if err := newKey(t, keys.Ed25519).Save(path+"-2", nil); err != nil {
		t.Error(err)
	}
	// No other copy of a key is left behind.
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 2 {
		t.Errorf("%v %v", list, err)
	}
}

func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "absent"), nil, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	wantError(t, dir, nil, "", "is a directory")
}

// device is a signer whose key cannot be had, as in an HSM.
type device struct {
	crypto.Signer
	broken bool
}

func (d device) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := d.Signer.Sign(r, digest, opts)
	if d.broken && err == nil {
		sig[len(sig)/2] ^= 1
	}
	return sig, err
}

func TestDevice(t *testing.T) {
	msg := []byte("hello")
	for _, suite := range madeHere() {
		key, err := New(device{newKey(t, suite).signer, false}, suite)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := key.Sign(origin, msg)
		if err != nil || !key.Public().Verify(origin, msg, sig) {
			t.Errorf("%s: %v", suite, err)
		}
		if err := key.Save(filepath.Join(t.TempDir(), "key"), nil); err == nil || !strings.Contains(err.Error(), "device") {
			t.Errorf("%s: saved: %v", suite, err)
		}
		if key, err = New(device{key.signer, true}, suite); err != nil {
			t.Fatal(err)
		}
		if _, err := key.Sign(origin, msg); !errors.Is(err, errSignature) {
			t.Errorf("%s: a broken signature leaves: %v", suite, err)
		}
		if sig, err := key.SignUnverified(origin, msg); err != nil || key.Public().Verify(origin, msg, sig) {
			t.Errorf("%s: what is not verified was: %v", suite, err)
		}
	}
}

// TestMLDSA44 holds the library that signs to the one that verifies: of a seed both make one public key, of a message one
// deterministic signature, byte for byte, and what Key makes is hedged, each time another one.
func TestMLDSA44(t *testing.T) {
	for i := range 100 {
		seed := sha256.Sum256([]byte{byte(i)})
		private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed[:])
		if err != nil {
			t.Fatal(err)
		}
		key, err := New(private, "")
		if err != nil {
			t.Fatal(err)
		}
		if public := key.mldsa44.Public().(*mldsa44.PublicKey).Bytes(); !bytes.Equal(public, private.PublicKey().Bytes()) {
			t.Fatalf("seed %x: another public key", seed)
		}
		msg := bytes.Repeat(seed[:], i)[:31*i]
		want, err := private.SignDeterministic(msg, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, mldsa44.SignatureSize)
		if err := mldsa44.SignTo(key.mldsa44, msg, nil, false, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("seed %x: another signature of %d bytes (%v)", seed, len(msg), err)
		}
		for range 2 {
			hedged, err := key.Sign(origin, msg)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(hedged, got) {
				t.Fatalf("seed %x: the same signature again", seed)
			}
			got = hedged
		}
	}
}

// TestWrongMLDSA44 has the library that signs make what is wrong: Sign does not let it out.
func TestWrongMLDSA44(t *testing.T) {
	key, other := newKey(t, keys.MLDSA44), newKey(t, keys.MLDSA44)
	key.mldsa44 = other.mldsa44
	if _, err := key.Sign(origin, []byte("hello")); !errors.Is(err, errSignature) {
		t.Errorf("another key's signature leaves: %v", err)
	}
}

// BenchmarkMLDSA44 prints how much longer a signature takes with the library that verifies.
func BenchmarkMLDSA44(b *testing.B) {
	private, err := mldsa.GenerateKey(mldsa.MLDSA44())
	if err != nil {
		b.Fatal(err)
	}
	key, err := New(private, "")
	if err != nil {
		b.Fatal(err)
	}
	msg := []byte("subtree/v1\n")
	var verifies, signs time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := key.SignUnverified(origin, msg); err != nil {
			b.Fatal(err)
		}
		signed := time.Now()
		if _, err := private.Sign(nil, msg, nil); err != nil {
			b.Fatal(err)
		}
		signs, verifies = signs+signed.Sub(start), verifies+time.Since(signed)
	}
	b.ReportMetric(float64(verifies)/float64(signs), "verifier's/ours")
}

func TestManyAtOnce(t *testing.T) {
	for _, suite := range madeHere() {
		key := newKey(t, suite)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := key.Sign(origin, []byte("hello")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

func TestForeignTypes(t *testing.T) {
	if _, err := New(strange{}, ""); err == nil {
		t.Error("a key of no suite is taken")
	}
	small := make(ed25519.PrivateKey, ed25519.PrivateKeySize)
	small[32] = 1 // the neutral element
	if _, err := New(small, keys.Ed25519); err == nil || !strings.Contains(err.Error(), "no record accepts") {
		t.Errorf("a key of small order: %v", err)
	}
}

type strange struct{ crypto.Signer }

func (strange) Public() crypto.PublicKey { return "a string" }
