// Command oracle writes what Go's text/template makes of the cases in the files given.
//
// A file holds blocks that begin with a line "--- <what>": "file NAME" adds a template to the set of the next case, "in"
// is the template of a case, "out" or "error" what comes of it. This program keeps the first two and writes the others
// anew. With -lines it reads templates instead, each a JSON string on a line, and answers each with a JSON object.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

const main_ = "c/templates/x.yaml"

type file struct{ name, text string }

func main() {
	if len(os.Args) == 2 && os.Args[1] == "-lines" {
		lines()
		return
	}
	for _, path := range os.Args[1:] {
		if err := rewrite(path); err != nil {
			fmt.Fprintln(os.Stderr, path, err)
			os.Exit(1)
		}
	}
}

func lines() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for in.Scan() {
		var text string
		if err := json.Unmarshal(in.Bytes(), &text); err != nil {
			panic(err)
		}
		got, err := render(nil, text, true)
		answer := map[string]string{"out": got}
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		}
		if err := enc.Encode(answer); err != nil {
			panic(err)
		}
	}
}

func rewrite(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	withSprig := !strings.HasPrefix(filepath.Base(path), "builtin")
	var out strings.Builder
	var files []file
	for _, block := range strings.Split("\n"+strings.TrimSuffix(string(raw), "\n"), "\n--- ") {
		head, text, _ := strings.Cut(block, "\n")
		switch kind, arg, _ := strings.Cut(head, " "); kind {
		case "":
			out.WriteString(strings.TrimPrefix(block, "\n")) // the comment at the top
		case "file":
			files = append(files, file{arg, text})
			fmt.Fprintf(&out, "\n--- %s", block)
		case "in":
			got, err := render(files, text, withSprig)
			files = nil
			fmt.Fprintf(&out, "\n--- %s", block)
			if err != nil {
				fmt.Fprintf(&out, "\n--- error\n%s", err)
			} else {
				fmt.Fprintf(&out, "\n--- out\n%s", got)
			}
		case "out", "error":
		default:
			if !strings.HasPrefix(head, "#") {
				return fmt.Errorf("unknown block %q", head)
			}
			out.WriteString(block)
		}
	}
	return os.WriteFile(path, []byte(strings.TrimPrefix(out.String(), "\n")+"\n"), 0o644)
}

// data is what the cases see. Numbers are float64, as from YAML.
func data() map[string]any {
	var values map[string]any
	err := json.Unmarshal([]byte(`{"f": 3, "fl": 1.5, "big": 12345678, "a": "str", "m": {"x": 1, "b": "q"}, "l": [1, "b"],
		"t": true, "e": {}, "el": [], "es": "", "z": 0, "nest": {"a": {"b": {"c": "d"}}, "l": [{"k": "v"}, [1, 2]]},
		"nul": null, "end": "an end", "é": "accent", "neg": -2.5}`), &values)
	if err != nil {
		panic(err)
	}
	return map[string]any{"Values": values, "Name": "n"}
}

func render(files []file, text string, withSprig bool) (string, error) {
	t := template.New("gotpl").Option("missingkey=zero")
	counts := map[string]int{}
	funcs := template.FuncMap{}
	if withSprig {
		funcs = sprig.TxtFuncMap()
	}
	nested(t, counts, funcs)
	t.Funcs(funcs)
	for _, f := range append(files, file{main_, text}) {
		if _, err := t.New(f.name).Parse(f.text); err != nil {
			return "", err
		}
	}
	var out strings.Builder
	err := t.ExecuteTemplate(&out, main_, data())
	return out.String(), err
}

// nested adds include, tpl, required and fail, as Helm has them.
func nested(t *template.Template, counts map[string]int, funcs template.FuncMap) {
	funcs["include"] = func(name string, data any) (string, error) {
		if counts[name] > 1000 {
			return "", fmt.Errorf("rendering template has a nested reference name: %s: %w", name,
				errors.New("unable to execute template"))
		}
		counts[name]++
		defer func() { counts[name]-- }()
		var out strings.Builder
		err := t.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	funcs["tpl"] = func(text string, data any) (string, error) {
		c, err := t.Clone()
		if err != nil {
			return "", err
		}
		c.Option("missingkey=zero")
		inner := template.FuncMap{}
		nested(c, counts, inner)
		c.Funcs(inner)
		c, err = c.New(t.Name()).Parse(text)
		if err != nil {
			return "", fmt.Errorf("cannot parse template %q: %w", text, err)
		}
		var out strings.Builder
		if err := c.Execute(&out, data); err != nil {
			return "", fmt.Errorf("error during tpl function execution for %q: %w", text, err)
		}
		return strings.ReplaceAll(out.String(), "<no value>", ""), nil
	}
	funcs["required"] = func(message string, value any) (any, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	funcs["fail"] = func(message string) (string, error) { return "", errors.New(message) }
}
