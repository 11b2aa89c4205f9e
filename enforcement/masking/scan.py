"""Finds values that look like personal data or secrets in text of unknown origin, and masks them in place.

Meant for output whose columns can't be traced (an opaque function's text): a second net, never a proof. It knows
e-mail addresses, phone numbers, payment cards (Luhn), US social security numbers, IBANs (check digits), JWTs, keys
with a known prefix, private keys, and long random-looking tokens. It can't know names or addresses.

Every pattern is possessive or bounded, so that the time is linear in the text's length whatever it holds.
"""

from __future__ import annotations

import re
from typing import Final

from enforcement.masking.rows import mask_email

GONE: Final = b"***"
LONGEST: Final = 64 * 1024  # bytes; the worst text of this length takes some 0.1 s
CARD_DIGITS: Final = range(13, 20)

PRIVATE_KEY: Final = re.compile(
    rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----(?:.*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|.*+)", re.DOTALL
)
TOKEN: Final = re.compile(
    rb"eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]*+)?"
    rb"|(?:(?:sk|pk|rk)_(?:live|test)_|whsec_|sk-|gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|AIza|AKIA|ASIA|ya29\."
    rb"|npm_|pypi-|dop_v1_|hf_|SG\.|shpat_|AGE-SECRET-KEY-1)[A-Za-z0-9_.-]{12,}+"
    rb"|[A-Za-z0-9_+/=-]{40,}+"
)
KNOWN_TOKEN: Final = re.compile(
    rb"eyJ|(?:sk|pk|rk)_(?:live|test)_|whsec_|sk-|gh[opsur]_|github_pat_|glpat-|xox|AIza|AKIA|ASIA|ya29|npm_|pypi-"
    rb"|dop_v1_|hf_|SG\.|shpat_|AGE-"
)
EMAIL: Final = re.compile(
    rb"[A-Za-z0-9._%+'\x80-\xff-]{1,64}(?:@|%40|\\u0040)"
    rb"[A-Za-z0-9\x80-\xff-]{1,63}+(?:\.[A-Za-z0-9\x80-\xff-]{1,63}+){1,10}+"
)
IBAN: Final = re.compile(rb"[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}+")
NUMBER: Final = re.compile(rb"\+?[0-9](?:[ ().\-/]{0,3}+[0-9])*+")
GROUP: Final = re.compile(rb"[0-9]++")
DATE: Final = re.compile(rb"(?:19|20)[0-9]{2}[-/.][0-9]{1,2}[-/.][0-9]{1,2}")
SOCIAL: Final = re.compile(rb"(?<![0-9])[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}(?![0-9])")
WORTH_A_LOOK: Final = re.compile(rb"@|%40|u0040|-----BEGIN|[0-9](?:[ ().\-/]{0,3}+[0-9]){6}|[A-Za-z0-9_+/=.-]{16}")

IBAN_LENGTHS: Final = dict(
    zip(
        b"AD AE AL AT AZ BA BE BG BH BR BY CH CR CY CZ DE DK DO EE EG ES FI FO FR GB GE GI GL GR GT HR HU IE IL IQ IS "
        b"IT JO KW KZ LB LC LI LT LU LV LY MC MD ME MK MR MT MU NL NO PK PL PS PT QA RO RS SA SC SE SI SK SM ST SV TL "
        b"TN TR UA VA VG XK".split(),
        (24, 23, 28, 20, 28, 20, 16, 22, 22, 29, 28, 21, 22, 28, 24, 22, 18, 28, 20, 29, 24, 18, 18, 27, 22, 22, 23, 18,
         27, 28, 21, 28, 22, 23, 23, 26, 27, 30, 30, 20, 28, 32, 21, 20, 20, 21, 25, 27, 24, 22, 19, 27, 31, 30, 18, 15,
         24, 28, 29, 25, 29, 24, 22, 24, 31, 24, 19, 24, 27, 25, 28, 23, 24, 26, 29, 22, 24, 20),
        strict=True,
    )
)  # fmt: skip


def scan(value: bytes) -> bytes:
    """`value` (UTF-8) with every hit masked; the same object if there is none. Over LONGEST it is closed."""
    if len(value) > LONGEST:
        return GONE
    if WORTH_A_LOOK.search(value) is None:
        return value
    text = PRIVATE_KEY.sub(GONE, value)
    text = _ibans(text)
    text = EMAIL.sub(_email, text)
    text = TOKEN.sub(_token, text)
    text = NUMBER.sub(_number, text)
    return value if text == value else text


def _email(found: re.Match[bytes]) -> bytes:
    return mask_email(found[0])


def _token(found: re.Match[bytes]) -> bytes:
    text = found[0]
    if KNOWN_TOKEN.match(text):
        return GONE
    mixed = any(65 <= c <= 90 for c in text) + any(97 <= c <= 122 for c in text) + any(48 <= c <= 57 for c in text)
    return GONE if mixed == 3 else text


def iban_length(text: bytes) -> int:
    """How many letters and digits of `text` make a valid IBAN; 0 for none."""
    plain = bytes(c for c in text if c not in b" -").upper()
    length = IBAN_LENGTHS.get(plain[:2], 0)
    if not length or len(plain) < length:
        return 0
    plain = plain[:length]
    number = "".join(str(int(chr(c), 36)) for c in plain[4:] + plain[:4])
    return length if int(number) % 97 == 1 else 0


def _ibans(text: bytes) -> bytes:
    out: list[bytes] = []
    copied = position = 0
    while (found := IBAN.search(text, position)) is not None:
        length = iban_length(found[0])
        if not length:
            position = found.start() + 1
            continue
        position = found.start()
        out += (text[copied:position], GONE)
        while length:
            length -= text[position] not in b" -"
            position += 1
        copied = position
    return text if not out else b"".join((*out, text[copied:]))


def luhn(digits: bytes) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        number = digit - 48
        if index % 2:
            number = number * 2 - 9 if number > 4 else number * 2
        total += number
    return total % 10 == 0


def _number(found: re.Match[bytes]) -> bytes:
    run = SOCIAL.sub(GONE, found[0])
    groups = [(group.start(), group.end()) for group in GROUP.finditer(run)]
    out: list[bytes] = []
    copied = first = 0
    while first < len(groups):
        last = _card(run, groups, first)
        if last < 0:
            first += 1
            continue
        digits = b"".join(run[begin:end] for begin, end in groups[first : last + 1])
        out += (run[copied : groups[first][0]], b"****", digits[-4:])
        copied = groups[last][1]
        first = last + 1
    if out:
        return b"".join((*out, run[copied:]))
    return GONE if run == found[0] and _phone(run, groups, found) else run


def _card(run: bytes, groups: list[tuple[int, int]], first: int) -> int:
    """The index of the last group of a card number that begins with group `first`; -1 for none."""
    digits = b""
    if run[groups[first][0]] not in b"23456":
        return -1
    for index in range(first, len(groups)):
        digits += run[groups[index][0] : groups[index][1]]
        if len(digits) >= CARD_DIGITS.stop:
            return -1
        if len(digits) in CARD_DIGITS and luhn(digits):
            return index
    return -1


def _phone(run: bytes, groups: list[tuple[int, int]], found: re.Match[bytes]) -> bool:
    digits = sum(end - begin for begin, end in groups)
    if run.startswith(b"+"):
        return 7 <= digits <= 15
    if DATE.match(run) or (len(groups) == 4 and run.count(b".") == 3):  # a date; an IPv4 address
        return False
    before = found.string[found.start() - 1 : found.start()] if found.start() else b""
    if len(groups) == 1:
        return not before.isalnum() and (
            (digits in (10, 11) and run.startswith(b"0")) or (digits == 11 and run.startswith(b"1"))
        )
    return 10 <= digits <= 13 and (len(groups) >= 3 or b")" in run)
