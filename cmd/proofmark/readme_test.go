package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"proofmark/node/freeport"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// step is one command of a page and what the page shows of its output.
type step struct {
	line    int // of the page, from 1
	command string
	shown   []string
}

// fails says whether the page shows the command refused: it prints an error of this program.
func (s *step) fails() bool {
	return slices.ContainsFunc(s.shown, func(l string) bool { return strings.HasPrefix(l, "proofmark: ") })
}

// steps reads the commands of every console block of a page, in order. A line that begins with "$ " is a command, which a backslash at its end carries on
// to the next line; all other lines are output of the command before.
func steps(page string) ([]step, error) {
	var out []step
	inside, carried := false, false
	fence := ""
	for i, l := range strings.Split(page, "\n") {
		switch {
		case strings.HasPrefix(l, "```"):
			if carried {
				return nil, fmt.Errorf("line %d: the command before ends with a backslash and has no next line", i+1)
			}
			if fence == "" {
				fence, inside = l, l == "```console"
			} else {
				fence, inside = "", false
			}
			if inside {
				out = append(out, step{line: i + 1}) // output belongs to a command of its own block
			}
		case !inside:
		case carried:
			last := &out[len(out)-1]
			last.command += "\n" + l
			carried = strings.HasSuffix(l, `\`)
		case strings.HasPrefix(l, "$ "):
			out = append(out, step{line: i + 1, command: l[2:]})
			carried = strings.HasSuffix(l, `\`)
		case strings.TrimSpace(l) != "":
			last := &out[len(out)-1]
			if last.command == "" {
				return nil, fmt.Errorf("line %d: output before the first command of its block", i+1)
			}
			last.shown = append(last.shown, l)
		}
	}
	if fence != "" {
		return nil, errors.New("a block is not closed")
	}
	return slices.DeleteFunc(out, func(s step) bool { return s.command == "" }), nil
}

// shownIn says whether a line that the page shows stands in the output: … stands for any text, and runs of blanks are alike.
func shownIn(line, output string) bool {
	var parts []string
	for _, p := range strings.Split(line, "…") {
		words := strings.Fields(p)
		for i, w := range words {
			words[i] = regexp.QuoteMeta(w)
		}
		parts = append(parts, strings.Join(words, `\s+`))
	}
	want := regexp.MustCompile(`^\s*` + strings.Join(parts, `.*`) + `\s*$`)
	return slices.ContainsFunc(strings.FieldsFunc(output, func(r rune) bool { return r == '\n' || r == '\r' }), want.MatchString)
}

func TestSteps(t *testing.T) {
	page := "text\n```console\n$ one \\\n    more\nout 1\n\nout 2\n$ two\nproofmark: no\n```\n```go\n$ not one\n```\n```console\n$ three\n```\n"
	got, err := steps(page)
	if err != nil {
		t.Fatal(err)
	}
	want := []step{{3, "one \\\n    more", []string{"out 1", "out 2"}}, {8, "two", []string{"proofmark: no"}}, {15, "three", nil}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got[0].fails() || !got[1].fails() {
		t.Error("a command fails where its output begins with the program's name, and only there")
	}
	for _, bad := range []string{"```console\n$ one\n", "```console\nout\n```\n", "```console\n$ one \\\n```\n", "```console\n$ one\n```\n```console\nout\n```\n"} {
		if got, err := steps(bad); err == nil {
			t.Errorf("%q is read as %+v, want an error", bad, got)
		}
	}
}

func TestShownIn(t *testing.T) {
	for _, c := range []struct {
		line, output string
		want         bool
	}{
		{"PT  NCB", "x\nPT       NCB\ny", true},
		{"PT  NCB", "PT NCB Lisbon", false},
		{"PT …", "PT NCB Lisbon", true},
		{"… is made in …", "The node is made in /x", true},
		{"…/… cells", "17/19 cells", true},
		{"a.c", "abc", false},
		{"b", "a\rb\n", true},
		{"one two", "one\ntwo", false},
	} {
		if got := shownIn(c.line, c.output); got != c.want {
			t.Errorf("shownIn(%q, %q) = %v", c.line, c.output, got)
		}
	}
}

var loopbackPort = regexp.MustCompile(`/ip4/127\.0\.0\.1/(udp|tcp)/(\d+)`)

// freePorts gives each port that the page names one that is free here.
func freePorts(t *testing.T, list []step) {
	t.Helper()
	given := map[string]string{}
	for i := range list {
		list[i].command = loopbackPort.ReplaceAllStringFunc(list[i].command, func(addr string) string {
			m := loopbackPort.FindStringSubmatch(addr)
			if given[m[2]] == "" {
				port, err := freeport.Find()
				if err != nil {
					t.Fatal(err)
				}
				given[m[2]] = strconv.Itoa(port)
			}
			return "/ip4/127.0.0.1/" + m[1] + "/" + given[m[2]]
		})
	}
}

// TestReadme types the whole of README.md into one shell, in a folder of its own.
func TestReadme(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := steps(string(page))
	if err != nil {
		t.Fatalf("README.md: %v", err)
	}
	list = checkTargets(t, root, list)
	if len(list) < 40 {
		t.Fatalf("README.md has %d commands: the first day of four roles takes more", len(list))
	}
	freePorts(t, list)
	dir, err := os.MkdirTemp("", "readme-") // short: the kernel bounds the path of a command socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	reached := typeAll(t, dir, list)
	for i, s := range list {
		if i >= reached {
			t.Fatalf("README.md:%d: the shell did not get to: %s\n%s", s.line, s.command, logs(dir))
		}
		output := read(t, dir, i, "out")
		code := strings.TrimSpace(read(t, dir, i, "code"))
		if failed := code != "0"; failed != s.fails() {
			t.Errorf("README.md:%d: exit code %s of: %s\n%s", s.line, code, s.command, output)
		}
		for _, l := range s.shown {
			if !shownIn(l, output) {
				t.Errorf("README.md:%d: %s\nshould print:\n%s\nbut printed:\n%s", s.line, s.command, l, output)
			}
		}
	}
}

// checkTargets takes out the commands that are make's, after seeing that the Makefile has their targets.
func checkTargets(t *testing.T, root string, list []step) []step {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list, func(s step) bool {
		words := strings.Fields(s.command)
		if words[0] != "make" {
			return false
		}
		for _, target := range words[1:] {
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).Match(makefile) {
				t.Errorf("README.md:%d: the Makefile has no target %s", s.line, target)
			}
		}
		return true
	})
}

// wholeDay is how long the page may take: far longer than it does, also under the race detector on a busy machine.
const wholeDay = 8 * time.Minute

// typeAll has one shell run the commands, each with its output in N.out and its exit code in N.code, up to the first that fails though the page does not
// show it fail. It returns how many commands were begun and ended. Nothing that the shell started is left behind.
func typeAll(t *testing.T, dir string, list []step) int {
	t.Helper()
	var script strings.Builder
	for i, s := range list {
		file := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(file+".sh", []byte(s.command+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&script, ". %[1]s.sh > %[1]s.out 2>&1 < /dev/null; code=$?; echo $code > %[1]s.code\n", file)
		if !s.fails() {
			script.WriteString("[ $code -eq 0 ] || exit 1\n")
		}
	}
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wholeDay)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-c", script.String())
	shell.Dir = dir
	shell.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PROOFMARK_") })
	shell.Env = append(shell.Env, "TMPDIR="+tmp, "HOME="+dir, "XDG_CONFIG_HOME="+filepath.Join(dir, ".config"), "TZ=UTC", "LC_ALL=C.UTF-8")
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the daemons are in the shell's group
	killGroup := func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	shell.Cancel = killGroup
	var said bytes.Buffer
	shell.Stdout, shell.Stderr = &said, &said
	err := shell.Run()
	if shell.Process != nil {
		if kerr := killGroup(); kerr != nil && !errors.Is(kerr, syscall.ESRCH) {
			t.Error(kerr)
		}
	}
	if err != nil || said.Len() > 0 {
		t.Logf("the shell ended with %v\n%s", err, said.String())
	}
	for i := range list {
		if _, err := os.Stat(filepath.Join(dir, strconv.Itoa(i)+".code")); err != nil {
			return i
		}
	}
	return len(list)
}

var linked = regexp.MustCompile(`\]\(([^)#:]+)\)`)

func TestReadmeLinks(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := linked.FindAllSubmatch(page, -1)
	if len(found) < 4 {
		t.Fatalf("README.md links %d files of the project, and says where to read on", len(found))
	}
	for _, m := range found {
		if _, err := os.Stat(filepath.Join("../..", string(m[1]))); err != nil {
			t.Errorf("README.md: %v", err)
		}
	}
}

// TestPictureFlag: the command that README.md names beside the picture is understood, and draws no real exhibits.
func TestPictureFlag(t *testing.T) {
	code, _, stderr := inProcess(t, "demo", "--once", "--picture", filepath.Join(t.TempDir(), "x.svg"), "--scans", t.TempDir())
	if code != exitFailed || !strings.Contains(stderr, "simulated scans only") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func logs(dir string) string {
	var b strings.Builder
	found, _ := filepath.Glob(filepath.Join(dir, "tmp", "*", "*.log")) // the pattern is well formed
	for _, f := range found {
		text, err := os.ReadFile(f)
		fmt.Fprintf(&b, "%s: %s %v\n", filepath.Base(f), text, err)
	}
	return b.String()
}

func read(t *testing.T, dir string, i int, what string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.%s", i, what)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
