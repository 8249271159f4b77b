package check

import (
	"fmt"
	"strings"
	"time"
)

// Bytes is a number of bytes, in the largest unit of which it is a whole number.
func Bytes(n int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.size && n%unit.size == 0 {
			return fmt.Sprintf("%d %s", n/unit.size, unit.name)
		}
	}
	return Plural(n, "byte")
}

// Number is a number as people read it: 12,005.
func Number[N int | int64 | uint64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural is a number with its noun.
func Plural[N int | int64 | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	number := Number(n)
	if strings.HasSuffix(noun, "y") && !strings.HasSuffix(noun, "ey") {
		return number + " " + noun[:len(noun)-1] + "ies"
	}
	if strings.HasSuffix(noun, "s") {
		return number + " " + noun + "es"
	}
	return number + " " + noun + "s"
}

// Moment is a time as people read it.
func Moment(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }

// languages are what people call languages that statements are likely to be in. All that there are would be a tenth of what a browser loads.
var languages = map[string]string{
	"ar": "Arabic", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "ms": "Malay", "nb": "Norwegian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}

// Language is what people call a language by its tag: German, of de and of de-CH. One that has no name here stays a tag.
func Language(tag string) string {
	primary, _, _ := strings.Cut(tag, "-")
	if name, ok := languages[strings.ToLower(primary)]; ok {
		return name
	}
	return tag
}

// capital begins a sentence.
func capital(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

// A Failure is an error with the exit code that it means. Its text is a sentence for people.
type Failure struct {
	Code int
	Err  error
}

func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns what is behind it.
func (f *Failure) Unwrap() error { return f.Err }

// Failf is an error with a code.
func Failf(code int, format string, args ...any) error {
	return &Failure{code, fmt.Errorf(format, args...)}
}
