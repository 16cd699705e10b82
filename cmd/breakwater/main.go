// Command breakwater runs the gateway and operates it.
//
//	breakwater run -config FILE              serve
//	breakwater check FILE                    tell every mistake in a configuration
//	breakwater flag list | get | set         flags, by the admin API or, with --file, in the file itself
//	breakwater client list | unblock         clients and their blocks
//	breakwater reload                        have the configuration read again
//	breakwater version
//
// There is no logic here: run and check call package gateway, everything else asks the admin API of a running gateway (api.go) and
// prints its answers, which are the types of package gateway/admin. Each command is a struct with its flags and a method Run.
//
// It exits with 0 when what was asked for is done, with 1 and one clear line on the standard error when not, and with 2 when
// it was called wrongly. Options may be written with one dash or two.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/breakwater-gateway/breakwater/flags/document"
	"github.com/breakwater-gateway/breakwater/gateway/admin"
	"github.com/breakwater-gateway/breakwater/gateway/config"
)

// commands is the command line.
type commands struct {
	Run    runCommand   `cmd:"" help:"Serve a configuration until told to stop: SIGTERM or SIGINT drains, a second one ends at once, SIGHUP reloads."`
	Check  checkCommand `cmd:"" help:"Load a configuration with its plugins and flags, and tell every mistake."`
	Flag   flagCommands `cmd:"" help:"List, show and set flags."`
	Client struct {
		List    clientListCommand    `cmd:"" help:"List the clients and who is blocked."`
		Unblock clientUnblockCommand `cmd:"" help:"Lift a client's blocks and forget the errors that led to them."`
	} `cmd:"" help:"List clients, and unblock them."`
	Reload  reloadCommand  `cmd:"" help:"Have the running gateway read its configuration again."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

const (
	exitFailed = 1
	exitUsage  = 2
)

// A console is where a command writes: what was asked for, and what goes wrong.
type console struct{ out, err io.Writer }

func main() { os.Exit(run(os.Args[1:], &console{os.Stdout, os.Stderr})) }

func run(args []string, c *console) int {
	var cli commands
	parser, err := kong.New(
		&cli,
		kong.Name("breakwater"),
		kong.Description("A gateway in front of APIs that others change."),
		kong.Writers(c.out, c.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"cache": cacheDir(), "user": userName()},
		kong.Bind(c),
	)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	command, err := parser.Parse(twoDashes(args))
	if err != nil {
		fmt.Fprintf(c.err, "breakwater: %v\n", err)
		if e, ok := errors.AsType[*kong.ParseError](err); ok && e.Context != nil {
			fmt.Fprintf(c.err, "usage: %s\n", usage(e.Context))
		}
		return exitUsage
	}
	if err := command.Run(); err != nil {
		complain(c.err, err)
		return exitFailed
	}
	return 0
}

// usage is how the command is called, as far as it was understood.
func usage(c *kong.Context) string {
	n := c.Model.Node
	for _, p := range c.Path {
		if p.Command != nil {
			n = p.Command
		}
	}
	return c.Model.Name + " " + strings.TrimSpace(n.Summary()) + "; --help tells more"
}

// twoDashes writes -config as --config, as Go's own commands let one call them. Only -h is an option of one letter.
func twoDashes(args []string) []string {
	all := make([]string, len(args))
	for i, a := range args {
		if a == "--" {
			copy(all[i:], args[i:])
			break
		}
		if len(a) > 2 && a[0] == '-' && a[1] != '-' {
			a = "-" + a
		}
		all[i] = a
	}
	return all
}

// mistakes is an error that tells mistakes in files, one a line.
type mistakes struct{ error }

// complain tells what went wrong. Mistakes in files stand as they are, for they begin with their place.
func complain(w io.Writer, err error) {
	var told mistakes
	var inConfig *config.Error
	var inFlags document.Problems
	var problem *admin.Problem
	switch {
	case errors.As(err, &told), errors.As(err, &inConfig), errors.As(err, &inFlags):
		fmt.Fprintln(w, err)
	case errors.As(err, &problem) && len(problem.Errors) > 0:
		fmt.Fprintln(w, strings.Join(problem.Errors, "\n"))
		fmt.Fprintf(w, "breakwater: %v\n", err)
	default:
		fmt.Fprintf(w, "breakwater: %v\n", err)
	}
}

// cacheDir is where compiled plugins are kept unless it is said otherwise; nowhere for a user without such a place.
func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "breakwater")
}
