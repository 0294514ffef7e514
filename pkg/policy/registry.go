package policy

import "slices"

// catalogue is every check, in the order of the documentation.
var catalogue = []Check{
	checkMTLSStrict,
	checkMTLSInMesh,
	checkMTLSNoBypass,
	checkMTLSClientTLS,
	checkMTLSAuto,
	checkMTLSMinVersion,
	checkMTLSGatewayMutual,
	checkSDKMutualTLS,
	checkCertificateExpiry,
	checkIstioKnownFields,
	checkDFSPIdentity,
	checkJWSHubName,
	checkJWSSigningKeyMounted,
	checkJWSVerificationKeysMounted,
	checkJWSSigningEnabled,
	checkJWSValidationEnabled,
	checkJWSPutParties,
	checkJWSKeyUsable,
	checkJWSKeyPairMatch,
	checkJWSKeyUnique,
	checkJWSKeyAge,
	checkJWSKeyName,
	checkJWSKeysExternal,
	checkJWSMountHygiene,
	checkKeyNotPublished,
	checkPrivateKeyInClear,
	checkILPSecretSet,
	checkILPSecretNotDefault,
	checkILPSecretFromSecret,
	checkILPSecretStrong,
	checkILPSecretUnique,
	checkILPChecked,
	checkILPQuoteRequired,
	checkDFSPIsolated,
	checkServiceAccountDedicated,
	checkSecretReaders,
	checkQuarantineHeld,
	checkDeadSetting,
	checkNamespaceProtected,
	checkWaiverValid,
}

// Checks returns the catalogue. The slice is the caller's.
func Checks() []Check { return slices.Clone(catalogue) }
