package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
)

// printMember prints it for people.
func (a *app) printMember(v check.Organization) {
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
		for _, w := range e.Earlier {
			a.printf("    %s\n", earlierSentence(w))
		}
	}
	for _, st := range v.NotEndorsed {
		if !slices.ContainsFunc(v.Endorsements, func(e check.EndorsementView) bool { return e.Statement == st.Statement }) {
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

func voucherSentence(w check.VoucherView) string {
	var as []string
	if w.Operator {
		as = append(as, "the operator")
	}
	if w.Member {
		as = append(as, "a member")
	}
	s := fmt.Sprintf("%s vouched for it in entry %d, as %s.", w.Domain, w.Index, strings.Join(as, " and "))
	return s + disputed(w.Disputed)
}

func keySentence(k check.KeyView) string {
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
	if k.DisputedFrom != nil {
		s += fmt.Sprintf("; what it signed from entry %d on is disputed", *k.DisputedFrom)
		if k.CompromisedAfter == nil || *k.CompromisedAfter > *k.DisputedFrom {
			s += ", because that entry brought it with a key that is disputed"
		}
	}
	return s + "."
}

func publishedSentence(domain string, k check.KeyView, p check.PublishedView) string {
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

func endorsementSentence(e check.EndorsementView) string {
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
	return s + disputed(e.Disputed)
}

func earlierSentence(w check.SaidView) string {
	did := "endorsed"
	if w.Action == entry.Withdraw {
		did = "withdrew from"
	}
	return fmt.Sprintf("Before that, it %s it on %s (entry %d).", did, day(w.Admitted), w.Index) + disputed(w.Disputed)
}

// disputed ends the line of an entry that is.
func disputed(is bool) string {
	if is {
		return " This is disputed: a key that signed has since been declared compromised from before that entry, or had come with such a key."
	}
	return ""
}

func eventSentence(e check.EventView) string {
	s := fmt.Sprintf("Entry %d, %s: %s, signed by %s", e.Index, moment(e.Admitted), e.Action, e.Signer)
	if e.Added != "" {
		s += ", new key " + e.Added
	}
	if e.About != "" {
		s += ", about " + e.About
	}
	return s + "."
}
