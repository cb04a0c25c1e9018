package tests

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"scimbridge/sync/graph/graphtest"
)

// A manifest is what Kubernetes knows of the kinds that ours has, as far as ours
// uses it: a key that is not here is one that nobody has looked up.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct {
		Name   string
		Labels map[string]string
	}
	Data map[string]string
	Spec struct {
		AccessModes []string `yaml:"accessModes"`
		Resources   struct{ Requests map[string]string }
		Replicas    int
		Strategy    struct{ Type string }
		Selector    yaml.Node // of a Deployment and of a Service it differs
		Template    struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
		Ports []struct {
			Name       string
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
	}
}

type pod struct {
	AutomountServiceAccountToken  *bool `yaml:"automountServiceAccountToken"`
	EnableServiceLinks            *bool `yaml:"enableServiceLinks"`
	TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		RunAsUser      int                   `yaml:"runAsUser"`
		RunAsGroup     int                   `yaml:"runAsGroup"`
		FSGroup        int                   `yaml:"fsGroup"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []container
	Volumes    []struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
		Secret    struct {
			SecretName  string `yaml:"secretName"`
			DefaultMode int    `yaml:"defaultMode"`
		}
		PersistentVolumeClaim struct {
			ClaimName string `yaml:"claimName"`
		} `yaml:"persistentVolumeClaim"`
		EmptyDir struct {
			SizeLimit string `yaml:"sizeLimit"`
		} `yaml:"emptyDir"`
	}
}

type container struct {
	Name, Image string
	Ports       []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	Env            []struct{ Name, Value string }
	Resources      struct{ Requests, Limits map[string]string }
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	VolumeMounts   []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet       struct{ Path, Port string } `yaml:"httpGet"`
	PeriodSeconds int                         `yaml:"periodSeconds"`
}

// manifests reads the file strictly: misspelt keys are faults.
func manifests(t *testing.T) map[string]manifest {
	t.Helper()
	data, err := os.ReadFile("../systemd/container/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]manifest{}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	for {
		var m manifest
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[m.Kind] = m
	}
}

// The parts of the manifest fit together, and the pod has no more rights than it
// needs.
func TestKubernetesManifest(t *testing.T) {
	all := manifests(t)
	for kind, version := range map[string]string{"ConfigMap": "v1", "PersistentVolumeClaim": "v1", "Deployment": "apps/v1", "Service": "v1"} {
		if all[kind].APIVersion != version || all[kind].Metadata.Name != "scim-bridge" {
			t.Errorf("%s is of version %q and named %q", kind, all[kind].APIVersion, all[kind].Metadata.Name)
		}
	}
	d := all["Deployment"].Spec
	p := d.Template.Spec
	s := p.SecurityContext
	if d.Replicas != 1 || d.Strategy.Type != "Recreate" {
		t.Error("two at a time would write one state")
	}
	if !s.RunAsNonRoot || s.RunAsUser < 1000 || s.SeccompProfile.Type != "RuntimeDefault" || p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken {
		t.Errorf("the pod has more rights than it needs: %+v", s)
	}
	c := p.Containers[0]
	sc := c.SecurityContext
	if sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation || !sc.ReadOnlyRootFilesystem || !slices.Equal(sc.Capabilities.Drop, []string{"ALL"}) || c.Resources.Limits["memory"] == "" {
		t.Errorf("the container has more rights than it needs: %+v", sc)
	}
	var ports, volumes []string
	for _, port := range c.Ports {
		ports = append(ports, port.Name)
	}
	for _, v := range p.Volumes {
		volumes = append(volumes, v.Name)
	}
	for _, port := range []string{c.LivenessProbe.HTTPGet.Port, c.ReadinessProbe.HTTPGet.Port, all["Service"].Spec.Ports[0].TargetPort} {
		if !slices.Contains(ports, port) {
			t.Errorf("there is no port %q", port)
		}
	}
	for _, m := range c.VolumeMounts {
		if !slices.Contains(volumes, m.Name) {
			t.Errorf("there is no volume %q", m.Name)
		}
	}
	var deployment struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	var service map[string]string
	serviceSelector := all["Service"].Spec.Selector
	if err := errors.Join(d.Selector.Decode(&deployment), serviceSelector.Decode(&service)); err != nil {
		t.Fatal(err)
	}
	for _, selector := range []map[string]string{deployment.MatchLabels, service} {
		if len(selector) != 1 || selector["app"] != d.Template.Metadata.Labels["app"] {
			t.Errorf("%v selects nothing", selector)
		}
	}
}

// The configuration in the manifest is one, with the files where the manifest
// mounts them, and the probes ask what is answered.
func TestKubernetesConfiguration(t *testing.T) {
	all := manifests(t)
	text := all["ConfigMap"].Data["config.yaml"]
	c := all["Deployment"].Spec.Template.Spec.Containers[0]
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 3}, 40, 5))
	b := newBridge(t)
	root := b.dir
	for _, m := range c.VolumeMounts {
		if err := os.MkdirAll(filepath.Join(root, m.MountPath), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.dir = filepath.Join(root, "etc/scim-bridge")
	for _, name := range regexp.MustCompile(`_file: \.\./(\S+?)\}?\s`).FindAllStringSubmatch(text, -1) {
		content := bridgeToken
		if strings.HasSuffix(name[1], "contoso.secret") {
			content = clientSecret
		}
		b.write("../"+name[1], content+strings.Repeat("x", len(name[1]))[:strings.Count(name[1], "admin")])
	}
	for pattern, with := range map[string]string{
		`listen: 0\.0\.0\.0:\d+`: "listen: 127.0.0.1:0", `tenant_id: \S+`: "tenant_id: " + tenant.ID(),
		`client_id: \S+`: "client_id: " + tenant.clientID + "\n    login_url: " + tenant.server.LoginURL() + "\n    graph_url: " + tenant.server.GraphURL(),
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, with)
	}
	b.write("config.yaml", text+"\nstate: {directory: "+filepath.Join(root, "var/lib/scim-bridge")+"}\n")
	b.start()
	b.ready()
	for _, path := range []string{c.LivenessProbe.HTTPGet.Path, c.ReadinessProbe.HTTPGet.Path} {
		if status, body := b.get(b.admin+path, map[string]string{"Authorization": ""}); status != 200 {
			t.Errorf("%s answers %d %s", path, status, body)
		}
	}
}

// The Containerfile ends in nothing but the program, run by nobody.
func TestContainerfile(t *testing.T) {
	text, err := os.ReadFile("../systemd/container/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, last, ok := strings.Cut(string(text), "\nFROM scratch\n")
	if !ok || strings.Contains(last, "RUN ") || strings.Contains(last, "ADD ") || !strings.Contains(last, "USER 65532:65532\n") {
		t.Errorf("the last stage is\n%s", last)
	}
	user := all65532(manifests(t))
	if !user {
		t.Error("the manifest's user is not that of the container, who owns the state")
	}
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if !strings.Contains(string(text), "golang:"+string(version[1])+" ") {
		t.Errorf("it is not built by Go %s, which go.mod names", version[1])
	}
}

func all65532(all map[string]manifest) bool {
	s := all["Deployment"].Spec.Template.Spec.SecurityContext
	return s.RunAsUser == 65532 && s.RunAsGroup == 65532 && s.FSGroup == 65532
}
