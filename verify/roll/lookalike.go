package roll

import (
	"slices"
	"strings"
	"unicode"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/unicode15"
	"github.com/tccm/undersigned/verify/entry"
)

// A claim says whose domain or names have a skeleton (UTS #39): one domain's at
// a time. Domains stay claimed for ever, names until they change.
type claim struct {
	domain string
	times  int // by how many of the domain's names
}

// looks returns what domains and names look like: two of them may be mistaken
// for each other if any two of their strings are equal.
func looks(names ...string) []string {
	var all []string
	for _, name := range names {
		if name == "" {
			continue
		}
		skeletons := unicode15.Skeletons(keys.DomainToUnicode(name))
		all = append(all, "1"+skeletons[0], "2"+skeletons[1])
	}
	return all
}

// faceless reports whether a skeleton is empty, so that nothing could be told
// from it.
func faceless(own []string) bool {
	return slices.ContainsFunc(own, func(look string) bool { return len(look) < 2 })
}

// domain checks a domain that becomes a member's or the operator's, and returns
// its looks. Labels may differ in script: top-level domains are mostly Latin.
func (t *trial) domain(domain string) ([]string, error) {
	for label := range strings.SplitSeq(keys.DomainToUnicode(domain), ".") {
		if unicode15.MixedScripts(label) {
			return nil, t.refuse(RuleName, "a label of the domain %s mixes scripts", domain)
		}
	}
	own := looks(domain)
	if faceless(own) {
		return nil, t.refuse(RuleName, "the domain %s has no letter or digit", domain)
	}
	return own, t.distinct(domain, own)
}

// names checks the names of a registration or update and returns their looks.
func (t *trial) names(b *entry.Membership) ([]string, error) {
	for _, name := range []string{b.Name, b.LegalName} {
		if name == "" && b.Name != "" {
			continue
		}
		if !strings.ContainsFunc(name, unicode.IsLetter) || faceless(looks(name)) {
			return nil, t.refuse(RuleName, "a name has at least one letter")
		}
		if unicode15.MixedScripts(name) {
			return nil, t.refuse(RuleName, "a word of a name mixes scripts")
		}
	}
	own := looks(b.Name, b.LegalName)
	return own, t.distinct(b.Member, own)
}

// distinct refuses the entry if domain would claim what another domain has.
func (t *trial) distinct(domain string, own []string) error {
	for _, look := range own {
		if c, ok := t.s.claims[look]; ok && c.domain != domain {
			return t.refuse(RuleLookAlike, "a domain or name looks like one of %s", c.domain)
		}
	}
	return nil
}

func (s *State) claim(domain string, own []string) {
	for _, look := range own {
		s.claims[look] = claim{domain, s.claims[look].times + 1}
	}
}

func (s *State) disclaim(own []string) {
	for _, look := range own {
		if c := s.claims[look]; c.times > 1 {
			s.claims[look] = claim{c.domain, c.times - 1}
		} else {
			delete(s.claims, look)
		}
	}
}
