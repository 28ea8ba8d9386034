"""The erasure of a person from a data directory, in an order from which a kill can be taken up again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from pipeline.operating.person import (
    EXTRACTS,
    FOLDERS,
    JOURNAL,
    begun,
    forget_answers,
    forget_record,
    ids_of,
    new_ids,
    replace_ids,
)
from pipeline.operating.tables import rename, rows_held
from pipeline.places import Places


def erase(places: Places, user_id: str, more: Sequence[str], *, tables: bool, dry: bool) -> Iterator[str]:
    """Replace a person's ids, unless it is a dry run; yields what was done, in words, without naming the person.

    `more` are further ids of theirs, of sessions or conversions. What was derived comes first and the extracts, which
    say what is the person's, last; until the end the new ids are kept in `JOURNAL`. Raises `PipelineError`,
    `TargetError`.
    """
    files = places.files()
    of_person = begun(files, user_id)
    found = ids_of(files, user_id)
    found["session_id"] += more
    found["conv_id"] += more
    for kind, ids in new_ids({kind: [*({*ids} - {*of_person[kind]})] for kind, ids in found.items()}).items():
        of_person[kind].update(ids)
    if not any(of_person.values()):
        yield f"the extracts in {places.data_dir} hold no session and no conversion of this person"
        return
    of_both = len({*of_person["session_id"]} | {*of_person["conv_id"]}) - len({*more})
    yield f"{'would be' if dry else 'is being'} erased: a person with {of_both:,} sessions and conversions"
    if not dry:
        files.write(JOURNAL, json.dumps({"user": user_id, "new_ids": of_person}).encode(), private=True)
    yield f"  kept answers of the API: {forget_answers(files, of_person, dry=dry):,} forgotten"
    held = rows_held(places, of_person)
    if tables and held and not dry:
        rename(places, of_person)
    if held:
        yield f"  result tables: {held:,} rows" + ("" if tables else " STAY: --tables gives them new ids, too")
    yield f"  derived files: {len(replace_ids(files, of_person, FOLDERS, dry=dry)):,}"
    yield f"  extracts: {len(replace_ids(files, of_person, EXTRACTS, dry=dry)):,}"
    if dry:
        yield "nothing was changed; the same with --yes erases them, once they are erased in the source"
        return
    forget_record(files)
    files.delete(JOURNAL)
    yield "done; every sum is as it was. Their days are read again only while unsettled, or by Restate"
