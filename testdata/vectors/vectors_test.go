package vectors

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/mldsa"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
)

// moduleDir returns where the go command keeps the module of a package, asked for in the module at dir. Listing a
// package also fetches its module. As WebAssembly, where no program can be started, make says it in a variable.
func moduleDir(t *testing.T, variable, dir, pkg string) string {
	t.Helper()
	if known := os.Getenv(variable); known != "" {
		return known
	}
	cmd := exec.Command("go", "list", "-f", "{{.Module.Dir}}", pkg)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	var err error
	*h, err = hex.DecodeString(s)
	return err
}

type wycheproof struct {
	NumberOfTests int
	TestGroups    []struct {
		PublicKeyDer hexBytes
		PublicKey    json.RawMessage
		Tests        []struct {
			TcID          int
			Comment       string
			Msg, Sig, Ctx hexBytes
			Result        string // valid, invalid or acceptable
		}
	}
}

// standard returns the standard library's verifier (for ML-DSA, that of filippo.io/mldsa), or nil if that refuses the key.
func standard(t *testing.T, suite keys.Suite, spki, raw []byte) func(msg, sig []byte) bool {
	t.Helper()
	if suite == keys.MLDSA44 {
		pub, err := mldsa.NewPublicKey(mldsa.MLDSA44(), raw)
		if err != nil {
			return nil
		}
		return func(msg, sig []byte) bool { return mldsa.Verify(pub, msg, sig, nil) == nil }
	}
	pub, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil
	}
	return func(msg, sig []byte) bool {
		d256, d384 := sha256.Sum256(msg), sha512.Sum384(msg)
		switch suite {
		case keys.Ed25519:
			return ed25519.Verify(pub.(ed25519.PublicKey), msg, sig)
		case keys.ECDSAP256SHA256:
			return ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), d256[:], sig)
		case keys.ECDSAP384SHA384:
			return ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), d384[:], sig)
		case keys.RSAPKCS1SHA256:
			return rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), crypto.SHA256, d256[:], sig) == nil
		default:
			return rsa.VerifyPSS(pub.(*rsa.PublicKey), crypto.SHA256, d256[:], sig, &rsa.PSSOptions{SaltLength: 32}) == nil
		}
	}
}

// TestWycheproof: every signature gets the standard library's verdict and the one that Wycheproof gives it, but for weak keys,
// which cannot be registered at all.
func TestWycheproof(t *testing.T) {
	dir := filepath.Join(moduleDir(t, "WYCHEPROOF", ".", "github.com/c2sp/wycheproof"), "testvectors_v1")
	for _, c := range []struct {
		file  string
		suite keys.Suite
		weak  int // groups whose key is refused as weak
	}{
		{"ed25519_test.json", keys.Ed25519, 0},
		{"ecdsa_secp256r1_sha256_test.json", keys.ECDSAP256SHA256, 0},
		{"ecdsa_secp384r1_sha384_test.json", keys.ECDSAP384SHA384, 0},
		{"rsa_signature_2048_sha256_test.json", keys.RSAPKCS1SHA256, -1}, // too short, all of them
		{"rsa_signature_3072_sha256_test.json", keys.RSAPKCS1SHA256, 1},  // exponent 3
		{"rsa_signature_4096_sha256_test.json", keys.RSAPKCS1SHA256, 0},
		{"rsa_pss_3072_sha256_mgf1_32_test.json", keys.RSAPSSSHA256, 0},
		{"rsa_pss_4096_sha256_mgf1_32_test.json", keys.RSAPSSSHA256, 0},
		{"mldsa_44_verify_test.json", keys.MLDSA44, 0},
	} {
		t.Run(c.file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, c.file))
			if err != nil {
				t.Fatal(err)
			}
			var w wycheproof
			if err := json.Unmarshal(data, &w); err != nil {
				t.Fatal(err)
			}
			seen, valid, weak := 0, 0, 0
			for _, g := range w.TestGroups {
				seen += len(g.Tests)
				var raw hexBytes
				if c.suite == keys.MLDSA44 {
					if err := json.Unmarshal(g.PublicKey, &raw); err != nil {
						t.Fatal(err)
					}
				}
				std := standard(t, c.suite, g.PublicKeyDer, raw)
				key, err := keys.ParsePublicKey(c.suite, g.PublicKeyDer)
				if errors.Is(err, keys.ErrWeakKey) {
					weak++
					continue
				}
				if (err == nil) != (std != nil) {
					t.Errorf("test %d: key: %v", g.Tests[0].TcID, err)
				}
				for _, v := range g.Tests {
					got := err == nil && key.Verify("ledger.example", v.Msg, v.Sig)
					if want := std != nil && std(v.Msg, v.Sig); got != want {
						t.Errorf("test %d, %s: %v, the standard library says %v", v.TcID, v.Comment, got, want)
					}
					// A signature under a context of its own is none under ours, which is empty.
					if want := v.Result == "valid" && len(v.Ctx) == 0; v.Result != "acceptable" && got != want {
						t.Errorf("test %d, %s: %v, Wycheproof says %s", v.TcID, v.Comment, got, v.Result)
					}
					if got {
						valid++
					}
				}
			}
			if seen != w.NumberOfTests || seen == 0 {
				t.Errorf("%d of %d tests", seen, w.NumberOfTests)
			}
			if c.weak < 0 {
				c.weak = len(w.TestGroups)
			}
			if weak != c.weak {
				t.Errorf("%d of %d keys are refused as weak, not %d", weak, len(w.TestGroups), c.weak)
			}
			t.Logf("%d tests, %d signatures accepted, %d of %d keys refused as weak", seen, valid, weak, len(w.TestGroups))
		})
	}
}

// TestProofs runs transparency-dev/merkle's inclusion and consistency vectors, most of them wrong on purpose.
func TestProofs(t *testing.T) {
	dir := filepath.Join(moduleDir(t, "MERKLE", "proofs", "github.com/transparency-dev/merkle/proof"), "testdata")
	for _, kind := range []string{"inclusion", "consistency"} {
		t.Run(kind, func(t *testing.T) {
			good, bad := 0, 0
			err := filepath.WalkDir(filepath.Join(dir, kind), func(path string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				var v struct {
					LeafIdx, TreeSize, Size1, Size2 uint64
					LeafHash, Root, Root1, Root2    []byte
					Proof                           [][]byte
					WantErr                         bool
				}
				if err := json.Unmarshal(data, &v); err != nil {
					return err
				}
				// One good vector compares roots that are no hashes; such cannot even be written down here.
				fit := true
				hash := func(b []byte) (h [32]byte) {
					fit = copy(h[:], b) == 32 && len(b) == 32 && fit
					return h
				}
				var hashes [][32]byte
				for _, b := range v.Proof {
					hashes = append(hashes, hash(b))
				}
				if kind == "inclusion" {
					err = verify.CheckInclusion(hash(v.LeafHash), v.LeafIdx, v.TreeSize, hashes, hash(v.Root))
				} else {
					err = verify.CheckConsistency(v.Size1, v.Size2, hashes, hash(v.Root1), hash(v.Root2))
				}
				if fit && (err != nil) != v.WantErr {
					t.Errorf("%s: %v", path, err)
				}
				if v.WantErr {
					bad++
				} else {
					good++
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if good == 0 || bad == 0 {
				t.Errorf("%d good and %d bad proofs", good, bad)
			}
			t.Logf("%d good and %d bad proofs", good, bad)
		})
	}
}
