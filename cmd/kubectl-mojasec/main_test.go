package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kubectl-mojasec": main,
		"kubectl":         kubectl,
	})
}

// envKubectl names the real kubectl where there is a cluster for it.
const envKubectl = "MOJASEC_TEST_KUBECTL"

// kubectl runs "kubectl mojasec" as kubectl does: by the name of the plugin.
func kubectl() {
	if len(os.Args) < 2 || os.Args[1] != "mojasec" {
		if path := os.Getenv(envKubectl); path != "" {
			err := syscall.Exec(path, os.Args, os.Environ()) // returns only when it failed
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Args = append([]string{"kubectl-mojasec"}, os.Args[2:]...)
	main()
}

// TestScripts runs the program in the scripts of test/script, which are its
// manual by example.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../test/script",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a program and wants an exit code: exits CODE PROGRAM [ARG…].
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		failed, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = failed.ExitCode()
	}
	if got != want {
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
}

// TestSignal interrupts the program while it waits for its input.
func TestSignal(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "kubectl-mojasec", "verify", "-f", "-", "-o", "json")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The program takes signals once it reads: what fits into no pipe has been
	// read when it is written.
	if _, err := stdin.Write(bytes.Repeat([]byte("# wait\n"), 64<<10)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Wait()
	if failed, ok := errors.AsType[*exec.ExitError](err); !ok || failed.ExitCode() != 130 {
		t.Errorf("got %v, want exit code 130", err)
	}
	if !json.Valid(stdout.Bytes()) {
		t.Errorf("got stdout %q, want JSON", &stdout)
	}
}
