package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify/roll"
)

const (
	typeText    = "text/plain; charset=utf-8"
	typeBytes   = "application/octet-stream"
	typeJSON    = "application/json"
	typeLines   = "application/x-ndjson"
	typeProblem = "application/problem+json"
	typeHTML    = "text/html; charset=utf-8"
)

// What caches may do. What is immutable is fixed by its path for as long as the record exists.
const (
	cacheForever = "public, max-age=31536000, immutable"
	cacheShort   = "public, max-age=1"    // the checkpoint, and what follows from it
	cacheHour    = "public, max-age=3600" // what an operator may take down
	cacheAsk     = "public, no-cache"     // what changes with the program: kept, and asked for each time
	cacheNever   = "no-store"
)

// A Problem is the stable last part of an error's type, after "urn:undersigned:problem:". Where an
// entry is refused it is one of package roll's rules instead.
type Problem string

// The problems that are not rules.
const (
	ProblemNotFound   Problem = "not-found"   // 404
	ProblemMethod     Problem = "method"      // 405
	ProblemParameter  Problem = "parameter"   // 400: a query parameter is unknown, repeated or not of its form
	ProblemBody       Problem = "body"        // 400: a body ends early, is empty or is wrongly framed
	ProblemTimeout    Problem = "timeout"     // 408: a body took too long
	ProblemTooLarge   Problem = "too-large"   // 413
	ProblemMediaType  Problem = "media-type"  // 415: Content-Type
	ProblemEncoding   Problem = "encoding"    // 415: Content-Encoding
	ProblemBlob       Problem = "blob"        // 422: a text is not the one that its path names
	ProblemLong       Problem = "long"        // 422: a list is too long to be sent whole
	ProblemWithheld   Problem = "withheld"    // 403: a text was taken down
	ProblemLimited    Problem = "limited"     // 429, with Retry-After: the client or the member has had its share for now
	ProblemBusy       Problem = "busy"        // 503, with Retry-After
	ProblemFull       Problem = "full"        // 507, with Retry-After: there is no space for it
	ProblemWitnesses  Problem = "witnesses"   // 503, with Retry-After: too few witnesses have said what they saw last
	ProblemClock      Problem = "clock"       // 503, with Retry-After: the clock and those of the witnesses are too far apart
	ProblemNotSigning Problem = "not-signing" // 503: the ledger can be read, and admits nothing
	ProblemClosed     Problem = "closed"      // 503, for good: the ledger is served for reading alone
	ProblemFailed     Problem = "failed"      // 503: the ledger has failed
	ProblemInternal   Problem = "internal"    // 500
)

const problemPrefix = "urn:undersigned:problem:"

// problem is the body of an error (RFC 9457).
type problem struct {
	Type   string    `json:"type"`
	Title  string    `json:"title"`
	Status int       `json:"status"`
	Detail string    `json:"detail"`
	Rule   roll.Rule `json:"rule,omitempty"` // if an entry is refused
	// RetryAfter is after how many seconds the same may succeed; 0: nobody knows.
	RetryAfter int `json:"retry_after,omitempty"`
}

// problems gives each Problem its status, title and usual sentence.
var problems = map[Problem]problem{
	ProblemNotFound:   {Status: 404, Title: "Not found", Detail: "Nothing is at this path. Paths are taken exactly as they are written: without escapes, doubled slashes or extra zeros."},
	ProblemMethod:     {Status: 405, Title: "Method not allowed", Detail: "This path does not take the method; the Allow header names those that it takes."},
	ProblemParameter:  {Status: 400, Title: "Bad parameter"},
	ProblemBody:       {Status: 400, Title: "Bad body"},
	ProblemTimeout:    {Status: 408, Title: "Body too slow", Detail: "The body did not end in time; send it again, at once and whole."},
	ProblemTooLarge:   {Status: 413, Title: "Too large"},
	ProblemMediaType:  {Status: 415, Title: "Unsupported media type", Detail: "Send one entry as text/plain, or many as application/octet-stream, each after its length in two bytes."},
	ProblemEncoding:   {Status: 415, Title: "Unsupported encoding", Detail: "Bodies are taken as they are; send this one without Content-Encoding."},
	ProblemBlob:       {Status: 422, Title: "Another text", Detail: "The SHA-256 of this text is not the one in the path; send the file byte for byte as it was published."},
	ProblemLong:       {Status: 422, Title: "List too long", Detail: "This list has more than 10000 signatories, too many for one answer. Read it page by page at /api/v1/roll/, or print it from a copy of the record with undersigned roll."},
	ProblemWithheld:   {Status: 403, Title: "Taken down", Detail: "The operator has taken this text down. The record still names its fingerprint, so whoever holds the file can check it."},
	ProblemLimited:    {Status: 429, Title: "Too many", RetryAfter: 1, Detail: "This address has too many requests under way; wait until some of them are answered. Nothing of this one was stored."},
	ProblemBusy:       {Status: 503, Title: "Busy", RetryAfter: 1, Detail: "Too much is waiting already, and nothing of this was stored; send it again after the time in Retry-After."},
	ProblemFull:       {Status: 507, Title: "Full", RetryAfter: 60, Detail: "There is no space left for this at the moment, and nothing of it was stored; what is in the record can be read. Send it again when the operator has made space."},
	ProblemWitnesses:  {Status: 503, Title: "Waiting for witnesses", RetryAfter: 5, Detail: "This ledger has only just started, and admits nothing until enough of its witnesses have said what they saw of it last. Send this again; nothing of it was stored."},
	ProblemClock:      {Status: 503, Title: "Clock", RetryAfter: 60, Detail: "The clocks of this ledger and of its witnesses are more than five minutes apart, and it admits nothing until they agree. Send this again; nothing of it was stored."},
	ProblemNotSigning: {Status: 503, Title: "Not signing", RetryAfter: 60, Detail: "This ledger can be read and admits nothing at the moment; its operator has been told why."},
	ProblemClosed:     {Status: 503, Title: "Closed for writing", Detail: "This ledger is closed for writing: it is served for reading alone, and admits nothing."},
	ProblemFailed:     {Status: 503, Title: "Failed", RetryAfter: 5, Detail: "The ledger has stopped because its storage failed. An entry that was on its way may be stored: send it again later, and the answer says whether it is."},
	ProblemInternal:   {Status: 500, Title: "Internal error", Detail: "The server made a mistake; its operator has been told."},
}

func problemOf(name Problem) problem {
	p := problems[name]
	p.Type = problemPrefix + string(name)
	return p
}

// problemSaying is a problem with a sentence of its own, which must not repeat what was sent.
func problemSaying(name Problem, detail string) problem {
	p := problemOf(name)
	p.Detail = detail
	return p
}

// turnAway is the problem of what met a bound, and counts it.
func (s *Server) turnAway(why reason, wait time.Duration) problem {
	s.metrics.limit(why)
	p := problemOf(ProblemBusy)
	switch why {
	case reasonEntries:
		p = problemSaying(ProblemLimited, "This address has submitted as many entries as it may for now; send this again after the time in Retry-After. Nothing of it was stored.")
	case reasonTexts:
		p = problemSaying(ProblemLimited, "This address has sent as many bytes of texts as it may for now; send this one again after the time in Retry-After.")
	case reasonMember:
		p = problemSaying(ProblemLimited, "The signer has had as many entries admitted as one member may for now; send this one again after the time in Retry-After. Nothing of it was stored. To withdraw, to leave and to revoke or suspend a key is always possible.")
	case reasonClientBodies:
		p = problemSaying(ProblemLimited, "This address is sending as many bytes as it may at one time; send this one again when the others are answered. Nothing of it was stored.")
	case reasonClientRequests:
		p = problemOf(ProblemLimited)
	}
	p.RetryAfter = seconds(wait)
	return p
}

// refusal is the problem of an entry that broke a rule.
func refusal(r *ledger.Refusal) problem {
	p := problem{Type: problemPrefix + string(r.Rule), Title: "Entry refused", Status: http.StatusUnprocessableEntity, Detail: r.Detail, Rule: r.Rule}
	switch r.Rule {
	case roll.RuleSyntax:
		p.Status = http.StatusBadRequest
	case roll.RulePrevious:
		p.Status = http.StatusConflict
	}
	return p
}

// problemFrom turns an error of the ledger into a problem. What is nobody's fault but ours is logged.
func (s *Server) problemFrom(err error) problem {
	var refused *ledger.Refusal
	var readOnly *ledger.RefusedError
	var limited *ledger.LimitedError
	switch {
	case errors.As(err, &refused):
		return refusal(refused)
	case errors.Is(err, fs.ErrNotExist) && s.ledger.Err() == nil: // else what was stored is missing
		return problemOf(ProblemNotFound)
	case errors.As(err, &limited):
		return s.turnAway(reasonMember, limited.Wait)
	case errors.Is(err, ledger.ErrBusy):
		return s.turnAway(reasonQueue, time.Second)
	case errors.Is(err, ledger.ErrFull):
		return problemOf(ProblemFull)
	case errors.Is(err, ledger.ErrWithheld):
		return problemOf(ProblemWithheld)
	case errors.Is(err, ledger.ErrUnwitnessed):
		return problemOf(ProblemWitnesses)
	case errors.Is(err, ledger.ErrClock):
		return problemOf(ProblemClock)
	case errors.Is(err, ledger.ErrReadOnly):
		return problemOf(ProblemClosed)
	case errors.As(err, &readOnly), errors.Is(err, ledger.ErrClosed):
		return problemOf(ProblemNotSigning)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problemSaying(ProblemBusy, "There was no time to finish this. An entry that was on its way may still be stored: send it again, and the answer says whether it is.")
	}
	if s.ledger.Err() != nil {
		return problemOf(ProblemFailed)
	}
	s.log.Error("a request failed", "error", err)
	return problemOf(ProblemInternal)
}

// drained bounds what is read of a body that was refused, in bytes.
const drained = 4 << 20

// fail sends a problem. What then still comes of the request's body is read for a while, because a client that
// has not read the answer yet would lose it with the connection.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, p problem) {
	h := w.Header()
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	control := http.NewResponseController(w)
	drain := false
	if rec, ok := w.(*recorder); r.ContentLength != 0 && !(ok && rec.whole) {
		h.Set("Connection", "close") // the body may not have been read
		drain = r.ProtoMajor == 1 && control.EnableFullDuplex() == nil
	}
	h.Del("ETag")
	h.Set("Cache-Control", cacheNever)
	kind, body := typeProblem, encode(p)
	if reads(r) {
		h.Set("Vary", "Accept")
		if page, ok := s.problemPage(r, p); ok {
			kind, body = typeHTML, page
			w.Header().Set("Content-Security-Policy", pageCSP)
		}
	}
	send(w, r, p.Status, kind, body)
	if drain && control.Flush() == nil && control.SetReadDeadline(time.Now().Add(s.limits.drain)) == nil {
		io.CopyN(io.Discard, r.Body, drained)
	}
}

// encode returns a value as one line of JSON.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("server: " + err.Error()) // all types are ours
	}
	return append(b, '\n')
}

// answer sends a value as JSON that caches keep for a moment.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, v any) {
	s.content(w, r, typeJSON, cacheShort, encode(v), true)
}

// content sends a resource with an ETag, or 304 if the client has it, compressed if that is
// worth trying, pays and is asked for.
func (s *Server) content(w http.ResponseWriter, r *http.Request, kind, cache string, body []byte, compressible bool) {
	h := w.Header()
	h.Set("Cache-Control", cache)
	sum := sha256.Sum256(body)
	tag := hex.EncodeToString(sum[:16])
	if compressible {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header) {
			if small, ok := compress(body); ok {
				body, tag = small, tag+"-gzip"
				h.Set("Content-Encoding", "gzip")
			}
		}
	}
	if len(body) > smallAnswer && r.Method != http.MethodHead {
		release, ok := s.hold(w, int64(len(body)))
		if !ok {
			h.Del("Content-Encoding")
			s.fail(w, r, s.turnAway(reasonAnswers, time.Second))
			return
		}
		defer release()
	}
	tag = `"` + tag + `"`
	h.Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	send(w, r, http.StatusOK, kind, body)
}

// smallAnswer is what an answer may have, in bytes, without being counted: less than a connection costs anyway.
const smallAnswer = 32 << 10

// hold takes from what may be held of large answers that slow clients have yet to read. One client may have a
// quarter of it, or one answer. The caller calls release when the answer was sent.
func (s *Server) hold(w http.ResponseWriter, n int64) (release func(), ok bool) {
	var who *client
	if rec, recorded := w.(*recorder); recorded {
		who = rec.who
	}
	if who == nil {
		return func() {}, true
	}
	if !s.clients.hold(&who.answers, n, 0, s.limits.answers/4) {
		return nil, false
	}
	if !s.answers.take(n, 0) {
		s.clients.hold(&who.answers, -n, 0, 0)
		return nil, false
	}
	return func() {
		s.answers.give(n)
		s.clients.hold(&who.answers, -n, 0, 0)
	}, true
}

func send(w http.ResponseWriter, r *http.Request, status int, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	if c, ok := r.Context().Value(connKey{}).(*boundConn); ok && r.ProtoMajor == 1 {
		c.together(len(body))
	}
	w.WriteHeader(status)
	w.Write(body)
}

// matches reports whether an If-None-Match header lists the tag.
func matches(header, tag string) bool {
	if header == "*" {
		return true
	}
	for t := range strings.SplitSeq(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(t), "W/") == tag {
			return true
		}
	}
	return false
}

// acceptsGzip reports whether a client takes what is packed by gzip.
func acceptsGzip(h http.Header) bool { return accepts(h, "gzip") }

// accepts reports whether Accept-Encoding names a coding without giving it the weight 0.
func accepts(h http.Header, coding string) bool {
	for _, line := range h.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(part, ";")
			if !strings.EqualFold(strings.TrimSpace(name), coding) {
				continue
			}
			q, ok := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			return !ok || strings.Trim(q, "0.") != ""
		}
	}
	return false
}

const minCompress = 1024 // bytes; below that a packet is a packet

var writers = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err)
	}
	return w
}}

// compress returns a smaller form of body if there is one.
func compress(body []byte) ([]byte, bool) {
	if len(body) < minCompress {
		return nil, false
	}
	var b bytes.Buffer
	b.Grow(len(body))
	w := writers.Get().(*gzip.Writer)
	defer writers.Put(w)
	w.Reset(&b)
	w.Write(body)
	if w.Close() != nil || b.Len() >= len(body)*9/10 {
		return nil, false
	}
	return b.Bytes(), true
}
