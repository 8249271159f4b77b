// Package keys is the public half of identity: domain names and origins, suites, public keys,
// key IDs, verifier keys, and the verification of one signature. It holds no secret and reads
// no clock, no file and no network, so that a browser compiles it as it is.
//
// A key is written in full where it is registered, as a suite and its SubjectPublicKeyInfo
// (SPKI, RFC 5280 section 4.1) in DER, and by reference wherever it signs:
//
//	public-key ed25519 MCowBQYDK2VwAyEA6TJ5GubnqECkYWTJBHhkJtXngh3YspoA1hyucq/dTaQ=
//	key ed25519 sha256:e4dd66b90c8444bb0fd84115b4d228d1d9fc0ae70d47bb4a3aa05ef6c4397846
//
// The reference is the SHA-256 of the SPKI bytes:
//
//	openssl pkey -pubin -in key.pem -outform DER | sha256sum
//
// A suite fixes key type, hash, padding and encoding together; it is fixed when the key is
// registered and never read from a signature. sshsig and sshsig-sk fix them for each type of key
// that they take, and leave an RSA key's owner the choice between SHA-256 and SHA-512, which is signed.
//
// An SSH key is registered by its bare SPKI too, and its signature line holds the bytes of an
// SSH signature (PROTOCOL.sshsig) for the namespace "undersigned@" and the ledger's origin:
//
//	ssh-keygen -Y sign -n undersigned@ledger.example/tccm -f id_ed25519 text
package keys
