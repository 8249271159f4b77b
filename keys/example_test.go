package keys_test

import (
	"encoding/base64"
	"fmt"

	"github.com/tccm/undersigned/keys"
)

func ExampleParsePublicKey() {
	spki, _ := base64.StdEncoding.DecodeString("MCowBQYDK2VwAyEA6TJ5GubnqECkYWTJBHhkJtXngh3YspoA1hyucq/dTaQ=")
	key, err := keys.ParsePublicKey(keys.Ed25519, spki)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.Ref())
	fmt.Println(key.VKey("example.com/foo"))

	// The neutral element "signs" every message, so nobody may register it.
	weak := append(spki[:12:12], make([]byte, 32)...)
	weak[12] = 1
	_, err = keys.ParsePublicKey(keys.Ed25519, weak)
	fmt.Println(err)
	// Output:
	// ed25519 sha256:e4dd66b90c8444bb0fd84115b4d228d1d9fc0ae70d47bb4a3aa05ef6c4397846
	// example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
	// keys: weak key: the Ed25519 key has a small order
}

func ExamplePublicKey_Verify() {
	v, err := keys.ParseVKey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := v.PublicKey()
	if err != nil {
		fmt.Println(err)
		return
	}
	// A signature line holds the key ID in 4 bytes, then the signature.
	line, _ := base64.StdEncoding.DecodeString("Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=")
	fmt.Println(key.Verify("example.com/foo", []byte("This is an example message.\n"), line[4:]))
	fmt.Println(key.Verify("example.com/foo", []byte("This is another message.\n"), line[4:]))
	// Output:
	// true
	// false
}

func ExampleCheckDomain() {
	for _, s := range []string{"apnic.net", "xn--bcher-kva.example", "APNIC.net", "192.0.2.1"} {
		fmt.Println(keys.DomainToUnicode(s), keys.CheckDomain(s))
	}
	// Output:
	// apnic.net <nil>
	// bücher.example <nil>
	// APNIC.net keys: a domain's labels consist of a-z, 0-9 and inner hyphens
	// 192.0.2.1 keys: a domain's last label is not all digits
}

func ExampleParseRef() {
	ref, err := keys.ParseRef("ed25519 sha256:e4dd66b90c8444bb0fd84115b4d228d1d9fc0ae70d47bb4a3aa05ef6c4397846")
	fmt.Println(ref.Suite, ref.Fingerprint, err)
	// Output:
	// ed25519 sha256:e4dd66b90c8444bb0fd84115b4d228d1d9fc0ae70d47bb4a3aa05ef6c4397846 <nil>
}
