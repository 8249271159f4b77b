// Torture does to a ledger what the world does to computers, and counts what is lost.
//
//	go run . [flags] [PART...]
//	go run . -sabotage all
//
// Each part runs the real program, many times, under load, and takes something away from it. Then
// it holds what the record has become to what was acknowledged before: every entry, its index, its
// receipt, every checkpoint ever seen. It prints one line
//
//	kill: 300 cycles, 4812 acknowledged, 0 lost, 0 forks, 0 other faults, …, seed 7
//
// and the exit code is 0 if nothing was lost, forked or otherwise wrong, 1 if something was, 2 for a
// wrong command line, and 3 if a part could not do what it claims to. With the same seed a part makes
// the same choices; what the machine does in between is its own.
//
// With -sabotage it switches the defences off instead, one at a time, in a copy of the source text,
// and demands that a test or a part catches each. Then the exit code is 1 if one is not caught, and 3
// if one could not be tried, because the source text has changed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tccm/undersigned/torture/inject"
)

// A part is one way to maltreat a ledger.
type part struct {
	name   string
	about  string
	cycles [2]int // in short and in full mode; 0: the part knows
	run    func(ctx context.Context, t *trial) error
}

// parts are run in this order.
var parts = []part{
	{"kill", "kill -9 of the server under load, while it starts, while it stops", [2]int{300, 10_000}, kill},
	{"power", "the power fails under load, while it starts, while it stops, during init; for clients too", [2]int{500, 10_000}, power},
	{"faults", "a write, a sync, a rename that fails, is cut short, or is the last thing the server does", [2]int{0, 0}, faults},
	{"full", "a disk that other files fill up, and that is emptied again", [2]int{6, 200}, full},
	{"stale", "old, missing, damaged and foreign stores and last-signed records, put together", [2]int{33, 1100}, stale},
	{"twins", "two servers at once on one ledger, or on copies of it", [2]int{102, 1002}, twins},
	{"witnesses", "witnesses that are away, die, are far away, and connections that break", [2]int{12, 1200}, witnesses},
	{"copies", "two servers on full copies of one ledger, with nothing but witnesses between them", [2]int{30, 1000}, copies},
	{"partition", "network namespaces between a ledger, a full copy of it, and their witnesses, cut off from each other", [2]int{8, 400}, partition},
	{"flips", "single bits of the files of a stopped server", [2]int{200, 10_000}, flips},
	{"clock", "a clock that jumps by years, forward and back", [2]int{100, 3000}, clock},
}

const (
	exitFound   = 1 // something was lost, forked or otherwise wrong
	exitUsage   = 2
	exitCannot  = 3 // a part could not do what it claims to
	exitStopped = 130
)

func main() {
	inject.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := torture(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func torture(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	full := flags.Bool("full", false, "as many cycles as a release needs, instead of a short run")
	flags.Bool("short", true, "a short run; the default")
	cycles := flags.Int("cycles", 0, "so many `cycles` of each part, instead")
	seed := flags.Uint64("seed", 0, "repeat the choices of an earlier run; 0: a new seed")
	bin := flags.String("bin", "", "torture this undersigned `program`, instead of building it from ..")
	tmp := flags.String("tmp", "", "make ledgers in this `directory`, instead of the system's one for temporary files")
	sabotaged := flags.String("sabotage", "", "switch the defences of these `names` off, one at a time (all: every one), and see them caught")
	keep := flags.Bool("keep", false, "keep the ledgers in which something was wrong")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "Usage: go run . [flags] [PART...]\n\nParts:\n")
		for _, p := range parts {
			fmt.Fprintf(flags.Output(), "  %-9s %s", p.name, p.about)
			if p.cycles[0] > 0 {
				fmt.Fprintf(flags.Output(), " (%d cycles, full %d)", p.cycles[0], p.cycles[1])
			}
			fmt.Fprintln(flags.Output())
		}
		fmt.Fprintf(flags.Output(), "\nWithout a PART all are run.\n\nFlags:\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return exitUsage
	}
	chosen := parts
	if flags.NArg() > 0 {
		chosen = nil
		for _, name := range flags.Args() {
			p, ok := findPart(name)
			if !ok {
				fmt.Fprintf(os.Stderr, "torture: there is no part %q; go run . -help lists them\n", name)
				return exitUsage
			}
			chosen = append(chosen, p)
		}
	}
	if *seed == 0 {
		*seed = uint64(rand.Uint32())
	}

	dir, err := os.MkdirTemp(*tmp, "undersigned-torture-")
	if err != nil {
		fmt.Fprintf(os.Stderr, "torture: %v\n", err)
		return exitCannot
	}
	kept := false
	defer func() {
		if !kept {
			os.RemoveAll(dir)
		}
	}()
	if *sabotaged != "" {
		return runSabotages(ctx, dir, *seed, *sabotaged)
	}
	if *bin == "" {
		*bin = filepath.Join(dir, "undersigned")
		if err := build(ctx, *bin); err != nil {
			fmt.Fprintf(os.Stderr, "torture: %v\n", err)
			return exitCannot
		}
	}
	code := 0
	for _, p := range chosen {
		t := &trial{part: p.name, bin: *bin, seed: *seed, full: *full, cycles: p.cycles[0], rng: rand.New(rand.NewPCG(*seed, 0))}
		if *full {
			t.cycles = p.cycles[1]
		}
		if *cycles > 0 {
			t.cycles = *cycles
		}
		if t.dir, err = os.MkdirTemp(dir, p.name+"-"); err != nil {
			fmt.Fprintf(os.Stderr, "torture: %v\n", err)
			return exitCannot
		}
		err := p.run(ctx, t)
		if ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "torture: interrupted")
			return exitStopped
		}
		t.clearProgress()
		if err != nil {
			fmt.Printf("%s: could not do what it claims: %v; seed %d\n", p.name, err, *seed)
			code = max(code, exitCannot)
		}
		fmt.Println(t.summary())
		if t.wrong() {
			if code = exitFound; *keep {
				kept = true
				fmt.Fprintf(os.Stderr, "torture: what is left is in %s\n", t.dir)
			}
		}
		if !kept {
			os.RemoveAll(t.dir)
		}
		if code == exitFound {
			break
		}
	}
	return code
}

func findPart(name string) (part, bool) {
	for _, p := range parts {
		if p.name == name {
			return p, true
		}
	}
	return part{}, false
}

// build makes the program from the source tree around this module.
func build(ctx context.Context, bin string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin, "./cmd/undersigned")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build ../cmd/undersigned; run this in the directory torture, or name a program with -bin: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
