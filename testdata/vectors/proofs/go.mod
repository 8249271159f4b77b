module github.com/tccm/undersigned/testdata/vectors/proofs

go 1.26.0

require github.com/transparency-dev/merkle v0.0.3-0.20260727102338-4491f478b7dc
