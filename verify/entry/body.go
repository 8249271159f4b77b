package entry

import (
	"crypto/sha256"
	"time"

	"github.com/tccm/undersigned/keys"
)

// Bounds on what an entry may hold. They are part of the format: an entry
// beyond one of them does not parse.
const (
	MaxKeys       = 8        // key lines; public keys of a charter; public and recovery keys together
	MaxVouchers   = 32       // voucher lines
	MaxPublishers = 32       // publisher lines of a charter
	MaxRenditions = 32       // rendition lines
	MaxVouched    = 16       // m in "admission vouched <m>"
	MaxTitle      = 256      // bytes of a title
	MaxName       = 128      // bytes of a member's name
	MaxLegalName  = 256      // bytes of a member's legal name
	MaxStatement  = 16 << 20 // bytes of a statement or rendition
	MaxEvidence   = 24 << 10 // bytes of evidence
)

// A Kind is the middle part of an entry's first line, undersigned/<kind>/v1.
type Kind string

// The kinds that this version knows.
const (
	KindCharter     Kind = "charter"
	KindStatement   Kind = "statement"
	KindMembership  Kind = "membership"
	KindEndorsement Kind = "endorsement"
	KindKey         Kind = "key"
	KindRoll        Kind = "roll"     // made by the log
	KindEvidence    Kind = "evidence" // made by the log
)

// ByLog reports whether the log itself makes entries of this kind: nobody signs
// or submits them.
func (k Kind) ByLog() bool { return k == KindRoll || k == KindEvidence }

// An Action is the value of an entry's action line. Which actions a kind has
// is said at its body type.
type Action string

// The actions of all kinds.
const (
	Publish  Action = "publish"  // Statement
	Close    Action = "close"    // Statement
	Reopen   Action = "reopen"   // Statement
	Register Action = "register" // Membership
	Update   Action = "update"   // Membership
	Leave    Action = "leave"    // Membership
	Endorse  Action = "endorse"  // Endorsement
	Withdraw Action = "withdraw" // Endorsement
	Add      Action = "add"      // KeyEvent
	Rotate   Action = "rotate"   // KeyEvent
	Revoke   Action = "revoke"   // KeyEvent
	Suspend  Action = "suspend"  // KeyEvent
)

// A Body is what an entry of one kind says between its previous and its signer
// line: *Charter, *Statement, *Membership, *Endorsement or *KeyEvent; *Roll and
// *Evidence are all that an entry says after its ledger line. Printing prints
// every field that is set, so that one which the action does not have is
// refused by Check and by parsers and never silently dropped.
type Body interface {
	Kind() Kind
	vouchers() []Named
	print(*printer)
}

// A Named is one key that must sign an entry, under the name that its
// signature line bears: a voucher line of the text, or a key line with the
// entry's signer.
type Named struct {
	Domain string // lower-case A-labels (keys.CheckDomain)
	Ref    keys.Ref
}

// A PublicKey is the value of a public-key or recovery-key line. Parsing an
// entry looks at nothing but suite and base64: whether the key is sound (SPKI,
// curve, size, weakness) is what keys.ParsePublicKey and the fold decide.
type PublicKey struct {
	Suite keys.Suite
	SPKI  []byte // DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7); at least one byte; owned by the entry
}

// Ref returns what key and voucher lines call this key.
func (k PublicKey) Ref() keys.Ref {
	return keys.Ref{Suite: k.Suite, Fingerprint: sha256.Sum256(k.SPKI)}
}

// A Charter says by which rules the record is kept, from its own index on.
// Entry 0 is one (Entry.Genesis), later ones amend it as a whole.
type Charter struct {
	Title      string      // what the record is for; free text, 1 to MaxTitle bytes
	Operator   string      // the operator's domain
	PublicKeys []PublicKey // the operator's keys, 1 to MaxKeys, no SPKI twice
	Publishers []string    // domains that may publish statements beside the operator; at most MaxPublishers, none twice
	Admission  Admission   // what a registration needs
	Roll       string      // when rolls are sealed: "on-change", "manual" or "daily HH:MM" (UTC)
	Vouchers   []Named     // members that agree; at most MaxVouchers, no key twice; none in entry 0
}

// Admission says what a registration needs. All rules that are set must hold,
// and at least one is.
type Admission struct {
	Operator bool // the operator vouches
	Vouched  int  // this many members or the operator vouch, 1 to MaxVouched; 0: no such rule
	DNSSEC   bool // each public key is published in the domain's own signed zone: a chain comes with the registration (Leaf.Chain)
}

// A Statement publishes a text, or closes or reopens it for endorsements.
type Statement struct {
	Action    Action // Publish, Close or Reopen
	Statement Hash   // of the exact bytes of the text file

	// Publish alone, where all but the last two fields are required.
	Title      string      // free text, 1 to MaxTitle bytes
	Language   string      // of the text, such as "en" or "pt-BR"
	MediaType  string      // lower case, without parameters, such as "text/plain"
	Size       int64       // bytes of the text, 1 to MaxStatement
	Renditions []Rendition // other forms of the same text; at most MaxRenditions; no hash twice, nor that of the statement
	Supersedes *Hash       // the statement that this one replaces; nil: none

	Closes time.Time // no endorsement from here on; whole milliseconds; Publish and Reopen alone; zero: open-ended
}

// A Rendition is another form of a statement's text: a translation, a PDF.
type Rendition struct {
	Language  string
	Hash      Hash  // of its exact bytes
	Size      int64 // bytes, 1 to MaxStatement
	MediaType string
}

// A Membership registers an organization, replaces what is said about it, or
// ends its membership.
type Membership struct {
	Action Action // Register, Update or Leave
	Member string // the organization's domain, equal to the entry's signer

	// Register and Update.
	Name         string      // as the organization wants to be called; free text, 1 to MaxName bytes
	LegalName    string      // free text, at most MaxLegalName bytes; empty: not given
	PublicKeys   []PublicKey // Register alone: 1 to MaxKeys together with RecoveryKeys, no SPKI twice
	RecoveryKeys []PublicKey // the complete set from now on, at most MaxKeys
	Quorum       int         // how many of its keys must sign for it: 1 to len(PublicKeys), in Update 1 to MaxKeys
	Vouchers     []Named     // keys of others that sign for it; at most MaxVouchers, no key twice
}

// An Endorsement puts an organization behind a statement, or takes it back.
type Endorsement struct {
	Action     Action         // Endorse or Withdraw
	Statement  Hash           // of the exact bytes of the text file
	Renditions []RenditionRef // renditions endorsed as well; Endorse alone; at most MaxRenditions; no hash twice, nor that of the statement
	After      After          // a published checkpoint: the entry was not signed before it
}

// A RenditionRef names a rendition that the statement has published.
type RenditionRef struct {
	Language string
	Hash     Hash
}

// After quotes the published note of a checkpoint.
type After struct {
	Size uint64 // its tree size, at most 2^63-1
	Note Hash   // of the whole note, signature lines and all
}

// A KeyEvent changes one key of a member.
type KeyEvent struct {
	Action           Action     // Add, Rotate, Revoke or Suspend
	Member           string     // whose key; equal to the entry's signer unless the operator suspends
	PublicKey        *PublicKey // the new key: set for Add and Rotate, nil otherwise
	Revokes          *keys.Ref  // the key that it is about: nil for Add, set otherwise
	CompromisedAfter *uint64    // what the revoked key signed at or after this index is disputed, at most 2^63-1; Rotate and Revoke alone; nil: not said
}

// A Roll seals who stands behind a statement. Nobody signs it: it is right or
// wrong by recomputation, which package roll does.
type Roll struct {
	Statement Hash      // of the exact bytes of the text file
	Size      uint64    // the entries before it, its own leaf index: at most 2^63-1
	AsOf      time.Time // what was admitted later is left out; whole milliseconds
	Count     uint64    // how many stand behind the statement, at most 2^63-1
	Root      [32]byte  // RFC 6962 root hash over their lines
}

// Evidence is something that proves itself, kept in the record so that it has a
// place and a time in it.
type Evidence struct {
	Type   EvidenceType
	Size   uint64 // RFC3161: tree size of the published checkpoint that it is about, at most 2^63-1
	Member string // DNSSEC: domain of the member that it is about
	Data   []byte // 1 to MaxEvidence bytes
}

// An EvidenceType says what the bytes of Evidence are.
type EvidenceType string

// RFC3161 is a TimeStampToken (RFC 3161, section 2.4.2), DER, over the published
// note checkpoints/<size>, byte for byte. DNSSEC is a chain of DNSSEC signatures
// (keys/dnssec) that says which keys the member's domain publishes.
const (
	RFC3161 EvidenceType = "rfc3161"
	DNSSEC  EvidenceType = "dnssec"
)

// Kind returns KindCharter.
func (*Charter) Kind() Kind { return KindCharter }

// Kind returns KindStatement.
func (*Statement) Kind() Kind { return KindStatement }

// Kind returns KindMembership.
func (*Membership) Kind() Kind { return KindMembership }

// Kind returns KindEndorsement.
func (*Endorsement) Kind() Kind { return KindEndorsement }

// Kind returns KindKey.
func (*KeyEvent) Kind() Kind { return KindKey }

// Kind returns KindRoll.
func (*Roll) Kind() Kind { return KindRoll }

// Kind returns KindEvidence.
func (*Evidence) Kind() Kind { return KindEvidence }

func (c *Charter) vouchers() []Named    { return c.Vouchers }
func (*Statement) vouchers() []Named    { return nil }
func (m *Membership) vouchers() []Named { return m.Vouchers }
func (*Endorsement) vouchers() []Named  { return nil }
func (*KeyEvent) vouchers() []Named     { return nil }
func (*Roll) vouchers() []Named         { return nil }
func (*Evidence) vouchers() []Named     { return nil }
