"""How a twin comes up, says what is wrong, and leaves nothing behind however it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serin.local.assembly import read_assembly, remove_unless_held
from serin.local.errors import BadAssembly, PortInUse, StackFailed, TwinDown
from serin.local.twin import Twin
from tests.local.assemblies import AssemblyWriter, function, resource
from tests.local.conftest import client_of
from tests.local.test_functions import is_running

ROOT = Path(__file__).parents[2]
SLEEPER = (
    "import os, time\ndef handler(event, context):\n    time.sleep(event.get('seconds', 0))\n    return os.getpid()\n"
)

HOLDER = """
import contextlib, json, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background begin with it ignored
from pathlib import Path
from serin.local.twin import Twin
from tests.local.conftest import client_of
with contextlib.suppress(KeyboardInterrupt), Twin(Path(sys.argv[1]), state=Path(sys.argv[2])) as twin:
    client = client_of(twin, "lambda")
    pids = [int(client.invoke(FunctionName="sleeper", Payload=b"{}")["Payload"].read())]
    client.invoke(FunctionName="sleeper", InvocationType="Event", Payload=b'{"seconds": 60}')
    while not any(r["outcome"] == "running" for r in twin.invocations("sleeper")):
        pass
    print(json.dumps({"twin": twin.pid, "functions": pids}), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def assembly(tmp_path):
    """A cloud with one function that says which process it is."""
    writer = AssemblyWriter(tmp_path / "cdk.out")
    writer.stack("only", {"Sleeper": function("sleeper", writer.asset("sleeper", {"handler.py": SLEEPER}))})
    return writer.write()


def wait_until_gone(*pids):
    until = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < until, f"still there: {[pid for pid in pids if is_running(pid)]}"
        time.sleep(0.05)


def test_what_a_twin_runs_cannot_be_removed_until_it_ends(assembly, tmp_path):
    with Twin(assembly, state=tmp_path / "state"):
        assert not remove_unless_held(assembly)
        assert (assembly / "manifest.json").exists()
    assert remove_unless_held(assembly)
    assert not assembly.exists()


def test_stopping_leaves_no_process_and_no_file(assembly, tmp_path):
    twin = Twin(assembly, state=tmp_path / "state")
    with twin:
        pid = int(client_of(twin, "lambda").invoke(FunctionName="sleeper", Payload=b"{}")["Payload"].read())
        pids = [pid, twin.pid]
        assert all(is_running(pid) for pid in pids)
    twin.stop()

    assert not any(is_running(pid) for pid in pids)
    assert list((tmp_path / "state").iterdir()) == []
    with pytest.raises(TwinDown):
        twin.settle()


@pytest.mark.parametrize("ending", ["interrupt", "kill"])
def test_nothing_is_left_when_its_holder_ends(assembly, tmp_path, ending):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(assembly), str(tmp_path / "state")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    said = json.loads(holder.stdout.readline())
    if ending == "interrupt":
        os.killpg(holder.pid, signal.SIGINT)  # as a terminal does it
        assert holder.wait(20) == 0
    else:
        holder.kill()
    wait_until_gone(said["twin"], *said["functions"])
    holder.communicate()


def test_nothing_is_left_when_the_twin_is_killed_and_one_is_told(assembly, tmp_path):
    with Twin(assembly, state=tmp_path / "state") as twin:
        pid = int(client_of(twin, "lambda").invoke(FunctionName="sleeper", Payload=b"{}")["Payload"].read())
        client_of(twin, "lambda").invoke(
            FunctionName="sleeper", InvocationType="Event", Payload=json.dumps({"seconds": 60})
        )
        os.kill(twin.pid, signal.SIGKILL)
        wait_until_gone(pid)
        with pytest.raises(TwinDown, match="does not answer"):
            twin.settle()


def test_another_process_can_take_hold_of_a_running_twin(twin):
    other = Twin.attach(twin.endpoint_url)
    assert (other.outputs, other.http_url, other.pid) == (twin.outputs, twin.http_url, twin.pid)
    other.settle(20)
    other.stop()
    assert is_running(twin.pid)
    with pytest.raises(TwinDown, match="does not answer"):
        Twin.attach("http://localhost:9")


def take_a_port():
    """Listen on a port whose lower neighbour is free."""
    while True:
        taken = socket.create_server(("127.0.0.1", 0))
        try:
            socket.create_server(("127.0.0.1", taken.getsockname()[1] - 1)).close()
        except OSError:
            taken.close()
        else:
            return taken


def test_a_port_in_use_is_named(assembly, tmp_path):
    with take_a_port() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} is in use"):
            Twin(assembly, port=port, state=tmp_path).start()
        with pytest.raises(PortInUse, match=f"port {port} is in use"):
            Twin(assembly, port=port - 1, state=tmp_path).start()  # HTTP is answered one above


def test_a_resource_that_fails_is_named(tmp_path):
    writer = AssemblyWriter(tmp_path / "cdk.out")
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "${Nobody}", "End": True}}})
    machine = resource("StepFunctions::StateMachine", RoleArn="arn:aws:iam::1:role/r", DefinitionString=definition)
    writer.stack("only", {"Machine": machine})
    with pytest.raises(StackFailed, match=r"\$\{Nobody\}"):
        Twin(writer.write(), state=tmp_path).start()


def test_what_is_no_assembly_is_told_at_once(tmp_path):
    with pytest.raises(BadAssembly, match=r"manifest\.json does not exist"):
        Twin(tmp_path).start()
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(BadAssembly, match="not JSON"):
        Twin(tmp_path).start()
    (tmp_path / "manifest.json").write_text('{"artifacts": {}}')
    with pytest.raises(BadAssembly, match="names no stack"):
        Twin(tmp_path).start()


def test_stacks_come_after_those_they_depend_on(tmp_path):
    writer = AssemblyWriter(tmp_path)
    writer.stack("app", {}, after=("data",))
    writer.stack("data", {}, after=("keys",))
    writer.stack("keys", {})
    assert [stack.name for stack in read_assembly(writer.write()).stacks] == ["keys", "data", "app"]


def stacks_in(folder: Path, *environments: str) -> Path:
    """Write an assembly with a stack for each of the environments."""
    folder.mkdir(exist_ok=True)
    artifacts = {
        f"stack{number}": {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{environment}",
            "properties": {"templateFile": "template.json"},
        }
        for number, environment in enumerate(environments)
    }
    (folder / "template.json").write_text("{}")
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return folder


@pytest.mark.parametrize(
    ("environments", "place"),
    [
        (["unknown-account/unknown-region"], ("123456789012", "us-east-1")),
        (["unknown-account/unknown-region", "111122223333/eu-west-1"], ("111122223333", "eu-west-1")),
        (["111122223333/unknown-region", "unknown-account/eu-west-1"], ("111122223333", "eu-west-1")),
    ],
)
def test_a_stack_that_leaves_its_place_open_is_where_the_others_are(tmp_path, environments, place):
    assembly = read_assembly(stacks_in(tmp_path, *environments))
    assert (assembly.account, assembly.region) == place


@pytest.mark.parametrize("other", ["444455556666/eu-west-1", "111122223333/eu-north-1"])
def test_stacks_of_two_accounts_or_regions_are_refused(tmp_path, other):
    with pytest.raises(BadAssembly, match="one account and region at a time"):
        read_assembly(stacks_in(tmp_path, "111122223333/eu-west-1", other))
