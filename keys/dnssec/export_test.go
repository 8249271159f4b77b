package dnssec

import "encoding/binary"

// Tag is the key tag of a DNSKEY's RDATA.
func Tag(data []byte) uint16 { return keyTag(data) }

// RootDigest is the SHA-256 digest of a DNSKEY of the root.
func RootDigest(data []byte) string { return string(digest(digestSHA256, rootName, data)) }

// LowS is lowS.
func LowS(algorithm uint8, sig []byte) []byte { return lowS(algorithm, sig) }

// Reprint parses a chain and prints it again.
func Reprint(chain []byte) ([]byte, error) {
	sets, err := parseChain(chain)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, s := range sets {
		out = appendSet(out, s)
	}
	return out, nil
}

// Records returns the records of a chain, which parses.
func Records(chain []byte) (list []RR) {
	for len(chain) > 0 {
		name, rest, _ := cutName(chain)
		n := 10 + int(binary.BigEndian.Uint16(rest[8:]))
		list = append(list, RR{name, binary.BigEndian.Uint16(rest), binary.BigEndian.Uint32(rest[4:]), rest[10:n]})
		chain = rest[n:]
	}
	return list
}

// Print prints records as a chain has them.
func Print(list []RR) (chain []byte) {
	for _, r := range list {
		chain = appendRecord(chain, r.Name, r.Type, r.TTL, r.Data)
	}
	return chain
}

// Signing counts the keys of a DNSKEY set that may sign.
func Signing(data ...[]byte) int { return len(zoneKeys(data)) }

// Deny judges records of denial whose signatures hold.
func Deny(zone, name string, records ...RR) (Outcome, int, error) {
	var sets []*set
	for _, r := range records {
		sets = append(sets, &set{owner: wireName(r.Name), typ: r.Type, data: [][]byte{r.Data}})
	}
	outcome, _, needed, err := deny(sets, wireName(zone), wireName(name))
	return outcome, len(needed), err
}

// Read reads bytes as the data of each type of record.
func Read(data []byte) {
	texts(data)
	delegations([][]byte{data})
	for _, k := range zoneKeys([][]byte{data}) {
		checkSignature(k, nil, make([]byte, 64))
	}
}

// Hash is the NSEC3 hash of a name, without salt and iterations.
func Hash(name string) []byte { return hashNSEC3(wireName(name), []byte{1, 0, 0, 0}) }

// TakesRSA says whether the key of a DNSKEY record is an RSA key that we take.
func TakesRSA(key []byte) bool { return parseRSA(key) != nil }
