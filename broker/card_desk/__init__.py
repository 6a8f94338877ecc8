"""The broker's side of the cards: who holds them, what they sign, who is warned."""
