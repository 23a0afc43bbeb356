"""Tuning a model on a person's own clips and captions: what `vsearch train` does.

gather.py   captions and files -> clips with their frames, decoded once and cached; the split, by video
heads.py    what learns on vectors of a frozen model: a temporal encoder, a low-rank adapter
towers.py   what learns inside the towers of an open_clip model: low-rank changes of weights, prompt vectors
base.py     what training needs of a model, and how a model folder gives it; clip.py: how an open_clip model does
fit.py      steps, checks on the validation split, early stopping, resume; knows nothing of models
scores.py   the figures of the table
folder.py   the model folder that comes of it
run.py      all of it, wired top to bottom
"""
