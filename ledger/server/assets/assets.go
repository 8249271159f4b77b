// Package assets holds the files of the pages, and the verifier that runs in browsers:
//
//	assets/style.css icon.svg openapi.json   as they lie here
//	assets/worker.js                         starts the verifier, beside the page
//	assets/wasm_exec.js                      the Go toolchain's, which worker.js needs
//	assets/undersigned.wasm                  cmd/undersigned-wasm, packed by brotli and by gzip
//
// The last two are made by "make wasm" and are not committed. A program that was built without them has pages all the same, which say
// that it has no verifier for browsers.
package assets

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

// Files are the files that lie beside this one: templates too, which are no Assets.
//
//go:embed *.css *.html *.js *.json *.svg
var Files embed.FS

//go:embed built
var built embed.FS

// Verifier is the path of the verifier for browsers.
const Verifier = "assets/undersigned.wasm"

// An Asset is a file that browsers load.
type Asset struct {
	Path string // below the address of the server, such as "assets/style.css"
	Type string // media type
	// Brotli and Gzip are the file as packed when the program was built; nil: it is served as it is, or packed on the way.
	Brotli, Gzip []byte

	body func() []byte
	sum  func() [sha256.Size]byte
}

// Body returns the file. It must not be changed.
func (a *Asset) Body() []byte { return a.body() }

// SHA256 returns the hash of Body.
func (a *Asset) SHA256() [sha256.Size]byte { return a.sum() }

// Tag names the content of the file as it was built, for caches: 32 hexadecimal digits.
func (a *Asset) Tag() string {
	b := a.Brotli
	if b == nil {
		b = a.Body()
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// types are the media types of assets, by the ends of their names.
var types = map[string]string{
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".svg":  "image/svg+xml",
	".wasm": "application/wasm",
}

// All returns all assets, by path. Those of the verifier are missing if the program was built without it.
var All = sync.OnceValue(func() []*Asset {
	var all []*Asset
	add := func(name string, data []byte) {
		a := &Asset{Path: "assets/" + name, Type: types[path.Ext(name)], body: func() []byte { return data }}
		a.sum = sync.OnceValue(func() [sha256.Size]byte { return sha256.Sum256(a.Body()) })
		all = append(all, a)
	}
	list, err := fs.ReadDir(Files, ".")
	if err != nil {
		panic(err) // it is in the program
	}
	for _, f := range list {
		if types[path.Ext(f.Name())] == "" {
			continue
		}
		data, err := Files.ReadFile(f.Name())
		if err != nil {
			panic(err)
		}
		add(f.Name(), data)
	}
	br, err1 := built.ReadFile("built/undersigned.wasm.br")
	gz, err2 := built.ReadFile("built/undersigned.wasm.gz")
	exec, err3 := built.ReadFile("built/wasm_exec.js")
	if err1 == nil && err2 == nil && err3 == nil {
		add("wasm_exec.js", exec)
		add(path.Base(Verifier), nil)
		a := all[len(all)-1]
		a.Brotli, a.Gzip = br, gz
		a.body = sync.OnceValue(func() []byte { return unpack(gz) })
	}
	slices.SortFunc(all, func(a, b *Asset) int { return strings.Compare(a.Path, b.Path) })
	return all
})

// Find returns the asset with a path; nil: there is none.
func Find(path string) *Asset {
	i, ok := slices.BinarySearchFunc(All(), path, func(a *Asset, path string) int { return strings.Compare(a.Path, path) })
	if !ok {
		return nil
	}
	return All()[i]
}

// unpack returns what was packed by gzip when the program was built.
func unpack(gz []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(gz))
	if err != nil {
		panic(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	return b
}
