"""Who may call the API? Whoever sends the environment's key as x-api-key; API Gateway checks it, and counts its calls.

Which routes ask for a key: `serving/http/dispatch.py`. The same check on the twin: `local/serin/local/gateway.py`.
"""

from __future__ import annotations

from aws_cdk import aws_apigateway as apigateway

from serin.cdk.environment import Environment


def add_api_key(api: apigateway.RestApi, environment: Environment) -> apigateway.IApiKey:
    """Make the environment's key, which may call as often as its settings allow."""
    limits = environment.requests
    key = api.add_api_key("Key", api_key_name=environment.named("key"))
    plan = api.add_usage_plan(
        "Plan",
        name=environment.named("plan"),
        throttle=apigateway.ThrottleSettings(rate_limit=limits.per_second, burst_limit=limits.burst),
        api_stages=[apigateway.UsagePlanPerApiStage(api=api, stage=api.deployment_stage)],
    )
    plan.add_api_key(key)
    return key
