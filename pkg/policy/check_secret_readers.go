package policy

// secret-readers: who may read the Secrets with keys is a short list. Needs the
// RBAC of a cluster.
var checkSecretReaders = Check{
	ID: "secret-readers", Category: CategoryAccess, Severity: Warning,
	Title: "few may read the Secrets with keys",
	Fix:   "narrow the Roles: name the Secrets in resourceNames, and bind to single ServiceAccounts",
	Doc: `Whoever may read a Secret with a signing key or an ILP secret can sign and fulfil as that DFSP. Who
that is follows from the Roles and ClusterRoles of a running cluster, so from files alone this check is
skipped.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		data := snap.dataOf(sub)
		if data == nil || data.Ref.Kind != "Secret" || !holdsSecret(data, snap) {
			return notApplicable
		}
		return unknown(Fact{Kind: FactSecretReaders, Namespace: data.Ref.Namespace, Name: data.Ref.Name})
	},
}

// holdsSecret tells whether a Secret holds a private key or an ILP secret.
func holdsSecret(data *Data, snap *Snapshot) bool {
	for i := range data.Entries {
		e := &data.Entries[i]
		if _, ok := firstPrivate(e.Keys); ok || isSecretSetting(e.Key) || snap.isSigningKey(data, e.Key) {
			return true
		}
	}
	return false
}
