package ledger

import (
	"os"
	"syscall"
)

// dataSync makes written bytes durable; the file's size must not have changed.
func dataSync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return err
		}
	}
}
