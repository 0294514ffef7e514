#!/bin/sh
# Makes fresh keys for the examples: examples/keys/secrets.yaml (a signing key and
# an ILP secret for each DFSP, a signing key for the hub) and
# examples/keys/jws-verification-keys.yaml (their public halves). Needs openssl.
# The files are for trying things out: git ignores them, and nothing else should
# keep them either.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p keys
secrets=keys/secrets.yaml
public=keys/jws-verification-keys.yaml
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)

indent() { sed 's/^/    /'; }

# signing_key FSP SECRET FILE makes a key pair: the private half goes into the
# Secret, the public half into the ConfigMap.
signing_key() {
  key=$(openssl genrsa 2048 2>/dev/null)
  fingerprint=$(printf '%s\n' "$key" | openssl pkey -pubout -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1)
  cat >>$secrets <<YAML
---
apiVersion: v1
kind: Secret
metadata:
  name: $2
  namespace: mojaloop
  annotations:
    mojasec.io/key-since: $fingerprint@$now
stringData:
  $3: |
YAML
  printf '%s\n' "$key" | indent >>$secrets
  printf '  %s.pem: |\n' "$1" >>$public
  printf '%s\n' "$key" | openssl pkey -pubout | indent >>$public
}

ilp_secret() {
  cat >>$secrets <<YAML
---
apiVersion: v1
kind: Secret
metadata:
  name: $1-ilp
  namespace: mojaloop
stringData:
  ILP_SECRET: "$(openssl rand -base64 32)"
YAML
}

echo "# Made by make-keys.sh. Private: do not commit." >$secrets
cat >$public <<YAML
# Made by make-keys.sh: the public halves of the keys in secrets.yaml.
apiVersion: v1
kind: ConfigMap
metadata:
  name: mojaloop-jws-verification-keys
  namespace: mojaloop
data:
YAML

signing_key Hub hub-jws-keys jwsSigningKey.key
for n in 1 2 3 4 5 6 7 8; do
  signing_key "perffsp-$n" "perffsp-$n-jws-keys" jwsSigningKey.pem
  ilp_secret "perffsp-$n"
done
echo "wrote $PWD/$secrets and $PWD/$public"
