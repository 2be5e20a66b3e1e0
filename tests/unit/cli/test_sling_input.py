"""What people give to `polecat sling`, and the beads that are made of it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polecat_api.bead import Priority
from polecat_cli.sling import read_drafts
from polecat_sling.draft import Draft, InputError, derive_name, make_order, slugify
from polecat_sling.markdown_text import parse_markdown
from polecat_sling.yaml_text import looks_like_yaml, parse_yaml

PLAN = """\
# Plan for the week

Some words for the others.

- Mend the date parser
  It refuses `2026-2-3`.

  ```
  - this is code, no item
unindented code
  ```
  - and this is part of the prompt
- [ ] **Add a --json flag**
- [x] What is done already

## Later
Nobody has time for these.

1. Write the manual
   For beginners.
"""


def test_a_markdown_list() -> None:
    drafts = parse_markdown(PLAN, "plan.md")
    assert [(draft.title, draft.source) for draft in drafts] == [
        ("Mend the date parser", "plan.md line 5"),
        ("Add a --json flag", "plan.md line 13"),
        ("Write the manual", "plan.md line 19"),
    ]
    assert drafts[0].prompt.startswith("It refuses `2026-2-3`.")
    assert "unindented code" in drafts[0].prompt
    assert drafts[0].prompt.endswith("- and this is part of the prompt")
    assert drafts[1].prompt == "Add a --json flag"
    assert drafts[2].prompt == "For beginners."


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- Mend it\nmore about it\n", "plan.md line 2: this belongs to no item; indent it"),
        ("Only prose here.\n", "no list in it"),
        ("", "no list in it"),
    ],
)
def test_markdown_that_is_no_such_list(text: str, why: str) -> None:
    with pytest.raises(InputError, match=re.escape(why)):
        parse_markdown(text, "plan.md")


def test_short_yaml_entries() -> None:
    text = "- title: One\n  prompt: Do one.\n  priority: High\n- title: Two\n  name: two\n  dependsOn: [one]\n"
    one, two = parse_yaml(text, "beads.yaml", "web")
    assert (one.title, one.prompt, one.name, dict(one.spec)) == ("One", "Do one.", None, {"priority": "High"})
    assert (two.prompt, two.name, dict(two.spec)) == ("Two", "two", {"dependsOn": ["one"]})


def test_manifests_of_several_documents() -> None:
    text = """
apiVersion: polecat.dev/v1alpha1
kind: Bead
metadata: {name: one, labels: {team: a}}
spec: {rigRef: {name: web}, title: One, prompt: Do one., rerun: 2026-11-24}
---
apiVersion: v1
kind: List
items:
  - {apiVersion: polecat.dev/v1alpha1, kind: Bead, spec: {title: Two}}
"""
    one, two = parse_yaml(text, "beads.yaml", "web")
    assert (one.name, dict(one.labels), one.spec["rerun"]) == ("one", {"team": "a"}, "2026-11-24")
    assert (two.name, two.prompt) == (None, "Two")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- title: One\n  titel: x\n", "entry 1: unknown titel; known are baseBranch"),
        ("- prompt: x\n", "entry 1: title must be a text"),
        ("- title: 5\n", "entry 1: title must be a text, not 5"),
        ("- just words\n", "'just words' is no mapping"),
        ("- {title: One, dependsOn: [1]}\n", "dependsOn must be a list of bead names"),
        ("{kind: Rig, apiVersion: polecat.dev/v1alpha1}\n", "entry 1: a Rig; only Beads"),
        ("{kind: Bead, apiVersion: polecat.dev/v1alpha1, metadata: x}\n", "metadata must be a mapping"),
        (
            "{kind: Bead, apiVersion: polecat.dev/v1alpha1, spec: {title: T, rigRef: {name: api}}}\n",
            "but the command says rig web",
        ),
        ("a: [\n", "line 2: no valid YAML"),
        ("", "nothing in it"),
    ],
)
def test_yaml_that_can_not_be_used(text: str, why: str) -> None:
    with pytest.raises(InputError, match=re.escape(why)):
        parse_yaml(text, "beads.yaml", "web")


def test_all_wrong_entries_are_named() -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml("- prompt: x\n- title: fine\n- title: ''\n", "b.yaml", "web")
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["b.yaml entry 1", "b.yaml entry 3"]


@pytest.mark.parametrize(
    ("text", "is_yaml"),
    [
        ("- Mend the parser\n  It is broken.\n", False),
        ("- Mend: the parser\n", False),
        ("- title: Mend the parser\n", True),
        ("kind: Bead\nspec: {}\n", True),
        ("", False),
    ],
)
def test_what_comes_from_standard_input(text: str, is_yaml: bool) -> None:
    assert looks_like_yaml(text) is is_yaml


def test_titles_and_files_together(tmp_path: Path) -> None:
    plan = tmp_path / "plan.md"
    plan.write_text("- title: this is a title in Markdown\n")
    drafts = read_drafts("web", ["First"], [str(plan)])
    assert [draft.title for draft in drafts] == ["First", "title: this is a title in Markdown"]
    with pytest.raises(InputError, match="nothing to sling"):
        read_drafts("web", [], [])


def test_options_give_way_to_what_the_entry_says() -> None:
    plain = make_order(Draft("x", "T", "P"), "web", Priority.HIGH, ("a", "b"))
    assert plain.spec["priority"] == "High"
    assert plain.spec["dependsOn"] == ["a", "b"]
    own = make_order(Draft("x", "T", "P", spec={"priority": "Low", "dependsOn": []}), "web", Priority.HIGH, ("a",))
    assert own.spec["priority"] == "Low"
    assert own.spec["dependsOn"] == []


def test_the_name_follows_from_the_work_alone() -> None:
    spec = {"rigRef": {"name": "web"}, "title": "Mend it", "prompt": "Now.", "dependsOn": ["a", "b"]}
    name = derive_name(spec)
    assert name.startswith("mend-it-")
    assert derive_name({**spec, "priority": "High", "suspend": True, "dependsOn": ["b", "a"]}) == name
    for other in ({"rigRef": {"name": "api"}}, {"prompt": "Later."}, {"dependsOn": ["a"]}, {"model": "m"}):
        assert derive_name({**spec, **other}) != name


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Überprüfe die Größe!", "uberprufe-die-groe"),
        ("修复解析器", "bead"),
        ("--json", "json"),
        ("a" * 80, "a" * 20),
        ("words words words words", "words-words-words"),
        ("short and thensomethingverylong", "short-and"),
    ],
)
def test_slugs(title: str, slug: str) -> None:
    assert slugify(title, 20).startswith(slug)


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=50))
def test_any_title_gives_a_name_that_kubernetes_takes(title: str, prompt: str) -> None:
    name = derive_name({"rigRef": {"name": "web"}, "title": title, "prompt": prompt})
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= 63


@given(st.text(max_size=400))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    parsers: list[Callable[[], list[Draft]]] = [
        lambda: parse_markdown(text, "x"),
        lambda: parse_yaml(text, "x", "web"),
    ]
    for parse in parsers:
        try:
            drafts = parse()
        except InputError:
            continue
        assert all(draft.title and draft.prompt for draft in drafts)
