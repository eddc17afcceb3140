"""The words of dates: names of months in the languages feeds use, and names of time zones."""

from __future__ import annotations

# A month by the first letters of its name, case-folded; the longest match counts (French `juin` and
# `juillet`).
_MONTH_BEGINNINGS = {
    1: "jan gen ene sty янв ιαν",
    2: "feb fev fév feb febr lut фев φεβ",
    3: "mar mär mrz maa már мар μαρ μάρ μάώ μαώ",
    4: "apr avr abr ápr kwi апр απρ",
    5: "may mai maj mag mei máj май мая μάι μαϊ μαι",
    6: "jun juin giu jún cze июн ιουν ιούν ιον",
    7: "jul juil lug júl lip июл ιουλ ιούλ ιολ",
    8: "aug aou aoû ago sie авг αυγ αύγ",
    9: "sep set sze wrz сен σεπ",
    10: "oct okt ott out paź окт οκτ",
    11: "nov lis ноя νοε νοέ",
    12: "dec dez dic déc gru дек δεκ",
}
_MONTHS = {beginning: month for month, words in _MONTH_BEGINNINGS.items() for beginning in words.split()}

# Hours ahead of UTC. Single letters are missing on purpose: they were used with either sign (RFC 5322, 4.3).
# Of names that several zones share, the one of RFC 822, else the one that security feeds mean.
_ZONES = {
    "ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0, "west": 1, "bst": 1,
    "cet": 1, "met": 1, "mez": 1, "cest": 2, "mest": 2, "mesz": 2, "eet": 2, "sast": 2, "eest": 3, "msk": 3,
    "trt": 3, "ist": 5.5, "pkt": 5, "sgt": 8, "hkt": 8, "awst": 8, "jst": 9, "kst": 9, "aest": 10, "aedt": 11,
    "nzst": 12, "nzdt": 13, "brt": -3, "art": -3, "adt": -3, "ast": -4, "at": -4, "nst": -3.5, "ndt": -2.5,
    "edt": -4, "est": -5, "et": -5, "cdt": -5, "cst": -6, "ct": -6, "mdt": -6, "mst": -7, "mt": -7,
    "pdt": -7, "pst": -8, "pt": -8, "akdt": -8, "akst": -9, "hst": -10,
}  # fmt: skip


def month_of(word: str) -> int | None:
    """The month, 1 to 12, that `word` names or abbreviates, or None."""
    word = word.casefold()
    return next((_MONTHS[word[:length]] for length in (4, 3) if word[:length] in _MONTHS), None)


def zone_hours(word: str) -> float | None:
    """How many hours the zone called `word` is ahead of UTC, or None for a name we do not know."""
    return _ZONES.get(word.casefold().removeprefix("etc/"))
