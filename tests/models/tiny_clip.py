"""Small open_clip models with random weights: a folder in open_clip's own format, and an architecture by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SIZE, DIM = 32, 24
TEXT = {"context_length": 20, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
VISION = {"image_size": SIZE, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16}


def config(**changes: Any) -> dict[str, Any]:
    return {"embed_dim": DIM, "vision_cfg": dict(VISION), "text_cfg": dict(TEXT)} | changes


def sigmoid_config() -> dict[str, Any]:
    """As SigLIP: a text tower of its own that reads both ways, its last token, a bias, a tokenizer of transformers."""
    text = {
        **TEXT,
        "vocab_size": 40,
        "context_length": 12,
        "hf_tokenizer_name": "tiny",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "no_causal_mask": True,
        "pool_type": "last",
    }
    return config(text_cfg=text, custom_text=True, init_logit_bias=-10.0)


SIGMOID_PREPROCESSING = {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash", "interpolation": "bicubic"}


def write_folder(folder: Path, model_config: dict[str, Any], preprocessing: dict[str, Any] | None = None) -> Path:
    """open_clip_config.json, random weights as safetensors, and a tokenizer where the config wants one."""
    import torch
    from safetensors.torch import save_file

    from vsearch.models.openclip_source import import_open_clip

    open_clip = import_open_clip(download=False)
    folder.mkdir(parents=True)
    described = {"model_cfg": model_config, "preprocess_cfg": preprocessing or {}}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = open_clip.create_model(f"local-dir:{folder}")
    save_file(dict(model.state_dict()), str(folder / "open_clip_model.safetensors"))
    if "hf_tokenizer_name" in model_config["text_cfg"]:
        _write_tokenizer(folder)
    return folder


def _write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["<pad>", "</s>", "<unk>", "a", "cat", "dog", "photo", "of", "dont", "stop", "its", "12", "dogs", "word"]
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 12, **special})
    )
