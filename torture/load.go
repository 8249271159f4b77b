package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// A book holds what was acknowledged.
type book struct {
	mu   sync.Mutex
	acks []*ack
	next int // the first one that the judge has not checked
	// unanswered are the last entries that were sent and not answered: they are in the record, or not.
	unanswered []*entry.Entry
}

// maxUnanswered bounds what is sent again after a start.
const maxUnanswered = 8

// An ack is what a submitter was told: this entry is in the record, at this index.
type ack struct {
	Index     uint64     `json:"index"`
	ID        entry.Hash `json:"id"`
	Admitted  string     `json:"admitted"`
	Published bool       `json:"published"`
	Duplicate bool       `json:"duplicate"`
	Status    int        `json:"status"` // 200 published, 202 stored
	Receipt   string     `json:"receipt"`
}

func (r *record) acknowledge(a *ack) {
	r.book.mu.Lock()
	r.book.acks = append(r.book.acks, a)
	r.book.mu.Unlock()
	r.add(&r.acknowledged, 1)
}

// A refusedError is a server's word that an entry was not stored.
type refusedError struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Detail string `json:"detail"`
	Rule   string `json:"rule"`
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("status %d %s %s: %s", e.Status, e.Type, e.Rule, e.Detail)
}

// passing reports whether a server refuses for a reason of its own, not because of the entry.
func (e *refusedError) passing() bool {
	return e.Status == http.StatusTooManyRequests || e.Status >= 500
}

// submit sends one entry, with the query given, and keeps what it is told.
func (r *record) submit(ctx context.Context, c *child, e *entry.Entry, query string) (*ack, error) {
	resp, err := r.post(ctx, c, "text/plain", e.Bytes(), query)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, verify.MaxReceipt*2))
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(resp.StatusCode, b)
	if err != nil {
		return nil, err
	}
	r.take(a, e)
	return a, nil
}

// submitMany sends many entries in one body and returns how many of them were stored. The error is
// the first refusal, or of the connection: then nothing is known.
func (r *record) submitMany(ctx context.Context, c *child, entries []*entry.Entry, query string) (stored int, err error) {
	var body []byte
	for _, e := range entries {
		b := e.Bytes()
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(b))), b...)
	}
	resp, err := r.post(ctx, c, "application/octet-stream", body, query)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		_, err := parseAnswer(resp.StatusCode, b)
		return 0, err
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	if len(lines) != len(entries) {
		return 0, fmt.Errorf("%d answers to %d entries", len(lines), len(entries))
	}
	var first error
	for i, line := range lines {
		var status struct{ Status int }
		if err := json.Unmarshal(line, &status); err != nil {
			return stored, err
		}
		a, err := parseAnswer(status.Status, line)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		r.take(a, entries[i])
		stored++
	}
	return stored, first
}

func (r *record) post(ctx context.Context, c *child, mediaType string, body []byte, query string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"entries"+query, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", mediaType)
	return c.http.Do(req)
}

// parseAnswer reads an answer to one entry. An error other than *refusedError says that it is none.
func parseAnswer(status int, b []byte) (*ack, error) {
	if status != http.StatusOK && status != http.StatusAccepted {
		refused := &refusedError{}
		if err := json.Unmarshal(b, refused); err != nil {
			refused.Detail = string(b[:min(len(b), 200)])
		}
		refused.Status = status
		return nil, refused
	}
	a := &ack{}
	if err := json.Unmarshal(b, a); err != nil {
		return nil, err
	}
	a.Status = status
	return a, nil
}

// take keeps an acknowledgement, if it is one of this entry.
func (r *record) take(a *ack, e *entry.Entry) {
	if a.ID != e.ID() {
		r.fault("an answer to %s names %s", e.ID(), a.ID)
		return
	}
	if a.Published != (a.Status == http.StatusOK) {
		r.fault("entry %d: status %d, published %v", a.Index, a.Status, a.Published)
	}
	r.acknowledge(a)
}

// A notedError says that what a server shows is no checkpoint by the policy.
type notedError struct{ error }

// newest returns the checkpoint that a server shows, and how entries quote it: by the first note of its size.
func (r *record) newest(ctx context.Context, c *child) (*verify.SignedCheckpoint, entry.After, error) {
	note, err := c.get(ctx, "checkpoint")
	if err != nil {
		return nil, entry.After{}, err
	}
	signed, err := r.policy.Open(note)
	if err != nil {
		return nil, entry.After{}, &notedError{err}
	}
	if r.fleet != nil {
		if note, err = c.get(ctx, verify.CheckpointPath(signed.Size)); err != nil {
			return nil, entry.After{}, err
		}
	}
	return signed, entry.After{Size: signed.Size, Note: entry.Sum(note)}, nil
}

// load has clients write to the record, each for members of its own, until ctx ends or the server
// goes away. It returns when all have stopped. No member's word is sent while an earlier one is
// without an answer.
func (r *record) load(ctx context.Context, c *child, clients int) {
	var wg sync.WaitGroup
	share := make([][]*member, clients)
	for i, m := range r.members {
		share[i%clients] = append(share[i%clients], m)
	}
	for i := range clients {
		rng := rand.New(rand.NewPCG(r.seed, r.rng.Uint64()))
		wg.Go(func() { r.client(ctx, c, share[i], rng) })
	}
	wg.Wait()
}

// client is one client of load. What the connection does not answer is left for the judge.
func (r *record) client(ctx context.Context, c *child, members []*member, rng *rand.Rand) {
	for ctx.Err() == nil && c.running() {
		signed, after, err := r.newest(ctx, c)
		var broken *notedError
		if errors.As(err, &broken) {
			r.fault("a checkpoint is not one: %v", err)
		}
		if err != nil {
			return
		}
		r.judge.see(signed)
		// A batch now and then, of members that differ.
		n, query := 1, r.query
		switch rng.IntN(8) {
		case 0:
			n = 1 + rng.IntN(len(members))
		case 1:
			query = "?wait=0s"
		}
		rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		var batch []*entry.Entry
		var writers []*member
		for _, m := range members {
			if len(batch) == n {
				break
			}
			if m.doubtful {
				continue
			}
			var e *entry.Entry
			if m.known {
				e, err = r.next(m, after)
			} else {
				e, err = r.registration(m)
			}
			if err != nil {
				r.fault("%v", err)
				return
			}
			batch, writers = append(batch, e), append(writers, m)
		}
		if len(batch) == 0 {
			return
		}
		for _, m := range writers {
			m.doubtful = true
		}
		var answered int
		if len(batch) == 1 {
			if _, err = r.submit(ctx, c, batch[0], query); err == nil {
				answered = 1
			}
		} else {
			answered, err = r.submitMany(ctx, c, batch, query)
		}
		var refused *refusedError
		if errors.As(err, &refused) && !refused.passing() {
			r.fault("an entry that is right was refused: %v", err)
			return
		}
		if answered < len(batch) {
			if refused == nil {
				r.book.mu.Lock()
				r.book.unanswered = append(r.book.unanswered, batch...)
				r.book.unanswered = r.book.unanswered[max(0, len(r.book.unanswered)-maxUnanswered):]
				r.book.mu.Unlock()
				return
			}
			select { // what is full or closing may be so for a while
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		for i, m := range writers {
			m.said(batch[i])
		}
	}
}

// grow submits so many entries of one member, one after the other, in one request. The judge must have caught up.
func (r *record) grow(ctx context.Context, c *child, n int) error {
	_, after, err := r.newest(ctx, c)
	if err != nil {
		return err
	}
	m := r.members[r.rng.IntN(len(r.members))]
	var batch []*entry.Entry
	for range n {
		e, err := r.next(m, after)
		if err != nil {
			return err
		}
		m.said(e)
		batch = append(batch, e)
	}
	if n == 1 {
		_, err = r.submit(ctx, c, batch[0], "")
	} else {
		_, err = r.submitMany(ctx, c, batch, "")
	}
	return err
}

// resend sends again, after the judge has caught up and before load, what was sent before the server
// ended and not answered, and something that was acknowledged. What is in the record must be answered
// with its index, and the rest be admitted as if it were new.
func (r *record) resend(ctx context.Context, c *child) error {
	again := r.book.unanswered
	r.book.unanswered = nil
	if n := len(r.book.acks); n > 0 {
		leaf, err := entry.ParseLeaf(r.judge.leaves[r.book.acks[r.rng.IntN(n)].Index])
		if err != nil {
			return err
		}
		again = append(again, leaf.Entry)
	}
	for _, e := range again {
		before := slices.Index(r.judge.ids, e.ID())
		known := before >= 0
		if known {
			r.add(&r.resent, 1)
		}
		a, err := r.submit(ctx, c, e, "")
		var refused *refusedError
		switch {
		case errors.As(err, &refused) && !refused.passing():
			r.fault("an entry that was sent again was refused: %v", err)
		case err != nil:
			return err
		case a.Duplicate && !known: // it was taken up after the judge had looked
			if err := r.judge.catchUp(ctx, c); err != nil || r.wrong() {
				return err
			}
			if a.Index >= r.judge.size() || r.judge.ids[a.Index] != e.ID() {
				r.fault("an entry that was sent again: index %d, a duplicate; that is another entry in the record", a.Index)
			}
		case a.Duplicate != known || known && a.Index != uint64(before):
			r.fault("an entry that was sent again: index %d, duplicate %v; in the record at %d", a.Index, a.Duplicate, before)
		}
	}
	return r.judge.catchUp(ctx, c)
}

// said takes up that an entry of the member was admitted.
func (m *member) said(e *entry.Entry) {
	m.doubtful = false
	if b, ok := e.Body.(*entry.Endorsement); ok {
		id := e.ID()
		m.previous, m.endorses = &id, b.Action == entry.Endorse
	} else {
		m.known = true
	}
}
