package verify_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// naiveBounds is the definition, word by word: T is among the times, and every set of cosignatures is counted anew.
func naiveBounds(p *verify.Policy, c *verify.SignedCheckpoint) (notBefore, noLater time.Time) {
	met := func(keep func(time.Time) bool) bool {
		var names []string
		for _, s := range c.Cosignatures {
			if !s.Time.IsZero() && keep(s.Time) {
				names = append(names, s.Witness)
			}
		}
		return !p.NoQuorum() && p.Met(names)
	}
	for _, s := range c.Cosignatures {
		t := s.Time
		if t.IsZero() {
			continue
		}
		if met(func(u time.Time) bool { return !u.Before(t) }) && t.After(notBefore) {
			notBefore = t
		}
		if met(func(u time.Time) bool { return !u.After(t) }) && (noLater.IsZero() || t.Before(noLater)) {
			noLater = t
		}
	}
	return notBefore, noLater
}

// Random quorums, random times, some of them none: the bounds are those of the definition, and so many liars as can be left out of
// a quorum, with one honest witness in what is left, move neither.
func TestBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 3))
	w := newEmptyWorld(t, rolltest.New(t), 5)
	w.publish()
	text, _, _ := strings.Cut(w.policyText(), "group ")
	known := 0
	for range 300 {
		k := 1 + rng.IntN(5)
		quorum := fmt.Sprintf("group g %d w0 w1 w2 w3 w4\nquorum g\n", k)
		switch rng.IntN(8) {
		case 0:
			quorum = "quorum none\n"
		case 1:
			quorum = fmt.Sprintf("group a any w0 w1\ngroup g %d a w2 w3 w4\nquorum g\n", 1+rng.IntN(4))
		}
		p := mustPolicy(t, text+quorum)
		note := append(w.checkpoint().Text(), '\n')
		note = append(note, w.log[0].line(w.checkpoint(), w.rec.Now)...)
		var honest []int64 // times of the honest
		liars := 0
		for _, x := range w.witnesses {
			at := w.rec.Now.Add(time.Duration(rng.IntN(100)) * time.Second)
			switch rng.IntN(6) {
			case 0:
				continue
			case 1:
				at = time.Unix(rng.Int64N(1<<33), 0)
				liars++
			default:
				honest = append(honest, at.Unix())
			}
			note = append(note, x.line(w.checkpoint(), at)...)
		}
		c, err := p.OpenPast(note)
		if err != nil {
			t.Fatal(err)
		}
		wantBefore, wantLater := naiveBounds(p, c)
		before, later := p.NotBefore(c), p.NoLater(c)
		if !before.Equal(wantBefore) || !later.Equal(wantLater) {
			t.Fatalf("bounds %v %v, want %v %v", before, later, wantBefore, wantLater)
		}
		if !before.IsZero() {
			known++
		}
		if strings.HasPrefix(quorum, "group g ") && k > liars && !before.IsZero() {
			if before.Unix() > slices.Max(honest) || later.Unix() < slices.Min(honest) {
				t.Fatalf("%d liars of a quorum of %d moved the bounds to %v, %v beyond the honest %v", liars, k, before, later, honest)
			}
		}
	}
	if known < 100 {
		t.Errorf("only %d had bounds", known)
	}
}

// seenAt publishes the record with the log's lines now and each witness's so many seconds later.
func (w *world) seenAt(later ...int) {
	w.publish()
	var times []time.Time
	for _, s := range later {
		times = append(times, w.rec.Now.Add(time.Duration(s)*time.Second))
	}
	w.cosigned(w.rec.Now, times...)
}

// story is a record of three witnesses, two of whom are the quorum; what the endorsement quotes and the copies that hold it are seen
// at times of their own.
func story(t *testing.T) (w *world, p *verify.Policy, index uint64, published []time.Time) {
	w = newEmptyWorld(t, rolltest.New(t), 3)
	w.publish()
	o := rolltest.NewOrg("apnic.net", 1, 0, 1)
	w.rec.Register(o)
	w.text = tccm
	w.statement = w.rec.Publish(w.text)
	seen := func(later ...int) {
		w.seenAt(later...)
		published = append(published, w.rec.Now.Truncate(time.Second))
		w.rec.Now = w.rec.Now.Add(time.Hour)
	}
	seen(1, 2, 3)
	index = w.endorse(o)
	seen(10, 20, 30)
	w.rec.Register(rolltest.NewOrg("nic.example", 1, 0, 1))
	seen(40, 50, 60)
	return w, w.twoOf(), index, published
}

// covering tells the first published checkpoint as a server does that lists them.
func (w *world) covering(_ context.Context, index uint64) (uint64, bool) {
	best := uint64(0)
	for path := range w.files {
		var n uint64
		if c, _ := fmt.Sscanf(path, "checkpoints/%d", &n); c == 1 && n > index && (best == 0 || n < best) {
			best = n
		}
	}
	return best, best > 0
}

func TestBoundsOfAnEntry(t *testing.T) {
	w, p, index, published := story(t)
	notBefore := published[0].Add(2 * time.Second) // two of three saw it then or later
	first := published[1].Add(20 * time.Second)    // two of three had seen the first copy by then
	receipts := published[2].Add(50 * time.Second) // and the receipt's own
	receipt := w.receipt(index)

	wants := func(name string, v *verify.Verdict, noLater time.Time) {
		t.Helper()
		if v.Code != 0 || v.NotBefore == nil || !v.NotBefore.Equal(notBefore) || v.NoLater == nil || !v.NoLater.Equal(noLater) {
			t.Errorf("%s: code %d, %v to %v, want %v to %v: %s", name, v.Code, v.NotBefore, v.NoLater, notBefore, noLater, v.Sentence)
		}
	}
	alone := verify.Judge(verify.Input{Policy: p, Receipt: receipt, Statement: []byte(tccm)})
	wants("a receipt alone", alone, receipts)
	if want := "Signed after 11 June 2024, 09:30:05 UTC (it quotes a copy of the record that was seen then) and existed by 11 June 2024, 11:30:55 UTC."; alone.Answers[2].Text != want {
		t.Error(alone.Answers[2].Text)
	}
	for name, o := range map[string]verify.AuditOptions{
		"a server that lists its checkpoints": {Covering: w.covering},
		"an archive":                          {Paths: w.paths()},
	} {
		o.Receipts, o.About = []*verify.Receipt{receipt}, "apnic.net"
		r := mustAudit(t, p, w.fetch, o)
		wants(name, verify.Judge(verify.Input{Policy: p, Receipt: receipt, Statement: []byte(tccm), Record: r}), first)
		wants(name+", by domain", verify.Judge(verify.Input{Policy: p, Domain: "apnic.net", Record: r}), first)
		if b := r.Bounds(index); !b.NoLater.Equal(first) || !b.NotBefore.Equal(notBefore) || b.Size != index+1 {
			t.Errorf("%s: %+v", name, b)
		}
	}
	r := mustAudit(t, p, w.fetch, verify.AuditOptions{Receipts: []*verify.Receipt{receipt}})
	wants("a server that lists nothing", verify.Judge(verify.Input{Policy: p, Receipt: receipt, Statement: []byte(tccm), Record: r}), receipts)

	// A receipt that hides what it quotes is helped by the record, which has it.
	bare := w.receipt(index)
	bare.After = nil
	r = mustAudit(t, p, w.fetch, verify.AuditOptions{Receipts: []*verify.Receipt{bare}, Covering: w.covering})
	wants("what is quoted is in the record", verify.Judge(verify.Input{Policy: p, Receipt: bare, Statement: []byte(tccm), Record: r}), first)

	// Hints that cannot be: no matter.
	for name, hint := range map[string]uint64{"a copy that does not hold it": index, "one from beyond": 1 << 40} {
		r := mustAudit(t, p, w.fetch, verify.AuditOptions{Receipts: []*verify.Receipt{receipt}, Covering: func(context.Context, uint64) (uint64, bool) { return hint, true }})
		wants(name, verify.Judge(verify.Input{Policy: p, Receipt: receipt, Statement: []byte(tccm), Record: r}), receipts)
	}
	missing := mustAudit(t, p, func(ctx context.Context, path string) ([]byte, error) {
		if path == verify.CheckpointPath(index+1) {
			path = "gone"
		}
		return w.fetch(ctx, path)
	}, verify.AuditOptions{Receipts: []*verify.Receipt{receipt}, Covering: w.covering})
	if missing.Code != verify.CodeUnchecked {
		t.Errorf("the copy that it names is missing: code %d: %s", missing.Code, missing.Sentence)
	}
}

// One of three witnesses says whatever it likes; the bounds stay within what the honest say. Two of three can move them.
func TestOneLiarMovesNoBound(t *testing.T) {
	for name, c := range map[string]struct {
		quoted, covering []int // seconds at which each saw it
		moved            bool
	}{
		"honest":                        {[]int{1, 2, 3}, []int{10, 20, 30}, false},
		"one in the far future":         {[]int{1, 2, 1<<31 - 1}, []int{10, 20, 1<<31 - 1}, false},
		"one in the far past":           {[]int{-1 << 30, 2, 3}, []int{-1 << 30, 20, 30}, false},
		"one each way":                  {[]int{1, 2, 1<<31 - 1}, []int{-1 << 30, 20, 30}, false},
		"two together, in the quorum":   {[]int{200, 200, 3}, []int{10, -200, -200}, true},
		"two in the copy that holds it": {[]int{1, 2, 3}, []int{-100, -100, 30}, true},
	} {
		w := newEmptyWorld(t, rolltest.New(t), 3)
		w.publish()
		o := rolltest.NewOrg("apnic.net", 1, 0, 1)
		w.rec.Register(o)
		w.text = tccm
		w.statement = w.rec.Publish(w.text)
		w.seenAt(c.quoted...)
		began := w.rec.Now.Truncate(time.Second)
		index := w.endorse(o)
		w.seenAt(c.covering...)
		v := verify.Judge(verify.Input{Policy: w.twoOf(), Receipt: w.receipt(index), Statement: []byte(tccm)})
		if v.NotBefore == nil || v.NoLater == nil {
			t.Fatalf("%s: %+v", name, v.Answers[2])
		}
		within := !v.NotBefore.After(began.Add(3*time.Second)) && !v.NoLater.Before(began.Add(time.Second))
		if within == c.moved {
			t.Errorf("%s: from %v to %v", name, v.NotBefore, v.NoLater)
		}
	}
}

// Every entry whose time cannot be is named, not the first one alone, in an audit and in a replay.
func TestEveryWrongTimeIsNamed(t *testing.T) {
	type made struct {
		wrong []uint64 // indexes
		says  string
	}
	for name, make := range map[string]func(w *world, apnic, nic *rolltest.Org) made{
		"back-dated": func(w *world, apnic, nic *rolltest.Org) made {
			quoted := w.after()
			claimed := w.rec.Now
			w.endorse(nic)
			w.rec.Now = claimed.AddDate(0, 0, 20)
			w.publish()
			w.rec.Now = claimed
			var m made
			for range 2 { // three weeks later, as if recorded then
				for _, action := range []entry.Action{entry.Endorse, entry.Withdraw} {
					m.wrong = append(m.wrong, w.rec.Do(&entry.Endorsement{Action: action, Statement: w.statement, After: quoted}, apnic))
				}
			}
			w.rec.Now = claimed.AddDate(0, 0, 21)
			w.endorse(nic)
			w.publish()
			m.says = "before the copy of the record of size 6 was signed"
			return m
		},
		"from the future": func(w *world, apnic, nic *rolltest.Org) made {
			quoted := w.after()
			now := w.rec.Now
			w.rec.Now = now.AddDate(0, 0, 20)
			var m made
			for _, o := range []*rolltest.Org{apnic, nic} {
				m.wrong = append(m.wrong, w.rec.Do(&entry.Endorsement{Action: entry.Endorse, Statement: w.statement, After: quoted}, o))
			}
			w.rec.Now = now
			w.publish()
			w.rec.Now = now.AddDate(0, 0, 21)
			w.endorse(apnic)
			w.publish()
			m.says = "after the copy of the record of size 7 was signed, which holds it"
			return m
		},
		"from the future, in the newest copy": func(w *world, apnic, nic *rolltest.Org) made {
			now := w.rec.Now
			w.rec.Now = now.AddDate(0, 0, 20)
			m := made{wrong: []uint64{w.endorse(apnic), w.endorse(nic)}, says: "after every time in the signatures"}
			w.rec.Now = now
			w.publish()
			return m
		},
		"quotes what is younger than itself": func(w *world, apnic, nic *rolltest.Org) made {
			now := w.rec.Now
			w.rec.Now = now.Add(time.Hour)
			w.seenAt(0, 0)
			w.rec.Now = now
			m := made{wrong: []uint64{w.endorse(apnic), w.endorse(nic)}, says: "before the copy of the record that it quotes was signed"}
			w.rec.Now = now.Add(time.Hour)
			w.publish()
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, apnic, nic := pair(t)
			m := make(w, apnic, nic)
			for source, o := range map[string]verify.AuditOptions{"a server": {}, "an archive": {Paths: w.paths()}} {
				if source == "a server" && name == "from the future" {
					continue // nothing tells it of the note that no entry quotes: the other does
				}
				r := w.audit(o)
				for _, index := range m.wrong {
					if !slices.ContainsFunc(r.Findings, func(f verify.Finding) bool {
						return f.Code == verify.CodeContradiction && f.Index != nil && *f.Index == index && strings.Contains(f.Sentence, m.says)
					}) {
						t.Errorf("%s: entry %d is not named: %+v", source, index, r.Findings)
					}
				}
				for _, f := range r.Findings {
					if f.Index == nil || !slices.Contains(m.wrong, *f.Index) {
						t.Errorf("%s: named without reason: %+v", source, f)
					}
				}
			}
			replay := verify.NewReplay(rolltest.Origin, verify.ReplayOptions{Policy: w.policy(), Fetch: w.fetch})
			r, err := replay.Advance(t.Context(), w.note)
			if err != nil || name != "from the future" && r.Code != verify.CodeContradiction {
				t.Errorf("the replay: %+v, %v", r, err)
			}
		})
	}
}

// An entry that quotes a size which its own index has not reached is refused by the record's rules, by its index.
func TestQuotesALargerCopy(t *testing.T) {
	w, apnic, _ := pair(t)
	body := w.endorsement(entry.Endorse, apnic)
	body.After.Size = uint64(len(w.rec.Leaves)) + 1
	index := w.force(w.rec.Leaf(rolltest.Sign(w.rec.Draft(body, apnic))))
	w.publish()
	r := w.audit(verify.AuditOptions{})
	if r.Code != verify.CodeContradiction || r.Findings[0].Index == nil || *r.Findings[0].Index != index || r.Findings[0].Rule == "" {
		t.Errorf("%+v", r.Findings)
	}
}

// A leaf that says nothing, or is refused, claims no time.
func TestRefusedLeafClaimsNoTime(t *testing.T) {
	w, apnic, _ := pair(t)
	w.rec.Now = w.rec.Now.Add(time.Hour)
	w.publish()
	index := w.force([]byte("x"))
	w.endorse(apnic)
	w.publish()
	for _, o := range []verify.AuditOptions{{}, {Paths: w.paths()}} {
		r := w.audit(o)
		if len(r.Findings) != 1 || *r.Findings[0].Index != index || r.Findings[0].Rule == "" {
			t.Errorf("%+v", r.Findings)
		}
	}
}

// The date is the signer's own: the record holds together, but what cannot be is told.
func TestDateOutOfBounds(t *testing.T) {
	morning, evening := time.Date(2024, 6, 11, 11, 30, 3, 0, time.UTC), time.Date(2024, 6, 11, 22, 30, 3, 0, time.UTC)
	for name, c := range map[string]struct {
		now  time.Time
		date string
		says string
	}{
		"the day itself":             {morning, "2024-06-11", ""},
		"still the day before":       {morning, "2024-06-10", ""}, // in the west
		"the day before":             {evening, "2024-06-10", "was signed after 11 June 2024, 22:30:03 UTC"},
		"two days before":            {morning, "2024-06-09", "was signed after 11 June 2024, 11:30:03 UTC"},
		"already the day after":      {evening, "2024-06-12", ""}, // in the east
		"the day after, nowhere yet": {time.Date(2024, 6, 12, 1, 0, 0, 0, time.UTC), "2024-06-13", "was in the record by 12 June 2024"},
	} {
		w, apnic, _ := pair(t)
		w.rec.Now = c.now
		w.publish()
		e := w.rec.Draft(w.endorsement(entry.Endorse, apnic), apnic)
		e.Date = c.date
		index := w.rec.Must(rolltest.Sign(e))
		w.publish()
		receipt := w.receipt(index)
		r := w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{receipt}, Paths: w.paths()})
		if r.Code != 0 || (c.says == "") != (len(r.Remarks) == 0) {
			t.Errorf("%s: code %d: %+v", name, r.Code, r.Remarks)
		}
		if c.says != "" && (*r.Remarks[0].Index != index || !strings.Contains(r.Remarks[0].Sentence, c.says)) {
			t.Errorf("%s: %+v", name, r.Remarks)
		}
		v := verify.Judge(verify.Input{Policy: w.policy(), Receipt: receipt, Statement: []byte(tccm), Record: r})
		if closer := v.Answers[2].State == verify.LookCloser; v.Code != 0 || closer != (c.says != "") {
			t.Errorf("%s: code %d: %+v", name, v.Code, v.Answers[2])
		}
	}
}

// Remarks are bounded as findings are.
func TestManyRemarks(t *testing.T) {
	w, apnic, _ := pair(t)
	w.rec.Now = time.Date(2024, 6, 21, 12, 0, 0, 0, time.UTC)
	w.publish()
	n := 0
	for range verify.MaxFindings/2 + 5 {
		for _, action := range []entry.Action{entry.Endorse, entry.Withdraw} {
			e := w.rec.Draft(w.endorsement(action, apnic), apnic)
			e.Date = "2024-06-11"
			w.rec.Must(rolltest.Sign(e))
			n++
		}
	}
	w.publish()
	r := w.audit(verify.AuditOptions{})
	if r.Code != 0 || len(r.Remarks) != verify.MaxFindings || r.UnlistedRemarks != uint64(n-verify.MaxFindings) {
		t.Errorf("code %d, %d remarks, %d more of %d", r.Code, len(r.Remarks), r.UnlistedRemarks, n)
	}
}

// An Ed25519 cosigner's note without a time, as ML-DSA-44 allows, gives no bound.
func TestNoBoundWithoutTimes(t *testing.T) {
	w := newEmptyWorld(t, rolltest.New(t), 0)
	w.witnesses = append(w.witnesses, newCosigner(t, "witness.example/0", keys.TypeCosignatureMLDSA44, "untimed"))
	w.publish()
	w.cosigned(w.rec.Now, time.Unix(0, 0))
	c, err := w.policy().Open(w.note)
	if err != nil {
		t.Fatal(err)
	}
	if p := w.policy(); !p.NotBefore(c).IsZero() || !p.NoLater(c).IsZero() {
		t.Error("a bound by nobody's word")
	}
}
