// Undersigned is a public, append-only record of who signed a statement, which text, and when, that
// anybody can check without trusting whoever runs it. This is its one program: it keeps a record,
// signs what goes into one, and checks all of it.
//
//	$ undersigned verify --policy policy.txt --statement statement.txt apnic.net.tlog-proof
//
// Standard output carries data, and its first line is the answer; what is said along the way goes to
// standard error. "-" is standard input. Flags beat variables (UNDERSIGNED_POLICY for --policy), which
// beat lines "policy FILE" in $XDG_CONFIG_HOME/undersigned/config. No secret is ever in either.
//
// Exit codes, of which the gravest applies: 20 the record contradicts itself · 21 not enough
// witnesses, or they disagree · 13 bad signature, or the key is not theirs · 10 the text differs ·
// 12 endorsed, but withdrawn or superseded · 11 no endorsement found · 3 could not check (network,
// a file that is missing or cannot be read, stale copy) · 0 nothing contradicts it. Beside them: 1 error · 2 usage · 130 interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/tccm/undersigned/ledger/server/assets"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// run is the program: args are without its name, env is as os.Environ returns it. When ctx ends it stops
// in good order. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	a := newApp(stdin, stdout, stderr, env)
	err := a.run(ctx, args)
	code := exitCode(ctx, err)
	switch {
	case code == codeInterrupted:
		fmt.Fprintln(stderr, "undersigned: interrupted")
	case err != nil && !errors.Is(err, errSaid):
		fmt.Fprintf(stderr, "undersigned: %s\n", spelled(err.Error()))
	}
	if err == nil && a.writeErr != nil {
		fmt.Fprintf(stderr, "undersigned: cannot write the answer: %v\n", a.writeErr)
		return codeError
	}
	return code
}

// run parses the arguments and runs the command.
func (a *app) run(ctx context.Context, args []string) error {
	settings, err := readSettings(a.env)
	if err != nil {
		return err
	}
	if settings.skip != nil {
		a.sayf("The configuration is left out: %v\n", settings.skip)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parser, err := newParser(a, settings, grammar(args[0], settings))
	if err != nil {
		return err // a mistake in the grammar
	}
	parsed, err := parser.Parse(args)
	if errors.Is(err, errHelp) {
		return nil
	}
	if err != nil {
		hint := "undersigned --help"
		var bad *kong.ParseError
		if errors.As(err, &bad) && bad.Context != nil {
			if node := bad.Context.Selected(); node != nil {
				hint = node.FullPath() + " --help"
			}
		}
		return usagef("%v; see %s", err, hint)
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(a)
}

// errHelp ends parsing after help was printed.
var errHelp = errors.New("help was printed")

type helpFlag bool

// BeforeReset prints help before anything is required.
func (helpFlag) BeforeReset(k *kong.Kong, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100, ValueFormatter: helpOf}, ctx); err != nil {
		return err
	}
	return errHelp
}

// helpOf is a flag's help and the variable that stands in for it.
func helpOf(v *kong.Value) string {
	if v.Tag.Has(settingTag) {
		return strings.TrimSuffix(v.Help, ".") + " (or " + variable(v.Name) + ")."
	}
	return v.Help
}

// grammar returns the grammar of the command that is called, and otherwise that of all: reading the tags of every
// command would take longer than to verify a receipt.
func grammar(called string, s settings) any {
	all := reflect.TypeFor[commands]()
	if len(s.file) > 0 {
		return &commands{} // to know every setting
	}
	for i := 1; i < all.NumField(); i++ {
		if f := all.Field(i); strings.ToLower(f.Name) == called {
			return reflect.New(reflect.StructOf([]reflect.StructField{all.Field(0), f})).Interface()
		}
	}
	return &commands{}
}

func newParser(a *app, s settings, grammar any) (*kong.Kong, error) {
	return kong.New(grammar, kong.Name("undersigned"),
		kong.Description("A public, append-only record of who signed a statement, which text, and when.\n\n"+
			"Where a flag's help names a variable, that stands in for it, and so does a line such as \"policy FILE\" in ~/.config/undersigned/config. Flags beat variables, which beat the file."),
		kong.NoDefaultHelp(), kong.Writers(a.out, a.err), kong.Resolvers(s), kong.ValueFormatter(helpOf))
}

// commands is the grammar: each command is a struct with its flags, and says in Help how it is used.
type commands struct {
	Help helpFlag `short:"h" help:"Show help."`

	Demo demoCmd `cmd:"" help:"Make a record with a whole list of signatories, check it, and serve it."`

	Init  initCmd  `cmd:"" group:"Keep a record" help:"Make a new ledger."`
	Serve serveCmd `cmd:"" help:"Serve a ledger over HTTP." group:"Keep a record"`
	Fsck  fsckCmd  `cmd:"" help:"Check everything that a ledger's directory holds." group:"Keep a record"`

	Backup  backupCmd  `cmd:"" help:"Make a copy of a ledger, also while it is served, and check it." group:"Keep a record"`
	Restore restoreCmd `cmd:"" help:"Rebuild a ledger from a copy of its record." group:"Keep a record"`
	Bench   benchCmd   `cmd:"" help:"Measure how fast this program is, on this machine." group:"Keep a record"`

	Witness witnessCmd `cmd:"" help:"Cosign the checkpoints of other people's records, and be believed." group:"Watch others"`
	Monitor monitorCmd `cmd:"" help:"Follow records, and be told of what concerns you." group:"Watch others"`
	Mirror  mirrorCmd  `cmd:"" help:"Keep checked copies of other people's records, and serve them." group:"Watch others"`

	Statement statementCmd `cmd:"" help:"Check, publish, show, close or reopen a statement." group:"Publish"`
	Charter   charterCmd   `cmd:"" help:"Show or amend the rules of the record." group:"Publish"`

	Key      keyCmd      `cmd:"" help:"Make and show keys; add, rotate, revoke or suspend them in the record." group:"Sign"`
	Join     joinCmd     `cmd:"" help:"Make an organization a member, change what is said about it, or leave." group:"Sign"`
	DNS      dnsCmd      `cmd:"" help:"Have your own domain name your keys (DNSSEC), and check that it does." group:"Sign"`
	Endorse  endorseCmd  `cmd:"" help:"Endorse a statement: sign, submit, keep the receipt." group:"Sign"`
	Withdraw withdrawCmd `cmd:"" help:"Take an endorsement back." group:"Sign"`
	Sign     signCmd     `cmd:"" help:"Sign an entry, or print the exact text that another tool is to sign." group:"Sign"`
	Attach   attachCmd   `cmd:"" help:"Put a signature made by another tool under its text." group:"Sign"`
	Submit   submitCmd   `cmd:"" help:"Send signed entries to a ledger." group:"Sign"`

	Verify  verifyCmd  `cmd:"" help:"Did they sign? This exact text? When? Does it still stand?" group:"Check"`
	Audit   auditCmd   `cmd:"" help:"Replay a whole record and tell whether it holds." group:"Check"`
	Roll    rollCmd    `cmd:"" help:"Print the list of signatories as of a date." group:"Check"`
	Show    showCmd    `cmd:"" help:"Tell everything that the record says about one organization." group:"Check"`
	Compare compareCmd `cmd:"" help:"Is this text, page or quote in an endorsed version, and what differs?" group:"Check"`
	Receipt receiptCmd `cmd:"" help:"Make the receipt of an entry." group:"Check"`
	Policy  policyCmd  `cmd:"" help:"Tell what a policy file asks for, and where it is weak." group:"Check"`
	Version versionCmd `cmd:"" help:"Tell which version this is."`
}

type versionCmd struct {
	Assets bool `help:"List what the pages load, the verifier for browsers too, with the SHA-256 of each."`
	jsonFlag
}

// Help shows how the command is used.
func (versionCmd) Help() string {
	return "Example:\n\n\tundersigned version --json\n\tundersigned version --assets\n"
}

// Run prints the version.
func (c *versionCmd) Run(a *app) error {
	if c.Assets {
		return c.assets(a)
	}
	if c.JSON {
		return a.json(struct {
			Schema   string `json:"schema"`
			Version  string `json:"version"`
			Go       string `json:"go"`
			Platform string `json:"platform"`
		}{"undersigned/version/v1", version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
	}
	a.printf("undersigned %s (%s %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// assets lists the files that pages load.
func (c *versionCmd) assets(a *app) error {
	type view struct {
		Path   string `json:"path"`
		SHA256 string `json:"sha256"`
		Size   int    `json:"size"`
		Brotli int    `json:"brotli,omitempty"`
		Gzip   int    `json:"gzip,omitempty"`
	}
	list := []view{}
	for _, f := range assets.All() {
		list = append(list, view{f.Path, fmt.Sprintf("sha256:%x", f.SHA256()), len(f.Body()), len(f.Brotli), len(f.Gzip)})
	}
	if c.JSON {
		return a.json(struct {
			Schema string `json:"schema"`
			Assets []view `json:"assets"`
		}{"undersigned/assets/v1", list})
	}
	for _, f := range list {
		a.printf("%s %s\n", f.Path, f.SHA256)
	}
	return nil
}

// version returns the module's version as it was built.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
