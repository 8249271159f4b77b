package mirror_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/mirror"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
)

// court is a judge, what it reads, and its clock.
type court struct {
	*liar
	judge *mirror.Judge
	store *storetest.Memory
	now   time.Time
	found []*verify.Contradiction
	said  bytes.Buffer // what was logged
}

func newCourt(t *testing.T) *court {
	c := &court{liar: newLiar(t), store: storetest.NewMemory()}
	c.fill(9)
	c.now = c.rec.Now
	c.open()
	t.Cleanup(func() { c.judge.Close() })
	return c
}

func (c *court) open() {
	c.judge = mirror.NewJudge(mirror.JudgeConfig{
		Open: func(context.Context) (*mirror.Follower, func() error, error) {
			return follower(c.liar, openCopy(c.TB, c.store)), func() error { return nil }, nil
		},
		Evidence: func(found *verify.Contradiction) { c.found = append(c.found, found) },
		Now:      func() time.Time { return c.now },
		Logger:   slog.New(slog.NewTextHandler(&c.said, nil)),
	})
}

func (c *court) restart() {
	c.Helper()
	if err := c.judge.Close(); err != nil {
		c.Fatal(err)
	}
	c.open()
}

// ask shows the tiles of all leaves and asks for a cosignature on a checkpoint of them, which is not published.
func (c *court) ask() error {
	c.Helper()
	c.show()
	return c.judge.Judge(ctx, c.sign(len(c.rec.Leaves), c.rec.Now))
}

// asked is ask, and then the checkpoint is published.
func (c *court) asked() {
	c.Helper()
	if err := c.ask(); err != nil {
		c.Fatal(err)
	}
	c.publish()
}

func refused(err error) bool {
	var r *mirror.RefusedError
	return errors.As(err, &r)
}

func TestJudge(t *testing.T) {
	c := newCourt(t)
	for range 5 {
		c.asked()
		c.fill(3)
		c.now = c.now.Add(time.Minute)
		c.rec.Now = c.now
	}
	// An older checkpoint, which anybody can hand in, is not cosigned any more, nor forgotten what is.
	if err := c.judge.Judge(ctx, c.sign(12, c.rec.Now)); err == nil || refused(err) {
		t.Errorf("an older checkpoint: %v", err)
	}
	c.asked()
	c.restart()
	c.fill(1)
	c.asked()
}

func TestJudgeRefusesEntries(t *testing.T) {
	c := newCourt(t)
	c.asked()
	honest := c.twin()
	c.rec.Leaves = append(c.rec.Leaves, []byte("no leaf"))
	if err := c.ask(); !refused(err) {
		t.Fatalf("an inadmissible entry: %v", err)
	}
	if len(c.found) != 1 || c.found[0].Case != verify.CaseEntry {
		t.Errorf("what proves it: %v", c.found)
	}
	if err := c.ask(); !refused(err) || len(c.found) != 1 {
		t.Errorf("asked again: %v", err)
	}
	// What was refused is not in what is kept; that it was signed is.
	if err := c.judge.Close(); err != nil {
		t.Fatal(err)
	}
	if n := openCopy(t, c.store).Size(); n != 10 {
		t.Errorf("%d entries are kept", n)
	}
	c.rec, c.files = honest.rec, honest.files
	c.open()
	c.fill(2)
	if err := c.ask(); !refused(err) || len(c.found) != 2 || c.found[1].Case != verify.CasePrefix {
		t.Errorf("another history after a restart: %v", err)
	}
}

// A ledger may date back whatever it signs, but not what was seen to be missing.
func TestJudgeRefusesEntriesDatedBack(t *testing.T) {
	c := newCourt(t)
	c.asked()
	c.now = c.now.Add(24 * time.Hour)
	c.rec.Now = c.now.Add(-9 * time.Minute)
	c.fill(1)
	c.asked() // as far as clocks may differ
	c.now = c.now.Add(time.Hour)
	c.fill(1)
	c.asked() // late, but nobody can know
	for _, restarted := range []bool{false, true} {
		c := newCourt(t)
		c.now = c.now.Add(24 * time.Hour) // the last entry is of yesterday
		c.asked()
		if restarted {
			c.restart()
		}
		c.fill(1)
		for range 2 {
			// Nobody has signed when a checkpoint came by: it is no refusal for good.
			if err := c.ask(); err == nil || refused(err) || !strings.Contains(err.Error(), "entry 10 says that it was recorded before") {
				t.Errorf("an entry dated back by a day (restarted: %v): %v", restarted, err)
			}
		}
		if n := strings.Count(c.said.String(), "dated back"); n != 1 {
			t.Errorf("it is said %d times", n)
		}
		c.restart()
		if err := c.ask(); err == nil || refused(err) {
			t.Errorf("asked again after a restart: %v", err)
		}
		// Whoever knows better begins the copy anew.
		c.store = storetest.NewMemory()
		c.restart()
		c.asked()
	}
}

func TestJudgeWaitsForTheFuture(t *testing.T) {
	c := newCourt(t)
	c.now = c.now.Add(-6 * time.Minute)
	if err := c.ask(); err == nil || refused(err) {
		t.Errorf("entries of the future: %v", err)
	}
	c.now = c.now.Add(2 * time.Minute)
	c.asked()
}

// What cannot be read is asked for again.
func TestJudgeWaitsForTiles(t *testing.T) {
	c := newCourt(t)
	c.asked()
	c.fill(1)
	note := c.sign(len(c.rec.Leaves), c.rec.Now)
	if err := c.judge.Judge(ctx, note); err == nil || refused(err) {
		t.Errorf("tiles that are withheld: %v", err)
	}
	c.asked()
}

// When what is known of absent entries is damaged, nothing is judged without it.
func TestJudgeAbsenceDamaged(t *testing.T) {
	c := newCourt(t)
	c.asked()
	c.store.Object("copy/absent")[0] = 'x'
	c.restart()
	for range 3 {
		if err := c.ask(); !errors.Is(err, ledger.ErrCorrupt) {
			t.Fatalf("it judges: %v", err)
		}
	}
}
