"""Whatever happens to a kept file, its journeys are asked for anew or the file is named; no other credit ever shows."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from api_cases import Api, make_journeys, reference_lengths

from pipeline.ihc_api.answers import AnswerStore
from pipeline.ihc_api.ask import credit_of, unanswered
from targets.errors import UnreadableTargetError
from targets.files import LocalFiles


@pytest.mark.parametrize("is_merged", [False, True])
def test_damage_to_any_kept_file_is_named_and_a_deleted_one_is_asked_for_anew(
    api: Api,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_merged: bool,  # noqa: FBT001
) -> None:
    if not is_merged:
        monkeypatch.setattr(AnswerStore, "merge", lambda *_: None)
    journeys = make_journeys(reference_lengths(60))
    expected = api.attribute(journeys, max_customer_journeys=10).credit
    scope = api.settings().scope
    names = [path.relative_to(api.folder) for path in sorted(api.folder.rglob(f"{scope.name}/*"))]
    assert len(names) == (1 if is_merged else 6)
    for name in [*names, Path(f"scopes/{scope.name}.json")]:
        content = (api.folder / name).read_bytes()
        place = random.Random(str(name)).randrange(len(content))
        flipped = content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]
        for number, damaged in enumerate([flipped, content[:place], b"", None]):
            copy = tmp_path / f"{name.name}-{number}"
            shutil.copytree(api.folder, copy)
            if damaged is None:
                (copy / name).unlink()
            else:
                (copy / name).write_bytes(damaged)
            store = AnswerStore(LocalFiles(copy))
            if name.parts[0] == "scopes":  # says what the answers are of, and is not asked for credit
                assert credit_of(journeys, api.settings(), store, {}) == expected
            elif damaged is None:
                assert len(unanswered(journeys, api.settings(), store)) == 60 // len(names)
            else:
                with pytest.raises(UnreadableTargetError, match=f"{copy / name} is truncated, damaged"):
                    unanswered(journeys, api.settings(), store)
