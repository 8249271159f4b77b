package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	watchMembers   = 16
	watchClients   = 4
	watchPerLedger = 42 // cycles, then a new ledger
	watchLoad      = 400 * time.Millisecond
	watchWait      = "?wait=0s" // of entries that will not be published so soon
	// backLimit is how soon a ledger publishes all that it holds after its witnesses are there again.
	backLimit = 10 * time.Second
)

// A watchWorld is a ledger with three witnesses, of which two must cosign.
type watchWorld struct {
	*record
	server *child
	back   []time.Duration // from when enough witnesses were there until everything was published
	caught int
}

// witnesses takes witnesses away from a ledger, and disturbs the connections to them.
func witnesses(ctx context.Context, t *trial) error {
	cases := []struct {
		name string
		run  func(w *watchWorld, ctx context.Context) error
	}{
		{"one of three is away", (*watchWorld).oneAway},
		{"two of three are away", (*watchWorld).twoAway},
		{"bad connections", (*watchWorld).badConnections},
		{"witnesses die and start again", (*watchWorld).witnessesDie},
		{"the ledger dies, and starts while two are away", (*watchWorld).ledgerDies},
		{"an old store with its old last-signed record", (*watchWorld).oldCopy},
	}
	var w *watchWorld
	var back []time.Duration
	signed, hurt, caught := 0, 0, 0
	end := func() error {
		if w == nil {
			return nil
		}
		back, caught, hurt = append(back, w.back...), caught+w.caught, hurt+w.fleet.hurt()
		err := w.close(ctx)
		signed += w.fleet.count
		return err
	}
	for n := 0; t.more(); n++ {
		if n%watchPerLedger == 0 {
			if err := end(); err != nil {
				return err
			}
			var err error
			if w, err = t.newWatchWorld(ctx, fmt.Sprintf("ledger-%d", n)); err != nil {
				return err
			}
		}
		c := cases[n%len(cases)]
		if err := c.run(w, ctx); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", c.name, err), w.close(ctx))
		}
		if t.wrong() {
			t.fault("this was %s; the ledger says: %s", c.name, w.server.stderr.last())
		}
		t.cycle()
	}
	if err := end(); err != nil {
		return err
	}
	t.say("%d cosigned checkpoints in one history", signed)
	t.say("%d connections disturbed", hurt)
	t.say("%d old copies caught", caught)
	t.sayBack(back)
	if len(cases) <= t.cycles && !t.wrong() && (hurt == 0 || caught == 0) {
		return errors.New("nothing was disturbed, or no old copy was tried")
	}
	return nil
}

// sayBack adds to the summary how soon everything was published again.
func (t *trial) sayBack(back []time.Duration) {
	if len(back) > 0 {
		worst := back[0]
		for _, d := range back {
			worst = max(worst, d)
		}
		t.say("everything published %d times after an outage, at worst %d ms after it", len(back), worst.Milliseconds())
	}
}

func (t *trial) newWatchWorld(ctx context.Context, name string) (*watchWorld, error) {
	r, err := t.emptyRecord(ctx, name)
	if err != nil {
		return nil, err
	}
	w := &watchWorld{record: r}
	if err := r.watch(ctx, 3, 2); err != nil {
		return nil, err
	}
	if err := w.begin(ctx); err != nil {
		return nil, errors.Join(err, w.fleet.close())
	}
	if err := r.populate(ctx, w.server, watchMembers); err != nil {
		return nil, errors.Join(err, w.close(ctx))
	}
	return w, r.judge.catchUp(ctx, w.server)
}

// begin starts the ledger and waits until it takes entries.
func (w *watchWorld) begin(ctx context.Context) (err error) {
	if w.server, err = w.start(ctx); err != nil {
		return w.didNotStart(ctx, err)
	}
	return w.server.ready(ctx)
}

// stop ends the ledger in good order.
func (w *watchWorld) stop() error {
	w.server.interrupt()
	return w.server.wait()
}

// close ends all, and has the record audited: a policy that asks for a quorum holds for every reader.
func (w *watchWorld) close(ctx context.Context) error {
	var err error
	if w.server != nil && w.server.running() {
		if !w.wrong() {
			err = w.audit(ctx, w.server)
		}
		err = errors.Join(err, w.stop())
	}
	if err == nil && !w.wrong() {
		err = w.fsck(ctx)
	}
	return errors.Join(err, w.fleet.close())
}

// loaded has members write for a while.
func (w *watchWorld) loaded(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	w.load(ctx, w.server, watchClients)
}

// recovered waits until all that is stored is published, after enough witnesses are there again, and judges.
func (w *watchWorld) recovered(ctx context.Context) error {
	began := time.Now()
	e, err := w.newcomer()
	if err != nil {
		return err
	}
	// A new entry is published with all before it.
	for {
		a, err := w.submit(ctx, w.server, e, "?wait=30s")
		if err == nil && a.Published {
			break
		}
		var refused *refusedError
		if err != nil && !(errors.As(err, &refused) && refused.passing()) {
			return err
		}
		if time.Since(began) > startLimit {
			w.fault("nothing is published %v after the witnesses came back", startLimit)
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	took := time.Since(began)
	w.back = append(w.back, took)
	if took > backLimit {
		w.fault("everything was published %v after the witnesses came back, not within %v", took, backLimit)
	}
	return w.settled(ctx)
}

// settled judges a ledger that has published everything, and holds whatever witnesses signed to it.
func (w *watchWorld) settled(ctx context.Context) error {
	if err := w.judge.catchUp(ctx, w.server); err != nil || w.wrong() {
		return err
	}
	signed := w.fleet.take()
	// What was sent when load ended, and not answered, may be taken up only now.
	for end := time.Now().Add(startLimit); beyond(signed, w.judge.size()) && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err := w.judge.catchUp(ctx, w.server); err != nil || w.wrong() {
			return err
		}
	}
	w.hold(signed)
	return w.resend(ctx, w.server)
}

// beyond tells whether a witness has signed a larger record than one of so many entries.
func beyond(signed []cosigned, size uint64) bool {
	return slices.ContainsFunc(signed, func(s cosigned) bool { return s.Size > size })
}

// hold compares what witnesses signed with the record, all of which the judge has.
func (r *record) hold(signed []cosigned) {
	for _, s := range signed {
		if s.Size > r.judge.size() {
			r.loss("witness %d signed a record of %d entries; it has %d", s.by.number+1, s.Size, r.judge.size())
		} else if root, err := r.judge.root(s.Size); err != nil || root != s.Root {
			r.fork("witness %d signed another root of size %d than the record's", s.by.number+1, s.Size)
		}
	}
}

// away takes some witnesses away, and returns how they come back.
func (w *watchWorld) away(n int) (posts []*post, err error) {
	for _, i := range w.rng.Perm(len(w.fleet.posts))[:n] {
		posts = append(posts, w.fleet.posts[i])
		err = errors.Join(err, w.fleet.posts[i].end(w.rng.IntN(2) == 0))
	}
	return posts, err
}

func comeBack(ctx context.Context, posts []*post) error {
	for _, p := range posts {
		if err := p.begin(ctx); err != nil {
			return err
		}
	}
	return nil
}

// oneAway: with two of three all goes on.
func (w *watchWorld) oneAway(ctx context.Context) error {
	posts, err := w.away(1)
	if err != nil {
		return err
	}
	w.loaded(ctx, watchLoad)
	if err := w.recovered(ctx); err != nil {
		return err
	}
	return comeBack(ctx, posts)
}

// twoAway: with one of three nothing is called witnessed, and nothing is lost.
func (w *watchWorld) twoAway(ctx context.Context) error {
	before, _, err := w.newest(ctx, w.server)
	if err != nil {
		return err
	}
	posts, err := w.away(2)
	if err != nil {
		return err
	}
	w.query = watchWait
	w.judge.patient = true
	acked := len(w.book.acks)
	w.loaded(ctx, watchLoad)
	w.query = ""
	for _, a := range w.book.acks[acked:] {
		if a.Published || a.Receipt != "" {
			w.fault("entry %d is called published, and one of three witnesses is there", a.Index)
		}
	}
	now, _, err := w.newest(ctx, w.server)
	if err != nil {
		return err
	}
	if now.Size != before.Size {
		w.fault("a checkpoint of size %d is shown, and one of three witnesses is there", now.Size)
	}
	if w.rng.IntN(2) == 0 { // what is stored survives
		w.server.kill()
		w.server.wait()
		if w.server, err = w.start(ctx); err != nil {
			return w.didNotStart(ctx, err)
		}
	}
	if err := comeBack(ctx, posts[:1+w.rng.IntN(2)]); err != nil {
		return err
	}
	w.judge.patient = false
	err = w.recovered(ctx)
	for _, p := range posts {
		if p.child == nil {
			err = errors.Join(err, p.begin(ctx))
		}
	}
	return err
}

// badConnections: drops, delays, truncations and resets.
func (w *watchWorld) badConnections(ctx context.Context) error {
	for _, p := range w.fleet.posts {
		p.proxy.set(disturbed[w.rng.IntN(len(disturbed))])
	}
	w.query = watchWait
	w.loaded(ctx, 2*watchLoad)
	w.query = ""
	w.fleet.set(calm)
	return w.recovered(ctx)
}

// witnessesDie: kill -9 of witnesses under load. What they signed they remember.
func (w *watchWorld) witnessesDie(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	w.query = watchWait
	go func() {
		defer close(done)
		w.load(ctx, w.server, watchClients)
	}()
	var err error
	for range 6 {
		time.Sleep(w.upTo(watchLoad / 4))
		p := w.fleet.posts[w.rng.IntN(len(w.fleet.posts))]
		if err = p.end(true); err != nil {
			break
		}
		if err = p.begin(ctx); err != nil {
			break
		}
	}
	cancel()
	<-done
	w.query = ""
	if err != nil {
		return err
	}
	return w.recovered(context.WithoutCancel(ctx))
}

// ledgerDies: a ledger that was killed takes nothing until enough witnesses have said what they saw.
func (w *watchWorld) ledgerDies(ctx context.Context) error {
	time.AfterFunc(w.upTo(watchLoad), w.server.kill)
	w.loaded(ctx, 2*watchLoad)
	w.server.kill()
	w.server.wait()
	posts, err := w.away(2)
	if err != nil {
		return err
	}
	if w.server, err = w.start(ctx); err != nil {
		return w.didNotStart(ctx, err)
	}
	e, err := w.newcomer()
	if err != nil {
		return err
	}
	var refused *refusedError
	for end := time.Now().Add(startLimit); !strings.Contains(w.server.stderr.last(), "until enough witnesses have said what they saw last\" error"); time.Sleep(10 * time.Millisecond) {
		if _, err := w.tellOnly(ctx, w.server, e); !errors.As(err, &refused) || refused.Status != 503 || time.Now().After(end) {
			w.fault("one of three witnesses has answered, and a ledger that was killed answers %v to an entry", err)
			return nil
		}
	}
	if err := comeBack(ctx, posts); err != nil {
		return err
	}
	return w.recovered(ctx)
}

// oldCopy puts everything back to an old moment, the last-signed record as well. Nothing on the machine can tell; the
// witnesses have seen more.
func (w *watchWorld) oldCopy(ctx context.Context) error {
	if err := w.stop(); err != nil {
		return err
	}
	old, err := w.moment()
	if err != nil {
		return err
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	if err := w.grow(ctx, w.server, 1+w.rng.IntN(8)); err != nil {
		return err
	}
	if err := w.settled(ctx); err != nil {
		return err
	}
	if err := w.stop(); err != nil {
		return err
	}
	now, err := w.moment()
	if err != nil {
		return err
	}
	if err := w.put(old.store, old.signed); err != nil {
		return err
	}
	if w.server, err = w.start(ctx); err != nil {
		return w.didNotStart(ctx, err)
	}
	e, err := w.newcomer()
	if err != nil {
		return err
	}
	// At first because the witnesses have not answered, then because they have.
	var refused *refusedError
	for end := time.Now().Add(startLimit); ; time.Sleep(10 * time.Millisecond) {
		if _, err := w.tellOnly(ctx, w.server, e); !errors.As(err, &refused) || refused.Status != 503 {
			w.fault("an old copy answers %v to an entry", err)
			return nil
		}
		if said := w.server.stderr.last(); strings.Contains(said, "refuses to sign") {
			for _, word := range []string{"has seen a tree of " + sized(now.size), holds(old.size)} {
				if !strings.Contains(said, word) {
					w.fault("it does not say %q: %s", word, said)
				}
			}
			break
		}
		if time.Now().After(end) {
			w.fault("an old copy does not say that witnesses have seen more")
			return nil
		}
	}
	w.caught++
	// What is left of it can be read, and audited: witnesses have cosigned it.
	if err := w.audit(ctx, w.server); err != nil {
		return err
	}
	if err := w.stop(); err != nil {
		return err
	}
	if err := w.put(now.store, now.signed); err != nil {
		return err
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	return w.settled(ctx)
}
