"""The file of channels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.errors import SettingsError
from pipeline.reporting.channel_groups import ChannelGroup, load_channels


def test_without_a_file_there_are_no_groups() -> None:
    assert load_channels(None) == {}


def test_a_file_with_or_without_a_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    text = 'channel_name,group,kind\n"Ads, big",Search,paid\r\nEmail,,owned\n\n'
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_bytes(text.encode(encoding))
        assert load_channels(path) == {
            "Ads, big": ChannelGroup("Search", "paid"),
            "Email": ChannelGroup("", "owned"),
        }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "which cannot be read as CSV: No such file or directory"),
        (b"\xff\xfe", "which cannot be read as CSV: 'utf-8' codec can't decode byte 0xff"),
        (b'channel_name,group,kind\n"a,b,c\n', "which cannot be read as CSV: unexpected end of data"),
        (b"", "whose first line is not channel_name,group,kind"),
        (b"channel,group,kind\n", "whose first line is not channel_name,group,kind"),
        (b"channel_name,group,kind\na,b\n", ": row 1 has 2 cells, not 3"),
        (b"channel_name,group,kind\na,b,paid\n,b,paid\n", ": row 2 has no channel_name"),
        (b"channel_name,group,kind\na,b,paid\na,c,paid\n", ": row 2 names the channel 'a' a second time"),
        (b"channel_name,group,kind\na,b,Paid\n", ": row 1 has the kind 'Paid', not paid, organic or owned"),
    ],
)
def test_a_malformed_file_is_named_in_one_line(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"^CHANNELS names {re.escape(str(path))}.*{re.escape(message)}") as raised:
        load_channels(path)
    assert "\n" not in str(raised.value)
