package plugin

import (
	"os"
	"strings"
	"testing"
)

// TestCommandsInKeysDoc tries every command of docs/keys.md against the command
// tree.
func TestCommandsInKeysDoc(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(text)) {
		_, command, ok := strings.Cut(line, "kubectl mojasec ")
		if !ok {
			continue
		}
		command, _, _ = strings.Cut(command, "`")
		command, _, _ = strings.Cut(command, " > ")
		command, _, _ = strings.Cut(command, " | ")
		found++
		if err := exists(strings.Fields(command)); err != nil {
			t.Errorf("kubectl mojasec %s: %v", command, err)
		}
	}
	if found < 3 {
		t.Errorf("%d commands found: this test proves nothing", found)
	}
}
