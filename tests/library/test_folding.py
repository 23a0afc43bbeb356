"""Folding of text in every script, and the detection of quotations."""

from __future__ import annotations

import unicodedata

import pytest

from tests.library.made import record
from vsearch.library import SqliteStore
from vsearch.library.folding import folded, tokenize, unfolded
from vsearch.library.quotes import split_quotes
from vsearch.media import Segment, Transcript

LETTERS = [chr(code) for code in range(0x110000) if chr(code).isalnum()]


def add(library: SqliteStore, *texts: str) -> None:
    """Add a segment per minute, so that each is a passage."""
    library.add_video(record("/v/a.mp4", "A"))
    lines = tuple(Segment(60.0 * i, 60.0 * i + 1, text) for i, text in enumerate(texts))
    library.set_transcript("A", Transcript(lines, "whisper", "r"))


def marked(library: SqliteStore, query: str) -> list[list[str]]:
    """The highlighted text in the segments of each hit."""
    hits = library.search_text(query, 100)
    return [
        [line.text[a:b] for line, spans in zip(hit.segments, hit.spans, strict=True) for a, b in spans] for hit in hits
    ]


def test_every_letter_and_digit_of_unicode_is_a_token() -> None:
    for letter in [*LETTERS[:30_000:2], *LETTERS[30_000::10]]:
        words = unfolded(folded(letter))
        assert words and words == [token.text for token in tokenize(letter)]


def test_folding_ignores_case_and_normal_form_of_every_letter() -> None:
    for letter in LETTERS[::7] + [chr(code) for code in range(0x250) if chr(code).isalnum()]:
        words = folded(letter)
        assert folded(unicodedata.normalize("NFD", letter)) == folded(unicodedata.normalize("NFC", letter)) == words
        assert folded(letter.upper()) == folded(letter.lower()) == words


def test_index_contains_every_folded_letter(library: SqliteStore) -> None:
    """The tokenizer of FTS5 removes nothing, and a letter is found in its segment."""
    texts = [" ".join(LETTERS[at : at + 50]) for at in range(0, len(LETTERS), 50)]
    add(library, *texts)
    with library.transaction() as connection:
        terms = dict(connection.execute("SELECT id, folded FROM segments").fetchall())
        connection.execute("CREATE VIRTUAL TABLE temp.held USING fts5vocab(main, segment_words, instance)")
        for term, line in connection.execute("SELECT term, doc FROM temp.held"):
            terms[line] = " ".join(word for word in terms[line].split(" ") if word != term)
    assert not any(terms.values())
    for at in range(0, len(LETTERS), len(LETTERS) // 40):
        hits = library.search_text(LETTERS[at], len(texts))
        assert texts[at // 50] in [line.text for hit in hits for line in hit.segments]


@pytest.mark.parametrize(
    ("text", "query", "found"),
    [
        ("это русский йогурт", "РУССКИЙ", ["русский"]),
        ("первый раз", "первый", ["первый"]),
        ("Καλημέρα κόσμε", "καλημερα", ["Καλημέρα"]),
        ("ΣΟΦΟΣ", "σοφός", ["ΣΟΦΟΣ"]),
        ("die Straße", "STRASSE", ["Straße"]),
        ("un cafe\u0301 noir", "caf\u00e9", ["cafe\u0301"]),
        ("soft\u00adware", "software", ["soft\u00adware"]),
        ("हिंदी की किताब", "किताब", ["किताब"]),
        ("مُحَمَّد", "محمد", ["مُحَمَّد"]),
        ("大家好，你好世界！", "世界", ["世界"]),
        ("大家好，你好世界！", "世", ["世"]),
        ("大家好，你好世界！", '"你好世界"', ["你好世界"]),
        ("大家好，你好世界！", '"界你"', None),
        ("これは東京タワーです", "タワー", ["タワー"]),
        ("ﾀﾜｰがある", "タワー", ["ﾀﾜｰ"]),
        ("か\u3099くせい", "がく", ["か\u3099く"]),
        ("ภาษาไทยง่าย", "ไทย", ["ไทย"]),
        ("សួស្តីពិភពលោក", "ពិភព", ["ពិភព"]),
        ("ສະບາຍດີຊາວໂລກ", "ດີຊາວ", ["ດີຊາວ"]),
        ("看 NBA 比赛", "nba 比赛", ["NBA", "比赛"]),
        ("看 NBA 比赛", '"看nba比"', ["看 NBA 比"]),
    ],
)
def test_query_matches_text_in_many_scripts(
    library: SqliteStore, text: str, query: str, found: list[str] | None
) -> None:
    add(library, "something else", text)
    assert marked(library, query) == ([] if found is None else [found])


def test_quotation_without_spaces_spans_segments(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    lines = (Segment(0.0, 1.0, "大家你好世"), Segment(1.0, 2.0, "界杯 2026"))
    library.set_transcript("A", Transcript(lines, "whisper", "r"))
    (hit,) = library.search_text('"世界杯"', 5)
    assert hit.segments == lines and hit.spans == (((4, 5),), ((0, 2),))


@pytest.mark.parametrize(
    ("query", "quoted"),
    [
        ('a 5" pipe beside a 6" pipe', []),
        ('5 " pipe and 6 " pipe', []),
        ('"the 5" pipe" now', ['the 5" pipe']),
        ('"page 5" and "page 6"', ["page 5", "page 6"]),
        ('12" and 7" of "blue vinyl"', ["blue vinyl"]),
        ('צה"ל ורמטכ"ל', []),
        ("他说“你好”吗「世界」", ["你好", "世界"]),
        ("« bonjour » »hallo« „hallo“ ”hej”", [" bonjour ", "hallo", "hallo", "hej"]),
        ('he said: "yes," and ("no")', ["yes,", "no"]),
        ('"ask"friend', ["ask"]),
        ('"unclosed and “open', []),
    ],
)
def test_quotations_of_a_query(query: str, quoted: list[str]) -> None:
    assert split_quotes(query)[0] == quoted
