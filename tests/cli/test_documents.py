"""What the documents name is there: files, links, commands and their options, the functions of the module."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

import jobspec
from jobspec.cli import COMMANDS, commands
from tests.cli.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "editors" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text() for page in PAGES}
#: folders of the repository, and the rooms, whose names stand for jobspec/NAME
PLACE = re.compile(
    r"(?<![\w./])((?:docs|tests|specs|bench|tools|editors|jobspec|backends|editor|estimating|ir|lang|passes|report"
    r"|runtime|sandbox|store|verify)/[\w./*-]*\w)"
)
CALL = re.compile(r"jobspec ([a-z]+)(?: (add|ls|rm|verify|show|gc|push|pull)\b)?([^`\n;]*)")


def there(path: str) -> bool:
    folders = (ROOT, ROOT / "jobspec")
    return any(any(folder.glob(form)) for folder in folders for form in (path, f"{path}.py"))


def options(words: list[str]) -> set[str]:
    """Of the command that `words` name."""
    context = click.Context(commands)
    found: click.Command = commands
    for word in words:
        assert isinstance(found, click.Group)
        command = found.get_command(context, word)
        assert command
        found = command
    return {name for each in found.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("page", TEXTS)
def test_paths_lead_somewhere(page: str) -> None:
    assert not [path for path in PLACE.findall(TEXTS[page]) if not there(path)]


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page: str) -> None:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", TEXTS[page], flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", prose) if "://" not in link and link != "…"]
    assert not [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]


@pytest.mark.parametrize("page", TEXTS)
def test_commands_have_the_options_that_they_are_shown_with(page: str) -> None:
    for name, part, rest in CALL.findall(TEXTS[page]):
        if name in COMMANDS and (part or name not in ("data", "store", "weights")):
            known = options([name, part] if name in ("data", "store", "weights") else [name])
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest)) <= known, (name, rest)


def each_command() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(commands)
    for name in COMMANDS:
        command = commands.get_command(context, name)
        assert command
        if isinstance(command, click.Group):
            yield from ((f"{name} {part}", each) for part, each in command.commands.items())
        else:
            yield name, command


def told_of(name: str) -> str:
    """What docs/cli.md says of a command: its row in the table of all, sections that are named after it, and the one
    about shared options."""
    table, *sections = re.split(r"^## ", TEXTS["docs/cli.md"], flags=re.MULTILINE)
    rows = [row for row in table.splitlines() if re.match(rf"\|[^|]*`{name}\b", row)]
    titled = {name, name.split()[0], "Options that several commands share"}
    return "\n".join(rows + [text for text in sections if titled & set(re.split("[,:] ", text.splitlines()[0]))])


@pytest.mark.parametrize(("name", "command"), [pytest.param(*each, id=each[0]) for each in each_command()])
def test_each_option_of_each_command_is_told(name: str, command: click.Command) -> None:
    told = told_of(name)
    shown = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    silent = [each.opts for each in shown if not any(re.search(rf"(?<![\w-]){o}(?![\w-])", told) for o in each.opts)]
    assert told and not silent


def test_each_function_of_the_module_is_in_its_page() -> None:
    functions = [name for name in jobspec.__all__ if name[0].islower()]
    assert len(functions) >= 8 and not [name for name in functions if f"jobspec.{name}(" not in TEXTS["docs/api.md"]]
