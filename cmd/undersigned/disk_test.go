package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// mountDisk mounts a disk of its own at a directory.
func mountDisk(dir, size string) error {
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "none", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot mount a small disk: %w: %s; run the test as root, under Linux", err, out)
	}
	return nil
}

// canMount says whether smalldisk works here.
func canMount() (bool, error) {
	dir, err := os.MkdirTemp("", "disk-")
	if err != nil {
		return false, err
	}
	defer os.Remove(dir)
	if mountDisk(dir, "1m") != nil {
		return false, nil
	}
	return true, exec.Command("umount", dir).Run()
}

// smallDisk makes a directory and mounts a disk of its own there: smalldisk DIR SIZE.
func smallDisk(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.Mkdir(dir, 0o700))
	ts.Check(mountDisk(dir, args[1]))
	ts.Defer(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			ts.Logf("%v: %s", err, out)
		}
	})
}

// fillDisk takes all that is free in a directory with the file filler: filldisk DIR.
func fillDisk(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Create(filepath.Join(ts.MkAbs(args[0]), "filler"))
	ts.Check(err)
	for n := 1 << 20; n > 0; {
		if _, err := f.Write(make([]byte, n)); err != nil {
			n /= 2
		}
	}
	ts.Check(f.Close())
}

// untilFull endorses and withdraws until that fails: what the ledger has reserved is used up then. untilfull ARG...
func untilFull(ts *testscript.TestScript, _ bool, args []string) {
	for range 1000 {
		for _, command := range []string{"endorse", "withdraw"} {
			if ts.Exec("undersigned", append([]string{command}, args...)...) != nil {
				return
			}
		}
	}
	ts.Fatalf("the disk never fills up")
}

// status holds the status of an answer: status 503 URL.
func status(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := http.Get(args[1])
	ts.Check(err)
	resp.Body.Close()
	if got := fmt.Sprint(resp.StatusCode); got != args[0] {
		ts.Fatalf("%s answers %s, not %s", args[1], got, args[0])
	}
}
