"""Tuning a model on a person's own clips and captions: what `vsearch train` does.

gather.py   captions and files -> clips with their frames, decoded once and cached; the split, by video
heads.py    what learns on vectors of a frozen model: a temporal encoder, a low-rank adapter
fit.py      steps, checks on the validation split, early stopping, resume; knows nothing of models
scores.py   the figures of the table
folder.py   the model folder that comes of it
run.py      all of it, wired top to bottom
"""
