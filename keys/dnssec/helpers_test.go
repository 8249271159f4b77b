package dnssec_test

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"math/big"

	"github.com/tccm/undersigned/keys/dnssec"
)

// anchorOf is the anchor that a DNSKEY of the root makes.
func anchorOf(data []byte) dnssec.Anchor {
	return dnssec.Anchor{KeyTag: dnssec.Tag(data), Algorithm: data[3], DigestType: 2, Digest: dnssec.RootDigest(data)}
}

// rootKeys are the DNSKEY records of the root's key signing keys, by key tag.
var rootKeys = map[uint16][]byte{
	20326: dnskey("AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU="),
	38696: dnskey("AwEAAa96jeuknZlaeSrvyAJj6ZHv28hhOKkx3rLGXVaC6rXTsDc449/cidltpkyGwCJNnOAlFNKF2jBosZBU5eeHspaQWOmOElZsjICMQMC3aeHbGiShvZsx4wMYSjH8e7Vrhbu6irwCzVBApESjbUdpWWmEnhathWu1jo+siFUiRAAxm9qyJNg/wOZqqzL/dL/q8PkcRU5oUKEpUge71M3ej2/7CPqpdVwuMoTvoB+ZOT4YeGyxMvHmbrxlFzGOHOijtzN+u1TQNatX2XBuzZNQ1K+s2CXkPIZo7s6JgZyvaBevYtxPvYLw4z9mR7K2vaF18UYH9Z9GNUUeayffKC73PYc="),
}

func dnskey(key string) []byte {
	b, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		panic(err)
	}
	return append([]byte{1, 1, 3, 8}, b...)
}

// negateS returns the other signature that is as good as an ECDSA signature.
func negateS(algorithm uint8, sig []byte) []byte {
	n := elliptic.P256().Params().N
	if algorithm == 14 {
		n = elliptic.P384().Params().N
	}
	half := len(sig) / 2
	s := new(big.Int).SetBytes(sig[half:])
	return append(bytes.Clone(sig[:half]), s.Sub(n, s).FillBytes(make([]byte, half))...)
}
