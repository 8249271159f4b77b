package wording

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// A Verdict is how a text relates to an endorsed one, or how a piece of it does.
type Verdict string

// The verdicts on a text. Punctuation, LookAlike, Moved and Words are classes of hunks too, and so is Spacing, which is no verdict.
const (
	// Spacing: what parts two words differs: spaces, tabs, line breaks.
	Spacing Verdict = "spacing"

	// Identical: the same bytes.
	Identical Verdict = "identical"
	// SameWords: the same words and marks; only what parts them differs, or what was done to read the text.
	SameWords Verdict = "same-words"
	// Quote: a passage with the same words and marks: one of less than half of the endorsed text, or in quotation marks.
	Quote Verdict = "quote"
	// Punctuation: only punctuation marks or capitals differ.
	Punctuation Verdict = "punctuation"
	// LookAlike: characters that look alike or cannot be seen differ too, but no words.
	LookAlike Verdict = "look-alike"
	// Moved: the same paragraphs, in another order.
	Moved Verdict = "moved"
	// Words: words differ.
	Words Verdict = "words"
	// Absent: the text is not the endorsed one, nor like any passage of it.
	Absent Verdict = "absent"
	// TooLong: it has more words than are compared, and is not identical.
	TooLong Verdict = "too-long"
)

// gravity orders verdicts from the nearest to the farthest.
func gravity(v Verdict) int {
	return slices.Index([]Verdict{Identical, Spacing, SameWords, Quote, Punctuation, LookAlike, Moved, Words, TooLong, Absent}, v)
}

// A Result is what a comparison found.
type Result struct {
	Verdict Verdict
	// Words and Of count the words of the text and of the endorsed one; Matched those that are in both, in order.
	Words, Of, Matched int
	// Part is where the passage is that the text is, or is nearest to; nil if all of the endorsed text was compared.
	Part *Part
	// MissingBefore and MissingAfter count the words of the endorsed text before the first and after the last one of the text.
	MissingBefore, MissingAfter int
	// ExtraBefore and ExtraAfter count the words of the text before the first and after the last one of the endorsed text.
	ExtraBefore, ExtraAfter int
	// Counts says how much of each class there is: words, marks, words with look-alikes, gaps, paragraphs.
	Counts map[Verdict]int
	// Hunks are the differences, in the order of the text, at most 200.
	Hunks []Hunk
	// Unlisted counts the hunks beyond those.
	Unlisted int
	// Coarse says that the texts differ in so much that the differences are shown in larger pieces than they are.
	Coarse bool
	// Steps and OfSteps are what was done to the text and to the endorsed one before they were compared.
	Steps, OfSteps []Step

	marked bool // a byte order mark is all that differs
}

// Extracted says whether the words of either text had to be read out of HTML, a PDF, or a file that is not UTF-8. Then a person should look
// closer, whatever the verdict.
func (r *Result) Extracted() bool {
	return slices.ContainsFunc(slices.Concat(r.Steps, r.OfSteps), func(s Step) bool {
		return s.Name == "html" || s.Name == "pdf" || s.Name == "utf-16" || s.Name == "windows-1252"
	})
}

// A Part is a passage of the endorsed text.
type Part struct {
	From, To Place
	// Before and After are the rest of the sentences that it begins and ends in.
	Before, Passage, After string
	// Times is how often its words occur.
	Times int
}

// A Hunk is one difference.
type Hunk struct {
	Class Verdict
	// Deleted is what the endorsed text has, Inserted what the text has in its place; either may be empty. Spacing is described in words.
	// Invisible characters are shown as [U+200B]; what is longer than 400 characters is cut in the middle.
	Deleted, Inserted string
	// At is where in the text, Of where in the endorsed one.
	At, Of Place
	// Before and After are a few words of the text around it, OfBefore and OfAfter of the endorsed one, where there may be other differences.
	Before, After, OfBefore, OfAfter string
	// Characters are those that a reader would not notice or take for others, at most 20.
	Characters []Character
}

const (
	maxHunks      = 200
	maxCharacters = 20
	maxShown      = 400 // characters
)

// comparison is the work on one Result.
type comparison struct {
	a, b   *Text // the text, the endorsed one
	r      *Result
	ka, kb []int32 // the keys of their tokens, numbered
	items  []item
	joined int // words that were hyphenated at the end of a line
}

// An item is a difference before it is shown.
type item struct {
	a0, a1, b0, b1 int // tokens
	class          Verdict
}

// Compare holds a text against an endorsed one. It never says Identical but of the same bytes. Its work is bounded by the length of
// the texts and a constant.
func Compare(text, endorsed *Text) *Result {
	c := &comparison{a: text, b: endorsed, r: &Result{
		Words: text.words, Of: endorsed.words, Counts: map[Verdict]int{}, Steps: text.steps, OfSteps: endorsed.steps,
	}}
	r := c.r
	switch {
	case bytes.Equal(text.raw, endorsed.raw):
		r.Verdict, r.Matched, r.Steps, r.OfSteps = Identical, min(text.words, endorsed.words), nil, nil
		return r
	case text.capped || endorsed.capped:
		r.Verdict = TooLong
		return r
	case text.words == 0 && endorsed.words > 0 || len(text.tokens) > 0 && len(endorsed.tokens) == 0:
		r.Verdict = Absent
		return r
	}
	r.marked = bytes.Equal(bytes.TrimPrefix(text.raw, []byte("\uFEFF")), bytes.TrimPrefix(endorsed.raw, []byte("\uFEFF")))
	c.intern()
	if !c.lay() {
		r.Verdict, r.Matched, r.Part, r.Counts = Absent, 0, nil, map[Verdict]int{}
		return r
	}
	c.judge()
	return r
}

// intern numbers the keys of all tokens.
func (c *comparison) intern() {
	ids := map[string]int32{}
	known := map[string]int32{} // by what is written: keys cost more than looking them up
	number := func(t *Text) []int32 {
		list := make([]int32, len(t.tokens))
		for i, tok := range t.tokens {
			s := t.at(i)
			id, ok := known[s]
			if !ok {
				k := key(s, tok.kind)
				if id, ok = ids[k]; !ok {
					id = int32(len(ids))
					ids[k] = id
				}
				known[s] = id
			}
			list[i] = id
		}
		return list
	}
	c.ka, c.kb = number(c.a), number(c.b)
}

// wordsOf returns the tokens that are words, and their keys.
func wordsOf(t *Text, ids []int32) (at, list []int32) {
	at, list = make([]int32, 0, t.words), make([]int32, 0, t.words)
	for i, tok := range t.tokens {
		if tok.kind == word {
			at, list = append(at, int32(i)), append(list, ids[i])
		}
	}
	return at, list
}

// lay lays the texts side by side, as a whole or one beside a passage of the other, and collects what differs. It returns false if they
// have too little in common.
func (c *comparison) lay() bool {
	atA, wa := wordsOf(c.a, c.ka)
	atB, wb := wordsOf(c.b, c.kb)
	na, nb := len(wa), len(wb)
	whole := func() bool {
		c.whole()
		return c.r.Coarse || c.r.Matched*2 >= min(na, nb)
	}
	if 2*na < nb || na < nb && c.a.quoted() {
		if at, times := find(wa, wb); times > 0 {
			c.passage(0, len(c.a.tokens), int(atB[at]), int(atB[at+na-1])+1, times)
			return true
		}
	}
	near := 2*na >= nb && 2*nb >= na
	if nb < na && nb > 0 {
		if at, times := find(wb, wa); times > 0 {
			if from, to, ok := c.surround(int(atA[at]), int(atA[at+nb-1])+1); ok || !near {
				c.within(from, to)
				return true
			}
		}
	}
	overlap := overlap(wa, wb)
	switch {
	case overlap*2 < min(na, nb):
		return false
	case near:
		return whole()
	case na < nb:
		from, to, ok := window(wa, wb)
		if !ok {
			return false
		}
		c.passage(0, len(c.a.tokens), int(atB[from]), int(atB[to-1])+1, 0)
		return c.r.Matched >= 3 && c.r.Matched*5 >= na*3
	}
	from, to, ok := window(wb, wa)
	if !ok {
		return false
	}
	c.within(int(atA[from]), int(atA[to-1])+1)
	return c.r.Matched >= 3 && c.r.Matched*5 >= nb*3
}

// quoted says whether a text is in quotation marks.
func (t *Text) quoted() bool {
	n := len(t.tokens)
	return n > 2 && strings.Contains("'\"", string(family(firstRune(t.at(0))))) && strings.Contains("'\"", string(family(firstRune(t.at(n-1)))))
}

// find returns where a pattern, which is not empty, is first in a text, and how often it is there (Knuth, Morris and Pratt).
func find(pattern, text []int32) (first, times int) {
	if len(pattern) == 0 || len(pattern) > len(text) {
		return 0, 0
	}
	border := make([]int32, len(pattern)+1)
	border[0] = -1
	for i, k := 0, int32(-1); i < len(pattern); {
		for k >= 0 && pattern[i] != pattern[k] {
			k = border[k]
		}
		i++
		k++
		border[i] = k
	}
	k := int32(0)
	for i, x := range text {
		for k >= 0 && (int(k) == len(pattern) || x != pattern[k]) {
			k = border[k]
		}
		k++
		if int(k) == len(pattern) {
			if times == 0 {
				first = i + 1 - len(pattern)
			}
			times++
		}
	}
	return first, times
}

// overlap counts the words that two texts share, in any order.
func overlap(a, b []int32) (n int) {
	have := map[int32]int{}
	for _, x := range a {
		have[x]++
	}
	for _, x := range b {
		if have[x] > 0 {
			have[x]--
			n++
		}
	}
	return n
}

// window returns the part of long in which most words of short stand in a like order: each rare word votes for where the beginning would be.
func window(short, long []int32) (from, to int, ok bool) {
	const often = 64
	places := map[int32][]int32{}
	for _, x := range short {
		places[x] = nil
	}
	for j, x := range long {
		if list, wanted := places[x]; wanted && len(list) <= often {
			places[x] = append(list, int32(j))
		}
	}
	width := max(8, len(short)/4)
	votes := map[int]float64{}
	for i, x := range short {
		list := places[x]
		if len(list) > often {
			continue
		}
		for _, j := range list {
			votes[(int(j)-i+len(short))/width] += 1 / float64(len(list))
		}
	}
	best, most := 0, 0.0
	for bucket := range votes {
		if v := votes[bucket] + votes[bucket+1]; v > most || v == most && bucket < best {
			best, most = bucket, v
		}
	}
	if most == 0 {
		return 0, 0, false
	}
	slack := len(short)/2 + 8
	start := best*width - len(short)
	from, to = max(0, start-slack), min(len(long), start+2*width+len(short)+slack)
	return from, to, from < to
}

// passage compares tokens [a0, a1) of the text with the passage that is somewhere in [b0, b1) of the endorsed one. times: how often its
// words occur in a row, or 0 if they do not.
func (c *comparison) passage(a0, a1, b0, b1, times int) {
	// Marks on either side of the words belong to the passage where both texts have them.
	for a0 < a1 && c.a.tokens[a0].kind == mark {
		a0++
	}
	for a1 > a0 && c.a.tokens[a1-1].kind == mark {
		a1--
	}
	if times > 0 {
		for a0 > 0 && b0 > 0 && c.ka[a0-1] == c.kb[b0-1] {
			a0, b0 = a0-1, b0-1
		}
		for a1 < len(c.ka) && b1 < len(c.kb) && c.ka[a1] == c.kb[b1] {
			a1, b1 = a1+1, b1+1
		}
	}
	ia, ib := indexes(a0, a1), indexes(b0, b1)
	spans, coarse := c.diff(ia, ib)
	c.r.Coarse = coarse
	spans = c.slide(ia, ib, spans)
	// What the passage lies in is not missing: at either end, no more is taken to be replaced than the text has there.
	from, to := b0, b1
	if len(spans) > 0 && !spans[0].same {
		s := &spans[0]
		s.b0 = max(s.b0, s.b1-(s.a1-s.a0))
		from = b0 + s.b0
	}
	if n := len(spans); n > 0 && !spans[n-1].same {
		s := &spans[n-1]
		s.b1 = min(s.b1, s.b0+(s.a1-s.a0))
		to = b0 + s.b1
	}
	spans = slices.DeleteFunc(spans, func(s span) bool { return s.a0 == s.a1 && s.b0 == s.b1 })
	c.collect(ia, ib, spans, false)
	if from >= to {
		return
	}
	before, after := c.b.sentence(from, to)
	c.r.Part = &Part{
		From: c.b.placeOf(from), To: c.b.place(int(c.b.tokens[to-1].end)), Times: times,
		Before: c.b.show(before, from), Passage: c.b.show(from, to), After: c.b.show(to, after),
	}
	c.edges(a0, a1)
}

// slide moves the first and the last words of the text, where they are found here and there in what is missing, to the very same words
// beside the rest of it.
func (c *comparison) slide(ia, ib []int32, spans []span) []span {
	const most = 32 // words, and gaps, that are tried at either end
	same := func(a, b, n int) bool {
		for k := range n {
			if c.ka[ia[a+k]] != c.kb[ib[b+k]] {
				return false
			}
		}
		return true
	}
	for i := min(len(spans)-1, most); i > 0; i-- {
		gap := spans[i]
		n, from := gap.a0, gap.b1-(gap.a1-gap.a0) // as much is taken to be replaced as the text has there
		if !gap.same && 0 < n && n <= min(most, from-spans[0].b0) && same(0, from-n, n) {
			spans = slices.Concat([]span{{0, 0, spans[0].b0, from - n, false}, {0, n, from - n, from, true}, {n, gap.a1, from, gap.b1, false}}, spans[i+1:])
			break
		}
	}
	for i := max(0, len(spans)-1-most); i < len(spans)-1; i++ {
		gap, end := spans[i], spans[len(spans)-1]
		n, to := end.a1-gap.a1, gap.b0+(gap.a1-gap.a0)
		if !gap.same && 0 < n && n <= min(most, end.b1-to) && same(gap.a1, to, n) {
			spans = slices.Concat(spans[:i], []span{{gap.a0, gap.a1, gap.b0, to, false}, {gap.a1, end.a1, to, to + n, true}, {end.a1, end.a1, to + n, end.b1, false}})
			break
		}
	}
	return spans
}

// edges reports what of the text lies outside the tokens that were compared: marks around a passage are quotation marks and the like.
func (c *comparison) edges(a0, a1 int) {
	marks := 0
	for i := range c.a.tokens {
		if i >= a0 && i < a1 {
			continue
		}
		if c.a.tokens[i].kind == hidden {
			c.items = append(c.items, item{i, i + 1, 0, 0, LookAlike})
			c.r.Counts[LookAlike]++
		} else {
			marks++
		}
	}
	if marks > 0 {
		c.r.Steps = append(slices.Clone(c.r.Steps), step("marks-around", marks, "a mark beside the passage was left out", "%d marks beside the passage were left out"))
	}
}

// surround widens a part of the text that has all words of the endorsed one by the marks that the latter has around them. ok: they
// are all there.
func (c *comparison) surround(a0, a1 int) (from, to int, ok bool) {
	lead, tail, nb := 0, 0, len(c.kb)
	for lead < nb && c.b.tokens[lead].kind != word {
		lead++
	}
	for tail < nb-lead && c.b.tokens[nb-1-tail].kind != word {
		tail++
	}
	ok = true
	for i := lead; i > 0; i-- {
		if a0 == 0 || c.ka[a0-1] != c.kb[i-1] {
			ok = false
			break
		}
		a0--
	}
	for i := nb - tail; i < nb; i++ {
		if a1 == len(c.ka) || c.ka[a1] != c.kb[i] {
			ok = false
			break
		}
		a1++
	}
	return a0, a1, ok
}

// within compares the endorsed text with tokens [a0, a1) of the text, and shows what is before and after as inserted.
func (c *comparison) within(a0, a1 int) {
	nb := len(c.b.tokens)
	ia, ib := indexes(a0, a1), indexes(0, nb)
	spans, coarse := c.diff(ia, ib)
	if n := len(spans); n > 0 && !spans[0].same && spans[0].b0 == spans[0].b1 {
		a0 += spans[0].a1
		spans = spans[1:]
	}
	if n := len(spans); n > 0 && !spans[n-1].same && spans[n-1].b0 == spans[n-1].b1 {
		a1 -= spans[n-1].a1 - spans[n-1].a0
		spans = spans[:n-1]
	}
	c.r.Coarse = coarse
	c.extra(0, a0, 0)
	c.collect(ia, ib, spans, false)
	c.extra(a1, len(c.a.tokens), nb)
	c.r.ExtraBefore, c.r.ExtraAfter = c.a.count(0, a0), c.a.count(a1, len(c.a.tokens))
}

func (c *comparison) extra(a0, a1, b int) {
	if a0 < a1 {
		c.items = append(c.items, item{a0, a1, b, b, Words})
		c.r.Counts[Words] += max(1, c.a.count(a0, a1))
	}
}

// count returns how many of the tokens are words.
func (t *Text) count(from, to int) (n int) {
	for _, tok := range t.tokens[from:to] {
		if tok.kind == word {
			n++
		}
	}
	return n
}

func indexes(from, to int) []int32 {
	list := make([]int32, to-from)
	for i := range list {
		list[i] = int32(from + i)
	}
	return list
}

func (c *comparison) diff(ia, ib []int32) ([]span, bool) {
	pick := func(ids, at []int32) []int32 {
		list := make([]int32, len(at))
		for i, j := range at {
			list[i] = ids[j]
		}
		return list
	}
	return diff(pick(c.ka, ia), pick(c.kb, ib), maxSteps)
}

// whole compares all with all, and takes paragraphs that were moved aside first.
func (c *comparison) whole() {
	ia, ib := indexes(0, len(c.ka)), indexes(0, len(c.kb))
	for _, m := range c.moved() {
		cut := func(list []int32, from, to int) []int32 {
			return slices.DeleteFunc(list, func(i int32) bool { return int(i) >= from && int(i) < to })
		}
		ia, ib = cut(ia, m.a0, m.a1), cut(ib, m.b0, m.b1)
		c.items = append(c.items, m)
		c.r.Counts[Moved]++
		n := m.a1 - m.a0
		c.collect(indexes(m.a0, m.a1), indexes(m.b0, m.b1), []span{{0, n, 0, n, true}}, false)
	}
	spans, coarse := c.diff(ia, ib)
	c.r.Coarse = coarse
	c.collect(ia, ib, spans, true)
	if c.r.Counts[Moved] == 0 && len(spans) > 0 {
		ends := func(s span) (missing, extra int) {
			if s.same {
				return 0, 0
			}
			missing, extra = c.b.count(s.b0, s.b1), c.a.count(s.a0, s.a1)
			if missing > 0 && extra > 0 {
				return 0, 0
			}
			return missing, extra
		}
		c.r.MissingBefore, c.r.ExtraBefore = ends(spans[0])
		if len(spans) > 1 {
			c.r.MissingAfter, c.r.ExtraAfter = ends(spans[len(spans)-1])
		}
	}
}

// A paragraph lies between empty lines.
type paragraph struct {
	from, to int
	words    int
	key      string
}

const maxParagraphs = 2000

func paragraphs(t *Text, ids []int32) []paragraph {
	var list []paragraph
	from := 0
	for i := 1; i <= len(t.tokens); i++ {
		if i < len(t.tokens) && !emptyLine(t.gap(i)) {
			continue
		}
		if from < i {
			var b []byte
			for _, id := range ids[from:i] {
				b = binary.LittleEndian.AppendUint32(b, uint32(id))
			}
			list = append(list, paragraph{from, i, t.count(from, i), string(b)})
		}
		from = i
	}
	return list
}

// emptyLine says whether a gap has an empty line in it.
func emptyLine(gap string) bool {
	breaks := strings.Count(gap, "\n") + strings.Count(gap, "\r") - strings.Count(gap, "\r\n")
	return breaks > 1 || strings.ContainsRune(gap, '\u2029')
}

// moved returns the paragraphs that both texts have once and in another order, as few words of them as can be.
func (c *comparison) moved() []item {
	pa, pb := paragraphs(c.a, c.ka), paragraphs(c.b, c.kb)
	if len(pa) > maxParagraphs || len(pb) > maxParagraphs {
		return nil
	}
	once := func(list []paragraph) map[string]int {
		at := map[string]int{}
		for i, p := range list {
			if _, twice := at[p.key]; twice {
				at[p.key] = -1
			} else {
				at[p.key] = i
			}
		}
		return at
	}
	inA, inB := once(pa), once(pb)
	type pair struct{ a, b, words, before, sum int }
	var pairs []pair
	for i, p := range pa {
		if j, ok := inB[p.key]; ok && j >= 0 && inA[p.key] == i && p.words > 0 {
			pairs = append(pairs, pair{i, j, p.words, -1, p.words})
		}
	}
	// The heaviest sequence that is ascending in both stays.
	last := -1
	for i := range pairs {
		for j := range i {
			if pairs[j].b < pairs[i].b && pairs[j].sum+pairs[i].words > pairs[i].sum {
				pairs[i].before, pairs[i].sum = j, pairs[j].sum+pairs[i].words
			}
		}
		if last < 0 || pairs[i].sum > pairs[last].sum {
			last = i
		}
	}
	stays := map[int]bool{}
	for ; last >= 0; last = pairs[last].before {
		stays[last] = true
	}
	var list []item
	for i, p := range pairs {
		if !stays[i] {
			list = append(list, item{pa[p.a].from, pa[p.a].to, pb[p.b].from, pb[p.b].to, Moved})
		}
	}
	return list
}

// collect makes items of spans over lists of tokens. outer: the gaps before the first and after the last token count too.
func (c *comparison) collect(ia, ib []int32, spans []span, outer bool) {
	for _, s := range spans {
		if !s.same {
			c.replaced(ia[s.a0:s.a1], ib[s.b0:s.b1], anchor(ia, s.a0), anchor(ib, s.b0))
			continue
		}
		for k := range s.a1 - s.a0 {
			i, j := int(ia[s.a0+k]), int(ib[s.b0+k])
			// The gap before counts where the tokens before are a pair too.
			if k > 0 && int(ia[s.a0+k-1]) == i-1 && int(ib[s.b0+k-1]) == j-1 || outer && i == 0 && j == 0 {
				c.spacing(i, j)
			}
			c.aligned(i, j)
		}
	}
	if n := len(spans); outer && (n == 0 || spans[n-1].same) {
		c.spacing(len(c.ka), len(c.kb))
	}
}

// anchor returns the token at place k of a list, or the one after the list.
func anchor(list []int32, k int) int {
	switch {
	case k < len(list):
		return int(list[k])
	case k > 0:
		return int(list[k-1]) + 1
	}
	return 0
}

// aligned judges two tokens with the same key.
func (c *comparison) aligned(i, j int) {
	if c.a.tokens[i].kind == word {
		c.r.Matched++
	}
	x, y := c.a.at(i), c.b.at(j)
	if x == y {
		return
	}
	class, joined := pairClass(x, y)
	if joined {
		c.joined++
	}
	if class != Identical {
		c.items = append(c.items, item{i, i + 1, j, j + 1, class})
		c.r.Counts[class]++
	}
}

func (c *comparison) spacing(i, j int) {
	if c.a.gap(i) != c.b.gap(j) {
		c.items = append(c.items, item{i, i, j, j, Spacing})
		c.r.Counts[Spacing]++
	}
}

// replaced judges tokens that stand in each other's place. Each list is ascending, and may have holes where a paragraph was moved away.
func (c *comparison) replaced(ia, ib []int32, a, b int) {
	for len(ia)+len(ib) > 0 {
		it := item{a0: a, a1: a, b0: b, b1: b}
		if n := run(ia); n > 0 {
			it.a0, it.a1, ia = int(ia[0]), int(ia[n-1])+1, ia[n:]
		}
		if n := run(ib); n > 0 {
			it.b0, it.b1, ib = int(ib[0]), int(ib[n-1])+1, ib[n:]
		}
		a, b = it.a1, it.b1
		it.class = c.class(it)
		n := 1
		if it.class == Words {
			n = max(n, c.a.count(it.a0, it.a1), c.b.count(it.b0, it.b1))
		}
		c.items = append(c.items, it)
		c.r.Counts[it.class] += n
	}
}

// run returns how many numbers at the beginning of a list follow each other.
func run(list []int32) int {
	n := 0
	for n < len(list) && list[n] == list[0]+int32(n) {
		n++
	}
	return n
}

// judge makes the verdict and the hunks of the items.
func (c *comparison) judge() {
	r := c.r
	if c.joined > 0 {
		r.Steps = append(slices.Clone(r.Steps), step("line-end-hyphens", c.joined, "a word that was hyphenated at the end of a line was put together", "%d words that were hyphenated at the end of a line were put together"))
	}
	r.Verdict = SameWords
	if r.Part != nil {
		r.Verdict = Quote
	}
	for class, n := range r.Counts {
		if n > 0 && gravity(class) > gravity(r.Verdict) {
			r.Verdict = class
		}
	}
	slices.SortStableFunc(c.items, func(x, y item) int { return cmp.Or(cmp.Compare(x.a0, y.a0), cmp.Compare(x.a1, y.a1)) })
	var list []item
	last := -1 // the last item that is not spacing
	for _, it := range c.items {
		switch {
		case it.class == Spacing:
			list = append(list, it)
			continue
		case last >= 0 && joined(list[last], it):
			// What differs in spacing between them is part of it.
			list[last].a1, list[last].b1, list[last].class = it.a1, it.b1, Words
			list = list[:last+1]
		default:
			list = append(list, it)
		}
		last = len(list) - 1
	}
	// If they are too many, the gravest are shown.
	order := indexes(0, len(list))
	if r.Unlisted = max(0, len(list)-maxHunks); r.Unlisted > 0 {
		slices.SortStableFunc(order, func(i, j int32) int { return gravity(list[j].class) - gravity(list[i].class) })
		order = order[:maxHunks]
		slices.Sort(order)
	}
	for _, i := range order {
		r.Hunks = append(r.Hunks, c.hunk(list[i]))
	}
}

// joined says whether two items that follow each other are one difference for a reader: words that are changed close to each other, and
// what touches them.
func joined(x, y item) bool {
	gap := y.a0 - x.a1
	if gap != y.b0-x.b1 || gap < 0 || gap > 2 || x.class == Moved || y.class == Moved {
		return false
	}
	if gap == 0 {
		return x.class == Words || y.class == Words
	}
	return x.class == Words && y.class == Words && max(x.a1-x.a0, x.b1-x.b0)+max(y.a1-y.a0, y.b1-y.b0) > 2*gap
}
