//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/boltstore"
	"github.com/tccm/undersigned/verify/entry"
)

// newTestHouse makes and opens a ledger.
func newTestHouse(t *testing.T) (*house, string, *source.Key) {
	t.Helper()
	operator, err := source.Generate(keys.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	genesis, err := newCharter("ledger.example", time.Now().UTC().Format(entry.DateFormat), &entry.Charter{
		Title: "A record", Operator: "ledger.example", Admission: entry.Admission{Operator: true}, Roll: "manual"}, operator)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "control-") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if _, err := makeHouse(t.Context(), dir, genesis, time.Now); err != nil {
		t.Fatal(err)
	}
	h, err := openHouse(t.Context(), dir, nil, time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h, dir, operator
}

// TestControlRequests sends to the socket what it is not for, and stalls. It hands out copies all the same.
func TestControlRequests(t *testing.T) {
	h, dir, _ := newTestHouse(t)
	defer h.Close()
	// More than a socket's buffers hold.
	if err := h.store.Put(t.Context(), ledger.Object{Path: "large", Data: bytes.Repeat([]byte("x"), 8<<20)}); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	stop := handOut(dir, h, 200*time.Millisecond, slog.New(slog.NewTextHandler(&log, nil)))
	dial := func() net.Conn {
		conn, err := net.Dial("unix", filepath.Join(dir, controlFile))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	for name, request := range map[string]string{
		"another version": "undersigned/copy/v2\n",
		"HTTP":            "GET /ledger.db HTTP/1.1\r\nHost: x\r\n\r\n",
		"a beginning":     "undersigned/co",
		"nothing":         "",
	} {
		conn := dial()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(conn); len(b) != 0 {
			t.Errorf("%s is answered: %q", name, b)
		}
	}
	// One that does not read keeps out others for as long as the patience lasts, and no longer.
	stalled := dial()
	if _, err := io.WriteString(stalled, copyRequest); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 5)
	if _, err := io.ReadFull(stalled, head); err != nil || string(head) != "size " {
		t.Fatalf("%q %v", head, err)
	}
	if _, err := takeCopy(t.Context(), dir, io.Discard); err == nil || !strings.Contains(err.Error(), "another copy is being made") {
		t.Errorf("beside one that stalls: %v", err)
	}
	var err error
	for range 200 {
		if _, err = takeCopy(t.Context(), dir, io.Discard); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("one that stalls is never cut off: %v", err)
	}
	if b, _ := io.ReadAll(stalled); bytes.Contains(b, []byte("sha256 ")) {
		t.Error("one that stalled got a whole copy")
	}
	// Ending cuts off what is under way, and the socket is gone.
	under := dial()
	if _, err := io.WriteString(under, copyRequest); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(under, head); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := os.Lstat(filepath.Join(dir, controlFile)); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
	if _, err := takeCopy(t.Context(), dir, io.Discard); exitCode(t.Context(), err) != codeUnchecked {
		t.Errorf("without a socket: %v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 3 { // keys, store, policy
		t.Errorf("%v are left", list)
	}
	if !strings.Contains(log.String(), "was not one for a copy") || !strings.Contains(log.String(), "was not finished") {
		t.Errorf("nobody is told: %s", &log)
	}
}

// TestSteady holds a copy to a time for each write, and to a rate on the whole.
func TestSteady(t *testing.T) {
	begin := time.Unix(1_000_000, 0)
	now := begin
	conn := &deadlines{}
	w := &steady{conn: conn, patience: 10 * time.Second, now: func() time.Time { return now }}
	for i, x := range []struct {
		after time.Duration // since the beginning
		bytes int
		want  time.Duration // since the beginning
	}{
		{0, 100, 10 * time.Second}, // the first needs no more than the rate
		{0, 20 * copyRate, 10 * time.Second},
		{9 * time.Second, copyRate, 19 * time.Second},
		{25 * time.Second, copyRate, 32 * time.Second}, // 22 MiB and the patience
		{31 * time.Second, copyRate, 33 * time.Second},
		{50 * time.Second, copyRate, 34 * time.Second}, // has passed
	} {
		now = begin.Add(x.after)
		w.Write(make([]byte, x.bytes))
		if got := conn.last.Sub(begin).Truncate(time.Second); got != x.want {
			t.Errorf("write %d: %v, want %v", i, got, x.want)
		}
	}
}

// deadlines notes the deadline of a write.
type deadlines struct {
	net.Conn
	last time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error { d.last = t; return nil }
func (d *deadlines) Write(b []byte) (int, error)        { return len(b), nil }

// TestBackupOfReplaced puts an old copy in place of a file that is being served. No backup takes it for the ledger.
func TestBackupOfReplaced(t *testing.T) {
	for _, file := range []string{boltstore.File, filepath.Join(keysDir, lastSignedFile)} {
		for _, as := range []string{"database", "archive", "tiles"} {
			for _, socket := range []bool{true, false} {
				h, dir, _ := newTestHouse(t)
				path := filepath.Join(dir, file)
				b, err := os.ReadFile(path)
				if err == nil {
					err = errors.Join(os.WriteFile(path+".x", b, 0o600), os.Rename(path+".x", path))
				}
				if err != nil {
					t.Fatal(err)
				}
				stop := func() {}
				if socket {
					stop = handOut(dir, h, copyPatience, slog.New(slog.DiscardHandler))
				}
				dest := filepath.Join(dir, "copy")
				code, out, stderr := runWith(t.Context(), "backup", "--as", as, dir, dest)
				switch {
				case file != boltstore.File && socket: // it copies what is being served
					if code != codeOK {
						t.Errorf("%s --as %s: exit code %d, %s%s", file, as, code, out, stderr)
					}
				case code != codeError && code != codeUnchecked || strings.Contains(out, "verified"):
					t.Errorf("%s --as %s, socket %v: exit code %d, %s%s", file, as, socket, code, out, stderr)
				case socket && !strings.Contains(stderr, "another file in place"):
					t.Errorf("%s --as %s, socket %v: %s", file, as, socket, stderr)
				}
				stop()
				h.Close()
			}
		}
	}
}

// A talk is a server's answer in bytes.
type talk struct {
	io.Reader
	said bytes.Buffer
}

func (t *talk) Write(b []byte) (int, error) { return t.said.Write(b) }

// TestReceive holds what a server hands out to its length and its checksum.
func TestReceive(t *testing.T) {
	body := strings.Repeat("ledger", 1000)
	sum := fmt.Sprintf("sha256 %x\n", sha256.Sum256([]byte(body)))
	good := "size 6000\n" + body + sum
	for name, answer := range map[string]string{
		"nothing":            "",
		"an error":           "error the disk is gone\x1b[31m\n",
		"no size":            "SIZE 6000\n" + body + sum,
		"a negative size":    "size -1\n" + body + sum,
		"too short":          good[:3000],
		"no checksum":        "size 6000\n" + body,
		"half a checksum":    good[:len(good)-10],
		"another checksum":   strings.Replace(good, "sha256 ", "sha256 0", 1),
		"another byte":       strings.Replace(good, "ledger", "Ledger", 1),
		"a byte more":        strings.Replace(good, "size 6000", "size 6001", 1),
		"a byte less":        strings.Replace(good, "size 6000", "size 5999", 1),
		"a checksum of none": "size 0\n" + sum,
	} {
		if err := receive(&talk{Reader: strings.NewReader(answer)}, io.Discard, sha256.New()); err == nil {
			t.Errorf("%s is taken", name)
		} else if strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %q", name, err)
		}
	}
	var out bytes.Buffer
	both := &talk{Reader: strings.NewReader(good)}
	if err := receive(both, &out, sha256.New()); err != nil || out.String() != body || both.said.String() != copyRequest {
		t.Errorf("%v", err)
	}
	if err := receive(&talk{Reader: strings.NewReader(good)}, brokenPipe{}, sha256.New()); err == nil {
		t.Error("a full disk is no error")
	}
}

// TestBackupUnderLoad backs a ledger up while entries stream in. Each copy is a beginning of the record, and sound.
func TestBackupUnderLoad(t *testing.T) {
	h, dir, operator := newTestHouse(t)
	stop := handOut(dir, h, copyPatience, slog.New(slog.DiscardHandler))
	ended := make(chan struct{})
	done := make(chan error)
	go func() {
		done <- func() error {
			for i := 0; ; i++ {
				select {
				case <-ended:
					return nil
				default:
				}
				text := entry.Sum(fmt.Append(nil, "text ", i))
				e := &entry.Entry{Ledger: "ledger.example", Signer: "ledger.example", Keys: []keys.Ref{operator.Public().Ref()}, Date: time.Now().UTC().Format(entry.DateFormat),
					Body: &entry.Statement{Action: entry.Publish, Statement: text, Title: fmt.Sprint("Statement ", i), Language: "en", MediaType: "text/plain", Size: 20}}
				if err := sign(e, operator); err != nil {
					return err
				}
				if r := h.ledger.Submit(t.Context(), e.Bytes())[0]; r.Err != nil || !r.Published {
					return fmt.Errorf("entry %d: %+v", i, r)
				}
			}
		}()
	}()
	var sizes []uint64
	for i := range 8 {
		before := h.ledger.Published()
		dest := filepath.Join(dir, fmt.Sprint("copy", i))
		if code, out, stderr := runWith(t.Context(), "backup", dir, dest); code != codeOK {
			t.Fatalf("exit code %d, %s%s", code, out, stderr)
		}
		store, flaws, err := boltstore.Inspect(dest)
		if err != nil || len(flaws) > 0 {
			t.Fatal(flaws, err)
		}
		l, err := readLedger(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		c := l.Published()
		if c.Size < before.Size {
			t.Errorf("the copy has %d entries; there were %d before it", c.Size, before.Size)
		}
		for h.ledger.Published().Size < c.Size { // a copy has a checkpoint that is still being synced
			time.Sleep(time.Millisecond)
		}
		note, err := h.ledger.CheckpointAt(t.Context(), c.Size)
		if err != nil || !bytes.Equal(note, l.Checkpoint()) {
			t.Errorf("the copy's checkpoint of size %d is not the ledger's: %v", c.Size, err)
		}
		sizes = append(sizes, c.Size)
		if err := errors.Join(l.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	}
	close(ended)
	if err := <-done; err != nil {
		t.Error(err)
	}
	stop()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("copies of %v entries", sizes)
}

// TestRestoreDirectory upgrades a store: everything that a directory holds comes along, also what no copy of the published
// record can tell.
func TestRestoreDirectory(t *testing.T) {
	h, dir, operator := newTestHouse(t)
	submit := func(text string) entry.Hash {
		t.Helper()
		e := &entry.Entry{Ledger: "ledger.example", Signer: "ledger.example", Keys: []keys.Ref{operator.Public().Ref()}, Date: time.Now().UTC().Format(entry.DateFormat),
			Body: &entry.Statement{Action: entry.Publish, Statement: entry.Sum([]byte(text)), Title: "Statement " + text, Language: "en", MediaType: "text/plain", Size: int64(len(text))}}
		if err := sign(e, operator); err != nil {
			t.Fatal(err)
		}
		if r := h.ledger.Submit(t.Context(), e.Bytes())[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
		return entry.Sum([]byte(text))
	}
	for _, text := range []string{"kept", "gone", "never sent"} {
		hash := submit(text)
		if text != "never sent" {
			if err := h.ledger.PutBlob(t.Context(), hash, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := h.ledger.TakeDown(t.Context(), entry.Sum([]byte("gone"))); err != nil {
		t.Fatal(err)
	}
	root := base64Of(func() []byte { c := h.ledger.Published(); return c.Root[:] }())
	// What a crash before the note was made leaves: entry 3 is not published.
	if err := errors.Join(h.ledger.Settle(t.Context()), h.store.Delete(t.Context(), "checkpoints/4"), h.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, keysDir, lastSignedFile), 8192); err != nil { // its slots alone
		t.Fatal(err)
	}
	policy := filepath.Join(dir, policyFile)
	if err := writeFile(policy, policyText(h.logs, "")); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(dir, "new")
	code, out, stderr := runWith(t.Context(), "restore", "--json", dir, fresh)
	if code != codeOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var got struct {
		Size, Published             uint64
		Root                        string
		Checkpoints, Texts          int
		MissingTexts, WithheldTexts int
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(out, "_texts", "Texts")), &got); err != nil {
		t.Fatal(err)
	}
	want := got
	want.Size, want.Published, want.Root, want.Checkpoints, want.Texts, want.MissingTexts, want.WithheldTexts = 4, 3, root, 3, 1, 1, 1
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	// The keys move, with their record, and it goes on: entry 3 is published now.
	if err := os.Rename(filepath.Join(dir, keysDir), filepath.Join(fresh, keysDir)); err != nil {
		t.Fatal(err)
	}
	h, err := openHouse(t.Context(), fresh, nil, time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.ledger.ReadOnly(); err != nil || h.ledger.Published().Size != 4 {
		t.Errorf("published %d: %v", h.ledger.Published().Size, err)
	}
	if err := h.ledger.PutBlob(t.Context(), entry.Sum([]byte("gone")), []byte("gone")); err != ledger.ErrWithheld {
		t.Errorf("what was taken down comes back: %v", err)
	}
}

// TestCopyHasWhatWasShown copies a store while, and after, its newest checkpoint is in the last-signed record alone, as it is for a moment after it
// was handed out: the copy has it, and so has who reads the directory.
func TestCopyHasWhatWasShown(t *testing.T) {
	h, dir, operator := newTestHouse(t)
	defer h.Close()
	stop := handOut(dir, h, copyPatience, slog.New(slog.DiscardHandler))
	defer stop()
	grow := func(i int) {
		t.Helper()
		text := fmt.Sprintf("text %d\n", i)
		e := &entry.Entry{Ledger: "ledger.example", Signer: "ledger.example", Keys: []keys.Ref{operator.Public().Ref()}, Date: time.Now().UTC().Format(entry.DateFormat),
			Body: &entry.Statement{Action: entry.Publish, Statement: entry.Sum([]byte(text)), Title: "A statement", Language: "en", MediaType: "text/plain", Size: int64(len(text))}}
		if err := sign(e, operator); err != nil {
			t.Fatal(err)
		}
		if r := h.ledger.Submit(t.Context(), e.Bytes())[0]; !r.Published {
			t.Fatalf("%+v", r)
		}
	}
	left := filepath.Join(dir, "left") // what a crash leaves
	if err := os.MkdirAll(filepath.Join(left, keysDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		grow(i)
		for _, name := range []string{boltstore.File, policyFile, filepath.Join(keysDir, lastSignedFile)} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(left, name), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		store, err := boltstore.Open(left, true)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := ledger.Whole(t.Context(), store, filepath.Join(left, keysDir, lastSignedFile))
		if err := errors.Join(err, store.Close()); err != nil {
			t.Fatal(err)
		}
		if _, ok := ledger.Unstored(whole); ok {
			break
		}
		if i == 100 {
			t.Fatal("the store always has the newest checkpoint")
		}
	}
	shown := h.ledger.Checkpoint()
	has := func(name, dir string) {
		t.Helper()
		rec, err := openRecord(t.Context(), dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer rec.Close()
		if b, err := rec.fetch(t.Context(), "checkpoint"); err != nil || !bytes.Equal(b, shown) {
			t.Errorf("%s: the newest checkpoint is another one than was shown (%v)", name, err)
		}
	}
	has("the directory", left)
	if h, err := openToRead(t.Context(), left, time.Now, nil, nil); err != nil || !bytes.Equal(h.ledger.Checkpoint(), shown) {
		t.Errorf("serving it for reading: %v", err)
	} else {
		h.Close()
	}
	for _, as := range []string{"database", "tiles"} {
		dest := filepath.Join(dir, "copy-"+as)
		if code, out, stderr := runWith(t.Context(), "backup", "--policy", filepath.Join(left, policyFile), "--as", as, left, dest); code != codeOK {
			t.Fatalf("exit code %d, %s%s", code, out, stderr)
		}
		has("a copy as "+as+" of it", dest)
	}
	// And of the one that is served.
	for i := range 3 {
		grow(200 + i)
		shown = h.ledger.Checkpoint()
		dest := filepath.Join(dir, fmt.Sprint("served-", i))
		if code, out, stderr := runWith(t.Context(), "backup", dir, dest); code != codeOK {
			t.Fatalf("exit code %d, %s%s", code, out, stderr)
		}
		has("a copy while it is served", dest)
	}
}
