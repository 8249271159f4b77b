package verify

import "testing"

func TestDemoNotice(t *testing.T) {
	for origin, demo := range map[string]bool{
		"demo.undersigned.example/tccm": true,
		"ledger.example/demo.tccm":      false,
		"democracy.example":             false,
		"":                              false,
	} {
		if got := DemoNotice(origin) != ""; got != demo {
			t.Errorf("%q is a demonstration: %t", origin, got)
		}
	}
}
