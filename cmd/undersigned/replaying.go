package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/ledger/mirror"
	"github.com/tccm/undersigned/ledger/witness"
	"github.com/tccm/undersigned/verify"
)

// replayDir is where a replaying witness keeps the records that it has read, each in a directory named by verify.OriginHash.
const replayDir = "replay"

// replays makes sure that a key which has cosigned without replaying never serves as one that says it does, nor the other
// way round. fresh says that it has cosigned nothing.
func replays(dir string, asked, fresh bool) error {
	_, err := os.Stat(filepath.Join(dir, replayDir))
	did := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if did == asked {
		return nil
	}
	if did {
		return fmt.Errorf("%s is a witness that replays what it cosigns: serve it with --replay", dir)
	}
	if !fresh {
		return fmt.Errorf("%s has cosigned without replaying: a witness that replays has a name and keys of its own; make one with undersigned witness new", dir)
	}
	return os.Mkdir(filepath.Join(dir, replayDir), 0o700)
}

// replaying has every record replayed that a witness knows.
type replaying struct {
	dir      string
	logs     *logList
	evidence func(*verify.Contradiction)
	now      func() time.Time
	log      *slog.Logger

	mu     sync.Mutex
	judges map[string]*judged // by origin
}

// judged is the judge of one record, and what it judges by.
type judged struct {
	*mirror.Judge
	policy string
}

// begin reads what is kept of every record.
func (r *replaying) begin() {
	for _, origin := range r.logs.origins() {
		if _, err := r.of(origin); err != nil {
			r.log.Warn("a record cannot be replayed", "origin", origin, "error", err)
		}
	}
}

func (r *replaying) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for origin, j := range r.judges {
		if err := j.Close(); err != nil {
			r.log.Error("closing what was read of a record", "origin", origin, "error", err)
		}
	}
}

// judge says whether a checkpoint may be cosigned. It fits witness.Config.Judge.
func (r *replaying) judge(ctx context.Context, note []byte) error {
	origin, _, _ := bytes.Cut(note, []byte("\n"))
	j, err := r.of(string(origin))
	if err != nil {
		return err
	}
	err = j.Judge.Judge(ctx, note)
	var refused *mirror.RefusedError
	if errors.As(err, &refused) {
		return &witness.Refusal{Problem: strings.TrimSuffix(refused.Problem, ".")}
	}
	return err
}

// of returns the judge of a record by the list of logs as it is now.
func (r *replaying) of(origin string) (*judged, error) {
	text, url := r.logs.policyOf(origin)
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.judges[origin]
	if j != nil && j.policy == text {
		return j, nil
	}
	p, err := verify.ParsePolicy([]byte(text))
	if err != nil {
		return nil, err
	}
	if url == "" {
		return nil, fmt.Errorf("%s has no address for this log: a line is log <vkey> <url>", r.logs.path)
	}
	source, err := newClient(url)
	if err != nil {
		return nil, err
	}
	if j != nil {
		delete(r.judges, origin)
		if err := j.Close(); err != nil {
			return nil, err
		}
	}
	j = &judged{policy: text, Judge: mirror.NewJudge(mirror.JudgeConfig{
		Open: func(ctx context.Context) (*mirror.Follower, func() error, error) {
			kept, release, err := openCopy(ctx, filepath.Join(r.dir, verify.OriginHash(origin)), origin, r.log)
			if err != nil {
				return nil, nil, err
			}
			return mirror.NewFollower(mirror.FollowerConfig{Origin: origin, Policy: p, Fetch: source.fetch, Copy: kept}), release, nil
		},
		Evidence: r.evidence, Now: r.now, Logger: r.log,
	})}
	r.judges[origin] = j
	return j, nil
}

// policyOf returns a policy of a log's lines alone, and the first address in them.
func (l *logList) policyOf(origin string) (text, url string) {
	var b strings.Builder
	for _, k := range l.current.Load().Logs() {
		if k.VKey.Name == origin {
			fmt.Fprintf(&b, "log %s %s\n", k.VKey, k.URL)
			if url == "" {
				url = k.URL
			}
		}
	}
	return b.String() + "quorum none\n", url
}

// openCopy opens the copy of a record in a directory, or begins one.
func openCopy(ctx context.Context, dir, origin string, log *slog.Logger) (*ledger.Copy, func() error, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	store, err := boltstore.Open(dir, false)
	if errors.Is(err, fs.ErrNotExist) {
		store, err = boltstore.Create(dir)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("what is kept in %s cannot be used: %w", dir, err)
	}
	kept, err := ledger.OpenCopy(ctx, ledger.Config{Origin: origin, Store: store, Logger: log})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("what is kept in %s cannot be used: %w", dir, err), store.Close())
	}
	return kept, func() error {
		kept.Close()
		return store.Close()
	}, nil
}
