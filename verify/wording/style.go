package wording

import (
	"slices"
	"strings"
)

// white is what HTML and CSS take for spaces.
const white = " \t\r\n\f"

// small is in small letters what of ASCII is in capitals: HTML and CSS know no other letters.
func small(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// A look is what an element's own markup does to its looks.
type look struct {
	hidden, invisible, struck bool
	visibility                bool // it is seen, though what is around it may not be
	apart                     bool // no line that strikes out what is around it goes through it
	unsure                    bool // it cannot be told
}

// A declaration is one of a style.
type declaration struct {
	property, value string
	important       bool
}

// lookOf reads an element's name and attributes.
func lookOf(name string, attrs map[string]string) look {
	var l look
	until, hidden := attrs["hidden"]
	_, popover := attrs["popover"]
	_, open := attrs["open"]
	l.hidden = (hidden || popover) && name != "svg" && name != "math" || name == "dialog" && !open
	l.struck = name == "s" || name == "strike" || name == "del"
	// One is hidden until somebody looks for it, and Chromium shows the other.
	l.unsure = hidden && (small(until) == "until-found" || name == "marquee")
	l.apart = name == "textarea" || name == "button" || name == "marquee"
	style := attrs["style"]
	if style == "" {
		return l
	}
	list, ok := declarations(style)
	if !ok {
		l.unsure = true
		return l
	}
	declare := func(on *bool, effect func(value string) (on, sure bool), properties ...string) (declared bool) {
		var doubts []bool
		important := false
		for _, d := range list {
			if !slices.Contains(properties, d.property) {
				continue
			}
			declared = true
			switch value, sure := effect(d.value); {
			case !sure:
				doubts = append(doubts, value)
			case d.important || !important:
				*on, important = value, d.important
			}
		}
		// What a browser may not know only matters if it changes something.
		l.unsure = l.unsure || slices.Contains(doubts, !*on)
		return declared
	}
	never := strings.Contains(" script style title noscript noembed noframes rp datalist ", " "+name+" ")
	shown := declare(&l.hidden, displayEffect, "display") && !l.hidden
	l.visibility = declare(&l.invisible, visibilityEffect, "visibility") && !l.invisible
	declare(&l.struck, decorationEffect, "text-decoration", "text-decoration-line")
	l.unsure = l.unsure || never && shown
	l.apart = l.apart || list == nil
	for _, d := range list {
		switch {
		case d.property == "all":
			l.unsure = true
		case d.property == "float", d.property == "position", d.property == "display" && strings.HasPrefix(d.value, "inline-"):
			l.apart = true
		case strings.HasPrefix(d.property, "text-decoration"): // the line could be one that is not seen
			_, sure := decorationEffect(d.value)
			l.unsure = l.unsure || l.struck && !sure
		}
	}
	return l
}

func displayEffect(value string) (hidden, sure bool) {
	switch value {
	case "none":
		return true, true
	case "table-column", "table-column-group": // as if it were empty
		return true, false
	case "block", "inline", "inline-block", "flex", "inline-flex", "grid", "inline-grid", "table", "inline-table", "table-row", "table-cell", "table-caption",
		"table-row-group", "table-header-group", "table-footer-group", "list-item", "flow-root", "contents", "initial", "inherit", "unset":
		return false, true
	}
	return false, false
}

func visibilityEffect(value string) (invisible, sure bool) {
	switch value {
	case "hidden", "collapse":
		return true, true
	}
	return false, slices.Contains([]string{"visible", "initial", "inherit", "unset"}, value)
}

func decorationEffect(value string) (struck, sure bool) {
	switch value {
	case "line-through", "underline line-through", "line-through underline":
		return true, true
	case "none", "underline", "overline", "initial", "inherit", "unset":
		return false, true
	}
	return strings.Contains(value, "line-through"), false
}

// declarations reads a style; false: it is written so that its words may not be what they seem, and it has words that matter.
func declarations(style string) (list []declaration, ok bool) {
	s := small(style)
	if strings.Contains(s, `\`) { // any letter could be written by its number
		return nil, false
	}
	for s != "" {
		end := declarationEnd(s)
		if end < 0 {
			s = small(style)
			return nil, !slices.ContainsFunc([]string{"display", "visibility", "decoration", "all"}, func(word string) bool { return strings.Contains(s, word) })
		}
		property, value, _ := strings.Cut(s[:end], ":")
		value = strings.Trim(value, white)
		d := declaration{property: strings.Trim(property, white)}
		if v, ok := strings.CutSuffix(value, "important"); ok {
			if v, ok := strings.CutSuffix(strings.TrimRight(v, white), "!"); ok {
				value, d.important = strings.TrimRight(v, white), true
			}
		}
		d.value = value
		list = append(list, d)
		s = s[min(len(s), end+1):]
	}
	return list, true
}

// declarationEnd returns where a declaration ends, or -1 if that would have to be read as CSS says.
func declarationEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ';':
			if depth == 0 {
				return i
			}
		case '"', '\'':
			n := strings.IndexByte(s[i+1:], s[i])
			if n < 0 || strings.ContainsAny(s[i+1:i+1+n], "\r\n\f") {
				return -1
			}
			i += n + 1
		case '(':
			if inside := strings.TrimLeft(s[i+1:], white); strings.HasSuffix(s[:i], "url") && inside != "" && inside[0] != '"' && inside[0] != '\'' {
				n := strings.IndexByte(s[i:], ')') // of an address without quotation marks nothing else counts
				if n < 0 {
					return -1
				}
				i += n
			} else {
				depth++
			}
		case ')':
			depth--
		case '{', '}', '[', ']':
			return -1
		case '/':
			if strings.HasPrefix(s[i:], "/*") {
				return -1
			}
		}
		if depth < 0 {
			return -1
		}
	}
	if depth > 0 {
		return -1
	}
	return len(s)
}
