package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
)

// A Config says for whom a Server is a witness, and with what.
type Config struct {
	// Signers are the witness's keys, all of one name: types 0x04 and 0x06. Ed25519 cosignatures do not commit to the name, so
	// no key of type 0x04 may serve another name too.
	Signers []ledger.Signer
	// State holds what was cosigned. It stays the caller's to close, after the last request.
	State *State
	// Logs returns the verifier keys of the log with this origin, none if it is not one that the witness knows. It is
	// asked anew for every request.
	Logs func(origin string) []keys.VKey
	// Judge, if set, is asked before a checkpoint is cosigned that continues what was seen: a witness that replays the record
	// refuses there what its rules do not admit. An error that is a *Refusal is for good; any other may pass.
	Judge func(ctx context.Context, note []byte) error
	// Evidence, if set, is given what proves that a log has two histories. It must not block.
	Evidence func(*verify.Contradiction)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger is told of failures and of logs that contradict themselves; nil: nobody is.
	Logger *slog.Logger
}

// A Refusal is a Judge's word that a checkpoint is never to be cosigned.
type Refusal struct {
	// Problem is a sentence part.
	Problem string
}

func (r *Refusal) Error() string { return "the record is not admissible: " + r.Problem }

// A Server is the HTTP face of a witness: add-checkpoint below its submission prefix, and checkpoints below its monitoring
// prefix, which are the same.
//
//	POST /add-checkpoint
//	GET  /<SHA-256 of the origin, in hex>/checkpoint
//
// It does not offer sign-subtree.
type Server struct {
	Config
	failed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	turns  map[string]chan struct{} // by origin: held by whoever handles a checkpoint of it
	proven map[string]int           // by origin: contradictions that were found
}

// NewServer returns a handler for cfg.
func NewServer(cfg Config) (*Server, error) {
	if len(cfg.Signers) == 0 {
		return nil, errors.New("a witness needs a key")
	}
	for i, s := range cfg.Signers {
		switch {
		case s.VKey.Type != keys.TypeCosignatureEd25519 && s.VKey.Type != keys.TypeCosignatureMLDSA44:
			return nil, errors.New("a witness's keys must be of the types 0x04 and 0x06")
		case s.VKey.Name != cfg.Signers[0].VKey.Name:
			return nil, errors.New("a witness's keys must all have its name")
		case i > 0 && s.VKey.Type == cfg.Signers[i-1].VKey.Type || i > 1:
			return nil, errors.New("a witness has at most one key of each type")
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Evidence == nil {
		cfg.Evidence = func(*verify.Contradiction) {}
	}
	return &Server{Config: cfg, failed: make(chan struct{}), turns: make(map[string]chan struct{}), proven: make(map[string]int)}, nil
}

// Failed is closed when the state cannot be written any more: end the process, look at the disk, start again.
func (s *Server) Failed() <-chan struct{} { return s.failed }

// Name returns the witness's name.
func (s *Server) Name() string { return s.Signers[0].VKey.Name }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	path := r.URL.EscapedPath()
	if path == "/add-checkpoint" {
		// SPEC: tlog-witness, add-checkpoint: the request MUST be a POST.
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			reply(w, http.StatusMethodNotAllowed, "add-checkpoint is a POST")
			return
		}
		s.addCheckpoint(w, r)
		return
	}
	// SPEC: tlog-witness, Monitor Retrieval Mechanism: the origin hash is SHA-256 of the origin, in lower-case hex.
	hash, ok := strings.CutSuffix(strings.TrimPrefix(path, "/"), "/checkpoint")
	if !ok || len(hash) != 2*sha256.Size || strings.Trim(hash, "0123456789abcdef") != "" {
		reply(w, http.StatusNotFound, "there is nothing here")
		return
	}
	// SPEC: the request MUST be a GET.
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		reply(w, http.StatusMethodNotAllowed, "checkpoints are read with GET")
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	latest := s.State.byHash(hash)
	if latest == nil {
		// SPEC: 404 if the witness never cosigned a checkpoint of that log.
		reply(w, http.StatusNotFound, "this witness has cosigned no checkpoint of a log whose origin has this hash")
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Write(latest.note)
}

// reply answers with a status and a sentence.
func reply(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, sentence+"\n")
}

// take waits for the turn of an origin that the witness knows, and returns how to give it back.
func (s *Server) take(ctx context.Context, origin string) (func(), error) {
	s.mu.Lock()
	turn := s.turns[origin]
	if turn == nil {
		turn = make(chan struct{}, 1)
		s.turns[origin] = turn
	}
	s.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Server) addCheckpoint(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		reply(w, http.StatusRequestEntityTooLarge, "the request is too large")
		return
	case err != nil:
		reply(w, http.StatusBadRequest, "the request ended early")
		return
	}
	status, answer := s.handle(r.Context(), body)
	if status == http.StatusConflict {
		// SPEC: the body of a 409 is the tree size of the latest cosigned checkpoint and a newline, of this type.
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(status)
		io.WriteString(w, answer)
		return
	}
	if status == http.StatusOK {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, answer)
		return
	}
	reply(w, status, answer)
}

// submission is a checkpoint that is signed by a log which the witness knows.
type submission struct {
	*request
	verify.Checkpoint
	text      []byte // of the checkpoint, with its extension lines
	msg       []byte // the note, with the lines of the log's known keys alone
	sigs      []note.Signature
	log       []keys.VKey
	verifiers note.Verifiers // of log
}

// handle does what add-checkpoint asks for, in the order in which tlog-witness has it. It returns a status and the body.
func (s *Server) handle(ctx context.Context, body []byte) (status int, answer string) {
	sub, status, answer := s.open(body)
	if sub == nil {
		return status, answer
	}
	giveBack, err := s.take(ctx, sub.Origin)
	if err != nil {
		return http.StatusServiceUnavailable, "another checkpoint of this log is being handled"
	}
	defer giveBack()
	if gap := s.State.gap(sub.Origin); gap != nil {
		s.Logger.Error("a checkpoint is not cosigned: the keys have cosigned more than the state has, or something else", "origin", sub.Origin, "kept", gap.Kept, "cosigned", gap.Cosigned)
		return http.StatusServiceUnavailable, fmt.Sprintf("this witness has cosigned a tree of size %d, and what it remembers is a tree of size %d: its operator has to look", gap.Cosigned, gap.Kept)
	}
	latest := s.State.get(sub.Origin)
	size := uint64(0)
	if latest != nil {
		size = latest.Size
	}
	// SPEC: the old size MUST match the latest cosigned size, or zero if there is none; otherwise 409.
	if sub.old != size {
		return http.StatusConflict, strconv.FormatUint(size, 10) + "\n"
	}
	if problem := s.inconsistent(sub, latest); problem != "" {
		return http.StatusUnprocessableEntity, problem
	}
	if s.repeats(sub, latest) {
		return http.StatusOK, string(latest.lines)
	}
	if s.Judge != nil {
		var refused *Refusal
		switch err := s.Judge(ctx, sub.msg); {
		case errors.As(err, &refused):
			s.Logger.Error("a checkpoint is refused because of what is in the record", "origin", sub.Origin, "size", sub.Size, "problem", refused.Problem)
			return http.StatusUnprocessableEntity, refused.Error()
		case err != nil:
			s.Logger.Warn("a checkpoint is not cosigned: the record could not be read up to it", "origin", sub.Origin, "size", sub.Size, "error", err)
			return http.StatusServiceUnavailable, "this witness replays the record, and could not read it up to this checkpoint"
		}
	}
	return s.cosign(sub, latest)
}

// open parses a request and verifies the log's signature.
func (s *Server) open(body []byte) (sub *submission, status int, answer string) {
	req, err := parseRequest(body)
	if err != nil {
		return nil, http.StatusBadRequest, err.Error()
	}
	text, _, ok := cutNote(req.note)
	if !ok {
		return nil, http.StatusBadRequest, "what follows the empty line is not a signed checkpoint"
	}
	origin, _, _ := strings.Cut(string(text), "\n")
	vkeys := s.Logs(origin)
	if len(vkeys) == 0 {
		// SPEC: 404 if the origin is unknown.
		return nil, http.StatusNotFound, "this witness does not know a log of this origin"
	}
	var verifiers []note.Verifier
	for _, v := range vkeys {
		verifier, err := verify.NewVerifier(v)
		if err != nil {
			return nil, http.StatusInternalServerError, "this witness has an unusable key for this log"
		}
		verifiers = append(verifiers, verifier)
	}
	sub = &submission{request: req, text: text, log: vkeys, verifiers: note.VerifierList(verifiers...)}
	n, err := note.Open(req.note, sub.verifiers)
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	// SPEC: 403 if no signature of a trusted key is there, or one that names a trusted key does not verify; signatures of
	// unknown keys are ignored.
	case errors.As(err, &unverified):
		return nil, http.StatusForbidden, "the checkpoint is not signed by a key that this witness has for the log"
	case errors.As(err, &invalid):
		return nil, http.StatusForbidden, "a signature that names a key of the log is not by that key"
	case err != nil:
		return nil, http.StatusBadRequest, "what follows the empty line is not a signed note"
	}
	if sub.Checkpoint, err = verify.ParseExtended(text); err != nil {
		// SPEC: a checkpoint of size zero with another root hash than that of the empty tree is 422.
		if emptyTree(text) {
			return nil, http.StatusUnprocessableEntity, "an empty tree has another root hash"
		}
		return nil, http.StatusBadRequest, "what is signed is not a checkpoint"
	}
	if len(text) > len(sub.Text()) && !covered(n.Sigs, vkeys) {
		return nil, http.StatusForbidden, "no signature of a key that this witness has for the log covers the extension lines"
	}
	sub.msg = append(append([]byte{}, text...), '\n')
	sub.sigs = n.Sigs
	for _, sig := range n.Sigs {
		sub.msg = append(sub.msg, signatureLine(sig)...)
	}
	// SPEC: the old size MUST be equal to or lower than the checkpoint size; otherwise 400.
	if req.old > sub.Size {
		return nil, http.StatusBadRequest, "the old size is larger than the checkpoint's"
	}
	return sub, 0, ""
}

// covered says whether a verified signature covers extension lines. Those of ML-DSA-44 do not: anybody could put lines below
// what the log has signed, and readers would no longer take what the witness shows for the log's checkpoint.
func covered(sigs []note.Signature, vkeys []keys.VKey) bool {
	return slices.ContainsFunc(sigs, func(sig note.Signature) bool {
		return slices.ContainsFunc(vkeys, func(v keys.VKey) bool {
			return v.Type != keys.TypeCosignatureMLDSA44 && v.Name == sig.Name && v.KeyID == sig.Hash
		})
	})
}

// signatureLine prints a signature that was verified as readers take it: the last characters of base64 can be written in several ways,
// and a client could choose one that they do not.
func signatureLine(sig note.Signature) string {
	raw, _ := base64.StdEncoding.DecodeString(sig.Base64) // note.Open has
	return "— " + sig.Name + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

// emptyTree says whether a text is a checkpoint of size zero, whatever its root hash.
func emptyTree(text []byte) bool {
	lines := strings.SplitN(string(text), "\n", 3)
	return len(lines) == 3 && lines[1] == "0"
}

// inconsistent returns why a checkpoint does not continue the latest one, or "". What proves that the log has two histories
// goes to Evidence.
func (s *Server) inconsistent(sub *submission, latest *witnessed) string {
	if sub.old == 0 {
		// SPEC: if the old size is zero, the proof MUST be empty; otherwise 422. A tree is consistent with the empty one.
		if len(sub.proof) > 0 {
			return "there is nothing to prove about an empty tree"
		}
		if latest == nil || sub.Size > 0 || sub.Root == latest.Root {
			return ""
		}
	}
	// SPEC: of trees of one size the root hashes must be identical, otherwise 422; so must a proof lead from the old tree to
	// the new one.
	var found *verify.Contradiction
	if sub.Size == latest.Size {
		if sub.Root == latest.Root && len(sub.proof) == 0 {
			return ""
		}
		if sub.Root == latest.Root {
			return "there is nothing to prove about two equal trees"
		}
		found = verify.Contradict(sub.log, latest.note, sub.msg, nil)
	} else {
		if verify.CheckConsistency(latest.Size, sub.Size, sub.proof, latest.Root, sub.Root) == nil {
			return ""
		}
		found = verify.ContradictByProof(sub.log, latest.note, sub.msg, sub.proof)
	}
	s.Logger.Error("a log asks for a cosignature on a tree that does not continue the one cosigned last",
		"origin", sub.Origin, "cosigned", latest.Size, "asked", sub.Size, "proven", found != nil)
	if found != nil && s.fresh(sub.Origin) {
		s.Evidence(found)
	}
	return fmt.Sprintf("bad consistency proof: this does not continue the tree of size %d that this witness cosigned", latest.Size)
}

// repeats says whether a request asks for what this process has kept and given away with the same time, and bears no signature of a key
// of the log that is not kept with it. Anybody can ask for that, as often as they like, while the log waits for its turn: it is answered
// from memory.
func (s *Server) repeats(sub *submission, latest *witnessed) bool {
	if latest == nil || latest.lines == nil || !latest.says(sub.text) || s.State.failed() {
		return false
	}
	kept, err := note.Open(latest.note, sub.verifiers)
	if err != nil || slices.ContainsFunc(sub.sigs, func(sig note.Signature) bool { return !signedBy(kept.Sigs, sig) }) {
		return false
	}
	behind := time.Unix(int64(latest.time), 0).Sub(time.Unix(s.Now().Unix(), 0))
	return behind >= 0 && behind <= clockSlack
}

// says tells whether it is a checkpoint of this text.
func (w *witnessed) says(text []byte) bool {
	said, _, _ := cutNote(w.note)
	return bytes.Equal(said, text)
}

// whole returns what was submitted, with the log's signatures on the same text that are kept already: a client could have left some
// out by which readers know the log.
func (sub *submission) whole(latest *witnessed) []byte {
	msg := sub.msg
	if latest == nil || !latest.says(sub.text) {
		return msg
	}
	before, err := note.Open(latest.note, sub.verifiers)
	if err != nil {
		return msg
	}
	for _, sig := range before.Sigs {
		if !signedBy(sub.sigs, sig) {
			msg = append(msg, signatureLine(sig)...)
		}
	}
	return msg
}

// signedBy says whether one of these signatures is by the key of that one.
func signedBy(sigs []note.Signature, that note.Signature) bool {
	return slices.ContainsFunc(sigs, func(sig note.Signature) bool { return sig.Name == that.Name && sig.Hash == that.Hash })
}

// maxEvidence bounds the proofs against one log that are handed on: it could make new ones until the disk is full, which the
// other logs need.
const maxEvidence = 64

// fresh counts a proof against a log, and says whether it is to be handed on.
func (s *Server) fresh(origin string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proven[origin]++
	return s.proven[origin] <= maxEvidence
}

// clockSlack is how far behind the time of the last cosignature the clock may be.
const clockSlack = 5 * time.Minute

// cosign signs a checkpoint that continues the latest one, and keeps it before the signature leaves.
func (s *Server) cosign(sub *submission, latest *witnessed) (status int, answer string) {
	now := uint64(max(1, s.Now().Unix()))
	if latest != nil && now < latest.time {
		if time.Duration(latest.time-now)*time.Second > clockSlack {
			s.Logger.Error("the clock is behind the last cosignature", "origin", sub.Origin, "behind", time.Duration(latest.time-now)*time.Second)
			return http.StatusServiceUnavailable, "this witness's clock has gone back"
		}
		now = latest.time // the time in cosignatures of one log never goes back
	}
	// SPEC: the answer is one or more signature lines by the witness's keys; with a time, which MUST NOT be zero.
	lines, err := ledger.Cosignatures(s.Signers, now, sub.text)
	if errors.Is(err, ledger.ErrOrigin) {
		return http.StatusUnprocessableEntity, "the checkpoint's origin is too long to be cosigned"
	}
	if err != nil {
		s.Logger.Error("a key of the witness does not sign", "error", err)
		return http.StatusInternalServerError, "this witness cannot sign"
	}
	next := &witnessed{Checkpoint: sub.Checkpoint, time: now, note: append(sub.whole(latest), lines...), lines: lines}
	// SPEC: the witness MUST persist the new checkpoint before responding; comparing and persisting is atomic.
	switch err := s.State.replace(latest, next); {
	case errors.Is(err, errMoved):
		return http.StatusConflict, strconv.FormatUint(s.State.get(sub.Origin).Size, 10) + "\n"
	case err != nil:
		s.Logger.Error("the witness stops", "error", err)
		s.once.Do(func() { close(s.failed) })
		return http.StatusInternalServerError, "this witness cannot keep what it cosigns"
	}
	return http.StatusOK, string(lines)
}

// byHash returns the latest checkpoint of the log whose origin has this SHA-256 in hex; nil if none was cosigned.
func (s *State) byHash(hash string) *witnessed {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.hashes[hash]
}
