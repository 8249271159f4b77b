package entry

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/unicode15"
)

const (
	headerPrefix = "undersigned/"
	headerSuffix = "/v1"
	leafHeader   = "undersigned/leaf/v1"

	signaturePrefix = "— " // U+2014, space (c2sp.org/signed-note)

	rules             = "1"
	admissionOperator = "operator"
	admissionVouched  = "vouched"
	admissionDNSSEC   = "dnssec"
	aboutMember       = "member"
	aboutCheckpoint   = "checkpoint"
)

// base64Encoding refuses non-zero trailing bits and missing padding. It skips
// CR and LF, which no line holds.
var base64Encoding = base64.StdEncoding.Strict()

// ParseText reads the text of an entry, all of it, without a signature.
//
// The error is a *SyntaxError, or an *UnknownError at the first line that this
// version does not know and no earlier line is malformed; later ones are then
// not looked at.
func ParseText(text []byte) (*Entry, error) {
	p := newParser(text, MaxEntry, problemEntrySize)
	e := p.entry()
	if p.peek() {
		p.fail(problemAfterText)
	}
	if p.err != nil {
		return nil, p.err
	}
	return e, nil
}

// Parse reads an entry: its text, an empty line, and exactly one signature line
// for each voucher and key line, in their order and with their owner's name.
// Neither key IDs nor signatures are checked.
//
// Of what the log makes itself there is no such form. The errors are those of
// ParseText.
func Parse(note []byte) (*Entry, error) {
	p := newParser(note, MaxEntry, problemEntrySize)
	e := p.entry()
	p.bySomebody(e)
	p.signatures(e)
	if p.peek() {
		p.fail(problemAfterEntry)
	}
	if p.err != nil {
		return nil, p.err
	}
	return e, nil
}

// ParseDraft reads an entry that not everybody has signed yet: its text, alone
// or with an empty line and signature lines after it, in any order, each under
// a name that Named has. Which place a signature belongs in only the key can
// tell, so the entry comes without any and AddSignature puts them there.
//
// The errors are those of ParseText.
func ParseDraft(note []byte) (*Entry, []Signature, error) {
	p := newParser(note, MaxEntry, problemEntrySize)
	e := p.entry()
	p.bySomebody(e)
	var loose []Signature
	if p.peek() {
		p.empty()
		for first := true; first || p.peek(); first = false {
			s := p.signature()
			if p.err == nil && !e.names(s.Name) {
				p.fail(problemSignatureOwner)
			}
			if len(loose) == MaxVouchers+MaxKeys {
				p.fail(problemAfterEntry)
			}
			loose = append(loose, s)
		}
	}
	if p.err != nil {
		return nil, nil, p.err
	}
	return e, loose, nil
}

// names reports whether a voucher or key line is of this domain.
func (e *Entry) names(domain string) bool {
	for _, v := range e.Body.vouchers() {
		if v.Domain == domain {
			return true
		}
	}
	return e.Signer == domain
}

// byLog reports whether the log makes this entry; false while there is none.
func (e *Entry) byLog() bool { return e.Body != nil && e.Body.Kind().ByLog() }

// bySomebody fails for an entry that the log makes.
func (p *parser) bySomebody(e *Entry) {
	if p.err == nil && e.byLog() {
		p.line = 1
		p.fail(problemMade)
	}
}

// A parser walks over lines. Its first error stays: from then on there is no
// line any more, loops end, and what is still returned is not used.
type parser struct {
	src  string
	next int    // offset of the line after cur
	line int    // number of cur, from 1; at the end one past the last
	cur  string // without its LF
	held bool   // cur has been read and not taken
	end  bool   // there is no line after cur
	err  error
}

func newParser(b []byte, limit int, problem string) *parser {
	if len(b) > limit {
		return &parser{err: &SyntaxError{Problem: problem}}
	}
	return &parser{src: string(b)}
}

func (p *parser) fail(problem string) {
	if p.err == nil {
		p.err = &SyntaxError{p.line, problem}
	}
}

func (p *parser) unknown(what string) {
	if p.err == nil {
		p.err = &UnknownError{what}
	}
}

// peek reports whether there is a line that has not been taken, and puts it
// into cur.
func (p *parser) peek() bool {
	if p.err != nil || p.end {
		return false
	}
	if p.held {
		return true
	}
	p.line++
	rest := p.src[p.next:]
	if rest == "" {
		p.end = true
		return false
	}
	i := strings.IndexByte(rest, '\n')
	if i < 0 {
		p.fail(problemFinalLF)
		return false
	}
	p.cur = rest[:i]
	if problem := lineProblem(p.cur); problem != "" {
		p.fail(problem)
		return false
	}
	p.next += i + 1
	p.held = true
	return true
}

// graphic marks the bytes of printable ASCII but the space, which may stand anywhere in a line.
var graphic = func() (t [256]bool) {
	for c := byte('!'); c <= '~'; c++ {
		t[c] = true
	}
	return t
}()

// taken returns the length of the lines that have been taken.
func (p *parser) taken() int {
	if p.held {
		return p.next - len(p.cur) - 1
	}
	return p.next
}

// lineProblem says what is wrong with a line whatever field it is, or "".
func lineProblem(line string) string {
	ascii, space := true, true
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case graphic[c]:
		case c == ' ':
			if space {
				return problemSpaces
			}
			space = true
			continue
		case c == '\r':
			return problemCR
		case c < ' ' || c == 0x7f:
			return problemControl
		case c >= utf8.RuneSelf:
			ascii = false
		}
		space = false
	}
	if space && line != "" {
		return problemTrailingSpace
	}
	if !ascii {
		if !utf8.ValidString(line) {
			return problemUTF8
		}
		if strings.HasPrefix(line, "\ufeff") {
			return problemBOM
		}
	}
	return ""
}

// is reports whether the next line is the field name.
func (p *parser) is(name string) bool {
	return p.peek() && len(p.cur) > len(name) && p.cur[len(name)] == ' ' && p.cur[:len(name)] == name
}

// field takes the next line, which must be the field name, and returns its
// value. form is the whole line as people are shown it.
func (p *parser) field(name, form string) string {
	if !p.is(name) {
		p.expected(form)
		return ""
	}
	p.held = false
	return p.cur[len(name)+1:]
}

// empty takes the next line, which must be empty.
func (p *parser) empty() {
	if !p.peek() {
		p.fail(problemNoEmptyLine)
	} else if p.cur != "" {
		p.fail(problemEmptyLine)
	}
	p.held = false
}

// expected fails because the next line is not the one of this form.
func (p *parser) expected(form string) {
	switch {
	case !p.peek():
		p.fail(missing(form))
	case p.cur == "":
		p.fail(noEmptyLine(form))
	default:
		p.fail(misplaced(form))
	}
}

// words splits the value of a field into exactly n words.
func (p *parser) words(value string, n int, form string) (w [4]string) {
	for i := range n {
		word, rest, more := strings.Cut(value, " ")
		if word == "" || more != (i < n-1) {
			p.fail(malformed(form))
			return [4]string{}
		}
		w[i], value = word, rest
	}
	return w
}

// header takes the first line of an entry.
func (p *parser) header() Kind {
	if !p.peek() {
		p.expected(formHeader)
		return ""
	}
	p.held = false
	switch p.cur {
	case "undersigned/charter/v1":
		return KindCharter
	case "undersigned/statement/v1":
		return KindStatement
	case "undersigned/membership/v1":
		return KindMembership
	case "undersigned/endorsement/v1":
		return KindEndorsement
	case "undersigned/key/v1":
		return KindKey
	case "undersigned/roll/v1":
		return KindRoll
	case "undersigned/evidence/v1":
		return KindEvidence
	}
	switch kind, _ := cutHeader(p.cur); kind {
	case "":
		p.fail(problemHeader)
	case "leaf":
		p.fail(problemLeafInside)
	default:
		p.unknown(unknownKind)
	}
	return ""
}

// cutHeader returns the parts of a line undersigned/<kind>/v<version>, or
// nothing if it has another form.
func cutHeader(line string) (kind, version string) {
	rest, ok := strings.CutPrefix(line, headerPrefix)
	kind, version, ok2 := strings.Cut(rest, "/v")
	if !ok || !ok2 || !isToken(kind, 32, "-") || !isLower(kind[0]) {
		return "", ""
	}
	if n, ok := parseNumber(version); !ok || n == 0 || len(version) > 9 {
		return "", ""
	}
	return kind, version
}

// entry takes the text of an entry.
func (p *parser) entry() *Entry {
	start, before := p.next, p.line
	kind := p.header()
	e := &Entry{Ledger: p.field("ledger", formLedger)}
	if p.err == nil && keys.CheckOrigin(e.Ledger) != nil {
		p.fail(problemOrigin)
	}
	if kind.ByLog() {
		p.made(e, kind)
		p.printsAs(e, start, before+1)
		return e
	}
	if kind == KindCharter && !p.is("previous") {
		e.Genesis = true
	} else if v := p.field("previous", formPrevious); v != "none" {
		h, ok := parseHash(v)
		if !ok {
			p.fail(problemPrevious)
		}
		e.Previous = &h
	}
	switch kind {
	case KindCharter:
		e.Body = p.charter(e.Genesis)
	case KindStatement:
		e.Body = p.statement()
	case KindMembership:
		e.Body = p.membership()
	case KindEndorsement:
		e.Body = p.endorsement()
	case KindKey:
		e.Body = p.keyEvent()
	}
	e.Signer = p.domain(p.field("signer", formSigner))
	if m, ok := e.Body.(*Membership); ok && m.Member != e.Signer {
		p.fail(problemSigner)
	}
	for p.is("key") {
		w := p.words(p.field("key", formKey), 2, formKey)
		ref := p.ref(w[0], w[1])
		if len(e.Keys) == MaxKeys {
			p.fail(problemManyKeyLines)
		}
		for _, other := range e.Keys {
			if other == ref {
				p.fail(problemRepeatedKeyLine)
			}
		}
		e.Keys = append(e.Keys, ref)
	}
	if len(e.Keys) == 0 {
		p.expected(formKey)
	}
	e.Date = p.field("date", formDate)
	if _, _, _, ok := parseDate(e.Date); !ok {
		p.fail(problemDate)
	}
	p.printsAs(e, start, before+1)
	return e
}

// made takes what the log says itself: what follows the ledger line.
func (p *parser) made(e *Entry, kind Kind) {
	if kind == KindRoll {
		e.Body = p.roll()
	} else {
		e.Body = p.evidenceEntry()
	}
}

// printsAs fails unless e prints as what was read from start, which is the line first.
func (p *parser) printsAs(e *Entry, start, first int) {
	if p.err != nil {
		return
	}
	again := printers.Get().(*printer)
	again.b = again.b[:0]
	again.text(e)
	p.identical(again.b, p.src[start:p.taken()], first)
	printers.Put(again)
}

// identical fails unless what was parsed prints as what was read, which starts
// at the line first. Every field refuses other spellings by itself; this holds
// for all of them together.
func (p *parser) identical(printed []byte, read string, first int) {
	if string(printed) == read {
		return
	}
	p.line = first
	for i := 0; i < len(read) && i < len(printed) && read[i] == printed[i]; i++ {
		if read[i] == '\n' {
			p.line++
		}
	}
	p.fail(problemOneForm)
}

func (p *parser) charter(genesis bool) *Charter {
	c := new(Charter)
	switch n, ok := parseNumber(p.field("rules", formRules)); {
	case !ok:
		p.fail(problemRules)
	case n != 1:
		p.unknown(unknownRules)
	}
	c.Title = p.freeText(p.field("title", formTitle), MaxTitle, problemTitleSize)
	c.Operator = p.domain(p.field("operator", formOperator))
	c.PublicKeys = p.publicKeys("public-key", nil)
	if len(c.PublicKeys) == 0 {
		p.expected(formPublicKey)
	}
	for p.is("publisher") {
		domain := p.domain(p.field("publisher", ""))
		if len(c.Publishers) == MaxPublishers {
			p.fail(problemManyPublishers)
		}
		for _, other := range c.Publishers {
			if other == domain {
				p.fail(problemRepeatedPublisher)
			}
		}
		c.Publishers = append(c.Publishers, domain)
	}
	p.admission(&c.Admission)
	c.Roll = p.field("roll", formRoll)
	if !validRoll(c.Roll) {
		p.fail(problemRoll)
	}
	if genesis && p.is("voucher") {
		p.fail(problemGenesisVoucher)
	}
	c.Vouchers = p.vouchers()
	return c
}

func (p *parser) admission(a *Admission) {
	if !p.is("admission") {
		p.expected(formAdmission)
	}
	for p.is("admission") {
		v := p.field("admission", formAdmission)
		m, vouched := strings.CutPrefix(v, admissionVouched+" ")
		switch {
		case v == admissionDNSSEC && !a.DNSSEC:
			a.DNSSEC = true
		case v == admissionOperator && *a == Admission{}:
			a.Operator = true
		case vouched && a.Vouched == 0 && !a.DNSSEC:
			a.Vouched = int(p.number(m, 1, MaxVouched, problemVouched))
		default:
			p.fail(problemAdmission)
		}
	}
}

func (p *parser) roll() *Roll {
	r := &Roll{
		Statement: p.hash(p.field("statement", formStatement)),
		Size:      p.number(p.field("size", formRollSize), 0, math.MaxInt64, problemNumber),
	}
	var ok bool
	if r.AsOf, ok = parseTime(p.field("asof", formAsOf)); !ok {
		p.fail(problemTime)
	}
	r.Count = p.number(p.field("count", formCount), 0, math.MaxInt64, problemNumber)
	root, err := base64Encoding.DecodeString(p.field("root", formRoot))
	if err != nil || len(root) != len(r.Root) {
		p.fail(problemRoot)
	}
	copy(r.Root[:], root)
	return r
}

func (p *parser) evidenceEntry() *Evidence {
	v := new(Evidence)
	w := p.words(p.field("about", formAbout), 2, formAbout)
	switch w[0] {
	case aboutMember:
		v.Member = p.domain(w[1])
	case aboutCheckpoint:
		v.Size = p.number(w[1], 0, math.MaxInt64, problemNumber)
	default:
		p.fail(problemAbout)
	}
	switch v.Type = EvidenceType(p.field("type", formType)); v.Type {
	case RFC3161, DNSSEC:
		if (v.Type == DNSSEC) != (v.Member != "") {
			p.fail(problemPair)
		}
	default:
		if !isToken(string(v.Type), 32, "-") {
			p.fail(problemType)
		}
		p.unknown(unknownEvidence)
	}
	for full := true; full && p.is("data"); {
		line, err := base64Encoding.DecodeString(p.field("data", formData))
		switch {
		case err != nil || len(line) == 0:
			p.fail(problemBase64)
		case len(line) > evidenceLine || len(v.Data)+len(line) > MaxEvidence:
			p.fail(problemData)
		}
		v.Data = append(v.Data, line...)
		full = len(line) == evidenceLine
	}
	if len(v.Data) == 0 {
		p.expected(formData)
	}
	return v
}

func validRoll(s string) bool {
	if s == "on-change" || s == "manual" {
		return true
	}
	at, ok := strings.CutPrefix(s, "daily ")
	return ok && validClock(at)
}

func (p *parser) statement() *Statement {
	s := new(Statement)
	s.Action = p.action(problemStatementAction, Publish, Close, Reopen)
	s.Statement = p.hash(p.field("statement", formStatement))
	if s.Action == Publish {
		s.Title = p.freeText(p.field("title", formTitle), MaxTitle, problemTitleSize)
		s.Language = p.language(p.field("language", formLanguage))
		s.MediaType = p.mediaType(p.field("media-type", formMediaType))
		s.Size = int64(p.number(p.field("size", formSize), 1, MaxStatement, problemSize))
		for p.is("rendition") {
			w := p.words(p.field("rendition", formRendition), 4, formRendition)
			r := Rendition{
				Language:  p.language(w[0]),
				Hash:      p.hash(w[1]),
				Size:      int64(p.number(w[2], 1, MaxStatement, problemSize)),
				MediaType: p.mediaType(w[3]),
			}
			repeated := r.Hash == s.Statement
			for i := range s.Renditions {
				repeated = repeated || s.Renditions[i].Hash == r.Hash
			}
			p.rendition(len(s.Renditions), repeated)
			s.Renditions = append(s.Renditions, r)
		}
		if p.is("supersedes") {
			h := p.hash(p.field("supersedes", ""))
			s.Supersedes = &h
		}
	}
	if s.Action != Close && p.is("closes") {
		t, ok := parseTime(p.field("closes", ""))
		if !ok {
			p.fail(problemTime)
		}
		s.Closes = t
	}
	return s
}

// rendition fails if n renditions have been read before this one, or if it
// names the same bytes as one of them or the statement.
func (p *parser) rendition(n int, repeated bool) {
	if n == MaxRenditions {
		p.fail(problemManyRenditions)
	}
	if repeated {
		p.fail(problemRepeatedRendition)
	}
}

func (p *parser) membership() *Membership {
	m := new(Membership)
	m.Action = p.action(problemMembershipAction, Register, Update, Leave)
	m.Member = p.domain(p.field("member", formMember))
	if m.Action == Leave {
		return m
	}
	m.Name = p.freeText(p.field("name", formName), MaxName, problemNameSize)
	if p.is("legal-name") {
		m.LegalName = p.freeText(p.field("legal-name", ""), MaxLegalName, problemLegalNameSize)
	}
	most := MaxKeys
	if m.Action == Register {
		m.PublicKeys = p.publicKeys("public-key", nil)
		if len(m.PublicKeys) == 0 {
			p.expected(formPublicKey)
		}
		most = len(m.PublicKeys)
	}
	m.RecoveryKeys = p.publicKeys("recovery-key", m.PublicKeys)
	m.Quorum = int(p.number(p.field("quorum", formQuorum), 1, uint64(most), problemQuorum))
	m.Vouchers = p.vouchers()
	return m
}

func (p *parser) endorsement() *Endorsement {
	n := new(Endorsement)
	n.Action = p.action(problemEndorsementAction, Endorse, Withdraw)
	n.Statement = p.hash(p.field("statement", formStatement))
	for n.Action == Endorse && p.is("rendition") {
		w := p.words(p.field("rendition", formReference), 2, formReference)
		r := RenditionRef{p.language(w[0]), p.hash(w[1])}
		repeated := r.Hash == n.Statement
		for i := range n.Renditions {
			repeated = repeated || n.Renditions[i].Hash == r.Hash
		}
		p.rendition(len(n.Renditions), repeated)
		n.Renditions = append(n.Renditions, r)
	}
	w := p.words(p.field("after", formAfter), 2, formAfter)
	n.After.Size = p.number(w[0], 0, math.MaxInt64, problemNumber)
	n.After.Note = p.hash(w[1])
	return n
}

func (p *parser) keyEvent() *KeyEvent {
	k := new(KeyEvent)
	k.Action = p.action(problemKeyAction, Add, Rotate, Revoke, Suspend)
	k.Member = p.domain(p.field("member", formMember))
	if k.Action == Add || k.Action == Rotate {
		key := p.publicKey(p.field("public-key", formPublicKey))
		k.PublicKey = &key
	}
	if k.Action == Add {
		return k
	}
	w := p.words(p.field("revokes", formRevokes), 2, formRevokes)
	ref := p.ref(w[0], w[1])
	k.Revokes = &ref
	if k.Action != Suspend && p.is("compromised-after") {
		n := p.number(p.field("compromised-after", ""), 0, math.MaxInt64, problemNumber)
		k.CompromisedAfter = &n
	}
	return k
}

// action takes the action line, which must name one of these.
func (p *parser) action(problem string, actions ...Action) Action {
	v := Action(p.field("action", formAction))
	for _, a := range actions {
		if a == v {
			return a
		}
	}
	p.fail(problem)
	return ""
}

// publicKeys takes all lines of this name. No key among them and before may be
// repeated, nor may they be more than MaxKeys together.
func (p *parser) publicKeys(name string, before []PublicKey) (list []PublicKey) {
	for p.is(name) {
		k := p.publicKey(p.field(name, ""))
		if len(before)+len(list) == MaxKeys {
			p.fail(problemManyKeys)
		}
		if hasSPKI(before, k) || hasSPKI(list, k) {
			p.fail(problemRepeatedKey)
		}
		list = append(list, k)
	}
	return list
}

func hasSPKI(list []PublicKey, k PublicKey) bool {
	for i := range list {
		if string(list[i].SPKI) == string(k.SPKI) {
			return true
		}
	}
	return false
}

func (p *parser) publicKey(value string) PublicKey {
	w := p.words(value, 2, formPublicKey)
	k := PublicKey{Suite: p.suite(w[0])}
	spki, err := base64Encoding.DecodeString(w[1])
	if err != nil {
		p.fail(problemBase64)
	}
	k.SPKI = spki
	return k
}

func (p *parser) vouchers() (list []Named) {
	for p.is("voucher") {
		w := p.words(p.field("voucher", formVoucher), 3, formVoucher)
		v := Named{p.domain(w[0]), p.ref(w[1], w[2])}
		if len(list) == MaxVouchers {
			p.fail(problemManyVouchers)
		}
		for i := range list {
			if list[i].Ref == v.Ref {
				p.fail(problemRepeatedVoucher)
			}
		}
		list = append(list, v)
	}
	return list
}

func (p *parser) ref(suite, fingerprint string) keys.Ref {
	return keys.Ref{Suite: p.suite(suite), Fingerprint: keys.Fingerprint(p.hash(fingerprint))}
}

func (p *parser) suite(s string) keys.Suite {
	switch suite := keys.Suite(s); suite {
	case keys.Ed25519, keys.ECDSAP256SHA256, keys.ECDSAP384SHA384, keys.RSAPSSSHA256, keys.RSAPKCS1SHA256, keys.MLDSA44,
		keys.SSHSIG, keys.SSHSIGSK:
		return suite
	default:
		p.fail(problemSuite)
	}
	return ""
}

func (p *parser) domain(s string) string {
	if p.err == nil && keys.CheckDomain(s) != nil {
		p.fail(problemDomain)
	}
	return s
}

func (p *parser) hash(s string) Hash {
	h, ok := parseHash(s)
	if !ok {
		p.fail(problemHash)
	}
	return h
}

func (p *parser) freeText(s string, most int, problem string) string {
	switch {
	case p.err != nil:
	case len(s) > most:
		p.fail(problem)
	case !unicode15.FreeText(s):
		if norm.NFC.IsNormalString(s) {
			p.fail(problemFreeText)
		}
		p.fail(problemNFC)
	}
	return s
}

// language accepts the shape of a language tag (RFC 5646) without looking into
// any registry: [a-z]{2,3}(-[A-Za-z0-9]{2,8})*, at most 35 bytes.
func (p *parser) language(s string) string {
	part, parts := 0, 0 // length of the part being read, parts before it
	ok := len(s) <= 35
	for i := 0; i < len(s) && ok; i++ {
		c := s[i]
		switch {
		case c == '-':
			ok = part >= 2
			part, parts = 0, parts+1
			continue
		case parts == 0:
			ok = isLower(c) && part < 3
		default:
			ok = (isLower(c|0x20) || isDigit(c)) && part < 8
		}
		part++
	}
	if !ok || part < 2 {
		p.fail(problemLanguage)
	}
	return s
}

// mediaType accepts type/subtype of RFC 6838, section 4.2, in lower case and
// without parameters, at most 100 bytes.
func (p *parser) mediaType(s string) string {
	const punctuation = "!#$&-^_.+"
	major, minor, ok := strings.Cut(s, "/")
	if !ok || len(s) > 100 || !isToken(major, 100, punctuation) || !isToken(minor, 100, punctuation) ||
		!isLower(major[0]) && !isDigit(major[0]) || !isLower(minor[0]) && !isDigit(minor[0]) {
		p.fail(problemMediaType)
	}
	return s
}

// number reads a decimal number without leading zeros between the bounds.
func (p *parser) number(s string, least, most uint64, problem string) uint64 {
	n, ok := parseNumber(s)
	if !ok || n < least || n > most {
		p.fail(problem)
	}
	return n
}

// parseNumber reads a decimal number up to 2^63-1 without leading zeros.
func parseNumber(s string) (n uint64, ok bool) {
	if len(s) == 0 || len(s) > 19 || s[0] == '0' && s != "0" {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = 10*n + uint64(s[i]-'0')
	}
	return n, n <= math.MaxInt64
}

// isToken reports whether s has 1 to most bytes, all of them lower-case
// letters, digits or in extra.
func isToken(s string, most int, extra string) bool {
	for i := 0; i < len(s); i++ {
		if !isLower(s[i]) && !isDigit(s[i]) && strings.IndexByte(extra, s[i]) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= most
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// parseDigits reads s as a decimal number of fixed width.
func parseDigits(s string) (n int, ok bool) {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, true
}

// parseDate reads YYYY-MM-DD, a day of the years 1970 to 9999.
func parseDate(s string) (year, month, day int, ok bool) {
	if len(s) != len(DateFormat) || s[4] != '-' || s[7] != '-' {
		return 0, 0, 0, false
	}
	year, ok1 := parseDigits(s[:4])
	month, ok2 := parseDigits(s[5:7])
	day, ok3 := parseDigits(s[8:])
	if !ok1 || !ok2 || !ok3 || year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 {
		return 0, 0, 0, false
	}
	// Package time moves 30 February into March.
	return year, month, day, day <= 28 || time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Day() == day
}

// validClock reports whether s is HH:MM, 00:00 to 23:59.
func validClock(s string) bool {
	if len(s) != 5 || s[2] != ':' {
		return false
	}
	hour, ok1 := parseDigits(s[:2])
	minute, ok2 := parseDigits(s[3:])
	return ok1 && ok2 && hour < 24 && minute < 60
}

// parseTime reads a time in TimeFormat. There are no leap seconds in it.
func parseTime(s string) (time.Time, bool) {
	if len(s) != len(TimeFormat) || s[10] != 'T' || s[16] != ':' || s[19] != '.' || s[23] != 'Z' || !validClock(s[11:16]) {
		return time.Time{}, false
	}
	year, month, day, ok1 := parseDate(s[:10])
	hour, _ := parseDigits(s[11:13])
	minute, _ := parseDigits(s[14:16])
	second, ok2 := parseDigits(s[17:19])
	ms, ok3 := parseDigits(s[20:23])
	if !ok1 || !ok2 || !ok3 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, ms*int(time.Millisecond), time.UTC), true
}

// ParseTime reads a time in TimeFormat, the years 1970 to 9999, and no other
// form. The result is in UTC.
func ParseTime(s string) (time.Time, error) {
	t, ok := parseTime(s)
	if !ok {
		return time.Time{}, errors.New(problemTime)
	}
	return t, nil
}

// signatures takes the empty line and the signature lines of a whole entry.
func (p *parser) signatures(e *Entry) {
	if p.err != nil {
		return
	}
	p.empty()
	vouchers := e.Body.vouchers()
	n := len(vouchers) + len(e.Keys)
	e.Signatures = make([]Signature, n)
	for i := range n {
		name := e.Signer
		if i < len(vouchers) {
			name = vouchers[i].Domain
		}
		s := p.signature()
		if s.Name != name {
			p.fail(problemSignatureName)
		}
		e.Signatures[i] = s
	}
}

// signature takes one signature line.
func (p *parser) signature() Signature {
	if !p.peek() || p.cur == "" {
		p.fail(problemMissingSignature)
		return Signature{}
	}
	p.held = false
	rest, ok := strings.CutPrefix(p.cur, signaturePrefix)
	name, encoded, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 {
		p.fail(problemSignatureLine)
		return Signature{}
	}
	b, err := base64Encoding.DecodeString(encoded)
	if err != nil {
		p.fail(problemBase64)
		return Signature{}
	}
	if len(b) < 5 {
		p.fail(problemSignatureSize)
		return Signature{}
	}
	return Signature{name, binary.BigEndian.Uint32(b), b[4:len(b):len(b)]}
}
