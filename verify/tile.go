package verify

import (
	"context"
	"encoding/binary"
	"iter"
	"strconv"
	"strings"
)

const (
	// TileWidth is the number of hashes in a full tile, and of entries in a full entry bundle.
	TileWidth = 256
	// HashSize is the number of bytes of a hash in a tile.
	HashSize = 32
	// MaxEntry bounds an entry in a bundle: its length is a uint16.
	MaxEntry = 65535
	// MaxBundle bounds a whole entry bundle, in bytes.
	MaxBundle = TileWidth * (2 + MaxEntry)

	tileHeight = 8
	maxLevel   = 63
	// maxTileIndex keeps the first leaf of a level-0 tile within MaxSize.
	maxTileIndex = MaxSize / TileWidth
)

// Fetch returns the bytes at a path below a ledger's URL, such as "checkpoint" or
// "tile/0/000". It returns an error that is fs.ErrNotExist where there is nothing, and never
// more bytes than FetchLimit(path) allows. What it returns is not trusted.
type Fetch func(ctx context.Context, path string) ([]byte, error)

// FetchLimit returns the most bytes that the resource at a ledger's path can have, for a
// Fetch to stop at.
func FetchLimit(path string) int64 {
	switch {
	case strings.HasPrefix(path, "tile/entries/"):
		return MaxBundle
	case strings.HasPrefix(path, "tile/"):
		return TileWidth * HashSize
	case strings.HasPrefix(path, "blobs/"):
		return MaxBlob
	}
	return MaxNote
}

// MaxBlob bounds the text of a statement or a rendition, in bytes.
const MaxBlob = 16 << 20

// Tile names a tile or an entry bundle of tlog-tiles.
type Tile struct {
	Level int    // 0 to 63; -1 for an entry bundle
	Index uint64 // within the level, from 0
	Width int    // 1 to 256 hashes or entries; 256 is a full tile
}

// Path returns the tile's path below the ledger's URL: "tile/0/x001/x234/067.p/8", or
// "tile/entries/000" for a bundle.
func (t Tile) Path() string {
	b := append(make([]byte, 0, 64), "tile/"...)
	if t.Level < 0 {
		b = append(b, "entries"...)
	} else {
		b = strconv.AppendInt(b, int64(t.Level), 10)
	}
	digits := strconv.FormatUint(t.Index, 10)
	digits = strings.Repeat("0", (3-len(digits)%3)%3) + digits
	for i := 0; i < len(digits); i += 3 {
		b = append(b, '/')
		if i+3 < len(digits) {
			b = append(b, 'x')
		}
		b = append(b, digits[i:i+3]...)
	}
	if t.Width < TileWidth {
		b = append(b, ".p/"...)
		b = strconv.AppendInt(b, int64(t.Width), 10)
	}
	return string(b)
}

// ParseTilePath parses what Tile.Path prints and nothing else: a level of 0 to 63 or
// "entries", an index in groups of three digits, for partial tiles a width of 1 to 255, and no
// extra zeros anywhere (tlog-tiles, "Merkle Tree"). An index beyond the leaf 2^63-1 is refused.
// Errors are *FormatError.
func ParseTilePath(path string) (Tile, error) {
	bad := malformed(whatTilePath, 0, "it is not tile/<level>/<index>, with .p/<width> if partial")
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(rest) > 64 {
		return Tile{}, bad
	}
	level, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return Tile{}, bad
	}
	t := Tile{Level: -1, Width: TileWidth}
	if level != "entries" {
		n, ok := parseDecimal(level)
		if !ok || n > maxLevel {
			return Tile{}, bad
		}
		t.Level = int(n)
	}
	if index, width, ok := strings.Cut(rest, ".p/"); ok {
		n, ok := parseDecimal(width)
		if !ok || n < 1 || n >= TileWidth {
			return Tile{}, bad
		}
		rest, t.Width = index, int(n)
	}
	groups := strings.Split(rest, "/")
	for i, g := range groups {
		if i < len(groups)-1 {
			if g, ok = strings.CutPrefix(g, "x"); !ok {
				return Tile{}, bad
			}
		}
		if len(g) != 3 || i == 0 && g == "000" && len(groups) > 1 {
			return Tile{}, bad
		}
		for j := 0; j < 3; j++ {
			if g[j] < '0' || g[j] > '9' {
				return Tile{}, bad
			}
			t.Index = t.Index*10 + uint64(g[j]-'0')
		}
		if t.Index > maxTileIndex {
			return Tile{}, bad
		}
	}
	return t, nil
}

// TilesFor yields every tile and entry bundle that fixes a tree of the given size, at most
// MaxSize: the bundles, then the tiles level by level, each in the order of their indexes with
// the partial one last. For a size of 0 it yields nothing.
func TilesFor(size uint64) iter.Seq[Tile] {
	return func(yield func(Tile) bool) {
		for level := -1; ; level++ {
			n := size >> (tileHeight * max(level, 0))
			if n == 0 {
				return
			}
			for i := range n / TileWidth {
				if !yield(Tile{level, i, TileWidth}) {
					return
				}
			}
			if w := int(n % TileWidth); w > 0 && !yield(Tile{level, n / TileWidth, w}) {
				return
			}
		}
	}
}

// TileAt returns the tile of a level (-1: the entry bundle) with an index as a tree of the given
// size has it, and false if that tree has no such tile.
func TileAt(level int, index, size uint64) (Tile, bool) {
	n := size >> (tileHeight * max(level, 0))
	if level < -1 || level > maxLevel || index > maxTileIndex || n <= index*TileWidth {
		return Tile{}, false
	}
	return Tile{level, index, int(min(TileWidth, n-index*TileWidth))}, true
}

// AppendBundleEntry appends an entry of at most MaxEntry bytes to an entry bundle: its length
// as a big-endian uint16, then its bytes (tlog-tiles, "Log entries").
func AppendBundleEntry(bundle, entry []byte) []byte {
	if len(entry) > MaxEntry {
		panic("verify: an entry of a bundle is longer than 65535 bytes")
	}
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entry)))
	return append(bundle, entry...)
}

// SplitBundle parts an entry bundle of exactly width entries (1 to 256) into its entries,
// which share the bundle's memory. Errors are *FormatError.
func SplitBundle(bundle []byte, width int) ([][]byte, error) {
	if width < 1 || width > TileWidth {
		return nil, malformed(whatBundle, 0, "its width must be 1 to 256")
	}
	entries := make([][]byte, 0, width)
	for len(bundle) > 0 {
		if len(entries) == width {
			return nil, malformed(whatBundle, 0, "it holds more entries than its width")
		}
		if len(bundle) < 2 {
			return nil, malformed(whatBundle, 0, "it ends inside a length")
		}
		n := int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < 2+n {
			return nil, malformed(whatBundle, 0, "it ends inside an entry")
		}
		entries = append(entries, bundle[2:2+n:2+n])
		bundle = bundle[2+n:]
	}
	if len(entries) != width {
		return nil, malformed(whatBundle, 0, "it holds fewer entries than its width")
	}
	return entries, nil
}
