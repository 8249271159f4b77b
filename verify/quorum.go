package verify

import (
	"math/bits"
	"slices"
)

// A QuorumReview says what the quorum of a policy can bear. Its units are voters: a witness is one
// voter, however many keys it has, and is known by the name of its keys.
type QuorumReview struct {
	// Voters are the names in the keys of the witnesses that the quorum can count, each once, in the order of their lines.
	Voters []string
	// Smallest is how many voters suffice at the least; 0 with quorum none.
	Smallest int
	// Alone are the voters any of which suffices by itself.
	Alone []string
	// Needed are the voters without any of which the quorum cannot be met.
	Needed []string
	// Split says that two sets of voters without a voter in common can each be the quorum, so that a log
	// can show two histories, each properly cosigned.
	Split bool
	// Unknown says that Split was not computed: there are more voters than MaxVoters and some of them have keys in several groups.
	Unknown bool
	// Apart are the voters whose several keys are not one vote: a group any, with nothing else in it, would make them one.
	Apart []string
	// Idle are the policy's names of witnesses that the quorum never counts.
	Idle []string
}

// MaxVoters bounds the voters of a quorum that is reviewed by trying every set of them.
const MaxVoters = 16

// ReviewQuorum tells what the quorum can bear.
func (p *Policy) ReviewQuorum() QuorumReview {
	var r QuorumReview
	if p.NoQuorum() {
		for _, w := range p.witnesses {
			r.Idle = append(r.Idle, w.Name)
		}
		return r
	}
	counted := make([]bool, len(p.names))
	counted[p.quorum] = true
	for i := p.quorum; i >= 0; i-- { // a group's members stand before it
		if n := p.names[i]; counted[i] && n.group {
			for _, m := range p.groups[n.index].members {
				counted[m] = true
			}
		}
	}
	voter := make(map[string]int)
	of := make([]int, len(p.witnesses)) // voter of a witness line
	for i, n := range p.names {
		if n.group {
			continue
		}
		w := p.witnesses[n.index]
		if !counted[i] {
			r.Idle = append(r.Idle, w.Name)
			of[n.index] = -1
			continue
		}
		v, known := voter[w.VKey.Name]
		if !known {
			v = len(r.Voters)
			voter[w.VKey.Name] = v
			r.Voters = append(r.Voters, w.VKey.Name)
		}
		of[n.index] = v
	}
	r.Apart = p.apart(r.Voters, of)
	met := func(votes func(voter int) bool) bool {
		cosigned := make(map[int]bool)
		for w, v := range of {
			cosigned[w] = v >= 0 && votes(v)
		}
		return p.enough(cosigned)
	}
	for v, name := range r.Voters {
		if met(func(other int) bool { return other == v }) {
			r.Alone = append(r.Alone, name)
		}
		if !met(func(other int) bool { return other != v }) {
			r.Needed = append(r.Needed, name)
		}
	}
	if len(r.Voters) > MaxVoters {
		r.Smallest, r.Split, r.Unknown = p.reviewTree(counted, of, len(r.Voters))
		return r
	}
	r.Smallest = len(r.Voters)
	for set := uint(1); set < 1<<len(r.Voters); set++ {
		in := func(v int) bool { return set>>v&1 == 1 }
		if !met(in) {
			continue
		}
		r.Smallest = min(r.Smallest, bits.OnesCount(set))
		r.Split = r.Split || met(func(v int) bool { return !in(v) })
	}
	return r
}

// ReviewReplaying is ReviewQuorum of the group ReplayingGroup in place of the quorum, and false if there is none.
func (p *Policy) ReviewReplaying() (QuorumReview, bool) {
	at := slices.IndexFunc(p.names, func(n policyName) bool { return n.group && p.groups[n.index].name == ReplayingGroup })
	if at < 0 {
		return QuorumReview{}, false
	}
	replaying := *p
	replaying.quorum = at
	return replaying.ReviewQuorum(), true
}

// apart returns the voters whose counted keys, if there are several, are not all members of one group any that has no other member.
func (p *Policy) apart(voters []string, of []int) []string {
	keysOf := make([]int, len(voters))
	for _, v := range of {
		if v >= 0 {
			keysOf[v]++
		}
	}
	together := make([]bool, len(voters))
	for _, g := range p.groups {
		v, same := -1, g.k == 1
		for i, m := range g.members {
			n := p.names[m]
			switch {
			case n.group:
				same = false
			case i == 0:
				v = of[n.index]
			case of[n.index] != v:
				same = false
			}
		}
		if same && v >= 0 && len(g.members) == keysOf[v] {
			together[v] = true
		}
	}
	var apart []string
	for v, name := range voters {
		if keysOf[v] > 1 && !together[v] {
			apart = append(apart, name)
		}
	}
	return apart
}

// A half is which of two sides, that share no voter, have the vote of a name.
type half [2]bool

// reviewTree reviews a quorum by its groups. It can where each voter stands in one place: it has one key, or its keys
// make up a group that no other voter is in.
func (p *Policy) reviewTree(counted []bool, of []int, voters int) (smallest int, split, unknown bool) {
	// least is how few voters a name needs, sides the halves that it can be given.
	least := make([]int, len(p.names))
	sides := make([]map[half]bool, len(p.names))
	sole := make([]int, len(p.names)) // the only voter below a name; -1: several, or none counted
	seen := make([]bool, voters)
	one := func() map[half]bool { return map[half]bool{{true, false}: true, {false, true}: true} }
	for i, n := range p.names {
		if !counted[i] {
			continue
		}
		if !n.group {
			least[i], sides[i], sole[i] = 1, one(), of[n.index]
			continue
		}
		g := p.groups[n.index]
		sole[i] = sole[g.members[0]]
		for _, m := range g.members {
			if sole[m] != sole[i] {
				sole[i] = -1
			}
		}
		if sole[i] >= 0 {
			least[i], sides[i] = 1, one()
			continue
		}
		var needs []int
		counts := map[[2]int]bool{{}: true}
		for _, m := range g.members {
			if v := sole[m]; v >= 0 {
				if seen[v] {
					return 0, false, true
				}
				seen[v] = true
			}
			needs = append(needs, least[m])
			next := make(map[[2]int]bool)
			for c := range counts {
				for s := range sides[m] {
					next[[2]int{c[0] + count(s[0]), c[1] + count(s[1])}] = true
				}
			}
			counts = next
		}
		slices.Sort(needs)
		for _, n := range needs[:g.k] {
			least[i] += n
		}
		sides[i] = make(map[half]bool)
		for c := range counts {
			sides[i][half{c[0] >= g.k, c[1] >= g.k}] = true
		}
	}
	return least[p.quorum], sides[p.quorum][half{true, true}], false
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
