package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/tccm/undersigned/verify"
)

// manyClients is how many a server gets that answers late, so that it can do its best.
const manyClients = 1024

// other is a server that is measured beside ours.
type other struct {
	*process
	policy *verify.Policy // its own key
	given  map[uint64]bool
}

// against measures another server with the same bodies.
func (b *bench) against(ctx context.Context) error {
	if len(b.Against) == 0 {
		return nil
	}
	r, err := b.mainRecord(ctx)
	if err != nil {
		return err
	}
	dir := b.path("other")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	line := append(slices.Clone(b.Against), "-dir", dir, "-keys", b.path("keys"), "-origin", origin)
	p, err := b.keep(start(ctx, 2, nil, line...))
	if err != nil {
		return err
	}
	o := &other{process: p, given: make(map[uint64]bool)}
	vkey := p.lines[1]
	if o.policy, err = verify.ParsePolicy(fmt.Appendf(nil, "log %s\nquorum none\n", vkey)); err != nil {
		return fmt.Errorf("%s tells no verifier key on its second line: %w", line[0], err)
	}
	for _, with := range []struct {
		key     string
		clients int
	}{{"accepted_per_other", Clients}, {"accepted_per_other_1024", manyClients}} {
		each := max(1, b.Entries/with.clients)
		err := b.rounds(ctx, func(i int) ([]Round, error) {
			bodies := r.prepare(with.clients, each)
			var ours, theirs *loaded
			err := turns(i, func() (err error) {
				theirs, err = o.send(ctx, b, bodies)
				return err
			}, func() (err error) {
				ours, err = r.send(ctx, bodies, proofs, "")
				return err
			})
			if err != nil {
				return nil, err
			}
			return []Round{{Ratio: ours.rate() / theirs.rate(), Others: max(ours.Others, theirs.Others), figures: []Figure{
				{"ours", ours.rate(), "/s"}, {"ours p50", milli(at(ours.Waits, 0.5)), "ms"}, {"ours p99", milli(at(ours.Waits, 0.99)), "ms"}, {"ours, processor", 1e6 * ours.CPU / float64(ours.Count), "µs"},
				{"other", theirs.rate(), "/s"}, {"other p50", milli(at(theirs.Waits, 0.5)), "ms"}, {"other p99", milli(at(theirs.Waits, 0.99)), "ms"}, {"other, processor", 1e6 * theirs.CPU / float64(theirs.Count), "µs"},
			}}}, nil
		}, with.key)
		if err != nil {
			return err
		}
	}
	if err := b.end(p); err != nil || b.late() {
		return err
	}
	return b.hashes(ctx, r, line[0], dir, vkey)
}

// found is what the other program's check says: how many entries it has checked, and in how many seconds.
var found = regexp.MustCompile(`: ([0-9]+) entries in ([0-9.]+) s`)

// hashes measures the check of hashes alone, of each program on its own record: "COMMAND fsck -vkey KEY -dir DIR".
func (b *bench) hashes(ctx context.Context, r *record, other, dir, vkey string) error {
	if err := r.close(); err != nil {
		return err
	}
	err := b.rounds(ctx, func(i int) ([]Round, error) {
		var ours, theirs float64
		m := measure(b.ours()...)
		err := turns(i, func() error {
			out, err := toEnd(ctx, nil, other, "fsck", "-vkey", vkey, "-dir", dir)
			if err != nil {
				return err
			}
			said := found.FindSubmatch(out)
			if said == nil {
				return errors.New("the other program does not say what it has checked")
			}
			n, _ := strconv.ParseFloat(string(said[1]), 64)
			seconds, _ := strconv.ParseFloat(string(said[2]), 64)
			theirs = n / seconds
			return nil
		}, func() error {
			began := time.Now()
			_, err := toEnd(ctx, nil, b.line("fsck", "--hashes", r.dir)...)
			ours = float64(r.size) / time.Since(began).Seconds()
			return err
		})
		if err != nil {
			return nil, err
		}
		_, others := m.end()
		return []Round{{Ratio: ours / theirs, Others: others, figures: []Figure{{"ours", ours, "/s"}, {"other", theirs, "/s"}}}}, nil
	}, "hashes_per_other")
	if err != nil {
		return err
	}
	return r.serve(ctx)
}

// send has each client submit its entries, and checks the answers: each an index of its own, and proofs of a sample.
func (o *other) send(ctx context.Context, b *bench, bodies [][][]byte) (*loaded, error) {
	l, err := b.load(ctx, o.process, load{Path: "/entries", Type: textType, Keep: true}, bodies)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for _, of := range bodies {
		entries = append(entries, of...)
	}
	for i, raw := range l.answers {
		var a answer
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, fmt.Errorf("the other server's answer: %w", err)
		}
		if o.given[a.Index] {
			return nil, fmt.Errorf("the other server gave two entries the index %d", a.Index)
		}
		o.given[a.Index] = true
		if i%32 == 0 {
			if err := o.check(entries[i], a); err != nil {
				return nil, fmt.Errorf("the other server's proof: %w", err)
			}
		}
	}
	return l, nil
}

// check checks a receipt of these bytes.
func (o *other) check(leaf []byte, a answer) error {
	r, err := verify.ParseReceipt([]byte(a.Receipt))
	if err != nil {
		return err
	}
	if r.Index != a.Index || !bytes.Equal(r.Leaf, leaf) {
		return errors.New("it is of another entry")
	}
	c, err := o.policy.OpenPast(r.Checkpoint)
	if err != nil {
		return err
	}
	return verify.CheckInclusion(verify.LeafHash(leaf), r.Index, c.Size, r.Proof, c.Root)
}
