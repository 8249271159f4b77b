package roll_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// everySaying is a record in which each kind of entry occurs with each of its actions and each of its fields, by members with a
// key of each suite.
func everySaying(t *testing.T) *rolltest.Record {
	op := rolltest.NewOrg("operator.example", 1, 0, 1)
	r := rolltest.NewWith(t, op, entry.Admission{Operator: true, Vouched: 1}, "publisher.example")
	two := rolltest.NewOrg("two.example", 2, 1, 2)
	two.LegalName = "Two of Them Ltd"
	r.Register(two)
	statement := &entry.Statement{
		Action: entry.Publish, Statement: entry.Sum([]byte("text")), Title: "A text", Language: "en", MediaType: "text/plain", Size: 4,
		Renditions: []entry.Rendition{{Language: "fr", Hash: entry.Sum([]byte("texte")), Size: 5, MediaType: "text/plain"}}, Closes: r.Now.Add(time.Hour),
	}
	r.Do(statement, op)
	h := statement.Statement
	for i, suite := range keys.Suites() {
		o := &rolltest.Org{Domain: fmt.Sprintf("member%d.example", i), Name: "Member " + string(suite), Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKeyOf(suite, fmt.Sprint("swap", i))}}
		r.Register(o, two)
		r.Endorse(o, h)
		r.Withdraw(o, h)
	}
	publisher := r.Registration(rolltest.NewOrg("publisher.example", 1, 0, 1), two)
	r.Must(publisher)
	supersedes := *statement
	supersedes.Statement, supersedes.Title, supersedes.Renditions, supersedes.Supersedes = entry.Sum([]byte("new")), "A new text", nil, &h
	supersedes.Size, supersedes.MediaType, supersedes.Language = 3, "text/html", "de"
	r.Do(&supersedes, op)
	r.Do(&entry.Statement{Action: entry.Close, Statement: h}, op)
	r.Do(&entry.Statement{Action: entry.Reopen, Statement: h, Closes: r.Now.Add(2 * time.Hour)}, op)
	r.Must(rolltest.Sign(r.Draft(&entry.Endorsement{
		Action: entry.Endorse, Statement: h, Renditions: []entry.RenditionRef{{Language: "fr", Hash: entry.Sum([]byte("texte"))}}, After: entry.After{Size: 2, Note: entry.Sum([]byte("note"))},
	}, two)))
	third, fourth := rolltest.NewKey("third"), rolltest.NewKey("fourth")
	r.Do(&entry.KeyEvent{Action: entry.Add, Member: two.Domain, PublicKey: line(third)}, two, two.Keys[0], two.Keys[1], third)
	r.Do(&entry.KeyEvent{Action: entry.Suspend, Member: two.Domain, Revokes: ref(two.Keys[0])}, op)
	r.Do(&entry.KeyEvent{Action: entry.Rotate, Member: two.Domain, PublicKey: line(fourth), Revokes: ref(two.Keys[0]), CompromisedAfter: at(4)}, two, two.Keys[1], third, fourth)
	r.Do(&entry.KeyEvent{Action: entry.Revoke, Member: two.Domain, Revokes: ref(two.Keys[1]), CompromisedAfter: at(6)}, two, two.Recovery[0])
	r.Do(&entry.Membership{Action: entry.Update, Member: two.Domain, Name: "Two", Quorum: 1, RecoveryKeys: []entry.PublicKey{*line(two.Recovery[0])}}, two, third, fourth, two.Recovery[0])
	r.Do(&entry.Membership{Action: entry.Leave, Member: two.Domain}, two, third)
	c := &entry.Charter{Title: "Another title", Operator: op.Domain, PublicKeys: []entry.PublicKey{op.Keys[0].Line()}, Admission: entry.Admission{Operator: true}, Roll: "on-change"}
	member := rolltest.NewKeyOf(keys.Ed25519, "swap0")
	c.Vouchers = []entry.Named{{Domain: "member0.example", Ref: member.Ref()}}
	r.Do(c, op)
	return r
}

// TestEveryFieldSwapped puts into each line of each signed text whatever any text of the record has in a line of that field, and a
// few things more, one at a time, with the signatures as they were. Nothing of it is admitted, and nothing that parses bears a
// signature of its text any more.
func TestEveryFieldSwapped(t *testing.T) {
	r := everySaying(t)
	pool := map[string][]string{
		"ledger":   {"ledger ledger.example/other", "ledger ledger.example"},
		"previous": {"previous none", "previous " + entry.Sum([]byte("x")).String()},
		"rules":    {"rules 2"},
		"date":     {"date " + rolltest.Start.AddDate(0, 0, -1).Format(time.DateOnly), "date " + rolltest.Start.AddDate(0, 0, 1).Format(time.DateOnly)},
		"after":    {"after 1 " + entry.Sum([]byte("another note")).String()},
		"quorum":   {"quorum 3"},
		"size":     {"size 1"},
		"operator": {"operator member0.example"},
		"roll":     {"roll daily 12:00"},

		"publisher":    {"publisher two.example"},
		"supersedes":   {"supersedes " + entry.Sum([]byte("texte")).String()},
		"legal-name":   {"legal-name Three of Them Ltd"},
		"recovery-key": {"recovery-key " + strings.TrimPrefix(keyLine(rolltest.NewKey("stranger")), "public-key ")},
		"voucher":      {"voucher two.example " + rolltest.NewKey("stranger").Ref().String(), "voucher operator.example " + rolltest.NewKey("stranger").Ref().String()},
		"rendition":    {"rendition fr " + entry.Sum([]byte("another")).String(), "rendition fr " + entry.Sum([]byte("texte")).String() + " 6 text/plain"},
	}
	header := "the first line"
	field := func(i int, line string) string {
		if i == 0 {
			return header
		}
		name, _, _ := strings.Cut(line, " ")
		return name
	}
	var texts [][]string // of each entry, its lines
	for _, leaf := range r.Leaves {
		l, err := entry.ParseLeaf(leaf)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(l.Entry.Text()), "\n"), "\n")
		texts = append(texts, lines)
		for i, line := range lines {
			if name := field(i, line); !slices.Contains(pool[name], line) {
				pool[name] = append(pool[name], line)
			}
		}
	}
	state, swapped, parsed := roll.New(rolltest.Origin), 0, map[string]int{}
	for at, leaf := range r.Leaves {
		l, err := entry.ParseLeaf(leaf)
		if err != nil {
			t.Fatal(err)
		}
		checked := state.CheckSignatures(l.Entry) // which say nothing about another text
		signatures := bytes.TrimPrefix(l.Entry.Bytes(), l.Entry.Text())
		try := func(what string, lines []string) {
			swapped++
			text := strings.Join(lines, "\n") + "\n"
			e, err := entry.Parse(append([]byte(text), signatures...))
			if err != nil {
				return // not even an entry
			}
			parsed[what]++
			for i, n := range e.Named() {
				k := rolltest.Find(n.Ref)
				if k != nil && (k.Public.Verify(rolltest.Origin, e.Text(), e.Signatures[i].Sig) || k.Public.Verify(e.Ledger, e.Text(), e.Signatures[i].Sig)) {
					t.Errorf("entry %d, %s: a signature verifies under\n%s", at, what, text)
				}
			}
			for _, sigs := range []*roll.Signatures{nil, checked} {
				var refused *roll.Inadmissible
				if err := state.Admit(&entry.Leaf{Admitted: l.Admitted, Entry: e}, sigs); !errors.As(err, &refused) {
					t.Errorf("entry %d, %s: %v for\n%s", at, what, err, text)
				}
			}
		}
		for i, line := range texts[at] {
			name := field(i, line)
			for _, other := range pool[name] {
				if other != line {
					changed := slices.Clone(texts[at])
					changed[i] = other
					try(name, changed)
				}
			}
			try(name+" left out", slices.Delete(slices.Clone(texts[at]), i, i+1))
			try(name+" twice", slices.Insert(slices.Clone(texts[at]), i, line))
			if i > 0 {
				moved := slices.Clone(texts[at])
				moved[i-1], moved[i] = moved[i], moved[i-1]
				if moved[i] != moved[i-1] {
					try(name+" moved", moved)
				}
			}
		}
		// As it was signed it is admitted.
		if err := state.ApplyLeaf(uint64(at), l, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"ledger", "previous", "title", "operator", "public-key", "publisher", "admission", "roll", "action", "statement", "language", "media-type",
		"size", "rendition", "supersedes", "closes", "member", "name", "legal-name", "recovery-key", "quorum", "voucher", "after", "revokes",
		"compromised-after", "signer", "key", "date",
	} {
		if len(pool[name]) < 2 {
			t.Errorf("there is nothing to swap for the line %s", name)
		}
		// A member is the signer, so that these two cannot change alone.
		if parsed[name] == 0 && name != "signer" && name != "member" {
			t.Errorf("no swap of the line %s was an entry", name)
		}
	}
	if len(pool[header]) != 5 {
		t.Errorf("%d kinds", len(pool[header]))
	}
	total := 0
	for _, n := range parsed {
		total += n
	}
	t.Logf("%d swaps in %d texts, of which %d parsed", swapped, len(texts), total)
}

// keyLine is the line that registers a key.
func keyLine(k *rolltest.Key) string {
	return "public-key " + string(k.Public.Suite()) + " " + base64.StdEncoding.EncodeToString(k.Public.SPKI())
}

func u32[T string | []byte](s T) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + string(s)
}

// otherProtocols says what is signed so that a text is signed in another protocol.
var otherProtocols = map[string]func(text []byte) []byte{
	"DSSE": func(text []byte) []byte {
		return fmt.Appendf(nil, "DSSEv1 27 application/vnd.undersigned %d %s", len(text), text)
	},
	"minisign": func(text []byte) []byte {
		sum := blake2b.Sum512(text)
		return sum[:]
	},
	"a hash of the text":    func(text []byte) []byte { sum := sha256.Sum256(text); return sum[:] },
	"a hash in hexadecimal": func(text []byte) []byte { return fmt.Appendf(nil, "%x", sha256.Sum256(text)) },
	"its base64":            func(text []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(text)) },
	"the whole note":        func(text []byte) []byte { return append(bytes.Clone(text), '\n') },
	"the text in a leaf": func(text []byte) []byte {
		return append([]byte("undersigned/leaf/v1\nadmitted 2024-06-11T09:30:00.123Z\n\n"), text...)
	},
	"without the last LF":    func(text []byte) []byte { return bytes.TrimSuffix(text, []byte("\n")) },
	"with CR LF":             func(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")) },
	"with a byte order mark": func(text []byte) []byte { return append([]byte("\ufeff"), text...) },
	"a checkpoint": func(text []byte) []byte {
		return verify.Checkpoint{Origin: rolltest.Origin, Size: 5, Root: sha256.Sum256(text)}.Text()
	},
	"a cosignature": func(text []byte) []byte { return append([]byte("cosignature/v1\ntime 1718098200\n"), text...) },
	"an ML-DSA cosignature": func(text []byte) []byte {
		v, err := keys.NewVKey("witness.example", keys.TypeCosignatureMLDSA44, make([]byte, 1312))
		if err != nil {
			panic(err)
		}
		return verify.SignedMessage(v, 1718098200, verify.Checkpoint{Origin: rolltest.Origin, Size: 5, Root: sha256.Sum256(text)})
	},
	"a git commit": func(text []byte) []byte {
		return fmt.Appendf(nil, "tree %x\nauthor A <a@a.example> 0 +0000\n\n%s", sha256.Sum256(text), text)
	},
	"JWS": func(text []byte) []byte {
		return []byte(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA"}`)) + "." + base64.RawURLEncoding.EncodeToString(text))
	},
	"COSE": func(text []byte) []byte {
		return slices.Concat([]byte("\x84\x6aSignature1\x43\xa1\x01\x27\x40\x59"), binary.BigEndian.AppendUint16(nil, uint16(len(text))), text)
	},
	"TLS 1.3": func(text []byte) []byte {
		sum := sha256.Sum256(text)
		return append([]byte(strings.Repeat(" ", 64)+"TLS 1.3, server CertificateVerify\x00"), sum[:]...)
	},
	"OpenPGP": func(text []byte) []byte {
		return append(bytes.Clone(text), "\x04\x00\x16\x08\x00\x06\x05\x02\x66\x68\x00\x00\x04\xff\x00\x00\x00\x0c"...)
	},
	"SSH's login": func(text []byte) []byte {
		return []byte(u32(text[:32]) + "\x32" + u32("root") + u32("ssh-connection") + u32("publickey") + "\x01" + u32("ssh-ed25519"))
	},
	"SSHSIG for a file": func(text []byte) []byte {
		sum := sha256.Sum256(text)
		return []byte("SSHSIG" + u32("file") + u32("") + u32("sha256") + u32(sum[:]))
	},
	"SSHSIG for us, without its wrapper": func(text []byte) []byte { return keys.SSHSignedData(rolltest.Origin, text) },
}

// TestOtherProtocolsNeverCount signs texts in other protocols, with keys of each suite, and puts the signatures under entries: as they
// are, and in the containers that these protocols have.
func TestOtherProtocolsNeverCount(t *testing.T) {
	r := rolltest.New(t)
	h := r.Publish("text")
	for i, suite := range keys.Suites() {
		o := &rolltest.Org{Domain: fmt.Sprintf("member%d.example", i), Name: "Member " + string(suite), Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKeyOf(suite, fmt.Sprint("other", i))}}
		r.Register(o)
		k := o.Keys[0]
		e := r.Endorsement(entry.Endorse, o, h)
		text, good := e.Text(), e.Signatures[0].Sig
		refused := func(what string, sig []byte) {
			t.Helper()
			forged := *e
			forged.Signatures = []entry.Signature{{Name: o.Domain, KeyID: k.Public.NoteKeyID(o.Domain), Sig: sig}}
			l, err := entry.ParseLeaf(r.Leaf(&forged))
			if err != nil {
				t.Fatal(err)
			}
			for _, sigs := range []*roll.Signatures{nil, r.State.CheckSignatures(l.Entry), r.State.CheckSignatures(e)} {
				checkRefusal(t, r.State.Admit(l, sigs), roll.RuleSignature, "signature line 1")
			}
			if t.Failed() {
				t.Fatalf("%s: %s", suite, what)
			}
		}
		for name, signed := range otherProtocols {
			msg := signed(text)
			refused(name, k.Sign(msg))
			refused(name+" for another ledger", k.SignFor("ledger.example/other", msg))
			if _, err := entry.ParseText(msg); err == nil {
				t.Errorf("%s: what is signed can be an entry", name)
			}
		}
		if suite == keys.SSHSIG || suite == keys.SSHSIGSK {
			refused("the text, for another ledger", k.SignFor("ledger.example/other", text))
			refused("the text, for a ledger whose name begins alike", k.SignFor(rolltest.Origin+"2", text))
		}
		for name, sig := range map[string][]byte{
			"minisign's container":      slices.Concat([]byte("Ed\x01\x02\x03\x04\x05\x06\x07\x08"), good),
			"a signature of itself":     k.Sign(good),
			"base64":                    []byte(base64.StdEncoding.EncodeToString(good)),
			"SSH's armor":               pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: good}),
			"an SSH signature's string": []byte(u32("ssh-ed25519") + u32(good)),
			"a time before it":          append(make([]byte, 8), good...),
			"a byte behind it":          append(bytes.Clone(good), 0),
			"twice":                     append(bytes.Clone(good), good...),
			"for another entry":         r.Endorsement(entry.Withdraw, o, h).Signatures[0].Sig,
		} {
			refused(name, sig)
		}
		r.Must(e)
	}
}
