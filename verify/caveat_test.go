package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
	browser "github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// That a key is suspended takes nothing from an endorsement, so it must not stand where what does take something belongs.
func TestSuspensionHidesNothing(t *testing.T) {
	for _, c := range []struct {
		name, says string
		do         func(w *world, o *rolltest.Org, mine uint64)
	}{
		{"whose key it is rests on the operator's word", "operator", func(*world, *rolltest.Org, uint64) {}},
		{"the other key is compromised", "The endorsement is disputed", func(w *world, o *rolltest.Org, mine uint64) {
			ref := o.Keys[1].Ref()
			w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: o.Domain, Revokes: &ref, CompromisedAfter: &mine}, o, o.Recovery[0])
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 2)
			o := rolltest.NewOrg("puppet.example", 2, 1, 2)
			w.rec.Register(o)
			mine := w.endorse(o)
			ref := o.Keys[0].Ref()
			w.rec.Do(&entry.KeyEvent{Action: entry.Suspend, Member: o.Domain, Revokes: &ref}, w.rec.Operator)
			c.do(w, o, mine)
			w.publish()
			v := check(t, c.name, w.replayed(mine), 0)
			reasons := v.Answers[0].Reasons
			if !strings.HasPrefix(v.Sentence, "Yes, but look closer. ") || !strings.Contains(v.Sentence, c.says) || strings.Contains(v.Sentence, "suspended") {
				t.Error(v.Sentence)
			}
			if last := reasons[len(reasons)-1]; !strings.HasPrefix(last, "The key has since been suspended") {
				t.Errorf("%q", reasons)
			}
		})
	}
}

// translated publishes a statement in English with a German rendition.
func (w *world) translated(english, german string, supersedes *entry.Hash) (h entry.Hash, de entry.RenditionRef) {
	w.tb.Helper()
	h, de = entry.Sum([]byte(english)), entry.RenditionRef{Language: "de", Hash: entry.Sum([]byte(german))}
	w.rec.Do(&entry.Statement{Action: entry.Publish, Statement: h, Title: "Ours", Language: "en", MediaType: "text/plain", Size: int64(len(english)), Supersedes: supersedes,
		Renditions: []entry.Rendition{{Language: "de", Hash: de.Hash, Size: int64(len(german)), MediaType: "text/plain"}}}, w.rec.Operator)
	w.publish()
	return h, de
}

// says has an organization endorse or withdraw a statement.
func (w *world) says(action entry.Action, o *rolltest.Org, h entry.Hash, signer *rolltest.Key, renditions ...entry.RenditionRef) uint64 {
	w.tb.Helper()
	index := w.rec.Do(&entry.Endorsement{Action: action, Statement: h, Renditions: renditions, After: w.after()}, o, signer)
	w.publish()
	return index
}

// What is to be said against the endorsement of who held a domain does not go away because its next holder endorses as well.
func TestEarlierHolderIsHeldToAll(t *testing.T) {
	const german = "Wir.\n"
	org := rolltest.NewOrg("a.example", 2, 1, 1)
	next := &rolltest.Org{Domain: org.Domain, Name: "The next holder", Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKey("the next holder")}}
	for _, c := range []struct {
		name, text string
		code       int
		stands     string   // how the last answer begins
		reasons    []string // how some of its reasons begin
		do         func(w *world, de entry.RenditionRef, mine uint64)
	}{
		{"nothing", tccm, 0, "It stood when the domain was registered again", []string{"The domain was registered again"}, func(*world, entry.RenditionRef, uint64) {}},
		{"withdrawn, and endorsed by a thief", tccm, 0, "Disputed: it stood when the domain was registered again", []string{"In between it was withdrawn", "The domain was registered again"},
			func(w *world, _ entry.RenditionRef, _ uint64) {
				w.says(entry.Withdraw, org, w.statement, org.Keys[0])
				thief, stolen := w.says(entry.Endorse, org, w.statement, org.Keys[1]), org.Keys[1].Ref()
				w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: org.Domain, Revokes: &stolen, CompromisedAfter: &thief}, org, org.Recovery[0])
			}},
		{"endorsed again, and that key is revoked", tccm, 0, "It stood when the domain was registered again", []string{"It was endorsed again", "The key has since been replaced or revoked"},
			func(w *world, _ entry.RenditionRef, _ uint64) {
				w.says(entry.Endorse, org, w.statement, org.Keys[1])
				ref := org.Keys[1].Ref()
				w.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: org.Domain, Revokes: &ref}, org, org.Recovery[0])
			}},
		{"a newer version", tccm, verify.CodeWithdrawn, "It stood when the domain was registered again", nil, func(w *world, _ entry.RenditionRef, _ uint64) {
			w.translated("A newer one.\n", "Neuer.\n", &w.statement)
		}},
		{"a rendition that was left out later", german, verify.CodeWithdrawn, "It stood for the text itself when the domain was registered again", nil, func(w *world, de entry.RenditionRef, _ uint64) {
			w.says(entry.Endorse, org, w.statement, org.Keys[0])
		}},
		{"a rendition", german, 0, "It stood when the domain was registered again", nil, func(w *world, de entry.RenditionRef, _ uint64) {
			w.says(entry.Endorse, org, w.statement, org.Keys[0], de)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newEmptyWorld(t, rolltest.New(t), 2)
			w.publish()
			nic := w.rec.Join("nic.example")
			w.rec.Register(org, nic)
			w.text = tccm
			var de entry.RenditionRef
			w.statement, de = w.translated(tccm, german, nil)
			mine := w.says(entry.Endorse, org, w.statement, org.Keys[0], de)
			c.do(w, de, mine)
			w.rec.Do(&entry.Membership{Action: entry.Leave, Member: org.Domain}, org, org.Keys[0])
			w.rec.Register(next, nic)
			w.says(entry.Endorse, next, w.statement, next.Keys[0])
			in := w.replayed(mine)
			in.Statement = []byte(c.text)
			v := check(t, c.name, in, c.code)
			a := v.Answers[3]
			if a.State != verify.LookCloser || !strings.HasPrefix(a.Text, c.stands) {
				t.Errorf("%s: %s", a.State, a.Text)
			}
			for _, want := range c.reasons {
				if !slices.ContainsFunc(a.Reasons, func(r string) bool { return strings.HasPrefix(r, want) }) {
					t.Errorf("%q, want %q", a.Reasons, want)
				}
			}
		})
	}
}

// What was withdrawn is what was endorsed, with the renditions that were named then, and no others.
func TestWithdrawnRendition(t *testing.T) {
	const german = "Wir.\n"
	for _, c := range []struct {
		name     string
		endorsed bool
		code     int
	}{{"endorsed", true, verify.CodeWithdrawn}, {"not endorsed", false, verify.CodeNotFound}} {
		t.Run(c.name, func(t *testing.T) {
			w := newEmptyWorld(t, rolltest.New(t), 2)
			w.publish()
			org := w.rec.Join("a.example")
			h, de := w.translated(tccm, german, nil)
			var renditions []entry.RenditionRef
			if c.endorsed {
				renditions = append(renditions, de)
			}
			w.says(entry.Endorse, org, h, org.Keys[0], renditions...)
			w.says(entry.Withdraw, org, h, org.Keys[0])
			v := w.judge(org.Domain, german)
			if v.Code != c.code {
				t.Errorf("code %d: %s", v.Code, v.Sentence)
			}
			if v := w.judge(org.Domain, tccm); v.Code != verify.CodeWithdrawn {
				t.Errorf("the text: code %d: %s", v.Code, v.Sentence)
			}
		})
	}
}

// A rendition can be one of several statements: who is asked by it stands behind it if by any.
func TestRenditionOfTwo(t *testing.T) {
	const german = "Wir.\n"
	for _, c := range []struct {
		name string
		do   func(w *world, org *rolltest.Org, old, newer entry.Hash, de entry.RenditionRef)
		code int
		of   func(old, newer entry.Hash) entry.Hash
	}{
		{"withdrew the old one", func(w *world, org *rolltest.Org, old, newer entry.Hash, de entry.RenditionRef) {
			w.says(entry.Endorse, org, old, org.Keys[0], de)
			w.says(entry.Withdraw, org, old, org.Keys[0])
			w.says(entry.Endorse, org, newer, org.Keys[0], de)
		}, 0, func(_, newer entry.Hash) entry.Hash { return newer }},
		{"stands behind both", func(w *world, org *rolltest.Org, old, newer entry.Hash, de entry.RenditionRef) {
			w.says(entry.Endorse, org, newer, org.Keys[0], de)
			w.says(entry.Endorse, org, old, org.Keys[0], de)
		}, 0, func(_, newer entry.Hash) entry.Hash { return newer }},
		{"stands behind the old one", func(w *world, org *rolltest.Org, old, newer entry.Hash, de entry.RenditionRef) {
			w.says(entry.Endorse, org, old, org.Keys[0], de)
			w.says(entry.Endorse, org, newer, org.Keys[0], de)
			w.says(entry.Withdraw, org, newer, org.Keys[0])
		}, verify.CodeWithdrawn, func(old, _ entry.Hash) entry.Hash { return old }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newEmptyWorld(t, rolltest.New(t), 2)
			w.publish()
			org := w.rec.Join("a.example")
			old, de := w.translated(tccm, german, nil)
			newer, _ := w.translated("A newer one.\n", german, &old)
			c.do(w, org, old, newer, de)
			v := w.judge(org.Domain, german)
			if v.Code != c.code || v.Statement == nil || *v.Statement != c.of(old, newer) {
				t.Errorf("code %d, of %v: %s", v.Code, v.Statement, v.Sentence)
			}
		})
	}
}

// asked brings something to the page, which has replayed the record.
func (w *world) asked(brought string) *browser.Answer {
	w.tb.Helper()
	c := browser.New(func() time.Time { return w.rec.Now })
	if _, err := c.Policy([]byte(w.policyText())); err != nil {
		w.tb.Fatal(err)
	}
	if v, err := c.Record(w.tb.Context(), browser.Source{Fetch: w.fetch}, 10000, nil); err != nil || !v.Replayed {
		w.tb.Fatal(err, v)
	}
	a, err := c.Check(w.tb.Context(), browser.Brought{Bytes: []byte(brought)})
	if err != nil {
		w.tb.Fatal(err)
	}
	return a
}

// A rendition that all have withdrawn is not one that nobody has endorsed.
func TestWithdrawnRenditionBrought(t *testing.T) {
	const german = "Wir, die Unterzeichneten.\n"
	w := newEmptyWorld(t, rolltest.New(t), 2)
	w.publish()
	org := w.rec.Join("a.example")
	h, de := w.translated(tccm, german, nil)
	w.files[verify.BlobPath(h)], w.files[verify.BlobPath(de.Hash)] = []byte(tccm), []byte(german)
	w.says(entry.Endorse, org, h, org.Keys[0], de)
	w.says(entry.Withdraw, org, h, org.Keys[0])
	for name, text := range map[string]string{"the text": tccm, "the rendition": german, "the rendition's fingerprint": de.Hash.String()} {
		if a := w.asked(text); a.Code != verify.CodeWithdrawn || !strings.HasPrefix(a.Answers[0].Text, "1 organization endorsed it and withdrew.") {
			t.Errorf("%s: code %d: %s: %s", name, a.Code, a.Sentence, a.Answers[0].Text)
		}
	}
}

// Who is called as another's domain is not that one.
func TestTypedDomainIsNoName(t *testing.T) {
	w := newWorld(t, 2)
	called := rolltest.NewOrg("aaa.example", 1, 0, 1)
	called.Name = "bücher.example"
	w.rec.Register(called)
	real := rolltest.NewOrg("xn--bcher-kva.example", 1, 0, 1)
	real.Name = "Books"
	w.rec.Register(real)
	w.publish()
	for _, typed := range []string{"bücher.example", "Bücher.example", "xn--bcher-kva.example"} {
		a := w.asked(typed)
		if a.Organization == nil || a.Organization.Domain != "xn--bcher-kva.example" {
			t.Errorf("%s: %+v: %s", typed, a.Organization, a.Sentence)
		}
	}
}
