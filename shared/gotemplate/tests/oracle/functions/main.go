// Fills the expected results of case files from Helm's own engine.
//
// usage: TZ=UTC go run . ../../cases/functions/*.txt
//
// A file has templates, each on a line of its own that begins with "{{"; the line after it is the result: "= " and the
// output, or "! " and the error of the function. Other lines are kept, also results of Sluice's own, which begin with "~".
// Backslashes, control characters and a blank at the end of a result are written as escapes.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"strings"
	"unicode/utf8"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/engine"
)

func render(template string) string {
	chart := &v2.Chart{
		Metadata:  &v2.Metadata{Name: "c", Version: "1.0.0"},
		Templates: []*common.File{{Name: "templates/t", Data: []byte(template)}},
	}
	out, err := engine.Render(chart, common.Values{"Values": common.Values{}})
	if err != nil {
		return "! " + escape(message(err.Error()))
	}
	return "= " + escape(out["c/templates/t"])
}

// The message of the function or the engine, without the places that stand before it.
func message(text string) string {
	const mark = "error calling "
	if at := strings.LastIndex(text, mark); at >= 0 {
		_, text, _ = strings.Cut(text[at+len(mark):], ": ")
		return text
	}
	return strings.TrimSpace(text[strings.LastIndex(text, "\n")+1:])
}

func escape(text string) string {
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case r == '\\':
			out.WriteString(`\\`)
		case r == '\n':
			out.WriteString(`\n`)
		case r < ' ' || r == 0x7f || r == ' ' && len(text) == 1:
			fmt.Fprintf(&out, `\x%02x`, r)
		default:
			out.WriteString(text[:size])
		}
		text = text[size:]
	}
	return out.String()
}

func main() {
	log.SetFlags(0)
	for _, name := range os.Args[1:] {
		data, err := os.ReadFile(name)
		if err != nil {
			log.Fatal(err)
		}
		var out strings.Builder
		lines := bufio.NewScanner(strings.NewReader(string(data)))
		lines.Buffer(nil, 1<<24)
		for lines.Scan() {
			line := lines.Text()
			if strings.HasPrefix(line, "= ") || strings.HasPrefix(line, "! ") || line == "=" {
				continue
			}
			out.WriteString(line + "\n")
			if strings.HasPrefix(line, "{{") {
				out.WriteString(strings.TrimSuffix(render(line), " ") + "\n")
			}
		}
		if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
