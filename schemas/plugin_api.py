"""The parts of ``specs/plugin-api.md`` that are made: the hooks, and the reference of the contracts.

``python schemas/plugin_api.py`` writes signature and sentence of every hook under its heading, from
``bleepstore.hookspecs``, and the reference between its two marks, from the docstrings of what a plugin
implements and is given.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import griffe
from api_snapshot import package
from bleepstore import hookspecs

PAGE = Path(__file__).parent.parent / "specs" / "plugin-api.md"
BEGIN, END = "<!-- contracts:begin -->\n", "<!-- contracts:end -->\n"
MODULES = (
    *("storage", "native", "native_calls", "native_staging", "native_reading", "native_names"),
    *("metadata", "exchange", "events", "plugin"),
)
"""Modules of the reference, in its order."""
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("bleepstore_")}


# --- hooks ------------------------------------------------------------------------------------------


def hook_section(name: str) -> str:
    """What stands under the heading of a hook before anything else."""
    hook = HOOKS[name]
    signature = str(inspect.signature(hook)).replace("'", "")
    return f"```python\ndef {name}{signature}\n```\n\n{prose(hook.__doc__ or '')}\n"


def with_hooks(text: str) -> str:
    """The page with hooks as they are. Raises ValueError where one has no heading, or is none."""
    found = set(re.findall(r"^### `(bleepstore_\w+)`$", text, re.MULTILINE))
    if found != set(HOOKS):
        raise ValueError(f"the page and hookspecs differ in {', '.join(sorted(found ^ set(HOOKS)))}")
    for name in HOOKS:
        begin = f"### `{name}`\n\n"
        before, _, rest = text.partition(begin)
        made = re.match(r"```python\ndef [^\n]*\n```\n\n(?:[^\n#`][^\n]*\n)+", rest)
        text = before + begin + hook_section(name) + (rest[made.end() :] if made else f"\n{rest}")
    return text


# --- the reference ----------------------------------------------------------------------------------


def reference() -> str:
    """What a plugin implements and is given, module by module."""
    core = package()
    lines = [
        "Made from the docstrings by `schemas/plugin_api.py` (`make schemas`). What is *abstract* a plugin",
        "must write; the rest has a default.",
        "",
    ]
    for name in MODULES:
        lines += module(core[name])
    return "\n".join(lines)


def module(found: griffe.Object) -> Iterator[str]:
    """One module: its docstring, then its classes as they stand."""
    yield from (f"### `{found.path}`", "", *paragraphs(found), "")
    for thing in found.members.values():
        if isinstance(thing, griffe.Class) and not thing.name.startswith("_"):
            yield from described(thing)
        elif isinstance(thing, griffe.Attribute) and not thing.name.startswith("_") and thing.docstring:
            yield from (f"#### `{thing.name} = {thing.value}`", "", *paragraphs(thing), "")


def described(thing: griffe.Class) -> Iterator[str]:
    """One class: docstring, fields, methods."""
    bases = ", ".join(str(base) for base in thing.bases)
    yield from (f"#### `{thing.name}`" + (f" ({bases})" if bases else ""), "", *paragraphs(thing), "")
    fields = [
        member
        for member in thing.members.values()
        if isinstance(member, griffe.Attribute) and not member.name.startswith("_")
    ]
    if fields:
        yield from ("| | | |", "|---|---|---|", *(row(field) for field in fields), "")
    for method in thing.members.values():
        if not isinstance(method, griffe.Function) or not shown(method):
            continue
        yield from ("```py", f"{signature(method)}", "```", "")
        if text := [*paragraphs(method)]:
            yield from (*text, "")


def shown(method: griffe.Function) -> bool:
    """Whether a method is of the contract: the generated ``__init__`` of a dataclass is its fields."""
    if method.name.startswith("__"):
        return method.name in ("__call__", "__aiter__") and method.docstring is not None
    return not method.name.startswith("_")


def row(field: griffe.Attribute) -> str:
    """A field, a line of its class's table."""
    name = field.name if field.value is None else f"{field.name} = {field.value}"
    text = " ".join(prose(field.docstring.value).split()) if field.docstring else ""
    annotation = f"`{field.annotation}`" if field.annotation else ""
    cells = (cell.replace("|", "\\|") for cell in (f"`{name}`", annotation, text))
    return f"| {' | '.join(cells)} |"


def signature(method: griffe.Function) -> str:
    """A method as one writes it."""
    given, bare = [], False
    for parameter in method.parameters:
        if parameter.kind is griffe.ParameterKind.keyword_only and not bare:
            given.append("*")
        bare = bare or parameter.kind in (
            griffe.ParameterKind.keyword_only,
            griffe.ParameterKind.var_positional,
        )
        text = parameter.name + (f": {parameter.annotation}" if parameter.annotation else "")
        given.append(text + (f" = {parameter.default}" if parameter.default else ""))
    words = "async def" if "async" in method.labels else "def"
    outcome = f" -> {method.returns}" if method.returns else ""
    abstract = "  # abstract" if "abstractmethod" in method.labels else ""
    if "property" in method.labels:
        return f"{method.name}: {method.returns}{abstract}"
    return f"{words} {method.name}({', '.join(given)}){outcome}{abstract}"


def paragraphs(thing: griffe.Object) -> list[str]:
    """The lines of a docstring."""
    return prose(thing.docstring.value).splitlines() if thing.docstring else []


def prose(text: str) -> str:
    """A docstring as Markdown: code spans, and blocks after a double colon."""
    text = inspect.cleandoc(text)
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text.replace("``", "`"))
    lines: list[str] = []
    block = False
    for line in text.splitlines():
        if block and line and not line.startswith(" "):
            while not lines[-1]:
                lines.pop()
            lines += ["```", ""]
            block = False
        if line.endswith("::") and not block:
            if line != "::":
                lines.append(line[:-1])
            lines += ["", "```py"] if lines and lines[-1] else ["```py"]
            block = True
        elif block:
            if line or lines[-1] != "```py":
                lines.append(line.removeprefix("    "))
        else:
            lines.append(line)
    if block:
        lines.append("```")
    return "\n".join(lines)


def replaced(text: str) -> str:
    """The page with what is made. Raises ValueError for a page without its marks."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"{PAGE.name} has no {BEGIN.strip()} and {END.strip()}")
    before, _, rest = with_hooks(text).partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{reference()}\n{END}{after}"


def main() -> int:
    """Write the page."""
    try:
        text = replaced(PAGE.read_text(encoding="utf-8"))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    PAGE.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
