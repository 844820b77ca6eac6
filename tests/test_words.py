"""words: one catalogue in two languages, whole, used, and the only place where people's words stand.

Each rule is a function that returns what breaks it, so that it can be shown to see what it is for.
"""

from __future__ import annotations

import ast
import html.parser
import json
import re
from pathlib import Path

import pytest

from streamcount.words import catalogue

PACKAGE = Path(__file__).parents[1] / "streamcount"
# The files that show words to people; streamcount.js shows none.
PAGES = [
    *sorted((PACKAGE / "operator" / "static").glob("*.html")),
    PACKAGE / "embed" / "examples" / "watch.html",
]
SCRIPTS = [
    *sorted((PACKAGE / "operator" / "static").glob("*.js")),
    *(p for p in sorted((PACKAGE / "embed").glob("*.js")) if p.name != "streamcount.js"),
]
PREFIXES = "watch|check|badge|platform|verify"
# Names that stay Latin, and the only words a page may hold itself.
NAMES = re.compile(r"\bstreamcount\b|العربية|\bEnglish\b")
ARABIC = re.compile(r"[\u0621-\u064a]")
LETTER = re.compile(r"[^\W\d_]")
# Text in another direction than its surroundings is isolated by whoever puts it in, never embedded.
BIDI = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What may follow a number in Arabic: nothing, punctuation, a unit that does not bend, a little word; and
# anything may follow one that is a name ("entry number 5").
AFTER_NUMBER = re.compile(r"\s*($|[^\w\s]|ث\b|في\b|من\b|إلى\b|على\b|و)")


def read(language):
    def once(pairs):
        assert len(dict(pairs)) == len(pairs), f"{language}.json has a key twice"
        return dict(pairs)

    text = (PACKAGE / "words" / f"{language}.json").read_text("utf-8")
    return json.loads(text, object_pairs_hook=once)


def placeholders(text):
    return sorted(set(re.findall(r"\{([^{}]*)\}", text)))


def broken(english, arabic):
    """What is wrong with two catalogues."""
    yield from (f"{key}: in one language only" for key in english.keys() ^ arabic.keys())
    for key in english.keys() & arabic.keys():
        here, there = english[key], arabic[key]
        if not re.fullmatch(r"[a-z][a-z0-9_]*", key):
            yield f"{key}: not a key"
        if not here.strip() or not there.strip():
            yield f"{key}: empty"
        if placeholders(here) != placeholders(there):
            yield f"{key}: other values in Arabic than in English"
        if any(not re.fullmatch(r"[a-z][a-z_]*", name) for name in placeholders(here)):
            yield f"{key}: braces that are no value"
        words_of_its_own = LETTER.search(re.sub(r"\{[^{}]*\}", "", there))
        if words_of_its_own and not ARABIC.search(there) and key != "other_language":
            yield f"{key}: no Arabic in Arabic"
        if ARABIC.search(here) and key != "other_language":
            yield f"{key}: Arabic in English"
        if BIDI.search(here + there):
            yield f"{key}: a direction character"
        yield from (
            f"{key}: bends with its number: {there}"
            for found in re.finditer(r"(?<!رقم )\{n(_[a-z_]+)?\}", there)
            if not AFTER_NUMBER.match(there[found.end() :])
        )


def used_in_script(text):
    """Keys and beginnings of keys that JavaScript or HTML looks up."""
    keys = set(re.findall(r"\bwords(?:\?)?\.([a-z]\w*)\b(?!\()", text))
    keys |= set(re.findall(r"\bwords\[[\"'](\w+)[\"']\]", text))
    keys |= set(re.findall(r"data-(?:word|label)=[\"'](\w+)[\"']", text))
    keys |= set(re.findall(rf"[\"']((?:{PREFIXES})_\w*[a-z0-9])[\"']", text))
    families = set(re.findall(r"\bwords\[[\"'`](\w+_)(?:\$\{|[\"'] ?\+)", text))
    families |= set(
        re.findall(rf"[\"'`]((?:{PREFIXES})_\w*_|(?:{PREFIXES})_)(?:\$\{{|[\"'])", text)
    )
    return keys, families


def used_in_python(text):
    """Keys and beginnings of keys that Python says."""
    keys, families = set(), set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        if getattr(node.func, "attr", getattr(node.func, "id", None)) != "say":
            continue
        first = node.args[0]
        if isinstance(first, ast.Constant):
            keys.add(first.value)
        elif isinstance(first, ast.IfExp) and isinstance(first.body, ast.Constant):
            keys |= {first.body.value, first.orelse.value}
        elif isinstance(first, ast.JoinedStr) and isinstance(first.values[0], ast.Constant):
            families.add(first.values[0].value)
        else:
            keys.add(f"{ast.unparse(first)}, which nobody can look up here")
    return keys, families


def misused(words, keys, families):
    """Keys that are used and not there, and keys that are there and not used."""
    yield from (f"{key}: used, and not there" for key in keys - words.keys())
    for family in families:
        if not any(key.startswith(family) for key in words):
            yield f"{family}...: used, and not there"
    for key in words.keys() - keys:
        if not key.startswith(tuple(families)):
            yield f"{key}: there, and not used"


class Literals(html.parser.HTMLParser):
    """Collects the words that a page itself holds."""

    SHOWN = ("aria-label", "title", "placeholder", "alt", "content")

    def __init__(self):
        super().__init__()
        self.found, self.inside = [], []

    def handle_starttag(self, tag, attributes):
        self.inside.append(tag)
        for name, value in attributes:
            if name in self.SHOWN and tag != "meta" and LETTER.search(value or ""):
                self.found.append(f"{name}={value}")

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass  # tags without an end

    def handle_data(self, data):
        if {"script", "style"} & set(self.inside):
            return
        if LETTER.search(NAMES.sub("", data)):
            self.found.append(data.strip())


def literals_in_page(text):
    page = Literals()
    page.feed(text)
    scripts = re.findall(r"<script\b[^>]*>(.*?)</script>", text, re.DOTALL)
    return [*page.found, *(one for script in scripts for one in literals_in_script(script))]


SHOWING = re.compile(
    r"(?:\.(?:textContent|innerText|innerHTML|title|placeholder|alt|ariaLabel)\s*=[^=;]*?"
    r"|\b(?:(?:alert|confirm|prompt|notice|append|prepend|replaceChildren|createTextNode)\b|setAttribute\([\"'](?:aria-label|title)[\"'],)\s*\(?[^;]*?"
    r"|\bnew (?:Type)?Error\()"
    r"([\"'`])((?:(?!\1)[^\\\n]|\\.)*)\1"
)


def literals_in_script(text):
    """What a script shows or throws that is no word of the catalogue."""
    text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    for found in SHOWING.finditer(text):
        said = NAMES.sub("", re.sub(r"\$?\{[^}]*\}", "", found[2]))
        # Further on in a line a lone token is a key, a class, a tag or a path; people are told in words.
        at_once = re.fullmatch(r"\.\w+\s*=\s*", text[found.start() : found.start(1)])
        if LETTER.search(said) and (at_once or not re.fullmatch(r"[a-z_#./?=&\-]+", said)):
            yield found[2]


# --- The catalogue as it is ---


def test_the_words_are_whole_in_both_languages():
    assert list(broken(read("en"), read("ar"))) == []


def test_every_word_is_used_and_every_word_used_is_there():
    keys, families = set(), set()
    for path in [*PAGES, *SCRIPTS, *sorted(PACKAGE.rglob("*.py"))]:
        look = used_in_python if path.suffix == ".py" else used_in_script
        more, whole = look(path.read_text("utf-8"))
        keys |= more
        families |= whole
    assert list(misused(read("en"), keys, families)) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_holds_no_words_of_its_own(path):
    assert literals_in_page(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_holds_no_words_of_its_own(path):
    assert list(literals_in_script(path.read_text("utf-8"))) == []


def test_a_value_is_put_in_as_it_is():
    words = catalogue("ar")
    assert words.say("proven_ago", n=30) == read("ar")["proven_ago"].replace("{n}", "30")
    assert words.ltr("10:00") == "\u206610:00\u2069"
    assert words.ltr("10 درسًا") == "10 درسًا"
    assert catalogue("en").ltr("10:00") == "10:00"
    with pytest.raises(KeyError):
        words.say("no_such_word")
    with pytest.raises(ValueError, match="fr"):
        catalogue("fr")


# --- The rules see what they are for ---


@pytest.mark.parametrize(
    ("english", "arabic", "said"),
    [
        ({"a": "x"}, {}, "one language only"),
        ({"a": "x"}, {"a": " "}, "empty"),
        ({"a": "x {n}"}, {"a": "نص"}, "other values"),
        ({"a": "x {n}"}, {"a": "نص {name}"}, "other values"),
        ({"a": "{ n }"}, {"a": "نص { n }"}, "no value"),
        ({"a": "x"}, {"a": "x"}, "no Arabic"),
        ({"a": "نص"}, {"a": "نص"}, "Arabic in English"),
        ({"a": "x"}, {"a": "\u202bنص"}, "direction"),
        ({"a": "{n} viewers"}, {"a": "{n} مشاهدين"}, "bends"),
        ({"a": "{n_late} viewers"}, {"a": "{n_late} مشاهدًا"}, "bends"),
        ({"a b": "x"}, {"a b": "نص"}, "not a key"),
    ],
)
def test_what_is_wrong_in_a_catalogue_is_seen(english, arabic, said):
    assert said in "; ".join(broken(english, arabic))


def test_what_is_right_in_a_catalogue_passes():
    right = {"a": "late: {n}", "b_c": "{n} s"}, {"a": "متأخرة: {n}", "b_c": "{n} ث"}
    assert list(broken(*right)) == []


def test_a_key_that_is_missing_or_left_over_is_seen():
    script = 'words.live; words["a_b"]; words[`stage_${s}`]; say("check_x"); words["c_" + d]'
    keys, families = used_in_script(script + '<p data-word="peak"><p data-label="events">')
    assert keys == {"live", "a_b", "check_x", "peak", "events"}
    assert families == {"stage_", "c_"}
    python = 'w.say("a", n=1)\nw.say(f"b_{x}")\nsay("c" if x else "d")'
    assert used_in_python(python) == ({"a", "c", "d"}, {"b_"})
    assert "nobody" in "".join(used_in_python("w.say(key)")[0])
    words = {"live": "", "stage_open": "", "left": ""}
    assert sorted(misused(words, {"live", "gone"}, {"stage_", "none_"})) == [
        "gone: used, and not there",
        "left: there, and not used",
        "none_...: used, and not there",
    ]


@pytest.mark.parametrize(
    "page",
    [
        "<p>Hello</p>",
        "<p>مرحبا</p>",
        '<nav aria-label="events"></nav>',
        '<input placeholder="Your name">',
        "<script>a.textContent = 'Not counted yet';</script>",
    ],
)
def test_a_word_in_a_page_is_seen(page):
    assert literals_in_page(f"<html><title>streamcount</title><br>{page}") != []


@pytest.mark.parametrize(
    "script",
    [
        'a.textContent = "Play";',
        'a.textContent = "live";',
        "a.textContent = b ? words.x : 'Pause it';",
        "a.textContent = `${n} viewers`;",
        'a.setAttribute("aria-label", "The curve");',
        'notice("No answer");',
        'throw new Error("Not allowed");',
        'a.title = "متوقف";',
        'a.append("Late by ", b);',
    ],
)
def test_a_word_in_a_script_is_seen(script):
    assert list(literals_in_script(script)) != []


@pytest.mark.parametrize(
    "script",
    [
        "a.textContent = words.play;",
        "a.textContent = `${words.reached_at} ${clock(t)}`;",
        'const [a, b] = ["li", "b"].map(make); x.className = "yes";',
        'link.href = "?event=" + id;',
        'a.setAttribute("aria-label", words.curve_label); a.setAttribute("class", "Yes No");',
    ],
)
def test_what_is_no_word_passes(script):
    assert list(literals_in_script(script)) == []
