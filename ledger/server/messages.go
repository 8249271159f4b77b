package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"reflect"
	"strings"
)

// messagesFile is the catalogue of what the pages say: a flat JSON object of keys and English sentences with {placeholders}.
// Another language is another file with the same keys. Keys that begin with "js." are for the browser's modules.
const messagesFile = "messages.en.json"

// A catalogue is what the pages say in one language, by key.
type catalogue map[string]string

func readCatalogue(data []byte) (catalogue, error) {
	var c catalogue
	err := json.Unmarshal(data, &c)
	return c, err
}

// say returns the message of a key, with each {name} replaced by the value that follows the name in pairs. A
// template.HTML among the values stays markup, and makes the answer one, in which all else is escaped.
func (c catalogue) say(key string, pairs ...any) (any, error) {
	text, ok := c[key]
	if !ok || len(pairs)%2 != 0 {
		return nil, fmt.Errorf("the message %q is not there, or a value of it", key)
	}
	markup := false
	for i := 1; i < len(pairs); i += 2 {
		if _, ok := pairs[i].(fmt.Stringer); !ok && reflect.ValueOf(pairs[i]).Kind() == reflect.Pointer {
			return nil, fmt.Errorf("the message %q is given a pointer", key)
		}
		_, is := pairs[i].(template.HTML)
		markup = markup || is
	}
	escape := func(s string) string { return s }
	if markup {
		escape = template.HTMLEscapeString
	}
	var b strings.Builder
	used := map[string]bool{"n": true} // a number chooses the form, and need not be said
	for {
		before, after, ok := strings.Cut(text, "{")
		b.WriteString(escape(before))
		if !ok {
			break
		}
		name, rest, ok := strings.Cut(after, "}")
		value, found := valueOf(pairs, name)
		if !ok || !found {
			return nil, fmt.Errorf("the message %q has a placeholder without a value", key)
		}
		if html, is := value.(template.HTML); is {
			b.WriteString(string(html))
		} else {
			b.WriteString(escape(fmt.Sprint(value)))
		}
		used[name] = true
		text = rest
	}
	for i := 0; i < len(pairs); i += 2 {
		if name, _ := pairs[i].(string); !used[name] {
			return nil, fmt.Errorf("the message %q has no place for a value", key)
		}
	}
	if markup {
		return template.HTML(b.String()), nil
	}
	return b.String(), nil
}

func valueOf(pairs []any, name string) (any, bool) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == name {
			return pairs[i+1], true
		}
	}
	return nil, false
}

// count is say for a number n, which {n} stands for: it takes the key with ".one" or ".other" after it.
func (c catalogue) count(key string, n any, pairs ...any) (any, error) {
	form := ".other"
	if fmt.Sprint(n) == "1" {
		form = ".one"
	}
	return c.say(key+form, append([]any{"n", numberOf(n)}, pairs...)...)
}

// name returns what something of a kind is called, such as the media type text/html; unknown if it has no name.
func (c catalogue) name(kind, id, unknown string) string {
	if name, ok := c[kind+"."+id]; ok {
		return name
	}
	return unknown
}

// link returns a link for a message. It leads to this server alone.
func link(path string, text any) (template.HTML, error) {
	if path == "" || !strings.Contains("/#?", path[:1]) || strings.HasPrefix(path, "//") {
		return "", errors.New("a link of a message leads away")
	}
	return template.HTML(`<a href="` + template.HTMLEscapeString(path) + `">` + markup(text) + `</a>`), nil
}

// code returns what is set as code in a message.
func code(text any) template.HTML { return template.HTML(`<code>` + markup(text) + `</code>`) }

// strong returns what is stressed in a message.
func strong(text any) template.HTML { return template.HTML(`<strong>` + markup(text) + `</strong>`) }

// isolate returns a name for a message, whose direction is its own.
func isolate(text any) template.HTML { return template.HTML(`<bdi>` + markup(text) + `</bdi>`) }

func markup(text any) string {
	if html, ok := text.(template.HTML); ok {
		return string(html)
	}
	return template.HTMLEscapeString(fmt.Sprint(text))
}
