"""One-shot work on a cluster or inside it, run by Command resources with nothing but the standard library.

Each job is run as `python3 -m mesh_federation.jobs JOB [ACTION]` in the project's folder, so that a checkout that moves
changes nothing. It reads its settings from one JSON document, the environment variable JOB, and often a kubeconfig from
standard input. Command lines and documents are in the state of every stack: they change only with a new version of the
contract (tests/unit/golden/test_contract.py).
"""
