package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	partitionPerLedger = 20 // cycles, then new ledgers
	partitionRun       = 3 * time.Second
	partitionStep      = 300 * time.Millisecond
	partitionPace      = 50 * time.Millisecond
)

// A space is a network namespace with links to here: one for each witness, and one for whoever writes to the server in it.
type space struct {
	name  string
	links []*link
}

// A link is a pair of virtual network cards.
type link struct {
	card         string // the end that is here
	here, inside string // the addresses of its ends
}

// newSpace makes a namespace with so many links. Names and addresses are of this process alone.
func newSpace(ctx context.Context, which, links int) (*space, error) {
	id := os.Getpid()
	s := &space{name: fmt.Sprintf("torture-%d-%d", id, which)}
	if err := ip(ctx, "netns", "add", s.name); err != nil {
		return nil, err
	}
	for i := range links {
		net := fmt.Sprintf("10.%d.%d", 64+id%128, 16*which+i)
		l := &link{card: fmt.Sprintf("t%dx%dx%d", id%100_000, which, i), here: net + ".1", inside: net + ".2"}
		for _, args := range []string{
			"link add " + l.card + " type veth peer name eth%d netns %s",
			"addr add " + l.here + "/30 dev " + l.card,
			"link set " + l.card + " up",
			"-n %[2]s addr add " + l.inside + "/30 dev eth%[1]d",
			"-n %[2]s link set eth%[1]d up",
		} {
			if strings.Contains(args, "%") {
				args = fmt.Sprintf(args, i, s.name)
			}
			if err := ip(ctx, strings.Fields(args)...); err != nil {
				return s, err
			}
		}
		s.links = append(s.links, l)
	}
	return s, nil
}

func ip(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s (this needs Linux, root and the package iproute2)", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// line is a server's command line, to run in the namespace.
func (s *space) line(line []string) []string {
	line = append([]string{"ip", "netns", "exec", s.name}, line...)
	return append(line, "--listen", s.links[len(s.links)-1].inside+":0")
}

// cut cuts the links to the witnesses for which it is said, and mends the others.
func (s *space) cut(ctx context.Context, which func(i int) bool) error {
	var err error
	for i, l := range s.links[:len(s.links)-1] {
		state := "up"
		if which(i) {
			state = "down"
		}
		err = errors.Join(err, ip(ctx, "link", "set", l.card, state))
	}
	return err
}

func (s *space) mend(ctx context.Context) error { return s.cut(ctx, func(int) bool { return false }) }

// close removes the namespace, and the links with it.
func (s *space) close() error { return ip(context.Background(), "netns", "del", s.name) }

// doors are where a ledger's witnesses are to be reached from a namespace.
func (s *space) doors(f *fleet) (doors []*proxy, err error) {
	for i, p := range f.posts {
		l, err := net.Listen("tcp", net.JoinHostPort(s.links[i].here, "0"))
		if err != nil {
			return doors, err
		}
		doors = append(doors, newProxy(l, f.seed, func() string { return p.address }))
	}
	return doors, nil
}

// A partitionWorld is a ledger alone in a namespace, and another one with a full copy of it in the other.
type partitionWorld struct {
	spaces []*space
	alone  *watchWorld
	pair   *copyWorld
	doors  []*proxy
	where  [2]map[*post]string // from which namespace the pair's witnesses are asked where
}

// partition cuts network namespaces off from each other: a ledger from its witnesses, and two full copies of a ledger from
// the witnesses, in all ways.
func partition(ctx context.Context, t *trial) error {
	w := &partitionWorld{}
	defer func() {
		for _, s := range w.spaces {
			if err := s.close(); err != nil {
				fmt.Fprintf(os.Stderr, "torture: %v\n", err)
			}
		}
	}()
	for i := range 2 {
		s, err := newSpace(ctx, i, 4)
		if s != nil {
			w.spaces = append(w.spaces, s)
		}
		if err != nil {
			return err
		}
	}
	var back []time.Duration
	outcome := make(map[string]int)
	cuts, signed, forked := 0, 0, 0
	end := func() error {
		if w.pair == nil {
			return nil
		}
		back = append(back, w.alone.back...)
		err := w.close(ctx)
		signed, forked = signed+w.alone.fleet.count+w.pair.fleet.count, forked+w.pair.forked
		return err
	}
	for n := 0; t.more(); n++ {
		if n%partitionPerLedger == 0 {
			if err := end(); err != nil {
				return err
			}
			if err := w.begin(ctx, t, n, outcome); err != nil {
				return err
			}
		}
		var err error
		if n%2 == 0 {
			err = w.cutOff(ctx)
			cuts++
		} else {
			var m int
			m, err = w.split(ctx)
			cuts += m
		}
		if err != nil {
			return errors.Join(err, w.close(ctx))
		}
		t.cycle()
	}
	if err := end(); err != nil {
		return err
	}
	t.say("%d times links were cut", cuts)
	t.say("%d cosigned checkpoints", signed)
	t.say("in %d tries both copies signed something", forked)
	t.say("%d copies went on, %d were refused at the start, %d stopped by a fork alarm", outcome["went on"], outcome["refused"], outcome["stopped"])
	t.sayBack(back)
	return nil
}

func (w *partitionWorld) begin(ctx context.Context, t *trial, n int, outcome map[string]int) error {
	r, err := t.emptyRecord(ctx, fmt.Sprintf("alone-%d", n))
	if err != nil {
		return err
	}
	if err := r.watch(ctx, 3, 2); err != nil {
		return err
	}
	r.space, w.alone = w.spaces[0], &watchWorld{record: r}
	policy, err := os.ReadFile(r.policyFile())
	if err != nil {
		return err
	}
	if _, err := w.open(ctx, r, 0, logLines(policy)); err != nil {
		return err
	}
	if err := w.alone.begin(ctx); err != nil {
		return err
	}
	if err := r.populate(ctx, w.alone.server, watchMembers); err != nil {
		return err
	}
	if err := r.judge.catchUp(ctx, w.alone.server); err != nil {
		return err
	}
	if r, err = t.emptyRecord(ctx, fmt.Sprintf("pair-%d", n)); err != nil {
		return err
	}
	if err := r.watch(ctx, 3, 2); err != nil {
		return err
	}
	w.pair = &copyWorld{record: r, second: r.dir + ".copy", pace: partitionPace, outcome: outcome}
	for i := range w.where {
		if w.where[i], err = w.open(ctx, r, i, nil); err != nil {
			return err
		}
	}
	return nil
}

// open lets a ledger in a namespace reach its witnesses. With the log's lines the ledger's policy names the way.
func (w *partitionWorld) open(ctx context.Context, r *record, which int, logs []byte) (map[*post]string, error) {
	doors, err := w.spaces[which].doors(r.fleet)
	w.doors = append(w.doors, doors...)
	if err != nil {
		return nil, err
	}
	where := make(map[*post]string)
	for i, p := range r.fleet.posts {
		where[p] = doors[i].listener.Addr().String()
	}
	if logs == nil {
		return where, nil
	}
	return where, r.ask(ctx, r.dir, logs, func(p *post) string { return where[p] })
}

func (w *partitionWorld) close(ctx context.Context) error {
	var err error
	for _, s := range w.spaces {
		err = errors.Join(err, s.mend(ctx))
	}
	if w.alone != nil {
		err = errors.Join(err, w.alone.close(ctx))
	}
	if w.pair != nil {
		err = errors.Join(err, w.pair.fleet.close())
	}
	for _, d := range w.doors {
		d.close()
	}
	w.doors = nil
	return err
}

// cutOff cuts a ledger off from two of its three witnesses, or from all, while members write to it.
func (w *partitionWorld) cutOff(ctx context.Context) error {
	a := w.alone
	reached := a.rng.IntN(4) // 3: no witness
	before, _, err := a.newest(ctx, a.server)
	if err != nil {
		return err
	}
	if err := w.spaces[0].cut(ctx, func(i int) bool { return i != reached }); err != nil {
		return err
	}
	acked := len(a.book.acks)
	a.query = watchWait
	a.loaded(ctx, watchLoad)
	a.query = ""
	for _, ack := range a.book.acks[acked:] {
		if ack.Published {
			a.fault("entry %d is called published, and at most one of three witnesses can be reached", ack.Index)
		}
	}
	now, _, err := a.newest(ctx, a.server)
	if err != nil {
		return err
	}
	if now.Size != before.Size {
		a.fault("a checkpoint of size %d is shown, and at most one of three witnesses can be reached", now.Size)
	}
	if err := w.spaces[0].mend(ctx); err != nil {
		return err
	}
	return a.recovered(ctx)
}

// split has two full copies run, each in a namespace of its own, while the links to the witnesses change all the time: at
// first each witness can be reached from one side alone.
func (w *partitionWorld) split(ctx context.Context) (cuts int, err error) {
	c := w.pair
	if err := c.copy(); err != nil {
		return 0, err
	}
	policy, err := os.ReadFile(c.policyFile())
	if err != nil {
		return 0, err
	}
	var lines [][]string
	for i, dir := range []string{c.dir, c.second} {
		if err := c.ask(ctx, dir, logLines(policy), func(p *post) string { return w.where[i][p] }); err != nil {
			return 0, err
		}
		lines = append(lines, w.spaces[i].line(append([]string{c.bin}, serveArgs(dir)...)))
	}
	// Both start while they reach all, so that both may sign; then the links change.
	done := make(chan error, 1)
	seed := c.rng.Uint64()
	go func() { done <- c.race(ctx, partitionRun, lines...) }()
	for ; ; cuts++ {
		select {
		case err := <-done:
			for _, s := range w.spaces {
				err = errors.Join(err, s.mend(ctx))
			}
			if err != nil {
				return cuts, err
			}
			return cuts, c.settle(ctx)
		case <-time.After(partitionStep):
		}
		sides := seed >> (3 * cuts) // of each witness, the side that reaches it
		for i, s := range w.spaces {
			if err := s.cut(ctx, func(witness int) bool { return sides>>witness&1 != uint64(i) }); err != nil {
				return cuts, err
			}
		}
	}
}
