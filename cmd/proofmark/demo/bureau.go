package demo

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"proofmark/crypto"
	"proofmark/node"
	"proofmark/node/control"
	"proofmark/node/durable"
	"proofmark/node/people"
	"proofmark/policy"
	"proofmark/protocol"
)

// person is somebody who works at a bureau, with an own secret and session.
type person struct {
	bureau *bureau
	name   string // of the account
	full   string
	role   string
	client *control.Client
}

// bureau is one country's bureau: its data folder, its daemon, its people.
type bureau struct {
	country protocol.Country
	place   int // among the demo's bureaus
	name    string
	dir     string // data folder
	root    string // the demo's folder
	daemon  *supervisor

	admin        *person
	technician   *person
	examiner     *person
	second       *person // another examiner
	investigator *person
	operator     *person
	auditor      *person
}

func newBureau(root string, place int, c cast) *bureau {
	b := &bureau{country: c.country, place: place, name: c.name, root: root, dir: filepath.Join(root, strings.ToLower(string(c.country)))}
	for i, slot := range []struct {
		person **person
		role   string
	}{
		{&b.admin, policy.Administrator}, {&b.technician, policy.Technician}, {&b.examiner, policy.Examiner}, {&b.second, policy.Examiner},
		{&b.investigator, policy.Investigator}, {&b.operator, policy.NCBOperator}, {&b.auditor, policy.Auditor},
	} {
		full := c.people[i]
		*slot.person = &person{bureau: b, name: accountName(full), full: full, role: slot.role, client: control.Dial(b.dir)}
	}
	return b
}

// accountName makes a login of a person's name.
func accountName(full string) string {
	return strings.ReplaceAll(strings.ToLower(full), " ", ".")
}

// staff are the people whom the administrator lets in.
func (b *bureau) staff() []*person {
	return []*person{b.technician, b.examiner, b.second, b.investigator, b.operator, b.auditor}
}

func (b *bureau) logFile() string { return filepath.Join(b.dir, "daemon.log") }
func (b *bureau) pidFile() string { return filepath.Join(b.dir, "daemon.pid") }

// The passphrase lies apart from the folder that it opens.
func (b *bureau) passphraseFile() string {
	return filepath.Join(b.root, "keys", strings.ToLower(string(b.country))+".passphrase")
}

func (p *person) secretFile() string {
	return filepath.Join(p.bureau.root, "people", strings.ToLower(string(p.bureau.country))+"."+p.name+".secret")
}

func (p *person) sessionFile() string {
	return filepath.Join(p.bureau.root, "people", strings.ToLower(string(p.bureau.country))+"."+p.name+".session")
}

// newSecret draws 130 bits and keeps them in a file that only its owner can read.
func newSecret(file string) ([]byte, error) {
	raw := make([]byte, 20)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw))[:26]
	return []byte(text), durable.Replace(file, []byte(text+"\n"), 0o600)
}

// found makes the bureau's folder: keys, configuration, encrypted store, first administrator.
func (b *bureau) found(ctx context.Context, now func() time.Time, cost crypto.ArgonCost) error {
	passphrase, err := newSecret(b.passphraseFile())
	if err != nil {
		return err
	}
	secret, err := newSecret(b.admin.secretFile())
	if err != nil {
		return err
	}
	port, err := freePort(b.place)
	if err != nil {
		return err
	}
	config := node.DefaultConfig(string(b.country), b.name)
	config.Network.Listen = []string{fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", port), fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)}
	config.Store.ReserveMB = 64 // a trial holds little
	err = node.Init(ctx, b.dir, node.InitOptions{Config: config, Passphrase: passphrase, Admin: b.admin.name, Secret: secret, Cost: cost, Now: now})
	if err != nil {
		return fmt.Errorf("make the node of %s: %w", b.country, err)
	}
	return nil
}

// Ports below those that the system hands out by itself: a daemon that is started again finds its own still free.
const (
	lowestPort = 20000
	manyPorts  = 10000
)

// freePort finds a port that is free for UDP and TCP on loopback. Each bureau has ports of its own: another one's may be chosen, and nobody listens on it yet.
func freePort(place int) (int, error) {
	for range 200 {
		n, err := rand.Int(rand.Reader, big.NewInt(manyPorts/int64(len(casts))))
		if err != nil {
			return 0, err
		}
		port := lowestPort + int(n.Int64())*len(casts) + place
		tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			continue
		}
		udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err == nil {
			err = udp.Close()
		}
		if errors.Join(err, tcp.Close()) == nil {
			return port, nil
		}
	}
	return 0, errors.New("no free port on 127.0.0.1 between 20000 and 29999: stop other programs that listen there")
}

// run starts the daemon under supervision; fail is told if it cannot be kept running.
func (b *bureau) run(program string, fail func(error)) error {
	var err error
	args := []string{"run", "--data", b.dir, "--passphrase-file", b.passphraseFile()}
	b.daemon, err = supervise(program, args, b.logFile(), b.pidFile(), func(err error) { fail(fmt.Errorf("%s: %w", b.country, err)) })
	if err != nil {
		return fmt.Errorf("%s: %w", b.country, err)
	}
	return nil
}

// stop stops the daemon cleanly.
func (b *bureau) stop() error {
	if b.daemon == nil {
		return nil
	}
	for _, p := range append(b.staff(), b.admin) {
		p.client.Close()
	}
	if err := b.daemon.stop(); err != nil {
		return fmt.Errorf("%s: %w", b.country, err)
	}
	return nil
}

// login opens the person's session and keeps it for the command line. code is the enrolment code of a first login.
func (p *person) login(ctx context.Context, secret []byte, code string) error {
	s, err := call[people.Session](ctx, p, "login", control.LoginRequest{Name: p.name, Secret: string(secret), Code: code})
	if err != nil {
		return err
	}
	p.client.Token = s.Token
	b, err := json.Marshal(map[string]string{"data": p.bureau.dir, "name": p.name, "token": s.Token})
	if err != nil {
		return err
	}
	return durable.Replace(p.sessionFile(), b, 0o600)
}

// letIn has the administrator make an account, and the person set an own secret with the one-time code.
func (b *bureau) letIn(ctx context.Context, p *person) error {
	code, err := call[control.UserCode](ctx, b.admin, "user.add", control.UserRequest{Name: p.name, FullName: p.full, Roles: []string{p.role}})
	if err != nil {
		return err
	}
	secret, err := newSecret(p.secretFile())
	if err != nil {
		return err
	}
	return p.login(ctx, secret, code.Code)
}

// openDoors lets the administrator in, and everybody else after.
func (b *bureau) openDoors(ctx context.Context) error {
	secret, err := os.ReadFile(b.admin.secretFile())
	if err != nil {
		return err
	}
	if err := b.admin.login(ctx, []byte(strings.TrimSpace(string(secret))), ""); err != nil {
		return err
	}
	return each(b.staff(), func(p *person) error { return b.letIn(ctx, p) })
}

func (b *bureau) status(ctx context.Context) (control.Status, error) {
	return call[control.Status](ctx, b.admin, "status", control.None{})
}
