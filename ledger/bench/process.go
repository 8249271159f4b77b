package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	startLimit = 2 * time.Minute // until a server answers
	endLimit   = 30 * time.Second
)

// A process is a server that a run has started.
type process struct {
	url   string   // ends with a slash
	lines []string // of its standard output, the first ones
	cmd   *exec.Cmd
	stdin io.Closer
	err   tail
	done  chan error
}

// command is a command line that ends with ctx, without the settings of whoever measures.
func command(ctx context.Context, line ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Cancel = func() error {
		err := cmd.Process.Signal(os.Interrupt)
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			return cmd.Process.Kill() // not every system can ask a process to end
		}
		return err
	}
	cmd.WaitDelay = endLimit
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "UNDERSIGNED_") || name == "XDG_CONFIG_HOME" || name == "HOME" || name == "GOMAXPROCS"
	})
	return cmd
}

// start starts a server by a command line. It tells its address at the end of its first line, of so many that it prints.
func start(ctx context.Context, lines int, input []byte, line ...string) (*process, error) {
	p := &process{cmd: command(ctx, line...), done: make(chan error, 1)}
	p.cmd.Stderr = &p.err
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout = w
	err = p.cmd.Start()
	w.Close()
	if err != nil {
		stdout.Close()
		return nil, err
	}
	p.stdin = stdin
	go func() { p.done <- p.cmd.Wait() }()
	timer := time.AfterFunc(startLimit, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	if _, err = stdin.Write(input); err == nil {
		r := bufio.NewReader(stdout)
		for range lines {
			var s string
			if s, err = r.ReadString('\n'); err != nil {
				break
			}
			p.lines = append(p.lines, strings.TrimSpace(s))
		}
		go func() { io.Copy(io.Discard, r); stdout.Close() }()
	}
	if err == nil {
		_, address, ok := strings.Cut(p.lines[0], " at ")
		if p.url = address; ok && strings.HasPrefix(address, "http://") {
			return p, nil
		}
		err = errors.New("its first line tells no address")
	}
	p.cmd.Process.Kill()
	<-p.done
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("%s does not start: %w: %s", line[0], err, p.err.last())
}

func (p *process) pid() int {
	if p == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// end ends it in good order, and returns an error if it does not end so.
func (p *process) end() error {
	p.stdin.Close()
	p.cmd.Cancel()
	select {
	case err := <-p.done:
		if err != nil {
			return fmt.Errorf("%s ended with %w: %s", p.cmd.Args[0], err, p.err.last())
		}
		return nil
	case <-time.After(endLimit):
		p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s does not end", p.cmd.Args[0])
	}
}

// kill ends it at once.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
	p.stdin.Close()
}

// get returns a resource that it serves.
func (p *process) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxLoadAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d", path, resp.StatusCode)
	}
	return b, err
}

// toEnd runs a command line to its end and returns what it printed.
func toEnd(ctx context.Context, input io.Reader, line ...string) ([]byte, error) {
	return ending(ctx, input, func(int) func() { return func() {} }, line...)
}

// toEndWatched is toEnd that tells the most memory that the process used at one time too, in MiB; 0: the system does not tell.
func toEndWatched(ctx context.Context, line ...string) (out []byte, peak float64, err error) {
	out, err = ending(ctx, nil, func(pid int) func() {
		ended := make(chan struct{})
		var watching sync.WaitGroup
		watching.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				peak = max(peak, memoryOf(pid, "VmHWM:"))
				select {
				case <-tick.C:
				case <-ended:
					return
				}
			}
		})
		return func() { close(ended); watching.Wait() }
	}, line...)
	return out, peak, err
}

// ending runs a command line to its end, and begin when it has begun; what that returns it runs then.
func ending(ctx context.Context, input io.Reader, begin func(pid int) (end func()), line ...string) ([]byte, error) {
	cmd := command(ctx, line...)
	var out bytes.Buffer
	var errs tail
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &out, &errs
	err := cmd.Start()
	if err == nil {
		end := begin(cmd.Process.Pid)
		err = cmd.Wait()
		end()
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(line[:min(len(line), 2)], " "), err, errs.last())
	}
	return out.Bytes(), nil
}

// part runs a part with a task and what follows it to its end. What it printed begins with a line of JSON.
func (b *bench) part(ctx context.Context, name string, t task, bodies [][]byte, result any) (rest *bufio.Reader, err error) {
	line, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	input := append(line, '\n')
	for _, body := range bodies {
		input = appendBody(input, body)
	}
	out, err := toEnd(ctx, bytes.NewReader(input), b.line("bench", "--part", name)...)
	if err != nil {
		return nil, err
	}
	first, after, _ := bytes.Cut(out, []byte("\n"))
	return bufio.NewReader(bytes.NewReader(after)), json.Unmarshal(first, result)
}

// startPart starts a part that serves.
func (b *bench) startPart(ctx context.Context, name string, t task) (*process, error) {
	line, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	return b.keep(start(ctx, 1, append(line, '\n'), b.line("bench", "--part", name)...))
}

// line is a command line of the program.
func (b *bench) line(args ...string) []string { return append([]string{b.Program}, args...) }

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const maxTail = 2 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-maxTail):]
	return len(b), nil
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}
