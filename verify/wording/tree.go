package wording

import (
	"html"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// What a page hides ends where a browser ends it, so a page is read as the HTML standard says in 13.2.6, tree construction: which tag closes
// what, what is opened again behind it, and what a table throws out. Left away is what changes nothing in the text.

// maxOpen bounds the open elements, maxFormatting those of one cell that are opened again, and maxLooks how many of them are looked at for each
// byte of a page, so that no page takes long. A page that goes beyond is not read: without one tag the meaning of all that follows can be another.
const maxOpen, maxFormatting, maxLooks = 256, 32, 32

// A role is what an element does to others.
type role uint16

const (
	special    role = 1 << iota // no end tag of another element closes it, but those that say so
	formatting                  // is opened again behind what closed it
	barrier                     // what is outside of it is not in scope
	closesP                     // closes a paragraph
	scoped                      // its end tag closes what is open in it
	bare                        // formatting elements are not opened again before it
	implied                     // needs no end tag
	part                        // of a table
	rows                        // a part of a table that can hold no text
	heading
	breaksOut   // is not in svg and math
	separate    // what formatting elements are open in it ends with it
	integration // of svg or math, and holds HTML
)

// rolesOf takes a while to make.
var rolesOf = sync.OnceValue(func() map[string]role {
	m := map[string]role{}
	for r, names := range map[role]string{
		special: `address applet area article aside base basefont bgsound blockquote body br button caption center col colgroup dd details dir div dl dt embed
			fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe img input keygen li link listing main
			marquee menu meta nav noembed noframes noscript object ol p param plaintext pre script search section select source style summary table tbody td
			template textarea tfoot th thead title tr track ul wbr xmp`,
		formatting: "a b big code em font i nobr s small strike strong tt u",
		barrier:    "applet body caption table td th marquee object select template",
		closesP: `address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer header hgroup main menu nav ol p search
			section summary ul h1 h2 h3 h4 h5 h6 pre listing form li dd dt plaintext hr xmp`,
		scoped: `address article aside blockquote button center details dialog dir div dl fieldset figcaption figure footer header hgroup listing main menu nav
			ol pre search section select summary ul dd dt applet marquee object`,
		bare:    `rb rtc rp rt param source track base basefont bgsound link meta title table template`,
		implied: "dd dt li optgroup option p rb rp rt rtc",
		part:    "caption tbody tfoot thead tr td th",
		rows:    "table tbody tfoot thead tr",
		heading: "h1 h2 h3 h4 h5 h6",
		breaksOut: `b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta nobr ol p pre ruby s small
			span strong strike sub sup table tt u ul var`,
		separate: "applet caption marquee object td template th",
	} {
		for _, name := range strings.Fields(names) {
			m[name] |= r
		}
	}
	return m
})

// A fate is what becomes of what an element holds.
type fate uint8

const (
	printed fate = iota
	hiddenPart
	invisiblePart // hidden, but for what says that it is visible
	struckPart
	droppedPart
)

// A node is an element or text.
type node struct {
	text              string // or the element's name
	first, last, next *node
	start             int
	element           bool
	fate              fate
	visibility, apart bool // as of a look
}

// drawn says whether a drawing, a formula or an object has words in it that it may show.
func (n *node) drawn() bool {
	for n = n.first; n != nil; n = n.next {
		if !n.element && strings.Trim(n.text, white) != "" || n.fate != hiddenPart && (n.fate != droppedPart || drawings[n.text]) && n.drawn() {
			return true
		}
	}
	return false
}

// escapes says whether something in a node does not look as what is around it: what is wanted, or a drawing with words.
func (n *node) escapes(wanted func(*node) bool) bool {
	for n = n.first; n != nil; n = n.next {
		if wanted(n) || n.fate == droppedPart && drawings[n.text] && n.drawn() || n.escapes(wanted) {
			return true
		}
	}
	return false
}

func (n *node) add(child *node) *node {
	if n.last == nil {
		n.first = child
	} else {
		n.last.next = child
	}
	n.last = child
	return child
}

// An element that is open, or waits to be opened again.
type element struct {
	name    string
	attrs   map[string]string
	role    role
	fate    fate
	look    look
	start   int
	foreign string // "svg" or "math", if it is one of theirs
	open    bool
	node    *node // takes what it holds
	before  *node // takes what a table throws out
}

// is says whether an element is HTML's of this name.
func (e *element) is(name string) bool { return e.name == name && e.foreign == "" }

// A parser reads HTML into a tree.
type parser struct {
	rest       string
	open       []*element
	formatting []*element // those that are opened again; nil begins what is separate
	form       *element
	steps      int      // open elements that were looked at
	root, body *element // as their tags say
	begun      bool     // behind where a doctype can be
	standard   bool     // has a doctype, by which a table closes a paragraph
	otherwise  bool     // has a doctype by which it may
	unsure     bool     // it went beyond what is held, or has what is not read
}

// parse returns a tree with the body of a page in it; false: it has what is not read.
func parse(s string) (tree *node, ok bool) {
	body := &element{name: "body", role: special | barrier, open: true, node: &node{text: "body", element: true}}
	p := &parser{rest: s, open: []*element{body}}
	for limit := 4096 + maxLooks*len(s); p.rest != "" && !p.unsure; {
		p.next()
		p.unsure = p.unsure || p.steps > limit
	}
	for _, e := range []*element{p.body, p.root} {
		if e != nil && e.fate != printed {
			body.node.fate = e.fate
		}
	}
	return &node{first: body.node}, !p.unsure
}

// tagName reads the name of a tag.
func tagName(s string) (name, rest string) {
	n := 0
	if s != "" && (s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z') {
		if n = strings.IndexAny(s, white+"/>"); n < 0 {
			n = len(s)
		}
	}
	return small(s[:n]), s[n:]
}

// next reads a piece of text or a tag.
func (p *parser) next() {
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
		p.comment(s[4:])
	case strings.HasPrefix(s, "<![CDATA[") && p.top().foreign != "":
		text, _, _ := strings.Cut(s[9:], "]]>")
		skip(9, "]]>")
		p.text(text)
	case strings.HasPrefix(s, "<!"), strings.HasPrefix(s, "<?"):
		p.doctype(s)
		skip(2, ">")
	case strings.HasPrefix(s, "</"):
		name, rest := tagName(s[2:])
		if name == "" {
			skip(2, ">")
			return
		}
		p.begun = true
		_, p.rest, _ = attributes(rest)
		p.end(name)
	default:
		name, rest := tagName(s[1:])
		if name == "" {
			p.rest = s[1:]
			p.text("<")
			return
		}
		attrs, after, closed := attributes(rest)
		p.rest = after
		p.start(name, attrs, closed)
	}
}

// comment goes to behind a comment.
func (p *parser) comment(s string) {
	for {
		n := strings.Index(s, "--")
		switch {
		case n < 0:
			p.rest = ""
			return
		case strings.HasPrefix(s[n:], "-->"), strings.HasPrefix(s[n:], "--!>"):
			_, p.rest, _ = strings.Cut(s[n:], ">")
			return
		}
		s = s[n+1:]
	}
}

// attributes reads those of a tag, to behind its end.
func attributes(s string) (attrs map[string]string, rest string, closed bool) {
	for {
		s = strings.TrimLeft(s, white)
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
		n := strings.IndexAny(s[1:], white+"=>/") + 1
		if n == 0 {
			return attrs, "", false
		}
		name, value := s[:n], ""
		s = strings.TrimLeft(s[n:], white)
		if strings.HasPrefix(s, "=") {
			s = strings.TrimLeft(s[1:], white)
			if s != "" && (s[0] == '"' || s[0] == '\'') {
				end := strings.IndexByte(s[1:], s[0])
				if end < 0 {
					return attrs, "", false
				}
				value, s = s[1:1+end], s[end+2:]
			} else {
				end := strings.IndexAny(s, white+">")
				if end < 0 {
					return attrs, "", false
				}
				value, s = s[:end], s[end:]
			}
		}
		if attrs == nil {
			attrs = map[string]string{}
		}
		name = small(name)
		if _, twice := attrs[name]; !twice {
			attrs[name] = unescape(name, value)
		}
	}
}

// unescape reads the value of an attribute. A character's name that ends without a semicolon may be none there, and a style with one is made one
// that is not read.
func unescape(name, value string) string {
	for s := value; ; {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			return html.UnescapeString(value)
		}
		n := i + 1
		for n < len(s) && (s[n] == '#' || '0' <= s[n] && s[n] <= '9' || 'a' <= s[n] && s[n] <= 'z' || 'A' <= s[n] && s[n] <= 'Z') {
			n++
		}
		written := s[i:min(len(s), n+1)]
		if c := html.UnescapeString(written); c != written && (written[len(written)-1] != ';' || strings.HasSuffix(c, ";") && written != "&semi;") {
			if name == "style" {
				return `\\`
			}
			return value
		}
		s = s[n:]
	}
}

// raw goes to behind the end tag of an element without tags in it, and returns what it holds.
func (p *parser) raw(name string) string {
	s := p.rest
	for i := 0; ; i += 2 {
		n := strings.Index(s[i:], "</")
		if n < 0 {
			p.rest = ""
			return s
		}
		i += n
		if end, rest := tagName(s[i+2 : min(len(s), i+3+len(name))]); end == name && rest != "" {
			_, p.rest, _ = attributes(s[i+2+len(name):])
			return s[:i]
		}
	}
}

// nestedScript says whether a script has another in a comment, by which it ends elsewhere.
func nestedScript(s string) bool {
	_, s, _ = strings.Cut(small(s), "<!--")
	for {
		_, after, ok := strings.Cut(s, "<script")
		if !ok || after == "" {
			return false
		}
		if strings.Contains(white+"/>", after[:1]) {
			return true
		}
		s = after
	}
}

// doctype takes the first, without which a table is in the paragraph before it.
func (p *parser) doctype(s string) {
	const begin = "<!doctype"
	if n := len(begin); !p.begun && len(s) > n && small(s[:n]) == begin {
		s, _, _ = strings.Cut(s[n:], ">")
		switch strings.Join(strings.FieldsFunc(small(s), func(r rune) bool { return strings.ContainsRune(white, r) }), " ") {
		case "html", `html system "about:legacy-compat"`, "html system 'about:legacy-compat'":
			p.standard = true
		default:
			p.otherwise = true
		}
		p.begun = true
	}
}

func (p *parser) top() *element { return p.open[len(p.open)-1] }

// look returns an open element, and counts that.
func (p *parser) look(i int) *element {
	p.steps++
	return p.open[i]
}

// foreign says whether what comes next is svg's or math's.
func (p *parser) foreign() bool { return p.top().foreign != "" && p.top().role&integration == 0 }

// text adds text where it is shown.
func (p *parser) text(s string) {
	if strings.Trim(s, white) != "" {
		p.begun = true
	} else if p.top().role&rows != 0 {
		return
	}
	if !p.foreign() {
		p.reopen()
	}
	p.place().add(&node{text: s})
}

// place returns what takes that which comes next. A table throws out before it what is in no cell.
func (p *parser) place() *node {
	i := len(p.open) - 1
	if p.open[i].role&rows == 0 {
		return p.open[i].node
	}
	for !p.look(i).is("table") {
		i--
	}
	return p.open[i].before
}

// push opens an element, if not too many are open.
func (p *parser) push(e *element) bool {
	if len(p.open) == maxOpen {
		p.unsure = true
		return false
	}
	e.node = p.place()
	if e.role&part != 0 {
		e.node = p.top().node
	}
	if e.is("table") {
		e.before = e.node.add(&node{element: true})
	}
	if e.role&special != 0 || elements[e.name] != inline || e.look.visibility || e.look.apart || e.fate != printed && (e.node.fate == printed || e.node.fate == droppedPart) {
		e.node = e.node.add(&node{text: e.name, element: true, fate: e.fate, visibility: e.look.visibility, apart: e.look.apart, start: e.start})
	}
	e.open = true
	p.open = append(p.open, e)
	return true
}

// pop closes the open elements from one on; without one, at -1, none.
func (p *parser) pop(from int) {
	if from < 0 {
		return
	}
	for _, e := range p.open[from:] {
		e.open = false
	}
	p.open = p.open[:from]
}

// find returns where the element of a name is that is in scope, or -1. Elements of other names may end the scope too.
func (p *parser) find(name string, ends ...string) int {
	for i := len(p.open) - 1; i >= 0; i-- {
		switch e := p.look(i); {
		case e.is(name):
			return i
		case e.role&barrier != 0, e.foreign == "" && slices.Contains(ends, e.name):
			return -1
		}
	}
	return -1
}

// within returns where the element of a name is that the innermost table or template has around what comes next, or -1.
func (p *parser) within(name string) int {
	for i := len(p.open) - 1; i >= 0; i-- {
		switch e := p.look(i); {
		case e.is(name):
			return i
		case e.is("table"), e.is("template"):
			return -1
		}
	}
	return -1
}

// inTemplate says whether a template is open.
func (p *parser) inTemplate() bool {
	p.steps += len(p.open)
	return slices.ContainsFunc(p.open, func(e *element) bool { return e.is("template") })
}

// inRows says whether a table is open, and none of its cells.
func (p *parser) inRows() bool {
	for i := len(p.open) - 1; i > 0; i-- {
		if e := p.look(i); e.foreign == "" && (e.role&(part|rows) != 0 || e.name == "template") {
			return e.role&rows != 0
		}
	}
	return false
}

// imply closes what needs no end tag, but for one name.
func (p *parser) imply(but string) {
	for e := p.top(); e.role&implied != 0 && !e.is(but); e = p.top() {
		p.pop(len(p.open) - 1)
	}
}

// reopen opens the formatting elements again that were closed by something else than their end tags.
func (p *parser) reopen() {
	i := len(p.formatting)
	for i > 0 && p.formatting[i-1] != nil && !p.formatting[i-1].open {
		i--
	}
	for _, e := range p.formatting[i:] {
		if !p.push(e) {
			return
		}
	}
}

// list takes a formatting element among those that are opened again: three that are the same, and no more.
func (p *parser) list(e *element) {
	same, first, i := 0, 0, len(p.formatting)
	for i > 0 && p.formatting[i-1] != nil {
		i--
		if f := p.formatting[i]; f.name == e.name && maps.Equal(f.attrs, e.attrs) {
			same, first = same+1, i
		}
	}
	if same >= 3 {
		p.formatting = slices.Delete(p.formatting, first, first+1)
	} else if len(p.formatting)-i >= maxFormatting {
		p.unsure = true
	}
	p.formatting = append(p.formatting, e)
}

// listed returns where the last formatting element is, since what is separate, that is wanted, or -1.
func (p *parser) listed(want func(*element) bool) int {
	for i := len(p.formatting) - 1; i >= 0 && p.formatting[i] != nil; i-- {
		p.steps++
		if want(p.formatting[i]) {
			return i
		}
	}
	return -1
}

// separated ends what is separate: the formatting elements in it are not opened again.
func (p *parser) separated() {
	for n := len(p.formatting); n > 0; n-- {
		if p.formatting[n-1] == nil {
			p.formatting = p.formatting[:n-1]
			return
		}
	}
}

func (p *parser) start(name string, attrs map[string]string, closed bool) {
	p.begun = true
	e := &element{name: name, attrs: attrs, role: rolesOf()[name], start: 1}
	if n, err := strconv.Atoi(attrs["start"]); err == nil && n >= 0 && n < 1e6 {
		e.start = n
	}
	if p.foreign() && !(name == "svg" && p.top().name == "annotation-xml") {
		leaves := e.role&breaksOut != 0
		for _, attr := range []string{"color", "face", "size"} {
			_, ok := attrs[attr]
			leaves = leaves || ok && name == "font"
		}
		if !leaves {
			e.foreign, e.role = p.top().foreign, 0
			if strings.Contains(" title desc metadata style script ", " "+name+" ") {
				e.fate = droppedPart
			}
			switch e.foreign + " " + name {
			case "svg foreignobject", "svg desc", "svg title", "math mi", "math mo", "math mn", "math ms", "math mtext":
				e.role = special | barrier | integration
			case "math annotation-xml":
				e.role = special | barrier
				if v := small(attrs["encoding"]); v == "text/html" || v == "application/xhtml+xml" {
					e.role |= integration
				}
			}
			if p.push(e) && closed {
				p.pop(len(p.open) - 1)
			}
			return
		}
		for p.foreign() {
			p.pop(len(p.open) - 1)
		}
	}

	if name == "image" {
		name = "img"
		e.name, e.role = name, rolesOf()[name]
	}
	l := lookOf(name, attrs)
	e.look = l
	switch {
	case elements[name] == dropped && !l.hidden:
		e.fate = droppedPart
	case l.struck:
		e.fate = struckPart
	case l.hidden:
		e.fate = hiddenPart
	case l.invisible:
		e.fate = invisiblePart
	}
	_, shadow := attrs["shadowrootmode"]
	if l.unsure && elements[name] != void || shadow && name == "template" || p.top().foreign == "math" && (name == "mglyph" || name == "malignmark") {
		p.unsure = true
		return
	}

	switch name {
	case "html", "body":
		if !p.inTemplate() {
			p.page(e)
		}
		return
	case "head", "frame":
		return
	case "frameset", "plaintext":
		p.unsure = true
		return
	case "caption", "col", "colgroup", "tbody", "thead", "tfoot", "tr", "td", "th":
		p.part(e)
		return
	case "li":
		p.item("li")
	case "dd", "dt":
		p.item("dd", "dt")
	case "button", "input", "select":
		if name == "input" {
			name = "select"
		}
		i := p.find(name)
		p.pop(i)
		if i >= 0 && e.name == "select" {
			return
		}
	case "option", "optgroup", "hr":
		if p.find("select") >= 0 {
			p.imply(map[string]string{"option": "optgroup"}[name])
		} else if name != "hr" && p.top().is("option") {
			p.pop(len(p.open) - 1)
		}
	case "rb", "rtc", "rp", "rt":
		if p.find("ruby") >= 0 {
			p.imply(map[string]string{"rp": "rtc", "rt": "rtc"}[name])
		}
	case "form":
		if p.inTemplate() {
			break
		}
		if p.form != nil {
			return
		}
		p.form = e
		if p.inRows() {
			return
		}
	case "table":
		if p.inRows() {
			p.pop(p.within("table"))
		}
	case "a":
		if i := p.listed(func(f *element) bool { return f.name == "a" }); i >= 0 {
			old, node := p.formatting[i], p.formatting[i].node
			p.adopt("a")
			if old.node == node { // else it was opened again in a block, and stays
				if i := p.listed(func(f *element) bool { return f == old }); i >= 0 {
					p.formatting = slices.Delete(p.formatting, i, i+1)
				}
				p.drop(old)
			}
		}
	case "nobr":
		p.reopen()
		if p.find("nobr") >= 0 {
			p.adopt("nobr")
		}
	}
	if e.role&closesP != 0 || name == "table" {
		i := p.find("p", "button")
		if name != "table" || p.standard {
			p.pop(i)
		}
		p.unsure = p.unsure || name == "table" && p.otherwise && i >= 0
	}
	if e.role&heading != 0 && p.top().role&heading != 0 {
		p.pop(len(p.open) - 1)
	}
	kind := elements[e.name]
	if e.role&(closesP|bare) == 0 && kind != rawText || e.name == "xmp" {
		p.reopen()
	}
	switch {
	case kind == rawText:
		held := p.raw(name)
		p.unsure = p.unsure || name == "xmp" && strings.Trim(held, white) != "" || name == "script" && nestedScript(held)
		if name == "textarea" && p.push(e) {
			e.node.add(&node{text: held})
			p.pop(len(p.open) - 1)
		}
		return
	case kind == void:
		return
	case name == "br", name == "hr":
		p.place().add(&node{text: name, element: true})
		return
	}
	if name == "svg" || name == "math" {
		e.foreign = name
	}
	if !p.push(e) {
		return
	}
	switch {
	case e.foreign != "" && closed:
		p.pop(len(p.open) - 1)
	case e.role&formatting != 0:
		p.list(e)
	case e.role&separate != 0:
		p.formatting = append(p.formatting, nil)
	}
}

// page takes the tag of the root or the body. A second one only adds what the first has not, which is not done here.
func (p *parser) page(e *element) {
	first := &p.body
	if e.name == "html" {
		first = &p.root
	}
	if *first == nil {
		*first = e
	} else if _, styled := e.attrs["style"]; styled || e.fate != printed {
		p.unsure = true
	}
	p.unsure = p.unsure || p.root != nil && p.root.fate == invisiblePart && p.body != nil && p.body.look.visibility
}

// item closes the item before an item.
func (p *parser) item(names ...string) {
	for i := len(p.open) - 1; i > 0; i-- {
		switch e := p.look(i); {
		case e.role&special == 0, e.is("address"), e.is("div"), e.is("p"):
		case e.foreign == "" && slices.Contains(names, e.name):
			p.pop(i)
			return
		default:
			return
		}
	}
}

// leave closes what is open in a table, from one element on: with it a cell, or nothing that is separate.
func (p *parser) leave(from int) {
	cell := from >= 0 && slices.ContainsFunc(p.open[from:], func(e *element) bool { return e.role&part != 0 && e.role&separate != 0 })
	p.pop(from)
	if cell {
		p.separated()
	}
}

// part opens a part of a table, with the parts that must be around it, in which what is open and is no such part ends.
func (p *parser) part(e *element) {
	if p.within("table") < 0 {
		p.unsure = p.unsure || e.name == "col" && p.inTemplate() // to whose end a browser reads no other tag
		return
	}
	around := []string{"table"}
	switch e.name {
	case "td", "th":
		around = append(around, "tbody", "thead", "tfoot", "tr")
	case "tr":
		around = append(around, "tbody", "thead", "tfoot")
	}
	i := len(p.open)
	for p.look(i-1).foreign != "" || !slices.Contains(around, p.open[i-1].name) {
		i--
	}
	p.leave(i)
	if len(around) > 1 && p.top().name == "table" {
		p.push(&element{name: "tbody", role: rolesOf()["tbody"]})
	}
	if len(around) > 4 && p.top().name != "tr" {
		p.push(&element{name: "tr", role: rolesOf()["tr"]})
	}
	if e.role&part != 0 && p.push(e) && e.role&separate != 0 {
		p.formatting = append(p.formatting, nil)
	}
}

func (p *parser) end(name string) {
	if p.top().foreign != "" {
		if name == "p" || name == "br" {
			for p.foreign() {
				p.pop(len(p.open) - 1)
			}
		}
		for i := len(p.open) - 1; p.look(i).foreign != ""; i-- {
			if p.open[i].name == name {
				p.unsure = p.unsure || name == "foreignobject" // Chromium finds no end tag of it
				p.pop(i)
				return
			}
		}
	}
	switch r := rolesOf()[name]; {
	case name == "html", name == "body", name == "head", name == "colgroup":
	case name == "br":
		p.start("br", nil, false)
	case name == "p":
		i := p.find("p", "button")
		if i < 0 && p.push(&element{name: "p", role: rolesOf()["p"]}) {
			i = len(p.open) - 1
		}
		p.pop(i)
	case name == "li":
		p.pop(p.find("li", "ol", "ul"))
	case name == "form":
		p.endForm()
	case name == "template":
		if p.inTemplate() {
			i := len(p.open) - 1
			for !p.look(i).is("template") {
				i--
			}
			p.pop(i)
			p.separated()
		}
	case r&formatting != 0:
		p.adopt(name)
	case r&heading != 0:
		for i := len(p.open) - 1; p.look(i).role&barrier == 0; i-- {
			if p.open[i].role&heading != 0 {
				p.pop(i)
				return
			}
		}
	case r&part != 0, name == "table":
		p.leave(p.within(name))
	case r&scoped != 0:
		if i := p.find(name); i >= 0 {
			p.pop(i)
			if r&separate != 0 {
				p.separated()
			}
		}
	default:
		p.other(name)
	}
}

// other closes an element, if nothing special is open in it.
func (p *parser) other(name string) {
	for i := len(p.open) - 1; ; i-- {
		switch e := p.look(i); {
		case e.is(name):
			p.pop(i)
			return
		case e.role&special != 0:
			return
		}
	}
}

// endForm closes the form, though not what is open in it.
func (p *parser) endForm() {
	form := p.form
	if form == nil || p.inTemplate() {
		return
	}
	p.form = nil
	if i := p.find("form"); i >= 0 && p.open[i] == form {
		p.imply("")
		p.drop(form)
	}
}

// drop takes an element out of the open ones, and leaves open what is in it.
func (p *parser) drop(e *element) {
	p.steps += len(p.open)
	if i := slices.Index(p.open, e); i >= 0 {
		e.open = false
		p.open = slices.Delete(p.open, i, i+1)
	}
}

// adopt ends a formatting element by what the standard calls the adoption agency: a block that is open in it is taken out of it, with
// what it held wrapped in the formatting element again.
func (p *parser) adopt(name string) {
	at := func(e *element) int { return p.listed(func(f *element) bool { return f == e }) }
	if t := p.top(); t.is(name) && at(t) < 0 {
		p.pop(len(p.open) - 1)
		return
	}
	for range 8 {
		n := p.listed(func(f *element) bool { return f.name == name })
		if n < 0 {
			p.other(name)
			return
		}
		f := p.formatting[n]
		if !f.open {
			p.formatting = slices.Delete(p.formatting, n, n+1)
			return
		}
		p.steps += len(p.open)
		i := slices.Index(p.open, f)
		b := 0
		for j := len(p.open) - 1; j > i; j-- {
			if p.open[j].role&barrier != 0 {
				return
			}
			if p.open[j].role&special != 0 {
				b = j
			}
		}
		if b == 0 {
			p.pop(i)
			p.formatting = slices.Delete(p.formatting, n, n+1)
			return
		}
		// Of what is between the two, three formatting elements at most are opened again.
		var between []*element
		put := n
		for j := b - 1; j > i; j-- {
			e := p.open[j]
			e.open = false
			k := at(e)
			switch {
			case k < 0:
			case b-j > 3:
				p.formatting = slices.Delete(p.formatting, k, k+1)
				if k < put {
					put--
				}
			default:
				if len(between) == 0 {
					put = k + 1
				}
				between = append(between, e)
			}
		}
		n = at(f)
		p.formatting = slices.Delete(p.formatting, n, n+1)
		if n < put {
			put--
		}
		p.formatting = slices.Insert(p.formatting, put, f)

		block, inside := p.open[b], slices.Clone(p.open[b+1:])
		p.open = p.open[:i]
		for _, e := range slices.Backward(between) {
			p.push(e)
		}
		old := block.node
		p.push(block)
		f.node = block.node.add(&node{text: f.name, element: true, fate: f.fate, visibility: f.look.visibility, apart: f.look.apart, first: old.first, last: old.last})
		*old = node{element: true, next: old.next}
		for _, e := range inside {
			if e.node == old {
				e.node = f.node
			}
		}
		p.open = append(append(p.open, f), inside...)
	}
}
