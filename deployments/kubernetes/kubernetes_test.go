// Package kubernetes holds the manifests of this folder against Kubernetes' own types and against what they promise.
package kubernetes_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// base is what `kubectl apply -k base` would send.
type base struct {
	deployments map[string]*appsv1.Deployment
	jobs        map[string]*batchv1.Job
	services    map[string]*corev1.Service
	accounts    map[string]*corev1.ServiceAccount
	budgets     map[string]*policyv1.PodDisruptionBudget
	policies    map[string]*networkingv1.NetworkPolicy
}

// build reads every object strictly: a field that its type does not have is an error.
func build(t *testing.T) base {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "base")
	if err != nil {
		t.Fatal(err)
	}
	b := base{
		map[string]*appsv1.Deployment{}, map[string]*batchv1.Job{}, map[string]*corev1.Service{}, map[string]*corev1.ServiceAccount{},
		map[string]*policyv1.PodDisruptionBudget{}, map[string]*networkingv1.NetworkPolicy{},
	}
	for _, object := range built.Resources() {
		text, err := object.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		switch kind, name := object.GetKind(), object.GetName(); kind {
		case "Deployment":
			b.deployments[name] = read[appsv1.Deployment](t, text)
		case "Job":
			b.jobs[name] = read[batchv1.Job](t, text)
		case "Service":
			b.services[name] = read[corev1.Service](t, text)
		case "ServiceAccount":
			b.accounts[name] = read[corev1.ServiceAccount](t, text)
		case "PodDisruptionBudget":
			b.budgets[name] = read[policyv1.PodDisruptionBudget](t, text)
		case "NetworkPolicy":
			b.policies[name] = read[networkingv1.NetworkPolicy](t, text)
		case "Namespace":
			read[corev1.Namespace](t, text)
		default:
			t.Errorf("%s %s: nobody checks this kind", kind, name)
		}
	}
	return b
}

func read[T any](t *testing.T, text []byte) *T {
	t.Helper()
	object := new(T)
	if err := yaml.UnmarshalStrict(text, object); err != nil {
		t.Errorf("%s\n%v", text, err)
	}
	return object
}

// pods are the templates by the name of what makes them.
func (b base) pods() map[string]corev1.PodTemplateSpec {
	out := map[string]corev1.PodTemplateSpec{}
	for name, d := range b.deployments {
		out[name] = d.Spec.Template
	}
	for name, j := range b.jobs {
		out[name] = j.Spec.Template
	}
	return out
}

func TestPodsHaveNoRightThatIsNotAskedFor(t *testing.T) {
	t.Parallel()
	b := build(t)
	if len(b.pods()) != 3 {
		t.Fatalf("%d kinds of pods", len(b.pods()))
	}
	for name, pod := range b.pods() {
		spec := pod.Spec
		if s := spec.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil || *s.RunAsUser == 0 {
			t.Errorf("%s: the pod may run as root", name)
		}
		if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
			t.Errorf("%s: is given a token of the cluster", name)
		}
		if spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
			t.Errorf("%s: the cluster's variables may collide with SPECTRON_…", name)
		}
		if b.accounts[spec.ServiceAccountName] == nil {
			t.Errorf("%s: there is no service account %q", name, spec.ServiceAccountName)
		}
		for _, container := range spec.Containers {
			s := container.SecurityContext
			if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
				t.Errorf("%s: the container has rights it does not need", name)
			}
			if container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero() {
				t.Errorf("%s: no bounds", name)
			}
			for _, variable := range container.Env {
				// The text of a secret is never a variable: those are shown by whoever may read a pod.
				if (strings.Contains(variable.Name, "SECRET") || strings.Contains(variable.Name, "PEPPER") || strings.Contains(variable.Name, "CONNECTION")) &&
					!strings.HasSuffix(variable.Name, "_FILE") {
					t.Errorf("%s: %s is not a file", name, variable.Name)
				}
			}
		}
	}
}

func TestEachServiceIsGivenItsOwnSecretsOnly(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"keymanager": {"spectron-control", "spectron-service"}, "spectron": {"spectron-data", "spectron-service"}, "migrate": {"spectron-owner"},
	}
	for name, pod := range build(t).pods() {
		var got []string
		for _, volume := range pod.Spec.Volumes {
			if volume.Secret != nil {
				got = append(got, volume.Secret.SecretName)
			}
			if volume.Projected != nil {
				for _, source := range volume.Projected.Sources {
					got = append(got, source.Secret.Name)
				}
			}
		}
		if !slices.Equal(got, want[name]) {
			t.Errorf("%s is given %v, want %v", name, got, want[name])
		}
	}
}

func TestServicesAreReplacedWithoutAGap(t *testing.T) {
	t.Parallel()
	b := build(t)
	for name, d := range b.deployments {
		if *d.Spec.Replicas < 2 || d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
			t.Errorf("%s: is away while it is replaced", name)
		}
		selects := labels.SelectorFromSet(d.Spec.Selector.MatchLabels)
		if !selects.Matches(labels.Set(d.Spec.Template.Labels)) {
			t.Errorf("%s: does not select its own pods", name)
		}
		budget, service := b.budgets[name], b.services[name]
		if budget == nil || service == nil {
			t.Fatalf("%s: no disruption budget or no service", name)
		}
		if !matches(t, budget.Spec.Selector, d.Spec.Template.Labels) || !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(d.Spec.Template.Labels)) {
			t.Errorf("%s: the budget or the service is about other pods", name)
		}
		container := d.Spec.Template.Spec.Containers[0]
		var ports []string
		for _, port := range container.Ports {
			ports = append(ports, port.Name)
		}
		for what, probe := range map[string]*corev1.Probe{"startup": container.StartupProbe, "liveness": container.LivenessProbe, "readiness": container.ReadinessProbe} {
			if probe == nil || !slices.Contains(ports, probe.HTTPGet.Port.StrVal) {
				t.Errorf("%s: no %s probe on a port that there is", name, what)
			}
		}
		if container.LivenessProbe.HTTPGet.Path == container.ReadinessProbe.HTTPGet.Path {
			t.Errorf("%s: a database that is away would have the pod killed", name)
		}
		// After the delay, requests in flight have ten seconds or more, and then leases and the database are given back.
		grace := time.Duration(*d.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
		delay := drainDelay(t, container)
		if noticed := time.Duration(container.ReadinessProbe.PeriodSeconds*container.ReadinessProbe.FailureThreshold) * time.Second; delay <= noticed {
			t.Errorf("%s: ends %s after it was told to, and may be taken for ready for %s", name, delay, noticed)
		}
		if grace < delay+30*time.Second {
			t.Errorf("%s: is killed after %s, before it has drained", name, grace)
		}
		if !slices.Contains(ports, service.Spec.Ports[0].TargetPort.StrVal) {
			t.Errorf("%s: the service leads to no port", name)
		}
	}
}

// drainDelay is how long a pod goes on serving after it was told to end.
func drainDelay(t *testing.T, container corev1.Container) time.Duration {
	t.Helper()
	for _, variable := range container.Env {
		if variable.Name == "SPECTRON_DRAIN_DELAY" {
			delay, err := time.ParseDuration(variable.Value)
			if err != nil {
				t.Error(err)
			}
			return delay
		}
	}
	return 0
}

func TestOnlyTheDataPlaneReachesTheKeyManager(t *testing.T) {
	t.Parallel()
	b := build(t)
	pods := b.pods()
	admits := func(to, from, port string) bool {
		for _, policy := range b.policies {
			if !slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) || !matches(t, &policy.Spec.PodSelector, pods[to].Labels) {
				continue
			}
			for _, rule := range policy.Spec.Ingress {
				reached := slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.StrVal == port })
				open := len(rule.From) == 0
				for _, peer := range rule.From {
					open = open || peer.NamespaceSelector == nil && peer.PodSelector != nil && matches(t, peer.PodSelector, pods[from].Labels)
				}
				if reached && open {
					return true
				}
			}
		}
		return false
	}
	for from, want := range map[string]bool{"spectron": true, "migrate": false, "keymanager": false, "a stranger": false} {
		if got := admits("keymanager", from, "management"); got != want {
			t.Errorf("%s reaches the key manager: %t, want %t", from, got, want)
		}
	}
	if !admits("spectron", "a stranger", "api") || admits("spectron", "a stranger", "admin") || admits("keymanager", "spectron", "admin") {
		t.Error("clients must reach the API and nothing else")
	}
	denied := b.policies["nothing"]
	if denied == nil || len(denied.Spec.PodSelector.MatchLabels) > 0 || len(denied.Spec.PolicyTypes) != 2 || len(denied.Spec.Ingress)+len(denied.Spec.Egress) > 0 {
		t.Error("what no rule allows is not denied")
	}
}

func matches(t *testing.T, selector *metav1.LabelSelector, set map[string]string) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return s.Matches(labels.Set(set))
}
