package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/node/backup"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/durable"
	"proofmark/protocol"
	"proofmark/store"
)

// backupFiles reads what a backup holds beside the database: not the master key, which a restore wraps anew, and not what can be lost.
func (n *Node) backupFiles() (files []backup.File, err error) {
	err = n.sharing.Steady(func() error {
		files, err = backup.FilesOf(os.DirFS(n.dir), []string{policyDir, modelDir}, []string{masterFile, indexFile, socketFile})
		return err
	})
	return files, err
}

// RestoreOptions say what a node is restored from.
type RestoreOptions struct {
	Parts      []backup.Part       // a chain, as backup.Gather found it
	Recovery   *crypto.RecoveryKey //
	Passphrase []byte              // the new one, which wraps the master key
	Cost       crypto.ArgonCost
	Now        func() time.Time
	Log        *slog.Logger
	Progress   func(file string, bytes int64) // may be nil
}

// Restored says what was put in place.
type Restored struct {
	Country  protocol.Country  `json:"country"`
	Data     string            `json:"data"`
	Made     time.Time         `json:"made"` // of the last backup
	Entries  int64             `json:"entries"`
	Files    int               `json:"files"` // backups
	Records  store.BackupCount `json:"records"`
	KeyID    string            `json:"signing_key"` // whose thumbprint the roster must name for the country
	Recovery string            `json:"recovery"`
}

// Restore makes a data folder from a chain of backups: everything is decrypted, loaded and verified in a folder beside it, which is made durable and renamed at the end. A
// failure, or a kill, leaves no node. The node knows from then on that it was restored.
func Restore(ctx context.Context, dir string, o RestoreOptions) (out *Restored, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Passphrase) < 12 {
		return nil, errors.New("the passphrase has fewer than 12 bytes; it protects every key and record of the country")
	}
	if err := backup.CheckOrder(o.Parts); err != nil {
		return nil, err
	}
	folder, err := durable.BeginFolder(dir)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists and is not empty: a node is never restored over something else; choose a new folder", dir)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Discard()) }()
	if out, err = restoreInto(ctx, folder.Path, o); err != nil {
		return nil, err
	}
	out.Data = dir
	return out, folder.Commit()
}

func restoreInto(ctx context.Context, tmp string, o RestoreOptions) (*Restored, error) {
	out := &Restored{Files: len(o.Parts)}
	var master crypto.MasterKey
	var loader *store.Loader
	var files []backup.File
	for i, part := range o.Parts {
		progress := func(n int64) {
			if o.Progress != nil {
				o.Progress(part.Name, n)
			}
		}
		err := backup.WithContent(ctx, part, o.Recovery, progress, func(c *backup.Content) (err error) {
			if i == 0 {
				master = c.Master
				if loader, err = store.OpenLoader(store.Options{Dir: filepath.Join(tmp, storeDir), Key: master.Derive("badger"), Reserve: 64 << 20, Log: o.Log}); err != nil {
					return err
				}
			} else if c.Master != master {
				return fmt.Errorf("%w: it is of a node with another master key than the file before it", backup.ErrChain)
			}
			n, err := loader.Load(ctx, c.Database())
			out.Records.Written += n.Written
			files = c.Files
			return err
		})
		if err != nil {
			if loader != nil {
				err = errors.Join(err, loader.Close())
			}
			return nil, err
		}
	}
	if err := loader.Close(); err != nil {
		return nil, err
	}
	if err := layRestored(tmp, files, master, o); err != nil {
		return nil, err
	}
	head := o.Parts[len(o.Parts)-1].Head
	out.Country, out.Made, out.Recovery, out.Entries = head.Country, head.Made, head.Recovery, head.Entries()
	out.KeyID = head.KeyID()
	return out, verifyRestored(ctx, tmp, master, head, o)
}

// layRestored writes the files of the data folder.
func layRestored(dir string, files []backup.File, master crypto.MasterKey, o RestoreOptions) error {
	wrapped, err := crypto.WrapMasterKey(master, o.Passphrase, rand.Reader, o.Cost)
	if err != nil {
		return err
	}
	for _, f := range append(slices.Clone(files), backup.File{Name: masterFile, Content: wrapped}) {
		path := filepath.Join(dir, filepath.FromSlash(f.Name)) // checked when the backup was read: relative, and no steps up
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// verifyRestored opens what was laid down as a node would, and holds that it is whole: keys, configuration, audit log and indexes. Then it leaves the
// entry that says that this is a restore.
func verifyRestored(ctx context.Context, dir string, master crypto.MasterKey, head *backup.Head, o RestoreOptions) (err error) {
	c, err := LoadConfig(dir)
	if err != nil {
		return err
	}
	sealed, err := os.ReadFile(filepath.Join(dir, keysFile))
	if err != nil {
		return fmt.Errorf("%w: it holds no keys", backup.ErrContent)
	}
	keys, err := crypto.OpenKeys(sealed, master)
	if err != nil {
		return fmt.Errorf("%w: %w", backup.ErrContent, err)
	}
	if c.Country != string(head.Country) || keys.Signer().KeyID() != head.KeyID() {
		return fmt.Errorf("%w: its head is signed for %s by key %s, it holds the keys of %s with %s: somebody else than the country made it",
			backup.ErrContent, head.Country, head.KeyID(), c.Country, keys.Signer().KeyID())
	}
	signer, err := keys.LogSigner(LogOrigin(c.Country))
	if err != nil {
		return err
	}
	s, err := store.Open(store.Options{Dir: filepath.Join(dir, storeDir), Key: master.Derive("badger"), Now: o.Now, Random: rand.Reader, Signer: signer, Log: o.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	checkpoint, err := s.Checkpoint()
	if err != nil || string(checkpoint) != head.Checkpoint {
		return errors.Join(fmt.Errorf("%w: the audit log in it does not end as its head says", backup.ErrContent), err)
	}
	verifier, err := note.NewVerifier(keys.LogVerifierKey(LogOrigin(c.Country)))
	if err != nil {
		return err
	}
	if _, err := s.VerifyAudit(ctx, verifier, nil); err != nil {
		return fmt.Errorf("%w: audit log: %w", backup.ErrContent, err)
	}
	if err := s.CheckIndexes(ctx); err != nil {
		return fmt.Errorf("%w: %w", backup.ErrContent, err)
	}
	return s.Update(ctx, func(tx *store.Tx) error { return declareRestore(tx, head) })
}

// declareRestore leaves the traces of a restore in the database itself.
func declareRestore(tx *store.Tx, head *backup.Head) error {
	tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Decision: "permit", Ground: "restore"},
		AuditBody: protocol.AuditBody{Actor: desk.Node.Name, Kind: "backup", Object: head.ID, Event: "restored from a backup", Details: map[string]string{
			"made": head.Made.UTC().Format(time.RFC3339), "entries": strconv.FormatInt(head.Entries(), 10), "checkpoint": head.Checkpoint}}})
	return errors.Join(backup.Forget(tx), desk.SkipNumbers(tx), dispatch.DeclareRestore(tx, head.Made, head.Checkpoint))
}
