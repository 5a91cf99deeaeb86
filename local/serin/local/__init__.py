"""The twin: a local cloud that runs a synthesised CDK template on moto, with real function processes."""
