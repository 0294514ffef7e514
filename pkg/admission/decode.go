package admission

import (
	"bytes"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/json"
)

// request is a review that could be read. Object.Raw and OldObject.Raw share
// memory with the body of the HTTP request.
type request struct{ admission.Request }

func (r *request) dryRun() bool { return ptr.Deref(r.DryRun, false) }

const (
	reviewVersion = "admission.k8s.io/v1"
	reviewKind    = "AdmissionReview"
)

// decodeReview reads an AdmissionReview. The objects in it are not parsed here:
// their text is cut out first, and parsed once, to what they are. Parsing the
// review as one document reads every object three times.
func decodeReview(body []byte) (*request, error) {
	var apiVersion, kind string
	var text []byte
	err := members(body, func(name string, value []byte) error {
		switch name {
		case "apiVersion":
			return decodeOnce(value, &apiVersion)
		case "kind":
			return decodeOnce(value, &kind)
		case "request":
			if text != nil {
				return badRequest("decode AdmissionReview: request is there twice")
			}
			text = value
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, asBadRequest("decode AdmissionReview", err)
	case apiVersion != reviewVersion || kind != reviewKind:
		return nil, badRequest("got %q of %q: want %s of %s", clean(kind, 64), clean(apiVersion, 64), reviewKind, reviewVersion)
	case text == nil || isNull(text):
		return nil, badRequest("decode AdmissionReview: it has no request")
	}
	return decodeRequest(text)
}

// decodeRequest reads the members of a request that decide anything.
func decodeRequest(text []byte) (*request, error) {
	req := &request{}
	small := make([]byte, 1, 1024)
	small[0] = '{'
	seen := map[string]bool{}
	err := members(text, func(name string, value []byte) error {
		if seen[name] {
			return badRequest("%q is there twice", clean(name, 64))
		}
		seen[name] = true
		switch name {
		case "object":
			if !isNull(value) {
				req.Object.Raw = value
			}
		case "oldObject":
			if !isNull(value) {
				req.OldObject.Raw = value
			}
		case "uid", "kind", "resource", "subResource", "name", "namespace", "operation", "userInfo", "dryRun":
			if len(small) > 1 {
				small = append(small, ',')
			}
			small = append(small, '"')
			small = append(small, name...)
			small = append(small, '"', ':')
			small = append(small, value...)
		}
		return nil
	})
	if err == nil {
		err = json.UnmarshalCaseSensitivePreserveInts(append(small, '}'), &req.AdmissionRequest)
	}
	switch {
	case err != nil:
		return nil, asBadRequest("decode request of AdmissionReview", err)
	case req.UID == "":
		return nil, badRequest("decode request of AdmissionReview: it has no uid")
	case req.Operation != admissionv1.Create && req.Operation != admissionv1.Update && req.Operation != admissionv1.Delete && req.Operation != admissionv1.Connect:
		return nil, badRequest("operation %q: want CREATE, UPDATE, DELETE or CONNECT", clean(string(req.Operation), 64))
	}
	return req, nil
}

func decodeOnce(value []byte, into *string) error {
	if *into != "" {
		return badRequest("apiVersion or kind is there twice")
	}
	return json.UnmarshalCaseSensitivePreserveInts(value, into)
}

func isNull(value []byte) bool { return bytes.Equal(value, []byte("null")) }
