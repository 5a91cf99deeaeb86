"""Where does moto do less than AWS, or do it unsafely, and what closes the gap?

Each function here closes one gap. tests/local/test_gaps.py pins them: it fails when moto closes one itself.
"""

import base64
import copy
import hashlib
import json
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import moto.core
import moto.core.models
import moto.iam.models
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.cloudformation import parsing
from moto.cloudformation.models import CloudFormationBackend, Stack
from moto.cloudwatch.models import CloudWatchBackend
from moto.core.common_models import BaseModel
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.events.models import Rule
from moto.events.utils import EventTemplateParser
from moto.firehose.models import FirehoseBackend
from moto.iam.access_control import PermissionResult
from moto.logs.models import LogStream
from moto.s3.models import FakeBucket
from moto.sns.models import Topic
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

from serin.local.firehose import Firehose, Stream, parse_pattern
from serin.local.functions import Functions, PayloadTooLarge, Throttled
from serin.local.targets import Targets

_RECEIVE_LOOK_SECONDS = 0.02
_KEPT = 5_000  # of each kind, of what somebody may still ask for
_OURS = ("lambda", "states")


class TooManyRequests(LambdaClientError):
    """When a function is invoked more often at once than it may be."""

    code = 429


class RequestTooLarge(LambdaClientError):
    """When an event is larger than Lambda takes."""

    code = 413


def make_queues_safe() -> None:
    """Put a lock around each change of a queue.

    moto deletes a message by building a new list: one sent meanwhile is lost. Two receivers can be
    given the same message.
    """
    lock = threading.RLock()
    add, delete = Queue.add_message, Queue.delete_message
    receive, change = SQSBackend.receive_message, SQSBackend.change_message_visibility

    def add_message(self: Queue, message: Message) -> None:
        with lock:
            add(self, message)

    def delete_message(self: Queue, receipt_handle: str) -> None:
        with lock:
            delete(self, receipt_handle)

    def change_message_visibility(
        self: SQSBackend, queue_name: str, receipt_handle: str, visibility_timeout: int
    ) -> None:
        with lock:
            change(self, queue_name, receipt_handle, visibility_timeout)

    def receive_message(
        self: SQSBackend,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Message]:
        end = time.monotonic() + (wait_seconds_timeout or 0)
        while True:
            with lock:
                messages = receive(self, queue_name, count, 0, visibility_timeout, message_attribute_names)
            if messages or time.monotonic() >= end:
                return messages
            time.sleep(_RECEIVE_LOOK_SECONDS)

    Queue.add_message = add_message  # type: ignore[method-assign]
    Queue.delete_message = delete_message  # type: ignore[method-assign]
    SQSBackend.receive_message = receive_message  # type: ignore[method-assign]
    SQSBackend.change_message_visibility = change_message_visibility  # type: ignore[method-assign]


def give_queues_local_urls(endpoint_url: str) -> None:
    """Let a queue's URL lead to the twin: moto's leads to AWS wherever CloudFormation makes one."""

    def physical_resource_id(self: Queue) -> str:
        return f"{endpoint_url}/{self.account_id}/{self.name}"

    Queue.physical_resource_id = property(physical_resource_id)  # type: ignore[assignment,method-assign]


def leave_queues_to_the_pollers() -> None:
    """Keep moto from invoking functions inside send_message, with no retries and no partial failures."""
    original = LambdaBackend.create_event_source_mapping

    def create_event_source_mapping(self: LambdaBackend, spec: dict[str, Any]) -> Any:
        mapping = original(self, spec)
        for queue in sqs_backends[self.account_id][self.region_name].queues.values():
            queue.lambda_event_source_mappings.clear()
        return mapping

    LambdaBackend.create_event_source_mapping = create_event_source_mapping  # type: ignore[method-assign]


def run_functions_for_real(functions: Functions, targets: Targets, *, is_repeated: Callable[[str], bool]) -> None:
    """Have Lambda's API run our processes, where moto would want Docker."""

    def invoke(self: LambdaFunction, body: str | bytes, request_headers: Any, response_headers: Any) -> bytes:
        payload = body.encode() if isinstance(body, str) else body or b"{}"
        # moto's own notifications (S3, SNS) come without any headers: nobody waits for their answers.
        kind = request_headers.get("X-Amz-Invocation-Type", "RequestResponse") if request_headers else "Event"
        try:
            if kind == "Event":
                targets.invoke_later(self.function_name, payload)
            if kind != "RequestResponse":
                return b""
            outcome = functions.invoke(self.function_name, payload)
            if outcome.error_type is None and is_repeated(self.function_name):
                outcome = functions.invoke(self.function_name, payload)
        except Throttled as error:
            raise TooManyRequests("TooManyRequestsException", f"Rate Exceeded. {error}") from error
        except PayloadTooLarge as error:
            raise RequestTooLarge("RequestEntityTooLargeException", str(error)) from error
        if outcome.error_type is not None:
            response_headers["x-amz-function-error"] = "Unhandled"
        return outcome.payload

    LambdaFunction.invoke = invoke  # type: ignore[method-assign]


def take_up_changed_functions(refresh: Callable[[str], None]) -> None:
    """Run a function's new code or configuration once it has been updated by the API."""
    for name in ("update_configuration", "update_function_code"):
        _call_after(LambdaFunction, name, lambda function: refresh(function.function_name))
    reserve, release = LambdaBackend.put_function_concurrency, LambdaBackend.delete_function_concurrency

    def put_function_concurrency(self: LambdaBackend, function_name: str, reserved_concurrency: str) -> str:
        result = reserve(self, function_name, reserved_concurrency)
        refresh(function_name)
        return result

    def delete_function_concurrency(self: LambdaBackend, function_name: str) -> str | None:
        result = release(self, function_name)
        refresh(function_name)
        return result

    LambdaBackend.put_function_concurrency = put_function_concurrency  # type: ignore[method-assign]
    LambdaBackend.delete_function_concurrency = delete_function_concurrency  # type: ignore[method-assign]


def let_rules_reach_functions(targets: Targets) -> None:
    """Send events that match a rule to functions and state machines too; give each event an id of its own."""
    original = Rule.send_to_targets

    def send_to_targets(self: Rule, original_event: Any, transform_input: bool = True) -> None:
        if self.scheduled_expression and not self.event_pattern.get_pattern():
            return  # it waits for its time alone; moto takes no pattern for one that every event matches
        if not self.event_pattern.matches_event(original_event):
            return
        event = dict(original_event)
        if event["source"] == "aws.s3":
            event["id"] = str(uuid.uuid4())
        others = copy.copy(self)
        others.targets = [target for target in self.targets if target["Arn"].split(":")[2] not in _OURS]
        original(others, event, transform_input)  # type: ignore[arg-type]
        for target in self.targets:
            if target not in others.targets:
                targets.send(target["Arn"], _input_for(target, event))

    Rule.send_to_targets = send_to_targets  # type: ignore[method-assign]


def heed_filter_patterns() -> None:
    """Send a subscription the lines that its filter pattern asks for: moto sends it every one."""
    original = LogStream._send_log_events

    def send_log_events(
        self: LogStream, service: str, destination_arn: str, filter_name: str, log_events: list[dict[str, Any]]
    ) -> None:
        matches = parse_pattern(self.log_group.subscription_filters[filter_name].filter_pattern)
        if wanted := [event for event in log_events if matches(event["message"])]:
            original(self, service, destination_arn, filter_name, wanted)

    LogStream._send_log_events = send_log_events  # type: ignore[method-assign]


def let_firehose_gather(firehose: Firehose) -> None:
    """Deliver records as the delivery stream says: moto puts each batch as it is, with a prefix left as it stands."""

    def put_s3_records(
        self: FirehoseBackend,
        delivery_stream_name: str,
        version_id: str,  # noqa: ARG001 (its name)
        s3_destination: dict[str, Any],
        records: list[dict[str, Any]],
    ) -> list[dict[str, str]]:
        destination = self.delivery_streams[delivery_stream_name].destinations[0]
        stream = Stream.read(delivery_stream_name, destination.get("ExtendedS3", s3_destination))
        firehose.accept(stream, [_data_of(record) for record in records])
        return [{"RecordId": str(uuid.uuid4())} for _ in records]

    FirehoseBackend.put_s3_records = put_s3_records  # type: ignore[method-assign]


def _data_of(record: dict[str, Any]) -> bytes:
    data = record["Data"]  # base64 where it came by PutRecord, bytes where moto's logs sent it
    return base64.b64decode(data) if isinstance(data, str) else data


def read_templates_as_json() -> None:
    """Parse a template that is JSON as such: moto's YAML parser takes a second for one of a hundred resources."""
    as_yaml = Stack.parse_template

    def parse_template(template: str) -> dict[str, Any]:
        try:
            return dict(json.loads(template))
        except ValueError:
            return as_yaml(template)

    Stack.parse_template = staticmethod(parse_template)  # type: ignore[method-assign]


def forget_what_is_gone() -> None:
    """Let what is deleted be freed: moto keeps a list of every object that it ever made."""

    def make(cls: type[BaseModel], *_: Any, **__: Any) -> BaseModel:
        return object.__new__(cls)

    BaseModel.__new__ = make  # type: ignore[method-assign]


def forget_what_is_old() -> None:
    """Keep but the last of what was measured and told, of handles and of executions: moto keeps them for ever."""
    _call_after(CloudWatchBackend, "put_metric_data", _drop_old_metrics)
    _call_after(Topic, "publish", lambda topic: _drop_first(topic.sent_notifications))
    _call_after(Queue, "delete_message", lambda queue: _drop_handles(queue.deleted_messages))


def _drop_first(items: list[Any]) -> None:
    del items[: max(0, len(items) - _KEPT)]


def _drop_handles(handles: set[str]) -> None:
    if len(handles) > _KEPT:
        handles.clear()


def _drop_old_metrics(backend: CloudWatchBackend) -> None:
    """Keep the last values of each metric: one that counts often leaves the others to the alarms that watch them."""
    if len(backend.metric_data) <= getattr(backend, "twin_limit", _KEPT):
        return
    counts: Counter[tuple[str, str]] = Counter()
    kept = []
    for datum in reversed(backend.metric_data):
        counts[datum.namespace, datum.name] += 1
        if counts[datum.namespace, datum.name] <= _KEPT:
            kept.append(datum)
    backend.metric_data = kept[::-1]
    backend.twin_limit = 2 * len(kept) + _KEPT  # type: ignore[attr-defined]


def copy_only_what_a_transaction_touches() -> None:
    """Have a transaction take as long for a large table as for a small one.

    To be able to go back, moto makes a deep copy of the whole table for each item of a transaction. Here
    the items that are not in the transaction are shared. To be called under the lock of DynamoDB.
    """
    original = DynamoDBBackend.transact_write_items
    touched: list[tuple[str, DynamoType, DynamoType | None]] = []

    def copy_table(self: Table, _memo: dict[int, Any]) -> Table:
        other = copy.copy(self)
        shallow = {key: dict(part) if self.has_range_key else part for key, part in self.items.items()}
        other.items = defaultdict(dict, shallow)
        for name, hash_key, range_key in touched:
            if name != self.name or self.get_item(hash_key, range_key) is None:
                continue
            place = (other.items[hash_key], range_key) if range_key else (other.items, hash_key)
            place[0][place[1]] = copy.deepcopy(place[0][place[1]])
        return other

    def transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        touched[:] = [key for item in transact_items for key in _keys(self, item)]
        original(self, transact_items)

    Table.__deepcopy__ = copy_table  # type: ignore[attr-defined]
    DynamoDBBackend.transact_write_items = transact_write_items  # type: ignore[method-assign]


def _keys(backend: DynamoDBBackend, item: dict[str, Any]) -> Iterator[tuple[str, DynamoType, DynamoType | None]]:
    for operation in item.values():
        table = backend.tables.get(operation.get("TableName"))
        values = operation.get("Key") or operation.get("Item") or {}
        if table is not None and table.hash_key_attr in values:
            range_value = values.get(table.range_key_attr)
            yield (
                table.name,
                DynamoType(values[table.hash_key_attr]),
                None if range_value is None else DynamoType(range_value),
            )


def keep_bucket_policies_unenforced() -> None:
    """Let bucket policies be stored only: moto ignores their conditions, so that a Deny denies everything."""

    def get_permission(self: FakeBucket, action: str, resource: str) -> PermissionResult:  # noqa: ARG001 (its names)
        return PermissionResult.NEUTRAL

    FakeBucket.get_permission = get_permission  # type: ignore[method-assign]


def name_resources_alike() -> None:
    """Give a resource without a name the same one each time: a state that was kept finds its place by it."""
    original = parsing.generate_resource_name

    def generate_resource_name(resource_type: str, stack_name: str, logical_id: str) -> str:
        suffix = hashlib.sha256(f"{stack_name}/{logical_id}".encode()).hexdigest()[:12].upper()
        parsing.random_suffix = lambda: suffix  # type: ignore[attr-defined]
        return original(resource_type, stack_name, logical_id)

    parsing.generate_resource_name = generate_resource_name


def make_resources_before_exports() -> None:
    """Have a stack's resources made in their order, before its exports ask for some of them out of it."""
    original = CloudFormationBackend._validate_export_uniqueness

    def validate(self: CloudFormationBackend, stack: Stack) -> None:
        stack.resource_map.create(stack.template_dict)
        original(self, stack)

    CloudFormationBackend._validate_export_uniqueness = validate  # type: ignore[method-assign]


def be_the_account(account: str) -> None:
    """Make every access key belong to the account that the template was synthesised for."""
    for module in (moto.core, moto.core.models):
        module.DEFAULT_ACCOUNT_ID = account  # type: ignore[attr-defined]
    moto.iam.models.get_account_id_from = lambda access_key: account  # noqa: ARG005 (its name)


def _input_for(target: dict[str, Any], event: dict[str, Any]) -> bytes:
    if target.get("Input"):
        return str(target["Input"]).encode()
    transformer = target.get("InputTransformer")
    if transformer:
        event = EventTemplateParser.parse(
            input_template=transformer.get("InputTemplate"),
            input_paths_map=transformer.get("InputPathsMap", {}),
            event={"ingestion-time": event["time"], **event},  # type: ignore[typeddict-item]
        )
        return json.dumps(event).encode()
    if isinstance(event.get("time"), int | float):
        event["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(event["time"]))
    event.pop("ingestion-time", None)
    return json.dumps(event).encode()


def _call_after(kind: type, name: str, then: Callable[[Any], None]) -> None:
    original = getattr(kind, name)

    def wrapper(self: Any, *arguments: Any, **keywords: Any) -> Any:
        result = original(self, *arguments, **keywords)
        then(self)
        return result

    setattr(kind, name, wrapper)
