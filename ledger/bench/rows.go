package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// row is a Row before it is measured.
type plan struct {
	Row
	beside   bool // it is not among the ratios
	optional bool // it is left out where it was not measured
}

// rows are all comparisons, in the order of the report.
var rows = []plan{
	{Row: Row{Key: "accepted_per_verify", What: "endorsements accepted, durable, answered with a proof ÷ a server that only parses and verifies, 256 clients", Goal: 0.65, Dream: 0.80}},
	{Row: Row{Key: "cpu_per_verify", What: "processor time of the server for each accepted ÷ parse and verify alone", Goal: 1.6, Dream: 1.3, AtMost: true}},
	{Row: Row{Key: "rate_1m_per_empty", What: "the same rate with a large record ÷ with a small one", Goal: 0.9, Dream: 0.95}},
	{Row: Row{Key: "batch_per_verify", What: "many entries in one request ÷ verifying their signatures on all cores", Goal: 0.7, Dream: 0.85}},
	{Row: Row{Key: "p50_per_fdatasync", What: "one client, idle server: p50 ÷ that of fdatasync of 4 KiB on the same disk", Goal: 8, Dream: 4, AtMost: true}},
	{Row: Row{Key: "bytes_per_leaf", What: "stored bytes ÷ (leaf + 32), tiles in, checkpoint notes out, batches of 16", Goal: 1.5, Dream: 1.25, AtMost: true}},
	{Row: Row{Key: "audit_per_verify", What: "full audit, every signature and every rule ÷ verifying signatures on all cores", Goal: 0.75, Dream: 0.9}},
	{Row: Row{Key: "receipt_per_signatures", What: "judging one receipt in process ÷ the signature checks in it", Goal: 1.3, Dream: 1.1, AtMost: true}},
	{Row: Row{Key: "command_per_empty", What: "the verify command ÷ an empty Go program", Goal: 6, Dream: 4, AtMost: true}},
	{Row: Row{Key: "tile_per_static", What: "tiles served ÷ a static file server, 64 clients", Goal: 0.8, Dream: 1}},
	{Row: Row{Key: "receipts_per_verify", What: "the same as the first, answered with a whole receipt"}, beside: true, optional: true},
	{Row: Row{Key: "receipts_cpu_per_verify", What: "the same as the second, answered with a whole receipt", AtMost: true}, beside: true, optional: true},
	{Row: Row{Key: "witnessed_per_alone", What: "one client, p50 with three witnesses on this machine ÷ without", AtMost: true}, beside: true},
	{Row: Row{Key: "open_seconds", What: "seconds to open the large record, closed in good order", Goal: 2, Dream: 1, AtMost: true}, beside: true, optional: true},
	{Row: Row{Key: "open_crashed_seconds", What: "seconds to open the large record after a crash", Goal: 10, Dream: 5, AtMost: true}, beside: true, optional: true},
	{Row: Row{Key: "hashes_per_other", What: "checking hashes alone (fsck --hashes) ÷ the other program's check of its own record", Goal: 0.7, Dream: 1}, beside: true, optional: true},
	{Row: Row{Key: "accepted_per_other", What: "endorsements accepted ÷ by the other server, both with proof, 256 clients", Goal: 4}, beside: true, optional: true},
	{Row: Row{Key: "accepted_per_other_1024", What: "the same with 1024 clients", Goal: 4}, beside: true, optional: true},
}

// milli is seconds in milliseconds.
func milli(seconds float64) float64 { return 1e3 * seconds }

// at returns the value at a share of sorted values.
func at(sorted []float64, share float64) float64 {
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func (l *loaded) rate() float64 { return float64(l.Count) / l.Seconds }

// turns does a and b, in one order and the next time in the other.
func turns(i int, a, b func() error) error {
	if i%2 == 1 {
		a, b = b, a
	}
	if err := a(); err != nil {
		return err
	}
	return b()
}

// main is the record that most rows share.
func (b *bench) mainRecord(ctx context.Context) (*record, error) {
	if b.main == nil {
		members := Clients
		if len(b.Against) > 0 {
			members = manyClients
		}
		b.Progress("making a record")
		r, err := b.newRecord(ctx, b.path("main"), members)
		if err != nil {
			return nil, err
		}
		b.main = r
		if err := os.WriteFile(b.path("keys"), r.keyLines(), 0o600); err != nil {
			return nil, err
		}
	}
	return b.main, nil
}

// single measures one client on an idle server.
func (b *bench) single(ctx context.Context) error {
	r, err := b.mainRecord(ctx)
	if err != nil {
		return err
	}
	n := max(8, b.Entries/100)
	return b.rounds(ctx, func(int) ([]Round, error) {
		l, err := r.send(ctx, r.prepare(1, n), receipts, b.path("sync"))
		if err != nil {
			return nil, err
		}
		p50, sync := at(l.Waits, 0.5), at(l.Syncs, 0.5)
		return []Round{{Ratio: p50 / sync, Others: l.Others, figures: []Figure{
			{"p50", milli(p50), "ms"}, {"p99", milli(at(l.Waits, 0.99)), "ms"}, {"fdatasync p50", milli(sync), "ms"},
		}}}, nil
	}, "p50_per_fdatasync")
}

// accepted measures many clients that each submit one entry at a time and are answered with a proof.
func (b *bench) accepted(ctx context.Context) error {
	return b.acceptedWith(ctx, proofs, "accepted_per_verify", "cpu_per_verify")
}

// withReceipts measures the same with whole receipts, which is what is answered if nobody asks for less.
func (b *bench) withReceipts(ctx context.Context) error {
	if b.Quick && len(b.Only) == 0 {
		return nil
	}
	return b.acceptedWith(ctx, receipts, "receipts_per_verify", "receipts_cpu_per_verify")
}

func (b *bench) acceptedWith(ctx context.Context, ask, rate, processor string) error {
	r, err := b.mainRecord(ctx)
	if err != nil {
		return err
	}
	plain, err := b.startPart(ctx, "verify", task{Keys: b.path("keys")})
	if err != nil {
		return err
	}
	each := max(1, b.Entries/Clients)
	err = b.rounds(ctx, func(i int) ([]Round, error) {
		bodies := r.prepare(Clients, each)
		var ours, verify *loaded
		var signed float64
		err := turns(i, func() (err error) {
			verify, err = b.load(ctx, plain, load{Path: "/entries", Type: textType}, bodies)
			return err
		}, func() (err error) {
			before, err := r.checkpoints(ctx)
			if err != nil {
				return err
			}
			if ours, err = r.send(ctx, bodies, ask, ""); err != nil {
				return err
			}
			after, err := r.checkpoints(ctx)
			signed = float64(after - before)
			return err
		})
		if err != nil {
			return nil, err
		}
		others := max(ours.Others, verify.Others)
		cpu, least := ours.CPU/float64(ours.Count), verify.CPU/float64(verify.Count)
		rounds := []Round{{Ratio: ours.rate() / verify.rate(), Others: others, figures: []Figure{
			{"accepted", ours.rate(), "/s"}, {"verify only", verify.rate(), "/s"}, {"p50", milli(at(ours.Waits, 0.5)), "ms"}, {"p99", milli(at(ours.Waits, 0.99)), "ms"},
			{"entries for each checkpoint", float64(ours.Count) / max(1, signed), ""},
		}}}
		if least <= 0 {
			return append(rounds, Round{Others: -1}), nil
		}
		return append(rounds, Round{Ratio: cpu / least, Others: others, figures: []Figure{
			{"accepted", 1e6 * cpu, "µs"}, {"verify only", 1e6 * least, "µs"},
		}}), nil
	}, rate, processor)
	if err != nil {
		return err
	}
	if row := b.rows[processor]; slices.ContainsFunc(row.Rounds, func(r Round) bool { return r.Ratio == 0 }) {
		row.Rounds, row.Note = []Round{}, "this system does not tell what a process uses, or the rounds were too short to tell"
	}
	return b.end(plain)
}

// batch measures many entries in one request.
func (b *bench) batch(ctx context.Context) error {
	r, err := b.mainRecord(ctx)
	if err != nil {
		return err
	}
	n := b.Entries
	return b.rounds(ctx, func(i int) ([]Round, error) {
		entries := r.mixed(n)
		// Four clients, each for members of its own, so that requests are read while others are answered.
		var halves [4][][]byte
		for j, e := range entries {
			k := j % len(r.members) % len(halves)
			halves[k] = append(halves[k], e)
		}
		var parts [][][]byte
		bodies := make([][][]byte, len(halves))
		for k, half := range halves {
			for part := range slices.Chunk(half, mostInOne/len(halves)) {
				parts, bodies[k] = append(parts, part), append(bodies[k], frame(part))
			}
		}
		var ours *loaded
		var plain verified
		err := turns(i, func() error {
			_, err := b.part(ctx, "signatures", task{Keys: b.path("keys"), Entries: n}, entries, &plain)
			return err
		}, func() (err error) {
			if ours, err = b.load(ctx, r.server, load{Path: "/entries?wait=60s", Type: manyType, Keep: true}, bodies); err != nil {
				return err
			}
			for j, part := range parts {
				if err := r.tookMany(part, ours.answers[j]); err != nil {
					return err
				}
			}
			return r.grown(ctx)
		})
		if err != nil {
			return nil, err
		}
		if !plain.OK {
			return nil, errors.New("a signature is not good")
		}
		return []Round{{Ratio: plain.Seconds / ours.Seconds, Others: max(ours.Others, plain.Others), figures: []Figure{
			{"accepted", float64(n) / ours.Seconds, "/s"}, {"signatures", float64(n) / plain.Seconds, "/s"},
			{"signatures by keys with multiples", float64(n) / plain.Kept, "/s"},
		}}}, nil
	}, "batch_per_verify")
}

// tree copies what a record has published to a directory of files.
func (r *record) tree(ctx context.Context, dir string) error {
	put := func(path string, data []byte) error {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, data, 0o644)
	}
	return verify.WriteTree(ctx, put, r.server.get, []uint64{r.after.Size}, nil)
}

// copied returns a directory with what the main record had published when it was asked for first, and how many entries that is.
func (b *bench) copied(ctx context.Context) (dir string, size uint64, err error) {
	dir = b.path("tree")
	if b.treeSize == 0 {
		r, err := b.mainRecord(ctx)
		if err != nil {
			return "", 0, err
		}
		if n := uint64(b.Entries); r.size < n { // if little else was measured
			if err := r.grow(ctx, n, func(uint64) {}); err != nil {
				return "", 0, err
			}
		}
		if err := r.tree(ctx, dir); err != nil {
			return "", 0, err
		}
		b.treeSize = r.size
	}
	return dir, b.treeSize, nil
}

// tiles measures reading.
func (b *bench) tiles(ctx context.Context) error {
	dir, size, err := b.copied(ctx)
	if err != nil {
		return err
	}
	static, err := b.startPart(ctx, "static", task{Root: dir})
	if err != nil {
		return err
	}
	var paths []string
	for t := range verify.TilesFor(size) {
		if t.Level == 0 && t.Width == verify.TileWidth {
			paths = append(paths, "/"+t.Path())
		}
	}
	const clients = 64
	l := load{Get: paths, Clients: clients, Each: max(4, b.Entries/clients)}
	err = b.rounds(ctx, func(i int) ([]Round, error) {
		var ours, theirs *loaded
		err := turns(i, func() (err error) {
			theirs, err = b.load(ctx, static, l, nil)
			return err
		}, func() (err error) {
			ours, err = b.load(ctx, b.main.server, l, nil)
			return err
		})
		if err != nil {
			return nil, err
		}
		return []Round{{Ratio: ours.rate() / theirs.rate(), Others: max(ours.Others, theirs.Others), figures: []Figure{
			{"tiles", ours.rate(), "/s"}, {"static", theirs.rate(), "/s"},
		}}}, nil
	}, "tile_per_static")
	if err != nil {
		return err
	}
	return b.end(static)
}

// audit measures the audit of a copy of the record.
func (b *bench) audit(ctx context.Context) error {
	dir, size, err := b.copied(ctx)
	if err != nil {
		return err
	}
	r := b.main
	entries := r.mixed(min(b.Entries, 8192))
	err = b.rounds(ctx, func(i int) ([]Round, error) {
		var plain verified
		var audit audited
		err := turns(i, func() error {
			_, err := b.part(ctx, "signatures", task{Keys: b.path("keys"), Entries: len(entries)}, entries, &plain)
			return err
		}, func() (err error) {
			audit, err = b.auditOf(ctx, r.policyFile(), dir)
			return err
		})
		if err != nil {
			return nil, err
		}
		rate, most := float64(size)/audit.seconds, float64(len(entries))/plain.Seconds
		return []Round{{Ratio: rate / most, Others: max(plain.Others, audit.others), figures: []Figure{
			{"audited", rate, "/s"}, {"signatures", most, "/s"}, {"signatures by keys with multiples", float64(len(entries)) / plain.Kept, "/s"}, {"memory", audit.memory, "MiB"},
		}}}, nil
	}, "audit_per_verify")
	if err != nil {
		return err
	}
	// What was signed to be verified comes into the record too, because what the members say next follows it.
	for part := range slices.Chunk(entries, mostInOne) {
		if err := r.put(ctx, part); err != nil {
			return err
		}
	}
	return r.grown(ctx)
}

// audited is how an audit went.
type audited struct{ seconds, others, memory float64 }

// auditOf has the program audit a record, which must hold, in a process of its own.
func (b *bench) auditOf(ctx context.Context, policy, from string) (a audited, err error) {
	m := measure(b.ours()...)
	_, a.memory, err = toEndWatched(ctx, b.line("audit", "--policy", policy, from)...)
	a.seconds, a.others = m.end()
	return a, err
}

// bytes measures what the store holds of a record whose entries came 16 at a time.
func (b *bench) bytes(ctx context.Context) error {
	row := b.rows["bytes_per_leaf"]
	b.Progress(row.What)
	r, err := b.newRecord(ctx, b.path("bytes"), 16)
	if err != nil {
		return err
	}
	n := max(256, b.Entries/4)
	for part := range slices.Chunk(r.mixed(n), 16) {
		if err := r.put(ctx, part); err != nil {
			return err
		}
	}
	var leaves int64
	for t := range verify.TilesFor(r.size) {
		if t.Level >= 0 {
			continue
		}
		bundle, err := r.server.get(ctx, t.Path())
		if err != nil {
			return err
		}
		entries, err := verify.SplitBundle(bundle, t.Width)
		if err != nil {
			return err
		}
		for _, leaf := range entries {
			leaves += int64(len(leaf)) + verify.HashSize
		}
	}
	if err := r.close(); err != nil {
		return err
	}
	stored, err := withoutNotes(ctx, r.dir)
	if err != nil {
		return err
	}
	figures := []Figure{{"stored", float64(stored) / float64(r.size), "B"}, {"leaf + 32", float64(leaves) / float64(r.size), "B"}}
	if info, err := os.Stat(filepath.Join(r.dir, "snapshot")); err == nil {
		figures = append(figures, Figure{"snapshot", float64(info.Size()) / float64(r.size), "B"})
	}
	row.Rounds = append(row.Rounds, Round{Ratio: float64(stored) / float64(leaves), Others: -1, figures: figures})
	return nil
}

// withoutNotes removes the checkpoint notes from a store that is not used, and returns the bytes of the pages in use then.
func withoutNotes(ctx context.Context, dir string) (int64, error) {
	store, err := boltstore.Open(dir, false)
	if err != nil {
		return 0, err
	}
	paths, err := store.List(ctx, "checkpoints/")
	for _, path := range paths {
		if err == nil {
			err = store.Delete(ctx, path)
		}
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return 0, err
	}
	return boltstore.Used(dir)
}

// command measures the verify command against a program that does nothing.
func (b *bench) command(ctx context.Context) error {
	row := b.rows["command_per_empty"]
	b.Progress(row.What)
	empty, err := b.empty(ctx)
	if err != nil {
		row.Note = "there is no empty program to compare with: " + err.Error()
		return nil
	}
	r, err := b.mainRecord(ctx)
	if err != nil {
		return err
	}
	// Where this row alone is asked for, nobody has endorsed anything yet.
	if _, err := r.send(ctx, r.prepare(1, 1), receipts, ""); err != nil {
		return err
	}
	receipt, err := r.receipt(ctx)
	if err != nil {
		return err
	}
	path := b.path("receipt.tlog-proof")
	if err := os.WriteFile(path, receipt, 0o600); err != nil {
		return err
	}
	line := b.line("verify", "--policy", r.policyFile(), path)
	n := 12
	if !b.Quick {
		n = 40
	}
	return b.rounds(ctx, func(int) ([]Round, error) {
		var ours, theirs []float64
		m := measure(b.ours()...)
		for range n {
			for _, side := range []struct {
				times *[]float64
				line  []string
			}{{&theirs, []string{empty}}, {&ours, line}} {
				began := time.Now()
				if _, err := toEnd(ctx, nil, side.line...); err != nil {
					return nil, err
				}
				*side.times = append(*side.times, time.Since(began).Seconds())
			}
		}
		_, others := m.end()
		return []Round{{Ratio: median(ours) / median(theirs), Others: others, figures: []Figure{
			{"verify", milli(median(ours)), "ms"}, {"empty", milli(median(theirs)), "ms"},
		}}}, nil
	}, "command_per_empty")
}

// emptyLimit is how long it may take to build an empty program.
const emptyLimit = 20 * time.Second

// empty builds a Go program that does nothing.
func (b *bench) empty(ctx context.Context) (string, error) {
	tool, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("no go command was found to build one with")
	}
	dir := b.path("empty")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for name, text := range map[string]string{"go.mod": "module empty\n\ngo 1.21\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	if b.Quick {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, emptyLimit)
		defer cancel()
	}
	cmd := command(ctx, tool, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", "empty.exe")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=local", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building one: %w: %s", err, strings.TrimSpace(string(out[:min(len(out), 200)])))
	}
	return filepath.Join(dir, "empty.exe"), nil
}

// receipt returns the receipt of one of the newest endorsements, and not of a withdrawal.
func (r *record) receipt(ctx context.Context) ([]byte, error) {
	for i := r.size; i > 0; i-- {
		raw, err := r.server.get(ctx, fmt.Sprintf("api/v1/receipt/%d", i-1))
		if err != nil {
			return nil, err
		}
		p, err := verify.ParseReceipt(raw)
		if err != nil {
			return nil, err
		}
		leaf, err := entry.ParseLeaf(p.Leaf)
		if err != nil {
			return nil, err
		}
		if e, ok := leaf.Entry.Body.(*entry.Endorsement); ok && e.Action == entry.Endorse {
			return raw, nil
		}
	}
	return nil, errors.New("nobody endorsed anything")
}

// receipt measures what a reader does with a receipt of a record.
func (b *bench) receipt(ctx context.Context, r *record) error {
	raw, err := r.receipt(ctx)
	if err != nil {
		return err
	}
	checks, err := r.checks(raw)
	if err != nil {
		return err
	}
	const n = 300
	return b.rounds(ctx, func(int) ([]Round, error) {
		var judging, checking []float64
		m := measure(b.ours()...)
		for range n {
			began := time.Now()
			p, err := verify.ParseReceipt(raw)
			if err != nil {
				return nil, err
			}
			if v := verify.Judge(verify.Input{Policy: r.policy, Receipt: p, Now: b.Now()}); v.Code != verify.CodeOK {
				return nil, errors.New(v.Sentence)
			}
			middle := time.Now()
			for _, check := range checks {
				if !check() {
					return nil, errors.New("a signature is not good")
				}
			}
			judging, checking = append(judging, middle.Sub(began).Seconds()), append(checking, time.Since(middle).Seconds())
		}
		_, others := m.end()
		return []Round{{Ratio: median(judging) / median(checking), Others: others, figures: []Figure{
			{"judged", 1e6 * median(judging), "µs"}, {"signatures alone", 1e6 * median(checking), "µs"}, {"signatures", float64(len(checks)), ""},
		}}}, nil
	}, "receipt_per_signatures")
}

// checks are the signature checks that a receipt needs: of the entry, and of the log and the witnesses on both notes.
func (r *record) checks(raw []byte) (checks []func() bool, err error) {
	p, err := verify.ParseReceipt(raw)
	if err != nil {
		return nil, err
	}
	leaf, err := entry.ParseLeaf(p.Leaf)
	if err != nil {
		return nil, err
	}
	k, err := readKeys(r.b.path("keys"))
	if err != nil {
		return nil, err
	}
	msg := leaf.Entry.Text()
	for i, named := range leaf.Entry.Named() {
		checks = append(checks, func() bool { return k[named.Ref].ours.Verify(origin, msg, leaf.Entry.Signatures[i].Sig) })
	}
	for _, note := range [][]byte{p.Checkpoint, p.After} {
		more, err := noteChecks(r.policy, note)
		if err != nil {
			return nil, err
		}
		checks = append(checks, more...)
	}
	return checks, nil
}
