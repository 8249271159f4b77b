package collector

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
)

// A bind is a hierarchy of zones that BIND's own tools have signed.
type bind struct {
	t    *testing.T
	dir  string
	zone map[string]string // signed zone files, by name
}

// newBind skips the test where BIND is not installed.
func newBind(t *testing.T) *bind {
	t.Helper()
	for _, tool := range []string{"named", "dnssec-keygen", "dnssec-signzone", "dnssec-revoke", "dnssec-dsfromkey", "delv"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
				t.Fatal(tool + " is not installed")
			}
			t.Skip(tool + " is not installed; install bind9, bind9-utils and bind9-dnsutils to run this test")
		}
	}
	b := &bind{t, t.TempDir(), map[string]string{}}
	if err := os.Mkdir(filepath.Join(b.dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bind) run(name string, args ...string) string {
	b.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = b.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// key makes a key of a zone, and returns the name of its files.
func (b *bind) key(zone, algorithm string, flags ...string) string {
	b.t.Helper()
	args := []string{"-q", "-K", "keys", "-a", algorithm}
	if strings.HasPrefix(algorithm, "RSA") {
		args = append(args, "-b", "2048")
	}
	return b.run("dnssec-keygen", append(append(args, flags...), zone)...)
}

// sign signs a zone of these lines with the keys that it has; zones below are signed before.
func (b *bind) sign(zone, lines string, args ...string) {
	b.t.Helper()
	file := "zone-" + zone
	text := "$TTL 3600\n@ SOA ns.test. admin.test. 1 3600 600 86400 300\n@ NS ns.test.\n" + lines
	if err := os.WriteFile(filepath.Join(b.dir, file), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.zone[zone] = file
	if len(args) > 0 && args[0] == "unsigned" {
		return
	}
	b.zone[zone] = file + ".signed"
	b.run("dnssec-signzone", append(args, "-q", "-S", "-g", "-K", "keys", "-d", ".", "-o", zone, "-f", file+".signed", file)...)
}

// serve starts named for the zones, and returns its address.
func (b *bind) serve() string {
	b.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	var conf strings.Builder
	fmt.Fprintf(&conf, "options { directory %q; pid-file none; session-keyfile none; managed-keys-directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; notify no; dnssec-validation no; };\ncontrols { };\n", b.dir, b.dir, port)
	for zone, file := range b.zone {
		fmt.Fprintf(&conf, "zone %q { type primary; file %q; };\n", zone, file)
	}
	path := filepath.Join(b.dir, "named.conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command("named", "-g", "-n", "1", "-c", path)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		c := &Collector{Resolver: addr, Timeout: 200 * time.Millisecond}
		if m, err := c.ask(b.t.Context(), root, typeDNSKEY); err == nil && len(m.answer) > 0 {
			return addr
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	b.t.Fatalf("named does not answer:\n%s", &log)
	return ""
}

// anchor is the anchor that a key of the root makes.
func (b *bind) anchor(key string) dnssec.Anchor {
	b.t.Helper()
	line := b.run("dnssec-dsfromkey", "-2", filepath.Join("keys", key+".key"))
	var a dnssec.Anchor
	var sum []byte
	if _, err := fmt.Sscanf(line, ". IN DS %d %d %d %X", &a.KeyTag, &a.Algorithm, &a.DigestType, &sum); err != nil {
		b.t.Fatalf("%s: %v", line, err)
	}
	a.Digest = string(sum)
	return a
}

// delv is what delv says, under an anchor.
func (b *bind) delv(addr string, a dnssec.Anchor, name string) string {
	b.t.Helper()
	file := filepath.Join(b.dir, "anchors")
	text := fmt.Sprintf("trust-anchors { . static-ds %d %d %d \"%X\"; };\n", a.KeyTag, a.Algorithm, a.DigestType, a.Digest)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(addr)
	out, _ := exec.Command("delv", "@"+host, "-p", port, "-a", file, "+root=.", name, "TXT").CombinedOutput()
	return string(out)
}

// Zones that BIND has signed: what delv says of them is what we say, but of the wildcard.
func TestBIND(t *testing.T) {
	b := newBind(t)
	ours := "_undersigned TXT \"" + record.String() + "\"\n"
	for _, z := range []struct {
		name, algorithm, lines string
		args                   []string
	}{
		{"registry.test.", "ED25519", ours, nil},
		{"rsa.test.", "RSASHA512", ours, nil},
		{"nsec3.test.", "ECDSAP256SHA256", "_a TXT a\nz TXT z\n", []string{"-3", "abcd", "-H", "2"}},
		{"nodata.test.", "ECDSAP384SHA384", "_undersigned HINFO a b\n", nil},
		{"nxdomain.test.", "ECDSAP256SHA256", "_a TXT a\nz TXT z\n", nil},
		{"wild.test.", "ECDSAP384SHA384", "* TXT \"" + record.String() + "\"\n", nil},
		{"alias.test.", "ED25519", "_undersigned CNAME other\nother TXT \"" + record.String() + "\"\n", nil},
		{"optout.test.", "ECDSAP256SHA256", "hidden NS ns.test.\n", []string{"-3", "-", "-A"}},
	} {
		b.key(z.name, z.algorithm, "-f", "KSK")
		b.key(z.name, z.algorithm)
		b.sign(z.name, z.lines, z.args...)
	}
	b.sign("insecure.test.", ours, "unsigned")
	b.sign("hidden.optout.test.", ours, "unsigned")
	b.key("test.", "ECDSAP256SHA256", "-f", "KSK")
	b.key("test.", "ECDSAP256SHA256")
	b.sign("test.", "registry NS ns\nrsa NS ns\nnsec3 NS ns\nnodata NS ns\nnxdomain NS ns\nwild NS ns\nalias NS ns\noptout NS ns\ninsecure NS ns\nns A 127.0.0.1\nsub TXT x\n_undersigned.sub TXT \""+record.String()+"\"\n")
	old := b.key(".", "RSASHA256", "-f", "KSK")
	b.key(".", "RSASHA256")
	b.sign(".", "test NS ns.test.\n")

	addr := b.serve()
	anchor := b.anchor(old)
	ask := &Collector{Resolver: addr, Anchors: []dnssec.Anchor{anchor}, Timeout: 5 * time.Second}
	const valid, unsigned, negative = "; fully validated", "; unsigned answer", "; negative response, fully validated"
	for _, c := range []struct {
		domain  string
		outcome dnssec.Outcome
		kind    Kind
		delv    string
	}{
		{"registry.test", dnssec.Published, "", valid},
		{"rsa.test", dnssec.Published, "", valid},
		{"nsec3.test", dnssec.Absent, "", negative},
		{"nodata.test", dnssec.Absent, "", negative},
		{"nxdomain.test", dnssec.Absent, "", negative},
		{"nothing.test", dnssec.Absent, "", negative},
		{"insecure.test", dnssec.Insecure, "", unsigned},
		{"hidden.optout.test", dnssec.Insecure, "", unsigned},
		{"optout.test", dnssec.Absent, "", negative},
		{"wild.test", 0, Wildcard, valid},
		{"alias.test", 0, Alias, valid},
		{"sub.test", 0, OtherZone, valid},
	} {
		if got := b.delv(addr, anchor, dnssec.Owner(c.domain)); !strings.Contains(got, c.delv+"\n") {
			t.Errorf("delv on %s: %s", c.domain, got)
		}
		chain, r, err := ask.Collect(t.Context(), c.domain)
		var e *Error
		if c.kind != "" {
			if !errors.As(err, &e) || e.Kind != c.kind {
				t.Errorf("%s: %+v %v", c.domain, r, err)
			}
			continue
		}
		if err != nil || r.Outcome != c.outcome || c.outcome == dnssec.Published && !r.Publishes(record.Ledger, record.Key) {
			t.Errorf("%s: %+v %v", c.domain, r, err)
			continue
		}
		t.Logf("%s: %s, %d bytes, algorithms %d", c.domain, r.Outcome, len(chain), r.Algorithms)
	}

	// The root's key signing key is replaced: first there are two, then the old one is revoked.
	fresh := b.key(".", "RSASHA256", "-f", "KSK")
	b.sign(".", "test NS ns.test.\n")
	addr = b.serve()
	next := b.anchor(fresh)
	hangs := func(a dnssec.Anchor, ok bool) {
		t.Helper()
		said := b.delv(addr, a, "_undersigned.registry.test")
		if strings.Contains(said, valid+"\n") != ok {
			t.Errorf("delv under %d: %s", a.KeyTag, said)
		}
		ask := &Collector{Resolver: addr, Anchors: []dnssec.Anchor{a}, Timeout: 5 * time.Second}
		chain, r, err := ask.Collect(t.Context(), "registry.test")
		var e *Error
		if ok && (err != nil || r.Anchor != a) || !ok && (!errors.As(err, &e) || e.Kind != Bogus) {
			t.Errorf("under %d: %+v %v", a.KeyTag, r, err)
		}
		t.Logf("under %d: %d bytes, %v", a.KeyTag, len(chain), err)
	}
	hangs(anchor, true)
	hangs(next, true)
	b.run("dnssec-revoke", "-r", "-K", "keys", old)
	b.sign(".", "test NS ns.test.\n")
	addr = b.serve()
	hangs(anchor, false)
	hangs(next, true)
}
