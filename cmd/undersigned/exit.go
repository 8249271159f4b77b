package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
)

// Exit codes beside those of package verify.
const (
	codeOK          = 0
	codeError       = 1
	codeUsage       = 2
	codeUnchecked   = verify.CodeUnchecked
	codeInterrupted = 130
)

// A failure is an error with the exit code that it means. Its text is a sentence for people.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// errSaid ends a command with a code whose reason has been printed as the answer.
var errSaid = errors.New("the answer says why")

// failf is an error with a code.
func failf(code int, format string, args ...any) error {
	return &failure{code, fmt.Errorf(format, args...)}
}

// usagef is an error in how the command was called.
func usagef(format string, args ...any) error { return failf(codeUsage, format, args...) }

// answered ends a command whose output was its answer with the answer's code.
func answered(code int) error {
	if code == codeOK {
		return nil
	}
	return &failure{code, errSaid}
}

// unreadable is the error of a file that a question needs: one that is missing or cannot be read means "could not check".
func unreadable(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) || errors.Is(err, fs.ErrNotExist) {
		return &failure{codeUnchecked, err}
	}
	return err
}

// exitCode returns what an error means for the shell.
func exitCode(ctx context.Context, err error) int {
	var f *failure
	var checked *check.Failure
	var untrusted *verify.UntrustedError
	var quorum *verify.QuorumError
	var contradiction *verify.ContradictionError
	var offline *offlineError
	var source *ledger.SourceError
	switch {
	case err == nil:
		return codeOK
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return codeInterrupted
	case errors.As(err, &f):
		return f.code
	case errors.As(err, &checked):
		return checked.Code
	case errors.As(err, &source):
		return source.Code
	case errors.As(err, &contradiction), errors.Is(err, ledger.ErrCorrupt):
		return verify.CodeContradiction
	case errors.As(err, &quorum):
		return verify.CodeQuorum
	case errors.As(err, &untrusted):
		return verify.CodeUntrusted
	case errors.As(err, &offline), errors.Is(err, context.DeadlineExceeded):
		return codeUnchecked
	}
	return codeError
}
