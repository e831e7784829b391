"""A step of a preview: what the engine would do to one resource."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A step of a preview.

    Attributes:
        operation: same, create, update, delete, replace, ...
        name: name of the resource; for an object of a cluster it begins with the cluster's name.
        fields: paths of the properties that differ, if the engine reports them.
    """

    operation: str
    name: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the step as text."""
        where = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"{self.operation} {self.name}{where}"

    @property
    def is_change(self) -> bool:
        """Whether the step changes anything."""
        return self.operation not in ("same", "refresh", "read")
