// Command gen writes tables.go of package unicode15 from the Unicode Character Database, version
// 15.0.0 (Debian: package unicode-data), and from prototypes.txt beside it.
//
//	go run ./gen -ucd /usr/share/unicode -prototypes gen/prototypes.txt > tables.go
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/tccm/undersigned/keys/unicode15/internal/record"
)

const maxRune = 0x10FFFF

func main() {
	log.SetFlags(0)
	ucd := flag.String("ucd", "", "`directory` of the Unicode Character Database 15.0.0")
	prototypes := flag.String("prototypes", "gen/prototypes.txt", "`file` of confusable prototypes")
	flag.Parse()
	if norm.Version != "15.0.0" {
		log.Fatalf("x/text normalizes by Unicode %s under this Go release; 15.0.0 is needed to derive PVALID", norm.Version)
	}
	out, err := format.Source(generate(database{*ucd}, *prototypes))
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(out)
}

// A database is a directory of UCD files.
type database struct{ dir string }

// rows calls f for each row of a UCD file, with its fields trimmed and comments removed.
func rows(path string, f func(fields []string)) {
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if strings.TrimSpace(text) == "" {
			continue
		}
		fields := strings.Split(text, ";")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		f(fields)
	}
}

func (d database) rows(name string, f func(fields []string)) {
	path := filepath.Join(d.dir, name)
	if name != "UnicodeData.txt" { // the one file that does not name its version
		head, err := os.ReadFile(path)
		if err != nil {
			log.Fatal(err)
		}
		if line, _, _ := bytes.Cut(head, []byte("\n")); !bytes.Contains(line, []byte("-15.0.0.txt")) {
			log.Fatalf("%s is not of version 15.0.0", path)
		}
	}
	rows(path, f)
}

// ranges calls f for each code point of each row whose first field is a code point or range.
func (d database) ranges(name string, f func(r rune, fields []string)) {
	d.rows(name, func(fields []string) {
		lo, hi, ok := strings.Cut(fields[0], "..")
		if !ok {
			hi = lo
		}
		for r := number(lo); r <= number(hi); r++ {
			f(r, fields)
		}
	})
}

func number(s string) rune {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		log.Fatal(err)
	}
	return rune(n)
}

func text(s string) string {
	var b strings.Builder
	for f := range strings.FieldsSeq(s) {
		b.WriteRune(number(f))
	}
	return b.String()
}

// set returns the code points of a file that have the property.
func (d database) set(file, property string) map[rune]bool {
	set := map[rune]bool{}
	d.ranges(file, func(r rune, fields []string) {
		if fields[1] == property {
			set[r] = true
		}
	})
	return set
}

func generate(d database, prototypes string) []byte {
	category, bidi := make([]string, maxRune+1), make([]string, maxRune+1)
	var first rune
	d.rows("UnicodeData.txt", func(f []string) {
		r := number(f[0])
		if strings.HasSuffix(f[1], ", First>") {
			first = r
			return
		}
		if !strings.HasSuffix(f[1], ", Last>") {
			first = r
		}
		for ; first <= r; first++ {
			category[first], bidi[first] = f[2], f[4]
		}
	})

	fold := map[rune]string{}
	d.rows("CaseFolding.txt", func(f []string) {
		if f[1] == "C" || f[1] == "F" {
			fold[number(f[0])] = text(f[2])
		}
	})
	foldText := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			if to, ok := fold[r]; ok {
				b.WriteString(to)
			} else {
				b.WriteRune(r)
			}
		}
		return b.String()
	}

	short := map[string]string{} // a script's long name to its short one
	d.rows("PropertyValueAliases.txt", func(f []string) {
		if f[0] == "sc" {
			short[f[2]] = f[1]
		}
	})
	script := make([]string, maxRune+1)
	d.ranges("Scripts.txt", func(r rune, f []string) { script[r] = short[f[1]] })
	extensions := slices.Clone(script)
	d.ranges("ScriptExtensions.txt", func(r rune, f []string) { extensions[r] = f[1] })

	ignorable := d.set("DerivedCoreProperties.txt", "Default_Ignorable_Code_Point")
	white := d.set("PropList.txt", "White_Space")
	oldJamo := map[rune]bool{}
	d.ranges("HangulSyllableType.txt", func(r rune, f []string) {
		oldJamo[r] = f[1] == "L" || f[1] == "V" || f[1] == "T"
	})
	// RFC 5892 section 3, in its order; CONTEXTJ is left disallowed.
	pvalid := func(r rune) record.Flags {
		s := string(r)
		switch {
		case strings.ContainsRune("\u00df\u03c2\u06fd\u06fe\u0f0b\u3007", r):
			return record.PValid
		case strings.ContainsRune("\u00b7\u0375\u05f3\u05f4\u30fb", r), 0x660 <= r && r <= 0x669, 0x6f0 <= r && r <= 0x6f9:
			return record.ContextO
		case strings.ContainsRune("\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b", r):
			return 0
		case category[r] == "":
			return 0
		case r == '-', '0' <= r && r <= '9', 'a' <= r && r <= 'z':
			return record.PValid
		case norm.NFKC.String(foldText(norm.NFKC.String(s))) != s, ignorable[r], white[r],
			0x20d0 <= r && r <= 0x20ff, 0x1d100 <= r && r <= 0x1d1ff, 0x1d200 <= r && r <= 0x1d24f, oldJamo[r]:
			return 0
		case slices.Contains([]string{"Ll", "Lu", "Lo", "Nd", "Lm", "Mn", "Mc"}, category[r]):
			return record.PValid
		}
		return 0
	}

	var names []string // the scripts, bit by bit
	bit := func(name string) int {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		return slices.Index(names, name)
	}
	for _, name := range []string{"Latn", "Jpan", "Hanb", "Kore"} {
		bit(name) // record.Latin and so on
	}
	scriptSet := func(list string) (set record.Scripts) {
		for name := range strings.FieldsSeq(list) {
			// UTS #39 section 5.1: what is written along with Han, and Common with all.
			switch name {
			case "Zyyy", "Zinh":
				return record.Scripts{}
			case "Hani":
				set.Add(record.Jpan)
				set.Add(record.Hanb)
				set.Add(record.Kore)
			case "Hira", "Kana":
				set.Add(record.Jpan)
			case "Bopo":
				set.Add(record.Hanb)
			case "Hang":
				set.Add(record.Kore)
			}
			set.Add(bit(name))
		}
		return set
	}
	scriptSets := []record.Scripts{{}}
	records := []record.Record{}
	var starts []uint32
	last := -1
	for r := rune(0); r <= maxRune; r++ {
		var flags record.Flags
		var class, scripts uint8
		if c := category[r]; c != "" && c != "Cs" && c != "Co" {
			flags = pvalid(r)
			switch c[0] {
			case 'L':
				flags |= record.Letter
			case 'M':
				flags |= record.Mark
			case 'N':
				flags |= record.Number
			}
			if r == ' ' || c[0] != 'Z' && c[0] != 'C' && !ignorable[r] {
				flags |= record.FreeText
			}
			switch script[r] {
			case "Grek":
				flags |= record.Greek
			case "Hebr":
				flags |= record.Hebrew
			case "Hira", "Kana", "Hani":
				flags |= record.Japanese
			}
			if flags&(record.PValid|record.ContextO) != 0 {
				class = bidiClass(bidi[r])
			}
			if flags&record.FreeText != 0 {
				set := scriptSet(extensions[r])
				if !slices.Contains(scriptSets, set) {
					scriptSets = append(scriptSets, set)
				}
				scripts = uint8(slices.Index(scriptSets, set))
			}
		}
		rec := record.New(flags, class, scripts)
		at := slices.Index(records, rec)
		if at < 0 {
			at = len(records)
			records = append(records, rec)
		}
		if at != last {
			starts = append(starts, uint32(r)<<11|uint32(at))
			last = at
		}
	}
	if len(records) > 1<<11 || len(scriptSets) > 1<<8 || len(names) > 64*len(record.Scripts{}) {
		log.Fatal("the tables' fields are too narrow")
	}

	prototype := map[rune]string{}
	rows(prototypes, func(f []string) { prototype[number(f[0])] = text(f[1]) })

	var b bytes.Buffer
	b.WriteString("// Code generated by gen from the Unicode Character Database 15.0.0; DO NOT EDIT.\n")
	b.WriteString("// Copyright 1991-2022 Unicode, Inc.; see NOTICE.\n\npackage unicode15\n\n")
	b.WriteString("import \"github.com/tccm/undersigned/keys/unicode15/internal/record\"\n\n")
	b.WriteString("// runs has a word for each run of code points with one record: the first code point << 11 | record.\n")
	writeWords(&b, "runs", "uint32", starts)
	writeWords(&b, "records", "record.Record", records)
	fmt.Fprintf(&b, "// scriptSets: bits are %s; none is every script.\n", strings.Join(names, " "))
	b.WriteString("var scriptSets = [...]record.Scripts{\n")
	for i, s := range scriptSets {
		if i > 0 && i%4 == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "{%#x, %#x, %#x},", s[0], s[1], s[2])
	}
	b.WriteString("\n}\n\n")
	b.WriteString("// folding is full case folding, CaseFolding.txt C and F.\n")
	writeMapping(&b, "folding", fold)
	b.WriteString("// prototypes are those of UTS #39 for code points that NFKD leaves alone.\n")
	writeMapping(&b, "prototypes", prototype)
	return b.Bytes()
}

func bidiClass(name string) uint8 {
	switch name {
	case "R", "AL":
		return record.BidiR
	case "AN":
		return record.BidiAN
	case "EN":
		return record.BidiEN
	case "NSM":
		return record.BidiNSM
	case "ES", "CS", "ET", "ON", "BN":
		return record.BidiNeutral
	}
	return record.BidiL
}

func writeWords[T ~uint16 | ~uint32](b *bytes.Buffer, name, typ string, words []T) {
	fmt.Fprintf(b, "var %s = [...]%s{", name, typ)
	for i, w := range words {
		if i%12 == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "%#x,", w)
	}
	b.WriteString("\n}\n\n")
}

// writeMapping writes a map from code points to texts as sorted code points, and one string of all the texts
// with the offset at which each starts.
func writeMapping(b *bytes.Buffer, name string, m map[rune]string) {
	var from []uint32
	for r := range m {
		from = append(from, uint32(r))
	}
	slices.Sort(from)
	offsets := []uint16{0}
	var all strings.Builder
	for _, r := range from {
		all.WriteString(m[rune(r)])
		if all.Len() > 1<<16-1 {
			log.Fatal("the mapping's texts are too long")
		}
		offsets = append(offsets, uint16(all.Len()))
	}
	writeWords(b, name+"From", "uint32", from)
	writeWords(b, name+"At", "uint16", offsets)
	fmt.Fprintf(b, "const %sText = \"\" +\n", name)
	for s := all.String(); s != ""; {
		n := min(len(s), 96)
		for n < len(s) && s[n]&0xc0 == 0x80 {
			n++
		}
		fmt.Fprintf(b, "\t%s", strconv.QuoteToASCII(s[:n]))
		if s = s[n:]; s != "" {
			b.WriteString(" +")
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
}
