"""The calling codes of countries, and the national numbers there (ITU-T E.164 and its annexes).

No calling code begins with another one, so that a number in the international form has one country. What stands in
front of a national number within its country differs: most write a 0 that is not part of the number, some have no
such digit, and in some the 0 is part of the number. Only what is certain is in here; the rest is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

_ASSIGNED = """
1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81
82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233
234 235 236 237 238 239 240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255 256 257 258 260
261 262 263 264 265 266 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371
372 373 374 375 376 377 378 380 381 382 383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 507
508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 677 678 679 680 681 682 683 685
686 687 688 689 690 691 692 850 852 853 855 856 870 880 881 882 883 886 960 961 962 963 964 965 966 967
968 970 971 972 973 974 975 976 977 992 993 994 995 996 998
"""
_WITH_TRUNK_ZERO = """
20 27 31 32 33 40 41 43 44 46 49 51 60 61 63 64 66 81 82 84 86 90 91 92 93 94 95 98 211 212 213 218 233
234 249 250 251 254 255 256 260 261 262 263 264 353 355 358 359 370 373 374 380 381 382 383 385 386 387
389 421 508 590 591 593 594 595 596 855 856 880 886 961 962 963 964 966 967 970 971 972 976 977 994 995
996
"""

CALLING_CODES = frozenset(_ASSIGNED.split())
"""All calling codes of countries and of satellite networks. Not those of services, such as 800."""

TRUNK_PREFIXES: Mapping[str, str] = {
    **dict.fromkeys(_WITH_TRUNK_ZERO.split(), "0"),
    "36": "06",
    "7": "8",
    "1": "1",
}
"""By calling code, the digits that stand in front of a national number within the country and are not part of it.

No national number there begins with these digits, but in Russia and Kazakhstan, where its length decides.
"""

WITH_LEADING_ZERO = frozenset(("39", "225", "227", "229", "241", "242", "378"))
"""Calling codes under which a 0 at the beginning is part of the number."""

LENGTHS: Mapping[str, tuple[int, int]] = {
    "1": (10, 10),
    "7": (10, 10),
    "20": (8, 10),
    "27": (9, 9),
    "30": (10, 10),
    "31": (9, 9),
    "32": (8, 9),
    "33": (9, 9),
    "34": (9, 9),
    "36": (8, 9),
    "40": (9, 9),
    "41": (9, 9),
    "44": (9, 10),
    "45": (8, 8),
    "46": (7, 9),
    "47": (8, 8),
    "48": (9, 9),
    "52": (10, 10),
    "61": (9, 9),
    "65": (8, 8),
    "81": (9, 10),
    "90": (10, 10),
    "91": (10, 10),
    "351": (9, 9),
    "353": (7, 9),
    "354": (7, 9),
    "356": (8, 8),
    "357": (8, 8),
    "359": (7, 9),
    "370": (8, 8),
    "371": (8, 8),
    "372": (7, 8),
    "373": (8, 8),
    "374": (8, 8),
    "375": (9, 9),
    "380": (9, 9),
    "382": (8, 9),
    "385": (8, 9),
    "386": (8, 8),
    "387": (8, 9),
    "389": (8, 8),
    "420": (9, 9),
    "421": (9, 9),
    "972": (8, 9),
    "993": (8, 8),
    "994": (9, 9),
    "995": (9, 9),
    "998": (9, 9),
}
"""By calling code, the smallest and the largest number of digits of a person's or a company's number there."""

OTHER_LENGTHS = (5, 14)
"""The same for all other calling codes; with the calling code there are 15 digits at most."""

MAX_DIGITS = 15
"""Digits of the longest number, the calling code included."""
