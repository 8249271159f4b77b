package keys

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/tccm/undersigned/keys/unicode15"
)

func TestDomain(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	for domain, display := range map[string]string{
		"apnic.net":      "",
		"a.b":            "",
		"1.2.3.x4":       "",
		"3com.com":       "",
		"a-b--c.example": "",
		label63 + ".net": "",
		strings.Repeat(label63+".", 3) + label63[:61]: "",
		"xn--bcher-kva.example":                       "bücher.example",
		"xn--fa-hia.de":                               "faß.de",
		"xn--80ak6aa92e.com":                          "аррӏе.com",
		"xn--fiqs8s.xn--fiqs8s":                       "中国.中国",
		"xn--wgv71a119e.jp":                           "日本語.jp",
		"xn--mgbaam7a8h.xn--mgbaam7a8h":               "امارات.امارات",
		"nic.xn--mgbaam7a8h":                          "nic.امارات",
		"xn--ll-0ea.cat":                              "l·l.cat",
		"xn--4dbrk0ce.org":                            "ישראל.org",
		"xn--90a3ac.rs":                               "срб.rs",
		"xn--o3cw4h.th":                               "ไทย.th",
	} {
		if err := CheckDomain(domain); err != nil {
			t.Errorf("%s: %v", domain, err)
		}
		if display == "" {
			display = domain
		}
		if got := DomainToUnicode(domain); got != display {
			t.Errorf("%s is shown as %+q", domain, got)
		}
		if got := DisplayDomain(domain); got != domain && got != domain+" ("+display+")" || (got == domain) != (display == domain) {
			t.Errorf("%s is shown in both forms as %+q", domain, got)
		}
	}
	for name, c := range map[string]struct {
		domain string
		err    error
	}{
		"empty":                        {"", errDomainLength},
		"254 bytes":                    {strings.Repeat(label63+".", 3) + label63[:62], errDomainLength},
		"label of 64":                  {label63 + "a.net", errDomainLength},
		"one label":                    {"localhost", errDomainLabels},
		"final dot":                    {"apnic.net.", errDomainLength},
		"leading dot":                  {".apnic.net", errDomainLength},
		"two dots":                     {"apnic..net", errDomainLength},
		"upper case":                   {"APNIC.net", errDomainChars},
		"underscore":                   {"_dns.apnic.net", errDomainChars},
		"space":                        {"apnic .net", errDomainChars},
		"NUL":                          {"apnic\x00.net", errDomainChars},
		"line feed":                    {"apnic.net\n", errDomainChars},
		"wildcard":                     {"*.apnic.net", errDomainChars},
		"port":                         {"apnic.net:80", errDomainChars},
		"U-label":                      {"bücher.example", errDomainChars},
		"fullwidth dot":                {"apnic。net", errDomainLabels},
		"not UTF-8":                    {"apnic.\xff", errDomainChars},
		"leading hyphen":               {"-apnic.net", errDomainChars},
		"trailing hyphen":              {"apnic-.net", errDomainChars},
		"an address":                   {"192.0.2.1", errDomainDigits},
		"last label all digits":        {"apnic.123", errDomainDigits},
		"reserved label":               {"ab--c.example", errDomainIDN},
		"nothing encoded":              {"xn--a.example", errDomainIDN},
		"empty Punycode":               {"xn--.example", errDomainChars},
		"ASCII encoded":                {"xn--abc-.example", errDomainChars},
		"ASCII with a point below":     {"xn--a-a.example", errDomainIDN},
		"not Punycode":                 {"xn--99999999.example", errDomainIDN},
		"a digit short":                {"xn--bcher-kv.example", errDomainIDN},
		"beyond Unicode":               {"xn--99999999999999.example", errDomainIDN},
		"upper case U-label":           {"xn--BCHER-kva.example", errDomainChars},
		"decodes to upper case":        {"xn--bcher-2pa.example", errDomainIDN},
		"symbol":                       {"xn--i-7iq.ws", errDomainIDN},
		"emoji":                        {"xn--ls8h.la", errDomainIDN},
		"decodes to NFD":               {"xn--e-xbb.example", errDomainIDN},
		"zero-width joiner":            {"xn--11b2ezcw70k.example", errDomainIDN},
		"surrogate":                    {"xn--a-rc4g.example", errDomainIDN},
		"digit first, Bidi domain":     {"1com.xn--4dbrk0ce", errDomainBidi},
		"Bidi label breaks its rule":   {"xn--1a-uld.example", errDomainIDN},
		"fake A-label with delimiter":  {"xn---bcher-kva.example", errDomainIDN},
		"delimiter alone before digit": {"xn---a.example", errDomainIDN},
	} {
		if err := CheckDomain(c.domain); err != c.err {
			t.Errorf("%s: %q: %v", name, c.domain, err)
		}
		if got := DomainToUnicode(c.domain); got != c.domain {
			t.Errorf("%s: shown as %q", name, got)
		}
	}
}

// TestPunycode has the samples of RFC 3492 section 7.1 that are lower-case.
func TestPunycode(t *testing.T) {
	for u, a := range map[string]string{
		"ليهمابتكلموشعربي؟":      "egbpdaj6bu4bxfgehfvwxn",
		"他们为什么不说中文":              "ihqwcrb4cv8a8dqg056pqjye",
		"他們爲什麽不說中文":              "ihqwctvzc91f659drss3x8bo0yb",
		"למההםפשוטלאמדבריםעברית": "4dbcagdahymbxekheh6e0a7fei0b",
		"यहलोगहिन्दीक्योंनहींबोलसकतेहैं": "i1baa7eci9glrd9b2ae1bj0hfcgg6iyaf8o0a1dig0cd",
		"なぜみんな日本語を話してくれないのか":             "n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa",
		"почемужеонинеговорятпорусски":   "b1abfaaepdrnnbgefbadotcwatmq2g4l",
		"ひとつ屋根の下2":    "2-u9tlzr9756bt3uc0v",
		"そのスピードで":     "d9juau41awczczp",
		"-> $1.00 <-": "-> $1.00 <--",
		"\U0010ffff":  "dn32g",
		"a\u0080":     "a-ba",
		"세계의모든사람들이한국어를이해한다면얼마나좋을까": "989aomsvi5e83db1d2a355cv1e0vak1dwrv93d5xbh15a0dt30a5jpsd879ccm6fea98c",
	} {
		got, ok := punyEncode(u)
		if !ok {
			t.Errorf("%q is not encoded", u)
		}
		if got != a {
			t.Errorf("%q is encoded as %q, not %q", u, got, a)
		}
		if back, ok := punyDecode(got); !ok || back != u {
			t.Errorf("%q is decoded as %q", got, back)
		}
	}
	if _, ok := punyEncode(strings.Repeat("é", 64)); ok {
		t.Error("64 runes are encoded")
	}
	if _, ok := punyEncode("\xff"); ok {
		t.Error("bytes that are no UTF-8 are encoded")
	}
	for _, s := range []string{"-", "-a", "A", "é", "99999999999999", "bcher-kv", "bcher-KVA", strings.Repeat("9", 59), "~"} {
		if u, ok := punyDecode(s); ok {
			t.Errorf("%q is decoded as %q", s, u)
		}
	}
}

func TestOrigin(t *testing.T) {
	for _, s := range []string{
		"ledger.example", "ledger.example/tccm", "demo.undersigned.example/tccm", "a.b/c/d/e", "a.b/.well-known", "a.b/~x_y-z.0", "a.b/...",
		"xn--bcher-kva.example/log", "a.b/" + strings.Repeat("x", 196),
	} {
		if err := CheckOrigin(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if !validName(s) {
			t.Errorf("%s is no key name", s)
		}
		if strings.HasPrefix(s, "undersigned/") {
			t.Errorf("%s starts as an entry does", s)
		}
	}
	for name, c := range map[string]struct {
		origin string
		err    error
	}{
		"empty":             {"", errOriginLength},
		"201 bytes":         {"a.b/" + strings.Repeat("x", 197), errOriginLength},
		"an entry's header": {"undersigned/endorsement/v1", errDomainLabels},
		"one label":         {"ledger", errDomainLabels},
		"scheme":            {"https://ledger.example", errDomainLabels},
		"path alone":        {"/tccm", errDomainLength},
		"final slash":       {"ledger.example/", errOriginPath},
		"two slashes":       {"ledger.example//tccm", errOriginPath},
		"dot":               {"ledger.example/.", errOriginPath},
		"dots":              {"ledger.example/a/../b", errOriginPath},
		"upper case path":   {"ledger.example/TCCM", errOriginPath},
		"upper case domain": {"Ledger.example/tccm", errDomainChars},
		"plus":              {"ledger.example/a+b", errOriginPath},
		"space":             {"ledger.example/a b", errOriginPath},
		"per cent":          {"ledger.example/%41", errOriginPath},
		"query":             {"ledger.example/a?b", errOriginPath},
		"line feed":         {"ledger.example/a\n", errOriginPath},
		"not ASCII":         {"ledger.example/é", errOriginPath},
		"final dot":         {"ledger.example./tccm", errDomainLength},
		"port":              {"ledger.example:443/tccm", errDomainChars},
	} {
		if err := CheckOrigin(c.origin); err != c.err {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCheckDomain(f *testing.F) {
	for _, s := range []string{"apnic.net", "xn--bcher-kva.example", "xn--4dbrk0ce.org", "1.xn--4dbrk0ce", "ab--c.d", "xn--a.b", "192.0.2.1", "a..b", "xn--ll-0ea.cat", "xn--99999999999999.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		CheckOrigin(s)
		u := DomainToUnicode(s)
		if CheckDomain(s) != nil {
			if u != s {
				t.Errorf("%q is refused but shown as %q", s, u)
			}
			return
		}
		if len(s) > 253 || strings.ToLower(s) != s || !norm.NFC.IsNormalString(u) {
			t.Errorf("%q is accepted", s)
		}
		labels := strings.Split(u, ".")
		for i, label := range labels {
			if unicode15.Label(label) {
				encoded, ok := punyEncode(label)
				if !ok {
					t.Fatalf("%q cannot be encoded again", label)
				}
				labels[i] = "xn--" + encoded
			}
		}
		if again := strings.Join(labels, "."); again != s {
			t.Errorf("%q is encoded again as %q", s, again)
		}
	})
}
