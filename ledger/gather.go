package ledger

import (
	"context"
	"runtime"
	"time"
)

// A turn costs the same two signatures and three syncs for however many entries. So where many submit, the writer waits after a turn for those who
// are about: whoever was answered comes back, and the processors have entries to check meanwhile. Where the processors have time left there is
// nothing to be saved, and whoever waits would wait in vain.

const (
	gatherFrom  = 16                    // items of a turn; after fewer the writer does not wait
	maxGather   = 15 * time.Millisecond // for how long it waits at most
	gatherQuiet = 3 * time.Millisecond  // after which it looks whether anybody came
)

// gatherTarget returns for how many items the writer waits after a turn of so many, while others wait already: three quarters of all of them, because
// the processors have the last quarter to check during the next turn; 0: for none.
func gatherTarget(turn, waiting, most int) int {
	if turn < gatherFrom {
		return 0
	}
	return min((turn+waiting)*3/4, most)
}

// usage is what this process had used of the processors at a time.
type usage struct {
	at   time.Time
	used time.Duration // of all processors together
}

// busy says whether the process has used a third of all processors or more since it was asked last. Where the system does not tell, it has not.
func (u *usage) busy(now time.Time, used time.Duration) bool {
	before := *u
	*u = usage{now, used}
	return 3*(used-before.used) >= time.Duration(runtime.GOMAXPROCS(0))*now.Sub(before.at) && used > before.used
}

// gather waits until so many items wait, or as many as one commit takes, and for no longer than so long; it looks every gatherQuiet, and waits no longer if
// nobody has come since.
func (q *queue) gather(done context.Context, n int, most time.Duration) {
	defer q.wakeFrom(0)
	if q.wakeFrom(n) {
		return
	}
	end, look := time.NewTimer(most), time.NewTicker(gatherQuiet)
	defer end.Stop()
	defer look.Stop()
	for before := q.len(); ; {
		select {
		case <-q.ready: // the writer, who alone hears it, looks before it waits for more
			if q.wakeFrom(n) {
				return
			}
		case <-look.C:
			now := q.len()
			if now == before {
				return
			}
			before = now
		case <-end.C:
			return
		case <-done.Done():
			return
		}
	}
}

// wakeFrom has the writer woken only when so many items wait, and not for each that comes. It returns whether they wait already.
func (q *queue) wakeFrom(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.least = n
	return q.enough(n)
}

// enough says whether so many items wait, or as many bytes as one commit takes. The caller holds mu.
func (q *queue) enough(n int) bool { return len(q.items) >= n || q.bytes >= maxBatchBytes }
