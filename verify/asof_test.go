package verify_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

func TestParseMoment(t *testing.T) {
	for _, c := range []struct{ text, time, again, words string }{
		{"2024-06-11", "2024-06-11T23:59:59.999Z", "2024-06-11", "11 June 2024"},
		{"2024-02-29", "2024-02-29T23:59:59.999Z", "2024-02-29", "29 February 2024"},
		{"2024-06-11T12:00:00Z", "2024-06-11T12:00:00.000Z", "2024-06-11T12:00:00Z", "11 June 2024, 12:00:00 UTC"},
		{"2024-06-11T12:00:00.000Z", "2024-06-11T12:00:00.000Z", "2024-06-11T12:00:00Z", "11 June 2024, 12:00:00 UTC"},
		{"2024-06-11T12:00:00.250Z", "2024-06-11T12:00:00.250Z", "2024-06-11T12:00:00.250Z", "11 June 2024, 12:00:00.250 UTC"},
		{"2024-06-11T23:59:59.999Z", "2024-06-11T23:59:59.999Z", "2024-06-11T23:59:59.999Z", "11 June 2024, 23:59:59.999 UTC"},
	} {
		m, err := verify.ParseMoment(c.text)
		if err != nil || m.Time.Format(entry.TimeFormat) != c.time || m.Text() != c.again || m.String() != c.words {
			t.Errorf("%s: %v, %v, %s, %s", c.text, err, m.Time, m.Text(), m)
		}
	}
	for _, text := range []string{"", "yesterday", "2024-02-30", "2024-6-11", "11.6.2024", "2024-06-11T12:00:00", "2024-06-11T12:00:00+02:00", "2024-06-11T12:00Z",
		"2024-06-11T12:00:00.25Z", "2024-06-11T12:00:00.2500Z", "2024-06-11T12:00:00,250Z0", "2024-06-11T24:00:00Z", "2024-06-11T12:00:60Z", "2024-06-11 ", " 2024-06-11", "2024-06-11\n"} {
		var format *verify.FormatError
		if m, err := verify.ParseMoment(text); !errors.As(err, &format) {
			t.Errorf("%q: %v, %v", text, m, err)
		}
	}
}

func FuzzParseMoment(f *testing.F) {
	for _, text := range []string{"2024-06-11", "2024-06-11T12:00:00Z", "2024-06-11T12:00:00.250Z", "2024-06-11T12:00:00,250Z", "0000-01-01", "9999-12-31"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := verify.ParseMoment(text)
		if err != nil {
			return
		}
		if again := m.Text(); again != text && again != strings.Replace(text, ".000Z", "Z", 1) {
			t.Errorf("%q prints as %q", text, again)
		}
		if again, err := verify.ParseMoment(m.Text()); err != nil || again != m {
			t.Errorf("%q, printed %q, is read as %v, %v", text, m.Text(), again, err)
		}
	})
}

// A published note of a history, as the test remembers it.
type publishedNote struct {
	size     uint64
	from, to time.Time
}

// timeline is a random record: organizations come, endorse, withdraw and change their names, and now and then a checkpoint is published that
// three witnesses cosign, two of which are the quorum.
type timeline struct {
	*world
	*rand.Rand
	orgs  []*rolltest.Org
	notes []publishedNote
	again map[uint64]publishedNote // notes cosigned afresh
}

func newTimeline(tb testing.TB, seed uint64) *timeline {
	l := &timeline{world: newEmptyWorld(tb, rolltest.New(tb), 3), Rand: rand.New(rand.NewPCG(seed, 1)), again: make(map[uint64]publishedNote)}
	l.note3()
	l.text = tccm
	l.statement = l.rec.Publish(l.text)
	for i := range 5 {
		o := rolltest.NewOrg(fmt.Sprintf("org%d.example", i), 1, 0, 1)
		l.rec.Register(o)
		l.orgs = append(l.orgs, o)
	}
	return l
}

// note3 signs what there is, each witness by a clock of its own, and remembers between which times that was the newest.
func (l *timeline) note3() {
	c := verify.Checkpoint{Origin: rolltest.Origin, Size: uint64(len(l.rec.Leaves)), Root: slowRoot(l.rec.Leaves)}
	l.publish()
	l.note, l.notes = l.sign3(c, &l.notes)
	l.files["checkpoint"] = l.note
	l.files[verify.CheckpointPath(c.Size)] = l.note
}

func (l *timeline) sign3(c verify.Checkpoint, notes *[]publishedNote) ([]byte, []publishedNote) {
	log := l.rec.Now.Truncate(time.Second)
	note := append(c.Text(), '\n')
	note = append(note, l.log[0].line(c, log)...)
	note = append(note, l.log[1].line(c, log)...)
	var times []time.Time
	for _, w := range l.witnesses {
		at := log.Add(time.Duration(l.IntN(41)-20) * time.Second)
		note = append(note, w.line(c, at)...)
		times = append(times, at)
	}
	slices.SortFunc(times, time.Time.Compare)
	from := times[1]
	if log.Before(from) {
		from = log
	}
	return note, append(*notes, publishedNote{c.Size, from, times[1].Add(999 * time.Millisecond)})
}

func (l *timeline) step() {
	l.rec.Now = l.rec.Now.Add(time.Duration(l.IntN(20_000)) * time.Millisecond)
	o := l.orgs[l.IntN(len(l.orgs))]
	switch l.IntN(8) {
	case 0:
		o.Name = fmt.Sprintf("Name %d of %s", len(l.rec.Leaves), o.Domain)
		l.rec.Do(&entry.Membership{Action: entry.Update, Member: o.Domain, Name: o.Name, Quorum: 1}, o)
	case 1, 2, 3:
		l.rec.Now = l.rec.Now.Add(time.Minute)
		size := uint64(len(l.rec.Leaves))
		if last := l.notes[len(l.notes)-1]; last.size < size {
			l.note3()
		} else {
			var fresh []publishedNote
			c := verify.Checkpoint{Origin: rolltest.Origin, Size: size, Root: slowRoot(l.rec.Leaves)}
			note, fresh := l.sign3(c, &fresh)
			l.files[verify.CheckpointPath(size)+"/latest"] = note
			l.again[size] = fresh[0]
		}
		l.rec.Now = l.rec.Now.Add(time.Minute)
	default:
		e, ok := l.rec.State.Endorsement(o.Domain, l.statement)
		action := entry.Endorse
		if ok && e.Action == entry.Endorse && l.IntN(3) > 0 {
			action = entry.Withdraw
		}
		l.rec.Do(l.endorsement(action, o), o)
	}
}

func (l *timeline) policy3() *verify.Policy {
	text := strings.Replace(l.policyText(), "group all all", "group all 2", 1)
	return mustPolicy(l.tb, text)
}

func (l *timeline) sizes() []uint64 {
	var sizes []uint64
	for _, n := range l.notes {
		sizes = append(sizes, n.size)
	}
	l.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	return sizes
}

// naive is the same as AsOf, by going through every leaf and every note.
func (l *timeline) naive(at time.Time) string {
	size := uint64(0)
	standing, names := map[string]bool{}, map[string]string{}
	var leaves []*entry.Leaf
	for _, b := range l.rec.Leaves {
		leaf, err := entry.ParseLeaf(b)
		if err != nil {
			l.tb.Fatal(err)
		}
		leaves = append(leaves, leaf)
		if leaf.Admitted.After(at) {
			continue
		}
		size++
		switch body := leaf.Entry.Body.(type) {
		case *entry.Membership:
			names[body.Member] = body.Name
		case *entry.Endorsement:
			standing[leaf.Entry.Signer] = body.Action == entry.Endorse
		}
	}
	before, after := int64(-1), int64(-1)
	notes := slices.Clone(l.notes)
	for _, n := range l.again {
		notes = append(notes, n)
	}
	for _, n := range notes {
		if _, fresh := l.again[n.size]; !n.to.After(at) && !(fresh && n == l.again[n.size]) {
			before = max(before, int64(n.size))
		}
		if n.from.After(at) && (after < 0 || int64(n.size) < after) {
			after = int64(n.size)
		}
	}
	from, to := min(before, int64(size)), max(before, int64(size))
	if before < 0 {
		from = 0
	}
	if after < 0 {
		to = int64(len(leaves))
	} else {
		from, to = min(from, after), max(to, after)
	}
	var list, between []string
	for _, o := range l.orgs {
		if standing[o.Domain] {
			list = append(list, o.Domain+" "+names[o.Domain])
		}
	}
	for i := from; i < to; i++ {
		var domain string
		switch body := leaves[i].Entry.Body.(type) {
		case *entry.Endorsement:
			domain = leaves[i].Entry.Signer
		case *entry.Membership:
			if domain = body.Member; !standing[domain] {
				continue
			}
		default:
			continue
		}
		between = append(between, fmt.Sprint(i, " ", domain, " ", i < int64(size)))
	}
	return fmt.Sprint(size, " ", before, " ", after, " ", list, " ", between)
}

func saidOf(a *verify.AsOf, h entry.Hash) string {
	before, after := int64(-1), int64(-1)
	if a.Before != nil {
		before = int64(a.Before.Size)
	}
	if a.After != nil {
		after = int64(a.After.Size)
	}
	var list, between []string
	for _, s := range a.State.Signatories(h) {
		if s.Stands() {
			list = append(list, s.Domain+" "+s.Name)
		}
	}
	for _, b := range a.Between {
		between = append(between, fmt.Sprint(b.Index, " ", b.Domain, " ", b.Counted))
	}
	return fmt.Sprint(a.State.Size(), " ", before, " ", after, " ", list, " ", between)
}

// TestAsOf holds the list at any moment of random records, and what lies around it, against every leaf and every note.
func TestAsOf(t *testing.T) {
	ctx := t.Context()
	every := 1
	if testing.Short() { // with the race detector
		every = 8
	}
	var tight, loose, disputed int
	for seed := range uint64(5) {
		l := newTimeline(t, seed)
		for range 60 {
			l.step()
		}
		l.rec.Now = l.rec.Now.Add(time.Minute)
		if l.notes[len(l.notes)-1].size < uint64(len(l.rec.Leaves)) {
			l.note3()
		}
		p := l.policy3()
		r := mustAudit(t, p, l.fetch, verify.AuditOptions{})
		if !r.OK {
			t.Fatalf("seed %d: %+v", seed, r)
		}
		first, last := rolltest.Start.Add(-time.Hour), l.rec.Now.Add(time.Hour)
		moments := []time.Time{first, last}
		for range 60 {
			moments = append(moments, first.Add(time.Duration(l.Int64N(int64(last.Sub(first))))).Truncate(time.Millisecond))
		}
		for _, n := range l.notes { // the very edges
			moments = append(moments, n.from, n.to, n.from.Add(-time.Millisecond), n.to.Add(-time.Millisecond))
		}
		for i, at := range moments {
			if i%every != 0 {
				continue
			}
			a, err := r.AsOf(ctx, p, l.fetch, verify.AsOfOptions{At: verify.Moment{Time: at}, Statement: l.statement, Sizes: l.sizes()})
			if err != nil {
				t.Fatalf("seed %d, %v: %v", seed, at, err)
			}
			if got, want := saidOf(a, l.statement), l.naive(at); got != want {
				t.Fatalf("seed %d, %v:\n%s, the leaves and notes say\n%s", seed, at, got, want)
			}
			switch {
			case a.From == a.To:
				tight++
			case a.Before != nil && a.Before.Size > a.State.Size(), a.After != nil && a.After.Size < a.State.Size():
				disputed++
			default:
				loose++
			}
		}
	}
	t.Logf("%d tight, %d loose, %d where the clocks disagree", tight, loose, disputed)
	if tight < 20/every || loose < 20/every || disputed < 2/every {
		t.Error("the records are too much alike")
	}
}

// TestAsOfBounds: whose word fixes what.
func TestAsOfBounds(t *testing.T) {
	ctx := t.Context()
	w := newEmptyWorld(t, rolltest.New(t), 2)
	w.publish() // 1
	o := rolltest.NewOrg("org.example", 1, 0, 1)
	w.rec.Register(o)
	w.text = tccm
	w.statement = w.rec.Publish(w.text)
	w.rec.Now = w.rec.Now.Add(time.Hour)
	w.publish() // 3
	w.rec.Now = w.rec.Now.Add(time.Hour)
	endorsed := w.endorse(o)
	w.rec.Now = w.rec.Now.Add(time.Hour)
	w.publish() // 4
	seen := w.rec.Now
	at := seen.Add(-90 * time.Minute) // between 3 and the endorsement
	sizes := []uint64{1, 3, 4}
	asOf := func(p *verify.Policy, fetch verify.Fetch, sizes []uint64) (*verify.AsOf, error) {
		t.Helper()
		return mustAudit(t, p, w.fetch, verify.AuditOptions{}).AsOf(ctx, p, fetch, verify.AsOfOptions{At: verify.Moment{Time: at}, Statement: w.statement, Sizes: sizes})
	}
	noQuorum := func(keep int) *verify.Policy {
		lines := strings.SplitAfter(w.policyText(), "\n")
		return mustPolicy(t, strings.Join(lines[:keep], "")+"quorum none\n")
	}

	a, err := asOf(w.policy(), w.fetch, sizes)
	if err != nil {
		t.Fatal(err)
	}
	if a.ByLog || a.Before.Size != 3 || a.After.Size != 4 || !a.After.Time.Equal(seen.Truncate(time.Second)) || len(a.Before.Witnesses) != 2 || len(a.Between) != 1 {
		t.Errorf("%+v", a)
	}
	if b := a.Between[0]; b.Index != endorsed || b.Domain != o.Domain || b.Action != entry.Endorse || b.Counted {
		t.Errorf("%+v", b)
	}
	// The second log key, ML-DSA-44, has times.
	if a, err := asOf(noQuorum(2), w.fetch, sizes); err != nil || !a.ByLog || a.Before.Size != 3 || a.After.Size != 4 || len(a.Before.Witnesses) != 0 {
		t.Errorf("by the log's word: %v, %+v", err, a)
	}
	if a, err := asOf(noQuorum(1), w.fetch, sizes); err != nil || !a.ByLog || a.Before != nil || a.After != nil || a.From != 0 || a.To != 4 || a.State.Size() != 3 {
		t.Errorf("nobody says when: %v, %+v", err, a)
	}
	if a, err := asOf(w.policy(), w.fetch, nil); err != nil || a.Before != nil || a.After.Size != 4 || a.From != 0 {
		t.Errorf("a source that lists no notes: %v, %+v", err, a)
	}
	if a, err := asOf(w.policy(), w.fetch, []uint64{1, 3, 4, 99}); err != nil || a.Before.Size != 3 {
		t.Errorf("a source with more notes than when it was audited: %v, %+v", err, a)
	}

	// One witness alone fixes nothing under a policy that asks for two.
	one := w.sign(verify.Checkpoint{Origin: rolltest.Origin, Size: 3, Root: slowRoot(w.rec.Leaves[:3])}, w.log[0], w.log[1], w.witnesses[0])
	weak := func(ctx context.Context, path string) ([]byte, error) {
		if path == "checkpoints/3" {
			return one, nil
		}
		return w.fetch(ctx, path)
	}
	if a, err := asOf(w.policy(), weak, sizes); err != nil || a.Before.Size != 1 || a.From != 1 {
		t.Errorf("a note with one cosignature: %v, %+v", err, a)
	}
	// What a key that was replaced signed is passed over; what is another record's is not.
	for name, c := range map[string]struct {
		note   []byte
		passed bool
	}{
		"an old key's":   {w.sign(verify.Checkpoint{Origin: rolltest.Origin, Size: 3, Root: slowRoot(w.rec.Leaves[:3])}, newCosigner(t, rolltest.Origin, w.log[0].vkey.Type, "old")), true},
		"another root":   {w.sign(verify.Checkpoint{Origin: rolltest.Origin, Size: 3, Root: [32]byte{1}}, w.log[0]), false},
		"another size":   {w.files["checkpoints/4"], false},
		"not a note":     {[]byte("nothing"), false},
		"not to be read": {nil, false},
	} {
		a, err := asOf(w.policy(), func(ctx context.Context, path string) ([]byte, error) {
			if path != "checkpoints/3" {
				return w.fetch(ctx, path)
			}
			if c.note == nil {
				return nil, errors.New("broken")
			}
			return c.note, nil
		}, sizes)
		if (err == nil) != c.passed || c.passed && a.Before.Size != 1 {
			t.Errorf("%s: %v, %+v", name, err, a)
		}
	}

	// The witnesses say that a copy without an entry was the newest two minutes after the ledger recorded it.
	late := newEmptyWorld(t, rolltest.New(t), 2)
	late.rec.Register(o)
	late.text = tccm
	late.statement = late.rec.Publish(late.text)
	admitted := late.rec.Now
	late.rec.Now = admitted.Add(2 * time.Minute)
	late.publish()
	late.rec.Now = admitted
	late.endorse(o)
	late.rec.Now = admitted.Add(time.Hour)
	late.publish()
	r := late.audit(verify.AuditOptions{})
	a, err = r.AsOf(ctx, late.policy(), late.fetch, verify.AsOfOptions{At: verify.Moment{Time: admitted.Add(time.Minute)}, Statement: late.statement, Sizes: []uint64{3, 4}})
	if err != nil || a.State.Size() != 4 || a.After.Size != 3 || a.From != 0 || a.To != 4 || len(a.Between) != 2 || !a.Between[1].Counted {
		t.Errorf("where the clocks disagree: %v, %+v", err, a)
	}
	// They say that a copy with an entry had been seen two minutes before the ledger recorded it.
	early := newEmptyWorld(t, rolltest.New(t), 2)
	early.publish()
	early.rec.Register(o)
	early.text = tccm
	early.statement = early.rec.Publish(early.text)
	early.endorse(o)
	admitted = early.rec.Now.Add(-time.Second)
	early.rec.Now = admitted.Add(-2 * time.Minute)
	early.publish()
	r = early.audit(verify.AuditOptions{})
	a, err = r.AsOf(ctx, early.policy(), early.fetch, verify.AsOfOptions{At: verify.Moment{Time: admitted.Add(-time.Millisecond)}, Statement: early.statement, Sizes: []uint64{1, 4}})
	if err != nil || a.State.Size() != 3 || a.Before.Size != 4 || a.From != 3 || a.To != 4 || len(a.Between) != 1 || a.Between[0].Counted {
		t.Errorf("where the clocks disagree the other way: %v, %+v", err, a)
	}

	// And that a smaller copy was the newest after that.
	early.rec.Now = admitted.Add(time.Minute)
	early.files["checkpoints/2"] = early.sign(verify.Checkpoint{Origin: rolltest.Origin, Size: 2, Root: slowRoot(early.rec.Leaves[:2])}, append(early.log[:2:2], early.witnesses...)...)
	a, err = r.AsOf(ctx, early.policy(), early.fetch, verify.AsOfOptions{At: verify.Moment{Time: admitted.Add(-time.Millisecond)}, Statement: early.statement, Sizes: []uint64{1, 2, 4}})
	if err != nil || a.State.Size() != 3 || a.Before.Size != 4 || a.After.Size != 2 || a.From != 2 || a.To != 4 {
		t.Errorf("where the witnesses disagree with themselves: %v, %+v", err, a)
	}

	// A record that does not hold is asked nothing, and a source cannot tell another story the second time.
	bad := mustAudit(t, w.policy(), func(context.Context, string) ([]byte, error) { return nil, fs.ErrNotExist }, verify.AuditOptions{})
	if _, err := bad.AsOf(ctx, w.policy(), w.fetch, verify.AsOfOptions{At: verify.Moment{Time: at}}); err == nil {
		t.Error("a record that was not audited was at a moment")
	}
	var contradiction *verify.ContradictionError
	if _, err := asOf(w.policy(), func(ctx context.Context, path string) ([]byte, error) {
		b, err := w.fetch(ctx, path)
		if strings.HasPrefix(path, "tile/entries/") {
			b = slices.Clone(b)
			b[len(b)-5] ^= 1
		}
		return b, err
	}, sizes); !errors.As(err, &contradiction) {
		t.Errorf("a changed entry: %v", err)
	}
}

// TestAsOfLong folds a record of several bundles up to any moment: a member endorses and withdraws every other hour.
func TestAsOfLong(t *testing.T) {
	w := newEmptyWorld(t, rolltest.New(t), 0)
	w.publish()
	o := rolltest.NewOrg("org.example", 1, 0, 1)
	w.rec.Register(o)
	w.text = tccm
	w.statement = w.rec.Publish(w.text)
	start := w.rec.Now
	const words = 600
	for i := range words {
		w.rec.Now = start.Add(time.Duration(i+1)*time.Hour - time.Second)
		w.rec.Do(w.endorsement([]entry.Action{entry.Endorse, entry.Withdraw}[i%2], o), o)
	}
	w.publish()
	p := w.policy()
	r := w.audit(verify.AuditOptions{})
	if !r.OK || r.Size != words+3 {
		t.Fatalf("%+v", r)
	}
	for _, hour := range []int{0, 1, 2, 252, 253, 254, 255, 508, 509, 510, words - 1, words} {
		for _, more := range []time.Duration{0, 59 * time.Minute} {
			at := verify.Moment{Time: start.Add(time.Duration(hour)*time.Hour + more)}
			a, err := r.AsOf(t.Context(), p, w.fetch, verify.AsOfOptions{At: at, Statement: w.statement, Sizes: []uint64{1, words + 3}})
			if err != nil {
				t.Fatal(err)
			}
			if want := uint64(hour + 3); a.State.Size() != want {
				t.Errorf("hour %d: %d entries, not %d", hour, a.State.Size(), want)
			}
			if got, want := len(a.State.Standing(w.statement)), hour%2; got != want {
				t.Errorf("hour %d: %d stand, not %d", hour, got, want)
			}
		}
	}
	// What no note fixes is listed up to a bound.
	w.rec.Now = w.rec.Now.Add(time.Hour)
	for i := range verify.MaxBetween - words + 2 {
		w.rec.Do(w.endorsement([]entry.Action{entry.Endorse, entry.Withdraw}[i%2], o), o)
	}
	w.publish()
	a, err := w.audit(verify.AuditOptions{}).AsOf(t.Context(), p, w.fetch, verify.AsOfOptions{At: verify.Moment{Time: start}, Statement: w.statement})
	if err != nil || len(a.Between) != verify.MaxBetween || a.Unlisted != 2 {
		t.Errorf("%v, %d between and %d more", err, len(a.Between), a.Unlisted)
	}
}
