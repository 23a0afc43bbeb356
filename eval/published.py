"""Figures that others published, and the project's own baseline, to stand beside ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """Text-to-video recalls in percent, V2T R@1 where given; None where the source gives none."""

    model: str
    r1: float
    r5: float | None = None
    r10: float | None = None
    v2t_r1: float | None = None


# MSR-VTT 1k-A, from the papers and model cards.
MSRVTT_1K_A = (
    PublishedRow("CLIP ViT-B/32 zero-shot, mean of 12 frames", 31.1, 53.7, 63.4, 26.5),
    PublishedRow("InternVideo zero-shot", 40.0, v2t_r1=37.5),
    PublishedRow("CLIP4Clip meanP", 43.1, 70.4, 80.8, 43.1),
    PublishedRow("BLIP zero-shot, ITM k=128", 43.3, 65.6, 74.7),
    PublishedRow("CLIP4Clip seqTransf", 44.5, 71.4, 81.6, 42.7),
    PublishedRow("CLIP2Video", 45.6, 72.6, 81.7, 43.5),
    PublishedRow("X-CLIP B/32", 46.1, 73.0, 83.1),
    PublishedRow("PE-Core B16 zero-shot", 47.6),
    PublishedRow("PE-Core L14 zero-shot", 50.3),
    PublishedRow("PE-Core G14 zero-shot", 51.2),
    PublishedRow("CLIP-ViP B/16", 54.2),
    PublishedRow("InternVideo fine-tuned", 55.2, v2t_r1=57.9),
    PublishedRow("InternVideo2-s2 6B zero-shot", 55.9, v2t_r1=53.7),
    PublishedRow("CLIP-ViP B/16, with DSL", 57.7),
    PublishedRow("InternVideo2-s2 6B fine-tuned", 62.8, v2t_r1=60.2),
    PublishedRow("GRAM fine-tuned", 64.0),
)

# The validation split is the project's own: only its baseline can stand beside a row.
MSRVTT_VAL = (PublishedRow("baseline: two frozen towers (EfficientNet-Lite2, MiniLM)", 16.0, 41.0, 52.0),)

PUBLISHED = {"1k-A": MSRVTT_1K_A, "val": MSRVTT_VAL, "full": ()}
