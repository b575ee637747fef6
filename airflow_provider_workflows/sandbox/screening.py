"""Results of a screening as real ones are: hits with codes and statuses, lists in lists, missing values.

The people and companies in them do not exist.
"""

from __future__ import annotations

from airflow_provider_workflows.sandbox.responses import JsonObject

_LISTS = ("SANCTIONS_EU", "SANCTIONS_UN", "SANCTIONS_OFAC", "PEP", "ADVERSE_MEDIA")


def _check(code: str, status: str, **details: object) -> JsonObject:
    return {"code": code, "status": status, **details}


def _lists(hits: dict[str, list[JsonObject]]) -> list[JsonObject]:
    return [
        _check(code, "HIT" if code in hits else "CLEAR", hits=hits.get(code, []), entriesChecked=entries)
        for entries, code in enumerate(_LISTS, start=12_000)
    ]


CLEAR: JsonObject = {
    "decision": "PASS",
    "riskScore": 4,
    "reviewer": None,
    "screening": {"status": "CLEAR", "lists": _lists({}), "hitCount": 0},
    "documents": [
        {
            "type": "ID_CARD",
            "status": "VERIFIED",
            "expiryDate": "2031-05-17",
            "checks": [
                _check("MRZ_CHECKSUM", "PASSED"),
                _check("FACE_MATCH", "PASSED", similarity=0.9871),
                _check("LIVENESS", "PASSED", similarity=None),
            ],
        }
    ],
    "registry": {"status": "FOUND", "source": "KRS", "owners": [{"name": "Zażółć Gęślą", "share": 100.0}]},
}

POSSIBLE_HIT: JsonObject = {
    "decision": "REVIEW",
    "riskScore": 61,
    "reviewer": {"team": "COMPLIANCE", "dueAt": "2026-12-01T12:00:00Z"},
    "screening": {
        "status": "POSSIBLE_HIT",
        "lists": _lists(
            {
                "PEP": [
                    {
                        "code": "PEP-2",
                        "status": "POSSIBLE",
                        "matchedName": "Jana Wzorcowa-O'Example",
                        "score": 0.83,
                        "dateOfBirth": None,
                        "positions": [
                            {"title": "Mayor", "country": "PL", "from": "2014-11-30", "to": "2018-11-21"},
                            {
                                "title": 'Councillor, "Example" district',
                                "country": "PL",
                                "from": None,
                                "to": None,
                            },
                        ],
                        "sources": ["https://lists.invalid/pep/2", "https://lists.invalid/pep/2?lang=pl"],
                    }
                ]
            }
        ),
        "hitCount": 1,
    },
    "documents": [],
    "registry": {"status": "NOT_FOUND", "source": "KRS", "owners": []},
}

HIT: JsonObject = {
    "decision": "REJECT",
    "riskScore": 98,
    "reviewer": None,
    "screening": {
        "status": "HIT",
        "lists": _lists(
            {
                "SANCTIONS_EU": [
                    {
                        "code": "EU.4021.77",
                        "status": "CONFIRMED",
                        "matchedName": "Иван Примеров",
                        "score": 1.0,
                        "dateOfBirth": "1961-02-29",
                        "positions": [],
                        "sources": ["https://lists.invalid/eu/4021"],
                        "remarks": "listed 2014-03-17;\namended 2022-02-28",
                    },
                    {
                        "code": "EU.4021.78",
                        "status": "DISMISSED",
                        "matchedName": "Ivan Primerov",
                        "score": 0.71,
                        "dateOfBirth": None,
                        "positions": [],
                        "sources": [],
                    },
                ],
                "ADVERSE_MEDIA": [
                    {
                        "code": "MEDIA",
                        "status": "POSSIBLE",
                        "matchedName": "I. Primerov",
                        "score": 0.55,
                        "articles": [{"title": "=SUM(A1:A9)", "published": "2023-07-04", "language": "en"}],
                    }
                ],
            }
        ),
        "hitCount": 3,
    },
    "documents": [
        {
            "type": "PASSPORT",
            "status": "REJECTED",
            "expiryDate": None,
            "checks": [
                _check("MRZ_CHECKSUM", "FAILED", reason="CHECK_DIGIT"),
                _check("FACE_MATCH", "SKIPPED"),
            ],
        }
    ],
    "registry": None,
}
