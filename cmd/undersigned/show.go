package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// mark is where in the record something happened, in JSON.
type mark struct {
	Index    uint64    `json:"index"`
	Admitted time.Time `json:"admitted"`
}

func markOf(m roll.Mark) mark { return mark{m.Index, m.Admitted.UTC()} }

// memberView is everything that the record says about an organization, in JSON.
type memberView struct {
	Schema       string            `json:"schema"`
	Origin       string            `json:"origin"`
	Size         uint64            `json:"size"` // of the record that was replayed
	Root         string            `json:"root"`
	Domain       string            `json:"domain"`
	Unicode      string            `json:"domain_unicode"`
	Member       bool              `json:"member"` // it is one now
	Name         string            `json:"name,omitempty"`
	LegalName    string            `json:"legal_name,omitempty"`
	Registered   *mark             `json:"registered,omitempty"`
	Updated      *mark             `json:"updated,omitempty"`
	Left         *mark             `json:"left,omitempty"`
	Quorum       int               `json:"quorum,omitempty"`
	Keys         []memberKeyView   `json:"keys"`
	Vouchers     []voucherView     `json:"vouchers"`
	Endorsements []endorsementView `json:"endorsements"`
	NotEndorsed  []statementView   `json:"not_endorsed"`
	History      []eventView       `json:"history"`
}

type memberKeyView struct {
	Suite            keys.Suite `json:"suite"`
	Fingerprint      string     `json:"fingerprint"`
	Role             string     `json:"role"`
	SPKI             []byte     `json:"spki"`
	Registered       []uint64   `json:"registered"`
	Current          bool       `json:"current"`
	SuspendedAt      *uint64    `json:"suspended_at,omitempty"`
	RevokedAt        *uint64    `json:"revoked_at,omitempty"`
	CompromisedAfter *uint64    `json:"compromised_after,omitempty"`

	Published []publishedView `json:"published"`
}

// publishedView says over which time the record shows that the domain itself published a key in the DNS.
type publishedView struct {
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

type voucherView struct {
	Domain   string `json:"domain"`
	Index    uint64 `json:"index"`
	Operator bool   `json:"operator"`
	Member   bool   `json:"member"`
	Disputed bool   `json:"disputed"`
}

type endorsementView struct {
	mark
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
}

type statementView struct {
	Statement entry.Hash `json:"statement"`
	Title     string     `json:"title"`
}

type eventView struct {
	mark
	ID     entry.Hash   `json:"id"`
	Action entry.Action `json:"action"`
	Signer string       `json:"signer"`
	Keys   []string     `json:"keys"`
	Added  string       `json:"added,omitempty"`
	About  string       `json:"about,omitempty"`
}

// viewMember collects what a replayed record says about a domain; false if it was never a member.
func viewMember(r *verify.Report, domain string) (memberView, bool) {
	v := memberView{
		Schema: "undersigned/member/v1", Origin: r.Origin, Size: r.Size, Root: r.Root,
		Domain: domain, Unicode: keys.DomainToUnicode(domain),
		Keys: []memberKeyView{}, Vouchers: []voucherView{}, Endorsements: []endorsementView{}, NotEndorsed: []statementView{}, History: []eventView{},
	}
	m, ok := r.State.Member(domain)
	if ok {
		v.Member, v.Name, v.LegalName, v.Quorum = !m.Left, m.Name, m.LegalName, m.Quorum
		registered, updated := markOf(m.Registered), markOf(m.Updated)
		v.Registered, v.Updated = &registered, &updated
		if m.Left {
			left := markOf(m.LeftAt)
			v.Left = &left
		}
		for _, k := range slices.Concat(m.Keys, m.RecoveryKeys) {
			v.Keys = append(v.Keys, viewMemberKey(r, k))
		}
		for _, w := range m.Vouchers {
			v.Vouchers = append(v.Vouchers, voucherView{w.Domain, w.Index, w.Operator, w.Member, w.Disputed})
		}
		for _, e := range m.History {
			v.History = append(v.History, eventView{markOf(e.Mark), e.ID, e.Action, e.Signer, refStrings(e.Keys), refString(e.Added), refString(e.About)})
		}
	}
	endorsed := map[entry.Hash]bool{}
	for _, e := range r.State.Endorsements(domain) {
		st, _ := r.State.Statement(e.Statement)
		stands := e.Action == entry.Endorse
		endorsed[e.Statement] = stands
		renditions := []entry.Hash{}
		for _, x := range e.Renditions {
			renditions = append(renditions, x.Hash)
		}
		v.Endorsements = append(v.Endorsements, endorsementView{
			mark: markOf(e.Mark), ID: e.ID, Statement: e.Statement, Title: st.Title, Action: e.Action, Stands: stands, Date: e.Date,
			NotBefore: known(r.Bounds(e.Index).NotBefore), NoLater: known(r.Bounds(e.Index).NoLater),
			Keys: refStrings(e.Keys), Renditions: renditions, Disputed: e.Disputed,
		})
	}
	for _, st := range r.State.Statements() {
		if !endorsed[st.Statement] {
			v.NotEndorsed = append(v.NotEndorsed, statementView{st.Statement, st.Title})
		}
	}
	return v, ok
}

// known returns a time, nil if it is not known.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func viewMemberKey(r *verify.Report, k roll.Key) memberKeyView {
	v := memberKeyView{Suite: k.Ref.Suite, Fingerprint: k.Ref.Fingerprint.String(), Role: k.Role.String(), SPKI: k.Public.SPKI(), Registered: k.Registered, Current: k.Current, Published: []publishedView{}}
	for _, p := range k.Published {
		view := publishedView{Index: p.First.Index, Since: p.First.Admitted, LastIndex: p.Last.Index, Last: p.Last.Admitted, Until: p.Last.NotAfter, InTime: r.ChainInTime(p.First.Index) && r.ChainInTime(p.Last.Index) && (!p.Ended || r.ChainInTime(p.End.Index))}
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

// printMember prints it for people.
func (a *app) printMember(v memberView) {
	who := v.Name + " (" + v.Domain + ")"
	if v.Member {
		a.printf("%s has been a member of %s since %s.\n", who, v.Origin, day(v.Registered.Admitted))
	} else {
		a.printf("%s left %s on %s.\n", who, v.Origin, day(v.Left.Admitted))
	}
	if v.LegalName != "" {
		a.printf("Legal name: %s\n", v.LegalName)
	}
	a.printf("\n%s\n", a.paint(bold, "Why its keys are taken for its own"))
	for _, w := range v.Vouchers {
		a.printf("  - %s\n", voucherSentence(w))
	}
	if len(v.Vouchers) == 0 {
		a.printf("  - Nobody vouched for it.\n")
	}
	for _, k := range v.Keys {
		for _, p := range k.Published {
			a.printf("  - %s\n", publishedSentence(v.Domain, k, p))
		}
	}
	a.printf("\n%s (%d must sign)\n", a.paint(bold, "Keys"), v.Quorum)
	for _, k := range v.Keys {
		a.printf("  - %s\n", keySentence(k))
	}
	a.printf("\n%s\n", a.paint(bold, "Endorsements"))
	for _, e := range v.Endorsements {
		a.printf("  - %s\n", endorsementSentence(e))
	}
	for _, st := range v.NotEndorsed {
		if !slices.ContainsFunc(v.Endorsements, func(e endorsementView) bool { return e.Statement == st.Statement }) {
			a.printf("  - Has not endorsed %q, %s.\n", st.Title, st.Statement)
		}
	}
	if len(v.Endorsements)+len(v.NotEndorsed) == 0 {
		a.printf("  - The record has no statement yet.\n")
	}
	a.printf("\n%s\n", a.paint(bold, "History"))
	for _, e := range v.History {
		a.printf("  - %s\n", eventSentence(e))
	}
	a.printf("\nReplayed: %s of %s, root hash %s.\n", plural(v.Size, "entry"), v.Origin, v.Root)
}

func voucherSentence(w voucherView) string {
	var as []string
	if w.Operator {
		as = append(as, "the operator")
	}
	if w.Member {
		as = append(as, "a member")
	}
	s := fmt.Sprintf("%s vouched for it in entry %d, as %s.", w.Domain, w.Index, strings.Join(as, " and "))
	if w.Disputed {
		s += " This is disputed: a key that signed has since been declared compromised from before that entry."
	}
	return s
}

func keySentence(k memberKeyView) string {
	s := fmt.Sprintf("%s %s, a %s, registered in entry %s", k.Suite, k.Fingerprint, k.Role, joinNumbers(k.Registered))
	switch {
	case k.RevokedAt != nil:
		s += fmt.Sprintf("; revoked in entry %d", *k.RevokedAt)
	case k.SuspendedAt != nil:
		s += fmt.Sprintf("; suspended in entry %d", *k.SuspendedAt)
	case k.Current:
		s += "; in use"
	default:
		s += "; no longer in use"
	}
	if k.CompromisedAfter != nil {
		s += fmt.Sprintf("; what it signed from entry %d on is disputed", *k.CompromisedAfter)
	}
	return s + "."
}

func publishedSentence(domain string, k memberKeyView, p publishedView) string {
	s := fmt.Sprintf("%s itself published the key %s in the DNS, signed: seen on %s (entry %d)", domain, k.Fingerprint, day(p.Since), p.Index)
	if p.LastIndex != p.Index {
		s += fmt.Sprintf(", last on %s (entry %d)", day(p.Last), p.LastIndex)
	}
	s += ", in signatures good until " + day(p.Until)
	doubt := ""
	if !p.InTime {
		doubt = " No witnesses bear out that all of this was in the record before the signatures ended."
	}
	if p.Gone == nil {
		return s + "." + doubt
	}
	why := "it no longer did"
	if p.GoneOutcome == dnssec.Insecure.String() {
		why = "its zone was no longer signed"
	}
	return fmt.Sprintf("%s; by %s (entry %d) %s.", s, day(*p.Gone), *p.GoneIndex, why) + doubt
}

func joinNumbers(list []uint64) string {
	var parts []string
	for _, n := range list {
		parts = append(parts, fmt.Sprint(n))
	}
	return strings.Join(parts, " and ")
}

func endorsementSentence(e endorsementView) string {
	verb := "Endorsed"
	if !e.Stands {
		verb = "Withdrew its endorsement of"
	}
	s := fmt.Sprintf("%s %q, %s, on %s (entry %d, dated %s by the signer).", verb, e.Title, e.Statement, day(e.Admitted), e.Index, e.Date)
	switch {
	case e.NotBefore != nil && e.NoLater != nil:
		s += fmt.Sprintf(" Signed after %s, it existed by %s.", moment(*e.NotBefore), moment(*e.NoLater))
	case e.NotBefore != nil:
		s += fmt.Sprintf(" Signed after %s.", moment(*e.NotBefore))
	case e.NoLater != nil:
		s += fmt.Sprintf(" It existed by %s.", moment(*e.NoLater))
	}
	if e.Disputed {
		s += " This is disputed: a key that signed has since been declared compromised from before that entry."
	}
	return s
}

func eventSentence(e eventView) string {
	s := fmt.Sprintf("Entry %d, %s: %s, signed by %s", e.Index, moment(e.Admitted), e.Action, e.Signer)
	if e.Added != "" {
		s += ", new key " + e.Added
	}
	if e.About != "" {
		s += ", about " + e.About
	}
	return s + "."
}
