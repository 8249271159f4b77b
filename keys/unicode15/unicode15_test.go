package unicode15

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/secure/bidirule"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/rangetable"

	"github.com/tccm/undersigned/keys/unicode15/internal/record"
)

// TestTablesAreGenerated holds tables.go to its generator.
func TestTablesAreGenerated(t *testing.T) {
	const ucd = "/usr/share/unicode"
	head, err := os.ReadFile(ucd + "/CaseFolding.txt")
	if err != nil || !bytes.Contains(head[:min(len(head), 80)], []byte("15.0.0")) || norm.Version != "15.0.0" {
		if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
			t.Fatal("the Unicode Character Database 15.0.0 is not in " + ucd)
		}
		t.Skip("needs the Unicode Character Database 15.0.0 in " + ucd + " (Debian's unicode-data) and a Go release of that version")
	}
	got, err := exec.Command("go", "run", "./gen", "-ucd", ucd).Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("tables.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("tables.go is not what gen writes")
	}
}

// TestTablesAgainstGo compares every code point with Go's own tables where these are of the same version.
func TestTablesAgainstGo(t *testing.T) {
	if unicode.Version != "15.0.0" || cases.UnicodeVersion != "15.0.0" {
		t.Skip("this Go release has tables of Unicode " + unicode.Version)
	}
	visible := rangetable.Merge(unicode.L, unicode.M, unicode.N, unicode.P, unicode.S)
	ignorable := rangetable.Merge(unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
	folder := cases.Fold()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		got := lookup(r)
		for _, c := range []struct {
			flag record.Flags
			want bool
		}{
			{record.Letter, unicode.Is(unicode.L, r)},
			{record.Mark, unicode.Is(unicode.M, r)},
			{record.Number, unicode.Is(unicode.N, r)},
			{record.FreeText, r == ' ' || unicode.Is(visible, r) && !unicode.Is(ignorable, r)},
			{record.Greek, unicode.Is(unicode.Greek, r)},
			{record.Hebrew, unicode.Is(unicode.Hebrew, r)},
			{record.Japanese, unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han)},
		} {
			if got.Has(c.flag) != c.want {
				t.Errorf("%U: flag %#x is %v", r, c.flag, !c.want)
			}
		}
		if !utf8.ValidRune(r) {
			continue
		}
		// x/text takes Cherokee to its small letters; CaseFolding.txt, to its capitals.
		if s := string(r); fold(s) != folder.String(s) && !unicode.Is(unicode.Cherokee, r) {
			t.Errorf("%U folds to %+q, not %+q", r, fold(s), folder.String(s))
		}
		if got.Has(record.PValid | record.ContextO) {
			// One letter to either side tells the classes apart.
			for _, s := range []string{string(r), "a" + string(r) + "a", "א" + string(r), "١" + string(r), "א١" + string(r), "א1" + string(r)} {
				if rtl := bidirule.DirectionString(s) != 0; RightToLeft(s) != rtl {
					t.Errorf("RightToLeft(%+q) = %v", s, !rtl)
				} else if rtl && BidiRule(s) != bidirule.ValidString(s) {
					t.Errorf("BidiRule(%+q) = %v", s, BidiRule(s))
				}
			}
		}
	}
}

func TestLookupBounds(t *testing.T) {
	for _, r := range []rune{-1, -1 << 31, unicode.MaxRune + 1, 1<<31 - 1, 0xd800, 0xfffe, 0x378} {
		if lookup(r) != 0 {
			t.Errorf("%#x has properties", r)
		}
	}
	if !lookup('a').Has(record.Letter) || !lookup(0x2fa1d).Has(record.Letter) {
		t.Error("ends of the table")
	}
}

func TestFreeText(t *testing.T) {
	for _, s := range []string{
		"APNIC", "Verisign, Inc.", "日本レジストリサービス", "中国互联网络信息中心", "Nominet UK & friends",
		"Internet Systems Consortium (ISC)", "é", "ÆØÅ – “dash”", "🏛", "ไทย", "नमस्ते", "اتحاد",
	} {
		if !FreeText(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for name, s := range map[string]string{
		"empty":                 "",
		"space alone":           " ",
		"leading space":         " a",
		"trailing space":        "a ",
		"doubled space":         "a  b",
		"invalid UTF-8":         "a\xff",
		"encoded surrogate":     "a\xed\xa0\x80",
		"overlong":              "a\xc0\xaf",
		"not NFC":               "e\u0301",
		"not NFC, singleton":    "\u212b",
		"not NFC, wrong order":  "a\u0315\u0300",
		"NUL":                   "a\x00",
		"tab":                   "a\tb",
		"line feed":             "a\nb",
		"carriage return":       "a\rb",
		"C1 control":            "a\u0085b",
		"no-break space":        "a\u00a0b",
		"ideographic space":     "a\u3000b",
		"line separator":        "a\u2028b",
		"paragraph separator":   "a\u2029b",
		"soft hyphen":           "a\u00adb",
		"zero-width space":      "a\u200bb",
		"zero-width joiner":     "a\u200db",
		"word joiner":           "a\u2060b",
		"BOM":                   "\ufeffa",
		"right-to-left mark":    "a\u200fb",
		"right-to-left overr.":  "a\u202eb",
		"isolate":               "a\u2066b",
		"tag":                   "a\U000e0061",
		"private use":           "a\ue000",
		"noncharacter":          "a\ufffe",
		"unassigned":            "a\u0378",
		"assigned after 15.0":   "a\U00016105",
		"variation selector":    "a\ufe0f",
		"Hangul filler":         "a\u3164",
		"combining joiner":      "a\u034f",
		"Mongolian vowel separ": "a\u180eb",
	} {
		if FreeText(s) {
			t.Errorf("%s: %+q is accepted", name, s)
		}
	}
}

func TestHasLetter(t *testing.T) {
	if !HasLetter("1a") || !HasLetter("日") || HasLetter("") || HasLetter("1 ¼ – \u0301 \xff") {
		t.Error("wrong")
	}
}

func TestPValid(t *testing.T) {
	for _, r := range "az09-ßςàа日क์۽" {
		if !PValid(r) {
			t.Errorf("%U is refused", r)
		}
	}
	for _, r := range []rune{-1, 'A', 'Z', '_', '.', ' ', 'À', 0xb7, 0x200c, 0x200d, 0x660, 0x6f0, 0x640, 0xff41, 0xfb01, 0x2460, 0x1100, 0x20d0, 0x378, 0xd800, 0xfdd0, 0x2f, 0x30fb, 0x3164, 0x110000} {
		if PValid(r) {
			t.Errorf("%U is accepted", r)
		}
	}
}

func TestLabel(t *testing.T) {
	for _, s := range []string{
		"bücher", "faß", "例え", "l·l", "͵α", "א׳", "א״א", "ア・イ", "・ー日", "ب٠", "پ۰۱", "ไทย", "क्ष", "δοκιμή", "испытание", "مثال", "x-é", "é-x",
	} {
		if !Label(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for name, s := range map[string]string{
		"empty":                    "",
		"ASCII":                    "abc",
		"invalid UTF-8":            "é\xff",
		"upper case":               "É",
		"dot":                      "é.é",
		"not NFC":                  "e\u0301a",
		"mark in front":            "\u0301é",
		"leading hyphen":           "-é",
		"trailing hyphen":          "é-",
		"hyphens in 3 and 4":       "éa--b",
		"fullwidth":                "ａé",
		"zero-width joiner":        "क्\u200dष",
		"zero-width non-joiner":    "é\u200cé",
		"middle dot in front":      "·l",
		"middle dot at the end":    "él·",
		"middle dot elsewhere":     "é·l",
		"keraia before Latin":      "͵a",
		"keraia at the end":        "α͵",
		"geresh in front":          "׳א",
		"gershayim after Latin":    "é״",
		"katakana middle dot":      "é・é",
		"two kinds of digits":      "ب٠۰",
		"two kinds, other order":   "ب۰٠",
		"RTL starts with digit":    "1א",
		"RTL with Latin":           "אa",
		"RTL ends with hyphen dig": "א-",
		"RTL with AN and EN":       "א1٠",
		"LTR with RTL":             "aא",
		"LTR with AN":              "é٠",
	} {
		if Label(s) {
			t.Errorf("%s: %+q is accepted", name, s)
		}
	}
	for label, want := range map[string]bool{"com": true, "c0-m1": true, "1com": false, "a-": false, "": false, "א": true, "אa": false, "a\u0301": true, "א\u05b0": true} {
		if BidiRule(label) != want {
			t.Errorf("BidiRule(%+q) = %v", label, !want)
		}
	}
}

func meet(s, t string) bool {
	a, b := Skeletons(s), Skeletons(t)
	return a[0] == b[0] || a[1] == b[1]
}

// TestPlainSkeletons holds the short way for ASCII to the one for all strings.
func TestPlainSkeletons(t *testing.T) {
	check := func(s string) {
		if got, want := Skeletons(s), skeletons(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	check("")
	for a := range byte(utf8.RuneSelf) {
		for b := range byte(utf8.RuneSelf) {
			check(string([]byte{a, b}))
			check(string([]byte{'x', b, a, b, a, a}))
		}
	}
}

func TestSkeletons(t *testing.T) {
	for _, pair := range [][2]string{
		{"APNIC", "apnic"},
		{"apnic", "аpnic"}, // Cyrillic а
		{"apnic", "арnіс"}, // Cyrillic а, р, і, с
		{"APNIC", "АРΝІС"}, // Cyrillic and Greek capitals
		{"apnic", "ａｐｎｉｃ"}, // fullwidth
		{"apnic", "𝐚𝐩𝐧𝐢𝐜"}, // mathematical
		{"apnic", "ap nic"},
		{"apnic", "ap-nic"},
		{"ap.nic", "ap-nic"},
		{"Verisign, Inc.", "verisign inc"},
		{"modern", "rnodern"},
		{"Modern", "rnodern"},
		{"verisign", "verіsign"}, // Ukrainian і
		{"lll", "l1I"},
		{"Il1|", "llll"},
		{"DENIC", "DENlC"},
		{"denic", "DENIC"},
		{"0nIon", "onion"},
		{"O0o", "000"},
		{"sidn", "ѕіdn"},
		{"cira", "cirа\u200b"},
		{"cira", "c\u202eira"},
		{"cira", "c\u00adira\ufe0f"},
		{"cira", "c\u3164ira"},
		{"strasse", "straße"},
		{"σας", "ΣΑΣ"},
		{"é", "e\u0301"},
		{"ﬁnland", "finland"},
		{"ⅻ", "xii"},
	} {
		if !meet(pair[0], pair[1]) {
			t.Errorf("%+q %+q, %+q %+q do not meet", pair[0], Skeletons(pair[0]), pair[1], Skeletons(pair[1]))
		}
	}
	for _, pair := range [][2]string{
		{"apnic", "afnic"}, {"ripe", "arin"}, {"nic.at", "nic.uk"}, {"日本", "日木"}, {"isoc", "isc"}, {"é", "e"}, {"denic", "denics"},
	} {
		if meet(pair[0], pair[1]) {
			t.Errorf("%+q and %+q meet", pair[0], pair[1])
		}
	}
	for _, s := range []string{"", "-.– ", "\xff", "\u200b", "\U0010ffff", "\ue000"} {
		if got := Skeletons(s); got != [2]string{} {
			t.Errorf("Skeletons(%+q) = %+q", s, got)
		}
	}
}

// TestPrototypesAreFinal says that a skeleton's skeleton is itself, as UTS #39 means it.
func TestPrototypesAreFinal(t *testing.T) {
	for i := range prototypesFrom {
		p := prototypesText[prototypesAt[i]:prototypesAt[i+1]]
		if prototypesFrom[i] == 0x48b {
			continue // UTS #39 15.0 itself stops half way
		}
		if again := skeleton(p); again != norm.NFD.String(p) {
			t.Errorf("%U: %+q goes on to %+q", prototypesFrom[i], p, again)
		}
	}
	if !slices.IsSorted(prototypesFrom[:]) || !slices.IsSorted(foldingFrom[:]) || !slices.IsSorted(runs[:]) {
		t.Error("a table is not sorted")
	}
}

func TestMixedScripts(t *testing.T) {
	for _, s := range []string{
		"", "apnic", "APNIC Pty Ltd", "日本レジストリサービス", "JPRSのサービス", "中国 CNNIC", "ㄅ文a", "한국인터넷진흥원 KISA한", "漢字한글Latin",
		"Яндекс", "Яндекс Yandex", "Яндекс.Market", "Реестр/Registry", "δοκιμή", "ไทย 1", "123", "مثال 2024", "पंच१", "café", "x-1", "ー",
		"cafe\u0301", "कᳵ", "日々", "O’Reilly", "Коб'юк",
	} {
		if MixedScripts(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{
		"аpnic", "APNIС", "good аpnic", "аpnic good", "αpnic", "яндекc", "日本Реестр", "ひらㄅ", "カ한", "ไทยa", "Х-Bank", "d'Аrtagnan", "יא-latin", "ひa한", "αж",
	} {
		if !MixedScripts(s) {
			t.Errorf("%+q is accepted", s)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "APNIC", "аpnic", "e\u0301", "l·l", "אa", "ａ", "\xff", "Å", "日本レ", "İ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		MixedScripts(s)
		HasLetter(s)
		RightToLeft(s)
		BidiRule(s)
		if FreeText(s) && (!utf8.ValidString(s) || !norm.NFC.IsNormalString(s) || strings.TrimSpace(s) != s) {
			t.Errorf("FreeText accepts %+q", s)
		}
		if Label(s) && (!utf8.ValidString(s) || !norm.NFC.IsNormalString(s) || norm.NFKC.String(fold(norm.NFKC.String(s))) != s && !strings.ContainsAny(s, "ßς")) {
			t.Errorf("Label accepts %+q", s)
		}
		a, b := Skeletons(s), Skeletons(fold(s))
		if utf8.ValidString(s) && a[1] != b[1] && norm.NFKC.String(fold(s)) == fold(norm.NFKC.String(s)) {
			t.Errorf("%+q does not meet its folded form", s)
		}
	})
}

func BenchmarkSkeletons(b *testing.B) {
	for b.Loop() {
		Skeletons("Internet Corporation for Assigned Names and Numbers")
	}
}

func TestSkeleton(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"Internet", "lnternet", true},
		{"Internet", "internet", false},
		{"paypal", "p\u0430yp\u0430l", true},
		{";", "\u037e", true}, // Greek question mark
		{"a;b", "a\u037eb", true},
		{"a.b", "ab", false},
		{"file", "\ufb01le", true},
	} {
		if got := Skeleton(c.a) == Skeleton(c.b); got != c.same {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
	for _, c := range []struct {
		r             rune
		visible, word bool
	}{{'a', true, true}, {' ', true, false}, {'7', true, true}, {'\u0301', true, true}, {'\u200b', false, false}, {'\u3164', false, true}, {'\ue000', false, false}, {'\n', false, false}, {-1, false, false}} {
		if Visible(c.r) != c.visible || InWord(c.r) != c.word {
			t.Errorf("%U: %v %v", c.r, Visible(c.r), InWord(c.r))
		}
	}
}
