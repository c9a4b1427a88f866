"""The science: indices, hazards, risk and warning on (time, pcode) arrays."""
