package verify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// AuditSchema names the JSON form of a Report.
const AuditSchema = "undersigned/audit/v1"

// Exit codes that Reports and Verdicts carry. The gravest applies, in the order 20, 21, 13, 10, 12, 11, 3, 0.
const (
	CodeOK            = 0  // nothing contradicts
	CodeMalformed     = 1  // what was handed in is not in the form that it must have
	CodeUnchecked     = 3  // could not check: network, missing file, stale copy, a form of a later version
	CodeOtherText     = 10 // the text differs
	CodeNotFound      = 11 // no endorsement found
	CodeWithdrawn     = 12 // endorsed, but withdrawn or superseded
	CodeUntrusted     = 13 // bad signature, or the key is not theirs
	CodeContradiction = 20 // the record contradicts itself
	CodeQuorum        = 21 // not enough witnesses, or they disagree
)

// AuditOptions says how Audit goes about it. The zero value is fine.
type AuditOptions struct {
	// Paths lists everything that the source holds, if it can tell (Archive.Paths): what the record does not
	// account for is then a finding, and every published note and text in it is checked. nil: a source that
	// cannot tell, such as a server.
	Paths []string
	// Receipts are those that will be judged beside the report (Input.Record): the audit holds them against
	// the record.
	Receipts []*Receipt
	// Progress is called now and then, from one goroutine, with the number of entries done so far.
	Progress func(done, total uint64)
	// Now is the clock, for MaxAge. nil: time.Now.
	Now func() time.Time
	// MaxAge is how old the newest time in the checkpoint may be; 0: any age.
	MaxAge time.Duration
	// About is a domain whose endorsements will be asked about in the report (Report.Bounds), as those of Receipts are.
	About string
	// Covering, if set, tells the size of the first published checkpoint that covers an entry, if the source can; nil: what
	// Paths has. It is taken for a hint.
	Covering func(ctx context.Context, index uint64) (size uint64, ok bool)
	// TimeStamps, if set, checks the time stamps that the record holds. Otherwise they are counted, and remarked on. It may be called
	// by many goroutines.
	TimeStamps CheckTimeStamp
	// Help, if set, has a question about signatures answered elsewhere, as a roll.Answerer does. It is for where one process has but one core, and
	// is called by at most 2*Helpers+1 goroutines. What fails, or is not answered, is checked here.
	Help func(ctx context.Context, question []byte) (answer []byte, err error)
	// Helpers is how many there are that answer.
	Helpers int
}

// Report is what an audit found. Its JSON form is the schema "undersigned/audit/v1".
type Report struct {
	Schema   string `json:"schema"`
	OK       bool   `json:"ok"` // Code is 0
	Code     int    `json:"code"`
	Sentence string `json:"sentence"`         // for people
	Notice   string `json:"notice,omitempty"` // DemoNotice, to be shown beside Sentence

	Origin          string                `json:"origin,omitempty"`
	Size            uint64                `json:"size"`
	Root            string                `json:"root,omitempty"`        // base64, as in the checkpoint
	Seen            *time.Time            `json:"seen,omitempty"`        // since when a quorum has seen the checkpoint; under a policy without a quorum the log's own time; UTC
	Witnesses       []string              `json:"witnesses"`             // the policy's names of those that cosigned the checkpoint
	Entries         map[entry.Kind]uint64 `json:"entries"`               // admitted entries by kind
	Refused         uint64                `json:"refused"`               // entries in the log that its own rules refuse
	Past            uint64                `json:"past_checkpoints"`      // earlier checkpoint notes that were checked
	Texts           uint64                `json:"texts"`                 // texts that were checked
	Stamps          uint64                `json:"time_stamps"`           // time stamps of trusted authorities that were checked, and hold
	UncheckedStamps uint64                `json:"unchecked_time_stamps"` // those for which no trusted root answers
	Findings        []Finding             `json:"findings"`              // the gravest first, then by index; at most MaxFindings
	Unlisted        uint64                `json:"unlisted_findings"`     // how many more there were
	Remarks         []Remark              `json:"remarks"`               // by index; at most MaxFindings
	UnlistedRemarks uint64                `json:"unlisted_remarks"`      // how many more there were
	Beyond          *uint64               `json:"beyond,omitempty"`      // the first entry of a form that this version does not know
	LastRecord      *time.Time            `json:"last_admitted,omitempty"`

	// Contradictions are files that prove some of the findings to anybody, and convict the log's keys that signed: at most 16.
	Contradictions []*Contradiction `json:"-"`
	// Misled are files that convict witnesses and no key of the log: at most 16. They say nothing against the record.
	Misled []*Contradiction `json:"-"`

	// State is the folded record, nil if the audit did not come to it.
	State *roll.State `json:"-"`

	checkpoint *SignedCheckpoint
	receipts   map[*Receipt]*noted
	bounds     map[uint64]Bounds
	stamps     []Stamped           // by index; until the audit ends guarded by auditor.mu
	unchecked  []unchecked         // time stamps
	chains     map[uint64]sighting // of DNSSEC chains, by index
}

// Finding is one thing that an audit found wrong, or could not check.
type Finding struct {
	Code     int     `json:"code"`            // CodeContradiction, CodeUntrusted, CodeQuorum, CodeUnchecked or CodeMalformed
	Index    *uint64 `json:"index,omitempty"` // of the entry that it is about
	Rule     string  `json:"rule,omitempty"`  // the rule of admission that an entry breaks (roll.Rule)
	Sentence string  `json:"sentence"`        // for people
}

// Remark is something that an audit found odd, or left out because it was not given what that takes. It is no finding: it
// breaks no rule of the record.
type Remark struct {
	Index    *uint64 `json:"index,omitempty"` // of the entry that it is about
	Sentence string  `json:"sentence"`        // for people
}

// MaxFindings bounds the findings that a report lists, and its remarks.
const MaxFindings = 100

// noted is what an audit keeps for the judgement of one receipt.
type noted struct {
	root    [32]byte // the record's at the size of the receipt's checkpoint
	rooted  bool
	refusal *roll.Inadmissible // why the record's own rules refuse the entry
}

// Audit replays a whole record: it opens the checkpoint under the policy, reads every tile and entry
// bundle and holds each byte against the root hash, folds the entries by the rules that they are kept
// by (signatures are checked on all cores), and checks every earlier checkpoint note that entries quote
// or that an archive holds. It streams, and keeps little more than the folded state. The error is
// that of ctx; all else is in the report.
func Audit(ctx context.Context, p *Policy, fetch Fetch, o AuditOptions) (*Report, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &auditor{
		policy: p, fetch: fetch, o: o,
		report: newReport(),
		past:   make(map[uint64]*pastNote),
		slots:  make(chan struct{}, max(replaySlots, runtime.GOMAXPROCS(0))),
	}
	a.run(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return a.conclude(), nil
}

// Beside returns a copy of a report with what the judgement of other receipts (AuditOptions.Receipts) or of an organization (About) needs
// from the record. The policy and fetch are those of the audit. A record that holds is not replayed again, and what is read of it is held
// to the root hash that was audited; another one is audited anew. The error is that of ctx; all else is in the report.
func (r *Report) Beside(ctx context.Context, p *Policy, fetch Fetch, o AuditOptions) (*Report, error) {
	if !r.OK || r.State == nil || r.checkpoint == nil {
		return Audit(ctx, p, fetch, o)
	}
	beside := *r
	beside.receipts, beside.bounds = make(map[*Receipt]*noted), make(map[uint64]Bounds)
	beside.Findings = slices.Clone(r.Findings)
	a := &auditor{policy: p, fetch: fetch, o: o, report: &beside, past: make(map[uint64]*pastNote)}
	var err error
	if a.hashes, err = NewHashReader(ctx, r.checkpoint.Checkpoint, fetch); err != nil {
		a.broken(err)
	} else {
		a.receipts(ctx)
		a.bound(ctx, r.checkpoint)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(beside.Findings) > 0 {
		beside.OK = false
		a.conclude()
	}
	return &beside, nil
}

func newReport() *Report {
	return &Report{Schema: AuditSchema, Witnesses: []string{}, Entries: make(map[entry.Kind]uint64), Findings: []Finding{}, Remarks: []Remark{}, receipts: make(map[*Receipt]*noted), bounds: make(map[uint64]Bounds)}
}

// AuditArchive is Audit of an archive, all of it.
func AuditArchive(ctx context.Context, p *Policy, a *Archive, o AuditOptions) (*Report, error) {
	o.Paths = a.Paths()
	return Audit(ctx, p, a.Fetch, o)
}

// auditor is one audit under way, or all the steps of a Replay.
type auditor struct {
	replay *Replay // nil: an audit
	policy *Policy
	fetch  Fetch
	o      AuditOptions
	report *Report // fields but those that mu guards: of the goroutine that runs
	hashes *HashReader
	texts  map[entry.Hash]bool // what statements and renditions name, once it was asked for
	last   time.Time           // admitted of the last admitted entry
	stamps []int64             // when each leaf says that it was admitted, Unix milliseconds; 8 bytes an entry
	dates  []int32             // what its signer claims; 4 bytes an entry
	halt   error               // why a Replay folds no more entries in this step
	asker  *roll.Asker         // nil: signatures are checked here

	lasting bool // what was found wrong is in what was signed, so that it stays wrong

	mu        sync.Mutex // guards what follows, and in report Findings, Remarks, what is unlisted of them, and Past
	past      map[uint64]*pastNote
	order     []uint64    // keys of past, oldest first
	spans     []span      // of past notes that hold, as far as they are not compared with the entries yet
	unchecked []unchecked // time stamps
	again     []*pastNote // of a Replay: to be looked for in the next step, with what quotes them
	checking  sync.WaitGroup
	slots     chan struct{} // one for each past note that is being checked
}

// slack is how far the ledger's clock and a witness's may be apart (the sequencer stops there).
const slack = 5 * time.Minute

func (a *auditor) run(ctx context.Context) {
	note, err := a.fetch(ctx, checkpointPath)
	if err != nil {
		a.broken(&fetchError{checkpointPath, err})
		return
	}
	c, fresh, err := a.open(note)
	if err != nil {
		a.broken(err)
		return
	}
	r := a.report
	if a.hashes, err = NewHashReader(ctx, c.Checkpoint, a.fetch); err != nil {
		a.broken(err)
		return
	}
	r.State = roll.New(c.Origin)
	if err := a.entries(ctx); err != nil {
		a.broken(err)
	} else {
		a.paths(ctx)
	}
	a.checking.Wait()
	a.sumChains(ctx, c)
	a.between(ctx)
	a.sumStamps()
	a.receipts(ctx)
	a.bound(ctx, c)
	a.latest(c)
	switch {
	case a.o.MaxAge <= 0:
	case fresh.IsZero():
		a.find(CodeUnchecked, nil, "", "This copy of the record does not say how old it is.")
	case a.o.Now().Sub(fresh) > a.o.MaxAge:
		a.find(CodeUnchecked, nil, "", "This copy of the record is older than was asked for: its newest time is "+second(fresh)+".")
	}
}

// open opens the checkpoint that is audited, and tells since when it is known.
func (a *auditor) open(note []byte) (c *SignedCheckpoint, fresh time.Time, err error) {
	c, err = a.policy.Open(note)
	var quorum *QuorumError
	if errors.As(err, &quorum) {
		a.find(CodeQuorum, nil, "", quorum.Sentence("this copy of the record")+".")
	} else if err != nil {
		return nil, fresh, err
	}
	r := a.report
	r.Notice = DemoNotice(c.Origin)
	r.checkpoint, r.Origin, r.Size, r.Root = c, c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:])
	for _, s := range c.Cosignatures {
		r.Witnesses = append(r.Witnesses, s.Witness)
	}
	// How fresh the copy is, a quorum says; without one there is only the log's own word.
	fresh = c.Fresh
	if a.policy.NoQuorum() {
		fresh = c.LogTime
	}
	if !fresh.IsZero() {
		r.Seen = &fresh
	}
	return c, fresh, nil
}

// latest holds the times of the entries against the checkpoint's.
func (a *auditor) latest(c *SignedCheckpoint) {
	if a.last.IsZero() {
		return
	}
	a.report.LastRecord = new(time.Time)
	*a.report.LastRecord = a.last
	if c.notAfter.IsZero() {
		return
	}
	newest := c.notAfter.Add(slack).UnixMilli()
	for i, stamp := range a.stamps {
		if index := uint64(i); stamp > newest && index < c.Size {
			a.find(CodeContradiction, &index, "", fmt.Sprintf("Entry %d says that it was recorded after every time in the signatures on this copy of the record.", index))
		}
	}
}

// find adds a finding. It may be called from any goroutine.
func (a *auditor) find(code int, index *uint64, rule roll.Rule, sentence string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	// A few more than can be listed are kept, so that which are listed hangs less on the order of arrival.
	if len(a.report.Findings) >= 10*MaxFindings {
		a.report.Unlisted++
		return
	}
	a.report.Findings = append(a.report.Findings, Finding{code, index, string(rule), sentence})
}

// broken adds the finding for an error that stops what was under way.
func (a *auditor) broken(err error) {
	code, sentence := explain(err)
	a.find(code, nil, "", sentence)
}

// explain gives the code and a sentence for the errors of this package and of a Fetch.
func explain(err error) (code int, sentence string) {
	var wrong *ContradictionError
	var format *FormatError
	var untrusted *UntrustedError
	var fetch *fetchError
	switch {
	case errors.As(err, &wrong):
		return CodeContradiction, "In this copy of the record, " + wrong.Problem + "."
	case errors.As(err, &format):
		return CodeMalformed, "What should be a " + format.What + " is not one: " + format.Problem + "."
	case errors.As(err, &untrusted):
		return CodeUntrusted, "This copy of the record cannot be trusted: " + untrusted.Problem + "."
	case errors.As(err, &fetch) && errors.Is(err, fs.ErrNotExist):
		return CodeUnchecked, "Could not check: " + fetch.path + " is missing."
	case errors.As(err, &fetch):
		return CodeUnchecked, "Could not check: " + fetch.path + " could not be read."
	}
	return CodeUnchecked, "Could not check: the record could not be read."
}

// bundle is one entry bundle on its way to the fold.
type bundle struct {
	first  uint64
	raw    [][]byte
	leaves []*entry.Leaf // nil where raw does not parse
	err    error
	ready  chan struct{}
}

const (
	bundlesAhead = 4   // read and parsed while others are being folded
	chunkLen     = 64  // entries whose signatures are checked while those before them are being folded
	helpFrom     = 256 // entries for which it pays to ask for help
)

// chunk is a run of entries whose signatures are being checked.
type chunk struct {
	first   uint64
	raw     [][]byte
	leaves  []*entry.Leaf
	sigs    []*roll.Signatures
	asked   *roll.Question // nil: they are checked here
	next    atomic.Int64
	workers sync.WaitGroup
}

// entries reads the entries that are not folded yet, in order, and folds them.
func (a *auditor) entries(ctx context.Context) error {
	reading, cancel := context.WithCancel(ctx) // of bundles; the notes that entries quote outlive the loop
	from, size := a.report.State.Size(), a.report.Size
	queue := make(chan *bundle, bundlesAhead)
	ahead := 1
	if a.o.Help != nil && a.o.Helpers > 0 && size-min(from, size) >= helpFrom {
		a.asker, ahead = a.report.State.Asker(), 2*a.o.Helpers
	}
	var before []*chunk // the oldest first
	defer func() {      // nothing reads from the source, or looks at the state, after Audit has returned
		for _, c := range before {
			c.workers.Wait()
		}
		cancel()
		for b := range queue {
			<-b.ready
		}
	}()
	go func() {
		defer close(queue)
		for i := from / TileWidth; from < size && i*TileWidth < size; i++ {
			b := &bundle{first: i * TileWidth, ready: make(chan struct{})}
			select {
			case queue <- b:
				go a.read(reading, b)
			case <-reading.Done():
				return
			}
		}
	}()
	done := uint64(0)
	for b := range queue {
		<-b.ready
		if b.err != nil {
			return b.err
		}
		if b.first < from {
			b.raw, b.leaves, b.first = b.raw[from-b.first:], b.leaves[from-b.first:], from
		}
		for at := 0; at < len(b.raw) && a.report.Beyond == nil && a.halt == nil; at += chunkLen {
			end := min(at+chunkLen, len(b.raw))
			c := &chunk{first: b.first + uint64(at), raw: b.raw[at:end], leaves: b.leaves[at:end], sigs: make([]*roll.Signatures, end-at)}
			a.check(ctx, c)
			if before = append(before, c); len(before) > ahead {
				a.fold(ctx, before[0])
				before = before[1:]
			}
		}
		if len(before) > 0 {
			done = before[0].first
		}
		a.progress(done)
	}
	for _, c := range before {
		a.fold(ctx, c)
	}
	if ctx.Err() == nil && a.halt == nil {
		a.progress(size)
	}
	return cmp.Or(ctx.Err(), a.halt)
}

func (a *auditor) progress(done uint64) {
	if a.o.Progress != nil {
		a.o.Progress(done, a.report.Size)
	}
}

// read fetches a bundle, holds it against the root hash and parses its leaves.
func (a *auditor) read(ctx context.Context, b *bundle) {
	defer close(b.ready)
	b.raw, b.err = a.hashes.Entries(ctx, b.first/TileWidth)
	b.leaves = make([]*entry.Leaf, len(b.raw))
	for i, raw := range b.raw {
		if leaf, err := entry.ParseLeaf(raw); err == nil {
			b.leaves[i] = leaf
		}
	}
}

// check starts to check the signatures of a chunk, as far as the keys known by now allow.
func (a *auditor) check(ctx context.Context, c *chunk) {
	if a.asker != nil {
		entries := make([]*entry.Entry, len(c.leaves))
		for i, l := range c.leaves {
			if l != nil {
				entries[i] = l.Entry
			}
		}
		c.asked = a.asker.Ask(entries)
		c.workers.Go(func() {
			if answer, err := a.o.Help(ctx, c.asked.Bytes()); err == nil {
				c.sigs = c.asked.Answered(answer)
			}
		})
		return
	}
	for range min(runtime.GOMAXPROCS(0), len(c.raw)) {
		c.workers.Go(func() {
			for i := c.next.Add(1) - 1; i < int64(len(c.leaves)); i = c.next.Add(1) - 1 {
				if l := c.leaves[i]; l != nil {
					c.sigs[i] = a.report.State.CheckSignatures(l.Entry)
				}
			}
		})
	}
}

// fold applies a chunk's leaves once their signatures are checked.
func (a *auditor) fold(ctx context.Context, c *chunk) {
	c.workers.Wait()
	if c.asked != nil {
		defer a.asker.Applied(c.asked)
	}
	for i, l := range c.leaves {
		if a.report.Beyond != nil || a.halt != nil || ctx.Err() != nil {
			return
		}
		index := c.first + uint64(i)
		var err error
		if l != nil {
			err = a.report.State.ApplyLeaf(index, l, c.sigs[i])
		} else {
			err = a.report.State.Apply(index, c.raw[i])
		}
		a.applied(ctx, index, c.raw[i], l, err)
	}
}

// applied takes in what the fold said about one leaf.
func (a *auditor) applied(ctx context.Context, index uint64, raw []byte, l *entry.Leaf, err error) {
	stamp, date := int64(noStamp), int32(noDate)
	if l != nil {
		stamp, date = l.Admitted.UnixMilli(), dayOf(l.Entry.Date)
	}
	var refusal *roll.Inadmissible
	refused := errors.As(err, &refusal)
	if err == nil || refused {
		a.stamps, a.dates = append(a.stamps, stamp), append(a.dates, date)
	}
	switch {
	case err == nil:
		a.report.Entries[l.Entry.Body.Kind()]++
		a.last = l.Admitted
		if e, ok := l.Entry.Body.(*entry.Endorsement); ok {
			a.quoted(ctx, quote{index: index, admitted: l.Admitted, date: date, after: e.After})
		}
		if e, ok := l.Entry.Body.(*entry.Evidence); ok && e.Type == entry.RFC3161 {
			a.quoted(ctx, quote{index: index, admitted: l.Admitted, date: noDate, after: entry.After{Size: e.Size}, about: true})
			if a.replay == nil {
				a.stamped(ctx, index, l.Admitted, e)
			}
		}
		if a.replay != nil {
			a.halt = a.replay.admitted(index, raw, l)
		}
	case refused:
		a.report.Refused++
		a.find(CodeContradiction, &index, refusal.Rule, fmt.Sprintf("Entry %d is in the record though its rules refuse it: %s.", index, refusal.Detail))
		a.convictEntry(ctx, index, raw, l)
		for _, r := range a.o.Receipts {
			if r.Index == index {
				a.note(r).refusal = refusal
			}
		}
		if a.replay != nil {
			a.halt, a.lasting = refusal, true
		}
	default:
		a.report.Beyond = &index
		a.find(CodeUnchecked, &index, "", fmt.Sprintf("Could not check beyond entry %d: it is of a form that this version does not know.", index))
	}
}

// pastNote is an earlier checkpoint note, published at checkpoints/<size>.
type pastNote struct {
	size   uint64
	done   bool      // guarded by auditor.mu, as is quotes
	quotes []quote   // to be checked when done
	hash   [32]byte  // of the whole note; valid when done
	note   []byte    // the same, until it is kept; nil in an audit
	from   time.Time // not before which it was signed; zero if nobody whose word counts says
	since  time.Time // Policy.NotBefore
	bad    bool      // it was not to be had or is found wrong: that is one finding, not one for every quote
}

// quote is one entry's after line, or what evidence is about: then any note that was published of that size will do.
type quote struct {
	index    uint64
	admitted time.Time
	date     int32
	after    entry.After
	about    bool
}

// maxPast bounds the past notes that are remembered. One that is quoted again after it was forgotten
// is checked again.
const maxPast = 1 << 14

// quoted checks the note that an entry quotes, once for all the entries that quote it.
func (a *auditor) quoted(ctx context.Context, q quote) {
	n, fresh := a.pastNote(q.after.Size)
	a.mu.Lock()
	done := n.done
	if !done {
		n.quotes = append(n.quotes, q)
	}
	a.mu.Unlock()
	if fresh {
		a.start(ctx, n)
	}
	if done {
		a.compare(n, q)
	}
}

// pastNote returns the record of a past note, and whether its check has to be started.
func (a *auditor) pastNote(size uint64) (n *pastNote, fresh bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := a.past[size]; n != nil {
		return n, false
	}
	if len(a.order) == maxPast {
		delete(a.past, a.order[0])
		a.order = a.order[1:]
	}
	n = &pastNote{size: size}
	a.past[size] = n
	a.order = append(a.order, size)
	return n, true
}

// start checks a past note beside the fold, as many at a time as there are slots.
func (a *auditor) start(ctx context.Context, n *pastNote) {
	a.slots <- struct{}{}
	a.checking.Go(func() {
		defer func() { <-a.slots }()
		hash, c, err := a.checkPast(ctx, CheckpointPath(n.size), n.size)
		if err != nil {
			a.pastBroken(n.size, err)
		}
		a.mu.Lock()
		if err != nil && a.replay != nil {
			a.lookAgain(n)
			a.mu.Unlock()
			return
		}
		n.done, n.bad, n.hash = true, err != nil, hash
		if c != nil {
			n.from, n.since = c.notBefore, a.policy.NotBefore(c)
			if a.replay != nil {
				n.note = c.Note
			}
			if err == nil && !n.from.IsZero() {
				a.spans = append(a.spans, span{size: n.size, from: n.from, to: c.notAfter, seen: a.policy.NoLater(c)})
			}
		}
		quotes := n.quotes
		n.quotes = nil
		a.report.Past++
		a.mu.Unlock()
		for _, q := range quotes {
			a.compare(n, q)
		}
	})
}

func (a *auditor) pastBroken(size uint64, err error) {
	code, sentence := explain(err)
	if code == CodeMalformed { // it is no question of a file handed in: the record quotes or holds it
		code = CodeContradiction
	}
	a.find(code, nil, "", fmt.Sprintf("The published copy of the record of size %d: %s", size, sentence))
}

// checkPast checks the note at a path: signed by a log of the policy for this origin, of this size, and with
// the root hash that the record had at that size.
func (a *auditor) checkPast(ctx context.Context, path string, size uint64) (hash [32]byte, c *SignedCheckpoint, err error) {
	note, err := a.fetch(ctx, path)
	if err != nil {
		return hash, nil, &fetchError{path, err}
	}
	hash = sha256.Sum256(note)
	if c, err = a.policy.OpenPast(note); err != nil {
		return hash, nil, err
	}
	if c.Origin != a.report.Origin || c.Size != size {
		return hash, nil, contradiction("%s is a checkpoint of another record or size", path)
	}
	root, err := a.hashes.RootAt(ctx, size)
	if err == nil && root != c.Root {
		a.convictNote(ctx, note)
		err = contradiction("%s and the record as it is now disagree about the first %d entries", path, size)
	}
	return hash, c, err
}

// compare checks one quotation of a past note that has been checked.
func (a *auditor) compare(n *pastNote, q quote) {
	if a.replay != nil && !n.bad {
		a.replay.quoted(n, q)
	}
	switch {
	case n.bad:
	case n.hash != q.after.Note && !q.about:
		a.find(CodeContradiction, &q.index, "", fmt.Sprintf("Entry %d quotes a copy of the record of size %d that is not the one published.", q.index, n.size))
	case n.from.After(q.admitted.Add(slack)):
		a.find(CodeContradiction, &q.index, "", fmt.Sprintf("Entry %d says that it was recorded before the copy of the record that it quotes was signed.", q.index))
		a.mu.Lock()
		a.lasting = true
		a.mu.Unlock()
	default:
		a.dated(q.index, q.date, n.since, time.Time{})
	}
}

// paths checks that the record accounts for everything that the source holds.
func (a *auditor) paths(ctx context.Context) {
	for _, path := range a.o.Paths {
		if path == checkpointPath || ctx.Err() != nil {
			continue
		}
		if size, ok := pastSize(path); ok && size <= a.report.Size {
			a.pastPath(ctx, path, size)
			continue
		}
		if t, err := ParseTilePath(path); err == nil {
			if want, ok := TileAt(t.Level, t.Index, a.report.Size); ok && t == want {
				continue // the replay has read it
			}
		}
		if h, ok := blobHash(path); ok && a.textPath(ctx, path, h) {
			continue
		}
		a.find(CodeContradiction, nil, "", "The copy of the record holds a file that the record does not account for.")
	}
}

// pastPath checks a note that the source holds though perhaps no entry quotes it.
func (a *auditor) pastPath(ctx context.Context, path string, size uint64) {
	if path == CheckpointPath(size) {
		if n, fresh := a.pastNote(size); fresh {
			a.start(ctx, n)
		}
		return
	}
	if _, _, err := a.checkPast(ctx, path, size); err != nil {
		a.pastBroken(size, err)
	}
}

// textPath checks a text that the source holds, and returns false if no admitted statement names it.
func (a *auditor) textPath(ctx context.Context, path string, h entry.Hash) bool {
	if a.texts == nil {
		a.texts = make(map[entry.Hash]bool)
		for _, st := range a.report.State.Statements() {
			a.texts[st.Statement] = true
			for _, r := range st.Renditions {
				a.texts[r.Hash] = true
			}
		}
	}
	if a.report.Beyond == nil && !a.texts[h] {
		return false
	}
	b, err := a.fetch(ctx, path)
	switch {
	case err != nil:
		a.broken(&fetchError{path, err})
	case sha256.Sum256(b) != h:
		a.broken(contradiction("%s is not the text with that fingerprint", path))
	default:
		a.report.Texts++
	}
	return true
}

// named reports whether a statement of the record or one of its renditions has this hash.
func named(s *roll.State, h entry.Hash) bool {
	if _, ok := s.Statement(h); ok {
		return true
	}
	return slices.ContainsFunc(s.Statements(), func(st roll.Statement) bool {
		return slices.ContainsFunc(st.Renditions, func(r entry.Rendition) bool { return r.Hash == h })
	})
}

// receipts notes what the judgement of the receipts needs from the record.
func (a *auditor) receipts(ctx context.Context) {
	for _, r := range a.o.Receipts {
		n := a.note(r)
		text, _, err := splitNote(r.Checkpoint)
		if err != nil {
			continue
		}
		c, err := ParseCheckpoint(text)
		if err == nil && c.Size > a.report.Size {
			a.convictNote(ctx, r.Checkpoint) // unless it is only older, the log has gone back
		}
		if err != nil || c.Size > a.report.Size {
			continue
		}
		root, err := a.hashes.RootAt(ctx, c.Size)
		if err != nil {
			a.broken(err)
			continue
		}
		n.root, n.rooted = root, true
		if root != c.Root {
			a.convictNote(ctx, r.Checkpoint)
		}
	}
}

func (a *auditor) note(r *Receipt) *noted {
	n := a.report.receipts[r]
	if n == nil {
		n = new(noted)
		a.report.receipts[r] = n
	}
	return n
}

// conclude sorts the findings and sums them up.
func (a *auditor) conclude() *Report {
	r := a.report
	slices.SortStableFunc(r.Findings, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(gravity(x.Code), gravity(y.Code)), cmp.Compare(indexOr(x.Index), indexOr(y.Index)), strings.Compare(x.Sentence, y.Sentence))
	})
	if len(r.Findings) > MaxFindings {
		r.Unlisted += uint64(len(r.Findings) - MaxFindings)
		r.Findings = slices.Clip(r.Findings[:MaxFindings])
	}
	slices.SortStableFunc(r.Remarks, func(x, y Remark) int {
		return cmp.Or(cmp.Compare(indexOr(x.Index), indexOr(y.Index)), strings.Compare(x.Sentence, y.Sentence))
	})
	if len(r.Remarks) > MaxFindings {
		r.UnlistedRemarks += uint64(len(r.Remarks) - MaxFindings)
		r.Remarks = slices.Clip(r.Remarks[:MaxFindings])
	}
	if len(r.Findings) == 0 {
		r.OK = true
		r.Sentence = fmt.Sprintf("The public record %s holds together: %s, every signature and every rule was checked, and every earlier copy of it that it quotes agrees.", r.Origin, r.extent())
		return r
	}
	r.Code = r.Findings[0].Code
	switch r.Code {
	case CodeContradiction:
		r.Sentence = "The record contradicts itself. " + r.Findings[0].Sentence
	case CodeQuorum:
		r.Sentence = "Not enough witnesses. " + r.Findings[0].Sentence
	default:
		r.Sentence = r.Findings[0].Sentence
	}
	return r
}

// extent says how far the record was read.
func (r *Report) extent() string {
	if r.Size == 0 {
		return "it is empty"
	}
	s := "its one entry was read"
	if r.Size > 1 {
		s = fmt.Sprintf("all %d entries were read", r.Size)
	}
	if r.LastRecord != nil {
		s += ", up to " + day(*r.LastRecord)
	}
	return s
}

// gravity orders codes, the gravest first.
func gravity(code int) int {
	return slices.Index([]int{CodeContradiction, CodeQuorum, CodeUntrusted, CodeMalformed, CodeOtherText, CodeWithdrawn, CodeNotFound, CodeUnchecked, CodeOK}, code)
}

func indexOr(i *uint64) uint64 {
	if i == nil {
		return 0
	}
	return *i
}

// fetchError says which path could not be had.
type fetchError struct {
	path string
	err  error
}

func (e *fetchError) Error() string { return e.path + ": " + e.err.Error() }
func (e *fetchError) Unwrap() error { return e.err }

// later returns the later time; earlier the earlier one that is not zero.
func later(t, u time.Time) time.Time {
	if u.After(t) {
		return u
	}
	return t
}

func earlier(t, u time.Time) time.Time {
	if t.IsZero() || !u.IsZero() && u.Before(t) {
		return u
	}
	return t
}
