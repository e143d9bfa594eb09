package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"proofmark/node/control"
	"proofmark/node/durable"
	"proofmark/node/people"
)

type loginCmd struct {
	Name       string `arg:"" help:"Account name."`
	SecretFile string `help:"File with your secret (mode 0600), instead of the terminal." type:"path" placeholder:"FILE"`
	CodeFile   string `help:"First login: file with the enrolment code that the administrator gave you. The secret is then the one you choose." type:"path" placeholder:"FILE"`
	Enrol      bool   `help:"First login: ask for the enrolment code at the terminal."`
}

func (c *loginCmd) Run(a *app) error {
	r := control.LoginRequest{Name: c.Name}
	if c.CodeFile != "" || c.Enrol {
		code, err := a.readSecret("enrolment code", c.CodeFile, "", false)
		if err != nil {
			return err
		}
		r.Code = string(code)
	}
	secret, err := a.readSecret("secret of "+c.Name, c.SecretFile, "", r.Code != "")
	if err != nil {
		return err
	}
	r.Secret = string(secret)
	client := control.Dial(a.Data)
	a.client = client
	s, err := control.Call[people.Session](a.ctx, client, "login", "", r)
	if err != nil {
		return err
	}
	if err := a.saveSession(savedSession{Data: a.Data, Name: s.Name, Token: s.Token}); err != nil {
		return err
	}
	shown := s
	shown.Token = "" // it stands in the session file, for nobody to read over a shoulder
	return a.show(shown, func(w io.Writer) {
		fmt.Fprintf(w, "Logged in as %s (%s) until %s.\n", s.Name, strings.Join(s.Roles, ", "), stamp(s.Expires))
		tellResets(w, s.Resets)
	})
}

type logoutCmd struct{}

func (c *logoutCmd) Run(a *app) error {
	_, err := ask[control.None](a, "logout", control.None{})
	if a.foreign != "" {
		return err // the session of another node is not this one's to end
	}
	path, perr := a.sessionPath()
	if perr != nil {
		return perr
	}
	if rerr := os.Remove(path); rerr != nil && !os.IsNotExist(rerr) {
		return rerr
	}
	return err
}

type secretCmd struct {
	SecretFile    string `help:"File with the secret that you have (mode 0600), instead of the terminal." type:"path" placeholder:"FILE"`
	NewSecretFile string `help:"File with the secret that you choose (mode 0600), instead of the terminal." type:"path" placeholder:"FILE"`
}

func (c *secretCmd) Run(a *app) error {
	me, err := ask[control.Identity](a, "whoami", control.None{}) // before anything is typed
	if err != nil {
		return err
	}
	old, err := a.readSecret("secret of "+me.Name, c.SecretFile, "", false)
	if err != nil {
		return err
	}
	chosen, err := a.readSecret("new secret of "+me.Name, c.NewSecretFile, "", true)
	if err != nil {
		return err
	}
	done, err := change[people.Changed](a, "secret", control.SecretRequest{Old: string(old), New: string(chosen)})
	if err != nil {
		return err
	}
	return a.show(done, func(w io.Writer) {
		fmt.Fprintf(w, "The secret of %s is changed", done.Name)
		if done.Ended > 0 {
			fmt.Fprintf(w, "; %s of yours ended", count(done.Ended, "other session"))
		}
		fmt.Fprintln(w, ". This session goes on.")
	})
}

type whoamiCmd struct{}

func (c *whoamiCmd) Run(a *app) error {
	id, err := ask[control.Identity](a, "whoami", control.None{})
	if err != nil {
		return err
	}
	return a.show(id, func(w io.Writer) {
		fmt.Fprintf(w, "%s (%s) at %s, %s\n", id.Name, strings.Join(id.Roles, ", "), id.Node, id.Country)
		tellResets(w, id.Resets)
	})
}

// tellResets says when somebody else opened the way to a new secret: the person alone knows whether that was asked for.
func tellResets(w io.Writer, resets []people.Reset) {
	for _, r := range resets {
		fmt.Fprintf(w, "Your secret was reset on %s with a code handed out by %s. If you did not do this, tell your auditor: somebody may have acted in your name.\n",
			stamp(r.At), printable(r.By))
	}
}

type userCmd struct {
	Add     userAddCmd     `cmd:"" help:"Make an account and its one-time enrolment code."`
	Code    userCodeCmd    `cmd:"" help:"Hand out a new enrolment code: the person sets a new secret with it."`
	Roles   userRolesCmd   `cmd:"" help:"Replace an account's roles."`
	Disable userDisableCmd `cmd:"" help:"Lock an account and end its sessions."`
	Enable  userEnableCmd  `cmd:"" help:"Unlock an account."`
	List    userListCmd    `cmd:"" help:"List the accounts."`
}

type userAddCmd struct {
	Name     string   `arg:"" help:"Account name: lower-case letters, digits, . - _"`
	Role     []string `required:"" help:"Role, once for each: ncb-operator, technician, examiner, investigator, auditor, administrator."`
	FullName string   `help:"Name of the person."`
	CodeFile string   `help:"Write the enrolment code to this file (mode 0600) instead of the terminal." type:"path" placeholder:"FILE"`
}

func (c *userAddCmd) Run(a *app) error {
	code, err := change[control.UserCode](a, "user.add", control.UserRequest{Name: c.Name, FullName: c.FullName, Roles: c.Role})
	if err != nil {
		return err
	}
	return a.handOut(code, c.CodeFile, "Account "+code.Name+" is made; its enrolment code")
}

// handOut gives an enrolment code to the administrator, who gives it to the person.
func (a *app) handOut(code control.UserCode, file, done string) error {
	if file != "" {
		if err := durable.Replace(file, []byte(code.Code+"\n"), 0o600); err != nil {
			return err
		}
		code.Code = ""
	}
	return a.show(code, func(w io.Writer) {
		if file != "" {
			fmt.Fprintf(w, "%s stands in %s.\n", done, file)
		} else {
			fmt.Fprintf(w, "%s is  %s\n", done, code.Code)
		}
		fmt.Fprintf(w, "Give the code to the person alone. It works once, for 72 hours:  proofmark login %s --enrol\n", code.Name)
	})
}

type userCodeCmd struct {
	Name     string `arg:"" help:"Account name."`
	CodeFile string `help:"Write the enrolment code to this file (mode 0600)." type:"path" placeholder:"FILE"`
	Yes      bool   `help:"Do it without asking."`
}

func (c *userCodeCmd) Run(a *app) error {
	if err := a.confirm(c.Yes, "End the secret and all sessions of "+c.Name+", and hand out a new code? The person is told that it came from you."); err != nil {
		return err
	}
	code, err := change[control.UserCode](a, "user.code", control.UserRequest{Name: c.Name})
	if err != nil {
		return err
	}
	return a.handOut(code, c.CodeFile, "The secret and the sessions of "+code.Name+" are ended; the new code")
}

// userDone is what became of an account.
type userDone struct {
	Name string `json:"name"`
	Done string `json:"done"`
}

type userRolesCmd struct {
	Name string   `arg:"" help:"Account name."`
	Role []string `required:"" help:"Role, once for each."`
}

func (c *userRolesCmd) Run(a *app) error {
	if _, err := change[control.None](a, "user.roles", control.UserRequest{Name: c.Name, Roles: c.Role}); err != nil {
		return err
	}
	return a.show(userDone{c.Name, "roles"}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is %s now, in open sessions too.\n", c.Name, strings.Join(c.Role, ", "))
	})
}

type userDisableCmd struct {
	Name string `arg:"" help:"Account name."`
	Yes  bool   `help:"Do it without asking."`
}

func (c *userDisableCmd) Run(a *app) error {
	if err := a.confirm(c.Yes, "Disable "+c.Name+" and end that person's sessions?"); err != nil {
		return err
	}
	if _, err := change[control.None](a, "user.disable", control.UserRequest{Name: c.Name}); err != nil {
		return err
	}
	return a.show(userDone{c.Name, "disabled"}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is disabled, and all sessions of this account are over. Open it again:  proofmark user enable %s\n", c.Name, c.Name)
	})
}

type userEnableCmd struct {
	Name string `arg:"" help:"Account name."`
}

func (c *userEnableCmd) Run(a *app) error {
	if _, err := change[control.None](a, "user.enable", control.UserRequest{Name: c.Name}); err != nil {
		return err
	}
	return a.show(userDone{c.Name, "enabled"}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is enabled, with the secret that it had.\n", c.Name)
	})
}

type userListCmd struct{}

func (c *userListCmd) Run(a *app) error {
	list, err := ask[[]people.View](a, "user.list", control.None{})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i, v := range list {
			rows[i] = []string{v.Name, orDash(v.FullName), strings.Join(v.Roles, ", "), string(v.State), orDash(stamp(v.LastLogin)), v.CreatedBy}
		}
		table(w, "There are no accounts.", []string{"NAME", "PERSON", "ROLES", "STATE", "LAST LOGIN", "MADE BY"}, rows)
	})
}
