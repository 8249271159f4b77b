//go:build unix

package main

import (
	"os"
	"syscall"
)

// sealSignal is what asks for lists to be sealed now.
var sealSignal os.Signal = syscall.SIGUSR1
