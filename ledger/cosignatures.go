package ledger

import (
	"errors"
	"fmt"

	"github.com/tccm/undersigned/verify"
)

// ErrOrigin is what Cosignatures returns for a checkpoint whose origin is too long to be cosigned.
var ErrOrigin = errors.New("the origin is too long to be cosigned")

// Cosignatures returns the signature lines of a cosigner's keys, of the types 0x04 and 0x06, on the text of somebody else's
// checkpoint, with a time in seconds. Each signature is verified before it is returned.
func Cosignatures(signers []Signer, now uint64, text []byte) (lines []byte, err error) {
	for _, s := range signers {
		msg := verify.CosignedText(s.VKey, now, text)
		if msg == nil {
			return nil, ErrOrigin
		}
		sig, err := s.Sign(msg)
		if err != nil {
			return nil, fmt.Errorf("the key of type %#02x: %w", s.VKey.Type, err)
		}
		timed := verify.TimestampedSignature(now, sig)
		verifier, err := verify.NewVerifier(s.VKey)
		if err != nil || !verifier.Verify(text, timed) {
			return nil, fmt.Errorf("the key of type %#02x makes a signature that does not verify", s.VKey.Type)
		}
		lines = append(lines, verify.SignatureLine(s.VKey, timed)...)
	}
	return lines, nil
}
