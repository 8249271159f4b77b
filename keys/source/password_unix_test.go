//go:build unix

package source

import (
	"os"
	"syscall"
	"testing"
)

func TestPasswordFromFD(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// The writer stays open: the first line is enough.
	if _, err := w.WriteString("secret\n"); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	// PasswordFromFD closes what it is given; r would close the same number a second time when it is
	// collected, and with it whatever has that number by then.
	fd, err := syscall.Dup(int(r.Fd()))
	r.Close()
	if err != nil {
		t.Fatal(err)
	}
	password := PasswordFromFD(fd)
	for range 2 {
		if got, err := password(true); err != nil || string(got) != "secret" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if _, err := PasswordFromFD(-1)(false); err == nil {
		t.Error("a negative descriptor is read")
	}
	if _, err := PasswordFromFD(1 << 20)(false); err == nil {
		t.Error("a closed descriptor is read")
	}
}
