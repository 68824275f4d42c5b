package memory

import "strings"

// Markdown returns hits as a list for a prompt, the best first; empty when there are none.
func Markdown(hits []Hit) string {
	var out strings.Builder
	for _, hit := range hits {
		// What begins a line means something in markdown: the further lines of a text stay in its item.
		out.WriteString("- " + strings.ReplaceAll(strings.TrimSpace(hit.Text), "\n", "\n  "))
		if !hit.OccurredAt.IsZero() {
			out.WriteString(" (" + hit.OccurredAt.Format("2006-01-02") + ")")
		}
		out.WriteByte('\n')
	}
	if out.Len() == 0 {
		return ""
	}
	return "## Memories\n\n" + out.String()
}
