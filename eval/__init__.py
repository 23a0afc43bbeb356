"""Benchmarks: one a file, pure metric functions beside them.

python -m eval.msrvtt   MSR-VTT: 1k-A, full, and the validation split
python -m eval.clips    any folder of videos with a table of captions, through the product itself
python -m eval.labels   zero-shot classification of labelled photographs
python -m eval.tags     the labels of `vsearch label`: precision and recall
python -m eval.photos   the photographs that scikit-image ships
"""
