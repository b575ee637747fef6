"""The words that spreadsheet programs show for an error, in the languages of their users."""

# ruff: noqa: RUF001  (the words are in the scripts of their languages)

from __future__ import annotations

from airflow_provider_workflows.batch.input.columns import plain_name

BEGINS_ERROR = "#"
"""The first character of each of the words."""

#: By language, the words after ``#``, as Excel, Google Sheets and LibreOffice show them.
_WORDS = {
    "English": "N/A  N/A N/A  NA  NULL!  REF!  VALUE!  DIV/0!  NAME?  NUM!  SPILL!  CALC!  GETTING_DATA  FIELD!  "
    "BLOCKED!  UNKNOWN!  CONNECT!  BUSY!  EXTERNAL!  PYTHON!  TIMEOUT!  CIRCULAR!  CYCLE!  ERROR!  MACRO?",
    "Polish": "N/D  N/D!  ADR!  ARG!  BRAK!  LICZBA!  NAZWA?  ZERO!  PUSTE!  DZIEL/0!  ROZLANIE!  OBL!  OBLICZ!  "
    "POLE!  BŁĄD!  CYKL!  ZABLOKOWANE!  NIEZNANE!",
    "German": "NV  BEZUG!  WERT!  ZAHL!  ÜBERLAUF!  KALK!  FELD!  DATEN_ABRUFEN  BLOCKIERT!  UNBEKANNT!  FEHLER!",
    "French": "NOM?  NOMBRE!  VALEUR!  NUL!  PROPAGATION!  EPARS!  CHAMP!  CALCUL!  BLOQUE!  INCONNU!  CONNEXION!  "
    "OBTENTION_DONNEES  CHARGEMENT_DONNEES",
    "Spanish": "¡VALOR!  ¡REF!  ¿NOMBRE?  ¡NUM!  ¡NULO!  ¡DIV/0!  ¡DESBORDAMIENTO!  DESBORDAMIENTO!  ¡CALC!  "
    "¡CAMPO!  ¡BLOQUEADO!  ¡DESCONOCIDO!  OBTENIENDO_DATOS",
    "Italian": "RIF!  VALORE!  NOME?  NULLO!  ESPANSIONE!  PROPAGAZIONE!  CAMPO!  BLOCCATO!  SCONOSCIUTO!",
    "Portuguese": "VALOR!  NÚM!  NULO!  DESPEJAR!  DESPEJO!  CALCULAR!  BLOQUEADO!  DESCONHECIDO!  OBTENDO_DADOS  "
    "A_OBTER_DADOS",
    "Dutch": "N/B  NB  LEEG!  DEEL/0!  WAARDE!  VERW!  VERWIJZING!  NAAM?  GETAL!  OVERLOOP!  BEREKENEN!  VELD!  "
    "GEBLOKKEERD!  ONBEKEND!  GEGEVENS_OPHALEN",
    "Czech and Slovak": "DĚLENÍ_NULOU!  DELENIENULOU!  HODNOTA!  ODKAZ!  NÁZEV?  NÁZOV?  ČÍSLO!  "
    "NENÍ_K_DISPOZICI  NEDOSTUPNÝ  NEDOSTUPNÉ  NEPLATNÝ!  PŘESAH!  PRESAH!  VÝPOČET!",
    "Hungarian": "NULLA!  ZÉRÓOSZTÓ!  ÉRTÉK!  HIV!  NÉV?  SZÁM!  HIÁNYZIK  KIBONTÁS!  SZÁMÍTÁS!",
    "Slovenian and Croatian": "N/V  NIČ!  DEL/0!  VREDN!  SKLIC!  IME?  ŠTEV!  DIJ/0!  VRIJEDNOST!  BROJ!  NAZIV?",
    "Romanian": "VALOARE!  NUME?",
    "Swedish": "SKÄRNING!  DIVISION/0!  VÄRDEFEL!  REFERENS!  NAMN?  OGILTIGT!  SAKNAS!  BERÄKNA!",
    "Danish and Norwegian": "I/T  VÆRDI!  VERDI!  REFERENCE!  NAVN?  OVERLØB!  OVERFLYT!  BEREGN!",
    "Finnish": "TYHJÄ!  JAKO/0!  ARVO!  VIITTAUS!  NIMI?  LUKU!  PUUTTUU!  YLIVUOTO!  LASKE!",
    "Turkish": "BOŞ!  SAYI/0!  DEĞER!  BAŞV!  AD?  SAYI!  YOK  TAŞMA!  HESAPLA!",
    "Greek": "ΚΕΝΟ!  ΔΙΑΙΡ./0!  ΔΙΑΙΡ/0!  ΤΙΜΗ!  ΑΝΑΦ!  ΟΝΟΜΑ?  ΑΡΙΘ!  Δ/Υ",
    "Russian and Ukrainian": "ПУСТО!  ДЕЛ/0!  ЗНАЧ!  ССЫЛКА!  ИМЯ?  ЧИСЛО!  Н/Д  ПЕРЕНОС!  ВЫЧИСЛ!  ПОЛЕ!  ДІЛ/0!  "
    "ПОСИЛАННЯ!  ІМ'Я?",
}
_PLAIN_ERRORS = frozenset(plain_name(word) for words in _WORDS.values() for word in words.split("  "))


def is_spreadsheet_error(text: str) -> bool:
    """Return whether a text is what a spreadsheet program shows for an error, in any case, with accents or without.

    :param text: without white space around it
    """
    return text.startswith(BEGINS_ERROR) and plain_name(text[1:]) in _PLAIN_ERRORS
