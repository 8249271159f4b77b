package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// kinds are the kinds of a verdict's evidence, with a sign at those that count.
func kinds(v *verify.Verdict) string {
	var list []string
	for _, e := range v.Evidence {
		kind := e.Kind
		if e.Counts {
			kind += "+"
		}
		list = append(list, kind)
	}
	return strings.Join(list, " ")
}

// What a domain says itself counts for more than the operator's word, is dated, and ranks behind members.
func TestOwner(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t, 2)
	d := dnssectest.New(w.rec.Now.Add(-day), w.rec.Now.Add(13*day))
	dnssectest.Trust(d.Anchors()...)
	d.Zone("example", dnssectest.Options{})
	d.Zone("our.example", dnssectest.Options{})
	our := rolltest.NewOrg("our.example", 1, 1, 1)
	our.Name = "Ours"
	chain := func(ks ...*rolltest.Key) []byte {
		t.Helper()
		var list []dnssec.Record
		for _, k := range ks {
			list = append(list, dnssec.Record{Ledger: rolltest.Origin, Key: k.Ref().Fingerprint})
		}
		d.Publish("our.example", list...)
		d.Window(w.rec.Now.Add(-time.Hour), w.rec.Now.Add(14*day))
		b, _, err := d.Chain("our.example", w.rec.Now)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if err := w.rec.ApplyWith(w.rec.Registration(our), chain(our.Keys...)); err != nil {
		t.Fatal(err)
	}
	joined := w.rec.State.Size() - 1
	w.publish()
	mine := w.endorse(our)
	w.publish()
	in := w.replayed(mine)
	v := check(t, "proven by the domain", in, 0)
	wantStates(t, v, "✔✔✔✔")
	if kinds(v) != "dnssec+ operator" || *v.Evidence[0].Index != joined || v.Evidence[0].Gone != nil || v.Evidence[0].Until.Format(time.DateOnly) != "2024-06-25" {
		t.Errorf("%+v", v.Evidence)
	}
	if want := fmt.Sprintf("The domain our.example itself published the key in the DNS, signed: seen on 11 June 2024, entry %d, in signatures good until 25 June 2024.", joined); !slices.Contains(v.Answers[0].Reasons, want) {
		t.Errorf("%q", v.Answers[0].Reasons)
	}
	// What the reader asks for.
	for _, c := range []struct {
		require string
		code    int
	}{{"dnssec", 0}, {"vouched:1", verify.CodeUnchecked}, {"vouched:1,dnssec", verify.CodeUnchecked}} {
		var err error
		if in.Require, err = verify.ParseRequire(c.require); err != nil {
			t.Fatal(err)
		}
		check(t, c.require, in, c.code)
	}
	in = w.replayed(indexEndorsedAPNIC)
	for require, code := range map[string]int{"dnssec": verify.CodeUnchecked, "vouched:2": verify.CodeUnchecked} {
		in.Require, _ = verify.ParseRequire(require)
		if v := check(t, "of another: "+require, in, code); !strings.Contains(v.Sentence, "It is required that") {
			t.Error(v.Sentence)
		}
	}
	alone := verify.Input{Policy: w.policy(), Receipt: w.receipt(mine), Statement: []byte(w.text), Require: verify.Require{DNSSEC: true}}
	check(t, "a receipt alone", alone, verify.CodeUnchecked)
	// A member vouches too, and ranks first; and who is proven by its domain can vouch for more than the operator's word.
	w.rec.Do(&entry.Membership{Action: entry.Update, Member: "our.example", Name: our.Name, Quorum: 1, RecoveryKeys: []entry.PublicKey{our.Recovery[0].Line()}, Vouchers: rolltest.NewOrg("apnic.net", 2, 1, 2).Vouch()}, our)
	pt := rolltest.NewOrg("dns.pt", 1, 1, 1)
	w.rec.Do(&entry.Membership{Action: entry.Update, Member: pt.Domain, Name: "Portugal", Quorum: 1, RecoveryKeys: []entry.PublicKey{pt.Recovery[0].Line()}, Vouchers: our.Vouch()}, pt)
	w.publish()
	if v := check(t, "vouched for too", w.replayed(mine), 0); kinds(v) != "vouched+ dnssec+ operator" {
		t.Errorf("%+v", v.Evidence)
	}
	if v := check(t, "vouched for by one that is proven", w.replayed(indexEndorsedPT), 0); kinds(v) != "vouched+ operator" || states(v)[:3] != "✔" {
		t.Errorf("%s %+v", states(v), v.Evidence)
	}
	// The key goes from the DNS: told, with its date.
	w.rec.Now = w.rec.Now.Add(20 * day)
	gone := w.rec.Must(&entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: "our.example", Data: chain()}})
	later := w.endorse(our)
	w.publish()
	v = check(t, "gone from the DNS", w.replayed(mine), 0)
	if want := fmt.Sprintf("By 1 July 2024, entry %d, it is no longer there.", gone); kinds(v) != "vouched+ dnssec+ operator" || v.Evidence[1].Gone == nil || !strings.Contains(v.Evidence[1].Sentence, want) || v.Answers[0].State != verify.LookCloser {
		t.Errorf("%+v", v)
	}
	if v := check(t, "signed after it had gone", w.replayed(later), 0); kinds(v) != "vouched+ dnssec operator" {
		t.Errorf("%+v", v.Evidence)
	}
	in = w.replayed(later)
	in.Require = verify.Require{DNSSEC: true}
	check(t, "required after it had gone", in, verify.CodeUnchecked)
}

// A chain that no quorum of witnesses saw while it was valid proves nothing: its signatures may be forged by then.
func TestLateChain(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t, 2)
	d := dnssectest.New(w.rec.Now.Add(-day), w.rec.Now.Add(2*day))
	dnssectest.Trust(d.Anchors()...)
	d.Zone("example", dnssectest.Options{})
	d.Zone("our.example", dnssectest.Options{})
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	d.Publish("our.example", dnssec.Record{Ledger: rolltest.Origin, Key: our.Keys[0].Ref().Fingerprint})
	chain, _, err := d.Chain("our.example", w.rec.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.rec.ApplyWith(w.rec.Registration(our), chain); err != nil {
		t.Fatal(err)
	}
	w.rec.Now = w.rec.Now.Add(5 * day) // nothing is published meanwhile
	w.publish()
	mine := w.endorse(our)
	w.publish()
	v := check(t, "late", w.replayed(mine), 0)
	if kinds(v) != "dnssec operator" || !strings.Contains(v.Evidence[0].Sentence, "no quorum of witnesses says that this existed before") {
		t.Errorf("%+v", v.Evidence)
	}
}

func TestParseRequire(t *testing.T) {
	for s, want := range map[string]verify.Require{"dnssec": {DNSSEC: true}, "vouched:2": {Vouched: 2}, "vouched:2,dnssec": {2, true}, "dnssec,vouched:12": {12, true}} {
		if r, err := verify.ParseRequire(s); err != nil || r != want {
			t.Errorf("%s: %+v %v", s, r, err)
		}
	}
	for _, s := range []string{"", "dns", "vouched", "vouched:0", "vouched:02", "vouched:+2", "vouched:100", "dnssec,dnssec", "vouched:1,vouched:2", "dnssec,", "dnssec, vouched:1"} {
		if r, err := verify.ParseRequire(s); err == nil {
			t.Errorf("%q: %+v", s, r)
		}
	}
}

// Who vouches for whom leads somewhere, or is worth no more than the operator's word.
func TestVouchersRestOnSomething(t *testing.T) {
	a, b := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("b.example", 1, 0, 1)
	c := rolltest.NewOrg("c.example", 1, 0, 1)
	vouch := func(w *named, of *rolltest.Org, by ...*rolltest.Org) { w.update(of, of.Name, by...) }
	again := func(o *rolltest.Org) *rolltest.Org { // who registers the domain anew
		return &rolltest.Org{Domain: o.Domain, Name: o.Name, Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKey(o.Domain + " again")}}
	}
	leave := func(w *named, o *rolltest.Org) {
		w.rec.Do(&entry.Membership{Action: entry.Leave, Member: o.Domain}, o)
	}
	const bank = "Deutsche Bundesbank"
	for _, x := range []struct {
		name    string
		make    func(w *named) // a.example is in the record, on the operator's word
		known   []string
		rests   string // of those who vouched for a.example, in the order of their domains
		kinds   string
		state   verify.AnswerState
		vouched int // so many count
	}{
		{"the operator alone", func(w *named) {}, nil, "", "operator", verify.LookCloser, 0},
		{"two that vouch for each other", func(w *named) {
			w.rec.Register(b, a)
			vouch(w, a, b)
		}, nil, "circle", "vouched operator", verify.LookCloser, 0},
		{"three in a circle", func(w *named) {
			w.rec.Register(b, a)
			w.rec.Register(c, b)
			vouch(w, a, c)
		}, nil, "circle", "vouched operator", verify.LookCloser, 0},
		{"three in a circle, one of them known", func(w *named) {
			w.rec.Register(b, a)
			w.rec.Register(c, b)
			vouch(w, a, c)
		}, []string{"b.example"}, "vouched", "vouched+ operator", verify.Confirmed, 1},
		{"one that the operator let in", func(w *named) {
			w.rec.Register(b)
			vouch(w, a, b)
		}, nil, "operator", "vouched operator", verify.LookCloser, 0},
		{"one that the operator let in, and that is known", func(w *named) {
			w.rec.Register(b)
			vouch(w, a, b)
		}, []string{"b.example"}, "known", "vouched+ operator", verify.Confirmed, 1},
		{"one whose domain published its key", func(w *named) {
			w.join(b, 10*aDay)
			w.publish()
			vouch(w, a, b)
		}, nil, "dnssec", "vouched+ operator", verify.Confirmed, 1},
		{"one whose domain published its key long before", func(w *named) {
			w.join(b, 10*aDay)
			w.publish()
			w.rec.Now = w.rec.Now.Add(60 * aDay)
			vouch(w, a, b)
		}, nil, "operator", "vouched operator", verify.LookCloser, 0},
		{"one whose domain published its key only later", func(w *named) {
			w.rec.Register(b)
			vouch(w, a, b)
			w.observe("b.example", 10*aDay, b.Keys[0])
		}, nil, "operator", "vouched operator", verify.LookCloser, 0},
		{"one whose domain has withdrawn the key since", func(w *named) {
			w.join(b, 10*aDay)
			w.publish()
			vouch(w, a, b)
			w.observe("b.example", 10*aDay)
		}, nil, "denied", "vouched operator", verify.LookCloser, 0},
		{"one that vouches with another key than its domain published", func(w *named) {
			w.join(b, 10*aDay)
			w.publish()
			k := rolltest.NewKey("another of b.example")
			line := k.Line()
			w.rec.Do(&entry.KeyEvent{Action: entry.Add, Member: b.Domain, PublicKey: &line}, b, b.Keys[0], k)
			m := &entry.Membership{Action: entry.Update, Member: a.Domain, Name: a.Name, Quorum: 1, Vouchers: b.Vouch(k)}
			w.rec.Do(m, a)
		}, nil, "operator", "vouched operator", verify.LookCloser, 0},
		{"one that leads to a domain that published", func(w *named) {
			w.join(c, 10*aDay)
			w.publish()
			w.rec.Register(b, c)
			vouch(w, a, b)
		}, nil, "vouched", "vouched+ operator", verify.Confirmed, 1},
		{"three in a circle, of which only its own domain published its key", func(w *named) {
			w.observe("a.example", 10*aDay, a.Keys[0])
			w.publish()
			w.rec.Register(b, a)
			w.rec.Register(c, b)
			vouch(w, a, c)
		}, nil, "circle", "vouched dnssec+ operator", verify.Confirmed, 0},
		{"two, one of which leads nowhere", func(w *named) {
			w.join(c, 10*aDay)
			w.publish()
			w.rec.Register(b)
			vouch(w, a, b, c)
		}, nil, "operator dnssec", "vouched+ operator", verify.Confirmed, 1},
		{"one that vouched for another name", func(w *named) {
			w.join(c, 10*aDay)
			w.publish()
			vouch(w, a, c)
			w.update(a, bank)
		}, nil, "renamed", "vouched operator", verify.LookCloser, 0},
		{"one that vouched for another name, and is known", func(w *named) {
			w.join(c, 10*aDay)
			w.publish()
			vouch(w, a, c)
			w.update(a, bank)
		}, []string{"c.example"}, "renamed", "vouched operator", verify.LookCloser, 0},
		{"one that vouched again for the new name", func(w *named) {
			w.join(c, 10*aDay)
			w.publish()
			vouch(w, a, c)
			w.update(a, bank)
			w.update(a, bank, c)
		}, nil, "dnssec", "vouched+ operator", verify.Confirmed, 1},
		{"one that was vouched for under another name", func(w *named) {
			w.join(c, 10*aDay)
			w.publish()
			w.rec.Register(b, c)
			w.update(b, bank)
			vouch(w, a, b)
		}, nil, "operator", "vouched operator", verify.LookCloser, 0},
		{"one whose domain was registered again, vouched for by one that counts", func(w *named) {
			w.rec.Register(b)
			vouch(w, a, b)
			leave(w, b)
			w.join(c, 10*aDay)
			w.publish()
			w.rec.Register(again(b), c)
		}, nil, "former", "vouched operator", verify.LookCloser, 0},
		{"one whose domain was registered again, and is known", func(w *named) {
			w.rec.Register(b)
			vouch(w, a, b)
			leave(w, b)
			w.rec.Register(again(b))
		}, []string{"b.example"}, "former", "vouched operator", verify.LookCloser, 0},
		{"one whose domain was registered again, and had published its key before", func(w *named) {
			w.join(b, 10*aDay)
			w.publish()
			vouch(w, a, b)
			leave(w, b)
			w.join(again(b), 10*aDay) // the DNS shows that the old key is gone
		}, nil, "former", "vouched operator", verify.LookCloser, 0},
		{"one that has left", func(w *named) {
			w.join(b, 10*aDay)
			w.publish()
			vouch(w, a, b)
			leave(w, b)
		}, nil, "dnssec", "vouched+ operator", verify.Confirmed, 1},
		{"one whose voucher's domain was registered again", func(w *named) {
			w.join(c, 10*aDay)
			w.publish()
			p := rolltest.NewOrg("p.example", 1, 0, 1)
			w.rec.Register(p)
			w.rec.Register(b, p)
			vouch(w, a, b)
			leave(w, p)
			w.rec.Register(again(p), c)
		}, nil, "circle", "vouched operator", verify.LookCloser, 0},
		{"one that was vouched for only later, with another key", func(w *named) {
			w.join(c, 10*aDay)
			w.rec.Register(b)
			vouch(w, a, b)
			k := rolltest.NewKey("new of b.example")
			line, old := k.Line(), b.Keys[0].Ref()
			w.rec.Do(&entry.KeyEvent{Action: entry.Rotate, Member: b.Domain, PublicKey: &line, Revokes: &old}, b, b.Keys[0], k)
			vouch(w, &rolltest.Org{Domain: b.Domain, Name: b.Name, Quorum: 1, Keys: []*rolltest.Key{k}}, c)
		}, nil, "operator", "vouched operator", verify.LookCloser, 0},
		{"the operator's own, below its domain", func(w *named) {
			var own []*rolltest.Org
			for i := range 3 {
				p := rolltest.NewOrg(fmt.Sprintf("p%d.operator.example", i), 1, 0, 1)
				w.join(p, 10*aDay)
				own = append(own, p)
			}
			w.publish()
			vouch(w, a, own...)
		}, nil, "", "operator", verify.LookCloser, 0},
		{"the organization's own, below its domain", func(w *named) {
			p := rolltest.NewOrg("p.a.example", 1, 0, 1)
			w.join(p, 10*aDay)
			w.publish()
			vouch(w, a, p)
		}, nil, "within", "vouched operator", verify.LookCloser, 0},
		{"one that rests on the organization's own, below its domain", func(w *named) {
			p := rolltest.NewOrg("p.a.example", 1, 0, 1)
			w.join(p, 10*aDay)
			w.publish()
			w.rec.Register(b, p)
			vouch(w, a, b)
		}, nil, "circle", "vouched operator", verify.LookCloser, 0},
		{"one below another", func(w *named) {
			p := rolltest.NewOrg("p.c.example", 1, 0, 1)
			w.join(c, 10*aDay)
			w.join(p, 10*aDay)
			w.publish()
			vouch(w, a, c, p)
		}, nil, "dnssec within", "vouched+ operator", verify.Confirmed, 1},
		{"one below another that does not count", func(w *named) {
			p := rolltest.NewOrg("p.c.example", 1, 0, 1)
			w.rec.Register(c)
			w.join(p, 10*aDay)
			w.publish()
			vouch(w, a, c, p)
		}, nil, "operator dnssec", "vouched+ operator", verify.Confirmed, 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newNamed(t, "a.example", "b.example", "c.example", "operator.example", "p0.operator.example", "p1.operator.example", "p2.operator.example", "p.a.example", "p.c.example")
			w.rec.Register(a)
			x.make(w)
			w.publish()
			mine := w.endorse(a)
			w.publish()
			in := w.asked(mine, verify.AuditOptions{Covering: w.covering})
			in.Known = x.known
			v := check(t, x.name, in, 0)
			ev := evidenceOf(v, verify.ByMembers)
			var rests []string
			for _, m := range ev.Vouchers {
				rests = append(rests, m.Rests)
				if m.Since.IsZero() || !strings.Contains(ev.Sentence, fmt.Sprintf("%s on %s, entry %d", m.Domain, m.Since.Format("2 January 2006"), m.Index)) {
					t.Errorf("%+v: %s", m, ev.Sentence)
				}
				if left := strings.Contains(ev.Sentence, "it left the record on 11 June 2024"); left != (m.Left != nil) || left != (x.name == "one that has left") {
					t.Errorf("%+v: %s", m, ev.Sentence)
				}
			}
			if strings.Join(rests, " ") != x.rests || kinds(v) != x.kinds || v.Answers[0].State != x.state {
				t.Errorf("%s, %s, %s: %+v", kinds(v), strings.Join(rests, " "), v.Answers[0].State, v.Evidence)
			}
			for n := 1; n <= 2; n++ {
				want := 0
				if n > x.vouched {
					want = verify.CodeUnchecked
				}
				in.Require = verify.Require{Vouched: n}
				check(t, fmt.Sprintf("%s, vouched:%d", x.name, n), in, want)
			}
		})
	}
}

// A domain proves nothing of a name: where nothing else counts, what is said leads with the domain.
func TestNameByDomainAlone(t *testing.T) {
	const leads = "our.example, which calls itself Deutsche Bundesbank, endorsed"
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	our.Name = "Deutsche Bundesbank"
	nic := rolltest.NewOrg("nic.example", 1, 0, 1)
	for _, c := range []struct {
		name, sentence, reason string
		known                  []string
		state                  verify.AnswerState
		join                   func(w *named) // on the operator's word alone, unless it says otherwise
	}{
		{"the operator vouched", "Yes. " + leads, "Nobody whose word counts here vouched for this name; the domain published the key.", nil, verify.Confirmed, func(w *named) { w.join(our, 10*aDay) }},
		{"a member that counts vouched", "Yes. Deutsche Bundesbank, our.example, endorsed", "", []string{"nic.example"}, verify.Confirmed, func(w *named) {
			w.join(our, 10*aDay)
			w.update(our, our.Name, nic)
		}},
		{"it took the name since", "Yes. " + leads, "Nobody vouched for this name; the domain published the key.", []string{"nic.example"}, verify.Confirmed, func(w *named) {
			was := *our
			was.Name = "Small Shop"
			w.join(&was, 10*aDay)
			w.update(&was, was.Name, nic)
			w.update(our, our.Name)
		}},
		{"nothing counts", "Yes, but look closer. Deutsche Bundesbank, our.example, endorsed", "", nil, verify.LookCloser, func(w *named) { w.rec.Register(our) }},
		{"nothing counts, and it took the name since", "Yes, but look closer. " + leads, "", nil, verify.LookCloser, func(w *named) {
			was := *our
			was.Name = "Small Shop"
			w.rec.Register(&was)
			w.update(our, our.Name)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newNamed(t, "our.example")
			c.join(w)
			w.publish()
			mine := w.endorse(our)
			w.publish()
			in := w.asked(mine, verify.AuditOptions{Covering: w.covering})
			in.Known = c.known
			v := check(t, c.name, in, 0)
			told := slices.ContainsFunc(v.NotTold, func(s string) bool { return strings.Contains(s, "vouched for the name") })
			if v.Answers[0].State != c.state || !strings.HasPrefix(v.Sentence, c.sentence) || told != strings.Contains(c.sentence, "calls itself") ||
				strings.Contains(v.Answers[0].Text, "calls itself") != told || c.reason != "" && !slices.Contains(v.Answers[0].Reasons, c.reason) {
				t.Errorf("%s: %s: %q, %q", states(v), v.Sentence, v.Answers[0].Reasons, v.NotTold)
			}
		})
	}
}

// Where nobody vouched, nothing is said of an operator that admitted anybody.
func TestNobodyVouched(t *testing.T) {
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	rec := rolltest.NewWith(t, rolltest.NewOrg("operator.example", 1, 0, 1), entry.Admission{DNSSEC: true})
	w := &named{world: newEmptyWorld(t, rec, 2)}
	w.publish()
	w.dns = dnssectest.New(rec.Now.Add(-aDay), rec.Now.Add(13*aDay))
	dnssectest.Trust(w.dns.Anchors()...)
	w.dns.Zone("example", dnssectest.Options{})
	w.dns.Zone("our.example", dnssectest.Options{})
	e := rec.Registration(our)
	e.Body.(*entry.Membership).Vouchers = nil
	if err := rec.ApplyWith(rolltest.Sign(e), w.chain("our.example", 10*aDay, our.Keys...)); err != nil {
		t.Fatal(err)
	}
	w.text = tccm
	w.statement = rec.Publish(w.text)
	w.publish()
	mine := w.endorse(our)
	w.publish()
	v := check(t, "proven by the domain", w.asked(mine, verify.AuditOptions{Covering: w.covering}), 0)
	if kinds(v) != "dnssec+" || v.Answers[0].State != verify.Confirmed || !strings.HasPrefix(v.Sentence, "Yes. our.example, which calls itself") || !slices.Contains(v.Answers[0].Reasons, "Nobody vouched for this name; the domain published the key.") {
		t.Errorf("%s %q %+v", v.Sentence, v.Answers[0].Reasons, v.Evidence)
	}
	w.rec.Now = w.rec.Now.Add(60 * aDay)
	k := rolltest.NewKey("unpublished")
	line := k.Line()
	rec.Do(&entry.KeyEvent{Action: entry.Add, Member: our.Domain, PublicKey: &line}, our, our.Keys[0], k)
	w.publish()
	other := rec.Do(w.endorsement(entry.Endorse, our), our, k)
	w.publish()
	v = check(t, "by another key", w.asked(other, verify.AuditOptions{Covering: w.covering}), 0)
	if kinds(v) != "" || v.Answers[0].State != verify.LookCloser || !strings.Contains(v.Sentence, "Nobody vouched for the organization, and nothing in the record shows that its domain published the keys that signed.") {
		t.Errorf("%s %+v", v.Sentence, v.Evidence)
	}
	if again := check(t, "and stands by that", w.asked(mine, verify.AuditOptions{Covering: w.covering}), 0); again.Answers[0].State != verify.Confirmed || again.Answers[3].State != verify.LookCloser || !strings.Contains(again.Answers[3].Text, "It stands by entry") {
		t.Errorf("%+v", again.Answers)
	}
	for _, r := range slices.Concat(v.Answers[0].Reasons, v.How) {
		if strings.Contains(r, "operator") {
			t.Errorf("%q", r)
		}
	}
}

// What the rules refuse, or nobody signed, brings no evidence with it.
func TestChainOfARefusedEntry(t *testing.T) {
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	for _, c := range []struct {
		name  string
		wrong func(e *entry.Entry)
	}{
		{"unsigned", func(e *entry.Entry) { e.Signatures[0].Sig[8] ^= 1 }},
		{"not admissible", func(e *entry.Entry) { e.Date = "2023-01-01"; rolltest.Sign(e) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newNamed(t, "our.example")
			w.rec.Register(our)
			mine := w.endorse(our)
			e := w.rec.Draft(&entry.Membership{Action: entry.Update, Member: our.Domain, Name: our.Name, Quorum: 1}, our)
			rolltest.Sign(e)
			c.wrong(e)
			leaf := &entry.Leaf{Admitted: w.rec.Now, Entry: e, Chain: w.chain("our.example", 10*aDay, our.Keys...)}
			w.rec.Leaves = append(w.rec.Leaves, leaf.Bytes())
			w.publish()
			in := w.asked(mine, verify.AuditOptions{Covering: w.covering})
			if in.Record.Refused != 1 || len(in.Record.Remarks) > 0 {
				t.Errorf("%+v", in.Record)
			}
			if v := check(t, c.name, in, verify.CodeContradiction); len(v.Evidence) != 1 || evidenceOf(v, verify.ByOperator).Kind == "" || v.Answers[0].State != verify.LookCloser {
				t.Errorf("%+v", v.Evidence)
			}
		})
	}
}
