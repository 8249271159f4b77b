package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tccm/undersigned/ledger"
)

// metrics counts what the server does. Every label takes values of this package and of package
// roll alone.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	entries  *prometheus.CounterVec
	refused  *prometheus.CounterVec
	limited  *prometheus.CounterVec
	handler  http.Handler
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "undersigned_http_requests_total", Help: "HTTP requests, by route, method and status.",
		}, []string{"route", "method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "undersigned_http_request_seconds", Help: "Time to answer a request, in seconds.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}, []string{"route"}),
		entries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "undersigned_entries_total", Help: "Submitted entries, by what became of them.",
		}, []string{"outcome"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "undersigned_refused_total", Help: "Refused entries, by the rule that they broke.",
		}, []string{"rule"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "undersigned_limited_total", Help: "Connections, requests and lines turned away, by the bound that they met.",
		}, []string{"bound"}),
	}
	gauge := func(name, help string, value func(ledger.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(s.ledger.Stats()) })
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		m.requests, m.seconds, m.entries, m.refused, m.limited,
		gauge("undersigned_record_stored", "Entries in the record.", func(st ledger.Stats) float64 { return float64(st.Stored) }),
		gauge("undersigned_record_published", "Entries that the published checkpoint covers.", func(st ledger.Stats) float64 { return float64(st.Published) }),
		gauge("undersigned_commits", "Commits in the store.", func(st ledger.Stats) float64 { return float64(st.Commits) }),
		gauge("undersigned_scrubbed_entries", "Entries that were read and judged again since the ledger was opened from a snapshot.", func(st ledger.Stats) float64 { return float64(st.Scrubbed) }),
		gauge("undersigned_to_scrub_entries", "Entries that are to be read and judged again; 0 if the ledger was not opened from a snapshot.", func(st ledger.Stats) float64 { return float64(st.ToScrub) }),
		gauge("undersigned_scrub_ended_timestamp_seconds", "When that was done; 0: not yet, or the ledger was not opened from a snapshot.", func(st ledger.Stats) float64 {
			if st.ScrubEnded.IsZero() {
				return 0
			}
			return float64(st.ScrubEnded.UnixMilli()) / 1000
		}),
		gauge("undersigned_queue_entries", "Entries that wait for a commit.", func(st ledger.Stats) float64 { return float64(st.Queued) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "undersigned_signing", Help: "1 if the ledger admits entries, 0 if it can only be read or has failed.",
		}, func() float64 {
			if s.ready() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "undersigned_closed", Help: "1 if the ledger is served for reading alone, on purpose.",
		}, func() float64 {
			if s.closed() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "undersigned_full", Help: "1 if there is no space for another entry, else 0.",
		}, func() float64 {
			if s.full(context.Background()) {
				return 1
			}
			return 0
		}),
		gauge("undersigned_last_admitted_timestamp_seconds", "When the last entry was admitted, by the clock of that time.", func(st ledger.Stats) float64 { return float64(st.Admitted.UnixMilli()) / 1000 }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "undersigned_clock_behind_seconds", Help: "How far the clock is behind the last entry's time; 0 if it is right.",
		}, func() float64 { return s.behind().Seconds() }),
		witnesses{s},
		stampings{s},
		keeping{s},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "undersigned_certificate_expiry_timestamp_seconds", Help: "When the TLS certificate expires; 0 if the server speaks plain HTTP.",
		}, func() float64 {
			if s.expires == nil {
				return 0
			}
			return float64(s.expires().Unix())
		}),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for _, why := range reasons {
		m.limited.WithLabelValues(string(why)) // so that the first time is an increase
	}
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true, MaxRequestsInFlight: 4})
	return m
}

// request counts one answered request.
func (m *metrics) request(route, method string, code int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut:
	default:
		method = "other"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(code)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// limit counts what was turned away.
func (m *metrics) limit(why reason) { m.limited.WithLabelValues(string(why)).Inc() }

// outcome counts one submitted entry.
func (m *metrics) outcome(r ledger.Result) {
	name, rule := outcome(r)
	m.entries.WithLabelValues(name).Inc()
	if rule != "" {
		m.refused.WithLabelValues(string(rule)).Inc()
	}
}

// serveMetrics serves /metrics.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request, _ string) {
	w.Header().Set("Cache-Control", cacheNever)
	s.metrics.handler.ServeHTTP(w, r)
}

// closed reports whether the ledger was opened for reading alone, on purpose.
func (s *Server) closed() bool { return errors.Is(s.ledger.ReadOnly(), ledger.ErrReadOnly) }

// behind returns how far the clock is behind the last entry's time, 0 if it is not.
func (s *Server) behind() time.Duration {
	return max(0, s.ledger.Stats().Admitted.Sub(s.now()))
}

// ready reports whether the ledger admits entries.
func (s *Server) ready() bool {
	return s.ledger.ReadOnly() == nil && !s.ledger.ClockWrong() && s.ledger.Err() == nil && s.ledger.Checkpoint() != nil
}

// full reports whether entries are not admitted because there is no space for them.
func (s *Server) full(ctx context.Context) bool {
	return errors.Is(s.ledger.Room(ctx), ledger.ErrFull)
}

// healthz says whether the process works; one whose ledger has failed is to be restarted.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request, _ string) {
	if s.ledger.Err() != nil {
		s.fail(w, r, problemOf(ProblemFailed))
		return
	}
	w.Header().Set("Cache-Control", cacheNever)
	send(w, r, http.StatusOK, typeText, []byte("ok\n"))
}

// unready says why the ledger admits no entries; ready: it does, or was closed for writing and can be read.
func (s *Server) unready(ctx context.Context) (why Problem, ready bool) {
	switch {
	case s.ledger.Err() != nil:
		return ProblemFailed, false
	case s.closed() && s.ledger.Checkpoint() != nil:
		return "", true
	case errors.Is(s.ledger.ReadOnly(), ledger.ErrUnwitnessed):
		return ProblemWitnesses, false
	case s.ledger.ClockWrong():
		return ProblemClock, false
	case !s.ready():
		return ProblemNotSigning, false
	case s.full(ctx):
		return ProblemFull, false
	}
	return "", true
}

// readyz says whether the ledger admits entries, or was closed for writing and can be read.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, _ string) {
	why, ready := s.unready(r.Context())
	switch {
	case why == ProblemFull:
		p := problemSaying(ProblemFull, "The disk is full: entries are not admitted until there is space, and then are without a restart. What is in the record can be read.")
		p.Status = http.StatusServiceUnavailable
		s.fail(w, r, p)
	case !ready:
		s.fail(w, r, problemOf(why))
	case s.closed():
		w.Header().Set("Cache-Control", cacheNever)
		send(w, r, http.StatusOK, typeText, []byte("ready to be read, closed for writing\n"))
	default:
		w.Header().Set("Cache-Control", cacheNever)
		send(w, r, http.StatusOK, typeText, append([]byte("ready\n"), s.lagging()...))
	}
}

// lagging is a line for each witness that is behind.
func (s *Server) lagging() []byte {
	var b []byte
	if s.witnesses == nil {
		return nil
	}
	size := s.ledger.Published().Size
	for _, lag := range s.witnesses() {
		switch {
		case lag.Err != "":
			b = fmt.Appendf(b, "witness %s: %s\n", lag.Who, lag.Err)
		case lag.Size < size && !lag.Time.IsZero():
			b = fmt.Appendf(b, "witness %s: %d entries behind\n", lag.Who, size-lag.Size)
		}
	}
	return b
}

// witnesses collects how far each witness of the ledger is behind.
type witnesses struct{ s *Server }

var (
	witnessSize = prometheus.NewDesc("undersigned_witness_size", "Entries that the checkpoint covers which a witness cosigned last; 0: none since the start.", []string{"witness"}, nil)
	witnessTime = prometheus.NewDesc("undersigned_witness_timestamp_seconds", "When a witness says that it cosigned last; 0: not since the start.", []string{"witness"}, nil)
	witnessUp   = prometheus.NewDesc("undersigned_witness_up", "1 if a witness cosigned when it was asked last, else 0.", []string{"witness"}, nil)
)

// Describe is of prometheus.Collector.
func (w witnesses) Describe(ch chan<- *prometheus.Desc) {
	ch <- witnessSize
	ch <- witnessTime
	ch <- witnessUp
}

// Collect is of prometheus.Collector.
func (w witnesses) Collect(ch chan<- prometheus.Metric) {
	if w.s.witnesses == nil {
		return
	}
	for _, lag := range w.s.witnesses() {
		at, up := 0.0, 0.0
		if !lag.Time.IsZero() {
			at = float64(lag.Time.Unix())
		}
		if lag.Err == "" && !lag.Time.IsZero() {
			up = 1
		}
		ch <- prometheus.MustNewConstMetric(witnessSize, prometheus.GaugeValue, float64(lag.Size), lag.Who)
		ch <- prometheus.MustNewConstMetric(witnessTime, prometheus.GaugeValue, at, lag.Who)
		ch <- prometheus.MustNewConstMetric(witnessUp, prometheus.GaugeValue, up, lag.Who)
	}
}

// stampings collects how each time-stamping authority of the ledger does.
type stampings struct{ s *Server }

var (
	stampTime     = prometheus.NewDesc("undersigned_time_stamp_timestamp_seconds", "When a time-stamping authority stamped last, of what is in the record; 0: not known since the start.", []string{"tsa"}, nil)
	stampFailures = prometheus.NewDesc("undersigned_time_stamp_failures_total", "How often a time-stamping authority gave no time stamp that could be used.", []string{"tsa"}, nil)
)

// Describe is of prometheus.Collector.
func (t stampings) Describe(ch chan<- *prometheus.Desc) {
	ch <- stampTime
	ch <- stampFailures
}

// Collect is of prometheus.Collector.
func (t stampings) Collect(ch chan<- prometheus.Metric) {
	if t.s.stampings == nil {
		return
	}
	for _, st := range t.s.stampings() {
		at := 0.0
		if !st.Time.IsZero() {
			at = float64(st.Time.Unix())
		}
		ch <- prometheus.MustNewConstMetric(stampTime, prometheus.GaugeValue, at, st.Who)
		ch <- prometheus.MustNewConstMetric(stampFailures, prometheus.CounterValue, float64(st.Failures), st.Who)
	}
}

// keeping collects how it goes to ask the members' domains which keys they publish.
type keeping struct{ s *Server }

var (
	dnsTime     = prometheus.NewDesc("undersigned_dns_success_timestamp_seconds", "When a member's domain could be asked last which keys it publishes, or there was none to ask; 0: not since the start.", nil, nil)
	dnsFailing  = prometheus.NewDesc("undersigned_dns_failing", "Members' domains that could not be asked the last time.", nil, nil)
	dnsFailures = prometheus.NewDesc("undersigned_dns_failures_total", "How often a member's domain could not be asked, or its answer not be recorded.", nil, nil)
	dnsRecorded = prometheus.NewDesc("undersigned_dns_recorded_total", "Answers of members' domains that were recorded, by what they say of keys: published, gone, or unchanged.", []string{"says"}, nil)
)

// Describe is of prometheus.Collector.
func (k keeping) Describe(ch chan<- *prometheus.Desc) {
	ch <- dnsTime
	ch <- dnsFailing
	ch <- dnsFailures
	ch <- dnsRecorded
}

// Collect is of prometheus.Collector.
func (k keeping) Collect(ch chan<- prometheus.Metric) {
	if k.s.keeping == nil {
		return
	}
	st := k.s.keeping()
	at := 0.0
	if !st.Success.IsZero() {
		at = float64(st.Success.Unix())
	}
	ch <- prometheus.MustNewConstMetric(dnsTime, prometheus.GaugeValue, at)
	ch <- prometheus.MustNewConstMetric(dnsFailing, prometheus.GaugeValue, float64(st.Failing))
	ch <- prometheus.MustNewConstMetric(dnsFailures, prometheus.CounterValue, float64(st.Failures))
	for says, n := range map[string]uint64{"published": st.Changes, "gone": st.Gone, "unchanged": st.Still} {
		ch <- prometheus.MustNewConstMetric(dnsRecorded, prometheus.CounterValue, float64(n), says)
	}
}
