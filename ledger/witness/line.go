package witness

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"time"
)

// cosignature is a signature line by a witness.
type cosignature struct {
	name string
	id   uint32
	sig  []byte // with its time before it
}

// parseLine reads a signature line of a note, with its line feed.
func parseLine(line []byte) (c cosignature, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("— "))
	if !ok || !bytes.HasSuffix(rest, []byte("\n")) {
		return c, false
	}
	name, b64, ok := bytes.Cut(rest[:len(rest)-1], []byte(" "))
	raw, err := base64.StdEncoding.Strict().DecodeString(string(b64))
	if !ok || err != nil || len(raw) < 4+8 || bytes.IndexByte(b64, '\r') >= 0 {
		return c, false
	}
	return cosignature{string(name), binary.BigEndian.Uint32(raw), raw[4:]}, true
}

// time returns when it was made, UTC; zero if it does not say.
func (c cosignature) time() time.Time {
	s := binary.BigEndian.Uint64(c.sig)
	if s == 0 || s > math.MaxInt32*100 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}
