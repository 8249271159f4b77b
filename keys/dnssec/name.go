package dnssec

import (
	"bytes"
	"strings"
)

// Names are in wire form (RFC 1035 section 3.1): labels after their lengths, ending in the root's zero. "test." is "\x04test\x00".
const rootName = "\x00"

// cutName cuts an uncompressed name off the front of b.
func cutName(b []byte) (name string, rest []byte, ok bool) {
	for i := 0; i < len(b) && i < 255; i += 1 + int(b[i]) {
		if b[i] == 0 {
			return string(b[:i+1]), b[i+1:], true
		}
		if b[i] > 63 {
			break
		}
	}
	return "", nil, false
}

// wireName returns a domain, or ".", in wire form.
func wireName(domain string) string {
	if domain == "." {
		return rootName
	}
	var b strings.Builder
	for label := range strings.SplitSeq(domain, ".") {
		b.WriteByte(byte(len(label)))
		b.WriteString(label)
	}
	return b.String() + rootName
}

// textName returns a name that is, or is above, one that wireName has made.
func textName(name string) string {
	if name == rootName {
		return "."
	}
	var labels []string
	for ; name != rootName; name = parent(name) {
		labels = append(labels, name[1:1+name[0]])
	}
	return strings.Join(labels, ".")
}

// parent returns the name without its first label; name is not the root.
func parent(name string) string { return name[1+name[0]:] }

// labels counts the labels of a name as an RRSIG does: without the root, and without a leading asterisk.
func labels(name string) int {
	n := 0
	if strings.HasPrefix(name, "\x01*") {
		n = -1
	}
	for ; name != rootName; name = parent(name) {
		n++
	}
	return n
}

// within says whether a name is zone or below it: whole labels are compared, not ends of strings.
func within(name, zone string) bool {
	for ; name != zone; name = parent(name) {
		if name == rootName {
			return false
		}
	}
	return true
}

// common returns the longest name that both are in.
func common(a, b string) string {
	for !within(b, a) {
		a = parent(a)
	}
	return a
}

// lower returns a name in lower case. The lengths of labels are below 'A'.
func lower(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// compareNames orders names in lower case as RFC 4034 section 6.1 does: by labels, from the last one.
func compareNames(a, b string) int {
	la, lb := splitName(a), splitName(b)
	for i := 1; i <= len(la) && i <= len(lb); i++ {
		if c := bytes.Compare(la[len(la)-i], lb[len(lb)-i]); c != 0 {
			return c
		}
	}
	return len(la) - len(lb)
}

func splitName(name string) (labels [][]byte) {
	for ; name != rootName; name = parent(name) {
		labels = append(labels, []byte(name[1:1+name[0]]))
	}
	return labels
}
