package verify

import "strings"

// DemoNotice returns the sentence that goes with everything shown of a demonstration's record, and ""
// for any other record. A demonstration is a record whose origin begins with "demo.".
func DemoNotice(origin string) string {
	if strings.HasPrefix(origin, "demo.") {
		return "This is a demonstration: its keys were generated for it, and no real organization has signed."
	}
	return ""
}
