package server

import (
	"fmt"
	"iter"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/tccm/undersigned/verify/entry"
)

const (
	maxDots    = 120  // on a timeline
	maxChanges = 60   // rows of the table below it
	plotWidth  = 1000 // units of the drawing, which is stretched
	plotHeight = 100
)

// A timeline is how many stood behind a statement when, in the published record.
type timeline struct {
	Line   string // the path of the drawing
	Here   string // x of the list that the page shows, if it is an older one; "": it is not
	Gone   bool   // a dot stands for a withdrawal
	Dots   []dot
	Most   int
	First  time.Time // at the left end; Last, which is now, at the right one
	Last   time.Time
	Rows   []changeRow // the newest first
	Hidden int         // changes that have no row
}

// A dot stands for a change, or for some that were at nearly the same time.
type dot struct {
	X, Y    string
	Size    uint64 // of the record right after it
	At      time.Time
	Count   int // who stood behind it then
	Changes int
	Name    string // of who changed last
	Gone    bool   // and did it withdraw?
}

// A changeRow is a change in the table.
type changeRow struct {
	Index  uint64
	At     time.Time
	Domain string
	Name   string
	Gone   bool
	Again  bool // it stood behind it before
	Count  int
}

// A step is a change and how many stood behind the statement after it.
type step struct {
	event
	count int
	again bool // who changed stood behind it before
}

// steps goes through the changes in the list of a statement. The caller holds mu.
func (h *history) steps(events []event) iter.Seq2[int, step] {
	return func(yield func(int, step) bool) {
		stands := make([]bool, len(h.orgs))
		count := 0
		for i, e := range events {
			s := step{event: e, again: stands[e.who]}
			if stands[e.who] = !e.withdrawn; s.again != stands[e.who] {
				if e.withdrawn {
					count--
				} else {
					count++
				}
			}
			s.count = count
			if !yield(i, s) {
				return
			}
		}
	}
}

// eventsOf returns what was said of a statement in the record of a size. The caller holds mu.
func (h *history) eventsOf(statement entry.Hash, size uint64) []event {
	events := h.statements[statement]
	return events[:sort.Search(len(events), func(i int) bool { return events[i].index >= size })]
}

// timeline draws the history of a statement that was published at a time, up to now. shown is the size of the list that the page shows, and asOf the
// moment that it is of, zero if it is of a size. It is nil while nothing has happened.
func (h *history) timeline(statement entry.Hash, published time.Time, size, shown uint64, asOf, now time.Time) *timeline {
	h.mu.RLock()
	defer h.mu.RUnlock()
	events := h.eventsOf(statement, size)
	if len(events) == 0 {
		return nil
	}
	at := func(index uint64) time.Time { return time.UnixMilli(h.admitted[index]).UTC() }
	t := &timeline{First: published, Last: at(events[len(events)-1].index), Hidden: max(0, len(events)-maxChanges)}
	if now.After(t.Last) { // else this server's clock is behind
		t.Last = now
	}
	first, span := t.First.UnixMilli(), float64(max(1, t.Last.Sub(t.First).Milliseconds()))
	across := func(stamp int64) float64 { return float64(stamp-first) / span * plotWidth }
	x := func(e event) float64 { return across(h.admitted[e.index]) }

	// What is near each other shares a dot, if there is not room for all.
	type point struct {
		step
		x       float64
		changes int
	}
	var points []point
	slot := -1
	for i, s := range h.steps(events) {
		t.Most = max(t.Most, s.count)
		p := point{s, x(s.event), 1}
		if now := int(p.x * maxDots / plotWidth); len(events) > maxDots && now == slot {
			p.changes += points[len(points)-1].changes
			points[len(points)-1] = p
		} else {
			slot, points = now, append(points, p)
		}
		if i >= t.Hidden {
			t.Rows = append(t.Rows, changeRow{s.index, at(s.index), h.orgs[s.who].domain, h.nameOf(s.event, size).name, s.withdrawn, s.again, s.count})
		}
	}
	slices.Reverse(t.Rows)

	var line strings.Builder
	fmt.Fprintf(&line, "M0 %d", plotHeight)
	for _, p := range points {
		d := dot{
			X: units(p.x), Y: units(plotHeight * (1 - float64(p.count)/float64(max(1, t.Most)))), Size: p.index + 1, At: at(p.index), Count: p.count,
			Changes: p.changes, Name: h.nameOf(p.event, size).name, Gone: p.withdrawn,
		}
		line.WriteString("H" + d.X + "V" + d.Y)
		t.Dots, t.Gone = append(t.Dots, d), t.Gone || d.Gone
	}
	fmt.Fprintf(&line, "H%d", plotWidth)
	t.Line = line.String()
	switch i := len(h.eventsOf(statement, shown)); {
	case !asOf.IsZero():
		if asOf.Before(t.Last) {
			t.Here = units(max(0, across(asOf.UnixMilli())))
		}
	case i == 0:
		t.Here = "0"
	case i < len(events):
		t.Here = units((x(events[i-1]) + x(events[i])) / 2)
	}
	return t
}

// units prints a coordinate.
func units(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
