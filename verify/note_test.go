package verify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

const specCheckpoint = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

func TestCheckpoint(t *testing.T) {
	c, err := verify.ParseCheckpoint([]byte(specCheckpoint))
	if err != nil || c.Origin != "example.com/behind-the-sofa" || c.Size != 20852163 || hex.EncodeToString(c.Root[:4]) != "0ac5186a" {
		t.Fatal(c, err)
	}
	if string(c.Text()) != specCheckpoint {
		t.Fatal("prints otherwise")
	}
	empty := "a.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	if _, err := verify.ParseCheckpoint([]byte(empty)); err != nil {
		t.Error("the empty tree is refused:", err)
	}
	root := "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
	for name, text := range map[string]string{
		"empty": "", "one line": "a.example\n", "two lines": "a.example\n1\n", "no final LF": "a.example\n1\n" + root,
		"extension":    "a.example\n1\n" + root + "\nextension\n",
		"blank line":   "a.example\n1\n" + root + "\n\n",
		"no origin":    "\n1\n" + root + "\n",
		"space":        "a example\n1\n" + root + "\n",
		"plus":         "a+example\n1\n" + root + "\n",
		"tab":          "a\texample\n1\n" + root + "\n",
		"not UTF-8":    "a\xff\n1\n" + root + "\n",
		"U+2028":       "a\u2028b\n1\n" + root + "\n",
		"U+00A0":       "a\u00a0b\n1\n" + root + "\n",
		"256 bytes":    strings.Repeat("a", 256) + "\n1\n" + root + "\n",
		"CRLF":         "a.example\r\n1\r\n" + root + "\r\n",
		"leading zero": "a.example\n01\n" + root + "\n",
		"plus sign":    "a.example\n+1\n" + root + "\n",
		"minus":        "a.example\n-1\n" + root + "\n",
		"no size":      "a.example\n\n" + root + "\n",
		"size space":   "a.example\n1 \n" + root + "\n",
		"size 2^63":    "a.example\n9223372036854775808\n" + root + "\n",
		"size 2^64":    "a.example\n18446744073709551616\n" + root + "\n",
		"huge":         "a.example\n" + strings.Repeat("9", 1000) + "\n" + root + "\n",
		"short root":   "a.example\n1\n" + root[:40] + "\n",
		"no padding":   "a.example\n1\n" + root[:43] + "\n",
		"stray bits":   "a.example\n1\n" + root[:42] + "J=\n",
		"URL alphabet": "a.example\n1\n" + strings.ReplaceAll(root, "/", "_") + "\n",
		"empty root":   "a.example\n0\n" + root + "\n",
	} {
		if _, err := verify.ParseCheckpoint([]byte(text)); !errors.As(err, new(*verify.FormatError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := verify.ParseCheckpoint([]byte("a.example\n9223372036854775807\n" + root + "\n")); err != nil {
		t.Error("size 2^63-1 is refused:", err)
	}
}

// TestCosignedMessage spells out the bytes of tlog-cosignature.
func TestCosignedMessage(t *testing.T) {
	c, _ := verify.ParseCheckpoint([]byte(specCheckpoint))
	got := verify.CosignedMessage("witness.example.com/w1", 1679315147, c)
	want := "737562747265652f76310a00" + "16" + hex.EncodeToString([]byte("witness.example.com/w1")) + "000000006418" + "50cb" +
		"1b" + hex.EncodeToString([]byte("example.com/behind-the-sofa")) + "0000000000000000" + "00000000013e2dc3" + hex.EncodeToString(c.Root[:])
	if hex.EncodeToString(got) != want {
		t.Errorf("got %x", got)
	}
	w := newCosigner(t, "witness.example.com/w1", keys.TypeCosignatureEd25519, "w")
	if got, want := string(verify.SignedMessage(w.vkey, 1679315147, c)), "cosignature/v1\ntime 1679315147\n"+specCheckpoint; got != want {
		t.Errorf("got %q", got)
	}
	other := w.vkey
	other.Type = keys.TypeOther
	long := c
	long.Origin = strings.Repeat("a", 256)
	for name, msg := range map[string][]byte{
		"no name":     verify.CosignedMessage("", 1, c),
		"long name":   verify.CosignedMessage(strings.Repeat("a", 256), 1, c),
		"long origin": verify.CosignedMessage("a", 1, long),
		"no origin":   verify.CosignedMessage("a", 1, verify.Checkpoint{}),
		"time":        verify.CosignedMessage("a", 1<<63, c),
		"time 0x04":   verify.SignedMessage(w.vkey, 1<<63, c),
		"type":        verify.SignedMessage(other, 1, c),
	} {
		if msg != nil {
			t.Errorf("%s: there is a message", name)
		}
	}
	if _, err := verify.NewVerifier(other); err == nil {
		t.Error("a key of type 0xff signs checkpoints")
	}
	short := newCosigner(t, "a", keys.TypeCosignatureMLDSA44, "a").vkey
	short.Key = short.Key[1:]
	if _, err := verify.NewVerifier(short); err == nil {
		t.Error("a short ML-DSA-44 key signs checkpoints")
	}
	w.vkey.Key = w.vkey.Key[1:]
	if _, err := verify.NewVerifier(w.vkey); err == nil {
		t.Error("a short Ed25519 key signs checkpoints")
	}
}

func TestVerifier(t *testing.T) {
	c, _ := verify.ParseCheckpoint([]byte(specCheckpoint))
	for _, typ := range []byte{keys.TypeEd25519, keys.TypeCosignatureEd25519, keys.TypeCosignatureMLDSA44} {
		k := newCosigner(t, "witness.example/1", typ, "seed")
		v, err := verify.NewVerifier(k.vkey)
		if err != nil || v.Name() != k.vkey.Name || v.KeyHash() != k.vkey.KeyID {
			t.Fatal(err)
		}
		sign := func(seconds uint64) []byte {
			sig := k.sign(verify.SignedMessage(k.vkey, seconds, c))
			if typ != keys.TypeEd25519 {
				sig = verify.TimestampedSignature(seconds, sig)
			}
			return sig
		}
		for _, seconds := range []uint64{0, 1, 1679315147, math.MaxInt64} {
			if !v.Verify(c.Text(), sign(seconds)) {
				t.Errorf("type %#x: good signature of time %d refused", typ, seconds)
			}
		}
		sig := sign(1679315147)
		step := 1
		if len(sig) > 1000 {
			step = 97
		}
		for i := 0; i < len(sig); i += step {
			bad := bytes.Clone(sig)
			bad[i] ^= 0x20
			if v.Verify(c.Text(), bad) {
				t.Errorf("type %#x: signature changed at %d accepted", typ, i)
			}
		}
		for name, s := range map[string][]byte{"empty": nil, "short": sig[:len(sig)-1], "long": append(bytes.Clone(sig), 0), "8 bytes": sig[:8], "7 bytes": sig[:7]} {
			if v.Verify(c.Text(), s) {
				t.Errorf("type %#x: %s signature accepted", typ, name)
			}
		}
		if v.Verify([]byte(strings.Replace(specCheckpoint, "20852163", "20852164", 1)), sig) || v.Verify([]byte("no checkpoint\n"), sig) {
			t.Errorf("type %#x: signature of another text accepted", typ)
		}
		if typ != keys.TypeEd25519 {
			late := bytes.Clone(sig)
			late[0] |= 0x80
			if v.Verify(c.Text(), late) {
				t.Errorf("type %#x: a time beyond 2^63-1 accepted", typ)
			}
		}
		// The same key under another name: 0x06 signs the name, the others do not.
		other := k.vkey
		other.Name = "witness.example/2"
		v, _ = verify.NewVerifier(other)
		if v.Verify(c.Text(), sig) == (typ == keys.TypeCosignatureMLDSA44) {
			t.Errorf("type %#x: under another name", typ)
		}
	}
}

func FuzzCosignature(f *testing.F) {
	c, _ := verify.ParseCheckpoint([]byte(specCheckpoint))
	for _, typ := range []byte{keys.TypeCosignatureEd25519, keys.TypeCosignatureMLDSA44} {
		k := newCosigner(f, "w.example", typ, "fuzz")
		f.Add(c.Text(), verify.TimestampedSignature(7, k.sign(verify.SignedMessage(k.vkey, 7, c))))
	}
	var verifiers []interface{ Verify(text, sig []byte) bool }
	for _, typ := range []byte{keys.TypeEd25519, keys.TypeCosignatureEd25519, keys.TypeCosignatureMLDSA44} {
		v, err := verify.NewVerifier(newCosigner(f, "w.example", typ, "fuzz").vkey)
		if err != nil {
			f.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}
	f.Fuzz(func(t *testing.T, text, sig []byte) {
		for _, v := range verifiers {
			// The keys have signed one text only.
			if v.Verify(text, sig) && !bytes.Equal(text, c.Text()) {
				t.Fatalf("%q is signed", text)
			}
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte(specCheckpoint))
	f.Add([]byte("a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := verify.ParseCheckpoint(text)
		if err == nil && !bytes.Equal(c.Text(), text) {
			t.Fatal("prints otherwise")
		}
	})
}

// FuzzOpen: no note but a signed one is opened, and none that x/mod's note.Open refuses under the same keys.
func FuzzOpen(f *testing.F) {
	w := newEmptyWorld(f, rolltest.New(f), 1)
	w.log = w.log[:1] // small and quick
	w.publish()
	p := w.policy()
	f.Add(w.note)
	f.Add([]byte("a\n\n— b AAAAAAA=\n"))
	var known []note.Verifier
	for _, k := range append(w.log, w.witnesses...) {
		v, err := verify.NewVerifier(k.vkey)
		if err != nil {
			f.Fatal(err)
		}
		known = append(known, v)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := p.Open(b)
		if err != nil {
			return
		}
		if c.Checkpoint != w.checkpoint() {
			t.Fatal("another checkpoint was opened")
		}
		if n, err := note.Open(b, note.VerifierList(known...)); err != nil || n.Text != string(c.Text()) || len(n.Sigs) != len(c.LogKeys)+len(c.Cosignatures) {
			t.Fatal("x/mod opens it otherwise:", err)
		}
	})
}

func TestOpen(t *testing.T) {
	rec := rolltest.New(t)
	w := newEmptyWorld(t, rec, 3)
	w.publish()
	p := w.policy()
	good := w.note
	c, err := p.Open(good)
	if err != nil || c.Checkpoint != w.checkpoint() || len(c.LogKeys) != 2 || len(c.Cosignatures) != 3 || !bytes.Equal(c.Note, good) {
		t.Fatal(c, err)
	}
	now := rec.Now.Truncate(time.Second)
	if c.Cosignatures[1].Witness != "w1" || !c.Seen().Equal(now) || !c.FirstSeen().Equal(now) || !c.LogTime.Equal(now) {
		t.Error("times:", c.Seen(), c.FirstSeen(), c.LogTime, now)
	}
	lines := strings.SplitAfter(string(good), "\n")
	text, sigs := strings.Join(lines[:4], ""), lines[4:9]
	build := func(sigs ...string) []byte { return []byte(text + strings.Join(sigs, "")) }
	stranger := newCosigner(t, "stranger.example", keys.TypeEd25519, "s")
	strange := string(stranger.line(w.checkpoint(), now))
	sameName := newCosigner(t, rolltest.Origin, keys.TypeEd25519, "another key")
	other := w.checkpoint()
	other.Size++
	otherOrigin := w.checkpoint()
	otherOrigin.Origin = "elsewhere.example"
	flip := func(line string) string { // in the signature
		i := len(line) - 20
		b := byte('A')
		if line[i] == b {
			b = 'B'
		}
		return line[:i] + string(b) + line[i+1:]
	}
	var format *verify.FormatError
	var untrusted *verify.UntrustedError
	var quorum *verify.QuorumError
	for name, c := range map[string]struct {
		note []byte
		want any // nil: fine
	}{
		"one log key":              {build(slices.Concat(sigs[1:])...), nil},
		"another order":            {build(sigs[4], sigs[3], sigs[2], sigs[0]), nil},
		"a stranger's line":        {build(append([]string{strange}, sigs...)...), nil},
		"two of a stranger":        {build(append([]string{strange, strange}, sigs...)...), nil},
		"a stranger of the name":   {build(append([]string{string(sameName.line(w.checkpoint(), now))}, sigs...)...), nil},
		"no log":                   {build(sigs[2:]...), &untrusted},
		"stranger alone":           {build(strange), &untrusted},
		"log key's line changed":   {build(flip(sigs[0]), sigs[1], sigs[2], sigs[3], sigs[4]), &untrusted},
		"witness's line changed":   {build(sigs[0], sigs[1], flip(sigs[2]), sigs[3], sigs[4]), &untrusted},
		"witness missing":          {build(sigs[:4]...), &quorum},
		"witnesses missing":        {build(sigs[:2]...), &quorum},
		"a key twice":              {build(append(sigs, sigs[0])...), &format},
		"no signature":             {[]byte(text), &format},
		"no blank line":            {[]byte(strings.Replace(string(good), "\n\n", "\n", 1)), &format},
		"text alone":               {[]byte(text[:len(text)-1]), &format},
		"no final LF":              {good[:len(good)-1], &format},
		"blank line at the end":    {append(bytes.Clone(good), '\n'), &format},
		"hyphen":                   {[]byte(strings.Replace(string(good), "—", "-", 1)), &format},
		"nothing":                  {nil, &format},
		"too large":                {build(append(sigs, strings.Repeat(strange, verify.MaxNote/len(strange)))...), &format},
		"101 lines":                {build(append(slices.Clone(sigs), strings.Repeat(strange, 97))...), &format},
		"extension":                {[]byte(strings.Replace(string(good), "\n\n", "\nmore\n\n", 1)), &format},
		"CRLF":                     {[]byte(strings.ReplaceAll(string(good), "\n", "\r\n")), &format},
		"control character":        {[]byte(strings.Replace(string(good), rolltest.Origin, rolltest.Origin+"\x01", 1)), &format},
		"empty name":               {build("—  AAAAAAAA\n", strings.Join(sigs, "")), &format},
		"short signature":          {build("— a AAAAAA==\n", strings.Join(sigs, "")), &format},
		"stray bits":               {build("— a AAAAAAB=\n", strings.Join(sigs, "")), &format},
		"space after a signature":  {build("— a AAAAAAA= \n", strings.Join(sigs, "")), &format},
		"signatures of a larger":   {[]byte(string(other.Text()) + "\n" + strings.Join(sigs, "")), &untrusted},
		"signatures of another":    {[]byte(string(otherOrigin.Text()) + "\n" + strings.Join(sigs, "")), &untrusted},
		"signed under another one": {w.sign(otherOrigin, append(w.witnesses, w.log[0])...), &untrusted},
	} {
		got, err := p.Open(c.note)
		switch want := c.want.(type) {
		case nil:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		default:
			if !errors.As(err, want) {
				t.Errorf("%s: %v", name, err)
			}
			if want == any(&quorum) && (got == nil || quorum.Have != len(got.Cosignatures) || quorum.All != 3) {
				t.Errorf("%s: %v", name, quorum)
			}
		}
		if _, err := p.OpenPast(c.note); (err == nil) != (c.want == nil || c.want == any(&quorum)) {
			t.Errorf("%s: OpenPast: %v", name, err)
		}
	}
	// A note must not be opened by a witness's cosignature of another origin's log in the same policy.
	q := mustPolicy(t, w.policyText()+"log "+newCosigner(t, "elsewhere.example", keys.TypeEd25519, "e").vkey.String()+"\n")
	if _, err := q.Open(w.sign(otherOrigin, append(w.witnesses, w.log...)...)); !errors.As(err, &untrusted) {
		t.Error("one log of the policy signs for another:", err)
	}
	if got := q.Origins(); !slices.Equal(got, []string{rolltest.Origin, "elsewhere.example"}) || len(q.Logs()) != 3 || len(q.Witnesses()) != 3 || q.NoQuorum() {
		t.Error(got)
	}
}

func TestCosignatureWithoutTime(t *testing.T) {
	w := newEmptyWorld(t, rolltest.New(t), 2)
	w.publish()
	c := w.checkpoint()
	note := append(c.Text(), '\n')
	for _, k := range append(w.log, w.witnesses...) {
		note = append(note, k.line(c, time.Unix(0, 0))...)
	}
	got, err := w.policy().Open(note)
	if err != nil || !got.Seen().IsZero() || !got.FirstSeen().IsZero() || !got.LogTime.IsZero() {
		t.Error(got, err)
	}
	note = append(c.Text(), '\n')
	for _, k := range append(w.log, w.witnesses...) {
		note = append(note, k.line(c, time.Unix(math.MaxInt64, 0))...)
	}
	if got, err := w.policy().Open(note); err != nil || !got.Seen().IsZero() {
		t.Error("a time that cannot be written:", got.Seen(), err)
	}
}

func TestPolicy(t *testing.T) {
	key := func(name string, typ byte, seed string) string { return newCosigner(t, name, typ, seed).vkey.String() }
	l1, l6 := key("log.example", 1, "l"), key("log.example", 6, "l")
	a, b, c := key("w/a", 4, "a"), key("w/b", 6, "b"), key("w/c", 4, "c")
	base := "log " + l1 + "\nwitness A " + a + "\nwitness B " + b + "\nwitness C " + c + "\n"
	spec := "log " + l1 + "\n\nwitness X1 " + a + "\nwitness X2 " + b + "\nwitness X3 " + c + "\ngroup X-witnesses 2 X1 X2 X3\n\n" +
		"witness Y1 " + key("y", 4, "y1") + "\nwitness Y2 " + key("y", 4, "y2") + "\nwitness Y3 " + key("y", 4, "y3") + "\ngroup Y-witnesses any Y1 Y2 Y3\n\n" +
		"group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
	for name, text := range map[string]string{
		"the example of the specification": spec,
		"quorum none":                      "quorum none\n",
		"a single witness":                 base + "quorum A\n",
		"tabs, comments, blank lines":      "\t log \t " + l1 + "  https://log.example/ \n  # a comment\n#\n \t\nwitness\tA\t" + a + "\thttps://w\nquorum  A \n",
		"both log keys":                    "log " + l1 + "\nlog " + l6 + "\nquorum none\n",
		"names that are keywords":          base + "group any any A B\ngroup 2 all any C\nquorum 2\n",
		"high octets":                      "witness \xe2\x84\xaa " + a + " \xff\nwitness K " + b + "\n# \x80\nquorum \xe2\x84\xaa\n",
		"lines after the quorum":           base + "quorum A\n" + "log " + l6 + "\n",
		"quorum of a member":               base + "group g all A B\nquorum A\n",
		"nested":                           base + "group g all A\ngroup h 1 g B\ngroup i 2 h C\nquorum i\n",
		"a log's key as a witness":         "log " + l6 + "\nwitness A " + l6 + "\nquorum A\n",
	} {
		if _, err := verify.ParsePolicy([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := strings.Repeat("n", 255)
	for name, text := range map[string]string{
		"empty":                          "",
		"no quorum":                      base,
		"two quorums":                    base + "quorum A\nquorum A\n",
		"quorum none twice":              "quorum none\nquorum none\n",
		"quorum of nothing":              base + "quorum\n",
		"quorum of two":                  base + "quorum A B\n",
		"quorum unknown":                 base + "quorum D\n",
		"quorum of a later name":         "quorum A\n" + base,
		"no final LF":                    base + "quorum A",
		"CRLF":                           strings.ReplaceAll(base+"quorum A\n", "\n", "\r\n"),
		"BOM":                            "\ufeff" + base + "quorum A\n",
		"NUL":                            base + "# \x00\nquorum A\n",
		"DEL":                            base + "# \x7f\nquorum A\n",
		"vertical tab":                   base + "quorum\vA\n",
		"unknown keyword":                base + "Quorum A\n",
		"U+00A0 is no space":             base + "quorum\u00a0A\n",
		"log without key":                "log\nquorum none\n",
		"log with too much":              "log " + l1 + " url more\nquorum none\n",
		"log key changed":                "log " + strings.Replace(l1, "log.example", "log.exampl", 1) + "\nquorum none\n",
		"log key of type 4":              "log " + key("log.example", 4, "l") + "\nquorum none\n",
		"log twice":                      "log " + l1 + "\nlog " + l1 + "\nquorum none\n",
		"log twice, other name":          "log " + l1 + "\nlog " + key("other.example", 1, "l") + "\nquorum none\n",
		"log twice, other type's key ID": "log " + l6 + "\nlog " + key("x", 6, "l") + "\nquorum none\n",
		"witness without key":            base + "witness D\nquorum A\n",
		"witness with too much":          base + "witness D " + key("d", 4, "d") + " url more\nquorum A\n",
		"witness key of type 1":          base + "witness D " + key("d", 1, "d") + "\nquorum A\n",
		"witness key broken":             base + "witness D " + a[:len(a)-4] + "\nquorum A\n",
		"witness twice":                  base + "witness D " + a + "\nquorum A\n",
		"witness twice, other name":      base + "witness D " + key("d", 4, "a") + "\nquorum A\n",
		"witness twice, same line":       base + "witness A " + a + "\nquorum A\n",
		"witness named none":             base + "witness none " + key("d", 4, "d") + "\nquorum A\n",
		"witness named as a witness":     base + "witness A " + key("d", 4, "d") + "\nquorum A\n",
		"group named as a witness":       base + "group A all B\nquorum A\n",
		"group named none":               base + "group none all B\nquorum none\n",
		"group without members":          base + "group g all\nquorum g\n",
		"group without threshold":        base + "group g A B\nquorum g\n",
		"group of none":                  base + "group g any none\nquorum g\n",
		"group of itself":                base + "group g any g\nquorum g\n",
		"group of a later one":           base + "group g any h\ngroup h any A\nquorum g\n",
		"a member twice":                 base + "group g any A A\nquorum g\n",
		"a member of two groups":         base + "group g any A B\ngroup h any A C\nquorum h\n",
		"threshold 0":                    base + "group g 0 A B\nquorum g\n",
		"threshold above n":              base + "group g 3 A B\nquorum g\n",
		"threshold 01":                   base + "group g 01 A B\nquorum g\n",
		"threshold +1":                   base + "group g +1 A B\nquorum g\n",
		"threshold 1.0":                  base + "group g 1.0 A B\nquorum g\n",
		"threshold 2^64+1":               base + "group g 18446744073709551617 A B\nquorum g\n",
		"threshold ALL":                  base + "group g ALL A B\nquorum g\n",
		"too large":                      base + "# " + strings.Repeat("x", verify.MaxPolicy) + "\nquorum A\n",
	} {
		_, err := verify.ParsePolicy([]byte(text))
		if !errors.As(err, new(*verify.FormatError)) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), long) {
			t.Errorf("%s: the error repeats the input", name)
		}
	}
	for name, c := range map[string]struct{ policy, says string }{
		"BOM":            {"\ufeff" + base + "quorum A\n", "malformed policy: line 1: there is a byte order mark (BOM)"},
		"UTF-16":         {"\xff\xfe" + strings.Join(strings.Split(base, ""), "\x00") + "\x00", "malformed policy: line 1: it is in UTF-16"},
		"BOM in between": {base + "\ufeffquorum A\n", "there is a byte order mark (BOM)"},
		"CRLF":           {strings.ReplaceAll(base+"quorum A\n", "\n", "\r\n"), "malformed policy: line 1: lines must end in LF alone: there is a carriage return (CR)"},
	} {
		if _, err := verify.ParsePolicy([]byte(c.policy)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, n := range []int{32, 200} { // as many logs, witnesses and groups
		var p strings.Builder
		for i := range n {
			fmt.Fprintf(&p, "log %s\nwitness w%d %s\ngroup g%d any w%d\n", key("l", 1, fmt.Sprint("l", i)), i, key("w", 4, fmt.Sprint("w", i)), i, i)
		}
		p.WriteString("group q " + fmt.Sprint(n/2+1))
		for i := range n {
			fmt.Fprintf(&p, " g%d", i)
		}
		if _, err := verify.ParsePolicy([]byte(p.String() + "\nquorum q\n")); err != nil {
			t.Error(n, err)
		}
	}
}

// TestQuorum tries every set of six witnesses against the example of tlog-policy.
func TestQuorum(t *testing.T) {
	w := newEmptyWorld(t, rolltest.New(t), 6)
	w.publish()
	var b strings.Builder
	fmt.Fprintf(&b, "log %s\n", w.log[0].vkey)
	for i, k := range w.witnesses {
		fmt.Fprintf(&b, "witness w%d %s\n", i, k.vkey)
	}
	b.WriteString("group x 2 w0 w1 w2\ngroup y any w3 w4 w5\ngroup both all x y\nquorum both\n")
	p := mustPolicy(t, b.String())
	c := w.checkpoint()
	lines := make([]string, 6)
	for i, k := range w.witnesses {
		lines[i] = string(k.line(c, w.rec.Now))
	}
	head := string(w.sign(c, w.log[0]))
	for set := range 1 << 6 {
		msg, x, y := head, 0, 0
		for i, l := range lines {
			if set>>i&1 == 1 {
				msg += l
				if i < 3 {
					x++
				} else {
					y++
				}
			}
		}
		_, err := p.Open([]byte(msg))
		if enough := x >= 2 && y >= 1; (err == nil) != enough {
			t.Errorf("set %06b: %v", set, err)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	l := newCosigner(f, "log.example", 1, "l").vkey.String()
	a, b := newCosigner(f, "a", 4, "a").vkey.String(), newCosigner(f, "b", 4, "b").vkey.String()
	f.Add([]byte("log " + l + " url\nwitness A " + a + "\nwitness B " + b + "\ngroup g 1 A B\nquorum g\n"))
	f.Add([]byte("quorum none\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := verify.ParsePolicy(text)
		if err != nil {
			return
		}
		// What it understood, written plainly, is understood the same way.
		var plain strings.Builder
		for _, l := range p.Logs() {
			fmt.Fprintf(&plain, "log %s %s\n", l.VKey, l.URL)
		}
		for _, w := range p.Witnesses() {
			fmt.Fprintf(&plain, "witness %s %s %s\n", w.Name, w.VKey, w.URL)
		}
		q, err := verify.ParsePolicy([]byte(plain.String() + "quorum none\n"))
		if err != nil || len(q.Logs()) != len(p.Logs()) || len(q.Witnesses()) != len(p.Witnesses()) {
			t.Fatal("is understood otherwise when written again:", err)
		}
		if bytes.IndexFunc(text, func(r rune) bool { return r == '\r' || r == 0 }) >= 0 {
			t.Fatal("a control character was accepted")
		}
	})
}

func TestSignatureLine(t *testing.T) {
	k := newCosigner(t, "a.example", 1, "a").vkey
	line := string(verify.SignatureLine(k, []byte("signature")))
	want := "— a.example " + base64.StdEncoding.EncodeToString(append([]byte{byte(k.KeyID >> 24), byte(k.KeyID >> 16), byte(k.KeyID >> 8), byte(k.KeyID)}, "signature"...)) + "\n"
	if line != want {
		t.Error(line)
	}
}
