package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/crypto"
	"proofmark/node/control"
	"proofmark/node/freeport"
)

// patience is how long a script waits for a node: far longer than it takes, also under the race detector on a busy machine, and than a node waits between two tries.
const patience = 3 * time.Minute

func TestMain(m *testing.M) {
	// A program under the race detector sleeps for a second before it exits; these tests run hundreds.
	if os.Getenv("GORACE") == "" {
		must(os.Setenv("GORACE", "atexit_sleep_ms=20"))
	}
	testscript.Main(m, map[string]func(){
		"proofmark": func() {
			argonCost = crypto.TestCost
			main()
		},
		"genscan": func() { must(generate(os.Args[1:])) },
		"spoil":   func() { must(spoil(os.Args[1:])) },
		"genmask": func() { must(generateMask(os.Args[1:])) },
	})
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, ".config"))
			e.Setenv("TZ", "UTC")
			e.Setenv("GORACE", os.Getenv("GORACE"))
			for name, secret := range map[string]string{"pass": "seven red lamps in the harbour", "secret": "a grey heron stands on one leg"} {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), []byte(secret+"\n"), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport": freePort, "ready": ready, "idle": idle, "person": person, "fails": fails, "jsonenv": jsonEnv, "jose": jose,
			"configure": configure, "fetch": fetch, "graft": graft, "damage": damage,
		},
	})
}

// freePort VAR finds a port that is free for UDP and TCP on loopback.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	port, err := freeport.Find()
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(port))
}

// ready DATA… waits until the nodes take commands.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, args, func(control.Status) bool { return true })
}

// idle DATA… waits until the nodes have correlated and delivered everything, each seen so twice: a delivery gives the other one work.
func idle(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, append(append([]string{}, args...), args...), func(s control.Status) bool { return s.Idle })
}

// await asks each node for its status until all are as wanted in one round.
func await(ts *testscript.TestScript, dirs []string, wanted func(control.Status) bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		all := true
		var last error
		for _, dir := range dirs {
			c := control.Dial(ts.MkAbs(dir))
			s, err := control.Call[control.Status](context.Background(), c, "status", "", control.None{})
			c.Close()
			if err != nil || !wanted(s) {
				all, last = false, err
				break
			}
		}
		if all {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("waited %v for %v (last error: %v)", patience, dirs, last)
		}
	}
}

// person DATA NAME ROLE… has the administrator make an account, and its owner enrol; the session is NAME.session, the secret NAME.secret.
func person(ts *testscript.TestScript, _ bool, args []string) {
	data, name := args[0], args[1]
	add := []string{"--data", data, "--session", data + ".admin.session", "user", "add", name, "--code-file", name + ".code"}
	for _, role := range args[2:] {
		add = append(add, "--role", role)
	}
	ts.Check(ts.Exec("proofmark", add...))
	secret := name + ".secret" // no two accounts of a node have the same
	ts.Check(os.WriteFile(ts.MkAbs(secret), []byte("a grey heron watches "+name+"\n"), 0o600))
	ts.Check(ts.Exec("proofmark", "--data", data, "--session", name+".session", "login", name, "--code-file", name+".code", "--secret-file", secret))
}

// fails CODE PROGRAM ARGUMENT… runs a program that must end with this exit code.
func fails(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		ts.Fatalf("%v ended with %v, want exit code %s", args[1:], err, args[0])
	}
	if got := strconv.Itoa(exit.ExitCode()); got != args[0] {
		ts.Fatalf("%v ended with exit code %s, want %s", args[1:], got, args[0])
	}
}

// jsonEnv VAR PATH keeps a value of the JSON that the last command printed, such as 0.pair.
func jsonEnv(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	for _, step := range strings.Split(args[1], ".") {
		switch t := v.(type) {
		case map[string]any:
			v = t[step]
		case []any:
			i, err := strconv.Atoi(step)
			ts.Check(err)
			if i >= len(t) {
				ts.Fatalf("%s: the list has %d entries", args[1], len(t))
			}
			v = t[i]
		default:
			ts.Fatalf("%s: nothing at %s", args[1], step)
		}
	}
	if v == nil {
		ts.Fatalf("%s: there is no such value", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// generate FILE MAKER FIREARM SHOT writes a simulated scan; the numbers are seeds.
func generate(args []string) error {
	var seeds [3]uint64
	for i := range seeds {
		var err error
		if seeds[i], err = strconv.ParseUint(args[1+i], 10, 64); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := x3p.Write(&b, synth.NewMaker(seeds[0]).Firearm(seeds[1]).Fire(seeds[2], synth.Shot{Contact: 0.95})); err != nil {
		return err
	}
	return os.WriteFile(args[0], b.Bytes(), 0o644)
}

// generateMask SCAN PERCENT OUT draws a mask for a scan: its left side is light, that many hundredths of its width. Of 0 it is a picture of another size.
func generateMask(args []string) error {
	file, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	scan, err := x3p.Decode(file, x3p.Options{})
	if err != nil {
		return err
	}
	percent, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	m := image.NewGray(image.Rect(0, 0, scan.SizeX, scan.SizeY))
	if percent == 0 {
		m = image.NewGray(image.Rect(0, 0, 20, 10))
	}
	for i := range m.Pix {
		if i%m.Stride < m.Stride*percent/100 {
			m.Pix[i] = 0xff
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		return err
	}
	return os.WriteFile(args[2], b.Bytes(), 0o644)
}

// spoil HOW IN OUT makes a bad scan of a good one.
func spoil(args []string) error {
	good, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	bad := good
	switch args[0] {
	case "truncated":
		bad = good[:len(good)/2]
	case "empty":
		bad = nil
	case "lying": // says twice as many columns as there are
		bad, err = rewriteMain(good, func(n int) int { return 2 * n })
	case "huge":
		bad, err = rewriteMain(good, func(int) int { return 1_000_000 })
	case "enormous": // a hole in the file: it takes no disk
		if err := os.WriteFile(args[2], good, 0o644); err != nil {
			return err
		}
		return os.Truncate(args[2], x3p.DefaultLimits().MaxFile+1)
	default:
		return fmt.Errorf("unknown way to spoil a scan: %s", args[0])
	}
	if err != nil {
		return err
	}
	return os.WriteFile(args[2], bad, 0o644)
}

var sizeElement = regexp.MustCompile(`<SizeX>\s*(\d+)\s*</SizeX>`)

// rewriteMain changes the number of columns that main.xml states.
func rewriteMain(file []byte, change func(int) int) ([]byte, error) {
	in, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		if f.Name == "main.xml" {
			found := sizeElement.FindSubmatch(content)
			if found == nil {
				return nil, errors.New("main.xml has no SizeX")
			}
			n, err := strconv.Atoi(string(found[1]))
			if err != nil {
				return nil, err
			}
			content = sizeElement.ReplaceAll(content, fmt.Appendf(nil, "<SizeX>%d</SizeX>", change(n)))
		}
		w, err := out.Create(f.Name)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
