package main

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/breakwater-gateway/breakwater/gateway/admin"
)

type clientListCommand struct {
	api
	Blocked bool `help:"Only those that are blocked."`
}

// Run prints the clients.
func (l *clientListCommand) Run(c *console) error {
	var list admin.ClientList
	if err := l.ask("GET", "/api/v1/clients", nil, &list); err != nil {
		return err
	}
	if l.Blocked {
		list.Clients = slices.DeleteFunc(list.Clients, func(k admin.Client) bool { return len(k.Blocks) == 0 })
	}
	if l.JSON {
		return printJSON(c.out, list)
	}
	t := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLIENT\tATTRIBUTES\tBLOCKED")
	for _, k := range list.Clients {
		var attributes, blocks []string
		for _, name := range slices.Sorted(maps.Keys(k.Attributes)) {
			attributes = append(attributes, name+"="+k.Attributes[name])
		}
		for _, b := range k.Blocks {
			blocks = append(blocks, fmt.Sprintf("%s until %s (%s)", b.Route, clock(b.Until), count(b.Errors, "error")))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", k.Name, dash(strings.Join(attributes, " ")), dash(strings.Join(blocks, ", ")))
	}
	return t.Flush()
}

type clientUnblockCommand struct {
	api
	Name   string `arg:"" help:"The client."`
	Route  string `placeholder:"NAME" help:"Only on this route."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; it goes to the gateway's log."`
	By     string `placeholder:"NAME" help:"Who unblocks, where no token says so (${user})."`
}

// Run lifts the blocks.
func (u *clientUnblockCommand) Run(c *console) error {
	var done admin.Unblocked
	members := map[string]string{"route": u.Route, "reason": u.Reason, "by": u.by(u.By)}
	if err := u.ask("POST", "/api/v1/clients/"+url.PathEscape(u.Name)+"/unblock", members, &done); err != nil {
		return err
	}
	if u.JSON {
		return printJSON(c.out, done)
	}
	if len(done.Lifted) == 0 {
		fmt.Fprintf(c.out, "%s was not blocked\n", u.Name)
	}
	for _, b := range done.Lifted {
		fmt.Fprintf(c.out, "%s: unblocked on %s (it was blocked until %s for %s)\n", b.Client, b.Route, clock(b.Until), count(b.Errors, "error"))
	}
	return nil
}

type reloadCommand struct {
	api
}

// Run has the gateway read its configuration again.
func (r *reloadCommand) Run(c *console) error {
	var done admin.Load
	if err := r.ask("POST", "/api/v1/reload", map[string]string{"by": r.by("")}, &done); err != nil {
		return err
	}
	if r.JSON {
		return printJSON(c.out, done)
	}
	fmt.Fprintf(c.out, "the configuration is loaded, as of %s\n", clock(done.At))
	var list admin.FlagList // a file of its own, and taken or not by itself
	if err := r.ask("GET", "/api/v1/flags", nil, &list); err == nil {
		warn(c.err, &list)
	}
	return nil
}
