package main

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// module has a section before the data, the data, and one after it.
func module(all ...segment) []byte {
	data := binary.AppendUvarint(nil, uint64(len(all)))
	for _, s := range all {
		data = append(data, 0, opI32Const)
		data = append(data, signed(s.at)...)
		data = append(data, opEnd)
		data = append(binary.AppendUvarint(data, uint64(len(s.data))), s.data...)
	}
	b := []byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x07")
	b = append(b, sectionData)
	b = append(binary.AppendUvarint(b, uint64(len(data))), data...)
	return append(b, 0, 2, 1, 'x')
}

func TestJoined(t *testing.T) {
	for name, c := range map[string]struct{ from, want []byte }{
		"one":          {module(segment{7, []byte("ab")}), module(segment{7, []byte("ab")})},
		"apart":        {module(segment{0, []byte("ab")}, segment{4, []byte("c")}), module(segment{0, []byte("ab\x00\x00c")})},
		"side by side": {module(segment{64, []byte("ab")}, segment{66, []byte("c")}), module(segment{64, []byte("abc")})},
		"far":          {module(segment{63, []byte("a")}, segment{200, []byte("b")}), module(segment{63, slices.Concat([]byte("a"), make([]byte, 136), []byte("b"))})},
		"backwards":    {module(segment{8, []byte("ab")}, segment{2, []byte("c")}), module(segment{2, []byte("c\x00\x00\x00\x00\x00ab")})},
		"no data":      {[]byte("\x00asm\x01\x00\x00\x00"), []byte("\x00asm\x01\x00\x00\x00")},
	} {
		if got, err := joined(c.from); err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
		if again, err := joined(c.want); err != nil || !bytes.Equal(again, c.want) {
			t.Errorf("%s, again: %x, %v", name, again, err)
		}
	}
	good := module(segment{8, []byte("ab")}, segment{16, []byte("c")})
	for name, b := range map[string][]byte{
		"empty":      nil,
		"other":      []byte("#!/bin/sh\n"),
		"no end":     good[:len(good)-6],
		"overlap":    module(segment{8, []byte("ab")}, segment{9, []byte("c")}),
		"too far":    module(segment{8, []byte("ab")}, segment{maxMemory + 9, []byte("c")}),
		"counted":    append(slices.Clone(good), sectionDataCount, 1, 2),
		"passive":    bytes.Replace(good, []byte{0, opI32Const, 8}, []byte{1, opI32Const, 8}, 1),
		"negative":   bytes.Replace(good, []byte{opI32Const, 8}, []byte{opI32Const, 0x48}, 1),
		"none":       module(),
		"not a byte": bytes.Replace(good, []byte{opI32Const, 8, opEnd, 2}, []byte{opI32Const, 8, opEnd, 99}, 1),
	} {
		if got, err := joined(b); err == nil {
			t.Errorf("%s: %x", name, got)
		}
	}
}

func FuzzJoined(f *testing.F) {
	f.Add(module(segment{8, []byte("ab")}, segment{16, []byte("c")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		once, err := joined(b)
		if err != nil {
			return
		}
		if twice, err := joined(once); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%x, then %x, %v", once, twice, err)
		}
	})
}
