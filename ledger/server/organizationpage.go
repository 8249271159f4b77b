package server

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

const (
	maxSaid   = 100 // endorsements and withdrawals on the page of an organization
	maxEvents = 100 // membership and key entries on it
)

// An organizationView is what the published record has in the name of a domain.
type organizationView struct {
	Domain  string
	Unicode string // the domain in its own script, if it has one
	Size    uint64 // entries that were looked through
	At      time.Time
	Known   bool   // it is or was registered; else only what stands above, and LooksLike, is there
	Alike   string // a domain in the record that it may be mistaken for

	Name, LegalName string
	Former          []string // other names that it had, the newest first
	Operator        bool     // it keeps, or kept, the record
	Registered      roll.Mark
	Left            *roll.Mark
	Quorum          int
	Said            []said
	MoreSaid        bool // there are older words
	Published       []roll.Statement
	Keys            []keyView
	Recovery        []keyView
	KeysOmitted     int
	Vouchers        []roll.Voucher
	History         []roll.Event // the newest first
	MoreHistory     bool
}

// A said is an endorsement or a withdrawal.
type said struct {
	roll.Mark
	About    roll.Statement
	Gone     bool
	Last     bool   // nothing that the organization said of the statement follows
	Disputed bool   // a key that signed was declared stolen from before
	Date     string // the signer's claim
	Name     string // as it was called then
}

// A keyView is a key of an organization, and what the record says of it.
type keyView struct {
	roll.Key
	Events []keyEvent
	From   *stolenFrom // if it is disputed
}

// A keyEvent is a part of a key's history: what ties it to the domain, or unties it.
type keyEvent struct {
	roll.Mark
	What any // of the catalogue
}

// organizationPage serves /organization/<domain>.
func (s *Server) organizationPage(w http.ResponseWriter, r *http.Request, domain string) {
	if keys.CheckDomain(domain) != nil {
		s.fail(w, r, problemSaying(ProblemNotFound, "This is not a domain as the record writes them: in lower case, such as apnic.net, and with xn-- where it has letters of another script."))
		return
	}
	if _, p := parameters(r.URL); p != nil {
		s.fail(w, r, *p)
		return
	}
	v, p := s.newView(r, "organization")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	if v.Organization, p = s.organizationView(r.Context(), domain); p != nil {
		s.fail(w, r, *p)
		return
	}
	v.NoIndex = !v.Organization.Known
	s.show(w, r, v, cacheShort)
}

// organizationView collects what the published record has in the name of a domain.
func (s *Server) organizationView(ctx context.Context, domain string) (*organizationView, *problem) {
	failed := func(err error) (*organizationView, *problem) {
		p := s.problemFrom(err)
		return nil, &p
	}
	size, err := s.history.read(ctx)
	if err != nil {
		return failed(err)
	}
	v := &organizationView{Domain: domain, Unicode: unicodeOf(domain), Size: size}
	if size > 0 {
		v.At = s.history.admittedAt(size - 1)
	}
	var member roll.Member
	about := map[entry.Hash]roll.Statement{}
	err = s.ledger.View(func(st *roll.State) {
		member, v.Known = st.Member(domain)
		v.Known = v.Known && len(member.History) > 0 && member.History[0].Index < size
		v.Operator = st.Operated(domain)
		for _, published := range st.Statements() {
			about[published.Statement] = published
			if published.Publisher == domain && published.Index < size {
				v.Published = append(v.Published, published)
			}
		}
		if !v.Known {
			v.Alike = st.LooksLike(domain)
		}
	})
	if err != nil {
		return failed(err)
	}
	if !v.Known {
		return v, nil
	}
	v.Name, v.LegalName, v.Registered, v.Quorum = member.Name, member.LegalName, member.Registered, member.Quorum
	if member.Left {
		v.Left = &member.LeftAt
	}
	v.Former = s.history.formerNames(domain, size)
	for _, voucher := range member.Vouchers {
		if voucher.Index < size {
			v.Vouchers = append(v.Vouchers, voucher)
		}
	}
	if err := s.saidBy(ctx, v, about); err != nil {
		return failed(err)
	}
	v.Keys, v.KeysOmitted = s.keyViews(member.Keys, member.History, size)
	var omitted int
	v.Recovery, omitted = s.keyViews(member.RecoveryKeys, member.History, size)
	v.KeysOmitted += omitted
	for _, e := range slices.Backward(member.History) {
		if e.Index >= size {
			continue
		}
		if v.MoreHistory = len(v.History) == maxEvents; v.MoreHistory {
			break
		}
		v.History = append(v.History, e)
	}
	return v, nil
}

// saidBy fills in what an organization endorsed and withdrew, the newest first.
func (s *Server) saidBy(ctx context.Context, v *organizationView, about map[entry.Hash]roll.Statement) error {
	var events []event
	indexes := s.history.saidBy(v.Domain, v.Size)
	if v.MoreSaid = len(indexes) > maxSaid; v.MoreSaid {
		indexes = indexes[len(indexes)-maxSaid:]
	}
	var leaves []*entry.Leaf
	later := map[entry.Hash]bool{}
	for _, index := range slices.Backward(indexes) {
		leaf, err := s.leaf(ctx, index)
		if err != nil {
			return err
		}
		body, ok := leaf.Entry.Body.(*entry.Endorsement)
		if !ok {
			return ledger.ErrCorrupt
		}
		v.Said = append(v.Said, said{
			Mark: roll.Mark{Index: index, Admitted: leaf.Admitted}, About: about[body.Statement], Gone: body.Action == entry.Withdraw,
			Last: !later[body.Statement], Date: leaf.Entry.Date, Name: s.history.nameAt(v.Domain, index),
		})
		later[body.Statement] = true
		events, leaves = append(events, event{index: index}), append(leaves, leaf)
	}
	disputed, err := s.disputed(events, leaves)
	if err != nil {
		return err
	}
	for i := range v.Said {
		v.Said[i].Disputed = disputed[i]
	}
	return nil
}

// keyViews returns the keys of an organization with their histories: the current ones and the newest of the others.
func (s *Server) keyViews(all []roll.Key, history []roll.Event, size uint64) (views []keyView, omitted int) {
	old := 0
	for _, k := range slices.Backward(all) {
		if k.Registered[0] >= size {
			continue
		}
		if !k.Current {
			if old++; old > maxOldKeys {
				omitted++
				continue
			}
		}
		view := keyView{Key: k}
		if k.Disputed {
			view.From = s.stolenFrom(k.DisputedFrom)
		}
		for _, e := range history {
			view.Events = append(view.Events, keyEvents(k, e)...)
		}
		view.Events = append(view.Events, publishedEvents(k.Domain, k.Published)...)
		view.Events = slices.DeleteFunc(view.Events, func(e keyEvent) bool { return e.Index >= size })
		slices.SortStableFunc(view.Events, func(a, b keyEvent) int { return cmp.Compare(a.Index, b.Index) })
		views = append(views, view)
	}
	slices.Reverse(views)
	return views, omitted
}

// keyEvents returns what a membership or key entry says of a key.
func keyEvents(k roll.Key, e roll.Event) (events []keyEvent) {
	add := func(what any) { events = append(events, keyEvent{e.Mark, what}) }
	if slices.Contains(k.Registered, e.Index) {
		switch {
		case e.Action == entry.Rotate && e.About != nil:
			add(message("key.replaces", "key", shortRef(*e.About)))
		case e.Action == entry.Add:
			add(message("key.added"))
		default:
			add(message("key.registered"))
		}
	}
	if e.About != nil && *e.About == k.Ref {
		switch {
		case e.Action == entry.Rotate && e.Added != nil:
			add(message("key.replaced", "key", shortRef(*e.Added)))
		case e.Action == entry.Revoke:
			add(message("key.revoked"))
		case e.Action == entry.Suspend:
			add(message("key.suspended", "domain", e.Signer))
		}
	}
	return events
}

// publishedEvents returns what the DNSSEC chains in the record say of a key: the newest maxPublished times over which its domain was shown
// to publish it.
func publishedEvents(domain string, spans []roll.Span) (events []keyEvent) {
	for _, p := range spans[max(0, len(spans)-maxPublished):] {
		events = append(events, keyEvent{p.First.Mark, message("key.published", "domain", domain)})
		if p.Last.Index != p.First.Index {
			events = append(events, keyEvent{p.Last.Mark, message("key.published.still", "domain", domain)})
		}
		if p.Ended {
			events = append(events, keyEvent{p.End.Mark, message("key.published.gone", "domain", domain)})
		}
	}
	return events
}

// shortRef names a key where it has been named in full already.
func shortRef(ref keys.Ref) string {
	fingerprint := ref.Fingerprint.String()
	return string(ref.Suite) + " " + fingerprint[:len("sha256:")+8] + "…"
}
