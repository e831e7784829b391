"""Small charts and manifests of our own, in the places of those that the toolchain gets."""

import sys
from pathlib import Path

from mesh_federation.stack.config import Istio

HELM = Path(__file__).with_name("helm.py")
PROGRAM = """\
#!/bin/sh
# Renders a chart with the same values only once.
export PATH=/usr/bin:/bin
values=$(cat)
file={folder}/rendered/$(printf '%s\\n' "$*" "$values" | sha256sum | cut -c 1-64)
if [ ! -f "$file" ]; then
    printf '%s' "$values" | {python} -I -S {helm} "$@" >"$file.$$" || exit
    mv "$file.$$" "$file"
fi
exec cat "$file"
"""
ISTIO = Istio.model_fields["version"].default
DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {name}
  annotations:
    gateway.networking.k8s.io/bundle-version: v1.0.0
    gateway.networking.k8s.io/channel: standard
---
"""
METALLB = """\
apiVersion: v1
kind: Namespace
metadata: {name: metallb-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: controller, namespace: metallb-system}
spec:
  template:
    spec:
      containers: [{name: controller, image: "quay.io/metallb/controller:v0.0.0"}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: speaker, namespace: metallb-system}
spec:
  template:
    spec:
      containers: [{name: speaker, image: "quay.io/metallb/speaker:v0.0.0"}]
---
apiVersion: v1
kind: Service
metadata: {name: metallb-webhook-service, namespace: metallb-system}
spec: {ports: [{port: 443, targetPort: 9443}]}
"""


def write(folder: Path) -> dict[str, str]:
    """Write all of them into a folder.

    Returns:
        The environment in which the program finds them; PATH has `helm` alone.
    """
    for chart in ("base", "istiod", "gateway"):
        _write(folder / "charts" / chart / "Chart.yaml", f"name: {chart}\nversion: {ISTIO}\n")
    definitions = DEFINITION.format(name="serviceentries.networking.istio.io")
    _write(folder / "charts" / "base" / "files" / "crd-all.gen.yaml", definitions)
    gateways = DEFINITION.format(name="gateways.gateway.networking.k8s.io")
    _write(folder / "manifests" / "gateway-api.yaml", gateways)
    _write(folder / "manifests" / "metallb.yaml", DEFINITION.format(name="ipaddresspools.metallb.io") + METALLB)
    (folder / "rendered").mkdir()
    _write(folder / "bin" / "helm", PROGRAM.format(folder=folder, python=sys.executable, helm=HELM))
    (folder / "bin" / "helm").chmod(0o755)
    return {
        "MESH_CHARTS": str(folder / "charts"),
        "MESH_MANIFESTS": str(folder / "manifests"),
        "PATH": str(folder / "bin"),
    }


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
