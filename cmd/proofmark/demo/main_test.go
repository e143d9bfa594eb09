package demo

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"proofmark/crypto"
	"proofmark/node"
)

// The test binary is also the daemon of the federations that the tests run: with its arguments it runs a node as `proofmark run` does, under the same
// race detector as the test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "run" {
		if err := daemon(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "daemon:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if programDir != "" {
		if err := os.RemoveAll(programDir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

func daemon(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := map[string]string{}
	for i := 0; i+1 < len(args); i += 2 {
		flags[args[i]] = args[i+1]
	}
	passphrase, err := os.ReadFile(flags["--passphrase-file"])
	if err != nil {
		return err
	}
	n, err := node.Open(flags["--data"], []byte(strings.TrimSpace(string(passphrase))), node.Options{Now: time.Now, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Cost: crypto.TestCost})
	if err != nil {
		return err
	}
	return n.Run(ctx, nil)
}
