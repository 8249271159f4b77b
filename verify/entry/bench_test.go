package entry

import "testing"

// What admission pays for: an endorsement by one key, with one rendition.
func benchEntry(b *testing.B) *Entry {
	e := example(b).entries[4]
	b.ReportAllocs()
	return e
}

func BenchmarkParse(b *testing.B) {
	data := benchEntry(b).Bytes()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseLeaf(b *testing.B) {
	data := (&Leaf{Admitted: example(b).leaf.Admitted, Entry: benchEntry(b)}).Bytes()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := ParseLeaf(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBytes(b *testing.B) {
	e := benchEntry(b)
	for b.Loop() {
		e.Bytes()
	}
}

func BenchmarkID(b *testing.B) {
	e := benchEntry(b)
	for b.Loop() {
		e.ID()
	}
}
