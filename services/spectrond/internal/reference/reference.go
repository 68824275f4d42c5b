// Package reference writes the pages of docs/reference. It promises that they hold what the code has: commands as they tell of
// themselves, the variables of the configuration structs, the metrics of open registries, the kinds of problems and of audit rows.
package reference

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spectron-hq/spectron/services/spectron/commandline"
	"github.com/spectron-hq/spectron/services/spectrond/internal/command"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splcommand"
)

//go:generate go run ./write ../../../.. ../../../../docs/reference

// Pages returns the pages by their file names. root is the folder of the repository, for what only the source tells; scratch is an
// empty folder.
func Pages(ctx context.Context, root, scratch string) (map[string]string, error) {
	pages := map[string]string{"variables.md": variables()}
	for _, tree := range []*cobra.Command{command.Tree(), commandline.Tree(), splcommand.Tree()} {
		pages[tree.Name()+".md"] = commands(tree)
	}
	for name, write := range map[string]func() (string, error){
		"metrics.md":  func() (string, error) { return metrics(ctx, scratch) },
		"problems.md": func() (string, error) { return problems(root) },
		"audit.md":    func() (string, error) { return actions(root) },
	} {
		page, err := write()
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
		pages[name] = page
	}
	return pages, nil
}

// begin is the head of a page.
func begin(title, about string) *strings.Builder {
	var page strings.Builder
	fmt.Fprintf(&page, "<!-- Written by `make generate`. -->\n# %s\n\n%s\n", title, about)
	return &page
}

// commands tells of a program and of each of its commands what --help tells.
func commands(root *cobra.Command) string {
	page := begin(root.Name(), root.Short+". The same texts as those of `--help`.")
	var tell func(cmd *cobra.Command)
	tell = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
			return
		}
		cmd.InitDefaultHelpFlag()
		if cmd.HasParent() {
			fmt.Fprintf(page, "\n## %s\n", cmd.CommandPath())
		}
		fmt.Fprintf(page, "\n```text\n%s\n", about(cmd))
		list(page, "Usage", usage(cmd))
		list(page, "Aliases", strings.Join(cmd.Aliases, ", "))
		list(page, "Examples", strings.TrimRight(cmd.Example, "\n"))
		list(page, "Flags", flags(cmd.LocalFlags()))
		page.WriteString("```\n")
		if parent := inheriting(cmd); parent != nil {
			fmt.Fprintf(page, "\nAnd the flags of [%s](#%s).\n", parent.CommandPath(), strings.ReplaceAll(parent.CommandPath(), " ", "-"))
		}
		for _, child := range cmd.Commands() {
			tell(child)
		}
	}
	tell(root)
	return page.String()
}

func about(cmd *cobra.Command) string {
	if cmd.Long == "" {
		return cmd.Short + "."
	}
	return strings.TrimRight(cmd.Long, "\n")
}

func usage(cmd *cobra.Command) string {
	if cmd.Runnable() && !cmd.HasSubCommands() {
		return "  " + cmd.UseLine()
	}
	var lines []string
	for _, child := range cmd.Commands() {
		if !child.Hidden && child.Name() != "help" && child.Name() != "completion" {
			lines = append(lines, fmt.Sprintf("  %s %-16s %s", cmd.CommandPath(), child.Name(), child.Short))
		}
	}
	return strings.Join(lines, "\n")
}

// flags leaves out what every command has.
func flags(set *pflag.FlagSet) string {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "help" && !flag.Hidden {
			own.AddFlag(flag)
		}
	})
	return strings.TrimRight(own.FlagUsages(), "\n")
}

// inheriting returns the command above cmd whose flags cmd has, too.
func inheriting(cmd *cobra.Command) *cobra.Command {
	for parent := cmd.Parent(); parent != nil; parent = parent.Parent() {
		if parent.PersistentFlags().HasAvailableFlags() {
			return parent
		}
	}
	return nil
}

func list(page *strings.Builder, title, text string) {
	if text != "" {
		fmt.Fprintf(page, "\n%s:\n%s\n", title, text)
	}
}

// variables tells of every variable, by the command that reads it.
func variables() string {
	page := begin("Variables", "What configures the processes, by the command that reads it. A flag wins over its variable, the variable over the\n"+
		"default; an empty variable counts as unset. A secret may be replaced by `NAME_FILE`, the path of a file that holds it: prefer that.\n"+
		"The same as a file to copy from: [.env.example](../../.env.example).")
	for _, section := range command.Sections() {
		fmt.Fprintf(page, "\n## %s\n\n| Variable | Flag | Default | What it is |\n|---|---|---|---|\n", section.Title)
		for _, s := range describe(section) {
			fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", s.Variable, code("--", s.Flag), code("", s.Default), cell(kind(s)+s.Usage))
		}
	}
	return page.String()
}

func code(prefix, text string) string {
	if text == "" {
		return ""
	}
	return "`" + prefix + text + "`"
}

// cell makes text fit into a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " ")
}
