package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/breakwater-gateway/breakwater/flags"
	"github.com/breakwater-gateway/breakwater/gateway/admin"
)

type flagCommands struct {
	List flagListCommand `cmd:"" help:"List all flags."`
	Get  flagGetCommand  `cmd:"" help:"Show one flag."`
	Set  flagSetCommand  `cmd:"" help:"Give a flag another variant; in force when the command has ended."`
}

// A flagSource is where flags are: in a running gateway, or in a file that none is running with.
type flagSource struct {
	api
	File string `placeholder:"FILE" help:"Work on this flag file, when no gateway runs with it."`
}

// list asks for all flags.
func (s *flagSource) list() (*admin.FlagList, error) {
	var list admin.FlagList
	if s.File == "" {
		return &list, s.ask("GET", "/api/v1/flags", nil, &list)
	}
	b, err := flags.Open(context.Background(), flags.Options{Path: s.File}) // only reads
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := b.Status().Err; err != nil {
		return nil, err
	}
	list = admin.ListFlags(b, time.Now())
	return &list, nil
}

type flagListCommand struct {
	flagSource
}

// Run prints all flags.
func (f *flagListCommand) Run(c *console) error {
	list, err := f.list()
	if err != nil {
		return err
	}
	if f.JSON {
		return printJSON(c.out, list)
	}
	t := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FLAG\tVARIANT\tRULE\tOWNER\tEXPIRES\tLAST CHANGE")
	for i := range list.Flags {
		x := &list.Flags[i]
		rule := "-"
		if x.Targeted {
			rule = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", x.Key, variantOf(x), rule, dash(x.Owner), expiryOf(x), changeOf(x))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	warn(c.err, list)
	return nil
}

// warn says that the file is not what is in force.
func warn(w io.Writer, list *admin.FlagList) {
	if !list.SourceUp {
		fmt.Fprintf(w, "breakwater: warning: since %s the flag file is not taken, and the flags (%s) stay in force:\n%s\n",
			clock(list.Since), list.Origin, list.Error)
	}
}

type flagGetCommand struct {
	flagSource
	Key string `arg:"" help:"The flag's key."`
}

// Run prints one flag.
func (f *flagGetCommand) Run(c *console) error {
	x := &admin.Flag{}
	if f.File == "" {
		if err := f.ask("GET", "/api/v1/flags/"+url.PathEscape(f.Key), nil, x); err != nil {
			return err
		}
	} else {
		list, err := f.list()
		if err == nil {
			x, err = list.Find(f.Key)
		}
		if err != nil {
			return err
		}
	}
	if f.JSON {
		return printJSON(c.out, x)
	}
	t := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s:\t%s\n", name, value)
		}
	}
	row("flag", x.Key)
	row("variant", variantOf(x))
	row("variants", strings.Join(x.Variants, ", "))
	row("rule", string(x.Rule))
	row("owner", x.Owner)
	row("why", x.Reason)
	row("link", x.Link)
	if x.Expires != nil {
		row("expires", expiryOf(x))
	}
	if x.LastChange != nil {
		row("last change", changeOf(x))
	}
	if a := x.Answers; a != nil {
		row("answered", fmt.Sprintf("off %d, observe %d, on %d, fallback %d times", a.Off, a.Observe, a.On, a.Fallback))
		row("last error", a.LastError)
	}
	row("in", x.Position)
	row("revision", fmt.Sprint(x.Revision))
	return t.Flush()
}

type flagSetCommand struct {
	flagSource
	Key     string        `arg:"" help:"The flag's key."`
	Variant string        `arg:"" help:"The variant that it shall have."`
	Reason  string        `required:"" placeholder:"TEXT" help:"Why; it goes to the journal."`
	By      string        `placeholder:"NAME" help:"Who changes it, where no token says so (${user})."`
	Expires time.Duration `placeholder:"24h" help:"When the flag should be gone, from now on."`
	Owner   string        `placeholder:"NAME" help:"Who looks after the flag."`
	Link    string        `placeholder:"URL" help:"Where to read on."`
	Journal string        `placeholder:"FILE" help:"With --file: the journal (FILE.journal)."`
}

// Validate refuses what could never be set.
func (f *flagSetCommand) Validate() error {
	switch {
	case f.Reason != "" && strings.TrimSpace(f.Reason) == "":
		return fmt.Errorf("--reason %q: expected why the flag is changed", f.Reason)
	case f.Expires < 0:
		return fmt.Errorf("--expires %v: expected a time to come", f.Expires)
	case f.Journal != "" && f.File == "":
		return fmt.Errorf("--journal is for --file: a running gateway has its own")
	}
	return nil
}

// Run sets the flag.
func (f *flagSetCommand) Run(c *console) error {
	done, err := f.set()
	if err != nil {
		return err
	}
	if f.JSON {
		return printJSON(c.out, done)
	}
	if done.Changed {
		fmt.Fprintf(c.out, "%s: %s → %s (revision %d)\n", done.Key, dash(done.Before), done.Variant, done.Revision)
	} else {
		fmt.Fprintf(c.out, "%s is %s already (revision %d)\n", done.Key, done.Variant, done.Revision)
	}
	if done.Targeted {
		fmt.Fprintln(c.err, "breakwater: note: the flag has a rule, which decides first; the variant holds where the rule says nothing")
	}
	return nil
}

func (f *flagSetCommand) set() (*admin.FlagSet, error) {
	var expires time.Time
	if f.Expires > 0 {
		expires = time.Now().Add(f.Expires).Truncate(time.Second)
	}
	if f.File == "" {
		members := map[string]string{
			"variant": f.Variant, "reason": f.Reason, "owner": f.Owner, "link": f.Link, "by": f.by(f.By),
		}
		if f.Expires > 0 {
			members["expires"] = expires.UTC().Format(time.RFC3339)
		}
		done := &admin.FlagSet{}
		return done, f.ask("PUT", "/api/v1/flags/"+url.PathEscape(f.Key), members, done)
	}
	if f.Journal == "" {
		f.Journal = f.File + ".journal"
	}
	if f.By == "" {
		f.By = userName()
	}
	ctx := context.Background()
	b, err := flags.Open(ctx, flags.Options{Path: f.File, Journal: f.Journal})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return admin.SetFlag(ctx, b, flags.Change{
		Key: f.Key, Variant: f.Variant, Reason: f.Reason, By: f.By, Owner: f.Owner, Link: f.Link, Expires: expires,
	})
}

func variantOf(x *admin.Flag) string {
	switch {
	case x.Disabled:
		return dash(x.Default) + " (disabled)"
	case x.Mode != "" && x.Mode != x.Default:
		return x.Default + " (" + x.Mode + ")"
	}
	return dash(x.Default)
}

func expiryOf(x *admin.Flag) string {
	switch {
	case x.Expires == nil:
		return "-"
	case x.Expired:
		return clock(*x.Expires) + " (over)"
	}
	return clock(*x.Expires)
}

func changeOf(x *admin.Flag) string {
	l := x.LastChange
	if l == nil {
		return "-"
	}
	text := clock(l.At)
	switch {
	case l.By != "":
		text += " by " + l.By
	case l.Origin == string(flags.OriginFile):
		text += " in the file"
	case l.Origin == string(flags.OriginStart):
		text += " in the file, before the start"
	}
	if l.Reason != "" {
		text += ": " + l.Reason
	}
	return text
}

// clock is a time as operators read it.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
