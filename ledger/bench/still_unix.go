//go:build unix

package bench

import "syscall"

// alone has another process stand still while f measures: what it does when it is left in peace would count against whoever is measured.
func alone(other *process, f func() error) error {
	if err := syscall.Kill(other.pid(), syscall.SIGSTOP); err != nil {
		return err
	}
	defer syscall.Kill(other.pid(), syscall.SIGCONT)
	return f()
}
