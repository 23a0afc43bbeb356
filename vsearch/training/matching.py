"""Losses of the matching head, on hard negatives drawn from the ITC softmax (ALBEF, BLIP), and re-ranking with it.

"binary" is the loss of ALBEF: match or no match, one pair at a time. "ranking" is the cross-entropy of the true pair
among its hard negatives, with the scaled inner product added to the logit. Re-ranking sorts by the same sum, so the
head learns what recall does not know.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from vsearch.models.itm import ItmHead

ItmLoss = Literal["binary", "ranking"]
Masked = tuple[Tensor, Tensor]
"""Tensor [B, L, D] and its mask [B, L]."""


@torch.no_grad()
def hard_negatives(similarity: Tensor, positives: Tensor, scale: Tensor, count: int) -> Tensor:
    """similarity [B, B], positives bool [B, B] -> columns [B, count], drawn without repetition from the softmax of each
    row over its negatives. `count` is reduced to the smallest number of negatives of a row."""
    count = min(count, int((~positives).sum(1).min()))
    if count == 0:
        return torch.zeros(len(similarity), 0, dtype=torch.int64, device=similarity.device)
    chances = torch.softmax((scale * similarity).masked_fill(positives, -torch.inf), dim=1)
    # a floor, because multinomial needs `count` chances above 0 in every row
    chances = (chances + 1e-6).masked_fill(positives, 0)
    return torch.multinomial(chances, count)


def matching_loss(
    head: ItmHead,
    words: Masked,
    frames: Masked,
    similarity: Tensor,
    positives: Tensor,
    scale: Tensor,
    *,
    kind: ItmLoss,
    negatives: int,
) -> Tensor:
    """The loss of B pairs: words [B, L, W], frames [B, T, F], inner products [B, B] (text rows, video columns).

    Each text is paired with `negatives` wrong videos, each video with as many wrong texts. `similarity` gets no
    gradient.
    """
    similarity = similarity.detach()
    read = head.read_words(*words)
    tokens = head.frame_tokens(*frames)
    own = torch.arange(len(read), device=read.device)
    wrong_videos = hard_negatives(similarity, positives, scale, negatives)
    wrong_texts = hard_negatives(similarity.T, positives.T, scale, negatives)

    def logits(texts: Tensor, videos: Tensor) -> Tensor:
        return head.match(read[texts], words[1][texts], tokens[videos], frames[1][videos])

    right = logits(own, own)  # [B]
    forth = [logits(own, column) for column in wrong_videos.T]
    back = [logits(column, own) for column in wrong_texts.T]
    if not forth:
        return right.sum() * 0
    if kind == "binary":
        wrong = torch.stack(forth + back)
        # matches and mismatches have the same weight, whatever the number of negatives
        return (F.softplus(-right).mean() + F.softplus(wrong).mean()) / 2
    first = torch.zeros_like(own)
    sides = []
    for wrong, columns, known in ((forth, wrong_videos, similarity), (back, wrong_texts, similarity.T)):
        recalled = torch.cat([known.diagonal()[:, None], known.gather(1, columns)], dim=1)
        sides.append(F.cross_entropy(scale.detach() * recalled + torch.stack([right, *wrong], dim=1), first))
    return (sides[0] + sides[1]) / 2


@torch.inference_mode()
def match_best(head: ItmHead, words: Masked, frames: Masked, similarity: Tensor, recall: int) -> tuple[Tensor, Tensor]:
    """Captions [C, L, W] and videos [N, T, F] with their masks, inner products [C, N] -> the `recall` best videos of
    each caption [C, R] and their logits [C, R]."""
    best = similarity.topk(min(recall, similarity.shape[1]), dim=1).indices
    read = head.read_words(*words)
    tokens = head.frame_tokens(*frames)
    logits = []
    for row, columns in enumerate(best):
        length = int(words[1][row].sum())  # without padding, which would be most of the work
        own = read[row : row + 1, :length], words[1][row : row + 1, :length]
        logits.append(head.match(*own, tokens[columns], frames[1][columns]))
    return best, torch.stack(logits)


def reranked(similarity: Tensor, best: Tensor, logits: Tensor, weight: float) -> Tensor:
    """Scores [C, N] after re-ranking: similarity + weight * logit of the candidates, the others below them."""
    scores = similarity.gather(1, best) + weight * logits
    result = similarity - 2 - (similarity.max() - scores.min()).clamp(min=0)
    return result.scatter(1, best, scores)
