package main

import "os"

// sealSignal is none: there is no such signal here. The charter's schedule seals.
var sealSignal os.Signal
