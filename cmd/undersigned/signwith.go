package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// signTimeout is how long a command may take, which may have to wait for somebody to touch a key or enter a PIN.
const signTimeout = 5 * time.Minute

// signWithFlag has another program sign.
type signWithFlag struct {
	SignWith string `placeholder:"COMMAND" help:"Have a command sign for the one key that --key names by its public half. It gets the text on standard input, and in a file in place of the word {}, and writes the signature. No shell reads it: words are parted by spaces."`
}

// signWith runs a command that signs an entry, and holds what it writes to the key and the text.
func (a *app) signWith(ctx context.Context, command string, k *keys.PublicKey, e *entry.Entry) ([]byte, error) {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil, usagef("--sign-with is a command")
	}
	text := e.Text()
	if slices.Contains(words, "{}") {
		dir, err := os.MkdirTemp("", "undersigned")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		file := dir + string(os.PathSeparator) + "text"
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		for i, w := range words {
			if w == "{}" {
				words[i] = file
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, signTimeout)
	defer cancel()
	var out limitedBuffer
	run := exec.CommandContext(ctx, words[0], words[1:]...)
	run.Stdin, run.Stdout, run.Stderr = bytes.NewReader(text), &out, a.err
	run.WaitDelay = time.Second
	err := run.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("%s did not sign in %v", words[0], signTimeout)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !errors.Is(err, errFull):
		return nil, fmt.Errorf("%s did not sign: %w", words[0], err)
	case err != nil || len(out.b) == 0:
		return nil, fmt.Errorf("%s wrote no signature to its standard output", words[0])
	}
	sig, ok := findSignature(k, e, out.b)
	if !ok {
		return nil, failf(verify.CodeUntrusted, "what %s wrote is not a %s signature of this text by the key %s: %s", words[0], k.Suite(), k.Fingerprint(), whyNot(k, e, out.b))
	}
	return sig, nil
}

var errFull = errors.New("more than a signature")

// A limitedBuffer takes as much as a key file may have.
type limitedBuffer struct{ b []byte }

func (l *limitedBuffer) Write(p []byte) (int, error) {
	if len(l.b)+len(p) > maxKeyFile {
		return 0, errFull
	}
	l.b = append(l.b, p...)
	return len(p), nil
}
