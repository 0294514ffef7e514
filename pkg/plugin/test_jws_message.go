package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// message is an HTTP request as far as it is at hand.
type message struct {
	// method and uri are of the request line; "" without one.
	method, uri string
	headers     map[string][]string
	// body is nil when only headers were given.
	body []byte
}

// parseMessage reads headers in the forms in which people have them: a JSON
// object; an object with the members headers and body, as sign prints it and
// loggers write it; header lines; a whole HTTP request.
func parseMessage(text []byte) (*message, error) {
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	switch {
	case len(trimmed) == 0:
		return nil, errors.New("there is nothing")
	case trimmed[0] == '{':
		return parseJSONMessage(trimmed)
	}
	return parseRawMessage(text)
}

func parseJSONMessage(text []byte) (*message, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("no JSON object of headers: %w", err)
	}
	m := &message{}
	inner, nested := object["headers"]
	if !nested {
		var err error
		m.headers, err = jsonHeaders(object)
		return m, err
	}
	var headers map[string]json.RawMessage
	if err := json.Unmarshal(inner, &headers); err != nil {
		return nil, errors.New(`the member "headers" is no object`)
	}
	var err error
	if m.headers, err = jsonHeaders(headers); err != nil {
		return nil, err
	}
	for name, into := range map[string]*string{"method": &m.method, "uri": &m.uri, "url": &m.uri} {
		if raw, ok := object[name]; ok {
			_ = json.Unmarshal(raw, into) // what is no string is no help
		}
	}
	if raw, ok := object["body"]; ok {
		// A string is the text; anything else is what a logger has parsed.
		var body string
		if json.Unmarshal(raw, &body) == nil {
			m.body = []byte(body)
		} else {
			m.body = raw
		}
	}
	return m, nil
}

// jsonHeaders takes strings and lists of strings.
func jsonHeaders(object map[string]json.RawMessage) (map[string][]string, error) {
	out := map[string][]string{}
	for name, raw := range object {
		var one string
		var many []string
		switch {
		case json.Unmarshal(raw, &one) == nil:
			out[name] = []string{one}
		case json.Unmarshal(raw, &many) == nil:
			out[name] = many
		case strings.EqualFold(name, "FSPIOP-Signature"):
			// A logger that has parsed the value: its text is compact again.
			var b bytes.Buffer
			if err := json.Compact(&b, raw); err != nil {
				return nil, err
			}
			out[name] = []string{b.String()}
		default:
			out[name] = []string{string(raw)} // a number, such as content-length
		}
	}
	return out, nil
}

// parseRawMessage reads lines up to an empty one; the rest is the body.
func parseRawMessage(text []byte) (*message, error) {
	m := &message{headers: map[string][]string{}}
	rest := bytes.TrimLeft(text, "\r\n")
	for first := true; len(rest) > 0; first = false {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			if body := bytes.TrimRight(rest, "\r\n"); len(body) > 0 {
				m.body = body
			}
			break
		}
		if first {
			if method, uri, ok := requestLine(string(line)); ok {
				m.method, m.uri = method, uri
				continue
			}
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(string(line), "> "), ":") // curl --verbose
		if !ok || strings.TrimSpace(name) == "" {
			const most = 40
			shown := string(line)
			if len(shown) > most {
				shown = shown[:most] + "…"
			}
			return nil, fmt.Errorf("%q is no header line; want NAME: VALUE, or a JSON object", shown)
		}
		name = strings.TrimSpace(name)
		m.headers[name] = append(m.headers[name], strings.TrimSpace(value))
	}
	if len(m.headers) == 0 {
		return nil, errors.New("there are no headers")
	}
	return m, nil
}

// requestLine reads "POST /quotes HTTP/1.1".
func requestLine(line string) (method, uri string, ok bool) {
	words := strings.Fields(strings.TrimPrefix(line, "> "))
	if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/") {
		return "", "", false
	}
	return words[0], words[1], true
}
