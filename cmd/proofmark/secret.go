package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"
)

// maxSecret bounds a passphrase or secret file.
const maxSecret = 4 << 10

// readSecret reads a secret from a file that only its owner can read, from a systemd credential, or from the terminal; never from an argument. confirm asks
// for it twice at a terminal.
func (a *app) readSecret(what, file, credential string, confirm bool) ([]byte, error) {
	if file == "" && credential != "" {
		if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
			path := filepath.Join(dir, credential)
			if _, err := os.Stat(path); err == nil {
				return secretFile(what, path, false)
			}
		}
	}
	if file != "" {
		return secretFile(what, file, true)
	}
	tty, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return nil, fmt.Errorf("%s is needed: type it at a terminal, or name a file that only you can read with the matching --…-file flag", what)
	}
	s, err := a.prompt(tty, what)
	if err != nil || !confirm {
		return s, err
	}
	again, err := a.prompt(tty, what+" again")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(s, again) {
		return nil, fmt.Errorf("the two entries of %s differ", what)
	}
	return s, nil
}

func (a *app) prompt(tty *os.File, what string) ([]byte, error) {
	fmt.Fprintf(a.err, "%s: ", what)
	s, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(a.err)
	return s, err
}

// secretFile reads one line. A file of which others can read is refused: its secret is no secret.
func secretFile(what, path string, private bool) ([]byte, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if private && st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: others can read %s (mode %04o): chmod 600 it first", what, path, st.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if len(b) > maxSecret {
		return nil, fmt.Errorf("%s: %s is longer than %d bytes", what, path, maxSecret)
	}
	b = bytes.TrimRight(b, "\r\n")
	if len(b) == 0 {
		return nil, errors.New(what + ": " + path + " is empty")
	}
	return b, nil
}
