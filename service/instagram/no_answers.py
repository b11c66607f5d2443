"""What people type into a field for their username when they have none, or mean to skip it.

Most of it has the form of a username, and somebody has it. So without an `@` it names nobody.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ABBREVIATION: Final = re.compile(r"\w(?:[./]\w)+")
_DROPPED: Final = re.compile(r"[^\w.]|(?<!\w)\.|\.(?!\w)")

# English and what forms and programs fill in, then by language. Compared after `fold`.
_ANSWERS: Final = """
na, nan, none, null, nil, undefined, object object, void, empty, blank, no, non, nope, nah,
not, never, nothing, zero, no instagram, no insta, no ig, no account, no handle, no username,
no thanks, no thank you, not applicable, not available, not provided, not sure,
not on instagram, none yet, don't have, don't have one, don't have it, don't have any,
do not have, do not have one, i don't have, i don't have one, i don't have any,
i don't have it, i don't have instagram, i don't use it, don't use, don't use it,
haven't got one, have none, i have none, without, skip, skipped, unknown, idk, i don't know,
don't know, anonymous, anonym, private, secret, later, tbd, tba, tbc, same, same as above,
see above, same as name, optional, required, ok, okay, yes, yep, yeah, hi, hello, thanks,
test, testing, tests, tester, testuser, test user, asdf, asdfg, asdfgh, asdfghjkl, qwe, qwer,
qwert, qwerty, qwertz, azerty, abc, abcd, foo, foobar, lorem, example, sample, placeholder,
dummy, instagram, insta, ig, facebook, fb, whatsapp, tiktok, twitter, threads, telegram,
snapchat, youtube, username, user, user name, name, handle, account, email, e-mail, mail,
phone, website, url, link, your username, your handle, my instagram, my handle, nein, ne, nee,
nix, nichts, kein, keine, keiner, keins, keinen, kein instagram, kein insta, keine angabe,
keine ahnung, keinen account, habe ich nicht, hab ich nicht, habe kein instagram, habe keins,
habe keinen, hab keins, nicht vorhanden, ohne, entfällt, ka, leer, unbekannt, egal, ja, aucun,
aucune, rien, néant, pas, pas d'instagram, pas de compte, pas instagram, je n'ai pas,
j'ai pas, je n'en ai pas, sans, sans objet, oui, inconnu, ninguno, ninguna, ningún, nada, sin,
no tengo, no uso, sin instagram, sin cuenta, no aplica, no disponible, desconocido, si, não,
nenhum, nenhuma, não tenho, não uso, sem, sem instagram, não possuo, não se aplica, sim,
nessuno, nessuna, niente, nulla, non ho, non ce l'ho, non uso, senza, nessun account,
sconosciuto, geen, niet, nvt, geen instagram, geen account, heb ik niet, heb geen, niks,
onbekend, brak, nie, nie mam, nie posiadam, nie dotyczy, żaden, není, nemám, nemám instagram,
žádný, nemam, nema, nimam, ni, nincs, nem, nu, nu am, niciunul, ingen, inget, nej, nei,
har inte, har ikke, har ej, intet, ei, ei ole, ei mitään, ei oo, pole, puudub, nav, nėra,
neturiu, yok, hayır, kullanmıyorum, bilmiyorum, нет, нету, не имею, нет инстаграма,
отсутствует, немає, нема, нямам, няма, όχι, κανένα, δεν έχω, tidak, tidak ada, tidak punya,
ga ada, gak ada, gak punya, wala, khong, khong co, không, không có, ไม่มี, नहीं, لا, لا يوجد,
אין, 无, 無, 没有, 沒有, なし, 無し, 特になし, 없음, 없어요
"""
#: The first words of sentences that say so.
_NEGATIONS: Final = frozenset(
    {
        *("no", "not", "dont", "havent", "none", "never", "kein", "keine", "keinen", "nicht"),
        *("habe", "hab", "pas", "aucun", "aucune", "sans", "ninguno", "ninguna", "nao", "nenhum"),
        *("sem", "sin", "non", "nessun", "nessuno", "geen", "nie", "brak", "ingen", "нет", "не"),
    }
)


def fold(text: str) -> str:
    """Return a word or phrase in the form in which answers are compared.

    Without accents, case, spaces and punctuation; abbreviations also lose their dots (`N. A.`,
    `n/a`), other words keep inner dots, because `no.ne` is a username.
    """
    plain = text.lower() if text.isascii() else _without_accents(text)
    if _ABBREVIATION.fullmatch("".join(plain.split()).strip(".-/")):
        plain = plain.replace(".", "").replace("/", "")
    return _DROPPED.sub("", plain)


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def is_no_answer(text: str, more: frozenset[str] = frozenset()) -> bool:
    """Whether a text without an `@` is an answer such as `none` instead of a username.

    Parameters:
      text: As typed, without invisible characters.
      more: Further answers, folded.
    """
    folded = fold(text)
    if len(set(folded)) <= 1 or folded in NO_ANSWERS or folded in more:
        return True
    words = text.split()
    return len(words) > 1 and fold(words[0]) in _NEGATIONS


#: Folded.
NO_ANSWERS: Final = frozenset(map(fold, _ANSWERS.split(",")))
