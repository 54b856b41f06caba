# SPDX-License-Identifier: Apache-2.0
"""Settings of Sphinx: the pages of docs/, and an API reference that is rendered from the docstrings.

``make docs`` builds web pages into build/docs, with warnings as errors. Whenever Sphinx starts, two folders are written
anew: docs/api, with a page for each room (see architecture.md) that lists its modules, and docs/root, with the pages
that lie in the root of the tree.
"""

import re
import shutil
import tomllib
from pathlib import Path

from sphinx.util import inspect

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = SETTINGS["tool"]["setuptools"]["packages"]
FOLDERS = SETTINGS["tool"]["setuptools"]["package-dir"]
ROOT_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")

project = SETTINGS["project"]["name"]
author = copyright = SETTINGS["project"]["authors"][0]["name"]
version = release = SETTINGS["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples", "plans"]
html_theme = "furo"
html_title = f"{project} {version}"
myst_heading_anchors = 4  # headings are link targets, as on GitHub

# What the reference does without: each of them is large or optional, and names and docstrings need none.
autodoc_mock_imports = ["cocotb", "cocotb_tools", "dask", "distributed", "numba", "PIL", "pyarrow", "serial", "torch"]
autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Members", "params_style")]  # of signatures

# A role that names nothing is an error. The types of parameters are words, such as "int64 array"; of those only names
# of this package are looked up, and a word that is also the name of several attributes is not a reference to any.
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(?!\.\w|crossramp\.).*"),
    ("py:.*", r"(.*\.)?_\w+"),  # private names are not in the reference
    ("py:.*", r"(amaranth|numpy|torch)\..*|logging"),
]
suppress_warnings = ["ref.python"]


def _modules(package: str) -> list[str]:
    top = max((name for name in FOLDERS if f"{package}.".startswith(f"{name}.")), key=len)
    folder = ROOT.joinpath(FOLDERS[top], *package.removeprefix(top).strip(".").split("."))
    return [f"{package}.{path.stem}" for path in sorted(folder.glob("[!_]*.py"))]


def _reference(package: str) -> str:
    rooms = [name for name in PACKAGES if name.rpartition(".")[0] == package]
    parts = [f"{package}\n{'=' * len(package)}\n\n.. automodule:: {package}\n   :no-members:\n"]
    if rooms:
        parts.append(".. toctree::\n   :maxdepth: 1\n\n" + "".join(f"   {name}\n" for name in rooms))
    for module in _modules(package):
        name = module.rpartition(".")[2]
        parts.append(f"{name}\n{'-' * len(name)}\n\n.. automodule:: {module}\n")
    return "\n".join(parts)


def _root_page(text: str) -> str:
    """A page of the root as it reads in docs/root: other links, the same words."""
    text = re.sub(r"\]\(docs/", "](../", text)
    return re.sub(r"\]\((?=LICENSE)", "](../../", text)


def write_pages(app) -> None:
    """Write both folders anew."""
    for name in ("api", "root"):
        folder = Path(app.srcdir) / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    for package in PACKAGES:
        (Path(app.srcdir) / "api" / f"{package}.rst").write_text(_reference(package), encoding="utf-8")
    for name in ROOT_PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        (Path(app.srcdir) / "root" / name).write_text(_root_page(text), encoding="utf-8")


def link_pages(app, docname: str, source: list[str]) -> None:
    """Links to pages of the root lead to docs/root; the index gets its menu from its own links, section by section."""
    source[0] = re.sub(r"\]\(\.\./(?=(?:README|CONTRIBUTING|CHANGELOG)\.md)", "](root/", source[0])
    if docname != "index":
        return
    seen, menus = set(), []
    for section in source[0].split("\n## ")[1:]:
        pages = [page for page in re.findall(r"\]\(([\w/-]+)\.md", section) if page not in seen]
        seen.update(pages)
        menus.append((section.splitlines()[0], list(dict.fromkeys(pages))))
    menus.append(("Reference", ["api/crossramp", "root/README", "root/CHANGELOG"]))
    for caption, pages in menus:
        if pages:
            lines = [f":caption: {caption}", ":hidden:", "", *(page for page in pages)]
            source[0] += "\n```{toctree}\n" + "\n".join(lines) + "\n```\n"


def own_signature(app, what: str, name: str, obj, options, signature: str, returned: str):
    """A component's signature is its ``__init__``'s; autodoc shows that of Amaranth's metaclass, the same for all."""
    if what != "class" or "src_loc_at" not in (signature or ""):
        return None
    return inspect.stringify_signature(inspect.signature(obj.__init__, bound_method=True)), returned


def setup(app) -> None:
    """Connect what writes and links the pages."""
    app.connect("autodoc-process-signature", own_signature)
    app.connect("builder-inited", write_pages)
    app.connect("source-read", link_pages)
