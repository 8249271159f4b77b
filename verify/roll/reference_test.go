package roll_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/unicode15"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// The reference is the fold once more, slow and obvious: it keeps nothing but
// the list of admitted entries, and goes through all of it for each question.
type reference struct {
	origin string
	log    []admitted
	known  map[string]bool // signatures and keys judged before, a cache for speed alone
}

type admitted struct {
	at    time.Time
	e     *entry.Entry
	chain []byte
}

// word returns the DNSSEC chain in an entry, and whom it is about.
func (x admitted) word() (domain string, chain []byte) {
	if b, ok := x.e.Body.(*entry.Evidence); ok && b.Type == entry.DNSSEC {
		return b.Member, b.Data
	}
	return x.e.Signer, x.chain
}

// A refSpan is a roll.Span by the indexes of entries.
type refSpan struct {
	first, last, end uint64
	ended            bool
}

// A refWord is a roll.Word by the index of its entry.
type refWord struct {
	index uint64
	shown bool
}

// published goes through all chains that were recorded while a key was one of a domain, since the registration under which it became that last.
func (r *reference) published(domain string, ref keys.Ref) (spans []refSpan) {
	spans, _ = r.words(domain, ref)
	return spans
}

func (r *reference) words(domain string, ref keys.Ref) (spans []refSpan, words []refWord) {
	had := false
	for i, x := range r.log {
		b, ok := x.e.Body.(*entry.Membership)
		registers := ok && b.Member == domain && b.Action == entry.Register
		then := (&reference{origin: r.origin, log: r.log[:i+1]}).life(domain)
		if has := then.all[ref]; has && (!had || registers) {
			spans, words = nil, nil
		}
		had = then.all[ref]
		about, chain := x.word()
		if about != domain || len(chain) == 0 || !had {
			continue
		}
		result, err := dnssec.Verify(domain, chain, dnssec.RootAnchors(), x.at)
		if err != nil {
			panic(err)
		}
		shown := result.Outcome == dnssec.Published && slices.Contains(result.Records, dnssec.Record{Ledger: r.origin, Key: ref.Fingerprint})
		open := len(spans) > 0 && !spans[len(spans)-1].ended
		switch {
		case shown && open:
			spans[len(spans)-1].last = uint64(i)
		case shown:
			spans = append(spans, refSpan{uint64(i), uint64(i), 0, false})
		case open:
			spans[len(spans)-1].end, spans[len(spans)-1].ended = uint64(i), true
		}
		words = append(words, refWord{uint64(i), shown})
	}
	return spans, words
}

// older compares what the zones of a chain said with what they said in each chain about the domain before.
func (r *reference) older(domain string, result *dnssec.Result) bool {
	seen := map[keys.Fingerprint]bool{}
	leads := map[string]dnssec.Step{} // by zone: its last delegation, and when that was signed last
	for i, x := range r.log {
		about, chain := x.word()
		if about != domain || len(chain) == 0 {
			continue
		}
		before, err := dnssec.Verify(domain, chain, dnssec.RootAnchors(), x.at)
		if err != nil {
			panic(err)
		}
		for i, a := range before.Steps {
			for j, b := range result.Steps {
				ends := i+1 == len(before.Steps) || j+1 == len(result.Steps)
				if a.Zone == b.Zone && ends && b.Signed.Before(a.Signed) {
					return true
				}
			}
		}
		for ref := range (&reference{origin: r.origin, log: r.log[:i+1]}).life(domain).all {
			if before.Publishes(r.origin, ref.Fingerprint) {
				seen[ref.Fingerprint] = true
			}
		}
		end := before.Steps[len(before.Steps)-1]
		for _, b := range result.Steps {
			for key := range seen {
				if b.Zone == end.Zone && b.Signed.Equal(end.Signed) && !before.Publishes(r.origin, key) && result.Publishes(r.origin, key) {
					return true
				}
			}
		}
		for _, a := range before.Steps[:len(before.Steps)-1] {
			if last := leads[a.Zone]; last.Delegation != a.Delegation || last.Signed.Before(a.Signed) {
				leads[a.Zone] = a
			}
		}
	}
	for _, b := range result.Steps[:len(result.Steps)-1] {
		if last, ok := leads[b.Zone]; ok && last.Delegation != b.Delegation && !b.Signed.After(last.Signed) {
			return true
		}
	}
	return false
}

// chainOK judges a chain that came with an entry.
func (r *reference) chainOK(e *entry.Entry, chain []byte, at time.Time) bool {
	result, err := dnssec.Verify(e.Signer, chain, dnssec.RootAnchors(), at)
	if err != nil || r.older(e.Signer, result) {
		return false
	}
	shown := refs{}
	for _, x := range result.Records {
		for _, ref := range e.Keys {
			if x.Ledger == r.origin && x.Key == ref.Fingerprint {
				shown[ref] = true
			}
		}
	}
	b, ok := e.Body.(*entry.Membership)
	if ok && b.Action == entry.Register && r.charter().Admission.DNSSEC && len(minus(refsOf(b.PublicKeys...), shown)) > 0 {
		return false
	}
	return len(shown) > 0
}

// wordOK judges a chain that the log records.
func (r *reference) wordOK(b *entry.Evidence, at time.Time) bool {
	l := r.life(b.Member)
	result, err := dnssec.Verify(b.Member, b.Data, dnssec.RootAnchors(), at)
	if err != nil || !l.ever || r.older(b.Member, result) {
		return false
	}
	for _, x := range r.log {
		if about, chain := x.word(); about == b.Member && string(chain) == string(b.Data) {
			return false
		}
	}
	for ref := range l.all {
		spans := r.published(b.Member, ref)
		if len(spans) > 0 && !spans[len(spans)-1].ended {
			return true
		}
	}
	return result.Outcome == dnssec.Published && slices.ContainsFunc(result.Records, func(x dnssec.Record) bool { return x.Ledger == r.origin })
}

type refs map[keys.Ref]bool

func refsOf(lines ...entry.PublicKey) refs {
	set := refs{}
	for _, line := range lines {
		set[line.Ref()] = true
	}
	return set
}

func union(sets ...refs) refs {
	all := refs{}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return all
}

func minus(a, b refs) refs {
	left := refs{}
	for ref := range a {
		if !b[ref] {
			left[ref] = true
		}
	}
	return left
}

func both(a, b refs) int { return len(a) - len(minus(a, b)) }

// life is what became of a domain as a member.
type life struct {
	ever, member              bool
	keys, recovery, suspended refs
	all                       refs // every key of this registration
	quorum                    int
}

func (r *reference) life(domain string) life {
	var l life
	for _, x := range r.log {
		switch b := x.e.Body.(type) {
		case *entry.Membership:
			if b.Member != domain {
				continue
			}
			switch b.Action {
			case entry.Register:
				l = life{true, true, refsOf(b.PublicKeys...), refsOf(b.RecoveryKeys...), refs{}, nil, b.Quorum}
				l.all = union(l.keys, l.recovery)
			case entry.Update:
				l.recovery, l.quorum = refsOf(b.RecoveryKeys...), b.Quorum
				l.all = union(l.all, l.recovery)
			case entry.Leave:
				l.member = false
			}
		case *entry.KeyEvent:
			if b.Member != domain {
				continue
			}
			if b.Action == entry.Suspend {
				l.suspended[*b.Revokes] = true
				continue
			}
			if b.Revokes != nil {
				delete(l.keys, *b.Revokes)
				delete(l.recovery, *b.Revokes)
			}
			if b.PublicKey != nil {
				l.keys[b.PublicKey.Ref()] = true
				l.all[b.PublicKey.Ref()] = true
			}
		}
	}
	return l
}

func (r *reference) charter() *entry.Charter {
	for _, x := range slices.Backward(r.log) {
		if c, ok := x.e.Body.(*entry.Charter); ok {
			return c
		}
	}
	return nil
}

func subjectOf(e *entry.Entry) string {
	switch b := e.Body.(type) {
	case *entry.Charter:
		return "charters"
	case *entry.Statement:
		return "statement " + b.Statement.String()
	case *entry.Membership:
		return "member " + b.Member
	case *entry.KeyEvent:
		return "member " + b.Member
	case *entry.Endorsement:
		return "endorsement " + e.Signer + " " + b.Statement.String()
	}
	return "" // of the log's own making
}

func (r *reference) last(subject string) *entry.Entry {
	for _, x := range slices.Backward(r.log) {
		if subjectOf(x.e) == subject {
			return x.e
		}
	}
	return nil
}

// compromised returns the lowest index that was ever declared for a key.
func (r *reference) compromised(ref keys.Ref) (lowest uint64, ok bool) {
	for _, x := range r.log {
		if b, is := x.e.Body.(*entry.KeyEvent); is && b.CompromisedAfter != nil && *b.Revokes == ref {
			if !ok || *b.CompromisedAfter < lowest {
				lowest, ok = *b.CompromisedAfter, true
			}
		}
	}
	return lowest, ok
}

// doubted returns from which index on what keys signed is in doubt: those that are compromised, and those that came with one that was doubted by then.
func (r *reference) doubted() map[keys.Ref]uint64 {
	from := map[keys.Ref]uint64{}
	for _, x := range r.log {
		if b, is := x.e.Body.(*entry.KeyEvent); is && b.CompromisedAfter != nil {
			from[*b.Revokes], _ = r.compromised(*b.Revokes)
		}
	}
	for changed := true; changed; {
		changed = false
		for i, x := range r.log {
			came := refs{}
			switch b := x.e.Body.(type) {
			case *entry.KeyEvent:
				if b.PublicKey != nil {
					came = refsOf(*b.PublicKey)
				}
			case *entry.Membership:
				if b.Action == entry.Update {
					before := &reference{origin: r.origin, log: r.log[:i], known: r.known}
					came = minus(refsOf(b.RecoveryKeys...), before.life(b.Member).recovery)
				}
			}
			for _, with := range x.e.Keys {
				if came[with] {
					continue
				}
				if since, ok := from[with]; !ok || since > uint64(i) {
					continue
				}
				for ref := range came {
					if since, ok := from[ref]; !ok || since > uint64(i) {
						from[ref], changed = uint64(i), true
					}
				}
			}
		}
	}
	return from
}

func (r *reference) revoked(ref keys.Ref) bool {
	for _, x := range r.log {
		if b, ok := x.e.Body.(*entry.KeyEvent); ok && (b.Action == entry.Rotate || b.Action == entry.Revoke) && *b.Revokes == ref {
			return true
		}
	}
	return false
}

// standing answers the question of the whole record.
func (r *reference) standing(h entry.Hash) []string {
	found := map[string]bool{}
	for _, x := range r.log {
		if b, ok := x.e.Body.(*entry.Endorsement); ok && b.Statement == h {
			if b.Action == entry.Endorse {
				found[x.e.Signer] = true
			} else {
				delete(found, x.e.Signer)
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// everyWord tells every word of a member about a statement.
func (r *reference) everyWord(domain string, h entry.Hash) string {
	doubted, list := r.doubted(), []roll.Said{}
	for i, x := range r.log {
		b, ok := x.e.Body.(*entry.Endorsement)
		if !ok || b.Statement != h || x.e.Signer != domain {
			continue
		}
		w := roll.Said{Mark: roll.Mark{Index: uint64(i), Admitted: x.at}, ID: x.e.ID(), Action: b.Action, Keys: x.e.Keys, Renditions: b.Renditions}
		if b.Action == entry.Withdraw {
			w.Renditions = list[len(list)-1].Renditions
		}
		for _, ref := range w.Keys {
			from, ok := doubted[ref]
			w.Disputed = w.Disputed || ok && from <= w.Index
		}
		list = append(list, w)
	}
	return wordsOf(list)
}

func wordsOf(list []roll.Said) string {
	s := ""
	for _, w := range list {
		w.Admitted = w.Admitted.UTC()
		s += fmt.Sprintf("%+v;", w)
	}
	return s
}

// list returns the lines of a roll as of a moment.
func (r *reference) list(h entry.Hash, asOf time.Time) []roll.Line {
	found := map[string]roll.Line{}
	for i, x := range r.log {
		if b, ok := x.e.Body.(*entry.Endorsement); ok && b.Statement == h && !x.at.After(asOf) {
			if b.Action == entry.Endorse {
				found[x.e.Signer] = roll.Line{Domain: x.e.Signer, Index: uint64(i), ID: x.e.ID()}
			} else {
				delete(found, x.e.Signer)
			}
		}
	}
	lines := []roll.Line{}
	for _, domain := range slices.Sorted(maps.Keys(found)) {
		lines = append(lines, found[domain])
	}
	return lines
}

// rfc6962 is the root hash as the RFC defines it (section 2.1).
func rfc6962(leaves [][]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	left, right := rfc6962(leaves[:k]), rfc6962(leaves[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

func rootOf(lines []roll.Line) [32]byte {
	var leaves [][]byte
	for _, l := range lines {
		leaves = append(leaves, []byte(fmt.Sprintf("undersigned/roll-line/v1 %s %d %s\n", l.Domain, l.Index, l.ID)))
	}
	return rfc6962(leaves)
}

func (r *reference) rollOK(b *entry.Roll, index uint64, at time.Time) bool {
	lines := r.list(b.Statement, b.AsOf)
	return r.publication(b.Statement) != nil && b.Size == index && b.AsOf.Before(at) && b.Count == uint64(len(lines)) && b.Root == rootOf(lines)
}

func (r *reference) publication(h entry.Hash) *admitted {
	for i, x := range r.log {
		if b, ok := x.e.Body.(*entry.Statement); ok && b.Statement == h && b.Action == entry.Publish {
			return &r.log[i]
		}
	}
	return nil
}

func (r *reference) open(h entry.Hash, at time.Time) bool {
	open := false
	for _, x := range r.log {
		if b, ok := x.e.Body.(*entry.Statement); ok && b.Statement == h {
			open = b.Action != entry.Close && (b.Closes.IsZero() || at.Before(b.Closes))
		}
	}
	return open
}

// mayBring reports whether a key may be registered for a domain in a role.
func (r *reference) mayBring(line entry.PublicKey, domain, role string) bool {
	ref := line.Ref()
	cached := "key " + ref.String()
	if _, ok := r.known[cached]; !ok {
		_, err := keys.ParsePublicKey(line.Suite, line.SPKI)
		r.known[cached] = err == nil
	}
	if !r.known[cached] {
		return false
	}
	fits := true
	served := func(line entry.PublicKey, ofDomain, ofRole string) {
		if line.Ref().Fingerprint == ref.Fingerprint && (line.Suite != ref.Suite || ofDomain != domain || ofRole != role) {
			fits = false
		}
	}
	for _, x := range r.log {
		switch b := x.e.Body.(type) {
		case *entry.Charter:
			for _, line := range b.PublicKeys {
				served(line, b.Operator, "operator")
			}
		case *entry.Membership:
			for _, line := range b.PublicKeys {
				served(line, b.Member, "key")
			}
			for _, line := range b.RecoveryKeys {
				served(line, b.Member, "recovery")
			}
		case *entry.KeyEvent:
			if b.PublicKey != nil {
				served(*b.PublicKey, b.Member, "key")
			}
		}
	}
	if !fits || r.revoked(ref) {
		return false
	}
	if role == "operator" {
		c := r.charter()
		return c == nil || !refsOf(c.PublicKeys...)[ref]
	}
	l := r.life(domain)
	return !l.member || !l.keys[ref] && !l.recovery[ref]
}

// vouchers returns which domains vouch as members, and whether the operator does.
func (r *reference) vouchers(lines []entry.Named, subject string, admitsItself bool) (members map[string]bool, operator, ok bool) {
	c := r.charter()
	lineKeys := map[string]refs{}
	for _, line := range lines {
		if refsOf(c.PublicKeys...)[line.Ref] && line.Domain == c.Operator {
			if line.Domain == subject && !admitsItself {
				return nil, false, false
			}
			operator = true
			continue
		}
		if line.Domain == subject {
			return nil, false, false
		}
		if lineKeys[line.Domain] == nil {
			lineKeys[line.Domain] = refs{}
		}
		lineKeys[line.Domain][line.Ref] = true
	}
	members = map[string]bool{}
	for domain, set := range lineKeys {
		l := r.life(domain)
		if !l.member || len(minus(set, minus(l.keys, l.suspended))) > 0 || len(set) < l.quorum {
			return nil, false, false
		}
		members[domain] = true
	}
	return members, operator, true
}

// membersNow returns the domains of all members that have not left.
func (r *reference) membersNow() map[string]bool {
	now := map[string]bool{}
	for _, x := range r.log {
		if b, ok := x.e.Body.(*entry.Membership); ok && r.life(b.Member).member {
			now[b.Member] = true
		}
	}
	return now
}

func alike(a, b string) bool {
	x, y := unicode15.Skeletons(keys.DomainToUnicode(a)), unicode15.Skeletons(keys.DomainToUnicode(b))
	return x[0] == y[0] || x[1] == y[1]
}

// taken reports whether one of the names looks like the domain of another, or,
// if orNames, like a name of another.
func (r *reference) taken(domain string, orNames bool, names ...string) bool {
	domains, theirNames := map[string]bool{}, map[string][]string{}
	for _, x := range r.log {
		switch b := x.e.Body.(type) {
		case *entry.Charter:
			domains[b.Operator] = true
		case *entry.Membership:
			if b.Action != entry.Leave {
				domains[b.Member], theirNames[b.Member] = true, []string{b.Name, b.LegalName}
			}
		}
	}
	for other := range domains {
		others := []string{other}
		if orNames {
			others = append(others, theirNames[other]...)
		}
		for _, name := range names {
			for _, their := range others {
				if other != domain && their != "" && alike(name, their) {
					return true
				}
			}
		}
	}
	return false
}

func soundNames(names ...string) bool {
	for _, name := range names {
		if unicode15.MixedScripts(name) || !unicode15.HasLetter(name) {
			return false
		}
	}
	return true
}

// key returns the public key that ref names, of those in the log or in e.
func (r *reference) key(ref keys.Ref, e *entry.Entry) *keys.PublicKey {
	for _, x := range append(r.log[:len(r.log):len(r.log)], admitted{e: e}) {
		var lines []entry.PublicKey
		switch b := x.e.Body.(type) {
		case *entry.Charter:
			lines = b.PublicKeys
		case *entry.Membership:
			lines = append(lines, b.PublicKeys...)
			lines = append(lines, b.RecoveryKeys...)
		case *entry.KeyEvent:
			if b.PublicKey != nil {
				lines = append(lines, *b.PublicKey)
			}
		}
		for _, line := range lines {
			if line.Ref() == ref {
				k, _ := keys.ParsePublicKey(line.Suite, line.SPKI)
				return k
			}
		}
	}
	return nil
}

func (r *reference) signed(e *entry.Entry) bool {
	named := e.Named()
	if len(named) != len(e.Signatures) {
		return false
	}
	for i, n := range named {
		sig := e.Signatures[i]
		cached := fmt.Sprintf("%s %s %s %s %d %x", e.ID(), n.Domain, n.Ref, sig.Name, sig.KeyID, sig.Sig)
		if _, ok := r.known[cached]; !ok {
			k := r.key(n.Ref, e)
			r.known[cached] = k != nil && sig.Name == n.Domain && sig.KeyID == k.NoteKeyID(n.Domain) && k.Verify(e.Ledger, e.Text(), sig.Sig)
		}
		if !r.known[cached] {
			return false
		}
	}
	return true
}

// admissible is the law.
func (r *reference) admissible(l *entry.Leaf) bool {
	at, e := l.Admitted, l.Entry
	index := uint64(len(r.log))
	c := r.charter()
	if e.Ledger != r.origin || e.Genesis != (index == 0) || index == 0 && e.Body.Kind() != entry.KindCharter {
		return false
	}
	if index > 0 && at.Before(r.log[index-1].at) {
		return false
	}
	switch b := e.Body.(type) {
	case *entry.Roll:
		return r.rollOK(b, index, at)
	case *entry.Evidence:
		if b.Type == entry.DNSSEC {
			return r.wordOK(b, at)
		}
		return b.Size >= 1 && b.Size <= index && !slices.ContainsFunc(r.log, func(x admitted) bool { return x.e.ID() == e.ID() })
	}
	date, err := time.Parse(time.DateOnly, e.Date)
	if err != nil {
		return false
	}
	if day := at.Truncate(24 * time.Hour); day.Before(date.AddDate(0, 0, -1)) || day.After(date.AddDate(0, 0, 30)) {
		return false
	}
	if last := r.last(subjectOf(e)); last == nil != (e.Previous == nil) || last != nil && last.ID() != *e.Previous {
		return false
	}
	lines := refs{}
	for _, ref := range e.Keys {
		lines[ref] = true
	}
	operator := c != nil && e.Signer == c.Operator && len(minus(lines, refsOf(c.PublicKeys...))) == 0

	ok := false
	switch b := e.Body.(type) {
	case *entry.Charter:
		ok = r.charterOK(b, e, lines)
	case *entry.Statement:
		ok = r.statementOK(b, e, lines, operator, at)
	case *entry.Membership:
		ok = r.membershipOK(b, e, lines)
	case *entry.Endorsement:
		ok = r.endorsementOK(b, e, lines, index, at)
	case *entry.KeyEvent:
		ok = r.keyEventOK(b, e, lines, operator, index)
	}
	if b, is := e.Body.(*entry.Membership); is && b.Action == entry.Register && c.Admission.DNSSEC && len(l.Chain) == 0 {
		return false
	}
	return ok && r.signed(e) && (len(l.Chain) == 0 || r.chainOK(e, l.Chain, at))
}

func (r *reference) charterOK(b *entry.Charter, e *entry.Entry, lines refs) bool {
	for label := range strings.SplitSeq(keys.DomainToUnicode(b.Operator), ".") {
		if unicode15.MixedScripts(label) {
			return false
		}
	}
	if r.taken(b.Operator, false, b.Operator) {
		return false
	}
	c := r.charter()
	if c == nil {
		for i, line := range b.PublicKeys {
			if len(e.Keys) != len(b.PublicKeys) || e.Keys[i] != line.Ref() || !r.mayBring(line, b.Operator, "operator") {
				return false
			}
		}
		return e.Signer == b.Operator && len(b.Vouchers) == 0
	}
	had := refsOf(c.PublicKeys...)
	for _, line := range b.PublicKeys {
		if !(had[line.Ref()] && b.Operator == c.Operator) && !r.mayBring(line, b.Operator, "operator") {
			return false
		}
	}
	if !maps.Equal(lines, union(had, refsOf(b.PublicKeys...))) || e.Signer != c.Operator {
		return false
	}
	members, _, ok := r.vouchers(b.Vouchers, c.Operator, false)
	now := r.membersNow()
	delete(now, c.Operator)
	if !ok || len(members) < min(c.Admission.Vouched, len(now)) {
		return false
	}
	if b.Operator == c.Operator {
		return true
	}
	for _, x := range r.log {
		if m, ok := x.e.Body.(*entry.Membership); ok && m.Member != c.Operator && !members[m.Member] &&
			(m.Member == b.Operator || strings.HasSuffix(b.Operator, "."+m.Member) || strings.HasSuffix(m.Member, "."+b.Operator)) {
			return false
		}
	}
	return true
}

func (r *reference) publisherOK(e *entry.Entry, lines refs) bool {
	l := r.life(e.Signer)
	return slices.Contains(r.charter().Publishers, e.Signer) && l.member &&
		len(minus(lines, minus(l.keys, l.suspended))) == 0 && len(lines) >= l.quorum
}

func (r *reference) statementOK(b *entry.Statement, e *entry.Entry, lines refs, operator bool, at time.Time) bool {
	if !operator && !r.publisherOK(e, lines) {
		return false
	}
	if !b.Closes.IsZero() && !b.Closes.After(at) {
		return false
	}
	old := r.publication(b.Statement)
	switch b.Action {
	case entry.Publish:
		if b.Supersedes != nil {
			before := r.publication(*b.Supersedes)
			if before == nil || !operator && before.e.Signer != e.Signer {
				return false
			}
		}
		return old == nil
	case entry.Close:
		return old != nil && (operator || old.e.Signer == e.Signer) && r.open(b.Statement, at)
	default:
		return old != nil && (operator || old.e.Signer == e.Signer) && !r.open(b.Statement, at)
	}
}

func (r *reference) membershipOK(b *entry.Membership, e *entry.Entry, lines refs) bool {
	l, c := r.life(b.Member), r.charter()
	speaking := minus(l.keys, l.suspended)
	if e.Signer != b.Member {
		return false
	}
	names := []string{b.Name}
	if b.LegalName != "" {
		names = append(names, b.LegalName)
	}
	switch b.Action {
	case entry.Register:
		var order []keys.Ref
		for _, line := range b.PublicKeys {
			order = append(order, line.Ref())
			if !r.mayBring(line, b.Member, "key") {
				return false
			}
		}
		for _, line := range b.RecoveryKeys {
			order = append(order, line.Ref())
			if !r.mayBring(line, b.Member, "recovery") {
				return false
			}
		}
		for label := range strings.SplitSeq(keys.DomainToUnicode(b.Member), ".") {
			if unicode15.MixedScripts(label) {
				return false
			}
		}
		if l.member || !slices.Equal(order, e.Keys) || b.Quorum > len(b.PublicKeys) ||
			!soundNames(names...) || r.taken(b.Member, true, names...) || r.taken(b.Member, false, b.Member) {
			return false
		}
		members, operator, ok := r.vouchers(b.Vouchers, b.Member, true)
		if !ok || (c.Admission.Operator || b.Member == c.Operator) && !operator {
			return false
		}
		if operator {
			members[c.Operator] = true
		}
		electorate := r.membersNow()
		electorate[c.Operator] = true
		delete(members, b.Member)
		delete(electorate, b.Member)
		return len(members) >= min(c.Admission.Vouched, len(electorate))

	case entry.Update:
		after := refsOf(b.RecoveryKeys...)
		fresh := minus(after, l.recovery)
		for _, line := range b.RecoveryKeys {
			if fresh[line.Ref()] && !r.mayBring(line, b.Member, "recovery") {
				return false
			}
		}
		if (b.Quorum != l.quorum || !maps.Equal(after, l.recovery)) && len(l.recovery) > 0 && both(lines, l.recovery) == 0 {
			return false
		}
		_, _, ok := r.vouchers(b.Vouchers, b.Member, false)
		return l.member && ok && both(lines, speaking) >= l.quorum && len(minus(fresh, lines)) == 0 &&
			len(minus(lines, union(speaking, l.recovery, fresh))) == 0 && b.Quorum <= len(l.keys) &&
			soundNames(names...) && !r.taken(b.Member, true, names...)

	default:
		return l.member && r.canLeave(l, lines)
	}
}

// canLeave is what it takes to leave and to withdraw.
func (r *reference) canLeave(l life, lines refs) bool {
	return len(minus(lines, union(l.keys, l.recovery))) == 0 && (both(lines, l.keys) >= l.quorum || both(lines, l.recovery) > 0)
}

func (r *reference) endorsementOK(b *entry.Endorsement, e *entry.Entry, lines refs, index uint64, at time.Time) bool {
	l, published := r.life(e.Signer), r.publication(b.Statement)
	if published == nil || b.After.Size < 1 || b.After.Size > index {
		return false
	}
	if b.Action == entry.Withdraw {
		return slices.Contains(r.standing(b.Statement), e.Signer) && r.canLeave(l, lines)
	}
	for _, rendition := range b.Renditions {
		if !slices.ContainsFunc(published.e.Body.(*entry.Statement).Renditions, func(of entry.Rendition) bool {
			return of.Hash == rendition.Hash && of.Language == rendition.Language
		}) {
			return false
		}
	}
	return l.member && r.open(b.Statement, at) && len(minus(lines, minus(l.keys, l.suspended))) == 0 && len(lines) >= l.quorum
}

func (r *reference) keyEventOK(b *entry.KeyEvent, e *entry.Entry, lines refs, operator bool, index uint64) bool {
	l := r.life(b.Member)
	if !l.ever {
		return false
	}
	speaking := minus(l.keys, l.suspended)
	if b.Action == entry.Suspend {
		full := e.Signer == b.Member && len(minus(lines, union(speaking, l.recovery))) == 0 &&
			(both(lines, speaking) >= l.quorum || both(lines, l.recovery) > 0)
		return l.member && l.keys[*b.Revokes] && !l.suspended[*b.Revokes] && (operator || full)
	}
	if e.Signer != b.Member {
		return false
	}
	if after := b.CompromisedAfter; after != nil {
		if lowest, ok := r.compromised(*b.Revokes); *after > index || ok && *after >= lowest {
			return false
		}
	}
	if b.Action == entry.Revoke {
		about := *b.Revokes
		if !l.all[about] || r.revoked(about) && b.CompromisedAfter == nil {
			return false
		}
		current := l.keys[about] || l.recovery[about]
		allowed := union(speaking, l.recovery)
		if current {
			allowed[about] = true
		}
		if len(minus(lines, allowed)) > 0 {
			return false
		}
		isRecovery := false
		for _, x := range r.log {
			if m, ok := x.e.Body.(*entry.Membership); ok && refsOf(m.RecoveryKeys...)[about] {
				isRecovery = true
			}
		}
		others := both(minus(lines, refs{about: true}), l.recovery)
		full := both(lines, speaking) >= l.quorum || others > 0
		if isRecovery {
			full = both(lines, speaking) >= l.quorum && others > 0
		}
		if full {
			return true
		}
		left := minus(l.keys, refs{about: true})
		if !l.suspended[about] {
			left = minus(left, l.suspended)
		}
		stranded := !isRecovery && len(l.recovery) == 0 && len(left) < l.quorum
		return lines[about] && b.CompromisedAfter == nil && !stranded
	}
	fresh := b.PublicKey.Ref()
	if !l.member || !r.mayBring(*b.PublicKey, b.Member, "key") || !lines[fresh] ||
		len(minus(lines, union(speaking, l.recovery, refs{fresh: true}))) > 0 ||
		both(lines, speaking) < l.quorum && both(lines, l.recovery) == 0 {
		return false
	}
	if b.Action == entry.Rotate {
		return l.keys[*b.Revokes]
	}
	return len(l.keys) < entry.MaxKeys
}
