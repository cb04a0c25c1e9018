package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/filter"
	"github.com/elimity-com/scim/optional"
	"github.com/klauspost/compress/gzhttp"
	parser "github.com/scim2/filter-parser/v2"

	"scimbridge/scim/mapping"
)

// The plain server is SCIM as it is usually written in Go: elimity-com/scim over
// people in maps, each rendered by encoding/json when she is asked for. It looks
// a person up by id and by userName in a map, and uses the library's filter for
// anything else.

// plainCommand is the argument with which this program is the plain server.
const plainCommand = "-serve-plain"

// A plain is the plain server in a process of its own.
type plain struct {
	*process
	url string
}

func (p *plain) close() { p.stop() }

// startPlain starts the plain server with the people in the pages of a world.
func (b *bench) startPlain(w *world, s *site) (*plain, error) {
	cmd := exec.Command("/proc/self/exe", plainCommand, filepath.Join(s.dir, filepath.Dir(w.pageFile(0, importCount))))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	server, _ := processors()
	p := &plain{}
	if p.process, err = start(cmd, server); err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanln(out, &p.url); err != nil {
		p.stop()
		return nil, fmt.Errorf("the plain server does not start: %w: %s", err, p.log)
	}
	return p, nil
}

// servePlain is the plain server. It tells out its URL and serves until the
// process is ended.
func servePlain(dir string, out io.Writer) error {
	people, err := readPeople(dir)
	if err != nil {
		return err
	}
	server, err := scim.NewServer(&scim.ServerArgs{
		ServiceProviderConfig: &scim.ServiceProviderConfig{SupportFiltering: true, MaxResults: importCount},
		ResourceTypes:         []scim.ResourceType{userType(people)},
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "http://"+l.Addr().String()+"/v2")
	return http.Serve(l, gzhttp.GzipHandler(http.StripPrefix("/v2", server)))
}

// userType has the schemas of what scim-bridge serves.
func userType(people *people) scim.ResourceType {
	t := scim.ResourceType{ID: optional.NewString("User"), Name: "User", Endpoint: "/Users", Handler: people}
	mapper, err := mapping.New(mapping.Config{BaseURL: "http://127.0.0.1/v2"})
	if err != nil {
		panic(err) // the URL is a constant
	}
	for _, s := range mapper.Schemas() {
		switch s.ID {
		case mapping.UserSchema:
			t.Schema = s
		case mapping.EnterpriseUserSchema, mapping.EntraUserSchema:
			t.SchemaExtensions = append(t.SchemaExtensions, scim.SchemaExtension{Schema: s})
		}
	}
	return t
}

// people are held in list order and by id.
type people struct {
	list         []scim.Resource
	byID, byName map[string]int // byName in lower case
}

// readPeople reads the people in the pages of a directory.
func readPeople(dir string) (*people, error) {
	p := &people{byID: make(map[string]int), byName: make(map[string]int)}
	for i := 0; ; i++ {
		body, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.json", i)))
		if os.IsNotExist(err) && i > 0 {
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		var page struct{ Resources []scim.ResourceAttributes }
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, err
		}
		for _, attributes := range page.Resources {
			id, _ := attributes["id"].(string)
			for _, own := range []string{"id", "schemas", "meta"} { // which the library adds
				delete(attributes, own)
			}
			name, _ := attributes["userName"].(string)
			p.byID[id], p.byName[strings.ToLower(name)] = len(p.list), len(p.list)
			p.list = append(p.list, scim.Resource{ID: id, Attributes: attributes})
		}
	}
}

// Get gives one person.
func (p *people) Get(_ *http.Request, id string) (scim.Resource, error) {
	i, ok := p.byID[id]
	if !ok {
		return scim.Resource{}, scimerrors.ScimErrorResourceNotFound(id)
	}
	return p.list[i], nil
}

// GetAll gives a page.
func (p *people) GetAll(_ *http.Request, params scim.ListRequestParams) (scim.Page, error) {
	found := p.list
	if v := params.FilterValidator; v != nil {
		found = p.matching(v)
	}
	start := min(max(params.StartIndex-1, 0), len(found))
	return scim.Page{TotalResults: len(found), Resources: found[start:min(start+params.Count, len(found))]}, nil
}

// matching gives those that a filter holds for.
func (p *people) matching(v *filter.Validator) (found []scim.Resource) {
	if e, ok := v.GetFilter().(*parser.AttributeExpression); ok && strings.EqualFold(e.AttributePath.AttributeName, "userName") && e.Operator == parser.EQ {
		name, _ := e.CompareValue.(string)
		if i, ok := p.byName[strings.ToLower(name)]; ok {
			return p.list[i : i+1]
		}
		return nil
	}
	for _, r := range p.list {
		if v.PassesFilter(r.Attributes) == nil {
			found = append(found, r)
		}
	}
	return found
}

// Nothing can be written.

func (p *people) Create(*http.Request, scim.ResourceAttributes) (scim.Resource, error) {
	return scim.Resource{}, scimerrors.ScimErrorMutability
}

func (p *people) Replace(*http.Request, string, scim.ResourceAttributes) (scim.Resource, error) {
	return scim.Resource{}, scimerrors.ScimErrorMutability
}

func (p *people) Patch(*http.Request, string, []scim.PatchOperation) (scim.Resource, error) {
	return scim.Resource{}, scimerrors.ScimErrorMutability
}

func (p *people) Delete(*http.Request, string) error { return scimerrors.ScimErrorMutability }
