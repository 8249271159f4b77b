//go:build unix

package main

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// ownersAlone refuses to let the superuser write keys or records into a directory that belongs to somebody else, who could
// not read them then. A directory that is not there belongs to nobody yet.
func ownersAlone(dir string, euid int) error {
	info, err := os.Stat(dir)
	if err != nil || euid != 0 {
		return nil
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil
	}
	name := "#" + strconv.FormatUint(uint64(st.Uid), 10)
	if u, err := user.LookupId(name[1:]); err == nil {
		name = u.Username
	}
	return fmt.Errorf("%s belongs to the user %s, who could not read what root writes there: give the same command as that user, sudo -u '%s' undersigned …", dir, name, name)
}
