// Package live follows a cluster: it keeps a [policy.Snapshot] that is always
// current, for whoever must answer without asking the API server first.
//
// # What it reads
//
// Cluster-wide all kinds that hold no secrets, see [Resources]. Secrets and
// ConfigMaps only in namespaces that opted in, by the label mojasec.io/mode or
// mojasec.io/quarantine, and the mesh config in the mesh root namespace. They
// are reduced to facts one by one as they arrive; no object is kept.
//
// What came last stays in the buffers of a connection. Those over which Secrets,
// ConfigMaps and pods come, in which people put secrets too, are replaced soon
// after, within a minute or so.
//
// # Absent, and not known
//
// Nothing is taken for absent because it could not be read:
//
//   - Until every cluster-wide kind was read once there is no Snapshot.
//   - A kind whose CRD is missing is known to have no objects.
//   - A kind that may not be listed is not known: [Collector.Ready] names the
//     right that is missing, at the start and at any time after it.
//   - A namespace whose Secrets cannot be read, are still being read or are not
//     to be read is in the Snapshot as such, with the reason and the command
//     that helps. Elsewhere nothing changes.
//   - A watch that is broken for longer than a minute makes what is absent in
//     the Snapshot unknown. It does not make the process unready: when the API
//     server is away nobody asks, and when it is back nobody should have to
//     wait for a probe.
//
// [Collector.Reread] is for the moment before somebody is told that something
// is absent: it asks the API server for just that.
package live
