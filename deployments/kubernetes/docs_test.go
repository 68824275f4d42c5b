package kubernetes_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

const repository = "../.."

// There is no cluster here, but what the documents have kubectl do must name what the base has: each line of a block that is fenced
// as `sh kubernetes` is looked at, and one that nobody understands is an error.
func TestDocumentsNameWhatThereIs(t *testing.T) {
	t.Parallel()
	b, lines := build(t), 0
	for _, line := range commandsOfDocuments(t) {
		lines++
		words := strings.Fields(line)
		words = slices.DeleteFunc(words, func(w string) bool { return w == "-n" || w == "spectron" })
		if len(words) < 3 || words[0] != "kubectl" {
			t.Errorf("nobody understands %q", line)
			continue
		}
		switch verb := words[1] + " " + words[2]; verb {
		case "create namespace":
		case "create secret":
			b.lookAtSecret(t, line, words[4], words[5:])
		case "apply -k":
			if _, err := os.Stat(filepath.Join(repository, words[3], "kustomization.yaml")); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		case "rollout status":
			b.lookAtObject(t, line, words[3])
		default:
			if words[1] != "exec" && words[1] != "port-forward" {
				t.Errorf("nobody understands %q", line)
			}
			b.lookAtObject(t, line, words[2])
		}
	}
	if lines < 5 {
		t.Errorf("only %d commands were found", lines)
	}
}

// lookAtObject finds deployment/NAME or service/NAME in the base.
func (b base) lookAtObject(t *testing.T, line, name string) {
	t.Helper()
	kind, name, _ := strings.Cut(name, "/")
	if (kind != "deployment" || b.deployments[name] == nil) && (kind != "service" || b.services[name] == nil) {
		t.Errorf("%q: the base has no %s %s", line, kind, name)
	}
}

// lookAtSecret sees that some pod is given each of the keys of a secret.
func (b base) lookAtSecret(t *testing.T, line, name string, options []string) {
	t.Helper()
	for _, option := range options {
		key, _, _ := strings.Cut(strings.TrimPrefix(option, "--from-file="), "=")
		if !b.mounts(name, key) {
			t.Errorf("%q: no pod is given %s of the secret %s", line, key, name)
		}
	}
}

func (b base) mounts(secret, key string) bool {
	for _, pod := range b.pods() {
		for _, volume := range pod.Spec.Volumes {
			if volume.Secret != nil && volume.Secret.SecretName == secret && (len(volume.Secret.Items) == 0 ||
				slices.ContainsFunc(volume.Secret.Items, func(item corev1.KeyToPath) bool { return item.Key == key })) {
				return true
			}
			if volume.Projected == nil {
				continue
			}
			for _, source := range volume.Projected.Sources {
				if source.Secret != nil && source.Secret.Name == secret && (len(source.Secret.Items) == 0 ||
					slices.ContainsFunc(source.Secret.Items, func(item corev1.KeyToPath) bool { return item.Key == key })) {
					return true
				}
			}
		}
	}
	return false
}

// commandsOfDocuments are the lines of all blocks that are fenced as `sh kubernetes`.
func commandsOfDocuments(t *testing.T) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && len(entry.Name()) > 2 && strings.HasPrefix(entry.Name(), ".") {
			if entry != nil && entry.IsDir() {
				return filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".md") {
			return nil
		}
		text, err := os.ReadFile(path)
		for i, part := range strings.Split(string(text), "\n```sh kubernetes\n") {
			if i == 0 {
				continue
			}
			block, _, _ := strings.Cut(part, "\n```")
			for line := range strings.Lines(block) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					lines = append(lines, line)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
