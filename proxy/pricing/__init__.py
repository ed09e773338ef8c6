"""What a call's tokens are, where nobody said, and what they cost. Offline: no price or vocabulary is fetched."""
