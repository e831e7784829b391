"""Writes the YAML files that this program makes for people to commit: PEM as blocks of lines, keys in a fixed order."""

from collections.abc import Mapping


def write(tree: Mapping[str, object]) -> str:
    """Return the text of a tree, the same each time."""
    import yaml  # takes time to load, and few commands write

    class Dumper(yaml.SafeDumper):
        """Writes texts of several lines as blocks."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    written: str = yaml.dump(dict(tree), Dumper=Dumper, sort_keys=False, width=120)
    return written
