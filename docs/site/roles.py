"""Cross-references of the docstrings, ``:class:`~package.Name```, as links of the site. A Griffe extension."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`(?:([^`<]+?) ?<)?(~?)([\w.]+)>?`")


class Roles(griffe.Extension):
    """Turns roles into optional links: those to what has no page become plain code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change an object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(_link, obj.docstring.value)


def _link(role: re.Match[str]) -> str:
    title, tilde, path = role.groups()
    shown = title or (path.rpartition(".")[2] if tilde else path)
    return f'<autoref identifier="{path}" optional><code>{shown}</code></autoref>'
