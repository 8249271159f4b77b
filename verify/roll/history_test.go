package roll_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

var (
	firstSeed = flag.Uint64("roll.seed", 1, "seed of the first random history")
	histories = flag.Uint64("roll.histories", 300, "how many random histories")
)

// TestHistories plays random histories with hostile actors in them through the
// fold and the reference, which must agree on each entry and on who stands, and
// looks that nobody has gained what only its owner can give.
func TestHistories(t *testing.T) {
	var total tally
	histories := *histories
	if testing.Short() {
		histories = min(histories, 20)
	}
	for seed := *firstSeed; seed < *firstSeed+histories; seed++ {
		h := newHistory(t, seed)
		for range 60 {
			h.step()
		}
		h.end()
		if t.Failed() {
			t.Fatalf("repeat with: go test ./verify/roll -run TestHistories -roll.seed=%d -roll.histories=1", seed)
		}
		total.add(h.tally)
	}
	t.Logf("seeds %d to %d: %v", *firstSeed, *firstSeed+histories-1, total)
	// A generator that admits nothing, or refuses nothing, tests nothing.
	for rule, n := range total.refused {
		if histories >= 300 && n == 0 {
			t.Errorf("no entry broke the rule %s", rule)
		}
	}
	for _, kind := range []string{"charter amend", "statement publish", "statement close", "statement reopen", "membership register",
		"membership update", "membership leave", "endorsement endorse", "endorsement withdraw", "key add", "key rotate", "key revoke", "key suspend", "roll", "evidence rfc3161", "evidence dnssec", "key published", "key vanished"} {
		if histories >= 300 && total.admitted[kind] < 20 {
			t.Errorf("%s was admitted %d times only", kind, total.admitted[kind])
		}
	}
}

type tally struct {
	admitted map[string]int
	refused  map[roll.Rule]int
}

func (x *tally) add(y tally) {
	if x.admitted == nil {
		*x = tally{map[string]int{}, map[roll.Rule]int{}}
		for _, rule := range []roll.Rule{ // what the generator is made to break
			roll.RuleLedger, roll.RuleGenesis, roll.RuleAdmitted, roll.RuleDate, roll.RulePrevious, roll.RuleSigner, roll.RuleMember,
			roll.RuleStatement, roll.RuleOpen, roll.RuleCloses, roll.RuleEndorsed, roll.RuleAfter, roll.RuleKey, roll.RulePossession,
			roll.RuleQuorum, roll.RuleRecovery, roll.RuleRevokes, roll.RuleCompromised, roll.RuleKeyReuse, roll.RuleVoucher,
			roll.RuleAdmission, roll.RuleLookAlike, roll.RuleSignature, roll.RuleRoll, roll.RuleEvidence,
		} {
			x.refused[rule] = 0
		}
	}
	for k, n := range y.admitted {
		x.admitted[k] += n
	}
	for k, n := range y.refused {
		x.refused[k] += n
	}
}

func (x tally) String() string { return fmt.Sprintf("admitted %v, refused %v", x.admitted, x.refused) }

// A history is one random record. Organizations are honest, and sign what they
// mean to; some are sloppy, and mean to sign what is not admissible.
//
// Hostile are: a stranger with keys of its own; a thief that holds one key of
// victim.example, whose quorum is 2; and the operator, which orders, delays,
// withholds and replays what it is given, sets the clock, and holds its own keys.
type history struct {
	*testing.T
	seed uint64
	*rand.Rand
	state   *roll.State // is offered every entry
	clean   *roll.State // goes through a snapshot after each admissible one
	ref     *reference
	now     time.Time
	orgs    []*rolltest.Org
	op      *rolltest.Org
	keys    map[keys.Ref]*rolltest.Key
	stolen  *rolltest.Key
	strange *rolltest.Key
	spares  []*entry.Entry // signed by their owners, kept by whoever saw them
	willing map[entry.Hash]bool
	made    map[entry.Hash]int // when an entry was drafted
	drafts  int
	texts   []entry.Hash
	fresh   int
	size    int // of leaves
	tally
}

const victim = "victim.example"

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{
		T: t, seed: seed, Rand: rand.New(rand.NewPCG(seed, 0)), state: roll.New(rolltest.Origin), clean: roll.New(rolltest.Origin),
		ref: &reference{origin: rolltest.Origin, known: map[string]bool{}}, now: rolltest.Start, keys: map[keys.Ref]*rolltest.Key{},
		willing: map[entry.Hash]bool{}, made: map[entry.Hash]int{}, tally: tally{map[string]int{}, map[roll.Rule]int{}},
	}
	h.op = h.org("operator.example", 1+h.IntN(2), 0, 1)
	h.orgs = []*rolltest.Org{
		h.org(victim, 2+h.IntN(2), h.IntN(2), 2),
		h.org("a.example", 1, h.IntN(2), 1),
		h.org("b.example", 3, h.IntN(3), 1+h.IntN(3)),
		h.org("publisher.example", 2, 1, 1+h.IntN(2)),
		h.org("late.example", 1, 0, 1),
		h.op, // may be a member, too, with keys of its own
	}
	if h.IntN(3) == 0 {
		h.orgs = h.orgs[:5]
	}
	h.stolen = h.orgs[0].Keys[0]
	h.strange = h.key("stranger")
	for i := range 4 {
		h.texts = append(h.texts, entry.Sum([]byte{byte(i)}))
	}
	admission := []entry.Admission{{Operator: true}, {Vouched: 2}, {Operator: true, Vouched: 1 + h.IntN(3)}}[h.IntN(3)]
	admission.DNSSEC = h.chance(8)
	c := &entry.Charter{Title: "A record", Operator: h.op.Domain, PublicKeys: lines(h.op.Keys), Publishers: []string{"publisher.example"}, Admission: admission, Roll: "manual"}
	e := h.draft(c, h.op.Domain, h.op.Keys)
	e.Genesis = true
	h.offer(h.signAll(e), h.now)
	if len(h.ref.log) != 1 {
		t.Fatalf("seed %d: no charter", seed)
	}
	return h
}

func (h *history) key(seed string) *rolltest.Key {
	k := rolltest.NewKey(seed)
	h.keys[k.Ref()] = k
	return k
}

func (h *history) org(domain string, n, recovery, quorum int) *rolltest.Org {
	o := rolltest.NewOrg(domain, n, recovery, quorum)
	for _, k := range slices.Concat(o.Keys, o.Recovery) {
		h.keys[k.Ref()] = k
	}
	return o
}

func (h *history) freshKey(domain string) *rolltest.Key {
	h.fresh++
	return h.key(fmt.Sprintf("%s fresh %d", domain, h.fresh))
}

func lines(ks []*rolltest.Key) []entry.PublicKey {
	var all []entry.PublicKey
	for _, k := range ks {
		all = append(all, k.Line())
	}
	return all
}

func (h *history) draft(b entry.Body, signer string, ks []*rolltest.Key) *entry.Entry {
	e := &entry.Entry{Ledger: rolltest.Origin, Body: b, Signer: signer, Date: h.now.AddDate(0, 0, -h.IntN(3)).Format(time.DateOnly)}
	if id, ok := h.state.Previous(e); ok {
		e.Previous = &id
	}
	for _, k := range ks {
		e.Keys = append(e.Keys, k.Ref())
	}
	return e
}

// sign signs with the keys that may be used; what else is named gets a signature
// of somebody else, or of something else.
func (h *history) sign(e *entry.Entry, may func(keys.Ref) bool) *entry.Entry {
	text := e.Text()
	e.Signatures = nil
	for _, n := range e.Named() {
		k, forged := h.keys[n.Ref], h.strange.Sign(text)
		if h.IntN(2) == 0 && len(h.spares) > 0 {
			forged = h.spares[h.IntN(len(h.spares))].Signatures[0].Sig
		}
		sig := entry.Signature{Name: n.Domain, KeyID: k.Public.NoteKeyID(n.Domain), Sig: forged}
		if may(n.Ref) {
			sig.Sig = k.Sign(text)
		}
		e.Signatures = append(e.Signatures, sig)
	}
	h.drafts++
	if _, ok := h.made[e.ID()]; !ok {
		h.made[e.ID()] = h.drafts
	}
	return e
}

// signAll signs with every key that is named: all agree to the entry.
func (h *history) signAll(e *entry.Entry) *entry.Entry {
	h.sign(e, func(keys.Ref) bool { return true })
	h.willing[e.ID()] = true
	h.spares = append(h.spares, e)
	return e
}

// chance is true once in n times.
func (h *history) chance(n int) bool { return h.IntN(n) == 0 }

func pick[T any](h *history, of []T) T { return of[h.IntN(len(of))] }

// mine returns the private halves of keys for which ok holds.
func (h *history) mine(ks []roll.Key, ok func(roll.Key) bool) []*rolltest.Key {
	var found []*rolltest.Key
	for _, k := range ks {
		if ok(k) {
			found = append(found, h.keys[k.Ref])
		}
	}
	return found
}

func speaking(k roll.Key) bool  { return k.Current && !k.Suspended }
func isCurrent(k roll.Key) bool { return k.Current }

// some returns at most n of ks, in random order.
func (h *history) some(ks []*rolltest.Key, n int) []*rolltest.Key {
	ks = slices.Clone(ks)
	h.Shuffle(len(ks), func(i, j int) { ks[i], ks[j] = ks[j], ks[i] })
	return ks[:min(n, len(ks))]
}

// authority returns the member's quorum, or its recovery key if it will do.
func (h *history) authority(m roll.Member, recoveryWillDo, suspendedToo bool) []*rolltest.Key {
	recovery := h.mine(m.RecoveryKeys, isCurrent)
	if recoveryWillDo && len(recovery) > 0 && h.chance(3) {
		return h.some(recovery, 1)
	}
	may := speaking
	if suspendedToo {
		may = isCurrent
	}
	ks := h.some(h.mine(m.Keys, may), m.Quorum)
	if recoveryWillDo && len(recovery) > 0 && len(ks) < m.Quorum {
		return h.some(recovery, 1)
	}
	return ks
}

func (h *history) vouchers(subject string) []entry.Named {
	var named []entry.Named
	c := h.state.Charter()
	if !h.chance(8) {
		named = append(named, entry.Named{Domain: c.Operator, Ref: c.Keys[h.IntN(len(c.Keys))].Ref()})
	}
	for _, m := range h.state.Members() {
		if m.Left || m.Domain == subject || h.chance(4) {
			continue
		}
		for _, k := range h.some(h.mine(m.Keys, speaking), m.Quorum) {
			named = append(named, entry.Named{Domain: m.Domain, Ref: k.Ref()})
		}
	}
	return named
}

// honest drafts something that an organization could want to say.
func (h *history) honest() *entry.Entry {
	c := h.state.Charter()
	members := slices.DeleteFunc(h.state.Members(), func(m roll.Member) bool { return m.Left })
	o := pick(h, h.orgs)
	m, known := h.state.Member(o.Domain)
	switch {
	case !known || m.Left && h.chance(3):
		ks, recovery := o.Keys, o.Recovery
		if o == h.op {
			ks = []*rolltest.Key{h.key("operator as member")}
		}
		if known {
			if h.chance(2) {
				ks = []*rolltest.Key{h.freshKey(o.Domain), h.freshKey(o.Domain)}
			}
			ks = slices.DeleteFunc(slices.Clone(ks), func(k *rolltest.Key) bool { s, _ := h.state.Key(k.Ref()); return s.Revoked && !h.chance(5) })
			recovery = slices.DeleteFunc(slices.Clone(recovery), func(k *rolltest.Key) bool { s, _ := h.state.Key(k.Ref()); return s.Revoked })
			if len(ks) < o.Quorum {
				ks = []*rolltest.Key{h.freshKey(o.Domain), h.freshKey(o.Domain), h.freshKey(o.Domain)}
			}
		}
		return h.draft(&entry.Membership{
			Action: entry.Register, Member: o.Domain, Name: "Org " + o.Domain, PublicKeys: lines(ks), RecoveryKeys: lines(recovery),
			Quorum: min(o.Quorum, len(ks)), Vouchers: h.vouchers(o.Domain),
		}, o.Domain, slices.Concat(ks, recovery))

	case len(h.state.Statements()) == 0 || h.chance(7):
		signer, ks := c.Operator, h.some(h.operatorKeys(), 1)
		if p, ok := h.state.Member("publisher.example"); ok && h.chance(2) {
			signer, ks = p.Domain, h.authority(p, false, false)
		}
		b := &entry.Statement{
			Action: entry.Publish, Statement: pick(h, h.texts), Title: "A text", Language: "en", MediaType: "text/plain", Size: 9,
			Renditions: []entry.Rendition{{Language: "fr", Hash: entry.Sum([]byte("fr")), Size: 9, MediaType: "text/plain"}},
		}
		if old, ok := h.state.Statement(b.Statement); ok && !h.chance(4) {
			b = &entry.Statement{Action: entry.Close, Statement: b.Statement}
			if old.Closed || !old.Closes.IsZero() && !h.now.Before(old.Closes) {
				b.Action = entry.Reopen
			}
			if h.chance(6) {
				b.Action = pick(h, []entry.Action{entry.Close, entry.Reopen})
			}
		} else if before := h.state.Statements(); len(before) > 0 && h.chance(2) {
			if old := pick(h, before).Statement; old != b.Statement {
				b.Supersedes = &old
			}
		}
		if b.Action != entry.Close && h.chance(3) {
			b.Closes = h.now.Add(time.Duration(h.IntN(600)-60) * time.Minute)
		}
		return h.draft(b, signer, ks)

	case h.chance(20):
		b := &entry.Charter{Title: "Amended", Operator: c.Operator, Publishers: c.Publishers, Admission: c.Admission, Roll: c.Roll}
		ks := h.operatorKeys()
		for _, k := range ks {
			if h.chance(4) && len(ks) > 1 {
				continue
			}
			b.PublicKeys = append(b.PublicKeys, k.Line())
		}
		sign := slices.Clone(ks)
		if h.chance(2) || len(b.PublicKeys) == 0 {
			k := h.freshKey(c.Operator)
			b.PublicKeys, sign = append(b.PublicKeys, k.Line()), append(sign, k)
		}
		if h.chance(3) {
			b.Operator = pick(h, []string{"second.example", "operator.example", "a.example"})
			k := h.freshKey(b.Operator)
			b.PublicKeys, sign = lines([]*rolltest.Key{k}), append(slices.Clone(ks), k)
		}
		for _, m := range members {
			if m.Domain == c.Operator || h.chance(3) {
				continue
			}
			for _, k := range h.some(h.mine(m.Keys, speaking), m.Quorum) {
				b.Vouchers = append(b.Vouchers, entry.Named{Domain: m.Domain, Ref: k.Ref()})
			}
		}
		return h.draft(b, c.Operator, sign)

	case h.chance(3):
		return h.aboutKeys(m)

	case h.chance(6):
		b := &entry.Membership{Action: entry.Update, Member: m.Domain, Name: "Org " + m.Domain, Quorum: m.Quorum}
		ks := h.authority(m, false, false)
		if h.chance(2) {
			b.Name = pick(h, []string{"A new name", "Another name", "a.example", "Org b.example", "Nameless"})
		}
		recovery := h.mine(m.RecoveryKeys, isCurrent)
		if h.chance(3) {
			b.RecoveryKeys = lines(recovery)
		} else {
			// Nobody honest gives up the recovery keys that it may need.
			b.RecoveryKeys = lines(recovery)
			if h.chance(2) {
				k := h.freshKey(m.Domain)
				b.RecoveryKeys, ks = append(b.RecoveryKeys, k.Line()), append(ks, k)
			}
			if h.chance(3) && m.Domain != victim {
				b.Quorum = 1 + h.IntN(2)
			}
			if !h.chance(5) {
				ks = append(ks, h.some(recovery, 1)...)
			}
		}
		if h.chance(2) {
			b.Vouchers = h.vouchers(m.Domain)
		}
		return h.draft(b, m.Domain, ks)

	case h.chance(12):
		return h.draft(&entry.Membership{Action: entry.Leave, Member: m.Domain}, m.Domain, h.authority(m, true, true))
	}

	st := pick(h, h.state.Statements())
	b := &entry.Endorsement{Action: entry.Endorse, Statement: st.Statement, After: entry.After{Size: 1 + h.Uint64N(h.state.Size()), Note: entry.Sum(nil)}}
	if now, ok := h.state.Endorsement(m.Domain, st.Statement); ok && now.Action == entry.Endorse && h.chance(2) || h.chance(10) {
		b.Action = entry.Withdraw
		return h.draft(b, m.Domain, h.authority(m, true, true))
	}
	if h.chance(4) {
		b.Renditions = []entry.RenditionRef{{Language: "fr", Hash: entry.Sum([]byte("fr"))}}
	}
	return h.draft(b, m.Domain, h.authority(m, false, false))
}

func (h *history) operatorKeys() []*rolltest.Key {
	var ks []*rolltest.Key
	for _, k := range h.state.Charter().Keys {
		ks = append(ks, h.keys[k.Ref()])
	}
	return ks
}

func (h *history) aboutKeys(m roll.Member) *entry.Entry {
	b := &entry.KeyEvent{Member: m.Domain, Action: pick(h, []entry.Action{entry.Add, entry.Rotate, entry.Rotate, entry.Revoke, entry.Revoke, entry.Suspend})}
	signer, ks := m.Domain, h.authority(m, true, false)
	any := pick(h, slices.Concat(m.Keys, m.RecoveryKeys)).Ref
	switch b.Action {
	case entry.Add, entry.Rotate:
		k := h.freshKey(m.Domain)
		if h.chance(6) {
			k = h.keys[any]
		}
		line := k.Line()
		b.PublicKey = &line
		if !slices.Contains(ks, k) {
			ks = append(ks, k)
		}
		if b.Action == entry.Rotate {
			b.Revokes = &any
			if current := h.mine(m.Keys, isCurrent); len(current) > 0 && !h.chance(6) {
				ref := pick(h, current).Ref()
				b.Revokes = &ref
			}
		}
	case entry.Suspend:
		b.Revokes = &any
		if !h.chance(3) {
			signer, ks = h.state.Charter().Operator, h.some(h.operatorKeys(), 1)
		}
	case entry.Revoke:
		b.Revokes = &any
		k, _ := h.state.Key(any)
		switch {
		case k.Role == roll.RecoveryKey:
			// Nobody honest gives up the last one.
			if current := h.mine(m.RecoveryKeys, isCurrent); len(current) > 1 && len(h.mine(m.Keys, speaking)) >= m.Quorum {
				ks = []*rolltest.Key{h.keys[any]}
				if h.chance(2) {
					ks = append(h.some(h.mine(m.Keys, speaking), m.Quorum), pick(h, current))
				}
			} else {
				return h.draft(&entry.Membership{Action: entry.Update, Member: m.Domain, Name: "Careful " + m.Domain, Quorum: m.Quorum,
					RecoveryKeys: lines(h.mine(m.RecoveryKeys, isCurrent))}, m.Domain, h.authority(m, false, false))
			}
		case len(h.mine(m.Keys, isCurrent)) <= m.Quorum && len(h.mine(m.RecoveryKeys, isCurrent)) == 0:
			// Nor does it strand itself: it rotates.
			k := h.freshKey(m.Domain)
			line := k.Line()
			b.Action, b.PublicKey, ks = entry.Rotate, &line, append(ks, k)
		case h.chance(2):
			ks = []*rolltest.Key{h.keys[any]}
		}
	}
	if b.Action != entry.Add && b.Action != entry.Suspend && h.chance(3) {
		after := h.Uint64N(h.state.Size() + 2)
		b.CompromisedAfter = &after
	}
	return h.draft(b, signer, ks)
}

// step offers one entry.
func (h *history) step() {
	h.now = h.now.Add(time.Duration(h.IntN(3600_000)) * time.Millisecond)
	if h.chance(40) {
		h.now = h.now.AddDate(0, 0, 10*h.IntN(4))
	}
	at := h.now
	if h.chance(60) {
		at = at.Add(-3 * time.Hour)
	}
	if h.chance(6) {
		h.offer(h.sealing(at), at)
		return
	}
	e := h.honest()
	if len(e.Keys) == 0 || len(e.Keys) > entry.MaxKeys {
		return
	}
	switch h.IntN(20) {
	case 0, 1: // the operator, or whoever kept a copy, replays
		if len(h.spares) > 0 {
			h.offer(pick(h, h.spares), at)
		}
	case 2: // somebody signs and keeps it for later
		h.signAll(e)
	case 3: // a signature fails
		h.signAll(e)
		e = clone(h, e)
		i := h.IntN(len(e.Signatures))
		switch h.IntN(3) {
		case 0:
			e.Signatures[i].Sig[h.IntN(len(e.Signatures[i].Sig))] ^= 1 << h.IntN(8)
		case 1:
			e.Signatures[i].KeyID ^= 1 << h.IntN(32)
		default:
			e.Signatures[i].Sig = pick(h, h.spares).Signatures[0].Sig
		}
		h.offer(e, at)
	case 4, 5, 6: // a sloppy organization signs what may not be admissible
		h.spoil(e)
		if e.Check() == nil {
			h.offer(h.signAll(e), at)
		}
	case 7, 8, 9, 10: // the thief tries in the victim's name, the operator and the stranger in anyone's
		may := map[keys.Ref]bool{h.strange.Ref(): true}
		hostile := []*rolltest.Key{h.strange}
		if e.Signer == victim && h.chance(2) {
			hostile = []*rolltest.Key{h.stolen}
		} else if h.chance(2) {
			hostile = h.operatorKeys()
		}
		for _, k := range hostile {
			may[k.Ref()] = true
		}
		if b, ok := e.Body.(*entry.KeyEvent); ok && b.Action == entry.Revoke && h.chance(2) {
			ref := h.stolen.Ref()
			b.Revokes = &ref
		}
		switch h.IntN(4) {
		case 0: // in their own right
			e.Keys = nil
			for _, k := range hostile {
				e.Keys = append(e.Keys, k.Ref())
			}
		case 1: // beside the owner, who signs nothing
			if !slices.Contains(e.Keys, hostile[0].Ref()) && len(e.Keys) < entry.MaxKeys {
				e.Keys = append(e.Keys, hostile[0].Ref())
			}
		case 2: // one key of their own instead of one of the owner's
			if !slices.Contains(e.Keys, hostile[0].Ref()) {
				e.Keys[h.IntN(len(e.Keys))] = hostile[0].Ref()
			}
		}
		if e.Check() == nil {
			h.offer(h.sign(e, func(ref keys.Ref) bool { return may[ref] }), at)
		}
	default:
		h.offer(h.signAll(e), at)
	}
}

// sealing drafts what the log makes: right, or with one thing wrong.
func (h *history) sealing(at time.Time) *entry.Entry {
	size := h.state.Size()
	e := &entry.Entry{Ledger: rolltest.Origin}
	if h.chance(3) {
		domain := pick(h, h.orgs).Domain
		e.Body = &entry.Evidence{Type: entry.DNSSEC, Member: domain, Data: h.chain(domain)}
		return e
	}
	if h.chance(5) {
		e.Body = &entry.Evidence{Type: entry.RFC3161, Size: h.Uint64N(size + 2), Data: []byte{byte(h.IntN(3))}}
		return e
	}
	text := pick(h, h.texts)
	asOf := at.Add(-time.Millisecond)
	if h.chance(2) { // of a moment before, perhaps of one when an entry was admitted
		asOf = h.ref.log[h.IntN(len(h.ref.log))].at.Add(time.Duration(h.IntN(3)-1) * time.Millisecond)
	}
	b, ok := h.state.Roll(text, asOf)
	if !ok {
		b = &entry.Roll{Statement: text, Size: size, AsOf: asOf, Root: rfc6962(nil)}
	}
	e.Body = b
	lines := h.ref.list(text, asOf)
	if ok && (b.Root != rootOf(lines) || b.Count != uint64(len(lines))) {
		h.Fatalf("seed %d: the roll of %s as of %s is not %v", h.seed, text, asOf, lines)
	}
	if !slices.Equal(h.state.Lines(text, asOf), lines) && ok {
		h.Fatalf("seed %d: the lines of %s as of %s are %v, not %v", h.seed, text, asOf, h.state.Lines(text, asOf), lines)
	}
	switch h.IntN(14) {
	case 0: // a name is dropped
		if len(lines) > 0 {
			i := h.IntN(len(lines))
			lines = slices.Delete(lines, i, i+1)
			b.Count, b.Root = uint64(len(lines)), rootOf(lines)
		}
	case 1: // added
		lines = append(lines, roll.Line{Domain: "zz.example", Index: 1})
		b.Count, b.Root = uint64(len(lines)), rootOf(lines)
	case 2: // renamed
		if len(lines) > 0 {
			lines[h.IntN(len(lines))].Domain = "zz.example"
			b.Root = rootOf(lines)
		}
	case 3: // by an older entry
		if len(lines) > 0 {
			lines[0].Index--
			b.Root = rootOf(lines)
		}
	case 4:
		b.Count++
	case 5:
		b.Size -= min(b.Size, 1+h.Uint64N(3))
	case 6:
		b.AsOf = at.Add(time.Duration(h.IntN(2)) * time.Millisecond)
	}
	return e
}

// rolls proves for each roll, and everybody, presence or absence, and looks that the other cannot be proven.
func (h *history) rolls() {
	h.Helper()
	for i, x := range h.ref.log {
		b, ok := x.e.Body.(*entry.Roll)
		if !ok {
			continue
		}
		lines := h.state.Lines(b.Statement, b.AsOf)
		if want := h.ref.list(b.Statement, b.AsOf); !slices.Equal(lines, want) || roll.CheckAll(b, lines) != nil {
			h.Fatalf("seed %d: the roll of entry %d lists %v, and %v is read", h.seed, i, want, lines)
		}
		at := func(place int) roll.Placed {
			placed, _ := roll.Prove(lines, lines[place].Domain)
			return placed[0]
		}
		for _, domain := range []string{victim, "a.example", "b.example", "publisher.example", "late.example", "operator.example", "never.example", "a", "zz.example"} {
			present := slices.ContainsFunc(lines, func(l roll.Line) bool { return l.Domain == domain })
			proof, is := roll.Prove(lines, domain)
			if is != present || (roll.CheckPresent(b, domain, proof) == nil) != present || (roll.CheckAbsent(b, domain, proof) == nil) == present {
				h.Fatalf("seed %d: entry %d, %s: present %v, proof %v", h.seed, i, domain, present, proof)
			}
			// Nothing that can be put together from the roll proves the contrary.
			tries := [][]roll.Placed{nil}
			for place := range lines {
				tries = append(tries, []roll.Placed{at(place)})
				for other := range lines {
					tries = append(tries, []roll.Placed{at(place), at(other)})
				}
			}
			for _, try := range tries {
				for j := range len(try) + 1 {
					if j > 0 { // as if the line were elsewhere
						try = slices.Clone(try)
						try[j-1].At += h.Uint64N(3) - 1
					}
					if present && roll.CheckAbsent(b, domain, try) == nil || !present && roll.CheckPresent(b, domain, try) == nil {
						h.Fatalf("seed %d: entry %d: %v proves the contrary of the truth about %s", h.seed, i, try, domain)
					}
				}
			}
		}
	}
}

// clone returns a copy of e that shares nothing with it.
func clone(h *history, e *entry.Entry) *entry.Entry {
	h.Helper()
	parsed, err := entry.Parse(e.Bytes())
	if err != nil {
		h.Fatalf("seed %d: a signed entry does not parse: %v\n%s", h.seed, err, e.Bytes())
	}
	return parsed
}

// spoil changes one thing.
func (h *history) spoil(e *entry.Entry) {
	switch h.IntN(12) {
	case 0:
		e.Previous = nil
	case 1:
		id := pick(h, h.ref.log).e.ID()
		e.Previous = &id
	case 2:
		e.Date = h.now.AddDate(0, 0, pick(h, []int{-32, -31, -30, -29, 0, 1, 2})).Format(time.DateOnly)
	case 3:
		e.Ledger = "other.example/test"
	case 4:
		e.Keys = e.Keys[:len(e.Keys)-1]
	case 5:
		if len(e.Keys) < entry.MaxKeys {
			e.Keys = append(e.Keys, h.strange.Ref())
		}
	case 6:
		e.Keys = []keys.Ref{pick(h, pick(h, h.orgs).Keys).Ref()}
	case 7:
		e.Signer = pick(h, h.orgs).Domain
	case 8:
		if b, ok := e.Body.(*entry.Membership); ok && b.Action != entry.Leave {
			b.Name = pick(h, []string{"Org a.example", "victim.example", "2024", "operator.example"})
		}
	case 9:
		if b, ok := e.Body.(*entry.Endorsement); ok {
			b.After.Size = h.state.Size() + h.Uint64N(2)
		}
	case 10:
		if b, ok := e.Body.(*entry.Membership); ok && len(b.Vouchers) > 0 {
			b.Vouchers = b.Vouchers[:len(b.Vouchers)-1]
		}
	case 11:
		if b, ok := e.Body.(*entry.Charter); ok {
			e.Previous, e.Genesis = nil, true
			b.Vouchers = nil
		}
	}
}

// chain returns a chain about a domain, or now and then about another.
func (h *history) chain(domain string) []byte {
	if h.chance(12) {
		domain = pick(h, h.orgs).Domain
	}
	of := chainsOf()[domain]
	if len(of) == 0 {
		return []byte("a chain")
	}
	chain := slices.Clone(pick(h, of))
	if h.chance(12) {
		chain[h.IntN(len(chain))] ^= 1 << h.IntN(8)
	}
	return chain
}

// offer hands an entry to the fold and the reference.
func (h *history) offer(e *entry.Entry, at time.Time) {
	h.Helper()
	if len(e.Keys) == 0 && !e.Body.Kind().ByLog() {
		h.Errorf("seed %d: %s has nothing left to sign with", h.seed, e.Signer)
		return
	}
	whole := &entry.Leaf{Admitted: at, Entry: e}
	if e.TakesChain() && !h.chance(3) {
		whole.Chain = h.chain(e.Signer)
	}
	leaf := whole.Bytes()
	l, err := entry.ParseLeaf(leaf)
	if err != nil {
		h.Fatalf("seed %d: a leaf does not parse: %v\n%s", h.seed, err, leaf)
	}
	size := h.state.Size()
	var sigs *roll.Signatures
	switch h.IntN(4) {
	case 0:
		sigs = h.state.CheckSignatures(l.Entry)
	case 1:
		if len(h.spares) > 0 {
			sigs = h.state.CheckSignatures(pick(h, h.spares))
		}
	case 2:
		sigs = roll.New(rolltest.Origin).CheckSignatures(l.Entry)
	}
	err = h.state.Admit(l, sigs)
	if want := h.ref.admissible(l); want != (err == nil) {
		h.Fatalf("seed %d, entry %d: the fold says %v, the reference %v\n%s", h.seed, size, err, want, leaf)
	}
	if err != nil {
		if again := h.clean.Admit(l, nil); again == nil || again.Error() != err.Error() {
			h.Fatalf("seed %d, entry %d: the fold says %v, from a snapshot %v", h.seed, size, err, again)
		}
		refused := err.(*roll.Inadmissible)
		h.refused[refused.Rule]++
		if h.state.Size() != size {
			h.Fatalf("seed %d: a refusal moved the size", h.seed)
		}
		return
	}
	h.size += len(leaf)
	h.ref.log = append(h.ref.log, admitted{at, l.Entry, l.Chain})
	h.admitted[kindOf(l.Entry)]++
	if err := h.clean.Apply(size, leaf); err != nil {
		h.Fatalf("seed %d: admitted, but Apply says %v", h.seed, err)
	}
	h.clean = reread(h.T, h.clean)
	h.nothingGained(l.Entry, at)
}

func kindOf(e *entry.Entry) string {
	switch b := e.Body.(type) {
	case *entry.Statement:
		return "statement " + string(b.Action)
	case *entry.Membership:
		return "membership " + string(b.Action)
	case *entry.Endorsement:
		return "endorsement " + string(b.Action)
	case *entry.KeyEvent:
		return "key " + string(b.Action)
	case *entry.Evidence:
		return "evidence " + string(b.Type)
	case *entry.Roll:
		return string(b.Kind())
	}
	if e.Genesis {
		return "charter"
	}
	return "charter amend"
}

// nothingGained looks at an entry that has just been admitted. What its owner
// has not signed must be harmless.
func (h *history) nothingGained(e *entry.Entry, at time.Time) {
	h.Helper()
	if h.willing[e.ID()] || e.Body.Kind().ByLog() {
		return
	}
	byOperator := true
	for _, ref := range e.Keys {
		k, _ := h.state.Key(ref)
		byOperator = byOperator && k.Role == roll.OperatorKey
	}
	b, isKey := e.Body.(*entry.KeyEvent)
	switch {
	case byOperator && e.Body.Kind() != entry.KindEndorsement && e.Body.Kind() != entry.KindMembership && !(isKey && b.Action != entry.Suspend):
		// It is the operator's to publish, close, amend alone where nobody must
		// vouch, and suspend.
		if c, ok := e.Body.(*entry.Charter); ok && len(c.Vouchers) > 0 {
			h.Errorf("seed %d: an amendment counts vouchers that did not sign", h.seed)
		}
	case isKey && b.Action == entry.Revoke && *b.Revokes == h.stolen.Ref() && b.CompromisedAfter == nil:
		// The thief may end what it stole.
	default:
		h.Errorf("seed %d: an actor got admitted what its owner did not sign:\n%s", h.seed, e.Bytes())
	}
}

// end compares all answers and looks that everybody can still take back what it
// said.
func (h *history) end() {
	h.Helper()
	h.rolls()
	h.state.Unrank()
	h.clean.Unrank()
	if !reflect.DeepEqual(h.state, h.clean) {
		h.Errorf("seed %d: a refused entry has left a trace, or a snapshot has lost something", h.seed)
	}
	for _, text := range h.texts {
		var standing []string
		for _, x := range h.state.Standing(text) {
			standing = append(standing, x.Domain)
			h.checkEndorsement(x)
		}
		for _, o := range h.orgs {
			if got, want := wordsOf(h.state.AllSaid(o.Domain, text)), h.ref.everyWord(o.Domain, text); got != want {
				h.Errorf("seed %d: %s said %s, the reference says %s", h.seed, o.Domain, got, want)
			}
		}
		if want := h.ref.standing(text); !slices.Equal(standing, want) {
			h.Errorf("seed %d: %v stand, the reference says %v", h.seed, standing, want)
		}
		if st, ok := h.state.Statement(text); ok && st.Standing != len(standing) {
			h.Errorf("seed %d: Statement counts %d, %d stand", h.seed, st.Standing, len(standing))
		}
	}
	c := h.state.Charter()
	if want := h.ref.charter(); c.Operator != want.Operator || len(c.Keys) != len(want.PublicKeys) || c.Keys[0].Ref() != want.PublicKeys[0].Ref() {
		h.Errorf("seed %d: the charter is not the last one", h.seed)
	}
	doubted := h.ref.doubted()
	for _, m := range h.state.Members() {
		l := h.ref.life(m.Domain)
		current, suspended, recovery := refs{}, refs{}, refs{}
		for _, k := range m.Keys {
			if k.Current {
				current[k.Ref] = true
			}
			if k.Current && k.Suspended {
				suspended[k.Ref] = true
			}
			lowest, compromised := h.ref.compromised(k.Ref)
			from, disputed := doubted[k.Ref]
			if k.Disputed != disputed || k.DisputedFrom != from {
				h.Errorf("seed %d: %s: the key %s: %+v, in doubt from %d", h.seed, m.Domain, k.Ref, k, from)
			}
			if k.Revoked != h.ref.revoked(k.Ref) || k.Compromised != compromised || k.CompromisedAfter != lowest {
				h.Errorf("seed %d: %s: the key %s: %+v", h.seed, m.Domain, k.Ref, k)
			}
		}
		for _, k := range slices.Concat(m.Keys, m.RecoveryKeys) {
			var spans []refSpan
			for _, p := range k.Published {
				spans = append(spans, refSpan{p.First.Index, p.Last.Index, p.End.Index, p.Ended})
			}
			want, wantWords := h.ref.words(m.Domain, k.Ref)
			if !slices.Equal(spans, want) {
				h.Errorf("seed %d: %s published the key %s over %v, the reference says %v", h.seed, m.Domain, k.Ref, spans, want)
			}
			var words []refWord
			w, chains := h.state.Words(k.Ref, h.state.Size()), h.state.ChainsAbout(m.Domain)
			for i := w.From; i < w.To; i++ {
				words = append(words, refWord{chains[i].Index, slices.ContainsFunc(w.Shown, func(run [2]int) bool { return run[0] <= i && i <= run[1] })})
			}
			if !slices.Equal(words, wantWords) {
				h.Errorf("seed %d: chains about %s say of the key %s %v, the reference says %v", h.seed, m.Domain, k.Ref, words, wantWords)
			}
			h.admitted["key published"] += len(spans)
			if len(spans) > 0 && spans[0].ended {
				h.admitted["key vanished"]++
			}
		}
		for _, k := range m.RecoveryKeys {
			if k.Current {
				recovery[k.Ref] = true
			}
		}
		if m.Left == l.member || m.Quorum != l.quorum || !reflect.DeepEqual(current, l.keys) || !reflect.DeepEqual(recovery, l.recovery) ||
			len(minus(suspended, l.suspended)) > 0 || both(l.suspended, l.keys) != len(suspended) {
			h.Errorf("seed %d: member %+v, the reference says %+v", h.seed, m, l)
		}
	}
	for _, x := range h.ref.log {
		if x.e.Body.Kind().ByLog() {
			continue
		}
		for _, of := range []string{"member " + x.e.Signer, subjectOf(x.e)} {
			if last := h.ref.last(of); last != nil {
				if id, ok := h.state.Previous(last); !ok || id != last.ID() {
					h.Errorf("seed %d: Previous of %s is not the last", h.seed, of)
				}
			}
		}
	}
	h.now = h.now.Add(time.Hour)
	for _, text := range h.texts {
		for _, x := range h.state.Standing(text) {
			m, _ := h.state.Member(x.Domain)
			e := h.draft(&entry.Endorsement{Action: entry.Withdraw, Statement: text, After: entry.After{Size: 1}}, m.Domain, h.authority(m, true, true))
			h.offer(h.signAll(e), h.now)
			if now, _ := h.state.Endorsement(x.Domain, text); now.Action != entry.Withdraw {
				h.Errorf("seed %d: %s cannot withdraw", h.seed, x.Domain)
			}
		}
	}
}

// checkEndorsement holds a standing endorsement against the log: its owner
// signed it, with a quorum of keys that were its own and good, after whatever it
// withdrew before.
func (h *history) checkEndorsement(x roll.Endorsement) {
	h.Helper()
	before := &reference{origin: h.ref.origin, log: h.ref.log[:x.Index], known: h.ref.known}
	e := h.ref.log[x.Index].e
	l := before.life(x.Domain)
	signed, disputed := refs{}, false
	doubted := h.ref.doubted()
	for _, ref := range e.Keys {
		signed[ref] = true
		if from, ok := doubted[ref]; ok && from <= x.Index {
			disputed = true
		}
	}
	b := e.Body.(*entry.Endorsement)
	switch {
	case !h.willing[e.ID()]:
		h.Errorf("seed %d: %s stands and never said so", h.seed, x.Domain)
	case !l.member || len(signed) < l.quorum || len(minus(signed, minus(l.keys, l.suspended))) > 0:
		h.Errorf("seed %d: %s stands without a quorum of its keys", h.seed, x.Domain)
	case x.ID != e.ID() || x.Date != e.Date || !slices.Equal(x.Keys, e.Keys) || x.After != b.After || x.Disputed != disputed ||
		!slices.Equal(x.Renditions, b.Renditions) || !x.Admitted.Equal(h.ref.log[x.Index].at) || !bytes.Equal(x.Statement[:], b.Statement[:]):
		h.Errorf("seed %d: %+v is not what was signed:\n%s", h.seed, x, e.Bytes())
	}
	for _, y := range h.ref.log[:x.Index] {
		if other, ok := y.e.Body.(*entry.Endorsement); ok && other.Action == entry.Withdraw && subjectOf(y.e) == subjectOf(e) && h.made[y.e.ID()] > h.made[e.ID()] {
			h.Errorf("seed %d: %s stands by an endorsement older than its withdrawal", h.seed, x.Domain)
		}
	}
}
