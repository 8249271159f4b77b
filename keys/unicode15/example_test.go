package unicode15_test

import (
	"fmt"

	"github.com/tccm/undersigned/keys/unicode15"
)

func ExampleFreeText() {
	fmt.Println(unicode15.FreeText("Verisign, Inc."))
	fmt.Println(unicode15.FreeText("Verisign\u202e, Inc."))
	// Output:
	// true
	// false
}

func ExampleSkeletons() {
	a, b := unicode15.Skeletons("APNIC"), unicode15.Skeletons("аpnic") // Cyrillic а
	fmt.Println(a[0] == b[0] || a[1] == b[1])
	fmt.Println(unicode15.MixedScripts("аpnic"))
	// Output:
	// true
	// true
}
