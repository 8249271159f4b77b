package server

import (
	linked "container/list"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bounds what one client, and all of them together, may use. A client is an IPv4 address or an
// IPv6 /64; all callers whose address is not known are one. The zero value of a field bounds nothing.
type Limits struct {
	// Entries bounds the entries that a client submits, Texts the bytes of texts that it sends.
	Entries, Texts Rate
	// Connections bounds the connections that are open, ClientConnections those of one client.
	Connections, ClientConnections int
	// Requests bounds the requests under way, of which those that write are at most half, and
	// ClientRequests those of one client.
	Requests, ClientRequests int
	// Proxies are where requests come from whose X-Forwarded-For is to be believed: its last address
	// that is not a proxy's is the client.
	Proxies []netip.Prefix
}

// A Rate is N units in a time. Who has been quiet may use up what half a minute gives at once, and N in any case.
type Rate struct {
	N   int
	Per time.Duration
}

// limiter returns a bucket that is full.
func (r Rate) limiter() *rate.Limiter {
	if r.N <= 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	perSecond := float64(r.N) / r.Per.Seconds()
	return rate.NewLimiter(rate.Limit(perSecond), max(r.N, int(min(30*perSecond, math.MaxInt32))))
}

// maxClients bounds the clients that are remembered. Who is forgotten has its buckets full again: of so
// many it is the one that has been quiet for longest.
const maxClients = 1 << 14

// A client is what one caller uses.
type client struct {
	id       netip.Prefix
	at       *linked.Element
	entries  *rate.Limiter
	texts    *rate.Limiter
	requests int   // under way
	answers  int64 // bytes of large answers under way
	bodies   int64 // bytes held of bodies of many entries and of texts
	singles  int64 // bytes held of single entries
}

// clients are the callers, by what they use.
type clients struct {
	Limits
	now func() time.Time

	mu      sync.Mutex
	byID    map[netip.Prefix]*client
	recent  *linked.List // of *client, the last to come first
	writing int          // requests that write
	all     int          // requests
}

func newClients(l Limits, now func() time.Time) *clients {
	return &clients{Limits: l, now: now, byID: map[netip.Prefix]*client{}, recent: linked.New()}
}

// A reason says which bound a request met, in metrics.
type reason string

const (
	reasonEntries        reason = "client_entries"
	reasonTexts          reason = "client_texts"
	reasonClientRequests reason = "client_requests"
	reasonClientBodies   reason = "client_bodies"
	reasonClientConns    reason = "client_connections"
	reasonMember         reason = "member"
	reasonRequests       reason = "requests"
	reasonConns          reason = "connections"
	reasonReads          reason = "reads"
	reasonQueue          reason = "queue"
	reasonBodies         reason = "bodies"
	reasonAnswers        reason = "answers"
)

// reasons are all of them.
var reasons = []reason{
	reasonEntries, reasonTexts, reasonClientRequests, reasonClientBodies, reasonClientConns, reasonMember, reasonRequests, reasonConns,
	reasonReads, reasonQueue, reasonBodies, reasonAnswers,
}

// enter begins a request of a client. The reason is "" if it may go on; then leave ends it.
func (c *clients) enter(id netip.Prefix, writes bool) (*client, reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	who := c.client(id)
	switch {
	case c.ClientRequests > 0 && who.requests >= c.ClientRequests:
		return nil, reasonClientRequests
	case c.Requests > 0 && (c.all >= c.Requests || writes && c.writing >= (c.Requests+1)/2):
		return nil, reasonRequests
	}
	who.requests++
	c.all++
	if writes {
		c.writing++
	}
	return who, ""
}

func (c *clients) leave(who *client, writes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	who.requests--
	c.all--
	if writes {
		c.writing--
	}
}

// client returns who has the id. Those with requests under way are never forgotten.
func (c *clients) client(id netip.Prefix) *client {
	if who, ok := c.byID[id]; ok {
		c.recent.MoveToFront(who.at)
		return who
	}
	for e := c.recent.Back(); e != nil && len(c.byID) >= maxClients; {
		old, before := e.Value.(*client), e.Prev()
		if old.requests == 0 {
			c.recent.Remove(e)
			delete(c.byID, old.id)
		}
		e = before
	}
	who := &client{id: id, entries: c.Entries.limiter(), texts: c.Texts.limiter()}
	who.at = c.recent.PushFront(who)
	c.byID[id] = who
	return who
}

// hold counts n bytes more of what a client holds, if it holds no others than its own, those of the same answer or
// body, or then still at most share of them.
func (c *clients) hold(held *int64, n, own, share int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && *held > own && *held+n > share {
		return false
	}
	*held += n
	return true
}

// spend takes up to n units from a bucket and returns how many it gave, and after what time it gives the
// rest, or as much of it as it ever gives at once.
func (c *clients) spend(bucket *rate.Limiter, n int) (given int, wait time.Duration) {
	if bucket.Limit() == rate.Inf {
		return n, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	given = min(n, max(0, int(bucket.TokensAt(now))))
	if !bucket.AllowN(now, given) {
		given = 0
	}
	if given == n {
		return given, 0
	}
	later := bucket.ReserveN(now, min(n-given, bucket.Burst()))
	defer later.CancelAt(now)
	return given, later.DelayFrom(now)
}

// spendAll takes n units, or as many as the bucket ever gives at once, or nothing.
func (c *clients) spendAll(bucket *rate.Limiter, n int64) (ok bool, wait time.Duration) {
	if bucket.Limit() == rate.Inf {
		return true, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	taken := bucket.ReserveN(now, int(min(n, int64(bucket.Burst()))))
	if wait = taken.DelayFrom(now); wait > 0 {
		taken.CancelAt(now)
	}
	return wait <= 0, wait
}

// identify returns the client that a request is from.
func (c *clients) identify(r *http.Request) netip.Prefix {
	peer := parseAddress(r.RemoteAddr)
	if !c.trusts(peer) {
		return clientOf(peer)
	}
	// Each proxy adds whom it has heard to the end. The first one there that is no proxy of ours is as
	// far as what is said can be believed.
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(forwarded) - 1; i >= 0; i-- {
		said := parseAddress(strings.TrimSpace(forwarded[i]))
		if !said.IsValid() {
			break
		}
		if peer = said; !c.trusts(peer) {
			break
		}
	}
	return clientOf(peer)
}

// trusts says whether an address is a proxy's.
func (c *clients) trusts(a netip.Addr) bool {
	for _, p := range c.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseAddress reads an address with or without a port; what is none is the zero Addr.
func parseAddress(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}
		}
		a = ap.Addr()
	}
	return a.Unmap().WithZone("")
}

// clientOf returns whom an address belongs to.
func clientOf(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// seconds rounds a wait up to what Retry-After can say.
func seconds(wait time.Duration) int {
	return max(1, int((wait+time.Second-1)/time.Second))
}
