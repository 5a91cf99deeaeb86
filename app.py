"""The stacks of Serin's own examples. Read by `cdk` (see cdk.json), or run: CDK_CONTEXT_JSON='{"env": "dev"}'."""

from serin.cdk import SerinApp

if __name__ == "__main__":
    SerinApp().synth()
