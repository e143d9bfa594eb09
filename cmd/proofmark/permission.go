package main

import (
	"fmt"
	"io"
	"strings"

	"proofmark/node/control"
	"proofmark/node/permission"
	"proofmark/protocol"
)

type permissionCmd struct {
	Grant permissionGrantCmd `cmd:"" help:"Permit a country to pass on (H2), or to use in court (H1), what it holds of this country's information."`
	List  permissionListCmd  `cmd:"" help:"List the permissions that this country granted and was granted."`
}

type permissionGrantCmd struct {
	Document string   `arg:"" help:"Id of the document that it is about: one of this country's, or one of the holder's that was made of this country's information."`
	Holder   string   `required:"" help:"Country that may now do it." placeholder:"CC"`
	To       []string `xor:"use" required:"" help:"Countries that it may pass the information on to, once for each or separated by commas." placeholder:"CC"`
	Court    bool     `xor:"use" required:"" help:"It may use the information in court."`
	Until    string   `required:"" help:"Day on which the permission ends." placeholder:"DATE"`
	Note     string   `help:"Note for the holder." placeholder:"TEXT"`
}

func (c *permissionGrantCmd) Run(a *app) error {
	until, err := parseDay(c.Until)
	if err != nil {
		return fmt.Errorf("--until: %w", err)
	}
	g := permission.Grant{Document: c.Document, For: protocol.Country(strings.ToUpper(c.Holder)), Use: protocol.UseOnward, Until: until, Note: c.Note}
	if c.Court {
		g.Use = protocol.UseCourt
	}
	for _, to := range c.To {
		g.To = append(g.To, protocol.Country(strings.ToUpper(to)))
	}
	p, err := change[permission.Permission](a, "permission.grant", g)
	if err != nil {
		return err
	}
	return a.show(p, func(w io.Writer) {
		fmt.Fprintf(w, "%s may, until %s, %s.\n\nTake it back:  proofmark document withdraw %s --reason OTHER --note WHY\n", p.For, day(p.Until), permitted(&p), p.ID)
	})
}

// permitted says what a permission is for.
func permitted(p *permission.Permission) string {
	if p.Use == protocol.UseCourt {
		return "use in court what document " + p.Document + " holds"
	}
	to := make([]string, len(p.To))
	for i, c := range p.To {
		to[i] = string(c)
	}
	return "pass on to " + strings.Join(to, ", ") + " what document " + p.Document + " holds"
}

type permissionListCmd struct{}

func (c *permissionListCmd) Run(a *app) error {
	list, err := ask[[]permission.Permission](a, "permission.list", control.None{})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i := range list {
			p := &list[i]
			state := day(p.Until)
			if !p.Withdrawn.IsZero() {
				state = "withdrawn " + stamp(p.Withdrawn)
			}
			rows[i] = []string{p.ID, string(p.From), string(p.For), permitted(p), state, orDash(p.By), cell(p.Note, "note", p.Withheld)}
		}
		table(w, "No country has permitted another anything.", []string{"PERMISSION", "OF", "FOR", "TO", "UNTIL", "BY", "NOTE"}, rows)
	})
}
