package wording

import (
	"fmt"
	"html"
	"strconv"
	"strings"
)

// maxNesting bounds the lists inside each other whose items are numbered.
const maxNesting = 100

// Elements by what becomes of them. Whatever is not here is as if its tags were not there.
var elements = map[string]elementKind{
	"script": rawText, "style": rawText, "title": rawText, "textarea": rawText, "noscript": rawText, "iframe": rawText, "noembed": rawText,
	"noframes": rawText, "xmp": rawText,

	"template": dropped, "svg": dropped, "math": dropped, "select": dropped, "datalist": dropped, "object": dropped, "audio": dropped, "video": dropped,
	"canvas": dropped,

	"address": block, "article": block, "aside": block, "blockquote": block, "body": block, "center": block, "dd": block, "details": block, "dialog": block,
	"dir": block, "div": block, "dl": block, "dt": block, "fieldset": block, "figcaption": block, "figure": block, "footer": block, "form": block, "h1": block,
	"h2": block, "h3": block, "h4": block, "h5": block, "h6": block, "head": block, "header": block, "hgroup": block, "hr": block, "html": block, "legend": block,
	"main": block, "menu": list, "nav": block, "ol": list, "p": block, "pre": block, "section": block, "summary": block, "table": block, "ul": list,

	"br": line, "li": listItem, "tr": line, "caption": line, "tbody": line, "thead": line, "tfoot": line, "option": line,
	"td": cell, "th": cell, "q": quoted, "area": void, "base": void, "col": void, "embed": void, "img": void, "input": void, "link": void, "meta": void,
	"param": void, "source": void, "track": void, "wbr": void,
}

type elementKind uint8

const (
	inline   elementKind = iota
	rawText              // what it holds is no text of the page, and has no tags
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
	s = strings.TrimLeft(strings.TrimPrefix(s, "\uFEFF"), " \t\r\n\f")
	for strings.HasPrefix(s, "<!--") {
		_, rest, ok := strings.Cut(s[4:], "-->")
		if !ok {
			return false
		}
		s = strings.TrimLeft(rest, " \t\r\n\f")
	}
	lower := strings.ToLower(s[:min(len(s), 1024)])
	if strings.HasPrefix(lower, "<!doctype html") || strings.Contains(lower, "<html") {
		return true
	}
	if !strings.HasPrefix(lower, "<") {
		return false
	}
	name, _ := tagName(lower[1:])
	_, known := elements[name]
	return known || strings.Contains(" a b i em strong span u s small sup sub code cite ", " "+name+" ") && name != ""
}

// tagName reads the name of a tag.
func tagName(s string) (name, rest string) {
	n := 0
	for n < len(s) && (s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' || n > 0 && s[n] >= '0' && s[n] <= '9') && n < 32 {
		n++
	}
	return strings.ToLower(s[:n]), s[n:]
}

// FromHTML returns the text of a page as a browser would print it: without scripts, styles and what its own markup hides, with blocks as
// paragraphs and the items of lists behind hyphens or numbers. What style sheets hide or add it cannot tell.
func FromHTML(raw []byte) *Text {
	s, steps := decode(raw)
	p := &page{rest: strings.TrimPrefix(s, "\uFEFF")}
	for p.rest != "" {
		p.next()
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
	return newText(raw, HTML, strings.TrimRight(p.out.String(), " \n")+"\n", all)
}

// A page is HTML being read.
type page struct {
	rest    string
	out     strings.Builder
	breaks  int    // line feeds to be written before the next text
	space   bool   // a space too
	numbers []int  // of each list that is open: its next number; -1: hyphens
	until   string // inside an element that is not shown: its name
	depth   int    // how many elements of this name are open there
	pre     int    // open pre elements

	entities, softHyphens, items, quotes, hidden, struck int
}

// next reads a piece of text or a tag.
func (p *page) next() {
	s := p.rest
	if i := strings.IndexByte(s, '<'); i != 0 {
		if i < 0 {
			i = len(s)
		}
		p.rest = s[i:]
		p.text(s[:i])
		return
	}
	skip := func(from int, end string) {
		if _, rest, ok := strings.Cut(s[from:], end); ok {
			p.rest = rest
		} else {
			p.rest = ""
		}
	}
	switch {
	case strings.HasPrefix(s, "<!-->"), strings.HasPrefix(s, "<!--->"):
		skip(4, ">")
	case strings.HasPrefix(s, "<!--"):
		skip(4, "-->")
	case strings.HasPrefix(s, "<!"), strings.HasPrefix(s, "<?"):
		skip(2, ">")
	case strings.HasPrefix(s, "</"):
		name, rest := tagName(s[2:])
		if name == "" {
			skip(2, ">")
			return
		}
		_, p.rest, _ = attributes(rest)
		p.close(name)
	default:
		name, rest := tagName(s[1:])
		if name == "" {
			p.rest = s[1:]
			p.text("<")
			return
		}
		attrs, rest, closed := attributes(rest)
		p.rest = rest
		p.open(name, attrs, closed)
	}
}

// attributes reads those of a tag that matter here, to behind its end.
func attributes(s string) (attrs map[string]string, rest string, closed bool) {
	for {
		s = strings.TrimLeft(s, " \t\r\n\f")
		switch {
		case s == "":
			return attrs, "", false
		case s[0] == '>':
			return attrs, s[1:], closed
		case s[0] == '/':
			closed = true
			s = s[1:]
			continue
		}
		closed = false
		n := strings.IndexAny(s[1:], " \t\r\n\f=>/") + 1
		if n == 0 {
			return attrs, "", false
		}
		name, value := s[:n], ""
		s = strings.TrimLeft(s[n:], " \t\r\n\f")
		if strings.HasPrefix(s, "=") {
			s = strings.TrimLeft(s[1:], " \t\r\n\f")
			if s != "" && (s[0] == '"' || s[0] == '\'') {
				end := strings.IndexByte(s[1:], s[0])
				if end < 0 {
					return attrs, "", false
				}
				value, s = s[1:1+end], s[end+2:]
			} else {
				end := strings.IndexAny(s, " \t\r\n\f>")
				if end < 0 {
					return attrs, "", false
				}
				value, s = s[:end], s[end:]
			}
		}
		if len(name) <= 6 && len(value) <= 4096 {
			switch name = strings.ToLower(name); name {
			case "hidden", "style", "start", "type":
				if attrs == nil {
					attrs = map[string]string{}
				}
				if _, twice := attrs[name]; !twice {
					attrs[name] = html.UnescapeString(value)
				}
			}
		}
	}
}

// hides says whether an element's own markup keeps a browser from showing it.
func hides(attrs map[string]string) bool {
	if value, ok := attrs["hidden"]; ok && !strings.EqualFold(value, "until-found") {
		return true
	}
	style := strings.ToLower(strings.Join(strings.Fields(attrs["style"]), ""))
	return strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden")
}

// strikes says whether an element takes back what is in it.
func strikes(name string, attrs map[string]string) bool {
	return name == "del" || name == "s" || name == "strike" || strings.Contains(strings.ToLower(attrs["style"]), "line-through")
}

func (p *page) open(name string, attrs map[string]string, closed bool) {
	kind := elements[name]
	if p.until != "" {
		if name == p.until && !closed {
			p.depth++
		}
		if kind == rawText {
			p.skipRaw(name)
		}
		return
	}
	if strikes(name, attrs) && !closed && kind != void && kind != rawText {
		p.struck++
		p.until, p.depth = name, 1
		return
	}
	if hides(attrs) && kind != void && kind != rawText && name != "br" && name != "hr" {
		p.hidden++
		p.until, p.depth = name, 1
		return
	}
	switch kind {
	case rawText:
		p.skipRaw(name)
	case dropped:
		if !closed {
			p.until, p.depth = name, 1
		}
	case block, list:
		p.breaks = max(p.breaks, 2)
		if kind == list && len(p.numbers) < maxNesting {
			number := -1
			if name == "ol" {
				number = 1
				if n, err := strconv.Atoi(attrs["start"]); err == nil && n >= 0 && n < 1e6 {
					number = n
				}
			}
			p.numbers = append(p.numbers, number)
		}
		if name == "pre" {
			p.pre++
		}
	case line:
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

// skipRaw goes to behind the end tag of an element without tags in it.
func (p *page) skipRaw(name string) {
	for {
		i := strings.Index(p.rest, "</")
		if i < 0 {
			p.rest = ""
			return
		}
		end, rest := tagName(p.rest[i+2:])
		p.rest = rest
		if end == name {
			_, p.rest, _ = attributes(rest)
			return
		}
	}
}

func (p *page) close(name string) {
	if p.until != "" {
		if name == p.until {
			if p.depth--; p.depth == 0 {
				p.until = ""
			}
		}
		return
	}
	switch elements[name] {
	case block, list:
		p.breaks = max(p.breaks, 2)
		if elements[name] == list && len(p.numbers) > 0 {
			p.numbers = p.numbers[:len(p.numbers)-1]
		}
		if name == "pre" && p.pre > 0 {
			p.pre--
		}
	case line, listItem:
		if name != "br" {
			p.breaks = max(p.breaks, 1)
		}
	case quoted:
		p.write("”")
	}
}

// text takes text between tags.
func (p *page) text(s string) {
	if p.until != "" {
		return
	}
	if strings.Contains(s, "&") {
		before := strings.Count(s, "&")
		s = html.UnescapeString(s)
		p.entities += max(0, before-strings.Count(s, "&"))
	}
	if n := strings.Count(s, "\u00AD"); n > 0 {
		p.softHyphens += n
		s = strings.ReplaceAll(s, "\u00AD", "")
	}
	const white = " \t\r\n\f"
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
