package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/edwards25519"
)

// testPoints are points of every kind that Verify can meet: of the prime order, of each small order, and sums of both.
func testPoints(t testing.TB) map[string]*edwards25519.Point {
	t.Helper()
	points := map[string]*edwards25519.Point{"base": edwards25519.NewGeneratorPoint()}
	for i := range 4 {
		pub := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32)).Public().(ed25519.PublicKey)
		p, err := new(edwards25519.Point).SetBytes(pub)
		if err != nil {
			t.Fatal(err)
		}
		points[hex.EncodeToString(pub[:4])] = p
	}
	// A point of order 8, of which the multiples are all of small order.
	b, err := hex.DecodeString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	if err != nil {
		t.Fatal(err)
	}
	torsion, err := new(edwards25519.Point).SetBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	sum := edwards25519.NewIdentityPoint()
	for i := range 8 {
		points["torsion "+string('0'+rune(i))] = new(edwards25519.Point).Set(sum)
		points["mixed "+string('0'+rune(i))] = new(edwards25519.Point).Add(sum, edwards25519.NewGeneratorPoint())
		sum.Add(sum, torsion)
	}
	if sum.Equal(edwards25519.NewIdentityPoint()) != 1 {
		t.Fatal("the point is not of order 8")
	}
	return points
}

// testScalars are those at the ends, with every digit at its ends, and any.
func testScalars(t testing.TB) []*edwards25519.Scalar {
	t.Helper()
	var scalars []*edwards25519.Scalar
	add := func(b []byte) {
		s, err := edwards25519.NewScalar().SetCanonicalBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		scalars = append(scalars, s)
	}
	add(make([]byte, 32))
	add(orderMinusOne[:])
	for bit := range 253 {
		b := make([]byte, 32)
		b[bit/8] = 1 << (bit % 8)
		if bit < 252 {
			add(b)
		}
		// The ones below and this one: all that can be carried.
		b = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(bit)), big.NewInt(1)).FillBytes(make([]byte, 32))
		slices.Reverse(b)
		add(b)
	}
	for _, fill := range []byte{0x0f, 0x10, 0x11, 0x55, 0x7f, 0x80, 0x81, 0xaa, 0xf0, 0xff} {
		b := bytes.Repeat([]byte{fill}, 32)
		b[31] &= 0x0f
		add(b)
	}
	for range 200 {
		b := make([]byte, 32)
		rand.Read(b)
		b[31] &= 0x0f
		add(b)
	}
	return scalars
}

// TestDigits adds the digits up again, and holds them to what the rows of multiples have.
func TestDigits(t *testing.T) {
	for _, width := range []int{keyWidth, baseWidth} {
		for _, s := range testScalars(t) {
			sum, last := new(big.Int), -width
			for i, d := range digits(s.Bytes(), width) {
				if d == 0 {
					continue
				}
				if d%2 == 0 || int(d) >= 1<<(width-1) || -int(d) >= 1<<(width-1) {
					t.Fatalf("%x, width %d: digit %d is %d", s.Bytes(), width, i, d)
				}
				if i-last < width {
					t.Fatalf("%x, width %d: digit %d follows %d", s.Bytes(), width, i, last)
				}
				last = i
				sum.Add(sum, new(big.Int).Lsh(big.NewInt(int64(d)), uint(i)))
			}
			want := s.Bytes()
			slices.Reverse(want)
			if sum.Cmp(new(big.Int).SetBytes(want)) != 0 {
				t.Fatalf("%x, width %d: the digits are of %x", s.Bytes(), width, sum)
			}
		}
	}
}

// TestMultiples holds the sum to that of the library, which goes bit by bit.
func TestMultiples(t *testing.T) {
	scalars := testScalars(t)
	for name, p := range testPoints(t) {
		m := newMultiples(p, keyWidth)
		for i, k := range scalars {
			s := scalars[(i*7+3)%len(scalars)]
			want := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(k, p, s)
			got := edwards25519.NewIdentityPoint()
			if m.add(got, k, s); !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Fatalf("[%x]P + [%x]B, P = %s: %x, want %x", k.Bytes(), s.Bytes(), name, got.Bytes(), want.Bytes())
			}
		}
	}
}

// TestKeptVerify changes each bit of a signature, of the message and of the key, and adds multiples of the order to S:
// with the key's multiples the verdict is the standard library's.
func TestKeptVerify(t *testing.T) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	pub, msg := private.Public().(ed25519.PublicKey), []byte("We, the undersigned")
	sig := ed25519.Sign(private, msg)
	m := multiplesOf(pub)
	same := func(what string, msg, sig []byte) bool {
		t.Helper()
		got, want := m.verify(pub, msg, sig), ed25519.Verify(pub, msg, sig)
		if got != want {
			t.Errorf("%s: %v, and the standard library says %v", what, got, want)
		}
		return got
	}
	if !same("as signed", msg, sig) {
		t.Fatal("the signature is not accepted")
	}
	for i := range 8 * len(sig) {
		bad := bytes.Clone(sig)
		bad[i/8] ^= 1 << (i % 8)
		if same("signature", msg, bad) {
			t.Errorf("bit %d of the signature is changed, and it is accepted", i)
		}
	}
	for i := range 8 * len(msg) {
		bad := bytes.Clone(msg)
		bad[i/8] ^= 1 << (i % 8)
		if same("message", bad, sig) {
			t.Errorf("bit %d of the message is changed, and it is accepted", i)
		}
	}
	for i := range 8 * len(pub) {
		bad := bytes.Clone(pub)
		bad[i/8] ^= 1 << (i % 8)
		if other := multiplesOf(bad); other != nil && other.verify(bad, msg, sig) {
			t.Errorf("bit %d of the key is changed, and it is accepted", i)
		}
	}
	for _, length := range []int{0, 31, 32, 63, 65, 128} {
		if same("length", msg, append(bytes.Clone(sig), make([]byte, 128)...)[:length]) {
			t.Errorf("a signature of %d bytes is accepted", length)
		}
	}
	order := new(big.Int).Add(little(orderMinusOne[:]), big.NewInt(1))
	for n := int64(1); n < 16; n++ {
		s := little(sig[32:])
		s.Add(s, new(big.Int).Mul(order, big.NewInt(n)))
		if s.BitLen() > 256 {
			break
		}
		again := s.FillBytes(make([]byte, 32))
		slices.Reverse(again)
		if same("S", msg, append(bytes.Clone(sig[:32]), again...)) {
			t.Errorf("S is larger by %d times the order, and it is accepted", n)
		}
	}
	// The identity, encoded in every way, for S = 0 and for the S that the equation gives.
	for _, y := range []byte{1, 0xee} {
		r := bytes.Repeat([]byte{0xff}, 32)
		if y == 1 {
			r = make([]byte, 32)
		}
		r[0] = y
		for _, sign := range []byte{0, 0x80} {
			r[31] = r[31]&0x7f | sign
			same("R is the identity", msg, append(bytes.Clone(r), make([]byte, 32)...))
			same("R is the identity", msg, append(bytes.Clone(r), sig[32:]...))
		}
	}
}

// TestKeptR signs as the key's holder can, with an R that is another than the equation's by one bit.
func TestKeptR(t *testing.T) {
	a, key := testScalar(t, 10)
	pub, msg := key.Public().(ed25519.PublicKey), []byte("We, the undersigned")
	nonce, err := edwards25519.NewScalar().SetUniformBytes(bytes.Repeat([]byte{11}, 64))
	if err != nil {
		t.Fatal(err)
	}
	m := multiplesOf(pub)
	for i := range 8*32 + 1 {
		r := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
		if i < 8*32 {
			r[i/8] ^= 1 << (i % 8)
		}
		sig := signR(t, a, nonce, r, pub, msg)
		got, want := m.verify(pub, msg, sig), ed25519.Verify(pub, msg, sig)
		if got != want || got != (i == 8*32) {
			t.Errorf("bit %d of R: %v, and the standard library says %v", i, got, want)
		}
	}
}

// signWith makes a signature as whoever knows the private half of a point can, for a key that need not be that point's: with R and S as they
// would be if the key's point were [a]B.
func signWith(t *testing.T, a *edwards25519.Scalar, pub, msg []byte, add *edwards25519.Point) []byte {
	t.Helper()
	nonce, err := edwards25519.NewScalar().SetUniformBytes(bytes.Repeat([]byte{21}, 64))
	if err != nil {
		t.Fatal(err)
	}
	r := new(edwards25519.Point).ScalarBaseMult(nonce)
	return signR(t, a, nonce, r.Add(r, add).Bytes(), pub, msg)
}

// signR is S for an R that is given.
func signR(t *testing.T, a, nonce *edwards25519.Scalar, r, pub, msg []byte) []byte {
	t.Helper()
	sum := sha512.Sum512(slices.Concat(r, pub, msg))
	k, err := edwards25519.NewScalar().SetUniformBytes(sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(r, edwards25519.NewScalar().MultiplyAdd(k, a, nonce).Bytes())
}

// testScalar returns the private half of a key as a scalar, and the key.
func testScalar(t *testing.T, seed byte) (*edwards25519.Scalar, ed25519.PrivateKey) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))
	sum := sha512.Sum512(key.Seed())
	a, err := edwards25519.NewScalar().SetBytesWithClamping(sum[:32])
	if err != nil {
		t.Fatal(err)
	}
	return a, key
}

// TestKeptIsTheKeys has keys verify until their multiples are kept, looks at those, and forges as one could whose verifier has the
// multiples of the identity, of the base point, of another key or of a key that is not negated.
func TestKeptIsTheKeys(t *testing.T) {
	keeper := newKeeper()
	zero, one := edwards25519.NewScalar(), edwards25519.NewScalar()
	if _, err := one.SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...)); err != nil {
		t.Fatal(err)
	}
	identity := edwards25519.NewIdentityPoint()
	known := []*edwards25519.Scalar{zero, one, edwards25519.NewScalar().Negate(one)}
	var private []ed25519.PrivateKey
	for seed := range byte(4) {
		a, key := testScalar(t, 30+seed)
		private, known = append(private, key), append(known, a, edwards25519.NewScalar().Negate(a))
	}
	for range 2 * keepAfter {
		for _, key := range private {
			if pub := key.Public().(ed25519.PublicKey); !keeper.verify(pub, []byte("known"), ed25519.Sign(key, []byte("known"))) {
				t.Fatal("refused")
			}
		}
	}
	for i, key := range private {
		pub := key.Public().(ed25519.PublicKey)
		m := keeper.kept[rawKey(pub)]
		if m == nil {
			t.Fatal("the multiples are not kept")
		}
		p, err := new(edwards25519.Point).SetBytes(pub)
		if err != nil {
			t.Fatal(err)
		}
		p.Negate(p)
		for row := range m {
			sum := new(edwards25519.Point).Set(p)
			for j := range m[row] {
				if m[row][j].Equal(sum) != 1 {
					t.Fatalf("multiple %d of row %d is not the key's", j, row)
				}
				sum.Add(sum, p).Add(sum, p)
			}
			for range stride {
				p.Add(p, p)
			}
		}
		for j, a := range known {
			own := j == len(known)-2*len(private)+2*i
			msg := []byte("forged")
			if got := keeper.verify(pub, msg, signWith(t, a, pub, msg, identity)); got != own {
				t.Errorf("key %d, signed with secret %d: %v", i, j, got)
			}
		}
	}
}

// TestKeptStrict signs what only a laxer equation accepts: with the cofactor, of points that are compared and not their bytes, or with a key
// whose hash is that of another encoding.
func TestKeptStrict(t *testing.T) {
	points := testPoints(t)
	a, key := testScalar(t, 40)
	pub := key.Public().(ed25519.PublicKey)
	m := multiplesOf(pub)
	same := func(what string, m *multiples, pub, msg, sig []byte) bool {
		t.Helper()
		got, want := m.verify(pub, msg, sig), ed25519.Verify(pub, msg, sig)
		if got != want {
			t.Errorf("%s: %v, and the standard library says %v", what, got, want)
		}
		return got
	}
	for i := range 8 {
		msg := []byte("cofactor")
		torsion := points["torsion "+string('0'+rune(i))]
		if got := same("R with torsion", m, pub, msg, signWith(t, a, pub, msg, torsion)); got != (i == 0) {
			t.Errorf("R with torsion %d: %v", i, got)
		}
	}
	// R is the identity, y = 1, and so is y = 1 + p; x = 0 has no sign.
	canonical, beyond := append([]byte{1}, make([]byte, 31)...), bytes.Repeat([]byte{0xff}, 32)
	beyond[0], beyond[31] = 0xee, 0x7f
	for _, sign := range []byte{0, 0x80} {
		for _, r := range [][]byte{canonical, beyond} {
			r = bytes.Clone(r)
			r[31] |= sign
			want := r[0] == 1 && sign == 0
			if got := same("the identity", m, pub, []byte("R"), signR(t, a, edwards25519.NewScalar(), r, pub, []byte("R"))); got != want {
				t.Errorf("R = %x: %v", r, got)
			}
		}
	}
	// y = 0 is of order 4, and so is y = p: which multiple [k]A is follows from the hash.
	order4 := bytes.Repeat([]byte{0xff}, 32)
	order4[0], order4[31] = 0xed, 0x7f
	if m = multiplesOf(order4); m == nil {
		t.Fatal("y = p is a point")
	}
	accepted := 0
	for i := range byte(64) {
		for j := range 8 {
			if same("y = p", m, order4, []byte{i}, signWith(t, edwards25519.NewScalar(), order4, []byte{i}, points["torsion "+string('0'+rune(j))])) {
				accepted++
			}
		}
	}
	if accepted < 32 || accepted > 128 { // a quarter of the even multiples, whose hashes follow from R
		t.Errorf("a key of order 4 accepts %d of 512", accepted)
	}
}

func little(b []byte) *big.Int {
	b = bytes.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// TestKeeper verifies by one key on many goroutines, before its multiples are there and after.
func TestKeeper(t *testing.T) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	pub := private.Public().(ed25519.PublicKey)
	k := newKeeper()
	for range 2 * keepAfter {
		if k.verify(pub, []byte("any"), make([]byte, ed25519.SignatureSize)) {
			t.Fatal("a signature of zeros is accepted")
		}
	}
	if len(k.seen) != 0 {
		t.Error("wrong signatures count")
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 2 * keepAfter {
				msg := binary.BigEndian.AppendUint64(nil, uint64(100*w+i))
				sig := ed25519.Sign(private, msg)
				if !k.verify(pub, msg, sig) {
					t.Errorf("signature %d of %d is refused", i, w)
				}
				sig[i] ^= 1
				if k.verify(pub, msg, sig) {
					t.Errorf("wrong signature %d of %d is accepted", i, w)
				}
			}
		})
	}
	wg.Wait()
	if k.kept[rawKey(pub)] == nil {
		t.Error("the multiples are not kept")
	}
	for length := range 2 * ed25519.PublicKeySize {
		if length != ed25519.PublicKeySize && k.verify(make([]byte, length), nil, make([]byte, ed25519.SignatureSize)) {
			t.Errorf("a key of %d bytes verifies", length)
		}
	}
	// Multiples that are not those of the key are not kept.
	msg := []byte("damaged")
	sig := ed25519.Sign(private, msg)
	wrong := newMultiples(edwards25519.NewIdentityPoint(), keyWidth)
	delete(k.kept, rawKey(pub))
	k.keep(pub, wrong, msg, sig)
	k.keep(pub, nil, msg, sig)
	if len(k.kept) != 0 {
		t.Error("multiples of another point are kept")
	}
	// If they are damaged later, what they refuse is judged once more. What they accept is not: this is what they are for.
	k.kept[rawKey(pub)] = wrong
	if !k.verify(pub, msg, sig) {
		t.Error("with multiples that are damaged a good signature is refused")
	}
	if !k.verify(pub, msg, signWith(t, edwards25519.NewScalar(), pub, msg, edwards25519.NewIdentityPoint())) {
		t.Error("the multiples that are kept are not used")
	}
}

// TestCommonKeeper wants what a PublicKey verifies to be kept for all, except in a browser.
func TestCommonKeeper(t *testing.T) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{13}, 32))
	pub := private.Public().(ed25519.PublicKey)
	msg := []byte("common")
	sig := ed25519.Sign(private, msg)
	for range keepAfter {
		k, err := NewPublicKey(Ed25519, pub)
		if err != nil {
			t.Fatal(err)
		}
		if !k.Verify(testOrigin, msg, sig) {
			t.Fatal("refused")
		}
	}
	if kept := common.kept[rawKey(pub)] != nil; kept != keeps {
		t.Errorf("the multiples are kept: %v, want %v", kept, keeps)
	}
}

// TestKeeperBound has room for so many keys, and then wants more of the next.
func TestKeeperBound(t *testing.T) {
	k := newKeeper()
	some := newMultiples(edwards25519.NewGeneratorPoint(), keyWidth)
	for i := range maxKept {
		k.kept[rawKey(binary.BigEndian.AppendUint64(make([]byte, 24), uint64(i)))] = some
	}
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	pub, msg := private.Public().(ed25519.PublicKey), []byte("bound")
	sig := ed25519.Sign(private, msg)
	for i := range evenAfter {
		if k.kept[rawKey(pub)] != nil {
			t.Fatalf("a key takes another's place after %d signatures", i)
		}
		if !k.verify(pub, msg, sig) {
			t.Fatal("refused")
		}
	}
	if k.kept[rawKey(pub)] == nil || len(k.kept) != maxKept {
		t.Errorf("%d keys are kept, the next: %v", len(k.kept), k.kept[rawKey(pub)] != nil)
	}
	// Who was late makes nobody leave, and is not counted.
	if k.keep(pub, multiplesOf(pub), msg, sig); len(k.kept) != maxKept || k.again(rawKey(pub)) || len(k.seen) != 0 {
		t.Errorf("%d keys are kept and %d counted after one was to be kept twice", len(k.kept), len(k.seen))
	}
	// A count that is beyond what is enough, since there is room again, is enough.
	for other := range k.kept {
		delete(k.kept, other)
		k.seen[other] = keepAfter + 1
		if !k.again(other) {
			t.Error("a key that came often is not kept when there is room")
		}
		break
	}
	// Keys that come once are not remembered without end.
	for i := range 2 * maxSeen {
		k.again(rawKey(binary.BigEndian.AppendUint64(make([]byte, 24), uint64(i))))
		if len(k.seen) > maxSeen {
			t.Fatalf("the signatures of %d keys are counted", len(k.seen))
		}
	}
}

// FuzzKeptVerify holds every verdict to the standard library's, whatever the key.
func FuzzKeptVerify(f *testing.F) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{6}, 32))
	pub, msg := private.Public().(ed25519.PublicKey), []byte("fuzz")
	f.Add([]byte(pub), msg, ed25519.Sign(private, msg))
	small := make([]byte, 32)
	small[0] = 1
	f.Add(small, msg, append(bytes.Clone(small), make([]byte, 32)...))
	f.Fuzz(func(t *testing.T, pub, msg, sig []byte) {
		if len(pub) != ed25519.PublicKeySize {
			return
		}
		m := multiplesOf(pub)
		if m == nil {
			if ed25519.Verify(pub, msg, sig) {
				t.Error("the standard library verifies with what is no point")
			}
			return
		}
		if got, want := m.verify(pub, msg, sig), ed25519.Verify(pub, msg, sig); got != want {
			t.Errorf("%v, and the standard library says %v", got, want)
		}
	})
}

// BenchmarkKept verifies with the standard library and with multiples, in turns, and prints the ratio.
func BenchmarkKept(b *testing.B) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{12}, 32))
	pub, msg := private.Public().(ed25519.PublicKey), make([]byte, 700)
	sig, m := ed25519.Sign(private, msg), multiplesOf(private.Public().(ed25519.PublicKey))
	var plain, multiplied time.Duration
	for b.Loop() {
		began := time.Now()
		good := ed25519.Verify(pub, msg, sig)
		middle := time.Now()
		if !m.verify(pub, msg, sig) || !good {
			b.Fatal("refused")
		}
		plain, multiplied = plain+middle.Sub(began), multiplied+time.Since(middle)
	}
	b.ReportMetric(float64(multiplied)/float64(plain), "ratio")
	b.ReportMetric(float64(plain.Nanoseconds())/float64(b.N), "ns/plain")
}

func BenchmarkMakeMultiples(b *testing.B) {
	pub := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{12}, 32)).Public().(ed25519.PublicKey)
	for b.Loop() {
		if multiplesOf(pub) == nil {
			b.Fatal("no point")
		}
	}
}
