"""A tokenizer of open_clip as tokenizer.json of the `tokenizers` library, checked to give the same numbers.

open_clip has two kinds. Its own is CLIP's byte-pair encoding in Python. The other wraps one of transformers, which
holds a fast tokenizer that writes itself; open_clip cleans the text first, and those rules are put in front.
What it cannot express is open_clip's repair of broken encodings and of HTML (ftfy, html.unescape); a typed sentence
needs neither.
"""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vsearch.errors import ModelError

PROBES = (
    "",
    "a",
    "A photo of a CAT.",
    "don't  stop:\tit's 12 dogs, they're running & we'll see...",
    "naïve café in Zürich, 東京の夜 🎬",
    "under_score and (brackets) [here] {too}, 50% off!?",
    "word " * 120,
)
"""What both have to read alike; the last is longer than any context."""

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def write_tokenizer(tokenizer: Any, context_length: int, path: Path) -> None:
    """Write tokenizer.json. Raises ModelError where it would read a sentence in another way than `tokenizer`."""
    if hasattr(tokenizer, "bpe_ranks"):
        made = _byte_pairs(tokenizer)
        pad = 0
    else:
        made, pad = _wrapped(tokenizer)
    made.enable_truncation(context_length)
    made.enable_padding(length=context_length, pad_id=pad, pad_token=made.id_to_token(pad) or "")
    differing = [probe for probe in PROBES if not _same(made, tokenizer, probe)]
    if differing:
        raise ModelError(
            f"The model's tokenizer cannot be written: tokenizer.json reads {differing[0][:40]!r} otherwise."
        )
    path.write_text(made.to_str(), encoding="utf-8")


def _same(made: Any, tokenizer: Any, text: str) -> bool:
    theirs: Sequence[int] = tokenizer([text])[0].tolist()
    return list(made.encode(text).ids) == list(theirs)


def _byte_pairs(tokenizer: Any) -> Any:
    """CLIP's encoding (Radford et al. 2021): lower case, words by a pattern, byte pairs with an end-of-word mark."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    if tokenizer.clean_fn.__name__ != "_clean_lower" or tokenizer.reduction_fn is not None:
        raise ModelError(f"The model's tokenizer cannot be written: it cleans text by {tokenizer.clean_fn.__name__}.")
    ranked = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)
    start, end = tokenizer.decoder[tokenizer.sot_token_id], tokenizer.decoder[tokenizer.eot_token_id]
    made = Tokenizer(
        models.BPE(vocab=dict(tokenizer.encoder), merges=ranked, end_of_word_suffix="</w>", fuse_unk=False)
    )
    made.normalizer = normalizers.Sequence([normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, tokenizer.sot_token_id), (end, tokenizer.eot_token_id)],
    )
    return made


def _wrapped(tokenizer: Any) -> tuple[Any, int]:
    """The fast tokenizer inside, with open_clip's cleaning in front; and the number that it pads with."""
    from tokenizers import Regex, Tokenizer, normalizers

    inner = getattr(tokenizer, "tokenizer", None)
    backend = getattr(inner, "backend_tokenizer", None)
    if inner is None or backend is None or getattr(tokenizer, "tokenizer_mode", None):
        raise ModelError("The model's tokenizer cannot be written: it has no form that runs without transformers.")
    made = Tokenizer.from_str(json.dumps(json.loads(backend.to_str()) | {"truncation": None, "padding": None}))
    steps: list[Any] = []
    if tokenizer.clean_fn.__name__ == "_clean_canonicalize":
        marks = "".join(f"\\{mark}" for mark in string.punctuation if mark != "_")
        steps += [normalizers.Replace("_", " "), normalizers.Replace(Regex(f"[{marks}]"), ""), normalizers.Lowercase()]
    steps += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    made.normalizer = normalizers.Sequence(steps + ([made.normalizer] if made.normalizer is not None else []))
    return made, int(inner.pad_token_id or 0)
