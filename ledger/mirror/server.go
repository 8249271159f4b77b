package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tccm/undersigned/verify"
)

// A Server shows what Mirrors keep, each below the hash of its ledger's origin, and how they are doing:
//
//	GET /<SHA-256 of the origin, in hex>/checkpoint              with the mirror's cosignatures
//	GET /<the same>/tile/…, /checkpoints/<size>, /blobs/sha256/… as the ledger serves them
//	GET /<the same>/api/v1/checkpoints?from=57                   the sizes of the checkpoints that are kept
//	GET /healthz, /readyz, /metrics                              for whoever runs it
//
// GET answers HEAD as well. Everything that commands read from a ledger they can read from there.
type Server struct {
	mirrors map[string]*Mirror // by the hash of the origin
	order   []*Mirror
	now     func() time.Time
	patient time.Duration
	metrics http.Handler
}

// NewServer returns a handler. A mirror whose last good round is longer ago than patience is not ready; now is the clock.
func NewServer(mirrors []*Mirror, patience time.Duration, now func() time.Time) *Server {
	s := &Server{mirrors: make(map[string]*Mirror), order: mirrors, now: now, patient: patience}
	for _, m := range mirrors {
		s.mirrors[verify.OriginHash(m.Origin)] = m
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(gauges{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true, MaxRequestsInFlight: 4})
	return s
}

const (
	textType = "text/plain; charset=utf-8"
	byteType = "application/octet-stream"
	jsonType = "application/json"
	forever  = "public, max-age=31536000, immutable"
	shortly  = "public, max-age=1"
)

// ServeHTTP answers one request. A path is taken as it came, byte by byte.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		s.say(w, http.StatusMethodNotAllowed, "this is a mirror: it can only be read")
		return
	}
	path := r.URL.EscapedPath()
	switch path {
	case "/healthz":
		s.health(w)
		return
	case "/readyz":
		s.ready(w)
		return
	case "/metrics":
		s.metrics.ServeHTTP(w, r)
		return
	}
	// SPEC: tlog-mirror: the URL prefix of a log is <monitoring prefix>/<origin hash>.
	hash, rest, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	m := s.mirrors[hash]
	if !ok || m == nil {
		s.say(w, http.StatusNotFound, "there is nothing here")
		return
	}
	if rest == "api/v1/checkpoints" {
		s.sizes(w, r, m)
		return
	}
	b, err := m.Read(r.Context(), rest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.say(w, http.StatusNotFound, "there is nothing here")
		return
	case err != nil:
		s.say(w, http.StatusServiceUnavailable, "this mirror cannot read what it keeps")
		return
	}
	kind, cache := byteType, forever
	switch {
	case rest == "checkpoint" || strings.HasSuffix(rest, "/latest"):
		kind, cache = textType, shortly
	case strings.HasPrefix(rest, "checkpoints/"):
		kind = textType
	}
	h.Set("Cache-Control", cache)
	send(w, r, kind, b)
}

func send(w http.ResponseWriter, r *http.Request, kind string, b []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	if r.Method != http.MethodHead {
		w.Write(b)
	}
}

// say answers with a status and a line.
func (s *Server) say(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", textType)
	w.WriteHeader(status)
	fmt.Fprintln(w, line)
}

// sizes answers as a ledger does.
func (s *Server) sizes(w http.ResponseWriter, r *http.Request, m *Mirror) {
	q := r.URL.Query()
	from, limit := uint64(0), uint64(100)
	var err1, err2 error
	if v := q.Get("from"); v != "" {
		from, err1 = strconv.ParseUint(v, 10, 63)
	}
	if v := q.Get("limit"); v != "" {
		limit, err2 = strconv.ParseUint(v, 10, 63)
	}
	if err1 != nil || err2 != nil || limit < 1 || limit > 1000 {
		s.say(w, http.StatusBadRequest, "from is a tree size, and limit a number from 1 to 1000")
		return
	}
	sizes, err := m.Copy.Sizes(r.Context())
	if err != nil {
		s.say(w, http.StatusServiceUnavailable, "this mirror cannot read what it keeps")
		return
	}
	published := m.Status().Size
	sizes = slices.DeleteFunc(sizes, func(size uint64) bool { return size > published })
	answer := struct {
		Published uint64   `json:"published"`
		Count     int      `json:"count"`
		Items     []uint64 `json:"items"`
		Next      string   `json:"next,omitempty"`
	}{published, len(sizes), []uint64{}, ""}
	first, _ := slices.BinarySearch(sizes, from)
	last := min(first+int(limit), len(sizes))
	answer.Items = append(answer.Items, sizes[first:last]...)
	if last < len(sizes) {
		answer.Next = fmt.Sprintf("/%s/api/v1/checkpoints?from=%d&limit=%d", verify.OriginHash(m.Origin), sizes[last], limit)
	}
	b, err := json.Marshal(answer)
	if err != nil {
		s.say(w, http.StatusInternalServerError, "this mirror made a mistake")
		return
	}
	w.Header().Set("Cache-Control", shortly)
	send(w, r, jsonType, append(b, '\n'))
}

// health says whether the process can go on.
func (s *Server) health(w http.ResponseWriter) {
	for _, m := range s.order {
		if m.Failed() != nil {
			s.say(w, http.StatusServiceUnavailable, "the storage has failed: look at the disk, then start this mirror again")
			return
		}
	}
	s.say(w, http.StatusOK, "ok")
}

// ready has a line for each ledger: how far its copy is, and how old.
func (s *Server) ready(w http.ResponseWriter) {
	status, lines := http.StatusOK, []string{}
	for _, m := range s.order {
		st := m.Status()
		age := s.now().Sub(st.Checked)
		line := fmt.Sprintf("%s: %d entries, %d behind, checked %v ago", st.Origin, st.Size, st.behind(), age.Round(time.Second))
		if st.Checked.IsZero() {
			line = fmt.Sprintf("%s: %d entries, %d behind, not checked since the start", st.Origin, st.Size, st.behind())
		}
		if st.Contradicted {
			line += "; the ledger contradicts itself, so that nothing is cosigned any more"
		}
		if st.Problem != "" {
			line += ": " + st.Problem
		}
		if st.Contradicted || st.Checked.IsZero() || age > s.patient {
			status = http.StatusServiceUnavailable
		}
		lines = append(lines, line)
	}
	s.say(w, status, strings.Join(lines, "\n"))
}

func (s Status) behind() uint64 { return s.Seen - min(s.Seen, s.Size) }

// gauges collects how each mirror is doing.
type gauges struct{ s *Server }

func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("undersigned_mirror_"+name, help, []string{"origin"}, nil)
}

var (
	sizeDesc         = desc("size", "Entries under the checkpoint that the mirror has cosigned last.")
	behindDesc       = desc("behind", "Entries that the ledger or a witness has shown beyond that.")
	checkedDesc      = desc("checked_timestamp_seconds", "When a round ended well; 0: none since the start.")
	missingDesc      = desc("missing_texts", "Texts that the ledger does not have.")
	contradictedDesc = desc("contradicted", "1 if the ledger contradicts itself, so that nothing is cosigned any more; else 0.")
)

// Describe is of prometheus.Collector.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sizeDesc, behindDesc, checkedDesc, missingDesc, contradictedDesc} {
		ch <- d
	}
}

// Collect is of prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	for _, m := range g.s.order {
		st := m.Status()
		checked, contradicted := 0.0, 0.0
		if !st.Checked.IsZero() {
			checked = float64(st.Checked.Unix())
		}
		if st.Contradicted {
			contradicted = 1
		}
		for d, v := range map[*prometheus.Desc]float64{
			sizeDesc: float64(st.Size), behindDesc: float64(st.behind()), checkedDesc: checked,
			missingDesc: float64(st.Missing), contradictedDesc: contradicted,
		} {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, st.Origin)
		}
	}
}
