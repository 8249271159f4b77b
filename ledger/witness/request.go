package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

const (
	maxProof   = 63        // SPEC: tlog-witness, add-checkpoint: at most 63 consistency proof lines
	maxNote    = 256 << 10 // bytes
	maxRequest = maxNote + 64*64
)

// A request is the body of an add-checkpoint call.
type request struct {
	old   uint64
	proof [][32]byte
	note  []byte // not looked at
}

var errRequest = errors.New("the body is not an add-checkpoint request: a line \"old <size>\", at most 63 lines of a hash in base64, an empty line, and a checkpoint")

// bytes prints the request.
func (r *request) bytes() []byte {
	b := strconv.AppendUint([]byte("old "), r.old, 10)
	b = append(b, '\n')
	for _, h := range r.proof {
		b = base64.StdEncoding.AppendEncode(b, h[:])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, r.note...)
}

// parseRequest reads what bytes prints and nothing else.
func parseRequest(body []byte) (*request, error) {
	head, note, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok {
		return nil, errRequest
	}
	r := &request{note: note}
	lines := strings.Split(string(head), "\n")
	size, _ := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseUint(size, 10, 63)
	if err != nil || len(lines)-1 > maxProof {
		return nil, errRequest
	}
	r.old = old
	for _, l := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(l)
		if err != nil || len(h) != 32 {
			return nil, errRequest
		}
		r.proof = append(r.proof, [32]byte(h))
	}
	// Numbers with zeros before them, signs and line breaks in base64 do not print alike.
	if !bytes.Equal(r.bytes(), body) {
		return nil, errRequest
	}
	return r, nil
}
