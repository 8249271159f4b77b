package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
)

// A monitor that is stopped while it looks at one ledger has kept what it saw at another, which may never show that again.
func TestMonitorStopped(t *testing.T) {
	s := newStage(t, 3, 2)
	f := s.fork()
	s.rec.Join("a.example")
	s.publish()
	s.expect(s.monitor(""), 0)
	honest := maps.Clone(s.files)
	f.rec.Join("b.example")
	f.publish()
	s.files = f.files
	ctx, stop := context.WithCancel(context.Background())
	m := s.monitor("", func(c *MonitorConfig) {
		other := c.Ledgers[0]
		other.Origin, other.Witnesses = "other.example", nil
		other.Fetch = func(ctx context.Context, _ string) ([]byte, error) {
			stop()
			return nil, ctx.Err()
		}
		c.Ledgers = append(c.Ledgers, other)
	})
	if _, err := m.Look(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	s.files = honest
	s.expect(s.monitor(""), 20, EventForked)
}

// A witness shows the tree that it showed before, which the log has signed anew after a larger one, whether that was seen before or comes to light
// at once.
func TestMonitorRolledBackAtAWitness(t *testing.T) {
	for _, between := range []bool{true, false} {
		s := newStage(t, 3, 2)
		old := s.fork()
		s.sights["witness1.example"] = old.note(s.now, s.witnesses[1])
		m := s.monitor("")
		s.expect(m, 0)
		s.rec.Join("a.example")
		s.later(time.Second)
		s.publish()
		if between {
			s.expect(m, 0)
		}
		s.later(time.Minute)
		s.sights["witness1.example"] = old.note(s.now)
		s.expect(m, 20, EventRolledBack)
		s.convicts(EventRolledBack, verify.CaseRollback)
	}
}

// What a witness has seen contradicts what a ledger showed before that shows nothing any more.
func TestMonitorForkBehindAnOutage(t *testing.T) {
	for _, show := range []func(*stage){
		func(s *stage) { s.down = true },
		func(s *stage) { s.files["checkpoint"] = []byte("<html>\n") },
	} {
		s := newStage(t, 3, 2)
		f := s.fork()
		s.rec.Join("a.example")
		s.publish()
		m := s.monitor("")
		s.expect(m, 0)
		f.rec.Join("b.example")
		s.sights["witness1.example"] = f.note(f.rec.Now, s.witnesses[1])
		show(s)
		if code, _ := s.look(m); code != 20 {
			t.Errorf("exit code %d", code)
		}
		s.convicts(EventForked, verify.CaseSize)
	}
}

// A log that has a witness show what nobody can read, by extension lines, does not hide what it had it cosign.
func TestMonitorWitnessCannotBeRead(t *testing.T) {
	s := newStage(t, 3, 2)
	m := s.monitor("")
	s.expect(m, 0)
	good := s.note(s.now, s.witnesses[1])
	s.sights["witness1.example"] = bytes.Replace(good, []byte("\n\n"), []byte("\nmore\n\n"), 1)
	s.expect(m, 0, EventWitnessMissing)
	if e := s.last(); e.Witness != "witness1.example" {
		t.Errorf("%+v", e)
	}
	s.expect(s.monitor(""), 0)
	silent := s.monitor("", func(c *MonitorConfig) {
		c.Ledgers[0].Witnesses[1].Read = func(context.Context) ([]byte, error) { return nil, errors.New("nobody answers") }
	})
	s.expect(silent, 0)
	delete(s.sights, "witness1.example") // which does not tell what it has seen
	s.expect(s.monitor(""), 0)
	s.sights["witness1.example"] = good
	s.expect(s.monitor(""), 0, EventNormal)
}

// A ledger that gives out a part of what is new at each look has not been checked.
func TestMonitorReadsAPart(t *testing.T) {
	s := newStage(t, 0, 0)
	for i := range 2 * verify.TileWidth {
		s.rec.Join(fmt.Sprintf("m%d.example", i))
	}
	s.publish()
	s.now = s.rec.Now
	given := 0
	m := s.monitor("", func(c *MonitorConfig) {
		c.Ledgers[0].Fetch = func(ctx context.Context, path string) ([]byte, error) {
			if strings.HasPrefix(path, "tile/entries/") && path >= fmt.Sprintf("tile/entries/%03d", given) {
				return nil, errors.New("later")
			}
			return s.fetch(ctx, path)
		}
	})
	for given = 1; given < 3; given++ {
		s.expect(m, 3)
		if l := m.ledgers[0]; l.Told == 0 || l.Told == l.Size {
			t.Errorf("%d of %d entries are read", l.Told, l.Size)
		}
	}
	s.expect(m, 0)
}

// That there is a fork matters more than whether its proof can be kept.
func TestMonitorCannotKeepProof(t *testing.T) {
	s := newStage(t, 3, 2)
	f := s.fork()
	s.rec.Join("a.example")
	s.publish()
	m := s.monitor("", func(c *MonitorConfig) {
		c.Evidence = func(*verify.Contradiction) (string, error) { return "", errors.New("something else has its name") }
	})
	s.expect(m, 0)
	f.rec.Join("b.example")
	f.publish()
	s.files = f.files
	s.expect(m, 20, EventForked)
}

// A ledger that had signed a larger tree gave out a smaller one as its newest, and shows the larger one only now.
func TestMonitorWasShownAnOldView(t *testing.T) {
	s := newStage(t, 3, 2)
	old := s.fork()
	s.rec.Join("a.example")
	larger := s.note(s.rec.Now, s.witnesses...)
	s.later(time.Minute)
	s.files["checkpoint"] = old.note(s.now)
	m := s.monitor("")
	s.look(m)
	s.show(larger)
	if code, _ := s.look(m); code != 20 {
		t.Errorf("exit code %d", code)
	}
	s.convicts(EventRolledBack, verify.CaseRollback)
}
