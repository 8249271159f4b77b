package server

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tccm/undersigned/ledger/server/assets"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// checkpoint serves /checkpoint.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request, _ string) {
	note := s.ledger.Checkpoint()
	if note == nil {
		s.fail(w, r, problemSaying(ProblemNotFound, "No checkpoint has been published yet."))
		return
	}
	s.content(w, r, typeText, cacheShort, note, false)
}

// checkpoints serves /checkpoints/<size> and /checkpoints/<size>/latest.
func (s *Server) checkpoints(w http.ResponseWriter, r *http.Request, rest string) {
	digits, latest := strings.CutSuffix(rest, "/latest")
	if _, ok := parseNumber(digits); !ok {
		s.fail(w, r, problemOf(ProblemNotFound))
		return
	}
	note, err := s.ledger.Fetch(r.Context(), "checkpoints/"+rest)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	cache := cacheForever
	if latest {
		cache = cacheShort
	}
	s.content(w, r, typeText, cache, note, false)
}

// sizes serves /api/v1/checkpoints: the sizes of which /checkpoints/<size> has a note. Its pages go on
// by size, so that none is missed while more are published.
func (s *Server) sizes(w http.ResponseWriter, r *http.Request, _ string) {
	q, p := parameters(r.URL, "from", "limit")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	from, limit := uint64(0), uint64(defaultLimit)
	ok := true
	if q.Has("from") {
		from, ok = parseNumber(q.Get("from"))
	}
	if ok && q.Has("limit") {
		limit, ok = parseNumber(q.Get("limit"))
	}
	if !ok || limit < 1 || limit > maxLimit {
		s.fail(w, r, problemSaying(ProblemParameter, "from is a tree size, and limit a number from 1 to 1000."))
		return
	}
	sizes, err := s.ledger.CheckpointSizes(r.Context())
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	answer := struct {
		Published uint64   `json:"published"`
		Count     int      `json:"count"`
		Items     []uint64 `json:"items"`
		Next      string   `json:"next,omitempty"`
	}{Count: len(sizes), Items: []uint64{}}
	if len(sizes) > 0 {
		answer.Published = sizes[len(sizes)-1]
	}
	first, _ := slices.BinarySearch(sizes, from)
	last := min(first+int(limit), len(sizes))
	answer.Items = append(answer.Items, sizes[first:last]...)
	if last < len(sizes) {
		answer.Next = fmt.Sprintf("/api/v1/checkpoints?from=%d&limit=%d", sizes[last], limit)
	}
	s.answer(w, r, answer)
}

// tile serves the tiles and entry bundles of the published tree.
func (s *Server) tile(w http.ResponseWriter, r *http.Request, rest string) {
	t, err := verify.ParseTilePath("tile/" + rest)
	if err != nil {
		s.fail(w, r, problemOf(ProblemNotFound))
		return
	}
	data, err := s.ledger.Tile(r.Context(), t)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	// Hashes do not compress; entries do.
	s.content(w, r, typeBytes, cacheForever, data, t.Level < 0)
}

// blob serves and takes the texts that statements name.
func (s *Server) blob(w http.ResponseWriter, r *http.Request, rest string) {
	hash, ok := parseHex(rest)
	if !ok {
		s.fail(w, r, problemOf(ProblemNotFound))
		return
	}
	if r.Method == http.MethodPut {
		s.putBlob(w, r, hash)
		return
	}
	data, err := s.ledger.Blob(r.Context(), hash)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	media, err := s.history.mediaType(r.Context(), hash)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	kind := typeText
	if media != "text/plain" {
		// Anybody's bytes: a browser keeps them as a file and never runs them as ours.
		kind = typeBytes
		w.Header().Set("Content-Disposition", "attachment")
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	s.content(w, r, kind, cacheHour, data, kind == typeText)
}

// putBlob keeps a text, if a statement names it.
func (s *Server) putBlob(w http.ResponseWriter, r *http.Request, hash entry.Hash) {
	size, ok := s.ledger.BlobSize(hash)
	if !ok {
		s.fail(w, r, problemSaying(ProblemNotFound, "No published statement names this fingerprint; publish the statement first, then send its text."))
		return
	}
	if rec, ok := w.(*recorder); ok && rec.who != nil {
		if ok, wait := s.clients.spendAll(rec.who.texts, size); !ok {
			s.fail(w, r, s.turnAway(reasonTexts, wait))
			return
		}
	}
	body, release, p := s.body(w, r, size)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	defer release()
	if entry.Sum(body) != hash {
		s.fail(w, r, problemOf(ProblemBlob))
		return
	}
	if err := s.ledger.PutBlob(r.Context(), hash, body); err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	w.Header().Set("Cache-Control", cacheNever)
	w.WriteHeader(http.StatusNoContent)
}

// parseNumber reads a decimal number without leading zeros.
func parseNumber(text string) (uint64, bool) {
	if text == "" || len(text) > 19 || text[0] == '0' && text != "0" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 63)
	return n, err == nil
}

// parseHex reads 64 lower-case hexadecimal digits.
func parseHex(text string) (entry.Hash, bool) {
	h, err := entry.ParseHash("sha256:" + text)
	return h, err == nil
}

func hexOf(h entry.Hash) string { return hex.EncodeToString(h[:]) }

// blobPath is where the text with this hash is served.
func blobPath(h entry.Hash) string { return "/blobs/sha256/" + hexOf(h) }

// asset serves /assets/.
func (s *Server) asset(w http.ResponseWriter, r *http.Request, rest string) {
	a := assets.Find("assets/" + rest)
	if a == nil {
		s.fail(w, r, problemOf(ProblemNotFound))
		return
	}
	h := w.Header()
	// A page and what it loads must be of one version: caches ask, and are told in a few bytes that nothing has changed.
	if a.Brotli == nil {
		s.content(w, r, a.Type, cacheAsk, a.Body(), true)
		return
	}
	// It is in the program, packed: nothing is held for a client that takes its time.
	h.Set("Cache-Control", cacheAsk)
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Uncompressed-Length", strconv.Itoa(len(a.Body())))
	tag, body := a.Tag(), a.Body()
	for _, packed := range []struct {
		coding string
		body   []byte
	}{{"br", a.Brotli}, {"gzip", a.Gzip}} {
		if accepts(r.Header, packed.coding) {
			h.Set("Content-Encoding", packed.coding)
			tag, body = tag+"-"+packed.coding, packed.body
			break
		}
	}
	tag = `"` + tag + `"`
	h.Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	send(w, r, http.StatusOK, a.Type, body)
}

// offeredPolicy is a policy file as it is offered to readers; nil: none.
func offeredPolicy(text []byte) []byte {
	if text == nil {
		return nil
	}
	return append([]byte("# This is the word of the server that it was read from. Whoever checks that server should have the policy from somewhere else.\n"), text...)
}

// policyFile serves it.
func (s *Server) policyFile(w http.ResponseWriter, r *http.Request, _ string) {
	if s.offered == nil {
		s.fail(w, r, problemOf(ProblemNotFound))
		return
	}
	s.content(w, r, typeText, cacheAsk, s.offered, true)
}

// openAPIFile describes /api/v1 (OpenAPI 3.1). It is written by hand, and the tests hold the server to it.
const openAPIFile = "openapi.json"

// openAPI serves that file.
func (s *Server) openAPI(w http.ResponseWriter, r *http.Request, _ string) {
	if _, p := parameters(r.URL); p != nil {
		s.fail(w, r, *p)
		return
	}
	s.asset(w, r, openAPIFile)
}
