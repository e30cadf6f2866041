"""Sources of events: bytes of topics and files become columnar batches; publishers carry results out."""
