"""Files of what a grid shows: made by a process of their own, with low priority, and streamed as they are made."""
