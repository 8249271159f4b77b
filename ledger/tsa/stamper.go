package tsa

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/timestamp"
)

const (
	// every is how often each authority stamps a checkpoint.
	every = 24 * time.Hour
	// firstPause and lastPause bound how long to wait after a failure; it doubles from one to the next.
	firstPause = time.Minute
	lastPause  = time.Hour
	// notYet is how long to wait for a ledger that has published nothing, or waits for its witnesses.
	notYet = time.Second
	// look is how long a wait is relied on: a clock may be set meanwhile.
	look = time.Hour
	// patience is how long to wait for a token to be published. It is in the record before.
	patience = time.Minute
)

// errNotYet says that a ledger cannot take a token in for now, which is no failure of an authority's.
var errNotYet = errors.New("the ledger has published nothing yet")

// A Stamper has authorities stamp a published checkpoint of a ledger, each of them one a day, and the ledger keep the tokens. What fails
// is tried again; the ledger goes on meanwhile.
type Stamper struct {
	ledger      *ledger.Ledger
	now         func() time.Time
	log         *slog.Logger
	authorities []*authority
}

// authority is one that stamps.
type authority struct {
	*Client
	due   time.Time     // when it is asked next
	pause time.Duration // after the last failure; 0: it did not fail
	known bool          // it has been asked since the start, so that it is known which tokens are its

	mu     sync.Mutex
	status ledger.Stamping
}

// NewStamper returns a Stamper. now is the clock, nil: time.Now; nil for log: nobody is told.
func NewStamper(l *ledger.Ledger, clients []*Client, now func() time.Time, log *slog.Logger) *Stamper {
	s := &Stamper{ledger: l, now: now, log: log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, c := range clients {
		s.authorities = append(s.authorities, &authority{Client: c, status: ledger.Stamping{Who: c.URL}})
	}
	return s
}

// Run stamps until ctx ends.
func (s *Stamper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		timer := time.NewTimer(min(s.Step(ctx), look))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Step asks those authorities that are due, one after the other, and returns how long to wait before the next is.
func (s *Stamper) Step(ctx context.Context) time.Duration {
	wait := every
	for _, a := range s.authorities {
		// A clock that was set back does not put an authority off for longer than a day.
		if now := s.now(); !a.due.After(now) || a.due.After(now.Add(every)) {
			s.ask(ctx, a)
		}
		wait = min(wait, a.due.Sub(s.now()))
	}
	return max(wait, time.Second)
}

// Status returns how each authority does.
func (s *Stamper) Status() []ledger.Stamping {
	list := make([]ledger.Stamping, len(s.authorities))
	for i, a := range s.authorities {
		a.mu.Lock()
		list[i] = a.status
		a.mu.Unlock()
	}
	return list
}

// ask has one authority stamp, and settles when it is asked next.
func (s *Stamper) ask(ctx context.Context, a *authority) {
	status, due, err := s.stamp(ctx, a)
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, errNotYet) || errors.Is(err, ledger.ErrUnwitnessed) {
		a.due = s.now().Add(notYet)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.pause = min(max(2*a.pause, firstPause), lastPause)
		a.due = s.now().Add(a.pause)
		a.status.Failures++
		a.status.Err = err.Error()
		s.log.Warn("a checkpoint could not be stamped; it is tried again", "tsa", a.URL, "error", err, "after", a.pause)
		return
	}
	a.pause, a.known, a.due = 0, true, due
	a.status.Time, a.status.Size, a.status.Err = status.Time, status.Size, ""
}

// stamp has an authority stamp the newest published checkpoint, and the ledger keep the token, unless its authority's last one in the
// record is less than a day old. It returns what is in the record then, and when the next is due.
func (s *Stamper) stamp(ctx context.Context, a *authority) (status ledger.Stamping, due time.Time, err error) {
	if err := s.ledger.ReadOnly(); err != nil {
		return status, due, err
	}
	size := s.ledger.Published().Size
	if size == 0 {
		return status, due, errNotYet
	}
	note, err := s.ledger.CheckpointAt(ctx, size)
	if err != nil {
		return status, due, err
	}
	token, stamp, err := a.Stamp(ctx, note)
	if err != nil {
		return status, due, err
	}
	if !a.known {
		// Which of the tokens in the record are this authority's tells the certificate alone, and that it names with each.
		if mark, size, ok := s.kept(ctx, token); ok {
			return ledger.Stamping{Time: mark.Admitted, Size: size}, mark.Admitted.Add(every), nil
		}
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := s.ledger.AddEvidence(waiting, &entry.Evidence{Type: entry.RFC3161, Size: size, Data: token})
	if !r.Stored {
		return status, due, r.Err
	}
	s.log.Info("a checkpoint was stamped", "tsa", a.URL, "size", size, "time", stamp.Time, "entry", r.Index)
	return ledger.Stamping{Time: stamp.Time, Size: size}, s.now().Add(every), nil
}

// kept looks for a token of the last day by the certificate that signed this one.
func (s *Stamper) kept(ctx context.Context, token []byte) (mark roll.Mark, size uint64, ok bool) {
	who, ok := timestamp.Signer(token)
	if !ok {
		return mark, 0, false
	}
	var stamps []roll.Stamp
	if err := s.ledger.View(func(st *roll.State) { stamps = st.Stamps() }); err != nil {
		return mark, 0, false
	}
	since := s.now().Add(-every)
	for i := len(stamps) - 1; i >= 0 && stamps[i].Admitted.After(since); i-- {
		raw, err := s.ledger.Leaf(ctx, stamps[i].Index)
		if err != nil {
			continue // it is not published yet
		}
		leaf, err := entry.ParseLeaf(raw)
		if err != nil {
			continue
		}
		if v, isEvidence := leaf.Entry.Body.(*entry.Evidence); isEvidence {
			if other, ok := timestamp.Signer(v.Data); ok && other == who {
				return stamps[i].Mark, v.Size, true
			}
		}
	}
	return mark, 0, false
}
