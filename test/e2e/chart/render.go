// Renders a Helm chart with the part of Helm's template language that deploy/helm uses: text/template as it is, and the functions
// below. A function that is not here is an error, so a chart that needs more does not pass unseen.
//
//	go run render.go TEMPLATES < CONTEXT.json     prints each file's text behind a line "# Source: NAME"
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"
)

func number(v any) int {
	switch n := v.(type) {
	case float64:
		return int(n)
	case int:
		return n
	}
	panic(fmt.Sprintf("%v is no number", v))
}

func indent(n int, text string) string {
	space := strings.Repeat(" ", n)
	return space + strings.ReplaceAll(text, "\n", "\n"+space)
}

func empty(v any) bool {
	truth, _ := template.IsTrue(v)
	return !truth
}

func functions(all *template.Template) template.FuncMap {
	return template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var out bytes.Buffer
			err := all.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
		"required": func(why string, v any) (any, error) {
			if v == nil || v == "" {
				return nil, errors.New(why)
			}
			return v, nil
		},
		"default": func(otherwise, v any) any {
			if empty(v) {
				return otherwise
			}
			return v
		},
		// JSON is YAML, too
		"toYaml": func(v any) (string, error) {
			text, err := json.Marshal(v)
			return string(text), err
		},
		"quote": func(v any) string { return fmt.Sprintf("%q", fmt.Sprint(v)) },
		"join": func(by string, list []any) string {
			texts := make([]string, len(list))
			for i, v := range list {
				texts[i] = fmt.Sprint(v)
			}
			return strings.Join(texts, by)
		},
		"nindent":    func(n int, text string) string { return "\n" + indent(n, text) },
		"int":        number,
		"add":        func(a, b any) int { return number(a) + number(b) },
		"trunc":      func(n int, text string) string { return text[:min(n, len(text))] },
		"trimSuffix": func(end, text string) string { return strings.TrimSuffix(text, end) },
		"sha256sum":  func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) },
	}
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func render(folder string) error {
	var context any
	if err := json.NewDecoder(os.Stdin).Decode(&context); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no templates in %s", folder)
	}
	all := template.New("chart").Option("missingkey=error")
	all.Funcs(functions(all))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if _, err = all.New(filepath.Base(file)).Parse(string(text)); err != nil {
			return err
		}
	}
	sort.Strings(files)
	for _, file := range files {
		name := filepath.Base(file)
		if strings.HasPrefix(name, "_") {
			continue
		}
		fmt.Printf("---\n# Source: %s\n", name)
		if err := all.ExecuteTemplate(os.Stdout, name, context); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if err := render(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}
