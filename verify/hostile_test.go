package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// Each test is something that a dishonest operator, witness or thief would try to make the verdict say more
// than is known, or an audit pass over a contradiction.

// pair is a world with apnic.net and nic.example, which vouch for each other, and a statement.
func pair(t *testing.T) (w *world, apnic, nic *rolltest.Org) {
	w = newEmptyWorld(t, rolltest.New(t), 2)
	w.publish()
	nic = rolltest.NewOrg("nic.example", 1, 0, 1)
	w.rec.Register(nic)
	apnic = rolltest.NewOrg("apnic.net", 2, 1, 1)
	w.rec.Register(apnic, nic)
	w.rec.Do(&entry.Membership{Action: entry.Update, Member: nic.Domain, Name: nic.Name, Quorum: 1, Vouchers: apnic.Vouch()}, nic)
	w.text = tccm
	w.statement = w.rec.Publish(w.text)
	w.publish()
	return w, apnic, nic
}

// judge answers about a domain for somebody who knows nic.example.
func (w *world) judge(domain string, text string) *verify.Verdict {
	return verify.Judge(verify.Input{Policy: w.policy(), Domain: domain, Statement: []byte(text), Record: w.audit(verify.AuditOptions{}), Known: []string{"nic.example"}})
}

// cosigned publishes the checkpoint anew with the log's lines and each witness's at a time of its own.
func (w *world) cosigned(log time.Time, witnesses ...time.Time) {
	c := w.checkpoint()
	note := append(c.Text(), '\n')
	for _, k := range w.log {
		note = append(note, k.line(c, log)...)
	}
	for i, k := range w.witnesses {
		note = append(note, k.line(c, witnesses[i])...)
	}
	w.note = note
	w.files["checkpoint"], w.files[verify.CheckpointPath(c.Size)] = note, note
}

func TestOldCopyStaysOld(t *testing.T) {
	old := newWorld(t, 3).rec.Now
	later := old.AddDate(1, 0, 0)
	for name, times := range map[string][]time.Time{
		"the log's clock":    {later, old, old, old},
		"a minority witness": {old, later, old, old},
	} {
		w := newWorld(t, 3)
		w.cosigned(times[0], times[1:]...)
		r := w.audit(verify.AuditOptions{Now: func() time.Time { return later }, MaxAge: time.Hour})
		if r.Code != verify.CodeUnchecked || r.Seen == nil || !r.Seen.Equal(old.Truncate(time.Second)) {
			t.Errorf("%s: code %d, seen %v", name, r.Code, r.Seen)
		}
		in := verify.Input{Policy: w.policy(), Domain: "apnic.net", Statement: []byte(tccm), Record: r, Now: later, MaxAge: time.Hour}
		check(t, name, in, verify.CodeUnchecked)
	}
}

func TestBackdatedEntry(t *testing.T) {
	w, apnic, nic := pair(t)
	quoted := w.after()
	w.endorse(nic)
	claimed := w.rec.Now
	w.rec.Now = claimed.AddDate(0, 0, 29)
	w.publish() // a month later, without apnic.net
	w.rec.Now = claimed
	index := w.rec.Do(&entry.Endorsement{Action: entry.Endorse, Statement: w.statement, After: quoted}, apnic)
	w.rec.Now = claimed.AddDate(0, 0, 30)
	w.endorse(nic)
	w.publish()
	for name, o := range map[string]verify.AuditOptions{"a server": {}, "an archive": {Paths: w.paths()}} {
		r := w.audit(o)
		if r.Code != verify.CodeContradiction || r.Findings[0].Index == nil || *r.Findings[0].Index != index {
			t.Errorf("%s: code %d: %s", name, r.Code, r.Sentence)
		}
	}
}

func TestForwardDatedEntry(t *testing.T) {
	w := newWorld(t, 3)
	seen := w.rec.Now
	w.rec.Now = seen.AddDate(0, 1, 0)
	org := rolltest.NewOrg("forward.example", 1, 0, 1)
	w.rec.Register(org)
	index := w.endorse(org)
	w.publish()
	w.cosigned(w.rec.Now, seen, seen, seen)
	if r := w.audit(verify.AuditOptions{}); r.Code != verify.CodeContradiction {
		t.Errorf("code %d: %s", r.Code, r.Sentence)
	}
	check(t, "the receipt alone", verify.Input{Policy: w.policy(), Receipt: w.receipt(index), Statement: []byte(tccm)}, verify.CodeContradiction)
}

func TestVouchersThatLeanOnTheOperator(t *testing.T) {
	t.Run("a puppet", func(t *testing.T) {
		w := newEmptyWorld(t, rolltest.New(t), 2)
		w.publish()
		puppet := rolltest.NewOrg("puppet.example", 1, 0, 1)
		w.rec.Register(puppet)
		victim := rolltest.NewOrg("apnic.net", 1, 0, 1)
		w.rec.Register(victim, puppet)
		w.text = tccm
		w.statement = w.rec.Publish(w.text)
		w.publish()
		w.endorse(victim)
		w.publish()
		v := w.judge("apnic.net", tccm)
		wantStates(t, v, "▲✔✔✔")
		if !strings.Contains(v.Sentence, "puppet.example on 11 June 2024, entry 2, for which the operator's word alone speaks") {
			t.Error(v.Sentence)
		}
	})
	t.Run("a chain of puppets", func(t *testing.T) {
		w := newEmptyWorld(t, rolltest.New(t), 2)
		w.publish()
		var before []*rolltest.Org
		for _, domain := range []string{"a.example", "b.example", "c.example", "apnic.net"} {
			o := rolltest.NewOrg(domain, 1, 0, 1)
			w.rec.Register(o, before...)
			before = []*rolltest.Org{o}
		}
		w.text = tccm
		w.statement = w.rec.Publish(w.text)
		w.publish()
		w.endorse(before[0])
		w.publish()
		wantStates(t, w.judge("apnic.net", tccm), "▲✔✔✔")
	})
	t.Run("an operator that renames itself", func(t *testing.T) {
		w := newEmptyWorld(t, rolltest.New(t), 2)
		w.publish()
		self := &rolltest.Org{Domain: "operator.example", Name: "Op", Keys: []*rolltest.Key{rolltest.NewKey("operator as a member")}, Quorum: 1}
		w.rec.Register(self)
		victim := rolltest.NewOrg("apnic.net", 1, 0, 1)
		w.rec.Register(victim, self)
		w.text = tccm
		w.statement = w.rec.Publish(w.text)
		w.publish()
		w.endorse(victim)
		k := rolltest.NewKey("new operator")
		w.rec.Do(&entry.Charter{Title: "A record", Operator: "keeper.example", PublicKeys: []entry.PublicKey{k.Line()}, Admission: entry.Admission{Operator: true}, Roll: "manual"},
			w.rec.Operator, w.rec.Operator.Keys[0], k)
		w.publish()
		wantStates(t, w.judge("apnic.net", tccm), "▲✔✔✔")
	})
}

func TestVouchingAgainHarmsNobody(t *testing.T) {
	w, apnic, nic := pair(t)
	w.endorse(apnic)
	w.publish()
	wantStates(t, w.judge("apnic.net", tccm), "✔✔✔✔")
	recovery := []entry.PublicKey{apnic.Recovery[0].Line()}
	w.rec.Do(&entry.Membership{Action: entry.Update, Member: apnic.Domain, Name: apnic.Name, RecoveryKeys: recovery, Quorum: 1, Vouchers: nic.Vouch()}, apnic)
	w.publish()
	wantStates(t, w.judge("apnic.net", tccm), "✔✔✔✔")
}

func TestDisputedReturn(t *testing.T) {
	w, apnic, _ := pair(t)
	index := w.rec.Do(w.endorsement(entry.Endorse, apnic), apnic, apnic.Keys[0])
	w.publish()
	w.rec.Do(w.endorsement(entry.Withdraw, apnic), apnic, apnic.Keys[0])
	stolen := w.rec.Do(w.endorsement(entry.Endorse, apnic), apnic, apnic.Keys[1]) // the thief
	ref := apnic.Keys[1].Ref()
	w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: apnic.Domain, Revokes: &ref, CompromisedAfter: &stolen}, apnic, apnic.Recovery[0])
	w.publish()
	v := verify.Judge(w.replayed(index))
	if a := v.Answers[3]; a.State != verify.LookCloser || !strings.Contains(a.Text, "Disputed") {
		t.Errorf("%s: %s", a.State, a.Text)
	}
}

func TestDroppedRendition(t *testing.T) {
	w, apnic, _ := pair(t)
	text, fr := "We, again.\n", "Nous.\n"
	w.text, w.statement = text, entry.Sum([]byte(text))
	ref := entry.RenditionRef{Language: "fr", Hash: entry.Sum([]byte(fr))}
	w.rec.Do(&entry.Statement{Action: entry.Publish, Statement: w.statement, Title: "Again", Language: "en", MediaType: "text/plain", Size: int64(len(text)),
		Renditions: []entry.Rendition{{Language: "fr", Hash: ref.Hash, Size: int64(len(fr)), MediaType: "text/plain"}}}, w.rec.Operator)
	w.publish()
	with := w.endorsement(entry.Endorse, apnic)
	with.Renditions = []entry.RenditionRef{ref}
	index := w.rec.Do(with, apnic)
	w.publish()
	w.endorse(apnic) // without it
	w.publish()
	in := w.replayed(index)
	in.Statement = []byte(fr)
	v := check(t, "dropped", in, verify.CodeWithdrawn)
	if !strings.HasPrefix(v.Sentence, "No longer.") {
		t.Error(v.Sentence)
	}
	with = w.endorsement(entry.Endorse, apnic)
	with.Renditions = []entry.RenditionRef{ref}
	w.rec.Do(with, apnic)
	w.withdraw(apnic)
	w.publish()
	if v := w.judge(apnic.Domain, fr); v.Code != verify.CodeWithdrawn {
		t.Errorf("withdrawn: code %d: %s", v.Code, v.Sentence)
	}
}

func TestRecordWithoutQuorum(t *testing.T) {
	w := newWorld(t, 3)
	w.files["checkpoint"] = w.sign(w.checkpoint(), append(slices.Clone(w.log), w.witnesses[0])...)
	v := w.judge("apnic.net", tccm)
	if v.Code != verify.CodeQuorum || v.Answers[0].State == verify.Confirmed || v.Answers[2].State == verify.Confirmed {
		t.Errorf("code %d: %+v", v.Code, v.Answers)
	}
}

// A third key, added under a quorum of two, signs alone in a log that plays along. The receipt keeps quiet about
// the registration that says how many must sign.
func TestReceiptThatHidesTheQuorum(t *testing.T) {
	w, _, _ := pair(t)
	org := rolltest.NewOrg("two.example", 2, 0, 2)
	w.rec.Register(org)
	k := rolltest.NewKey("a third key")
	line := k.Line()
	added := w.rec.Do(&entry.KeyEvent{Action: entry.Add, Member: org.Domain, PublicKey: &line}, org, append(slices.Clone(org.Keys), k)...)
	w.publish()
	e := rolltest.Sign(w.rec.Draft(w.endorsement(entry.Endorse, org), org, k))
	index := w.force(w.rec.Leaf(e))
	w.publish()
	r, err := w.makeReceipt(index, []uint64{added})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "hidden", verify.Input{Policy: w.policy(), Receipt: r, Statement: []byte(tccm)}, verify.CodeUntrusted)
}

// A record of another ledger than the policy's is told apart from a forged one.
func TestAnotherLedger(t *testing.T) {
	w, _, _ := pair(t)
	other := strings.ReplaceAll(string(w.sign(w.checkpoint(), w.log...)), rolltest.Origin, "other.example/test")
	w.files["checkpoint"] = []byte(other)
	r := w.audit(verify.AuditOptions{})
	if r.Code != verify.CodeUntrusted || !strings.Contains(r.Sentence, "another ledger than those that the policy names") {
		t.Errorf("code %d: %s", r.Code, r.Sentence)
	}
}
