package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// A Config says what to measure, and with what.
type Config struct {
	// Program is the path of the program, which knows "bench --part NAME" (Part) beside everything that people call.
	Program string
	Version string
	// Dir is an empty directory on the disk to be measured.
	Dir string
	// Quick leaves out what needs a large record, and ends within QuickLimit.
	Quick bool
	// Only names the rows to measure, with those that are measured together with them; nil: all.
	Only []string
	// Rounds is how many rounds of each comparison are to count; 0: 5. Where others use the machine there are up to twice as many.
	Rounds int
	// Entries is how many entries each round sends; 0: as many as take about a second, or two if not Quick: at the beginning and the end of a
	// round not all clients are about.
	Entries int
	// Large is the size of the large record; 0: a million. Not if Quick.
	Large int
	// Against is a command line, or several words of one, that starts another server to be measured beside: "COMMAND -dir DIR -keys FILE
	// -origin ORIGIN". It tells its address after " at " on its first line, its verifier key on the second, takes entries as ours
	// does, and answers with index and receipt, a tlog-proof whose leaf is the entry. It ends with its standard input. nil: none.
	Against []string
	// Progress is told what is measured now.
	Progress func(what string)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// QuickLimit is within what time a quick run ends.
const QuickLimit = 50 * time.Second

// Clients is how many clients there are where there are many.
const Clients = 256

// bench is one run.
type bench struct {
	Config
	began     time.Time
	deadline  time.Time // nothing is begun after it; zero: none
	processes []*process
	report    *Report
	rows      map[string]*Row
	main      *record // that most rows share; nil: there is none yet
	treeSize  uint64  // entries of the copy of it; 0: there is none yet
}

// Run measures everything.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if cfg.Rounds == 0 {
		cfg.Rounds = 5
	}
	if cfg.Entries == 0 {
		cfg.Entries = 16384
		if cfg.Quick {
			cfg.Entries = 12288
		}
	}
	if cfg.Large == 0 {
		cfg.Large = 1_000_000
	}
	b := &bench{Config: cfg, began: time.Now(), rows: make(map[string]*Row)}
	if cfg.Quick {
		b.deadline = b.began.Add(QuickLimit - 8*time.Second)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, b.began.Add(QuickLimit-3*time.Second), errOver)
		defer cancel()
	}
	b.report = &Report{
		Schema: Schema, Version: cfg.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Quick: cfg.Quick,
		Ratios: make(map[string]*float64), Growth: []Size{},
	}
	for _, r := range rows {
		row := r.Row
		row.Rounds, row.Figures = []Round{}, []Figure{}
		b.rows[r.Key] = &row
	}
	defer func() {
		for _, p := range b.processes {
			p.kill()
		}
	}()
	idle := measure(os.Getpid())
	time.Sleep(300 * time.Millisecond)
	_, b.report.Busy = idle.end()
	err := b.all(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err != nil && err != errOver {
		return nil, err
	}
	b.conclude()
	return b.report, nil
}

// errOver ends what a quick run has no time for.
var errOver = errors.New("the time of a quick run is over")

// parts are what is measured, one after the other, and the rows that come of it.
var parts = []struct {
	measure func(*bench, context.Context) error
	keys    []string
}{
	{(*bench).single, []string{"p50_per_fdatasync"}},
	{(*bench).bytes, []string{"bytes_per_leaf"}},
	{(*bench).accepted, []string{"accepted_per_verify", "cpu_per_verify"}},
	{(*bench).withReceipts, []string{"receipts_per_verify", "receipts_cpu_per_verify"}},
	{(*bench).against, []string{"accepted_per_other", "accepted_per_other_1024", "hashes_per_other"}},
	{(*bench).command, []string{"command_per_empty"}},
	{(*bench).witnessed, []string{"witnessed_per_alone", "receipt_per_signatures"}},
	{(*bench).tiles, []string{"tile_per_static"}},
	{(*bench).batch, []string{"batch_per_verify"}},
	{(*bench).audit, []string{"audit_per_verify"}}, // of the copy that was made for the tiles
	{(*bench).large, []string{"rate_1m_per_empty", "open_seconds", "open_crashed_seconds"}},
}

// Keys are the rows that Config.Only can name.
func Keys() (keys []string) {
	for _, p := range parts {
		keys = append(keys, p.keys...)
	}
	return keys
}

// all measures one thing after the other. What would be begun too late in a quick run is left out.
func (b *bench) all(ctx context.Context) error {
	for _, p := range parts {
		if len(b.Only) > 0 && !slices.ContainsFunc(p.keys, func(k string) bool { return slices.Contains(b.Only, k) }) || b.late() {
			continue
		}
		if err := p.measure(b, ctx); err != nil {
			return err
		}
	}
	if b.main != nil && !b.late() {
		return b.main.close()
	}
	return nil
}

// conclude makes the report.
func (b *bench) conclude() {
	met, measured := 0, 0
	for _, r := range rows {
		row := b.rows[r.Key]
		row.conclude()
		if len(row.Rounds) == 0 && row.Note == "" {
			row.Note = "this run left it out"
		}
		if r.optional && len(row.Rounds) == 0 {
			continue
		}
		b.report.Rows = append(b.report.Rows, row)
		if !r.beside {
			b.report.Ratios[r.Key] = row.Median
		}
		if row.Goal == 0 || row.Median == nil {
			continue
		}
		measured++
		if row.Met {
			met++
		}
	}
	b.report.Seconds = time.Since(b.began).Seconds()
	b.report.Sentence = fmt.Sprintf("%d of the %d goals that were measured are met, on %d cores.", met, measured, b.report.Cores)
	if slices.ContainsFunc(b.report.Rows, func(r *Row) bool { return r.Noisy }) {
		b.report.Sentence += " Other programs used this machine meanwhile, so that the figures say little: run it again when it is idle."
	}
}

// keep has a process killed when the run ends, if it has not ended before.
func (b *bench) keep(p *process, err error) (*process, error) {
	if err == nil {
		b.processes = append(b.processes, p)
	}
	return p, err
}

// end ends a process in good order.
func (b *bench) end(p *process) error {
	b.drop(p)
	return p.end()
}

// late says that nothing more is to be begun.
func (b *bench) late() bool { return !b.deadline.IsZero() && time.Now().After(b.deadline) }

// ours are the processes of the run.
func (b *bench) ours() []int {
	pids := []int{os.Getpid()}
	for _, p := range b.processes {
		pids = append(pids, p.pid())
	}
	return pids
}

// share is how long the rounds of one comparison may take in a quick run.
const share = 11 * time.Second

// rounds has rounds made of rows that are measured together, until enough of them count, or in a quick run until another would take too long. f returns a
// Round for each row.
func (b *bench) rounds(ctx context.Context, f func(i int) ([]Round, error), keys ...string) error {
	began := time.Now()
	first := b.rows[keys[0]]
	for i := 0; i < 2*b.Rounds && first.kept() < b.Rounds; i++ {
		if took := time.Since(began); b.late() || b.Quick && i > 0 && took+took/time.Duration(i) > share {
			return nil
		}
		b.Progress(fmt.Sprintf("%s, round %d", first.What, i+1))
		rounds, err := f(i)
		if cause := context.Cause(ctx); err == nil && cause != nil {
			err = cause
		}
		if err != nil {
			return fmt.Errorf("%s: %w", first.What, err)
		}
		for j, key := range keys {
			b.rows[key].Rounds = append(b.rows[key].Rounds, rounds[j])
		}
	}
	return nil
}

// path is one in the directory of the run.
func (b *bench) path(name string) string { return filepath.Join(b.Dir, name) }

// drop no longer has a process killed when the run ends.
func (b *bench) drop(p *process) {
	b.processes = slices.DeleteFunc(b.processes, func(o *process) bool { return o == p })
}
