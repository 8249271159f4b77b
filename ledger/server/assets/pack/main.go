// Pack makes what browsers load from the verifier's WebAssembly:
//
//	$ go run ./ledger/server/assets/pack WASM WASM_EXEC DIR
//
//	DIR/undersigned.wasm.br  WASM, its data in one piece, packed by brotli
//	DIR/undersigned.wasm.gz  the same by gzip, for browsers that do not take brotli, and for pages that are opened from a file
//	DIR/wasm_exec.js         WASM_EXEC, the toolchain's
//
// The same input gives the same bytes. Files that are as they should be are left alone.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/andybalholm/brotli"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "pack: name the WebAssembly, wasm_exec.js and the directory for what is made of them")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintf(os.Stderr, "pack: %v\n", err)
		os.Exit(1)
	}
}

func pack(wasm, exec, dir string) error {
	module, err := os.ReadFile(wasm)
	if err != nil {
		return err
	}
	if module, err = joined(module); err != nil {
		return fmt.Errorf("%s: %w", wasm, err)
	}
	support, err := os.ReadFile(exec)
	if err != nil {
		return err
	}
	small := filepath.Join(dir, "undersigned.wasm.br")
	if !holds(small, module) { // which takes a minute
		if err := write(small, func(w io.Writer) error {
			return compress(brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: brotli.BestCompression, LGWin: 24}), module)
		}); err != nil {
			return err
		}
	}
	return errors.Join(
		write(filepath.Join(dir, "undersigned.wasm.gz"), func(w io.Writer) error {
			z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
			if err != nil {
				return err
			}
			return compress(z, module)
		}),
		write(filepath.Join(dir, "wasm_exec.js"), func(w io.Writer) error {
			_, err := w.Write(support)
			return err
		}),
	)
}

// compress writes all of a file through a packer.
func compress(w io.WriteCloser, data []byte) error {
	_, err := w.Write(data)
	return errors.Join(err, w.Close())
}

// holds says whether a file packed by brotli has the given content.
func holds(path string, content []byte) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(brotli.NewReader(f), int64(len(content))+1))
	return err == nil && bytes.Equal(b, content)
}

// write makes a file, whole or not at all, unless it is there already.
func write(path string, fill func(io.Writer) error) error {
	var b bytes.Buffer
	if err := fill(&b); err != nil {
		return err
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b.Bytes()) {
		return nil
	}
	next := path + ".new"
	if err := os.WriteFile(next, b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}
