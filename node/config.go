package node

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/multiformats/go-multiaddr"
	"github.com/pelletier/go-toml/v2"

	"proofmark/protocol"
)

// Config is a node's configuration: proofmark.toml in its data folder. A key that is not listed here is an error that names it.
type Config struct {
	Country string  `toml:"country" comment:"ISO 3166-1 alpha-2 code of the country; fixed when the node was made"`
	Name    string  `toml:"name" comment:"name of the bureau, as members see it"`
	Network Network `toml:"network"`
	Store   Store   `toml:"store"`
	Log     Log     `toml:"log"`
	Monitor Monitor `toml:"monitor"`

	Exchange Exchange `toml:"exchange"`
	Custody  Custody  `toml:"custody,omitempty"`
	Witness  Witness  `toml:"witness,omitempty"`

	Retention Retention `toml:"retention,omitempty"`
	Approval  Approval  `toml:"approval,omitempty"`
}

// Custody says for which countries the node keeps sealed copies of backups.
type Custody struct {
	KeepDays int `toml:"keep_days,omitempty" default:"30" comment:"days for which a country's older chain of backups is kept after a newer one began; 30 unless another number stands here"`

	For map[string]string `toml:"for,omitempty" example:"\"2GB\"" comment:"country = size: how much room each country's sealed backups may take here, such as PT = \"2GB\""`
}

// Exchange says what the node does for members that cannot reach each other.
type Exchange struct {
	Relay     bool `toml:"relay" comment:"serve as a relay: pass on, unread, what members that cannot reach each other send each other"`
	UseRelays bool `toml:"use_relays" comment:"where members cannot reach this node: be reached, and reach others, through members that serve as relays"`
}

// Network says where members reach the node.
type Network struct {
	Listen   []string `toml:"listen" comment:"addresses to listen on (multiaddrs); QUIC first, TCP for networks that block UDP"`
	Announce []string `toml:"announce" comment:"addresses that the roster entry names, where they differ from those above: behind a gateway, for instance"`
}

// Store says how the database behaves.
type Store struct {
	ReserveMB uint64 `toml:"reserve_mb" comment:"writes stop with a clear error while less free disk space than this remains"`
}

// Monitor says where machines ask how the node is.
type Monitor struct {
	Listen    string `toml:"listen" comment:"host:port of health and Prometheus figures, such as 127.0.0.1:9464; empty: none"`
	TokenFile string `toml:"token_file" comment:"file (mode 0600) with the token, at least 24 bytes, that /metrics and /readyz are asked with"`
}

// Log says what the daemon logs.
type Log struct {
	Level string `toml:"level" comment:"debug, info, warn or error"`
}

// maxConfig bounds the configuration file before it is parsed.
const maxConfig = 1 << 20

// DefaultPort is where a node listens unless told otherwise.
const DefaultPort = 4931

// DefaultConfig is what init writes.
func DefaultConfig(country, name string) Config {
	return Config{
		Country: country,
		Name:    name,
		Network: Network{Listen: []string{
			fmt.Sprintf("/ip4/0.0.0.0/udp/%d/quic-v1", DefaultPort),
			fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", DefaultPort),
		}, Announce: []string{}},
		Store: Store{ReserveMB: 512},
		Log:   Log{Level: "info"},
	}
}

// ParseConfig reads a configuration strictly.
func ParseConfig(b []byte) (Config, error) {
	var c Config
	if len(b) > maxConfig {
		return c, fmt.Errorf("configuration of %d bytes, the limit is %d", len(b), maxConfig)
	}
	dec := toml.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		var unknown *toml.StrictMissingError
		if errors.As(err, &unknown) {
			names := make([]string, len(unknown.Errors))
			for i, e := range unknown.Errors {
				row, _ := e.Position()
				names[i] = fmt.Sprintf("%s (line %d)", strings.Join(e.Key(), "."), row)
			}
			return c, fmt.Errorf("unknown key %s: check the spelling, or remove it", strings.Join(names, ", "))
		}
		var bad *toml.DecodeError
		if errors.As(err, &bad) {
			row, col := bad.Position()
			return c, fmt.Errorf("line %d, column %d: %w", row, col, err)
		}
		return c, err
	}
	return c, c.Check()
}

// Check reports the first value that cannot be used, by its key.
func (c Config) Check() error {
	if _, err := protocol.ParseCountry(c.Country); err != nil {
		return fmt.Errorf("country: %w", err)
	}
	if n := strings.TrimSpace(c.Name); n == "" || n != c.Name || len(n) > 120 {
		return fmt.Errorf("name: a bureau's name has 1 to 120 bytes and no blanks around it")
	}
	if len(c.Network.Listen) == 0 {
		return fmt.Errorf("network.listen: name at least one address, such as /ip4/0.0.0.0/udp/%d/quic-v1", DefaultPort)
	}
	for key, list := range map[string][]string{"network.listen": c.Network.Listen, "network.announce": c.Network.Announce} {
		for _, a := range list {
			if _, err := multiaddr.NewMultiaddr(a); err != nil {
				return fmt.Errorf("%s: %q is not a multiaddr such as /ip4/192.0.2.1/tcp/%d: %w", key, a, DefaultPort, err)
			}
		}
	}
	if c.Monitor.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Monitor.Listen); err != nil {
			return fmt.Errorf("monitor.listen: %w: write it like 127.0.0.1:9464", err)
		}
		if c.Monitor.TokenFile == "" {
			return fmt.Errorf("monitor.token_file: the figures are shown to nobody without a token: name a file that holds one")
		}
	}
	if _, err := c.level(); err != nil {
		return fmt.Errorf("log.level: %w", err)
	}
	if d := c.Custody.KeepDays; d < 0 || d > 3650 {
		return fmt.Errorf("custody.keep_days: 1 to 3650 days, not %d", d)
	}
	if _, err := c.witnesses(); err != nil {
		return err
	}
	if _, err := c.periods(); err != nil {
		return err
	}
	if _, err := c.approvalTime(); err != nil {
		return err
	}
	_, err := c.grants()
	return err
}

func (c Config) level() (slog.Level, error) {
	var l slog.Level
	err := l.UnmarshalText([]byte(c.Log.Level))
	return l, err
}

// LoadConfig reads the configuration of the node in dir.
func LoadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, configFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Config{}, fmt.Errorf("%s is not a node's data folder (it has no %s): make one with `proofmark init --country PT --name \"NCB Lisbon\" --data %s`", dir, configFile, dir)
	}
	if err != nil {
		return Config{}, err
	}
	c, err := ParseConfig(b)
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// LogLevel is the configured level; Check has made sure that it is one.
func (c Config) LogLevel() slog.Level {
	l, _ := c.level()
	return l
}

// MemberPath is where a node keeps what it says of itself, signed, for the roster's key holders.
func MemberPath(dir string) string { return filepath.Join(dir, memberFile) }
