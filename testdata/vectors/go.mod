module github.com/tccm/undersigned/testdata/vectors

go 1.26.4

require (
	filippo.io/mldsa v1.0.0
	github.com/c2sp/wycheproof v0.0.0-20260902155932-3fa63dd0344a
	github.com/tccm/undersigned v0.0.0
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/transparency-dev/merkle v0.0.2 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/tccm/undersigned => ../..
