package verify_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

var (
	firstTale = flag.Uint64("verify.seed", 1, "seed of the first random tale")
	tales     = flag.Uint64("verify.tales", 15, "how many random tales of each kind")
)

// A tale is a random life of keys: three organizations, of which one's domain has always published its key, and a thief of the others' keys.
type tale struct {
	*named
	*rand.Rand
	orgs    []*teller
	endorse []uint64 // entries
	brought []bringing
	said    map[keys.Ref]uint64 // since when a key is declared compromised
	words   []domainWord        // chains, by index
	thiefs  map[keys.Ref]bool   // keys that the thief made
	log     []string
	made    int
	refused int // keys that the domain had denied when they signed
}

// A teller is an organization as it goes.
type teller struct {
	*rolltest.Org                 // with the keys that it brought at first
	current       []*rolltest.Key // and that have not been ended, as far as anybody knows
	recovery      []*rolltest.Key // the same
	stolen        []*rolltest.Key // of both, and those that the thief made
	ever          []*rolltest.Key // that its owner made, recovery keys aside
	dns           []*rolltest.Key // published now
	unsigned      bool            // its zone
}

type bringing struct {
	index uint64
	fresh keys.Ref
	with  []keys.Ref
}

type domainWord struct {
	index             uint64
	domain            string
	outcome           dnssec.Outcome
	shown             []keys.Ref
	admitted, notFrom time.Time
}

func newTale(t *testing.T, seed uint64) *tale {
	x := &tale{named: newNamed(t, "a.example", "b.example", "c.example"), Rand: rand.New(rand.NewPCG(seed, 6)), said: map[keys.Ref]uint64{}, thiefs: map[keys.Ref]bool{}}
	c := rolltest.NewOrg("c.example", 1, 0, 1)
	x.join(c, 4000*aDay)
	x.publish()
	for _, domain := range []string{"b.example", "a.example"} {
		o := &teller{Org: rolltest.NewOrg(domain, 1+x.IntN(3), x.IntN(2), 1)}
		o.Quorum = 1 + x.IntN(len(o.Keys))
		o.current, o.recovery, o.ever = slices.Clone(o.Keys), slices.Clone(o.Recovery), slices.Clone(o.Keys)
		var vouchers []*rolltest.Org
		if domain == "b.example" {
			vouchers = append(vouchers, c)
		} else if x.IntN(2) == 0 {
			vouchers = append(vouchers, x.orgs[0].Org)
		}
		if x.IntN(4) > 0 {
			o.dns = slices.Clone(o.Keys)
			x.must(x.rec.Registration(o.Org, vouchers...), x.chain(domain, 10*aDay, o.dns...))
			x.heard(o, dnssec.Published)
		} else {
			x.rec.Register(o.Org, vouchers...)
		}
		x.orgs = append(x.orgs, o)
	}
	x.publish()
	return x
}

func (x *tale) heard(o *teller, outcome dnssec.Outcome) {
	w := domainWord{index: x.rec.State.Size() - 1, domain: o.Domain, outcome: outcome, admitted: x.rec.Now.Add(-time.Second), notFrom: x.rec.Now.Add(-time.Hour)}
	if outcome == dnssec.Published {
		for _, k := range o.dns {
			w.shown = append(w.shown, k.Ref())
		}
	}
	x.words = append(x.words, w)
}

// some returns n of a list, or fewer, in random order.
func (x *tale) some(list []*rolltest.Key, n int) (out []*rolltest.Key) {
	for _, i := range x.Perm(len(list))[:min(n, len(list))] {
		out = append(out, list[i])
	}
	return out
}

func (x *tale) fresh(o *teller, thief bool) *rolltest.Key {
	x.made++
	k := rolltest.NewKey(fmt.Sprintf("%s tale %d", o.Domain, x.made))
	if thief {
		x.thiefs[k.Ref()] = true
		o.stolen = append(o.stolen, k)
	} else {
		o.ever = append(o.ever, k)
	}
	return k
}

// by returns who signs for an organization: its quorum, or a recovery key, or whatever there is.
func (x *tale) by(o *teller, thief bool) []*rolltest.Key {
	has := func(list []*rolltest.Key) (out []*rolltest.Key) {
		for _, k := range list {
			if !thief && !x.thiefs[k.Ref()] || thief && slices.Contains(o.stolen, k) {
				out = append(out, k)
			}
		}
		return out
	}
	if r := has(o.recovery); len(r) > 0 && x.IntN(3) == 0 {
		return x.some(r, 1)
	}
	return x.some(has(o.current), o.Quorum)
}

func without(list []*rolltest.Key, k *rolltest.Key) []*rolltest.Key {
	return slices.DeleteFunc(slices.Clone(list), func(o *rolltest.Key) bool { return o == k })
}

func (x *tale) try(o *teller, what string, body entry.Body, ks ...*rolltest.Key) bool {
	slices.SortFunc(ks, func(a, b *rolltest.Key) int { return strings.Compare(a.Ref().String(), b.Ref().String()) })
	ks = slices.Compact(ks)
	if len(ks) == 0 {
		return false
	}
	err := x.rec.Apply(rolltest.Sign(x.rec.Draft(body, o.Org, ks...)))
	if err == nil {
		var names []string
		for _, k := range ks {
			names = append(names, x.name(k))
		}
		x.note("%d %s: %s by %s", x.rec.State.Size()-1, o.Domain, what, strings.Join(names, " "))
	}
	return err == nil
}

func (x *tale) note(format string, args ...any) {
	x.log = append(x.log, x.rec.Now.Format("2006-01-02 ")+fmt.Sprintf(format, args...))
}

func (x *tale) name(k *rolltest.Key) string {
	s := k.Ref().String()
	s = s[strings.Index(s, "sha256:")+7:][:4]
	if x.thiefs[k.Ref()] {
		s += "(thief's)"
	}
	return s
}

func refs(ks []*rolltest.Key) (list []keys.Ref) {
	for _, k := range ks {
		list = append(list, k.Ref())
	}
	return list
}

// step is one event.
func (x *tale) step() {
	x.later([]time.Duration{time.Minute, time.Hour, aDay, 5 * aDay, 20 * aDay, 50 * aDay}[x.IntN(6)])
	o := x.orgs[x.IntN(len(x.orgs))]
	thief := x.IntN(3) == 0
	switch n := x.IntN(20); {
	case n < 1:
		all := slices.Concat(o.current, o.recovery)
		if len(all) == 0 {
			return
		}
		if k := all[x.IntN(len(all))]; !slices.Contains(o.stolen, k) {
			o.stolen = append(o.stolen, k)
			x.note("%s: stolen: %s", o.Domain, x.name(k))
		}
	case n < 3: // add
		by, k := x.by(o, thief), x.fresh(o, thief)
		line := k.Line()
		if x.try(o, "add "+x.name(k), &entry.KeyEvent{Action: entry.Add, Member: o.Domain, PublicKey: &line}, append(slices.Clone(by), k)...) {
			o.current = append(o.current, k)
			x.brought = append(x.brought, bringing{x.rec.State.Size() - 1, k.Ref(), refs(by)})
		}
	case n < 5: // rotate
		if len(o.current) == 0 {
			return
		}
		by, k, old := x.by(o, thief), x.fresh(o, thief), o.current[x.IntN(len(o.current))]
		line, ref := k.Line(), old.Ref()
		b := &entry.KeyEvent{Action: entry.Rotate, Member: o.Domain, PublicKey: &line, Revokes: &ref}
		if !thief && x.IntN(4) == 0 {
			b.CompromisedAfter = new(uint64)
			*b.CompromisedAfter = x.Uint64N(x.rec.State.Size() + 1)
		}
		if x.try(o, "rotate "+x.name(old)+" to "+x.name(k)+since(b), b, append(slices.Clone(by), k)...) {
			o.current = append(without(o.current, old), k)
			x.brought = append(x.brought, bringing{x.rec.State.Size() - 1, k.Ref(), refs(by)})
			x.declared(b)
		}
	case n < 8: // revoke
		all := slices.Concat(o.current, o.recovery, o.ever)
		old := all[x.IntN(len(all))]
		by, ref := x.by(o, thief), old.Ref()
		if x.IntN(4) == 0 {
			by = []*rolltest.Key{old}
		}
		b := &entry.KeyEvent{Action: entry.Revoke, Member: o.Domain, Revokes: &ref}
		if !thief && x.IntN(2) == 0 {
			b.CompromisedAfter = new(uint64)
			*b.CompromisedAfter = x.Uint64N(x.rec.State.Size() + 1)
		}
		if x.try(o, "revoke "+x.name(old)+since(b), b, by...) {
			o.current, o.recovery = without(o.current, old), without(o.recovery, old)
			x.declared(b)
		}
	case n < 9: // recovery keys
		by, k := x.by(o, thief), x.fresh(o, thief)
		if !thief {
			o.ever = without(o.ever, k)
		}
		m := &entry.Membership{Action: entry.Update, Member: o.Domain, Name: o.Name, Quorum: o.Quorum}
		list := append(slices.Clone(o.recovery), k)
		if x.IntN(3) == 0 {
			list = []*rolltest.Key{k}
		}
		for _, r := range list {
			m.RecoveryKeys = append(m.RecoveryKeys, r.Line())
		}
		with := slices.Clone(by)
		for _, r := range o.recovery {
			if (!thief || slices.Contains(o.stolen, r)) && x.IntN(2) == 0 && !slices.Contains(with, r) {
				with = append(with, r)
			}
		}
		if x.try(o, "recovery "+x.name(k), m, append(slices.Clone(with), k)...) {
			o.recovery = list
			x.brought = append(x.brought, bringing{x.rec.State.Size() - 1, k.Ref(), refs(with)})
		}
	case n < 10: // a vouches for b, or the other way round
		other := x.orgs[0]
		if other == o {
			other = x.orgs[1]
		}
		m := &entry.Membership{Action: entry.Update, Member: o.Domain, Name: o.Name, Quorum: o.Quorum}
		for _, r := range o.recovery {
			m.RecoveryKeys = append(m.RecoveryKeys, r.Line())
		}
		by := x.by(other, thief)
		if m.Vouchers = other.Vouch(by...); len(by) > 0 {
			x.try(o, fmt.Sprint("vouched for by ", other.Domain, refs(by)), m, x.by(o, false)...)
		}
	case n < 15: // the DNS
		if x.IntN(12) == 0 {
			o.unsigned = !o.unsigned
			x.dns.Zone(o.Domain, dnssectest.Options{Unsigned: o.unsigned})
		}
		switch x.IntN(4) {
		case 0:
			o.dns = x.some(o.ever, x.IntN(3))
		default: // what is its own
			o.dns = nil
			for _, k := range o.current {
				if !x.thiefs[k.Ref()] && x.IntN(8) > 0 {
					o.dns = append(o.dns, k)
				}
			}
		}
		x.observed(o)
		if x.IntN(2) == 0 {
			x.publish()
			x.later(time.Hour)
			x.endorses(o, thief)
		}
	default:
		x.endorses(o, thief)
	}
	if x.IntN(6) > 0 {
		x.publish()
	}
}

// endorses endorses, or withdraws.
func (x *tale) endorses(o *teller, thief bool) {
	b := &entry.Endorsement{Action: entry.Endorse, Statement: x.statement, After: x.after()}
	if x.IntN(6) == 0 {
		b.Action = entry.Withdraw
	}
	if x.try(o, string(b.Action), b, x.by(o, thief)...) {
		x.endorse = append(x.endorse, x.rec.State.Size()-1)
	}
}

func since(b *entry.KeyEvent) string {
	if b.CompromisedAfter == nil {
		return ""
	}
	return fmt.Sprint(", stolen since ", *b.CompromisedAfter)
}

func (x *tale) declared(b *entry.KeyEvent) {
	if b.CompromisedAfter != nil {
		x.said[*b.Revokes] = *b.CompromisedAfter
	}
}

// observed records what the DNS says, if the record takes it.
func (x *tale) observed(o *teller) {
	valid := []time.Duration{2 * aDay, 10 * aDay}[x.IntN(2)]
	e := &entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: o.Domain, Data: x.chain(o.Domain, valid, o.dns...)}}
	_, r, _ := x.dns.Chain(o.Domain, x.rec.Now)
	if x.rec.Apply(e) != nil {
		return
	}
	x.heard(o, r.Outcome)
	var names []string
	for _, k := range o.dns {
		names = append(names, x.name(k))
	}
	x.note("%d %s: the DNS: %s %s", x.rec.State.Size()-1, o.Domain, r.Outcome, strings.Join(names, " "))
}

// disputed is what is in doubt, worked out word for word.
func (x *tale) disputed(index uint64, refs ...keys.Ref) bool {
	from := map[keys.Ref]uint64{}
	for ref, since := range x.said {
		from[ref] = since
	}
	for range x.brought {
		for _, b := range x.brought {
			for _, w := range b.with {
				if since, ok := from[w]; ok && since <= b.index {
					if old, ok := from[b.fresh]; !ok || b.index < old {
						from[b.fresh] = b.index
					}
				}
			}
		}
	}
	return slices.ContainsFunc(refs, func(ref keys.Ref) bool { since, ok := from[ref]; return ok && since <= index })
}

// denied reports whether the last word of a domain before an entry left a key out which signed that, and none within 45 days after shows it.
func (x *tale) denied(domain string, ref keys.Ref, index uint64, at time.Time) bool {
	k, _ := x.rec.State.Key(ref)
	if k.Role == roll.RecoveryKey {
		return false
	}
	denied := false
	for _, w := range x.words {
		switch {
		case w.domain != domain, w.index < k.Registered[0]:
		case slices.Contains(w.shown, ref):
			if w.index < index || !w.notFrom.After(at.Add(45*aDay)) {
				denied = false
			}
		case w.index < index && w.outcome != dnssec.Insecure:
			denied = true
		}
	}
	return denied
}

func (x *tale) end() {
	t := x.tb.(*testing.T)
	x.publish()
	o := x.server()
	for _, i := range x.endorse {
		o.Receipts = append(o.Receipts, x.receipt(i))
	}
	report := x.audit(o)
	again := *report
	var err error
	if again.State, err = roll.ReadSnapshot(report.State.Snapshot()); err != nil {
		t.Fatal(err)
	}
	require := []verify.Require{{}, {DNSSEC: true}, {Vouched: 1}}[x.IntN(3)]
	var known []string
	if x.IntN(4) == 0 {
		known = []string{"b.example"}
	}
	in := func(i int, report *verify.Report) verify.Input {
		return verify.Input{Policy: x.policy(), Receipt: o.Receipts[i], Statement: []byte(x.text), Record: report, Now: x.rec.Now, Require: require, Known: known}
	}
	print := func(v *verify.Verdict) string {
		b, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	alone := make([]string, len(o.Receipts))
	for i := range o.Receipts {
		v := verify.Judge(in(i, report))
		alone[i] = print(v)
		x.held(v, x.endorse[i], require)
	}
	for name, r := range map[string]*verify.Report{"replay": report, "snapshot": &again} {
		for range 3 {
			judge := verify.Judging()
			order := x.Perm(len(alone))
			for _, i := range order {
				if got := print(judge(in(i, r))); got != alone[i] {
					t.Errorf("entry %d, %s, in the order %v:\n%s", x.endorse[i], name, order, diff(alone[i], got))
				}
			}
		}
	}
}

func diff(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	var out []string
	for _, l := range la {
		if !slices.Contains(lb, l) {
			out = append(out, "alone: "+l)
		}
	}
	for _, l := range lb {
		if !slices.Contains(la, l) {
			out = append(out, "among: "+l)
		}
	}
	return strings.Join(out, "\n")
}

// held holds a verdict to what can be said simply.
func (x *tale) held(v *verify.Verdict, index uint64, require verify.Require) {
	leaf, err := entry.ParseLeaf(x.rec.Leaves[index])
	if err != nil {
		x.tb.Fatal(err)
	}
	e := leaf.Entry
	reasons := strings.Join(v.Answers[0].Reasons, " ")
	if got, want := strings.Contains(reasons, "The endorsement is disputed"), x.disputed(index, e.Keys...); got != want {
		x.tb.Errorf("entry %d: disputed %v, want %v: %s", index, got, want, reasons)
	}
	for _, ref := range e.Keys {
		if x.thiefs[ref] && require.DNSSEC && v.Code == 0 {
			x.tb.Errorf("entry %d: the thief's %s meets what is required", index, ref)
		}
		if !x.denied(e.Signer, ref, index, leaf.Admitted) {
			continue
		}
		x.refused++
		if v.Answers[0].State == verify.Confirmed || evidenceOf(v, verify.ByDNSSEC).Counts {
			x.tb.Errorf("entry %d: confirmed, though the domain had denied %s: %s", index, ref, reasons)
		}
	}
}

// TestTales tells random lives of keys. What is said of each endorsement is the same whoever asks about which before, from a replay and from a snapshot, and keeps to what can be
// said simply: what is disputed, what the domain denied, and that nobody but the domain publishes.
func TestTales(t *testing.T) {
	count := map[string]int{}
	for seed := *firstTale; seed < *firstTale+*tales; seed++ {
		x := newTale(t, seed)
		for range 45 {
			x.step()
		}
		x.end()
		count["said"] += len(x.endorse)
		count["dns"] += len(x.words)
		count["brought"] += len(x.brought)
		count["stolen since"] += len(x.said)
		count["denied"] += x.refused
		if t.Failed() {
			t.Fatalf("repeat with: go test ./verify -run TestTales -verify.seed=%d -verify.tales=1\n%s", seed, strings.Join(x.log, "\n"))
		}
	}
	t.Logf("seeds %d to %d: %v", *firstTale, *firstTale+*tales-1, count)
}

// An honest tale is the life of an organization that does as the docs say: it publishes each key that signs, the new one before the old one goes, has recovery keys from the beginning,
// and takes everything back with them when it was robbed.
type honest struct {
	*named
	*rand.Rand
	our                    *rolltest.Org
	current, recovery, dns []*rolltest.Key
	seen                   time.Time // the last chain
	later                  []deed
	mine, thiefs           []uint64 // endorsements
	log                    []string
	made                   int
}

// A deed is to be done at a time.
type deed struct {
	at time.Time
	do func()
}

func newHonest(t *testing.T, seed uint64) *honest {
	x := &honest{named: proven(t, nil, guarantor()), Rand: rand.New(rand.NewPCG(seed, 7))}
	n := 1 + x.IntN(4)
	x.our = rolltest.NewOrg("a.example", n, 1+x.IntN(2), 1+x.IntN(n))
	x.current, x.recovery, x.dns = x.our.Keys, x.our.Recovery, x.our.Keys
	x.must(x.rec.Registration(x.our, guarantor()), x.chain(x.our.Domain, 10*aDay, x.dns...))
	x.seen = x.rec.Now
	return x
}

// guarantor vouches, and its domain publishes its key.
func guarantor() *rolltest.Org { return rolltest.NewOrg("c.example", 1, 0, 1) }

func (x *honest) note(format string, args ...any) {
	x.log = append(x.log, fmt.Sprintf("%s %d ", x.rec.Now.Format("2006-01-02T15"), x.rec.State.Size()-1)+fmt.Sprintf(format, args...))
}

func names(ks []*rolltest.Key) (s string) {
	for _, k := range ks {
		s += " " + k.Ref().Fingerprint.String()[7:11]
	}
	return s
}

// look has the ledger record what the DNS says.
func (x *honest) look() {
	e := &entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: x.our.Domain, Data: x.chain(x.our.Domain, 10*aDay, x.dns...)}}
	if x.rec.Apply(e) == nil {
		x.note("dns%s", names(x.dns))
		x.publish()
	}
	x.seen = x.rec.Now
}

// pass lets time go by: the ledger looks once a month, and what is to be done is done.
func (x *honest) pass(most time.Duration) {
	end := x.rec.Now.Add(time.Duration(x.Int64N(int64(most)))).Truncate(time.Second)
	for {
		next, due := end, -1
		for i, d := range x.later {
			if !d.at.After(next) {
				next, due = d.at, i
			}
		}
		month := x.seen.Add(30 * aDay)
		monthly := month.Before(next)
		if monthly {
			next = month
		}
		if next.After(x.rec.Now) {
			x.rec.Now = next
		}
		switch {
		case monthly:
			x.look()
		case due < 0:
			return
		default:
			d := x.later[due]
			x.later = slices.Delete(x.later, due, due+1)
			d.do()
		}
	}
}

// within does something within a time.
func (x *honest) within(most time.Duration, do func()) {
	x.later = append(x.later, deed{x.rec.Now.Add(time.Duration(x.Int64N(int64(most)))).Truncate(time.Second), do})
}

// published changes what the DNS says, which the ledger sees within a day.
func (x *honest) published(ks []*rolltest.Key) {
	x.dns = ks
	x.within(aDay, x.look)
}

func (x *honest) fresh() *rolltest.Key {
	x.made++
	return rolltest.NewKey(fmt.Sprint("of an honest tale ", x.made))
}

// quorum returns who signs, without a key; nil: there are not enough.
func (x *honest) quorum(of []*rolltest.Key, but *rolltest.Key) (ks []*rolltest.Key) {
	for _, i := range x.Perm(len(of)) {
		if of[i] != but && len(ks) < x.our.Quorum {
			ks = append(ks, of[i])
		}
	}
	if len(ks) < x.our.Quorum {
		return nil
	}
	return ks
}

// by returns who repairs, without a key if that can be: the quorum or a recovery key.
func (x *honest) by(but *rolltest.Key) []*rolltest.Key {
	if ks := x.quorum(x.current, but); ks != nil && x.IntN(3) > 0 {
		return ks
	}
	return []*rolltest.Key{x.recovery[x.IntN(len(x.recovery))]}
}

func (x *honest) says(what string, body entry.Body, ks ...*rolltest.Key) uint64 {
	i := x.rec.Do(body, x.our, ks...)
	x.note("%s by%s", what, names(ks))
	return i
}

func (x *honest) endorses(ks []*rolltest.Key) uint64 {
	if x.rec.State.Size() > x.checkpoint().Size { // a copy is seen once
		x.publish()
	}
	return x.says("endorse", &entry.Endorsement{Action: entry.Endorse, Statement: x.statement, After: x.after()}, ks...)
}

// event adds, puts into the place of one, or revokes.
func (x *honest) event(k, old *rolltest.Key, from *uint64, by ...*rolltest.Key) {
	b, what := &entry.KeyEvent{Action: entry.Rotate, Member: x.our.Domain, CompromisedAfter: from}, ""
	if k != nil {
		line := k.Line()
		b.PublicKey, by, what = &line, append(slices.Clone(by), k), names([]*rolltest.Key{k})
	}
	if old != nil {
		ref := old.Ref()
		b.Revokes, what = &ref, what+" for"+names([]*rolltest.Key{old})
	}
	switch {
	case old == nil:
		b.Action = entry.Add
	case k == nil:
		b.Action = entry.Revoke
	}
	x.says(string(b.Action)+what+since(b), b, by...)
	if k != nil && slices.Contains(x.dns, k) { // that is news to the ledger
		x.within(aDay, x.look)
	}
}

func (x *honest) step() {
	x.pass([]time.Duration{time.Hour, 3 * aDay, 20 * aDay, 100 * aDay}[x.IntN(4)])
	old := x.current[x.IntN(len(x.current))]
	switch n := x.IntN(12); {
	case n < 4:
		x.mine = append(x.mine, x.endorses(x.quorum(x.current, nil)))
	case n < 5 && len(x.current) < 6:
		k := x.fresh()
		if x.IntN(2) == 0 {
			x.published(append(without(x.dns, k), k))
			x.pass(2 * aDay)
		} else {
			x.within(aDay, func() { x.published(append(without(x.dns, k), k)) })
		}
		x.event(k, nil, nil, x.by(nil)...)
		x.current = append(slices.Clone(x.current), k)
	case n < 7:
		k := x.fresh()
		x.published(append(without(x.dns, k), k))
		x.pass(2 * aDay)
		x.event(k, old, nil, x.by([]*rolltest.Key{old, nil}[x.IntN(2)])...)
		x.current = append(without(x.current, old), k)
		x.within(20*aDay, func() { x.published(without(x.dns, old)) })
	case n < 8 && len(x.current) > x.our.Quorum:
		if x.IntN(2) == 0 {
			x.published(without(x.dns, old))
			x.pass(10 * aDay)
		} else {
			x.within(20*aDay, func() { x.published(without(x.dns, old)) })
		}
		x.event(nil, old, nil, x.by(old)...)
		x.current = without(x.current, old)
	case n < 9:
		k := x.fresh()
		m := &entry.Membership{Action: entry.Update, Member: x.our.Domain, Name: x.our.Name, Quorum: x.our.Quorum}
		by := append(x.quorum(x.current, nil), x.recovery[x.IntN(len(x.recovery))], k)
		x.recovery = append(x.recovery[:x.IntN(2):len(x.recovery)], k)
		for _, r := range x.recovery {
			m.RecoveryKeys = append(m.RecoveryKeys, r.Line())
		}
		x.says("recovery"+names(x.recovery), m, by...)
	case n < 11:
		x.robbed()
	}
}

// robbed has a thief bring keys and endorse with what it stole. The owner takes that out of the DNS, and everything back with a recovery key.
func (x *honest) robbed() {
	var stolen, brought []*rolltest.Key
	for _, k := range x.current {
		if x.IntN(2) == 0 {
			stolen = append(stolen, k)
		}
	}
	if len(stolen) < x.our.Quorum {
		return
	}
	from, has := x.rec.State.Size(), slices.Clone(stolen)
	x.note("stolen:%s", names(stolen))
	for range 1 + x.IntN(3) {
		switch k := x.fresh(); {
		case x.IntN(2) == 0:
			x.thiefs = append(x.thiefs, x.endorses(x.quorum(has, nil)))
		case x.IntN(2) == 0 && len(x.current)+len(brought) < 7:
			x.event(k, nil, nil, x.quorum(has, nil)...)
			brought, has = append(brought, k), append(has, k)
		default:
			old := has[x.IntN(len(has))]
			x.event(k, old, nil, x.quorum(has, nil)...)
			brought, has = append(brought, k), append(without(has, old), k)
		}
		x.pass(time.Hour)
	}
	x.pass(10 * aDay)
	for _, k := range stolen {
		x.dns = without(x.dns, k)
	}
	x.look()
	x.pass(10 * aDay)
	safe := x.recovery[x.IntN(len(x.recovery))]
	for _, k := range append(brought, stolen...) {
		x.event(nil, k, &from, safe)
		x.current = without(x.current, k)
	}
	for len(x.current) < x.our.Quorum {
		k := x.fresh()
		x.event(k, nil, nil, safe)
		x.current = append(slices.Clone(x.current), k)
		x.dns = append(slices.Clone(x.dns), k)
	}
	x.look()
}

// TestHonestTales tells lives of keys of somebody who does as the docs say. Nothing accuses what it endorsed, and what the domain published is enough to meet what is required; nothing that a thief endorsed is a plain yes.
func TestHonestTales(t *testing.T) {
	mine, thiefs := 0, 0
	for seed := *firstTale; seed < *firstTale+*tales; seed++ {
		x := newHonest(t, seed)
		for range 16 {
			x.step()
		}
		x.pass(100 * aDay)
		x.publish()
		o := x.server()
		all := append(slices.Clone(x.mine), x.thiefs...)
		for _, i := range all {
			o.Receipts = append(o.Receipts, x.receipt(i))
		}
		report := x.audit(o)
		for n, i := range all {
			v := verify.Judge(verify.Input{Policy: x.policy(), Receipt: o.Receipts[n], Statement: []byte(x.text), Record: report, Now: x.rec.Now, Require: verify.Require{Vouched: 1, DNSSEC: true}})
			reasons := strings.Join(v.Answers[0].Reasons, " ")
			if n < len(x.mine) {
				mine++
				doubted := strings.Index(reasons, "The domain a.example") < strings.Index(reasons, "A member of the record vouched") // those come first
				if doubted || strings.Contains(reasons, "speaks against") || strings.Contains(reasons, "is disputed") || strings.Contains(reasons, "It is required") {
					t.Errorf("entry %d, honest: code %d: %s", i, v.Code, reasons)
				}
			} else if thiefs++; v.Code == 0 || !strings.Contains(reasons, "The endorsement is disputed") {
				t.Errorf("entry %d, a thief's: code %d: %s", i, v.Code, reasons)
			}
		}
		if t.Failed() {
			t.Fatalf("repeat with: go test ./verify -run TestHonestTales -verify.seed=%d -verify.tales=1\n%s", seed, strings.Join(x.log, "\n"))
		}
	}
	t.Logf("seeds %d to %d: %d honest endorsements, %d of thieves", *firstTale, *firstTale+*tales-1, mine, thiefs)
}
