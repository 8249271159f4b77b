// Package unicode15 is the part of Unicode 15.0 that the record's rules depend on, frozen: what may
// stand in free text and in a domain label, which strings look alike, which words mix scripts. A
// verifier of 2036 must judge as one of 2026 did, so none of it is taken from the Go release at hand.
//
//	FreeText("Verisign, Inc.")            true
//	FreeText("Verisign\u202e, Inc.")      false  right-to-left override
//	Skeletons("аpnic") and ("APNIC")      meet   Cyrillic а
//	MixedScripts("аpnic")                 true
//
// Normalization alone comes from golang.org/x/text/unicode/norm, whose tables follow Go releases. That is
// as good as frozen: by Unicode's stability policy the normal forms of a string never change once all its
// code points are assigned, and every function here refuses or drops code points that 15.0 did not assign
// before it normalizes.
//
// The tables are generated from the Unicode Character Database 15.0.0 and from the prototypes of
// UTS #39 15.0; see the command gen. They are read where they lie: nothing is built at start, and on
// first use the skeletons of ASCII alone.
package unicode15

//go:generate sh -c "go run ./gen -ucd /usr/share/unicode > tables.tmp && mv tables.tmp tables.go"

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/tccm/undersigned/keys/unicode15/internal/record"
)

// lookup returns the properties of r, which may be any number.
func lookup(r rune) record.Record {
	if r < 0 || r > utf8.MaxRune {
		return 0
	}
	// The last run that starts at r or before it.
	i, _ := slices.BinarySearch(runs[:], (uint32(r)+1)<<11)
	return records[runs[i-1]&(1<<11-1)]
}

func has(r rune, f record.Flags) bool { return lookup(r).Has(f) }

// A mapping takes some code points to texts.
type mapping struct {
	from []uint32 // ascending
	at   []uint16 // at[i] and at[i+1] bound the text of from[i]
	text string
}

// apply maps each code point of s that the mapping has.
func (m mapping) apply(s string) string {
	var b strings.Builder
	for _, r := range s {
		if i, ok := slices.BinarySearch(m.from, uint32(r)); ok {
			b.WriteString(m.text[m.at[i]:m.at[i+1]])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func fold(s string) string {
	return mapping{foldingFrom[:], foldingAt[:], foldingText}.apply(s)
}

// skeleton is UTS #39 section 4's for text in NFKC: NFD makes NFKD of it, which is what the prototypes are for.
func skeleton(s string) string {
	return norm.NFD.String(mapping{prototypesFrom[:], prototypesAt[:], prototypesText}.apply(norm.NFD.String(s)))
}

// FreeText reports whether s can be free text of an entry (a title, a name): not empty, valid UTF-8 in NFC,
// U+0020 the only space, none at either end and no two together, and otherwise only code points that are
// assigned and visible: none of the general categories Cc, Cf, Cs, Co, Cn, Zl, Zp and Zs, and none that is
// Default_Ignorable_Code_Point (such as variation selectors and Hangul fillers), for what is signed must be
// what is read. Bidi controls and zero-width characters are Cf.
func FreeText(s string) bool {
	if s == "" || s[0] == ' ' || s[len(s)-1] == ' ' || strings.Contains(s, "  ") || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !has(r, record.FreeText) {
			return false
		}
	}
	return norm.NFC.IsNormalString(s)
}

// Visible reports whether r is assigned in Unicode 15.0 and can be seen, or is U+0020: what free text may hold.
func Visible(r rune) bool { return has(r, record.FreeText) }

// InWord reports whether r is a letter, a mark or a number (general categories L, M and N).
func InWord(r rune) bool { return has(r, record.Letter|record.Mark|record.Number) }

// Skeleton returns UTS #39's skeleton of s, which nothing is dropped from: strings that look alike have the same one, punctuation
// included. Case counts: "I" and "l" meet, "I" and "i" do not. It is for comparing, not for reading.
func Skeleton(s string) string { return skeleton(norm.NFKC.String(s)) }

// HasLetter reports whether s has a letter (general category L).
func HasLetter(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return has(r, record.Letter) })
}

// PValid reports whether r is PVALID in a domain label (RFC 5892 over Unicode 15.0). The code points that are
// allowed in context only, CONTEXTJ and CONTEXTO, are not.
func PValid(r rune) bool { return has(r, record.PValid) }

// Label reports whether s is a U-label (RFC 5891 section 4.2, RFC 5890 section 2.3.2.1): NFC, at least one code
// point beyond ASCII, each PVALID or a CONTEXTO whose rule holds (RFC 5892 appendix A), no hyphen at either end
// or in the third and fourth place, no combining mark in front, and the Bidi rule where a letter runs right to left.
// CONTEXTJ (the zero-width joiners) is refused: it is allowed for where it cannot be seen. Length is the
// A-label's matter.
func Label(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	label := []rune(s)
	ascii := true
	for i, r := range label {
		p := lookup(r)
		if !p.Has(record.PValid) && !(p.Has(record.ContextO) && inContext(label, i)) {
			return false
		}
		ascii = ascii && r < utf8.RuneSelf
	}
	if ascii || has(label[0], record.Mark) || !norm.NFC.IsNormalString(s) ||
		label[0] == '-' || label[len(label)-1] == '-' || len(label) >= 4 && label[2] == '-' && label[3] == '-' {
		return false
	}
	return !RightToLeft(s) || BidiRule(s)
}

// inContext decides for the CONTEXTO code point label[i], RFC 5892 appendices A.3 to A.9.
func inContext(label []rune, i int) bool {
	at := func(i int) rune {
		if i < 0 || i >= len(label) {
			return -1
		}
		return label[i]
	}
	switch r := label[i]; {
	case r == '\u00b7': // middle dot, Catalan l·l
		return at(i-1) == 'l' && at(i+1) == 'l'
	case r == '\u0375': // Greek lower numeral sign
		return has(at(i+1), record.Greek)
	case r == '\u05f3', r == '\u05f4': // Hebrew geresh, gershayim
		return has(at(i-1), record.Hebrew)
	case r == '\u30fb': // katakana middle dot
		return slices.ContainsFunc(label, func(r rune) bool { return has(r, record.Japanese) })
	case r < '\u06f0': // Arabic-Indic digits
		return !slices.ContainsFunc(label, func(r rune) bool { return '\u06f0' <= r && r <= '\u06f9' })
	default: // extended Arabic-Indic digits
		return !slices.ContainsFunc(label, func(r rune) bool { return '\u0660' <= r && r <= '\u0669' })
	}
}

// RightToLeft reports whether the U-label s makes its domain a Bidi domain name (RFC 5893 section 1.4): it has a
// code point of Bidi class R, AL or AN.
func RightToLeft(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		b := lookup(r).Bidi()
		return b == record.BidiR || b == record.BidiAN
	})
}

// BidiRule reports whether a label of a Bidi domain name, U-label or ASCII, obeys RFC 5893 section 2.
func BidiRule(label string) bool {
	first, end := record.BidiNeutral, record.BidiNeutral // end: the last class that is not NSM
	var seen [record.BidiNeutral + 1]bool
	for i, r := range label {
		b := lookup(r).Bidi()
		if i == 0 {
			first = b
		}
		if b != record.BidiNSM {
			end = b
		}
		seen[b] = true
	}
	switch first {
	case record.BidiR:
		return !seen[record.BidiL] && !(seen[record.BidiEN] && seen[record.BidiAN]) &&
			(end == record.BidiR || end == record.BidiEN || end == record.BidiAN)
	case record.BidiL:
		return !seen[record.BidiR] && !seen[record.BidiAN] && (end == record.BidiL || end == record.BidiEN)
	}
	return false
}

// Skeletons returns two keys under which strings that look alike meet: s and t are taken for each other by a
// reader if either key of s equals the same key of t. Both start from NFKC and are made of UTS #39 prototypes and full case
// folding; the first takes the prototypes of s as it is written ("l", "I" and "1" meet), the second those of
// its folded form ("I" and "i" meet). Everything but letters, marks and numbers is dropped from both, and so is
// what is invisible or not assigned. Keys are for comparing, not for reading, and may be empty.
func Skeletons(s string) [2]string {
	if strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return skeletons(s)
	}
	// Nothing of ASCII combines, so that each character stands for itself.
	table := plainSkeletons()
	var keys [2]string
	for which := range keys {
		b := make([]byte, 0, 2*len(s))
		for _, c := range []byte(s) {
			b = append(b, table[c][which]...)
		}
		keys[which] = string(b)
	}
	return keys
}

// plainSkeletons returns the skeletons of each ASCII character.
var plainSkeletons = sync.OnceValue(func() *[utf8.RuneSelf][2]string {
	table := new([utf8.RuneSelf][2]string)
	for c := range table {
		table[c] = skeletons(string(rune(c)))
	}
	return table
})

func skeletons(s string) [2]string {
	s = norm.NFKC.String(strings.Map(func(r rune) rune {
		// Ignorable and unassigned code points are not FreeText; other spaces are dropped below in any case.
		if !has(r, record.FreeText) {
			return -1
		}
		return r
	}, s))
	return [2]string{
		word(fold(skeleton(s))),
		word(fold(skeleton(fold(s)))),
	}
}

// word keeps the letters, marks and numbers.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if !has(r, record.Letter|record.Mark|record.Number) {
			return -1
		}
		return r
	}, s)
}

// MixedScripts reports whether some word of s goes beyond the "highly restrictive" level of UTS #39 section 5.2: its
// letters share no one script, by their Script_Extensions, nor are they of Latin with Han, Hiragana and Katakana,
// of Latin with Han and Bopomofo, or of Latin with Han and Hangul. Words are parted by everything but letters, marks,
// numbers, hyphens and apostrophes.
func MixedScripts(s string) bool {
	for w := range strings.FieldsFuncSeq(s, func(r rune) bool {
		return !has(r, record.Letter|record.Mark|record.Number) && !strings.ContainsRune("-'\u2010\u2019", r)
	}) {
		if mixed(w) {
			return true
		}
	}
	return false
}

func mixed(word string) bool {
	common, any := record.Scripts{}, true // the scripts of every letter so far; any: no letter narrowed them
	withLatin := [...]int{record.Jpan, record.Hanb, record.Kore}
	covered := [len(withLatin)]bool{true, true, true}
	single := true
	for _, r := range word {
		set := scriptSets[lookup(r).Scripts()]
		if set.All() {
			continue
		}
		if any {
			common, any = set, false
		} else {
			common = common.Intersect(set)
			single = single && common != record.Scripts{}
		}
		for i, system := range withLatin {
			covered[i] = covered[i] && (set.Has(record.Latin) || set.Has(system))
		}
	}
	return !single && !slices.Contains(covered[:], true)
}
