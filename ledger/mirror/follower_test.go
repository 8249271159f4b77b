package mirror_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/mirror"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

var ctx = context.Background()

// openCopy opens the copy in a store.
func openCopy(tb testing.TB, store ledger.Store) *ledger.Copy {
	tb.Helper()
	c, err := ledger.OpenCopy(ctx, ledger.Config{Origin: rolltest.Origin, Store: store})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func follower(l *liar, kept *ledger.Copy) *mirror.Follower {
	return mirror.NewFollower(mirror.FollowerConfig{Origin: rolltest.Origin, Policy: l.policy(), Fetch: l.fetch, Copy: kept})
}

// same holds a copy to the ledger, byte for byte.
func same(tb testing.TB, l *liar, kept *ledger.Copy) {
	tb.Helper()
	n := uint64(len(l.rec.Leaves))
	if kept.Size() != n {
		tb.Fatalf("the copy holds %d of %d entries", kept.Size(), n)
	}
	for t := range verify.TilesFor(n) {
		if b, err := kept.Fetch(ctx, t.Path()); err != nil || !bytes.Equal(b, l.files[t.Path()]) {
			tb.Fatalf("%s differs from the ledger's: %v", t.Path(), err)
		}
	}
}

func TestFollow(t *testing.T) {
	l, store := newLiar(t), storetest.NewMemory()
	kept := openCopy(t, store)
	f := follower(l, kept)
	var want uint64
	for _, step := range []int{0, 1, 3, 1, 40, 211, 1, 300, 2} {
		l.fill(step)
		report, err := f.Advance(ctx, l.publish())
		if err != nil {
			t.Fatalf("after %d more: %v", step, err)
		}
		want += report.Entries[entry.KindMembership]
		same(t, l, kept)
	}
	if f.State().Size() != uint64(len(l.rec.Leaves)) || f.State().Admitted() != l.rec.State.Admitted() || want == 0 {
		t.Errorf("the folded record is of %d entries", f.State().Size())
	}
	// After a restart nothing is fetched that is kept.
	l.hook = func(_ int, path string, b []byte) ([]byte, error) {
		if b == nil || strings.HasPrefix(path, "tile/entries") {
			return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
		return b, nil
	}
	again := follower(l, openCopy(t, store))
	if _, err := again.Advance(ctx, l.note()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.State().Snapshot(), f.State().Snapshot()) {
		t.Error("the state that was resumed is another one")
	}
	report, err := verify.Audit(ctx, l.policy(), func(ctx context.Context, path string) ([]byte, error) {
		if path == "checkpoint" {
			return l.note(), nil
		}
		return kept.Fetch(ctx, path)
	}, verify.AuditOptions{})
	if err != nil || !report.OK {
		t.Errorf("the audit of the copy: %+v %v", report, err)
	}
}

// Whatever the steps are, the copy and the folded record are the same.
func TestFollowInAnySteps(t *testing.T) {
	l := newLiar(t)
	var notes [][]byte
	for i := range 40 {
		l.fill(i % 23)
		notes = append(notes, l.publish())
	}
	var state []byte
	for _, every := range []int{1, 3, 7, 40} {
		kept := openCopy(t, storetest.NewMemory())
		f := follower(l, kept)
		for i := every - 1; i < len(notes)+every-1; i += every {
			if _, err := f.Advance(ctx, notes[min(i, len(notes)-1)]); err != nil {
				t.Fatal(err)
			}
		}
		same(t, l, kept)
		if s := f.State().Snapshot(); state != nil && !bytes.Equal(s, state) {
			t.Errorf("in steps of %d another record is folded", every)
		} else {
			state = s
		}
	}
}

// convicts says what a report's first proof shows.
func convicts(t *testing.T, err error) string {
	t.Helper()
	var found *mirror.FoundError
	if !errors.As(err, &found) || found.Report.Code != verify.CodeContradiction {
		t.Fatalf("the error is %v", err)
	}
	if len(found.Report.Contradictions) > 0 {
		c := found.Report.Contradictions[0]
		parsed, err := verify.ParseContradiction(c.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parsed.Check(); err != nil {
			t.Fatal(err)
		}
		return string(c.Case)
	}
	return ""
}

func TestFollowLiars(t *testing.T) {
	tests := []struct {
		name    string
		lie     func(l *liar) []byte // what the follower, which has followed 20 entries, is shown
		proof   string               // its case
		lasting bool
	}{
		{"another tree of the same size", func(l *liar) []byte {
			w := l.twin()
			w.rec.Leaves[19] = []byte("x")
			l.files = w.files
			l.rec = w.rec
			l.show()
			return l.sign(20, l.rec.Now)
		}, "size", false},
		{"a larger tree with another prefix", func(l *liar) []byte {
			l.rec.Leaves = append([][]byte{l.rec.Leaves[1]}, l.rec.Leaves...)
			return l.publish()
		}, "prefix", false},
		{"a dropped entry", func(l *liar) []byte {
			l.fill(3)
			l.rec.Leaves = append(l.rec.Leaves[:7:7], l.rec.Leaves[8:]...)
			return l.publish()
		}, "prefix", false},
		{"a rollback", func(l *liar) []byte { return l.sign(12, l.rec.Now.Add(time.Hour)) }, "rollback", false},
		{"another smaller tree", func(l *liar) []byte {
			w := l.twin()
			w.rec.Leaves[11] = []byte("x")
			return w.sign(12, w.rec.Now)
		}, "prefix", false},
		{"an entry that is no leaf", func(l *liar) []byte {
			l.rec.Leaves = append(l.rec.Leaves, []byte("no leaf"))
			return l.publish()
		}, "entry", true},
		{"an entry with a bad signature", func(l *liar) []byte {
			l.fill(2)
			last := l.rec.Leaves[len(l.rec.Leaves)-1]
			i := len(last) - 10
			last[i] ^= 1
			if last[i] == '=' || last[i] == '\n' {
				t.Fatal("not base64")
			}
			return l.publish()
		}, "entry", true},
		{"an entry dated back", func(l *liar) []byte {
			l.rec.Now = l.rec.Now.Add(10 * time.Hour)
			note := l.sign(20, l.rec.Now) // published, again
			l.files["checkpoint"] = note
			l.files["checkpoints/20"] = note
			l.rec.Now = l.rec.Now.Add(-5 * time.Hour)
			hash := entry.Sum([]byte("We stand by this.\n"))
			l.rec.Join("m20.example")
			l.rec.Do(&entry.Endorsement{Action: entry.Endorse, Statement: hash, After: l.after()}, rolltest.NewOrg("m20.example", 1, 0, 1))
			l.rec.Now = l.rec.Now.Add(6 * time.Hour)
			return l.publish()
		}, "time", true},
		{"an entry of the future", func(l *liar) []byte {
			now := l.rec.Now
			l.rec.Now = l.rec.Now.Add(time.Hour)
			l.fill(1)
			l.show()
			return l.sign(21, now)
		}, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLiar(t)
			l.fill(19)
			store := storetest.NewMemory()
			kept := openCopy(t, store)
			f := follower(l, kept)
			if _, err := f.Advance(ctx, l.publish()); err != nil {
				t.Fatal(err)
			}
			honest := l.twin()
			_, err := f.Advance(ctx, test.lie(l))
			if proof := convicts(t, err); proof != test.proof {
				t.Errorf("what proves it is %q: %v", proof, err)
			}
			if kept.Size() > 20 {
				// what is kept continues what was kept
				if root, err := kept.RootAt(ctx, 20); err != nil || root != rootOf(honest.rec.Leaves) {
					t.Errorf("the copy was changed: %v", err)
				}
			}
			// What the ledger says after that is believed only if nothing in the entries was wrong.
			if test.lasting {
				l.files["checkpoints/20"] = honest.files["checkpoints/20"]
				_, err := f.Advance(ctx, l.publish())
				convicts(t, err)
				return
			}
			honest.fill(5)
			l.files = honest.files
			if test.name == "an entry of the future" {
				return // there it goes on
			}
			if _, err := f.Advance(ctx, honest.publish()); err != nil {
				t.Errorf("the honest record is not followed any more: %v", err)
			}
			same(t, honest, kept)
		})
	}
}

// A source may answer anything, or nothing: what is kept is never another record, and what was missing is found later.
func TestFollowHostileSource(t *testing.T) {
	l := newLiar(t)
	l.fill(300)
	l.publish()
	l.fill(10)
	note := l.publish()
	wrong := map[string]func(b []byte) ([]byte, error){
		"an error":      func([]byte) ([]byte, error) { return nil, errors.New("it is broken") },
		"nothing there": func([]byte) ([]byte, error) { return nil, fs.ErrNotExist },
		"no bytes":      func([]byte) ([]byte, error) { return nil, nil },
		"a byte less":   func(b []byte) ([]byte, error) { return b[:max(0, len(b)-1)], nil },
		"another byte": func(b []byte) ([]byte, error) {
			b = bytes.Clone(b)
			b[len(b)/2] ^= 4
			return b, nil
		},
		"the first byte": func(b []byte) ([]byte, error) {
			b = bytes.Clone(b)
			b[0] ^= 1
			return b, nil
		},
	}
	for name, change := range wrong {
		t.Run(name, func(t *testing.T) {
			kept := openCopy(t, storetest.NewMemory())
			f := follower(l, kept)
			defer func() { l.hook = nil }()
			// The first n answers are right, and the next is not: for each n until all are right.
			for n := 0; ; n++ {
				first := l.count
				hit := false
				l.hook = func(i int, _ string, b []byte) ([]byte, error) {
					if i-first == n+1 {
						hit = true
						return change(b)
					}
					if b == nil {
						return nil, fs.ErrNotExist
					}
					return b, nil
				}
				_, err := f.Advance(ctx, note)
				if err == nil && hit {
					t.Fatalf("answer %d was wrong, and nobody noticed", n)
				}
				if !hit {
					if err != nil {
						t.Fatal(err)
					}
					break
				}
			}
			same(t, l, kept)
		})
	}
}

// After a crash at any write to the store, following goes on, and ends where it would have ended.
func TestFollowCrashes(t *testing.T) {
	l := newLiar(t)
	var notes [][]byte
	for range 4 {
		l.fill(30)
		notes = append(notes, l.publish())
	}
	for _, fault := range []storetest.Fault{storetest.Fails, storetest.FailsPersisted} {
		for at := 1; ; at++ {
			store := storetest.NewMemory()
			crashed := false
			faulty := &storetest.Faulty{Store: store, Fault: func(call string, n int) storetest.Fault {
				if n == at {
					crashed = true
					return fault
				}
				return storetest.Works
			}}
			run := func(store ledger.Store) error {
				kept, err := ledger.OpenCopy(ctx, ledger.Config{Origin: rolltest.Origin, Store: store})
				if err != nil {
					return err
				}
				f := follower(l, kept)
				for _, note := range notes {
					if _, err := f.Advance(ctx, note); err != nil {
						return err
					}
				}
				return nil
			}
			err := run(faulty)
			if !crashed {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			kept := openCopy(t, store)
			f := follower(l, kept)
			if _, err := f.Advance(ctx, notes[3]); err != nil {
				t.Fatalf("after a crash at call %d: %v", at, err)
			}
			same(t, l, kept)
		}
	}
}
