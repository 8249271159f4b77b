package check

import (
	"fmt"
	"strings"
	"time"
)

// Plural is a number with its noun.
func Plural[N int | int64 | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "y") && !strings.HasSuffix(noun, "ey") {
		return fmt.Sprintf("%d %sies", n, noun[:len(noun)-1])
	}
	if strings.HasSuffix(noun, "s") {
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Moment is a time as people read it.
func Moment(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }

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
