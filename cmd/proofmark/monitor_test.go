package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// configure FILE ADDRESS TOKENFILE sets the monitor in a node's configuration.
func configure(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	head, tail, ok := strings.Cut(string(b), "[monitor]")
	if !ok {
		ts.Fatalf("%s has no part [monitor]", path)
	}
	tail = strings.Replace(tail, "listen = ''", fmt.Sprintf("listen = '%s'", args[1]), 1)
	tail = strings.Replace(tail, "token_file = ''", fmt.Sprintf("token_file = '%s'", args[2]), 1)
	ts.Check(os.WriteFile(path, []byte(head+"[monitor]"+tail), 0o600))
}

// fetch URL [TOKENFILE] prints the status and the page.
func fetch(ts *testscript.TestScript, _ bool, args []string) {
	r, err := http.NewRequest(http.MethodGet, args[0], nil)
	ts.Check(err)
	if len(args) > 1 {
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[1])))
	}
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	ts.Check(err)
	_, err = fmt.Fprintf(ts.Stdout(), "%d\n%s", resp.StatusCode, page)
	ts.Check(err)
}
