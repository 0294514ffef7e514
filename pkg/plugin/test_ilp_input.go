package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mojasec/mojasec/pkg/crypto"
	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
	"github.com/mojasec/mojasec/pkg/crypto/ilp"
)

const (
	// stdinName is the file that stands for standard input.
	stdinName = "-"
	// maxILPInput bounds what is read: FSPIOP messages are a few kilobytes.
	maxILPInput = 1 << 20
)

// ilpInput is a file that was read.
type ilpInput struct {
	name string // as messages have it
	text []byte
}

// readILPInput reads a file, or standard input for "-". It returns when ctx ends,
// even if standard input does not.
func readILPInput(ctx context.Context, file fileFlag, stdin io.Reader) (ilpInput, error) {
	if file.name == stdinName {
		in := ilpInput{name: "standard input"}
		done := make(chan error, 1)
		go func() {
			var err error
			in.text, err = readBounded(stdin)
			done <- err
		}()
		select {
		case <-ctx.Done():
			return ilpInput{}, fmt.Errorf("read standard input: %w", ctx.Err())
		case err := <-done:
			if err != nil {
				return ilpInput{}, fmt.Errorf("read standard input: %w", err)
			}
			return in, nil
		}
	}
	f, err := file.open()
	if err != nil {
		return ilpInput{}, fmt.Errorf("read a file: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := readBounded(f)
	if err != nil {
		return ilpInput{}, fmt.Errorf("read a file: %w", file.explain(err))
	}
	return ilpInput{name: visible(file.name), text: text}, nil
}

func readBounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxILPInput+1))
	if err == nil && len(text) > maxILPInput {
		err = fmt.Errorf("longer than %d bytes", maxILPInput)
	}
	return text, err
}

// explain says where in the input an error is: file:line: what.
func (in *ilpInput) explain(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*ecmajson.SyntaxError](err); ok {
		return fmt.Errorf("%s:%d:%d: not JSON: %s", in.name, e.Line, e.Column, visible(e.Msg))
	}
	if e, ok := errors.AsType[*ilp.Error](err); ok {
		line := lineOf(in.text, e.Field)
		if line == 0 {
			return fmt.Errorf("%s: %s", in.name, visible(e.Error()))
		}
		return fmt.Errorf("%s:%d: %s", in.name, line, visible(e.Error()))
	}
	return fmt.Errorf("%s: %w", in.name, err)
}

// lineOf is the line of the field at a path such as "amount.currency" of a JSON
// text, or of the nearest field around it; 0 when none of the path is there.
func lineOf(text []byte, path string) int {
	dec := json.NewDecoder(bytes.NewReader(text))
	at := findField(dec, strings.Split(path, "."))
	if at == 0 {
		return 0
	}
	return 1 + bytes.Count(text[:at], []byte{'\n'})
}

// findField reads one value and returns where the field at a path ends, counted
// in bytes. An error of the decoder ends the search: the text was parsed before,
// by rules that differ in nothing that matters here.
func findField(dec *json.Decoder, path []string) (at int64) {
	token, err := dec.Token()
	if err != nil {
		return 0
	}
	open, ok := token.(json.Delim)
	if !ok {
		return 0
	}
	for dec.More() {
		var inner []string
		here := int64(0)
		if open == '{' {
			name, err := dec.Token()
			if err != nil {
				return at
			}
			if len(path) > 0 && name == path[0] {
				here, inner = dec.InputOffset(), path[1:]
			}
		}
		if deeper := findField(dec, inner); here > 0 {
			at = max(here, deeper)
		}
	}
	_, _ = dec.Token() // the closing bracket; an error ends the loops above
	return at
}

// readILPSecret reads the secret of the file of --secret-file. The line end that editors put at the
// end of a file is no part of it, unless exact is set; the SDK itself trims
// nothing. Warnings name no part of the secret.
func readILPSecret(ctx context.Context, name string, exact bool, stdin io.Reader, warnings io.Writer) (ilp.Secret, error) {
	in, err := readILPInput(ctx, fileFlag{"--secret-file", name}, stdin)
	if err != nil {
		return ilp.Secret{}, err
	}
	value := in.text
	if !exact {
		value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
	}
	secret, err := ilp.NewSecret(value)
	if err != nil {
		return ilp.Secret{}, in.explain(err)
	}
	for _, warning := range secretWarnings(value) {
		_, _ = fmt.Fprintf(warnings, "warning: %s: %s\n", in.name, warning)
	}
	return secret, nil
}

// minILPBits is what a shared secret should have at least.
const minILPBits = 128

// pemForSecret is said of a secret that hardly is one.
//
//nolint:gosec // it is a sentence, no credential
const pemForSecret = "this is a key or certificate in PEM, hardly an ILP secret: is it the right file?"

func secretWarnings(value []byte) []string {
	var out []string
	if isPEM(string(value)) {
		out = append(out, pemForSecret)
	}
	facts := crypto.DescribeSecret(value)
	switch {
	case facts.Published > 0:
		out = append(out, fmt.Sprintf("the secret is published default %d (%s): anybody can make fulfilments with it",
			facts.Published, crypto.PublishedILPSource(facts.Published)))
	case facts.Repetitive:
		out = append(out, "the secret repeats itself: it is easily guessed")
	case facts.Bits < minILPBits:
		out = append(out, fmt.Sprintf("the secret has at most %d bits, want %d: it is easily guessed", facts.Bits, minILPBits))
	}
	if len(crypto.TrimSecret(value)) != len(value) {
		out = append(out, "the secret begins or ends with white space or a quote, which the SDK takes for a part of it")
	}
	return out
}

// oneStdin refuses a command line that reads standard input twice.
func oneStdin(names ...string) error {
	n := 0
	for _, name := range names {
		if name == stdinName {
			n++
		}
	}
	if n > 1 {
		return &usageError{message: "standard input (-) can be read once: name a file for the other"}
	}
	return nil
}
