package verify_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
)

// reviewOf parses a policy of witnesses, each written as name=key name, and the lines that follow.
func reviewOf(t *testing.T, witnesses string, lines ...string) verify.QuorumReview {
	t.Helper()
	return parseReviewed(t, witnesses, lines...).ReviewQuorum()
}

func parseReviewed(t *testing.T, witnesses string, lines ...string) *verify.Policy {
	t.Helper()
	var b strings.Builder
	for i, w := range strings.Fields(witnesses) {
		name, keyName, ok := strings.Cut(w, "=")
		if !ok {
			keyName = name
		}
		fmt.Fprintf(&b, "witness %s %s\n", name, newCosigner(t, keyName, keys.TypeCosignatureEd25519, fmt.Sprint(i)).vkey)
	}
	for _, l := range lines {
		fmt.Fprintln(&b, l)
	}
	p, err := verify.ParsePolicy([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestReviewQuorum(t *testing.T) {
	for _, tt := range []struct {
		name      string
		witnesses string
		lines     []string
		want      verify.QuorumReview
	}{
		{"none", "a b", []string{"quorum none"}, verify.QuorumReview{Idle: []string{"a", "b"}}},
		{"one", "a b", []string{"quorum a"},
			verify.QuorumReview{Voters: []string{"a"}, Smallest: 1, Alone: []string{"a"}, Needed: []string{"a"}, Idle: []string{"b"}}},
		{"two of three", "a b c", []string{"group g 2 a b c", "quorum g"},
			verify.QuorumReview{Voters: []string{"a", "b", "c"}, Smallest: 2}},
		{"two of four", "a b c d", []string{"group g 2 a b c d", "quorum g"},
			verify.QuorumReview{Voters: []string{"a", "b", "c", "d"}, Smallest: 2, Split: true}},
		{"any of two", "a b", []string{"group g any a b", "quorum g"},
			verify.QuorumReview{Voters: []string{"a", "b"}, Smallest: 1, Alone: []string{"a", "b"}, Split: true}},
		{"all of two", "a b", []string{"group g all a b", "quorum g"},
			verify.QuorumReview{Voters: []string{"a", "b"}, Smallest: 2, Needed: []string{"a", "b"}}},
		{"two keys are one voter", "a1=a a2=a b1=b b2=b c1=c c2=c",
			[]string{"group a any a1 a2", "group b any b1 b2", "group c any c1 c2", "group g 2 a b c", "quorum g"},
			verify.QuorumReview{Voters: []string{"a", "b", "c"}, Smallest: 2}},
		{"two keys needed together", "a1=a a2=a b", []string{"group a all a1 a2", "group g all a b", "quorum g"},
			verify.QuorumReview{Voters: []string{"a", "b"}, Smallest: 2, Needed: []string{"a", "b"}, Apart: []string{"a"}}},
		{"two keys counted twice", "a1=a a2=a b", []string{"group g 2 a1 a2 b", "quorum g"},
			verify.QuorumReview{Voters: []string{"a", "b"}, Smallest: 1, Alone: []string{"a"}, Needed: []string{"a"}, Apart: []string{"a"}}},
		{"two groups, one of them split", "a b c d", []string{"group g any a b", "group h all c d", "group i all g h", "quorum i"},
			verify.QuorumReview{Voters: []string{"a", "b", "c", "d"}, Smallest: 3, Needed: []string{"c", "d"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := reviewOf(t, tt.witnesses, tt.lines...); fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// Beyond MaxVoters the groups are reviewed instead of every set: both must say the same.
func TestReviewQuorumLarge(t *testing.T) {
	var names []string
	for i := range verify.MaxVoters + 4 {
		names = append(names, fmt.Sprintf("w%d", i))
	}
	n := len(names)
	for k := 1; k <= n; k++ {
		r := reviewOf(t, strings.Join(names, " "), fmt.Sprintf("group g %d %s", k, strings.Join(names, " ")), "quorum g")
		if r.Unknown || r.Smallest != k || r.Split != (2*k <= n) {
			t.Errorf("%d of %d: %+v", k, n, r)
		}
	}
	lines := []string{"group g 3 " + strings.Join(names[:9], " "), "group h 2 " + strings.Join(names[9:], " ")}
	if r := reviewOf(t, strings.Join(names, " "), append(lines, "group i any g h", "quorum i")...); !r.Split || r.Smallest != 2 {
		t.Errorf("any of two groups: %+v", r)
	}
	lines[0] = "group g 5 " + strings.Join(names[:9], " ")
	if r := reviewOf(t, strings.Join(names, " "), append(lines, "group i all g h", "quorum i")...); r.Split || r.Smallest != 7 {
		t.Errorf("all of a majority and a minority: %+v", r)
	}
	// A voter with keys in two groups.
	twice := strings.Join(names, " ") + " x=w0"
	if r := reviewOf(t, twice, "group g 5 "+strings.Join(names, " "), "group h all g x", "quorum h"); !r.Unknown {
		t.Errorf("a voter in two places: %+v", r)
	}
}

// TestReviewQuorumRandom holds the review to a reference that tries all sets of voters by opening notes' worth of votes.
func TestReviewQuorumRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + rng.IntN(7)
		var witnesses, lines, free []string
		for i := range n {
			witnesses = append(witnesses, fmt.Sprintf("w%d=v%d", i, rng.IntN(n)))
			free = append(free, fmt.Sprintf("w%d", i))
		}
		type node struct {
			k       int
			members []string
		}
		groups := map[string]node{}
		for g := 0; len(free) > 1; g++ {
			rng.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
			m := 1 + rng.IntN(len(free))
			k := 1 + rng.IntN(m)
			name := fmt.Sprintf("g%d", g)
			lines = append(lines, fmt.Sprintf("group %s %d %s", name, k, strings.Join(free[:m], " ")))
			groups[name] = node{k, slices.Clone(free[:m])}
			free = append(free[m:], name)
			if m == 1 && len(free) > 1 {
				break
			}
		}
		quorum := free[len(free)-1]
		lines = append(lines, "quorum "+quorum)
		r := reviewOf(t, strings.Join(witnesses, " "), lines...)

		voterOf := map[string]string{}
		for _, w := range witnesses {
			name, v, _ := strings.Cut(w, "=")
			voterOf[name] = v
		}
		var met func(name string, votes map[string]bool) bool
		met = func(name string, votes map[string]bool) bool {
			g, ok := groups[name]
			if !ok {
				return votes[voterOf[name]]
			}
			have := 0
			for _, m := range g.members {
				if met(m, votes) {
					have++
				}
			}
			return have >= g.k
		}
		split, smallest := false, n+1
		votes := func(set int) map[string]bool {
			in := map[string]bool{}
			for i := range n {
				in[fmt.Sprintf("v%d", i)] = set>>i&1 == 1
			}
			return in
		}
		for set := range 1 << n {
			if met(quorum, votes(set)) {
				smallest = min(smallest, bits.OnesCount(uint(set)))
				split = split || met(quorum, votes(1<<n-1-set))
			}
		}
		if r.Split != split || r.Smallest != smallest {
			t.Fatalf("%v\n%v\ngot split %v, smallest %d, want %v, %d", witnesses, lines, r.Split, r.Smallest, split, smallest)
		}
	}
}

// A replaying witness counts only in the group of that name, and never with a key of the log.
func TestReplayingWitness(t *testing.T) {
	w := newWorld(t, 3)
	self := newCosigner(t, "self.example", keys.TypeCosignatureEd25519, "log")
	base := ""
	for _, l := range w.log {
		base += fmt.Sprintf("log %s\n", l.vkey)
	}
	for i, k := range w.witnesses {
		base += fmt.Sprintf("witness w%d %s\n", i, k.vkey)
	}
	c := w.checkpoint()
	all := append(append(slices.Clone(w.log), w.witnesses...), self)
	for _, tt := range []struct {
		name    string
		policy  string
		signers []*cosigner
		want    []string
	}{
		{"no such group", "group g 2 w0 w1 w2\nquorum g\n", all, nil},
		{"one of them", "group undersigned-replaying any w0 w1\ngroup g any undersigned-replaying w2\nquorum g\n", all, []string{"witness.example/0", "witness.example/1"}},
		{"it has not seen it", "group undersigned-replaying any w0\ngroup g any undersigned-replaying w2\nquorum g\n", append(slices.Clone(w.log), w.witnesses[1:]...), nil},
		{"too few", "group undersigned-replaying all w0 w1\ngroup g any undersigned-replaying w2\nquorum g\n", append(slices.Clone(w.log), w.witnesses[1:]...), nil},
		{"a group within", "group h any w0 w1\ngroup undersigned-replaying all h\ngroup g all undersigned-replaying w2\nquorum g\n", all, []string{"witness.example/0", "witness.example/1"}},
		{"the log's own key", "witness self " + self.vkey.String() + "\ngroup undersigned-replaying any self\ngroup g any undersigned-replaying w2\nquorum g\n", all, nil},
		{"beside the quorum", "group undersigned-replaying any w0\nquorum w1\n", all, []string{"witness.example/0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustPolicy(t, base+tt.policy)
			opened, err := p.OpenPast(w.sign(c, tt.signers...))
			if err != nil {
				t.Fatal(err)
			}
			got := p.Replayed(opened)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}

	index := uint64(0)
	for i, raw := range w.rec.Leaves {
		if strings.Contains(string(raw), "undersigned/endorsement/v1") {
			index = uint64(i)
			break
		}
	}
	for policy, want := range map[string]bool{
		"group undersigned-replaying any w0\ngroup g all undersigned-replaying w2\nquorum g\n": true,
		"group other any w0\ngroup g all other w2\nquorum g\n":                                 false,
	} {
		v := verify.Judge(verify.Input{Policy: mustPolicy(t, base+policy), Receipt: w.receipt(index), Now: w.rec.Now})
		said := strings.Contains(strings.Join(v.Answers[0].Reasons, " "), "was valid then by the word of witness.example/0, which replays the record")
		if said != want || v.Answers[0].State != verify.LookCloser {
			t.Errorf("%q: %+v", policy, v.Answers[0])
		}
	}
}
