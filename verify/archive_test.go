package verify_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tccm/undersigned/verify"
)

// TestUnpacked holds an archive that is unpacked to the archive.
func TestUnpacked(t *testing.T) {
	zip, err := os.ReadFile(filepath.Join("..", "testdata", "tccm", "archive.zip"))
	if err != nil {
		t.Fatal(err)
	}
	packed, err := verify.OpenArchive(bytes.NewReader(zip), int64(len(zip)))
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"index.html": {Data: []byte("beside the record")}}
	var order []string
	var past []uint64
	err = verify.WriteTree(t.Context(), func(path string, data []byte) error {
		order = append(order, path)
		files[path] = &fstest.MapFile{Data: data}
		return nil
	}, packed.Fetch, past, nil)
	if err != nil || order[len(order)-1] != verify.SumsPath {
		t.Fatal(order, err)
	}
	a, err := verify.OpenTree(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Paths()) != len(order)-1 {
		t.Errorf("it holds %v", a.Paths())
	}
	for _, path := range a.Paths() {
		want, _ := packed.Fetch(t.Context(), path)
		got, err := a.Fetch(t.Context(), path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", path, err)
		}
		if got, err = verify.TreeFetch(files)(t.Context(), path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s without SHA256SUMS: %v", path, err)
		}
	}
	for _, path := range []string{"index.html", "../x", verify.SumsPath, "tile/0/999"} {
		if _, err := a.Fetch(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := verify.TreeFetch(files)(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s without SHA256SUMS: %v", path, err)
		}
	}
	var wrong *verify.ContradictionError
	for name, harm := range map[string]func(f fstest.MapFS){
		"gone":        func(f fstest.MapFS) { delete(f, "checkpoint") },
		"changed":     func(f fstest.MapFS) { f["checkpoint"] = &fstest.MapFile{Data: []byte("x")} },
		"too long":    func(f fstest.MapFS) { f["checkpoint"] = &fstest.MapFile{Data: make([]byte, verify.MaxNote+1)} },
		"a directory": func(f fstest.MapFS) { f["checkpoint"] = &fstest.MapFile{Mode: fs.ModeDir} },
	} {
		f := fstest.MapFS{}
		for path, file := range files {
			f[path] = file
		}
		harm(f)
		if _, err := a.Fetch(t.Context(), "checkpoint"); err != nil {
			t.Fatal(err)
		}
		b, err := verify.OpenTree(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Fetch(t.Context(), "checkpoint"); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := verify.TreeFetch(f)(t.Context(), "checkpoint"); err == nil && name != "changed" {
			t.Errorf("%s without SHA256SUMS: no error", name)
		}
	}
	sums := string(files[verify.SumsPath].Data)
	line, _, _ := strings.Cut(sums, "\n")
	var format *verify.FormatError
	for name, text := range map[string]string{
		"a line twice":       sums + line + "\n",
		"no line feed":       strings.TrimSuffix(sums, "\n"),
		"upper case":         strings.ToUpper(sums),
		"no path":            line[:64] + "\n",
		"out of the record":  line[:64] + "  ../checkpoint\n",
		"not of the record":  line[:64] + "  index.html\n",
		"a binary's mark":    strings.Replace(sums, "  ", " *", 1),
		"itself":             line[:64] + "  SHA256SUMS\n",
		"a hash one too few": line[1:] + "\n",
	} {
		files[verify.SumsPath] = &fstest.MapFile{Data: []byte(text)}
		if _, err := verify.OpenTree(files); !errors.As(err, &format) {
			t.Errorf("%s: %v", name, err)
		}
	}
	delete(files, verify.SumsPath)
	if _, err := verify.OpenTree(files); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without SHA256SUMS: %v", err)
	}
}
