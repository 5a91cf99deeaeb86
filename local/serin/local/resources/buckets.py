"""How does a bucket come to be, with what moto drops of it?"""

from collections.abc import Callable
from typing import Any

from moto.s3.models import FakeBucket, s3_backends

from serin.local.errors import UnsupportedResource
from serin.local.resources.maker import Order


def make_bucket(order: Order) -> Any:
    """Make a bucket with the versioning, lifecycle and notifications that moto drops."""
    bucket = FakeBucket.create_from_cloudformation_json(
        order.name, {"Properties": order.properties}, order.account, order.region
    )
    backend = s3_backends[order.account]["aws"]
    if "VersioningConfiguration" in order.properties:
        backend.put_bucket_versioning(bucket.name, order.properties["VersioningConfiguration"]["Status"])
    if "PublicAccessBlockConfiguration" in order.properties:
        blocks = {
            name: str(value).lower() for name, value in order.properties["PublicAccessBlockConfiguration"].items()
        }
        backend.put_public_access_block(bucket.name, blocks)
    if "LifecycleConfiguration" in order.properties:
        rules = [_lifecycle_rule(rule) for rule in order.properties["LifecycleConfiguration"]["Rules"]]
        backend.put_bucket_lifecycle_configuration(bucket.name, rules)
    if "NotificationConfiguration" in order.properties:
        notifications = _notifications(order.properties["NotificationConfiguration"])
        backend.put_bucket_notification_configuration(bucket.name, notifications)
    return bucket


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Say in the API's words what CloudFormation says in its own."""
    wording: dict[str, Any] = {"ID": rule.get("Id"), "Status": rule["Status"], "Prefix": rule.get("Prefix", "")}
    if "ExpirationInDays" in rule:
        wording["Expiration"] = {"Days": str(rule["ExpirationInDays"])}
    elif rule.get("ExpiredObjectDeleteMarker"):
        wording["Expiration"] = {"ExpiredObjectDeleteMarker": "true"}
    if "Transitions" in rule:
        wording["Transition"] = [
            {"Days": str(t["TransitionInDays"]), "StorageClass": t["StorageClass"]} for t in rule["Transitions"]
        ]
    noncurrent = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
    noncurrent = noncurrent or rule.get("NoncurrentVersionExpirationInDays")
    if noncurrent:
        wording["NoncurrentVersionExpiration"] = {"NoncurrentDays": str(noncurrent)}
    if "AbortIncompleteMultipartUpload" in rule:
        days = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        wording["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": str(days)}
    return wording


def _notifications(configuration: dict[str, Any]) -> dict[str, Any]:
    """Say in the API's words whether EventBridge is told. Nobody else is: rules do that."""
    others = sorted(configuration.keys() - {"EventBridgeConfiguration"})
    if others:
        raise UnsupportedResource(f"a bucket's {', '.join(others)}: the twin's buckets tell EventBridge alone")
    event_bridge = configuration.get("EventBridgeConfiguration")
    is_on = event_bridge is not None and event_bridge.get("EventBridgeEnabled", True) in (True, "true")
    return {"EventBridgeConfiguration": {}} if is_on else {}


MAKERS: dict[str, Callable[[Order], Any]] = {
    "AWS::S3::Bucket": make_bucket,
}
