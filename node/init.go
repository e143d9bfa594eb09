package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/durable"
	"proofmark/policy"
)

// The files of a data folder.
const (
	configFile = "proofmark.toml"
	masterFile = "master.key"  // the master key, wrapped by the passphrase
	keysFile   = "keys.sealed" // the country's keys, sealed under the master key
	memberFile = "member.jws"  // what the node says of itself, signed: public, for the roster's key holders
	policyDir  = "policy"
	modelDir   = "calibration"  // the bureau's own calibrations, if it has any
	indexFile  = "index.sealed" // what the index held, to begin with after a restart; it may be lost
	storeDir   = "store"
	socketFile = "proofmark.sock"
)

// memberYears is how long a member entry is valid.
const memberYears = 3

// InitOptions say what a new node is.
type InitOptions struct {
	Config     Config
	Passphrase []byte // wraps the master key
	Admin      string // account name of the first administrator
	Secret     []byte // that person's own secret
	Cost       crypto.ArgonCost
	Now        func() time.Time
}

// Init makes a node's data folder: configuration, keys, default policy, an empty encrypted store and the first administrator. It is made beside dir,
// made durable and renamed at the end: a failure leaves nothing.
func Init(ctx context.Context, dir string, o InitOptions) (err error) {
	if err := o.Config.Check(); err != nil {
		return err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Passphrase) < 12 {
		return errors.New("the passphrase has fewer than 12 bytes; it protects every key and record of the country")
	}
	folder, err := durable.BeginFolder(dir)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists and is not empty: a node is never made over something else; choose a new folder", dir)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Discard()) }()
	if err := lay(folder.Path, o); err != nil {
		return err
	}
	n, err := Open(folder.Path, o.Passphrase, Options{Now: o.Now, Cost: o.Cost, offline: true})
	if err != nil {
		return err
	}
	if err := errors.Join(n.people.CreateFirst(ctx, o.Admin, o.Secret), n.Close()); err != nil {
		return err
	}
	return folder.Commit()
}

// lay writes every file of a new data folder but the store.
func lay(dir string, o InitOptions) error {
	config, err := o.Config.Text()
	if err != nil {
		return err
	}
	master, err := crypto.NewMasterKey(rand.Reader)
	if err != nil {
		return err
	}
	wrapped, err := crypto.WrapMasterKey(master, o.Passphrase, rand.Reader, o.Cost)
	if err != nil {
		return err
	}
	keys, err := crypto.GenerateKeys(rand.Reader)
	if err != nil {
		return err
	}
	sealed, err := keys.Seal(master)
	if err != nil {
		return err
	}
	member, err := MemberEntry(o.Config, keys, o.Now())
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{configFile: config, masterFile: wrapped, keysFile: sealed, memberFile: []byte(member)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	if err := os.CopyFS(filepath.Join(dir, policyDir), policy.DefaultFiles()); err != nil {
		return err
	}
	return keepPrivate(filepath.Join(dir, policyDir))
}

// announcedAddresses are those under which the configuration says that others reach the node.
func announcedAddresses(c Config) ([]string, error) {
	if len(c.Network.Announce) > 0 {
		return c.Network.Announce, nil
	}
	return reachable(c.Network.Listen)
}

// MemberEntry signs what a node says of itself for the roster.
func MemberEntry(c Config, keys *crypto.Keys, now time.Time) (string, error) {
	id, err := peerID(keys)
	if err != nil {
		return "", err
	}
	addresses, err := announcedAddresses(c)
	if err != nil {
		return "", err
	}
	return roster.SignMember(roster.Member{
		Country: c.Country, Name: c.Name, PeerIDs: []string{id}, Addresses: addresses,
		SigningKeys: rawList(keys.SigningJWK()), SealingKeys: rawList(keys.SealingJWK()), LogKey: keys.LogVerifierKey(LogOrigin(c.Country)),
		ValidFrom: now, ValidUntil: now.AddDate(memberYears, 0, 0),
	}, keys.Signer())
}

// LogOrigin names a country's audit log in its checkpoints.
func LogOrigin(country string) string { return "proofmark." + country }
