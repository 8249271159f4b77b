package roll

import (
	"cmp"
	"slices"

	"github.com/tccm/undersigned/verify/entry"
)

// A Signatory is an organization that ever endorsed a statement, as the record of one size has it.
type Signatory struct {
	Endorsement         // its last word: with the action Withdraw it does not stand
	Name        string  // the latest of the registration under which it said that
	LegalName   string  // empty: not given
	Keyed       []Event // its registrations and key entries, by index
}

// Stands reports whether it stands behind the statement.
func (s *Signatory) Stands() bool { return s != nil && s.Action == entry.Endorse }

// Signatories returns everybody who ever endorsed a statement, those that withdrew too, sorted by domain.
func (s *State) Signatories(h entry.Hash) []Signatory {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := s.statements[h]
	if st == nil {
		return nil
	}
	list := make([]Signatory, 0, len(st.about))
	for _, i := range st.about {
		r := s.standings.at(i)
		m := s.ordered[r.member]
		name, legalName := m.nameAt(r.index)
		list = append(list, Signatory{s.view(r), name, legalName, KeyEvents(m.events())})
	}
	slices.SortFunc(list, func(a, b Signatory) int { return cmp.Compare(a.Domain, b.Domain) })
	return list
}

// KeyEvents returns those events of a Member's History that say which keys speak for it: registrations and key entries.
func KeyEvents(history []Event) []Event {
	keyed := make([]Event, 0, len(history))
	for _, ev := range history {
		if ev.Action != entry.Update && ev.Action != entry.Leave {
			keyed = append(keyed, ev)
		}
	}
	return keyed
}

// A Change is what became different about one organization between two moments of a record.
type Change struct {
	Domain   string
	Old, New *Signatory // nil: it had never endorsed the statement
}

// Compare tells what changed from an old list of Signatories to a new one: of the same statement, record and order, and
// no older. Changes are sorted by domain, and each of them is at least one of Added, Withdrew, Again, Renamed and Rekeyed.
func Compare(old, new []Signatory) []Change {
	var all []Change
	for i, j := 0, 0; i < len(old) || j < len(new); {
		var c Change
		switch {
		case j == len(new) || i < len(old) && old[i].Domain < new[j].Domain:
			c = Change{old[i].Domain, &old[i], nil}
			i++
		case i == len(old) || new[j].Domain < old[i].Domain:
			c = Change{new[j].Domain, nil, &new[j]}
			j++
		default:
			c = Change{new[j].Domain, &old[i], &new[j]}
			i, j = i+1, j+1
		}
		if c.Added() || c.Withdrew() || c.Again() || c.Renamed() || len(c.Rekeyed()) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// Added reports whether the organization stands now and did not before.
func (c Change) Added() bool { return c.New.Stands() && !c.Old.Stands() }

// Withdrew reports whether it withdrew in between. If it did not stand before, it came and went.
func (c Change) Withdrew() bool {
	return c.New != nil && !c.New.Stands() && (c.Old == nil || c.Old.Index != c.New.Index)
}

// stayed reports whether it stands now as before.
func (c Change) stayed() bool { return c.Old.Stands() && c.New.Stands() }

// Again reports whether it stands now as before, and has endorsed again in between.
func (c Change) Again() bool { return c.stayed() && c.Old.Index != c.New.Index }

// Renamed reports whether it stands now as before, under another name.
func (c Change) Renamed() bool {
	return c.stayed() && (c.Old.Name != c.New.Name || c.Old.LegalName != c.New.LegalName)
}

// Rekeyed returns, if it stands now as before, what happened to its keys in between.
func (c Change) Rekeyed() []Event {
	if !c.stayed() || len(c.New.Keyed) <= len(c.Old.Keyed) {
		return nil
	}
	return c.New.Keyed[len(c.Old.Keyed):]
}

// Restated reports whether it stands now as before, behind other renditions of the text.
func (c Change) Restated() bool {
	return c.stayed() && !slices.Equal(c.Old.Renditions, c.New.Renditions)
}
