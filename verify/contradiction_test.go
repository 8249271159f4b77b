package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// dishonest is a log that signs whatever it is told, and a witness that cosigns it.
type dishonest struct {
	log, witness []*cosigner
	now          time.Time
}

func newDishonest(t testing.TB) *dishonest {
	return &dishonest{
		log: []*cosigner{
			newCosigner(t, rolltest.Origin, keys.TypeEd25519, "log"),
			newCosigner(t, rolltest.Origin, keys.TypeCosignatureMLDSA44, "log"),
		},
		witness: []*cosigner{newCosigner(t, "witness.example/w", keys.TypeCosignatureEd25519, "w")},
		now:     time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

func (d *dishonest) vkeys() []keys.VKey {
	var v []keys.VKey
	for _, k := range append(slices.Clone(d.log), d.witness...) {
		v = append(v, k.vkey)
	}
	return v
}

// note signs the tree over these leaves; every note a minute after the one before.
func (d *dishonest) note(leaves [][]byte, signers ...*cosigner) []byte {
	d.now = d.now.Add(time.Minute)
	c := verify.Checkpoint{Origin: rolltest.Origin, Size: uint64(len(leaves)), Root: slowRoot(leaves)}
	note := append(c.Text(), '\n')
	for _, s := range signers {
		note = append(note, s.line(c, d.now)...)
	}
	return note
}

func nodesOf(leaves [][]byte) verify.NodeReader {
	return func(level uint, index uint64) (h [32]byte, err error) {
		if (index+1)<<level > uint64(len(leaves)) {
			return h, errors.New("beyond the tree")
		}
		return slowRoot(leaves[index<<level : (index+1)<<level]), nil
	}
}

// mustConvict holds a file to its printed form, and returns what it proves.
func mustConvict(t testing.TB, c *verify.Contradiction) *verify.Conviction {
	t.Helper()
	if c == nil {
		t.Fatal("no contradiction was found")
	}
	b := c.Bytes()
	p, err := verify.ParseContradiction(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	for says, changed := range map[string]string{"line 1: there is a byte order mark (BOM)": "\ufeff" + string(b), "line 1: lines must end in LF alone": strings.ReplaceAll(string(b), "\n", "\r\n"),
		"line 1: it is in UTF-16": "\xfe\xff\x00" + strings.Join(strings.Split(string(b), ""), "\x00")} {
		if _, err := verify.ParseContradiction([]byte(changed)); err == nil || !strings.Contains(err.Error(), says) || !verify.IsContradiction([]byte(changed)) {
			t.Errorf("%v, which does not say %q", err, says)
		}
	}
	if !bytes.Equal(p.Bytes(), b) || !verify.IsContradiction(b) {
		t.Fatal("parsed and printed it is another file")
	}
	v, err := p.Check()
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if v.Sentence == "" || len(v.How) == 0 || len(v.Keys) == 0 {
		t.Fatalf("%+v", v)
	}
	return v
}

// Every pair of sizes, with the difference at every leaf, in either tree.
func TestContradictTrees(t *testing.T) {
	d := newDishonest(t)
	const most = 12
	ours := someLeaves(most)
	for n := 1; n <= most; n++ {
		larger := d.note(ours[:n], d.log...)
		for m := 1; m <= n; m++ {
			if c := verify.Contradict(d.vkeys(), d.note(ours[:m], d.log[0]), larger, nodesOf(ours[:n])); c != nil {
				t.Fatalf("%d continues %d, but: %s", n, m, c.Bytes())
			}
			for bad := range m {
				other := slices.Clone(ours[:m])
				other[bad] = []byte("another leaf")
				smaller := d.note(other, d.log...)
				v := mustConvict(t, verify.Contradict(d.vkeys(), larger, smaller, nodesOf(ours[:n])))
				want := verify.CasePrefix
				if m == n {
					want = verify.CaseSize
				}
				if v.Case != want || len(v.Keys) != 2 {
					t.Errorf("%d, %d, leaf %d: case %s, %d keys", m, n, bad, v.Case, len(v.Keys))
				}
				// A witness that is sent such a proof can keep it, but where the proof says nothing about the smaller tree.
				proof, err := verify.Consistency(uint64(m), uint64(n), nodesOf(ours[:n]))
				if err != nil {
					t.Fatal(err)
				}
				c := verify.ContradictByProof(d.vkeys(), smaller, larger, proof)
				if power := m&(m-1) == 0; (c == nil) != (power || m == n) {
					t.Errorf("by proof: %d, %d, leaf %d: %v", m, n, bad, c)
				}
			}
		}
	}
}

func TestContradictRollback(t *testing.T) {
	d := newDishonest(t)
	leaves := someLeaves(5)
	large := d.note(leaves, d.log...)
	small := d.note(leaves[:3], d.log...)
	v := mustConvict(t, verify.Contradict(d.vkeys(), small, large, nodesOf(leaves)))
	if v.Case != verify.CaseRollback || len(v.Keys) != 1 || v.Keys[0].Type != keys.TypeCosignatureMLDSA44 {
		t.Errorf("%+v", v)
	}
	older := d.note(leaves[:3], d.log...)
	newer := d.note(leaves, d.log...)
	if c := verify.Contradict(d.vkeys(), older, newer, nodesOf(leaves)); c != nil {
		t.Errorf("a log that grows: %s", c.Bytes())
	}
}

func TestContradictWitness(t *testing.T) {
	d := newDishonest(t)
	a, b := someLeaves(4), someLeaves(4)
	b[1] = []byte("another leaf")
	v := mustConvict(t, verify.Contradict(d.vkeys(), d.note(a, d.log[0], d.witness[0]), d.note(b, d.log[1], d.witness[0]), nil))
	if len(v.Keys) != 1 || v.Keys[0].Name != "witness.example/w" || !strings.HasPrefix(v.Sentence, "The witness witness.example/w ") {
		t.Errorf("%+v", v)
	}
	// Nobody signed both.
	if c := verify.Contradict(d.vkeys(), d.note(a, d.log[0]), d.note(b, d.log[1]), nil); c != nil {
		t.Errorf("%s", c.Bytes())
	}
}

// provenLeaf is a leaf with its proof in the tree of all leaves.
func provenLeaf(t testing.TB, leaves [][]byte, index int) verify.Support {
	t.Helper()
	proof, err := verify.Inclusion(uint64(index), uint64(len(leaves)), nodesOf(leaves))
	if err != nil {
		t.Fatal(err)
	}
	return verify.Support{Index: uint64(index), Leaf: leaves[index], Proof: proof}
}

func TestContradictEntry(t *testing.T) {
	d := newDishonest(t)
	w := newWorld(t, 0)
	var members []entry.PublicKey
	for _, raw := range w.rec.Leaves {
		leaf, err := entry.ParseLeaf(raw)
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := leaf.Entry.Body.(*entry.Membership); ok {
			members = append(members, m.PublicKeys...)
		}
	}
	endorsed := -1
	for i, raw := range w.rec.Leaves {
		if bytes.Contains(raw, []byte("undersigned/endorsement/v1")) {
			endorsed = i
			break
		}
	}
	edit := func(old, new string) func(leaf []byte) []byte {
		return func(leaf []byte) []byte {
			if !bytes.Contains(leaf, []byte(old)) {
				t.Fatalf("the leaf does not hold %q:\n%s", old, leaf)
			}
			return bytes.Replace(leaf, []byte(old), []byte(new), 1)
		}
	}
	same := func(leaf []byte) []byte { return leaf }
	made := func(body entry.Body) func([]byte) []byte {
		return func([]byte) []byte {
			return (&entry.Leaf{Admitted: w.rec.Now, Entry: &entry.Entry{Ledger: rolltest.Origin, Body: body}}).Bytes()
		}
	}
	before := w.rec.Now.Add(-time.Millisecond)
	for _, tt := range []struct {
		name  string
		index int
		edit  func([]byte) []byte
		why   string // "" : nothing can be proven
	}{
		{"as it is", endorsed, same, ""},
		{"malformed", endorsed, func([]byte) []byte { return []byte("nonsense") }, "not in the form"},
		{"another ledger", endorsed, edit("ledger "+rolltest.Origin, "ledger other.example/x"), "for another ledger"},
		{"a changed text", endorsed, edit("action endorse", "action withdraw"), "not by the key that it names"},
		{"a date long ago", endorsed, edit("date "+w.rec.Now.Format("2006-01"), "date "+w.rec.Now.AddDate(0, -3, 0).Format("2006-01")), "date is earlier or later"},
		{"a note of later", endorsed, edit("after ", "after 9"), "did not exist yet"},
		{"a form of later", endorsed, edit("undersigned/endorsement/v1", "undersigned/endorsement/v2"), ""},
		{"a roll", endorsed, made(&entry.Roll{Size: uint64(endorsed), AsOf: before}), ""},
		{"a roll of another place", endorsed, made(&entry.Roll{Size: uint64(endorsed) - 1, AsOf: before}), "another place"},
		{"a roll of its own moment", endorsed, made(&entry.Roll{Size: uint64(endorsed), AsOf: w.rec.Now}), "had not passed"},
		{"evidence", endorsed, made(&entry.Evidence{Type: entry.RFC3161, Size: uint64(endorsed), Data: []byte("x")}), ""},
		{"evidence about what is to come", endorsed, made(&entry.Evidence{Type: entry.RFC3161, Size: uint64(endorsed) + 1, Data: []byte("x")}), "did not exist yet"},
		{"evidence about nothing", endorsed, made(&entry.Evidence{Type: entry.RFC3161, Data: []byte("x")}), "did not exist yet"},
		{"a chain that is none", 1, func(leaf []byte) []byte { return append(bytes.Clone(leaf), "\ndnssec YWJj\n"...) }, "came with it shows nothing"},
		{"evidence that is no chain", endorsed, made(&entry.Evidence{Type: entry.DNSSEC, Member: "our.example", Data: []byte("x")}), "chain in it shows nothing"},
		{"not first", 1, func([]byte) []byte { return w.rec.Leaves[0] }, "only entry 0 has nothing before it"},
		{"not a charter", 0, func([]byte) []byte { return w.rec.Leaves[endorsed] }, "only entry 0 has nothing before it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leaves := slices.Clone(w.rec.Leaves)
			leaves[tt.index] = tt.edit(bytes.Clone(leaves[tt.index]))
			c := verify.ContradictEntry(d.vkeys(), d.note(leaves, append(d.log, d.witness...)...), members, provenLeaf(t, leaves, tt.index))
			if tt.why == "" {
				if c != nil {
					t.Fatalf("it convicts: %s", c.Bytes())
				}
				return
			}
			v := mustConvict(t, c)
			if !strings.Contains(v.Sentence, tt.why) || len(v.Keys) != 2 {
				t.Errorf("%+v", v)
			}
		})
	}

	pairs := []struct {
		name   string
		second func() []byte
		why    string
	}{
		{"twice", func() []byte { return w.rec.Leaves[endorsed] }, "once more"},
		{"back in time", func() []byte {
			leaf, _ := entry.ParseLeaf(w.rec.Leaves[len(w.rec.Leaves)-1])
			leaf.Admitted = leaf.Admitted.Add(-time.Hour)
			return leaf.Bytes()
		}, "recorded before entry"},
		{"the same previous entry", func() []byte {
			leaf, _ := entry.ParseLeaf(w.rec.Leaves[endorsed])
			e := leaf.Entry.Body.(*entry.Endorsement)
			e.Action = entry.Withdraw
			return leaf.Bytes()
		}, "the same previous entry"},
	}
	for _, tt := range pairs {
		t.Run(tt.name, func(t *testing.T) {
			leaves := append(slices.Clone(w.rec.Leaves), tt.second())
			last := len(leaves) - 1
			note := d.note(leaves, d.log...)
			v := mustConvict(t, verify.ContradictEntry(d.vkeys(), note, nil, provenLeaf(t, leaves, endorsed), provenLeaf(t, leaves, last)))
			if !strings.Contains(v.Sentence, tt.why) || !strings.Contains(v.Sentence, fmt.Sprintf("entry %d", last)) {
				t.Errorf("%+v", v)
			}
			if c := verify.ContradictEntry(d.vkeys(), note, nil, provenLeaf(t, leaves, 1), provenLeaf(t, leaves, 2)); c != nil {
				t.Errorf("two that may stand side by side: %s", c.Bytes())
			}
		})
	}
}

func TestContradictTime(t *testing.T) {
	d := newDishonest(t)
	w := newWorld(t, 0)
	leaves := w.rec.Leaves
	last := len(leaves) - 1
	leaf, err := entry.ParseLeaf(leaves[last])
	if err != nil {
		t.Fatal(err)
	}
	all := append(slices.Clone(d.log), d.witness...)
	lines := fmt.Sprintf("log %s\nlog %s\n", d.log[0].vkey, d.log[1].vkey)
	trusting := mustPolicy(t, lines+fmt.Sprintf("witness w %s\nquorum w\n", d.witness[0].vkey))
	two := newCosigner(t, "two.example/w", keys.TypeCosignatureEd25519, "two")
	asking := mustPolicy(t, lines+fmt.Sprintf("witness w %s\nwitness two %s\ngroup g all w two\nquorum g\n", d.witness[0].vkey, two.vkey))
	none := mustPolicy(t, lines+"quorum none\n")
	at := func(delta time.Duration, leaves [][]byte, signers ...*cosigner) []byte {
		d.now = leaf.Admitted.Add(delta - time.Minute)
		return d.note(leaves, signers...)
	}
	for _, tt := range []struct {
		name        string
		policy      *verify.Policy
		note, older []byte
		proven      bool
	}{
		{"in time", trusting, at(time.Minute, leaves, all...), at(-time.Hour, leaves[:last], all...), false},
		{"older signed within the slack", trusting, at(time.Hour, leaves, all...), at(4*time.Minute, leaves[:last], all...), false},
		{"older signed later", trusting, at(time.Hour, leaves, all...), at(6*time.Minute, leaves[:last], all...), true},
		{"older signed later, by the log's word", trusting, at(time.Hour, leaves, d.log...), at(6*time.Minute, leaves[:last], d.log...), true},
		{"older signed later, by a witness's word", trusting, at(time.Hour, leaves, d.log[0], d.witness[0]), at(6*time.Minute, leaves[:last], d.log[0], d.witness[0]), true},
		{"a witness without the log", trusting, at(time.Hour, leaves, d.witness...), at(6*time.Minute, leaves[:last], d.witness...), false},
		{"a log without a time", trusting, at(time.Hour, leaves, d.log[0]), at(6*time.Minute, leaves[:last], d.log[0]), false},
		{"by a witness's word, of a policy that asks for two", asking, at(time.Hour, leaves, d.log[0], d.witness[0]), at(6*time.Minute, leaves[:last], d.log[0], d.witness[0]), false},
		{"by a witness's word, of a policy that asks for none", none, at(time.Hour, leaves, d.log[0], d.witness[0]), at(6*time.Minute, leaves[:last], d.log[0], d.witness[0]), false},
		{"by the word of two, of which one agrees with the entry", asking, at(time.Hour, leaves, d.log[0], d.witness[0], two),
			append(at(6*time.Minute, leaves[:last], d.log[0], d.witness[0]), two.line(w.checkpointOf(leaves[:last]), leaf.Admitted)...), false},
		{"the note that holds it signed earlier", trusting, at(-6*time.Minute, leaves, all...), nil, true},
		{"the note that holds it signed within the slack", trusting, at(-4*time.Minute, leaves, all...), nil, false},
		{"the older one holds it too", trusting, at(time.Hour, leaves, all...), at(6*time.Minute, leaves, all...), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := verify.ContradictTime(tt.policy, tt.note, tt.older, provenLeaf(t, leaves, last))
			if (c != nil) != tt.proven {
				t.Fatalf("proven: %v", c != nil)
			}
			if tt.proven {
				v, err := c.CheckUnder(tt.policy)
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range v.Keys {
					if k.Name != rolltest.Origin {
						t.Errorf("it convicts %s", k.Name)
					}
				}
			}
		})
	}

	// Somebody signs with a key made a moment ago that an honest note was there long before its entries: the log's own time in that
	// note is not named.
	honest := at(time.Minute, leaves, d.log...)
	nobody := newCosigner(t, "evil.example/nobody", keys.TypeCosignatureEd25519, "nobody")
	forged := &verify.Contradiction{
		Case: verify.CaseTime, Keys: []keys.VKey{d.log[0].vkey, nobody.vkey}, Leaves: []verify.Support{provenLeaf(t, leaves, last)},
		Notes: [][]byte{append(bytes.Clone(honest), nobody.line(w.checkpointOf(leaves), leaf.Admitted.Add(-time.Hour))...)},
	}
	for _, p := range []*verify.Policy{nil, trusting, asking, none} {
		if v, err := forged.CheckUnder(p); err == nil {
			t.Errorf("it convicts an honest log: %+v", v)
		}
	}
}

// checkpointOf is the checkpoint over these leaves.
func (w *world) checkpointOf(leaves [][]byte) verify.Checkpoint {
	return verify.Checkpoint{Origin: rolltest.Origin, Size: uint64(len(leaves)), Root: slowRoot(leaves)}
}

// A file that somebody made up convicts nobody.
func TestContradictionProvesNothing(t *testing.T) {
	d := newDishonest(t)
	a, b := someLeaves(6), someLeaves(6)
	b[1] = []byte("another leaf")
	good := func() *verify.Contradiction {
		return verify.Contradict(d.vkeys(), d.note(a, d.log...), d.note(b[:3], d.log...), nodesOf(a))
	}
	foreign := newCosigner(t, rolltest.Origin, keys.TypeEd25519, "foreign")
	for name, change := range map[string]func(c *verify.Contradiction){
		"no key":                  func(c *verify.Contradiction) { c.Keys = nil },
		"a key that is not on it": func(c *verify.Contradiction) { c.Keys = append(c.Keys, foreign.vkey) },
		"a key twice":             func(c *verify.Contradiction) { c.Keys = append(c.Keys, c.Keys[0]) },
		"one note":                func(c *verify.Contradiction) { c.Notes = c.Notes[:1] },
		"the same note twice":     func(c *verify.Contradiction) { c.Case, c.Proof, c.Notes[1] = verify.CaseSize, nil, c.Notes[0] },
		"notes the other way":     func(c *verify.Contradiction) { slices.Reverse(c.Notes) },
		"no proof":                func(c *verify.Contradiction) { c.Proof = nil },
		"a shorter proof":         func(c *verify.Contradiction) { c.Proof = c.Proof[:len(c.Proof)-1] },
		"a longer proof":          func(c *verify.Contradiction) { c.Proof = append(c.Proof, c.Proof[0]) },
		"a made-up proof":         func(c *verify.Contradiction) { c.Proof[0][0] ^= 1 },
		"another case":            func(c *verify.Contradiction) { c.Case = verify.CaseRollback },
		"size, of two sizes":      func(c *verify.Contradiction) { c.Case, c.Proof = verify.CaseSize, nil },
		"a leaf too much":         func(c *verify.Contradiction) { c.Leaves = append(c.Leaves, provenLeaf(t, a, 0)) },
		"a leaf of nothing":       func(c *verify.Contradiction) { c.Case, c.Proof, c.Notes = verify.CaseEntry, nil, c.Notes[:1] },
		"a changed note": func(c *verify.Contradiction) {
			c.Notes[0] = bytes.Replace(c.Notes[0], []byte("\n3\n"), []byte("\n2\n"), 1)
		},
		"a note of another ledger": func(c *verify.Contradiction) {
			other := newCosigner(t, "other.example/x", keys.TypeEd25519, "log")
			cp := verify.Checkpoint{Origin: "other.example/x", Size: 3, Root: slowRoot(b[:3])}
			c.Notes[0] = append(append(cp.Text(), '\n'), other.line(cp, d.now)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := good()
			change(c)
			var unproven *verify.UnprovenError
			if v, err := c.Check(); !errors.As(err, &unproven) {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
	if _, err := good().Check(); err != nil {
		t.Fatal(err)
	}
}

// Every flipped bit gives another file that is refused, proves nothing, or proves the same: signature lines of keys that it
// does not name are nobody's concern.
func TestContradictionFlipped(t *testing.T) {
	d := newDishonest(t)
	a, b := someLeaves(3), someLeaves(3)
	b[0] = []byte("another leaf")
	c := verify.Contradict(d.vkeys()[:1], d.note(a, d.log[0]), d.note(b, d.log[0]), nil)
	want := mustConvict(t, c)
	file := c.Bytes()
	for i := range 8 * len(file) {
		flipped := bytes.Clone(file)
		flipped[i/8] ^= 1 << (i % 8)
		p, err := verify.ParseContradiction(flipped)
		if err != nil {
			continue
		}
		if v, err := p.Check(); err == nil {
			t.Fatalf("bit %d: %+v, as %+v", i, v, want)
		}
	}
}

func FuzzContradiction(f *testing.F) {
	d := newDishonest(f)
	a, b := someLeaves(6), someLeaves(6)
	b[1] = []byte("another leaf")
	f.Add(verify.Contradict(d.vkeys()[:1], d.note(a, d.log[0]), d.note(b[:3], d.log[0]), nodesOf(a)).Bytes())
	f.Add(verify.Contradict(d.vkeys()[:1], d.note(a, d.log[0]), d.note(b, d.log[0]), nil).Bytes())
	f.Add((&verify.Contradiction{Case: verify.CaseEntry, Notes: [][]byte{[]byte("x\n")}, Leaves: []verify.Support{provenLeaf(f, a, 2)}}).Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := verify.ParseContradiction(b)
		if err != nil {
			var bad *verify.FormatError
			if !errors.As(err, &bad) {
				t.Fatalf("%T", err)
			}
			return
		}
		if !bytes.Equal(c.Bytes(), b) {
			t.Fatal("it prints to other bytes")
		}
		c.Check()
	})
}
