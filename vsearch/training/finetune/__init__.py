"""Fine-tuning a model on a user's own clips and captions: the command `vsearch train`.

clip_frames.py     captions and files -> clips with frames, decoded once and cached; the split by video
adapters.py        learners on embeddings of a frozen model: a temporal encoder, a low-rank adapter
tower_tuning.py    learners inside the towers of an open_clip model: low-rank updates, prompt vectors
start.py           the model that training starts from, and how a model folder provides one
openclip_start.py  the same for an open_clip model
fit.py             loss and validation of a run of the training loop
clip_ranks.py      retrieval metrics in both directions
tuned_folder.py    writing the tuned model folder
finetune.py        the whole run
"""
