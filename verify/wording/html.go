package wording

import (
	"errors"
	"fmt"
	"html"
	"strings"
)

// Elements by what becomes of them. Whatever is not here is as if its tags were not there.
var elements = map[string]elementKind{
	"script": rawText, "style": rawText, "title": rawText, "textarea": rawText, "noscript": rawText, "iframe": rawText, "noembed": rawText,
	"noframes": rawText, "xmp": rawText,

	"template": dropped, "svg": dropped, "math": dropped, "select": dropped, "datalist": dropped, "object": dropped, "audio": dropped, "video": dropped,
	"canvas": dropped, "progress": dropped, "meter": dropped, "rp": dropped,

	"address": block, "article": block, "aside": block, "blockquote": block, "body": block, "center": block, "dd": block, "details": block, "dialog": block,
	"dir": block, "div": block, "dl": block, "dt": block, "fieldset": block, "figcaption": block, "figure": block, "footer": block, "form": block, "h1": block,
	"h2": block, "h3": block, "h4": block, "h5": block, "h6": block, "head": block, "header": block, "hgroup": block, "hr": block, "html": block, "legend": block,
	"main": block, "menu": list, "nav": block, "ol": list, "p": block, "pre": block, "section": block, "summary": block, "table": block, "ul": list,

	"br": line, "li": listItem, "tr": line, "caption": line, "tbody": line, "thead": line, "tfoot": line, "option": line,
	"td": cell, "th": cell, "q": quoted, "area": void, "base": void, "col": void, "embed": void, "img": void, "input": void, "link": void, "meta": void,
	"param": void, "basefont": void, "bgsound": void, "keygen": void, "source": void, "track": void, "wbr": void,
}

// drawings are elements that are dropped, and of which a browser may show words.
var drawings = map[string]bool{"svg": true, "math": true, "object": true}

type elementKind uint8

const (
	inline   elementKind = iota
	rawText              // what it holds has no tags, and is no text of the page but in a textarea
	dropped              // what it holds is no text of the page
	block                // an empty line before and after
	list                 // the same
	line                 // begins a line
	listItem             // an item of a list
	cell                 // a space before
	quoted               // a browser puts quotation marks around it
	void                 // holds nothing
)

// looksLikeHTML says whether a file begins as a page or a piece of one does.
func looksLikeHTML(raw []byte) bool {
	s := string(raw[:min(len(raw), 4096)])
	s = strings.TrimLeft(strings.TrimPrefix(s, "\uFEFF"), white)
	for strings.HasPrefix(s, "<!--") {
		_, rest, ok := strings.Cut(s[4:], "-->")
		if !ok {
			return false
		}
		s = strings.TrimLeft(rest, white)
	}
	begin := small(s[:min(len(s), 1024)])
	if strings.HasPrefix(begin, "<!doctype html") || strings.Contains(begin, "<html") {
		return true
	}
	if !strings.HasPrefix(begin, "<") {
		return false
	}
	name, _ := tagName(begin[1:])
	_, known := elements[name]
	return known || strings.Contains(" a b i em strong span u s small sup sub code cite ", " "+name+" ") && name != ""
}

// FromHTML returns the text of a page as a browser would print it: without scripts, styles and what its own markup hides, with blocks as
// paragraphs and the items of lists behind hyphens or numbers. What is hidden ends where it does in a browser, whatever tags are missing
// or out of place. What style sheets and scripts hide or add it cannot tell, nor what is hidden by size, place, colour or opacity, and what
// pictures, frames, players, buttons made of an input and lists to choose from show it does not read. A page that has words in a drawing, a
// formula or an object is not read, nor is one with markup that is not ordinary, where it could matter. The error is ErrPage.
func FromHTML(raw []byte) (*Text, error) {
	s, steps := decode(raw)
	p := &page{}
	tree, ok := parse(strings.TrimPrefix(s, "\uFEFF"))
	if !ok {
		return nil, ErrPage
	}
	if p.print(tree); p.unsure {
		return nil, ErrPage
	}
	all := append([]Step{{"html", 0, "the text was read from HTML, without what style sheets hide or add"}}, steps...)
	for _, c := range []struct {
		name, one, many string
		count           int
	}{
		{"entities", "a character was written by name or number", "%d characters were written by name or number", p.entities},
		{"soft-hyphens", "a soft hyphen was left out", "%d soft hyphens were left out", p.softHyphens},
		{"list-items", "an item of a list was given its hyphen or number", "%d items of lists were given their hyphen or number", p.items},
		{"quotation-marks", "quotation marks were put around what the page quotes", "quotation marks were put around what the page quotes, %d times", p.quotes},
		{"hidden", "a part that the page hides was left out", "%d parts that the page hides were left out", p.hidden},
		{"struck", "a part that the page strikes out was left out", "%d parts that the page strikes out were left out", p.struck},
	} {
		if c.count > 0 {
			all = append(all, step(c.name, c.count, c.one, c.many))
		}
	}
	return newText(raw, HTML, strings.TrimRight(p.out.String(), " \n")+"\n", all), nil
}

// ErrPage says that a page has markup that no ordinary page has, by which it could show other words than are read.
var ErrPage = errors.New("it cannot be told for sure which of its words a browser shows")

// A page is a tree being written as text.
type page struct {
	out     strings.Builder
	breaks  int   // line feeds to be written before the next text
	space   bool  // a space too
	numbers []int // of each list that is open: its next number; -1: hyphens
	pre     int   // open pre elements
	unsure  bool  // it has what is not read

	entities, softHyphens, items, quotes, hidden, struck int
}

// print writes what is in a node.
func (p *page) print(n *node) {
	for n = n.first; n != nil; n = n.next {
		switch {
		case n.fate == hiddenPart:
			p.hidden++
		case n.fate == invisiblePart:
			p.hidden++
			p.unsure = p.unsure || n.escapes(func(n *node) bool { return n.visibility })
		case n.fate == struckPart:
			p.struck++
			p.unsure = p.unsure || n.escapes(func(n *node) bool { return n.apart })
		case n.fate == droppedPart:
			p.unsure = p.unsure || drawings[n.text] && n.drawn()
		case n.element:
			p.open(n.text, n.start)
			p.print(n)
			p.close(n.text)
		default:
			p.text(n.text)
		}
	}
}

func (p *page) open(name string, start int) {
	kind := elements[name]
	switch kind {
	case block, list:
		p.breaks = max(p.breaks, 2)
		if kind == list {
			number := -1
			if name == "ol" {
				number = start
			}
			p.numbers = append(p.numbers, number)
		}
		if name == "pre" {
			p.pre++
		}
	case line, rawText: // of raw text only a textarea's is here
		p.breaks++
		if name != "br" {
			p.breaks = max(1, p.breaks-1)
		}
	case listItem:
		p.breaks = max(1, p.breaks)
		p.items++
		if n := len(p.numbers); n > 0 && p.numbers[n-1] >= 0 {
			p.write(fmt.Sprintf("%d.", p.numbers[n-1]))
			p.numbers[n-1]++
		} else {
			p.write("-")
		}
		p.space = true
	case cell:
		p.space = true
	case quoted:
		p.quotes++
		p.write("“")
	}
}

func (p *page) close(name string) {
	switch elements[name] {
	case block, list:
		p.breaks = max(p.breaks, 2)
		if elements[name] == list {
			p.numbers = p.numbers[:len(p.numbers)-1]
		}
		if name == "pre" {
			p.pre--
		}
	case line, listItem, rawText:
		if name != "br" {
			p.breaks = max(p.breaks, 1)
		}
	case quoted:
		p.write("”")
	}
}

// text takes text between tags.
func (p *page) text(s string) {
	if strings.Contains(s, "&") {
		before := strings.Count(s, "&")
		s = html.UnescapeString(s)
		p.entities += max(0, before-strings.Count(s, "&"))
	}
	if n := strings.Count(s, "\u00AD"); n > 0 {
		p.softHyphens += n
		s = strings.ReplaceAll(s, "\u00AD", "")
	}
	for s != "" {
		n := strings.IndexAny(s, white)
		if n < 0 {
			n = len(s)
		}
		if n > 0 {
			p.write(s[:n])
		}
		rest := strings.TrimLeft(s[n:], white)
		if gap := s[n : len(s)-len(rest)]; gap != "" {
			p.space = true
			if p.pre > 0 {
				p.breaks = max(p.breaks, strings.Count(gap, "\n"))
			}
		}
		s = rest
	}
}

// write writes text that is shown, with the space that is due before it.
func (p *page) write(s string) {
	switch {
	case p.out.Len() == 0:
	case p.breaks > 0:
		p.out.WriteString("\n\n"[:min(2, p.breaks)])
	case p.space:
		p.out.WriteByte(' ')
	}
	p.breaks, p.space = 0, false
	p.out.WriteString(s)
}
