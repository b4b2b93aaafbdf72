from __future__ import annotations

WORDS = ("Barolo", "Grignolino", "Barbera")


def word_for(number: int) -> str:
    return WORDS[number]
