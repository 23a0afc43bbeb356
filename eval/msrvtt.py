"""MSR-VTT: python -m eval.msrvtt --protocol 1k-A|full|val, text to video and video to text.

One of three inputs: a folder of the videos; --frames, pictures laid out as VIDEO/FRAME in folders or tar files, any
subset of the videos; or --similarity, a matrix that any other program made (rows texts, columns videos, in the order of
the annotations).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from eval.aggregation import AGGREGATIONS, Aggregation, aggregate, similarity
from eval.annotations import (
    PROTOCOL_VIDEOS,
    PROTOCOLS,
    Benchmark,
    ProtocolName,
    identical_texts,
    load_bank,
    load_benchmark,
)
from eval.gallery import FrameSource, PictureFrames, VideoFolder, encode_texts, encode_videos
from eval.metrics import (
    TIE_RULE,
    Estimate,
    Scores,
    as_json,
    check_scores,
    figures,
    video_to_text_ranks,
)
from eval.models import open_model
from eval.options import add_json, add_model, command, new_parser
from eval.pictures import Pictures
from eval.post import DSL_SCALE, QB_NORM_BETA, dsl, qb_norm
from eval.published import PUBLISHED
from eval.report import figures_table, notes, print_json, published_table, track
from eval.rerank import RECALL, RERANKS, Rerank, rerank_both
from vsearch.errors import InputError, PathError
from vsearch.metrics import ranks as ranks_of
from vsearch.models.protocols import Model
from vsearch.search.rerank import chosen_rerank

Post = Literal["none", "dsl", "qbnorm"]
POSTS: tuple[Post, ...] = get_args(Post)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A benchmark and its scores in both directions, before post-processing."""

    benchmark: Benchmark
    t2v: Scores
    """[C, V]."""
    v2t: Scores
    """[V, C]: the transpose, unless each direction was re-ranked on its own."""
    bank: Scores | None = None
    """[B, V]: training captions against the same videos, for QB-Norm."""
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    aggregation: Aggregation = "model"
    rerank: Rerank = "none"
    recall: int = RECALL
    post: Post = "none"


def score_videos(
    model: Model, source: FrameSource, whole: Benchmark, options: Options, bank: Sequence[str] = ()
) -> Result:
    """Encode the videos of the benchmark that the source contains, and score every caption against each of them."""
    chosen_rerank(options.rerank, model)  # fails early where the model has no matching head
    present = whole.only(set(source.videos))
    if not present.videos:
        raise InputError("the source contains none of the protocol's videos: files are named by id, such as video7010")
    encoded = encode_videos(model, source, track(present.videos, "videos"))
    benchmark = present.only(encoded.frames.keys())
    if not benchmark.videos:
        raise InputError(f"none of {len(present.videos)} videos can be read: {next(iter(encoded.failures.values()))}")
    frames = list(encoded.frames.values())
    videos = aggregate(options.aggregation, model, frames)
    texts = encode_texts(model, benchmark.captions)
    t2v = similarity(texts, videos)
    t2v, v2t = rerank_both(model, options.rerank, benchmark.captions, texts, frames, t2v, options.recall)
    return Result(
        benchmark,
        t2v,
        v2t,
        similarity(encode_texts(model, bank), videos) if bank else None,
        tuple(encoded.failures.values()),
    )


def score_file(path: Path, protocol: ProtocolName, annotations: Path | None) -> Result:
    """A similarity matrix [texts, videos] of the whole protocol, in the order of its annotations."""
    try:
        scores = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PathError(f"{path} is not a numpy file that can be read: {error}") from error
    if not isinstance(scores, np.ndarray):
        raise InputError(f"{path} holds several arrays: give one matrix in a .npy file")
    check_scores(scores)  # keep its precision: rounding would make ties
    benchmark = load_benchmark(protocol, annotations) if annotations is not None else _without_texts(protocol, scores)
    wanted = (len(benchmark.captions), len(benchmark.videos))
    if scores.shape != wanted:
        raise InputError(f"protocol {protocol} needs a matrix [texts, videos] of shape {wanted}, not {scores.shape}")
    return Result(benchmark, scores, scores.T)


def _without_texts(protocol: ProtocolName, scores: Scores) -> Benchmark:
    """A benchmark without annotations, for protocols with one caption per video: row i belongs to column i."""
    if protocol == "full":
        raise InputError(
            "protocol full has several captions a video: give --annotations, so that rows find their video"
        )
    count = PROTOCOL_VIDEOS[protocol] if protocol == "1k-A" else scores.shape[0]
    texts = identical_texts(count) if protocol == "1k-A" else [str(i) for i in range(count)]
    return Benchmark(tuple(f"column {i}" for i in range(count)), tuple(texts), tuple(range(count)))


def measure(result: Result, post: Post = "none") -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Figures of both directions. QB-Norm changes text to video only: its bank holds texts."""
    t2v, v2t = result.t2v, result.v2t
    if post == "dsl":
        t2v, v2t = dsl(t2v), dsl(v2t)
    elif post == "qbnorm":
        if result.bank is None:
            raise InputError("qbnorm needs a bank of training captions against these videos: a matrix alone has none")
        t2v = qb_norm(t2v, result.bank)
    owners = result.benchmark.video_of
    return (
        figures(ranks_of(t2v, owners), owners),
        figures(video_to_text_ranks(v2t, owners, result.benchmark.captions)),
    )


def post_label(post: Post, bank: Scores | None) -> str:
    if post == "dsl":
        return f"DSL, scale {DSL_SCALE:g} (sees all test queries at once)"
    if post == "qbnorm":
        size = len(bank) if bank is not None else 0
        return f"QB-Norm, beta {QB_NORM_BETA:g}, bank of {size} training captions, T2V only"
    return "none"


def evaluate(arguments: argparse.Namespace) -> None:
    """Score the benchmark and print the figures."""
    options = Options(arguments.aggregation, arguments.rerank, arguments.recall, arguments.post)
    if options.post != "none" and options.rerank != "none":
        raise InputError("--post works on the plain similarity matrix: use it with --rerank none")
    given = [name for name in ("videos", "frames", "similarity") if getattr(arguments, name)]
    if len(given) != 1:
        raise InputError("give one input: a folder of videos, or --frames, or --similarity")
    how: dict[str, Any]
    if arguments.similarity:
        result = score_file(arguments.similarity, arguments.protocol, arguments.annotations)
        name, how = arguments.similarity.name, {"similarity": str(arguments.similarity)}
    else:
        if arguments.annotations is None:
            raise InputError("--annotations is needed: the folder of MSRVTT_data.json and the csv files")
        result, model = _score_model(arguments, options)
        name = f"{model} ({options.aggregation}, rerank {options.rerank})"
        how = {"model": model, "aggregation": options.aggregation, "rerank": options.rerank, "recall": options.recall}
    if arguments.save_similarity:
        _save(arguments.save_similarity, result.t2v)
    t2v, v2t = measure(result, options.post)
    label = post_label(options.post, result.bank)
    own = result.t2v[np.arange(len(result.t2v)), result.benchmark.video_of]
    videos, whole = len(result.benchmark.videos), PROTOCOL_VIDEOS[arguments.protocol]
    notes("videos that could not be read", result.failures)
    if arguments.json:
        print_json(
            {
                "protocol": arguments.protocol,
                "videos": videos,
                "protocol_videos": whole,
                "captions": len(result.benchmark.captions),
                "failed": len(result.failures),
                **how,
                "post": label,
                "ties": TIE_RULE,
                "t2v": as_json(t2v),
                "v2t": as_json(v2t),
                "own": {"mean": float(own.mean()), "spread": float(own.std())},
            }
        )
        return
    print(f"MSR-VTT {arguments.protocol}: {videos:,} of {whole:,} videos, {len(result.benchmark.captions):,} captions")
    print(f"{name}; post-processing: {label}; ties {TIE_RULE}\n")
    print("\n".join(figures_table({"text to video": t2v, "video to text": v2t})))
    print(f"a caption and its own video score {own.mean():.3f}, standard deviation {own.std():.3f}")
    _print_published(arguments.protocol, name if options.post == "none" else f"{name}, {label}", t2v, v2t, videos)


def _score_model(arguments: argparse.Namespace, options: Options) -> tuple[Result, str]:
    whole = load_benchmark(arguments.protocol, arguments.annotations)
    bank = load_bank(arguments.protocol, arguments.annotations) if options.post == "qbnorm" else []
    with ExitStack() as stack:
        source: FrameSource
        if arguments.frames:
            source = PictureFrames(stack.enter_context(Pictures(arguments.frames)))
        else:
            source = VideoFolder(arguments.videos)
        model = open_model(arguments.model)
        return score_videos(model, source, whole, options, bank), model.space.model


def _save(path: Path, scores: Scores) -> None:
    try:
        with path.open("wb") as file:  # np.save(path) would add .npy to the name
            np.save(file, scores, allow_pickle=False)
    except OSError as error:
        raise PathError(f"{path} cannot be written: {error.strerror}") from error


def _print_published(
    protocol: ProtocolName, name: str, t2v: dict[str, Estimate], v2t: dict[str, Estimate], videos: int
) -> None:
    published = PUBLISHED[protocol]
    if not published:
        return
    print("\n" + "\n".join(published_table(name, t2v, v2t, published)))
    if videos != PROTOCOL_VIDEOS[protocol]:
        print(f"\nNot comparable: a gallery of {videos:,} is easier than one of {PROTOCOL_VIDEOS[protocol]:,}.")


def parser() -> argparse.ArgumentParser:
    p = new_parser("eval.msrvtt", __doc__)
    p.add_argument("videos", type=Path, nargs="?", help="folder of the videos, video7010.mp4 and so on")
    p.add_argument(
        "--frames", type=Path, nargs="+", metavar="PATH", help="folders or tar files of VIDEO/FRAME pictures"
    )
    p.add_argument("--similarity", type=Path, metavar="FILE.npy", help="a matrix, rows texts, columns videos")
    p.add_argument("--protocol", choices=PROTOCOLS, default="1k-A", help="default: %(default)s")
    p.add_argument("--annotations", type=Path, metavar="DIR", help="folder of MSRVTT_data.json(.zip) and the csv files")
    add_model(p)
    p.add_argument("--aggregation", choices=AGGREGATIONS, default="model", help="default: the model's own")
    p.add_argument(
        "--rerank", choices=RERANKS, default="none", help="re-ranking of the recalled items; default: %(default)s"
    )
    p.add_argument(
        "--recall", type=int, default=RECALL, metavar="N", help="how many are re-ranked; default: %(default)s"
    )
    p.add_argument("--post", choices=POSTS, default="none", help="post-processing of the whole test, labelled as such")
    p.add_argument("--save-similarity", type=Path, metavar="FILE.npy", help="keep the text-to-video matrix")
    add_json(p)
    return p


main = command(parser, evaluate)


if __name__ == "__main__":
    raise SystemExit(main())
