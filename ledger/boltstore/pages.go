package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/tccm/undersigned/ledger"
)

// Inspect opens the store in a directory for reading, without bbolt: what it returns reads each
// byte from the file itself, so that a damaged file can neither crash nor hang it. The flaws are
// those of the file's pages; what ledger.Check finds in commits and objects comes on top.
//
// Between the two every bit is checked that is in use: both meta pages; the list of free pages;
// of each page that is reached from the current meta page the header, the elements, the keys and
// the values. Each field must be what bbolt would have written: a page's own number, its kind,
// its length to the byte, keys in order and equal to what the page above says, elements without
// gaps, no page reached twice, none that is neither reached nor free. Not in use, and not
// checked, are the rest of a page after its last element, free pages, and the file's end.
//
// A meta page that is damaged is a flaw even though bbolt then takes the other one: that is the
// record as it was one transaction earlier.
func Inspect(dir string) (ledger.Store, []ledger.Flaw, error) {
	p, err := openPages(dir)
	if err != nil {
		return nil, nil, err
	}
	return p, p.flaws, nil
}

// bbolt's file format, version 2. Numbers are in the byte order of the machine.
//
//	page     uint64 number, uint16 kind, uint16 count, uint32 overflow (pages that follow and belong to it)
//	meta     page, then uint32 magic, version, page size, flags; bucket root; uint64 list of free
//	         pages, number of pages, transaction, FNV-1a over the 56 bytes before; zeros
//	branch   page, count × (uint32 key at, key length, uint64 page), keys
//	leaf     page, count × (uint32 flags, key at, key length, value length), keys and values
//	free     page, count × uint64 page; if count is 0xffff the first is the count
//	bucket   uint64 page, uint64 sequence; if page is 0 a leaf page follows inline
//
// "at" counts from the element itself.
const (
	headerSize  = 16
	elementSize = 16
	bucketSize  = 16
	metaSize    = 64

	kindBranch = 0x01
	kindLeaf   = 0x02
	kindMeta   = 0x04
	kindFree   = 0x10

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	bucketFlag  = 1
	maxDepth    = 32
	maxKey      = 32768
)

var order = binary.NativeEndian

// pages reads the file and is a ledger.Store for what it found there.
type pages struct {
	file     *os.File
	path     string
	pageSize int
	count    uint64 // pages in use, or free: the high water mark
	free     uint64 // pages that are free
	seen     []bool // by page number
	flaws    []ledger.Flaw

	commits []span // in order
	objects map[string]span
	paths   []string // in order
}

// span is a value in the file.
type span struct {
	key    uint64 // of a commit
	at     int64
	length int
}

// openPages opens, locks and checks the file in a directory.
func openPages(dir string) (*pages, error) { return openFile(filepath.Join(dir, File)) }

// openFile opens, locks and checks a file.
func openFile(path string) (*pages, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := lockShared(f); err != nil {
		f.Close()
		if errors.Is(err, ledger.ErrInUse) {
			return nil, inUse(filepath.Dir(path))
		}
		return nil, err
	}
	p := &pages{file: f, path: path, objects: make(map[string]span)}
	p.check()
	return p, nil
}

func (p *pages) flaw(page uint64, format string, args ...any) {
	if len(p.flaws) < 1000 {
		p.flaws = append(p.flaws, ledger.Flaw{Where: fmt.Sprintf("page %d", page), Problem: fmt.Sprintf(format, args...)})
	}
}

// read returns n bytes of the file, or nil if they are not there.
func (p *pages) read(at int64, n int) []byte {
	b := make([]byte, n)
	if _, err := p.file.ReadAt(b, at); err != nil {
		return nil
	}
	return b
}

// meta is what a meta page says.
type meta struct {
	pageSize uint32
	root     uint64
	free     uint64
	count    uint64
	tx       uint64
}

// readMeta returns the meta page at an offset, or false if it is not one to the last bit.
func (p *pages) readMeta(number uint64, at int64) (m meta, ok bool) {
	if m, ok = parseMeta(p.read(at, headerSize+metaSize), number); !ok {
		return m, false
	}
	rest := p.read(at+headerSize+metaSize, int(m.pageSize)-headerSize-metaSize)
	return m, rest != nil && len(bytes.Trim(rest, "\x00")) == 0
}

// parseMeta reads what is in use of a meta page; false if it is not one to the last bit.
func parseMeta(b []byte, number uint64) (m meta, ok bool) {
	if len(b) != headerSize+metaSize {
		return m, false
	}
	h, body := b[:headerSize], b[headerSize:]
	m = meta{order.Uint32(body[8:]), order.Uint64(body[16:]), order.Uint64(body[32:]), order.Uint64(body[40:]), order.Uint64(body[48:])}
	sum := fnv.New64a()
	sum.Write(body[:metaSize-8])
	if order.Uint64(h) != number || order.Uint16(h[8:]) != kindMeta || order.Uint16(h[10:]) != 0 || order.Uint32(h[12:]) != 0 ||
		order.Uint32(body) != metaMagic || order.Uint32(body[4:]) != metaVersion || order.Uint64(body[56:]) != sum.Sum64() {
		return m, false
	}
	return m, m.pageSize >= 1024 && m.pageSize <= 1<<24 && m.pageSize&(m.pageSize-1) == 0
}

// check checks every page in use and collects what is in the buckets.
func (p *pages) check() {
	info, err := p.file.Stat()
	if err != nil {
		p.flaw(0, "%v", err)
		return
	}
	m, ok := p.readMeta(0, 0)
	if !ok {
		p.flaw(0, "the meta page is damaged")
		// The other one tells its place itself.
		for size := int64(1024); size <= 1<<24; size *= 2 {
			if m, ok = p.readMeta(1, size); ok && int64(m.pageSize) == size {
				break
			}
			ok = false
		}
		if !ok {
			p.flaw(1, "the meta page is damaged")
			return
		}
	} else if other, ok := p.readMeta(1, int64(m.pageSize)); !ok || other.pageSize != m.pageSize {
		p.flaw(1, "the meta page is damaged")
	} else if other.tx > m.tx {
		m = other
	}
	p.pageSize, p.count = int(m.pageSize), m.count
	if p.count < 4 || p.count > uint64(info.Size())/uint64(p.pageSize) {
		p.flaw(0, "the file is shorter than its meta page says")
		return
	}
	p.seen = make([]bool, p.count)
	p.seen[0], p.seen[1] = true, true
	buckets := make(map[string]span)
	p.walk(m.root, nil, nil, 0, func(key []byte, flags uint32, value span) {
		if _, twice := buckets[string(key)]; flags != bucketFlag || twice || value.length < bucketSize {
			p.flaw(m.root, "there is something else than the two buckets")
			return
		}
		buckets[string(key)] = value
	})
	commits, hasCommits := buckets[string(commitBucket)]
	objs, hasObjs := buckets[string(objBucket)]
	if !hasCommits || !hasObjs || len(buckets) != 2 {
		p.flaw(m.root, "there are not the two buckets")
	}
	p.bucket(m.root, commits, func(key []byte, value span) {
		if len(key) != 8 {
			p.flaw(m.root, "a commit's number has not 8 bytes")
			return
		}
		value.key = binary.BigEndian.Uint64(key)
		p.commits = append(p.commits, value)
	})
	p.bucket(m.root, objs, func(key []byte, value span) {
		p.objects[string(key)] = value
		p.paths = append(p.paths, string(key))
	})
	p.freelist(m.free)
	for number, seen := range p.seen {
		if !seen {
			p.flaw(uint64(number), "it is neither in use nor free")
		}
	}
}

// walk goes through a tree of pages in the order of keys and calls f with each element of its
// leaves. The first key must be first, if given, and all lie before next, if given.
func (p *pages) walk(number uint64, first, next []byte, depth int, f func(key []byte, flags uint32, value span)) {
	if number < 2 || number >= p.count {
		p.flaw(number, "a page points to it, but there is none with this number")
		return
	}
	if depth > maxDepth {
		p.flaw(number, "the tree of pages is too deep")
		return
	}
	at := int64(number) * int64(p.pageSize)
	b := p.read(at, p.pageSize)
	if b == nil {
		p.flaw(number, "it cannot be read")
		return
	}
	kind, count, overflow := order.Uint16(b[8:]), int(order.Uint16(b[10:])), uint64(order.Uint32(b[12:]))
	if order.Uint64(b) != number {
		p.flaw(number, "it says that it is another page")
	}
	if kind != kindLeaf && kind != kindBranch {
		p.flaw(number, "it is neither a branch nor a leaf")
		return
	}
	if overflow >= p.count-number {
		p.flaw(number, "it says that it goes on beyond the file")
		return
	}
	if !p.mark(number, overflow) {
		return
	}
	elements, end := p.elements(at, b, int64(overflow+1)*int64(p.pageSize), kind, count)
	if elements == nil || int64(overflow) != (end-1)/int64(p.pageSize) {
		p.flaw(number, "its elements do not lie in it as they must")
		return
	}
	for i, e := range elements {
		if i == 0 && first != nil && !bytes.Equal(e.key, first) || i > 0 && bytes.Compare(elements[i-1].key, e.key) >= 0 || next != nil && bytes.Compare(e.key, next) >= 0 {
			p.flaw(number, "its keys are not in order, or not those that the page above says")
		}
	}
	for i, e := range elements {
		if kind == kindLeaf {
			f(e.key, e.flags, e.value)
			continue
		}
		after := next
		if i+1 < len(elements) {
			after = elements[i+1].key
		}
		p.walk(e.page, e.key, after, depth+1, f)
	}
}

// mark marks a page and those that belong to it as seen, and reports one that was already.
func (p *pages) mark(number, overflow uint64) bool {
	for n := number; n <= number+overflow; n++ {
		if p.seen[n] {
			p.flaw(n, "it is used twice")
			return false
		}
	}
	for n := number; n <= number+overflow; n++ {
		p.seen[n] = true
	}
	return true
}

type element struct {
	key   []byte
	flags uint32 // leaf
	value span   // leaf
	page  uint64 // branch
}

// elements reads the elements of a page that begins at an offset of the file and has size bytes,
// the first of which are b. It returns nil if one of them is not right behind the one before,
// or there is none, and where the last one ends.
func (p *pages) elements(at int64, b []byte, size int64, kind uint16, count int) (es []element, end int64) {
	end = headerSize + int64(count)*elementSize
	if count == 0 || end > size {
		return nil, 0
	}
	if end > int64(len(b)) {
		if b = p.read(at, int(end)); b == nil {
			return nil, 0
		}
	}
	es = make([]element, count)
	for i := range es {
		start := headerSize + int64(i)*elementSize
		h := b[start:][:elementSize]
		var pos, keyLen, valueLen uint32
		if kind == kindLeaf {
			es[i].flags, pos, keyLen, valueLen = order.Uint32(h), order.Uint32(h[4:]), order.Uint32(h[8:]), order.Uint32(h[12:])
		} else {
			pos, keyLen, es[i].page = order.Uint32(h), order.Uint32(h[4:]), order.Uint64(h[8:])
		}
		if start+int64(pos) != end || keyLen == 0 || keyLen > maxKey || end+int64(keyLen)+int64(valueLen) > size {
			return nil, 0
		}
		if end+int64(keyLen) <= int64(len(b)) {
			es[i].key = b[end:][:keyLen:keyLen]
		} else if es[i].key = p.read(at+end, int(keyLen)); es[i].key == nil {
			return nil, 0
		}
		end += int64(keyLen)
		es[i].value = span{at: at + end, length: int(valueLen)}
		end += int64(valueLen)
	}
	return es, end
}

// bucket calls f with each element of a bucket, whose value is in the root bucket, on page number.
func (p *pages) bucket(number uint64, bucket span, f func(key []byte, value span)) {
	if bucket.length == 0 {
		return
	}
	plain := func(key []byte, flags uint32, value span) {
		if flags != 0 {
			p.flaw(number, "there is a bucket within a bucket")
			return
		}
		f(key, value)
	}
	v := p.read(bucket.at, bucket.length)
	if v == nil || order.Uint64(v[8:]) != 0 {
		p.flaw(number, "a bucket is not as it must be")
		return
	}
	if root := order.Uint64(v); root != 0 {
		if len(v) != bucketSize {
			p.flaw(number, "a bucket is not as it must be")
		}
		p.walk(root, nil, nil, 0, plain)
		return
	}
	// A small bucket is a leaf page within the value, to its end.
	page := v[bucketSize:]
	if len(page) < headerSize || order.Uint64(page) != 0 || order.Uint16(page[8:]) != kindLeaf || order.Uint32(page[12:]) != 0 {
		p.flaw(number, "a bucket is not as it must be")
		return
	}
	count := int(order.Uint16(page[10:]))
	if count == 0 && len(page) == headerSize {
		return
	}
	es, end := p.elements(bucket.at+bucketSize, page, int64(len(page)), kindLeaf, count)
	if es == nil || end != int64(len(page)) {
		p.flaw(number, "the elements of a bucket do not lie in it as they must")
		return
	}
	for i, e := range es {
		if i > 0 && bytes.Compare(es[i-1].key, e.key) >= 0 {
			p.flaw(number, "the keys of a bucket are not in order")
		}
		plain(e.key, e.flags, e.value)
	}
}

// freelist checks the list of free pages and marks them.
func (p *pages) freelist(number uint64) {
	if number < 2 || number >= p.count {
		p.flaw(number, "it should be the list of free pages, but there is none with this number")
		return
	}
	at := int64(number) * int64(p.pageSize)
	h := p.read(at, headerSize+8)
	if h == nil {
		p.flaw(number, "it cannot be read")
		return
	}
	count, overflow := uint64(order.Uint16(h[10:])), uint64(order.Uint32(h[12:]))
	if order.Uint64(h) != number || order.Uint16(h[8:]) != kindFree || overflow >= p.count-number {
		p.flaw(number, "it is not the list of free pages that it must be")
		return
	}
	if !p.mark(number, overflow) {
		return
	}
	at += headerSize
	room := (overflow+1)*uint64(p.pageSize) - headerSize
	if count == 0xffff {
		count = order.Uint64(h[headerSize:])
		at, room = at+8, room-8
	}
	if count > room/8 || count > p.count {
		p.flaw(number, "the list of free pages is longer than its page")
		return
	}
	ids := p.read(at, int(count)*8)
	if ids == nil {
		p.flaw(number, "it cannot be read")
		return
	}
	last := uint64(1)
	for ; len(ids) > 0; ids = ids[8:] {
		id := order.Uint64(ids)
		if id <= last || id >= p.count {
			p.flaw(number, "the list of free pages is not in order")
			return
		}
		last = id
		if p.mark(id, 0) {
			p.free++
		}
	}
}

// value reads a value.
func (p *pages) value(s span) ([]byte, error) {
	b := p.read(s.at, s.length)
	if b == nil {
		return nil, fmt.Errorf("%s: %w", p.path, ledger.ErrCorrupt)
	}
	return b, nil
}

func (p *pages) Last(context.Context) (uint64, error) {
	if len(p.commits) == 0 {
		return 0, nil
	}
	return p.commits[len(p.commits)-1].key, nil
}

func (p *pages) Read(ctx context.Context, seq uint64) ([]byte, error) {
	i := sort.Search(len(p.commits), func(i int) bool { return p.commits[i].key >= seq })
	if i == len(p.commits) || p.commits[i].key != seq {
		return nil, fs.ErrNotExist
	}
	return p.value(p.commits[i])
}

func (p *pages) Get(ctx context.Context, path string) ([]byte, error) {
	s, ok := p.objects[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	v, err := p.value(s)
	if err != nil {
		return nil, err
	}
	return unseal(path, v)
}

func (p *pages) List(ctx context.Context, prefix string) ([]string, error) {
	var paths []string
	for _, path := range p.paths {
		if strings.HasPrefix(path, prefix) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

func (p *pages) Room(context.Context, int) error { return ledger.ErrReadOnly }
func (p *pages) Create(context.Context, uint64, []byte, ...ledger.Object) error {
	return ledger.ErrReadOnly
}
func (p *pages) Put(context.Context, ...ledger.Object) error   { return ledger.ErrReadOnly }
func (p *pages) Delete(ctx context.Context, path string) error { return ledger.ErrReadOnly }
func (p *pages) Close() error                                  { return p.file.Close() }
