package live

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// apiServer is as much of an API server as a Collector calls: get, list in
// pages, watch from a version on, lists from a watch; and what goes wrong with
// one.
type apiServer struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	changed chan struct{} // closed with each change
	rv      int
	objects map[string]map[string][]byte // "resource.group", "namespace/name"
	log     []change
	// forbidden are "verb resource.group" or "verb resource.group/namespace";
	// verb may be "*".
	forbidden map[string]bool
	// versions overrides what is served of a group; empty: nothing.
	versions  map[string][]string
	listsOnly bool
	down      bool
	compacted int           // versions up to this one are too old to watch from
	dropped   chan struct{} // closed to end all watches
	requests  map[string]int
}

type change struct {
	rv           int
	resource, ns string
	name, what   string
	object       []byte
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s := &apiServer{
		t: t, changed: make(chan struct{}), dropped: make(chan struct{}), rv: 100, objects: map[string]map[string][]byte{},
		forbidden: map[string]bool{}, versions: map[string][]string{}, requests: map[string]int{},
	}
	s.Server = httptest.NewUnstartedServer(s)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // tests break connections
	s.StartTLS()
	t.Cleanup(func() {
		s.drop()
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *apiServer) config() *rest.Config {
	cfg := &rest.Config{Host: s.URL}
	cfg.CAData = pemOf(s.Certificate())
	return cfg
}

// with changes how the server behaves.
func (s *apiServer) with(f func(s *apiServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// drop ends all watches.
func (s *apiServer) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.dropped)
	s.dropped = make(chan struct{})
}

func (s *apiServer) count(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[request]
}

// put creates or replaces an object.
func (s *apiServer) put(objs ...runtime.Object) {
	s.t.Helper()
	for _, obj := range objs {
		k := kindOfObject(obj)
		if k == nil {
			continue
		}
		obj = obj.DeepCopyObject()
		m, _ := obj.(metav1.Object)
		obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Group: k.group, Version: k.versions[0], Kind: k.name})
		s.mu.Lock()
		s.rv++
		m.SetResourceVersion(strconv.Itoa(s.rv))
		text, err := json.Marshal(obj)
		if err != nil {
			s.t.Errorf("put: %v", err)
		}
		s.store(k, m.GetNamespace(), m.GetName(), text)
		s.mu.Unlock()
	}
}

// putText creates or replaces an object with a spec that need not fit its type.
func (s *apiServer) putText(k *kind, ns, name, spec string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rv++
	s.store(k, ns, name, fmt.Appendf(nil, `{"apiVersion":"%s/%s","kind":%q,"metadata":{"namespace":%q,"name":%q,"resourceVersion":"%d"},"spec":%s}`,
		k.group, k.versions[0], k.name, ns, name, s.rv, spec))
}

func (s *apiServer) store(k *kind, ns, name string, text []byte) {
	of := s.objects[k.groupResource()]
	if of == nil {
		of = map[string][]byte{}
		s.objects[k.groupResource()] = of
	}
	what := "ADDED"
	if of[ns+"/"+name] != nil {
		what = "MODIFIED"
	}
	of[ns+"/"+name] = text
	s.note(change{rv: s.rv, resource: k.groupResource(), ns: ns, name: name, what: what, object: text})
}

// remove deletes an object.
func (s *apiServer) remove(obj runtime.Object) {
	k := kindOfObject(obj)
	m, _ := obj.(metav1.Object)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := m.GetNamespace() + "/" + m.GetName()
	old := s.objects[k.groupResource()][key]
	if old == nil {
		return
	}
	delete(s.objects[k.groupResource()], key)
	s.rv++
	var tree map[string]any
	_ = json.Unmarshal(old, &tree)
	meta, _ := tree["metadata"].(map[string]any)
	meta["resourceVersion"] = strconv.Itoa(s.rv)
	text, _ := json.Marshal(tree)
	s.note(change{rv: s.rv, resource: k.groupResource(), ns: m.GetNamespace(), name: m.GetName(), what: "DELETED", object: text})
}

func (s *apiServer) note(c change) {
	s.log = append(s.log, c)
	close(s.changed)
	s.changed = make(chan struct{})
}

func kindOfObject(obj runtime.Object) *kind {
	for _, k := range allKinds() {
		if reflect.TypeOf(k.object()) == reflect.TypeOf(obj) {
			return k
		}
	}
	return nil
}

// request is a request, taken apart.
type request struct {
	kind          *kind
	version       string
	ns, name      string
	verb, onlyOne string
}

func parse(r *http.Request) (request, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[1:]
	case parts[0] == "apis" && len(parts) > 3:
		group, parts = parts[1], parts[2:]
	default:
		return request{}, false
	}
	req := request{version: parts[0], verb: "list"}
	parts = parts[1:]
	if parts[0] == "namespaces" && len(parts) > 2 {
		req.ns, parts = parts[1], parts[2:]
	}
	for _, k := range allKinds() {
		if k.group == group && k.resource == parts[0] {
			req.kind = k
		}
	}
	if len(parts) > 1 {
		req.name, req.verb = parts[1], "get"
	}
	q := r.URL.Query()
	if q.Get("watch") != "" {
		req.verb = "watch"
	}
	req.onlyOne = strings.TrimPrefix(q.Get("fieldSelector"), "metadata.name=")
	return req, req.kind != nil
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, ok := parse(r)
	if !ok {
		s.status(w, http.StatusNotFound, metav1.StatusReasonNotFound, "no such path")
		return
	}
	resource := req.kind.groupResource()
	s.mu.Lock()
	s.requests[req.verb+" "+resource]++
	served := req.kind.versions[:1]
	if v, ok := s.versions[req.kind.group]; ok {
		served = v
	}
	down, listsOnly := s.down, s.listsOnly
	forbidden := false
	for _, verb := range []string{"*", req.verb} {
		forbidden = forbidden || s.forbidden[verb+" "+resource] || s.forbidden[verb+" "+resource+"/"+req.ns]
	}
	s.mu.Unlock()
	switch {
	case down:
		s.status(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "down")
	case forbidden:
		s.status(w, http.StatusForbidden, metav1.StatusReasonForbidden, "cannot "+req.verb+" "+resource)
	case !slices.Contains(served, req.version):
		s.status(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
	case req.verb == "get":
		s.get(w, req)
	case req.verb == "list":
		s.list(w, r, req)
	case r.URL.Query().Get("sendInitialEvents") == "true" && listsOnly:
		s.status(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
	default:
		s.watch(w, r, req)
	}
}

func (s *apiServer) status(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}

func (s *apiServer) get(w http.ResponseWriter, req request) {
	s.mu.Lock()
	text := s.objects[req.kind.groupResource()][req.ns+"/"+req.name]
	s.mu.Unlock()
	if text == nil {
		s.status(w, http.StatusNotFound, metav1.StatusReasonNotFound, req.name+" not found")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

// selected returns the objects of a request, in order.
func (s *apiServer) selected(req request) []json.RawMessage {
	of := s.objects[req.kind.groupResource()]
	var out []json.RawMessage
	for _, key := range slices.Sorted(maps.Keys(of)) {
		ns, name, _ := strings.Cut(key, "/")
		if (req.ns == "" || req.ns == ns) && (req.onlyOne == "" || req.onlyOne == name) {
			out = append(out, of[key])
		}
	}
	return out
}

// list pages through what exists now; the token is an offset.
func (s *apiServer) list(w http.ResponseWriter, r *http.Request, req request) {
	s.mu.Lock()
	items, rv := s.selected(req), s.rv
	s.mu.Unlock()
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	next := ""
	items = items[min(from, len(items)):]
	if limit > 0 && len(items) > limit {
		items, next = items[:limit], strconv.Itoa(from+limit)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": s.apiVersion(req), "kind": req.kind.name + "List",
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(rv), "continue": next}, "items": items,
	})
}

func (s *apiServer) apiVersion(req request) string {
	return schema.GroupVersion{Group: req.kind.group, Version: req.version}.String()
}

func (s *apiServer) watch(w http.ResponseWriter, r *http.Request, req request) {
	q := r.URL.Query()
	rv, _ := strconv.Atoi(q.Get("resourceVersion"))
	s.mu.Lock()
	dropped := s.dropped
	var initial []json.RawMessage
	send := func(what string, object []byte) {
		_ = json.NewEncoder(w).Encode(map[string]any{"type": what, "object": json.RawMessage(object)})
	}
	tooOld := rv != 0 && rv < s.compacted
	if q.Get("sendInitialEvents") == "true" {
		initial, rv = s.selected(req), s.rv
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if tooOld {
		text, _ := json.Marshal(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
			Status:   metav1.StatusFailure, Code: http.StatusGone, Reason: metav1.StatusReasonExpired, Message: "too old",
		})
		send("ERROR", text)
		return
	}
	for _, text := range initial {
		send("ADDED", text)
	}
	if q.Get("sendInitialEvents") == "true" {
		send("BOOKMARK", fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"metadata":{"resourceVersion":"%d","annotations":{"k8s.io/initial-events-end":"true"}}}`,
			s.apiVersion(req), req.kind.name, rv))
	}
	w.(http.Flusher).Flush()
	for {
		s.mu.Lock()
		changed := s.changed
		var news []change
		for _, c := range s.log {
			if c.rv > rv && c.resource == req.kind.groupResource() && (req.ns == "" || c.ns == req.ns) && (req.onlyOne == "" || req.onlyOne == c.name) {
				news = append(news, c)
			}
		}
		rv = s.rv
		s.mu.Unlock()
		for _, c := range news {
			send(c.what, c.object)
		}
		if len(news) > 0 {
			w.(http.Flusher).Flush()
		}
		select {
		case <-changed:
		case <-dropped:
			return
		case <-r.Context().Done():
			return
		}
	}
}
