package ledger

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// submission is one call of Submit.
type submission struct {
	mu      sync.Mutex
	results []Result
	left    int           // results to come
	done    chan struct{} // closed when left is 0
	ended   bool          // nobody waits any more
}

// item is one entry of a submission on its way.
type item struct {
	sub   *submission
	at    int // in sub.results
	entry *entry.Entry
	chain []byte // DNSSEC, that came with it; nil: none
	id    entry.Hash
	sigs  *roll.Signatures
	size  int // bytes

	index     uint64
	admitted  time.Time
	duplicate bool
	refusal   error

	word      *dnssec.Result // what the chain shows, if it was asked
	chained   *uint64        // where it is in the record
	unchained error          // why it is not
}

// last is the entry up to which a checkpoint answers the item.
func (it *item) last() uint64 {
	if it.chained != nil {
		return max(it.index, *it.chained)
	}
	return it.index
}

// waiter is an item that is stored and waits for a checkpoint.
type waiter struct {
	*item
	result Result
}

// answer gives an item its last result.
func (it *item) answer(r Result) {
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	it.sub.results[it.at] = r
	if it.sub.left--; it.sub.left == 0 {
		close(it.sub.done)
	}
}

// note gives an item a result that a better one will follow.
func (it *item) note(r Result) {
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	it.sub.results[it.at] = r
}

// abandoned says that nobody waits for the item's answer.
func (it *item) abandoned() bool {
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	return it.sub.ended
}

// window is how many entries of one submission are parsed and checked at a time.
const window = 256

// Submit submits entries, each a signed note, perhaps with a DNSSEC chain after it (entry.Submission), which nobody may change meanwhile, and waits until a published
// checkpoint covers those that were admitted, or ctx ends. The results are in the order of the
// entries; entries that depend on one another must be in that order too. Submitting an entry
// again is harmless: it gives the same index.
//
// One entry that finds the queue full is ErrBusy. Of many entries the later ones wait until the
// earlier have left the queue, of which they never fill more than half.
func (l *Ledger) Submit(ctx context.Context, entries ...[]byte) []Result {
	sub := &submission{results: make([]Result, len(entries)), left: len(entries), done: make(chan struct{})}
	if len(entries) == 0 {
		return sub.results
	}
	feed := func() {
		for from := 0; from < len(entries); from += window {
			items := l.prepare(ctx, sub, entries, from, min(from+window, len(entries)))
			n, err := l.queue.add(ctx, l.ctx, items, len(entries) > 1)
			for _, it := range items[n:] {
				it.answer(Result{ID: it.id, Err: err})
			}
			if err != nil {
				for at := from + window; at < len(entries); at++ {
					(&item{sub: sub, at: at}).answer(Result{Err: err})
				}
				return
			}
		}
	}
	if err := l.serving(); err != nil {
		for at := range entries {
			sub.results[at].Err = err
		}
		return sub.results
	}
	feed()
	return l.waitFor(ctx, sub)
}

// waitFor waits until all of a submission has its last results, or ctx ends.
func (l *Ledger) waitFor(ctx context.Context, sub *submission) []Result {
	var err error
	select {
	case <-sub.done:
	case <-ctx.Done():
		err = ctx.Err()
	case <-l.ctx.Done():
		err = l.Err()
	}
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.ended = true
	results := slices.Clone(sub.results)
	for i, r := range results {
		if err != nil && !r.Stored && r.Err == nil {
			results[i].Err = err
		}
	}
	return results
}

// Room returns ErrFull if there is no space for another entry now, and why the ledger admits nothing
// if that has another reason.
func (l *Ledger) Room(ctx context.Context) error {
	if err := l.serving(); err != nil {
		return err
	}
	return l.failing(ctx, l.room(ctx, 1, entry.MaxEntry))
}

// serving returns why the ledger admits nothing, or nil.
func (l *Ledger) serving() error {
	if err := l.ReadOnly(); err != nil {
		return err
	}
	if l.clockWrong.Load() {
		return ErrClock
	}
	return l.Err()
}

// prepare parses the entries [from, to), answers those that need no commit, and returns the
// others with their signatures checked, as far as their keys are registered by now.
func (l *Ledger) prepare(ctx context.Context, sub *submission, entries [][]byte, from, to int) []*item {
	items := make([]*item, to-from)
	one := func(i int) {
		it := &item{sub: sub, at: from + i, size: len(entries[from+i])}
		if l.prepareOne(ctx, it, entries[it.at]) {
			items[i] = it
		}
	}
	if workers := min(len(items), runtime.GOMAXPROCS(0)); workers > 1 {
		var wg sync.WaitGroup
		var mistake atomic.Pointer[any]
		for w := range workers {
			wg.Go(func() {
				defer func() {
					if r := recover(); r != nil {
						l.log.Error("an entry made the program panic", "stack", string(debug.Stack()))
						mistake.Store(&r)
					}
				}()
				for i := w; i < len(items); i += workers {
					one(i)
				}
			})
		}
		wg.Wait()
		if r := mistake.Load(); r != nil {
			panic(*r) // it is the submitter's, as with one entry: a hostile one must not end what serves all
		}
	} else {
		for i := range items {
			one(i)
		}
	}
	return slices.DeleteFunc(items, func(it *item) bool { return it == nil })
}

// prepareOne returns false if the entry has been answered or waits for a checkpoint.
func (l *Ledger) prepareOne(ctx context.Context, it *item, raw []byte) bool {
	e, text, chain, err := entry.ParseSubmission(raw)
	if err != nil {
		it.answer(Result{Err: refusal(err)})
		return false
	}
	it.entry, it.chain, it.id = e, chain, entry.Sum(text)
	if index, ok := l.Find(it.id); ok {
		it.index, it.duplicate = index, true
		if len(chain) > 0 && l.late(ctx, it) {
			return true
		}
		r, err := l.settled(it)
		if err != nil {
			it.answer(Result{ID: it.id, Err: err})
			return false
		}
		it.note(r)
		l.await([]waiter{{it, r}})
		return false
	}
	if l.queue.busy() && len(it.sub.results) == 1 {
		it.answer(Result{ID: it.id, Err: ErrBusy})
		return false
	}
	if en, ok := e.Body.(*entry.Endorsement); ok {
		if err := l.checkAfter(en.After); err != nil {
			it.answer(Result{ID: it.id, Err: err})
			return false
		}
	}
	// To check signatures in vain is what costs most: who has no quota left is told before.
	err = l.quotas.check(e, l.now())
	if err == nil {
		err = l.checking.pass(ctx, len(it.sub.results) > 1, func() {
			it.sigs = l.state.CheckText(e, text)
			it.refusal = l.state.CheckChain(e, chain, l.now())
		})
	}
	if err == nil && it.refusal != nil {
		err = refusal(it.refusal)
	}
	if err != nil {
		it.answer(Result{ID: it.id, Err: err})
		return false
	}
	return true
}

// checkAfter refuses an endorsement that quotes a note which was not published. Nothing of this
// can change later, so that it need not be checked again at the entry's position.
func (l *Ledger) checkAfter(after entry.After) error {
	n, err := l.noteAt(l.work, after.Size)
	switch {
	case err != nil && !isNotExist(err):
		return l.fail(err)
	case err != nil:
		return &Refusal{roll.RuleAfter, "after names a tree size of which this ledger published no checkpoint"}
	case n.hash != after.Note:
		return &Refusal{roll.RuleAfter, "after quotes a checkpoint note that is not the one which this ledger published of that tree size"}
	}
	return nil
}

// refusal tells a submitter why an entry does not parse or is inadmissible.
func refusal(err error) error {
	var inadmissible *roll.Inadmissible
	var beyond *roll.Beyond
	var syntax *entry.SyntaxError
	var unknown *entry.UnknownError
	switch {
	case errors.As(err, &inadmissible):
		return &Refusal{inadmissible.Rule, inadmissible.Detail}
	case errors.As(err, &syntax):
		return &Refusal{roll.RuleSyntax, syntax.Error()}
	case errors.As(err, &unknown):
		return &Refusal{RuleUnknown, unknown.Error()}
	case errors.As(err, &beyond):
		return &Refusal{RuleUnknown, beyond.Error()}
	}
	return err
}

// settled is result for an item that was stored before it came.
func (l *Ledger) settled(it *item) (Result, error) {
	l.durable.RLock()
	defer l.durable.RUnlock()
	if err := l.failed(); err != nil { // then the state, of which late has seen something too, may be ahead of the store for good
		return Result{}, err
	}
	r, err := l.result(it)
	if err != nil {
		err = l.fail(err)
	}
	return r, err
}

// result is what an item that is stored is answered, for now as not published. The caller holds
// durable.
func (l *Ledger) result(it *item) (Result, error) {
	r := Result{ID: it.id, Index: it.index, Stored: true, Duplicate: it.duplicate, Admitted: it.admitted, ChainIndex: it.chained, ChainErr: it.unchained, entry: it.entry}
	last, ok := l.state.Previous(it.entry)
	r.Stands = ok && last == it.id
	if !r.Admitted.IsZero() {
		return r, nil
	}
	err := l.leaves(l.work, it.index, it.index+1, func(b []byte) {
		if leaf, err := entry.ParseLeaf(b); err == nil {
			r.Admitted = leaf.Admitted
		}
	})
	return r, err
}

// queue holds the items that wait for the writer.
type queue struct {
	max int // items

	mu    sync.Mutex
	items []*item
	bytes int
	least int           // items for which alone the writer is to be woken
	ready chan struct{} // 1: there may be items
	space chan struct{} // closed when items were taken
}

// maxQueueBytes bounds the entries that wait for a commit, in bytes.
const maxQueueBytes = 64 << 20

func (q *queue) init(max int) {
	q.max, q.ready, q.space = max, make(chan struct{}, 1), make(chan struct{})
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

func (q *queue) busy() bool { return q.len() >= q.max }

// add appends items and returns how many. A patient caller waits for space, if there was some
// for its first item, until ctx or done end; the queue is only half as long for it.
func (q *queue) add(ctx, done context.Context, items []*item, patient bool) (n int, err error) {
	max := q.max
	if patient {
		max = (max + 1) / 2
	}
	for {
		q.mu.Lock()
		before := n
		for n < len(items) && len(q.items) < max && (q.bytes+items[n].size <= maxQueueBytes || len(q.items) == 0) {
			q.items = append(q.items, items[n])
			q.bytes += items[n].size
			n++
		}
		space, enough := q.space, q.enough(q.least)
		q.mu.Unlock()
		if n > before && enough {
			select {
			case q.ready <- struct{}{}:
			default:
			}
		}
		if n == len(items) {
			return n, nil
		}
		if !patient || n == 0 && items[0].at == 0 {
			return n, ErrBusy
		}
		select {
		case <-space:
		case <-ctx.Done():
			return n, ctx.Err()
		case <-done.Done():
			return n, context.Cause(done)
		}
	}
}

// take removes the first items, up to so many items and bytes, and waits for one until it is
// woken; then there may be none. idled says that nothing came before that timer. more is false when done ends.
func (q *queue) take(done context.Context, wake <-chan struct{}, timer, idle <-chan time.Time, max, maxBytes int) (batch []*item, idled, more bool) {
	for {
		if done.Err() != nil {
			return nil, false, false
		}
		q.mu.Lock()
		n, bytes := 0, 0
		for n < min(max, len(q.items)) && (n == 0 || bytes+q.items[n].size <= maxBytes) {
			bytes += q.items[n].size
			n++
		}
		if n > 0 {
			batch = slices.Clone(q.items[:n])
			q.items = slices.Delete(q.items, 0, n)
			q.bytes -= bytes
			close(q.space)
			q.space = make(chan struct{})
			q.mu.Unlock()
			return batch, false, true
		}
		q.mu.Unlock()
		select {
		case <-q.ready:
		case <-wake:
			return nil, false, true
		case <-timer:
			return nil, false, true
		case <-idle:
			return nil, true, true
		case <-done.Done():
		}
	}
}
