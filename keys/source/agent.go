package source

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/tccm/undersigned/keys"
)

// AgentPrefix begins what names a key in an ssh-agent, where a key file could be named.
const AgentPrefix = "ssh-agent:"

// agentTimeout is how long an agent may take, which may have to ask a person.
const agentTimeout = 5 * time.Minute

// An agentKey is a key that does not leave its ssh-agent.
type agentKey struct {
	socket string
	wire   []byte // the public key, RFC 4253 section 6.6
}

// ParseSSHPublicKey reads an OpenSSH public key file: a line of a key type, base64, and a comment. The key is of the
// suite sshsig, or sshsig-sk for a FIDO key.
func ParseSSHPublicKey(file []byte) (*keys.PublicKey, error) {
	line := strings.TrimSuffix(strings.TrimSuffix(string(file), "\n"), "\r")
	fields := strings.Fields(line)
	if len(fields) < 2 || strings.ContainsAny(line, "\r\n") {
		return nil, errors.New("it is not an OpenSSH public key: one line of a key type, base64 and a comment")
	}
	wire, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return nil, errors.New("it is not an OpenSSH public key: the second word is not base64")
	}
	k, err := keys.ParseSSHPublicKey(wire)
	if err != nil {
		return nil, err
	}
	if public, err := ssh.ParsePublicKey(wire); err != nil || public.Type() != fields[0] {
		return nil, errors.New("it is not an OpenSSH public key: it begins with the name of another type than the key's")
	}
	return k, nil
}

// FromAgent returns a key that the ssh-agent at $SSH_AUTH_SOCK holds. name is its fingerprint as ssh-add -l prints it
// ("SHA256:…"), its comment, or a file with its public half in OpenSSH's form. suite "" stands for sshsig, or sshsig-sk for a
// FIDO key; an agent's Ed25519 and ECDSA keys serve their bare suites too, and RSA keys rsa-pkcs1-sha256.
//
// Every error is a sentence that says what to do.
func FromAgent(name string, suite keys.Suite) (*Key, error) {
	a := &agentKey{socket: os.Getenv("SSH_AUTH_SOCK")}
	if a.socket == "" {
		return nil, errors.New("no ssh-agent is at hand: SSH_AUTH_SOCK is not set; start one with eval \"$(ssh-agent)\" and add the key with ssh-add")
	}
	var held []*agent.Key
	err := a.ask(func(c agent.ExtendedAgent) (err error) {
		held, err = c.List()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot ask the ssh-agent which keys it holds: %w", err)
	}
	found, err := pick(held, name)
	if err != nil {
		return nil, err
	}
	a.wire = found.Blob
	public, err := keys.ParseSSHPublicKey(a.wire)
	if err != nil {
		return nil, fmt.Errorf("the key %s in the ssh-agent cannot be used: %w", ssh.FingerprintSHA256(found), err)
	}
	if suite != "" && suite != public.Suite() {
		fits := agentSuites(found.Format)
		if !slices.Contains(fits, suite) {
			return nil, fmt.Errorf("the key %s in the ssh-agent is a key of the type %s, which signs as %s and never as %s", ssh.FingerprintSHA256(found), found.Format, join(fits), suite)
		}
		if public, err = keys.ParsePublicKey(suite, public.SPKI()); err != nil {
			return nil, err
		}
	}
	return &Key{agent: a, public: public}, nil
}

// agentSuites returns the suites in which an agent's key of a type can sign: one of RSA cannot make PSS signatures.
func agentSuites(format string) []keys.Suite {
	switch format {
	case ssh.KeyAlgoED25519:
		return []keys.Suite{keys.SSHSIG, keys.Ed25519}
	case ssh.KeyAlgoECDSA256:
		return []keys.Suite{keys.SSHSIG, keys.ECDSAP256SHA256}
	case ssh.KeyAlgoECDSA384:
		return []keys.Suite{keys.SSHSIG, keys.ECDSAP384SHA384}
	case ssh.KeyAlgoRSA:
		return []keys.Suite{keys.SSHSIG, keys.RSAPKCS1SHA256}
	}
	return []keys.Suite{keys.SSHSIGSK}
}

// Suites returns the suites in which the key could sign, its own first.
func (k *Key) Suites() []keys.Suite {
	var fits []keys.Suite
	if k.agent != nil {
		if public, err := ssh.ParsePublicKey(k.agent.wire); err == nil {
			fits = agentSuites(public.Type())
		}
	} else {
		fits, _, _ = suitesOf(k.signer.Public())
	}
	return append([]keys.Suite{k.Suite()}, slices.DeleteFunc(fits, func(s keys.Suite) bool { return s == k.Suite() })...)
}

// pick finds the one key of an agent that a name means.
func pick(held []*agent.Key, name string) (*agent.Key, error) {
	is := func(k *agent.Key) bool { return k.Comment == name }
	switch {
	case strings.HasPrefix(name, "SHA256:"):
		is = func(k *agent.Key) bool { return ssh.FingerprintSHA256(k) == name }
	case !slices.ContainsFunc(held, is):
		file, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("the ssh-agent holds no key with the comment %q, nor is there such a file: ssh-add -l lists what it holds", name)
		}
		k, err := ParseSSHPublicKey(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		is = func(held *agent.Key) bool { return string(held.Blob) == string(k.SSH()) }
	}
	found := slices.DeleteFunc(slices.Clone(held), func(k *agent.Key) bool { return !is(k) })
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("the ssh-agent does not hold the key %s: ssh-add -l lists what it holds", name)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("the ssh-agent holds %d keys with the comment %q; name one by its fingerprint (SHA256:…)", len(found), name)
}

// ask talks to the agent.
func (a *agentKey) ask(f func(c agent.ExtendedAgent) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), agentTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", a.socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	return f(agent.NewClient(conn))
}

// sign has the agent sign msg in the key's suite.
func (a *agentKey) sign(public *keys.PublicKey, origin string, msg []byte) ([]byte, error) {
	wire, err := ssh.ParsePublicKey(a.wire)
	if err != nil {
		return nil, err
	}
	data, flags := msg, agent.SignatureFlags(0)
	switch public.Suite() {
	case keys.SSHSIG, keys.SSHSIGSK:
		data = keys.SSHSignedData(origin, msg)
		if wire.Type() == ssh.KeyAlgoRSA {
			flags = agent.SignatureFlagRsaSha512
		}
	case keys.RSAPKCS1SHA256:
		flags = agent.SignatureFlagRsaSha256
	}
	var sig *ssh.Signature
	err = a.ask(func(c agent.ExtendedAgent) (err error) {
		sig, err = c.SignWithFlags(wire, data, flags)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the ssh-agent does not sign: %w", err)
	}
	switch public.Suite() {
	case keys.SSHSIG, keys.SSHSIGSK:
		return public.SSHSIG(origin, ssh.Marshal(sig)), nil
	case keys.ECDSAP256SHA256, keys.ECDSAP384SHA384:
		return ecdsaDER(sig.Blob)
	}
	return sig.Blob, nil
}

// ecdsaDER turns the two numbers of an SSH signature (RFC 5656 section 3.1.2) into ASN.1 DER.
func ecdsaDER(blob []byte) ([]byte, error) {
	var numbers struct{ R, S *big.Int }
	if err := ssh.Unmarshal(blob, &numbers); err != nil {
		return nil, errSignature
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(numbers.R)
		b.AddASN1BigInt(numbers.S)
	})
	return b.Bytes()
}
