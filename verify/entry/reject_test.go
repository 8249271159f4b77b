package entry

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// reject feeds one text through every door that it could come in by and wants
// the same answer at each: a *SyntaxError at this line with this problem, or
// for line -1 an *UnknownError.
func reject(t *testing.T, text string, line int, problem string) {
	t.Helper()
	_, err := ParseText([]byte(text))
	wantError(t, "ParseText", err, line, problem)
	signatures := "\n— north.example AAAAAAA=\n"
	if !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") {
		signatures = ""
	}
	if problem == problemAfterText || strings.HasPrefix(problem, "the line ") && strings.HasSuffix(problem, "nothing follows") {
		return // elsewhere the signatures follow
	}
	_, err = Parse([]byte(text + signatures))
	wantError(t, "Parse", err, line, problem)
	_, _, err = ParseDraft([]byte(text + signatures))
	wantError(t, "ParseDraft", err, line, problem)
	if line > 0 {
		line += 3
	}
	_, err = ParseLeaf([]byte(leafStart + text + signatures))
	wantError(t, "ParseLeaf", err, line, problem)
}

const leafStart = "undersigned/leaf/v1\nadmitted 2024-06-11T09:30:00.123Z\n\n"

func wantError(t *testing.T, what string, err error, line int, problem string) {
	t.Helper()
	if line < 0 {
		var unknown *UnknownError
		if !errors.As(err, &unknown) || unknown.What != problem {
			t.Errorf("%s: %v, want unknown: %s", what, err, problem)
		}
		return
	}
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || syntax.Line != line || syntax.Problem != problem {
		t.Errorf("%s: %v, want line %d: %s", what, err, line, problem)
	}
}

// base returns the text of the record's entry at an index, by which the tables
// below name what they change:
//
//	0 charter of entry 0   4 endorse   8 update     12 reopen
//	1 register (north)     5 add       9 rotate     13 charter that amends
//	2 register (south)     6 suspend  10 withdraw   14 leave
//	3 publish              7 revoke   11 close
func base(t testing.TB, index int) string {
	t.Helper()
	return string(example(t).entries[index].Text())
}

// edit replaces the only place of old in s; lineOf says in which line of s it
// begins.
func edit(t *testing.T, s, old, new string) string {
	t.Helper()
	if strings.Count(s, old) != 1 {
		t.Fatalf("%d places of %q in\n%s", strings.Count(s, old), old, s)
	}
	return strings.Replace(s, old, new, 1)
}

const zeroHash = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// many returns n lines made of a form with one verb for a number.
func many(n int, form string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, form+"\n", i)
	}
	return b.String()
}

func TestRejectText(t *testing.T) {
	var texts []string
	for _, e := range example(t).entries {
		texts = append(texts, string(e.Text()))
	}
	const ref0 = "ed25519 " + zeroHash
	cases := []struct {
		name     string
		index    int
		old, new string // an old of "" puts new in front of the whole
		line     int    // -1: unknown
		problem  string
	}{
		// Any line.
		{"byte order mark", 4, "", "\ufeff", 1, problemBOM},
		{"byte order mark inside", 1, "\nname R", "\nname \ufeffR", 6, problemFreeText},
		{"CRLF", 4, "action endorse\n", "action endorse\r\n", 4, problemCR},
		{"CR alone", 4, "action endorse\n", "action\rendorse\n", 4, problemCR},
		{"tab", 4, "action endorse", "action\tendorse", 4, problemControl},
		{"NUL", 4, "action endorse", "action endorse\x00", 4, problemControl},
		{"DEL", 1, "\nname R", "\nname \x7fR", 6, problemControl},
		{"trailing space", 4, "action endorse\n", "action endorse \n", 4, problemTrailingSpace},
		{"double space", 4, "action endorse", "action  endorse", 4, problemSpaces},
		{"leading space", 4, "action endorse", " action endorse", 4, problemSpaces},
		{"line of a space", 4, "action endorse\n", "action endorse\n \n", 5, problemSpaces},
		{"not UTF-8", 1, "Réseau du Nord\n", "R\xe9seau du Nord\n", 6, problemUTF8},
		{"half a character", 1, "name Réseau du Nord\n", "name R\xc3\n", 6, problemUTF8},
		{"surrogate", 1, "\nname R", "\nname \xed\xa0\x80R", 6, problemUTF8},
		{"overlong", 1, "\nname R", "\nname \xc0\xafR", 6, problemUTF8},
		{"empty line in front", 4, "", "\n", 1, problemHeader},
		{"empty line inside", 4, "action endorse\n", "\naction endorse\n", 4, noEmptyLine(formAction)},
		{"empty line before the date", 4, "date", "\ndate", 10, noEmptyLine(formDate)},
		{"no final LF", 4, "date 2024-06-11\n", "date 2024-06-11", 10, problemFinalLF},
		{"cut in a line", 4, "signer north.example\nkey ed25519 sha256:b68bba0b7890489cfc3259c7e90435322b18e5583977052d571b2be3955b0a36\ndate 2024-06-11\n", "sig", 8, problemFinalLF},
		{"cut after a line", 4, "date 2024-06-11\n", "", 10, missing(formDate)},

		// First line.
		{"other first line", 4, "undersigned/endorsement/v1", "ledger.example/tccm", 1, problemHeader},
		{"no version", 4, "endorsement/v1", "endorsement", 1, problemHeader},
		{"version 0", 4, "endorsement/v1", "endorsement/v0", 1, problemHeader},
		{"version 01", 4, "endorsement/v1", "endorsement/v01", 1, problemHeader},
		{"version of ten digits", 4, "endorsement/v1", "endorsement/v1000000000", 1, problemHeader},
		{"version with a tail", 4, "endorsement/v1", "endorsement/v1.0", 1, problemHeader},
		{"no kind", 4, "endorsement/v1", "/v1", 1, problemHeader},
		{"kind in capitals", 4, "endorsement/v1", "Endorsement/v1", 1, problemHeader},
		{"kind from a digit", 4, "endorsement/v1", "1endorsement/v1", 1, problemHeader},
		{"kind of 33 bytes", 4, "endorsement/v1", strings.Repeat("k", 33) + "/v1", 1, problemHeader},
		{"kind with a tail", 4, "endorsement/v1", "endorsement/x/v1", 1, problemHeader},
		{"leaf in a leaf", 4, "endorsement/v1", "leaf/v1", 1, problemLeafInside},
		{"evidence", 4, "endorsement/v1", "evidence/v1", 3, misplaced(formAbout)},
		{"roll", 4, "endorsement/v1", "roll/v1", 3, misplaced(formStatement)},
		{"other kind", 4, "endorsement/v1", "roll-line/v1", -1, unknownKind},
		{"other version", 4, "endorsement/v1", "endorsement/v2", -1, unknownKind},
		{"other version of a kind to come", 4, "endorsement/v1", "roll/v2", -1, unknownKind},
		{"kind of 32 bytes", 4, "endorsement/v1", strings.Repeat("k", 32) + "/v999999999", -1, unknownKind},

		// What the log makes.
		{"roll with previous", 15, "statement sha256", "previous none\nstatement sha256", 3, misplaced(formStatement)},
		{"roll with a signer", 15, "u346bx2DTM=\n", "u346bx2DTM=\nsigner north.example\n", 8, problemAfterText},
		{"roll of a negative size", 15, "size 15", "size -15", 4, problemNumber},
		{"roll of a size with a zero in front", 15, "size 15", "size 015", 4, problemNumber},
		{"roll as of a day", 15, "2024-06-16T23:59:59.999Z", "2024-06-16", 5, problemTime},
		{"roll as of a day that is none", 15, "2024-06-16T", "2024-06-31T", 5, problemTime},
		{"roll as of a second", 15, "59.999Z", "59Z", 5, problemTime},
		{"roll without a count", 15, "count 1\n", "", 6, misplaced(formCount)},
		{"roll of too large a count", 15, "count 1\n", "count 9223372036854775808\n", 6, problemNumber},
		{"root of 31 bytes", 15, "root oBVJe/y1hcWgS7cExWVQsqIb7gR8cULW+u346bx2DTM=", "root oBVJe/y1hcWgS7cExWVQsqIb7gR8cULW+u346bx2DQ==", 7, problemRoot},
		{"root with bits left over", 15, "u346bx2DTM=", "u346bx2DTN=", 7, problemRoot},
		{"root in hexadecimal", 15, "root oBVJe/y1hcWgS7cExWVQsqIb7gR8cULW+u346bx2DTM=", "root a015", 7, problemRoot},
		{"evidence with previous", 16, "about", "previous none\nabout", 3, misplaced(formAbout)},
		{"evidence about something else", 16, "checkpoint 15", "entry 15", 3, problemAbout},
		{"token about a member", 16, "checkpoint 15", "member north.example", 4, problemPair},
		{"chain about a checkpoint", 16, "rfc3161", "dnssec", 4, problemPair},
		{"evidence about no domain", 16, "checkpoint 15", "member north", 3, problemDomain},
		{"evidence about nothing", 16, "checkpoint 15", "checkpoint", 3, malformed(formAbout)},
		{"evidence of a type to come", 16, "rfc3161", "https", -1, unknownEvidence},
		{"evidence of a type in capitals", 16, "rfc3161", "RFC3161", 4, problemType},
		{"evidence without data", 16, texts[16][strings.Index(texts[16], "data "):], "", 5, missing(formData)},
		{"evidence whose last line is empty", 16, "data IHRoZXkgYXJlIGN1dA==\n", "data\n", 6, problemAfterText},
		{"evidence whose first line is short", 16, "data ZXhh", "data AAAA\ndata ZXhh", 6, problemAfterText},
		{"evidence with a line too long", 16, "data ZXhh", "data AAAAZXhh", 5, problemData},
		{"evidence with bits left over", 16, "IHRoZXkgYXJlIGN1dA==", "IHRoZXkgYXJlIGN1dB==", 6, problemBase64},

		// What all kinds have.
		{"no ledger", 4, "ledger ledger.example/tccm\n", "", 2, misplaced(formLedger)},
		{"ledger without a value", 4, "ledger ledger.example/tccm\n", "ledger\n", 2, misplaced(formLedger)},
		{"ledger in capitals", 4, "ledger.example/tccm", "Ledger.example/tccm", 2, problemOrigin},
		{"ledger that is a first line", 4, "ledger.example/tccm", "undersigned/endorsement/v1", 2, problemOrigin},
		{"ledger of two words", 4, "ledger.example/tccm", "ledger.example tccm", 2, problemOrigin},
		{"ledger twice", 4, "previous none\n", "ledger ledger.example/tccm\nprevious none\n", 3, misplaced(formPrevious)},
		{"no previous", 4, "previous none\n", "", 3, misplaced(formPrevious)},
		{"no previous in a statement", 3, "previous none\n", "", 3, misplaced(formPrevious)},
		{"previous of another form", 4, "previous none", "previous None", 3, problemPrevious},
		{"previous of two words", 4, "previous none", "previous none none", 3, problemPrevious},
		{"previous in upper case", 4, "previous none", "previous sha256:" + strings.Repeat("A", 64), 3, problemPrevious},
		{"previous too short", 4, "previous none", "previous sha256:" + strings.Repeat("a", 63), 3, problemPrevious},
		{"fields in another order", 4, "previous none\naction endorse\n", "action endorse\nprevious none\n", 3, misplaced(formPrevious)},
		{"unknown field", 4, "signer", "reason none\nsigner", 8, misplaced(formSigner)},
		{"no signer", 4, "signer north.example\n", "", 8, misplaced(formSigner)},
		{"signer with a final dot", 4, "signer north.example", "signer north.example.", 8, problemDomain},
		{"signer in capitals", 4, "signer north.example", "signer North.example", 8, problemDomain},
		{"signer not in A-labels", 4, "signer north.example", "signer nörd.example", 8, problemDomain},
		{"signer of one label", 4, "signer north.example", "signer north", 8, problemDomain},
		{"signer twice", 4, "signer north.example\n", "signer north.example\nsigner north.example\n", 9, misplaced(formKey)},
		{"no key", 4, "key ed25519 sha256:b68bba0b7890489cfc3259c7e90435322b18e5583977052d571b2be3955b0a36\n", "", 9, misplaced(formKey)},
		{"key without a hash", 4, "key ed25519 sha256:b68bba0b7890489cfc3259c7e90435322b18e5583977052d571b2be3955b0a36", "key ed25519", 9, malformed(formKey)},
		{"key of three words", 4, "key ed25519 ", "key ed25519 ed25519 ", 9, malformed(formKey)},
		{"key of another suite", 4, "key ed25519", "key ed448", 9, problemSuite},
		{"key of a suite like one of ours", 4, "key ed25519", "key sshsig-", 9, problemSuite},
		{"key in upper case", 4, "key ed25519 sha256:b68bba", "key ed25519 sha256:B68bba", 9, problemHash},
		{"key twice", 4, "date", "key " + ref0 + "\nkey " + ref0 + "\ndate", 11, problemRepeatedKeyLine},
		{"nine keys", 4, "date", many(8, "key ed25519 sha256:%064x") + "date", 17, problemManyKeyLines},
		{"key after the date", 4, "date 2024-06-11\n", "date 2024-06-11\nkey " + ref0 + "\n", 11, problemAfterText},
		{"no date", 4, "date 2024-06-11\n", "", 10, missing(formDate)},
		{"date twice", 4, "date 2024-06-11\n", "date 2024-06-11\ndate 2024-06-11\n", 11, problemAfterText},
		{"text after the date", 4, "date 2024-06-11\n", "date 2024-06-11\n\n", 11, problemAfterText},
		{"date with slashes", 4, "2024-06-11", "2024/06/11", 10, problemDate},
		{"date short", 4, "2024-06-11", "2024-6-11", 10, problemDate},
		{"date long", 4, "2024-06-11", "2024-06-111", 10, problemDate},
		{"date with a sign", 4, "2024-06-11", "+024-06-11", 10, problemDate},
		{"date with letters in the month", 4, "2024-06-11", "2024-Ju-11", 10, problemDate},
		{"date with letters in the day", 4, "2024-06-11", "2024-06-1l", 10, problemDate},
		{"date in month 0", 4, "2024-06-11", "2024-00-11", 10, problemDate},
		{"date in month 13", 4, "2024-06-11", "2024-13-11", 10, problemDate},
		{"date on day 0", 4, "2024-06-11", "2024-06-00", 10, problemDate},
		{"date on day 32", 4, "2024-06-11", "2024-07-32", 10, problemDate},
		{"date on 31 June", 4, "2024-06-11", "2024-06-31", 10, problemDate},
		{"date on 29 February of a common year", 4, "2024-06-11", "2023-02-29", 10, problemDate},
		{"date on 29 February 2100", 4, "2024-06-11", "2100-02-29", 10, problemDate},
		{"date before 1970", 4, "2024-06-11", "1969-12-31", 10, problemDate},
		{"date in year 0", 4, "2024-06-11", "0000-01-01", 10, problemDate},

		// Charters.
		{"charter: no rules", 0, "rules 1\n", "", 3, misplaced("rules 1")},
		{"charter: rules 2", 0, "rules 1", "rules 2", -1, unknownRules},
		{"charter: rules 0", 0, "rules 1", "rules 0", -1, unknownRules},
		{"charter: rules 01", 0, "rules 1", "rules 01", 3, problemRules},
		{"charter: rules of letters", 0, "rules 1", "rules one", 3, problemRules},
		{"charter: rules signed", 0, "rules 1", "rules +1", 3, problemRules},
		{"charter: rules too large", 0, "rules 1", "rules 9223372036854775808", 3, problemRules},
		{"charter: rules of twenty digits", 0, "rules 1", "rules 10000000000000000000", 3, problemRules},
		{"charter: no title", 0, "title Statements of the technical community\n", "", 4, misplaced(formTitle)},
		{"charter: title of 257 bytes", 0, "Statements of the technical community", strings.Repeat("t", 257), 4, problemTitleSize},
		{"charter: title in NFD", 0, "title S", "title Re\u0301seau S", 4, problemNFC},
		{"charter: no operator", 0, "operator ledger.example\n", "", 5, misplaced(formOperator)},
		{"charter: operator no domain", 0, "operator ledger.example", "operator -ledger.example", 5, problemDomain},
		{"charter: no key", 0, "public-key ed25519 " + b64(texts[0]) + "\n", "", 6, misplaced(formPublicKey)},
		{"charter: key of another suite", 0, "public-key ed25519", "public-key rsa", 6, problemSuite},
		{"charter: key of one word", 0, "public-key ed25519 ", "public-key ", 6, malformed(formPublicKey)},
		{"charter: key of three words", 0, "public-key ed25519 ", "public-key ed25519 AA== ", 6, malformed(formPublicKey)},
		{"charter: key without padding", 0, "=\npublisher", "\npublisher", 6, problemBase64},
		{"charter: key of padding alone", 0, b64(texts[0]), "====", 6, problemBase64},
		{"charter: key with bits left over", 0, b64(texts[0]), "AB==", 6, problemBase64},
		{"charter: key in base64url", 0, b64(texts[0]), "__--", 6, problemBase64},
		{"charter: key twice", 0, "publisher", "public-key mldsa44 " + b64(texts[0]) + "\npublisher", 7, problemRepeatedKey},
		{"charter: nine keys", 0, "publisher", many(8, "public-key ed25519 AAA%d") + "publisher", 14, problemManyKeys},
		{"charter: publisher no domain", 0, "secretariat.example", "secretariat", 7, problemDomain},
		{"charter: publisher twice", 0, "admission op", "publisher secretariat.example\nadmission op", 8, problemRepeatedPublisher},
		{"charter: 33 publishers", 0, "admission op", many(32, "publisher p%d.example") + "admission op", 39, problemManyPublishers},
		{"charter: no admission", 0, "admission operator\nadmission vouched 1\n", "", 8, misplaced(formAdmission)},
		{"charter: admission by dnssec twice", 0, "admission vouched 1\n", "admission dnssec\nadmission dnssec\n", 10, problemAdmission},
		{"charter: admission by dnssec first", 0, "admission vouched 1\n", "admission dnssec\nadmission vouched 1\n", 10, problemAdmission},
		{"charter: admission by dnssec before operator", 0, "admission operator\n", "admission dnssec\nadmission operator\n", 9, problemAdmission},
		{"charter: admission by others", 0, "admission operator", "admission everybody", 8, problemAdmission},
		{"charter: admission by the operator twice", 0, "admission vouched 1", "admission operator", 9, problemAdmission},
		{"charter: admission in another order", 0, "admission operator\nadmission vouched 1\n", "admission vouched 1\nadmission operator\n", 9, problemAdmission},
		{"charter: vouched twice", 0, "admission operator\n", "admission vouched 1\n", 9, problemAdmission},
		{"charter: vouched without a number", 0, "vouched 1", "vouched", 9, problemAdmission},
		{"charter: vouched 0", 0, "vouched 1", "vouched 0", 9, problemVouched},
		{"charter: vouched 17", 0, "vouched 1", "vouched 17", 9, problemVouched},
		{"charter: vouched 01", 0, "vouched 1", "vouched 01", 9, problemVouched},
		{"charter: no roll", 0, "roll daily 23:59\n", "", 10, misplaced(formRoll)},
		{"charter: roll of another kind", 0, "daily 23:59", "weekly", 10, problemRoll},
		{"charter: roll at 24:00", 0, "daily 23:59", "daily 24:00", 10, problemRoll},
		{"charter: roll at 23:60", 0, "daily 23:59", "daily 23:60", 10, problemRoll},
		{"charter: roll at 9:00", 0, "daily 23:59", "daily 9:00", 10, problemRoll},
		{"charter: roll at letters", 0, "daily 23:59", "daily 2E:59", 10, problemRoll},
		{"charter: roll at a minute of letters", 0, "daily 23:59", "daily 23:5o", 10, problemRoll},
		{"charter: roll at no clock", 0, "daily 23:59", "daily 23.59", 10, problemRoll},
		{"charter: roll without a time", 0, "daily 23:59", "daily", 10, problemRoll},
		{"charter: voucher in entry 0", 0, "signer", "voucher north.example " + ref0 + "\nsigner", 11, problemGenesisVoucher},
		{"charter: voucher without a domain", 13, "voucher south.example ", "voucher ", 10, malformed(formVoucher)},
		{"charter: voucher no domain", 13, "voucher south.example ", "voucher south ", 10, problemDomain},
		{"charter: voucher of another suite", 13, "voucher south.example ecdsa-p256-sha256", "voucher south.example ecdsa", 10, problemSuite},
		{"charter: voucher twice", 13, "signer", "voucher a.example " + ref0 + "\nvoucher b.example " + ref0 + "\nsigner", 12, problemRepeatedVoucher},
		{"charter: 33 vouchers", 13, "signer", many(32, "voucher v.example ed25519 sha256:%064x") + "signer", 42, problemManyVouchers},
		{"charter: previous of another form", 13, "previous sha256:", "previous sha512:", 3, problemPrevious},

		// Statements.
		{"statement: no action", 3, "action publish\n", "", 4, misplaced(formAction)},
		{"statement: other action", 3, "action publish", "action endorse", 4, problemStatementAction},
		{"statement: no hash", 3, "statement sha256:9559", "statement 9559", 5, problemHash},
		{"statement: hash too long", 3, "ff3920\n", "ff39200\n", 5, problemHash},
		{"statement: hash with a letter", 3, "ff3920\n", "ff392g\n", 5, problemHash},
		{"statement: hash in upper case", 3, "ff3920\n", "FF3920\n", 5, problemHash},
		{"statement: other hash", 3, "statement sha256:", "statement sha512:", 5, problemHash},
		{"statement: no title", 3, "title A technical community coalition for multistakeholderism (TCCM)\n", "", 6, misplaced(formTitle)},
		{"statement: title of 257 bytes", 3, "A technical community coalition for multistakeholderism (TCCM)", strings.Repeat("ä", 128) + "x", 6, problemTitleSize},
		{"statement: title with a bidi control", 3, "title A", "title \u202eA", 6, problemFreeText},
		{"statement: title with zero width", 3, "title A", "title A\u200b", 6, problemFreeText},
		{"statement: title with a no-break space", 3, "title A technical", "title A\u00a0technical", 6, problemFreeText},
		{"statement: title with a line separator", 3, "title A", "title A\u2028", 6, problemFreeText},
		{"statement: title with private use", 3, "title A", "title A\ue000", 6, problemFreeText},
		{"statement: title with a C1 control", 3, "title A", "title A\u0085", 6, problemFreeText},
		{"statement: title with a noncharacter", 3, "title A", "title A\uffff", 6, problemFreeText},
		{"statement: title with what Unicode 16.0 added", 3, "title A", "title A\U00010d40", 6, problemFreeText},
		{"statement: no language", 3, "language en\n", "", 7, misplaced(formLanguage)},
		{"statement: language in capitals", 3, "language en", "language EN", 7, problemLanguage},
		{"statement: language of one letter", 3, "language en", "language e", 7, problemLanguage},
		{"statement: language of four letters", 3, "language en", "language engl", 7, problemLanguage},
		{"statement: language with a digit", 3, "language en", "language e1", 7, problemLanguage},
		{"statement: language with an underscore", 3, "language en", "language en_GB", 7, problemLanguage},
		{"statement: language with a final hyphen", 3, "language en", "language en-", 7, problemLanguage},
		{"statement: language with two hyphens", 3, "language en", "language en--GB", 7, problemLanguage},
		{"statement: language with a part of one", 3, "language en", "language en-x", 7, problemLanguage},
		{"statement: language with a part of nine", 3, "language en", "language en-abcdefghi", 7, problemLanguage},
		{"statement: language with a Kelvin sign", 3, "language en", "language en-\u212aK", 7, problemLanguage},
		{"statement: language of 36 bytes", 3, "language en", "language en-12345678-12345678-12345678-123456", 7, problemLanguage},
		{"statement: language of two words", 3, "language en", "language en de", 7, problemLanguage},
		{"statement: no media type", 3, "media-type text/plain\n", "", 8, misplaced(formMediaType)},
		{"statement: media type in capitals", 3, "media-type text/plain", "media-type Text/plain", 8, problemMediaType},
		{"statement: media type without a subtype", 3, "media-type text/plain", "media-type text", 8, problemMediaType},
		{"statement: media type with an empty type", 3, "media-type text/plain", "media-type /plain", 8, problemMediaType},
		{"statement: media type with an empty subtype", 3, "media-type text/plain", "media-type text/", 8, problemMediaType},
		{"statement: media type with a parameter", 3, "media-type text/plain", "media-type text/plain;charset=utf-8", 8, problemMediaType},
		{"statement: media type with two slashes", 3, "media-type text/plain", "media-type text/plain/x", 8, problemMediaType},
		{"statement: media type from a dot", 3, "media-type text/plain", "media-type .text/plain", 8, problemMediaType},
		{"statement: media type with a subtype from a dot", 3, "media-type text/plain", "media-type text/.plain", 8, problemMediaType},
		{"statement: media type of 101 bytes", 3, "media-type text/plain", "media-type text/" + strings.Repeat("p", 96), 8, problemMediaType},
		{"statement: no size", 3, "size 2944\n", "", 9, misplaced(formSize)},
		{"statement: size 0", 3, "size 2944", "size 0", 9, problemSize},
		{"statement: size 02944", 3, "size 2944", "size 02944", 9, problemSize},
		{"statement: size signed", 3, "size 2944", "size +2944", 9, problemSize},
		{"statement: size negative", 3, "size 2944", "size -2944", 9, problemSize},
		{"statement: size with a comma", 3, "size 2944", "size 2,944", 9, problemSize},
		{"statement: size in hexadecimal", 3, "size 2944", "size 0xb80", 9, problemSize},
		{"statement: size in Arabic digits", 3, "size 2944", "size ٢٩٤٤", 9, problemSize},
		{"statement: size over 16 MiB", 3, "size 2944", "size 16777217", 9, problemSize},
		{"statement: rendition without a media type", 3, " 18230 text/html", " 18230", 11, malformed(formRendition)},
		{"statement: rendition of five words", 3, " 18230 text/html", " 18230 text/html x", 11, malformed(formRendition)},
		{"statement: rendition of another language", 3, "rendition en ", "rendition English ", 11, problemLanguage},
		{"statement: rendition without a hash", 3, "rendition pt-BR sha256:", "rendition pt-BR ", 10, problemHash},
		{"statement: rendition of size 0", 3, " 18230 ", " 0 ", 11, problemSize},
		{"statement: rendition of another media type", 3, "text/html", "html", 11, problemMediaType},
		{"statement: rendition twice", 3, "closes", "rendition de " + zeroHash + " 1 text/plain\nrendition fr " + zeroHash + " 1 text/plain\ncloses", 13, problemRepeatedRendition},
		{"statement: rendition that is the statement", 3, "closes", "rendition de sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920 1 text/plain\ncloses", 12, problemRepeatedRendition},
		{"statement: 33 renditions", 3, "closes", many(31, "rendition de sha256:%064x 1 text/plain") + "closes", 42, problemManyRenditions},
		{"statement: supersedes no hash", 3, "closes", "supersedes none\ncloses", 12, problemHash},
		{"statement: supersedes two", 3, "closes", "supersedes " + zeroHash + "\nsupersedes " + zeroHash + "\ncloses", 13, misplaced(formSigner)},
		{"statement: supersedes after closes", 3, "signer", "supersedes " + zeroHash + "\nsigner", 13, misplaced(formSigner)},
		{"statement: closes on a day", 3, "closes 2025-06-11T00:00:00.000Z", "closes 2025-06-11", 12, problemTime},
		{"statement: closes without milliseconds", 3, "closes 2025-06-11T00:00:00.000Z", "closes 2025-06-11T00:00:00Z", 12, problemTime},
		{"statement: closes with microseconds", 3, "closes 2025-06-11T00:00:00.000Z", "closes 2025-06-11T00:00:00.000000Z", 12, problemTime},
		{"statement: closes with a comma", 3, "00:00:00.000Z", "00:00:00,000Z", 12, problemTime},
		{"statement: closes with a space", 3, "11T00", "11 00", 12, problemTime},
		{"statement: closes with a small z", 3, "000Z", "000z", 12, problemTime},
		{"statement: closes in another zone", 3, "00:00:00.000Z", "00:00+00:00.0", 12, problemTime},
		{"statement: closes without colons", 3, "00:00:00", "00:00.00", 12, problemTime},
		{"statement: closes at hour 24", 3, "00:00:00", "24:00:00", 12, problemTime},
		{"statement: closes at a leap second", 3, "00:00:00", "23:59:60", 12, problemTime},
		{"statement: closes at a second of letters", 3, "00:00:00", "00:00:0O", 12, problemTime},
		{"statement: closes at a millisecond of letters", 3, "000Z", "00OZ", 12, problemTime},
		{"statement: closes on 30 February", 3, "2025-06-11T", "2025-02-30T", 12, problemTime},
		{"statement: closes before 1970", 3, "2025-06-11T", "1969-06-11T", 12, problemTime},
		{"statement: closes in year 1", 3, "2025-06-11T", "0001-01-01T", 12, problemTime},
		{"statement: close with a title", 11, "signer", "title A\nsigner", 6, misplaced(formSigner)},
		{"statement: close that closes", 11, "signer", "closes 2025-06-11T00:00:00.000Z\nsigner", 6, misplaced(formSigner)},
		{"statement: reopen with a title", 12, "closes", "title A\ncloses", 6, misplaced(formSigner)},
		{"statement: reopen that supersedes", 12, "closes", "supersedes " + zeroHash + "\ncloses", 6, misplaced(formSigner)},
		{"statement: voucher", 11, "signer", "voucher a.example " + ref0 + "\nsigner", 6, misplaced(formSigner)},

		// Memberships.
		{"membership: other action", 1, "action register", "action join", 4, problemMembershipAction},
		{"membership: no member", 1, "member north.example\n", "", 5, misplaced(formMember)},
		{"membership: member no domain", 1, "member north.example", "member north_.example", 5, problemDomain},
		{"membership: of another signer", 1, "signer north.example", "signer south.example", 12, problemSigner},
		{"membership: leave for another", 14, "signer south.example", "signer north.example", 6, problemSigner},
		{"membership: no name", 1, "name Réseau du Nord\n", "", 6, misplaced(formName)},
		{"membership: name in NFD", 1, "\nname Ré", "\nname Re\u0301", 6, problemNFC},
		{"membership: name of 129 bytes", 1, "name Réseau du Nord\n", "name " + strings.Repeat("n", 129) + "\n", 6, problemNameSize},
		{"membership: name twice", 1, "legal-name", "name North\nlegal-name", 7, misplaced(formPublicKey)},
		{"membership: legal name first", 1, "name Réseau du Nord\nlegal-name Réseau du Nord SCRL, registry of .north\n", "legal-name R\nname R\n", 6, misplaced(formName)},
		{"membership: legal name of 257 bytes", 1, "Réseau du Nord SCRL, registry of .north", strings.Repeat("n", 257), 7, problemLegalNameSize},
		{"membership: legal name with a soft hyphen", 1, "legal-name R", "legal-name \u00adR", 7, problemFreeText},
		{"membership: no key", 2, "public-key ecdsa-p256-sha256 " + b64(texts[2]) + "\n", "", 7, misplaced(formPublicKey)},
		{"membership: recovery key with a line of its own suite", 1, "recovery-key ed25519", "recovery-key dsa", 9, problemSuite},
		{"membership: recovery key without base64", 8, "recovery-key ed25519 " + b64(texts[8]), "recovery-key ed25519", 8, malformed(formPublicKey)},
		{"membership: recovery key that is a public key", 1, "quorum", "recovery-key ed25519 " + b64(texts[1]) + "\nquorum", 10, problemRepeatedKey},
		{"membership: nine keys together", 1, "quorum", many(7, "recovery-key ed25519 AAA%d") + "quorum", 16, problemManyKeys},
		{"membership: public key after a recovery key", 1, "quorum", "public-key ed25519 AAAA\nquorum", 10, misplaced(formQuorum)},
		{"membership: no quorum", 1, "quorum 1\n", "", 10, misplaced(formQuorum)},
		{"membership: quorum 0", 1, "quorum 1", "quorum 0", 10, problemQuorum},
		{"membership: quorum beyond the keys", 1, "quorum 1", "quorum 2", 10, problemQuorum},
		{"membership: quorum 1.0", 1, "quorum 1", "quorum 1.0", 10, problemQuorum},
		{"membership: update to quorum 9", 8, "quorum 1", "quorum 9", 9, problemQuorum},
		{"membership: update with a public key", 8, "recovery-key", "public-key ed25519 AAAA\nrecovery-key", 8, misplaced(formQuorum)},
		{"membership: voucher twice", 1, "signer", "voucher a.example " + ref0 + "\nvoucher a.example " + ref0 + "\nsigner", 13, problemRepeatedVoucher},
		{"membership: 33 vouchers", 8, "signer", many(32, "voucher v.example ed25519 sha256:%064x") + "signer", 42, problemManyVouchers},
		{"membership: leave with a name", 14, "signer", "name S\nsigner", 6, misplaced(formSigner)},
		{"membership: leave with a voucher", 14, "signer", "voucher a.example " + ref0 + "\nsigner", 6, misplaced(formSigner)},

		// Endorsements.
		{"endorsement: other action", 4, "action endorse", "action publish", 4, problemEndorsementAction},
		{"endorsement: no statement", 4, "statement sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920\n", "", 5, misplaced(formStatement)},
		{"endorsement: rendition with a size", 4, "after 4 ", "rendition de " + zeroHash + " 1\nafter 4 ", 7, malformed(formReference)},
		{"endorsement: rendition of another language", 4, "rendition pt-BR", "rendition pt_BR", 6, problemLanguage},
		{"endorsement: rendition without a hash", 4, "rendition pt-BR sha256:", "rendition pt-BR ", 6, problemHash},
		{"endorsement: rendition twice", 4, "after 4 ", "rendition de " + zeroHash + "\nrendition de " + zeroHash + "\nafter 4 ", 8, problemRepeatedRendition},
		{"endorsement: rendition that is the statement", 4, "after 4 ", "rendition de sha256:955990594f35f93cfd99f214cd5962bdfccaffb79814a7fa038ae7ec64ff3920\nafter 4 ", 7, problemRepeatedRendition},
		{"endorsement: 33 renditions", 4, "after 4 ", many(32, "rendition de sha256:%064x") + "after 4 ", 38, problemManyRenditions},
		{"endorsement: no after", 4, "after 4 sha256:d8ba2e146490bc7bfddcf3e2c3dd4aca889646e2ccc2dd5d8f5eb4f9413af144\n", "", 7, misplaced(formAfter)},
		{"endorsement: after without a hash", 4, "after 4 sha256:d8ba2e146490bc7bfddcf3e2c3dd4aca889646e2ccc2dd5d8f5eb4f9413af144", "after 4", 7, malformed(formAfter)},
		{"endorsement: after 04", 4, "after 4 ", "after 04 ", 7, problemNumber},
		{"endorsement: after 2^63", 4, "after 4 ", "after 9223372036854775808 ", 7, problemNumber},
		{"endorsement: after of another hash", 4, "after 4 sha256:", "after 4 sha512:", 7, problemHash},
		{"endorsement: after twice", 4, "signer", "after 4 " + zeroHash + "\nsigner", 8, misplaced(formSigner)},
		{"endorsement: withdraw with a rendition", 10, "after", "rendition de " + zeroHash + "\nafter", 6, misplaced(formAfter)},

		// Keys.
		{"key: other action", 5, "action add", "action remove", 4, problemKeyAction},
		{"key: member no domain", 5, "member north.example", "member n", 5, problemDomain},
		{"key: add without a key", 5, "public-key ed25519 " + b64(texts[5]) + "\n", "", 6, misplaced(formPublicKey)},
		{"key: add of bad base64", 5, b64(texts[5]), "A", 6, problemBase64},
		{"key: add of two", 5, "signer", "public-key ed25519 AAAA\nsigner", 7, misplaced(formSigner)},
		{"key: add that revokes", 5, "signer", "revokes " + ref0 + "\nsigner", 7, misplaced(formSigner)},
		{"key: add with compromised-after", 5, "signer", "compromised-after 1\nsigner", 7, misplaced(formSigner)},
		{"key: rotate that revokes nothing", 9, "revokes ed25519 ", "revoke ed25519 ", 7, misplaced(formRevokes)},
		{"key: rotate without a key", 9, "public-key ed25519 " + b64(texts[9]) + "\n", "", 6, misplaced(formPublicKey)},
		{"key: revoke with a key", 7, "revokes", "public-key ed25519 AAAA\nrevokes", 6, misplaced(formRevokes)},
		{"key: revoke of one word", 7, "revokes ed25519 ", "revokes ", 6, malformed(formRevokes)},
		{"key: revoke of another suite", 7, "revokes ed25519 ", "revokes x25519 ", 6, problemSuite},
		{"key: compromised after 05", 7, "compromised-after 5", "compromised-after 05", 7, problemNumber},
		{"key: compromised after 2^63", 7, "compromised-after 5", "compromised-after 9223372036854775808", 7, problemNumber},
		{"key: compromised twice", 7, "signer", "compromised-after 5\nsigner", 8, misplaced(formSigner)},
		{"key: suspend with compromised-after", 6, "signer", "compromised-after 5\nsigner", 7, misplaced(formSigner)},
		{"key: suspend with a key", 6, "revokes", "public-key ed25519 AAAA\nrevokes", 6, misplaced(formRevokes)},
	}
	seen := make(map[string]bool)
	for _, c := range cases {
		if seen[c.name] {
			t.Errorf("two cases are named %q", c.name)
		}
		seen[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			text := c.new + texts[c.index]
			if c.old != "" {
				text = edit(t, texts[c.index], c.old, c.new)
			}
			reject(t, text, c.line, c.problem)
		})
	}
	for _, text := range texts {
		if _, err := ParseText([]byte(text)); err != nil {
			t.Errorf("%v:\n%s", err, text)
		}
	}
}

// b64 returns the base64 of the first public or recovery key in a text.
func b64(text string) string {
	for line := range strings.Lines(text) {
		if w := strings.Fields(line); len(w) == 3 && (w[0] == "public-key" || w[0] == "recovery-key") {
			return w[2]
		}
	}
	return "no key"
}

// What stands at the bounds is accepted.
func TestAcceptText(t *testing.T) {
	for _, c := range []struct {
		name     string
		index    int
		old, new string
	}{
		{"charter that names none", 13, "previous sha256:" + example(t).entries[0].ID().String()[7:], "previous none"},
		{"vouched 16", 0, "vouched 1", "vouched 16"},
		{"admission by the operator alone", 0, "admission vouched 1\n", ""},
		{"admission by vouchers alone", 0, "admission operator\n", ""},
		{"no publisher", 0, "publisher secretariat.example\n", ""},
		{"32 publishers", 0, "publisher secretariat.example\n", many(32, "publisher p%d.example")},
		{"eight keys of a charter", 0, "publisher", many(7, "public-key rsa-pkcs1-sha256 AAA%d") + "publisher"},
		{"daily 00:00", 0, "daily 23:59", "daily 00:00"},
		{"manual", 0, "daily 23:59", "manual"},
		{"title of 256 bytes", 0, "Statements of the technical community", strings.Repeat("ä", 128)},
		{"title in other scripts", 0, "Statements of the technical community", "声明 заявления بيانات"},
		{"32 vouchers", 8, "signer", many(31, "voucher v.example mldsa44 sha256:%064x") + "signer"},
		{"a key that vouches and signs", 8, "signer", "voucher north.example ed25519 sha256:7525bcb73418996478459cbd2d020992c15f2fed6d8098900756f27277c3ac5d\nsigner"},
		{"name of 128 bytes", 1, "name Réseau du Nord\n", "name " + strings.Repeat("n", 128) + "\n"},
		{"legal name of 256 bytes", 1, "Réseau du Nord SCRL, registry of .north", strings.Repeat("n", 256)},
		{"no voucher", 8, "voucher south.example ecdsa-p256-sha256 sha256:c46d0ee44c61d475352afcfb4a0468d913aaba15890e6439ef5c745f0a0837e7\n", ""},
		{"no recovery key", 8, "recovery-key ed25519 " + b64(base(t, 8)) + "\n", ""},
		{"update to quorum 8", 8, "quorum 1", "quorum 8"},
		{"eight keys together", 1, "recovery-key", many(6, "public-key ecdsa-p384-sha384 AAA%d") + "recovery-key"},
		{"language of 35 bytes", 3, "language en", "language en-12345678-12345678-12345678-12345"},
		{"language of three letters", 3, "language en", "language yue-Hant-HK"},
		{"media type of 100 bytes", 3, "media-type text/plain", "media-type text/" + strings.Repeat("p", 95)},
		{"media type with punctuation", 3, "media-type text/plain", "media-type application/vnd.a-b_c+xml!#$&^"},
		{"size 1", 3, "size 2944", "size 1"},
		{"size 16 MiB", 3, "size 2944", "size 16777216"},
		{"32 renditions", 3, "closes", many(30, "rendition de sha256:%064x 1 text/plain") + "closes"},
		{"supersedes", 3, "closes", "supersedes " + zeroHash + "\ncloses"},
		{"open-ended", 3, "closes 2025-06-11T00:00:00.000Z\n", ""},
		{"closes at the last moment", 3, "closes 2025-06-11T00:00:00.000Z", "closes 9999-12-31T23:59:59.999Z"},
		{"closes at the first", 3, "closes 2025-06-11T00:00:00.000Z", "closes 1970-01-01T00:00:00.000Z"},
		{"reopened for good", 12, "closes 2026-06-11T12:00:00.000Z\n", ""},
		{"after 0", 4, "after 4 ", "after 0 "},
		{"after 2^63-1", 4, "after 4 ", "after 9223372036854775807 "},
		{"eight key lines", 4, "date", many(7, "key ed25519 sha256:%064x") + "date"},
		{"the same key of another suite", 4, "date", "key mldsa44 sha256:b68bba0b7890489cfc3259c7e90435322b18e5583977052d571b2be3955b0a36\ndate"},
		{"compromised after 0", 7, "compromised-after 5", "compromised-after 0"},
		{"rotate with compromised-after", 9, "signer", "compromised-after 9\nsigner"},
		{"key of another signer", 5, "signer north.example", "signer south.example"},
		{"29 February", 4, "2024-06-11", "2024-02-29"},
		{"31 December 9999", 4, "2024-06-11", "9999-12-31"},
		{"1 January 1970", 4, "2024-06-11", "1970-01-01"},
		{"origin without a path", 4, "ledger.example/tccm", "ledger.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := edit(t, base(t, c.index), c.old, c.new)
			e, err := ParseText([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if string(e.Text()) != text {
				t.Errorf("prints as\n%s", e.Text())
			}
			if err := e.Check(); err != nil {
				t.Errorf("Check: %v", err)
			}
		})
	}
}
