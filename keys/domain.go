package keys

import (
	"errors"
	"strings"

	"github.com/tccm/undersigned/keys/unicode15"
)

const (
	maxDomain = 253 // bytes, RFC 1035 section 2.3.4 without the root's dot
	maxLabel  = 63
	maxOrigin = 200
)

var (
	errDomainLength = errors.New("keys: a domain has 1 to 253 bytes and labels of 1 to 63 bytes")
	errDomainLabels = errors.New("keys: a domain has two labels or more")
	errDomainChars  = errors.New("keys: a domain's labels consist of a-z, 0-9 and inner hyphens")
	errDomainDigits = errors.New("keys: a domain's last label is not all digits")
	errDomainIDN    = errors.New("keys: a domain's xn-- labels are A-labels of Unicode 15.0 under IDNA2008")
	errDomainBidi   = errors.New("keys: a domain that reads from right to left obeys RFC 5893")

	errOriginLength = errors.New("keys: an origin has 1 to 200 bytes")
	errOriginPath   = errors.New("keys: an origin is a domain, or a domain and path segments of a-z, 0-9, '.', '_', '~' and '-'")
)

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// CheckDomain returns nil if s is a domain name as the record writes it: at least two labels of
// lower-case letters, digits and inner hyphens, 1 to 63 bytes each and at most 253 in all, no
// final dot, the last label not all digits (RFC 1123 section 2.1; it would be an address).
//
// A label that starts with "xn--" must be an A-label (RFC 5890): it decodes to a U-label that
// [unicode15.Label] accepts and that encodes to the very same bytes. Other labels with hyphens in
// the third and fourth position are reserved (RFC 5891 section 4.2.3.1) and refused. If a label
// reads from right to left, all of them obey the Bidi rule (RFC 5893 section 2).
func CheckDomain(s string) error {
	_, err := unicodeLabels(s)
	return err
}

// DomainToUnicode returns the domain with its A-labels as U-labels, for display beside the
// domain itself, never instead of it. It returns the input if that is not a valid domain.
func DomainToUnicode(domain string) string {
	labels, err := unicodeLabels(domain)
	if err != nil {
		return domain
	}
	return strings.Join(labels, ".")
}

// DisplayDomain returns the domain and, if it has A-labels, in parentheses how that reads.
func DisplayDomain(domain string) string {
	if u := DomainToUnicode(domain); u != domain {
		return domain + " (" + u + ")"
	}
	return domain
}

// unicodeLabels checks a domain and returns its labels, A-labels decoded.
func unicodeLabels(s string) ([]string, error) {
	if len(s) == 0 || len(s) > maxDomain {
		return nil, errDomainLength
	}
	labels := strings.Split(s, ".")
	if len(labels) < 2 {
		return nil, errDomainLabels
	}
	rtl := false
	for i, label := range labels {
		if len(label) == 0 || len(label) > maxLabel {
			return nil, errDomainLength
		}
		for _, c := range []byte(label) {
			if !isLower(c) && !isDigit(c) && c != '-' {
				return nil, errDomainChars
			}
		}
		if label[0] == '-' || label[len(label)-1] == '-' {
			return nil, errDomainChars
		}
		if len(label) < 4 || label[2:4] != "--" {
			continue
		}
		u, ok := decodeALabel(label)
		if !ok {
			return nil, errDomainIDN
		}
		labels[i] = u
		rtl = rtl || unicode15.RightToLeft(u)
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return nil, errDomainDigits
	}
	if rtl {
		for _, label := range labels {
			if !unicode15.BidiRule(label) {
				return nil, errDomainBidi
			}
		}
	}
	return labels, nil
}

// decodeALabel returns the U-label of an A-label, which has passed the LDH rule.
func decodeALabel(label string) (string, bool) {
	encoded, ok := strings.CutPrefix(label, "xn--")
	if !ok {
		return "", false
	}
	u, ok := punyDecode(encoded)
	if !ok || !unicode15.Label(u) {
		return "", false
	}
	again, ok := punyEncode(u)
	return u, ok && again == encoded
}

// CheckOrigin returns nil if s can be a ledger's origin (c2sp.org/tlog-checkpoint): a domain as
// in [CheckDomain], alone or followed by non-empty path segments of a-z, 0-9, '.', '_', '~' and '-'
// other than "." and "..", 200 bytes at most. So it is printable ASCII without space and '+', a valid key
// name of a signed note, and never starts with "undersigned/": no origin line is an entry's first line.
func CheckOrigin(s string) error {
	if len(s) == 0 || len(s) > maxOrigin {
		return errOriginLength
	}
	host, path, hasPath := strings.Cut(s, "/")
	if err := CheckDomain(host); err != nil {
		return err
	}
	if !hasPath {
		return nil
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return errOriginPath
		}
		for _, c := range []byte(segment) {
			if !isLower(c) && !isDigit(c) && strings.IndexByte("._~-", c) < 0 {
				return errOriginPath
			}
		}
	}
	return nil
}
