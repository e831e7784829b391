"""Hooks of MkDocs: the site takes in the documents at the top of the repository.

Documents link to each other as they lie in the repository, so that they can be read there. The site has them all in one
folder, and no source code: links are turned accordingly, and a link to source code becomes its text.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

TOP = ("README.md", "CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "SECURITY.md")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
PICTURE = re.compile(r"(!\[[^\]]*\]\()docs/")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents at the top; README.md becomes the site's first page."""
    root = Path(config.config_file_path).parent
    for name in TOP:
        files.append(File.generated(config, name, abs_src_path=str(root / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between the folders of the repository into links of the site."""
    folder = "" if page.file.src_uri in TOP else "docs"

    def turned(match: re.Match[str]) -> str:
        text, target = match.groups()
        if "://" in target or target.startswith("#"):
            return match[0]
        path, mark, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(folder, path)).removeprefix("docs/")
        return f"[{text}]({path}{mark}{anchor})" if files.get_file_from_path(path) else text

    return PICTURE.sub(r"\1", LINK.sub(turned, markdown))
