package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tccm/undersigned/testdata/tccm"
)

// aPDF makes a PDF file with lines of text on each page, in Helvetica and Windows-1252.
func aPDF(pages ...[]string) []byte {
	var b bytes.Buffer
	var at []int
	object := func(format string, args ...any) {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n"+format+"\nendobj\n", append([]any{len(at)}, args...)...)
	}
	b.WriteString("%PDF-1.4\n")
	object("<< /Type /Catalog /Pages 2 0 R >>")
	var kids strings.Builder
	for i := range pages {
		fmt.Fprintf(&kids, "%d 0 R ", 4+2*i)
	}
	object("<< /Type /Pages /Kids [ %s] /Count %d >>", kids.String(), len(pages))
	object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
	escape := strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`, "—", `\227`, "•", `\225`)
	for i, lines := range pages {
		var c strings.Builder
		c.WriteString("BT /F1 9 Tf 11 TL 40 800 Td\n")
		for _, line := range lines {
			fmt.Fprintf(&c, "(%s) Tj T*\n", escape.Replace(line))
		}
		c.WriteString("ET")
		object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>", 5+2*i)
		object("<< /Length %d >>\nstream\n%s\nendstream", c.Len(), c.String())
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, offset := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&b, "trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, xref)
	return b.Bytes()
}

// wrapped breaks a text into lines, and hyphenates some words at their end.
func wrapped(text string, width int) (lines []string) {
	for paragraph := range strings.Lines(text) {
		line := ""
		for _, w := range strings.Fields(paragraph) {
			if len(line)+1+len(w) > width {
				if head, tail, ok := strings.Cut(w, "-"); ok && tail != "" {
					lines, line = append(lines, line+" "+head+"-"), tail
					continue
				}
				if head, tail, ok := strings.Cut(w, "holder"); ok {
					lines, line = append(lines, line+" "+head+"-"), "holder"+tail
					continue
				}
				lines, line = append(lines, line), ""
			}
			line = strings.TrimSpace(line + " " + w)
		}
		lines = append(lines, line)
	}
	return lines
}

// TestComparePDF makes PDF files of the statement and compares them with the frozen record.
func TestComparePDF(t *testing.T) {
	if _, err := exec.LookPath("pdftotext"); err != nil {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("pdftotext is not installed")
		}
		t.Skip("pdftotext is not installed; install poppler-utils to run this test")
	}
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := strings.ReplaceAll(string(tccm.Statement), "\n- ", "\n• ")
	// Lines that end in hyphens, of which some belong to the text, and some do not.
	width := 60
	hyphenated := func() bool {
		all := strings.Join(wrapped(text, width), "\n")
		return strings.Contains(all, "stake-\nholder") && (strings.Contains(all, "nation-\nbased") || strings.Contains(all, "decision-\nmaking") || strings.Contains(all, "better-\nresourced"))
	}
	for !hyphenated() {
		if width++; width > 110 {
			t.Fatal("no width hyphenates both kinds of words")
		}
	}
	lines := wrapped(text, width)
	same := aPDF(lines[:20], lines[20:])
	altered := wrapped(strings.Replace(text, "equal footing", "fair footing", 1), width)
	data := filepath.Join("..", "..", "testdata", "tccm")
	compare := func(args ...string) (int, string, string) {
		return runWith(t.Context(), append([]string{"compare"}, args...)...)
	}
	record := []string{"--policy", filepath.Join(data, "policy.txt"), "PATH", filepath.Join(data, "archive.zip")}
	with := []string{"--with", filepath.Join(data, "statement.txt"), "PATH"}
	for _, c := range []struct {
		name   string
		pdf    []byte
		args   []string
		code   int
		stdout []string
	}{
		{"same", same, record, codeOK, []string{"word for word, as far as its words could be read", "16 organizations stand behind it.", "The text was read from a PDF file", "hyphenated at the end of a line w", "3 bullets were read as hyphens", "page break"}},
		{"strict", same, append([]string{"--strict"}, record...), codeUnchecked, nil},
		{"word", aPDF(altered[:20], altered[20:]), record, 10, []string{"1 word differs", "    deleted: equal\n    inserted: fair\n"}},
		{"quote", aPDF([]string{"the multistakeholder approach is", "under threat."}), with, codeOK, []string{"This passage is in the text in "}},
		{"empty", aPDF([]string{}), with, codeUnchecked, nil},
		{"damaged", []byte("%PDF-1.4\nnothing"), with, codeUnchecked, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(c.name+".pdf", c.pdf)
			args := []string{}
			for _, arg := range c.args {
				args = append(args, strings.Replace(arg, "PATH", path, 1))
			}
			code, out, stderr := compare(args...)
			if code != c.code {
				t.Fatalf("exit code %d\n%s\n%s", code, out, stderr)
			}
			for _, want := range c.stdout {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
	// The same file is the same file, whatever is in it; and a PDF is compared with a text as a text with a PDF.
	path := file("a.pdf", same)
	if code, out, _ := compare("--with", file("b.pdf", same), path); code != codeOK || !strings.Contains(out, "byte for byte") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := compare("--with", path, filepath.Join(data, "statement.txt")); code != codeOK || !strings.Contains(out, "In what it was compared with: the text was read from a PDF file") {
		t.Errorf("%d %s", code, out)
	}
}

// Without pdftotext the same bytes are found, and everything else is "could not check".
func TestCompareWithoutPDFReader(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	dir := t.TempDir()
	for _, name := range []string{"a.pdf", "b.pdf"} {
		if err := os.WriteFile(filepath.Join(dir, name), aPDF([]string{"Hello"}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, b := filepath.Join(dir, "a.pdf"), filepath.Join(dir, "b.pdf")
	if code, out, _ := runWith(t.Context(), "compare", "--with", a, b); code != codeOK || !strings.Contains(out, "byte for byte") {
		t.Errorf("%d %s", code, out)
	}
	for _, args := range [][]string{
		{"--with", a, filepath.Join("..", "..", "testdata", "tccm", "statement.txt")},
		{"--with", filepath.Join("..", "..", "testdata", "tccm", "statement.txt"), a},
	} {
		if code, _, stderr := runWith(t.Context(), append([]string{"compare"}, args...)...); code != codeUnchecked || !strings.Contains(stderr, "pdftotext is not installed") {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
}

// Colours are for terminals, and say nothing that words do not.
func TestCompareColours(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "We all agree to this.\n", "b": "We all object to this.\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	answer := func(terminal bool, env ...string) string {
		var out bytes.Buffer
		a := newApp(nil, &out, io.Discard, env)
		a.terminal = func(any) bool { return terminal }
		if code := exitCode(t.Context(), a.run(t.Context(), []string{"compare", "--with", filepath.Join(dir, "a"), filepath.Join(dir, "b")})); code != 10 {
			t.Fatalf("exit code %d", code)
		}
		return out.String()
	}
	plain, coloured := answer(false), answer(true)
	if strings.Contains(plain, "\x1b") || !strings.Contains(coloured, "\x1b[31magree\x1b[0m") || !strings.Contains(coloured, "\x1b[32mobject\x1b[0m") || answer(true, "NO_COLOR=1") != plain {
		t.Errorf("%q\n%q", plain, coloured)
	}
	for _, code := range []string{"\x1b[31m", "\x1b[32m", "\x1b[1m", "\x1b[0m"} {
		coloured = strings.ReplaceAll(coloured, code, "")
	}
	if coloured != plain {
		t.Errorf("%q", coloured)
	}
}
