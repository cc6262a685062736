"""The declared parameters: each once, by the app that reads it, in its `parameters.py`."""

from dataclasses import dataclass

Value = int | float | bool | str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number, flag or word an operator may turn while everything runs.

    `name` is `<app>.<what>_<unit>`; `minimum` and `maximum` bound numbers, inclusive; `choices` bounds words.
    """

    name: str
    default: Value
    help_text: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    moves: str = ""

    def clean(self, value: object) -> Value:
        """Return the value in the parameter's type.

        Raises:
            ParameterError: it has another type, or lies outside the bounds.
        """
        expected = type(self.default)
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not expected:
            raise ParameterError(f"{self.name}: {expected.__name__} expected, not {value!r}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            if self.minimum is not None and value < self.minimum:
                raise ParameterError(
                    f"{self.name}: {value} is below the least allowed, {self.minimum}"
                )
            if self.maximum is not None and value > self.maximum:
                raise ParameterError(
                    f"{self.name}: {value} is above the most allowed, {self.maximum}"
                )
        if self.choices and value not in self.choices:
            raise ParameterError(f"{self.name}: {value!r} is none of {', '.join(self.choices)}")
        return value  # type: ignore[return-value]  # its type is the default's, tested above


class ParameterError(Exception):
    """A parameter was declared twice, is unknown, or was given a value it cannot take."""


_parameters: dict[str, Parameter] = {}


def register(*parameters: Parameter) -> None:
    """Make parameters known; called at import of an app's `parameters.py`, which `ready()` imports.

    Raises:
        ParameterError: the name is taken by another declaration, or the default breaks its own bounds.
    """
    for parameter in parameters:
        if _parameters.setdefault(parameter.name, parameter) != parameter:
            raise ParameterError(f"{parameter.name} is declared twice")
        parameter.clean(parameter.default)


def get(name: str) -> Parameter:
    """Return the declaration of a parameter.

    Raises:
        ParameterError: nothing of that name is declared.
    """
    try:
        return _parameters[name]
    except KeyError:
        raise ParameterError(f"{name} is not a declared parameter") from None


def everything() -> list[Parameter]:
    """Return all declarations by name."""
    return sorted(_parameters.values(), key=lambda parameter: parameter.name)
