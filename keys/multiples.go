package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/binary"
	"runtime"
	"sync"

	"filippo.io/edwards25519"
)

// To verify an Ed25519 signature R S of a message by the key A is to compute [S]B - [k]A, where k is the SHA-512 of R, A
// and the message modulo ℓ, and to compare how it is encoded with R (RFC 8032 section 5.1.7, without the cofactor). Most of that
// is doubling, which is saved where multiples of A and of B, the base point, are there:
//
//	[k]A = Σ 2^(16 i) Σ 2^j [d(16 i + j)]A     i and j from 0 to 15
//
// where the d are the signed digits of k, one in four of them not 0 on average, so that j alone takes doubling. All points are
// computed by filippo.io/edwards25519, which is what the standard library computes with.

const (
	stride = 16 // binary places from one row of multiples to the next

	keyWidth  = 3 // binary places of a digit with a key's multiples
	baseWidth = 8 // the same with those of the base point
)

const (
	keepAfter = 4    // good signatures after which a key's multiples are kept, while there is room
	evenAfter = 64   // and in place of another key's, while there is none
	maxKept   = 1024 // keys whose multiples are kept, of less than 6 kB each
	maxSeen   = 4096 // keys whose good signatures are counted
)

// keeps is false in a browser, which would have to load more to verify little.
const keeps = runtime.GOOS != "js"

// rawKey is an Ed25519 key as RFC 8032 section 5.1.5 encodes it.
type rawKey [ed25519.PublicKeySize]byte

// A keeper keeps the multiples of keys that are used again and again.
type keeper struct {
	mu   sync.RWMutex
	kept map[rawKey]*multiples // of each key's negative
	seen map[rawKey]int        // good signatures of keys that are not kept
}

func newKeeper() *keeper {
	return &keeper{kept: make(map[rawKey]*multiples), seen: make(map[rawKey]int)}
}

// common is the keeper of the whole program: which keys come again is the same wherever they are verified.
var common = newKeeper()

// verifyEd25519 is ed25519.Verify, and false for a key of another length than 32 bytes.
func verifyEd25519(pub ed25519.PublicKey, msg, sig []byte) bool {
	if !keeps {
		return ed25519.Verify(pub, msg, sig)
	}
	return common.verify(pub, msg, sig)
}

// verify is verifyEd25519. The multiples shorten how a signature is accepted; what they do not accept the standard
// library judges.
func (k *keeper) verify(pub ed25519.PublicKey, msg, sig []byte) bool {
	if len(pub) != ed25519.PublicKeySize {
		return false
	}
	key := rawKey(pub)
	k.mu.RLock()
	m := k.kept[key]
	k.mu.RUnlock()
	if m != nil && m.verify(pub, msg, sig) {
		return true
	}
	if !ed25519.Verify(pub, msg, sig) {
		return false
	}
	if m == nil && k.again(key) {
		k.keep(pub, multiplesOf(pub), msg, sig)
	}
	return true
}

// again counts a good signature and says whether the key's multiples are to be made.
func (k *keeper) again(key rawKey) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept[key] != nil { // since it was looked for
		return false
	}
	if len(k.seen) >= maxSeen {
		clear(k.seen)
	}
	k.seen[key]++
	enough := keepAfter
	if len(k.kept) >= maxKept {
		enough = evenAfter
	}
	if k.seen[key] < enough {
		return false
	}
	delete(k.seen, key)
	return true
}

// keep keeps a key's multiples, in place of any other's if there is no room. They must accept a signature that the standard library has
// accepted: those of another key would not.
func (k *keeper) keep(pub ed25519.PublicKey, m *multiples, msg, sig []byte) {
	if m == nil || !m.verify(pub, msg, sig) {
		return
	}
	key := rawKey(pub)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept[key] != nil {
		return
	}
	for other := range k.kept {
		if len(k.kept) < maxKept {
			break
		}
		delete(k.kept, other)
	}
	k.kept[key] = m
}

// multiples of a point P: row i holds [2^(16 i)]P times 1, 3 and so on, as far as a digit of its width goes.
type multiples [256 / stride][]edwards25519.Point

func newMultiples(p *edwards25519.Point, width int) *multiples {
	m, p := new(multiples), new(edwards25519.Point).Set(p)
	all := make([]edwards25519.Point, len(m)<<(width-2))
	for i := range m {
		m[i], all = all[:1<<(width-2)], all[1<<(width-2):]
		twice := new(edwards25519.Point).Add(p, p)
		m[i][0].Set(p)
		for j := 1; j < len(m[i]); j++ {
			m[i][j].Add(&m[i][j-1], twice)
		}
		for range stride {
			p.Add(p, p)
		}
	}
	return m
}

// multiplesOf returns the multiples of a key's negative; nil: it is no point.
func multiplesOf(pub ed25519.PublicKey) *multiples {
	a, err := new(edwards25519.Point).SetBytes(pub)
	if err != nil {
		return nil
	}
	return newMultiples(a.Negate(a), keyWidth)
}

// ofBase are the multiples of the base point: 160 KiB, made in a fraction of a millisecond.
var ofBase = sync.OnceValue(func() *multiples { return newMultiples(edwards25519.NewGeneratorPoint(), baseWidth) })

// verify is ed25519.Verify for the key of whose negative these are the multiples.
func (m *multiples) verify(pub ed25519.PublicKey, msg, sig []byte) bool {
	if len(sig) != ed25519.SignatureSize {
		return false
	}
	var s, k edwards25519.Scalar
	if _, err := s.SetCanonicalBytes(sig[32:]); err != nil {
		return false
	}
	h := sha512.New()
	h.Write(sig[:32])
	h.Write(pub)
	h.Write(msg)
	var sum [sha512.Size]byte
	if _, err := k.SetUniformBytes(h.Sum(sum[:0])); err != nil {
		panic("keys: SHA-512 has 64 bytes")
	}
	r := edwards25519.NewIdentityPoint()
	m.add(r, &k, &s)
	return bytes.Equal(r.Bytes(), sig[:32])
}

// add adds [k]P + [s]B to the identity, in a time that depends on the scalars.
func (m *multiples) add(sum *edwards25519.Point, k, s *edwards25519.Scalar) {
	base := ofBase()
	kDigits, sDigits := digits(k.Bytes(), keyWidth), digits(s.Bytes(), baseWidth)
	for j := stride - 1; j >= 0; j-- {
		sum.Add(sum, sum)
		for i := range m {
			addDigit(sum, m[i], kDigits[i*stride+j])
			addDigit(sum, base[i], sDigits[i*stride+j])
		}
	}
}

// addDigit adds the point times a digit that is odd or 0.
func addDigit(sum *edwards25519.Point, row []edwards25519.Point, digit int8) {
	switch {
	case digit > 0:
		sum.Add(sum, &row[digit/2])
	case digit < 0:
		sum.Subtract(sum, &row[-(digit/2)])
	}
}

// digits writes a scalar, little-endian and below 2^253, as the sum of 2^i times the i-th digit. Each is 0 or odd
// and between -2^(width-1) and 2^(width-1), and of so many that follow one another at most one is not 0.
func digits(scalar []byte, width int) (d [256]int8) {
	var words [5]uint64
	for i := range 4 {
		words[i] = binary.LittleEndian.Uint64(scalar[8*i:])
	}
	carry := uint64(0) // what the digits before left to add here
	for i := 0; i < len(d); {
		bits := words[i/64]>>(i%64) | words[i/64+1]<<(64-i%64)
		if bits&1 == carry { // their sum is even
			i++
			continue
		}
		digit := int(bits&(1<<width-1) + carry)
		if carry = 0; digit > 1<<(width-1) {
			digit -= 1 << width
			carry = 1
		}
		d[i] = int8(digit)
		i += width
	}
	return d
}
