package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A control that puts a node's clock wrong exists for the soak alone: no program built without its tag has it, and the one that is released is built
// without any tag.
func TestReleasedProgramHasNoControlOfTheSoak(t *testing.T) {
	files := func(tags string) []string {
		out, err := exec.Command("go", "list", "-tags", tags, "-f", "{{join .GoFiles \" \"}}", ".").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	controls, err := filepath.Glob("*_soak.go")
	if err != nil || len(controls) == 0 {
		t.Fatalf("no control of the soak was looked at: %v %v", controls, err)
	}
	plain, soak := files(""), files("soak")
	for _, c := range controls {
		if slices.Contains(plain, c) || !slices.Contains(soak, c) {
			t.Errorf("%s is built without the tag, or not with it", c)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self) // this package, built without the tag
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Join([]string{"PROOFMARK", "SOAK", "CLOCK"}, "_") // joined when it runs, so that the test itself does not hold it
	if bytes.Contains(program, []byte(name)) {
		t.Errorf("%s is in a program built without the tag", name)
	}
	if !bytes.Contains(program, []byte("PROOFMARK_DATA")) {
		t.Error("not even the name of a variable that is in every program was found: the search finds nothing")
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, build, _ := strings.Cut(string(makefile), "\nbuild:")
	build, _, _ = strings.Cut(build, "\n\n")
	if !strings.Contains(build, "./cmd/proofmark") || strings.Contains(build, "-tags") {
		t.Errorf("make build is not without tags:%s", build)
	}
}
