#!/bin/sh
# The same federation by hand: one step after the other, as the walk-throughs build it.
# usage: sequential.sh CHARTS CLUSTER...   in a folder with the inputs that benchmarks/script.py writes
set -eu
charts=$1
shift

for cluster in "$@"; do
    kwokctl create cluster --name "$cluster" --wait 60s \
        --config "$cluster/control-plane.json" --kubeconfig "$cluster/kubeconfig"
    kwokctl scale node --name "$cluster" --replicas "$(cat "$cluster/nodes")"
done

. "$(dirname "$0")/authorities.sh"

for cluster in "$@"; do
    export KUBECONFIG="$cluster/kubeconfig"
    kubectl create namespace istio-system
    kubectl label namespace istio-system "topology.istio.io/network=$(cat "$cluster/network")"
    kubectl create secret generic cacerts --namespace istio-system --from-file="$cluster/ca-cert.pem" \
        --from-file="$cluster/ca-key.pem" --from-file="$cluster/cert-chain.pem" --from-file=root-cert.pem
    helm install istio-base "$charts/base" --namespace istio-system --values "$cluster/base.json" --wait
    helm install istiod "$charts/istiod" --namespace istio-system --values "$cluster/istiod.json" --wait
    helm install istio-eastwestgateway "$charts/gateway" --namespace istio-system \
        --values "$cluster/gateway.json" --wait
    kubectl apply --filename "$cluster/mutual-tls.json"
done

for step in namespace export import workload; do
    for cluster in "$@"; do
        for file in "$cluster/$step".*.json; do
            [ -e "$file" ] || continue
            kubectl --kubeconfig "$cluster/kubeconfig" apply --filename "$file"
        done
    done
done

for cluster in "$@"; do
    while read -r namespace name; do
        kubectl --kubeconfig "$cluster/kubeconfig" rollout status --namespace "$namespace" "deployment/$name"
    done <"$cluster/deployments"
done
