package wording

import (
	"fmt"
	"sort"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/tccm/undersigned/keys/unicode15"
)

// MaxText bounds a text in bytes, as it is given: the most that a statement or a rendition can have.
const MaxText = 16 << 20

// maxTokens bounds the words and marks of a text that are compared one by one.
const maxTokens = 1 << 21

// A Form is what kind of file a text was in.
type Form string

// The forms.
const (
	PlainText Form = "text"
	HTML      Form = "html"
	PDF       Form = "pdf"
)

// FormOf tells the form of a file by its content. What is neither HTML nor PDF is plain text.
func FormOf(raw []byte) Form {
	if head := raw[:min(len(raw), 1024)]; strings.Contains(string(head), "%PDF-") {
		return PDF
	}
	if looksLikeHTML(raw) {
		return HTML
	}
	return PlainText
}

// A Text is a text to be compared. It may be compared many times, by one goroutine at a time.
type Text struct {
	raw    []byte
	form   Form
	steps  []Step
	text   string // what is compared; UTF-8
	lines  []int  // where each line of text begins
	tokens []token
	words  int
	capped bool // it has more than maxTokens
	seen   seen
}

// seen is the column of an offset.
type seen struct{ offset, column int }

// A Step is something that was done to a text before it was compared, so that nothing is called the same in silence.
type Step struct {
	// Name is stable, for programs: "byte-order-mark", "utf-16", "windows-1252", "html", "entities", "soft-hyphens", "list-items", "quotation-marks", "hidden", "struck",
	// "pdf", "ligatures", "line-end-hyphens", "page-breaks", "bullets", "marks-around".
	Name string
	// Count is how often; 0: it is about the whole.
	Count int
	// Sentence is for people, without a full stop.
	Sentence string
}

func step(name string, count int, one, many string) Step {
	if count == 1 {
		return Step{name, count, one}
	}
	return Step{name, count, fmt.Sprintf(many, count)}
}

// Plain returns a text that is in a plain file. Nothing is done to it unless it is not UTF-8.
func Plain(raw []byte) *Text {
	s, steps := decode(raw)
	return newText(raw, PlainText, s, steps)
}

// FromPDF returns the text of a PDF file: printed is what pdftotext, or another reader of such files, printed of it. Ligatures become
// letters, page breaks line feeds, and bullets at the beginning of a line hyphens.
func FromPDF(raw, printed []byte) *Text {
	s, steps := decode(printed)
	steps = append([]Step{{"pdf", 0, "the text was read from a PDF file, where words have no order but that of the page"}}, steps...)
	ligatures, pages, bullets := 0, 0, 0
	var b strings.Builder
	start := true // of a line
	for i, r := range s {
		switch long := ligature(r); {
		case long != "":
			ligatures++
			b.WriteString(long)
		case r == '\f':
			if strings.TrimSpace(s[i:]) != "" {
				pages++
			}
			b.WriteString("\n")
			start = true
			continue
		case start && isBullet(r) && followedBySpace(s[i+utf8.RuneLen(r):]):
			bullets++
			b.WriteByte('-')
		default:
			b.WriteRune(r)
		}
		start = r == '\n' || start && isSpace(r)
	}
	if ligatures > 0 {
		steps = append(steps, step("ligatures", ligatures, "a ligature was read as its letters", "%d ligatures were read as their letters"))
	}
	if pages > 0 {
		steps = append(steps, step("page-breaks", pages, "a page break was read as a line break", "%d page breaks were read as line breaks"))
	}
	if bullets > 0 {
		steps = append(steps, step("bullets", bullets, "a bullet was read as a hyphen", "%d bullets were read as hyphens"))
	}
	return newText(raw, PDF, b.String(), steps)
}

func newText(raw []byte, form Form, s string, steps []Step) *Text {
	t := &Text{raw: raw, form: form, steps: steps, text: s, lines: []int{0}, seen: seen{0, 1}}
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' || s[i] == '\r' && (i+1 == len(s) || s[i+1] != '\n') {
			t.lines = append(t.lines, i+1)
		}
	}
	t.tokenize()
	return t
}

// Form returns what the text was given as.
func (t *Text) Form() Form { return t.form }

// Steps returns what was done to the text to get at its words.
func (t *Text) Steps() []Step { return t.steps }

// String returns the text that is compared.
func (t *Text) String() string { return t.text }

// Words returns how many words the text has.
func (t *Text) Words() int { return t.words }

// decode makes UTF-8 of what is not.
func decode(raw []byte) (string, []Step) {
	if len(raw) >= 2 && len(raw)%2 == 0 && (raw[0] == 0xFF && raw[1] == 0xFE || raw[0] == 0xFE && raw[1] == 0xFF) {
		units := make([]uint16, 0, len(raw)/2-1)
		for i := 2; i < len(raw); i += 2 {
			if raw[0] == 0xFF {
				units = append(units, uint16(raw[i])|uint16(raw[i+1])<<8)
			} else {
				units = append(units, uint16(raw[i+1])|uint16(raw[i])<<8)
			}
		}
		return string(utf16.Decode(units)), []Step{{"utf-16", 0, "the file is in UTF-16 and was turned into UTF-8"}}
	}
	if s, marked := strings.CutPrefix(string(raw), "\uFEFF"); marked && utf8.ValidString(s) {
		return s, []Step{{"byte-order-mark", 0, "a byte order mark at the beginning, which some programs write, was left out"}}
	}
	if utf8.Valid(raw) {
		return string(raw), nil
	}
	var b strings.Builder
	for _, c := range raw {
		if c >= 0x80 && c < 0xA0 {
			b.WriteRune(windows1252[c-0x80])
		} else {
			b.WriteRune(rune(c))
		}
	}
	return b.String(), []Step{{"windows-1252", 0, "the file is not UTF-8, and was read as Windows-1252, which is a guess"}}
}

// windows1252 are the characters 0x80 to 0x9F; those that are not assigned stand for themselves.
var windows1252 = []rune("€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ")

// A kind tells tokens apart.
type kind uint8

const (
	word   kind = iota // letters, numbers, or one symbol
	mark               // one punctuation mark
	hidden             // invisible characters that belong to no word
)

// A token is a word, a mark, or what cannot be seen. Between tokens there are spaces at most.
type token struct {
	start, end int32 // in text
	kind       kind
}

// isSpace says whether a character parts words and shows nothing else. CR, LF and what is like them do too.
func isSpace(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\v', '\f', '\r', 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000:
		return true
	}
	return 0x2000 <= r && r <= 0x200A
}

// isHidden says whether a character cannot be seen, or is one that nobody has assigned. The blank Braille pattern is a symbol by name only.
func isHidden(r rune) bool {
	if ' ' <= r && r < 0x7F {
		return false
	}
	return r == 0x2800 || !unicode15.Visible(r) && !isSpace(r)
}

// isSymbol says whether a character is a word by itself, because what is written with it means something else without it.
func isSymbol(r rune) bool {
	if r < utf8.RuneSelf {
		return strings.ContainsRune("$+<=>|~%&@#", r)
	}
	return r != 0x2800 && unicode.In(r, unicode.Sm, unicode.Sc, unicode.So) || strings.ContainsRune("‰§†‡", r)
}

// alone says whether a character is a word by itself in scripts that leave no space between words.
func alone(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) && !unicode.Is(unicode.M, r)
}

func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return !isHidden(r) && unicode15.InWord(r)
}

func isDigit(r rune) bool { return unicode.Is(unicode.Nd, r) }

// joins says whether a mark between two characters of words makes one word of them.
func joins(before, r, after rune) bool {
	switch r {
	case '\'', '’', '‘', '-', '‐', '‑', '·':
		return true
	case '.', ',', ':', '/', '–', '−':
		return isDigit(before) && isDigit(after)
	}
	return false
}

func (t *Text) tokenize() {
	s := t.text
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if isSpace(r) {
			i += n
			continue
		}
		if len(t.tokens) == maxTokens {
			t.capped = true
			return
		}
		end, k := t.token(i)
		t.tokens = append(t.tokens, token{int32(i), int32(end), k})
		if k == word {
			t.words++
		}
		i = end
	}
}

// token returns where the token that begins at i ends.
func (t *Text) token(i int) (end int, k kind) {
	s := t.text
	next := func(i int) (rune, int) {
		if i >= len(s) {
			return ' ', 0
		}
		return utf8.DecodeRuneInString(s[i:])
	}
	// past returns where the invisible characters from i on end.
	past := func(i int) int {
		for {
			r, n := next(i)
			if n == 0 || !isHidden(r) {
				return i
			}
			i += n
		}
	}
	at := past(i)
	r, n := next(at)
	switch {
	case !inWord(r) && at > i && !isSymbol(r):
		return at, hidden
	case isSymbol(r):
		// A sign in front of a number belongs to it.
		if after, _ := next(at + n); r != '−' && r != '+' || !isDigit(after) || !t.opens(i) {
			return marks(s, at+n), word
		}
		at += n
	case r == '-' && at == i:
		if after, _ := next(at + n); !isDigit(after) || !t.opens(i) {
			return at + n, mark
		}
		at += n
	case !inWord(r):
		return marks(s, at+n), mark
	case alone(r):
		return marks(s, at+n), word
	}
	var before rune
	for {
		r, n := next(at)
		if n > 0 && (inWord(r) || isHidden(r)) && !alone(r) {
			if inWord(r) {
				before = r
			}
			at += n
			continue
		}
		if n > 0 && t.form == PDF && (r == '-' || r == '‐') {
			if over := t.lineEnd(at + n); over > 0 {
				at = over
				continue
			}
		}
		if n > 0 && !isSpace(r) {
			over := past(at + n)
			if after, _ := next(over); inWord(after) && !alone(after) && joins(before, r, after) {
				at = over
				continue
			}
		}
		// Invisible characters at the end of a word whose line ends in a soft hyphen.
		if t.form == PDF && strings.HasSuffix(s[i:at], "\u00AD") {
			if over := t.lineEnd(at); over > 0 {
				at = over
				continue
			}
		}
		return at, word
	}
}

// marks returns where the combining marks and invisible characters from i on end.
func marks(s string, i int) int {
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !unicode.Is(unicode.M, r) || isHidden(r) {
			break
		}
		i += n
	}
	return i
}

// opens says whether a space, the beginning or an opening bracket is before i.
func (t *Text) opens(i int) bool {
	r, n := utf8.DecodeLastRuneInString(t.text[:i])
	return n == 0 || isSpace(r) || strings.ContainsRune("([{\"“‘'", r)
}

// lineEnd returns where the next line begins, if the line ends at i and the next one begins with a small letter.
func (t *Text) lineEnd(i int) int {
	rest := strings.TrimLeft(t.text[i:], " \t\r")
	if !strings.HasPrefix(rest, "\n") {
		return 0
	}
	rest = strings.TrimLeft(rest[1:], " \t")
	if r, _ := utf8.DecodeRuneInString(rest); !unicode.IsLower(r) {
		return 0
	}
	return len(t.text) - len(rest)
}

// at returns a token as it is written.
func (t *Text) at(i int) string { return t.text[t.tokens[i].start:t.tokens[i].end] }

// gap returns the spaces before token i, or after the last one.
func (t *Text) gap(i int) string {
	from, to := 0, len(t.text)
	if i > 0 {
		from = int(t.tokens[i-1].end)
	}
	if i < len(t.tokens) {
		to = int(t.tokens[i].start)
	}
	return t.text[from:to]
}

// A Place is where something is in a text. Both count from 1; columns count characters.
type Place struct {
	Line, Column int
}

func (p Place) String() string { return fmt.Sprintf("line %d, column %d", p.Line, p.Column) }

// place returns where an offset is. Asked from the beginning to the end, it reads a long line once.
func (t *Text) place(offset int) Place {
	line := sort.SearchInts(t.lines, offset+1) - 1
	from, column := t.lines[line], 1
	if t.seen.offset >= from && t.seen.offset <= offset {
		from, column = t.seen.offset, t.seen.column
	}
	column += utf8.RuneCountInString(t.text[from:offset])
	t.seen = seen{offset, column}
	return Place{line + 1, column}
}

// placeOf returns the place of a token, or of the end.
func (t *Text) placeOf(i int) Place {
	if i < len(t.tokens) {
		return t.place(int(t.tokens[i].start))
	}
	return t.place(len(t.text))
}

// key is what two tokens have in common that people take for each other. It says where texts are laid side by side, never that they are the same.
func key(s string, k kind) string {
	switch k {
	case hidden:
		return ""
	case mark:
		return "." + markKey(s)
	}
	s = visible(s)
	if skeleton := unicode15.Skeletons(s)[1]; skeleton != "" {
		return skeleton
	}
	return "=" + norm.NFKC.String(s)
}

func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if isHidden(r) {
			return -1
		}
		return r
	}, s)
}

// markKey is a mark, or the plain one of its family: quotation marks, apostrophes and dashes of all kinds are typed for each other.
func markKey(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if f := family(r); f != r && n == len(s) {
		return string(f)
	}
	if r < utf8.RuneSelf && n == len(s) {
		return s
	}
	return unicode15.Skeleton(s)
}

// family returns the plain mark that a mark is typed for.
func family(r rune) rune {
	switch r {
	case '‘', '’', '‚', '‛', '`', '´', 'ʼ', '′', '‹', '›':
		return '\''
	case '“', '”', '„', '‟', '«', '»', '″', '「', '」', '『', '』':
		return '"'
	case '‐', '‑', '‒', '–', '—', '―', '−', '⸺', '⸻':
		return '-'
	}
	return r
}

func isBullet(r rune) bool {
	return strings.ContainsRune("•◦▪▫‣⁃●○■□∙·\uF0B7", r)
}

func followedBySpace(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isSpace(r)
}

// ligature returns the letters of a Latin ligature that printing makes, and "" for everything else.
func ligature(r rune) string {
	if 0xFB00 <= r && r <= 0xFB06 {
		return [...]string{"ff", "fi", "fl", "ffi", "ffl", "st", "st"}[r-0xFB00]
	}
	return ""
}
