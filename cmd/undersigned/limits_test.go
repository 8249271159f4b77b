package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/server"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]server.Rate{
		"20/s":      {N: 20, Per: time.Second},
		"100/min":   {N: 100, Per: time.Minute},
		"5/hour":    {N: 5, Per: time.Hour},
		"1000/day":  {N: 1000, Per: 24 * time.Hour},
		"none":      {},
		"512KiB/s":  {N: 512 << 10, Per: time.Second},
		"1MiB/day":  {N: 1 << 20, Per: 24 * time.Hour},
		"2GiB/hour": {N: 2 << 30, Per: time.Hour},
		"9B/s":      {N: -1}, "1.5MiB/s": {N: -1}, "0/s": {N: -1}, "-1/s": {N: -1}, "20": {N: -1}, "20/": {N: -1}, "20/week": {N: -1},
		"": {N: -1}, "/s": {N: -1}, "MiB/s": {N: -1}, "2147483648/s": {N: -1}, "2000GiB/s": {N: -1}, "20/s/s": {N: -1},
	} {
		got, ok := parseRate(text, true)
		if ok != (want.N >= 0) || ok && got != want {
			t.Errorf("%q: %+v, %v", text, got, ok)
		}
	}
	if _, ok := parseRate("1MiB/s", false); ok {
		t.Error("a number of entries has a unit")
	}
}

// TestMemoryLimit leaves room for what is in use, however much that is.
func TestMemoryLimit(t *testing.T) {
	runtime.GC()
	before := memoryLimit()
	used := make([]byte, 64<<20)
	runtime.GC()
	if after := memoryLimit(); after < before+2*int64(len(used))*9/10 {
		t.Errorf("%d, and with %d more in use %d", before, len(used), after)
	}
	runtime.KeepAlive(used)
}

// TestMemoryLimitFollows has the bound follow what is in use, slowly when that is more and at once when it is less.
func TestMemoryLimitFollows(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	synctest.Test(t, func(t *testing.T) {
		runtime.GC()
		go boundMemory(t.Context(), false)
		synctest.Wait()
		before := debug.SetMemoryLimit(-1)
		used := make([]byte, 256<<20)
		runtime.GC()
		time.Sleep(memoryEvery + 1)
		if after := debug.SetMemoryLimit(-1); after <= before || after > before+before/8 {
			t.Errorf("%d, and a second after %d more are in use %d", before, len(used), after)
		}
		time.Sleep(20 * memoryEvery)
		if after := debug.SetMemoryLimit(-1); after < before+2*int64(len(used))*9/10 {
			t.Errorf("%d, and with %d more in use %d", before, len(used), after)
		}
		runtime.KeepAlive(used)
		runtime.GC()
		time.Sleep(memoryEvery + 1)
		if after := debug.SetMemoryLimit(-1); after > before+int64(len(used))/2 {
			t.Errorf("%d, and when what was used is free %d", before, after)
		}
	})
}

func TestLimitFlags(t *testing.T) {
	good := limitFlags{LimitClient: "20/s", LimitTexts: "none", LimitMember: "3/hour", MaxConnections: 64, TrustedProxy: []string{"10.0.0.0/8", "::1"}}
	l, q, err := good.limits()
	if err != nil || l.Texts.N != 0 || l.ClientConnections != 4 || q != (ledger.Quota{Entries: 3, Period: time.Hour}) || fmt.Sprint(l.Proxies) != "[10.0.0.0/8 ::1/128]" {
		t.Errorf("%+v, %+v, %v", l, q, err)
	}
	for _, change := range []func(f *limitFlags){
		func(f *limitFlags) { f.LimitClient = "1MiB/s" },
		func(f *limitFlags) { f.LimitTexts = "much" },
		func(f *limitFlags) { f.LimitMember = "3/min" },
		func(f *limitFlags) { f.MaxConnections = 15 },
		func(f *limitFlags) { f.TrustedProxy = []string{"10.0.0.1/8"} },
		func(f *limitFlags) { f.TrustedProxy = []string{"proxy.example"} },
	} {
		bad := good
		change(&bad)
		if _, _, err := bad.limits(); exitCode(t.Context(), err) != codeUsage {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestTextAgain sends a text to a ledger that is busy or has no space for a while.
func TestTextAgain(t *testing.T) {
	for _, c := range []struct {
		status, times int
		after         string
		waits         string
		code          int // of the error, 0: none
	}{
		{429, 1, "2", "[2s]", 0},
		{503, 2, "1", "[1s 1s]", 0},
		{507, 1, "60", "[1m0s]", 0},
		{507, 2, "60", "[1m0s]", 507}, // a minute in all
		{413, 1, "1", "[]", 413},
	} {
		asked := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if b, _ := io.ReadAll(r.Body); r.Method != http.MethodPut || string(b) != "text" {
				t.Errorf("it was sent %s %q", r.Method, b)
			}
			if asked++; asked > c.times {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.Header().Set("Retry-After", c.after)
			w.WriteHeader(c.status)
		}))
		cl, err := newClient(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		cl.after = func(time.Duration) <-chan time.Time {
			ready := make(chan time.Time, 1)
			ready <- time.Time{}
			return ready
		}
		waits := []time.Duration{}
		err = cl.putText(t.Context(), []byte("text"), func(_ error, pause time.Duration) { waits = append(waits, pause) })
		var problem *problemError
		if errors.As(err, &problem); fmt.Sprint(waits) != c.waits || (err != nil) != (c.code != 0) || err != nil && problem.Status != c.code {
			t.Errorf("%+v: waited %v, then %v", c, waits, err)
		}
		s.Close()
	}
}

// TestTextRefused is told how to send a text that a ledger does not take.
func TestTextRefused(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	c := &statementPublishCmd{}
	c.Ledger = s.URL
	err := c.put(t.Context(), newApp(nil, io.Discard, io.Discard, nil), []namedText{{"statement.txt", []byte("text")}})
	if want := "curl -T statement.txt " + s.URL + "/blobs/sha256/982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestSubmitAgain meets a ledger that is busy, and one that is so for too long.
func TestSubmitAgain(t *testing.T) {
	for _, c := range []struct {
		status int
		after  []string // of each answer until it says 409
		waits  string
		code   string
	}{
		{503, []string{"1", "2"}, "[1s 2s]", "409"},
		{429, []string{"30", "30"}, "[30s 30s]", "409"},
		{429, []string{"30", "31"}, "[30s]", "429"},                      // a minute in all
		{429, []string{"1", "1", "1", "1", "1"}, "[1s 1s 1s 1s]", "429"}, // and not for ever
		{429, []string{"36000"}, "[]", "429 Too Many Requests: Slowly. It may do so in 10h0m0s."},
		{507, []string{"60"}, "[]", "507"},
		{503, []string{""}, "[]", "503"},
		{503, []string{"Fri, 31 Dec 1999 23:59:59 GMT"}, "[]", "503"},
		{500, []string{"1"}, "[]", "500"},
	} {
		asked := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/problem+json")
			if asked++; asked > len(c.after) {
				w.WriteHeader(http.StatusConflict)
			} else {
				w.Header().Set("Retry-After", c.after[asked-1])
				w.WriteHeader(c.status)
			}
			io.WriteString(w, `{"detail":"Slowly."}`)
		}))
		cl, err := newClient(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		cl.after = func(time.Duration) <-chan time.Time {
			ready := make(chan time.Time, 1)
			ready <- time.Time{}
			return ready
		}
		waits := []time.Duration{}
		_, err = cl.submit(t.Context(), []byte("entry"), 0, func(problem error, pause time.Duration) {
			if !strings.Contains(problem.Error(), "Slowly.") {
				t.Errorf("it says %v", problem)
			}
			waits = append(waits, pause)
		})
		if fmt.Sprint(waits) != c.waits || err == nil || !strings.Contains(err.Error(), c.code) {
			t.Errorf("%d %q: waited %v, then %v", c.status, c.after, waits, err)
		}
		cl.after = func(time.Duration) <-chan time.Time { return nil }
		asked = 0
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := cl.submit(ctx, []byte("entry"), 0, func(error, time.Duration) { cancel() }); c.waits != "[]" && err != context.Canceled {
			t.Errorf("interrupted: %v", err)
		}
		cancel()
		s.Close()
	}
}

// TestCollectAt holds when garbage is collected to what it is said to be: at twice what is in use and 64 MiB.
func TestCollectAt(t *testing.T) {
	for _, live := range []int64{4 << 20, 64 << 20, 1 << 30, 64 << 30} {
		got := live + live*int64(collectAt(2*live+forRequests))/100
		if want := 2*live + forRequests/2; got > want || got < want-live/50 {
			t.Errorf("with %d in use: at %d, want %d", live, got, want)
		}
	}
	if got := collectAt(0); got < 100 || got > 10_000 {
		t.Errorf("with nothing in use: %d %%", got)
	}
}
