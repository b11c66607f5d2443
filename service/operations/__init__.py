"""Operations: one action on many jobs or events, planned, confirmed and then done in steps."""
