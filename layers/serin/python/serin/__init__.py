"""Serin: from a table of data to a prediction endpoint that looks after itself."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)  # in a checkout the package stands in several folders, in a wheel in one
