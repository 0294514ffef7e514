package admissionpolicy

// Blind lists what the policies do not see and the webhook, or verify, does.
func Blind() []string {
	return []string{
		"what is in a Secret or ConfigMap: values from secretKeyRef, configMapKeyRef and envFrom, keys in mounted volumes, a hub's default.json",
		"values that a variable takes from labels and annotations (fieldRef)",
		"a pod that only a Secret it mounts, or its envFrom, shows to be an SDK",
		"settings on a command line other than NAME=value, and those in lifecycle hooks, in variables that a shell runs, and in a mounted .env",
		"variables put together from others, except $(NAME) as a whole; where the others are written out too, the value is refused",
		"private keys that are not PEM with a PRIVATE KEY label, base64 of it that is wrapped by anything but line breaks, or cut off",
		"proxy.istio.io/config other than simple block style or flat JSON: what cannot be read is refused",
		"the other checks, Istio's objects, Waivers, quarantine; objects that were there before, until they change",
		"nothing is injected: what the webhook would add must be in the manifest",
	}
}
