package wording

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A Character is one that a reader would not notice, or take for another.
type Character struct {
	// Code is such as "U+0430", Name such as "Cyrillic small letter a".
	Code, Name string
	// Instead is what the endorsed text has there, by code and name; empty if it has nothing there.
	Instead string
	// Missing says that it is in the endorsed text and not in the text at hand.
	Missing bool
	// Word is the word that it is in, and At its place: in the text, or in the endorsed one if Missing.
	Word string
	At   Place
}

// characters lists what is to be noticed in an item.
func (c *comparison) characters(it item) (list []Character) {
	one := it.a1-it.a0 == 1 && it.b1-it.b0 == 1
	for i := it.a0; i < it.a1 && len(list) < maxCharacters; i++ {
		x := c.a.at(i)
		var y []rune
		parallel := false
		if one {
			y = []rune(visible(c.b.at(it.b0)))
			parallel = len(y) == utf8.RuneCountInString(visible(x))
		}
		// A letter beside those of another script.
		strange := strangers(x)
		n, inside := 0, c.a.show(i, i+1)
		for at, r := range x {
			if len(list) == maxCharacters {
				break
			}
			ch := Character{Code: Code(r), Name: Name(r), Word: inside}
			switch {
			case isHidden(r):
			case parallel && n < len(y) && y[n] != r && it.class != Words && !cased(r, y[n]):
				ch.Instead = Code(y[n]) + " " + Name(y[n])
				n++
			case (!one || !parallel) && it.class == LookAlike && r >= utf8.RuneSelf && !strings.ContainsRune(c.b.string(it.b0, it.b1), r), strange(r):
				n++
			default:
				n++
				continue
			}
			ch.At = c.a.place(int(c.a.tokens[i].start) + at)
			list = append(list, ch)
		}
	}
	for j := it.b0; j < it.b1 && len(list) < maxCharacters; j++ {
		for at, r := range c.b.at(j) {
			if len(list) == maxCharacters {
				break
			}
			if isHidden(r) && !strings.ContainsRune(c.a.string(it.a0, it.a1), r) {
				list = append(list, Character{Code: Code(r), Name: Name(r), Word: c.b.show(j, j+1), At: c.b.place(int(c.b.tokens[j].start) + at), Missing: true})
			}
		}
	}
	return list
}

// string returns tokens as they are written, not too many of them.
func (t *Text) string(from, to int) string {
	if from >= to {
		return ""
	}
	return t.text[t.tokens[from].start:min(t.tokens[to-1].end, t.tokens[from].start+4*maxShown)]
}

// strangers returns what tells the letters that are of another script than Latin in a word that has Latin ones.
func strangers(word string) func(rune) bool {
	if !strings.ContainsFunc(word, func(r rune) bool { return unicode.Is(unicode.Latin, r) }) {
		return func(rune) bool { return false }
	}
	return func(r rune) bool {
		return r >= utf8.RuneSelf && unicode.In(r, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Lisu)
	}
}

// Code returns a code point as it is written: U+0430.
func Code(r rune) string { return fmt.Sprintf("U+%04X", r) }

// Name returns a name of a code point for people: Unicode's, in small letters, for spaces, invisible characters, marks and the letters of the Latin,
// Cyrillic and Greek alphabets that are used most, and a plain description for all others.
func Name(r rune) string {
	if n, ok := names[r]; ok {
		return n
	}
	switch {
	case r < 0x20 || 0x7F <= r && r < 0xA0:
		return "control character"
	case '0' <= r && r <= '9':
		return "digit " + strings.Fields("zero one two three four five six seven eight nine")[r-'0']
	case 'a' <= r && r <= 'z':
		return "Latin small letter " + string(r)
	case 'A' <= r && r <= 'Z':
		return "Latin capital letter " + string(r)
	case r < 0x7F:
		return string(r)
	case 0x0391 <= r && r <= 0x03C9 && !unicode.Is(unicode.M, r):
		return alphabet("Greek", greek, r, 0x0391, 0x03B1)
	case 0x0410 <= r && r <= 0x044F:
		return alphabet("Cyrillic", cyrillic, r, 0x0410, 0x0430)
	case 0xFF01 <= r && r <= 0xFF5E:
		return "full-width " + Name(r-0xFEE0)
	case 0xFE00 <= r && r <= 0xFE0F, 0xE0100 <= r && r <= 0xE01EF:
		return "variation selector"
	case 0xE0020 <= r && r <= 0xE007F:
		return "tag character"
	case unicode.Is(unicode.Co, r):
		return "private-use character"
	case unicode.Is(unicode.Latin, r):
		if long := ligature(r); long != "" {
			return "Latin small ligature " + long
		}
		if base := []rune(norm.NFD.String(string(r))); len(base) > 1 && base[0] < utf8.RuneSelf {
			return Name(base[0]) + " with " + strings.TrimPrefix(Name(base[1]), "combining ")
		}
		return "Latin letter"
	}
	for _, s := range scripts {
		if unicode.Is(s.table, r) {
			return s.name + " letter"
		}
	}
	switch {
	case unicode.Is(unicode.M, r):
		return "combining mark"
	case unicode.IsLetter(r):
		return "letter of another script"
	case unicode.IsNumber(r):
		return "number"
	case unicode.IsPunct(r):
		return "punctuation mark"
	case unicode.IsSymbol(r):
		return "symbol"
	case isHidden(r):
		return "invisible or unassigned character"
	}
	return "character"
}

func alphabet(script, letters string, r, capital, small rune) string {
	list := strings.Fields(letters)
	kind, i := "capital", int(r-capital)
	if r >= small {
		kind, i = "small", int(r-small)
	}
	if i >= len(list) {
		return script + " letter"
	}
	return script + " " + kind + " letter " + list[i]
}

const (
	greek    = "alpha beta gamma delta epsilon zeta eta theta iota kappa lamda mu nu xi omicron pi rho final-sigma sigma tau upsilon phi chi psi omega"
	cyrillic = "a be ve ghe de ie zhe ze i short-i ka el em en o pe er es te u ef ha tse che sha shcha hard-sign yeru soft-sign e yu ya"
)

var scripts = []struct {
	name  string
	table *unicode.RangeTable
}{
	{"Greek", unicode.Greek}, {"Cyrillic", unicode.Cyrillic}, {"Armenian", unicode.Armenian}, {"Hebrew", unicode.Hebrew}, {"Arabic", unicode.Arabic},
	{"Cherokee", unicode.Cherokee}, {"Georgian", unicode.Georgian}, {"Coptic", unicode.Coptic}, {"Lisu", unicode.Lisu}, {"Hangul", unicode.Hangul},
	{"Han", unicode.Han}, {"Hiragana", unicode.Hiragana}, {"Katakana", unicode.Katakana}, {"Devanagari", unicode.Devanagari}, {"Thai", unicode.Thai},
}

var names = map[rune]string{
	'\t': "tab", '\n': "line feed", '\v': "line tabulation", '\f': "form feed", '\r': "carriage return", 0x85: "next line", ' ': "space",
	0xA0: "no-break space", 0x1680: "Ogham space mark", 0x2000: "en quad", 0x2001: "em quad", 0x2002: "en space", 0x2003: "em space",
	0x2004: "three-per-em space", 0x2005: "four-per-em space", 0x2006: "six-per-em space", 0x2007: "figure space", 0x2008: "punctuation space",
	0x2009: "thin space", 0x200A: "hair space", 0x2028: "line separator", 0x2029: "paragraph separator", 0x202F: "narrow no-break space",
	0x205F: "medium mathematical space", 0x3000: "ideographic space",

	0xAD: "soft hyphen", 0x034F: "combining grapheme joiner", 0x061C: "Arabic letter mark", 0x115F: "Hangul choseong filler", 0x1160: "Hangul jungseong filler",
	0x180E: "Mongolian vowel separator", 0x200B: "zero width space", 0x200C: "zero width non-joiner", 0x200D: "zero width joiner",
	0x200E: "left-to-right mark", 0x200F: "right-to-left mark", 0x202A: "left-to-right embedding", 0x202B: "right-to-left embedding",
	0x202C: "pop directional formatting", 0x202D: "left-to-right override", 0x202E: "right-to-left override", 0x2060: "word joiner",
	0x2061: "function application", 0x2062: "invisible times", 0x2063: "invisible separator", 0x2064: "invisible plus", 0x2066: "left-to-right isolate",
	0x2067: "right-to-left isolate", 0x2068: "first strong isolate", 0x2069: "pop directional isolate", 0x2800: "Braille pattern blank",
	0x3164: "Hangul filler", 0xFEFF: "zero width no-break space (byte order mark)", 0xFFA0: "half-width Hangul filler", 0xFFFD: "replacement character",

	'\'': "apostrophe", '"': "quotation mark", ',': "comma", '.': "full stop", ';': "semicolon", ':': "colon", '!': "exclamation mark", '?': "question mark",
	'-': "hyphen-minus", '(': "left parenthesis", ')': "right parenthesis", '`': "grave accent", '|': "vertical line",
	0xB4: "acute accent", 0xB7: "middle dot", 0xAB: "left-pointing double angle quotation mark", 0xBB: "right-pointing double angle quotation mark",
	0x02BC: "modifier letter apostrophe", 0x037E: "Greek question mark", 0x2010: "hyphen", 0x2011: "non-breaking hyphen", 0x2012: "figure dash", 0x2013: "en dash",
	0x2014: "em dash", 0x2015: "horizontal bar", 0x2018: "left single quotation mark", 0x2019: "right single quotation mark",
	0x201A: "single low-9 quotation mark", 0x201C: "left double quotation mark", 0x201D: "right double quotation mark", 0x201E: "double low-9 quotation mark",
	0x2022: "bullet", 0x2026: "horizontal ellipsis", 0x2032: "prime", 0x2033: "double prime", 0x2212: "minus sign", 0x2039: "single left-pointing angle quotation mark",
	0x203A: "single right-pointing angle quotation mark",

	0x0300: "combining grave accent", 0x0301: "combining acute accent", 0x0302: "combining circumflex accent", 0x0303: "combining tilde", 0x0304: "combining macron",
	0x0306: "combining breve", 0x0307: "combining dot above", 0x0308: "combining diaeresis", 0x030A: "combining ring above", 0x030B: "combining double acute accent",
	0x030C: "combining caron", 0x0327: "combining cedilla", 0x0328: "combining ogonek", 0x0338: "combining long solidus overlay",

	0x0131: "Latin small letter dotless i", 0x0130: "Latin capital letter i with dot above", 0x0251: "Latin small letter alpha", 0x0261: "Latin small letter script g",
	0x03BF: "Greek small letter omicron", 0x0401: "Cyrillic capital letter io", 0x0451: "Cyrillic small letter io", 0x0405: "Cyrillic capital letter dze",
	0x0455: "Cyrillic small letter dze", 0x0406: "Cyrillic capital letter Byelorussian-Ukrainian i", 0x0456: "Cyrillic small letter Byelorussian-Ukrainian i",
	0x0408: "Cyrillic capital letter je", 0x0458: "Cyrillic small letter je", 0x04BB: "Cyrillic small letter shha", 0x0501: "Cyrillic small letter komi de",
	0x051B: "Cyrillic small letter qa", 0x051D: "Cyrillic small letter we", 0x0578: "Armenian small letter vo", 0x057D: "Armenian small letter seh",
	0x212A: "Kelvin sign", 0x212B: "Angstrom sign", 0x3A2: "unassigned character",
}

// describeGap says what spaces are in a gap.
func describeGap(gap string) string {
	if gap == "" {
		return "nothing"
	}
	var parts []string
	list := []rune(strings.ReplaceAll(strings.ToValidUTF8(gap[:min(len(gap), maxShown)], ""), "\r\n", "\x00"))
	for i := 0; i < len(list); {
		n := 1
		for i+n < len(list) && list[i+n] == list[i] {
			n++
		}
		var what string
		switch r := list[i]; r {
		case ' ':
			what = "space"
		case '\n':
			what = "line break"
		case 0:
			what = "line break (CR LF)"
		case '\r':
			what = "line break (CR)"
		default:
			what = Name(r) + " (" + Code(r) + ")"
		}
		if n > 1 {
			what = fmt.Sprintf("%d × %s", n, what)
		}
		if len(parts) == 4 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, what)
		i += n
	}
	return strings.Join(parts, ", ")
}
