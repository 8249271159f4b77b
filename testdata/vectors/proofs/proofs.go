//go:build data

// Package proofs requires the version of transparency-dev/merkle whose testdata holds RFC 6962 proof vectors. It is never
// compiled.
package proofs

import _ "github.com/transparency-dev/merkle/proof"
