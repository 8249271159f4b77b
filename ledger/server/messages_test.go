package server

import (
	"html/template"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tccm/undersigned/verify"
)

// Every message that a page or a module asks for is there, and none is there that nobody asks for.
func TestMessagesAreUsed(t *testing.T) {
	wanted := map[string]bool{}
	want := func(files string, pattern string, forms ...string) {
		paths, err := filepath.Glob(files)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(data), -1) {
				for _, form := range forms {
					if english()[m[1]+form] == "" {
						t.Errorf("%s asks for the message %q, which is not there", path, m[1]+form)
					}
					wanted[m[1]+form] = true
				}
			}
		}
	}
	want("assets/*.html", `\bsay "([^"]*)"`, "")
	want("assets/*.html", `\bcount "([^"]*)"`, ".one", ".other")
	want("*.go", `message\("([^"]*)"`, "")
	want("../takeaway/page.html", `\bsay "([^"]*)"`, "")
	// A key of a module may be one that count takes.
	for _, files := range []string{"assets/*.js", "../takeaway/*.js"} {
		paths, err := filepath.Glob(files)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`"(js\.[a-z0-9.-]*[a-z0-9])"`).FindAllStringSubmatch(string(data), -1) {
				forms := []string{m[1]}
				if english()[m[1]] == "" {
					forms = []string{m[1] + ".one", m[1] + ".other"}
				}
				for _, key := range forms {
					if english()[key] == "" {
						t.Errorf("%s asks for the message %q, which is not there", path, key)
					}
					wanted[key] = true
				}
			}
		}
	}
	for key := range english() {
		kind, _, _ := strings.Cut(key, ".")
		if kind == "media" { // name asks for it
			continue
		}
		if !wanted[key] {
			t.Errorf("nobody asks for the message %q", key)
		}
	}
}

// TestWords: numbers, moments and long words, as the pages write them.
func TestWords(t *testing.T) {
	for n, want := range map[any]string{1: "1", 12005: "12,005", int64(2944): "2,944", uint64(1000): "1,000", "x": "x"} {
		if got := numberOf(n); got != want {
			t.Errorf("%v: %s", n, got)
		}
	}
	for text, want := range map[string]string{"2024-06-11T23:59:59.999Z": "the end of 11 June 2024 (UTC)", "2024-06-11T23:59:58.999Z": "11 June 2024, 23:59:58.999 UTC", "2024-06-11T23:59:59Z": "11 June 2024, 23:59:59 UTC"} {
		m, err := verify.ParseMoment(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := sealedAt(m); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	for words, want := range map[string]string{"apnic.net joined": "apnic.net joined", "a-long-label.domain.example <b>": "a-long-label.<wbr>domain.<wbr>example &lt;b&gt;", "north.example/witness": "north.<wbr>example/<wbr>witness",
		"xn--80ak6aa92e.example": `<span class="whole">xn--80ak6aa92e.</span><wbr>example`, "xn--a--b.example, gone": `<span class="whole">xn--a--b.</span><wbr>example, gone`} {
		if got := string(soft(words)); got != want {
			t.Errorf("%s", got)
		}
	}
}

func TestSay(t *testing.T) {
	c := catalogue{"plain": "a < b", "two": "{b} and {a}", "n.one": "one {what}", "n.other": "{n} {what}s", "broken": "{", "never": "{x"}
	cases := []struct {
		name  string
		key   string
		pairs []any
		want  any // nil: an error
	}{
		{"a sentence", "plain", nil, "a < b"},
		{"values", "two", []any{"a", "<1>", "b", 2}, "2 and <1>"},
		{"markup", "two", []any{"a", "<1>", "b", template.HTML("<b>2</b>")}, template.HTML("<b>2</b> and &lt;1&gt;")},
		{"no such key", "none", nil, nil},
		{"a value too few", "two", []any{"a", 1}, nil},
		{"a value too many", "plain", []any{"a", 1}, nil},
		{"a pointer", "two", []any{"a", new(uint64), "b", 2}, nil},
		{"half a pair", "plain", []any{"a"}, nil},
		{"a name that is none", "two", []any{"a", 1, 2, 3}, nil},
		{"a brace left open", "broken", nil, nil},
		{"a placeholder left open", "never", []any{"x", 1}, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got, err := c.say(tc.key, tc.pairs...)
			if (err != nil) != (tc.want == nil) || got != tc.want {
				t.Errorf("%#v, %v, want %#v", got, err, tc.want)
			}
		})
	}
	for n, want := range map[any]string{1: "one thing", uint64(1): "one thing", 0: "0 things", int64(12): "12 things"} {
		if got, err := c.count("n", n, "what", "thing"); err != nil || got != want {
			t.Errorf("%v: %v, %v, want %s", n, got, err, want)
		}
	}
}

// A link of a message stays on this server, and what it says is text.
func TestLink(t *testing.T) {
	for _, path := range []string{"", "https://evil.example/", "//evil.example", "javascript:alert(1)", " /x"} {
		if html, err := link(path, "x"); err == nil {
			t.Errorf("%q is a link: %s", path, html)
		}
	}
	got, err := link(`/a?b="c"&d`, "<x>")
	if want := template.HTML(`<a href="/a?b=&#34;c&#34;&amp;d">&lt;x&gt;</a>`); err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	var made []template.HTML
	for _, f := range []func(any) template.HTML{code, strong, isolate} {
		made = append(made, f("<x>"))
	}
	if want := []template.HTML{"<code>&lt;x&gt;</code>", "<strong>&lt;x&gt;</strong>", "<bdi>&lt;x&gt;</bdi>"}; !slices.Equal(made, want) {
		t.Errorf("%q, want %q", made, want)
	}
}
