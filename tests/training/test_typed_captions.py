"""Captions rewritten like typed queries: what may change and what must not."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("torch")

from vsearch.training.typed_captions import STOP_WORDS, as_typed

CAPTION = "A man is riding a brown horse along the beach"


def rewritten(caption: str, count: int = 600) -> list[str]:
    return [as_typed(caption, np.random.default_rng(seed)) for seed in range(count)]


def edits(one: str, other: str) -> int:
    """Levenshtein's distance, with a swap of neighbours as one edit."""
    table = np.zeros((len(one) + 1, len(other) + 1), int)
    table[:, 0], table[0] = range(len(one) + 1), range(len(other) + 1)
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            cost = one[i - 1] != other[j - 1]
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + cost)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return int(table[-1, -1])


def kind_of(typed: str) -> str:
    words = typed.split()
    if CAPTION in typed:
        return "request"
    content = [word for word in CAPTION.lower().split() if word not in STOP_WORDS]
    joined = " ".join(content)
    if typed and typed in joined and all(word in content for word in words):
        return "key words"
    return "error" if edits(typed, CAPTION.lower()) <= 1 else f"neither: {typed}"


def test_every_rewrite_is_an_error_key_words_or_a_request() -> None:
    counts = Counter(kind_of(typed) for typed in rewritten(CAPTION))
    assert set(counts) == {"request", "key words", "error"}
    assert min(counts.values()) > 100


def test_typing_error_keeps_short_words_and_first_letters() -> None:
    for typed in rewritten(CAPTION):
        if kind_of(typed) == "error":
            words, typing = CAPTION.lower().split(), typed.split()
            assert [w for w in words if len(w) < 4] == [t for w, t in zip(words, typing, strict=True) if len(w) < 4]
            assert all(word[0] == typo[0] for word, typo in zip(words, typing, strict=True))


def test_single_key_words_are_common() -> None:
    alone = [typed for typed in rewritten(CAPTION) if kind_of(typed) == "key words" and " " not in typed]
    assert len(set(alone)) >= 4 and len(alone) > 60


@pytest.mark.parametrize("caption", ["it is", "a", "the cat"])
def test_caption_of_stop_words_keeps_its_words(caption: str) -> None:
    assert all(set(caption.split()) & set(typed.replace("?", "").split()) or edits(typed, caption) <= 1
               for typed in rewritten(caption, 100))  # fmt: skip


def test_same_seed_gives_same_rewrite() -> None:
    assert rewritten(CAPTION, 50) == rewritten(CAPTION, 50)
