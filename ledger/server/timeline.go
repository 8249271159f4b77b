package server

import (
	"fmt"
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
	plotTail   = 40 // of the width: from the last change on
)

// A timeline is how many stood behind a statement when, in the published record.
type timeline struct {
	Line   string // the path of the drawing
	Here   string // x of the list that the page shows, if it is an older one
	Dots   []dot
	Most   int
	First  time.Time
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

// step is a change and how many stood behind the statement after it.
type step struct {
	event
	count int
	again bool
}

// steps counts who stood behind a statement after each change in the record of a size.
func (h *history) steps(statement entry.Hash, size uint64) []step {
	h.mu.RLock()
	defer h.mu.RUnlock()
	events := h.statements[statement]
	events = events[:sort.Search(len(events), func(i int) bool { return events[i].index >= size })]
	steps := make([]step, 0, len(events))
	stands := make([]bool, len(h.orgs))
	count := 0
	for _, e := range events {
		s := step{event: e, again: stands[e.who]}
		if stands[e.who] = !e.withdrawn; s.again != stands[e.who] {
			if e.withdrawn {
				count--
			} else {
				count++
			}
		}
		s.count = count
		steps = append(steps, s)
	}
	return steps
}

// timeline draws the history of a statement that was published at a time; shown is the size of the list that the page shows.
// It is nil while nothing has happened.
func (h *history) timeline(statement entry.Hash, published time.Time, size, shown uint64) *timeline {
	steps := h.steps(statement, size)
	if len(steps) == 0 {
		return nil
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	at := func(i int) time.Time { return time.UnixMilli(h.admitted[steps[i].index]).UTC() }
	t := &timeline{First: published, Last: at(len(steps) - 1)}
	for _, s := range steps {
		t.Most = max(t.Most, s.count)
	}
	span := t.Last.Sub(t.First)
	x := func(when time.Time) float64 {
		if span <= 0 {
			return plotWidth - plotTail
		}
		return float64(when.Sub(t.First)) / float64(span) * (plotWidth - plotTail)
	}
	y := func(count int) float64 {
		if t.Most == 0 {
			return plotHeight
		}
		return plotHeight - float64(count)/float64(t.Most)*plotHeight
	}
	var line strings.Builder
	fmt.Fprintf(&line, "M0 %d", plotHeight)
	last := -1 // the slot of the last dot
	for i, s := range steps {
		where := x(at(i))
		if slot := int(where * maxDots / plotWidth); len(steps) > maxDots && slot == last {
			d := &t.Dots[len(t.Dots)-1]
			*d = h.dot(s, at(i), size, where, y(s.count), d.Changes+1)
		} else {
			last = slot
			t.Dots = append(t.Dots, h.dot(s, at(i), size, where, y(s.count), 1))
		}
	}
	for _, d := range t.Dots {
		line.WriteString("H" + d.X + "V" + d.Y)
	}
	fmt.Fprintf(&line, "H%d", plotWidth)
	t.Line = line.String()
	if i := sort.Search(len(steps), func(i int) bool { return steps[i].index >= shown }); i < len(steps) {
		t.Here = "0"
		if i > 0 {
			t.Here = units((x(at(i-1)) + x(at(i))) / 2)
		}
	}
	for i := len(steps) - 1; i >= 0 && len(t.Rows) < maxChanges; i-- {
		s := steps[i]
		t.Rows = append(t.Rows, changeRow{s.index, at(i), h.orgs[s.who].domain, h.nameOf(s.event, size).name, s.withdrawn, s.again, s.count})
	}
	t.Hidden = len(steps) - len(t.Rows)
	return t
}

// dot makes one. The caller holds mu.
func (h *history) dot(s step, at time.Time, size uint64, x, y float64, changes int) dot {
	return dot{X: units(x), Y: units(y), Size: s.index + 1, At: at, Count: s.count, Changes: changes, Name: h.nameOf(s.event, size).name, Gone: s.withdrawn}
}

// units prints a coordinate.
func units(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
