"""May a version be released? Its gates, asked with what serving uses."""
