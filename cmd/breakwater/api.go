package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/gateway/admin"
)

// An api is the admin API of a running gateway, as the options of a command say.
type api struct {
	Admin     string `placeholder:"URL" default:"http://127.0.0.1:9090" env:"BREAKWATER_ADMIN" help:"The gateway's admin listener (${default})."`
	TokenFile string `placeholder:"FILE" help:"A file with the token to use; else it is in the environment, as BREAKWATER_TOKEN."`
	JSON      bool   `name:"json" help:"Print the answer as JSON."`
}

// tokenVariable holds the token; an argument would be seen by everyone on the machine.
const tokenVariable = "BREAKWATER_TOKEN"

const (
	patience   = 40 * time.Second
	maxContent = 64 << 20
)

// Validate refuses an address that is none.
func (a *api) Validate() error {
	u, err := url.Parse(a.Admin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return fmt.Errorf("--admin %q: expected an address such as \"http://127.0.0.1:9090\"", a.Admin)
	}
	return nil
}

func (a *api) token() (string, error) {
	if a.TokenFile == "" {
		return strings.TrimSpace(os.Getenv(tokenVariable)), nil
	}
	text, err := os.ReadFile(a.TokenFile)
	if err != nil {
		return "", fmt.Errorf("the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("the token: file %q: expected one word", a.TokenFile)
	}
	return token, nil
}

// by is who the gateway shall write down as the author. With a token that is the token's name, and saying so is refused.
func (a *api) by(said string) string {
	if token, err := a.token(); said == "" && (err != nil || token != "") {
		return ""
	} else if said != "" {
		return said
	}
	return userName()
}

// ask sends one request and reads the answer into it. Members without a value are left out.
func (a *api) ask(method, path string, members map[string]string, answer any) error {
	var content io.Reader
	if members != nil {
		for name, value := range members {
			if value == "" {
				delete(members, name)
			}
		}
		text, err := json.Marshal(members)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(a.Admin, "/")+path, content)
	if err != nil {
		return err
	}
	if members != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	token, err := a.token()
	if err != nil {
		return err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(r)
	if err != nil {
		return unreached(a.Admin, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxContent))
	if err != nil {
		return unreached(a.Admin, err)
	}
	if response.StatusCode != http.StatusOK {
		return refusal(a.Admin, response, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s does not answer as a gateway's admin listener: %w", a.Admin, err)
	}
	return nil
}

// client follows no redirect, for a token must not travel.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func unreached(address string, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // what is left repeats neither method nor address
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return fmt.Errorf("no gateway can be reached at %s: %w (is it running? --admin says where)", address, err)
	}
	return fmt.Errorf("%s: %w", address, err)
}

func refusal(address string, r *http.Response, text []byte) error {
	p := &admin.Problem{}
	if err := json.Unmarshal(text, p); err != nil || p.Detail == "" {
		return fmt.Errorf("%s does not answer as a gateway's admin listener: %s", address, r.Status)
	}
	if r.StatusCode == http.StatusUnauthorized {
		return fmt.Errorf("%w (%s or --token-file has the token)", p, tokenVariable)
	}
	return p
}

// userName is whoever is logged in.
func userName() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}

// printJSON prints an answer for programs.
func printJSON(w io.Writer, answer any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(answer)
}
