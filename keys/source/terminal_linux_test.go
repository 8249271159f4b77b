package source

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openPTY returns both ends of a new terminal.
// noTerminal skips a test on a machine without pseudo-terminals; in CI that is a failure.
func noTerminal(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
		t.Fatal("no pseudo-terminals: ", err)
	}
	t.Skip("no pseudo-terminals: ", err)
}

func openPTY(t *testing.T) (master, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		noTerminal(t, err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		noTerminal(t, err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		noTerminal(t, err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		noTerminal(t, err)
	}
	t.Cleanup(func() { tty.Close() })
	return master, tty
}

func echoes(t *testing.T, tty *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

func waitForSilence(t *testing.T, tty *os.File) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); echoes(t, tty); {
		if time.Now().After(deadline) {
			t.Fatal("echo stays on")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestReadHidden(t *testing.T) {
	master, tty := openPTY(t)
	type result struct {
		password []byte
		err      error
	}
	done := make(chan result, 1)
	read := func() {
		password, err := readHidden(tty)
		done <- result{password, err}
	}

	go read()
	waitForSilence(t, tty)
	if _, err := master.WriteString("secret\n"); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.err != nil || string(r.password) != "secret" {
		t.Fatalf("%q, %v", r.password, r.err)
	}
	if !echoes(t, tty) {
		t.Error("echo stays off")
	}

	go read()
	waitForSilence(t, tty)
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.err == nil {
		t.Fatal("an interrupt is no error")
	}
	if !echoes(t, tty) {
		t.Error("echo stays off after an interrupt")
	}
	// The read that was given up still waits for a line.
	if _, err := master.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
}

func TestReadHiddenWithoutTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := readHidden(f); err != ErrNoTerminal {
		t.Errorf("error %v", err)
	}
}
