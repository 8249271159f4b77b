package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A sabotage switches one defence off, in a copy of the source text. Something must catch it: a test,
// or a part of this program. What nothing catches may be broken without anybody's noticing.
type sabotage struct {
	name    string
	defence string // what is switched off
	edits   []edit
	test    string // "PACKAGE PATTERN" as go test takes them, in the module of the program
	part    string // or a part of this program, with its flags before it
	within  bool   // the part works on the packages themselves, not on the program alone
}

// An edit replaces text in a file of the source tree.
type edit struct {
	file     string
	old, new string // old must be there exactly once
}

// sabotages is every defence that has been thought of, in the order in which an entry meets it.
var sabotages = []sabotage{
	{
		name: "after-note", defence: "an endorsement quotes a note that was published",
		edits: []edit{{"ledger/submit.go", "case n.hash != after.Note:", "case false && n.hash != after.Note:"}},
		test:  "./ledger TestRefusals",
	},
	{
		name: "previous", defence: "an entry names the last one on its subject",
		edits: []edit{{"verify/roll/trial.go", "case ok && *e.Previous != last:", "case false && *e.Previous != last:"}},
		test:  "./verify/roll TestRefusals",
	},
	{
		name: "no-previous", defence: "an entry on a known subject names a previous one",
		edits: []edit{{"verify/roll/trial.go", "case ok && e.Previous == nil:", "case false && e.Previous == nil:"}},
		test:  "./verify/roll TestRefusals",
	},
	{
		name: "admitted-rule", defence: "no entry is admitted before the one before it",
		edits: []edit{{"verify/roll/trial.go", "t.Admitted.UnixMilli() < s.admitted {", "false && t.Admitted.UnixMilli() < s.admitted {"}},
		test:  "./verify/roll TestRefusals",
	},
	{
		name: "stale-signatures", defence: "what was found out about signatures holds for those very bytes",
		edits: []edit{{"verify/roll/signatures.go", "|| !bytes.Equal(before.sig, sig.Sig) {", "|| false && !bytes.Equal(before.sig, sig.Sig) {"}},
		test:  "./verify/roll TestHistories",
	},
	{
		name: "older-chain", defence: "an answer of the DNS that is older than one in the record changes nothing",
		edits: []edit{{"verify/roll/domainword.go", "case (w.final || now.final) && now.signed < w.signed:", "case false && now.signed < w.signed:"}},
		test:  "./verify/roll TestOlder",
	},
	{
		name: "denial-tied", defence: "a key that is gone is not back with what was signed as its denial was",
		edits: []edit{{"verify/roll/domainword.go", "case w.final && now.signed == w.signed &&", "case false && now.signed == w.signed &&"}},
		test:  "./verify/roll TestSameInception",
	},
	{
		name: "delegation-rolled", defence: "an old delegation brings nothing back after a zone has other keys",
		edits: []edit{{"verify/roll/domainword.go", "case !w.final && !now.final && now.delegation", "case false && now.delegation"}},
		test:  "./verify/roll TestRolledDelegation",
	},
	{
		name: "chain-inherited", defence: "who registers again inherits nothing that the DNS showed before",
		edits: []edit{{"verify/roll/trial.go", "k.registered[n-1] < m.registered.Index {", "false && k.registered[n-1] < m.registered.Index {"}},
		test:  "./verify/roll TestPublishedBeforeRegistration",
	},
	{
		name: "name-since", defence: "a vouching counts for the name that the organization had then",
		edits: []edit{{"verify/owner.go", "case w.Index < m.Named.Index:", "case false && w.Index < m.Named.Index:"}},
		test:  "./verify TestVouchersRestOnSomething",
	},
	{
		name: "withdrawal-hidden", defence: "a key is doubted once the DNS took it away, whatever copies of the record the ledger names",
		edits: []edit{{"verify/published.go", "if c := &chains[i]; c.standing != seenAfter {", "if c := &chains[i]; c.standing != seenAfter && (c.standing == seenInTime || len(w.Shown) > 0 && i >= w.Shown[0][0]) {"}},
		test:  "./verify TestWithdrawalOfUnknownTime",
	},
	{
		name: "chain-worthless", defence: "a chain that says nothing new takes no place in the record",
		edits: []edit{{"ledger/evidence.go", "case !change && (", "case false && !change && ("}},
		test:  "./ledger TestLateChain",
	},
	{
		name: "chains-late", defence: "nobody grows the record without limit with answers of their own zone",
		edits: []edit{{"ledger/evidence.go", ">= lateChains {", ">= 1000*lateChains {"}},
		test:  "./ledger TestLateChainsAreFew",
	},
	{
		name: "resolver-dead", defence: "a resolver that never answers is left alone",
		edits: []edit{{"ledger/collector/keeper.go", "unanswered >= silent || ctx", "false || ctx"}},
		test:  "./ledger/collector TestKeeperDeadResolver",
	},
	{
		name: "ssh-namespace", defence: "an SSH signature counts for one purpose and one ledger",
		edits: []edit{{"keys/sshsig.go", "s.namespace != SSHNamespace(origin) ||", "false && s.namespace != SSHNamespace(origin) ||"}},
		test:  "./keys TestSSHKeygen",
	},
	{
		name: "ssh-touch", defence: "somebody touched the FIDO key",
		edits: []edit{{"keys/sshsig.go", "s.flags&^skVerified != skPresent", "false && s.flags&^skVerified != skPresent"}},
		test:  "./keys TestSSHSIGOneEncoding",
	},
	{
		name: "ssh-type", defence: "the type of the key that is registered is the one that signed",
		edits: []edit{{"keys/sshsig.go", "sig.algorithm == k.sshType() && verifyEd25519", "verifyEd25519"}},
		test:  "./keys TestSSHSuitesKeepApart",
	},
	{
		name: "multiples-r", defence: "what a key's multiples give is the whole of the signature's R",
		edits: []edit{{"keys/multiples.go", "bytes.Equal(r.Bytes(), sig[:32])", "bytes.Equal(r.Bytes()[:31], sig[:31])"}},
		test:  "./keys TestKept",
	},
	{
		name: "multiples-s", defence: "with a key's multiples too, S is below the order",
		edits: []edit{{"keys/multiples.go", "s.SetCanonicalBytes(sig[32:]); err != nil", "s.SetUniformBytes(append(sig[32:64:64], make([]byte, 32)...)); err != nil"}},
		test:  "./keys TestKept",
	},
	{
		name: "ssh-encoding", defence: "an SSH signature has one encoding",
		edits: []edit{{"keys/sshsig.go", "!bytes.Equal(s.key, k.SSH())", "false && !bytes.Equal(s.key, k.SSH())"}},
		test:  "./keys TestSSHSIG",
	},
	{
		name: "admitted-clock", defence: "the time of admission never goes back, whatever the clock does",
		edits: []edit{{"ledger/sequence.go", "now.Before(last) {", "false && now.Before(last) {"}},
		test:  "./ledger TestClock",
	},
	{
		name: "position", defence: "an entry is judged again at its own position",
		edits: []edit{{"ledger/sequence.go", "l.state.Admit(leaf, it.sigs); err != nil {", "l.state.Admit(leaf, it.sigs); err != nil && it.sigs == nil {"}},
		test:  "./ledger TestTogether",
	},
	{
		name: "same-batch", defence: "the same entry twice in one batch is one entry",
		edits: []edit{{"ledger/sequence.go", "index, ok := here[it.id]\n\t\tif !ok {", "index, ok := here[entry.Hash{}]\n\t\tif !ok {"}},
		test:  "./ledger TestTogether",
	},
	{
		name: "duplicate", defence: "an entry that is in the record is found, at its index",
		edits: []edit{{"ledger/read.go", "index, ok := l.index[id]", "index, ok := l.index[entry.Hash{}]"}},
		test:  "./ledger TestServe",
	},
	{
		name: "acknowledge-early", defence: "nobody is answered before the commit is durable",
		edits: []edit{{
			"ledger/sequence.go", "\tif len(added) > 0 {\n\t\tif err := l.commit(rec); err != nil {",
			"\tfor _, it := range batch {\n\t\tif it.refusal == nil {\n\t\t\tit.answer(Result{ID: it.id, Index: it.index, Admitted: it.admitted, Stored: true})\n\t\t}\n\t}\n\tif len(added) > 0 {\n\t\tif err := l.commit(rec); err != nil {",
		}},
		part: "kill",
	},
	{
		name: "roll-recomputed", defence: "a sealed list is what recomputing gives",
		edits: []edit{{"verify/roll/sealed.go", "if b.Root != list.root() {", "if false && b.Root != list.root() {"}},
		test:  "./verify TestRollDishonest",
	},
	{
		name: "roll-place", defence: "a sealed list is of its own place in the record",
		edits: []edit{{"verify/roll/sealed.go", "if b.Size != t.Index {", "if false && b.Size != t.Index {"}},
		test:  "./verify TestRollDishonest",
	},
	{
		name: "roll-undone", defence: "a list of a moment before leaves out what came later",
		edits: []edit{{"verify/roll/sealed.go", "if st.changed <= asOf {", "if true || st.changed <= asOf {"}},
		test:  "./verify/roll TestRanking",
	},
	{
		name: "roll-close", defence: "a list is sealed before its statement closes",
		edits: []edit{{"ledger/seal.go", "if b.Action == entry.Close {", "if false {"}},
		test:  "./ledger TestSealClose",
	},
	{
		name: "roll-neighbours", defence: "absence is proven by two neighbours",
		edits: []edit{{"verify/roll/line.go", "lines[0].At+1 == lines[1].At && ", ""}},
		test:  "./verify/roll TestHistories",
	},
	{
		name: "roll-question", defence: "a damaged receipt answers for no other organization",
		edits: []edit{{"verify/rollreceipt.go", "sum := question(r.Domain, r.Leaf)", "sum := question(\"\", r.Leaf)"}},
		test:  "./verify TestRollReceiptFlips",
	},
	{
		name: "roll-word", defence: "a sealed list that nobody recomputed confirms nothing",
		edits: []edit{{"verify/rollverdict.go", "case len(by) == 0:", "case false:"}},
		test:  "./verify TestRollVerdicts",
	},
	{
		name: "tree-memory", defence: "before a commit the tree in memory gives the root hash of the one before",
		edits: []edit{{"ledger/sequence.go", "if root != l.newest.root {", "if false && root != l.newest.root {"}},
		test:  "./ledger TestDamagedTree",
	},
	{
		name: "read-back", defence: "what is signed for is read back from the store",
		edits: []edit{{"ledger/sequence.go", "b, err := l.store.Read(l.work, rec.seq)\n\tif isNotExist(err) {", "b, err := rec.encode(), error(nil)\n\tif isNotExist(err) {"}},
		test:  "./ledger TestReadBack",
	},
	{
		name: "whose-commit", defence: "of a commit whose fate is unknown, the nonce tells whose it is",
		edits: []edit{{"ledger/sequence.go", "if other.sum != rec.sum {", "if false && other.sum != rec.sum {"}},
		test:  "./ledger TestStolenCommit",
	},
	{
		name: "tiles-late", defence: "tiles are there before anybody can sign for them",
		edits: []edit{
			{"ledger/sequence.go", "if err := l.putTiles(rec.size); err != nil && !errors.Is(err, ErrFull) {", "defer l.putTiles(rec.size)\n\tif err := error(nil); err != nil {"},
			{"ledger/sequence.go", "if len(l.tree.full(size)) > 0 {", "if false {"},
		},
		test: "./ledger TestTilesBeforeCheckpoints",
	},
	{
		name: "tiles-untold", defence: "what came with a commit of which the store cannot tell is stored again",
		edits: []edit{{"ledger/sequence.go", "if err == nil && told {", "if err == nil && (told || true) {"}},
		test:  "./ledger TestTilesBeforeCheckpoints",
	},
	{
		name: "last-signed-late", defence: "the last-signed record is written before a signature leaves",
		edits: []edit{{"ledger/sequence.go", "if last.size != c.Size || !l.signed.sure {", "if false {"}},
		test:  "./ledger TestOrder",
	},
	{
		name: "last-signed-consistent", defence: "the tree to sign contains the one that was signed last",
		edits: []edit{{"ledger/sequence.go", "if root != last.root {", "if false && root != last.root {"}},
		test:  "./ledger TestDamagedBeforeSigning",
	},
	{
		name: "last-signed-sync", defence: "the last-signed record is durable before a signature leaves",
		edits: []edit{{"ledger/lastsigned.go", "if err := s.sync(s.file); err != nil {", "if err := error(nil); err != nil {"}},
		test:  "./ledger TestOrder",
	},
	{
		name: "ahead-of-another", defence: "a signature that was made ahead is of the very checkpoint that is published",
		edits: []edit{{"ledger/sequence.go", "a.checkpoint == c && ", ""}},
		test:  "./ledger TestAheadOfAnother",
	},
	{
		name: "own-signature", defence: "each signature is verified before it leaves",
		edits: []edit{{"ledger/sequence.go", "if !s.verifier.Verify(text, sig) {", "if false && !s.verifier.Verify(text, sig) {"}},
		test:  "./ledger TestWrongKey",
	},
	{
		name: "publish-early", defence: "nobody is told that an entry is published before its checkpoint is",
		edits: []edit{{"ledger/sequence.go", "if l.head != nil && w.last() < l.head.Size {", "if true {"}},
		test:  "./ledger TestCosign",
	},
	{
		name: "note-late", defence: "a checkpoint is stored before it is shown",
		edits: []edit{{"ledger/sequence.go", "\tif err := l.store.Put(l.work, *o); err != nil {", "\tl.setHead(c, msg)\n\tif err := l.store.Put(l.work, *o); err != nil {"}},
		test:  "./ledger TestFaults|TestOrder",
	},
	{
		name: "note-early", defence: "a checkpoint that is kept in the last-signed record is durable there before it is shown",
		edits: []edit{{"ledger/sequence.go", "\t\tif err := l.signed.write(l.origin, l.keys, c.Size, c.Root, with); err != nil {", "\t\tif with != nil {\n\t\t\tl.setHead(c, note)\n\t\t}\n\t\tif err := l.signed.write(l.origin, l.keys, c.Size, c.Root, with); err != nil {"}},
		test:  "./ledger TestOrderAlone",
	},
	{
		name: "note-not-kept", defence: "a checkpoint that was shown and not stored is in the last-signed record",
		edits: []edit{{"ledger/lastsigned.go", "\t\tif note != nil {\n", "\t\tif false {\n"}},
		test:  "./ledger TestFaults|TestOrderAlone",
	},
	{
		name: "note-overwritten", defence: "the note that the last-signed record keeps is stored before another takes its place",
		edits: []edit{
			{"ledger/sequence.go", "\tif err := l.storeNote(); err != nil {\n\t\treturn err\n\t}\n\tif len(l.tree.full(size)) > 0 {", "\tif len(l.tree.full(size)) > 0 {"},
			{"ledger/sequence.go", "if with != nil && l.unstored.Load() != nil {", "if false {"},
		},
		test: "./ledger TestNoteIsNotLostForANewer",
	},
	{
		name: "note-left-out", defence: "the note before a commit is stored with it",
		edits: []edit{{"ledger/sequence.go", "notes = append(notes, *o)", "_ = *o"}},
		test:  "./ledger TestOrderAlone|TestFaults",
	},
	{
		name: "note-forgotten", defence: "a checkpoint that was shown before a crash is shown after it",
		edits: []edit{{"ledger/open.go", "if head, err = l.recallNote(ctx, head); err != nil {", "if err != nil {"}},
		test:  "./ledger TestNoteFaults|TestKeptNote",
	},
	{
		name: "note-torn", defence: "a note that the last-signed record keeps is whole",
		edits: []edit{{"ledger/lastsigned.go", "if !bytes.HasPrefix(b, kept(rest[:n])) {", "if false {"}},
		test:  "./ledger TestKeptNote",
	},
	{
		name: "note-of-another-tree", defence: "a note that the last-signed record keeps is of the store's tree",
		edits: []edit{{"ledger/lastnote.go", "if root != c.Root {", "if false && root != c.Root {"}},
		test:  "./ledger TestKeptNote",
	},
	{
		name: "copy-without-note", defence: "a copy of the store has every checkpoint that was shown before",
		edits: []edit{{"cmd/undersigned/control.go", "err := c.settle(c.ctx)", "err := error(nil)"}},
		test:  "./cmd/undersigned TestCopyHasWhatWasShown",
	},
	{
		name: "receipt-head", defence: "nothing of an entry is shown before a published checkpoint covers it",
		edits: []edit{
			{"ledger/read.go", "if h == nil || index >= h.Size {\n\t\treturn nil, fs.ErrNotExist\n\t}\n\tvar after", "if h == nil {\n\t\treturn nil, fs.ErrNotExist\n\t}\n\tvar after"},
			{"ledger/read.go", "if index >= l.publishedSize() {\n\t\treturn nil, fs.ErrNotExist\n\t}\n\terr = l.leaves", "if false {\n\t\treturn nil, fs.ErrNotExist\n\t}\n\terr = l.leaves"},
		},
		test: "./ledger TestCosign",
	},
	{
		name: "tile-root", defence: "a tile that is read is held to the hash above it",
		edits: []edit{{"ledger/tree.go", "if root != above {", "if false && root != above {"}},
		test:  "./ledger TestTilesFromTheStore",
	},
	{
		name: "stop-on-error", defence: "after an error of the storage nothing more is written",
		edits: []edit{
			{"ledger/sequence.go", "l.fail(err) // before", "_ = err // before"},
			{"ledger/sequence.go", "l.sequence(batch); err != nil {\n\t\t\tl.fail(err)\n\t\t\treturn", "l.sequence(batch); err != nil {\n\t\t\tfor _, it := range batch {\n\t\t\t\tit.answer(Result{ID: it.id, Err: err})\n\t\t\t}\n\t\t\tcontinue"},
		},
		test: "./ledger TestFaults",
	},

	// What opening a ledger holds it to.
	{
		name: "open-chain", defence: "each commit follows the one before it",
		edits: []edit{{"ledger/record.go", "return r.seq == seq+1 && r.prev == sum && r.from == size", "return r.seq == seq+1 && r.from == size"}},
		test:  "./ledger TestRecord",
	},
	{
		name: "record-sum", defence: "a commit's bytes have their sum",
		edits: []edit{{"ledger/record.go", "if sha256.Sum256(body) != r.sum {", "if false && sha256.Sum256(body) != r.sum {"}},
		test:  "./ledger TestRecord",
	},
	{
		name: "open-root", defence: "the leaves of a commit give its root hash",
		edits: []edit{{"ledger/open.go", "if root != rec.root {", "if false && root != rec.root {"}},
		test:  "./ledger TestOpenCorrupt",
	},
	{
		name: "open-rules", defence: "every stored entry keeps to the rules",
		edits: []edit{{"ledger/open.go", "err = c.state.Admit(leaf, sigs[i])", "_ = c.state.Admit(leaf, sigs[i])"}},
		test:  "./ledger TestRestoreTail",
	},
	{
		name: "open-tiles", defence: "every stored tile is what the leaves give",
		edits: []edit{{"ledger/open.go", "case !bytes.Equal(b, c.tree.pendingBytes(id)):", "case false && b == nil:"}},
		test:  "./ledger TestCheckBits",
	},
	{
		name: "open-note", defence: "the newest note is that of the tree",
		edits: []edit{{"ledger/open.go", "if problem := noteProblem(msg, c); problem != \"\" {", "if problem := noteProblem(msg, c); false && problem != \"\" {"}},
		test:  "./ledger TestOpenCorrupt",
	},
	{
		name: "last-signed-size", defence: "a store that is older than the last-signed record does not sign",
		edits: []edit{{"ledger/open.go", "if s.have && s.last.size > l.newest.size {\n\t\treturn refuse(", "if false && s.last.size > l.newest.size {\n\t\treturn refuse("}},
		test:  "./ledger TestOldCopy",
	},
	{
		name: "last-signed-root", defence: "a store with another history than the last-signed record does not sign",
		edits: []edit{{"ledger/open.go", "if root != s.last.root {\n\t\t\treturn refuse(", "if false && root != s.last.root {\n\t\t\treturn refuse("}},
		test:  "./ledger TestOldCopy",
	},
	{
		name: "last-signed-keys", defence: "a last-signed record of other keys does not count",
		edits: []edit{{"ledger/open.go", "ours := s.have && !s.bad && s.last.origin == l.origin && s.last.keys == l.keys", "ours := s.have && !s.bad && s.last.origin == l.origin"}},
		test:  "./ledger TestOldCopy",
	},
	{
		name: "adopted-root", defence: "what is adopted is in the store",
		edits: []edit{{"ledger/open.go", "if root != adopt.Root {", "if false && root != adopt.Root {"}},
		test:  "./ledger TestOldCopy",
	},
	{
		name: "last-signed-slots", defence: "the newer sound slot of the last-signed record holds",
		edits: []edit{{"ledger/lastsigned.go", "} else if !s.have || r.count > s.last.count {", "} else if !s.have {"}},
		test:  "./ledger TestLastSigned",
	},
	{
		name: "last-signed-sum", defence: "a slot of the last-signed record is whole",
		edits: []edit{{"ledger/lastsigned.go", "return r, bytes.Equal(r.slot(), slot)", "return r, true"}},
		test:  "./ledger TestLastSigned",
	},
	{
		name: "last-signed-lock", defence: "one process holds the last-signed record",
		edits: []edit{{"ledger/file_unix.go", "if errors.Is(err, syscall.EWOULDBLOCK) {\n\t\treturn ErrInUse", "if errors.Is(err, syscall.EWOULDBLOCK) {\n\t\treturn nil"}},
		test:  "./ledger TestInUse",
	},

	// The store.
	{
		name: "store-lock", defence: "one process holds the store",
		edits: []edit{
			{
				"ledger/boltstore/boltstore.go", "s.db.AllocSize = growth",
				"s.db.AllocSize = growth\n\t\t\terr = unlock(s.file)",
			},
			{
				"ledger/boltstore/lock_unix.go", "// syncDir makes",
				"func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }\n\n// syncDir makes",
			},
		},
		test: "./ledger TestInUse",
	},
	{
		name: "store-sync", defence: "a commit is on the disk when it is acknowledged",
		edits: []edit{{"ledger/boltstore/boltstore.go", "NoStatistics: true,", "NoStatistics: true,\n\t\tNoSync:       true,"}},
		part:  "power",
	},
	{
		name: "directory-sync", defence: "the names of the store and of the last-signed record are durable",
		edits: []edit{
			{"ledger/file_unix.go", "return d.Sync()", "return nil"},
			{"ledger/boltstore/lock_unix.go", "return d.Sync()", "return nil"},
		},
		part: "power",
	},
	{
		name: "last-signed-power", defence: "the last-signed record never says less than was published, after a power cut",
		edits: []edit{{"ledger/lastsigned.go", "if err := s.sync(s.file); err != nil {", "if err := error(nil); err != nil {"}},
		part:  "power",
	},
	{
		name: "store-open-sync", defence: "nothing rests on what a killed process wrote before it is durable",
		edits: []edit{{"ledger/boltstore/boltstore.go", "err = s.disk.sync(s.db) // before", "err = nil // before"}},
		part:  "-cycles 3000 power",
	},
	{
		name: "store-open-renewed", defence: "nothing rests on what a sync that failed has left to be read",
		edits: []edit{{"ledger/boltstore/boltstore.go", "for number, b := range s.metas {", "for number, b := range s.metas[:0] {"}},
		test:  "./ledger/boltstore TestMetaPagesAreRenewed",
	},
	{
		name: "last-signed-whole", defence: "the last-signed record has its name when it is whole",
		edits: []edit{{"ledger/lastsigned.go", "if err := s.sync(f); err != nil {\n\t\treturn err\n\t}", "os.Link(f.Name(), s.path)\n\tdefer os.Remove(s.path)\n\tif err := s.sync(f); err != nil {\n\t\treturn err\n\t}"}},
		test:  "./ledger TestLastSigned",
	},
	{
		name: "file-sync", defence: "a file that a command says it has written is durable",
		edits: []edit{{"cmd/undersigned/app.go", "if err = f.Sync(); err != nil {", "if err = error(nil); err != nil {"}},
		part:  "power",
	},
	{
		name: "file-name", defence: "so is its name",
		edits: []edit{{"cmd/undersigned/app.go", "return syncDirectory(filepath.Dir(path))", "return nil"}},
		part:  "power",
	},
	{
		name: "key-sync", defence: "a key file that is said to be made is durable",
		edits: []edit{{"keys/source/file.go", "err = f.Sync()", "err = nil"}},
		part:  "power",
	},
	{
		name: "commit-objects", defence: "what goes with a commit is stored with it",
		edits: []edit{{"ledger/boltstore/boltstore.go", "\t\treturn put(objs, objects)\n\t})\n}\n\nfunc (s *store) Read(", "\t\treturn nil\n\t})\n}\n\nfunc (s *store) Read("}},
		test:  "./ledger/boltstore TestStore",
	},
	{
		name: "store-exists", defence: "a commit is created once",
		edits: []edit{{"ledger/boltstore/boltstore.go", "if commits.Get(commitKey(seq)) != nil {", "if false && commits.Get(commitKey(seq)) != nil {"}},
		test:  "./ledger/boltstore TestStore",
	},
	{
		name: "store-broken", defence: "after bbolt could not write, nothing of it is trusted",
		edits: []edit{{"ledger/boltstore/boltstore.go", "if err != nil && own == nil {\n\t\t\ts.broken.Store(true)", "if false && err != nil && own == nil {\n\t\t\ts.broken.Store(true)"}},
		test:  "./ledger/boltstore TestBroken",
	},
	{
		name: "store-pages", defence: "every page that bbolt would use is sound before it is used",
		edits: []edit{{"ledger/boltstore/boltstore.go", "if len(flaws) > 0 {\n\t\treturn nil, fmt.Errorf(", "if false && len(flaws) > 0 {\n\t\treturn nil, fmt.Errorf("}},
		test:  "./ledger/boltstore TestDamagedOpen",
	},
	{
		name: "object-crc", defence: "an object's bytes have their checksum",
		edits: []edit{{"ledger/boltstore/boltstore.go", "if !bytes.Equal(v, seal(path, data)) {", "if false && !bytes.Equal(v, seal(path, data)) {"}},
		test:  "./ledger/boltstore TestBits",
	},

	// What needs the machine to fail.
	{
		name: "last-signed-sync-error", defence: "a last-signed record that could not be made durable stops the ledger",
		edits: []edit{{"ledger/lastsigned.go", "if err := s.sync(s.file); err != nil {", "if err := s.sync(s.file); false && err != nil {"}},
		part:  "faults",
	},
	{
		name: "write-error", defence: "an error of the storage stops the ledger",
		edits: []edit{{"ledger/lastsigned.go", "if _, err := s.file.WriteAt(r.slot(), int64(r.count%2)*signedSlot); err != nil {", "if _, err := s.file.WriteAt(r.slot(), int64(r.count%2)*signedSlot); false && err != nil {"}},
		part:  "faults",
	},
	{
		name: "room", defence: "there is room for a batch before it is admitted",
		edits: []edit{{"ledger/sequence.go", "\treturn l.room(ctx, entries, bytes)", "\treturn nil"}},
		part:  "-cycles 3 full",
	},
	{
		name: "old-store", defence: "a store that is older than the last-signed record does not sign, in the program as well",
		edits: []edit{{"ledger/open.go", "if s.have && s.last.size > l.newest.size {\n\t\treturn refuse(", "if false && s.last.size > l.newest.size {\n\t\treturn refuse("}},
		part:  "-cycles 11 stale",
	},
	{
		name: "twin-lock", defence: "one process holds the last-signed record, whatever way leads to it",
		edits: []edit{{"ledger/file_unix.go", "if errors.Is(err, syscall.EWOULDBLOCK) {\n\t\treturn ErrInUse", "if errors.Is(err, syscall.EWOULDBLOCK) {\n\t\treturn nil"}},
		part:  "twins",
	},
	{
		name: "flipped-object", defence: "an object's bytes have their checksum, whoever asks",
		edits:  []edit{{"ledger/boltstore/boltstore.go", "if !bytes.Equal(v, seal(path, data)) {", "if false && !bytes.Equal(v, seal(path, data)) {"}},
		part:   "flips",
		within: true,
	},
	{
		name: "clock-ahead", defence: "a checkpoint says no time that later entries would contradict",
		edits: []edit{{"ledger/sequence.go", "uint64(max(0, admitted.Unix()))", "uint64(max(0, l.now().Unix()))"}},
		test:  "./ledger TestClockAheadAtASignature",
	},
	{
		name: "clock-years", defence: "a clock that jumps makes no record that contradicts itself",
		edits:  []edit{{"ledger/sequence.go", "uint64(max(0, admitted.Unix()))", "uint64(max(0, l.now().Unix()))"}},
		part:   "clock",
		within: true,
	},
	{
		name: "clock-range", defence: "no entry is admitted at a time that a leaf cannot say",
		edits: []edit{{"verify/roll/trial.go", "year < 1970 || year > 9999 {", "false && year > 9999 {"}},
		test:  "./verify/roll TestAdmittedOutOfRange",
	},

	// What keeps a ledger honest that is not its own: the witnesses, and whoever looks.
	{
		name: "start-larger", defence: "a ledger that is behind what witnesses have seen does not sign",
		edits: []edit{{"ledger/witnessed.go", "if c.Size > l.newest.size {", "if false {"}, {"ledger/witnessed.go", "refused.Problem = fmt.Sprintf(\"the tree of size %d, which %s has seen, cannot be computed from the store, which holds %d entries\", c.Size, s.Who, l.newest.size)\n\t\t\treturn refused", "continue"}},
		part:  "-cycles 6 witnesses",
	},
	{
		name: "start-other", defence: "a ledger whose history is another one than witnesses have seen does not sign",
		edits: []edit{{"ledger/witnessed.go", "if root != c.Root {", "if false && root != c.Root {"}},
		test:  "./ledger TestStartFindsFork",
	},
	{
		name: "start-quorum", defence: "a ledger signs nothing before enough witnesses have said what they saw",
		edits: []edit{{"ledger/witnessed.go", "if err == nil {\n\t\t\tbreak", "if err == nil || true {\n\t\t\tbreak"}},
		part:  "-cycles 5 witnesses",
	},
	{
		name: "fork-alarm", defence: "a ledger stops when a witness has another history with its signature",
		edits: []edit{{"ledger/witness/client.go", "if forked {\n", "if false && forked {\n"}},
		test:  "./ledger/witness TestClientForked",
	},
	{
		name: "quorum", defence: "nothing is published that a quorum has not cosigned",
		edits: []edit{{"ledger/witness/client.go", "if !enough {\n\t\treturn nil, fmt.Errorf(", "if false {\n\t\treturn nil, fmt.Errorf("}},
		part:  "-cycles 2 witnesses",
	},
	{
		name: "one-in-flight", defence: "one checkpoint at a time is on its way to the witnesses",
		edits: []edit{{"ledger/sequence.go", "\t\t\tpublished, err := l.publishNewest()\n", "\t\t\tgo l.publishNewest()\n\t\t\tpublished, err := true, error(nil)\n"}},
		test:  "./ledger TestOneInFlight",
	},
	{
		name: "witness-atomic", defence: "a witness compares with what it cosigned last, and replaces it, in one",
		edits: []edit{
			{"ledger/witness/server.go", "turn = make(chan struct{}, 1)", "turn = make(chan struct{}, 1<<10)"},
			{"ledger/witness/state.go", "if s.latest[w.Origin] != before {", "if false && s.latest[w.Origin] != before {"},
		},
		test: "./ledger/witness TestRace",
	},
	{
		name: "witness-keeps", defence: "a witness has on its disk what it cosigns before it answers",
		edits: []edit{{"ledger/witness/state.go", "n < 2 && err == nil; n++ {", "n < 0 && err == nil; n++ {"}},
		part:  "-cycles 4 witnesses",
	},
	{
		name: "witness-consistent", defence: "a witness cosigns only what continues what it cosigned",
		edits: []edit{{"ledger/witness/server.go", "latest.Root, sub.Root) == nil {", "latest.Root, sub.Root) == nil || true {"}},
		test:  "./ledger/witness TestStatuses",
	},
	{
		name: "two-copies", defence: "of two servers on full copies one is cosigned, by the program as well",
		edits: []edit{
			{"ledger/witness/server.go", "latest.Root, sub.Root) == nil {", "latest.Root, sub.Root) == nil || true {"},
			{"ledger/witness/server.go", "if sub.Root == latest.Root && len(sub.proof) == 0 {", "if len(sub.proof) == 0 {"},
		},
		part: "-cycles 60 copies",
	},
	{
		name: "witness-replays", defence: "a replaying witness cosigns no record that its rules refuse",
		edits: []edit{{"ledger/witness/server.go", "if s.Judge != nil {", "if false && s.Judge != nil {"}},
		test:  "./ledger/witness TestJudge",
	},
	{
		name: "mirror-keeps", defence: "a mirror has on its disk what it cosigns",
		edits: []edit{
			{"ledger/mirror/follower.go", "\tif err := f.flush(ctx); err != nil {\n\t\treturn nil, err\n\t}\n\tif !report.OK {", "\tif !report.OK {"},
			{"ledger/mirror/follower.go", "return report, f.agrees(ctx, report.Size)", "return report, nil"},
			{"ledger/mirror/mirror.go", "root, err := m.Copy.RootAt(ctx, c.Size)\n\tif err != nil {\n\t\treturn err", "root, err := c.Root, error(nil)\n\tif err != nil {\n\t\treturn err"},
		},
		test: "./ledger/mirror TestMirror",
	},
	{
		name: "operator", defence: "whoever watches notices a dishonest operator, as docs/dishonest-operator.md says",
		edits: []edit{{"ledger/mirror/monitor.go", "if s.Size > c.Size && (s.Seen()", "if false && s.Size > c.Size && (s.Seen()"}},
		test:  "./cmd/undersigned TestDishonestOperator",
	},
	{
		name: "monitor-fresh", defence: "a monitor tells of a view that is old",
		edits: []edit{{"ledger/mirror/monitor.go", "case !r.Fresh.IsZero() && r.now.Sub(r.Fresh) > r.m.MaxAge:", "case false:"}},
		test:  "./ledger/mirror TestMonitorAges",
	},
}

// errStale is why a sabotage says nothing any more.
var errStale = errors.New("the table of sabotages is out of date")

// sabotageLimit bounds what is to catch one.
const sabotageLimit = 20 * time.Minute

// runSabotages applies each of the named sabotages alone, or all of them, and prints what catches it.
func runSabotages(ctx context.Context, dir string, seed uint64, names string) int {
	chosen := sabotages
	if names != "all" {
		chosen = nil
		for _, name := range strings.Split(names, ",") {
			found := false
			for _, s := range sabotages {
				if s.name == name {
					chosen, found = append(chosen, s), true
				}
			}
			if !found {
				fmt.Fprintf(os.Stderr, "torture: there is no sabotage %q; the table is in sabotage.go\n", name)
				return exitUsage
			}
		}
	}
	if err := sound(ctx, chosen); err != nil {
		fmt.Fprintf(os.Stderr, "torture: %v\n", err)
		return exitCannot
	}
	code, caught := 0, 0
	fmt.Println("| defence | switched off by | caught by |")
	fmt.Println("|---|---|---|")
	for _, s := range chosen {
		by, err := s.catch(ctx, filepath.Join(dir, s.name), seed)
		if ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "torture: interrupted")
			return exitStopped
		}
		switch {
		case err != nil:
			by = "**could not be tried**: " + err.Error()
			code = max(code, exitCannot)
		case by == "":
			by, code = "**nothing**", exitFound
		default:
			caught++
		}
		fmt.Printf("| %s | %s, in %s | %s |\n", s.defence, s.name, s.edits[0].file, by)
	}
	fmt.Printf("\nsabotage: %d defences switched off, %d caught\n", len(chosen), caught)
	return code
}

// sound runs the tests of sabotages without any: what fails by itself catches nothing.
func sound(ctx context.Context, chosen []sabotage) error {
	patterns := make(map[string][]string) // by package
	for _, s := range chosen {
		if pkg, pattern, ok := strings.Cut(s.test, " "); ok && !slices.Contains(patterns[pkg], pattern) {
			patterns[pkg] = append(patterns[pkg], pattern)
		}
	}
	for pkg, all := range patterns {
		if out, err := goTool(ctx, "..", os.Environ(), "test", "-vet=off", "-run", strings.Join(all, "|"), pkg); err != nil {
			return fmt.Errorf("a test of %s fails without any sabotage: %w: %s %s", pkg, err, firstFailure(out), lastLine(out))
		}
	}
	return nil
}

// catch applies a sabotage and returns what caught it, "" if nothing did.
func (s *sabotage) catch(ctx context.Context, dir string, seed uint64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sabotageLimit)
	defer cancel()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	env, err := s.overlay(dir)
	if err != nil {
		return "", err
	}
	if s.part != "" {
		return s.catchByPart(ctx, dir, env, seed)
	}
	pkg, pattern, ok := strings.Cut(s.test, " ")
	if !ok {
		return "", fmt.Errorf("%w: neither a test nor a part", errStale)
	}
	out, err := goTool(ctx, "..", env, "test", "-vet=off", "-count=1", "-timeout=5m", "-run", pattern, pkg)
	var exit *exec.ExitError
	switch {
	case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
		return "", fmt.Errorf("%w: %s", errStale, bytes.Join(bytes.Fields(out), []byte(" ")))
	case bytes.Contains(out, []byte("[no tests to run]")):
		return "", fmt.Errorf("%w: no test is called %s in %s", errStale, pattern, pkg)
	case err == nil:
		return "", nil
	case !errors.As(err, &exit) || ctx.Err() != nil:
		return "", err
	}
	if name := firstFailure(out); name != "" {
		return fmt.Sprintf("%s in %s", name, pkg), nil
	}
	if bytes.Contains(out, []byte("panic: ")) {
		return fmt.Sprintf("a panic in %s %s", pattern, pkg), nil
	}
	return "", fmt.Errorf("go test: %s", lastLine(out))
}

// catchByPart builds the program with the sabotage and has a part find it out.
func (s *sabotage) catchByPart(ctx context.Context, dir string, env []string, seed uint64) (string, error) {
	bin := filepath.Join(dir, "undersigned")
	if out, err := goTool(ctx, "..", env, "build", "-trimpath", "-o", bin, "./cmd/undersigned"); err != nil {
		return "", fmt.Errorf("%w: %s", errStale, out)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if s.within {
		self = filepath.Join(dir, "torture")
		if out, err := goTool(ctx, ".", env, "build", "-trimpath", "-o", self, "."); err != nil {
			return "", fmt.Errorf("%w: %s", errStale, out)
		}
	}
	args := append([]string{"-bin", bin, "-tmp", dir, "-seed", fmt.Sprint(seed)}, strings.Fields(s.part)...)
	cmd := exec.CommandContext(ctx, self, args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case errors.As(err, &exit) && exit.ExitCode() == exitFound:
		return "`" + lastLine(out.Bytes()) + "`", nil
	}
	return "", fmt.Errorf("the part %s: %w: %s", s.part, err, lastLine(out.Bytes()))
}

// overlay writes the files as the edits change them, and returns an environment in which the go
// tool takes those for the ones in the source tree.
func (s *sabotage) overlay(dir string) ([]string, error) {
	root, err := filepath.Abs("..")
	if err != nil {
		return nil, err
	}
	var files struct{ Replace map[string]string }
	files.Replace = make(map[string]string)
	for i, e := range s.edits {
		path := filepath.Join(root, filepath.FromSlash(e.file))
		from := path
		if to, ok := files.Replace[path]; ok {
			from = to
		}
		b, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		if n := bytes.Count(b, []byte(e.old)); n != 1 {
			return nil, fmt.Errorf("%w: %s has what %s replaces %d times, not once", errStale, e.file, s.name, n)
		}
		files.Replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(files.Replace[path], bytes.Replace(b, []byte(e.old), []byte(e.new), 1), 0o600); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(files)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "overlay.json")
	return append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+path)), os.WriteFile(path, b, 0o600)
}

// goTool runs the go tool in a directory.
func goTool(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, env
	return cmd.CombinedOutput()
}

// firstFailure is the name of the first test that failed by the output of go test, "" if none did.
func firstFailure(out []byte) string {
	for line := range bytes.Lines(out) {
		if name, ok := bytes.CutPrefix(line, []byte("--- FAIL: ")); ok {
			return string(bytes.Fields(name)[0])
		}
	}
	return ""
}

// lastLine is the last line of an output that says something.
func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
