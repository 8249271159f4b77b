// Package entry reads and prints what is signed and logged: entries, in a
// strict form of text that people can read, and leaves, which are what the log
// makes of them.
//
// This documentation is the specification of both. Its examples are one
// consistent record, made with test keys; a test takes them from here.
//
// # An entry
//
// An entry is a signed note (c2sp.org/signed-note): a text, an empty line, and
// signature lines. What the log itself makes, "Roll" and "Evidence" below, is a text
// alone. This one, entry 4 of its record, puts an organization behind a
// statement:
//
//	undersigned/endorsement/v1
//	ledger ledger.example/tccm
//	previous none
//	action endorse
//	statement sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920
//	rendition pt-BR sha256:3dad908f184a2c83950d60e55149030f498cba4d697767cca866269539753d86
//	after 4 sha256:d8ba2e146490bc7bfddcf3e2c3dd4aca889646e2ccc2dd5d8f5eb4f9413af144
//	signer north.example
//	key ed25519 sha256:b68bba0b7890489cfc3259c7e90435322b18e5583977052d571b2be3955b0a36
//	date 2024-06-11
//
//	— north.example gZ4F+2kdgCHSaFXG3eQ2AQ3W36Xc8F3pymHl20ZCF9P/HLbEzpL1W2snL1B/FC7QK9hf/dXOQQYu7jQhYYyxeE0oZAg=
//
// What is signed is the text: every byte from the first line to the line feed
// after the date. An entry's identity is SHA-256 of its text and does not
// depend on its signatures, of which several may be valid for one text:
//
//	sed '/^$/,$d' entry.txt | sha256sum
//
// The text fixes its kind with its first line and its ledger with its second, so
// that no signature can be carried to another kind, another ledger, or to a
// checkpoint, whose first line is an origin and never starts with "undersigned/".
//
// # Lines
//
// An entry is UTF-8 and consists of lines, each of which ends in one line feed
// (U+000A), the last one too. There is no other control character, no byte order
// mark, no line that starts or ends in a space, and no two spaces in a row. The
// only empty line is the one after the text. An entry has at most 65,480 bytes.
//
// A line is the name of a field, one space, and its value. Fields stand in the
// order given below; a field marked "?" may be left out, one marked "+" may be
// repeated, one marked "*" may be left out or repeated, any other stands exactly
// once. The mark is not written. Where only some actions have a field, they are
// named behind it, and entries with other actions do not have it. Where a value is
// made of several words, one space separates them.
//
// There is exactly one way to write anything: whatever is accepted prints as the
// very same bytes. Values have these forms:
//
//   - domain: lower-case A-labels, two or more, no final dot; in full at
//     [github.com/tccm/undersigned/keys.CheckDomain]
//   - origin: a domain, alone or with a path; in full at
//     [github.com/tccm/undersigned/keys.CheckOrigin]
//   - hash: "sha256:" and 64 lower-case hexadecimal digits
//   - suite: ed25519, ecdsa-p256-sha256, ecdsa-p384-sha384, rsa-pss-sha256,
//     rsa-pkcs1-sha256, mldsa44, sshsig or sshsig-sk
//   - key reference: a suite and the hash of the key's DER
//     SubjectPublicKeyInfo (SPKI)
//   - base64: RFC 4648, section 4, padded, unused bits zero, at least one byte
//   - number: decimal digits without leading zeros, at most 2^63-1
//   - date: YYYY-MM-DD, a day that exists, in the years 1970 to 9999
//   - time: YYYY-MM-DDThh:mm:ss.mmmZ, UTC, likewise, without leap seconds
//   - language: [a-z]{2,3}(-[A-Za-z0-9]{2,8})*, at most 35 bytes, the shape of an
//     RFC 5646 tag
//   - media type: type/subtype of RFC 6838, section 4.2, lower case, without
//     parameters, at most 100 bytes
//   - text: free text in NFC, of characters that Unicode 15.0 assigns, none of
//     them in the categories Cc, Cf, Cs, Co, Zl or Zp, U+0020 the only one of Zs
//
// Every text starts and ends with the same fields:
//
//	undersigned/<kind>/v1
//	ledger <origin>
//	previous none, or previous <hash>
//	  ... the fields of the kind ...
//	signer <domain>
//	key+ <key reference>                              at most 8, none twice
//	date <date>
//
// ledger is the origin of the ledger that the entry is meant for. previous names
// the identity of the last admitted entry on the same subject, none if there is
// none yet; subjects are the chain of charters, a statement, a member (for
// memberships and keys together), and a member with a statement. The one text
// without this line is the charter that is entry 0. date is the signer's claim.
// signer is on whose behalf the keys of the key lines sign.
//
// # Signature lines
//
// There is exactly one signature line for each key that the text names in a
// voucher or key line, first the vouchers, then the keys, in the order in which
// they stand in the text:
//
//	— <domain> <base64 of key ID and signature>
//
// The line starts with an em dash (U+2014) and a space. The domain is that of the
// voucher line, or the signer. The key ID has four bytes, the signature at least
// one. Key ID and signature depend on the key and its suite
// ([github.com/tccm/undersigned/keys.PublicKey.NoteKeyID] and
// [github.com/tccm/undersigned/keys.PublicKey.Verify]; those of sshsig and sshsig-sk
// are for the namespace "undersigned@" and the ledger's origin) and are checked by the fold
// (verify/roll), as is everything else that takes more than the entry itself:
// whether keys are sound, registered and entitled, and whether what an entry
// refers to exists. An entry that only Ed25519 keys have signed opens with any
// signed-note tool.
//
// # Charter
//
// A charter says by which rules the record is kept, from its own index on.
//
//	rules 1
//	title <text>                                      at most 256 bytes
//	operator <domain>
//	public-key+ <suite> <base64>                      SPKIs, at most 8, none twice
//	publisher* <domain>                               at most 32, none twice
//	admission+ operator, admission vouched <number>, or admission dnssec
//	roll on-change, roll daily hh:mm, or roll manual
//	voucher* <domain> <key reference>                 at most 32, no key twice
//
// Each admission rule stands at most once, operator before vouched before dnssec;
// the number of vouched is from 1 to 16; hh:mm is from 00:00 to 23:59 UTC. Entry 0, which has no previous
// line, has no vouchers either:
//
//	undersigned/charter/v1
//	ledger ledger.example/tccm
//	rules 1
//	title Statements of the technical community
//	operator ledger.example
//	public-key ed25519 MCowBQYDK2VwAyEADCqUE8YiJ+CT66VvQmfOc208fMCfb7ZypWqB2YX+PWA=
//	publisher secretariat.example
//	admission operator
//	admission vouched 1
//	roll daily 23:59
//	signer ledger.example
//	key ed25519 sha256:c66cff55e8fa70e68be99c0c36ca7a58ef0ccfe2f72eede03d3661b00ed72b33
//	date 2024-06-03
//
//	— ledger.example t6z2JTnkAYeDhB9lBWSR0omQJ4O5pcNcFzZI6jNe72yNkVNMZY1k+G4MvvRxn0kiFIWL1b7fYviGmW1V+JsYoOd25ws=
//
// A later charter replaces the one whose identity it names. This is entry 13:
//
//	undersigned/charter/v1
//	ledger ledger.example/tccm
//	previous sha256:17d96e16455fca68d84fb6e3a11f1862b13c8e4ae1ed0d6bbeb42e3b07d5a0ba
//	rules 1
//	title Statements of the technical community
//	operator ledger.example
//	public-key ed25519 MCowBQYDK2VwAyEADCqUE8YiJ+CT66VvQmfOc208fMCfb7ZypWqB2YX+PWA=
//	admission vouched 2
//	roll on-change
//	voucher south.example ecdsa-p256-sha256 sha256:c46d0ee44c61d475352afcfb4a0468d913aaba15890e6439ef5c745f0a0837e7
//	signer ledger.example
//	key ed25519 sha256:c66cff55e8fa70e68be99c0c36ca7a58ef0ccfe2f72eede03d3661b00ed72b33
//	date 2024-06-20
//
//	— south.example 8/dpuTBGAiEAjymaq1Tgta3YL90CH8Bnz3iMqfBMZEY0aLYgZe1lN7kCIQC10vWJtXjA5spQ24QiXd2MEdEvZq4puEdGr+GpTVVQtw==
//	— ledger.example t6z2JQ9A1Np0WJ/pHfSJm8fYb9DLNHfy9QWwGwyNeBnG63FHTWzxvi8axuTolpG0cOtolhYvnN9w4VQ1wqXkGLa9SwA=
//
// # Statement
//
// A statement entry publishes a text, or closes or reopens it for endorsements.
//
//	action publish, action close, or action reopen
//	statement <hash>                                  of the exact bytes of the text
//	title <text>                                      publish; at most 256 bytes
//	language <language>                               publish
//	media-type <media type>                           publish
//	size <number>                                     publish; of the text, in bytes
//	rendition* <language> <hash> <size> <media type>  publish; at most 32
//	supersedes? <hash>                                publish
//	closes? <time>                                    publish, reopen
//
// Sizes are from 1 to 16777216. The statement and its renditions all have different
// hashes. The text itself is not part of the record: sha256sum of its file gives
// the hash that stands here. Entry 3 publishes:
//
//	undersigned/statement/v1
//	ledger ledger.example/tccm
//	previous none
//	action publish
//	statement sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920
//	title A technical community coalition for multistakeholderism (TCCM)
//	language en
//	media-type text/plain
//	size 2944
//	rendition pt-BR sha256:3dad908f184a2c83950d60e55149030f498cba4d697767cca866269539753d86 3202 text/plain
//	rendition en sha256:647acd2d33af97dd80468fbfd63b712ee6986e038958bda047eaebc871f3bfa1 18230 text/html
//	closes 2025-06-11T00:00:00.000Z
//	signer ledger.example
//	key ed25519 sha256:c66cff55e8fa70e68be99c0c36ca7a58ef0ccfe2f72eede03d3661b00ed72b33
//	date 2024-06-06
//
//	— ledger.example t6z2Jd3IdXTKHt8+uSTtQ9U6nnFp2qFQ0N011keU+7+RepyHtYkL+hh0o1nqrhwDbszIPsrnvS1wK7ieJT3KzRUDDg8=
//
// Entry 11 closes:
//
//	undersigned/statement/v1
//	ledger ledger.example/tccm
//	previous sha256:d15d01e14544937ddcae612a12d5f6d8b4cb23137f86100ebc9ec7c4958f4b7f
//	action close
//	statement sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920
//	signer ledger.example
//	key ed25519 sha256:c66cff55e8fa70e68be99c0c36ca7a58ef0ccfe2f72eede03d3661b00ed72b33
//	date 2024-06-18
//
//	— ledger.example t6z2JcV2SO67W6NF0dtg4ss9g+fP4YUKHz9cHLLTl4zNsrN+LKJYSc3q+thIwQU04cHS3l+IU/vxzvuwimPJ+7efnwE=
//
// Entry 12 opens again:
//
//	undersigned/statement/v1
//	ledger ledger.example/tccm
//	previous sha256:b3e54e45a44943e6838fa936ba56120438dd62235e10fa8aed45869acd384fdb
//	action reopen
//	statement sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920
//	closes 2026-06-11T12:00:00.000Z
//	signer ledger.example
//	key ed25519 sha256:c66cff55e8fa70e68be99c0c36ca7a58ef0ccfe2f72eede03d3661b00ed72b33
//	date 2024-06-19
//
//	— ledger.example t6z2Jc1rDNDzyB8KOR+WWCF8KXfGvCfozN62oOABwSQ4B6g1HK0ig/euX5ff3JKZp7MFOH4TvmUDS2Jdp+Qr1we+Fw4=
//
// # Membership
//
// A membership entry registers an organization, replaces what is said about it,
// or ends its membership. Its signer is the member.
//
//	action register, action update, or action leave
//	member <domain>                                   the same as signer
//	name <text>                                       register, update; at most 128 bytes
//	legal-name? <text>                                register, update; at most 256 bytes
//	public-key+ <suite> <base64>                      register; SPKIs
//	recovery-key* <suite> <base64>                    register, update; SPKIs
//	quorum <number>                                   register, update
//	voucher* <domain> <key reference>                 register, update; at most 32, no key twice
//
// Public and recovery keys are at most 8 together, and no SPKI stands twice among
// them. The quorum is from 1 to the number of public keys, in an update to 8.
// Entry 1 registers a member that the operator vouches for:
//
//	undersigned/membership/v1
//	ledger ledger.example/tccm
//	previous none
//	action register
//	member north.example
//	name Réseau du Nord
//	legal-name Réseau du Nord SCRL, registry of .north
//	public-key ed25519 MCowBQYDK2VwAyEAxvO6JhS+xkuiAN85zf5KdyFUuI1aPUuq8i6vSR9qUhg=
//	recovery-key ed25519 MCowBQYDK2VwAyEAZ+cR4KxltGKwfElIM4o48Yjlo7woRNmc3fy979e6Wlg=
//	quorum 1
//	voucher ledger.example ed25519 sha256:c66cff55e8fa70e68be99c0c36ca7a58ef0ccfe2f72eede03d3661b00ed72b33
//	signer north.example
//	key ed25519 sha256:b68bba0b7890489cfc3259c7e90435322b18e5583977052d571b2be3955b0a36
//	key ed25519 sha256:35cb195a820a95eccfeb543755e0b3216aaf4d088d1b55055822ba20c581a95b
//	date 2024-06-04
//
//	— ledger.example t6z2JdXSJQ6ZeibrQL4rQRIWU0ksaHx8FkIRn1eHtoGgam4nElHeDNuZ6oT6GZfrAqsiqu+pH/11VJE51Bsn6Zu+8AQ=
//	— north.example gZ4F+1NrZpk+r+O7Sz1oulXDcsdhRm34X00YE23tqrkTRa3ZhC+R2J0viKJ0km165dzRp9UsOVjCbwXsmQxD1U43ggs=
//	— north.example bVc7FEIgJqKZXDYQTrk4kEUG7YwBiemJkBuGWVv0S0Jxt7FD9OzdTmD1ta0xrXLrfnDw63QVxrmqu5yOwGKSO8Xh8gM=
//
// Entry 2 registers one with an ECDSA key that a member vouches for as well:
//
//	undersigned/membership/v1
//	ledger ledger.example/tccm
//	previous none
//	action register
//	member south.example
//	name South Exchange
//	public-key ecdsa-p256-sha256 MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAECoq+dnNfGuhvOYs93s5RL0j98U0u81CK2OTQZzOs1PBL+6G9jdZ+2i/ybwCtIUHpONR/s2UZvIfYTMMphSAUqQ==
//	quorum 1
//	voucher ledger.example ed25519 sha256:c66cff55e8fa70e68be99c0c36ca7a58ef0ccfe2f72eede03d3661b00ed72b33
//	voucher north.example ed25519 sha256:b68bba0b7890489cfc3259c7e90435322b18e5583977052d571b2be3955b0a36
//	signer south.example
//	key ecdsa-p256-sha256 sha256:c46d0ee44c61d475352afcfb4a0468d913aaba15890e6439ef5c745f0a0837e7
//	date 2024-06-05
//
//	— ledger.example t6z2JWT2EeAXXzuis/EH9nKH6qLmyvmblpBoyxiaud2ZpMj4k22NNiFw0dL0FR2PuEWOoY2Jq9dJCqBCO1PJJiGrvAY=
//	— north.example gZ4F+3Eoi9JMBldviSmJbWN9sqgcCWsb7c5iSOmAtOpUniqlNLzEquohMZcXAKOv4M/E8oQCXrZtqmfvhp39KN46mAg=
//	— south.example 8/dpuTBEAiBlebns9Cfd5T9zXLsACI/SKUhg27BEn15/ej5RjZiDzwIgfOrqVH8w/sWZOL0X4seWy++I/2W4gvZP+LyUX/vMZvY=
//
// Entry 8 changes the first member's name, for which the second vouches:
//
//	undersigned/membership/v1
//	ledger ledger.example/tccm
//	previous sha256:721c772607ece1152b08950da90e481e78724ef8f8c60a3d9554e04bd9acea13
//	action update
//	member north.example
//	name Réseau du Nord (RdN)
//	legal-name Réseau du Nord SCRL, registry of .north
//	recovery-key ed25519 MCowBQYDK2VwAyEAZ+cR4KxltGKwfElIM4o48Yjlo7woRNmc3fy979e6Wlg=
//	quorum 1
//	voucher south.example ecdsa-p256-sha256 sha256:c46d0ee44c61d475352afcfb4a0468d913aaba15890e6439ef5c745f0a0837e7
//	signer north.example
//	key ed25519 sha256:7525bcb73418996478459cbd2d020992c15f2fed6d8098900756f27277c3ac5d
//	date 2024-06-15
//
//	— south.example 8/dpuTBFAiEA1UQkrvjJejgGaWZs601+1FPPUY4gQkrlOueeCq1x/84CIBAgG4sP6OHA/lStLADWj4Hx5P3VGKZIn4+NnP7xMsD2
//	— north.example eOtl4ke30ddhtu7FEVxBF9dVnA4pbprdderv5sfU8XPdhfs3Ux8YDU9vyawusjz7omg43+O987Q3SRCSd0wsCd0K7wI=
//
// Entry 14 ends the second member's membership:
//
//	undersigned/membership/v1
//	ledger ledger.example/tccm
//	previous sha256:6b3e52fa65d6b9cfc925df225f041320b6f39492272f68e399ed8504263629a6
//	action leave
//	member south.example
//	signer south.example
//	key ecdsa-p256-sha256 sha256:c46d0ee44c61d475352afcfb4a0468d913aaba15890e6439ef5c745f0a0837e7
//	date 2024-06-21
//
//	— south.example 8/dpuTBFAiBJwGLtv06IoyjStutHzYfwntQ0FiOsZxUaO7F4i2eAQQIhAJh7Mlrrf/zO8zqI960t2q5xeZds19LwBX97RLf+DSSZ
//
// # Endorsement
//
// An endorsement entry puts its signer behind a statement, or takes that back.
//
//	action endorse, or action withdraw
//	statement <hash>
//	rendition* <language> <hash>                      endorse; at most 32
//	after <number> <hash>
//
// A rendition is one that the statement entry names; no hash stands twice, nor is
// one that of the statement. after gives the tree size of a published checkpoint
// and the hash of its whole note: the entry was not signed before. Entry 4 stands
// at the top; entry 10 withdraws what it said:
//
//	undersigned/endorsement/v1
//	ledger ledger.example/tccm
//	previous sha256:f9925bbc152804a0102eee1dd87fd0bcba5017080d4916ceae8ca4bbe7fdd438
//	action withdraw
//	statement sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920
//	after 10 sha256:08d21335e1ee25673b163d0c17e2eb08071a4632ac7a860dc860be037428bc77
//	signer north.example
//	key ed25519 sha256:e8dc9d98b1d55e42735ca9436cb3e19c18ec21cb379dcd217136edb92cc6a21e
//	date 2024-06-17
//
//	— north.example ZGBAPV2ivAFCuN1xYghKcKNfAP+PiHN/H15KMHGU7vEzKad9JEchMCBvOHI+GKKVybBPe/DynUQHBxz7Q3Lmx+B6zA4=
//
// # Key
//
// A key entry changes one key of a member.
//
//	action add, action rotate, action revoke, or action suspend
//	member <domain>
//	public-key <suite> <base64>                       add, rotate; the new key's SPKI
//	revokes <key reference>                           rotate, revoke, suspend; the key it is about
//	compromised-after? <number>                       rotate, revoke; an index
//
// Entry 5 adds a key, which signs as well to show that its owner has it:
//
//	undersigned/key/v1
//	ledger ledger.example/tccm
//	previous sha256:fdb506eb1a23186063ca84b16a64e4e8a2296773bf688f6dedb18638f7c73260
//	action add
//	member north.example
//	public-key ed25519 MCowBQYDK2VwAyEAAaJmdMN8UQe7f3Lv4FRtPD60XLwsLgcz/aT7Al2aX64=
//	signer north.example
//	key ed25519 sha256:b68bba0b7890489cfc3259c7e90435322b18e5583977052d571b2be3955b0a36
//	key ed25519 sha256:7525bcb73418996478459cbd2d020992c15f2fed6d8098900756f27277c3ac5d
//	date 2024-06-12
//
//	— north.example gZ4F+8dkpEc1ersEAJjrOpOE2GKfi0IgOi6j6vxOixnEjQGdAPqmPgXw55AkXGxUpTh9/Dfv7VQ7NtC2dWyp7kMDUQ8=
//	— north.example eOtl4s2dvIbG51BO3d4J9UEMbKHG47WGw2bOLu525a3lYIHmjKXoCFmoEICJUUyZz+4FlEYhYGBVhwzibb4hF6dzdAw=
//
// Entry 9 replaces a key:
//
//	undersigned/key/v1
//	ledger ledger.example/tccm
//	previous sha256:c2aeeb222dfaa465a9ded0e23aa7964b0474690483a934d51e51ad6c23ed9526
//	action rotate
//	member north.example
//	public-key ed25519 MCowBQYDK2VwAyEAHqBkQfFQkT4T+XalSCe/IFPah0yWYw4u/fkFoP5mS5E=
//	revokes ed25519 sha256:7525bcb73418996478459cbd2d020992c15f2fed6d8098900756f27277c3ac5d
//	signer north.example
//	key ed25519 sha256:7525bcb73418996478459cbd2d020992c15f2fed6d8098900756f27277c3ac5d
//	key ed25519 sha256:e8dc9d98b1d55e42735ca9436cb3e19c18ec21cb379dcd217136edb92cc6a21e
//	date 2024-06-16
//
//	— north.example eOtl4pnvmk4gBPSm+hTgF23lSRrtooy97Jjh1qXHhdO5UQfkz5F3XjNYy1SVgLVcuLObmm0uEswq79Zul6lyXdAw5Qg=
//	— north.example ZGBAPbc6wj1b/xCsjkeF9LRRSMpv5Drl0GMSpxld7iCrMe5SaXAZQALiQNnQLO5HeY2yUqMuBefBmiwW9bJSENHcJgU=
//
// Entry 7 revokes one by a recovery key and disputes what it signed from entry 5 on:
//
//	undersigned/key/v1
//	ledger ledger.example/tccm
//	previous sha256:25aeaf9eef16023583d4398eae2841a314a99e78b134ac2c461adbe4bda3c630
//	action revoke
//	member north.example
//	revokes ed25519 sha256:b68bba0b7890489cfc3259c7e90435322b18e5583977052d571b2be3955b0a36
//	compromised-after 5
//	signer north.example
//	key ed25519 sha256:35cb195a820a95eccfeb543755e0b3216aaf4d088d1b55055822ba20c581a95b
//	date 2024-06-14
//
//	— north.example bVc7FFVF/dnm//AyyG0bC3+mdGy4VQBWxd/yHBb4SBx7BgQWOUn6RMTHmNFWF/0XWZxZIhhPcjfWlyi2xn2gyJAEHAs=
//
// Entry 6 is the operator's, the only one here whose signer is not the member:
//
//	undersigned/key/v1
//	ledger ledger.example/tccm
//	previous sha256:6a24211423c83835c3c44e23a00351d0efdb57b3024f67e0c81fe4acd3cdacd4
//	action suspend
//	member north.example
//	revokes ed25519 sha256:b68bba0b7890489cfc3259c7e90435322b18e5583977052d571b2be3955b0a36
//	signer ledger.example
//	key ed25519 sha256:c66cff55e8fa70e68be99c0c36ca7a58ef0ccfe2f72eede03d3661b00ed72b33
//	date 2024-06-13
//
//	— ledger.example t6z2Jb9oTDWkl14y4WkkfgeWv9a0iM7SU2OSl4NnWIREiwwcIbAwItsUxlEGuPlfiWD4d/DY58p6LXfJI5Oqra9pIgU=
//
// # Roll
//
// A roll seals who stands behind a statement. The log makes it, nobody signs it,
// and it cannot be submitted: it is right or wrong by recomputation. After its
// ledger line stands nothing but
//
//	statement <hash>
//	size <number>                                     of the entries before it: its own leaf index
//	asof <time>                                       earlier than its admission
//	count <number>
//	root <base64>                                     32 bytes
//
// It lists those who, by the entries before it that were admitted up to asof, stand
// behind the statement: whose last endorsement entry says endorse. root is the RFC
// 6962 root hash over one line for each of the count, each with its line feed,
// strictly ascending by domain; of none it is SHA-256 of nothing:
//
//	undersigned/roll-line/v1 <domain> <leaf index of the endorsement> <its identity>
//
// Entry 15, admitted after a withdrawal, seals the list of a day before:
//
//	undersigned/roll/v1
//	ledger ledger.example/tccm
//	statement sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920
//	size 15
//	asof 2024-06-16T23:59:59.999Z
//	count 1
//	root oBVJe/y1hcWgS7cExWVQsqIb7gR8cULW+u346bx2DTM=
//
// # Evidence
//
// Evidence proves itself, and the log keeps it: nobody signs it, and it cannot be
// submitted. After its ledger line stands nothing but
//
//	about checkpoint <number>, or about member <domain>
//	type rfc3161, or type dnssec                      the one about a checkpoint, the other about a member
//	data+ <base64>                                    48 bytes each but the last, at most 24,576 together
//
// About a checkpoint the bytes are a time-stamp token (RFC 3161, section 2.4.2) over the note that was
// published as checkpoints/<number>, byte for byte. Whether it is one is not looked
// at here nor by the fold. About a member they are a chain of DNSSEC signatures (package keys/dnssec), which says
// which keys its domain publishes, and which the fold judges. Entry 16, with bytes that are none:
//
//	undersigned/evidence/v1
//	ledger ledger.example/tccm
//	about checkpoint 15
//	type rfc3161
//	data ZXhhbXBsZSB0aW1lIHN0YW1wIHRva2VuOiB0d28gbGluZXMsIHRvIHNob3cgaG93
//	data IHRoZXkgYXJlIGN1dA==
//
// # Leaf
//
// A leaf is what the log holds at one index, and what RFC 6962 hashes: when the
// sequencer admitted the entry, an empty line, and the entry, or the text of what
// the log makes, which has no signatures. It has at most 65,535 bytes. This is the leaf of entry 4:
//
//	undersigned/leaf/v1
//	admitted 2024-06-11T09:30:00.123Z
//
//	undersigned/endorsement/v1
//	ledger ledger.example/tccm
//	previous none
//	action endorse
//	statement sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920
//	rendition pt-BR sha256:3dad908f184a2c83950d60e55149030f498cba4d697767cca866269539753d86
//	after 4 sha256:d8ba2e146490bc7bfddcf3e2c3dd4aca889646e2ccc2dd5d8f5eb4f9413af144
//	signer north.example
//	key ed25519 sha256:b68bba0b7890489cfc3259c7e90435322b18e5583977052d571b2be3955b0a36
//	date 2024-06-11
//
//	— north.example gZ4F+2kdgCHSaFXG3eQ2AQ3W36Xc8F3pymHl20ZCF9P/HLbEzpL1W2snL1B/FC7QK9hf/dXOQQYu7jQhYYyxeE0oZAg=
//
// An entry that registers or updates a member, or adds or rotates a key, can come with a chain of
// DNSSEC signatures about the member. It is submitted with the entry and logged as
// it was submitted: after the signature lines an empty line and one line
//
//	dnssec <base64>                                   at most 24,576 bytes
//
// Nobody signs it, and it is no part of the entry's identity.
//
// # What a later version may add
//
// Some lines are no mistake and yet not known here: a first line
// undersigned/<kind>/v<number> of another kind or version, another version of the
// leaf, rules other than 1, evidence of another
// type, and, after an entry, an empty line and an evidence line ("<type> <base64>") of another type. Reading stops there with an [UnknownError], unless an earlier line is
// malformed, and nothing after it is judged.
package entry
