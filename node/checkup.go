package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"proofmark/crypto/roster"
	"proofmark/policy"
	"proofmark/store"
)

// Grade is how a check came out.
type Grade string

// The grades.
const (
	Good Grade = "ok"
	Warn Grade = "warning"
	Bad  Grade = "fault"
)

// Finding is one check of the doctor: what was found, and what to do where it is not good.
type Finding struct {
	Check string `json:"check"`
	Grade Grade  `json:"grade"`
	Says  string `json:"says"`
	Do    string `json:"do,omitempty"`
}

const (
	soonOver   = 30 * 24 * time.Hour // an entry that ends this soon is worth a word
	clockSlack = 10 * time.Minute
)

// Examine looks at a data folder without its passphrase and changes nothing: files and their rights, configuration, policy, disk, clock, ports, the entry
// that the roster's key holders were given. running says that the daemon has the ports.
func Examine(dir string, now time.Time, running bool) []Finding {
	var out []Finding
	add := func(check string, grade Grade, do, format string, args ...any) {
		out = append(out, Finding{check, grade, fmt.Sprintf(format, args...), do})
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		add("data folder", Bad, "Name the right folder with --data, or make a node with proofmark init.", "%s is no folder that can be opened.", dir)
		return out
	}
	if err := guardFolder(dir); err != nil {
		add("data folder", Bad, "Take the rights from others (chmod go-w, and chmod 600 for keys), and find out who changed them.", "%v", err)
	} else {
		add("data folder", Good, "", "Nobody but this account can change it.")
	}
	missing, damaged := keyFiles(dir)
	switch {
	case len(missing) > 0:
		add("keys", Bad, "Bring them back from a copy. Without master.key and keys.sealed nobody can open this node.", "Missing: %s.", strings.Join(missing, ", "))
	case len(damaged) > 0:
		add("keys", Bad, "Restore the node from its newest backup (proofmark restore): it brings its keys along.", "Damaged: %s.", strings.Join(damaged, ", "))
	default:
		add("keys", Good, "", "They are there, and whole.")
	}
	c, err := LoadConfig(dir)
	if err != nil {
		add("configuration", Bad, "Mend "+configFile+"; the message names the key and the line.", "%v", err)
		return out
	}
	add("configuration", Good, "", "%s (%s).", c.Country, c.Name)
	if _, err := policy.Load(os.DirFS(filepath.Join(dir, policyDir))); err != nil {
		add("sharing policy", Bad, "Mend the policy; until then the node does not start, and shares nothing.", "%v", err)
	} else {
		add("sharing policy", Good, "", "It loads and fits the schema.")
	}
	out = append(out, examineApproval(c), examineDisk(dir, c), examineClock(dir, now), examineEntry(dir, c, now))
	if !running {
		out = append(out, examinePorts(c)...)
	}
	return out
}

func examineDisk(dir string, c Config) Finding {
	path := filepath.Join(dir, storeDir)
	if err := databasePresent(path); err != nil {
		return Finding{"database", Bad, err.Error(), "Bring the database back; do not make a new node in its place."}
	}
	free, err := store.FreeBytes(path)
	if err != nil {
		return Finding{"disk", Bad, err.Error(), "Look whether the disk is mounted."}
	}
	reserve := c.Store.ReserveMB << 20
	says := fmt.Sprintf("%d MiB free, of which %d MiB are kept in reserve.", free>>20, c.Store.ReserveMB)
	switch {
	case free < reserve:
		return Finding{"disk", Bad, says, "Make room: the node takes no writes below its reserve."}
	case free < 4*reserve:
		return Finding{"disk", Warn, says, "Make room soon."}
	}
	return Finding{"disk", Good, says, ""}
}

// examineClock compares the clock with the youngest file of the database: time that ran back would number, expire and audit wrongly.
func examineClock(dir string, now time.Time) Finding {
	youngest := time.Time{}
	entries, err := os.ReadDir(filepath.Join(dir, storeDir))
	for _, e := range entries {
		if info, ierr := e.Info(); ierr == nil && info.ModTime().After(youngest) {
			youngest = info.ModTime()
		}
	}
	switch {
	case err != nil:
		return Finding{"clock", Warn, fmt.Sprintf("The database's files cannot be listed: %v", err), "Check the rights of " + storeDir + "."}
	case youngest.After(now.Add(clockSlack)):
		return Finding{"clock", Bad, fmt.Sprintf("It is %s here, and the database was written at %s.", now.UTC().Format(time.RFC3339), youngest.UTC().Format(time.RFC3339)),
			"Set the clock right (a time server), before the node runs again."}
	}
	return Finding{"clock", Good, "It agrees with the database: " + now.UTC().Format(time.RFC3339) + ".", ""}
}

// examineEntry reads the entry that was made for the key holders.
func examineEntry(dir string, c Config, now time.Time) Finding {
	b, err := os.ReadFile(MemberPath(dir))
	if err != nil {
		return Finding{"entry", Warn, err.Error(), "Bring it back from a copy; it is public."}
	}
	var m roster.Member
	entry, _, err := roster.ParseMemberFile(b)
	if err == nil {
		m, err = roster.OpenMember(entry)
	}
	switch {
	case err != nil:
		return Finding{"entry", Bad, fmt.Sprintf("%s cannot be read: %v", memberFile, err), "Bring it back from a copy; it is public."}
	case m.Country != c.Country:
		return Finding{"entry", Bad, fmt.Sprintf("%s is an entry of %s, this node is %s.", memberFile, m.Country, c.Country), "Find out which files were mixed up."}
	case !m.ValidAt(now):
		return Finding{"entry", Bad, fmt.Sprintf("It is not valid now (%s to %s).", m.ValidFrom.Format(time.DateOnly), m.ValidUntil.Format(time.DateOnly)), "Check the clock; otherwise send a new entry to the key holders."}
	case !m.ValidAt(now.Add(soonOver)):
		return Finding{"entry", Warn, "It ends on " + m.ValidUntil.Format(time.DateOnly) + ".", "Make a new entry with proofmark key renew and send it to the key holders."}
	}
	return Finding{"entry", Good, "It is valid until " + m.ValidUntil.Format(time.DateOnly) + ".", ""}
}

// examinePorts tries to take each address that the node would listen on, and gives it back.
func examinePorts(c Config) []Finding {
	var out []Finding
	for _, text := range c.Network.Listen {
		a, err := multiaddr.NewMultiaddr(text)
		if err == nil {
			err = tryListen(a)
		}
		if err != nil {
			out = append(out, Finding{"port", Bad, fmt.Sprintf("%s cannot be listened on: %v", text, err),
				"Stop the program that has the port, or choose another in " + configFile + " and send the key holders the new entry."})
			continue
		}
		out = append(out, Finding{"port", Good, text + " is free.", ""})
	}
	return out
}

func tryListen(a multiaddr.Multiaddr) error {
	network, host, err := manet.DialArgs(a)
	if err != nil {
		return err
	}
	if strings.HasPrefix(network, "udp") {
		conn, err := net.ListenPacket(network, host)
		if err != nil {
			return plain(err)
		}
		return conn.Close()
	}
	l, err := net.Listen(network, host)
	if err != nil {
		return plain(err)
	}
	return l.Close()
}

// plain takes what repeats the address from a network error.
func plain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// keyFiles looks at the files that hold the node's keys, as far as that can be done without the passphrase: whether they are there, and in their form.
func keyFiles(dir string) (missing, damaged []string) {
	for _, name := range []string{masterFile, keysFile, memberFile} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			missing = append(missing, name)
			continue
		}
		b, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
		f.Close()
		if err != nil || name != memberFile && !json.Valid(b) {
			damaged = append(damaged, name)
		}
	}
	return missing, damaged
}

// maxKeyFile bounds what is read of a file of keys.
const maxKeyFile = 1 << 20
