"""Text of unknown encoding: the bytes of a subtitle file to its characters.

decode_text(data, language) -> str       MediaError where the encoding cannot be told

A byte order mark decides, then UTF-8, where a bad byte costs one character. Other encodings are tried in turn: of a
language that the file's name tells, else of all languages below. The text that fits an alphabet best is taken, and the
file is refused if none fits. Detectors of bytes alone take Portuguese in cp1252 for cp1250; an alphabet does not.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from vsearch.errors import MediaError

ENCODING_RULES = 2
"""Version of the rules in this module. It must rise when they change: a known subtitle file is not read again before it
does, because the recipe of its transcript (`sidecar_recipe`) contains this number."""
SAMPLE = 32_768
"""Bytes of lines with other characters than ASCII that are looked at."""
LEAST_FIT = 0.75
"""Smallest share of the non-ASCII characters that must be letters of a language."""
LEAST_FIT_NAMED = 0.5
"""The share of letters of a language that is enough where the file's name gives the language."""
MOST_ACCENTED = 0.65
"""Of the letters of a language in Latin script, the share that may be outside ASCII."""
LEAST_FOREIGN = 0.2
"""Of the letters of a language in another script with words, the share that must be outside ASCII."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = "cp1252 iso8859-15 mac_roman cp850"
_CENTRAL = "cp1250 iso8859-2 cp852 mac_latin2"
_BALTIC = "cp1257 iso8859-13 iso8859-4 cp775"
_CYRILLIC = "cp1251 koi8-u koi8-r cp866 iso8859-5 mac_cyrillic"


@dataclass(frozen=True, slots=True)
class _Alphabet:
    encodings: tuple[str, ...]
    """Most likely first."""
    letters: str
    """A class of a regular expression: the letters outside ASCII, lower case."""
    common: str
    """The most common of the letters outside ASCII."""
    share: float
    """Of a text's letters outside ASCII, what the common ones make up, roughly."""


def _alphabet(encodings: str, letters: str, common: str, share: float = 0.7) -> _Alphabet:
    return _Alphabet(tuple(encodings.split()), letters, common, share)


_HAN = "\u3400-\u9fff"
_HAN_COMMON = (
    "的一是不了我你在有人他这个们来到说大好那会就什么没为要去吗她子得上过可吧想看知道时"
    "這個們來說會麼沒為嗎過時很都还還没自和"
)
_ALPHABETS = {
    "en": _alphabet(_WESTERN, "àáâäçèéêëíîïñóôöùúûüœæ", "éèïñ", 0.6),
    "fr": _alphabet(_WESTERN, "àâæçèéêëîïôœùûüÿ", "éèàê"),
    "de": _alphabet(_WESTERN, "äöüßéàè", "üäöß"),
    "es": _alphabet(_WESTERN, "áéíñóúüç", "óíáñé"),
    "pt": _alphabet(_WESTERN, "áâãàçéêíóôõúü", "ãçéáí"),
    "it": _alphabet(_WESTERN, "àèéìíîòóùú", "èàùòé"),
    "nl": _alphabet(_WESTERN, "ëéïöüèáóêàç", "ëéï"),
    "ca": _alphabet(_WESTERN, "àçèéíïòóúü·", "óàèé"),
    "sv": _alphabet(_WESTERN, "åäöéüà", "äåö"),
    "da": _alphabet(_WESTERN, "åæøéöäü", "åæø"),
    "no": _alphabet(_WESTERN, "åæøéòôöäü", "åæø"),
    "fi": _alphabet(_WESTERN, "äöåšžéü", "äö"),
    "is": _alphabet("cp1252 iso8859-1", "áðéíóúýþæö", "ðáíé"),
    "pl": _alphabet(_CENTRAL, "ąćęłńóśźżéö", "łęąóż"),
    "cs": _alphabet(_CENTRAL, "áčďéěíňóřšťúůýžöü", "íáéěřýž"),
    "sk": _alphabet(_CENTRAL, "áäčďéíĺľňóôŕšťúýžěřö", "áíéčýš"),
    "hu": _alphabet(_CENTRAL, "áéíóöőúüűä", "áéöő"),
    "ro": _alphabet("cp1250 iso8859-16 iso8859-2 cp852", "ăâîșțşţé", "ăîșțşţ"),
    "hr": _alphabet(_CENTRAL, "čćđšžé", "čšžć"),
    "sl": _alphabet(_CENTRAL, "čšžćđé", "čšž"),
    "tr": _alphabet("cp1254 iso8859-9 cp857", "çğıİöşüâîû", "ıüşğ"),
    "et": _alphabet(_BALTIC, "äõöüšžé", "äõü"),
    "lt": _alphabet(_BALTIC, "ąčęėįšųūž", "ėšųžį"),
    "lv": _alphabet(_BALTIC, "āčēģīķļņšūž", "āīēš"),
    "vi": _alphabet("cp1258", "àáâãèéêìíòóôõùúýăđĩũơưạ-ỹ\u0300-\u0323", "àáăâđêôơư\u0300\u0301", 0.4),
    "ru": _alphabet(_CYRILLIC, "а-яё", "оеаинтсрвл"),
    "uk": _alphabet(_CYRILLIC, "а-щьюяєіїґ", "оаинівтерс"),
    "bg": _alphabet(_CYRILLIC, "а-щъьюя", "аоеинтсрвл"),
    "sr": _alphabet("cp1251 iso8859-5", "а-шђјљњћџ", "аоиенрсјту"),
    "el": _alphabet("cp1253 iso8859-7 cp737", "α-ωάέήίόύώϊϋΐΰς", "αοιετσνηςρ"),
    "he": _alphabet("cp1255 iso8859-8 cp862", "א-ת\u05b0-\u05c7", "יוהלאמרתבש"),
    "ar": _alphabet("cp1256 iso8859-6 cp720", "ء-ي\u064b-\u0652", "اليمنوترب", 0.6),
    "fa": _alphabet("cp1256", "ء-يپچژکگی\u064b-\u0652\u200c", "اينردهمتوس", 0.6),
    "th": _alphabet("cp874", "ก-ฺเ-๛", "านรอกเง่้มี", 0.5),
    "ko": _alphabet("cp949 johab", "가-힣", "이다는에의가고을하지니어도기나사해그아요", 0.3),
    "ja": _alphabet("cp932 euc_jp", f"ぁ-ゖァ-ヶー々{_HAN}", "のいたるしてなにでとをはがもっうかんだれ", 0.3),
    "zh": _alphabet("gb18030 big5hkscs", _HAN, _HAN_COMMON, 0.2),
    "zh-hant": _alphabet("big5hkscs gb18030", _HAN, _HAN_COMMON, 0.2),
}
_LATIN = frozenset(name for name, alphabet in _ALPHABETS.items() if alphabet.common[0] < "\u0250")
_NO_BLANKS = frozenset({"ja", "zh", "zh-hant", "ko"})
_NAMED_ALONE = frozenset({"en", "vi", "zh-hant"})
"""These are looked for where a name tells them: elsewhere they would fit too much."""
_SAME = {"be": "uk", "mk": "sr", "bs": "hr", "nb": "no", "nn": "no", "ur": "fa", "ku": "tr", "az": "tr", "gl": "pt"}
_TRADITIONAL_TAGS = frozenset({"hant", "tw", "hk", "mo"})
_NEUTRAL = re.compile(
    "[\u00a0\u00a1\u00a3\u00a7\u00a9\u00ab\u00ad\u00ae\u00b0\u00b4\u00b7\u00bb\u00bf\u00d7\u2010-\u2015\u2018-\u201e\u2022\u2026"
    "\u2039\u203a\u20ac\u2116\u2122\u2190-\u2193\u25a0\u25b6\u25c6\u25cb\u25cf\u2605\u2606\u2665\u2669-\u266f\u3000-\u3020"
    "\uff01-\uff65]"
)
"""Punctuation of every language."""
_INSIDE = re.compile(r"(?<=[^\W\d_])[¡£§©«\u00ad®°´·»¿×€™](?=[^\W\d_])")
"""Punctuation inside a word, where none belongs."""
_TURNED = re.compile("[а-џα-ώ][Ѐ-ЯΑ-Ω]|[a-zß-öø-ÿ][À-ÖØ-Þ]")
"""An upper case letter after a lower case one: KOI8 and the code pages of Windows swap the two, and so do those of
Windows and the Macintosh for some accents."""

_MIXED = re.compile("[A-Za-z][^\\W\\d_a-zA-Z]|[^\\W\\d_a-zA-Z][A-Za-z]")
"""Letters side by side of which one is outside ASCII: in Latin script alone, or where words are not set apart."""
_WEDGED = re.compile("[a-z][^\\x00-\\x7f][a-z]")
"""A letter outside ASCII between two inside it: out of place in scripts that are written without blanks."""


def decode_text(data: bytes, language: str | None = None) -> str:
    """The text of a file. language: ISO 639-1, with a region or script where there is one; None: not known.

    Raises MediaError with one line.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data.decode(name, "replace")
    wide = _wide(data)
    if wide is not None:
        return data.decode(wide, "replace")
    if b"\0" in data:
        raise MediaError("it is not text")
    if b"\x1b$B" in data or b"\x1b$@" in data:
        return data.decode("iso2022_jp", "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    text = data.decode("utf-8", "replace")
    if sum(c > "\x7f" and c != "\ufffd" for c in text) >= text.count("\ufffd"):
        return text
    encoding = _encoding(data, language)
    if encoding is None:
        raise MediaError(
            "its character encoding cannot be told: save it as UTF-8, or write its language into its name (NAME.ru.srt)"
        )
    return unicodedata.normalize("NFC", data.decode(encoding, _errors(encoding)))  # cp1258 has accents of their own


def _errors(encoding: str) -> str:
    return _IN_STEP if encoding in ("gb18030", "big5hkscs", "cp949", "johab", "euc_jp") else "replace"


def _keep_in_step(error: UnicodeError) -> tuple[str, int]:
    """Replace a bad character of an encoding whose characters are pairs of bytes above ASCII.

    Those that follow it up to the next ASCII character are read as pairs again, not each with half of the next.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    run = _HIGH_BYTES.match(error.object, error.start)
    pairs = run is not None and len(run[0]) > 1 and len(run[0]) % 2 == 0
    return "\ufffd", min(error.start + 1 + pairs, len(error.object))


_HIGH_BYTES = re.compile(rb"[\x80-\xff]{0,200}")
_IN_STEP = "vsearch.in-step"
codecs.register_error(_IN_STEP, _keep_in_step)


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark, told by what every subtitle file holds."""
    for encoding in ("utf-16-le", "utf-16-be"):
        if any(data.find(word.encode(encoding)) % 2 == 0 for word in ("-->", "Dialogue:")):
            return encoding
    return None


def _encoding(data: bytes, language: str | None) -> str | None:
    lines = [line for line in data.splitlines() if not line.isascii()]
    sample = b"\n".join(lines)[:SAMPLE]
    named = _known(language)
    found = _best(sample, [named], LEAST_FIT_NAMED) if named is not None else None
    return found or _best(sample, [name for name in _ALPHABETS if name not in _NAMED_ALONE], LEAST_FIT)


def _known(language: str | None) -> str | None:
    """The entry of a language."""
    if language is None:
        return None
    code, *more = language.lower().replace("_", "-").split("-")
    if code == "zh" and _TRADITIONAL_TAGS & set(more):
        return "zh-hant"
    code = _SAME.get(code, code)
    return code if code in _ALPHABETS else None


def _best(sample: bytes, languages: Iterable[str], least: float) -> str | None:
    """The encoding whose text fits one of the languages best; None where nothing fits."""
    texts: dict[str, tuple[Counter[str], int, int, int]] = {}
    best: tuple[float, str] | None = None
    for language in languages:
        for rank, encoding in enumerate(_ALPHABETS[language].encodings):
            if encoding not in texts:
                text = sample.decode(encoding, _errors(encoding))
                odd = len(_TURNED.findall(text)) + len(_INSIDE.findall(text))
                texts[encoding] = Counter(text), odd, len(_MIXED.findall(text)), len(_WEDGED.findall(text))
            fit = _fit(*texts[encoding], language)
            score = fit - rank / 1000
            if fit >= least and (best is None or score > best[0]):
                best = score, encoding
    return best and best[1]


def _fit(counts: Counter[str], odd: int, mixed: int, wedged: int, language: str) -> float:
    """From 0 to 1: how much a text looks like the language. odd: characters that do not belong where they are; mixed,
    wedged: see _MIXED, _WEDGED."""
    alphabet = _ALPHABETS[language]
    letters = _letters(language)
    known = other = common = plain = upper = neutral = 0
    for c, count in counts.items():
        if c <= "\x7f":
            plain += count * c.isalpha()
            other += count * (c < " " and not c.isspace())
        elif letters.fullmatch(c):
            known += count
            common += count * (c.lower() in alphabet.common)
            upper += count * c.isupper()
        elif _NEUTRAL.fullmatch(c):
            neutral += count
        else:
            other += count
    if not known:
        return 0.0 if other or odd else 1.0  # quotation marks and dashes alone
    share = (known + other) / (known + other + plain)
    if language in _LATIN:
        upper = 0  # they may be accents that begin sentences
        if share > MOST_ACCENTED:
            return 0.0
    elif language in _NO_BLANKS:
        odd += wedged
    else:
        odd += mixed
        if share < LEAST_FOREIGN:
            return 0.0
    fit = (known - upper / 20) / (known + other + odd + neutral / 100)
    return fit * (0.7 + 0.3 * min(1.0, common / known / alphabet.share))


@cache
def _letters(language: str) -> re.Pattern[str]:
    return re.compile(f"[{_ALPHABETS[language].letters}]", re.I)
