"""What models share as estimators: constructor arguments as scikit-learn's `clone` and `GridSearchCV` want them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

from .errors import ArgumentError, ModelError

Self = TypeVar("Self", bound="Estimator")


class Estimator:
    """A model that keeps the arguments it was made from. Subclasses begin their constructor with `_keep(locals())`."""

    _arguments: dict[str, Any]

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def _keep(self, arguments: dict[str, Any]) -> None:
        self._arguments = {name: arguments[name] for name in self._parameter_names()}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name, as they were given. `deep` changes nothing.

        Raises ModelError for a model that was loaded from a file.
        """
        return dict(self._known_arguments())

    def set_params(self: Self, **params: Any) -> Self:
        """Change arguments of the constructor, and make the model anew from them; what was fitted is gone.

        Raises ArgumentError for a name that the constructor does not know.
        """
        names = self._parameter_names()
        for name in params:
            if name not in names:
                raise ArgumentError(f"{type(self).__name__} has no argument {name!r}; there are {', '.join(names)}.")
        self.__init__(**{**self._known_arguments(), **params})  # type: ignore[misc]
        return self

    def _known_arguments(self) -> dict[str, Any]:
        if "_arguments" not in vars(self):
            raise ModelError(
                "This model was loaded from a file, which holds its values but not the constructor's arguments; for "
                "get_params, set_params and clone make it with the constructor."
            )
        return self._arguments

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of estimators; only it calls this."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(string=True, two_d_array=True),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return True


def parameter_table(title: str, parameters: Iterable[tuple[str, Any, int, bool]], last: str) -> str:
    """Return a model as text: for each label its value, in how many places it is used, and whether it is held."""
    lines = [title, f"{'parameter':<24} {'value':>12}  uses"]
    for label, value, uses, held in parameters:
        lines.append(f"{label:<24} {_shown(value):>12}  {uses}{' held' if held else ''}")
    return "\n".join([*lines, last])


def _shown(value: Any) -> str:
    if value is None:
        return "from data"
    return f"{float(value):.6g}" if np.ndim(value) == 0 else f"{'x'.join(map(str, np.shape(value)))} table"
