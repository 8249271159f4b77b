//go:build unix

package bench

import "syscall"

// beside calls f while another process of ours stands still: what it does when it is left in peace would count against whoever is measured. Who kills this program
// with SIGKILL meanwhile leaves the other one so.
func beside(still *process, f func() error) error {
	if err := still.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	defer still.cmd.Process.Signal(syscall.SIGCONT)
	return f()
}
