package wording

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/tccm/undersigned/keys/unicode15"
)

// A Remark is something in a text that people will not see, or not see alike, or that programs change on the way.
type Remark struct {
	// Type is stable, for programs: "empty", "not-utf-8", "byte-order-mark", "carriage-return", "not-nfc", "bidi", "invisible", "private-use", "unassigned",
	// "control", "tab", "no-break-space", "space", "double-space", "trailing-space", "look-alike", "mixed-quotes", "line-separator", "no-final-newline".
	Type string
	// At is the first place; Line 0: it is about the whole.
	At Place
	// Count is 1, and more for the 20th of a type: it stands for all that follow it.
	Count int
	// Problem is a sentence, Advice another that says what to do.
	Problem, Advice string
}

// maxRemarks bounds the remarks of one type.
const maxRemarks = 20

// Lint looks a plain text over before it is frozen: it returns what makes it look other than it is, or change on its way through an
// editor, a mail program or a repository. Its remarks are in the order of the text, those about the whole first.
func Lint(raw []byte) []Remark {
	if len(raw) == 0 {
		return []Remark{{"empty", Place{}, 1, "The text is empty.", "Write it first."}}
	}
	if !utf8.Valid(raw) {
		valid := 0
		for valid < len(raw) {
			r, n := utf8.DecodeRune(raw[valid:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			valid += n
		}
		return []Remark{{"not-utf-8", newText(raw[:valid], "", string(raw[:valid]), nil).place(valid), 1, "The text is not UTF-8 from here on.",
			"Save it as UTF-8. For a PDF, say, this is right, and its media type is not text/plain."}}
	}
	l := &linter{made: map[string][]int{}, text: string(raw)}
	l.run()
	return l.remarks
}

type linter struct {
	text    string
	remarks []Remark
	made    map[string][]int // the remarks of each type, by index
	at      Place
}

// add makes a remark about the place where the linter is.
func (l *linter) add(kind, problem, advice string) {
	made := l.made[kind]
	if len(made) < maxRemarks {
		l.made[kind] = append(made, len(l.remarks))
		l.remarks = append(l.remarks, Remark{kind, l.at, 1, problem, advice})
		return
	}
	l.remarks[made[len(made)-1]].Count++
}

func (l *linter) run() {
	if !norm.NFC.IsNormalString(l.text) {
		composed := norm.NFC.String(l.text)
		same := 0
		for same < min(len(composed), len(l.text)) && composed[same] == l.text[same] {
			same++
		}
		for same > 0 && !utf8.RuneStart(l.text[min(same, len(l.text)-1)]) {
			same--
		}
		l.at = newText(nil, "", l.text[:same], nil).place(same)
		l.add("not-nfc", "The text is not in Unicode's normal form C: two files that look the same may differ.", "Write it in NFC, for example with uconv -x nfc.")
	}
	var quotes [4]Place // straight single, curly single, straight double, curly double
	line := 0
	for text := l.text; text != ""; {
		end := strings.IndexAny(text, "\r\n")
		content, brk := text, ""
		if end >= 0 {
			brk = text[end : end+1]
			if strings.HasPrefix(text[end:], "\r\n") {
				brk = "\r\n"
			}
			content = text[:end]
		}
		text = text[len(content)+len(brk):]
		line++
		l.line(line, content, &quotes)
		l.at = Place{line, utf8.RuneCountInString(content) + 1}
		switch brk {
		case "\r\n":
			l.add("carriage-return", "The line ends with CR LF: the text changes when a program turns that into LF.", "Save it with line feeds alone (Unix line ends).")
		case "\r":
			l.add("carriage-return", "A carriage return stands alone: some programs end a line there, and some do not.", "Save it with line feeds alone (Unix line ends).")
		case "":
			l.add("no-final-newline", "The last line does not end with a line feed: many editors will add one, and that is another text.", "End it with a line feed.")
		}
	}
	for i, what := range []string{"apostrophes and single quotation marks", "double quotation marks"} {
		straight, curly := quotes[2*i], quotes[2*i+1]
		if straight.Line > 0 && curly.Line > 0 {
			l.at = straight
			l.add("mixed-quotes", fmt.Sprintf("There are straight %s (the first is here) and curly ones (the first is at %v).", what, curly), "Use one kind: people cannot tell which is where when they copy the text.")
		}
	}
}

func (l *linter) line(number int, s string, quotes *[4]Place) {
	column := 0
	trimmed := strings.TrimRightFunc(s, isSpace)
	if trimmed != s {
		l.at = Place{number, utf8.RuneCountInString(trimmed) + 1}
		l.add("trailing-space", "There are spaces at the end of the line, which nobody sees and many programs remove.", "Remove them.")
	}
	start, from := 0, 0 // of the word: byte and column
	begun := false
	word := func(end int) {
		if begun && unicode15.MixedScripts(s[start:end]) {
			l.at = Place{number, from}
			l.add("look-alike", fmt.Sprintf("The word %q mixes letters of different scripts, which may look alike%s.", cut(shown(s[start:end])), l.foreign(s[start:end])), "Type the word again with one keyboard.")
		}
		begun = false
	}
	var before rune
	for i, r := range s {
		column++
		l.at = Place{number, column}
		if isSpace(r) {
			word(i)
		} else if !begun {
			start, from, begun = i, column, true
		}
		l.character(r, before, number == 1 && column == 1, i >= len(trimmed))
		kind := -1
		switch r {
		case '\'':
			kind = 0
		case '‘', '’', '‚':
			kind = 1
		case '"':
			kind = 2
		case '“', '”', '„':
			kind = 3
		}
		if kind >= 0 && quotes[kind].Line == 0 {
			quotes[kind] = l.at
		}
		before = r
	}
	word(len(s))
}

// foreign names the first letter of a word that is not of the first one's script.
func (l *linter) foreign(word string) string {
	strange := strangers(word)
	for _, r := range word {
		if strange(r) {
			return fmt.Sprintf(": %s is %s", Code(r), Name(r))
		}
	}
	return ""
}

// character remarks on one. trailing: nothing but spaces comes after it in its line.
func (l *linter) character(r, before rune, first, trailing bool) {
	what := func() string { return fmt.Sprintf("%s, %s", Code(r), Name(r)) }
	switch {
	case r == 0xFEFF && first:
		l.add("byte-order-mark", "The text begins with a byte order mark (U+FEFF), which nobody sees and many programs remove.", "Save it as UTF-8 without BOM.")
	case r == '\t':
		l.add("tab", "There is a tab, which is as wide as each program makes it.", "Use spaces.")
	case r == ' ':
		if before == ' ' && !trailing {
			l.add("double-space", "There are two spaces in a row, which many programs make one.", "Use one.")
		}
	case r == 0xA0 || r == 0x202F || r == 0x2007:
		l.add("no-break-space", fmt.Sprintf("There is a space at which no line may break (%s), which cannot be told from a space.", what()), "Use a space.")
	case r == 0x85 || r == 0x2028 || r == 0x2029 || r == '\v' || r == '\f':
		l.add("line-separator", fmt.Sprintf("There is a character that some programs break a line at (%s), and some do not.", what()), "Use a line feed.")
	case isSpace(r):
		l.add("space", fmt.Sprintf("There is a space of another width (%s), which cannot be told from a space.", what()), "Use a space.")
	case 0x202A <= r && r <= 0x202E || 0x2066 <= r && r <= 0x2069 || r == 0x200E || r == 0x200F || r == 0x061C:
		l.add("bidi", fmt.Sprintf("There is a character that changes the direction of the text (%s), so that it can be shown in another order than it is read by programs.", what()), "Remove it.")
	case r < 0x20 || 0x7F <= r && r < 0xA0:
		l.add("control", fmt.Sprintf("There is a control character (%s).", Code(r)), "Remove it.")
	case privateUse(r):
		l.add("private-use", fmt.Sprintf("There is a private-use character (%s), which everybody's fonts show differently.", Code(r)), "Replace it.")
	case isHidden(r) && unnamed(r):
		l.add("unassigned", fmt.Sprintf("There is a character that Unicode 15.0 has not assigned (%s).", Code(r)), "Replace it.")
	case r == 0x200C || r == 0x200D:
		l.add("invisible", fmt.Sprintf("There is a character that cannot be seen (%s).", what()), "Remove it, unless the language is written with it, as Persian and Hindi are.")
	case isHidden(r):
		l.add("invisible", fmt.Sprintf("There is a character that cannot be seen (%s).", what()), "Remove it.")
	}
}

func privateUse(r rune) bool {
	return 0xE000 <= r && r <= 0xF8FF || 0xF0000 <= r && r <= 0xFFFFD || 0x100000 <= r && r <= 0x10FFFD
}

// unnamed says whether a hidden character is one that is not assigned, rather than invisible.
func unnamed(r rune) bool {
	return !unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point, unicode.So, unicode.M)
}
