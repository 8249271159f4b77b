package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A trial is one run of one part.
type trial struct {
	part   string
	bin    string // the program
	dir    string // for ledgers; removed at the end
	seed   uint64
	full   bool
	cycles int        // how many to do
	rng    *rand.Rand // for the part's own goroutine alone

	mu           sync.Mutex
	done         int // cycles
	acknowledged int // entries
	lost         int // entries that were acknowledged and are not in the record, at their index, as they were
	forks        int // checkpoints that contradict another one
	faults       int // anything else that must not be
	resent       int // entries that were sent again and are in the record
	receipts     int // verified after what they were to survive
	checkpoints  int // held to the tree
	restarts     []time.Duration
	extra        []string // what a part has to say beside
}

// maxTold is how many things that are wrong a trial prints.
const maxTold = 20

func (t *trial) add(n *int, by int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*n += by
}

// cycle counts a cycle and shows the progress.
func (t *trial) cycle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done++
	if terminal(os.Stderr) {
		fmt.Fprintf(os.Stderr, "\r%s: %d of %d", t.part, t.done, t.cycles)
	}
}

func (t *trial) clearProgress() {
	if terminal(os.Stderr) {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
}

// loss, fork and fault tell of something wrong, and count it.
func (t *trial) loss(format string, args ...any)  { t.tell(&t.lost, "LOST", format, args...) }
func (t *trial) fork(format string, args ...any)  { t.tell(&t.forks, "FORK", format, args...) }
func (t *trial) fault(format string, args ...any) { t.tell(&t.faults, "FAULT", format, args...) }

func (t *trial) tell(count *int, kind, format string, args ...any) {
	t.clearProgress()
	t.mu.Lock()
	defer t.mu.Unlock()
	if *count++; t.lost+t.forks+t.faults <= maxTold {
		fmt.Fprintf(os.Stderr, "%s: cycle %d: %s: %s\n", t.part, t.done+1, kind, fmt.Sprintf(format, args...))
	}
}

// wrong reports whether anything was lost, forked or otherwise wrong.
func (t *trial) wrong() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost+t.forks+t.faults > 0
}

// more reports whether there are cycles to do: after something wrong there are none.
func (t *trial) more() bool { return !t.wrong() && t.done < t.cycles }

// restarted counts a start of a server on a ledger that was there before.
func (t *trial) restarted(took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.restarts = append(t.restarts, took)
}

// say adds to the summary.
func (t *trial) say(format string, args ...any) {
	t.extra = append(t.extra, fmt.Sprintf(format, args...))
}

// summary is the line that a part prints.
func (t *trial) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d cycles, %d acknowledged, %d lost, %d forks, %d other faults", t.part, t.done, t.acknowledged, t.lost, t.forks, t.faults)
	if t.receipts > 0 {
		fmt.Fprintf(&b, ", %d receipts of before verified", t.receipts)
	}
	if t.checkpoints > 0 {
		fmt.Fprintf(&b, ", %d checkpoints consistent", t.checkpoints)
	}
	if n := len(t.restarts); n > 0 {
		slices.Sort(t.restarts)
		fmt.Fprintf(&b, ", restart p50 %d ms, max %d ms", t.restarts[n/2].Milliseconds(), t.restarts[n-1].Milliseconds())
	}
	for _, s := range t.extra {
		b.WriteString(", " + s)
	}
	fmt.Fprintf(&b, ", seed %d", t.seed)
	return b.String()
}

// upTo returns a random duration below d.
func (t *trial) upTo(d time.Duration) time.Duration {
	return time.Duration(t.rng.Int64N(int64(max(d, 1))))
}

func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
