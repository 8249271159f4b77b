package verify

import (
	"errors"
	"time"
)

// A TimeStamp is what a time-stamping authority says of some bytes: they existed at Time, give or take Accuracy.
type TimeStamp struct {
	Time     time.Time     // UTC
	Accuracy time.Duration // never negative; 0: it says nothing
	// Authority names the authority by its certificate, or that by its hash if the name is not fit for a sentence
	// (unicode15.FreeText).
	Authority string
}

// By returns the time at which the bytes existed for certain, if the authority is right.
func (s *TimeStamp) By() time.Time { return s.Time.Add(s.Accuracy) }

// CheckTimeStamp checks a token over some bytes: verify/timestamp's Roots.Check. It is handed in, because what it takes, CMS
// and X.509, would be half of what a browser has to load. The error is ErrUnknownAuthority or says that the token
// is not one of these bytes.
type CheckTimeStamp func(token, stamped []byte) (*TimeStamp, error)

// ErrUnknownAuthority says that a token is in order, as far as can be told, and signed by somebody for whom none of the trusted
// roots answers.
var ErrUnknownAuthority = errors.New("no trusted root answers for the time-stamping authority")
