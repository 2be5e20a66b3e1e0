"""What Git says of an attempt's changes: read, cut to size, and without secrets."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from polecat_town.git import changes
from polecat_town.git.changes import Changes, CommitLine, FileChange, parse, shown
from polecat_town.streams.redaction import REDACTED, Redactor

RAW = (
    ":100644 100644 aaa bbb M\0a.txt\0:100644 100644 ccc ddd R098\0old/n.txt\0new/n.txt\0"
    ":100644 100644 eee fff M\0logo.png\0:120000 100644 eee 000 T\0link\0"
)
COUNTS = "1\t2\ta.txt\0" + "3\t0\t\0old/n.txt\0new/n.txt\0" + "-\t-\tlogo.png\0" + "1\t1\tlink\0"
PATCH = """\
diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1,2 +1 @@
-diff --git a/fake b/fake
--- gone
+come
diff --git a/old/n.txt b/new/n.txt
rename from old/n.txt
rename to new/n.txt
diff --git a/logo.png b/logo.png
Binary files a/logo.png and b/logo.png differ
diff --git a/link b/link
deleted file mode 120000
diff --git a/link b/link
new file mode 100644
"""
HEAD = "h1\0"
COMMITS = "h1\x001700000001\0Second one   \0h2\x001700000000\0First\0"


def whole(output: str) -> Changes:
    """All that was read, as it is shown when nothing is secret."""
    return shown(parse(output), Redactor().spans, REDACTED)


def test_files_commits_and_diffs() -> None:
    found = whole(f"{HEAD}{COMMITS}\0{RAW}{COUNTS}\0{PATCH}")
    assert found.head == "h1"
    assert found.commits == (CommitLine("h1", 1700000001, "Second one"), CommitLine("h2", 1700000000, "First"))
    assert [(f.path, f.before, f.status, f.additions, f.deletions) for f in found.files] == [
        ("a.txt", None, "M", 1, 2),
        ("new/n.txt", "old/n.txt", "R", 3, 0),
        ("logo.png", None, "M", None, None),
        ("link", None, "T", 1, 1),
    ]
    assert "".join(file.diff for file in found.files).rstrip("\n") == PATCH.rstrip("\n")
    assert found.files[0].diff.endswith("+come\n") and found.files[3].diff.count("diff --git") == 2
    assert not (found.more_commits or found.more_files or found.more_diff)


@pytest.mark.parametrize("output", ["", "h1\0\0", f"{HEAD}\0"])
def test_nothing_has_changed(output: str) -> None:
    found = whole(output)
    assert not found.files and not found.commits and not found.more_files and not found.more_diff


def test_a_list_that_was_cut_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    found = parse(f"{HEAD}\0{RAW[:60]}")
    assert [file.path for file in found.files] == ["a.txt"] and found.more_files and found.more_diff
    monkeypatch.setattr(changes, "COMMITS_MAX", 1)
    monkeypatch.setattr(changes, "FILES_MAX", 2)
    found = parse(f"{HEAD}{COMMITS}\0{RAW}{COUNTS}\0{PATCH}")
    assert (len(found.commits), found.more_commits, len(found.files), found.more_files) == (1, True, 2, True)


def test_diffs_are_cut_at_a_line_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "DIFF_MAX_LENGTH", 45)
    found = shown(parse(f"{HEAD}\0{RAW}{COUNTS}\0{PATCH}"), Redactor().spans, REDACTED)
    assert found.more_diff
    assert found.files[0].diff == "diff --git a/a.txt b/a.txt\n--- a/a.txt\n"
    assert [file.diff for file in found.files[1:]] == [""] * 3


def test_secrets_are_removed_and_lines_stay_lines() -> None:
    secret, key = "hunter2-swordfish-hunter", "-----BEGIN PRIVATE KEY-----\nabcdefghijklmnop\n-----END PRIVATE KEY-----"
    encoded = base64.b64encode(secret.encode()).decode()
    wrapped = [encoded[:15], encoded[15:]]
    added = "".join(f"+{line}\n" for line in ["first", f"password={secret}", *wrapped, *key.split("\n"), "last"])
    diff = f"diff --git a/{secret} b/{secret}\n@@ -0,0 +1,6 @@\n{added}"
    given = Changes(
        commits=(CommitLine("h1", 0, f"use {secret}"),), files=(FileChange(f"{secret}.txt", "A", secret, 6, 0, diff),)
    )
    found = shown(given, Redactor([secret]).spans, REDACTED)
    (file,) = found.files
    for hidden in (secret, "abcdefghijklmnop", *wrapped):
        assert hidden not in repr(found)
    lines = file.diff.split("\n")
    assert lines[2:4] == ["+first", f"+password={REDACTED}"] and lines[-2:] == ["+last", ""]
    assert len(lines) == len(diff.split("\n")) and all(line[:1] == "+" for line in lines[2:-1])
    assert shown(replace(given, files=()), Redactor([secret]).spans, REDACTED).commits[0].subject == f"use {REDACTED}"
