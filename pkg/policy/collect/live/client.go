package live

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// clients reads every kind over one set of connections.
type clients struct {
	http    *http.Client
	byGroup map[schema.GroupVersion]*rest.RESTClient
	// retired is closed when others take its place.
	retired chan struct{}
	conns   *connections
}

// connections are those that were opened. A client for HTTP/2 has no way to
// say: no more requests, and then close.
type connections struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu   sync.Mutex
	open map[net.Conn]bool
}

func (c *connections) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := &connection{Conn: conn, of: c}
	c.open[out] = true
	return out, nil
}

func (c *connections) closeAll() {
	c.mu.Lock()
	all := slices.Collect(maps.Keys(c.open))
	c.mu.Unlock()
	for _, conn := range all {
		_ = conn.Close() // it is given up either way
	}
}

type connection struct {
	net.Conn
	of *connections
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// codecs knows only the kinds of this package: a scheme of all kinds would cost
// memory and time at the start.
type codecs struct {
	factory    serializer.CodecFactory
	parameters runtime.ParameterCodec
	json       runtime.Serializer
}

// optionsVersion is that of list options, the same for all groups.
var optionsVersion = schema.GroupVersion{Version: "v1"}

func newCodecs() codecs {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, optionsVersion)
	for _, k := range allKinds() {
		for _, v := range k.versions {
			gv := schema.GroupVersion{Group: k.group, Version: v}
			scheme.AddKnownTypeWithName(gv.WithKind(k.name), k.object())
			scheme.AddKnownTypeWithName(gv.WithKind(k.name+"List"), k.list())
			metav1.AddToGroupVersion(scheme, gv)
		}
	}
	factory := serializer.NewCodecFactory(scheme)
	info, _ := runtime.SerializerInfoForMediaType(factory.SupportedMediaTypes(), runtime.ContentTypeJSON)
	return codecs{factory: factory, parameters: runtime.NewParameterCodec(scheme), json: info.Serializer}
}

func allKinds() []*kind {
	return append(append([]*kind{}, clusterKinds...), namespaceKinds...)
}

func kindsThat(hold func(k *kind) bool) []*kind {
	return slices.DeleteFunc(allKinds(), func(k *kind) bool { return !hold(k) })
}

// newClients opens a set of connections for some kinds.
func newClients(cfg *rest.Config, c codecs, kinds []*kind) (*clients, error) {
	cfg = rest.CopyConfig(cfg)
	if cfg.Proxy == nil {
		// With a function in it client-go does not share its connections with
		// other clients of the same configuration: see replaceConnections.
		cfg.Proxy = http.ProxyFromEnvironment
	}
	conns := &connections{dial: cfg.Dial, open: map[net.Conn]bool{}}
	if conns.dial == nil {
		conns.dial = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	cfg.Dial = conns.DialContext
	httpClient, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("make an HTTP client: %w", err)
	}
	out := &clients{http: httpClient, byGroup: map[schema.GroupVersion]*rest.RESTClient{}, retired: make(chan struct{}), conns: conns}
	for _, k := range kinds {
		for _, v := range k.versions {
			gv := schema.GroupVersion{Group: k.group, Version: v}
			if out.byGroup[gv] != nil {
				continue
			}
			own := rest.CopyConfig(cfg)
			own.GroupVersion, own.NegotiatedSerializer = &gv, c.factory.WithoutConversion()
			own.APIPath = "/apis"
			if gv.Group == "" {
				own.APIPath = "/api"
			}
			// Custom resources have no protobuf form.
			own.ContentType, own.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
			if k.presence == optional {
				own.NegotiatedSerializer = tolerant{own.NegotiatedSerializer}
			}
			if k.presence == builtIn {
				own.ContentType = runtime.ContentTypeProtobuf
				own.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
			}
			if out.byGroup[gv], err = rest.RESTClientForConfigAndClient(own, httpClient); err != nil {
				return nil, fmt.Errorf("make a client for %s: %w", gv, err)
			}
		}
	}
	return out, nil
}

// get begins a GET of a kind at a version. namespace is empty for the whole
// cluster.
func (c *clients) get(k *kind, version, namespace string) *rest.Request {
	return c.byGroup[schema.GroupVersion{Group: k.group, Version: version}].Get().
		NamespaceIfScoped(namespace, namespace != "").Resource(k.resource)
}
