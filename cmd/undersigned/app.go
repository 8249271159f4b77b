package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
)

// An app is one run of the program: its streams, its variables and its clock.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      map[string]string
	now      func() time.Time
	terminal func(stream any) bool // whether a stream is one
	writeErr error                 // the first failure to write to out
}

func newApp(stdin io.Reader, stdout, stderr io.Writer, env []string) *app {
	a := &app{in: stdin, err: stderr, env: map[string]string{}, now: time.Now, terminal: terminal}
	a.out = &watched{stdout, &a.writeErr}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		a.env[name] = value
	}
	return a
}

// watched remembers the first error of a writer, so that no answer is lost in silence.
type watched struct {
	io.Writer
	err *error
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if err != nil && *w.err == nil {
		*w.err = err
	}
	return n, err
}

// printf prints to standard output, where data goes.
func (a *app) printf(format string, args ...any) {
	io.WriteString(a.out, spelled(fmt.Sprintf(format, args...)))
}

// sayf prints to standard error, where talk goes.
func (a *app) sayf(format string, args ...any) {
	io.WriteString(a.err, spelled(fmt.Sprintf(format, args...)))
}

// asDomain finds what may be an internationalized domain in a line; letters, digits and the like before or after it are part of it.
var asDomain = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[a-z0-9._-]*xn--[a-z0-9._-]*[a-z0-9]`) })

// inCommand ends in a domain that is part of a command to type, or of a name that is no domain: a path, an address, an option.
var inCommand = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[:;.] )undersigned [^:;]*$|--[a-z-]+[ =]$|[/@=]$`)
})

// spelled puts beside each internationalized domain in a text for people how it reads, because xn-- tells them nothing, and how it reads may deceive
// them. Commands, file names, addresses and records of the DNS stay as they are to be typed.
func spelled(text string) string {
	if !strings.Contains(text, "xn--") {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		done := 0
		for _, at := range asDomain().FindAllStringIndex(line, -1) {
			token, after := line[at[0]:at[1]], line[at[1]:]
			domain := token
			for strings.HasPrefix(domain, "_") {
				_, domain, _ = strings.Cut(domain, ".")
			}
			shown := keys.DisplayDomain(domain)
			unicode := strings.TrimPrefix(shown, domain)
			switch ext := filepath.Ext(domain); {
			case unicode == "" || strings.HasPrefix(after, unicode) || strings.HasPrefix(after, "/") || strings.HasPrefix(after, ". 3600 IN "):
			case ext == receiptSuffix || ext == ".pem" || ext == ".pub" || ext == ".txt" || ext == ".zip":
			case inCommand().MatchString(line[:at[0]]):
			default:
				b.WriteString(line[done:at[1]] + unicode)
				done = at[1]
			}
		}
		b.WriteString(line[done:])
	}
	return b.String()
}

// json prints a value of a schema.
func (a *app) json(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

type jsonFlag struct {
	JSON bool `name:"json" help:"Print JSON, as docs/json.md describes it."`
}

// terminal says whether a stream is a terminal.
func terminal(stream any) bool {
	if w, ok := stream.(*watched); ok {
		stream = w.Writer
	}
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// A colour is the part of an SGR sequence between "ESC [" and "m".
type colour string

const (
	green colour = "32"
	amber colour = "33"
	red   colour = "31"
	grey  colour = "90"
	bold  colour = "1"
)

// paint colours text where people see it on a terminal and have not asked for none.
func (a *app) paint(c colour, text string) string {
	if a.env["NO_COLOR"] != "" || a.env["TERM"] == "dumb" || !a.terminal(a.out) {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// progress returns what to tell about work under way: it shows a bar on a terminal, else it is nil.
// The bar is gone when done is called.
func (a *app) progress(what string) (report func(done, total uint64), done func()) {
	if !a.terminal(a.err) || a.env["TERM"] == "dumb" {
		return nil, func() {}
	}
	var bar *progressbar.ProgressBar
	report = func(done, total uint64) {
		if bar == nil {
			bar = progressbar.NewOptions64(int64(total), progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(what),
				progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond),
				progressbar.OptionClearOnFinish(), progressbar.OptionEnableColorCodes(a.env["NO_COLOR"] == ""))
		}
		bar.ChangeMax64(int64(total))
		bar.Set64(int64(done))
	}
	return report, func() {
		if bar != nil {
			bar.Clear()
		}
	}
}

// errNotConfirmed is what confirm returns for a no.
var errNotConfirmed = errors.New("not confirmed; nothing was signed")

// confirm shows a person what is about to be signed and asks. Without a person at the terminal it does not ask.
func (a *app) confirm(ctx context.Context, text []byte) error {
	if !a.terminal(a.in) || !a.terminal(a.err) {
		return nil
	}
	a.sayf("%s\nSign this text? [y/N] ", text)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.in).ReadString('\n')
		answer <- line
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case line := <-answer:
		if line = strings.ToLower(strings.TrimSpace(line)); line != "y" && line != "yes" {
			return errNotConfirmed
		}
		return nil
	}
}

// read returns the bytes of a file, or of standard input for "-", at most limit of them.
func (a *app) read(path string, limit int64) ([]byte, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read a file: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read a file: %w", err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is larger than the %s that such a file can have", nameOf(path), check.Bytes(limit))
	}
	return b, nil
}

func nameOf(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// write writes data to a file, or to standard output for "" and "-".
func (a *app) write(path string, data []byte) error {
	if path == "" || path == "-" {
		_, err := a.out.Write(data)
		return err
	}
	return writeFile(path, data)
}

// writeFile makes or replaces a file, durably: after a crash the old one is there, or the new one, whole. A private key is never
// replaced, and what is no file, such as a pipe, is written to.
func writeFile(path string, data []byte) error {
	if err := replaceable(path); err != nil {
		return fmt.Errorf("cannot write %s: %w; name another file", path, err)
	}
	write := replaceFile
	if isStream(path) {
		write = writeStream
	}
	if err := write(path, data); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, reason(err))
	}
	return nil
}

// mayWrite tells, as far as it can be told before, why writeFile would fail.
func mayWrite(path string) error {
	if err := replaceable(path); err != nil || isStream(path) {
		return err
	}
	f, err := newBeside(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// replaceable refuses to have a file replaced that holds a private key, or may.
func replaceable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil // to make the file tells why it cannot be made
	case info.IsDir():
		return errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return nil
	}
	f, err := os.Open(path)
	if err != nil && isOpenFile(path) {
		return nil // it is open for writing, and nothing in it is replaced
	}
	if err != nil {
		return errors.New("it is there and cannot be read, so it may be a private key, which is never replaced")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	defer clear(b)
	if err == nil && source.HoldsPrivateKey(b) {
		err = errors.New("it holds a private key, which is never replaced")
	}
	return err
}

// isStream says whether a path is written to as it is: a device, a pipe, or one of the names that files which are open have.
func isStream(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && (!info.Mode().IsRegular() || isOpenFile(path))
}

// isOpenFile says whether a path is a name such as /dev/stdout or /dev/fd/3, whatever that leads to.
func isOpenFile(path string) bool {
	full, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	dir := filepath.Dir(full)
	return full == "/dev/stdout" || full == "/dev/stderr" || dir == "/dev/fd" || strings.HasPrefix(dir, "/proc/") && filepath.Base(dir) == "fd"
}

// writeStream writes to what is no file.
func writeStream(path string, data []byte) error {
	flag := os.O_WRONLY
	if isOpenFile(path) {
		flag |= os.O_APPEND // to what was written there before
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// replaceFile makes or replaces a file.
func replaceFile(path string, data []byte) (err error) {
	f, err := newBeside(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// newBeside makes the file that is to take the place of another.
func newBeside(path string) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".undersigned-*")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no directory %s", filepath.Dir(path))
	}
	return f, reason(err)
}

// reason is why something failed, without the paths: the sentence around it names the one that a person gave.
func reason(err error) error {
	var at *fs.PathError
	var from *os.LinkError
	switch {
	case errors.As(err, &at):
		return at.Err
	case errors.As(err, &from):
		return from.Err
	}
	return err
}

// makeDirectory makes a directory, with those above it, for its owner alone. When it returns nil their names are durable,
// whoever made them: an attempt that was killed may have made any of them a moment ago.
func makeDirectory(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	for path != filepath.Dir(path) {
		path = filepath.Dir(path)
		// What only others may read was not made by us.
		if err := syncDirectory(path); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// policy reads a policy file.
func (a *app) policy(path string) (*verify.Policy, error) {
	b, err := a.read(path, verify.MaxPolicy)
	if err != nil {
		return nil, unreadable(err)
	}
	p, err := verify.ParsePolicy(b)
	if err != nil {
		return nil, fmt.Errorf("cannot use the policy %s: %w", nameOf(path), err)
	}
	return p, nil
}
