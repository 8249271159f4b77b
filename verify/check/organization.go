package check

import (
	"slices"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// A Mark is where in the record something happened.
type Mark struct {
	Index    uint64    `json:"index"`
	Admitted time.Time `json:"admitted"`
}

// MarkOf returns a mark as it is printed.
func MarkOf(m roll.Mark) Mark { return Mark{m.Index, m.Admitted.UTC()} }

// An Organization is everything that the record says about one. Its JSON form is the schema "undersigned/member/v1".
type Organization struct {
	Schema       string            `json:"schema"`
	Origin       string            `json:"origin"`
	Size         uint64            `json:"size"` // of the record that was replayed
	Root         string            `json:"root"`
	Domain       string            `json:"domain"`
	Unicode      string            `json:"domain_unicode"`
	Member       bool              `json:"member"` // it is one now
	Name         string            `json:"name,omitempty"`
	LegalName    string            `json:"legal_name,omitempty"`
	Registered   *Mark             `json:"registered,omitempty"`
	Updated      *Mark             `json:"updated,omitempty"`
	Left         *Mark             `json:"left,omitempty"`
	Quorum       int               `json:"quorum,omitempty"`
	Keys         []KeyView         `json:"keys"`
	Vouchers     []VoucherView     `json:"vouchers"`
	Endorsements []EndorsementView `json:"endorsements"`
	NotEndorsed  []StatementView   `json:"not_endorsed"`
	History      []EventView       `json:"history"`
}

// A KeyView is a key of an organization.
type KeyView struct {
	Suite            keys.Suite `json:"suite"`
	Fingerprint      string     `json:"fingerprint"`
	Role             string     `json:"role"`
	SPKI             []byte     `json:"spki"`
	Registered       []uint64   `json:"registered"`
	Current          bool       `json:"current"`
	SuspendedAt      *uint64    `json:"suspended_at,omitempty"`
	RevokedAt        *uint64    `json:"revoked_at,omitempty"`
	CompromisedAfter *uint64    `json:"compromised_after,omitempty"`
	DisputedFrom     *uint64    `json:"disputed_from,omitempty"` // roll.Key.DisputedFrom

	Published []PublishedView `json:"published"`
}

// A PublishedView says over which time the record shows that the domain itself published a key in the DNS.
type PublishedView struct {
	Index       uint64     `json:"index"` // of the first chain
	Since       time.Time  `json:"since"`
	LastIndex   uint64     `json:"last_index"`
	Last        time.Time  `json:"last"`  // when the last one was recorded
	Until       time.Time  `json:"until"` // the signatures of the last one were valid
	GoneIndex   *uint64    `json:"gone_index,omitempty"`
	Gone        *time.Time `json:"gone,omitempty"`
	GoneOutcome string     `json:"gone_outcome,omitempty"` // published: other keys; absent: none; insecure: the zone is not signed
	InTime      bool       `json:"in_time"`                // witnesses saw each of these chains before its signatures ended
}

// A VoucherView says who vouched for an organization.
type VoucherView struct {
	Domain   string `json:"domain"`
	Index    uint64 `json:"index"`
	Operator bool   `json:"operator"`
	Member   bool   `json:"member"`
	Disputed bool   `json:"disputed"`
}

// An EndorsementView is the last word of an organization on a statement, and what it said of it before.
type EndorsementView struct {
	Mark
	ID         entry.Hash   `json:"id"`
	Statement  entry.Hash   `json:"statement"`
	Title      string       `json:"title"`
	Action     entry.Action `json:"action"`
	Stands     bool         `json:"stands"`
	Date       string       `json:"date"`
	NotBefore  *time.Time   `json:"not_before,omitempty"` // as in a verdict
	NoLater    *time.Time   `json:"no_later,omitempty"`
	Keys       []string     `json:"keys"`
	Renditions []entry.Hash `json:"renditions"`
	Disputed   bool         `json:"disputed"`
	Earlier    []SaidView   `json:"earlier"` // by index
}

// A SaidView is an endorsement entry that another one has followed.
type SaidView struct {
	Mark
	ID         entry.Hash   `json:"id"`
	Action     entry.Action `json:"action"`
	Keys       []string     `json:"keys"`
	Renditions []entry.Hash `json:"renditions"`
	Disputed   bool         `json:"disputed"`
}

// A StatementView names a statement.
type StatementView struct {
	Statement entry.Hash `json:"statement"`
	Title     string     `json:"title"`
}

// An EventView is a membership or key entry.
type EventView struct {
	Mark
	ID     entry.Hash   `json:"id"`
	Action entry.Action `json:"action"`
	Signer string       `json:"signer"`
	Keys   []string     `json:"keys"`
	Added  string       `json:"added,omitempty"`
	About  string       `json:"about,omitempty"`
}

// OrganizationOf collects what a replayed record says about a domain; false if it was never a member.
func OrganizationOf(r *verify.Report, domain string) (Organization, bool) {
	v := Organization{
		Schema: "undersigned/member/v1", Origin: r.Origin, Size: r.Size, Root: r.Root,
		Domain: domain, Unicode: keys.DomainToUnicode(domain),
		Keys: []KeyView{}, Vouchers: []VoucherView{}, Endorsements: []EndorsementView{}, NotEndorsed: []StatementView{}, History: []EventView{},
	}
	m, ok := r.State.Member(domain)
	if ok {
		v.Member, v.Name, v.LegalName, v.Quorum = !m.Left, m.Name, m.LegalName, m.Quorum
		registered, updated := MarkOf(m.Registered), MarkOf(m.Updated)
		v.Registered, v.Updated = &registered, &updated
		if m.Left {
			left := MarkOf(m.LeftAt)
			v.Left = &left
		}
		for _, k := range slices.Concat(m.Keys, m.RecoveryKeys) {
			v.Keys = append(v.Keys, viewMemberKey(r, k))
		}
		for _, w := range m.Vouchers {
			v.Vouchers = append(v.Vouchers, VoucherView{w.Domain, w.Index, w.Operator, w.Member, w.Disputed})
		}
		for _, e := range m.History {
			v.History = append(v.History, EventView{MarkOf(e.Mark), e.ID, e.Action, e.Signer, refStrings(e.Keys), refString(e.Added), refString(e.About)})
		}
	}
	endorsed := map[entry.Hash]bool{}
	for _, e := range r.State.Endorsements(domain) {
		st, _ := r.State.Statement(e.Statement)
		stands := e.Action == entry.Endorse
		endorsed[e.Statement] = stands
		earlier := []SaidView{}
		all := r.State.AllSaid(domain, e.Statement)
		for _, w := range all[:len(all)-1] {
			earlier = append(earlier, SaidView{MarkOf(w.Mark), w.ID, w.Action, refStrings(w.Keys), hashes(w.Action, w.Renditions), w.Disputed})
		}
		v.Endorsements = append(v.Endorsements, EndorsementView{
			Mark: MarkOf(e.Mark), ID: e.ID, Statement: e.Statement, Title: st.Title, Action: e.Action, Stands: stands, Date: e.Date,
			NotBefore: known(r.Bounds(e.Index).NotBefore), NoLater: known(r.Bounds(e.Index).NoLater),
			Keys: refStrings(e.Keys), Renditions: hashes(e.Action, e.Renditions), Disputed: e.Disputed, Earlier: earlier,
		})
	}
	for _, st := range r.State.Statements() {
		if !endorsed[st.Statement] {
			v.NotEndorsed = append(v.NotEndorsed, StatementView{st.Statement, st.Title})
		}
	}
	return v, ok
}

// hashes returns the renditions that were endorsed; of a withdrawal there are none.
func hashes(action entry.Action, renditions []entry.RenditionRef) []entry.Hash {
	list := []entry.Hash{}
	for _, x := range renditions {
		if action == entry.Endorse {
			list = append(list, x.Hash)
		}
	}
	return list
}

// known returns a time, nil if it is not known.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func viewMemberKey(r *verify.Report, k roll.Key) KeyView {
	v := KeyView{Suite: k.Ref.Suite, Fingerprint: k.Ref.Fingerprint.String(), Role: k.Role.String(), SPKI: k.Public.SPKI(), Registered: k.Registered, Current: k.Current, Published: []PublishedView{}}
	for _, p := range k.Published {
		view := PublishedView{
			Index: p.First.Index, Since: p.First.Admitted, LastIndex: p.Last.Index, Last: p.Last.Admitted, Until: p.Last.NotAfter,
			InTime: r.ChainInTime(p.First.Index) && r.ChainInTime(p.Last.Index) && (!p.Ended || r.ChainInTime(p.End.Index)),
		}
		if p.Ended {
			view.GoneIndex, view.Gone, view.GoneOutcome = &p.End.Index, &p.End.Admitted, p.End.Outcome.String()
		}
		v.Published = append(v.Published, view)
	}
	if k.Suspended {
		v.SuspendedAt = &k.SuspendedAt
	}
	if k.Revoked {
		v.RevokedAt = &k.RevokedAt
	}
	if k.Compromised {
		v.CompromisedAfter = &k.CompromisedAfter
	}
	if k.Disputed {
		v.DisputedFrom = &k.DisputedFrom
	}
	return v
}

func refString(r *keys.Ref) string {
	if r == nil {
		return ""
	}
	return r.String()
}

func refStrings(refs []keys.Ref) []string {
	out := []string{}
	for _, r := range refs {
		out = append(out, r.String())
	}
	return out
}
