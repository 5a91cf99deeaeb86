"""The code of every function in the tests' cloud: it does what its event says."""

import http.client
import json
import os
import sys
import time
from pathlib import Path

INSTANCE = os.getpid()


def handler(event, context):
    if "Records" in event:
        return {"batchItemFailures": [failure for record in event["Records"] for failure in _process(record)]}
    if "httpMethod" in event:
        return _answer(event)
    if event.get("detail-type") == "Object Created":
        return {"counted": _count(event["detail"]["object"]["key"])}
    if event.get("detail-type") == "CloudWatch Alarm State Change":
        return {"counted": _count(f"{event['detail']['alarmName']} rang")}
    return act(event, context)


def act(event, context=None):
    match event.get("do"):
        case "fail":
            raise ValueError(event.get("message", "as told"))
        case "exit":
            os._exit(event["status"])
        case "sleep":
            time.sleep(event["seconds"])
        case "eat":
            _ = [os.urandom(1024 * 1024) for _ in range(event["mb"])]
            time.sleep(1)
        case "have eaten":
            import subprocess

            eat = f"import os, time; _ = [os.urandom(1024 * 1024) for _ in range({event['mb']})]; time.sleep(3)"
            subprocess.run([sys.executable, "-c", eat], check=True)
        case "print":
            sys.stdout.write(event["text"] + "\n")
        case "count":
            return {"counted": _count(event["key"], times=event.get("times", 1))}
        case "fail_times":
            if _count(event["key"]) <= event["times"]:
                raise ValueError("not yet")
        case "turn":
            return {**event, "turns": event.get("turns", 0) + 1, "wait_seconds": 1}
        case "large":
            return "x" * event["bytes"]
        case "import":
            import library
            import more

            return [library.SAID, more.SAID]
        case "read":
            return Path(os.environ["MODELS_PATH"], "loans.yaml").read_text()
        case "environment":
            return {**os.environ, "remaining_ms": str(context.get_remaining_time_in_millis())}
        case "child":
            import subprocess

            return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]).pid
    return {"pid": INSTANCE, "event": event}


def _process(record):
    told = json.loads(record["body"])
    if "detail-type" in told:
        handler(told, None)
        return
    _count(f"tried {told.get('key')}")
    if told.get("do") == "partial":
        yield {"itemIdentifier": record["messageId"]}
    else:
        act(told)


def _count(key, times=1):
    """Count up under a key in the table. Returns the count. Without boto3, whose import takes half a second."""
    update = {
        "TableName": "ledger",
        "Key": {"key": {"S": key}},
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
        "ReturnValues": "UPDATED_NEW",
    }
    scope = f"{os.environ['AWS_ACCESS_KEY_ID']}/20260101/{os.environ['AWS_REGION']}/dynamodb/aws4_request"
    headers = {
        "X-Amz-Target": "DynamoDB_20120810.UpdateItem",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
    }
    for _ in range(times):
        connection = http.client.HTTPConnection(os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"))
        connection.request("POST", "/", json.dumps(update).encode(), headers)
        answer = json.loads(connection.getresponse().read())
    return int(answer["Attributes"]["n"]["N"])


def _answer(event):
    told = json.loads(event["body"]) if event["body"] and not event["isBase64Encoded"] else {}
    if event["resource"] == "/slow":
        time.sleep(2)
    if told.get("do") == "nonsense":
        return {"status": "fine"}
    if told.get("do") == "binary":
        return {"statusCode": 200, "isBase64Encoded": True, "body": "AAEC", "headers": {"Content-Type": "image/png"}}
    act(told)
    return {"statusCode": 200, "body": json.dumps(event), "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}}
