// Package interop holds tests against other implementations of the formats and protocols that Undersigned speaks. It is a
// module of its own, so that nobody who uses the packages pulls what only these tests need.
package interop
