"""Forward stage: attack, passes, divergence (Eq. 1-6)."""
