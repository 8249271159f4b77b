package bench

import (
	"math"
	"slices"
)

// Schema names the JSON form of a Report.
const Schema = "undersigned/bench/v1"

// A Report is what a run has found.
type Report struct {
	Schema   string `json:"schema"`
	Sentence string `json:"sentence"` // for people
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Cores    int    `json:"cores"`
	// Idle is the share of the processors that others used before anything was measured; negative: the system does not tell.
	Busy  float64 `json:"busy_before"`
	Quick bool    `json:"quick"`
	// Seconds is how long all of it took.
	Seconds float64 `json:"seconds"`
	// Ratios are the medians by Row.Key; null: not measured.
	Ratios map[string]*float64 `json:"ratios"`
	Rows   []*Row              `json:"rows"`
	Growth []Size              `json:"growth,omitempty"` // how cost grows with the record; not if quick
}

// A Row is one comparison.
type Row struct {
	Key  string `json:"key"`
	What string `json:"what"`
	// Goal bounds the median: from above if AtMost. Zero: there is none.
	Goal   float64 `json:"goal"`
	Dream  float64 `json:"dream"`
	AtMost bool    `json:"at_most"`
	// Median, Low and High are of the rounds that count; null if there are none, and Note tells why.
	Median *float64 `json:"median"`
	Low    *float64 `json:"low"`
	High   *float64 `json:"high"`
	Met    bool     `json:"met"`
	// Rounds are all that were measured, also those that were discarded because others used the machine meanwhile. If Noisy there
	// were too few others, so that all count.
	Rounds    []Round  `json:"rounds"`
	Discarded int      `json:"discarded"`
	Noisy     bool     `json:"noisy"`
	Figures   []Figure `json:"figures"` // medians of what was compared
	Note      string   `json:"note,omitempty"`
}

// A Round is one turn of both sides.
type Round struct {
	Ratio     float64 `json:"ratio"`
	Others    float64 `json:"others"` // the share of all processors that others had, at its worst; negative: not told
	Discarded bool    `json:"discarded"`

	figures []Figure
}

// A Figure is a number with its unit. It says something about this machine at this hour alone.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// A Size is what a record of so many entries costs.
type Size struct {
	Entries uint64   `json:"entries"`
	Figures []Figure `json:"figures"`
}

// quiet is the share of all processors that others may have in a round that counts.
const quiet = 0.10

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	if n == 0 {
		return math.NaN()
	}
	return (v[(n-1)/2] + v[n/2]) / 2
}

// conclude fills in what follows from the rounds.
func (r *Row) conclude() {
	if len(r.Rounds) == 0 {
		return
	}
	r.Discarded = 0
	for i := range r.Rounds {
		if r.Rounds[i].Discarded = r.Rounds[i].Others > quiet; r.Rounds[i].Discarded {
			r.Discarded++
		}
	}
	r.Noisy = len(r.Rounds)-r.Discarded < min(3, len(r.Rounds))
	if r.Noisy {
		r.Discarded = 0
		for i := range r.Rounds {
			r.Rounds[i].Discarded = false
		}
	}
	var ratios []float64
	values := make(map[string][]float64)
	for _, round := range r.Rounds {
		if round.Discarded {
			continue
		}
		ratios = append(ratios, round.Ratio)
		for _, f := range round.figures {
			values[f.Name] = append(values[f.Name], f.Value)
		}
	}
	r.Figures = []Figure{}
	for _, f := range r.Rounds[0].figures {
		r.Figures = append(r.Figures, Figure{f.Name, median(values[f.Name]), f.Unit})
	}
	m, low, high := median(ratios), slices.Min(ratios), slices.Max(ratios)
	r.Median, r.Low, r.High = &m, &low, &high
	r.Met = r.Goal == 0 || m >= r.Goal && !r.AtMost || m <= r.Goal && r.AtMost
}

// kept is how many rounds count as things are.
func (r *Row) kept() (n int) {
	for _, round := range r.Rounds {
		if round.Others <= quiet {
			n++
		}
	}
	return n
}
