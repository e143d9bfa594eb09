// Proofmark is one country's node in a federation of police forces that exchange ballistic signatures and firearm traces: daemon and command line in
// one binary. This package parses, calls and prints; it decides nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"proofmark/node/control"
)

// Exit codes: scripts may rely on them.
const (
	exitOK       = 0
	exitFailed   = 1 // the command was refused or failed; the message says why
	exitUsage    = 2 // the command line is wrong
	exitNoDaemon = 3 // the node is not running
	exitSession  = 4 // nobody is logged in
)

type cli struct {
	Globals

	Init   initCmd   `cmd:"" help:"Make a new node: keys, configuration, encrypted store, first administrator." group:"node"`
	Run    runCmd    `cmd:"" help:"Run the node until it is told to stop." group:"node"`
	State  stateCmd  `cmd:"" name:"status" help:"Say whether the node runs and under which addresses." group:"node"`
	Peers  peersCmd  `cmd:"" help:"Show how the node stands with each member." group:"node"`
	Doctor doctorCmd `cmd:"" help:"Find the usual troubles of a node, running or not, and say what to do."  group:"node"`

	Backup   backupCmd   `cmd:"" help:"Back up the running node, encrypted for its recovery key; check backups." group:"node"`
	Restore  restoreCmd  `cmd:"" help:"Make a node from backups and the recovery key." group:"node"`
	Recovery recoveryCmd `cmd:"" help:"Make and show the key that opens backups." group:"node"`
	Custody  custodyCmd  `cmd:"" help:"Sealed copies of backups at members: those of this node, and those that it keeps for others." group:"node"`

	Login  loginCmd  `cmd:"" help:"Open a session with your own secret." group:"people"`
	Logout logoutCmd `cmd:"" help:"End the session." group:"people"`
	Whoami whoamiCmd `cmd:"" help:"Show whose session this is." group:"people"`
	Secret secretCmd `cmd:"" help:"Change your own secret; your other sessions end." group:"people"`
	User   userCmd   `cmd:"" help:"Manage accounts." group:"people"`

	Join   joinCmd   `cmd:"" help:"Come into a federation with its anchor, which you were given, and a roster from a file or a member." group:"federation"`
	Roster rosterCmd `cmd:"" help:"Make, sign, show and install the list of members." group:"federation"`

	Key     keyCmd     `cmd:"" help:"Rotate this node's keys, and renew its entry in the roster." group:"federation"`
	Address addressCmd `cmd:"" help:"Announce new addresses of this node." group:"federation"`

	Document   documentCmd   `cmd:"" help:"List, show and save signed documents; verify them anywhere." group:"federation"`
	Approval   approvalCmd   `cmd:"" help:"Approve or refuse what policy lets go only with two people's consent." group:"federation"`
	Retention  retentionCmd  `cmd:"" help:"Keep, or purge for good, own records whose retention ends; prove that they are gone." group:"federation"`
	Permission permissionCmd `cmd:"" help:"Permit other countries what handling codes forbid without permission, and see what this one was permitted." group:"federation"`
	Policy     policyCmd     `cmd:"" help:"Check, test, explain and compare sharing policies." group:"federation"`
	Operation  operationCmd  `cmd:"" help:"Found, join, leave and end regional operations: groups of members for a purpose and a time." group:"federation"`
	Bundle     bundleCmd     `cmd:"" help:"Carry the exchange on a medium where no network reaches." group:"federation"`

	Case       caseCmd       `cmd:"" help:"Open and list cases." group:"laboratory"`
	Incident   incidentCmd   `cmd:"" help:"Record what happened in a case." group:"laboratory"`
	Exhibit    exhibitCmd    `cmd:"" help:"Enter and show exhibits." group:"laboratory"`
	Acquire    acquireCmd    `cmd:"" help:"Enter a scan of an exhibit: signature, publication and correlation follow." group:"laboratory"`
	Candidates candidatesCmd `cmd:"" help:"List, show and review correlation candidates." group:"laboratory"`
	Lead       leadCmd       `cmd:"" help:"Release, acknowledge, retract leads and give feedback." group:"laboratory"`
	Hit        hitCmd        `cmd:"" help:"Confirm a hit on the physical evidence, and verify it." group:"laboratory"`
	Scan       scanCmd       `cmd:"" help:"Ask other countries for full scans, release own ones, save what was received." group:"laboratory"`
	X3P        x3pCmd        `cmd:"" name:"x3p" help:"Look at scan files, check, draw and convert them; no node is needed." group:"laboratory"`
	Compare    compareCmd    `cmd:"" help:"Compare two scans, or two bullets, and draw what was found; no node is needed." group:"laboratory"`
	Evaluate   evaluateCmd   `cmd:"" help:"Measure the comparison on a folder of labelled scans; no node is needed." group:"laboratory"`
	Calibrate  calibrateCmd  `cmd:"" help:"Fit a likelihood ratio on a folder of labelled scans; no node is needed." group:"laboratory"`

	Firearm firearmCmd `cmd:"" help:"Keep and search firearm records." group:"tracing"`
	Trace   traceCmd   `cmd:"" help:"Ask other countries for a firearm's history, and answer them." group:"tracing"`

	Audit   auditCmd   `cmd:"" help:"Verify and query the audit log." group:"oversight"`
	Witness witnessCmd `cmd:"" help:"Cosignatures of members on each other's audit logs, and proof where a log was put back or forked." group:"oversight"`
	Budget  budgetCmd  `cmd:"" help:"Show how many questions may still be asked, by you and by other countries." group:"oversight"`

	Schema schemaCmd `cmd:"" help:"Print the JSON Schemas of the documents that are exchanged; no node is needed." group:"federation"`

	Demo     demoCmd     `cmd:"" help:"Run a federation of three bureaus on this machine." group:"try"`
	Practice practiceCmd `cmd:"" help:"Make material to practise with." group:"try"`
	Version  versionCmd  `cmd:"" help:"Show the version of this program." group:"try"`
}

// Globals are the flags that every command knows.
type Globals struct {
	Data    string `help:"Data folder of the node." env:"PROOFMARK_DATA" default:"." type:"path"`
	Session string `help:"File of the session; the default is one for each node and account of this machine." env:"PROOFMARK_SESSION" type:"path"`
	JSON    bool   `help:"Print JSON instead of text."`

	Why string `help:"Why you do this, for the audit log; needed where the policy says so." env:"PROOFMARK_WHY" placeholder:"TEXT"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c cli
	exit := -1
	parser, err := kong.New(&c,
		kong.Name("proofmark"),
		kong.Description("A federated exchange node for police forces: ballistic signatures and firearm traces, under each country's own policy."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.UsageOnError(),
		kong.ExplicitGroups([]kong.Group{
			{Key: "node", Title: "The node"}, {Key: "people", Title: "People"}, {Key: "federation", Title: "The federation"},
			{Key: "laboratory", Title: "Laboratory"}, {Key: "tracing", Title: "Tracing"}, {Key: "oversight", Title: "Oversight"}, {Key: "try", Title: "Try it"},
		}))
	if err != nil {
		fmt.Fprintln(stderr, "proofmark:", err) // a mistake in the declarations above
		return exitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 { // --help was printed
		return exit
	}
	if err != nil {
		fmt.Fprintf(stderr, "proofmark: %s\nproofmark --help lists the commands, proofmark COMMAND --help the flags of one.\n", printableLines(err.Error()))
		return exitUsage
	}
	a := &app{Globals: c.Globals, ctx: ctx, in: stdin, out: stdout, err: stderr}
	defer a.close()
	err = parsed.Run(a)
	if err != nil {
		fmt.Fprintln(stderr, "proofmark:", printableLines(err.Error()))
	}
	if err == nil || a.shown {
		if serr := a.settle(); serr != nil {
			fmt.Fprintln(stderr, "proofmark:", printableLines(serr.Error()))
		}
	}
	if err != nil {
		switch {
		case errors.Is(err, control.ErrNoDaemon):
			return exitNoDaemon
		case errors.Is(err, control.ErrNoSession):
			return exitSession
		}
		return exitFailed
	}
	return exitOK
}

// printableLines is printable for an error, which may have several lines and may quote what other countries or files say.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = printable(l)
	}
	return strings.Join(lines, "\n")
}
