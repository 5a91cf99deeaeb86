"""What does the twin consist of, and in which order does it come up and go down?

It runs in a process of its own, which `serin.local.start` begins: moto keeps its state in globals, and a test of
somebody else's that mocks AWS would wipe it.
"""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import lambda_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.sqs.models import sqs_backends

from serin.local import gaps
from serin.local.alarms import Alarms
from serin.local.assembly import Assembly
from serin.local.endpoint import Endpoint, serve
from serin.local.errors import TwinError, UnknownFunction, UnsupportedResource
from serin.local.faults import Faults
from serin.local.firehose import Firehose
from serin.local.function_process import Spec
from serin.local.functions import Functions
from serin.local.gateway import BODY_LIMIT, HEADERS_LIMIT, Gateway
from serin.local.layers import merge_layers, unzip
from serin.local.logs import Logs
from serin.local.queues import Queues
from serin.local.resources.stacks import Resources
from serin.local.schedules import Clock, Schedules
from serin.local.snapshot import Snapshot
from serin.local.targets import Targets
from serin.local.wire import HttpServer, listen
from serin.local.workflows import Workflows

_SETTLED_SECONDS = 0.1  # nothing must have happened for so long

_LOG = logging.getLogger(__name__)


class Cloud:
    """Everything that one assembly needs to run."""

    def __init__(
        self,
        *,
        assembly: Assembly,
        live: dict[str, Path],
        port: int,
        clock_rate: float,
        state: Path,
        snapshot: Path | None,
    ) -> None:
        account, region = assembly.account, assembly.region
        self._assembly = assembly
        self._live = live
        self._state = state
        self._aws_socket = listen(port)
        self._http_socket = listen(port + 1 if port else 0)
        self.endpoint_url = f"http://localhost:{self._aws_socket.getsockname()[1]}"
        self.http_base = f"http://localhost:{self._http_socket.getsockname()[1]}"
        gaps.be_the_account(account)
        self.faults = Faults()
        self.logs = Logs(account=account, region=region)
        self.functions = Functions(
            describe=self._describe,
            note_error=self._note_error,
            logs=self.logs,
            faults=self.faults,
            homes=state / "tmp",
            endpoint_url=self.endpoint_url,
        )
        self.workflows = Workflows(account=account, region=region, endpoint_url=self.endpoint_url)
        self.targets = Targets(
            functions=self.functions, workflows=self.workflows, faults=self.faults, account=account, region=region
        )
        self._queues = sqs_backends[account][region].queues
        self.queues = Queues(functions=self.functions, faults=self.faults, account=account, region=region)
        clock = Clock(clock_rate)
        self.schedules = Schedules(clock=clock, targets=self.targets, account=account, region=region)
        self.alarms = Alarms(clock=clock, targets=self.targets, account=account, region=region)
        self._locks = {"dynamodb": threading.RLock(), "s3": threading.RLock()}
        self.firehose = Firehose(clock=clock, account=account, region=region, writing=self._locks["s3"])
        self.gateway = Gateway(functions=self.functions, account=account, region=region)
        self._endpoint = Endpoint(functions=self.functions, control=self.control, locks=self._locks)
        self.outputs: dict[str, dict[str, str]] = {}
        self.restored_from: str | None = None
        self._snapshot = snapshot and Snapshot(
            snapshot,
            targets=self.targets,
            workflows=self.workflows,
            locks=self._locks.values(),
            changes=self._changes,
            account=account,
            region=region,
        )
        self._has_started = False

    def start(self) -> None:
        """Make the resources, and begin to answer."""
        gaps.read_templates_as_json()
        gaps.forget_what_is_gone()
        gaps.forget_what_is_old()
        gaps.copy_only_what_a_transaction_touches()
        gaps.make_queues_safe()
        gaps.give_queues_local_urls(self.endpoint_url)
        gaps.leave_queues_to_the_pollers()
        gaps.run_functions_for_real(self.functions, self.targets, is_repeated=self.faults.is_repeated)
        gaps.take_up_changed_functions(self.functions.refresh)
        gaps.keep_bucket_policies_unenforced()
        gaps.let_rules_reach_functions(self.targets)
        gaps.heed_filter_patterns()
        gaps.let_firehose_gather(self.firehose)
        gaps.name_resources_alike()
        gaps.make_resources_before_exports()
        resources = Resources(self._assembly, self.workflows)
        resources.make_all()
        self._check_one_api()
        self.outputs = {
            stack: {name: self.gateway.local_url(value, self.http_base) for name, value in outputs.items()}
            for stack, outputs in resources.outputs.items()
        }
        if self._snapshot:
            self.restored_from = self._snapshot.restore().get("saved_at")
        self._aws = serve(self._endpoint, self._aws_socket)
        if self._snapshot:
            self._snapshot.start()
        self._http = HttpServer(
            self._http_socket, answer=self.gateway.answer, body_limit=BODY_LIMIT, headers_limit=HEADERS_LIMIT
        )
        self._http.start()
        self.queues.start()
        self.schedules.start()
        self.alarms.start()
        self.firehose.start()
        self._has_started = True

    def stop(self) -> None:
        """Keep the state where it is to be kept, kill every function process, and answer no more."""
        self.queues.stop()
        self.schedules.stop()
        self.alarms.stop()
        if self._snapshot and self._has_started:
            self._http.stop()
            self.logs.store()
            self.firehose.deliver(early=True)
            self._snapshot.stop()
        self.firehose.stop()
        self.functions.stop()

    @property
    def http_url(self) -> str:
        """The address of the REST API, its stage included; empty where there is none."""
        stage = next(iter(self.gateway.api.stages), None) if self.gateway.api else None
        return f"{self.http_base}/{stage}" if stage else ""

    def facts(self) -> dict[str, Any]:
        """Say what whoever started the twin needs to know."""
        return {
            "endpoint_url": self.endpoint_url,
            "http_url": self.http_url,
            "outputs": self.outputs,
            "region": self._assembly.region,
            "account": self._assembly.account,
            "pid": os.getpid(),
            "restored_from": self.restored_from,
        }

    def control(self, name: str, arguments: dict[str, Any]) -> Any:
        """Answer a call of whoever holds the twin."""
        calls: dict[str, Any] = {
            "facts": self.facts,
            "busy": self.busy,
            "invocations": self.functions.records,
            "logs": lambda name: self.logs.lines(self.functions.log_group(name)),
            "kill": self.faults.arm,
            "has_fired": lambda number: self.faults.kill(number).has_fired,
            "deliver_twice": self.faults.repeat,
            "clear_faults": self.faults.clear,
        }
        if name not in calls:
            raise TwinError(f"the twin knows no {name!r}")
        return calls[name](**arguments)

    def busy(self) -> list[str]:
        """Name what is still under way; empty where nothing is, and nothing has begun for a moment.

        What Firehose has gathered is delivered at once: whoever asks waits for what comes of it.
        """
        begun = -1
        while begun != self.functions.invocations_begun:
            begun = self.functions.invocations_begun
            # Each step before the one that it may lead to: a function prints, a line becomes an alarm or an object, an
            # object a message, and that an invocation, which has begun since.
            under_way = [f"{count} invocations of {name}" for name, count in self.functions.running().items()]
            self.logs.store()
            self.alarms.look()
            self.firehose.deliver(early=True)
            under_way += [f"{count} records in {name}" for name, count in self.firehose.waiting().items()]
            under_way += [f"{count} messages in {name}" for name, count in self.queues.waiting().items()]
            under_way += [f"execution {name}" for name in self.workflows.running()]
            under_way += [f"{self.targets.under_way} asynchronous events"] if self.targets.under_way else []
            if under_way:
                return under_way
            time.sleep(_SETTLED_SECONDS)
        return []

    def _changes(self) -> Hashable:
        """What differs from before once there is something to write down."""
        return (
            self._endpoint.writes,
            self.firehose.deliveries,
            sum(len(queue._messages) for queue in list(self._queues.values())),
            tuple(self.workflows.running()),
            self.targets.under_way,
        )

    def _check_one_api(self) -> None:
        apis = list(self.gateway._backend.apis.values())
        if len(apis) > 1:
            raise UnsupportedResource(f"the twin answers for one REST API, not {[api.name for api in apis]}")

    def _note_error(self, name: str) -> None:
        """Count an invocation that failed, as Lambda does."""
        metrics = cloudwatch_backends[self._assembly.account][self._assembly.region]
        datum = {"MetricName": "Errors", "Value": 1, "Dimensions": [{"Name": "FunctionName", "Value": name}]}
        metrics.put_metric_data("AWS/Lambda", [datum])

    def _describe(self, name: str) -> Spec:
        """Read what a function is run with from moto."""
        backend = lambda_backends[self._assembly.account][self._assembly.region]
        try:
            function = backend.get_function(name)
        except UnknownFunctionException:
            raise UnknownFunction(f"there is no function {name}") from None
        layers = [backend.layers_versions_by_arn(str(layer["Arn"])) for layer in function.layers]
        logging_config = getattr(function, "twin_properties", {}).get("LoggingConfig", {})
        reserved = function.reserved_concurrency
        return Spec(
            name=name,
            arn=function.function_arn,
            handler=function.handler or "",
            region=function.region,
            code=self._folder(function.code, function.code_bytes),
            opt=merge_layers(
                [self._folder(layer.content, layer.code_bytes) for layer in layers if layer],
                into=self._state / "opt" / name,
                live=self._live,
            ),
            environment={key: str(value) for key, value in function.environment_vars.items()},
            timeout_seconds=float(function.timeout),
            memory_mb=int(function.memory_size),
            concurrency=None if reserved is None else int(reserved),
            log_group=logging_config.get("LogGroup", f"/aws/lambda/{name}"),
        )

    def _folder(self, code: dict[str, Any], content: bytes) -> Path:
        asset = self._assembly.assets.get(code.get("S3Key", ""))
        if asset is not None and asset.is_dir():
            return asset
        content = asset.read_bytes() if asset is not None else content
        return unzip(content, into=self._state / "code" / hashlib.sha256(content).hexdigest()[:16])
