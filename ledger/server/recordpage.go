package server

import (
	"context"
	"net/http"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/roll"
)

// A recordView is how the record does.
type recordView struct {
	Root          string    // base64
	Bundle        string    // path of the newest entry bundle
	Checkpoints   int       // published sizes
	Seen          time.Time // when a witness says that it saw the newest checkpoint last; zero: nobody says
	Age           any       // of that, of the catalogue
	Policy        bool      // the server was given one, so that it knows its witnesses
	Witnesses     []witnessView
	Stampings     []ledger.Stamping
	Keeping       *ledger.Keeping // nil: the server does not ask the DNS, or has not yet
	Alarms        []any           // of the catalogue
	Statements    int
	Organizations int
	Charter       *roll.Charter
}

// A witnessView is a witness of the policy.
type witnessView struct {
	Name    string
	Time    time.Time // of its cosignature of the newest checkpoint, or else the last that the server saw; zero: none
	Newest  bool      // it cosigned the newest checkpoint
	Replays bool      // it says that it recomputed the record
	Behind  uint64    // entries; 0 if it is not, or if that is not known
	Problem string    // what went wrong when it was asked last; "": nothing
}

// recordPage serves /record.
func (s *Server) recordPage(w http.ResponseWriter, r *http.Request, _ string) {
	if _, p := parameters(r.URL); p != nil {
		s.fail(w, r, *p)
		return
	}
	v, p := s.newView(r, "record")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	var err error
	if v.Record, err = s.recordView(r.Context(), v.Size); err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	s.show(w, r, v, cacheShort)
}

// recordView collects how the record of a published size does.
func (s *Server) recordView(ctx context.Context, size uint64) (*recordView, error) {
	if _, err := s.history.read(ctx); err != nil {
		return nil, err
	}
	v := &recordView{Policy: s.policy != nil}
	err := s.ledger.View(func(st *roll.State) {
		v.Statements, v.Charter = len(st.Statements()), st.Charter()
	})
	if err != nil {
		return nil, err
	}
	s.history.mu.RLock()
	v.Organizations = len(s.history.orgs)
	s.history.mu.RUnlock()
	if size > 0 {
		root := s.ledger.Published().Root
		v.Root = nodes([][32]byte{root})[0]
		t, _ := verify.TileAt(-1, (size-1)/verify.TileWidth, size)
		v.Bundle = "/" + t.Path()
		sizes, err := s.ledger.CheckpointSizes(ctx)
		if err != nil {
			return nil, err
		}
		v.Checkpoints = len(sizes)
	}
	s.seenBy(v, size)
	if s.stampings != nil {
		v.Stampings = s.stampings()
	}
	if s.keeping != nil {
		if k := s.keeping(); !k.Success.IsZero() {
			v.Keeping = &k
		}
	}
	v.Alarms = s.alarms(ctx)
	return v, nil
}

// seenBy fills in what the witnesses of the policy say of the newest checkpoint.
func (s *Server) seenBy(v *recordView, size uint64) {
	if s.policy == nil {
		return
	}
	lags := map[string]ledger.Lag{}
	if s.witnesses != nil {
		for _, lag := range s.witnesses() {
			lags[lag.Who] = lag
		}
	}
	seen := map[string]time.Time{}
	cosigned, replayed := map[string]bool{}, map[string]bool{}
	if c, err := s.policy.OpenPast(s.ledger.Checkpoint()); err == nil {
		v.Seen = c.Seen()
		for _, sig := range c.Cosignatures {
			cosigned[sig.Witness] = true
			seen[sig.Witness] = sig.Time
		}
		for _, name := range s.policy.Replayed(c) {
			replayed[name] = true
		}
	}
	if !v.Seen.IsZero() {
		v.Age = age(s.now().Sub(v.Seen))
	}
	place := map[string]int{}
	for _, w := range s.policy.Witnesses() {
		i, known := place[w.VKey.Name]
		if !known {
			i, place[w.VKey.Name] = len(v.Witnesses), len(v.Witnesses)
			v.Witnesses = append(v.Witnesses, witnessView{Name: w.VKey.Name})
		}
		view := &v.Witnesses[i] // whichever of its keys it is
		view.Newest = view.Newest || cosigned[w.Name]
		view.Replays = view.Replays || replayed[w.VKey.Name]
		if t := seen[w.Name]; t.After(view.Time) {
			view.Time = t
		}
		lag, ok := lags[w.Name]
		if !ok {
			continue
		}
		if view.Problem = lag.Err; lag.Time.After(view.Time) {
			view.Time = lag.Time
		}
		if lag.Size < size && !lag.Time.IsZero() {
			view.Behind = size - lag.Size
		}
	}
}

// age says how long ago something was.
func age(d time.Duration) any {
	n := func(unit time.Duration) int { return int(d / unit) }
	switch {
	case d < time.Minute:
		return message("age.now")
	case d < 2*time.Hour:
		return message("age.minutes", "n", n(time.Minute))
	case d < 48*time.Hour:
		return message("age.hours", "n", n(time.Hour))
	}
	return message("age.days", "n", n(24*time.Hour))
}

// alarms says what is wrong with the ledger, if anything is.
func (s *Server) alarms(ctx context.Context) (alarms []any) {
	name, ready := s.unready(ctx)
	if !ready {
		switch name {
		case ProblemFailed:
			alarms = append(alarms, message("alarm.failed"))
		case ProblemWitnesses:
			alarms = append(alarms, message("alarm.witnesses"))
		case ProblemClock:
			alarms = append(alarms, message("alarm.clock"))
		case ProblemFull:
			alarms = append(alarms, message("alarm.full"))
		default:
			alarms = append(alarms, message("alarm.signing"))
		}
	}
	if s.behind() > time.Minute {
		alarms = append(alarms, message("alarm.behind", "time", s.ledger.Stats().Admitted.UTC().Format(timeFormat)))
	}
	return alarms
}
