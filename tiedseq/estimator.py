"""What models share: the constructor's arguments, as scikit-learn wants them, and how they show themselves."""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from .display import Table, model_table
from .errors import ArgumentError, counted
from .specification import Parameter
from .workers import is_crew

Self = TypeVar("Self", bound="Arguments")


class Arguments:
    """What keeps the arguments it was made from. Subclasses begin their constructor with `_keep(locals())`."""

    _arguments: dict[str, Any]
    options: Any

    def _keep(self, arguments: Mapping[str, Any]) -> None:
        """Note the constructor's arguments; what is left out has its default."""
        parameters = inspect.signature(type(self).__init__).parameters
        self._arguments = {
            name: arguments.get(name, parameter.default) for name, parameter in parameters.items() if name != "self"
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name, as they were given. `deep` changes nothing.

        Of a model from a file they are its values as starting values, and the defaults of all training options. In a
        model that is made from these, restarts redraw nothing, as every value is given.
        """
        return dict(self._arguments)

    def set_params(self: Self, **params: Any) -> Self:
        """Change arguments of the constructor, and make the model anew from them; what was fitted is gone.

        Raises ArgumentError for a name that the constructor does not know.
        """
        for name in params:
            if name not in self._arguments:
                known = ", ".join(self._arguments)
                raise ArgumentError(f"{type(self).__name__} has no argument {name!r}; there are {known}.")
        made = type(self)(**{**self._arguments, **params})  # if this fails, the model stays as it is
        self.__dict__ = made.__dict__
        return self

    def __copy__(self: Self) -> Self:
        made = type(self).__new__(type(self))
        vars(made).update(vars(self))
        return made

    def __deepcopy__(self: Self, memo: dict[int, Any]) -> Self:
        memo.update(self._shared())
        made = memo[id(self)] = type(self).__new__(type(self))
        vars(made).update(copy.deepcopy(vars(self), memo))
        return made

    def __sklearn_clone__(self: Self) -> Self:
        """A model made from the same arguments; only scikit-learn calls this."""
        return type(self)(**copy.deepcopy(self._arguments, self._shared()))

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but workers, which live in this process only, and on which no result depends."""
        state = dict(vars(self))
        if is_crew(self._arguments.get("executor")):
            state["_arguments"] = {**self._arguments, "executor": None}
            state["options"] = replace(self.options, executor=None)
        return state

    def _shared(self) -> dict[int, Any]:
        """What copies share, as `deepcopy` wants to know it: workers are no value of the model."""
        executor = self._arguments.get("executor")
        return {id(executor): executor} if is_crew(executor) else {}

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


class Estimator(Arguments, ABC):
    """A model whose values have labels."""

    @property
    @abstractmethod
    def n_free_parameters(self) -> int:
        """Degrees of freedom."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What the model is, in a line."""

    @abstractmethod
    def describe(self) -> list[Parameter]:
        """Return for every label its value, all of its places, and whether it is held."""

    @property
    def count(self) -> str:
        """How many parameters are free, in words."""
        return counted(self.n_free_parameters, "free parameter")

    def _table(self) -> Table:
        return model_table(self.title, self.describe(), self.count)

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()
