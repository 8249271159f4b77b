package check

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// MaxReplay is how many entries of a record are replayed at the most, whoever asks.
const MaxReplay = 1 << 20

// maxKept bounds the files of a record that are kept so that they are not fetched again, and the entries that are kept ready to be read, in bytes.
const maxKept = 64 << 20

// A Source is where a copy of the record is. Nothing in it is trusted.
type Source struct {
	Fetch   verify.Fetch // of what is below a ledger's address, api/v1/checkpoints too; nil: an archive
	Archive []byte       // an archive, packed
	Base    string       // the address of the record's ledger, with a slash at the end, so that links to it are understood; "": it is not known
}

// A RecordView is what was found about a record.
type RecordView struct {
	Replayed      bool               `json:"replayed"` // all of it was recomputed here
	Sentence      string             `json:"sentence"`
	Code          int                `json:"code"` // exit code
	Notice        string             `json:"notice,omitempty"`
	Origin        string             `json:"origin,omitempty"`
	Size          uint64             `json:"size"`
	Entries       uint64             `json:"entries"` // that were read and checked: Size if it was replayed, else 0
	Root          string             `json:"root,omitempty"`
	Witnesses     []string           `json:"witnesses"` // the names in their keys of those that saw it, each once
	Replaying     []string           `json:"replaying"` // those of them whose word counts that every entry was checked
	Newest        string             `json:"newest,omitempty"`
	Statements    []StatementSummary `json:"statements"`
	Organizations []Candidate        `json:"organizations"`
	Problems      []string           `json:"problems"` // what was found wrong, or could not be checked
	Remarks       []string           `json:"remarks"`  // what is odd, or was left out here
	Report        *verify.Report     `json:"report,omitempty"`
}

// A StatementSummary is a statement of the record.
type StatementSummary struct {
	Statement    entry.Hash         `json:"statement"`
	Title        string             `json:"title"`
	Language     string             `json:"language"`
	MediaType    string             `json:"media_type"`
	Size         int64              `json:"size"`
	Renditions   []RenditionSummary `json:"renditions"`
	Publisher    string             `json:"publisher"`
	Index        uint64             `json:"index"`
	Admitted     time.Time          `json:"admitted"`
	Open         bool               `json:"open"`
	Standing     int                `json:"standing"`
	Supersedes   *entry.Hash        `json:"supersedes,omitempty"`
	SupersededBy []entry.Hash       `json:"superseded_by"`
}

// A RenditionSummary is a rendition of a statement.
type RenditionSummary struct {
	Language  string     `json:"language"`
	Hash      entry.Hash `json:"hash"`
	Size      int64      `json:"size"`
	MediaType string     `json:"media_type"`
}

// record is a copy of the record that is being looked at.
type record struct {
	source  Source
	archive *verify.Archive
	keeping sync.Mutex // held to look at kept and size: an audit reads with several goroutines
	kept    map[string][]byte
	size    int
	view    *RecordView
	report  *verify.Report // nil: it was not replayed
	hashes  *verify.HashReader
	bundles map[uint64][][]byte // of entries, by index, that were held against hashes: to do so again takes hashing all 256 of one
	ready   int                 // bytes of bundles
}

// fetch reads a file of the record, once: what was read stays as it was, so that no answer is about another copy.
func (r *record) fetch(ctx context.Context, path string) ([]byte, error) {
	r.keeping.Lock()
	b, ok := r.kept[path]
	r.keeping.Unlock()
	if ok {
		return b, nil
	}
	var err error
	if r.archive != nil {
		b, err = r.archive.Fetch(ctx, path)
	} else {
		b, err = r.source.Fetch(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	r.keeping.Lock()
	defer r.keeping.Unlock()
	if first, ok := r.kept[path]; ok {
		return first, nil
	}
	if path == checkpointPath || r.archive == nil && r.size+len(b) <= maxKept {
		r.kept[path] = b
		r.size += len(b)
	}
	return b, nil
}

const checkpointPath = "checkpoint"

// covering tells the size of the first published checkpoint that covers an entry, if the server can.
func (r *record) covering(ctx context.Context, index uint64) (uint64, bool) {
	b, err := r.fetch(ctx, "api/v1/checkpoints?limit=1&from="+strconv.FormatUint(index+1, 10))
	if err != nil {
		return 0, false // whoever serves mere files does not list them
	}
	return firstItem(b)
}

// firstItem reads the first of the numbers in {"items":[57]}. The whole of encoding/json would be a fiftieth of what a browser loads, for a hint.
func firstItem(b []byte) (uint64, bool) {
	_, rest, ok := bytes.Cut(b, []byte(`"items":[`))
	end := bytes.IndexAny(rest, ",]")
	if !ok || end < 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(rest[:end])), 10, 63)
	return n, err == nil
}

// options completes those of an audit.
func (r *record) options(c *Checker, o verify.AuditOptions) verify.AuditOptions {
	o.Now, o.Help, o.Helpers = c.now, c.help, c.helpers
	if r.archive != nil {
		o.Paths = r.archive.Paths()
	} else {
		o.Covering = r.covering
	}
	return o
}

// beside returns the report of the record with what the judgement of receipts, or of an organization, needs from it.
func (r *record) beside(ctx context.Context, c *Checker, o verify.AuditOptions) (*verify.Report, error) {
	return r.report.Beside(ctx, c.policy, r.fetch, r.options(c, o))
}

// Record reads a copy of the record: all of it if it has at most so many entries (and MaxReplay), else its newest checkpoint alone. What is asked
// later is answered from it. The error is ctx's, or that there is no policy; all else is in the view.
func (c *Checker) Record(ctx context.Context, s Source, limit uint64, progress func(done, total uint64)) (*RecordView, error) {
	if c.policy == nil {
		return nil, errNoPolicy
	}
	r := &record{source: s, kept: make(map[string][]byte), bundles: make(map[uint64][][]byte), view: &RecordView{
		Witnesses: []string{}, Replaying: []string{}, Statements: []StatementSummary{}, Organizations: []Candidate{}, Problems: []string{}, Remarks: []string{},
	}}
	c.record = r
	if err := r.read(ctx, c, min(limit, MaxReplay), progress); err != nil {
		if ctx.Err() != nil {
			c.record = nil
			return nil, ctx.Err()
		}
		r.view.Code, r.view.Sentence = CodeOf(err), Sentence(err)
		r.view.Problems = append(r.view.Problems, r.view.Sentence)
	}
	return r.view, nil
}

func (r *record) read(ctx context.Context, c *Checker, limit uint64, progress func(done, total uint64)) (err error) {
	if r.source.Fetch == nil {
		if len(r.source.Archive) > MaxArchive {
			return Failf(verify.CodeUnchecked, "this archive is larger than the %s that can be read here: use undersigned audit", Bytes(MaxArchive))
		}
		if r.archive, err = verify.OpenArchive(bytes.NewReader(r.source.Archive), int64(len(r.source.Archive))); err != nil {
			return Failf(verify.CodeMalformed, "this is no archive of a record: %w", err)
		}
	}
	note, err := r.fetch(ctx, checkpointPath)
	if err != nil {
		return Failf(verify.CodeUnchecked, "the newest copy of the record could not be read: %w", readable(err))
	}
	cp, err := c.policy.Open(note)
	var quorum *verify.QuorumError
	if err != nil && !errors.As(err, &quorum) {
		return err
	}
	v := r.view
	v.Origin, v.Size, v.Root, v.Notice = cp.Origin, cp.Size, base64.StdEncoding.EncodeToString(cp.Root[:]), verify.DemoNotice(cp.Origin)
	for _, s := range cp.Cosignatures {
		if !slices.Contains(v.Witnesses, s.VKey.Name) {
			v.Witnesses = append(v.Witnesses, s.VKey.Name)
		}
	}
	v.Replaying = append(v.Replaying, c.policy.Replayed(cp)...)
	if t := cp.Fresh; !t.IsZero() {
		v.Newest = t.UTC().Format(time.RFC3339)
	} else if c.policy.NoQuorum() && !cp.LogTime.IsZero() {
		v.Newest = cp.LogTime.UTC().Format(time.RFC3339)
	}
	if cp.Size > limit {
		return r.proven(ctx, cp, quorum)
	}
	o := r.options(c, verify.AuditOptions{Progress: progress})
	if r.report, err = verify.Audit(ctx, c.policy, r.fetch, o); err != nil {
		return err
	}
	r.replayed(c.now())
	return nil
}

// proven checks of a record that is too large to be replayed what its newest checkpoint says of itself.
func (r *record) proven(ctx context.Context, cp *verify.SignedCheckpoint, quorum *verify.QuorumError) error {
	if quorum != nil {
		return quorum
	}
	if _, err := verify.NewHashReader(ctx, cp.Checkpoint, r.fetch); err != nil {
		return err
	}
	seen := ""
	if n := len(r.view.Witnesses); n > 0 {
		seen = ", which " + Plural(n, "witness") + " saw"
		if !cp.Fresh.IsZero() {
			seen += " by " + Moment(cp.Fresh)
		}
		seen += ","
	}
	r.view.Sentence = "Your browser checked the signatures on the newest copy of the record" + seen + " and not all " + Plural(cp.Size, "entry") +
		", which are more than it re-checks. What this server lists is its word; a receipt is checked by its proofs."
	return nil
}

// replayed fills in what a replay found.
func (r *record) replayed(now time.Time) {
	v, p := r.view, r.report
	v.Code, v.Sentence, v.Report = p.Code, p.Sentence, p
	if rest, ok := strings.CutPrefix(v.Sentence, "Could not check: "); ok { // which stands beside it as a word
		v.Sentence = capital(rest)
	}
	for _, f := range p.Findings {
		v.Problems = append(v.Problems, f.Sentence)
	}
	for _, m := range p.Remarks {
		v.Remarks = append(v.Remarks, m.Sentence)
	}
	if p.State == nil || p.State.Size() != p.Size {
		return
	}
	v.Replayed, v.Entries = true, p.Size
	if p.OK {
		v.Sentence = "Your browser re-checked all " + Plural(p.Size, "entry") + "."
	}
	for _, st := range p.State.Statements() {
		s := StatementSummary{
			Statement: st.Statement, Title: st.Title, Language: st.Language, MediaType: st.MediaType, Size: st.Size, Renditions: []RenditionSummary{}, Publisher: st.Publisher,
			Index: st.Index, Admitted: st.Admitted.UTC(), Open: !st.Closed && (st.Closes.IsZero() || now.Before(st.Closes)), Standing: st.Standing,
			Supersedes: st.Supersedes, SupersededBy: append([]entry.Hash{}, st.Superseded...),
		}
		for _, x := range st.Renditions {
			s.Renditions = append(s.Renditions, RenditionSummary{x.Language, x.Hash, x.Size, x.MediaType})
		}
		v.Statements = append(v.Statements, s)
	}
	for _, m := range p.State.Members() {
		v.Organizations = append(v.Organizations, Candidate{m.Domain, keys.DomainToUnicode(m.Domain), m.Name})
	}
}

// CodeOf is the exit code that an error means.
func CodeOf(err error) int {
	var failure *Failure
	var wrong *verify.ContradictionError
	var untrusted *verify.UntrustedError
	var quorum *verify.QuorumError
	var format *verify.FormatError
	switch {
	case err == nil:
		return verify.CodeOK
	case errors.As(err, &failure):
		return failure.Code
	case errors.As(err, &wrong):
		return verify.CodeContradiction
	case errors.As(err, &quorum):
		return verify.CodeQuorum
	case errors.As(err, &untrusted):
		return verify.CodeUntrusted
	case errors.As(err, &format):
		return verify.CodeMalformed
	}
	return verify.CodeUnchecked
}

// Sentence is an error as a sentence for people.
func Sentence(err error) string {
	var wrong *verify.ContradictionError
	var quorum *verify.QuorumError
	var untrusted *verify.UntrustedError
	var failure *Failure
	s := err.Error()
	switch {
	case errors.As(err, &failure):
	case errors.As(err, &untrusted):
		s = "this copy of the record cannot be trusted: " + untrusted.Problem
	case errors.As(err, &wrong):
		s = "in this copy of the record, " + wrong.Problem
	case errors.As(err, &quorum):
		s = "not enough witnesses: " + quorum.Sentence("this copy of the record")
	}
	if s == "" {
		return s
	}
	if s = capital(s); !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// readable is the error of a source, without what it may repeat of where it looked.
func readable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("it is missing")
	}
	return err
}

// A RollItem is an organization on a list.
type RollItem struct {
	Domain   string     `json:"domain"`
	Unicode  string     `json:"unicode"`
	Name     string     `json:"name"` // as of the list
	Index    uint64     `json:"index"`
	ID       entry.Hash `json:"id"`
	Admitted time.Time  `json:"admitted"`
	Date     string     `json:"date"`     // the signer's claim
	Disputed bool       `json:"disputed"` // as known today
}

// A RollView is who stands behind a statement as of a moment, by the ledger's clock, as it was computed from the record here.
type RollView struct {
	Statement entry.Hash `json:"statement"`
	Title     string     `json:"title"`
	AsOf      string     `json:"as_of,omitempty"` // as it was asked for; "": as the copy of the record is
	Count     int        `json:"count"`
	Withdrawn int        `json:"withdrawn"`
	Size      uint64     `json:"size"`  // of the record that it is of
	Items     []RollItem `json:"items"` // by domain
	Gone      []RollItem `json:"gone"`  // who has withdrawn by then: the withdrawal

	RecordSize uint64 `json:"record_size"` // of the record that was replayed
	RecordRoot string `json:"record_root"`
}

// Roll computes who stands behind a statement by the first size entries of the record (0: all of them), as of a day or a moment
// (verify.ParseMoment; "": as of the last entry). Errors have codes (CodeOf).
func (c *Checker) Roll(ctx context.Context, statement entry.Hash, asOf string, size uint64) (*RollView, error) {
	r, err := c.sound()
	if err != nil {
		return nil, err
	}
	return c.roll(ctx, r, statement, asOf, size)
}

// Unwitnessed is Roll, for a record that all of was recomputed and too few witnesses signed, too: nothing is told from it, but what its own server shows
// can be held against it.
func (c *Checker) Unwitnessed(ctx context.Context, statement entry.Hash, asOf string, size uint64) (*RollView, error) {
	if c.record == nil || c.record.report == nil || !c.record.view.Replayed || c.record.report.Code != verify.CodeQuorum {
		return c.Roll(ctx, statement, asOf, size)
	}
	return c.roll(ctx, c.record.report, statement, asOf, size)
}

func (c *Checker) roll(ctx context.Context, r *verify.Report, statement entry.Hash, asOf string, size uint64) (*RollView, error) {
	st, ok := r.State.Statement(statement)
	if !ok {
		return nil, Failf(verify.CodeNotFound, "the record has no statement with that fingerprint")
	}
	if size == 0 {
		size = r.Size
	}
	if size > r.Size {
		return nil, Failf(verify.CodeUnchecked, "this copy of the record has %s, fewer than the %d that were asked for", Plural(r.Size, "entry"), size)
	}
	at := r.State.Admitted()
	if asOf != "" {
		m, err := verify.ParseMoment(asOf)
		if err != nil {
			return nil, err
		}
		at = m.Time
	}
	v := &RollView{Statement: statement, Title: st.Title, AsOf: asOf, Size: size, RecordSize: r.Size, RecordRoot: r.Root, Items: []RollItem{}, Gone: []RollItem{}}
	for _, w := range r.State.LastWords(statement, size, at) {
		item, err := c.rollItem(ctx, w.Domain, w.Index, size, at)
		if err != nil {
			return nil, err
		}
		if w.Action == entry.Endorse {
			v.Items = append(v.Items, item)
		} else {
			v.Gone = append(v.Gone, item)
		}
	}
	v.Count, v.Withdrawn = len(v.Items), len(v.Gone)
	return v, nil
}

// rollItem reads the entry with an organization's word again, and what it was called at a moment.
func (c *Checker) rollItem(ctx context.Context, domain string, index, size uint64, at time.Time) (item RollItem, err error) {
	l, err := c.leaf(ctx, index)
	if err != nil {
		return item, err
	}
	item = RollItem{Domain: domain, Unicode: keys.DomainToUnicode(domain), Index: index, ID: l.Entry.ID(), Admitted: l.Admitted.UTC(), Date: l.Entry.Date}
	state := c.record.report.State
	item.Disputed = state.Disputed(index, l.Entry.Keys...)
	m, _ := state.Member(domain)
	named := uint64(0)
	for _, ev := range m.History {
		if ev.Index >= size || ev.Admitted.After(at) || ev.Action == entry.Register && ev.Index > index {
			break
		}
		if ev.Action == entry.Register || ev.Action == entry.Update {
			named = ev.Index
		}
	}
	if l, err = c.leaf(ctx, named); err != nil {
		return item, err
	}
	if b, ok := l.Entry.Body.(*entry.Membership); ok {
		item.Name = b.Name
	}
	return item, nil
}

// keep keeps a bundle at hand; those before it are forgotten when there are too many.
func (r *record) keep(index uint64, leaves [][]byte) {
	size := 0
	for _, l := range leaves {
		size += len(l)
	}
	if r.ready+size > maxKept {
		clear(r.bundles)
		r.ready = 0
	}
	r.bundles[index] = leaves
	r.ready += size
}

// leaf reads an entry of the record that was replayed, held against its root hash again.
func (c *Checker) leaf(ctx context.Context, index uint64) (*entry.Leaf, error) {
	r := c.record
	if r.hashes == nil {
		root, err := RootOf(r.report)
		if err != nil {
			return nil, err
		}
		if r.hashes, err = verify.NewHashReader(ctx, verify.Checkpoint{Origin: r.report.Origin, Size: r.report.Size, Root: root}, r.fetch); err != nil {
			return nil, err
		}
	}
	leaves, ok := r.bundles[index/verify.TileWidth]
	if !ok {
		var err error
		if leaves, err = r.hashes.Entries(ctx, index/verify.TileWidth); err != nil {
			return nil, err
		}
		r.keep(index/verify.TileWidth, leaves)
	}
	if index%verify.TileWidth >= uint64(len(leaves)) {
		return nil, Failf(verify.CodeNotFound, "the record has no entry %d", index)
	}
	l, err := entry.ParseLeaf(leaves[index%verify.TileWidth])
	if err != nil {
		return nil, &verify.ContradictionError{Problem: "an entry is not the one that was replayed"}
	}
	return l, nil
}

// Receipt makes the receipt of an entry from the record that was replayed, and names the file that it goes into.
func (c *Checker) Receipt(ctx context.Context, index uint64) (receipt []byte, name string, err error) {
	r, err := c.sound()
	if err != nil {
		return nil, "", err
	}
	if index >= r.Size {
		return nil, "", Failf(verify.CodeNotFound, "the record has %s, the first of them with index 0: there is none with index %d", Plural(r.Size, "entry"), index)
	}
	made, err := MakeReceipt(ctx, r, c.record.fetch, index)
	if err != nil {
		return nil, "", err
	}
	l, err := entry.ParseLeaf(made.Leaf)
	if err != nil {
		return nil, "", err
	}
	name = "entry"
	if l.Entry.Signer != "" {
		name = l.Entry.Signer
	}
	return made.Bytes(), name + "-" + strconv.FormatUint(index, 10) + ".tlog-proof", nil
}
