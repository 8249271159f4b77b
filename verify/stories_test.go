package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// What the stories of against_*_test.go and doubt_test.go are told with.

// proven is a record in which c's domain publishes its key, which vouched for a, whose domain publishes its keys, too. a may be nil: then it is not there.
func proven(t *testing.T, a, c *rolltest.Org) *named {
	t.Helper()
	w := newNamed(t, "a.example", "c.example")
	w.join(c, 2000*aDay)
	w.publish()
	if a != nil {
		w.must(w.rec.Registration(a, c), w.chain(a.Domain, 10*aDay, a.Keys...))
	}
	return w
}

// provenVoucher is a record in which nobody but the operator vouched for a, and c, whose domain publishes its key, for b, whose domain publishes its keys, too.
func provenVoucher(t *testing.T, a, b, c *rolltest.Org) *named {
	t.Helper()
	w := newNamed(t, "a.example", "b.example", "c.example")
	w.rec.Register(a)
	w.join(c, 2000*aDay)
	w.must(w.rec.Registration(b, c), w.chain(b.Domain, 10*aDay, b.Keys...))
	return w
}

// listed judges the receipt of a whole sealed list.
func (w *named) listed(r *verify.Receipt, in verify.Input) *verify.Verdict {
	in.Policy, in.Receipt, in.Now = w.policy(), r, w.rec.Now
	in.Record = w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{r}, Covering: w.covering})
	return verify.Judge(in)
}

// unwitnessed judges an entry under a policy that asks for no witnesses.
func (w *named) unwitnessed(i uint64, in verify.Input) *verify.Verdict {
	text, _, _ := strings.Cut(w.policyText(), "group ")
	p, r := mustPolicy(w.tb, text+"quorum none\n"), w.receipt(i)
	in.Policy, in.Receipt, in.Now = p, r, w.rec.Now
	in.Record = mustAudit(w.tb, p, w.fetch, verify.AuditOptions{Receipts: []*verify.Receipt{r}, Covering: w.covering})
	return verify.Judge(in)
}

func (w *named) server() verify.AuditOptions { return verify.AuditOptions{Covering: w.covering} }

func (w *named) later(d time.Duration) { w.rec.Now = w.rec.Now.Add(d) }

// judged judges an entry with a requirement.
func (w *named) judged(i uint64, r verify.Require, known ...string) *verify.Verdict {
	in := w.asked(i, w.server())
	in.Require, in.Known = r, known
	return verify.Judge(in)
}

func (w *named) vouchedBy(a, b *rolltest.Org, ks ...*rolltest.Key) {
	w.rec.Do(&entry.Membership{Action: entry.Update, Member: a.Domain, Name: a.Name, Quorum: 1, Vouchers: b.Vouch(ks...)}, a)
}

func (w *named) add(o *rolltest.Org, k *rolltest.Key, by ...*rolltest.Key) uint64 {
	line := k.Line()
	return w.rec.Do(&entry.KeyEvent{Action: entry.Add, Member: o.Domain, PublicKey: &line}, o, append(by, k)...)
}

func (w *named) rotate(o *rolltest.Org, old, k *rolltest.Key, by *rolltest.Key) uint64 {
	line, ref := k.Line(), old.Ref()
	return w.rec.Do(&entry.KeyEvent{Action: entry.Rotate, Member: o.Domain, PublicKey: &line, Revokes: &ref}, o, by, k)
}

func (w *named) revoke(o *rolltest.Org, k *rolltest.Key, by ...*rolltest.Key) uint64 {
	ref := k.Ref()
	return w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: o.Domain, Revokes: &ref}, o, by...)
}

// recovers has an organization, with a quorum of one, bring a recovery key by an update.
func (w *named) recovers(o *rolltest.Org, r, by *rolltest.Key) {
	w.rec.Do(&entry.Membership{Action: entry.Update, Member: o.Domain, Name: o.Name, Quorum: 1, RecoveryKeys: []entry.PublicKey{r.Line()}}, o, by, r)
}

func (w *named) compromised(o *rolltest.Org, k *rolltest.Key, from uint64) {
	ref := k.Ref()
	w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: o.Domain, Revokes: &ref, CompromisedAfter: &from}, o, o.Recovery[0])
}

func (w *named) says(action entry.Action, o *rolltest.Org, k *rolltest.Key) uint64 {
	i := w.rec.Do(&entry.Endorsement{Action: action, Statement: w.statement, After: w.after()}, o, k)
	w.publish()
	return i
}

func (w *named) must(e *entry.Entry, chain []byte) {
	w.tb.Helper()
	if err := w.rec.ApplyWith(e, chain); err != nil {
		w.tb.Fatal(err)
	}
	w.publish()
}

func plain(v *verify.Verdict) bool { return v.Code == 0 && strings.HasPrefix(v.Sentence, "Yes. ") }

func tell(t *testing.T, what string, v *verify.Verdict) {
	t.Helper()
	t.Logf("%s: code %d, %s: %s\n  did: %s\n  stands: %s %s\n  %+v", what, v.Code, states(v), v.Sentence, strings.Join(v.Answers[0].Reasons, " | "), v.Answers[3].Text, strings.Join(v.Answers[3].Reasons, " | "), kinds(v))
}

// a2 is an organization that signs with another key.
func a2(o *rolltest.Org, k *rolltest.Key) *rolltest.Org {
	return &rolltest.Org{Domain: o.Domain, Name: o.Name, Quorum: 1, Keys: []*rolltest.Key{k}}
}
