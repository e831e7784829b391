"""Objects of the API server, read with types. The server has validated them: a wrong type is a fault of this code."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class ApiObjectError(TypeError):
    """A field that is not of the type that this code takes it for; the text says which."""


class ApiObject:
    """A JSON object. A field that is left out, or null, reads as its default."""

    def __init__(self, values: Mapping[str, object], path: str = "") -> None:
        """Take the object, and where it stands in the one that holds it, for messages."""
        self.values = values
        self.path = path

    def __contains__(self, name: str) -> bool:
        """Say whether a field is there and not null."""
        return self.values.get(name) is not None

    def where(self, name: str) -> str:
        """Return the path of a field, as people write it: `spec.containers[0].image`."""
        return f"{self.path}.{name}" if self.path else name

    def text(self, name: str, default: str = "") -> str:
        """Return a string."""
        return self._typed(name, str, default)

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number."""
        return self._typed(name, int, default)

    def optional_number(self, name: str) -> int | None:
        """Return a whole number; None if it is left out."""
        return self.number(name) if name in self else None

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean."""
        return self._typed(name, bool, default)

    def number_or_text(self, name: str) -> str:
        """Return what may be a number or a name, such as a port, as text."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    def child(self, name: str) -> "ApiObject":
        """Return an object; an empty one if it is left out."""
        value = self.values.get(name)
        if not isinstance(value, (dict, type(None))):
            raise ApiObjectError(f"{self.where(name)} is no object")
        return ApiObject(value or {}, self.where(name))

    def children(self, name: str) -> tuple["ApiObject", ...]:
        """Return a list of objects."""
        return tuple(
            ApiObject({"item": item}, self.path)._item(f"{self.where(name)}[{index}]")
            for index, item in enumerate(self._list(name))
        )

    def strings(self, name: str) -> tuple[str, ...]:
        """Return a list of strings."""
        return tuple(str(item) for item in self._list(name))

    def mapping(self, name: str) -> dict[str, str]:
        """Return an object whose values are strings, or numbers that are read as strings."""
        return {key: str(value) for key, value in self.child(name).values.items()}

    def _item(self, path: str) -> "ApiObject":
        return ApiObject(self.child("item").values, path)

    def _list(self, name: str) -> list[object]:
        return self._typed(name, list, [])

    def _typed(self, name: str, kind: type[T], default: T) -> T:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise ApiObjectError(f"{self.where(name)} is no {kind.__name__}")
        return value
