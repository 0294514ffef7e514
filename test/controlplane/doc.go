// Package controlplane builds and runs a real Kubernetes on one machine,
// without containers: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler from their Go modules, and kwok, which plays the nodes. Pods
// are scheduled and become Running, deployments roll out; no container runs.
//
// [Build] makes the binaries once and keeps them in a cache. [Start] runs an
// instance on free ports with its own certificates and temporary data;
// [ControlPlane.Stop] ends its processes and removes the data. Several instances
// run side by side. A process started here does not outlive this one, even when
// this one is killed (on Linux).
//
// Tests take an [Environment], which runs on a fresh control plane or, under
// make test-cluster with KUBECONFIG set, on a cluster of the user's own. The
// webhook is a real process too: [Processes] runs it and [Balancer] stands in
// front of several of them, as a Service would.
package controlplane
