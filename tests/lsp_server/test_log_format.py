"""Text of others in the log: on one line, or indented, and printable."""

import logging

import pytest
from quicksilver.fim.text.printable import PrintableFormatter

FORGED = "file:///a\n2026-01-01 00:00:00,000 ERROR root: forged\r\x1b]0;title\x07\u202e\u2028\x85end"


def test_a_client_forges_no_line_and_commands_no_terminal():
    record = logging.LogRecord("quicksilver", logging.WARNING, "", 0, "not open: %s", (FORGED,), None)
    first, *more = PrintableFormatter("%(levelname)s %(message)s").format(record).splitlines()
    assert first.endswith("not open: file:///a")
    assert all(line.startswith("  ") for line in more)
    assert "".join([first, *more]).isprintable()


def test_a_record_is_not_longer_than_a_person_reads():
    record = logging.LogRecord("quicksilver", logging.WARNING, "", 0, "%s", ("x" * 1_000_000,), None)
    assert len(PrintableFormatter("%(message)s").format(record)) <= PrintableFormatter.MAX_CHARS


@pytest.mark.slow
async def test_the_servers_log_has_this_form(piped_editor):
    async with piped_editor() as client:
        client.insert(FORGED, 2, (0, 0), "x")
        await client.request("quicksilver/workspace", None)
        await client.stop()
        assert not any(line.startswith("2026-01-01") for line in client.stderr_lines)
        assert any("not opened: file:///a" in line for line in client.stderr_lines)
