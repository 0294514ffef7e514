// Package istio tests mojasec beside the real istiod: its injector, its
// validation and its way of starting, on a control plane of test/controlplane.
//
// The tests run with MOJASEC_CLUSTER=1 and MOJASEC_ISTIO=1, which make
// test-istio sets, and never on the cluster of KUBECONFIG: they restart istiod
// and rename its webhooks. Without both variables they are skipped.
//
// What a test changes is for the whole cluster, so the tests run one after the
// other.
package istio
