package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// settingTag marks the flags that variables and the configuration file may set as well.
const settingTag = "setting"

// variable returns the name of the variable that stands in for a flag.
func variable(flag string) string {
	return "UNDERSIGNED_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// settings are what variables and the configuration file say, for flags that are not given.
type settings struct {
	env  map[string]string
	path string              // of the configuration file
	skip error               // why the one in the usual place was not read
	file map[string][]string // by flag, in the order of the lines
}

// readSettings reads the configuration file, $XDG_CONFIG_HOME/undersigned/config or, without that variable,
// ~/.config/undersigned/config. A missing file says nothing,
// and nor does one in the home directory that may not be read, as that of the user who called sudo. A line is a flag's name without dashes, a space and
// its value; one that begins with "#" is a comment.
func readSettings(env map[string]string) (settings, error) {
	s := settings{env: env, file: map[string][]string{}}
	dir := env["XDG_CONFIG_HOME"]
	if dir == "" && env["HOME"] != "" {
		dir = filepath.Join(env["HOME"], ".config")
	}
	if dir == "" || !filepath.IsAbs(dir) { // XDG: relative paths are ignored
		return s, nil
	}
	s.path = filepath.Join(dir, "undersigned", "config")
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if errors.Is(err, fs.ErrPermission) && env["XDG_CONFIG_HOME"] == "" {
		s.skip = err
		return s, nil
	}
	if err != nil {
		return s, usagef("cannot read the configuration: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, " ")
		if value = strings.TrimSpace(value); !ok || value == "" {
			return s, usagef("%s line %d is not a flag's name, a space and a value", s.path, n)
		}
		s.file[name] = append(s.file[name], value)
	}
	return s, nil
}

// Validate refuses a configuration that sets what no command can be given there.
func (s settings) Validate(app *kong.Application) error {
	known := map[string]bool{}
	kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok && f.Tag.Has(settingTag) {
			known[f.Name] = true
		}
		return next(nil)
	})
	for name := range s.file {
		if !known[name] {
			return usagef("%s sets %q, which is no setting; it can set %s", s.path, name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	return nil
}

// Resolve returns the value of a flag that was not given, or nil.
func (s settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if !flag.Tag.Has(settingTag) {
		return nil, nil
	}
	if v := s.env[variable(flag.Name)]; v != "" {
		return v, nil
	}
	lines := s.file[flag.Name]
	switch {
	case len(lines) == 0:
		return nil, nil
	case flag.IsSlice():
		values := make([]any, len(lines))
		for i, l := range lines {
			values[i] = l
		}
		return values, nil
	}
	return lines[len(lines)-1], nil
}

// isGiven says whether a flag was given on the command line, not by a variable or the configuration file.
func isGiven(parsed *kong.Context, flag string) bool {
	return slices.ContainsFunc(parsed.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag.Name == flag && !p.Resolved })
}
