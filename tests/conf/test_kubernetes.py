"""What the manifests in conf/kubernetes say to each other, and to digestd, fits together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

import digestd
from digestd import config
from digestd.config.settings import WorkerSettings
from support.debian import PROJECT

FOLDER = PROJECT / "conf" / "kubernetes"
OWN = {"app.kubernetes.io/name": "digestd"}


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


KUSTOMIZATION = read("kustomization.yaml")
DEPLOYMENT = read("deployment.yaml")
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def test_every_manifest_is_part_of_the_whole() -> None:
    apart = {"kustomization.yaml"}
    assert {*KUSTOMIZATION["resources"]} == {path.name for path in FOLDER.glob("*.yaml")} - apart


def test_whatever_selects_pods_selects_these() -> None:
    assert DEPLOYMENT["spec"]["template"]["metadata"]["labels"] == OWN
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == OWN
    assert read("service.yaml")["spec"]["selector"] == OWN
    assert read("poddisruptionbudget.yaml")["spec"]["selector"]["matchLabels"] == OWN
    assert read("networkpolicy.yaml")["spec"]["podSelector"]["matchLabels"] == OWN
    for spread in POD["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"] == OWN


def test_the_pod_keeps_to_the_restricted_standard() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and what goes beyond it."""
    around = POD["securityContext"]
    assert (around["runAsNonRoot"], around["runAsUser"]) == (True, 10001)
    assert around["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {kind for volume in POD["volumes"] for kind in volume} == {
        "name",
        "configMap",
        "secret",
        "emptyDir",
    }
    assert (POD["enableServiceLinks"], POD["automountServiceAccountToken"]) == (False, False)
    namespace = read("namespace.yaml")["metadata"]
    assert namespace["name"] == KUSTOMIZATION["namespace"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_names_that_are_said_twice_agree() -> None:
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == volumes.keys()
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    assert volumes["settings"]["configMap"]["name"] == generated["name"]
    assert read("serviceaccount.yaml")["metadata"]["name"] == POD["serviceAccountName"]
    (image,) = KUSTOMIZATION["images"]
    assert (image["name"], image["newTag"]) == (CONTAINER["image"], digestd.__version__)
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    variables = {variable["name"]: variable["value"] for variable in CONTAINER["env"]}
    assert variables["CREDENTIALS_DIRECTORY"] == mounts["secrets"]
    assert variables["DATABASE_URL_FILE"] == f"{mounts['secrets']}/database_url"
    port = f"{CONTAINER['ports'][0]['containerPort']}"
    assert read("settings/digestd.yaml")["web"]["listen"].endswith(f":{port}")
    assert DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == port


def test_whoever_kills_waits_longer_than_digestd_takes() -> None:
    assert POD["terminationGracePeriodSeconds"] > WorkerSettings().shutdown_grace_seconds
    startup = CONTAINER["startupProbe"]
    assert (
        DEPLOYMENT["spec"]["progressDeadlineSeconds"] > startup["periodSeconds"] * startup["failureThreshold"]
    )


def test_the_settings_are_right_and_their_sources_stand_in_the_catalogue(tmp_path: Path) -> None:
    address = tmp_path / "database_url"
    address.write_text("postgresql://digestd:secret@database/digestd")
    settings = config.load(
        FOLDER / "settings" / "digestd.yaml", {"DATABASE_URL_FILE": str(address)}, {"feed"}
    )
    assert settings.warnings == ()
    known = {
        (source.name, source.url)
        for source in config.load(PROJECT / "conf" / "digestd.yaml", {}, {"feed"}).sources
    }
    assert {(source.name, source.url) for source in settings.sources} < known
