package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

const (
	textType  = "text/plain"
	manyType  = "application/octet-stream"
	mostInOne = 4096 // entries of one body
)

// A record is a ledger that is measured, with those who write to it.
type record struct {
	*crowd
	b      *bench
	dir    string
	server *process // nil: it is not served
	policy *verify.Policy
	size   uint64 // entries that were acknowledged
	given  map[uint64]bool
}

// newRecord makes a ledger with so many members, and serves it. With witnesses it is served only when they are there (serve).
func (b *bench) newRecord(ctx context.Context, dir string, members int, witnesses ...*witness) (*record, error) {
	c, err := newCrowd(members, b.Now().UTC().Format(entry.DateFormat))
	if err != nil {
		return nil, err
	}
	r := &record{crowd: c, b: b, dir: dir, size: 1, given: map[uint64]bool{0: true}}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	key := dir + ".operator.pem"
	if err := c.operator.save(key); err != nil {
		return nil, err
	}
	defer os.Remove(key) // anybody can make it again
	if _, err := toEnd(ctx, nil, b.line("init", "--dir", dir, "--origin", origin, "--title", title, "--operator", operator, "--operator-key", key, "--yes")...); err != nil {
		return nil, err
	}
	if err := r.know(ctx, witnesses); err != nil {
		return nil, err
	}
	if err := r.serve(ctx); err != nil {
		return nil, err
	}
	if err := r.ready(ctx); err != nil {
		return nil, err
	}
	for from, all := 0, c.beginnings(); from < len(all); from += mostInOne {
		if err := r.put(ctx, all[from:min(from+mostInOne, len(all))]); err != nil {
			return nil, err
		}
	}
	note, err := r.server.get(ctx, "checkpoint")
	if err != nil {
		return nil, err
	}
	signed, err := r.policy.Open(note)
	if err != nil {
		return nil, err
	}
	if note, err = r.server.get(ctx, verify.CheckpointPath(signed.Size)); err != nil {
		return nil, err
	}
	r.after = entry.After{Size: signed.Size, Note: entry.Sum(note)}
	return r, r.grown(ctx)
}

// know has the witnesses of a record cosign it, and reads its policy.
func (r *record) know(ctx context.Context, witnesses []*witness) error {
	path := filepath.Join(r.dir, "policy.txt")
	policy, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(witnesses) > 0 {
		var logs []byte
		for line := range bytes.Lines(policy) {
			if bytes.HasPrefix(line, []byte("log ")) {
				logs = append(logs, line...)
			}
		}
		policy = logs
		var groups []string
		for _, w := range witnesses {
			lines, group, err := w.serve(ctx, logs)
			if err != nil {
				return err
			}
			policy, groups = append(policy, lines...), append(groups, group)
		}
		policy = fmt.Appendf(policy, "group witnesses %d %s\nquorum witnesses\n", len(groups)/2+1, strings.Join(groups, " "))
		if err := os.WriteFile(path, policy, 0o644); err != nil {
			return err
		}
	}
	r.policy, err = verify.ParsePolicy(policy)
	return err
}

func (r *record) policyFile() string { return filepath.Join(r.dir, "policy.txt") }

// serve starts its server, the one that people use.
func (r *record) serve(ctx context.Context) (err error) {
	r.server, err = r.b.keep(start(ctx, 1, nil, r.b.line("serve", "--dir", r.dir, "--listen", "127.0.0.1:0",
		"--limit-client", "none", "--limit-texts", "none", "--limit-member", "none", "--max-connections", "65536")...))
	return err
}

// ready waits until it admits entries, which enough witnesses must have said before what they saw of it.
func (r *record) ready(ctx context.Context) error {
	for {
		_, err := r.server.get(ctx, "readyz")
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the server does not become ready: %w", err)
		}
	}
}

// close ends its server in good order.
func (r *record) close() error {
	p := r.server
	r.server = nil
	return r.b.end(p)
}

// crash kills its server.
func (r *record) crash() {
	r.b.drop(r.server)
	r.server.kill()
	r.server = nil
}

// frame makes one body of many entries.
func frame(entries [][]byte) []byte {
	var body []byte
	for _, e := range entries {
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(e))), e...)
	}
	return body
}

// put submits many entries in one body, and checks the answers.
func (r *record) put(ctx context.Context, entries [][]byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.server.url+"entries?wait=60s", bytes.NewReader(frame(entries)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", manyType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxLoadAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, b[:min(len(b), 300)])
	}
	if err != nil {
		return err
	}
	return r.tookMany(entries, b)
}

// answer is what a server says of an entry.
type answer struct {
	Status    int        `json:"status"`
	Index     uint64     `json:"index"`
	ID        entry.Hash `json:"id"`
	Published bool       `json:"published"`
	Duplicate bool       `json:"duplicate"`
	Detail    string     `json:"detail"`
	Receipt   string     `json:"receipt"`
	Proof     string     `json:"proof"`
}

// What an answer to one entry is asked to bring: the query of the request.
const (
	receipts = "answer=receipt"
	proofs   = "answer=proof"
)

// tookMany checks the answer to a body of many entries.
func (r *record) tookMany(entries [][]byte, b []byte) error {
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	if len(lines) != len(entries) {
		return fmt.Errorf("there are %d answers to %d entries", len(lines), len(entries))
	}
	return r.took(entries, lines, 0)
}

// took checks the answers to entries: each names its entry and an index that no other was given. Of one in every so many the receipt is
// judged, as a reader would, or the proof checked; 0: there are none.
func (r *record) took(entries, answers [][]byte, every int) error {
	if len(entries) != len(answers) {
		return fmt.Errorf("there are %d answers to %d entries", len(answers), len(entries))
	}
	as := make([]answer, len(entries))
	var problem atomic.Pointer[error]
	parallel(len(entries), func(i int) {
		err := json.Unmarshal(answers[i], &as[i])
		if err == nil {
			err = r.check(entries[i], &as[i], every > 0 && i%every == 0)
		}
		if err != nil {
			err = fmt.Errorf("the answer to an entry: %w: %s", err, as[i].Detail)
			problem.Store(&err)
		}
	})
	if p := problem.Load(); p != nil {
		return *p
	}
	for _, a := range as {
		if r.given[a.Index] {
			return fmt.Errorf("two entries were given the index %d", a.Index)
		}
		r.given[a.Index] = true
	}
	r.size += uint64(len(entries))
	return nil
}

// check holds an answer to its entry.
func (r *record) check(raw []byte, a *answer, receipt bool) error {
	e, err := entry.Parse(raw)
	switch {
	case err != nil:
		return err
	case a.ID != e.ID():
		return errors.New("it is about another entry")
	case !a.Published:
		return errors.New("the entry is not published")
	case a.Duplicate:
		return errors.New("the entry was there before")
	case !receipt:
		return nil
	case a.Proof != "":
		return r.proves(e, a)
	}
	p, err := verify.ParseReceipt([]byte(a.Receipt))
	if err != nil {
		return err
	}
	v := verify.Judge(verify.Input{Policy: r.policy, Receipt: p, Now: r.b.Now()})
	switch {
	case v.Code != verify.CodeOK && v.Code != verify.CodeWithdrawn:
		return fmt.Errorf("its receipt does not hold: %s", v.Sentence)
	case p.Index != a.Index || *v.ID != a.ID:
		return errors.New("its receipt is of another entry")
	}
	return nil
}

// proves checks the proof in an answer.
func (r *record) proves(e *entry.Entry, a *answer) error {
	p, err := verify.ParseReceipt([]byte(a.Proof))
	if err != nil {
		return err
	}
	leaf, err := entry.ParseLeaf(p.Leaf)
	if err != nil {
		return err
	}
	if p.Index != a.Index || leaf.Entry.ID() != e.ID() {
		return errors.New("its proof is of another entry")
	}
	c, err := r.policy.Open(p.Checkpoint)
	if err != nil {
		return err
	}
	return verify.CheckInclusion(verify.LeafHash(p.Leaf), p.Index, c.Size, p.Proof, c.Root)
}

// grown checks that the record has grown by what was acknowledged, and by nothing else.
func (r *record) grown(ctx context.Context) error {
	note, err := r.server.get(ctx, "checkpoint")
	if err != nil {
		return err
	}
	c, err := r.policy.Open(note)
	if err != nil {
		return err
	}
	if c.Size != r.size {
		return fmt.Errorf("the record has %d entries, but %d were acknowledged", c.Size, r.size)
	}
	return nil
}

// checkpoints is how many were published.
func (r *record) checkpoints(ctx context.Context) (n int, err error) {
	b, err := r.server.get(ctx, "api/v1/checkpoints?limit=1")
	if err != nil {
		return 0, err
	}
	var answer struct{ Count int }
	err = json.Unmarshal(b, &answer)
	return answer.Count, err
}

// grow makes the record so large. What the members sign next is prepared while the server works.
func (r *record) grow(ctx context.Context, size uint64, progress func(done uint64)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := make(chan [][]byte, 1)
	go func() {
		defer close(ready)
		for at := r.size; at < size; at += mostInOne {
			select {
			case ready <- r.mixed(int(min(mostInOne, size-at))):
			case <-ctx.Done():
				return
			}
		}
	}()
	for entries := range ready {
		if err := r.put(ctx, entries); err != nil {
			return err
		}
		progress(r.size)
	}
	return r.grown(ctx)
}

// load has clients send bodies, and returns the answers too if they are wanted.
func (b *bench) load(ctx context.Context, to *process, l load, bodies [][][]byte) (*loaded, error) {
	l.URL, l.Server, l.Ours = to.url, to.pid(), b.ours()
	var all [][]byte
	for _, of := range bodies {
		l.Bodies = append(l.Bodies, len(of))
		all = append(all, of...)
	}
	var result loaded
	rest, err := b.part(ctx, "load", task{Load: &l}, all, &result)
	if err != nil {
		return nil, err
	}
	for l.Keep && len(result.answers) < result.Count {
		a, err := readBody(rest)
		if err != nil {
			return nil, err
		}
		result.answers = append(result.answers, a)
	}
	if result.Count == 0 || result.Seconds <= 0 {
		return nil, errors.New("nothing was sent")
	}
	return &result, nil
}

// send has each client submit its entries one by one, and checks the answers and the record's size.
func (r *record) send(ctx context.Context, bodies [][][]byte, ask, syncs string) (*loaded, error) {
	l, err := r.b.load(ctx, r.server, load{Path: "/entries?wait=60s&" + ask, Type: textType, Keep: true, Sync: syncs}, bodies)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for _, of := range bodies {
		entries = append(entries, of...)
	}
	every := 1
	if len(entries) > 64 {
		every = 32
	}
	if err := r.took(entries, l.answers, every); err != nil {
		return nil, err
	}
	return l, r.grown(ctx)
}

// Make makes a ledger of so many entries in a directory, which must be new or empty, with the program's own server, and leaves it closed.
func Make(ctx context.Context, cfg Config, dir string, entries uint64, progress func(done, total uint64)) error {
	b := &bench{Config: cfg}
	defer func() {
		for _, p := range b.processes {
			p.kill()
		}
	}()
	r, err := b.newRecord(ctx, dir, membersOf(entries))
	if err != nil {
		return err
	}
	if err := r.grow(ctx, entries, func(done uint64) { progress(done, entries) }); err != nil {
		return err
	}
	return r.close()
}

// MinEntries is how few entries Make can make: what must be there before anybody endorses.
const MinEntries = 1 + statements + 1

// membersOf is how many members a record of so many entries has.
func membersOf(entries uint64) int {
	return int(min(max(1, min(Clients, entries/2), entries/250), 4096, entries-1-statements))
}
