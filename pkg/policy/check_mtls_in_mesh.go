package policy

// mtls-in-mesh: the pod will have a sidecar or be enrolled in ambient. Labels
// of pod and namespace, the old annotation, and the host network decide.
var checkMTLSInMesh = Check{
	ID: "mtls-in-mesh", Category: CategoryMTLS, Severity: Error, Injected: true, PodLocal: true,
	Title: "the pod takes part in the mesh",
	Fix:   "add the label `sidecar.istio.io/inject: \"true\"` to the pod (ambient: `istio.io/dataplane-mode: ambient`), and take out what keeps it off the mesh",
	Doc: `A pod outside the mesh has no certificate: it can neither be called under STRICT mutual TLS nor
prove who it is. With sidecars a pod takes part when the label ` + "`sidecar.istio.io/inject`" + ` on it
is ` + "`\"true\"`" + `, or nothing on it says otherwise and the namespace has ` + "`istio-injection: enabled`" + ` or
` + "`istio.io/rev`" + `. In ambient mode the label ` + "`istio.io/dataplane-mode: ambient`" + ` on namespace or pod
decides, and ` + "`none`" + ` on the pod takes it out. A pod on the host network is never in the mesh.

What a pod only claims does not count: the annotation ` + "`sidecar.istio.io/inject: \"true\"`" + ` and an ambient
label need a namespace (or Profile) that says the same, ` + "`istio.io/rev`" + ` must be the Profile's ` + "`revision`" + `,
and a pod that opts out gets no proxy whatever its containers are called.

In namespaces with ` + "`mojasec.io/mode: enforce`" + ` mojasec adds the label where nothing is said.
A cluster without a mesh says so in the Profile: ` + "`mesh: none`" + `.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if sub.Workload == nil || !sub.Workload.Role.Mojaloop() {
			return notApplicable
		}
		e := snap.enrolment(sub.Workload)
		switch e.state {
		case meshNone:
			return notApplicable
		case meshUnknown:
			return unknown(e.missing)
		case meshOut:
			v := Violation{Field: e.field(sub.Workload), Detail: "the pod will be outside the mesh: " + e.why}
			if v.Field == nil { // no label of the pod helps
				v.Fix = "run `kubectl label namespace " + sub.Ref.Namespace + " " + labelInjection + "=enabled --overwrite`"
			}
			return failed(v)
		case meshIn:
		}
		return passed()
	},
}
