"""The stacks of this project. Read by `cdk`, as cdk.json says; stacks of your own go between the two lines."""

from serin.cdk import SerinApp

if __name__ == "__main__":
    app = SerinApp()
    app.synth()
