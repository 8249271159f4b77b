package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/tccm/undersigned/ledger/bench"
)

type benchCmd struct {
	Dir     string   `arg:"" optional:"" placeholder:"DIR" help:"A directory on the disk to be measured; a temporary one is made in it, and removed. With --make, where the ledger will be."`
	Quick   bool     `help:"Leave out what needs a large record. It ends within 50 seconds."`
	Rounds  int      `default:"5" placeholder:"N" help:"How many rounds of each comparison are to count (${default})."`
	Entries int      `default:"0" placeholder:"N" help:"How many entries each round sends; 0 is as many as take about a second."`
	Large   int      `default:"1000000" placeholder:"N" help:"The size of the large record (${default})."`
	Make    int      `default:"0" placeholder:"N" help:"Measure nothing: make a signed ledger of N entries in DIR, for measurements of your own."`
	Only    []string `placeholder:"ROW" help:"Measure these rows alone, by the names that they have in JSON."`
	Against string   `placeholder:"COMMAND" help:"Measure another server beside, which this starts: make bench does it with one on Tessera."`
	Part    string   `hidden:""`
	jsonFlag
}

// Help shows how the command is used.
func (benchCmd) Help() string {
	return `It starts this program's own server in a temporary directory, sends it entries that were signed before, over loopback from a process of its own, in turns with handlers that do less, and prints ratios, each the median of its rounds. What the server answers is checked between the rounds. Rounds in which other programs used the machine are discarded, where the system tells, and made up for. docs/performance.md explains each row.

The keys are made up, and anybody can compute them: the ledger that --make makes is for measuring alone.

Example:

	undersigned bench --quick
	undersigned bench --json /var/lib > bench.json
	undersigned bench --make 1000000 ./large
`
}

// Run measures, or makes a ledger.
func (c *benchCmd) Run(ctx context.Context, a *app) error {
	if c.Part != "" {
		return bench.Part(ctx, c.Part, a.in, a.out)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot tell where this program is: %w", err)
	}
	cfg := bench.Config{Program: program, Version: version(), Quick: c.Quick, Rounds: c.Rounds, Entries: c.Entries, Large: c.Large, Only: c.Only, Against: strings.Fields(c.Against), Now: a.now}
	switch {
	case c.Make != 0:
		return c.make(ctx, a, cfg)
	case c.Rounds < 1 || c.Rounds > 100:
		return usagef("--rounds is a number from 1 to 100")
	case c.Entries != 0 && (c.Entries < bench.Clients || c.Entries > 1<<20):
		return usagef("--entries is a number from %d, one for each client, to %d", bench.Clients, 1<<20)
	case slices.ContainsFunc(c.Only, func(key string) bool { return !slices.Contains(bench.Keys(), key) }):
		return usagef("--only is one of %s", strings.Join(bench.Keys(), ", "))
	case c.Large < 100*bench.Clients:
		return usagef("--large is a number from %d on", 100*bench.Clients)
	}
	if cfg.Dir, err = os.MkdirTemp(c.Dir, "undersigned-bench-"); err != nil {
		return fmt.Errorf("cannot make a directory to measure in: %w", err)
	}
	defer os.RemoveAll(cfg.Dir)
	cfg.Progress = func(what string) { a.sayf("%s\n", what) }
	if c.JSON || !a.terminal(a.err) {
		cfg.Progress = nil
	}
	report, err := bench.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.json(report)
	}
	a.printBench(report)
	return nil
}

// make makes a large ledger.
func (c *benchCmd) make(ctx context.Context, a *app, cfg bench.Config) error {
	if c.Make < bench.MinEntries || c.Make > math.MaxInt32 {
		return usagef("--make is a number of entries from %d on", bench.MinEntries)
	}
	if c.Dir == "" {
		return usagef("--make needs a directory: undersigned bench --make %d DIR", c.Make)
	}
	if files, err := os.ReadDir(c.Dir); err == nil && len(files) > 0 {
		return fmt.Errorf("%s is not empty; name a new directory", c.Dir)
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot use the directory: %w", err)
	}
	report, done := a.progress("entries")
	defer done()
	if report == nil {
		report = func(uint64, uint64) {}
	}
	if err := bench.Make(ctx, cfg, c.Dir, uint64(c.Make), report); err != nil {
		return err
	}
	done()
	a.printf("Made a ledger of %s in %s. Its keys are made up: it is for measuring alone.\n", plural(uint64(c.Make), "entry"), c.Dir)
	return nil
}

// number prints a figure with as many digits as mean something.
func number(v float64) string {
	switch {
	case v == math.Trunc(v) && math.Abs(v) < 1e6, math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// printBench prints what a run has found, for people.
func (a *app) printBench(r *bench.Report) {
	a.printf("%s\n\n", r.Sentence)
	quick := ""
	if r.Quick {
		quick = ", quickly"
	}
	a.printf("%s, %s, %s; %d cores; measured in %.0f s%s\n", r.Version, r.Go, r.Platform, r.Cores, r.Seconds, quick)
	if r.Busy >= 0 {
		a.printf("before, other programs used %.0f %% of the processors\n", 100*r.Busy)
	}
	for _, row := range r.Rows {
		a.printf("\n%s\n", row.What)
		if row.Median == nil {
			a.printf("  not measured: %s\n", row.Note)
			continue
		}
		line := fmt.Sprintf("  %s", a.paint(bold, fmt.Sprintf("%.2f", *row.Median)))
		if len(row.Rounds) > 1 {
			line += fmt.Sprintf(" (%.2f to %.2f in %s", *row.Low, *row.High, plural(len(row.Rounds)-row.Discarded, "round"))
			if row.Discarded > 0 {
				line += fmt.Sprintf(", %d more discarded: other programs were running", row.Discarded)
			}
			line += ")"
		}
		if row.Noisy {
			line += ", with other programs running"
		}
		if row.Goal > 0 {
			sign, word, c := "≥", "met", green
			if row.AtMost {
				sign = "≤"
			}
			if !row.Met {
				word, c = "missed", red
			}
			line += fmt.Sprintf("; the goal is %s %s: %s", sign, number(row.Goal), a.paint(c, word))
		}
		a.printf("%s\n", line)
		printFigures(a, "  ", row.Figures)
	}
	for _, size := range r.Growth {
		a.printf("\nWith %d entries\n", size.Entries)
		printFigures(a, "  ", size.Figures)
	}
}

func printFigures(a *app, indent string, figures []bench.Figure) {
	var parts []string
	for _, f := range figures {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Name, number(f.Value), f.Unit)))
	}
	if len(parts) > 0 {
		a.printf("%s%s\n", indent, strings.Join(parts, " · "))
	}
}
