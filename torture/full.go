package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

const (
	fullMembers   = 12
	fullClients   = 3
	fullPerLedger = 3 // cycles, then a new disk
	fullText      = 3 << 20
	fullGrowth    = 300 // entries that are sent at once to use up what the store has set aside
	fullMost      = 500 // requests for that
	fullAgainAt   = 20  // of these of one kind
	fullAgain     = 20 * time.Second
)

// A medium is a small disk of some kind.
type medium struct {
	name string
	size int64
	// mount makes it at a directory; image is a path for what it is kept in.
	mount func(ctx context.Context, dir, image string, size int64) error
}

var media = []medium{
	{"tmpfs", 32 << 20, func(ctx context.Context, dir, _ string, size int64) error {
		return syscall.Mount("torture", dir, "tmpfs", 0, "size="+strconv.FormatInt(size, 10))
	}},
	{"ext4", 48 << 20, func(ctx context.Context, dir, image string, size int64) error {
		f, err := os.Create(image)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
			return err
		}
		if out, err := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
			return fmt.Errorf("mkfs.ext4 (of the package e2fsprogs): %w: %s", err, out)
		}
		out, err := exec.CommandContext(ctx, "mount", "-o", "loop", image, dir).CombinedOutput()
		if err != nil {
			return fmt.Errorf("mount: %w: %s", err, out)
		}
		return nil
	}},
}

// A fullWorld is a ledger on a small disk.
type fullWorld struct {
	*record
	mounted string
	counts  *fullCounts
}

type fullCounts struct{ refused, killed, late int }

// full fills the disk under a server, with other files, while members write to it. Then it takes no entry and no text and says
// so, and everything can be read; when there is space again it goes on, the same process.
func full(ctx context.Context, t *trial) error {
	counts := &fullCounts{}
	var w *fullWorld
	var c *child
	end := func() (err error) {
		if w == nil {
			return nil
		}
		if c != nil {
			c.kill()
			c.wait()
		}
		if !t.wrong() {
			err = w.finish(ctx)
		}
		err = errors.Join(err, syscall.Unmount(w.mounted, syscall.MNT_DETACH))
		w, c = nil, nil
		return err
	}
	used := make(map[string]int)
	for n := 0; t.more(); n++ {
		if n%fullPerLedger == 0 {
			if err := end(); err != nil {
				return err
			}
			m := media[n/fullPerLedger%len(media)]
			var err error
			if w, err = t.newFullWorld(ctx, m, n, counts); err != nil {
				return fmt.Errorf("%s: %w (root is needed, and loop devices)", m.name, err)
			}
			if c, err = w.start(ctx); err != nil {
				return errors.Join(err, end())
			}
		}
		used[media[n/fullPerLedger%len(media)].name]++
		next, err := w.fill(ctx, c, n%fullPerLedger == fullPerLedger-1)
		if next != nil {
			c = next
		}
		if err != nil && ctx.Err() == nil {
			select {
			case <-c.ended:
				t.fault("the server ended by itself: %v: %s", c.err, c.stderr.last())
				err = nil
			case <-time.After(time.Second):
			}
		}
		if err != nil {
			return errors.Join(fmt.Errorf("cycle %d: %w: %s", n+1, err, c.stderr.last()), end())
		}
		t.cycle()
	}
	for _, m := range media {
		t.say("%d on %s", used[m.name], m.name)
	}
	t.say("%d requests refused with 507, %d entries stored and published when there was space, killed while full %d times", counts.refused, counts.late, counts.killed)
	return end()
}

func (t *trial) newFullWorld(ctx context.Context, m medium, n int, counts *fullCounts) (*fullWorld, error) {
	w := &fullWorld{mounted: filepath.Join(t.dir, fmt.Sprintf("disk-%d", n)), counts: counts}
	if err := os.Mkdir(w.mounted, 0o700); err != nil {
		return nil, err
	}
	if err := m.mount(ctx, w.mounted, w.mounted+".image", m.size); err != nil {
		return nil, err
	}
	r, err := t.newRecord(ctx, filepath.Join(filepath.Base(w.mounted), "ledger"), fullMembers)
	if err != nil {
		return nil, errors.Join(err, syscall.Unmount(w.mounted, syscall.MNT_DETACH))
	}
	w.record = r
	return w, nil
}

// fill fills the disk under load, looks at what the server does, and makes space again; the last time of a ledger it puts a
// text. It returns the server that runs
// at the end, which is another one if the first was killed.
func (w *fullWorld) fill(ctx context.Context, c *child, last bool) (*child, error) {
	if err := w.judge.catchUp(ctx, c); err != nil {
		return c, err
	}
	text, err := w.announce(ctx, c)
	if err != nil {
		return c, err
	}
	w.judge.patient = true // without space for a checkpoint there are 202s
	filler := filepath.Join(w.mounted, "filler")
	loaded, stop := context.WithCancel(ctx)
	var writers sync.WaitGroup
	writers.Go(func() { w.load(loaded, c, fullClients) })
	time.Sleep(w.upTo(20 * time.Millisecond))
	err = fillUp(filler)
	time.Sleep(w.upTo(20 * time.Millisecond))
	stop()
	writers.Wait()
	if err != nil {
		return c, err
	}
	if !c.running() {
		w.fault("the server ended when the disk was full: %v: %s", c.err, c.stderr.last())
		return c, nil
	}
	if err := w.exhaust(ctx, c, filler); err != nil || w.wrong() {
		return c, err
	}
	if w.rng.IntN(4) == 0 {
		w.counts.killed++
		c.kill()
		c.wait()
		if c, err = w.start(ctx); err != nil {
			return c, w.didNotStart(ctx, err)
		}
		w.restarted(c.took)
	}
	if err := w.whileFull(ctx, c, text); err != nil || w.wrong() {
		return c, err
	}
	if err := os.Remove(filler); err != nil {
		return c, err
	}
	if err := w.afterwards(ctx, c); err != nil || w.wrong() || !last {
		return c, err
	}
	return c, w.takes(ctx, c, text)
}

// announce has the operator publish another statement, whose text is large, and returns the text.
func (w *fullWorld) announce(ctx context.Context, c *child) ([]byte, error) {
	text := make([]byte, fullText)
	rand.Read(text)
	e, err := sign(&entry.Entry{
		Ledger: origin, Signer: operator, Keys: []keys.Ref{w.operator.line().Ref()}, Date: today(),
		Body: &entry.Statement{
			Action: entry.Publish, Statement: entry.Sum(text), Title: "A large statement", Language: "en", MediaType: "text/plain", Size: int64(len(text)),
		},
	}, w.operator)
	if err == nil {
		_, err = w.submit(ctx, c, e, "")
	}
	if err != nil {
		return nil, fmt.Errorf("before the disk is full: %w", err)
	}
	return text, w.judge.catchUp(ctx, c)
}

// fillUp writes to a file until there is no space.
func fillUp(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	for block := make([]byte, 256<<10); len(block) >= 512; {
		if _, err = f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			break
		}
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return errors.Join(err, ignoreFull(f.Sync()), f.Close())
}

func ignoreFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

// exhaust sends entries, fewer and fewer at once, until the server says that there is no space for a single one, keeping
// the disk full.
func (w *fullWorld) exhaust(ctx context.Context, c *child, filler string) error {
	n, again := fullGrowth, 0
	for range fullMost {
		if err := fillUp(filler); err != nil {
			return err
		}
		if err := w.judge.catchUp(ctx, c); err != nil {
			return err
		}
		err := w.come(ctx, c, n)
		var refused *refusedError
		switch {
		case errors.As(err, &refused) && refused.Status == http.StatusInsufficientStorage:
			w.counts.refused++
			if n == 1 {
				return nil
			}
			n = (n + 9) / 10
			again = 0
		case err == nil && again == fullAgainAt:
			n, again = fullGrowth, 0 // pages that became free are used up by many
		case err == nil:
			again++
		case errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable:
			// There was no time: they may be stored, and nothing was promised.
		default:
			w.fault("a full disk: %v: %s", err, c.stderr.last())
			return nil
		}
	}
	return errors.New("the disk is full, and the server takes entries without end")
}

// whileFull holds a server on a full disk to what it promises.
func (w *fullWorld) whileFull(ctx context.Context, c *child, text []byte) error {
	if err := w.judge.catchUp(ctx, c); err != nil {
		return err
	}
	e, err := w.newcomer()
	if err != nil {
		return err
	}
	w.refuses(ctx, c, http.MethodPost, "entries", "text/plain", e.Bytes())
	if w.wrong() {
		return nil
	}
	w.refuses(ctx, c, http.MethodPut, verify.BlobPath(entry.Sum(text)), "application/octet-stream", text)
	w.counts.late += len(w.judge.late)
	if err := w.judge.everything(ctx, c); err != nil {
		return fmt.Errorf("reading while the disk is full: %w", err)
	}
	if _, err := c.get(ctx, "healthz"); err != nil {
		w.fault("while the disk is full: %v", err)
	}
	var status *statusError
	if _, err := c.get(ctx, "readyz"); !errors.As(err, &status) || status.status != http.StatusServiceUnavailable {
		w.fault("readyz while the disk is full: %v", err)
	}
	return nil
}

// come submits the entries of so many newcomers in one request. Newcomers do not depend on what is not published yet.
func (w *fullWorld) come(ctx context.Context, c *child, n int) error {
	var batch []*entry.Entry
	for range n {
		e, err := w.newcomer()
		if err != nil {
			return err
		}
		batch = append(batch, e)
	}
	_, err := w.submitMany(ctx, c, batch, "?wait=3s")
	return err
}

// refuses sends what must be refused for want of space.
func (w *fullWorld) refuses(ctx context.Context, c *child, method, path, mediaType string, body []byte) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		w.fault("%v", err)
		return
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := c.http.Do(req)
	if err != nil {
		w.fault("%s %s while the disk is full: %v", method, path, err)
		return
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	again, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	if resp.StatusCode != http.StatusInsufficientStorage || again < 1 {
		w.fault("%s %s while the disk is full: status %d, Retry-After %q: %s", method, path, resp.StatusCode, resp.Header.Get("Retry-After"), b)
	}
	w.counts.refused++
}

// takes holds a server to taking a text again. It is the last thing that is done to a ledger: with large texts in its
// store, the pages that are free for single entries have no end.
func (w *fullWorld) takes(ctx context.Context, c *child, text []byte) error {
	path := verify.BlobPath(entry.Sum(text))
	if status, b, err := c.put(ctx, path, text); err != nil || status/100 != 2 {
		w.fault("there is space again, and a text is not taken: %v: status %d: %s", err, status, b)
		return nil
	}
	if b, err := c.get(ctx, path); err != nil || !bytes.Equal(b, text) {
		w.fault("a text is not as it was put: %v", err)
	}
	return nil
}

// afterwards holds a server to going on by itself when there is space.
func (w *fullWorld) afterwards(ctx context.Context, c *child) error {
	began := time.Now()
	for {
		err := w.come(ctx, c, 1)
		if err == nil {
			break
		}
		if time.Since(began) > fullAgain || !c.running() {
			w.fault("there is space again, and still: %v: %s", err, c.stderr.last())
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := c.get(ctx, "readyz"); err != nil {
		var fs syscall.Statfs_t
		syscall.Statfs(w.mounted, &fs)
		w.fault("there is space again, %d of %d MiB: %v", fs.Bavail*uint64(fs.Bsize)>>20, fs.Blocks*uint64(fs.Bsize)>>20, err)
	}
	// What was stored while there was no space for its checkpoint gets one.
	for len(w.judge.late) > 0 && time.Since(began) < fullAgain {
		time.Sleep(20 * time.Millisecond)
		if err := w.judge.catchUp(ctx, c); err != nil {
			return err
		}
	}
	w.judge.patient = false
	return w.judge.catchUp(ctx, c)
}
