"""What can go wrong with a twin, and what does each error mean to whoever started it?

TwinError
├── PortInUse            a port that the twin was told to use is taken
├── BadAssembly          the folder is not a cloud assembly that can be read
├── UnsupportedResource  the template asks for something that nothing here makes real
├── StackFailed          a resource of the template could not be created
├── StateUnreadable      what a twin before has kept cannot be put back
├── NotSettled           the twin is still busy after the time allowed
├── UnknownFunction      no function of this name was deployed
├── UnknownStack         no stack of this name was deployed
└── TwinDown             the twin is not running, or has died
"""


class TwinError(Exception):
    """The root of all errors of the twin; its text is written for a person."""


class PortInUse(TwinError):
    """When a port that the twin was told to use is taken."""


class BadAssembly(TwinError):
    """When the folder is not a cloud assembly that can be read."""


class UnsupportedResource(TwinError):
    """When the template asks for something that nothing here makes real."""


class StackFailed(TwinError):
    """When a resource of the template could not be created."""


class StateUnreadable(TwinError):
    """When what a twin before has kept cannot be put back."""


class NotSettled(TwinError):
    """When the twin is still busy after the time allowed."""


class UnknownFunction(TwinError):
    """When no function of this name was deployed."""


class UnknownStack(TwinError):
    """When no stack of this name was deployed."""


class TwinDown(TwinError):
    """When the twin is not running, or has died."""


def error_named(name: str, message: str) -> TwinError:
    """Make the error that a twin's process reported by its class name."""
    error_type = next((kind for kind in TwinError.__subclasses__() if kind.__name__ == name), TwinError)
    return error_type(message)
