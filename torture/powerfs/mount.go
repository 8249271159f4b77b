package powerfs

import (
	"errors"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// forEver: nothing changes but through the mount itself.
const forEver = 1 << 30 // seconds

// mount is the disk as the kernel sees it.
type mount struct {
	fuse.RawFileSystem // refuses what is not here
	*Disk
	dir    string
	server *fuse.Server

	handle uint64
	lists  map[uint64][]fuse.DirEntry // of directories that are open
}

// Mount shows the disk at a directory, which must exist. It needs root and /dev/fuse.
func (d *Disk) Mount(dir string) error {
	if d.mount != nil {
		return errors.New("the disk is mounted already")
	}
	m := &mount{RawFileSystem: fuse.NewDefaultRawFileSystem(), Disk: d, dir: dir, lists: make(map[uint64][]fuse.DirEntry)}
	server, err := fuse.NewServer(m, dir, &fuse.MountOptions{
		DirectMountStrict:  true,
		FsName:             "powerfs",
		Name:               "powerfs",
		MaxWrite:           1 << 20,
		DisableXAttrs:      true,
		DisableReadDirPlus: true,
		Logger:             log.New(io.Discard, "", 0), // replies to the killed
	})
	if err != nil {
		return err
	}
	m.server, d.mount = server, m
	go server.Serve()
	return server.WaitMount()
}

// Unmount takes the disk away. What was not durable stays as it is. Nobody may have a file open.
func (d *Disk) Unmount() error {
	if d.mount == nil {
		return nil
	}
	if err := d.mount.server.Unmount(); err != nil {
		return err
	}
	d.mount = nil
	return nil
}

// Cut lets the power fail and come back: some of what was not durable is lost, chosen by rng, and
// the rest is mounted again where it was. Nobody may have a file open.
func (d *Disk) Cut(rng *rand.Rand) (Loss, error) {
	if d.mount == nil {
		return d.lose(rng), nil
	}
	dir := d.mount.dir
	if err := d.Unmount(); err != nil {
		return Loss{}, err
	}
	loss := d.lose(rng)
	return loss, d.Mount(dir)
}

func (m *mount) String() string { return "powerfs" }

// open locks the disk, waits while everything stands still, and finds a node. Its caller unlocks.
func (m *mount) open(inode uint64) (*node, fuse.Status) {
	m.mu.Lock()
	if s := m.enter(); s != fuse.OK {
		return nil, s
	}
	n := m.nodes[inode]
	if n == nil {
		return nil, fuse.Status(syscall.ESTALE)
	}
	return n, fuse.OK
}

func (n *node) attr(a *fuse.Attr) {
	*a = fuse.Attr{Ino: n.inode, Mode: n.mode, Size: uint64(n.size), Nlink: n.links, Blksize: pageSize}
	a.Blocks = uint64(len(n.pages)) * pageSize / sectorSize
	a.Owner = *fuse.CurrentOwner()
	a.SetTimes(&n.mtime, &n.mtime, &n.mtime)
}

func (n *node) entry(out *fuse.EntryOut) {
	out.NodeId, out.EntryValid, out.AttrValid = n.inode, forEver, forEver
	n.attr(&out.Attr)
}

func (m *mount) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	dir, s := m.open(h.NodeId)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return s
	}
	n := dir.names[name]
	if n == nil {
		return fuse.ENOENT
	}
	n.entry(out)
	return fuse.OK
}

func (m *mount) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }

func (m *mount) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, s := m.open(in.NodeId)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return s
	}
	out.AttrValid = forEver
	n.attr(&out.Attr)
	return fuse.OK
}

func (m *mount) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, s := m.open(in.NodeId)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return s
	}
	mode, chmod := in.GetMode()
	size, truncate := in.GetSize()
	last := (chmod || truncate) && m.begin()
	if chmod {
		n.setMode(mode)
	}
	if truncate {
		n.setSize(int64(size))
	}
	if t, ok := in.GetMTime(); ok {
		n.mtime = t
	}
	out.AttrValid = forEver
	n.attr(&out.Attr)
	return m.end(last)
}

// make makes a node and its name.
func (m *mount) make(parent uint64, name string, mode uint32, out *fuse.EntryOut) fuse.Status {
	dir, s := m.open(parent)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return s
	}
	if dir.names[name] != nil {
		return fuse.Status(syscall.EEXIST)
	}
	last := m.begin()
	n := m.create(mode)
	n.links = 1
	m.note(change{dir: dir, kind: add, name: name, node: n})
	n.entry(out)
	return m.end(last)
}

func (m *mount) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return m.make(in.NodeId, name, in.Mode, out)
}

func (m *mount) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return m.make(in.NodeId, name, syscall.S_IFDIR|in.Mode&0o7777, out)
}

func (m *mount) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return m.make(in.NodeId, name, syscall.S_IFREG|in.Mode&0o7777, &out.EntryOut)
}

func (m *mount) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return m.unlink(h.NodeId, name)
}

func (m *mount) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return m.unlink(h.NodeId, name)
}

func (m *mount) unlink(parent uint64, name string) fuse.Status {
	dir, s := m.open(parent)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return s
	}
	n := dir.names[name]
	if n == nil {
		return fuse.ENOENT
	}
	if len(n.names) > 0 {
		return fuse.Status(syscall.ENOTEMPTY)
	}
	last := m.begin()
	n.links--
	m.note(change{dir: dir, kind: remove, name: name, node: n})
	return m.end(last)
}

func (m *mount) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	dir, s := m.open(in.NodeId)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return s
	}
	n := m.nodes[in.Oldnodeid]
	switch {
	case n == nil:
		return fuse.Status(syscall.ESTALE)
	case dir.names[name] != nil:
		return fuse.Status(syscall.EEXIST)
	}
	last := m.begin()
	n.links++
	m.note(change{dir: dir, kind: add, name: name, node: n})
	n.entry(out)
	return m.end(last)
}

func (m *mount) Rename(_ <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	const noReplace = 1
	dir, s := m.open(in.NodeId)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return s
	}
	other := m.nodes[in.Newdir]
	if other == nil {
		return fuse.Status(syscall.ESTALE)
	}
	n, target := dir.names[from], other.names[to]
	switch {
	case in.Flags&^noReplace != 0:
		return fuse.EINVAL
	case n == nil:
		return fuse.ENOENT
	case target != nil && in.Flags&noReplace != 0:
		return fuse.Status(syscall.EEXIST)
	case target != nil && len(target.names) > 0:
		return fuse.Status(syscall.ENOTEMPTY)
	}
	last := m.begin()
	if target != nil {
		target.links--
	}
	if other == dir {
		m.note(change{dir: dir, kind: rename, name: to, node: n, from: from})
	} else {
		m.note(change{dir: other, kind: add, name: to, node: n})
		m.note(change{dir: dir, kind: remove, name: from, node: n})
	}
	return m.end(last)
}

func (m *mount) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	_, s := m.open(in.NodeId)
	defer m.mu.Unlock()
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return s
}

func (m *mount) Read(_ <-chan struct{}, in *fuse.ReadIn, b []byte) (fuse.ReadResult, fuse.Status) {
	n, s := m.open(in.NodeId)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return nil, s
	}
	return fuse.ReadResultData(b[:n.read(b, int64(in.Offset))]), fuse.OK
}

func (m *mount) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	n, s := m.open(in.NodeId)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return 0, s
	}
	last := m.begin()
	n.write(data, int64(in.Offset))
	if s := m.end(last); s != fuse.OK {
		return 0, s
	}
	return uint32(len(data)), fuse.OK
}

// Fallocate has room for everything: only the size can change.
func (m *mount) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	const keepSize = 1
	n, s := m.open(in.NodeId)
	defer m.mu.Unlock()
	switch {
	case s != fuse.OK:
		return s
	case m.options.NoFallocate || in.Mode&^keepSize != 0:
		return fuse.Status(syscall.ENOTSUP)
	}
	last := m.begin()
	if in.Mode&keepSize == 0 {
		n.setSize(max(n.size, int64(in.Offset+in.Length)))
	}
	return m.end(last)
}

func (m *mount) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	const dataOnly = 1
	n, s := m.open(in.NodeId)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return s
	}
	if m.begin() {
		if s := m.enter(); s != fuse.OK {
			return s
		}
	}
	m.sync(n, in.FsyncFlags&dataOnly != 0)
	return fuse.OK
}

func (m *mount) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return m.Fsync(cancel, in)
}

func (m *mount) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	dir, s := m.open(in.NodeId)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return s
	}
	m.handle++
	out.Fh = m.handle
	list := []fuse.DirEntry{{Name: ".", Mode: syscall.S_IFDIR}, {Name: "..", Mode: syscall.S_IFDIR}}
	for _, name := range slices.Sorted(maps.Keys(dir.names)) {
		n := dir.names[name]
		list = append(list, fuse.DirEntry{Name: name, Mode: n.mode, Ino: n.inode})
	}
	m.lists[m.handle] = list
	return fuse.OK
}

func (m *mount) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	_, s := m.open(in.NodeId)
	defer m.mu.Unlock()
	if s != fuse.OK {
		return s
	}
	list := m.lists[in.Fh]
	for i := in.Offset; i < uint64(len(list)); i++ {
		e := list[i]
		e.Off = i + 1
		if !out.AddDirEntry(e) {
			break
		}
	}
	return fuse.OK
}

func (m *mount) ReleaseDir(in *fuse.ReleaseIn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lists, in.Fh)
}

// StatFs says that there is always room.
func (m *mount) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	const blocks = 1 << 28 // 1 TiB
	*out = fuse.StatfsOut{Blocks: blocks, Bfree: blocks, Bavail: blocks, Files: blocks, Ffree: blocks, Bsize: pageSize, Frsize: pageSize, NameLen: 255}
	return fuse.OK
}
