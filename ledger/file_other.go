//go:build !linux

package ledger

import "os"

func dataSync(f *os.File) error { return f.Sync() }

func sameFile(f *os.File, path string) (bool, error) { return statSame(f, path) }
