package webhook

import (
	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	istionetworkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// NewClient returns a client for all kinds of a payment scheme. It changes cfg: no
// limit of its own slows it down, and warnings are not logged.
func NewClient(cfg *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, v1alpha1.AddToScheme, istionetworkingv1.AddToScheme, istionetworkingv1alpha3.AddToScheme, securityv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	cfg.QPS, cfg.WarningHandler = -1, rest.NoWarnings{}
	return client.New(cfg, client.Options{Scheme: scheme})
}
