package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
)

// controlFile is the socket in a ledger's directory at which whoever serves it hands out copies of the store's file,
// which nobody else can open meanwhile. It can do nothing else.
//
// A copy is asked for with the line "undersigned/copy/v1". The answer is "size N", N bytes, and "sha256 HEX" over them,
// or "error" and a sentence; each of these is a line.
const controlFile = "control.sock"

const (
	copyRequest  = "undersigned/copy/v1\n"
	maxSocket    = 100 // bytes of a socket's path; systems allow 104 and more
	copyPatience = 10 * time.Second
	copyRate     = 1 << 20 // bytes per second that a copy takes at least, on the whole
)

// A control hands out copies of a store.
type control struct {
	store    ledger.Store
	settle   func(context.Context) error // has the store hold what was handed out
	path     string
	listener *net.UnixListener
	patience time.Duration // how long one write may take, while the store's file perhaps cannot grow
	log      *slog.Logger

	ctx     context.Context
	cancel  context.CancelFunc
	copying sync.Mutex
	running sync.WaitGroup
}

// handOut starts to hand out copies of a house's store, and returns how to end it, which is to be done before the house is
// closed. That it cannot start is a warning, not a failure.
func handOut(dir string, h *house, patience time.Duration, log *slog.Logger) (stop func()) {
	if h.signed == nil {
		return func() {} // opened for reading: others can open it too
	}
	c := &control{store: h.store, settle: h.ledger.Settle, path: filepath.Join(dir, controlFile), patience: patience, log: log}
	if err := c.listen(); err != nil {
		log.Warn("no backup can be made while this ledger is served", "error", err)
		return func() {}
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.running.Go(c.serve)
	return c.stop
}

// listen makes the socket. It gets its name only when nobody but the owner can use it; one that a crash left there
// gives way, as whoever calls this has locked the store.
func (c *control) listen() error {
	private, err := os.MkdirTemp(filepath.Dir(c.path), ".control-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(private)
	temp := filepath.Join(private, "s")
	if len(temp) > maxSocket {
		return fmt.Errorf("the path %s is too long for a socket; serve the ledger by a shorter path", c.path)
	}
	if c.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"}); err != nil {
		return err
	}
	c.listener.SetUnlinkOnClose(false)
	if err = os.Chmod(temp, 0o600); err == nil {
		err = os.Rename(temp, c.path)
	}
	if err != nil {
		c.listener.Close()
	}
	return err
}

func (c *control) stop() {
	os.Remove(c.path)
	c.cancel()
	c.listener.Close()
	c.running.Wait()
}

func (c *control) serve() {
	for {
		conn, err := c.listener.AcceptUnix()
		if err != nil {
			if c.ctx.Err() == nil {
				c.log.Warn("no more backups can be made while this ledger is served", "error", err)
			}
			return
		}
		c.running.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(c.ctx, func() { conn.Close() })()
			if err := c.answer(conn); err != nil && c.ctx.Err() == nil {
				c.log.Warn("a copy of the store was not finished", "error", err)
			}
		})
	}
}

// answer answers one request.
func (c *control) answer(conn *net.UnixConn) error {
	conn.SetReadDeadline(time.Now().Add(c.patience))
	request := make([]byte, len(copyRequest))
	if _, err := io.ReadFull(conn, request); err != nil || string(request) != copyRequest {
		return errors.New("the request was not one for a copy")
	}
	w := &steady{conn: conn, patience: c.patience, now: time.Now}
	if !c.copying.TryLock() {
		_, err := io.WriteString(w, "error another copy is being made\n")
		return err
	}
	defer c.copying.Unlock()
	begun := false
	sum := sha256.New()
	err := c.settle(c.ctx)
	if errors.Is(err, ledger.ErrFull) {
		err = nil // the copy is none the worse but for the newest checkpoint
	}
	if err != nil {
		fmt.Fprintf(w, "error the store cannot be written: %s\n", printable(err.Error()))
		return err
	}
	err = boltstore.Copy(c.ctx, c.store, func(size int64) (io.Writer, error) {
		begun = true
		_, err := fmt.Fprintf(w, "size %d\n", size)
		return io.MultiWriter(w, sum), err
	})
	if err != nil {
		if !begun {
			fmt.Fprintf(w, "error the store cannot be read: %s\n", printable(err.Error()))
		}
		return err
	}
	_, err = fmt.Fprintf(w, "sha256 %x\n", sum.Sum(nil))
	return err
}

// steady is a connection that breaks when one write takes too long, or all of them are slower than copyRate.
type steady struct {
	conn     net.Conn
	patience time.Duration
	now      func() time.Time

	end time.Time // by when what was written so far must have been; zero: nothing was
}

func (s *steady) Write(b []byte) (int, error) {
	now := s.now()
	if s.end.IsZero() {
		s.end = now.Add(s.patience)
	}
	s.end = s.end.Add(time.Duration(len(b)) * time.Second / copyRate)
	deadline := now.Add(s.patience)
	if s.end.Before(deadline) {
		deadline = s.end
	}
	s.conn.SetWriteDeadline(deadline)
	return s.conn.Write(b)
}

// takeCopy writes a consistent copy of the store's file in a directory, whether or not it is being served. That the file
// is not locked does not say that it is not: somebody may have put it in place of the one that is. So whoever
// serves is asked first. If it is not served, lacking are what the copy lacks still: a server that was killed left it elsewhere.
func takeCopy(ctx context.Context, dir string, w io.Writer) (lacking []ledger.Object, err error) {
	conn, unserved := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, controlFile))
	if unserved == nil {
		return nil, askForCopy(ctx, dir, conn, w)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	store, err := boltstore.Open(dir, true)
	if err == nil {
		defer store.Close()
		err = nobodySigns(dir)
	}
	if errors.Is(err, ledger.ErrInUse) {
		return nil, failf(codeUnchecked, "another process is using %s and hands out no copies at %s (%w): stop it first", dir, filepath.Join(dir, controlFile), unserved)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, &failure{codeUnchecked, inUse(dir, err)}
	}
	if err != nil {
		return nil, inUse(dir, err)
	}
	whole, err := ledger.Whole(ctx, store, filepath.Join(dir, keysDir, lastSignedFile))
	if err != nil {
		return nil, err
	}
	if o, ok := ledger.Unstored(whole); ok {
		lacking = append(lacking, o)
	}
	return lacking, boltstore.Copy(ctx, store, func(int64) (io.Writer, error) { return w, ctx.Err() })
}

// nobodySigns returns ledger.ErrInUse if another process holds the last-signed record in a directory.
func nobodySigns(dir string) error {
	signed, err := ledger.OpenLastSigned(filepath.Join(dir, keysDir, lastSignedFile))
	if err == nil {
		return signed.Close()
	}
	if errors.Is(err, ledger.ErrInUse) {
		return err
	}
	return nil // a copy needs no keys
}

// askForCopy gets the copy from whoever serves the directory.
func askForCopy(ctx context.Context, dir string, conn net.Conn, w io.Writer) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	err := receive(conn, w, sha256.New())
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("the server of %s gave no whole copy: %w; try again", dir, err)
	}
	return nil
}

// receive asks for a copy and reads the answer.
func receive(conn io.ReadWriter, w io.Writer, sum hash.Hash) error {
	if _, err := io.WriteString(conn, copyRequest); err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	head, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	if problem, ok := strings.CutPrefix(head, "error "); ok {
		return errors.New(printable(problem))
	}
	digits, ok := strings.CutPrefix(strings.TrimSuffix(head, "\n"), "size ")
	size, err := strconv.ParseUint(digits, 10, 63)
	if !ok || err != nil {
		return errors.New("it answers in a form that this program does not know")
	}
	if _, err := io.CopyN(io.MultiWriter(w, sum), r, int64(size)); err != nil {
		return err
	}
	tail, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	if tail != "sha256 "+hex.EncodeToString(sum.Sum(nil))+"\n" {
		return errors.New("its checksum is wrong")
	}
	return nil
}
