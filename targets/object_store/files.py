"""A tree of files below a prefix of a bucket: an object is whole or not there, by the store itself."""

from __future__ import annotations

import atexit
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from targets.errors import UnwritableTargetError
from targets.listing import listing_going_on
from targets.object_store.bucket import Bucket, Content, Entry, at_once
from targets.object_store.lock import holder_of, object_lock, refuse_lost_locks
from targets.object_store.memory import STAMP, remember, remembered
from targets.object_store.stamps import FEW, NAME, is_worth_writing, read_stamps, write_stamps
from targets.scratch import scratch_folder

_LOCK = ".lock"

_indexed: dict[Hashable, dict[str, str]] = {}
"""Of each folder the tags of the sidecars whose stamps lie in its object of stamps, as this process knows it."""

_copies: dict[tuple[int, str], str] = {}
"""Of each copy on this machine, by process and path, the tag of the object."""

_copies_of: dict[int, Path] = {}


@dataclass(frozen=True)
class ObjectFiles:
    """Files as the objects of a bucket whose keys begin with `prefix`, which is empty or ends without a slash."""

    bucket: Bucket
    prefix: str = ""

    def write(self, name: str, content: bytes | memoryview, *, durable: bool = True, private: bool = False) -> None:  # noqa: ARG002 - the store's affair
        """Write a whole file. Raises `UnwritableTargetError` naming it, also where a lock has been lost."""
        refuse_lost_locks()
        tag = self.bucket.put(self._key(name), content)
        if name.endswith(STAMP):
            remember(self._place(name), name, tag, bytes(content))
        self._changed(name, Entry(tag, time.time(), len(content)))

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises `FileNotFoundError`, `UnwritableTargetError`."""
        entry = self._listed_entry(name)
        known = None if entry is None else remembered(self._place(name), entry.tag)
        if known is not None:
            return known
        copy = self._copy(name)
        tag = _copies.get((os.getpid(), str(copy))) if copy is not None else None
        if copy is not None and tag is not None and tag == self.version(name):
            return copy.read_bytes()
        try:
            found = self.bucket.get(self._key(name))
        except FileNotFoundError:
            self._changed(name, None)
            raise
        self._found(name, found)
        return found.content

    def version(self, name: str) -> Hashable | None:
        """The object's tag."""
        if listing_going_on() is None:
            found = self.bucket.head(self._key(name))
        else:
            folder, _, base = name.rpartition("/")
            found = self._entries([folder])[folder].get(base)
        return None if found is None else found.tag

    def names(self, folder: str) -> list[str]:
        """The names of the files directly in a folder, sorted; hidden ones are left out."""
        entries, _ = self.bucket.listed(self._inside(folder), deep=False)
        if (listing := listing_going_on()) is not None:
            listing.note(self._place(folder), {**entries})
        return sorted(name for name in entries if name and not name.startswith("."))

    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly in a folder, sorted; hidden ones are left out."""
        return sorted(
            name for name in self.bucket.listed(self._inside(folder), deep=False)[1] if not name.startswith(".")
        )

    def below(self, folder: str) -> list[str]:
        """The files in a folder and in those below it."""
        inside = f"{folder}/" if folder else ""
        entries, _ = self.bucket.listed(self._inside(folder), deep=True)
        return sorted(f"{inside}{name}" for name in entries if not name.rpartition("/")[2].startswith("."))

    def written(self, name: str) -> float:
        """The time that the store has noted."""
        found = self.bucket.head(self._key(name))
        if found is None:
            raise FileNotFoundError(2, "no such object", self.where(name))
        return found.written

    def is_there(self) -> bool:
        """True: a prefix needs no creation."""
        return True

    def expect(self, names: Iterable[str]) -> None:
        """List the folders of these files, and read those that are not known yet, many at once; in a listing alone."""
        if listing_going_on() is None:
            return
        wanted: defaultdict[str, list[str]] = defaultdict(list)
        for name in dict.fromkeys(names):
            folder, _, base = name.rpartition("/")
            wanted[folder].append(base)
        listed = self._entries(wanted)
        at_once(
            lambda folder: self._read_index(folder, listed[folder]),
            [
                folder
                for folder, bases in wanted.items()
                if len(self._lacking(folder, bases, listed[folder])) > FEW and NAME in listed[folder]
            ],
        )
        lacking = [name for folder, bases in wanted.items() for name in self._lacking(folder, bases, listed[folder])]
        for name, found in zip(lacking, at_once(self._get_if_there, lacking), strict=True):
            if found is None:
                self._changed(name, None)
            else:
                self._found(name, found)
        at_once(lambda folder: self._write_index(folder, listed[folder]), wanted)

    def local(self, names: Sequence[str]) -> list[str]:
        """Copies on this machine, for this process; each object is read once. Raises `UnwritableTargetError`."""
        tags = self._tags(names)
        paths = {name: self._copy_to_be(name) for name in names}
        lacking = [name for name in names if tags[name] and _copies.get((os.getpid(), str(paths[name]))) != tags[name]]
        at_once(lambda name: self._fetch(name, paths[name]), lacking)
        return [str(paths[name]) for name in names]

    def delete(self, name: str) -> None:
        """Remove a file, if there is one. Raises `UnwritableTargetError` naming it."""
        refuse_lost_locks()
        if listing_going_on() is None or self.version(name) is not None:
            self.bucket.delete(self._key(name))
        self._changed(name, None)

    def where(self, name: str) -> str:
        """The address of the object."""
        return f"s3://{self.bucket.name}/{self._key(name)}"

    def lock(self, name: str, owner: str) -> AbstractContextManager[str | None]:
        """A lock as an object `locks/<name>`, which ends a minute after its process, at once on the same machine."""
        return object_lock(self.bucket, self._key(f"locks/{name}"), owner)

    def held_locks(self) -> dict[str, str] | None:
        """As the lock objects say: that of a process of this machine that has ended is free, others expire."""
        names = [name for name in self.names("locks") if name.endswith(_LOCK)]
        locks = at_once(lambda name: self._get_if_there(f"locks/{name}"), names)
        found = {name: lock and holder_of(lock) for name, lock in zip(names, locks, strict=True)}
        return {name.removesuffix(_LOCK): holder for name, holder in found.items() if holder is not None}

    def sizes(self) -> dict[str, int]:
        """The bytes of each folder directly below the prefix."""
        used: defaultdict[str, int] = defaultdict(int)
        for name, entry in self.bucket.listed(self._inside(""), deep=True)[0].items():
            folder, inside, _ = name.partition("/")
            if inside:
                used[folder] += entry.size
        return dict(used)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A new folder in the machine's folder for temporary files (TMPDIR). Raises `UnwritableTargetError`."""
        try:
            with scratch_folder(_temporary()) as folder:
                yield folder
        except OSError as error:
            raise UnwritableTargetError(
                f"{_temporary()} cannot be written ({error.strerror}); make room or set TMPDIR, and run again"
            ) from error

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}".strip("/")

    def _place(self, name: str) -> tuple[str, str]:
        """The object or folder, however the root is named."""
        return self.bucket.name, self._key(name)

    def _inside(self, folder: str) -> str:
        key = self._key(folder)
        return f"{key}/" if key else ""

    def _entries(self, folders: Iterable[str]) -> dict[str, Mapping[str, Entry]]:
        """What the folders hold, each listed once in a listing."""
        listing = listing_going_on()
        assert listing is not None
        lacking = [folder for folder in folders if listing.found(self._place(folder)) is None]
        found = at_once(lambda folder: self.bucket.listed(self._inside(folder), deep=False)[0], lacking)
        for folder, entries in zip(lacking, found, strict=True):
            listing.note(self._place(folder), entries)
        return {folder: listing.found(self._place(folder)) or {} for folder in folders}

    def _listed_entry(self, name: str) -> Entry | None:
        listing = listing_going_on()
        folder, _, base = name.rpartition("/")
        entries = None if listing is None else listing.found(self._place(folder))
        return None if entries is None else entries.get(base)

    def _changed(self, name: str, entry: Entry | None) -> None:
        if (listing := listing_going_on()) is not None:
            folder, _, base = name.rpartition("/")
            listing.changed(self._place(folder), base, entry)

    def _found(self, name: str, found: Content) -> None:
        remember(self._place(name), name, found.entry.tag, found.content)
        self._changed(name, found.entry)

    def _lacking(self, folder: str, bases: Iterable[str], entries: Mapping[str, Entry]) -> list[str]:
        inside = f"{folder}/" if folder else ""
        return [
            f"{inside}{base}"
            for base in bases
            if base in entries and remembered(self._place(f"{inside}{base}"), entries[base].tag) is None
        ]

    def _get_if_there(self, name: str) -> Content | None:
        with suppress(FileNotFoundError):
            return self.bucket.get(self._key(name))
        return None

    def _read_index(self, folder: str, entries: Mapping[str, Entry]) -> None:
        stamps = read_stamps(self.bucket, f"{self._inside(folder)}{NAME}")
        _indexed[self._place(folder)] = {base: tag for base, (tag, _) in stamps.items()}
        for base, (tag, content) in stamps.items():
            if base in entries and entries[base].tag == tag:
                remember(self._place(f"{folder}/{base}"), base, tag, content)

    def _write_index(self, folder: str, entries: Mapping[str, Entry]) -> None:
        known = {
            base: (entry.tag, content)
            for base, entry in entries.items()
            if base.endswith(STAMP) and (content := remembered(self._place(f"{folder}/{base}"), entry.tag)) is not None
        }
        if folder and is_worth_writing({base: entries[base] for base in known}, _indexed.get(self._place(folder), {})):
            write_stamps(self.bucket, f"{self._inside(folder)}{NAME}", known)
            _indexed[self._place(folder)] = {base: tag for base, (tag, _) in known.items()}

    def _tags(self, names: Sequence[str]) -> dict[str, Hashable | None]:
        if listing_going_on() is None:
            return dict(zip(names, at_once(self.version, names), strict=True))
        self._entries({name.rpartition("/")[0] for name in names})
        return {name: self.version(name) for name in names}

    def _copy(self, name: str) -> Path | None:
        folder = _copies_of.get(os.getpid())
        return None if folder is None else folder / self.bucket.name / self._key(name)

    def _copy_to_be(self, name: str) -> Path:
        if os.getpid() not in _copies_of:
            held = ExitStack()
            _copies_of[os.getpid()] = held.enter_context(self.scratch())
            atexit.register(held.close)
        return _copies_of[os.getpid()] / self.bucket.name / self._key(name)

    def _fetch(self, name: str, path: Path) -> None:
        with suppress(FileNotFoundError):
            found = self.bucket.get(self._key(name))
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.with_name(f".{path.name}").write_bytes(found.content)
                path.with_name(f".{path.name}").replace(path)
            except OSError as error:
                raise UnwritableTargetError(
                    f"{path} cannot be written ({error.strerror}); make room or set TMPDIR, and run again"
                ) from error
            _copies[os.getpid(), str(path)] = found.entry.tag


def _temporary() -> Path:
    return Path(tempfile.gettempdir()) / f"attribution-{os.getuid()}"
