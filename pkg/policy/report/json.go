package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// document is a Report for an encoder of ours: without the method that would
// encode it with HTML escapes.
type document v1alpha1.Report

func encodeJSON(w io.Writer, r *policy.Report, indent string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode((*document)(ToAPI(r))); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return nil
}

func writeJSON(w io.Writer, r *policy.Report, _ Options) error {
	p := newPrinter(w)
	if err := encodeJSON(printable{p, jsonEscape}, r, "  "); err != nil {
		return err
	}
	return p.flush()
}

// writeYAML writes what writeJSON writes, in the same order of fields.
func writeYAML(w io.Writer, r *policy.Report, _ Options) error {
	var text bytes.Buffer
	if err := encodeJSON(&text, r, ""); err != nil {
		return err
	}
	dec := json.NewDecoder(&text)
	dec.UseNumber()
	doc, err := yamlNode(dec)
	if err != nil {
		return err
	}
	text.Reset()
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := enc.Close(); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	p := newPrinter(w)
	_, _ = printable{p, yamlEscape}.Write(text.Bytes()) // p keeps the error
	return p.flush()
}

// yamlNode reads one JSON value as a tree. Reading it as the YAML that it also
// is would fail on keys and characters that only JSON allows.
func yamlNode(dec *json.Decoder) (*yaml.Node, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("convert to YAML: %w", err)
	}
	switch v := token.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.MappingNode}
		if v == '[' {
			n.Kind = yaml.SequenceNode
		}
		for dec.More() {
			child, err := yamlNode(dec) // of a mapping: keys and values in turn
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err := dec.Token() // the closing delimiter
		return n, err
	case string:
		return yamlString(v), nil
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: v.String()}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(token)}, nil // true, false
}

// yamlString is a scalar that the encoder quotes where it must. Only in double
// quotes can characters be escaped. Line ends are escaped too: in a block of
// several lines a stranger's line would stand alone.
func yamlString(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if visible(s) != s {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
