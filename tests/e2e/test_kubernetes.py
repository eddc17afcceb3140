"""The manifests: valid as Kubernetes reads them, and run by Podman, which knows a part of them.

No Kubernetes is to be had: neither its scheduler nor a network that enforces policies is tested here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.debian import PROJECT, program
from support.handbook import shell_block
from support.machine import Machine
from support.podman import IMAGE, POSTGRES_IMAGE, events, podman_machine, serve_feeds, settings

pytestmark = pytest.mark.e2e

SECTION = "On Kubernetes"
REPLICAS = ("digestd-pod-digestd", "second-pod-digestd")


@pytest.fixture(scope="module")
def own(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with an overlay, as the documentation makes it."""
    needs("kubectl", "kubernetes-validate")
    folder = tmp_path_factory.mktemp("kubernetes")
    shutil.copytree(PROJECT / "conf", folder / "conf")
    shell(folder, shell_block(SECTION, "kustomization.yaml"))
    return folder


def shell(folder: Path, commands: str) -> str:
    """Run `commands` in `folder`, where kubectl is found; what they print."""
    tool = program("kubectl")
    assert tool is not None
    environment = {
        **os.environ,
        "PATH": f"{Path(tool).parent}:{os.environ['PATH']}",
        "KUBECONFIG": "/dev/null",
    }
    done = subprocess.run(
        ["sh", "-ec", commands], cwd=folder, capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_manifests_are_strictly_valid(own: Path) -> None:
    for folder in ("conf/kubernetes", "own"):
        rendered = shell(own, f"kubectl kustomize {folder}")
        (own / "rendered.yaml").write_text(rendered)
        told = subprocess.run(
            [str(program("kubernetes-validate")), "--strict", "rendered.yaml"],
            cwd=own,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert told.returncode == 0, told.stdout + told.stderr
        assert told.stdout.count(" passed for resource ") == 7, told.stdout


def test_the_overlay_of_the_documentation_is_what_counts(own: Path) -> None:
    documents = {one["kind"]: one for one in yaml.safe_load_all(shell(own, "kubectl kustomize own"))}
    pod = documents["Deployment"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"].startswith("registry.example.com/digestd:")
    assert documents["ConfigMap"]["metadata"]["name"] == "digestd-settings"
    # The policy's word for the database was once overwritten by the label that all of this has.
    database = documents["NetworkPolicy"]["spec"]["egress"][-1]["to"][0]["podSelector"]["matchLabels"]
    assert database == {"app.kubernetes.io/name": "postgresql"}
    assert all(one["metadata"].get("namespace", "digestd") == "digestd" for one in documents.values())


@pytest.fixture(scope="module")
def cluster(
    own: Path, digestd_image: Path, postgres_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """Podman playing the Deployment twice, with a PostgreSQL beside it on one network."""
    with podman_machine(tmp_path_factory.mktemp("play"), digestd_image, postgres_image) as machine:
        serve_feeds(machine)
        (machine.root / "root/password").write_text("PASSWORD")
        machine.run(
            f"podman tag {IMAGE} localhost/digestd:0.1.0; podman network create digestd;"
            " podman run -d --name=db.example.org --network=digestd --volume=/root/password:/run/secrets/password:ro"
            f" --env=POSTGRES_USER=digestd --env=POSTGRES_PASSWORD_FILE=/run/secrets/password {POSTGRES_IMAGE}"
        )
        machine.wait_until(
            lambda: (
                not machine.run(
                    "podman exec db.example.org pg_isready -h 127.0.0.1 -U digestd", check=False
                ).returncode
            ),
            "database",
        )
        has_memory = "memory" in machine.says("cat /sys/fs/cgroup/cgroup.controllers")
        for name in ("digestd", "second"):
            documents = [secret(own), *playable(own, name, has_memory)]
            (machine.root / f"root/{name}.yaml").write_text(yaml.safe_dump_all(documents))
            machine.run(f"podman kube play --network=digestd {name}.yaml")
        yield machine


def secret(own: Path) -> Any:
    """The Secret that the documentation's command makes."""
    block = shell_block(SECTION, "create secret")
    (command,) = re.findall(r"^kubectl [^\n]*create secret.*?^END$", block, flags=re.M | re.S)
    offline = command.replace(
        " create secret generic ", " create secret generic --dry-run=client --output=yaml "
    )
    return yaml.safe_load(shell(own, offline))


def playable(own: Path, name: str, has_memory: bool) -> Iterator[Any]:
    """The manifests with the settings of a test, and the Deployment called `name`."""
    for document in yaml.safe_load_all(shell(own, "kubectl kustomize conf/kubernetes")):
        if document["kind"] == "ConfigMap":
            test = json.loads(settings())
            test |= {"web": {"listen": "0.0.0.0:8080"}, "sources_files": ["sources.yaml"]}
            document["data"] = {
                "digestd.yaml": json.dumps({key: test[key] for key in test if key != "sources"}),
                "sources.yaml": json.dumps({"sources": test["sources"]}),
            }
        if document["kind"] == "Deployment":
            document["metadata"]["name"] = name
            if not has_memory:
                # This machine's kernel cannot limit what a container may use.
                del document["spec"]["template"]["spec"]["containers"][0]["resources"]
        yield document


def test_two_replicas_poll_into_one_database_without_any_right(cluster: Machine) -> None:
    cluster.wait_until(
        lambda: all(events(cluster, replica, "worker.fetch.complete") for replica in REPLICAS),
        "poll of both",
        60,
    )
    for replica in REPLICAS:
        started = events(cluster, replica, "worker.started")[0]
        assert started["database"] == "postgresql://***@db.example.org/digestd"
        status = cluster.says(f"podman exec {replica} cat /proc/1/status")
        assert "Uid:\t10001\t10001\t10001\t10001" in status
        assert "CapBnd:\t0000000000000000" in status
        assert ("NoNewPrivs:\t1" in status, "Seccomp:\t2" in status) == (True, True)
        assert "Read-only" in cluster.run(f"podman exec {replica} touch /opt/x", check=False).stderr
        cluster.run(f"podman exec {replica} touch /tmp/x /var/lib/digestd/x")
    asked = "podman exec db.example.org psql -U digestd -Atc 'SELECT count(*) FROM articles'"
    assert cluster.says(asked) == "3"


def test_its_probes_are_answered_at_the_address_of_the_pod(cluster: Machine) -> None:
    """As the kubelet asks: from outside, with the pod's address as its host. (Podman makes them curl, which is not in
    the image.)"""
    deployment = yaml.safe_load((PROJECT / "conf/kubernetes/deployment.yaml").read_text())
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    paths = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    pod = json.loads(cluster.says("podman inspect digestd-pod-digestd"))[0]["Pod"]
    infra = json.loads(cluster.says(f"podman pod inspect {pod}"))
    infra = infra[0] if isinstance(infra, list) else infra
    address = cluster.says(
        f"podman inspect --format '{{{{.NetworkSettings.Networks.digestd.IPAddress}}}}' {infra['InfraContainerID']}"
    )
    for path in sorted(paths):
        program = f"import urllib.request as r; print(r.urlopen('http://{address}:8080{path}').status)"
        assert cluster.says(f'python3 -c "{program}"') == "200", path


def test_it_ends_in_the_time_it_is_given(cluster: Machine) -> None:
    replica = "digestd-pod-digestd"
    pod = json.loads(cluster.says(f"podman inspect {replica}"))[0]
    assert pod["Config"]["StopTimeout"] == 30
    cluster.run(f"podman stop {replica}")
    assert json.loads(cluster.says(f"podman inspect {replica}"))[0]["State"]["ExitCode"] == 0
    assert len(events(cluster, replica, "worker.stopped")) == 1
    cluster.run("podman kube down second.yaml && podman kube down digestd.yaml")
