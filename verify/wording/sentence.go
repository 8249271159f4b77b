package wording

import (
	"fmt"
	"strings"
)

// Sentence tells a result for people in one line. of is what the endorsed text is called, such as "the statement “Our aims” (en)".
func (r *Result) Sentence(of string) string {
	switch r.Verdict {
	case Identical:
		return "This is " + of + ", byte for byte."
	case SameWords:
		switch {
		case r.Extracted() && r.Counts[Spacing] > 0:
			return "This is " + of + " word for word, as far as its words could be read; spacing and line breaks differ."
		case r.Extracted():
			return "This is " + of + " word for word, as far as its words could be read."
		case r.marked:
			return "This is " + of + " word for word; only a byte order mark at its beginning differs."
		}
		return "This is " + of + " word for word; only spacing and line breaks differ."
	case Quote:
		return "This passage is in " + of + ", word for word."
	case Absent:
		return "This is not " + of + ", nor a passage of it."
	case TooLong:
		return fmt.Sprintf("This is not %s byte for byte, and too long to be compared word for word.", of)
	}
	head := "This is not " + of + ": "
	if r.Part != nil {
		head = "This passage is not in " + of + " as it stands: "
	}
	return head + r.differences() + "."
}

// differences tells what differs, the gravest first.
func (r *Result) differences() string {
	var parts []string
	say := func(n int, one, many string) {
		switch {
		case n == 1:
			parts = append(parts, one)
		case n > 1:
			parts = append(parts, fmt.Sprintf(many, n))
		}
	}
	around := r.MissingBefore + r.MissingAfter + r.ExtraBefore + r.ExtraAfter
	if n := r.Counts[Words]; n > around || around == 0 {
		say(n-around, "1 word differs", "%d words differ")
	} else if r.ExtraBefore+r.ExtraAfter == n && n > 0 {
		parts = append(parts, "all of it is here, with more around it")
	}
	say(r.MissingBefore, "1 word is missing at the beginning", "%d words are missing at the beginning")
	say(r.MissingAfter, "1 word is missing at the end", "%d words are missing at the end")
	say(r.ExtraBefore, "1 word stands before it", "%d words stand before it")
	say(r.ExtraAfter, "1 word stands after it", "%d words stand after it")
	say(r.Counts[Moved], "a paragraph stands in another place", "%d paragraphs stand in other places")
	say(r.Counts[LookAlike], "1 place has characters that look alike or cannot be seen", "%d places have characters that look alike or cannot be seen")
	say(r.Counts[Punctuation], "punctuation or capitals differ in 1 place", "punctuation or capitals differ in %d places")
	if n := r.Counts[Spacing]; n > 0 && len(parts) < 3 {
		say(n, "spacing differs in 1 place", "spacing differs in %d places")
	}
	if len(parts) > 1 {
		return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
	}
	return strings.Join(parts, "")
}

// Nearest returns which of several results about one text is the nearest: the one whose verdict is, and among those the one with the
// most words in common. It returns -1 if there is none.
func Nearest(results []*Result) int {
	best := -1
	for i, r := range results {
		if best < 0 {
			best = i
			continue
		}
		b := results[best]
		if near, than := gravity(r.Verdict), gravity(b.Verdict); near < than || near == than && r.Matched > b.Matched {
			best = i
		}
	}
	return best
}
