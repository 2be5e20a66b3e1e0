"""The end of a test's namespace, where neither kubelet nor town is left to let go of what is in it."""

from kubernetes import client

from polecat_api import GROUP, VERSION
from polecat_kube.resources import POLECAT


def end_namespace(admin: client.ApiClient, name: str) -> None:
    """Begins the deletion of a namespace, and lets go of what would hold it up; its end is not waited for.

    Kubernetes tries the end of a namespace again and again, each time with some forty requests: those of a few dozen
    tests keep an API server busy.
    """
    core, custom = client.CoreV1Api(admin), client.CustomObjectsApi(admin)
    core.delete_namespace(name)
    core.delete_collection_namespaced_pod(name, grace_period_seconds=0)
    free = {"metadata": {"finalizers": None}}
    for claim in core.list_namespaced_persistent_volume_claim(name).items:
        core.patch_namespaced_persistent_volume_claim(claim.metadata.name, name, free)
    held = custom.list_namespaced_custom_object(GROUP, VERSION, name, POLECAT.plural)["items"]
    for polecat in held:
        custom.patch_namespaced_custom_object(GROUP, VERSION, name, POLECAT.plural, polecat["metadata"]["name"], free)
