"""Codes and names of languages (ISO 639): "eng", "en" and "English" are the same language."""

from __future__ import annotations

import re
import unicodedata

_TABLE = """
aa aar=Afar; ab abk=Abkhazian; ae ave=Avestan; af afr=Afrikaans; ak aka=Akan; am amh=Amharic; an arg=Aragonese;
ar ara=Arabic/العربية; as asm=Assamese; av ava=Avaric; ay aym=Aymara; az aze=Azerbaijani; ba bak=Bashkir;
be bel=Belarusian; bg bul=Bulgarian/Български; bh bih=Bihari; bi bis=Bislama; bm bam=Bambara; bn ben=Bengali;
bo bod tib=Tibetan; br bre=Breton; bs bos=Bosnian; ca cat=Catalan/Català; ce che=Chechen; ch cha=Chamorro;
co cos=Corsican; cr cre=Cree; cs ces cze=Czech/Čeština; cu chu=Church Slavic; cv chv=Chuvash; cy cym wel=Welsh;
da dan=Danish/Dansk; de deu ger=German/Deutsch; dv div=Divehi; dz dzo=Dzongkha; ee ewe=Ewe; el ell gre=Greek/Ελληνικά;
en eng=English; eo epo=Esperanto; es spa=Spanish/Español/Castilian/Castellano; et est=Estonian/Eesti;
eu eus baq=Basque/Euskara; fa fas per=Persian/Farsi/فارسی; ff ful=Fulah; fi fin=Finnish/Suomi; fj fij=Fijian;
fo fao=Faroese; fr fra fre=French/Français; fy fry=Western Frisian; ga gle=Irish; gd gla=Scottish Gaelic;
gl glg=Galician/Galego; gn grn=Guarani; gu guj=Gujarati; gv glv=Manx; ha hau=Hausa; he heb=Hebrew/עברית;
hi hin=Hindi; ho hmo=Hiri Motu; hr hrv=Croatian/Hrvatski; ht hat=Haitian/Creole; hu hun=Hungarian/Magyar;
hy hye arm=Armenian; hz her=Herero; ia ina=Interlingua; id ind=Indonesian; ie ile=Interlingue; ig ibo=Igbo;
ii iii=Nuosu; ik ipk=Inupiaq; io ido=Ido; is isl ice=Icelandic/Íslenska; it ita=Italian/Italiano; iu iku=Inuktitut;
ja jpn=Japanese/日本語; jv jav=Javanese; ka kat geo=Georgian; kg kon=Kongo; ki kik=Kikuyu; kj kua=Kuanyama;
kk kaz=Kazakh; kl kal=Greenlandic; km khm=Khmer; kn kan=Kannada; ko kor=Korean/한국어; kr kau=Kanuri; ks kas=Kashmiri;
ku kur=Kurdish; kv kom=Komi; kw cor=Cornish; ky kir=Kyrgyz/Kirghiz; la lat=Latin; lb ltz=Luxembourgish; lg lug=Ganda;
li lim=Limburgish; ln lin=Lingala; lo lao=Lao; lt lit=Lithuanian/Lietuvių; lu lub=Luba-Katanga;
lv lav=Latvian/Latviešu; mg mlg=Malagasy; mh mah=Marshallese; mi mri mao=Maori; mk mkd mac=Macedonian;
ml mal=Malayalam; mn mon=Mongolian; mr mar=Marathi; ms msa may=Malay; mt mlt=Maltese; my mya bur=Burmese;
na nau=Nauru; nb nob=Bokmål; nd nde=North Ndebele; ne nep=Nepali; ng ndo=Ndonga; nl nld dut=Dutch/Nederlands/Flemish;
nn nno=Nynorsk; no nor=Norwegian/Norsk; nr nbl=South Ndebele; nv nav=Navajo; ny nya=Chichewa/Nyanja; oc oci=Occitan;
oj oji=Ojibwa; om orm=Oromo; or ori=Oriya; os oss=Ossetian; pa pan=Punjabi/Panjabi; pi pli=Pali; pl pol=Polish/Polski;
ps pus=Pashto; pt por=Portuguese/Português; qu que=Quechua; rm roh=Romansh; rn run=Rundi; ro ron rum=Romanian/Română;
ru rus=Russian/Русский; rw kin=Kinyarwanda; sa san=Sanskrit; sc srd=Sardinian; sd snd=Sindhi; se sme=Northern Sami;
sg sag=Sango; si sin=Sinhala; sk slk slo=Slovak/Slovenčina; sl slv=Slovenian/Slovenščina; sm smo=Samoan; sn sna=Shona;
so som=Somali; sq sqi alb=Albanian; sr srp=Serbian/Srpski/Српски; ss ssw=Swati; st sot=Sotho; su sun=Sundanese;
sv swe=Swedish/Svenska; sw swa=Swahili; ta tam=Tamil; te tel=Telugu; tg tgk=Tajik; th tha=Thai/ไทย; ti tir=Tigrinya;
tk tuk=Turkmen; tl tgl=Tagalog; tn tsn=Tswana; to ton=Tonga; tr tur=Turkish/Türkçe; ts tso=Tsonga; tt tat=Tatar;
tw twi=Twi; ty tah=Tahitian; ug uig=Uyghur/Uighur; uk ukr=Ukrainian/Українська; ur urd=Urdu; uz uzb=Uzbek;
ve ven=Venda; vi vie=Vietnamese/Việt; vo vol=Volapük; wa wln=Walloon; wo wol=Wolof; xh xho=Xhosa;
yi yid=Yiddish; yo yor=Yoruba; za zha=Zhuang; zh zho chi=Chinese/Mandarin/中文/汉语/漢語/国语/國語/普通话; zu zul=Zulu
"""
"""Two-letter code, three-letter codes = names in English and in the language itself."""
_OLD = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro", "scc": "sr", "scr": "hr", "cmn": "zh"}
_TAGS = {"chs": "zh-hans", "cht": "zh-hant", "zhs": "zh-hans", "zht": "zh-hant", "pob": "pt-br", "ptbr": "pt-br"}
"""Abbreviations of subtitle programs for a language with its script or region."""
_TAGS |= {"简体": "zh-hans", "简中": "zh-hans", "繁體": "zh-hant", "繁体": "zh-hant", "繁中": "zh-hant"}
_WITHOUT_SHORT = frozenset({"fil", "haw", "yue", "gsw", "nds", "ceb", "hmn", "ast", "tlh", "kab", "sco"})
"""Codes that have no two-letter form."""
_VARIANTS = {
    "simplified": "hans", "traditional": "hant", "brazil": "br", "brazilian": "br", "brasil": "br", "latin": "419",
    "latinoamericano": "419", "canadian": "ca", "canada": "ca", "mexican": "mx", "british": "gb",
}  # fmt: skip
_TAG = re.compile(r"([a-z]{2,3})((?:[-_][a-z0-9_-]*)?)")
_SUBTAG = re.compile(r"[a-z]{2}|\d{3}|hans|hant|latn|cyrl|arab")


def _key(text: str) -> str:
    """The text without accents and case."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


_ROWS = [entry.strip().split("=") for entry in _TABLE.split(";")]
_SHORT = {code: codes.split()[0] for codes, _ in _ROWS for code in codes.split()[1:]} | _OLD
_KNOWN = frozenset(codes.split()[0] for codes, _ in _ROWS) | _WITHOUT_SHORT
_NAMES = {_key(name): codes.split()[0] for codes, names in _ROWS for name in names.split("/")}


def short_language(code: str | None) -> str | None:
    """The two-letter code where there is one, else the code unchanged; None where it names no language."""
    code = (code or "").strip().lower()
    return None if code in ("", "und", "mis", "zxx", "mul") else _SHORT.get(code, code)


def language_spellings(code: str) -> list[str]:
    """All codes of the language: "en" and "eng" give en, eng."""
    short = short_language(code)
    return [] if short is None else [short, *(long for long, other in _SHORT.items() if other == short)]


def same_language(one: str | None, other: str | None) -> bool:
    """Whether two codes mean one language, whatever their regions: "en" and "en-us"."""
    if one is None or other is None:
        return False
    first, second = (short_language(re.split("[-_]", code)[0]) for code in (one, other))
    return first is not None and first == second


def language_tag(text: str) -> str | None:
    """The language tag of a code: "eng" gives "en", "pt_BR" "pt-br", "zh-Hans" "zh-hans", and "en-orig" "en"."""
    text = text.strip().lower()
    if text in _TAGS:
        return _TAGS[text]
    found = _TAG.fullmatch(text)
    if found is None:
        return None
    code = _SHORT.get(found[1], found[1])
    if code not in _KNOWN:
        return None
    # Other subtags name a track, not a language.
    return "-".join([code, *[part for part in re.split("[-_]", found[2])[1:2] if _SUBTAG.fullmatch(part)]])


def language_named(text: str) -> str | None:
    """The tag of the language that a text names: "Brazilian Portuguese" gives "pt-br"."""
    words = re.findall(r"[^\W_]+", _key(text))
    code = next((_NAMES[word] for word in words if word in _NAMES), None)
    if code is None:
        return next((tag for mark, tag in _TAGS.items() if not mark.isascii() and _key(mark) in words), None)
    variant = next((_VARIANTS[word] for word in words if word in _VARIANTS), None)
    return f"{code}-{variant}" if variant else code
