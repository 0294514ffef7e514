package yamltree

import (
	"encoding/base64"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const quotedStyles = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

// value is what a scalar is: one of the types JSON has, integers apart.
type value struct {
	kind  valueKind
	text  string  // of a string
	truth bool    // of a boolean
	int   int64   // of an integer
	float float64 // of another number
}

type valueKind uint8

const (
	nullValue valueKind = iota
	stringValue
	boolValue
	intValue
	floatValue
	// badValue does not fit its tag, or is a number that JSON does not have.
	badValue
)

// any returns the value as encoding/json would, with int64 for integers.
func (v value) any() any {
	switch v.kind {
	case stringValue:
		return v.text
	case boolValue:
		return v.truth
	case intValue:
		return v.int
	case floatValue:
		return v.float
	case nullValue, badValue:
	}
	return nil
}

// scalar returns the value of a scalar node as kubectl sees it after its way
// from YAML over JSON. The rules are those of sigs.k8s.io/yaml: YAML 1.1.
func scalar(n *yaml.Node) value {
	if n.Style&yaml.TaggedStyle == 0 {
		if n.Style&quotedStyles != 0 {
			return value{kind: stringValue, text: n.Value}
		}
		return plain(n.Value)
	}
	want := badValue
	switch n.Tag {
	case "!!binary":
		data, err := base64.StdEncoding.DecodeString(n.Value)
		if err != nil {
			return value{kind: badValue}
		}
		return value{kind: stringValue, text: string(data)}
	case "!!bool":
		want = boolValue
	case "!!int":
		want = intValue
	case "!!float":
		want = floatValue
	case "!!null":
		want = nullValue
	default: // !!str, !!timestamp and what only its author knows
		return value{kind: stringValue, text: n.Value}
	}
	v := plain(n.Value)
	if v.kind != want && (v.kind != intValue || want != floatValue) {
		return value{kind: badValue}
	}
	return v
}

var (
	null = value{kind: nullValue}
	yes  = value{kind: boolValue, truth: true}
	no   = value{kind: boolValue, truth: false}
	nan  = value{kind: badValue}
)

// words are the plain scalars that are no strings, though they look so.
var words = map[string]value{
	"": null, "~": null, "null": null, "Null": null, "NULL": null,
	"y": yes, "Y": yes, "yes": yes, "Yes": yes, "YES": yes,
	"true": yes, "True": yes, "TRUE": yes, "on": yes, "On": yes, "ON": yes,
	"n": no, "N": no, "no": no, "No": no, "NO": no,
	"false": no, "False": no, "FALSE": no, "off": no, "Off": no, "OFF": no,
	".nan": nan, ".NaN": nan, ".NAN": nan, ".inf": nan, ".Inf": nan, ".INF": nan,
	"+.inf": nan, "+.Inf": nan, "+.INF": nan, "-.inf": nan, "-.Inf": nan, "-.INF": nan,
}

const longestWord = len("false")

// plain resolves a scalar without quotes and tag.
func plain(text string) value {
	if text == "" {
		return null
	}
	if len(text) <= longestWord {
		if v, ok := words[text]; ok {
			return v
		}
	}
	if c := text[0]; c == '.' || c == '+' || c == '-' || '0' <= c && c <= '9' {
		if v, ok := number(text); ok {
			return v
		}
	}
	return value{kind: stringValue, text: text}
}

var yamlFloat = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

// number reads an integer (decimal, octal with 0 or 0o, hexadecimal, binary;
// underscores do not count) or a float. Integers too large for int64 and
// floats without a fraction become what JSON makes of them.
func number(text string) (value, bool) {
	if text[0] == '.' {
		f, err := strconv.ParseFloat(text, 64)
		return value{kind: floatValue, float: f}, err == nil
	}
	if strings.IndexByte(text, '_') >= 0 {
		text = strings.ReplaceAll(text, "_", "")
	}
	// Errors of strconv are costly, and most of what begins with a digit is
	// a version, an address or a quantity.
	if strings.Trim(text, "0123456789abcdefABCDEFoOxX.+-") != "" {
		return value{}, false
	}
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return value{kind: intValue, int: i}, true
	}
	if u, err := strconv.ParseUint(text, 0, 64); err == nil {
		return value{kind: floatValue, float: float64(u)}, true
	}
	if !yamlFloat.MatchString(text) {
		return value{}, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return value{}, false
	}
	// encoding/json writes these without fraction and exponent.
	if f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		return value{kind: intValue, int: int64(f)}, true
	}
	return value{kind: floatValue, float: f}, true
}

// keyString returns the text of a mapping key after its way to JSON, where
// every key is a string. It returns false for keys that are not scalars, or
// null.
func keyString(n *yaml.Node) (string, bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode {
		return "", false
	}
	switch v := scalar(n); v.kind {
	case stringValue:
		return v.text, true
	case boolValue:
		return strconv.FormatBool(v.truth), true
	case intValue, floatValue:
		return numberKey(n.Value), true
	case nullValue, badValue:
	}
	return "", false
}

// numberKey formats a number: one that was written as a float with the 32 bits
// of precision that kubectl's library gives it.
func numberKey(text string) string {
	text = strings.ReplaceAll(text, "_", "")
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return strconv.FormatInt(i, 10)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return strconv.FormatFloat(f, 'g', -1, 32)
}

// isMerge tells whether a key is the merge key.
func isMerge(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "<<" &&
		(n.Style&(quotedStyles|yaml.TaggedStyle) == 0 || n.Tag == "!!merge")
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// Describe names what a node is, for error messages: "the boolean yes", "a
// list". It does not tell the value of a string or number, which may be secret.
func Describe(n *yaml.Node) string {
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
	}
	switch scalar(n).kind {
	case boolValue:
		return "the boolean " + n.Value
	case intValue, floatValue:
		return "a number"
	case stringValue:
		return "a string"
	default:
		return "nothing"
	}
}
