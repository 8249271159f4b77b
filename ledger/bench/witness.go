package bench

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
)

// A witness cosigns the checkpoints of a record, in a process of its own.
type witness struct {
	b   *bench
	dir string
}

// serve makes the witness of a log and starts it. It returns what a policy says of it, and the group that it is there.
func (w *witness) serve(ctx context.Context, logs []byte) (lines []byte, group string, err error) {
	if _, err := toEnd(ctx, nil, w.b.line("witness", "new", w.dir, "--name", "bench.example/"+filepath.Base(w.dir))...); err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(filepath.Join(w.dir, "logs.txt"), logs, 0o644); err != nil {
		return nil, "", err
	}
	p, err := w.b.keep(start(ctx, 1, nil, w.b.line("witness", "serve", w.dir, "--listen", "127.0.0.1:0")...))
	if err != nil {
		return nil, "", err
	}
	lines, err = toEnd(ctx, nil, w.b.line("witness", "show", w.dir, "--url", p.url)...)
	if err != nil {
		return nil, "", err
	}
	for line := range strings.Lines(string(lines)) {
		if rest, ok := strings.CutPrefix(line, "group "); ok {
			group, _, _ = strings.Cut(rest, " ")
		}
	}
	if group == "" {
		return nil, "", errors.New("a witness tells no group")
	}
	return lines, group, nil
}

// witnessed measures one client on an idle server whose checkpoints three witnesses cosign, and without them.
func (b *bench) witnessed(ctx context.Context) error {
	alone, err := b.mainRecord(ctx)
	if err != nil {
		return err
	}
	var witnesses []*witness
	for i := range 3 {
		witnesses = append(witnesses, &witness{b, b.path(fmt.Sprintf("witness%d", i+1))})
	}
	r, err := b.newRecord(ctx, b.path("witnessed"), 1, witnesses...)
	if err != nil {
		return err
	}
	if _, err := r.send(ctx, r.prepare(1, 1), receipts, ""); err != nil {
		return err
	}
	if err := b.receipt(ctx, r); err != nil {
		return err
	}
	if b.Quick {
		return r.close()
	}
	n := max(8, b.Entries/200)
	err = b.rounds(ctx, func(i int) ([]Round, error) {
		var with, without *loaded
		err := turns(i, func() (err error) {
			without, err = alone.send(ctx, alone.prepare(1, n), receipts, "")
			return err
		}, func() (err error) {
			with, err = r.send(ctx, r.prepare(1, n), receipts, "")
			return err
		})
		if err != nil {
			return nil, err
		}
		return []Round{{Ratio: at(with.Waits, 0.5) / at(without.Waits, 0.5), Others: max(with.Others, without.Others), figures: []Figure{
			{"witnessed p50", milli(at(with.Waits, 0.5)), "ms"}, {"witnessed p99", milli(at(with.Waits, 0.99)), "ms"},
			{"alone p50", milli(at(without.Waits, 0.5)), "ms"}, {"alone p99", milli(at(without.Waits, 0.99)), "ms"},
		}}}, nil
	}, "witnessed_per_alone")
	if err != nil {
		return err
	}
	return r.close()
}

// noteChecks are the checks of the signatures on a note by the keys that a policy names.
func noteChecks(p *verify.Policy, msg []byte) (checks []func() bool, err error) {
	text, signatures, ok := strings.Cut(string(msg), "\n\n")
	if !ok {
		return nil, errors.New("a checkpoint has no signatures")
	}
	signed := []byte(text + "\n")
	var named []keys.VKey
	for _, log := range p.Logs() {
		named = append(named, log.VKey)
	}
	for _, w := range p.Witnesses() {
		named = append(named, w.VKey)
	}
	for _, vkey := range named {
		v, err := verify.NewVerifier(vkey)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(signatures) {
			name, encoded, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "— "), " ")
			sig, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil || len(sig) < 4 {
				return nil, errors.New("a checkpoint has a signature line that is none")
			}
			if name == v.Name() && binary.BigEndian.Uint32(sig) == v.KeyHash() {
				checks = append(checks, func() bool { return v.Verify(signed, sig[4:]) })
			}
		}
	}
	return checks, nil
}
