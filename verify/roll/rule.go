package roll

import "strconv"

// A Rule names what an inadmissible entry broke. The strings are stable: they
// stand in problem documents, reports and exit messages.
type Rule string

// The rules, in the order in which they are judged: of an entry that breaks
// several, roughly the first is named. What needs cryptography comes last.
const (
	RuleSyntax    Rule = "syntax"     // the bytes are a leaf (verify/entry), its time whole milliseconds
	RuleLedger    Rule = "ledger"     // the entry is meant for this ledger
	RuleGenesis   Rule = "genesis"    // entry 0, and no other, is a charter without a previous line
	RuleAdmitted  Rule = "admitted"   // admitted is not before that of the entry before
	RuleDate      Rule = "date"       // admitted is at most 30 days after and 1 day before the date
	RulePrevious  Rule = "previous"   // previous names the last admitted entry on the subject
	RuleSigner    Rule = "signer"     // this domain may say this
	RuleMember    Rule = "member"     // the signer is a member now; who registers is not
	RuleStatement Rule = "statement"  // the statement has been published, or, to publish it, has not
	RuleOpen      Rule = "open"       // it is open to endorse or close, closed to reopen
	RuleRendition Rule = "rendition"  // renditions are among those that the statement names
	RuleSupersede Rule = "supersedes" // a published statement, of the same publisher unless the operator says so
	RuleCloses    Rule = "closes"     // closes is after admitted
	RuleEndorsed  Rule = "endorsed"   // who withdraws is endorsing
	RuleAfter     Rule = "after"      // after quotes a tree size from 1 to the entry's own index
	RuleRoll      Rule = "roll"       // a roll is of its own index, of a moment before it, and lists what recomputing gives
	RuleEvidence  Rule = "evidence"   // it is about a checkpoint from before it or about a member, holds and says something, and there is none like it

	RuleKey         Rule = "key"               // each key line names a key that may sign this
	RulePossession  Rule = "possession"        // each key that is registered signs too
	RuleQuorum      Rule = "quorum"            // enough keys of the member sign, and no quorum is out of reach
	RuleRecovery    Rule = "recovery"          // a recovery key signs where it must
	RuleRevokes     Rule = "revokes"           // the key that the event is about is one of the member's, in the state it takes
	RuleCompromised Rule = "compromised-after" // said by quorum or recovery key, not of the future, never taken back
	RuleKeyLimit    Rule = "key-limit"         // at most 8 current keys
	RuleKeyReuse    Rule = "key-reuse"         // one suite, one member, one role for ever; never again once revoked
	RuleVoucher     Rule = "voucher"           // each voucher line is of another member's quorum, or of the operator
	RuleAdmission   Rule = "admission"         // enough members and the operator vouch and the domain publishes its keys, as the charter demands
	RuleName        Rule = "name"              // a name has a letter, and no word or label mixes scripts
	RuleLookAlike   Rule = "look-alike"        // domain and names are not mistaken for another member's or the operator's
	RuleWeakKey     Rule = "weak-key"          // a key to register is sound (keys.ParsePublicKey)
	RuleSignature   Rule = "signature"         // each signature line has the key's ID and verifies
)

// Inadmissible says that a leaf broke a rule. It is a finding against whoever
// keeps the log; the state has not changed.
type Inadmissible struct {
	Index  uint64
	Rule   Rule
	Detail string // a sentence for people; what it repeats of the entry is hashes, numbers and checked domains
}

func (e *Inadmissible) Error() string {
	return "entry " + strconv.FormatUint(e.Index, 10) + " is inadmissible (" + string(e.Rule) + "): " + e.Detail
}

// Beyond says that the leaf at Index is of a form that this version does not
// know. It may be right, so it is no finding; but nothing can be said about it
// or about what follows it.
type Beyond struct {
	Index uint64
	What  string // one of verify/entry's own phrases
}

func (e *Beyond) Error() string {
	return "could not check beyond entry " + strconv.FormatUint(e.Index, 10) + ": this version does not know " + e.What
}
