//go:build race

package server

// raced says that all code runs many times slower than it does for anybody.
const raced = true
