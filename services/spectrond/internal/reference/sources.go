package reference

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/node"
)

func describe(section settings.Section) []settings.Setting { return settings.Describe(section.Config) }

func kind(s settings.Setting) string {
	switch {
	case s.Secret:
		return "secret: "
	case s.Kind == "string":
		return ""
	default:
		return s.Kind + ": "
	}
}

// problems tells of every kind of error answer, and of the codes that some surfaces add.
func problems(root string) (string, error) {
	page := begin("Problems", "Every error is `application/problem+json` with `type`, `title`, `status`, `detail`, `instance` and `message` (the same as\n"+
		"`detail`); `field` names the input that is wrong, where there is one. Programs should look at `type`. What each route may answer is in\n"+
		"the OpenAPI documents.")
	page.WriteString("\n| Status | `type` | `title` |\n|---|---|---|\n")
	kinds := fault.Kinds()
	slices.SortStableFunc(kinds, func(a, b fault.Kind) int { return a.Status() - b.Status() })
	for _, k := range kinds {
		fmt.Fprintf(page, "| %d | `%s` | %s |\n", k.Status(), k.Type(), k.Title())
	}
	page.WriteString("\n## Codes\n\nUnder `/v1`, errors have a `code` besides, and `object` is `error`:\n\n")
	codes, err := codesOf(root)
	if err != nil {
		return "", err
	}
	for _, c := range codes {
		fmt.Fprintf(page, "- `%s`\n", c)
	}
	return page.String(), nil
}

var codeText = regexp.MustCompile(`^[A-Z]+(_[A-Z]+)*$`)

// codesOf reads the codes in the source: what is assigned to a field Code, a constant of such a name, or returned by a coding.
func codesOf(root string) ([]string, error) {
	var codes []string
	add := func(e ast.Expr) {
		literal, ok := e.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return
		}
		if text, err := strconv.Unquote(literal.Value); err == nil && codeText.MatchString(text) && !slices.Contains(codes, text) {
			codes = append(codes, text)
		}
	}
	err := parse(root, []string{"services/contract", "services/dataplane/internal"}, func(file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if name, ok := n.Key.(*ast.Ident); ok && name.Name == "Code" {
					add(n.Value)
				}
			case *ast.ValueSpec:
				if len(n.Values) == 1 && strings.HasPrefix(n.Names[0].Name, "Code") {
					add(n.Values[0])
				}
			case *ast.FuncDecl:
				if n.Name.Name == "code" {
					ast.Inspect(n, func(inner ast.Node) bool {
						if result, ok := inner.(*ast.ReturnStmt); ok && len(result.Results) == 1 {
							add(result.Results[0])
						}
						return true
					})
				}
			}
			return true
		})
	})
	slices.Sort(codes)
	return codes, err
}

// actions tells of the kinds of audit rows: the constants of the type Action.
func actions(root string) (string, error) {
	page := begin("Audit actions", "What the audit log of the key manager names, by `action`.")
	page.WriteByte('\n')
	count := 0
	err := parse(root, []string{"services/keymanager/internal/audit"}, func(file *ast.File) {
		for _, declared := range file.Decls {
			group, ok := declared.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, spec := range group.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok || len(value.Values) != 1 {
					continue
				}
				typ, isNamed := value.Type.(*ast.Ident)
				literal, isLiteral := value.Values[0].(*ast.BasicLit)
				if isNamed && isLiteral && typ.Name == "Action" {
					count++
					fmt.Fprintf(page, "- `%s`%s\n", strings.Trim(literal.Value, `"`), comment(value))
				}
			}
		}
	})
	if err == nil && count == 0 {
		err = errors.New("there are no actions")
	}
	return page.String(), err
}

// comment is what stands behind a constant.
func comment(value *ast.ValueSpec) string {
	if text := strings.TrimSpace(value.Comment.Text()); text != "" {
		return ": " + text
	}
	return ""
}

// parse reads the Go files below folders, without tests.
func parse(root string, folders []string, visit func(*ast.File)) error {
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err == nil {
				visit(file)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

var description = regexp.MustCompile(`fqName: "(.*?)", help: "(.*?)"(?:, unit: ".*?")?, constLabels: \{(.*?)\}, variableLabels: \{(.*?)\}`)

// metrics tells of what both planes register. A metric of a pool or a plane is there once for each.
func metrics(ctx context.Context, scratch string) (_ string, err error) {
	n, err := node.Open(ctx, node.Config{DataDir: filepath.Join(scratch, "node"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		n.Metrics().Describe(descriptions)
	}()
	rows := map[string]string{}
	for d := range descriptions {
		found := description.FindStringSubmatch(d.String())
		if len(found) == 0 {
			return "", fmt.Errorf("reading %s", d)
		}
		if (!strings.HasPrefix(found[1], "go_") || strings.HasPrefix(found[1], "go_sql_")) && !strings.HasPrefix(found[1], "process_") {
			rows[found[1]] = fmt.Sprintf("| `%s` | %s | %s |\n", found[1], labels(found[3], found[4]), cell(strings.ReplaceAll(found[2], `\"`, `"`)))
		}
	}
	return metricsPage(rows), nil
}

func metricsPage(rows map[string]string) string {
	page := begin("Metrics", "`GET /metrics` at the admin address (`SPECTRON_ADMIN_ADDRESS`) of each process answers these in the form of Prometheus, and those\n"+
		"of the Go runtime (`go_…`) and of the process (`process_…`). Both planes have those about HTTP; the key manager has those about barriers,\n"+
		"the data plane those about its verifier. A node has all of them.")
	page.WriteString("\n| Metric | Labels | What it is |\n|---|---|---|\n")
	names := make([]string, 0, len(rows))
	for name := range rows {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		page.WriteString(rows[name])
	}
	return page.String()
}

var labelName = regexp.MustCompile(`(\w+)="`)

func labels(constant, variable string) string {
	var names []string
	for _, found := range labelName.FindAllStringSubmatch(constant, -1) {
		names = append(names, "`"+found[1]+"`")
	}
	for name := range strings.SplitSeq(variable, ",") {
		if name = strings.Trim(name, `{} "`); name != "" {
			names = append(names, "`"+name+"`")
		}
	}
	return strings.Join(names, ", ")
}
