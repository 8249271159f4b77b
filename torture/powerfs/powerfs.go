// Package powerfs is a file system in memory whose power can be cut. It keeps apart what was
// written from what was made durable, and a cut takes away a random part of what was not: as a
// disk does, or worse.
//
// What is durable:
//
//   - the bytes and the size of a file, since the last fsync or fdatasync of that file;
//   - its permissions, since the last fsync;
//   - the names in a directory, whether made, linked, renamed or removed, since the last fsync of
//     that directory. To sync a file makes none of its names durable, and to sync a directory
//     nothing of the files in it.
//
// Of everything else a cut keeps some. Each page of 4096 bytes that was written since is as it is
// now, as it was at any time since the last sync, or torn: each of its sectors of 512 bytes of
// another of these times. The size of a file is one of those that it had since, whatever became
// of the pages: what was never written there reads as zeros. Each change of a directory is kept
// or dropped, by itself; a rename is kept or dropped as one, but from one directory to another it is
// two changes: the new name, and the end of the old one. What has no name left is gone.
//
// With Options.Journal directories are as ext4, xfs and btrfs keep them: changes survive in the
// order in which they were made, of all directories together, and every sync makes durable those
// before it.
//
// There is one sequence of use:
//
//	d := powerfs.New(powerfs.Options{})
//	d.Mount(dir)           // somebody uses it ...
//	<-d.HaltAfter(17)      // ... until the 17th change from now is under way: everything waits
//	                       // (kill whoever uses it)
//	d.Off()                // those that wait get EIO, and are gone
//	d.Cut(rng)             // the power fails, and comes back: what survived is there
//	d.Resume()             // instead of Cut: only the processes died, the machine did not
package powerfs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	pageSize   = 4096
	sectorSize = 512
	rootInode  = fuse.FUSE_ROOT_ID
)

// Options say what a Disk promises.
type Options struct {
	// Journal makes changes of directories survive in order, and every sync make durable all that
	// went before it.
	Journal bool
	// NoFallocate refuses fallocate with ENOTSUP.
	NoFallocate bool
}

// A Disk is the content of a file system.
type Disk struct {
	options Options

	mu      sync.Mutex
	settled sync.Cond // state has changed
	state   state
	changes int // begun: writes, syncs, names, sizes
	haltAt  int // 0: never
	halted  chan struct{}
	last    uint64 // inode number
	nodes   map[uint64]*node
	pending []change // of names, not durable yet, oldest first

	mount *mount
}

type state int

const (
	running state = iota
	halting       // everybody waits
	off           // everybody gets EIO
)

// A node is a file, a directory or a socket.
type node struct {
	inode uint64
	mode  uint32 // kind and permissions
	links uint32
	mtime time.Time

	// Of a file.
	size  int64
	pages map[int64]*page // without those that are holes

	// What they were since the last sync, oldest first, the first being durable. Empty: nothing changed.
	modes    []uint32
	sizes    []int64
	versions map[int64][]*page // a nil page is a hole

	// Of a directory: what is seen, and what is durable.
	names   map[string]*node
	durable map[string]*node
}

// A page is never written to again once a node has it.
type page [pageSize]byte

// A change is of one name in one directory.
type change struct {
	dir  *node
	kind changeKind
	name string
	node *node  // that the name is of
	from string // rename: the name before
}

type changeKind int

const (
	add changeKind = iota
	remove
	rename
)

// New returns an empty disk.
func New(o Options) *Disk {
	d := &Disk{options: o, last: rootInode, nodes: make(map[uint64]*node)}
	d.settled.L = &d.mu
	root := newNode(rootInode, syscall.S_IFDIR|0o755)
	root.links = 1
	d.nodes[rootInode] = root
	return d
}

func newNode(inode uint64, mode uint32) *node {
	n := &node{inode: inode, mode: mode, mtime: time.Now()}
	switch mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		n.names, n.durable = make(map[string]*node), make(map[string]*node)
	case syscall.S_IFREG:
		n.pages, n.versions = make(map[int64]*page), make(map[int64][]*page)
	}
	return n
}

// Changes returns how many changes were begun: writes, syncs, changes of names, sizes and
// permissions.
func (d *Disk) Changes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changes
}

// HaltAfter makes everything stand still as soon as the nth change from now is under way, n ≥ 1,
// and returns a channel that is closed then. A write or a change of a name that is under way has
// been taken up and can survive; a sync has made nothing durable yet. A later call replaces an
// earlier one.
func (d *Disk) HaltAfter(n int) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.haltAt, d.halted = d.changes+n, make(chan struct{})
	return d.halted
}

// Halt makes everything stand still now.
func (d *Disk) Halt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.halt()
}

func (d *Disk) halt() {
	if d.state == running {
		d.state = halting
	}
	if d.halted != nil {
		close(d.halted)
	}
	d.haltAt, d.halted = 0, nil
}

// Off answers EIO to everybody who waits, and to everybody who comes, until Cut or Resume. Who
// waits must have been killed before: otherwise he would see an error that a cut never shows.
func (d *Disk) Off() { d.set(off) }

// Resume goes on after Halt or Off, with everything as it is: nothing was lost.
func (d *Disk) Resume() { d.set(running) }

func (d *Disk) set(s state) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.haltAt, d.halted = 0, nil
	d.state = s
	d.settled.Broadcast()
}

// enter waits while everything stands still. d.mu is held.
func (d *Disk) enter() fuse.Status {
	for d.state == halting {
		d.settled.Wait()
	}
	if d.state == off {
		return fuse.EIO
	}
	return fuse.OK
}

// begin counts a change, and returns whether it is the last one before everything stands still.
func (d *Disk) begin() (last bool) {
	d.changes++
	if d.haltAt == 0 || d.changes < d.haltAt {
		return false
	}
	d.halt()
	return true
}

// end is the end of a change that was taken up. Nobody learns that the last one was.
func (d *Disk) end(last bool) fuse.Status {
	if last {
		return d.enter()
	}
	return fuse.OK
}

func (d *Disk) create(mode uint32) *node {
	d.last++
	n := newNode(d.last, mode)
	d.nodes[n.inode] = n
	return n
}

// note takes up a change of a name.
func (d *Disk) note(c change) {
	c.apply(c.dir.names)
	c.dir.mtime = time.Now()
	d.pending = append(d.pending, c)
}

func (c change) apply(names map[string]*node) {
	switch c.kind {
	case add:
		names[c.name] = c.node
	case remove:
		if names[c.name] == c.node {
			delete(names, c.name)
		}
	case rename:
		if names[c.from] == c.node {
			delete(names, c.from)
		}
		names[c.name] = c.node
	}
}

// syncNames makes the names in a directory durable; in all directories, if there is a journal.
func (d *Disk) syncNames(dir *node) {
	d.pending = slices.DeleteFunc(d.pending, func(c change) bool {
		if c.dir != dir && !d.options.Journal {
			return false
		}
		c.apply(c.dir.durable)
		return true
	})
}

// sync makes a node durable; without its permissions, if only the data are asked for.
func (d *Disk) sync(n *node, data bool) {
	n.sizes = nil
	clear(n.versions)
	if !data {
		n.modes = nil
	}
	if n.names != nil || d.options.Journal {
		d.syncNames(n)
	}
}

func (n *node) setMode(permissions uint32) {
	n.modes = append(n.modes, n.mode)
	n.mode = n.mode&syscall.S_IFMT | permissions
}

func (n *node) setSize(size int64) {
	if size == n.size {
		return
	}
	n.sizes = append(n.sizes, n.size)
	if size < n.size {
		for i, p := range n.pages {
			if keep := size - i*pageSize; keep <= 0 {
				n.setPage(i, nil)
			} else if keep < pageSize {
				q := *p
				clear(q[keep:])
				n.setPage(i, &q)
			}
		}
	}
	n.size = size
	n.mtime = time.Now()
}

func (n *node) setPage(i int64, p *page) {
	n.versions[i] = append(n.versions[i], n.pages[i])
	if p == nil {
		delete(n.pages, i)
	} else {
		n.pages[i] = p
	}
}

func (n *node) write(data []byte, at int64) {
	if end := at + int64(len(data)); end > n.size {
		n.setSize(end)
	}
	for len(data) > 0 {
		i, from := at/pageSize, at%pageSize
		p := new(page)
		if old := n.pages[i]; old != nil {
			*p = *old
		}
		k := copy(p[from:], data)
		n.setPage(i, p)
		data, at = data[k:], at+int64(k)
	}
	n.mtime = time.Now()
}

func (n *node) read(b []byte, at int64) int {
	b = b[:max(0, min(int64(len(b)), n.size-at))]
	for k := 0; k < len(b); {
		i, from := (at+int64(k))/pageSize, (at+int64(k))%pageSize
		part := b[k:min(len(b), k+int(pageSize-from))]
		if p := n.pages[i]; p != nil {
			copy(part, p[from:])
		} else {
			clear(part)
		}
		k += len(part)
	}
	return len(b)
}

// A Loss says what a cut made of what was not durable.
type Loss struct {
	Pages, PagesOld, PagesTorn int // not durable; of these as they were before, and torn
	Names, NamesDropped        int // changes of directories
	Sizes, SizesOld            int // of files
}

// Add adds another loss.
func (l *Loss) Add(o Loss) {
	l.Pages += o.Pages
	l.PagesOld += o.PagesOld
	l.PagesTorn += o.PagesTorn
	l.Names += o.Names
	l.NamesDropped += o.NamesDropped
	l.Sizes += o.Sizes
	l.SizesOld += o.SizesOld
}

func (l Loss) String() string {
	return fmt.Sprintf("of %d pages %d old and %d torn, of %d names %d dropped, of %d sizes %d old",
		l.Pages, l.PagesOld, l.PagesTorn, l.Names, l.NamesDropped, l.Sizes, l.SizesOld)
}

// lose replaces everything by what survives a cut, and it is durable.
func (d *Disk) lose(rng *rand.Rand) (loss Loss) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Extremes are as likely as a mixture: everything kept, nothing kept.
	odds := []float64{0, 0.05, 0.5, 0.95, 1}
	keepPage, keepName, keepSize := odds[rng.IntN(5)], odds[rng.IntN(5)], odds[rng.IntN(5)]
	tear := []float64{0, 0.1, 0.9}[rng.IntN(3)]

	loss.Names = len(d.pending)
	for i, c := range d.pending {
		if rng.Float64() < keepName {
			c.apply(c.dir.durable)
			continue
		}
		if d.options.Journal {
			loss.NamesDropped += len(d.pending) - i
			break
		}
		loss.NamesDropped++
	}
	d.pending = nil

	// In the order of names, so that the same seed does the same.
	reached := make(map[uint64]*node)
	var reach func(n *node)
	reach = func(n *node) {
		n.links++
		if reached[n.inode] != nil {
			return
		}
		reached[n.inode] = n
		if len(n.modes) > 0 {
			n.mode = append(n.modes, n.mode)[rng.IntN(len(n.modes)+1)]
			n.modes = nil
		}
		if n.names != nil {
			n.names = maps.Clone(n.durable)
			for _, name := range slices.Sorted(maps.Keys(n.names)) {
				reach(n.names[name])
			}
			return
		}
		for _, i := range slices.Sorted(maps.Keys(n.versions)) {
			loss.Pages++
			all := append(n.versions[i], n.pages[i])
			p := all[len(all)-1]
			switch {
			case rng.Float64() < tear:
				loss.PagesTorn++
				q := new(page)
				for at := 0; at < pageSize; at += sectorSize {
					if v := all[rng.IntN(len(all))]; v != nil {
						copy(q[at:at+sectorSize], v[at:])
					}
				}
				p = q
			case rng.Float64() >= keepPage:
				loss.PagesOld++
				p = all[rng.IntN(len(all)-1)]
			}
			if p == nil {
				delete(n.pages, i)
			} else {
				n.pages[i] = p
			}
		}
		if k := len(n.sizes); k > 0 {
			loss.Sizes++
			if rng.Float64() >= keepSize {
				loss.SizesOld++
				n.size = n.sizes[rng.IntN(k)]
			}
			// What lies beyond the end is never seen again.
			size := n.size
			n.size = max(size, int64(1+slices.Max(append(slices.Collect(maps.Keys(n.pages)), 0)))*pageSize)
			n.setSize(size)
			n.sizes = nil
		}
		clear(n.versions)
	}
	for _, n := range d.nodes {
		n.links = 0
	}
	reach(d.nodes[rootInode])
	d.nodes = reached
	d.haltAt, d.halted = 0, nil
	d.state = running
	return loss
}
