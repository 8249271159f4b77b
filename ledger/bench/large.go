package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// large measures how cost grows: at a hundredth of the large record, a tenth and all of it.
func (b *bench) large(ctx context.Context) error {
	if b.Quick {
		return nil
	}
	if b.main != nil {
		if err := b.main.close(); err != nil {
			return err
		}
		b.main = nil
	}
	r, err := b.newRecord(ctx, b.path("large"), membersOf(uint64(b.Large)))
	if err != nil {
		return err
	}
	for _, size := range []int{b.Large / 100, b.Large / 10, b.Large} {
		if size < int(r.size) {
			continue
		}
		if err := b.grown(ctx, r, uint64(size), size == b.Large); err != nil {
			return err
		}
	}
	return r.close()
}

// grown makes a record so large and measures it.
func (b *bench) grown(ctx context.Context, r *record, size uint64, last bool) error {
	b.Progress(fmt.Sprintf("making a record of %d entries", size))
	began, before := time.Now(), r.size
	if err := r.grow(ctx, size, func(uint64) {}); err != nil {
		return err
	}
	s := Size{Entries: size}
	add := func(name string, value float64, unit string) {
		s.Figures = append(s.Figures, Figure{name, value, unit})
	}
	add("made", float64(size-before)/time.Since(began).Seconds(), "/s")
	small, err := b.newRecord(ctx, b.path(fmt.Sprintf("small%d", size)), Clients)
	if err != nil {
		return err
	}
	key := "rate_1m_per_empty"
	if !last {
		b.rows[growing] = &Row{What: fmt.Sprintf("the rate with %d entries", size)}
		key = growing
	}
	clients := min(Clients, len(r.members))
	each := max(1, b.Entries/2/clients)
	err = b.rounds(ctx, func(i int) ([]Round, error) {
		var full, empty *loaded
		few, many := small.prepare(clients, each), r.prepare(clients, each)
		err := turns(i, func() error {
			return beside(r.server, func() (err error) {
				empty, err = small.send(ctx, few, proofs, "")
				return err
			})
		}, func() error {
			return beside(small.server, func() (err error) {
				full, err = r.send(ctx, many, proofs, "")
				return err
			})
		})
		if err != nil {
			return nil, err
		}
		return []Round{{Ratio: full.rate() / empty.rate(), Others: max(full.Others, empty.Others), figures: []Figure{
			{"large", full.rate(), "/s"}, {"small", empty.rate(), "/s"},
			{"large, processor", 1e6 * full.CPU / float64(full.Count), "µs"}, {"small, processor", 1e6 * empty.CPU / float64(empty.Count), "µs"},
		}}}, nil
	}, key)
	if err != nil {
		return err
	}
	row := b.rows[key]
	row.conclude()
	add("rate ÷ small record", *row.Median, "")
	s.Figures = append(s.Figures, row.Figures...)
	if err := small.close(); err != nil {
		return err
	}
	add("memory of the server", memoryOf(r.server.pid(), "VmRSS:"), "MiB")
	b.Progress(fmt.Sprintf("auditing %d entries", r.size))
	audit, err := b.auditOf(ctx, r.policyFile(), r.server.url)
	if err != nil {
		return err
	}
	add("audit over HTTP", audit.seconds, "s")
	add("audited", float64(r.size)/audit.seconds, "/s")
	add("memory of the audit", audit.memory, "MiB")
	if err := b.reopen(ctx, r, &s, last); err != nil {
		return err
	}
	b.report.Growth = append(b.report.Growth, s)
	return nil
}

// growing is the key of a row that is not in the report.
const growing = "growing"

// reopen measures how long it takes to open a record: closed in good order, after a crash, and to check its hashes.
func (b *bench) reopen(ctx context.Context, r *record, s *Size, last bool) error {
	add := func(name string, value float64, unit string) {
		s.Figures = append(s.Figures, Figure{name, value, unit})
	}
	b.Progress(fmt.Sprintf("opening %d entries", r.size))
	crash := r.mixed(mostInOne)
	if err := r.put(ctx, crash); err != nil {
		return err
	}
	r.crash()
	m := measure(b.ours()...)
	if err := r.serve(ctx); err != nil {
		return err
	}
	m.joined(r.server.pid())
	crashed, others := m.end()
	add("open after a crash", crashed, "s")
	if last {
		b.rows["open_crashed_seconds"].Rounds = append(b.rows["open_crashed_seconds"].Rounds, Round{Ratio: crashed, Others: others})
	}
	for range 3 {
		if err := r.close(); err != nil {
			return err
		}
		m := measure(b.ours()...)
		if err := r.serve(ctx); err != nil {
			return err
		}
		m.joined(r.server.pid())
		clean, others := m.end()
		if last {
			b.rows["open_seconds"].Rounds = append(b.rows["open_seconds"].Rounds, Round{Ratio: clean, Others: others})
		}
		if err := r.grown(ctx); err != nil {
			return err
		}
	}
	if err := r.close(); err != nil {
		return err
	}
	for _, file := range []string{"ledger.db", "snapshot"} {
		if info, err := os.Stat(filepath.Join(r.dir, file)); err == nil {
			add(file, float64(info.Size())/float64(r.size), "B/entry")
		}
	}
	began := time.Now()
	_, memory, err := toEndWatched(ctx, b.line("fsck", "--hashes", r.dir)...)
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	add("fsck --hashes", took, "s")
	add("hashes checked", float64(r.size)/took, "/s")
	add("memory of fsck", memory, "MiB")
	return r.serve(ctx)
}
