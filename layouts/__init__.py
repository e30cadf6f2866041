"""Pages and their components: they look through `engine.views` and can change no number."""
