package source

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFirstLine(t *testing.T) {
	long := strings.Repeat("x", maxPasswordBytes)
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"\n", ""},
		{"secret", "secret"},
		{"secret\n", "secret"},
		{"secret\r\n", "secret"},
		{" with spaces \nand more", " with spaces "},
		{long + "\r\n", long},
	} {
		got, err := firstLine(strings.NewReader(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("firstLine(%q) = %q, %v", c.in, got, err)
		}
	}
	for _, in := range []string{long + "x", long + "x\n", long + strings.Repeat("y", 1<<20)} {
		if _, err := firstLine(strings.NewReader(in)); err != errLongPassword {
			t.Errorf("%d bytes: %v", len(in), err)
		}
	}
	if _, err := firstLine(io.MultiReader(strings.NewReader("a"), broken{})); err != io.ErrNoProgress {
		t.Errorf("error %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

func TestPasswordFromFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "password")
	if err := os.WriteFile(path, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := PasswordFromFile(path)(true); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	var exposed *exposedError
	if _, err := PasswordFromFile(path)(false); !errors.As(err, &exposed) {
		t.Errorf("a password that others can read: %v", err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := PasswordFromFile(empty)(true); err != errEmptyPassword {
		t.Errorf("an empty password for a new key: %v", err)
	}
	if got, err := PasswordFromFile(empty)(false); err != nil || len(got) != 0 {
		t.Errorf("an empty password for an old key: %q, %v", got, err)
	}
	if err := os.WriteFile(empty, bytes.Repeat([]byte("x"), maxPasswordBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := PasswordFromFile(empty)(false); !errors.Is(err, errLongPassword) {
		t.Errorf("a long password: %v", err)
	}
}

func TestAskTwice(t *testing.T) {
	for _, c := range []struct {
		name    string
		confirm bool
		typed   []string
		want    string
		err     error
	}{
		{"once", false, []string{"secret"}, "secret", nil},
		{"empty once", false, []string{""}, "", nil},
		{"twice", true, []string{"secret", "secret"}, "secret", nil},
		{"differs", true, []string{"secret", "Secret"}, "", errPasswordDiffers},
		{"empty", true, []string{""}, "", errEmptyPassword},
		{"long", false, []string{strings.Repeat("x", maxPasswordBytes+1)}, "", errLongPassword},
		{"ends", true, []string{"secret"}, "", io.EOF},
		{"ends at once", true, nil, "", io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			typed := c.typed
			got, err := askTwice(c.confirm, "Password: ", &out, func() ([]byte, error) {
				if len(typed) == 0 {
					return nil, io.EOF
				}
				line := typed[0]
				typed = typed[1:]
				return []byte(line), nil
			})
			if string(got) != c.want || err != c.err {
				t.Errorf("%q, %v", got, err)
			}
			if strings.Contains(out.String(), "ecret") {
				t.Error("the password is shown")
			}
		})
	}
}
