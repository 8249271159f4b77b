package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// limit gives a world's server limits.
func (w *world) limit(l Limits) { w.server.clients = newClients(l, w.clock) }

// from sends a request of a client.
func (w *world) from(address, method, target, contentType string, body []byte) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.RemoteAddr = address
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	return rec
}

// wantLimited holds an answer to 429 and to a time, which the header and the body say alike.
func wantLimited(t *testing.T, rec *httptest.ResponseRecorder, seconds int) {
	t.Helper()
	wantProblem(t, rec, ProblemLimited)
	var p problem
	json.Unmarshal(rec.Body.Bytes(), &p)
	if got := rec.Header().Get("Retry-After"); got != strconv.Itoa(seconds) || p.RetryAfter != seconds {
		t.Errorf("Retry-After %q and %d, not %d", got, p.RetryAfter, seconds)
	}
}

func TestWhoIsAsking(t *testing.T) {
	c := newClients(Limits{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}, time.Now)
	for _, tc := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:1234", nil, "192.0.2.1/32"},
		{"127.0.0.1:1234", nil, "127.0.0.1/32"},
		{"[::ffff:192.0.2.1]:1234", nil, "192.0.2.1/32"},
		{"[2001:db8:1:2:3:4:5:6]:1234", nil, "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:1234", nil, "fe80::/64"},
		{"@", nil, "invalid Prefix"},
		{"192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1/32"}, // no proxy of ours
		{"10.0.0.1:1234", nil, "10.0.0.1/32"},
		{"10.0.0.1:1234", []string{"198.51.100.7"}, "198.51.100.7/32"},
		{"10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7/32"}, // the first is a claim
		{"10.0.0.1:1234", []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7/32"},
		{"10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.7, 10.2.0.1"}, "198.51.100.7/32"},
		{"10.0.0.1:1234", []string{"198.51.100.7:4567"}, "198.51.100.7/32"},
		{"10.0.0.1:1234", []string{"[2001:db8::1]:4567"}, "2001:db8::/64"},
		{"10.0.0.1:1234", []string{"10.9.9.9"}, "10.9.9.9/32"},
		{"10.0.0.1:1234", []string{"unknown"}, "10.0.0.1/32"},
		{"10.0.0.1:1234", []string{"198.51.100.7, nonsense, 10.2.0.1"}, "10.2.0.1/32"},
		{"[fd00::1]:1234", []string{"2001:db8:1:2:3::4"}, "2001:db8:1:2::/64"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tc.remote
		for _, f := range tc.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		if got := c.identify(r).String(); got != tc.want {
			t.Errorf("%s, forwarded %q: %s, not %s", tc.remote, tc.forwarded, got, tc.want)
		}
	}
}

// TestClientEntries submits more than a client may, alone and many at once, and comes back when it was told to.
func TestClientEntries(t *testing.T) {
	w := newWorld(t)
	w.limit(Limits{Entries: Rate{N: 2, Per: time.Minute}})
	const here, there = "[2001:db8::1]:99", "[2001:db8:0:1::1]:99"
	post := func(from string) *httptest.ResponseRecorder {
		return w.from(from, "POST", "/entries", "text/plain", w.entryAt(8))
	}
	for range 2 {
		if rec := post(here); rec.Code != 200 {
			t.Fatalf("status %d: %s", rec.Code, rec.Body)
		}
	}
	wantLimited(t, post(here), 30)
	wantLimited(t, post("[2001:db8::2]:98"), 30) // the same /64
	if rec := post(there); rec.Code != 200 {
		t.Errorf("another client: status %d", rec.Code)
	}
	if rec := w.from(here, "GET", "/checkpoint", "", nil); rec.Code != 200 {
		t.Errorf("to read: status %d", rec.Code)
	}
	w.advance(29 * time.Second)
	wantLimited(t, post(here), 1)
	w.advance(time.Second)
	if rec := post(here); rec.Code != 200 {
		t.Errorf("after the time in Retry-After: status %d", rec.Code)
	}

	// The first of many are taken as far as it goes.
	w.advance(time.Hour)
	first, second := rolltest.Sign(w.registration("first.example", "First")).Bytes(), rolltest.Sign(w.registration("second.example", "Second")).Bytes()
	third := rolltest.Sign(w.registration("third.example", "Third")).Bytes()
	size := w.ledger.Published().Size
	rec := w.from(here, "POST", "/entries", typeBytes, frame(first, second, third))
	var statuses, waits []int
	for line := range strings.Lines(rec.Body.String()) {
		var l struct {
			Status     int `json:"status"`
			RetryAfter int `json:"retry_after"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		statuses, waits = append(statuses, l.Status), append(waits, l.RetryAfter)
	}
	if fmt.Sprint(statuses, waits) != "[200 200 429] [0 0 30]" {
		t.Errorf("of three: %v %v", statuses, waits)
	}
	if got := w.ledger.Published().Size; got != size+2 {
		t.Errorf("%d entries were stored", got-size)
	}
	wantLimited(t, w.from(here, "POST", "/entries", typeBytes, frame(third)), 30)
	metrics := w.get("/metrics").Body.String()
	if want := `undersigned_limited_total{bound="client_entries"} 5`; !strings.Contains(metrics, want) {
		t.Errorf("the metrics do not say %s", want)
	}
}

func TestClientTexts(t *testing.T) {
	w := newWorld(t)
	w.limit(Limits{Texts: Rate{N: len(worldText) + 1, Per: time.Minute}})
	put := func() *httptest.ResponseRecorder {
		return w.from("192.0.2.1:1", "PUT", blobPath(w.text), "", []byte(worldText))
	}
	if rec := put(); rec.Code != http.StatusNoContent {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	rec := put()
	wait, _ := strconv.Atoi(rec.Header().Get("Retry-After"))
	wantLimited(t, rec, wait)
	w.advance(time.Duration(wait) * time.Second)
	if rec := put(); rec.Code != http.StatusNoContent {
		t.Errorf("after the time in Retry-After: status %d", rec.Code)
	}
	// A text larger than the bucket waits until it is full.
	w.limit(Limits{Texts: Rate{N: 1, Per: time.Second}})
	w.advance(time.Hour)
	if rec := put(); rec.Code != http.StatusNoContent {
		t.Errorf("a large text: status %d", rec.Code)
	}
	wantLimited(t, put(), 30)
}

func TestMemberQuota(t *testing.T) {
	w := newEmptyWorld(t, rolltest.Origin, func(c *ledger.Config) { c.Quota = ledger.Quota{Entries: 5, Period: 24 * time.Hour} })
	w.join("apnic.net", "APNIC")
	for i := range 5 {
		text := strconv.Itoa(i) + "\n"
		if i < 3 { // and the charter is the operator's as well
			w.publish(text, "A title")
		} else {
			w.must(w.draft(&entry.Membership{Action: entry.Update, Member: "apnic.net", Name: text[:1] + " apnic", Quorum: 1}, w.orgs["apnic.net"]))
		}
	}
	w.publish("last\n", "last")
	over := rolltest.Sign(w.draft(&entry.Statement{
		Action: entry.Publish, Statement: entry.Sum([]byte("over\n")), Title: "over", Language: "en", MediaType: "text/plain", Size: 5,
	}, w.operator))
	left := w.clock().Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(w.clock())
	wantLimited(t, w.do("POST", "/entries", "text/plain", over.Bytes()), seconds(left))
}

// TestRequestsUnderWay holds requests open and counts who else is let in.
func TestRequestsUnderWay(t *testing.T) {
	w := newWorld(t)
	w.limit(Limits{Requests: 4, ClientRequests: 2})
	hold, inside := make(chan struct{}), make(chan struct{})
	routes = append(routes, route{"/slow", false, "slow", get + ", " + post, func(_ *Server, rw http.ResponseWriter, _ *http.Request, _ string) {
		inside <- struct{}{}
		<-hold
	}})
	defer func() { routes = routes[:len(routes)-1] }()
	done := make(chan struct{})
	begin := func(address, method string) {
		t.Helper()
		go func() {
			w.from(address, method, "/slow", "", nil)
			done <- struct{}{}
		}()
		<-inside
	}
	begin("192.0.2.1:1", "POST")
	begin("192.0.2.1:2", "POST")
	wantLimited(t, w.from("192.0.2.1:3", "GET", "/checkpoint", "", nil), 1)
	wantProblem(t, w.from("192.0.2.2:1", "POST", "/entries", "text/plain", nil), ProblemBusy) // half are for reading
	begin("192.0.2.2:1", "GET")
	begin("192.0.2.2:2", "GET")
	wantProblem(t, w.from("192.0.2.3:1", "GET", "/checkpoint", "", nil), ProblemBusy)
	if rec := w.from("192.0.2.3:1", "GET", "/healthz", "", nil); rec.Code != 200 {
		t.Errorf("/healthz: status %d", rec.Code)
	}
	close(hold)
	for range 4 {
		<-done
	}
	for _, address := range []string{"192.0.2.1:3", "192.0.2.3:1"} {
		if rec := w.from(address, "GET", "/checkpoint", "", nil); rec.Code != 200 {
			t.Errorf("when all is answered: status %d", rec.Code)
		}
	}
	if c := w.server.clients; c.all != 0 || c.writing != 0 {
		t.Errorf("%d requests, %d of them writing, are still under way", c.all, c.writing)
	}
}

// TestClientsAreBounded forgets who has been quiet longest, and nobody whose request is under way.
func TestClientsAreBounded(t *testing.T) {
	c := newClients(Limits{}, time.Now)
	id := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
	}
	busy, _ := c.enter(id(0), false)
	for i := 1; i <= maxClients+100; i++ {
		who, _ := c.enter(id(i), true)
		c.leave(who, true)
	}
	if len(c.byID) != maxClients || c.recent.Len() != maxClients {
		t.Errorf("%d clients, %d in the list", len(c.byID), c.recent.Len())
	}
	if c.byID[id(0)] != busy || c.byID[id(1)] != nil || c.byID[id(maxClients+100)] == nil {
		t.Error("the wrong ones are forgotten")
	}
}

// TestReadsWaitTheirTurn fills the places of those that look things up.
func TestReadsWaitTheirTurn(t *testing.T) {
	w := newWorld(t)
	w.server.limits.look = time.Millisecond
	for range cap(w.server.working) {
		w.server.working <- struct{}{}
	}
	rec := w.get("/tile/0/000.p/10")
	wantProblem(t, rec, ProblemBusy)
	if rec.Header().Get("Retry-After") != "1" {
		t.Error("it is not said when to try again")
	}
	for _, path := range []string{"/checkpoint", "/healthz", "/readyz", "/assets/style.css", "/metrics"} {
		if rec := w.get(path); rec.Code != 200 {
			t.Errorf("%s: status %d", path, rec.Code)
		}
	}
	for range cap(w.server.working) {
		<-w.server.working
	}
	for range 2 * cap(w.server.working) { // each gives its place back
		if rec := w.get("/tile/0/000.p/10"); rec.Code != 200 {
			t.Fatalf("when there is room: status %d", rec.Code)
		}
	}
	if len(w.server.working) != 0 {
		t.Errorf("%d places are still taken", len(w.server.working))
	}
}

// stuckWriter is a client that does not take its answer before it is told to.
type stuckWriter struct {
	http.ResponseWriter
	reached, take chan struct{}
}

func (s *stuckWriter) Write(b []byte) (int, error) {
	s.reached <- struct{}{}
	<-s.take
	return s.ResponseWriter.Write(b)
}

// TestLargeAnswers bounds what is held for clients that do not take it, and frees the places of those that look up.
func TestLargeAnswers(t *testing.T) {
	w := newWorld(t)
	w.server.working = make(chan struct{}, 1)
	w.server.limits.answers = 200_000
	w.server.answers.free = 200_000
	big := bytes.Repeat([]byte("x"), 40_000)
	routes = append(routes, route{"/big", false, "big", get, func(s *Server, rw http.ResponseWriter, r *http.Request, _ string) {
		s.content(rw, r, typeBytes, cacheNever, big, false)
	}})
	defer func() { routes = routes[:len(routes)-1] }()
	done := make(chan struct{}, 2)
	var stuck []*stuckWriter
	for _, address := range []string{"192.0.2.1:1", "192.0.2.2:1"} {
		sw := &stuckWriter{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
		stuck = append(stuck, sw)
		go func() {
			r := httptest.NewRequest("GET", "/big", nil)
			r.RemoteAddr = address
			w.server.ServeHTTP(sw, r)
			done <- struct{}{}
		}()
		<-sw.reached
	}
	wantProblem(t, w.from("192.0.2.1:2", "GET", "/big", "", nil), ProblemBusy) // has more than its share
	w.server.answers.take(100_000, 0)
	wantProblem(t, w.from("192.0.2.3:1", "GET", "/big", "", nil), ProblemBusy) // too little is left
	w.server.answers.give(100_000)
	if rec := w.from("192.0.2.1:2", "HEAD", "/big", "", nil); rec.Code != 200 {
		t.Errorf("HEAD: status %d", rec.Code)
	}
	if rec := w.from("192.0.2.1:2", "GET", "/tile/0/000.p/10", "", nil); rec.Code != 200 {
		t.Errorf("a small answer: status %d", rec.Code)
	}
	for _, sw := range stuck {
		close(sw.take)
	}
	for range stuck {
		<-done
	}
	if w.server.answers.free != 200_000 {
		t.Errorf("%d bytes are free", w.server.answers.free)
	}
	if rec := w.from("192.0.2.1:1", "GET", "/big", "", nil); rec.Code != 200 || rec.Body.Len() != len(big) {
		t.Errorf("when there is room: status %d, %d bytes", rec.Code, rec.Body.Len())
	}
}

// TestBoundedConnections fills the bound of one client from 127.0.0.1, then the bound of all from elsewhere.
func TestBoundedConnections(t *testing.T) {
	w := newWorld(t)
	w.limit(Limits{Connections: 5, ClientConnections: 3, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, w.server.Bound(listener), w.server, 0, time.Second) }()
	// served says whether a connection is served; it stays open.
	served := func(from string) (net.Conn, bool) {
		t.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
		conn, err := dialer.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Skipf("this machine cannot connect from %s: %v", from, err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, "GET /checkpoint HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		return conn, err == nil && resp.StatusCode == 200
	}
	var last net.Conn
	for i, c := range []struct {
		from string
		want bool
	}{
		{"127.0.0.1", true}, {"127.0.0.1", true}, {"127.0.0.1", true}, {"127.0.0.1", false},
		{"127.0.0.9", true}, {"127.0.0.2", true}, {"127.0.0.2", false}, {"127.0.0.9", false},
	} {
		conn, ok := served(c.from)
		if ok != c.want {
			t.Errorf("connection %d, from %s: served is %v", i, c.from, ok)
		}
		if ok {
			last = conn
		}
	}
	last.Close()
	for end := time.Now().Add(10 * time.Second); ; { // until the server has seen it
		if _, ok := served("127.0.0.2"); ok {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a connection that was closed still counts")
		}
	}
	metrics := w.get("/metrics").Body.String()
	if !strings.Contains(metrics, `bound="client_connections"} 1`) || !strings.Contains(metrics, `bound="connections"}`) {
		t.Error("the metrics do not tell of refused connections")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// narrow is a listener whose connections take little at a time.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetReadBuffer(64 << 10)
	}
	return c, err
}

// TestRefusalArrives sends a body that is refused, whole, before it reads anything.
func TestRefusalArrives(t *testing.T) {
	w := newWorld(t)
	for _, size := range []int{1 << 20, 3 << 20} {
		conn, answers := dial(t, w.connect(func(l net.Listener) net.Listener { return narrow{l} }))
		conn.(*net.TCPConn).SetWriteBuffer(64 << 10) // what the server has not read, it holds up
		fmt.Fprintf(conn, "POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
		if _, err := conn.Write(make([]byte, size)); err != nil {
			t.Fatalf("%d bytes: cut while sending: %v", size, err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge || !resp.Close {
			t.Errorf("%d bytes: %v, %v", size, resp, err)
		}
	}
}

// TestRefusedBodyIsCut goes on sending, and is cut.
func TestRefusedBodyIsCut(t *testing.T) {
	w := newWorld(t)
	w.server.limits.drain = 50 * time.Millisecond
	conn, answers := dial(t, w.connect())
	io.WriteString(conn, "POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n")
	resp, err := http.ReadResponse(answers, nil)
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("%v, %v", resp, err)
	}
	io.Copy(io.Discard, resp.Body)
	if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection goes on: %v", err)
	}
}

// held is a body of which so many bytes have come, and no more come before it is let go.
type held struct {
	*io.PipeWriter
	done chan *httptest.ResponseRecorder
}

// hold begins a request of a client and returns when n bytes of its body are held.
func (w *world) hold(address, contentType string, n int) held {
	w.Helper()
	in, out := io.Pipe()
	r := httptest.NewRequest("POST", "/entries", in)
	r.Header.Set("Content-Type", contentType)
	r.RemoteAddr = address
	h := held{out, make(chan *httptest.ResponseRecorder, 1)}
	go func() {
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		in.CloseWithError(io.ErrClosedPipe)
		h.done <- rec
	}()
	w.Cleanup(func() { out.Close() })
	// When the next byte is taken, those before it have been counted; and the last one is when its own reader comes back.
	for _, part := range [][]byte{make([]byte, n), nil} {
		if _, err := out.Write(part); err != nil {
			break
		}
	}
	return h
}

// end ends a body, and waits until it was answered.
func (h held) end() *httptest.ResponseRecorder {
	h.Close()
	return <-h.done
}

// TestBodiesOfOneClient holds what one client may send at one time, of both kinds, and lets others send.
func TestBodiesOfOneClient(t *testing.T) {
	for _, kind := range []string{"text/plain", typeBytes} {
		w := newWorld(t)
		share := &w.server.bodies
		if kind == "text/plain" {
			share = &w.server.singles
		}
		share.free, share.share, share.reserve = 100_000, 25_000, 0
		bodies := []held{w.hold("192.0.2.1:1", kind, 20_000)}
		bodies = append(bodies, w.hold("192.0.2.1:2", kind, 5_000))
		wantLimited(t, w.from("192.0.2.1:3", "POST", "/entries", kind, []byte("nonsense")), 1)
		if rec := w.from("192.0.2.2:1", "POST", "/entries", kind, []byte("nonsense")); rec.Code != http.StatusBadRequest && rec.Code != 200 {
			t.Errorf("%s of another client: status %d", kind, rec.Code)
		}
		bodies = append(bodies, w.hold("192.0.2.3:1", kind, 40_000)) // one body may be larger than the share
		wantLimited(t, w.from("192.0.2.3:2", "POST", "/entries", kind, []byte("nonsense")), 1)
		if share.free != 35_000 {
			t.Errorf("%s: %d bytes are free", kind, share.free)
		}
		for _, b := range bodies {
			b.end()
		}
		if share.free != 100_000 {
			t.Errorf("%s: %d bytes are free at the end", kind, share.free)
		}
		for _, c := range w.server.clients.byID {
			if c.bodies != 0 || c.singles != 0 {
				t.Errorf("%s: %v still holds %d and %d bytes", kind, c.id, c.bodies, c.singles)
			}
		}
	}
	if b, n := &New(Config{Ledger: newWorld(t).ledger}).bodies, defaults.bodies; b.share == 0 || b.share > n/4 {
		t.Errorf("one client may hold %d bytes", b.share)
	}
}

// TestSmallBodiesHaveAReserve holds all that large single entries can have.
func TestSmallBodiesHaveAReserve(t *testing.T) {
	w := newWorld(t)
	w.server.singles = budget{free: 100_000, reserve: 20_000, share: 100_000}
	var bodies []held
	for i := range 4 {
		bodies = append(bodies, w.hold(fmt.Sprintf("192.0.2.%d:1", i), "text/plain", 20_000))
	}
	wantProblem(t, w.from("192.0.2.9:1", "POST", "/entries", "text/plain", make([]byte, smallBody+1)), ProblemBusy)
	if rec := w.from("192.0.2.9:1", "POST", "/entries", "text/plain", w.entryAt(8)); rec.Code != 200 {
		t.Errorf("a small entry: status %d", rec.Code)
	}
	for _, b := range bodies {
		b.end()
	}
	if New(Config{Ledger: w.ledger}).singles.reserve < 10*smallBody {
		t.Error("there is no reserve")
	}
}

// TestNothingLeftToSubmit answers who has submitted all that it may before its body is read.
func TestNothingLeftToSubmit(t *testing.T) {
	w := newWorld(t)
	w.limit(Limits{Entries: Rate{N: 1, Per: time.Minute}})
	w.from("192.0.2.1:1", "POST", "/entries", typeBytes, frame(w.entryAt(8)))
	r := httptest.NewRequest("POST", "/entries", iotest.ErrReader(errors.New("the body was read")))
	r.Header.Set("Content-Type", typeBytes)
	r.RemoteAddr = "192.0.2.1:1"
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	wantLimited(t, rec, 60)
}

// TestBodyKeepsPace gives a body time for its next part alone, however fast the parts before it came, and never more
// than a whole body has.
func TestBodyKeepsPace(t *testing.T) {
	begin := time.Date(2024, 6, 11, 9, 30, 0, 0, time.UTC)
	now := begin
	var until []time.Duration
	body := &charged{from: bytes.NewReader(make([]byte, 3*bodyPart)), share: &budget{free: 1 << 20}}
	body.progress = func() { until = append(until, defaults.bodyUntil(begin, now).Sub(begin)) }
	for part := make([]byte, bodyPart/2+1); ; now = now.Add(time.Second) {
		if _, err := body.Read(part); err != nil {
			break
		}
	}
	if fmt.Sprint(until) != "[11s 13s 15s]" {
		t.Errorf("it may take %v", until)
	}
	if got := defaults.bodyUntil(begin, begin.Add(defaults.whole-time.Second)).Sub(begin); got != defaults.whole {
		t.Errorf("a body may take %v", got)
	}
}

// TestBodyThatStops sends most of a large body at once and then nothing.
func TestBodyThatStops(t *testing.T) {
	w := newWorld(t)
	w.server.limits.body = 500 * time.Millisecond
	conn, answers := dial(t, w.connect())
	fmt.Fprint(conn, "POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 4000000\r\n\r\n")
	if _, err := conn.Write(make([]byte, 4_000_000-1)); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != http.StatusRequestTimeout || !got.Close {
		t.Errorf("status %d, close %v", got.StatusCode, got.Close)
	}
}
