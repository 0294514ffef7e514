package policy

// quarantine-held: pods of a quarantined DFSP carry its marker. Needs the
// Quarantines of a cluster.
var checkQuarantineHeld = Check{
	ID: "quarantine-held", Category: CategoryAccess, Severity: Error,
	Title: "a quarantined DFSP stays isolated",
	Fix:   "do not change what a Quarantine holds; end it first",
	Doc: `While a Quarantine stands, the pods of its DFSP carry its marker and the objects that isolate them
stay as they are. Which DFSPs are quarantined only a cluster knows, so from files alone this check is
skipped.`,
	Run: func(sub *Subject, _ *Snapshot) Result {
		if sub.Workload == nil || sub.Workload.Role != RoleSDK {
			return notApplicable
		}
		return unknown(Fact{Kind: FactQuarantine, Namespace: sub.Ref.Namespace})
	},
}
