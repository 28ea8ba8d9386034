"""A flipped, cut, emptied or deleted file leads to the undisturbed result, or to an error that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import luigi
import pytest
from support.comparing import contents, result_tables
from support.databases import SHOP_INTERVAL
from support.running import Workplace

from pipeline import Report
from targets.errors import TargetError

Damage = Callable[[Path], object]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 3] ^= 1
    path.write_bytes(bytes(content))


def _flip_near_the_end(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5 % len(content)] ^= 1
    path.write_bytes(bytes(content))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES: dict[str, Damage] = {
    "flipped": _flip,
    "flipped near the end": _flip_near_the_end,
    "cut": _cut,
    "emptied": _empty,
    "deleted": Path.unlink,
}
RARE = ("flipped near the end", "cut", "emptied")


@pytest.fixture
def report(reported_shop: Workplace, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[BaseException]]:
    """Runs the report in this process, which is quicker, and gives what failed."""
    for name in ("DATABASE_URL", "DATA_DIR"):
        monkeypatch.setenv(name, reported_shop.environment[name])
    monkeypatch.chdir(reported_shop.folder)
    failed: list[BaseException] = []
    luigi.Task.event_handler(luigi.Event.FAILURE)(lambda _, error: failed.append(error))

    def run() -> list[BaseException]:
        failed.clear()
        succeeded = luigi.build([Report(date_interval=SHOP_INTERVAL)], local_scheduler=True, log_level="CRITICAL")
        assert succeeded is not bool(failed)
        return [*failed]

    return run


@pytest.mark.parametrize(
    "damage", ["flipped", "deleted", *(pytest.param(name, marks=pytest.mark.slow) for name in RARE)]
)
def test_any_damaged_file_gives_the_undisturbed_result_or_is_named(
    reported_shop: Workplace, report: Callable[[], list[BaseException]], damage: str
) -> None:
    """One file of each kind is damaged in turn, and what was made from it removed, so that it has to be read again."""
    right, tables = contents(reported_shop.files), result_tables(reported_shop.database)
    names = [name for name in right if any(part in name for part in ("2023-08-30.", SHOP_INTERVAL, "source_findings"))]
    assert {Path(name).parts[0] for name in names} == {Path(name).parts[0] for name in right}
    for name in names:
        path = reported_shop.files / name
        DAMAGES[damage](path)
        for made_from_it in _made_from(reported_shop.files, name):
            made_from_it.unlink(missing_ok=True)
        if failed := report():
            for error in failed:
                assert isinstance(error, TargetError), (name, error)
                assert str(path).removesuffix(".stamp") in str(error), (name, error)
            path.unlink()  # as the message says
            assert report() == []
        assert contents(reported_shop.files) == right, name
        assert result_tables(reported_shop.database) == tables, name


@pytest.mark.parametrize("folder", ["sessions", "journeys/*", "attribution/*", "conversion_books/*"])
def test_the_command_names_a_damaged_file_and_a_rerun_without_it_mends_it(
    reported_shop: Workplace, folder: str
) -> None:
    right = contents(reported_shop.files)
    (path,) = reported_shop.files.glob(f"{folder}/2023-08-30.parquet")
    _flip(path)
    for made_from_it in _made_from(reported_shop.files, f"{folder}/"):
        made_from_it.unlink()
    outcome = reported_shop.report(SHOP_INTERVAL)
    assert outcome.code == 30
    assert str(path) in outcome.errors[-1]
    assert "Traceback" not in outcome.text
    path.unlink()
    reported_shop.report(SHOP_INTERVAL).succeeded()
    assert contents(reported_shop.files) == right


def _made_from(files: Path, name: str) -> list[Path]:
    """The files of the next stages, which make them from a file of this name."""
    following = {
        "sessions": ("channel_costs", "journeys"),
        "conversions": ("journeys",),
        "channel_costs": ("report",),
        "journeys": ("attribution",),
        "attribution": ("channel_credit", "conversion_books"),
        "channel_credit": ("report",),
        "conversion_books": ("report",),
    }
    folders = following.get(Path(name).parts[0], ())
    return [path for folder in folders for path in (files / folder).rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [b"", b"{", b'{"source": 1}', b"[]"], ids=repr)
def test_a_damaged_record_of_the_source_is_named(reported_shop: Workplace, content: bytes) -> None:
    record = reported_shop.files / "source.json"
    record.write_bytes(content)
    outcome = reported_shop.report(SHOP_INTERVAL)
    assert outcome.code == 30
    assert str(record) in outcome.errors[-1]
    assert "Traceback" not in outcome.text
