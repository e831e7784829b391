"""What a preview tells: what the engine would do, resource by resource."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """What the engine would do to one resource.

    Attributes:
        operation: its word: same, create, update, delete, replace, ...
        name: of the resource; that of what is in a cluster begins with the cluster's name.
        fields: paths of what differs, as far as the engine says.
    """

    operation: str
    name: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write it as people read it."""
        where = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"{self.operation} {self.name}{where}"

    @property
    def is_change(self) -> bool:
        """Say whether something would be different after it."""
        return self.operation not in ("same", "refresh", "read")
