"""Codes of languages: containers write "eng", people write "en", both mean one (ISO 639)."""

from __future__ import annotations

_CODES = """
ara=ar bul=bg cat=ca ces=cs cze=cs chi=zh zho=zh dan=da deu=de ger=de dut=nl nld=nl ell=el gre=el eng=en est=et
fin=fi fra=fr fre=fr heb=he hin=hi hrv=hr hun=hu ind=id ita=it jpn=ja kor=ko lav=lv lit=lt nor=no per=fa fas=fa
pol=pl por=pt ron=ro rum=ro rus=ru slk=sk slo=sk slv=sl spa=es srp=sr swe=sv tha=th tur=tr ukr=uk vie=vi
"""
_SHORT = {pair[:3]: pair[4:] for pair in _CODES.split()}


def short_language(code: str | None) -> str | None:
    """The two-letter code where there is one, the code as it is otherwise; None where it names no language."""
    code = (code or "").strip().lower()
    return None if code in ("", "und", "mis", "zxx", "mul") else _SHORT.get(code, code)


def language_spellings(code: str) -> list[str]:
    """Every code that means the same language: "en" and "eng" give en, eng."""
    short = short_language(code)
    return [] if short is None else [short, *(long for long, other in _SHORT.items() if other == short)]
