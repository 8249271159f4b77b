package mirror

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// events returns what an admitted entry is to those who watch. The state has it already.
func (w *Watch) events(state *roll.State, index uint64, l *entry.Leaf) []Event {
	e := l.Entry
	about := Event{Index: &index, Entry: e.ID().String(), Admitted: &l.Admitted, Signer: e.Signer}
	var events []Event
	switch b := e.Body.(type) {
	case *entry.Charter:
		events = append(events, w.charter(about, index, b)...)
	case *entry.Statement:
		events = append(events, w.statement(about, b)...)
	case *entry.Membership:
		events = append(events, w.membership(about, b)...)
	case *entry.KeyEvent:
		events = append(events, w.keyEvent(about, b)...)
	case *entry.Endorsement:
		events = append(events, w.endorsement(about, state, b)...)
	}
	events = append(events, w.vouched(about, e)...)
	switch b, ok := e.Body.(*entry.Evidence); {
	case ok && b.Type == entry.DNSSEC:
		events = append(events, w.domainWord(about, state, index, b.Member)...)
	case len(l.Chain) > 0:
		events = append(events, w.domainWord(about, state, index, e.Signer)...)
	}
	return events
}

// domainWord tells which keys a domain has begun to publish in the DNS, and which it no longer does. It is good news that it does, and no news that a
// key is gone that the record knows as replaced or revoked.
func (w *Watch) domainWord(about Event, state *roll.State, index uint64, domain string) []Event {
	shown, gone, outcome := state.News(domain, index)
	about.Domain = domain
	by := w.named(domain)
	which := func(refs []keys.Ref) string {
		if len(refs) == 1 {
			return "one of its keys"
		}
		return fmt.Sprintf("%d of its keys", len(refs))
	}
	tell := func(typ EventType, refs []keys.Ref, level Level, format string) []Event {
		if len(refs) == 0 {
			return nil
		}
		about := about
		about.brings(refs...)
		events := w.tell(about, typ, "", by, nil, LevelInfo, format, keys.DisplayDomain(domain), which(refs))
		for i := range events {
			events[i].Level = level
		}
		return events
	}
	level := LevelInfo
	for _, ref := range gone {
		if k, _ := state.Key(ref); !k.Revoked && len(by) > 0 {
			level = LevelAlert
		}
	}
	why := "its zone says, signed, that it is not there"
	if len(gone) > 1 {
		why = "its zone says, signed, that they are not there"
	}
	if outcome == dnssec.Insecure {
		why = "its zone is no longer signed"
	}
	return append(tell(EventKeyPublished, shown, LevelInfo, "%s itself publishes %s in the DNS, signed."),
		tell(EventKeyGone, gone, level, "%s no longer publishes %s in the DNS: "+why+".")...)
}

// named returns the lines of the watch that name one of the domains.
func (w *Watch) named(domains ...string) []string {
	var lines []string
	for _, d := range w.Domains {
		if slices.Contains(domains, d) {
			lines = append(lines, "domain "+d)
		}
	}
	return lines
}

// texts returns those that name one of the statements.
func (w *Watch) texts(hashes ...entry.Hash) []string {
	var lines []string
	for _, h := range w.Statements {
		if slices.Contains(hashes, h) {
			lines = append(lines, "statement "+h.String())
		}
	}
	return lines
}

// tell makes an event of an entry if somebody watches: by a domain or a name it is an alert, otherwise of this level.
func (w *Watch) tell(about Event, typ EventType, action string, byDomain, byText []string, otherwise Level, format string, args ...any) []Event {
	about.Type, about.action, about.Sentence = typ, action, fmt.Sprintf(format, args...)
	if u := keys.DomainToUnicode(about.Domain); u != about.Domain {
		about.Unicode = u
	}
	about.Watched = append(byDomain, byText...)
	about.Level = otherwise
	switch {
	case len(byDomain) > 0 || kinds[typ].level == LevelAlert:
		about.Level = LevelAlert
	case len(byText) == 0 && !w.All:
		return nil
	case len(byText) == 0:
		about.Level, about.Watched = LevelInfo, []string{"all"}
	}
	if action != "" {
		about.Expected = new(bool)
	}
	slices.SortFunc(about.hashes, func(a, b entry.Hash) int { return bytes.Compare(a[:], b[:]) })
	about.hashes = slices.Compact(about.hashes)
	return []Event{about}
}

// brings says which keys an entry brings, revokes or suspends.
func (e *Event) brings(refs ...keys.Ref) {
	for _, ref := range refs {
		e.Keys = append(e.Keys, ref.String())
		e.hashes = append(e.hashes, entry.Hash(ref.Fingerprint))
	}
}

func refs(lists ...[]entry.PublicKey) []keys.Ref {
	var all []keys.Ref
	for _, list := range lists {
		for _, k := range list {
			all = append(all, k.Ref())
		}
	}
	return all
}

func (w *Watch) charter(about Event, index uint64, b *entry.Charter) []Event {
	domains := append([]string{b.Operator, about.Signer}, b.Publishers...)
	about.Domain = b.Operator
	about.brings(refs(b.PublicKeys)...)
	var events []Event
	if index == 0 {
		if by := w.named(domains...); len(by) > 0 || w.All {
			events = w.tell(about, EventCharter, "", by, nil, LevelInfo, "The record begins with its charter, “%s”, of the operator %s.", b.Title, keys.DisplayDomain(b.Operator))
			events[0].Level = LevelInfo // there is nothing that it changes
		}
	} else {
		events = w.tell(about, EventCharter, "amend", w.named(domains...), nil, LevelAlert,
			"%s changed the rules of the record from entry %d on. It is called “%s”, and its operator is %s.", keys.DisplayDomain(about.Signer), index, b.Title, keys.DisplayDomain(b.Operator))
	}
	for _, d := range slices.Compact(slices.Sorted(slices.Values(domains))) {
		about.Domain = d
		events = append(events, w.lookAlikes(about, d, "is in the charter as operator or publisher")...)
	}
	return events
}

func (w *Watch) statement(about Event, b *entry.Statement) []Event {
	about.Domain, about.Statement = about.Signer, b.Statement.String()
	about.hashes = []entry.Hash{b.Statement}
	by, texts := w.named(about.Signer), w.texts(b.Statement)
	switch b.Action {
	case entry.Close:
		return w.tell(about, EventStatementClosed, "close", by, texts, LevelWarning, "%s closed a statement: nobody can endorse it any more.", keys.DisplayDomain(about.Signer))
	case entry.Reopen:
		return w.tell(about, EventStatementReopened, "reopen", by, texts, LevelWarning, "%s opened a statement again for endorsements.", keys.DisplayDomain(about.Signer))
	}
	events := w.tell(about, EventStatementPublished, "publish", by, texts, LevelInfo, "%s published the statement “%s”.", keys.DisplayDomain(about.Signer), b.Title)
	if b.Supersedes != nil {
		old := about
		old.hashes, old.Statement = nil, b.Supersedes.String()
		events = append(events, w.tell(old, EventStatementSuperseded, "", by, w.texts(*b.Supersedes), LevelWarning,
			"%s published another statement, “%s” (%s), in the place of this one.", keys.DisplayDomain(about.Signer), b.Title, b.Statement)...)
	}
	return events
}

func (w *Watch) membership(about Event, b *entry.Membership) []Event {
	about.Domain = b.Member
	about.brings(refs(b.PublicKeys, b.RecoveryKeys)...)
	by := w.named(b.Member, about.Signer)
	switch b.Action {
	case entry.Leave:
		return w.tell(about, EventLeave, "leave", by, nil, LevelInfo, "%s left.", keys.DisplayDomain(b.Member))
	case entry.Update:
		events := w.tell(about, EventUpdate, "update", by, nil, LevelInfo, "%s changed what is said about it; its name is now “%s”.", keys.DisplayDomain(b.Member), b.Name)
		return append(events, w.lookAlikes(about, b.Member, "changed its entry", b.Name, b.LegalName)...)
	}
	events := w.tell(about, EventRegistration, "register", by, nil, LevelInfo, "%s registered as “%s”.", keys.DisplayDomain(b.Member), b.Name)
	return append(events, w.lookAlikes(about, b.Member, "registered", b.Name, b.LegalName)...)
}

// lookAlikes tells of a domain that looks, or whose names look, like what is watched.
func (w *Watch) lookAlikes(about Event, domain, did string, names ...string) []Event {
	if slices.Contains(w.Domains, domain) {
		return nil
	}
	about.hashes = nil
	var events []Event
	for _, of := range []struct {
		kind    string
		watched []string
	}{{"domain ", w.Domains}, {"name ", w.Names}} {
		for _, watched := range of.watched {
			like := func(s string) bool { return s != "" && roll.LookAlike(s, watched) }
			if !like(domain) && !slices.ContainsFunc(names, like) {
				continue
			}
			about.Like = watched
			called := ""
			if len(names) > 0 {
				called = " as “" + names[0] + "”"
			}
			events = append(events, w.tell(about, EventLookAlike, "", []string{of.kind + watched}, nil, LevelAlert,
				"%s %s%s, which can be mistaken for %s.", keys.DisplayDomain(domain), did, called, keys.DisplayDomain(watched))...)
		}
	}
	return events
}

func (w *Watch) keyEvent(about Event, b *entry.KeyEvent) []Event {
	about.Domain = b.Member
	if b.PublicKey != nil {
		about.brings(b.PublicKey.Ref())
	}
	if b.Revokes != nil {
		about.brings(*b.Revokes)
	}
	by := w.named(b.Member, about.Signer)
	switch b.Action {
	case entry.Add:
		return w.tell(about, EventKeyAdded, "add-key", by, nil, LevelInfo, "%s has one more key.", keys.DisplayDomain(b.Member))
	case entry.Rotate:
		return w.tell(about, EventKeyRotated, "rotate-key", by, nil, LevelInfo, "%s replaced a key by a new one.", keys.DisplayDomain(b.Member))
	case entry.Suspend:
		return w.tell(about, EventKeySuspended, "suspend-key", by, nil, LevelInfo, "%s suspended a key of %s.", keys.DisplayDomain(about.Signer), keys.DisplayDomain(b.Member))
	}
	disputed := ""
	if b.CompromisedAfter != nil {
		disputed = fmt.Sprintf(" What it signed from entry %d on is disputed.", *b.CompromisedAfter)
	}
	return w.tell(about, EventKeyRevoked, "revoke-key", by, nil, LevelInfo, "A key of %s was revoked.%s", keys.DisplayDomain(b.Member), disputed)
}

func (w *Watch) endorsement(about Event, state *roll.State, b *entry.Endorsement) []Event {
	about.Domain, about.Statement = about.Signer, b.Statement.String()
	about.hashes = []entry.Hash{b.Statement}
	title := "a statement"
	if st, ok := state.Statement(b.Statement); ok {
		title = "the statement “" + st.Title + "”"
	}
	by, texts := w.named(about.Signer), w.texts(b.Statement)
	if b.Action == entry.Withdraw {
		return w.tell(about, EventWithdrawal, "withdraw", by, texts, LevelWarning, "%s no longer endorses %s.", keys.DisplayDomain(about.Signer), title)
	}
	return w.tell(about, EventEndorsement, "endorse", by, texts, LevelInfo, "%s endorsed %s.", keys.DisplayDomain(about.Signer), title)
}

// vouched tells of keys of watched domains that signed for somebody else.
func (w *Watch) vouched(about Event, e *entry.Entry) []Event {
	switch b := e.Body.(type) {
	case *entry.Membership:
		about.brings(refs(b.PublicKeys, b.RecoveryKeys)...)
	case *entry.Charter:
		about.brings(refs(b.PublicKeys)...)
	}
	var events []Event
	for _, d := range w.Domains {
		if d != e.Signer && slices.ContainsFunc(e.Named(), func(n entry.Named) bool { return n.Domain == d }) {
			about.Domain = d
			events = append(events, w.tell(about, EventVouched, "vouch", []string{"domain " + d}, nil, LevelAlert, "A key of %s signed for what %s did.", keys.DisplayDomain(d), keys.DisplayDomain(e.Signer))...)
		}
	}
	return events
}
