package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

const (
	defaultWait = 10 * time.Second
	maxWait     = 60 * time.Second
	maxSingle   = 128 << 10 // bytes; a larger limit is that of many entries or of a text
)

// submitted is the answer to one entry. In the answer to many it is a line, with a Status.
type submitted struct {
	Status     int        `json:"status,omitempty"`
	Index      uint64     `json:"index"`
	ID         entry.Hash `json:"id"`
	Admitted   string     `json:"admitted"`
	Stands     bool       `json:"stands"`
	Duplicate  bool       `json:"duplicate"`
	Published  bool       `json:"published"`
	Detail     string     `json:"detail,omitempty"`       // if not published
	ChainIndex *uint64    `json:"chain_index,omitempty"`  // if a DNSSEC chain came: where it is in the record
	ChainNote  string     `json:"chain_detail,omitempty"` // if it is not: why
	ReceiptURL string     `json:"receipt_url"`
	// Receipt or Proof is the file, if published, whichever was asked for; not in lines.
	Receipt string `json:"receipt,omitempty"`
	Proof   string `json:"proof,omitempty"`
}

// What the answer to one entry brings: its receipt, which is the default, or only the proof in it, of the entry alone.
const (
	answerReceipt = "receipt"
	answerProof   = "proof"
)

// entries serves POST /entries.
func (s *Server) entries(w http.ResponseWriter, r *http.Request, _ string) {
	q, p := parameters(r.URL, "answer", "wait")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	answer := q.Get("answer")
	if answer == "" {
		answer = answerReceipt
	}
	if answer != answerReceipt && answer != answerProof {
		s.fail(w, r, problemSaying(ProblemParameter, "answer is what the answer to one entry brings: receipt or proof."))
		return
	}
	wait, ok := parseWait(q.Get("wait"))
	if !ok {
		s.fail(w, r, problemSaying(ProblemParameter, "wait is a number of seconds from 0s to 60s, such as wait=10s."))
		return
	}
	switch mediaType, params, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); {
	case strings.EqualFold(mediaType, "text/plain") && utf8Charset(params):
		s.one(w, r, wait, answer)
	case strings.EqualFold(mediaType, typeBytes):
		s.many(w, r, wait)
	default:
		s.fail(w, r, problemOf(ProblemMediaType))
	}
}

// utf8Charset reports whether the parameters of text/plain leave it UTF-8.
func utf8Charset(params string) bool {
	params = strings.TrimSpace(params)
	return params == "" || strings.EqualFold(params, "charset=utf-8") || strings.EqualFold(params, `charset="utf-8"`)
}

// parseWait reads "0s" to "60s"; "" is the default.
func parseWait(text string) (time.Duration, bool) {
	if text == "" {
		return defaultWait, true
	}
	digits, ok := strings.CutSuffix(text, "s")
	n, good := parseNumber(digits)
	wait := time.Duration(n) * time.Second
	return wait, ok && good && len(digits) <= 2 && wait <= maxWait
}

// one submits the one entry that is the body.
func (s *Server) one(w http.ResponseWriter, r *http.Request, wait time.Duration, answer string) {
	if _, wait := s.spend(w, 1); wait > 0 {
		s.fail(w, r, s.turnAway(reasonEntries, wait))
		return
	}
	body, release, p := s.body(w, r, int64(entry.MaxEntry))
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	defer release()
	result := s.submit(r.Context(), wait, body)[0]
	if result.Err != nil {
		s.fail(w, r, s.problemFrom(result.Err))
		return
	}
	a := accepted(result)
	var receipt *verify.Receipt
	if result.Published {
		of := s.ledger.ReceiptOf
		if answer == answerProof {
			of = s.ledger.ProofOf
		}
		var err error
		if receipt, err = of(r.Context(), result); err != nil {
			s.fail(w, r, s.problemFrom(err))
			return
		}
	}
	w.Header().Set("Cache-Control", cacheNever)
	w.Header().Set("Location", a.ReceiptURL)
	status := a.Status
	a.Status = 0
	buffers := answerPool.Get().(*answerBuffers)
	send(w, r, status, typeJSON, buffers.encode(a, answer, receipt, &s.note))
	if cap(buffers.answer) <= maxPooled {
		answerPool.Put(buffers)
	}
}

// answerBuffers hold an answer while it is made and sent: it is long, and there are many.
type answerBuffers struct{ receipt, answer []byte }

// maxPooled is how long an answer may be whose buffers are kept, in bytes.
const maxPooled = 64 << 10

var answerPool = sync.Pool{New: func() any { return new(answerBuffers) }}

// encode returns what encode returns of an answer with a receipt under a name; nil: without. It is good until the buffers are used again.
func (b *answerBuffers) encode(a submitted, name string, receipt *verify.Receipt, note *quotedNote) []byte {
	line := encode(a)
	if receipt == nil {
		return line
	}
	b.receipt = receipt.Append(b.receipt[:0])
	line = append(append(append(line[:len(line)-len("}\n")], `,"`...), name...), `":`...)
	above := len(b.receipt) - len(receipt.Checkpoint) // where the note begins, after the end of a line
	b.answer = appendString(append(b.answer[:0], line...), b.receipt[:above], above)
	b.answer = append(b.answer[:len(b.answer)-len(`"`)], note.of(receipt.Checkpoint)[len(`"`):]...)
	return append(b.answer, "}\n"...)
}

// quotedNote is the checkpoint that answers carry for now, as a string of JSON. It is half of an answer, and the same in many.
type quotedNote struct {
	last atomic.Pointer[struct{ note, quoted []byte }]
}

// of returns a note as a string of JSON. Neither may be changed.
func (q *quotedNote) of(note []byte) []byte {
	if last := q.last.Load(); last != nil && bytes.Equal(last.note, note) {
		return last.quoted
	}
	quoted := appendString(nil, note, 0)
	q.last.Store(&struct{ note, quoted []byte }{note, quoted})
	return quoted
}

// appendString appends a string of JSON, in the form of encoding/json. It is quick where lines are long and plain, as in a receipt; the first so many bytes are
// known to be plain.
func appendString(to, text []byte, known int) []byte {
	begun := len(to)
	to = append(to, '"')
	for rest := text; len(rest) > 0; {
		line := rest
		end := bytes.IndexByte(rest, '\n')
		if end >= 0 {
			line = rest[:end]
		}
		if known -= len(line) + 1; known < -1 && !plain(line) {
			quoted, err := json.Marshal(string(text))
			if err != nil {
				panic("server: " + err.Error())
			}
			return append(to[:begun], quoted...)
		}
		to = append(to, line...)
		if end < 0 {
			break
		}
		to = append(to, `\n`...)
		rest = rest[end+1:]
	}
	return append(to, '"')
}

// asIs are the bytes that stand for themselves in a string of JSON, also within HTML.
var asIs = func() (t [256]bool) {
	for c := ' '; c <= '~'; c++ {
		t[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return t
}()

// dash begins a signature line of a note.
var dash = []byte("— ")

// plain says whether a line, but for a dash at its beginning, is made of bytes that stand for themselves.
func plain(line []byte) bool {
	ok := true
	for _, c := range bytes.TrimPrefix(line, dash) {
		ok = ok && asIs[c]
	}
	return ok
}

// many submits the entries that the body frames.
func (s *Server) many(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	// One is spent before anything is read, so that who may submit nothing for now holds nothing either.
	if _, later := s.spend(w, 1); later > 0 {
		s.fail(w, r, s.turnAway(reasonEntries, later))
		return
	}
	body, release, p := s.body(w, r, s.limits.many)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	defer release()
	entries, p := split(body, s.limits.entries)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	allowed, later := s.spend(w, len(entries)-1)
	allowed++
	results := s.submit(r.Context(), wait, entries[:allowed]...)
	var lines bytes.Buffer
	lines.Grow(320 * len(entries))
	for _, result := range results {
		if result.Err != nil {
			lines.Write(encode(s.problemFrom(result.Err)))
		} else {
			lines.Write(encode(accepted(result)))
		}
	}
	for range entries[allowed:] {
		lines.Write(encode(s.turnAway(reasonEntries, later)))
	}
	w.Header().Set("Cache-Control", cacheNever)
	send(w, r, http.StatusOK, typeLines, lines.Bytes())
}

// spend takes up to n entries of what the client may submit for now, and says how many it gave and after what
// time there are more.
func (s *Server) spend(w http.ResponseWriter, n int) (given int, wait time.Duration) {
	rec, ok := w.(*recorder)
	if !ok || rec.who == nil {
		return n, 0
	}
	return s.clients.spend(rec.who.entries, n)
}

// split parts a body into at most limit entries.
func split(body []byte, limit int) ([][]byte, *problem) {
	var entries [][]byte
	for len(body) > 0 {
		if len(entries) == limit {
			p := problemSaying(ProblemTooLarge, "One body holds at most "+strconv.Itoa(limit)+" entries; nothing of this one was stored. Send them in several.")
			return nil, &p
		}
		if len(body) < 2 || len(body) < 2+int(binary.BigEndian.Uint16(body)) {
			p := problemSaying(ProblemBody, "The body ends inside an entry; each entry comes after its length in two bytes, the larger byte first. Nothing of it was stored.")
			return nil, &p
		}
		n := 2 + int(binary.BigEndian.Uint16(body))
		entries = append(entries, body[2:n:n])
		body = body[n:]
	}
	return entries, nil
}

// accepted is the answer to an entry that is stored.
func accepted(r ledger.Result) submitted {
	a := submitted{
		Status: http.StatusOK,
		Index:  r.Index, ID: r.ID, Admitted: r.Admitted.UTC().Format(entry.TimeFormat),
		Stands: r.Stands, Duplicate: r.Duplicate, Published: r.Published,
		ReceiptURL: receiptPath(r.Index), ChainIndex: r.ChainIndex,
	}
	var refused *ledger.Refusal
	switch {
	case errors.As(r.ChainErr, &refused):
		a.ChainNote = "The DNSSEC chain is not recorded: " + refused.Detail + "."
	case r.ChainErr != nil:
		a.ChainNote = "The DNSSEC chain is not recorded for now: submit it again."
	}
	if !r.Published {
		a.Status = http.StatusAccepted
		a.Detail = "Stored at " + strconv.FormatUint(r.Index, 10) + ", not yet witnessed. The receipt will be at receipt_url."
	}
	return a
}

// submit hands entries to the ledger, waits until they are published or wait is over, and counts
// what became of them.
func (s *Server) submit(ctx context.Context, wait time.Duration, entries ...[]byte) []ledger.Result {
	if len(entries) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, max(wait, s.limits.settle))
	defer cancel()
	results := s.ledger.Submit(ctx, entries...)
	for _, r := range results {
		s.metrics.outcome(r)
	}
	return results
}

// outcome names what became of an entry, for metrics.
func outcome(r ledger.Result) (name string, rule roll.Rule) {
	var refused *ledger.Refusal
	var limited *ledger.LimitedError
	switch {
	case errors.As(r.Err, &refused):
		return "refused", refused.Rule
	case errors.Is(r.Err, ledger.ErrBusy):
		return "busy", ""
	case errors.Is(r.Err, ledger.ErrFull):
		return "full", ""
	case errors.As(r.Err, &limited):
		return "limited", ""
	case r.Err != nil:
		return "failed", ""
	case r.Duplicate:
		return "duplicate", ""
	}
	return "admitted", ""
}

// body reads a request's body of at most limit bytes. The caller calls release when it has done
// with it.
func (s *Server) body(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, release func(), p *problem) {
	stop := func(p problem) ([]byte, func(), *problem) { return nil, nil, &p }
	if coding := r.Header.Values("Content-Encoding"); len(coding) > 1 || len(coding) == 1 && !strings.EqualFold(coding[0], "identity") {
		return stop(problemOf(ProblemEncoding))
	}
	if r.ContentLength > limit {
		return stop(tooLarge(limit))
	}
	// Single entries have a share of their own, so that large bodies cannot keep them out.
	share := &s.bodies
	if limit <= maxSingle {
		share = &s.singles
	}
	// A deadline of its own, so that what stands still is cut however much of it has come; a writer that has no
	// connection, as in tests, has none.
	control := http.NewResponseController(w)
	begin := time.Now()
	held := &charged{from: http.MaxBytesReader(w, r.Body, limit), share: share, progress: func() {
		control.SetReadDeadline(s.limits.bodyUntil(begin, time.Now()))
	}}
	rec, recorded := w.(*recorder)
	if recorded && rec.who != nil {
		held.clients, held.of = s.clients, &rec.who.bodies
		if share == &s.singles {
			held.of = &rec.who.singles
		}
	}
	held.progress()
	release = held.release
	body, err := readParts(held, r.ContentLength)
	if err != nil {
		release()
		switch {
		case errors.Is(err, errShare):
			return stop(s.turnAway(reasonClientBodies, time.Second))
		case errors.Is(err, errBudget):
			return stop(s.turnAway(reasonBodies, time.Second))
		}
		return stop(bodyProblem(err, limit))
	}
	// From here on the connection is only watched for its end, for as long as a wait may take.
	control.SetReadDeadline(time.Now().Add(readTimeout))
	if recorded {
		rec.whole = true
	}
	if len(body) == 0 {
		release()
		return stop(problemSaying(ProblemBody, "The body is empty; send what the path takes, for instance with curl --data-binary @FILE."))
	}
	return body, release, nil
}

// readParts reads to the end. It holds little more than has come, which a buffer that doubles would not. announced is how long the body is to be;
// negative: nobody said.
func readParts(r io.Reader, announced int64) ([]byte, error) {
	first := int64(4 << 10)
	if 0 < announced && announced < first {
		first = announced
	}
	var parts [][]byte
	for size := int(first); ; size = min(max(2*size, 4<<10), 256<<10) {
		part := make([]byte, 0, size)
		for len(part) < size {
			n, err := r.Read(part[len(part):size])
			part = part[:len(part)+n]
			if err != nil && err != io.EOF {
				return nil, err
			}
			if err == io.EOF && len(parts) == 0 {
				return part, nil
			}
			if err == io.EOF {
				return bytes.Join(append(parts, part), nil), nil
			}
		}
		parts = append(parts, part)
	}
}

// tooLarge is the problem of a body of more than limit bytes.
func tooLarge(limit int64) problem {
	return problemSaying(ProblemTooLarge, "The body is larger than "+strconv.FormatInt(limit, 10)+" bytes, which is the most that can be taken here. Nothing of it was stored.")
}

// bodyProblem says why a body could not be read.
func bodyProblem(err error, limit int64) problem {
	var over *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &over):
		return tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return problemOf(ProblemTimeout)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return problemSaying(ProblemBody, "The body ended before the length that was announced.")
	}
	return problemSaying(ProblemBody, "The body could not be read to its end.")
}

// A budget bounds the bytes that are held at one time.
type budget struct {
	mu      sync.Mutex
	free    int64
	reserve int64 // of what is free, what is left for small bodies
	share   int64 // of all of it, what one client may hold in several bodies; in one it may hold that body
}

// take takes n bytes if then as many as leave are still free.
func (b *budget) take(n, leave int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.free-leave {
		return false
	}
	b.free -= n
	return true
}

// What a charged reader returns when the budget is used up, or the client's share of it.
var (
	errBudget = errors.New("the budget of bodies is used up")
	errShare  = errors.New("the client's share of the budget of bodies is used up")
)

// charged charges a budget, and the client's share of it, for what has been read, and for nothing that was only
// announced.
type charged struct {
	from     io.Reader
	share    *budget
	clients  *clients // nil: nobody counts what the client holds
	of       *int64   // what the client holds of the budget
	progress func()   // called whenever another part has come
	held     int64
}

const (
	bodyPart  = 64 << 10 // bytes of a body that must come at a time
	smallBody = 8 << 10  // bytes; what a usual entry has
)

func (c *charged) Read(b []byte) (int, error) {
	read, err := c.from.Read(b)
	n := int64(read)
	if n == 0 {
		return 0, err
	}
	if c.clients != nil && !c.clients.hold(c.of, n, c.held, c.share.share) {
		return 0, errShare
	}
	var leave int64
	if c.held+n > smallBody {
		leave = c.share.reserve
	}
	if !c.share.take(n, leave) {
		c.letGo(n)
		return 0, errBudget
	}
	before := c.held
	if c.held += n; c.held/bodyPart > before/bodyPart {
		c.progress()
	}
	return read, err
}

// letGo takes n bytes back from what the client holds.
func (c *charged) letGo(n int64) {
	if c.clients != nil {
		c.clients.hold(c.of, -n, 0, 0)
	}
}

func (c *charged) release() {
	c.share.give(c.held)
	c.letGo(c.held)
	c.held = 0
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
}

// parameters returns a query whose parameters are all known and given at most once.
func parameters(u *url.URL, known ...string) (url.Values, *problem) {
	q, err := url.ParseQuery(u.RawQuery)
	ok := err == nil
	for name, values := range q {
		ok = ok && len(values) == 1 && slices.Contains(known, name)
	}
	if ok {
		return q, nil
	}
	sentence := "This path takes no parameters."
	if len(known) > 0 {
		sentence = "This path takes the parameters " + strings.Join(known, ", ") + ", each at most once, and no other."
	}
	bad := problemSaying(ProblemParameter, sentence)
	return nil, &bad
}
