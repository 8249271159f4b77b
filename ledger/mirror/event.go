package mirror

import (
	"slices"
	"time"

	"github.com/tccm/undersigned/verify/entry"
)

// EventSchema names the JSON form of an Event.
const EventSchema = "undersigned/monitor/v1"

// An EventType says what happened. It is stable.
type EventType string

// The events that entries of the record make.
const (
	EventCharter             EventType = "charter"
	EventRegistration        EventType = "registration"
	EventUpdate              EventType = "update"
	EventLeave               EventType = "leave"
	EventLookAlike           EventType = "look-alike"
	EventVouched             EventType = "vouched"
	EventKeyAdded            EventType = "key-added"
	EventKeyRotated          EventType = "key-rotated"
	EventKeyRevoked          EventType = "key-revoked"
	EventKeySuspended        EventType = "key-suspended"
	EventKeyPublished        EventType = "key-published"
	EventKeyGone             EventType = "key-gone"
	EventStatementPublished  EventType = "statement-published"
	EventStatementSuperseded EventType = "statement-superseded"
	EventStatementClosed     EventType = "statement-closed"
	EventStatementReopened   EventType = "statement-reopened"
	EventEndorsement         EventType = "endorsement"
	EventWithdrawal          EventType = "withdrawal"
	EventExpectedMissing     EventType = "expected-missing"
)

// The events about the record itself. But for the first three of them, which stay for good, they end with an EventNormal.
const (
	EventForked               EventType = "record-forked"
	EventRolledBack           EventType = "record-rolled-back"
	EventInadmissible         EventType = "entry-inadmissible"
	EventContradiction        EventType = "record-contradiction"
	EventDamaged              EventType = "record-damaged"
	EventUntrusted            EventType = "checkpoint-untrusted"
	EventQuorumMissed         EventType = "quorum-missed"
	EventShrunk               EventType = "record-shrunk"
	EventWithheld             EventType = "record-withheld"
	EventStale                EventType = "checkpoint-stale"
	EventUnreachable          EventType = "log-unreachable"
	EventUnchecked            EventType = "record-unchecked"
	EventWitnessMissing       EventType = "witness-missing"
	EventWitnessContradiction EventType = "witness-contradiction"
	EventFewCosignatures      EventType = "few-cosignatures"
	EventNormal               EventType = "normal"
	EventHeartbeat            EventType = "heartbeat"
	EventTest                 EventType = "test"
)

// A Level says how much an event matters.
type Level string

// The levels.
const (
	LevelAlert   Level = "alert"   // somebody should look now
	LevelWarning Level = "warning" // somebody should look
	LevelInfo    Level = "info"
)

// An Event is one thing that a Monitor has noticed. Its JSON form is the schema "undersigned/monitor/v1". Fields that do not apply
// are left out.
type Event struct {
	Schema    string     `json:"schema"`
	ID        string     `json:"id"`       // the same whenever the event is handed over again, and nobody else's
	Sequence  uint64     `json:"sequence"` // from 1, without gaps, in the order of handing over
	Time      time.Time  `json:"time"`     // when it was noticed, UTC
	Type      EventType  `json:"type"`
	Level     Level      `json:"level"`
	Sentence  string     `json:"sentence"`         // for people
	Notice    string     `json:"notice,omitempty"` // verify.DemoNotice, to be shown beside Sentence
	Origin    string     `json:"origin,omitempty"`
	Size      *uint64    `json:"size,omitempty"`  // tree size of the checkpoint that it is about
	Index     *uint64    `json:"index,omitempty"` // of the entry that it is about
	Entry     string     `json:"entry,omitempty"` // hash of its text
	Admitted  *time.Time `json:"admitted,omitempty"`
	Domain    string     `json:"domain,omitempty"`  // of the organization that it is about
	Unicode   string     `json:"unicode,omitempty"` // how that reads, if it has A-labels
	Signer    string     `json:"signer,omitempty"`  // who signed the entry
	Statement string     `json:"statement,omitempty"`
	Keys      []string   `json:"keys,omitempty"`     // that the entry brings, revokes or suspends, or shows or misses in the DNS: "<suite> sha256:…"
	Like      string     `json:"like,omitempty"`     // what is watched and looks alike
	Watched   []string   `json:"watched,omitempty"`  // the lines of the watch that it answers
	Expected  *bool      `json:"expected,omitempty"` // of what entries do: whether it was announced
	Witness   string     `json:"witness,omitempty"`
	About     EventType  `json:"about,omitempty"`    // of EventNormal: what has ended
	Evidence  string     `json:"evidence,omitempty"` // file that proves it to anybody

	action string       // that meets an expectation
	hashes []entry.Hash // the same, ascending, none twice
}

// kinds say of each type its level, where that does not hang on the event, and the exit code that it means while it lasts.
var kinds = map[EventType]struct {
	level Level
	code  int
}{
	EventCharter: {level: LevelAlert}, EventRegistration: {}, EventUpdate: {}, EventLeave: {}, EventLookAlike: {level: LevelAlert}, EventVouched: {},
	EventKeyAdded: {}, EventKeyRotated: {}, EventKeyRevoked: {}, EventKeySuspended: {}, EventKeyPublished: {level: LevelInfo}, EventKeyGone: {},
	EventStatementPublished: {}, EventStatementSuperseded: {}, EventStatementClosed: {}, EventStatementReopened: {},
	EventEndorsement: {}, EventWithdrawal: {}, EventExpectedMissing: {level: LevelWarning},

	EventForked:               {LevelAlert, 20},
	EventRolledBack:           {LevelAlert, 20},
	EventInadmissible:         {LevelAlert, 20},
	EventContradiction:        {LevelAlert, 20},
	EventDamaged:              {LevelAlert, 20},
	EventQuorumMissed:         {LevelAlert, 21},
	EventUntrusted:            {LevelAlert, 13},
	EventShrunk:               {LevelAlert, 3},
	EventWithheld:             {LevelAlert, 3},
	EventStale:                {LevelAlert, 3},
	EventUnreachable:          {LevelWarning, 3},
	EventUnchecked:            {LevelWarning, 3},
	EventWitnessMissing:       {level: LevelWarning},
	EventWitnessContradiction: {level: LevelAlert},
	EventFewCosignatures:      {level: LevelWarning},
	EventNormal:               {level: LevelInfo}, EventHeartbeat: {level: LevelInfo}, EventTest: {level: LevelAlert},
}

// gravity is the order of exit codes, the gravest first.
var gravity = []int{20, 21, 13, 3, 0}

// graver returns the graver of two exit codes.
func graver(a, b int) int {
	if slices.Index(gravity, b) < slices.Index(gravity, a) {
		return b
	}
	return a
}
