package interop_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"unicode/utf8"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// forms is what JavaScript makes of a text. Error is set instead when it cannot
// read or write it.
type forms struct {
	Ordered []byte `json:"ordered"` // JSON.stringify(JSON.parse(text))
	Sorted  []byte `json:"sorted"`  // safe-stable-stringify of it
	Error   string `json:"error"`
}

// compareForms tells of every text what Node and ecmajson disagree on, and
// how many of them both read and refused.
func compareForms(t *testing.T, texts [][]byte) (read, refused int) {
	t.Helper()
	answers := stringify(t, texts)
	if len(answers) != len(texts) {
		t.Fatalf("Node answered %d of %d texts", len(answers), len(texts))
	}
	for i, want := range answers {
		compareForm(t, texts[i], want)
		if want.Error == "" {
			read++
		} else {
			refused++
		}
	}
	return read, refused
}

func compareForm(t *testing.T, text []byte, want forms) {
	t.Helper()
	ordered, err := ecmajson.Ordered(text)
	if errors.Is(err, ecmajson.ErrTooDeep) {
		return // somewhere above our limit Node gives up, too
	}
	if (err != nil) != (want.Error != "") {
		t.Errorf("%.300q: got error %v, Node has %q", text, err, want.Error)
		return
	}
	sorted, otherErr := ecmajson.Sorted(text)
	if (otherErr != nil) != (err != nil) {
		t.Errorf("%.300q: Ordered has error %v, Sorted %v", text, err, otherErr)
	}
	if !bytes.Equal(ordered, want.Ordered) {
		t.Errorf("%.300q: Ordered: got %.300q, Node writes %.300q", text, ordered, want.Ordered)
	}
	if !bytes.Equal(sorted, want.Sorted) {
		t.Errorf("%.300q: Sorted: got %.300q, Node writes %.300q", text, sorted, want.Sorted)
	}
}

func TestStringify(t *testing.T) {
	const batches, size = 20, 1000
	b := newBodies(seed(t))
	read, refused := 0, 0
	for i := range batches {
		texts := make([][]byte, size)
		for j := range texts {
			texts[j] = b.Text()
			if i%4 == 3 {
				texts[j] = b.Broken()
			}
		}
		r, f := compareForms(t, texts)
		read, refused = read+r, refused+f
		if t.Failed() {
			break
		}
	}
	// The generator must make enough of both kinds for the comparison to mean
	// something.
	if read < 10_000 || refused < 1000 {
		t.Errorf("Node read %d texts and refused %d", read, refused)
	}
}

// Depth is where the two part: JSON.parse knows no limit, and what it reads
// nobody can write.
func TestStringifyDepth(t *testing.T) {
	needInterop(t)
	text := func(levels int) []byte {
		return append(bytes.Repeat([]byte(`[`), levels), bytes.Repeat([]byte(`]`), levels)...)
	}
	compareForms(t, [][]byte{text(ecmajson.MaxDepth - 1), text(ecmajson.MaxDepth)})

	beyond := text(5000)
	if got := stringify(t, [][]byte{beyond})[0]; got.Error == "" {
		t.Error("Node writes 5000 levels: MaxDepth can be raised")
	}
	if _, err := ecmajson.Sorted(beyond); !errors.Is(err, ecmajson.ErrTooDeep) {
		t.Errorf("got error %v, want %v", err, ecmajson.ErrTooDeep)
	}
}

// FuzzAgainstNode lets the fuzzer look for a text on which we and Node differ.
func FuzzAgainstNode(f *testing.F) {
	needInterop(f)
	b := newBodies(1)
	for range 200 {
		f.Add(b.Text())
		f.Add(b.Broken())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		compareForms(t, [][]byte{text})
	})
}

// vector is one entry of the test data of pkg/crypto/ecmajson.
type vector struct {
	Text    string `json:"text,omitempty"`
	Bytes   []byte `json:"bytes,omitempty"`
	Ordered string `json:"ordered,omitempty"`
	Sorted  string `json:"sorted,omitempty"`
	Refused bool   `json:"refused,omitempty"`
}

const stringifyVectors = "../../pkg/crypto/ecmajson/testdata/vectors.json"

// TestStringifyVectors checks that the test data which stands in for Node
// elsewhere is what Node says. With UPDATE set it writes them.
func TestStringifyVectors(t *testing.T) {
	needInterop(t)
	texts := vectorTexts()
	want := make([]vector, len(texts))
	for i, answer := range stringify(t, texts) {
		v := vector{Ordered: string(answer.Ordered), Sorted: string(answer.Sorted), Refused: answer.Error != ""}
		if v.Sorted == v.Ordered {
			v.Sorted = ""
		}
		if utf8.Valid(texts[i]) {
			v.Text = string(texts[i])
		} else {
			v.Bytes = texts[i]
		}
		want[i] = v
	}
	data := []byte("[\n")
	for i, v := range want {
		line, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			data = append(data, ",\n"...)
		}
		data = append(data, line...)
	}
	data = append(data, "\n]\n"...)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(stringifyVectors, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(stringifyVectors)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%s is not what Node says; write it with `UPDATE=1 make test-interop`", stringifyVectors)
	}
}

// vectorTexts are short texts: each hard name, string and number by itself, and
// some of the generator.
func vectorTexts() [][]byte {
	const longest = 400
	var texts [][]byte
	for _, name := range hardNames {
		texts = append(texts, []byte(`{"b":0,"9":1,`+name+`:2,"a":3}`))
	}
	for _, text := range append(hardStrings, hardNumbers...) {
		texts = append(texts, []byte(text))
	}
	b := newBodies(1)
	for len(texts) < 350 {
		text := b.Text()
		if len(texts)%3 == 0 {
			text = b.Broken()
		}
		if len(text) <= longest {
			texts = append(texts, text)
		}
	}
	return texts
}
