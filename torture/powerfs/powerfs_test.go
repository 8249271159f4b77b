package powerfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// mapped is set in the process that TestMapped starts: it writes to the file of that name, and
// reads through a mapping.
const mapped = "POWERFS_TEST_MAPPED"

func TestMain(m *testing.M) {
	if path := os.Getenv(mapped); path != "" {
		if err := throughMapping(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// newDisk mounts an empty disk for the time of a test.
func newDisk(t *testing.T, o Options) (*Disk, string) {
	t.Helper()
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil || os.Geteuid() != 0 {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("mounting needs root and /dev/fuse")
		}
		t.Skip("mounting needs root and /dev/fuse")
	} else {
		f.Close()
	}
	d, dir := New(o), t.TempDir()
	check(t, d.Mount(dir))
	t.Cleanup(func() {
		d.Off()
		if err := d.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return d, dir
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func syncPath(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	check(t, err)
	check(t, f.Sync())
	check(t, f.Close())
}

// put writes a file and makes nothing durable.
func put(t *testing.T, path, data string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(data), 0o600))
}

// keep writes a file and makes it and its name durable.
func keep(t *testing.T, path, data string) {
	t.Helper()
	put(t, path, data)
	syncPath(t, path)
	syncPath(t, filepath.Dir(path))
}

// show returns a file's content, or "absent".
func show(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "absent"
	}
	check(t, err)
	return string(b)
}

// TestPromises lets the power fail after something was done, again and again, and compares what
// survives with what may, and with what must not be missing among so many tries.
func TestPromises(t *testing.T) {
	journal := Options{Journal: true}
	tests := []struct {
		name    string
		options Options
		before  func(t *testing.T, dir string) // made durable
		do      func(t *testing.T, dir string)
		see     func(t *testing.T, dir string) string
		want    []string // all of these are seen, and nothing else
	}{
		{
			name: "file and name synced",
			do:   func(t *testing.T, dir string) { keep(t, dir+"/a", "new") },
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/a") },
			want: []string{"new"},
		},
		{
			name: "nothing synced",
			do:   func(t *testing.T, dir string) { put(t, dir+"/a", "new") },
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/a") },
			want: []string{"absent", "", "new", "\x00\x00\x00"},
		},
		{
			name: "file synced, its name not",
			do:   func(t *testing.T, dir string) { put(t, dir+"/a", "new"); syncPath(t, dir+"/a") },
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/a") },
			want: []string{"absent", "new"},
		},
		{
			name:    "journal: a synced file has its name",
			options: journal,
			do:      func(t *testing.T, dir string) { put(t, dir+"/a", "new"); syncPath(t, dir+"/a") },
			see:     func(t *testing.T, dir string) string { return show(t, dir+"/a") },
			want:    []string{"new"},
		},
		{
			name: "name synced, file not",
			do:   func(t *testing.T, dir string) { put(t, dir+"/a", "new"); syncPath(t, dir) },
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/a") },
			want: []string{"", "new", "\x00\x00\x00"},
		},
		{
			name:   "overwritten",
			before: func(t *testing.T, dir string) { keep(t, dir+"/a", "old") },
			do: func(t *testing.T, dir string) {
				f, err := os.OpenFile(dir+"/a", os.O_WRONLY, 0)
				check(t, err)
				_, err = f.WriteString("mid")
				check(t, err)
				_, err = f.WriteAt([]byte("new"), 0)
				check(t, err)
				check(t, f.Close())
			},
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/a") },
			want: []string{"old", "mid", "new"},
		},
		{
			name:   "replaced by a synced file",
			before: func(t *testing.T, dir string) { keep(t, dir+"/a", "old") },
			do: func(t *testing.T, dir string) {
				put(t, dir+"/t", "new")
				syncPath(t, dir+"/t")
				check(t, os.Rename(dir+"/t", dir+"/a"))
			},
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/a") + " " + show(t, dir+"/t") },
			want: []string{"old absent", "old new", "new absent"},
		},
		{
			name:   "replaced by a file that is not synced",
			before: func(t *testing.T, dir string) { keep(t, dir+"/a", "old") },
			do: func(t *testing.T, dir string) {
				put(t, dir+"/t", "new")
				check(t, os.Rename(dir+"/t", dir+"/a"))
				syncPath(t, dir)
			},
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/a") },
			want: []string{"", "new", "\x00\x00\x00"},
		},
		{
			name:   "removed",
			before: func(t *testing.T, dir string) { keep(t, dir+"/a", "old") },
			do:     func(t *testing.T, dir string) { check(t, os.Remove(dir+"/a")) },
			see:    func(t *testing.T, dir string) string { return show(t, dir+"/a") },
			want:   []string{"absent", "old"},
		},
		{
			name:   "removed and synced",
			before: func(t *testing.T, dir string) { keep(t, dir+"/a", "old") },
			do:     func(t *testing.T, dir string) { check(t, os.Remove(dir+"/a")); syncPath(t, dir) },
			see:    func(t *testing.T, dir string) string { return show(t, dir+"/a") },
			want:   []string{"absent"},
		},
		{
			name: "linked, and the first name removed",
			do: func(t *testing.T, dir string) {
				keep(t, dir+"/t", "new")
				check(t, os.Link(dir+"/t", dir+"/a"))
				check(t, os.Remove(dir+"/t"))
			},
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/a") + " " + show(t, dir+"/t") },
			want: []string{"new absent", "new new", "absent new", "absent absent"},
		},
		{
			name:    "journal: linked, and the first name removed",
			options: journal,
			do: func(t *testing.T, dir string) {
				keep(t, dir+"/t", "new")
				check(t, os.Link(dir+"/t", dir+"/a"))
				check(t, os.Remove(dir+"/t"))
			},
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/a") + " " + show(t, dir+"/t") },
			want: []string{"new absent", "new new", "absent new"},
		},
		{
			name: "renamed into a directory that is synced",
			before: func(t *testing.T, dir string) {
				check(t, os.Mkdir(dir+"/d", 0o700))
				syncPath(t, dir)
				keep(t, dir+"/d/t", "new")
			},
			do: func(t *testing.T, dir string) {
				check(t, os.Rename(dir+"/d/t", dir+"/a"))
				syncPath(t, dir)
			},
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/a") + " " + show(t, dir+"/d/t") },
			want: []string{"new absent", "new new"},
		},
		{
			name: "synced in a directory whose own name is not",
			do: func(t *testing.T, dir string) {
				check(t, os.Mkdir(dir+"/d", 0o700))
				keep(t, dir+"/d/a", "new")
			},
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/d/a") },
			want: []string{"absent", "new"},
		},
		{
			name:    "journal: names come in order",
			options: journal,
			do: func(t *testing.T, dir string) {
				check(t, os.Mkdir(dir+"/a", 0o700))
				check(t, os.Mkdir(dir+"/b", 0o700))
				check(t, os.Mkdir(dir+"/b/c", 0o700))
			},
			see: func(t *testing.T, dir string) string {
				var names []string
				check(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, _ fs.DirEntry, err error) error {
					names = append(names, path)
					return err
				}))
				return strings.Join(names, " ")
			},
			want: []string{".", ". a", ". a b", ". a b b/c"},
		},
		{
			name:   "cut short and grown again",
			before: func(t *testing.T, dir string) { keep(t, dir+"/a", "old") },
			do: func(t *testing.T, dir string) {
				check(t, os.Truncate(dir+"/a", 1))
				check(t, os.Truncate(dir+"/a", 3))
			},
			see:  func(t *testing.T, dir string) string { return show(t, dir+"/a") },
			want: []string{"old", "o", "o\x00\x00"},
		},
		{
			name: "permissions after fdatasync",
			do: func(t *testing.T, dir string) {
				keep(t, dir+"/a", "new")
				f, err := os.Open(dir + "/a")
				check(t, err)
				check(t, f.Chmod(0o644))
				check(t, syscall.Fdatasync(int(f.Fd())))
				check(t, f.Close())
			},
			see: func(t *testing.T, dir string) string {
				i, err := os.Stat(dir + "/a")
				check(t, err)
				return i.Mode().String()
			},
			want: []string{"-rw-------", "-rw-r--r--"},
		},
		{
			name: "permissions after fsync",
			do: func(t *testing.T, dir string) {
				keep(t, dir+"/a", "new")
				check(t, os.Chmod(dir+"/a", 0o644))
				syncPath(t, dir+"/a")
			},
			see: func(t *testing.T, dir string) string {
				i, err := os.Stat(dir + "/a")
				check(t, err)
				return i.Mode().String()
			},
			want: []string{"-rw-r--r--"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, dir := newDisk(t, tt.options)
			rng := rand.New(rand.NewPCG(1, 2))
			seen := make(map[string]int)
			for range 200 {
				all, err := filepath.Glob(dir + "/*")
				check(t, err)
				for _, path := range all {
					check(t, os.RemoveAll(path))
				}
				syncPath(t, dir)
				if tt.before != nil {
					tt.before(t, dir)
				}
				tt.do(t, dir)
				_, err = d.Cut(rng)
				check(t, err)
				got := tt.see(t, dir)
				if !slices.Contains(tt.want, got) {
					t.Fatalf("after a cut there is %q, none of %q", got, tt.want)
				}
				seen[got]++
				// What a cut left is durable.
				_, err = d.Cut(rng)
				check(t, err)
				if again := tt.see(t, dir); again != got {
					t.Fatalf("after another cut there is %q, it was %q", again, got)
				}
			}
			for _, want := range tt.want {
				if seen[want] == 0 {
					t.Errorf("in 200 cuts %q was never seen", want)
				}
			}
		})
	}
}

func TestPages(t *testing.T) {
	d, dir := newDisk(t, Options{})
	const pages = 40
	versions := [][]byte{bytes.Repeat([]byte("0"), pages*pageSize), bytes.Repeat([]byte("1"), pages*pageSize), bytes.Repeat([]byte("2"), pages*pageSize)}
	var old, torn, whole bool
	for seed := range uint64(40) {
		keep(t, dir+"/a", string(versions[0]))
		f, err := os.OpenFile(dir+"/a", os.O_RDWR, 0)
		check(t, err)
		_, err = f.WriteAt(versions[1], 0)
		check(t, err)
		// The second half is durable in its second version.
		if seed%2 == 1 {
			check(t, f.Sync())
		}
		_, err = f.WriteAt(versions[2][:pages/2*pageSize], 0)
		check(t, err)
		check(t, f.Close())
		loss, err := d.Cut(rand.New(rand.NewPCG(seed, 0)))
		check(t, err)
		got := show(t, dir+"/a")
		if len(got) != pages*pageSize {
			t.Fatalf("the file has %d bytes", len(got))
		}
		for at := 0; at < len(got); at += sectorSize {
			sector := got[at : at+sectorSize]
			if strings.Trim(sector, sector[:1]) != "" {
				t.Fatalf("the sector at %d is torn", at)
			}
			if second := at >= pages/2*pageSize; seed%2 == 1 && (second && sector[0] != '1' || sector[0] == '0') {
				t.Fatalf("the sector at %d was durable and is lost", at)
			}
		}
		for i := range pages {
			p := got[i*pageSize : (i+1)*pageSize]
			torn = torn || strings.Trim(p, p[:1]) != ""
		}
		old = old || loss.PagesOld > 0
		whole = whole || loss.PagesOld+loss.PagesTorn == 0 && loss.Pages > 0
	}
	if !old || !torn || !whole {
		t.Errorf("seen: old %v, torn %v, everything kept %v", old, torn, whole)
	}
}

func TestSameSeed(t *testing.T) {
	var first string
	for i := range 3 {
		d, dir := newDisk(t, Options{})
		for j := range 30 {
			put(t, fmt.Sprintf("%s/%d", dir, j), strings.Repeat(string(rune('a'+j)), 300*j))
		}
		_, err := d.Cut(rand.New(rand.NewPCG(7, 7)))
		check(t, err)
		var all strings.Builder
		for j := range 30 {
			fmt.Fprintln(&all, show(t, fmt.Sprintf("%s/%d", dir, j)))
		}
		if i == 0 {
			first = all.String()
		} else if all.String() != first {
			t.Fatal("the same seed leaves something else")
		}
	}
}

func TestHalt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		after  int  // 1 the write, 2 the sync
		resume bool // the power does not fail
		want   []string
	}{
		{"write under way", 1, false, []string{"old", "new"}},
		{"sync under way", 2, false, []string{"old", "new"}},
		{"write under way, no cut", 1, true, []string{"new"}},
		{"next write", 3, false, []string{"new", "end"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, dir := newDisk(t, Options{})
			seen := make(map[string]bool)
			for seed := range uint64(60) {
				keep(t, dir+"/a", "old")
				f, err := os.OpenFile(dir+"/a", os.O_RDWR, 0)
				check(t, err)
				hit, result := d.HaltAfter(tt.after), make(chan error)
				go func() {
					_, err := f.WriteAt([]byte("new"), 0)
					if err == nil {
						err = f.Sync()
					}
					if err == nil {
						_, err = f.WriteAt([]byte("end"), 0)
					}
					f.Close()
					result <- err
				}()
				<-hit
				d.Off()
				if err := <-result; !errors.Is(err, syscall.EIO) {
					t.Fatalf("who waited got %v", err)
				}
				if tt.resume {
					d.Resume()
				} else {
					_, err := d.Cut(rand.New(rand.NewPCG(seed, 1)))
					check(t, err)
				}
				got := show(t, dir+"/a")
				if !slices.Contains(tt.want, got) {
					t.Fatalf("there is %q", got)
				}
				seen[got] = true
			}
			if len(seen) != len(tt.want) {
				t.Errorf("seen are %v", seen)
			}
		})
	}
	t.Run("resumed without an error", func(t *testing.T) {
		d, dir := newDisk(t, Options{})
		hit, done := d.HaltAfter(1), make(chan error)
		go func() { done <- os.Mkdir(dir+"/d", 0o700) }()
		<-hit
		d.Resume()
		check(t, <-done)
	})
}

// throughMapping writes to a file, and looks for it in mappings of before.
func throughMapping(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	const size = 64 * pageSize
	if err := f.Truncate(size); err != nil {
		return err
	}
	m, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	for i := range 500 {
		at, data := int64(i*733%(size-100)), fmt.Appendf(nil, "write %d", i)
		if m[at] == '!' {
			return errors.New("what was never written is there")
		}
		if _, err := f.WriteAt(data, at); err != nil {
			return err
		}
		if !bytes.Equal(m[at:at+int64(len(data))], data) {
			return fmt.Errorf("the mapping does not show write %d", i)
		}
	}
	return errors.Join(syscall.Munmap(m), f.Close())
}

func TestMapped(t *testing.T) {
	_, dir := newDisk(t, Options{})
	// A process that maps files that it serves itself can wait for itself.
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), mapped+"="+dir+"/a")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestFallocate(t *testing.T) {
	for _, tt := range []struct {
		name string
		no   bool
		mode uint32
		err  error
		size int64
	}{
		{"grows", false, 0, nil, 10000},
		{"keeps the size", false, 1, nil, 3},
		{"refused", true, 1, syscall.ENOTSUP, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, dir := newDisk(t, Options{NoFallocate: tt.no})
			put(t, dir+"/a", "old")
			f, err := os.OpenFile(dir+"/a", os.O_RDWR, 0)
			check(t, err)
			defer f.Close()
			if err := syscall.Fallocate(int(f.Fd()), tt.mode, 0, 10000); err != tt.err {
				t.Fatalf("fallocate: %v", err)
			}
			i, err := f.Stat()
			check(t, err)
			if i.Size() != tt.size {
				t.Errorf("the size is %d", i.Size())
			}
		})
	}
}

func TestNames(t *testing.T) {
	_, dir := newDisk(t, Options{})
	check(t, os.MkdirAll(dir+"/a/b", 0o755))
	put(t, dir+"/a/f", "x")
	for _, tt := range []struct {
		name string
		err  error
		want error
	}{
		{"directory that is not empty", syscall.Rmdir(dir + "/a"), syscall.ENOTEMPTY},
		{"missing", syscall.Rename(dir+"/no", dir+"/f"), syscall.ENOENT},
		{"over a name that exists", syscall.Link(dir+"/a/f", dir+"/a/b"), syscall.EEXIST},
		{"directory", syscall.Rmdir(dir + "/a/b"), nil},
		{"again", syscall.Rmdir(dir + "/a/b"), syscall.ENOENT},
	} {
		if tt.err != tt.want {
			t.Errorf("%s: %v", tt.name, tt.err)
		}
	}
	l, err := net.Listen("unix", dir+"/socket")
	check(t, err)
	c, err := net.Dial("unix", dir+"/socket")
	check(t, err)
	check(t, errors.Join(c.Close(), l.Close()))
	if got := show(t, dir+"/socket"); got != "absent" {
		t.Errorf("the socket is still there: %q", got)
	}
}
