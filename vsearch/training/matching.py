"""What the matching head learns from: the pairs that recall confuses, drawn from the ITC softmax (ALBEF, BLIP).

Two losses. "binary" is ALBEF's: match or no match, a pair at a time. "ranking" is the cross-entropy of the true pair
among its hard negatives with the scaled inner product added to the logit, which is the sum that re-ranking sorts by:
the head learns only what recall does not know.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from vsearch.models.itm import ItmHead

ItmLoss = Literal["binary", "ranking"]


@torch.no_grad()
def hard_negatives(
    similarity: Tensor, positives: Tensor, scale: Tensor, count: int, generator: object = None
) -> Tensor:
    """similarity [B, B], positives bool [B, B] -> columns [B, count], drawn without repetition from each row's softmax
    over what is no positive. `count` shrinks to the fewest negatives of a row; with no negative anywhere it is 0."""
    count = min(count, int((~positives).sum(1).min()))
    if count == 0:
        return torch.zeros(len(similarity), 0, dtype=torch.int64, device=similarity.device)
    chances = torch.softmax((scale * similarity).masked_fill(positives, -torch.inf), dim=1)
    # a floor, so that a row whose softmax is one-sided still has enough to draw
    chances = (chances + 1e-6).masked_fill(positives, 0)
    return torch.multinomial(chances, count, generator=generator)


def matching_loss(
    head: ItmHead,
    words: Tensor,
    word_mask: Tensor,
    frames: Tensor,
    frame_mask: Tensor,
    similarity: Tensor,
    positives: Tensor,
    scale: Tensor,
    *,
    kind: ItmLoss,
    negatives: int,
) -> Tensor:
    """The loss of B pairs: words [B, L, W], frames [B, T, F], inner products [B, B] (text rows, video columns).

    Each text meets `negatives` wrong videos, each video as many wrong texts. Nothing flows back into `similarity`.
    """
    similarity = similarity.detach()
    read = head.read_words(words, word_mask)
    tokens = head.frame_tokens(frames, frame_mask)
    own = torch.arange(len(words), device=words.device)
    wrong_videos = hard_negatives(similarity, positives, scale, negatives)
    wrong_texts = hard_negatives(similarity.T, positives.T, scale, negatives)

    def logits(texts: Tensor, videos: Tensor) -> Tensor:
        return head.match(read[texts], word_mask[texts], tokens[videos], frame_mask[videos])

    right = logits(own, own)  # [B]
    forth = [logits(own, column) for column in wrong_videos.T]
    back = [logits(column, own) for column in wrong_texts.T]
    if not forth:
        return right.sum() * 0
    if kind == "binary":
        wrong = torch.stack(forth + back)
        # the two kinds of pair weigh the same, however many negatives there are
        return (F.softplus(-right).mean() + F.softplus(wrong).mean()) / 2
    first = torch.zeros(len(words), dtype=torch.int64, device=words.device)
    sides = []
    for wrong, columns, known in ((forth, wrong_videos, similarity), (back, wrong_texts, similarity.T)):
        recalled = torch.cat([known.diagonal()[:, None], known.gather(1, columns)], dim=1)
        sides.append(F.cross_entropy(scale.detach() * recalled + torch.stack([right, *wrong], dim=1), first))
    return (sides[0] + sides[1]) / 2


@torch.inference_mode()
def match_best(
    head: ItmHead,
    words: tuple[Tensor, Tensor],
    frames: tuple[Tensor, Tensor],
    similarity: Tensor,
    recall: int,
) -> tuple[Tensor, Tensor]:
    """Captions [C, L, W] and videos [N, T, F] with their masks, inner products [C, N] -> the `recall` best videos of
    each caption [C, R] and their logits [C, R]."""
    best = similarity.topk(min(recall, similarity.shape[1]), dim=1).indices
    read = head.read_words(*words)
    tokens = head.frame_tokens(*frames)
    logits = []
    for row, columns in enumerate(best):
        length = int(words[1][row].sum())  # padding would be most of the work
        own = read[row : row + 1, :length], words[1][row : row + 1, :length]
        logits.append(head.match(*own, tokens[columns], frames[1][columns]))
    return best, torch.stack(logits)


def reranked(similarity: Tensor, best: Tensor, logits: Tensor, weight: float) -> Tensor:
    """Scores [C, N] as re-ranking gives them: itc + weight * logit for the recalled, the others behind in order."""
    scores = similarity.gather(1, best) + weight * logits
    result = similarity - 2 - (similarity.max() - scores.min()).clamp(min=0)
    return result.scatter(1, best, scores)
