package keys

import (
	"strings"
	"unicode/utf8"
)

// Punycode's parameters for IDNA, RFC 3492 section 5.
const (
	punyBase        = 36
	punyTMin        = 1
	punyTMax        = 26
	punySkew        = 38
	punyDamp        = 700
	punyInitialBias = 72
	punyInitialN    = 0x80
)

const punyDigits = "abcdefghijklmnopqrstuvwxyz0123456789"

// punyDecode decodes what follows "xn--" in a lower-case label of at most 63 bytes (RFC 3492
// section 6.2). A code point beyond U+10FFFF and a surrogate are refused. Nothing overflows:
// every sum is held against what the longest label could mean.
func punyDecode(s string) (string, bool) {
	var out []rune
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		if i == 0 {
			return "", false // a delimiter that delimits nothing
		}
		out = []rune(s[:i])
		s = s[i+1:]
	}
	n, at, bias := int64(punyInitialN), int64(0), int64(punyInitialBias)
	const limit = (utf8.MaxRune + 1) * (maxLabel + 1)
	for first := true; len(s) > 0; first = false {
		old, weight := at, int64(1)
		for k := int64(punyBase); ; k += punyBase {
			if len(s) == 0 {
				return "", false
			}
			digit := int64(strings.IndexByte(punyDigits, s[0]))
			s = s[1:]
			if digit < 0 {
				return "", false
			}
			at += digit * weight
			if at > limit {
				return "", false
			}
			t := punyThreshold(k, bias)
			if digit < t {
				break
			}
			weight *= punyBase - t // at most 35 times limit: a digit that goes on is at least 1
		}
		length := int64(len(out) + 1)
		bias = punyAdapt(at-old, length, first)
		n += at / length
		at %= length
		if n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
			return "", false
		}
		out = append(out, 0)
		copy(out[at+1:], out[at:])
		out[at] = rune(n)
		at++
	}
	return string(out), true
}

// punyEncode is the inverse (RFC 3492 section 6.3) for valid UTF-8 of at most maxLabel runes.
func punyEncode(s string) (string, bool) {
	runes := []rune(s)
	if len(runes) > maxLabel || !utf8.ValidString(s) {
		return "", false
	}
	var out []byte
	for _, r := range runes {
		if r < punyInitialN {
			out = append(out, byte(r))
		}
	}
	done := int64(len(out))
	basic := done
	if basic > 0 {
		out = append(out, '-')
	}
	n, delta, bias := rune(punyInitialN), int64(0), int64(punyInitialBias)
	for done < int64(len(runes)) {
		next := rune(utf8.MaxRune + 1)
		for _, r := range runes {
			if r >= n && r < next {
				next = r
			}
		}
		delta += int64(next-n) * (done + 1)
		n = next
		for _, r := range runes {
			if r < n {
				delta++
			}
			if r != n {
				continue
			}
			q := delta
			for k := int64(punyBase); ; k += punyBase {
				t := punyThreshold(k, bias)
				if q < t {
					break
				}
				out = append(out, punyDigits[t+(q-t)%(punyBase-t)])
				q = (q - t) / (punyBase - t)
			}
			out = append(out, punyDigits[q])
			bias = punyAdapt(delta, done+1, done == basic)
			delta = 0
			done++
		}
		delta++
		n++
	}
	return string(out), true
}

func punyThreshold(k, bias int64) int64 { return min(max(k-bias, punyTMin), punyTMax) }

// punyAdapt is RFC 3492 section 6.1.
func punyAdapt(delta, length int64, first bool) int64 {
	if first {
		delta /= punyDamp
	} else {
		delta /= 2
	}
	delta += delta / length
	k := int64(0)
	for delta > (punyBase-punyTMin)*punyTMax/2 {
		delta /= punyBase - punyTMin
		k += punyBase
	}
	return k + (punyBase-punyTMin+1)*delta/(delta+punySkew)
}
