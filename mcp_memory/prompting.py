"""Prompt files: text with declared variables, written `$name`, from the `prompts` folder."""

from __future__ import annotations

from pathlib import Path
from string import Template

from mcp_memory.errors import ConfigError

_PACKAGE = Path(__file__).parent
FOLDERS = (_PACKAGE / "prompts", _PACKAGE.parent / "prompts")
"""Inside an installed package, or beside it in a checkout."""


class PromptFile:
    """One prompt, checked when it is loaded: it uses the variables it declares here, all of them and no
    other. A file of the same name in `own`, the user's folder, goes before the one that is shipped."""

    def __init__(
        self, name: str, *variables: str, own: Path | None = None, folders: tuple[Path, ...] = FOLDERS
    ) -> None:
        path = _found(f"{name}.md", folders if own is None else (own, *folders))
        if path is None:
            raise ConfigError(
                str(folders[0] / f"{name}.md"), "", "no such prompt file; reinstall the package"
            )
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(str(path), "", f"cannot be read: {error}") from error
        self._template = Template(text.strip())
        if not self._template.is_valid():
            raise ConfigError(
                str(path), "", "has a `$` that begins no variable; write `$$` for the sign itself"
            )
        used = set(self._template.get_identifiers())
        if unknown := sorted(used - set(variables)):
            raise ConfigError(str(path), f"${unknown[0]}", "is no variable of this prompt")
        if missing := sorted(set(variables) - used):
            raise ConfigError(str(path), f"${missing[0]}", "is missing; the prompt must say where it goes")

    def fill(self, **values: str) -> str:
        """The prompt with its variables replaced; values are not read for variables again."""
        return self._template.substitute(values)


def _found(name: str, folders: tuple[Path, ...]) -> Path | None:
    return next((path for folder in folders if (path := folder / name).is_file()), None)
