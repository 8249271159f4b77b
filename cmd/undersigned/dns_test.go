package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/ledger/collector"
)

// aDNS is the DNS of one script.
type aDNS struct {
	dns    *dnssectest.DNS
	server *dnssectest.Server
	zones  map[string]*dnssectest.Zone
}

// dnsOf are those of the scripts that run, by their working directories.
var dnsOf = make(chan map[string]*aDNS, 1)

func init() { dnsOf <- map[string]*aDNS{} }

// scriptDNS serves a signed DNS on loopback to a script, which trusts its root by the file anchors.ds:
//
//	dns zone NAME [unsigned|island|nsec3]...    make a zone; the first one makes the DNS, and sets RESOLVER
//	dns nozone NAME                             take a zone away
//	dns publish FILE                            publish the lines that dns record has printed
//	dns txt NAME [TEXT]                         set the text at a name, or none
//	dns cname NAME TARGET
//	dns window FROM UNTIL                       sign anew for a window, in durations from now
//	dns strip                                   from now on leave signatures out of answers
//	dns forge OLD NEW                           from now on put NEW in place of OLD in texts
func scriptDNS(ts *testscript.TestScript, _ bool, args []string) {
	all := <-dnsOf
	d := all[ts.Getenv("WORK")]
	if d == nil {
		d = &aDNS{dns: dnssectest.New(time.Now().Add(-time.Hour), time.Now().Add(14*24*time.Hour)), zones: map[string]*dnssectest.Zone{}}
		all[ts.Getenv("WORK")] = d
	}
	dnsOf <- all
	if d.server == nil {
		var err error
		d.server, err = d.dns.Serve()
		ts.Check(err)
		ts.Defer(d.server.Close)
		ts.Setenv("RESOLVER", d.server.Addr)
		a := d.dns.Anchors()[0]
		ts.Check(os.WriteFile(ts.MkAbs("anchors.ds"), fmt.Appendf(nil, "; of a test\n. IN DS %d %d %d %s\n", a.KeyTag, a.Algorithm, a.DigestType, hex.EncodeToString([]byte(a.Digest))), 0o644))
	}
	zoneOf := func(name string) *dnssectest.Zone {
		for ; d.zones[name] == nil; _, name, _ = strings.Cut(name, ".") {
			if name == "" {
				ts.Fatalf("there is no zone for it")
			}
		}
		return d.zones[name]
	}
	switch args[0] {
	case "zone":
		d.zones[args[1]] = d.dns.Zone(args[1], dnssectest.Options{
			Unsigned: slices.Contains(args[2:], "unsigned"), Island: slices.Contains(args[2:], "island"), NSEC3: slices.Contains(args[2:], "nsec3"),
		})
	case "nozone":
		d.dns.Without(args[1])
		delete(d.zones, args[1])
	case "publish":
		texts := map[string][]string{}
		for line := range strings.Lines(ts.ReadFile(args[1])) {
			name, data, ok := strings.Cut(strings.TrimSpace(line), ". 3600 IN TXT ")
			if !ok {
				ts.Fatalf("not a line of a zone file: %s", line)
			}
			texts[name] = append(texts[name], strings.ReplaceAll(strings.Trim(data, `"`), `" "`, ""))
		}
		for name, list := range texts {
			zoneOf(name).SetTXT(name, list...)
		}
	case "txt":
		zoneOf(args[1]).SetTXT(args[1], args[2:]...)
	case "cname":
		zoneOf(args[1]).Set(args[1], dnssectest.CNAME, dnssectest.Name(args[2]))
	case "window":
		from, err := time.ParseDuration(args[1])
		ts.Check(err)
		until, err := time.ParseDuration(args[2])
		ts.Check(err)
		d.dns.Window(time.Now().Add(from), time.Now().Add(until))
	case "strip":
		d.server.Edit(func(_ string, _ uint16, a *dnssectest.Answer) {
			signature := func(r dnssec.RR) bool { return r.Type == dnssectest.RRSIG }
			a.Answer, a.Authority = slices.DeleteFunc(a.Answer, signature), slices.DeleteFunc(a.Authority, signature)
		})
	case "forge":
		d.server.Edit(func(_ string, typ uint16, a *dnssectest.Answer) {
			for i := range a.Answer {
				if typ == dnssectest.TXT && a.Answer[i].Type == typ {
					a.Answer[i].Data = []byte(strings.Replace(string(a.Answer[i].Data), args[1], args[2], 1))
				}
			}
		})
	default:
		ts.Fatalf("unknown: dns %s", args[0])
	}
}

func TestParseAnchors(t *testing.T) {
	var text strings.Builder
	for _, a := range dnssec.RootAnchors() {
		fmt.Fprintf(&text, ".\t3600 IN DS %d %d %d %s ; a comment\n\n", a.KeyTag, a.Algorithm, a.DigestType, strings.ToUpper(hex.EncodeToString([]byte(a.Digest))))
	}
	list, err := parseAnchors("; IANA\n" + text.String())
	if err != nil || len(list) != 2 {
		t.Fatalf("%v %v", list, err)
	}
	for i, a := range dnssec.RootAnchors() {
		a.From, a.Until = time.Time{}, time.Time{}
		if list[i] != a {
			t.Errorf("%+v", list[i])
		}
	}
	for _, bad := range []string{
		"", "; none\n", ". IN DS 1 8 2\n", ". IN DS x 8 2 00\n", ". IN DS 65536 8 2 00\n", "example. IN DS 1 8 2 00\n", ". IN DS 1 8 2 0\n", ". IN DNSKEY 257 3 8 AAAA\n", "DS 1 8 2 00\n",
	} {
		if list, err := parseAnchors(bad); err == nil {
			t.Errorf("%q: %v", bad, list)
		}
	}
}

func TestQuoteTXT(t *testing.T) {
	for _, n := range []int{1, 255, 256, 511} {
		text := strings.Repeat("x", n)
		got := quoteTXT(text)
		if strings.ReplaceAll(strings.Trim(got, `"`), `" "`, "") != text || strings.Count(got, `"`) != 2*((n+254)/255) {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// Every kind of refusal has its sentence and its code.
func TestRefusedSentences(t *testing.T) {
	seen := map[string]bool{}
	for kind, code := range map[collector.Kind]int{
		collector.Unreachable: 3, collector.Stripped: 3, collector.NotValid: 3, collector.Bogus: 13,
		collector.Alias: 1, collector.Wildcard: 1, collector.OtherZone: 1, collector.Expiring: 1,
	} {
		v := newDNSView("our.example", noon())
		v.refused(&collector.Error{Kind: kind, Err: &dnssec.TimeError{NotBefore: noon(), NotAfter: noon()}, Result: &dnssec.Result{NotAfter: noon()}})
		if len(v.Findings) != 1 || v.Findings[0].code != code || v.Findings[0].Type != string(kind) || seen[v.Findings[0].Sentence] {
			t.Errorf("%s: %+v", kind, v.Findings)
		}
		seen[v.Findings[0].Sentence] = true
		if strings.Contains(v.Findings[0].Sentence, "%!") {
			t.Error(strconv.Quote(v.Findings[0].Sentence))
		}
	}
}

// TestDNSPage runs every command of docs/dns.md, and holds what each prints against what the page says.
func TestDNSPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "dns.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if code, _, stderr := runWith(t.Context(), "key", "new", "--no-password", "-o", "our.pem"); code != codeOK {
		t.Fatal(stderr)
	}
	now := time.Now()
	d := dnssectest.New(now.Add(-time.Hour), now.Add(14*24*time.Hour))
	d.Zone("example", dnssectest.Options{})
	d.Zone("our.example", dnssectest.Options{})
	server, err := d.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	a := d.Anchors()[0]
	if err := os.WriteFile("anchors.ds", fmt.Appendf(nil, ". IN DS %d %d %d %x\n", a.KeyTag, a.Algorithm, a.DigestType, a.Digest), 0o644); err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\nundersigned (.*?)\n```\n```text\n(.*?)\n```").FindAllSubmatch(page, -1)
	if len(blocks) != 3 || strings.Count(string(page), "```sh") != 3 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, b := range blocks {
		args := words(string(b[1]))
		if args[1] != "record" {
			args = append(args, "--trust-anchors", "anchors.ds")
		}
		if args[1] == "check" {
			args = append(args, "--resolver", server.Addr)
		}
		code, out, stderr := runWith(t.Context(), args...)
		if code != codeOK {
			t.Fatalf("%v: exit code %d, %s%s", args, code, out, stderr)
		}
		for want := range strings.Lines(string(b[2])) {
			pattern := "(?m)^" + strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(want)), "…", ".*") + "$"
			if !regexp.MustCompile(pattern).MatchString(out) {
				t.Errorf("%v does not print %q but\n%s", args, want, out)
			}
		}
		if _, text, ok := strings.Cut(out, `TXT "`); ok {
			r, err := dnssec.ParseRecord(strings.TrimSuffix(strings.TrimSpace(text), `"`))
			if err != nil {
				t.Fatal(err)
			}
			d.Publish("our.example", r)
		}
	}
}

// TestGuideDNS runs the commands of the guide's section about DNSSEC, in a record with a witness and a member as the guide has made them.
func TestGuideDNS(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "guide.md"))
	if err != nil {
		t.Fatal(err)
	}
	const before = `
env TEST_DNS_ROOT=1
dns zone example
dns zone our.example
env UNDERSIGNED_RESOLVER=$RESOLVER
exec undersigned key new --no-password -o operator.pem
exec undersigned key new --no-password -o our.pem
exec undersigned init --dir ledger --origin ledger.example/tccm --title Test --operator ledger.example --operator-key operator.pem
exec undersigned witness new w --name one.example/w
exec sh -c 'grep ^log ledger/policy.txt > logs.txt; cp logs.txt w/logs.txt'
freeport
env W=$ADDR
env UW=$URL
exec undersigned witness serve w --listen $W &w&
exec sh -c '(cat logs.txt; undersigned witness show w --url $UW; echo "quorum one-example-w") > ledger/policy.txt'
freeport
exec undersigned serve --dir ledger --listen $ADDR &server&
waitready $URL
env UNDERSIGNED_LEDGER=$URL
env UNDERSIGNED_POLICY=$WORK/ledger/policy.txt
exec undersigned statement publish --domain ledger.example --key operator.pem --statement statement.txt --title Ours
exec undersigned join --domain our.example --name 'Our Organization' --key our.pem --voucher-key operator.pem
exec undersigned endorse --domain our.example --key our.pem --statement statement.txt --receipt our.tlog-proof
`
	const after = `
stdout 'our\.example itself published the key sha256:.* in the DNS, signed: seen on '
kill -INT server
wait server
kill -INT w
wait w
-- statement.txt --
We stand by this.
`
	script := before
	n := 0
	for _, b := range regexp.MustCompile("(?s)```bash\n(.*?)```").FindAllSubmatch(page, -1) {
		for line := range strings.Lines(string(b[1])) {
			n++
			line = strings.ReplaceAll(strings.TrimSpace(line), `"$UNDERSIGNED_LEDGER"`, "$UNDERSIGNED_LEDGER")
			script += "exec " + strings.ReplaceAll(line, `"`, "'") + "\n"
			if strings.HasPrefix(line, "undersigned dns record") {
				script += "cp stdout zone\ndns publish zone\n"
			}
			if strings.HasPrefix(line, "undersigned verify") {
				script += "stdout '^Yes\\. our\\.example, which calls itself Our Organization'\nstdout 'itself published the key in the DNS, signed, as far as the record shows only after this was recorded: seen on '\n"
			}
		}
	}
	if n != 5 {
		t.Errorf("%d commands", n)
	}
	file := filepath.Join(t.TempDir(), "guide.txtar")
	if err := os.WriteFile(file, []byte(script+after), 0o644); err != nil {
		t.Fatal(err)
	}
	p := scripts()
	p.Files = []string{file}
	testscript.Run(t, p)
}
