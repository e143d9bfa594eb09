package freeport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// childVariable makes this program a process that gives ports until its input ends; its value is the claim that it tries first.
const childVariable = "PROOFMARK_FREEPORT_CHILD"

// many are more than a block has.
const many = block + block/2

func TestMain(m *testing.M) {
	s := os.Getenv(childVariable)
	if s == "" {
		os.Exit(m.Run())
	}
	var err error
	if start, err = strconv.Atoi(s); err == nil {
		for range many {
			var port int
			if port, err = Find(); err != nil {
				break
			}
			fmt.Println(port)
		}
	}
	if err != nil {
		fmt.Println(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// A port is given once, in one process and among several, although nobody listens on it yet.
func TestFind(t *testing.T) {
	seen := map[int]bool{}
	given := func(port int) {
		t.Helper()
		if seen[port] || port < first || port >= first+blocks*block {
			t.Fatalf("port %d, after %v", port, seen)
		}
		seen[port] = true
	}
	var others []*bufio.Scanner
	for range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", childVariable, start))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = in.Close()
			_ = cmd.Wait()
		})
		others = append(others, bufio.NewScanner(out))
	}
	for range many {
		port, err := Find()
		if err != nil {
			t.Fatal(err)
		}
		given(port)
		u, err := net.ListenPacket("udp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
	}
	for _, lines := range others { // all are still there
		for range many {
			if !lines.Scan() {
				t.Fatal("another process ended")
			}
			port, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(lines.Text())
			}
			given(port)
		}
	}
}
