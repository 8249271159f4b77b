package roll

import (
	"slices"
	"strings"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/unicode15"
	"github.com/tccm/undersigned/verify/entry"
)

// A look is one of the two skeletons (UTS #39) of a domain or name. Two strings
// may be mistaken for each other if one of their looks is the same.
type look struct {
	which    uint8 // 0 or 1
	skeleton string
}

// claims says whose a look is, of all members and operators that ever were.
// Domains stay for ever, names until their owner takes others. A name must look
// like no other's domain or name; a domain only like no other's domain, so that
// nobody keeps an organization out by calling itself like its domain.
type claims struct {
	domains map[look]string
	names   map[look]string
}

func newClaims() claims { return claims{make(map[look]string), make(map[look]string)} }

func looks(names ...string) []look {
	var all []look
	for _, name := range names {
		skeletons := unicode15.Skeletons(keys.DomainToUnicode(name))
		all = append(all, look{0, skeletons[0]}, look{1, skeletons[1]})
	}
	return all
}

// LookAlike reports whether two domains or names may be mistaken for each other, by the test that a registration has to pass:
// one of their looks is the same. What has no look at all looks like nothing.
func LookAlike(a, b string) bool {
	own, other := looks(a), looks(b)
	if blank(own) || blank(other) {
		return false
	}
	return slices.ContainsFunc(own, func(l look) bool { return slices.Contains(other, l) })
}

// LooksLike returns a domain, of a member or operator that ever was, that a domain which is none of theirs may be mistaken for; "": there is none.
func (s *State) LooksLike(domain string) string {
	own := looks(domain)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, l := range own {
		if other, ok := s.claims.domains[l]; ok && other != domain {
			return other
		}
	}
	return ""
}

// blank reports whether a skeleton is empty, so that everything would look alike.
func blank(own []look) bool {
	return slices.ContainsFunc(own, func(l look) bool { return l.skeleton == "" })
}

func (c *claims) takeDomain(domain string, own []look) {
	for _, l := range own {
		c.domains[l] = domain
	}
}

func (c *claims) takeNames(domain string, own []look) {
	for _, l := range own {
		c.names[l] = domain
	}
}

// leaveNames gives all names of a domain back. That of one which is not given
// is blank, and nobody's.
func (c *claims) leaveNames(own []look) {
	for _, l := range own {
		delete(c.names, l)
	}
}

// domain checks a domain that becomes a member's or the operator's, and returns
// its looks. Labels may differ in script: top-level domains are mostly Latin.
func (t *trial) domain(domain string) ([]look, error) {
	for label := range strings.SplitSeq(keys.DomainToUnicode(domain), ".") {
		if unicode15.MixedScripts(label) {
			return nil, t.refuse(RuleName, "a label of the domain %s mixes scripts", domain)
		}
	}
	own := looks(domain)
	for _, l := range own {
		if other, ok := t.s.claims.domains[l]; ok && other != domain {
			return nil, t.refuse(RuleLookAlike, "the domain %s looks like %s", domain, other)
		}
	}
	return own, nil
}

// names checks the names of a registration or update and returns their looks.
func (t *trial) names(b *entry.Membership) ([]look, error) {
	given := []string{b.Name}
	if b.LegalName != "" {
		given = append(given, b.LegalName)
	}
	for _, name := range given {
		if !unicode15.HasLetter(name) || blank(looks(name)) {
			return nil, t.refuse(RuleName, "a name has at least one letter")
		}
		if unicode15.MixedScripts(name) {
			return nil, t.refuse(RuleName, "a word of a name mixes scripts")
		}
	}
	own := looks(given...)
	for _, l := range own {
		if other, ok := t.s.claims.domains[l]; ok && other != b.Member {
			return nil, t.refuse(RuleLookAlike, "a name looks like the domain %s", other)
		}
		if other, ok := t.s.claims.names[l]; ok && other != b.Member {
			return nil, t.refuse(RuleLookAlike, "a name looks like a name of %s", other)
		}
	}
	return own, nil
}
