package keys

import (
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// below returns 2^bits - c.
func below(bits uint, c int64) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits)
	return n.Sub(n, big.NewInt(c))
}

func mul(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }

// rocaModulus returns a number that is a power of 65537 modulo every prime up to 167 and has no factor below 752.
func rocaModulus(t *testing.T) *big.Int {
	t.Helper()
	m := big.NewInt(2)
	for q := int64(3); q <= 167; q += 2 {
		if smallPrime(q) {
			m.Mul(m, big.NewInt(q))
		}
	}
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(1234567), m)
	k := new(big.Int).Div(below(3072, 12345), m)
	n.Add(n, k.Mul(k.Sub(k, big.NewInt(1)), m))
next:
	for range 10000 {
		n.Sub(n, m)
		for q := int64(169); q < smallFactor; q += 2 {
			if smallPrime(q) && new(big.Int).Mod(n, big.NewInt(q)).Sign() == 0 {
				continue next
			}
		}
		return n
	}
	t.Fatal("no such modulus")
	return nil
}

func TestWeakRSA(t *testing.T) {
	good := rsaTestKey()
	p, q, cube := below(1536, 3453), below(1536, 4977), below(1024, 105)
	prime := below(3072, 1103717)
	for _, n := range []*big.Int{p, q, cube, prime} {
		if !n.ProbablyPrime(0) {
			t.Fatal("a prime of this test is none")
		}
	}
	odd := func(n *big.Int) *big.Int { return n.SetBit(n, 0, 1) }
	for _, c := range []struct {
		name string
		n    *big.Int
		e    int64
		says string // "" for a key that passes
	}{
		{"a good key", good.N, 65537, ""},
		{"largest exponent", good.N, 1<<31 - 1, ""},
		{"next exponent", good.N, 65539, ""},
		{"exponent 1", good.N, 1, "exponent"},
		{"exponent 3", good.N, 3, "exponent"},
		{"exponent 65535", good.N, 65535, "exponent"},
		{"even exponent", good.N, 65538, "exponent"},
		{"exponent of 32 bits", good.N, 1<<31 + 1, "exponent"},
		{"exponent of 63 bits", good.N, 1<<62 + 1, "exponent"},
		{"2048 bits", odd(below(2048, 1)), 65537, "3072 to 4096"},
		{"3071 bits", odd(below(3071, 1)), 65537, "3072 to 4096"},
		{"4097 bits", odd(new(big.Int).Lsh(big.NewInt(1), 4096)), 65537, "3072 to 4096"},
		{"8192 bits", odd(below(8192, 1)), 65537, "3072 to 4096"},
		{"one", big.NewInt(1), 65537, "3072 to 4096"},
		{"even", new(big.Int).Sub(good.N, big.NewInt(1)), 65537, "even"},
		{"a factor 3", mul(big.NewInt(3), below(3071, 1)), 65537, "small factor"},
		{"a factor 751", mul(big.NewInt(751), odd(below(3063, 19))), 65537, "small factor"},
		{"prime", prime, 65537, "a prime or a power"},
		{"a square", mul(p, p), 65537, "close factors"},
		{"a cube", mul(cube, mul(cube, cube)), 65537, "a prime or a power"},
		{"neighbours", mul(p, q), 65537, "close factors"},
		{"ROCA", rocaModulus(t), 65537, "ROCA"},
	} {
		spki := rsaSPKI(c.n, big.NewInt(c.e), nil)
		for _, suite := range []Suite{RSAPSSSHA256, RSAPKCS1SHA256} {
			_, err := ParsePublicKey(suite, spki)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%s: %v", c.name, err)
			}
			if err != nil && len(spki) <= MaxSPKI && !errors.Is(err, ErrWeakKey) {
				t.Errorf("%s is no ErrWeakKey", c.name)
			}
		}
	}
}

// TestFermat: the hundredth candidate is tried, the hundred and first is not.
func TestFermat(t *testing.T) {
	a := new(big.Int).Lsh(big.NewInt(1), 1536)
	for _, c := range []struct {
		rounds int64
		found  bool
	}{{1, true}, {100, true}, {101, false}} {
		// With n = a² - b², a lies b²/2a above √n: choose b for a round.
		b := new(big.Int).Sqrt(mul(a, big.NewInt(2*c.rounds-1)))
		n := new(big.Int).Sub(mul(a, a), mul(b, b))
		root := new(big.Int).Sqrt(n)
		if got := new(big.Int).Sub(a, root).Int64(); got != c.rounds {
			t.Fatalf("the factors are found in round %d, not %d", got, c.rounds)
		}
		if closeFactors(n) != c.found {
			t.Errorf("round %d: found is %v", c.rounds, !c.found)
		}
	}
}

// rsaSPKI encodes any numbers; edit may change the inner sequence.
func rsaSPKI(n, e *big.Int, edit func(b *cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(algorithmRSA))
		b.AddASN1(asn1.BIT_STRING, func(b *cryptobyte.Builder) {
			b.AddUint8(0)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1BigInt(n)
				b.AddASN1BigInt(e)
				if edit != nil {
					edit(b)
				}
			})
		})
	})
	return b.BytesOrPanic()
}

func TestRSAEncoding(t *testing.T) {
	n, e := rsaTestKey().N, big.NewInt(65537)
	good := rsaSPKI(n, e, nil)
	if _, err := ParsePublicKey(RSAPSSSHA256, good); err != nil {
		t.Fatal(err)
	}
	replace := func(at int, with ...byte) []byte {
		out := slices.Clone(good)
		copy(out[at:], with)
		return out
	}
	cut := func(prefix, with string) []byte {
		return []byte(strings.Replace(string(good), prefix, with, 1))
	}
	for name, spki := range map[string][]byte{
		"more after the exponent":    rsaSPKI(n, e, func(b *cryptobyte.Builder) { b.AddASN1Int64(1) }),
		"negative modulus":           rsaSPKI(new(big.Int).Neg(n), e, nil),
		"negative exponent":          rsaSPKI(n, big.NewInt(-65537), nil),
		"zero modulus":               rsaSPKI(newInt(), e, nil),
		"zero exponent":              rsaSPKI(n, newInt(), nil),
		"indefinite length":          replace(1, 0x80),
		"unused bits":                replace(4+len(algorithmRSA)+4, 1),
		"RSASSA-PSS's identifier":    cut("\x01\x01\x01\x05\x00", "\x01\x01\x0a\x05\x00"),
		"no NULL":                    cut("\x05\x00\x03\x82", "\x03\x82"),
		"parameters that are a NULL": cut("\x05\x00\x03\x82", "\x05\x01\x03\x82"),
	} {
		if _, err := ParsePublicKey(RSAPSSSHA256, spki); err != errSPKI {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A length with a needless byte, and an integer with a needless zero.
	inner := slices.Clone(good[4:])
	if _, err := ParsePublicKey(RSAPSSSHA256, slices.Concat([]byte{0x30, 0x83, 0, good[2], good[3]}, inner)); err != errSPKI {
		t.Errorf("long length: %v", err)
	}
	padded := rsaSPKI(new(big.Int).Lsh(n, 8), e, nil) // one byte longer; move the content by one
	at := strings.Index(string(padded), string(n.Bytes()))
	copy(padded[at+1:], n.Bytes())
	padded[at] = 0
	if _, err := ParsePublicKey(RSAPSSSHA256, padded); err != errSPKI {
		t.Errorf("padded integer: %v", err)
	}
}

func TestPowerOf65537(t *testing.T) {
	// The order of 65537 modulo each prime.
	for q, order := range map[int64]int{3: 2, 5: 4, 7: 6, 11: 2, 17: 8} {
		count := 0
		for r := int64(1); r < q; r++ {
			if powerOf65537(r, q) {
				count++
			}
		}
		if count != order {
			t.Errorf("modulo %d: %d powers", q, count)
		}
	}
}
