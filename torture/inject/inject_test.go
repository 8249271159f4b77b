//go:build linux

package inject

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain plays the program that is supervised, too.
func TestMain(m *testing.M) {
	Main()
	if len(os.Args) == 3 && os.Args[1] == "play" {
		play(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

// play changes files, from several threads, and prints every error.
func play(dir string) {
	step := func(name string, err error) {
		if err != nil {
			var number syscall.Errno
			errors.As(err, &number)
			fmt.Printf("%s: %d\n", name, number)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		os.WriteFile(filepath.Join(filepath.Dir(dir), "elsewhere"), []byte("not seen"), 0o600)
	}()
	<-done
	f, err := os.Create(filepath.Join(dir, "a"))
	step("create", err)
	n, err := syscall.Pwrite(int(f.Fd()), []byte("0123456789"), 0)
	step("pwrite", err)
	m, err := syscall.Write(int(f.Fd()), []byte("abcdefgh"))
	step("write", err)
	step("fdatasync", syscall.Fdatasync(int(f.Fd())))
	step("truncate", f.Truncate(20))
	step("fallocate", syscall.Fallocate(int(f.Fd()), 0, 0, 20))
	step("rename", os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	step("link", os.Link(filepath.Join(dir, "b"), filepath.Join(dir, "c")))
	step("unlink", os.Remove(filepath.Join(dir, "c")))
	d, err := os.Open(dir)
	step("open", err)
	step("fsync", d.Sync())
	fmt.Printf("wrote %d and %d\n", n, m)
}

func TestInject(t *testing.T) {
	names := strings.Fields("pwrite64 write fdatasync ftruncate fallocate renameat linkat unlinkat fsync")
	words := strings.Fields("pwrite write fdatasync truncate fallocate rename link unlink fsync")
	type test struct {
		name   string
		faults map[int]Fault
		out    string // a line of it
		file   string // what is in the file, up to zeros; "": not looked at
		killed bool
	}
	tests := []test{
		{name: "none", out: "wrote 10 and 8", file: "abcdefgh89"},
		{name: "short pwrite", faults: map[int]Fault{1: {Half: true}}, out: "wrote 5 and 8", file: "abcdefgh"},
		{name: "short write", faults: map[int]Fault{2: {Half: true}}, out: "wrote 10 and 4", file: "abcd456789"},
		{name: "half, then killed", faults: map[int]Fault{2: {Half: true, Kill: true}}, file: "abcd456789", killed: true},
		{name: "two", faults: map[int]Fault{3: {Errno: syscall.EIO}, 4: {Errno: syscall.ENOSPC}}, out: "truncate: 28", file: "abcdefgh89"},
	}
	for i, word := range words {
		tests = append(tests,
			test{name: word + " fails", faults: map[int]Fault{i + 1: {Errno: syscall.EIO}}, out: word + ": 5"},
			test{name: word + " kills", faults: map[int]Fault{i + 1: {Kill: true}}, killed: true})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "dir")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			cmd := exec.Command(self, "play", dir)
			cmd.Stdout, cmd.Stderr = &out, os.Stderr
			p, err := Start(cmd, dir, func(c Call) Fault { return test.faults[c.N] })
			if err != nil {
				t.Fatal(err)
			}
			waited := cmd.Wait()
			if err := p.Ended(); err != nil {
				t.Fatal(err)
			}
			if killed := waited != nil; killed != test.killed {
				t.Fatalf("it ended with %v", waited)
			}
			if !strings.Contains(out.String(), test.out) {
				t.Errorf("it said %q, not %q", out.String(), test.out)
			}
			if test.file != "" {
				b, err := os.ReadFile(filepath.Join(dir, "b"))
				if err != nil {
					b, _ = os.ReadFile(filepath.Join(dir, "a"))
				}
				if got := strings.TrimRight(string(b), "\x00"); got != test.file {
					t.Errorf("the file holds %q, not %q", got, test.file)
				}
			}
			if test.faults == nil {
				calls := p.Calls()
				for i, c := range calls {
					if i >= len(names) || c.N != i+1 || c.Name != names[i] || !strings.HasPrefix(c.Path, dir) {
						t.Errorf("the calls are %v", calls)
						break
					}
				}
				if len(calls) != len(names) {
					t.Errorf("%d calls, not %d: %v", len(calls), len(names), calls)
				}
			}
		})
	}
}
