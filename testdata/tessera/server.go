package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// poll is how often it is looked for a new checkpoint, which is how Tessera tells that there is one.
const poll = 5 * time.Millisecond

type config struct {
	dir, origin string
	keys        map[keys.Ref]member
	signer      note.Signer
	prove       bool
	interval    time.Duration
	batch       uint
	age         time.Duration
}

// A member is a registered key and whose it is.
type member struct {
	domain string
	key    *keys.PublicKey
	keyID  uint32
}

// parseKeys reads lines of a domain, a suite and an SPKI in base64.
func parseKeys(b []byte) (map[keys.Ref]member, error) {
	all := make(map[keys.Ref]member)
	for n, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		word := strings.Split(line, " ")
		if len(word) != 3 {
			return nil, fmt.Errorf("line %d is not a domain, a suite and a key", n+1)
		}
		spki, err := base64.StdEncoding.Strict().DecodeString(word[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: the key is not base64", n+1)
		}
		k, err := keys.ParsePublicKey(keys.Suite(word[1]), spki)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		all[k.Ref()] = member{word[0], k, k.NoteKeyID(word[0])}
	}
	return all, nil
}

// A server answers on top of one log of Tessera's.
type server struct {
	config
	http.Handler
	appender *tessera.Appender
	reader   tessera.LogReader
	awaiter  *tessera.PublicationAwaiter
	shutdown func(context.Context) error
	cancel   context.CancelFunc
	builders builders
}

func open(c config) (*server, error) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{config: c, cancel: cancel}
	driver, err := posix.New(ctx, posix.Config{Path: c.dir})
	if err == nil {
		s.appender, s.shutdown, s.reader, err = tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
			WithCheckpointSigner(c.signer).
			WithCheckpointInterval(c.interval).
			WithCheckpointRepublishInterval(time.Minute).
			WithBatching(c.batch, c.age))
	}
	if err != nil {
		cancel()
		return nil, err
	}
	s.awaiter = tessera.NewPublicationAwaiter(ctx, s.reader.ReadCheckpoint, poll)
	s.builders = builders{read: s.reader.ReadTile, turns: make(chan struct{}, workers())}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /entries", s.entries)
	files := http.FileServer(http.Dir(c.dir))
	mux.Handle("GET /checkpoint", cached("no-cache", files))
	mux.Handle("GET /tile/", cached("max-age=31536000, immutable", files))
	s.Handler = mux
	return s, nil
}

func cached(value string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", value)
		h.ServeHTTP(w, r)
	})
}

// close waits until what was answered is published, and ends the log.
func (s *server) close() error {
	err := s.shutdown(context.Background())
	s.cancel()
	return err
}

// answer is what POST /entries says.
type answer struct {
	Index     uint64     `json:"index"`
	ID        entry.Hash `json:"id"`
	Published bool       `json:"published"`
	Receipt   string     `json:"receipt,omitempty"`
}

func (s *server) entries(w http.ResponseWriter, r *http.Request) {
	if mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); mediaType != "text/plain" {
		http.Error(w, "one entry comes as text/plain", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(entry.MaxEntry)))
	if err != nil {
		http.Error(w, "the body cannot be read, or is larger than an entry may be", http.StatusBadRequest)
		return
	}
	e, err := entry.Parse(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.signed(e); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	a := answer{ID: e.ID(), Published: s.prove}
	added := s.appender.Add(r.Context(), tessera.NewEntry(body))
	if s.prove {
		err = s.prepare(r.Context(), &a, body, added)
	} else {
		var index tessera.Index
		index, err = added()
		a.Index = index.Index
	}
	switch {
	case errors.Is(err, tessera.ErrPushback):
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Tessera asks to wait", http.StatusServiceUnavailable)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	b, err := json.Marshal(a)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(b)
}

// signed holds an entry to the registered keys, signature by signature.
func (s *server) signed(e *entry.Entry) error {
	if e.Ledger != s.origin {
		return errors.New("it is for another ledger")
	}
	text := e.Text()
	for i, n := range e.Named() {
		m, ok := s.keys[n.Ref]
		sig := e.Signatures[i]
		if !ok || m.domain != n.Domain {
			return fmt.Errorf("signature line %d names a key that is not registered for its domain", i+1)
		}
		if sig.KeyID != m.keyID || !m.key.Verify(s.origin, text, sig.Sig) {
			return fmt.Errorf("signature line %d is not a signature of this text by its key", i+1)
		}
	}
	return nil
}

// prepare waits until the entry is published, and proves it.
func (s *server) prepare(ctx context.Context, a *answer, leaf []byte, added tessera.IndexFuture) error {
	index, checkpoint, err := s.awaiter.Await(ctx, added)
	if err != nil {
		return err
	}
	proof, err := s.builders.prove(ctx, checkpoint, index.Index)
	if err != nil {
		return err
	}
	receipt := verify.Receipt{Index: index.Index, Leaf: leaf, Proof: proof, Checkpoint: checkpoint}
	a.Index, a.Receipt = index.Index, string(receipt.Bytes())
	return nil
}

// builders are Tessera's builders of proofs under one checkpoint, each with the tiles that it has read. One serves one goroutine
// at a time, so there are as many as can compute at a time.
type builders struct {
	read  client.TileFetcherFunc
	turns chan struct{}

	mu         sync.Mutex
	checkpoint []byte
	size       uint64
	idle       []*client.ProofBuilder
}

func (b *builders) prove(ctx context.Context, checkpoint []byte, index uint64) ([][32]byte, error) {
	b.turns <- struct{}{}
	defer func() { <-b.turns }()
	builder, err := b.take(ctx, checkpoint)
	if err != nil {
		return nil, err
	}
	hashes, err := builder.InclusionProof(ctx, index)
	if err != nil {
		return nil, err
	}
	b.give(checkpoint, builder)
	proof := make([][32]byte, len(hashes))
	for i, h := range hashes {
		proof[i] = [32]byte(h)
	}
	return proof, nil
}

func (b *builders) take(ctx context.Context, checkpoint []byte) (*client.ProofBuilder, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !bytes.Equal(b.checkpoint, checkpoint) {
		text, _, _ := bytes.Cut(checkpoint, []byte("\n\n"))
		c, err := verify.ParseCheckpoint(append(bytes.Clone(text), '\n'))
		if err != nil {
			return nil, err
		}
		b.checkpoint, b.size, b.idle = checkpoint, c.Size, nil
	}
	if n := len(b.idle); n > 0 {
		builder := b.idle[n-1]
		b.idle = b.idle[:n-1]
		return builder, nil
	}
	return client.NewProofBuilder(ctx, b.size, b.read)
}

func (b *builders) give(checkpoint []byte, builder *client.ProofBuilder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bytes.Equal(b.checkpoint, checkpoint) {
		b.idle = append(b.idle, builder)
	}
}
