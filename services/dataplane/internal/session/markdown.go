package session

import "strings"

// Markdown returns turns as a list for a prompt, in their order; empty when there are none.
func Markdown(turns []Said) string {
	if len(turns) == 0 {
		return ""
	}
	var out strings.Builder
	out.WriteString("## Conversation\n\n")
	for _, turn := range turns {
		// What begins a line means something in markdown: the further lines of a turn stay in its item.
		out.WriteString("- " + string(turn.Role) + ": " + strings.ReplaceAll(strings.TrimSpace(turn.Content), "\n", "\n  ") + "\n")
	}
	return out.String()
}
