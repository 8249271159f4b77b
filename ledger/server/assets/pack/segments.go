package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// WebAssembly Core Specification 1.0, section 5.5.
const (
	sectionData      = 11
	sectionDataCount = 12
	opI32Const       = 0x41
	opEnd            = 0x0b
)

// maxMemory bounds the data that a module may bring, in bytes.
const maxMemory = 64 << 20

var errModule = errors.New("this is no module as Go's linker makes them")

// joined returns the module with all its data in one segment, zeros between what was apart. Go's linker leaves the zeros out, in
// a hundred thousand segments; the place that each of them names packs badly, which zeros do not. What is in the memory at the start is the same.
func joined(module []byte) ([]byte, error) {
	if len(module) < 8 || binary.LittleEndian.Uint64(module) != 0x1_6d73_6100 {
		return nil, errModule
	}
	out := slices.Clone(module[:8])
	for rest := module[8:]; len(rest) > 0; {
		id := rest[0]
		body, after, ok := vector(rest[1:])
		switch {
		case !ok || id == sectionDataCount:
			return nil, errModule
		case id != sectionData:
			out = append(out, rest[:len(rest)-len(after)]...)
			rest = after
			continue
		}
		start, memory, ok := segments(body)
		if !ok {
			return nil, errModule
		}
		data := append([]byte{1, 0, opI32Const}, signed(start)...) // one segment, in memory 0
		data = append(data, opEnd)
		data = binary.AppendUvarint(data, uint64(len(memory)))
		data = append(data, memory...)
		out = append(out, sectionData)
		out = binary.AppendUvarint(out, uint64(len(data)))
		out = append(out, data...)
		rest = after
	}
	return out, nil
}

// A segment is data that stands in the memory at the start.
type segment struct {
	at   int64
	data []byte
}

// segments reads a data section: where its data begins, and what is there from then on.
func segments(body []byte) (start int64, memory []byte, ok bool) {
	count, n := binary.Uvarint(body)
	if n <= 0 || count == 0 || count > uint64(len(body)) {
		return 0, nil, false
	}
	body = body[n:]
	all := make([]segment, count)
	for i := range all {
		var head []byte
		if head, ok = bytes.CutPrefix(body, []byte{0, opI32Const}); !ok {
			return 0, nil, false
		}
		at, n := signedAt(head)
		if n <= 0 || n >= len(head) || head[n] != opEnd {
			return 0, nil, false
		}
		all[i].at = at
		if all[i].data, body, ok = vector(head[n+1:]); !ok {
			return 0, nil, false
		}
	}
	slices.SortStableFunc(all, func(a, b segment) int { return cmp.Compare(a.at, b.at) })
	start = all[0].at
	for _, s := range all {
		end := start + int64(len(memory))
		if s.at < end || s.at-start > maxMemory {
			return 0, nil, false
		}
		memory = append(memory, make([]byte, s.at-end)...)
		memory = append(memory, s.data...)
	}
	return start, memory, len(body) == 0
}

// vector cuts off bytes that stand behind their number.
func vector(b []byte) (v, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(size)], b[n+int(size):], true
}

// signedAt reads a signed LEB128 number that is not negative, and how many bytes it has; 0: there is none.
func signedAt(b []byte) (v int64, n int) {
	u, n := binary.Uvarint(b)
	if n <= 0 || n > 5 || b[n-1]&0x40 != 0 {
		return 0, 0
	}
	return int64(u), n
}

// signed is a number that is not negative as signed LEB128: the sixth bit of its last byte is its sign.
func signed(v int64) []byte {
	b := binary.AppendUvarint(nil, uint64(v))
	if last := len(b) - 1; b[last]&0x40 != 0 {
		b[last] |= 0x80
		b = append(b, 0)
	}
	return b
}
