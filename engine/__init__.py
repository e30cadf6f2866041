"""The inventory machine: model, events, kernels, rules, locates and shared-memory tables. No I/O, reads no clock."""
