package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
	browser "github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// BenchmarkHostileOwner judges whose a key is in records that are made to be tedious: each has some 10,000 entries about one organization, or of members
// that vouch for each other in a row.
func BenchmarkHostileOwner(b *testing.B) {
	const n = 10000
	a, c := rolltest.NewOrg("a.example", 1, 0, 1), rolltest.NewOrg("c.example", 1, 0, 1)
	fresh := rolltest.NewKey("fresh, in no record")
	key := func(i int) *rolltest.Key { return rolltest.NewKey(fmt.Sprint("hostile ", i)) }
	for _, x := range []struct {
		name string
		make func(w *named) uint64 // returns the endorsement to judge
	}{
		{"a key that came in a row of replacements", func(w *named) uint64 {
			w.must(w.rec.Registration(a, c), w.chain(a.Domain, 5000*aDay, a.Keys...))
			now := a.Keys[0]
			for i := range n / 2 {
				next := key(i)
				w.rotate(a, now, next, now)
				now = next
			}
			w.chains(a.Domain, n/2, fresh)
			return w.says(entry.Endorse, a, now)
		}},
		{"the first of a row of replacements", func(w *named) uint64 {
			w.must(w.rec.Registration(a, c), w.chain(a.Domain, 5000*aDay, a.Keys...))
			mine := w.says(entry.Endorse, a, a.Keys[0])
			now := a.Keys[0]
			for i := range n / 2 {
				next := key(i)
				w.rotate(a, now, next, now)
				now = next
			}
			w.chains(a.Domain, n/2, fresh)
			return mine
		}},
		{"a key that is there and not there", func(w *named) uint64 {
			w.must(w.rec.Registration(a, c), w.chain(a.Domain, 5000*aDay, a.Keys...))
			mine := w.says(entry.Endorse, a, a.Keys[0])
			w.rotate(a, a.Keys[0], key(0), a.Keys[0])
			for range n / 2 {
				w.chains(a.Domain, 1, fresh)
				w.chains(a.Domain, 1, a.Keys[0])
			}
			w.later(6000 * aDay) // and none was seen in time
			return mine
		}},
		{"keys that end each other in a row", func(w *named) uint64 {
			w.must(w.rec.Registration(a, c), w.chain(a.Domain, 5000*aDay, a.Keys...))
			ks := []*rolltest.Key{a.Keys[0]}
			for i := range n / 3 {
				ks = append(ks, key(i))
				if by := a.Keys[0]; i > 0 {
					w.add(a, ks[i+1], ks[i])
				} else {
					w.add(a, ks[1], by)
				}
				w.revoke(a, ks[i], ks[i+1])
			}
			w.chains(a.Domain, n/3, fresh)
			return w.says(entry.Endorse, a, ks[len(ks)-1])
		}},
		{"keys that seven others brought", func(w *named) uint64 {
			o := rolltest.NewOrg("a.example", 7, 0, 1)
			w.must(w.rec.Registration(o, c), w.chain(o.Domain, 5000*aDay, o.Keys...))
			now := key(0)
			w.add(o, now, o.Keys...)
			for i := range n / 2 {
				next := key(i + 1)
				line, ref := next.Line(), now.Ref()
				w.rec.Do(&entry.KeyEvent{Action: entry.Rotate, Member: o.Domain, PublicKey: &line, Revokes: &ref}, o, append(slices.Clone(o.Keys[:6]), now, next)...)
				now = next
			}
			w.chains(o.Domain, n/2, fresh)
			return w.says(entry.Endorse, o, now)
		}},
		{"members that vouch in a row, and for it", func(w *named) uint64 {
			m := rolltest.NewOrg("m.example", 1, 0, 1)
			w.rec.Register(m, c)
			last := m
			var all []*rolltest.Org
			for i := range n / 2 {
				o := rolltest.NewOrg(fmt.Sprintf("o%05d.example", i), 1, 0, 1)
				w.rec.Register(o, last)
				all, last = append(all, o), o
			}
			for some := range slices.Chunk(all, 30) {
				w.update(m, m.Name, some...)
			}
			return w.says(entry.Endorse, m, m.Keys[0])
		}},
	} {
		b.Run(x.name, func(b *testing.B) {
			w := newNamed(b, "a.example", "c.example", "m.example")
			w.join(c, 7000*aDay)
			w.publish()
			start := time.Now()
			mine := x.make(w)
			w.publish()
			in := w.asked(mine, w.server())
			b.Logf("%d entries, made in %v", w.rec.State.Size(), time.Since(start).Round(time.Second))
			var v *verify.Verdict
			for b.Loop() {
				v = verify.Judge(in)
			}
			b.Logf("%d %.200s", v.Code, v.Sentence)
		})
	}
	for name, ring := range map[string]bool{"a text of 200": false, "a text of 200 who vouched for those that vouch for them": true} {
		b.Run(name, func(b *testing.B) {
			w := newNamed(b, "c.example")
			w.join(c, 7000*aDay)
			w.publish()
			w.text = "Another text, which many stand behind, and which is long enough to be told apart.\n"
			w.statement = w.rec.Publish(w.text)
			last := c
			var all []*rolltest.Org
			for i := range n - 200 {
				o := rolltest.NewOrg(fmt.Sprintf("o%05d.example", i), 1, 0, 1)
				w.rec.Register(o, last)
				all, last = append(all, o), o
			}
			who := all[len(all)-200:]
			if ring {
				who = all[:200]
				for _, o := range who {
					w.update(o, o.Name, last)
				}
			}
			w.publish()
			for _, o := range who {
				w.endorse(o)
			}
			w.publish()
			ch := browser.New(func() time.Time { return w.rec.Now })
			if _, err := ch.Policy([]byte(w.policyText())); err != nil {
				b.Fatal(err)
			}
			if v, err := ch.Record(b.Context(), browser.Source{Fetch: w.fetch}, 2*n, nil); err != nil || !v.Replayed {
				b.Fatalf("%v %+v", err, v)
			}
			for b.Loop() {
				v, err := ch.Check(b.Context(), browser.Brought{Bytes: []byte(w.text)})
				if err != nil || !strings.Contains(v.Sentence, "200") {
					b.Fatal(err, v)
				}
			}
		})
	}
}

// chains has the ledger record so many answers about a domain, a second after each other.
func (w *named) chains(domain string, n int, ks ...*rolltest.Key) {
	for range n {
		w.observe(domain, 5000*aDay, ks...)
	}
}
