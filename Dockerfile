# syntax=docker/dockerfile:1
# One image with both programs and nothing else.
#
#   docker build --build-arg VERSION=v1.2.3 -t ghcr.io/mojasec/mojasec:v1.2.3 .
#
# With SOURCE=prebuilt it takes what "make build" left in bin/.
ARG GO_VERSION=1.26.8
ARG SOURCE=build

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath \
    -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/webhook ./cmd/kubectl-mojasec

FROM scratch AS prebuilt
COPY bin/webhook bin/kubectl-mojasec /out/

FROM ${SOURCE} AS binaries

FROM scratch
COPY --from=binaries /out/webhook /out/kubectl-mojasec /
USER 65532:65532
ENTRYPOINT ["/webhook"]
