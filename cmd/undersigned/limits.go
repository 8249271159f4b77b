package main

import (
	"context"
	"net/netip"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/server"
)

// limitFlags say what those who use a server may use of it.
type limitFlags struct {
	LimitClient    string   `setting:"" default:"20/s" placeholder:"N/TIME" help:"How many entries one address may submit, in s, min, hour or day, or none (${default})."`
	LimitTexts     string   `setting:"" default:"1MiB/s" placeholder:"N/TIME" help:"How many bytes of texts one address may send, or none (${default})."`
	LimitMember    string   `setting:"" default:"1000/day" placeholder:"N/TIME" help:"How many entries of one member are admitted, in a UTC hour or day, or none (${default})."`
	MaxConnections int      `setting:"" default:"4096" placeholder:"N" help:"How many connections may be open (${default}); one address may have a sixteenth of them."`
	TrustedProxy   []string `setting:"" sep:"none" placeholder:"CIDR" help:"Where the reverse proxies are whose X-Forwarded-For names the client. May be repeated."`
}

// periods are the times that a limit can name.
var periods = map[string]time.Duration{"s": time.Second, "min": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}

// units are what a number of bytes can be followed by.
var units = []struct {
	name string
	n    int
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}}

// parseRate reads N/TIME or "none", which is the zero Rate. N may have a unit if it is a number of bytes.
func parseRate(text string, bytes bool) (r server.Rate, ok bool) {
	if text == "none" {
		return r, true
	}
	number, per, _ := strings.Cut(text, "/")
	unit := 1
	for _, u := range units {
		if digits, found := strings.CutSuffix(number, u.name); bytes && found {
			number, unit = digits, u.n
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 31)
	r = server.Rate{N: int(n) * unit, Per: periods[per]}
	return r, err == nil && n > 0 && r.Per > 0 && r.N <= 1<<40
}

// memoryEvery is how often the bound on memory is looked at: a record grows by megabytes a second while much is submitted, and with a bound that is left behind
// a quarter of all work was collecting.
const memoryEvery = time.Second

// boundMemory has garbage collected sooner or, unless GOGC was given, later, until ctx ends: sooner where requests come to use much memory at one time: what has
// been in use may double as usual, and beside that there is room for all that is held for requests. What is in use grows with the record.
func boundMemory(ctx context.Context, given bool) {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	limit, percent := int64(0), 0
	for {
		next := nextLimit(limit, memoryLimit())
		at := collectAt(next)
		if moved(limit, next) || moved(int64(percent), int64(at)) { // to set them stops everything for a moment
			limit, percent = next, at
			debug.SetMemoryLimit(limit)
			if !given {
				debug.SetGCPercent(percent)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// nextLimit is the bound that follows one, if there was one, where that for what is in use is wanted. It grows by an eighth at most: a record grows slower, and what requests hold for
// a moment is not to become what they may hold.
func nextLimit(limit, wanted int64) int64 {
	if limit == 0 {
		return wanted
	}
	return min(wanted, limit+limit/8)
}

// moved says whether a value is another by more than a sixteenth.
func moved(from, to int64) bool { return to > from+from/16 || to < from-from/16 }

// collectAt returns at how much more than is in use, in percent, garbage is to be collected, where that is for a limit of memoryLimit: half of what
// is free for requests may be garbage too. A small record would be looked through after every few hundred entries otherwise.
func collectAt(limit int64) int {
	live := max(1<<20, (limit-forRequests)/2)
	return int(100 + 100*(forRequests/2)/live)
}

// forRequests is what there is room for beside what is in use, in bytes.
const forRequests = 128 << 20

// memoryLimit returns the bound for what was in use when garbage was collected last, in bytes.
func memoryLimit() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return 2*int64(sample[0].Value.Uint64()) + forRequests
}

// limits returns what the flags say.
func (f *limitFlags) limits() (server.Limits, ledger.Quota, error) {
	var l server.Limits
	var q ledger.Quota
	var ok bool
	if l.Entries, ok = parseRate(f.LimitClient, false); !ok {
		return l, q, usagef("--limit-client is a number of entries and a time, such as 20/s, 100/min, 500/hour or 1000/day, or none")
	}
	if l.Texts, ok = parseRate(f.LimitTexts, true); !ok {
		return l, q, usagef("--limit-texts is a number of bytes and a time, such as 1MiB/s or 512KiB/min, or none")
	}
	member, ok := parseRate(f.LimitMember, false)
	if !ok || member.N > 0 && member.Per < time.Hour {
		return l, q, usagef("--limit-member is a number of entries and hour or day, such as 1000/day, or none")
	}
	q = ledger.Quota{Entries: member.N, Period: member.Per}
	if f.MaxConnections < 16 {
		return l, q, usagef("--max-connections is 16 or more")
	}
	l.Connections, l.ClientConnections = f.MaxConnections, f.MaxConnections/16
	l.Requests, l.ClientRequests = l.Connections, l.ClientConnections
	for _, text := range f.TrustedProxy {
		p, err := netip.ParsePrefix(text)
		if a, bad := netip.ParseAddr(text); bad == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil || p.Masked() != p {
			return l, q, usagef("--trusted-proxy %q is neither an address nor a network such as 10.0.0.0/8", text)
		}
		l.Proxies = append(l.Proxies, p)
	}
	return l, q, nil
}
