"""The infrastructure: what `cdk deploy` makes on AWS and the twin makes on a laptop."""
