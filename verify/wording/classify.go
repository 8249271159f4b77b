package wording

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/tccm/undersigned/keys/unicode15"
)

// pairClass says how two tokens that are not the same bytes differ: Identical if only in that one is hyphenated at the end of a line, which is
// joined then. x and y are of one kind, or one of them cannot be seen.
func pairClass(x, y string) (class Verdict, joined bool) {
	best := tokenClass(x, y)
	// A hyphen at the end of a line may be part of the word or not; so both ways are tried.
	for _, hyphen := range []string{"", "-"} {
		jx, jy := unbroken(x, hyphen), unbroken(y, hyphen)
		if jx == x && jy == y {
			break
		}
		if class := tokenClass(jx, jy); gravity(class) < gravity(best) {
			best, joined = class, true
		}
	}
	return best, joined
}

// unbroken puts a word together that goes on in the next line.
func unbroken(s, hyphen string) string {
	if !strings.Contains(s, "\n") {
		return s
	}
	var b strings.Builder
	for {
		head, tail, ok := strings.Cut(s, "\n")
		if !ok {
			b.WriteString(s)
			return b.String()
		}
		head = strings.TrimRight(head, " \t\r")
		_, n := utf8.DecodeLastRuneInString(head)
		b.WriteString(head[:len(head)-n])
		b.WriteString(hyphen)
		s = strings.TrimLeft(tail, " \t")
	}
}

func tokenClass(x, y string) Verdict {
	if x == y {
		return Identical
	}
	bareX, bareY := visible(x), visible(y)
	composedX, composedY := norm.NFC.String(bareX), norm.NFC.String(bareY)
	if composedX == composedY {
		return LookAlike
	}
	if typed(composedX, composedY) {
		if bareX == x && bareY == y && bareX == composedX && bareY == composedY {
			return Punctuation
		}
		return LookAlike
	}
	if !strings.ContainsFunc(composedX+composedY, func(r rune) bool { return unicode15.InWord(r) || isSymbol(r) }) {
		if unicode15.Skeleton(composedX) == unicode15.Skeleton(composedY) {
			return LookAlike
		}
		return Punctuation
	}
	// Skeletons keep marks, so what is taken out of a word or put into it makes another word of it. So does m for rn: both are typed.
	if ascii(composedX) && ascii(composedY) && len(composedX) != len(composedY) {
		return Words
	}
	if unicode15.Skeleton(composedX) == unicode15.Skeleton(composedY) ||
		unicode15.Skeleton(lower(composedX)) == unicode15.Skeleton(lower(composedY)) {
		return LookAlike
	}
	return Words
}

// typed says whether two tokens differ only in capitals, and in marks that are typed for each other.
func typed(x, y string) bool {
	for x != "" && y != "" {
		r, n := utf8.DecodeRuneInString(x)
		s, m := utf8.DecodeRuneInString(y)
		x, y = x[n:], y[m:]
		if r != s && family(r) != family(s) && !cased(r, s) {
			return false
		}
	}
	return x == y
}

// cased says whether one letter is the capital of the other.
func cased(r, s rune) bool {
	return unicode.IsLetter(r) && unicode.IsLetter(s) && unicode.ToLower(r) == unicode.ToLower(s) && (unicode.ToUpper(unicode.ToLower(r)) == r || unicode.ToLower(r) == r) &&
		(unicode.ToUpper(unicode.ToLower(s)) == s || unicode.ToLower(s) == s)
}

func lower(s string) string { return strings.Map(unicode.ToLower, s) }

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// class judges what replaces what.
func (c *comparison) class(it item) Verdict {
	kinds := func(t *Text, from, to int) (words, hiddens bool) {
		for _, tok := range t.tokens[from:to] {
			words = words || tok.kind == word
			hiddens = hiddens || tok.kind == hidden
		}
		return words, hiddens
	}
	wordsA, hiddenA := kinds(c.a, it.a0, it.a1)
	wordsB, hiddenB := kinds(c.b, it.b0, it.b1)
	if !wordsA && !wordsB {
		if hiddenA || hiddenB {
			return LookAlike
		}
		return Punctuation
	}
	if it.a1-it.a0 == it.b1-it.b0 && it.a1-it.a0 <= maxShown {
		worst := Identical
		for k := range it.a1 - it.a0 {
			if c.a.tokens[it.a0+k].kind != c.b.tokens[it.b0+k].kind {
				worst = Words
				break
			}
			class, _ := pairClass(c.a.at(it.a0+k), c.b.at(it.b0+k))
			if gravity(class) > gravity(worst) {
				worst = class
			}
		}
		if worst != Words && worst != Identical {
			return worst
		}
	}
	// Words that are parted by other marks, or by something that cannot be seen in place of a space.
	x, y := c.a.plain(it.a0, it.a1, family), c.b.plain(it.b0, it.b1, family)
	if x != "" && x == y {
		if hiddenA || hiddenB {
			return LookAlike
		}
		return Punctuation
	}
	same := func(r rune) rune { return r }
	if x, y := c.a.plain(it.a0, it.a1, same), c.b.plain(it.b0, it.b1, same); x != "" && !(ascii(x) && ascii(y)) && unicode15.Skeleton(x) == unicode15.Skeleton(y) {
		return LookAlike
	}
	space := func(r rune) rune {
		if isHidden(r) {
			return ' '
		}
		return r
	}
	if x, y := c.a.plain(it.a0, it.a1, space), c.b.plain(it.b0, it.b1, space); x != "" && x == y {
		return LookAlike
	}
	return Words
}

// plain returns tokens with some characters replaced, and each space as one; "" if they are long.
func (t *Text) plain(from, to int, replace func(rune) rune) string {
	if from == to || t.tokens[to-1].end-t.tokens[from].start > 4*maxShown {
		return ""
	}
	return strings.Join(strings.Fields(strings.Map(replace, t.text[t.tokens[from].start:t.tokens[to-1].end])), " ")
}

// hunk shows an item.
func (c *comparison) hunk(it item) Hunk {
	h := Hunk{Class: it.class}
	end := func(t *Text, i int) Place {
		if i == 0 {
			return Place{1, 1}
		}
		return t.place(int(t.tokens[i-1].end))
	}
	if it.class == Spacing {
		h.At, h.Of = end(c.a, it.a0), end(c.b, it.b0)
		h.Deleted, h.Inserted = describeGap(c.b.gap(it.b0)), describeGap(c.a.gap(it.a0))
	} else {
		h.At, h.Of = c.a.placeOf(it.a0), c.b.placeOf(it.b0)
		h.Deleted, h.Inserted = c.b.show(it.b0, it.b1), c.a.show(it.a0, it.a1)
		if it.class != Moved {
			h.Characters = c.characters(it)
		}
	}
	const around = 6
	h.Before, h.After = c.a.show(max(0, it.a0-around), it.a0), c.a.show(it.a1, min(len(c.a.tokens), it.a1+around))
	h.OfBefore, h.OfAfter = c.b.show(max(0, it.b0-around), it.b0), c.b.show(it.b1, min(len(c.b.tokens), it.b1+around))
	return h
}

// show returns tokens for people: in one line, with what cannot be seen by its number, cut in the middle if long.
func (t *Text) show(from, to int) string {
	if from >= to {
		return ""
	}
	start, end := int(t.tokens[from].start), int(t.tokens[to-1].end)
	if end-start <= 4*maxShown {
		return cut(shown(t.text[start:end]))
	}
	head, tail := t.text[start:start+2*maxShown], t.text[end-2*maxShown:end]
	for !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	for r, n := utf8.DecodeLastRuneInString(head); r == utf8.RuneError && n == 1; r, n = utf8.DecodeLastRuneInString(head) {
		head = head[:len(head)-1]
	}
	return cut(shown(head) + " … " + shown(tail))
}

func cut(s string) string {
	list := []rune(s)
	if len(list) <= maxShown {
		return s
	}
	return string(list[:maxShown/2]) + " … " + string(list[len(list)-maxShown/2:])
}

// shown writes what cannot be seen as [U+200B], and each run of spaces as one.
func shown(s string) string {
	var b strings.Builder
	space := false
	for _, r := range s {
		if isSpace(r) {
			space = true
			continue
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		if isHidden(r) {
			b.WriteString("[" + Code(r) + "]")
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// sentence returns where the sentence that token from is in begins, and where the one of token to-1 ends, no more than 60 tokens away.
func (t *Text) sentence(from, to int) (before, after int) {
	const most = 60
	begins := func(i int) bool {
		if i <= 0 || i >= len(t.tokens) {
			return true
		}
		gap := t.gap(i)
		if emptyLine(gap) {
			return true
		}
		if strings.ContainsAny(gap, "\r\n") && t.tokens[i].kind == mark && (t.at(i) == "-" || t.at(i) == "*" || isBullet(firstRune(t.at(i)))) {
			return true
		}
		j := i - 1
		for j > 0 && t.tokens[j].kind == mark && strings.ContainsRune("'\")]", family(firstRune(t.at(j)))) {
			j--
		}
		return t.tokens[j].kind == mark && strings.Contains(".!?…。！？", t.at(j)) && (gap != "" || firstRune(t.at(j)) > 0x2FFF)
	}
	before, after = from, to
	for before > max(0, from-most) && !begins(before) {
		before--
	}
	for after < min(len(t.tokens), to+most) && !begins(after) {
		after++
	}
	return before, after
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}
