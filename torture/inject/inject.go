//go:build linux

// Package inject makes system calls of a child process fail, one chosen call at a time: it
// counts the calls that change files within a directory, in the one order in which the kernel
// sees them whatever thread makes them, and lets each through, refuses it with an error, does half
// of it, or kills the process at it.
//
// It uses seccomp's notifications to user space, so it works for programs that make their system calls without the
// C library, and other calls cost nothing. Calls that are let through are made by the kernel as they stand. A short
// write is a real one: the first half of the bytes is in the file, and the process is told so.
//
// A program that uses it calls Main first of all.
package inject

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls that are seen, with the argument that says which file is meant.
var seen = map[int32]struct {
	name string
	file int  // number of the argument
	path bool // it is the name of a file, relative to the descriptor in the argument before, and not itself a descriptor
}{
	unix.SYS_WRITE:     {"write", 0, false},
	unix.SYS_PWRITE64:  {"pwrite64", 0, false},
	unix.SYS_FSYNC:     {"fsync", 0, false},
	unix.SYS_FDATASYNC: {"fdatasync", 0, false},
	unix.SYS_FTRUNCATE: {"ftruncate", 0, false},
	unix.SYS_FALLOCATE: {"fallocate", 0, false},
	unix.SYS_LINKAT:    {"linkat", 3, true},
	unix.SYS_RENAMEAT:  {"renameat", 3, true},
	unix.SYS_RENAMEAT2: {"renameat2", 3, true},
	unix.SYS_UNLINKAT:  {"unlinkat", 1, true},
}

// A Call is one system call that changes a file.
type Call struct {
	N    int    // 1 and up, since the start or the last Arm
	Name string // such as "pwrite64"
	Path string // of the file
}

func (c Call) String() string { return fmt.Sprintf("%d: %s of %s", c.N, c.Name, filepath.Base(c.Path)) }

// Writes reports whether the call writes bytes, so that it can be short.
func (c Call) Writes() bool { return c.Name == "write" || c.Name == "pwrite64" }

// A Fault is what happens to a call.
type Fault struct {
	Errno syscall.Errno // refuse the call with this error, if not 0
	Half  bool          // write the first half of the bytes; a call that writes none goes through
	Kill  bool          // then kill the process, before it sees a result
}

// A Process is a child whose calls are seen. It is killed when its supervisor ends.
type Process struct {
	dir      string
	listener int
	ended    chan struct{} // closed when no call can come any more

	mu     sync.Mutex
	decide func(Call) Fault
	calls  []Call
	err    error // of the supervision itself
}

const argument = "undersigned-inject-child"

// Main is what a program that calls Start does before anything else: in the child it installs the filter and becomes the
// program to supervise; otherwise it returns at once.
func Main() {
	if len(os.Args) < 3 || os.Args[1] != argument {
		return
	}
	err := child(os.Args[2], os.Args[2:])
	fmt.Fprintln(os.Stderr, "inject:", err)
	os.Exit(125)
}

// child installs the filter, hands its listener to the parent on descriptor 3, and becomes another program.
func child(path string, args []string) error {
	runtime.LockOSThread() // the filter is of this thread, and so of the program that it becomes
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	program := []unix.SockFilter{load(0)} // the number of the call
	left := len(seen)
	for nr := range seen {
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(left), K: uint32(nr)})
		left--
	}
	program = append(program,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("this kernel cannot supervise system calls (Linux 5.19 and up can): %w", errno)
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(int(fd)), nil, 0); err != nil {
		return err
	}
	unix.CloseOnExec(3)
	return syscall.Exec(path, args, os.Environ())
}

// Start starts cmd, whose Path and Args name the program to supervise, and sees the calls that change files
// below dir, an absolute path without symbolic links. What happens to each decide says, until Arm: it
// is called for one call at a time. nil lets all through.
func Start(cmd *exec.Cmd, dir string, decide func(Call) Fault) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "inject")
	defer theirs.Close()
	if len(cmd.ExtraFiles) > 0 {
		return nil, errors.New("the program's descriptor 3 is taken")
	}
	cmd.Args = append([]string{self, argument, cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.ExtraFiles = self, []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	theirs.Close()
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	var fds []int
	if err == nil {
		var messages []unix.SocketControlMessage
		if messages, err = unix.ParseSocketControlMessage(oob[:n]); err == nil && len(messages) == 1 {
			fds, err = unix.ParseUnixRights(&messages[0])
		}
	}
	if err != nil || len(fds) != 1 {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, errors.Join(errors.New("the child did not install its filter"), err)
	}
	p := &Process{dir: filepath.Clean(dir) + "/", listener: fds[0], decide: decide, ended: make(chan struct{})}
	go p.supervise()
	return p, nil
}

// Arm forgets the calls so far; from now on decide says what happens to each.
func (p *Process) Arm(decide func(Call) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide, p.calls = decide, nil
}

// Calls returns the calls since the last Arm.
func (p *Process) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Call(nil), p.calls...)
}

// Ended waits until the process and its children are gone, and returns what went wrong with the supervision itself.
func (p *Process) Ended() error {
	<-p.ended
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// What the kernel and the supervisor say to one another: struct seccomp_notif and seccomp_notif_resp.
const (
	notifSize = 80
	recv      = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	send      = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
	goOn      = 1          // SECCOMP_USER_NOTIF_FLAG_CONTINUE
)

// supervise answers calls until there is nobody left to make them.
func (p *Process) supervise() {
	defer close(p.ended)
	defer unix.Close(p.listener)
	for {
		fds := []unix.PollFd{{Fd: int32(p.listener), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			p.fail(err)
			return
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			return // POLLHUP: all are gone
		}
		var b [notifSize]byte
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.listener), recv, uintptr(unsafe.Pointer(&b))); errno == unix.ENOENT || errno == unix.EINTR {
			continue // it was killed, or will ask again
		} else if errno != 0 {
			p.fail(errno)
			return
		}
		p.answer(b)
	}
}

func (p *Process) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = fmt.Errorf("supervising system calls: %w", err)
	}
}

// answer decides about one call.
func (p *Process) answer(b [notifSize]byte) {
	ne := binary.NativeEndian
	tid := int(ne.Uint32(b[8:]))
	nr := int32(ne.Uint32(b[16:]))
	var args [6]uint64
	for i := range args {
		args[i] = ne.Uint64(b[32+8*i:])
	}
	value, errno, flags := int64(0), syscall.Errno(0), uint32(goOn)
	if fault := p.count(tid, nr, args); fault != (Fault{}) {
		if fault.Half && (nr == unix.SYS_WRITE || nr == unix.SYS_PWRITE64) && args[2] > 1 {
			n, err := half(tid, nr, args)
			if err != nil {
				p.fail(err)
			}
			value, flags = int64(n), 0
		}
		if fault.Errno != 0 {
			errno, flags = fault.Errno, 0
		}
		if fault.Kill {
			unix.Kill(tgid(tid), unix.SIGKILL)
			return
		}
	}
	var r [24]byte
	copy(r[:8], b[:8])
	ne.PutUint64(r[8:], uint64(value))
	ne.PutUint32(r[16:], uint32(-int32(errno)))
	ne.PutUint32(r[20:], flags)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(p.listener), send, uintptr(unsafe.Pointer(&r))); e != 0 && e != unix.ENOENT {
		p.fail(e)
	}
}

// count numbers a call if it is of a file below the directory, and returns its fault.
func (p *Process) count(tid int, nr int32, args [6]uint64) Fault {
	call := seen[nr]
	var path string
	if call.path {
		name, err := text(tid, args[call.file])
		if err != nil {
			p.fail(err)
			return Fault{}
		}
		if path = name; !filepath.IsAbs(name) {
			at := "cwd"
			if fd := int32(args[call.file-1]); fd != unix.AT_FDCWD {
				at = fmt.Sprintf("fd/%d", fd)
			}
			base, _ := os.Readlink(fmt.Sprintf("/proc/%d/%s", tid, at))
			path = filepath.Join(base, name)
		}
	} else {
		path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, int32(args[call.file])))
	}
	if !strings.HasPrefix(path+"/", p.dir) {
		return Fault{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := Call{len(p.calls) + 1, call.name, path}
	p.calls = append(p.calls, c)
	if p.decide == nil {
		return Fault{}
	}
	return p.decide(c)
}

// half does the first half of a write, in the place of the process.
func half(tid int, nr int32, args [6]uint64) (int, error) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return 0, err
	}
	defer mem.Close()
	bytes := make([]byte, args[2]/2)
	if _, err := mem.ReadAt(bytes, int64(args[1])); err != nil {
		return 0, err
	}
	process, err := unix.PidfdOpen(tgid(tid), 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(process)
	fd, err := unix.PidfdGetfd(process, int(args[0]), 0) // shares the offset
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if nr == unix.SYS_WRITE {
		return unix.Write(fd, bytes)
	}
	return unix.Pwrite(fd, bytes, int64(args[3]))
}

// text reads the string at an address of a process.
func text(tid int, address uint64) (string, error) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return "", err
	}
	defer mem.Close()
	b := make([]byte, unix.PathMax)
	n, _ := mem.ReadAt(b, int64(address)) // as far as the mapping goes
	name, _, ended := strings.Cut(string(b[:n]), "\x00")
	if !ended {
		return "", errors.New("a path of the process cannot be read")
	}
	return name, nil
}

// tgid returns the process of a thread.
func tgid(tid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	_, after, _ := strings.Cut(string(status), "\nTgid:")
	var pid int
	if _, err := fmt.Sscan(after, &pid); err != nil {
		return tid
	}
	return pid
}
