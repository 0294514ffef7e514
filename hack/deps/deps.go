//go:build deps

package deps

import (
	_ "github.com/HdrHistogram/hdrhistogram-go"
	_ "github.com/bitnami-labs/sealed-secrets/pkg/crypto"
	_ "github.com/go-jose/go-jose/v4"
	_ "k8s.io/client-go/tools/portforward"
	_ "k8s.io/client-go/transport/spdy"
	_ "golang.org/x/net/http2"
)
