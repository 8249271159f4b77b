package check

import (
	"strings"
	"unicode/utf8"

	"github.com/tccm/undersigned/keys/unicode15"
	"github.com/tccm/undersigned/verify/entry"
)

// maxQuoted bounds a passage that is quoted in the sentence about it, in characters.
const maxQuoted = 300

// openings are what a sentence begins with as an answer to a question that nobody has asked where it is quoted, and what stays of that.
var openings = []struct{ opening, stays string }{
	{"Yes, but look closer. ", ""},
	{"Yes, but a newer version of the text exists. ", "A newer version of the text exists. "},
	{"Yes, as far as a receipt alone can show: ", "As far as a receipt alone can show: "},
	{"Yes, as far as this file can show: ", "As far as a file alone can show: "},
	{"Yes. ", ""}, {"Withdrawn. ", ""}, {"No longer. ", ""}, {"No. ", ""},
}

// quotable is the sentence of an answer as somebody else can print it: without the word that it opens with, with the title of "this text", with a
// name for what was brought, and with the notice that goes with everything of a demonstration.
func quotable(a *Answer, b Brought) string {
	s := a.Sentence
	for _, o := range openings {
		if rest, ok := strings.CutPrefix(s, o.opening); ok {
			s = o.stays + rest
			break
		}
	}
	if a.Verdict != nil && a.Verdict.Title != "" {
		for _, verb := range []string{" endorsed", " endorsement of", " behind"} {
			s = strings.Replace(s, verb+" this text", verb+" “"+a.Verdict.Title+"”", 1)
		}
	}
	switch {
	case a.Kind == "fingerprint" && a.Comparison != nil:
		s = renamed(s, "This", a.Comparison.Text.String())
	case a.Comparison != nil && a.Verdict == nil:
		passage, text := called(b)
		s = renamed(renamed(s, "This passage", passage), "This", text)
	case a.Verdict != nil:
		if rest, ok := strings.CutPrefix(s, "No, not this text. The one that "); ok && b.About != nil {
			_, text := called(Brought{Bytes: b.About})
			s = text + " is not the one that " + strings.TrimSuffix(rest, " has another fingerprint.") + "."
		}
		s = renamed(s, "This receipt", "A receipt of the record")
	}
	if a.Notice != "" {
		s += " " + a.Notice
	}
	return s
}

// renamed puts a name in the place of the word that a sentence opens with.
func renamed(sentence, word, name string) string {
	if rest, ok := strings.CutPrefix(sentence, word+" "); ok {
		return name + " " + rest
	}
	return sentence
}

// called names what was brought: as a passage, and as a text. It is quoted only if it stays within its quotation marks: by marks of its own, or by
// characters that turn what follows around, it could say more than that it was brought.
func called(b Brought) (passage, text string) {
	h := entry.Sum(b.Bytes).String()
	passage, text = "A passage with the fingerprint "+h, "A text with the fingerprint "+h
	if typed := strings.Join(strings.Fields(string(b.Bytes)), " "); b.Name == "" && utf8.ValidString(typed) && utf8.RuneCountInString(typed) <= maxQuoted && !strings.ContainsFunc(typed, breaksOut) {
		passage, text = "The passage “"+typed+"”", "“"+typed+"”"
	}
	return passage, text
}

// doubles are double quotation marks and what looks like them.
const doubles = "\"“”„‟«»″‶〃〝〞〟＂❝❞❠ˮ״"

// breaksOut says whether a character is a double quotation mark, or one that nobody sees.
func breaksOut(r rune) bool { return strings.ContainsRune(doubles, r) || !unicode15.Visible(r) }
