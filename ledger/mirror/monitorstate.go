package mirror

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tccm/undersigned/verify/entry"
)

// monitorState is what a Monitor keeps. As bytes it is a line with a hash of what follows, and JSON.
type monitorState struct {
	Monitor string                  `json:"monitor"` // who makes the events, for ever
	Last    uint64                  `json:"last"`    // sequence of the newest event
	Beat    time.Time               `json:"beat"`    // when it said last that it is alive
	Ledgers map[string]*ledgerState `json:"ledgers"` // by origin
	Settled map[string]string       `json:"settled"` // what was expected: the event that met it or says that it did not come
	Waiting []json.RawMessage       `json:"waiting"` // events that were not handed over yet
}

// ledgerState is what it keeps of one ledger.
type ledgerState struct {
	Since    time.Time            `json:"since"`    // when it was looked at first
	Size     uint64               `json:"size"`     // of the largest checkpoint that was seen
	Root     [32]byte             `json:"root"`     // the same
	Note     []byte               `json:"note"`     // the same, the newest of this size
	Told     uint64               `json:"told"`     // entries that have been looked at
	Sound    bool                 `json:"sound"`    // all entries up to Size were read, and nothing was wrong with them
	Fresh    time.Time            `json:"fresh"`    // since when the newest checkpoint was known to a quorum
	Failing  time.Time            `json:"failing"`  // since when the record cannot be read; zero: it can
	Cosigned map[string]time.Time `json:"cosigned"` // when witnesses cosigned last, by the name of their keys
	Open     map[string]condition `json:"open"`     // what is wrong
}

// condition is something that is wrong and was told.
type condition struct {
	Type    EventType `json:"type"`
	Since   time.Time `json:"since"`
	Event   string    `json:"event"` // its ID
	Witness string    `json:"witness,omitempty"`
}

const stateHeader = "undersigned/monitor-state/v1 "

func (s *monitorState) bytes() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings, numbers and times only
	}
	return fmt.Appendf(nil, "%s%s\n%s\n", stateHeader, entry.Sum(b), b)
}

// readMonitorState reads what bytes prints; nothing is a new state.
func readMonitorState(b []byte) (*monitorState, error) {
	s := new(monitorState)
	if b != nil {
		head, body, ok := bytes.Cut(b, []byte("\n"))
		body, ended := bytes.CutSuffix(body, []byte("\n"))
		if !ok || !ended || string(head) != stateHeader+entry.Sum(body).String() || json.Unmarshal(body, s) != nil || s.Monitor == "" {
			return nil, ErrMonitorState
		}
	}
	if s.Ledgers == nil {
		s.Ledgers = make(map[string]*ledgerState)
	}
	if s.Settled == nil {
		s.Settled = make(map[string]string)
	}
	for _, l := range s.Ledgers {
		if l == nil {
			return nil, ErrMonitorState
		}
		if l.Open == nil {
			l.Open = make(map[string]condition)
		}
		if l.Cosigned == nil {
			l.Cosigned = make(map[string]time.Time)
		}
	}
	return s, nil
}
