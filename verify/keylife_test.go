package verify_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// keyTable reads the table of docs/keys.md: by event, what becomes of endorsements from before, and what the key can do afterwards.
func keyTable(t *testing.T) map[string][2]string {
	t.Helper()
	b, err := os.ReadFile("../docs/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][2]string{}
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if strings.HasPrefix(line, "| ") && len(cells) == 4 && !strings.HasPrefix(line, "| event") {
			rows[strings.TrimSpace(cells[0])] = [2]string{strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])}
		}
	}
	return rows
}

// What the table in docs/keys.md says of each event is what the fold and the verdict do.
func TestKeyTable(t *testing.T) {
	const replaced = "The key has since been replaced or revoked"
	our := rolltest.NewOrg("our.example", 2, 2, 1)
	nic := rolltest.NewOrg("nic.example", 1, 0, 1)
	another := rolltest.NewKey("another of our.example")
	safe := []entry.PublicKey{our.Recovery[0].Line(), our.Recovery[1].Line()}
	ref := func(k *rolltest.Key) *keys.Ref { r := k.Ref(); return &r }
	line := func(k *rolltest.Key) *entry.PublicKey { l := k.Line(); return &l }
	event := func(w *world, e *entry.KeyEvent, ks ...*rolltest.Key) {
		e.Member = our.Domain
		w.rec.Do(e, our, ks...)
	}
	old := our.Keys[0]
	table := keyTable(t)
	tried := map[string]bool{}
	// Of the old key: what it may still do.
	type may struct{ endorse, withdraw bool }
	all, nothing := may{true, true}, may{}
	for _, c := range []struct {
		event     string
		past, now string // what the row says, each a part of its cell
		do        func(w *world, mine uint64)
		state     verify.AnswerState // of "Did they sign?" about the endorsement from before
		reason    string             // why; "": a plain yes
		disputed  bool
		old       may
		fresh     *rolltest.Key // which can sign from then on
	}{
		{"`key add`", "stand as before", "the new key counts towards the quorum",
			func(w *world, _ uint64) {
				event(w, &entry.KeyEvent{Action: entry.Add, PublicKey: line(another)}, old, another)
			}, verify.Confirmed, "", false, all, another},
		{"`key rotate`", "stand; `verify` adds \"" + replaced + "\"", "the old one nothing, ever again; the new one as with `add`",
			func(w *world, _ uint64) {
				event(w, &entry.KeyEvent{Action: entry.Rotate, PublicKey: line(another), Revokes: ref(old)}, old, another)
			}, verify.LookCloser, replaced, false, nothing, another},
		{"`key revoke`", "the same", "nothing, ever again",
			func(w *world, _ uint64) { event(w, &entry.KeyEvent{Action: entry.Revoke, Revokes: ref(old)}, old) },
			verify.LookCloser, replaced, false, nothing, our.Keys[1]},
		{"`rotate` or `revoke` with `--compromised-after N`", "those from entry N on stand too, and are marked *disputed* in `verify`, `show` and the page, until withdrawn or endorsed anew", "nothing, ever again",
			func(w *world, mine uint64) {
				event(w, &entry.KeyEvent{Action: entry.Revoke, Revokes: ref(old), CompromisedAfter: &mine}, our.Recovery[0])
			}, verify.LookCloser, "The endorsement is disputed", true, nothing, our.Keys[1]},
		{"`rotate` or `revoke` with `--compromised-after N`", "those before entry N stand", "nothing, ever again",
			func(w *world, mine uint64) {
				n := mine + 1
				event(w, &entry.KeyEvent{Action: entry.Rotate, PublicKey: line(another), Revokes: ref(old), CompromisedAfter: &n}, our.Recovery[0], another)
			}, verify.LookCloser, replaced, false, nothing, another},
		{"`key suspend`", "stand as before", "withdraw and leave, counting towards the quorum, and revoke itself; not endorse, vouch, or change keys",
			func(w *world, _ uint64) {
				w.rec.Do(&entry.KeyEvent{Action: entry.Suspend, Member: our.Domain, Revokes: ref(old)}, w.rec.Operator)
			}, verify.Confirmed, "", false, may{withdraw: true}, our.Keys[1]},
		{"`join update` of quorum or recovery keys", "stand as before", "what the new quorum says",
			func(w *world, _ uint64) {
				w.rec.Do(&entry.Membership{Action: entry.Update, Member: our.Domain, Name: our.Name, Quorum: 2, RecoveryKeys: safe}, our, our.Keys[0], our.Recovery[0])
			}, verify.Confirmed, "", false, nothing, nil},
		{"a recovery key revoked", "stand as before", "nothing, ever again",
			func(w *world, _ uint64) {
				event(w, &entry.KeyEvent{Action: entry.Revoke, Revokes: ref(our.Recovery[0])}, our.Recovery[0])
			}, verify.Confirmed, "", false, all, old},
		{"`join leave`", "stand; can still be withdrawn", "withdraw",
			func(w *world, _ uint64) {
				w.rec.Do(&entry.Membership{Action: entry.Leave, Member: our.Domain}, our)
			}, verify.Confirmed, "", false, may{withdraw: true}, nil},
		{"`join register` again", "stand, and the new keys can withdraw them", "keys from before are none any more, unless named again",
			func(w *world, _ uint64) {
				w.rec.Do(&entry.Membership{Action: entry.Leave, Member: our.Domain}, our)
				w.rec.Register(&rolltest.Org{Domain: our.Domain, Name: our.Name, Keys: []*rolltest.Key{another}, Quorum: 1}, nic)
			}, verify.LookCloser, "The organization has been registered again since", false, nothing, another},
		{"the operator's keys change (`charter amend`)", "stand as before", "–",
			func(w *world, _ uint64) {
				k := rolltest.NewKey("another of the operator")
				w.rec.Do(&entry.Charter{Title: "A record", Operator: w.rec.Operator.Domain, PublicKeys: []entry.PublicKey{k.Line()}, Admission: entry.Admission{Operator: true}, Roll: "manual"}, w.rec.Operator, w.rec.Operator.Keys[0], k)
			}, verify.Confirmed, "", false, all, old},
	} {
		tried[c.event] = true
		t.Run(c.event, func(t *testing.T) {
			row, ok := table[c.event]
			if !ok || !strings.Contains(row[0], c.past) || !strings.Contains(row[1], c.now) {
				t.Fatalf("the table says %q, want %q and %q", row, c.past, c.now)
			}
			w := newWorld(t, 2)
			w.rec.Register(our, nic)
			mine := w.endorse(our)
			w.publish()
			if v := check(t, "before", w.replayed(mine), 0); states(v) != "✔✔✔✔" {
				t.Fatalf("before: %s: %s", states(v), v.Sentence)
			}
			c.do(w, mine)
			w.publish()
			v := check(t, "after", w.replayed(mine), 0)
			a := v.Answers[0]
			if a.State != c.state || c.reason != "" && !slices.ContainsFunc(a.Reasons, func(r string) bool { return strings.HasPrefix(r, c.reason) }) {
				t.Errorf("%s: %s: %q", states(v), v.Sentence, a.Reasons)
			}
			e, ok := w.rec.State.Endorsement(our.Domain, w.statement)
			stands := v.Answers[3].State
			if !ok || e.Action != entry.Endorse || e.Disputed != c.disputed || (stands == verify.Confirmed) == c.disputed {
				t.Errorf("%+v, stands %s", e, stands)
			}
			// The old key.
			says := func(action entry.Action, k *rolltest.Key) bool {
				x := rolltest.Sign(w.rec.Draft(w.endorsement(action, our), our, k))
				err := w.rec.State.Judge(&entry.Leaf{Admitted: w.rec.Now, Entry: x}, nil)
				var no *roll.Inadmissible
				if err != nil && !errors.As(err, &no) {
					t.Fatal(err)
				}
				return err == nil
			}
			if got := (may{says(entry.Endorse, old), says(entry.Withdraw, old)}); got != c.old {
				t.Errorf("the old key may %+v, want %+v", got, c.old)
			}
			if c.fresh != nil && (!says(entry.Endorse, c.fresh) || !says(entry.Withdraw, c.fresh)) {
				t.Error("the key that is left or new may not sign")
			}
		})
	}
	for event := range table {
		if !tried[event] {
			t.Errorf("nothing here tries what the table says of: %s", event)
		}
	}
}
