"""Subtitles that are not in UTF-8: by the language of their name, by their letters, or refused."""

from __future__ import annotations

import random

import pytest

from vsearch.errors import MediaError
from vsearch.indexer.charsets import decode_text

SAID = {
    "ru": "Привет, как дела? Поезд в Москву отправляется в пять часов. Ты меня слышишь?",
    "uk": "Привіт, як справи? Їжак біжить лісом, а в небі летять птахи. Де ти був?",
    "bg": "Здравей, как си? Влакът за София тръгва в пет часа.",
    "zh": "你好世界。火车去北京。我们明天早上八点见面,好吗?这是什么?",
    "zh-tw": "你好世界。火車去台北。我們明天早上八點見面,好嗎?這是什麼?",
    "ja": "こんにちは世界。東京行きの電車はどこですか。ありがとうございます。",
    "ko": "안녕하세요. 서울로 가는 기차는 어디에 있습니까? 감사합니다.",
    "pl": "Cześć, jak się masz? Pociąg do Łodzi odjeżdża o piątej, żółta łódź płynie.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy. Vlak do Prahy odjíždí v pět.",
    "hu": "Jó napot! Ősszel a vonat öt órakor indul. Hűvös az idő, de szép. Nem tudom, miért kérdőn néz.",
    "de": "Grüß Gott! Der Zug nach München fährt um fünf. Schöne Größe, süße Äpfel.",
    "fr": "Ça va ? Le train pour Orléans part à cinq heures. L’élève était très fâché, où est-il ?",
    "es": "¿Cómo estás? El niño corrió mañana por el corazón de España. ¡Adiós!",
    "pt": "Não, você não está lá. A educação é uma questão de coração, então até amanhã.",
    "sv": "Hej på dig! Tåget till Malmö går klockan fem. Är du här nu?",
    "tr": "Günaydın, nasılsın? İstanbul treni beşte kalkıyor, çok güzel bir şey değil mi?",
    "el": "Καλημέρα, τι κάνεις; Το τρένο για την Αθήνα φεύγει στις πέντε.",
    "he": "שלום, מה שלומך? הרכבת לירושלים יוצאת בחמש. אני לא יודע.",
    "ar": "مرحبا، كيف حالك؟ القطار إلى القاهرة يغادر في الخامسة. لا أعرف.",
    "th": "สวัสดีครับ รถไฟไปกรุงเทพออกห้าโมง คุณสบายดีไหม",
    "lt": "Labas, kaip sekasi? Traukinys į Vilnių išvyksta penktą, ačiū už viską, žuvėdra.",
}
ENCODINGS = {
    "ru": ["cp1251", "koi8-r", "cp866", "iso8859-5", "mac_cyrillic"], "uk": ["cp1251", "koi8-u"], "bg": ["cp1251"],
    "zh": ["gbk"], "zh-tw": ["big5"], "ja": ["cp932", "euc_jp", "iso2022_jp"], "ko": ["euc_kr"],
    "pl": ["cp1250", "iso8859-2", "cp852"], "cs": ["cp1250", "iso8859-2"], "hu": ["cp1250", "iso8859-2"],
    "de": ["cp1252", "iso8859-1", "mac_roman"], "fr": ["cp1252"], "es": ["cp1252"], "pt": ["cp1252", "iso8859-15"],
    "sv": ["cp1252", "cp850"], "tr": ["cp1254"], "el": ["cp1253", "iso8859-7"], "he": ["cp1255"], "ar": ["cp1256"],
    "th": ["cp874"], "lt": ["cp1257"],
}  # fmt: skip
PAIRS = [(language, encoding) for language, encodings in ENCODINGS.items() for encoding in encodings]

EIGHT_BITS = [pair for pair in PAIRS if pair[1] != "iso2022_jp"]


def cue(said: str) -> str:
    return f"1\n00:00:01,000 --> 00:00:02,000\n{said}\n\n2\n00:00:03,000 --> 00:00:04,000\nOK, <i>go</i>!\n"


@pytest.mark.parametrize(("language", "encoding"), PAIRS)
def test_the_language_of_a_name_tells_the_encoding_and_letters_do_without(language: str, encoding: str) -> None:
    data = cue(SAID[language]).encode(encoding)
    assert decode_text(data, language) == cue(SAID[language])
    assert decode_text(data) == cue(SAID[language])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("language", ["ru", "zh", "de"])
def test_unicode_with_and_without_a_mark(language: str, encoding: str) -> None:
    for told in (language, "fr", None):
        assert decode_text(cue(SAID[language]).encode(encoding), told) == cue(SAID[language])


@pytest.mark.parametrize(("language", "encoding"), [(language, "utf-8") for language in SAID] + EIGHT_BITS)
def test_a_bad_byte_costs_a_character(language: str, encoding: str) -> None:
    rng = random.Random(language + encoding)
    text = cue(SAID[language])
    for _ in range(5):
        data = bytearray(text.encode(encoding))
        data[rng.choice([at for at, byte in enumerate(data) if byte > 127])] = 0xFF
        read = decode_text(bytes(data), language)
        lost = [c for c in set(text) if text.count(c) > read.count(c)]
        # A character of two bytes may take its neighbour with it; those of Big5, which look like ASCII, a line.
        assert len(lost) <= 3 or encoding == "big5", read
        assert read.endswith("OK, <i>go</i>!\n")


def test_a_bad_byte_in_english_utf_8() -> None:
    data = "The café opens. Naïve crème.".encode() + b" bad \x92 byte"
    assert decode_text(data) == "The café opens. Naïve crème. bad � byte"
    assert decode_text("déjà vu ".encode()[:-1] + b"\xc3") == "déjà vu�"  # cut off inside a character


@pytest.mark.parametrize(
    ("language", "encoding", "said"),
    [
        ("pl", "cp1250", "Zażółć gęślą jaźń"),
        ("hu", "iso8859-2", "árvíztűrő tükörfúrógép"),
        ("lv", "cp1257", "Glāžšķūņa rūķīši dzērumā čiepj koncertflīģeļu vākus"),
        ("ca", "cp1252", "Jove xef, porti whisky amb quinze glaçons d’hidrogen, coi!"),
    ],
)
def test_many_accents_and_few(language: str, encoding: str, said: str) -> None:
    for told in (language, None):
        assert decode_text(cue(said).encode(encoding), told) == cue(said)


def test_quotation_marks_alone() -> None:
    text = "“It’s here,” she said – and left…"
    assert decode_text(text.encode("cp1252"), "en") == decode_text(text.encode("cp1252")) == text


def test_a_name_that_tells_the_wrong_language() -> None:
    for language, encoding in (("ru", "cp1251"), ("zh", "gbk"), ("ja", "cp932"), ("el", "cp1253")):
        assert decode_text(cue(SAID[language]).encode(encoding), "en") == cue(SAID[language])


def test_regions_and_scripts_of_a_name() -> None:
    for told in ("zh-Hant", "zh_TW", "zh-hk"):
        assert decode_text("紅茶".encode("big5"), told) == "紅茶"
    assert decode_text("红茶".encode("gbk"), "zh-Hans") == "红茶"
    assert decode_text("não".encode("cp1252"), "pt-br") == "não"


@pytest.mark.parametrize("told", [None, "en", "ru", "xx"])
def test_what_is_no_text_is_refused_in_one_line(told: str | None) -> None:
    noise = bytes(random.Random(7).choices(range(128, 256), k=4000))
    for data in (b"\0\1\2\3" * 50, noise):
        with pytest.raises(MediaError) as raised:
            decode_text(data, told)
        assert "\n" not in str(raised.value)
