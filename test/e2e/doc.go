// Package e2e tests mojasec on a real Kubernetes: the real webhook binary with
// the rights of its own ServiceAccount, registered by what users apply, and the
// real kubectl.
//
// The tests run with MOJASEC_CLUSTER=1, which make test-cluster sets: on a
// control plane of test/controlplane, started for them, or, where KUBECONFIG is
// set too, on that cluster, in which mojasec is installed already. Without it
// they are skipped.
//
// One cluster has one payment scheme: its DFSPs verify each other's signatures,
// wherever they are. So tests that need a scheme run one after the other, each
// in a namespace of its own.
package e2e
