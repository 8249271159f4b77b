package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (ledger.Store, func(bool) ledger.Store) {
		dir := t.TempDir()
		s, err := Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if s != nil {
				s.Close()
			}
		})
		return s, func(readOnly bool) ledger.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			sound(t, dir)
			if s, err = Open(dir, readOnly); err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

// sound inspects a store, which must have no flaw.
func sound(t *testing.T, dir string) {
	t.Helper()
	s, flaws, err := Inspect(dir)
	if err != nil || len(flaws) > 0 {
		t.Fatal(flaws, err)
	}
	s.Close()
}

func TestCreateIsNotOpen(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening nothing: %v", err)
	}
	if _, _, err := Inspect(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("inspecting nothing: %v", err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("opening made %v", names)
	}
	s, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 || names[0].Name() != File {
		t.Errorf("creating made %v", names)
	}
	if info, err := os.Stat(filepath.Join(dir, File)); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if _, err := Create(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating again: %v", err)
	}
	for name, err := range map[string]error{
		"open":     second(Open(dir, false)),
		"read":     second(Open(dir, true)),
		"inspect":  func() error { _, _, err := Inspect(dir); return err }(),
		"not a db": nil,
	} {
		if err != nil && (!errors.Is(err, ledger.ErrInUse) || !strings.Contains(err.Error(), dir)) || err == nil && name != "not a db" {
			t.Errorf("%s while it is open: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// Several may read.
	a, err := Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := second(Open(dir, false)); !errors.Is(err, ledger.ErrInUse) {
		t.Errorf("writing beside readers: %v", err)
	}
	if _, err := Create(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("creating in no directory: %v", err)
	}
}

func second(_ any, err error) error { return err }

func TestNotAStore(t *testing.T) {
	for name, content := range map[string][]byte{
		"empty": {}, "short": []byte("hello\n"), "zeros": make([]byte, 1<<16), "text": bytes.Repeat([]byte("hello\n"), 10000),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, File), content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{false, true} {
			if err := second(Open(dir, readOnly)); !errors.Is(err, ledger.ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
		}
		s, flaws, err := Inspect(dir)
		if err != nil || len(flaws) == 0 {
			t.Errorf("%s: %v %v", name, flaws, err)
		}
		if last, err := s.Last(t.Context()); last != 0 || err != nil {
			t.Errorf("%s: %v %v", name, last, err)
		}
		s.Close()
		if got, err := os.ReadFile(filepath.Join(dir, File)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	// Another program's bbolt file.
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, File), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("something"))
		if err == nil {
			_, err = b.CreateBucket([]byte("within"))
		}
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if err := second(Open(dir, false)); !errors.Is(err, ledger.ErrCorrupt) {
		t.Error(err)
	}
}

// TestPages puts and deletes at random and compares what Inspect reads with what bbolt reads:
// whatever bbolt writes has no flaw.
func TestPages(t *testing.T) {
	ctx := t.Context()
	r := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	s, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if s != nil {
			s.Close()
		}
	}()
	seq := uint64(0)
	for round := range 20 {
		for range 1 + r.IntN(30) {
			switch r.IntN(5) {
			case 0, 1:
				seq++
				if err := s.Create(ctx, seq, make([]byte, r.IntN([]int{10, 900, 20_000}[r.IntN(3)]))); err != nil {
					t.Fatal(err)
				}
			case 2:
				if err := s.Delete(ctx, fmt.Sprint("path/", r.IntN(200))); err != nil {
					t.Fatal(err)
				}
			default:
				var objects []ledger.Object
				for range 1 + r.IntN(8) {
					objects = append(objects, ledger.Object{Path: fmt.Sprint("path/", r.IntN(200), strings.Repeat("x", r.IntN(200))), Data: make([]byte, r.IntN(9000))})
				}
				if err := s.Put(ctx, objects...); err != nil {
					t.Fatal(err)
				}
			}
		}
		if round%10 == 9 { // leave little, so that pages merge
			paths, _ := s.List(ctx, "")
			for _, path := range paths[:len(paths)*9/10] {
				if err := s.Delete(ctx, path); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		i, flaws, err := Inspect(dir)
		if err != nil || len(flaws) > 0 {
			t.Fatalf("round %d: %v %v", round, flaws, err)
		}
		got := dump(t, i)
		i.Close()
		if s, err = Open(dir, false); err != nil {
			t.Fatal(err)
		}
		if dump(t, s) != got {
			t.Fatalf("round %d: Inspect reads something else than bbolt", round)
		}
	}
}

// dump returns everything in a store, errors too.
func dump(t testing.TB, s ledger.Store) string {
	ctx := context.Background()
	var b strings.Builder
	last, err := s.Last(ctx)
	fmt.Fprintln(&b, last, err)
	for seq := uint64(1); seq <= min(last, 1000); seq++ {
		record, err := s.Read(ctx, seq)
		fmt.Fprintln(&b, entry.Sum(record), len(record), err)
	}
	paths, err := s.List(ctx, "")
	fmt.Fprintln(&b, paths, err)
	for _, path := range paths {
		data, err := s.Get(ctx, path)
		fmt.Fprintln(&b, entry.Sum(data), len(data), err)
	}
	return b.String()
}

// record makes a ledger of so many endorsements and a few entries more in a directory, with branch
// pages, long values and free pages, and returns its verifier keys.
func record(tb testing.TB, dir string, endorsements int) []keys.VKey {
	store, err := Create(dir)
	if err != nil {
		tb.Fatal(err)
	}
	defer store.Close()
	signed, err := ledger.OpenLastSigned(filepath.Join(tb.TempDir(), "last-signed"))
	if err != nil {
		tb.Fatal(err)
	}
	defer signed.Close()
	k := rolltest.NewKey("log")
	v, err := keys.NewVKey(rolltest.Origin, keys.TypeEd25519, k.Public.SPKI()[12:])
	if err != nil {
		tb.Fatal(err)
	}
	r := rolltest.New(tb)
	leaf, err := entry.ParseLeaf(r.Leaves[0])
	if err != nil {
		tb.Fatal(err)
	}
	cfg := ledger.Config{
		Origin: rolltest.Origin, Store: store, LastSigned: signed, Now: func() time.Time { return rolltest.Start },
		Signers: []ledger.Signer{{VKey: v, Sign: func(msg []byte) ([]byte, error) { return k.Sign(msg), nil }}},
	}
	if err := ledger.Create(tb.Context(), cfg, leaf.Entry); err != nil {
		tb.Fatal(err)
	}
	l, err := ledger.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	submit := func(entries ...*entry.Entry) {
		var raw [][]byte
		for _, e := range entries {
			r.Must(e)
			raw = append(raw, e.Bytes())
		}
		for _, result := range l.Submit(tb.Context(), raw...) {
			if result.Err != nil {
				tb.Fatal(result.Err)
			}
		}
	}
	o := rolltest.NewOrg("apnic.net", 1, 0, 1)
	submit(r.Registration(o))
	text := "We stand by this.\n"
	hash := entry.Sum([]byte(text))
	submit(rolltest.Sign(r.Draft(&entry.Statement{
		Action: entry.Publish, Statement: hash, Title: "A statement", Language: "en", MediaType: "text/plain", Size: int64(len(text)),
	}, r.Operator)))
	if err := l.PutBlob(tb.Context(), hash, []byte(text)); err != nil {
		tb.Fatal(err)
	}
	after := entry.After{Size: 1}
	note, err := l.CheckpointAt(tb.Context(), 1)
	if err != nil {
		tb.Fatal(err)
	}
	after.Note = entry.Sum(note)
	for n := range endorsements {
		submit(rolltest.Sign(r.Draft(&entry.Endorsement{Action: []entry.Action{entry.Endorse, entry.Withdraw}[n%2], Statement: hash, After: after}, o)))
		if n == endorsements/2 {
			if err := l.TakeDown(tb.Context(), hash); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return []keys.VKey{v}
}

// flaws returns how many flaws a directory has, as the command fsck counts them.
func flaws(tb testing.TB, dir string, logs []keys.VKey) int {
	s, found, err := Inspect(dir)
	if err != nil {
		tb.Fatal(err)
	}
	defer s.Close()
	r, err := ledger.Check(tb.Context(), s, ledger.CheckOptions{Origin: rolltest.Origin, Logs: logs, HashesOnly: true})
	if err != nil {
		return len(found) + 1
	}
	return len(found) + r.FlawCount
}

var exhaustive = flag.Bool("exhaustive", false, "flip every bit of the structure of a larger file (three minutes)")

// TestBits flips bits of a ledger's file: in every byte of structure that is in use, and in some
// of the values. Every flip is found, and none makes Inspect panic or hang. Then it flips bits
// anywhere: whatever makes bbolt read something else is found.
func TestBits(t *testing.T) {
	dir := t.TempDir()
	size, perByte, samples := 40, 1, 150
	if *exhaustive {
		size, perByte, samples = 257, 8, 1500
	}
	logs := record(t, dir, size)
	if n := flaws(t, dir, logs); n != 0 {
		t.Fatalf("%d flaws in a sound file", n)
	}
	path := filepath.Join(dir, File)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flip := func(at, bit int) (undo func()) {
		if _, err := f.WriteAt([]byte{file[at] ^ 1<<bit}, int64(at)); err != nil {
			t.Fatal(err)
		}
		return func() {
			if _, err := f.WriteAt(file[at:at+1], int64(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	structure, values := live(file)
	t.Logf("file of %d bytes: %d bytes of structure and keys, %d of values are in use", len(file), len(structure), len(values))
	var quick int
	for _, at := range structure {
		for _, bit := range r.Perm(8)[:perByte] {
			undo := flip(at, bit)
			s, found, err := Inspect(dir)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			if len(found) > 0 {
				quick++
			} else if flaws(t, dir, logs) == 0 {
				t.Errorf("bit %d of byte %d of page %d is flipped and not found", bit, at%4096, at/4096)
			}
			undo()
		}
	}
	t.Logf("%d flips were flaws of pages", quick)
	for range samples {
		at := values[r.IntN(len(values))]
		undo := flip(at, r.IntN(8))
		if flaws(t, dir, logs) == 0 {
			t.Errorf("a bit of byte %d of page %d, within a value, is flipped and not found", at%4096, at/4096)
		}
		undo()
	}

	want := reads(path)
	if strings.Contains(want, "panic") {
		t.Fatal(want)
	}
	changed, found := 0, 0
	for range samples {
		undo := flip(r.IntN(len(file)), r.IntN(8))
		n := flaws(t, dir, logs)
		if n > 0 {
			found++
		} else if reads(path) != want { // where flaws are found, bbolt might hang
			changed++
			t.Errorf("bbolt reads something else, and nothing is found")
		}
		undo()
	}
	t.Logf("of %d flips anywhere %d were found, %d missed", samples, found, changed)
}

// live returns the offsets in the file of all bytes that are in use: on the one hand meta pages,
// list of free pages, page headers, elements and keys; on the other the values.
func live(file []byte) (structure, values []int) {
	ne := binary.NativeEndian
	add := func(to *[]int, from, n int) {
		for at := range n {
			*to = append(*to, from+at)
		}
	}
	add(&structure, 0, 2*4096)
	meta := file[16:]
	if ne.Uint64(file[4096+16+48:]) > ne.Uint64(meta[48:]) {
		meta = file[4096+16:]
	}
	var page func(at int)
	page = func(at int) {
		flags, count := ne.Uint16(file[at+8:]), int(ne.Uint16(file[at+10:]))
		add(&structure, at, 16+16*count)
		for i := range count {
			e := at + 16 + 16*i
			if flags == kindBranch {
				add(&structure, e+int(ne.Uint32(file[e:])), int(ne.Uint32(file[e+4:])))
				page(int(ne.Uint64(file[e+8:])) * 4096)
				continue
			}
			key, k, v := e+int(ne.Uint32(file[e+4:])), int(ne.Uint32(file[e+8:])), int(ne.Uint32(file[e+12:]))
			add(&structure, key, k)
			if ne.Uint32(file[e:]) == bucketFlag {
				add(&structure, key+k, v)
				page(int(ne.Uint64(file[key+k:])) * 4096)
				continue
			}
			add(&values, key+k, v)
		}
	}
	page(int(ne.Uint64(meta[16:])) * 4096)
	free := int(ne.Uint64(meta[32:])) * 4096
	add(&structure, free, 16+8*int(ne.Uint16(file[free+10:])))
	return structure, values
}

// reads returns what bbolt reads, or that it panics.
func reads(path string) (s string) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			s = fmt.Sprint("panic: ", r)
		}
	}()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		return err.Error()
	}
	defer db.Close()
	var b strings.Builder
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bolt.Bucket) error {
			fmt.Fprintf(&b, "%s\n", name)
			return bucket.ForEach(func(k, v []byte) error {
				fmt.Fprintf(&b, "%x %v %v\n", k, entry.Sum(v), bytes.Equal(bucket.Get(k), v))
				return nil
			})
		})
	})
	fmt.Fprint(&b, err)
	return b.String()
}

// TestDamagedOpen opens damaged files with bbolt behind the check of pages.
func TestDamagedOpen(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 40)
	path := filepath.Join(dir, File)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	structure, _ := live(file)
	r := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		damaged := slices.Clone(file)
		damaged[structure[r.IntN(len(structure))]] ^= 1 << r.IntN(8)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, r.IntN(2) == 0)
		if err == nil { // a key
			err = second(nil, dumpError(s))
			s.Close()
		}
		if !errors.Is(err, ledger.ErrCorrupt) && err != nil {
			t.Errorf("%v", err)
		}
	}
	// A file that was cut short.
	for _, n := range []int{len(file) - 4096, len(file) / 2, 8192, 4096, 100} {
		if err := os.WriteFile(path, file[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(dir, true); err == nil {
			s.Close()
			used := binary.NativeEndian.Uint64(file[16+40:])
			if uint64(n/4096) < used {
				t.Errorf("a file cut to %d bytes opens", n)
			}
		} else if !errors.Is(err, ledger.ErrCorrupt) {
			t.Error(err)
		}
	}
}

// After bbolt has panicked amid a transaction, which leaves its locks locked, every call returns an error, and Close returns.
func TestPanic(t *testing.T) {
	opened, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := opened.(*store)
	stuck, err := s.db.Begin(true) // as the transaction that panicked
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Rollback()
	if err := s.guard(func() error { panic("page 7 already freed") }); !errors.Is(err, ledger.ErrCorrupt) {
		t.Fatal(err)
	}
	object := ledger.Object{Path: "a"}
	for name, err := range map[string]error{
		"Create": s.Create(t.Context(), 1, []byte("one")), "Put": s.Put(t.Context(), object), "Delete": s.Delete(t.Context(), "a"),
		"Room": s.Room(t.Context(), 1), "Last": second(s.Last(t.Context())),
	} {
		if err == nil || errors.Is(err, ledger.ErrFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func dumpError(s ledger.Store) error {
	last, err := s.Last(context.Background())
	for seq := uint64(1); seq <= min(last, 1000) && err == nil; seq++ {
		_, err = s.Read(context.Background(), seq)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return err
}
