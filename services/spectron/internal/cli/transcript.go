package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client"
)

var roles = []string{"user", "assistant", "system", "tool"}

// parseTranscript reads a conversation: a JSON list of {"role", "content", "ts"}, or lines of which those that begin with a
// role and a colon begin a message.
func parseTranscript(text string) ([]client.Message, error) {
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "[") {
		return parseJSONTranscript(trimmed)
	}
	var messages []client.Message
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		name, content, found := strings.Cut(line, ":")
		role := strings.ToLower(strings.TrimSpace(name))
		switch {
		case found && slices.Contains(roles, role):
			messages = append(messages, client.Message{Role: role, Content: strings.TrimSpace(content)})
		case len(messages) > 0:
			last := &messages[len(messages)-1]
			last.Content += "\n" + line
		case strings.TrimSpace(line) != "":
			return nil, usagef("--transcript: the first line must begin with a role, as in \"user: hello\"; the roles are %s (a file is given with --from-file)",
				strings.Join(roles, ", "))
		}
	}
	for i := range messages {
		messages[i].Content = strings.TrimSpace(messages[i].Content)
	}
	if len(messages) == 0 {
		return nil, usagef("--transcript: there is no message")
	}
	return messages, nil
}

func parseJSONTranscript(text string) ([]client.Message, error) {
	var list []struct {
		Role    string    `json:"role"`
		Content string    `json:"content"`
		TS      time.Time `json:"ts"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) == 0 {
		return nil, usagef(`--transcript: want a JSON list of {"role": "user", "content": "hello", "ts": "2026-09-01T12:00:00Z"}, ts optional`)
	}
	messages := make([]client.Message, len(list))
	for i, m := range list {
		messages[i] = client.Message{Role: m.Role, Content: m.Content, At: m.TS}
	}
	return messages, nil
}
