package verify

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strconv"

	"filippo.io/mldsa"
	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
)

// timestampLen is the big-endian POSIX time before a timestamped signature.
const timestampLen = 8

// CosignedMessage returns the cosigned_message that an ML-DSA-44 key (type 0x06) signs for a
// checkpoint: the label "subtree/v1\n\0", the cosigner's name, the time in POSIX seconds, the
// log's origin, start 0, end c.Size and the root hash (tlog-cosignature, "ML-DSA-44 signed
// message"). It returns nil where that message does not exist: a name or origin that is not
// 1 to 255 bytes long, or a time beyond 2^63-1.
func CosignedMessage(cosigner string, unixSeconds uint64, c Checkpoint) []byte {
	if cosigner == "" || len(cosigner) > math.MaxUint8 || c.Origin == "" || len(c.Origin) > math.MaxUint8 || unixSeconds > math.MaxInt64 {
		return nil
	}
	b := make([]byte, 0, 12+1+len(cosigner)+8+1+len(c.Origin)+8+8+32)
	b = append(b, "subtree/v1\n\x00"...)
	b = append(b, byte(len(cosigner)))
	b = append(b, cosigner...)
	b = binary.BigEndian.AppendUint64(b, unixSeconds)
	b = append(b, byte(len(c.Origin)))
	b = append(b, c.Origin...)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, c.Size)
	return append(b, c.Root[:]...)
}

// SignedMessage returns the bytes that the holder of v signs for a checkpoint: the text itself
// for type 0x01 (unixSeconds is ignored), the text under a "cosignature/v1" header and a time
// line for 0x04, the cosigned_message for 0x06. It returns nil for other types and where
// CosignedMessage does.
func SignedMessage(v keys.VKey, unixSeconds uint64, c Checkpoint) []byte {
	switch v.Type {
	case keys.TypeEd25519:
		return c.Text()
	case keys.TypeCosignatureEd25519:
		return timedText(unixSeconds, c.Text())
	case keys.TypeCosignatureMLDSA44:
		return CosignedMessage(v.Name, unixSeconds, c)
	}
	return nil
}

// CosignedText returns the bytes that a cosigner signs for a checkpoint's text that may have extension lines: SignedMessage
// for types 0x04 and 0x06, but that the former covers those lines too. It returns nil for other types and for what is no
// checkpoint.
func CosignedText(v keys.VKey, unixSeconds uint64, text []byte) []byte {
	c, err := ParseExtended(text)
	switch {
	case err != nil:
		return nil
	case v.Type == keys.TypeCosignatureEd25519:
		return timedText(unixSeconds, text)
	case v.Type == keys.TypeCosignatureMLDSA44:
		return CosignedMessage(v.Name, unixSeconds, c)
	}
	return nil
}

// timedText is the message of an Ed25519 cosignature (tlog-cosignature, "Ed25519 signed
// message"), or nil beyond 2^63-1.
func timedText(unixSeconds uint64, text []byte) []byte {
	if unixSeconds > math.MaxInt64 {
		return nil
	}
	b := make([]byte, 0, 64+len(text))
	b = append(b, "cosignature/v1\ntime "...)
	b = strconv.AppendUint(b, unixSeconds, 10)
	b = append(b, '\n')
	return append(b, text...)
}

// SignatureLine returns v's line for a signed note: em dash, space, name, space, base64 of
// key ID and signature, LF. For the timestamped types 0x04 and 0x06 the signature must begin
// with its time: see TimestampedSignature.
func SignatureLine(v keys.VKey, sig []byte) []byte {
	raw := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(sig)), v.KeyID)
	raw = append(raw, sig...)
	b := make([]byte, 0, len(sigPrefix)+len(v.Name)+1+base64.StdEncoding.EncodedLen(len(raw))+1)
	b = append(b, sigPrefix...)
	b = append(b, v.Name...)
	b = append(b, ' ')
	b = base64.StdEncoding.AppendEncode(b, raw)
	return append(b, '\n')
}

// TimestampedSignature puts the time before a signature, as types 0x04 and 0x06 carry it
// (tlog-cosignature, timestamped_signature).
func TimestampedSignature(unixSeconds uint64, sig []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, timestampLen+len(sig)), unixSeconds), sig...)
}

// sigPrefix begins each signature line of a note: an em dash and a space.
const sigPrefix = "— "

// NewVerifier returns the note.Verifier of a checkpoint key: type 0x01, 0x04 or 0x06.
// Signatures must have their exact length, and times at most 2^63-1.
func NewVerifier(v keys.VKey) (note.Verifier, error) {
	switch v.Type {
	case keys.TypeEd25519, keys.TypeCosignatureEd25519:
		if len(v.Key) != ed25519.PublicKeySize {
			return nil, errors.New("an Ed25519 key must be 32 bytes")
		}
		return &verifier{vkey: v}, nil
	case keys.TypeCosignatureMLDSA44:
		k, err := mldsa.NewPublicKey(mldsa.MLDSA44(), v.Key)
		if err != nil {
			return nil, errors.New("an ML-DSA-44 key must be 1312 bytes")
		}
		return &verifier{vkey: v, mldsa44: k}, nil
	}
	return nil, errors.New("a key of this type cannot sign checkpoints")
}

// verifier checks what one key signed of a checkpoint, whichever of the three forms it uses.
type verifier struct {
	vkey    keys.VKey
	mldsa44 *mldsa.PublicKey
}

func (v *verifier) Name() string    { return v.vkey.Name }
func (v *verifier) KeyHash() uint32 { return v.vkey.KeyID }

func (v *verifier) Verify(text, sig []byte) bool {
	if v.vkey.Type == keys.TypeEd25519 {
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(v.vkey.Key, text, sig)
	}
	seconds, sig, ok := splitTimestamp(sig)
	if !ok {
		return false
	}
	if v.vkey.Type == keys.TypeCosignatureEd25519 {
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(v.vkey.Key, timedText(seconds, text), sig)
	}
	c, err := ParseExtended(text)
	if err != nil || len(sig) != mldsa.MLDSA44SignatureSize {
		return false
	}
	msg := CosignedMessage(v.vkey.Name, seconds, c)
	return msg != nil && mldsa.Verify(v.mldsa44, msg, sig, nil) == nil
}

// splitTimestamp takes the time off a timestamped signature.
func splitTimestamp(sig []byte) (unixSeconds uint64, rest []byte, ok bool) {
	if len(sig) < timestampLen {
		return 0, nil, false
	}
	unixSeconds = binary.BigEndian.Uint64(sig)
	return unixSeconds, sig[timestampLen:], unixSeconds <= math.MaxInt64
}

// splitNote parts a note into its text (with the final LF) and its signature lines, and holds
// every line to strict form. It does not look at the text.
func splitNote(msg []byte) (text []byte, lines []signatureLine, err error) {
	if len(msg) > MaxNote {
		return nil, nil, malformed(whatNote, 0, "it is larger than 256 KiB")
	}
	// A note's text ends at its last blank line. A checkpoint's holds none, so the first is the last:
	// a blank line further down is no signature line.
	split := bytes.Index(msg, []byte("\n\n"))
	if split < 0 {
		return nil, nil, malformed(whatNote, 0, "there is no blank line before the signatures")
	}
	text = msg[:split+1]
	at := bytes.Count(text, []byte("\n")) + 1
	for rest := msg[split+2:]; len(rest) > 0 || lines == nil; {
		at++
		line, next, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			return nil, nil, malformed(whatNote, at, "a signature line must end with a line feed")
		}
		rest = next
		line, ok = bytes.CutPrefix(line, []byte(sigPrefix))
		if !ok {
			return nil, nil, malformed(whatNote, at, "a signature line must begin with an em dash and a space")
		}
		name, b64, _ := bytes.Cut(line, []byte(" "))
		raw, ok := decodeBase64(string(b64))
		if !validKeyName(string(name)) || !ok || len(raw) < 5 {
			return nil, nil, malformed(whatNote, at, "a signature line must be a key name, a space, and strict base64 of a key ID and a signature")
		}
		lines = append(lines, signatureLine{keyName{string(name), binary.BigEndian.Uint32(raw)}, raw[4:]})
		if len(lines) > maxSignatures {
			return nil, nil, malformed(whatNote, at, "there are more than 100 signature lines")
		}
	}
	return text, lines, nil
}

// maxSignatures is the bound of golang.org/x/mod/sumdb/note, too.
const maxSignatures = 100

// keyName is what identifies the key of a signature line: "the tuple of key name and key ID".
type keyName struct {
	name string
	id   uint32
}

type signatureLine struct {
	keyName
	sig []byte
}
