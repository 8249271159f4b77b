// Package vectors runs other people's test vectors through keys and verify. It is a module of its own, so that
// the 109 MB of Wycheproof reach nobody who only builds Undersigned:
//
//	go -C testdata/vectors test ./...
//
// The module proofs beside it holds one requirement, the later version of transparency-dev/merkle that has vectors;
// the code under test stays with the version that Undersigned is built with.
package vectors
