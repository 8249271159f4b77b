package entry

import "strconv"

// A SyntaxError says why bytes are not an entry or a leaf. It never repeats
// what it was given, so it can be shown and logged as it is.
type SyntaxError struct {
	Line    int    // where, from 1; 0 if it concerns the whole; one past the last line if something is missing at the end
	Problem string // one of this package's own sentences: what is wrong, what is expected
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.Problem
	}
	return "line " + strconv.Itoa(e.Line) + ": " + e.Problem
}

// An UnknownError says that an entry or leaf is of a form that this version
// does not know and a later one may. It is not malformed: nothing can be said
// about it or about what follows it.
type UnknownError struct {
	What string // one of this package's own phrases, such as "entries of the kind roll"
}

func (e *UnknownError) Error() string {
	return "this version does not know " + e.What
}

const (
	unknownLeaf       = "leaves of this version"
	unknownAttachment = "evidence of this type in leaves"
	unknownEvidence   = "evidence of this type"
	unknownKind       = "entries of this kind or version"
	unknownRules      = "rules other than number 1"
)

// Lines as problems show them.
const (
	formHeader    = "undersigned/<kind>/v1"
	formLedger    = "ledger <origin>"
	formPrevious  = "previous <none, or sha256:… of the previous entry>"
	formRules     = "rules 1"
	formTitle     = "title <text>"
	formOperator  = "operator <domain>"
	formPublicKey = "public-key <suite> <base64 of the SPKI>"
	formAdmission = "admission <operator, vouched and a number, or dnssec>"
	formRoll      = "roll <on-change, daily HH:MM or manual>"
	formVoucher   = "voucher <domain> <suite> sha256:…"
	formAction    = "action <action>"
	formStatement = "statement sha256:…"
	formLanguage  = "language <tag>"
	formMediaType = "media-type <type/subtype>"
	formSize      = "size <bytes>"
	formRendition = "rendition <language> sha256:… <bytes> <type/subtype>"
	formReference = "rendition <language> sha256:…"
	formMember    = "member <domain>"
	formName      = "name <text>"
	formQuorum    = "quorum <number of keys>"
	formAfter     = "after <tree size> sha256:…"
	formRevokes   = "revokes <suite> sha256:…"
	formSigner    = "signer <domain>"
	formKey       = "key <suite> sha256:…"
	formDate      = "date <YYYY-MM-DD>"
	formRollSize  = "size <number of entries>"
	formAsOf      = "asof <YYYY-MM-DDThh:mm:ss.mmmZ>"
	formCount     = "count <number of signatories>"
	formRoot      = "root <base64 of 32 bytes>"
	formAbout     = "about <checkpoint and its tree size, or member and a domain>"
	formType      = "type <rfc3161 or dnssec>"
	formData      = "data <base64>"
	formAdmitted  = "admitted <YYYY-MM-DDThh:mm:ss.mmmZ>"
)

func missing(form string) string {
	return "the line \"" + form + "\" is missing: nothing follows"
}

func misplaced(form string) string {
	return "the line \"" + form + "\" must stand here: fields have one order, and none may be left out, repeated or added"
}

func noEmptyLine(form string) string {
	return "the line \"" + form + "\" must stand here: a text has no empty lines"
}

func malformed(form string) string {
	return "this line must have the form \"" + form + "\""
}

const (
	// The whole.
	problemEntrySize = "an entry has at most 65480 bytes"
	problemLeafSize  = "a leaf has at most 65535 bytes"
	problemOneForm   = "this line is not in the one form that printing gives it"

	// Any line.
	problemFinalLF       = "the last line must end in a line feed (LF)"
	problemCR            = "lines must end in LF alone: there is a carriage return (CR)"
	problemControl       = "there is a control character: only line feeds (LF) may stand in an entry"
	problemSpaces        = "single spaces separate words, and no line starts with one"
	problemTrailingSpace = "no line may end in a space"
	problemUTF8          = "this line is not valid UTF-8"
	problemBOM           = "there is a byte order mark (BOM), which may not be there"

	// Structure.
	problemHeader      = "the first line must be undersigned/<kind>/v1, where kind is charter, statement, membership, endorsement, key, roll or evidence"
	problemLeafInside  = "an entry must stand here, not a leaf"
	problemAfterText   = "the text must end here"
	problemEmptyLine   = "one empty line must stand here"
	problemNoEmptyLine = "one empty line must follow: nothing does"

	// Values.
	problemOrigin    = "a ledger's origin is a domain in lower case, or one with a path of a-z, 0-9, '.', '_', '~' and '-'"
	problemPrevious  = "previous must be none, or sha256: and 64 lower-case hexadecimal digits"
	problemHash      = "a hash is sha256: and 64 lower-case hexadecimal digits"
	problemBase64    = "base64 must be of the standard alphabet, padded with =, without any bits left over"
	problemDomain    = "a domain has two labels or more in lower-case ASCII (A-labels), without a final dot"
	problemSuite     = "a suite is one of ed25519, ecdsa-p256-sha256, ecdsa-p384-sha384, rsa-pss-sha256, rsa-pkcs1-sha256, mldsa44, sshsig and sshsig-sk"
	problemNumber    = "a number is decimal, without sign or leading zeros, and at most 9223372036854775807"
	problemDate      = "a date is YYYY-MM-DD, a day that exists, from 1970 on"
	problemTime      = "a time is YYYY-MM-DDThh:mm:ss.mmmZ, a moment that exists, from 1970 on"
	problemNFC       = "free text must be in Unicode normalization form C (NFC)"
	problemFreeText  = "free text must consist of visible characters of Unicode 15.0 and single plain spaces"
	problemLanguage  = "a language is a tag such as en, de or pt-BR: two or three lower-case letters, then parts of two to eight letters or digits after hyphens, at most 35 bytes"
	problemMediaType = "a media type is type/subtype in lower case without parameters, such as text/plain, at most 100 bytes"

	// Charters.
	problemRules             = "rules must be a number: 1"
	problemTitleSize         = "a title has at most 256 bytes"
	problemManyPublishers    = "at most 32 publishers may be named"
	problemRepeatedPublisher = "this publisher is named twice"
	problemAdmission         = "admission must be operator, vouched and a number, or dnssec, each at most once and in this order"
	problemVouched           = "vouched must be followed by a number of members from 1 to 16"
	problemRoll              = "roll must be on-change, daily and a time of day from 00:00 to 23:59, or manual"
	problemGenesisVoucher    = "the charter that is entry 0 has no vouchers: there are no members yet"

	// Statements and endorsements.
	problemStatementAction   = "the action of a statement must be publish, close or reopen"
	problemEndorsementAction = "the action of an endorsement must be endorse or withdraw"
	problemSize              = "a size is a number of bytes from 1 to 16777216"
	problemManyRenditions    = "at most 32 renditions may be named"
	problemRepeatedRendition = "this rendition is named twice, or is the statement itself"

	// Memberships and keys.
	problemMembershipAction = "the action of a membership must be register, update or leave"
	problemKeyAction        = "the action of a key must be add, rotate, revoke or suspend"
	problemNameSize         = "a name has at most 128 bytes"
	problemLegalNameSize    = "a legal name has at most 256 bytes"
	problemManyKeys         = "at most 8 keys may be registered together, recovery keys included"
	problemRepeatedKey      = "this key is registered twice"
	problemQuorum           = "a quorum is a number from 1 to that of the public keys, at most 8"
	problemManyVouchers     = "at most 32 voucher lines may stand here"
	problemRepeatedVoucher  = "two voucher lines name the same key"

	// Signing.
	problemSigner           = "the signer of a membership must be the member"
	problemManyKeyLines     = "at most 8 key lines may stand here"
	problemRepeatedKeyLine  = "two key lines name the same key"
	problemMissingSignature = "a signature line is missing: there must be one for each voucher and key line"
	problemSignatureLine    = "a signature line is an em dash, a space, the signer's domain, a space and base64"
	problemSignatureName    = "signature lines must bear the domains of the vouchers and then the signer's, in the order of the voucher and key lines"
	problemSignatureOwner   = "this signature's name is neither the signer's nor a voucher's"
	problemSignatureSize    = "a signature line must hold a key ID of four bytes and a signature"
	problemAfterEntry       = "the entry must end here: there is exactly one signature line for each voucher and key line"

	// What the log makes.
	problemMade  = "entries of the kinds roll and evidence are made by the log itself, and by nobody else"
	problemRoot  = "a root hash is 32 bytes in base64"
	problemAbout = "evidence is about a checkpoint and its tree size, or about a member and its domain"
	problemType  = "the type of evidence is a word in lower case, such as rfc3161"
	problemPair  = "evidence about a checkpoint is of the type rfc3161, and evidence about a member of the type dnssec"
	problemData  = "every data line but the last holds 48 bytes in base64, and all of them at most 24576 bytes"

	// Leaves.
	problemLeafHeader = "the first line of a leaf must be undersigned/leaf/v1"
	problemAfterMade  = "a leaf of the kinds roll and evidence ends with its text"
	problemAfterLeaf  = "after its entry a leaf ends, or goes on with an empty line and evidence lines"
	problemEvidence   = "an evidence line is a type in lower case, a space and base64"
	problemNoChain    = "a dnssec line stands only after entries that register or update a member, or add or rotate a key"
	problemChainSize  = "a DNSSEC chain has at most 24576 bytes"
	problemAfterChain = "it must end here: at most one dnssec line stands after an entry"
)
