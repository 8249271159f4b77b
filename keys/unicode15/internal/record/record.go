// Package record is the form of a code point's properties, shared by package unicode15 and the
// generator of its tables.
package record

// Flags are properties of a code point.
type Flags uint16

const (
	FreeText Flags = 1 << iota // may stand in free text
	PValid                     // RFC 5892
	ContextO                   // RFC 5892
	Letter                     // general category L
	Mark                       // general category M
	Number                     // general category N
	Greek                      // Script is Greek
	Hebrew                     // Script is Hebrew
	Japanese                   // Script is Hiragana, Katakana or Han
)

// The Bidi classes that RFC 5893 tells apart.
const (
	BidiL       uint8 = iota // L
	BidiR                    // R and AL
	BidiAN                   // AN
	BidiEN                   // EN
	BidiNSM                  // NSM
	BidiNeutral              // ES, CS, ET, ON and BN
)

// A Record is what the tables say about a code point, in one word: flags, Bidi class << 16, script set << 24.
// Bidi class and script set are zero where they do not matter: the one for code points that no U-label may hold,
// the other for those that free text may not.
type Record uint32

// New packs a record.
func New(f Flags, bidi, scripts uint8) Record {
	return Record(f) | Record(bidi)<<16 | Record(scripts)<<24
}

// Has reports whether the code point has one of the flags.
func (r Record) Has(f Flags) bool { return Flags(r)&f != 0 }

// Bidi returns the Bidi class.
func (r Record) Bidi() uint8 { return uint8(r >> 16) }

// Scripts returns the index of the script set.
func (r Record) Scripts() uint8 { return uint8(r >> 24) }

// Scripts is a set of scripts, with bits as the generated table says. The empty set stands for Common and
// Inherited: every script.
type Scripts [3]uint64

// The bits with a meaning of their own; Jpan, Hanb and Kore are UTS #39's writing systems that hold Han.
const (
	Latin = iota
	Jpan
	Hanb
	Kore
)

// Add puts the script of a bit into the set.
func (s *Scripts) Add(bit int) { s[bit/64] |= 1 << (bit % 64) }

// Has reports whether the set has the script of a bit.
func (s Scripts) Has(bit int) bool { return s[bit/64]&(1<<(bit%64)) != 0 }

// All reports whether the set stands for every script.
func (s Scripts) All() bool { return s == Scripts{} }

// Intersect returns the scripts in both sets; both must not stand for every script.
func (s Scripts) Intersect(o Scripts) Scripts {
	return Scripts{s[0] & o[0], s[1] & o[1], s[2] & o[2]}
}
