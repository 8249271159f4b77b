package wording_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tccm/undersigned/testdata/tccm"
	"github.com/tccm/undersigned/verify/wording"
)

func plain(s string) *wording.Text { return wording.Plain([]byte(s)) }

func TestPairs(t *testing.T) {
	for _, c := range []struct {
		text, endorsed string
		verdict        wording.Verdict
		sentence       string
	}{
		{"We agree.", "We agree.", wording.Identical, "This is X, byte for byte."},
		{"", "", wording.Identical, "This is X, byte for byte."},
		{"We agree.\n", "We agree.", wording.SameWords, "This is X word for word; only spacing and line breaks differ."},
		{"\ufeffWe agree.\n", "We agree.\n", wording.SameWords, "This is X word for word; only a byte order mark at its beginning differs."},
		{"We agree.\n", "\ufeffWe agree.\n", wording.SameWords, "This is X word for word; only a byte order mark at its beginning differs."},
		{"\ufeffWe agree.\r\n", "We agree.\n", wording.SameWords, "This is X word for word; only spacing and line breaks differ."},
		{"We agree", "We agree.", wording.Punctuation, "This is not X: punctuation or capitals differ in 1 place."},
		{"we agree.", "We agree.", wording.Punctuation, "This is not X: punctuation or capitals differ in 1 place."},
		{"We agree!", "We agree.", wording.Punctuation, "This is not X: punctuation or capitals differ in 1 place."},
		{"We agrее.", "We agree.", wording.LookAlike, "This is not X: 1 place has characters that look alike or cannot be seen."},
		{"We agree.\u200b", "We agree.", wording.LookAlike, "This is not X: 1 place has characters that look alike or cannot be seen."},
		{"We agree.", "We \u00adagree.", wording.LookAlike, "This is not X: 1 place has characters that look alike or cannot be seen."},
		{"We agreed.", "We agree.", wording.Words, "This is not X: 1 word differs."},
		{"We a gree.", "We agree.", wording.Words, "This is not X: 2 words differ."},
		{"We agree now.", "We agree.", wording.Words, "This is not X: 1 word differs."},
		{"agree.", "We agree.", wording.Words, "This is not X: 1 word is missing at the beginning."},
		{"No.", "We agree.", wording.Absent, "This is not X, nor a passage of it."},
		{"We agree.", "", wording.Absent, "This is not X, nor a passage of it."},
		{"…", "", wording.Absent, "This is not X, nor a passage of it."},
		{"Straße", "Strasse", wording.Words, ""},
		{"the Straße ends", "the Strasse ends", wording.Words, ""},
		{"“keep it all open”", "We will keep it all open.", wording.Quote, "This passage is in X, word for word."},
		{"keep it all open", "We will keep it all open.", wording.Words, ""},
		{"'", "We will keep it all open.", wording.Absent, ""},
		{"it is 1‚5 long", "it is 1,5 long", wording.LookAlike, ""}, // U+201A, a quotation mark
		{"it is 1.5 long", "it is 1,5 long", wording.Words, ""},
		{"it is co‐operáte", "it is cooperáte", wording.Words, ""},
		{"now here is it", "nowhere is it", wording.Words, ""},
		{"we will resign it", "we will re-sign it", wording.Words, ""},
		{"it cost £5 more", "it cost €5 more", wording.Words, ""},
		{"100 K", "100 \u212a", wording.LookAlike, ""}, // Kelvin sign
		{"a full stop．", "a full stop.", wording.LookAlike, ""},
		{"5\u2009% of it", "5% of it", wording.SameWords, ""},
		{"ﬁve of them", "five of them", wording.LookAlike, ""},
		{"this is İt", "this is it", wording.LookAlike, ""},
	} {
		r := wording.Compare(plain(c.text), plain(c.endorsed))
		if r.Verdict != c.verdict {
			t.Errorf("%q, %q: %s %+v; want %s", c.text, c.endorsed, r.Verdict, r.Hunks, c.verdict)
		}
		if got := r.Sentence("X"); c.sentence != "" && got != c.sentence {
			t.Errorf("%q, %q: %s; want %s", c.text, c.endorsed, got, c.sentence)
		}
	}
}

// TestPlaces holds what is told of differences to the texts.
func TestPlaces(t *testing.T) {
	s := string(tccm.Statement)
	altered := once("technical community: the", "technic\u0430l community: the", "equal footing", "fair footing", "free, global", "free,\u00a0global", "is not renewed", "is \u202enot renewed")(s)
	r := wording.Compare(plain(altered), plain(s))
	var got []string
	for _, h := range r.Hunks {
		got = append(got, fmt.Sprintf("%s %v -%s +%s", h.Class, h.At, h.Deleted, h.Inserted))
		for _, c := range h.Characters {
			got = append(got, fmt.Sprintf("  %s %s in %s at %v for %s", c.Code, c.Name, c.Word, c.At, c.Instead))
		}
	}
	want := []string{
		"look-alike line 3, column 34 -technical +technic\u0430l",
		"  U+0430 Cyrillic small letter a in technic\u0430l at line 3, column 41 for U+0061 Latin small letter a",
		"words line 7, column 249 -equal +fair",
		"look-alike line 15, column 134 -not +[U+202E]not",
		"  U+202E right-to-left override in [U+202E]not at line 15, column 134 for ",
		"spacing line 21, column 127 -space +no-break space (U+00A0)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// TestContext: what is around a difference is told of both texts, each with its own.
func TestContext(t *testing.T) {
	const s = "We are members of the community of which all are proud.\n"
	r := wording.Compare(plain(once("are members", "\u0430re mem\u200bbers")(s)), plain(s))
	var got []string
	for _, h := range r.Hunks {
		got = append(got, h.Before+"|"+h.After+"|"+h.OfBefore+"|"+h.OfAfter)
	}
	want := []string{
		"We|mem[U+200B]bers of the community of which|We|members of the community of which",
		"We \u0430re|of the community of which all|We are|of the community of which all",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestPart(t *testing.T) {
	endorsed := plain("We met. “It was late,” they said, and then we all agreed to go home.\n\n- The first item\n- The second item of it\n\nWe all agreed to go home. No more was said on that day by any of us, nor later.\n")
	for _, c := range []struct {
		quote  string
		part   wording.Part
		marked bool
	}{
		{"we all agreed", wording.Part{Before: "“It was late,” they said, and then", Passage: "we all agreed", After: "to go home.", Times: 2,
			From: wording.Place{Line: 1, Column: 44}, To: wording.Place{Line: 1, Column: 57}}, false},
		{"“The second item”", wording.Part{Before: "-", Passage: "The second item", After: "of it", Times: 1, From: wording.Place{Line: 4, Column: 3}, To: wording.Place{Line: 4, Column: 18}}, true},
		{"No more was said on that day.", wording.Part{Passage: "No more was said on that day", After: "by any of us, nor later.", Times: 1,
			From: wording.Place{Line: 6, Column: 27}, To: wording.Place{Line: 6, Column: 55}}, true},
	} {
		r := wording.Compare(plain(c.quote), endorsed)
		if r.Part == nil || *r.Part != c.part {
			t.Errorf("%q: %s %+v", c.quote, r.Verdict, r.Part)
			continue
		}
		if got := len(r.Steps) > 0; r.Verdict != wording.Quote && r.Verdict != wording.Punctuation || got != c.marked {
			t.Errorf("%q: %s, %+v", c.quote, r.Verdict, r.Steps)
		}
	}
}

// TestQuoteAltered holds a sentence with one word changed to that one word, however often its first and last words are in the text before
// and after it.
func TestQuoteAltered(t *testing.T) {
	for _, sentence := range []string{
		"This approach enables stakeholders to come together on an equal footing to discuss or make decisions about the Internet",
		"the multistakeholder approach fosters a level of diversity, accountability and transparency that cannot be replicated",
		"decision-making about the Internet and its governance isn't led by individual nation-based political interests",
	} {
		words := strings.Fields(sentence)
		for i := 2; i < len(words)-2; i++ {
			altered := slices.Clone(words)
			altered[i] = "otherwise"
			quote := strings.Join(altered, " ")
			r := wording.Compare(plain(quote), plain(string(tccm.Statement)))
			if r.Part == nil || len(r.Hunks) != 1 || r.Hunks[0].Inserted != "otherwise" || r.Part.Passage != sentence {
				t.Errorf("%q: %s, %+v, %+v", quote, r.Verdict, r.Part, r.Hunks)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	texts := []string{"We will go to the market.", "We agree to all of it, and to more.", "We agree to all of it, or to more."}
	var results []*wording.Result
	for _, s := range texts {
		results = append(results, wording.Compare(plain("We agree to all of it, or to more than that."), plain(s)))
	}
	if got := wording.Nearest(results); got != 2 {
		t.Errorf("%d", got)
	}
	if got := wording.Nearest(nil); got != -1 {
		t.Errorf("%d", got)
	}
}

// A text that is made to cost much costs little, and gets an answer.
func TestBounded(t *testing.T) {
	words := func(n, step int) string {
		var b strings.Builder
		x := uint32(step)
		for range n {
			x = x*1664525 + 1013904223
			fmt.Fprintf(&b, "w%d ", x>>16%97)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		a, b    string
		verdict wording.Verdict
		coarse  bool
	}{
		"shuffled":       {words(200_000, 1), words(200_000, 2), wording.Words, true},
		"too many words": {strings.Repeat("a ", 1<<21+1), "b a", wording.TooLong, false},
		"one long word":  {strings.Repeat("a", 4<<20), "b a", wording.Absent, false},
		"one long line":  {strings.Repeat("ab c ", 300_000), strings.Repeat("ab  c  ", 300_000), wording.SameWords, false},
		"many marks":     {strings.Repeat("?!", 500_000), strings.Repeat("!?", 500_000), wording.Punctuation, false},
		"invisible":      {"a" + strings.Repeat("\u200b", 1<<20), "a", wording.LookAlike, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := wording.Compare(plain(c.a), plain(c.b))
			if r.Verdict != c.verdict || r.Coarse != c.coarse || len(r.Hunks) > 200 {
				t.Errorf("%s, coarse %v, %d hunks", r.Verdict, r.Coarse, len(r.Hunks))
			}
			for _, h := range r.Hunks {
				if n := len(h.Deleted) + len(h.Inserted) + len(h.Before) + len(h.After); n > 20_000 || len(h.Characters) > 20 {
					t.Fatalf("a hunk of %d bytes and %d characters", n, len(h.Characters))
				}
			}
		})
	}
}

func TestHTML(t *testing.T) {
	for _, c := range []struct{ page, want string }{
		{"<p>One</p><p>two", "One\n\ntwo\n"},
		{"One<br>two<br/><br />three", "One\ntwo\n\nthree\n"},
		{"<ul><li>One<li>two</ul><ol start=3><li>three</li><li>four</li></ol>", "- One\n- two\n\n3. three\n4. four\n"},
		{"a &amp; b &lt; c &#x41;&#66; &nbsp; d", "a & b < c AB \u00a0 d\n"},
		{"x < y and <z", "x < y and\n"},
		{"1<2", "1<2\n"},
		{"<script>a<b></script>c<SCRIPT>d</ScRiPt >e<style>f</style>g", "ceg\n"},
		{"<script>never closed", "\n"},
		{"<!-- a <p> b -->c<!-->d<?php e ?>f<!DOCTYPE g>h", "cdfh\n"},
		{"<p title='a > b'>c</p>", "c\n"},
		{"<div hidden><div>a</div>b</div>c", "c\n"},
		{"a <del>b <b>c</b></del><s>d</s><strike>e</strike><ins>f</ins>", "a f\n"},
		{"<del><p>a</p></del>b", "b\n"},
		{`a<span style="text-decoration: Line-Through">b</span>`, "a\n"},
		{"<span style='color: red; display : none'>a</span>b", "b\n"},
		{"<svg><title>a</title><text> </text></svg>c", "c\n"},
		{"in<b>ter</b>net in<wbr>ter&shy;net", "internet internet\n"},
		{"<pre>a\n b</pre>c", "a\nb\n\nc\n"},
		{"<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n"},
		{"<q>a</q>", "“a”\n"},
		{"\uFEFF<p>a", "a\n"},

		// What is hidden ends where a browser ends it.
		{"<s/>a</s>b", "b\n"},
		{"<p hidden />a</p>b", "b\n"},
		{"<template/>a</template>b", "b\n"},
		{"<svg/>a<math />b", "ab\n"},
		{"<p hidden>a<p>b", "b\n"},
		{"<p hidden>a<h1>b", "b\n"},
		{"<h1 hidden>a<h2>b", "b\n"},
		{"<ul><li hidden>a<li>b</ul>", "- b\n"},
		{"<dl><dt hidden>a<dd>b<dd hidden>c<dt>d</dl>", "b\n\nd\n"},
		{"<table><tr hidden><td>a<tr><td hidden>b<td>c<th hidden>d<th>e</table>", "c e\n"},
		{"<table><caption hidden>a<tr><td>b</table>", "b\n"},
		{"<option hidden>a<option>b", "b\n"},
		{"<button hidden>a<button>b", "b\n"},
		{"<a hidden>a<a>b", "b\n"},
		{"<a hidden>a" + strings.Repeat("<div>", 7) + "<a>b", "b\n"},
		{"<a hidden>a" + strings.Repeat("<div>", 8) + "<a>b", "\n"}, // of eight blocks the last stays in it
		{"<ruby><rt hidden>a<rt>b</ruby>", "b\n"},
		{"<div><p hidden>a</div>b", "b\n"},
		{"<p>a<del>b</p>c", "a\n\nc\n"},
		{"<p>a<s>b</p>c<p>d</s>e", "a\n\ne\n"},
		{"<p>a<b hidden>b<p>c</b>d", "a\n\nd\n"},
		{"<p><s>a<p><s>b<p><s>c<p><s>d<p></s></s></s>e", "e\n"}, // of four that are the same three are opened again
		{"<table><tr><td><s>a<td>b</table>c", "b\n\nc\n"},
		{"<table><tr><td><s>a</table>b", "b\n"},
		{"<marquee><s>a</marquee>b", "b\n"},
		{"<template><s></template>a", "a\n"},
		{"<p><span hidden><span>a</p>b", "b\n"},
		{"<div><span hidden>a<div>b</span>c</div>d</span>e", "e\n"},
		{"<div hidden></p></b></table></svg>a</div>b", "b\n"},
		{"<s>a<div>b</s>c</div>d", "c\n\nd\n"},
		{"<b><span hidden>a<p>b</b>c", "bc\n"}, // the paragraph is taken out of the span too
		{"<form hidden><div>a</form>b</div>c", "c\n"},
		{"<svg><p>a", "a\n"},
		{"<math><mi><p></p></math>b", "b\n"},
		{"<svg><title><p>a</p></title><font> <font size=1>c", "c\n"},
		{"<svg><title><![CDATA[<p>a]]></title></svg>b", "b\n"},
		{"<select><option>a<input>b", "b\n"},
		{"<div><select>a</div>b", "\n"},
		{"<table hidden>a<tr>b<td>c</table>d", "abd\n"}, // a table throws out what is in no cell
		{"<table><tr><td>a</td>b</table>c", "b\n\na\n\nc\n"},
		{"<p hidden>a<table><tr><td>b</table>c", "\n"},
		{"<!-- --><!DocType\nHTML><p hidden>a<table><tr><td>b</table>", "b\n"},
		{"a<body hidden>b", "\n"},
		{"<s-x>a</s-x><del:x>b", "ab\n"},
		{"<style></style-x>a</style>b", "b\n"},
		{"<!-- a --!>b", "b\n"},
		{"<style></a</style>a<style></style>b", "ab\n"},
		{"<image hidden>a</image>b", "ab\n"},
		{"<p><s>a<p><s >b<p><S>c<p><s\n>d<p></s></s></s>e", "e\n"},
		{"<p><s id=x class=y>a<p><s class='y' id=&#120;>b<p><s id=x class=y>c<p><s id=x class=y>d<p></s></s></s>e", "e\n"},
		{"<script><!-- a //--></script>b", "b\n"},
		{"<textarea>a &amp; <b></textarea>c", "a & <b>\nc\n"},
		{"<textarea hidden>a</textarea>b", "b\n"},
		{"<ruby>a<rp>(</rp><rt>b</rt><rp>)</rp></ruby>", "ab\n"},
		{"<progress>a</progress><meter>b</meter>c", "c\n"},
		{"<dialog>a</dialog><dialog open>b</dialog><p popover>c", "b\n"},
		{"</x><!doctype html><p hidden>a<table><tr><td>b</table>", "\n"}, // what comes too late is no doctype
		{"<!doctype html SYSTEM 'about:legacy-compat' ><p hidden>a<table><tr><td>b</table>", "b\n"},
		{"<svg><title>a</title><desc>b<p>c</p></desc><metadata>d</metadata><style>e</style><path></svg>f", "f\n"},

		// HTML and CSS take no letters but ASCII for each other.
		{"<tİtle>a</title>", "a\n"},
		{"<stri\u212Ae>a", "a\n"},
		{"<span hİdden>a", "a\n"},
		{"<span style='DİSPLAY:none'>a</span><span style='DISPLAY:NONE'>b", "a\n"},

		// Of a style the last declaration counts that a browser knows.
		{"<p hidden style=display:inline>a", "a\n"},
		{"<p hidden style=color:red>a", "\n"},
		{"<p style='display:none;display:inline'>a", "a\n"},
		{"<p style='display:none !important;display:inline'>a", "\n"},
		{"<p style='display:-ms-flexbox;display:flex'>a", "a\n"},
		{"<p style=display:&nbsp;none>a", "a\n"},
		{"<p style='Display : NONE ; color:red'>a", "\n"},
		{"<p style=--x:line-through>a", "a\n"},
		{"<p style=x-display:none>a", "a\n"},
		{"<p style='text-decoration-line:line-through;text-decoration:none'>a", "a\n"},
		{"<s style=text-decoration:none>a", "a\n"},
		{`<p style="font-family:'A;display:none';background:url(data:image/png;base64,a');color:rgb(1,calc(2),3)">a`, "a\n"},
		{`<p style="font-family:'A';color:rgb(1,2,3);display:none">a`, "\n"},
		{"<p style='visibility:collapse'>a<b>b", "\n"},
		{"<p style='visibility:hidden'><b style='visibility:hidden'>a", "\n"},
		{"a<img style='width:1px\\9'>", "a\n"},
		{"<s><p style='visibility:hidden'><b style='visibility:visible'>a", "\n"},
	} {
		if got, err := wording.FromHTML([]byte(c.page)); err != nil || got.String() != c.want {
			t.Errorf("%q: %v, %v, want %q", c.page, got, err, c.want)
		}
	}
}

// TestHTMLBounded: a page that opens, closes and opens again without end is read to its end, or not at all.
func TestHTMLBounded(t *testing.T) {
	var fonts strings.Builder
	for i := range 33 {
		fmt.Fprintf(&fonts, "<font size=%d>", i)
	}
	for unit, want := range map[string]error{
		"<div>": wording.ErrPage, "<b><p></p>": wording.ErrPage, "<b><div>": wording.ErrPage, "<table>x": nil, "<td>": nil, "<td><b>": nil, "<marquee><b>": wording.ErrPage,
		"<form><div></form>": wording.ErrPage, "<b><div></b>": wording.ErrPage, "<b><div></b></div>": nil, "<svg></x>": wording.ErrPage, "<svg></svg>": nil, "<a><p>": nil,
	} {
		page := "<table><tr><td>" + strings.Repeat(unit, 200_000/len(unit)) + " word"
		if got, err := wording.FromHTML([]byte(page)); err != want || err == nil && !strings.Contains(got.String(), "word") {
			t.Errorf("%s: %v", unit, err)
		}
	}
	for page, want := range map[string]error{
		strings.Repeat("<span>", 255) + "a": nil, strings.Repeat("<span>", 256) + "a": wording.ErrPage,
		fonts.String(): wording.ErrPage, fonts.String()[len("<font size=0>"):]: nil,
		"<svg>" + strings.Repeat("<g>", 250) + strings.Repeat("</x>", 50_000) + "</svg>word": wording.ErrPage, // each tag looks through what is open
		// The svg that would not be held makes its title no raw text.
		"<p>we agree</p>" + strings.Repeat("<div>", 300) + "<svg><title></svg>not": wording.ErrPage,
	} {
		if _, err := wording.FromHTML([]byte(page)); err != want {
			t.Errorf("%.40s: %v", page, err)
		}
	}
}

// TestHTMLRefused: what could show other words than are read is not read.
func TestHTMLRefused(t *testing.T) {
	for _, page := range []string{
		"<math><mi><mglyph><p>a",
		"<template><col><xmp></template>a",
		"<div><template shadowrootmode=open>a</template>b</div>",
		"<frameset>a",
		"<script><!--<script></script>a",
		"<script><!-- --> <SCRIPT/</script>a",
		"<xmp>a</xmp>",
		"<plaintext>a",
		"<object>a</object>",
		"<object><object>a</object></object>",
		"a<svg><text>b</text></svg>",
		"a<svg><text><![CDATA[b]]></text></svg>",
		"a<svg hidden><text>b</text></svg>",
		"a<svg style=text-decoration:line-through><text>b</text></svg>",
		"a<math><mtext>b",
		"<svg><foreignObject></foreignObject><title></svg>a",
		"<!doctype html x><p>a<table>",
		"<!doctype html\u00a0><p>a<table>",
		"<!doctype html PUBLIC '-//W3C//DTD HTML 4.01//EN'><p>a<table>",
		"<html hidden><html style=display:block>a",
		"<body style=color:red><body hidden>a",
		"<html style=visibility:hidden><body style=visibility:visible>a",
		"<p hidden=until-found>a",
		"<marquee hidden>a",
		"<p style='visibility:hidden'>a<i><b style='visibility:visible'>b",
		"<p style='d\\isplay:none'>a",
		"<p style='display/**/:none'>a",
		"<p style='{;display:none}'>a",
		"<p style='x:[;display:none]'>a",
		"<p style='x:(;display:none'>a",
		"<p style='x:);display:none'>a",
		"<p style='x:\";display:none'>a",
		"<p style='x:\"\n;display:none;\"'>a",
		"<p style='x:&quot=;display:none;y:&quot'>a",
		"<p hidden style=all:initial>a",
		"<p hidden style=display:revert>a",
		"<p style='display:none;display:var(--x)'>a",
		"<p style='display:table-column'>a",
		"<p style='text-decoration:line-through nonsense'>a",
		"<s style='text-decoration:var(--x)'>a",
		"<s style='text-decoration:line-through transparent'>a",
		"<s style='text-decoration-thickness:0'>a",
		"<s>a<i><span style=display:inline-block>b",
		"<p style=text-decoration:line-through>a<span style=float:left>b",
		"<s>a<span style='{}float:left'>b",
		"<del><textarea>a</textarea>",
		"<s>a<svg><text>b",
		"<p style=visibility:hidden>a<svg><text style=visibility:visible>b",
		"<svg><foreignObject><p style=visibility:hidden><b style=visibility:visible>a",
		"<title style=display:block>a</title>",
		"<rp style=display:inline>a</rp>",
	} {
		if got, err := wording.FromHTML([]byte(page)); err != wording.ErrPage {
			t.Errorf("%q: %v, %v", page, got, err)
		}
	}
	for _, page := range []string{"<!doctype html x>a<table>", "<!doctype html PUBLIC '-//W3C//DTD HTML 4.01//EN'><p>a</p><table>", "<div hidden><svg><text>a</text></svg></div>", "<svg> </svg>"} {
		if _, err := wording.FromHTML([]byte(page)); err != nil {
			t.Errorf("%q: %v", page, err)
		}
	}
}

func TestFormOf(t *testing.T) {
	for s, want := range map[string]wording.Form{
		"%PDF-1.4\n": wording.PDF, "junk\n%PDF-1.4": wording.PDF, "<!doctype HTML><p>": wording.HTML, "  \r\n<!-- x --><html>": wording.HTML, "<p>a": wording.HTML,
		"<?xml version=\"1.0\"?><html xmlns=\"\">": wording.HTML, "<strong>a</strong>": wording.HTML, "a <p>": wording.PlainText, "<3 you": wording.PlainText, "<angle>": wording.PlainText,
		"": wording.PlainText, "<": wording.PlainText, "\uFEFF<body>": wording.HTML,
	} {
		if got := wording.FormOf([]byte(s)); got != want {
			t.Errorf("%q: %s", s, got)
		}
	}
}

func TestNames(t *testing.T) {
	for r, want := range map[rune]string{
		'a': "Latin small letter a", 'З': "Cyrillic capital letter ze", 'я': "Cyrillic small letter ya", 'ω': "Greek small letter omega", 'Ω': "Greek capital letter omega",
		'é': "Latin small letter e with acute accent", 'Ａ': "full-width Latin capital letter A", 'ﬁ': "Latin small ligature fi", 0x200B: "zero width space", 0x202E: "right-to-left override",
		0xE000: "private-use character", 0x0378: "invisible or unassigned character", 'Ա': "Armenian letter", 0xFE0F: "variation selector", '漢': "Han letter", 0: "control character",
	} {
		if got := wording.Name(r); got != want {
			t.Errorf("%U: %q, want %q", r, got, want)
		}
	}
}

func TestLint(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // type, place
	}{
		{"Clean.\n\n- A “quoted” word—and its dash.\n", nil},
		{"", []string{"empty 0:0"}},
		{"a\xffb\n", []string{"not-utf-8 1:2"}},
		{"ok\nna\u00efve \xe9t\xe9\n", []string{"not-utf-8 2:7"}},
		{"\uFEFFa\n", []string{"byte-order-mark 1:1"}},
		{"a\r\nb\rc\n", []string{"carriage-return 1:2", "carriage-return 2:2"}},
		{"ab\ncafe\u0301\n", []string{"not-nfc 2:4"}},
		{"a \u202eb\n", []string{"bidi 1:3"}},
		{"a\u200bb\n\n\u200d", []string{"invisible 1:2", "invisible 3:1", "no-final-newline 3:2"}},
		{"a\tb\u00a0c\u2003d\n", []string{"tab 1:2", "no-break-space 1:4", "space 1:6"}},
		{"a  b  \n", []string{"trailing-space 1:5", "double-space 1:3"}},
		{"a", []string{"no-final-newline 1:2"}},
		{"it's\nit’s\n\"a\" “b”\n", []string{"mixed-quotes 1:3", "mixed-quotes 3:1"}},
		{"the p\u0430ypal word\n", []string{"look-alike 1:5"}},
		{"a\ue000\u0378b\u0007\n", []string{"private-use 1:2", "unassigned 1:3", "control 1:5"}},
		{"a\u2028b\f\n", []string{"line-separator 1:2", "trailing-space 1:4", "line-separator 1:4"}},
		{strings.Repeat("a\t", 30) + "a\n", append(slices.Repeat([]string{"tab"}, 19), "tab ×11")},
	} {
		var got []string
		for _, r := range wording.Lint([]byte(c.text)) {
			s := fmt.Sprintf("%s %d:%d", r.Type, r.At.Line, r.At.Column)
			if len(c.want) == 20 {
				s = r.Type
			}
			if r.Count > 1 {
				s += fmt.Sprintf(" ×%d", r.Count)
			}
			got = append(got, s)
			if !strings.HasSuffix(r.Problem, ".") || !strings.HasSuffix(r.Advice, ".") || !utf8.ValidString(r.Problem) {
				t.Errorf("%q %q", r.Problem, r.Advice)
			}
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
	if got := wording.Lint(tccm.Statement); len(got) != 0 {
		t.Errorf("the statement: %+v", got)
	}
}

// BenchmarkCompare prints how long it takes to find one changed word in the statement, ÷ how long it takes to read both texts' words.
func BenchmarkCompare(b *testing.B) {
	s := string(tccm.Statement)
	altered := once("equal footing", "fair footing")(s)
	var reading, comparing time.Duration
	for b.Loop() {
		start := time.Now()
		x, y := plain(altered), plain(s)
		read := time.Now()
		wording.Compare(x, y)
		reading, comparing = reading+read.Sub(start), comparing+time.Since(read)
	}
	b.ReportMetric(float64(comparing)/float64(reading), "compare/read")
}
