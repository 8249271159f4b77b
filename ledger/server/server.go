// Package server is the HTTP face of a ledger: the static record as tlog-tiles has it, one door
// for writing, read-only questions in JSON, and a page for people.
//
//	GET  /checkpoint                            the published checkpoint; changes with every batch
//	GET  /checkpoints/57                        the first note published of this size, for ever
//	GET  /checkpoints/57/latest                 the newest note of this size
//	GET  /tile/0/000.p/57                       hashes; /tile/entries/000.p/57 the entries
//	GET  /blobs/sha256/<64 hex>                 a text that a statement names
//	PUT  /blobs/sha256/<64 hex>                 the same, by anybody who has it
//	POST /entries?wait=10s                      signed entries, one or many
//	GET  /api/v1/checkpoints?from=57            the sizes, from 57 on, of all published checkpoints
//	GET  /api/v1/statements                     all statements
//	GET  /api/v1/statement/<64 hex>             one of them, by the fingerprint of its text
//	GET  /api/v1/roll/<64 hex>?as-of=2024-06-11 who stands behind it, and who withdrew
//	GET  /api/v1/changes/<64 hex>?from=2024-06-11&as-of=2024-07-18
//	GET  /api/v1/rolls/<64 hex>                 its lists that the record seals
//	GET  /api/v1/roll-receipt/<64 hex>?as-of=2024-06-11&domain=apnic.net
//	GET  /api/v1/signatory/apnic.net            one organization; with /history or /endorsements
//	GET  /api/v1/entry/57                       one entry
//	GET  /api/v1/receipt/57                     its receipt, a c2sp.org/tlog-proof@v1 file
//	GET  /api/v1/proof/inclusion?index=5&size=57
//	GET  /api/v1/proof/consistency?from=5&to=57
//	GET  /api/v1/search?q=apnic                 organizations and statements
//	GET  /api/v1/openapi.json                   all of /api/v1, as OpenAPI 3.1
//	GET  /policy                                the policy that the operator offers to readers: its own word
//	GET  /assets/undersigned.wasm               what the pages load (package assets)
//	GET  /healthz, /readyz, /metrics            for whoever runs it
//	GET  /, /statement/<64 hex>, /organization/apnic.net, /entry/57, /record, /search?q=apnic  pages
//	GET  /statement/<64 hex>/roll.txt           the list as people publish it; also roll.md, roll.html, roll.csv
//	GET  /entry/57/page.html, /statement/<64 hex>/page.html  a receipt and the whole record, each as a page that checks itself (package takeaway)
//	GET  /feed.atom, /statement/<64 hex>/feed.atom  who endorsed and withdrew, and what was published and closed
//
// # Paths
//
// A path is taken as it came, byte by byte: nothing is unescaped, cleaned or redirected, and what
// is not exactly one of the above is 404. GET answers HEAD as well.
//
// # Writing
//
//	$ curl --data-binary @entry.txt -H 'Content-Type: text/plain' https://ledger.example/entries
//	{"index":57,"id":"sha256:…","admitted":"2024-06-11T09:30:00.123Z","stands":true,
//	 "duplicate":false,"published":true,"receipt_url":"/api/v1/receipt/57","receipt":"c2sp.org/…"}
//
// The answer is 200 when a published checkpoint covers the entry, and 202 when it is stored for good
// but that takes longer than wait, 0s to 60s. The same entry again gives the same index. Of a DNSSEC chain that came with
// it "chain_index" says in which entry it is: in this one, or, if the entry was there before, as evidence in another; else "chain_detail" says
// why it is not recorded, which takes nothing from the entry. With answer=proof there is "proof" instead of "receipt": the same
// tlog-proof with the leaf alone as its extra data, half as long, for who submits much; the whole receipt is at receipt_url. Many
// entries come as application/octet-stream, each after its length as a big-endian uint16, at most
// 4096 and 16 MiB in all; the framing is checked before anything is submitted. The answer is
// application/x-ndjson: for each entry in order one line with its own "status", which is that of the
// same entry alone; lines have neither. On a full disk the status is 507: nothing of it was stored, and
// reading goes on.
//
// # Limits
//
// A client, which is an IPv4 address or an IPv6 /64, may submit so many entries and send so many bytes of
// texts in a time, and have so many requests under way (Limits); a member may have so many entries admitted
// (ledger.Quota). Beyond that the answer is 429. Under more load than the server bears it is 503 "busy".
// Both say in Retry-After, and as "retry_after" in the problem, after how many seconds the same may succeed;
// nothing was stored. Of many entries the first ones are taken as far as the limit goes, and the lines of the
// others have a problem each. To read is never limited by rate.
//
// Of the bytes that are held of bodies at one time a client may have a quarter, or one body. The next 64 KiB of a body,
// or its rest, must come within ten seconds, and all of it within five minutes; an answer must be taken at 64 KiB in 30
// seconds. What is left of a body that was refused is read for 2 seconds, so that its sender can read why.
//
// # Lists
//
// A list is that of the end of a day in UTC (as-of=2024-06-11) or of a moment (as-of=2024-06-11T12:00:00Z), by the
// ledger's clock, in the record of a size (size=57) or the published one, in the alphabetical order of the statement's
// language or another (language=de). It is printed by the code, and in the bytes, of "undersigned roll" (package
// ledger/rollcall); what the witnesses bear out of it that command tells. Whole lists have at most 10000 names. /api/v1/changes
// compares two moments. What can change no more may be kept for an hour.
//
// /api/v1/roll-receipt/ is the file that "undersigned receipt --roll" makes: that the domain is on the list sealed last
// as of the moment or before, or is not on it; without a domain all of that list. It is 404 if none is sealed, or if the list
// was another one already at the moment. Such files are made one at a time.
//
// # Reading
//
// Sizes and indexes are numbers, hashes "sha256:<64 hex>" unless they are nodes of the tree (base64),
// times as in entries. Lists have at most "limit" items (1 to 1000, 100 by default) and, if there
// are more, the path of the rest as "next". A parameter that is not known is an error, so that a
// misspelt one never goes unnoticed. "published" is the size of the published checkpoint; what is
// stored beyond it may show in statements and signatories before it can be proven.
//
// # Errors
//
// Errors are application/problem+json (RFC 9457). "type" is urn:undersigned:problem: and one of
// the Problem constants of this package or, where an entry is refused, the rule that it breaks (package roll);
// it is stable, "detail" is a sentence for people. What was sent is never repeated. Whoever asks for text/html, as a browser does that
// opens an address, gets the sentence on a page instead, with the same status.
//
// # Pages
//
// They are made here and work without JavaScript. What they say is a catalogue, assets/messages.en.json; the hooks for the modules that
// check in the browser are told at the top of assets/base.html. A statement's page takes as-of, size and language as lists do, from (a
// moment to compare with), order (name or recorded) and page; with size its address is for ever that of the same list.
package server

import (
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
)

// A Config says what to serve.
type Config struct {
	// Ledger is an open ledger. It stays the caller's to close.
	Ledger *ledger.Ledger
	// URL is the public address that the page tells readers to use, such as
	// "https://ledger.example/"; "": the page tells them to use the address it was read at.
	URL string
	// Logger is told of failures, in words of this package; nil: nobody is. What clients
	// send is never in it.
	Logger *slog.Logger
	// Now is the clock, for ages and the day on the page, and for Limits; nil: time.Now.
	Now func() time.Time
	// Limits bounds what clients use.
	Limits Limits
	// Witnesses, if set, tells how far each witness of the ledger is behind.
	Witnesses func() []ledger.Lag
	// Stampings, if set, tells how each time-stamping authority of the ledger does.
	Stampings func() []ledger.Stamping
	// Keeping, if set, tells how it goes to ask the members' domains which keys they publish.
	Keeping func() ledger.Keeping
	// Policy, if set, is the one whose witnesses' word tells between which times an entry was signed and recorded.
	Policy *verify.Policy
	// PolicyText is the policy file that the operator offers to readers, at /policy; nil: none.
	PolicyText []byte
	// Expires, if set, tells when the TLS certificate expires, for metrics alone.
	Expires func() time.Time
}

// A Server answers HTTP requests for one ledger. It starts nothing of its own.
type Server struct {
	ledger    *ledger.Ledger
	url       string
	log       *slog.Logger
	now       func() time.Time
	expires   func() time.Time // nil: plain HTTP
	limits    limits
	bodies    budget        // of many entries and of texts
	singles   budget        // of single entries
	answers   budget        // of large answers
	working   chan struct{} // holds who looks things up
	clients   *clients
	history   *history
	witnesses func() []ledger.Lag
	stampings func() []ledger.Stamping
	keeping   func() ledger.Keeping
	policy    *verify.Policy // nil: no times of witnesses are told
	offered   []byte         // the policy for readers; nil: none
	metrics   *metrics
	note      quotedNote
}

// limits bounds what one request may use. Tests inject smaller ones.
type limits struct {
	body    time.Duration // for the next bodyPart bytes of a body, or its rest
	whole   time.Duration // from a request's header to the end of its body
	bodies  int64         // bytes of all request bodies held at one time
	many    int64         // bytes of one body of many entries
	entries int           // entries of one body
	settle  time.Duration // what a request is given to be stored, however short its wait for witnesses is
	answers int64         // bytes of all large answers held at one time
	names   int           // signatories of a list that is sent whole
	look    time.Duration // what a read waits for its turn
	drain   time.Duration // what is read of a body after it was refused, so that its sender gets to read why
}

// bodyUntil is when the next part of a body must have come that began then and of which a part has come now. What
// came fast before buys no time.
func (l *limits) bodyUntil(begin, now time.Time) time.Time {
	next, last := now.Add(l.body), begin.Add(l.whole)
	if last.Before(next) {
		return last
	}
	return next
}

var defaults = limits{
	body:    10 * time.Second,
	whole:   5 * time.Minute,
	bodies:  64 << 20,
	many:    16 << 20,
	entries: 4096,
	settle:  500 * time.Millisecond,
	answers: 32 << 20,
	names:   10_000,
	look:    5 * time.Second,
	drain:   2 * time.Second,
}

// New returns a handler for cfg.
func New(cfg Config) *Server {
	s := &Server{
		ledger:    cfg.Ledger,
		url:       cfg.URL,
		log:       cfg.Logger,
		now:       cfg.Now,
		expires:   cfg.Expires,
		limits:    defaults,
		history:   newHistory(cfg.Ledger),
		witnesses: cfg.Witnesses,
		stampings: cfg.Stampings,
		keeping:   cfg.Keeping,
		policy:    cfg.Policy,
		offered:   offeredPolicy(cfg.PolicyText),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.clients = newClients(cfg.Limits, s.now)
	s.working = make(chan struct{}, 4*runtime.GOMAXPROCS(0))
	s.answers.free = s.limits.answers
	s.bodies.free = s.limits.bodies / 4 * 3
	s.singles.free = s.limits.bodies - s.bodies.free
	s.bodies.share, s.singles.share = s.bodies.free/4, s.singles.free/4
	s.singles.reserve = s.singles.free / 8
	s.metrics = newMetrics(s)
	return s
}

// csp lets a page load what is beside it, run the verifier there, and nothing else.
const csp = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// pageCSP is that of pages for people: besides, what is text can never become markup or a script there. A worker starts others, and has no page.
const pageCSP = csp + "; require-trusted-types-for 'script'; trusted-types undersigned"

// always are the headers of all answers. They share these values, which nobody changes: to set a header is to give it others.
var always = []struct {
	name  string // in the form of http.CanonicalHeaderKey
	value []string
}{
	{"X-Content-Type-Options", []string{"nosniff"}},
	{"Content-Security-Policy", []string{csp}},
	{"Referrer-Policy", []string{"no-referrer"}},
	{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for _, header := range always {
		h[header.name] = header.value
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		// Everything here is public and nothing depends on who asks: any page may check it.
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}

	route, rest := find(r.URL.EscapedPath())
	rec := &recorder{ResponseWriter: w, control: http.NewResponseController(w), code: http.StatusOK}
	defer rec.ready()
	begin := time.Now()
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			// The panic's value might repeat what a client sent; the stack does not.
			s.log.Error("a request made the server panic", "route", route.name, "stack", string(debug.Stack()))
			if !rec.wrote {
				s.fail(rec, r, problemOf(ProblemInternal))
			}
		}
		s.metrics.request(route.name, r.Method, rec.code, time.Since(begin))
	}()
	if !allowed(route.methods, r.Method) {
		h.Set("Allow", route.methods)
		s.fail(rec, r, problemOf(ProblemMethod))
		return
	}
	if vital[route.name] {
		route.serve(s, rec, r, rest)
		return
	}
	writes := r.Method == http.MethodPost || r.Method == http.MethodPut
	who, why := s.clients.enter(s.clients.identify(r), writes)
	if why != "" {
		s.fail(rec, r, s.turnAway(why, time.Second))
		return
	}
	defer s.clients.leave(who, writes)
	rec.who = who
	if !writes && !light[route.name] && !s.look(rec, r) {
		s.fail(rec, r, s.turnAway(reasonReads, time.Second))
		return
	}
	route.serve(s, rec, r, rest)
}

// look waits until it is a request's turn to look things up. The turn ends as the answer begins, or with the request.
func (s *Server) look(rec *recorder, r *http.Request) bool {
	select {
	case s.working <- struct{}{}:
	default:
		timer := time.NewTimer(s.limits.look)
		defer timer.Stop()
		select {
		case s.working <- struct{}{}:
		case <-timer.C:
			return false
		case <-r.Context().Done():
			return false
		}
	}
	rec.end = func() { <-s.working }
	return true
}

// A route answers the paths that begin with its prefix, or equal it if nothing may follow.
type route struct {
	prefix  string
	open    bool   // something follows the prefix, and serve parses it
	name    string // in metrics
	methods string // as in Allow
	serve   func(s *Server, w http.ResponseWriter, r *http.Request, rest string)
}

const (
	get    = "GET, HEAD"
	getPut = "GET, HEAD, PUT"
	post   = "POST"
)

// routes are tried in this order.
var routes = []route{
	{"/checkpoint", false, "checkpoint", get, (*Server).checkpoint},
	{"/checkpoints/", true, "checkpoints", get, (*Server).checkpoints},
	{"/tile/", true, "tile", get, (*Server).tile},
	{"/entries", false, "entries", post, (*Server).entries},
	{"/blobs/sha256/", true, "blob", getPut, (*Server).blob},
	{"/api/v1/checkpoints", false, "sizes", get, (*Server).sizes},
	{"/api/v1/statements", false, "statements", get, (*Server).statements},
	{"/api/v1/statement/", true, "statement", get, (*Server).statement},
	{"/api/v1/roll/", true, "roll", get, (*Server).roll},
	{"/api/v1/changes/", true, "changes", get, (*Server).changes},
	{"/api/v1/rolls/", true, "rolls", get, (*Server).rolls},
	{"/api/v1/roll-receipt/", true, "roll-receipt", get, (*Server).rollReceipt},
	{"/api/v1/signatory/", true, "signatory", get, (*Server).signatory},
	{"/api/v1/entry/", true, "entry", get, (*Server).entry},
	{"/api/v1/receipt/", true, "receipt", get, (*Server).receipt},
	{"/api/v1/proof/inclusion", false, "inclusion", get, (*Server).inclusion},
	{"/api/v1/proof/consistency", false, "consistency", get, (*Server).consistency},
	{"/api/v1/search", false, "search", get, (*Server).search},
	{"/api/v1/openapi.json", false, "openapi", get, (*Server).openAPI},
	{"/feed.atom", false, "feed", get, (*Server).feed},
	{"/healthz", false, "healthz", get, (*Server).healthz},
	{"/readyz", false, "readyz", get, (*Server).readyz},
	{"/metrics", false, "metrics", get, (*Server).serveMetrics},
	{"/policy", false, "policy", get, (*Server).policyFile},
	{"/statement/", true, "page", get, (*Server).statementPage},
	{"/organization/", true, "page", get, (*Server).organizationPage},
	{"/entry/", true, "page", get, (*Server).entryPage},
	{"/record", false, "page", get, (*Server).recordPage},
	{"/search", false, "page", get, (*Server).searchPage},
	{"/assets/", true, "asset", get, (*Server).asset},
	{"/", false, "page", get, (*Server).home},
}

// vital names the routes that are answered whatever the load, light those that are answered from memory. A GET of
// any other waits its turn to look things up.
var (
	vital = map[string]bool{"healthz": true, "readyz": true}
	light = map[string]bool{"checkpoint": true, "asset": true, "metrics": true, "openapi": true, "policy": true, noRoute.name: true}
)

// noRoute answers what has no route, whatever the method.
var noRoute = route{name: "none", serve: (*Server).nowhere}

func (s *Server) nowhere(w http.ResponseWriter, r *http.Request, _ string) {
	s.fail(w, r, problemOf(ProblemNotFound))
}

// find returns the route of a path and what follows its prefix. No route takes an escape, an
// empty segment or a dot segment, so none of them means anything here.
func find(path string) (found *route, rest string) {
	for i := range routes {
		rest, ok := strings.CutPrefix(path, routes[i].prefix)
		if ok && (rest == "" || routes[i].open) {
			return &routes[i], rest
		}
	}
	return &noRoute, ""
}

func allowed(methods, method string) bool {
	if methods == "" {
		return true
	}
	for m := range strings.SplitSeq(methods, ", ") {
		if m == method {
			return true
		}
	}
	return false
}

// A recorder remembers the status that was sent, and cuts off a client that does not read its answer.
type recorder struct {
	http.ResponseWriter
	control *http.ResponseController
	who     *client // nil: nobody counts what it uses
	end     func()  // of what comes before the answer; nil: nothing does
	code    int
	wrote   bool
	whole   bool // the request's body has been read to its end
}

// ready ends what comes before the answer.
func (r *recorder) ready() {
	if r.end != nil {
		r.end()
		r.end = nil
	}
}

func (r *recorder) WriteHeader(code int) {
	r.ready()
	r.control.SetWriteDeadline(time.Now().Add(writePatience))
	r.code, r.wrote = code, true
	r.ResponseWriter.WriteHeader(code)
}

// Write gives the client time anew for each part that it takes.
func (r *recorder) Write(b []byte) (n int, err error) {
	if !r.wrote {
		r.WriteHeader(r.code)
	}
	for {
		part := b[n:min(len(b), n+writePart)]
		r.control.SetWriteDeadline(time.Now().Add(writePatience))
		m, err := r.ResponseWriter.Write(part)
		if n += m; err != nil || n == len(b) {
			return n, err
		}
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
