"""The declared parameters: each once, by the app that reads it, in its `parameters.py`."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from django.utils.translation import gettext as _

Value = int | float | bool | str


class TuningError(Exception):
    """Something can't be turned that way; its text says why, for people."""


class ParameterError(TuningError):
    """A parameter was declared twice, is unknown, or was given a value it cannot take."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number, flag or word an operator may turn while everything runs.

    `name` is `<app>.<what>_<unit>`; `minimum` and `maximum` bound numbers, inclusive; `choices` bounds words.
    `moves` says what people see change when it is turned.
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
            said = _("%(name)s: %(kind)s expected, not %(value)r")
            raise ParameterError(said % {"name": self.name, "kind": self.kind, "value": value})
        if isinstance(value, int | float) and not isinstance(value, bool):
            self._check_bounds(value)
        if self.choices and value not in self.choices:
            said = _("%(name)s: %(value)r is none of %(choices)s")
            choices = ", ".join(self.choices)
            raise ParameterError(said % {"name": self.name, "value": value, "choices": choices})
        return value  # type: ignore[return-value]  # its type is the default's, tested above

    def parse(self, text: str) -> Value | None:
        """Return the value that people write as `text`; `default` is None, which puts it back.

        Raises:
            ParameterError: it is no such value, or lies outside the bounds.
        """
        if text == "default":
            return None
        said = _("%(name)s: %(kind)s expected, not %(value)r")
        wrong = ParameterError(said % {"name": self.name, "kind": self.kind, "value": text})
        if isinstance(self.default, bool):
            if text not in _FLAGS:
                raise wrong
            return _FLAGS[text]
        try:
            return self.clean(type(self.default)(text))
        except ValueError:
            raise wrong from None

    @property
    def kind(self) -> str:
        """What it takes, in words."""
        if isinstance(self.default, bool):
            return _("true or false")
        if isinstance(self.default, int):
            return _("a whole number")
        return _("a number") if isinstance(self.default, float) else _("a word")

    def _check_bounds(self, value: float) -> None:
        about = {"name": self.name, "value": value, "low": self.minimum, "high": self.maximum}
        # NaN is neither below nor above anything, so the tests ask for what is allowed.
        if self.minimum is not None and not value >= self.minimum:
            raise ParameterError(
                _("%(name)s: %(value)s is below the least allowed, %(low)s") % about
            )
        if self.maximum is not None and not value <= self.maximum:
            raise ParameterError(
                _("%(name)s: %(value)s is above the most allowed, %(high)s") % about
            )


_FLAGS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
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
        raise ParameterError(_("%s is not a declared parameter") % name) from None


def is_declared(name: str) -> bool:
    """Say whether a parameter of that name is declared."""
    return name in _parameters


def everything() -> list[Parameter]:
    """Return all declarations by name."""
    return sorted(_parameters.values(), key=lambda parameter: parameter.name)


def matching(pattern: str) -> list[Parameter]:
    """Return the declarations a pattern such as `documents.*` names, by name."""
    return [parameter for parameter in everything() if fnmatchcase(parameter.name, pattern)]
