//go:build !linux

package bench

import "os"

// dataSync is what comes nearest to fdatasync.
func dataSync(f *os.File) error { return f.Sync() }
