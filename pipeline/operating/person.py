"""A person's ids replaced, wherever they stand in a data directory, by random ones; every sum stays as it is."""

from __future__ import annotations

import html
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import PipelineError
from pipeline.ihc_api.answer_file import digest_of, from_bytes, to_bytes
from pipeline.ihc_api.request_json import WireJourneys
from pipeline.operating.selection import STAGES
from pipeline.page.ledger import shortened
from pipeline.source.prepare import RECORD
from targets.csv_text import BYTE_ORDER_MARK, csv_rows, csv_text
from targets.errors import UnreadableTargetError
from targets.files import Files
from targets.stamped import StampedTarget

ROOT = "."
"""The files that lie directly in the data directory, such as source_findings.json."""

FOLDERS = (*(stage for stage in STAGES if stage not in {"sessions", "conversions"}), "trials", "replaced", ROOT)
"""Where a person's ids may stand, without the extracts."""

EXTRACTS = {"sessions": "session_id", "conversions": "conv_id"}
"""The folders that say whose a row is, with the id of a row: rewritten last, so that a kill leaves a way to go on."""

JOURNAL = "locks/erasing.json"
"""The new ids while they are being written: of a killed erasure, taken up again. For its owner alone."""

_KIND = {"conversion_id": "conv_id"}  # the API's name
_KINDS = ("user_id", "session_id", "conv_id")
_OF_REJECTS = {"session_sources": "session_id", "conversions": "conv_id", "session_costs": "session_id"}
_IN_JSON = re.compile(r'("(?:user_id|session_id|conv_id|conversion_id)"\s*:\s*)("(?:[^"\\]|\\.)*")')
_SHORTEST_END = 4  # of which one says little
_SHORTEST_IN_TEXT = 8  # letters: a shorter id is looked for in columns alone, since any text may hold it

NewIds = Mapping[str, Mapping[str, str]]
"""Of each kind (user_id, session_id, conv_id) the new id for each old one."""


def ids_of(files: Files, user_id: str) -> dict[str, list[str]]:
    """Of each kind a person's ids in the extracts, also in days that were replaced, sorted."""
    found: dict[str, set[str]] = {"user_id": set(), "session_id": set(), "conv_id": set()}
    for folder, kind in EXTRACTS.items():
        for name in [*_parquet(files, folder), *_parquet(files, f"replaced/{folder}")]:
            rows = _read(files, name, ["user_id", kind])
            mine = rows.filter(pc.equal(rows["user_id"], user_id))
            if mine.num_rows:
                found["user_id"].add(user_id)
                found[kind].update(mine[kind].to_pylist())
    return {kind: sorted(ids) for kind, ids in found.items()}


def new_ids(ids: Mapping[str, Iterable[str]]) -> dict[str, dict[str, str]]:
    """A random id for each id; those of a kind keep their order, which tells sessions of one second apart."""
    return {kind: _random_for(sorted(of_kind)) for kind, of_kind in ids.items()}


def begun(files: Files, user_id: str) -> dict[str, dict[str, str]]:
    """The new ids of an erasure of this person that was killed; none without. Raises `PipelineError` for another's."""
    with suppress(OSError, ValueError, KeyError):
        noted: dict[str, Any] = json.loads(files.read(JOURNAL))
        if noted["user"] != user_id:
            raise PipelineError(
                f"the erasure of another person was stopped in its midst; {files.where(JOURNAL)} names them: "
                "finish it first"
            )
        return {kind: dict(noted["new_ids"][kind]) for kind in _KINDS}
    return {kind: {} for kind in _KINDS}


def replace_ids(files: Files, of_person: NewIds, folders: Iterable[str], *, dry: bool = False) -> list[str]:
    """Write every file in folders that holds an id of a person with the new ids; the names of these files.

    A file keeps the fingerprint and the content of its stamp, so nothing that was made from it is built anew. Raises
    `TargetError`.
    """
    changed = []
    for folder in folders:
        for name in _names(files, folder):
            content = files.read(name)
            with_new = _with_new_ids(files, name, content, of_person)
            if with_new is not None:
                changed.append(name)
                if not dry:
                    _write(files, name, with_new)
    return changed


def journey_digests(files: Files, of_person: NewIds, scope: bytes) -> set[bytes]:
    """The digests under which the API's answers for a person's journeys are kept, as far as the journeys are there."""
    conversions = pa.array([*of_person["conv_id"]], pa.string())
    digests: set[bytes] = set()
    for name in [*_names(files, "journeys"), *_names(files, "trials")]:
        if name.endswith(".parquet") and "journeys" in name.split("/"):
            rows = _read(files, name)
            mine = rows.filter(pc.is_in(rows["conv_id"], value_set=conversions))
            if mine.num_rows:
                digests |= {*_as_bytes(WireJourneys.of(mine).digests(scope))}
    return digests


def forget_answers(files: Files, of_person: NewIds, *, dry: bool = False) -> int:
    """Take the answers for a person's journeys out of the kept ones; how many. Raises `UnreadableTargetError`."""
    forgotten = 0
    for record in files.names("answers/scopes"):
        scope = record.removesuffix(".json")
        digests = journey_digests(files, of_person, files.read(f"answers/scopes/{record}"))
        for name in files.names(f"answers/{scope}") if digests else []:
            path = f"answers/{scope}/{name}"
            try:
                rows = from_bytes(files.read(path))
            except (ValueError, OSError) as error:
                raise UnreadableTargetError(f"{files.where(path)} cannot be read ({error}); move it away") from error
            rest = rows.filter(pc.invert(pc.is_in(rows["journey"], value_set=pa.array(digests, pa.binary(16)))))
            if len(rest) == len(rows):
                continue
            forgotten += len(rows) - len(rest)
            if dry:
                continue
            if len(rest):
                content = to_bytes(rest, "zstd")
                files.write(f"answers/{scope}/{name.partition('-')[0]}-{digest_of(content)}.arrow", content)
            files.delete(path)
    return forgotten


def forget_record(files: Files) -> None:
    """Empty the list of conversions by which the data directory knows its source again; the next run makes it anew.

    They may be of days that were never extracted, so nobody can tell whose they are.
    """
    with suppress(OSError, ValueError, TypeError):
        record = json.loads(files.read(RECORD))
        files.write(RECORD, (json.dumps({**record, "conversions": []}) + "\n").encode())


def _as_bytes(digests: Any) -> Iterator[bytes]:  # noqa: ANN401 - an array of S16, whose items lose zero bytes
    whole = digests.tobytes()
    yield from (whole[start : start + 16] for start in range(0, len(whole), 16))


def _random_for(ids: list[str]) -> dict[str, str]:
    return dict(zip(ids, sorted(secrets.token_hex(16) for _ in ids), strict=True))


def _names(files: Files, folder: str) -> Iterator[str]:
    root = Path(files.where(""))
    for parent, folders, names in os.walk(root / folder):
        folders[:] = [] if folder == ROOT else sorted(folders)
        for name in sorted(names):
            path = Path(parent) / name
            if not path.is_symlink() and not name.startswith(".") and not name.endswith(".stamp"):
                yield str(path.relative_to(root))


def _parquet(files: Files, folder: str) -> Iterator[str]:
    yield from (name for name in _names(files, folder) if name.endswith(".parquet"))


def _read(files: Files, name: str, columns: list[str] | None = None) -> pa.Table:
    try:
        return pq.ParquetFile(pa.BufferReader(files.read(name))).read(columns)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UnreadableTargetError(
            f"{files.where(name)} is truncated, damaged or not written by this pipeline; delete it, and erase again"
        ) from error


def _with_new_ids(files: Files, name: str, content: bytes, of_person: NewIds) -> bytes | None:
    """The content with new ids; None where it holds none of the old ones, or is of no kind that names people."""
    kind = name.rpartition(".")[2]
    if kind == "parquet":
        return _parquet_with_new_ids(files, name, of_person)
    if kind not in {"csv", "json", "html", "md", "txt"}:
        return None
    new = content
    if kind == "csv":
        new = _csv_with_new_ids(name, content.decode(errors="surrogateescape"), of_person) or content
    if kind == "json":
        new = _changed(new, lambda text: _IN_JSON.sub(lambda found: _pair(found, of_person), text)) or new
    new = _changed(new, lambda text: _in_text(text, of_person)) or new  # reasons and warnings name ids, too
    if kind == "html":
        new = _changed(new, lambda text: _in_ledgers(text, of_person)) or new
    return None if new == content else new


def _in_text(text: str, of_person: NewIds) -> str:
    """A text with new ids for those that stand in it as words, as they are or as JSON and HTML write them."""
    every = {
        written: new
        for of_kind in of_person.values()
        for old, new in of_kind.items()
        if len(old) >= _SHORTEST_IN_TEXT
        for written in (old, html.escape(old), json.dumps(old)[1:-1], json.dumps(old, ensure_ascii=False)[1:-1])
    }
    if not any(written in text for written in every):
        return text
    ways = "|".join(re.escape(written) for written in sorted(every, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{ways})(?!\w)", lambda found: every[found[0]], text)


def _in_ledgers(text: str, of_person: NewIds) -> str:
    """A page with the ends of new ids for those of old ones, which are all that it shows of an id."""
    ends = {
        write(shortened(old)): write(shortened(new))
        for kind in ("session_id", "conv_id")
        for old, new in of_person[kind].items()
        for write in (html.escape, _in_script)
        if len(shortened(old)) >= _SHORTEST_END
    }
    if not ends:
        return text
    ways = "|".join(re.escape(written) for written in sorted(ends, key=len, reverse=True))
    return re.sub(rf"(?:{ways})(?!\w)", lambda found: ends[found[0]], text)


def _in_script(text: str) -> str:
    return json.dumps(text)[1:-1]


def _changed(content: bytes, change: Any) -> bytes | None:  # noqa: ANN401 - a function of texts
    text = content.decode(errors="surrogateescape")
    new = change(text)
    return None if new == text else new.encode(errors="surrogateescape")


def _pair(found: re.Match[str], of_person: NewIds) -> str:
    key = json.loads(found[1].rpartition(":")[0])
    with suppress(ValueError):
        new = of_person[_KIND.get(key, key)].get(json.loads(found[2]))
        return found[0] if new is None else found[1] + json.dumps(new)
    return found[0]


def _kind_of(column: str, name: str) -> str | None:
    """Of which kind the ids in a column of a file are."""
    if column == "id" and "rejects" in name.split("/"):
        return _OF_REJECTS.get(name.split("/")[-2])
    kind = _KIND.get(column, column)
    return kind if kind in _KINDS else None


def _parquet_with_new_ids(files: Files, name: str, of_person: NewIds) -> bytes | None:
    table = _read(files, name)
    is_changed = False
    for place, column in enumerate(table.schema.names):
        new = of_person.get(_kind_of(column, name) or "", {})
        if not new or not pc.any(pc.is_in(table[column], value_set=pa.array([*new], pa.string()))).as_py():
            continue
        values = pa.array(
            [new.get(value, value) for value in table[column].to_pylist()], table.schema.field(place).type
        )
        table = table.set_column(place, table.schema.field(place), values)
        is_changed = True
    if not is_changed:
        return None
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _csv_with_new_ids(name: str, text: str, of_person: NewIds) -> bytes | None:
    head, *rows = csv_rows(text) if text else [[]]
    is_changed = False
    for place, column in enumerate(head):
        new = of_person.get(_kind_of(column, name) or "", {})
        for row in rows if new else ():
            written = row[place] if place < len(row) else ""
            bare = written.removeprefix("'")  # in front of what a spreadsheet would run
            if written in new or bare in new:
                row[place] = new.get(written) or new[bare]
                is_changed = True
    if not is_changed:
        return None
    mark = BYTE_ORDER_MARK * text.startswith(BYTE_ORDER_MARK)
    columns = {column: [row[place] for row in rows] for place, column in enumerate(head)}
    return (mark + csv_text(columns)).encode(errors="surrogateescape")


def _write(files: Files, name: str, content: bytes) -> None:
    """Write a file whole; a stamp keeps all but the digest of the file's bytes."""
    target = StampedTarget(files, name)
    stamp = target.stamp()
    if stamp is None:
        files.write(name, content)
    else:
        target.write_bytes(content, stamp.fingerprint, stamp.content, stamp.notes)
