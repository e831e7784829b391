#!/bin/bash
# Walk-through 001 with a common root, typed out: one step after the other, each waited for where the next one needs it.
# usage: walkthrough.sh CLUSTER...   in a folder with the inputs that benchmarks/lab/walkthrough.py writes
# environment: CHARTS, NETWORK, SUBNET, NODE_RANGE
# Writes to `steps` what began when, in seconds of the system's clock.
set -euo pipefail
export LC_ALL=C

step() { echo "$EPOCHREALTIME $1" >>steps; }

# An admission webhook can refuse for a moment after its Deployment is ready.
admitted() {
    local attempt
    for attempt in {1..100}; do
        kubectl apply --filename "$1" 2>refusal && return
        sleep 0.2
    done
    cat refusal >&2
    return 1
}

apply_each() {
    local file
    for file in "$1".*.json; do
        [ ! -e "$file" ] || kubectl apply --filename "$file"
    done
}

step clusters
docker network create --subnet "$SUBNET" --ip-range "$NODE_RANGE" "$NETWORK"
for cluster in "$@"; do
    KIND_EXPERIMENTAL_DOCKER_NETWORK=$NETWORK kind create cluster --name "$(cat "$cluster/name")" \
        --config "$cluster/kind.json" --kubeconfig "$cluster/kubeconfig"
done

step MetalLB
for cluster in "$@"; do
    export KUBECONFIG="$cluster/kubeconfig"
    kubectl apply --filename "$cluster/metallb.json"
    kubectl rollout status --namespace metallb-system deployment/controller
    admitted "$cluster/pool.json"
done

step trust
. "$(dirname "$0")/authorities.sh"
for cluster in "$@"; do
    export KUBECONFIG="$cluster/kubeconfig"
    kubectl create namespace istio-system
    kubectl label namespace istio-system "topology.istio.io/network=$(cat "$cluster/network")"
    kubectl create secret generic cacerts --namespace istio-system --from-file="$cluster/ca-cert.pem" \
        --from-file="$cluster/ca-key.pem" --from-file="$cluster/cert-chain.pem" --from-file=root-cert.pem
done

for cluster in "$@"; do
    export KUBECONFIG="$cluster/kubeconfig"
    step Istio
    helm install istio-base "$CHARTS/base" --namespace istio-system --values "$cluster/base.json" --wait
    helm install istiod "$CHARTS/istiod" --namespace istio-system --values "$cluster/istiod.json" --wait
    step gateways
    helm install istio-eastwestgateway "$CHARTS/gateway" --namespace istio-system \
        --values "$cluster/gateway.json" --wait
done

step links
for cluster in "$@"; do
    export KUBECONFIG="$cluster/kubeconfig"
    admitted "$cluster/mutual-tls.json"
    apply_each "$cluster/namespace"
    apply_each "$cluster/export"
done

step workloads
for cluster in "$@"; do
    export KUBECONFIG="$cluster/kubeconfig"
    apply_each "$cluster/workload"
    while read -r namespace name; do
        kubectl rollout status --namespace "$namespace" "deployment/$name"
    done <"$cluster/deployments"
done

step links
for cluster in "$@"; do
    KUBECONFIG="$cluster/kubeconfig" apply_each "$cluster/import"
done
step end
