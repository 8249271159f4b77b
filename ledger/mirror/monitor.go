package mirror

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// A MonitorConfig says what a Monitor follows, for whom, and to whom it tells what.
type MonitorConfig struct {
	Ledgers []MonitoredLedger
	Watch   *Watch
	// State is what Save was given last, nil at the very first start. Save keeps the state, durably and as a whole, before it returns.
	State []byte
	Save  func(state []byte) error
	// Deliver hands over the first of these events, a line of JSON each, or more of them, and returns how many. It is called again with
	// those that it did not hand over, and after a crash perhaps with some that it did.
	Deliver func(ctx context.Context, lines [][]byte) (int, error)
	// Evidence keeps what proves a contradiction, durably, and returns its name for people; nil: nothing is kept. What it cannot keep is logged.
	Evidence func(*verify.Contradiction) (string, error)
	// FromNow leaves out what the record held when it was looked at first.
	FromNow bool
	// MaxAge is how old the newest checkpoint may be, 0: 24 h; Heartbeat is how often a Monitor says that it is alive, 0: never; Silence is
	// after how long a witness that has not cosigned is missing, 0: 24 h; Outage after how long it is told that a ledger cannot
	// be reached, 0: 10 min, negative: at once.
	MaxAge, Heartbeat, Silence, Outage time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger is told what went wrong; nil: nobody is.
	Logger *slog.Logger
}

// A MonitoredLedger is a record that a Monitor follows.
type MonitoredLedger struct {
	Origin string
	Policy *verify.Policy
	// Fetch reaches the record as the ledger, or a mirror, serves it.
	Fetch verify.Fetch
	// Witnesses read the newest checkpoint of the record that others have seen; where there is none the error is fs.ErrNotExist.
	Witnesses []Sight
}

// A Sight is where somebody else's newest checkpoint can be read.
type Sight struct {
	Who  string
	Read func(ctx context.Context) ([]byte, error)
}

// A Monitor is a mirror that keeps nothing but its state: it follows records, checks them as an audit does, and tells what concerns its
// user. One goroutine at a time uses it.
//
// Events are put into the state before they are handed over and stay in it until they are, so that each is handed over at least
// once and always under the same ID. After a start records are read from their beginning again, as soon as there is something new in
// them: state that somebody changed cannot hide an entry that the record's rules refuse.
type Monitor struct {
	MonitorConfig
	state   *monitorState
	ledgers []*monitored
	changed bool // the state, since it was saved
}

// monitored is a ledger as it is followed.
type monitored struct {
	MonitoredLedger
	*ledgerState
	review verify.QuorumReview
	logs   []keys.VKey // of the ledger, in the policy
	vkeys  []keys.VKey // those and the witnesses'
	replay *verify.Replay
	agreed map[string]verify.Checkpoint // sightings that were compared, by who, with the checkpoint that they agreed with
}

const (
	defaultMaxAge  = 24 * time.Hour
	defaultSilence = 24 * time.Hour
	defaultOutage  = 10 * time.Minute
	maxWaiting     = 256             // events that wait to be handed over before entries are no longer read
	cacheSlack     = 5 * time.Minute // how much older than another a view may be without a question
)

// ErrMonitorState says that what a Monitor has kept cannot be used. It says nothing about any record.
var ErrMonitorState = errors.New("local state damaged")

// errBacklog ends the reading of entries until events have been handed over.
var errBacklog = errors.New("too many events wait to be handed over")

// NewMonitor returns a Monitor that goes on where its state ends. A state that was damaged is ErrMonitorState.
func NewMonitor(cfg MonitorConfig) (*Monitor, error) {
	m := &Monitor{MonitorConfig: cfg}
	if m.MaxAge == 0 {
		m.MaxAge = defaultMaxAge
	}
	if m.Silence == 0 {
		m.Silence = defaultSilence
	}
	if m.Outage == 0 {
		m.Outage = defaultOutage
	}
	if m.Now == nil {
		m.Now = time.Now
	}
	if m.Logger == nil {
		m.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if m.state, err = readMonitorState(cfg.State); err != nil {
		return nil, err
	}
	if m.state.Monitor == "" {
		var id [8]byte
		rand.Read(id[:])
		m.state.Monitor, m.changed = hex.EncodeToString(id[:]), true
	}
	for _, l := range cfg.Ledgers {
		if slices.ContainsFunc(m.ledgers, func(o *monitored) bool { return o.Origin == l.Origin }) {
			return nil, fmt.Errorf("the ledger %s is followed twice", l.Origin)
		}
		st := m.state.Ledgers[l.Origin]
		if st == nil {
			st = &ledgerState{Since: m.now(), Open: make(map[string]condition), Cosigned: make(map[string]time.Time)}
			m.state.Ledgers[l.Origin] = st
		}
		one := &monitored{MonitoredLedger: l, ledgerState: st, review: l.Policy.ReviewQuorum(), agreed: make(map[string]verify.Checkpoint)}
		for _, k := range l.Policy.Logs() {
			if k.VKey.Name == l.Origin {
				one.logs = append(one.logs, k.VKey)
			}
		}
		one.vkeys = slices.Clone(one.logs)
		for _, k := range l.Policy.Witnesses() {
			one.vkeys = append(one.vkeys, k.VKey)
		}
		m.ledgers = append(m.ledgers, one)
	}
	return m, nil
}

func (m *Monitor) now() time.Time { return m.Now().UTC().Truncate(time.Millisecond) }

// Waiting returns how many events have not been handed over.
func (m *Monitor) Waiting() int { return len(m.state.Waiting) }

// Test has one EventTest go the way of all events.
func (m *Monitor) Test(ctx context.Context) error {
	m.emit(Event{Type: EventTest, Sentence: "This is a test: if you can read it, alerts arrive."})
	if err := m.commit(); err != nil {
		return err
	}
	return m.Flush(ctx)
}

// Flush hands over the events that wait, in order, until one cannot be.
func (m *Monitor) Flush(ctx context.Context) error {
	for len(m.state.Waiting) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		lines := make([][]byte, len(m.state.Waiting))
		for i, e := range m.state.Waiting {
			lines[i] = append(slices.Clip([]byte(e)), '\n')
		}
		n, err := m.Deliver(ctx, lines)
		if n > 0 {
			m.state.Waiting = slices.Clone(m.state.Waiting[min(n, len(lines)):])
			m.changed = true
			if err := m.commit(); err != nil {
				return err
			}
		}
		if err != nil {
			return &DeliveryError{err}
		}
		if n == 0 {
			return &DeliveryError{errors.New("nothing was handed over")}
		}
	}
	return nil
}

// A DeliveryError says that events could not be handed over. They are kept.
type DeliveryError struct{ Err error }

func (e *DeliveryError) Error() string { return "an event could not be handed over: " + e.Err.Error() }

// Unwrap returns what went wrong.
func (e *DeliveryError) Unwrap() error { return e.Err }

// Look looks once at every ledger, and hands over what there is to tell. The code is the gravest of what stands wrong now, as an
// exit code; new events alone are 0. A *DeliveryError says that events wait; any other error is that of ctx or of Save, after
// which the Monitor is of no use.
func (m *Monitor) Look(ctx context.Context) (code int, err error) {
	fresh := true // every record could be checked
	for _, l := range m.ledgers {
		r := &round{m: m, monitored: l, now: m.now(), looked: make(map[EventType]bool), stands: make(map[string]bool)}
		err := r.run(ctx)
		// What was noticed is kept before another ledger is looked at, and if ctx has ended: it may not be shown again.
		if err == nil || err == ctx.Err() {
			err = cmp.Or(m.commit(), err)
		}
		if err != nil {
			return 0, err
		}
		code = graver(code, r.code())
		fresh = fresh && r.ok
	}
	if fresh {
		m.missed()
	}
	m.heartbeat()
	if err := m.commit(); err != nil {
		return 0, err
	}
	return code, m.Flush(ctx)
}

// commit saves the state if it changed.
func (m *Monitor) commit() error {
	if !m.changed {
		return nil
	}
	if err := m.Save(m.state.bytes()); err != nil {
		return &saveError{fmt.Errorf("cannot keep the state: %w", err)}
	}
	m.changed = false
	return nil
}

// emit puts an event in line and returns its ID.
func (m *Monitor) emit(e Event) string {
	m.state.Last++
	e.Schema, e.Sequence, e.Time = EventSchema, m.state.Last, m.now()
	e.ID = fmt.Sprintf("%s-%d", m.state.Monitor, e.Sequence)
	e.Notice = verify.DemoNotice(e.Origin)
	if e.Level == "" {
		e.Level = kinds[e.Type].level
	}
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings, numbers and times only
	}
	m.state.Waiting = append(m.state.Waiting, b)
	m.changed = true
	return e.ID
}

// expected tells whether an event was announced, and settles the announcement.
func (m *Monitor) expected(e *Event) bool {
	for key, x := range m.expectations() {
		if m.state.Settled[key] == "" && x.Action == e.action && x.Domain == e.Domain && slices.Equal(x.Hashes, e.hashes) && e.Admitted.Before(x.End) {
			m.state.Settled[key] = fmt.Sprintf("%s-%d", m.state.Monitor, m.state.Last+1)
			return true
		}
	}
	return false
}

// expectations yields those of the watch, each under a name of its own: the same line may stand there several times.
func (m *Monitor) expectations() iter.Seq2[string, Expectation] {
	return func(yield func(string, Expectation) bool) {
		times := make(map[string]int)
		for _, x := range m.Watch.Expect {
			line := x.String()
			times[line]++
			if !yield(fmt.Sprintf("%s #%d", line, times[line]), x) {
				return
			}
		}
	}
}

// missed tells of what was expected and did not come. All records have just been checked.
func (m *Monitor) missed() {
	known := make(map[string]bool)
	for key, x := range m.expectations() {
		known[key] = true
		if m.state.Settled[key] == "" && !m.now().Before(x.End) && !slices.ContainsFunc(m.ledgers, func(l *monitored) bool { return l.Fresh.Before(x.End) }) {
			e := Event{Type: EventExpectedMissing, Domain: x.Domain, Watched: []string{x.String()}, Sentence: fmt.Sprintf("What was expected of %s did not come: %s.", x.Domain, x)}
			m.state.Settled[key] = m.emit(e)
		}
	}
	for key := range m.state.Settled {
		if !known[key] {
			delete(m.state.Settled, key)
			m.changed = true
		}
	}
}

// heartbeat tells from time to time how things stand.
func (m *Monitor) heartbeat() {
	now := m.now()
	if m.Heartbeat <= 0 || now.Sub(m.state.Beat) < m.Heartbeat {
		return
	}
	m.state.Beat = now
	for _, l := range m.ledgers {
		e := Event{Type: EventHeartbeat, Origin: l.Origin, Size: &l.Told}
		var quiet bool
		if e.Sentence, quiet = l.standing(); !quiet {
			e.Level = LevelWarning
		}
		m.emit(e)
	}
}

// Standing says in a sentence for each ledger how things stand.
func (m *Monitor) Standing() []string {
	var sentences []string
	for _, l := range m.ledgers {
		s, _ := l.standing()
		sentences = append(sentences, s)
	}
	return sentences
}

func (l *monitored) standing() (sentence string, quiet bool) {
	var wrong []string
	for _, c := range l.Open {
		wrong = append(wrong, string(c.Type))
	}
	if !l.Failing.IsZero() {
		wrong = append(wrong, string(EventUnreachable))
	}
	slices.Sort(wrong)
	if len(wrong) == 0 && l.Told == l.Size {
		return fmt.Sprintf("All quiet as of %d entries of %s.", l.Told, l.Origin), true
	}
	if len(wrong) == 0 {
		return fmt.Sprintf("%d of %d entries of %s have been read.", l.Told, l.Size, l.Origin), false
	}
	return fmt.Sprintf("All is not well with %s as of %d entries: %s.", l.Origin, l.Told, strings.Join(slices.Compact(wrong), ", ")), false
}

// A round is one look at one ledger.
type round struct {
	m *Monitor
	*monitored
	now    time.Time
	ok     bool               // everything could be checked
	looked map[EventType]bool // conditions of which it was seen whether they stand
	stands map[string]bool    // conditions that do
	grave  int                // what is wrong and not told yet, as an exit code

	advanced bool // entries were read
}

// code returns the exit code for what stands.
func (r *round) code() int {
	code := r.grave
	for _, c := range r.Open {
		code = graver(code, kinds[c.Type].code)
	}
	return code
}

// raise notes that something is wrong, and tells of it once. key distinguishes conditions of one type.
func (r *round) raise(key string, e Event) {
	key = string(e.Type) + " " + key
	r.stands[key] = true
	r.ok = r.ok && kinds[e.Type].code == 0
	if _, known := r.Open[key]; known || len(r.Open) >= maxOpen {
		return
	}
	e.Origin = r.Origin
	id := r.m.emit(e)
	r.Open[key] = condition{Type: e.Type, Since: r.now, Event: id, Witness: e.Witness}
}

// maxOpen bounds what is held to be wrong with one ledger at one time.
const maxOpen = 256

// settle tells what is no longer wrong.
func (r *round) settle() {
	for _, key := range slices.Sorted(maps.Keys(r.Open)) {
		c := r.Open[key]
		if r.stands[key] || !r.looked[c.Type] {
			continue
		}
		delete(r.Open, key)
		about := string(c.Type)
		if c.Witness != "" {
			about += " (" + c.Witness + ")"
		}
		r.m.emit(Event{Type: EventNormal, Origin: r.Origin, About: c.Type, Witness: c.Witness, Sentence: fmt.Sprintf(
			"Back to normal with %s: %s is over. It was told of in event %s.", r.Origin, about, c.Event)})
	}
}

// seen is a checkpoint that somebody shows.
type seen struct {
	who string
	*verify.SignedCheckpoint
}

// run looks at the ledger. Its errors are those of ctx and of Save.
func (r *round) run(whole context.Context) error {
	ctx, cancel := context.WithTimeout(whole, lookTime)
	defer cancel()
	r.ok = true
	sights := make([]*seen, len(r.Witnesses))
	strange := make([]bool, len(r.Witnesses)) // it shows what is no checkpoint of the ledger
	var reading sync.WaitGroup
	for i, w := range r.Witnesses {
		reading.Go(func() {
			b, err := w.Read(ctx)
			if err != nil {
				_, strange[i] = r.Open[strangeKey(w.Who)] // until it shows something else
				if !errors.Is(err, fs.ErrNotExist) {
					r.m.Logger.Info("a witness does not tell what it has seen", "witness", w.Who, "error", err)
				}
				return
			}
			if c, err := r.Policy.OpenPast(b); err != nil || c.Origin != r.Origin {
				strange[i] = true
				r.m.Logger.Warn("what a witness shows is no checkpoint of the ledger", "witness", w.Who, "error", err)
			} else {
				sights[i] = &seen{w.Who, c}
			}
		})
	}
	note, err := r.Fetch(ctx, "checkpoint")
	reading.Wait()
	if whole.Err() != nil {
		return whole.Err() // a witness that was not waited for is not silent
	}
	for i, w := range r.Witnesses {
		if strange[i] {
			r.raise(strangeAs+w.Who, Event{Type: EventWitnessMissing, Witness: w.Who, Sentence: fmt.Sprintf(
				"What the witness %s shows is no checkpoint of %s that can be checked: whatever it has seen, it is not compared.", w.Who, r.Origin)})
		}
	}
	sights = slices.DeleteFunc(sights, func(s *seen) bool { return s == nil })
	r.recall(sights)
	if err == nil {
		err = r.checkpoint(ctx, note, sights)
	}
	if whole.Err() != nil {
		return whole.Err()
	}
	var unsaved *saveError
	if errors.As(err, &unsaved) {
		return unsaved
	}
	r.reached(err)
	r.ages()
	r.settle()
	return nil
}

// strangeAs begins the key of an EventWitnessMissing of a witness that is there.
const strangeAs = "shows "

func strangeKey(who string) string { return string(EventWitnessMissing) + " " + strangeAs + who }

// recall holds what others have seen to what the ledger showed before, by the notes alone: a ledger that contradicts itself may show no more.
func (r *round) recall(sights []*seen) {
	for _, s := range sights {
		if r.forked() {
			return
		}
		found := verify.Contradict(r.logs, r.Note, s.Note, nil)
		if found == nil {
			continue
		}
		if found.Case != verify.CaseRollback {
			found = verify.Contradict(r.vkeys, r.Note, s.Note, nil) // and whichever witnesses cosigned both
		}
		r.fork(found, s.Size, "what it showed before")
	}
}

// lookTime bounds one look at one ledger, so that none keeps the others waiting. Reading goes on with the next look.
const lookTime = 5 * time.Minute

// A saveError says that something could not be kept, after which nothing goes on.
type saveError struct{ err error }

func (e *saveError) Error() string { return e.err.Error() }
func (e *saveError) Unwrap() error { return e.err }

// reached takes in whether the ledger's record could be read.
func (r *round) reached(err error) {
	r.looked[EventUnreachable] = true
	if r.advanced || err == nil || errors.Is(err, errBacklog) {
		r.ok = r.ok && err == nil
		if err != nil && !errors.Is(err, errBacklog) {
			r.grave = graver(r.grave, verify.CodeUnchecked) // a part of what is new was read
		}
		r.m.changed = r.m.changed || !r.Failing.IsZero()
		r.Failing = time.Time{}
		return
	}
	r.ok = false
	r.grave = graver(r.grave, verify.CodeUnchecked)
	r.m.Logger.Warn("a record cannot be read", "ledger", r.Origin, "error", err)
	if r.Failing.IsZero() {
		r.Failing, r.m.changed = r.now, true
	}
	if key := string(EventUnreachable) + " "; r.now.Sub(r.Failing) < max(r.m.Outage, 0) {
		if _, open := r.Open[key]; open {
			r.stands[key] = true
		}
		return
	}
	r.raise("", Event{Type: EventUnreachable, Sentence: fmt.Sprintf("The record of %s cannot be read, since %s.", r.Origin, r.Failing.Format(time.RFC3339))})
}

// ages looks at what goes by with time alone: how old the newest checkpoint is, and each witness's last cosignature.
func (r *round) ages() {
	r.looked[EventStale], r.looked[EventWitnessMissing] = true, true
	switch {
	case r.Fresh.IsZero() && r.Size > 0 && r.now.Sub(r.Since) > r.m.MaxAge:
		r.raise("", Event{Type: EventStale, Size: &r.Size, Sentence: fmt.Sprintf("Nobody whose word counts says how old the record is that %s shows.", r.Origin)})
	case !r.Fresh.IsZero() && r.now.Sub(r.Fresh) > r.m.MaxAge:
		r.raise("", Event{Type: EventStale, Size: &r.Size, Sentence: fmt.Sprintf("The newest checkpoint of %s that was to be had is of %s: what came after it could be withheld.", r.Origin, r.Fresh.Format(time.RFC3339))})
	}
	r.looked[EventWitnessContradiction] = true
	for _, w := range r.Policy.Witnesses() {
		name := w.VKey.Name
		r.stands[string(EventWitnessContradiction)+" "+name] = true // as long as the policy names it
		last := r.Cosigned[name]
		if base := later(last, r.Since); r.now.Sub(base) > r.m.Silence {
			sentence := fmt.Sprintf("The witness %s has not cosigned %s since %s.", name, r.Origin, last.Format(time.RFC3339))
			if last.IsZero() {
				sentence = fmt.Sprintf("The witness %s has not cosigned %s for as long as it is watched.", name, r.Origin)
			}
			r.raise(name, Event{Type: EventWitnessMissing, Witness: name, Sentence: sentence})
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// checkpoint takes in what the ledger shows. An error says that its record could not be read, or is one of Save.
func (r *round) checkpoint(ctx context.Context, note []byte, sights []*seen) error {
	r.looked[EventUntrusted], r.looked[EventQuorumMissed] = true, true
	c, err := r.Policy.Open(note)
	if err == nil && c.Origin != r.Origin {
		err = &verify.UntrustedError{Problem: "it is a checkpoint of another record"}
	}
	var quorum *verify.QuorumError
	switch {
	case errors.As(err, &quorum) && c.Origin == r.Origin:
		r.raise("", Event{Type: EventQuorumMissed, Size: &c.Size, Sentence: fmt.Sprintf("The checkpoint that %s shows is not cosigned by the quorum of the policy.", r.Origin)})
	case err != nil:
		r.looked[EventQuorumMissed] = false
		r.raise("", Event{Type: EventUntrusted, Sentence: fmt.Sprintf("What %s shows as its checkpoint cannot be trusted: %v.", r.Origin, err)})
		return nil
	}
	fresh := c.Fresh
	if r.Policy.NoQuorum() {
		fresh = c.LogTime
	}
	r.note(c.Cosignatures)
	for _, s := range sights {
		r.note(s.Cosignatures)
	}
	continues, err := r.continues(ctx, c, fresh)
	if err != nil || !continues {
		return err
	}
	if fresh.After(r.Fresh) && fresh.Before(r.now.Add(cacheSlack)) {
		r.Fresh, r.m.changed = fresh, true
	}
	if !r.Sound || r.Told < r.Size {
		if err := r.read(ctx, c); err != nil {
			return err
		}
	}
	r.cosignatures(c, sights)
	return r.compare(ctx, c, sights)
}

// note remembers when witnesses cosigned.
func (r *round) note(cosignatures []verify.Cosignature) {
	for _, s := range cosignatures {
		if s.Time.After(r.Cosigned[s.VKey.Name]) && s.Time.Before(r.now.Add(cacheSlack)) {
			r.Cosigned[s.VKey.Name], r.m.changed = s.Time, true
		}
	}
}

// continues holds a checkpoint to the largest one that was seen.
func (r *round) continues(ctx context.Context, c *verify.SignedCheckpoint, fresh time.Time) (bool, error) {
	r.looked[EventShrunk] = true
	if r.forked() {
		return false, nil
	}
	if r.Size == 0 {
		return true, r.remember(c)
	}
	known := verify.Checkpoint{Origin: r.Origin, Size: r.Size, Root: r.Root}
	if c.Size >= r.Size {
		same, found, err := r.agree(ctx, known, r.Note, c.Checkpoint, c.Note)
		if err != nil {
			return false, r.damaged(err)
		}
		if !same {
			r.fork(found, c.Size, "what it showed before")
			return false, nil
		}
		if found != nil { // it was the smaller one that came too late
			r.fork(found, r.Size, "what it showed before")
			return false, nil
		}
		r.misled(known, r.Note, c.Checkpoint, c.Note)
		return true, r.remember(c)
	}
	same, found, err := r.agree(ctx, c.Checkpoint, c.Note, known, r.Note)
	if err == nil && !same || found != nil {
		r.fork(found, c.Size, "what it showed before")
		return false, nil
	}
	r.misled(c.Checkpoint, c.Note, known, r.Note)
	if fresh.IsZero() || r.now.Sub(fresh).Abs() > cacheSlack {
		r.raise("", Event{Type: EventShrunk, Size: &c.Size, Sentence: fmt.Sprintf("%s shows a record of %d entries, although it has shown %d.", r.Origin, c.Size, r.Size)})
	}
	return false, nil
}

// forked says whether there is proof or sight of another history, after which nothing is taken in any more.
func (r *round) forked() bool {
	for _, c := range r.Open {
		if c.Type == EventForked || c.Type == EventRolledBack {
			r.ok = false
			return true
		}
	}
	return false
}

// remember makes a checkpoint the one that all later ones must continue, before anything is read from it.
func (r *round) remember(c *verify.SignedCheckpoint) error {
	if r.m.FromNow && r.Size == 0 {
		r.Told = c.Size
	}
	if c.Size != r.Size {
		r.Sound = false
	}
	if !bytes.Equal(c.Note, r.Note) {
		r.Size, r.Root, r.Note, r.m.changed = c.Size, c.Root, c.Note, true
	}
	return r.m.commit()
}

// agree tells whether the first entries of the larger tree are the smaller one, and if not what proves it. The error says that
// the larger tree could not be read; even then something may be proven.
func (r *round) agree(ctx context.Context, smaller verify.Checkpoint, smallerNote []byte, larger verify.Checkpoint, largerNote []byte) (same bool, found *verify.Contradiction, err error) {
	if smaller == larger {
		return true, nil, nil
	}
	prove := func(nodes verify.NodeReader) *verify.Contradiction {
		found := verify.Contradict(r.logs, smallerNote, largerNote, nodes)
		if found == nil || found.Case == verify.CaseRollback {
			return found
		}
		return verify.Contradict(r.vkeys, smallerNote, largerNote, nodes) // and whichever witnesses cosigned both
	}
	if smaller.Size == larger.Size {
		return false, prove(nil), nil
	}
	hashes, err := verify.NewHashReader(ctx, larger, r.Fetch)
	var root [32]byte
	if err == nil {
		root, err = hashes.RootAt(ctx, smaller.Size)
	}
	if err != nil {
		return false, prove(nil), err
	}
	nodes := func(level uint, index uint64) ([32]byte, error) { return hashes.Node(ctx, level, index) }
	return root == smaller.Root, prove(nodes), nil
}

// misled tells of witnesses that have signed a smaller tree as the newest after a larger one. That says nothing about the ledger.
func (r *round) misled(a verify.Checkpoint, noteA []byte, b verify.Checkpoint, noteB []byte) {
	if a.Size == b.Size {
		return
	}
	for _, w := range r.Policy.Witnesses() {
		if slices.ContainsFunc(r.logs, w.VKey.SameKey) {
			continue
		}
		found := verify.Contradict([]keys.VKey{w.VKey}, noteA, noteB, nil)
		if found == nil {
			continue
		}
		name := w.VKey.Name
		r.prove(found, name, Event{Type: EventWitnessContradiction, Witness: name, Sentence: fmt.Sprintf(
			"The witness %s signed an old copy of the record of %s as the newest after it had signed a larger one. Nothing that it signs can be relied on; it says nothing against the ledger.", name, r.Origin)})
	}
}

// fork tells of another history.
func (r *round) fork(found *verify.Contradiction, size uint64, than string) {
	e := Event{Type: EventForked, Size: &size, Sentence: fmt.Sprintf("%s shows another history in a record of %d entries than %s. Nothing more is read from it.", r.Origin, size, than)}
	if found != nil && found.Case == verify.CaseRollback {
		e.Type = EventRolledBack
		e.Sentence = fmt.Sprintf("%s went back to a record of %d entries after it had signed a larger one. Nothing more is read from it.", r.Origin, size)
	}
	if found != nil {
		if proven, err := found.Check(); err == nil {
			e.Sentence = proven.Sentence + " Nothing more is read from it."
		}
	}
	r.prove(found, "", e)
}

// prove keeps what proves something, and tells it.
func (r *round) prove(found *verify.Contradiction, key string, e Event) {
	if _, known := r.Open[string(e.Type)+" "+key]; found != nil && r.m.Evidence != nil && !known {
		name, err := r.m.Evidence(found)
		if err != nil {
			// The alert matters more; the log is where the proof is not lost.
			r.m.Logger.Error("cannot keep the proof of a contradiction", "ledger", r.Origin, "error", err, "proof", string(found.Bytes()))
		}
		e.Evidence = name
	}
	r.raise(key, e)
}

// damaged takes in that what the ledger serves is not what its checkpoint fixes. Any other error is returned.
func (r *round) damaged(err error) error {
	var wrong *verify.ContradictionError
	if !errors.As(err, &wrong) {
		return err
	}
	r.raise("", Event{Type: EventDamaged, Size: &r.Size, Sentence: fmt.Sprintf("What %s serves is not what its own checkpoint fixes: %s.", r.Origin, wrong.Problem)})
	return nil
}

// read reads and checks what is new.
func (r *round) read(ctx context.Context, c *verify.SignedCheckpoint) error {
	if r.replay == nil {
		r.replay = verify.NewReplay(r.Origin, verify.ReplayOptions{
			Policy: r.Policy, Fetch: r.Fetch,
			Entry: func(index uint64, _ []byte, leaf *entry.Leaf) error { return r.m.entry(r.monitored, index, leaf) },
		})
	}
	before := r.replay.State().Size()
	var report *verify.Report
	err := errBacklog
	for errors.Is(err, errBacklog) {
		if len(r.m.state.Waiting) >= maxWaiting {
			if err := r.m.handOver(ctx); err != nil {
				return err
			}
		}
		report, err = r.replay.Advance(ctx, c.Note)
	}
	r.advanced = r.replay.State().Size() > before
	if err != nil {
		return r.damaged(err)
	}
	r.looked[EventContradiction], r.looked[EventUnchecked] = true, true // an inadmissible entry stays one
	proofs := slices.Clone(report.Contradictions)
	wrong := false
	for _, f := range report.Findings {
		e := Event{Sentence: f.Sentence, Index: f.Index, Size: &r.Size}
		switch {
		case f.Code == verify.CodeQuorum:
			continue // told already
		case f.Rule != "":
			e.Type = EventInadmissible
		case f.Code == verify.CodeContradiction:
			e.Type = EventContradiction
		default:
			e.Type = EventUnchecked
		}
		wrong = true
		var found *verify.Contradiction
		if i := slices.IndexFunc(proofs, func(p *verify.Contradiction) bool { return proves(p, e.Type, f.Index) }); i >= 0 {
			found = proofs[i]
			proofs = slices.Delete(proofs, i, i+1)
		}
		sum := entry.Sum([]byte(f.Sentence))
		r.prove(found, hex.EncodeToString(sum[:8]), e)
	}
	if r.Sound != !wrong {
		r.Sound, r.m.changed = !wrong, true
	}
	return nil
}

// proves tells whether a file is about a finding.
func proves(p *verify.Contradiction, typ EventType, index *uint64) bool {
	if index == nil || !slices.ContainsFunc(p.Leaves, func(l verify.Support) bool { return l.Index == *index }) {
		return false
	}
	return p.Case == verify.CaseEntry && typ == EventInadmissible || p.Case == verify.CaseTime && typ == EventContradiction
}

// handOver makes room for more events; errBacklog: there is none yet.
func (m *Monitor) handOver(ctx context.Context) error {
	err := m.commit()
	if err == nil {
		err = m.Flush(ctx)
	}
	var undelivered *DeliveryError
	if errors.As(err, &undelivered) {
		return errBacklog
	}
	return err
}

// entry takes in an entry that was read.
func (m *Monitor) entry(l *monitored, index uint64, leaf *entry.Leaf) error {
	if index < l.Told {
		return nil
	}
	for _, e := range m.Watch.events(l.replay.State(), index, leaf) {
		e.Origin, e.Size = l.Origin, &l.Size
		if e.action != "" && m.expected(&e) {
			*e.Expected, e.Level = true, LevelInfo
		}
		m.emit(e)
	}
	l.Told, m.changed = index+1, true
	if len(m.state.Waiting) >= maxWaiting {
		return errBacklog
	}
	return nil
}

// cosignatures looks at how many witnesses have cosigned the checkpoint. Any two sets of witnesses, one that is a quorum and one
// as large as is asked for here, have a witness in common.
func (r *round) cosignatures(c *verify.SignedCheckpoint, sights []*seen) {
	r.looked[EventFewCosignatures] = true
	if r.Policy.NoQuorum() {
		return
	}
	have := make(map[string]bool)
	count := func(list []verify.Cosignature) {
		for _, s := range list {
			have[s.VKey.Name] = slices.Contains(r.review.Voters, s.VKey.Name)
		}
	}
	count(c.Cosignatures)
	for _, s := range sights {
		if s.Checkpoint == c.Checkpoint {
			count(s.Cosignatures)
		}
	}
	n := 0
	for _, counts := range have {
		if counts {
			n++
		}
	}
	want := len(r.review.Voters) - r.review.Smallest + 1
	if n < want {
		r.raise("", Event{Type: EventFewCosignatures, Size: &c.Size, Sentence: fmt.Sprintf(
			"%d of %d witnesses have cosigned what %s shows, and the policy is content with %d. To be sure that nobody is shown another record, %d would be needed.",
			n, len(r.review.Voters), r.Origin, r.review.Smallest, want)})
	}
}

// compare holds what others have seen to what the ledger shows.
func (r *round) compare(ctx context.Context, c *verify.SignedCheckpoint, sights []*seen) error {
	for _, s := range sights {
		smaller, larger := s.SignedCheckpoint, c
		if s.Size > c.Size {
			smaller, larger = c, s.SignedCheckpoint
		}
		same, err := true, error(nil)
		var found *verify.Contradiction
		if with, known := r.agreed[s.who]; !known || with != s.Checkpoint {
			same, found, err = r.agree(ctx, smaller.Checkpoint, smaller.Note, larger.Checkpoint, larger.Note)
		} else {
			found = verify.Contradict(r.logs, smaller.Note, larger.Note, nil) // the same tree can be signed anew
		}
		if err == nil && !same || found != nil {
			r.fork(found, s.Size, "what the witness "+s.who+" has seen")
			return nil
		}
		r.misled(smaller.Checkpoint, smaller.Note, larger.Checkpoint, larger.Note)
		if err == nil && s.Size <= c.Size {
			r.agreed[s.who] = s.Checkpoint
		}
		if err != nil && s.Size <= c.Size {
			return r.damaged(err)
		}
		if s.Size > c.Size && (s.Seen().IsZero() || r.now.Sub(s.Seen()) > cacheSlack) {
			r.raise(s.who, Event{Type: EventWithheld, Size: &s.Size, Sentence: fmt.Sprintf(
				"%s shows %d entries, although the witness %s has cosigned %d of them at %s.", r.Origin, c.Size, s.who, s.Size, s.Seen().Format(time.RFC3339))})
		}
	}
	r.looked[EventWithheld], r.looked[EventDamaged] = true, true
	return nil
}
