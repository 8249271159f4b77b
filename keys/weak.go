package keys

import (
	"bytes"
	"math/big"

	"filippo.io/edwards25519"
)

func newInt() *big.Int { return new(big.Int) }

// orderMinusOne is ℓ-1 = 2²⁵² + 27742317777372353535851937790883648492, little-endian (RFC 8032
// section 5.1).
var orderMinusOne = [32]byte{
	0xec, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
	31: 0x10,
}

// checkEd25519 refuses 32 bytes that are no point, or a point that makes verification ambiguous.
// A key of small order verifies one signature for every message; with a torsion component, implementations
// that multiply by the cofactor and those that do not disagree on crafted signatures.
func checkEd25519(raw []byte) error {
	a, err := new(edwards25519.Point).SetBytes(raw)
	if err != nil {
		return weak("the Ed25519 key is no point of the curve")
	}
	if !bytes.Equal(a.Bytes(), raw) {
		return weak("the Ed25519 key is not canonically encoded")
	}
	identity := edwards25519.NewIdentityPoint()
	if new(edwards25519.Point).MultByCofactor(a).Equal(identity) == 1 {
		return weak("the Ed25519 key has a small order")
	}
	// ℓA is the identity exactly if A has no torsion. A scalar is a number modulo ℓ, so ℓA is
	// reached as (ℓ-1)A + A.
	s, err := edwards25519.NewScalar().SetCanonicalBytes(orderMinusOne[:])
	if err != nil {
		panic("keys: ℓ-1 is a canonical scalar")
	}
	p := new(edwards25519.Point).VarTimeMultiScalarMult([]*edwards25519.Scalar{s}, []*edwards25519.Point{a})
	if p.Add(p, a).Equal(identity) != 1 {
		return weak("the Ed25519 key has a torsion component")
	}
	return nil
}

const (
	minRSABits  = 3072
	maxRSABits  = 4096
	fermatSteps = 100
	smallFactor = 752 // CA/Browser Forum Baseline Requirements 6.1.6
)

// checkRSA refuses moduli that somebody else may factor, or that have no secret at all. It is
// deterministic: no test in it draws a random base.
func checkRSA(n *big.Int) error {
	if n.Bit(0) == 0 {
		return weak("the RSA modulus is even")
	}
	m, p := newInt(), newInt()
	roca := true
	for q := int64(3); q < smallFactor; q += 2 {
		if !smallPrime(q) {
			continue
		}
		r := m.Mod(n, p.SetInt64(q)).Int64()
		if r == 0 {
			return weak("the RSA modulus has a small factor")
		}
		if q <= 167 {
			roca = roca && powerOf65537(r, q)
		}
	}
	if roca {
		return weak("the RSA modulus has the fingerprint of CVE-2017-15361 (ROCA)")
	}
	if closeFactors(n) {
		return weak("the RSA modulus is a product of two close factors")
	}
	// Where n is a power of a prime p, p divides 2ⁿ - 2 (Fermat). Where n is a product of different large
	// primes it has no common factor with it, but by a chance of less than 2⁻⁵⁰⁰.
	two := big.NewInt(2)
	g := newInt().Exp(two, n, n)
	g.Sub(g, two)
	if g.GCD(nil, nil, g.Mod(g, n), n).Cmp(big.NewInt(1)) != 0 {
		return weak("the RSA modulus is a prime or a power of one")
	}
	return nil
}

// smallPrime reports whether the odd q, at least 3, is prime.
func smallPrime(q int64) bool {
	for d := int64(3); d*d <= q; d += 2 {
		if q%d == 0 {
			return false
		}
	}
	return true
}

// powerOf65537 reports whether r is a power of 65537 modulo the prime q. A ROCA modulus is one modulo
// every small prime; any other modulus is for all of those up to 167 in about one of 2²⁷.
func powerOf65537(r, q int64) bool {
	for x := 65537 % q; ; x = x * 65537 % q {
		if x == r {
			return true
		}
		if x == 1 {
			return false
		}
	}
}

// closeFactors runs Fermat's method: n = a² - b² = (a-b)(a+b) for one of the first values of a
// from √n upwards. A perfect square ends in the first round.
func closeFactors(n *big.Int) bool {
	one := big.NewInt(1)
	a := newInt().Sqrt(n)
	if newInt().Mul(a, a).Cmp(n) < 0 {
		a.Add(a, one)
	}
	rest, root := newInt(), newInt()
	for range fermatSteps {
		rest.Sub(rest.Mul(a, a), n)
		root.Sqrt(rest)
		if root.Mul(root, root).Cmp(rest) == 0 {
			return true
		}
		a.Add(a, one)
	}
	return false
}
