package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

const (
	clockMembers = 6
	clockSteps   = 24 // of a cycle
	clockBatch   = 4  // entries of one commit at most
	day          = 24 * time.Hour
)

// A clockWorld is a ledger within this process whose clock is ours.
type clockWorld struct {
	*trial
	store   *storetest.Memory
	path    string // of the last-signed record
	signers []ledger.Signer
	policy  *verify.Policy
	signed  *ledger.LastSigned
	ledger  *ledger.Ledger

	operator *member
	members  []*member
	notes    map[uint64]time.Time // times in published checkpoints, by size

	mu       sync.Mutex
	now      time.Time
	wild     bool // every reading of the clock is another
	readings int
}

// clock turns a ledger's clock by years, forward and back, between entries, amid a batch, and while it is closed. In the record
// no time goes back, no checkpoint was signed before the last entry under it was admitted, and an outsider finds
// nothing wrong; what is dated too far from the clock is refused by the rule that says so, and nothing else is.
func clock(ctx context.Context, t *trial) error {
	admitted, refused, turns := 0, 0, 0
	for t.more() {
		w, err := t.newClockWorld(ctx)
		if err != nil {
			return err
		}
		for n := 0; n < clockSteps && !t.wrong(); n++ {
			w.turn()
			turns++
			if t.rng.IntN(6) == 0 {
				if err := w.reopen(ctx); err != nil {
					t.fault("opening at %v: %v", w.reading(), err)
					break
				}
			}
			a, r, err := w.submit(ctx)
			if err != nil {
				return err
			}
			admitted, refused = admitted+a, refused+r
			w.look()
		}
		if !t.wrong() {
			w.judge(ctx)
		}
		w.close()
		t.add(&t.checkpoints, len(w.notes))
		t.cycle()
	}
	t.acknowledged = admitted
	t.say("the clock turned %d times, %d entries refused because of their dates", turns, refused)
	if refused == 0 || admitted == 0 {
		return errors.New("the clock did not make a difference")
	}
	return nil
}

func (w *clockWorld) read() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wild {
		w.readings++
		w.now = w.now.Add(time.Duration(w.readings%7-3) * time.Hour)
	}
	return w.now
}

func (w *clockWorld) reading() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *clockWorld) set(now time.Time, wild bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now, w.wild = now, wild
}

// honest is the true time of these ledgers, which moves on by itself only with what is submitted.
var honest = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// turn sets the clock to something: mostly near the truth, at times years off, and at times out of all range.
func (w *clockWorld) turn() {
	now := honest.Add(time.Duration(w.rng.IntN(int(time.Hour))))
	wild := false
	switch w.rng.IntN(16) {
	case 0:
		now = now.AddDate(1, 0, 0)
	case 1:
		now = now.AddDate(-1, 0, 0)
	case 2:
		now = now.AddDate(10, 0, 0)
	case 3:
		now = now.AddDate(-10, 0, 0)
	case 4:
		now = now.Add(20 * day)
	case 5:
		now = now.Add(-20 * day)
	case 6:
		now = time.Unix(w.rng.Int64N(3)-1, 0)
	case 7:
		now = time.Date(9999+w.rng.IntN(2), time.Month(1+11*w.rng.IntN(2)), 1+30*w.rng.IntN(2), 23, 59, 59, 999_999_999, time.UTC)
	case 8:
		now = time.Time{}
	case 9, 10:
		wild = true
	}
	w.set(now, wild)
}

func (t *trial) newClockWorld(ctx context.Context) (*clockWorld, error) {
	w := &clockWorld{trial: t, store: storetest.NewMemory(), notes: make(map[uint64]time.Time)}
	dir, err := os.MkdirTemp(t.dir, "clock-")
	if err != nil {
		return nil, err
	}
	w.path = filepath.Join(dir, "last-signed")
	w.set(honest, false)
	policy := ""
	for _, k := range []struct {
		suite keys.Suite
		typ   byte
		size  int
	}{{keys.Ed25519, keys.TypeEd25519, 32}, {keys.MLDSA44, keys.TypeCosignatureMLDSA44, 1312}} {
		key, err := source.Generate(k.suite)
		if err != nil {
			return nil, err
		}
		spki := key.Public().SPKI()
		v, err := keys.NewVKey(origin, k.typ, spki[len(spki)-k.size:])
		if err != nil {
			return nil, err
		}
		w.signers = append(w.signers, ledger.Signer{VKey: v, Sign: func(msg []byte) ([]byte, error) { return key.Sign(v.Name, msg) }})
		policy += "log " + v.String() + "\n"
	}
	if w.policy, err = verify.ParsePolicy([]byte(policy + "quorum none\n")); err != nil {
		return nil, err
	}
	if w.operator, err = newMember(operator); err != nil {
		return nil, err
	}
	ref := w.operator.line().Ref()
	date := honest.Format(entry.DateFormat)
	genesis, err := sign(&entry.Entry{
		Ledger: origin, Genesis: true, Signer: operator, Keys: []keys.Ref{ref}, Date: date,
		Body: &entry.Charter{Title: "A record under torture", Operator: operator, PublicKeys: []entry.PublicKey{w.operator.line()},
			Admission: entry.Admission{Operator: true}, Roll: "manual"},
	}, w.operator)
	if err != nil {
		return nil, err
	}
	cfg, err := w.config()
	if err != nil {
		return nil, err
	}
	if err := ledger.Create(ctx, cfg, genesis); err != nil {
		return nil, err
	}
	if err := w.reopen(ctx); err != nil {
		return nil, err
	}
	// What the members of this record are about is as in any other.
	r := &record{trial: t, operator: w.operator}
	e, err := r.publication()
	if err != nil {
		return nil, err
	}
	entries := []*entry.Entry{e}
	for range clockMembers {
		m, err := r.join()
		if err != nil {
			return nil, err
		}
		if e, err = r.registration(m); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	w.members = r.members
	for _, e := range entries {
		by := []*member{w.operator} // vouches, or publishes
		for _, m := range w.members {
			if m.domain == e.Signer {
				by = append(by, m)
			}
		}
		e.Date, e.Signatures = date, nil
		if e, err = sign(e, by...); err != nil {
			return nil, err
		}
		if r := w.ledger.Submit(ctx, e.Bytes())[0]; r.Err != nil {
			return nil, r.Err
		}
	}
	return w, nil
}

func (w *clockWorld) config() (cfg ledger.Config, err error) {
	w.signed, err = ledger.OpenLastSigned(w.path)
	return ledger.Config{Origin: origin, Store: w.store, Signers: w.signers, LastSigned: w.signed, Now: w.read, MaxBatch: clockBatch}, err
}

func (w *clockWorld) close() {
	if w.ledger != nil {
		w.ledger.Close()
		w.ledger = nil
	}
	w.signed.Close()
}

// reopen closes the ledger and opens it, by the clock as it is now.
func (w *clockWorld) reopen(ctx context.Context) error {
	w.close()
	cfg, err := w.config()
	if err != nil {
		return err
	}
	if w.ledger, err = ledger.Open(ctx, cfg); err != nil {
		return err
	}
	return w.ledger.ReadOnly()
}

// submit submits a word of some members, dated truly, as the clock says, or at the edge of what the clock allows. It holds the
// answers to what the rules say of those dates.
func (w *clockWorld) submit(ctx context.Context) (admitted, refused int, err error) {
	size := w.ledger.Published().Size
	note, err := w.ledger.CheckpointAt(ctx, size)
	if err != nil {
		return 0, 0, err
	}
	h := entry.Sum([]byte(statement))
	now := w.reading()
	var batch [][]byte
	var dates []time.Time
	var last time.Time
	for _, m := range w.members[:1+w.rng.IntN(len(w.members))] {
		action := entry.Endorse
		var previous *entry.Hash
		err := w.ledger.View(func(s *roll.State) {
			if e, ok := s.Endorsement(m.domain, h); ok {
				previous = &e.ID
				if e.Action == entry.Endorse {
					action = entry.Withdraw
				}
			}
			last = s.Admitted()
		})
		if err != nil {
			return 0, 0, err
		}
		date := []time.Time{honest, now, last, now.Add(-30 * day), now.Add(-31 * day), now.Add(day), now.Add(2 * day)}[w.rng.IntN(7)].UTC().Truncate(day)
		if date.Year() < 1970 || date.Year() > 9999 {
			date = honest.Truncate(day)
		}
		e, err := sign(&entry.Entry{
			Ledger: origin, Previous: previous, Signer: m.domain, Keys: []keys.Ref{m.line().Ref()}, Date: date.Format(entry.DateFormat),
			Body: &entry.Endorsement{Action: action, Statement: h, After: entry.After{Size: size, Note: entry.Sum(note)}},
		}, m)
		if err != nil {
			return 0, 0, err
		}
		batch, dates = append(batch, e.Bytes()), append(dates, date)
	}
	w.mu.Lock()
	wild := w.wild
	w.mu.Unlock()
	for i, r := range w.ledger.Submit(ctx, batch...) {
		var refusal *ledger.Refusal
		at := now.UTC().Truncate(time.Millisecond)
		if at.Before(last) {
			at = last
		}
		ahead := at.Truncate(day).Sub(dates[i]) / day
		right := ahead >= -1 && ahead <= 30 && at.Year() >= 1970 && at.Year() <= 9999
		switch {
		case errors.As(r.Err, &refusal):
			refused++
			if refusal.Rule != roll.RuleDate && refusal.Rule != roll.RuleSyntax || refusal.Detail == "" || right && !wild {
				w.fault("dated %s, the clock at %v, the last entry of %v: %v", dates[i].Format(entry.DateFormat), now, last, r.Err)
			}
		case r.Err != nil:
			w.fault("the clock at %v: %v", now, r.Err)
		default:
			admitted++
			if !right && !wild {
				w.fault("dated %s, the clock at %v, the last entry of %v: it was admitted", dates[i].Format(entry.DateFormat), now, last)
			}
			if r.Admitted.Before(last) {
				w.fault("an entry was admitted at %v, one before it at %v", r.Admitted, last)
			}
		}
	}
	return admitted, refused, nil
}

// look takes up the checkpoint that is published.
func (w *clockWorld) look() {
	signed, err := w.policy.Open(w.ledger.Checkpoint())
	if err != nil {
		w.fault("a checkpoint is not one: %v", err)
		return
	}
	w.notes[signed.Size] = signed.LogTime
}

// judge holds the record that came of it to the rules, with a clock that is right again.
func (w *clockWorld) judge(ctx context.Context) {
	w.set(honest.Add(day), false)
	if err := w.reopen(ctx); err != nil {
		w.fault("opening when the clock is right again: %v", err)
		return
	}
	w.look()
	report, err := verify.Audit(ctx, w.policy, w.ledger.Fetch, verify.AuditOptions{Now: w.read})
	if err != nil || !report.OK {
		w.fault("the audit: %v %+v", err, report)
	}
	var logs []keys.VKey
	for _, s := range w.signers {
		logs = append(logs, s.VKey)
	}
	check, err := ledger.Check(ctx, w.store, ledger.CheckOptions{Origin: origin, Logs: logs, LastSigned: w.signed})
	if err != nil || !check.OK() {
		w.fault("the check: %v %v", err, check)
	}
	var times []time.Time
	for i := range w.ledger.Stats().Stored {
		leaf, err := w.ledger.Leaf(ctx, i)
		if err != nil {
			w.fault("entry %d: %v", i, err)
			return
		}
		l, err := entry.ParseLeaf(leaf)
		if err != nil {
			w.fault("entry %d: %v", i, err)
			return
		}
		if i > 0 && l.Admitted.Before(times[i-1]) {
			w.fault("entry %d was admitted at %v, the one before at %v", i, l.Admitted, times[i-1])
		}
		times = append(times, l.Admitted)
	}
	for size, signed := range w.notes {
		if last := times[size-1]; signed.Before(last.Truncate(time.Second)) {
			w.fault("the checkpoint of size %d was signed at %v, and its last entry admitted at %v", size, signed, last)
		}
	}
}
