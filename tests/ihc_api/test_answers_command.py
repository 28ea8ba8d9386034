from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from api_cases import Api, make_journeys

from pipeline.ihc_api.answers_command import main


@pytest.fixture
def data_dir(api: Api, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory whose folder `answers` is that of `api`."""
    monkeypatch.setenv("DATA_DIR", str(api.folder.parent))
    return api.folder.parent


def test_lists_what_is_kept(api: Api, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["list"])
    assert capsys.readouterr().out == f"no answers are kept in {data_dir / 'answers'}\n"
    api.attribute(make_journeys([1, 2]))
    main(["list"])
    today = dt.datetime.now(dt.UTC).date()
    name = api.settings().scope.name
    assert capsys.readouterr().out == (
        f"{name}  2 journeys, 0.0 MB in 1 file, given {today} to {today}: {api.url} conv_type_id=default\n"
    )


def test_the_data_directory_is_that_of_the_option_else_of_the_environment(
    api: Api, tmp_path: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.attribute(make_journeys([1]))
    main(["--data-dir", str(tmp_path / "other"), "list"])
    assert capsys.readouterr().out == f"no answers are kept in {tmp_path / 'other' / 'answers'}\n"
    main(["--data-dir", str(data_dir), "list"])
    assert "1 journeys" in capsys.readouterr().out


@pytest.mark.usefixtures("data_dir")
def test_prunes_a_scope_so_that_it_is_asked_for_again(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    journeys = make_journeys([1, 2])
    api.attribute(journeys)
    scope = api.settings().scope.name
    today = dt.datetime.now(dt.UTC).date()
    main(["prune", scope, "--before", str(today)])
    assert capsys.readouterr().out == "0 answers forgotten\n"
    main(["prune", scope])
    assert capsys.readouterr().out == "2 answers forgotten\n"
    api.attribute(journeys)
    assert api.sandbox.seen.count == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune", "nonsense"], "attribution-answers: no scope 'nonsense'; kept are "),
        (["prune", "x", "--before", "yesterday"], "2"),
    ],
)
@pytest.mark.usefixtures("data_dir")
def test_mistakes_end_with_a_message(api: Api, arguments: list[str], message: str) -> None:
    api.attribute(make_journeys([1]))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert str(ended.value.code).startswith(message)


def test_a_damaged_file_is_one_line(api: Api, data_dir: Path) -> None:
    api.attribute(make_journeys([1]))
    path = next(data_dir.glob("answers/*/*.arrow"))
    path.write_bytes(b"not Parquet")
    with pytest.raises(SystemExit, match=f"attribution-answers: {path} is truncated, damaged"):
        main(["list"])
