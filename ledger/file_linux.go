package ledger

import (
	"os"
	"syscall"
)

// dataSync makes written bytes durable, and the size of the file; not its times.
func dataSync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return err
		}
	}
}
