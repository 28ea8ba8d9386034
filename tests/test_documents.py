"""What README.md, CONTRIBUTING.md and docs/ tell people to type, to set and to open is there."""

from __future__ import annotations

import ast
import difflib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points, metadata
from importlib.util import find_spec
from pathlib import Path

import luigi.interface
import luigi.tools.range
import pytest
from luigi.cmdline_parser import CmdlineParser
from luigi.task_register import Register, TaskClassNotFoundException
from support.databases import SHOP_INTERVAL
from support.running import REPOSITORY, Workplace

import pipeline
from pipeline.errors import ModelError
from pipeline.settings import LOCATIONS, SECRETS, declared_settings

PROJECT = "marketing-attribution-pipeline"
DOCUMENTS = (REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("**/*.md")))

TASKS = [getattr(pipeline, name) for name in pipeline.__all__]
"""Every task; a task is known to Luigi once it is imported."""

VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
UNKNOWN = "UNKNOWN"
"""Stands for what a document leaves open: an ellipsis, a <name>, a variable or the output of a command."""

SAMPLES = {"--date-interval": "2023-08-29-2023-09-08", "--module": "pipeline", "--of": "Report"}
"""Values for options whose value a document leaves open; other options take any text."""

OTHERS = {"docker", "curl", "cd", "export", "set", ".", "exec", "cp", "chmod", "install", "crontab", "systemctl"}
"""Programs whose words are not checked."""

_FENCED = re.compile(r"^```([\w.-]*)[^\n]*\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?: {4}[^\n]*\n|\n+(?= {4}))+", re.MULTILINE)
_SHELLS = ("sh", "bash", "shell", "console")
_CRON = re.compile(r"^(?:[\d*/,-]+ ){4}[\d*/,-]+ +")


# --- a document, taken apart ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """A command of a document: its words, and the variables that are set before it."""

    document: str
    words: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def program(self) -> str:
        """What is run, without its folder; empty if the command only sets variables."""
        return self.words[0].rpartition("/")[2] if self.words else ""

    def __str__(self) -> str:
        return f"{self.document}: {' '.join(self.words)}"


@dataclass(frozen=True)
class Document:
    """A Markdown text, taken apart: blocks of code with their language, and the rest."""

    path: Path
    blocks: tuple[tuple[str, str], ...]
    prose: str

    @classmethod
    def read(cls, path: Path) -> Document:
        """Take a file apart."""
        return cls.parse(path, path.read_text(encoding="utf-8"))

    @classmethod
    def parse(cls, path: Path, text: str) -> Document:
        """Take a text apart."""
        fenced = [(found[1], found[2]) for found in _FENCED.finditer(text)]
        text = _FENCED.sub("", text)
        indented = [("", re.sub(r"^ {4}", "", found[0], flags=re.MULTILINE)) for found in _INDENTED.finditer(text)]
        return cls(path, (*fenced, *indented), _INDENTED.sub("", text))

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return str(self.path.relative_to(REPOSITORY))

    @property
    def spans(self) -> list[str]:
        """Every piece of code within the prose."""
        return [" ".join(found[1].split()) for found in re.finditer(r"`([^`]+)`", self.prose)]

    def commands(self, programs: set[str]) -> Iterator[Command]:
        """The commands within the prose, and all of each block in which one of `programs` is run."""
        for span in self.spans:
            yield from (one for one in self._parse(span) if one.program in programs)
        for language, block in self.blocks:
            if language not in ("", *_SHELLS):
                continue
            commands = [one for line in _lines(block) for one in self._parse(line)]
            if language or any(one.program in programs for one in commands):
                yield from commands

    def tables(self) -> Iterator[list[list[str]]]:
        """The cells of each table, the head first."""
        for found in re.finditer(r"(?:^ *\|.*\|\n)+", self.prose + "\n", re.MULTILINE):
            rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in found[0].splitlines()]
            yield [rows[0], *rows[2:]]

    def links(self) -> list[str]:
        """Where its links lead."""
        return re.findall(r"\]\(([^()\s]+)\)", re.sub(r"`[^`]+`", "", self.prose))

    def anchors(self) -> set[str]:
        """The anchors of its headings, as GitHub makes them."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def _parse(self, line: str) -> Iterator[Command]:
        line = re.sub(r"\$\([^()]*\)|\$\{?\w+\}?|<[\w ]+>|\.\.\.|…", UNKNOWN, _CRON.sub("", line.removeprefix("$ ")))
        line = re.sub(r"\s\d?>+\s*\S+", "", line)
        for part in re.split(r"\s(?:&&|\|\||\||;|&)(?:\s|$)", line):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # prose or another language
                continue
            variables = {}
            while words and (found := re.match(rf"({VARIABLE.pattern})=(.*)", words[0])):
                variables[found[1]] = found[2]
                words.pop(0)
            if words[:1] == ["export"]:
                variables |= dict(word.split("=", 1) for word in words[1:])
            if words or variables:
                yield Command(self.name, tuple(words), variables)


def _lines(block: str) -> list[str]:
    """The lines of a block, continued ones in one."""
    return [line for line in re.sub(r"\\\n\s*", "", block).splitlines() if line.strip()]


# --- commands ---------------------------------------------------------------------------------------------------------


def console_scripts() -> set[str]:
    """The commands that the project installs, without Luigi's."""
    return {point.name for point in entry_points(group="console_scripts") if point.dist and point.dist.name == PROJECT}


@cache
def help_of(*words: str) -> str:
    """What a console command answers to --help."""
    program = Path(sys.executable).with_name(words[0])
    asked = subprocess.run([program, *words[1:], "--help"], capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    return asked.stdout


def options_in(text: str) -> set[str]:
    """The long options that a text names."""
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text))


def check_luigi(words: tuple[str, ...]) -> None:
    """Luigi's own parser takes the words, and the task takes their values."""
    filled = list(words[1:])
    for place, word in enumerate(filled):
        if UNKNOWN in word and place > 0:
            filled[place] = SAMPLES.get(filled[place - 1], word.replace(f",{UNKNOWN}", ""))
    if not filled or UNKNOWN in filled[2:3] or "--help" in filled:
        assert filled[:2] in ([], ["--module", "pipeline"])
        assert {*filled[2:]} - {UNKNOWN, "--help"} <= {*Register.task_names()}
        return
    try:
        with CmdlineParser.global_instance(filled) as parser:
            assert parser.get_task_obj() is not None
    except ModelError as error:  # the document has it trained by the command before
        assert "TrainedModel" in str(error), error  # noqa: PT017
    except SystemExit:
        pytest.fail(f"luigi refuses {' '.join(words)}")


def check_make(words: tuple[str, ...]) -> None:
    """Every target is in the Makefile, and every variable too."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for word in words[1:]:
        name, assigned, _ = word.partition("=")
        follows = r"\?=" if assigned else ":"
        assert re.search(rf"^{re.escape(name)} *{follows}", makefile, re.MULTILINE), word


def check_pip(words: tuple[str, ...]) -> None:
    """The project is installed with extras that it has."""
    extras = metadata(PROJECT).get_all("Provides-Extra", [])
    for named in re.findall(r"\.\[([\w,]+)\]", " ".join(words)):
        assert set(named.split(",")) <= set(extras)


def check_python(words: tuple[str, ...]) -> None:
    """The file, with its options, or the module is there, and folders that pytest is given."""
    if words[1] == "-m":
        assert words[2] in sys.stdlib_module_names or find_spec(words[2]) is not None
        assert [word for word in words[3:] if "/" in word and not (REPOSITORY / word).exists()] == []
    else:
        script = (REPOSITORY / words[1]).read_text(encoding="utf-8")
        assert [option for option in options_in(" ".join(words)) if f'"{option}"' not in script] == []


def check_script(words: tuple[str, ...]) -> None:
    """The console command takes the subcommand and has the options."""
    subcommand = [word for word in words[1:2] if re.fullmatch(r"[a-z]+", word)]
    assert options_in(" ".join(words)) <= options_in(help_of(words[0], *subcommand))


CHECKS: dict[str, Callable[[tuple[str, ...]], None]] = {
    "luigi": check_luigi,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    "sh": check_python,
    **dict.fromkeys(sorted(console_scripts()), check_script),
}

READ = [Document.read(path) for path in DOCUMENTS]
COMMANDS = [command for document in READ for command in document.commands({*CHECKS, *OTHERS})]
EACH_DOCUMENT = pytest.mark.parametrize("document", READ, ids=lambda document: document.name)


def test_the_documents_name_commands_of_each_kind() -> None:
    assert {command.program for command in COMMANDS} >= {"luigi", "make", "pip", "ihc-sandbox"}


@pytest.mark.filterwarnings("ignore:Parameter .param_name. with value:UserWarning")  # Luigi's own, of RangeDaily
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_can_be_typed(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(command.variables) <= {*variables(), *variables_beside()}
    assert command.program in {*CHECKS, *OTHERS, ""}, "no check: add one to CHECKS, or the name to OTHERS"
    for name, value in command.variables.items():
        monkeypatch.setenv(name, value)
    CHECKS.get(command.program, lambda _: None)(command.words)


def luigi_options() -> Iterator[str]:
    """Every option of our tasks, and of Luigi's own."""
    for task in [*TASKS, luigi.interface.core, luigi.tools.range.RangeDaily]:
        for name, _ in task.get_params():
            yield f"--{name.replace('_', '-')}"
            yield f"--{task.__name__}-{name.replace('_', '-')}"


@EACH_DOCUMENT
def test_every_option_exists(document: Document) -> None:
    known = {"--module", "--help", *luigi_options()}.union(*(options_in(help_of(name)) for name in console_scripts()))
    typed = {*OTHERS, "python", *console_scripts()}
    spans = [span for span in document.spans if span.split()[0] not in typed]
    assert sorted(options_in("\n".join(spans)) - known) == []


@EACH_DOCUMENT
def test_every_task_exists(document: Document) -> None:
    """A name in CamelCase is that of a task or of another class of ours."""
    named = {span for span in document.spans if re.fullmatch(r"(?:[A-Z][a-z]+){2,}", span)}
    assert sorted(named - {*Register.task_names(), *classes()}) == []


@EACH_DOCUMENT
def test_no_console_command_is_misspelt(document: Document) -> None:
    scripts = console_scripts()
    code = "\n".join([*document.spans, *(block for _, block in document.blocks)])
    named = set(re.findall(r"(?<![\w./-])[a-z]+(?:-[a-z]+)+(?![\w/-])", code))
    assert [name for name in sorted(named - scripts) if difflib.get_close_matches(name, scripts, 1, 0.85)] == []


def test_the_readmes_task_around_a_report_runs(shop: Workplace) -> None:
    code = [block for document in READ for _, block in document.blocks if "import luigi" in block]
    assert len(code) == 1
    (shop.folder / "mail.py").write_text(code[0])
    command = ("luigi", "--module", "mail", "ChannelMail", "--date-interval", SHOP_INTERVAL, "--local-scheduler")
    outcome = shop.start(*command, PYTHONPATH=str(shop.folder)).end().succeeded()
    assert "ChannelMail" in outcome.log
    reports = [(shop.folder / "mail" / f"{SHOP_INTERVAL}.csv").read_text(encoding="utf-8")]
    made = {*shop.files.rglob(f"report/linear/{SHOP_INTERVAL}/channel_rep*.csv")}  # of a trial, too
    reports += [path.read_text(encoding="utf-8") for path in made]
    assert len(reports) == 2
    assert reports[0] == reports[1]


# --- settings ---------------------------------------------------------------------------------------------------------


def sources() -> Iterator[ast.Module]:
    """Every module of the packages."""
    for package in ("pipeline", "targets"):
        for file in (REPOSITORY / package).rglob("*.py"):
            yield ast.parse(file.read_text(encoding="utf-8"))


@cache
def classes() -> frozenset[str]:
    """The names of all classes."""
    return frozenset(node.name for source in sources() for node in ast.walk(source) if isinstance(node, ast.ClassDef))


@cache
def constants() -> frozenset[str]:
    """The names of all constants, without an underscore in front."""
    nodes = [node for source in sources() for node in source.body]
    targets = [node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None) for node in nodes]
    return frozenset(target.id.removeprefix("_") for target in targets if isinstance(target, ast.Name))


def variables() -> set[str]:
    """The variables of the settings, and those of the API's key."""
    return {declared.metadata["env"] for declared in declared_settings().values()} | {*SECRETS}


@cache
def variables_beside() -> frozenset[str]:
    """The variables that Luigi, the sandbox and the files around the pipeline read; no settings."""
    files = [REPOSITORY / "docker-compose.yml", REPOSITORY / "Makefile", *(REPOSITORY / "bin").iterdir()]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    keys = {
        node.value
        for source in sources()
        for node in ast.walk(source)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith("_KEY")
    }
    of_aws = {"AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_REQUEST_CHECKSUM_CALCULATION"}
    return frozenset({"LUIGI_CONFIG_PATH", *of_aws, *re.findall(r"\$[({]?([A-Z_]+)", text), *keys})


@EACH_DOCUMENT
def test_every_variable_exists(document: Document) -> None:
    """In the prose: what has an underscore, or a value behind it."""
    named = {
        found[0].removesuffix("=")
        for span in document.spans
        for found in re.finditer(rf"(?<![\w.-])(?:{VARIABLE.pattern}=|[A-Z0-9]+(?:_[A-Z0-9]+)+(?![\w(]))", span)
    }
    assert sorted(named - variables() - variables_beside() - constants()) == []


def settings_of_the_readme() -> dict[str, list[str]]:
    """Of each variable in the README's table the section of luigi.cfg, the option, and the default."""
    rows: dict[str, list[str]] = {}
    section = ""
    for head, *table in Document.read(REPOSITORY / "README.md").tables():
        if head[:2] != ["variable", "option"]:
            continue
        for name, option, _, default in table:
            if name.startswith("**"):
                section = name.strip("*`[]")
            else:
                assert name not in rows, f"{name} has two rows"
                rows[name.strip("`")] = [section, option.strip("`"), default.strip("`")]
    return rows


def test_the_readme_has_every_setting_with_section_option_and_default() -> None:
    expected = {}
    for name, declared in declared_settings().items():
        place = declared.metadata
        option = "" if name in LOCATIONS else f"--{name.replace('_', '-')}"
        default = "the vendor's" if place["env"] == "API_URL" else place["default"] or "none"
        expected[place["env"]] = [place["section"], option, default]
    assert settings_of_the_readme() == expected


def test_an_option_of_the_readme_is_one_of_the_report_or_of_training() -> None:
    tasks = (pipeline.Report, pipeline.TrainedModel)
    known = {f"--{name.replace('_', '-')}" for task in tasks for name, _ in task.get_params()}
    assert [option for _, option, _ in settings_of_the_readme().values() if option and option not in known] == []


# --- links and files --------------------------------------------------------------------------------------------------

LINKED = [*READ, Document.read(REPOSITORY / "CHANGELOG.md")]


@pytest.mark.parametrize("document", LINKED, ids=lambda document: document.name)
def test_links_lead_somewhere(document: Document) -> None:
    broken = []
    for link in document.links():
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (document.path.parent / file).resolve() if file else document.path
        if not target.exists() or (anchor and anchor not in Document.read(target).anchors()):
            broken.append(link)
    assert broken == []


@EACH_DOCUMENT
def test_files_of_the_code_are_there(document: Document) -> None:
    """A path in the prose is one from the repository, from `pipeline/`, or the end of one below them."""
    files = [
        f"/{path.relative_to(REPOSITORY)}"
        for top in ("pipeline", "targets", "tests", "benchmarks", "notebooks", "bin")
        for path in (REPOSITORY / top).rglob("*")
    ] + ["/setup.py"]
    named = {word for span in document.spans for word in re.findall(r"(?<![\w./<-])[\w/]+\.py(?!\w)", span)}
    assert [path for path in sorted(named) if not any(file.endswith(f"/{path}") for file in files)] == []


# --- the reading itself -----------------------------------------------------------------------------------------------

TEXT = """# Title

Run `make test` or `IHC_MAX_REQUESTS=5 luigi --module pipeline Report --date-interval ...`, not `Report`.

    export A=b
    30 3 * * *  cd /srv && .venv/bin/luigi --module pipeline Report --date-interval "$(date -d 'x')-y" >>log 2>&1
    SANDBOX_API_KEY=secret ihc-sandbox --port 8080 &

then [there](#title) or [here](docs/x.md)

    {"closer": {"luigi": 1}}


    more = 1

```python
make = 1
```

```sh
A=1 luigi \\
    --workers 2 # so many
```

## What `this` is, in two words

| variable | x |
|---|---|
| `A` | a\\|b |
"""


def test_a_document_is_taken_apart() -> None:
    document = Document.parse(REPOSITORY / "text.md", TEXT)
    assert [(*command.words, command.variables) for command in document.commands({"luigi", "make"})] == [
        ("make", "test", {}),
        ("luigi", "--module", "pipeline", "Report", "--date-interval", UNKNOWN, {"IHC_MAX_REQUESTS": "5"}),
        ("luigi", "--workers", "2", {"A": "1"}),
        ("export", "A=b", {"A": "b"}),
        ("cd", "/srv", {}),
        (".venv/bin/luigi", "--module", "pipeline", "Report", "--date-interval", f"{UNKNOWN}-y", {}),
        ("ihc-sandbox", "--port", "8080", {"SANDBOX_API_KEY": "secret"}),
    ]
    assert [*document.tables()] == [[["variable", "x"], ["`A`", "a\\|b"]]]
    assert document.links() == ["#title", "docs/x.md"]
    assert document.anchors() == {"title", "what-this-is-in-two-words"}


@pytest.mark.parametrize(
    "words",
    [
        "make nothing",
        "make test COLOUR=red",
        "python benchmarks/bench.py --faster",
        "python -m pytest tests/nowhere",
        "ihc-sandbox --sport 1",
        "luigi --module pipeline Report --date-interval 2023-09 --modle linear",
        "luigi --module pipeline Reprot --date-interval 2023-09",
    ],
)
def test_what_cannot_be_typed_is_found(words: str) -> None:
    command = Command("text", tuple(words.split()))
    with pytest.raises((AssertionError, pytest.fail.Exception, TaskClassNotFoundException)):
        CHECKS[command.program](command.words)
