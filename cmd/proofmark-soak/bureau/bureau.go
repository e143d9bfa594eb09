// Package bureau runs one node of a soak as a process of its own, keeps it running as a service manager would, and speaks to it through its command socket
// as people do. It refuses to know what the node is told to do.
package bureau

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"proofmark/cmd/proofmark-soak/terrain"
	"proofmark/crypto"
	"proofmark/node"
	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/node/people"
	"proofmark/policy"
	"proofmark/protocol"
)

// Bureau is one node.
type Bureau struct {
	Number  int
	Country protocol.Country
	Dir     string // data folder
	Admin   *Person
	Worker  *Person // technician, examiner, investigator and NCB operator
	Second  *Person // another examiner

	ground     *terrain.Ground
	program    string
	root       string
	disk       bool
	passphrase []byte
	daemon     daemon
}

// Person is somebody with an account.
type Person struct {
	bureau *Bureau
	name   string
	roles  []string
	secret []byte
	client *control.Client

	mu    sync.Mutex
	token string // of the session; another one after a jump of the clock
	renew sync.Mutex
}

// ReserveMB is the free space below which a node of a soak stops writing.
const ReserveMB = 48

// New prepares a bureau in root on a disk of so many megabytes.
func New(g *terrain.Ground, program, root string, number int, country protocol.Country, diskMB int) (*Bureau, error) {
	b := &Bureau{Number: number, Country: country, ground: g, program: program, root: root, Dir: filepath.Join(root, strings.ToLower(string(country)), "data")}
	var err error
	if b.disk, err = g.Disk(filepath.Dir(b.Dir), diskMB); err != nil {
		return nil, err
	}
	b.Admin = b.person("admin", policy.Administrator)
	b.Worker = b.person("worker", policy.Technician, policy.Examiner, policy.Investigator, policy.NCBOperator)
	b.Second = b.person("second", policy.Examiner)
	return b, nil
}

func (b *Bureau) person(name string, roles ...string) *Person {
	return &Person{bureau: b, name: name, roles: roles, client: control.Dial(b.Dir)}
}

// HasDisk tells whether the node has a disk of its own that can be filled.
func (b *Bureau) HasDisk() bool { return b.disk }

// Disk is the folder that its disk is mounted at.
func (b *Bureau) Disk() string { return filepath.Dir(b.Dir) }

// Passphrase opens the node's keys.
func (b *Bureau) Passphrase() []byte { return b.passphrase }

// LogFile is where the daemon's log goes: not onto the node's disk.
func (b *Bureau) LogFile() string {
	return filepath.Join(b.root, strings.ToLower(string(b.Country))+".log")
}

func (b *Bureau) passphraseFile() string {
	return filepath.Join(b.root, strings.ToLower(string(b.Country))+".passphrase")
}

// ClockFile holds by how much the node's clock is wrong, as a Go duration.
func (b *Bureau) ClockFile() string {
	return filepath.Join(b.root, strings.ToLower(string(b.Country))+".clock")
}

func secret() ([]byte, error) {
	raw := make([]byte, 20)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	return []byte(strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw))[:26]), nil
}

// Found makes the data folder and starts the daemon.
func (b *Bureau) Found(ctx context.Context, fail func(error)) error {
	var err error
	if b.passphrase, err = secret(); err != nil {
		return err
	}
	if b.Admin.secret, err = secret(); err != nil {
		return err
	}
	if err := errors.Join(replaceFile(b.passphraseFile(), append(b.passphrase, '\n')), b.SetClock(0)); err != nil {
		return err
	}
	config := node.DefaultConfig(string(b.Country), "Bureau of "+string(b.Country))
	config.Network.Listen = terrain.Multiaddrs(b.ground.Node(b.Number))
	config.Network.Announce = announced(terrain.Multiaddrs(b.ground.Proxy(b.Number)), b.Number)
	config.Store.ReserveMB = ReserveMB
	err = node.Init(ctx, b.Dir, node.InitOptions{Config: config, Passphrase: b.passphrase, Admin: b.Admin.name, Secret: b.Admin.secret, Cost: crypto.TestCost, Now: time.Now})
	if err != nil {
		return fmt.Errorf("make the node of %s: %w", b.Country, err)
	}
	if err := b.askFreely(); err != nil {
		return err
	}
	return b.daemon.start(b, fail)
}

var limitOfDay = regexp.MustCompile(`(?m)^limit = .*$`)

// askFreely raises the budgets of questions: a person of a soak asks more in ten minutes than one of a bureau in a day.
func (b *Bureau) askFreely() error {
	path := filepath.Join(b.Dir, "policy", "budgets.toml")
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return replaceFile(path, limitOfDay.ReplaceAll(raw, []byte("limit = 1000000")))
}

// announced leaves some nodes QUIC alone and some TCP alone, so that both are under way whatever the others prefer.
func announced(both []string, number int) []string {
	switch number % 3 {
	case 1:
		return both[:1]
	case 2:
		return both[1:]
	}
	return both
}

// Open logs the administrator in, makes the other accounts and logs them in.
func (b *Bureau) Open(ctx context.Context) error {
	if err := b.Admin.login(ctx, ""); err != nil {
		return err
	}
	for _, p := range []*Person{b.Worker, b.Second} {
		code, err := Do[control.UserCode](ctx, b.Admin, "user.add", control.UserRequest{Name: p.name, Roles: p.roles})
		if err != nil {
			return err
		}
		if p.secret, err = secret(); err != nil {
			return err
		}
		if err := p.login(ctx, code.Code); err != nil {
			return err
		}
	}
	return nil
}

// SetClock puts the node's clock wrong by d.
func (b *Bureau) SetClock(d time.Duration) error {
	return replaceFile(b.ClockFile(), []byte(d.String()+"\n"))
}

// Kill ends the daemon as a power cut would end it; it is started again.
func (b *Bureau) Kill() error { return b.daemon.kill() }

// Starts is how often the daemon was started.
func (b *Bureau) Starts() int { return b.daemon.count() }

// Stop ends the daemon in order.
func (b *Bureau) Stop() error {
	for _, p := range []*Person{b.Admin, b.Worker, b.Second} {
		p.client.Close()
	}
	return b.daemon.stop()
}

// login opens a session. A daemon that is away, or has no room to write, is waited for.
func (p *Person) login(ctx context.Context, code string) error {
	for {
		s, err := control.Call[people.Session](ctx, p.client, "login", "", control.LoginRequest{Name: p.name, Secret: string(p.secret), Code: code})
		if err == nil {
			p.mu.Lock()
			p.token = s.Token
			p.mu.Unlock()
			return nil
		}
		if errors.Is(err, desk.ErrForbidden) || errors.Is(err, desk.ErrInvalid) {
			if code == "" {
				return fmt.Errorf("%s of %s logs in: %w", p.name, p.bureau.Country, err)
			}
			code = "" // the first try has set the secret, and its answer was lost
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("%s of %s logs in: %w", p.name, p.bureau.Country, err)
		}
	}
}

// session is a client with the token in force.
func (p *Person) session() *control.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := *p.client
	c.Token = p.token
	return &c
}

// renewed logs in again, unless somebody else did it since used was in force: sessions end when a clock jumps ahead.
func (p *Person) renewed(ctx context.Context, used string) error {
	p.renew.Lock()
	defer p.renew.Unlock()
	if p.session().Token != used {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	return p.login(ctx, "")
}

// replaceFile replaces a file in one step.
func replaceFile(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
