package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/term"
)

// A PasswordFunc returns a password. With confirm it is for a new key: a person is asked twice
// and an empty one is refused. The caller must not change the result.
type PasswordFunc func(confirm bool) ([]byte, error)

// ErrNoTerminal is what errors.Is finds where nobody can be asked for a password.
var ErrNoTerminal = errors.New("there is no terminal to ask for the password on")

var (
	errEmptyPassword   = errors.New("the password is empty")
	errPasswordDiffers = errors.New("the two passwords differ")
	errLongPassword    = fmt.Errorf("the password is longer than %d bytes", maxPasswordBytes)
	errInterrupted     = errors.New("interrupted")
)

// PasswordFromFD returns the first line of an open file descriptor, without its line end, at most
// 1024 bytes. It reads once, byte by byte so that what follows stays unread, closes the descriptor
// (standard input, 0, stays open), and returns the same password each time.
func PasswordFromFD(fd int) PasswordFunc {
	return once(func() ([]byte, error) {
		if fd < 0 {
			return nil, errors.New("a file descriptor is a number from 0 on")
		}
		f := os.Stdin
		if fd != 0 {
			if f = os.NewFile(uintptr(fd), "password"); f == nil {
				return nil, fmt.Errorf("file descriptor %d is not open", fd)
			}
			defer f.Close()
		}
		password, err := firstLine(f)
		if err != nil {
			return nil, fmt.Errorf("password from file descriptor %d: %w", fd, err)
		}
		return password, nil
	})
}

// PasswordFromFile returns a file's first line, without its line end, at most 1024 bytes. As with
// keys, a file that others than its owner may read is refused.
func PasswordFromFile(path string) PasswordFunc {
	return once(func() ([]byte, error) {
		data, err := readPrivate(path, maxKeyFile)
		if err != nil {
			return nil, err
		}
		defer clear(data)
		password, err := firstLine(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("password file %s: %w", path, err)
		}
		return password, nil
	})
}

// PasswordFromTerminal asks a person on the controlling terminal, which need not be standard
// input, without showing what is typed. An interrupt restores the terminal and is an error.
func PasswordFromTerminal(prompt string) PasswordFunc {
	return func(confirm bool) ([]byte, error) {
		in, out, err := terminal()
		if err != nil {
			return nil, err
		}
		if in != os.Stdin {
			defer in.Close()
		}
		return askTwice(confirm, prompt, out, func() ([]byte, error) { return readHidden(in) })
	}
}

// once makes a PasswordFunc of a source that can be read only once.
func once(read func() ([]byte, error)) PasswordFunc {
	read = sync.OnceValues(read)
	return func(confirm bool) ([]byte, error) {
		password, err := read()
		if err == nil && confirm && len(password) == 0 {
			return nil, errEmptyPassword
		}
		return password, err
	}
}

// firstLine returns r's bytes up to LF, CR LF or its end.
func firstLine(r io.Reader) ([]byte, error) {
	line := make([]byte, 0, maxPasswordBytes+2)
	for one := make([]byte, 1); ; {
		n, err := r.Read(one)
		if n == 1 {
			if one[0] == '\n' {
				break
			}
			if line = append(line, one[0]); len(line) > maxPasswordBytes+1 {
				return nil, errLongPassword
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) > maxPasswordBytes {
		return nil, errLongPassword
	}
	return line, nil
}

// terminal returns the controlling terminal, or standard input and error where that is one.
func terminal() (in, out *os.File, err error) {
	if tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		return tty, tty, nil
	}
	if term.IsTerminal(int(os.Stdin.Fd())) {
		return os.Stdin, os.Stderr, nil
	}
	return nil, nil, ErrNoTerminal
}

// askTwice prompts on out and reads a password, with confirm once more.
func askTwice(confirm bool, prompt string, out io.Writer, read func() ([]byte, error)) ([]byte, error) {
	fmt.Fprint(out, prompt)
	password, err := read()
	fmt.Fprintln(out)
	if err != nil {
		return nil, err
	}
	if len(password) > maxPasswordBytes {
		return nil, errLongPassword
	}
	if !confirm {
		return password, nil
	}
	if len(password) == 0 {
		return nil, errEmptyPassword
	}
	fmt.Fprint(out, "The same again: ")
	again, err := read()
	fmt.Fprintln(out)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(password, again) {
		return nil, errPasswordDiffers
	}
	return password, nil
}

// readHidden reads a line from a terminal with echo off, and puts echo back whatever happens.
func readHidden(tty *os.File) ([]byte, error) {
	fd := int(tty.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, ErrNoTerminal
	}
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	defer signal.Stop(interrupt)
	type result struct {
		password []byte
		err      error
	}
	done := make(chan result, 1)
	go func() {
		password, err := term.ReadPassword(fd)
		done <- result{password, err}
	}()
	select {
	case r := <-done:
		return r.password, r.err
	case <-interrupt:
		return nil, errors.Join(errInterrupted, term.Restore(fd, state))
	}
}
